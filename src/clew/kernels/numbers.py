"""exp, log1p, tanh, σ and Φ of one number, without branches (a choice between
two values is a product with 0 and 1), so that loops over them use the processor's vectors.

exp: with n the integer nearest to x / ln 2, eˣ = 2ⁿ · eʳ, where |r| ≤ ½ ln 2 and eʳ is a Taylor polynomial; 2ⁿ is made of
its bits. tanh (float32) is a polynomial in x² near zero; Φ (float32) below zero the density times a polynomial in
1 / (1 + 0.4 |x|), as Abramowitz & Stegun 26.2.17, fitted at Chebyshev points. All are within a few units of the last
place; NaN and infinities go where they belong.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from clew.kernels.compiling import CONTRACT

F, D = np.float32, np.float64
_OPTIONS: dict[str, Any] = {"fastmath": set(CONTRACT), "error_model": "numpy", "forceinline": True}
# 1/k!, and ln 2 as a sum of a number with few digits, whose multiples are exact, and the rest
_D = [D(1 / math.factorial(k)) for k in range(14)]
_F = [F(d) for d in _D]
D2, D3, D4, D5, D6, D7, D8, D9, D10, D11, D12, D13 = _D[2:]
F2, F3, F4, F5, F6, F7 = _F[2:8]
F_LOG2E, F_HIGH, F_LOW = F(math.log2(math.e)), F(0.693359375), F(-2.12194440e-4)
D_LOG2E, D_HIGH, D_LOW = D(math.log2(math.e)), D(6.93147180369123816490e-01), D(1.90821492927058770002e-10)
F_MAGIC, D_MAGIC = (
    F(1.5 * 2**23),
    D(1.5 * 2**52),
)  # adding it rounds to an integer, which stands in the low bits
F_MAGIC_BITS, D_MAGIC_BITS = int(F_MAGIC.view(np.int32)), int(D_MAGIC.view(np.int64))
F_LEAST, F_MOST, D_LEAST, D_MOST = F(-104), F(89), D(-746), D(710)
F0, F1, FTWO, D1 = F(0), F(1), F(2), D(1)


def exp(x: Any) -> Any:
    """eˣ"""
    return np.exp(x)


@overload(exp, jit_options=_OPTIONS)
def _exp(x: Any) -> Any:
    def single(x: Any) -> Any:
        x = F_LEAST if x < F_LEAST else x
        x = F_MOST if x > F_MOST else x
        shifted = F(x * F_LOG2E + F_MAGIC)
        n = F(shifted).view(np.int32) - F_MAGIC_BITS
        k = shifted - F_MAGIC
        r = (x - k * F_HIGH) - k * F_LOW
        p = F1 + r * (F1 + r * (F2 + r * (F3 + r * (F4 + r * (F5 + r * (F6 + r * F7))))))
        half = n >> 1
        first = np.int32((half + 127) << 23).view(np.float32)
        return p * first * np.int32((n - half + 127) << 23).view(np.float32)

    def double(x: Any) -> Any:
        x = D_LEAST if x < D_LEAST else x
        x = D_MOST if x > D_MOST else x
        shifted = D(x * D_LOG2E + D_MAGIC)
        n = D(shifted).view(np.int64) - D_MAGIC_BITS
        k = shifted - D_MAGIC
        r = (x - k * D_HIGH) - k * D_LOW
        high = D7 + r * (D8 + r * (D9 + r * (D10 + r * (D11 + r * (D12 + r * D13)))))
        p = D1 + r * (D1 + r * (D2 + r * (D3 + r * (D4 + r * (D5 + r * (D6 + r * high))))))
        half = n >> 1
        first = np.int64((half + 1023) << 52).view(np.float64)
        return p * first * np.int64((n - half + 1023) << 52).view(np.float64)

    return single if x == types.float32 else double


# 2 eʳ = 2 + 2 r + E2 r² + … + E6 r⁶, fitted for the smallest relative error, 3e-9; with the number that rounds, 126 more
# than an integer stands in the low bits: shifted up, the bits of 2ⁿ⁻¹.
E2, E3, E4, E5, E6 = map(F, (0.9999999, 0.33333042, 0.083336785, 0.01673749, 0.002762907))
F_MAGIC_126, F_LEAST_NORMAL = F(1.5 * 2**23 + 126), F(-87.336)


def exp_or_zero(x: Any) -> Any:
    """eˣ, with 0 for what has fewer digits than others (below 2⁻¹²⁵): a third less work"""
    return np.exp(x)


@overload(exp_or_zero, jit_options=_OPTIONS)
def _exp_or_zero(x: Any) -> Any:
    def single(x: Any) -> Any:
        x = F_LEAST_NORMAL if x < F_LEAST_NORMAL else x
        x = F_MOST if x > F_MOST else x
        shifted = F(x * F_LOG2E + F_MAGIC_126)
        k = shifted - F_MAGIC_126
        r = (x - k * F_HIGH) - k * F_LOW
        p = FTWO + r * (FTWO + r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
        return p * np.int32(F(shifted).view(np.int32) << np.int32(23)).view(np.float32)

    def double(x: Any) -> Any:
        return exp(x)

    return single if x == types.float32 else double


@intrinsic
def larger(typing: Any, x: Any, y: Any) -> Any:
    """The larger of two numbers of one type, neither of them NaN: as one instruction, of which vectors are made"""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        function = builder.module.declare_intrinsic(
            "llvm.maxnum", [kind], ir.FunctionType(kind, [kind, kind])
        )
        return builder.call(function, args, fastmath=("nnan", "nsz"))

    return x(x, x), made


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)"""
    return 1 / (1 + np.exp(-x))


