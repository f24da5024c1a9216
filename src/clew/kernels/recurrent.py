"""An LSTM over a sequence: all steps in one call, each thread some of the batch's rows, which know nothing of one another.

What is multiplied at each step is small; the product is made here too, from lines of the matrix that stay in the cache. Wide layers leave it to BLAS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import compiled
from clew.kernels.numbers import sigmoid, tanh
from clew.kernels.threads import spread

U = np.uint64  # an index that cannot be negative needs no test
_ROWS = 8  # rows of the batch that are worth a thread


@compiled(apart=True)
def _add_five(x: Any, p: Any, r: Any, s: Any, t: Any, u: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    """a += ∑ₖ rₖ x[pₖ :], and so on, for five k: five numbers and four sums are read for twenty products."""
    p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
    r0, r1, r2, r3, r4 = r[0], r[1], r[2], r[3], r[4]
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    t0, t1, t2, t3, t4 = t[0], t[1], t[2], t[3], t[4]
    u0, u1, u2, u3, u4 = u[0], u[1], u[2], u[3], u[4]
    for i in range(a.size):
        j = U(i)
        x0, x1, x2, x3, x4 = x[j + p0], x[j + p1], x[j + p2], x[j + p3], x[j + p4]
        a[i] = a[i] + r0 * x0 + r1 * x1 + r2 * x2 + r3 * x3 + r4 * x4
        b[i] = b[i] + s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3 + s4 * x4
        c[i] = c[i] + t0 * x0 + t1 * x1 + t2 * x2 + t3 * x3 + t4 * x4
        d[i] = d[i] + u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3 + u4 * x4


@compiled(apart=True)
def _add_two(x: Any, p: Any, r: Any, s: Any, t: Any, u: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    """The same for two k."""
    p0, p1 = p[0], p[1]
    r0, r1, s0, s1, t0, t1, u0, u1 = r[0], r[1], s[0], s[1], t[0], t[1], u[0], u[1]
    for i in range(a.size):
        j = U(i)
        x0, x1 = x[j + p0], x[j + p1]
        a[i] = a[i] + r0 * x0 + r1 * x1
        b[i] = b[i] + s0 * x0 + s1 * x1
        c[i] = c[i] + t0 * x0 + t1 * x1
        d[i] = d[i] + u0 * x0 + u1 * x1


@compiled(apart=True)
def _add_one(x: Any, p: Any, r: Any, s: Any, t: Any, u: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    """The same for one k."""
    for i in range(a.size):
        seen = x[U(i) + p]
        a[i] += r * seen
        b[i] += s * seen
        c[i] += t * seen
        d[i] += u * seen


@compiled
def _times(rows: Any, matrix: Any, starts: Any, made: Any) -> None:
    """made += rows · M, of M's lines one after another and where each begins; four rows at a time."""
    last = rows.shape[0] - 1
    nobody = np.empty((3, made.shape[1]), made.dtype)
    for n in range(0, last + 1, 4):
        r, s, t, u = rows[n], rows[min(n + 1, last)], rows[min(n + 2, last)], rows[min(n + 3, last)]
        a = made[n]
        b = made[n + 1] if n + 1 <= last else nobody[0]
        c = made[n + 2] if n + 2 <= last else nobody[1]
        d = made[n + 3] if n + 3 <= last else nobody[2]
        k = 0
        while k + 5 <= r.size:
            e = k + 5
            _add_five(matrix, starts[k:e], r[k:e], s[k:e], t[k:e], u[k:e], a, b, c, d)
            k = e
        while k + 2 <= r.size:
            e = k + 2
            _add_two(matrix, starts[k:e], r[k:e], s[k:e], t[k:e], u[k:e], a, b, c, d)
            k = e
        if k < r.size:
            _add_one(matrix, starts[k], r[k], s[k], t[k], u[k], a, b, c, d)


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
def _lstm(first: Any, last: Any, reverse: Any, gates: Any, h0: Any, c0: Any, turned: Any, starts: Any, cells: Any, flats: Any, out: Any) -> None:  # fmt: skip
    count, _, wide = gates.shape
    width = wide // 4
    for step in range(count):
        t = count - 1 - step if reverse else step
        earlier = t + 1 if reverse else t - 1
        h, c = (out[earlier], cells[earlier]) if step else (h0, c0)
        _times(h[first:last], turned, starts, gates[t, first:last])
        for row in range(first, last):
            a = gates[t, row]
            i, f, g, o = a[:width], a[width : 2 * width], a[2 * width : 3 * width], a[3 * width :]
            _squash(a[: 2 * width])
            _flatten(g)
            _squash(o)
            _cell(i, f, g, o, c[row], cells[t, row], flats[t, row], out[t, row])


