"""Linear systems, inverses, determinants."""

from ....ops import systems
from ....primitives.control import stop_gradient
from ... import numpy as jnp
from .common import matrices, right_side
from .factors import cho_factor


def det(a, overwrite_a=False, check_finite=True):
    """The determinants of square matrices."""
    return jnp.linalg.det(a)


def inv(a, overwrite_a=False, check_finite=True):
    """The inverses of square matrices."""
    return jnp.linalg.inv(a)


def solve(a, b, lower=False, overwrite_a=False, overwrite_b=False, debug=False, check_finite=True, assume_a="gen"):
    """x with a x = b. assume_a "pos": `a` is positive definite, and only one triangle (`lower`: the lower one) is read."""
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ValueError(f"Expected assume_a to be one of ['gen', 'sym', 'her', 'pos']; got {assume_a!r}")
    if assume_a != "pos":
        return jnp.linalg.solve(a, b)
    from ...lax import custom_linear_solve

    a, b = matrices("solve", a, b)
    factors = cho_factor(stop_gradient(a), lower=lower)
    vector = b.ndim in (1, a.ndim - 1)
    found = custom_linear_solve(
        lambda x: jnp.matmul(a, x),
        b[..., None] if vector else b,
        lambda _, x: systems.cho_solve(factors, x),
        symmetric=True,
    )
    return found[..., 0] if vector else found


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, debug=None, check_finite=True):
    """x with op(a) x = b, reading one triangle of `a`. trans: 0 or "N": a, 1 or "T": its transpose, 2 or "C": its adjoint."""
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"Invalid 'trans' value {trans}")
    a, b = matrices("solve_triangular", a, b)
    b, vector = right_side("solve_triangular", a, b)
    found = systems.solve_triangular(a, b, trans, lower, unit_diagonal)
    return found[..., 0] if vector else found


def lu_solve(lu_and_piv, b, trans=0, overwrite_b=False, check_finite=True):
    """x with op(a) x = b, from lu_factor(a); trans as for solve_triangular."""
    lu, pivots = lu_and_piv
    lu, b = matrices("lu_solve", lu, b)
    b, vector = right_side("lu_solve", lu, b)
    found = systems.lu_solve((lu, pivots), b, trans)
    return found[..., 0] if vector else found


def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    """x with a x = b, from cho_factor(a)."""
    c, lower = c_and_lower
    c, b = matrices("cho_solve", c, b)
    b, vector = right_side("cho_solve", c, b)
    found = systems.cho_solve((c, lower), b)
    return found[..., 0] if vector else found


__all__ = ["cho_solve", "det", "inv", "lu_solve", "solve", "solve_triangular"]
