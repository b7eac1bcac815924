"""Averages of parameters over steps."""

import contextlib

from ..core.errors import ArgumentError
from ..core.evaluate import evaluate
from ..core.node import guard, state
from ..core.tensor import Tensor
from ..primitives.elementwise import convert_to
from ..transforms.gradients import no_grad
from ..transforms.tree import flatten, tree_map
from .options import checked
from .update import changeable_parameter, checked_parameter, give, working_dtype


class EMA:
    """Exponential moving averages of parameters, often better than the last ones: average = decay * average + (1 - decay) * p.

    They begin as the parameters are now; those of 16-bit parameters are float32.

    >>> w = Tensor([1.0])
    >>> ema = optim.EMA([w], decay=0.9)
    >>> optim.SGD([w], lr=1.0).step([Tensor([1.0])])
    >>> ema.update()
    >>> with ema.applied():
    ...     w.numpy()
    array([0.9], dtype=float32)
    >>> w.numpy()
    array([0.], dtype=float32)
    """

    def __init__(self, parameters, decay=0.999):
        if isinstance(parameters, (Tensor, dict)) or not hasattr(parameters, "__iter__"):
            raise ArgumentError(
                f"EMA takes a list of tensors, not a {type(parameters).__name__}.", fix="pass model.parameters()."
            )
        self.parameters = [changeable_parameter("EMA", p) for p in parameters]
        self.decay = checked("EMA", "decay", decay)
        self.averages = ema_init(self.parameters)

    def update(self):
        """Lets the parameters, as they are now, into the averages."""
        with no_grad():
            new = _mixed(self.averages, self.parameters, checked("EMA", "decay", guard(self, "decay")))
            give(zip(self.averages, new))

    @contextlib.contextmanager
    def applied(self):
        """Context manager: inside, the parameters have the values of the averages."""
        before = [p.detach() for p in self.parameters]
        try:
            with no_grad():
                give(zip(self.parameters, self.averages))
            yield self
        finally:
            with no_grad():
                give(zip(self.parameters, before))

    def state_dict(self):
        """{"decay": number, "averages": list of tensors}; later updates do not change it."""
        return {"decay": self.decay, "averages": [a.detach() for a in self.averages]}

    def load_state_dict(self, saved):
        """Continues from a state_dict() (arrays may stand for tensors); returns the EMA."""
        from .loading import load_averages

        return load_averages(self, saved)


def ema_init(params):
    """Averages to begin with: a tree like params, which it is a copy of (float32 for 16-bit floats).

    >>> averages = optim.ema_init({"w": Tensor([1.0])})
    >>> optim.ema(averages, {"w": Tensor([0.0])}, decay=0.9)["w"].item()  # doctest: +ELLIPSIS
    0.8999...
    """
    copied = lambda p: convert_to(checked_parameter("ema_init", p).detach(), working_dtype(p.dtype))
    return tree_map(copied, params)


def ema(averages, params, decay=0.999):
    """decay * averages + (1 - decay) * params, a tree. decay: a number in [0, 1], or a 0-d tensor.

    >>> optim.ema([Tensor([1.0])], [Tensor([0.0])], decay=0.5)[0].item()
    0.5
    """
    if not isinstance(decay, Tensor):
        checked("ema", "decay", decay)
    leaves, structure = flatten(averages)
    others, other_structure = flatten(params)
    if other_structure != structure:
        raise ArgumentError(
            f"ema: averages have the structure {structure}, params {other_structure}.",
            fix="begin with ema_init(params).",
        )
    new = _mixed(leaves, others, decay)
    if not state.open:
        evaluate([x._node for x in new], drop_history=True)
    return structure.unflatten(new)


def _mixed(averages, parameters, decay):
    return [convert_to(a * decay + convert_to(p, a.dtype) * (1 - decay), a.dtype) for a, p in zip(averages, parameters)]
