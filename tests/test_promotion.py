"""The dtype and weak type of results against JAX with 64-bit types; values of //, % and ** against NumPy."""

import itertools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FULL
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pequegrad as pg
from pequegrad.core.dtype import NAMES, dt, promote

INTEGERS, FLOATS = NAMES[1:9], NAMES[9:13]
NUMBERS = {"True": True, "3": 3, "2.0": 2.0, "1j": 1j}
OPERATIONS = {
    "+": (operator.add, operator.add), "-": (operator.sub, operator.sub), "*": (operator.mul, operator.mul),
    "/": (operator.truediv, operator.truediv), "<": (operator.lt, operator.lt), "==": (operator.eq, operator.eq),
    "maximum": (pg.maximum, jnp.maximum), "minimum": (pg.minimum, jnp.minimum),
    "where": (lambda x, y: pg.where(True, x, y), lambda x, y: jnp.where(True, x, y)),
    "matmul": (pg.matmul, jnp.matmul), "//": (operator.floordiv, operator.floordiv), "%": (operator.mod, operator.mod),
    "**": (operator.pow, operator.pow), "atan2": (pg.arctan2, jnp.arctan2),
    "concatenate": (lambda x, y: pg.concatenate([x, y]), lambda x, y: jnp.concatenate([x, y])),
}  # fmt: skip
ONLY_ARRAYS = {"matmul", "concatenate"}

# Where pequegrad differs from JAX with 64-bit types on purpose:
# - A Python number alone is 32 bits wide, as it is in JAX without 64-bit types: so are weakly typed results, and
#   integers become float32 where a function needs a float.
# - `-` on bool is exclusive or, where JAX raises; `//`, `%` and `**` on bool are refused, where JAX computes in int8
#   or int32.
# - Complex numbers have no order: `<`, maximum, minimum, `//`, `%` and atan2 refuse them, where JAX compares parts.
# - `**` promotes like `*`; in JAX 2.0 ** integers is not weakly typed.
NARROW = {"float64": "float32", "int64": "int32", "complex128": "complex64"}
WITH_ORDER = ("<", "maximum", "minimum", "//", "%", "atan2")


def expected_of(name, x, y):
    """(dtype, weak_type) that JAX gives, with the exceptions above; None if pequegrad refuses."""
    with jax.enable_x64(True):
        common = jnp.result_type(x, y)
        if common.kind == "c" and name in WITH_ORDER:
            return None
        if name == "-" and common.kind == "b":
            return "bool", False
        found = jax.eval_shape(lambda: OPERATIONS["*" if name == "**" else name][1](x, y))
    if common.kind == "b" and name in ("//", "%", "**"):
        return None
    dtype = found.dtype.name
    if found.weak_type or (name in ("/", "atan2") and common.kind in "biu"):
        dtype = NARROW.get(dtype, dtype)
    return dtype, bool(found.weak_type) and dtype != "bool"


def array(name):
    return np.ones((2, 2), getattr(dt, name))


def in_jax(x):
    with jax.enable_x64(True):
        return jnp.asarray(x) if isinstance(x, np.ndarray) else x


def found_of(name, x, y):
    result = OPERATIONS[name][0](x, y)
    assert result.numpy().dtype == result.dtype
    return result.dtype.name, result.weak_type and result.dtype != bool  # of bool it means nothing


