"""How a tensor lies in memory: sizes, strides, storage, and views made from strides alone.

stride[i] says how many elements apart two neighbours along dimension i lie; element (i₀, i₁, …) stands at
storage_offset + ∑ iₖ·stride[k]. PyTorch counts in elements, NumPy in bytes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import check_write, make_view, overlaps
from clew.core.primitive import Primitive
from clew.core.storage import root_of, start_of, strided
from clew.core.variable import Variable
from clew.ops import _views, shape
from clew.ops._arguments import check_tensor, wrap_dim
from clew.ops._builders import convert
from clew.size import Size

__all__ = ["as_strided", "as_strided_scatter"]


# ---- what it is ----------------------------------------------------------------------------------------------------------
def size(self: Any, dim: int | None = None) -> Any:
    """The sizes of the dimensions, or that of one of them."""
    have = self._array.shape
    return Size(have) if dim is None else have[wrap_dim_of(dim, len(have))]


def wrap_dim_of(dim: int, ndim: int) -> int:
    """`wrap_dim` for questions that a 0-d tensor cannot answer."""
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, ndim)


def stride(self: Any, dim: int | None = None) -> Any:
    """How many elements apart neighbours along each dimension (or one of them) lie in memory."""
    array = self._array
    if array.size or any(array.strides):
        found = tuple([s // array.itemsize for s in array.strides])
    else:  # NumPy's strides of nothing are all 0
        steps = accumulate([1, *[max(n, 1) for n in reversed(array.shape[1:])]], operator.mul)
        found = tuple(reversed([step for step, _ in zip(steps, array.shape, strict=False)]))
    return found if dim is None else found[wrap_dim_of(dim, len(found))]


def dim(self: Any) -> int:
    """The number of dimensions."""
    return self._array.ndim


def element_size(self: Any) -> int:
    """Bytes per element."""
    return self._array.itemsize


def _offset(array: ndarray) -> int:
    """How many elements after the start of its storage an array begins."""
    return start_of(array) // array.itemsize


def storage_offset(self: Any) -> int:
    """How many elements after the start of its storage the tensor begins."""
    return _offset(self.memory())


def data_ptr(self: Any) -> int:
    """The address of the first element."""
    array = self.memory()
    return array.__array_interface__["data"][0] if array.size else 0


def is_contiguous(self: Any, memory_format: Any = None) -> bool:
    """Whether the elements lie in C order, without gaps."""
    array = self._array
    return array.__class__ is not ndarray or bool(array.flags.c_contiguous)


def is_set_to(self: Any, tensor: Any) -> bool:
    """Whether both tensors are the same view of the same memory."""
    a, b = self.memory(), tensor.memory()
    return data_ptr(self) == data_ptr(tensor) and (a.shape, a.strides) == (b.shape, b.strides)


# ---- as_strided ----------------------------------------------------------------------------------------------------------
def _strided(
    self: ndarray, *, size: tuple[int, ...], stride: tuple[int, ...], storage_offset: int, like: Any
) -> ndarray:
    """A view by strides; `like`: shape, strides and offset of the tensor it was first taken of."""
    item = self.itemsize
    strides, offset = like
    if self.strides != tuple([s * item for s in strides]):
        self = _placed(self, like, size, stride, storage_offset)
    start = (
        storage_offset * item
        if _offset(self) == offset
        else (storage_offset - offset) * item + start_of(self)
    )
    return strided(self, size, tuple([s * item for s in stride]), start)


def _placed(array: ndarray, like: Any, size: tuple[int, ...], stride: tuple[int, ...], start: int) -> ndarray:
    """A copy in a storage like that of the tensor that was first looked at, as long as it and the strides need."""
    item = array.itemsize
    strides, offset = like
    whole = np.zeros(max(_room(array.shape, strides, offset), _room(size, stride, start)), array.dtype)
    seen = strided(whole, array.shape, tuple([s * item for s in strides]), offset * item)
    seen[...] = array
    return seen


def _room(size: tuple[int, ...], stride: tuple[int, ...], start: int) -> int:
    """How many elements a storage has at least in which these strides look."""
    return start + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else 0


def _strided_back(
    grad: Any,
    *,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    storage_offset: int,
    like: Any,
    shape: tuple[int, ...],
) -> ndarray:
    """Cotangents added up in a storage, then read where the input's elements lie (shared out where several lie there)."""
    strides, offset = like

    def places(size: Any, stride: Any, start: int) -> ndarray:
        where = np.full((), start, np.int64)
        for n, s in zip(size, stride, strict=True):
            where = where[..., None] + np.arange(n) * s
        return where

    own, read = places(shape, strides, offset), places(size, stride, storage_offset)
    storage = np.zeros(max(own.max(initial=0), read.max(initial=0)) + 1, grad.dtype)
    np.add.at(storage, read.reshape(-1), np.reshape(grad, -1))
    made = storage[own]
    if 0 in strides:
        made = made / np.bincount(own.reshape(-1))[own].astype(grad.dtype)
    return made


_as_strided = Primitive(
    "as_strided",
    _strided,
    {
        "self": lambda xp, g, self_shape, size, stride, storage_offset, like: xp.call(
            _as_strided_back,
            g,
            size=size,
            stride=stride,
            storage_offset=storage_offset,
            like=like,
            shape=self_shape,
        )
    },
    jvp="linear",
    explain="the memory seen through other strides; gradients add up where elements are seen twice",
)
_as_strided_back: Primitive = Primitive(
    "as_strided_backward",
    _strided_back,
    {
        "grad": lambda xp, g, size, stride, storage_offset, like: xp.call(
            _as_strided, g, size=size, stride=stride, storage_offset=storage_offset, like=like
        )
    },
    jvp="linear",
)


