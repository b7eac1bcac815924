"""A graph applied again and again: as long as a test holds, or once for each row."""

from ..core.errors import GradientError
from ..core.node import LINEAR, make_aval, placeholder_node
from ..core.tensor import wrap
from ..transforms import graphs
from ..transforms.derivative import transpose_linear
from .base import is_linear, primitive
from .calls import call
from .control import zero_tangent
from .elementwise import add, select
from .held import extended, given, has_effects, picked, placed, present, residual_values, split, swap_leading
from .reduction import reduce_or
from .shape import add_batch_axis, expand_leading, zeros_like

# ---- while -------------------------------------------------------------------------------------------


@primitive
class while_loop:
    """carry = body(body_consts, carry) as long as test(test_consts, carry)

    Operands: test_consts, body_consts, carry. Differentiable in forward mode only: the number of steps is not known.
    """

    holds_graphs = True

    def infer(*operands, test, body, n_test, n_body):
        return body.avals

    def lower(*operands, test, body, n_test, n_body):
        return "while", (test, body, n_test, n_body)

    def effects(*, test, body, **params):
        return has_effects(test, body)

    def jvp(primals, tangents, out, *, test, body, n_test, n_body):
        test_consts, consts, carry = split(primals, n_test, n_body)
        _, dconsts, dcarry = split(tangents, n_test, n_body)
        active = present(dcarry)
        while True:
            instantiate = tuple(i for i, a in enumerate(active) if a)
            both = graphs.tangent_graph(body, (*present(dconsts), *active), instantiate)
            grown = tuple(a or n for a, n in zip(active, both.nonzero))
            if grown == active:
                break
            active = grown
        if not any(active):
            return None
        moving = [zeros_like(x) if t is None else t for x, t, a in zip(carry, dcarry, active) if a]
        n_moving = len(given(dconsts))
        order = _interleaved((n_body, len(carry)), (n_moving, len(moving)))
        new_body = graphs.rearranged(both.graph, order)
        new_test = graphs.with_unused(test, tuple(x._node.aval for x in moving))
        outs = extended(
            out, while_loop, [*test_consts, *consts, *given(dconsts), *carry, *moving],
            test=new_test, body=new_body, n_test=n_test, n_body=n_body + n_moving,
        )  # fmt: skip
        return placed(active, outs[len(out) :])

    def transpose(ct, *inputs, **params):
        raise GradientError(
            "Reverse mode through while_loop is not possible: the number of steps, and so the memory for what the "
            "backward pass needs, is not known.",
            fix="use scan, or fori_loop with bounds that are Python numbers; forward mode (jvp, jacfwd) works.",
        )

    def batch_with_axis(inputs, batched, axis, *, test, body, n_test, n_body):
        if not any(batched) and axis.name is None:
            return None
        test_consts, consts, carry = split(inputs, n_test, n_body)
        test_flags, const_flags, carry_flags = (tuple(f) for f in split(batched, n_test, n_body))
        while True:
            force = tuple(i for i, f in enumerate(carry_flags) if f)
            new_body = graphs.batched_graph(body, (*const_flags, *carry_flags), axis, force)
            new_test = graphs.batched_graph(test, (*test_flags, *carry_flags), axis)
            each_ends = new_test.flags[0]  # examples take different numbers of steps
            grown = tuple(f or g or each_ends for f, g in zip(carry_flags, new_body.flags))
            if grown == carry_flags:
                break
            carry_flags = grown
        carry = [add_batch_axis(x, axis.size) if f and not b else x
                 for x, f, b in zip(carry, carry_flags, batched[n_test + n_body :])]  # fmt: skip
        if not each_ends:
            outs = while_loop(
                *test_consts, *consts, *carry, test=new_test.graph, body=new_body.graph, n_test=n_test, n_body=n_body
            )
            return outs, carry_flags
        go_on, advance = _stepping_while_any(body, new_test.graph, new_body.graph, n_test, n_body)
        outs = while_loop(
            *test_consts, *test_consts, *consts, *carry,
            test=go_on, body=advance, n_test=n_test, n_body=n_test + n_body,
        )  # fmt: skip
        return outs, carry_flags


