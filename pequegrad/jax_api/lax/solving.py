"""Solutions of equations that a solver of the user finds: derivatives follow from the equation, not from the solver."""

from ...core.errors import ArgumentError
from ...core.node import face
from ...primitives.elementwise import neg
from ...primitives.shape import zeros_like
from ...primitives.solves import linear_solve
from ...transforms.control_flow import Closure
from ...transforms.custom import custom_jvp
from ...transforms.gradients import jvp, linear_transpose
from ...transforms.graphs import replay
from ...transforms.trace import trace
from ...transforms.tree import flatten
from ..convert import as_array
from ..transforms import arrays_of


def _traced(name, function, avals):
    """The graph of a function of a list of arrays, and the structure of its result."""
    graph, structure, _ = trace(name, getattr(function, "__name__", name), avals, function)
    if graph.rebound:
        raise ArgumentError(f"{name}: {graph.name} changes a tensor from outside.")
    return graph, structure


def _leaves(name, tree):
    leaves, structure = flatten(arrays_of(tree))
    return [as_array(x, name) for x in leaves], structure


def _check_like(name, what, graph, avals):
    """The first results of the graph must be of the shapes and dtypes `avals`."""
    found = [node.aval for node in graph.outputs[: len(avals)]]
    if len(found) != len(avals) or any(a.shape != b.shape or a.dtype != b.dtype for a, b in zip(found, avals)):
        raise ArgumentError(f"{name}: {what} must return arrays like {avals}, not {found}.")


def _check_structure(name, what, found, structure, has_aux):
    """The structure of what follows the solution, which must have `structure`; None if nothing follows."""
    if not has_aux:
        first, aux = found, None
    elif found.num_children == 2:
        first, aux = found.children()
    else:
        raise ArgumentError(f"{name}: with has_aux, {what} must return a pair, not {found}.")
    if first != structure:
        raise ArgumentError(f"{name}: {what} must return {structure}, not {first}.")
    return aux


def _result(outs, n, structure, aux):
    x = structure.unflatten(outs[:n])
    return x if aux is None else (x, aux.unflatten(outs[n:]))


def custom_linear_solve(matvec, b, solve, transpose_solve=None, symmetric=False, has_aux=False):
    """x with matvec(x) = b, as solve(matvec, b) finds it. Its derivatives solve systems with matvec again.

    matvec is linear; what it closes over is differentiated. transpose_solve(vecmat, b) solves the transposed system, which
    reverse mode needs; for a symmetric matvec it is `solve`. has_aux: the solvers return (x, anything).
    """
    name = "custom_linear_solve"
    leaves, structure = _leaves(name, b)
    avals, n = [x._node.aval for x in leaves], len(leaves)
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    turned = matvec if symmetric else lambda ct: linear_transpose(matvec, structure.unflatten(leaves))(ct)[0]
    with face(True):
        product, shape = _traced(name, lambda xs: matvec(structure.unflatten(xs)), avals)
        _check_structure(name, "matvec", shape, structure, False)
        _check_like(name, "matvec", product, avals)
        solver, shape = _traced(name, lambda xs: solve(matvec, structure.unflatten(xs)), avals)
        aux = _check_structure(name, "solve", shape, structure, has_aux)
        _check_like(name, "solve", solver, avals)
        graphs = [product, solver]
        if transpose_solve is not None:
            back, shape = _traced(name, lambda xs: transpose_solve(turned, structure.unflatten(xs)), avals)
            _check_structure(name, "transpose_solve", shape, structure, has_aux)
            graphs.append(back)
        closure = Closure(graphs)
        matvec_graph, solve_graph, *back_graph = closure.graphs
        outs = linear_solve(
            *closure.constants, *leaves, matvec=matvec_graph, solve=solve_graph,
            back=back_graph[0] if back_graph else None, n=n,
        )  # fmt: skip
    return _result(outs, n, structure, aux)


def custom_root(f, initial_guess, solve, tangent_solve, has_aux=False):
    """x with f(x) = 0, as solve(f, initial_guess) finds it. What f closes over is differentiated by the implicit function theorem.

    tangent_solve(g, y) gives the solution of g(x) = y for the linearised f. has_aux: solve returns (x, anything).
    """
    name = "custom_root"
    leaves, structure = _leaves(name, initial_guess)
    avals, n = [x._node.aval for x in leaves], len(leaves)
    with face(True):
        equation, shape = _traced(name, lambda xs: f(structure.unflatten(xs)), avals)
        _check_structure(name, "f", shape, structure, False)
        _check_like(name, "f", equation, avals)
        solver, shape = _traced(name, lambda xs: solve(f, structure.unflatten(xs)), avals)
        aux = _check_structure(name, "solve", shape, structure, has_aux)
        closure = Closure([equation, solver])
    residual_graph, solve_graph = closure.graphs
    residual = lambda consts, x: tuple(replay(residual_graph, [*consts, *x]))

    @custom_jvp
    def root(consts, guess):
        return tuple(replay(solve_graph, [*consts, *guess]))

    @root.defjvp
    def root_jvp(primals, tangents):
        consts, guess = primals
        outs = root(consts, guess)
        x = tuple(outs[:n])
        _, moved = jvp(lambda c: residual(c, x), (consts,), (tangents[0],))

        def linear(direction):
            given = tuple(_leaves(name, direction)[0])
            return structure.unflatten(jvp(lambda v: residual(consts, v), (x,), (given,))[1])

        found = tangent_solve(linear, structure.unflatten([neg(v) for v in moved]))
        return outs, (*flatten(found)[0], *map(zeros_like, outs[n:]))

    with face(True):
        outs = root(tuple(closure.constants), tuple(leaves))
    return _result(list(outs), n, structure, aux)


__all__ = ["custom_linear_solve", "custom_root"]
