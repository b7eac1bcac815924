"""jax.jit."""

import functools
import weakref

from ..core.errors import ArgumentError
from ..transforms import jit as core
from .configuration import config

_functions = weakref.WeakSet()


class Jitted(core.jit):
    """A function that runs as one program; its arguments are Arrays. Made by jax_api.jit."""

    arrays = True

    def __init__(self, function, **options):
        super().__init__(function, **options)
        self.__wrapped__ = function
        _functions.add(self)

    def __call__(self, *args, **kwargs):
        if config.jax_disable_jit:
            return self.function(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _key(self, args, kwargs):
        key, traced, static = super()._key(args, kwargs)
        return (*key, config.jax_enable_x64), traced, static


def _forget_quick_ways(_):
    """The quick ways to a program do not look at switches."""
    for function in list(_functions):
        function.known.clear()
        function.straight = None


config.on_change("jax_enable_x64", _forget_quick_ways)


def jit(fun=None, /, *, static_argnums=None, static_argnames=None, donate_argnums=None, donate_argnames=None,
        keep_unused=False, device=None, backend=None, inline=False, in_shardings=None, out_shardings=None,
        compiler_options=None):  # fmt: skip
    """A function that is traced once for each kind of arguments and then runs as one program; as jax.jit."""
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
        )  # fmt: skip
    if not callable(fun):
        raise ArgumentError(f"jit takes a function, got {type(fun).__name__}.")
    return Jitted(
        fun,
        static_argnums=() if static_argnums is None else static_argnums,
        static_argnames=() if static_argnames is None else static_argnames,
        donate_argnums=() if donate_argnums is None else donate_argnums,
    )
