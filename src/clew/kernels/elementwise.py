"""Activations, forward and backward: one pass over memory where NumPy makes four to ten."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import compiled
from clew.kernels.numbers import exp_or_zero, normal
from clew.kernels.numbers import sigmoid as logistic
from clew.kernels.threads import spread

DENSITY = 1 / math.sqrt(2 * math.pi)
ROOT_TWO_OVER_PI, CUBIC = math.sqrt(2 / math.pi), 0.044715


_PIECE = 1 << 15  # numbers of a repeated one that are written out


def flat(a: Any) -> ndarray:
    """An array as one line, copied only where it has gaps."""
    found: ndarray = np.ascontiguousarray(a).reshape(-1)
    return found


def over(loop: Any, first: ndarray, *others: Any, grain: int = 1 << 16) -> ndarray:
    """What a loop over single numbers makes of arrays of one shape: a fresh array."""
    made = np.empty(first.shape, first.dtype)
    if len(others) == 1 and others[0].size > _PIECE and not any(others[0].strides):  # one number, spread out
        again = np.full(_PIECE, others[0][(0,) * others[0].ndim])

        def pieces(a: ndarray, out: ndarray) -> None:
            for i in range(0, len(a), _PIECE):
                part = a[i : i + _PIECE]
                loop(part, again[: len(part)], out[i : i + _PIECE])

        spread(pieces, flat(first), made.reshape(-1), grain=grain)
        return made
    spread(loop, flat(first), *[flat(a) for a in others], made.reshape(-1), grain=grain)
    return made


@compiled
def _gelu(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = x[i] * normal(x[i])


@compiled
def _gelu_back(x: Any, g: Any, out: Any) -> None:
    half, density = x.dtype.type(0.5), x.dtype.type(DENSITY)
    for i in range(x.size):
        v = x[i]
        out[i] = g[i] * (normal(v) + v * (exp_or_zero(-half * (v * v)) * density))


@compiled
def _gelu_tanh(x: Any, out: Any) -> None:
    one, twice, cubic = x.dtype.type(1), x.dtype.type(2 * ROOT_TWO_OVER_PI), x.dtype.type(CUBIC)
    for i in range(x.size):
        v = x[i]
        out[i] = v * logistic(twice * v * (one + cubic * v * v))  # ½(1 + tanh u) = σ(2u)


@compiled
def _gelu_tanh_back(x: Any, g: Any, out: Any) -> None:
    one, twice, cubic = x.dtype.type(1), x.dtype.type(2 * ROOT_TWO_OVER_PI), x.dtype.type(CUBIC)
    thrice = x.dtype.type(3 * CUBIC)
    for i in range(x.size):
        v = x[i]
        s = logistic(twice * v * (one + cubic * v * v))
        out[i] = g[i] * (s + v * s * (one - s) * twice * (one + thrice * v * v))


@compiled
def _silu(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = x[i] * logistic(x[i])


@compiled
def _silu_back(x: Any, g: Any, out: Any) -> None:
    one = x.dtype.type(1)
    for i in range(x.size):
        s = logistic(x[i])
        out[i] = g[i] * (s * (one + x[i] * (one - s)))


@compiled
def _sigmoid(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = logistic(x[i])


@compiled
def _sigmoid_back(y: Any, g: Any, out: Any) -> None:
    one = y.dtype.type(1)
    for i in range(y.size):
        out[i] = g[i] * (y[i] * (one - y[i]))


@compiled
def _relu(x: Any, out: Any) -> None:
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] <= zero else x[i]


@compiled
def _relu_back(y: Any, g: Any, out: Any) -> None:
    zero = y.dtype.type(0)
    for i in range(y.size):
        out[i] = g[i] if y[i] > zero else zero


@compiled
def _tanh_back(y: Any, g: Any, out: Any) -> None:
    one = y.dtype.type(1)
    for i in range(y.size):
        out[i] = g[i] * (one - y[i] * y[i])


def gelu(x: ndarray) -> ndarray:
    """½ x (1 + erf(x / √2))"""
    return over(_gelu, x)


def gelu_back(x: ndarray, g: ndarray) -> ndarray:
    """g (Φ(x) + x φ(x)), Φ and φ the normal distribution and its density"""
    return over(_gelu_back, x, g)


def gelu_tanh(x: ndarray) -> ndarray:
    """½ x (1 + tanh u), u = √(2/π) (x + 0.044715 x³)"""
    return over(_gelu_tanh, x)


def gelu_tanh_back(x: ndarray, g: ndarray) -> ndarray:
    """Its slope times g."""
    return over(_gelu_tanh_back, x, g)


def silu(x: ndarray) -> ndarray:
    """x σ(x)"""
    return over(_silu, x)


def silu_back(x: ndarray, g: ndarray) -> ndarray:
    """g σ(x) (1 + x (1 − σ(x)))"""
    return over(_silu_back, x, g)


def sigmoid(x: ndarray) -> ndarray:
    """σ(x)"""
    return over(_sigmoid, x)


def sigmoid_back(y: ndarray, g: ndarray) -> ndarray:
    """g y (1 − y), of the result y"""
    return over(_sigmoid_back, y, g)


def relu(x: ndarray) -> ndarray:
    """max(x, 0)"""
    return over(_relu, x)


def relu_back(y: ndarray, g: ndarray) -> ndarray:
    """g where the result y is positive, else 0"""
    return over(_relu_back, y, g)


def tanh_back(y: ndarray, g: ndarray) -> ndarray:
    """g (1 − y²), of the result y"""
    return over(_tanh_back, y, g)
