"""Random numbers with the gamma, Dirichlet and binomial distributions, and their derivatives by the parameters.

A draw x of a distribution function F(x; a) moves with its parameter along dx/da = -(∂F/∂a)/(∂F/∂x), its quantile kept
(M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", 2018). For gamma and beta distributions that is
an integral over the tail below or above x, whose integrand has one sign but near the middle; it is summed by the
double-exponential rule (H. Takahasi, M. Mori, "Double exponential formulas for numerical integration", 1974) to ten digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from clew import streams
from clew.core.primitive import Primitive
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, not_derived
from clew.ops._draws import binomials, draw_each, gammas
from clew.ops.create import finish
from clew.ops.sampling import source_of

__all__ = ["_dirichlet_grad", "_sample_dirichlet", "_standard_gamma", "binomial"]

_THIRD = float(np.float32(1.0) / np.float32(3.0))  # PyTorch's stream takes it in single precision


# ---- drawing ---------------------------------------------------------------------------------------------------------------
def _gammas(generator: streams.Generator, a: np.ndarray, kind: Any) -> np.ndarray:
    """Gamma(a, 1), as float64. What depends on `a` alone is rounded to the type `kind`, as in PyTorch's stream."""

    def as_kind(values: np.ndarray) -> np.ndarray:
        return values.astype(kind).astype(np.float64)

    a = a.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = as_kind(1.0 / a)
    raised = np.where(a < 1.0, as_kind(a + 1.0), a)
    return draw_each(generator, gammas, a, as_kind(raised - _THIRD), inverse)