def _interleaved(plain, moving):
    """The order that puts the tangents of each group behind the group: (consts, carry..) + tangents of each."""
    order, begin, tangent = [], 0, sum(plain)
    for n, m in zip(plain, moving):
        order += [*range(begin, begin + n), *range(tangent, tangent + m)]
        begin, tangent = begin + n, tangent + m
    return tuple(order)


def _stepping_while_any(body, new_test, new_body, n_test, n_body):
    """A test that holds while any example goes on, and a body that leaves the others as they are."""
    key = "stepping_while_any", new_test, new_body
    made = body.derived.get(key)
    if made is not None:
        return made
    avals = [node.aval for node in new_test.placeholders]
    test_avals, carry_avals = avals[:n_test], avals[n_test:]
    const_avals = [node.aval for node in new_body.placeholders[:n_body]]

    def go_on(*operands):
        (which,) = graphs.replay(new_test, operands)
        return [reduce_or(which, axes=(0,))]

    def advance(*operands):
        test_consts, consts, carry = split(operands, n_test, n_body)
        (which,) = graphs.replay(new_test, [*test_consts, *carry])
        new = graphs.replay(new_body, [*consts, *carry])
        return [select(expand_leading(which, 1, x.ndim - 1), x, y) for x, y in zip(new, carry)]

    made = (
        graphs.graph_of(f"any_{new_test.name}", avals, go_on),
        graphs.graph_of(new_body.name, [*test_avals, *const_avals, *carry_avals], advance),
    )
    body.derived[key] = made
    return made


# ---- scan --------------------------------------------------------------------------------------------


