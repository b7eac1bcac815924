"""A rule applied to all parameters of a step, whichever face they came through.

Parameters of 16 bits (float16, bfloat16) are trained in float32: their slots are float32, and the slot `master` holds the
parameter itself in float32, since steps of less than 1/256 of a bfloat16 number would round to nothing. The parameter is
`master` rounded. Where somebody gave it another value (a loaded file, a clipped weight), that value counts.
"""

from types import SimpleNamespace

import numpy as np

from ..core.dtype import dt, is_float
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..core.evaluate import evaluate
from ..core.node import ARRAY, state
from ..core.tensor import Tensor, wrap
from ..ops.arithmetic import where
from ..ops.creation import full, scalar
from ..primitives.elementwise import convert_to
from .options import checked


def working_dtype(dtype):
    """The dtype in which a parameter is updated."""
    return dt.float32 if dtype.itemsize < 4 else dtype


def new_slots(rule, p, options):
    """The slots of a parameter before the first step."""
    dtype = working_dtype(p.dtype)
    slots = {
        name: _of_face(full(shape, value, dtype, p.device), p)
        for name, (shape, value) in rule.slots_of(p.shape, options).items()
    }
    if dtype != p.dtype:
        slots["master"] = convert_to(p.detach(), dtype)
    return slots


def updated(rule, parameters, gradients, slots, t, lr, options):
    """(new parameters, new slots), lists. Where the gradient is None, both stay.

    t: number of this step, from 1, and lr: 0-d tensors. options: all those of the rule.
    """
    options = dict(options)
    sign = -1 if options.pop("maximize") else 1
    numbers = rule.numbers_of(convert_to(t, dt.float64), convert_to(lr, dt.float64), options)
    by_dtype, results = {}, []
    for p, g, kept in zip(parameters, gradients, slots):
        if g is None:
            results.append((p, kept))
            continue
        dtype = working_dtype(p.dtype)
        if dtype not in by_dtype:
            by_dtype[dtype] = SimpleNamespace(**{name: convert_to(x, dtype) for name, x in numbers.items()})
        g = convert_to(g, dtype)
        value, new = rule.update(_precise(p, kept), g if sign > 0 else -g, kept, by_dtype[dtype], **options)
        results.append((convert_to(value, p.dtype), _kept(value, kept, new)))
    return [p for p, _ in results], [kept for _, kept in results]


def _precise(p, slots):
    """The parameter in the dtype in which it is updated."""
    precise = convert_to(p, working_dtype(p.dtype))
    if "master" not in slots:
        return precise
    master = slots["master"]
    return where(convert_to(master, p.dtype) == p, master, precise)


def _kept(value, old, new):
    """All slots after a step, in the dtypes they had. Those that the rule did not use stay."""
    new = {name: convert_to(new.get(name, before), before.dtype) for name, before in old.items()}
    if "master" in old:
        new["master"] = convert_to(value, old["master"].dtype)
    return new


def give(changes):
    """Gives handles new values, in the dtypes they have, computed at once unless this is traced; changes: (handle, value) pairs."""
    changes = [(handle, convert_to(value, handle.dtype)) for handle, value in changes]
    if state.frame is None:
        evaluate([value._node for _, value in changes], drop_history=True)
    for handle, value in changes:
        handle._rebind(value._node)


# ---- what comes in -------------------------------------------------------------------------------------


def checked_parameter(who, p):
    """`p`; ArgumentError or DtypeError unless it is a tensor of real floating dtype."""
    if not isinstance(p, Tensor):
        raise ArgumentError(
            f"{who}: a parameter is a {type(p).__name__}, not a Tensor.", fix="pass model.parameters()."
        )
    if not is_float(p.dtype):
        raise DtypeError(
            f"{who}: a parameter is {p._node.aval}; only floating dtypes are trained.", fix="leave it out."
        )
    return p


def changeable_parameter(who, p):
    """checked_parameter, and no Array."""
    if checked_parameter(who, p)._node.flags & ARRAY:
        raise ArgumentError(
            f"{who}: a parameter is an Array, whose value cannot change.",
            fix="use the functions of trees, state, params = optim.adam(params, grads, state), or Tensors.",
        )
    return p


def check_gradient(who, name, g, p):
    """Raises unless g is None or fits the parameter p."""
    if g is None:
        return
    if not isinstance(g, Tensor):
        raise ArgumentError(f"{who}: gradient {name} is a {type(g).__name__}, not a Tensor.")
    if not is_float(g.dtype):
        raise DtypeError(f"{who}: gradient {name} is {g._node.aval}, not of floating dtype.")
    if g.shape != p.shape:
        raise ShapeError(f"{who}: gradient {name} has shape {list(g.shape)}, its parameter {list(p.shape)}.")


def rate_tensor(who, value, device):
    """A learning rate (number or 0-d tensor) as a 0-d float64 tensor, which has all digits of a Python number."""
    if not isinstance(value, Tensor):
        return scalar(_rate_number(who, value), dt.float64, device)
    if value.shape or not (is_float(value.dtype) or value.dtype.kind in "iu"):
        raise ArgumentError(f"{who}: lr is {value._node.aval}, not one number.")
    return convert_to(value, dt.float64)


def rate_handle(who, value, device, like=None):
    """A learning rate in a tensor of its own, which may be given other values: no constant, which programs would contain."""
    if isinstance(value, Tensor):
        return _of_face(rate_tensor(who, value, device).detach(), like)
    return _of_face(full((), _rate_number(who, value), dt.float64, device), like)


def _rate_number(who, value):
    if hasattr(value, "__array__") and np.ndim(value) == 0:
        value = np.asarray(value).item()
    return float(checked(who, "lr", value))


def counter(device, like=None):
    """A 0-d int32 tensor with value 0."""
    return _of_face(full((), 0, dt.int32, device), like)


def _of_face(x, like):
    """The new tensor x, as an Array of jax_api if `like` is one."""
    if like is not None:
        x._node.flags |= like._node.flags & ARRAY
    return wrap(x._node)
