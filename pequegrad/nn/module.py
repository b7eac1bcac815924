"""StatefulModule: a network is an object whose attributes are its parameters, buffers and parts."""

import functools

import numpy as np

from ..core import dtype as dtypes
from ..core.device import Device
from ..core.device import device as devices
from ..core.dtype import dt
from ..core.errors import ArgumentError, MissingPackageError, ModelFileError
from ..core.files import write_atomically
from ..core.node import guard, leaf, state
from ..core.tensor import Tensor, tensor_from_numpy
from ..ops.methods import to as tensor_to
from ..primitives.base import note_captures


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

    def __init_subclass__(cls, **kwargs):
        """Notes which modules a traced function runs, so that jit sees when one of them is changed."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):
            cls.forward = _noted(cls.forward)

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

    def _structure(self):
        """What a trace of this module depended on: changes when an attribute, or a part in a container, is replaced."""
        return self._version, [id(value) for _, value in _entries(self)]

    def forward(self, *args, **kwargs):
        """The computation of the module; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward().")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

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

    def _named_tensors(self, buffers):
        """(dotted name, tensor): parameters or buffers, every tensor once under its first name."""
        found, seen, opened = [], set(), set()
        stack = [("", self)]
        while stack:
            prefix, module = stack.pop()
            if id(module) in opened:
                continue
            opened.add(id(module))
            children = []
            for name, value in _entries(module):
                if isinstance(value, StatefulModule):
                    children.append((f"{prefix}{name}.", value))
                elif (name in module._buffer_names) == buffers and id(value) not in seen:
                    seen.add(id(value))
                    found.append((prefix + name, value))
            stack.extend(reversed(children))
        return found

    def named_parameters(self):
        """A list of (dotted name, tensor) in the order of definition; shared tensors appear once."""
        return self._named_tensors(buffers=False)

    def parameters(self):
        """The trainable tensors, a list."""
        return [tensor for _, tensor in self.named_parameters()]

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
        return guard(self, "_training")

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
        for _, tensor in self.named_parameters() + self.named_buffers():
            if is_device or dtypes.is_float(tensor.dtype):
                _replace(tensor, tensor_to(tensor.detach(), target))
        return self

    # ---- saving and loading ------------------------------------------------------------------------

    def state_dict(self):
        """A dict from names to tensors: parameters, then buffers."""
        return dict(self.named_parameters() + self.named_buffers())

    def load_state_dict(self, state, strict=True, where=None):
        """Gives the tensors of this module the values in `state` (name -> Tensor or array).

        With strict, names must match exactly; otherwise unknown names are ignored and missing ones keep their
        values. Shapes must match in any case. Nothing is changed if anything does not fit: ModelFileError says what
        (`where`, by default the calling line, goes into its message). Returns the module.
        """
        own = self.state_dict()
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
            value = state[name]
            data = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
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

    def save(self, path):
        """Writes all parameters and buffers to `path` in safetensors format; the file appears whole or not at all."""
        tensors = {name: tensor.numpy() for name, tensor in self.state_dict().items()}
        write_atomically(path, _safetensors().numpy.save(tensors, {"format": "pequegrad"}))

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


def _noted(forward):
    @functools.wraps(forward)
    def noted(self, *args, **kwargs):
        if state.frame is not None:
            state.frame.modules[id(self)] = self
        return forward(self, *args, **kwargs)

    return noted


def read_safetensors(path):
    """A dict from names to NumPy arrays with the contents of a safetensors file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ModelFileError(
            f"Cannot read the model file: {error.strerror}.",
            where=path,
            fix="check the path; model.save(path) writes such a file.",
        ) from None
    package = _safetensors()
    try:
        entries = package.deserialize(data)
    except package.SafetensorError as error:
        raise ModelFileError(
            f"Not a whole safetensors file: {error}.",
            where=path,
            fix="save the model again; files of other formats must be converted first.",
        ) from None
    found = {}
    for name, entry in entries:
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise ModelFileError(
                f"Tensor {name} has dtype {entry['dtype']}, which pequegrad does not have.", where=path
            )
        found[name] = np.frombuffer(entry["data"], dtypes.canonical(dtype)).reshape(entry["shape"])
    return found


# safetensors' names of dtypes
_DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def _safetensors():
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise MissingPackageError(
            "Saving and loading models needs the package safetensors.", fix="pip install safetensors."
        ) from None
    return safetensors


def _entries(module):
    """(name, value) for the tensors and modules among the attributes, containers opened: `layers.0`."""
    found = []
    stack = [(name, value) for name, value in reversed(vars(module).items())]
    while stack:
        name, value = stack.pop()
        if isinstance(value, (Tensor, StatefulModule)):
            found.append((name, value))
        elif isinstance(value, (list, tuple)):
            stack.extend(reversed([(f"{name}.{i}", v) for i, v in enumerate(value)]))
        elif isinstance(value, dict):
            stack.extend(reversed([(f"{name}.{k}", v) for k, v in value.items()]))
    return found


def _replace(tensor, value):
    """The handle `tensor` becomes a leaf with the value of `value`; it stays tracked if it was."""
    node = value.eval()._node
    tensor._rebind(leaf(node.value, node.aval))


def parameter(array, dtype=dt.float32, device=None):
    """A trainable tensor with the value of `array` (a NumPy array or a tensor)."""
    if not isinstance(array, (np.ndarray, Tensor)):
        raise ArgumentError(f"A parameter is made from an array, not {type(array).__name__}.")
    return Tensor(array, dtype=dtype, device=device).eval()
