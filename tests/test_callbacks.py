"""pure_callback, io_callback, debug_print: values, order, number of calls, and what happens when they fail."""

import threading
import traceback

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as jnp

F64 = lambda *shape: pg.ShapeDtypeStruct(shape, np.float64)


def message(error, f):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


def recorded(function=lambda *xs: xs[0]):
    """`function` and a list of the shapes of the arguments of each call."""
    calls = []

    def callback(*arrays):
        calls.append(tuple(a.shape for a in arrays))
        return function(*arrays)

    return callback, calls


# ---- pure_callback -----------------------------------------------------------------------------------


def test_values_are_arrays_of_numpy(tensor):
    seen = []
    pg.pure_callback(lambda x, y: seen.extend([x, y]) or x, F64(2), tensor(np.ones(2)), tensor(np.int32(3))).numpy()
    assert all(isinstance(a, np.ndarray) for a in seen)
    assert seen[0].dtype == np.float64 and seen[1].dtype == np.int32 and seen[1].shape == ()


def test_trees_of_results_and_arguments(tensor):
    def f(tree, power, *, scale):
        return {"a": tree["x"] ** power * scale, "b": [np.int32(7), (tree["y"] > 0)]}

    types = {"a": F64(3), "b": [pg.ShapeDtypeStruct((), np.int32), pg.ShapeDtypeStruct((2,), bool)]}
    tree = {"x": tensor(np.arange(3.0)), "y": tensor(np.array([-1.0, 1.0]))}
    call = lambda tree: pg.pure_callback(f, types, tree, 2, scale=tensor(np.float64(10)))
    for g in (call, pg.jit(call)):
        out = g(tree)
        assert out["a"].numpy().tolist() == [0, 10, 40]
        assert out["b"][0].item() == 7 and out["b"][1].numpy().tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "bfloat16", "float32"])
def test_every_dtype_passes(dtype, device):
    x = pg.Tensor(np.array([0, 1, 1]), dtype=dtype, device=device)
    out = pg.pure_callback(lambda x: x[::-1], x, x)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out.numpy(), x.numpy()[::-1])


def test_layouts_and_empty_arrays(tensor, rng):
    x = rng.normal(size=(3, 4))
    t = tensor(x).transpose()[::-1]
    np.testing.assert_array_equal(pg.pure_callback(lambda a: a * 2, t, t).numpy(), x.T[::-1] * 2)
    empty = tensor(np.zeros((0, 3)))
    assert pg.pure_callback(lambda a: a, empty, empty).shape == (0, 3)
    assert pg.pure_callback(lambda: np.float64(3), F64()).item() == 3  # no arguments
    assert (
        pg.pure_callback(lambda a: np.broadcast_to(a, (2, 3)), F64(2, 3), tensor(1.0)).numpy().tolist() == [[1] * 3] * 2
    )


def test_an_array_that_was_given_may_be_kept(tensor):
    """What the callback keeps does not change when the memory of the argument is used again."""
    kept = []
    f = pg.jit(lambda x: pg.pure_callback(lambda v: kept.append(v) or v, x, x + 1) * 0)
    for i in range(4):
        f(tensor(np.full(1000, float(i)))).numpy()
    assert [float(a[0]) for a in kept] == [1, 2, 3, 4]


def test_a_result_that_the_callback_changes_later(tensor):
    buffer = np.zeros(3)
    x = pg.pure_callback(lambda: buffer, F64(3)).eval()
    buffer[:] = 7
    assert x.numpy().tolist() == [0, 0, 0]


def test_called_when_the_value_is_needed(tensor):
    callback, calls = recorded()
    x = tensor(np.ones(2))
    y = pg.pure_callback(callback, x, x)
    assert not calls
    y.numpy(), y.numpy(), (y + 1).numpy()
    assert len(calls) == 1
    pg.jit(lambda x: (pg.pure_callback(callback, x, x), x + 1)[1])(x).numpy()
    assert len(calls) == 1  # nobody wants the value


@pytest.mark.parametrize("method, shapes", [
    ("sequential", [((3,), ())] * 4),
    ("expand_dims", [((4, 3), (1,))]),
    ("broadcast_all", [((4, 3), (4,))]),
])  # fmt: skip
def test_vmap_methods(method, shapes, tensor, rng):
    x, k = rng.normal(size=(4, 3)), np.float64(2)
    callback, calls = recorded(lambda x, k: x * np.asarray(k)[..., None] if x.ndim > 1 else x * k)
    f = lambda x, k: pg.pure_callback(callback, x, x, k, vmap_method=method)
    for g in (pg.vmap(f, in_axes=(0, None)), pg.jit(pg.vmap(f, in_axes=(0, None)))):
        calls.clear()
        np.testing.assert_allclose(g(tensor(x), tensor(k)).numpy(), x * 2)
        assert calls == shapes


