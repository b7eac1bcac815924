"""Gradient accumulation: several small batches make one step."""

from ..core.errors import ArgumentError
from ..core.node import guard, state
from ..ops.creation import full
from ..primitives.elementwise import convert_to
from ..transforms.control_flow import cond
from ..transforms.gradients import no_grad
from .optimizer import Optimizer
from .update import counter, give, working_dtype


class Accumulate:
    """An optimiser whose every `steps`-th step is one: with the mean of the gradients since the last.

    A gradient that is None adds nothing; a parameter that never had one stays as it is. It has step, state_dict and load_state_dict; lr, steps (those taken) and options are the optimiser's: accumulate.optimizer.

    >>> w = Tensor([1.0])
    >>> optimizer = optim.Accumulate(optim.SGD([w], lr=1.0), steps=2)
    >>> optimizer.step([Tensor([0.5])]); w.item()
    1.0
    >>> optimizer.step([Tensor([0.1])]); round(w.item(), 6)
    0.7
    """

    def __init__(self, optimizer, steps):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"Accumulate takes an optimiser, not a {type(optimizer).__name__}.")
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ArgumentError(f"Accumulate: steps = {steps!r} is not an int >= 1.")
        self.optimizer, self.every = optimizer, steps
        self.count = counter(optimizer.device)  # gradients in `sums`
        self.sums = [full(p.shape, 0.0, working_dtype(p.dtype), p.device) for p in optimizer.parameters]
        self._used = frozenset()  # the parameters that ever had a gradient

    @property
    def parameters(self):
        """All parameters, in the order of gradients."""
        return self.optimizer.parameters

    @property
    def steps(self):
        """How many steps the optimiser took, a 0-d tensor."""
        return self.optimizer.steps

    @property
    def lr(self):
        """The optimiser's learning rate."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value):
        self.optimizer.lr = value

    def step(self, gradients):
        """Adds the gradients; if they are the last of `steps`, the optimiser takes a step with the means."""
        gradients = self.optimizer.checked(gradients)
        self._used = self._used | {i for i, g in enumerate(gradients) if g is not None}
        with no_grad():
            given = [(s, s + convert_to(g, s.dtype)) for s, g in zip(self.sums, gradients) if g is not None]
            give([(self.count, self.count + 1), *given])
            due = self.count == self.every
            if state.frame is not None:
                cond(due, self._apply, lambda: None)
            elif due.item():
                self._apply()

    def _apply(self):
        used = guard(self, "_used")
        self.optimizer.step([s / self.every if i in used else None for i, s in enumerate(self.sums)])
        give([(self.count, self.count * 0), *((s, full(s.shape, 0.0, s.dtype, s.device)) for s in self.sums)])

    # ---- saving and loading ------------------------------------------------------------------------

    def state_dict(self):
        """{"count", "sums": a list of tensors, "optimizer": the optimiser's state_dict()}."""
        sums = [s.detach() for s in self.sums]
        return {"count": self.count.detach(), "sums": sums, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, saved):
        """Continues from a state_dict() (arrays may stand for tensors); returns this object."""
        from .loading import load_sums

        return load_sums(self, saved)
