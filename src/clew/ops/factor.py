"""Factorizations of matrices, singly or in batches: Cholesky, eigenvalues, singular values. (QR and its parts: qr.py; LU:
lu.py.)

The derivatives are the textbook's: Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); Murray, "Differentiation of the Cholesky decomposition" (2016); Townsend, "Differentiating the
singular value decomposition" (2016). Where factors are not unique (signs, repeated values) gradients of what depends on
the choice are not defined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.ops import shape as shapes
from clew.ops._matrices import (
    LinAlgError,
    adjoint_of,
    as_diagonal,
    checked,
    diagonal_of,
    failing,
    first,
    infos,
    lapack,
    minor,
    named,
    over_batch,
    real_type,
)
from clew.ops.linalg import matmul
from clew.ops.qr import linalg_qr
from clew.ops.reduce import mean
from clew.ops.sampling import randn
from clew.ops.solve import _inv, _solve

__all__ = ["cholesky", "pca_lowrank", "svd", "svd_lowrank"]


# ---- Cholesky --------------------------------------------------------------------------------------------------------------
def _cholesky_back(xp: Any, g: Any, L: Any) -> Any:
    half = (
        np.tril(np.ones((L.shape[-1],) * 2, real_type(L)), -1) + np.eye(L.shape[-1], dtype=real_type(L)) / 2
    )
    product = (adjoint_of(xp, L) @ g) * xp.constant(half)
    inverse = xp.call(_inv, L)
    made = adjoint_of(xp, inverse) @ product @ inverse
    return (made + adjoint_of(xp, made)) / 2


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


def _not_positive(name: str, array: ndarray) -> LinAlgError:
    order = first(array, minor)
    return LinAlgError(
        f"{name}: {failing(array, minor)}The factorization could not be completed because the input is not positive-definite "
        f"(the leading minor of order {order} is not positive-definite)."
    )


def _cholesky(name: str, primitive: Primitive, A: Any, upper: bool, out: Any) -> Any:
    array = checked(name, A)
    try:
        result = primitive(A)
    except np.linalg.LinAlgError:
        raise _not_positive(name, array) from None
    if upper:
        result = shapes.adjoint(result)
    return result if out is None else store_out(out, result)


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(L, info): `linalg.cholesky`, and 0 or the order of the first leading minor that is not positive-definite, which is
    where the factorization of that matrix stopped.
    """
    array = checked("linalg.cholesky_ex", A)
    try:
        factor = _linalg_cholesky(A)
    except np.linalg.LinAlgError:
        if check_errors:
            raise _not_positive("linalg.cholesky_ex", array) from None
        potrf = lapack("potrf", array.dtype)
        factor = wrap(over_batch(lambda m: (potrf(m, lower=True, clean=True)[0],), array)[0])
    return named(
        return_types.linalg_cholesky_ex,
        (shapes.adjoint(factor) if upper else factor, infos(array, minor)),
        out,
    )


def linalg_cholesky(A: Any, *, upper: bool = False, out: Any = None) -> Any:
    """The lower triangular L with positive diagonal and A = L·Lᴴ; Lᴴ for `upper`. LinAlgError where there is none."""
    return _cholesky("linalg.cholesky", _linalg_cholesky, A, upper, out)


def cholesky(input: Any, upper: bool = False, *, out: Any = None) -> Any:
    """`linalg.cholesky` under its older name."""
    return _cholesky("cholesky", _plain_cholesky, input, upper, out)


# ---- eigenvalues -----------------------------------------------------------------------------------------------------------
def _gaps(xp: Any, values: Any) -> Any:
    """vⱼ - vᵢ, with ones on the diagonal to divide by."""
    n = values.shape[-1]
    return (
        xp.expand_dims(values, -2)
        - xp.expand_dims(values, -1)
        + xp.constant(np.eye(n, dtype=real_type(values)))
    )


def _eigh_back(xp: Any, g: Any, eigenvalues: Any, eigenvectors: Any) -> Any:
    gl, gv = g
    adjoint = adjoint_of(xp, eigenvectors)
    off = xp.constant(1 - np.eye(eigenvalues.shape[-1], dtype=real_type(eigenvalues)))
    inner = (adjoint @ gv) / _gaps(xp, eigenvalues) * off + as_diagonal(xp, gl)
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
    return named(return_types.linalg_eigh, _eigh(A, UPLO=UPLO), out)


