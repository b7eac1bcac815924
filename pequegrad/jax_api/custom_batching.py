"""jax.custom_batching: what vmap does with a function, as its author says."""

import functools

from ..core.errors import ArgumentError
from ..core.node import face
from ..primitives.custom_batching import custom_vmap_call
from ..transforms.control_flow import Closure
from ..transforms.trace import trace
from ..transforms.tree import flatten
from .convert import as_array
from .tree_util import tree_map

__all__ = ["custom_vmap", "sequential_vmap"]


class custom_vmap:
    """A function with a rule for vmap: f.def_vmap(rule), rule(axis size, which of the arguments are batched, *args) -> (result,
    which parts of it are batched); batched arguments and results have the axis in front.

    Derivatives look into the function itself.
    """

    def __init__(self, fun):
        functools.update_wrapper(self, fun)
        self.fun, self.vmap_rule = fun, None

    def def_vmap(self, vmap_rule):
        """Sets the rule; see the class. Also a decorator."""
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __call__(self, *args, **kwargs):
        if self.vmap_rule is None:
            raise AttributeError(f"No batching rule defined for custom_vmap function {self.__name__} using def_vmap")
        if kwargs:
            import inspect

            bound = inspect.signature(self.fun).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        with face(True):
            leaves, structure = flatten(args)
            arrays = [as_array(x, self.__name__, i) for i, x in enumerate(leaves)]
            call = lambda values: self.fun(*structure.unflatten(values))
            graph, out_structure, _ = trace("custom_vmap", self.__name__, [x._node.aval for x in arrays], call)
            closure = Closure([graph])
            if closure.state:
                raise ArgumentError(f"{self.__name__} changes a tensor from outside.")
            rule = _Rule(self, structure, len(closure.constants))
            outs = custom_vmap_call(*closure.constants, *arrays, graph=closure.graphs[0], rule=rule)
            return out_structure.unflatten(outs)


class _Rule:
    """The user's rule on leaves."""

    def __init__(self, custom, structure, n_constants):
        self.custom, self.structure, self.n_constants = custom, structure, n_constants

    def __call__(self, size, batched, leaves):
        """(results, whether each is batched)"""
        n = self.n_constants
        if any(batched[:n]):
            raise NotImplementedError(
                f"{self.custom.__name__} reads a batched value that is not an argument: its rule cannot say what becomes of it."
            )
        with face(True):
            flags = self.structure.unflatten(batched[n:])
            outs, out_flags = self.custom.vmap_rule(size, list(flags), *self.structure.unflatten(leaves[n:]))
        found, structure = flatten(outs)
        spread, flags_structure = flatten(out_flags)
        if structure != flags_structure:
            raise ValueError(
                f"The rule of {self.custom.__name__} returned {structure}, and {flags_structure} of what is batched in it."
            )
        return [as_array(x) for x in found], spread


def sequential_vmap(f):
    """`f`, which vmap applies to one example after the other."""
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(axis_size, in_batched, *args):
        from .lax import map as one_by_one

        leaves, structure = flatten(args)
        flags = flatten(tuple(in_batched))[0]
        moving = [x for x, b in zip(leaves, flags) if b]

        def one(rows):
            rows = iter(rows)
            return f(*structure.unflatten([next(rows) if b else x for x, b in zip(leaves, flags)]))

        outs = one_by_one(one, moving)
        return outs, tree_map(lambda _: True, outs)

    return mapped
