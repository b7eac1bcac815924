"""The method of Broyden, Fletcher, Goldfarb and Shanno: Nocedal and Wright, "Numerical Optimization" (2006), algorithm 6.1."""

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
    inverse: Any  # of the Hessian
    f_before: Any
    status: Any
    line_search_status: Any


def minimize_bfgs(fun, x0, maxiter=None, norm=np.inf, gtol=1e-05, line_search_maxiter=10):
    """The State at the end: converged where the norm of the gradient is below gtol.

    status: 0, 1 after maxiter steps (default: 200 for each component), 2 + that of the line search which failed.
    """
    x0 = as_array(x0, "minimize")
    maxiter = x0.size * 200 if maxiter is None else maxiter
    small = lambda g: jnp.linalg.norm(g, ord=norm) < gtol
    f, g = value_and_grad(fun)(x0)
    identity = jnp.eye(x0.shape[0], dtype=x0.dtype)
    start = State(
        converged=small(g), failed=jnp.array(False), k=0, nfev=1, ngev=1, x=x0, f=f, g=g, inverse=identity,
        f_before=f + jnp.linalg.norm(g) / 2, status=0, line_search_status=0,
    )  # fmt: skip

    def step(s):
        p = -jnp.dot(s.inverse, s.g)
        found = line_search(fun, s.x, p, s.f, s.g, before=s.f_before, maxiter=line_search_maxiter)
        moved = found.a * p
        change = found.g - s.g
        rho = 1 / jnp.dot(change, moved)
        w = identity - rho * jnp.outer(moved, change)
        inverse = jnp.dot(jnp.dot(w, s.inverse), w.T) + rho * jnp.outer(moved, moved)
        return State(
            converged=small(found.g), failed=found.failed, k=s.k + 1, nfev=s.nfev + found.nfev, ngev=s.ngev + found.nfev,
            x=s.x + moved, f=found.f, g=found.g, inverse=jnp.where(jnp.isfinite(rho), inverse, s.inverse), f_before=s.f,
            status=s.status, line_search_status=found.status,
        )  # fmt: skip

    end = lax.while_loop(lambda s: ~s.converged & ~s.failed & (s.k < maxiter), step, start)
    why = jnp.where(end.k == maxiter, 1, jnp.where(end.failed, 2 + end.line_search_status, -1))
    return end._replace(status=jnp.where(end.converged, 0, why))


__all__ = ["minimize_bfgs"]
