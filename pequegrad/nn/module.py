"""StatefulModule: a network is an object whose attributes are its parameters, buffers and parts."""

import functools

import numpy as np

from ..core import dtype as dtypes
from ..core.device import Device
from ..core.device import device as devices
from ..core.dtype import dt
from ..core.errors import ArgumentError, ModelFileError
from ..core.node import guard, leaf, state
from ..core.tensor import Tensor, tensor_from_numpy
from ..ops.methods import to as tensor_to
from ..primitives.base import note_captures
from ..transforms.tree import register_later
from .copies import SET_HERE, flatten_module, unflatten_module
from .files import read_safetensors, write_safetensors


class StatefulModule:
    """Base of all networks. Define the parts in __init__ and the computation in forward.

    Tensors assigned to attributes are parameters (those registered with register_buffer are buffers); modules,
    and lists, tuples and dicts of modules or tensors, are parts. super().__init__() need not be called.

    >>> class MLP(StatefulModule):
    ...     def __init__(self):
    ...         self.fc1 = Linear(784, 200)
    ...         self.fc2 = Linear(200, 10)
    ...     def forward(self, x):
    ...         return self.fc2(self.fc1(x).relu())
    """

    _training = True
    _version = 0  # counts changes of attributes
    _buffer_names = frozenset()
    _own_names = frozenset()  # dicts whose keys are names of tensors as they are, not behind that of the dict
    _frozen = frozenset()  # attributes whose tensors are not trained
    _hooks = ()  # functions that see each call: see register_forward_hook

    def __init_subclass__(cls, **kwargs):
        """Notes which modules a traced function runs, so that jit sees when one of them is changed; the class is a pytree node."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):
            cls.forward = _noted(cls.forward)
        register_later(cls, flatten_module, unflatten_module)

    def __setattr__(self, name, value):
        """Inside a traced function, a tensor given to an attribute that holds one changes that one at each call."""
        old = self.__dict__.get(name)
        if state.frame is not None and isinstance(old, Tensor) and isinstance(value, Tensor) and old is not value:
            note_captures((value,))
            old._rebind(value._node)
            return
        object.__setattr__(self, name, value)
        self.__dict__["_version"] = self._version + 1

    def __delattr__(self, name):
        object.__delattr__(self, name)
        self.__dict__["_version"] = self._version + 1

    def summary(self, *inputs, **kwargs):
        """A table of the parts for inputs of these shapes (tuples) or values: output shapes, parameters, flops. See nn/summary.py."""
        from .summary import summary

        return summary(self, *inputs, **kwargs)

    def _structure(self):
        """What a trace of this module depended on: changes when an attribute, or a part in a container, is replaced."""
        return self._version, [id(value) for _, value in _entries(self)]

    def forward(self, *args, **kwargs):
        """The computation of the module; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward().")

    def __call__(self, *args, **kwargs):
        output = self.forward(*args, **kwargs)
        for hook in self._hooks:
            changed = hook(self, args, output)
            output = output if changed is None else changed
        return output

    def register_forward_hook(self, hook):
        """Calls hook(module, args, output) after each call of the module; what it returns, if not None, is the output.

        Returns a handle: handle.remove() ends it, as does leaving `with module.register_forward_hook(...)`.
        """
        if not callable(hook):
            raise ArgumentError(f"register_forward_hook takes a function, not a {type(hook).__name__}.")
        self._hooks = (*self._hooks, hook)
        return _HookHandle(self, hook)

    def _watched(self):
        """The module whose changes concern functions that were traced with this one: itself, or the one of which it is a copy."""
        return self.__dict__.get("_origin", self)

    # ---- parts -------------------------------------------------------------------------------------

    def register_buffer(self, name, tensor):
        """Makes `tensor` an attribute that is saved with the module but not trained."""
        setattr(self, name, tensor)
        self._buffer_names = self._buffer_names | {name}

    def modules(self):
        """This module and all modules it is made of, each once."""
        found, seen = [], set()
        stack = [self]
        while stack:
            module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                found.append(module)
                stack.extend(reversed([value for _, value in _entries(module) if isinstance(value, StatefulModule)]))
        return found

    def named_parts(self):
        """(name, module) of the modules directly among its attributes and their containers."""
        return [(name, value) for name, value in _entries(self) if isinstance(value, StatefulModule)]

    def _named_tensors(self, buffers):
        """(dotted name, tensor): parameters or buffers, every tensor once under its first name; None: all, under all their names."""
        found, seen, opened = [], set(), set()
        stack = [("", self)]
        while stack:
            prefix, module = stack.pop()
            if id(module) in opened and buffers is not None:
                continue
            opened.add(id(module))
            children = []
            for name, value in _entries(module):
                if isinstance(value, StatefulModule):
                    children.append((f"{prefix}{name}.", value))
                elif buffers is None or ((name in module._buffer_names) == buffers and id(value) not in seen):
                    seen.add(id(value))
                    found.append((prefix + name, value))
            stack.extend(reversed(children))
        return found

    def named_parameters(self, frozen=False):
        """A list of (dotted name, tensor) in the order of definition; shared tensors appear once, frozen ones only if `frozen`."""
        named = self._named_tensors(buffers=False)
        return named if frozen else [(name, tensor) for name, tensor in named if id(tensor) not in self._frozen_ids()]

    def parameters(self):
        """The trainable tensors, a list."""
        return [tensor for _, tensor in self.named_parameters()]

    def tree_flatten(self):
        """The parameters as a dict from dotted names to tensors, for functional training: see nn.apply_to_module."""
        return dict(self.named_parameters())

    def buffer_dict(self):
        """The buffers as a dict from dotted names to tensors."""
        return dict(self.named_buffers())

    def named_leaves(self):
        """(name, leaf) of each leaf of the module as a pytree."""
        leaves = flatten_module(self)[0]
        names = {id(tensor): name for name, tensor in self._named_tensors(False) + self._named_tensors(True)}
        return [(names.get(id(leaf), str(i)), leaf) for i, leaf in enumerate(leaves)]

    def aliases(self):
        """{further name of a shared tensor: its first name}: the two ends of tied weights."""
        first, found = {}, {}
        for name, tensor in self._named_tensors(None):
            if first.setdefault(id(tensor), name) != name:
                found[name] = first[id(tensor)]
        return found

    def freeze(self, *names):
        """Leaves these attributes (none: all parameters of the module and its parts) out of parameters(): they are not trained."""
        return self._set_frozen(names, True)

    def unfreeze(self, *names):
        """Takes back freeze."""
        return self._set_frozen(names, False)

    def _set_frozen(self, names, frozen):
        if not names:
            for module in self.modules():
                tensors = {name for name, value in _entries(module) if isinstance(value, Tensor)}
                module._frozen = frozenset(tensors if frozen else ())
        for name in names:
            if isinstance(dict(_entries(self)).get(name), Tensor):
                self._frozen = self._frozen | {name} if frozen else self._frozen - {name}
                continue
            owner, path, value = self, [], self
            for piece in name.split("."):
                value = _part(value, piece)
                owner, path = (value, []) if isinstance(value, StatefulModule) else (owner, [*path, piece])
            if owner is value:
                owner._set_frozen((), frozen)
                continue
            own = {n: v for n, v in _entries(owner) if n == ".".join(path) or n.startswith(".".join(path) + ".")}
            tensors = {n for n, v in own.items() if isinstance(v, Tensor)}
            owner._frozen = owner._frozen | tensors if frozen else owner._frozen - tensors
            for part in own.values():
                if isinstance(part, StatefulModule):
                    part._set_frozen((), frozen)
        return self

    def _frozen_ids(self):
        return {
            id(value)
            for module in self.modules()
            if module._frozen
            for name, value in _entries(module)
            if name in module._frozen
        }

    def named_buffers(self):
        """A list of (dotted name, tensor) of what is saved but not trained."""
        return self._named_tensors(buffers=True)

    def buffers(self):
        """The tensors that are saved but not trained, a list."""
        return [tensor for _, tensor in self.named_buffers()]

    # ---- mode, device, dtype -----------------------------------------------------------------------

    @property
    def training(self):
        """True in training mode (dropout active). A jitted function is traced anew when it changes."""
        watched = self._watched()
        return self._training if watched is None else guard(watched, "_training")

    def train(self, mode=True):
        """Switches this module and its parts to training mode; returns the module."""
        for module in self.modules():
            module.__dict__["_training"] = bool(mode)  # not a change of structure: jit keeps the programs of both modes
        return self

    def eval(self):
        """Switches this module and its parts to evaluation mode; returns the module."""
        return self.train(False)

    def to(self, target):
        """Moves all tensors to a device, or converts the floating ones to a dtype, in place; returns the module."""
        is_device = isinstance(target, Device) or (
            isinstance(target, str) and target.partition(":")[0] in ("cpu", "cuda")
        )
        if is_device:
            devices(target).handle  # noqa: B018  nothing is changed if the device is not there
        for _, tensor in self._named_tensors(False) + self._named_tensors(True):
            if is_device or dtypes.is_float(tensor.dtype):
                _replace(tensor, tensor_to(tensor.detach(), target))
        return self

    # ---- saving and loading ------------------------------------------------------------------------

    def state_dict(self):
        """A dict from names to tensors: parameters (frozen ones, too), then buffers. Tied ones appear under their first name."""
        return dict(self._named_tensors(False) + self._named_tensors(True))

    def load_state_dict(self, state, strict=True, where=None):
        """Gives the tensors of this module the values in `state` (name -> Tensor or array).

        With strict, names must match exactly; otherwise unknown names are ignored and missing ones keep their
        values. Shapes must match in any case. Nothing is changed if anything does not fit: ModelFileError says what
        (`where`, by default the calling line, goes into its message). Returns the module.
        """
        own = self.state_dict()
        state = self._by_first_names(state, where)
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if strict and (missing or unknown):
            raise ModelFileError(
                f"The names do not fit {type(self).__name__}: missing {missing[:5]}, unknown {unknown[:5]}"
                f"{' and more' if len(missing) > 5 or len(unknown) > 5 else ''}.",
                where=where,
                fix="load it into the kind of module it was saved from, or pass strict=False.",
            )
        new = {}
        for name, tensor in own.items():
            if name not in state:
                continue
            data = _values(state[name])
            if data.shape != tensor.shape:
                raise ModelFileError(
                    f"{name} has shape {list(tensor.shape)} in this {type(self).__name__}, the given value {list(data.shape)}.",
                    where=where,
                    fix="use a module of the same sizes.",
                )
            new[name] = tensor_from_numpy(data.astype(tensor.dtype, copy=False), tensor.device)
        for name, value in new.items():
            _replace(own[name], value)
        return self

    def _by_first_names(self, state, where):
        """`state` with the first names of tied tensors for any of theirs; ModelFileError if it has two values for one of them."""
        aliases = self.aliases()
        found = {name: value for name, value in state.items() if name not in aliases}
        for name, value in state.items():
            if name in aliases and found.setdefault(aliases[name], value) is not value:
                same = np.array_equal(_values(found[aliases[name]]), _values(value))
                if not same:
                    raise ModelFileError(
                        f"{name} and {aliases[name]} are one tensor in this {type(self).__name__}, but have two values.",
                        where=where,
                        fix="load it into a module whose weights are not tied.",
                    )
        return found

    def save(self, path):
        """Writes all parameters and buffers to `path` in safetensors format; the file appears whole or not at all."""
        write_safetensors(path, {name: tensor.numpy() for name, tensor in self.state_dict().items()})

    def load(self, path, strict=True):
        """Reads parameters and buffers from a safetensors file; see load_state_dict. Returns the module.

        Raises ModelFileError for a file that is not safetensors, is truncated, or does not fit this module.
        """
        return self.load_state_dict(read_safetensors(path), strict, where=path)

    def __repr__(self):
        lines = []
        for name, value in _entries(self):
            shown = repr(value) if isinstance(value, StatefulModule) else f"{value.dtype.name}{list(value.shape)}"
            lines.append(f"  {name}: " + shown.replace("\n", "\n  "))
        return f"{type(self).__name__}(" + ("\n" + "\n".join(lines) + "\n" if lines else "") + ")"


