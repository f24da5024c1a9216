"""A few eigenpairs of a large symmetric matrix: the locally optimal block preconditioned conjugate gradient method.

Knyazev (2001), with the basis of each step made orthonormal as by Stathopoulos & Wu (2002).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.variable import Variable, wrap
from clew.ops._arguments import check_tensor
from clew.ops.factor import eigh
from clew.ops.sampling import randn

__all__ = ["lobpcg"]

_STEPS = 1000


def lobpcg(
    A: Any, k: int | None = None, B: Any = None, X: Any = None, n: int | None = None, iK: Any = None,
    niter: int | None = None, tol: float | None = None, largest: bool | None = None, method: str | None = None,
    tracker: Any = None, ortho_iparams: Any = None, ortho_fparams: Any = None, ortho_bparams: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """The k largest (largest=False: smallest) λ with A x = λ B x, and their vectors x as columns.

    A: (*, m, m), symmetric; B: positive definite, the identity without it; X: (*, m, n) to begin with, random without it; iK:
    a preconditioner. A pair is found when ‖A x − λ B x‖ falls below `tol` times what rounding could make it. `method` and the
    `ortho_` parameters choose in PyTorch how bases are made orthonormal; here there is one way. ValueError for 3 n > m.
    """
    check_tensor(A, "lobpcg")
    shape = A.shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise AssertionError(f"A must be square, got shape {shape}")
    if method not in (None, "basic", "ortho"):
        raise ValueError("invalid `method=` (not in ['basic', 'ortho'])")
    m = shape[-1]
    k = (1 if X is None else X.shape[-1]) if k is None else k
    n = (k if X is None else X.shape[-1]) if n is None else n
    if m < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3 x the number of "
            f"requested eigenpairs (={n})"
        )
    if X is None:
        X = randn(*shape[:-2], m, n, dtype=A.dtype)
    upwards = largest is False
    if A.requires_grad and B is None:
        return _differentiable(A, k, upwards)
    tol = float(np.finfo(A._array.dtype).eps) ** 0.5 if tol is None else tol
    steps = _STEPS if niter is None or niter < 0 else niter - 1  # the first is made of X alone
    count = math.prod(shape[:-2])
    batches = [[None] * count if t is None else _matrices(t, shape) for t in (A, B, iK, X)]
    found = [_search(a, b, i, x, k, upwards, steps, tol) for a, b, i, x in zip(*batches, strict=True)]
    values = np.array([e for e, _ in found]).reshape((*shape[:-2], k))
    vectors = np.array([v for _, v in found]).reshape((*shape[:-2], m, k))
    return wrap(values), wrap(vectors)


def _matrices(t: Any, shape: Any) -> ndarray:
    array = np.asarray(t._array if isinstance(t, Variable) else t)
    return np.broadcast_to(array, (*shape[:-2], *array.shape[-2:])).reshape((-1, *array.shape[-2:]))


def _differentiable(A: Any, k: int, upwards: bool) -> tuple[Any, Any]:
    """From all eigenpairs, whose derivative is known."""
    values, vectors = eigh(A)
    if not upwards:
        values, vectors = values.flip(-1), vectors.flip(-1)
    return values[..., :k], vectors[..., :k]


def _search(A: Any, B: Any, K: Any, X: Any, k: int, upwards: bool, steps: int, tol: float) -> Any:
    """One matrix: in every step the best vectors in the space of X, the residuals and the last step's direction."""
    n = X.shape[1]
    weigh = (lambda x: x) if B is None else (lambda x: B @ x)
    sizes = [float(np.linalg.norm(f) / np.linalg.norm(X)) for f in (A @ X, weigh(X))]
    values, X = _best(A, weigh, X, n, upwards)
    direction = X[:, :0]
    for _ in range(steps):
        residual = A @ X - weigh(X) * values
        scale = np.linalg.norm(X, axis=0) * (sizes[0] + np.abs(values) * sizes[1])
        done = np.linalg.norm(residual, axis=0) < tol * scale
        if done[:k].all():
            break
        residual = residual if K is None else K @ residual
        values, found = _best(A, weigh, np.concatenate([X, direction, residual], 1), n, upwards)
        direction = found - X @ (X.T @ weigh(found))
        X = found
    return values[:k], X[:, :k]


def _best(A: ndarray, weigh: Any, space: ndarray, n: int, upwards: bool) -> tuple[ndarray, ndarray]:
    """The n extreme Ritz pairs of a space (Rayleigh and Ritz)."""
    lengths = np.linalg.norm(space, axis=0)
    space = space[:, lengths > 0] / lengths[lengths > 0]
    squares, turn = np.linalg.eigh(space.T @ weigh(space))
    kept = (
        squares > squares[-1] * len(squares) * np.finfo(space.dtype).eps
    )  # what lies in the others' span falls out
    basis = space @ (turn[:, kept] / np.sqrt(squares[kept]))
    values, turn = np.linalg.eigh(basis.T @ (A @ basis))
    chosen = slice(0, n) if upwards else slice(None, -n - 1, -1)
    return values[chosen], basis @ turn[:, chosen]
