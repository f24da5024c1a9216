"""

Functions of single numbers: roots, exponentials, rounding, choices; each its forward and its derivatives.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import result_dtype, to_float
from clew.core.variable import FLOAT32, FLOAT64, Variable, classes, wrap
from clew.dtypes import dtype, legacy_name
from clew.kernels import pick
from clew.ops._arguments import (
    COMPLEX,
    check_operands,
    check_tensor,
    is_complex,
    is_number,
    legacy,
    no_signature,
    refusal,
    tensor_dtype,
    underivable,
    without,
    zeros_slope,
)
from clew.ops._builders import (
    Operator,
    binary,
    compute,
    convert,
    first_broadcast_error,
    of_tensors,
    operand,
    unary,
)
from clew.ops.arithmetic import pow
from clew.ops.create import number_in

__all__ = [
    "abs", "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "exp", "exp2",
    "expm1", "fill", "fix", "floor", "fmax", "fmin", "frac", "heaviside", "log", "log10", "log1p",
    "log2", "logaddexp", "logaddexp2", "maximum", "minimum", "nan_to_num", "neg", "negative",
    "positive", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit", "sqrt", "square",
    "trunc", "where", "xlogy",
]  # fmt: skip

BOOL, FLOATS = np.dtype(bool), (FLOAT32, FLOAT64)
PLAIN, PLAIN_OR_NONE = (int, float), (int, float, type(None))


# ---- roots ---------------------------------------------------------------------------------------
sqrt = unary("sqrt", np.sqrt, lambda xp, g, out: g / (2 * out), explain="√x")
rsqrt = unary(
    "rsqrt", lambda a: 1 / np.sqrt(a), lambda xp, g, out: -0.5 * g * (out * out * out), explain="1 / √x"
)
_square = unary(
    "square",
    lambda a: a * a,
    lambda xp, g, self: g * (2 * self),
    keep=True,
    node="PowBackward0",
    explain="x²",
)


def square(input: Any, *, out: Any = None) -> Any:
    """x²; bools become integers."""
    if check_tensor(input, "square")._array.dtype.kind == "b":
        return pow(input, 2, out=out)
    return _square(input, out=out)


# ---- exponentials and logarithms -----------------------------------------------------------------
LN2, LN10 = math.log(2), math.log(10)

exp = unary("exp", np.exp, lambda xp, g, out: g * out, explain="eˣ")
exp2 = unary(
    "exp2",
    lambda a: np.exp2(a) if a.dtype.kind != "c" else np.exp(a * LN2),
    lambda xp, g, out: g * (out * LN2),
    explain="2ˣ",
)
expm1 = unary("expm1", np.expm1, lambda xp, g, out: g * (out + 1), explain="eˣ - 1, exact near 0")
log = unary("log", np.log, lambda xp, g, self: g / self, explain="The natural logarithm.")
log2 = unary("log2", np.log2, lambda xp, g, self: g / (self * LN2), explain="The logarithm to base 2.")
log10 = unary("log10", np.log10, lambda xp, g, self: g / (self * LN10), explain="The logarithm to base 10.")
log1p = unary("log1p", np.log1p, lambda xp, g, self: g / (self + 1), explain="log(1 + x), exact near 0")


def _sigmoid_array(a: Any) -> Any:
    if a.__class__ is np.ndarray and (kernel := pick("sigmoid", a)):
        return kernel(a)
    return 1 / (1 + np.exp(-a))


def _sigmoid_slope(xp: Any, g: Any, out: Any) -> Any:
    if xp is raw and (kernel := pick("sigmoid_back", out)):
        return kernel(out, g)
    return g * (out * (1 - out))


sigmoid = unary(
    "sigmoid",
    _sigmoid_array,
    _sigmoid_slope,
    explain="1 / (1 + e⁻ˣ)",
)
_differ = {
    "self": lambda xp, g, self, other: g / (1 + xp.exp(other - self)),
    "other": lambda xp, g, self, other: g / (1 + xp.exp(self - other)),
}
_differ2 = {
    "self": lambda xp, g, self, other: g / (1 + xp.exp(LN2 * (other - self))),
    "other": lambda xp, g, self, other: g / (1 + xp.exp(LN2 * (self - other))),
}


def add_exponents(a: Any, b: Any) -> Any:
    """log(eᵃ + eᵇ); of complex numbers the branch next to the one with the larger real part."""
    if a.dtype.kind != "c":
        large, apart = np.maximum(a, b), np.abs(a - b)
        made = large + np.log1p(np.exp(-apart))  # whole arrays at a time, unlike np.logaddexp
        return np.where(np.isinf(large), large, made) if np.isnan(made).any() else made
    first = a.real >= b.real
    large, small = np.where(first, a, b), np.where(first, b, a)
    alone = np.isneginf(small.real) | (np.isinf(large.real) & (large == small))
    made = np.where(alone, large, large + np.log1p(np.exp(small - large)))
    return np.where(np.isnan(a) | np.isnan(b), complex(math.nan, math.nan), made)


logaddexp = of_tensors(
    binary(
        "logaddexp",
        add_exponents,
        _differ,
        check=without("logaddexp_cpu", 0, 1),
        explain="log(eᵃ + eᵇ), without overflow",
    )
)
logaddexp2 = of_tensors(
    binary(
        "logaddexp2",
        np.logaddexp2,
        _differ2,
        check=without("logaddexp2_cpu", 0, 1),
        explain="log₂(2ᵃ + 2ᵇ)",
    )
)


def _xlogy(a: Any, b: Any) -> Any:
    return np.where((a == 0) & (b == b), np.zeros_like(a), a * np.log(b))


_xlogy_self = lambda xp, g, self, other: g * xp.where((self == 0) & (other <= 0), 0, xp.log(other))  # noqa: E731
_xlogy_other = lambda xp, g, self, other: g * self / other  # noqa: E731
xlogy_both, _xlogy_first, _xlogy_second = (
    binary(
        "xlogy",
        _xlogy,
        {"self": _xlogy_self, "other": _xlogy_other},
        floats=True,
        check=without("xlogy_cpu"),
        node=f"XlogyBackward{n}",
        explain="a·log b, and 0 for a = 0",
    )
    for n in range(3)
)


def by_numbers(name: str, variants: Sequence[Operator], explain: str) -> Callable[..., Any]:
    """One function of operators that differ in which operand is a number: neither, the first, the second."""
    both, first, second = variants

    def op(input: Any, other: Any, *, out: Any = None) -> Any:
        check_operands(name, input, other)
        if is_number(input):
            return first(wrap_number(input, other), other, out=out)
        if is_number(other):
            return second(input, wrap_number(other, input), out=out)
        return both(input, other, out=out)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = explain
    return op


xlogy = by_numbers(
    "xlogy",
    (xlogy_both, _xlogy_first, _xlogy_second),
    "input·log(other), and 0 wherever `input` is 0.",
)


def wrap_number(value: Any, like: Any) -> Any:
    """A number as a tensor of the floating type it has next to `like`."""
    return wrap(np.asarray(value, dtype=to_float(result_dtype(like, value)).np))


# ---- signs, rounding -----------------------------------------------------------------------------
def _check_neg(have: dtype) -> None:
    if have.category == 0:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


def _sign(a: Any) -> Any:
    kind = a.dtype.kind
    if kind == "b":
        return a.copy()
    return np.sign(a) if kind == "c" else np.subtract(a > 0, a < 0, dtype=a.dtype)  # 0 for NaN


def _sgn_slope(xp: Any, g: Any, self: Any, out: Any) -> Any:
    """0 for real numbers; for complex ones the part of g across the direction, over |z|."""
    if not is_complex(self):
        return xp.zeros_like(g)
    size = xp.abs(self)
    return xp.where(size == 0, 0, (g - out * xp.real(xp.conj(out) * g)) / size)


neg = unary("neg", operator.neg, lambda xp, g: -g, keep=True, check=_check_neg, jvp="linear", explain="-x")
sign = unary(
    "sign",
    _sign,
    zeros_slope,
    keep=True,
    explain="-1, 0 or 1 by the sign of x",
    check=refusal(
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
    ),
)
sgn = unary("sgn", _sign, _sgn_slope, keep=True, holomorphic=False, explain="x / |x|, and 0 at 0")
abs = unary(
    "abs",
    operator.abs,
    lambda xp, g, self: g * xp.call(sgn.primitive, self),
    keep=True,
    refuse="bool",
    kernel="abs_cpu",
    holomorphic=False,
    explain="|x|",
)
absolute, negative = abs, neg


def positive(input: Any) -> Any:
    """The tensor itself. RuntimeError for bool."""
    if check_tensor(input, "positive")._array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def _rounding(name: str, ufunc: Any, explain: str) -> Any:
    return unary(
        name,
        ufunc,
        zeros_slope,
        keep=True,
        refuse="bool",
        kernel=f"{name}_vml_cpu",
        explain=explain,
        check=refusal(f"{name} is not supported for complex inputs"),
    )


floor = _rounding("floor", np.floor, "⌊x⌋: the next integer below.")
ceil = _rounding("ceil", np.ceil, "⌈x⌉: the next integer above.")
trunc = fix = _rounding("trunc", np.trunc, "The integer part.")
_round = unary(
    "round",
    np.rint,
    zeros_slope,
    keep=True,
    refuse=f"bool {COMPLEX}",
    kernel="round_vml_cpu",
    explain="The nearest integer.",
)
_round_decimals = Primitive(
    "round",
    lambda self, *, decimals: (
        np.rint(self * 10.0**decimals) / 10.0**decimals
        if decimals > 0
        else np.rint(self / 10.0**-decimals) * 10.0**-decimals
    ),
    {"self": zeros_slope},
    node="RoundBackward1",
)
signbit = unary(
    "signbit",
    np.signbit,
    None,
    keep=True,
    check=refusal("signbit is not implemented for complex tensors."),
    explain="Whether the sign is minus, also of -0.0 and NaN.",
)
frac = unary(
    "frac",
    lambda a: a - np.trunc(a),
    lambda xp, g: g,
    keep=True,
    explain="x - trunc(x)",
    refuse=f"bool uint8 int8 int16 int32 int64 {COMPLEX}",
)


def round(input: Any, *, decimals: int = 0, out: Any = None) -> Any:
    """The nearest integer, halves to even; with `decimals` the nearest multiple of 10⁻ᵈ."""
    have = tensor_dtype(check_tensor(input, "round"))
    if decimals:
        if have.category != 2:
            raise NotImplementedError(f"\"round_cpu\" not implemented for '{legacy_name(have)}'")
        return compute(_round_decimals, (input,), out=out, decimals=decimals)
    if have.category == 1:
        return input.clone() if out is None else store_out(out, input)
    return _round(input, out=out)


# ---- choosing ------------------------------------------------------------------------------------
def _half_of_ties(first: bool, larger: bool) -> Any:
    """Where an operand is the chosen one its gradient is g; a tie goes half to each."""

    def slope(xp: Any, g: Any, self: Any, other: Any) -> Any:
        a, b = (self, other) if first == larger else (other, self)
        half = 0.5 * g
        return xp.keep(half, a >= b) + xp.keep(half, a > b)

    return slope


def _extreme(name: str, ufunc: Any, larger: bool, explain: str) -> Any:
    slopes = {"self": _half_of_ties(True, larger), "other": _half_of_ties(False, larger)}
    check = refusal(f"{name} not implemented for complex tensors.", error=RuntimeError)
    return of_tensors(binary(name, ufunc, slopes, check=check, explain=explain))


def _first_unless_nan(first: bool, larger: bool) -> Any:
    """`fmax`'s rule: a tie goes to the first operand, and NaN loses."""

    def slope(xp: Any, g: Any, self: Any, other: Any) -> Any:
        chosen = ((self >= other) if larger else (self <= other)) | (other != other)
        return xp.keep(g, chosen if first else chosen == 0)

    return slope


