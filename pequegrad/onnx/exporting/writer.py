"""Writer: turns a Program into ONNX nodes by the rules of its primitives."""

import functools
import math
from collections import Counter

import numpy as np

from ...core.dtype import is_float
from ...core.errors import ShapeError
from ...ops.creation import as_tensor
from ...primitives.base import PRIMITIVES
from ..registry import load_modules
from ..values import DTYPES, element_type_of, outside
from .kernels import data_dtype, dtypes_of_results, in_stand_in, stand_in
from .program import Program, Value, splits
from .records import Record, info, needed, protos
from .sizes import Varying, fixed

_RULES = {}  # primitive -> function(writer, *operands, **params): what computes its result, or a list for several results
_TYPES = {*DTYPES.values()} - {"complex64", "complex128"}
_ONCE = {"Cast", "Expand", "Range", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}  # no rule changes these later on
_ARRANGED = {"Concat", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}  # names go by what is arranged
LARGEST_CONSTANT = 1 << 14  # elements: larger arrays are computed by the model
LAST = 2**63 - 1  # as the end of a Slice: that of the axis


def rule(*names):
    """Decorator: the function writes these primitives. Its operands are Values."""

    def register(function):
        for name in names:
            _RULES[name] = function
        return function

    return register


@functools.cache
def load_rules():
    from .. import exporting

    load_modules(exporting)
    return _RULES


class Unsupported(NotImplementedError):
    """A primitive, with these parameters, that ONNX does not express."""


class Skipped(Exception):
    """An operand has no form in ONNX: that is reported, not what follows from it."""


UNKNOWN = "?"  # the name of such a value
_FROM_SIZES = [  # (number -> the size that it comes from, the operators by which it does)
    (float, ()), (lambda v: 1 / v, ("Reciprocal",)), (lambda v: v * v, ("Sqrt",)), (lambda v: 1 / (v * v), ("Sqrt", "Reciprocal")),
]  # fmt: skip


class Shared:
    """What all graphs of a model share: names, constants, sizes, and what is not supported."""

    def __init__(self, opset, samples):
        self.opset, self.samples = opset, samples
        self.counts = Counter()
        self.taken = set()
        self.owners = {}  # name of a parameter -> of its module
        self.arranged = {}  # name of what a parameter became by moving its elements -> of the parameter
        self.constants, self.arrays = {}, {}  # key -> name, name -> array
        self.dtypes = {}  # name -> dtype, where it is known
        self.size_of = {}  # name of a free size -> (input, axis)
        self.before, self.sizes = [], {}  # nodes that compute sizes, what they give
        self.failures = []

    def name(self, hint):
        """A name that is not taken."""
        while True:
            self.counts[hint] += 1
            found = hint if self.counts[hint] == 1 else f"{hint}_{self.counts[hint] - 1}"
            if found not in self.taken:
                self.taken.add(found)
                return found


def _is_constant(operation):
    """True for what is computed once, here: small arrays of constants only."""
    if operation.primitive not in PRIMITIVES or operation.primitive == "host_call" or not operation.outputs:
        return False
    known = all(x.data is not None and not isinstance(x.data, Varying) and fixed(x.shape) for x in operation.inputs)
    small = all(fixed(x.shape) and math.prod(x.shape) <= LARGEST_CONSTANT for x in operation.outputs)
    return known and small and not _varies(operation.params)


def _varies(params):
    """True if there is a size that varies, or a graph, among parameters."""
    if isinstance(params, dict):
        return any(map(_varies, params.values()))
    return any(map(_varies, params)) if isinstance(params, tuple) else isinstance(params, (Varying, Program))