def test_vmap_methods_of_nested_vmaps(tensor, rng):
    x, k = rng.normal(size=(2, 4, 3)), rng.normal(size=4)
    for method, count in (("sequential", 8), ("expand_dims", 1), ("broadcast_all", 1)):
        callback, calls = recorded(lambda x, k: x * np.asarray(k)[..., None])
        f = lambda x, k: pg.pure_callback(callback, x, x, k, vmap_method=method)
        found = pg.vmap(pg.vmap(f), in_axes=(0, None))(tensor(x), tensor(k))
        np.testing.assert_allclose(found.numpy(), x * k[:, None])
        assert len(calls) == count


def test_a_callback_without_batched_arguments_is_called_once(tensor):
    callback, calls = recorded()
    w = tensor(np.ones(2))
    f = lambda x: x + pg.pure_callback(callback, w, w)
    pg.vmap(f)(tensor(np.ones((5, 2)))).numpy()
    assert len(calls) == 1


def test_inside_of_control_flow(tensor):
    callback, calls = recorded(lambda x: np.sin(x))
    call = lambda x: pg.pure_callback(callback, x, x)
    x = tensor(np.array([0.5, 1.0]))
    one = np.sin(x.numpy())
    scan = lambda x: pg.scan(lambda c, _: (call(c), call(c * 2)), x, None, length=3)
    for f in (scan, pg.jit(scan)):
        calls.clear()
        c, y = f(x)
        np.testing.assert_allclose(c.numpy(), np.sin(np.sin(one)))
        np.testing.assert_allclose(y.numpy()[0], np.sin(2 * x.numpy()))
        assert len(calls) == 6
    cond = lambda p, x: pg.cond(p, call, lambda x: x * 3, x)
    for f in (cond, pg.jit(cond)):
        calls.clear()
        np.testing.assert_allclose(f(True, x).numpy(), one)
        np.testing.assert_allclose(f(False, x).numpy(), x.numpy() * 3)
        assert len(calls) == 1
    loop = lambda x: pg.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, call(s[1])), (0, x))[1]
    calls.clear()
    pg.jit(loop)(x).numpy()
    assert len(calls) == 4
    rows = tensor(np.arange(6.0).reshape(3, 2))
    np.testing.assert_allclose(pg.vmap(lambda r: scan(r)[1][0])(rows).numpy(), np.sin(2 * rows.numpy()))
    np.testing.assert_allclose(pg.map(call, rows).numpy(), np.sin(rows.numpy()))


def test_wrong_promises_are_named(tensor):
    x = tensor(np.ones(2))

    def liar(x):
        return x.sum()

    text = message(pg.ArgumentError, lambda: pg.pure_callback(liar, x, x).numpy())
    assert "liar" in text and "float64[]" in text and "float64[2]" in text and "fix" in text
    assert "liar" in message(pg.ArgumentError, lambda: pg.jit(lambda x: pg.pure_callback(liar, x, x))(x).numpy())
    wrong = lambda x: pg.pure_callback(lambda x: x, pg.ShapeDtypeStruct((2,), np.int32), x)
    assert "int32" in message(pg.ArgumentError, lambda: wrong(x).numpy())
    tree = lambda x: pg.pure_callback(lambda x: (x, x), x, x)
    assert "promised" in message(pg.ArgumentError, lambda: tree(x).numpy())
    none = lambda x: pg.pure_callback(lambda x: None, x, x)
    assert "promised" in message(pg.ArgumentError, lambda: none(x).numpy())
    wide = lambda r: pg.pure_callback(lambda r: r[0], r, r, vmap_method="expand_dims")
    assert "float64[2]" in message(pg.ArgumentError, lambda: pg.vmap(wide)(tensor(np.ones((3, 2)))).numpy())
    assert (x + 1).numpy().tolist() == [2, 2]


