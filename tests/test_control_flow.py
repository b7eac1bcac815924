"""scan, cond, while_loop and their kin: state, randomness, memory, messages. Values against JAX: test_nested_transforms.py."""

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as jnp
from pequegrad.runtime import library


def peak(device, f, *args):
    """Bytes by which evaluating f(*args) raises the memory in use."""
    library.lib.pg_device_reset_peak(device.handle)
    before = library.memory_stats(device)["in_use"]
    f(*args).eval()
    return library.memory_stats(device)["peak_in_use"] - before


# ---- memory and length -------------------------------------------------------------------------------


def test_a_million_steps_take_constant_memory(tensor, device):
    def f(x, n):
        return pg.scan(lambda c, _: (c * 0.999 + 0.001, None), x, None, length=n)[0]

    x = tensor(np.zeros(1000, np.float32))
    x.eval()
    peak(device, f, x, 10)  # makes the constants
    short, long = peak(device, f, x, 10), peak(device, f, x, 1_000_000)
    assert long == short
    np.testing.assert_allclose(f(x, 1_000_000).numpy(), 1, rtol=1e-3)  # the fixed point, in float32


def test_gradients_of_ten_thousand_steps(tensor):
    x = tensor(np.full(3, 0.5))
    f = lambda x: pg.scan(lambda c, _: (c * 1.0001, c), x, None, length=10_000)[0].sum()
    np.testing.assert_allclose(pg.grad(f)(x).numpy(), 1.0001**10_000, rtol=1e-9)


def test_checkpoint_makes_long_scans_take_the_square_root_of_the_memory(tensor, device):
    step = lambda c, _: (jnp.sin(c) * 1.1, None)
    x = tensor(np.linspace(0.1, 1, 1000))
    x.eval()

    def flat(x):
        return pg.scan(step, x, None, length=2500)[0].sum()

    def nested(x):
        fifty = pg.checkpoint(lambda c: pg.scan(step, c, None, length=50)[0])
        return pg.scan(lambda c, _: (fifty(c), None), x, None, length=50)[0].sum()

    np.testing.assert_allclose(pg.grad(nested)(x).numpy(), pg.grad(flat)(x).numpy(), rtol=1e-12)
    for transform in (lambda f: f, pg.jit):
        high, low = (peak(device, transform(pg.grad(f)), x) for f in (flat, nested))
        assert high > 2500 * x.nbytes  # every step's value is kept
        assert low < 5 * 2 * 50 * x.nbytes  # fifty starts and fifty steps, and some working space


def test_constants_of_a_loop_are_not_stacked(tensor, device):
    w = tensor(np.eye(300) * 0.5)
    x = tensor(np.ones(300))
    w.eval(), x.eval()
    f = lambda w: pg.scan(lambda c, _: (c @ (w * 2), None), x, None, length=200)[0].sum()
    assert peak(device, pg.grad(f), w) < 12 * w.nbytes
    np.testing.assert_allclose(pg.grad(f)(w).numpy(), np.full((300, 300), 400.0))


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("unroll", [1, 2, 3, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_a_loop(n, unroll, reverse, tensor, rng):
    xs = rng.normal(size=(n, 3))
    c, ys = pg.scan(lambda c, x: (c * 0.5 + x, c - x), tensor(np.ones(3)), tensor(xs), reverse=reverse, unroll=unroll)
    expected, rows = np.ones(3), [None] * n
    for i in reversed(range(n)) if reverse else range(n):
        expected, rows[i] = expected * 0.5 + xs[i], expected - xs[i]
    np.testing.assert_allclose(c.numpy(), expected)
    np.testing.assert_allclose(ys.numpy(), np.array(rows).reshape(n, 3))


def test_loops_run_in_one_call_of_the_library(tensor, calls):
    x = tensor(np.ones(4))
    f = pg.jit(
        lambda x: pg.while_loop(
            lambda v: v.sum() < 1e6, lambda v: pg.scan(lambda c, _: (c + 1, None), v, None, 10)[0], x
        )
    )
    f(x)
    calls.clear()
    f(x)
    assert [name for name in calls if "run" in name or "execute" in name] == ["pg_program_run"]


def test_a_loop_does_not_copy_what_it_updates(tensor, device):
    """The carry's memory is reused: one buffer of the carry's size at a time, besides the first."""
    x = tensor(np.zeros((1000, 100)))
    x.eval()
    f = lambda x: pg.fori_loop(0, 50, lambda i, c: c + 1, x)
    assert peak(device, f, x) <= 2 * x.nbytes + 10_000


# ---- state of the outside ----------------------------------------------------------------------------


def test_random_numbers_are_fresh_in_every_step(tensor, device):
    draw = lambda _: pg.scan(lambda c, _: (c, pg.rand(3, device=device)), tensor(0.0), None, length=100)[1]
    start = tensor(0)
    for f in (draw, pg.jit(draw)):
        pg.manual_seed(3)
        first, second = f(start).numpy(), f(start).numpy()
        assert len(np.unique(np.concatenate([first, second]))) == 600
        pg.manual_seed(3)
        np.testing.assert_array_equal(f(start).numpy(), first)


def test_random_numbers_in_branches_and_while_loops(device):
    def f(flag):
        a = pg.cond(flag, lambda: pg.rand(2, device=device), lambda: pg.rand(2, device=device) + 10)
        b = pg.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, pg.rand(2, device=device)), (0, a))[1]
        return a, b, pg.rand(2, device=device)

    for g in (f, pg.jit(f)):
        flag = pg.Tensor(True, device=device)
        values = np.concatenate([v.numpy() for _ in range(3) for v in g(flag)])
        assert len(np.unique(values)) == len(values)


