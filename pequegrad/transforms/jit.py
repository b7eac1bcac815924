"""jit: a function is traced once for each kind of arguments and then runs as one program."""

import functools
from sys import getrefcount

import numpy as np

from ..compiler.program import device_of, program_of
from ..core.device import device as devices
from ..core.errors import ArgumentError
from ..core.evaluate import evaluate
from ..core.locks import stateful
from ..core.node import TRACKED, Cut, leaf, make_aval, same_aval, state
from ..core.tensor import Tensor, tensor_from_numpy, wrap
from ..ops.creation import scalar
from ..primitives.calls import call
from ..runtime import library
from .control_flow import Closure
from .signatures import argument_names, signature
from .trace import trace
from .tree import flatten, leaf_names

_KEPT = 16  # compiled programs for one kind of arguments: more come only from captured tensors and modules that change


class jit:
    """A function that runs as one program, compiled for each combination of argument types.

    jit(function, static_argnums=(), static_argnames=(), donate_argnums=()); also as a decorator, and `jit.withargs(...)` as a decorator
    with options. Arguments and results are tensors, NumPy arrays, Python numbers, or nested tuples, lists
    and dicts of them. Static arguments are Python values that must be hashable: the function is compiled
    anew for each of their values. Numbers and arrays go to the device of the first tensor argument, or to the
    CPU if there is none. Donated arguments (positions) are given up by the caller: their memory may serve the results, and
    using them again raises. `allocator` ("default" or "custom") matters on CUDA devices only.

    Tensors from outside that the function reads (a module's parameters) are read anew at each call; those that
    it changes (the random state, a parameter after optim.step) are changed at each call. Python code in the
    function runs only while it is traced; from the third time on a log message says which argument caused it. Results have
    no history: differentiate inside, with `fngrad`, or apply `fngrad` to the jitted function. Inside another transform
    the function is a node of the graph there (`call`), whose derivatives and batched forms are made once.

    >>> @jit
    ... def f(x, y):
    ...     return (x * y).sum()
    >>> f(Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).numpy()
    array(11., dtype=float32)
    """

    def __init__(self, function, static_argnums=(), static_argnames=(), donate_argnums=(), allocator="default"):
        if not callable(function):
            raise ArgumentError(f"jit takes a function, got {type(function).__name__}.", fix="jit(function), or @jit.")
        if allocator not in ("default", "custom"):
            raise ArgumentError(f"jit: allocator {allocator!r} is neither 'default' nor 'custom'.")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.compiled = {}  # key of the arguments -> list of _Entry, the newest last
        self.traces = 0  # how often the function was traced
        self.last_key = None  # the kind of arguments of the last trace, for the message about the next one
        self.donated = self._donated_positions(donate_argnums) if donate_argnums != () else ()
        self.static_positions, self.static_names = (), ()
        if static_argnums != () or static_argnames != ():
            self._resolve_static(static_argnums, static_argnames)

    def _resolve_static(self, numbers, names):
        """Static arguments by position and by name, whichever way they were given."""
        parameters = signature(self.function)
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        open_ended = any(p.kind == p.VAR_POSITIONAL for p in parameters)
        numbers = {numbers} if isinstance(numbers, int) else set(numbers)
        names = {names} if isinstance(names, str) else set(names)
        for n in numbers:
            if not isinstance(n, int) or (not open_ended and not -len(positional) <= n < len(positional)):
                raise ArgumentError(
                    f"jit: {self.name} has no argument {n!r} to be static.", fix=f"it has {positional}."
                )
        if unknown := names - {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}:
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                raise ArgumentError(f"jit: {self.name} has no argument {sorted(unknown)} to be static.")
        numbers = {n % len(positional) if n < 0 else n for n in numbers}
        self.static_positions = tuple(sorted(numbers | {i for i, p in enumerate(positional) if p in names}))
        self.static_names = names | {positional[n] for n in numbers if n < len(positional)}

    @classmethod
    def withargs(cls, **options):
        """A decorator: `@jit.withargs(static_argnums=1)`."""
        return lambda function: cls(function, **options)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        key, leaves, static = self._key(args, kwargs)
        inside = state.frame is not None or state.gradient_frames
        if inside:
            key = *key, _axes_in_scope()
        entry = self._find(key)
        if entry is None:
            entry = self._compile(key, leaves, static)
        if inside:
            return entry.apply(leaves)
        if not self.donated:
            return entry.run(leaves)
        return entry.run(leaves, self._donated_leaves(static[0], static[1]))

    def _donated_positions(self, numbers):
        numbers = {numbers} if isinstance(numbers, int) else set(numbers)
        count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in signature(self.function))
        return {n + count if n < 0 else n for n in numbers}

    def _donated_leaves(self, structure, others):
        """For each traced leaf whether the caller gives it up."""
        args_structure, kwargs_structure = structure.children()
        flags = []
        for i, child in enumerate(args_structure.children()):
            flags += [i in self.donated] * child.num_leaves
        flags += [False] * kwargs_structure.num_leaves
        return [flag for flag, x in zip(flags, others) if x is _TRACED]

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
        static_args = {i: args[i] for i in self.static_positions if i < len(args)}
        static_args.update((k, v) for k, v in kwargs.items() if k in self.static_names)
        if static_args:
            args = tuple(None if i in static_args else a for i, a in enumerate(args))
            kwargs = {k: v for k, v in kwargs.items() if k not in static_args}
        leaves, structure = flatten((args, kwargs))
        place = next((x.device for x in leaves if type(x) is Tensor), devices.cpu)
        wide = any(getattr(x, "dtype", None) in _WIDE for x in leaves)  # floats beside float64 keep their digits
        traced, kinds, others = [], [], []
        for x in leaves:
            if isinstance(x, Tensor):
                traced.append(x)
                kinds.append(x._node.aval)
                others.append(_TRACED)
            elif type(x) in (bool, int, float, complex):
                aval = _scalar_aval(x, place, wide)
                traced.append(scalar(x, aval.dtype, place, aval.weak_type))
                kinds.append(aval)
                others.append(_TRACED)
            elif isinstance(x, (np.ndarray, np.generic)):
                traced.append(tensor_from_numpy(np.asarray(x), place))
                kinds.append(traced[-1]._node.aval)
                others.append(_TRACED)
            else:
                kinds.append(_static_leaf(x, self.name))
                others.append(x)
        key = structure, tuple(kinds), tuple(static_args), tuple(map(_frozen, static_args.values()))
        try:
            hash(key)
        except TypeError:
            kinds = ", ".join(type(value).__name__ for value in static_args.values())
            raise ArgumentError(
                f"{self.name}: a static argument is not hashable ({kinds}).",
                fix="use numbers, strings and tuples as static arguments.",
            ) from None
        return key, traced, (structure, others, static_args)

    def _find(self, key):
        for entry in reversed(self.compiled.get(key, ())):
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
        entry = _Entry(self.name, graph, out_structure, frame)
        self.traces += 1
        if self.traces >= 3 and entry.is_final():
            self._report(key)
        self.last_key = key
        if entry.is_final():
            entries = self.compiled.setdefault(key, [])
            entries.append(entry)
            del entries[:-_KEPT]
        return entry

    def _report(self, key):
        """Says which argument made the function be traced again."""
        import logging

        old, new = self.last_key, key
        if old[0] != new[0]:
            changes = [f"the structure of the arguments: {old[0]} -> {new[0]}"]
        else:
            names = self._leaf_names(new[0])
            changes = [f"{name}: {a} -> {b}" for name, a, b in zip(names, old[1], new[1]) if a != b]
            names = [name if type(name) is str else argument_names(self.function, name + 1)[name] for name in new[2]]
            changes += [f"static {n}: {_shown(a)} -> {_shown(b)}" for n, a, b in zip(names, old[3], new[3]) if a != b]
        logging.getLogger("pequegrad").warning(
            "jit traces %s for the %s time. What changed: %s",
            self.name,
            _ordinal(self.traces),
            "; ".join(changes) or "a tensor, a module or an axis that it reads from outside",
        )

    def _leaf_names(self, structure):
        args, kwargs = structure.unflatten(range(structure.num_leaves))
        names = argument_names(self.function, len(args))
        found = [name for argument, name in zip(args, names) for name in leaf_names(argument, name)]
        return found + [name for key, value in sorted(kwargs.items()) for name in leaf_names(value, key)]

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
_WIDE = {np.dtype("float64"), np.dtype("complex128")}  # a set: compared with a dtype, None would be float64