observers = []  # the last one is called in place of each forward(): observer(module, forward, args, kwargs)


def _noted(forward):
    @functools.wraps(forward)
    def noted(self, *args, **kwargs):
        if observers:
            return observers[-1](self, functools.partial(forward, self), args, kwargs)
        if state.frame is not None and (watched := self._watched()) is not None:
            state.frame.modules[id(watched)] = watched
        return forward(self, *args, **kwargs)

    return noted


def _entries(module):
    """(name, value) for the tensors and modules among the attributes, containers opened: `layers.0`."""
    found = []
    stack = [(name, value) for name, value in reversed(vars(module).items()) if name not in SET_HERE]
    while stack:
        name, value = stack.pop()
        if isinstance(value, (Tensor, StatefulModule)):
            found.append((name, value))
        elif isinstance(value, (list, tuple)):
            stack.extend(reversed([(f"{name}.{i}", v) for i, v in enumerate(value)]))
        elif isinstance(value, dict):
            prefix = "" if name in module._own_names else f"{name}."
            stack.extend(reversed([(f"{prefix}{k}", v) for k, v in value.items()]))
    return found


def _part(module, name):
    """The attribute `name`, or of a list, tuple or dict the element; ArgumentError if there is none."""
    if isinstance(module, (list, tuple)) and name.isdigit() and int(name) < len(module):
        return module[int(name)]
    if isinstance(module, dict) and name in module:
        return module[name]
    if isinstance(module, StatefulModule) and name in vars(module):
        return vars(module)[name]
    raise ArgumentError(f"{type(module).__name__} has no part {name!r}.")


def _values(x):
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


class _HookHandle:
    """What register_forward_hook returns."""

    def __init__(self, module, hook):
        self.module, self.hook = module, hook

    def remove(self):
        """Ends the hook."""
        self.module._hooks = tuple(hook for hook in self.module._hooks if hook is not self.hook)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def _replace(tensor, value):
    """The handle `tensor` becomes a leaf with the value of `value`; it stays tracked if it was."""
    node = value.eval()._node
    tensor._rebind(leaf(node.value, node.aval))


def parameter(array, dtype=dt.float32, device=None):
    """A trainable tensor with the value of `array` (a NumPy array or a tensor)."""
    if not isinstance(array, (np.ndarray, Tensor)):
        raise ArgumentError(f"A parameter is made from an array, not {type(array).__name__}.")
    return Tensor(array, dtype=dtype, device=device).eval()
