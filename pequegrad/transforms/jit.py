"""jit: a function is traced once for each kind of arguments and then runs as one program."""

import functools

import numpy as np

from ..compiler.program import CompiledGraph
from ..core import node as core_node
from ..core.device import device as devices
from ..core.errors import ArgumentError
from ..core.evaluate import evaluate
from ..core.locks import stateful
from ..core.node import TRACKED, Cut, leaf, make_aval, scalar_constant, state
from ..core.tensor import Tensor, tensor_from_numpy, wrap
from .gradients import argument_names
from .trace import trace
from .tree import flatten

_SCALARS = {bool: (np.dtype(bool), False), int: (np.dtype("int32"), True), float: (np.dtype("float32"), True)}


class jit:
    """A function that runs as one program, compiled for each combination of argument types.

    jit(function, static_argnums=(), static_argnames=()); also as a decorator, and `jit.withargs(...)` as a decorator
    with options. Arguments and results are tensors, NumPy arrays, Python numbers, or nested tuples, lists
    and dicts of them. Static arguments are Python values that must be hashable: the function is compiled
    anew for each of their values. `allocator` ("default" or "custom") matters on CUDA devices only.

    Tensors from outside that the function reads (a module's parameters) are read anew at each call; those that
    it changes (the random state, a parameter after optim.step) are changed at each call. Python code in the
    function runs only while it is traced. Results have no history: differentiate inside, with `fngrad`,
    or apply `fngrad` to the jitted function. Inside another transform the function is simply called.

    >>> @jit
    ... def f(x, y):
    ...     return (x * y).sum()
    >>> f(Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).numpy()
    array(11., dtype=float32)
    """

    def __init__(self, function, static_argnums=(), static_argnames=(), allocator="default"):
        if not callable(function):
            raise ArgumentError(
                f"jit takes a function, got {type(function).__name__}.", fix="use @jit.withargs(...) for options."
            )
        if allocator not in ("default", "custom"):
            raise ArgumentError(f"jit: allocator {allocator!r} is neither 'default' nor 'custom'.")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.static_argnums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        self.static_argnames = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
        self.compiled = {}  # key of the arguments -> list of _Entry

    @classmethod
    def withargs(cls, **options):
        """A decorator: `@jit.withargs(static_argnums=1)`."""
        return lambda function: cls(function, **options)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if state.frame is not None or state.gradient_frames:
            return self.function(*args, **kwargs)
        key, leaves, static = self._key(args, kwargs)
        entry = self._find(key)
        if entry is None:
            entry = self._compile(key, leaves, static)
        return entry(leaves)

    def print_trace(self, *args, **kwargs):
        """Prints the graph for these arguments, one line per operation."""
        key, leaves, static = self._key(args, kwargs)
        entry = self._find(key) or self._compile(key, leaves, static)
        print(entry.graph)

    def cache_info(self):
        """The number of compiled programs."""
        return {"programs": sum(map(len, self.compiled.values()))}

    def clear_cache(self):
        """Forgets all compiled programs."""
        self.compiled.clear()

    # ---- keys ------------------------------------------------------------------------------------------

    def _key(self, args, kwargs):
        """(cache key, traced leaves as Tensors, static information to call the function again)."""
        static_args = {}
        if self.static_argnums or self.static_argnames:
            names = argument_names(self.function, len(args))
            positions = {i % len(args) for i in self.static_argnums if -len(args) <= i < len(args)}
            positions |= {i for i in range(len(args)) if names[i] in self.static_argnames}
            static_args = {i: args[i] for i in sorted(positions)}
            static_args.update((k, v) for k, v in kwargs.items() if k in self.static_argnames)
        if static_args:
            args = tuple(None if i in static_args else a for i, a in enumerate(args))
            kwargs = {k: v for k, v in kwargs.items() if k not in static_args}
        leaves, structure = flatten((args, kwargs))
        place = next((x.device for x in leaves if type(x) is Tensor), devices.cpu)
        traced, kinds, others = [], [], []
        for x in leaves:
            if isinstance(x, Tensor):
                traced.append(x)
                kinds.append(x._node.aval)
                others.append(_TRACED)
            elif type(x) in _SCALARS:
                dtype, weak = _SCALARS[type(x)]
                traced.append(wrap(scalar_constant(x, dtype, place, weak)))
                kinds.append(make_aval((), dtype, place, weak))
                others.append(_TRACED)
            elif isinstance(x, (np.ndarray, np.generic)):
                traced.append(tensor_from_numpy(np.asarray(x), place))
                kinds.append(traced[-1]._node.aval)
                others.append(_TRACED)
            else:
                kinds.append(_static_leaf(x, self.name))
                others.append(x)
        try:
            key = structure, tuple(kinds), tuple((type(v), v) for v in static_args.values()), tuple(static_args)
            hash(key)
        except TypeError:
            raise ArgumentError(
                f"{self.name}: a static argument is not hashable: {tuple(map(type, static_args.values()))}.",
                fix="use numbers, strings and tuples as static arguments.",
            ) from None
        return key, traced, (structure, others, static_args)

    def _find(self, key):
        for entry in self.compiled.get(key, ()):
            if entry.is_current():
                return entry
        return None

    # ---- tracing and compiling -------------------------------------------------------------------------

    def _compile(self, key, leaves, static):
        structure, others, static_args = static

        def call(tensors):
            tensors = iter(tensors)
            args, kwargs = structure.unflatten([next(tensors) if x is _TRACED else x for x in others])
            args = tuple(static_args.get(i, a) for i, a in enumerate(args))
            return self.function(*args, **kwargs, **{k: v for k, v in static_args.items() if type(k) is str})

        avals = [leaf._node.aval for leaf in leaves]
        graph, out_structure, frame = trace("jit", self.name, avals, call, self._names(structure))
        devices_used = {aval.device for node in graph.nodes for aval in node.spec.outputs} or {a.device for a in avals}
        device = next(iter(devices_used), devices.cpu)
        entry = _Entry(self.name, graph, CompiledGraph(graph, device), out_structure, frame.guards)
        self.compiled.setdefault(key, []).append(entry)
        return entry

    def _names(self, structure):
        """For messages: which argument each leaf belongs to."""
        import optree

        args_structure, kwargs_structure = optree.treespec_children(structure)
        children = optree.treespec_children(args_structure)
        found = []
        for name, child in zip(argument_names(self.function, len(children)), children):
            found += [f"argument `{name}`"] * child.num_leaves
        return found + ["a keyword argument"] * kwargs_structure.num_leaves


