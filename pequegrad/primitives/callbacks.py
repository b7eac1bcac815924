"""Calls of Python functions while a program runs. What they return is not looked into: no derivatives."""

import numpy as np

from ..core.errors import ArgumentError, GradientError, MappingError
from ..core.node import state
from ..runtime import library
from .base import primitive
from .held import zeros
from .shape import add_batch_axis, expand_leading

VMAP_METHODS = ("sequential", "expand_dims", "broadcast_all", "legacy_vectorized", None)


class Callback:
    """A function from NumPy arrays to a list of NumPy arrays, as the runtime calls it."""

    def __init__(self, function, name, has_effect):
        self.function, self.name, self.has_effect = function, name, has_effect

    def prepared(self, spec):
        """What an operation made for `spec` calls."""
        avals = spec.outputs

        def called(*arrays):
            # the program runs later than the function was traced, perhaps while another one is
            saved = state.frame, state.flags_mask, state.gradient_frames
            state.frame, state.flags_mask, state.gradient_frames = None, ~0, 0
            try:
                results = self.function(*arrays)
            finally:
                state.frame, state.flags_mask, state.gradient_frames = saved
            return [self._checked(r, aval) for r, aval in zip(results, avals)]

        return library.HostFunction(called, spec.device, avals)

    def _checked(self, result, aval):
        result = np.asarray(result)
        if result.shape != aval.shape or not np.can_cast(result.dtype, aval.dtype, "same_kind"):
            raise ArgumentError(
                f"The callback {self.name} returned {result.dtype.name}{list(result.shape)}, it promised {aval}.",
                fix="correct the function, or the result type that is given with it.",
            )
        return result.astype(aval.dtype, copy=False)

    def one_by_one(self, flags, n_results):
        """The callback for a batch, called for one example after the other: what it does to an example is its own."""

        def each(*arrays):
            size = next(a.shape[0] for a, f in zip(arrays, flags) if f)
            rows = [self.function(*[a[i] if f else a for a, f in zip(arrays, flags)]) for i in range(size)]
            return [np.stack([np.asarray(row[k]) for row in rows]) for k in range(n_results)]

        return Callback(each, self.name, self.has_effect)


@primitive
class host_call:
    """The results, of the types `avals`, of a Python function; vmap: how it is applied to a batch"""

    transient = True

    def infer(*operands, callback, avals, vmap, device):
        return avals

    def effects(*, callback, avals, vmap, device):
        return callback.has_effect

    def jvp(primals, tangents, out, *, callback, avals, vmap, device):
        if not avals:
            return None
        raise GradientError(
            f"The callback {callback.name} has no derivative.",
            fix="give it one: call it inside a function with custom_jvp or custom_vjp; or stop_gradient its operands.",
        )

    def batch_with_axis(inputs, batched, axis, *, callback, avals, vmap, device):
        if not any(batched):
            return None
        wide = tuple(aval.update(shape=(axis.size, *aval.shape)) for aval in avals)
        if not axis.size:
            return tuple(map(zeros, wide)), (True,) * len(avals)
        if vmap == "sequential":
            callback = callback.one_by_one(tuple(batched), len(avals))
        elif vmap == "broadcast_all":
            inputs = [x if b else add_batch_axis(x, axis.size) for x, b in zip(inputs, batched)]
        elif vmap is None:
            raise MappingError(
                f"The callback {callback.name} does not say what vmap does with it.",
                fix="give pure_callback a vmap_method.",
            )
        elif vmap == "expand_dims":
            inputs = [x if b else expand_leading(x, 0, 1) for x, b in zip(inputs, batched)]
        return host_call(*inputs, callback=callback, avals=wide, vmap=vmap, device=device), (True,) * len(avals)

    def lower(*operands, callback, avals, vmap, device):
        return "host_call", (callback,)
