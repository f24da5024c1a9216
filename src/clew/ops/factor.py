"""Inverses, determinants, solutions and factorizations of matrices, singly or in batches.

The derivatives are the textbook's: Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); Murray, "Differentiation of the Cholesky decomposition" (2016); Townsend, "Differentiating the
singular value decomposition" (2016); Walter, Lehmann & Lamour, "On evaluating higher-order derivatives of the QR
decomposition" (2012). Where factors are not unique (signs, repeated values) gradients of what depends on the choice are
not defined. Complex matrices: ᴴ is the conjugate transpose; formulas of holomorphic functions are written without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor
from clew.ops.linalg import matmul, turned

__all__ = ["cholesky", "det", "inverse", "logdet", "matrix_exp", "pinverse", "qr", "slogdet", "svd"]


class LinAlgError(RuntimeError):
    """A matrix that is singular, not positive-definite, or for which an iteration did not converge."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"


# ---- checks and helpers --------------------------------------------------------------------------------------------------
def checked(name: str, a: Any, *, square: bool = True, position: str = "A") -> ndarray:
    """The array of a (batch of square) floating or complex matrices; PyTorch's RuntimeErrors otherwise."""
    array: ndarray = check_tensor(a, name)._array
    if array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {position} must have at least 2 dimensions.")
    if square and array.shape[-1] != array.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {array.shape[-2]} by {array.shape[-1]} matrices"
        )
    if array.dtype.kind not in "fc" or array.dtype.itemsize == 2:
        kind = legacy_name(array.dtype)
        if array.dtype.kind in "fV":
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {kind}")
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {kind}")
    return array


def _adjoint(xp: Any, x: Any) -> Any:
    return xp.conj(turned(x))


def _diagonal(xp: Any, x: Any) -> Any:
    """The matrices' diagonals, kept in place: everything else zero."""
    n = x.shape[-1]
    return x * xp.constant(np.eye(n, dtype=_real_type(x)))


def _real_type(x: Any) -> Any:
    """The real NumPy type with the precision of an array or tensor."""
    dtype = getattr(x, "_array", x).dtype
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _column(xp: Any, g: Any) -> Any:
    return xp.expand_dims(xp.expand_dims(g, -1), -1)


def _as_diagonal(xp: Any, v: Any) -> Any:
    """Vectors as diagonal matrices."""
    return xp.expand_dims(v, -1) * xp.constant(np.eye(v.shape[-1], dtype=_real_type(v)))


def _failing(arrays: ndarray, fails: Any) -> str:
    """`(Batch element i): ` of the first matrix of a batch for which a test fails; nothing without a batch."""
    if arrays.ndim == 2:
        return ""
    flat = arrays.reshape((-1, *arrays.shape[-2:]))
    return f"(Batch element {next(i for i, m in enumerate(flat) if fails(m))}): "


def _singular(m: ndarray) -> int:
    """The first zero on the diagonal of U in a matrix' LU factorization, counted from 1; 0 if there is none."""
    from scipy.linalg import lapack

    (factor,) = lapack.get_lapack_funcs(("getrf",), (m,))
    return max(int(factor(m)[2]), 0)


def _minor(m: ndarray) -> int:
    """The order of the first leading minor that is not positive-definite; 0 if there is none."""
    from scipy.linalg import lapack

    (factor,) = lapack.get_lapack_funcs(("potrf",), (m,))
    return max(int(factor(m, lower=True)[1]), 0)


def _first(arrays: ndarray, test: Any) -> int:
    return next(k for m in arrays.reshape((-1, *arrays.shape[-2:])) if (k := test(m)))


# ---- inverse, determinant, solution ----------------------------------------------------------------------------------------
_inv = Primitive(
    "linalg_inv_ex",
    np.linalg.inv,
    {"self": lambda xp, g, out: -(turned(out) @ g @ turned(out))},
    args=("self",),
    node="LinalgInvExBackward0",
    explain="the inverse; ∂A = -A⁻ᵀ·G·A⁻ᵀ",
)


