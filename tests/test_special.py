"""Elementwise functions and activations at kinks, in the tails, on special values, in all dtypes, against JAX and NumPy."""

import itertools
import math

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import pytest

import pequegrad as pg

INF, NAN = math.inf, math.nan
FLOATS = ("float16", "bfloat16", "float32", "float64")
SPECIAL = np.array([0.0, -0.0, 1, -1, 0.5, 2, -3, 3, 6, 1e-3, -1e-5, 100, -100, 1e30, -1e30, INF, -INF, NAN, 0.25])
UNARY = {
    **{n: getattr(jax.nn, n) for n in ("softplus", "relu6", "elu", "celu", "selu", "leaky_relu", "hard_tanh", "hard_sigmoid", "hard_swish",
                                       "mish", "log_sigmoid", "soft_sign", "squareplus", "relu", "silu")},
    **{n: getattr(jnp, n) for n in ("log2", "log10", "square", "reciprocal", "deg2rad", "rad2deg", "sinc", "signbit", "isinf", "isposinf",
                                    "isneginf", "nan_to_num", "abs")},
    "logit": jax.scipy.special.logit,
}  # fmt: skip
BINARY = {
    **{n: getattr(jnp, n) for n in ("logaddexp", "logaddexp2", "hypot", "heaviside", "copysign", "fmax", "fmin", "logical_and", "logical_or",
                                    "logical_xor", "isclose", "floor_divide", "remainder", "fmod")},
    "xlogy": jax.scipy.special.xlogy, "xlog1py": jax.scipy.special.xlog1py,
}  # fmt: skip
# points at which JAX gives nan (or inf through nan), and the right derivative is known
BETTER = {"logaddexp", "logaddexp2", "hypot", "xlogy", "xlog1py"}


@pytest.mark.parametrize("name", UNARY)
def test_unary_at_special_values(tensor, name):
    ours, theirs = getattr(pg, name), UNARY[name]
    with jax.enable_x64(True):
        x = tensor(SPECIAL)
        out = ours(x)
        np.testing.assert_allclose(out.numpy(), np.asarray(theirs(SPECIAL)), rtol=1e-12, atol=1e-300)
        if out.dtype != np.float64:
            return
        # at nan the derivative is of no use; from 1e30 on, JAX's are rounded in other places
        known = ~np.isnan(SPECIAL)
        first = lambda f: jax.jit(jax.grad(lambda x: f(x).sum()))
        found, expected = pg.grads(x, out), np.asarray(first(theirs)(SPECIAL))
        np.testing.assert_allclose(
            found.numpy()[known], expected[known], rtol=1e-6 if name == "sinc" else 1e-10, atol=1e-16
        )
        if name in ("logit", "sinc"):  # JAX's second derivatives are nan at the poles and near 0
            return
        expected = np.asarray(first(first(theirs))(SPECIAL))
        known &= ~np.isnan(expected)
        known &= ~((SPECIAL == 0) & (name in ("elu", "celu", "selu")))  # a kink of the derivative: JAX gives a quarter
        found = pg.grads(x, found).numpy()
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-7, atol=1e-16)


@pytest.mark.parametrize("name", BINARY)
def test_binary_at_special_values(tensor, name):
    ours, theirs = getattr(pg, name), BINARY[name]
    x, y = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    with jax.enable_x64(True), np.errstate(all="ignore"):
        a, b = tensor(x), tensor(y)
        out = ours(a, b)
        expected = np.asarray(theirs(x, y))
        if name == "floor_divide":  # as the array API standard says; JAX has nan
            expected = np.where(np.isinf(x) & np.isfinite(y), x / y, expected)
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12, atol=1e-16)
        if out.dtype != np.float64 or name in ("floor_divide", "remainder", "fmod", "copysign", "heaviside"):
            return
        expected = jax.jit(jax.grad(lambda x, y: theirs(x, y).sum(), (0, 1)))(x, y)
        for found, e in zip(pg.grads([a, b], out), map(np.asarray, expected)):
            known = ~np.isnan(e) & np.isfinite(x) & np.isfinite(y) if name in BETTER else np.full(x.shape, True)
            known &= (
                ~((x == 0) & ~(y > 0)) if name == "xlogy" else ~((x == 0) & ~(y > -1)) if name == "xlog1py" else True
            )
            known &= ~((x == y) & (np.abs(x) > 1e20)) if name[:3] == "log" else True  # JAX: 1 + 1
            np.testing.assert_allclose(found.numpy()[known], e[known], rtol=1e-9, atol=1e-300)


