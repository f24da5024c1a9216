"""Shapes and views: the same memory seen in another way.

Every function here that says *view* shares the memory of its input; the rest copies. A view's cotangent goes back the
way it came: reshaped, permuted, or put into zeros at the place that was looked at.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import make_view
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import dtype as Dtype
from clew.ops._arguments import check_tensor, sizes, wrap_dim, wrap_dims
from clew.ops._views import (
    _alias,
    _broadcast,
    _diagonal,
    _diagonal_array,
    _expand,
    _permute,
    _reshape_alias,
    _select,
    _select_array,
    _slice,
    _slice_array,
    _squeeze_all,
    _squeeze_dim,
    _squeeze_dims,
    _t,
    _transpose,
    _unfold,
    _unfold_array,
    _unsafe_view,
    _unsqueeze,
    _view,
)

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "clone",
    "diagonal", "flatten", "moveaxis", "movedim", "narrow", "numel", "permute", "ravel",
    "reshape", "select", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten",
    "unsqueeze",
]  # fmt: skip

NOT_VIEWABLE = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
    "contiguous subspaces). Use .reshape(...) instead."
)


# ---- views: one input, one output --------------------------------------------------------------------------------------
def _infer(size: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The sizes with -1 worked out; RuntimeError where `count` elements do not fill them."""
    if size.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    for i, n in enumerate(size):
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(size)}")
    known = math.prod([n for n in size if n != -1])
    if -1 in size:
        if not known and not count:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(size)} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        if known and not count % known:
            return tuple([count // known if n == -1 else n for n in size])
    elif known == count:
        return size
    raise RuntimeError(f"shape '{list(size)}' is invalid for input of size {count}")


def _reshaped(array: ndarray, size: tuple[int, ...]) -> ndarray:
    try:
        if min(size, default=0) >= -1:
            return array.reshape(size)
    except (ValueError, TypeError):
        pass
    return array.reshape(_infer(size, array.size))


def _shares(made: ndarray, array: ndarray) -> bool:
    """Whether NumPy could reshape without a copy."""
    return array.flags.c_contiguous or not made.size or np.may_share_memory(made, array)


def _numbers(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes of `f(2, 3)` and `f((2, 3))`: with a short way for plain integers."""
    for n in size:
        if n.__class__ is not int:
            return sizes(size)
    return size


def view(input: Any, *shape: Any, size: Any = None, dtype: Any = None) -> Any:
    """The same memory in another shape (one size may be -1), or, given a dtype, its bytes read as another type.

    RuntimeError where that takes a copy: a view exists if every new dimension lies inside dimensions that follow each
    other in memory, stride[i] = stride[i+1]·size[i+1].
    """
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], Dtype)):
        return _view_dtype(input, dtype or shape[0])
    size = _numbers(shape if size is None else (size,))
    array = input.memory()
    made = _reshaped(array, size)
    if not array.flags.c_contiguous and not _shares(made, array):
        raise RuntimeError(NOT_VIEWABLE)
    return make_view(_view, input, made, {"size": made.shape})


def _view_dtype(input: Any, dtype: Any) -> Any:
    array, want = input.memory(), dtype.np
    have = array.dtype
    if want.itemsize != have.itemsize:
        if not array.ndim:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {_name(have)} as {_name(want)} (different element sizes)"
            )
        if array.shape[-1] * have.itemsize % want.itemsize:
            ratio = want.itemsize // have.itemsize
            raise RuntimeError(
                f"self.size(-1) must be divisible by {ratio} to view {_name(have)} as {_name(want)} (different element "
                f"sizes), but got {array.shape[-1]}"
            )
        if array.strides[-1] != have.itemsize and array.shape[-1] > 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {_name(have)} as {_name(want)} (different element sizes), but got "
                f"{array.strides[-1] // have.itemsize}"
            )
    result = wrap(array.view(want))
    result._counter = input.version()
    return result


def _name(array_dtype: Any) -> str:
    from clew.dtypes import legacy_name

    return legacy_name(array_dtype)


def view_as(input: Any, other: Any) -> Any:
    """`input.view(other.shape)`."""
    return view(input, *other._array.shape)


def reshape(input: Any, *size: Any, shape: Any = None) -> Any:
    """The same numbers in another shape: a view where one exists, else a copy."""
    size = _numbers(size if shape is None else (shape,))
    array = input.memory()
    made = _reshaped(array, size)
    if array.flags.c_contiguous:
        return make_view(_view, input, made, {"size": made.shape})
    if _shares(made, array):
        return make_view(_reshape_alias, input, made, {"size": made.shape})
    return _unsafe_view(clone(input, memory_format="contiguous"), size=made.shape)


def reshape_as(input: Any, other: Any) -> Any:
    """`input.reshape(other.shape)`."""
    return reshape(input, *other._array.shape)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions `start_dim` to `end_dim` merged into one: a view where possible, else a copy."""
    shape = check_tensor(input, "flatten")._array.shape
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, 1)
    if start == end:
        return input
    return reshape(input, *shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One dimension split into several: `sizes`, one of which may be -1. A view."""
    shape = input._array.shape
    dim = wrap_dim(dim, len(shape))
    sizes = tuple(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = math.prod([n for n in sizes if n != -1])
    count = shape[dim]
    if -1 in sizes and sizes.count(-1) == 1 and known and not count % known:
        sizes = tuple([count // known if n == -1 else n for n in sizes])
    elif -1 in sizes or known != count:
        if sizes.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({count}) in the input tensor"
        )
    return view(input, *shape[:dim], *sizes, *shape[dim + 1 :])


def ravel(input: Any) -> Any:
    """All dimensions merged into one: a view where possible, else a copy."""
    return view(contiguous(input), -1)


def squeeze(input: Any, dim: Any = None) -> Any:
    """Dimensions of size 1 (all of them, or those named) dropped. A view."""
    array = input.memory()
    if dim is None:
        made = array.reshape(tuple([n for n in array.shape if n != 1]))
        return make_view(_squeeze_all, input, made, {"size": made.shape})
    if isinstance(dim, (tuple, list)):
        dims = wrap_dims(dim, array.ndim, empty_is_all=False)
        return make_view(_squeeze_dims, input, _squeeze_dims.forward(array, dim=dims), {"dim": dims})
    dim = wrap_dim(dim, array.ndim)
    return make_view(_squeeze_dim, input, _squeeze_dim.forward(array, dim=dim), {"dim": dim})


def unsqueeze(input: Any, dim: int) -> Any:
    """A dimension of size 1 put in at `dim`. A view."""
    array = input.memory()
    shape = array.shape
    dim = wrap_dim(dim, len(shape) + 1)
    return make_view(_unsqueeze, input, array.reshape((*shape[:dim], 1, *shape[dim:])), {"dim": dim})


def permute(input: Any, *order: Any, dims: Any = None) -> Any:
    """out[i_dims] = input[i]: the dimensions in the order `dims`. A view."""
    array = input.memory()
    dims = _numbers(order if dims is None else (dims,))
    if len(dims) != array.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {array.ndim} is not equal to len(dims) = {len(dims)}"
        )
    wrapped = tuple([wrap_dim(d, array.ndim) for d in dims])
    if len({*wrapped}) != len(wrapped):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return make_view(_permute, input, array.transpose(wrapped), {"dims": wrapped})


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions swapped. A view."""
    array = input.memory()
    ndim = array.ndim
    dim0, dim1 = wrap_dim(dim0, ndim), wrap_dim(dim1, ndim)
    made = array.swapaxes(dim0, dim1) if ndim else array[...]
    return make_view(_transpose, input, made, {"dim0": dim0, "dim1": dim1})


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Any:
    """`transpose` under another name."""
    return transpose(input, dim0, dim1)


def t(input: Any) -> Any:
    """A matrix transposed; vectors and numbers as they are. A view."""
    array = check_tensor(input, "t").memory()
    if array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {array.ndim}D")
    return make_view(_t, input, array.T, {})


def numpy_T(input: Any) -> Any:
    """`x.T`: the dimensions in reverse order. A view."""
    array = input.memory()
    if array.ndim != 2 and array.ndim:
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw "
            "an error in a future release. Consider `x.mT` to transpose batches of matrices or `x.permute(*torch.arange(x.ndim "
            "- 1, -1, -1))` to reverse the dimensions of a tensor.",
            UserWarning,
            stacklevel=2,
        )
    dims = tuple(range(array.ndim))[::-1]
    return make_view(_permute, input, array.T, {"dims": dims})


def matrix_T(input: Any) -> Any:
    """`x.mT`: the last two dimensions swapped. A view."""
    ndim = input._array.ndim
    if ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {ndim}-D tensor."
        )
    return transpose(input, -2, -1)


def matrix_H(input: Any) -> Any:
    """`x.mH`: the last two dimensions swapped, complex numbers conjugated."""
    ndim = input._array.ndim
    if ndim < 2:
        raise RuntimeError(
            f"tensor.mH is only supported on matrices or batches of matrices. Got {ndim}-D tensor."
        )
    return adjoint(input)


def hermitian(input: Any) -> Any:
    """`x.H`: a matrix transposed and conjugated."""
    ndim = input._array.ndim
    if ndim == 0:
        return _conjugated(input)
    if ndim != 2:
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor.{' For batches of matrices, consider using tensor.mH' if ndim > 2 else ''}"
        )
    return adjoint(input)