def _scalar_aval(x, place, wide):
    """The aval of a Python number as an argument: weakly typed, in 32 bits where it fits."""
    if type(x) is bool:
        return make_aval((), np.dtype(bool), place)
    if type(x) is complex:
        return make_aval((), np.dtype("complex128" if wide else "complex64"), place, True)
    if type(x) is int:
        return make_aval((), np.dtype("int32" if -(2**31) <= x < 2**31 else "int64"), place, True)
    return make_aval((), np.dtype("float64" if wide else "float32"), place, True)


def _frozen(value):
    """A static value as a key that tells 1, 1.0, True, 0.0 and -0.0 apart, and knows nan again."""
    if isinstance(value, tuple):
        return tuple(map(_frozen, value))
    return type(value), repr(value) if isinstance(value, (float, complex)) else value


def _shown(frozen):
    """The text of a value that _frozen made."""
    if frozen and isinstance(frozen[0], tuple):
        return f"({', '.join(map(_shown, frozen))})"
    if not frozen:
        return "()"
    kind, value = frozen
    return value if kind in (float, complex) else repr(value)


def _static_leaf(x, name):
    """A leaf that is not an array: modules stand for themselves, all else is an error."""
    if hasattr(x, "named_parameters"):
        return id(x), x
    raise ArgumentError(
        f"{name}: an argument of type {type(x).__name__} cannot be traced.",
        fix="pass tensors, arrays or numbers, or name it in static_argnums / static_argnames.",
    )


