"""custom_jvp and custom_vjp: functions whose derivatives their author gives. As in JAX."""

import functools
import threading
from typing import NamedTuple

from ..core.dtype import is_inexact
from ..core.errors import ArgumentError, GradientError, ShapeError
from ..core.node import TRACKED, by_rule, state
from ..core.tensor import Tensor, without_history, wrap
from ..ops.creation import as_tensor
from ..primitives import custom as p
from ..primitives.elementwise import convert_to
from ..primitives.held import zeros
from ..primitives.reduction import reduce_sum
from ..primitives.shape import zeros_like
from .signatures import signature
from .trace import place_of
from .tree import flatten, spread_nones


class _Custom:
    """What both kinds share: the split of the arguments, and the structure of the result."""

    def __init__(self, function, nondiff_argnums=(), nondiff_argnames=()):
        if not callable(function):
            raise ArgumentError(f"{self.kind} takes a function, got {type(function).__name__}.")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        numbers = {nondiff_argnums} if isinstance(nondiff_argnums, int) else set(nondiff_argnums)
        names = {nondiff_argnames} if isinstance(nondiff_argnames, str) else set(nondiff_argnames)
        parameters = signature(function)
        numbers |= {i for i, parameter in enumerate(parameters) if parameter.name in names}
        self.nondiff = tuple(sorted(n % len(parameters) if n < 0 else n for n in numbers))
        self.defaults = {
            i: p.default for i, p in enumerate(parameters) if p.default is not p.empty and p.kind < p.VAR_POSITIONAL
        }

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def zero(self, aval):
        """What the user's rules get for a tangent or cotangent that is zero."""
        return zeros(aval)

    def is_zero(self, tangent):
        """True for what the user's rules return to say that a tangent or cotangent is zero."""
        return tangent is None

    def _arguments(self, args, kwargs):
        """(all positional arguments, fixed ones, leaves of the others, their structure)."""
        if kwargs:
            args = _positional(self.function, self.name, args, kwargs)
        while len(args) in self.defaults:  # the rules get all arguments
            args = (*args, self.defaults[len(args)])
        fixed = [args[i] for i in self.nondiff if i < len(args)]
        leaves, structure = flatten(tuple(a for i, a in enumerate(args) if i not in self.nondiff))
        place = place_of(leaves)
        return args, fixed, [as_tensor(x, place) for x in leaves], structure

    def _rebuilt(self, args, moving):
        """All arguments again, with other values for those that are differentiated."""
        moving = iter(moving)
        return [a if i in self.nondiff else next(moving) for i, a in enumerate(args)]


def _positional(function, name, args, kwargs):
    import inspect

    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
    except TypeError as error:
        raise ArgumentError(f"{name}: {error}.") from None
    if bound.kwargs:
        raise ArgumentError(f"{name}: keyword-only arguments {list(bound.kwargs)} are not supported with custom rules.")
    return bound.args


def _plain(x):
    """x for the function itself: derivatives do not look at how it computes."""
    return wrap(without_history(x, tracked=False))


