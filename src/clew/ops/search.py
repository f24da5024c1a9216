"""Searching sorted values, and counting: buckets, histograms, membership."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import compute_dtype, result_dtype
from clew.core.variable import Variable, wrap
from clew.dtypes import float64, legacy_name
from clew.ops._arguments import check_tensor
from clew.ops._builders import convert, operand
from clew.ops.reduce import store_pair, working

__all__ = ["bincount", "bucketize", "histc", "histogram", "isin", "searchsorted"]


def _search(edges: Any, values: Any, side: Literal["left", "right"]) -> Any:
    if edges.ndim == 1:
        return np.searchsorted(edges, values, side)
    rows = [
        np.searchsorted(e, v, side)
        for e, v in zip(edges.reshape(-1, edges.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
    ]
    return np.reshape(rows, values.shape)


_searchsorted = Primitive(
    "searchsorted",
    lambda edges, values, *, side, out_int32: np.asarray(
        _search(edges, values, side), np.int32 if out_int32 else np.int64
    ),
)


def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
    out: Any = None,
) -> Any:
    """For each value the index at which it would be inserted into the sorted last dim: before equal
    ones, or after them (`right`, or side="right")."""
    name = "torch.searchsorted()"
    edges = check_tensor(sorted_sequence, "searchsorted", "sorted_sequence")
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            f"{name}: side and right can't be set to opposites, got side of left while right was True"
        )
    values = input if isinstance(input, Variable) else operand(input, result_dtype(edges, input).np)
    have, want = edges._array.shape, values._array.shape
    if len(have) != 1 and (len(have) != len(want) or have[:-1] != want[:-1]):
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor {list(have)} and input "
            f"value tensor {list(want)}"
        )
    if sorter is not None:
        if sorter._array.shape != have:
            raise RuntimeError(
                f"{name}: boundary and sorter must have the same size, but got boundary tensor {list(have)}"
                f"and got sorter tensor {list(sorter._array.shape)}"
            )
        edges = wrap(np.take_along_axis(edges._array, sorter._array, -1))
    result = _searchsorted(edges, values, side=side or ("right" if right else "left"), out_int32=out_int32)
    return result if out is None else store_out(out, result)


def bucketize(
    input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False, out: Any = None
) -> Any:
    """For each value the number of its bucket between the sorted 1-d `boundaries`; `right`: a boundary
    belongs below."""
    edges = check_tensor(boundaries, "bucketize", "boundaries", 2)
    if edges._array.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({edges._array.ndim})")
    return searchsorted(edges, input, out_int32=out_int32, right=right, out=out)


_bincount = Primitive(
    "bincount",
    lambda self, weights, *, minlength: np.bincount(self, weights, minlength),
)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0 … max occurs in a 1-d tensor of non-negative integers, or the sum of the weights
    there."""
    check_tensor(input, "bincount")
    array = np.asarray(input._array)
    if array.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{legacy_name(array.dtype)}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if array.ndim != 1 or (array.size and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return _bincount(convert(input, np.dtype(np.int64)), None, minlength=minlength)
    if weights._array.shape != array.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    counts = _bincount(convert(input, np.dtype(np.int64)), weights, minlength=minlength)
    return convert(counts, weights._array.dtype if weights._array.dtype == np.float32 else float64.np)


def _range(array: Any, low: float, high: float, name: str) -> tuple[float, float]:
    """The limits of a histogram: those of the data where both are equal."""
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    return (low - 1, high + 1) if low == high else (low, high)


def _bins(array: Any, bins: int, low: float, high: float) -> Any:
    """For each element within the limits the number of its bin; the last bin holds its upper end; -1
    outside."""
    with np.errstate(invalid="ignore"):
        position = (array - low) * (bins / (high - low))
        inside = (array >= low) & (array <= high)
        return np.where(inside, np.minimum(np.where(inside, position, 0).astype(np.int64), bins - 1), -1)


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0, *, out: Any = None) -> Any:
    """How many elements fall into each of `bins` bins of one width between min and max (the data's, where
    both are equal)."""
    x, want = working(input, "histc")
    if want.category != 2:
        kernel = "aminmax_cpu" if want.category == 3 else "histogram_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(want)}'")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    array = np.asarray(x._array)
    low, high = _range(array, float(min), float(max), "torch.histc")
    numbers = _bins(array.ravel(), int(bins), low, high)
    counts = np.bincount(numbers[numbers >= 0], minlength=int(bins)).astype(want.np)
    return wrap(counts) if out is None else store_out(out, wrap(counts))


def histogram(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False, out: Any = None
) -> Any:
    """(hist, bin_edges): how many elements (or how much weight) in each bin; `bins` a count or the edges
    themselves."""
    x, want = working(input, "histogram")
    if want.category != 2:
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{legacy_name(want)}'")
    array = np.asarray(x._array).ravel()
    weights = None if weight is None else np.asarray(weight._array).ravel()
    if isinstance(bins, Variable):
        edges = bins._array
        numbers = np.searchsorted(edges, array, "right") - 1
        numbers = np.where(
            array == edges[-1], edges.size - 2, np.where(numbers >= edges.size - 1, -1, numbers)
        )
    else:
        low, high = range or (0.0, 0.0)
        low, high = _range(array, low, high, "torch.histogram")
        edges = np.linspace(low, high, bins + 1, dtype=array.dtype)
        numbers = _bins(array, bins, low, high)
    inside = numbers >= 0
    counts = np.bincount(
        numbers[inside], None if weights is None else weights[inside], edges.size - 1
    ).astype(want.np)
    if density:
        counts = counts / (counts.sum() * np.diff(edges)).astype(want.np)
    return store_pair(return_types.histogram((wrap(counts), wrap(np.array(edges)))), out)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """For each element whether it is among the test elements (`invert`: whether it is not). Either may be a
    number."""
    for value in (elements, test_elements):
        if isinstance(value, Variable) and value._array.dtype.kind in "bc":
            raise RuntimeError(
                f"Unsupported input type encountered for isin(): {legacy_name(value._array.dtype)}"
            )
    have, tests = (np.asarray(v._array if isinstance(v, Variable) else v) for v in (elements, test_elements))
    # in the promoted type, so that float32 0.1 is found by the number 0.1
    work = compute_dtype(result_dtype(elements, test_elements))
    return wrap(np.isin(have.astype(work), tests.astype(work), invert=invert))
