"""One step of an LSTM over a batch: what lies between two matrix products, in one call. The loops are short and many so that
each uses few arrays, which the compiler can tell apart, and runs on vectors."""

from __future__ import annotations

from typing import Any

from clew.kernels.compiling import compiled
from clew.kernels.numbers import sigmoid, tanh


@compiled
def _squash(a: Any, s: Any) -> None:
    for j in range(a.size):
        a[j] = sigmoid(a[j] + s[j])


@compiled
def lstm_step(t: int, sums: Any, gates: Any, before: Any, cells: Any, tanhs: Any, out: Any) -> None:
    """gates[t] + sums → i, f, g, o; c′ = f c + i g; h′ = o tanh c′. before: c."""
    width = before.shape[1]
    for b in range(before.shape[0]):
        a, s, c = gates[t, b], sums[b], before[b]
        _squash(a[: 2 * width], s[: 2 * width])
        _squash(a[3 * width :], s[3 * width :])
        n, m = a[2 * width : 3 * width], s[2 * width : 3 * width]
        for j in range(n.size):
            n[j] = tanh(n[j] + m[j])
        cell, squashed, h = cells[t, b], tanhs[t, b], out[t, b]
        for j in range(width):
            cell[j] = a[width + j] * c[j] + a[j] * a[2 * width + j]
        for j in range(width):
            squashed[j] = tanh(cell[j])
        for j in range(width):
            h[j] = a[3 * width + j] * squashed[j]


@compiled
def lstm_step_back(
    t: int, g: Any, dh: Any, dc: Any, gates: Any, before: Any, tanhs: Any, dgates: Any
) -> None:
    """The gradients of a step's sums, and in place of `dc` that of the cell before it; `dh` is used up. before: c."""
    width = before.shape[1]
    one = gates.dtype.type(1)
    for b in range(before.shape[0]):
        a, d, c, u, sh, sc = gates[t, b], dgates[t, b], before[b], tanhs[t, b], dh[b], dc[b]
        for j in range(width):
            sh[j] += g[t, b, j]
        for j in range(width):
            sc[j] += sh[j] * (a[3 * width + j] * (one - u[j] * u[j]))
        for j in range(width):
            d[j] = sc[j] * a[2 * width + j] * (a[j] * (one - a[j]))
        for j in range(width):
            d[width + j] = sc[j] * c[j] * (a[width + j] * (one - a[width + j]))
        for j in range(width):
            d[2 * width + j] = sc[j] * a[j] * (one - a[2 * width + j] * a[2 * width + j])
        for j in range(width):
            d[3 * width + j] = sh[j] * u[j] * (a[3 * width + j] * (one - a[3 * width + j]))
        for j in range(width):
            sc[j] *= a[width + j]