@primitive
class scan:
    """carry, y[i] = body(consts, carry, x[i]) for each of `length` rows; operands: consts, carry, x

    Results: the last carry, then the stacked y. `reverse` begins with the last row.
    """

    holds_graphs = True

    def infer(*operands, body, length, reverse, n_consts, n_carry):
        carry, y = split(body.avals, n_carry)
        return (*carry, *(make_aval((length, *a.shape), a.dtype, a.device, a.weak_type) for a in y))

    def lower(*operands, body, length, reverse, n_consts, n_carry):
        return "scan", (body, length, int(reverse), n_consts, n_carry)

    def effects(*, body, **params):
        return has_effects(body)

    def jvp(primals, tangents, out, *, body, length, reverse, n_consts, n_carry):
        dconsts, dcarry, dx = split(tangents, n_consts, n_carry)
        linear = any(map(is_linear, given(tangents)))
        active = present(dcarry)
        while True:
            instantiate = tuple(i for i, a in enumerate(active) if a)
            flags = (*present(dconsts), *active, *present(dx))
            if linear:
                parts = _linearized_body(body, flags, instantiate, n_consts, n_carry)
            else:
                parts = graphs.tangent_graph(body, flags, instantiate)
            grown = tuple(a or n for a, n in zip(active, parts.nonzero))
            if grown == active:
                break
            active = grown
        if not any(parts.nonzero):
            return None
        zero = (lambda x: zero_tangent(zeros_like(x))) if linear else zeros_like
        carry = primals[n_consts : n_consts + n_carry]
        moving = [zero(x) if t is None else t for x, t, a in zip(carry, dcarry, active) if a]
        sizes = {"length": length, "reverse": reverse}
        if linear:
            found = _linear_scan(primals, out, parts, given(dconsts), moving, given(dx), n_consts, n_carry, sizes)
        else:
            whole = _tangent_scan(
                parts.graph,
                n_consts,
                n_carry,
                len(primals),
                len(out),
                len(given(dconsts)),
                len(moving),
                length,
                reverse,
            )
            operands = [*primals, *given(dconsts), *moving, *given(dx)]
            found = extended(out, call, operands, graph=whole, barrier=False)[len(out) :]
        return placed(parts.nonzero, found)

    def transpose(ct, *inputs, body, length, reverse, n_consts, n_carry):
        linear = tuple(map(is_linear, inputs))
        consts, carry, x = split(inputs, n_consts, n_carry)
        if not all(map(is_linear, carry)):
            return _transposed_by_jvp(ct, inputs, {
                "body": body, "length": length, "reverse": reverse, "n_consts": n_consts, "n_carry": n_carry
            })  # fmt: skip
        ct_carry, ct_y = split(ct, n_carry)
        ct_carry = [zeros_like(v) if c is None else c for v, c in zip(carry, ct_carry)]
        accumulated = [zeros_like(v) for v in consts if is_linear(v)]
        new_body = _transposed_body(body, linear, (True,) * n_carry + present(ct_y), n_consts, n_carry)
        known = [v for v in consts if not is_linear(v)]
        outs = scan(
            *known, *ct_carry, *accumulated, *(v for v in x if not is_linear(v)), *given(ct_y),
            body=new_body, length=length, reverse=not reverse, n_consts=len(known), n_carry=n_carry + len(accumulated),
        )  # fmt: skip
        ct_carry, ct_consts, ct_x = split(outs, n_carry, len(accumulated))
        return (
            *placed(linear[:n_consts], ct_consts),
            *ct_carry,
            *placed(linear[n_consts + n_carry :], ct_x),
        )

    def batch_with_axis(inputs, batched, axis, *, body, length, reverse, n_consts, n_carry):
        if not any(batched) and axis.name is None:
            return None
        consts, carry, x = split(inputs, n_consts, n_carry)
        const_flags, carry_flags, x_flags = (tuple(f) for f in split(batched, n_consts, n_carry))
        while True:
            force = tuple(i for i, f in enumerate(carry_flags) if f)
            parts = graphs.batched_graph(body, (*const_flags, *carry_flags, *x_flags), axis, force)
            grown = tuple(f or g for f, g in zip(carry_flags, parts.flags))
            if grown == carry_flags:
                break
            carry_flags = grown
        was = batched[n_consts : n_consts + n_carry]
        carry = [add_batch_axis(v, axis.size) if f and not b else v for v, f, b in zip(carry, carry_flags, was)]
        x = [swap_leading(v) if f else v for v, f in zip(x, x_flags)]
        outs = scan(
            *consts, *carry, *x, body=parts.graph, length=length, reverse=reverse, n_consts=n_consts, n_carry=n_carry
        )
        outs = [swap_leading(v) if f and i >= n_carry else v for i, (v, f) in enumerate(zip(outs, parts.flags))]
        return tuple(outs), parts.flags


def _transposed_by_jvp(ct, inputs, params):
    """The transpose of a scan whose carry is not all linear: being linear, it is its own derivative, at 0 for instance."""
    point = [zeros_like(x) if is_linear(x) else x for x in inputs]
    tangents = [wrap(placeholder_node(x._node.aval, LINEAR)) if is_linear(x) else None for x in inputs]
    moved = scan.jvp(point, tangents, scan(*point, **params), **params)
    cotangents = {}
    for t, c in zip(moved or (), ct):
        if t is not None and c is not None and is_linear(t):
            known = cotangents.get(t._node)
            cotangents[t._node] = c if known is None else add(known, c)
    targets = {t._node: None for t in tangents if t is not None}
    found = transpose_linear(cotangents, targets)
    return tuple(None if t is None else found.get(t._node) for t in tangents)


def _linearized_body(body, flags, instantiate, n_consts, n_carry):
    """A body split for reverse mode: what depends on constants alone is recomputed, what is read of the carry stacked."""
    return graphs.linearize_graph(
        body, flags, instantiate, graphs.save_all, tuple(range(n_consts)), tuple(range(n_consts, n_consts + n_carry))
    )