class custom_jvp(_Custom):
    """A function with a forward-mode rule of its own, which reverse mode transposes.

    @custom_jvp(nondiff_argnums=()) on a function, then f.defjvp(rule): rule(*nondiff arguments, primals, tangents)
    returns (primals out, tangents out); the tangents must be linear in `tangents`. f.defjvps(rule_of_x, rule_of_y):
    each rule_of_a(tangent of a, answer, *primals) gives one term; None for an argument without.

    >>> @custom_jvp
    ... def safe_sqrt(x): return sqrt(x)
    >>> @safe_sqrt.defjvp
    ... def rule(primals, tangents):
    ...     y = safe_sqrt(*primals)
    ...     return y, tangents[0] / (2 * y + 1e-6)
    """

    kind = "custom_jvp"

    def __new__(cls, function=None, **options):
        return functools.partial(cls, **options) if function is None else object.__new__(cls)

    def __init__(self, function, nondiff_argnums=(), nondiff_argnames=()):
        super().__init__(function, nondiff_argnums, nondiff_argnames)
        self.rule = None

    def defjvp(self, rule, symbolic_zeros=False):
        """Sets the rule; see the class. Also a decorator."""
        self.rule = rule
        return rule

    def defjvps(self, *rules):
        """Sets one rule per argument; see the class."""
        if self.nondiff:
            raise ArgumentError("custom_jvp: defjvps cannot be used with nondiff_argnums.", fix="use defjvp.")

        def rule(primals, tangents):
            answer = self(*primals)
            terms = [r(t, answer, *primals) for r, t in zip(rules, tangents) if r is not None]
            total = zeros_like(answer) if not terms else terms[0]
            for term in terms[1:]:
                total = total + term
            return answer, total

        self.defjvp(rule)

    def __call__(self, *args, **kwargs):
        args, fixed, leaves, structure = self._arguments(args, kwargs)
        for rule, nodes, answer in _at_work.rules:
            if rule.custom is self and nodes == [x._node for x in leaves] and rule.serves(fixed, structure):
                return answer
        if self.rule is None:
            raise GradientError(f"{self.name} has no rule.", fix=f"define one: @{self.name}.defjvp")
        with by_rule():
            result = self.function(*self._rebuilt(args, structure.unflatten(map(_plain, leaves))))
        outs, out_structure = flatten(result)
        outs = [as_tensor(y, place_of(leaves)) for y in outs]
        if not outs:
            return result
        rule = _JvpRule(self, fixed, structure, out_structure)
        marked = p.custom_jvp_mark(*leaves, *outs, rule=rule, first=len(leaves), n_out=len(outs))
        return out_structure.unflatten(list(marked))


class _AtWork(threading.local):
    """Rules that this thread is running: the function, asked again for the same arguments, costs nothing."""

    rules = ()  # (_JvpRule, nodes of the primals, result), the innermost first
    forwards = ()  # functions with a custom_vjp whose fwd is running


_at_work = _AtWork()


class _JvpRule:
    """The user's rule on leaves."""

    def __init__(self, custom, fixed, structure, out_structure):
        self.custom, self.fixed, self.structure, self.out_structure = custom, fixed, structure, out_structure
        self.name = custom.name

    def serves(self, fixed, structure):
        """True if these are the arguments, besides tensors, that the rule is for."""
        same = lambda a, b: a is b or (type(a) is type(b) and isinstance(a, (int, float, complex, str)) and a == b)
        return structure == self.structure and len(fixed) == len(self.fixed) and all(map(same, fixed, self.fixed))

    def jvp(self, primals, tangents, out):
        """Tangents (None: zero) of the results, from tensors and tangents (None: zero) of the primals."""
        answer = self.out_structure.unflatten(list(out))
        tangents = [self.custom.zero(x._node.aval) if t is None else t for x, t in zip(primals, tangents)]
        outer, _at_work.rules = _at_work.rules, [(self, [x._node for x in primals], answer), *_at_work.rules]
        try:
            with by_rule():
                found = self.custom.rule(
                    *self.fixed, self.structure.unflatten(primals), self.structure.unflatten(tangents)
                )
        finally:
            _at_work.rules = outer
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ArgumentError(
                f"{self.name}: the jvp rule returned {type(found).__name__}, not (primals out, tangents out)."
            )
        leaves, structure = flatten(found[1])
        if structure != self.out_structure:
            raise ArgumentError(
                f"{self.name}: the jvp rule returned tangents of structure {structure}, the results have {self.out_structure}."
            )
        return [None if self.custom.is_zero(t) else _tangent_like(self.name, t, y) for t, y in zip(leaves, out)]

    def batched(self, flags, axis):
        return _BatchedJvpRule(self, flags, axis)


def _tangent_like(name, tangent, y):
    """A tangent that fits the result y; None where y has no derivative."""
    if not is_inexact(y.dtype):
        return None
    tangent = as_tensor(tangent, y.device)
    if tangent.shape != y.shape:
        raise ShapeError(
            f"{name}: the jvp rule returned a tangent of shape {list(tangent.shape)} for a result of shape {list(y.shape)}."
        )
    return convert_to(tangent, y.dtype)


