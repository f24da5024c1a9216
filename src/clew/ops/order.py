"""Sorting, selecting by rank, searching, and what is found by sorting: medians, quantiles, distinct values,
counts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import from_numpy
from clew.ops._arguments import check_tensor, numpy_names, wrap_dim
from clew.ops.reduce import kept, pick, refuse, rounded, selected, store_pair, unpick, working
from clew.ops.ties import SHORT, visit

__all__ = [
    "argsort",
    "kthvalue",
    "median",
    "mode",
    "msort",
    "nanmedian",
    "nanquantile",
    "quantile",
    "sort",
    "topk",
    "unique",
    "unique_consecutive",
]


# ---- elements by their place in a line ----------------------------------------------------------------------
@lru_cache(maxsize=64)
def _open_grid(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.indices(shape, sparse=True))


def _lines(indices: Any, dim: int) -> tuple[Any, ...]:
    """The key of the elements that stand at `indices` in the lines along `dim`."""
    grid = list(_open_grid(indices.shape))
    grid[dim] = indices
    return tuple(grid)


def take_along(array: Any, indices: Any, dim: int) -> Any:
    """`np.take_along_axis` of equal shapes but for `dim`, in a third of its time where arrays are small."""
    return array[_lines(indices, dim)]


# ---- sorting -----------------------------------------------------------------------------------------------
def _order(self: Any, dim: int, descending: bool) -> Any:
    """The indices that sort along `dim`, equal elements in their order; NaN counts as the largest."""
    if not descending:
        return self.argsort(dim, kind="stable")
    backwards = (*(slice(None),) * dim, slice(None, None, -1))
    return (self.shape[dim] - 1 - self[backwards].argsort(dim, kind="stable"))[backwards]


def _same(a: Any, b: Any) -> Any:
    """Whether two elements rank equally."""
    return (a == b) | ((a != a) & (b != b))


def _order_left(self: Any, dim: int, descending: bool, how: str, k: int = 0) -> Any:
    """As `_order`, but with equal elements where PyTorch's unstable algorithms leave them (see `ties`)."""
    order = _order(self, dim, descending)
    n = self.shape[dim]
    lines = order.swapaxes(dim, -1)
    ordered = take_along(self.swapaxes(dim, -1), lines, -1)
    same = _same(ordered[..., :-1], ordered[..., 1:])
    near = {"sort": slice(0, n if n > SHORT else 0), "top": slice(0, k), "quick": slice(max(k - 1, 0), k + 1)}
    tied = same[..., near[how]].any(-1).reshape(-1)
    if not tied.any():
        return order
    flat = np.array(lines.reshape(-1, n))
    found = flat[tied]
    ranks = np.zeros_like(found)
    steps = np.zeros(found.shape, np.int64)
    np.cumsum(~same.reshape(-1, n - 1)[tied], -1, out=steps[:, 1:])
    ranks[_lines(found, -1)] = steps
    flat[tied] = visit(ranks, how, k)
    return flat.reshape(lines.shape).swapaxes(-1, dim)


_RADIX = 1 << 15  # PyTorch sorts a vector of as many integers by their digits, which is stable


def _sort_forward(self: Any, *, dim: int, descending: bool, stable: bool) -> Any:
    if not self.ndim:
        return np.array(self), np.int64(0)
    digits = self.dtype.kind in "iu" and self.ndim == 1 and self.size >= _RADIX and not descending
    if stable or digits:
        order = _order(self, dim, descending)
    else:
        order = _order_left(self, dim, descending, "sort")
    indices = np.ascontiguousarray(order)
    return take_along(self, indices, dim), indices


def _unsort(xp: Any, g: Any, indices: Any, dim: Any, self_shape: Any) -> Any:
    """Every gradient goes back where its value came from."""
    return unpick(xp, g[0], indices, dim, self_shape)


_sort, _stable_sort = (
    Primitive(
        "sort", _sort_forward, {"self": _unsort}, outputs=("values", "indices"), node=f"SortBackward{i}"
    )
    for i in (0, 1)
)


