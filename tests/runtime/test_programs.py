"""Programs made at random against NumPy: memory is reused, shared by views and overwritten in place only where nobody looks."""

import numpy as np
import pytest
from conftest import FULL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pequegrad as pg

# Each step takes earlier values and gives (result, the same in NumPy). Values are int64: everything is exact.


def matrix(values, pick):
    """One of the values, as a pair (tensor, array) with two axes."""
    x, a = values[pick % len(values)]
    return x.reshape(-1, max(a.shape[-1], 1)), a.reshape(-1, max(a.shape[-1], 1))


def both(f):
    return lambda x, a, y, b: (f(x), f(a))


def square(x):
    n = min(x.shape)
    return x[:n, :n]


def fitted(f):
    """f of two matrices, of which the second is cut or broadcast to the shape of the first."""

    def step(x, a, y, b):
        if not b.size:
            y, b = x, a
        rows, columns = (1 if m == 1 else n if m >= n else 1 for m, n in zip(b.shape, a.shape))
        return f(x, y[:rows, :columns]), f(a, b[:rows, :columns])

    return step


def written(x, a, y, b):
    """A copy with every other row replaced by rows of the other matrix."""
    n, m = min(len(a[::2]), len(b)), min(a.shape[1], b.shape[1])
    changed = a.copy()
    changed[: 2 * n : 2, :m] = b[:n, :m]
    return x.at[: 2 * n : 2, :m].set(y[:n, :m]), changed


STEPS = {
    "negative": both(lambda x: -x), "square": both(lambda x: x * x % 1000),
    "add": fitted(lambda x, y: x + y), "sub": fitted(lambda x, y: x - y), "mul": fitted(lambda x, y: x * y % 1000),
    "twice": both(lambda x: x + x), "transpose": both(lambda x: x.T), "plus transpose": both(lambda x: square(x) + square(x).T),
    "reverse": both(lambda x: x[::-1]), "reverse columns": both(lambda x: x[:, ::-1]), "slice": both(lambda x: x[1:, ::2]),
    "flatten": both(lambda x: x.T.reshape(1, -1)), "sum": both(lambda x: x.sum(0, keepdims=True)), "max": both(lambda x: x.sum(1, keepdims=True) - x),
    "matmul": both(lambda x: x @ x.T % 1000), "compare": fitted(lambda x, y: (x > y) * x),
    "concatenate": lambda x, a, y, b: (pg.concatenate([x, x[:, :1], x], 1), np.concatenate([a, a[:, :1], a], 1)),
    "gather": both(lambda x: x[np.arange(2 * len(x)) % max(len(x), 1)] if len(x) else x), "write": written,
    "where": fitted(lambda x, y: pg.where(x > 0, x, y) if isinstance(x, pg.Tensor) else np.where(x > 0, x, y)),
}  # fmt: skip

programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=25
)


def run(steps, inputs):
    """All values, in order: the inputs' pairs, then the pair of each step."""
    values = list(inputs)
    for name, first, second in steps:
        x, a = matrix(values, first)
        result, array = STEPS[name](x, a, *matrix(values, second))
        if array.size < 5000:
            values.append((result, np.asarray(array)))
    return values


def inputs_on(device):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-9, 10, shape) for shape in ((3, 4), (5, 1), (1, 6), (4, 4))]
    return [(pg.Tensor(a, device=device), a) for a in arrays]


generated = settings(
    max_examples=1000 if FULL else 60, deadline=None, database=None, derandomize=not FULL,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@generated
@given(programs, st.sets(st.integers(0, 30), max_size=4))
def test_lazy_programs(device, steps, held):
    """In one evaluation; some intermediate values are held, the others die on the way."""
    values = run(steps, inputs_on(device))
    last = values[-1]
    kept = [values[k] for k in sorted(held) if k < len(values)]
    inputs = values[:4]
    del values
    for x, a in (last, *kept, *inputs):
        np.testing.assert_array_equal(x.numpy(), a)


@generated
@given(programs, st.sets(st.integers(0, 30), max_size=4), st.booleans())
def test_compiled_programs(device, steps, held, tracked):
    inputs = inputs_on(device)
    arrays = [a for _, a in inputs]

    def function(*tensors):
        values = run(steps, list(zip(tensors, arrays)))
        return [values[-1][0], *[values[k][0] for k in sorted(held) if k < len(values)]]

    expected = run(steps, inputs)
    expected = [expected[-1][1], *[expected[k][1] for k in sorted(held) if k < len(expected)]]
    compiled = pg.jit(function)
    tensors = [x for x, _ in inputs] if tracked else [x.detach() for x, _ in inputs]
    for _ in range(2):
        for found, a in zip(compiled(*tensors), expected):
            np.testing.assert_array_equal(found.numpy(), a)
    for x, a in zip(tensors, arrays):
        np.testing.assert_array_equal(x.numpy(), a)


@generated
@given(programs)
def test_values_read_one_by_one(device, steps):
    """Every value is computed on its own, while pending ones still refer to it."""
    with pg.no_grad():
        values = run(steps, inputs_on(device))
        for x, a in values:
            np.testing.assert_array_equal(x.eval().numpy(), a)
        for x, a in reversed(values):
            np.testing.assert_array_equal(x.numpy(), a)


@pytest.mark.parametrize("n", (10, 1000, 5000))
def test_long_chains(tensor, n):
    x = tensor(np.ones(3, np.int64))
    y = x
    for k in range(n):
        y = y + k if k % 3 else (y - 1).reshape(3, 1).T[0]
    expected = 1 + sum(k if k % 3 else -1 for k in range(n))
    assert y.tolist() == [expected] * 3 and x.tolist() == [1] * 3
