"""jax.export: jitted functions for one kind of arguments as bytes.

The bytes hold a program of pequegrad, not StableHLO: what is written here is read here, on a machine of the same kind.
"""

import base64
import json
import os
import tempfile

import numpy as np

from ..compiler.program import device_of, program_of
from ..core.device import device as devices
from ..core.dtype import canonical
from ..core.errors import ArgumentError
from ..core.node import array, face, make_aval
from ..core.tensor import tensors_of
from ..primitives.callbacks import Callback, host_call
from ..runtime import library
from ..transforms.graphs import replay
from ..transforms.tree import flatten
from .derivatives import as_leaf, vjp
from .jitting import jit
from .pytree import PyTreeDef, unflatten_function
from .shaped import ShapedArray
from .stages import Wrapped
from .transforms import ShapeDtypeStruct
from .tree_util import flatten_one_level, tree_leaves, tree_structure

__all__ = [
    "DisabledSafetyCheck", "Exported", "default_export_platform", "deserialize", "export", "is_symbolic_dim",
    "register_namedtuple_serialization", "register_pytree_node_serialization",
]  # fmt: skip

_MAGIC = b"pequegrad.export 1\n"


class DisabledSafetyCheck:
    """A check that `export` leaves out: there are none of what these name."""

    def __init__(self, _impl):
        self._impl = _impl

    @classmethod
    def platform(cls):
        """That the program runs on the platform it was made for."""
        return cls("platform")

    @classmethod
    def custom_call(cls, target_name):
        """That a call of foreign code will be there."""
        return cls(f"custom_call:{target_name}")

    def __eq__(self, other):
        return isinstance(other, DisabledSafetyCheck) and self._impl == other._impl

    def __hash__(self):
        return hash(self._impl)


def default_export_platform():
    """The platform that programs are made for: "cpu"."""
    return "cpu"


def is_symbolic_dim(p):
    """False: sizes are numbers."""
    return False


class Exported:
    """A function for one kind of arguments. `call` calls it, in traced functions, too."""

    platforms, nr_devices = ("cpu",), 1

    def __init__(self, fun_name, in_tree, in_avals, out_tree, out_avals, graph=None, program=None, blob=None):
        self.fun_name, self.in_tree, self.out_tree = fun_name, in_tree, out_tree
        self.in_avals, self.out_avals = tuple(in_avals), tuple(out_avals)
        self._graph, self._program, self._blob = graph, program, blob

    def call(self, *args, **kwargs):
        """The results; ValueError for arguments of another structure, shape or dtype."""
        with face(True):
            leaves, structure = flatten((args, kwargs))
            if structure != self.in_tree.spec:
                raise ValueError(
                    f"{self.fun_name} was exported for arguments of {self.in_tree}, got {PyTreeDef(structure)}."
                )
            arrays = [as_leaf(self.fun_name, x) for x in leaves]
            for x, aval in zip(arrays, self.in_avals):
                if x.shape != aval.shape or x.dtype != aval.dtype:
                    raise ValueError(f"{self.fun_name} was exported for {aval.str_short()}, got {x._node.aval}.")
            outs = replay(self._graph, arrays) if self._graph is not None else self._run(arrays)
            return self.out_tree.unflatten(outs)

    def _run(self, arrays):
        """The results of a program that was read: it has no graph, so that it is called as foreign code is."""

        def run(*values):
            given = [library.array_from_host(np.asarray(v), devices.cpu) for v in values]
            return [t.numpy() for t in tensors_of(self._program.run(given), [array.spec(a) for a in avals], 0, None)]

        avals = tuple(make_aval(a.shape, a.dtype, devices.cpu, False) for a in self.out_avals)
        callback = Callback(run, self.fun_name, has_effect=False)
        return host_call(*arrays, callback=callback, avals=avals, vmap="sequential", device=devices.cpu)

    def has_vjp(self):
        """True if its derivative can be taken: not of one that was deserialized."""
        return self._graph is not None

    def vjp(self):
        """The Exported of (*arguments, *cotangents of the results) -> cotangents of the arguments."""
        if not self.has_vjp():
            raise ValueError("No VJP is available: a deserialized function has no derivative.")
        n = len(self.in_avals)
        flat = lambda *xs: vjp(lambda *args: list(replay(self._graph, args)), *xs[:n])[1](list(xs[n:]))
        structs = [ShapeDtypeStruct(a.shape, a.dtype) for a in (*self.in_avals, *self.out_avals)]
        return export(jit(flat))(*structs)

    def serialize(self, vjp_order=0):
        """The bytes, a bytearray, from which `deserialize` makes it again."""
        if vjp_order:
            raise NotImplementedError("Derivatives are not serialized: serialize exported.vjp() beside it.")
        if self._blob is None:
            head = {
                "fun_name": self.fun_name,
                "in_tree": _tree_to_json(self.in_tree.unflatten([0] * self.in_tree.num_leaves)),
                "out_tree": _tree_to_json(self.out_tree.unflatten([0] * self.out_tree.num_leaves)),
                "in_avals": [[a.shape, a.dtype.name] for a in self.in_avals],
                "out_avals": [[a.shape, a.dtype.name] for a in self.out_avals],
            }
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "program")
                self._program.save(path)
                with open(path, "rb") as file:
                    self._blob = _MAGIC + json.dumps(head).encode() + b"\n" + file.read()
        return bytearray(self._blob)

    def __repr__(self):
        return f"Exported(fun_name={self.fun_name!r}, in_avals={self.in_avals}, out_avals={self.out_avals})"


