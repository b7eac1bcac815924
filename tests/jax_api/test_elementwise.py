"""jax.numpy's elementwise functions and ufuncs against JAX's: dtypes, weak types, special values, derivatives, methods."""

import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api.numpy as jnp

from .agreement import EAGER, GRAD, JIT, MODES, VMAP, agree

rng = np.random.default_rng(0)
SPECIAL = np.array([0.0, -0.0, 1, -1, 0.5, -2.5, np.inf, -np.inf, np.nan, 3.7, 1e-30, 1e30], "f4")
INTEGERS = np.array([0, 1, -1, 5, -7, 2**31 - 1, -(2**31)], "i4")
SMALL = np.array([0, 1, 2, 5, 255], "u1")
TRUTH = np.array([True, True, False, False])
COMPLEX = (rng.normal(size=6) + 1j * rng.normal(size=6)).astype("c8")

# ---- functions of one array ------------------------------------------------------------------------------

UNARY = """abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwise_count
    bitwise_invert bitwise_not cbrt ceil conj conjugate cos cosh deg2rad degrees exp exp2 expm1 fabs floor frexp i0 imag
    invert isfinite isinf isnan isneginf isposinf isreal iscomplex log log10 log1p log2 logical_not modf nan_to_num negative
    positive rad2deg radians real reciprocal rint round sign signbit sin sinc sinh spacing sqrt square tan tanh trunc
    unwrap""".split()
INSIDE = {"acos": 0.9, "asin": 0.9, "atanh": 0.9, "arccos": 0.9, "arcsin": 0.9, "arctanh": 0.9}
OPERANDS = {
    "float32": SPECIAL,
    "bfloat16": SPECIAL.astype(ml_dtypes.bfloat16),
    "float16": np.array([0.0, -0.0, 1, -1, 0.5, -2.5, np.inf, -np.inf, np.nan, 3.7, 6e-8, 6e4], "f2"),
    "int32": INTEGERS,
    "int8": np.array([0, 1, -1, 5, -7, 127, -128], "i1"),
    "uint8": SMALL,
    "bool": TRUTH,
    "complex64": COMPLEX,
    "0-d": np.array(0.7, "f4"),
    "empty": np.zeros((0, 3), "f4"),
    "a float": 1.5,
    "an int": 2,
    "True": True,
    "a complex number": 1.5 + 2j,
    "a list": [1.0],
}
REPRESENTATIVE = ("float32", "int8", "complex64", "a float", "a list")


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    for what in OPERANDS if FULL else REPRESENTATIVE:
        if name == "unwrap" and np.ndim(OPERANDS[what]) == 0:
            continue  # JAX: IndexError of a tuple; here an AxisError as of all functions
        if name in ("rint", "round") and what == "a complex number":
            continue
        agree(f"numpy.{name}", OPERANDS[what], modes=(EAGER,), rtol=4e-6 if what != "bfloat16" else None)


DOMAIN = {
    "acosh": (1.1, 3),
    "arccosh": (1.1, 3),
    "log": (0.1, 3),
    "sqrt": (0.1, 3),
    "log2": (0.1, 3),
    "log10": (0.1, 3),
}
WITHOUT_DERIVATIVE = ("spacing",)  # JAX has no rule for it; here it is piecewise constant


@pytest.mark.parametrize("name", [name for name in UNARY if name not in WITHOUT_DERIVATIVE])
def test_transforms_of_unary(name):
    if name.startswith("is") or name.startswith("bitwise") or name in ("invert", "logical_not", "signbit"):
        return
    size = INSIDE.get(name, 2.5)
    x = rng.uniform(*DOMAIN.get(name, (-size, size)), 5).astype("f4")
    agree(f"numpy.{name}", x, modes=(JIT, GRAD, VMAP) if FULL else (GRAD,), rtol=1e-5)
    if FULL and name not in ("frexp", "spacing", "signbit", "i0", "cbrt", "fabs"):
        agree(f"numpy.{name}", COMPLEX, modes=(JIT, VMAP), rtol=1e-5)


# ---- functions of two arrays -----------------------------------------------------------------------------

BINARY = """add arctan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide divmod
    equal float_power floor_divide fmax fmin fmod gcd greater greater_equal heaviside hypot isclose lcm ldexp left_shift less
    less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod multiply nextafter not_equal pow
    power remainder right_shift subtract true_divide""".split()
