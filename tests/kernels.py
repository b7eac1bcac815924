"""Calls of single kernels of the runtime, operands with all kinds of strides, and comparisons that know dtypes."""

import itertools
from collections import namedtuple

import ml_dtypes
import numpy as np

from pequegrad.core.dtype import NAMES, dt
from pequegrad.core.node import make_aval
from pequegrad.runtime import library

SIGNED, UNSIGNED = NAMES[1:5], NAMES[5:9]
INTEGERS, FLOATS, COMPLEX = SIGNED + UNSIGNED, NAMES[9:13], NAMES[13:]
REAL = NAMES[:13]
LOGICAL, NUMBERS = ("bool", *INTEGERS), INTEGERS + FLOATS
# bits of the significand, and the exponent of the smallest normal number (as frexp gives it)
PRECISION = {"float16": (11, -13), "bfloat16": (8, -125), "float32": (24, -125), "float64": (53, -1021)}
LARGE = 100_003  # odd, and more than what a thread takes at least

# ---- running one kernel ------------------------------------------------------------------------------

View = namedtuple("View", "value base kernel params")  # the view kernel gives `value` from `base`


def lay_out(x, layout):
    """An operand with the value of `x` (of one row of it, repeated, for "broadcast") that lies in memory like this."""
    ndim = x.ndim
    if layout == "transposed":
        return View(x, np.ascontiguousarray(x.T), "transpose", range(ndim)[::-1])
    if layout == "reversed":
        return View(x, np.ascontiguousarray(np.flip(x)), "rev", range(ndim))
    if layout == "sliced":
        base = np.zeros([3 * n + 2 for n in x.shape], x.dtype)
        base[(slice(1, -1, 3),) * ndim] = x
        return View(x, base, "slice", (1,) * ndim + (3,) * ndim)
    if layout == "broadcast":
        return View(np.broadcast_to(x[:1], x.shape), x[0], "broadcast_in_dim", range(1, ndim))
    return x


LAYOUTS = ("dense", "transposed", "reversed", "sliced", "broadcast")


def value_of(x):
    """The array that an operand stands for."""
    return x.value if isinstance(x, View) else x


def run_kernel(device, name, *operands, params=(), out=None):
    """What the kernel gives for arrays and Views: one array, or a list of them if `out` is a list of (shape, dtype).

    Without `out` the result has the operands' common shape and the dtype of the last one.
    """
    aval = lambda x: make_aval(x.shape, np.dtype(x.dtype), device)
    code, operations, slots = [], [], itertools.count()

    def emit(name, params, inputs, references, outputs):
        operation = library.Operation(name, list(params), inputs, outputs, device)
        written = [next(slots) for _ in outputs]
        operations.append(operation)
        code.extend([operation.address, *written, *references])
        return written

    references = [~k for k, _ in enumerate(operands)]
    for k, x in enumerate(operands):
        if isinstance(x, View):
            (references[k],) = emit(x.kernel, x.params, [aval(x.base)], [~k], [aval(x.value)])
    values = [value_of(x) for x in operands]
    if out is None:
        out = np.broadcast_shapes(*[x.shape for x in values]), values[-1].dtype
    results = [make_aval(shape, np.dtype(dtype), device) for shape, dtype in (out if isinstance(out, list) else [out])]
    written = emit(name, params, [aval(x) for x in values], references, results)
    program = library.Program(device, code, next(slots), len(operands), written, operations)
    inputs = [library.array_from_host(x.base if isinstance(x, View) else x, device) for x in operands]
    arrays = [library.array_to_host(value, aval) for value, aval in zip(program.run(inputs), results)]
    return arrays if isinstance(out, list) else arrays[0]


# ---- comparing ---------------------------------------------------------------------------------------


def plain(x):
    return x.astype(np.float32) if x.dtype == dt.bfloat16 else x


