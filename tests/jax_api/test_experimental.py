"""jax.experimental.jet and checkify against JAX."""

import jax
import numpy as np
import pytest
from conftest import FULL
from jax.experimental import checkify as theirs_checkify
from jax.experimental import jet as theirs_jet

import pequegrad.jax_api as pj

BOTH = ((pj, pj.experimental.checkify), (jax, theirs_checkify))
X = np.array([0.5, 1.5, 0.9], np.float32)
Y = np.array([[0.3, 0.2, 1.0], [0.1, 0.5, 0.7], [2.0, 0.4, 0.6]], np.float32)

# ---- jet ---------------------------------------------------------------------------------------------------

UNARY = (
    "exp log sin cos tanh sqrt sinh cosh arcsin arctan log1p expm1 square reciprocal abs sign floor cbrt exp2".split()
)
PROGRAMS = {
    **{name: lambda m, x, name=name: getattr(m.numpy, name)(x * 0.5) for name in UNARY},
    "logistic": lambda m, x: m.nn.sigmoid(x), "erf": lambda m, x: m.scipy.special.erf(x), "lgamma": lambda m, x: m.lax.integer_pow(x, 3),
    "power": lambda m, x: x**2.5 + 2.0**x, "quotient": lambda m, x: x / (1 + x * x), "dot": lambda m, x: Y @ x, "softmax": lambda m, x: m.nn.softmax(x),
    "sums": lambda m, x: m.numpy.cumsum(x) * m.numpy.sum(x), "logsumexp": lambda m, x: m.scipy.special.logsumexp(x), "max": lambda m, x: m.numpy.max(x) * x,
    "sort": lambda m, x: m.numpy.sort(x) ** 2, "select": lambda m, x: m.numpy.where(x > 1, x**2, m.numpy.sin(x)), "indices": lambda m, x: x[::-1] * x[m.numpy.array([0, 2, 1])],
    "shapes": lambda m, x: m.numpy.outer(x, x).T.reshape(9)[1:7], "tree": lambda m, x: {"a": x * x, "b": (x + 1, m.numpy.prod(x))}, "maximum": lambda m, x: m.numpy.maximum(x, x[::-1]),
    "atan2": lambda m, x: m.numpy.arctan2(x, x[::-1] + 1), "complex": lambda m, x: m.numpy.real(m.numpy.exp(x * 1j)), "concatenate": lambda m, x: m.numpy.concatenate([x, x * x]),
}  # fmt: skip
SOME = PROGRAMS if FULL else list(PROGRAMS)[::3]


@pytest.mark.parametrize("order", [1, 3])
def test_jet(order):
    series = ([np.array([0.3, -0.2, 0.1], np.float32) * (k + 1) for k in range(order)],)
    for scaled in (True, False) if FULL else (True,):
        everything = lambda root, module: (
            lambda x: {
                name: _jet_of(root, module, PROGRAMS[name], x, series, scaled)
                for name in SOME  # noqa: B023
            }
        )
        ours = everything(pj, pj.experimental.jet)(pj.numpy.asarray(X))
        theirs = jax.jit(everything(jax, theirs_jet))(X)
        for name in SOME:
            if theirs[name] is not None:
                for a, b in zip(*map(jax.tree_util.tree_leaves, (ours[name], theirs[name])), strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4, err_msg=name)


def _jet_of(root, module, program, x, series, scaled):
    try:
        return module.jet(lambda x: program(root, x), (x,), series, factorial_scaled=scaled)
    except (NotImplementedError, KeyError):  # JAX has no rule for some
        if root is jax:
            return None
        raise


def test_jet_refuses():
    for module in (pj.experimental.jet, theirs_jet):
        for args in (((0.5, 0.5), ([1.0], [1.0, 2.0])), ((1,), ([1.0],)), ((0.5,), (1.0,))):
            with pytest.raises((ValueError, TypeError)):
                module.jet(lambda *xs: sum(xs), *args)


# ---- checkify ----------------------------------------------------------------------------------------------


def messages(program, *inputs, jit=True, **options):
    """What errors of the checkified program say, for each of the inputs, in both libraries; also under jit."""
    found = []
    for root, checkify in BOTH:
        checked = checkify.checkify(lambda *args: program(root, checkify, *args), **options)  # noqa: B023
        for f in (checked, root.jit(checked)) if jit else (checked,):
            rows = []
            for args in inputs:
                error, out = f(*map(root.numpy.asarray, args))
                text = error.get()
                rows.append(
                    (text and text.splitlines()[0], [np.asarray(x).tolist() for x in jax.tree_util.tree_leaves(out)])
                )
            found.append(rows)
    assert all(rows == found[-1] for rows in found), found
    return [text for text, _ in found[0]]


