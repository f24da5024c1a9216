"""Tensors put together, turned, repeated and cut to triangles: shapes that take a copy."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import result_dtype
from clew.core.variable import Variable, wrap
from clew.ops._arguments import check_tensor, sizes, wrap_dim, wrap_dims
from clew.ops._builders import convert
from clew.ops._views import _diagonal
from clew.ops.copies import diagonal_copy
from clew.ops.shape import expand, flatten, reshape, unsqueeze, view

__all__ = [
    "_chunk_cat", "block_diag", "cartesian_prod", "cat", "column_stack", "combinations", "concat", "concatenate", "diag", "diag_embed",
    "diagflat", "dstack", "flip", "fliplr", "flipud", "hstack", "meshgrid", "repeat_interleave", "roll", "rot90", "row_stack",
    "stack", "tile", "tril", "triu", "vstack",
]  # fmt: skip


# ---- joining -----------------------------------------------------------------------------------------------------------
def _cat_back(xp: Any, g: Any, needs: Any, lengths: tuple[int, ...], dim: int) -> list[Any]:
    """Each input's piece of the cotangent."""
    pieces, end = [], 0
    front = (slice(None),) * dim
    for need, n in zip(needs, lengths, strict=True):
        pieces.append(g[(*front, slice(end, end + n))] if need else None)
        end += n
    return pieces


_cat = Primitive(
    "cat",
    lambda tensors, *, dim, lengths: np.concatenate(tensors, dim),
    _cat_back,
    args=("tensors",),
    params=("dim", "lengths"),
    variadic=True,
    jvp="linear",
    explain="tensors put one behind the other; each takes its piece of the gradient",
)
_stack = Primitive(
    "stack",
    lambda tensors, *, dim: np.concatenate(
        [a.reshape((*a.shape[:dim], 1, *a.shape[dim:])) for a in tensors], dim
    ),
    lambda xp, g, needs, dim: [
        g[(*(slice(None),) * dim, i)] if need else None for i, need in enumerate(needs)
    ],
    args=("tensors",),
    params=("dim",),
    variadic=True,
    jvp="linear",
    explain="tensors stacked along a new dimension; each takes its slice of the gradient",
)


def _tensors(function: str, tensors: Any) -> list[Any]:
    """The list of tensors given to a joining function."""
    if isinstance(tensors, Variable):
        raise TypeError(f"{function}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    found = list(tensors)
    for i, tensor in enumerate(found):
        if not isinstance(tensor, Variable):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(tensor).__name__}")
    return found


def _promoted(tensors: list[Any]) -> list[Any]:
    first = tensors[0]._array.dtype
    if all(t._array.dtype is first for t in tensors):
        return tensors
    want = result_dtype(*tensors).np
    return [convert(t, want) for t in tensors]


def cat(tensors: Any, dim: int = 0, *, out: Any = None) -> Any:
    """The tensors one behind the other along `dim`; their other sizes must agree. Types are promoted."""
    given = _tensors("cat", tensors)
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, tensor in enumerate(given):
        if not tensor._array.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    given = _promoted(given)
    kept = [t for t in given if t._array.shape != (0,)] or given  # PyTorch skips legacy empty tensors
    shape = kept[0]._array.shape
    dim = wrap_dim(dim, len(shape))
    for i, tensor in enumerate(given):
        other = tensor._array.shape
        if other == shape or other == (0,):
            continue
        if len(other) != len(shape):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(shape)} and {len(other)}"
            )
        for d, (a, b) in enumerate(zip(shape, other, strict=True)):
            if a != b and d != dim:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {a} but got size {b} for tensor "
                    f"number {i} in the list."
                )
    result = _cat(*kept, dim=dim, lengths=tuple([t._array.shape[dim] for t in kept]))
    return result if out is None else store_out(out, result, *tensors)


def concat(tensors: Any, dim: int = 0, *, out: Any = None) -> Any:
    """`cat` under another name."""
    return cat(tensors, dim, out=out)


def concatenate(tensors: Any, dim: int = 0, *, axis: int | None = None, out: Any = None) -> Any:
    """`cat` under NumPy's name."""
    return cat(tensors, dim if axis is None else axis, out=out)


def stack(tensors: Any, dim: int = 0, *, out: Any = None) -> Any:
    """Tensors of one shape along a new dimension `dim`."""
    given = _tensors("stack", tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = given[0]._array.shape
    dim = wrap_dim(dim, len(shape) + 1)
    for i, tensor in enumerate(given):
        if tensor._array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(tensor._array.shape)} at entry {i}"
            )
    result = _stack(*_promoted(given), dim=dim)
    return result if out is None else store_out(out, result)


