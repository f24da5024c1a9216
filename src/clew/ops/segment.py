"""Reductions of the segments that a dim is cut into, and a checksum of the bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, tensor_dtype, underivable, wrap_dim
from clew.ops.reduce import axes, no_identity, refuse, rounded, working

__all__ = ["_segment_reduce", "hash_tensor", "segment_reduce"]

_NAMES = {
    "max": "max",
    "amax": "max",
    "min": "min",
    "amin": "min",
    "mean": "mean",
    "sum": "sum",
    "prod": "prod",
}
_START = {"max": -math.inf, "min": math.inf, "mean": 0.0, "sum": 0.0, "prod": 1.0}
_ADD_TO: dict[str, Any] = {
    "max": np.maximum,
    "min": np.minimum,
    "mean": np.add,
    "sum": np.add,
    "prod": np.multiply,
}


# ---- segments ----------------------------------------------------------------------------------------------------------
def _places(data: ndarray, starts: ndarray, counts: ndarray) -> tuple[ndarray, ndarray]:
    """For every element in a segment, in order, its row in `data` and the number of its segment.

    starts, counts: of each line's segments (…, S); rows count over all dims up to the segmented one.
    """
    n = data.shape[starts.ndim - 1]
    first = starts
    if starts.ndim > 1:
        lines = starts.shape[:-1]
        first = starts + n * np.arange(math.prod(lines)).reshape(*lines, 1)
    sizes = counts.ravel()
    owner = np.arange(sizes.size).repeat(sizes)
    before = np.add.accumulate(sizes) - sizes
    return (first.ravel() - before)[owner] + np.arange(owner.size), owner


def _flat(array: ndarray, axis: int) -> ndarray:
    """The dims up to `axis` as one."""
    return array.reshape(math.prod(array.shape[: axis + 1]), *array.shape[axis + 1 :])


def _along(counts: ndarray, rows: ndarray) -> ndarray:
    """The counts of segments, to broadcast with rows of results."""
    return counts.reshape(-1, *(1,) * (rows.ndim - 1))


def _reduce_segments(
    data: ndarray, starts: ndarray, counts: ndarray, *, reduce: str, initial: float | None
) -> ndarray:
    axis = starts.ndim - 1
    shape = (*starts.shape, *data.shape[axis + 1 :])
    rows, owner = _places(data, starts, counts)
    made = np.full(
        (counts.size, *shape[axis + 1 :]), _START[reduce] if initial is None else initial, data.dtype
    )
    _ADD_TO[reduce].at(made, owner, _flat(data, axis)[rows])
    if reduce == "mean":
        empty = np.nan if initial is None else initial
        sizes = _along(counts, made)
        made = np.where(sizes == 0, data.dtype.type(empty), made / np.maximum(sizes, 1)).astype(data.dtype)
    return made.reshape(shape)


def _others(x: ndarray, products: Any, owner: ndarray, counts: ndarray) -> ndarray:
    """For each element the product of the others of its segment, also where some are 0 or NaN."""
    zero, nan = x == 0, np.isnan(x)
    special = zero | nan
    kept = np.array(products)
    np.multiply.at(kept, owner, np.where(special, 1, x))
    zeros, nans = np.zeros(kept.shape, np.int64), np.zeros(kept.shape, np.int64)
    np.add.at(zeros, owner, zero)
    np.add.at(nans, owner, nan)
    made = kept[owner] / np.where(special, 1, x)
    made = np.where(zeros[owner] - zero > 0, 0, made)
    return np.where(nans[owner] - nan > 0, np.nan, made)


def _segment_slope(
    grad: ndarray,
    data: ndarray,
    result: ndarray,
    starts: ndarray,
    counts: ndarray,
    *,
    reduce: str,
    initial: float | None,
) -> ndarray:
    """Sums pass the gradient on, means a part of it; equal extremes share it; products scale it by the others."""
    axis = starts.ndim - 1
    rows, owner = _places(data, starts, counts)
    x, g = _flat(data, axis)[rows], _flat(grad, axis)
    if reduce == "mean":
        g = g / np.maximum(_along(counts, g), 1)
    share = g[owner]
    if reduce in ("max", "min"):
        hit = np.isnan(x) | (x == _flat(result, axis)[owner])
        hits = np.zeros(g.shape, np.int64)
        np.add.at(hits, owner, hit)
        share = hit * share / np.maximum(hits[owner], 1)
    elif reduce == "prod":
        start = np.full(g.shape, 1 if initial is None else initial, data.dtype)
        share = share * _others(x, start, owner, counts)
    made = np.zeros(_flat(data, axis).shape, data.dtype)
    made[rows] = share
    return made.reshape(data.shape)


_segment_back = Primitive(
    "_segment_reduce_backward",
    _segment_slope,
    {"grad": underivable("_segment_reduce_backward")},
    node="NotImplemented",
)
_segments = Primitive(
    "segment_reduce",
    _reduce_segments,
    {
        "data": lambda xp, g, data, out, starts, counts, reduce, initial: xp.call(
            _segment_back, g, data, out, starts, counts, reduce=reduce, initial=initial
        )
    },
    explain="segments reduced: each hands its gradient to its elements",
)


def segment_reduce(
    data: Any,
    reduce: str,
    *,
    lengths: Any = None,
    indices: Any = None,
    offsets: Any = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> Any:
    """The sum, mean, prod, max or min of each segment that `axis` is cut into: (…, n, …) → (…, S, …).

    The segments follow each other with `lengths` (…, S), or lie between neighbours of `offsets` (…, S + 1). `initial`:
    what each begins with (and what an empty one gives). `unsafe`: the lengths need not add up to n.
    """
    have = tensor_dtype(check_tensor(data, "segment_reduce", "data"))
    axis = wrap_dim(axis, data._array.ndim)
    if reduce not in _NAMES:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    starts, counts = _segments_of(data, lengths, offsets, axis, unsafe)
    if have.category != 2:
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{legacy_name(have)}'")
    x, want = working(data, "segment_reduce")
    begin = None if initial is None else float(initial)
    return rounded(_segments(x, wrap(starts), wrap(counts), reduce=_NAMES[reduce], initial=begin), want)


_segment_reduce = segment_reduce


def _segments_of(data: Any, lengths: Any, offsets: Any, axis: int, unsafe: bool) -> tuple[ndarray, ndarray]:
    """Where the segments of each line begin and how long they are, after PyTorch's checks."""
    name = "offsets" if offsets is not None else "lengths"
    given = offsets if offsets is not None else lengths
    if given._array.dtype not in (np.int32, np.int64):
        have = legacy_name(given._array.dtype)
        raise NotImplementedError(f"\"_segment_reduce_{name}_cpu_kernel1\" not implemented for '{have}'")
    values = np.asarray(given._array, np.int64)
    n = data._array.shape
    if values.ndim > len(n):
        raise RuntimeError(f"Expected data.dim() >= {name}_value.dim() to be true, but got false.")
    if values.ndim - 1 != axis:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of {name} but got {axis}."
        )
    if offsets is not None:
        return values[..., :-1], np.maximum(np.minimum(values[..., 1:], n[axis]) - values[..., :-1], 0)
    if not unsafe:
        if values.size and values.min() < 0:
            raise RuntimeError("lengths contains negative value!")
        if (values.sum(-1) != n[axis]).any():
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
                "!unsafe."
            )
    return np.cumsum(values, -1) - values, values


