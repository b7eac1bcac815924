"""jit: a function is traced once for each kind of arguments and then runs as one program."""

import contextlib
import functools
import threading
import weakref

from ..core.errors import ArgumentError, user_line
from ..core.locks import stateful
from ..core.node import face, state
from ..core.tensor import Tensor
from .arguments import TRACED, argument_key, differences, from_abstract, leaf_owners, order_of_leaves, quick_nodes
from .check import run_checked
from .debug import debugging, run_op_by_op
from .entry import Entry
from .lowered import Lowered, text_at
from .signatures import signature
from .straight import straight_call
from .trace import trace
from .tree import flatten_arguments, is_module
from .watch import watching

_KEPT = 16  # compiled programs for one kind of arguments: more come only from captured tensors and modules that change


_UNKNOWN = (), None, None


class _Apart(threading.local):
    active = False


_apart = _Apart()


@contextlib.contextmanager
def apart():
    """While this is open, what jitted functions do is not counted or reported, and calls inside of what is traced are traced anew, and not kept."""
    before, _apart.active = _apart.active, True
    try:
        yield
    finally:
        _apart.active = before


class jit:
    """A function that runs as one program, compiled for each combination of argument types.

    jit(function, static_argnums=(), static_argnames=(), donate_argnums=()); also as a decorator, and `jit.withargs(...)` as a decorator
    with options. Arguments and results are tensors, NumPy arrays, Python numbers, or nested tuples, lists
    and dicts of them. Static arguments are Python values that must be hashable: the function is compiled
    anew for each of their values. A module may say itself which arguments are static: static_arguments(args, kwargs) gives
    {position or keyword: hashable value}. Numbers and arrays go to the device of the first tensor argument, or to the
    CPU if there is none. Donated arguments (positions) are given up by the caller: their memory may serve the results, and
    using them again raises. `allocator` ("default" or "custom") matters on CUDA devices only.

    With `check`, each call also runs the traced operations one by one, without the compiler, and raises MiscompiledError if
    results differ by more than rounding; effects (debug_print) happen twice. With `debug`, the function is not compiled at all:
    operations are computed when they are written, so that print and pdb show values, in jitted functions that it calls, too, and
    NonFiniteError names the first that makes a NaN or an infinity of finite operands.

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

    arrays = False  # True in jax_api: arguments become its arrays

    def __init__(
        self,
        function=None,
        static_argnums=(),
        static_argnames=(),
        donate_argnums=(),
        allocator="default",
        check=False,
        debug=False,
    ):
        if not callable(function):
            raise ArgumentError(
                "jit takes a function" + ("." if function is None else f", got {type(function).__name__}."),
                fix="jit(function), or @jit; with options jit(function, debug=True), or @jit.withargs(debug=True).",
            )
        if allocator not in ("default", "custom"):
            raise ArgumentError(f"jit: allocator {allocator!r} is neither 'default' nor 'custom'.")
        functools.update_wrapper(self, function)
        self.function = function
        self.check, self.debug = check, debug
        self.lines = weakref.WeakKeyDictionary()  # with check: node -> line of the user's code that made it
        self.name = getattr(function, "__name__", type(function).__name__)
        self.compiled = {}  # key of the arguments -> list of Entry, the newest last
        self.known = {}  # quicker key of common arguments -> (the same list, order of the leaves, which are donated)
        self.straight = None  # a faster way for the kind of arguments that was last used
        self.traces = 0  # how often the function was traced
        self.last_key = None  # the kind of arguments of the last trace, for the message about the next one
        self.donated = self._positions(donate_argnums, "donated") if donate_argnums != () else ()
        self.static_positions, self.static_names = (), ()
        self.asked = getattr(function, "static_arguments", None) if is_module(function) else None
        _functions.add(self)
        if static_argnums != () or static_argnames != ():
            self._resolve_static(static_argnums, static_argnames)

    def _resolve_static(self, numbers, names):
        """Static arguments by position and by name, whichever way they were given."""
        parameters = signature(self.function)
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        numbers = self._positions(numbers, "static")
        names = {names} if isinstance(names, str) else set(names)
        if unknown := names - {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}:
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                raise ArgumentError(
                    f"jit: {self.name} has no argument {', '.join(map(repr, sorted(unknown)))} to be static.",
                    fix=f"it has {[p.name for p in parameters]}.",
                )
        self.static_positions = tuple(sorted(numbers | {i for i, p in enumerate(positional) if p in names}))
        self.static_names = names | {positional[n] for n in numbers if n < len(positional)}

    def _positions(self, numbers, role):
        """A set of positions of arguments, none of them negative; ArgumentError if there is no such argument."""
        parameters = signature(self.function)
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        open_ended = not parameters or any(p.kind == p.VAR_POSITIONAL for p in parameters)
        numbers = {numbers} if isinstance(numbers, int) else set(numbers)
        for n in numbers:
            if not isinstance(n, int) or n < -len(positional) or (n >= len(positional) and not open_ended):
                raise ArgumentError(
                    f"jit: {self.name} has no argument {n!r} to be {role}.", fix=f"it has {positional}."
                )
        return {n + len(positional) if n < 0 else n for n in numbers}

    @classmethod
    def withargs(cls, **options):
        """A decorator: `@jit.withargs(static_argnums=1)`."""
        return lambda function: cls(function, **options)

    def __repr__(self):
        return f"<jit of {self.name}>"

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if kwargs or state.open:
            return self._call(args, kwargs)
        if self.straight is not None:
            results = self.straight(args)
            if results is not None:
                return results
        structure, nodes, key = None, [], []
        try:
            for x in args:
                node = x._node
                nodes.append(node)
                key.append(node.aval)
        except AttributeError:
            structure, nodes = quick_nodes(args, self.arrays)
            if nodes is None:
                return self._call(args, kwargs)
            key = [structure, *[node.aval for node in nodes]]
        entries, order, donated = self.known.get(tuple(key), _UNKNOWN)
        entry = _current(entries)
        node = None  # donating counts references
        if entry is None:
            nodes.clear()
            return self._call(args, kwargs)
        if order is not None:
            nodes = list(order(nodes))
        results = entry.run_safely(nodes, donated)
        self.straight = None if entry.layouts.variants else entry.straight
        return results

    def _call(self, args, kwargs):
        """A call of which __call__ does not know where to find its program: one that is new, or of an uncommon form."""
        if self.debug or debugging.active:
            return run_op_by_op(self.function, args, kwargs)
        key, leaves, static = self._key(args, kwargs)
        inside = state.frame is not None or state.gradient_frames
        if inside:
            key = *key, _axes_in_scope()
        if inside and _apart.active:
            return self._compile(key, leaves, static).apply(leaves)
        entry = _current(self.compiled.get(key, ()))
        if entry is None:
            with stateful:  # another thread may be tracing it
                entry = _current(self.compiled.get(key, ())) or self._compile(key, leaves, static)
        if inside:
            return entry.apply(leaves)
        donated = self._donated_leaves(*static[:2]) if self.donated else None
        if self.check:
            return run_checked(entry, [x._node for x in leaves], self.lines)
        results = entry.run_safely([x._node for x in leaves], donated)
        entries = self.compiled.get(key)
        if entries and not kwargs and not static[2]:
            self._remember(args, entries, donated, entry)
        return results

    def _remember(self, args, entries, donated, entry):
        """From now on __call__ finds these entries, of which one was run, for arguments of this kind."""
        if all(isinstance(x, Tensor) for x in args):
            self.known[tuple([x._node.aval for x in args])] = entries, None, donated
            if donated is None:
                entry.straight = straight_call(entry)
            return
        structure, nodes = quick_nodes(args, self.arrays)
        if nodes is not None:
            avals = [node.aval for node in nodes]
            self.known[structure, *avals] = entries, order_of_leaves(args, structure), donated

    def _donated_leaves(self, structure, others):
        """For each traced leaf whether the caller gives it up."""
        args_structure, kwargs_structure = structure.children()
        flags = []
        for i, child in enumerate(args_structure.children()):
            flags += [i in self.donated] * child.num_leaves
        flags += [False] * kwargs_structure.num_leaves
        return [flag for flag, x in zip(flags, others) if x is TRACED]

    # ---- looking at what was compiled ------------------------------------------------------------------

    def lower(self, *args, **kwargs):
        """The function traced for these arguments, a Lowered; nothing is run.

        Anything with a shape and a dtype (ShapeDtypeStruct) may stand for an array.
        """
        return Lowered(self, *self._traced(args, kwargs))

    def print_trace(self, *args, stage="traced", **kwargs):
        """Prints the graph for these arguments, one line per operation: "traced", "simplified" or "fused"."""
        print(text_at(self._traced(args, kwargs)[0], stage))

    def explain(self, *args, **kwargs):
        """Prints a line per kernel of the program for these arguments, where each operation went, which patterns were found."""
        print(self.lower(*args, **kwargs).compile().explain())

    def _traced(self, args, kwargs):
        """(entry, key) for these arguments, which may be abstract."""
        leaves, structure = flatten_arguments((args, kwargs))
        key, leaves, static = self._key(*structure.unflatten(map(from_abstract, leaves)))
        return _current(self.compiled.get(key, ())) or self._compile(key, leaves, static), key

    def cache_info(self):
        """The number of compiled programs, of kinds of arguments that they are for, and of times the function was traced."""
        programs = sum(map(len, self.compiled.values()))
        return {"programs": programs, "kinds": len(self.compiled), "traces": self.traces}

    def clear_cache(self):
        """Forgets all compiled programs."""
        self.compiled.clear()
        self.known.clear()
        self.straight = None

    # ---- keys ------------------------------------------------------------------------------------------

    def _key(self, args, kwargs):
        """(cache key, traced leaves as Tensors, static information to call the function again)."""
        static_args = {i: args[i] for i in self.static_positions if i < len(args)}
        static_args.update((k, v) for k, v in kwargs.items() if k in self.static_names)
        if self.asked is not None:
            static_args.update(self.asked(args, kwargs))
        if static_args:
            args = tuple(None if i in static_args else a for i, a in enumerate(args))
            kwargs = {k: v for k, v in kwargs.items() if k not in static_args}
        leaves, structure = flatten_arguments((args, kwargs))
        key, traced, others = argument_key(self.name, leaves, structure, static_args, self.arrays)
        return key, traced, (structure, others, static_args)

    # ---- tracing and compiling -------------------------------------------------------------------------

    def _compile(self, key, leaves, static):
        structure, others, static_args = static

        def call(tensors):
            tensors = iter(tensors)
            args, kwargs = structure.unflatten([next(tensors) if x is TRACED else x for x in others])
            args = tuple(static_args.get(i, a) for i, a in enumerate(args))
            return self.function(*args, **kwargs, **{k: v for k, v in static_args.items() if type(k) is str})

        avals = [leaf._node.aval for leaf in leaves]
        with watching(self._note_line) if self.check else contextlib.nullcontext(), face(self.arrays):
            graph, out_structure, frame = trace("jit", self.name, avals, call, leaf_owners(self.function, structure))
            entry = Entry(self.name, graph, out_structure, frame)
        inside = state.frame is not None or state.gradient_frames
        if _apart.active and inside:
            return entry
        self.traces += not _apart.active
        if self.traces >= 3 and not _apart.active and entry.is_final():
            self._report(key)
        self.last_key = key
        if entry.is_final():
            entries = self.compiled.setdefault(key, [])
            entries.append(entry)
            del entries[:-_KEPT]
        return entry

    def _note_line(self, node):
        self.lines[node] = user_line()

    def _report(self, key):
        """Says which argument made the function be traced again."""
        import logging

        logging.getLogger("pequegrad").warning(
            "jit traces %s for the %s time. What changed: %s",
            self.name,
            _ordinal(self.traces),
            "; ".join(differences(self.function, self.last_key, key))
            or "a tensor, a module or an axis that it reads from outside",
        )


def clear_caches():
    """Forgets the compiled programs of all jitted functions. Generated code stays in its cache on disk."""
    for function in list(_functions):
        function.clear_cache()


_functions = weakref.WeakSet()


def _current(entries):
    """The newest of the entries that holds today; None if none does."""
    for entry in reversed(entries):
        if entry.always_current or entry.is_current():
            return entry
    return None


def _axes_in_scope():
    """Names and sizes of the vmapped axes that collectives may use here."""
    found, frame = {}, state.frame
    while frame is not None:
        found = {**frame.axes, **found}
        frame = frame.outer
    return tuple(found.items())


def _ordinal(n):
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"
