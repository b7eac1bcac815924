"""jax.experimental.ode: ordinary differential equations by Dormand and Prince's method, with the adjoint as derivative.

Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", II.4 and II.5 (steps and their sizes); Shampine, "Some Practical
Runge-Kutta Formulas", 1986 (values between steps).
"""

import functools

import numpy as np

from .. import numpy as jnp
from ..custom_derivatives import closure_convert, custom_vjp
from ..derivatives import vjp
from ..flatten_util import ravel_pytree
from ..lax import fori_loop, scan, while_loop
from ..tree_util import tree_leaves, tree_map

__all__ = ["odeint"]

_NODES = np.array([1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0, 0.0])
_STAGES = np.array([
    [1 / 5, 0, 0, 0, 0, 0, 0],
    [3 / 40, 9 / 40, 0, 0, 0, 0, 0],
    [44 / 45, -56 / 15, 32 / 9, 0, 0, 0, 0],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0, 0],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0, 0],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
])  # fmt: skip
_SOLUTION = np.array([35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0])
_ERROR = _SOLUTION - np.array([1951 / 21600, 0, 22642 / 50085, 451 / 720, -12231 / 42400, 649 / 6300, 1 / 60])
_MIDDLE = 0.5 * np.array([
    6025192743 / 30085553152, 0, 51252292925 / 65400821598, -2691868925 / 45128329728, 187940372067 / 1594534317056,
    -1776094331 / 19743644256, 11237099 / 235043384,
])  # fmt: skip


def odeint(func, y0, t, *args, rtol=1.4e-8, atol=1.4e-8, mxstep=np.inf, hmax=np.inf):
    """The values at the times `t` (increasing) of the solution of dy/dt = func(y, t, *args) with y(t[0]) = y0.

    y0: a pytree; the result has its structure, with a leading axis for the times. Steps are at most hmax long and so short that the
    error of each is about rtol * |y| + atol; after mxstep steps between two times the values are what they are. Reverse mode solves the
    adjoint equation backwards.
    """
    for leaf in tree_leaves(args):
        if not hasattr(leaf, "dtype") and not isinstance(leaf, (bool, int, float, complex)):
            raise TypeError(
                f"odeint: the contents of args must be arrays or numbers, got {leaf!r}: pass functions by closure."
            )
    y0 = tree_map(jnp.asarray, y0)
    t, args = jnp.asarray(t), tree_map(jnp.asarray, args)
    converted, constants = closure_convert(func, y0, t[0], *args)
    flat, unravel = ravel_pytree(y0)

    def flat_func(y, t, args, constants):
        return ravel_pytree(converted(unravel(y), t, *args, *constants))[0]

    found = _odeint(flat_func, rtol, atol, mxstep, hmax, flat, t, args, tuple(constants))
    from ..transforms import vmap

    return vmap(unravel)(found)


def _weighted(weights, k):
    return jnp.tensordot(
        jnp.asarray(weights.astype(k.dtype.name if k.dtype.kind != "c" else k.real.dtype.name)), k, axes=1
    )


def _step(func, y, f, t, dt):
    """(y and f at t + dt, error, slopes) of a step from y, f at t."""
    slopes = jnp.zeros((7, f.shape[0]), f.dtype).at[0].set(f)

    def stage(i, slopes):
        at, weights = _at(_NODES, i - 1, f), _at(_STAGES, i - 1, f)
        return slopes.at[i].set(func(y + dt * jnp.tensordot(weights, slopes, axes=1), t + dt * at.real.astype(t.dtype)))

    slopes = fori_loop(1, 7, stage, slopes)
    return dt * _weighted(_SOLUTION, slopes) + y, slopes[-1], dt * _weighted(_ERROR, slopes), slopes


def _at(table, i, like):
    return jnp.asarray(table.astype(like.dtype.name))[i]


def _ratio(error, rtol, atol, y0, y1):
    """The mean error of a step over what is tolerated."""
    tolerance = atol + rtol * jnp.maximum(jnp.abs(y0), jnp.abs(y1))
    ratio = error / tolerance.astype(error.dtype)
    return jnp.sqrt(jnp.mean(jnp.abs(ratio) ** 2))


def _next_size(dt, ratio, safety=0.9, most=10.0, least=0.2, order=5.0):
    """The size of the step after one with this ratio of errors."""
    least = jnp.where(ratio < 1, 1.0, least).astype(dt.dtype)
    factor = jnp.minimum(most, jnp.maximum(ratio.astype(dt.dtype) ** (-1.0 / order) * safety, least))
    return jnp.where(ratio == 0, dt * most, dt * factor)


