"""An LSTM over a sequence: all steps in one call, each thread some of the batch's rows, which know nothing of one another.

What is multiplied at each step is small; the product is made here too, of a matrix that stays in the cache. Wide layers leave it
to BLAS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import compiled
from clew.kernels.numbers import sigmoid, tanh
from clew.kernels.products import BYTES, address_of_product, one_product
from clew.kernels.threads import spread

_ROWS = 8  # rows of the batch that are worth a thread


@compiled
def _times(function: int, rows: Any, matrix: Any, made: Any, room: Any) -> None:
    """made = rows · M. function: the address of `product`; room: for its tiles."""
    size = made.itemsize
    one_product(
        function, rows.ctypes.data, matrix.ctypes.data, made.ctypes.data, room.ctypes.data, made[0, 0],
        rows.strides[0] // size, 1, matrix.shape[1], 1, made.shape[1], made.shape[0], matrix.shape[0], matrix.shape[1], size,
    )  # fmt: skip


@compiled(apart=True)
def _add(a: Any, b: Any) -> None:
    for j in range(a.size):
        a[j] += b[j]


@compiled
def _squash(a: Any) -> None:
    for j in range(a.size):
        a[j] = sigmoid(a[j])


@compiled
def _flatten(a: Any) -> None:
    for j in range(a.size):
        a[j] = tanh(a[j])


@compiled(apart=True)
def _cell(i: Any, f: Any, g: Any, o: Any, before: Any, cell: Any, flat: Any, out: Any) -> None:
    """c′ = f c + i g, h′ = o tanh c′"""
    for j in range(i.size):
        cell[j] = f[j] * before[j] + i[j] * g[j]
    for j in range(i.size):
        flat[j] = tanh(cell[j])
    for j in range(i.size):
        out[j] = o[j] * flat[j]


@compiled
def _lstm(function: int, first: Any, last: Any, reverse: Any, gates: Any, h0: Any, c0: Any, turned: Any, cells: Any, flats: Any, out: Any) -> None:  # fmt: skip
    count, _, wide = gates.shape
    width = wide // 4
    of_state = np.empty((last - first, wide), gates.dtype)
    room = np.empty(width * BYTES // gates.itemsize, gates.dtype)
    for step in range(count):
        t = count - 1 - step if reverse else step
        earlier = t + 1 if reverse else t - 1
        h, c = (out[earlier], cells[earlier]) if step else (h0, c0)
        _times(function, h[first:last], turned, of_state, room)
        for row in range(first, last):
            a = gates[t, row]
            _add(a, of_state[row - first])
            i, f, g, o = a[:width], a[width : 2 * width], a[2 * width : 3 * width], a[3 * width :]
            _squash(a[: 2 * width])
            _flatten(g)
            _squash(o)
            _cell(i, f, g, o, c[row], cells[t, row], flats[t, row], out[t, row])


@compiled(apart=True)
def _cell_back(
    g: Any, dh: Any, dc: Any, i: Any, f: Any, n: Any, o: Any, before: Any, flat: Any, di: Any, df: Any, dn: Any, do: Any
) -> None:  # fmt: skip
    """The gradients of a step's sums; dc becomes that of the cell before it."""
    one = g.dtype.type(1)
    for j in range(g.size):
        h = dh[j] + g[j]
        c = dc[j] + h * (o[j] * (one - flat[j] * flat[j]))
        di[j] = c * n[j] * (i[j] * (one - i[j]))
        df[j] = c * before[j] * (f[j] * (one - f[j]))
        dn[j] = c * i[j] * (one - n[j] * n[j])
        do[j] = h * flat[j] * (o[j] * (one - o[j]))
        dc[j] = c * f[j]


@compiled
def _lstm_back(function: int, first: Any, last: Any, reverse: Any, g: Any, dh: Any, dc: Any, gates: Any, c0: Any, weight: Any, cells: Any, flats: Any, made: Any) -> None:  # fmt: skip
    count, _, wide = gates.shape
    width = wide // 4
    room = np.empty(wide * BYTES // gates.itemsize, gates.dtype)
    for step in range(count):
        t = step if reverse else count - 1 - step
        earlier = t + 1 if reverse else t - 1
        c = c0 if step == count - 1 else cells[earlier]
        for row in range(first, last):
            a, d = gates[t, row], made[t, row]
            _cell_back(
                g[t, row], dh[row], dc[row], a[:width], a[width : 2 * width], a[2 * width : 3 * width], a[3 * width :],
                c[row], flats[t, row], d[:width], d[width : 2 * width], d[2 * width : 3 * width], d[3 * width :],
            )  # fmt: skip
        _times(function, made[t, first:last], weight, dh[first:last], room)


def lstm(
    gates: ndarray, h0: ndarray, c0: ndarray, weight: ndarray, cells: ndarray, flats: ndarray, out: ndarray, reverse: bool
) -> None:  # fmt: skip
    """gates (T, B, 4H): W x + b of all steps, which become i, f, g, o; the cells, their tanh and the states of all steps."""
    turned, h0, c0 = np.ascontiguousarray(weight.T), np.array(h0, order="C"), np.array(c0, order="C")
    function = address_of_product("f4" if gates.itemsize == 4 else "f8")
    spread(
        lambda rows: _lstm(function, rows[0], rows[-1] + 1, reverse, gates, h0, c0, turned, cells, flats, out),
        np.arange(len(h0)), grain=_ROWS,
    )  # fmt: skip


def lstm_back(
    g: ndarray, dc: ndarray, gates: ndarray, c0: ndarray, weight: ndarray, cells: ndarray, flats: ndarray, made: ndarray,
    reverse: bool,
) -> tuple[ndarray, ndarray]:  # fmt: skip
    """The gradients of all steps' sums, in `made`, and of h₀ and c₀."""
    weight, g = np.ascontiguousarray(weight), np.ascontiguousarray(g)
    c0, dc = np.array(c0, order="C"), np.array(dc, order="C")
    function = address_of_product("f4" if g.itemsize == 4 else "f8")
    dh = np.zeros_like(c0)
    spread(
        lambda rows: _lstm_back(
            function, rows[0], rows[-1] + 1, reverse, g, dh, dc, gates, c0, weight, cells, flats, made
        ),
        np.arange(len(c0)), grain=_ROWS,
    )  # fmt: skip
    return dh, dc


__all__ = ["lstm", "lstm_back"]
