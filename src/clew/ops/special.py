"""Special functions of single numbers, by SciPy (imported when the first of them is called)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import to_float
from clew.core.variable import Variable
from clew.dtypes import dtype, legacy_name
from clew.ops._arguments import COMPLEX, check_tensor, is_number, not_derived, tensor_dtype, without
from clew.ops._builders import Operator, binary, compute, convert, unary
from clew.ops.elementwise import by_numbers, of_tensors, sigmoid

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "i0", "igamma", "igammac", "lgamma", "logit", "mvlgamma", "polygamma",
]  # fmt: skip

NO_HALVES = f"float16 bfloat16 {COMPLEX}"
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
    name: str,
    vjp: Any,
    explain: str,
    scipy_name: str = "",
    kernel: str = "",
    node: str | None = None,
    refuse: str = COMPLEX,
) -> Operator:
    return unary(
        name,
        scipy_special(scipy_name or name.removeprefix("special_")),
        vjp,
        refuse=refuse,
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
    "special_erfcx",
    lambda xp, g, self, out: g * (2 * self * out - TWO_OVER_ROOT_PI),
    "e^(x²)·erfc(x)",
    kernel="erfcx_cpu",
    node="SpecialErfcxBackward0",
    refuse=NO_HALVES,
)
ndtri = _special(
    "special_ndtri",
    lambda xp, g, out: g * (math.sqrt(2 * math.pi) * xp.exp(0.5 * out * out)),
    "The inverse of the normal distribution function.",
    kernel="ndtri_cpu",
    node="SpecialNdtriBackward0",
    refuse=NO_HALVES,
)
log_ndtr = _special(
    "special_log_ndtr",
    lambda xp, g, self, out: g * (xp.exp(-0.5 * self * self - out) / math.sqrt(2 * math.pi)),
    "The logarithm of the normal distribution function.",
    kernel="log_ndtr_cpu",
    node="SpecialLogNdtrBackward0",
    refuse=NO_HALVES,
)


def ndtr(input: Any, *, out: Any = None) -> Any:
    """The normal distribution function ½·(1 + erf(x/√2))."""
    have = tensor_dtype(check_tensor(input, "special_ndtr"))
    result = (1 + erf(convert(input, to_float(have).np) * math.sqrt(0.5))) * 0.5
    return result if out is None else store_out(out, result)


# ---- the gamma function --------------------------------------------------------------------------
def _trigamma(a: Any) -> Any:
    """ψ′ by ψ′(x) = ψ′(x + 1) + 1/x² up to x ≥ 8, then by its asymptotic series; below ½ by reflection.

    (M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 1964, 6.4.6, 6.4.7, 6.4.12.) Twenty times as fast
    as ζ(2, x), which SciPy would compute.
    """
    left = a < 0.5
    reflected = left.any()
    x = np.where(left, 1 - a, a) if reflected else a
    total = 0.0
    for _ in range(8):
        total = 1 / (x * x) + total
        x = x + 1
    r = 1 / (x * x)
    tail = r * (1 / 6 - r * (1 / 30 - r * (1 / 42 - r * (1 / 30 - r * (5 / 66 - r * 691 / 2730)))))
    total = total + (1 + 0.5 / x + tail) / x
    if not reflected:
        return total
    sine = np.sin(math.pi * (a - np.rint(a)))
    return np.where(left, math.pi**2 / (sine * sine) - total, total)


def _polygamma(self: Any, *, n: int) -> Any:
    if n == 1:
        return _trigamma(self)
    from scipy import special

    if n == 0:
        return special.psi(self)
    made = (-1.0) ** (n + 1) * special.gamma(n + 1.0) * special.zeta(n + 1, self)
    return np.asarray(made).astype(self.dtype)


_polygamma_primitive: Primitive = Primitive(
    "polygamma", _polygamma, {"self": lambda xp, g, self, n: g * xp.call(_polygamma_primitive, self, n=n + 1)}
)
digamma = _special(
    "digamma",
    lambda xp, g, self: g * xp.call(_polygamma_primitive, self, n=1),
    "ψ(x): the derivative of log Γ.",
    kernel="digamma",
)
lgamma = unary(
    "lgamma",
    lambda a: scipy_special("gammaln")(np.where(a == -np.inf, -a, a)),
    lambda xp, g, self: g * xp.call(digamma.primitive, self),
    refuse=COMPLEX,
    kernel="lgamma_vml_cpu",
    explain="log |Γ(x)|",
)


def polygamma(n: Any, input: Any, *, out: Any = None) -> Any:
    """The n-th derivative of ψ. RuntimeError for n < 0."""
    if not hasattr(n, "__index__") or isinstance(n, Variable):
        kind = "Tensor" if isinstance(n, Variable) else type(n).__name__
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {kind}")
    have = tensor_dtype(check_tensor(input, "polygamma", "input", 2))
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if have.category == 3:
        kernel = {0: "digamma", 1: "trigamma"}.get(n, "polygamma")
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(have)}'")
    return compute(_polygamma_primitive, (input,), to_float(have), out=out, n=n)


def polygamma_of(self: Any, n: int) -> Any:
    """The n-th derivative of ψ at this tensor's values: `polygamma` as a method."""
    return polygamma(n, self)