def _check_strided(array: ndarray, size: Any, stride: Any, storage_offset: int | None) -> dict[str, Any]:
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    for n in stride:
        if n < 0:
            raise RuntimeError(
                f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}"
            )
    offset = _offset(array)
    start = offset if storage_offset is None else storage_offset
    if start < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {start}")
    last = start + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else -1
    have = root_of(array).nbytes // array.itemsize
    if last >= have:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start}, and itemsize {array.itemsize} "
            f"requiring a storage size of {(last + 1) * array.itemsize} are out of bounds for storage of size {have * array.itemsize}"
        )
    like = (tuple([s // array.itemsize for s in array.strides]), offset)
    return {"size": size, "stride": stride, "storage_offset": start, "like": like}


def as_strided(input: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """out[i] = storage[storage_offset + ∑ iₖ·stride[k]]. A view."""
    array = check_tensor(input, "as_strided").memory()
    params = _check_strided(array, size, stride, storage_offset)
    return make_view(_as_strided, input, _strided(array, **params), params)


def _strided_scatter(self: ndarray, src: ndarray, *, params: dict[str, Any]) -> ndarray:
    """A copy of the whole storage, seen as `self` is, with `src` where the strides look."""
    self = np.asarray(self)
    item = self.itemsize
    like, size, stride, start = (params[n] for n in ("like", "size", "stride", "storage_offset"))
    strides = tuple([s * item for s in like[0]])
    if self.strides == strides and overlaps(self):
        made = whole = np.array(self, order="C")
    else:
        length = root_of(self).nbytes // item
        if self.strides == strides and _offset(self) == like[1] and length >= _room(size, stride, start):
            whole = strided(self, (length,), (item,), 0).copy()
        else:
            whole = root_of(_placed(self, like, size, stride, start))
        made = strided(whole, self.shape, strides, like[1] * item)
    strided(whole, size, tuple([s * item for s in stride]), start * item)[...] = src
    return made


def _without_strided(xp: Any, g: Any, params: dict[str, Any]) -> Any:
    zeros = np.zeros(params["size"], g._array.dtype if isinstance(g, Variable) else g.dtype)
    return xp.call(_as_strided_scatter, g, xp.constant(zeros), params=params)


_as_strided_scatter: Primitive = Primitive(
    "as_strided_scatter",
    _strided_scatter,
    {"self": _without_strided, "src": lambda xp, g, params: xp.call(_as_strided, g, **params)},
    jvp="linear",
    explain="a copy with the elements that some strides see replaced: their gradient goes to what replaced them",
)


def as_strided_scatter(
    input: Any, src: Any, size: Any, stride: Any, storage_offset: int | None = None
) -> Any:
    """A copy of `input` (and of all its storage) with `src` where `as_strided` would look."""
    params = _check_strided(check_tensor(input, "as_strided_scatter").memory(), size, stride, storage_offset)
    if src._array.shape != params["size"]:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src._array.shape)}, slice size = {list(size)}"
        )
    return _as_strided_scatter(input, convert(src, input._array.dtype), params=params)


# ---- another shape, in place ---------------------------------------------------------------------------------------------
def _twin(primitive: Primitive, node: str) -> Primitive:
    """The primitive under the name that PyTorch gives the node of its in-place form."""
    formulas: Any = dict(zip(primitive.inputs, primitive.formulas, strict=True))
    return Primitive(
        primitive.name, primitive.forward, formulas, node=node, jvp=primitive.jvp, explain=primitive.explain
    )


_TWINS = {
    _views._transpose: _twin(_views._transpose, "TransposeBackward1"),
    _views._squeeze_all: _twin(_views._squeeze_all, "SqueezeBackward3"),
    _views._squeeze_dim: _twin(_views._squeeze_dim, "SqueezeBackward4"),
    _views._squeeze_dims: _twin(_views._squeeze_dims, "SqueezeBackward5"),
    _views._unsqueeze: _twin(_views._unsqueeze, "UnsqueezeBackward1"),
    _views._t: _twin(_views._t, "TBackward1"),
    _as_strided: _twin(_as_strided, "AsStridedBackward1"),
}


def _restructure(name: str, op: Callable[..., Any]) -> Callable[..., Any]:
    """The in-place form of a view: the tensor itself takes the other shape, and its history goes through the view.

    A tensor that is no view becomes the base of its own shape anew: views taken before keep the history they have.
    """

    def op_(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_write(self, shared=True)
        made = op(self, *args, **kwargs)
        version = self.version()
        if made._view is not None:
            primitive, _ = made._view.steps[-1]
            if made._edge is not None:
                twin = _TWINS[primitive]
                node = twin.node()
                old = made._edge[0]
                for slot in ("edges", "seq", "metas", "extras", "versions", "saved", "code", "lasti"):
                    setattr(node, slot, getattr(old, slot))
                node.primitive = twin
                made._edge = (node, 0)
        self._rebind(made._array)
        self._edge = made._edge
        if self._view is not None and made._view is not None:
            self._view = made._view
        version.n += 1
        return self

    op_.__name__ = op_.__qualname__ = name
    op_.__doc__ = f"In-place form of `{name[:-1]}`: this tensor itself takes the other shape."
    return op_


transpose_ = _restructure("transpose_", shape.transpose)
squeeze_ = _restructure("squeeze_", shape.squeeze)
unsqueeze_ = _restructure("unsqueeze_", shape.unsqueeze)
t_ = _restructure("t_", shape.t)
as_strided_ = _restructure("as_strided_", as_strided)
