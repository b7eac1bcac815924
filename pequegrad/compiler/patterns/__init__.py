"""Patterns: parts of programs that have a better form. They are sought and replaced before fusion.

`register_pattern` (or `@pattern`) adds one; DeclaredPattern says how it is found. A pattern is any callable that yields
matches (`rewrite.Match`) for a program (`search.Program`).
"""

import contextlib
import functools
import threading

from ...core.errors import ArgumentError
from .declared import DeclaredPattern
from .rewrite import substituted
from .search import Program

_registered = []


class _Switch(threading.local):
    off = False


_switch = _Switch()


def register_pattern(example, replacement, where=None, *, operands=None, gradient=True, name=None):
    """Has `replacement(*operands)` computed by jitted functions wherever they would compute `example(*operands)`.

    example, replacement: functions of tensors that give a tensor, or several in nested tuples, lists and dicts. The replacement
    gives the same shapes and dtypes; it may call any pequegrad function, own primitives, pure_callback. Both read no tensors but
    their operands and have no effects. An operand stands for any tensor or number; numbers in the example stand for themselves.
    where(*avals): called with the shape and dtype of each operand; False keeps the example there.
    operands: the axes of each operand, as in "...nd,dm,m" (`...`: any leading axes), for an example that does not take
    operands of one shape; with a dtype, "...nd,nd:bool", where it is not that of the (first) result.
    gradient: the example is found together with its derivative, too, and then gives way to the replacement's derivative.

    Nothing is replaced if values within the example are also used elsewhere, unless the example returns them. Patterns that
    were registered last are tried first. A function that is compiled already is not compiled anew. Returns the
    pattern, which `unregister_pattern` takes. Raises ArgumentError if the example cannot be traced or the replacement takes
    another number of operands, and, when it is found, ShapeError or DtypeError if the replacement gives other results.

    >>> softplus = pg.register_pattern(lambda x: pg.log(1 + pg.exp(x)), lambda x: pg.logaddexp(x, 0.0), name="softplus")
    >>> pg.jit(lambda x: pg.log(1 + pg.exp(x)))(pg.Tensor([100.0])).numpy()
    array([100.], dtype=float32)
    >>> pg.unregister_pattern(softplus)
    """
    made = DeclaredPattern(example, replacement, where, operands, gradient, name)
    _registered.insert(0, made)
    return made


def pattern(example, **options):
    """Decorator: the function is the replacement of `example`. Options as for register_pattern.

    >>> @pg.pattern(lambda x: pg.log(1 + pg.exp(x)))
    ... def softplus(x):
    ...     return pg.logaddexp(x, 0.0)
    """

    def register(replacement):
        register_pattern(example, replacement, **options)
        return replacement

    return register


def unregister_pattern(pattern):
    """Takes back what register_pattern returned, or a function decorated with `pattern`. ArgumentError if it is not registered."""
    for known in _registered:
        if known is pattern or getattr(known, "replacement", None) is pattern:
            _registered.remove(known)
            return
    raise ArgumentError(
        f"unregister_pattern: {pattern!r} is not registered.",
        fix="give what register_pattern returned; pg.patterns() lists the patterns.",
    )


def patterns():
    """The patterns that are tried, in their order: a list."""
    return [*_registered, *_own()]


@functools.cache
def _own():
    """The patterns that pequegrad brings along."""
    from .attention import Attention

    return (Attention(),)


@contextlib.contextmanager
def no_patterns():
    """Context manager: what is compiled inside is compiled without patterns.

    A jitted function is compiled when it is first called with arguments of a kind, and stays as it was compiled: to compare,
    wrap it in jit once more, or call its `clear_cache()`.
    """
    before, _switch.off = _switch.off, True
    try:
        yield
    finally:
        _switch.off = before


def unchanged(graph):
    """The graph: what simplifies it where nothing is simplified."""
    return graph


def apply_patterns(graph, simplify=unchanged):
    """The graph with replacements in the place of all registered patterns. `simplify`: what was done to the graph before.

    If there are any, their patterns' names are kept as derived["patterns"] of the result.
    """
    if _switch.off:
        return graph
    names = []
    for sought in patterns():
        program = Program(graph)
        taken, chosen = set(), []
        for match in sought(program, simplify):
            if taken.isdisjoint(match.inside):
                taken |= match.inside
                chosen.append(match)
        if chosen:
            graph, left = substituted(graph, chosen)
            names += [match.name for match in left]
    if names:
        graph.derived["patterns"] = names
    return graph


__all__ = ["apply_patterns", "no_patterns", "pattern", "patterns", "register_pattern", "unregister_pattern"]
