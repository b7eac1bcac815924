"""jax.lax, elementwise: values, dtypes, derivatives and errors as in JAX."""

import jax
import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from . import agreement
from .agreement import agree

RNG = np.random.default_rng(3)
X = RNG.uniform(0.15, 0.85, (2, 3)).astype(np.float32)
Y = RNG.uniform(0.15, 0.85, (2, 3)).astype(np.float32)
I = np.array([[1, -7, 3], [0, 12, -2]], np.int32)  # noqa: E741
J = np.array([[2, 3, -1], [5, 4, 1]], np.int32)
B = np.array([True, False, True])
Z = (X + 1j * Y).astype(np.complex64)
H = X.astype(ml_dtypes.bfloat16)
EAGER = ("eager",)
FEW = ("eager", "jit") if FULL else EAGER
MODES = agreement.MODES if FULL else ("eager", "grad")
SOME = MODES if FULL else EAGER  # primitives: their rules have tests of their own
OWN = ("reciprocal", "square", "round", "abs", "sign", "logistic", "erf_inv", "lgamma")

UNARY = """neg sign abs floor ceil is_finite sinh cosh asin acos atan asinh acosh atanh erf erfc erf_inv lgamma digamma
    bessel_i0e bessel_i1e exp exp2 expm1 log log1p sqrt rsqrt cbrt sin cos tan tanh logistic square reciprocal round""".split()
COMPLEX = """neg sign abs sinh cosh asin acos atan asinh acosh atanh exp expm1 log log1p sqrt rsqrt sin cos tan tanh logistic
    square reciprocal real imag conj""".split()
BINARY = "add sub mul div rem max min atan2 pow nextafter eq ne lt le gt ge".split()
INTEGER = "add sub mul div rem max min bitwise_and bitwise_or bitwise_xor mulhi eq lt".split()
# acosh is nan here; XLA's atanh, asin and tan of complex numbers and its lgamma lose more digits than ours
LOOSE = {"atanh": 2e-5, "asin": 1e-5, "acos": 1e-5, "lgamma": 1e-5, "digamma": 1e-5, "erf_inv": 1e-5, "tan": 1e-5}


def loose(name):
    return {"rtol": LOOSE[name], "atol": LOOSE[name]} if name in LOOSE else {}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    x = X + 1.5 if name == "acosh" else X
    agree(f"lax.{name}", x, **loose(name), modes=MODES if name in OWN else SOME)
    agree(f"lax.{name}", x.astype(ml_dtypes.bfloat16), modes=EAGER, rtol=2e-2)
    agree(f"lax.{name}", I if FULL or name in ("neg", "exp") else B, modes=EAGER)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name):
    agree(f"lax.{name}", Z, modes=FEW if FULL else EAGER, **{"rtol": 1e-5, "atol": 1e-5, **loose(name)})


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    agree(f"lax.{name}", X, Y, modes=EAGER if name == "nextafter" else SOME)  # JAX has no derivative
    agree(f"lax.{name}", X, 0.5, modes=EAGER)


@pytest.mark.parametrize("name", INTEGER)
def test_integers(name):
    agree(f"lax.{name}", I, J, modes=FEW)
    for dtype in (np.int8, np.uint8, np.uint32) if FULL else (np.uint8,):
        agree(f"lax.{name}", np.abs(I).astype(dtype), np.abs(J).astype(dtype), modes=EAGER)


@pytest.mark.parametrize("name", ["add", "max", "eq", "pow", "bitwise_and", "shift_left"])
@pytest.mark.parametrize(
    "x, y",
    [(X, 1), (X, I), (X, True), (X, 1j), (X, [1, 2, 3]), (X, X[0]), (X, X[:, :2]), (1, 2), (1.0, 2.0), (1, 2.0), (B, B),
     (X, np.float64(2)), (X, np.ones((2, 3))), (Z, Z), ("a", X)],
)  # fmt: skip
def test_operands_that_fit_and_that_do_not(name, x, y):
    agree(f"lax.{name}", x, y, modes=EAGER)


