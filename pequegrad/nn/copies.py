"""Modules taken apart and put together again: with other tensors for one call (apply_to_module), and as pytrees."""

from ..core.errors import ArgumentError, ShapeError
from ..core.node import state
from ..core.tensor import Tensor, wrap
from ..ops.creation import as_tensor
from ..primitives.control import identity

SET_HERE = {"_version", "_origin", "_leaf_paths"}  # attributes that say nothing about what a module computes


def copied(module, change, made=None):
    """A copy of a module and its parts; what is shared in it stays shared.

    change(value, path, old, new) gives what stands in place of an attribute, or of an element of a list, tuple or dict (path: the name,
    then keys), when module `old` becomes `new`; NotImplemented where nothing is to be replaced.
    """
    made = {} if made is None else made
    if id(module) not in made:
        made[id(module)] = new = object.__new__(type(module))
        for name, value in list(vars(module).items()):
            new.__dict__[name] = _copied(value, (name,), module, new, change, made)
    return made[id(module)]


def _copied(value, path, old, new, change, made):
    found = change(value, path, old, new)
    if found is not NotImplemented:
        return found
    if is_module(value):
        return copied(value, change, made)
    if isinstance(value, dict):
        parts = {key: _copied(part, (*path, key), old, new, change, made) for key, part in value.items()}
        if all(parts[key] is part for key, part in value.items()):
            return value
        copy = value.copy()  # of its class
        copy.update(parts)
        return copy
    if isinstance(value, (list, tuple)):
        parts = [_copied(part, (*path, i), old, new, change, made) for i, part in enumerate(value)]
        if all(new_part is part for new_part, part in zip(parts, value)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def is_module(x):
    """True for StatefulModules."""
    return hasattr(type(x), "named_parameters")


# ---- one call with other tensors -------------------------------------------------------------------------


def apply_to_module(model, params, *args, buffers=None, return_buffers=False, **kwargs):
    """model(*args, **kwargs) with the parameters `params`; the module itself stays as it is, also if the call raises.

    params, buffers: dicts from names to tensors (model.tree_flatten(), model.buffer_dict(); what is missing keeps the module's value),
    or lists in the order of model.parameters() and model.buffers().
    return_buffers: gives (output, dict of the buffers as the call leaves them): the running means of a BatchNorm.

    >>> params = model.tree_flatten()
    >>> loss = lambda params, x, y: nn.apply_to_module(model, params, x).cross_entropy_loss_indices(y)
    >>> g = pg.grad(loss)(params, x, y)
    """
    if not is_module(model):
        raise ArgumentError(f"apply_to_module takes a module, not a {type(model).__name__}.")
    given = {
        **_by_identity(params, dict(model.named_parameters()), dict(model.named_parameters(frozen=True)), model, "params"),
        **_by_identity(buffers, dict(model.named_buffers()), dict(model.named_buffers()), model, "buffers"),
    }  # fmt: skip
    fresh, made = {}, {}

    def replaced(value, path, old, new):
        """A handle of the copy's own, so that what forward() changes is not the module's, nor the caller's."""
        if not isinstance(value, Tensor):
            return NotImplemented
        if id(value) not in fresh:
            tensor = given.get(id(value), value)
            fresh[id(value)] = wrap(tensor._node) if state.frame is None else identity(tensor)
        return fresh[id(value)]

    copy = copied(model, replaced, made)
    for module in model.modules():
        made[id(module)].__dict__["_origin"] = module._watched()
    output = copy(*args, **kwargs)
    return (output, dict(copy.named_buffers())) if return_buffers else output


def _by_identity(values, in_order, own, model, what):
    """{id of the module's tensor: the tensor to be used in its place}"""
    if values is None:
        return {}
    if isinstance(values, (list, tuple)):
        if len(values) != len(in_order):
            raise ArgumentError(
                f"apply_to_module: {len(values)} {what} for the {len(in_order)} of {type(model).__name__}.",
                fix=f"give them in the order of model.{'parameters' if what == 'params' else 'buffers'}(), or a dict with names.",
            )
        values = dict(zip(in_order, values))
    if not isinstance(values, dict):
        raise ArgumentError(f"apply_to_module: {what} is a dict or a list, not a {type(values).__name__}.")
    own = {**own, **{alias: own[name] for alias, name in model.aliases().items() if name in own}}
    found = {}
    for name, value in values.items():
        if name not in own:
            raise ArgumentError(
                f"apply_to_module: {type(model).__name__} has no {what[:-1]} {name!r}.",
                fix=f"its names are {', '.join(list(own)[:6])}{' ...' if len(own) > 6 else ''}.",
            )
        value = as_tensor(value, own[name].device)
        if value.shape != own[name].shape:
            raise ShapeError(
                f"apply_to_module: {name} has shape {list(own[name].shape)} in this {type(model).__name__}, not {list(value.shape)}."
            )
        found[id(own[name])] = value
    return found


# ---- as pytrees --------------------------------------------------------------------------------------------


class Place:
    """Where leaf number `number` is, in a skeleton."""

    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return isinstance(other, Place) and self.number == other.number

    def __hash__(self):
        return self.number


class Skeleton:
    """What remains of a module without its leaves. Equal if classes, names, plain attributes and places of leaves are."""

    __slots__ = ("module",)

    def __init__(self, module):
        self.module = module

    def __eq__(self, other):
        return isinstance(other, Skeleton) and _equal(self.module, other.module, set())

    def __hash__(self):
        return hash((type(self.module), tuple(_attributes(self.module))))

    def __repr__(self):
        return type(self.module).__name__


def _attributes(module):
    return {name: value for name, value in vars(module).items() if name not in SET_HERE}


def _equal(a, b, seen):
    if type(a) is not type(b):
        return False
    if is_module(a):
        if (id(a), id(b)) in seen:
            return True
        seen.add((id(a), id(b)))
        a, b = _attributes(a), _attributes(b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(_equal(a[key], b[key], seen) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_equal(x, y, seen) for x, y in zip(a, b))
    try:
        return a is b or bool(a == b)
    except Exception:  # arrays, and what refuses to be compared
        return False


def flatten_module(module):
    """(leaves, skeleton): parameters and buffers, each once."""
    leaves, numbers = [], {}

    def place(value, path, old, new):
        key = id(value) if isinstance(value, Tensor) else vars(old).get("_leaf_paths", {}).get(path)
        if key is None:
            return NotImplemented
        if key not in numbers:
            numbers[key] = len(leaves)
            leaves.append(value)
        return Place(numbers[key])

    return leaves, Skeleton(copied(module, place))


def unflatten_module(skeleton, leaves):
    """The module of a skeleton with these leaves, which may be anything: where one is no tensor, that it is a leaf is noted."""
    leaves, made, tree = list(leaves), {}, object()

    def put(value, path, old, new):
        if type(value) is not Place:
            return NotImplemented
        leaf = leaves[value.number]
        if not isinstance(leaf, Tensor):
            noted.setdefault(id(new), {})[path] = tree, value.number
        return leaf

    noted = {}
    whole = copied(skeleton.module, put, made)
    for copy in made.values():
        copy.__dict__.pop("_origin", None)
        copy.__dict__.pop("_leaf_paths", None)
        if state.frame is not None:  # it stands for an argument of a traced function, whose key has the skeleton
            copy.__dict__["_origin"] = None
        if id(copy) in noted:
            copy.__dict__["_leaf_paths"] = noted[id(copy)]
    return whole
