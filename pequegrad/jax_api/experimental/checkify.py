"""jax.experimental.checkify: checks of values in traced functions, whose outcome is a result.

`check` may stand in jitted functions, loops and branches that the checked one calls, but not in functions that it maps with vmap.
"""

import threading

import numpy as np

from ...core.errors import ArgumentError
from ...core.node import LINEAR, face, state
from ...core.tensor import Tensor, wrap
from ...ops.arithmetic import bitwise_and, where
from ...primitives.control import identity
from ...primitives.elementwise import convert_to
from ...transforms.watch import watching
from .. import numpy as jnp
from ..convert import as_array
from ..tree_util import register_pytree_node, tree_map

__all__ = [
    "Error", "ErrorCategory", "JaxRuntimeError", "all_checks", "automatic_checks", "check", "check_error", "checkify",
    "debug_check", "div_checks", "float_checks", "index_checks", "init_error", "nan_checks", "user_checks",
]  # fmt: skip


class JaxRuntimeError(ValueError):
    """A check failed."""


class FailedCheckError:
    """The kind of errors that `check` finds."""


class NaNError:
    """The kind of errors that nan_checks find."""


class DivisionByZeroError:
    """The kind of errors that div_checks find."""


class OOBError:
    """The kind of errors that index_checks find."""


ErrorCategory = type  # of the kinds above
user_checks = frozenset({FailedCheckError})
index_checks = frozenset({OOBError})
nan_checks = frozenset({NaNError})
div_checks = frozenset({DivisionByZeroError})
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks


class Error:
    """What checks found: a pytree, so that it can be returned by jitted and mapped functions."""

    def __init__(self, checks=()):
        self._checks = tuple(checks)  # (whether it was passed, arguments of the message), the message

    def get(self):
        """The message of the first check that failed, a line for each example if the function was mapped; None if all passed."""
        checks = [((np.asarray(passed), args, kwargs), message) for (passed, args, kwargs), message in self._checks]
        if all(passed.all() for (passed, _, _), _ in checks):
            return None
        batch = max((passed.shape for (passed, _, _), _ in checks), key=len)
        found = [(at, self._first_failed(checks, at)) for at in np.ndindex(*batch)]
        if not batch:
            return found[0][1]
        return "\n".join(f"at mapped index {', '.join(map(str, at))}: {text}" for at, text in found if text is not None)

    @staticmethod
    def _first_failed(checks, at):
        for (passed, args, kwargs), message in checks:
            if not passed[at[: passed.ndim]]:
                shown = lambda x: np.asarray(x)[at[: passed.ndim]]  # noqa: B023
                return message.format(*map(shown, args), **{key: shown(value) for key, value in kwargs.items()})
        return None

    def throw(self):
        """Raises JaxRuntimeError if a check failed."""
        check_error(self)

    def __repr__(self):
        return f"Error({self.get()})"


register_pytree_node(
    Error,
    lambda error: ([values for values, _ in error._checks], tuple(message for _, message in error._checks)),
    lambda messages, values: Error(zip(values, messages)),
)
init_error = Error()


class _Collectors(threading.local):
    stack = ()  # of the checkified functions at work, the innermost first


_collectors = _Collectors()


class _Collector:
    def __init__(self, errors):
        self.errors, self.frame, self.checks = errors, state.frame, []

    def add(self, passed, message, args=(), kwargs=()):
        args, kwargs = tuple(args), dict(kwargs)
        if state.frame is not self.frame:
            passed, *values = self._carried([passed, *args, *kwargs.values()])
            args, kwargs = tuple(values[: len(args)]), dict(zip(kwargs, values[len(args) :]))
        self.checks.append(((passed, args, kwargs), message))

    def found(self):
        """The checks for an Error, with Arrays in place of handles."""
        arrays = lambda values: tree_map(lambda x: wrap(x._node), values)
        return [(arrays(values), message) for values, message in self.checks]

    def _carried(self, values):
        """For a check in the body of a loop or branch, [whether it passes, arguments]: the same of all steps, of the first that fails.

        They are handles of values from outside that the body changes: control flow carries such values.
        """
        if not _is_in_body(state.frame, self.frame):
            raise NotImplementedError(
                "A check in a function that vmap maps: use vmap(checkify(f)), not checkify(vmap(f))."
            )
        values = [convert_to(x, x.dtype) for x in values]
        inner, state.frame = state.frame, self.frame
        try:
            passed, *handles = [_handle(identity(jnp.full(x.shape, i == 0, x.dtype))) for i, x in enumerate(values)]
        finally:
            state.frame = inner
        for handle, value in zip(handles, values[1:]):
            handle._rebind(where(passed, value, handle)._node)
        passed._rebind(bitwise_and(passed, values[0])._node)
        return [passed, *handles]

    def watch(self, node):
        """Adds what automatic checks say of a new operation."""
        if node.flags & LINEAR or type(node.aval) is tuple or not _is_in_body(state.frame, self.frame):
            return
        name = node.spec.primitive.name
        if DivisionByZeroError in self.errors and name in ("div", "floor_divide", "remainder"):
            self.add(jnp.all(wrap(node.inputs[1]) != 0), "division by zero")
        if OOBError in self.errors and name in ("gather", "scatter"):
            self.add(_inside(node), f"out-of-bounds indexing for array of shape {node.inputs[0].aval.shape}")
        if NaNError in self.errors and node.aval.dtype.kind in "fcV" and name not in _HARMLESS:
            self.add(~jnp.any(jnp.isnan(wrap(node))), f"nan generated by primitive: {name}.")


