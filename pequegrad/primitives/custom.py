"""Functions with derivatives of their own: marks in the graph that forward values and carry the user's rules.

A mark's operands are the inputs x and the outputs y that the function computed from them; its results are y. Derivatives
pass the mark through the rule and never look at how y was computed.
"""

from ..core.errors import ForwardModeError, GradientError
from ..core.evaluate import FORWARD
from .base import is_linear, primitive
from .held import given, present
from .shape import add_batch_axis, zeros_like


class Mark:
    """Operands: x (n_in of them), then y, then what else the rule needs; results: y."""

    op = FORWARD
    transient = True

    def infer(*operands, rule, first, n_out):
        return tuple(operands[first : first + n_out])


def check_closure(rule, tangents):
    """The function itself is not looked into: a tangent of y comes from a value that it did not get as an argument."""
    if any(present(tangents)):
        raise GradientError(
            f"{rule.name}, a function with derivatives of its own, reads a value that is differentiated without getting it "
            "as an argument: its rule cannot say how the result depends on it.",
            fix="pass the value as an argument, or stop_gradient it.",
        )


@primitive
class custom_jvp_mark(Mark):
    """y, whose tangents are rule.jvp(x, tangents of x, y); None stands for a zero tangent"""

    def jvp(primals, tangents, out, *, rule, first, n_out):
        x, dx = primals[:first], tangents[:first]
        check_closure(rule, tangents[first:])
        if not any(present(dx)):
            return None
        return tuple(rule.jvp(x, dx, out))

    def batch_with_axis(inputs, batched, axis, *, rule, first, n_out):
        y = [v if b else add_batch_axis(v, axis.size) for v, b in zip(inputs[first:], batched[first:])]
        rule = rule.batched(tuple(batched[:first]), axis)
        return custom_jvp_mark(*inputs[:first], *y, rule=rule, first=first, n_out=n_out), (True,) * n_out


@primitive
class custom_vjp_mark(Mark):
    """y, whose cotangents rule.bwd turns into those of x; operands after y are residuals, if fwd has run already (kept)"""

    def infer(*operands, rule, kept, first, n_out):
        return tuple(operands[first : first + n_out])

    def jvp(primals, tangents, out, *, rule, kept, first, n_out):
        x, dx, last = primals[:first], tangents[:first], first + n_out
        check_closure(rule, tangents[first:last])
        if not any(present(dx)):
            return None
        if not any(is_linear(t) for t in given(dx)):
            raise forward_mode_error(rule)
        residuals = primals[last:]
        if kept is None:
            residuals, kept = rule.fwd(x)
        dx = [zeros_like(v) if t is None else t for v, t in zip(x, dx)]
        avals = tuple(v._node.aval for v in out)
        return custom_vjp_linear(*dx, *residuals, rule=rule, kept=kept, n_in=first, avals=avals)

    def batch_with_axis(inputs, batched, axis, *, rule, kept, first, n_out):
        last = first + n_out
        y = [v if b else add_batch_axis(v, axis.size) for v, b in zip(inputs[first:last], batched[first:last])]
        rule = rule.batched(tuple(batched[:first]), axis)
        if kept is not None:
            kept = kept, tuple(batched[last:])
        outs = custom_vjp_mark(*inputs[:first], *y, *inputs[last:], rule=rule, kept=kept, first=first, n_out=n_out)
        return outs, (True,) * n_out


def forward_mode_error(rule):
    return ForwardModeError(
        f"Forward mode through {rule.name} is not possible: it has a custom_vjp.",
        fix="use reverse mode (grad, vjp), or define the function with custom_jvp.",
    )


@primitive
class custom_vjp_linear:
    """The tangents of a function with a custom_vjp: known only by their transpose. Operands: tangents of x, residuals"""

    transient = True

    def infer(*operands, rule, kept, n_in, avals):
        return avals

    def transpose(ct, *inputs, rule, kept, n_in, avals):
        found = rule.bwd(inputs[n_in:], kept, ct, avals, [x._node.aval for x in inputs[:n_in]])
        return (*found, *(None,) * (len(inputs) - n_in))

    def jvp(primals, tangents, out, *, rule, **params):
        raise forward_mode_error(rule)

    def lower(*operands, rule, **params):
        raise forward_mode_error(rule)
