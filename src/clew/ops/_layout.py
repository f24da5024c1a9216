"""The order of an image batch in memory: results of channels-last images are channels-last, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np


def is_channels_last(array: Any) -> bool:
    """Whether (N, C, H, W) lies in memory with the channels innermost. Where one image of one channel or
    one pixel leaves it open, it does not."""
    if type(array) is not np.ndarray or array.ndim != 4 or array.flags.c_contiguous:
        return False
    strides, shape = array.strides, array.shape
    least = 0
    if not strides[1]:
        return False
    for d in (1, 3, 2, 0):
        if not shape[d] or strides[d] < least or (d == 0 and least == strides[1]):
            return False
        least = strides[d] * max(shape[d], 1)
    return True


def as_channels_last(array: Any) -> Any:
    """The same numbers with the channels innermost in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def keeping_layout(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A function of an image batch on raw arrays, whose result lies in memory as the batch does."""

    @wraps(forward)
    def run(input: Any, *args: Any, **options: Any) -> Any:
        result = forward(input, *args, **options)
        if not is_channels_last(input):
            return result
        if isinstance(result, tuple):
            return tuple(as_channels_last(r) for r in result)
        return as_channels_last(result)

    return run
