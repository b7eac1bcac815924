"""Runs graphs: each node is a call of its operator's function on what its inputs are."""

import numpy as np

from ..core.dtype import is_float
from ..core.errors import ArgumentError, OutOfMemoryError, PequegradError, UnsupportedModelError
from ..core.tensor import Tensor
from ..ops.arithmetic import clip, isfinite, where
from .graphs import Function, Reference, subgraphs
from .registry import find
from .strings import holds_strings, through_codes
from .values import (
    as_known,
    check_sizes,
    dtype_of,
    element_type_of,
    is_known,
    is_strings,
    known,
    outside,
    tensor,
    tracing,
)


class Rounds:
    """How many rounds the loops of a model may still go, all together, in one call."""

    def __init__(self, most):
        self.most = self.left = most

    def spend(self, n=1):
        """Goes n rounds; ArgumentError if there are not so many left."""
        self.left -= n
        if self.left < 0:
            self.fail()

    def fail(self):
        raise ArgumentError(
            f"The loops of the model go more than {self.most:,} rounds.", fix="set most_rounds of the model."
        )


class Scope:
    """Values by name, and those of the graphs around. versions, functions: of the model; rounds: a Rounds, for all scopes of a call.

    floats: the floating dtype that the model was converted to, if it was: known numbers that meet such Tensors become it.
    may_train: False where nodes that the file trains (Dropout, BatchNormalization) infer all the same.
    """

    def __init__(self, model, versions, outer=None, arguments=None, rounds=None, floats=None, may_train=True):
        self.model, self.versions, self.outer = model, versions, outer
        self.rounds = rounds or outer.rounds
        self.floats = floats if outer is None else outer.floats
        self.may_train = may_train if outer is None else outer.may_train
        self.values = {"": None}
        self.arguments = arguments or {}  # attributes of the function that is called

    def __getitem__(self, name):
        scope = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        raise ArgumentError(f"The model reads {name!r}, which nothing gives.")

    def __contains__(self, name):
        return name in self.values or (self.outer is not None and name in self.outer)

    def run(self, graph, inputs):
        """The outputs, a list, of a subgraph for these inputs, a list."""
        inner = Scope(self.model, self.versions, self, self.arguments)
        inner.values.update(graph.initializers)
        inner.values.update(zip((v.name for v in graph.inputs), inputs))
        inner.run_nodes(graph.nodes)
        return [inner[v.name] for v in graph.outputs]

    def run_nodes(self, nodes):
        """Computes the outputs of these nodes."""
        for node in nodes:
            inputs = [self[name] for name in node.inputs]
            try:
                outputs = self.apply(node, inputs)
            except PequegradError as error:
                _name(error, node)
                raise
            except NotImplementedError as error:
                raise UnsupportedModelError(f"{node}: {error}", fix=_fix([node])) from None
            except MemoryError as error:
                raise OutOfMemoryError(f"{node}: {error}") from None
            except (
                TypeError,
                ValueError,
                IndexError,
                KeyError,
                AttributeError,
                ZeroDivisionError,
                OverflowError,
                RecursionError,
                RuntimeError,
                AssertionError,
            ) as error:
                raise ArgumentError(f"{node}: {type(error).__name__}: {error}") from error
            for name, value in zip(node.outputs, outputs):
                if name:
                    self.values[name] = value

    def apply(self, node, inputs):
        """The outputs of a node, a list."""
        function = self.model.functions.get((node.domain, node.op, node.overload))
        if function is not None:
            return self.call(function, node, inputs)
        operator = find(node.domain, node.op, self.versions.get(node.domain, 1))
        if operator is None:
            raise UnsupportedModelError(missing([(node, self.versions)]), fix=_fix([node]))
        attributes = {name: self.attribute(value) for name, value in node.attributes.items()}
        attributes = {name: value for name, value in attributes.items() if value is not None}
        return apply_operator(operator, node, inputs, attributes, self)

    def attribute(self, value):
        """The value of an attribute; inside a function those that refer to the function's are looked up."""
        return self.arguments.get(value.name) if isinstance(value, Reference) else value

    def call(self, function, node, inputs):
        """A model-local function."""
        given = {name: self.attribute(value) for name, value in node.attributes.items()}
        inner = Scope(
            self.model,
            function.versions,
            None,
            {**function.attributes, **given},
            self.rounds,
            self.floats,
            self.may_train,
        )
        inner.values.update(dict.fromkeys(function.inputs))
        inner.values.update(zip(function.inputs, inputs))
        inner.run_nodes(function.nodes)
        return [inner[name] for name in function.outputs]


