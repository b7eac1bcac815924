"""Corners where transforms, node replacement, state and memory meet. Each was wrong once."""

import gc
import threading

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.primitives import PRIMITIVES
from pequegrad.runtime import library


@pytest.fixture
def x(tensor):
    return tensor(np.float32(2))


# ---- replaced nodes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrapped", [pg.jit, pg.checkpoint, lambda f: lambda x: pg.scan(lambda c, _: (f(c), None), x, None, 1)[0]]
)
def test_a_linearised_call_serves_several_tangents(wrapped, tensor, x):
    f = wrapped(lambda x: x**3)
    _, push = pg.linearize(f, x)
    assert [push(tensor(np.float32(v))).item() for v in (1, 5)] == [12, 60]
    inner = lambda x: pg.jvp(f, (x,), (tensor(np.float32(1)),))[0]
    assert pg.jvp(inner, (x,), (tensor(np.float32(5)),))[1].item() == 60
    _, pull = pg.vjp(f, x)
    assert [pull(tensor(np.float32(v)))[0].item() for v in (1, 5)] == [12, 60]


def test_second_derivatives_through_checkpoint(tensor):
    t = tensor(np.float64(0.7))
    f = pg.checkpoint(lambda v: pg.sin(pg.sin(v)))
    s, c = np.sin, np.cos
    expected = -s(s(0.7)) * c(0.7) ** 2 - c(s(0.7)) * s(0.7)
    for g in (pg.grad(pg.grad(f)), pg.jit(pg.grad(pg.grad(f))), pg.hessian(f), pg.jacrev(pg.jacrev(f))):
        assert g(t).item() == pytest.approx(expected)
    g = pg.grad(pg.grad(lambda v: f(v * 3) * v))
    h = 1e-4
    slope = pg.grad(lambda v: pg.sin(pg.sin(v * 3)) * v)
    assert g(t).item() == pytest.approx((slope(t + h).item() - slope(t - h).item()) / (2 * h), rel=1e-5)


def test_calls_inside_recomputed_parts(tensor, x):
    twice = pg.jit(lambda x: pg.sin(pg.sin(x)))
    plain = lambda x: pg.sin(pg.sin(pg.sin(x)))
    f = pg.checkpoint(lambda x: pg.sin(twice(x)))
    assert pg.grad(f)(x).item() == pytest.approx(pg.grad(plain)(x).item())
    looped = lambda x: pg.scan(lambda c, _: (c * twice(x), None), tensor(np.float32(1)), None, length=2)[0]
    squared = lambda x: pg.sin(pg.sin(x)) ** 2
    assert pg.grad(looped)(x).item() == pytest.approx(pg.grad(squared)(x).item())


def test_pulling_back_inside_another_function(tensor, x):
    f = pg.jit(lambda a: (pg.sin(pg.sin(a)), a * 2))
    (_, twice), pull = pg.vjp(f, x)
    (found,) = pg.jit(lambda c: pull((c, c)))(tensor(np.float32(1)))
    assert found.item() == pytest.approx(np.cos(np.sin(2)) * np.cos(2) + 2, rel=1e-5)
    assert twice.item() == 4
    rule = pg.custom_jvp(lambda a: pg.sin(a))
    rule.defjvp(lambda p, t: (rule(*p), t[0] * rule(*p) * p[0]))
    assert pg.jacrev(rule)(x).item() == pytest.approx(np.sin(2) * 2, rel=1e-5)
    assert pg.hessian(rule)(x).item() == pytest.approx(np.sin(2) * 2 * 2 + np.sin(2), rel=1e-5)


def test_effects_take_place_once_under_derivatives(tensor):
    seen = []

    def program(x):
        pg.debug_callback(lambda v: seen.append(float(v[0])), x)
        return pg.sin(pg.sin(x)).sum()

    x = tensor([2.0, 3.0])
    looped = lambda x: pg.scan(lambda c, _: (c + program(x), None), x.sum() * 0, None, length=1)[0]
    for f in (program, pg.jit(program), looped, lambda x: pg.cond(x[0] > 0, program, program, x)):
        for derivative in (pg.grad(f), pg.jit(pg.grad(f)), lambda x: pg.vjp(f, x)[1](tensor(1.0))[0]):
            seen.clear()
            derivative(x).numpy()
            assert len(seen) == 1


# ---- history, handles, caches ------------------------------------------------------------------------


def test_what_the_user_does_to_results_is_not_done_to_ours(tensor, x):
    y, push = pg.linearize(lambda a: a * a, x)
    y.eval()
    assert push(tensor(np.float32(1))).item() == 4
    y, pull = pg.vjp(lambda a: a * a, x)
    y.eval()
    assert pull(tensor(np.float32(1)))[0].item() == 4


