"""Gather of few elements from what is computed elementwise: they are gathered first, then computed.

A loss that picks the score of the right class reads one element per row of log_softmax(x): so it reads x, and no array of
the size of x need be made for it. Only gathers of single elements, and only where less is computed.
"""

from .rewriting import is_elementwise, kind, local_pass
from .scatters import component, runs_along

# of nan they give nan, whatever the other operands are: what "fill" reads outside stays nan
_NAN_STAYS = {
    "add", "sub", "mul", "div", "neg", "abs", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "tanh", "logistic", "sin", "cos",
    "erf", "erfc",
}  # fmt: skip
_DEEPEST = 16  # primitives through which a gather is moved


def rows_as_batch(b, spec, inputs):
    """x[i, k] for rows i = 0, 1, 2 ...: the rows are paired with those of k."""
    (x, indices), params, places = inputs, spec.params, spec.params["places"]
    if len(places.index_map) != 2 or places.window:
        return None
    for k, axis in enumerate(places.index_map):
        rows, others = component(b, indices, k), component(b, indices, 1 - k)
        along = None if rows is None or others is None else runs_along(rows, x.aval.shape[axis])
        if along is not None and along not in places.indices_batch:
            places = places._replace(
                collapsed=tuple([a for a in places.collapsed if a != axis]),
                batch=(*places.batch, axis),
                indices_batch=(*places.indices_batch, along),
                index_map=(places.index_map[1 - k],),
            )
            indices = b.reshape(others, (*others.aval.shape, 1))
            return b.make(spec.primitive, x, indices, **{**params, "places": places})
    return None


def gather_first(b, spec, inputs):
    """gather(f(x, y)) is f(gather(x), gather(y))."""
    (f, indices), params, places = inputs, spec.params, spec.params["places"]
    if places.window or not is_elementwise(f.spec.primitive) or 2 * spec.aval.size > f.aval.size or b.depth > _DEEPEST:
        return None
    if params["mode"] != "clip":
        nan_stays = f.spec.primitive.name in _NAN_STAYS
        if params["mode"] != "fill" or not nan_stays or any(kind(x.aval) != "float" for x in f.inputs):
            return None
    if not all(_is_full_or_per_row(x.aval.shape, f.aval.shape, places) for x in f.inputs):
        return None
    b.depth += 1
    operands = []
    for x in f.inputs:
        if x.aval.shape == f.aval.shape:
            operands.append(b.make(spec.primitive, x, indices, **params))
        else:
            operands.append(_per_place(b, x, f.aval.shape, places, spec.aval.ndim))
    b.depth -= 1
    return b.spread(b.like(f.spec, *operands), spec.aval.shape)


def _is_full_or_per_row(sizes, full, places):
    """True for operands of full shape, and for those that do not vary along the axes that are indexed."""
    sizes = (1,) * (len(full) - len(sizes)) + sizes
    return sizes == full or all(sizes[axis] == 1 for axis in places.index_map)


def _per_place(b, x, full, places, ndim):
    """x, which varies along the paired axes only, laid out along those axes of the places."""
    if not x.aval.shape:
        return x
    sizes = (1,) * (len(full) - x.aval.ndim) + x.aval.shape
    axes = sorted(range(len(places.batch)), key=lambda i: places.batch[i])  # in the order of the axes of x
    x = b.reshape(x, tuple([sizes[places.batch[i]] for i in axes]))
    order = tuple(sorted(range(len(axes)), key=lambda i: places.indices_batch[axes[i]]))
    x = b.transpose(x, order)
    to = [1] * ndim
    for i, a in zip(sorted(places.indices_batch), range(x.aval.ndim)):
        to[i] = x.aval.shape[a]
    return b.reshape(x, tuple(to))


RULES = {"gather": [rows_as_batch, gather_first]}
gathers = local_pass(RULES)
