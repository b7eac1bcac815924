"""Loops, branches, and graphs that are called."""

import numpy as np

from .program import Program
from .sizes import Varying
from .writer import rule


@rule("scan")
def scan(w, *operands, body, length, reverse, n_consts, n_carry):
    """Scan, or Loop where there are no rows; what stays the same is read from around it."""
    consts = list(map(w.name_of, operands[:n_consts]))
    carry, xs = operands[n_consts : n_consts + n_carry], operands[n_consts + n_carry :]
    _know(body, operands[:n_consts])
    given = [*consts, *[None] * (len(carry) + len(xs))]
    n_y = len(body.results) - n_carry
    if xs:
        graph = w.subgraph(w.shared.name("body"), body, given)
        backward = [1] if reverse else [0]
        found = w(
            "Scan", *carry, *xs, n=n_carry + n_y, body=graph, num_scan_inputs=len(xs),
            scan_input_directions=backward * len(xs) if reverse else None, scan_output_directions=backward * n_y if reverse and n_y else None,
        )  # fmt: skip
        return found if isinstance(found, list) else [found]
    found = _loop(w, body, given, carry, w.number_of(length), n_y)
    if reverse:
        found[n_carry:] = [w.slice(y, [-1], [-(2**63) + 1], [0], [-1]) for y in found[n_carry:]]
    return found


def _loop(w, body, given, carry, count, n_y):
    true = lambda inner, results: [inner("Identity", w.constant(np.bool_(True)))]
    extra = [(w.shared.name("step"), np.dtype("int64"), ()), (w.shared.name("goes_on"), np.dtype(bool), ())]
    graph = w.subgraph(w.shared.name("body"), body, given, extra, true)
    found = w("Loop", count, None, *carry, n=len(carry) + n_y, body=graph)
    return found if isinstance(found, list) else [found]


@rule("while_loop")
def while_loop(w, *operands, test, body, n_test, n_body):
    """Loop, which is told before its first step whether there is one, and by each whether there is another."""
    test_consts = list(map(w.name_of, operands[:n_test]))
    consts = list(map(w.name_of, operands[n_test : n_test + n_body]))
    _know(test, operands[:n_test])
    _know(body, operands[n_test : n_test + n_body])
    start = operands[n_test + n_body :]
    live = _live(w, test, body, n_test, n_body)
    (first,) = _inlined(w, test, [*test_consts, *map(w.name_of, start)])
    carry = iter([None] * len(live))
    given = [next(carry) if k in live else _UNREAD for k in range(len(start))]

    def goes_on(inner, results):
        results = iter(results)
        names = [next(results) if k in live else _UNREAD for k in range(len(start))]
        return [inner("Identity", *_inlined(inner, test, [*test_consts, *names]))]

    results = [body.results[k] for k in live]
    extra = [(w.shared.name("step"), np.dtype("int64"), ()), (w.shared.name("goes_on"), np.dtype(bool), ())]
    graph = w.subgraph(
        w.shared.name("body"), Program(body.inputs, body.operations, results), [*consts, *given], extra, goes_on
    )
    found = w("Loop", None, first, *[start[k] for k in live], n=len(live), body=graph)
    found = dict(zip(live, found if isinstance(found, list) else [found]))
    return [found.get(k) for k in range(len(start))]


_UNREAD = "unread"  # the name of what nothing reads


def _know(program, operands):
    """What is constant around a program is so inside."""
    for inner, x in zip(program.inputs, operands):
        if inner.data is None and not isinstance(x.data, Varying):
            inner.data = x.data


def _live(w, test, body, n_test, n_body):
    """Positions of carried values that are read after the loop, decide on it, or are what such ones are computed from."""
    carry, results = body.inputs[n_body:], body.results
    live = {k for k in range(len(carry)) if w.uses[w.operation.outputs[k]]}
    live |= {k for k, x in enumerate(test.inputs[n_test:]) if x in _read_by(test, test.results)}
    while True:
        read = _read_by(body, [results[k] for k in live])
        more = {k for k, x in enumerate(carry) if x in read} | live
        if more == live:
            return sorted(live) or [0]
        live = more


def _read_by(program, results):
    """The values of a program that some of its results are computed from."""
    found = set(results)
    for operation in reversed(program.operations):
        if not found.isdisjoint(operation.outputs):
            found.update(operation.inputs)
    return found


@rule("cond")
def cond(w, index, *operands, branches):
    names = list(map(w.name_of, operands))
    for branch in branches:
        _know(branch, operands)
    found = _branch(w, w.name_of(index), names, list(branches), 0)
    return found if isinstance(found, list) else [found]


def _branch(w, index, names, branches, first):
    """If the index is at most `first` its branch, else one of those behind it."""
    from onnx import helper

    from .records import info, protos
    from .writer import Writer

    then = w.subgraph(w.shared.name("branch"), branches[0], names)
    if len(branches) == 2:
        other = w.subgraph(w.shared.name("branch"), branches[1], names)
    else:
        inner = Writer(w.shared)
        found = _branch(inner, index, names, branches[1:], first + 1)
        found = found if isinstance(found, list) else [found]
        typed = [info(n, x.dtype, x.shape) for n, x in zip(found, branches[0].results)]
        other = helper.make_graph(protos(inner.records), w.shared.name("branch"), [], typed)
    if len(branches) == 2 and index in w.from_bool:
        return w("If", w.from_bool[index], n=len(branches[0].results), then_branch=other, else_branch=then)
    taken = w("LessOrEqual", index, w.constant(np.int32(first)))
    return w("If", taken, n=len(branches[0].results), then_branch=then, else_branch=other)


@rule("defined_call", "custom_vmap_call", "call", "checkpoint")
def called(w, *operands, graph, **params):
    _know(graph, operands)
    return _inlined(w, graph, list(map(w.name_of, operands)))


def _inlined(w, program, names):
    """Writes a program into the graph of w; it may be written more than once.

    Neither sees the other's producers: a node that takes up what follows it would change what the other one reads.
    """
    from .writer import Writer

    inner = Writer(w.shared)
    inner.records, inner.known, inner.shapes = w.records, w.known, w.shapes
    return inner.program(program, names)
