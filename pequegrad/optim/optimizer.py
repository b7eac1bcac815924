"""Optimisers: they hold tensors and give them new values from gradients."""

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.evaluate import evaluate
from ..core.node import guard, state
from ..core.tensor import Tensor, tensor_from_numpy
from ..ops.creation import full, zeros_like
from ..primitives.elementwise import convert_to
from ..transforms.gradients import no_grad


class Optimizer:
    """Base of all optimisers: step(gradients) changes the parameters it was made with.

    A subclass names its state tensors per parameter in `slots` and defines update().
    """

    slots = ()  # names of the tensors kept for each parameter, zeros at the start

    def __init__(self, parameters, lr):
        if isinstance(parameters, Tensor) or not hasattr(parameters, "__iter__"):
            raise ArgumentError(
                f"{type(self).__name__} takes a list of tensors, not a {type(parameters).__name__}.",
                fix="pass model.parameters().",
            )
        self.parameters = list(parameters)
        if not self.parameters:
            raise ArgumentError(f"{type(self).__name__}: there are no parameters.", fix="pass model.parameters().")
        for p in self.parameters:
            if not isinstance(p, Tensor):
                raise ArgumentError(
                    f"{type(self).__name__}: a parameter is a {type(p).__name__}, not a Tensor.",
                    fix="pass model.parameters().",
                )
        self.device = self.parameters[0].device
        self._lr = None
        self.lr = lr
        self.steps = full((), 0.0, device=self.device)  # a tensor, so that jit counts, too
        self.state = [{name: zeros_like(p) for name in self.slots} for p in self.parameters]

    @property
    def lr(self):
        """The step size: a 0-d tensor, so that a schedule (`optimizer.lr = 0.01`) reaches compiled steps without tracing."""
        return self._lr

    @lr.setter
    def lr(self, value):
        if not isinstance(value, Tensor):
            if not isinstance(value, (int, float)) or not value >= 0:
                raise ArgumentError(f"{type(self).__name__}: lr = {value!r} is not a number >= 0.")
            # weak: takes the dtype of what it scales; float64: all its digits until then
            value = tensor_from_numpy(np.asarray(value, np.float64), self.device, weak_type=True)
        if self._lr is None:
            self._lr = value
        else:
            self._lr._rebind(value._node)

    def update(self, p, g, state, t):
        """(new value of p, new state) for the gradient g at step t (a 0-d tensor, 1 at the first step)."""
        raise NotImplementedError

    def step(self, gradients):
        """Changes the parameters by one step. `gradients`: one tensor per parameter, in their order.

        Graphs built before keep the old values. Outside of traced functions the new values are computed at once.
        """
        gradients = list(gradients)
        if len(gradients) != len(self.parameters):
            raise ArgumentError(
                f"{type(self).__name__}.step: {len(gradients)} gradients for {len(self.parameters)} parameters.",
                fix="pass grads(model.parameters(), loss).",
            )
        for i, (p, g) in enumerate(zip(self.parameters, gradients)):
            if not isinstance(g, Tensor):
                raise ArgumentError(f"{type(self).__name__}.step: gradient {i} is a {type(g).__name__}, not a Tensor.")
            if g.shape != p.shape:
                raise ShapeError(
                    f"{type(self).__name__}.step: a gradient has shape {list(g.shape)}, its parameter {list(p.shape)}."
                )
        with no_grad():
            t = self.steps + 1.0
            changed = [(self.steps, t)]
            for p, g, slots in zip(self.parameters, gradients, self.state):
                new, new_slots = self.update(p, convert_to(g, p.dtype), slots, t)
                changed.append((p, new))
                changed += [(slots[name], value) for name, value in new_slots.items()]
            changed = [(handle, convert_to(value, handle.dtype)) for handle, value in changed]
            if state.frame is None:
                evaluate([value._node for _, value in changed], drop_history=True)
            for handle, value in changed:
                handle._rebind(value._node)

    def hyperparameter(self, name):
        """The value of an attribute; a jitted step is traced anew when it changes."""
        return guard(self, name)