def eigvalsh(A: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    """The eigenvalues of a Hermitian matrix, ascending."""
    values = eigh(A, UPLO)[0]
    return values if out is None else store_out(out, values)


def _eig_arrays(A: ndarray) -> tuple[ndarray, ndarray]:
    values, vectors = np.linalg.eig(A)
    kind = np.result_type(A.dtype, np.complex64)
    return values.astype(kind), vectors.astype(kind)


def _eig_back(xp: Any, g: Any, eigenvalues: Any, eigenvectors: Any) -> Any:
    gl, gv = [xp.astype(x, getattr(eigenvectors, "_array", eigenvectors).dtype) for x in g]
    adjoint = adjoint_of(xp, eigenvectors)
    product = adjoint @ gv
    inner = product - (adjoint @ eigenvectors) * xp.expand_dims(_real_diagonal(xp, product), -2)
    off = xp.constant(1 - np.eye(eigenvalues.shape[-1], dtype=real_type(eigenvalues)))
    inner = inner / xp.conj(_gaps(xp, eigenvalues)) * off + as_diagonal(xp, gl)
    return xp.call(_solve, adjoint, inner @ adjoint, vector=False)


def _real_diagonal(xp: Any, x: Any) -> Any:
    return xp.real(xp.sum(diagonal_of(xp, x), -1))


_eig = Primitive(
    "linalg_eig", _eig_arrays, {"self": _eig_back}, args=("self",), outputs=("eigenvalues", "eigenvectors"), holomorphic=False,
    explain="A = V·diag(λ)·V⁻¹",
)  # fmt: skip


def eig(A: Any, *, out: Any = None) -> Any:
    """(λ, V), complex, with A = V·diag(λ)·V⁻¹ and columns of norm 1."""
    checked("linalg.eig", A)
    return named(return_types.linalg_eig, _eig(A), out)


def eigvals(A: Any, *, out: Any = None) -> Any:
    """The eigenvalues, complex, in no particular order."""
    values = eig(A)[0]
    return values if out is None else store_out(out, values)


def _svd_back(xp: Any, g: Any, U: Any, S: Any, Vh: Any, full_matrices: bool) -> Any:
    gu, gs, gvh = g
    k = S.shape[-1]
    if U.shape[-1] != k or Vh.shape[-2] != k:
        U, Vh, gu, gvh = U[..., :, :k], Vh[..., :k, :], gu[..., :, :k], gvh[..., :k, :]
    Uh, V = adjoint_of(xp, U), adjoint_of(xp, Vh)
    row, column = xp.expand_dims(S, -2), xp.expand_dims(S, -1)
    gaps = _gaps(xp, S * S)
    left, right = Uh @ gu, Vh @ adjoint_of(xp, gvh)
    inner = (left - adjoint_of(xp, left)) / gaps * row + column * ((right - adjoint_of(xp, right)) / gaps)
    inner = inner - diagonal_of(xp, inner) + as_diagonal(xp, gs)
    made = U @ inner @ Vh
    if U.shape[-2] > k:
        made = made + (gu - U @ left) / row @ Vh
    if V.shape[-2] > k:
        made = made + U @ ((gvh - adjoint_of(xp, right) @ Vh) / column)
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
    return named(return_types.linalg_svd, _svd(A, full_matrices=full_matrices), out)


def svd(input: Any, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """(U, S, V), the older form of `linalg.svd`: V, not its adjoint."""
    u, s, vh = linalg_svd(input, not some)
    return named(return_types.svd, (u, s, shapes.adjoint(vh)), out)


def svdvals(A: Any, *, driver: str | None = None, out: Any = None) -> Any:
    """The singular values, descending."""
    values = linalg_svd(A, False)[1]
    return values if out is None else store_out(out, values)


# ---- the largest singular values ---------------------------------------------------------------------------------------------
def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> tuple[Any, Any, Any]:
    """(U, S, V), the q largest singular values of A - M, found in the image of q random vectors.

    Halko, Martinsson & Tropp, "Finding structure with randomness" (2009), algorithms 4.4 and 5.1.
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    rows, columns = A.shape[-2:]
    if M is not None:
        A = A - M.broadcast_to(A.shape)
    wide = rows < columns
    if wide:
        A = shapes.adjoint(A)
    image = _image(A, min(q, *A.shape[-2:]) if q > min(A.shape[-2:]) else q, niter)
    u, s, vh = linalg_svd(matmul(shapes.adjoint(image), A), False)
    u, v = matmul(image, u), shapes.adjoint(vh)
    return (v, s, u) if wide else (u, s, v)


def _image(A: Any, q: int, niter: int) -> Any:
    """Orthonormal columns that nearly span what A makes of q random vectors."""
    found = linalg_qr(matmul(A, randn(A.shape[-1], q, dtype=A.dtype)))[0]
    for _ in range(niter):
        found = linalg_qr(matmul(shapes.adjoint(A), found))[0]
        found = linalg_qr(matmul(A, found))[0]
    return found


def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Any, Any, Any]:
    """(U, S, V) of the principal components: `svd_lowrank` of A with the mean of its columns subtracted (if `center`)."""
    rows, columns = A.shape[-2:]
    if q is None:
        q = min(6, rows, columns)
    elif not 0 <= q <= min(rows, columns):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(rows, columns)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - mean(A, -2, keepdim=True) if center else A, q, niter)
