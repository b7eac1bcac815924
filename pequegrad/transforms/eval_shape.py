"""eval_shape: what a function would return, without computing it."""

from ..core.node import make_aval
from ..core.tensor import Tensor
from ..ops.creation import as_tensor
from .callbacks import ShapeDtypeStruct
from .trace import place_of, trace
from .tree import flatten


def eval_shape(function, *args, **kwargs):
    """The tree of ShapeDtypeStruct that function(*args, **kwargs) would return; nothing is computed.

    The leaves of the arguments are tensors, arrays, numbers, or ShapeDtypeStruct.

    >>> eval_shape(lambda a, b: a @ b, ShapeDtypeStruct((2, 3), "float32"), ShapeDtypeStruct((3, 4), "float32"))
    ShapeDtypeStruct(shape=(2, 4), dtype=float32)
    """
    leaves, structure = flatten((args, kwargs))
    place = place_of(leaves)
    avals = [_aval(leaf, place) for leaf in leaves]

    def call(tensors):
        args, kwargs = structure.unflatten(tensors)
        return function(*args, **kwargs)

    name = getattr(function, "__name__", type(function).__name__)
    graph, out_structure, _ = trace("eval_shape", name, avals, call)
    return out_structure.unflatten(
        [ShapeDtypeStruct(aval.shape, aval.dtype) for aval in graph.avals[: len(graph.outputs)]]
    )


def _aval(leaf, place):
    if isinstance(leaf, ShapeDtypeStruct):
        return make_aval(leaf.shape, leaf.dtype, place)
    return (leaf if isinstance(leaf, Tensor) else as_tensor(leaf, place))._node.aval
