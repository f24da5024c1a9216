"""Sizes of matrices and distances of vectors: norms, condition, rank, `cdist`, cosine similarity, cross product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.core.promotion import result_dtype
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops import reduce
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor, dtype_of, wrap_dim, wrap_dims
from clew.ops._autocast import raised
from clew.ops._builders import broadcast_error, convert
from clew.ops._matrices import checked
from clew.ops.distance import vector_norm
from clew.ops.factor import svdvals
from clew.ops.linalg import widely
from clew.ops.solve import inv

__all__ = ["cdist", "cosine_similarity", "cross", "pairwise_distance", "pdist"]


# ---- norms of matrices -------------------------------------------------------------------------------------------------
def matrix_norm(
    A: Any,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    """A norm of matrices: "fro" √∑|aᵢⱼ|², "nuc" ∑ of singular values, ±2 the largest or smallest of them, ±1 the largest
    or smallest sum of a column, ±inf of a row."""
    checked("linalg.matrix_norm", A, square=False)
    if ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if dtype is not None:
        A = A.to(dtype)
    rows, columns = wrap_dims(dim, A._array.ndim)
    if ord == "fro":
        result = vector_norm(A, 2, (rows, columns), keepdim)
    elif ord in ("nuc", 2, -2):
        result = _spectral(A, ord, rows, columns, keepdim)
    else:
        first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = vector_norm(A, 1, first, keepdim)
        if not keepdim and first < second:
            second -= 1
        result = (reduce.amax if ord > 0 else reduce.amin)(sums, second, keepdim)
    return result if out is None else store_out(out, result)


def _spectral(A: Any, ord: Any, rows: int, columns: int, keepdim: bool) -> Any:
    values = svdvals(shapes.movedim(A, (rows, columns), (-2, -1)))
    result = reduce.sum(values, -1) if ord == "nuc" else (reduce.amax if ord > 0 else reduce.amin)(values, -1)
    if keepdim:
        for d in sorted((rows, columns)):
            result = shapes.unsqueeze(result, d)
    return result


def norm(
    A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None
) -> Any:
    """`vector_norm` or, given an order and two dimensions, `matrix_norm`."""
    rank = check_tensor(A, "linalg.norm")._array.ndim
    if ord is None or (dim is not None and (isinstance(dim, int) or len(dim) == 1)):
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype, out=out)
    if dim is None and rank not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D."
        )
    if dim is None and rank == 1:
        return vector_norm(A, ord, None, keepdim, dtype=dtype, out=out)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)


def cond(A: Any, p: Any = None, *, out: Any = None) -> Any:
    """The condition number ‖A‖ₚ·‖A⁻¹‖ₚ; for p None, 2, -2 the ratio of the extreme singular values."""
    if check_tensor(A, "linalg.cond")._array.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or p in (2, -2):
        values = svdvals(A)
        largest, smallest = (
            shapes.select(values, -1, 0),
            shapes.select(values, -1, values._array.shape[-1] - 1),
        )
        result = smallest / largest if p == -2 else largest / smallest
    else:
        result = matrix_norm(A, p) * matrix_norm(inv(A), p)
    return result if out is None else store_out(out, result)


def matrix_rank(
    A: Any, tol: Any = None, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, out: Any = None
) -> Any:
    """How many singular values exceed max(atol, rtol·the largest)."""
    array = check_tensor(A, "linalg.matrix_rank")._array
    if array.ndim < 2:
        raise RuntimeError(
            "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions."
        )
    values = np.linalg.svd(array, compute_uv=False)
    atol = tol if tol is not None else 0.0 if atol is None else atol
    if rtol is None:
        rtol = 0.0 if atol else max(array.shape[-2:]) * np.finfo(array.dtype).eps
    limit = np.maximum(
        np.asarray(getattr(atol, "_array", atol)),
        np.asarray(getattr(rtol, "_array", rtol)) * values.max(-1, initial=0),
    )
    found = wrap(np.asarray((values > limit[..., None]).sum(-1), np.int64))
    return found if out is None else store_out(out, found)


# ---- products of vectors ----------------------------------------------------------------------------------------------------
def _cross_array(self: ndarray, other: ndarray, *, dim: int) -> ndarray:
    """a₂b₃ - a₃b₂ and so on: the vectors' numbers turned by one, and by two."""
    lead: tuple[Any, ...] = (slice(None),) * dim
    shape = self.shape
    made = np.empty(shape if shape == other.shape else np.broadcast_shapes(shape, other.shape), self.dtype)
    for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        one, two = (*lead, j), (*lead, k)
        np.subtract(self[one] * other[two], self[two] * other[one], out=made[(*lead, i, ...)])
    return made


_cross: Primitive = Primitive(
    "linalg_cross",
    _cross_array,
    {
        "self": lambda xp, g, other, dim: xp.call(_cross, other, g, dim=dim),
        "other": lambda xp, g, self, dim: xp.call(_cross, g, self, dim=dim),
    },
    explain="a × b; ∂a = b × G, ∂b = G × a",
)