def _axes_in_scope():
    """Names and sizes of the vmapped axes that collectives may use here."""
    found, frame = {}, state.frame
    while frame is not None:
        found = {**frame.axes, **found}
        frame = frame.outer
    return tuple(found.items())


def _ordinal(n):
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


class _Entry:
    """One traced graph, with what must still hold for it to be used again."""

    def __init__(self, name, graph, structure, frame):
        self.graph, self.structure = graph, structure
        self.reason = f"jit of {name}"
        self.guards = frame.guards
        self.modules = [(module, module._structure()) for module in frame.modules.values()]
        self.live_modules = frame.modules
        self.closure = Closure([graph])
        self.closed = self.closure.graphs[0]
        self.captured = [(handle, handle._node.aval) for handle in (*self.closure.constants, *self.closure.state)]
        self.avals = [node.aval for node in graph.outputs]
        self.program = None

    def is_final(self):
        """False if the graph reads a value of a function that is still being traced or differentiated: it serves once."""
        nodes = [handle._node for handle, _ in self.captured]
        if state.gradient_frames and any(node.flags & TRACKED and node.inputs for node in nodes):
            return False
        return all(node.frame is None for node in nodes)

    def is_current(self):
        """True if all that the trace depended on besides its arguments is as it was."""
        for owner, attribute, value in self.guards:
            now = getattr(owner, attribute)
            if now is not value and (isinstance(now, Tensor) or now != value):
                return False
        for handle, aval in self.captured:
            if not same_aval(handle._node.aval, aval):
                return False
        for handle, other in self.graph.aliases:
            if handle._node is not other._node:
                return False
        return all(module._structure() == structure for module, structure in self.modules)

    def apply(self, leaves):
        """The results as lazy tensors: a `call` node in the graph of the transform at work."""
        if state.frame is not None:  # its graph depends on what this one depends on
            state.frame.guards += self.guards
            state.frame.modules.update(self.live_modules)
        self.closure.note_aliases()
        n_state = len(self.closure.state)
        outs = call(*self.closure.constants, *self.closure.state, *leaves, graph=self.closed, barrier=False)
        self.closure.change_state(outs[:n_state])
        return self.structure.unflatten(outs[n_state:])

    def run(self, leaves, donated=None):
        """The results, computed at once by one program."""
        if not self.closure.state:
            return self._run(leaves, donated)
        with stateful:
            return self._run(leaves, donated)

    def _run(self, leaves, donated):
        nodes = [handle._node for handle, _ in self.captured]
        nodes += [leaf._node for leaf in leaves]
        flags = 0
        for node in nodes:
            flags |= node.flags
        node = None  # _run_donating counts references
        cut = Cut(self.reason, nodes) if flags & TRACKED else None
        pending = [node for node in nodes if node.value is None]
        if pending:
            evaluate(pending, reader="a jitted function")
        if self.program is None:
            self.program = program_of(self.closed, device_of(self.closed, devices.cpu))
        values = [node.value for node in nodes]
        if donated is None:
            values = self.program.run(values)
        else:
            values = self._run_donating(nodes, values, [False] * len(self.captured) + donated)
        n_state = len(self.closure.state)
        outputs = []
        for value, aval in zip(values[n_state:] if n_state else values, self.avals):
            node = leaf(value, aval, flags & TRACKED & state.flags_mask)
            node.cut = cut
            outputs.append(wrap(node))
        for value, handle in zip(values, self.closure.state):
            old = handle._node
            handle._rebind(leaf(value, old.aval, old.flags))
        return self.structure.unflatten(outputs)

    def _run_donating(self, nodes, values, donated):
        donated = [d and _is_sole_owner(nodes, i) and _is_sole_owner(values, i) for i, d in enumerate(donated)]
        donated = [d and type(v) is library.DeviceArray for d, v in zip(donated, values)]
        results = self.program.run(values, donated)
        for node, gone in zip(nodes, donated):
            if gone:
                node.value = library.DonatedArray(self.reason)
        return results


def _references(items, i):
    return getrefcount(items[i])


def _is_sole_owner(items, i):
    """True if besides this list only one object refers to the i-th item: its tensor, or its node."""
    return _references(items, i) <= _TWO_REFERENCES


_probe = [object()]
_TWO_REFERENCES = _references([_probe[0]], 0)
