"""Uniform float32 numbers to normal ones (G. E. P. Box, M. E. Muller 1958), bit for bit as `clew.streams` works them out with
arrays: every product and sum is rounded as there, and a·b + c once, by way of float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import EXACT, compiled
from clew.kernels.threads import spread
from clew.streams import COSINE, FOUR_OVER_PI, LOG, LOG2_HIGH, LOG2_LOW, QUARTER_PI, ROOT_HALF, SINE

_ZERO, _HALF, _ONE, _MINUS_TWO = (np.float32(v) for v in (0, 0.5, 1, -2))
_TURN = np.float32(2 * math.pi)
_GRAIN = 1 << 15


@compiled(math=EXACT)
def _fma(a: Any, b: Any, c: Any) -> Any:
    return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


@compiled(math=EXACT)
def _log(mantissa: Any, exponent: Any) -> Any:
    """The logarithm of mantissa · 2^exponent."""
    small = mantissa < ROOT_HALF
    power = np.float32(exponent - 1) if small else np.float32(exponent)
    x = (mantissa - _ONE) + (mantissa if small else _ZERO)
    square = x * x
    total = LOG[0]
    for k in range(1, 9):
        total = _fma(total, x, LOG[k])
    tail = _fma(total * x, square, power * LOG2_LOW)
    return _fma(power, LOG2_HIGH, x + _fma(square, -_HALF, tail))


@compiled(math=EXACT)
def _box_muller(blocks: Any, mantissas: Any, exponents: Any, std: Any, mean: Any, scaled: Any) -> None:
    for i in range(blocks.shape[0]):
        for j in range(8):
            radius = np.sqrt(_MINUS_TWO * _log(mantissas[i, j], exponents[i, j]))
            x = _TURN * blocks[i, j + 8]
            octant = (np.int32(x * FOUR_OVER_PI) + np.int32(1)) & np.int32(-2)
            turns = np.float32(octant)
            x = _fma(turns, QUARTER_PI[2], _fma(turns, QUARTER_PI[1], _fma(turns, QUARTER_PI[0], x)))
            square = x * x
            total = _fma(_fma(COSINE[0], square, COSINE[1]), square, COSINE[2])
            cosine = _fma(total * square, square, -(square * _HALF)) + _ONE
            total = _fma(_fma(SINE[0], square, SINE[1]), square, SINE[2])
            sine = _fma(total * square, x, x)
            if octant & 2:
                sine, cosine = cosine, sine
            if octant & 4:
                sine = -sine
            if (octant + 2) & 4:
                cosine = -cosine
            first, second = radius * cosine, radius * sine
            if scaled:
                first, second = _fma(first, std, mean), _fma(second, std, mean)
            blocks[i, j], blocks[i, j + 8] = first, second


def box_muller(blocks: ndarray, mean: float, std: float) -> None:
    """Blocks of 16 uniforms (n, 16) to normals, in place: the first eight give the radii, the others the angles."""
    mantissas, exponents = np.frexp(_ONE - blocks[:, :8])
    scaled = not (std == 1.0 and mean == 0.0)
    spread(_box_muller, blocks, mantissas, exponents, np.float32(std), np.float32(mean), scaled, grain=_GRAIN)


__all__ = ["box_muller"]
