"""Masks and flat positions: entries picked by a condition or by their place in memory order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import int64, legacy_name
from clew.ops._arguments import check_tensor, dtype_of
from clew.ops._builders import broadcast_error, convert
from clew.ops.compare import logical_not
from clew.ops.getitem import as_number, getitem, index_put
from clew.ops.shape import clone

__all__ = [
    "_unsafe_masked_index", "_unsafe_masked_index_put_accumulate", "argwhere", "masked_fill", "masked_scatter",
    "masked_select", "nonzero", "nonzero_static", "put", "take", "tril_indices", "triu_indices", "unravel_index",
]  # fmt: skip


# ---- masks -------------------------------------------------------------------------------------------------------------------
_masked_fill = Primitive(
    "masked_fill",
    lambda self, mask, *, value: np.where(mask, value, self),
    {"self": lambda xp, g, mask: xp.where(mask, xp.zeros_like(g), g)},
    jvp="linear",
    explain="a number where the mask is set: no gradient goes there",
)
_masked_fill_tensor = Primitive(
    "masked_fill_tensor",
    lambda self, mask, value: np.where(mask, value, self),
    {
        "self": lambda xp, g, mask: xp.where(mask, xp.zeros_like(g), g),
        "value": lambda xp, g, mask: xp.sum(xp.where(mask, g, xp.zeros_like(g))),
    },
    node="MaskedFillBackward1",
    jvp="linear",
    explain="one tensor's number where the mask is set; those gradients go to it",
)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise broadcast_error(a, b) from None


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """out = value where `mask` is True, else input. They broadcast; `value` is a number or a 0-d tensor."""
    m = check_tensor(mask, "masked_fill", "mask", 2)._array
    _broadcast(m.shape, input._array.shape)
    if m.dtype.kind != "b":
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {legacy_name(m.dtype).lower()}"
        )
    dtype = input._array.dtype
    if isinstance(value, Variable):
        if value._array.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._array.ndim} dimension(s)."
            )
        if value._array.dtype.kind == "c" and dtype.kind != "c":
            as_number(value._array.item(), dtype)  # raises where an imaginary part would be lost
        return _masked_fill_tensor(input, mask, convert(value, dtype))
    return _masked_fill(input, mask, value=as_number(value, dtype))


def _pick(self: ndarray, mask: ndarray) -> ndarray:
    a, m = np.broadcast_arrays(self, mask)
    return a[m]


def _spread(values: ndarray, mask: ndarray, *, shape: tuple[int, ...]) -> ndarray:
    made = np.zeros(np.broadcast_shapes(shape, mask.shape), values.dtype)
    made[np.broadcast_to(mask, made.shape)] = values.reshape(-1)[
        : np.count_nonzero(np.broadcast_to(mask, made.shape))
    ]
    return made


_masked_select = Primitive(
    "masked_select",
    _pick,
    {"self": lambda xp, g, self_shape, mask: xp.call(spread, g, mask, shape=self_shape)},
    jvp="linear",
    explain="the entries where the mask is set, in one row; their gradients go back there",
)
spread: Primitive = Primitive(
    "masked_select_backward",
    _spread,
    {"values": lambda xp, g, mask, values_shape: xp.call(gather_masked, g, mask, shape=values_shape)},
    jvp="linear",
)


def _gather_masked(grad: ndarray, mask: ndarray, *, shape: tuple[int, ...]) -> ndarray:
    picked = _pick(grad, mask)
    made = np.zeros(shape, grad.dtype)
    made.reshape(-1)[: picked.size] = picked
    return made


gather_masked: Primitive = Primitive(
    "masked_scatter_backward",
    _gather_masked,
    {"grad": lambda xp, g, mask, grad_shape: xp.call(spread, g, mask, shape=grad_shape)},
    jvp="linear",
)


def masked_select(input: Any, mask: Any, *, out: Any = None) -> Any:
    """The entries of `input` where `mask` is True (they broadcast), as a vector. A copy."""
    m = check_tensor(mask, "masked_select", "mask", 2)._array
    if m.dtype.kind != "b":
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    _broadcast(m.shape, input._array.shape)
    if out is not None and out._array.dtype != input._array.dtype:
        raise RuntimeError("masked_select(): self and result must have the same scalar type")
    result = _masked_select(input, mask)
    return result if out is None else store_out(out, result, input, mask)


def _masked_scatter_array(self: ndarray, mask: ndarray, source: ndarray) -> ndarray:
    made = np.broadcast_to(self, np.broadcast_shapes(self.shape, mask.shape)).copy()
    whole = np.broadcast_to(mask, made.shape)
    made[whole] = source.reshape(-1)[: np.count_nonzero(whole)]
    return made


_masked_scatter = Primitive(
    "masked_scatter",
    _masked_scatter_array,
    {
        "self": lambda xp, g, mask: xp.where(mask, xp.zeros_like(g), g),
        "source": lambda xp, g, mask, source_shape: xp.call(gather_masked, g, mask, shape=source_shape),
    },
    jvp="linear",
    explain="entries where the mask is set overwritten in order by the numbers of another tensor",
)


def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """out = input, but where `mask` is True the numbers of `source`, in order."""
    m = mask._array
    shape = _broadcast(m.shape, input._array.shape)
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{legacy_name(input._array.dtype)} and {legacy_name(source._array.dtype)}"
        )
    if m.dtype.kind != "b":
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {legacy_name(m.dtype)}"
        )
    if np.count_nonzero(np.broadcast_to(m, shape)) > source._array.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    return _masked_scatter(input, mask, source)


# ---- flat positions ------------------------------------------------------------------------------------------------------------
_take = Primitive(
    "take",
    lambda self, index: self.reshape(-1).take(index),
    {"self": lambda xp, g, self_shape, index: xp.call(take_back, g, index, shape=self_shape)},
    jvp="linear",
    explain="entries picked by their flat position",
)


def _take_back(grad: Any, index: ndarray, *, shape: tuple[int, ...]) -> ndarray:
    made = np.zeros(shape, grad.dtype)
    np.add.at(made.reshape(-1), np.reshape(index, -1), np.reshape(grad, -1))
    return made


take_back: Primitive = Primitive(
    "take_backward", _take_back, {"grad": lambda xp, g, index: xp.call(_take, g, index)}, jvp="linear"
)


def _check_take(function: str, input: Any, index: Any) -> None:
    i, n = index._array, input._array.size
    if i.dtype != np.int64:
        raise RuntimeError(f"{function}(): Expected a long tensor for index, but got {legacy_name(i.dtype)}")
    if i.size and not n:
        raise IndexError(f"{function}(): tried to take from an empty tensor")
    if i.size and (i.max() >= n or i.min() < -n):
        bad = i[(i < -n) | (i >= n)].reshape(-1)[0]
        raise IndexError(f"out of range: tried to access index {bad} on a tensor of {n} elements.")


def take(input: Any, index: Any, *, out: Any = None) -> Any:
    """out[i] = input.flatten()[index[i]]."""
    _check_take("take", input, index)
    if out is not None and out._array.dtype != input._array.dtype:
        raise RuntimeError(
            f"take(): self and out expected to have the same dtype, but got self.dtype = {legacy_name(input._array.dtype)} "
            f"and out.dtype = {legacy_name(out._array.dtype)}"
        )
    result = _take(input, index)
    return result if out is None else store_out(out, result, input, index)


def _put_array(self: ndarray, index: ndarray, source: ndarray, *, accumulate: bool) -> ndarray:
    made = np.array(self, order="C")
    if accumulate:
        np.add.at(made.reshape(-1), index.reshape(-1), source.reshape(-1))
    else:
        made.reshape(-1)[index.reshape(-1)] = source.reshape(-1)
    return made


_put: Primitive = Primitive(
    "put",
    _put_array,
    {
        "self": lambda xp, g, index, accumulate: (
            g
            if accumulate
            else xp.call(_put, g, index, xp.constant(np.zeros(index.shape, dtype_of(g))), accumulate=False)
        ),
        "source": lambda xp, g, index, source_shape: xp.call(_take, g, index).reshape(source_shape),
    },
    jvp="linear",
    explain="entries overwritten (or added to) by their flat position",
)


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """out = input, but out.flatten()[index[i]] = source[i] (or += with `accumulate`)."""
    if index._array.size != source._array.size:
        raise IndexError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._array.size}, index.numel() = {index._array.size}"
        )
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {legacy_name(input._array.dtype)} and source.dtype = {legacy_name(source._array.dtype)}"
        )
    _check_take("put_", input, index)
    return _put(input, index, source, accumulate=accumulate)


def nonzero(input: Any, *, out: Any = None, as_tuple: bool = False) -> Any:
    """The positions of the entries that are not zero: as rows, or (`as_tuple`) one vector for each dimension."""
    array = np.asarray(check_tensor(input, "nonzero")._array)
    if as_tuple:
        return tuple([wrap(i) for i in (array.reshape(1) if not array.ndim else array).nonzero()])
    result = wrap(np.argwhere(array))
    return result if out is None else store_out(out, result)


def nonzero_static(input: Any, *, size: int, fill_value: int = -1, out: Any = None) -> Any:
    """The first `size` rows of `nonzero`; where there are fewer, the rest is `fill_value`."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = np.argwhere(np.asarray(check_tensor(input, "nonzero_static")._array))[:size]
    made = np.full((size, found.shape[1]), fill_value, np.int64)
    made[: len(found)] = found
    return wrap(made) if out is None else store_out(out, wrap(made))


