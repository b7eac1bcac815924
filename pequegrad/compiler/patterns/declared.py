"""Patterns stated as a pair of functions: an example of what to find, and what to compute instead.

The example is traced twice. Once on small arrays, which gives the primitives it is made of: its skeleton. Where that
occurs in a program the operands are known, and the example is traced again on arrays like these: then every parameter,
shape and number must agree. Both traces are simplified as the program was.
"""

import math
from itertools import combinations

from ...core import dtype as dtypes
from ...core.dtype import dt, is_inexact
from ...core.errors import ArgumentError, GradientError, PequegradError
from ...core.node import constant, make_aval
from ...transforms.derivative import backward
from ...transforms.graphs import graph_of
from ...transforms.signatures import signature
from ...transforms.tree import flatten
from .rewrite import Match, check_results
from .search import is_closed, occurrences, varying_nodes

_MAX_LEADING = 6  # axes that `...` stands for
_TRIES = 8  # ways in which a skeleton may lie around one node (commutative operations)
_SIZES = (lambda axis: 3 + 2 * axis), (lambda axis: 4 << axis), (lambda axis: 1)  # simplification tells them apart
_KEPT = 256  # graphs traced for kinds of operands


class DeclaredPattern:
    """What register_pattern makes; it is called with a program and yields matches."""

    def __init__(self, example, replacement, where=None, operands=None, gradient=True, name=None):
        for role, function in (("example", example), ("replacement", replacement)):
            if not callable(function):
                raise ArgumentError(
                    f"register_pattern: the {role} is {type(function).__name__}.", fix="give a function."
                )
        self.example, self.replacement, self.where, self.gradient = example, replacement, where, gradient
        self.name = name or _name_of(replacement, example)
        self.operands = _operand_forms(self.name, example, operands)
        _check_parameters(self.name, replacement, len(self.operands))
        self.traced = {}  # what was traced, simplified; forgotten when there is much of it
        self._check()

    def __repr__(self):
        return f"<pattern {self.name}>"

    def _check(self):
        """Traces the example once, so that mistakes are reported where the pattern is registered."""
        failure = None
        for leading in range(_MAX_LEADING):
            try:
                graph = self._trace(self.example, self._small_avals(leading, _SIZES[0], dt.float32, None))
            except PequegradError as error:
                failure = failure or error
                continue
            _check_pure(f"pattern {self.name}: the example", graph)
            used = {source for node in graph.nodes for source in node.inputs}
            for i, node in enumerate(graph.inputs):
                if node not in used:
                    raise ArgumentError(
                        f"pattern {self.name}: the example does not use its operand number {i}.",
                        fix="leave it out: the replacement can only read what is found.",
                    )
            return
        raise ArgumentError(
            f"pattern {self.name}: the example cannot be traced: {str(failure).splitlines()[0]}",
            fix="give the operands' axes, as in operands='...nd,dm,m', and dtypes other than the result's: 'nd:bool'.",
        ) from failure

    # ---- tracing ---------------------------------------------------------------------------------------

    def _small_avals(self, leading, size, dtype, device):
        """Avals of the operands for a result of `dtype`, with so many axes in the place of `...`."""
        from ...core.device import device as devices

        return [
            make_aval((size(0),) * leading * dots + tuple(map(size, axes)), own or dtype, device or devices.cpu)
            for dots, axes, own in self.operands
        ]

    def _trace(self, function, avals):
        """The closed graph of the function; results in the order of flattening."""
        return graph_of(self.name, avals, lambda *tensors: _tensors(function(*tensors)), "pattern")

    def _graph(self, key, make):
        """make(), kept under `key`; None where it raises."""
        if key not in self.traced:
            if len(self.traced) >= _KEPT:
                self.traced.clear()
            try:
                self.traced[key] = make()
            except PequegradError:
                self.traced[key] = None
        return self.traced[key]

    def _skeletons(self, program, simplify):
        """Skeletons that could occur, with the nodes of the program where their first result could be."""
        kinds = {}
        for node in program.graph.nodes:
            if type(node.aval) is not tuple:
                kinds.setdefault((node.aval.dtype, node.aval.device), set()).add(node.aval.ndim)
        open_ended = any(dots for dots, _, _ in self.operands)
        for kind, ranks in kinds.items():
            for leading in range(min(max(ranks), _MAX_LEADING) + 1 if open_ended else 1):
                for graph in self._small_graphs(leading, *kind, simplify):
                    root = graph.results[0]
                    if root.aval.ndim in ranks and all(n.spec.primitive in program.by_primitive for n in graph.nodes):
                        yield graph, program.by_primitive[root.spec.primitive]

    def _small_graphs(self, leading, dtype, device, simplify):
        """The example on small arrays; one graph for each form that it takes for odd sizes, powers of two, and ones."""
        key = "small", leading, dtype, device, simplify
        if key not in self.traced:
            forms = {}
            for size in _SIZES:
                try:
                    graph = simplify(self._trace(self.example, self._small_avals(leading, size, dtype, device)))
                except PequegradError:
                    continue
                root = graph.results[0]
                if (root.aval.dtype, root.aval.device) == (dtype, device) and all(n.inputs for n in graph.results):
                    place = {node: i for i, node in enumerate((*graph.inputs, *graph.nodes))}
                    form = [(n.spec.primitive, *map(place.get, n.inputs)) for n in graph.nodes]
                    forms.setdefault(tuple(form), graph)
            self.traced[key] = list(forms.values())
        return self.traced[key]

    # ---- matching --------------------------------------------------------------------------------------

    def __call__(self, program, simplify):
        """Yields matches; they may overlap."""
        for skeleton, places in self._skeletons(program, simplify):
            root = skeleton.results[0]
            for node in places:
                if type(node.aval) is tuple or node.aval.ndim != root.aval.ndim or node.aval.dtype != root.aval.dtype:
                    continue
                match = self._match_at(skeleton, node, program, simplify)
                if match is not None:
                    yield match

    def _match_at(self, skeleton, node, program, simplify):
        tried = set()
        for found in occurrences(skeleton, program, {skeleton.results[0]: node}, exact=False):
            operands = tuple([found.get(argument) for argument in skeleton.inputs])
            if None not in operands and operands not in tried:
                match = self._match_with(operands, node, program, simplify)
                if match is not None:
                    return match
                tried.add(operands)
            if len(tried) >= _TRIES:
                break
        return None

    def _match_with(self, operands, node, program, simplify):
        """The match whose first result is `node` and whose operands are these nodes, or None."""
        avals = tuple([operand.aval for operand in operands])
        graph = self._graph((avals, simplify), lambda: simplify(self._trace(self.example, avals)))
        if graph is None or (self.where is not None and not self.where(*avals)):
            return None
        found = _occurrence(graph, program, operands, node)
        if found is None:
            return None
        if is_closed(graph, program, found):
            instead = self._traced_replacement(avals, graph)
            return _match(self.name, graph, found, operands, instead)
        return self._match_with_derivative(graph, found, operands, program, simplify) if self.gradient else None

    def _traced_replacement(self, avals, graph):
        key = "instead", avals
        if key not in self.traced:
            made = self._trace(self.replacement, avals)
            _check_pure(f"pattern {self.name}: the replacement", made)
            check_results(self.name, made, graph.avals)
            self.traced[key] = made
        return self.traced[key]

    def _match_with_derivative(self, graph, found, operands, program, simplify):
        """The match of the example together with its derivative: what backward reads goes, too."""
        avals = tuple([operand.aval for operand in operands])
        inexact = [i for i, aval in enumerate(avals) if is_inexact(aval.dtype)]
        self._traced_replacement(avals, graph)
        for size in range(len(inexact), 0, -1):
            for wanted in combinations(inexact, size):
                both = self._graph(
                    ("both", avals, wanted, simplify),
                    lambda wanted=wanted: simplify(self._trace_both(self.example, avals, wanted)),
                )
                if both is None:
                    continue
                known = dict(zip(both.inputs, operands)) | {both.results[0]: found[graph.results[0]]}
                for whole in occurrences(both, program, known):
                    cotangents = [whole.get(argument) for argument in both.inputs[len(operands) :]]
                    if None in cotangents or not is_closed(both, program, whole):
                        continue
                    instead = self._graph(
                        ("both instead", avals, wanted),
                        lambda wanted=wanted: self._trace_both(self.replacement, avals, wanted),
                    )
                    if instead is not None:
                        return _match(self.name, both, whole, [*operands, *cotangents], instead)
        return None

    def _trace_both(self, function, avals, wanted):
        """The graph of operands and cotangents of the results -> results, cotangents of the operands `wanted`."""
        n = len(avals)
        outs = [make_aval(a.shape, a.dtype, a.device) for a in self._trace(function, avals).avals]

        def both(*tensors):
            results = _tensors(function(*tensors[:n]))
            given = {out._node: ct for out, ct in zip(results, tensors[n:])}
            found = backward(given, [tensors[i]._node for i in wanted])
            if any(ct is None for ct in found):
                raise GradientError(f"pattern {self.name}: an operand has no derivative.")
            return [*results, *found]

        return graph_of(self.name, [*avals, *outs], both, "pattern")


