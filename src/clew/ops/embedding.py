"""Look-up tables: `embedding` reads rows of a table, `embedding_bag` sums or averages them, `one_hot` writes the rows that
would read them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.modes import holds
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, dtype_of, within
from clew.ops.getitem import add_rows
from clew.ops.index import gather_back

__all__ = ["embedding"]


def _embedding_back(
    grad: Any, indices: ndarray, *, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> ndarray:
    made = np.zeros((rows, grad.shape[-1]), grad.dtype)
    flat, values = indices.reshape(-1), grad.reshape(-1, grad.shape[-1])
    if padding_idx >= 0:
        kept = flat != padding_idx
        flat, values = flat[kept], values[kept]
    if scale_grad_by_freq and flat.size:
        values = values / np.bincount(flat, minlength=rows)[flat][:, None].astype(grad.dtype)
    add_rows(made, flat, values)
    return made


def _embedding_again(xp: Any, g: Any, indices: Any, padding_idx: int, scale_grad_by_freq: bool) -> Any:
    if scale_grad_by_freq:
        raise RuntimeError("double backward of embedding is not supported with scale_grad_by_freq")
    made = xp.call(_embedding, g, indices, padding_idx=padding_idx, scale_grad_by_freq=False, sparse=False)
    if padding_idx < 0:
        return made
    raw_indices = indices._array if isinstance(indices, Variable) else indices
    return made * xp.constant((raw_indices != padding_idx)[..., None].astype(dtype_of(g)))


_embedding = Primitive(
    "embedding",
    lambda weight, indices, *, padding_idx, scale_grad_by_freq, sparse: weight.take(indices, 0),
    {
        "weight": lambda xp, g, indices, weight_shape, padding_idx, scale_grad_by_freq: xp.call(
            embedding_back,
            g,
            indices,
            rows=weight_shape[0],
            padding_idx=padding_idx,
            scale_grad_by_freq=scale_grad_by_freq,
        )
    },
    jvp="linear",
    explain="rows of a table looked up; each row's gradient is the sum over its look-ups",
)
embedding_back: Primitive = Primitive(
    "embedding_dense_backward", _embedding_back, {"grad": _embedding_again}, jvp="linear"
)


def embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """out[…, :] = weight[indices[…], :]; row `padding_idx` gets no gradient."""
    w = check_tensor(weight, "embedding", "weight", 1)._array
    i = check_tensor(indices, "embedding", "indices", 2)._array
    if w.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if i.dtype != np.int64 and i.dtype != np.int32:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{legacy_name(i.dtype)}Tensor instead (while checking arguments for embedding)"
        )
    if not holds(within, i, 0, len(w)):
        raise IndexError("index out of range in self")
    return _embedding(
        weight, indices, padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


def renormalize(weight: Any, index: ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the rows looked up down to a norm, in place."""
    rows = np.unique(index)
    table = weight.memory()
    norms = np.linalg.norm(table[rows].astype(np.float64), ord=norm_type, axis=1)
    long = norms > max_norm
    table[rows[long]] *= (max_norm / (norms[long] + 1e-7))[:, None].astype(table.dtype)
    weight.written()


# ---- bags -------------------------------------------------------------------------------------------------------------
def _sums(table: ndarray, picks: Any, into: Any, by: ndarray, *, bags: int) -> ndarray:
    """out[into[i]] += by[i] · table[picks[i]]. Of `picks` and `into` one ascends."""
    wide = table.astype(np.float32) if table.dtype.itemsize == 2 else table
    weights = by.astype(wide.dtype)
    if len(picks) * wide.shape[1] >= 16384:
        from scipy.sparse import csr_matrix

        ascending, size = (into, bags) if (np.diff(into) >= 0).all() else (picks, len(table))
        bounds = np.searchsorted(ascending, np.arange(size + 1))
        if ascending is into:
            made = csr_matrix((weights, picks, bounds), shape=(bags, len(table))) @ wide
        else:
            made = csr_matrix((weights, into, bounds), shape=(len(table), bags)).T @ wide
    else:
        made = np.zeros((bags, wide.shape[1]), wide.dtype)
        add_rows(made, into, wide[picks] * weights[:, None])
    return np.asarray(made.astype(table.dtype, copy=False))


def _dots_of_rows(a: ndarray, b: ndarray, i: Any, j: Any) -> ndarray:
    """out[k] = a[i[k]] · b[j[k]]."""
    return np.asarray(
        np.add.reduce(a[i] * b[j], 1, np.float32 if a.dtype.itemsize == 2 else None).astype(a.dtype)
    )


