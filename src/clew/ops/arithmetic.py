"""Arithmetic: sums, products, quotients, remainders, powers, and the operators made of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.primitive import Primitive
from clew.core.promotion import result_dtype
from clew.core.variable import Variable
from clew.dtypes import complex128, dtype, float64, legacy_name
from clew.ops._arguments import (
    NUMBERS,
    check_tensor,
    is_number,
    no_signature,
    plain_number,
    tensor_dtype,
    underivable,
    without,
    zeros_slope,
)
from clew.ops._builders import binary, compute, convert, unary

__all__ = [
    "add", "addcdiv", "addcmul", "div", "divide", "float_power", "floor_divide", "fmod", "lerp", "mul",
    "multiply", "pow", "reciprocal", "remainder", "rsub", "sub", "subtract", "true_divide",
]  # fmt: skip


# ---- sums and differences ------------------------------------------------------------------------
def _check_sub(input: Any, other: Any, want: dtype) -> None:
    bools = [
        t._array.dtype.kind == "b" if isinstance(t, Variable) else t.__class__ is bool for t in (input, other)
    ]
    if all(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    if any(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


plus = binary(
    "add", operator.add, {"self": lambda xp, g: g, "other": lambda xp, g: g}, jvp="linear", explain="a + b"
)
minus = binary(
    "sub",
    operator.sub,
    {"self": lambda xp, g: g, "other": lambda xp, g: -g},
    check=_check_sub,
    jvp="linear",
    explain="a - b",
)
_rsub, minus_from = (
    binary(
        "rsub",
        lambda a, b: b - a,
        {"self": lambda xp, g: -g, "other": lambda xp, g: g},
        check=_check_sub,
        node=f"RsubBackward{n}",
        jvp="linear",
        explain="b - a",
    )
    for n in (0, 1)
)
_add_scaled = Primitive(
    "add",
    lambda self, other, *, alpha: self + alpha * other,
    {"self": lambda xp, g: g, "other": lambda xp, g, alpha: g * alpha},
    jvp="linear",
)
_sub_scaled = Primitive(
    "sub",
    lambda self, other, *, alpha: self - alpha * other,
    {"self": lambda xp, g: g, "other": lambda xp, g, alpha: g * -alpha},
    jvp="linear",
)


def _check_alpha(alpha: Any, want: dtype) -> None:
    if isinstance(alpha, bool) and want.category:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, (float, complex)) and want.category < 2:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, complex) and want.category < 3:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")


def _scaled(primitive: Primitive, input: Any, other: Any, alpha: Any, out: Any) -> Any:
    alpha = plain_number(alpha, primitive.name, "alpha")
    want = result_dtype(input, other)
    _check_alpha(alpha, want)
    return compute(primitive, (input, other), want, out=out, alpha=alpha)


def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """input + alpha·other, broadcast. RuntimeError where `alpha` is of a higher category than the result."""
    if (alpha.__class__ is int and alpha == 1) or not (
        isinstance(input, Variable) or isinstance(other, Variable)
    ):
        return plus(input, other, out=out)
    return _scaled(_add_scaled, input, other, alpha, out)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """input - alpha·other, broadcast. RuntimeError for bool tensors."""
    if (alpha.__class__ is int and alpha == 1) or not (
        isinstance(input, Variable) or isinstance(other, Variable)
    ):
        return minus(input, other, out=out)
    _check_sub(input, other, result_dtype(input, other))
    return _scaled(_sub_scaled, input, other, alpha, out)


subtract = sub


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """other - alpha·input."""
    if not isinstance(input, Variable):
        raise no_signature("rsub", input, other)
    if alpha != 1:
        return sub(other, input, alpha=alpha)
    return (minus_from if is_number(other) else _rsub)(input, other)


# ---- products and quotients ----------------------------------------------------------------------
mul = multiply = binary(
    "mul",
    operator.mul,
    {"self": lambda xp, g, other: g * other, "other": lambda xp, g, self: g * self},
    explain="a · b, broadcast.",
)
over = binary(
    "div",
    operator.truediv,
    {
        "self": lambda xp, g, other: g / other,
        "other": lambda xp, g, self, other: -g * ((self / other) / other),
    },
    floats=True,
    explain="a / b",
)


def _whole(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A division of integers that refuses zero."""

    def forward(a: Any, b: Any) -> Any:
        if not np.all(b):
            raise RuntimeError("ZeroDivisionError")
        return function(a, b)

    return forward


