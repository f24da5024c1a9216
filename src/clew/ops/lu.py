"""LU and LDL factorizations, and the systems solved with them.

The derivative of A = P·L·U for square, tall and wide matrices: with X = L⁻ᴴ·(tril(Lᴴ·L̄, -1) + triu(Ū·Uᴴ))·U⁻ᴴ, Ā = P·X;
of a tall or wide matrix the part beyond the square follows from L₂ = A₂·U⁻¹ or U₂ = L⁻¹·A₂. (Giles 2008, by the same steps
as his for square matrices.)
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy import ndarray

from clew import return_types
from clew.core.inplace import store_out
from clew.core.modes import first_time
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor
from clew.ops._matrices import adjoint_of, failing, lapack, named, over_batch, real_type, singular
from clew.ops.linalg import matmul
from clew.ops.solve import _check_solve, _solve_triangular, solve_triangular

__all__ = ["lu", "lu_solve", "lu_unpack"]


# ---- LU ----------------------------------------------------------------------------------------------------------------------
def _lu_arrays(A: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """L and U in one, the rows exchanged, and where the first zero on U's diagonal stands (both counted from 1)."""
    routine = lapack("getrf", A.dtype)

    def factor(m: ndarray) -> tuple[Any, ...]:
        packed, pivots, info = routine(m)
        return packed, (pivots + 1).astype(np.int32), np.int32(max(info, 0) if m.size else 0)

    packed, pivots, info = over_batch(factor, A)
    return packed, pivots, info


def _permutation(pivots: ndarray, n: int, dtype: Any) -> ndarray:
    """P, whose columns are those of the identity as the exchanges of rows leave them: A = P·L·U."""
    count = math.prod(pivots.shape[:-1])
    rows, each = np.tile(np.arange(n), (count, 1)), np.arange(count)
    for i, other in enumerate(pivots.reshape(count, pivots.shape[-1]).T - 1):
        rows[each, other], rows[:, i] = rows[:, i].copy(), rows[each, other]
    made = np.zeros((count, n, n), dtype)
    made[each[:, None], rows, np.arange(n)] = 1
    return made.reshape(*pivots.shape[:-1], n, n)


def _lu_back(xp: Any, g: Any, LU: Any, pivots: Any) -> Any:
    g, kind = g[0], real_type(LU)
    m, n = LU.shape[-2:]
    P = xp.constant(_permutation(getattr(pivots, "_array", pivots), m, kind))
    k = min(m, n)
    below, above = (xp.constant(t(np.ones((m, n), kind), d)) for t, d in ((np.tril, -1), (np.triu, 0)))
    L = (LU * below)[..., :, :k] + xp.constant(np.eye(m, k, dtype=kind))
    U, gl, gu = (LU * above)[..., :k, :], (g * below)[..., :, :k], (g * above)[..., :k, :]
    square_below, square_above = (t[..., :k, :k] for t in (below, above))
    of_l, of_u = (
        adjoint_of(xp, L[..., :k, :]) @ gl[..., :k, :],
        gu[..., :, :k] @ adjoint_of(xp, U[..., :, :k]),
    )
    if m > n:
        of_u = of_u - adjoint_of(xp, L[..., k:, :]) @ gl[..., k:, :]
    elif n > m:
        of_l = of_l - gu[..., :, k:] @ adjoint_of(xp, U[..., :, k:])
    inner = of_l * square_below + of_u * square_above
    upper, lower = adjoint_of(xp, L[..., :k, :]), U[..., :, :k]
    made = _solved(xp, upper, _divided(xp, inner, lower), True, True)
    if m > n:
        made = xp.concatenate([made, _divided(xp, gl[..., k:, :], lower)], -2)
    elif n > m:
        made = xp.concatenate([made, _solved(xp, upper, gu[..., :, k:], True, True)], -1)
    return P @ made


def _solved(xp: Any, A: Any, B: Any, upper: bool, unitriangular: bool) -> Any:
    return xp.call(_solve_triangular, A, B, upper=upper, unitriangular=unitriangular)


def _divided(xp: Any, B: Any, U: Any) -> Any:
    """B·U⁻ᴴ."""
    return adjoint_of(xp, _solved(xp, U, adjoint_of(xp, B), True, False))


_lu_factor = Primitive(
    "linalg_lu_factor_ex",
    _lu_arrays,
    {"A": _lu_back},
    outputs=("LU", "pivots", "info"),
    holomorphic=False,
    explain="A = P·L·U, L and U packed into one",
)


def _checked(A: Any) -> ndarray:
    array: ndarray = check_tensor(A, "lu_factor", "A")._array
    if array.ndim < 2:
        raise RuntimeError(
            f"torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: {list(array.shape)} instead"
        )
    if array.dtype.kind not in "fc" or array.dtype.itemsize == 2:
        raise NotImplementedError(f"\"lu_cpu\" not implemented for '{legacy_name(array.dtype)}'")
    return array


def _check_pivot(pivot: bool) -> None:
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


