"""From files to graphs: protobuf messages, checked, as plain Python objects."""

import os
import re

import numpy as np

from ..core.errors import MissingPackageError, ModelFileError, PequegradError
from .values import DTYPES, NAMES, STRING

_LARGEST = 1 << 34  # elements of a tensor: more is no model, but an attack
_LARGEST_SPARSE = 1 << 28  # elements of one that a small file can ask for
_DEEPEST = 64  # how deep subgraphs may be nested
_MOST_CALLS = 1 << 20  # nodes that a model with its functions written out may have


class Node:
    """One operation of a graph. attributes: decoded, subgraphs as Graphs."""

    __slots__ = ("attributes", "domain", "inputs", "name", "op", "operator", "outputs", "overload")

    def __init__(self, op, domain, name, inputs, outputs, attributes, overload=""):
        self.op, self.domain, self.name, self.inputs, self.outputs = op, domain, name, inputs, outputs
        self.attributes, self.overload, self.operator = attributes, overload, None

    def __repr__(self):
        return f"{self.op}{f' {self.name!r}' if self.name else ''}"


class Input:
    """A graph's input: its name, element type and shape (ints, names of unknown sizes, None), as far as they are given."""

    __slots__ = ("element_type", "name", "shape")

    def __init__(self, name, element_type=None, shape=None):
        self.name, self.element_type, self.shape = name, element_type, shape

    def __repr__(self):
        dtype = DTYPES.get(self.element_type, NAMES.get(self.element_type, "?"))
        return f"{self.name}: {dtype}{list(self.shape) if self.shape is not None else '[...]'}"


class Graph:
    """inputs and outputs: lists of Inputs; initializers: name -> NumPy array; nodes in an order in which they can run.

    roles: initialiser -> "parameter" or "buffer", as far as the file says.
    """

    def __init__(self, name, inputs, outputs, initializers, nodes, roles=None):
        self.name, self.inputs, self.outputs, self.initializers, self.nodes = name, inputs, outputs, initializers, nodes
        self.roles = roles or {}


class Function:
    """A model-local function: a graph whose attributes are filled in at each call."""

    def __init__(self, name, inputs, outputs, attributes, nodes, versions):
        self.name, self.inputs, self.outputs, self.attributes = name, inputs, outputs, attributes
        self.nodes, self.versions = nodes, versions


class Reference:
    """An attribute inside a function that stands for one of the function's."""

    def __init__(self, name):
        self.name = name


class Model:
    """A read model. versions: domain -> version of its operator set; functions: (domain, name, overload) -> Function."""

    def __init__(self, graph, versions, functions, metadata, ir_version, producer):
        self.graph, self.versions, self.functions = graph, versions, functions
        self.metadata, self.ir_version, self.producer = metadata, ir_version, producer
        self.known_names = set()  # of values that decide on shapes: names_that_must_be_known


def onnx_package():
    """The package onnx; MissingPackageError if it is not there."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise MissingPackageError(
            "Reading and writing ONNX models needs the package onnx.", fix="pip install onnx."
        ) from None
    return onnx


def read(source):
    """A Model from a path, from bytes, or from an onnx.ModelProto. ModelFileError for what is no model."""
    onnx = onnx_package()
    folder, where = None, None
    if isinstance(source, (str, os.PathLike)):
        where, folder = os.fspath(source), os.path.dirname(os.path.abspath(source))
        try:
            with open(source, "rb") as file:
                source = file.read()
        except OSError as error:
            raise ModelFileError(
                f"Cannot read the model: {error.strerror}.", where=where, fix="check the path."
            ) from None
    if isinstance(source, (bytes, bytearray, memoryview)):
        message = onnx.ModelProto()
        try:
            message.ParseFromString(bytes(source))
        except Exception as error:  # google.protobuf's DecodeError, and what its C code raises
            raise ModelFileError(f"No ONNX model: {error}.", where=where) from None
    elif isinstance(source, onnx.ModelProto):
        message = source
    else:
        raise ModelFileError(f"An ONNX model is a path, bytes or a ModelProto, not a {type(source).__name__}.")
    try:
        return _Reader(onnx, folder, where).model(message)
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError, MemoryError, RecursionError) as error:
        if isinstance(error, PequegradError):
            raise
        # what protobuf lets pass: names that are no text, numbers that no array can have
        raise ModelFileError(f"The model cannot be read: {type(error).__name__}: {error}.", where=where) from error


def _roles(message):
    """What torch's exporter says of initialisers: {name: "parameter" or "buffer"}; what was folded with a parameter is one."""
    signature = next(
        (m.value for m in getattr(message, "metadata_props", ()) if m.key.endswith(".graph_signature")), ""
    )
    said = {
        name: kind for kind, name in re.findall(r": (PARAMETER|BUFFER|CONSTANT_TENSOR) target='([^']*)'", signature)
    }
    found = {name: "parameter" if kind == "PARAMETER" else "buffer" for name, kind in said.items()}
    for value in message.value_info if found else ():
        for entry in value.metadata_props:
            if entry.key == "pkg.onnxscript.optimizer.folded_from":
                sources = re.findall(r"'([^']*)'", entry.value)
                if any(said.get(source) == "PARAMETER" for source in sources):
                    found[value.name] = "parameter"
    return found