@overload(sigmoid, jit_options=_OPTIONS)
def _sigmoid(x: Any) -> Any:
    def single(x: Any) -> Any:
        return F1 / (F1 + exp_or_zero(-x))

    def double(x: Any) -> Any:
        return D1 / (D1 + exp(-x))

    return single if x == types.float32 else double


T0, T1, T2, T3, T4, T5, T6 = map(F, (1.0, -0.333333293, 0.133331678, -0.0539428569, 0.0216817469, -0.00813400325, 0.00210526211))  # fmt: skip
T_NEAR, T_FAR = F(0.63), F(10)


def tanh(x: Any) -> Any:
    """tanh x"""
    return np.tanh(x)


@overload(tanh, jit_options=_OPTIONS)
def _tanh(x: Any) -> Any:
    def single(x: Any) -> Any:
        a = abs(x)
        a = T_FAR if a > T_FAR else a
        u = a * a
        near = a * (T0 + u * (T1 + u * (T2 + u * (T3 + u * (T4 + u * (T5 + u * T6))))))
        far = F1 - FTWO / (exp_or_zero(FTWO * a) + F1)
        first = F(a < T_NEAR)
        return (FTWO * F(x > F0) - F1) * (first * near + (F1 - first) * far)

    def double(x: Any) -> Any:
        return math.tanh(x)

    return single if x == types.float32 else double


P0, P1, P2, P3, P4, P5, P6, P7 = map(F, (0.15965836, 0.157852305, 0.149112725, 0.012268607, 0.211422677, -0.335976266, 0.180966958, -0.0353053467))  # fmt: skip
P_SCALE, F_HALF, D_HALF, D_ROOT_HALF = F(0.4), F(0.5), D(0.5), D(math.sqrt(0.5))


def normal(x: Any) -> Any:
    """Φ(x), the share of the normal distribution below x"""
    return 0.5 * (1 + math.erf(x * math.sqrt(0.5)))


@overload(normal, jit_options=_OPTIONS)
def _normal(x: Any) -> Any:
    def single(x: Any) -> Any:
        t = F1 / (F1 + P_SCALE * abs(x))
        p = t * (P0 + t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * (P5 + t * (P6 + t * P7)))))))
        tail = exp_or_zero(-F_HALF * (x * x)) * p
        above = F(x > F0)
        return above + (F1 - FTWO * above) * tail

    def double(x: Any) -> Any:
        return D_HALF * (D1 + math.erf(x * D_ROOT_HALF))

    return single if x == types.float32 else double


L0, L1, L2, L3, L4, L5, L6, L7 = [F(2 / (2 * k + 1)) for k in range(8)]


def log1p(x: Any) -> Any:
    """log(1 + x) for x from 0 to 1: 2 (s + s³/3 + s⁵/5 + …) with s = x / (2 + x)"""
    return math.log1p(x)


@overload(log1p, jit_options=_OPTIONS)
def _log1p(x: Any) -> Any:
    def single(x: Any) -> Any:
        s = x / (FTWO + x)
        u = s * s
        return s * (L0 + u * (L1 + u * (L2 + u * (L3 + u * (L4 + u * (L5 + u * (L6 + u * L7)))))))

    def double(x: Any) -> Any:
        return math.log1p(x)

    return single if x == types.float32 else double


__all__ = ["exp", "exp_or_zero", "larger", "log1p", "normal", "sigmoid", "tanh"]
