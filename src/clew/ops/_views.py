"""The primitives of views: arrays that share memory, and the way their cotangents go back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.core.storage import start_of, strided


# ---- arrays by strides -------------------------------------------------------------------------------------------------
def _broadcast(array: ndarray, size: tuple[int, ...]) -> ndarray:
    """`np.broadcast_to`, writable."""
    return strided(array, size, _expanded_strides(array, size), start_of(array))


def _expanded_strides(array: ndarray, size: tuple[int, ...]) -> tuple[int, ...]:
    lead = len(size) - array.ndim
    own = [
        0 if n == 1 and size[lead + d] != 1 else s
        for d, (n, s) in enumerate(zip(array.shape, array.strides, strict=True))
    ]
    return (0,) * lead + tuple(own)


# ---- primitives ------------------------------------------------------------------------------------------------------
def _embed(grad: Any, *, shape: tuple[int, ...], view: Primitive, params: dict[str, Any]) -> ndarray:
    made = np.zeros(shape, grad.dtype)
    view.forward(made, **params)[...] = grad
    return made


# The adjoint of looking at a part: the part in zeros.
embed = Primitive(
    "embed",
    _embed,
    {"grad": lambda xp, g, view, params: xp.call(view, g, **params)},
    jvp="linear",
    explain="a part's gradient, at its place in zeros",
)


def _reshaper(name: str, node: str) -> Primitive:
    return Primitive(
        name,
        lambda self, *, size: self.reshape(size),
        {"self": lambda xp, g, self_shape: g.reshape(self_shape)},
        node=node,
        jvp="linear",
        explain="the same numbers in another shape; the gradient is shaped back",
    )


_view = _reshaper("view", "ViewBackward0")
_reshape_alias = _reshaper("reshape_alias", "ReshapeAliasBackward0")
_unsafe_view = _reshaper("unsafe_view", "UnsafeViewBackward0")
_squeeze_all = _reshaper("squeeze", "SqueezeBackward0")
_squeeze_dim = Primitive(
    "squeeze_dim",
    lambda self, *, dim: (
        self.reshape(self.shape[:dim] + self.shape[dim + 1 :])
        if self.ndim and self.shape[dim] == 1
        else self[...]
    ),
    {"self": lambda xp, g, self_shape, dim: g.reshape(self_shape)},
    node="SqueezeBackward1",
    jvp="linear",
    explain="a dimension of size 1 is dropped",
)
_squeeze_dims = Primitive(
    "squeeze_dims",
    lambda self, *, dim: self.reshape(tuple([n for d, n in enumerate(self.shape) if n != 1 or d not in dim])),
    {"self": lambda xp, g, self_shape, dim: g.reshape(self_shape)},
    node="SqueezeBackward2",
    jvp="linear",
    explain="dimensions of size 1 are dropped",
)
_unsqueeze = Primitive(
    "unsqueeze",
    lambda self, *, dim: self.reshape((*self.shape[:dim], 1, *self.shape[dim:])),
    {"self": lambda xp, g, self_shape, dim: g.reshape(self_shape)},
    jvp="linear",
    explain="a dimension of size 1 is added",
)
_permute = Primitive(
    "permute",
    lambda self, *, dims: self.transpose(dims),
    {"self": lambda xp, g, dims: xp.transpose(g, tuple([dims.index(d) for d in range(len(dims))]))},
    jvp="linear",
    explain="dimensions in another order; the gradient's are put back",
)
_transpose = Primitive(
    "transpose",
    lambda self, *, dim0, dim1: self.swapaxes(dim0, dim1) if self.ndim else self[...],
    {"self": lambda xp, g, dim0, dim1: g.swapaxes(dim0, dim1) if g.ndim else g},
    jvp="linear",
    explain="two dimensions swapped; the gradient's are swapped back",
)
_t = Primitive(
    "t",
    lambda self: self.T,
    {"self": lambda xp, g: xp.transpose(g)},
    jvp="linear",
    explain="a matrix transposed; so is its gradient",
)
_expand = Primitive(
    "expand",
    lambda self, *, size: _broadcast(np.asarray(self), size),
    {"self": lambda xp, g, self_shape: xp.sum_to(g, self_shape)},
    jvp="linear",
    explain="the same numbers repeated without a copy; the gradients of the repetitions are summed",
)
_alias = Primitive(
    "alias",
    lambda self: self[...],
    {"self": lambda xp, g: g},
    jvp="linear",
    explain="the same tensor under another name",
)


def _select_array(self: ndarray, *, dim: int, index: int) -> ndarray:
    return self[index, ...] if not dim else self[(slice(None),) * dim + (index, ...)]


_select: Primitive = Primitive(
    "select",
    _select_array,
    {
        "self": lambda xp, g, self_shape, dim, index: xp.call(
            embed, g, shape=self_shape, view=_select, params={"dim": dim, "index": index}
        )
    },
    jvp="linear",
    explain="one entry along a dimension; its gradient goes back there, the others get zeros",
)


def _slice_array(self: ndarray, *, dim: int, start: int, end: int, step: int) -> ndarray:
    return self[start:end:step] if not dim else self[(slice(None),) * dim + (slice(start, end, step),)]


_slice: Primitive = Primitive(
    "slice",
    _slice_array,
    {
        "self": lambda xp, g, self_shape, dim, start, end, step: xp.call(
            embed,
            g,
            shape=self_shape,
            view=_slice,
            params={"dim": dim, "start": start, "end": end, "step": step},
        )
    },
    jvp="linear",
    explain="a range along a dimension; its gradient goes back there, the rest gets zeros",
)


def _diagonal_array(self: ndarray, *, offset: int, dim1: int, dim2: int) -> ndarray:
    rows, columns = self.shape[dim1], self.shape[dim2]
    length = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    others = [d for d in range(self.ndim) if d != dim1 and d != dim2]
    row, column = self.strides[dim1], self.strides[dim2]
    start = start_of(self) + (max(-offset, 0) * row + max(offset, 0) * column if length else 0)
    shape, strides = [self.shape[d] for d in others], [self.strides[d] for d in others]
    return strided(self, (*shape, length), (*strides, row + column), start)


_diagonal: Primitive = Primitive(
    "diagonal",
    _diagonal_array,
    {
        "self": lambda xp, g, self_shape, offset, dim1, dim2: xp.call(
            embed, g, shape=self_shape, view=_diagonal, params={"offset": offset, "dim1": dim1, "dim2": dim2}
        )
    },
    jvp="linear",
    explain="a diagonal; its gradient goes back there, the rest gets zeros",
)


def _unfold_array(self: ndarray, *, dimension: int, size: int, step: int) -> ndarray:
    if not self.ndim:
        return self.reshape((1,))[: size or 0]
    count = (self.shape[dimension] - size) // step + 1
    shape = (*self.shape[:dimension], count, *self.shape[dimension + 1 :], size)
    stride = self.strides[dimension]
    strides = (*self.strides[:dimension], stride * step, *self.strides[dimension + 1 :], stride)
    return strided(self, shape, strides, start_of(self))


def _fold(grad: Any, *, shape: tuple[int, ...], dimension: int, size: int, step: int) -> ndarray:
    made = np.zeros(shape, grad.dtype)
    if not shape:
        return grad.sum(dtype=grad.dtype)
    windows = _unfold_array(made, dimension=dimension, size=size, step=step)
    for k in range(size):
        windows[..., k] += grad[..., k]
    return made


_unfold = Primitive(
    "unfold",
    _unfold_array,
    {
        "self": lambda xp, g, self_shape, dimension, size, step: xp.call(
            fold, g, shape=self_shape, dimension=dimension, size=size, step=step
        )
    },
    jvp="linear",
    explain="windows along a dimension; the gradients of windows that overlap are summed",
)
fold: Primitive = Primitive(
    "unfold_backward",
    _fold,
    {
        "grad": lambda xp, g, dimension, size, step: xp.call(
            _unfold, g, dimension=dimension, size=size, step=step
        )
    },
    jvp="linear",
)
