"""What Python, graph and dispatch cost: small arrays, many operations or many arguments."""

import numpy as np

from . import JITTED, case, normal, random

EAGER = ("pequegrad", "jax", "torch")


def chain(x):
    """100 operations."""
    for _ in range(50):
        x = x + x
        x = x * 0.5
    return x


@case(contestants=EAGER, operations=100)
def lazy_op(lib):
    """Building and running a chain of 100 operations on 10 numbers; nothing keeps history."""
    arguments = lib.tensors(normal(random(), 10))
    if lib.name != "pequegrad":
        return chain, arguments

    def ours(x):
        with lib.m.no_grad():
            return chain(x).eval()

    return ours, arguments


@case(contestants=("pequegrad", "torch"), operations=100)
def tracked_op(lib):
    """The same with history kept for a gradient."""
    (x,) = lib.tensors(normal(random(), 10))
    if lib.name == "torch":
        return chain, (x.requires_grad_(),)
    return lambda x: chain(x).numpy(), (x,)


@case(contestants=("pequegrad", "torch"), operations=100)
def gradient_op(lib):
    """The same with the gradient computed, too."""
    (x,) = lib.tensors(normal(random(), 10))
    if lib.name == "torch":
        return lambda x: lib.m.autograd.grad(chain(x).sum(), x)[0], (x.requires_grad_(),)
    return lambda x: lib.m.grads([x], chain(x).sum())[0].numpy(), (x,)


@case(contestants=(*JITTED, "torch.compile"), targets=(("pequegrad", "jax", 2.0),))
def jit_dispatch(lib):
    """A jitted x + 1 on 10 numbers."""
    return lib.jit(lambda x: x + 1), lib.tensors(normal(random(), 10))


@case(contestants=JITTED, targets=(("pequegrad", "jax", 2.0),))
def jit_dispatch_tree(lib):
    """A jitted x + 1 on each of the 100 leaves of nested dicts: 100 arguments, 100 results."""
    data = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    tree = {f"layer{i}": {f"weight{j}": lib.tensor(row) for j, row in enumerate(rows)} for i, rows in enumerate(data)}
    return lib.jit(lambda tree: {k: {n: x + 1 for n, x in layer.items()} for k, layer in tree.items()}), (tree,)
