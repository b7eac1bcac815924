"""If, Loop and Scan: what is known decides at once; what is traced becomes cond, scan or while_loop."""

import itertools

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, MisfitError, ShapeError
from ...core.evaluate import evaluate
from ...core.node import state
from ...core.tensor import Tensor
from ..graphs import Graph
from ..registry import op
from ..values import DependsOnData, dtype_of, is_known, is_readable, known, tensor

_COMPUTED = 32  # after so many rounds what they give is computed, so that not all of a long loop waits
_UNROLLED = 8  # so many rounds of a loop are traced one after the other, more as one program


def _tensors(values, like):
    """Values of a traced body as Tensors."""
    like = next((x for x in (*like, *values) if isinstance(x, Tensor)), None)
    return [v if v is None or isinstance(v, list) else tensor(v, like) for v in values]


def _truth(value):
    return bool(np.asarray(known(value, "The condition")).reshape(()))


def _if_decides(node):
    """The condition, if the branches give other types, or no tensors."""
    types = [[(v.element_type, v.shape) for v in b.outputs] for b in node.attributes.values() if isinstance(b, Graph)]
    decides = any(t != types[0] for t in types) or any(element is None for t in types for element, _ in t)
    return {0} if decides else set()


@op("If", folds=False, deciding=_if_decides)
def if_(cond, *, then_branch, else_branch, scope):
    if is_readable(cond):
        return tuple(scope.run(then_branch if _truth(cond) else else_branch, []))
    taken = lambda branch: lambda: _tensors(scope.run(branch, []), [cond])
    return tuple(pg.cond(pg.reshape(cond, ()), taken(then_branch), taken(else_branch)))


# ---- Loop --------------------------------------------------------------------------------------------------


def _loop_decides(node):
    """How long the loop runs, if its outputs are stacked, or are no tensors."""
    outputs = getattr(node.attributes.get("body"), "outputs", ())
    stacks = len(outputs) - 1 > len(node.inputs) - 2
    return {0, 1} if stacks or any(v.element_type is None for v in outputs) else set()


@op("Loop", folds=False, deciding=_loop_decides)
def loop(m=None, cond=None, *initial, body, scope):
    """(the carried values after the last round, for each further output of the body its values, stacked)"""
    limit = None if m is None else pg.reshape(m, ()) if not is_readable(m) else int(np.reshape(known(m, "M"), ()))
    rounds = _Rounds(body, scope, cond is not None)
    goes_on = np.array(True) if cond is None else cond
    values = list(initial)
    if state.frame is not None and isinstance(limit, int) and limit > _UNROLLED and is_readable(goes_on):
        left = scope.rounds.left
        found = _as_scan(rounds, limit, goes_on, values)
        if found is not None:
            return found
        scope.rounds.left = left  # the attempt went no rounds
    columns = []
    for i in itertools.count():
        if not is_readable(limit) or not is_readable(goes_on):
            if rounds.n_rows(values):
                raise DependsOnData(
                    "The number of rounds of Loop, and so the size of what it stacks, depends on data.",
                    fix="run the model without jit.",
                )
            return tuple(_as_while(rounds, i, limit, goes_on, values))
        if (limit is not None and i >= limit) or not _truth(goes_on):
            break
        scope.rounds.spend()
        goes_on, values, row = rounds.run(np.array(i), goes_on, values)
        columns.append(row)
        if state.frame is None and i % _COMPUTED == _COMPUTED - 1:
            evaluate([v._node for v in values if isinstance(v, Tensor) and is_readable(v)])
    n = len(body.outputs) - 1 - len(values)
    return (*values, *(_stacked([row[i] for row in columns], body.outputs[-n + i]) for i in range(n)))


class _Rounds:
    """Runs the body of a Loop. has_condition: whether the body's own decides."""

    def __init__(self, body, scope, has_condition):
        self.body, self.scope, self.has_condition = body, scope, has_condition

    def n_rows(self, values):
        """How many outputs are stacked."""
        return len(self.body.outputs) - 1 - len(values)

    def run(self, i, goes_on, values):
        """(condition, carried values, values to stack)"""
        found = self.scope.run(self.body, [i, goes_on, *values])
        if len(found) <= len(values):
            raise ArgumentError(f"Loop: the body gives {len(found)} values, {len(values) + 1} are carried.")
        return found[0] if self.has_condition else goes_on, found[1 : len(values) + 1], found[len(values) + 1 :]


def _as_scan(rounds, limit, goes_on, values):
    """The loop with the rounds after the first as one program; None if the rounds are not alike."""
    if not _truth(goes_on):
        return None
    goes_on, values, first = rounds.run(np.array(0), goes_on, values)
    if not is_readable(goes_on) or not _truth(goes_on) or any(v is None or isinstance(v, list) for v in values):
        return None

    def step(carry, i):
        after, new, row = rounds.run(i, np.array(True), carry)
        if not _truth(after):
            raise DependsOnData("The loop ends in a round that is not the last.")
        return _tensors(new, carry), _tensors(row, carry)

    fits = (
        limit <= rounds.scope.rounds.left
    )  # else one more round says whether the loop goes all: M may be no more than a bound
    try:
        values, rows = pg.scan(step, _tensors(values, ()), pg.arange(1, limit if fits else 2, dtype="int64"))
    except (DependsOnData, ShapeError):
        return None
    rounds.scope.rounds.spend(limit)
    return (*values, *(pg.concatenate([pg.expand_dims(tensor(a, b), 0), b]) for a, b in zip(first, rows)))


