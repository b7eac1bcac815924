"""pg.linalg: linear algebra on tensors, under the names of jax.numpy.linalg and jax.scipy.linalg."""

from .ops.decompositions import cho_factor, cholesky, eig, eigh, eigvals, eigvalsh, lu, lu_factor, qr, svd, svdvals
from .ops.linalg import cross, dot, inner, kron, matmul, multi_dot, outer, tensordot, vdot
from .ops.matrices import diag, diagonal, trace, tril, triu
from .ops.norms import cond, matrix_rank, norm
from .ops.systems import (
    cho_solve,
    det,
    expm,
    inv,
    lstsq,
    lu_solve,
    matrix_power,
    pinv,
    slogdet,
    solve,
    solve_triangular,
)

__all__ = [
    "cho_factor", "cho_solve", "cholesky", "cond", "cross", "det", "diag", "diagonal", "dot", "eig", "eigh", "eigvals", "eigvalsh", "expm",
    "inner", "inv", "kron", "lstsq", "lu", "lu_factor", "lu_solve", "matmul", "matrix_power", "matrix_rank", "multi_dot",
    "norm", "outer", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensordot", "trace", "tril",
    "triu", "vdot",
]  # fmt: skip
