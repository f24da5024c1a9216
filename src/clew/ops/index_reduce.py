"""scatter_reduce and index_reduce: many numbers, or slices, reduced into one entry along a dimension.

`index_reduce` is `scatter_reduce` with an index that is the same all along a slice, and so are its derivatives.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.modes import first_time
from clew.core.primitive import Primitive
from clew.ops._arguments import dtype_of
from clew.ops._views import embed
from clew.ops.index import (
    _check_gather,
    _check_index_write,
    _corner,
    _corner_of,
    _flat,
    _gather,
    _index_of,
    _same,
    _scatter_add,
    _scatter_value,
)

__all__ = ["index_reduce", "scatter_reduce"]


# ---- scatter_reduce ------------------------------------------------------------------------------------------------------
_REDUCERS = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _scatter_reduce_array(
    self: ndarray, index: ndarray, src: ndarray, *, dim: int, reduce: str, include_self: bool
) -> ndarray:
    made = np.array(self, order="C")
    if not index.size:
        return made
    flat, values = _flat(index, self.shape, dim), _corner(src, index)
    memory = made.reshape(-1)
    if not include_self:
        if reduce in ("amax", "amin"):
            whole = np.iinfo(made.dtype) if made.dtype.kind in "iu" else None
            worst = (
                (whole.min if reduce == "amax" else whole.max)
                if whole
                else (-np.inf if reduce == "amax" else np.inf)
            )
        else:
            worst = 1 if reduce == "prod" else 0
        memory[flat] = worst
    _REDUCERS[reduce].at(memory, flat, values)
    if reduce == "mean":
        counts = np.full(memory.shape, int(include_self), np.int64)
        np.add.at(counts, flat, 1)
        counts[counts == 0] = 1
        memory[...] = memory // counts if made.dtype.kind in "iu" else memory / counts
    return made


def _scatter_reduce_back(
    xp: Any,
    g: Any,
    needs: Any,
    self: Any,
    index: Any,
    src: Any,
    out: Any,
    dim: int,
    reduce: str,
    include_self: bool,
) -> list[Any]:
    """Sum and mean share the cotangent out; a product leaves one factor out; an extremum goes to those who reach it."""
    src_shape = tuple(src.shape)
    if src_shape != tuple(index.shape):
        src = xp.call(_corner_of, src, size=tuple(index.shape))

    def read(x: Any) -> Any:
        return xp.call(_gather, x, index, dim=dim)

    def add(x: Any, y: Any) -> Any:
        return xp.call(_scatter_add, x, index, y, dim=dim)

    if reduce == "sum":
        of_self, of_src = g, read(g)
    elif reduce == "mean":
        counts = add(xp.ones_like(self) if include_self else xp.zeros_like(self), xp.ones_like(src))
        shared = g / xp.maximum(counts, xp.ones_like(counts))
        of_self, of_src = shared, read(shared)
    elif reduce == "prod":
        of_self, of_src = _scatter_prod_back(xp, g, self, index, src, out, dim, include_self)
    else:
        own = xp.astype(self == out, dtype_of(self))
        there = xp.astype(src == read(out), dtype_of(src))
        # As PyTorch: an input that happens to equal the result counts as one of those who share, even if left out.
        shared = g / xp.maximum(add(own, there), xp.ones_like(own))
        of_self, of_src = own * shared, there * read(shared)
    if not include_self:
        of_self = xp.call(_scatter_value, of_self, index, dim=dim, value=0)
    if src_shape != tuple(index.shape):
        of_src = xp.call(embed, of_src, shape=src_shape, view=_corner_of, params={"size": tuple(index.shape)})
    return [of_self, None, of_src]


def _scatter_prod_back(
    xp: Any, g: Any, self: Any, index: Any, src: Any, out: Any, dim: int, include_self: bool
) -> tuple[Any, Any]:
    """g·out/x where no factor is zero; a single zero gets the product of the others."""

    def product(x: Any, y: Any) -> Any:
        return xp.call(_scatter_reduce, x, index, y, dim=dim, reduce="prod", include_self=include_self)

    self_zero, src_zero = self == 0, src == 0
    safe_self = xp.where(self_zero, 1, self)
    of_self = g * product(safe_self, src) / safe_self
    count = xp.call(_scatter_add, xp.zeros_like(self), index, xp.astype(src_zero, dtype_of(src)), dim=dim)
    alone = xp.logical_and(src_zero, xp.call(_gather, count, index, dim=dim) == 1)
    rest = xp.call(_gather, g * product(self, xp.where(alone, 1, src)), index, dim=dim)
    plain = xp.call(_gather, g * out, index, dim=dim) / xp.where(src_zero, 1, src)
    return of_self, xp.where(alone, rest, plain)


_scatter_reduce = Primitive(
    "scatter_reduce",
    _scatter_reduce_array,
    _scatter_reduce_back,
    node="ScatterReduceBackward0",
    explain="numbers reduced into entries along a dimension",
)


def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True, out: Any = None
) -> Any:
    """out[…, j, …] = the sum, prod, mean, amax or amin of all src[i] with index[i] = j (and of input[…, j, …])."""
    index = _index_of("scatter", index)
    _same("scatter", input, src)
    dim = _check_gather("scatter_reduce", input, index, dim, src)
    if reduce not in _REDUCERS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    result = _scatter_reduce(input, index, src, dim=dim, reduce=reduce, include_self=include_self)
    return result if out is None else store_out(out, result, exact=True)


# ---- index_reduce --------------------------------------------------------------------------------------------------------
_REDUCTIONS = ("prod", "mean", "amax", "amin")


def _index_reduce_array(
    self: ndarray, index: ndarray, source: ndarray, *, dim: int, reduce: str, include_self: bool
) -> tuple[Any, ndarray]:
    """The result, and the index for each element of `source`."""
    self, source = np.asarray(self), np.asarray(source)
    shape = [1] * source.ndim
    if shape:
        shape[dim] = index.size
    wide = np.broadcast_to(index.reshape(shape).astype(np.int64), source.shape)
    made = _scatter_reduce_array(self, wide, source, dim=dim, reduce=reduce, include_self=include_self)
    return made, wide


def _index_reduce_back(
    xp: Any, g: Any, needs: Any, self: Any, source: Any, wide: Any, out: Any, dim: int, reduce: str, include_self: bool
) -> list[Any]:  # fmt: skip
    return _scatter_reduce_back(xp, g, needs, self, xp.constant(wide), source, out, dim, reduce, include_self)


_index_reduce = Primitive(
    "index_reduce",
    _index_reduce_array,
    _index_reduce_back,
    aux={"wide": None},
    explain="slices reduced into slices along a dimension",
)


def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True, out: Any = None
) -> Any:
    """Slice j along `dim` of out = the prod, mean, amax or amin of all slices i of `source` with index[i] = j (and of
    slice j of `input`, if `include_self`).
    """
    if reduce not in _REDUCTIONS:
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
        )
    if first_time("index_reduce"):
        warnings.warn(
            "index_reduce() is in beta and the API may change at any time.", UserWarning, stacklevel=2
        )
    dim = _check_index_write("index_reduce", input, dim, index, source)
    result = _index_reduce(input, index, source, dim=dim, reduce=reduce, include_self=include_self)
    return result if out is None else store_out(out, result, exact=True)
