"""Samples to batches: tensors are stacked, numbers become tensors, containers keep their shape."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from clew.core.variable import Variable
from clew.dtypes import float64
from clew.ops.create import as_tensor, tensor
from clew.ops.join import stack

BAD_TYPE = "{}: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def default_convert(data: Any) -> Any:
    """NumPy arrays as tensors, within containers too; everything else as it is."""
    if isinstance(data, Variable):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SU" else as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[default_convert(value) for value in data])
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def default_collate(batch: Any) -> Any:
    """A list of samples as one batch with one more dimension in front.

    TypeError for what cannot be batched; RuntimeError for samples of different lengths.
    """
    first = batch[0]
    if isinstance(first, Variable):
        return stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(BAD_TYPE.format("default_collate", first.dtype))
        return stack([as_tensor(sample) for sample in batch], 0)
    if isinstance(first, np.generic) and first.dtype.kind not in "SU":
        return as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*[default_collate(column) for column in zip(*batch, strict=True)])
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _like(first, columns)
    raise TypeError(BAD_TYPE.format("default_collate", type(first)))


def _like(model: Any, content: Any) -> Any:
    """The content in a container of the model's type, where that can be made."""
    try:
        if type(model) in (dict, list):
            return content
        if isinstance(model, MutableMapping):
            made = copy.copy(model)
            made.update(content)
            return made
        if isinstance(model, MutableSequence):
            sequence = copy.copy(model)
            for i, value in enumerate(content):
                sequence[i] = value
            return sequence
        return type(model)(content)
    except TypeError:
        return content


__all__ = ["default_collate", "default_convert"]