# ---- bits --------------------------------------------------------------------------------------------------------------
def _hash_forward(self: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    """The 64 bits of each element, as a double or an integer, folded by exclusive or."""
    wide = np.asarray(self, np.float64 if self.dtype.kind in "fV" else np.int64)
    fold: Any = np.bitwise_xor.reduce
    return fold(wide.view(np.uint64), dim, keepdims=keepdim)


_hash = Primitive("hash_tensor", _hash_forward)


def hash_tensor(input: Any, dim: Any = (), *, keepdim: bool = False, mode: int = 0, out: Any = None) -> Any:
    """A uint64 checksum over `dim` (a number or several; all without it): the elements' bits under exclusive or."""
    check_tensor(input, "hash_tensor")
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    dims = axes(dim, input._array.ndim)
    if dim is None or dim == () or dim == []:
        if not input._array.size:
            raise RuntimeError(
                "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction "
                "dim with the 'dim' argument."
            )
    else:
        no_identity(input, "hash_tensor", dims, ":")
    refuse(input, "xor_sum_cpu", 3)
    if out is not None and out._array.dtype != np.uint64:
        raise RuntimeError(f"Expected result to be of dtype uint64, but got {legacy_name(out._array.dtype)}")
    result = _hash(input, dim=dims, keepdim=keepdim)
    return result if out is None else store_out(out, result)
