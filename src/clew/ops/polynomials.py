"""Orthogonal polynomials of degree n at x, by SciPy's recurrences.

x and n broadcast; n is cut to an integer, and a negative degree gives 0. As in PyTorch they have no derivatives:
results carry no history. (M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 1964, chapter 22.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clew.dtypes import dtype, legacy_name
from clew.ops._arguments import check_operands
from clew.ops._builders import Operator, binary
from clew.ops.special import scipy_special

Polynomial = Callable[[Any, Any], Any]  # of the degrees and the places

chebyshev_t, chebyshev_u = scipy_special("eval_chebyt"), scipy_special("eval_chebyu")


def _chebyshev_v(n: Any, x: Any) -> Any:
    return chebyshev_u(n, x) - chebyshev_u(n - 1, x)


def _chebyshev_w(n: Any, x: Any) -> Any:
    return chebyshev_u(n, x) + chebyshev_u(n - 1, x)


def _shifted(polynomial: Polynomial) -> Polynomial:
    return lambda n, x: polynomial(n, 2 * x - 1)


def _orthogonal(name: str, polynomial: Polynomial, explain: str) -> Operator:
    """`torch.special`'s polynomial of this name, for float32 and float64 (integers become floats)."""

    def forward(x: Any, n: Any) -> Any:
        degree = np.asarray(n).astype(np.int64)
        values = polynomial(np.maximum(degree, 0), np.asarray(x, np.float64))
        # infinity times nothing is 1 in degree 0, where the recurrences make it NaN; below, all is 0
        made = np.where(degree > 0, values, degree == 0)
        number = not hasattr(n, "dtype") or n.dtype is x.dtype
        return made.astype(x.dtype if number else np.result_type(x, n))

    def check(x: Any, n: Any, want: dtype) -> None:
        if want.category == 3 or (want.category == 2 and want.itemsize == 2):
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{legacy_name(want)}'")

    made = binary(f"special_{name}", forward, None, floats=True, check=check, args=("x", "n"))

    def op(x: Any, n: Any, *, out: Any = None) -> Any:
        check_operands(f"special_{name}", x, n)
        return made(x, n, out=out)

    op.__name__ = op.__qualname__ = f"special_{name}"
    op.__doc__ = explain
    result: Any = op
    result.primitive = made.primitive
    return result


chebyshev_polynomial_t = _orthogonal(
    "chebyshev_polynomial_t", chebyshev_t, "Tₙ(x): cos(nθ) for x = cos θ; Tₙ₊₁ = 2x·Tₙ - Tₙ₋₁."
)
chebyshev_polynomial_u = _orthogonal(
    "chebyshev_polynomial_u", chebyshev_u, "Uₙ(x): sin((n + 1)θ) / sin θ for x = cos θ."
)
chebyshev_polynomial_v = _orthogonal(
    "chebyshev_polynomial_v", _chebyshev_v, "Vₙ(x): cos((n + ½)θ) / cos(θ/2) for x = cos θ."
)
chebyshev_polynomial_w = _orthogonal(
    "chebyshev_polynomial_w", _chebyshev_w, "Wₙ(x): sin((n + ½)θ) / sin(θ/2) for x = cos θ."
)
shifted_chebyshev_polynomial_t = _orthogonal(
    "shifted_chebyshev_polynomial_t", _shifted(chebyshev_t), "Tₙ(2x - 1), for x in [0, 1]."
)
shifted_chebyshev_polynomial_u = _orthogonal(
    "shifted_chebyshev_polynomial_u", _shifted(chebyshev_u), "Uₙ(2x - 1), for x in [0, 1]."
)
shifted_chebyshev_polynomial_v = _orthogonal(
    "shifted_chebyshev_polynomial_v", _shifted(_chebyshev_v), "Vₙ(2x - 1), for x in [0, 1]."
)
shifted_chebyshev_polynomial_w = _orthogonal(
    "shifted_chebyshev_polynomial_w", _shifted(_chebyshev_w), "Wₙ(2x - 1), for x in [0, 1]."
)
hermite_polynomial_h = _orthogonal(
    "hermite_polynomial_h",
    scipy_special("eval_hermite"),
    "Hₙ(x): the physicists' Hermite polynomial; Hₙ₊₁ = 2x·Hₙ - 2n·Hₙ₋₁.",
)
hermite_polynomial_he = _orthogonal(
    "hermite_polynomial_he",
    scipy_special("eval_hermitenorm"),
    "Heₙ(x): the probabilists' Hermite polynomial; Heₙ₊₁ = x·Heₙ - n·Heₙ₋₁.",
)
laguerre_polynomial_l = _orthogonal(
    "laguerre_polynomial_l",
    scipy_special("eval_laguerre"),
    "Lₙ(x): (n + 1)·Lₙ₊₁ = (2n + 1 - x)·Lₙ - n·Lₙ₋₁.",
)
legendre_polynomial_p = _orthogonal(
    "legendre_polynomial_p",
    scipy_special("eval_legendre"),
    "Pₙ(x): (n + 1)·Pₙ₊₁ = (2n + 1)·x·Pₙ - n·Pₙ₋₁.",
)
