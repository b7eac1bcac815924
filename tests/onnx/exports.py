"""Exports functions, and compares files with onnxruntime and with what is read from them."""

from collections import Counter

import numpy as np

import pequegrad as pg
from pequegrad.onnx.comparison import session_of
from pequegrad.onnx.tracing import as_written


def leaves(outs):
    """The tensors in nested containers, dicts as they were written, without None."""
    return as_written(outs)[1]


def arrays(inputs, seed):
    """Normal float32 for shapes; arrays as they are."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=x).astype("float32") if isinstance(x, tuple) else np.asarray(x) for x in inputs]


def same(found, expected, tolerance, what):
    """Shapes, dtypes and values."""
    assert [(x.shape, x.dtype) for x in found] == [(x.shape, x.dtype) for x in expected], what
    for a, b in zip(found, expected):
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)
        else:
            np.testing.assert_array_equal(a, b, err_msg=what)


def check(function, inputs, other=(), tolerance=1e-4, loaded=("eager",), **options):
    """Exports a function, and runs the model in onnxruntime, and (`loaded`) as it is read here, on fresh inputs; the model.

    inputs: float32 shapes, or arrays. other: more lists of inputs to run on. tolerance: of sums of a few hundred float32
    products in another order.
    """
    model = pg.onnx.export(function, tuple(arrays(inputs, 0)), **options)
    session, read = session_of(model, threads=1), pg.onnx.load(model) if loaded else None
    names = [v.name for v in model.graph.input]
    for i, given in enumerate((inputs, *other)):
        values = arrays(given, i + 1)
        expected = [x.numpy() for x in leaves(function(*map(pg.Tensor, values)))]
        found = session.run(None, dict(zip(names, values)))
        same(found, expected, tolerance, f"onnxruntime, inputs {i}")
        for how in loaded:
            run = pg.jit(read) if how == "jit" else read
            same([x.numpy() for x in leaves(run(*map(pg.Tensor, values)))], expected, tolerance, f"{how}, inputs {i}")
    return model


def operators(model):
    """{operator: how many nodes} of the main graph, without constants."""
    return dict(Counter(node.op_type for node in model.graph.node if node.op_type != "Constant"))
