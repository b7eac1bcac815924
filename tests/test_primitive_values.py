"""Elementwise primitives and reductions against JAX: at zeros, infinities, nan and subnormals, and their derivatives.

A primitive of these kinds needs its line in a table below. References are computed by JAX in float64 from the same
float32 values and rounded once: XLA's own float32 treats subnormal numbers as zeros on the CPU. What depends on the
width of the dtype is compared in that dtype.
"""

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp
from jax.scipy import special
from test_primitives import bind, jvp, sample

from pequegrad.core.dtype import dt
from pequegrad.primitives import PRIMITIVES
from pequegrad.primitives.elementwise import Elementwise
from pequegrad.primitives.reduction import Position, Reduction

UNARY = {
    "neg": lax.neg, "abs": lax.abs, "sign": lax.sign, "floor": lax.floor, "ceil": lax.ceil, "trunc": jnp.trunc,
    "round": lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), "exp": lax.exp, "exp2": lax.exp2,
    "expm1": lax.expm1, "log": lax.log, "log1p": lax.log1p, "sqrt": lax.sqrt, "rsqrt": lax.rsqrt, "cbrt": lax.cbrt,
    "sin": lax.sin, "cos": lax.cos, "tan": lax.tan, "asin": lax.asin, "acos": lax.acos, "atan": lax.atan,
    "sinh": lax.sinh, "cosh": lax.cosh, "tanh": lax.tanh, "asinh": lax.asinh, "acosh": lax.acosh, "atanh": lax.atanh,
    "logistic": lax.logistic, "erf": lax.erf, "erfc": lax.erfc, "erf_inv": lax.erf_inv, "is_finite": lax.is_finite,
    "lgamma": lax.lgamma, "digamma": lax.digamma, "convert": lambda x: x, "integer_pow": lambda x, exponent: lax.integer_pow(x, exponent),
    "polygamma": lambda x, n: special.polygamma(n, x),
}  # fmt: skip
BINARY = {
    "add": lax.add, "sub": lax.sub, "mul": lax.mul, "div": lax.div, "rem": lax.rem, "pow": lax.pow, "atan2": lax.atan2,
    "max": lax.max, "min": lax.min, "eq": lax.eq, "ne": lax.ne, "lt": lax.lt, "le": lax.le, "gt": lax.gt, "ge": lax.ge,
    "nextafter": lax.nextafter,
}  # fmt: skip
TERNARY = {"select": lambda which, x, y: lax.select(which, x, y), "clamp": lax.clamp}
INTEGER = {
    "not": lax.bitwise_not, "and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor,
    "shift_left": lax.shift_left, "shift_right_arithmetic": lax.shift_right_arithmetic,
    "shift_right_logical": lax.shift_right_logical, "popcount": lax.population_count, "clz": lax.clz,
    "neg": lax.neg, "abs": jnp.abs, "sign": lax.sign, "add": lax.add, "sub": lax.sub, "mul": lax.mul, "div": lax.div,
    "rem": lax.rem, "max": lax.max, "min": lax.min, "lt": lax.lt,
}  # fmt: skip
COMPLEX = {
    "complex": lax.complex,
    "real": lax.real,
    "imag": lax.imag,
    "conj": lax.conj,
}  # no order, so no special values
ELSEWHERE = {  # compared with SciPy and mpmath in test_gamma.py
    "igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "betainc", "zeta", "bessel_i0e", "bessel_i1e",
}  # fmt: skip
REDUCTIONS = {
    "reduce_sum": jnp.sum, "reduce_prod": jnp.prod, "reduce_max": jnp.max, "reduce_min": jnp.min,
    "argmax": jnp.argmax, "argmin": jnp.argmin, "reduce_and": lambda x, axis: lax.reduce_and(x, (axis,)),
    "reduce_or": lambda x, axis: lax.reduce_or(x, (axis,)),
    "cumsum": lax.cumsum, "cumprod": lax.cumprod, "cummax": lax.cummax, "cummin": lax.cummin,
    "cumlogsumexp": lax.cumlogsumexp,
}  # fmt: skip

TINY, SUBNORMAL, HUGE = 2.0**-126, 2.0**-149, float(np.finfo("f4").max)
POSITIVE = [
    0.0,
    SUBNORMAL,
    TINY / 2,
    TINY,
    1e-10,
    0.25,
    0.5,
    1.0,
    1.5,
    2.0,
    2.5,
    3.0,
    20.0,
    80.0,
    100.0,
    1e10,
    HUGE,
    np.inf,
]
SPECIAL = np.array([np.nan, *POSITIVE, *[-x for x in POSITIVE]], np.float32)