def _divide_trunc(a: Any, b: Any) -> Any:
    """a / b towards zero, of integers without a detour through floats."""
    down = np.floor_divide(a, b)
    return down + ((down < 0) & (down * b != a)).astype(down.dtype)


_constant = {"self": zeros_slope, "other": zeros_slope}
_div_trunc = binary(
    "div",
    lambda a, b: np.trunc(a / b),
    _constant,
    numbers=_whole(_divide_trunc),
    node="DivBackward2",
    check=without("div_trunc_cpu", 0, 3),
    explain="the quotient towards zero",
)
# PyTorch rounds the quotient of 16-bit floats before it cuts it off.
_div_trunc.primitive._rounded = _div_trunc.primitive
_MANY = 1 << 12
_EXACT = 2.0**28  # quotients of float32 numbers below this are cut off exactly in float64


def _widely(a: Any, b: Any) -> Any:
    """Many float32 numbers as float64, and their quotients, if those may be rounded either way; else None."""
    if a.dtype != np.float32 or a.size < _MANY:
        return None
    wide, other = a.astype(np.float64), np.asarray(b, a.dtype).astype(np.float64)
    quotient = wide / other
    exact = np.abs(quotient).max() < _EXACT and np.isfinite(other).all()
    return (wide, other, quotient) if exact else None


def _remainder_towards_zero(a: Any, b: Any) -> Any:
    """a - b·trunc(a / b), exactly: in a tenth of the time of `np.fmod`."""
    found = _widely(a, b)
    if found is None:
        return np.fmod(a, b)
    wide, other, quotient = found
    return np.copysign((wide - np.trunc(quotient) * other).astype(a.dtype), a)


def _quotient_down(a: Any, b: Any) -> Any:
    """⌊a / b⌋, exactly: in a tenth of the time of `np.floor_divide`."""
    found = _widely(a, b)
    return np.floor_divide(a, b) if found is None else np.floor(found[2]).astype(a.dtype)


_div_floor = binary(
    "div",
    _quotient_down,
    _constant,
    numbers=_whole(np.floor_divide),
    node="DivBackward2",
    check=without("div_floor_cpu", 0, 3),
    explain="the quotient towards minus infinity",
)


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Any:
    """input / other, broadcast; integers divide to floats. rounding_mode: None, "trunc" or "floor".

    Rounded integer division by zero raises RuntimeError.
    """
    if rounding_mode is None:
        return over(input, other, out=out)
    if rounding_mode == "floor":
        return _div_floor(input, other, out=out)
    if rounding_mode == "trunc":
        return _div_trunc(input, other, out=out)
    raise RuntimeError(
        f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
    )


divide = true_divide = div


floor_divide = binary(
    "floor_divide",
    _quotient_down,
    {"self": underivable("floor_divide"), "other": underivable("floor_divide")},
    numbers=_whole(np.floor_divide),
    check=without("div_floor_cpu", 0, 3),
    node="NotImplemented",
    explain="⌊a / b⌋. Integer division by zero raises RuntimeError.",
)


def _quotient_slope(quotient: Any) -> Any:
    return lambda xp, g, self, other: -g * xp.call(quotient.primitive, self, other)


def _modulo(name: str, ufunc: Any, quotient: Any, node: str) -> Any:
    return binary(
        name,
        ufunc,
        {"self": lambda xp, g: g, "other": _quotient_slope(quotient)},
        numbers=_whole(ufunc),
        node=node,
        check=without(f"{name}_cpu", 0, 3),
        explain="what is left of a after dividing by b",
    )


_fmods = [_modulo("fmod", _remainder_towards_zero, _div_trunc, f"FmodBackward{n}") for n in (0, 1)]
remainders = [_modulo("remainder", np.remainder, _div_floor, f"RemainderBackward{n}") for n in (0, 1)]


def fmod(input: Any, other: Any, *, out: Any = None) -> Any:
    """input - other·trunc(input / other): the sign is that of `input`."""
    if is_number(input):
        raise no_signature("fmod", input, other)
    return _fmods[not is_number(other)](input, other, out=out)


