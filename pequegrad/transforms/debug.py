"""jit(f, debug=True): f runs as if it were not jitted, each operation at once, and the first NaN or infinity is named."""

import threading

import numpy as np

from ..core import dtype as dtypes
from ..core.errors import NonFiniteError
from ..core.evaluate import evaluate
from ..core.node import LINEAR, replaced, state
from ..runtime import library
from .watch import watching


class _Debugging(threading.local):
    active = False  # jitted functions that are called run op by op, too


debugging = _Debugging()

_FIX = "keep its operands where it is finite (clip, where, a small constant), or print them on the line before."
_FIX_INSIDE = "what it runs is one operation here: write the loop or branch in Python while you look for the place."


def run_op_by_op(function, args, kwargs, is_good=np.isfinite):
    """function(*args, **kwargs) with every operation computed when it is made.

    Raises NonFiniteError at the first whose result has a value for which is_good (of an array) is false, a NaN or an
    infinity, while its operands have none.
    """
    was, debugging.active = debugging.active, True
    state.open += 1  # jitted functions take their longer way
    try:
        with watching(lambda node: check_node(node, is_good)):
            return function(*args, **kwargs)
    finally:
        state.open -= 1
        debugging.active = was


def check_node(node, is_good):
    """Computes a node; see run_op_by_op."""
    if node.frame is not None or node.flags & LINEAR:
        return  # traced, or the tangent of a linear function: there is no value
    evaluate((node,), reader="jit(debug=True)")
    results = values_of(node)
    if all(is_good(x).all() for x in results if _is_inexact(x)):
        return
    operands = [x for source in node.inputs for x in values_of(source) if _is_inexact(x)]
    if not all(is_good(x).all() for x in operands):
        return  # it was not finite before
    bad = next(x for x in results if _is_inexact(x) and not is_good(x).all())
    where = tuple(int(i) for i in np.argwhere(~is_good(bad))[0])
    ranges = ", ".join(map(_range, operands))
    raise NonFiniteError(
        f"{node.spec.primitive.name} gives {bad[where]} at {list(where)} of {bad.dtype.name}{list(bad.shape)}.",
        origin=f"finite operands: {ranges}" if ranges else None,
        fix=_FIX_INSIDE if node.spec.primitive.holds_graphs else _FIX,
    )


def values_of(node):
    """The values of a computed node as NumPy arrays, one for each result."""
    value = replaced(node).value
    values = value if type(value) is tuple else (value,)
    return [library.array_to_host(v, aval) for v, aval in zip(values, node.spec.outputs)]


def _range(x):
    text = f"{x.dtype.name}{list(x.shape)}"
    if not x.size or x.dtype.kind == "c":
        return text
    return f"{text} from {float(x.min()):.6g} to {float(x.max()):.6g}"


def _is_inexact(x):
    return dtypes.is_inexact(x.dtype)
