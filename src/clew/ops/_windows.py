"""Windows of arrays: the places that a kernel sees as it moves over the last dimensions, copied side by side and summed back
where they overlap. (Convolution, pooling, unfold and fold.)
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy import ndarray

Sizes = tuple[int, ...]
_CACHED = 1 << 19  # numbers in columns that are multiplied at once
_FEW = 1 << 13  # numbers in columns that are summed in one call, instead of one for each place in the kernel


def within(size: Sizes, padding: Sizes) -> Any:
    """The index of what stands inside a border around the last dimensions."""
    return (..., *[slice(p, p + n) for n, p in zip(size, padding, strict=True)])


def padded(x: ndarray, padding: Sizes, value: Any = 0) -> ndarray:
    """`x` with a border around its last dimensions."""
    if not any(padding):
        return x
    lead = x.ndim - len(padding)
    shape = (*x.shape[:lead], *[n + 2 * p for n, p in zip(x.shape[lead:], padding, strict=True)])
    made = np.zeros(shape, x.dtype) if value == 0 else np.full(shape, value, x.dtype)
    made[within(x.shape[lead:], padding)] = x
    return made


@lru_cache(maxsize=512)
def taps(
    kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes
) -> tuple[tuple[int, tuple[Any, ...]], ...]:
    """For each place in the kernel, in order: its number, and the index of what it sees from all windows."""
    seen = [
        [slice(p * d, p * d + (n - 1) * s + 1, s) for p in range(k)]
        for k, d, n, s in zip(kernel, dilation, out, stride, strict=True)
    ]
    return tuple([(k, (..., *slices)) for k, slices in enumerate(product(*seen))])


def windows(x: ndarray, kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes) -> ndarray:
    """A view of `x` with, after the leading dimensions, one for each dimension of the windows and of the kernel."""
    x = np.ascontiguousarray(x)
    lead = x.ndim - len(kernel)
    steps = x.strides[lead:]
    strides = (*x.strides[:lead], *map(operator.mul, steps, stride), *map(operator.mul, steps, dilation))
    return ndarray((*x.shape[:lead], *out, *kernel), x.dtype, x, 0, strides)


def windows_out(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Sizes:
    """How many windows fit, in each dimension."""
    numbers = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple([(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in numbers])


def unfolded(x: ndarray, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> ndarray:
    """The windows of (N, C, *size) as (N, C, places in the kernel, windows)."""
    out = windows_out(x.shape[2:], kernel, stride, padding, dilation)
    count = math.prod(kernel)
    if count == 1 and not any(padding) and max(stride, default=1) == 1:
        return x.reshape((*x.shape[:2], 1, math.prod(out)))
    x = padded(x, padding)
    made = np.empty((*x.shape[:2], count, *out), x.dtype)
    for k, seen in taps(kernel, stride, dilation, out):
        made[:, :, k] = x[seen]
    return made.reshape((*x.shape[:2], count, math.prod(out)))


class Grid:
    """Images (N, C, H, W) with borders, channel by channel and flattened: there the windows' places, for steps of 1, lie at
    fixed distances, so that what a place in the kernel sees of many images is one long piece of memory. A line's border
    serves the line before it, too. The few windows that reach further see what is not theirs; `shown` leaves them out,
    `spread` gives them zeros.
    """

    def __init__(self, x: ndarray, kernel: Sizes, padding: Sizes, dilation: Sizes) -> None:
        images, channels = x.shape[:2]
        self.kernel, self.dilation = kernel, dilation
        cut = [max(-p, 0) for p in padding]
        if any(cut):
            x = x[:, :, cut[0] : x.shape[2] - cut[0], cut[1] : x.shape[3] - cut[1]]
        border = [max(p, 0) for p in padding]
        self.high, self.wide = [n + p for n, p in zip(x.shape[2:], border, strict=True)]
        # The last windows look beyond the end: room for them.
        self.beyond = dilation[0] * (kernel[0] - 1) * self.wide + dilation[1] * (kernel[1] - 1)
        self.count = images
        self.cells = self.high * self.wide
        self.flat = np.zeros((channels, images * self.cells + self.beyond), x.dtype)
        grid = self.flat[:, : images * self.cells].reshape((channels, images, self.high, self.wide))
        grid[:, :, border[0] :, border[1] :] = x.swapaxes(0, 1)

    def batches(self) -> list[slice]:
        """The images in groups whose columns stay in the cache."""
        each = len(self.flat) * math.prod(self.kernel) * self.cells
        step = max(1, _CACHED // each)
        return [slice(i, min(i + step, self.count)) for i in range(0, self.count, step)]

    def columns(self, images: slice) -> ndarray:
        """The windows of some images: (C · places in the kernel, images · cells)."""
        size = self.flat.itemsize
        length = (images.stop - images.start) * self.cells
        down, right = self.dilation
        view = ndarray(
            (len(self.flat), *self.kernel, length), self.flat.dtype, self.flat, images.start * self.cells * size,
            (self.flat.strides[0], down * self.wide * size, right * size, size),
        )  # fmt: skip
        return view.reshape((-1, length))

    def shown(self, product: ndarray, out: Sizes) -> ndarray:
        """What stands at the windows, of values at all cells: (C, images, *out)."""
        whole = product.reshape((len(product), -1, self.high, self.wide))
        return whole[:, :, : out[0], : out[1]]

    def spread(self, values: ndarray) -> ndarray:
        """The adjoint of `shown`, of (images, C, *out): (C, images · cells)."""
        made = np.zeros((values.shape[1], values.shape[0], self.high, self.wide), values.dtype)
        made[:, :, : values.shape[2], : values.shape[3]] = values.swapaxes(0, 1)
        return made.reshape((values.shape[1], -1))


def folded(
    columns: ndarray, size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> ndarray:
    """The adjoint of `unfolded`: windows summed where they overlap, into (N, C, *size)."""
    out = windows_out(size, kernel, stride, padding, dilation)
    lead = columns.shape[:2]
    if math.prod(kernel) == 1 and not any(padding) and max(stride, default=1) == 1:
        return columns.reshape((*lead, *size))
    bordered = (*lead, *[n + 2 * p for n, p in zip(size, padding, strict=True)])
    if columns.size <= _FEW and columns.dtype.kind == "f":
        places = _landing(bordered, kernel, stride, dilation, out)
        made = np.bincount(places, columns.reshape(-1), math.prod(bordered))
        made = made.astype(columns.dtype).reshape(bordered)
    else:
        columns = columns.reshape((*lead, math.prod(kernel), *out))
        made = np.zeros(bordered, columns.dtype)
        for k, seen in taps(kernel, stride, dilation, out):
            made[seen] += columns[:, :, k]
    return made[within(size, padding)] if any(padding) else made


@lru_cache(maxsize=64)
def _landing(shape: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes) -> ndarray:
    """Where every number of the columns goes in the flattened result."""
    places = np.arange(math.prod(shape)).reshape(shape)
    return np.stack([places[seen] for _, seen in taps(kernel, stride, dilation, out)], 2).reshape(-1)
