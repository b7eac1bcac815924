"""The stateful face: an optimiser holds tensors and gives them new values from gradients."""

import inspect

from ..core.errors import ArgumentError
from ..core.node import guard, state
from ..core.tensor import Tensor
from ..ops.arithmetic import where
from ..primitives.elementwise import convert_to
from ..transforms.gradients import no_grad
from .clipping import clip_by_global_norm, clip_by_value
from .options import check_together, checked, checked_options
from .rules import Rule
from .update import changeable_parameter, check_gradient, counter, give, new_slots, rate_handle, updated, working_dtype

_CLIPPING = {"clip_norm": None, "clip_value": None}


class Optimizer:
    """Base of all optimisers: step(gradients) changes the parameters it was made with.

    parameters: a list of tensors, or of groups, dicts with "params" and what is particular to these: "lr", "frozen" (True: they
    stay as they are) and options of the rule. lr: a number, a 0-d tensor, or a schedule (see optim.schedules). clip_norm, clip_value: bounds of the
    gradients, all of them as one vector or each element; values are clipped first. Options are those of the rule (see each
    class); maximize=True goes uphill.

    lr and options are attributes, of an optimiser and of its `groups`, and may be given new values at any time. A new lr reaches
    compiled steps; another option makes jit trace anew.

    >>> w = Tensor([1.0, 2.0])
    >>> optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> optimizer.step(pg.grads([w], (w * w).sum()))
    >>> w.numpy()
    array([0.8, 1.6], dtype=float32)
    """

    rule = None  # a Rule; subclasses say which

    def __init_subclass__(cls, **kwargs):
        """Gives the class the signature that its rule's options make."""
        super().__init_subclass__(**kwargs)
        if isinstance(cls.rule, Rule) and cls.__init__ is Optimizer.__init__:
            options = {"lr": cls.rule.lr, **cls.rule.options, **_CLIPPING}
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            named = [
                inspect.Parameter(n, kind if n == "lr" else inspect.Parameter.KEYWORD_ONLY, default=d)
                for n, d in options.items()
            ]
            cls.__signature__ = inspect.Signature([inspect.Parameter("parameters", kind), *named])

    def __init__(self, parameters, lr=None, **options):
        who, rule = type(self).__name__, self.rule
        if rule is None:
            raise ArgumentError(f"{who} has no rule.", fix="make one of its subclasses, optim.SGD, optim.Adam, ...")
        groups = _groups_of(who, parameters)
        known = {**rule.options, **_CLIPPING}
        self._options = {**known, **checked_options(who, rule, options, known)}
        self.groups = [Group(self, **entries) for entries in groups]
        _check_once(who, self.parameters)
        self.device = self.parameters[0].device
        self.steps = counter(self.device)  # a tensor, so that jit counts, too
        self._lr = None
        self.lr = rule.lr if lr is None else lr

    # ---- options -----------------------------------------------------------------------------------

    def __getattr__(self, name):
        options = self.__dict__.get("_options", ())
        if name in options:
            return options[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def __setattr__(self, name, value):
        if name not in self.__dict__.get("_options", ()):
            object.__setattr__(self, name, value)
            return
        value = _changed_option(type(self).__name__, name, value, self.rule)
        before, self._options = self._options, {**self._options, name: value}
        try:
            for group in self.groups:
                group.refresh()
        except ArgumentError:
            self._options = before
            raise

    @property
    def lr(self):
        """The learning rate of the next step: a 0-d tensor, so that `optimizer.lr = 0.01` reaches compiled steps without tracing.

        It may be given a schedule, too, a function of the number of steps taken before.
        """
        return _rate(self, self.steps)

    @lr.setter
    def lr(self, value):
        _set_rate(self, value, type(self).__name__, self.device)

    # ---- parameters and what is kept for each ------------------------------------------------------

    @property
    def parameters(self):
        """All parameters, in the order of gradients."""
        return [p for group in self.groups for p in group.parameters]

    @property
    def state(self):
        """For each parameter the tensors that are kept for it, a dict."""
        return [slots for group in self.groups for slots in group.state]

    def step(self, gradients, when=None):
        """Changes the parameters by one step. `gradients`: one tensor per parameter, in their order; None: it stays as it is.

        when: a 0-d bool tensor; where it is False nothing changes, the optimiser's own state and count neither.

        Graphs built before keep the old values. Outside of traced functions the new values are computed at once.
        """
        gradients = iter(self.checked(gradients))
        gradients = [[next(gradients) for _ in group.parameters] for group in self.groups]
        with no_grad():
            changed = [(self.steps, self.steps + 1)]
            for group, own in zip(self.groups, self._clipped(gradients)):
                changed += group.changes(own)
            if when is not None:
                changed = [(handle, where(when, value, handle)) for handle, value in changed]
            give(changed)

    def checked(self, gradients):
        """The gradients, a list, with None for frozen parameters; raises unless they fit the parameters."""
        who, gradients = f"{type(self).__name__}.step", list(gradients)
        frozen = [guard(group, "frozen") for group in self.groups for _ in group.parameters]
        if len(gradients) != len(frozen):
            raise ArgumentError(
                f"{who}: {len(gradients)} gradients for {len(frozen)} parameters.",
                fix="pass grads(model.parameters(), loss).",
            )
        for i, (p, g) in enumerate(zip(self.parameters, gradients)):
            check_gradient(who, i, g, p)
        return [None if still else g for g, still in zip(gradients, frozen)]

    def _clipped(self, gradients):
        """The gradients, one list for each group, within the bounds that clip_value and clip_norm set."""
        options = guard(self, "_options")
        if options["clip_value"] is None and options["clip_norm"] is None:
            return gradients
        precise = [[None if g is None else convert_to(g, working_dtype(g.dtype)) for g in own] for own in gradients]
        if options["clip_value"] is not None:
            precise = clip_by_value(precise, options["clip_value"])
        return precise if options["clip_norm"] is None else clip_by_global_norm(precise, options["clip_norm"])

    def __repr__(self):
        options = {"lr": "a schedule" if callable(self._lr) else self.lr.item(), **self._options}
        shown = ", ".join(f"{name}={value}" for name, value in options.items())
        return f"{type(self).__name__}({len(self.parameters)} parameters in {len(self.groups)} groups, {shown})"

    # ---- saving and loading ------------------------------------------------------------------------

    def state_dict(self):
        """All that a continued run needs: nested dicts and lists of tensors, numbers and strings; later steps do not change it.

        {"optimizer": its class, "steps", "lr" (None: a schedule), "options": {...}, "groups": [{"steps", "lr" (None: the optimiser's, or
        a schedule), "frozen", "options": the group's own, "state": [{name of a slot: tensor}, one for each parameter]}]}
        """
        return {
            "optimizer": type(self).__name__,
            "steps": self.steps.detach(),
            "lr": _saved_rate(self._lr),
            "options": dict(self._options),
            "groups": [group.state_dict() for group in self.groups],
        }

    def load_state_dict(self, saved):
        """Continues from a state_dict() (arrays may stand for tensors); returns the optimiser.

        Where this optimiser has a schedule, it keeps it; all else is as saved. ArgumentError or ShapeError if it was saved from another
        optimiser, or for other parameters; then nothing is changed.
        """
        from .loading import load

        return load(self, saved)


class Group:
    """Parameters with options of their own; an option that is not given here is the optimiser's."""

    def __init__(self, optimizer, params, lr=None, frozen=False, **options):
        self.optimizer, self.parameters = optimizer, params
        who = type(optimizer).__name__
        self.device = params[0].device
        self.frozen = checked(who, "frozen", frozen)
        self.steps = counter(self.device)  # those in which the group was not frozen
        self._lr = None
        if lr is not None:
            self.lr = lr
        self.state = [{} for _ in params]
        self._own = checked_options(who, optimizer.rule, options)
        self.refresh()

    def refresh(self):
        """Joins its own options and the optimiser's; makes slots that they need."""
        optimizer = self.optimizer
        options = {name: self._own.get(name, optimizer._options[name]) for name in optimizer.rule.options}
        check_together(type(optimizer).__name__, optimizer.rule, options)
        for p, slots in zip(self.parameters, self.state):
            for name, value in new_slots(optimizer.rule, p, options).items():
                if name not in slots:
                    slots[name] = value
        object.__setattr__(self, "_options", options)

    def __getattr__(self, name):
        options = self.__dict__.get("_options", ())
        if name in options:
            return options[name]
        raise AttributeError(f"A group of {len(self.__dict__.get('parameters', ()))} parameters has no {name!r}.")

    def __setattr__(self, name, value):
        if name not in self.__dict__.get("_options", ()):
            object.__setattr__(self, name, value)
            return
        optimizer = self.optimizer
        value = _changed_option(type(optimizer).__name__, name, value, optimizer.rule)
        before, self._own = self._own, {**self._own, name: value}
        try:
            self.refresh()
        except ArgumentError:
            self._own = before
            raise

    @property
    def lr(self):
        """The learning rate of the next step, a 0-d tensor: the group's own, or the optimiser's."""
        return self.optimizer.lr if self._lr is None else _rate(self, self.optimizer.steps)

    @lr.setter
    def lr(self, value):
        _set_rate(self, value, type(self.optimizer).__name__, self.device)

    def changes(self, gradients):
        """(handle, new value) of all that a step changes."""
        if guard(self, "frozen"):
            return []
        if guard(self, "_lr") is None:
            guard(self.optimizer, "_lr")
        t = self.steps + 1
        new, new_state = updated(
            self.optimizer.rule, self.parameters, gradients, self.state, t, self.lr, guard(self, "_options")
        )
        changed = [(self.steps, t)]
        for p, g, value, slots, new_values in zip(self.parameters, gradients, new, self.state, new_state):
            if g is not None:
                changed.append((p, value))
                changed += [(slots[name], new_values[name]) for name in slots]
        return changed

    def state_dict(self):
        """See Optimizer.state_dict."""
        return {
            "steps": self.steps.detach(),
            "lr": _saved_rate(self._lr),
            "frozen": self.frozen,
            "options": dict(self._own),
            "state": [{name: value.detach() for name, value in slots.items()} for slots in self.state],
        }


def _changed_option(who, name, value, rule):
    """The new value of an option, checked."""
    if state.frame is not None:
        raise ArgumentError(
            f"{who}: the option {name} is set while {state.frame.function} is traced.",
            fix="set it outside; a traced function may set lr.",
        )
    return checked(who, name, value, rule.options.get(name))


# ---- learning rates --------------------------------------------------------------------------------------


def _rate(owner, steps):
    rate = owner._lr
    return rate(steps) if callable(rate) else rate


def _set_rate(owner, value, who, device):
    """Gives the optimiser or group a schedule, or its tensor another value."""
    if callable(value):
        owner._lr = value
        return
    value = rate_handle(who, value, device)
    if isinstance(owner._lr, Tensor):
        owner._lr._rebind(value._node)
    else:
        owner._lr = value


def _saved_rate(rate):
    return rate.detach() if isinstance(rate, Tensor) else None


# ---- what parameters may be --------------------------------------------------------------------------------


def _groups_of(who, parameters):
    """The entries of each group, dicts whose "params" is a list of parameters."""
    if isinstance(parameters, (Tensor, dict)) or not hasattr(parameters, "__iter__"):
        raise ArgumentError(
            f"{who} takes a list of tensors, not a {type(parameters).__name__}.", fix="pass model.parameters()."
        )
    parameters = list(parameters)
    if not any(isinstance(p, dict) for p in parameters):
        parameters = [{"params": parameters}]
    groups = []
    for group in parameters:
        if not isinstance(group, dict) or "params" not in group:
            raise ArgumentError(
                f"{who}: a group is a {type(group).__name__} without 'params'.",
                fix='groups are dicts, [{"params": [...], "lr": 0.1}, ...].',
            )
        entries = group["params"]
        entries = [entries] if isinstance(entries, Tensor) else list(entries)
        if not entries:
            raise ArgumentError(f"{who}: there are no parameters.", fix="pass model.parameters().")
        groups.append({**group, "params": [changeable_parameter(who, p) for p in entries]})
    if not groups:
        raise ArgumentError(f"{who}: there are no parameters.", fix="pass model.parameters().")
    return groups


def _check_once(who, parameters):
    seen = {}
    for i, p in enumerate(parameters):
        if id(p) in seen:
            raise ArgumentError(
                f"{who}: parameter {i} is parameter {seen[id(p)]}.", fix="give each tensor once, in one group."
            )
        seen[id(p)] = i
