"""jax.scipy.optimize: the minimum of a function of a vector."""

from typing import Any, NamedTuple

from .bfgs import minimize_bfgs
from .lbfgs import minimize_lbfgs


class OptimizeResults(NamedTuple):
    """What minimize gives: the minimum x, whether it converged, a status (0: it did), the value and gradient at x, the inverse
    of the Hessian as estimated, and how many values, gradients and steps it took."""

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


_METHODS = {"bfgs": minimize_bfgs, "l-bfgs-experimental-do-not-rely-on-this": minimize_lbfgs}


def minimize(fun, x0, args=(), *, method, tol=None, options=None):
    """The minimum of fun(x, *args) near the vector x0, as OptimizeResults.

    method: "BFGS" (options maxiter, norm, gtol, line_search_maxiter), or "l-bfgs-experimental-do-not-rely-on-this" (maxiter,
    norm, maxcor, ftol, gtol, maxfun, maxgrad, maxls). tol has no effect, as in JAX: the tolerances are options.
    """
    if not isinstance(args, tuple):
        raise TypeError(f"args argument to jax.scipy.optimize.minimize must be a tuple, got {args}")
    find = _METHODS.get(method.lower())
    if find is None:
        raise ValueError(f"Method {method} not recognized")
    found = find(lambda x: fun(x, *args), x0, **(options or {}))
    return OptimizeResults(
        x=found.x, success=found.converged & ~found.failed, status=found.status, fun=found.f, jac=found.g,
        hess_inv=getattr(found, "inverse", None), nfev=found.nfev, njev=found.ngev, nit=found.k,
    )  # fmt: skip


__all__ = ["OptimizeResults", "minimize"]