_weighted_sums: Primitive = Primitive(
    "embedding_bag_sums",
    _sums,
    {
        "table": lambda xp, g, table_shape, picks, into, by: xp.call(
            _weighted_sums, g, into, picks, by, bags=table_shape[0]
        ),
        "by": lambda xp, g, table, picks, into: xp.call(_row_dots, g, table, into, picks),
    },
    explain="rows of a table times weights, summed by bags; backward the bags are looked up and the rows summed",
)
_row_dots: Primitive = Primitive(
    "embedding_bag_dots",
    _dots_of_rows,
    {
        "a": lambda xp, g, a_shape, b, i, j: xp.call(_weighted_sums, b, j, i, g, bags=a_shape[0]),
        "b": lambda xp, g, b_shape, a, i, j: xp.call(_weighted_sums, a, i, j, g, bags=b_shape[0]),
    },
    explain="scalar products of pairs of rows",
)


def _bag_sums(
    weight: ndarray, indices: ndarray, bag: ndarray, per_sample_weights: Any, *, mode: str, bags: int,
    padding_idx: int, scale_grad_by_freq: bool,
) -> tuple[ndarray, ndarray, ndarray]:  # fmt: skip
    """The bags; by what every look-up counts; of which row the largest is (mode "max", −1 for none)."""
    kept = indices != padding_idx
    if mode == "max":
        made, rows = _largest(weight, indices[kept], bag[kept], bags)
        return made, kept.astype(weight.dtype), rows
    counted = kept.astype(np.float32 if weight.dtype.itemsize == 2 else weight.dtype)
    if mode == "mean":
        counted /= np.maximum(np.bincount(bag[kept], minlength=bags), 1)[bag]
    elif per_sample_weights is not None:
        counted *= per_sample_weights
    picked, into, by = (a if kept.all() else a[kept] for a in (indices, bag, counted))
    made = _sums(weight, picked, into, by, bags=bags)
    return made, counted.astype(weight.dtype), np.empty(0, np.int64)


def _largest(weight: ndarray, indices: ndarray, bag: ndarray, bags: int) -> tuple[ndarray, ndarray]:
    """The largest numbers of every bag (0 of an empty one), and the rows they stand in: of equals the first, −1 for none."""
    picked = weight[indices]
    largest, rows = np.zeros((bags, weight.shape[1]), weight.dtype), np.full((bags, weight.shape[1]), -1)
    if len(bag):
        starts = np.flatnonzero(np.append(True, bag[1:] != bag[:-1]))
        largest[bag[starts]] = np.maximum.reduceat(picked, starts, 0)
    at, column = np.nonzero(picked == largest[bag])
    rows[bag[at[::-1]], column[::-1]] = indices[at[::-1]]
    return np.where(rows < 0, weight.dtype.type(0), largest), rows


def _bags_back(
    xp: Any, g: Any, needs: Any, weight: Any, indices: Any, bag: Any, per_sample_weights: Any, mode: str,
    padding_idx: int, scale_grad_by_freq: bool, counts: Any, rows: Any,
) -> Any:  # fmt: skip
    """Every look-up gets its bag's gradient times what it counts; with "max" the largest gets all of it."""
    if mode == "max":
        winners = xp.constant(np.maximum(rows, 0))
        return (
            xp.call(gather_back, g * xp.constant((rows >= 0).astype(dtype_of(g))), winners, dim=0, shape=weight.shape),
            None, None, None,
        )  # fmt: skip
    raw = getattr(indices, "_array", indices)
    kept = xp.constant((raw != padding_idx).astype(dtype_of(g)))
    by, of_table, of_weights = kept, None, None
    if needs[0]:
        by = xp.constant(counts) if per_sample_weights is None else per_sample_weights * kept
        if scale_grad_by_freq and raw.size:
            often = np.bincount(raw, minlength=weight.shape[0])[raw]
            by = by * xp.constant((1 / often).astype(dtype_of(g)))
        of_table = xp.call(_weighted_sums, g, bag, indices, by, bags=weight.shape[0])
    if needs[3]:
        of_weights = xp.call(_row_dots, g, weight, bag, indices) * kept
    return of_table, None, None, of_weights


