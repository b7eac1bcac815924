"""A loss scale that finds its size: small float16 gradients would be zero without one."""

from functools import reduce

from ..core.errors import ArgumentError
from ..core.tensor import Tensor, tensor_from_numpy
from ..ops.arithmetic import minimum, where
from ..ops.creation import full
from ..ops.special import logical_and
from ..primitives import mathematical as m
from ..primitives.elementwise import convert_to
from ..primitives.reduction import reduce_and
from ..transforms.gradients import no_grad


class LossScale:
    """A factor on the loss that halves when gradients overflow, and doubles after `interval` good steps. Works inside jit.

    initial: the first factor; growth, backoff: what it is multiplied by after good steps, and after an overflow.

    >>> scale = optim.LossScale()
    >>> def step(x, y):
    ...     loss = mixed_loss(model, x, y)
    ...     scale.step(adam, pg.grads(model.parameters(), scale(loss)))
    ...     return loss
    """

    def __init__(self, initial=2.0**15, growth=2.0, backoff=0.5, interval=2000, device=None):
        for name, value, good in (
            ("initial", initial, initial > 0), ("growth", growth, growth >= 1), ("backoff", backoff, 0 < backoff < 1),
            ("interval", interval, isinstance(interval, int) and interval >= 1),
        ):  # fmt: skip
            if not good:
                raise ArgumentError(f"LossScale: {name}={value!r} is out of range.")
        self.growth, self.backoff, self.interval = growth, backoff, interval
        self.scale = full((), float(initial), device=device)
        self.good_steps = full((), 0, device=device)

    def __call__(self, loss):
        """The loss times the factor."""
        return loss * convert_to(self.scale, loss.dtype)

    def unscaled(self, gradients):
        """(the gradients divided by the factor, in float32; a 0-d bool tensor: all of them are finite)"""
        gradients = [convert_to(g, self.scale.dtype) for g in gradients]
        finite = [
            reduce_and(m.is_finite(g), axes=tuple(range(g.ndim))) if g.ndim else m.is_finite(g) for g in gradients
        ]
        return [g / self.scale for g in gradients], reduce(logical_and, finite)

    def update(self, finite):
        """Changes the factor by whether the gradients of a step were finite."""
        with no_grad():
            good = self.good_steps + 1
            grows = good >= self.interval
            largest = 2.0**127  # of powers of two in float32
            new = where(
                finite, where(grows, minimum(self.scale * self.growth, largest), self.scale), self.scale * self.backoff
            )
            count = where(logical_and(finite, ~grows), good, 0)
            for handle, value in ((self.scale, new), (self.good_steps, count)):
                handle._rebind(convert_to(value, handle.dtype)._node)

    def step(self, optimizer, gradients):
        """A step of the optimiser with gradients of the scaled loss, if they are finite; then update."""
        gradients, finite = self.unscaled(gradients)
        optimizer.step(gradients, when=finite)
        self.update(finite)

    def state_dict(self):
        """The factor and the count of good steps."""
        return {"scale": self.scale.detach(), "good_steps": self.good_steps.detach()}

    def load_state_dict(self, saved):
        """Goes on from a state_dict(); returns the loss scale."""
        for name in ("scale", "good_steps"):
            handle, value = getattr(self, name), saved[name]
            data = value.numpy() if isinstance(value, Tensor) else value
            handle._rebind(convert_to(tensor_from_numpy(data, handle.device), handle.dtype).eval()._node)
        return self
