"""Recurrent layers: one primitive runs a whole sequence, and its derivative is backpropagation through time.

Shapes: x (T, B, I), h₀ (B, H), weights (k·H, I) and (k·H, H), biases (k·H); k is 1 for a plain layer, 3 for a GRU, 4 for an
LSTM. The products with x are made for all steps at once; each step multiplies only the state. `reverse` runs from the last
step to the first. (Hochreiter and Schmidhuber 1997; Cho et al. 2014; Werbos 1990 for the derivative.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import raw
from clew.core.modes import switches
from clew.core.primitive import Primitive
from clew.kernels import matrices, pick
from clew.ops.activation import relu
from clew.ops.elementwise import sigmoid
from clew.ops.join import stack
from clew.ops.linalg import linear
from clew.ops.parts import chunk
from clew.ops.trigonometry import tanh

_NARROW = 1 << 19  # bytes of a matrix that stays in a core's cache


# ---- one step on tensors: the cells, and what the second derivatives are made of ---------------------------------------
def rnn_cell(
    x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, squash: Any = tanh
) -> Any:
    """h′ = tanh(W·x + b + U·h + c), or with relu."""
    return squash(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))


def lstm_cell(
    x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    """c′ = f·c + i·g and h′ = o·tanh(c′), where i, f, o = σ(…) and g = tanh(…) of W·x + b + U·h + c."""
    i, f, g, o = chunk(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh), 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_cell(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """h′ = (1 − z)·n + z·h, where r, z = σ(…) and n = tanh(W·x + b + r·(U·h + c))."""
    xr, xz, xn = chunk(linear(x, w_ih, b_ih), 3, -1)
    hr, hz, hn = chunk(linear(h, w_hh, b_hh), 3, -1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    return (h - n) * z + n


# ---- whole sequences on arrays ---------------------------------------------------------------------------------------
def _squashed(x: ndarray) -> ndarray:
    """1 / (1 + e⁻ˣ), in place."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    return np.reciprocal(x, out=x)


def _steps(count: int, reverse: bool) -> range:
    return range(count - 1, -1, -1) if reverse else range(count)


def _projected(x: ndarray, weight: ndarray, *biases: ndarray | None) -> ndarray:
    """The products with the input for all steps."""
    made = matrices.dot(x.reshape(-1, x.shape[-1]), weight.T).reshape(*x.shape[:-1], len(weight))
    given = [bias for bias in biases if bias is not None]
    if given:
        made += given[0] if len(given) == 1 else given[0] + given[1]
    return made


def _before(out: ndarray, h0: ndarray, reverse: bool) -> ndarray:
    """The state that each step began with."""
    made = np.empty_like(out)
    if reverse:
        made[:-1], made[-1] = out[1:], h0
    else:
        made[1:], made[0] = out[:-1], h0
    return made


def _weights_back(
    dgates: ndarray, x: ndarray, out: ndarray, h0: ndarray, dstate: ndarray, w_ih: ndarray, reverse: bool, needs: Sequence[bool]
) -> list[Any]:  # fmt: skip
    """Gradients of the input (if needed) and the weights, from those of all steps' sums. dstate: those of the products with the
    state, which was h₀ in the first step taken, and then what each step before gave."""
    flat, flat_state = dgates.reshape(-1, dgates.shape[-1]), dstate.reshape(-1, dstate.shape[-1])
    batch, wide = len(h0), h0.shape[-1]
    later, states = (flat_state[:-batch], out[1:]) if reverse else (flat_state[batch:], out[:-1])
    of_state = matrices.dot((flat_state[-batch:] if reverse else flat_state[:batch]).T, h0)
    if len(later):
        of_state += matrices.dot(later.T, states.reshape(-1, wide))
    of_bias = matrices.sum_rows(flat) if needs[-2] else None
    return [
        matrices.dot(flat, w_ih).reshape(x.shape) if needs[0] else None,
        matrices.dot(flat.T, x.reshape(-1, x.shape[-1])),
        of_state,
        of_bias,
        None
        if not needs[-1]
        else of_bias.copy()
        if dstate is dgates and of_bias is not None
        else matrices.sum_rows(flat_state),
    ]


def _rnn_forward(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, reverse: bool, squash: str
) -> ndarray:
    out = _projected(x, w_ih, b_ih, b_hh)
    h, turned = h0, np.ascontiguousarray(w_hh.T)
    for t in _steps(len(x), reverse):
        out[t] += matrices.dot(h, turned)
        h = np.tanh(out[t], out=out[t]) if squash == "tanh" else np.maximum(out[t], 0, out=out[t])
    return out


