"""Inverses, determinants and solutions of linear systems, singly or in batches.

The derivatives are the textbook's (Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008). Complex matrices: ᴴ is the conjugate transpose; formulas of holomorphic functions are written
without it.
"""

from __future__ import annotations

import math
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
from clew.ops._matrices import (
    LinAlgError,
    adjoint_of,
    checked,
    column,
    failing,
    first,
    infos,
    lapack,
    named,
    over_batch,
    real_type,
    singular,
)
from clew.ops.elementwise import log, where
from clew.ops.linalg import matmul, turned

__all__ = [
    "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "matrix_exp", "pinverse", "slogdet",
    "triangular_solve",
]  # fmt: skip


# ---- inverse, determinant, solution ----------------------------------------------------------------------------------------
_inv = Primitive(
    "linalg_inv_ex",
    np.linalg.inv,
    {"self": lambda xp, g, out: -(turned(out) @ g @ turned(out))},
    args=("self",),
    node="LinalgInvExBackward0",
    explain="the inverse; ∂A = -A⁻ᵀ·G·A⁻ᵀ",
)


def _not_invertible(name: str, array: ndarray) -> LinAlgError:
    return LinAlgError(
        f"{name}: {failing(array, singular)}The diagonal element {first(array, singular)} is zero, the inversion could not be "
        "completed because the input matrix is singular."
    )


def inv(A: Any, *, out: Any = None) -> Any:
    """A⁻¹. LinAlgError where a matrix is singular."""
    array = checked("linalg.inv", A)
    try:
        result = _inv(A)
    except np.linalg.LinAlgError:
        raise _not_invertible("linalg.inv", array) from None
    return result if out is None else store_out(out, result)


def inv_ex(A: Any, *, check_errors: bool = False, out: Any = None) -> Any:
    """(A⁻¹, info): info is 0, or the place of a singular matrix' first zero pivot, whose inverse means nothing."""
    array = checked("linalg.inv_ex", A)
    try:
        inverse = _inv(A)
    except np.linalg.LinAlgError:
        if check_errors:
            raise _not_invertible("linalg.inv_ex", array) from None
        eye = np.broadcast_to(np.eye(array.shape[-1], dtype=array.dtype), array.shape)
        inverse = wrap(_solved_anyway(array, eye))
    return named(return_types.linalg_inv_ex, (inverse, infos(array, singular)), out)


def _solved_anyway(A: ndarray, B: ndarray) -> ndarray:
    """A⁻¹·B by the LU factorization, singular or not: dividing by zero gives infinities."""

    def solved(a: ndarray, b: ndarray) -> tuple[Any]:
        lu, pivots, _ = lapack("getrf", a.dtype)(a)
        return (lapack("getrs", a.dtype)(lu, pivots, b)[0],)

    return over_batch(solved, A, B)[0]


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
    return column(xp, xp.sum(g * out, (-2, -1))) * inverse - out @ turned(g) @ inverse


_cofactor = Primitive("cofactor", _cofactors, {"self": _cofactors_back}, args=("self",))
_det = Primitive(
    "linalg_det",
    np.linalg.det,
    {"A": lambda xp, g, A: column(xp, g) * xp.call(_cofactor, A)},
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
    return np.asarray(sign, A.dtype), np.asarray(log, real_type(A))


def _slogdet_back(xp: Any, g: Any, A: Any, sign: Any) -> Any:
    """Of a complex determinant the sign turns, too: ∂sign = i·sign·Im tr(A⁻¹·∂A)."""
    slope = g[1]
    if getattr(sign, "_array", sign).dtype.kind == "c":
        slope = xp.real(g[1]) - 1j * xp.imag(xp.conj(g[0]) * sign)
    return column(xp, slope) * xp.conj(turned(xp.call(_inv, A)))


_slogdet = Primitive(
    "linalg_slogdet",
    _slogdet_arrays,
    {"A": _slogdet_back},
    outputs=("sign", "logabsdet"),
    holomorphic=False,
    explain="sign and logarithm of the determinant's size; ∂A = g·A⁻ᴴ",
)


def linalg_slogdet(A: Any, *, out: Any = None) -> Any:
    """(sign, logabsdet): the determinant's sign and the logarithm of its absolute value."""
    checked("linalg.slogdet", A)
    return named(return_types.linalg_slogdet, _slogdet(A), out)


def slogdet(input: Any, *, out: Any = None) -> Any:
    """`linalg.slogdet` under its older name."""
    return return_types.slogdet(linalg_slogdet(input, out=out))


def logdet(input: Any) -> Any:
    """log det A; NaN where the determinant is negative."""
    array = checked("logdet", input)
    sign, size = _slogdet(input)
    if array.dtype.kind == "c":
        return log(sign) + size
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


def _is_vector(a: ndarray, b: ndarray) -> bool:
    return b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])


