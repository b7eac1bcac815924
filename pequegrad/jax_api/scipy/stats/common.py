"""What the distributions share: arguments of one floating dtype, and functions that follow from others."""

import functools

from ... import lax
from ...convert import SCALARS
from ...numpy import promotion


def inexact(name, *args):
    """The arguments as Arrays of their common floating dtype, weakly typed only if all of them are."""
    found = promotion.inexact(name, *args)
    if all(type(x) in SCALARS or getattr(x, "weak_type", False) for x in args):
        return found
    return [promotion.strong(x) for x in found]


def _after(outer, suffix):
    def derived(function, name):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            return outer(function(*args, **kwargs))

        wrapped.__name__ = wrapped.__qualname__ = name
        wrapped.__doc__ = f"The {suffix} of {function.__name__}."
        return wrapped

    return derived


# exp_of(logpdf, "pdf"): a function with the arguments of logpdf
exp_of = _after(lax.exp, "exponential")
log_of = _after(lax.log, "logarithm")

__all__ = ["exp_of", "inexact", "log_of"]
