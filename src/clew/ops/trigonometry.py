"""Angles: trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew.core import raw
from clew.kernels import pick
from clew.ops._arguments import refusal, without
from clew.ops._builders import binary, of_tensors, unary

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin",
    "asinh", "atan", "atan2", "atanh", "cos", "cosh", "deg2rad", "hypot", "rad2deg", "sin", "sinc",
    "sinh", "tan", "tanh",
]  # fmt: skip

sin = unary("sin", np.sin, lambda xp, g, self: g * xp.cos(self), explain="The sine.")
cos = unary("cos", np.cos, lambda xp, g, self: -g * xp.sin(self), explain="The cosine.")
tan = unary("tan", np.tan, lambda xp, g, out: g * (1 + out * out), explain="The tangent.")
asin = unary("asin", np.arcsin, lambda xp, g, self: g / xp.sqrt(1 - self * self), explain="The arc sine.")
acos = unary("acos", np.arccos, lambda xp, g, self: -g / xp.sqrt(1 - self * self), explain="The arc cosine.")
atan = unary("atan", np.arctan, lambda xp, g, self: g / (1 + self * self), explain="The arc tangent.")
sinh = unary("sinh", np.sinh, lambda xp, g, self: g * xp.cosh(self), explain="The hyperbolic sine.")
cosh = unary("cosh", np.cosh, lambda xp, g, self: g * xp.sinh(self), explain="The hyperbolic cosine.")


def _tanh_slope(xp: Any, g: Any, out: Any) -> Any:
    if xp is raw and (kernel := pick("tanh_back", out)):
        return kernel(out, g)
    return g * (1 - out * out)


tanh = unary("tanh", np.tanh, _tanh_slope, explain="The hyperbolic tangent.")
asinh = unary(
    "asinh", np.arcsinh, lambda xp, g, self: g / xp.sqrt(self * self + 1), explain="The inverse of sinh."
)
acosh = unary(
    "acosh",
    np.arccosh,
    lambda xp, g, self: g / (xp.sqrt(self - 1) * xp.sqrt(self + 1)),
    explain="The inverse of cosh.",
)
atanh = unary("atanh", np.arctanh, lambda xp, g, self: g / (1 - self * self), explain="The inverse of tanh.")
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


def _atan2_slope(sign: int, which: str) -> Any:
    def slope(xp: Any, g: Any, self: Any, other: Any) -> Any:
        r2 = self * self + other * other
        value = other if which == "self" else -self
        return g * xp.where(r2 == 0, 0, value / r2)

    return slope


atan2 = of_tensors(
    binary(
        "atan2",
        np.arctan2,
        {"self": _atan2_slope(1, "self"), "other": _atan2_slope(-1, "other")},
        floats=True,
        check=without("atan2_cpu"),
        explain="The angle of the point (b, a), between -π and π.",
    )
)
arctan2 = atan2
_hypot_slopes = {
    "self": lambda xp, g, self, out: g * (self / out),
    "other": lambda xp, g, other, out: g * (other / out),
}
hypot = of_tensors(
    binary("hypot", np.hypot, _hypot_slopes, check=without("hypot_cpu", 0, 1, 3), explain="√(a² + b²)")
)
deg2rad = unary(
    "deg2rad",
    lambda a: a * (math.pi / 180),
    lambda xp, g: g * (math.pi / 180),
    check=refusal("deg2rad is not supported for complex tensors.", error=RuntimeError),
    explain="x·π / 180",
)
rad2deg = unary(
    "rad2deg",
    lambda a: a * (180 / math.pi),
    lambda xp, g: g * (180 / math.pi),
    check=refusal("rad2deg is not supported for complex tensors.", error=RuntimeError),
    explain="x·180 / π",
)


def _sinc(a: Any) -> Any:
    x = a * math.pi
    return np.where(x == 0, a.dtype.type(1), np.sin(x) / x)


def _sinc_slope(xp: Any, g: Any, self: Any) -> Any:
    x = self * math.pi
    return g * xp.where(x * x == 0, 0, (x * xp.cos(x) - xp.sin(x)) / (x * self))


sinc = unary("sinc", _sinc, _sinc_slope, explain="sin(πx) / (πx), and 1 at 0")