def _check_solve(name: str, A: Any, B: Any, left: bool, what: str = "A") -> tuple[ndarray, bool]:
    """A's array, and whether B is a vector (or a batch of them)."""
    a = checked(name, A)
    b = check_tensor(B, name, "B", 2)._array
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected {what} and B to have the same dtype, but found {what} of type "
            f"{legacy_name(a.dtype)} and B of type {legacy_name(b.dtype)} instead"
        )
    vector = what == "A" and _is_vector(a, b)
    rows = b.shape[-1] if vector else b.shape[-2 if left else -1]
    if rows != a.shape[-1]:
        have = f"{rows}x1" if vector else f"{b.shape[-2]}x{b.shape[-1]}"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B "
            f"({a.shape[-2]}x{a.shape[-1]} and {have})"
        )
    return a, vector


def _solution(A: Any, B: Any, left: bool, vector: bool) -> Any:
    if left:
        return _solve(A, B, vector=vector)
    return shapes.matrix_T(_solve(shapes.matrix_T(A), shapes.matrix_T(B), vector=False))


def solve(A: Any, B: Any, *, left: bool = True, out: Any = None) -> Any:
    """X with A·X = B (or X·A = B for left=False), B a matrix or a vector. LinAlgError where A is singular."""
    a, vector = _check_solve("linalg.solve", A, B, left)
    try:
        result = _solution(A, B, left, vector)
    except np.linalg.LinAlgError:
        raise _unsolvable("torch.linalg.solve", a) from None
    return result if out is None else store_out(out, result)


def _unsolvable(name: str, a: ndarray) -> LinAlgError:
    return LinAlgError(
        f"{name}: {failing(a, singular)}The solver failed because the input matrix is singular."
    )


def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(X, info): `solve`, and 0 or the place of a singular matrix' first zero pivot, whose solution means nothing."""
    a, vector = _check_solve("linalg.solve_ex", A, B, left)
    try:
        result = _solution(A, B, left, vector)
    except np.linalg.LinAlgError:
        if check_errors:
            raise _unsolvable("torch.linalg.solve_ex", a) from None
        b = B._array[..., None] if vector else B._array if left else B._array.swapaxes(-1, -2)
        found = _solved_anyway(
            a if left else a.swapaxes(-1, -2), np.broadcast_to(b, (*a.shape[:-1], b.shape[-1]))
        )
        result = wrap(found[..., 0] if vector else found if left else found.swapaxes(-1, -2))
    return named(return_types.linalg_solve_ex, (result, infos(a, singular)), out)


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
        _triangular_mask(A.shape[-1], upper, unitriangular, real_type(A))
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


def triangular_solve(
    input: Any,
    A: Any,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
    *,
    out: Any = None,
) -> Any:
    """(X, A) with A·X = input (Aᵀ·X = input if `transpose`); the older form of `linalg.solve_triangular`."""
    b, a = check_tensor(input, "triangular_solve")._array, check_tensor(A, "triangular_solve", "A", 2)._array
    for array, name in ((b, "b"), (a, "A")):
        if array.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it has {array.ndim} dimensions instead"
            )
    _check_sides("triangular_solve", a, b)
    if transpose:
        A, upper = shapes.matrix_T(A), not upper
    solution = solve_triangular(A, input, upper=upper, unitriangular=unitriangular)
    return named(
        return_types.triangular_solve, (solution, shapes.clone(shapes.matrix_T(A) if transpose else A)), out
    )


def _check_sides(name: str, a: ndarray, b: ndarray) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {legacy_name(b.dtype)} and A of type "
            f"{legacy_name(a.dtype)} instead."
        )
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
        )
    if a.shape[-2] != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {a.shape[-1]} by {a.shape[-1]} but each b matrix is "
            f"{b.shape[-2]} by {b.shape[-1]}"
        )


def cholesky_solve(B: Any, L: Any, upper: bool = False, *, out: Any = None) -> Any:
    """(L·Lᴴ)⁻¹·B from the Cholesky factor L (Lᴴ is given if `upper`): two triangular systems."""
    b, a = check_tensor(B, "cholesky_solve")._array, check_tensor(L, "cholesky_solve", "L", 2)._array
    for array, name in ((b, "b"), (a, "u")):
        if array.ndim < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {array.ndim} dimensions instead"
            )
    _check_sides("cholesky_solve", a, b)
    factor = shapes.adjoint(L) if upper else L
    half = solve_triangular(factor, B, upper=False)
    result = solve_triangular(shapes.adjoint(factor), half, upper=True)
    return result if out is None else store_out(out, result)