pairs = lambda a, b: [v.ravel() for v in np.meshgrid(a, b)]
X, Y = pairs(SPECIAL[:10], SPECIAL[:10])
IX, IY = pairs(INTEGERS, INTEGERS)
UX, UY = pairs(SMALL, SMALL)
BX, BY = TRUTH, TRUTH[[0, 2, 1, 3]]
CX, CY = COMPLEX, np.concatenate([COMPLEX[:2], COMPLEX[2:3].real, COMPLEX[:3] * 1.5]).astype("c8")
PAIRS = {
    "float32": (X, Y), "bfloat16": (X.astype(ml_dtypes.bfloat16), Y.astype(ml_dtypes.bfloat16)), "int32": (IX, IY),
    "bool": (BX, BY), "complex64": (CX, CY), "float32, int32": (X, np.arange(X.size, dtype="i4") % 7 - 3),
    "int8, uint8": (IX.astype("i1"), np.resize(UX, IX.shape)), "float32, 2": (X, 2), "int32, 2.5": (INTEGERS[:1][0], 2.5),
    "2, float32": (2, X), "shapes": (X.reshape(1, -1), Y[:7].reshape(7, 1)), "a list": ([1.0], X),
    "misfit": (np.ones(3, "f4"), np.ones(4, "f4")), "1, 2": (1, 2),
}  # fmt: skip
MORE_PAIRS = {
    "float16": (X.astype("f2"), Y.astype("f2")), "int8": (IX.astype("i1"), IY.astype("i1")), "uint8": (UX, UY),
    "bool, int8": (BX, IX[:4].astype("i1")), "float32, 2.5": (X, 2.5), "int32, 2": (IX, 2), "int32, -1": (IX, -1),
    "True, 2": (True, 2), "1.5, 2": (1.5, 2), "float32, complex": (np.array([1, -2.5, 0.7], "f4"), 1 + 2j),
    "empty": (np.zeros((0, 3), "f4"), np.ones(3, "f4")), "0-d": (np.array(0.7, "f4"), np.array(2, "i4")),
}  # fmt: skip
FEW = ("float32", "int32", "bool", "complex64", "int8, uint8", "float32, 2", "misfit")
DIFFERENT = {
    ("fmod", "bool"),  # JAX computes 1 rem 0 there, which is 1
    ("ldexp", "1, 2"),
}


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    for what, (x, y) in ({**PAIRS, **MORE_PAIRS} if FULL else {key: PAIRS[key] for key in FEW}).items():
        if (name, what) in DIFFERENT:
            continue
        if name in ("gcd", "lcm") and "int" in what:  # of the lowest number of a dtype JAX's loop does not end
            x, y = (v % 100 if isinstance(v, np.ndarray) and v.dtype.kind in "iu" else v for v in (x, y))
        if name in ("floor_divide", "divmod") and "float" in what and isinstance(x, np.ndarray):
            x = np.where(np.isinf(x), x.dtype.type(9), x)  # see test_division_of_special_numbers
        agree(f"numpy.{name}", x, y, modes=(EAGER,), rtol=None if "float16" in what else 4e-6)


def test_division_of_special_numbers():
    """x // y and x % y as the array API standard has them: JAX has nan for an infinity // a number, and other signs of 0."""
    x, y = pairs(SPECIAL[:10], SPECIAL[:10])
    with np.errstate(all="ignore"):
        quotient, rest = np.floor_divide(x, y), np.remainder(x, y)
        quotient = np.where(np.isinf(x) & np.isfinite(y), x / y, quotient)
        quotient = np.where(quotient == 0, np.copysign(0, x / y), quotient)
    for found, expected in zip(jnp.divmod(x, y), (quotient, rest)):
        found = np.asarray(found)
        np.testing.assert_array_equal(found, expected)
        zeros = expected == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


BINARY_DERIVATIVES = """add arctan2 copysign divide float_power floor_divide fmax fmin fmod heaviside hypot logaddexp logaddexp2
    maximum minimum mod multiply power remainder subtract true_divide divmod""".split()


@pytest.mark.parametrize("name", BINARY_DERIVATIVES)
def test_transforms_of_binary(name):
    x, y = np.array([0.3, -0.7, 1.2, 2.5, -3.1, 1.0], "f4"), np.array([1.3, -0.4, 1.2, -2.1, 3.1, 1.0], "f4")
    x, y = (abs(x), y) if name.endswith("power") else (x, y)
    agree(f"numpy.{name}", x, y, modes=(JIT, GRAD, VMAP) if FULL else (GRAD,), rtol=1e-5)


# ---- functions with keywords -----------------------------------------------------------------------------