def test_derivatives_where_formulas_fail(tensor):
    def grads(f, *xs):
        xs = [tensor(np.float64(x)) for x in xs]
        return [g.item() for g in pg.grads(xs, f(*xs))]

    assert grads(pg.logaddexp, -INF, -INF) == [0.5, 0.5] and grads(pg.logaddexp, INF, INF) == [0.5, 0.5]
    assert grads(pg.logaddexp, INF, 1) == [1, 0] and grads(pg.logaddexp, 1, INF) == [0, 1]
    assert grads(pg.logaddexp, -INF, 1) == [0, 1] and grads(pg.logaddexp2, 1, -INF) == [1, 0]
    assert grads(pg.xlogy, 0, 0) == [0, 0] and grads(pg.xlogy, 0, 1) == [0, 0] and grads(pg.xlogy, 0, math.e) == [1, 0]
    assert grads(pg.xlog1py, 0, -1) == [0, 0] and grads(pg.softplus, 1000) == [1] and grads(pg.softplus, -1000) == [0]
    assert grads(pg.log_sigmoid, -1000) == [1] and grads(pg.elu, 1000) == [1] and grads(pg.hypot, 1e200, 0) == [1, 0]
    second = lambda f, x: pg.fngrad(lambda x: pg.fngrad(f)(x)[0])(tensor(np.float64(x)))[0].item()
    assert second(pg.softplus, 0) == 0.25 and abs(second(pg.sinc, 0) + math.pi**2 / 3) < 1e-14
    assert second(lambda x: pg.logaddexp(x, 1.0), 1) == 0.25 and second(lambda x: pg.hypot(x, 3.0), 3) == pytest.approx(
        9 / 18**1.5
    )
    pg.check_grads(pg.sinc, (tensor(np.array([0.0, 1e-9, 0.159, 0.1592, 0.3, 1.0])),), order=3)


@pytest.fixture(scope="module")
def references():
    """name -> (arguments that all dtypes hold exactly, JAX's result in float64)."""
    rng = np.random.default_rng(0)
    x, y = (rng.integers(7, 58, 50) / 64 for _ in range(2))
    functions = {**UNARY, **BINARY}
    for jump in ("floor_divide", "remainder", "fmod", "isclose"):
        del functions[jump]
    arguments = {name: (x, y) if name in BINARY else (x,) for name in functions}
    with jax.enable_x64(True):
        return {name: (arguments[name], np.asarray(f(*arguments[name]))) for name, f in functions.items()}


@pytest.mark.parametrize("name", FLOATS)
def test_all_float_dtypes(tensor, name, references):
    dtype = getattr(pg.dt, name)
    tolerance = 8 * float(jnp.finfo(dtype).eps)
    for f, (arguments, expected) in references.items():
        found = getattr(pg, f)(*(tensor(v.astype(dtype)) for v in arguments))
        assert found.dtype in (dtype, np.dtype(bool))
        found, expected = found.numpy().astype("f8"), expected.astype("f8")
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=f)


