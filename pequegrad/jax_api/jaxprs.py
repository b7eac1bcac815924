"""Traced functions in JAX's notation: `{ lambda ; a:f32[3]. let b:f32[3] = sin a in (b,) }`.

A Jaxpr is a view of a GraphTrace. Its equations are the operations of this package, which mostly have JAX's names; functions of jax.numpy
are not equations of their own here, and jitted functions are `jit`.
"""

import functools

from ..core.evaluate import OUTPUT
from ..core.graph import GraphTrace
from ..core.node import constant, face
from ..core.tensor import wrap
from ..primitives.defined import defined_call
from ..transforms import graphs
from ..transforms.control_flow import Closure
from ..transforms.trace import trace
from .convert import convertible
from .shaped import ShapedArray

# how the names of operations differ from JAX's
_NAMES = {
    "convert": "convert_element_type", "call": "jit", "while_loop": "while", "custom_jvp_mark": "custom_jvp_call",
    "custom_vjp_mark": "custom_vjp_call",
}  # fmt: skip


def shaped(aval):
    """The ShapedArray of an aval."""
    return ShapedArray(aval.shape, aval.dtype, aval.weak_type)


def typeof(x):
    """The ShapedArray of an array or number; TypeError for anything else."""
    if isinstance(x, ShapedArray):
        return x
    found = convertible(x)
    if found is None:
        raise TypeError(f"Argument {x!r} of type {type(x)} is not a valid JAX type.")
    return shaped(found._node.aval)


class Var:
    """A variable of a Jaxpr."""

    __slots__ = ("aval",)

    def __init__(self, aval):
        self.aval = aval

    def __repr__(self):
        return f"Var(id={id(self)}):{self.aval.str_short()}"


class DropVar(Var):
    """A result that nobody uses."""

    def __repr__(self):
        return "_"


class Literal:
    """A number in place of a variable."""

    __slots__ = ("aval", "val")

    def __init__(self, val, aval):
        self.val, self.aval = val, aval

    def __repr__(self):
        return f"Literal({self.val})"


class Primitive:
    """The operation of an equation, one object for each name. Those that are jax.lax's, too, are there: jax.lax.add_p."""

    def __init__(self, name, of):
        self.name, self.of = name, of

    def __repr__(self):
        return self.name


@functools.cache
def primitive_named(name):
    """The Primitive with JAX's name; None if there is none."""
    from ..primitives import PRIMITIVES

    here = next((ours for ours, theirs in _NAMES.items() if theirs == name), name)
    return Primitive(name, PRIMITIVES[here]) if here in PRIMITIVES else None


class JaxprEqn:
    """One equation: outvars = primitive[params] invars."""

    def __init__(self, invars, outvars, primitive, params):
        self.invars, self.outvars, self.primitive, self.params = invars, outvars, primitive, params

    def __repr__(self):
        return "\n".join(_equation(self, _Names(), ""))


class Jaxpr:
    """A function as a list of equations."""

    def __init__(self, constvars, invars, outvars, eqns, graph=None, effects=frozenset()):
        self.constvars, self.invars, self.outvars, self.eqns = constvars, invars, outvars, eqns
        self.graph, self.effects = graph, effects

    @property
    def in_avals(self):
        """The types of the arguments."""
        return [v.aval for v in self.invars]

    @property
    def out_avals(self):
        """The types of the results."""
        return [v.aval for v in self.outvars]

    def pretty_print(self, **options):
        """The text."""
        return str(self)

    def __repr__(self):
        return "\n".join(_lines(self, _Names(), ""))


class ClosedJaxpr:
    """A Jaxpr with the values of its constants."""

    def __init__(self, jaxpr, consts=()):
        self.jaxpr, self.consts = jaxpr, list(consts)

    constvars = property(lambda self: self.jaxpr.constvars)
    invars = property(lambda self: self.jaxpr.invars)
    outvars = property(lambda self: self.jaxpr.outvars)
    eqns = property(lambda self: self.jaxpr.eqns)
    effects = property(lambda self: self.jaxpr.effects)
    in_avals = property(lambda self: self.jaxpr.in_avals)
    out_avals = property(lambda self: self.jaxpr.out_avals)
    literals = property(lambda self: self.consts)

    def pretty_print(self, **options):
        """The text."""
        return str(self)

    def __repr__(self):
        return str(self.jaxpr)


