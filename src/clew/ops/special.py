"""Special functions of single numbers, by SciPy (imported when the first of them is called)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.primitive import Primitive
from clew.core.promotion import to_float
from clew.dtypes import legacy_name
from clew.ops._arguments import COMPLEX, check_tensor, tensor_dtype, without, zeros_slope
from clew.ops._builders import Operator, binary, compute, unary
from clew.ops.elementwise import sigmoid

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "i0", "lgamma", "logit", "mvlgamma", "polygamma",
]  # fmt: skip

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def scipy_special(name: str) -> Callable[..., Any]:
    """A function of `scipy.special`, imported with its first call."""
    found: list[Callable[..., Any]] = []

    def forward(*arrays: Any) -> Any:
        if not found:
            from scipy import special

            found.append(getattr(special, name))
        return found[0](*arrays)

    return forward


def _special(
    name: str, vjp: Any, explain: str, scipy_name: str = "", kernel: str = "", node: str | None = None
) -> Operator:
    return unary(
        name,
        scipy_special(scipy_name or name),
        vjp,
        refuse=COMPLEX,
        kernel=kernel or f"{name}_vml_cpu",
        node=node,
        explain=explain,
    )


# ---- the error function --------------------------------------------------------------------------
def _normal_slope(scale: float) -> Any:
    return lambda xp, g, self: g * (scale * xp.exp(-self * self))


erf = _special("erf", _normal_slope(TWO_OVER_ROOT_PI), "2/√π ∫₀ˣ e^(-t²) dt")
erfc = _special("erfc", _normal_slope(-TWO_OVER_ROOT_PI), "1 - erf(x), exact for large x")
erfinv = _special(
    "erfinv",
    lambda xp, g, out: g * (xp.exp(out * out) / TWO_OVER_ROOT_PI),
    "The inverse of erf.",
    kernel="erfinv_vml_cpu",
)
erfcx = _special(
    "erfcx",
    lambda xp, g, self, out: g * (2 * self * out - TWO_OVER_ROOT_PI),
    "e^(x²)·erfc(x)",
    kernel="special_erfcx_cpu",
    node="SpecialErfcxBackward0",
)
ndtri = _special(
    "ndtri",
    lambda xp, g, out: g * (math.sqrt(2 * math.pi) * xp.exp(0.5 * out * out)),
    "The inverse of the normal distribution function.",
    kernel="ndtri_cpu",
    node="SpecialNdtriBackward0",
)
log_ndtr = _special(
    "log_ndtr",
    lambda xp, g, self, out: g * (xp.exp(-0.5 * self * self - out) / math.sqrt(2 * math.pi)),
    "The logarithm of the normal distribution function.",
    kernel="log_ndtr_cpu",
    node="SpecialLogNdtrBackward0",
)


def ndtr(input: Any) -> Any:
    """The normal distribution function ½·(1 + erf(x/√2))."""
    return (1 + erf(check_tensor(input, "ndtr") * math.sqrt(0.5))) * 0.5


# ---- the gamma function --------------------------------------------------------------------------
def _polygamma(self: Any, *, n: int) -> Any:
    from scipy import special

    return np.asarray(special.polygamma(n, self)).astype(self.dtype)


_polygamma_primitive: Primitive = Primitive(
    "polygamma", _polygamma, {"self": lambda xp, g, self, n: g * xp.call(_polygamma_primitive, self, n=n + 1)}
)
digamma = _special(
    "digamma",
    lambda xp, g, self: g * xp.call(_polygamma_primitive, self, n=1),
    "ψ(x): the derivative of log Γ.",
    kernel="digamma",
)
lgamma = _special(
    "lgamma", lambda xp, g, self: g * xp.call(digamma.primitive, self), "log |Γ(x)|", scipy_name="gammaln"
)


def polygamma(n: Any, input: Any, *, out: Any = None) -> Any:
    """The n-th derivative of ψ. RuntimeError for n < 0."""
    if not isinstance(n, int):
        n, input = input, n
    have = tensor_dtype(check_tensor(input, "polygamma", "input", 2))
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return compute(_polygamma_primitive, (input,), to_float(have), out=out, n=n)


def mvlgamma(input: Any, p: int, *, out: Any = None) -> Any:
    """log Γ_p(x) = p(p-1)/4·log π + ∑ⱼ log Γ(x - j/2), j = 0 … p-1."""
    have = to_float(tensor_dtype(check_tensor(input, "mvlgamma")))
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return compute(_mvlgamma, (input,), have, out=out, p=p)


def _mvlgamma_forward(self: Any, *, p: int) -> Any:
    from scipy import special

    total = sum(special.gammaln(self - 0.5 * j) for j in range(p)) + p * (p - 1) / 4 * math.log(math.pi)
    return np.asarray(total).astype(self.dtype)


def _mvlgamma_slope(xp: Any, g: Any, self: Any, p: int) -> Any:
    slope = xp.call(digamma.primitive, self)
    for j in range(1, p):
        slope = slope + xp.call(digamma.primitive, self - 0.5 * j)
    return g * slope


_mvlgamma = Primitive("mvlgamma", _mvlgamma_forward, {"self": _mvlgamma_slope})


# ---- others --------------------------------------------------------------------------------------
def _logit_forward(self: Any, *, eps: float | None) -> Any:
    if eps is not None:
        self = np.minimum(np.maximum(self, eps), 1 - eps)
    return np.log(self / (1 - self))


def _logit_slope(xp: Any, g: Any, self: Any, eps: float | None) -> Any:
    slope = g / (self * (1 - self))
    if eps is None:
        return xp.where((self < 0) | (self > 1), math.nan, slope)
    return xp.where((self < eps) | (self > 1 - eps), 0, slope)


_logit = Primitive("logit", _logit_forward, {"self": _logit_slope})


def logit(input: Any, eps: float | None = None, *, out: Any = None) -> Any:
    """log(x / (1 - x)), x first clamped to [eps, 1 - eps] where `eps` is given."""
    have = tensor_dtype(check_tensor(input, "logit"))
    if have.category == 3:
        raise NotImplementedError(f"\"logit_cpu\" not implemented for '{legacy_name(have)}'")
    return compute(_logit, (input,), to_float(have), out=out, eps=eps)


i1 = _special(
    "i1",
    lambda xp, g, self, out: g * (xp.call(i0.primitive, self) - xp.where(self == 0, 0.5, out / self)),
    "The modified Bessel function of order 1.",
    kernel="i1_cpu",
    node="SpecialI1Backward0",
)
i0: Operator = _special(
    "i0", lambda xp, g, self: g * xp.call(i1.primitive, self), "The modified Bessel function of order 0."
)
i1e = _special(
    "i1e",
    lambda xp, g, self, out: (
        g * (xp.call(i0e.primitive, self) - out * (xp.sign(self) + xp.where(self == 0, 0, 1 / self)))
    ),
    "e^(-|x|)·i1(x)",
    kernel="i1e_cpu",
    node="SpecialI1EBackward0",
)
i0e: Operator = _special(
    "i0e",
    lambda xp, g, self, out: g * (xp.call(i1e.primitive, self) - xp.sign(self) * out),
    "e^(-|x|)·i0(x)",
    kernel="i0e_cpu",
    node="SpecialI0EBackward0",
)
entr = unary(
    "entr",
    lambda a: np.where(a < 0, a.dtype.type(-np.inf), np.where(a == 0, a.dtype.type(0), -a * np.log(a))),
    lambda xp, g, self: g * (-xp.log(self) - 1),
    refuse=COMPLEX,
    kernel="entr_cpu",
    node="SpecialEntrBackward0",
    explain="-x·log x, 0 at 0 and -∞ below",
)
xlog1py = binary(
    "xlog1py",
    lambda a, b: np.where((a == 0) & (b == b), np.zeros_like(a), a * np.log1p(b)),
    {
        "self": lambda xp, g, self, other: g * xp.where((self == 0) & (other <= -1), 0, xp.log1p(other)),
        "other": lambda xp, g, self, other: g * self / (other + 1),
    },
    floats=True,
    check=without("xlog1py_cpu"),
    node="SpecialXlog1PyBackward0",
    explain="a·log(1 + b), and 0 for a = 0",
)
zeta: Operator = binary(
    "zeta",
    scipy_special("zeta"),
    {
        "self": zeros_slope,
        "other": lambda xp, g, self, other: g * -self * xp.call(zeta.primitive, self + 1, other),
    },
    floats=True,
    check=without("zeta"),
    node="SpecialZetaBackward0",
    explain="∑ (k + b)⁻ᵃ, k = 0, 1, …",
)
expit, gammaln, psi = sigmoid, lgamma, digamma
