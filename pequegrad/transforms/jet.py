"""jet: derivatives of any order along a curve, by arithmetic of truncated power series (Taylor mode).

A series is the list of its coefficients x[0] + x[1] t + x[2] t**2 + ...; None stands for zero. A linear primitive maps
each coefficient; one that is linear in each operand multiplies series (Cauchy product). Any other y = f(x) follows from its
own jvp rule: y' = J(x) x' is a small graph of primitives, whose coefficient k - 1 gives k * y[k]
(Griewank & Walther, "Evaluating Derivatives", 2008, chapter 13).
"""

import math

from ..core.dtype import is_inexact
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..core.evaluate import OUTPUT
from ..core.node import TRACKED, GradientFrame, next_number
from ..core.tensor import wrap
from ..ops.creation import as_tensor
from ..primitives.base import outputs, rebuild
from ..primitives.control import identity
from ..primitives.elementwise import add, convert_to, div, mul, neg, spread, sub
from ..primitives.shape import zeros_like
from .derivative import apply_jvp, differentiable
from .trace import place_of
from .tree import flatten


def jet(fun, primals, series):
    """(outputs, series of the outputs) of `fun` along the curve that `primals` and `series` describe.

    primals: a tuple of pytrees; series: for each primal a list of derivatives of the curve at t = 0, of order 1, 2, ...:
    x(t) = x0 + series[0] t + series[1] t**2 / 2! + ... All lists have the same length n, and each output gets a list of
    its derivatives of order 1 to n. As jax.experimental.jet.
    """
    leaves, structure = flatten(tuple(primals))
    given = _series_of_leaves(structure, series, len(leaves))
    order = len(given[0]) if given else 0
    fresh = []
    place = place_of(leaves)
    for x in [as_tensor(x, place) for x in leaves]:
        if not is_inexact(x.dtype):
            raise DtypeError(f"jet: a primal is {x._node.aval}; integers have no derivatives.", fix="convert it.")
        copy = identity(x)
        copy._node.flags |= TRACKED
        fresh.append(copy)
    with GradientFrame():
        outs = fun(*structure.unflatten(fresh))
        results, out_structure = flatten(outs)
        results = [as_tensor(r) for r in results]
        known, begin = {}, min((x._node.number for x in fresh), default=0)
        for x, terms in zip(fresh, given):
            coefficients = [x]
            for k, term in enumerate(terms, 1):
                term = as_tensor(term, x.device)
                if term.shape != x.shape:
                    raise ShapeError(f"jet: a term of shape {list(term.shape)} for a primal of shape {list(x.shape)}.")
                coefficients.append(mul(convert_to(term, x.dtype), 1 / math.factorial(k)))
            known[x._node] = coefficients
        whole = _Series(_path([r._node for r in results], known, begin), known, order)
        whole.extend_to(order)
        found = [whole.row(r._node) for r in results]
        derivatives = [
            [zeros_like(r) if c is None else mul(c, float(math.factorial(k))) for k, c in enumerate(row[1:], 1)]
            for r, row in zip(results, found)
        ]
    return outs, out_structure.unflatten(derivatives)


def _series_of_leaves(structure, series, n):
    """For each leaf of the primals its list of terms."""
    children = structure.children()
    if len(series) != len(children):
        raise ArgumentError(f"jet: {len(series)} series for {len(children)} primals.", fix="give one list per primal.")
    lengths = {len(terms) for terms in series}
    if len(lengths) > 1:
        raise ArgumentError(f"jet: the series have different lengths {sorted(lengths)}.", fix="pad with zeros.")
    rows = []
    for terms, child in zip(series, children):
        columns = []
        for term in terms:
            column, found = flatten(term)
            if found != child:
                raise ArgumentError(f"jet: a term has structure {found}, its primal {child}.")
            columns.append(column)
        rows += [[column[i] for column in columns] for i in range(child.num_leaves)]
    return rows


def taylor_expand(function, order):
    """The Taylor polynomial of `function` of one argument: (x0, x) -> its value at x, expanded around x0.

    The argument may have any shape: the expansion is along the line from x0 to x. order: the highest derivative, >= 0.

    >>> taylor_expand(exp, 2)(0.0, 0.1)  # 1 + 0.1 + 0.1**2 / 2
    """
    if not isinstance(order, int) or order < 0:
        raise ArgumentError(f"taylor_expand: the order must be an int >= 0, not {order!r}.")

    def polynomial(x0, x):
        place = place_of([x0, x])
        x0, x = as_tensor(x0, place), as_tensor(x, place)
        direction = x - x0
        x0 = x0 + zeros_like(direction)
        terms = [direction] + [zeros_like(direction)] * (order - 1) if order else []
        value, derivatives = jet(function, (x0,), (terms,))
        results, structure = flatten(value)
        rows = (
            [derivatives]
            if len(results) == 1 and not isinstance(value, (tuple, list, dict))
            else structure.flatten_up_to(derivatives)
        )
        totals = []
        for total, row in zip(results, rows):
            for k, derivative in enumerate(row, 1):
                total = add(total, mul(derivative, 1 / math.factorial(k)))
            totals.append(total)
        return structure.unflatten(totals)

    return polynomial