def _no_complex(input: Any, name: str) -> None:
    if from_numpy(input._array.dtype).category == 3:
        raise RuntimeError(f" {name} does not support complex dtypes on CPU")


@numpy_names
def sort(
    input: Any, dim: int = -1, descending: bool = False, stable: bool | None = None, *, out: Any = None
) -> Any:
    """(values, indices): sorted along `dim`; NaN is the largest.

    With `stable` equal elements keep their order; without, they stand as PyTorch's CPU kernel leaves them."""
    x, want = working(input, "sort")
    _no_complex(input, "Sort")
    primitive = _sort if stable is None else _stable_sort
    dim = wrap_dim(dim, x._array.ndim)
    values, indices = primitive(x, dim=dim, descending=bool(descending), stable=bool(stable))
    return store_pair(return_types.sort((rounded(values, want), indices)), out, exact=True)


@numpy_names
def argsort(
    input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False, out: Any = None
) -> Any:
    """The indices that sort along `dim`."""
    indices = sort(input, dim, descending, stable or None)[1]
    return indices if out is None else store_out(out, indices)


def msort(input: Any, *, out: Any = None) -> Any:
    """Sorted along the first dim."""
    values = sort(input, 0)[0]
    return values if out is None else store_out(out, values)


def _topk_forward(self: Any, *, k: int, dim: int, largest: bool) -> Any:
    if not self.ndim:
        return np.array(self), np.int64(0)
    lead = (slice(None),) * dim
    n = self.shape[dim]
    if largest and 0 < k < n // 8 and self.dtype.kind != "b":  # a few of many: only they are sorted
        part = np.argpartition(self, n - k - 1, dim)[(*lead, slice(n - k - 1, None))]
        part.sort(dim)
        order = _order(take_along(self, part, dim), dim, True)
        indices = take_along(part, order, dim)
        found = take_along(self, indices, dim)
        kept = (*lead, slice(0, k))
        if not _same(found[kept], found[(*lead, slice(1, None))]).any():
            return found[kept], indices[kept]
    order = _order_left(self, dim, largest, "top", k) if k else _order(self, dim, largest)
    indices = np.ascontiguousarray(order[(*lead, slice(0, k))])
    return take_along(self, indices, dim), indices


_topk = Primitive("topk", _topk_forward, {"self": _unsort}, outputs=("values", "indices"))


@numpy_names
def topk(
    input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None
) -> Any:
    """(values, indices): the k largest (or smallest) along `dim`, in order."""
    x, want = working(input, "topk")
    _no_complex(input, "topk")
    dim = wrap_dim(dim, x._array.ndim)
    k = k.item() if isinstance(k, Variable) else k
    if not 0 <= k <= (x._array.shape[dim] if x._array.ndim else 1):
        raise RuntimeError("selected index k out of range")
    values, indices = _topk(x, k=k, dim=dim, largest=bool(largest))
    return store_pair(return_types.topk((rounded(values, want), indices)), out, exact=True)