def argwhere(input: Any) -> Any:
    """The positions of the entries that are not zero, as rows."""
    return nonzero(input)


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """The coordinates of flat positions in a tensor of `shape` (in C order), one tensor for each dimension.

    Positions are not checked: beyond the last they begin again. TypeError for indices that are no integers.
    """
    if isinstance(shape, Variable):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for n in sizes:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
    if indices._array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    found = []
    rest = np.asarray(indices._array)
    for n in reversed(sizes):
        found.append(wrap(rest % n if n else rest))
        rest = rest // n if n else rest
    return tuple(reversed(found))


# ---- positions that may be wrong -----------------------------------------------------------------------------------------------
def _clamped(indices: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Index tensors with what names no entry moved to the nearest one."""
    return tuple(
        [
            slice(None) if i is None else wrap(np.clip(i._array, -max(n, 1), max(n, 1) - 1))
            for i, n in zip(indices, shape, strict=False)
        ]
    )


def _unsafe_masked_index(input: Any, mask: Any, indices: Any, fill: Any) -> Any:
    """input[indices] where `mask` is True, else `fill`: there the indices may be out of bounds."""
    shape = input._array.shape
    key = _clamped(indices, shape)
    if not input._array.size:
        wide = np.broadcast_to(np.zeros((), input._array.dtype), [max(n, 1) for n in shape])
        return masked_fill(getitem(wrap(wide), key), logical_not(mask), fill)
    return masked_fill(getitem(input, key), logical_not(mask), fill)


def _unsafe_masked_index_put_accumulate(input: Any, mask: Any, indices: Any, values: Any) -> Any:
    """A copy of `input` with input[indices] += values where `mask` is True: elsewhere the indices may be out of bounds."""
    if not input._array.size:
        return clone(input)
    return index_put(
        input, _clamped(indices, input._array.shape), masked_fill(values, logical_not(mask), 0), True
    )


def _triangle_indices(name: str, triangle: Any) -> Any:
    def op(
        row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None, layout: Any = None
    ) -> Any:
        for n, count in (("row", row), ("col", col)):
            if count < 0:
                raise RuntimeError(f"{n} must be non-negative, got{count}")
        kept = triangle(np.arange(row)[:, None] + offset, np.arange(col))
        return wrap(np.array(kept.nonzero(), dtype.np))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"The positions of the {'lower' if name == 'tril_indices' else 'upper'} triangle of a matrix, as two rows."
    return op


tril_indices = _triangle_indices("tril_indices", np.greater_equal)
triu_indices = _triangle_indices("triu_indices", np.less_equal)
