"""scan, cond, while_loop, ...: control flow that is part of the graph. The functions are traced, not run step by step.

Tensors from outside that a body reads become operands; those it changes (the random state, x[0] = 1) are carried along and
changed when the loop or branch is done. Signatures are those of jax.lax.
"""

import numpy as np

from ..core.dtype import default_int, dt, promote
from ..core.errors import ArgumentError, DtypeError, MisfitError, ShapeError
from ..core.node import ARRAY, constant, scalar_constant, stand_in, state
from ..core.tensor import Tensor, without_history, wrap
from ..ops.creation import as_tensor
from ..primitives import loops
from ..primitives.base import note_captures, number
from ..primitives.branches import cond as cond_primitive
from ..primitives.elementwise import add, convert, convert_to, ne
from ..primitives.held import split
from ..primitives.shape import concatenate, iota, reshape, rev, slice_, slice_axis, zeros_like
from . import graphs
from .trace import place_of, trace
from .tree import flatten, flatten_arguments, leaf_names, tree_map

# ---- closing bodies over what they read and change --------------------------------------------------


class Closure:
    """Traced functions of the same arguments, with what they read and change from outside as arguments.

    constants: handles that are read. state: handles that are changed. graphs: for each function a closed graph from
    constants, state, arguments to the new state and the results.
    """

    def __init__(self, traced):
        self.traced = traced
        self.state = _distinct(handle for graph in traced for handle, _ in graph.rebound)
        captured = _distinct(handle for graph in traced for _, handle in graph.captures)
        changed = {id(handle) for handle in self.state}
        self.constants = [handle for handle in captured if id(handle) not in changed]
        self.note_aliases()
        self.graphs = [self._closed(graph) for graph in traced]

    def _closed(self, graph):
        known = {id(handle): node for node, handle in graph.captures}
        new = {id(handle): node for handle, node in graph.rebound}
        inputs = [known.get(id(h)) or stand_in(h._node.aval) for h in (*self.constants, *self.state)]
        state = inputs[len(self.constants) :]
        outs = [new.get(id(h), node) for h, node in zip(self.state, state)]
        return graph.rewired(inputs + graph.inputs, outs + graph.outputs)

    def note_aliases(self):
        """A function that is traced around this one is right as long as these handles stand for the same values, too."""
        if state.frame is not None:
            for graph in self.traced:
                for pair in graph.aliases:
                    note_captures(pair)

    def check_loop(self):
        """In a loop, a tensor that the body changes must not also be read through another handle: which value has it?"""
        changed = {id(handle) for handle in self.state}
        for graph in self.traced:
            for handle, other in graph.aliases:
                if id(handle) in changed or id(other) in changed:
                    raise ArgumentError(
                        f"{graph.name} changes a tensor that it also reads through another handle.",
                        fix="read and change it through the same Tensor.",
                    )
        return self

    def change_state(self, values):
        """Gives the changed handles their new values."""
        for handle, value in zip(self.state, values):
            set_state(handle, value)


def through_graph(transform, function, args, kwargs, apply, fixed=()):
    """function(*args, **kwargs) with its results given by apply(closed graph, operands). fixed: positions of Python values among args."""
    moving = [a for i, a in enumerate(args) if i not in fixed]
    leaves, structure = flatten_arguments((moving, kwargs))  # a module is itself, so that it can change its buffers
    traced = [isinstance(x, (Tensor, int, float, complex)) or hasattr(x, "__array__") for x in leaves]
    place = place_of(leaves)
    tensors = [as_tensor(x, place) for x, t in zip(leaves, traced) if t]

    def call(values):
        values = iter(values)
        moving, kwargs = structure.unflatten([next(values) if t else x for x, t in zip(leaves, traced)])
        moving = iter(moving)
        return function(*[a if i in fixed else next(moving) for i, a in enumerate(args)], **kwargs)

    graph, out_structure, _ = trace(transform, _name(function), _avals(tensors), call)
    closure = Closure([graph])
    outs = apply(closure.graphs[0], [*closure.constants, *closure.state, *tensors])
    closure.change_state(outs[: len(closure.state)])
    return out_structure.unflatten(outs[len(closure.state) :])


