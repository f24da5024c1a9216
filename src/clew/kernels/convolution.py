"""Convolutions with steps of 1, without copies of the windows: y = ∑ₖ wₖ · x shifted by k.

A few images at a time are laid out channel by channel with their borders, each as one line (`ops/_windows.Grid` says how):
there what a place in the kernel sees lies a fixed distance further on, for all windows at once. So the weights (O, C·K) times
the lines, each seen from K places, is a product of matrices whose second one is nowhere: its tiles begin where a table says.
The gradient of the weights is another, of the lines seen from these places and of the results' gradients turned over.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import compiled
from clew.kernels.products import multiply_seen, multiply_seen_rows, turned_over
from clew.kernels.threads import spread

Sizes = tuple[int, ...]
_LINE = 1 << 11  # numbers of a line: lines and sums stay in a core's cache
_GRAIN = 1 << 13
U = np.uint64  # an index that cannot be negative needs no test


@compiled(apart=True)
def _lay_out(image: Any, wide: Any, line: Any) -> None:
    """An image onto a line, each row `wide` numbers after the one before."""
    for row in range(image.shape[0]):
        start = U(row * wide)
        for j in range(image.shape[1]):
            line[start + U(j)] = image[row, j]


@compiled(apart=True)
def _take_off(line: Any, wide: Any, more: Any, image: Any) -> None:
    """The reverse, and a number added to each."""
    for row in range(image.shape[0]):
        start = U(row * wide)
        for j in range(image.shape[1]):
            image[row, j] = line[start + U(j)] + more


@compiled
def _lay_out_all(images: Any, high: Any, wide: Any, top: Any, left: Any, lines: Any) -> None:
    """Images (N, C, …, …) onto lines (C, ≥ N · high · wide), whose borders are there already."""
    for n in range(images.shape[0]):
        for c in range(images.shape[1]):
            _lay_out(images[n, c], wide, lines[c, (n * high + top) * wide + left :])


@compiled
def _starts(channels: int, length: int, places: Any) -> Any:
    """Where on the lines, one after another, each channel and place in the kernel begins."""
    starts = np.empty(channels * places.size, np.int64)
    for c in range(channels):
        for k in range(places.size):
            starts[c * places.size + k] = c * length + places[k]
    return starts


@compiled
def _convolve(x: Any, made: Any, w: Any, bias: Any, places: Any, grid: Any) -> None:
    high, wide, top, left, beyond, step = grid
    count, channels, cells = x.shape[0], x.shape[1], high * wide
    most = min(step, count) * cells
    lines = np.zeros((channels, most + beyond), x.dtype)
    sums = np.empty((w.shape[0], most), x.dtype)
    starts = _starts(channels, most + beyond, places)
    for first in range(0, count, step):
        images = x[first : first + step]
        _lay_out_all(images, high, wide, top, left, lines)
        multiply_seen(w, lines, starts, sums, images.shape[0] * cells)
        for n in range(images.shape[0]):
            for o in range(w.shape[0]):
                _take_off(sums[o, n * cells :], wide, bias[o], made[first + n, o])


@compiled(apart=True)
def _spread_rows(image: Any, wide: Any, grid: Any) -> None:
    """(rows, columns, channels) onto a grid whose rows are `wide` places long."""
    for row in range(image.shape[0]):
        grid[row * wide : row * wide + image.shape[1]] = image[row]


@compiled
def _correlate(x: Any, g: Any, places: Any, grid: Any) -> Any:
    high, wide, top, left, beyond, step = grid
    count, channels, cells = x.shape[0], x.shape[1], high * wide
    outputs, rows, columns = g.shape[1:]
    most = min(step, count) * cells
    lines = np.zeros((channels, most + beyond), x.dtype)
    slopes = np.zeros((most, outputs), x.dtype)
    turned = np.empty((rows * columns, outputs), x.dtype)
    starts = _starts(channels, most + beyond, places)
    made = np.zeros((starts.size, outputs), x.dtype)
    part = np.empty_like(made)
    for first in range(0, count, step):
        images = x[first : first + step]
        _lay_out_all(images, high, wide, top, left, lines)
        for n in range(images.shape[0]):
            turned_over(g[first + n].reshape(outputs, rows * columns), turned)
            _spread_rows(turned.reshape(rows, columns, outputs), wide, slopes[n * cells :])
        multiply_seen_rows(lines, starts, slopes, part, images.shape[0] * cells)
        made += part
    return made


def _grid(x: ndarray, kernel: Sizes, padding: Sizes, dilation: Sizes) -> tuple[Any, ndarray]:
    """(height and width with the border, the border, how far the last windows reach beyond the end, images at once), and
    how far on each place in the kernel looks."""
    high, wide = x.shape[2] + padding[0], x.shape[3] + padding[1]
    down, right = np.arange(kernel[0]) * dilation[0], np.arange(kernel[1]) * dilation[1]
    places = np.add.outer(down * wide, right).reshape(-1)
    step = max(1, _LINE // (high * wide))
    return (high, wide, padding[0], padding[1], int(places[-1]), step), places


def convolve(x: ndarray, weight: ndarray, bias: Any, padding: Sizes, dilation: Sizes, out: Sizes) -> ndarray:
    """y[n, o] = bias[o] + ∑ x[n, c] shifted · weight[o, c, k, l], of (N, C, H, W) and (O, C, K, L), for windows `out`."""
    outputs, channels, *kernel = weight.shape
    made = np.empty((len(x), outputs, *out), x.dtype)
    grid, places = _grid(x, tuple(kernel), padding, dilation)
    w = np.ascontiguousarray(weight).reshape(outputs, channels * math.prod(kernel))
    b = np.zeros(outputs, x.dtype) if bias is None else np.ascontiguousarray(bias)
    spread(_convolve, x, made, w, b, places, grid, grain=_GRAIN)
    return made


def correlate(x: ndarray, g: ndarray, kernel: Sizes, padding: Sizes, dilation: Sizes) -> ndarray:
    """∑ g[n, o] · x[n, c] shifted by k, l: the gradient of the kernel (O, C, K, L)."""
    grid, places = _grid(x, kernel, padding, dilation)
    parts = spread(_correlate, x, g, places, grid, grain=_GRAIN)
    total = parts[0] if len(parts) == 1 else np.add.reduce(parts)
    made: ndarray = np.ascontiguousarray(total.T).reshape(g.shape[1], x.shape[1], *kernel)
    return made


__all__ = ["convolve", "correlate"]