def hstack(tensors: Any, *, out: Any = None) -> Any:
    """Tensors side by side: along dimension 1 (vectors: 0)."""
    given = [t if t._array.ndim else reshape(t, 1) for t in _tensors("hstack", tensors)]
    if not given:
        raise RuntimeError("hstack expects a non-empty TensorList")
    return cat(given, 0 if given[0]._array.ndim == 1 else 1, out=out)


def _rows(tensors: list[Any]) -> list[Any]:
    from clew.ops.shape import atleast_2d

    return [atleast_2d(t) for t in tensors]


def vstack(tensors: Any, *, out: Any = None) -> Any:
    """Tensors below each other: along dimension 0, vectors as rows."""
    given = _rows(_tensors("vstack", tensors))
    if not given:
        raise RuntimeError("vstack expects a non-empty TensorList")
    return cat(given, 0, out=out)


def row_stack(tensors: Any, *, out: Any = None) -> Any:
    """`vstack` under another name."""
    return vstack(tensors, out=out)


def dstack(tensors: Any, *, out: Any = None) -> Any:
    """Tensors behind each other: along dimension 2."""
    from clew.ops.shape import atleast_3d

    given = [atleast_3d(t) for t in _tensors("dstack", tensors)]
    if not given:
        raise RuntimeError("dstack expects a non-empty TensorList")
    return cat(given, 2, out=out)


def column_stack(tensors: Any, *, out: Any = None) -> Any:
    """Vectors as the columns of a matrix, matrices side by side."""
    given = [
        reshape(t, t._array.size, 1) if t._array.ndim <= 1 else t for t in _tensors("column_stack", tensors)
    ]
    if not given:
        raise RuntimeError("column_stack expects a non-empty TensorList")
    return hstack(given, out=out)


def _chunk_cat(tensors: Any, dim: int, num_chunks: int, *, out: Any = None) -> Any:
    """Every tensor cut into `num_chunks` pieces along `dim` (padded with zeros to a multiple), flattened from there on,
    and the first pieces of all put one behind the other, then the second …: (…, num_chunks, ∑ sizes).
    """
    if num_chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    given = _tensors("_chunk_cat", tensors)
    if not given:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if any(not t._array.size for t in given):
        raise RuntimeError("_chunk_cat expects non-empty tensor")
    if any(t._array.dtype != given[0]._array.dtype for t in given):
        raise RuntimeError("_chunk_cat expects all input tensors with the same dtype")
    ranks = [t._array.ndim for t in given]
    if len({*ranks}) == 1:
        dim = wrap_dim(dim, ranks[0])
    elif dim < 0:
        raise RuntimeError("_chunk_cat expects non-negative dim when input tensors have different ndims")
    elif dim >= min(ranks):
        raise RuntimeError("_chunk_cat expects dim < ndim for all input tensors")
    front = given[0]._array.shape[:dim]
    if any(t._array.shape[:dim] != front for t in given):
        raise RuntimeError("_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors")
    rows = []
    for tensor in given:
        shape = tensor._array.shape
        short = -shape[dim] % num_chunks
        if short:
            padding = np.zeros((*front, short, *shape[dim + 1 :]), tensor._array.dtype)
            tensor = cat([tensor, wrap(padding)], dim)
        rows.append(reshape(tensor, *front, num_chunks, -1))
    return cat(rows, dim + 1, out=out)