def test_arguments_that_make_no_sense(tensor):
    x = tensor(np.ones(2))
    assert "takes a function" in message(pg.ArgumentError, lambda: pg.pure_callback(3, x, x))
    assert "vmap_method" in message(pg.ArgumentError, lambda: pg.pure_callback(abs, x, x, vmap_method="all"))
    assert "ShapeDtypeStruct" in message(pg.ArgumentError, lambda: pg.pure_callback(abs, {"a": 3}, x))
    assert "format string" in message(pg.ArgumentError, lambda: pg.debug_print(x))


class Oops(Exception):
    pass


def failing(x):
    raise Oops("the line of the callback")


def contexts(x):
    call = lambda x: pg.pure_callback(failing, x, x)
    return {
        "eager": lambda: call(x).numpy(),
        "jit": lambda: pg.jit(call)(x).numpy(),
        "vmap": lambda: pg.vmap(call)(x).numpy(),
        "jit of vmap": lambda: pg.jit(pg.vmap(call))(x).numpy(),
        "scan": lambda: pg.scan(lambda c, _: (call(c), None), x, None, length=3)[0].numpy(),
        "jit of cond": lambda: pg.jit(lambda x: pg.cond(x.sum() > 0, call, lambda x: x, x))(x).numpy(),
        "io": lambda: pg.io_callback(failing, x, x).numpy(),
        "debug": lambda: pg.jit(lambda x: (pg.debug_callback(failing, x), x * 2)[1])(x).numpy(),
    }


@pytest.mark.parametrize("where", contexts(None))
def test_exceptions_keep_type_and_traceback_and_harm_nothing(where, tensor, device):
    x = tensor(np.ones(3))
    x.eval()
    before = pg.memory_stats(device)["in_use"]
    for _ in range(3):
        with pytest.raises(Oops, match="the line of the callback") as caught:
            contexts(x)[where]()
        assert "failing" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        del caught
    assert (x + 1).numpy().tolist() == [2] * 3
    assert pg.jit(lambda x: x * 2)(x).numpy().tolist() == [2] * 3
    assert pg.pure_callback(lambda x: x * 5, x, x).numpy().tolist() == [5] * 3
    assert pg.memory_stats(device)["in_use"] <= before + 4096  # constants


def test_a_function_works_again_after_an_exception(tensor):
    bad = [True]

    def sometimes(x):
        if bad:
            raise Oops("not yet")
        return x * 2

    f = pg.jit(lambda x: pg.pure_callback(sometimes, x, x) + 1)
    x = tensor(np.ones(2))
    y = pg.pure_callback(sometimes, x, x)
    for call in (lambda: f(x).numpy(), lambda: y.numpy()):
        with pytest.raises(Oops):
            call()
    bad.clear()
    assert f(x).numpy().tolist() == [3, 3] and y.numpy().tolist() == [2, 2]


def test_interrupts_pass(tensor):
    def interrupt(x):
        raise KeyboardInterrupt

    x = tensor(np.ones(2))
    with pytest.raises(KeyboardInterrupt):
        pg.jit(lambda x: pg.pure_callback(interrupt, x, x))(x).numpy()
    assert (x + 1).numpy().tolist() == [2, 2]


def test_there_is_no_derivative(tensor):
    x = tensor(np.ones(2))
    f = lambda x: pg.pure_callback(np.sin, x, x)
    for derive in (lambda f: pg.grad(lambda x: f(x).sum())(x), lambda f: pg.jvp(f, (x,), (x,))):
        for g in (f, pg.jit(f), pg.vmap(f), lambda x: pg.scan(lambda c, _: (f(c), None), x, None, length=2)[0]):
            text = message(pg.GradientError, lambda: derive(g))
            assert "sin" in text and "custom_jvp" in text and "stop_gradient" in text
    loss = f(x).sum()
    assert "sin" in message(pg.GradientError, lambda: pg.grads([x], loss))
    assert pg.grad(lambda x: (pg.stop_gradient(x) * x + f(pg.stop_gradient(x))).sum())(x).numpy().tolist() == [1, 1]
    assert (
        pg.grad(lambda x: pg.vmap(lambda r: r * f(pg.stop_gradient(r)))(x).sum())(x).numpy().tolist() == [np.sin(1)] * 2
    )
    assert pg.grad(lambda x: (x * pg.pure_callback(lambda v: np.ones(2), F64(2), pg.stop_gradient(x))).sum())(
        x
    ).numpy().tolist() == [1, 1]


