"""sin and cos of one number, without branches, so that loops over them use the processor's vectors.

With n the integer nearest to x · 2/π and f the rest, sin x is ±sin(f π/2) or ±cos(f π/2), by n modulo 4: both are Taylor
polynomials. A product with 2/π needs as many of its bits as x is large; which ones is told by x's exponent, and those that
would only add multiples of four are left out (Payne and Hanek, "Radian Reduction for Trigonometric Functions", 1983). In a
table by exponent stand 29 of them, whose product with a float32 is exact in float64, and the following 53. So the results
are within three units of the last place for every float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from clew.kernels.numbers import _OPTIONS, D_MAGIC, D, F

_BITS = 320  # of 2/π


def _two_over_pi() -> int:
    """⌊2/π · 2ᵇ⌋, with π by Machin's formula 16 arctan 1/5 − 4 arctan 1/239."""
    more = _BITS + 32

    def arctan(inverse: int) -> int:
        term = total = (1 << more) // inverse
        k = 1
        while term:
            term //= -inverse * inverse
            total += term // (2 * k + 1)
            k += 1
        return total

    return (2 << (more + _BITS)) // (16 * arctan(5) - 4 * arctan(239))


def _table() -> tuple[np.ndarray, np.ndarray]:
    """For each exponent of a float32 the two parts of what it is multiplied by."""
    whole = _two_over_pi()
    first, rest = np.full(256, np.nan), np.full(256, np.nan)  # of infinity and NaN: NaN
    for biased in range(255):
        unit = biased - 150  # a number with this exponent is an integer times 2**unit
        power = max(unit, 0)
        bits = (whole << power) % (4 << _BITS)
        cut = max(bits.bit_length() - 29, 0)
        high = bits >> cut << cut
        first[biased] = math.ldexp(high >> cut, cut - _BITS - power)
        rest[biased] = math.ldexp(float(bits - high), -_BITS - power)
    return first, rest


FIRST, REST = _table()
_QUARTER = math.pi / 2
S1, S3, S5, S7, S9 = [F((-1) ** (k // 2) * _QUARTER**k / math.factorial(k)) for k in (1, 3, 5, 7, 9)]
C0, C2, C4, C6, C8, C10 = [F((-1) ** (k // 2) * _QUARTER**k / math.factorial(k)) for k in (0, 2, 4, 6, 8, 10)]


def quarters(x: Any, turned: Any) -> Any:
    """sin(x + turned · π/2)"""
    return math.sin(x + turned * math.pi / 2)


@overload(quarters, jit_options=_OPTIONS)
def _quarters(x: Any, turned: Any) -> Any:
    def single(x: Any, turned: Any) -> Any:
        exponent = np.uint64((F(x).view(np.uint32) >> np.uint32(23)) & np.uint32(255))
        wide = D(x)
        product = wide * FIRST[exponent]
        shifted = D(product + D_MAGIC)
        n = np.int32(shifted.view(np.int64) & 3) + turned
        t = F((product - (shifted - D_MAGIC)) + wide * REST[exponent])
        u = t * t
        sine = t * (S1 + u * (S3 + u * (S5 + u * (S7 + u * S9))))
        cosine = C0 + u * (C2 + u * (C4 + u * (C6 + u * (C8 + u * C10))))
        value = F(cosine if n & 1 else sine)
        return np.int32(value.view(np.int32) ^ np.int32((n & 2) << 30)).view(np.float32)

    return single


def sin(x: Any) -> Any:
    """sin x"""
    return math.sin(x)


@overload(sin, jit_options=_OPTIONS)
def _sin(x: Any) -> Any:
    def single(x: Any) -> Any:
        return quarters(x, np.int32(0))

    def double(x: Any) -> Any:
        return math.sin(x)

    return single if x == types.float32 else double


def cos(x: Any) -> Any:
    """cos x"""
    return math.cos(x)


@overload(cos, jit_options=_OPTIONS)
def _cos(x: Any) -> Any:
    def single(x: Any) -> Any:
        return quarters(x, np.int32(1))

    def double(x: Any) -> Any:
        return math.cos(x)

    return single if x == types.float32 else double


__all__ = ["cos", "sin"]