# ---- one rank of each line ---------------------------------------------------------------------------------
def _at(self: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    """The elements at `indices` (which keep the reduced dim) and the indices, as a reduction gives them."""
    values = take_along(self, indices, dim)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def _kth_forward(self: Any, *, k: int, dim: int, keepdim: bool) -> Any:
    if not self.ndim:
        return np.array(self), np.int64(0)
    return _at(self, np.take(_order_left(self, dim, False, "quick", k - 1), [k - 1], dim), dim, keepdim)


def _median_forward(nan_counts: bool) -> Any:
    """The lower median and its place; with `nan_counts`, the first NaN where there is one; else of the
    others."""

    def forward(self: Any, *, dim: int, keepdim: bool) -> Any:
        if not self.ndim:
            return np.array(self), np.int64(0)
        order = _order(self, dim, False)
        n = self.shape[dim]
        if self.dtype.kind in "iu":
            return _at(self, np.take(order, [(n - 1) // 2], dim), dim, keepdim)
        nan = np.isnan(self)
        valid = n - np.add.reduce(nan, dim, keepdims=True, dtype=np.int64)
        rank = np.maximum(valid - 1, 0) // 2 if not nan_counts else np.where(valid < n, valid, (n - 1) // 2)
        return _at(self, take_along(order, rank, dim), dim, keepdim)

    return forward


def _mode_forward(self: Any, *, dim: int, keepdim: bool) -> Any:
    """The most frequent value (of equally frequent ones the smallest), and where it stands last."""
    if not self.ndim:
        return np.array(self), np.int64(0)
    order = _order_left(self, dim, False, "sort")
    ordered = take_along(self, order, dim).swapaxes(dim, -1)
    n = ordered.shape[-1]
    starts = np.empty(ordered.shape, np.bool)
    starts[..., 0] = True
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    place = np.arange(n)
    run = place - np.maximum.accumulate(starts * place, -1)  # how many equal ones stand before
    last = np.argmax(run, -1)[..., None]  # the first run of the greatest length ends here
    return _at(self, take_along(order, last.swapaxes(-1, dim), dim), dim, keepdim)


_SELECTED = {
    "self": lambda xp, g, indices, dim, keepdim, self_shape: selected(
        xp, g, indices, dim, keepdim, self_shape
    )
}
_PAIR = ("values", "indices")
_kthvalue = Primitive("kthvalue", _kth_forward, _SELECTED, outputs=_PAIR)
_mode = Primitive("mode", _mode_forward, _SELECTED, outputs=_PAIR)
_median_dim = Primitive("median", _median_forward(True), _SELECTED, outputs=_PAIR, node="MedianBackward1")
_nanmedian_dim = Primitive(
    "nanmedian", _median_forward(False), _SELECTED, outputs=_PAIR, node="NanmedianBackward1"
)


def _by_rank(
    input: Any, name: str, kernel: str, primitive: Primitive, dim: int, keepdim: bool, out: Any, **params: Any
) -> Any:
    x, want = working(input, name)
    refuse(input, kernel, *((3,) if name == "mode" else (0, 3)))
    dim = wrap_dim(dim, x._array.ndim)
    if x._array.ndim and not x._array.shape[dim]:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    if "k" in params and not 1 <= params["k"] <= (x._array.shape[dim] if x._array.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    values, indices = primitive(x, dim=dim, keepdim=keepdim, **params)
    if out is not None and out[0]._array.dtype != want.np:
        raise RuntimeError("output values must be of same type as input")
    return store_pair(getattr(return_types, name)((rounded(values, want), indices)), out, input)


@numpy_names
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """(values, indices): the k-th smallest along `dim`, counted from 1."""
    return _by_rank(input, "kthvalue", "kthvalue_cpu", _kthvalue, dim, keepdim, out, k=k)


@numpy_names
def mode(input: Any, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """(values, indices): the most frequent value along `dim` (of equally frequent ones the smallest)."""
    return _by_rank(input, "mode", "mode_cpu", _mode, dim, keepdim, out)


def _share(xp: Any, g: Any, self: Any, result: Any) -> Any:
    """Over all elements, those equal to the result share its gradient."""
    value = result._array if isinstance(result, Variable) else result
    hit = (xp.isnan(self) if np.isnan(value) else self == result) * xp.ones_like(self)
    return g * hit / xp.sum(hit)


def _median_all(name: str, nan_counts: bool) -> Primitive:
    def forward(self: Any) -> Any:
        if not self.size:
            return self.dtype.type(np.nan) if self.dtype.kind == "f" else np.iinfo(self.dtype).min
        n = self.size
        if self.dtype.kind == "f":
            n -= np.count_nonzero(np.isnan(self))
            if not n or (nan_counts and n < self.size):
                return self.dtype.type(np.nan)
        return np.partition(self, (n - 1) // 2, None)[(n - 1) // 2]  # NaNs stand last

    return Primitive(name, forward, {"self": _share}, outputs=("result",))


def _median(name: str, along: Primitive, formula: str, nan_counts: bool) -> Any:
    whole = _median_all(name, nan_counts)

    @numpy_names
    def median(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
        if dim is not None:
            return _by_rank(input, name, "median_out", along, dim, keepdim, out)
        x, want = working(input, name)
        refuse(input, "median_cpu", 0, 3)
        return rounded(whole(x), want, out)

    median.__name__ = median.__qualname__ = name
    median.__doc__ = (
        f"The median (of two middle values the lower){formula}; with `dim` (values, indices) along it."
    )
    return median


median = _median("median", _median_dim, "; NaN where there is one", True)
nanmedian = _median("nanmedian", _nanmedian_dim, " of the elements that are not NaN", False)


# ---- quantiles ---------------------------------------------------------------------------------------------
_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(input: Any, q: Any, interpolation: str, name: str) -> Any:
    """q as an array, after PyTorch's checks."""
    if from_numpy(check_tensor(input, name)._array.dtype).name not in ("float32", "float64"):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not input._array.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if isinstance(q, Variable):
        if q._array.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q._array.dtype != input._array.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        points = np.asarray(q._array)
        if not ((points >= 0) & (points <= 1)).all():
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    else:
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        points = np.asarray(q, input._array.dtype)
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    return points


def _ranks(ordered: Any, points: Any, interpolation: str, skip_nan: bool) -> tuple[Any, Any, Any]:
    """Along the last dim: the ranks below and above each quantile, and the weight of the upper."""
    n = ordered.shape[-1]
    nans = np.add.reduce(np.isnan(ordered), -1, keepdims=True)
    if skip_nan:
        ranks = np.maximum(points * (n - nans - 1).astype(ordered.dtype), 0)
    else:
        ranks = np.where(nans > 0, n - 1, points * ordered.dtype.type(n - 1)).astype(ordered.dtype)
    if interpolation == "lower":
        ranks = np.floor(ranks)
    elif interpolation == "higher":
        ranks = np.ceil(ranks)
    elif interpolation == "nearest":
        ranks = np.round(ranks)
    below = np.floor(ranks)
    weight = np.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below
    return below.astype(np.int64), np.ceil(ranks).astype(np.int64), weight


def _quantile(
    input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, out: Any, skip_nan: bool
) -> Any:
    points = _check_quantile(input, q, interpolation, "nanquantile" if skip_nan else "quantile")
    ndim = input._array.ndim
    moved = input.reshape((-1,)) if dim is None or not ndim else input.movedim(wrap_dim(dim, ndim), -1)
    ordered = sort(moved, -1)[0]
    below, above, weight = _ranks(ordered._array, points.reshape(-1), interpolation, skip_nan)
    last = ordered._array.ndim - 1
    low = pick(ordered, wrap(below), dim=last, repeat=True)
    result = low
    if interpolation in ("linear", "midpoint"):
        high = pick(ordered, wrap(above), dim=last, repeat=True)
        result = (
            low * wrap(1 - weight) + high * wrap(weight)
            if np.isfinite(ordered._array).all()
            else _mix(low, high, weight)
        )
    # (…, q) → (q, …), the reduced dim back in its place where it is kept
    result = result.movedim(-1, 0)
    if keepdim:
        shape = kept(input._array.shape, None if dim is None else wrap_dim(dim, ndim))
        result = result.reshape((points.size, *shape))
    if points.ndim == 0:
        result = result.squeeze(0)
    return result if out is None else store_out(out, result)


def _mix(low: Any, high: Any, weight: Any) -> Any:
    """low + weight (high − low), where infinities of weight 0 must not count."""
    from clew.ops import elementwise

    between = low + (high - low) * wrap(weight)
    return elementwise.where(wrap(np.asarray(weight == 0)), low, between)


@numpy_names
def quantile(
    input: Any,
    q: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Any = None,
) -> Any:
    """The value at rank q (n − 1) of the sorted elements, for each q in [0, 1]; NaN where there is one.

    With a 1-d tensor of q the first dim of the result is q's. Between two
    ranks: linear, lower, higher, midpoint, nearest.
    """
    return _quantile(input, q, dim, keepdim, interpolation, out, False)


@numpy_names
def nanquantile(
    input: Any,
    q: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Any = None,
) -> Any:
    """`quantile` of the elements that are not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, out, True)


# ---- distinct values ---------------------------------------------------------------------------------------
def _underivable(name: str) -> Any:
    def refuse_gradient(xp: Any, g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return refuse_gradient


def _distinct(self: Any) -> Any:
    """The distinct elements in order, for each element which it is, and how often each occurs. NaNs all
    differ."""
    values, inverse, counts = np.unique(self, return_inverse=True, return_counts=True, equal_nan=False)
    return values, inverse.reshape(self.shape), counts


def _runs(starts: Any, n: int) -> tuple[Any, Any]:
    """From where runs start: for each element its run, and the lengths."""
    return np.cumsum(starts) - 1, np.diff(np.append(np.flatnonzero(starts), n))


def _consecutive(self: Any, *, dim: Any) -> Any:
    """The same with only neighbours compared; slices along `dim` where that is given."""
    rows = self.reshape(-1) if dim is None else np.moveaxis(self, dim, 0)
    n = rows.shape[0]
    starts = np.ones(n, np.bool)
    differ = rows[1:] != rows[:-1]
    starts[1:] = differ if differ.ndim == 1 else differ.reshape(n - 1, -1).any(1) if n else False
    inverse, counts = _runs(starts, n)
    values = rows[starts]
    if dim is None:
        return values, inverse.reshape(self.shape), counts
    return np.moveaxis(values, 0, dim), inverse, counts


def _distinct_slices(self: Any, *, dim: int) -> Any:
    """The distinct slices along `dim`, in lexicographic order."""
    rows = np.moveaxis(self, dim, 0)
    flat = rows.reshape(rows.shape[0], -1)
    order = np.lexsort(flat.T[::-1]) if flat.shape[1] else np.arange(flat.shape[0])
    values, inverse, counts = _consecutive(rows[order], dim=0)
    back = np.empty_like(inverse)
    back[order] = inverse
    return np.moveaxis(values, 0, dim), back, counts


_THREE = ("values", "inverse", "counts")
_unique = Primitive(
    "_unique2", _distinct, {"self": _underivable("_unique2")}, outputs=_THREE, node="Unique2Backward0"
)
_unique_dim = Primitive("unique_dim", _distinct_slices, {"self": _underivable("unique_dim")}, outputs=_THREE)
_unique_consecutive = Primitive(
    "unique_consecutive", _consecutive, {"self": _underivable("unique_consecutive")}, outputs=_THREE
)


def _chosen(made: Any, want: Any, return_inverse: bool, return_counts: bool) -> Any:
    values = rounded(made[0], want)
    extra = (*made[1:2],) * return_inverse + (*made[2:3],) * return_counts
    return (values, *extra) if extra else values


def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: Any = None,
) -> Any:
    """The distinct elements (or slices along `dim`), in order; also where each element went and how often
    each occurs."""
    x, want = working(input, "unique")
    refuse(input, "unique" if dim is None else "unique_dim", 3)
    made = _unique(x) if dim is None else _unique_dim(x, dim=wrap_dim(dim, x._array.ndim))
    return _chosen(made, want, return_inverse, return_counts)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """The elements (or slices along `dim`) without those equal to the one before."""
    x, want = working(input, "unique_consecutive")
    refuse(input, "unique", 3)
    made = _unique_consecutive(x, dim=None if dim is None else wrap_dim(dim, x._array.ndim))
    return _chosen(made, want, return_inverse, return_counts)