def inv(A: Any, *, out: Any = None) -> Any:
    """A⁻¹. LinAlgError where a matrix is singular."""
    array = checked("linalg.inv", A)
    try:
        result = _inv(A)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"linalg.inv: {_failing(array, _singular)}The diagonal element {_first(array, _singular)} is zero, the inversion "
            "could not be completed because the input matrix is singular."
        ) from None
    return result if out is None else store_out(out, result)


def _cofactors(self: ndarray) -> ndarray:
    """The matrices of cofactors, det A·A⁻ᵀ, which singular matrices have too (there by the singular values)."""
    det = np.linalg.det(self)
    if np.all(det != 0):
        return det[..., None, None] * np.linalg.inv(self).swapaxes(-1, -2)
    u, s, v = np.linalg.svd(self)
    others = np.where(np.eye(s.shape[-1], dtype=np.bool), 1, s[..., None, :]).prod(-1)
    sign = np.linalg.det(u) * np.linalg.det(v)
    return (sign[..., None, None] * np.conj((np.conj(u) * others[..., None, :]) @ np.conj(v))).astype(
        self.dtype
    )


def _cofactors_back(xp: Any, g: Any, self: Any, out: Any) -> Any:
    inverse = turned(xp.call(_inv, self))
    return _column(xp, xp.sum(g * out, (-2, -1))) * inverse - out @ turned(g) @ inverse


_cofactor = Primitive("cofactor", _cofactors, {"self": _cofactors_back}, args=("self",))
_det = Primitive(
    "linalg_det",
    np.linalg.det,
    {"A": lambda xp, g, A: _column(xp, g) * xp.call(_cofactor, A)},
    args=("A",),
    explain="the determinant; ∂A = g·(the matrix of cofactors)",
)


def det(A: Any, *, out: Any = None) -> Any:
    """The determinant."""
    checked("linalg.det", A)
    result = _det(A)
    return result if out is None else store_out(out, result)


def _slogdet_arrays(A: ndarray) -> tuple[Any, Any]:
    sign, log = np.linalg.slogdet(A)
    return np.asarray(sign, A.dtype), np.asarray(log, _real_type(A))


_slogdet = Primitive(
    "linalg_slogdet",
    _slogdet_arrays,
    {"A": lambda xp, g, A: _column(xp, g[1]) * xp.conj(turned(xp.call(_inv, A)))},
    outputs=("sign", "logabsdet"),
    holomorphic=False,
    explain="sign and logarithm of the determinant's size; ∂A = g·A⁻ᴴ",
)


def slogdet(A: Any, *, out: Any = None) -> Any:
    """(sign, logabsdet): the determinant's sign and the logarithm of its absolute value."""
    checked("linalg.slogdet", A)
    return return_types.slogdet(_slogdet(A))


def logdet(input: Any) -> Any:
    """log det A; NaN where the determinant is negative."""
    checked("logdet", input)
    sign, size = _slogdet(input)
    from clew.ops.elementwise import where

    return where(sign < 0, float("nan"), size)


def _solve_arrays(A: ndarray, B: ndarray, *, vector: bool) -> ndarray:
    return np.linalg.solve(A, B[..., None])[..., 0] if vector else np.linalg.solve(A, B)


_solve: Primitive = Primitive(
    "linalg_solve_ex",
    _solve_arrays,
    {
        "A": lambda xp, g, A, out, vector: (
            -(
                xp.expand_dims(xp.call(_solve, turned(A), g, vector=True), -1) * xp.expand_dims(out, -2)
                if vector
                else xp.call(_solve, turned(A), g, vector=False) @ turned(out)
            )
        ),
        "B": lambda xp, g, A, vector: xp.call(_solve, turned(A), g, vector=vector),
    },
    node="LinalgSolveExBackward0",
    explain="X with A·X = B; ∂B = A⁻ᵀ·G, ∂A = -∂B·Xᵀ",
)


