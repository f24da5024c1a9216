"""Look-up tables: `embedding` reads rows of a table, `one_hot` writes the rows that would read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, dtype_of
from clew.ops.getitem import add_rows

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
    if i.size and (i.max() >= len(w) or i.min() < 0):
        raise IndexError("index out of range in self")
    return _embedding(
        weight, indices, padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


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