_bag = Primitive(
    "embedding_bag",
    _bag_sums,
    _bags_back,
    aux={"counts": None, "rows": None},
    explain="rows of a table looked up and summed by bags; each row's gradient is the sum over its look-ups",
)


def _check_bags(weight: Any, offsets: Any, psw: Any, mode: str, freq: bool, sparse: bool) -> None:
    """The errors that do not need the values."""
    if weight.dim() != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if psw is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}'). Please open a feature request on GitHub."
        )


def _check_kinds(weight: ndarray, indices: ndarray, offsets: ndarray, psw: Any) -> None:
    """The errors of types."""
    end = "(while checking arguments for embedding_bag)"
    for array in (indices, offsets):
        if array.dtype not in (np.int64, np.int32):
            raise RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
                f"torch.{legacy_name(array.dtype)}Tensor instead {end}"
            )
    if weight.dtype.kind not in "fV":
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, "
            f"Double; but got torch.{legacy_name(weight.dtype)}Tensor instead {end}"
        )
    if psw is not None and psw.dtype != weight.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
            f"'per_sample_weights'; but type torch.{legacy_name(weight.dtype)}Tensor does not equal "
            f"torch.{legacy_name(psw.dtype)}Tensor {end}"
        )


def _bounds(offsets: ndarray, count: int, include_last_offset: bool) -> ndarray:
    """Where every bag begins, and where the last ends. RuntimeError unless they ascend from 0."""
    if include_last_offset and not len(offsets):
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    bounds = offsets if include_last_offset else np.append(offsets, count if len(offsets) else 0)
    if len(offsets) and offsets[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, "
            f"got {offsets[0]}"
        )
    if len(offsets) and offsets[-1] > count:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of {offsets[-1]}"
        )
    if (np.diff(bounds) < 0).any():
        raise RuntimeError(f"offsets must not descend, but got {offsets.tolist()}")
    return bounds


def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Any = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Any:  # fmt: skip
    """Sum, mean or maximum of the rows weight[input[i]] of every bag i ∈ [offsets[b], offsets[b + 1]) → (B, D).

    input (B, n): B bags of n, without offsets; or (N) with offsets (B), (B + 1) with `include_last_offset`. An empty bag
    gives 0. per_sample_weights, with "sum": the rows times these. padding_idx: look-ups that don't count.
    """
    if weight._array.dtype == np.int64 and input._array.dtype.kind == "f":
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    psw = per_sample_weights
    if psw is not None and psw.size() != input.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({psw.shape}) is not None, then it must have the same shape as the "
            f"input ({input.shape})"
        )
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                "sequences. However, found offsets of type <class 'torch.Tensor'>"
            )
        count, each = input.shape
        if not each:
            raise RuntimeError("step must be nonzero")
        starts, include_last_offset = np.arange(0, count * each, each), False
    elif input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    elif not isinstance(offsets, Variable):
        raise ValueError(f"offsets has to be a 1D Tensor but got {offsets}")
    elif offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    else:
        starts = np.asarray(offsets._array)
    _check_bags(weight, offsets, psw, mode, scale_grad_by_freq, sparse)
    indices = np.asarray(input._array).reshape(-1)
    if max_norm is not None:
        renormalize(weight, indices, max_norm, norm_type)
    _check_kinds(weight._array, indices, starts, None if psw is None else psw._array)
    rows = weight._array.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, -{rows} through {rows - 1}, but got {padding_idx}"
        )
    bounds = _bounds(starts, len(indices), include_last_offset)
    end, bags = int(bounds[-1]), len(bounds) - 1
    wrong = np.flatnonzero((indices < 0) | (indices >= rows))
    if len(wrong):
        raise RuntimeError(
            f"Index {wrong[0]} of input takes value {indices[wrong[0]]} which is not in the valid range [0, {rows})"
        )
    return _bag(
        weight, wrap(indices[:end]), wrap(np.repeat(np.arange(bags), np.diff(bounds))),
        None if psw is None else psw.reshape(-1)[:end], mode=mode, bags=bags,
        padding_idx=-1 if padding_idx is None else padding_idx % rows, scale_grad_by_freq=scale_grad_by_freq,
    )  # fmt: skip


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """out[…, c] = 1 where c = tensor[…], else 0."""
    array = np.asarray(check_tensor(tensor, "one_hot")._array)
    if array.dtype != np.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not array.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.zeros((*array.shape, num_classes), np.int64))
    if array.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif array.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap((array[..., None] == np.arange(num_classes)).astype(np.int64))