class _BatchedJvpRule:
    """A rule over a batch: the rule of one example under vmap."""

    def __init__(self, rule, flags, axis):
        self.rule, self.flags, self.axis, self.name = rule, flags, axis, rule.name

    def jvp(self, primals, tangents, out):
        from .vmap import vmap

        n, m = len(primals), len(out)
        axes = [0 if f else None for f in self.flags]
        moving = [i for i, t in enumerate(tangents) if t is not None]

        def one(*values):
            out, dx = values[n : n + m], [None] * n
            for i, t in zip(moving, values[n + m :]):
                dx[i] = t
            found = self.rule.jvp(list(values[:n]), dx, out)
            return [zeros_like(y) if t is None else t for t, y in zip(found, out)]

        in_axes = (*axes, *(0,) * m, *[axes[i] for i in moving])
        mapped = vmap(one, in_axes=in_axes, axis_name=self.axis.name, axis_size=self.axis.size)
        found = mapped(*primals, *out, *[tangents[i] for i in moving])
        return [t if is_inexact(y.dtype) else None for t, y in zip(found, out)]

    def batched(self, flags, axis):
        return _BatchedJvpRule(self, flags, axis)


class custom_vjp(_Custom):
    """A function with a reverse-mode rule of its own.

    @custom_vjp(nondiff_argnums=()) on a function, then f.defvjp(fwd, bwd): fwd(*args) returns (result, residuals),
    bwd(*nondiff arguments, residuals, cotangents) a tuple with a cotangent for each differentiated argument (None for
    zeros). Forward mode (jvp, jacfwd) through it raises.
    """

    kind = "custom_vjp"

    def __new__(cls, function=None, **options):
        return functools.partial(cls, **options) if function is None else object.__new__(cls)

    def __init__(self, function, nondiff_argnums=(), nondiff_argnames=()):
        super().__init__(function, nondiff_argnums, nondiff_argnames)
        self.fwd = self.bwd = None

    def defvjp(self, fwd, bwd, symbolic_zeros=False, optimize_remat=False):
        """Sets the rules; see the class."""
        self.fwd, self.bwd = fwd, bwd

    def fwd_arguments(self, rule, leaves):
        """What fwd is called with."""
        return rule.arguments(leaves)

    def __call__(self, *args, **kwargs):
        args, fixed, leaves, structure = self._arguments(args, kwargs)
        rule = _VjpRule(self, args, fixed, structure)
        residuals, kept = (), None
        if self.fwd is None:
            raise GradientError(f"{self.name} has no rules.", fix=f"define them: {self.name}.defvjp(fwd, bwd)")
        outside = state.frame is None or state.gradient_frames  # in a traced function it shows later
        if outside and self not in _at_work.forwards and any(x._node.flags & TRACKED for x in leaves):
            outs, residuals, kept = rule.forward(leaves)  # a derivative may follow
            outs = [_plain(y) for y in outs]
        else:
            with by_rule():
                outs, rule.out_structure = flatten(self.function(*rule.arguments(map(_plain, leaves))))
            outs = [as_tensor(y, place_of(leaves)) for y in outs]
        if not outs:
            return rule.out_structure.unflatten(outs)
        marked = p.custom_vjp_mark(*leaves, *outs, *residuals, rule=rule, kept=kept, first=len(leaves), n_out=len(outs))
        return rule.out_structure.unflatten(list(marked))


class _Kept(NamedTuple):
    """What fwd returned as residuals: their structure, which leaves are tensors, and the other leaves."""

    structure: object
    is_tensor: tuple
    others: tuple

    def unflatten(self, tensors):
        tensors = iter(tensors)
        return self.structure.unflatten([next(tensors) if t else r for t, r in zip(self.is_tensor, self.others)])