@compiled(apart=True)
def _cell_back(
    g: Any, dh: Any, dc: Any, i: Any, f: Any, n: Any, o: Any, before: Any, flat: Any, di: Any, df: Any, dn: Any, do: Any
) -> None:  # fmt: skip
    """The gradients of a step's sums; dc becomes that of the cell before it, and dh 0."""
    one, zero = g.dtype.type(1), g.dtype.type(0)
    for j in range(g.size):
        h = dh[j] + g[j]
        dh[j] = zero
        c = dc[j] + h * (o[j] * (one - flat[j] * flat[j]))
        di[j] = c * n[j] * (i[j] * (one - i[j]))
        df[j] = c * before[j] * (f[j] * (one - f[j]))
        dn[j] = c * i[j] * (one - n[j] * n[j])
        do[j] = h * flat[j] * (o[j] * (one - o[j]))
        dc[j] = c * f[j]


@compiled
def _lstm_back(first: Any, last: Any, reverse: Any, g: Any, dh: Any, dc: Any, gates: Any, c0: Any, weight: Any, starts: Any, cells: Any, flats: Any, made: Any) -> None:  # fmt: skip
    count, _, wide = gates.shape
    width = wide // 4
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
        _times(made[t, first:last], weight, starts, dh[first:last])


def _lines(matrix: ndarray) -> tuple[ndarray, ndarray]:
    return np.ascontiguousarray(matrix).reshape(-1), np.arange(matrix.shape[0], dtype=U) * U(matrix.shape[1])


def lstm(
    gates: ndarray, h0: ndarray, c0: ndarray, weight: ndarray, cells: ndarray, flats: ndarray, out: ndarray, reverse: bool
) -> None:  # fmt: skip
    """gates (T, B, 4H): W x + b of all steps, which become i, f, g, o; the cells, their tanh and the states of all steps."""
    turned, starts = _lines(weight.T)
    h0, c0 = np.array(h0), np.array(c0)
    spread(
        lambda rows: _lstm(rows[0], rows[-1] + 1, reverse, gates, h0, c0, turned, starts, cells, flats, out),
        np.arange(len(h0)), grain=_ROWS,
    )  # fmt: skip


def lstm_back(
    g: ndarray, dc: ndarray, gates: ndarray, c0: ndarray, weight: ndarray, cells: ndarray, flats: ndarray, made: ndarray,
    reverse: bool,
) -> tuple[ndarray, ndarray]:  # fmt: skip
    """The gradients of all steps' sums, in `made`, and of h₀ and c₀."""
    lines, starts = _lines(weight)
    g, c0, dc = np.ascontiguousarray(g), np.array(c0), np.array(dc, order="C")
    dh = np.zeros_like(c0)
    spread(
        lambda rows: _lstm_back(rows[0], rows[-1] + 1, reverse, g, dh, dc, gates, c0, lines, starts, cells, flats, made),
        np.arange(len(c0)), grain=_ROWS,
    )  # fmt: skip
    return dh, dc


__all__ = ["lstm", "lstm_back"]
