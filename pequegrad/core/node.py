"""The lazy graph: avals, nodes, and the frames that say to which transform a node belongs.

A Node is one application of a primitive: its `spec` (primitive, parameters, avals: shared by all equal
applications), its inputs, and, once computed, its value. Nodes never change what they stand for.
Creation numbers are a topological order of the graph: a node is always newer than its inputs.
"""

import contextlib
import itertools
import threading
from operator import attrgetter
from weakref import WeakValueDictionary
from weakref import ref as reference

from .device import device as devices
from .errors import UnexpectedTracerError
from .locks import AfterForkLock

# ---- avals -----------------------------------------------------------------------------------------


class Aval:
    """Abstract value: all that is known of an array before it is computed. Made by make_aval, which shares them."""

    __slots__ = ("shape", "dtype", "weak_type", "device", "ndim", "size", "weak_pair")

    def __str__(self):
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__

    def update(self, *, shape=None, dtype=None, weak_type=None, device=None):
        """This aval with some fields replaced."""
        return make_aval(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            self.device if device is None else device,
            self.weak_type if weak_type is None else weak_type,
        )


_avals = {}
_AVALS_KEPT = 1 << 17


def same_aval(a, b):
    """True for equal avals: identical ones, unless the table below was cleared between them."""
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and a.device is b.device and a.weak_type == b.weak_type)


def make_aval(shape, dtype, device, weak_type=False):
    """The one Aval of this shape (tuple of ints), dtype, device and weak type."""
    key = shape, dtype, device, weak_type
    aval = _avals.get(key)
    if aval is None:
        if len(_avals) >= _AVALS_KEPT:  # a table for speed: forgetting only costs repeated inference
            _avals.clear()
        aval = Aval()
        aval.shape, aval.dtype, aval.device, aval.weak_type = shape, dtype, device, weak_type
        aval.ndim, aval.size = len(shape), 1
        for n in shape:
            aval.size *= n
        aval.weak_pair = dtype, weak_type
        _avals[key] = aval
    return aval


# ---- specs -----------------------------------------------------------------------------------------


_preparing = AfterForkLock()
prepared_specs = WeakValueDictionary()  # address of the prepared kernel -> Spec: for profiles


class Spec:
    """A primitive applied to avals: result aval, parameters, and (prepared on first use) its kernel."""

    __slots__ = ("primitive", "params", "inputs", "aval", "device", "n_outputs", "op", "_operation", "__weakref__")

    def __init__(self, primitive, params, inputs, aval, op=0):
        self.primitive = primitive
        self.params = params  # dict
        self.inputs = inputs  # tuple of avals
        self.aval = aval  # Aval, or a tuple of them for several results
        outputs = self.outputs
        self.device = (outputs or inputs)[0].device if outputs or inputs else params.get("device", devices.cpu)
        self.n_outputs = len(outputs)
        self.op = op  # address of the prepared kernel; 0 = not prepared yet
        self._operation = None  # its owner

    @property
    def outputs(self):
        return self.aval if type(self.aval) is tuple else (self.aval,)

    def prepare(self):
        """Prepares the kernel in the runtime and returns its address."""
        from ..runtime import library

        with _preparing:  # two threads must not replace each other's kernel while a program holds its address
            if not self.op:
                kernel, params = self.primitive.lower(*self.inputs, **self.params)
                numbers, owners = [], []
                for p in params:
                    if hasattr(p, "prepared"):  # a graph or a host function
                        owners.append(p.prepared(self))
                        numbers.extend(owners[-1].params)
                    else:
                        numbers.append(p)
                operation = library.Operation(kernel, numbers, self.inputs, self.outputs, self.device)
                self._operation = operation, owners
                self.op = operation.address
                prepared_specs[self.op] = self
        return self.op


# ---- frames ----------------------------------------------------------------------------------------