def _first_size(func, t, y, f, order, rtol, atol):
    """The size of the first step (Hairer, Norsett & Wanner, II.4)."""
    scale = atol + jnp.abs(y) * rtol
    d0, d1 = jnp.linalg.norm(y / scale.astype(y.dtype)), jnp.linalg.norm(f / scale.astype(y.dtype))
    h0 = jnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1)
    there = func(y + h0.astype(y.dtype) * f, t + h0)
    d2 = jnp.linalg.norm((there - f) / scale.astype(y.dtype)) / h0
    h1 = jnp.where(
        (d1 <= 1e-15) & (d2 <= 1e-15),
        jnp.maximum(1e-6, h0 * 1e-3),
        (0.01 / jnp.maximum(d1, d2)) ** (1.0 / (order + 1.0)),
    )
    return jnp.minimum(100.0 * h0, h1)


def _polynomial(y0, y1, middle, f0, f1, dt):
    """The quartic through three values with these slopes at both ends: coefficients, the highest first."""
    a = -2.0 * dt * f0 + 2.0 * dt * f1 - 8.0 * y0 - 8.0 * y1 + 16.0 * middle
    b = 5.0 * dt * f0 - 3.0 * dt * f1 + 18.0 * y0 + 14.0 * y1 - 32.0 * middle
    c = -4.0 * dt * f0 + dt * f1 - 11.0 * y0 - 5.0 * y1 + 16.0 * middle
    return jnp.stack([a, b, c, dt * f0, y0])


@functools.partial(custom_vjp, nondiff_argnums=(0, 1, 2, 3, 4))
def _odeint(func, rtol, atol, mxstep, hmax, y0, t, args, constants):
    func_ = lambda y, t: func(y, t, args, constants)

    def to_time(carry, target):
        def goes_on(state):
            steps, (y, f, t, dt, last, polynomial) = state
            return (t < target) & (steps < mxstep) & (dt > 0)

        def advance(state):
            steps, (y, f, t, dt, last, polynomial) = state
            new_y, new_f, error, slopes = _step(func_, y, f, t, dt)
            new_t = t + dt
            ratio = _ratio(error, rtol, atol, y, new_y)
            between = _polynomial(
                y, new_y, y + dt.astype(y.dtype) * _weighted(_MIDDLE, slopes), f, new_f, dt.astype(y.dtype)
            )
            size = jnp.clip(_next_size(dt, ratio), 0.0, hmax)
            taken, old = (new_y, new_f, new_t, size, t, between), (y, f, t, size, last, polynomial)
            return steps + 1, tree_map(functools.partial(jnp.where, ratio <= 1.0), taken, old)

        _, carry = while_loop(goes_on, advance, (0, carry))
        _, _, t, _, last, polynomial = carry
        where = ((target - last) / (t - last)).astype(polynomial.dtype)
        value = functools.reduce(lambda total, c: total * where + c, polynomial)
        return carry, value

    f0 = func_(y0, t[0])
    dt = jnp.clip(_first_size(func_, t[0], y0, f0, 4, rtol, atol), 0.0, hmax)
    polynomial = jnp.stack([y0] * 5)
    _, found = scan(to_time, (y0, f0, t[0], dt.astype(t.dtype), t[0], polynomial), t[1:])
    return jnp.concatenate([y0[None], found])


def _forward(func, rtol, atol, mxstep, hmax, y0, t, args, constants):
    found = _odeint(func, rtol, atol, mxstep, hmax, y0, t, args, constants)
    return found, (found, t, args, constants)


def _backward(func, rtol, atol, mxstep, hmax, residuals, g):
    """The adjoint equation, solved from each time back to the one before."""
    values, t, args, constants = residuals
    count = len(t)

    def augmented(state, minus_t, parameters):
        """The slopes of y, its adjoint, the derivatives with respect to t and to the parameters, backwards in time."""
        y, y_bar, *_ = state
        args, constants = parameters
        slope, pull = vjp(lambda y, t, args, constants: func(y, t, args, constants), y, -minus_t, args, constants)
        return (-slope, *pull(y_bar))

    zeros = tree_map(jnp.zeros_like, (args, constants))

    def back(carry, i):
        y_bar, t0_bar, parameters_bar = carry
        t_bar = jnp.dot(func(values[i], t[i], args, constants), g[i])
        t0_bar = t0_bar - t_bar.astype(t0_bar.dtype)
        start = (values[i], y_bar, t0_bar, *parameters_bar)
        there = odeint(
            augmented,
            start,
            jnp.stack([-t[i], -t[i - 1]]),
            (args, constants),
            rtol=rtol,
            atol=atol,
            mxstep=mxstep,
            hmax=hmax,
        )
        _, y_bar, t0_bar, *parameters_bar = tree_map(lambda x: x[1], there)
        return (y_bar + g[i - 1], t0_bar, tuple(parameters_bar)), t_bar

    first = (g[-1], jnp.zeros((), t.dtype), zeros)
    (y_bar, t0_bar, (args_bar, constants_bar)), t_bars = scan(back, first, jnp.arange(count - 1, 0, -1))
    times = jnp.concatenate([t0_bar[None], t_bars[::-1].astype(t.dtype)])
    return y_bar, times, args_bar, constants_bar


_odeint.defvjp(_forward, _backward)