def _extreme_number(name: str, ufunc: Any, larger: bool, explain: str) -> Any:
    slopes = {"self": _first_unless_nan(True, larger), "other": _first_unless_nan(False, larger)}
    check = refusal(f"{name} not implemented for complex tensors.", error=RuntimeError)
    return of_tensors(binary(name, ufunc, slopes, check=check, explain=explain))


maximum = _extreme("maximum", np.maximum, True, "The larger of two, NaN if one is; ties share the gradient.")
minimum = _extreme(
    "minimum", np.minimum, False, "The smaller of two, NaN if one is; ties share the gradient."
)
fmax = _extreme_number("fmax", np.fmax, True, "The larger of two; NaN only if both are.")
fmin = _extreme_number("fmin", np.fmin, False, "The smaller of two; NaN only if both are.")


def _limit(self: Any, min: Any, max: Any) -> Any:
    if min is not None:
        self = np.maximum(self, min)
    return self if max is None else np.minimum(self, max)


def _inside(self: Any, min: Any, max: Any) -> Any:
    """Where clamping changes nothing, the limits included."""
    if min is None:
        return self <= max
    return self >= min if max is None else (self >= min) & (self <= max)


def _min_slope(xp: Any, g: Any, self: Any, min: Any, max: Any) -> Any:
    return xp.keep(g, self < min if max is None else (self < min) & (min < max))


