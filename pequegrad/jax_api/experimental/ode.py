"""jax.experimental.ode: ordinary differential equations, by an adaptive Runge-Kutta method, with adjoint derivatives.

The method is Dormand and Prince's of order 5 ("A family of embedded Runge-Kutta formulae", 1980) with dense output; the
derivative solves the adjoint equation backward in time: Chen et al., "Neural ordinary differential equations" (2018).
"""

import functools

import numpy as np

from ...core.tensor import Tensor
from .. import lax
from .. import numpy as jnp
from ..convert import as_array, convertible
from ..custom_derivatives import closure_convert, custom_vjp
from ..derivatives import vjp
from ..flatten_util import ravel_pytree
from ..transforms import vmap
from ..tree_util import tree_leaves, tree_map

# the times, the weights of the slopes in each stage, in the result, and in the difference to the result of order 4
_TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_RESULT = (*_STAGES[-1], 0)
_ORDER_4 = (1951 / 21600, 0, 22642 / 50085, 451 / 720, -12231 / 42400, 649 / 6300, 1 / 60)
_ERROR = tuple(a - b for a, b in zip(_RESULT, _ORDER_4))
# of the result in the middle of a step: Shampine, "Some practical Runge-Kutta formulas" (1986)
_MIDDLE = (
    6025192743 / 30085553152 / 2, 0, 51252292925 / 65400821598 / 2, -2691868925 / 45128329728 / 2,
    187940372067 / 1594534317056 / 2, -1776094331 / 19743644256 / 2, 11237099 / 235043384 / 2,
)  # fmt: skip


def _weighted(weights, slopes):
    """The sum of the slopes [stage, n] times their weights, one product."""
    return jnp.dot(jnp.asarray(np.array(weights).astype(slopes.dtype)), slopes)


def runge_kutta_step(func, y0, f0, t0, dt):
    """(y, its slope, estimated errors, slopes [7, n] of the stages) after one step dt from y0 with slope f0 at t0."""
    slopes = [f0]
    step = dt.astype(f0.dtype)
    for time, weights in zip(_TIMES, _STAGES):
        y = y0 + step * _weighted(weights, jnp.stack(slopes))
        slopes.append(func(y, t0 + dt * time))
    k = jnp.stack(slopes)
    return step * _weighted(_RESULT, k) + y0, slopes[-1], step * _weighted(_ERROR, k), k


def interp_fit_dopri(y0, y1, k, dt):
    """The coefficients [5, n] of the polynomial through a step, highest power first, in the time from 0 to 1."""
    middle = y0 + dt.astype(y0.dtype) * _weighted(_MIDDLE, k)
    return jnp.stack(fit_4th_order_polynomial(y0, y1, middle, k[0], k[-1], dt))


def fit_4th_order_polynomial(y0, y1, y_mid, dy0, dy1, dt):
    """The coefficients of the polynomial in the time from 0 to 1 with these values and slopes, highest power first."""
    d0, d1 = dt.astype(y0.dtype) * dy0, dt.astype(y0.dtype) * dy1
    a = -2.0 * d0 + 2.0 * d1 - 8.0 * y0 - 8.0 * y1 + 16.0 * y_mid
    b = 5.0 * d0 - 3.0 * d1 + 18.0 * y0 + 14.0 * y1 - 32.0 * y_mid
    c = -4.0 * d0 + d1 - 11.0 * y0 - 5.0 * y1 + 16.0 * y_mid
    return a, b, c, d0, y0


# ---- the length of steps ---------------------------------------------------------------------------------


def initial_step_size(fun, t0, y0, order, rtol, atol, f0):
    """A first step: Hairer, Norsett and Wanner, "Solving ordinary differential equations I" (1993), II.4."""
    dtype = jnp.result_type(y0, f0)
    scale = (atol + jnp.abs(y0) * rtol).astype(dtype)
    d0, d1 = jnp.linalg.norm(y0 / scale), jnp.linalg.norm(f0 / scale)
    h0 = jnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1)
    f1 = fun(y0 + h0.astype(dtype) * f0, t0 + h0)
    d2 = jnp.linalg.norm((f1 - f0) / scale) / h0
    h1 = jnp.where(
        (d1 <= 1e-15) & (d2 <= 1e-15),
        jnp.maximum(1e-6, h0 * 1e-3),
        (0.01 / jnp.maximum(d1, d2)) ** (1.0 / (order + 1.0)),
    )
    return jnp.minimum(100.0 * h0, h1)


def mean_error_ratio(error_estimate, rtol, atol, y0, y1):
    """The root of the mean squared error, measured in what is tolerated."""
    tolerated = atol + rtol * jnp.maximum(jnp.abs(y0), jnp.abs(y1))
    ratio = error_estimate / tolerated.astype(error_estimate.dtype)
    return jnp.sqrt(jnp.mean(abs2(ratio)))


def abs2(x):
    """|x|^2."""
    return x.real**2 + x.imag**2 if jnp.iscomplexobj(x) else x**2


