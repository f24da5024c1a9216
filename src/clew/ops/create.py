"""Making tensors from data, sizes and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.device import check as check_device
from clew.core.variable import Variable, wrap
from clew.dtypes import bool_, defaults, dtype, from_numpy, int64

__all__ = ["tensor"]


def tensor(data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """A new tensor with a copy of `data`: a number, nested sequences, an array or a tensor."""
    check_device(device)
    array = _to_array(data)
    want = dtype.np if dtype is not None else _natural(data, array)
    array = array.astype(want)
    result = wrap(array if array.ndim else array[()])
    if requires_grad:
        result.requires_grad = True
    return result


def _to_array(data: Any) -> np.ndarray:
    if isinstance(data, Variable):
        return np.asarray(data._array)
    return np.asarray(data)


def _natural(data: Any, array: np.ndarray) -> Any:
    """The type PyTorch infers: arrays keep theirs, Python floats take the default."""
    if isinstance(data, (np.ndarray, np.generic, Variable)):
        return from_numpy(array.dtype).np
    if array.size == 0 or array.dtype.kind == "f":
        return defaults.dtype.np
    return {"c": defaults.complex.np, "b": bool_.np}.get(array.dtype.kind, int64.np)
