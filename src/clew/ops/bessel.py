"""Bessel functions and their kin, by SciPy. As in PyTorch they have no derivatives: results carry no history."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew.ops._arguments import COMPLEX
from clew.ops._builders import Operator, unary
from clew.ops.special import scipy_special

FAR = 1e5


def _airy(a: Any) -> Any:
    """SciPy's; far out, where that gives up, 0 to the right and to the left the first term of the asymptotic series."""
    values = scipy_special("airy")(a)[0]
    if np.abs(a).max(initial=0) < FAR:
        return values
    out = np.abs(a)
    wave = np.sin(2 / 3 * out**1.5 + math.pi / 4) / (math.sqrt(math.pi) * out**0.25)
    far = np.where(a > 0, a.dtype.type(0), wave)
    return np.where((out >= FAR) & (out < np.inf), far, values)


def _spherical_j0(a: Any) -> Any:
    ratio = np.where(np.isinf(a), a.dtype.type(0), np.sin(a) / a)
    return np.where(a == 0, a.dtype.type(1), ratio)


def _bessel(name: str, scipy_name: str, explain: str, forward: Any = None) -> Operator:
    """`torch.special`'s function of this name, for float32 and float64 (integers become floats)."""
    return unary(
        f"special_{name}",
        forward or scipy_special(scipy_name),
        None,
        refuse=f"float16 bfloat16 {COMPLEX}",
        kernel=f"{name}_cpu",
        explain=explain,
    )


airy_ai = _bessel("airy_ai", "", "Ai(x): the solution of y″ = x·y that vanishes for x → ∞.", _airy)
bessel_j0 = _bessel("bessel_j0", "j0", "J₀(x): the Bessel function of the first kind, of order 0.")
bessel_j1 = _bessel("bessel_j1", "j1", "J₁(x): the Bessel function of the first kind, of order 1.")
bessel_y0 = _bessel("bessel_y0", "y0", "Y₀(x): the Bessel function of the second kind, of order 0.")
bessel_y1 = _bessel("bessel_y1", "y1", "Y₁(x): the Bessel function of the second kind, of order 1.")
modified_bessel_i0 = _bessel("modified_bessel_i0", "i0", "I₀(x): the modified Bessel function, first kind.")
modified_bessel_i1 = _bessel("modified_bessel_i1", "i1", "I₁(x): the modified Bessel function, first kind.")
modified_bessel_k0 = _bessel("modified_bessel_k0", "k0", "K₀(x): the modified Bessel function, second kind.")
modified_bessel_k1 = _bessel("modified_bessel_k1", "k1", "K₁(x): the modified Bessel function, second kind.")
scaled_modified_bessel_k0 = _bessel("scaled_modified_bessel_k0", "k0e", "eˣ·K₀(x)")
scaled_modified_bessel_k1 = _bessel("scaled_modified_bessel_k1", "k1e", "eˣ·K₁(x)")
spherical_bessel_j0 = _bessel("spherical_bessel_j0", "", "sin(x) / x, and 1 at 0", _spherical_j0)
