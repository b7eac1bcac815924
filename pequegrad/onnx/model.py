"""OnnxModel: a read model as a module."""

import re

import numpy as np

from ..core.device import Device
from ..core.dtype import canonical
from ..core.errors import ArgumentError, PequegradError, ShapeError
from ..core.node import state
from ..core.tensor import Tensor
from ..nn.module import StatefulModule, parameter
from ..ops.creation import as_tensor
from .inputs import checked, differing_sizes
from .interpreter import Rounds, Scope, check_operators
from .masks import join_masks
from .modes import trains
from .needs import names_that_must_be_known, roles
from .reading import read
from .values import DependsOnData, Fixed, is_plain, is_readable, is_text


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
    fixed_names: what decides on shapes, or how often a loop goes. pg.jit(model)(x, np.array([2, 3])) makes NumPy arrays, lists and
    numbers for these inputs, and strings, constants of the program; other values make another one.
    eval() makes Dropout and BatchNormalization infer where the file has them in training mode; train() gives back what the file says,
    and what was written for inference remains that. A loaded model does what the file says.
    most_rounds: the loops of the model may go so many rounds in one call, else an error is raised.
    """

    most_rounds = 1 << 17
    floats = None  # the dtype that the model was converted to
    _own_names = frozenset({"weights"})  # parameters have the file's names

    def __init__(self, model):
        check_operators(model)
        join_masks(model.graph)
        self.model, self._training = model, trains(model)
        constants, self.known_names, self.fixed_names = names_that_must_be_known(model)
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

    def static_arguments(self, args, kwargs):
        """{position or keyword: value} of the arguments that jit takes as constants of a program: it asks for them."""
        names = [v.name for v in self.inputs]
        named = [*zip(range(len(args)), names, args), *((key, self._named(key), x) for key, x in kwargs.items())]
        found = {}
        for key, name, x in named:
            if isinstance(x, Fixed):
                found[key] = x
            elif is_text(x) or (name in self.fixed_names and is_plain(x)):
                found[key] = Fixed(x)
        return found

    def with_known(self, values):
        """A list of NumPy arrays for the inputs, where jit takes all that any operator reads as constants: also what data may decide.

        So programs differ from data to data, but there is one for each: to see whether it is right, not for use.
        """
        names = [v.name for v in self.inputs]
        return [
            Fixed(x) if (name in self.known_names and x is not None) or is_text(x) else x
            for name, x in zip(names, values)
        ]

    def run(self, *args, **kwargs):
        """{name of an output: its value} for inputs in their order, or by name."""
        scope = Scope(
            self.model,
            self.model.versions,
            rounds=Rounds(self.most_rounds),
            floats=self.floats,
            may_train=self.training,
        )
        scope.values.update(self.constants)
        scope.values.update(self.weights)
        given = self._bound(args, kwargs)
        scope.values.update(given)
        try:
            scope.run_nodes(self.model.graph.nodes)
        except PequegradError as error:
            differ = differing_sizes(self.inputs, given)
            if differ is None:
                raise
            raise ShapeError(differ, origin=str(error).splitlines()[0], fix="give inputs that agree in it.") from error
        return {v.name: _result(scope[v.name]) for v in self.outputs}

    def _bound(self, args, kwargs):
        names = [v.name for v in self.inputs]
        if len(args) > len(names):
            raise ArgumentError(
                f"The model takes {len(names)} inputs, got {len(args)}.", fix=f"they are {', '.join(names)}."
            )
        given = dict(zip(names, args))
        for name, value in kwargs.items():
            name = self._named(name)
            if name not in names and name not in self.weights and name not in self.constants:
                raise ArgumentError(f"The model has no input {name!r}.", fix=f"its inputs are {', '.join(names)}.")
            if name in given:
                raise ArgumentError(f"Input {name!r} is given twice.")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise ArgumentError(f"The input {missing[0]!r} is missing.", fix=f"the inputs are {', '.join(names)}.")
        kinds = {v.name: v for v in self.inputs}
        found = {}
        for name, value in given.items():
            value = value.value if isinstance(value, Fixed) else value
            if name in self.fixed_names and not is_readable(value):
                raise DependsOnData(
                    f"Input {name!r} of the model decides on shapes, and has no value while the model is traced.",
                    fix="give it as a NumPy array, list or number: pg.jit(model) makes a program for each of its values.",
                )
            found[name] = checked(value, kinds.get(name), name in self.known_names, self.floats)
        return found

    def _named(self, keyword):
        """The input that a keyword names: as it is, or with _ for what no keyword has."""
        names = [v.name for v in self.inputs]
        if keyword in names or keyword in self.weights or keyword in self.constants:
            return keyword
        return next((name for name in names if _identifier(name) == keyword), keyword)

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
    """input.1 as input_1."""
    return re.sub(r"\W", "_", name)


def _result(value):
    """An output: known values as Tensors, but for strings."""
    if isinstance(value, Tensor) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_result(v) for v in value]
    array = np.asarray(value)
    if array.dtype.kind not in "OUS":
        return as_tensor(array)
    return array if state.frame is None else Fixed(array)
