"""Reductions and running reductions of axes with one element compute nothing, or next to it."""

from ...primitives import elementwise as e
from .rewriting import kind, local_pass

# of one real element they give that element, also of -0.0; sums begin with 0.0, so they add it
_SELECTIVE = ("reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "cumprod", "cummax", "cummin")


def _one_element(b, x, spec):
    of = kind(x.aval)
    if of in ("integer", "bool") or (of == "float" and spec.primitive.name in _SELECTIVE):
        return x
    if spec.primitive.name in _SELECTIVE:  # the product with complex 1
        return None
    return b.make(e.add, x, b.number(0, x.aval))


def reduce_(b, spec, inputs):
    """A reduction over axes of size 1 is a reshape (a sum: plus 0.0)."""
    (x,), axes = inputs, spec.params["axes"]
    if any(x.aval.shape[a] != 1 for a in axes):
        return None
    element = _one_element(b, x, spec)
    return element and b.reshape(element, spec.aval.shape)


def cumulative(b, spec, inputs):
    (x,) = inputs
    return _one_element(b, x, spec) if x.aval.shape[spec.params["axis"]] == 1 else None


RULES = {
    **{f"reduce_{name}": [reduce_] for name in ("sum", "max", "min", "prod", "and", "or")},
    **{name: [cumulative] for name in ("cumsum", "cumprod", "cummax", "cummin")},
}
reductions = local_pass(RULES)