def _name(error, node):
    """Puts the node into the error's message, if neither this one nor one inside of it is there."""
    if not hasattr(error, "node"):
        error.node = node
        if str(node) not in str(error):
            error.args = (f"{node}: {error}",)


def apply_operator(operator, node, inputs, attributes, scope):
    """The outputs, a list, of an operator for these values."""
    unknown = _unknown(operator, attributes)
    if unknown:
        raise UnsupportedModelError(_no_attribute(node, unknown), fix=_ATTRIBUTE)
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    if len(inputs) > len(operator.inputs) and not operator.variadic:
        raise ArgumentError(f"{node} has {len(inputs)} inputs, {operator.name} takes {len(operator.inputs)}.")
    if holds_strings(operator, inputs):
        return through_codes(operator, inputs, lambda codes: apply_operator(operator, node, codes, attributes, scope))
    if scope.floats is not None:
        inputs, attributes = _converted(operator, inputs, attributes, scope.floats)
    names = operator.inputs
    for i in operator.known:
        if i < len(inputs):
            inputs = [*inputs[:i], known(inputs[i], f"Input {names[i]!r} of {node}"), *inputs[i + 1 :]]
    options = dict(attributes)
    if operator.wants_count:
        options["n_outputs"] = len(node.outputs)
    if operator.wants_scope:
        options["scope"] = scope
    sizes = tracing.of_sizes
    traced = sizes is not None and node in sizes.traced
    if operator.wants_mode:
        options["may_train"] = scope.may_train
    if operator.wants_needed:
        options["needed"] = None if traced else _is_needed(node, scope)
    what = f"A result of {node}"
    if not traced and operator.folds and is_known([x for i, x in enumerate(inputs) if i not in operator.known]):
        with outside():
            found = operator.function(*_as_tensors(operator, inputs), **options)
            found = [as_known(x) for x in _checked(found, what)]
        if sizes is not None and not _is_needed(node, scope):
            sizes.note(node, found)
        return found
    found = _checked(operator.function(*(_as_tensors(operator, inputs) if operator.folds else inputs), **options), what)
    if sizes is not None and operator.wants_needed and not traced and not options["needed"]:
        sizes.note(node, found)
    if scope.floats is None or operator.wants_scope or any(map(_is_float_tensor, inputs)):
        return found
    return [
        _narrowed(x, scope.floats) if _is_float_tensor(x) else x for x in found
    ]  # made of sizes, integers and constants


def _is_needed(node, scope):
    """Whether what a node gives must be known."""
    return bool(scope.model.functions) or not scope.model.known_names.isdisjoint(node.outputs)


def _is_float_tensor(x):
    return isinstance(x, Tensor) and is_float(x.dtype)


def _converted(operator, inputs, attributes, floats):
    """The inputs and attributes in a model that was converted to `floats`: constants, and what is cast from other kinds, are that, too."""
    if operator.name == "Cast" and isinstance(inputs[0], Tensor) and not is_float(inputs[0].dtype):
        to = attributes["to"]
        return inputs, {**attributes, "to": element_type_of(floats) if is_float(dtype_of(to)) else to}
    if not any(isinstance(x, Tensor) and x.dtype == floats for x in inputs):
        return inputs, attributes
    plain = operator.known | operator.either
    return [_as_floats(x, floats) if i not in plain and is_floats(x) else x for i, x in enumerate(inputs)], attributes