def _block_arrays(tensors: list[ndarray]) -> ndarray:
    blocks = [a.reshape((1,) * (2 - a.ndim) + a.shape) for a in tensors]
    made = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)), blocks[0].dtype)
    row = column = 0
    for block in blocks:
        made[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return made


def _block_back(xp: Any, g: Any, needs: Any, shapes: Any) -> list[Any]:
    pieces, row, column = [], 0, 0
    for need, shape in zip(needs, shapes, strict=True):
        rows, columns = ((1, 1) + shape)[-2:]
        pieces.append(g[row : row + rows, column : column + columns].reshape(shape) if need else None)
        row, column = row + rows, column + columns
    return pieces


_block_diag = Primitive(
    "block_diag",
    lambda tensors, *, shapes: _block_arrays(tensors),
    _block_back,
    args=("tensors",),
    params=("shapes",),
    variadic=True,
    jvp="linear",
    explain="matrices along the diagonal; each takes its block of the gradient",
)


def block_diag(*tensors: Any) -> Any:
    """A matrix with the given matrices along its diagonal, zeros elsewhere; vectors are rows."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    for i, tensor in enumerate(tensors):
        if tensor._array.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {tensor._array.ndim} dimensions"
            )
    if not tensors:
        return wrap(np.zeros((1, 0), np.float32))
    return _block_diag(*_promoted(list(tensors)), shapes=tuple([t._array.shape for t in tensors]))


# ---- turning and repeating -----------------------------------------------------------------------------------------------
_flip: Primitive = Primitive(
    "flip",
    lambda self, *, dims: np.flip(self, dims).copy(),
    {"self": lambda xp, g, dims: xp.call(_flip, g, dims=dims)},
    jvp="linear",
    explain="turned around along dimensions; so is the gradient",
)
_roll: Primitive = Primitive(
    "roll",
    lambda self, *, shifts, dims: np.roll(self, shifts, dims),
    {
        "self": lambda xp, g, shifts, dims: xp.call(
            _roll, g, shifts=tuple([-s for s in shifts]) if isinstance(shifts, tuple) else -shifts, dims=dims
        )
    },
    jvp="linear",
    explain="shifted in a circle; the gradient is shifted back",
)
_rot90: Primitive = Primitive(
    "rot90",
    lambda self, *, k, dims: np.rot90(self, k, dims).copy("K"),
    {"self": lambda xp, g, k, dims: xp.call(_rot90, g, k=-k, dims=dims)},
    node="Rot90Backward0",
    jvp="linear",
    explain="turned by right angles; the gradient is turned back",
)


def _repeat_back(xp: Any, g: Any, self_shape: tuple[int, ...], repeats: tuple[int, ...]) -> Any:
    """The cotangent as (repeats, sizes) pairs of dimensions, summed over the repeats."""
    full = (1,) * (len(repeats) - len(self_shape)) + tuple(self_shape)
    if not repeats:
        return g
    pairs = g.reshape(tuple([n for pair in zip(repeats, full, strict=True) for n in pair]))
    return xp.sum(pairs, tuple(range(0, 2 * len(full), 2))).reshape(self_shape)


_repeat = Primitive(
    "repeat",
    lambda self, *, repeats: np.tile(self, repeats),
    {"self": _repeat_back},
    jvp="linear",
    explain="copies side by side; their gradients are summed",
)


def flip(input: Any, *axes: Any, dims: Any = None) -> Any:
    """The order of the entries along `dims` turned around. A copy."""
    dims = axes if dims is None else dims
    if not isinstance(dims, int) and len(dims) == 1 and not isinstance(dims[0], int):
        dims = tuple(dims[0])
    return _flip(check_tensor(input, "flip"), dims=wrap_dims(dims, input._array.ndim) if dims else ())


def fliplr(input: Any) -> Any:
    """Columns from right to left."""
    if input._array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """Rows from bottom to top."""
    if input._array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Entries moved by `shifts` along `dims`, those that fall off coming in again; without `dims`, of all as one row."""
    one = isinstance(shifts, int) or (isinstance(shifts, Variable) and not shifts._array.ndim)
    shifts = (int(shifts),) if one else tuple(shifts)
    dims = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return _roll(input, shifts=shifts[0], dims=None)
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not input._array.ndim:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return _roll(input, shifts=shifts, dims=tuple([wrap_dim(d, input._array.ndim) for d in dims]))


def rot90(input: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """Turned by `k` right angles in the plane of two dimensions, from the first towards the second."""
    ndim = input._array.ndim
    dims = tuple(dims)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    for d in dims:
        if not -ndim <= d < ndim:
            wrap_dim(d, ndim)
    return _rot90(input, k=k, dims=dims)


def repeat(input: Any, *counts: Any, repeats: Any = None) -> Any:
    """Copies side by side: `repeats[i]` of them along dimension i (counted from the last)."""
    counts = sizes(counts if repeats is None else (repeats,))
    ndim = input._array.ndim
    if len(counts) < ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    for n in counts:
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {[a * b for a, b in zip(counts, (1,) * (len(counts) - ndim) + input._array.shape, strict=True)]}"
            )
    return _repeat(input, repeats=counts)


def tile(input: Any, *counts: Any, dims: Any = None) -> Any:
    """`repeat`, missing counts being 1."""
    counts = sizes(counts if dims is None else (dims,))
    return repeat(input, *(1,) * (input._array.ndim - len(counts)), *counts)


def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each entry repeated in place: `repeats` times, or `repeats[i]` times. With a tensor of counts alone: the indices."""
    from clew.ops.index import index_select

    if repeats is None:
        return wrap(np.repeat(np.arange(input._array.size), input._array))
    if isinstance(repeats, Variable):
        counts = np.asarray(repeats._array)
        if counts.dtype.kind != "i" or counts.itemsize < 4:
            raise RuntimeError("repeats has to be Long or Int tensor")
        if (counts < 0).any():
            raise RuntimeError("repeats can not be negative")
        if dim is None:
            input, dim = flatten(input), 0
        if counts.size == 1:
            counts = np.broadcast_to(counts.reshape(-1), (input._array.shape[dim],))
        if counts.ndim != 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if counts.size != input._array.shape[dim]:
            raise RuntimeError(
                f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
                f"input.size({dim}) = {input._array.shape[dim]}"
            )
        return index_select(input, dim, wrap(np.repeat(np.arange(counts.size), counts)))
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    if dim is None:
        input, dim = flatten(input), 0
    shape = input._array.shape
    dim = wrap_dim(dim, len(shape))
    if not shape:
        input, shape = reshape(input, 1), (1,)
    wide = expand(unsqueeze(input, dim + 1), *shape[: dim + 1], repeats, *shape[dim + 1 :])
    return view(wide.clone(memory_format="contiguous"), *shape[:dim], shape[dim] * repeats, *shape[dim + 1 :])


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """The coordinates of a grid: out[k][i₀, i₁, …] = tensors[k][i_k] ("ij"), or with the first two swapped ("xy")."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            UserWarning,
            stacklevel=2,
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for tensor in tensors:
        if tensor._array.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {tensor!r}"
            )
    n = len(tensors)
    places = [1, 0, *range(2, n)] if indexing == "xy" and n >= 2 else list(range(n))
    shape = [1] * n
    for place, tensor in zip(places, tensors, strict=True):
        shape[place] = tensor._array.size
    return tuple(
        [
            expand(view(tensor, *[-1 if d == place else 1 for d in range(n)]), *shape)
            for place, tensor in zip(places, tensors, strict=True)
        ]
    )