@pytest.mark.parametrize("name", ("float16", "float32", "float64"))
def test_parts_of_floats(tensor, name, rng):
    """frexp and ldexp are exact, subnormal numbers included."""
    lowest = int(np.log2(float(np.finfo(name).smallest_subnormal)))
    with np.errstate(over="ignore", under="ignore"):
        x = (rng.normal(size=3000) * 2.0 ** rng.integers(max(lowest, -1060), -lowest // 2, 3000)).astype(name)
        x = np.concatenate([x, 2.0 ** np.arange(lowest, 8), SPECIAL.astype(name)]).astype(name)
        mantissa, exponent = pg.frexp(tensor(x))
        expected, powers = np.frexp(x)
        np.testing.assert_array_equal(mantissa.numpy(), expected)
        np.testing.assert_array_equal(exponent.numpy(), np.where(np.isfinite(x), powers, 0))
        assert exponent.dtype == np.int32
        n = rng.integers(-60, 60, x.size)
        np.testing.assert_array_equal(pg.ldexp(tensor(x), tensor(n)).numpy(), np.ldexp(x, n))
        assert pg.ldexp(
            tensor(np.array([1.0, 1.0, 0.0], name)), np.int32([2**31 - 1, -(2**31), 2**31 - 1])
        ).tolist() == [INF, 0, 0]


@pytest.mark.parametrize("name", ["int8", "int32", "int64", "uint8", "uint64"])
def test_integers(tensor, name):
    info = np.iinfo(name)
    values = np.array([info.max, info.max - 1, 0, 1, 2, 3, 7, info.min], name)
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    with jax.enable_x64(True):
        for f in ("floor_divide", "remainder", "fmod", "power", "fmax", "logical_xor", "isclose", "signbit", "square"):
            arguments = (x,) if f in ("signbit", "square") else (x, y)
            if f == "power":  # of negative exponents only the bits count
                arguments = (x, np.abs(y) & np.array(63, name))
            found, expected = getattr(pg, f)(*map(tensor, arguments)), getattr(jnp, f)(*arguments)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.numpy(), np.asarray(expected), err_msg=f)
    q, r = divmod(tensor(x[y != 0]), tensor(y[y != 0]))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(q.numpy(), x[y != 0] // y[y != 0])
        np.testing.assert_array_equal(r.numpy(), x[y != 0] % y[y != 0])
    assert divmod(7, tensor(np.int32([2])))[1].item() == 1
    assert (
        pg.reciprocal(tensor(np.int32([2]))).dtype == np.float32
        and pg.softplus(tensor(np.int32([2]))).dtype == np.float32
    )


def test_powers_of_integers(tensor):
    x = np.arange(-4, 5, dtype=np.int64)[:, None]
    y = np.arange(0, 64, dtype=np.int64)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal((tensor(x) ** tensor(y)).numpy(), x**y)
    assert (tensor(np.array([True, False])) ** tensor(np.int32([2]))).tolist() == [1, 0]
    assert (tensor(np.array([True, False])) ** 2).dtype == np.int32
    with pytest.raises(pg.DtypeError, match="bool"):
        tensor(np.array([True])) ** tensor(np.array([True]))


def test_comparisons_of_uint64_with_signed_integers(tensor):
    unsigned = np.array([0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1], np.uint64)[:, None]
    for name in ("int8", "int64"):
        signed = np.array([np.iinfo(name).min, -1, 0, 1, np.iinfo(name).max], name)
        for f in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
            np.testing.assert_array_equal(
                getattr(pg, f)(tensor(unsigned), tensor(signed)).numpy(), getattr(np, f)(unsigned, signed)
            )
            np.testing.assert_array_equal(
                getattr(pg, f)(signed, tensor(unsigned)).numpy(), getattr(np, f)(signed, unsigned)
            )
    assert (tensor(unsigned) > tensor(np.int64([-1]))).numpy().all()


def test_shifts(tensor):
    x, y = np.int32([-8, 8, 1, 1, -8, -1]), np.int32([1, 32, 31, -1, 40, 0])
    assert pg.left_shift(tensor(x), tensor(y)).tolist() == np.asarray(jnp.left_shift(x, y)).tolist()
    assert pg.right_shift(tensor(x), tensor(y)).tolist() == np.asarray(jnp.right_shift(x, y)).tolist()


def test_nan_to_num(tensor):
    x = np.float32([NAN, INF, -INF, 1])
    assert pg.nan_to_num(tensor(x), 1, 2, 3).tolist() == [1, 2, 3, 1]
    assert pg.nan_to_num(tensor(x)).tolist() == np.nan_to_num(x).tolist()
    assert pg.nan_to_num(tensor(np.int32([3]))).tolist() == [3]


def test_empty_arrays(tensor):
    for name in itertools.chain(UNARY, BINARY):
        arguments = (tensor(np.zeros((0, 2), "f4")),) * (2 if name in BINARY else 1)
        assert getattr(pg, name)(*arguments).shape == (0, 2)


def test_errors(tensor):
    x = tensor([1.0, 2, 3])
    for f, error, message in (
        (lambda: pg.glu(x), pg.ShapeError, "no halves"), (lambda: pg.ldexp(x, 1.5), pg.DtypeError, "integers"),
        (lambda: pg.where(x > 1), pg.ArgumentError, "where: x and y are missing"), (lambda: pg.nonzero(x), pg.ArgumentError, "not known"),
        (lambda: pg.logaddexp(x, tensor([1.0, 2])), pg.ShapeError, "broadcast"), (lambda: tensor(np.array([True])) % True, pg.DtypeError, "bool"),
        (lambda: tensor(np.array([True])) // True, pg.DtypeError, "bool"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            f()