def solve(A: Any, B: Any, *, left: bool = True, out: Any = None) -> Any:
    """X with A·X = B (or X·A = B for left=False), B a matrix or a vector. LinAlgError where A is singular."""
    a = checked("linalg.solve", A)
    b = check_tensor(B, "linalg.solve", "B", 2)._array
    if a.dtype != b.dtype:
        raise RuntimeError(
            "linalg.solve: Expected A and B to have the same dtype, but found A of type "
            f"{legacy_name(a.dtype)} and B of type {legacy_name(b.dtype)} instead"
        )
    vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    rows = b.shape[-1] if vector else b.shape[-2 if left else -1]
    if rows != a.shape[-1]:
        have = f"{rows}x1" if vector else f"{b.shape[-2]}x{b.shape[-1]}"
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B "
            f"({a.shape[-2]}x{a.shape[-1]} and {have})"
        )
    try:
        if left:
            result = _solve(A, B, vector=vector)
        else:
            result = shapes.transpose(
                _solve(shapes.transpose(A, -2, -1), shapes.transpose(B, -2, -1), vector=False), -2, -1
            )
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"torch.linalg.solve: {_failing(a, _singular)}The solver failed because the input matrix is singular."
        ) from None
    return result if out is None else store_out(out, result)


def _triangle(A: ndarray, upper: bool, unitriangular: bool) -> ndarray:
    made = np.triu(A) if upper else np.tril(A)
    if unitriangular:
        n = np.arange(A.shape[-1])
        made[..., n, n] = 1
    return made


def _triangular_mask(n: int, upper: bool, unitriangular: bool, dtype: Any) -> ndarray:
    ones = np.ones((n, n), dtype)
    return np.triu(ones, int(unitriangular)) if upper else np.tril(ones, -int(unitriangular))


def _solve_triangular_back(xp: Any, g: Any, A: Any, out: Any, upper: bool, unitriangular: bool) -> Any:
    back = xp.call(_solve_triangular, turned(A), g, upper=not upper, unitriangular=unitriangular)
    return -(back @ turned(out)) * xp.constant(
        _triangular_mask(A.shape[-1], upper, unitriangular, _real_type(A))
    )


_solve_triangular: Primitive = Primitive(
    "linalg_solve_triangular",
    lambda A, B, *, upper, unitriangular: np.linalg.solve(_triangle(A, upper, unitriangular), B),
    {
        "A": _solve_triangular_back,
        "B": lambda xp, g, A, upper, unitriangular: xp.call(
            _solve_triangular, turned(A), g, upper=not upper, unitriangular=unitriangular
        ),
    },
    explain="X with A·X = B for triangular A",
)


def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Any = None
) -> Any:
    """X with A·X = B (or X·A = B for left=False), of whose A only one triangle counts."""
    checked("linalg.solve_triangular", A)
    checked("linalg.solve_triangular", B, square=False, position="B")
    if left:
        result = _solve_triangular(A, B, upper=upper, unitriangular=unitriangular)
    else:
        turned_A, turned_B = shapes.transpose(A, -2, -1), shapes.transpose(B, -2, -1)
        made = _solve_triangular(turned_A, turned_B, upper=not upper, unitriangular=unitriangular)
        result = shapes.transpose(made, -2, -1)
    return result if out is None else store_out(out, result)


# ---- factorizations --------------------------------------------------------------------------------------------------------
def _cholesky_back(xp: Any, g: Any, L: Any) -> Any:
    half = (
        np.tril(np.ones((L.shape[-1],) * 2, _real_type(L)), -1) + np.eye(L.shape[-1], dtype=_real_type(L)) / 2
    )
    product = (_adjoint(xp, L) @ g) * xp.constant(half)
    inverse = xp.call(_inv, L)
    made = _adjoint(xp, inverse) @ product @ inverse
    return (made + _adjoint(xp, made)) / 2


def _cholesky_primitive(node: str) -> Primitive:
    return Primitive(
        "cholesky",
        np.linalg.cholesky,
        {"self": _cholesky_back},
        args=("self",),
        outputs=("L",),
        node=node,
        holomorphic=False,
        explain="the lower triangular L with A = L·Lᴴ",
    )