def test_checks_in_scan():
    def program(m, checkify, x):
        def step(total, v):
            checkify.check(v > 0, "{v} after {total}", v=v, total=total)
            return total + v, total

        return m.lax.scan(step, 0.0, x)

    first, second = messages(program, (X,), (np.array([1.0, -2.0, -3.0], np.float32),))
    assert first is None and second == "-2.0 after 1.0 (`check` failed)"


def test_checks_in_loops_and_branches():
    def loop(m, checkify, n):
        def step(state):
            i, x = state
            checkify.check(x < 20, "{x} at {i}", x=x, i=i)
            return i + 1, x * 2

        return m.lax.while_loop(lambda s: s[0] < n, step, (m.numpy.int32(0), m.numpy.float32(1)))

    assert messages(loop, (np.int32(3),), (np.int32(9),)) == [None, "32.0 at 5 (`check` failed)"]

    def counted(m, checkify, x):
        def step(i, x):
            checkify.check(i + x < 6, "at {}", i)
            return x + 1

        return m.lax.fori_loop(0, 4, step, x)

    assert messages(counted, (np.int32(0),), (np.int32(2),)) == ["at 3 (`check` failed)", "at 2 (`check` failed)"]

    def branch(m, checkify, x):
        def on_true(x):
            checkify.check(x < 2, "large {x}", x=x)
            return x

        def on_false(x):
            checkify.check(x > -2, "small")
            return -x

        return m.lax.cond(x > 0, on_true, on_false, x)

    inputs = [(np.float32(v),) for v in (1, 3, -1, -3)]
    assert messages(branch, *inputs) == [None, "large 3.0 (`check` failed)", None, "small (`check` failed)"]

    def nested(m, checkify, x):
        def step(c, v):
            return m.lax.cond(v > 1, lambda: branch(m, checkify, v), lambda: v) + c, None

        total, _ = m.lax.scan(step, 0.0, x)
        checkify.check(total < 100, "total")
        return total

    assert messages(nested, (X,), (np.array([1, 7, 9], np.float32),), (np.array([1.5, 1, 99], np.float32),)) == [
        None, "large 7.0 (`check` failed)", "large 99.0 (`check` failed)",
    ]  # fmt: skip


def test_automatic_checks_in_scan():
    def program(m, checkify, x):
        return m.lax.scan(lambda c, v: (c + m.numpy.log(v), None), 0.0, x)[0]

    for root, checkify in BOTH:
        f = checkify.checkify(lambda x: program(root, checkify, x), errors=checkify.float_checks)  # noqa: B023
        assert f(root.numpy.asarray(X))[0].get() is None
        assert f(root.numpy.asarray(-X))[0].get().startswith("nan generated by primitive: log")


def test_checks_with_gradients_and_repeated_calls():
    def f(m, checkify, x):
        def step(c, v):
            checkify.check(v > 0, "bad {v}", v=v)
            return c * v, None

        return m.lax.scan(step, 1.0, x)[0]

    checkify = pj.experimental.checkify
    for call in (
        pj.grad,
        pj.value_and_grad,
    ):  # JAX loses the check of a function of which only the gradient is asked for
        checked = pj.jit(checkify.checkify(call(lambda x: f(pj, checkify, x))))
        for sign in (1, -1) * 4:  # what one call finds is not there in the next
            error, found = checked(pj.numpy.asarray(sign * X))
            assert (error.get() is None) == (sign > 0)
            np.testing.assert_allclose(found if call is pj.grad else found[1], [1.35, 0.45, 0.75], rtol=1e-5)
    for root, checkify in BOTH:
        mapped = root.vmap(checkify.checkify(lambda x: f(root, checkify, x)))  # noqa: B023
        error, _ = mapped(root.numpy.asarray(np.stack([X, -X, X])))
        assert error.get() == "at mapped index 1: bad -0.5 (`check` failed)"
    with pytest.raises(NotImplementedError, match="vmap"):
        pj.experimental.checkify.checkify(pj.vmap(lambda x: pj.experimental.checkify.check(x > 0, "bad")))(X)