def _rnn_back(
    g: Any, needs: Sequence[bool], x: Any, h0: Any, w_ih: Any, w_hh: Any, out: Any, reverse: bool, squash: str
) -> list[Any]:
    slope = 1 - out * out if squash == "tanh" else (out > 0).astype(out.dtype)
    dgates, dh = np.empty_like(out), np.zeros_like(h0)
    for t in _steps(len(x), not reverse):
        np.multiply(g[t] + dh, slope[t], out=dgates[t])
        dh = matrices.dot(dgates[t], w_hh)
    dx, *weights = _weights_back(dgates, x, out, h0, dgates, w_ih, reverse, needs)
    return [dx, dh, *weights]


def _lstm_forward(
    x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, reverse: bool
) -> Any:
    gates = _projected(x, w_ih, b_ih, b_hh)
    count, batch, width = len(x), x.shape[1], h0.shape[1]
    out, cells, tanhs = (np.empty((count, batch, width), gates.dtype) for _ in range(3))
    if w_hh.nbytes <= _NARROW and (run := pick("lstm", gates, h0, c0)) and batch:
        run(gates, h0, c0, w_hh, cells, tanhs, out, reverse)
        return out, (cells[0] if reverse else cells[-1]).copy(), gates, cells, tanhs
    h, c, turned = h0, c0, np.ascontiguousarray(w_hh.T)
    for t in _steps(count, reverse):
        a = gates[t]
        a += matrices.dot(h, turned)
        g = np.tanh(a[:, 2 * width : 3 * width])
        _squashed(a)
        a[:, 2 * width : 3 * width] = g
        i, f, o = a[:, :width], a[:, width : 2 * width], a[:, 3 * width :]
        np.multiply(f, c, out=cells[t])
        c = np.add(cells[t], i * g, out=cells[t])
        h = np.multiply(o, np.tanh(c, out=tanhs[t]), out=out[t])
    return out, c.copy(), gates, cells, tanhs


def _lstm_back(
    g: Any, gc: Any, needs: Sequence[bool], x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, out: Any, gates: Any, cells: Any,
    tanhs: Any, reverse: bool,
) -> list[Any]:  # fmt: skip
    width = h0.shape[1]
    dgates, dh, dc = np.empty_like(gates), np.zeros_like(h0), gc
    if w_hh.nbytes <= _NARROW and (run := pick("lstm_back", gates, cells, tanhs, c0)) and len(c0):
        dh, dc = run(g, gc, gates, c0, w_hh, cells, tanhs, dgates, reverse)
        dx, *weights = _weights_back(dgates, x, out, h0, dgates, w_ih, reverse, needs)
        return [dx, dh, dc, *weights]
    before_c = _before(cells, c0, reverse)
    # The local derivatives of all steps at once: of σ it is s·(1 − s), of tanh 1 − t².
    slopes = gates * (1 - gates)
    slopes[:, :, 2 * width : 3 * width] = 1 - gates[:, :, 2 * width : 3 * width] ** 2
    to_cell = gates[:, :, 3 * width :] * (1 - tanhs * tanhs)
    for t in _steps(len(x), not reverse):
        a, d = gates[t], dgates[t]
        dh = g[t] + dh
        dc = dc + dh * to_cell[t]
        np.multiply(dc, a[:, 2 * width : 3 * width], out=d[:, :width])
        np.multiply(dc, before_c[t], out=d[:, width : 2 * width])
        np.multiply(dc, a[:, :width], out=d[:, 2 * width : 3 * width])
        np.multiply(dh, tanhs[t], out=d[:, 3 * width :])
        d *= slopes[t]
        dh = matrices.dot(d, w_hh)
        dc = dc * a[:, width : 2 * width]
    dx, *weights = _weights_back(dgates, x, out, h0, dgates, w_ih, reverse, needs)
    return [dx, dh, dc, *weights]


def _gru_forward(x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, reverse: bool) -> Any:
    gates = _projected(x, w_ih, b_ih)
    count, batch, width = len(x), x.shape[1], h0.shape[1]
    out, inner = (np.empty((count, batch, width), gates.dtype) for _ in range(2))
    h, turned = h0, np.ascontiguousarray(w_hh.T)
    for t in _steps(count, reverse):
        a, s = gates[t], matrices.dot(h, turned)
        if b_hh is not None:
            s += b_hh
        rz = a[:, : 2 * width]
        rz += s[:, : 2 * width]
        _squashed(rz)
        inner[t] = s[:, 2 * width :]
        n = a[:, 2 * width :]
        n += rz[:, :width] * inner[t]
        np.tanh(n, out=n)
        h = np.add((h - n) * rz[:, width:], n, out=out[t])
    return out, gates, inner