_linalg_cholesky, _plain_cholesky = (
    _cholesky_primitive("LinalgCholeskyExBackward0"),
    _cholesky_primitive("CholeskyBackward0"),
)


def _cholesky(name: str, primitive: Primitive, A: Any, upper: bool, out: Any) -> Any:
    array = checked(name, A)
    try:
        result = primitive(A)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{name}: {_failing(array, _minor)}The factorization could not be completed because the input is not "
            f"positive-definite (the leading minor of order {_first(array, _minor)} is not positive-definite)."
        ) from None
    if upper:
        result = shapes.adjoint(result)
    return result if out is None else store_out(out, result)


def linalg_cholesky(A: Any, *, upper: bool = False, out: Any = None) -> Any:
    """The lower triangular L with positive diagonal and A = L·Lᴴ; Lᴴ for `upper`. LinAlgError where there is none."""
    return _cholesky("linalg.cholesky", _linalg_cholesky, A, upper, out)


def cholesky(input: Any, upper: bool = False, *, out: Any = None) -> Any:
    """`linalg.cholesky` under its older name."""
    return _cholesky("cholesky", _plain_cholesky, input, upper, out)


def _qr_back(xp: Any, g: Any, Q: Any, R: Any, mode: str) -> Any:
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
            "mode='reduced') if you are going to require gradients"
        )
    gq, gr = g
    m, k, n = Q.shape[-2], Q.shape[-1], R.shape[-1]
    if k < n or (mode == "complete" and m > n):
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
            if m > n
            else "linalg.qr: the derivative for matrices with more columns than rows is not supported"
        )
    M = R @ _adjoint(xp, gr) - _adjoint(xp, gq) @ Q
    lower = M * xp.constant(np.tril(np.ones((k, k), _real_type(M)), -1))
    symmetric = lower + _adjoint(xp, lower) + xp.real(_diagonal(xp, M))
    return (gq + Q @ symmetric) @ _adjoint(xp, xp.call(_inv, R))


def _qr_arrays(A: ndarray, *, mode: str) -> tuple[ndarray, ndarray]:
    made: Any = np.linalg.qr(A, mode=mode)  # type: ignore[call-overload]
    return (np.zeros((0,), A.dtype), made) if mode == "r" else (made.Q, made.R)


_qr = Primitive(
    "linalg_qr",
    _qr_arrays,
    {"A": _qr_back},
    outputs=("Q", "R"),
    holomorphic=False,
    explain="A = Q·R, Qᴴ·Q = 1, R upper triangular",
)


def linalg_qr(A: Any, mode: str = "reduced", *, out: Any = None) -> Any:
    """(Q, R) with A = Q·R, Q orthonormal columns, R upper triangular. mode: "reduced", "complete", "r" (R alone)."""
    checked("linalg.qr", A, square=False)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    return return_types.linalg_qr(_qr(A, mode=mode))


def qr(input: Any, some: bool = True, *, out: Any = None) -> Any:
    """`linalg.qr` under its older name."""
    return return_types.qr(linalg_qr(input, "reduced" if some else "complete"))


def _gaps(xp: Any, values: Any) -> Any:
    """vⱼ - vᵢ, with ones on the diagonal to divide by."""
    n = values.shape[-1]
    return (
        xp.expand_dims(values, -2)
        - xp.expand_dims(values, -1)
        + xp.constant(np.eye(n, dtype=_real_type(values)))
    )


def _eigh_back(xp: Any, g: Any, eigenvalues: Any, eigenvectors: Any) -> Any:
    gl, gv = g
    adjoint = _adjoint(xp, eigenvectors)
    off = xp.constant(1 - np.eye(eigenvalues.shape[-1], dtype=_real_type(eigenvalues)))
    inner = (adjoint @ gv) / _gaps(xp, eigenvalues) * off + _as_diagonal(xp, gl)
    return eigenvectors @ inner @ adjoint