def remainder(input: Any, other: Any, *, out: Any = None) -> Any:
    """input - other·⌊input / other⌋: the sign is that of `other`, as with Python's `%`."""
    return remainders[not is_number(other)](input, other, out=out)


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Any = None) -> Any:
    """input + value·tensor1·tensor2, broadcast."""
    return compute(_addcmul, (input, tensor1, tensor2), out=out, value=_value("addcmul", value, input))


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Any = None) -> Any:
    """input + value·tensor1 / tensor2, broadcast. RuntimeError for two integer tensors."""
    if all(tensor_dtype(t).category < 2 for t in (tensor1, tensor2)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv "
            "will perform a "
            "true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented "
            "as (input + value "
            "* torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + "
            "value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value "
            "* tensor1 / tensor2), for all dtypes."
        )
    return compute(_addcdiv, (input, tensor1, tensor2), out=out, value=_value("addcdiv", value, input))


def _value(function: str, value: Any, input: Any) -> Any:
    value = plain_number(value, function, "value")
    return int(value) if input._array.dtype.kind in "iub" else value


_addcmul = Primitive(
    "addcmul",
    lambda self, tensor1, tensor2, *, value: self + value * tensor1 * tensor2,
    {
        "self": lambda xp, g: g,
        "tensor1": lambda xp, g, tensor2, value: g * (tensor2 * value),
        "tensor2": lambda xp, g, tensor1, value: g * (tensor1 * value),
    },
)
_addcdiv = Primitive(
    "addcdiv",
    lambda self, tensor1, tensor2, *, value: self + value * tensor1 / tensor2,
    {
        "self": lambda xp, g: g,
        "tensor1": lambda xp, g, tensor2, value: g * (value / tensor2),
        "tensor2": lambda xp, g, tensor1, tensor2, value: -g * (value * tensor1 / (tensor2 * tensor2)),
    },
)
_lerp = Primitive(
    "lerp",
    lambda self, end, *, weight: (
        self + weight * (end - self) if weight < 0.5 else end - (end - self) * (1 - weight)
    ),
    {"self": lambda xp, g, weight: g * (1 - weight), "end": lambda xp, g, weight: g * weight},
)
_lerp_tensor = Primitive(
    "lerp",
    lambda self, end, weight: np.where(
        np.less(weight, 0.5), self + weight * (end - self), end - (end - self) * (1 - weight)
    ),
    {
        "self": lambda xp, g, weight: g * (1 - weight),
        "end": lambda xp, g, weight: g * weight,
        "weight": lambda xp, g, self, end: g * (end - self),
    },
    node="LerpBackward1",
)
_SPELLED = {
    "float32": "float",
    "float64": "double",
    "int64": "long int",
    "int32": "int",
    "float16": "c10::Half",
}


def lerp(input: Any, end: Any, weight: Any, *, out: Any = None) -> Any:
    """input + weight·(end - input), from `input` (weight 0) to `end` (weight 1).

    All tensors must be of one type.
    """
    have = tensor_dtype(check_tensor(input, "lerp"))
    for name, value in (("end", end), ("weight", weight)):
        if isinstance(value, Variable) and tensor_dtype(value) is not have:
            names = [_SPELLED.get(d.name, d.name) for d in (have, tensor_dtype(value))]
            raise RuntimeError(f"expected dtype {names[0]} for `{name}` but got dtype {names[1]}")
    tensors = isinstance(weight, Variable)
    if have.category < 2:
        raise NotImplementedError(
            f"\"lerp_kernel_{'tensor' if tensors else 'scalar'}\" not implemented for '{legacy_name(have)}'"
        )
    if tensors:
        return compute(_lerp_tensor, (input, end, weight), have, out=out)
    return compute(_lerp, (input, end), have, out=out, weight=weight)


reciprocal = unary("reciprocal", lambda a: 1 / a, lambda xp, g, out: -g * (out * out), explain="1 / x")


# ---- powers --------------------------------------------------------------------------------------
def _power(a: Any, n: Any) -> Any:
    """aⁿ for a number n (or a 0-d array), the usual exponents by multiplication."""
    if n == 2:
        return a * a
    if n == 3:
        return a * a * a
    return 1 / a if n == -1 else a**n


