"""Generated expressions of one element against the kernels of the runtime: the same bits, wherever an element lies."""

import ctypes

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.compiler import c_scalars
from pequegrad.compiler.c_compiler import Compiler
from pequegrad.compiler.c_scalars import c_type, expression, load_expression, register_type, store_expression
from pequegrad.compiler.toolchain import _BINARY, _CALLED, _UNARY, Unavailable, build
from pequegrad.core.dtype import NAMES
from pequegrad.core.errors import PequegradError
from pequegrad.core.node import make_aval
from pequegrad.runtime import library
from tests.kernels import COMPLEX, REAL, assert_same, assert_within, numpy_dtype, operand, run_kernel

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # NumPy's, where operands are made
COUNT = 2051  # prime: the last elements of a loop are no whole vector
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "is_finite")
TERNARY = ("select", "clamp", "betainc")
BINARY = (
    "add sub mul div rem max min eq ne lt le gt ge and or xor shift_left shift_right_logical shift_right_arithmetic "
    "pow atan2 nextafter igamma igammac igamma_grad_a random_gamma_grad zeta"
).split()
LIBM = (*_UNARY, *_BINARY, *_CALLED)
SPECIAL = (
    "lgamma",
    "digamma",
    "polygamma",
    "igamma",
    "igammac",
    "igamma_grad_a",
    "random_gamma_grad",
    "betainc",
    "zeta",
    "bessel_i0e",
    "bessel_i1e",
)
KERNELS = [*((name, ()) for name in (*c_scalars._FUNCTIONS, "select") if name != "polygamma")]
KERNELS += [("polygamma", (3,)), *(("integer_pow", (n,)) for n in (0, 1, 2, 3, 7, 64, 65, -1, -3, -70))]

try:
    build([("pg_nothing", "void pg_nothing(void) {}")])
except Unavailable as error:
    pytest.skip(f"there is no compiler to test with: {error}", allow_module_level=True)


with open(library.PATH, "rb") as file:
    EXACT = b"clang version" not in file.read() and "-DPG_VECTOR_MATH" in Compiler().flags()[0]


def inputs_of(kernel):
    return 3 if kernel in TERNARY else 2 if kernel in BINARY else 1


def signature(kernel, params, dtype):
    """(dtypes of the operands, dtype of the result)"""
    dtypes = [numpy_dtype(dtype)] * inputs_of(kernel)
    if kernel == "select":
        dtypes[0] = np.dtype(bool)
    return dtypes, np.dtype(bool) if kernel in COMPARISONS else dtypes[-1]


def function(name, text, dtypes, result):
    """A loop over all operands that stores the value `text` of x0, x1 ..."""
    lines = [f"void {name}(void *const *b, int64_t begin, int64_t end, char *scratch) {{"]
    lines += [f"const {c_type(dtype)} *p{k} = b[{k}];" for k, dtype in enumerate(dtypes)]
    lines += [f"{c_type(result)} *q = b[{len(dtypes)}];", "#pragma omp simd"]
    lines += ["for (int64_t i = begin; i < end; i++) {"]
    for k, dtype in enumerate(dtypes):
        lines += [f"const {register_type(dtype)} x{k} = {load_expression(dtype, f'p{k}[i]')};"]
    lines += [f"const {register_type(result)} y = {text};", f"q[i] = {store_expression(result, 'y')};", "}}"]
    return "\n".join(lines)


