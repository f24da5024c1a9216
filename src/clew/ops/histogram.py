"""Counting values into bins: histograms in one dimension and several, and counts of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import c_name, float64, legacy_name
from clew.ops._arguments import check_tensor, no_signature, tensor_dtype
from clew.ops._builders import convert
from clew.ops.reduce import store_pair, working

__all__ = ["bincount", "histc", "histogram", "histogramdd"]

_bincount = Primitive(
    "bincount",
    lambda self, weights, *, minlength: np.bincount(self, weights, minlength),
)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0 … max occurs in a 1-d tensor of non-negative integers, or the sum of the weights there."""
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


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0, *, out: Any = None) -> Any:
    """How many elements fall into each of `bins` bins of one width between min and max (the data's, where both are
    equal)."""
    x, want = working(input, "histc")
    if want.category != 2:
        kernel = "aminmax_cpu" if want.category == 3 else "histogram_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(want)}'")
    _check_count(bins, 0)
    low, high = float(min), float(max)
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    array = np.asarray(x._array)
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low == high:
        low, high = low - 1, high + 1
    inside = array[(array >= low) & (array <= high)]
    numbers = np.minimum(((inside - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    counts = np.bincount(numbers, minlength=int(bins)).astype(want.np)
    return wrap(counts) if out is None else store_out(out, wrap(counts))


def histogram(
    input: Any,
    bins: Any = 100,
    *,
    range: Any = None,
    weight: Any = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """(hist, bin_edges): how many elements (or how much weight) in each bin; `bins` a count or the edges themselves.

    The bins are half-open but for the last; without `range` they span the data. density: divided by the sum and the
    widths, so that it integrates to one.
    """
    if isinstance(bins, Variable) and range is not None:
        raise no_signature("histogram", input, bins)
    array = np.asarray(_floating(input)._array)
    weights = None if weight is None else (weight, np.asarray(weight._array).reshape(-1), weight._array.shape)
    counts, edges = _histogram(array.reshape(-1, 1), (*array.shape, 1), [bins], range, weights, density)
    return store_pair(return_types.histogram((wrap(counts), wrap(edges[0]))), out, exact=True)


def histogramdd(input: Any, bins: Any, range: Any = None, weight: Any = None, density: bool = False) -> Any:
    """(hist, bin_edges): how many of the points, the rows (…, N), fall in each N-dimensional bin.

    `bins`: one count, N counts, or N tensors of edges; `range`: N pairs of limits in one list; `weight` (…).
    """
    array = np.asarray(_floating(input)._array)
    if array.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    if isinstance(bins, Variable):
        raise no_signature("histogramdd", input, bins)
    n = array.shape[-1]
    parts = [bins] * n if isinstance(bins, int) else list(bins)
    if len(parts) != n:
        if parts and isinstance(parts[0], Variable):
            raise RuntimeError(
                f"torch.histogramdd: expected {n} sequences of bin edges for a {n}-dimensional histogram but got "
                f"{len(parts)}"
            )
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    weights = None if weight is None else (weight, np.asarray(weight._array).reshape(-1), weight._array.shape)
    counts, edges = _histogram(array.reshape(-1, n), array.shape, parts, range, weights, density)
    return return_types.histogramdd((wrap(counts), tuple(wrap(e) for e in edges)))


# ---- how it is done ----------------------------------------------------------------------------------------------------
def _floating(input: Any) -> Any:
    have = tensor_dtype(check_tensor(input, "histogram"))
    if have.name not in ("float32", "float64"):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{legacy_name(have)}'")
    return input


def _check_count(bins: int, dim: int) -> None:
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension {dim}")


def _check_edges(edges: Any, array: ndarray, dim: int) -> ndarray:
    """Given edges as an array, after PyTorch's checks."""
    values = np.asarray(edges._array)
    if values.dtype != array.dtype:
        have, want = c_name(tensor_dtype(wrap(array))), c_name(tensor_dtype(edges))
        raise RuntimeError(
            "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype "
            f"{have} and bins for dimension {dim} with dtype {want}"
        )
    if values.ndim != 1:
        raise RuntimeError(
            f"torch.histogramdd: bins tensor should have one dimension, but got {values.ndim} dimensions in the bins "
            f"tensor for dimension {dim}"
        )
    if not values.size:
        raise RuntimeError(
            "torch.histogramdd: bins tensor should have at least 1 element, but got 0 elements in the bins tensor for "
            f"dimension {dim}"
        )
    _check_count(values.size - 1, dim)
    return values.copy()


def _spans(array: ndarray, limits: Any) -> list[tuple[float, float]]:
    """The limits of each dimension: those given, or the data's."""
    n = array.shape[1]
    if limits is not None:
        if len(limits) != 2 * n:
            raise RuntimeError(
                f"torch.histogramdd: for a {n}-dimensional histogram range should have {2 * n} elements, but got "
                f"{len(limits)}"
            )
        spans = [(float(limits[2 * d]), float(limits[2 * d + 1])) for d in range(n)]
    elif not array.size:
        spans = [(0.0, 1.0)] * n
    else:
        spans = list(zip(array.min(0).tolist(), array.max(0).tolist(), strict=True))
    for d, (low, high) in enumerate(spans):
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"torch.histogramdd: dimension {d}'s range [{low:g}, {high:g}] is not finite")
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension {d}"
            )
    return [(low - 0.5, high + 0.5) if low == high else (low, high) for low, high in spans]


def _check_weights(array: ndarray, shape: tuple[int, ...], weights: Any) -> None:
    weight, _, have = weights
    if have != shape[:-1]:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor "
            f"excluding its innermost dimension, but got input with shape {list(shape)} and weight with shape {list(have)}"
        )
    if weight._array.dtype != array.dtype:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor should have the same "
            f"dtype, but got input({c_name(tensor_dtype(wrap(array)))}), and weight({c_name(tensor_dtype(weight))})"
        )


def _histogram(
    array: ndarray, shape: tuple[int, ...], bins: Sequence[Any], limits: Any, weights: Any, density: bool
) -> tuple[ndarray, list[ndarray]]:
    """The counts (or sums of weights) of points, the rows of `array`, and the edges of each dimension.

    shape: of the input, in PyTorch's sentences; weights: the tensor, its values in one row, its shape.
    """
    if bins and isinstance(bins[0], Variable):
        edges = [_check_edges(b, array, d) for d, b in enumerate(bins)]
    else:
        for d, count in enumerate(bins):
            _check_count(count, d)
        spans = _spans(array, limits)
        edges = [np.linspace(*s, b + 1, dtype=array.dtype) for s, b in zip(spans, bins, strict=True)]
    if weights is not None:
        _check_weights(array, shape, weights)
    inside = np.ones(len(array), np.bool)
    number = np.zeros(len(array), np.int64)
    for d, e in enumerate(edges):
        column = array[:, d]
        inside &= (column >= e[0]) & (column <= e[-1])
        number = number * (e.size - 1) + np.minimum(np.searchsorted(e, column, "right") - 1, e.size - 2)
    sizes = [e.size - 1 for e in edges]
    picked = None if weights is None else weights[1][inside]
    counts = np.bincount(number[inside], picked, math.prod(sizes)).reshape(sizes).astype(array.dtype)
    if density:
        counts = counts / counts.sum()
        for d, e in enumerate(edges):
            counts = counts / np.diff(e).reshape([-1 if i == d else 1 for i in range(len(edges))])
    return counts, edges