def _power_slope(xp: Any, g: Any, self: Any, exponent: Any) -> Any:
    if exponent == 2:
        return g * (self + self)
    if exponent == 0:
        return xp.zeros_like(g)
    return g * (exponent * self ** (exponent - 1))


def _power_whole(a: Any, n: Any) -> Any:
    """aⁿ of integers; a negative power is 0 except that of 1 and -1."""
    if a.dtype.kind == "b" or not np.any(n < 0):
        return a**n
    unit = np.where(a == 1, 1, np.where(a == -1, np.where(n % 2 == 0, 1, -1), 0)).astype(a.dtype)
    return np.where(n < 0, unit, a ** np.maximum(n, 0))


def _check_power(input: Any, other: Any, want: dtype) -> None:
    if want.category == 0:
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if want.category == 1 and is_number(other) and other < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


def _exponent_slope(xp: Any, g: Any, self: Any, exponent: Any, out: Any) -> Any:
    """g·aⁿ·log a, and 0 for a = 0 and n ≥ 0."""
    return g * xp.where((self == 0) & (xp.real(exponent) >= 0), 0, out * xp.log(self))


def _exponent_slope_number(xp: Any, g: Any, self: Any, exponent: Any, out: Any) -> Any:
    if self.__class__ not in (int, float):
        return _exponent_slope(xp, g, self, exponent, out)
    if self == 0:
        return g * xp.where(exponent >= 0, 0, out * -math.inf)
    return g * (out * (math.log(self) if self > 0 else math.nan))


power_number = binary(
    "pow",
    _power,
    {"self": _power_slope},
    args=("self", "exponent"),
    asis=True,
    numbers=_power_whole,
    check=_check_power,
    node="PowBackward0",
    explain="aⁿ for a number n",
)
power = binary(
    "pow",
    operator.pow,
    {
        "self": lambda xp, g, self, exponent: xp.where(
            exponent == 0, 0, g * (exponent * self ** (exponent - 1))
        ),
        "exponent": _exponent_slope,
    },
    args=("self", "exponent"),
    asis=True,
    numbers=_power_whole,
    check=_check_power,
    node="PowBackward1",
    explain="aᵇ, elementwise",
)
power_of_number = binary(
    "pow",
    lambda exponent, self: self**exponent,
    {"exponent": _exponent_slope_number},
    args=("exponent", "self"),
    numbers=lambda exponent, self: _power_whole(self, exponent),
    check=lambda input, other, want: _check_power(other, input, want),
    node="PowBackward2",
    explain="aⁿ for a number a",
)


def pow(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """inputⁿ, elementwise; either may be a number. Integers to a negative number raise RuntimeError."""
    kind = exponent.__class__
    if kind is int or kind is float:
        return power_number(input, exponent, out=out)
    if isinstance(input, Variable):
        return (power_number if is_number(exponent) else power)(input, exponent, out=out)
    if not isinstance(exponent, Variable):
        raise no_signature("pow", input, exponent)
    return power_of_number(exponent, input, out=out)


def float_power(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """inputⁿ computed in double precision (complex if one of them is)."""
    want = complex128 if result_dtype(input, exponent).category == 3 else float64

    def wide(value: Any) -> Any:
        return convert(value, want.np) if isinstance(value, Variable) else want.np.type(value).item()

    return pow(wide(input), wide(exponent), out=out)


# ---- operators -----------------------------------------------------------------------------------
def known(value: Any) -> bool:
    """Whether an operator takes an operand; others are left to their own class."""
    return isinstance(value, (Variable, *NUMBERS))


def raised(self: Any, exponent: Any) -> Any:
    """`self ** exponent`"""
    kind = exponent.__class__
    if kind is int or kind is float:
        return power_number(self, exponent)
    return pow(self, exponent) if known(exponent) else NotImplemented


def modulo(self: Any, other: Any) -> Any:
    """`self % other`"""
    return remainder(self, other) if known(other) else NotImplemented


def divided_from(self: Any, other: Any) -> Any:
    """`other / self`"""
    return mul(self.reciprocal(), other) if known(other) else NotImplemented


def reflected(op: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """The operator with its operands the other way round: `__rpow__` from `pow`."""

    def op_reflected(self: Any, other: Any) -> Any:
        return op(other, self) if known(other) else NotImplemented

    return op_reflected