def _zero_pivot(name: str, array: ndarray, info: ndarray) -> None:
    """RuntimeError for the first matrix whose U has a zero on its diagonal."""
    if info.any():
        k = info.ravel()[info.ravel() > 0][0]
        raise RuntimeError(
            f"torch.linalg.{name}: {failing(array, singular)}U[{k},{k}] is zero and using it on lu_solve would result in a "
            "division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)"
        )


def lu_factor(A: Any, *, pivot: bool = True, out: Any = None) -> Any:
    """(LU, pivots): A = P·L·U with L (ones on its diagonal) and U in one matrix; row i was exchanged for row pivots[i] (from 1)."""
    array = _checked(A)
    _check_pivot(pivot)
    *found, info = _lu_factor(A)
    _zero_pivot("lu_factor", array, info._array)
    return named(return_types.linalg_lu_factor, found, out)


def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(LU, pivots, info): `lu_factor`, and 0 or the place of U's first zero on the diagonal."""
    array = _checked(A)
    _check_pivot(pivot)
    found = _lu_factor(A)
    if check_errors:
        _zero_pivot("lu_factor_ex", array, found[2]._array)
    return named(return_types.linalg_lu_factor_ex, found, out)


def _unpack_back(xp: Any, g: Any, LU_shape: tuple[int, ...]) -> Any:
    (gl, gu), (m, n) = g, LU_shape[-2:]
    k, kind = min(m, n), real_type(g[0])
    gl, gu = (
        part * xp.constant(t(np.ones(part.shape[-2:], kind), d))
        for part, t, d in ((gl, np.tril, -1), (gu, np.triu, 0))
    )
    if n > k:
        gl = xp.concatenate([gl, xp.zeros_like(gu[..., :, k:])], -1)
    if m > k:
        gu = xp.concatenate([gu, xp.zeros_like(gl[..., k:, :])], -2)
    return gl + gu


def _unpack_arrays(LU: ndarray) -> tuple[ndarray, ndarray]:
    m, n = LU.shape[-2:]
    k = min(m, n)
    return np.tril(LU[..., :k], -1) + np.eye(m, k, dtype=LU.dtype), np.triu(LU[..., :k, :])


def _unpack(node: str) -> Primitive:
    return Primitive(
        "lu_unpack",
        _unpack_arrays,
        {"LU": _unpack_back},
        outputs=("L", "U"),
        node=node,
        explain="L and U out of the packed form",
    )


_lu_unpack, _linalg_lu_unpack = _unpack("LuUnpackBackward0"), _unpack("LinalgLuBackward0")


def linalg_lu(A: Any, *, pivot: bool = True, out: Any = None) -> Any:
    """(P, L, U) with A = P·L·U: P a permutation, L lower triangular with ones on its diagonal, U upper triangular."""
    array = _checked(A)
    _check_pivot(pivot)
    packed, pivots, _ = _lu_factor(A)
    permutation = wrap(_permutation(pivots._array, array.shape[-2], array.dtype))
    return named(return_types.linalg_lu, (permutation, *_linalg_lu_unpack(packed)), out)


def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None
) -> Any:
    """(P, L, U) of what `linalg.lu_factor` gives; what is not asked for comes empty."""
    packed = check_tensor(LU_data, "lu_unpack", "LU_data")._array
    pivots = check_tensor(LU_pivots, "lu_unpack", "LU_pivots", 2)._array
    if packed.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(packed.shape)} instead"
        )
    if unpack_pivots and pivots.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this function is "
            "intended to be used with the output produced by torch.linalg.lu_factor"
        )
    n = packed.shape[-2]
    if unpack_pivots and (((pivots < 1) | (pivots > n)).any()):
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the result of lu_factor?"
        )
    nothing = np.zeros(0, packed.dtype)
    permutation = wrap(_permutation(pivots, n, packed.dtype) if unpack_pivots else nothing)
    factors = _lu_unpack(LU_data) if unpack_data else (LU_data.reshape(-1)[:0], LU_data.reshape(-1)[:0])
    return named(return_types.lu_unpack, (permutation, *factors), out)


def lu(A: Any, pivot: bool = True, get_infos: bool = False, out: Any = None) -> tuple[Any, ...]:
    """`linalg.lu_factor_ex` under its older name; `info` only if asked for."""
    if first_time("lu"):
        warnings.warn(
            "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and will be removed in a "
            "future PyTorch release.\nLU, pivots = torch.lu(A, compute_pivots)\nshould be replaced with\nLU, pivots = "
            "torch.linalg.lu_factor(A, compute_pivots)\nand\nLU, pivots, info = torch.lu(A, compute_pivots, get_infos=True)\n"
            "should be replaced with\nLU, pivots, info = torch.linalg.lu_factor_ex(A, compute_pivots)",
            UserWarning,
            stacklevel=2,
        )
    found = lu_factor_ex(A, pivot=pivot, out=out)
    return tuple(found if get_infos else found[:2])