def _handle(x):
    """A Tensor that stands for the Array x; it can be given other values."""
    found = object.__new__(Tensor)
    found._node = x._node
    return found


_BODIES = ("scan", "while_loop", "fori_loop", "cond", "switch", "map")


def _is_in_body(frame, outer):
    """Whether all that is at work in `frame`, up to the one that belongs to `outer`, are loops and branches."""
    while frame is not outer:
        if frame is None or frame.transform not in _BODIES:
            return False
        frame = frame.outer
    return True


def _inside(node):
    """Whether all windows of a gather or scatter lie in the array."""
    places, shape = node.spec.params["places"], node.inputs[0].aval.shape
    indices, sizes = wrap(node.inputs[1]), node.spec.params.get("sizes")
    if sizes is None:
        updates = node.inputs[2].aval.shape
        inside = iter([updates[d] for d in places.window])
        sizes = [1 if i in places.collapsed or i in places.batch else next(inside) for i in range(len(shape))]
    last = np.array([shape[axis] - sizes[axis] for axis in places.index_map], indices.dtype)
    return jnp.all((indices >= 0) & (indices <= last))


_HARMLESS = {"identity", "stop_gradient", "reshape", "transpose", "broadcast_in_dim", "slice", "rev", "convert", "neg"}


def check(pred, msg, *fmt_args, debug=False, **fmt_kwargs):
    """Notes that `pred` must be true, else `msg`, formatted with the other arguments, is the error; outside of checkify it is raised."""
    if not isinstance(msg, str):
        raise ArgumentError(f"check takes a message after the condition, got {msg!r}.")
    passed = as_array(pred, "check")
    if passed.shape or passed.dtype.kind != "b":
        raise TypeError(f"check takes a scalar pred as argument, got {passed._node.aval}.")
    for x in (*fmt_args, *fmt_kwargs.values()):
        if not hasattr(x, "dtype"):
            raise TypeError(f"Formatting arguments to checkify.check must be arrays, but got {x!r} of type {type(x)}.")
    args = [as_array(x, "check") for x in fmt_args]
    kwargs = {key: as_array(value, "check") for key, value in fmt_kwargs.items()}
    if _collectors.stack:
        if FailedCheckError in _collectors.stack[0].errors:
            _collectors.stack[0].add(passed, msg + " (`check` failed)", args, kwargs)
        return
    if debug:
        return
    if passed._node.frame is not None and passed._node.value is None:
        raise ValueError(
            "check in a traced function: make it part of its results with checkify, as in jit(checkify(f))."
        )
    check_error(Error([((passed, args, kwargs), msg + " (`check` failed)")]))


def debug_check(pred, msg, *fmt_args, **fmt_kwargs):
    """check, that does nothing outside of checkify."""
    check(pred, msg, *fmt_args, debug=True, **fmt_kwargs)


def check_error(error):
    """Raises JaxRuntimeError if a check failed; inside of checkify its checks are added."""
    if _collectors.stack:
        for (passed, args, kwargs), message in error._checks:
            _collectors.stack[0].add(jnp.all(passed), message, args, kwargs)
        return
    message = error.get()
    if message is not None:
        raise JaxRuntimeError(message)


def checkify(f, errors=user_checks):
    """A function that gives (Error, f's result). errors: which kinds are looked for, a set such as user_checks | nan_checks."""
    if unknown := frozenset(errors) - all_checks:
        raise NotImplementedError(f"checkify does not look for {unknown}.")

    def checked(*args, **kwargs):
        collector = _Collector(frozenset(errors))
        before, _collectors.stack = _collectors.stack, (collector, *_collectors.stack)
        state.open += 1  # jitted functions take their longer way, which runs them as they are written
        try:
            with face(True):
                if collector.errors & automatic_checks:
                    busy = []

                    def watch(node):
                        if not busy:
                            busy.append(node)
                            try:
                                collector.watch(node)
                            finally:
                                busy.clear()

                    with watching(watch):
                        result = f(*args, **kwargs)
                else:
                    result = f(*args, **kwargs)
        finally:
            state.open -= 1
            _collectors.stack = before
        return Error(collector.found()), result

    return checked


def collecting():
    """True inside of checkify."""
    return bool(_collectors.stack)