class _Reader:
    def __init__(self, onnx, folder, where):
        self.onnx, self.folder, self.where = onnx, folder, where

    def fail(self, text, fix=None):
        raise ModelFileError(text, where=self.where, fix=fix) from None

    def model(self, message):
        if not message.HasField("graph"):
            self.fail("The model has no graph.")
        versions = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in message.opset_import}
        if not versions:
            versions = {"": 1}
        functions = {}
        for f in message.functions:
            functions[f.domain, f.name, getattr(f, "overload", "")] = self.function(f, versions)
        newest = self.onnx.defs.onnx_opset_version()
        if not 1 <= versions.get("", 1) <= newest:
            raise NotImplementedError(f"The model uses operator set {versions['']}; 1 to {newest} are known.")
        metadata = {entry.key: entry.value for entry in message.metadata_props}
        graph = self.graph(message.graph, 0)
        self.check_calls(graph, functions)
        return Model(graph, versions, functions, metadata, message.ir_version, message.producer_name)

    def function(self, message, versions):
        defaults = dict.fromkeys(message.attribute)
        defaults.update((a.name, self.attribute(a, 0)) for a in message.attribute_proto)
        own = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in message.opset_import}
        nodes = [self.node(n, 0) for n in message.node]
        nodes = self.ordered(nodes, set(message.input), message.name)
        return Function(message.name, list(message.input), list(message.output), defaults, nodes, {**versions, **own})

    def graph(self, message, depth):
        if depth > _DEEPEST:
            self.fail(f"Subgraphs are nested more than {_DEEPEST} deep.")
        initializers = {t.name: self.array(t) for t in message.initializer}
        for sparse in message.sparse_initializer:
            initializers[sparse.values.name] = self.sparse(sparse)
        inputs = [self.value(v) for v in message.input]
        outputs = [self.value(v) for v in message.output]
        nodes = [self.node(n, depth) for n in message.node]
        known = {v.name for v in inputs} | set(initializers)
        if depth == 0:
            nodes = self.ordered(nodes, known, message.name)
            given = known.union(*(node.outputs for node in nodes))
            lost = [v.name for v in outputs if v.name not in given]
            if lost:
                self.fail(f"Nothing gives the output {lost[0]!r}.")
        return Graph(message.name, inputs, outputs, initializers, nodes, _roles(message))

    def ordered(self, nodes, known, name):
        """The nodes in an order in which each follows what it reads (files should have it); ModelFileError for cycles."""
        producer = {}
        for node in nodes:
            for output in filter(None, node.outputs):
                if producer.setdefault(output, node) is not node or output in known:
                    self.fail(f"Two nodes of {name!r}, or a node and an input, give {output!r}.")
        readers, waiting = {}, {}
        for node in nodes:
            sources = {id(producer[i]): producer[i] for i in _needs(node) if i and i not in known and i in producer}
            missing = [i for i in _needs(node) if i and i not in known and i not in producer]
            if missing:
                self.fail(f"{node} of {name!r} reads {missing[0]!r}, which nothing gives.")
            waiting[id(node)] = len(sources)
            for source in sources:
                readers.setdefault(source, []).append(node)
        if all(_follow(nodes, known)):
            return nodes
        ready, done = [node for node in reversed(nodes) if not waiting[id(node)]], []
        while ready:
            node = ready.pop()
            done.append(node)
            for reader in readers.get(id(node), ()):
                waiting[id(reader)] -= 1
                if not waiting[id(reader)]:
                    ready.append(reader)
        if len(done) < len(nodes):
            node = next(n for n in nodes if waiting[id(n)])
            self.fail(f"{node} of {name!r} reads what depends on its own result.")
        return done

    def check_calls(self, graph, functions):
        """ModelFileError for functions that call themselves, or each other so often that no program could hold it."""
        sizes, open_ = {}, set()

        def size(nodes):
            total = 0
            for node in nodes:
                key = node.domain, node.op, node.overload
                if key in functions:
                    if key in open_:
                        self.fail(f"The function {node.op!r} calls itself.")
                    if key not in sizes:
                        open_.add(key)
                        if len(open_) > _DEEPEST:
                            self.fail(f"Functions call each other more than {_DEEPEST} deep.")
                        sizes[key] = size(functions[key].nodes)
                        open_.discard(key)
                    total += sizes[key]
                total += 1 + sum(size(inner.nodes) for inner in subgraphs(node))
            if total > _MOST_CALLS:
                self.fail(f"The model's functions stand for more than {_MOST_CALLS} nodes.")
            return total

        size(graph.nodes)
        for function in functions.values():
            size(function.nodes)

    def value(self, message):
        kind = message.type
        if not kind.HasField("tensor_type"):
            return Input(message.name)
        shape = None
        if kind.tensor_type.HasField("shape"):
            shape = tuple(
                d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.tensor_type.shape.dim
            )
        return Input(message.name, kind.tensor_type.elem_type, shape)

    def node(self, message, depth):
        attributes = {a.name: self.attribute(a, depth) for a in message.attribute}
        domain = "" if message.domain == "ai.onnx" else message.domain
        overload = getattr(message, "overload", "")
        return Node(
            message.op_type, domain, message.name, list(message.input), list(message.output), attributes, overload
        )

    def attribute(self, a, depth):
        if a.ref_attr_name:
            return Reference(a.ref_attr_name)
        kinds = self.onnx.AttributeProto
        if a.type == kinds.FLOAT:
            return a.f
        if a.type == kinds.INT:
            return a.i
        if a.type == kinds.STRING:
            return self.text(a.s)
        if a.type == kinds.TENSOR:
            return self.array(a.t)
        if a.type == kinds.GRAPH:
            return self.graph(a.g, depth + 1)
        if a.type == kinds.SPARSE_TENSOR:
            return self.sparse(a.sparse_tensor)
        if a.type == kinds.TYPE_PROTO:
            return a.tp
        if a.type in (kinds.FLOATS, kinds.INTS):
            return list(a.floats if a.type == kinds.FLOATS else a.ints)
        if a.type == kinds.STRINGS:
            return [self.text(s) for s in a.strings]
        if a.type == kinds.TENSORS:
            return [self.array(t) for t in a.tensors]
        if a.type == kinds.GRAPHS:
            return [self.graph(g, depth + 1) for g in a.graphs]
        return self.fail(f"Attribute {a.name!r} has the unknown type {a.type}.")

    def text(self, data):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return self.fail(f"{data[:20]!r} is no text.")

    # ---- tensors -------------------------------------------------------------------------------------------

    def array(self, t):
        """The NumPy array of a TensorProto; strings as Python's."""
        shape = tuple(t.dims)
        if any(n < 0 for n in shape) or np.prod([float(n) for n in shape]) > _LARGEST:
            self.fail(f"Tensor {t.name!r} has the impossible shape {list(shape)}.")
        if t.data_type == STRING:
            found = np.array([self.text(s) for s in t.string_data], object)
        elif t.data_location == self.onnx.TensorProto.EXTERNAL:
            found = np.frombuffer(self.external(t), self._dtype(t))
        else:
            try:
                found = self.onnx.numpy_helper.to_array(t)
            except Exception as error:
                self.fail(f"Tensor {t.name!r} cannot be read: {error}.")
            if t.data_type not in DTYPES:
                return found  # of a dtype that only some operators know (float8, int4)
            found = np.asarray(found).astype(self._dtype(t), copy=False)
        if found.size != np.prod(shape, dtype=np.int64):
            self.fail(f"Tensor {t.name!r} has {found.size} elements, its shape is {list(shape)}.")
        try:
            return found.reshape(shape)
        except ValueError as error:
            return self.fail(f"Tensor {t.name!r} has the impossible shape {list(shape)}: {error}.")

    def _dtype(self, t):
        from ..core.dtype import canonical

        if t.data_type not in DTYPES:
            self.fail(f"Tensor {t.name!r} has element type {NAMES.get(t.data_type, t.data_type)}.")
        return canonical(DTYPES[t.data_type])

    def external(self, t):
        """The bytes of a tensor in a file of its own, which must lie in the model's folder."""
        entries = {e.key: e.value for e in t.external_data}
        location = entries.get("location", "")
        if self.folder is None:
            self.fail(f"Tensor {t.name!r} is in the file {location!r}: load the model by its path.")
        if "\0" in location:
            self.fail(f"Tensor {t.name!r} is in {location!r}, which is no file in the model's folder.")
        path = os.path.realpath(os.path.join(self.folder, location))
        root = os.path.realpath(self.folder)
        if os.path.isabs(location) or os.path.commonpath([root, path]) != root or not os.path.isfile(path):
            self.fail(f"Tensor {t.name!r} is in {location!r}, which is no file in the model's folder.")
        try:
            offset, length = int(entries.get("offset", 0)), entries.get("length")
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = size - offset if length is None else int(length)
                if offset < 0 or length < 0 or offset + length > size:
                    self.fail(f"Tensor {t.name!r} reaches beyond its file {location!r}.")
                file.seek(offset)
                data = file.read(length)
        except (OSError, ValueError) as error:
            self.fail(f"Tensor {t.name!r} cannot be read from {location!r}: {error}.")
        itemsize = self._dtype(t).itemsize
        if length % itemsize or length // itemsize != np.prod(tuple(t.dims), dtype=np.int64):
            self.fail(f"Tensor {t.name!r} has {length} bytes in {location!r}, its shape is {list(t.dims)}.")
        return data

    def sparse(self, message):
        """The dense array of a SparseTensorProto."""
        values, indices, shape = self.array(message.values), self.array(message.indices), tuple(message.dims)
        if any(n < 0 for n in shape) or np.prod([float(n) for n in shape]) > _LARGEST_SPARSE:
            self.fail(f"A sparse tensor has the impossible shape {list(shape)}.")
        found = np.zeros(shape, values.dtype)
        try:
            if indices.ndim == 1:
                found.reshape(-1)[indices] = values
            else:
                found[tuple(indices.T)] = values
        except (IndexError, ValueError) as error:
            self.fail(f"A sparse tensor has wrong indices: {error}.")
        return found


def _follow(nodes, known):
    """For each node whether it comes after what it reads."""
    known = {*known, ""}
    for node in nodes:
        yield known.issuperset(_needs(node))
        known.update(node.outputs)


def subgraphs(node):
    """The graphs among the attributes of a node."""
    for value in node.attributes.values():
        for graph in value if isinstance(value, list) else (value,):
            if isinstance(graph, Graph):
                yield graph


def _needs(node):
    """What a node reads: its inputs, and what its subgraphs read from outside."""
    return [*node.inputs, *(name for graph in subgraphs(node) for name in outer_names(graph))]


def outer_names(graph):
    """The names that a subgraph reads from around it."""
    own = {v.name for v in graph.inputs} | set(graph.initializers) | {""}
    found = []
    for node in graph.nodes:
        found += [name for name in _needs(node) if name not in own]
        own.update(node.outputs)
    found += [v.name for v in graph.outputs if v.name not in own]
    return found
