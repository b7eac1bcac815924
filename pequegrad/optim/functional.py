"""The functional face: optimisers as functions of trees, which change nothing.

    state = adam_init(params)
    state, params = adam(params, grads, state, lr=1e-3)

params: a tensor, or lists, tuples, dicts ... of tensors (Arrays of jax_api, too); grads: a tree of the same structure; None for a gradient
leaves the parameter as it is. state is a dict: "step", how many steps were taken (int32); "slots", a tree like params with a dict of tensors
for each; and "lr", if adam_init was given one. Options of which slots depend (momentum ...) are given to both functions.

In traced functions (jit, grad, scan, vmap) steps are differentiable; outside of these the results are computed at once and have no history.
"""

import inspect

from ..core.errors import ArgumentError
from ..core.evaluate import evaluate
from ..core.node import state as graph_state
from ..core.tensor import Tensor
from ..ops.creation import as_tensor
from ..transforms.tree import flatten
from . import rules
from .options import check_together, checked_options
from .update import check_gradient, checked_parameter, counter, new_slots, rate_handle, rate_tensor, updated

_INIT = """The state with which {name} begins: for params a tree of tensors.

    lr: the learning rate that {name} takes unless it is given one, kept in the state as a tensor: state["lr"].{slots}

    >>> sorted(optim.{name}_init({{"w": Tensor([1.0, 2.0])}}, lr=0.1))
    ['lr', 'slots', 'step']
    """

_STEP = """
    (new state, new params) from params, their gradients and the state that {name}_init(params) or the step before gave.

    lr: a number, a 0-d tensor, or a schedule (of state["step"]); default: state["lr"], else {lr}. Options: {options}.

    >>> params, grads = {{"w": Tensor([1.0, -2.0])}}, {{"w": Tensor([0.5, -0.5])}}
    >>> state, params = optim.{name}(params, grads, optim.{name}_init(params), lr=0.1)
    >>> state["step"].item()
    1
    """


def functional(rule):
    """(step, init): a rule as functions of trees. `sgd, sgd_init = functional(rules.sgd)`"""
    name = rule.name

    def init(params, lr=None, **options):
        options = checked_options(init.__name__, rule, options, {n: rule.options[n] for n in rule.slot_options})
        leaves, structure = flatten(params)
        if not leaves:
            raise ArgumentError(f"{init.__name__}: there are no parameters.", fix="pass a tree of tensors.")
        leaves = [checked_parameter(init.__name__, _tensor(p)) for p in leaves]
        slots = [new_slots(rule, p, {**rule.options, **options}) for p in leaves]
        found = {"step": counter(leaves[0].device, leaves[0]), "slots": structure.unflatten(slots)}
        if lr is not None:
            found["lr"] = rate_handle(init.__name__, lr, leaves[0].device, leaves[0])
        return found

    def step(params, grads, state, lr=None, **options):
        options = {**rule.options, **checked_options(name, rule, options)}
        check_together(name, rule, options)
        leaves, structure = flatten(params)
        leaves = [checked_parameter(name, _tensor(p)) for p in leaves]
        grads = [None if g is None else _tensor(g) for g in _parts(name, "grads", structure, grads)]
        slots = _slots(rule, state, structure, leaves, options)
        for i, (p, g) in enumerate(zip(leaves, grads)):
            check_gradient(name, i, g, p)
        rate, t = _rate(rule, state, lr, leaves[0].device), state["step"] + 1
        leaves, slots = updated(rule, leaves, grads, slots, t, rate, options)
        if not graph_state.open:  # a training loop that is not traced: no history from step to step
            evaluate([x._node for x in _all(t, leaves, slots)], drop_history=True)
        return {**state, "step": t, "slots": structure.unflatten(slots)}, structure.unflatten(leaves)

    return _named(step, init, rule)


def _named(step, init, rule):
    """The two functions with names, signatures and docstrings."""
    name, kind, by_name = rule.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    positional = [inspect.Parameter(n, kind) for n in ("params", "grads", "state")]
    lr = inspect.Parameter("lr", kind, default=None)
    options = {n: inspect.Parameter(n, by_name, default=value) for n, value in rule.options.items()}
    step.__signature__ = inspect.Signature([*positional, lr, *options.values()])
    init.__signature__ = inspect.Signature([positional[0], lr, *(options[n] for n in rule.slot_options)])
    step.__name__ = step.__qualname__ = name
    init.__name__ = init.__qualname__ = f"{name}_init"
    shown = ", ".join(f"{n}={value!r}" for n, value in rule.options.items())
    slots = f" {', '.join(rule.slot_options)}: as given to {name}." if rule.slot_options else ""
    step.__doc__ = (rule.__doc__ or "").rstrip() + "\n" + _STEP.format(name=name, lr=rule.lr, options=shown)
    init.__doc__ = _INIT.format(name=name, slots=slots)
    return step, init


def _tensor(x):
    """NumPy arrays as tensors; all else as it is."""
    return as_tensor(x) if hasattr(x, "__array__") and not isinstance(x, Tensor) else x


def _parts(who, what, structure, tree):
    """For each parameter the part of another tree at its place."""
    try:
        return structure.flatten_up_to(tree)
    except (ValueError, TypeError) as error:
        raise ArgumentError(
            f"{who}: {what} do not have the structure of params: {error}", fix="pass trees of the same structure."
        ) from None


def _slots(rule, state, structure, leaves, options):
    """For each parameter its slots; ArgumentError if they are not what the options need."""
    if not isinstance(state, dict) or not {"step", "slots"} <= set(state):
        raise ArgumentError(f"{rule.name}: this is no state.", fix=f"pass what {rule.name}_init(params) returned.")
    slots = _parts(rule.name, "state['slots']", structure, state["slots"])
    for p, kept in zip(leaves, slots):
        needed = set(rule.slots_of(p.shape, options))
        if set(kept) - {"master"} != needed:
            given = ", ".join(f"{n}={options[n]!r}" for n in rule.slot_options)
            raise ArgumentError(
                f"{rule.name}: the state has {sorted(kept)} for a parameter that needs {sorted(needed)}.",
                fix=f"{rule.name}_init(params{', ' + given if given else ''}), with the options that {rule.name} is given.",
            )
    return slots


def _rate(rule, state, lr, device):
    if lr is None:
        lr = state.get("lr", rule.lr)
    return rate_tensor(rule.name, lr(state["step"]) if callable(lr) else lr, device)


def _all(t, leaves, slots):
    return [t, *leaves, *(x for kept in slots for x in kept.values())]


sgd, sgd_init = functional(rules.sgd)
adam, adam_init = functional(rules.adam)
adamw, adamw_init = functional(rules.adamw)
rmsprop, rmsprop_init = functional(rules.rmsprop)
adagrad, adagrad_init = functional(rules.adagrad)
lion, lion_init = functional(rules.lion)
lamb, lamb_init = functional(rules.lamb)
adafactor, adafactor_init = functional(rules.adafactor)
