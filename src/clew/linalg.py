"""Linear algebra: `torch.linalg`'s functions."""

from clew.ops._matrices import LinAlgError
from clew.ops.cumulative import linalg_vander as vander
from clew.ops.distance import vector_norm
from clew.ops.einsum import matrix_power, multi_dot
from clew.ops.factor import cholesky_ex, eig, eigh, eigvals, eigvalsh, svdvals
from clew.ops.factor import linalg_cholesky as cholesky
from clew.ops.factor import linalg_svd as svd
from clew.ops.linalg import matmul
from clew.ops.lu import ldl_factor, ldl_factor_ex, ldl_solve, lu_factor, lu_factor_ex
from clew.ops.lu import linalg_lu as lu
from clew.ops.lu import linalg_lu_solve as lu_solve
from clew.ops.measure import cond, matrix_norm, matrix_rank, norm, vecdot
from clew.ops.measure import linalg_cross as cross
from clew.ops.qr import householder_product
from clew.ops.qr import linalg_qr as qr
from clew.ops.shape import diagonal
from clew.ops.solve import (
    det,
    inv,
    inv_ex,
    lstsq,
    matrix_exp,
    pinv,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from clew.ops.solve import linalg_slogdet as slogdet

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lstsq", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm",
    "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander",
    "vecdot", "vector_norm",
]  # fmt: skip