def adjoint(input: Any) -> Any:
    """The last two dimensions swapped, complex numbers conjugated."""
    ndim = input._array.ndim
    if ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {ndim}-D tensor."
        )
    return _conjugated(transpose(input, -2, -1))


def _conjugated(input: Any) -> Any:
    return input.conj() if input._array.dtype.kind == "c" else input


def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Dimensions `source` moved to the places `destination`, the others in their order. A view."""
    ndim = input._array.ndim
    pair = [(s,) if isinstance(s, int) else tuple(s) for s in (source, destination)]
    if len(pair[0]) != len(pair[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(pair[0])} dims) should contain the same number of "
            f"dims as destination ({list(pair[1])} dims)"
        )
    froms, tos = ([wrap_dim(d, ndim) for d in dims] for dims in pair)
    for name, dims, given in (("source", froms, pair[0]), ("destination", tos, pair[1])):
        if len({*dims}) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
    if not ndim:
        return make_view(_alias, input, input.memory()[...], {})
    order = [d for d in range(ndim) if d not in froms]
    for to, from_ in sorted(zip(tos, froms, strict=True)):
        order.insert(to, from_)
    return permute(input, *order)


def moveaxis(input: Any, source: Any, destination: Any) -> Any:
    """`movedim` under NumPy's name."""
    return movedim(input, source, destination)


