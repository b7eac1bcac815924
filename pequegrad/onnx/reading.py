"""From files to graphs: protobuf messages, checked, as plain Python objects."""

import os
import re

from ..core.errors import MissingPackageError, ModelFileError, PequegradError, UnsupportedModelError
from .graphs import Function, Graph, Input, Model, Node, Reference, reads_of, subgraphs
from .tensors import Tensors

_DEEPEST = 64  # how deep subgraphs may be nested
_MOST_CALLS = 1 << 20  # nodes that a model with its functions written out may have


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
            text = str(error).rstrip(".") or type(error).__name__
            raise ModelFileError(
                f"No ONNX model, or a part of one: {text}.",
                where=where,
                fix="the file may be truncated: copy or export it again.",
            ) from None
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
        self.onnx, self.where = onnx, where
        self.tensors = Tensors(onnx, folder, self.fail)

    def fail(self, text, fix=None):
        raise ModelFileError(text, where=self.where, fix=fix) from None

    def model(self, message):
        if not message.HasField("graph"):
            self.fail(
                "The model has no graph.", fix="the file may be empty, or of another kind: copy or export it again."
            )
        versions = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in message.opset_import}
        if not versions:
            versions = {"": 1}
        functions = {}
        for f in message.functions:
            functions[f.domain, f.name, getattr(f, "overload", "")] = self.function(f, versions)
        newest = self.onnx.defs.onnx_opset_version()
        if not 1 <= versions.get("", 1) <= newest:
            raise UnsupportedModelError(
                f"The model uses operator set {versions['']}; 1 to {newest} are known.",
                where=self.where,
                fix=f"export it with opset_version={newest}, or install a newer onnx.",
            )
        metadata = {entry.key: entry.value for entry in message.metadata_props}
        graph = self.graph(message.graph, 0)
        self.check_calls(graph, functions)
        return Model(graph, versions, functions, metadata, message.ir_version, message.producer_name, self.where)

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
        initializers = {t.name: self.tensors.array(t) for t in message.initializer}
        for sparse in message.sparse_initializer:
            initializers[sparse.values.name] = self.tensors.sparse(sparse)
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
            sources = {id(producer[i]): producer[i] for i in reads_of(node) if i and i not in known and i in producer}
            missing = [i for i in reads_of(node) if i and i not in known and i not in producer]
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
            return self.tensors.text(a.s)
        if a.type == kinds.TENSOR:
            return self.tensors.array(a.t)
        if a.type == kinds.GRAPH:
            return self.graph(a.g, depth + 1)
        if a.type == kinds.SPARSE_TENSOR:
            return self.tensors.sparse(a.sparse_tensor)
        if a.type == kinds.TYPE_PROTO:
            return a.tp
        if a.type in (kinds.FLOATS, kinds.INTS):
            return list(a.floats if a.type == kinds.FLOATS else a.ints)
        if a.type == kinds.STRINGS:
            return [self.tensors.text(s) for s in a.strings]
        if a.type == kinds.TENSORS:
            return [self.tensors.array(t) for t in a.tensors]
        if a.type == kinds.GRAPHS:
            return [self.graph(g, depth + 1) for g in a.graphs]
        return self.fail(f"Attribute {a.name!r} has the unknown type {a.type}.")


def _follow(nodes, known):
    """For each node whether it comes after what it reads."""
    known = {*known, ""}
    for node in nodes:
        yield known.issuperset(reads_of(node))
        known.update(node.outputs)