def cholesky_inverse(L: Any, upper: bool = False, *, out: Any = None) -> Any:
    """(L·Lᴴ)⁻¹ from the Cholesky factor L (Lᴴ is given if `upper`)."""
    a = checked("cholesky_inverse", L)
    eye = wrap(np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy())
    result = cholesky_solve(eye, L, upper)
    return result if out is None else store_out(out, result)


# ---- tensors as matrices -----------------------------------------------------------------------------------------------------
def _halves(shape: tuple[int, ...], at: int, name: str) -> int:
    rows, columns = math.prod(shape[:at]), math.prod(shape[at:])
    if rows != columns:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[{name}:]) == prod(self.shape[:{name}]), but got "
            f"{columns} != {rows}"
        )
    return rows


def tensorinv(A: Any, ind: int = 2, *, out: Any = None) -> Any:
    """The tensor X with tensordot(X, A, ind) the identity: A's first `ind` dimensions are the rows of a matrix."""
    shape = check_tensor(A, "linalg.tensorinv")._array.shape
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    n = _halves(shape, ind, "ind")
    result = shapes.reshape(inv(shapes.reshape(A, (n, n))), (*shape[ind:], *shape[:ind]))
    return result if out is None else store_out(out, result)


def tensorsolve(A: Any, B: Any, dims: Any = None, *, out: Any = None) -> Any:
    """The tensor X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first."""
    check_tensor(A, "linalg.tensorsolve")
    shape = check_tensor(B, "linalg.tensorsolve", "B", 2)._array.shape
    if dims is not None:
        A = shapes.movedim(A, tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    n = _halves(A._array.shape, len(shape), "other.ndim")
    result = shapes.reshape(
        solve(shapes.reshape(A, (n, n)), shapes.reshape(B, (n,))), A._array.shape[len(shape) :]
    )
    return result if out is None else store_out(out, result)


# ---- pseudo-inverse, least squares, exponential ------------------------------------------------------------------------------
def _pinv_back(xp: Any, g: Any, self: Any, out: Any) -> Any:
    Ph, gh = adjoint_of(xp, out), adjoint_of(xp, g)
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


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _check_lstsq(a: ndarray, b: ndarray, driver: str) -> None:
    if a.ndim < 2:
        raise RuntimeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    if b.ndim < 1:
        raise RuntimeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    if not 0 <= a.ndim - b.ndim <= 1:
        raise RuntimeError(
            "torch.linalg.lstsq: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1"
        )
    if a.shape[-2] != b.shape[-1 if _stacked(a, b) else -2]:
        raise RuntimeError(
            "torch.linalg.lstsq: input.size(-2) should match other.size(-1)"
            if _stacked(a, b)
            else "torch.linalg.lstsq: input.size(-2) should match other.size(-2)"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype "
            f"{legacy_name(a.dtype)} and other's dtype {legacy_name(b.dtype)}"
        )
    if driver not in _DRIVERS:
        raise RuntimeError(f"torch.linalg.lstsq: parameter `driver` should be one of ({', '.join(_DRIVERS)})")


def _stacked(a: ndarray, b: ndarray) -> bool:
    """Whether B is a batch of vectors, not of matrices."""
    return a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None, out: Any = None) -> Any:
    """(X, residuals, rank, singular values) of min ‖A·X - B‖, X of least norm: X = A⁺·B.

    As LAPACK's drivers: residuals (of tall matrices of full rank) unless driver is "gelsy", the default; rank unless it is
    "gels"; singular values with "gelsd" and "gelss". What is not computed is empty.
    """
    driver = driver or "gelsy"
    a, b = check_tensor(A, "linalg.lstsq")._array, check_tensor(B, "linalg.lstsq", "B", 2)._array
    _check_lstsq(a, b, driver)
    stacked = _stacked(a, b)
    right = shapes.unsqueeze(B, -1) if stacked else B
    if rcond is None:
        rcond = float(np.finfo(a.dtype).eps) * max(a.shape[-2:])
    solution = matmul(pinv(A, rtol=rcond), right)
    size = np.linalg.svd(a, compute_uv=False)
    ranks = np.asarray((size > rcond * size.max(-1, keepdims=True, initial=0)).sum(-1), np.int64)
    residuals = solution[..., :0].reshape(-1)[:0].abs()
    if driver != "gelsy" and a.shape[-2] > a.shape[-1] and (ranks == a.shape[-1]).all():
        residuals = (matmul(A, solution) - right).abs().square().sum(-2)
        residuals = residuals.squeeze(-1) if stacked else residuals
    return named(
        return_types.linalg_lstsq,
        (
            shapes.squeeze(solution, -1) if stacked else solution,
            residuals,
            wrap(ranks if driver != "gels" else np.zeros(0, np.int64)),
            wrap(size if driver in ("gelsd", "gelss") else np.zeros(0, size.dtype)),
        ),
        out,
    )


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