def test_gradients_of_a_loop_see_the_same_random_numbers(tensor, device):
    """The backward pass reads what the forward pass drew."""
    x = tensor(np.ones(4))
    drawn = lambda x: pg.scan(lambda c, _: (c * pg.rand(4, dtype="float64", device=device), None), x, None, length=3)[0]
    value, pulled = pg.vjp(drawn, x)
    np.testing.assert_allclose(pulled(tensor(np.ones(4)))[0].numpy(), value.numpy())
    value, g = pg.jit(pg.value_and_grad(lambda x: drawn(x).sum()))(x)
    np.testing.assert_allclose(g.numpy().sum(), value.numpy())


def test_a_body_changes_tensors_of_the_outside(tensor):
    log, x = tensor(np.zeros(3)), tensor(np.arange(4.0))

    def body(c, v):
        log[1] = log[1] + v
        return c + v, None

    pg.scan(body, 0.0, x)
    np.testing.assert_array_equal(log.numpy(), [0, 6, 0])
    pg.cond(x.sum() > 0, lambda: log.__setitem__(0, 5.0), lambda: None)
    np.testing.assert_array_equal(log.numpy(), [5, 6, 0])
    pg.cond(x.sum() < 0, lambda: log.__setitem__(0, 7.0), lambda: None)
    np.testing.assert_array_equal(log.numpy(), [5, 6, 0])

    def doubling(s):
        log[2] = log[2] * 2 + 1
        return s + 1

    pg.while_loop(lambda s: s < 5, doubling, tensor(0))
    np.testing.assert_array_equal(log.numpy(), [5, 6, 31])


def test_captured_tensors_are_read_anew(tensor):
    w, x = tensor([2.0]), tensor(np.ones((3, 1)))
    f = pg.jit(lambda x: pg.scan(lambda c, v: (c + v * w, None), x[0] * 0, x)[0].sum())
    assert f(x).item() == 6
    w[0] = 5.0
    assert f(x).item() == 15
    assert pg.grad(f)(x).numpy().tolist() == [[5.0], [5.0], [5.0]]
    w[0] = 7.0
    assert pg.grad(f)(x).numpy().tolist() == [[7.0], [7.0], [7.0]]


def test_grads_after_the_fact_goes_through_loops(tensor):
    w, x = tensor([0.5, 2.0]), tensor(np.ones((4, 2)))
    loss = pg.scan(lambda c, v: (c * w + v, None), x[0], x)[0].sum()
    before = pg.grads([w], loss)[0].numpy()
    loss.numpy()
    np.testing.assert_allclose(pg.grads([w], loss)[0].numpy(), before)
    h = 1e-3
    end = lambda w: pg.scan(lambda c, v: (c * w + v, None), x[0], x)[0].sum().item()
    for i in range(2):
        e = np.eye(2, dtype=np.float32)[i] * h
        assert before[i] == pytest.approx((end(w + e) - end(w - e)) / (2 * h), rel=2e-3)


