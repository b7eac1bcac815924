"""jax.numpy as a namespace of the Array API standard: what its official suite found, and where JAX goes another way.

The suite itself is run by `make array-api SUITE=checkout`; array_api_xfails.txt names what fails there, with reasons.
"""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp

from .agreement import agree

INF, NAN = np.inf, np.nan
XFAILS = Path(__file__).with_name("array_api_xfails.txt").read_text()

# ---- functions of complex numbers ------------------------------------------------------------------------

# function: [(real and imaginary part of x, those of the value)]
SPECIAL = {
    "exp": [(-INF, INF, 0, 0), (INF, INF, INF, NAN), (-INF, NAN, 0, 0), (INF, NAN, INF, NAN), (NAN, 0.0, NAN, 0)],
    "expm1": [
        (0.0, 0.0, 0, 0), (-0.0, 0.0, 0, 0), (1.0, INF, NAN, NAN), (1.0, NAN, NAN, NAN), (INF, 0.0, INF, 0),
        (-INF, INF, -1, 0), (INF, INF, INF, NAN), (-INF, NAN, -1, 0), (INF, NAN, INF, NAN), (NAN, 0.0, NAN, 0),
        (NAN, 1.0, NAN, NAN), (NAN, NAN, NAN, NAN), (-INF, 2.0, -1, 0), (-INF, -2.0, -1, -0.0), (INF, 2.0, -INF, INF),
    ],
    "log": [(-0.0, 0.0, -INF, np.pi), (INF, NAN, INF, NAN), (NAN, INF, INF, NAN), (1.0, INF, INF, np.pi / 2)],
    "log1p": [(-1.0, 0.0, -INF, 0), (INF, NAN, INF, NAN), (NAN, INF, INF, NAN), (-INF, 1.0, INF, np.pi)],
    "sqrt": [(1.0, INF, INF, INF), (NAN, INF, INF, INF), (-INF, NAN, NAN, INF), (INF, NAN, INF, NAN)],
    "cosh": [(0.0, INF, NAN, 0), (0.0, NAN, NAN, 0), (INF, INF, INF, NAN), (INF, NAN, INF, NAN)],
    "sinh": [(0.0, INF, 0, NAN), (0.0, NAN, 0, NAN), (INF, INF, INF, NAN), (INF, NAN, INF, NAN)],
    "tanh": [(0.0, INF, 0, NAN), (0.0, NAN, 0, NAN), (INF, INF, 1, 0), (INF, NAN, 1, 0), (1.0, INF, NAN, NAN)],
    "acos": [(0.0, NAN, np.pi / 2, NAN), (-INF, 1.0, np.pi, -INF), (1.0, NAN, NAN, NAN)],
    "acosh": [(0.0, NAN, NAN, np.pi / 2), (1.0, NAN, NAN, NAN), (-INF, INF, INF, 3 * np.pi / 4)],
    "asinh": [(NAN, 0.0, NAN, 0), (NAN, 1.0, NAN, NAN), (INF, INF, INF, np.pi / 4)],
    "atanh": [(0.0, NAN, 0, NAN), (1.0, 0.0, INF, 0), (INF, NAN, 0, NAN), (NAN, 1.0, NAN, NAN), (1.0, NAN, NAN, NAN)],
    "sign": [(-0.0, -0.0, 0, 0), (NAN, 1.0, NAN, NAN), (1.0, NAN, NAN, NAN)],
}  # fmt: skip
# x for which the standard leaves signs open: absolute values are compared
OPEN = {(INF, INF), (-INF, INF), (INF, NAN), (-INF, NAN), (0.0, INF), (0.0, NAN), (NAN, INF)}


@pytest.mark.parametrize("dtype", ("complex64", "complex128"))
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values_of_complex_functions(name, dtype):
    """The standard's, which are those of C99's Annex G. JAX has NaN for many of them."""
    with pj.config.temporarily("jax_enable_x64", True):
        for *x, re, im in SPECIAL[name]:
            value = np.asarray(getattr(jnp, name)(np.array(complex(*x), dtype)))
            found, wanted = np.array([value.real, value.imag]), np.array([re, im], value.real.dtype)
            if tuple(x) in OPEN:
                found, wanted = abs(found), abs(wanted)
            np.testing.assert_allclose(found, wanted, rtol=1e-6, err_msg=f"{name}({x})")
            zeros = wanted == 0
            np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]), f"{name}({x})")


