"""BFGS with limited memory: Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5."""

from typing import Any, NamedTuple

import numpy as np

from ... import lax
from ... import numpy as jnp
from ...convert import as_array
from ...derivatives import value_and_grad
from .line_search import line_search


class State(NamedTuple):
    converged: Any
    failed: Any
    k: Any
    nfev: Any
    ngev: Any
    x: Any
    f: Any
    g: Any
    steps: Any  # the last changes of x and g, and the inverses of their products, the newest last
    changes: Any
    rho: Any
    gamma: Any
    status: Any


def minimize_lbfgs(
    fun,
    x0,
    maxiter=None,
    norm=np.inf,
    maxcor=10,
    ftol=2.220446049250313e-09,
    gtol=1e-05,
    maxfun=None,
    maxgrad=None,
    maxls=20,
):
    """The State at the end: converged where the norm of the gradient is below gtol.

    status: 0, 1 after maxiter steps, 2 after maxfun values, 3 after maxgrad gradients, 4 where f changed by less than ftol,
    5 where the line search failed. maxcor: how many steps are remembered; maxls: steps of a line search.
    """
    x0 = as_array(x0, "minimize")
    d = len(x0)
    if maxiter is None and maxfun is None and maxgrad is None:
        maxiter = d * 200
    maxiter, maxfun, maxgrad = (np.inf if most is None else most for most in (maxiter, maxfun, maxgrad))
    f, g = value_and_grad(fun)(x0)
    start = State(
        converged=jnp.array(False), failed=jnp.array(False), k=0, nfev=1, ngev=1, x=x0, f=f, g=g,
        steps=jnp.zeros((maxcor, d), x0.dtype), changes=jnp.zeros((maxcor, d), x0.dtype), rho=jnp.zeros(maxcor, x0.dtype),
        gamma=jnp.ones((), g.dtype), status=0,
    )  # fmt: skip

    def step(s):
        p = _direction(s)
        found = line_search(fun, s.x, p, s.f, s.g, maxiter=maxls)
        moved = found.a.astype(p.dtype) * p
        change = found.g - s.g
        product = jnp.real(jnp.dot(change, moved))
        gamma = product / jnp.real(jnp.dot(jnp.conj(change), change))
        status = 0
        for number, reached in enumerate((s.k >= maxiter, s.nfev >= maxfun, s.ngev >= maxgrad), 1):
            status = jnp.where(reached & (status == 0), number, status)
        status = jnp.where((s.f - found.f < ftol) & (status == 0), 4, status)
        status = jnp.where(found.failed, 5, status)
        converged = jnp.linalg.norm(found.g, ord=norm) < gtol
        return State(
            converged=converged, failed=(status > 0) & ~converged, k=s.k + 1, nfev=s.nfev + found.nfev,
            ngev=s.ngev + found.nfev, x=(s.x + moved).astype(s.x.dtype), f=found.f.astype(s.f.dtype),
            g=found.g.astype(s.g.dtype), steps=_remembered(s.steps, moved), changes=_remembered(s.changes, change),
            rho=_remembered(s.rho, (1 / product).astype(s.rho.dtype)), gamma=gamma.astype(s.g.dtype),
            status=jnp.where(converged, 0, status),
        )  # fmt: skip

    return lax.while_loop(lambda s: ~s.converged & ~s.failed, step, start)


def _remembered(history, new):
    return jnp.roll(history, -1, axis=0).at[-1].set(new)


def _direction(s):
    """Minus the inverse of the Hessian times the gradient, from the steps remembered; rows not yet used are zeros."""
    size, dtype = len(s.rho), s.rho.dtype
    q, factors = -jnp.conj(s.g), [None] * size
    for i in reversed(range(size)):
        factors[i] = s.rho[i] * jnp.real(jnp.dot(jnp.conj(s.steps[i]), q)).astype(dtype)
        q = q - factors[i] * jnp.conj(s.changes[i])
    q = s.gamma * q
    for i in range(size):
        other = s.rho[i] * jnp.real(jnp.dot(s.changes[i], q)).astype(dtype)
        q = q + (factors[i] - other) * s.steps[i]
    return q


__all__ = ["minimize_lbfgs"]
