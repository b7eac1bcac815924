"""jax.jit."""

import functools
import sys
import weakref
from operator import index

from ..core.errors import ArgumentError
from ..core.node import face
from ..transforms import jit as core
from ..transforms.debug import run_op_by_op
from ..transforms.signatures import signature
from . import configuration
from .configuration import config
from .convert import current_device
from .private import about_to_compile

__all__ = ["clear_caches", "jit"]

_functions = weakref.WeakSet()


class _Default:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


UNSPECIFIED, _NO_FUNCTION = _Default("UnspecifiedValue"), _Default("<not-specified>")


class PjitFunction(core.jit):
    """A function that runs as one program; its arguments are Arrays. Made by jax.jit; libraries know it by the name of its class."""

    arrays = True
    of_values = None  # the function of the values of Refs

    def __init__(self, function, *, donate_argnames=(), **options):
        super().__init__(function, **options)
        self.__wrapped__ = function
        if donate_argnames:
            positional = [p.name for p in signature(function)]
            self.donated = {*self.donated, *(i for i, name in enumerate(positional) if name in donate_argnames)}
        _functions.add(self)

    def _report(self, key):
        """Says why the function is traced again, if that is asked for."""
        if config.jax_explain_cache_misses:
            super()._report(key)

    def _key(self, args, kwargs):
        with face(True):  # trees as JAX has them
            key, traced, static = super()._key(args, kwargs)
        return (*key, config.jax_enable_x64), traced, static

    def _compile(self, key, leaves, static):
        about_to_compile(current_device())
        return super()._compile(key, leaves, static)

    def _call(self, args, kwargs):
        if "pequegrad.jax_api.experimental.checkify" in sys.modules:
            from .experimental.checkify import collecting

            if collecting():  # what is checked inside is a result of the function that is checkified
                return self.function(*args, **kwargs)
        if "pequegrad.jax_api.ref" in sys.modules:
            from . import ref

            if refs := ref.among((args, kwargs)):
                return self._call_with(refs, args, kwargs)
        return super()._call(args, kwargs)

    def _call_with(self, refs, args, kwargs):
        """A call with Refs among the arguments: their values go into the program, and come out as they are in the end."""
        from . import ref

        if len(refs) != len(set(map(id, refs))):
            raise ValueError(f"{self.name}: only one reference to a mutable array may be passed as an argument.")
        if self.of_values is None:

            @functools.wraps(self.function)
            def of_values(*args, **kwargs):
                refs = []
                args, kwargs = ref.refs_of((args, kwargs), refs)
                return self.function(*args, **kwargs), [r[...] for r in refs]

            self.of_values = type(self)(
                of_values, static_argnums=tuple(self.static_positions), static_argnames=tuple(self.static_names)
            )
        args, kwargs = ref.values_of((args, kwargs))
        result, values = self.of_values(*args, **kwargs)
        for one, value in zip(refs, values):
            one._replace(value)
        return result

    # ---- what jax.stages.Wrapped has -----------------------------------------------------------------------

    def trace(self, *args, **kwargs):
        """The function traced for these arguments (or for what has their shapes and dtypes), a jax.stages.Traced."""
        from .stages import traced

        return traced(self, args, kwargs)

    def lower(self, *args, **kwargs):
        """As trace, a jax.stages.Lowered."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args, **kwargs):
        """The tree of ShapeDtypeStructs of the result."""
        return self.trace(*args, **kwargs).out_info

    def _cache_size(self):
        return sum(map(len, self.compiled.values()))


def _run_plainly(self, *args, **kwargs):
    """What calls of jitted functions do while jax_disable_jit, jax_debug_nans or jax_debug_infs is on."""
    if config.jax_disable_jit:
        return self.function(*args, **kwargs)
    checks = configuration.non_finite_checks()
    if checks:
        with face(True):
            from .transforms import arrays_of

            args, kwargs = (
                arrays_of((args, kwargs)) if not (self.static_positions or self.static_names) else (args, kwargs)
            )
            return run_op_by_op(self.function, args, kwargs, checks)
    return core.jit.__call__(self, *args, **kwargs)


def _choose_call(_):
    """Ordinary calls take the way of core.jit without a question; switches put another one in its place."""
    if config.jax_disable_jit or config.jax_debug_nans or config.jax_debug_infs:
        PjitFunction.__call__ = _run_plainly
    elif "__call__" in vars(PjitFunction):
        del PjitFunction.__call__


def _forget_quick_ways(_):
    """The quick ways to a program do not look at switches."""
    for function in list(_functions):
        function.known.clear()
        function.straight = None


def _forget_programs(_):
    """What was traced under other rules of promotion is not used."""
    for function in list(_functions):
        function.clear_cache()


config.on_change("jax_enable_x64", _forget_quick_ways)
config.on_change("jax_numpy_dtype_promotion", _forget_programs)
for _name in ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs"):
    config.on_change(_name, _choose_call)
_choose_call(None)


def clear_caches():
    """Forgets all that was traced and compiled."""
    core.clear_caches()


def jit(fun=_NO_FUNCTION, /, *, in_shardings=UNSPECIFIED, out_shardings=UNSPECIFIED, static_argnums=None, static_argnames=None,
        donate_argnums=None, donate_argnames=None, keep_unused=False, device=None, backend=None, inline=False,
        compiler_options=None):  # fmt: skip
    """A function that is traced once for each kind of arguments and then runs as one program.

    Static arguments are Python values (hashable): the function is traced for each of their values. Donated ones are given up by the
    caller: their memory may serve the results. There is one device, so that shardings, device and backend say nothing.
    """
    if fun is _NO_FUNCTION:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate_argnums=donate_argnums,
            donate_argnames=donate_argnames, device=device, backend=backend,
        )  # fmt: skip
    if not callable(fun):
        raise ArgumentError(f"jit takes a function, got {fun!r}.")
    if _is_generator_function(fun):
        raise ArgumentError(f"jit takes a function, got a generator function: {fun!r}.")
    if backend is not None or device is not None:
        from .placement import check_place

        check_place(device, backend)
    static, donated = _ints(static_argnums), _ints(donate_argnums)
    static_names, donated_names = _names(static_argnames), _names(donate_argnames)
    _check_names(fun, static, static_names, "static")
    _check_names(fun, donated, donated_names, "donate")
    if (set(static) & set(donated)) or (set(static_names) & set(donated_names)):
        raise ValueError("jit: an argument is static and donated: it can be one of these.")
    return PjitFunction(
        fun, static_argnums=static, static_argnames=static_names, donate_argnums=donated, donate_argnames=donated_names
    )  # fmt: skip


def _is_generator_function(fun):
    return bool(getattr(getattr(fun, "__code__", None), "co_flags", 0) & 0x20)


def _ints(numbers):
    if numbers is None:
        return ()
    return (
        tuple(map(index, numbers)) if isinstance(numbers, (tuple, list, set, frozenset, range)) else (index(numbers),)
    )


def _names(names):
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)


def _check_names(fun, numbers, names, role):
    """ValueError if the function has no such arguments."""
    if not numbers and not names:
        return
    parameters = signature(fun)
    if not parameters:
        return
    kinds = {p.kind for p in parameters}
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if parameters[0].VAR_POSITIONAL not in kinds:
        for n in numbers:
            if not -len(positional) <= n < len(positional):
                raise ValueError(
                    f"Jitted function has {role}_argnums={numbers}, but only accepts {len(positional)} positional arguments."
                )
    if parameters[0].VAR_KEYWORD not in kinds:
        known = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY)}
        if unknown := set(names) - known:
            raise ValueError(
                f"Jitted function has invalid argnames {unknown} in {role}_argnames. Function does not take these args."
            )
