"""Linear systems whose matrix is a function and whose solver is the user's: derivatives are again such systems."""

from ..core.errors import ArgumentError
from ..transforms import graphs
from .base import is_linear, primitive
from .calls import call
from .elementwise import neg, sub
from .held import has_effects, present, split, zeros
from .shape import add_batch_axis


@primitive
class linear_solve:
    """x with matvec(consts, x) = b, as solve(consts, b) gives it, and what else it gives, which has no derivative

    Operands: consts, then the n parts of b. back: the solver of the transposed system, or None.
    """

    holds_graphs = True

    def infer(*operands, matvec, solve, back, n):
        return solve.avals

    def lower(*operands, matvec, solve, back, n):
        return "call", (solve,)

    def effects(*, matvec, solve, back, n):
        return has_effects(solve)

    def jvp(primals, tangents, out, *, matvec, n, **solvers):
        consts, _ = split(primals, len(primals) - n)
        dconsts, db = split(tangents, len(primals) - n)
        right = list(db)
        if any(present(dconsts)):  # A dx = db - dA x
            known, x = [*consts, *out[:n]], [None] * n
            products = call(*known, graph=matvec, barrier=False)
            moved = call.jvp(known, [*dconsts, *x], products, graph=matvec, barrier=False) or x
            right = [d if m is None else neg(m) if d is None else sub(d, m) for d, m in zip(right, moved)]
        if not any(present(right)):
            return None
        right = [zeros(v._node.aval) if d is None else d for d, v in zip(right, primals[len(consts) :])]
        found = linear_solve(*consts, *right, matvec=matvec, n=n, **solvers)[:n]
        return (*found, *[None] * (len(out) - n))

    def transpose(ct, *inputs, matvec, solve, back, n):
        consts, b = split(inputs, len(inputs) - n)
        if back is None:
            raise ArgumentError(
                "linear_solve: reverse mode needs the solver of the transposed system.", fix="pass transpose_solve."
            )
        ct = [zeros(v._node.aval) if c is None else c for c, v in zip(ct, b)]
        flags = (False,) * len(consts) + (True,) * n
        turned = graphs.transposed_graph(matvec, flags, (True,) * n, True).graph
        found = linear_solve(*consts, *ct, matvec=turned, solve=back, back=solve, n=n)[:n]
        return (*[None] * len(consts), *(c if is_linear(v) else None for c, v in zip(found, b)))

    def batch_with_axis(inputs, batched, axis, *, matvec, solve, back, n):
        if not any(batched) and axis.name is None:
            return None
        m = len(inputs) - n
        flags = (*batched[:m], *[True] * n)
        b = [x if f else add_batch_axis(x, axis.size) for x, f in zip(inputs[m:], batched[m:])]
        wide = [
            g if g is None else graphs.batched_graph(g, flags, axis, tuple(range(len(g.results)))).graph
            for g in (matvec, solve, back)
        ]
        found = linear_solve(*inputs[:m], *b, matvec=wide[0], solve=wide[1], back=wide[2], n=n)
        return found, (True,) * len(found)