class Frame:
    """One transform at work on a function whose arguments are placeholders (jit, vmap).

    All nodes made while it is the innermost frame belong to it. `captures` are the outer values it
    reads, by the handle that was used; `rebound` the outer handles that were given new values
    (a parameter, the random state): inputs and outputs of the traced graph that nobody wrote down.
    """

    def __init__(self, transform, function):
        self.transform = transform  # "jit", "vmap"
        self.function = function  # name, for messages
        self.outer = None
        self.open = False
        self.arguments = []  # placeholder Nodes
        self.argument_names = {}  # placeholder Node -> "argument `x`", for messages
        self.captures = {}  # Node -> list of the Tensors through which it was read
        self.rebound = {}  # Tensor -> (its Node, its _rebound) before
        self.guards = []  # (object, attribute, value) that the trace depended on
        self.modules = {}  # id -> module whose forward() ran
        self.effects = []  # nodes that must run although nothing may need their value
        self.axes = {}  # name of a vmapped axis -> its size

    def __enter__(self):
        self.outer, state.frame = state.frame, self
        state.open += 1
        self.outer_mask, state.flags_mask = state.flags_mask, ~0
        self.open = True
        return self

    def __exit__(self, *exc):
        state.frame, state.flags_mask = self.outer, self.outer_mask
        state.open -= 1
        self.open = False
        for handle, before in self.rebound.items():
            handle._node, handle._rebound = before

    def depth(self):
        """The number of frames around this one."""
        return 0 if self.outer is None else 1 + self.outer.depth()

    def forget(self):
        """Lets go of outer values; the frame has ended, but its nodes still name it."""
        self.captures, self.rebound = {}, {}

    def capture(self, handle):
        """Notes that `handle`, whose value comes from outside, is read in this frame."""
        handles = self.captures.setdefault(handle._node, [])
        if not handles:
            check_readable_frame(handle._node)
        if not any(known is handle for known in handles):
            handles.append(handle)


class GradientFrame:
    """A derivative at work on a function whose arguments are identity nodes: readable, but history is kept."""

    def __enter__(self):
        state.gradient_frames += 1
        state.open += 1
        self.outer_mask, state.flags_mask = state.flags_mask, ~0

    def __exit__(self, *exc):
        state.gradient_frames -= 1
        state.open -= 1
        state.flags_mask = self.outer_mask


class differentiating:
    """Context: a function runs whose derivative with respect to these nodes is wanted. Jax_api then refuses to read what depends on them."""

    def __init__(self, nodes):
        self.nodes = frozenset(nodes)

    def __enter__(self):
        self.outer, state.differentiated = state.differentiated, (*state.differentiated, self.nodes)

    def __exit__(self, *exc):
        state.differentiated = self.outer


class by_rule:
    """Context: a user's rule runs; what it reads is constant to the innermost function that is differentiated (or to all of them)."""

    def __init__(self, all_of_them=False):
        self.all_of_them = all_of_them

    def __enter__(self):
        self.outer = state.differentiated
        state.differentiated = () if self.all_of_them else self.outer[:-1]

    def __exit__(self, *exc):
        state.differentiated = self.outer


TRACKED = 1  # its history may be asked for by grads()
LINEAR = 2  # depends on a tangent placeholder: has no value, only a transpose
ARRAY = 4  # made by jax_api, or computed with such: its handle is an Array, see core.tensor.wrap


class _State(threading.local):
    frame = None  # innermost open Frame
    flags_mask = ~0  # without TRACKED under no_grad()
    masks = ()  # outer flags_masks of no_grad(), a linked list
    gradient_frames = 0  # open GradientFrames
    differentiated = ()  # sets of nodes, the outermost first: see differentiating
    open = 0  # frames of both kinds that are open; not 0 also where code runs as if there were none
    arguments = TRACKED  # flags of the arguments of functions that are traced: with ARRAY under transforms of jax_api


state = _State()


@contextlib.contextmanager
def face(arrays):
    """While this is open, functions that are traced get Arrays of jax_api as arguments, or (False) Tensors."""
    before, state.arguments = state.arguments, TRACKED | (ARRAY if arrays else 0)
    try:
        yield
    finally:
        state.arguments = before


