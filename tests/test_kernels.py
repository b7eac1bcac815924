"""Elementwise kernels against NumPy and the contract in runtime/core/kernels.md: all dtypes, strides, special values."""

import os
import re
from collections import namedtuple
from functools import partial

import mpmath
import numpy as np
import pytest
import scipy.special
from conftest import FULL
from kernels import (
    COMPLEX,
    FLOATS,
    INTEGERS,
    LARGE,
    LAYOUTS,
    LOGICAL,
    NUMBERS,
    REAL,
    UNSIGNED,
    assert_same,
    assert_within,
    join,
    lay_out,
    numpy_dtype,
    operand,
    plain,
    rounded,
    run_kernel,
    through_float32,
    value_of,
)  # fmt: skip

import pequegrad as pg
from pequegrad.core.dtype import NAMES

CONTRACT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "runtime", "core", "kernels.md")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warnings about nan, overflow, x / 0


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


# ---- what elementwise kernels mean -------------------------------------------------------------------


def bits_of(x):
    return x.dtype.itemsize * 8


def divide(x, y):
    if x.dtype.kind == "f":
        return x / y
    safe = np.where(y == 0, 1, y).astype(x.dtype)
    return np.where(y == 0, np.array(-1).astype(x.dtype), (x - np.fmod(x, safe)) // safe)


def remainder(x, y):
    if x.dtype.kind == "f":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, np.where(y == 0, 1, y).astype(x.dtype)))


def shift(x, y, outside, inside):
    valid = (y >= 0) & (y < min(bits_of(x), np.iinfo(y.dtype).max))
    return np.where(valid, inside(x, np.where(valid, y, 0).astype(y.dtype)), np.array(outside).astype(x.dtype))


def as_unsigned(x):
    return x.view(f"u{x.dtype.itemsize}")


def shift_right_logical(x, y):
    return shift(x, y, 0, lambda x, y: np.right_shift(as_unsigned(x), as_unsigned(y)).view(x.dtype))


def count_leading_zeros(x):
    lengths = np.frompyfunc(int.bit_length, 1, 1)(as_unsigned(x).astype(object))
    return (bits_of(x) - lengths.astype(np.int64)).astype(x.dtype)


def next_after(x, y):
    return np.where(x == y, y, np.nextafter(x, y))  # of zeros C takes y, NumPy's float16 takes x


def on_bool(f, g):
    return lambda x, y: (g if x.dtype == bool else f)(x, y)