def _as_while(rounds, i, limit, goes_on, values):
    """The carried values after further rounds from round i on, as many as data says; too many are an error when the program runs."""
    budget = rounds.scope.rounds
    most = i + budget.left
    bounded = not _exporting() and not (isinstance(limit, int) and limit <= most)  # a file has the loop as it is
    limit = None if bounded and isinstance(limit, int) else limit

    def test(carry):
        i, goes_on, _ = carry
        goes_on = goes_on if limit is None else goes_on & (i < limit)
        return goes_on & (i < most) if bounded else goes_on

    def step(carry):
        i, goes_on, values = carry
        goes_on, values, _ = rounds.run(i, goes_on, values)
        return [i + 1, pg.reshape(tensor(goes_on, i), ()), _tensors(values, [i])]

    def check(n, goes_on, limit):
        if goes_on and most <= n < limit:
            budget.fail()

    like = next(x for x in (limit, goes_on) if isinstance(x, Tensor))
    start = [tensor(np.array(i), like), pg.reshape(tensor(goes_on, like), ()), _tensors(values, [like])]
    try:
        n, goes_on, values = pg.while_loop(test, step, start)
    except MisfitError as error:
        raise DependsOnData(
            "A Loop carries what changes its shape or type, and how many rounds it goes depends on data.",
            fix="run the model without jit; or give it the number of rounds where it is known: pg.jit(lambda x: model(x, np.array(3))).",
        ) from error
    if bounded:
        pg.debug_callback(check, n, goes_on, n + 1 if limit is None else limit)
    return values


def _exporting():
    """Whether what is traced will be written to a file."""
    frame = state.frame
    while frame is not None and frame.transform != "export":
        frame = frame.outer
    return frame is not None


def _stacked(values, output):
    """Values of all rounds along a new first axis; of none an empty array of the shape that the graph says."""
    if not values:
        sizes = [n if isinstance(n, int) else 0 for n in output.shape or ()]
        return np.zeros((0, *sizes), dtype_of(output.element_type))
    if is_known(values):
        return np.stack(values)
    return pg.stack(_tensors(values, ()))


# ---- Scan --------------------------------------------------------------------------------------------------


@op("Scan", since=9, folds=False)
def scan(*inputs, body, num_scan_inputs, scan_input_axes=None, scan_input_directions=None, scan_output_axes=None,
         scan_output_directions=None, scope):  # fmt: skip
    """(the states after the last step, the outputs of all steps)"""
    inputs = _tensors(inputs, ())
    n_states = len(inputs) - num_scan_inputs
    n_outputs = len(body.outputs) - n_states
    rows = []
    for x, axis, back in _zipped(inputs[n_states:], scan_input_axes, scan_input_directions):
        x = pg.moveaxis(x, axis, 0)
        rows.append(pg.flip(x, 0) if back else x)

    def step(states, row):
        found = _tensors(scope.run(body, [*states, *row]), inputs)
        return found[:n_states], found[n_states:]

    scope.rounds.spend(rows[0].shape[0] if rows else 0)
    try:
        states, outputs = pg.scan(step, inputs[:n_states], rows)
    except DependsOnData:
        states, outputs = _one_by_one(step, inputs[:n_states], rows, n_outputs)
    found = []
    for y, axis, back in _zipped(outputs, scan_output_axes, scan_output_directions):
        found.append(pg.moveaxis(pg.flip(y, 0) if back else y, 0, axis))
    return (*states, *found)


def _zipped(values, axes, directions):
    return zip(values, axes or [0] * len(values), directions or [0] * len(values))


def _one_by_one(step, states, rows, n_outputs):
    """The same as pg.scan, each step on its own."""
    columns = []
    for t in range(rows[0].shape[0]):
        states, row = step(states, [x[t] for x in rows])
        columns.append(row)
    return states, [pg.stack([row[i] for row in columns]) for i in range(n_outputs)]


@op("Scan", since=8, known=("sequence_lens",), folds=False)
def scan_8(sequence_lens, *inputs, body, num_scan_inputs, directions=None, scope):
    """Each example of a batch (axis 0) for itself, over axis 1 up to its length; the outputs are filled with 0."""
    inputs = _tensors(inputs, ())
    n_states = len(inputs) - num_scan_inputs
    batch, longest = inputs[-1].shape[:2]
    examples = []
    for b in range(batch):
        length = longest if sequence_lens is None else int(np.ravel(sequence_lens)[b])
        states, rows = [x[b] for x in inputs[:n_states]], [x[b, :length] for x in inputs[n_states:]]
        found = scan(
            *states, *rows, body=body, num_scan_inputs=num_scan_inputs, scan_input_directions=directions, scope=scope
        )
        rest = [[(0, longest - length)] + [(0, 0)] * (y.ndim - 1) for y in found[n_states:]]
        examples.append([*found[:n_states], *(pg.pad(y, w, 0) for y, w in zip(found[n_states:], rest))])
    return tuple(pg.stack(list(column)) for column in zip(*examples))
