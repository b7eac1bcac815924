"""check_grads accepts right derivatives of every dtype and order, and says what is wrong about wrong ones."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.primitives import PRIMITIVES, primitive
from pequegrad.primitives.mathematical import Floating


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_right_derivatives_pass(tensor, name):
    x, y = tensor([0.5, 1.0, 1.5], name), tensor([[1.0], [0.25]], name)
    for f in (
        lambda x, y: pg.sin(x) * y,
        lambda x, y: {"a": (x @ x) * y, "b": [pg.exp(-y), x.sum()]},
        lambda x, y: x * 0 + 3,
    ):
        pg.check_grads(f, (x, y), order=1 if name[-2:] == "16" else 2)
    pg.check_grads(lambda x: pg.tanh(x["w"]), ({"w": x},), order=2, modes=("fwd",))
    pg.check_grads(lambda x: pg.tanh(x), (x,), modes=("rev",))


def test_third_order_and_other_arguments(tensor):
    x = tensor(np.array([0.3, -0.7]))
    pg.check_grads(lambda x, n: pg.sin(x * x)[n], (x, tensor(np.int32([1, 0]))), order=3)
    pg.check_grads(lambda x: (x, x > 0), (x,))
    pg.check_grads(pg.sin, (0.5,), order=2)
    pg.check_grads(lambda x: x.sum(), (tensor(np.zeros((0, 2))),), order=2)


@pytest.fixture
def wrong():
    """Primitives with one wrong rule each."""

    @primitive
    class wrong_jvp(Floating):
        def jvp(primals, tangents, out):
            return tangents[0] * 2.0

        def lower(x):
            return "alias", ()

    @primitive
    class wrong_transpose(Floating):
        linear = "together"

        def jvp(primals, tangents, out):
            return wrong_transpose(tangents[0])

        def transpose(ct, x):
            return (ct * 3.0,)

        def lower(x):
            return "alias", ()

    yield wrong_jvp, wrong_transpose
    del PRIMITIVES["wrong_jvp"], PRIMITIVES["wrong_transpose"]


def test_wrong_derivatives_are_named(tensor, wrong):
    wrong_jvp, wrong_transpose = wrong
    x, y = tensor(np.array([1.0, 2.0])), tensor(np.array([3.0, 4.0]))
    with pytest.raises(
        pg.GradientCheckError, match=r"order 1, mode 'fwd', argument 1: the jvp of result 0 at \[\d\] is .*, the finite"
    ) as caught:
        pg.check_grads(lambda x, y: x * wrong_jvp(y), (x, y))
    assert isinstance(caught.value, AssertionError) and "atol=1e-06, rtol=1e-06" in str(caught.value)
    with pytest.raises(pg.GradientCheckError, match="order 1, mode 'rev', argument 0: the vjp is .*, the jvp is"):
        pg.check_grads(lambda x, y: wrong_transpose(x) * y, (x, y))
    pg.check_grads(lambda x, y: wrong_transpose(x) * y, (x, y), modes=("fwd",))
    with pytest.raises(pg.GradientCheckError, match="mode 'rev', argument 0: the vjp is .*, the finite difference is"):
        pg.check_grads(lambda x, y: wrong_transpose(x) * y, (x, y), modes=("rev",))
    with pytest.raises(pg.GradientCheckError, match=r"order 2 of the derivative by fwd, mode 'fwd', argument 0"):
        pg.check_grads(lambda x: pg.stop_gradient(x) * x - pg.stop_gradient(x * x) / 2, (x,), order=2)


def test_nan_is_no_derivative(tensor):
    with pytest.raises(pg.GradientCheckError, match="nan"):
        pg.check_grads(lambda x: x + pg.sqrt(x * 0), (tensor([1.0, 2.0]),))


def test_errors(tensor):
    x = tensor([1.0])
    for f, message in (
        (lambda: pg.check_grads(pg.sin, x), "args must be a tuple"), (lambda: pg.check_grads(pg.sin, (x,), modes=("forward",)), "modes"),
        (lambda: pg.check_grads(pg.sin, (x,), order=0), "order=0"), (lambda: pg.check_grads(pg.abs, (tensor(np.int32([1])),)), "no argument"),
    ):  # fmt: skip
        with pytest.raises(pg.ArgumentError, match=message):
            f()
