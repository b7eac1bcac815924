"""Complex tensors: making, reading, promotion, functions against NumPy, derivatives against JAX, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.dtype import canonical, dt, promote

COMPLEX = ("complex64", "complex128")
every_complex = pytest.mark.parametrize("dtype", COMPLEX)
TOLERANCE = {"complex64": 2e-6, "complex128": 1e-13}


@pytest.fixture
def numbers(rng):
    """numbers(*shape, dtype): random complex numbers of size about 1, away from 0."""

    def make(*shape, dtype="complex128"):
        radius, angle = rng.uniform(0.5, 1.5, shape), rng.uniform(-3, 3, shape)
        return (radius * np.exp(1j * angle)).astype(dtype)

    return make


# ---- values in and out -------------------------------------------------------------------------------


def test_making_and_reading(tensor):
    x = tensor([1 + 2j, 3])
    assert x.dtype == dt.complex64 and x.tolist() == [1 + 2j, 3 + 0j]
    assert tensor(1j).dtype == dt.complex64 and complex(tensor(2 - 1j)) == 2 - 1j == tensor(2 - 1j).item()
    assert tensor(np.array([1j])).dtype == dt.complex128
    assert tensor([1, 2], dtype="complex128").tolist() == [1, 2]
    assert canonical(complex) == dt.complex64 and canonical("complex128") == dt.complex128
    assert tensor([1.0]).astype(complex).dtype == dt.complex64
    assert pg.zeros((2,), dtype=dt.complex64).tolist() == [0, 0] and pg.full((2,), 1j).dtype == dt.complex64
    assert "0.+1.j" in repr(tensor([1j]).eval())
    z = pg.as_tensor(1j)
    assert z.weak_type and z.dtype == dt.complex64
    for wrong in (lambda: float(x[0]), lambda: int(x[0]), lambda: tensor([1j], dtype="float32"), lambda: pg.full((2,), 1j, "float32")):  # fmt: skip
        with pytest.raises(pg.DtypeError):
            wrong()


def test_the_sign_of_zero_in_a_number_matters(tensor):
    """1 - 0j and 1 + 0j are equal, but lie on different sides of the cut of sqrt."""
    x = tensor(np.array([-4.0 + 0j]))
    above, below = complex(0, 0.0), complex(-0.0, -0.0)
    for _ in range(2):
        assert (pg.sqrt(x * 0 + pg.as_tensor(complex(-4, 0.0), x.device))).item().imag == 2
        found = pg.as_tensor(complex(-4, -0.0), x.device).sqrt().item()
        assert found.imag == -2
    assert np.signbit(pg.as_tensor(below).numpy().imag) and not np.signbit(pg.as_tensor(above).numpy().imag)


def test_conversions(tensor, numbers):
    z = numbers(3, 4)
    for dtype in ("float32", "float64", "int32", "complex64", "bool"):
        expected = z != 0 if dtype == "bool" else z.astype(dtype) if dtype == "complex64" else z.real.astype(dtype)
        np.testing.assert_array_equal(tensor(z).astype(dtype).numpy(), expected)
    for dtype in ("bool", "int8", "uint64", "float16", "bfloat16", "float64"):
        x = tensor(np.array([0, 1, 3]).astype(getattr(dt, "bool_" if dtype == "bool" else dtype)))
        assert x.astype("complex64").tolist() == ([0, 1, 1] if dtype == "bool" else [0, 1, 3])


def test_promotion_with_numbers(tensor):
    for name, expected in (("bool", "complex64"), ("int64", "complex64"), ("float16", "complex64"), ("float64", "complex128"),
                           ("complex64", "complex64"), ("complex128", "complex128")):  # fmt: skip
        x = tensor(np.ones(2, name))
        for y in (x + 1j, 1j + x, x * 1j, pg.where(x == 1, x, 1j), x - 1j, 1j - x, x / 1j):
            assert y.dtype.name == expected
    assert promote((dt.complex64, False), (dt.float64, False))[0] == dt.complex128
    for real in (2, 2.5, True):
        assert (tensor([1j]) * real).dtype == dt.complex64
        assert (tensor(np.array([1j])) / real).dtype == dt.complex128


# ---- functions ---------------------------------------------------------------------------------------

UNARY = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "negative": np.negative,
    "rsqrt": lambda z: 1 / np.sqrt(z), "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "real": np.real, "imag": np.imag,
    "conj": np.conj, "angle": np.angle, "abs": np.abs, "sign": np.sign, "isfinite": np.isfinite, "isnan": np.isnan,
}  # fmt: skip


@every_complex
@pytest.mark.parametrize("name", UNARY)
def test_functions(tensor, numbers, name, dtype):
    z = numbers(4, 5, dtype=dtype)
    wide = UNARY[name](z.astype(np.complex128))
    for given, expected in ((tensor(z), wide), (tensor(z).T, wide.T), (tensor(z)[::2, 1:], wide[::2, 1:]), (tensor(z)[:0], wide[:0])):  # fmt: skip
        found = getattr(pg, name)(given)
        assert found.dtype == (UNARY[name](z).dtype if name != "sign" else z.dtype)
        np.testing.assert_allclose(found.numpy(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@every_complex
def test_special_values(tensor, dtype):
    z = np.array([complex(np.inf, 0), complex(0, np.nan), 1 - 1j, complex(np.nan, np.inf)]).astype(dtype)
    x = tensor(z)
    assert pg.isnan(x).tolist() == [False, True, False, True] and pg.isfinite(x).tolist() == [False, False, True, False]
    assert (x == x).tolist() == [True, False, True, False] and (x != x).tolist() == [False, True, False, True]
    assert abs(x).tolist()[0] == np.inf and pg.angle(tensor([-1.0, 2.0, 0.0])).tolist() == [pytest.approx(np.pi), 0, 0]


@every_complex
def test_arithmetic(tensor, numbers, dtype):
    x, y, v = numbers(3, 4, dtype=dtype), numbers(3, 4, dtype=dtype), numbers(4, dtype=dtype)
    for a, b in ((x, y), (x, v), (x.T, v[:3]), (x[:, ::-2], y[:, :2]), (x[:0], v)):
        for f in (np.add, np.subtract, np.multiply, np.divide, np.power):
            name = f.__name__
            found = getattr(pg, name)(tensor(a), tensor(b)).numpy()
            np.testing.assert_allclose(found, f(a, b), rtol=20 * TOLERANCE[dtype], atol=TOLERANCE[dtype])
        assert (tensor(a) == tensor(b)).tolist() == (a == b).tolist()
    for exponent in (0, 1, 2, 3, -1, 0.5, 1j, 2.0):
        np.testing.assert_allclose((tensor(x) ** exponent).numpy(), x**exponent, rtol=20 * TOLERANCE[dtype])
    np.testing.assert_allclose((2 ** tensor(x)).numpy(), 2**x, rtol=20 * TOLERANCE[dtype])
    parts = tensor(x).real, tensor(x).imag
    np.testing.assert_array_equal(pg.complex(*parts).numpy(), x)
    assert pg.complex(tensor([1]), 2.0).dtype == dt.complex64 and tensor([1.0]).imag.tolist() == [0]


@every_complex
def test_reductions(tensor, numbers, dtype):
    x = numbers(3, 4, 5, dtype=dtype)
    for axis, keep in itertools.product((None, 0, -1, (0, 2)), (False, True)):
        for name in ("sum", "prod", "mean", "var", "std"):
            found = getattr(pg, name)(tensor(x), axis, keep)
            expected = getattr(np, name)(x.astype(np.complex128), axis, keepdims=keep)
            assert found.dtype == (x.real.dtype if name in ("var", "std") else x.dtype)
            np.testing.assert_allclose(found.numpy(), expected, rtol=50 * TOLERANCE[dtype], atol=20 * TOLERANCE[dtype])
    mask = tensor(np.array([[0, 1j], [0, 0]], dtype))
    assert mask.any(axis=1).tolist() == [True, False] and mask.all(axis=0).tolist() == [False, False]
    assert pg.norm(tensor(np.array([3, 4j], dtype))).item() == 5
    assert tensor(np.zeros((0, 2), dtype)).sum(0).tolist() == [0, 0]


@every_complex
def test_matmul(tensor, numbers, dtype):
    for a, b in (((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)),
                 ((1, 2, 3), (6, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 2))):  # fmt: skip
        x, y = numbers(*a, dtype=dtype), numbers(*b, dtype=dtype)
        np.testing.assert_allclose(
            (tensor(x) @ tensor(y)).numpy(), x @ y, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype]
        )
    x, y = numbers(4, 3, dtype=dtype), np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose((tensor(x) @ tensor(y)).numpy(), x @ y, rtol=10 * TOLERANCE[dtype])
    np.testing.assert_allclose(
        pg.tensordot(tensor(x), tensor(x), ((0, 1), (0, 1))).item(), (x * x).sum(), rtol=10 * TOLERANCE[dtype]
    )


@every_complex
def test_indexing_and_shapes(tensor, numbers, dtype):
    x = numbers(4, 3, dtype=dtype)
    t = tensor(x)
    index = np.array([2, 0, 2])
    np.testing.assert_array_equal(t[index].numpy(), x[index])
    np.testing.assert_array_equal(t[t.real > 0].numpy(), x[x.real > 0])
    for name, f in (("set", None), ("add", np.add), ("multiply", np.multiply)):
        expected = x.copy()
        if f is None:
            expected[index] = 1j
        else:
            f.at(expected, index, 1j)
        np.testing.assert_allclose(getattr(t.at[index], name)(1j).numpy(), expected, rtol=TOLERANCE[dtype])
    t[1:3, ::2] = 2 - 1j
    x[1:3, ::2] = 2 - 1j
    np.testing.assert_array_equal(t.numpy(), x)
    np.testing.assert_array_equal(
        pg.concatenate([t, t.T.reshape(4, 3)]).numpy(), np.concatenate([x, x.T.reshape(4, 3)])
    )
    np.testing.assert_array_equal(pg.pad(t, (1, 2), 1j).numpy(), np.pad(x, (1, 2), constant_values=1j))
    np.testing.assert_array_equal(pg.where(t.imag > 0, t, 0).numpy(), np.where(x.imag > 0, x, 0))
    filled = t.at[np.array([9])].get().numpy()
    assert filled.shape == (1, 3) and filled.dtype == x.dtype
    real = tensor([1.0, 2.0])
    with pytest.raises(pg.DtypeError, match="does not fit"):
        real[0] = 1j
    with pg.no_grad(), pytest.raises(pg.DtypeError, match="does not fit"):
        real *= 1j


def test_functions_that_need_an_order_or_reals_refuse(tensor):
    x = tensor([1j, 2])
    for f in (pg.maximum, pg.minimum, pg.less, pg.greater_equal, pg.remainder, pg.floor_divide, pg.arctan2):
        with pytest.raises(pg.DtypeError, match="complex64"):
            f(x, x)
    for f in (pg.floor, pg.round, pg.erf, pg.erfc, pg.erf_inv, pg.cbrt, pg.max, pg.min, pg.argmax, pg.argmin, pg.softmax,
              pg.log_softmax, pg.lgamma, pg.digamma, pg.relu):  # fmt: skip
        with pytest.raises(pg.DtypeError, match="complex64"):
            f(x)
    with pytest.raises(pg.DtypeError, match="order"):
        x.at[np.array([0])].max(1j)
    with pytest.raises(pg.DtypeError, match=r"x\.real, x\.imag, abs"):
        x < x  # noqa: B015


def test_jit_and_vmap(tensor, numbers):
    x = numbers(3, 4)
    f = lambda z: pg.exp(z * 1j) + z.conj() * abs(z) + complex(0, -0.0)  # noqa: E731
    expected = np.exp(x * 1j) + x.conj() * abs(x)
    for g in (f, pg.jit(f), pg.vmap(f), pg.jit(pg.vmap(f))):
        np.testing.assert_allclose(g(tensor(x)).numpy(), expected, rtol=1e-13)


# ---- derivatives -------------------------------------------------------------------------------------

HOLOMORPHIC = [
    "exp", "exp2", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh",
]  # fmt: skip
JAX_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}  # fmt: skip


def in_jax(f, *arrays):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, f(*map(jnp.asarray, arrays)))


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_derivatives_of_holomorphic_functions(tensor, numbers, name):
    """The transpose is bilinear, so that grads gives f'(z) ct, as jax.grad(holomorphic=True)."""
    z = numbers(6)
    if name == "acosh":  # left of the imaginary axis JAX gives the derivative of the other branch
        z = np.where(z.real < 0, -z, z)
    (found,) = pg.grads([x := tensor(z)], getattr(pg, name)(x), np.ones_like(z))
    f = getattr(jnp, JAX_NAMES.get(name, name))
    expected = in_jax(jax.vmap(jax.grad(f, holomorphic=True)), z)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11)


