"""Searching: where values belong among sorted ones, in buckets and in sets."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import compute_dtype, result_dtype
from clew.core.variable import Variable, wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor
from clew.ops._builders import operand

__all__ = ["bucketize", "isin", "searchsorted"]


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


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Any = None
) -> Any:
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
    result = wrap(np.isin(have.astype(work), tests.astype(work), invert=invert))
    return result if out is None else store_out(out, result, exact=True)