def check_readable_frame(node):
    """Raises if `node` belongs to a frame that has ended: it leaked out of its transform."""
    frame = node.frame
    if frame is not None and not frame.open:
        raise UnexpectedTracerError(
            f"{node.spec.primitive.title} of shape {list(node.aval.shape)} leaked out of {frame.transform} of "
            f"{frame.function}: it only had a value while that function was traced.",
            fix="return it from the function instead of storing it outside.",
        )


# ---- nodes -----------------------------------------------------------------------------------------

MAX_PENDING = 1000  # longest chain of uncomputed nodes before values are computed on the way

numbers = itertools.count(1)
next_number = numbers.__next__


class Node:
    """`primitive(*inputs, **params)`; see the module's docstring."""

    __slots__ = (
        "spec", "aval", "inputs", "value", "number", "flags", "depth", "frame", "cut", "replacement", "__weakref__"
    )  # fmt: skip

    def __init__(self, spec, inputs):
        frame = state.frame
        flags = depth = 0
        for node in inputs:
            flags |= node.flags
            if node.depth > depth:
                depth = node.depth
            if node.frame is not frame:
                frame = enter_frame(node, frame, inputs)
        self.spec = spec
        self.aval = spec.aval
        self.inputs = inputs
        self.value = None  # DeviceArray, or a tuple of them for several results
        self.number = next_number()
        self.flags = flags & state.flags_mask
        self.depth = depth + 1  # longest chain of pending nodes that ends here
        self.frame = frame
        self.cut = None  # Cut, if history was dropped here
        self.replacement = None  # a node whose first results are those of this one: see replaced()
        if depth >= MAX_PENDING and frame is None and not flags & LINEAR:
            from .evaluate import evaluate

            evaluate((self,))

    def __repr__(self):
        return f"<{self.spec.primitive.title} #{self.number} {self.aval}>"


def enter_frame(node, frame, inputs):
    """An input of a new node comes from another frame than the node: it must be readable there. Gives the new node's frame."""
    if node.spec.primitive is constant:
        return frame
    check_readable_frame(node)
    if (
        frame is None
    ):  # in ensure_compile_time_eval: what depends on arguments of a traced function is traced all the same
        frame = max((source.frame for source in inputs if source.frame is not None), key=Frame.depth)
        for source in inputs:
            if source.frame is not frame:
                enter_frame(source, frame, inputs)
    elif node not in frame.captures:
        from .tensor import wrap  # a node without a handle of the user: it cannot be rebound

        frame.captures[node] = [wrap(node)]
    return frame


def replaced(node):
    """The node that is computed in place of `node`.

    The derivative of control flow needs more of it than its results (residuals, tangents). It builds a node
    that gives both and makes it the replacement, so that nothing is computed twice.
    """
    while node.replacement is not None and node.value is None:
        node = node.replacement
    return node


def topological_order(results, boundary):
    """The nodes that `results` need, themselves included, each after its inputs, without constants and the nodes in `boundary`.

    Creation numbers are such an order, unless a node was replaced by a newer one.
    """
    seen, stack, found, in_order = set(boundary), [], [], True
    for node in results:
        if node not in seen and not is_constant(node):
            seen.add(node)
            stack.append(node)
    while stack:
        node = stack.pop()
        found.append(node)
        for source in node.inputs:
            if source.replacement is not None:
                source = replaced(source)
            if source.number > node.number:
                in_order = False
            if source not in seen:
                seen.add(source)
                if source.value is None and source.spec.primitive is not constant:
                    stack.append(source)
    found.sort(key=_by_number)
    return found if in_order else sorted_by_dependence(found, set(found))


def sorted_by_dependence(nodes, members):
    """`nodes`, each after its inputs; `members` tells which nodes are among them."""
    ordered, done = [], set()
    for first in nodes:
        stack = [first]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            waiting = [s for s in map(replaced, node.inputs) if s in members and s not in done]
            if waiting:
                stack.extend(waiting)
            else:
                done.add(node)
                ordered.append(node)
                stack.pop()
    return ordered