def _binomials(generator: streams.Generator, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Binomial(n, p), as float64. What depends on the parameters alone is worked out in their type, as PyTorch does."""
    one = p.dtype.type(1)
    q = np.where(p <= 0.5, p, one - p)
    mean = n * q
    with np.errstate(invalid="ignore"):
        spread, odds, mode = np.sqrt(mean * (one - q)), q / (one - q), np.floor((n + one) * q)
    return draw_each(generator, binomials, n, p, q, mean, spread, odds, mode)


def _rounded(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """In the tensor's type, and above zero."""
    return np.asarray(np.maximum(values.astype(dtype), np.finfo(dtype).tiny).astype(dtype))


# ---- the derivatives -------------------------------------------------------------------------------------------------------
_STEP = 1.0 / 16
_NODES = np.arange(-6.0, 4.0, _STEP)
_PLACES = np.exp(0.5 * math.pi * np.sinh(_NODES))
_WEIGHTS = _PLACES * (0.5 * math.pi * _STEP) * np.cosh(_NODES)


def _integral(integrand: Callable[..., np.ndarray], scale: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
    """∫₀^∞ integrand(t, …) dt for each element; by `scale` the integrand has fallen off."""
    total = np.zeros_like(scale)
    for place, weight in zip(_PLACES, _WEIGHTS, strict=True):
        part = integrand(place * scale, *arrays)
        total += weight * np.where(np.isfinite(part), part, 0.0)
    return total * scale


def _below_gamma(w: np.ndarray, a: np.ndarray, x: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The tail below x, t = x·e^(-w/a)."""
    return x / a * np.exp(-w - x * np.expm1(-w / a)) * (psi - np.log(x) + w / a)


def _above_gamma(s: np.ndarray, a: np.ndarray, x: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The tail above x, t = x + s."""
    return np.exp((a - 1) * np.log1p(s / x) - s) * (np.log(x + s) - psi)


def gamma_slope(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx/da of a draw x ~ Gamma(a, 1)."""
    from scipy.special import psi

    shape, kind = np.broadcast_shapes(a.shape, x.shape), x.dtype
    a, x = (np.broadcast_to(v, shape).astype(np.float64).ravel() for v in (a, x))
    result = np.empty(a.shape)
    low = x <= a
    for part, integrand in ((low, _below_gamma), (~low, _above_gamma)):
        if part.any():
            b, y = a[part], x[part]
            if integrand is _below_gamma:
                scale = 1 / (1 - y / b + np.sqrt(y) / b)
            else:
                scale = 1 / (1 - (b - 1) / y + np.sqrt(np.maximum(b - 1, 0)) / y)
            result[part] = _integral(integrand, scale, b, y, psi(b))
    return np.asarray(result.reshape(shape).astype(kind))


def _below_beta(w: np.ndarray, a: np.ndarray, b: np.ndarray, x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The tail below x, t = x·e^(-w/a)."""
    growth = (b - 1) * np.log1p(-x / (1 - x) * np.expm1(-w / a))
    return x / a * np.exp(growth - w) * (shift - np.log(x) + w / a)


def _above_beta(w: np.ndarray, a: np.ndarray, b: np.ndarray, x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The tail above x, 1 - t = (1 - x)·e^(-w/b)."""
    risen = np.log1p(-(1 - x) / x * np.expm1(-w / b))
    return (1 - x) / b * np.exp((a - 1) * risen - w) * (np.log(x) + risen - shift)


def beta_slope(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """dx/da of a draw x ~ Beta(a, b)."""
    from scipy.special import psi

    shape, kind = np.broadcast_shapes(x.shape, a.shape, b.shape), x.dtype
    x, a, b = (np.broadcast_to(v, shape).astype(np.float64).ravel() for v in (x, a, b))
    result = np.empty(x.shape)
    low = x * (a + b) <= a
    for part, integrand in ((low, _below_beta), (~low, _above_beta)):
        if part.any():
            y, c, d = x[part], a[part], b[part]
            near, far, ratio = (c, d, y / (1 - y)) if integrand is _below_beta else (d, c, (1 - y) / y)
            slope = 1 - (far - 1) * ratio / near
            bend = np.sqrt(np.maximum(far - 1, 0) * ratio * (1 + ratio)) / near
            result[part] = _integral(
                integrand, 1 / (np.maximum(slope, 0) + bend), c, d, y, psi(c) - psi(c + d)
            )
    return np.asarray(result.reshape(shape).astype(kind))


# ---- the functions ---------------------------------------------------------------------------------------------------------
_gamma_grad = Primitive(
    "_standard_gamma_grad",
    lambda self, output: gamma_slope(self, output),
    dict.fromkeys(("self", "output"), not_derived("_standard_gamma_grad")),
    explain="∂x/∂a of x ~ Gamma(a, 1)",
)
_gamma = Primitive(
    "_standard_gamma",
    lambda self, *, drawn: drawn,
    {"self": lambda xp, g, self, out: g * xp.call(_gamma_grad, self, out)},
    node="StandardGammaBackward0",
    explain="drawn from the gamma distribution",
)


def _simplex_slope(x: np.ndarray, alpha: np.ndarray, total: np.ndarray) -> np.ndarray:
    slope = beta_slope(x, alpha, total - alpha)
    return np.asarray(slope / (1 - x))


_simplex_grad = Primitive(
    "_dirichlet_grad",
    _simplex_slope,
    args=("x", "alpha", "total"),
    explain="∂xᵢ/∂aᵢ / (1 - xᵢ) of x ~ Dirichlet(a)",
)


def _dirichlet_back(xp: Any, g: Any, self: Any, out: Any) -> Any:
    """The other components shrink as xᵢ grows, in proportion: x_j = (1 - xᵢ)·y_j with y independent of aᵢ."""
    total = xp.broadcast_to(xp.sum(self, -1, keepdims=True), self.shape)
    slope = xp.call(_simplex_grad, out, self, total)
    return slope * (g - xp.sum(out * g, -1, keepdims=True))


_dirichlet = Primitive(
    "_sample_dirichlet",
    lambda self, *, drawn: drawn,
    {"self": _dirichlet_back},
    node="_DirichletBackward",
    explain="drawn from the Dirichlet distribution",
)


def _floating(name: str, tensor: Any) -> np.ndarray:
    array = np.asarray(check_tensor(tensor, name)._array)
    if array.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"\"{name}\" not implemented for '{legacy_name(array.dtype)}'")
    return array


def _standard_gamma(input: Any, generator: Any = None) -> Any:
    """Draws from Gamma(input, 1), differentiable in `input`."""
    a = _floating("gamma_cpu", input)
    kind = np.float64 if a.dtype == np.float64 else np.float32
    drawn = _gammas(source_of(generator, "_standard_gamma"), a, kind)
    return _gamma(input, drawn=_rounded(drawn, a.dtype))


def _sample_dirichlet(input: Any, generator: Any = None) -> Any:
    """Draws from Dirichlet(input) over the last dimension, differentiable in `input`: gamma draws by their sum."""
    a = _floating("dirichlet", input)
    drawn = _gammas(source_of(generator, "_sample_dirichlet"), a, np.float64)
    drawn = drawn / drawn.sum(-1, keepdims=True)
    low, high = np.finfo(a.dtype).tiny, 1 - np.finfo(a.dtype).eps / 2
    return _dirichlet(input, drawn=np.asarray(np.clip(drawn, low, high).astype(a.dtype)))


def _dirichlet_grad(x: Any, alpha: Any, total: Any) -> Any:
    """dxᵢ/daᵢ over 1 - xᵢ of draws xᵢ ~ Beta(alpha, total - alpha), a Dirichlet's components."""
    return _simplex_grad(x, alpha, total)


def binomial(count: Any, prob: Any, generator: Any = None) -> Any:
    """Draws from the binomial distribution: successes in `count` trials of probability `prob`."""
    for name, tensor in (("count", count), ("prob", prob)):
        kind = check_tensor(tensor, "binomial")._array.dtype
        if kind.kind not in "fV":
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: {legacy_name(kind)}"
            )
    n, p = np.broadcast_arrays(_floating("binomial_cpu", count), _floating("binomial_cpu", prob))
    drawn = _binomials(source_of(generator, "binomial"), n, p)
    return finish(np.asarray(drawn.astype(n.dtype)))