def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one entry of each vector, as rows."""
    for tensor in tensors:
        if tensor._array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(tensor._array.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([flatten(g) for g in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All choices of `r` entries of a vector, as rows, in order."""
    from clew.ops.index import index_select

    if input._array.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._array.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    n = input._array.size
    if not r:
        return wrap(np.empty(0, input._array.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    count = math.comb(n + r - 1, r) if with_replacement else math.comb(n, r)
    rows = np.fromiter(itertools.chain.from_iterable(choose(range(n), r)), np.int64, count * r)
    return index_select(input, 0, wrap(rows)).reshape(count, r)


# ---- diagonals and triangles ---------------------------------------------------------------------------------------------
_tril: Primitive = Primitive(
    "tril",
    lambda self, *, diagonal: np.tril(self, diagonal),
    {"self": lambda xp, g, diagonal: xp.call(_tril, g, diagonal=diagonal)},
    jvp="linear",
    explain="the part on and below a diagonal; so is the gradient",
)
_triu: Primitive = Primitive(
    "triu",
    lambda self, *, diagonal: np.triu(self, diagonal),
    {"self": lambda xp, g, diagonal: xp.call(_triu, g, diagonal=diagonal)},
    jvp="linear",
    explain="the part on and above a diagonal; so is the gradient",
)


def _triangle(name: str, primitive: Primitive) -> Any:
    def op(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
        if input._array.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        result = primitive(input, diagonal=diagonal)
        return result if out is None else store_out(out, result)

    op.__name__ = op.__qualname__ = name
    where = "below" if name == "tril" else "above"
    op.__doc__ = f"The part of the matrices on and {where} the `diagonal` (0: the main one), zeros elsewhere."
    return op


tril, triu = _triangle("tril", _tril), _triangle("triu", _triu)


def _diag_embed_array(self: ndarray, *, offset: int, dim1: int, dim2: int) -> ndarray:
    n = self.shape[-1] + abs(offset)
    shape = list(self.shape[:-1])
    for d in sorted((dim1, dim2)):
        shape.insert(d, n)
    made = np.zeros(shape, self.dtype)
    _diagonal.forward(made, offset=offset, dim1=dim1, dim2=dim2)[...] = self
    return made


_diag_embed = Primitive(
    "diag_embed",
    _diag_embed_array,
    {"self": lambda xp, g, offset, dim1, dim2: xp.call(_diagonal, g, offset=offset, dim1=dim1, dim2=dim2)},
    jvp="linear",
    explain="vectors as diagonals of matrices; their gradients are the diagonals of the gradient",
)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The vectors along the last dimension as diagonals of new matrices over `dim1` and `dim2`."""
    ndim = input._array.ndim
    d1, d2 = wrap_dim(dim1, ndim + 1), wrap_dim(dim2, ndim + 1)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diag_embed(input, offset=offset, dim1=d1, dim2=d2)


def diag(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """Of a matrix its diagonal, of a vector the matrix with that diagonal. A copy."""
    ndim = check_tensor(input, "diag")._array.ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    result = diag_embed(input, diagonal) if ndim == 1 else diagonal_copy(input, diagonal)
    return result if out is None else store_out(out, result)


def diagflat(input: Any, offset: int = 0) -> Any:
    """A matrix with all the numbers of the input along a diagonal."""
    return diag_embed(view(input.contiguous(), -1), offset)