PARAMS = {
    "integer_pow": [{"exponent": n} for n in (0, 1, 2, 3, -1, -2)],
    "polygamma": [{"n": n} for n in (0, 1, 2)],
    "convert": [{"dtype": dt.float32, "weak_type": False}],
}
# Which of -0.0 and 0.0 is larger is left open, as in NumPy and C's fmax.
OPEN_ZEROS = {"max", "min", "clamp", "reduce_max", "reduce_min", "cummax", "cummin"}
STEPS = 4  # of float32: the functions' own error (at most 2) and the rounding of the reference


def present(table):
    """The lines of a table that name a primitive, with each of its parameters."""
    return [(name, params) for name in table if name in PRIMITIVES for params in PARAMS.get(name, [{}])]


def reference(function, arrays, params=None):
    """What JAX gives in float64."""
    with jax.enable_x64(True):
        wide = [jnp.asarray(x.astype(np.float64) if x.dtype.kind == "f" else x) for x in arrays]
        return np.asarray(function(*wide, **(params or {})))


def same(found, expected, name):
    """Equal up to rounding, with the same sign of zeros."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = expected.astype(found.dtype)
    np.testing.assert_allclose(found, rounded, rtol=STEPS * 2.0**-23, atol=2 * SUBNORMAL)
    if name not in OPEN_ZEROS:
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


def test_every_primitive_of_these_kinds_is_in_a_table():
    tables = {*UNARY, *BINARY, *TERNARY, *INTEGER, *COMPLEX, *REDUCTIONS, *ELSEWHERE}
    kinds = (Elementwise, Reduction, Position)
    assert [p.name for p in PRIMITIVES.values() if issubclass(p.rules, kinds) and p.name not in tables] == []


@pytest.mark.parametrize("name, params", present(UNARY))
def test_unary_at_special_values(name, params, device):
    function = UNARY[name]
    options = {} if name == "convert" else params
    x = SPECIAL[(SPECIAL > 0) & (SPECIAL < np.inf)] if name == "polygamma" else SPECIAL  # JAX: nan at poles and inf
    (found,) = bind(PRIMITIVES[name], [x], params, device)
    check(found.numpy(), reference(function, [x], options), name)


@pytest.mark.parametrize("name", [n for n in BINARY if n in PRIMITIVES])
def test_binary_at_special_values(name, device):
    x, y = (np.ascontiguousarray(v) for v in np.broadcast_arrays(SPECIAL[:, None], SPECIAL))
    (found,) = bind(PRIMITIVES[name], [x, y], {}, device)
    if name == "nextafter":  # what is next depends on the dtype; NumPy because XLA's subnormals are zeros
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(found.numpy(), np.nextafter(x, y))
    else:
        check(found.numpy(), reference(BINARY[name], [x, y]), name)


def check(found, expected, name):
    if found.dtype.kind == "b":
        np.testing.assert_array_equal(found, expected)
    else:
        same(found, expected, name)


@pytest.mark.parametrize("name", list(TERNARY))
def test_ternary_at_special_values(name, device):
    few = np.array([np.nan, -np.inf, -1, -0.0, 0.0, SUBNORMAL, 1, np.inf], np.float32)
    a, b, c = (np.ascontiguousarray(v).ravel() for v in np.meshgrid(few, few, few))
    operands = [a > 0, b, c] if name == "select" else [a, b, c]
    (found,) = bind(PRIMITIVES[name], operands, {}, device)
    same(found.numpy(), reference(TERNARY[name], operands), name)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32", "uint64"])
@pytest.mark.parametrize("name", [n for n in INTEGER if n in PRIMITIVES])
def test_integers_at_their_limits(name, dtype, device):
    info = np.iinfo(dtype)
    if name == "shift_right_arithmetic" and not info.min:
        return  # an unsigned number has no sign to shift in; XLA takes its first bit for one
    below = [info.min, info.min + 1, -7, -2, -1] if info.min else []
    values = np.array([*below, 0, 1, 2, 3, 7, 8, info.max - 1, info.max], dtype)
    operands = [values]
    if name not in ("not", "neg", "abs", "sign", "popcount", "clz"):
        operands = [np.ascontiguousarray(v) for v in np.broadcast_arrays(values[:, None], values)]
    (found,) = bind(PRIMITIVES[name], operands, {}, device)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(found.numpy(), INTEGER[name](*map(jnp.asarray, operands)))


ROWS = np.array(
    [
        [1, 2, 3], [np.nan, 1, 2], [1, np.nan, np.nan], [np.inf, 1, np.nan], [np.inf, -np.inf, 0], [np.inf, 1, 2],
        [-np.inf, 1, 2], [-np.inf, -np.inf, -np.inf], [np.inf, np.inf, -1], [0.0, -0.0, 0.0], [-0.0, 0.0, -0.0],
        [-0.0, -0.0, -0.0], [SUBNORMAL, SUBNORMAL, TINY], [HUGE, HUGE, HUGE], [2, 2, 1], [0, np.inf, 1], [-1, 0, -2],
    ],
    np.float32,
)  # fmt: skip


@pytest.mark.parametrize("name", list(REDUCTIONS))
def test_reductions_of_special_values(name, device):
    x = (
        (np.nan_to_num(ROWS, posinf=9, neginf=-9).clip(-9, 9)).astype(np.int32)
        if name in ("reduce_and", "reduce_or")
        else ROWS
    )
    (found,) = bind(PRIMITIVES[name], [x], axis_params(name, 1), device)
    expected = reference(REDUCTIONS[name], [x], {"axis": 1})
    if found.dtype == np.float32:
        same(found.numpy(), expected, name)
    else:
        np.testing.assert_array_equal(found.numpy(), expected)


def axis_params(name, axis):
    if name.startswith("arg"):
        return {"axis": axis, "dtype": dt.int32}
    return {"axis": axis, "reverse": False} if name.startswith("cum") else {"axes": (axis,)}


# ---- derivatives ------------------------------------------------------------------------------------

# JAX has no derivative, or takes the sign of a complex number for constant and another branch of acosh; finite
# differences (test_primitives.py) judge these.
WITHOUT_REFERENCE = {"nextafter", "convert", "is_finite"}
REAL_REFERENCE = {"sign", "acosh"}


def comparable(name, arrays):
    kinds = {np.asarray(a).dtype.name for a in arrays}
    if name in WITHOUT_REFERENCE or (name in REAL_REFERENCE and "complex128" in kinds):
        return False
    return "float64" in kinds or "complex128" in kinds


DIFFERENTIABLE = [
    pytest.param(table, name, i, id=f"{name}-{i}")
    for table in (UNARY, BINARY, TERNARY, COMPLEX, REDUCTIONS)
    for name in table
    if name in PRIMITIVES
    for i, (arrays, _) in enumerate(PRIMITIVES[name].samples(np.random.default_rng(0)))
    if comparable(name, arrays)
]


@pytest.mark.parametrize("table, name, index", DIFFERENTIABLE)
def test_jvp_is_that_of_jax(table, name, index, device):
    """On the samples, and with all operands equal: where both of max or min win, and clamp is at its bounds."""
    primitive = PRIMITIVES[name]
    arrays, params = sample(primitive, index, device)
    if name.startswith("arg") or params.get("axes") == ():
        return
    points = [arrays]
    if name in ("max", "min", "clamp"):
        points.append([np.full_like(a, 0.75) for a in arrays])
    if name in ("reduce_max", "reduce_min"):  # JAX shares ties of cummax and cummin by how its own tree of pairs falls
        points.append([np.round(arrays[0])])
    if name == "abs":
        points.append([np.zeros_like(arrays[0])])
    rng = np.random.default_rng(1)
    for point in points:
        tangents = [None if a.dtype.kind == "b" else rng.normal(size=a.shape).astype(a.dtype) for a in point]
        found = jvp(primitive, point, tangents, params, device)[0]
        with jax.enable_x64(True):
            moving = [i for i, t in enumerate(tangents) if t is not None]
            shape = np.broadcast_shapes(*[a.shape for a in point]) if table is not REDUCTIONS else None

            def function(*moved):
                operands = list(map(jnp.asarray, point))
                for i, x in zip(moving, moved):
                    operands[i] = x
                if shape is not None:  # lax does not broadcast
                    operands = [jnp.broadcast_to(x, shape) for x in operands]
                options = {"axis" if k == "axes" else k: v for k, v in params.items()}
                return table[name](*operands, **options)

            _, expected = jax.jvp(
                function, [jnp.asarray(point[i]) for i in moving], [jnp.asarray(tangents[i]) for i in moving]
            )
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
