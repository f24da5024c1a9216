"""Lines along the last dimension: softmax and layer normalisation. A line stays in the cache while it is passed over again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import SUMS, compiled
from clew.kernels.numbers import exp_or_zero, larger
from clew.kernels.threads import spread

_GRAIN = 1 << 16  # numbers that are worth a thread


def lines(a: Any) -> ndarray:
    """An array as a matrix of its lines."""
    found: ndarray = np.ascontiguousarray(a).reshape(-1, a.shape[-1])
    return found


@compiled
def _largest(line: Any) -> Any:
    """The largest number; where one is NaN, any."""
    most = line[0]
    for j in range(line.size):
        most = larger(most, line[j])
    return most


@compiled
def _raise(line: Any, scale: Any, shift: Any, out: Any) -> Any:
    """exp(scale · x − shift) into `out`, and their sum."""
    total = line.dtype.type(0)
    for j in range(line.size):
        e = exp_or_zero(scale * line[j] - shift)
        out[j] = e
        total += e
    return total


@compiled
def _softmax(x: Any, out: Any) -> None:
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        factor = one / _raise(x[i], one, _largest(x[i]), out[i])
        for j in range(x.shape[1]):
            out[i, j] *= factor


@compiled
def _softmax_back(y: Any, g: Any, out: Any) -> None:
    for i in range(y.shape[0]):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            total += y[i, j] * g[i, j]
        for j in range(y.shape[1]):
            out[i, j] = y[i, j] * (g[i, j] - total)


@compiled
def _log_softmax(x: Any, out: Any) -> None:
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        most = _largest(x[i])
        log = np.log(_raise(x[i], one, most, out[i]))
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - most - log


@compiled
def _log_softmax_back(y: Any, g: Any, out: Any) -> None:
    for i in range(y.shape[0]):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            total += g[i, j]
        for j in range(y.shape[1]):
            out[i, j] = g[i, j] - exp_or_zero(y[i, j]) * total


@compiled
def _causal_softmax(scores: Any, out: Any, scale: Any) -> None:
    factor, zero = scores.dtype.type(scale), scores.dtype.type(0)
    queries, keys = scores.shape[1:]
    for n in range(scores.shape[0]):
        for i in range(queries):
            last = min(i + 1, keys)
            seen, line = scores[n, i, :last], out[n, i]
            share = scores.dtype.type(1) / _raise(seen, factor, _largest(seen) * factor, line)
            for j in range(last):
                line[j] *= share
            for j in range(last, keys):
                line[j] = zero


@compiled
def _layer_norm(x: Any, weight: Any, bias: Any, eps: Any, out: Any, means: Any, scales: Any) -> None:
    count, one = x.dtype.type(x.shape[1]), x.dtype.type(1)
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        mean = total / count
        squares = x.dtype.type(0)
        for j in range(x.shape[1]):
            squares += (x[i, j] - mean) * (x[i, j] - mean)
        scale = one / np.sqrt(squares / count + x.dtype.type(eps))
        means[i], scales[i] = mean, scale
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean) * scale * weight[j] + bias[j]


@compiled(math=SUMS)  # g weight − mean is 0 where a line has one number
def _layer_norm_back(x: Any, g: Any, means: Any, scales: Any, weight: Any, out: Any) -> Any:
    count = x.dtype.type(x.shape[1])
    of_weight, of_bias = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    for i in range(x.shape[0]):
        mean, scale = means[i], scales[i]
        total, slope = x.dtype.type(0), x.dtype.type(0)
        for j in range(x.shape[1]):
            normal, h = (x[i, j] - mean) * scale, g[i, j] * weight[j]
            total += h
            slope += h * normal
        total /= count
        slope /= count
        for j in range(x.shape[1]):
            normal = (x[i, j] - mean) * scale
            out[i, j] = (g[i, j] * weight[j] - total - normal * slope) * scale
            of_weight[j] += g[i, j] * normal
            of_bias[j] += g[i, j]
    return of_weight, of_bias


def _over(loop: Any, first: ndarray, *others: Any) -> ndarray:
    made = np.empty(first.shape, first.dtype)
    spread(loop, lines(first), *[lines(a) for a in others], lines(made), grain=_GRAIN)
    return made


def softmax(x: ndarray) -> ndarray:
    """exp(x − max) / ∑ exp(x − max) of each line"""
    return _over(_softmax, x)


def softmax_back(y: ndarray, g: ndarray) -> ndarray:
    """y (g − ∑ g y)"""
    return _over(_softmax_back, y, g)


def log_softmax(x: ndarray) -> ndarray:
    """x − max − log ∑ exp(x − max) of each line"""
    return _over(_log_softmax, x)


def log_softmax_back(y: ndarray, g: ndarray) -> ndarray:
    """g − exp(y) ∑ g"""
    return _over(_log_softmax_back, y, g)


def causal_softmax(scores: ndarray, scale: float) -> ndarray:
    """softmax(scale · scores) of (…, queries, keys), query i over the keys 0 … i, 0 beyond them; scale > 0."""
    made = np.empty(scores.shape, scores.dtype)
    planes = [a.reshape(-1, *a.shape[-2:]) for a in (scores, made)]
    spread(_causal_softmax, *planes, scale, grain=_GRAIN >> 2)
    return made


def layer_norm(x: ndarray, weight: Any, bias: Any, eps: float) -> tuple[ndarray, ndarray, ndarray]:
    """(x − μ) / √(σ² + ε) · weight + bias of each line, μ, and 1 / √(σ² + ε)."""
    width = x.shape[-1]
    made = np.empty(x.shape, x.dtype)
    means, scales = np.empty((*x.shape[:-1], 1), x.dtype), np.empty((*x.shape[:-1], 1), x.dtype)
    spread(
        _affine_lines(_layer_norm, weight, bias, width, x.dtype, eps), lines(x), lines(made), means.reshape(-1), scales.reshape(-1),
        grain=_GRAIN,
    )  # fmt: skip
    return made, means, scales


def _affine_lines(loop: Any, weight: Any, bias: Any, width: int, dtype: Any, eps: float) -> Any:
    scale = np.ones(width, dtype) if weight is None else np.ascontiguousarray(weight)
    shift = np.zeros(width, dtype) if bias is None else np.ascontiguousarray(bias)
    return lambda x, out, means, scales: loop(x, scale, shift, eps, out, means, scales)


def layer_norm_back(
    x: ndarray, g: ndarray, mean: ndarray, rstd: ndarray, weight: Any
) -> tuple[ndarray, ndarray, ndarray]:
    """The gradients of x, of the weight and of the bias."""
    scale = np.ones(x.shape[-1], x.dtype) if weight is None else np.ascontiguousarray(weight)
    made = np.empty(x.shape, x.dtype)
    parts = spread(
        lambda x, g, mean, rstd, out: _layer_norm_back(x, g, mean, rstd, scale, out),
        lines(x), lines(g), mean.reshape(-1), rstd.reshape(-1), lines(made), grain=_GRAIN,
    )  # fmt: skip
    of_weight, of_bias = parts[0]
    for more_weight, more_bias in parts[1:]:
        of_weight += more_weight
        of_bias += more_bias
    return made, of_weight, of_bias
