"""What a primitive is: a class with its rules, turned into a binder by `@primitive`.

    @primitive
    class sin(FloatUnary):
        def derivative(x, out): return cos(x)

`sin(x)` on Tensors makes a node of the lazy graph. The rules, all on Tensors or avals:

    infer(*avals, **params)                  the result's Aval (or a tuple), or an error with the fix
    jvp(primals, tangents, out, **params)    tangent of the result; None stands for a zero tangent
    transpose(ct, *inputs, **params)         linear primitives: one cotangent per input, None where the
                                             input is not linear (`is_linear` tells)
    batch(inputs, batched, **params)         the primitive over a new leading axis of the batched inputs;
                                             the result has that axis, too
    lower(*avals, **params)                  (kernel name, integer parameters) for the runtime
    access(index, *avals, **params)          views: the index of the element of x that is at `index` of the result
    epilogue(*avals, **params)               (kernel, number of rows) if the runtime has a kernel that computes the result a
                                             panel of rows at a time and calls generated code for each; else None. Its
                                             param `dtype` is that of the result, in which float32 stands for more digits
    flops(*avals, **params)                  arithmetic operations, for reports; default: one per element of the result
    effects(**params)                        True if it must run although nothing reads its results
    made(node)                               called with each new node
    samples(rng)                             (arrays, params) for the tests of all rules

A class that states `linear = "together"` (linear in all floating operands as one, like add) or "each" (in each of
them with the others fixed, like mul) is its own jvp, and reverse mode asks its transpose rule directly. `vjp` is
generated beside the jvp for elementwise primitives that state partial derivatives; it saves reverse mode the detour.
`forwards = True`: the result is the operand, and matters to transforms only.
"""

import operator

from ..core.errors import ArgumentError, DeviceMismatchError
from ..core.evaluate import OUTPUT, evaluate
from ..core.graph import GraphTrace
from ..core.node import ARRAY, LINEAR, Node, Spec, constant, scalar_constant, state
from ..core.tensor import Tensor, wrap

PRIMITIVES = {}  # name -> Primitive, in order of definition

_SPECS_KEPT = 1 << 16


_node_of, _aval_of = operator.attrgetter("_node"), operator.attrgetter("aval")


class Primitive:
    """The binder of a primitive and its rules. Made by `@primitive`."""

    def __init__(self, rules):
        self.rules = rules
        self.name = rules.__name__.rstrip("_")
        self.title = "".join(word.capitalize() for word in self.name.split("_"))
        self.__doc__ = rules.__doc__
        self.linear = getattr(rules, "linear", None)
        self.vjp = getattr(rules, "vjp", None)
        self.made = _take_effect if hasattr(rules, "effects") else getattr(rules, "made", None)
        self.holds_graphs = getattr(rules, "holds_graphs", False)
        self.form = getattr(rules, "form", None)  # what the compiler may fuse: docs/compiler.md
        self.epilogue = getattr(rules, "epilogue", None)
        self.commutative = getattr(rules, "commutative", False)  # operands may change places
        self.transient = getattr(rules, "transient", False)  # its params hold objects made for one call
        self.forwards = getattr(rules, "forwards", False)
        self.can_transpose = hasattr(rules, "transpose")
        self.specs = {}  # avals, params -> Spec: inference is done once
        PRIMITIVES[self.name] = self

    def __getattr__(self, rule):
        try:
            found = getattr(self.rules, rule)
        except AttributeError:
            raise AttributeError(f"primitive {self.name} has no rule {rule!r}") from None
        setattr(self, rule, found)
        return found

    def __repr__(self):
        return self.name

    def __call__(self, *operands, **params):
        try:
            nodes = tuple(map(_node_of, operands))
        except AttributeError:
            operands = _numbers_to_tensors(self, operands)
            nodes = tuple(map(_node_of, operands))
        avals = tuple(map(_aval_of, nodes))
        spec = self.specs.get((avals, *params.items()) if params else avals)
        if spec is None:
            spec = self.make_spec(avals, params)
        frame = state.frame
        if frame is not None:
            for node in nodes:
                if node.frame is not frame:
                    note_captures(operands)
                    break
        node = Node(spec, nodes)
        if self.made is not None:
            self.made(node)
        if type(spec.aval) is not tuple:
            return wrap(node)
        return outputs(node)

    def make_spec(self, avals, params):
        """Infers, and remembers, what this primitive gives for these avals."""
        key = (avals, *params.items()) if params else avals
        specs = self.specs
        if self.holds_graphs:  # kept with its first graph, not here: graphs come and go
            specs = next(v[0] if type(v) is tuple else v for v in params.values() if _is_graph(v)).derived
            key = self.name, *key
            if key in specs:
                return specs[key]
        devices = {aval.device for aval in avals}
        if len(devices) > 1:
            described = ", ".join(f"{aval} on {aval.device}" for aval in avals)
            raise DeviceMismatchError(
                f"{self.name}: operands are on different devices: {described}.",
                fix="move them to one device with x.to(device).",
            )
        for aval in avals[:1]:
            aval.device.handle  # noqa: B018  opens it: a device that is not there is reported here
        spec = Spec(self, params, avals, self.infer(*avals, **params), getattr(self.rules, "op", 0))
        if not self.transient:
            if len(specs) >= _SPECS_KEPT:
                specs.clear()
            specs[key] = spec
        return spec