def _max_slope(xp: Any, g: Any, self: Any, min: Any, max: Any) -> Any:
    return xp.keep(g, self > max if min is None else (self > max) | (max < min))


_clamp_slope = {"self": lambda xp, g, self, min, max: xp.keep(g, _inside(self, min, max))}
_clamp = Primitive(
    "clamp", lambda self, *, min, max: _limit(self, min, max), _clamp_slope, node="ClampBackward1"
)
_clamp_tensors = Primitive("clamp", _limit, {**_clamp_slope, "min": _min_slope, "max": _max_slope})


def clamp(input: Any, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
    """

    min(max(input, min), max) with numbers or tensors as limits; the gradient passes at the limits themselves.
    """
    if (
        input.__class__ is classes.tensor
        and input._array.dtype in FLOATS
        and (
            (min.__class__ in PLAIN and max.__class__ in PLAIN_OR_NONE)
            or (min is None and max.__class__ in PLAIN)
        )
    ):
        result = _clamp(input, min=min, max=max)
        return result if out is None else store_out(out, result)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return _clamped(_clamp, _clamp_tensors, input, min, max, out)


def _clamped(numbers: Primitive, tensors: Primitive, input: Any, min: Any, max: Any, out: Any) -> Any:
    kinds = [isinstance(limit, Variable) for limit in (min, max) if limit is not None]
    want = result_dtype(check_tensor(input, "clamp"), min, max)
    if want.category == 3:
        raise NotImplementedError("clamp is not supported for complex types")
    if not any(kinds):
        min, max = (None if limit is None else want.np.type(limit).item() for limit in (min, max))
        return compute(numbers, (input,), want, out=out, min=min, max=max)
    if not all(kinds):
        got = ", ".join("Tensor" if isinstance(v, Variable) else type(v).__name__ for v in (input, min, max))
        raise TypeError(
            f"clamp() received an invalid combination of arguments - got ({got}), but expected one of:"
        )
    return compute(tensors, (input, min, max), want, out=out)


clip = clamp
_clamp_min, _clamp_max = (
    Primitive(
        "clamp", lambda self, *, min, max: _limit(self, min, max), _clamp_slope, node=f"Clamp{which}Backward0"
    )
    for which in ("Min", "Max")
)
_clamp_min_tensor, _clamp_max_tensor = (
    Primitive(
        "clamp", _limit, {**_clamp_slope, "min": _min_slope, "max": _max_slope}, node=f"Clamp{which}Backward1"
    )
    for which in ("Min", "Max")
)


def clamp_min(input: Any, min: Any, *, out: Any = None) -> Any:
    """max(input, min)."""
    return _clamped(_clamp_min, _clamp_min_tensor, input, min, None, out)


def clamp_max(input: Any, max: Any, *, out: Any = None) -> Any:
    """min(input, max)."""
    return _clamped(_clamp_max, _clamp_max_tensor, input, None, max, out)


_where = Primitive(
    "where",
    lambda condition, self, other: np.where(condition, self, other),
    {
        "self": lambda xp, g, condition: xp.where(condition, g, 0),
        "other": lambda xp, g, condition: xp.where(condition, 0, g),
    },
    jvp="partial",
)


def where(condition: Any, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """`input` where `condition` holds, else `other`, broadcast; with the condition alone, the indices where it holds.

    RuntimeError unless the condition is bool (uint8 counts as such).
    """
    try:  # the usual case: no number, nothing to promote
        if condition._array.dtype is BOOL and input._array.dtype is other._array.dtype and out is None:
            return _where(condition, input, other)
    except (AttributeError, ValueError):
        pass
    mask = check_tensor(condition, "where")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if mask._array.dtype.kind != "b":
        if tensor_dtype(mask).name != "uint8":
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {legacy(mask)}"
            )
        mask = wrap(np.asarray(mask._array, dtype=bool))
    want = result_dtype(input, other).np
    x, y = operand(input, want), operand(other, want)
    try:
        result = _where(mask, x, y)
    except ValueError:
        raise first_broadcast_error([t._array.shape for t in (mask, x, y)]) from None
    return result if out is None else store_out(out, result)


# ---- the rest ------------------------------------------------------------------------------------
_isfinite = Primitive("isfinite", np.isfinite, None, args=("self",))


def _finite(self: Any, *, nan: float, posinf: float, neginf: float) -> Any:
    made = self.copy()
    if self.dtype.kind in "fcV":
        for part in (made.real, made.imag) if self.dtype.kind == "c" else (made,):
            above, below = part == np.inf, part == -np.inf
            np.copyto(part, nan, where=part != part)
            np.copyto(part, posinf, where=above)
            np.copyto(part, neginf, where=below)
    return made


_nan_to_num = Primitive(
    "nan_to_num",
    _finite,
    {"self": lambda xp, g, self: g * xp.call(_isfinite, self)},
)


def nan_to_num(
    input: Any, nan: Any = None, posinf: Any = None, neginf: Any = None, *, out: Any = None
) -> Any:
    """NaN, ∞ and -∞ replaced (by 0 and the largest and smallest numbers of the type, unless given)."""
    want = tensor_dtype(check_tensor(input, "nan_to_num"))
    if want.category >= 2:
        top = 3.3895313892515355e38 if want.name == "bfloat16" else float(np.finfo(want.np).max)
        posinf, neginf = top if posinf is None else posinf, -top if neginf is None else neginf
    return compute(
        _nan_to_num, (input,), want, out=out, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf
    )


_fill = Primitive(
    "fill",
    lambda self, *, value: np.full(self.shape, value, self.dtype),
    {"self": zeros_slope},
    explain="every element replaced by a number: no gradient goes on",
)
_fill_tensor = Primitive(
    "fill",
    lambda self, value: np.full(self.shape, value, self.dtype),
    {"self": zeros_slope, "value": lambda xp, g: g},
    node="FillBackward1",
    explain="every element replaced by one number, to which the gradients go",
)


def fill(input: Any, value: Any) -> Any:
    """A tensor like `input` with `value`, a number or a 0-d tensor, everywhere."""
    if not isinstance(input, Variable) or not (isinstance(value, Variable) or is_number(value)):
        raise no_signature("fill", input, value)
    if not isinstance(value, Variable):
        return _fill(input, value=number_in(value, tensor_dtype(input)))
    if value._array.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value._array.ndim} dimensions."
        )
    return _fill_tensor(input, convert(value, input._array.dtype))


def _check_heaviside(input: Any, other: Any, want: dtype) -> None:
    if input._array.dtype != other._array.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    if want.category == 3:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")


heaviside = of_tensors(
    binary(
        "heaviside",
        np.heaviside,
        {"self": underivable("heaviside"), "other": underivable("heaviside")},
        numbers=lambda a, b: np.where(a == 0, b, a > 0).astype(b.dtype),
        check=_check_heaviside,
        node="NotImplemented",
        explain="0 for a < 0, b for a = 0, 1 for a > 0",
    ),
    "values",
)