Exact = namedtuple("Exact", "reference dtypes arity result", defaults=[None])
COMPARISONS = {name: Exact(getattr(np, f), NAMES if name in ("eq", "ne") else REAL, 2, "bool") for name, f in
               (("eq", "equal"), ("ne", "not_equal"), ("lt", "less"), ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"))}  # fmt: skip
EXACT = {
    "neg": Exact(np.negative, NUMBERS + COMPLEX, 1), "abs": Exact(np.abs, NUMBERS, 1),
    "sign": Exact(lambda x: np.where(x == 0, x, np.sign(x)), NUMBERS, 1),
    "floor": Exact(np.floor, FLOATS, 1), "ceil": Exact(np.ceil, FLOATS, 1), "round": Exact(np.rint, FLOATS, 1),
    "trunc": Exact(np.trunc, FLOATS, 1), "sqrt": Exact(np.sqrt, FLOATS, 1),
    "rsqrt": Exact(lambda x: x.dtype.type(1) / np.sqrt(x), FLOATS, 1),
    "is_finite": Exact(np.isfinite, FLOATS + COMPLEX, 1, "bool"),
    "not": Exact(np.invert, LOGICAL, 1),
    "popcount": Exact(lambda x: np.bitwise_count(as_unsigned(x)).astype(x.dtype), INTEGERS, 1),
    "clz": Exact(count_leading_zeros, INTEGERS, 1),
    "add": Exact(np.add, NAMES, 2), "mul": Exact(np.multiply, REAL, 2),
    "sub": Exact(on_bool(np.subtract, np.logical_xor), NAMES, 2),
    "div": Exact(divide, NUMBERS, 2), "rem": Exact(remainder, NUMBERS, 2),
    "max": Exact(np.maximum, REAL, 2), "min": Exact(np.minimum, REAL, 2),
    "and": Exact(np.bitwise_and, LOGICAL, 2), "or": Exact(np.bitwise_or, LOGICAL, 2), "xor": Exact(np.bitwise_xor, LOGICAL, 2),
    "shift_left": Exact(lambda x, y: shift(x, y, 0, np.left_shift), INTEGERS, 2),
    "shift_right_arithmetic": Exact(lambda x, y: shift(x, y, np.where(x < 0, -1, 0), np.right_shift), INTEGERS, 2),
    "shift_right_logical": Exact(shift_right_logical, INTEGERS, 2),
    "nextafter": Exact(next_after, FLOATS, 2),
    "select": Exact(np.where, NAMES, 3),
    "clamp": Exact(lambda low, x, high: np.minimum(np.maximum(x, low), high), NUMBERS, 3),
    **COMPARISONS,
}  # fmt: skip
UNSIGNED_ZEROS = {"max", "min", "clamp"}  # either zero is the larger one
# taken by complex numbers, too, or by nothing else: test_complex_kernels.py
COMPLEX_TOO = {
    "abs", "sign", "mul", "div", "pow", "exp", "exp2", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "logistic",
}  # fmt: skip
ONLY_COMPLEX = {"real", "imag", "conj", "complex"}
NOT_THROUGH_FLOAT32 = {"nextafter", "select"}  # these are about the stored numbers

Math = namedtuple("Math", "reference ulps precise floor arity of_operand", defaults=[4.5, None, 0.0, 1, False])
# At most 4 ulp is what libmvec promises, counted from the correctly rounded result: 4.5 from the exact one. Looser:
# lgamma is glibc's, which states up to 7 ulp for negative arguments. digamma goes through zero between its poles; there
# the terms, of about 1, cancel, and the error is small against them only. `precise` is for float64 where NumPy has no
# long double function: with mpmath on fewer numbers. of_operand: the result is that of an operand within so many ulp, which
# `reference`, the inverse function, finds.
MATH = {
    "exp": Math(np.exp), "exp2": Math(np.exp2), "expm1": Math(np.expm1), "log": Math(np.log), "log1p": Math(np.log1p),
    "cbrt": Math(np.cbrt), "sin": Math(np.sin), "cos": Math(np.cos), "tan": Math(np.tan), "asin": Math(np.arcsin),
    "acos": Math(np.arccos), "atan": Math(np.arctan), "sinh": Math(np.sinh), "cosh": Math(np.cosh), "tanh": Math(np.tanh),
    "asinh": Math(np.arcsinh), "acosh": Math(np.arccosh), "atanh": Math(np.arctanh),
    "logistic": Math(lambda x: 1 / (1 + np.exp(-x))),
    "erf": Math(scipy.special.erf, precise=mpmath.erf), "erfc": Math(scipy.special.erfc, precise=mpmath.erfc),
    "erf_inv": Math(scipy.special.erf, precise=mpmath.erf, of_operand=True),
    "lgamma": Math(scipy.special.gammaln, 7.5, lambda x: mpmath.log(abs(mpmath.gamma(x)))),
    "digamma": Math(lambda x: np.where(x == 0, np.nan, scipy.special.psi(x)), precise=mpmath.digamma, floor=4.0),
    "pow": Math(np.power, arity=2), "atan2": Math(np.arctan2, arity=2),
}  # fmt: skip


def operands_of(name, dtype, arity, n=LARGE):
    if name == "select":
        return [operand("bool", 2, n), operand(dtype, 0, n), operand(dtype, 1, n)]
    xs = [operand(dtype, seed, n) for seed in range(arity)]
    if name.startswith("shift"):  # counts around both ends of the valid ones
        low = 0 if dtype in UNSIGNED else -3
        xs[1] = np.random.default_rng(1).integers(low, bits_of(xs[0]) + 3, n).astype(dtype)
    return xs


def check_layouts(kernel, name, xs, result):
    """The same bits wherever operands lie, broadcast or not; empty and single ones, too."""
    call = partial(kernel, name)
    shape = (23, 3, 19)
    xs = [x[: 23 * 3 * 19].reshape(shape) for x in xs]
    for k, layout in enumerate(LAYOUTS):
        views = [lay_out(x, LAYOUTS[(k + j) % 5] if layout != "dense" else "broadcast" if j == k else "dense") for j, x in enumerate(xs)]  # fmt: skip
        values = [value_of(v) for v in views]
        expected = call(*map(np.ascontiguousarray, values), out=(shape, result))
        assert_same(call(*views, out=(shape, result)), expected)
    small = [
        x[:1, :, :1] if k % 2 else x[0] for k, x in enumerate(xs)
    ]  # (3, 19) and (1, 3, 1): axes of size 1, missing axes
    common = np.broadcast_shapes(*[x.shape for x in small])
    expected = call(*[np.ascontiguousarray(np.broadcast_to(x, common)) for x in small], out=(common, result))
    assert_same(call(*map(np.ascontiguousarray, small), out=(common, result)), expected)
    for size in (0, 1):
        flat = [x.ravel()[5 : 5 + size] for x in xs]
        assert call(*flat, out=((size,), result)).shape == (size,)
        scalars = [x.ravel()[5].reshape(()) for x in xs]
        expected = call(*[x.ravel()[5:6] for x in xs], out=((1,), result))
        assert_same(call(*scalars, out=((), result)), expected.reshape(()))
    if len(xs) > 1:  # a 0-d operand against a vector
        vector, scalar = [x.ravel() for x in xs[:-1]], xs[-1].ravel()[7]
        expected = call(*vector, np.full_like(vector[-1], scalar, dtype=scalar.dtype), out=(vector[0].shape, result))
        assert_same(call(*vector, scalar.reshape(()), out=(vector[0].shape, result)), expected)


CASES = [(name, dtype) for name, kind in EXACT.items() for dtype in kind.dtypes]


@pytest.mark.parametrize("name, dtype", CASES, ids=lambda v: v)
def test_exact_elementwise(kernel, name, dtype):
    kind = EXACT[name]
    xs = operands_of(name, dtype, kind.arity)
    result = kind.result or dtype
    reference = kind.reference if name in NOT_THROUGH_FLOAT32 or kind.result else through_float32(kind.reference)
    expected = reference(*xs).astype(numpy_dtype(result))
    found = kernel(name, *xs, out=(xs[0].shape, numpy_dtype(result)))
    assert_same(found, expected, signs=name not in UNSIGNED_ZEROS)
    check_layouts(kernel, name, xs, numpy_dtype(result))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MATH)
def test_functions_are_accurate(kernel, name, dtype):
    kind = MATH[name]
    xs = operands_of(name, dtype, kind.arity)
    found = kernel(name, *xs)
    ulps, wide = kind.ulps, np.longdouble if dtype == "float64" else np.float64
    results, operands = (xs[0], [found]) if kind.of_operand else (found, xs)
    if kind.of_operand:
        results = np.where(np.isnan(found) & (np.abs(xs[0]) > 1), np.nan, xs[0]).astype(found.dtype)
    if dtype == "float64" and kind.precise:
        finite = np.flatnonzero(np.isfinite(found) & (np.abs(found) > 1e-300))
        chosen = finite[:: len(finite) // (2000 if FULL else 150)]
        with mpmath.workdps(30):
            reference = [np.longdouble(str(kind.precise(mpmath.mpf(float(x))))) for x in operands[0][chosen]]
        assert_within(results[chosen], np.array(reference), dtype, ulps, kind.floor)
    else:
        if dtype in ("float16", "bfloat16"):
            ulps = (
                1.2 if kind.of_operand else 0.5
            ) + ulps * 2.0**-13  # rounded once from float32, which has 13 or 16 bits more
        assert_within(results, kind.reference(*[x.astype(wide) for x in operands]), dtype, ulps, kind.floor)
    check_layouts(kernel, name, xs, numpy_dtype(dtype))


@pytest.mark.parametrize("name", sorted({**EXACT, **MATH}))
def test_other_dtypes_are_refused(kernel, name):
    kind = {**EXACT, **MATH}[name]
    for dtype in set(NAMES) - set(getattr(kind, "dtypes", FLOATS)) - set(COMPLEX if name in COMPLEX_TOO else ()):
        with pytest.raises(pg.DtypeError, match=f"{name}.*not offered for {dtype}"):
            kernel(name, *[operand(dtype, seed, 3) for seed in range(kind.arity)])
    with pytest.raises(pg.ShapeError, match=f"{name}.*takes {kind.arity} inputs"):
        kernel(name, *[operand("float32", 0, 3)] * (kind.arity + 1))


def test_no_kernel_of_the_contract_is_left_out():
    with open(CONTRACT) as file:
        section = file.read().split("## Elementwise")[1].split("\n## ")[0]
    named = {
        name
        for row in section.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    in_test_gamma = {
        "polygamma", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "betainc", "zeta", "bessel_i0e", "bessel_i1e"
    }  # fmt: skip
    assert named == {*EXACT, *MATH, *ONLY_COMPLEX, *in_test_gamma, "integer_pow", "convert"}


@pytest.mark.parametrize("dtype", NUMBERS)
def test_integer_pow(kernel, dtype):
    floating = dtype in FLOATS
    x = (
        np.random.default_rng(0).uniform(0.5, 1.5, 1001).astype(numpy_dtype(dtype))
        if floating
        else operand(dtype, 0, 1001)
    )
    for exponent in (0, 1, 2, 3, 7, 64) + ((-1, -2, -7) if floating else ()):
        found = kernel("integer_pow", x, params=[exponent])
        if floating:
            # each of the 2 log2(n) products adds half an ulp, and doubles the error of its factors at most n times
            ulps = abs(exponent) + 2 if dtype in ("float32", "float64") else 0.51
            assert_within(found, x.astype(np.longdouble) ** exponent, dtype, ulps)
        else:
            assert_same(found, np.multiply.reduce([x] * exponent, dtype=dtype) if exponent else np.ones_like(x))
    if not floating:
        with pytest.raises(pg.ShapeError, match="negative power -1"):
            kernel("integer_pow", x, params=[-1])


def converted(x, target):
    """x in dtype `target`: truncating, saturating, nan to 0; wrapping between integers; nearest even to floats."""
    source = x.dtype.name
    if target == "bool":
        return plain(x) != 0
    if target in COMPLEX:
        part = "float32" if target == "complex64" else "float64"
        return join(converted(x.real, part), converted(x.imag, part) if source in COMPLEX else np.zeros((), part))
    if source in COMPLEX:
        return converted(x.real, target)
    if target in FLOATS:
        if target == "float64" or (source not in FLOATS and target != "bfloat16"):
            return x.astype(target)
        return rounded(x.astype(np.float64), target)
    if source not in FLOATS:
        return x.astype(target)
    info, wide = np.iinfo(target), np.trunc(x.astype(np.float64))
    inside = (wide > float(info.min)) & (wide < float(info.max))  # for 64 bits float(max) is max + 1: saturates
    ends = np.where(wide > 0, info.max, info.min).astype(target)
    return np.where(inside | np.isnan(wide), np.where(inside, wide, 0).astype(target), ends)


@pytest.mark.parametrize("source", NAMES)
def test_convert(kernel, source):
    x = operand(source, 0, LARGE if FULL else 5003)
    if source in FLOATS:  # halves between integers, and the ends of the ranges of integers
        ends = [s * 2.0**b + d for b in (7, 8, 15, 16, 31, 32, 63, 64) for s in (1, -1) for d in (-1, -0.5, 0, 0.5, 1)]
        x = np.concatenate([x, np.array(ends).astype(x.dtype), (np.arange(-20, 20) / 2).astype(x.dtype)])
    for target in NAMES:
        out = numpy_dtype(target)
        assert_same(kernel("convert", x, out=(x.shape, out)), converted(x, target).astype(out))
        check_layouts(kernel, "convert", [np.resize(x, 23 * 3 * 19)], out)


# ---- the contract's special cases, one by one --------------------------------------------------------

INF, NAN, I8 = np.inf, np.nan, -128
SPECIAL = [
    ("div", "int8", [I8, I8, 7, -7, 7, -7, 0], [-1, 0, 0, 2, -2, -2, 0], [I8, -1, -1, -3, -3, 3, -1]),
    ("div", "uint8", [7, 255, 0], [0, 16, 0], [255, 15, 255]),
    ("div", "float32", [1, -1, 0, INF], [0, 0, 0, INF], [INF, -INF, NAN, NAN]),
    ("rem", "int8", [I8, 7, 7, -7, -7], [-1, 0, -3, 3, -3], [0, 7, 1, -1, -1]),
    ("rem", "float32", [7, -7, 7, INF, 1, 1], [-3, 3, 0, 1, INF, -INF], [1, -1, NAN, NAN, 1, 1]),
    ("shift_left", "int8", [1, 1, 1, 1, 1], [7, 8, -1, I8, 127], [I8, 0, 0, 0, 0]),
    ("shift_right_arithmetic", "int8", [-64, -64, 64, -64, 64], [1, 8, 8, -1, -1], [-32, -1, 0, -1, 0]),
    ("shift_right_arithmetic", "uint8", [200, 200, 200], [1, 8, 255], [100, 0, 0]),
    ("shift_right_logical", "int8", [-1, -1, -1, -1], [1, 7, 8, -1], [127, 1, 0, 0]),
    ("max", "float16", [NAN, 1, 1, -INF], [1, NAN, 2, INF], [NAN, NAN, 2, INF]),
    ("min", "bfloat16", [NAN, 1, 1, -INF], [1, NAN, 2, INF], [NAN, NAN, 1, -INF]),
    ("add", "bool", [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]),
    ("mul", "bool", [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]),
    ("sub", "bool", [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]),
    ("add", "int8", [127, I8], [1, -1], [I8, 127]),
    ("add", "float32", [INF, 1e-45], [-INF, 1e-45], [NAN, 3e-45]),  # denormals are kept
    ("mul", "float16", [65504, 6e-8], [2, 0.5], [INF, 0]),
    ("pow", "float32", [0, 0, -8, 2, NAN, 1, -2], [0, -1, 1 / 3, -149, 0, NAN, 3], [1, INF, NAN, 1e-45, 1, 1, -8]),
    ("atan2", "float64", [0.0, -0.0, 0.0, -0.0], [1, 1, -1, -1], [0.0, -0.0, np.pi, -np.pi]),
    ("nextafter", "float16", [0, 1, 1, 65504, NAN], [1, 2, 0, INF, 1], [6e-8, 1 + 2**-10, 1 - 2**-11, INF, NAN]),
    ("round", "float32", [0.5, 1.5, 2.5, -0.5, -1.5], None, [0, 2, 2, -0.0, -2]),
    ("round", "bfloat16", [0.5, 1.5, -2.5, NAN], None, [0, 2, -2, NAN]),
    ("sign", "float64", [NAN, -0.0, 0.0, -5, INF], None, [NAN, -0.0, 0.0, -1, 1]),
    ("neg", "uint8", [0, 1, 255], None, [0, 255, 1]),
    ("neg", "int8", [I8, 0], None, [I8, 0]),
    ("abs", "int8", [I8, -1], None, [I8, 1]),
    ("abs", "float16", [-0.0, -INF], None, [0.0, INF]),
    ("not", "bool", [0, 1], None, [1, 0]),
    ("not", "uint8", [0, 1], None, [255, 254]),
    ("popcount", "int16", [0, -1, 5], None, [0, 16, 2]),
    ("clz", "int8", [0, 1, -1], None, [8, 7, 0]),
    ("logistic", "float32", [0, 200, -200, -INF, NAN], None, [0.5, 1, 0, 0, NAN]),
    ("log", "float32", [0, -0.0, -1, INF], None, [-INF, -INF, NAN, INF]),
    ("sqrt", "float32", [-0.0, -1, INF], None, [-0.0, NAN, INF]),
    ("rsqrt", "float32", [0, -0.0, INF, -1], None, [INF, -INF, 0, NAN]),
    ("erf_inv", "float32", [1, -1, 1.5, 0], None, [INF, -INF, NAN, 0]),
    ("expm1", "float32", [1e-30, -0.0], None, [1e-30, -0.0]),
    ("log1p", "float64", [1e-300, -1, -0.0], None, [1e-300, -INF, -0.0]),
    ("digamma", "float64", [-1, INF, NAN], None, [NAN, INF, NAN]),
    ("lgamma", "float64", [1, 2, -1, INF, -INF], None, [0, 0, INF, INF, INF]),
]  # fmt: skip


@pytest.mark.parametrize("name, dtype, x, y, expected", SPECIAL, ids=lambda v: v if isinstance(v, str) else "")
def test_special_values(kernel, name, dtype, x, y, expected):
    arrays = [np.array(v).astype(numpy_dtype(dtype)) for v in (x, y, expected) if v is not None]
    assert_same(kernel(name, *arrays[:-1]), arrays[-1])


@pytest.mark.parametrize("dtype", FLOATS)
def test_comparisons_with_nan(kernel, dtype):
    x = np.array([NAN, 1, NAN]).astype(numpy_dtype(dtype))
    y = np.array([1, NAN, NAN]).astype(numpy_dtype(dtype))
    for name in COMPARISONS:
        assert kernel(name, x, y, out=((3,), bool)).tolist() == [name == "ne"] * 3


def test_clamp_with_crossed_bounds_gives_the_upper_one(kernel):
    low, x, high = (np.array(v, "f4") for v in ([3, 3, NAN], [0, 5, 0], [2, 2, 2]))
    assert_same(kernel("clamp", low, x, high), np.array([2, 2, NAN], "f4"))


def test_select_moves_bits(kernel):
    payload = np.array([0x7FC12345, 0xFFC54321], np.uint32).view("f4")
    found = kernel("select", np.array([True, False]), payload, payload[::-1].copy())
    assert found.view(np.uint32).tolist() == [0x7FC12345, 0x7FC12345]
