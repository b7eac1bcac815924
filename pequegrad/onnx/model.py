"""OnnxModel: a read model as a module."""

import re

import numpy as np

from ..core.device import Device
from ..core.dtype import canonical
from ..core.errors import ArgumentError
from ..core.tensor import Tensor
from ..nn.module import StatefulModule, parameter
from ..ops.creation import as_tensor
from .inputs import checked
from .interpreter import Rounds, Scope, check_operators
from .needs import names_that_must_be_known, roles
from .reading import read


def load(source):
    """An OnnxModel from a path, bytes or an onnx.ModelProto.

    Raises ModelFileError for what is no model, NotImplementedError, which names them all, for operators that are not there.

    >>> model = pg.onnx.load("resnet18.onnx")
    >>> scores = pg.jit(model)(images)
    """
    return OnnxModel(read(source))


class OnnxModel(StatefulModule):
    """A model that was read from ONNX: model(x, y), or model(name=x, ...), gives its output, or the tuple of its outputs.

    Floating initialisers are its parameters, under their names in the file (statistics of BatchNormalization, and what torch's
    exporter says was one, are buffers); `inputs` and `outputs` say what goes in and comes out;
    run(...) gives a dict from names. Sizes of inputs that the file leaves open may be any, and differ from call to call.
    most_rounds: the loops of the model may go so many rounds in one call, else an error is raised.
    """

    most_rounds = 1 << 17
    floats = None  # the dtype that the model was converted to
    _own_names = frozenset({"weights"})  # parameters have the file's names

    def __init__(self, model):
        check_operators(model)
        self.model = model
        constants, self.known_names = names_that_must_be_known(model)
        model.known_names = self.known_names
        self.weights, self.constants = {}, {}
        self.inputs = [v for v in model.graph.inputs if v.name not in model.graph.initializers]
        for name, role in roles(model, constants).items():
            array = model.graph.initializers.pop(name)  # weights are not held twice
            if role == "constant":
                self.constants[name] = array
            else:
                self.weights[name] = parameter(np.array(array), array.dtype)
            if role == "buffer":
                self._buffer_names = self._buffer_names | {name}
        self.outputs = list(model.graph.outputs)

    def forward(self, *args, **kwargs):
        found = tuple(self.run(*args, **kwargs).values())
        return found[0] if len(found) == 1 else found

    def run(self, *args, **kwargs):
        """{name of an output: its value} for inputs in their order, or by name."""
        scope = Scope(self.model, self.model.versions, rounds=Rounds(self.most_rounds), floats=self.floats)
        scope.values.update(self.constants)
        scope.values.update(self.weights)
        scope.values.update(self._bound(args, kwargs))
        scope.run_nodes(self.model.graph.nodes)
        return {v.name: _result(scope[v.name]) for v in self.outputs}

    def _bound(self, args, kwargs):
        names = [v.name for v in self.inputs]
        if len(args) > len(names):
            raise ArgumentError(
                f"The model takes {len(names)} inputs, got {len(args)}.", fix=f"they are {', '.join(names)}."
            )
        given = dict(zip(names, args))
        by_name = {_identifier(name): name for name in names}
        for name, value in kwargs.items():
            name = name if name in names else by_name.get(name, name)
            if name not in names and name not in self.weights and name not in self.constants:
                raise ArgumentError(f"The model has no input {name!r}.", fix=f"its inputs are {', '.join(names)}.")
            if name in given:
                raise ArgumentError(f"Input {name!r} is given twice.")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise ArgumentError(f"The input {missing[0]!r} is missing.", fix=f"the inputs are {', '.join(names)}.")
        kinds = {v.name: v for v in self.inputs}
        return {
            name: checked(value, kinds.get(name), name in self.known_names, self.floats)
            for name, value in given.items()
        }

    def to(self, target):
        """As of any module; a model that was converted to a dtype takes, and computes with, floating numbers of that."""
        super().to(target)
        if not isinstance(target, Device) and str(target).partition(":")[0] not in ("cpu", "cuda"):
            self.floats = canonical(target)
        return self

    def __repr__(self):
        inputs, outputs = ", ".join(map(repr, self.inputs)), ", ".join(map(repr, self.outputs))
        size = sum(p.size for p in self.parameters())
        return f"OnnxModel({self.model.graph.name}: ({inputs}) -> ({outputs}), {len(self.model.graph.nodes)} nodes, {size:,} parameters)"


def _identifier(name):
    """An input's name as Python's keyword: input.1 may be given as input_1."""
    return re.sub(r"\W", "_", name)


def _result(value):
    """An output: known values as Tensors, but for strings."""
    if isinstance(value, Tensor) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_result(v) for v in value]
    array = np.asarray(value)
    return array if array.dtype.kind in "OUS" else as_tensor(array)