rows = rng.normal(size=(3, 4)).astype("f4")
CASES = [
    ("angle", (COMPLEX,), {"deg": True}),
    ("round", (rows * 10,), {"decimals": 1}),
    ("round", (rows * 100,), {"decimals": -1}),
    ("round", (rows,), {"decimals": 50}),
    ("round", (COMPLEX,), {"decimals": 2}),
    ("round", (INTEGERS,), {"decimals": 2}),
    ("round", (INTEGERS,), {"decimals": -2}),
    ("round", (rows.astype("f2"),), {"decimals": 2}),
    ("around", (rows * 10,), {"decimals": 1}),
    ("round", (rows,), {"out": rows}),
    ("nan_to_num", (SPECIAL,), {"nan": 1.5, "posinf": 7, "neginf": -8.0}),
    ("nan_to_num", (SPECIAL.astype("c8"),), {"nan": -1, "copy": False}),
    ("clip", (rows,), {"min": -0.5}),
    ("clip", (rows, rows[0], 0.5), {}),
    ("clip", (INTEGERS, -2.5, 3), {}),
    ("clip", (rows,), {"max": 0}),
    ("clip", (COMPLEX, 0, 1), {}),
    ("clip", (SMALL, -1, 7), {}),
    ("isclose", (rows, rows * 1.001, 1e-2), {}),
    ("isclose", (rows, rows + 1e-4, 0, 1e-3), {}),
    ("isclose", (SPECIAL, SPECIAL), {"equal_nan": True}),
    ("allclose", (rows, rows * 1.001), {"equal_nan": True}),
    ("allclose", (SPECIAL, SPECIAL), {"equal_nan": True}),
    ("array_equal", (SPECIAL, SPECIAL), {}),
    ("array_equal", (SPECIAL, SPECIAL), {"equal_nan": True}),
    ("array_equal", (rows, rows[0]), {}),
    ("array_equal", ([1, 2], [1, 2]), {}),
    ("array_equiv", (rows, rows[:1]), {}),
    ("array_equiv", (np.ones((2, 3), "f4"), np.ones(3, "f4")), {}),
    ("unwrap", (rows * 5,), {}),
    ("unwrap", (rows * 5,), {"axis": 0, "discont": 4.0}),
    ("unwrap", (rows * 5,), {"period": 2.5}),
    ("unwrap", (INTEGERS % 100,), {"period": 12}),
    ("where", (rows > 0, rows, 0.0), {}),
    ("where", (INTEGERS, 1, 2.5), {}),
    ("where", (True, rows, rows[0]), {}),
    ("where", (rows > 0, rows, None), {}),
    ("where", (rows > 0, rows, rows), {"size": 3}),
    ("where", ([True], rows, rows), {}),
    ("isposinf", (SPECIAL,), {"out": SPECIAL}),
    ("modf", (SPECIAL,), {"out": SPECIAL}),
    ("power", (rows, 3), {}),
    ("power", (INTEGERS, np.int32(2)), {}),
    ("power", (INTEGERS, 0), {}),
    ("power", (2, rows), {}),
    ("power", (rows, 0.5), {}),
    ("add", (rows, 1), {"out": rows}),
    ("add", (rows, 1), {"where": rows > 0}),
    ("iscomplexobj", (COMPLEX,), {}),
    ("isrealobj", ([1, 2],), {}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_keywords(name, args, kwargs):
    modes = MODES if FULL else (EAGER, GRAD) if name in ("clip", "where", "power") else (EAGER,)
    agree(f"numpy.{name}", *args, modes=modes, **{"rtol": 1e-5, **kwargs} if "close" not in name else kwargs)


# ---- ufuncs ----------------------------------------------------------------------------------------------

UFUNCS = """add bitwise_and bitwise_or bitwise_xor logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum
    multiply subtract""".split()
ON_BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")
numbers = rng.integers(-9, 9, (3, 4)).astype("i4")


@pytest.fixture(params=UFUNCS if FULL else ("add", "maximum", "bitwise_xor", "logical_and", "subtract", "logaddexp"))
def ufunc(request):
    return request.param


def operand(name):
    return numbers if name in ON_BITS else rows


def test_reduce(ufunc):
    x = operand(ufunc)
    cases = [{}, {"axis": 1, "keepdims": True}, {"axis": None}]
    if ufunc != "subtract":
        cases.append({"axis": (0, 1)})
        # of logaddexp JAX takes `initial` in the dtype of the result only
        cases.append({"where": rows > 0, **({"initial": 2} if not ufunc.startswith("logadd") else {})})
    else:
        cases.append({"axis": -1, "initial": 1.0, "where": rows > 0})
    for kwargs in cases:
        agree(f"numpy.{ufunc}.reduce", x, modes=(EAGER,), rtol=1e-5, **kwargs)
    agree(f"numpy.{ufunc}.reduce", rows > 0, modes=(EAGER,), rtol=1e-5)
    agree(f"numpy.{ufunc}.reduce", x, where=rows, modes=(EAGER,))
    agree(f"numpy.{ufunc}.reduce", x[:0], modes=(EAGER,))


def test_accumulate(ufunc):
    for kwargs in ({}, {"axis": -1}, {"dtype": "int32"}) if not ufunc.startswith("log") else ({}, {"axis": -1}):
        agree(f"numpy.{ufunc}.accumulate", operand(ufunc), modes=(EAGER,), rtol=1e-5, **kwargs)


def test_reduceat(ufunc):
    where = np.array([0, 2, 1, 1])
    agree(f"numpy.{ufunc}.reduceat", operand(ufunc), where, axis=1, modes=(EAGER,), rtol=1e-5)


def test_outer(ufunc):
    agree(f"numpy.{ufunc}.outer", operand(ufunc), operand(ufunc)[0], modes=(EAGER,), rtol=1e-5)


def test_at(ufunc):
    x, where = operand(ufunc), np.array([0, 2, 0])
    agree(f"numpy.{ufunc}.at", x, where, x[::-1].copy(), inplace=False, modes=(EAGER,), rtol=1e-5)
    agree(f"numpy.{ufunc}.at", x, (where, where), x[0, 0], inplace=False, modes=(EAGER,), rtol=1e-5)
    agree(f"numpy.{ufunc}.at", x, where, x[0], modes=(EAGER,))


def test_transforms_of_ufunc_methods():
    agree("numpy.add.reduce", rows, axis=1)
    agree("numpy.maximum.accumulate", rows)
    agree("numpy.multiply.outer", rows[0], rows[1])
    agree("numpy.subtract.reduce", rows, axis=1, rtol=1e-5)


def test_what_methods_of_ufuncs_refuse():
    x = jnp.asarray(rows)
    for call in (
        lambda: jnp.add.reduce(x, out=x),
        lambda: jnp.add.accumulate(x, out=x),
        lambda: jnp.add.reduceat(x, x, out=x),
    ):
        with pytest.raises(NotImplementedError, match="out"):
            call()
    with pytest.raises(NotImplementedError, match="inplace=False"):
        jnp.add.at(x, 0, 1.0)
    with pytest.raises(TypeError, match="list"):
        jnp.add.at(x, [0, 1], 1.0, inplace=False)


def test_attributes_of_ufuncs(ufunc):
    import jax.numpy

    ours, theirs = getattr(jnp, ufunc), getattr(jax.numpy, ufunc)
    for name in ("nin", "nout", "nargs", "identity", "__name__"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert repr(ours) == repr(theirs)


def test_frompyfunc():
    double_sum = jnp.frompyfunc(lambda x, y: x + 2 * y, 2, 1, identity=0)
    x = jnp.asarray(numbers)
    np.testing.assert_array_equal(double_sum(x, x[0]), numbers + 2 * numbers[0])
    np.testing.assert_array_equal(double_sum.outer(x[0], x[1]), numbers[0][:, None] + 2 * numbers[1])
    np.testing.assert_array_equal(double_sum.reduce(x, axis=1), 2 * numbers.sum(1))
    np.testing.assert_array_equal(double_sum.reduce(x, axis=None, keepdims=True), [[2 * numbers.sum()]])
    np.testing.assert_array_equal(
        double_sum.accumulate(x, axis=1), numbers[:, :1] + 2 * (numbers.cumsum(1) - numbers[:, :1])
    )
    np.testing.assert_array_equal(double_sum.at(x, jnp.array([0, 0]), 1, inplace=False)[0], numbers[0] + 4)
    split = jnp.frompyfunc(lambda x: (x // 2, x % 2), 1, 2)
    quotient, rest = split(x)
    np.testing.assert_array_equal(2 * quotient + rest, numbers)
    square = jnp.ufunc(lambda x: x * x, nin=1, nout=1, name="square")
    np.testing.assert_array_equal(square(x), numbers**2)
    assert repr(square) == "<jnp.ufunc 'square'>" and square == square and hash(square)
    with pytest.raises(ValueError, match="binary"):
        square.reduce(x)
    with pytest.raises(ValueError, match="single value"):
        jnp.frompyfunc(lambda x, y: (x, y), 2, 2).outer(x, x)


def test_ufuncs_take_what_has_no_derivative_rule_through_grad():
    import pequegrad.jax_api as jax

    poly = jnp.frompyfunc(lambda x, y: x * y + x, 2, 1)
    found = jax.grad(lambda x: poly.reduce(x))(jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found, [12.0, 4.0, 3.0])