_by_number = attrgetter("number")


class Cut:
    """Why a node has no history, and on which live nodes it nevertheless depends."""

    __slots__ = ("reason", "sources")

    def __init__(self, reason, sources):
        self.reason = reason
        self.sources = sources  # weak references: a list or a set

    def depends_on(self, node):
        if type(self.sources) is list:
            self.sources = set(self.sources)
        return reference(node) in self.sources


def history_of(nodes):
    """What a Cut remembers: weak references to the tracked ones among `nodes` and to all that they depend on."""
    sources, seen, stack, cuts = set(), set(nodes), list(nodes), set()
    while stack:
        node = stack.pop()
        if not node.flags & TRACKED:
            continue
        sources.add(reference(node))
        if node.cut is not None and node.cut not in cuts:
            cuts.add(node.cut)
            sources.update([source for source in node.cut.sources if source() is not None])
        for source in node.inputs:
            if source not in seen:
                seen.add(source)
                stack.append(source)
    return sources


# ---- nodes without inputs --------------------------------------------------------------------------


class LeafPrimitive:
    """What a node without inputs is called; leaves have no rules."""

    form = None

    def __init__(self, title):
        self.title = self.name = title
        self.specs = {}

    def spec(self, aval):
        found = self.specs.get(aval)
        if found is None:
            if len(self.specs) >= _AVALS_KEPT:
                self.specs.clear()
            found = self.specs[aval] = Spec(self, {}, (), aval)
        return found


array = LeafPrimitive("Array")  # a value given from outside
placeholder = LeafPrimitive("Placeholder")  # an argument of a traced function
constant = LeafPrimitive("Constant")  # a Python number; params: value


def leaf(value, aval, flags=0):
    """A node that holds `value` (a DeviceArray)."""
    return _bare(array.spec(aval), value, flags)


def placeholder_node(aval, flags):
    """A node that stands for an argument; belongs to the innermost frame."""
    node = _bare(placeholder.spec(aval), None, flags)
    node.frame = state.frame
    return node


def stand_in(aval):
    """A placeholder that belongs to no frame: for a graph that stands on its own."""
    return _bare(placeholder.spec(aval), None, TRACKED)


def detached(spec, inputs):
    """A node outside of all frames and history, for graphs that are rewritten."""
    node = _bare(spec, None, TRACKED)
    node.inputs = inputs
    return node


def _bare(spec, value, flags):
    node = object.__new__(Node)
    node.spec, node.aval, node.inputs, node.value = spec, spec.aval, (), value
    node.number, node.flags, node.depth, node.frame, node.cut = next_number(), flags, 0, None, None
    node.replacement = None
    return node


def is_constant(node):
    """True for a node whose value is known while a graph is made: a Python number, or a value from outside."""
    return node.value is not None or node.spec.primitive is constant


_constants = {}


def scalar_constant(number, dtype, device, weak_type=False, flags=0):
    """The node of a Python number as a 0-d array. Kept in a table: numbers recur in programs."""
    # 0.0 and -0.0 are equal but different numbers; so are complex numbers with such parts
    name = repr(number) if number == 0 or type(number) is complex else number
    key = name, type(number), dtype, device, weak_type, flags
    node = _constants.get(key)
    if node is None:
        from ..runtime import library

        aval = make_aval((), dtype, device, weak_type)
        value = library.array_from_number(number, dtype, device)
        node = _bare(Spec(constant, {"value": number}, (), aval), value, flags)
        if len(_constants) > 4096:
            _constants.clear()
        _constants[key] = node
    return node


def guard(owner, attribute):
    """owner.attribute; a function that is being traced will be traced anew when the value has changed."""
    value = getattr(owner, attribute)
    if state.frame is not None:
        state.frame.guards.append((owner, attribute, value))
    return value
