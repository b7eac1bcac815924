"""Broadcasts: what is computed elementwise is computed before it is repeated.

Elementwise primitives broadcast by themselves, so a broadcast_in_dim in front of one is left out wherever another operand
still gives the full shape; if none does, the result is broadcast instead. Leading axes of size 1 that a reshape put in are as
superfluous.
"""

from .rewriting import ELEMENTWISE, local_pass


def hoist(b, spec, inputs):
    """f(broadcast(x), y) is f(x, y), or its broadcast."""
    if not any(x.spec.primitive.name in ("broadcast_in_dim", "reshape") for x in inputs):
        return None
    smaller = [_without_broadcast(b, x) for x in inputs]
    if all(a is x for a, x in zip(smaller, inputs)):
        return None
    return b.spread(b.like(spec, *smaller), spec.aval.shape)


def _without_broadcast(b, x):
    """What x repeats, with axes of size 1 such that it broadcasts by itself, or x."""
    name = x.spec.primitive.name
    if name == "broadcast_in_dim":
        sizes = [1] * x.aval.ndim
        for n, a in zip(x.inputs[0].aval.shape, x.spec.params["axes"]):
            sizes[a] = n
    elif name == "reshape" and x.aval.shape and x.aval.shape[0] == 1:
        sizes = list(x.aval.shape)
    else:
        return x
    while sizes and sizes[0] == 1:
        del sizes[0]
    return b.reshape(x.inputs[0], tuple(sizes))


RULES = {ELEMENTWISE: [hoist]}
broadcasts = local_pass(RULES)