def optimal_step_size(last_step, mean_error_ratio, safety=0.9, ifactor=10.0, dfactor=0.2, order=5.0):
    """The next step: longer by at most ifactor; shorter, by at most dfactor, only if the error was too large."""
    dfactor = jnp.where(mean_error_ratio < 1, 1.0, dfactor)
    factor = jnp.minimum(ifactor, jnp.maximum(mean_error_ratio ** (-1.0 / order) * safety, dfactor))
    return jnp.where(mean_error_ratio == 0, last_step * ifactor, last_step * factor)


# ---- the solver ------------------------------------------------------------------------------------------


def odeint(func, y0, t, *args, rtol=1.4e-08, atol=1.4e-08, mxstep=np.inf, hmax=np.inf):
    """The solution of dy/dt = func(y, t, *args) with y = y0 at t[0], a pytree like y0, at the increasing times t [m], in a new
    first axis.

    rtol, atol: the error tolerated in a step; mxstep: the most steps from one time to the next; hmax: the longest step.
    """
    for arg in tree_leaves(args):
        if convertible(arg) is None:
            raise TypeError(f"The contents of odeint *args must be arrays or scalars, but got {arg}.")
    if not jnp.issubdtype(t.dtype, jnp.floating):
        raise TypeError(f"t must be an array of floats, but got {t}.")
    y0, t = tree_map(as_array, y0), as_array(t, "odeint")
    args = tree_map(lambda x: x if isinstance(x, Tensor) else as_array(x), args)
    converted, constants = closure_convert(func, y0, t[0], *args)
    return _odeint_of_tree(converted, rtol, atol, mxstep, hmax, y0, t, *args, *constants)


def _odeint_of_tree(func, rtol, atol, mxstep, hmax, y0, t, *args):
    flat, unravel = ravel_pytree(y0)

    def slope(y, t, *args):
        return ravel_pytree(func(unravel(y), t, *args))[0]

    return vmap(unravel)(_odeint(slope, rtol, atol, mxstep, hmax, flat, t, *args))


@functools.partial(custom_vjp, nondiff_argnums=(0, 1, 2, 3, 4))
def _odeint(func, rtol, atol, mxstep, hmax, y0, ts, *args):
    slope = lambda y, t: func(y, t, *args)

    def advance(carry, target):
        """The value at the next time; the last step may have gone beyond it."""

        def going(state):
            i, (_, _, t, dt, _, _) = state
            return (t < target) & (i < mxstep) & (dt > 0)

        def step(state):
            i, (y, f, t, dt, last_t, polynomial) = state
            new_y, new_f, error, k = runge_kutta_step(slope, y, f, t, dt)
            ratio = mean_error_ratio(error, rtol, atol, y, new_y)
            new_dt = jnp.clip(optimal_step_size(dt, ratio), min=0.0, max=hmax)
            new = (new_y, new_f, t + dt, new_dt, t, interp_fit_dopri(y, new_y, k, dt))
            old = (y, f, t, new_dt, last_t, polynomial)
            return i + 1, tuple(jnp.where(ratio <= 1.0, a, b) for a, b in zip(new, old))

        _, carry = lax.while_loop(going, step, (0, carry))
        _, _, t, _, last_t, polynomial = carry
        place = ((target - last_t) / (t - last_t)).astype(polynomial.dtype)
        value = polynomial[0]
        for coefficient in polynomial[1:]:
            value = value * place + coefficient
        return carry, value

    f0 = slope(y0, ts[0])
    dt = jnp.clip(initial_step_size(slope, ts[0], y0, 4, rtol, atol, f0), min=0.0, max=hmax)
    start = (y0, f0, ts[0], dt.astype(ts.dtype), ts[0], jnp.stack([y0] * 5))
    _, ys = lax.scan(advance, start, ts[1:])
    return jnp.concatenate([y0[None], ys])


def _forward(func, rtol, atol, mxstep, hmax, y0, ts, *args):
    ys = _odeint(func, rtol, atol, mxstep, hmax, y0, ts, *args)
    return ys, (ys, ts, args)


def _backward(func, rtol, atol, mxstep, hmax, residuals, ct):
    """Cotangents of y0, the times and the arguments: from one time back to the one before, with y found again on the way."""
    ys, ts, args = residuals

    def adjoint(state, t, *args):
        y, y_bar, *_ = state
        slope, pull_back = vjp(func, y, -t, *args)
        return (-slope, *pull_back(y_bar))

    def back(carry, i):
        y_bar, t0_bar, args_bar = carry
        t_bar = jnp.dot(func(ys[i], ts[i], *args), ct[i]).real
        state = (ys[i], y_bar, t0_bar - t_bar, *args_bar)
        times = jnp.stack([-ts[i], -ts[i - 1]])
        found = odeint(adjoint, state, times, *args, rtol=rtol, atol=atol, mxstep=mxstep, hmax=hmax)
        _, y_bar, t0_bar, *args_bar = tree_map(lambda x: x[1], found)
        return (y_bar + ct[i - 1], t0_bar, tuple(args_bar)), t_bar

    start = (ct[-1], jnp.zeros((), ts.dtype), tree_map(jnp.zeros_like, args))
    (y_bar, t0_bar, args_bar), ts_bar = lax.scan(back, start, jnp.arange(len(ts) - 1, 0, -1))
    return y_bar, jnp.concatenate([t0_bar[None], ts_bar[::-1]]), *args_bar


_odeint.defvjp(_forward, _backward)

__all__ = ["odeint"]
