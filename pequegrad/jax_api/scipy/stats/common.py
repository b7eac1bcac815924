"""What the distributions share: arguments of one floating dtype, and functions that follow from others."""

import functools

from ... import lax
from ..special.common import inexact


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
