"""What values the options of optimisers may have."""

import math

from ..core.errors import ArgumentError


def _is_number(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool) and not math.isnan(x)


_AT_LEAST_0 = (lambda x: _is_number(x) and x >= 0, "a number >= 0")
_BELOW_1 = (lambda x: _is_number(x) and 0 <= x < 1, "a number in [0, 1)")
_POSITIVE = (lambda x: _is_number(x) and x > 0, "a number > 0")
_NONE_OR_POSITIVE = (lambda x: x is None or (_is_number(x) and x > 0), "a number > 0, or None")
_SWITCH = (lambda x: isinstance(x, bool), "True or False")
_PAIR = (
    lambda x: isinstance(x, (tuple, list)) and len(x) == 2 and all(_is_number(b) and 0 <= b < 1 for b in x),
    "a pair of numbers in [0, 1)",
)

_CHECKS = {
    "alpha": (lambda x: _is_number(x) and 0 <= x <= 1, "a number in [0, 1]"),
    "amsgrad": _SWITCH,
    "beta2_decay": (lambda x: _is_number(x) and x <= 0, "a number <= 0"),
    "betas": _PAIR,
    "centered": _SWITCH,
    "clip_norm": _NONE_OR_POSITIVE,
    "clip_value": _NONE_OR_POSITIVE,
    "d": _POSITIVE,
    "dampening": (_is_number, "a number"),
    "decay": (lambda x: _is_number(x) and 0 <= x <= 1, "a number in [0, 1]"),
    "eps": _AT_LEAST_0,
    "frozen": _SWITCH,
    "initial_accumulator_value": _AT_LEAST_0,
    "lr": _AT_LEAST_0,
    "lr_decay": _AT_LEAST_0,
    "maximize": _SWITCH,
    "momentum": _AT_LEAST_0,
    "nesterov": _SWITCH,
    "weight_decay": _AT_LEAST_0,
}
_EPS_PAIR = (
    lambda x: (
        isinstance(x, (tuple, list)) and len(x) == 2 and (x[0] is None or _AT_LEAST_0[0](x[0])) and _AT_LEAST_0[0](x[1])
    ),
    "a pair (number >= 0 or None, number >= 0)",
)


def checked(who, name, value, default=None):
    """The value of an option, lists as tuples (files have lists only); ArgumentError if it may not be that.

    Options of rules that others wrote are not checked.
    """
    fits, meaning = _CHECKS.get(name, (lambda x: True, ""))
    if name == "eps" and isinstance(default, tuple):
        fits, meaning = _EPS_PAIR
    if not fits(value):
        raise ArgumentError(f"{who}: {name} = {value!r} is not {meaning}.")
    return tuple(value) if isinstance(value, list) else value


def checked_options(who, rule, given, known=None):
    """`given` (name -> value), checked; ArgumentError for a name that is none of `known`, by default the rule's options."""
    known = rule.options if known is None else known
    for name in given:
        if name not in known:
            raise ArgumentError(f"{who} has no option {name!r}.", fix=f"it has {', '.join(known)}.")
    return {name: checked(who, name, value, rule.options.get(name)) for name, value in given.items()}


def check_together(who, rule, options):
    """ArgumentError if the options, all of them, do not go together."""
    problem = rule.check(options)
    if problem:
        raise ArgumentError(f"{who}: {problem}.")
