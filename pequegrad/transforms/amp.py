"""amp: a function in mixed precision. Products and convolutions take and give 16-bit floats, what is sensitive stays in float32."""

import functools

from ..core import dtype as dtypes
from ..core.dtype import dt
from ..core.errors import ArgumentError, DtypeError
from ..core.evaluate import OUTPUT
from ..core.graph import GraphTrace
from ..core.node import is_constant
from ..core.tensor import wrap
from ..primitives.base import rebuild
from ..primitives.elementwise import convert_to
from . import graphs
from .control_flow import through_graph

# What gives 16 bits whatever it gets: nearly all the work of a network, in sums that the kernels keep in float32.
LOW = {"dot_general", "conv_general_dilated", "attention"}
# What takes what it gets: these neither lose digits nor leave the range of the 16-bit floats where their operands do not. (Differences are
# not among them: what is small in softmax or a norm comes from two large numbers.)
FOLLOW = {
    "add", "mul", "neg", "abs", "sign", "max", "min", "clamp", "select", "tanh", "logistic", "erf", "stop_gradient", "checkpoint_name",
    "reshape", "transpose", "broadcast_in_dim", "concatenate", "pad", "slice", "rev", "dynamic_slice", "dynamic_update_slice", "gather",
    "slice_update", "scatter", "reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min", "window_argmax", "window_take", "windows", "sort",
    "argmax", "argmin", "top_k", "eq", "ne", "lt", "le", "gt", "ge", "is_finite", "identity", "copy",
}  # fmt: skip


def amp(function=None, dtype=dt.bfloat16):
    """`function` in mixed precision, as a transform of what it computes: its text, arguments and results keep their dtypes.

    Products, convolutions and attention work on `dtype` (bfloat16 or float16) and give it; what follows from them (activations, sums with
    biases and residuals, pooling, rearrangements) stays in it; exp, log, powers, roots, quotients, all sums and means (so softmax,
    norms, losses) are float32. Only float32 is touched: float64 and what the function itself converts stay. Derivatives of the result
    are in mixed precision, too, those of parameters float32. float16 needs a loss scale: optim.LossScale.

    >>> loss = pg.amp(lambda model, x, y: model(x).cross_entropy_loss_indices(y))
    """
    if function is None:
        return functools.partial(amp, dtype=dtype)
    if not callable(function):
        raise ArgumentError(f"amp takes a function, got {type(function).__name__}.")
    low = dtypes.canonical(dtype)
    if low not in (dt.bfloat16, dt.float16):
        raise DtypeError(f"amp: dtype {low} is not bfloat16 or float16.")

    @functools.wraps(function)
    def mixed(*args, **kwargs):
        apply = lambda graph, operands: replayed(graph, operands, low)
        return through_graph("amp", function, args, kwargs, apply)

    return mixed


def replayed(graph, arguments, low):
    """The results of a closed graph for these arguments, in mixed precision; in the dtypes that it gives without."""
    known = dict(zip(graph.placeholders, arguments))
    for node in graph.nodes:
        inputs = [known[s] if s in known else wrap(s) for s in node.inputs]
        with graphs.as_tracked(node):
            if node.spec.op == OUTPUT:
                known[node] = inputs[0][node.spec.params["index"]]
            else:
                known[node] = _applied(node, inputs, low)
    results = [(known[node] if node in known else wrap(node), node.aval) for node in graph.results]
    return [_as(x, aval.dtype) if x.dtype != aval.dtype else x for x, aval in results]


def _applied(node, inputs, low):
    """What the operation of a node gives for inputs of which some are lower than the node's own."""
    name, params = node.spec.primitive.name, node.spec.params
    if name in LOW and all(aval.dtype == dt.float32 for aval in node.spec.inputs if dtypes.is_inexact(aval.dtype)):
        inputs = [_as(x, low) if x.dtype == dt.float32 else x for x in inputs]
        return node.spec.primitive(*inputs, **{**params, "dtype": low} if "dtype" in params else params)
    if name == "convert" and params["dtype"] == dt.float32 and inputs[0].dtype == low:
        return inputs[0]
    if name in FOLLOW:
        return rebuild(node, _alike(node, inputs, low))
    inputs = [x if x.dtype == aval.dtype else _as(x, aval.dtype) for x, aval in zip(inputs, node.spec.inputs)]
    if any(map(_holds_graph, params.values())):
        params = {key: _mixed_graphs(value, low) for key, value in params.items()}
        return node.spec.primitive(*inputs, **params)
    return rebuild(node, inputs)


def _alike(node, inputs, low):
    """The inputs with the floats among them in one dtype: the low one, unless an operand that is wide is as large as all others."""
    sizes = [x.size for x in inputs if x.dtype == low and not is_constant(x._node)]
    if not sizes:
        return inputs
    wide = [x for x in inputs if x.dtype == dt.float32 and not is_constant(x._node) and x.size >= max(sizes)]
    chosen = dt.float32 if wide else low
    return [_as(x, chosen) if x.dtype in (low, dt.float32) and x.dtype != chosen else x for x in inputs]


def _as(x, dtype):
    return convert_to(x, dtype, x.weak_type)


def _holds_graph(value):
    return isinstance(value[0] if isinstance(value, tuple) and value else value, GraphTrace)


def _mixed_graphs(value, low):
    if isinstance(value, GraphTrace):
        return _mixed(value, low)
    return tuple(_mixed(graph, low) for graph in value) if _holds_graph(value) else value


@graphs.kept
def _mixed(graph, low):
    """The closed graph of a loop, branch or call in mixed precision; its arguments and results keep their dtypes."""
    avals = [node.aval for node in graph.placeholders]
    return graphs.graph_of("amp", avals, lambda *arguments: replayed(graph, arguments, low), "amp")