REAL_VALUED = {
    "abs": (lambda z: pg.abs(z).sum(), lambda z: jnp.abs(z).sum()),
    "square of abs": (lambda z: (pg.real(z) ** 2 + pg.imag(z) ** 2).sum(), lambda z: (jnp.real(z) ** 2 + jnp.imag(z) ** 2).sum()),
    "real of exp": (lambda z: pg.exp(z).real.sum(), lambda z: jnp.exp(z).real.sum()),
    "imag of log": (lambda z: pg.log(z).imag.sum(), lambda z: jnp.log(z).imag.sum()),
    "conj": (lambda z: (z * z.conj()).real.sum(), lambda z: (z * z.conj()).real.sum()),
    "angle": (lambda z: pg.angle(z).sum(), lambda z: jnp.angle(z).sum()),
    "product": (lambda z: abs(z.prod()), lambda z: jnp.abs(z.prod())),
    "matmul": (lambda z: abs(z.reshape(2, 3) @ z.reshape(3, 2)).sum(), lambda z: jnp.abs(z.reshape(2, 3) @ z.reshape(3, 2)).sum()),
    "quotient": (lambda z: abs((z + 2) / z[::-1]).sum(), lambda z: jnp.abs((z + 2) / z[::-1]).sum()),
    "power": (lambda z: (z ** (1 + 1j)).real.sum(), lambda z: (z ** (1 + 1j)).real.sum()),
    "gather": (lambda z: abs(z[np.array([0, 0, 3])] ** 2).sum(), lambda z: jnp.abs(z[np.array([0, 0, 3])] ** 2).sum()),
    "convert": (lambda z: (z.real.astype(dt.complex128) * z).imag.sum(), lambda z: (z.real.astype("complex128") * z).imag.sum()),
    "variance": (lambda z: z.var(), lambda z: z.var()),
    "select": (lambda z: abs(pg.where(z.real > 0, z * z, z)).sum(), lambda z: jnp.abs(jnp.where(z.real > 0, z * z, z)).sum()),
    "at 0": (lambda z: abs(z * 0).sum(), lambda z: jnp.abs(z * 0).sum()),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL_VALUED)
