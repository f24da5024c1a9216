"""Arithmetic, comparisons and functions of single numbers. One line each: forward, then the derivative formulas."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from clew.ops._builders import binary, unary

# ---- arithmetic ------------------------------------------------------------------------------------------------------
_add = binary("add", operator.add, {"self": lambda xp, g: g, "other": lambda xp, g: g}, jvp="linear")
_sub = binary("sub", operator.sub, {"self": lambda xp, g: g, "other": lambda xp, g: -g}, jvp="linear")
mul = binary(
    "mul", operator.mul, {"self": lambda xp, g, other: g * other, "other": lambda xp, g, self: g * self}
)
div = binary(
    "div",
    operator.truediv,
    {"self": lambda xp, g, other: g / other, "other": lambda xp, g, self, other: -g * ((self / other) / other)},
    floats=True,
)
def _power(a: Any, b: Any) -> Any:
    return a * a if b.__class__ is int and b == 2 else a**b


def _power_slope(xp: Any, g: Any, self: Any, other: Any) -> Any:
    if other.__class__ is int and other == 2:
        return g * (2 * self)
    return g * (other * self ** (other - 1))


pow = binary("pow", _power, {"self": _power_slope, "other": lambda xp, g, self, other, out: g * out * xp.log(self)})
neg = unary("neg", operator.neg, lambda xp, g: -g, keep=True)
exp = unary("exp", np.exp, lambda xp, g, out: g * out)
add, sub = _add, _sub