def test_inside_of_custom_jvp(tensor, rng):
    """A function of SciPy with its derivative by a callback, too."""
    import scipy.special

    def bessel(order, x):
        return pg.pure_callback(lambda x: scipy.special.jv(order, x), x, x, vmap_method="broadcast_all")

    @pg.custom_jvp
    def j0(x):
        return bessel(0, x)

    j0.defjvp(lambda primals, tangents: (j0(*primals), -bessel(1, primals[0]) * tangents[0]))
    v = rng.normal(size=5)
    x, expected = tensor(v), -scipy.special.j1(v)
    for derive in (
        lambda x: pg.vmap(pg.grad(j0))(x),
        lambda x: pg.jit(pg.vmap(pg.grad(j0)))(x),
        lambda x: pg.grad(lambda x: j0(x).sum())(x),
        lambda x: pg.grad(lambda x: pg.map(j0, x).sum())(x),
        lambda x: pg.jvp(j0, (x,), (pg.ones_like(x),))[1],
        lambda x: pg.grad(lambda x: pg.checkpoint(j0)(x).sum())(x),
        lambda x: pg.grads([x], j0(x).sum())[0],
    ):
        np.testing.assert_allclose(derive(x).numpy(), expected, rtol=1e-12)


# ---- io_callback -------------------------------------------------------------------------------------


def test_io_callbacks_run_exactly_once_and_in_order(tensor):
    log = []

    def write(name):
        return lambda *x: log.append((name, *map(float, x)))

    @pg.jit
    def f(x):
        pg.io_callback(write("first"), None, x)
        used = pg.io_callback(lambda x: log.append(("read", float(x))) or x * 2, x, x)
        pg.io_callback(lambda x: log.append(("unused", float(x))) or x, x, x)
        pg.scan(
            lambda c, i: (pg.io_callback(write("step"), None, i), (c, None))[1], None, pg.arange(3.0, device=x.device)
        )
        pg.cond(x > 0, lambda: pg.io_callback(write("yes"), None), lambda: pg.io_callback(write("no"), None))
        pg.io_callback(write("last"), None, used)
        return used

    once = lambda x: [("first", x), ("read", x), ("unused", x), ("step", 0.0), ("step", 1.0), ("step", 2.0),
                      ("yes" if x > 0 else "no",), ("last", 2 * x)]  # fmt: skip
    for x in (1.0, -1.0, 2.0):
        log.clear()
        assert f(tensor(np.float64(x))).item() == 2 * x
        assert log == once(x)
    f(tensor(np.float64(1.0)))  # the result is not read
    assert log == once(2.0) + once(1.0)


def test_io_callbacks_outside_of_traced_functions(tensor):
    log, x = [], tensor(np.float64(2))
    pg.io_callback(lambda x: log.append(float(x)), None, x * 3)
    y = pg.io_callback(lambda x: log.append(float(x)) or x + 1, x, x)
    assert log == [6, 2]  # at once
    assert y.item() == 3 and (y + 1).item() == 4
    assert log == [6, 2]


def test_equal_effects_are_not_merged(tensor):
    log = []
    put = lambda x: log.append(float(x))

    @pg.jit
    def f(x):
        pg.io_callback(put, None, x)
        pg.io_callback(put, None, x)
        a = pg.io_callback(lambda: log.append("a") or np.float64(len(log)), F64())
        b = pg.io_callback(lambda: log.append("a") or np.float64(len(log)), F64())
        return a, b

    a, b = f(tensor(np.float64(1)))
    assert (a.item(), b.item()) == (3, 4) and log == [1, 1, "a", "a"]


def test_io_callbacks_in_loops(tensor):
    log = []
    counter = lambda: np.int32(log.append(1) or len(log))
    count = pg.ShapeDtypeStruct((), np.int32)

    def body(s):
        i = pg.io_callback(counter, count)
        return s[0] + 1, s[1] + i

    f = lambda n: pg.while_loop(lambda s: s[0] < n, body, (0, 0))[1]
    for g in (f, pg.jit(f)):
        log.clear()
        assert g(pg.as_tensor(4)).item() == 10
        assert len(log) == 4
    log.clear()
    outer = lambda c, _: (pg.scan(lambda c, _: (c + pg.io_callback(counter, count), None), c, None, length=3)[0], c)
    assert pg.scan(outer, 0, None, length=2)[0].item() == 21 and len(log) == 6


