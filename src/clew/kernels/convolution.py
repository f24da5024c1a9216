"""Convolutions with steps of 1, without copies of the windows: y = ∑ₖ wₖ · x shifted by k.

A few images at a time are laid out channel by channel with their borders, each as one line (`ops/_windows.Grid` says how):
there what a place in the kernel sees lies a fixed distance further on, for all windows at once. A loop over the line takes
nine places of the kernel for two output channels at a time: eleven numbers are read for eighteen products, and the weights
stay in registers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import compiled
from clew.kernels.threads import spread

Sizes = tuple[int, ...]
_LINE = 1 << 11  # numbers of a line: some lines stay in the fastest cache
_GRAIN = 1 << 13
U = np.uint64  # an index that cannot be negative needs no test


@compiled(apart=True)
def _add_nine(x: Any, p: Any, u: Any, v: Any, a: Any, b: Any) -> None:
    """a += ∑ₖ uₖ x[pₖ :], b += ∑ₖ vₖ x[pₖ :] for nine k"""
    p0, p1, p2, p3, p4, p5, p6, p7, p8 = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
    u0, u1, u2, u3, u4, u5, u6, u7, u8 = u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8]
    v0, v1, v2, v3, v4, v5, v6, v7, v8 = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]
    for i in range(a.size):
        j = U(i)
        x0, x1, x2, x3, x4 = x[j + p0], x[j + p1], x[j + p2], x[j + p3], x[j + p4]
        x5, x6, x7, x8 = x[j + p5], x[j + p6], x[j + p7], x[j + p8]
        a[i] = a[i] + u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3 + u4 * x4 + u5 * x5 + u6 * x6 + u7 * x7 + u8 * x8
        b[i] = b[i] + v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3 + v4 * x4 + v5 * x5 + v6 * x6 + v7 * x7 + v8 * x8


@compiled(apart=True)
def _add_three(x: Any, p: Any, u: Any, v: Any, a: Any, b: Any) -> None:
    """The same for three k."""
    p0, p1, p2 = p[0], p[1], p[2]
    u0, u1, u2 = u[0], u[1], u[2]
    v0, v1, v2 = v[0], v[1], v[2]
    for i in range(a.size):
        j = U(i)
        x0, x1, x2 = x[j + p0], x[j + p1], x[j + p2]
        a[i] = a[i] + u0 * x0 + u1 * x1 + u2 * x2
        b[i] = b[i] + v0 * x0 + v1 * x1 + v2 * x2


@compiled(apart=True)
def _add_one(x: Any, p: Any, u: Any, v: Any, a: Any, b: Any) -> None:
    """a += u x[p :], b += v x[p :]"""
    for i in range(a.size):
        seen = x[U(i) + p]
        a[i] += u * seen
        b[i] += v * seen


@compiled(apart=True)
def _dot_three(x: Any, p: Any, a: Any, b: Any, c: Any, d: Any, made: Any) -> None:
    """made[·, k] += a · x[pₖ :], and so on, for three k"""
    p0, p1, p2 = p[0], p[1], p[2]
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = d0 = d1 = d2 = x.dtype.type(0)
    for i in range(a.size):
        j = U(i)
        x0, x1, x2 = x[j + p0], x[j + p1], x[j + p2]
        ga, gb, gc, gd = a[i], b[i], c[i], d[i]
        a0 += ga * x0
        a1 += ga * x1
        a2 += ga * x2
        b0 += gb * x0
        b1 += gb * x1
        b2 += gb * x2
        c0 += gc * x0
        c1 += gc * x1
        c2 += gc * x2
        d0 += gd * x0
        d1 += gd * x1
        d2 += gd * x2
    for k, (e0, e1, e2) in enumerate(((a0, a1, a2), (b0, b1, b2), (c0, c1, c2), (d0, d1, d2))):
        made[k, 0] += e0
        made[k, 1] += e1
        made[k, 2] += e2


@compiled(apart=True)
def _dot_one(x: Any, p: Any, a: Any, b: Any, c: Any, d: Any, made: Any) -> None:
    """made[·] += a · x[p :], and so on"""
    ta = tb = tc = td = x.dtype.type(0)
    for i in range(a.size):
        seen = x[U(i) + p]
        ta += a[i] * seen
        tb += b[i] * seen
        tc += c[i] * seen
        td += d[i] * seen
    made[0] += ta
    made[1] += tb
    made[2] += tc
    made[3] += td


@compiled(apart=True)
def _lay_out(image: Any, wide: Any, line: Any) -> None:
    """An image onto a line, each row `wide` numbers after the one before."""
    for row in range(image.shape[0]):
        start = U(row * wide)
        for j in range(image.shape[1]):
            line[start + U(j)] = image[row, j]


@compiled(apart=True)
def _take_off(line: Any, wide: Any, image: Any) -> None:
    """The reverse."""
    for row in range(image.shape[0]):
        start = U(row * wide)
        for j in range(image.shape[1]):
            image[row, j] = line[start + U(j)]


@compiled
def _lay_out_all(images: Any, high: Any, wide: Any, top: Any, left: Any, lines: Any) -> None:
    """Images (N, C, …, …) onto lines (C, ≥ N · high · wide), whose borders are there already."""
    for n in range(images.shape[0]):
        for c in range(images.shape[1]):
            _lay_out(images[n, c], wide, lines[c, (n * high + top) * wide + left :])


@compiled
def _convolve(x: Any, made: Any, w: Any, bias: Any, places: Any, grid: Any) -> None:
    high, wide, top, left, beyond, step = grid
    channels, kernel, cells = x.shape[1], places.size, high * wide
    count, last = x.shape[0], w.shape[0] - 1
    lines = np.zeros((channels, min(step, count) * cells + beyond), x.dtype)
    sums = np.empty((2, min(step, count) * cells), x.dtype)
    for first in range(0, count, step):
        images = x[first : first + step]
        _lay_out_all(images, high, wide, top, left, lines)
        length = images.shape[0] * cells
        a, b = sums[0, :length], sums[1, :length]
        for o in range(0, last + 1, 2):
            other = min(o + 1, last)
            a[:] = bias[o]
            b[:] = bias[other]
            for c in range(channels):
                k = 0
                while k + 9 <= kernel:
                    _add_nine(lines[c], places[k : k + 9], w[o, c, k : k + 9], w[other, c, k : k + 9], a, b)
                    k += 9
                while k + 3 <= kernel:
                    _add_three(lines[c], places[k : k + 3], w[o, c, k : k + 3], w[other, c, k : k + 3], a, b)
                    k += 3
                while k < kernel:
                    _add_one(lines[c], places[k], w[o, c, k], w[other, c, k], a, b)
                    k += 1
            for n in range(images.shape[0]):
                start = n * high * wide
                _take_off(a[start:], wide, made[first + n, o])
                _take_off(b[start:], wide, made[first + n, other])


@compiled
def _correlate(x: Any, g: Any, places: Any, grid: Any) -> Any:
    high, wide, top, left, beyond, step = grid
    channels, kernel, cells = x.shape[1], places.size, high * wide
    count, outputs = x.shape[0], g.shape[1]
    size = min(step, count) * cells
    lines = np.zeros((channels, size + beyond), x.dtype)
    slopes = np.zeros(((outputs + 3) // 4 * 4, size), x.dtype)
    made = np.zeros((channels, slopes.shape[0], kernel), x.dtype)
    for first in range(0, count, step):
        images = x[first : first + step]
        _lay_out_all(images, high, wide, top, left, lines)
        _lay_out_all(g[first : first + step], high, wide, 0, 0, slopes)
        length = images.shape[0] * cells
        for o in range(0, outputs, 4):
            a, b, c, d = (
                slopes[o, :length],
                slopes[o + 1, :length],
                slopes[o + 2, :length],
                slopes[o + 3, :length],
            )
            for channel in range(channels):
                k = 0
                while k + 3 <= kernel:
                    _dot_three(
                        lines[channel], places[k : k + 3], a, b, c, d, made[channel, o : o + 4, k : k + 3]
                    )
                    k += 3
                while k < kernel:
                    _dot_one(lines[channel], places[k], a, b, c, d, made[channel, o : o + 4, k])
                    k += 1
    return made


def _grid(x: ndarray, kernel: Sizes, padding: Sizes, dilation: Sizes) -> tuple[Any, ndarray]:
    """(height and width with the border, the border, how far the last windows reach beyond the end, images at once), and
    how far on each place in the kernel looks."""
    high, wide = x.shape[2] + padding[0], x.shape[3] + padding[1]
    down, right = np.arange(kernel[0]) * dilation[0], np.arange(kernel[1]) * dilation[1]
    places = np.add.outer(down * wide, right).reshape(-1)
    step = max(1, _LINE // (high * wide))
    return (high, wide, padding[0], padding[1], int(places[-1]), step), places.astype(U)


def convolve(x: ndarray, weight: ndarray, bias: Any, padding: Sizes, dilation: Sizes, out: Sizes) -> ndarray:
    """y[n, o] = bias[o] + ∑ x[n, c] shifted · weight[o, c, k, l], of (N, C, H, W) and (O, C, K, L), for windows `out`."""
    outputs, channels, *kernel = weight.shape
    made = np.empty((len(x), outputs, *out), x.dtype)
    grid, places = _grid(x, tuple(kernel), padding, dilation)
    w = np.ascontiguousarray(weight).reshape(outputs, channels, math.prod(kernel))
    b = np.zeros(outputs, x.dtype) if bias is None else np.ascontiguousarray(bias)
    spread(_convolve, x, made, w, b, places, grid, grain=_GRAIN)
    return made


def correlate(x: ndarray, g: ndarray, kernel: Sizes, padding: Sizes, dilation: Sizes) -> ndarray:
    """∑ g[n, o] · x[n, c] shifted by k, l: the gradient of the kernel (O, C, K, L)."""
    grid, places = _grid(x, kernel, padding, dilation)
    parts = spread(_correlate, x, g, places, grid, grain=_GRAIN)
    total = parts[0] if len(parts) == 1 else np.add.reduce(parts)
    made: ndarray = np.ascontiguousarray(total[:, : g.shape[1]].swapaxes(0, 1))
    return made.reshape(g.shape[1], x.shape[1], *kernel)


__all__ = ["convolve", "correlate"]