def linalg_cross(input: Any, other: Any, *, dim: int = -1, out: Any = None) -> Any:
    """a × b of vectors of three along `dim`, broadcast. RuntimeError for other sizes."""
    a, b = check_tensor(input, "linalg_cross")._array, check_tensor(other, "linalg_cross", "other", 2)._array
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    at = wrap_dim(dim, a.ndim)
    if a.shape[at] != 3 or b.shape[at] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[at]} and {b.shape[at]}"
        )
    want = a.dtype if a.dtype is b.dtype else result_dtype(input, other).np
    try:
        result = _cross(convert(input, want), convert(other, want), dim=at)
    except ValueError:
        raise broadcast_error(a.shape, b.shape) from None
    return result if out is None else store_out(out, result)


def cross(input: Any, other: Any, dim: int | None = None, *, out: Any = None) -> Any:
    """a × b along `dim`, the first dimension of size 3 unless given."""
    if dim is None:
        sizes = check_tensor(input, "cross")._array.shape
        if 3 not in sizes:
            raise RuntimeError("no dimension of size 3 in input")
        dim = sizes.index(3)
    return linalg_cross(input, other, dim=dim, out=out)


def vecdot(x: Any, y: Any, *, dim: int = -1, out: Any = None) -> Any:
    """∑ conj(xᵢ)·yᵢ along `dim`, broadcast."""
    product = (x.conj() if x._array.dtype.kind == "c" else x) * y
    result = reduce.sum(product, dim)
    return result if out is None else store_out(out, result)


# ---- distances --------------------------------------------------------------------------------------------------------------
_FEW_ROWS = 25


def _euclidean(x1: ndarray, x2: ndarray) -> ndarray:
    """√(‖x‖² + ‖y‖² - 2x·y), which is a matrix product; exact to about √ε."""
    made = np.matmul(x1, x2.swapaxes(-1, -2))
    made *= -2
    made += np.add.reduce(x1 * x1, -1, keepdims=True)
    made += np.add.reduce(x2 * x2, -1)[..., None, :]
    np.maximum(made, 0, out=made)
    return np.sqrt(made, out=made)


def _cdist_array(x1: ndarray, x2: ndarray, *, p: float, product: bool) -> ndarray:
    if product:
        return _euclidean(x1, x2)
    return _lengths(np.abs(x1[..., :, None, :] - x2[..., None, :, :]), p)


def _lengths(difference: ndarray, p: float) -> ndarray:
    """‖d‖ₚ over the last dimension, of |d|."""
    if p == 0:
        return (difference != 0).sum(-1).astype(difference.dtype)
    if p == 1:
        return np.add.reduce(difference, -1)
    if p == math.inf:
        return difference.max(-1, initial=0)
    if p == 2:
        return np.sqrt(np.add.reduce(np.square(difference), -1))
    return np.add.reduce(difference**p, -1) ** (1 / p)


def _cdist_slope(xp: Any, g: Any, x1: Any, x2: Any, out: Any, p: float) -> Any:
    """g·∂‖d‖/∂d for every pair's difference d; 0 where the distance is 0."""
    d = xp.expand_dims(x1, -2) - xp.expand_dims(x2, -3)
    g, out = xp.expand_dims(g, -1), xp.expand_dims(out, -1)
    if p == 0:
        return xp.zeros_like(d)
    if p == 1:
        return g * xp.sign(d)
    if p == math.inf:
        return g * xp.sign(d) * (xp.abs(d) == out)
    apart = out != 0
    length = xp.where(apart, out, 1)
    if p == 2:
        return xp.where(apart, g / length, 0) * d
    size = xp.where(d != 0, xp.abs(d), 1)
    return xp.where(apart & (d != 0), g * xp.sign(d) * (size / length) ** (p - 1), 0)


_cdist = Primitive(
    "cdist",
    widely(_cdist_array),
    {
        "x1": lambda xp, g, x1, x2, out, p: xp.sum(_cdist_slope(xp, g, x1, x2, out, p), -2),
        "x2": lambda xp, g, x1, x2, out, p: -xp.sum(_cdist_slope(xp, g, x1, x2, out, p), -3),
    },
    args=("x1", "x2"),
    params=("p", "product"),
    explain="the distances of all pairs of rows",
)


