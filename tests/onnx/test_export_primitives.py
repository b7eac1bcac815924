"""Every primitive's own samples as ONNX: equal to onnxruntime's results and to those of what is read again, or refused by name."""

import numpy as np
import pytest
from conftest import FULL
from exports import leaves, same

import pequegrad as pg
from pequegrad.onnx.comparison import session_of
from pequegrad.primitives import PRIMITIVES

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NO_FORM = {  # primitive -> why ONNX has none
    "adjugate cholesky eig eigh hessenberg lu pinv pivots_to_permutation qr reflections schur slogdet solve svd triangular_solve tridiagonal": (
        "of linear algebra ONNX has products and determinants"
    ),
    "bessel_i0e bessel_i1e betainc digamma erf_inv igamma igamma_grad_a igammac lgamma polygamma random_gamma_grad zeta": (
        "no operator; series and iterations would be programs of many nodes"
    ),
    "random_bits": "other generators: numbers would not be those of pequegrad",
    "bitcast_convert clz nextafter popcount": "no operator sees the bits of numbers (BitCast comes in operator set 26)",
    "complex conj fft imag irfft real rfft": "no operators for complex numbers",
    "attention attention_gradient": "the compiler's kernels, which traced programs do not contain",
}  # fmt: skip
WHY = {name: why for names, why in NO_FORM.items() for name in names.split()}
NO_FORM_OF = {
    ("reduce_and", "i"),
    ("reduce_or", "i"),
    ("conv_general_dilated", "i"),
    ("conv_general_dilated", "b"),
}  # sums in integers, bits
INT_WINDOWS = {"reduce_window_sum", "reduce_window_max", "reduce_window_min", "window_argmax", "window_argmin"}
ELSEWHERE = {"transfer", "zero_tangent"}  # between devices; without values

NAMES = [
    name for name, primitive in PRIMITIVES.items() if hasattr(primitive.rules, "samples") and name not in ELSEWHERE
]


def samples(primitive, dtype):
    """(arrays, params) with another dtype in place of float64; those that the primitive does not take are left out."""
    for arrays, params in primitive.samples(np.random.default_rng(0)):
        params = dict(params)
        if "dtype" in params:
            params["dtype"] = np.dtype(dtype if np.dtype(params["dtype"]) == np.float64 else params["dtype"])
        yield [narrow(np.asarray(a), np.dtype(dtype)) for a in arrays], params


def narrow(a, dtype):
    if a.dtype != np.float64:
        return a
    if dtype.kind == "b":
        return np.asarray(a > 0)
    return (
        a.astype(dtype)
        if dtype.kind == "f"
        else np.asarray(np.abs(np.nan_to_num(a, posinf=7, neginf=9)) * 3 + 1, dtype)
    )


def cases(name, dtype):
    """(function, arrays, expected results) of the samples that the primitive takes."""
    primitive = PRIMITIVES[name]
    for arrays, params in samples(primitive, dtype):
        function = lambda *xs, params=params: primitive(*xs, **params)
        try:
            expected = [x.numpy() for x in leaves(function(*map(pg.Tensor, arrays)))]
        except pg.PequegradError:
            assert dtype != "float32" or "c" in {a.dtype.kind for a in arrays}, name
            continue
        yield function, arrays, expected


OTHERS = ("int8", "int16", "uint8", "uint16", "uint32", "uint64") if FULL else ()


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "bool", *OTHERS])
@pytest.mark.parametrize("name", NAMES)
def test_primitives(name, dtype):
    for i, (function, arrays, expected) in enumerate(cases(name, dtype)):
        if i and not FULL and dtype != "float32":
            break
        what = f"{name}, sample {i} {[f'{a.dtype}{list(a.shape)}' for a in arrays]}"
        try:
            model = pg.onnx.export(function, arrays)
        except NotImplementedError as error:
            assert may_be_refused(name, arrays, expected), (what, str(error))
            assert name in str(error) or "complex" in str(error), what
            continue
        assert name not in WHY or "c" in {x.dtype.kind for x in (*arrays, *expected)} or not expected[0].size, what
        names = [v.name for v in model.graph.input]
        same(session_of(model, 1).run(None, dict(zip(names, arrays))), expected, 2e-5, what)
        read = pg.onnx.load(model)
        for run in (read, pg.jit(read)) if FULL or i < 2 else (read,):
            same([x.numpy() for x in leaves(run(*map(pg.Tensor, arrays)))], expected, 2e-5, what)


def may_be_refused(name, arrays, expected):
    kinds = {x.dtype.kind for x in (*arrays, *expected)}
    first = arrays[0].dtype.kind.replace("u", "i") if arrays else ""
    return name in WHY or "c" in kinds or (name, first) in NO_FORM_OF or (name in INT_WINDOWS and first in "ib")


def test_the_table_names_primitives_that_are_refused():
    assert set(WHY) <= set(NAMES)