def test_a_jitted_function_that_reads_a_differentiated_value_is_traced_again(tensor, x):
    cell = []
    read = pg.jit(lambda v: v * cell[0])

    def f(a):
        cell[:] = [a]
        return read(x)

    assert [pg.grad(f)(tensor(np.float32(v))).item() for v in (4, 5)] == [2, 2]
    assert pg.vmap(f)(tensor([5.0, 6.0])).numpy().tolist() == [10, 12]


def test_handles_that_shared_a_value_may_part(tensor):
    a = tensor([1.0])
    b = tensor([1.0])
    b._rebind(a._node)
    programs = [
        pg.jit(lambda z: pg.scan(lambda c, _: (c * a * b, None), z, None, length=1)[0]),
        pg.jit(lambda z: pg.jit(lambda z: z * a * b)(z)),
        pg.jit(lambda z: pg.cond(z[0] > 0, lambda z: z * a * b, lambda z: z, z)),
        pg.jit(lambda z: pg.checkpoint(lambda z: z * a * b)(z)),
    ]
    z = tensor([2.0])
    assert [f(z).item() for f in programs] == [2] * 4
    b._rebind(tensor([10.0])._node)
    assert [f(z).item() for f in programs] == [20] * 4


def test_rules_read_tensors_of_the_outside_anew(tensor):
    w = tensor([2.0, 3.0])
    f = pg.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (f(*p), t[0] * w))
    x = tensor([1.0, 1.0])
    inner = pg.jit(lambda x: f(x).sum())
    looped = lambda x: pg.scan(lambda c, _: (f(c), None), x, None, length=1)[0].sum()
    for g in (pg.grad(inner), pg.grad(looped), pg.grad(pg.checkpoint(lambda x: f(x).sum())), pg.jit(pg.grad(inner))):
        w[0] = 2.0
        assert g(x).numpy().tolist() == [2, 3]
        w[0] = 5.0
        assert g(x).numpy().tolist() == [5, 3]


def test_rules_of_traced_functions_cannot_draw_numbers(tensor, device):
    f = pg.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (f(*p), t[0] * pg.rand(2, device=device)))
    with pytest.raises(pg.TracerError, match="random"):
        pg.grad(pg.jit(lambda x: f(x).sum()))(tensor([1.0, 1.0]))


def test_a_rule_asks_its_function_for_other_arguments(tensor, x):
    power = pg.custom_jvp(lambda n, x: x**n, nondiff_argnums=(0,))
    power.defjvp(lambda n, p, t: (power(n, p[0]), n * power(n - 1, p[0]) * t[0]))
    assert pg.grad(lambda x: power(3, x))(x).item() == 12


def test_closed_over_values_of_custom_rules_are_refused(tensor, x):
    def f(x, a):
        p = pg.custom_jvp(lambda x: x * a)
        p.defjvp(lambda pr, t: (p(pr[0]), t[0] * a))
        return p(x)

    with pytest.raises(pg.GradientError, match="as an argument"):
        pg.grad(f, 1)(x, tensor(np.float32(3)))
    assert pg.grad(f)(x, tensor(np.float32(3))).item() == 3


def test_static_nan_is_known_again():
    count = []
    f = pg.jit(lambda v: count.append(1) or pg.zeros(()) + 1, static_argnums=0)
    for _ in range(3):
        f(float("nan"))
    assert len(count) == 1


# ---- loops and types ---------------------------------------------------------------------------------


def test_chains_of_weak_types_in_a_carry(tensor):
    shift = lambda c, _: ((*c[1:], c[-1] * 1.5), None)
    found, _ = pg.scan(shift, (0, 0, 0, 0, 0, 1), None, length=6)
    assert [v.item() for v in found] == [1.5**i for i in range(1, 7)]
    found = pg.while_loop(lambda c: c[0] < 1, lambda c: shift(c, None)[0], (0, 0, 0, 1))
    assert all(v.dtype == np.float32 for v in found)


def test_strong_carries_stay_strong(tensor):
    for found in (
        pg.scan(lambda c, _: (1.0, None), tensor(np.float32(3)), None, length=2)[0],
        pg.while_loop(lambda c: c > 1, lambda c: 1, tensor(np.float32(3))),
    ):
        assert found.dtype == np.float32 and not found.weak_type and found.item() == 1


@pytest.mark.parametrize("dtype", ["int8", "uint32", "float16", "float64"])
def test_the_index_of_fori_loop_gives_way(dtype, tensor):
    start = pg.Tensor(1, dtype=dtype)
    for bounds in ((0, 3), (pg.as_tensor(0), pg.as_tensor(3))):
        found = pg.fori_loop(*bounds, lambda i, c: c + i, start)
        assert found.dtype == start.dtype and found.item() == 4