def _occurrence(graph, program, operands, node):
    known = {graph.results[0]: node} | dict(zip(graph.inputs, operands))
    return next(occurrences(graph, program, known), None)


def _match(name, graph, found, operands, instead):
    results = [found[node] for node in graph.results]
    return Match(name, results, list(operands), {*results, *(found[node] for node in varying_nodes(graph))}, instead)


def _tensors(results):
    from ...ops.creation import as_tensor

    return [as_tensor(x) for x in flatten(results)[0]]


def _check_pure(role, graph):
    """Raises if a graph that was traced depends on more than its arguments, or does more than compute."""
    if graph.effects:
        raise ArgumentError(f"{role} has effects.", fix="leave out debug_print, io_callback and their kin.")
    for source in {source for node in graph.nodes for source in node.inputs} | set(graph.results):
        if source.value is not None and source.spec.primitive is not constant:
            if source.number < graph.inputs[0].number:
                raise ArgumentError(
                    f"{role} reads {source.aval} from outside, whose value would stay as it is now.",
                    fix="make it an operand, or read a NumPy array.",
                )


def _name_of(replacement, example):
    name = getattr(replacement, "__name__", "<lambda>")
    return name if name != "<lambda>" else getattr(example, "__name__", name)


def _operand_forms(name, example, text):
    """(whether it begins with `...`, numbers of its named axes, dtype or None) for each operand."""
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in signature(example))
    if not count:
        raise ArgumentError(
            f"pattern {name}: the example has no operands.", fix="give it one parameter for each: lambda x, y: ..."
        )
    if text is not None and not isinstance(text, str):
        raise ArgumentError(
            f"pattern {name}: `operands` is {type(text).__name__}, not a string.",
            fix="name the axes of each: operands='...nd,dm,m'.",
        )
    if text is None:
        return [(True, (), None)] * count
    forms, axes_known = [], {}
    for operand in text.replace(" ", "").split(","):
        axes, _, dtype = operand.partition(":")
        dots = axes.startswith("...")
        letters = axes.removeprefix("...")
        if letters and not letters.isalpha():
            raise ArgumentError(
                f"pattern {name}: {operand!r} does not name axes.",
                fix="use letters, with ... for leading axes: '...nd:bool'.",
            )
        named = [axes_known.setdefault(letter, 1 + len(axes_known)) for letter in letters]
        forms.append((dots, tuple(named), dtypes.canonical(dtype) if dtype else None))
    if len(forms) != count:
        raise ArgumentError(
            f"pattern {name}: the example takes {count} operands, `operands` names {len(forms)}.",
            fix="name each: operands='...nd,dm,m'.",
        )
    return forms


def _check_parameters(name, replacement, count):
    """Raises if the replacement cannot be called with so many operands."""
    parameters = signature(replacement)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    fewest = sum(p.default is p.empty for p in positional)
    most = math.inf if any(p.kind == p.VAR_POSITIONAL for p in parameters) else len(positional)
    if parameters and not fewest <= count <= most:
        raise ArgumentError(
            f"pattern {name}: the example takes {count} operands, the replacement {len(positional)}.",
            fix="give both the same parameters.",
        )
