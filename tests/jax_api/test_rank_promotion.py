"""jax_numpy_rank_promotion: arrays of different ranks, neither a scalar, are refused, or there is a warning."""

import operator

import jax
import numpy as np
import pytest

import pequegrad.jax_api as pj

A, V = np.ones((2, 3), np.int32), np.ones(3, np.int32)
OPERATORS = "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift eq ne lt le gt ge iadd".split()
FUNCTIONS = "add multiply bitwise_or logical_and maximum arctan2 true_divide power isclose where logaddexp hypot right_shift fmod divmod".split()
CALLS = {
    **{name: lambda m, x, y, name=name: getattr(operator, name)(x, y) for name in OPERATORS},
    **{f"jnp.{name}": lambda m, x, y, name=name: getattr(m.numpy, name)(*((x > 0,) if name == "where" else ()), x, y) for name in FUNCTIONS},
    "jit": lambda m, x, y: m.jit(lambda x, y: x * y)(x, y), "vmap": lambda m, x, y: m.vmap(lambda x: x + y)(x), "xlogy": lambda m, x, y: m.scipy.special.xlogy(x, y),
    "clip": lambda m, x, y: m.numpy.clip(x, y, 3),
    # what the library does with arrays of different ranks is no matter of the user
    "softmax": lambda m, x, y: m.nn.softmax(x), "var": lambda m, x, y: m.numpy.var(x, axis=1), "einsum": lambda m, x, y: m.numpy.einsum("ij,kj", x, x),
    "expm": lambda m, x, y: m.scipy.linalg.expm(m.numpy.eye(3)), "normal": lambda m, x, y: m.random.normal(m.random.key(0), (2, 3)),
}  # fmt: skip


def outcome(m, call, x, y):
    with m.numpy_rank_promotion("raise"):
        try:
            call(m, m.numpy.asarray(x), m.numpy.asarray(y))
        except (TypeError, ValueError) as error:
            assert "rank_promotion" in str(error), error
            return "refused"


@pytest.mark.parametrize("name", CALLS)
def test_as_jax(name):
    for x, y in ((A, V), (A, A)):
        assert outcome(pj, CALLS[name], x, y) == outcome(jax, CALLS[name], x, y)


def test_warnings_and_the_way_back():
    x, y = pj.numpy.asarray(A), pj.numpy.asarray(V)
    plain = vars(pj.Array)["__add__"]
    with pj.numpy_rank_promotion("warn"):
        for call in (lambda: x + y, lambda: pj.numpy.add(x, y), lambda: pj.numpy.hypot(x, y)):
            with pytest.warns(UserWarning, match="rank promotion") as found:
                call()
            assert found[0].filename == __file__
        (x + 1, x + pj.numpy.float32(2), x + x)
    assert vars(pj.Array)["__add__"] is plain
    x + y