def _as_floats(array, floats):
    """An array in another floating dtype; finite numbers remain finite: masks hold the least that there is."""
    with outside():
        return _narrowed(tensor(array), floats)


def _narrowed(x, floats):
    """A Tensor in another floating dtype, finite numbers finite."""
    if floats.itemsize == 2 and x.dtype.itemsize > 2:
        most = (2 - 2**-7) * 2.0**127 if floats.name == "bfloat16" else float(np.finfo(floats).max)
        x = where(isfinite(x), clip(x, -most, most), x)
    return x.astype(floats)


def _as_tensors(operator, inputs):
    """The inputs as the function takes them: Tensors, but for those that it wants known, lists, strings and None."""
    like = next((x for x in inputs if isinstance(x, Tensor)), None)
    found = []
    for i, x in enumerate(inputs):
        plain = i in operator.known or i in operator.either or x is None or isinstance(x, list) or is_strings(x)
        found.append(x if plain else tensor(x, like))
    return found


def _checked(found, what):
    """The results of an operator, a list. They are not computed yet: what no machine can hold is refused here."""
    found = list(found) if isinstance(found, tuple) else [found]
    check_sizes(found, what)
    return found


# ---- what a model needs ------------------------------------------------------------------------------------


def missing(nodes):
    """The text that says which operators are not there."""
    found = {}
    for n, v in nodes:
        title = f"{f'{n.domain}.' if n.domain else ''}{n.op} (operator set {v.get(n.domain, '?')})"
        found.setdefault(title, []).append(_place(n))
    texts = [f"{title}: {_several(places)}" for title, places in sorted(found.items())]
    return f"ONNX operators that are not implemented: {'; '.join(texts)}."


def _place(node):
    return f"node {node.name!r}" if node.name else f"the node that gives {next(filter(None, node.outputs), '?')!r}"


def _several(places):
    return places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"


def _fix(nodes):
    """What to do about operators, attributes or types that are not there."""
    if any(node.domain == "com.microsoft" for node in nodes):
        return "these are onnxruntime's own: save models before it optimises them, quantise in QDQ form (quant_format=QuantFormat.QDQ)."
    if any(node.domain for node in nodes):
        return "export the model with operators of ONNX's own domain, or as functions of the model."
    return "export the model with other operators or types; docs/onnx.md says which are there."


def check_operators(model):
    """UnsupportedModelError, a NotImplementedError, with all of them, for operators that are not there, and for attributes."""
    absent, strange = [], []

    def look(nodes, versions):
        for node in nodes:
            if (node.domain, node.op, node.overload) not in model.functions:
                operator = find(node.domain, node.op, versions.get(node.domain, 1))
                if operator is None:
                    absent.append((node, versions))
                elif _unknown(operator, node.attributes):
                    strange.append((node, _unknown(operator, node.attributes)))
            for graph in subgraphs(node):
                look(graph.nodes, versions)

    look(model.graph.nodes, model.versions)
    for function in model.functions.values():
        assert isinstance(function, Function)
        look(function.nodes, function.versions)
    if absent:
        raise UnsupportedModelError(missing(absent), where=model.where, fix=_fix([node for node, _ in absent]))
    if strange:
        raise UnsupportedModelError(_no_attribute(*strange[0]), where=model.where, fix=_ATTRIBUTE)


_ATTRIBUTE = "its name may be wrong, or it may be of another operator set than the model says."


def _unknown(operator, attributes):
    """The name of an attribute that the operator does not have; None if there is none."""
    return None if operator.any_attributes else min(set(attributes) - operator.attributes, default=None)


def _no_attribute(node, name):
    return f"{node}: the attribute {name!r} is not supported."


def is_floats(array):
    return isinstance(array, np.ndarray) and (array.dtype.kind == "f" or array.dtype.name == "bfloat16")