def set_state(handle, value):
    """Gives a handle from outside its new value."""
    if value.dtype.kind not in "fcV":  # counters and keys have no derivative: their history would only grow
        handle._rebind(without_history(value, tracked=False))
    else:
        handle._rebind(value._node)


def _distinct(handles):
    return list({id(handle): handle for handle in handles}.values())


def _tensors(leaves, what, place=None):
    """Leaves as tensors, numbers among them on the device of the others (or on `place`)."""
    place = place_of(leaves) if place is None else place
    found = []
    for x in leaves:
        try:
            found.append(as_tensor(x, place))
        except ArgumentError:
            raise ArgumentError(f"{what}: a leaf is {type(x).__name__}, not a tensor or number.") from None
    return found


def _avals(tensors):
    return [x._node.aval for x in tensors]


def _name(function):
    return getattr(function, "__name__", None) or type(function).__name__


def _check_function(what, function):
    if not callable(function):
        raise ArgumentError(f"{what} takes a function, got {type(function).__name__}.")


# ---- scan --------------------------------------------------------------------------------------------


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Applies `f` to each row of `xs` in turn, carrying a value along: (last carry, stacked y), one program.

    f(carry, x) returns (new carry, y). init, xs: pytrees; every leaf of xs has the leading size `length`, which must be
    given if xs has no leaves. The carry keeps structure, shapes and dtypes. reverse: from the last row to the first.
    unroll: rows per step of the loop; True unrolls it wholly. Memory does not grow with the length, but for y.

    >>> scan(lambda total, x: (total + x, total), 0.0, Tensor([1.0, 2.0, 3.0]))
    """
    _check_function("scan", f)
    init_leaves, structure = flatten(init)
    x_leaves, x_structure = flatten(xs)
    place = place_of([*init_leaves, *x_leaves])
    carry, x = _tensors(init_leaves, "scan: init", place), _tensors(x_leaves, "scan: xs", place)
    length = _length(x, length, lambda: leaf_names(xs, "xs"))
    rows = [v._node.aval.update(shape=v.shape[1:]) for v in x]
    name, out_structure = _name(f), [None]

    def body(arguments):
        result = f(structure.unflatten(arguments[: len(carry)]), x_structure.unflatten(arguments[len(carry) :]))
        if not isinstance(result, tuple) or len(result) != 2:
            raise ArgumentError(
                f"scan: {name} returned {type(result).__name__}, not a pair (carry, y).",
                fix="return carry, y; y may be None.",
            )
        out_structure[0] = flatten(result[1])[1]
        return result

    carry, graph, n = _traced_with_carry("scan", name, body, carry, structure, rows, init, first_of_pair=True)
    closure = Closure([graph]).check_loop()
    closure.graphs = [_with_types(closure.graphs[0], len(closure.state), carry)]
    y = _bind_scan(closure, carry, x, length, reverse, unroll)
    return structure.unflatten(_weak_as(graph.outputs, y[:n])), out_structure[0].unflatten(y[n:])


def _bind_scan(closure, carry, x, length, reverse, unroll):
    """The results of a scan of the closed body: carry, then y."""
    body, n_consts, n_carry = closure.graphs[0], len(closure.constants), len(closure.state) + len(carry)
    operands = [*closure.constants, *closure.state, *carry, *x]
    unroll = max(length, 1) if unroll is True else max(1, min(int(unroll), length or 1))
    outs = _unrolled_scan(body, operands, n_consts, n_carry, length, bool(reverse), unroll)
    closure.change_state(outs[: len(closure.state)])
    return outs[len(closure.state) :]


def _unrolled_scan(body, operands, n_consts, n_carry, length, reverse, unroll):
    sizes = {"reverse": reverse, "n_consts": n_consts, "n_carry": n_carry}
    if unroll == 1:
        return loops.scan(*operands, body=body, length=length, **sizes)
    consts, carry, x = split(operands, n_consts, n_carry)
    whole, rest = divmod(length, unroll)
    several = _several_steps(body, n_consts, n_carry, unroll, reverse)
    # the rows left over are those the loop meets last
    begin = rest if reverse else 0
    grouped = [slice_axis(v, 0, begin, begin + whole * unroll) for v in x]
    grouped = [reshape(v, shape=(whole, unroll, *v.shape[1:])) for v in grouped]
    outs = loops.scan(*consts, *carry, *grouped, body=several, length=whole, **sizes)
    carry, y = split(outs, n_carry)
    y = [reshape(v, shape=(whole * unroll, *v.shape[2:])) for v in y]
    if rest:
        left = [slice_axis(v, 0, 0 if reverse else whole * unroll, rest if reverse else length) for v in x]
        outs = loops.scan(*consts, *carry, *left, body=body, length=rest, **sizes)
        carry, more = split(outs, n_carry)
        y = [concatenate(*((b, a) if reverse else (a, b)), axis=0) for a, b in zip(y, more)]
    return (*carry, *y)


@graphs.kept
def _several_steps(body, n_consts, n_carry, count, reverse):
    """A body that does `count` steps of another one."""
    consts, carry, x = split([node.aval for node in body.placeholders], n_consts, n_carry)

    def steps(*operands):
        fixed, state, rows = split(operands, n_consts, n_carry)
        y = [None] * count
        for i in reversed(range(count)) if reverse else range(count):
            here = [reshape(slice_axis(v, 0, i, i + 1), shape=v.shape[1:]) for v in rows]
            outs = graphs.replay(body, [*fixed, *state, *here])
            state, y[i] = outs[:n_carry], outs[n_carry:]
        stacked = [concatenate(*[reshape(v, shape=(1, *v.shape)) for v in column], axis=0) for column in zip(*y)]
        return [*state, *stacked]

    avals = [*consts, *carry, *(a.update(shape=(count, *a.shape)) for a in x)]
    return graphs.graph_of(f"{body.name}_x{count}", avals, steps)


def _length(x, length, names):
    sizes = []
    for v in x:
        if not v.ndim:
            raise ShapeError(f"scan: {names()[len(sizes)]} is 0-d: it has no rows.", fix="capture it, or broadcast it.")
        sizes.append(v.shape[0])
    if length is not None:
        length = int(length)
        if length < 0:
            raise ShapeError(f"scan: length {length} is negative.")
    for size in sizes:
        if size != (sizes[0] if length is None else length):
            known = dict(zip(names(), sizes))
            raise ShapeError(
                f"scan: the leading sizes differ: {known}" + (f", length={length}." if length is not None else "."),
                fix="all leaves of xs need the same leading size, and `length`, if given, is that size.",
            )
    if length is None and not sizes:
        raise ArgumentError("scan: xs has no leaves, so the number of steps is not known.", fix="pass length=n.")
    return sizes[0] if length is None else length


def _traced_with_carry(transform, name, body, carry, structure, rows, init, first_of_pair=False):
    """Traces a body; weak dtypes of the carry give way to what the body returns. Gives (carry, graph, leaves of the carry)."""
    n = len(carry)
    while True:  # each round, a weak dtype of the carry gives way: at most as many as there are leaves
        avals = _avals(carry)
        graph, found, _ = trace(transform, name, [*avals, *rows], body)
        part = found.children()[0] if first_of_pair else found
        if part != structure:
            raise ArgumentError(
                f"{transform}: {name} returns a carry of another structure than it gets:\n    gets    {structure}\n    returns {part}",
                fix="return the carry in the structure of the initial value.",
            )
        outs = [node.aval for node in graph.outputs[:n]]
        wider = [_carry_dtype(a, b) for a, b in zip(avals, outs)]
        for i, (a, b, d) in enumerate(zip(avals, outs, wider)):
            if a.shape != b.shape or d is None:
                raise (MisfitError if a.shape != b.shape else DtypeError)(
                    f"{transform}: {leaf_names(init, 'carry')[i]} is {a} when it enters {name}, but {b} when it leaves it.",
                    fix="the carry keeps its shape and dtype: convert or reshape it in the body, or start with another value.",
                )
        if all(a.dtype == d for a, d in zip(avals, wider)):
            return carry, graph, n
        carry = [x if x.dtype == d else convert_to(x, d) for x, d in zip(carry, wider)]


def _weak_as(nodes, values):
    """The last carry, no longer weak where the body returns types that are not; in jax_api also the reverse, as in JAX."""
    weak = [node.aval.weak_type and (x.weak_type or _is_strict()) for node, x in zip(nodes, values)]
    return [x if x.weak_type == w else convert(x, dtype=x.dtype, weak_type=w) for x, w in zip(values, weak)]


def _with_types(graph, n_state, carry):
    """The closed body with its new carry in the types of the old one, where those are wider or not weak."""
    types = [(node.aval.dtype, node.aval.weak_type) for node in graph.results[n_state:]]
    types[: len(carry)] = [(x.dtype, x.weak_type) for x in carry]
    return _converted(graph, n_state, types)


def _carry_dtype(before, after):
    """The dtype a carry must have from the start; None if that is not possible. Functions of jax_api convert less."""
    if before.dtype == after.dtype:
        return before.dtype
    if after.weak_type and not _is_strict():
        dtype, _ = promote(before.weak_pair, after.weak_pair)
        return dtype if before.weak_type or dtype == before.dtype else None
    if before.weak_type:
        dtype, _ = promote(before.weak_pair, after.weak_pair)
        return dtype if dtype == after.dtype else None
    return None


def _is_strict():
    """Whether types that could be converted are an error: where jax_api is at work, as in JAX."""
    return bool(state.arguments & ARRAY)


# ---- loops -------------------------------------------------------------------------------------------


def while_loop(cond_fun, body_fun, init_val):
    """body_fun applied to `init_val` (a pytree) again and again, as long as cond_fun of the value is true.

    The value keeps structure, shapes and dtypes. Differentiable in forward mode (jvp, jacfwd) only.
    """
    _check_function("while_loop", cond_fun)
    _check_function("while_loop", body_fun)
    leaves, structure = flatten(init_val)
    carry = _tensors(leaves, "while_loop: init_val")
    body = lambda values: body_fun(structure.unflatten(values))
    carry, graph, _ = _traced_with_carry("while_loop", _name(body_fun), body, carry, structure, [], init_val)
    name = _name(cond_fun)
    test, _, _ = trace("while_loop", name, _avals(carry), lambda values: cond_fun(structure.unflatten(values)))
    if len(test.outputs) != 1 or test.outputs[0].aval.shape or test.outputs[0].aval.dtype.kind != "b":
        raise ArgumentError(
            f"while_loop: {name} must return one bool, it returned {', '.join(str(n.aval) for n in test.outputs)}.",
            fix="compare: return x < 3.",
        )
    if test.rebound:
        raise ArgumentError(f"while_loop: {name} changes a tensor from outside.", fix="change it in the body.")
    if not carry:
        raise ArgumentError("while_loop: init_val has no leaves: the loop would end at once or never.")
    body_closure, test_closure = Closure([graph]).check_loop(), Closure([test])
    changed = body_closure.state
    for handle in test_closure.constants:
        if any(handle is not h and handle._node is h._node for h in changed):
            raise ArgumentError(
                f"while_loop: {name} reads a tensor through another handle than the one that {graph.name} changes.",
                fix="read and change it through the same Tensor.",
            )
    body_graph = _with_types(body_closure.graphs[0], len(changed), carry)
    test_graph = _with_state(test_closure, changed)
    constants = [h for h in test_closure.constants if not any(h is s for s in changed)]
    outs = loops.while_loop(
        *constants, *body_closure.constants, *changed, *carry,
        test=test_graph, body=body_graph, n_test=len(constants), n_body=len(body_closure.constants),
    )  # fmt: skip
    body_closure.change_state(outs[: len(changed)])
    return structure.unflatten(_weak_as(graph.outputs, outs[len(changed) :]))


def _with_state(closure, state):
    """The closed test as a graph of its other constants, the state that the body changes, and the carry."""
    (graph,) = closure.graphs
    placeholder = {id(h): node for h, node in zip(closure.constants, graph.inputs)}
    ids = {id(h) for h in state}
    kept = [placeholder[id(h)] for h in closure.constants if id(h) not in ids]
    carried = [placeholder.get(id(h)) or stand_in(h._node.aval) for h in state]
    return graph.rewired(kept + carried + graph.inputs[len(closure.constants) :], graph.outputs)


def fori_loop(lower, upper, body_fun, init_val, unroll=1):
    """val = body_fun(i, val) for i from lower to upper - 1.

    With bounds that are Python numbers this is a scan, differentiable in both modes; else a while_loop.
    """
    _check_function("fori_loop", body_fun)
    if all(isinstance(v, (int, np.integer)) for v in (lower, upper)):
        lower, length = int(lower), max(int(upper) - int(lower), 0)
        dtype = default_int()
        index = iota(shape=(length,), dtype=dtype, axis=0, device=place_of(flatten(init_val)[0]))
        step = lambda value, i: (body_fun(i, value), None)
        step.__name__ = _name(body_fun)
        index = convert(add(index, lower) if lower else index, dtype=dtype, weak_type=True)
        return scan(step, init_val, index, unroll=unroll or 1)[0]
    place = place_of([lower, upper, *flatten(init_val)[0]])
    lower, upper = _tensors([lower, upper], "fori_loop: bounds", place)
    dtype, _ = promote(*(x._node.aval.weak_pair for x in (lower, upper)))
    lower, upper = (convert_to(x, dtype, x.weak_type) for x in (lower, upper))
    step = lambda state: (state[0] + 1, body_fun(state[0], state[1]))
    step.__name__ = _name(body_fun)
    return while_loop(lambda state: state[0] < upper, step, (lower, init_val))[1]


def map_(f, xs, *, batch_size=None):
    """f applied to each row of `xs` (a pytree), one after the other; batch_size rows at a time through vmap."""
    if batch_size is None:
        step = lambda _, x: (None, f(x))
        step.__name__ = _name(f)
        return scan(step, None, xs)[1]
    from .vmap import vmap

    leaves, structure = flatten(xs)
    leaves = _tensors(leaves, "map: xs")
    length = _length(leaves, None, lambda: leaf_names(xs, "xs"))
    whole, rest = divmod(length, batch_size)
    groups = [reshape(slice_axis(v, 0, 0, whole * batch_size), shape=(whole, batch_size, *v.shape[1:])) for v in leaves]
    found = map_(vmap(f), structure.unflatten(groups))
    found = tree_map(lambda y: reshape(y, shape=(whole * batch_size, *y.shape[2:])), found)
    if not rest:
        return found
    last = vmap(f)(structure.unflatten([slice_axis(v, 0, whole * batch_size, length) for v in leaves]))
    a, out_structure = flatten(found)
    return out_structure.unflatten([concatenate(u, v, axis=0) for u, v in zip(a, flatten(last)[0])])


# ---- branches ----------------------------------------------------------------------------------------


def cond(pred, true_fun, false_fun, *operands):
    """true_fun(*operands) if the scalar `pred` is true, else false_fun(*operands); only one of them is run.

    Both are traced and must return the same structure, shapes and dtypes. Under vmap with a batched `pred` both are run.
    """
    pred = as_tensor(pred, place_of([pred, *flatten(operands)[0]]))
    if pred.shape or pred.dtype.kind not in "biuf":
        raise ArgumentError(
            f"cond: pred must be a scalar, got {pred._node.aval}.", fix="use where for arrays, or vmap."
        )
    if pred._node.spec.primitive is constant:
        taken = int(bool(pred._node.spec.params["value"]))
        index = wrap(scalar_constant(taken, dt.int32, pred.device, False, pred._node.flags & ARRAY))
    else:
        index = convert_to(pred if pred.dtype.kind == "b" else ne(pred, number(0, pred)), dt.int32)
    return _branches("cond", index, (false_fun, true_fun), operands)


def switch(index, branches, *operands):
    """branches[index](*operands) for a scalar integer `index`, which is clamped to the range of branches."""
    index = as_tensor(index, place_of([index, *flatten(operands)[0]]))
    if index.shape or index.dtype.kind not in "iu":
        raise ArgumentError(f"switch: index must be a scalar integer, got {index._node.aval}.")
    branches = tuple(branches)
    if not branches:
        raise ArgumentError("switch: no branches are given.")
    if len(branches) == 1:
        return branches[0](*operands)
    return _branches("switch", convert_to(index, dt.int32), branches, operands)


def _branches(what, index, functions, operands):
    for function in functions:
        _check_function(what, function)
    leaves, structure = flatten(operands)
    tensors = _tensors(leaves, f"{what}: operands")
    traced, structures = [], []
    for function in functions:
        call = lambda values: function(*structure.unflatten(values))
        graph, found, _ = trace(what, _name(function), _avals(tensors), call)
        traced.append(graph)
        structures.append(found)
    for graph, found in zip(traced[1:], structures[1:]):
        if found != structures[0]:
            raise ArgumentError(
                f"{what}: {traced[0].name} and {graph.name} return different structures:\n    {structures[0]}\n    {found}",
                fix="all branches return the same nested tuples, lists and dicts.",
            )
    dtypes = _common_dtypes(what, traced)
    closure = Closure(traced)
    index = _beside(index, [*closure.constants, *closure.state, *tensors])
    branches = tuple(_converted(graph, len(closure.state), dtypes) for graph in closure.graphs)
    outs = cond_primitive(index, *closure.constants, *closure.state, *tensors, branches=branches)
    closure.change_state(outs[: len(closure.state)])
    return structures[0].unflatten(outs[len(closure.state) :])


def _beside(index, operands):
    """The index on the device of the operands, if it is a number that knew of none."""
    place = operands[0].device if operands else index.device
    if index.device is not place and index._node.spec.primitive is constant:
        flags = index._node.flags & ARRAY
        return wrap(scalar_constant(index._node.spec.params["value"], index.dtype, place, False, flags))
    return index


def _common_dtypes(what, traced):
    """For each result the (dtype, weak type) that all branches can give it; an error names the first that differs."""
    found = []
    for i, column in enumerate(zip(*(graph.outputs for graph in traced))):
        avals = [node.aval for node in column]
        dtype, weak = avals[0].weak_pair if _is_strict() else promote(*(a.weak_pair for a in avals))
        for graph, aval in zip(traced, avals):
            other = aval.dtype != dtype and (_is_strict() or not aval.weak_type)
            if aval.shape != avals[0].shape or other:
                kind = MisfitError if aval.shape != avals[0].shape else DtypeError
                raise kind(
                    f"{what}: result {i} of {traced[0].name} is {avals[0]}, that of {graph.name} is {aval}.",
                    fix="all branches return the same shapes and dtypes.",
                )
        found.append((dtype, weak))
    return found


def _converted(graph, n_state, dtypes):
    """The closed graph with its results, after the state, in these (dtype, weak type)s."""
    results = graph.results[n_state:]
    if all((node.aval.dtype, node.aval.weak_type) == d for node, d in zip(results, dtypes)):
        return graph

    def converted(*operands):
        outs = graphs.replay(graph, operands)
        return outs[:n_state] + [convert_to(x, *d) for x, d in zip(outs[n_state:], dtypes)]

    return graphs.graph_of(graph.name, [node.aval for node in graph.placeholders], converted)


# ---- associative_scan --------------------------------------------------------------------------------


def associative_scan(fn, elems, reverse=False, axis=0):
    """All prefixes of `elems` (a pytree) under an associative function: elems[0], fn(elems[0], elems[1]), ...

    fn(a, b) combines two pytrees of slices, elementwise along `axis`. Takes about 2 log2(n) applications of fn on
    arrays (Blelloch, "Prefix sums and their applications", 1990), so any monoid gets a parallel cumulative reduction.
    """
    _check_function("associative_scan", fn)
    leaves, structure = flatten(elems)
    leaves = _tensors(leaves, "associative_scan: elems")
    if not leaves:
        return elems
    axes = [axis + v.ndim if axis < 0 else axis for v in leaves]
    for v, a in zip(leaves, axes):
        if not 0 <= a < v.ndim or v.shape[a] != leaves[0].shape[axes[0]]:
            raise ShapeError(
                f"associative_scan: axis {axis} of {v._node.aval} does not fit that of {leaves[0]._node.aval}.",
                fix="all leaves need the same size along the axis.",
            )
    if reverse:
        leaves = [rev(v, axes=(a,)) for v, a in zip(leaves, axes)]

    def combine(a, b):
        found = flatten(fn(structure.unflatten(a), structure.unflatten(b)))[0]
        for v, w in zip(found, a):
            if v.shape != w.shape:
                raise ShapeError(f"associative_scan: {_name(fn)} turned {list(w.shape)} into {list(v.shape)}.")
        return found

    found = _prefixes(combine, leaves, axes)
    if reverse:
        found = [rev(v, axes=(a,)) for v, a in zip(found, axes)]
    return structure.unflatten(found)


def _prefixes(combine, elems, axes):
    levels = []
    n = elems[0].shape[axes[0]]
    while n >= 2:  # pairs of neighbours, until one is left
        levels.append(elems)
        even, odd = _every_other(elems, axes, 0, n - n % 2), _every_other(elems, axes, 1, n)
        elems = combine(even, odd)
        n //= 2
    found = elems
    for elems in reversed(levels):  # found: the prefixes that end at odd places
        n = elems[0].shape[axes[0]]
        later = _every_other(elems, axes, 2, n)
        if later[0].shape[axes[0]]:
            before = [slice_axis(v, a, 0, w.shape[a]) for v, w, a in zip(found, later, axes)]
            later = combine(before, later)
        first = [slice_axis(v, a, 0, 1) for v, a in zip(elems, axes)]
        even = [concatenate(u, v, axis=a) for u, v, a in zip(first, later, axes)]
        found = [_interleave(u, v, a) for u, v, a in zip(even, found, axes)]
    return found


def _every_other(elems, axes, begin, end):
    return [
        slice_(
            v,
            start=tuple(min(begin, end) if i == a else 0 for i in range(v.ndim)),
            limit=tuple(end if i == a else size for i, size in enumerate(v.shape)),
            step=tuple(2 if i == a else 1 for i in range(v.ndim)),
        )
        for v, a in zip(elems, axes)
    ]  # fmt: skip


def _interleave(even, odd, axis):
    """even[0], odd[0], even[1], odd[1], ... along an axis; even may be longer by one."""
    n = even.shape[axis] + odd.shape[axis]
    expand = lambda v: reshape(v, shape=(*v.shape[: axis + 1], 1, *v.shape[axis + 1 :]))
    if even.shape[axis] > odd.shape[axis]:
        filler = zeros_like(slice_axis(even, axis, 0, 1))
        odd = concatenate(odd, filler, axis=axis)
    pairs = concatenate(expand(even), expand(odd), axis=axis + 1)
    flat = reshape(pairs, shape=(*even.shape[:axis], 2 * even.shape[axis], *even.shape[axis + 1 :]))
    return slice_axis(flat, axis, 0, n)


__all__ = ["associative_scan", "cond", "fori_loop", "map_", "scan", "switch", "while_loop"]