def expand(input: Any, *sizes: Any, size: Any = None, implicit: bool = False) -> Any:
    """Dimensions of size 1 repeated to `size` (-1: as it is), new ones in front, without a copy. A view."""
    array = input.memory()
    size = _numbers(sizes if size is None else (size,))
    shape = array.shape
    if len(size) < len(shape):
        raise RuntimeError(
            f"expand({_type(array)}{{{list(shape)}}}, size={list(size)}): the number of sizes provided ({len(size)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    lead = len(size) - len(shape)
    want = list(size)
    for i in reversed(range(len(size))):
        n = size[i]
        have = shape[i - lead] if i >= lead else None
        if n == -1:
            if have is None:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
                )
            want[i] = have
        elif have is not None and have != 1 and have != n:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton dimension "
                f"{i}.  Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
    full = tuple(want)
    return make_view(_expand, input, _broadcast(array, full), {"size": full})


def _type(array: ndarray) -> str:
    from clew.dtypes import tensor_type_name

    return tensor_type_name(array.dtype)


def expand_as(input: Any, other: Any) -> Any:
    """`input.expand(other.shape)`."""
    return expand(input, *other._array.shape)


def broadcast_to(input: Any, size: Any) -> Any:
    """`input.expand(size)`."""
    return expand(input, *size)


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that tensors of these shapes broadcast to; RuntimeError where they do not."""
    from clew.size import Size

    tuples = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    result: list[int] = []
    for number, shape in enumerate(tuples):
        for n in shape:
            if n < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({n}): ({n})")
        result = [1] * (len(shape) - len(result)) + result
        for i in range(-len(shape), 0):
            if shape[i] != 1 and shape[i] != result[i]:
                if result[i] != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {shape[i]} at {i}! Mismatching argument at index "
                        f"{number} had {shapes[number]}; but expected shape should be broadcastable to {result}"
                    )
                result[i] = shape[i]
    return Size(result)


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """The tensors expanded to the shape they broadcast to; those that have it already come back themselves."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    from clew.ops._builders import broadcast_error

    shape: tuple[int, ...] = ()
    for tensor in tensors:
        try:
            shape = np.broadcast_shapes(shape, tensor._array.shape)
        except ValueError:
            raise broadcast_error(shape, tensor._array.shape) from None
    return tuple([tensor if tensor._array.shape == shape else expand(tensor, *shape) for tensor in tensors])