CASES = [
    ("bitwise_not", I), ("bitwise_not", B), ("population_count", I), ("clz", I), ("population_count", B),
    ("shift_left", I, J + 1), ("shift_right_logical", I, J + 1), ("shift_right_arithmetic", I, J + 1),
    ("complex", X, Y), ("complex", X, 1.0), ("complex", I, I), ("conj", X), ("conj", I), ("max", Z, Z[::-1]), ("min", Z, Z[::-1]),
    ("integer_pow", X, 3), ("integer_pow", X, -2), ("integer_pow", I, 3), ("integer_pow", I, -1), ("integer_pow", X, 0),
    ("pow", X, 2), ("pow", X, J), ("pow", -X, J), ("pow", I, I), ("pow", 2.0, J),
    ("clamp", 0.3, X, 0.6), ("clamp", Y, X, 0.9), ("clamp", 0, I, 5), ("clamp", 0, X, 1), ("clamp", Y[0], X, 0.9),
    ("select", X > 0.5, X, Y), ("select", True, X, Y), ("select", X > 0.5, X, 0.0), ("select", J % 2, X, Y), ("select", X, X, Y),
    ("select_n", J % 3, X, Y, X * 2), ("select_n", X > 0.5, X, Y),
    ("polygamma", 2.0, X), ("polygamma", Y, X), ("polygamma", 1, X), ("zeta", 2.0, X), ("zeta", X + 2, Y),
    ("igamma", X, Y), ("igammac", X, Y), ("igamma", 2.0, X), ("random_gamma_grad", X, Y),
    ("convert_element_type", X, int), ("convert_element_type", X * 1e3, np.int8), ("convert_element_type", X, "bfloat16"),
    ("convert_element_type", 1, float), ("convert_element_type", X, bool), ("convert_element_type", I, "complex64"),
    ("bitcast_convert_type", X, "int32"), ("bitcast_convert_type", X, "int8"), ("bitcast_convert_type", B, "int8"),
    ("bitcast_convert_type", np.ones((3, 4), np.int8), "int32"), ("bitcast_convert_type", np.ones(3, np.int8), "int32"),
    ("stop_gradient", X), ("stage", X), ("is_finite", I),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_case(case):
    name, *args = case
    rtol = {"polygamma": 2e-5, "zeta": 2e-5, "igamma": 2e-5, "igammac": 2e-5, "random_gamma_grad": 1e-4}.get(name)
    agree(
        f"lax.{name}",
        *args,
        modes=SOME_MODES.get(name, SOME if name[:2] in ("bi", "po", "co", "sh") else MODES),
        rtol=rtol,
    )


# of these JAX has no derivatives, or none by all arguments, or compiles series for seconds
SLOW = ("eager", "jit", "vmap") if FULL else EAGER
SOME_MODES = {
    "polygamma": SLOW, "zeta": SLOW, "igamma": SLOW, "igammac": SLOW, "random_gamma_grad": SLOW,
}  # fmt: skip


def test_too_many_cases():
    agree("lax.select_n", X > 0.5, X, Y, X, modes=EAGER)  # under grad JAX has an IndexError of its own
    agree("lax.select_n", True, X, modes=EAGER)


KEYWORDS = [
    ("sin", (X,), {"accuracy": 3}),
    ("mul", (I.astype(np.int8), J.astype(np.int8)), {"out_dtype": np.int32}),
    ("mul", (H, H), {"out_dtype": np.float32}),
    ("round", (X * 10 - 4.5,), {"rounding_method": jax.lax.RoundingMethod.TO_NEAREST_EVEN}),
    ("round", (np.array([-2.5, -0.5, 0.5, 1.5, 0.49999997], np.float32),), {}),
]


@pytest.mark.parametrize("name, args, kwargs", KEYWORDS)
def test_keywords(name, args, kwargs):
    agree(f"lax.{name}", *args, **kwargs, modes=FEW)


def test_accuracy():
    agree(lambda jax, x: jax.lax.exp(x, accuracy=jax.lax.AccuracyMode.HIGHEST), X, modes=EAGER)
    agree(lambda jax, x: jax.lax.tanh(x, accuracy=jax.lax.Tolerance(1e-3, 1e-3, 4)), X, modes=EAGER)


@pytest.mark.parametrize("bits", [(5, 10), (8, 7), (4, 3), (5, 2), (2, 1), (8, 23)])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_reduce_precision(bits, dtype):
    x = np.array([0.0, -0.0, 1.3, -2.7, 65519, 65520, 1e-6, 1e30, np.inf, -np.inf, np.nan, 3e-8, 0.1]).astype(dtype)
    agree("lax.reduce_precision", x, *bits, modes=FEW, exact=dtype is np.float32)


def test_mulhi_of_64_bits():
    x, y = RNG.integers(-(2**63), 2**63 - 1, (2, 50), dtype=np.int64)
    with pj.config.temporarily("jax_enable_x64", True):
        for a, b in ((x, y), (x.astype(np.uint64), y.astype(np.uint64))):
            exact = np.array([(int(p) * int(q)) >> 64 for p, q in zip(a, b)], a.dtype)
            assert np.array_equal(np.asarray(pj.lax.mulhi(a, b)), exact)


def test_requests_of_64_bits_warn():
    with pytest.warns(UserWarning, match="float64"):
        assert pj.lax.convert_element_type(X, np.float64).dtype == np.float32
    with pytest.warns(np.exceptions.ComplexWarning):
        pj.lax.convert_element_type(Z, np.float32)


def test_betainc():
    agree("lax.betainc", 2.0, 3.0, X, rtol=1e-5, modes=SLOW)