def linalg_lu_solve(
    LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False, out: Any = None
) -> Any:
    """X with A·X = B (X·A = B unless `left`; Aᴴ for A if `adjoint`), A = P·L·U as `linalg.lu_factor` gives it."""
    factors, _ = _check_solve("linalg.lu_solve", LU, B, left, "LU")
    exchanged = check_tensor(pivots, "linalg.lu_solve", "pivots", 2)._array
    if exchanged.dtype != np.int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    if exchanged.shape[-1] != factors.shape[-1]:
        raise RuntimeError(
            "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if factors.shape[:-1] != exchanged.shape:
        raise RuntimeError(
            "linalg.lu_solve: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(exchanged.shape)} instead"
        )
    permutation = wrap(_permutation(exchanged, factors.shape[-1], factors.dtype))
    if left != adjoint:
        right = matmul(shapes.adjoint(permutation), B if left else shapes.adjoint(B))
        half = solve_triangular(LU, right, upper=False, unitriangular=True)
        result = solve_triangular(LU, half, upper=True)
    else:
        half = solve_triangular(shapes.adjoint(LU), B if left else shapes.adjoint(B), upper=False)
        result = matmul(
            permutation, solve_triangular(shapes.adjoint(LU), half, upper=True, unitriangular=True)
        )
    result = result if left else shapes.adjoint(result)
    return result if out is None else store_out(out, result)


def lu_solve(b: Any, LU_data: Any, LU_pivots: Any, *, out: Any = None) -> Any:
    """`linalg.lu_solve` under its older name, the right side first."""
    return linalg_lu_solve(LU_data, LU_pivots, b, out=out)


# ---- LDL ---------------------------------------------------------------------------------------------------------------------
def _routine(name: str, hermitian: bool, dtype: np.dtype[Any]) -> Any:
    return lapack(("he" if hermitian and dtype.kind == "c" else "sy") + name, dtype)


def _ldl_arrays(A: ndarray, *, hermitian: bool) -> tuple[ndarray, ndarray, ndarray]:
    routine = _routine("trf", hermitian, A.dtype)

    def factor(m: ndarray) -> tuple[Any, ...]:
        packed, pivots, info = routine(m, lower=True)
        return np.tril(packed), pivots.astype(np.int32), np.int32(info)

    packed, pivots, info = over_batch(factor, A)
    return packed, pivots, info


def _ldl_back(xp: Any, g: Any) -> Any:
    raise RuntimeError("derivative for aten::linalg_ldl_factor_ex is not implemented")


_ldl = Primitive(
    "linalg_ldl_factor_ex",
    _ldl_arrays,
    {"A": _ldl_back},
    outputs=("LD", "pivots", "info"),
    explain="A = L·D·Lᵀ of a symmetric matrix",
)


def _check_ldl(A: Any, name: str) -> ndarray:
    array: ndarray = check_tensor(A, name)._array
    if array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if array.shape[-1] != array.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {array.shape[-2]} by {array.shape[-1]} matrices"
        )
    return array


def ldl_factor_ex(A: Any, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(LD, pivots, info): A = L·D·Lᵀ (L·D·Lᴴ if `hermitian`) of a symmetric matrix, packed as LAPACK's sytrf (hetrf) does;
    info is 0 or the place of D's first zero.
    """
    _check_ldl(A, "torch.linalg.ldl_factor_ex")
    found = _ldl(A, hermitian=hermitian)
    if check_errors and found[2]._array.any():
        raise RuntimeError(f"torch.linalg.ldl_factor_ex: Unknown error code: {int(found[2]._array.max())}.")
    return named(return_types.linalg_ldl_factor_ex, found, out)


def ldl_factor(A: Any, *, hermitian: bool = False, out: Any = None) -> Any:
    """`ldl_factor_ex` without info. RuntimeError where D has a zero on its diagonal."""
    packed, pivots, info = ldl_factor_ex(A, hermitian=hermitian)
    if info._array.any():
        raise RuntimeError(f"torch.linalg.ldl_factor: Unknown error code: {int(info._array.max())}.")
    return named(return_types.linalg_ldl_factor, (packed, pivots), out)


def ldl_solve(LD: Any, pivots: Any, B: Any, *, hermitian: bool = False, out: Any = None) -> Any:
    """X with A·X = B, A factored by `ldl_factor`."""
    name = "torch.linalg.ldl_solve"
    packed = _check_ldl(LD, name)
    p, b = check_tensor(pivots, name, "pivots", 2)._array, check_tensor(B, name, "B", 3)._array
    if b.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected B to have at least 2 dimensions, but it has {b.ndim} dimensions instead"
        )
    if p.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {legacy_name(p.dtype)}")
    if b.dtype != packed.dtype:
        raise RuntimeError(
            f"{name}: LD dtype {legacy_name(packed.dtype)} does not match b dtype {legacy_name(b.dtype)}"
        )
    batch = np.broadcast_shapes(packed.shape[:-2], b.shape[:-2])
    found = np.zeros((*batch, *b.shape[-2:]), b.dtype)
    if found.size:
        routine = _routine("trs", hermitian, packed.dtype)
        whole = [np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in (packed, p[..., None, :], b)]
        (found,) = over_batch(lambda ld, piv, right: (routine(ld, piv[0], right, lower=True)[0],), *whole)
    result = wrap(found)
    return result if out is None else store_out(out, result)
