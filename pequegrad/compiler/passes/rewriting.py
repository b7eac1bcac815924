"""How the local passes work: rules for one node each, applied on one walk from the arguments to the results.

A rule is a function

    rule(b, spec, inputs) -> Node or None

that says by what the primitive of `spec`, applied to `inputs`, is replaced; None: not by this rule. The inputs are already as
simple as the rules make them. `b` (a Builder) makes nodes to which the rules are applied in turn, so that one walk leaves
little to do. A pass file states its rules in a table

    RULES = {"reshape": [rule, ...], ELEMENTWISE: [rule, ...], ANY: [rule, ...]}

and its pass is `local_pass(RULES)`. A rule must make the graph simpler in an order that all rules agree on: views move toward
the results, broadcasts disappear or move there, computation moves to smaller arrays.
"""

import numpy as np

from ...core.dtype import is_complex, is_float, is_integer
from ...core.evaluate import FORWARD
from ...core.graph import frozen
from ...core.node import constant, detached, scalar_constant
from ...primitives import elementwise, shape
from ...runtime import library

ELEMENTWISE, ANY = "elementwise", "any"  # keys of tables of rules, besides names of primitives

# operands may change places: the same bits, also of -0.0 (max and min are not among them)
COMMUTATIVE = {"add", "mul", "and", "or", "xor", "eq", "ne"}


def is_elementwise(primitive):
    return issubclass(getattr(primitive, "rules", object), elementwise.Elementwise)


class RuleSet:
    """The rules of some tables, by primitive."""

    def __init__(self, *tables):
        self.tables = tables
        self.found = {}

    def of(self, primitive):
        rules = self.found.get(primitive)
        if rules is None:
            keys = [ANY, primitive.name]
            if is_elementwise(primitive):
                keys.append(ELEMENTWISE)
            rules = self.found[primitive] = tuple(
                rule for table in self.tables for key in keys for rule in table.get(key, ())
            )
        return rules


def local_pass(*tables):
    """A function from a closed graph to the graph after one walk with these rules."""
    rules = RuleSet(*tables)
    return lambda graph: Builder(rules, graph).walk(graph)


class Builder:
    """Makes the nodes of a rewritten graph: rules are applied, and equal nodes are one."""

    def __init__(self, rules, graph):
        self.rules = rules
        self.effects = set(graph.effects)
        self.known = {}  # (token of primitive and parameters, *inputs) -> what stands for that
        self.depth = 0  # how many rules that follow long chains are at work
        self.tokens = {}  # Spec -> a number that is equal for equal primitives and parameters
        self.numbers = {}  # what those numbers stand for -> the number
        self.constants = {}  # (text, dtype, device) -> the constant node for them
        self.literals = {}  # constant node -> its value as a Python number

    def walk(self, graph):
        return graph.rewritten(self.visit)

    def visit(self, node, inputs):
        """What stands for a node of the graph whose inputs became `inputs`."""
        spec = node.spec
        for source in inputs:
            if source.value is not None:
                inputs = tuple([source if source.value is None else self.canonical(source) for source in inputs])
                break
        if spec.op == FORWARD or node in self.effects:
            return node if inputs == node.inputs else detached(spec, inputs)
        made = self.simplified(spec, inputs, node)
        assert made.aval is node.aval or _same_kind(made.aval, node.aval), f"{spec.primitive.name}: {made}"
        return made

    def simplified(self, spec, inputs, node=None):
        """What the rules make of a node, or the one node that does the same; `node` itself if it can stay."""
        token = self.tokens.get(spec)
        if token is None:
            token = self.tokens[spec] = self._token(spec)
        key = (token, *inputs)
        if len(inputs) == 2 and inputs[0].number > inputs[1].number and spec.primitive.name in COMMUTATIVE:
            key = token, inputs[1], inputs[0]
        found = self.known.get(key)
        if found is None:
            for rule in self.rules.of(spec.primitive):
                found = rule(self, spec, inputs)
                if found is not None:
                    break
            else:
                found = node if node is not None and inputs == node.inputs else detached(spec, inputs)
            self.known[key] = found
        return found

    def _token(self, spec):
        primitive = spec.primitive
        if getattr(primitive, "transient", False):  # host functions: each application is one of its own
            return object()
        what = primitive.name, frozen(dict(sorted(spec.params.items())))
        return self.numbers.setdefault(what, len(self.numbers))

    # ---- making nodes ----------------------------------------------------------------------------------

    def make(self, primitive, *inputs, **params):
        """primitive(*inputs, **params), simplified."""
        avals = tuple([node.aval for node in inputs])
        spec = primitive.specs.get((avals, *params.items()) if params else avals) or primitive.make_spec(avals, params)
        return self.simplified(spec, inputs)

    def like(self, spec, *inputs):
        """The primitive of `spec` with its parameters, applied to other inputs."""
        return self.make(spec.primitive, *inputs, **spec.params)

    def number(self, value, aval):
        """The constant `value` as a 0-d array of the dtype and device of `aval`."""
        return self.canonical(scalar_constant(value, aval.dtype, aval.device, aval.weak_type))

    def full(self, value, aval):
        """`value` in the shape and dtype of `aval`."""
        return self.spread(self.number(value, aval), aval.shape)

    def reshape(self, x, to):
        return x if x.aval.shape == to else self.make(shape.reshape, x, shape=to)

    def transpose(self, x, permutation):
        in_order = list(permutation) == sorted(permutation)
        return x if in_order else self.make(shape.transpose, x, permutation=permutation)

    def broadcast(self, x, to, axes):
        return x if x.aval.shape == to else self.make(shape.broadcast_in_dim, x, shape=to, axes=axes)

    def spread(self, x, to):
        """x broadcast to the shape `to` as an operand of an elementwise primitive is: aligned at the last axis."""
        return self.broadcast(x, to, tuple(range(len(to) - x.aval.ndim, len(to))))

    # ---- constants -------------------------------------------------------------------------------------

    def canonical(self, node):
        """The one node of a constant; a 0-d value that was given as an array becomes a Python number."""
        aval = node.aval
        if node.spec.primitive is not constant:
            if aval.shape:
                return node
            value = _python_number(library.array_to_host(node.value, aval).item())
            node = scalar_constant(value, aval.dtype, aval.device, aval.weak_type)
        return self.constants.setdefault((repr(self.literal(node)), aval.dtype, aval.device), node)

    def literal(self, node):
        """The value of a 0-d constant as a Python number, rounded to its dtype; None if the node is none."""
        if node.value is None or node.spec.primitive is not constant:
            return None
        found = self.literals.get(node)
        if found is None:
            with np.errstate(over="ignore"):
                found = _python_number(np.asarray(node.spec.params["value"], node.aval.dtype).item())
            self.literals[node] = found
        return found


def _python_number(value):
    return value if isinstance(value, (bool, int, float, complex)) else float(value)  # bfloat16


def _same_kind(a, b):
    """True for avals of equal shape and dtype; they may differ in weak_type, which does not matter any more."""
    if type(a) is tuple or type(b) is tuple:
        return type(a) is type(b) and len(a) == len(b) and all(map(_same_kind, a, b))
    return a.shape == b.shape and a.dtype == b.dtype


def kind(aval):
    """Of what kind the numbers are: "float", "complex", "integer" or "bool"."""
    dtype = aval.dtype
    if is_float(dtype):
        return "float"
    return "integer" if is_integer(dtype) else "complex" if is_complex(dtype) else "bool"