class Writer:
    """Writes one graph. As a function, writer("Add", x, y) writes a node and gives the name of its result.

    Operands are Values, names, None (an absent optional one), or what is a constant: NumPy arrays, and lists of ints.
    """

    def __init__(self, shared):
        self.shared, self.records = shared, []
        self.names = {}  # Value -> name
        self.splits = {}  # slice -> (axis, slices that are one Split together)
        self.known = {}  # node that is written once -> its result
        self.producers = {}  # name -> Record
        self.shapes = {}  # name -> shape, of what has been a Value
        self.uses = Counter()
        self.counts = {}  # name of a sum -> how many elements, of an average -> of how many
        self.from_bool = {}  # name of 0 or 1 -> of the bool that it was
        self.windows = {}  # name of a sum over windows -> what describes them
        self.out = None  # the first result of the operation that is written: a Value

    @property
    def opset(self):
        return self.shared.opset

    def __call__(self, op, *operands, n=1, **attributes):
        inputs = [self.name_of(x) for x in operands]
        while inputs and not inputs[-1]:
            inputs.pop()
        wide = stand_in(op, data_dtype(op, [self.shared.dtypes.get(x) for x in inputs]))
        if wide is not None:
            return in_stand_in(self, wide, op, inputs, n, attributes)
        if op not in _ONCE:
            return self._written(op, inputs, n, attributes)
        key = op, *inputs, repr(attributes)
        if key not in self.known:
            self.known[key] = self._written(op, inputs, n, attributes)
        return self.known[key]

    def _written(self, op, inputs, n, attributes):
        source = next((x for x in inputs if x in self.shared.owners), None)
        outputs = [self.shared.name(self._hint(op, source)) for _ in range(n)]
        if op in _ARRANGED and source is not None:  # still a parameter
            self.shared.owners.update(dict.fromkeys(outputs, self.shared.owners[source]))
            self.shared.arranged.update(dict.fromkeys(outputs, self.shared.arranged.get(source, source)))
        dtypes = dtypes_of_results(op, [self.shared.dtypes.get(x) for x in inputs], n, attributes)
        self.shared.dtypes.update(zip(outputs, dtypes))
        record = Record(op, inputs, outputs, {k: v for k, v in attributes.items() if v is not None})
        self.records.append(record)
        self.producers.update(dict.fromkeys(outputs, record))
        return outputs[0] if n == 1 else list(outputs)

    def _hint(self, op, source):
        """A result's name: block.0.gemm, if it is computed with a parameter (source) of the module block.0; else gemm."""
        if source is None:
            return op.lower()
        return f"{self.shared.arranged.get(source, source) if op in _ARRANGED else self.shared.owners[source]}.{op.lower()}"

    def name_of(self, x):
        """The name of an operand."""
        if x is None:
            return ""
        if isinstance(x, str):
            return x
        if isinstance(x, list) and not fixed(x):
            return self.shape(x)
        if not isinstance(x, Value):
            return self.constant(np.asarray(x, None if isinstance(x, (np.ndarray, np.generic)) else np.int64))
        if x not in self.names:
            if x.data is None:
                raise ShapeError(f"A value {x.dtype}{list(x.shape)} is used that nothing computes.")
            if isinstance(x.data, Varying):
                return self._varying_number(x)
            self.names[x] = self.constant(np.asarray(x.data, x.dtype))
        return self.names[x]

    def constant(self, array):
        """The name of a constant: its values, if they are few."""
        array = np.asarray(array)
        key = array.dtype.str, array.dtype.name, array.shape, array.tobytes()
        if key not in self.shared.constants:
            text = [f"{x:g}" if array.dtype.kind == "f" else str(x) for x in array.reshape(-1)[:5].tolist()]
            few = array.size <= 4 and array.ndim <= 1 and array.dtype.kind in "biuf" and str(LAST) not in text
            name = self.shared.constants[key] = self.shared.name(
                "_".join(["constants" if array.ndim else "constant", *text]) if few else "constant"
            )
            self.shared.arrays[name], self.shared.dtypes[name] = array, array.dtype
        return self.shared.constants[key]

    def number(self, value, like):
        """The name of a number of the dtype of a Value."""
        return self.constant(np.asarray(value, like.dtype))

    def producer(self, x):
        """The Record that computes a Value or name in this graph, or None."""
        return self.producers.get(self.names.get(x) if isinstance(x, Value) else x)

    def cast(self, x, dtype):
        found = self("Cast", x, to=element_type_of(dtype))
        if isinstance(x, Value) and x.dtype.kind == "b":
            self.from_bool[found] = self.names[x]
        return found

    def where(self, condition, x, y, dtype):
        """x where the condition holds, else y. (Of bools runtimes have no Where.)"""
        if np.dtype(dtype).kind != "b":
            return self("Where", condition, x, y)
        return self("Or", self("And", condition, x), self("And", self("Not", condition), y))

    # ---- shapes ------------------------------------------------------------------------------------------

    def shape(self, shape):
        """The name of a shape as int64[rank]."""
        if fixed(shape):
            return self.constant(np.array(shape, np.int64))
        key = "shape", tuple(shape)
        if key not in self.shared.sizes:
            parts, plain = [], []
            for n in (*shape, None):
                if isinstance(n, int):
                    plain.append(n)
                    continue
                if plain:
                    parts.append(self.constant(np.array(plain, np.int64)))
                    plain = []
                if n is not None:
                    parts.append(self.size(n))
            self.shared.sizes[key] = self._before("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
        return self.shared.sizes[key]

    def size(self, n):
        """The name of a size as int64[1]."""
        if not isinstance(n, Varying):
            return self.constant(np.array([n], np.int64))
        if n not in self.shared.sizes:
            terms = self.shared.samples.terms(n)
            if terms is None:
                raise Unsupported(
                    f"a size that is no polynomial of the free sizes {', '.join(self.shared.samples.names)}"
                )
            self.shared.sizes[n] = self._sum(terms)
        return self.shared.sizes[n]

    def number_of(self, n):
        """The name of a size as int64[]."""
        return self("Squeeze", self.size(n), [0]) if isinstance(n, Varying) else self.constant(np.int64(n))

    def _sum(self, terms):
        common = int(np.lcm.reduce([f.denominator for f in terms.values()]))
        total = None
        for names, factor in terms.items():
            parts = [self._free_size(name) for name in names]
            if factor * common != 1 or not parts:
                parts.append(self.constant(np.array([int(factor * common)], np.int64)))
            product = functools.reduce(lambda a, b: self._before("Mul", a, b), parts)
            total = product if total is None else self._before("Add", total, product)
        return total if common == 1 else self._before("Div", total, self.constant(np.array([common], np.int64)))

    def _free_size(self, name):
        if name not in self.shared.sizes:
            source, axis = self.shared.size_of[name]
            self.shared.sizes[name] = self._before("Shape", source, start=axis, end=axis + 1)
        return self.shared.sizes[name]

    def _before(self, op, *inputs, **attributes):
        """A node at the beginning of the model, where all graphs see it."""
        name = self.shared.name("size" if op != "Concat" else "shape")
        self.shared.before.append(Record(op, list(inputs), [name], attributes))
        return name

    def _varying_number(self, x):
        """A constant that depends on a free size: the size, its inverse (of which a mean makes use), or the root of these."""
        values = x.data.values
        for of, operators in _FROM_SIZES if is_float(x.dtype) else _FROM_SIZES[:1]:
            sizes = [of(v) if v > 0 or of is float else 0.5 for v in values]
            if all(abs(v - round(v)) <= 1e-6 * abs(v) * bool(operators) for v in sizes):
                found = self("Squeeze", self.cast(self.size(Varying(map(round, sizes))), x.dtype), [0])
                return functools.reduce(lambda name, op: self(op, name), operators, found)
        raise Unsupported(f"a constant that depends on the free sizes {', '.join(self.shared.samples.names)}")

    def reshape(self, x, shape):
        """x under another shape. In that 0 stands for the size that x has there, -1 for what is left."""
        if isinstance(x, Value) and x.shape == tuple(shape):
            return x
        if not fixed(shape) and 0 not in shape:
            before = x.shape if isinstance(x, Value) else ()
            kept = [
                0 if i < len(before) and isinstance(n, Varying) and n == before[i] else n for i, n in enumerate(shape)
            ]
            if sum(isinstance(n, Varying) for n in kept) <= 1:
                return self("Reshape", x, [-1 if isinstance(n, Varying) else n for n in kept])
        return self("Reshape", x, self.shape(shape), allowzero=1 if 0 in shape else None)

    def transpose(self, x, permutation):
        if tuple(permutation) == tuple(range(len(permutation))):
            return x
        return self("Transpose", x, perm=list(permutation))

    def expand(self, x, shape):
        return self("Expand", x, self.shape(shape))

    def slice(self, x, starts, ends, axes=None, steps=None):
        """x[start:end:step] on some axes."""
        ends = ends if fixed(ends) else self.shape(ends)
        return self("Slice", x, starts, ends, list(range(len(starts))) if axes is None else axes, steps)

    # ---- programs ----------------------------------------------------------------------------------------

    def program(self, program, names):
        """Writes the operations of a program whose inputs have these names; the names of its results."""
        rules = load_rules()
        self._name(program.inputs, names)
        self.uses.update(x for operation in program.operations for x in operation.inputs)
        self.uses.update(program.results)
        self.splits = splits(program.operations)
        for operation in program.operations:
            try:
                self._operation(rules, operation)
            except Skipped:
                self.names.update(dict.fromkeys(operation.outputs, UNKNOWN))
            except (NotImplementedError, ShapeError) as error:
                text = str(error).partition("\n")[0]
                self.shared.failures.append((operation.primitive, text))
                self.names.update(dict.fromkeys(operation.outputs, UNKNOWN))
        return list(map(self.name_of, program.results))

    def _operation(self, rules, operation):
        if any(self.names.get(x) == UNKNOWN for x in operation.inputs):
            raise Skipped
        for x in (*operation.inputs, *operation.outputs):
            if x.dtype.name not in _TYPES:
                raise Unsupported(f"{x.dtype.name} has no operators in ONNX")
        if operation.primitive not in rules:
            raise Unsupported("")
        self.out = operation.outputs[0] if operation.outputs else None
        self.operation = operation
        if operation.outputs and all(fixed(x.shape) and 0 in x.shape for x in operation.outputs):
            found = [self.constant(np.zeros(x.shape, x.dtype)) for x in operation.outputs]
            self.names.update(zip(operation.outputs, found))
            return
        if _is_constant(operation):
            with outside():
                operands = [as_tensor(np.asarray(x.data, x.dtype)) for x in operation.inputs]
                found = PRIMITIVES[operation.primitive](*operands, **operation.params)
            for x, value in zip(operation.outputs, found if isinstance(found, tuple) else (found,)):
                x.data = value.numpy()
            return
        if operation in self.splits:
            self._split(*self.splits[operation])
            return
        found = rules[operation.primitive](self, *operation.inputs, **operation.params)
        found = found if isinstance(found, list) else [found]
        self._name(operation.outputs, list(map(self.name_of, found)))

    def _name(self, values, names):
        self.names.update(zip(values, names))
        self.shapes.update((name, x.shape) for x, name in zip(values, names))
        self.shared.dtypes.update((name, x.dtype) for x, name in zip(values, names))

    def _split(self, axis, group):
        outputs = [operation.outputs[0] for operation in group]
        if outputs[0] not in self.names:
            (x,), sizes = group[0].inputs, [out.shape[axis] for out in outputs]
            equal = len(set(sizes)) == 1
            found = self(
                "Split", x, None if equal else sizes, n=len(sizes), axis=axis, num_outputs=len(sizes) if equal else None
            )
            self.names.update(zip(outputs, found))

    def subgraph(self, name, program, names=None, extra=(), outer=None):
        """An onnx.GraphProto of a program. names: of its inputs where these are values around it, None for the graph's own.

        extra: (name, dtype, shape) of inputs that come before, and outer: function(writer, results) -> further results first.
        """
        from onnx import helper

        inner = Writer(self.shared)
        given, own = [], []
        for i, x in enumerate(program.inputs):
            known = names[i] if names is not None else None
            given.append(known or self.shared.name("inner"))
            if not known:
                own.append(info(given[-1], x.dtype, x.shape))
        results = inner.program(program, given)
        first = outer(inner, results) if outer else []
        computed = {o for record in inner.records for o in record.outputs}
        seen, outputs = set(), []
        for result in results:
            if result not in computed or result in seen:
                result = inner("Identity", result)
            seen.add(result)
            outputs.append(result)
        before = [info(n, dtype, shape) for n, dtype, shape in extra]
        typed = [info(n, np.dtype(bool), ()) for n in first]
        typed += [info(n, x.dtype, x.shape) for n, x in zip(outputs, program.results)]
        nodes = protos(needed(inner.records, [*first, *outputs]))
        return helper.make_graph(nodes, name, [*before, *own], typed)


__all__ = ["LAST", "Unsupported", "Writer", "rule"]