def select(input: Any, dim: int, index: int) -> Any:
    """Entry `index` along `dim`, which disappears. A view."""
    array = input.memory()
    if not array.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, array.ndim)
    n = array.shape[dim]
    index = index.__index__()
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(array.shape)} at dimension {dim}"
        )
    if index < 0:
        index += n
    return make_view(_select, input, _select_array(array, dim=dim, index=index), {"dim": dim, "index": index})


def slice_(input: Any, dim: int, start: int, end: int, step: int = 1) -> Any:
    """Entries `start` to `end` (not included) along `dim`, every `step`th. A view."""
    made = _slice_array(input.memory(), dim=dim, start=start, end=end, step=step)
    return make_view(_slice, input, made, {"dim": dim, "start": start, "end": end, "step": step})


def alias(input: Any) -> Any:
    """The same tensor under another name. A view."""
    return make_view(_alias, input, input.memory()[...], {})


def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """`length` entries along `dim` from `start` on. A view."""
    shape = check_tensor(input, "narrow")._array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if isinstance(start, Variable):
        if start._array.ndim or start._array.dtype.kind not in "iu":
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start._array.item()
    dim = wrap_dim(dim, len(shape))
    n = shape[dim]
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    if start < 0:
        start += n
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return slice_(input, dim, start, start + length)


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """out[…, i] = input[…, i, i + offset] over `dim1` and `dim2`. A view."""
    array = check_tensor(input, "diagonal").memory()
    d1, d2 = wrap_dim(dim1, array.ndim), wrap_dim(dim2, array.ndim)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    params = {"offset": offset, "dim1": d1, "dim2": d2}
    return make_view(_diagonal, input, _diagonal_array(array, **params), params)


def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """Windows of `size` along a dimension, every `step`: their contents are the new last dimension. A view."""
    array = input.memory()
    dimension = wrap_dim(dimension, array.ndim)
    n = array.shape[dimension] if array.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {dimension} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    params = {"dimension": dimension, "size": size, "step": step}
    return make_view(_unfold, input, _unfold_array(array, **params), params)


# ---- copies ------------------------------------------------------------------------------------------------------------
_clone = Primitive(
    "clone",
    lambda self, *, memory_format: self.copy(memory_format),
    {"self": lambda xp, g: g},
    jvp="linear",
    explain="a copy; the gradient passes through",
)


def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy with memory of its own; gradients pass through. The order of dimensions in memory stays, or is made C's."""
    return _clone(
        input,
        memory_format="C"
        if str(memory_format).endswith("contiguous") or str(memory_format) == "torch.contiguous_format"
        else "K",
    )


def contiguous(input: Any, memory_format: Any = None) -> Any:
    """The tensor itself if its elements lie in C order in memory, else a copy in which they do."""
    array = input._array
    if array.__class__ is not ndarray or array.flags.c_contiguous:
        return input
    return clone(input, memory_format="contiguous")


def numel(input: Any) -> int:
    """∏ sizes: the number of elements."""
    return check_tensor(input, "numel")._array.size


def _atleast(least: int) -> Any:
    def op(*tensors: Any) -> Any:
        if len(tensors) == 1:
            if isinstance(tensors[0], (list, tuple)):
                return tuple([op(tensor) for tensor in tensors[0]])
            x = tensors[0]
            ndim = x._array.ndim
            if ndim >= least:
                return x
            if not ndim:
                return reshape(x, *(1,) * least)
            if least == 2:
                return unsqueeze(x, 0)
            return unsqueeze(unsqueeze(x, 0), -1) if ndim == 1 else unsqueeze(x, -1)
        return tuple([op(tensor) for tensor in tensors])

    op.__name__ = op.__qualname__ = f"atleast_{least}d"
    op.__doc__ = (
        f"The tensors with at least {least} dimension{'s' if least > 1 else ''}, missing ones of size 1."
    )
    return op


atleast_1d, atleast_2d, atleast_3d = _atleast(1), _atleast(2), _atleast(3)
