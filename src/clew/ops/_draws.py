"""Samplers by rejection: how many uniform numbers an element takes depends on what they are, so that one element is drawn
after the other, as PyTorch's stream has it. Many elements are drawn by the same loops as machine code.

Each loop reads uniforms u[k], u[k + 1], …, fills out[i], out[i + 1], … and returns how far it came: the first element it
has not drawn, how many uniforms those before it took, and the second normal of a pair (NaN: none).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy import ndarray

from clew.streams import Generator

FEW = 32  # elements for which it does not pay to draw ahead
# Elements from which on compiled loops pay: of loops that are not slow here only where Numba is loaded, or for many more.
COMPILED, SWAPS_COMPILED, NORMALS_COMPILED = 1 << 13, 1 << 14, 1 << 15
_LONGEST = 1 << 18  # uniforms drawn ahead at a time
_SQUEEZE = 0.0331

Progress = tuple[int, int, float]


def draw_each(generator: Generator, loop: Callable[..., Progress], *parameters: ndarray) -> ndarray:
    """Each element drawn with its own parameters, in their order, as float64."""
    shape, n = parameters[0].shape, parameters[0].size
    flat = [np.ascontiguousarray(p, np.float64).reshape(-1) for p in parameters]
    out = np.empty(n)
    spare = math.nan if generator._spare is None else generator._spare
    if n < FEW:
        _, _, spare = loop(_Uniforms(generator), spare, 0, out, *[p.tolist() for p in flat])
    else:
        machine = _compiled(loop) if n >= COMPILED else None
        run = machine or loop
        as_read: Callable[[ndarray], Any] = (lambda a: a.tolist()) if machine is None else np.asarray
        given, done, ahead = [as_read(p) for p in flat], 0, min(4 * n, _LONGEST)
        while done < n:
            before, start = generator.raw_words_state(), done
            done, used, spare = run(as_read(generator.doubles(ahead)), spare, done, out, *given)
            generator.go_on_from(before, 2 * used)
            if done == start:  # one element takes more than that
                ahead *= 2
    generator._spare = None if math.isnan(spare) else spare
    return out.reshape(shape)


@cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any] | None:
    """The loop as machine code; None where Numba cannot be imported."""
    try:
        from clew.kernels.compiling import EXACT, compiled
    except ImportError:
        return None
    made: Callable[..., Any] = compiled(loop, math=EXACT)
    return made


def permutation(generator: Generator, n: int) -> ndarray:
    """The numbers 0 … n − 1 in random order (Fisher & Yates, as Durstenfeld 1964). One swap after the other."""
    steps = (generator.words(max(n - 1, 0)) % np.arange(n, 1, -1, dtype=np.uint64)).astype(np.int64)
    run = _compiled(_swaps) if _pays(n, SWAPS_COMPILED) else None
    if run is not None:
        order = np.arange(n)
        run(order, steps)
        return order
    numbers = list(range(n))
    _swaps(numbers, steps.tolist())
    return np.array(numbers, dtype=np.int64)


def _swaps(order: Any, steps: Any) -> None:
    for i in range(len(steps)):
        j = i + steps[i]
        order[i], order[j] = order[j], order[i]


def _pays(n: int, least: int) -> bool:
    return n >= least and (n >= 8 * least or "numba" in sys.modules)


def normals_kernel(n: int) -> Callable[[ndarray, float, float], None] | None:
    """The compiled form of `streams._box_muller` for n numbers; None where compiling does not pay, or Numba is not there."""
    if not _pays(n, NORMALS_COMPILED):
        return None
    try:
        from clew.kernels.normals import box_muller
    except ImportError:
        return None
    return box_muller


class _Uniforms:
    """float64 uniforms drawn one at a time, as often as asked."""

    def __init__(self, generator: Generator) -> None:
        self._words = generator.words

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, place: int) -> float:
        first, second = self._words(2).tolist()
        return float(((first << 32 | second) & (2**53 - 1)) * 2.0**-53)


# ---- the loops ---------------------------------------------------------------------------------------------------------
def gammas(u: Any, spare: float, i: int, out: Any, a: Any, d: Any, inverse: Any) -> Progress:
    """Gamma(a, 1) (G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", 2000).

    d = a − 1/3, and for a < 1, drawn with a + 1 in its place, d = a + 2/3 and inverse = 1/a.
    """
    k, end = 0, len(u)
    while i < len(out):
        start, kept = k, spare
        if k + 1 > end:
            return i, start, kept
        scale = 1.0
        if a[i] == 0.0:
            out[i] = 0.0
            i += 1
            continue
        if a[i] < 1.0:
            scale = (1.0 - u[k]) ** inverse[i]
            k += 1
        c = 1.0 / math.sqrt(9.0 * d[i])
        while True:
            if k + 3 > end:
                return i, start, kept
            if math.isnan(spare):
                turn, rest = u[k], u[k + 1]
                k += 2
                radius = math.sqrt(-2.0 * math.log1p(-rest))
                spare = radius * math.sin(2.0 * math.pi * turn)
                x = radius * math.cos(2.0 * math.pi * turn)
            else:
                x, spare = spare, math.nan
            y = 1.0 + c * x
            if y <= 0.0:
                continue
            v = y * y * y
            below = 1.0 - u[k]
            k += 1
            square = x * x
            if below < 1.0 - _SQUEEZE * square * square or math.log(below) < 0.5 * square + d[i] * (
                1.0 - v + math.log(v)
            ):
                out[i] = scale * d[i] * v
                break
        i += 1
    return i, k, spare


def poissons(u: Any, spare: float, i: int, out: Any, rates: Any) -> Progress:
    """P(k) = λᵏ e^{−λ} / k!: products of uniforms down to e^−λ (Knuth), from λ = 10 on transformed rejection
    (W. Hörmann, "The transformed rejection method for generating Poisson random variables", 1993, algorithm PTRS)."""
    k, end = 0, len(u)
    while i < len(out):
        start, rate = k, rates[i]
        if rate == 0.0:
            out[i] = 0.0
        elif rate < 10.0:
            bound, product, count = math.exp(-rate), 1.0, -1.0
            while product > bound:
                if k + 1 > end:
                    return i, start, spare
                product *= u[k]
                k += 1
                count += 1.0
            out[i] = count
        else:
            root, log_rate = math.sqrt(rate), math.log(rate)
            b = 0.931 + 2.53 * root
            a = -0.059 + 0.02483 * b
            log_inverse_alpha = math.log(1.1239 + 1.1328 / (b - 3.4))
            squeeze = 0.9277 - 3.6624 / (b - 2.0)
            while True:
                if k + 2 > end:
                    return i, start, spare
                at = u[k] - 0.5
                v = u[k + 1]
                k += 2
                us = 0.5 - abs(at)
                if us == 0.0:
                    continue
                found = ((2.0 * a / us + b) * at + rate + 0.43) // 1.0
                if us >= 0.07 and v <= squeeze:
                    break
                if found < 0.0 or (us < 0.013 and v > us) or v == 0.0:
                    continue
                reached = math.log(v) + log_inverse_alpha - math.log(a / (us * us) + b)
                if reached <= -rate + found * log_rate - math.lgamma(found + 1.0):
                    break
            out[i] = found
        i += 1
    return i, k, spare


def binomials(
    u: Any, spare: float, i: int, out: Any, trials: Any, chances: Any, smaller: Any, means: Any, spreads: Any,
    odds: Any, modes: Any,
) -> Progress:  # fmt: skip
    """Binomial(n, p); of p and 1 − p the smaller is drawn with, whose mean, standard deviation, odds and mode are given.

    Under n·p = 10 the waits of geometric length that fit into n trials are counted (L. Devroye, "Non-uniform random
    variate generation", 1986); else transformed rejection (W. Hörmann, "The generation of binomial random variates",
    1993, algorithm BTRS).
    """
    k, end = 0, len(u)
    while i < len(out):
        start, n, chance, p = k, trials[i], chances[i], smaller[i]
        if n <= 0.0 or chance <= 0.0:
            out[i] = 0.0
        elif chance >= 1.0:
            out[i] = n
        elif math.isnan(n) or math.isnan(chance):
            out[i] = math.nan
        elif means[i] < 10.0:
            waited, count, log_failure = 0.0, -1.0, math.log1p(-p)
            while waited <= n:
                if k + 1 > end:
                    return i, start, spare
                below = u[k]
                k += 1
                wait = math.log(below) / log_failure if below > 0.0 else n + 1.0
                waited += n + 1.0 if wait > n else math.ceil(wait)
                count += 1.0
            out[i] = count if chance <= 0.5 else n - count
        else:
            spread, most = spreads[i], modes[i]
            b = 1.15 + 2.53 * spread
            a = -0.0873 + 0.0248 * b + 0.01 * p
            c = means[i] + 0.5
            squeeze = 0.92 - 4.2 / b
            alpha = (2.83 + 5.1 / b) * spread
            highest = math.lgamma(most + 1.0) + math.lgamma(n - most + 1.0)
            while True:
                if k + 2 > end:
                    return i, start, spare
                at = u[k] - 0.5
                v = u[k + 1]
                k += 2
                us = 0.5 - abs(at)
                if us == 0.0:
                    continue
                count = ((2.0 * a / us + b) * at + c) // 1.0
                if us >= 0.07 and v <= squeeze:
                    break
                if count < 0.0 or count > n:
                    continue
                ways = highest - math.lgamma(count + 1.0) - math.lgamma(n - count + 1.0)
                reached = math.log(v * alpha / (a / (us * us) + b)) if v > 0.0 else -math.inf
                if reached <= ways + (count - most) * math.log(odds[i]):
                    break
            out[i] = count if chance <= 0.5 else n - count
        i += 1
    return i, k, spare


__all__ = ["binomials", "draw_each", "gammas", "normals_kernel", "permutation", "poissons"]
