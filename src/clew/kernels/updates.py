"""Steps of optimizers: parameter, gradient and state are each read and written once.

No sum is reordered and no product joined with a sum: the numbers are the plain formula's, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import EXACT, compiled
from clew.kernels.elementwise import flat
from clew.kernels.threads import spread


@compiled(math=EXACT)
def _adam(param: Any, grad: Any, mean: Any, square: Any, decay: Any, numbers: Any) -> None:
    keep, fresh1, fresh2, stay2, root, eps, factor = numbers
    for i in range(param.size):
        p = param[i] * keep
        g = grad[i] + decay * p if decay != 0 else grad[i]
        m = mean[i] + (g - mean[i]) * fresh1
        v = square[i] * stay2 + g * fresh2 * g
        mean[i] = m
        square[i] = v
        param[i] = p + m * factor / (np.sqrt(v) / root + eps)


@compiled(math=EXACT)
def _momentum(param: Any, grad: Any, buffer: Any, decay: Any, numbers: Any) -> None:
    momentum, rate = numbers
    for i in range(param.size):
        g = grad[i] + decay * param[i] if decay != 0 else grad[i]
        b = buffer[i] * momentum + g
        buffer[i] = b
        param[i] -= rate * b


def adam(
    param: ndarray, grad: ndarray, mean: ndarray, square: ndarray, keep: float, decay: float, *numbers: float
) -> None:
    """m ← m + (g − m) fresh₁, v ← v stay₂ + g fresh₂ g, θ ← keep θ + factor m / (√v / root + ε), in place.

    decay: what part of θ is added to the gradient; numbers: fresh₁, fresh₂, stay₂, root, ε, factor.
    """
    real = param.dtype.type
    given = tuple([real(n) for n in (keep, *numbers)])
    spread(_adam, flat(param), flat(grad), flat(mean), flat(square), real(decay), given)


def momentum(
    param: ndarray, grad: ndarray, buffer: ndarray, momentum: float, rate: float, decay: float
) -> None:
    """b ← momentum b + g, θ ← θ − rate b, in place; decay: what part of θ is added to the gradient."""
    real = param.dtype.type
    spread(_momentum, flat(param), flat(grad), flat(buffer), real(decay), (real(momentum), real(rate)))
