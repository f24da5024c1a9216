"""The memory behind an array: which array owns it, where in it another begins, and views of it by strides."""

from __future__ import annotations

import operator
from itertools import accumulate

import numpy as np
from numpy import ndarray


def root_of(array: ndarray) -> ndarray:
    """The array that owns the memory."""
    base = array.base
    while base.__class__ is ndarray:
        array, base = base, base.base
    return array


def start_of(array: ndarray) -> int:
    """How many bytes after the start of its storage an array begins."""
    root = root_of(array)
    return 0 if root is array else array.__array_interface__["data"][0] - root.__array_interface__["data"][0]


def strided(array: ndarray, shape: tuple[int, ...], strides: tuple[int, ...], start: int) -> ndarray:
    """A view of the storage of `array` by strides, beginning `start` bytes after the start of the storage."""
    root = root_of(array)
    if not root.flags.c_contiguous:
        root = root.transpose(sorted(range(root.ndim), key=lambda d: -root.strides[d]))
        if not root.flags.c_contiguous:  # memory that NumPy does not own, with gaps
            begin = start - start_of(array)
            return np.lib.stride_tricks.as_strided(
                array.reshape(-1)[begin // array.itemsize :], shape, strides
            )
    return ndarray(shape, array.dtype, root, start if 0 not in shape else 0, strides)


def resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The storage from the array's first element on, in C order, in another shape."""
    item = array.itemsize
    root, start = root_of(array), start_of(array)
    need = start // item + int(np.prod(shape, dtype=np.int64))
    if need > root.nbytes // item:
        storage = np.zeros(need, array.dtype)
        storage[: root.nbytes // item] = strided(array, (root.nbytes // item,), (item,), 0)
        array = storage
    steps = accumulate([item, *[max(n, 1) for n in reversed(shape[1:])]], operator.mul)
    strides = tuple([step for step, _ in zip(steps, shape, strict=False)])[::-1]
    return strided(array, shape, strides, start)