def mvlgamma(input: Any, p: int, *, out: Any = None) -> Any:
    """log Γ_p(x) = p(p-1)/4·log π + ∑ⱼ log Γ(x - j/2), j = 0 … p-1."""
    have = to_float(tensor_dtype(check_tensor(input, "mvlgamma")))
    if input._array.dtype.kind == "b":
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    if have.category == 3:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{legacy_name(have)}'")
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
    if eps is not None and not is_number(eps):
        raise TypeError(f"logit(): argument 'eps' must be float, not {type(eps).__name__}")
    if have.category == 3:
        raise NotImplementedError(f"\"logit_cpu\" not implemented for '{legacy_name(have)}'")
    return compute(_logit, (input,), to_float(have), out=out, eps=eps)


def _over_place(xp: Any, out: Any, self: Any) -> Any:
    """I₁(x) / x, and ½ at 0 (where the division, though not chosen, would make the next derivative NaN)."""
    zero = self == 0
    return xp.where(zero, 0.5, out / xp.where(zero, 1, self))


i1 = _special(
    "special_i1",
    lambda xp, g, self, out: g * (xp.call(i0.primitive, self) - _over_place(xp, out, self)),
    "The modified Bessel function of order 1.",
    kernel="i1_cpu",
    node="SpecialI1Backward0",
)
i0: Operator = _special(
    "i0", lambda xp, g, self: g * xp.call(i1.primitive, self), "The modified Bessel function of order 0."
)
i1e = _special(
    "special_i1e",
    lambda xp, g, self, out: (
        g * (xp.call(i0e.primitive, self) - out * xp.sign(self) - _over_place(xp, out, self))
    ),
    "e^(-|x|)·i1(x)",
    kernel="i1e_cpu",
    node="SpecialI1EBackward0",
)
i0e: Operator = _special(
    "special_i0e",
    lambda xp, g, self, out: g * (xp.call(i1e.primitive, self) - xp.sign(self) * out),
    "e^(-|x|)·i0(x)",
    kernel="i0e_cpu",
    node="SpecialI0EBackward0",
)
entr = unary(
    "special_entr",
    lambda a: np.where(a < 0, a.dtype.type(-np.inf), np.where(a == 0, a.dtype.type(0), -a * np.log(a))),
    lambda xp, g, self: g * (-xp.log(self) - 1),
    refuse=COMPLEX,
    kernel="entr_cpu",
    node="SpecialEntrBackward0",
    explain="-x·log x, 0 at 0 and -∞ below",
)
xlog1py = by_numbers(
    "special_xlog1py",
    [
        binary(
            "special_xlog1py",
            lambda a, b: np.where((a == 0) & (b == b), np.zeros_like(a), a * np.log1p(b)),
            {
                "self": lambda xp, g, self, other: (
                    g * xp.where((self == 0) & (other <= -1), 0, xp.log1p(other))
                ),
                "other": lambda xp, g, self, other: g * self / (other + 1),
            },
            floats=True,
            check=without("xlog1py_cpu"),
            node=f"SpecialXlog1PyBackward{n}",
        )
        for n in range(3)
    ],
    "a·log(1 + b), and 0 for a = 0",
)


def _check_zeta(input: Any, other: Any, want: dtype) -> None:
    if want.category == 3 or (want.category == 2 and want.itemsize == 2):
        raise NotImplementedError(f"\"zeta_cpu\" not implemented for '{legacy_name(want)}'")


_zetas: list[Operator] = [
    binary(
        "special_zeta",
        scipy_special("zeta"),
        {
            "self": not_derived("zeta"),
            "other": lambda xp, g, self, other: g * -self * xp.call(_zetas[0].primitive, self + 1, other),
        },
        floats=True,
        check=_check_zeta,
        node=f"SpecialZetaBackward{n}",
    )
    for n in range(3)
]
zeta = by_numbers("special_zeta", _zetas, "Hurwitz's ζ(a, b) = ∑ (k + b)⁻ᵃ, k = 0, 1, …")


# ---- incomplete gamma functions ------------------------------------------------------------------
def _density(xp: Any, self: Any, other: Any) -> Any:
    """xᵃ⁻¹·e⁻ˣ / Γ(a): the derivative of the lower regularised function by x."""
    return xp.exp((self - 1) * xp.log(other) - other - xp.call(lgamma.primitive, self))


def _upper(a: Any, x: Any) -> Any:
    """1 - P(a, x), and by SciPy's slower function only where that would lose digits."""
    lower = np.asarray(scipy_special("gammainc")(a, x))
    rest, small = 1 - lower, lower > 0.9
    if small.any():
        rest = np.asarray(rest)
        a, x = np.broadcast_arrays(a, x)
        rest[small] = scipy_special("gammaincc")(a[small], x[small])
    return rest


def _incomplete(name: str, forward: Any, sign: int, explain: str) -> Operator:
    return of_tensors(
        binary(
            name,
            forward,
            {
                "self": not_derived(f"{name}: input"),
                "other": lambda xp, g, self, other: g * (sign * _density(xp, self, other)),
            },
            check=without(f"{name}_cpu", 0, 1, 3),
            explain=explain,
        )
    )


igamma = _incomplete("igamma", scipy_special("gammainc"), 1, "1/Γ(a) ∫₀ˣ tᵃ⁻¹·e⁻ᵗ dt, a the first operand")
igammac = _incomplete("igammac", _upper, -1, "1/Γ(a) ∫ₓ^∞ tᵃ⁻¹·e⁻ᵗ dt = 1 - igamma(a, x)")
expit, gammaln, psi = sigmoid, lgamma, digamma
gammainc, gammaincc, multigammaln = igamma, igammac, mvlgamma
