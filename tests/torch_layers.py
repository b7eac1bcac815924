"""Compares modules with torch's: same arguments, same weights, same results and gradients, eagerly and under jit."""

import numpy as np
import torch

import pequegrad as pg
from pequegrad import nn

torch.set_num_threads(1)  # the arrays are small, and the cores shared

TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2, "bfloat16": 1e-1}  # of sums of a few hundred products


def numpy(t):
    """A torch tensor as an array; torch gives NumPy no bfloat16."""
    t = t.detach()
    return t.float().numpy().astype(pg.dt.bfloat16) if t.dtype == torch.bfloat16 else t.numpy()


def pair(name, args=(), options=None, dtype="float64"):
    """(our module, torch's) of this name with the same weights; those of dtype that have parameters take it."""
    options = options or {}
    both = []
    for package, kind in ((nn, dtype), (torch.nn, getattr(torch, dtype))):
        mine = [convert(a, package) for a in args]
        named = {k: convert(v, package) for k, v in options.items()}
        made = getattr(package, name)
        try:
            both.append(made(*mine, **named, dtype=kind))
        except TypeError as error:
            if "dtype" not in str(error):
                raise
            both.append(made(*mine, **named))
    ours, theirs = both
    theirs.to(getattr(torch, dtype))
    copy_weights(ours, theirs)
    return ours, theirs


def convert(value, package):
    """Arrays as tensors of the package."""
    if isinstance(value, np.ndarray):
        return pg.Tensor(value).detach() if package is nn else torch.tensor(value)
    return value


def copy_weights(ours, theirs):
    """Names, shapes and dtypes of all tensors must be equal."""
    theirs_state = {name: numpy(value) for name, value in theirs.state_dict().items()}
    own = ours.state_dict()
    assert {n: (t.shape, t.dtype) for n, t in own.items()} == {n: (a.shape, a.dtype) for n, a in theirs_state.items()}
    ours.load_state_dict(theirs_state)


def leaves(outs):
    """The tensors in nested tuples, without None."""
    if isinstance(outs, (tuple, list)):
        return [leaf for out in outs for leaf in leaves(out)]
    return [] if outs is None else [outs]


def is_float(x):
    return x.dtype.is_floating_point if isinstance(x, torch.Tensor) else x.dtype.kind in "fV"


def results_of_torch(module, inputs, call, weights):
    """(outputs, gradients of their weighted sum for inputs and parameters)."""
    inputs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    outs = leaves(call(module, *inputs))
    wanted = [x for x in inputs if x.requires_grad] + list(module.parameters())
    terms = [(out * torch.tensor(w, dtype=out.dtype)).sum() for out, w in zip(outs, weights) if out.requires_grad]
    grads = torch.autograd.grad(sum(terms), wanted, allow_unused=True) if wanted and terms else []
    return [numpy(out) for out in outs], [np.zeros(w.shape) if g is None else numpy(g) for w, g in zip(wanted, grads)]


def results_of_ours(module, inputs, call, weights, jitted):
    """The same of ours; jitted: as one compiled program."""

    def run(*inputs):
        outs = leaves(call(module, *inputs))
        wanted = [x for x in inputs if is_float(x)] + module.parameters()
        terms = [(out * pg.Tensor(w, dtype=out.dtype)).sum() for out, w in zip(outs, weights) if is_float(out)]
        return outs, pg.grads(wanted, sum(terms)) if wanted and terms else []

    outs, grads = (pg.jit(run) if jitted else run)(*[pg.Tensor(x) for x in inputs])
    return [out.numpy() for out in outs], [g.numpy() for g in grads]


def compare(
    ours, theirs, inputs, call=lambda module, *inputs: module(*inputs), training=True, jits=(False, True), tolerance=None,
    context="",
):  # fmt: skip
    """Outputs, gradients and buffers are those of torch."""
    tolerance = tolerance or TOLERANCE["float64"]
    close = lambda a, b, what: np.testing.assert_allclose(
        np.asarray(a, "f8"), np.asarray(b, "f8"), rtol=tolerance, atol=tolerance, err_msg=f"{what} {context}"
    )
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    rng = np.random.default_rng(3)
    ours.train(training), theirs.train(training)
    weights = [rng.normal(size=out.shape) for out in leaves(call(theirs, *map(torch.tensor, inputs)))]
    for jitted in jits:
        theirs.load_state_dict(before)
        copy_weights(ours, theirs)
        outs, grads = results_of_ours(ours, inputs, call, weights, jitted)
        expected, expected_grads = results_of_torch(theirs, inputs, call, weights)
        assert [a.shape for a in outs] == [a.shape for a in expected], context
        assert [a.dtype for a in outs] == [a.dtype for a in expected], context
        for a, b in zip(outs, expected):
            close(a, b, "output")
        assert len(grads) == len(expected_grads)
        for a, b in zip(grads, expected_grads):
            close(a, b, "gradient")
        for name, value in theirs.state_dict().items():
            close(ours.state_dict()[name].numpy(), numpy(value), name)