def assert_same(found, expected, signs=True):
    """Equal bits; any nan equals any other."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype.kind == "c":
        assert_same(found.real, expected.real, signs)
        assert_same(found.imag, expected.imag, signs)
        return
    found, expected = plain(found), plain(expected)
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f" and signs:
        known = ~np.isnan(found)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))


def ulp(x, dtype):
    """The distance of neighbouring numbers of `dtype` around x."""
    bits, lowest = PRECISION[dtype]
    return np.ldexp(np.ones_like(x), np.maximum(np.frexp(x)[1], lowest) - bits)


def rounded(x, dtype):
    """float64 x as the nearest number of `dtype`, halves to even: rounded once, whatever NumPy does on its way."""
    unit = ulp(x, dtype)
    return (np.rint(x / unit) * unit).astype(dt.bfloat16 if dtype == "bfloat16" else dtype)


def assert_within(found, reference, dtype, ulps, floor=0.0):
    """|found - reference| is at most so many ulp (of `floor`, where the reference is smaller); nan and inf agree."""
    found = found.astype(reference.dtype)
    largest = float(ml_dtypes.finfo(dtype).max)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(reference))
    margin = 1 - 2.0 ** (3 - PRECISION[dtype][0])  # around the largest number either side of overflow will do
    judged = ~np.isnan(reference) & ~((np.abs(reference) >= largest * margin) & (np.abs(reference) <= largest / margin))
    found, reference = found[judged], reference[judged]
    reference = np.where(np.abs(reference) > largest, np.copysign(np.inf, reference), reference)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(reference))
    finite = np.isfinite(reference)
    found, reference = found[finite], reference[finite]
    error = np.abs(found - reference) / ulp(np.maximum(np.abs(reference), floor), dtype)
    assert not error.size or error.max() <= ulps, f"{error.max()} ulp at result {reference[error.argmax()]}"


# ---- operands ----------------------------------------------------------------------------------------


def numpy_dtype(name):
    return getattr(dt, name)


def operand(dtype, seed, n=LARGE):
    """n values: special ones first, then random bits and, for floats, numbers of common sizes."""
    rng = np.random.default_rng(seed)
    if dtype in COMPLEX:
        part = "float32" if dtype == "complex64" else "float64"
        return join(operand(part, seed, n), rng.permutation(operand(part, seed + 2, n)))
    if dtype == "bool":
        return rng.integers(0, 2, n).astype(bool)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        special = np.array([0, 1, 2, 3, 7, 100, info.max, info.max - 1, info.min, info.min + 1], dtype)
        special = np.concatenate([special, -special[1:6]]) if dtype in SIGNED else special
        some = rng.integers(info.min, info.max, n // 2, dtype, endpoint=True)
        small = rng.integers(max(info.min, -9), 10, n - n // 2).astype(dtype)
    else:
        info = ml_dtypes.finfo(dtype)
        tiny, largest = float(info.smallest_subnormal), float(info.max)
        special = np.array([0, 1, 0.5, 1.5, 2.5, 2, 3, tiny, float(info.tiny), largest, np.inf, np.nan])
        special = np.concatenate([special, -special])
        bits = {2: np.uint16, 4: np.uint32, 8: np.uint64}[numpy_dtype(dtype).itemsize]
        some = rng.integers(0, np.iinfo(bits).max, n // 3, bits, endpoint=True).view(numpy_dtype(dtype))
        size = n - n // 3
        small = np.concatenate([rng.normal(size=size // 4) * 2, rng.uniform(-1, 1, size // 4), rng.uniform(-100, 100, size // 4),
                                np.exp(rng.uniform(-20, 20, size - size // 4 * 3))])  # fmt: skip
    # specials of two operands meet in all combinations when their seeds are 0 and 1
    k = len(special)
    meeting = np.repeat(special, k) if seed == 0 else np.tile(special, k)
    values = np.concatenate([meeting, rng.permutation(np.concatenate([some.astype(small.dtype), small]))])[:n]
    values = values.astype(numpy_dtype(dtype))
    if dtype in FLOATS:
        values[np.isnan(values)] = np.nan  # quiet: functions of signalling ones may give nan where others give a number
    return values


def join(x, y):
    """x + iy, whatever they are (NumPy's sum makes nan of some infinities)."""
    joined = np.empty(np.broadcast_shapes(x.shape, y.shape), np.result_type(x, np.complex64))
    joined.real, joined.imag = x, y
    return joined


def complex_product(x, y):
    """The plain formula, each operation rounded: NumPy's may contract them."""
    return join(x.real * y.real - x.imag * y.imag, x.real * y.imag + x.imag * y.real)


def through_float32(f):
    """f, computed in float32 and rounded once on 16-bit floats: what the contract says of them."""

    def g(*operands):
        dtype = operands[-1].dtype
        if dtype.name not in ("float16", "bfloat16"):
            return f(*operands)
        return f(*[x.astype(np.float32) if x.dtype == dtype else x for x in operands]).astype(dtype)

    return g
