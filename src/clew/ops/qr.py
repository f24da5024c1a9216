"""The QR factorization and the Householder reflections that it is made of.

The derivatives: Walter, Lehmann & Lamour, "On evaluating higher-order derivatives of the QR decomposition of tall matrices
with full column rank in forward and reverse mode algorithmic differentiation" (2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.dtypes import legacy_name
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor
from clew.ops._matrices import adjoint_of, checked, diagonal_of, lapack, named, over_batch, real_type
from clew.ops.create import zeros
from clew.ops.join import cat
from clew.ops.linalg import matmul
from clew.ops.solve import _inv

__all__ = ["geqrf", "orgqr", "ormqr", "qr"]


def _qr_back(xp: Any, g: Any, Q: Any, R: Any, mode: str) -> Any:
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
            "mode='reduced') if you are going to require gradients"
        )
    gq, gr = g
    m, k, n = Q.shape[-2], Q.shape[-1], R.shape[-1]
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
        )
    if k == n:
        return _qr_square(xp, gq, gr, Q, R)
    # Wide: R = [R₁ R₂], A₁ = Q·R₁ as if it were alone, R₂ = Qᴴ·A₂.
    beyond = gr[..., :, k:]
    gq = gq + Q @ R[..., :, k:] @ adjoint_of(xp, beyond)
    return xp.concatenate([_qr_square(xp, gq, gr[..., :, :k], Q, R[..., :, :k]), Q @ beyond], -1)


def _qr_square(xp: Any, gq: Any, gr: Any, Q: Any, R: Any) -> Any:
    k = R.shape[-1]
    M = R @ adjoint_of(xp, gr) - adjoint_of(xp, gq) @ Q
    lower = M * xp.constant(np.tril(np.ones((k, k), real_type(M)), -1))
    symmetric = lower + adjoint_of(xp, lower) + xp.real(diagonal_of(xp, M))
    return (gq + Q @ symmetric) @ adjoint_of(xp, xp.call(_inv, R))


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
    return named(return_types.linalg_qr, _qr(A, mode=mode), out)


def qr(input: Any, some: bool = True, *, out: Any = None) -> Any:
    """`linalg.qr` under its older name."""
    return return_types.qr(linalg_qr(input, "reduced" if some else "complete", out=out))


# ---- reflections -------------------------------------------------------------------------------------------------------------
def _geqrf_arrays(A: ndarray) -> tuple[ndarray, ndarray]:
    routine = lapack("geqrf", A.dtype)
    a, tau = over_batch(lambda m: routine(m)[:2], A)
    return a, tau


def _geqrf_back(xp: Any, g: Any) -> Any:
    raise NotImplementedError("the derivative for 'geqrf' is not implemented.")


_geqrf = Primitive(
    "geqrf", _geqrf_arrays, {"A": _geqrf_back}, outputs=("a", "tau"), explain="QR, packed as LAPACK does"
)


def geqrf(input: Any, *, out: Any = None) -> Any:
    """(a, tau): R in the upper triangle of a; below it the vectors vᵢ of reflections Hᵢ = 1 - τᵢ·vᵢ·vᵢᴴ, Q = H₁·H₂·…"""
    if check_tensor(input, "geqrf")._array.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    return named(return_types.geqrf, _geqrf(input), out)


def _reflectors(input: ndarray) -> ndarray:
    """The vectors vᵢ, as columns: ones on the diagonal, what is given below it."""
    made = np.tril(input, -1)
    at = np.arange(min(input.shape[-2:]))
    made[..., at, at] = 1
    return made


def _householder_arrays(input: ndarray, tau: ndarray) -> ndarray:
    made = np.zeros_like(input)
    at = np.arange(min(input.shape[-2:]))
    made[..., at, at] = 1
    columns = _reflectors(input)[..., : tau.shape[-1]]
    scaled, rows = columns * tau[..., None, :], np.conj(columns).swapaxes(-1, -2)
    for i in range(tau.shape[-1])[::-1]:  # the last is applied first
        one = slice(i, i + 1)
        made -= scaled[..., one] @ (rows[..., one, :] @ made)
    return made


def _householder_back(xp: Any, g: Any, needs: Any, input: Any, tau: Any, out: Any) -> list[Any]:
    """One reflection after the other is taken off the product, Qᵢ = Hᵢ⁻¹·Qᵢ₋₁ (a reflection has an inverse of its form)."""
    rows, n = input.shape[-2:]
    if not n:
        return [xp.zeros_like(input), xp.zeros_like(tau)]
    lower = xp.constant(np.tril(np.ones((rows, n), real_type(input)), -1))
    columns = input * lower + xp.constant(np.eye(rows, n, dtype=real_type(input)))
    of_columns, of_tau = [], []
    for i in range(tau.shape[-1]):
        v, t = columns[..., :, i : i + 1], tau[..., i : i + 1, None]
        adjoint = adjoint_of(xp, v)
        rest = out - t / (t * (adjoint @ v) - 1) * v @ (adjoint @ out)
        turned_v = rest @ (adjoint_of(xp, g) @ v)
        seen = adjoint_of(xp, adjoint @ rest)
        of_tau.append(-(adjoint @ g @ seen)[..., 0])
        of_columns.append(-(xp.conj(t) * (g @ seen)) - t * turned_v)
        g = g - xp.conj(t) * v @ (adjoint @ g)
        out = rest
    of_columns += [xp.zeros_like(columns[..., :, i : i + 1]) for i in range(tau.shape[-1], n)]
    return [
        xp.concatenate(of_columns, -1) * lower,
        xp.concatenate(of_tau, -1) if of_tau else xp.zeros_like(tau),
    ]


_householder = Primitive(
    "linalg_householder_product",
    _householder_arrays,
    _householder_back,
    holomorphic=False,
    explain="the first columns of a product of reflections",
)


def _check_reflections(name: str, a: ndarray, tau: ndarray) -> None:
    """What `householder_product` and `ormqr` ask of both alike."""
    if tau.ndim != a.ndim - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau.ndim} and input.ndim "
            f"is equal to {a.ndim}"
        )
    if a.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(tau.shape[:-1])}"
        )


def householder_product(input: Any, tau: Any, *, out: Any = None) -> Any:
    """The first n columns of H₁·H₂·…·Hₖ, Hᵢ = 1 - τᵢ·vᵢ·vᵢᴴ, vᵢ as `geqrf` packs them: `input` (m × n), `tau` (k), k ≤ n ≤ m."""
    name = "torch.linalg.householder_product"
    a, t = check_tensor(input, name)._array, check_tensor(tau, name, "tau", 2)._array
    if a.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if a.shape[-2] < a.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if a.shape[-1] < t.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    _check_reflections(name, a, t)
    if a.dtype != t.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {legacy_name(t.dtype)} does not match input dtype {legacy_name(a.dtype)}"
        )
    result = _householder(input, tau)
    return result if out is None else store_out(out, result)


def orgqr(input: Any, input2: Any, *, out: Any = None) -> Any:
    """`linalg.householder_product` under its older name."""
    return householder_product(input, input2, out=out)


def ormqr(
    input: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False, *, out: Any = None
) -> Any:
    """Q·other (other·Q unless `left`; Qᴴ for Q if `transpose`), Q the whole (m × m) product of reflections in `geqrf`'s form."""
    a, t, c = (check_tensor(x, "ormqr")._array for x in (input, tau, other))
    name = "torch.ormqr"
    for array, what in ((a, "input"), (c, "other")):
        if array.ndim < 2:
            raise RuntimeError(f"{name}: {what} must have at least 2 dimensions.")
    side = -2 if left else -1
    if c.shape[side] != a.shape[-2]:
        raise RuntimeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    if t.shape[-1] != min(c.shape[side], a.shape[-1]):
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    _check_reflections(name, a, t)
    if c.ndim != a.ndim or c.shape[:-2] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of other to be equal to input.shape[:-2], but got {list(c.shape[:-2])}"
        )
    for array, what in ((t, "tau"), (c, "other")):
        if array.dtype != a.dtype:
            raise RuntimeError(
                f"{name}: Expected input and {what} to have the same dtype, but input has dtype{legacy_name(a.dtype)} and {what} "
                f"has dtype {legacy_name(array.dtype)}"
            )
    m, n = a.shape[-2:]
    whole = (
        input
        if n == m
        else input[..., :m]
        if n > m
        else cat([input, zeros(*a.shape[:-1], m - n, dtype=input.dtype)], -1)
    )
    q = householder_product(whole, tau)
    if transpose:
        q = shapes.adjoint(q)
    result = matmul(q, other) if left else matmul(other, q)
    return result if out is None else store_out(out, result)