def test_io_callbacks_under_vmap_run_once_per_example(tensor):
    log = []
    f = lambda x: pg.io_callback(lambda x: log.append(float(x)) or x * 2, x, x)
    for g in (pg.vmap(f), pg.jit(pg.vmap(f))):
        log.clear()
        assert g(tensor(np.arange(3.0))).numpy().tolist() == [0, 2, 4]
        assert log == [0, 1, 2]
    log.clear()
    pg.vmap(lambda p, x: pg.cond(p, lambda x: x, lambda x: -x, x))(tensor(np.array([True, False])), tensor(np.ones(2)))
    pg.vmap(pg.vmap(f))(tensor(np.arange(4.0).reshape(2, 2))).numpy()
    assert log == [0, 1, 2, 3]


def test_effects_of_a_function_that_returns_nothing(tensor):
    log = []
    f = pg.jit(lambda x: pg.io_callback(lambda x: log.append(x.tolist()), None, x))
    assert f(tensor(np.ones(2))) is None and f(tensor(np.zeros(2))) is None
    assert log == [[1, 1], [0, 0]]


# ---- debug_print and debug_callback ------------------------------------------------------------------


def printed(capsys, f):
    capsys.readouterr()
    f()
    return capsys.readouterr().out.splitlines()


def test_printing_formats(tensor, capsys):
    x = tensor(np.array([1.0, 2.0]))
    show = lambda x: pg.debug_print("{} {total:.2f} {n:>3} {{}}", x, total=x.sum(), n=7)
    for f in (show, pg.jit(show)):
        assert printed(capsys, lambda: f(x)) == ["[1. 2.] 3.00   7 {}"]
    assert printed(capsys, lambda: pg.debug_print("{a[w]} {b[0]}", a={"w": tensor(np.int32(3))}, b=[x.sum()])) == [
        "3 3.0"
    ]
    assert printed(capsys, lambda: pg.debug_print("no values")) == ["no values"]


def test_printing_in_every_call_and_step(tensor, capsys):
    @pg.jit
    def f(x):
        pg.debug_print("x {}", x)
        return pg.scan(
            lambda c, v: (pg.debug_print("step {:g} {:g}", c, v), (c + v, None))[1], x, pg.arange(2.0, device=x.device)
        )[0]

    x = tensor(np.float64(5))
    for _ in range(3):
        assert printed(capsys, lambda: f(x)) == ["x 5.0", "step 5 0", "step 5 1"]


def test_printing_in_the_branch_that_is_taken(tensor, capsys):
    branch = lambda name, k: lambda x: (pg.debug_print(name + " {:g}", x), x * k)[1]
    f = lambda x: pg.cond(x > 0, branch("up", 2), branch("down", 3), x)
    for g in (f, pg.jit(f)):
        assert printed(capsys, lambda: g(tensor(1.0)).numpy()) == ["up 1"]
        assert printed(capsys, lambda: g(tensor(-1.0)).numpy()) == ["down -1"]
    h = lambda i: pg.switch(i, [lambda: pg.debug_print("0"), lambda: pg.debug_print("1"), lambda: pg.debug_print("2")])
    assert printed(capsys, lambda: pg.jit(h)(2)) == ["2"]


def test_printing_under_vmap_happens_for_each_example(tensor, capsys):
    f = lambda x, w: (pg.debug_print("{:g} {:g}", x, w), x * w)[1]
    x, w = tensor(np.arange(3.0)), tensor(np.float64(9))
    for g in (pg.vmap(f, in_axes=(0, None)), pg.jit(pg.vmap(f, in_axes=(0, None)))):
        assert printed(capsys, lambda: g(x, w).numpy()) == ["0 9", "1 9", "2 9"]


def derivatives(f, x):
    return {
        "grad": lambda: pg.grad(f)(x).numpy(),
        "value_and_grad": lambda: [y.numpy() for y in pg.value_and_grad(f)(x)],
        "jit of grad": lambda: pg.jit(pg.grad(f))(x).numpy(),
        "grad of jit": lambda: pg.grad(pg.jit(f))(x).numpy(),
        "jvp": lambda: [y.numpy() for y in pg.jvp(f, (x,), (x,))],
        "vjp": lambda: pg.vjp(f, x)[1](tensor_one(x))[0].numpy(),
        "grads": lambda: pg.grads([x], f(x))[0].numpy(),
        "grad of cond": lambda: pg.grad(lambda x: pg.cond(x > 0, f, lambda x: x, x))(x).numpy(),
        "grad of scan": lambda: pg.grad(lambda x: pg.scan(lambda c, _: (f(c), None), x, None, length=1)[0])(x).numpy(),
        "jvp of scan": lambda: pg.jvp(lambda x: pg.scan(lambda c, _: (f(c), None), x, None, length=1)[0], (x,), (x,)),
        "grad of grad": lambda: pg.grad(pg.grad(f))(x).numpy(),
        "hessian": lambda: pg.hessian(f)(x).numpy(),
    }


