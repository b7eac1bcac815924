"""Optimizer.load_state_dict: everything is checked first, then taken over."""

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.node import leaf
from ..core.tensor import Tensor, tensor_from_numpy
from .options import checked, checked_options


def load(optimizer, saved):
    """Gives the optimiser the state that state_dict() gave; returns it."""
    who = f"{type(optimizer).__name__}.load_state_dict"
    _check_keys(who, saved, ("optimizer", "steps", "lr", "options", "groups"))
    if saved["optimizer"] != type(optimizer).__name__:
        raise ArgumentError(f"{who}: this is the state of {saved['optimizer']}.", fix="make that kind of optimiser.")
    groups = saved["groups"]
    if len(groups) != len(optimizer.groups):
        raise ArgumentError(f"{who}: the state has {len(groups)} groups, the optimiser {len(optimizer.groups)}.")
    known = optimizer._options
    options = checked_options(who, optimizer.rule, saved["options"], known)
    new = [(optimizer.steps, saved["steps"], "steps"), *_rate(optimizer, saved)]
    own = []
    for i, (group, entries) in enumerate(zip(optimizer.groups, groups)):
        _check_keys(who, entries, ("steps", "lr", "frozen", "options", "state"))
        own.append(
            (
                checked_options(who, optimizer.rule, entries["options"]),
                checked(who, "frozen", entries["frozen"]),
            )
        )
        new += [(group.steps, entries["steps"], f"steps of group {i}"), *_rate(group, entries)]
        new += _slots(who, i, group, entries["state"])
    new = [(entry[0], _fitting(who, *entry)) for entry in new]
    _take_options(optimizer, options, own)
    _take(new)
    return optimizer


def load_averages(ema, saved):
    """EMA.load_state_dict."""
    who = "EMA.load_state_dict"
    _check_keys(who, saved, ("decay", "averages"))
    decay, new = checked(who, "decay", saved["decay"]), _list(who, "averages", ema.averages, saved)
    ema.decay = decay
    _take(new)
    return ema


def load_sums(accumulate, saved):
    """Accumulate.load_state_dict."""
    who = "Accumulate.load_state_dict"
    _check_keys(who, saved, ("count", "sums", "optimizer"))
    new = [(accumulate.count, _fitting(who, accumulate.count, saved["count"], "count"))]
    new += _list(who, "sums", accumulate.sums, saved)
    load(accumulate.optimizer, saved["optimizer"])
    _take(new)
    return accumulate


def _take(new):
    """Gives the handles their values, (handle, value) pairs."""
    for handle, value in new:
        handle._rebind(leaf(value._node.value, value._node.aval))


def _list(who, name, handles, saved):
    """(handle, value) of a list of tensors."""
    values = saved[name]
    if len(values) != len(handles):
        raise ArgumentError(f"{who}: the state has {len(values)} {name}, there are {len(handles)} parameters.")
    return [(h, _fitting(who, h, v, f"{name}[{i}]")) for i, (h, v) in enumerate(zip(handles, values))]


def _check_keys(who, saved, keys):
    if not isinstance(saved, dict) or set(saved) != set(keys):
        found = list(saved) if isinstance(saved, dict) else type(saved).__name__
        raise ArgumentError(f"{who}: the state has {found}, not {list(keys)}.", fix="pass what state_dict() returned.")


def _rate(owner, saved):
    """The learning rate to be taken over, if there is one on both sides."""
    return [] if saved["lr"] is None or not isinstance(owner._lr, Tensor) else [(owner._lr, saved["lr"], "lr")]


def _slots(who, i, group, saved):
    """(handle, value, name) of the slots of a group."""
    if len(saved) != len(group.parameters):
        raise ArgumentError(
            f"{who}: group {i} of the state has {len(saved)} parameters, the optimiser's {len(group.parameters)}.",
            fix="make the optimiser with the same parameters in the same order.",
        )
    found = []
    for j, (slots, values) in enumerate(zip(group.state, saved)):
        if set(slots) != set(values):
            raise ArgumentError(
                f"{who}: parameter {j} of group {i} has {sorted(slots)}, in the state {sorted(values)}.",
                fix="make the optimiser with the same options (momentum, amsgrad, ...), for parameters of the same dtype.",
            )
        found += [(slots[name], values[name], f"{name} of parameter {j} of group {i}") for name in slots]
    return found


def _fitting(who, handle, value, name):
    """The value as a new tensor of the handle's dtype on its device."""
    value = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    if value.shape != handle.shape:
        raise ShapeError(
            f"{who}: {name} has shape {list(handle.shape)}, in the state {list(value.shape)}.",
            fix="make the optimiser with the same parameters in the same order.",
        )
    return tensor_from_numpy(value.astype(handle.dtype, copy=False), handle.device)


def _take_options(optimizer, options, own):
    """Sets all options together: each alone might not go with the others' old values."""
    before = optimizer._options, [(group._own, group.frozen) for group in optimizer.groups]
    try:
        _set_options(optimizer, options, own)
    except ArgumentError:
        _set_options(optimizer, *before)
        raise


def _set_options(optimizer, options, own):
    optimizer._options = {**optimizer._options, **options}
    for group, (mine, frozen) in zip(optimizer.groups, own):
        group._own, group.frozen = mine, frozen
        group.refresh()