def test_linear_transpose_of_loops_and_of_what_is_not_linear(tensor):
    x = tensor([1.0, 2.0, 3.0])
    f = lambda x: pg.scan(lambda c, a: (c + a, c * 2), 0.0, x)
    ct = (tensor(1.0), tensor([1.0, 10.0, 100.0]))
    ct = tuple(c.astype("float32") for c in ct)
    (found,) = pg.linear_transpose(f, x.astype("float32"))(ct)
    assert found.numpy().tolist() == [221, 201, 1]
    counted = lambda x: pg.scan(lambda c, a: ((c[0] + 1, c[1] + a * c[0]), None), (0, 0.0), x)[0][1]
    (found,) = pg.linear_transpose(counted, x.astype("float32"))(ct[0])
    assert found.numpy().tolist() == [0, 1, 2]
    for bad in (pg.sin, lambda x: x * x, lambda x: 1 / x, lambda x: pg.scan(lambda c, a: (c * a, None), x[0], x)[0]):
        with pytest.raises(pg.GradientError, match="not linear"):
            out = bad(x)
            pg.linear_transpose(bad, x)(pg.ones_like(out))


def test_vmap_over_nothing_calls_nothing(tensor):
    seen = []
    pg.vmap(lambda v: pg.debug_callback(seen.append, v))(tensor(np.zeros(0)))
    assert seen == []


# ---- memory ------------------------------------------------------------------------------------------


def test_donated_arrays_that_others_hold_are_kept(tensor):
    f = pg.jit(lambda a: a * 2, donate_argnums=0)
    a = tensor([1.0, 2.0])
    b = a.detach()
    assert f(a).numpy().tolist() == [2, 4]
    assert b.numpy().tolist() == [1, 2]
    a = tensor([1.0, 2.0])
    later = a + 1
    assert f(a).numpy().tolist() == [2, 4]
    assert later.numpy().tolist() == [2, 3]


def test_donated_arrays_are_reused_and_gone(tensor, device):
    f = pg.jit(lambda a, b: a * 2 + b, donate_argnums=(-2,))
    f(tensor(np.ones(1000)), tensor(np.ones(1000)))
    a, b = tensor(np.ones(1000)), tensor(np.ones(1000))
    before = library.memory_stats(device)["in_use"]
    out = f(a, b)
    assert library.memory_stats(device)["in_use"] == before
    assert out.numpy()[0] == 3 and b.numpy()[0] == 1
    with pytest.raises(pg.DeviceError, match="donated"):
        a.numpy()
    with pytest.raises(pg.DeviceError, match="donated"):
        (a + 1).numpy()


def test_modules_among_the_arguments_do_not_shift_donation(tensor):
    layer, a = pg.nn.Linear(2, 2), tensor([[1.0, 2.0]])
    pg.jit(lambda layer, a: a * 2, donate_argnums=0)(layer, a)
    assert a.numpy().tolist() == [[1, 2]]


def test_rules_and_callbacks_are_not_kept(tensor):
    x = tensor([1.0])
    f = pg.custom_vjp(lambda x, n: x * n, nondiff_argnums=(1,))
    f.defvjp(lambda x, n: (x * n, ()), lambda n, kept, ct: (ct * n,))

    def rounds():
        for i in range(20):
            pg.pure_callback(lambda v: v, pg.ShapeDtypeStruct((1,), x.dtype), x).numpy()
            pg.grad(lambda x: f(x, float(i)).sum())(x).numpy()
        gc.collect()
        return sum(len(p.specs) for p in PRIMITIVES.values()), len(library._host_functions)

    rounds()
    assert rounds() == rounds()


def test_a_callback_may_wait_for_another_thread(tensor):
    def waits(v):
        found = []
        thread = threading.Thread(target=lambda: found.append((pg.Tensor(v) * 2).numpy()))
        thread.start()
        thread.join()
        return found[0]

    x = tensor(np.ones(2, np.float32))
    assert pg.pure_callback(waits, pg.ShapeDtypeStruct((2,), "float32"), x).numpy().tolist() == [2, 2]


# ---- what a new user did ---------------------------------------------------------------------------------


def test_tensors_in_lists_keep_their_derivatives(tensor, x):
    three = tensor(np.float32(3))
    for f in (
        lambda x: pg.as_tensor([x, 2 * x]).sum(),
        lambda x: pg.sum([x, 2 * x]),
        lambda x: pg.sum([[x, 1.0], [2, 2 * x]]),
        lambda x: pg.zeros(2, device=x.device).at[:].set([x, 2 * x]).sum(),
    ):
        assert pg.grad(f)(three).item() == 3
        assert pg.jit(pg.grad(f))(three).item() == 3


def test_floor_divide_is_piecewise_constant(tensor):
    a, b = tensor([-3.0, -2.0, 0.0, 2.0, 3.0]), tensor([2.0, -2.0, 0.0, 0.0, -2.0])
    for g in pg.grad(lambda a, b: (a // b).sum(), (0, 1))(a, b):
        assert g.numpy().tolist() == [0] * 5


def test_hvp_asks_for_tuples(tensor, x):
    with pytest.raises(pg.ArgumentError, match="must be a tuple"):
        pg.hvp(lambda x: x**3, x, x)