def tensor_one(x):
    return pg.ones_like(x)


@pytest.mark.parametrize("how", derivatives(None, None))
def test_derivatives_call_exactly_once(how, tensor, capsys):
    f = lambda x: (pg.debug_print("x {:g}", x), jnp.sin(x) * x)[1]
    x = tensor(np.float64(2))
    f(x).numpy()
    assert printed(capsys, derivatives(f, x)[how]) == ["x 2"]


def test_order_of_prints_and_callbacks(tensor, capsys):
    def f(x):
        for i in range(5):
            pg.debug_print("{}", i)
            pg.debug_callback(lambda i=i: print("callback", i))
        return x

    expected = [line for i in range(5) for line in (str(i), f"callback {i}")]
    for g in (f, pg.jit(f), pg.grad(f), pg.jit(pg.grad(f))):
        assert printed(capsys, lambda: g(tensor(1.0))) == expected


# ---- callbacks that use the library ------------------------------------------------------------------


def test_callbacks_may_compute_with_pequegrad(tensor, device):
    inner = pg.jit(lambda x: pg.scan(lambda c, _: (jnp.cos(c), None), x, None, length=3)[0])

    def callback(x):
        x = pg.Tensor(x, device=device)
        return inner(x).numpy() + pg.grad(lambda x: (x * x).sum())(x).numpy()

    x = np.array([0.5, 1.0])
    expected = np.cos(np.cos(np.cos(x))) + 2 * x
    f = lambda x: pg.pure_callback(callback, x, x)
    t = tensor(x)
    for g in (f, pg.jit(f), pg.jit(pg.vmap(f)), lambda x: pg.scan(lambda c, _: (f(c), None), x, None, length=1)[0]):
        np.testing.assert_allclose(g(t).numpy(), expected)
    nested = lambda x: pg.pure_callback(lambda v: f(pg.Tensor(v, device=device)).numpy(), x, x)
    np.testing.assert_allclose(pg.jit(nested)(t).numpy(), expected)


def test_a_callback_that_runs_while_something_is_traced(tensor, device):
    """Reading a value in a traced function runs the callback; its nodes are none of the function's."""
    other = tensor(np.ones(2))
    pending = pg.pure_callback(lambda x: (pg.Tensor(x, device=device) * 2).numpy(), other, other).sum()

    @pg.jit
    def f(x):
        return x * float(pending)

    f(tensor(np.ones(2)))
    f.print_trace(tensor(np.ones(2)))
    assert f(tensor(np.ones(2))).numpy().tolist() == [4, 4]


def test_callbacks_on_other_threads(tensor):
    """Each thread's calls see its own values, and callbacks of two threads may wait for each other."""
    barrier = threading.Barrier(2, timeout=20)
    found, errors = {}, []

    def meet(x):
        barrier.wait()
        return x + threading.current_thread().name.encode()[-1]

    f = pg.jit(lambda x: pg.pure_callback(meet, x, x) * 2)

    def work(i):
        try:
            x = tensor(np.full(2, float(i)))
            for _ in range(3):
                found[i] = f(x).numpy().tolist()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,), name=f"t{i}") for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert not errors
    assert found == {i: [2 * (i + ord(str(i)))] * 2 for i in range(2)}


def test_a_callback_may_use_another_thread(tensor, device):
    def delegate(x):
        out = []
        thread = threading.Thread(target=lambda: out.append((pg.Tensor(x, device=device) * 3).numpy()))
        thread.start()
        thread.join(20)
        return out[0]

    x = tensor(np.ones(2))
    assert pg.jit(lambda x: pg.pure_callback(delegate, x, x))(x).numpy().tolist() == [3, 3]


def test_callbacks_of_forgotten_functions_are_freed(tensor):
    import gc
    import weakref

    class Owner:
        def call(self, x):
            return x

    owner = Owner()
    ref = weakref.ref(owner)
    x = tensor(np.ones(2))
    pg.pure_callback(owner.call, x, x).numpy()
    f = pg.jit(lambda x, owner=owner: pg.pure_callback(owner.call, x, x))
    f(x).numpy()
    del f, owner
    gc.collect()
    assert ref() is None