def _is_graph(value):
    return isinstance(value[0] if type(value) is tuple and value else value, GraphTrace)


def _take_effect(node):
    """A node with effects runs now, or, inside a traced function, whenever the graph does."""
    if not node.spec.primitive.effects(**node.spec.params):
        return
    if node.frame is not None:
        node.frame.effects.append(node)
    else:
        evaluate((node,))


def rebuild(node, inputs):
    """What the node's primitive gives for other inputs."""
    found = node.spec.primitive(*inputs, **node.spec.params)
    if node.flags & ARRAY and type(found) is not tuple and not found._node.flags & ARRAY:
        found._node.flags |= ARRAY  # it was made of numbers, or of nothing, which do not say it
        return wrap(found._node)
    return found


def primitive(rules):
    """Class decorator: the class of rules becomes a Primitive (its rules need no `self`)."""
    return Primitive(rules)


def note_captures(operands):
    """Inside a traced function: remembers the handles through which outer values are read."""
    frame = state.frame
    for operand in operands:
        node = operand._node
        if node.frame is not frame and node.spec.primitive is not constant:
            frame.capture(operand)


def _numbers_to_tensors(primitive, operands):
    like = next((operand for operand in reversed(operands) if isinstance(operand, Tensor)), None)
    if like is None or not all(isinstance(operand, (Tensor, bool, int, float)) for operand in operands):
        kinds = ", ".join(type(operand).__name__ for operand in operands)
        raise ArgumentError(f"{primitive.name} takes tensors, got ({kinds}).", fix="wrap arrays and lists: Tensor(x).")
    return [operand if isinstance(operand, Tensor) else number(operand, like) for operand in operands]


def number(value, like):
    """The Python number `value` as a 0-d Tensor of the dtype and device of `like`."""
    node = like._node
    aval = node.aval
    return wrap(scalar_constant(value, aval.dtype, aval.device, True, node.flags & ARRAY))


def is_linear(x):
    """True for an input that a transpose rule must give a cotangent for."""
    return bool(x._node.flags & LINEAR)


class output:
    """Names the index-th result of a primitive with several results; costs nothing at run time."""

    name, title, form = "output", "Output", None


def outputs(node):
    """A Tensor for each result of a node with several results; they belong to the frame of the node."""
    picked = []
    with frame_of(node):
        for index, aval in enumerate(node.aval):
            spec = Spec(output, {"index": index}, (), aval, op=OUTPUT)
            picked.append(wrap(Node(spec, (node,))))
    return tuple(picked)


class frame_of:
    """Context manager: new nodes belong to the frame of `node`."""

    __slots__ = ("frame", "saved")

    def __init__(self, node):
        self.frame = node.frame

    def __enter__(self):
        self.saved, state.frame = state.frame, self.frame

    def __exit__(self, *exc):
        state.frame = self.saved
