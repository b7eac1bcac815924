"""jax.debug: prints, callbacks and breakpoints inside of traced functions."""

import builtins
import functools
import itertools
import logging

from ..core.errors import ArgumentError
from ..core.node import face
from ..transforms import callbacks
from ..transforms.tree import flatten
from .transforms import with_arrays

__all__ = ["breakpoint", "callback", "inspect_array_sharding", "log", "print", "visualize_array_sharding"]


def callback(callback=None, *args, ordered=False, partitioned=False, **kwargs):
    """Calls callback(*args, **kwargs) with the values of the arguments whenever this point of a program is run.

    Without a callback: this function with the options, a decorator.
    """
    if callback is None:
        return functools.partial(_callback, *args, ordered=ordered, partitioned=partitioned, **kwargs)
    if not callable(callback):
        raise TypeError(
            f"first argument to jax.debug.callback must be callable, but got an object of type {type(callback)}"
        )
    with face(True):
        callbacks.debug_callback(with_arrays(callback), *args, **kwargs)


_callback = callback


def print(fmt=None, *args, ordered=False, partitioned=False, skip_format_check=False, _use_logging=False, **kwargs):
    """Prints fmt.format(*args, **kwargs) with the values of the arguments whenever this point of a program is run.

    Without fmt: this function with the options.
    """
    if fmt is None:
        return functools.partial(
            print, *args, ordered=ordered, skip_format_check=skip_format_check, _use_logging=_use_logging
        )
    if not isinstance(fmt, str):
        raise TypeError(f"first argument to jax.debug.print must be a string, but got an object of type {type(fmt)}")
    if not skip_format_check:
        _check_format(fmt, args, kwargs)

    def show(*args, **kwargs):
        text = fmt.format(*map(_shown, args), **{key: _shown(value) for key, value in kwargs.items()})
        if _use_logging:
            logging.getLogger("jax").info(text)
        else:
            builtins.print(text, flush=True)

    show.__name__ = f"debug.print({fmt!r})"
    callback(show, *args, **kwargs)


def log(fmt=None, *args, ordered=False, partitioned=False, skip_format_check=False, _use_logging=True, **kwargs):
    """As print, to the logger "jax"."""
    return print(fmt, *args, ordered=ordered, skip_format_check=skip_format_check, _use_logging=_use_logging, **kwargs)


def _check_format(fmt, args, kwargs):
    """ValueError if the text does not name all arguments (often an f-string was written by mistake); other errors if it names more."""
    used, places = set(), itertools.count()
    for name in _fields(fmt):
        name = name.split(".")[0].split("[")[0] or str(next(places))
        used.add(name)
        if name.isdigit():
            args[int(name)]  # noqa: B018  IndexError
        else:
            kwargs[name]  # noqa: B018  KeyError
    if unused := sorted(({str(i) for i in range(len(args))} | set(kwargs)) - used):
        raise ValueError(
            f"Unused arguments to debug.print: {', '.join(unused)}. If the message was an f-string, write '{{}}' and pass the values."
        )


def _fields(fmt):
    """The names in a format string, those in format specifications, too."""
    import string

    for _, name, spec, _ in string.Formatter().parse(fmt):
        if name is not None:
            yield name
            yield from _fields(spec)


def _shown(x):
    """0-d arrays as scalars, which know format specifications."""
    return x[()] if getattr(x, "shape", None) == () and hasattr(x, "item") else x


def breakpoint(*, backend=None, filter_frames=True, num_frames=None, ordered=False, token=None, **kwargs):
    """Enters pdb whenever this point of a program is run; keyword arguments are the values to look at, `values` in pdb."""

    def enter(**values):
        builtins.breakpoint()

    callback(enter, **kwargs)
    return token


def visualize_array_sharding(arr, **kwargs):
    """Prints which device holds which part of an array of one or two axes: a box."""
    if arr.ndim not in (1, 2):
        raise ValueError("`visualize_array_sharding` only supports 1D and 2D arrays.")
    label = f"  {arr.device.platform.upper()} {arr.device.id}  "
    height = 1 if arr.ndim == 1 else 3
    rows = [label if i == height // 2 else " " * len(label) for i in range(height)]
    line = "\u2500" * len(label)
    builtins.print("\n".join([f"\u250c{line}\u2510", *(f"\u2502{row}\u2502" for row in rows), f"\u2514{line}\u2518"]))


def inspect_array_sharding(value, *, callback):
    """Calls callback(sharding) for the array `value`."""
    from .placement import devices
    from .shaped import SingleDeviceSharding

    if not flatten(value)[0]:
        raise ArgumentError("inspect_array_sharding takes an array.")
    callback(SingleDeviceSharding(devices()[0]))