def _linear_scan(primals, out, parts, dconsts, moving, dx, n_consts, n_carry, sizes):
    """The tangents of a scan's results as a scan that is linear in the tangents of its operands."""
    outs = out
    if len(parts.forward.outputs) > len(out):
        outs = extended(out, scan, primals, body=parts.forward, n_consts=n_consts, n_carry=n_carry, **sizes)
    values = residual_values(parts.residuals, primals, outs)
    invariant = [kind == "input" and k < n_consts for kind, k in parts.residuals]
    fixed, stacked = picked(range(len(values)), invariant), picked(range(len(values)), invariant, False)
    n = len(values)
    begin = n + len(dconsts)
    order = [*fixed, *range(n, begin), *range(begin, begin + len(moving)), *stacked]
    order += range(begin + len(moving), begin + len(moving) + len(dx))
    return scan(
        *(values[i] for i in fixed), *dconsts, *moving, *(values[i] for i in stacked), *dx,
        body=graphs.rearranged(parts.linear, tuple(order)), n_consts=len(fixed) + len(dconsts), n_carry=len(moving), **sizes,
    )  # fmt: skip


@graphs.kept
def _tangent_scan(both, n_consts, n_carry, n_in, n_out, n_dconsts, n_moving, length, reverse):
    """The graph of a scan over values and tangents together: operands, their tangents -> results, their tangents."""
    n_x = n_in - n_consts - n_carry
    n_dx = len(both.placeholders) - n_in - n_dconsts - n_moving
    order = _interleaved((n_consts, n_carry, n_x), (n_dconsts, n_moving, n_dx))
    n_dy = len(both.outputs) - n_out - n_moving
    out_order = _interleaved((n_carry, n_out - n_carry), (n_moving, n_dy))
    body = graphs.rearranged(both, order, out_order)
    place = {at: i for i, at in enumerate(out_order)}

    def whole(*operands):
        outs = scan(
            *(operands[i] for i in order),
            body=body, length=length, reverse=reverse, n_consts=n_consts + n_dconsts, n_carry=n_carry + n_moving,
        )  # fmt: skip
        return [outs[place[i]] for i in range(len(outs))]

    avals = []
    for i, node in enumerate(both.placeholders):
        is_x = n_consts + n_carry <= i < n_in or i >= n_in + n_dconsts + n_moving
        avals.append(node.aval.update(shape=(length, *node.aval.shape)) if is_x else node.aval)
    return graphs.graph_of(f"scan_{both.name}", avals, whole)


@graphs.kept
def _transposed_body(body, linear, carried, n_consts, n_carry):
    """One step backwards: known consts | ct of carry, ct of consts so far | known x, ct of y -> those, ct of x."""
    parts = graphs.transposed_graph(body, linear, carried, True).graph
    consts, _, x = split(list(zip(body.placeholders, linear)), n_consts, n_carry)
    known_consts = [node.aval for node, lin in consts if not lin]
    linear_consts = [graphs.tangent_aval(node.aval) for node, lin in consts if lin]
    known_x = [node.aval for node, lin in x if not lin]
    cts = [graphs.tangent_aval(node.aval) for node, c in zip(body.results, carried) if c]

    def step(*operands):
        fixed, ct_carry, sums, rows, ct_y = split(
            operands, len(known_consts), n_carry, len(linear_consts), len(known_x)
        )
        found = graphs.replay(parts, [*fixed, *rows, *ct_carry, *ct_y])
        ct_consts, new_carry, ct_x = split(found, len(linear_consts), n_carry)
        return [*new_carry, *map(add, sums, ct_consts), *ct_x]

    avals = [*known_consts, *cts[:n_carry], *linear_consts, *known_x, *cts[n_carry:]]
    return graphs.graph_of(f"backward_{body.name}", avals, step)
