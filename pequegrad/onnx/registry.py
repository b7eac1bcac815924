"""The table of operators: which function computes which operator from which version of its operator set on."""

import functools
import importlib
import inspect
import pkgutil

OWN = "pequegrad"  # the domain of operators that are in no file, but made of what is
_TOLD = ("n_outputs", "scope", "needed", "may_train")  # keywords that are no attributes: see docs/onnx.md
_OPERATORS = {}  # (domain, name) -> [(first version, Operator), ...], ascending


class Operator:
    """A function that computes an operator, and what it wants to be told."""

    def __init__(self, name, since, function, known, either=(), reads=(), statistics=(), weights=()):
        self.name, self.since, self.function = name, since, function
        parameters = inspect.signature(function).parameters
        self.inputs = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
        keywords = {p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
        self.wants_count, self.wants_scope, self.wants_needed, self.wants_mode = (k in keywords for k in _TOLD)
        self.attributes = keywords - {*_TOLD}
        self.any_attributes = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        unknown = [k for k in (*known, *either, *reads, *statistics, *weights) if k not in self.inputs]
        if unknown:
            raise TypeError(f"{name}: {unknown} are no inputs of {function.__name__}")
        self.known = {self.inputs.index(k) for k in (*known, *reads)}
        self.reads = {self.inputs.index(k) for k in reads}
        self.statistics, self.weights = ({self.inputs.index(k) for k in names} for names in (statistics, weights))
        self.either = {self.inputs.index(k) for k in either}


def op(name, since=1, known=(), domain="", folds=True, either=(), reads=(), statistics=(), weights=(), deciding=None):
    """Decorator: the function computes the operator `name` from version `since` of its set.

    known: names of inputs that it needs as values (NumPy arrays), constants of a compiled model; reads: those that it needs as
    values, too, but that data decides: networks compute them with weights, which stay parameters; either: those that it takes as
    values where they are known, else as Tensors. statistics: inputs that are not trained if they are initialisers;
    weights: those that are, whatever else the file says.
    folds=False: it is not run ahead of time on known values (random numbers, control flow), or it handles them itself.
    deciding: node -> positions of inputs that decide on the shapes of this node's outputs; they are like `reads`.
    """

    def register(function):
        operator = Operator(name, since, function, known, either, reads, statistics, weights)
        operator.folds, operator.deciding = folds, deciding
        versions = _OPERATORS.setdefault((domain, name), [])
        versions.append((since, operator))
        versions.sort(key=lambda entry: entry[0])
        return function

    return register


def load_modules(package):
    """Imports the modules of a package, which register what is in them."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


@functools.cache
def _load_all():
    from . import ops

    load_modules(ops)


def find(domain, name, version):
    """The Operator for a node of this operator set; None if there is none."""
    _load_all()
    domain = "" if domain == "ai.onnx" else domain
    found = None
    for since, operator in _OPERATORS.get((domain, name), ()):
        if since <= version:
            found = operator
    return found


def names():
    """All (domain, operator) that are there."""
    _load_all()
    return sorted(_OPERATORS)