@pytest.mark.parametrize("dtype", ("complex64", "complex128"))
def test_expm1_has_exps_values_where_x_is_not_finite(dtype):
    """Both parts and the signs of zeros, over all pairs of special parts; conj(expm1(z)) is expm1(conj(z))."""
    parts = np.array([0.0, -0.0, 1.0, -2.0, INF, -INF, NAN])
    z = np.array([complex(x, y) for x in parts if not np.isfinite(x) for y in parts], dtype)
    with pj.config.temporarily("jax_enable_x64", True):
        found, exp = np.asarray(jnp.expm1(z)), np.asarray(jnp.exp(z))
        np.testing.assert_array_equal(found.real, exp.real - 1)
        np.testing.assert_array_equal(found.imag, exp.imag)
        mirrored = np.asarray(jnp.expm1(z.conj()))
    known = ~np.isnan(found.imag) & ~np.isnan(z.imag)
    np.testing.assert_array_equal(np.signbit(mirrored.imag[known]), ~np.signbit(found.imag[known]))


# ---- corners that its generated cases found ----------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, of_mask",
    [((0, 1), (0, 0)), ((2, 3), (0,)), ((2, 3), (2, 0)), ((2, 3), (0, 3)), ((2,), (0,)), ((2, 3), (0, 2))],
)
def test_masks_without_elements_fit_any_size(shape, of_mask):
    """As in NumPy and JAX; the last case is refused for its other axis."""
    x, mask = np.ones(shape, "f4"), np.zeros(of_mask, bool)
    agree(lambda jax, x: x[mask], x, modes=("eager",))
    agree(lambda jax, x: x.at[mask].set(3), x, modes=("eager", "jit"))


@pytest.mark.parametrize("x64", (False, True))
@pytest.mark.parametrize("k", (2**31 - 2, 2**33, 2**63, 2**70, True))
def test_diagonals_far_beyond_the_corners(k, x64):
    """They are empty; what fits no array is refused by some of the functions, as in JAX."""
    x = np.arange(1, 7, dtype="f4").reshape(2, 3)
    with jax.enable_x64(x64), pj.config.temporarily("jax_enable_x64", x64):
        for sign in (1, -1):
            agree("numpy.eye", 2, 3, k=sign * k)
            if k is True or k == 2**63:  # JAX refuses True, and takes 2**63 as 2**63 - 1 for triu alone
                continue
            for name in ("tril", "triu", "trace"):
                agree(f"numpy.{name}", x, sign * k, modes=("eager", "jit"))


def test_the_offset_of_a_trace_is_an_integer_of_any_dtype():
    x = np.arange(9, dtype="f4").reshape(3, 3)
    for offset in (np.array(1), np.array(-2, "i1"), np.array([1]), np.array(1.0, "f4"), np.array(True)):
        agree("numpy.trace", x, offset, modes=("eager", "jit"))
    with jax.enable_x64(True), pj.config.temporarily("jax_enable_x64", True):
        agree("numpy.trace", x, np.array(2**32), modes=("eager", "jit"))


# ---- what stays different, since it is so in JAX -----------------------------------------------------------

CASES = {
    "sign of -0": lambda jnp: jnp.sign(jnp.asarray([-0.0, 0.0])),
    "a number // an infinity": lambda jnp: jnp.floor_divide(jnp.asarray([1.0, -1.0]), jnp.asarray([-INF, INF])),
    "tanh at infinity": lambda jnp: jnp.imag(jnp.tanh(jnp.asarray([complex(INF, y) for y in (0.5, 1.0, 2.0, 4.0, -1.0, -2.0)]))),
    "searchsorted": lambda jnp: jnp.searchsorted(jnp.asarray([1.0, 2.0]), jnp.asarray([1.5])),
    "cumulative_prod": lambda jnp: jnp.cumulative_prod(jnp.asarray([1, 2], "uint8")),
    "cumulative_sum": lambda jnp: jnp.cumulative_sum(jnp.asarray([1, 2], "uint8")),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_where_the_suite_fails_arrays_are_as_in_jax(what):
    with jax.enable_x64(True), pj.config.temporarily("jax_enable_x64", True):
        expected, found = (np.asarray(CASES[what](module)) for module in (jax.numpy, jnp))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_where_the_suite_fails_limits_and_assignment_are_as_in_jax():
    for dtype in ("float32", "complex64"):
        assert type(jnp.finfo(dtype).eps) is type(jax.numpy.finfo(dtype).eps) is np.float32
    for module in (jax.numpy, jnp):
        with pytest.raises(TypeError, match="immutable"):
            module.asarray([1.0])[0] = 2.0


# ---- the list of expected failures -------------------------------------------------------------------------


def test_each_expected_failure_stands_under_its_reason():
    reason = ""
    for line in XFAILS.splitlines():
        if not line:
            reason = ""
        elif line.startswith("#"):
            reason = line
        else:
            assert reason and re.fullmatch(r"array_api_tests/test_\w+\.py::test_\w+(\[.+\])?", line), line