_eigh = Primitive(
    "linalg_eigh",
    lambda A, *, UPLO: tuple(np.linalg.eigh(A, UPLO)),
    {"A": _eigh_back},
    outputs=("eigenvalues", "eigenvectors"),
    holomorphic=False,
    explain="A = V·diag(λ)·Vᴴ of a Hermitian matrix",
)


def eigh(A: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    """(λ, V) with A = V·diag(λ)·Vᴴ of a Hermitian matrix, λ ascending; only one triangle is read."""
    checked("linalg.eigh", A)
    return return_types.linalg_eigh(_eigh(A, UPLO=UPLO))


def eigvalsh(A: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    """The eigenvalues of a Hermitian matrix, ascending."""
    return eigh(A, UPLO)[0]


def _eig_arrays(A: ndarray) -> tuple[ndarray, ndarray]:
    values, vectors = np.linalg.eig(A)
    kind = np.result_type(A.dtype, np.complex64)
    return values.astype(kind), vectors.astype(kind)


def _eig_back(xp: Any, g: Any, eigenvalues: Any, eigenvectors: Any) -> Any:
    gl, gv = [xp.astype(x, getattr(eigenvectors, "_array", eigenvectors).dtype) for x in g]
    adjoint = _adjoint(xp, eigenvectors)
    product = adjoint @ gv
    inner = product - (adjoint @ eigenvectors) * xp.expand_dims(_real_diagonal(xp, product), -2)
    off = xp.constant(1 - np.eye(eigenvalues.shape[-1], dtype=_real_type(eigenvalues)))
    inner = inner / xp.conj(_gaps(xp, eigenvalues)) * off + _as_diagonal(xp, gl)
    return xp.call(_solve, adjoint, inner @ adjoint, vector=False)


def _real_diagonal(xp: Any, x: Any) -> Any:
    return xp.real(xp.sum(_diagonal(xp, x), -1))


_eig = Primitive(
    "linalg_eig", _eig_arrays, {"self": _eig_back}, args=("self",), outputs=("eigenvalues", "eigenvectors"), holomorphic=False,
    explain="A = V·diag(λ)·V⁻¹",
)  # fmt: skip


def eig(A: Any, *, out: Any = None) -> Any:
    """(λ, V), complex, with A = V·diag(λ)·V⁻¹ and columns of norm 1."""
    checked("linalg.eig", A)
    return return_types.linalg_eig(_eig(A))


def eigvals(A: Any, *, out: Any = None) -> Any:
    """The eigenvalues, complex, in no particular order."""
    return eig(A)[0]


def _svd_back(xp: Any, g: Any, U: Any, S: Any, Vh: Any, full_matrices: bool) -> Any:
    gu, gs, gvh = g
    k = S.shape[-1]
    if U.shape[-1] != k or Vh.shape[-2] != k:
        U, Vh, gu, gvh = U[..., :, :k], Vh[..., :k, :], gu[..., :, :k], gvh[..., :k, :]
    Uh, V = _adjoint(xp, U), _adjoint(xp, Vh)
    row, column = xp.expand_dims(S, -2), xp.expand_dims(S, -1)
    gaps = _gaps(xp, S * S)
    left, right = Uh @ gu, Vh @ _adjoint(xp, gvh)
    inner = (left - _adjoint(xp, left)) / gaps * row + column * ((right - _adjoint(xp, right)) / gaps)
    inner = inner - _diagonal(xp, inner) + _as_diagonal(xp, gs)
    made = U @ inner @ Vh
    if U.shape[-2] > k:
        made = made + (gu - U @ left) / row @ Vh
    if V.shape[-2] > k:
        made = made + U @ ((gvh - _adjoint(xp, right) @ Vh) / column)
    return made


_svd = Primitive(
    "linalg_svd",
    lambda A, *, full_matrices: tuple(np.linalg.svd(A, full_matrices)),
    {"A": _svd_back},
    outputs=("U", "S", "Vh"),
    holomorphic=False,
    explain="A = U·diag(S)·Vᴴ",
)


def linalg_svd(A: Any, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:
    """(U, S, Vᴴ) with A = U·diag(S)·Vᴴ, orthonormal columns, S ≥ 0 descending."""
    checked("linalg.svd", A, square=False)
    return return_types.linalg_svd(_svd(A, full_matrices=full_matrices))


def svd(input: Any, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """(U, S, V), the older form of `linalg.svd`: V, not its adjoint."""
    u, s, vh = linalg_svd(input, not some)
    return return_types.svd((u, s, shapes.adjoint(vh)))


def svdvals(A: Any, *, driver: str | None = None, out: Any = None) -> Any:
    """The singular values, descending."""
    return linalg_svd(A, False)[1]


# ---- pseudo-inverse, least squares, exponential ------------------------------------------------------------------------------
def _pinv_back(xp: Any, g: Any, self: Any, out: Any) -> Any:
    Ph, gh = _adjoint(xp, out), _adjoint(xp, g)
    left, right = gh @ out, Ph @ out @ gh
    return (left - self @ (out @ left)) @ Ph + right - right @ out @ self - Ph @ g @ Ph


_pinv = Primitive(
    "linalg_pinv",
    lambda self, *, rtol, hermitian: np.linalg.pinv(self, rtol, hermitian),
    {"self": _pinv_back},
    holomorphic=False,
    explain="the pseudo-inverse A⁺",
)


def pinv(A: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, out: Any = None) -> Any:
    """The pseudo-inverse A⁺ (Moore-Penrose); singular values below rtol·(the largest) count as zero."""
    array = check_tensor(A, "linalg.pinv")._array
    if array.ndim < 2:
        raise RuntimeError(
            f"linalg.pinv({legacy_name(array.dtype)}{{{list(array.shape)}}}): expected a tensor with 2 or more dimensions of "
            "float, double, cfloat or cdouble types"
        )
    if rtol is None:
        rtol = max(array.shape[-2:]) * float(np.finfo(array.dtype).eps) if not atol else 0.0
    result = _pinv(A, rtol=rtol, hermitian=hermitian)
    return result if out is None else store_out(out, result)


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """`linalg.pinv` under its older name."""
    return pinv(input, rtol=rcond)


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular_values) of min ‖A·X - B‖, for matrices of full rank."""
    a = check_tensor(A, "linalg.lstsq")._array
    if a.ndim < 2:
        raise RuntimeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    solution = matmul(pinv(A), B)
    empty = wrap(np.zeros((0,), a.dtype))
    residuals = empty
    rank = wrap(np.asarray(np.linalg.matrix_rank(a), np.int64))
    if a.shape[-2] > a.shape[-1] and int(np.min(rank._array, initial=a.shape[-1])) == a.shape[-1]:
        residuals = (matmul(A, solution) - B).abs().square().sum(-2)
    return return_types.linalg_lstsq((solution, residuals, rank, empty))


def _expm_array(self: ndarray) -> ndarray:
    from scipy.linalg import expm

    return np.asarray(expm(self), self.dtype) if self.size else self.copy()


def _expm_back(xp: Any, g: Any, self: Any) -> Any:
    """The upper right block of exp [[Aᵀ, G], [0, Aᵀ]] (Mathias, "A chain rule for matrix functions", 1996)."""
    n = self.shape[-1]
    a = turned(self)
    top = xp.concatenate([a, g], -1)
    bottom = xp.concatenate([xp.zeros_like(a), a], -1)
    return xp.call(_expm, xp.concatenate([top, bottom], -2))[..., :n, n:]


_expm = Primitive(
    "linalg_matrix_exp", _expm_array, {"self": _expm_back}, args=("self",), explain="exp A = ∑ Aᵏ/k!"
)


def matrix_exp(A: Any) -> Any:
    """exp A = ∑ Aᵏ/k! of square matrices."""
    checked("linalg.matrix_exp", A)
    return _expm(A)


def inverse(input: Any, *, out: Any = None) -> Any:
    """`linalg.inv` under its older name."""
    return inv(input, out=out)