def _gru_back(
    g: Any, needs: Sequence[bool], x: Any, h0: Any, w_ih: Any, w_hh: Any, out: Any, gates: Any, inner: Any, reverse: bool
) -> list[Any]:  # fmt: skip
    width = h0.shape[1]
    before = _before(out, h0, reverse)
    dgates, dstate, dh = np.empty_like(gates), np.empty_like(gates), np.zeros_like(h0)
    for t in _steps(len(x), not reverse):
        r, z, n = gates[t, :, :width], gates[t, :, width : 2 * width], gates[t, :, 2 * width :]
        dh = g[t] + dh
        dn = dh * (1 - z) * (1 - n * n)
        d = dgates[t]
        d[:, :width] = dn * inner[t] * r * (1 - r)
        d[:, width : 2 * width] = dh * (before[t] - n) * z * (1 - z)
        d[:, 2 * width :] = dn
        s = dstate[t]
        s[:, : 2 * width] = d[:, : 2 * width]
        s[:, 2 * width :] = dn * r
        dh = dh * z + matrices.dot(s, w_hh)
    dx, *weights = _weights_back(dgates, x, out, h0, dstate, w_ih, reverse, needs)
    return [dx, dh, *weights]


# ---- primitives ------------------------------------------------------------------------------------------------------
def _again(
    run: Callable[..., Sequence[Any]], inputs: Sequence[Any], needs: Sequence[bool], cotangents: Sequence[Any]
) -> list[Any]:
    """The gradients as tensors: the sequence runs again step by step, and is differentiated with its history."""
    from clew.core.engine import Walk
    from clew.core.node import user_place

    before, switches.grad = switches.grad, True
    switches.note()
    try:
        own = [v if v is None or not need else v.view_as(v) if v._edge is not None else v.detach().requires_grad_() for v, need in zip(inputs, needs, strict=True)]  # fmt: skip
        edges = [o.edge() if need and o is not None else None for o, need in zip(own, needs, strict=True)]
        roots = [(r.edge(), g) for r, g in zip(run(*own), cotangents, strict=True) if r.edge() is not None]
        walk = Walk(True, True, [e for e in edges if e is not None])
        walk.run(roots, user_place(2))
    finally:
        switches.grad = before
        switches.note()
    return [None if e is None else walk.captured.get(e) for e in edges]


def _over_time(cell: Callable[[Any, Any], Any], x: Any, state: Any, reverse: bool) -> tuple[list[Any], Any]:
    """The states of all steps, and the last one."""
    found: list[Any] = [None] * x.shape[0]
    for t in _steps(x.shape[0], reverse):
        state = cell(x[t], state)
        found[t] = state
    return found, state


def _rnn_vjp(
    xp: Any, g: Any, needs: Any, x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, out: Any, reverse: bool, squash: str
) -> Any:  # fmt: skip
    if xp is raw:
        return _rnn_back(g, needs, x, h0, w_ih, w_hh, out, reverse, squash)

    def run(x: Any, h0: Any, *weights: Any) -> Any:
        function = tanh if squash == "tanh" else relu
        w, r, b, c = weights
        return (stack(_over_time(lambda v, h: rnn_cell(v, h, w, r, b, c, function), x, h0, reverse)[0]),)

    return _again(run, (x, h0, w_ih, w_hh, b_ih, b_hh), needs, (g,))


rnn_layer = Primitive(
    "rnn_layer", _rnn_forward, _rnn_vjp, node="StackBackward0", explain="a recurrent layer over a sequence; the gradient goes back through time"
)  # fmt: skip


def _lstm_vjp(
    xp: Any, g: Any, needs: Any, x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, out: Any, gates: Any,
    cells: Any, tanhs: Any, reverse: bool,
) -> Any:  # fmt: skip
    if xp is raw:
        return _lstm_back(g[0], g[1], needs, x, h0, c0, w_ih, w_hh, out, gates, cells, tanhs, reverse)

    def run(x: Any, h0: Any, c0: Any, *weights: Any) -> Any:
        steps, (_, c) = _over_time(lambda v, hc: lstm_cell(v, *hc, *weights), x, (h0, c0), reverse)
        return stack([h for h, _ in steps]), c

    return _again(run, (x, h0, c0, w_ih, w_hh, b_ih, b_hh), needs, g)


lstm_layer = Primitive(
    "lstm_layer", _lstm_forward, _lstm_vjp, outputs=("out", "cell"), aux={"gates": None, "cells": None, "tanhs": None},
    node="StackBackward0", explain="an LSTM layer over a sequence; the gradient goes back through time",
)  # fmt: skip


def _gru_vjp(
    xp: Any, g: Any, needs: Any, x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, out: Any, gates: Any, inner: Any,
    reverse: bool,
) -> Any:  # fmt: skip
    if xp is raw:
        return _gru_back(g, needs, x, h0, w_ih, w_hh, out, gates, inner, reverse)

    def run(x: Any, h0: Any, *weights: Any) -> Any:
        return (stack(_over_time(lambda v, h: gru_cell(v, h, *weights), x, h0, reverse)[0]),)

    return _again(run, (x, h0, w_ih, w_hh, b_ih, b_hh), needs, (g,))


gru_layer = Primitive(
    "gru_layer", _gru_forward, _gru_vjp, aux={"gates": None, "inner": None}, node="StackBackward0",
    explain="a GRU layer over a sequence; the gradient goes back through time",
)  # fmt: skip