# ---- from graphs -----------------------------------------------------------------------------------------


def jaxpr_of(graph, n_consts=0):
    """The Jaxpr of a closed graph whose first n_consts arguments are its constants."""
    variables = {node: Var(shaped(node.aval)) for node in graph.placeholders}
    used = {source for node in graph.nodes for source in node.inputs} | set(graph.results)
    outputs = {}  # node with several results -> its `output` nodes
    for node in graph.nodes:
        if node.spec.op == OUTPUT:
            outputs.setdefault(node.inputs[0], {})[node.spec.params["index"]] = node
            variables[node] = Var(shaped(node.aval))
    arrays = {}  # constants that are no numbers become constvars: see closed_jaxpr

    def at(node):
        if node in variables:
            return variables[node]
        if node.spec.primitive is constant:
            return Literal(node.spec.params["value"], shaped(node.aval))
        return arrays.setdefault(node, Var(shaped(node.aval)))

    eqns = []
    for node in graph.nodes:
        if node.spec.op == OUTPUT:
            continue
        if type(node.aval) is tuple:
            found = outputs.get(node, {})
            outvars = [
                variables[found[i]] if i in found and found[i] in used else DropVar(shaped(aval))
                for i, aval in enumerate(node.aval)
            ]
        else:
            outvars = [variables.setdefault(node, Var(shaped(node.aval)))]
        eqns.append(JaxprEqn([at(s) for s in node.inputs], outvars, *_operation(node.spec)))
    outvars = [at(node) for node in graph.results]
    inputs = [variables[node] for node in graph.placeholders]
    given = graph.placeholders
    graph = graph.rewired([*given[:n_consts], *arrays, *given[n_consts:]], graph.results)
    made = Jaxpr(
        [*inputs[:n_consts], *arrays.values()], inputs[n_consts:], outvars, eqns, graph, frozenset(graph.effects)
    )
    made.arrays = list(arrays)
    return made


def _operation(spec):
    """(primitive, parameters), with Jaxprs for graphs among these. Of a library's primitive both are what the library bound."""
    if spec.primitive is defined_call:
        return spec.params["rules"].primitive, spec.params["rules"].params
    params = {}
    for key, value in spec.params.items():
        if isinstance(value, GraphTrace):
            value = ClosedJaxpr(jaxpr_of(value))
        elif isinstance(value, tuple) and value and isinstance(value[0], GraphTrace):
            value = tuple(ClosedJaxpr(jaxpr_of(g)) for g in value)
        if key == "dtype" and spec.primitive.name == "convert":
            key = "new_dtype"
        params["jaxpr" if key in ("graph", "body") and "jaxpr" not in spec.params else key] = value
    return primitive_named(_NAMES.get(spec.primitive.name, spec.primitive.name)), params


def closed_jaxpr(graph):
    """The ClosedJaxpr of a graph as it was traced: what it reads from outside are its constants."""
    closure = Closure([graph])
    consts = [*closure.constants, *closure.state]
    jaxpr = jaxpr_of(closure.graphs[0], len(consts))
    return ClosedJaxpr(jaxpr, [*consts, *map(wrap, jaxpr.arrays)])


def make_jaxpr(fun, static_argnums=(), axis_env=None, return_shape=False):
    """A function that traces `fun` for the types of its arguments and returns its ClosedJaxpr.

    axis_env: (name, size) pairs of axes that collectives may name. return_shape: the tree of ShapeDtypeStructs of the result, too.
    """
    from .transforms import abstract_leaf, flatten_abstract, struct_of

    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}")
    fixed = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)

    def traced(*args, **kwargs):
        static = {n % len(args) for n in fixed}
        leaves, structure = flatten_abstract(([a for i, a in enumerate(args) if i not in static], kwargs))

        def call(values):
            moving, kwargs = structure.unflatten(values)
            moving = iter(moving)
            return fun(*[a if i in static else next(moving) for i, a in enumerate(args)], **kwargs)

        name = getattr(fun, "__name__", type(fun).__name__)
        with face(True):
            graph, out_structure, _ = trace(
                "make_jaxpr", name, list(map(abstract_leaf, leaves)), call, axes=axis_env or ()
            )
            made = closed_jaxpr(graph)
            if not return_shape:
                return made
            return made, out_structure.unflatten(map(struct_of, graph.avals[: len(graph.outputs)]))

    traced.__name__ = f"make_jaxpr({getattr(fun, '__name__', type(fun).__name__)})"
    return traced