def test_gradients_of_real_functions_of_complex_numbers(tensor, numbers, name):
    z = numbers(6)
    ours, theirs = REAL_VALUED[name]
    (found,) = pg.grads([x := tensor(z)], ours(x))
    np.testing.assert_allclose(found.numpy(), in_jax(jax.grad(theirs), z), rtol=1e-10, atol=1e-12)
    direction = numbers(6)
    _, tangent = pg.jvp(ours, (tensor(z),), (tensor(direction),))
    _, expected = in_jax(lambda z, d: jax.jvp(theirs, (z,), (d,)), z, direction)
    assert tangent.dtype == np.float64
    np.testing.assert_allclose(tangent.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_cotangents_of_mixed_functions(tensor, numbers, rng):
    """Real to complex, complex to complex and neither holomorphic: jax.vjp for any cotangent."""
    z, x, ct = numbers(5), rng.normal(size=5), numbers(5)
    cases = [
        (lambda z, x: pg.complex(x, x * 2) * z.conj(), lambda z, x: jax.lax.complex(x, x * 2) * z.conj()),
        (lambda z, x: x * z + pg.exp(1j * x), lambda z, x: x * z + jnp.exp(1j * x)),
        (lambda z, x: pg.complex(z.imag, x) / abs(z), lambda z, x: jax.lax.complex(z.imag, x) / jnp.abs(z)),
    ]
    for ours, theirs in cases:
        _, pullback = pg.vjp(ours, tensor(z), tensor(x))
        found = pullback(tensor(ct))
        expected = in_jax(lambda z, x, ct, f=theirs: jax.vjp(f, z, x)[1](ct), z, x, ct)
        for a, b in zip(found, expected):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-12, atol=1e-13)


def test_second_derivatives(tensor, numbers):
    z, v = numbers(4), numbers(4)

    def slope(x):
        (g,) = pg.grads([x], (abs(x) ** 3 + pg.real(pg.sin(x))).sum())
        return (g * tensor(v)).real.sum()

    x = tensor(z)
    (found,) = pg.grads([x], slope(x))
    theirs = lambda z: (jnp.abs(z) ** 3 + jnp.sin(z).real).sum()  # noqa: E731
    expected = in_jax(lambda z, v: jax.grad(lambda z: (jax.grad(theirs)(z) * v).real.sum())(z), z, v)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)