def test_nothing_runs_twice(tensor, device):
    """Forward values and residuals come from one loop, whether the loss or the gradient is read first."""
    steps = []

    def body(c, _):
        pg.debug_callback(lambda: steps.append(1))
        return jnp.sin(c), None

    x = tensor(np.ones(2))
    f = pg.jit(pg.value_and_grad(lambda x: pg.scan(body, x, None, length=5)[0].sum()))
    f(x)
    assert len(steps) == 5


# ---- kinds of values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", "float16", "bfloat16", "float64"])
def test_every_dtype_can_be_carried(dtype, device):
    x = pg.Tensor(np.array([1, 0, 1]), dtype=dtype, device=device)
    flip = lambda c, _: (pg.where(c == 0, pg.ones_like(c), pg.zeros_like(c)), c)
    c, ys = pg.scan(flip, x, None, length=3)
    assert c.dtype == ys.dtype == x.dtype
    np.testing.assert_array_equal(ys.numpy().astype(int), [[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def test_weak_carries_give_way(tensor):
    c, _ = pg.scan(lambda c, x: (c + x, None), 0, tensor(np.ones(3, np.float32)))
    assert c.dtype == np.float32
    assert (
        pg.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + tensor(np.float64(1.5)), s[1]), (0.0, tensor(1)))[0].dtype
        == np.float64
    )
    flag = tensor(1.0)
    found = pg.cond(flag > 0, lambda _: 1, lambda _: tensor(np.float32(2)), flag)
    assert found.dtype == np.float32 and found.item() == 1


def test_results_may_be_arguments_constants_or_nothing(tensor):
    x = tensor([1.0, 2.0])
    c, (a, b) = pg.scan(lambda c, v: (c, (c, 3)), x, None, length=2)
    assert c.numpy().tolist() == [1, 2] and a.shape == (2, 2) and b.numpy().tolist() == [3, 3]
    assert pg.scan(lambda c, v: (None, None), None, x) == (None, None)
    assert pg.cond(x[0] > 0, lambda: None, lambda: None) is None
    same = pg.cond(x[0] > 0, lambda x: (x, x), lambda x: (x, x * 2), x)
    assert same[1].numpy().tolist() == [1, 2]
    assert pg.jit(lambda: pg.scan(lambda c, _: (c + 1, None), 0, None, length=4)[0])().item() == 4


def test_empty_arrays(tensor):
    x = tensor(np.zeros((4, 0)))
    c, y = pg.scan(lambda c, v: (c + v.sum(), v * 2), 0.0, x)
    assert c.item() == 0 and y.shape == (4, 0)
    assert pg.grad(lambda x: pg.scan(lambda c, v: (c + v.sum(), None), 0.0, x)[0])(x).shape == (4, 0)
    assert pg.vmap(lambda r: pg.scan(lambda c, v: (c + v, c), 0.0, r)[0])(x).numpy().tolist() == [0] * 4


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_of_a_noncommutative_monoid(n, reverse, tensor, rng):
    """2x2 matrices: the order of the factors shows."""
    m = rng.normal(size=(n, 2, 2))
    found = pg.associative_scan(lambda a, b: a @ b, tensor(m), reverse=reverse).numpy()
    total, rows = np.eye(2), []
    for i in reversed(range(n)) if reverse else range(n):
        total = total @ m[i]
        rows.append(total)
    np.testing.assert_allclose(found, rows[::-1] if reverse else rows, rtol=1e-10)


def test_node_count_does_not_depend_on_the_batch(tensor):
    def count(n):
        f = pg.vmap(
            lambda r: pg.scan(lambda c, v: (jnp.sin(c) + v, pg.cond(v > 0, jnp.sin, jnp.cos, c)), r[0], r)[1].sum()
        )
        trace = []
        pg.jit(lambda x: trace.append(f(x)) or trace[-1]).print_trace(tensor(np.ones((n, 4))))
        return trace

    import contextlib
    import io

    texts = []
    for n in (2, 50):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            count(n)
        texts.append(out.getvalue().count("\n"))
    assert texts[0] == texts[1]


# ---- messages ----------------------------------------------------------------------------------------


def message(error, f):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


def test_a_carry_that_changes_is_named(tensor):
    x = tensor(np.ones((3, 2)))
    start = {"h": x[0], "state": (x[0], 1.0)}
    body = lambda c, v: ({"h": c["h"], "state": (x, c["state"][1])}, None)
    text = message(pg.ShapeError, lambda: pg.scan(body, start, x))
    assert "carry['state'][0] is float64[2] when it enters" in text and "float64[3,2] when it leaves" in text
    assert "test_control_flow.py" in text and "fix:" in text
    text = message(pg.DtypeError, lambda: pg.scan(lambda c, v: (c.astype("float32"), None), x[0], x))
    assert "carry is float64[2]" in text and "float32[2]" in text
    text = message(pg.ArgumentError, lambda: pg.scan(lambda c, v: ((c, c), None), x[0], x))
    assert "another structure" in text
    assert "not a pair" in message(pg.ArgumentError, lambda: pg.scan(lambda c, v: c, x[0], x))
    text = message(pg.ShapeError, lambda: pg.while_loop(lambda s: s.sum() < 9, lambda s: x, x[0]))
    assert "carry is float64[2] when it enters" in text


def test_lengths_that_differ_are_named(tensor):
    a, b = tensor(np.ones((3, 2))), tensor(np.ones((4, 2)))
    text = message(pg.ShapeError, lambda: pg.scan(lambda c, v: (c, None), 0.0, {"a": a, "b": b}))
    assert "xs['a']': 3" in text.replace('"', "'") and "xs['b']': 4" in text.replace('"', "'")
    assert "length=5" in message(pg.ShapeError, lambda: pg.scan(lambda c, v: (c, None), 0.0, a, length=5))
    assert "pass length=n" in message(pg.ArgumentError, lambda: pg.scan(lambda c, v: (c, None), 0.0))
    assert "0-d" in message(pg.ShapeError, lambda: pg.scan(lambda c, v: (c, None), 0.0, tensor(1.0)))


def test_branches_that_differ_are_named(tensor):
    x = tensor(np.ones(3))
    text = message(pg.ShapeError, lambda: pg.cond(x.sum() > 0, lambda: x, lambda: x[:2]))
    assert "float64[3]" in text and "float64[2]" in text
    text = message(pg.DtypeError, lambda: pg.cond(x.sum() > 0, lambda: x, lambda: x.astype("float32")))
    assert "same shapes and dtypes" in text
    assert "structures" in message(pg.ArgumentError, lambda: pg.cond(x.sum() > 0, lambda: x, lambda: (x,)))
    assert "must be a scalar" in message(pg.ArgumentError, lambda: pg.cond(x > 0, lambda: x, lambda: x))
    assert "scalar integer" in message(pg.ArgumentError, lambda: pg.switch(x[0], [lambda: x, lambda: x]))
    assert "no branches" in message(pg.ArgumentError, lambda: pg.switch(0, []))
    assert "takes a function" in message(pg.ArgumentError, lambda: pg.cond(x[0] > 0, x, x))


def test_a_test_must_return_a_bool(tensor):
    x = tensor(1.0)
    assert "one bool" in message(pg.ArgumentError, lambda: pg.while_loop(lambda s: s, lambda s: s, x))
    assert "one bool" in message(pg.ArgumentError, lambda: pg.while_loop(lambda s: (s < 1, s < 2), lambda s: s, x))


def test_reading_a_value_in_a_body_names_the_ways_out(tensor):
    x = tensor(np.ones((3, 2)))
    text = message(pg.TracerError, lambda: pg.scan(lambda c, v: (c if v.sum() > 0 else -c, None), x[0], x))
    assert "traced by scan" in text and "where(" in text


def test_reverse_mode_through_a_while_loop_is_refused(tensor):
    f = lambda x: pg.while_loop(lambda s: s.sum() < 9, lambda s: s * 2, x).sum()
    text = message(pg.GradientError, lambda: pg.grad(f)(tensor(np.ones(2))))
    assert "while_loop" in text and "fori_loop" in text
    assert pg.jacfwd(f)(tensor(np.ones(2))).numpy().tolist() == [8, 8]


def test_values_of_a_body_cannot_leave_it(tensor):
    kept = []
    pg.scan(lambda c, v: (kept.append(c) or c, None), tensor(1.0), tensor(np.ones(2)))
    text = message(pg.TracerError, lambda: (kept[0] + 1).numpy())
    assert "leaked out of scan" in text


def test_an_error_in_a_body_leaves_no_trace(tensor):
    x = tensor(np.ones(2))

    def bad(c, v):
        raise RuntimeError("no")

    for f in (lambda: pg.scan(bad, 0.0, x), lambda: pg.jit(lambda x: pg.scan(bad, 0.0, x))(x)):
        with pytest.raises(RuntimeError, match="no"):
            f()
        assert (x + 1).numpy().tolist() == [2, 2]
    y = x + 1
    assert y._node.frame is None