_TRACED = object()


def _static_leaf(x, name):
    """A leaf that is not an array: modules stand for themselves, all else is an error."""
    if hasattr(x, "named_parameters"):
        return id(x), x
    raise ArgumentError(
        f"{name}: an argument of type {type(x).__name__} cannot be traced.",
        fix="pass tensors, arrays or numbers, or name it in static_argnums / static_argnames.",
    )


class _Entry:
    """One compiled graph, with what must still hold for it to be used again."""

    def __init__(self, name, graph, compiled, structure, guards):
        self.graph, self.compiled, self.structure, self.guards = graph, compiled, structure, guards
        self.reason = f"jit of {name}"
        self.captured = [(handle, node.aval) for node, handle in graph.captures]
        self.avals = [node.aval for node in graph.outputs]
        self.replacements = core_node.replacements

    def is_current(self):
        if self.replacements != core_node.replacements:
            if any(getattr(handle, "_replaced", 0) > self.replacements for handle, _ in self.captured):
                return False
            self.replacements = core_node.replacements
        return all(getattr(x, attribute) == value for x, attribute, value in self.guards) and all(
            handle._node.aval is aval for handle, aval in self.captured
        )

    def __call__(self, leaves):
        if not self.graph.rebound:
            return self._run(leaves)
        with stateful:
            return self._run(leaves)

    def _run(self, leaves):
        nodes = [leaf._node for leaf in leaves]
        nodes += [handle._node for handle, _ in self.captured]
        pending = [node for node in nodes if node.value is None]
        if pending:
            evaluate(pending, reader="a jitted function")
        flags = 0
        for node in nodes:
            flags |= node.flags
        values = self.compiled([node.value for node in nodes])
        cut = Cut(self.reason, nodes) if flags & TRACKED else None
        outputs = []
        for value, aval in zip(values, self.avals):
            node = leaf(value, aval, flags & TRACKED & state.flags_mask)
            node.cut = cut
            outputs.append(wrap(node))
        for value, (handle, _) in zip(values[len(self.avals) :], self.graph.rebound):
            old = handle._node
            handle._rebind(leaf(value, old.aval, old.flags))
        return self.structure.unflatten(outputs)
