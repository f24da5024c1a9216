"""Gather, scatter and masks: reading and writing along a dimension by tensors of indices.

Everything here works on the flat memory of a tensor in C order: an index tensor along `dim` becomes the flat positions
it names, and NumPy reads, writes or accumulates there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.modes import holds
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, dtype_of, within, wrap_dim
from clew.ops._builders import broadcast_error, convert
from clew.ops._views import embed
from clew.ops.getitem import add_rows, as_number
from clew.ops.shape import flatten

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_select", "scatter", "scatter_add", "take_along_dim",
]  # fmt: skip


# ---- positions -----------------------------------------------------------------------------------------------------------
def _flat(index: ndarray, shape: tuple[int, ...], dim: int) -> ndarray:
    """Where out[i₀, …, index[i], …] lies in the flat memory of a tensor of `shape`."""
    if not shape:
        return index.reshape(-1)
    flat: Any = 0
    stride = 1
    for d in range(len(shape) - 1, -1, -1):
        if d == dim:
            flat = flat + (index * stride if stride != 1 else index)
        else:
            along = (
                np.arange(0, index.shape[d] * stride, stride)
                if stride
                else np.zeros(index.shape[d], np.int64)
            )
            flat = flat + along.reshape((-1,) + (1,) * (len(shape) - 1 - d))
        stride *= shape[d]
    return np.broadcast_to(flat, index.shape).reshape(-1) if flat.shape != index.shape else flat.reshape(-1)


def _corner(src: Any, index: ndarray) -> Any:
    """The part of `src` that a (possibly smaller) index tensor speaks of, flat."""
    if src.shape != index.shape:
        src = (
            src[tuple([slice(n) for n in index.shape])]
            if index.ndim == src.ndim
            else src.reshape(index.shape)
        )
    return np.ascontiguousarray(src).reshape(-1)


def _index_of(function: str, index: Any) -> Any:
    kind = check_tensor(index, function, "index", 3)._array.dtype
    if kind == np.int64:
        return index
    if kind == np.int32 or not index._array.size:
        return wrap(index._array.astype(np.int64))
    raise RuntimeError(f"{function}(): Expected dtype int32/int64 for index")


def _in_bounds(index: ndarray, n: int, dim: int) -> None:
    """RuntimeError for an index that names no entry."""
    if not holds(within, index, 0, n):
        bad = index[(index < 0) | (index >= n)].reshape(-1)[0]
        raise RuntimeError(f"index {bad} is out of bounds for dimension {dim} with size {n}")


# ---- gather and scatter ----------------------------------------------------------------------------------------------------
def _gather_array(self: ndarray, index: ndarray, *, dim: int) -> ndarray:
    if not index.size:
        return np.empty(index.shape, self.dtype)
    if not self.ndim:
        return np.broadcast_to(self, index.shape).copy()
    return self.reshape(-1).take(_flat(index, self.shape, dim)).reshape(index.shape)


def _gather_back(grad: Any, index: ndarray, *, dim: int, shape: tuple[int, ...]) -> ndarray:
    made = np.zeros(shape, grad.dtype)
    if not index.size:
        return made
    np.add.at(made.reshape(-1), _flat(index, shape, dim), np.ascontiguousarray(grad).reshape(-1))
    return made


_gather = Primitive(
    "gather",
    _gather_array,
    {"self": lambda xp, g, self_shape, index, dim: xp.call(gather_back, g, index, dim=dim, shape=self_shape)},
    jvp="linear",
    explain="entries picked along a dimension; their gradients go back there and add up",
)
gather_back: Primitive = Primitive(
    "gather_backward",
    _gather_back,
    {"grad": lambda xp, g, index, dim: xp.call(_gather, g, index, dim=dim)},
    jvp="linear",
)


def _scatter_array(self: ndarray, index: ndarray, src: Any, *, dim: int) -> ndarray:
    made = np.array(self, order="C")
    if not index.size:
        return made
    if not isinstance(src, ndarray) or not src.ndim:
        made.reshape(-1)[_flat(index, self.shape, dim)] = src
    else:
        made.reshape(-1)[_flat(index, self.shape, dim)] = _corner(src, index)
    return made


def _gather_padded(xp: Any, g: Any, index: Any, dim: int, shape: tuple[int, ...]) -> Any:
    """The cotangent of `src`: gathered where the index speaks of it, zeros beyond."""
    if 0 in index.shape:
        return xp.zeros(tuple(shape), dtype_of(g))
    picked = xp.call(_gather, g, index, dim=dim)
    if picked.shape == tuple(shape):
        return picked
    if len(shape) != len(index.shape):
        return picked.reshape(shape)
    return xp.call(embed, picked, shape=tuple(shape), view=_corner_of, params={"size": tuple(index.shape)})


_corner_of: Primitive = Primitive(
    "corner",
    lambda self, *, size: self[tuple([slice(n) for n in size])],
    {
        "self": lambda xp, g, self_shape, size: xp.call(
            embed, g, shape=self_shape, view=_corner_of, params={"size": size}
        )
    },
)


def _cleared(xp: Any, g: Any, index: Any, dim: int) -> Any:
    return xp.call(_scatter_value, g, index, dim=dim, value=0)


_scatter = Primitive(
    "scatter",
    _scatter_array,
    {
        "self": _cleared,
        "src": lambda xp, g, index, dim, src_shape: _gather_padded(xp, g, index, dim, src_shape),
    },
    jvp="linear",
    explain="entries overwritten along a dimension; their gradients go to what was written",
)
_scatter_value = Primitive(
    "scatter_value",
    lambda self, index, *, dim, value: _scatter_array(self, index, value, dim=dim),
    {"self": _cleared},
    node="ScatterBackward1",
    jvp="linear",
    explain="entries overwritten with a number; they get no gradient",
)


def _scatter_add_array(self: ndarray, index: ndarray, src: Any, *, dim: int) -> ndarray:
    made = np.array(self, order="C")
    if index.size:
        np.add.at(made.reshape(-1), _flat(index, self.shape, dim), _corner(src, index))
    return made


_scatter_add = Primitive(
    "scatter_add",
    _scatter_add_array,
    {
        "self": lambda xp, g: g,
        "src": lambda xp, g, index, dim, src_shape: _gather_padded(xp, g, index, dim, src_shape),
    },
    jvp="linear",
    explain="numbers added to entries along a dimension; each gets the gradient of the entry it was added to",
)


def _check_gather(function: str, self: Any, index: Any, dim: int, src: Any = None) -> int:
    a, i = self._array, index._array
    if not i.size:
        return wrap_dim(dim, a.ndim)
    if max(a.ndim, 1) != max(i.ndim, 1):
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as input tensor"
            if function == "gather"
            else "Index tensor must have the same number of dimensions as self tensor"
        )
    dim = wrap_dim(dim, a.ndim)
    if i.size:
        for d in range(a.ndim):
            if d != dim and i.shape[d] > a.shape[d]:
                if function == "gather":
                    raise RuntimeError(
                        f"Size does not match at dimension {d} expected index {list(i.shape)} to be no larger than self "
                        f"{list(a.shape)} apart from dimension {dim}"
                    )
                _refuse_scatter(i, a, src, dim)
        if src is not None:
            if max(src._array.ndim, 1) != max(i.ndim, 1):
                raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
            if any(n > m for n, m in zip(i.shape, src._array.shape, strict=False)):
                _refuse_scatter(i, a, src, dim)
    _in_bounds(i, a.shape[dim] if a.ndim else 1, dim)
    return dim


def _refuse_scatter(index: ndarray, a: ndarray, src: Any, dim: int) -> None:
    rest = f" and to be no larger size than src {list(src._array.shape)}" if src is not None else ""
    raise RuntimeError(
        f"Expected index {list(index.shape)} to be no larger than self {list(a.shape)} apart from dimension {dim}{rest}"
    )


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False, out: Any = None) -> Any:
    """out[i₀, …, k, …] = input[i₀, …, index[i₀, …, k, …], …] along `dim`; the shape is that of `index`."""
    index = _index_of("gather", index)
    result = _gather(input, index, dim=_check_gather("gather", input, index, dim))
    return result if out is None else store_out(out, result, input, index, exact=True)


def _same(function: str, self: Any, src: Any) -> None:
    if self._array.dtype != src._array.dtype:
        raise RuntimeError(f"{function}(): Expected self.dtype to be equal to src.dtype")


def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None, out: Any = None
) -> Any:  # fmt: skip
    """out = input, but out[…, index[i], …] = src[i] (or one number) along `dim`; `reduce`: "add" or "multiply" instead."""
    index = _index_of("scatter", index)
    src = value if src is None else src
    number = not isinstance(src, Variable)
    if not number:
        _same("scatter", input, src)
    dim = _check_gather("scatter", input, index, dim, None if number else src)
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        if number:
            src = wrap(np.full(index._array.shape, src, input._array.dtype))
        from clew.ops.index_reduce import scatter_reduce

        result = scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    elif number:
        result = _scatter_value(input, index, dim=dim, value=as_number(src, input._array.dtype))
    else:
        result = _scatter(input, index, src, dim=dim)
    return result if out is None else store_out(out, result, exact=True)


def scatter_add(input: Any, dim: int, index: Any, src: Any, *, out: Any = None) -> Any:
    """out = input, and out[…, index[i], …] += src[i] along `dim`."""
    index = _index_of("scatter", index)
    _same("scatter", input, src)
    result = _scatter_add(input, index, src, dim=_check_gather("scatter_add", input, index, dim, src))
    return result if out is None else store_out(out, result, exact=True)


def take_along_dim(input: Any, indices: Any, dim: int | None = None, *, out: Any = None) -> Any:
    """`gather` with `input` and `indices` broadcast against each other; without `dim`, on the flat tensors."""
    from clew.ops.shape import expand

    if not isinstance(indices, Variable) or indices._array.dtype != np.int64:
        raise RuntimeError(
            "torch.take_along_dim(): dtype of indices should be Long but got "
            f"{legacy_name(indices._array.dtype) if isinstance(indices, Variable) else type(indices).__name__}"
        )
    if dim is None:
        return gather(flatten(input), 0, flatten(indices), out=out)
    a, i = input._array.shape, indices._array.shape
    if len(a) != len(i):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{len(a)} dimensions for input, and {len(i)} dimensions for indices"
        )
    dim = wrap_dim(dim, len(a))
    try:
        whole = np.broadcast_shapes(a[:dim] + (1,) + a[dim + 1 :], i[:dim] + (1,) + i[dim + 1 :])
    except ValueError:
        raise broadcast_error(a[:dim] + (1,) + a[dim + 1 :], i[:dim] + (1,) + i[dim + 1 :]) from None
    wide = expand(input, *whole[:dim], a[dim], *whole[dim + 1 :])
    index = wrap(np.broadcast_to(indices._array, (*whole[:dim], i[dim], *whole[dim + 1 :])))
    n = a[dim]
    if index._array.size and n:
        index = wrap(index._array % n)  # as PyTorch, which wraps whatever it is given here
    return gather(wide, dim, index, out=out)


# ---- whole slices along a dimension ------------------------------------------------------------------------------------------
def _along(dim: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * dim, index)


def _index_select_back(grad: Any, index: ndarray, *, dim: int, shape: tuple[int, ...]) -> ndarray:
    if not shape:
        return grad.sum(dtype=grad.dtype)
    moved = np.zeros((shape[dim], *shape[:dim], *shape[dim + 1 :]), grad.dtype)
    rows = (
        np.moveaxis(grad, dim, 0).reshape(index.size, -1)
        if grad.size
        else np.zeros((index.size, 0), grad.dtype)
    )
    if moved.size and rows.size:
        add_rows(moved.reshape(shape[dim], -1), index.reshape(-1), rows)
    return moved if not dim else np.moveaxis(moved, 0, dim)


_index_select = Primitive(
    "index_select",
    lambda self, index, *, dim: (
        self.take(index.reshape(-1), dim) if self.ndim else self.reshape(1).take(index).reshape(())
    ),
    {
        "self": lambda xp, g, self_shape, index, dim: xp.call(
            index_select_back, g, index, dim=dim, shape=self_shape
        )
    },
    jvp="linear",
    explain="slices picked along a dimension; their gradients go back there and add up",
)
index_select_back: Primitive = Primitive(
    "index_select_backward",
    _index_select_back,
    {"grad": lambda xp, g, index, dim: xp.call(_index_select, g, index, dim=dim)},
    jvp="linear",
)


def index_select(input: Any, dim: int, index: Any, *, out: Any = None) -> Any:
    """The slices `index` (a vector) along `dim`. A copy."""
    i = check_tensor(index, "index_select", "index", 3)._array
    dim = wrap_dim(dim, input._array.ndim)
    if i.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if i.dtype != np.int64 and i.dtype != np.int32:
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    n = input._array.shape[dim] if input._array.ndim else 1
    if not holds(within, i, 0, n):
        raise IndexError("index out of range in self")
    if out is not None and out._array.dtype != input._array.dtype:
        raise RuntimeError("index_select(): self and result must have the same scalar type")
    result = _index_select(input, index, dim=dim)
    return result if out is None else store_out(out, result, input, index)


def _index_add_array(self: ndarray, index: ndarray, source: ndarray, *, dim: int, alpha: Any) -> ndarray:
    made = np.array(self, order="C")
    source = source if alpha == 1 else source * made.dtype.type(alpha)
    if not made.ndim:
        return made + source.sum(dtype=made.dtype)
    if not made.size or not source.size:
        return made
    index, n = index.reshape(-1), made.shape[dim]
    if not dim:
        add_rows(made.reshape(n, -1), index, source.reshape(index.size, -1))
        return made
    added = _index_select_back(source, index, dim=dim, shape=made.shape)
    return made + added


_index_add = Primitive(
    "index_add",
    _index_add_array,
    {
        "self": lambda xp, g: g,
        "source": lambda xp, g, index, dim, alpha: xp.call(_index_select, g, index, dim=dim) * alpha,
    },
    jvp="linear",
    explain="slices added to slices along a dimension",
)


def _index_copy_array(self: ndarray, index: ndarray, source: ndarray, *, dim: int) -> ndarray:
    made = np.array(self, order="C")
    if made.ndim:
        made[_along(dim, index.reshape(-1))] = source
    else:
        made[...] = source.reshape(())
    return made


_index_copy = Primitive(
    "index_copy",
    _index_copy_array,
    {
        "self": lambda xp, g, index, dim: xp.call(_index_fill, g, index, dim=dim, value=0),
        "source": lambda xp, g, index, dim: xp.call(_index_select, g, index, dim=dim),
    },
    jvp="linear",
    explain="slices overwritten along a dimension; their gradients go to what was written",
)


def _index_fill_array(self: ndarray, index: ndarray, value: Any = None, *, dim: int) -> ndarray:
    made = np.array(self, order="C")
    made[_along(dim, index.reshape(-1)) if made.ndim else ...] = value
    return made


_index_fill: Primitive = Primitive(
    "index_fill",
    lambda self, index, *, dim, value: _index_fill_array(self, index, value, dim=dim),
    {"self": lambda xp, g, index, dim: xp.call(_index_fill, g, index, dim=dim, value=0)},
    jvp="linear",
    explain="slices overwritten with a number; they get no gradient",
)
_index_fill_tensor = Primitive(
    "index_fill_tensor",
    lambda self, index, value, *, dim: (
        _index_fill_array(self, index, value, dim=dim),
        np.unique(index % self.shape[dim] if self.ndim else index * 0),
    ),
    {
        "self": lambda xp, g, index, dim: xp.call(_index_fill, g, index, dim=dim, value=0),
        "value": lambda xp, g, filled, dim: xp.sum(xp.call(_index_select, g, filled, dim=dim)),
    },
    aux={"filled": None},
    node="IndexFillBackward1",
    jvp="linear",
    explain="slices overwritten with a number, to which their gradients go",
)


_ADDING = ("index_add", "index_reduce")


def _check_index_write(function: str, input: Any, dim: int, index: Any, source: Any) -> int:
    a, i = input._array, index._array
    if i.dtype != np.int64 and i.dtype != np.int32:
        if function == "index_fill":
            raise IndexError("index_fill_(): Expected dtype int64 for index.")
        want = (
            "dtype int32/int64 for index but got:"
            if function in _ADDING
            else "a long tensor for index, but got"
        )
        raise RuntimeError(f"{function}_(): Expected {want} {legacy_name(i.dtype)}")
    if i.ndim > 1:
        if function == "index_fill":
            raise RuntimeError("Index has to be a vector/scalar")
        if function == "index_copy":
            raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {i.ndim})")
        raise IndexError(
            f"{function}_(): Index is supposed to be a vector, but got dim: {i.ndim} with type: {legacy_name(i.dtype)} and "
            f"size: {list(i.shape)}"
        )
    dim = wrap_dim(dim, a.ndim)
    if source is not None:
        s = source._array
        if s.dtype != a.dtype:
            if function in _ADDING:
                raise RuntimeError(
                    f"{function}_(): self ({legacy_name(a.dtype)}) and source ({legacy_name(s.dtype)}) must have the same scalar type"
                )
            raise RuntimeError(
                f"index_copy_(): self and source expected to have the same dtype, but got (self) {legacy_name(a.dtype)} and (source) {legacy_name(s.dtype)}"
            )
        n = s.shape[dim] if s.ndim else 1
        if n != i.size:
            raise (RuntimeError if function in _ADDING else IndexError)(
                f"{function}_(): Number of indices ({i.size}) should be equal to source.size(dim): ({n}), for dim: {dim}"
                if function in _ADDING
                else f"index_copy_(): Number of indices ({i.size}) should be equal to source.size(dim) ({n})"
            )
        rest = a.shape[:dim] + a.shape[dim + 1 :]
        other = s.shape[:dim] + s.shape[dim + 1 :]
        if rest != other and a.ndim and s.ndim:
            if function in _ADDING:
                raise RuntimeError(
                    f"source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = {list(a.shape)} source.shape = {list(s.shape)}"
                )
            raise RuntimeError(
                "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
                f"{' '.join(map(str, rest))} at dimension {dim} and source slice shape: {' '.join(map(str, other))} at dimension {dim}."
            )
    n = a.shape[dim] if a.ndim else 1
    if i.size and (i.max() >= n or i.min() < (-n if function == "index_fill" else 0)):
        raise _out_of_range(function, i, n)
    return dim


def _out_of_range(function: str, index: ndarray, n: int) -> Exception:
    if function in _ADDING:
        bad = index[(index < 0) | (index >= n)].reshape(-1)[0]
        return RuntimeError(f"index {bad} is out of bounds for dimension 0 with size {n}")
    bad = index[(index < 0) | (index >= n)].reshape(-1)[0]
    if function == "index_fill":
        return IndexError(f"index {bad} is out of bounds for dimension 0 with size {n}")
    return IndexError(f"index_copy_(): index {bad} is out of bounds for dimension 0 with size {n}")


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """out = input, and slice index[i] along `dim` += alpha·(slice i of `source`)."""
    dim = _check_index_write("index_add", input, dim, index, source)
    result = _index_add(input, index, source, dim=dim, alpha=alpha)
    return result if out is None else store_out(out, result, exact=True)


def index_copy(input: Any, dim: int, index: Any, source: Any, *, out: Any = None) -> Any:
    """out = input, but slice index[i] along `dim` = slice i of `source`."""
    dim = _check_index_write("index_copy", input, dim, index, source)
    result = _index_copy(input, index, source, dim=dim)
    return result if out is None else store_out(out, result, exact=True)


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """out = input, but the slices `index` along `dim` hold `value`, a number or a 0-d tensor."""
    dim = _check_index_write("index_fill", input, dim, index, None)
    if isinstance(value, Variable):
        if value._array.ndim:
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._array.ndim} dimension(s)."
            )
        return _index_fill_tensor(input, index, convert(value, input._array.dtype), dim=dim)
    return _index_fill(input, index, dim=dim, value=as_number(value, input._array.dtype))