def eval_jaxpr(jaxpr, consts, *args, propagate_source_info=True):
    """The results, a list, of the equations of `jaxpr` for the values of its constants and arguments."""
    if len(consts) != len(jaxpr.constvars) or len(args) != len(jaxpr.invars):
        raise ValueError(
            f"eval_jaxpr: {len(consts)} constants and {len(args)} arguments for a jaxpr of {len(jaxpr.constvars)} and "
            f"{len(jaxpr.invars)}."
        )
    with face(True):
        return graphs.replay(jaxpr.graph, [convertible(x) for x in (*consts, *args)])


def jaxpr_as_fun(closed_jaxpr, *args):
    """The results, a list, of a ClosedJaxpr for these arguments."""
    return eval_jaxpr(closed_jaxpr.jaxpr, closed_jaxpr.consts, *args)


# ---- the text --------------------------------------------------------------------------------------------


_WIDTH = 80  # what fits is one line


class _Names(dict):
    """Variable -> a, b, ..., z, aa, ab, ...; in the order in which they are asked for."""

    def __missing__(self, var):
        n, text = len(self), ""
        while True:
            text = chr(ord("a") + n % 26) + text
            n = n // 26 - 1
            if n < 0:
                break
        self[var] = text
        return text


def _typed(var, names):
    if isinstance(var, DropVar):
        return f"_:{var.aval.str_short(True)}"
    return f"{names[var]}:{var.aval.str_short(True)}"


def _atom(atom, names):
    if isinstance(atom, Literal):
        return f"{atom.val}:{atom.aval.str_short(True)}"
    return names[atom]


def _lines(jaxpr, names, indent):
    constvars = " ".join(_typed(v, names) for v in jaxpr.constvars)
    invars = " ".join(_typed(v, names) for v in jaxpr.invars)
    head = f"{{ lambda {constvars}; {invars}. let" if constvars else f"{{ lambda ; {invars}. let"
    body = [line for eqn in jaxpr.eqns for line in _equation(eqn, names, indent + "    ")]
    outs = ", ".join(_atom(v, names) for v in jaxpr.outvars) + ("," if len(jaxpr.outvars) == 1 else "")
    if not body:
        yield f"{head}  in ({outs}) }}"
        return
    line = f"{head} {'; '.join(map(str.strip, body))} in ({outs}) }}"
    if len(body) == len(jaxpr.eqns) and len(indent + line) <= _WIDTH:
        yield line
        return
    yield head
    yield from body
    yield f"{indent}  in ({outs}) }}"


def _equation(eqn, names, indent):
    inner = {k: v for k, v in eqn.params.items() if _holds_jaxprs(v)}
    plain = " ".join(f"{k}={_value(v)}" for k, v in sorted(eqn.params.items()) if k not in inner)
    arguments = " ".join(_atom(a, names) for a in eqn.invars)
    left = " ".join(_typed(v, names) for v in eqn.outvars)
    left = f"{left} = " if left else ""
    end = f" {arguments}" if arguments else ""
    if not inner:
        yield f"{indent}{left}{eqn.primitive}{f'[{plain}]' if plain else ''}{end}"
        return
    yield f"{indent}{left}{eqn.primitive}["
    deeper = indent + "  "
    for key, value in sorted(eqn.params.items()):
        if key not in inner:
            yield f"{deeper}{key}={_value(value)}"
        elif isinstance(value, tuple):
            yield f"{deeper}{key}=("
            for one in value:
                first, *rest = _lines(one.jaxpr, names, deeper + "  ")
                yield f"{deeper}  {first}"
                yield from rest
            yield f"{deeper})"
        else:
            first, *rest = _lines(value.jaxpr, names, deeper)
            yield f"{deeper}{key}={first}"
            yield from rest
    yield f"{indent}]{end}"


def _holds_jaxprs(value):
    return isinstance(value, ClosedJaxpr) or (
        isinstance(value, tuple) and bool(value) and isinstance(value[0], ClosedJaxpr)
    )


def _value(value):
    return getattr(value, "__name__", None) or getattr(value, "name", None) or str(value)