_MODES = {
    "use_mm_for_euclid_dist_if_necessary": None,
    "use_mm_for_euclid_dist": True,
    "donot_use_mm_for_euclid_dist": False,
}


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """‖x1ᵢ - x2ⱼ‖ₚ for all pairs of rows: (…, P, M), (…, R, M) → (…, P, R). The gradient at distance 0 is 0.

    Euclidean distances of more than 25 rows come from a matrix product, unless `compute_mode` says otherwise.
    """
    if altered and switches.autocast:
        x1, x2 = raised(x1, x2)
    for number, x in enumerate((x1, x2)):
        array = check_tensor(x, "cdist", ("x1", "x2")[number], number + 1)._array
        if array.dtype.kind not in "fV":
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, X{number + 1} got: {legacy_name(array.dtype)}"
            )
    for number, x in enumerate((x1, x2)):
        if x._array.ndim < 2:
            raise RuntimeError(
                f"cdist only supports at least 2D tensors, X{number + 1} got: {x._array.ndim}D"
            )
    a, b = x1._array, x2._array
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {a.shape[-1]} X2: {b.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {legacy_name(a.dtype)} but found {legacy_name(b.dtype)}")
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    wanted = _MODES[compute_mode]
    many = max(a.shape[-2], b.shape[-2]) > _FEW_ROWS
    return _cdist(x1, x2, p=float(p), product=p == 2 and (many if wanted is None else wanted))


def _of_pairs(xp: Any, v: Any, n: int) -> Any:
    """A value for every pair i < j as a symmetric matrix, 0 on the diagonal."""
    i, j = np.triu_indices(n, 1)
    place = np.zeros((n, n), np.int64)
    place[i, j] = place[j, i] = np.arange(len(i))
    apart = 1 - np.eye(n, dtype=dtype_of(v))
    square = xp.reshape(xp.take_along_axis(v, xp.constant(place.reshape(-1)), 0), (n, n))
    return square * xp.constant(apart)


def _pdist_array(self: ndarray, *, p: float) -> ndarray:
    if p == 2 and self.dtype == np.float32 and len(self) > _FEW_ROWS:
        return _euclidean_pairs(self)
    i, j = _later(len(self)).nonzero()
    return _lengths(np.abs(self[i] - self[j]), p)


def _later(n: int) -> ndarray:
    """An n × n mask of the pairs i < j."""
    place = np.arange(n)
    return place[:, None] < place


_NEAR = (
    1e-6  # of the largest square: where a difference of squares in float64 no longer tells float32 distances
)


def _euclidean_pairs(x: ndarray) -> ndarray:
    """The distances of float32 rows by a matrix product in float64; of rows close to each other, by their difference."""
    wide = x.astype(np.float64)
    squares = np.add.reduce(wide * wide, 1)
    matrix = np.matmul(wide, wide.T)
    matrix *= -2
    matrix += squares
    matrix += squares[:, None]
    made = matrix[_later(len(x))]
    near = ~(made >= _NEAR * squares.max())
    made = np.sqrt(made).astype(x.dtype)
    if near.any():
        i, j = (place[near] for place in _later(len(x)).nonzero())
        made[near] = _lengths(np.abs(x[i] - x[j]), 2)
    return made


def _pdist_slope(xp: Any, g: Any, self: Any, out: Any, p: float) -> Any:
    n = self.shape[0]
    if n < 2:
        return xp.zeros_like(self)
    return xp.sum(_cdist_slope(xp, _of_pairs(xp, g, n), self, self, _of_pairs(xp, out, n), p), -2)


_pdist = Primitive(
    "pdist", _pdist_array, {"self": _pdist_slope}, explain="the distances of all pairs of rows"
)


def pdist(input: Any, p: float = 2) -> Any:
    """‖xᵢ - xⱼ‖ₚ for all pairs i < j of rows: (N, M) → (N (N - 1) / 2). The gradient at distance 0 is 0."""
    if altered and switches.autocast:
        (input,) = raised(input)
    array = check_tensor(input, "pdist")._array
    if array.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {array.ndim}D")
    if array.dtype.kind not in "fV":
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if array.dtype.itemsize == 2:
        raise NotImplementedError(f"\"pdist\" not implemented for '{legacy_name(array.dtype)}'")
    return _pdist(input, p=float(p))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """‖x1 - x2 + eps‖ₚ of vectors in the last dimension, broadcast."""
    check_tensor(x1, "pairwise_distance", "x1")
    check_tensor(x2, "pairwise_distance", "x2", 2)
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """⟨x1, x2⟩ / (max(‖x1‖, eps)·max(‖x2‖, eps)) along `dim`, broadcast. RuntimeError unless a floating type results."""
    want = result_dtype(
        check_tensor(x1, "cosine_similarity", "x1"), check_tensor(x2, "cosine_similarity", "x2", 2)
    )
    if want.category < 2:
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {legacy_name(want)}"
        )
    x1, x2 = convert(x1, want.np), convert(x2, want.np)
    if x1._array.shape != x2._array.shape:
        x1, x2 = shapes.broadcast_tensors(x1, x2)
    first, second = (x / _at_least(vector_norm(x, 2, dim, True), eps) for x in (x1, x2))
    return reduce.sum(first * second, dim)


def _at_least(length: Any, eps: float) -> Any:
    """max(length, eps), with the gradient of `length` also where eps is larger, as PyTorch has it."""
    value = length.detach()
    return length + (value.clamp_min(eps) - value)
