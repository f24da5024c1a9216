"""Sums, and losses of pairs of numbers: summed, and their slopes, in one pass."""

from __future__ import annotations

from typing import Any

from numpy import ndarray

from clew.kernels.compiling import compiled
from clew.kernels.elementwise import flat, over
from clew.kernels.numbers import exp_or_zero, log1p, sigmoid
from clew.kernels.threads import spread

_GRAIN = 1 << 16
_LINE = 1 << 10  # numbers summed in the arrays' own type before the sums are summed in double precision


@compiled
def _total(x: Any) -> Any:
    total = 0.0
    for start in range(0, x.size, _LINE):
        a = x[start : start + _LINE]
        part = x.dtype.type(0)
        for i in range(a.size):
            part += a[i]
        total += part
    return total


@compiled
def _mse(x: Any, y: Any) -> Any:
    total = 0.0
    for start in range(0, x.size, _LINE):
        a, b = x[start : start + _LINE], y[start : start + _LINE]
        part = x.dtype.type(0)
        for i in range(a.size):
            part += (a[i] - b[i]) * (a[i] - b[i])
        total += part
    return total


@compiled
def _mse_back(x: Any, y: Any, out: Any, share: Any) -> None:
    factor = x.dtype.type(2 * share)
    for i in range(x.size):
        out[i] = (x[i] - y[i]) * factor


@compiled
def _bent(x: Any, y: Any, bend: Any, curve: Any, slope: Any) -> Any:
    """∑ ½ curve d² where d = |x − y| ≤ bend, else slope (d − ½ bend)"""
    edge, half_curve, steep = x.dtype.type(bend), x.dtype.type(0.5 * curve), x.dtype.type(slope)
    shift = x.dtype.type(0.5 * bend)
    total = 0.0
    for start in range(0, x.size, _LINE):
        a, b = x[start : start + _LINE], y[start : start + _LINE]
        part = x.dtype.type(0)
        for i in range(a.size):
            d = abs(a[i] - b[i])
            part += half_curve * d * d if d <= edge else steep * (d - shift)
        total += part
    return total


@compiled
def _bent_back(x: Any, y: Any, out: Any, curve: Any, slope: Any) -> None:
    scale, most = x.dtype.type(curve), x.dtype.type(abs(slope))
    for i in range(x.size):
        v = (x[i] - y[i]) * scale
        v = most if v > most else v
        out[i] = -most if v < -most else v


@compiled
def _bce_logits(x: Any, y: Any) -> Any:
    zero = x.dtype.type(0)
    total = 0.0
    for start in range(0, x.size, _LINE):
        a, b = x[start : start + _LINE], y[start : start + _LINE]
        part = x.dtype.type(0)
        for i in range(a.size):
            v = a[i]
            most = v if v > zero else zero
            part += most - v * b[i] + log1p(exp_or_zero(-abs(v)))
        total += part
    return total


@compiled
def _bce_logits_back(x: Any, y: Any, out: Any, share: Any) -> None:
    factor = x.dtype.type(share)
    for i in range(x.size):
        out[i] = (sigmoid(x[i]) - y[i]) * factor


def total(x: ndarray) -> Any:
    """∑ x, of float32"""
    return x.dtype.type(sum(spread(_total, flat(x), grain=_GRAIN << 2)))


def _sum(loop: Any, x: ndarray, y: ndarray, *numbers: float) -> Any:
    return x.dtype.type(sum(spread(loop, flat(x), flat(y), *numbers, grain=_GRAIN)))


def _slopes(loop: Any, x: ndarray, y: ndarray, *numbers: Any) -> ndarray:
    given = [float(n) for n in numbers]
    return over(lambda a, b, out: loop(a, b, out, *given), x, y)


def mse(x: ndarray, y: ndarray, parameter: float) -> Any:
    """∑ (x − y)²"""
    return _sum(_mse, x, y)


def mse_back(x: ndarray, y: ndarray, share: float, parameter: float) -> ndarray:
    """2 (x − y) · share"""
    return _slopes(_mse_back, x, y, share)


def smooth_l1(x: ndarray, y: ndarray, beta: float) -> Any:
    """∑ d² / 2β where d = |x − y| < β, else d − β/2"""
    return _sum(_bent, x, y, beta, 1 / beta, 1.0)


def smooth_l1_back(x: ndarray, y: ndarray, share: Any, beta: float) -> ndarray:
    """(x − y) / β, at most 1 and at least −1, times the share"""
    return _slopes(_bent_back, x, y, share / beta, share)


def huber(x: ndarray, y: ndarray, delta: float) -> Any:
    """∑ d² / 2 where d = |x − y| ≤ δ, else δ (d − δ/2)"""
    return _sum(_bent, x, y, delta, 1.0, delta)


def huber_back(x: ndarray, y: ndarray, share: Any, delta: float) -> ndarray:
    """x − y, at most δ and at least −δ, times the share"""
    return _slopes(_bent_back, x, y, share, share * delta)


def bce_logits(x: ndarray, y: ndarray) -> Any:
    """∑ max(x, 0) − x y + log(1 + exp(−|x|))"""
    return _sum(_bce_logits, x, y)


def bce_logits_back(x: ndarray, y: ndarray, share: float) -> ndarray:
    """(σ(x) − y) · share"""
    return _slopes(_bce_logits_back, x, y, share)


__all__ = [
    "bce_logits",
    "bce_logits_back",
    "huber",
    "huber_back",
    "mse",
    "mse_back",
    "smooth_l1",
    "smooth_l1_back",
    "total",
]
