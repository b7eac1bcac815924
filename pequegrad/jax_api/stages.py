"""jax.stages: a jitted function on its way: Traced, Lowered, Compiled."""

import dataclasses
from typing import NamedTuple

from ..core.errors import ArgumentError
from ..core.node import ARRAY, face, stand_in
from ..core.tensor import Tensor, wrap
from ..transforms import lowered as core
from ..transforms.arguments import TRACED
from ..transforms.tree import flatten
from .convert import current_device
from .derivatives import as_leaf
from .jaxprs import closed_jaxpr, shaped
from .jitting import PjitFunction as Wrapped
from .pytree import PyTreeDef
from .shaped import ShapedArray, SingleDeviceSharding
from .transforms import abstract_leaf, flatten_abstract, struct_of
from .tree_util import tree_leaves, tree_map, tree_structure

__all__ = ["ArgInfo", "Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]

CompilerOptions = dict[str, str | bool]


@dataclasses.dataclass(frozen=True)
class ArgInfo:
    """What is known of an argument."""

    _aval: ShapedArray
    donated: bool

    shape = property(lambda self: self._aval.shape, doc="Its shape.")
    dtype = property(lambda self: self._aval.dtype, doc="Its dtype.")


def traced(function, args, kwargs):
    """The Traced of a jitted function for arguments, or what has their shapes and dtypes."""
    with face(True):
        static = function.static_positions
        moving = tuple(a if i in static else _concrete(a) for i, a in enumerate(args))
        named = {k: v if k in function.static_names else _concrete(v) for k, v in kwargs.items()}
        entry, key = function._traced(moving, named)
        _, leaves, (structure, others, _) = function._key(moving, named)
        donated = function._donated_leaves(structure, others) if function.donated else [False] * len(leaves)
    values = iter([ArgInfo(shaped(x._node.aval), d) for x, d in zip(leaves, donated)])
    infos = [next(values) if x is TRACED else x for x in others]
    args_info = structure.unflatten(infos)
    if static:  # static arguments are not listed
        args_info = tuple(a for i, a in enumerate(args_info[0]) if i not in static), args_info[1]
    in_tree = tree_structure(args_info)
    return Traced(function, entry, key, args_info, in_tree)


def _concrete(tree):
    """A tree with placeholders for what has only shape and dtype."""

    def one(x):
        if isinstance(x, Tensor) or not (hasattr(x, "shape") and hasattr(x, "dtype")):
            return x
        node = stand_in(abstract_leaf(x))
        node.flags |= ARRAY
        return wrap(node)

    leaves, structure = flatten_abstract(tree)
    return structure.unflatten(map(one, leaves))


class _Stage:
    """What all stages know."""

    def __init__(self, function, entry, key, args_info, in_tree):
        self._function, self._entry, self._key = function, entry, key
        self.args_info, self.in_tree = args_info, in_tree

    fun_name = property(lambda self: self._function.name, doc="The name of the function.")
    out_tree = property(lambda self: PyTreeDef(self._entry.structure), doc="The structure of the result.")

    @property
    def in_avals(self):
        """The types of the arguments, (args, kwargs)."""
        return tree_map(lambda x: x._aval, self.args_info)

    @property
    def donate_argnums(self):
        """The numbers of the leaves that are donated."""
        leaves = tree_leaves(self.args_info)
        return tuple(i for i, x in enumerate(leaves) if x.donated)

    @property
    def out_info(self):
        """The tree of ShapeDtypeStructs of the result."""
        return self._entry.structure.unflatten([struct_of(node.aval) for node in self._entry.graph.outputs])

    def _next(self, stage):
        return stage(self._function, self._entry, self._key, self.args_info, self.in_tree)


class Traced(_Stage):
    """A function traced for one kind of arguments."""

    @property
    def jaxpr(self):
        """Its ClosedJaxpr."""
        return closed_jaxpr(self._entry.graph)

    @property
    def out_avals(self):
        """The types of the result, a tree."""
        return self._entry.structure.unflatten([shaped(node.aval) for node in self._entry.graph.outputs])

    def lower(self, *, lowering_platforms=None):
        """The next stage."""
        if any(p != "cpu" for p in lowering_platforms or ()):
            raise NotImplementedError(f"Programs are lowered for the cpu, not for {lowering_platforms}.")
        return self._next(Lowered)


class Lowered(_Stage):
    """A function about to be compiled for one kind of arguments."""

    def as_text(self, dialect=None, *, debug_info=False):
        """The graph, one line per operation."""
        return core.text_at(self._entry, "traced")

    def compiler_ir(self, dialect=None):
        """None: there is no other form of the program."""
        return None

    def cost_analysis(self):
        """The costs of the compiled program; see Compiled.cost_analysis."""
        return self.compile().cost_analysis()

    def compile(self, compiler_options=None):
        """The program."""
        return self._next(Compiled)


class Compiled(_Stage):
    """A program for one kind of arguments: calling it never traces."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self._core = core.Compiled(self._function, self._entry, self._key)

    def __call__(self, *args, **kwargs):
        """The results; static arguments are left out. TypeError for arguments of other kinds than it was compiled for."""
        with face(True):
            leaves, structure = flatten((args, kwargs))
            if structure != self.in_tree.spec:
                raise ArgumentError(
                    f"{self.fun_name} was compiled for arguments of the structure {self.in_tree}, got {PyTreeDef(structure)}."
                )
            arrays = [as_leaf(self.fun_name, x) for x in leaves]
            for x, info in zip(arrays, tree_leaves(self.args_info)):
                if x.shape != info.shape or x.dtype != info.dtype:
                    raise ArgumentError(
                        f"Argument types differ from the types for which {self.fun_name} was compiled: {info._aval.str_short()}"
                        f" -> {x._node.aval}."
                    )
            return self._entry.run_safely([x._node for x in arrays])

    call = __call__

    def as_text(self):
        """The graph, one line per kernel."""
        return self._core.as_text()

    def cost_analysis(self):
        """A dict: `flops`, `bytes accessed` and the number of `kernels`."""
        found = self._core.cost_analysis()
        total = float(found["bytes_read"] + found["bytes_written"])
        return {"flops": float(found["flops"]), "bytes accessed": total, "kernels": found["kernels"]}

    def memory_analysis(self):
        """Bytes that a run takes, under the names of JAX's attributes."""
        found = self._core.memory()
        inner = max(0, found["peak"] - found["inputs"] - found["outputs"] - found["constants"])
        return MemoryStats(found["inputs"], found["outputs"], inner, found["peak"])

    def runtime_executable(self):
        """The program as pequegrad has it: explain(), save(path) ..."""
        return self._core

    @property
    def input_shardings(self):
        """(args, kwargs) of shardings."""
        return self._shardings(self.in_avals)

    @property
    def output_shardings(self):
        """The tree of the result's shardings."""
        return self._shardings(self._next(Traced).out_avals)

    def _shardings(self, avals):
        return tree_map(lambda _: SingleDeviceSharding(current_device()), avals)


class MemoryStats(NamedTuple):
    """Bytes that a run of a program takes."""

    argument_size_in_bytes: int
    output_size_in_bytes: int
    temp_size_in_bytes: int
    peak_memory_in_bytes: int
    alias_size_in_bytes: int = 0
    generated_code_size_in_bytes: int = 0
    host_argument_size_in_bytes: int = 0
    host_output_size_in_bytes: int = 0
    host_temp_size_in_bytes: int = 0
    host_alias_size_in_bytes: int = 0
    host_generated_code_size_in_bytes: int = 0
