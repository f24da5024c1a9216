"""Linear algebra: `torch.linalg`'s functions."""

from clew.ops.distance import vector_norm
from clew.ops.einsum import matrix_power, multi_dot
from clew.ops.factor import (
    LinAlgError,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    lstsq,
    matrix_exp,
    pinv,
    slogdet,
    solve,
    solve_triangular,
    svdvals,
)  # fmt: skip
from clew.ops.factor import (
    linalg_cholesky as cholesky,
)
from clew.ops.factor import (
    linalg_qr as qr,
)
from clew.ops.factor import (
    linalg_svd as svd,
)
from clew.ops.linalg import matmul
from clew.ops.measure import cond, matrix_norm, matrix_rank, norm, vecdot
from clew.ops.measure import linalg_cross as cross
from clew.ops.shape import diagonal

__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq",
    "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "solve_triangular", "svd", "svdvals", "vecdot", "vector_norm",
]  # fmt: skip
