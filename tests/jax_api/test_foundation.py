"""Arrays of jax_api: what they are, how they mix with tensors and NumPy, and what transforms make of them."""

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp


@pytest.fixture
def x():
    return jnp.array([1.0, 2.0, 3.0])


def test_what_is_computed_with_an_array_is_an_array(x):
    for y in (
        x + 1,
        1 + x,
        np.ones(3) + x,
        x * np.float64(2),
        jnp.sin(x),
        x.T,
        x[0],
        -x,
        x @ x,
        pg.Tensor([1.0, 1, 1]) + x,
    ):
        assert isinstance(y, pj.Array)
        assert y.dtype == np.float32
    assert not isinstance(pg.Tensor([1.0]) + 1, pj.Array)
    assert isinstance(np.sin(x), np.ndarray)


def test_arrays_print_like_jax(x):
    assert repr(x) == "Array([1., 2., 3.], dtype=float32)"
    assert str(x) == "[1. 2. 3.]"
    assert f"{x[0]:.2f}" == "1.00"
    assert repr(jnp.array(1)) == "Array(1, dtype=int32, weak_type=True)"


def test_arrays_do_not_change(x):
    with pytest.raises(TypeError, match="immutable"):
        x[0] = 1.0
    before = x
    x += 1
    assert before[0] == 1 and x[0] == 2


@pytest.mark.parametrize(
    "transform", [pj.jit, pj.vmap, lambda f: pj.jit(pj.vmap(f)), pj.grad, lambda f: pj.jit(pj.grad(f))]
)
def test_traced_arguments_are_arrays(transform):
    seen = []

    def f(x):
        seen.append(type(x))
        return (x * x).sum()

    value = transform(f)(np.ones((2, 3)))
    assert set(seen) == {pj.Array}
    assert isinstance(value, pj.Array) and value.dtype == np.float32


def test_x64():
    f = pj.jit(lambda x: x * 2)
    assert f(1.0).dtype == np.float32
    with pj.config.temporarily("jax_enable_x64", True):
        assert jnp.array([1.0]).dtype == np.float64
        assert f(1.0).dtype == np.float64
        assert (jnp.array([1]) + 1.5).dtype == np.float64
    assert f(1.0).dtype == np.float32
    assert jnp.array(np.ones(2)).dtype == np.float32
