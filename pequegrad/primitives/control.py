"""Primitives that return their operand and matter to transforms only."""

from ..core.errors import TracerError
from ..core.node import LINEAR, TRACKED, Node, leaf, state
from ..core.tensor import wrap
from .base import is_linear, primitive


@primitive
class identity:
    """x. Transforms of functions make one of each argument: a node that no older graph contains."""

    linear = "together"
    forwards = True

    def infer(x):
        return x

    def jvp(primals, tangents, out):
        return tangents[0]

    def transpose(ct, x):
        return (ct,)

    def batch(inputs, batched):
        return inputs[0]

    def lower(x):
        return "alias", ()

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {}


@primitive
class zero_tangent:
    """The zeros x as a tangent: a function that is linear in other tangents is linear in this one, too"""

    forwards = True

    def infer(x):
        return x

    def made(node):
        node.flags |= LINEAR

    def jvp(primals, tangents, out):
        return tangents[0]

    def transpose(ct, x):
        return (ct,)

    def batch(inputs, batched):
        return zero_tangent(inputs[0])

    def lower(x):
        return "alias", ()


@primitive
class stop_gradient:
    """x without history: constant to every derivative"""

    forwards = True

    def infer(x):
        return x

    def jvp(primals, tangents, out):
        return None

    def batch(inputs, batched):
        return stop_gradient(inputs[0])

    def lower(x):
        return "alias", ()

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {}


@primitive
class transfer:
    """x on another device. Not lazy: the value is computed and copied when the node is made."""

    linear = "together"

    def infer(x, *, device):
        return x.update(device=device)

    def jvp(primals, tangents, out, *, device):
        return to_device(tangents[0], device)

    def transpose(ct, x, *, device):
        return (to_device(ct, x.device),)

    def batch(inputs, batched, *, device):
        return to_device(inputs[0], device)

    def samples(rng):
        from ..core.device import Device

        yield (rng.normal(size=(2, 3)),), {"device": Device("cpu", 1)}


def to_device(x, device):
    """`x` on `device`; x itself if it is there. Gradients flow back to the device of x."""
    if x.device is device:
        return x
    if is_linear(x):
        return transfer(x, device=device)  # a tangent has no value to copy, only a transpose
    device.handle  # noqa: B018  a device that is not there is reported before anything is computed
    if state.frame is not None or x._node.frame is not None:
        raise TracerError(
            f"A traced function runs on one device: it cannot move {x._node.aval} from {x.device} to {device}.",
            fix="move the arguments before the call.",
        )
    from ..runtime import library

    node = x._node
    value = library.array_from_host(x.numpy(), device)
    moved = leaf(value, node.aval.update(device=device))
    if node.flags & TRACKED & state.flags_mask:
        spec = transfer.specs.get((node.aval, ("device", device))) or transfer.make_spec(
            (node.aval,), {"device": device}
        )
        moved = Node(spec, (node,))
        moved.value, moved.depth = value, 0
    return wrap(moved)
