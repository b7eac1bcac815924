"""ai.onnx.preview.training: optimisers, and gradients within a model."""

import pequegrad as pg

from ...core.errors import ArgumentError
from ..interpreter import Scope
from ..registry import op
from ..values import tensor

_DOMAIN = "ai.onnx.preview.training"


def _groups(name, values, parts):
    """The k-th tensor of each part: values are x1, x2, ..., g1, g2, ..., and so on."""
    if len(values) % parts:
        raise ArgumentError(f"{name}: {len(values)} tensors are not {parts} for each that is optimised.")
    n = len(values) // parts
    return [values[k::n] for k in range(n)]


def _ordered(updates):
    """[(x, state ...), ...] as x1, x2, ..., state1, state2, ..."""
    return tuple(v for part in zip(*updates) for v in part)


@op("Adagrad", domain=_DOMAIN)
def adagrad(r, t, *inputs, decay_factor=0.0, epsilon=1e-6, norm_coefficient=0.0):
    rate = r / (1 + t.astype(r.dtype) * decay_factor)

    def update(x, g, h):
        g = norm_coefficient * x + g
        h = h + g * g
        return x - rate * g / (pg.sqrt(h) + epsilon), h

    return _ordered([update(*group) for group in _groups("Adagrad", inputs, 3)])


@op("Adam", domain=_DOMAIN)
def adam(r, t, *inputs, alpha=0.9, beta=0.999, epsilon=1e-6, norm_coefficient=0.0, norm_coefficient_post=0.0):
    """norm_coefficient: weight decay in the gradient; norm_coefficient_post: of the result."""
    time = t.astype(r.dtype)
    rate = pg.where(t > 0, r * pg.sqrt(1 - beta**time) / pg.where(t > 0, 1 - alpha**time, 1.0), r)

    def update(x, g, v, h):
        g = norm_coefficient * x + g
        v, h = alpha * v + (1 - alpha) * g, beta * h + (1 - beta) * g * g
        return (1 - norm_coefficient_post) * (x - rate * v / (pg.sqrt(h) + epsilon)), v, h

    return _ordered([update(*group) for group in _groups("Adam", inputs, 4)])


@op("Momentum", domain=_DOMAIN)
def momentum(r, t, *inputs, alpha, beta, mode, norm_coefficient):
    if mode not in ("standard", "nesterov"):
        raise ArgumentError(f"Momentum: mode={mode!r} is unknown.", fix="standard or nesterov.")
    beta = pg.where(t > 0, beta, 1.0).astype(r.dtype)

    def update(x, g, v):
        g = norm_coefficient * x + g
        v = alpha * v + beta * g
        return x - r * (v if mode == "standard" else g + alpha * v), v

    return _ordered([update(*group) for group in _groups("Momentum", inputs, 3)])


@op("Gradient", domain=_DOMAIN, folds=False)
def gradient(*inputs, xs, y, zs=(), scope):
    """The gradient of the graph's tensor y, where the tensors xs and zs have the values of the inputs, for xs."""
    names = [*xs, *zs]
    if len(names) != len(inputs):
        raise ArgumentError(f"Gradient: {len(inputs)} inputs for the {len(names)} names {', '.join(names)}.")
    nodes = _between(scope.model.graph.nodes, set(names), y)
    fixed = dict(zip(zs, inputs[len(xs) :]))

    def value(*moving):
        inner = Scope(scope.model, scope.versions, scope)
        inner.values.update(zip(xs, moving), **fixed)
        inner.run_nodes(nodes)
        return pg.sum(tensor(inner[y]))

    moving = [tensor(x) for x in inputs[: len(xs)]]
    return tuple(pg.grad(value, argnums=tuple(range(len(moving))))(*moving))


def _between(nodes, given, y):
    """The nodes that compute y from what is given, in their order."""
    needed, found = {y} - given, []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.outputs):
            found.append(node)
            needed = (needed - set(node.outputs)) | (set(node.inputs) - given)
    return found[::-1]
