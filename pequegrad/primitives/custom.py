"""Functions with derivatives of their own: marks in the graph that forward values and carry the user's rules.

A mark's operands are the inputs x and the outputs y that the function computed from them; its results are y. Derivatives
pass the mark through the rule and never look at how y was computed.
"""

from ..core.errors import GradientError
from ..core.evaluate import FORWARD
from .base import is_linear, primitive
from .control_flow import given, present, zeros
from .shape import add_batch_axis, zeros_like


class Mark:
    """Operands: x (n_in of them), then y, then what else the rule needs; results: y."""

    op = FORWARD

    def infer(*operands, rule, first, n_out):
        return tuple(operands[first : first + n_out])


@primitive
class custom_jvp_mark(Mark):
    """y, whose tangents are rule.jvp(x, tangents of x)"""

    def jvp(primals, tangents, out, *, rule, first, n_out):
        x, dx = primals[:first], tangents[:first]
        if not any(present(dx)):
            return None
        dx = [zeros_like(v) if t is None else t for v, t in zip(x, dx)]
        return tuple(rule.jvp(x, dx, out))

    def batch_with_axis(inputs, batched, axis, *, rule, first, n_out):
        y = [v if b else add_batch_axis(v, axis.size) for v, b in zip(inputs[first:], batched[first:])]
        rule = rule.batched(tuple(batched[:first]), axis)
        return custom_jvp_mark(*inputs[:first], *y, rule=rule, first=first, n_out=n_out), (True,) * n_out


@primitive
class custom_vjp_mark(Mark):
    """y, whose cotangents rule.bwd turns into those of x; operands after y are residuals, if fwd has run already"""

    def jvp(primals, tangents, out, *, rule, first, n_out):
        x, dx = primals[:first], tangents[:first]
        if not any(present(dx)):
            return None
        if not any(is_linear(t) for t in given(dx)):
            raise GradientError(
                f"Forward mode through {rule.name} is not possible: it has a custom_vjp.",
                fix="use reverse mode (grad, vjp), or define the function with custom_jvp.",
            )
        residuals = primals[first + n_out :]
        if not rule.has_residuals(len(residuals)):
            residuals = rule.fwd(x)
        dx = [zeros_like(v) if t is None else t for v, t in zip(x, dx)]
        return custom_vjp_linear(*dx, *residuals, rule=rule, n_in=first, avals=tuple(v._node.aval for v in out))

    def batch_with_axis(inputs, batched, axis, *, rule, first, n_out):
        last = first + n_out
        y = [v if b else add_batch_axis(v, axis.size) for v, b in zip(inputs[first:last], batched[first:last])]
        rest, flags = inputs[last:], tuple(batched[last:])
        rule = rule.batched(tuple(batched[:first]), flags if rule.has_residuals(len(rest)) else None, axis)
        found = custom_vjp_mark(*inputs[:first], *y, *rest, rule=rule, first=first, n_out=n_out)
        return found, (True,) * n_out


@primitive
class custom_vjp_linear:
    """The tangents of a function with a custom_vjp: known only by their transpose. Operands: tangents of x, residuals"""

    def infer(*operands, rule, n_in, avals):
        return avals

    def transpose(ct, *inputs, rule, n_in, avals):
        cts = [zeros(aval) if c is None else c for c, aval in zip(ct, avals)]
        found = rule.bwd(inputs[n_in:], cts, [x._node.aval for x in inputs[:n_in]])
        return (*found, *(None,) * (len(inputs) - n_in))

    def jvp(primals, tangents, out, *, rule, n_in, avals):
        raise GradientError(f"Forward mode through {rule.name} is not possible: it has a custom_vjp.")

    def lower(*operands, rule, n_in, avals):
        raise GradientError(f"Forward mode through {rule.name} is not possible: it has a custom_vjp.")