def export(fun_jit, *, platforms=None, disabled_checks=(), _override_lowering_rules=None):
    """A function of the arguments (or of ShapeDtypeStructs) that gives the Exported of a jitted function for them."""
    if not isinstance(fun_jit, Wrapped):
        raise ArgumentError(f"export takes the result of jax.jit, got {fun_jit!r}.")
    if _override_lowering_rules is not None:
        raise NotImplementedError("Programs are not lowered by rules here.")
    if platforms is not None and tuple(platforms) != ("cpu",):
        raise NotImplementedError(f"Programs are exported for the cpu, not for {platforms}.")

    def exported(*args, **kwargs):
        traced = fun_jit.trace(*args, **kwargs)
        entry = traced._entry
        if entry.state or entry.handles:
            raise ValueError(f"{fun_jit.name} reads or changes arrays from outside: give them as arguments.")
        in_avals = [x._aval for x in tree_leaves(traced.args_info)]
        out_avals = [ShapedArray(n.aval.shape, n.aval.dtype, n.aval.weak_type) for n in entry.graph.outputs]
        program = program_of(entry.closed, device_of(entry.closed, devices.cpu))
        return Exported(fun_jit.name, traced.in_tree, in_avals, traced.out_tree, out_avals, entry.closed, program)

    return exported


def deserialize(blob):
    """The Exported that was serialized. ValueError for other bytes."""
    blob = bytes(blob)
    if not blob.startswith(_MAGIC):
        raise ValueError("These are no bytes that Exported.serialize of pequegrad has made.")
    head, _, program = blob[len(_MAGIC) :].partition(b"\n")
    head = json.loads(head)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program")
        with open(path, "wb") as file:
            file.write(program)
        loaded = library.Program.load(devices.cpu, path)
    in_tree, out_tree = (tree_structure(_tree_from_json(head[key])) for key in ("in_tree", "out_tree"))
    in_avals, out_avals = (
        [ShapedArray(tuple(s), canonical(d)) for s, d in head[key]] for key in ("in_avals", "out_avals")
    )
    return Exported(head["fun_name"], in_tree, in_avals, out_tree, out_avals, program=loaded, blob=blob)


# ---- structures as JSON ----------------------------------------------------------------------------------

_by_class, _by_name = {}, {}  # registered classes: name, functions


def register_pytree_node_serialization(
    nodetype, *, serialized_name, serialize_auxdata, deserialize_auxdata, from_children=None
):
    """Lets nodes of a registered class occur in arguments and results of what is serialized.

    serialize_auxdata, deserialize_auxdata: from the metadata to bytes and back; from_children(metadata, children) makes a node, if it is
    not to be what the class was registered with.
    """
    if nodetype in _by_class or serialized_name in _by_name:
        raise ValueError(f"{nodetype}, or the name {serialized_name!r}, has been registered before.")
    if from_children is None:
        from_children = unflatten_function(nodetype)
    _by_class[nodetype] = serialized_name, serialize_auxdata
    _by_name[serialized_name] = deserialize_auxdata, from_children
    return nodetype


def register_namedtuple_serialization(nodetype, *, serialized_name):
    """Lets namedtuples of this class occur in arguments and results of what is serialized."""
    fields = lambda _: json.dumps(nodetype._fields).encode()

    def check(data):
        if tuple(json.loads(data)) != nodetype._fields:
            raise ValueError(f"{nodetype.__name__} had the fields {json.loads(data)} when it was serialized.")

    return register_pytree_node_serialization(
        nodetype, serialized_name=serialized_name, serialize_auxdata=fields, deserialize_auxdata=check,
        from_children=lambda _, children: nodetype(*children),
    )  # fmt: skip


def _tree_to_json(tree):
    if tree is None:
        return None
    if isinstance(tree, int):
        return 0
    kind = type(tree)
    if kind in _by_class:
        name, to_bytes = _by_class[kind]
        children, aux = flatten_one_level(tree)
        return {
            "node": name,
            "aux": base64.b64encode(to_bytes(aux)).decode(),
            "children": list(map(_tree_to_json, children)),
        }
    if kind in (tuple, list):
        return {kind.__name__: list(map(_tree_to_json, tree))}
    if kind is dict and all(isinstance(key, str) for key in tree):
        return {"dict": {key: _tree_to_json(value) for key, value in tree.items()}}
    raise ValueError(f"{kind} cannot be serialized: register it with register_pytree_node_serialization.")


def _tree_from_json(data):
    if data is None or data == 0:
        return data
    if "node" in data:
        from_bytes, from_children = _by_name[data["node"]]
        return from_children(from_bytes(base64.b64decode(data["aux"])), tuple(map(_tree_from_json, data["children"])))
    ((kind, parts),) = data.items()
    if kind == "dict":
        return {key: _tree_from_json(value) for key, value in parts.items()}
    return {"tuple": tuple, "list": list}[kind](map(_tree_from_json, parts))