class _Series:
    """The series of the nodes in `path` (oldest first), to `order`; `known`: the coefficients of what they depend on."""

    def __init__(self, path, known, order):
        self.path, self.known, self.order = path, known, order
        self.computed = 0  # all of the path is known up to this coefficient
        self.slopes = {}  # node -> what by_derivative made for it
        for node in path:
            known[node] = self.constant(node)

    def constant(self, node):
        """The row of a node of which nothing but its value is known."""
        value = outputs(node) if type(node.aval) is tuple else wrap(node)
        return [value] + [None] * self.order

    def row(self, node):
        """The coefficients of a node; one that does not depend on t is constant."""
        found = self.known.get(node)
        return self.constant(node) if found is None else found

    def extend_to(self, order):
        """Finds all coefficients up to `order`."""
        while self.computed < order:
            self.computed += 1
            for node in self.path:
                if differentiable(node):
                    self.known[node][self.computed] = self.coefficient(node, self.computed)

    def coefficient(self, node, k):
        """Coefficient k of a node whose inputs are known up to k, and itself up to k - 1."""
        spec = node.spec
        if spec.op == OUTPUT:
            whole = self.row(node.inputs[0])[k]
            return None if whole is None else whole[spec.params["index"]]
        if spec.primitive.linear == "together":
            terms = [self.row(s)[k] if is_inexact(s.aval.dtype) else None for s in node.inputs]
            return None if all(t is None for t in terms) else apply_jvp(node, terms)
        if spec.primitive.linear == "each":
            return self.product(node, k)
        if spec.primitive is div:
            return self.quotient(node, k)
        return self.by_derivative(node, k)

    def product(self, node, k):
        """The Cauchy product: the sum of f(x[i], y[k - i])."""
        x, y = map(self.row, node.inputs)
        return _total(
            [rebuild(node, [x[i], y[k - i]]) for i in range(k + 1) if x[i] is not None and y[k - i] is not None]
        )

    def quotient(self, node, k):
        """q = x / y from q y = x: q[k] y[0] = x[k] - sum of q[i] y[k - i] for i < k."""
        x, y = map(self.row, node.inputs)
        q = self.known[node]
        taken = _total([mul(q[i], y[k - i]) for i in range(k) if q[i] is not None and y[k - i] is not None])
        if taken is None and x[k] is None:
            return None
        top = x[k] if taken is None else neg(taken) if x[k] is None else sub(x[k], taken)
        return spread(div(top, y[0]), q[0])

    def by_derivative(self, node, k):
        """k y[k] is coefficient k - 1 of y' = J(x) x', the graph that the jvp rule builds."""
        if node not in self.slopes:
            self.slopes[node] = self.derivative_graph(node)
        tangents, slopes, inner = self.slopes[node]
        for slope, source in slopes:  # x' = sum of j x[j] t**(j - 1)
            term = self.row(source)[k]
            if term is not None and k > 1:
                inner.known[slope][k - 1] = mul(term, float(k))
        inner.extend_to(k - 1)
        found = [None if t is None else inner.row(t._node)[k - 1] for t in tangents]
        found = [None if c is None else mul(c, 1 / k) for c in found]
        return tuple(found) if type(node.aval) is tuple else found[0]

    def derivative_graph(self, node):
        """(tangents of the results, [(node of x', node of x)], the _Series of the tangents' graph)."""
        begin = next_number()
        known, slopes, given = {}, [], []
        for source in node.inputs:
            if source in self.known:
                known[source] = self.known[source]  # the same list: it grows here and there
            if source not in self.known or not is_inexact(source.aval.dtype):
                given.append(None)
                continue
            first = self.known[source][1]
            slope = identity(zeros_like(wrap(source)) if first is None else first)
            slope._node.flags |= TRACKED
            slopes.append((slope._node, source))
            given.append(slope)
        known[node] = self.known[node]
        inputs = {slope for slope, _ in slopes}
        for slope in inputs:
            known[slope] = self.constant(slope)
        tangents = apply_jvp(node, given)
        if type(node.aval) is not tuple:
            tangents = (tangents,)
        if tangents is None:
            tangents = (None,) * len(node.aval)
        path = _path([t._node for t in tangents if t is not None], known, begin)
        return tangents, slopes, _Series(path, known, self.order)


def _path(results, known, begin):
    """The nodes newer than number `begin` that `results` need and that depend on a node in `known`, oldest first."""
    seen, stack = set(), []
    for node in results:
        if node not in seen and node not in known:
            seen.add(node)
            stack.append(node)
    while stack:
        for source in stack.pop().inputs:
            if source not in seen and source not in known and source.number > begin:
                seen.add(source)
                stack.append(source)
    active, path = set(known), []
    for node in sorted(seen, key=lambda node: node.number):
        if node.number > begin and node.flags & TRACKED and not active.isdisjoint(node.inputs):
            active.add(node)
            path.append(node)
    return path


def _total(terms):
    """The sum of a list of tensors; None of an empty one."""
    total = None
    for term in terms:
        total = term if total is None else add(total, term)
    return total