class _VjpRule:
    """The user's rules on leaves."""

    def __init__(self, custom, args, fixed, structure):
        self.custom, self.fixed, self.structure, self.name = custom, fixed, structure, custom.name
        self.args = [a if i in custom.nondiff else None for i, a in enumerate(args)]
        self.out_structure = None

    def arguments(self, leaves):
        return self.custom._rebuilt(self.args, self.structure.unflatten(leaves))

    def forward(self, leaves):
        """(results, residuals, _Kept) of fwd. The residuals depend on the leaves: so do second derivatives."""
        outer, _at_work.forwards = _at_work.forwards, (self.custom, *_at_work.forwards)
        try:
            with by_rule():
                found = self.custom.fwd(*self.custom.fwd_arguments(self, leaves))
        finally:
            _at_work.forwards = outer
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ArgumentError(f"{self.name}: fwd returned {type(found).__name__}, not (result, residuals).")
        outs, self.out_structure = flatten(found[0])
        residuals, structure = flatten(found[1])
        is_tensor = tuple(isinstance(r, Tensor) or hasattr(r, "__array__") for r in residuals)
        others = tuple(None if t else r for t, r in zip(is_tensor, residuals))
        place = place_of(leaves)
        tensors = [as_tensor(r, place) for r, t in zip(residuals, is_tensor) if t]
        return [as_tensor(y, place) for y in outs], tensors, _Kept(structure, is_tensor, others)

    def fwd(self, x):
        """(residuals, _Kept) at x."""
        return self.forward(x)[1:]

    def bwd(self, residuals, kept, cts, out_avals, avals):
        """Cotangents (None: zero) of x, of these avals, from those of the results."""
        cts = [self.custom.zero(aval) if c is None else c for c, aval in zip(cts, out_avals)]
        found = self.custom.bwd(*self.fixed, kept.unflatten(residuals), self.out_structure.unflatten(cts))
        if not isinstance(found, (tuple, list)):
            raise ArgumentError(
                f"{self.name}: bwd returned {type(found).__name__}, not a tuple with one cotangent per argument.",
                fix="return (ct,) for one argument.",
            )
        return _flat_cotangents(self.custom, tuple(found), self.structure, avals)

    def batched(self, flags, axis):
        return _BatchedVjpRule(self, flags, axis)


def _flat_cotangents(custom, found, structure, avals):
    """A cotangent or None for each leaf; None may stand for a whole subtree."""
    name = custom.name
    children = structure.children()
    if len(found) != len(children):
        raise ArgumentError(f"{name}: bwd returned {len(found)} cotangents for {len(children)} arguments.")
    leaves = []
    for ct, child in zip(found, children):
        try:
            leaves += spread_nones(ct, child)
        except ValueError:
            raise ArgumentError(
                f"{name}: bwd returned a cotangent of structure {flatten(ct)[1]} for {child}."
            ) from None
    result = []
    for ct, aval in zip(leaves, avals):
        if custom.is_zero(ct) or not is_inexact(aval.dtype):
            result.append(None)
            continue
        ct = as_tensor(ct, aval.device)
        if ct.shape != aval.shape:
            raise ShapeError(
                f"{name}: bwd returned a cotangent of shape {list(ct.shape)} for an argument of shape {list(aval.shape)}."
            )
        result.append(convert_to(ct, aval.dtype))
    return result


class _BatchedVjpRule:
    """Rules over a batch: those of one example under vmap."""

    def __init__(self, rule, flags, axis):
        self.rule, self.flags, self.axis, self.name = rule, flags, axis, rule.name

    def _vmap(self, function, axes):
        from .vmap import vmap

        return vmap(function, in_axes=tuple(axes), axis_name=self.axis.name, axis_size=self.axis.size)

    def fwd(self, x):
        kept = []

        def one(*x):
            residuals, found = self.rule.fwd(list(x))
            kept.append(found)
            return residuals

        residuals = self._vmap(one, [0 if f else None for f in self.flags])(*x)
        return residuals, (kept[0], (True,) * len(residuals))

    def bwd(self, residuals, kept, cts, out_avals, avals):
        (inner, flags), n = kept, len(residuals)
        one_avals = [a.update(shape=a.shape[1:]) if f else a for a, f in zip(avals, self.flags)]
        one_out = [a.update(shape=a.shape[1:]) for a in out_avals]
        given, present = [ct for ct in cts if ct is not None], []

        def one(*values):
            rest = iter(values[n:])
            given = [None if ct is None else next(rest) for ct in cts]
            found = self.rule.bwd(list(values[:n]), inner, given, one_out, one_avals)
            present[:] = [ct is not None for ct in found]
            return [ct for ct in found if ct is not None]

        found = iter(self._vmap(one, [0 if f else None for f in flags] + [0] * len(given))(*residuals, *given))
        whole = [next(found) if here else None for here in present]
        # an argument that all examples share gets the sum of their cotangents
        return [ct if ct is None or f else reduce_sum(ct, axes=(0,)) for ct, f in zip(whole, self.flags)]

    def batched(self, flags, axis):
        return _BatchedVjpRule(self, flags, axis)