def call(address, operands, result, ranges):
    """What the function writes when it is called for each of these ranges."""
    out = np.zeros(len(operands[0]), result)
    arrays = [*operands, out]
    buffers = (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(address)
    for begin, end in ranges:
        run(buffers, begin, end, None)
    return out


def check(device, cases):
    """cases: (kernel, params, dtypes, result, text, operands)"""
    functions = []
    for kernel, params, dtypes, result, text, _ in cases:
        words = [kernel, *(str(p).replace("-", "m") for p in params), *(d.name for d in dtypes), result.name]
        name = "pg_test_" + "_".join(words)
        functions.append((name, function(name, text, dtypes, result)))
    steps = [0, 1, 3, 8, 23, 64, 65, 200, 1000, COUNT]
    pieces = list(zip(steps, steps[1:]))
    for (kernel, params, _, result, _, operands), address in zip(cases, build(functions)):
        eager = run_kernel(device, kernel, *operands, params=params, out=(operands[0].shape, result))
        for ranges in ([(0, COUNT)], pieces):
            found = call(address, operands, result, ranges)
            try:
                if EXACT or kernel not in (*LIBM, *SPECIAL):
                    assert_same(found, eager)
                else:  # other compilers choose among vector forms of different lengths, each within 4 ulp
                    assert_within(found, eager.astype(np.float64), result.name, 8 if kernel in LIBM else 1024)
            except AssertionError as error:
                raise AssertionError(f"{kernel}{params} {result}: {error}") from None


@pytest.mark.parametrize("dtype", REAL)
def test_same_bits_as_the_kernels_of_the_runtime(device, dtype):
    cases = []
    for kernel, params in KERNELS:
        dtypes, result = signature(kernel, params, dtype)
        text = expression(kernel, params, [f"x{k}" for k in range(len(dtypes))], dtypes, result)
        if text is not None and not (params and params[0] < 0 and dtype in c_scalars.INTEGER):
            operands = [operand(d.name, seed, COUNT) for seed, d in enumerate(dtypes)]
            cases.append((kernel, params, dtypes, result, text, operands))
    check(device, cases)


@pytest.mark.parametrize("dtype", REAL)
def test_same_conversions_as_the_runtime(device, dtype):
    source, cases = numpy_dtype(dtype), []
    for name in REAL:
        result = numpy_dtype(name)
        text = expression("convert", (), ["x0"], [source], result)
        cases.append(("convert", (), [source], result, text, [operand(dtype, 0, COUNT)]))
    check(device, cases)


def test_offered_are_the_dtypes_of_the_kernels(device):
    for kernel, params in KERNELS:
        for dtype in NAMES:
            dtypes, result = signature(kernel, params, dtype)
            if params and params[0] < 0 and dtype in c_scalars.INTEGER:  # refused before code is generated
                continue
            text = expression(kernel, params, ["x"] * len(dtypes), dtypes, result)
            try:
                avals = [make_aval((3,), d, device) for d in (*dtypes, result)]
                library.Operation(kernel, list(params), avals[:-1], avals[-1:], device)
            except PequegradError:
                assert text is None, (kernel, dtype)
            else:
                assert (text is None) == (dtype in COMPLEX), (kernel, dtype)


@pytest.mark.parametrize("target", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_floats_to_integers_and_back_in_one_kernel(source, target):
    """At the limits of all integers; what is between -1 and 1 becomes 0, not -0."""
    powers = np.array([sign * 2.0**b for b in (0, 7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1)], source)
    x = np.concatenate([powers + d for d in (-1, -0.5, 0, 0.5, 1)])
    x = np.concatenate(
        [x, np.nextafter(powers, 0), np.nextafter(powers, 4 * powers), [0.0, -0.0, np.nan, np.inf, -np.inf]]
    )
    x, limits = np.tile(x.astype(source), 4), np.iinfo(target)
    whole = [0 if v != v else min(max(v, -1e30), 1e30) for v in x.tolist()]
    expected = np.array([min(max(int(v), limits.min), limits.max) for v in whole], target)
    np.testing.assert_array_equal(pg.jit(lambda x: (x * 1).astype(target))(pg.Tensor(x)).numpy(), expected)
    for back in ("float32", "float64"):
        found = pg.jit(lambda x, back=back: (x * 1).astype(target).astype(back) * 1)(pg.Tensor(x)).numpy()
        np.testing.assert_array_equal(found, expected.astype(back))
        assert not np.signbit(found[found == 0]).any()