PAIRS = [*itertools.product(NAMES, NAMES), *itertools.product(NAMES, NUMBERS), *itertools.product(NUMBERS, NAMES)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_dtypes_of_results(tensor, name):
    differences = []
    for pair in PAIRS:
        if name in ONLY_ARRAYS and not all(kind in NAMES for kind in pair):
            continue
        values = [NUMBERS[kind] if kind in NUMBERS else array(kind) for kind in pair]
        operands = [tensor(v) if isinstance(v, np.ndarray) else v for v in values]
        expected = expected_of(name, *map(in_jax, values))
        try:
            found = found_of(name, *operands)
        except pg.DtypeError:
            found = None
        if found != expected:
            differences.append((pair, found, expected))
    assert not differences, differences


@pytest.mark.parametrize("name", ("+", "maximum", "where", "/", "<"))
def test_results_of_numbers_stay_weak(tensor, name):
    """A tensor made from numbers alone gives way to any other of its kind; once it has met one it does not."""
    for kind, number in NUMBERS.items():
        for other in NAMES:
            weak = pg.as_tensor(number, tensor([0.0]).device)
            assert weak.weak_type == (kind != "True")
            with jax.enable_x64(True):
                strong = jnp.ones((2, 2), getattr(dt, other))
                expected = expected_of(name, jnp.asarray(number), strong)
            if expected is not None:
                assert found_of(name, weak, tensor(array(other))) == expected


def test_weak_types_of_functions():
    x = pg.as_tensor(2)
    for y, dtype in ((x, "int32"), (x + 1, "int32"), (x * 1.5, "float32"), (-x, "int32"), (x.sin(), "float32"), (x / 2, "float32"),
                     (x.reshape(1), "int32"), (x.sum(), "int32"), (pg.where(x > 1, x, 0), "int32")):  # fmt: skip
        assert (y.dtype.name, y.weak_type) == (dtype, True)
    for y in (x.astype("int32"), pg.one_hot(x, 3), x + np.float32(1), x + pg.Tensor([1.0])):
        assert not y.weak_type


@pytest.mark.parametrize("first, second", [(2, 2.0), (2.0, 2), (1, True), (True, 1), (0, 0.0), (0.0, -0.0), (1, 1.0)])
def test_equal_numbers_of_different_types(tensor, first, second):
    """1, 1.0 and True are equal as keys of tables, but give results of different dtypes."""
    for name in NAMES:
        x = tensor(array(name))
        for f in (operator.add, operator.mul, operator.lt, lambda x, y: y - x, pg.maximum, pg.jit(operator.add)):
            for number in (first, second):
                if f in (operator.lt, pg.maximum) and x.dtype.kind == "c":
                    continue
                dtype = promote((x.dtype, False), (pg.as_tensor(number).dtype, type(number) is not bool))[0]
                if f is operator.lt:
                    dtype = np.dtype(bool)
                assert f(x, number).dtype == dtype
    assert (
        np.signbit((tensor([-0.0]) * 1 + first * 0).numpy()).tolist()
        == np.signbit(np.float32([-0.0]) + first * 0).tolist()
    )


def test_promotion_is_associative_and_commutative():
    kinds = [(getattr(dt, name), False) for name in NAMES] + [
        (dt.int32, True),
        (dt.float32, True),
        (dt.complex64, True),
    ]
    for a, b in itertools.product(kinds, kinds):
        assert promote(a, b) == promote(b, a)
        for c in kinds:
            assert promote(a, b, c)[0] == promote(promote(a, b), c)[0]


def test_numpy_operands(tensor):
    """NumPy arrays and scalars are strongly typed operands, on either side."""
    for name, other in itertools.product(NAMES, ("int16", "float32", "float64")):
        x, number = tensor(array(name)), np.dtype(other).type(1)
        dtype = promote((x.dtype, False), (np.dtype(other), False))[0]
        for y in (x + number, number + x, x * np.ones(2, other), np.ones(2, other) * x, np.ones(2, other) - x):
            assert isinstance(y, pg.Tensor) and y.dtype == dtype


# ---- values of //, % and ** --------------------------------------------------------------------------

SIGNS = np.array(list(itertools.product((-7, -6, -1, 0, 1, 5, 6), (-3, -2, -1, 1, 2, 4)))).T


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_floor_division_and_remainder(tensor, dtype):
    x, y = np.abs(SIGNS) if dtype[0] == "u" else SIGNS
    x, y = x.astype(getattr(dt, dtype)), y.astype(getattr(dt, dtype))
    if dtype in INTEGERS:  # the ends of the range, too
        info = np.iinfo(dtype)
        ends = np.array([info.min, info.min + 1, info.max - 1, info.max], dtype)
        x, y = np.concatenate([x, np.repeat(ends, 4), ends]), np.concatenate([y, np.where(np.tile(ends, 4) == 0, 3, np.tile(ends, 4)).astype(dtype), np.full(4, 7, dtype)])  # fmt: skip
    for a, b, p, q in ((x, y, tensor(x), tensor(y)), (x, y[0], tensor(x), int(y[0])), (x[3], y, int(x[3]), tensor(y))):
        with np.errstate(over="ignore"):  # INT_MIN // -1
            np.testing.assert_array_equal((p // q).numpy(), a // b)
        np.testing.assert_array_equal((p % q).numpy(), a % b)


finite = st.floats(-1000, 1000, width=32)


@settings(max_examples=2000 if FULL else 200, deadline=None, database=None, derandomize=not FULL, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(x=finite, y=finite.filter(lambda y: abs(y) > 1e-3))  # quotients below 2**22: float32 has room for halves
@example(x=6.0, y=0.1)  # 6 / 0.1 is 60 when rounded, but 0.1 is a little more than 1 / 10
@example(x=-1.0, y=1e-3)
def test_float_division_is_consistent(device, x, y):
    """x // y is a whole number, x % y has the sign of y and is smaller; together they are x."""
    for dtype in ("float32", "float64"):
        a, b = np.array([x], dtype), np.array([y], dtype)
        with np.errstate(all="ignore"):
            quotient, remainder = a // b, a % b
        p, q = pg.Tensor(a, device=device), pg.Tensor(b, device=device)
        np.testing.assert_array_equal((p // q).numpy(), quotient)
        np.testing.assert_array_equal((p % q).numpy(), remainder)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_division_of_special_floats(tensor, dtype):
    special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 6, 0.1, -0.1, 1e-30, -1e-30], dtype)
    x, y = (v.ravel() for v in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        # an infinity // a number is an infinity, as the array API standard says; NumPy and JAX have nan
        quotient = np.where(np.isinf(x) & np.isfinite(y), x / y, x // y)
        np.testing.assert_array_equal((tensor(x) // tensor(y)).numpy(), quotient)
        remainder = (tensor(x) % tensor(y)).numpy()
        np.testing.assert_array_equal(remainder, x % y)
        np.testing.assert_array_equal(np.signbit(remainder) & (remainder == 0), np.signbit(x % y) & (x % y == 0))


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_powers_with_whole_exponents(tensor, dtype):
    x = np.abs(SIGNS[0]) if dtype[0] == "u" else SIGNS[0]
    x = x.astype(getattr(dt, dtype))
    for exponent in (0, 1, 2, 3, 5, 9):
        with np.errstate(over="ignore"):  # integers wrap around, 16-bit floats become infinite
            np.testing.assert_array_equal((tensor(x) ** exponent).numpy(), x**exponent)
    if dtype in INTEGERS:
        with pytest.raises(pg.DtypeError, match="negative power"):
            tensor(x) ** -1
        powers = np.array([[0], [1], [2], [5], [9], [31], [63]]).astype(dtype)
        with jax.enable_x64(True):
            expected = np.asarray(jnp.power(x, powers))
        np.testing.assert_array_equal((tensor(x) ** tensor(powers)).numpy(), expected)
        np.testing.assert_array_equal((2 ** tensor(powers)).numpy(), np.array(2, dtype) ** powers)
    else:
        x = x[x != 0]
        for exponent in (-1, -2):
            # 1 / x ** n, each rounded once: NumPy rounds once in all
            found, expected = (v.astype("f8") for v in ((tensor(x) ** exponent).numpy(), x.astype("f8") ** exponent))
            np.testing.assert_allclose(found, expected, rtol=2 * float(jnp.finfo(x.dtype).eps))


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_powers_of_floats(tensor, rng, dtype):
    x, y = np.exp(rng.normal(size=200)).astype(dtype), (rng.normal(size=200) * 5).astype(dtype)
    tolerance = {"float32": 5e-7, "float64": 1e-15}[dtype]  # 4 ulp
    for a, b in ((x, y), (x, 0.5), (x, 2.5), (x, -1.5), (2.0, y), (3, y)):
        p, q = (tensor(v) if isinstance(v, np.ndarray) else v for v in (a, b))
        np.testing.assert_allclose((p**q).numpy(), np.power(a, b, dtype=dtype), rtol=tolerance)
    special = np.array([0.0, -0.0, 1, -1, 2, -2, 0.5, np.inf, -np.inf, np.nan], dtype)
    a, b = (v.ravel() for v in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        expected = a**b
    np.testing.assert_array_equal((tensor(a) ** tensor(b)).numpy(), expected)


def test_whole_floats_as_exponents_of_negative_numbers(tensor):
    x = tensor(np.array([-2.0, -3.0]))
    assert (x**3.0).tolist() == [-8, -27]
    assert np.isnan((x**0.5).numpy()).all()
    assert (x ** tensor(np.array([2.0, 3.0]))).tolist() == [4, -27]
