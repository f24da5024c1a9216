"""

Comparisons, logic, bits, questions about single numbers: results are bool or integers, without gradient.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.variable import wrap
from clew.dtypes import dtype, legacy_name
from clew.ops._arguments import check_tensor, is_number, legacy, no_signature, refusal, without
from clew.ops._builders import binary, broadcast_error, of_tensors, unary

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "eq", "equal", "gcd", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite",
    "isinf", "isnan", "isneginf", "isposinf", "isreal", "lcm", "le", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal",
]  # fmt: skip


# ---- comparisons ---------------------------------------------------------------------------------
def _order(name: str, function: Callable[[Any, Any], Any], sign: str, *refused: int) -> Any:
    """A comparison: of a tensor with a tensor or a number. refused: types without an order."""
    kernel = without(f"{name}_cpu", *refused) if refused else None

    def check(input: Any, other: Any, want: dtype) -> None:
        if is_number(input):
            raise no_signature(name, input, other)
        if kernel is not None:
            kernel(input, other, want)

    return binary(name, function, None, check=check, explain=f"a {sign} b, elementwise")


eq = _order("eq", operator.eq, "=")
ne = not_equal = _order("ne", operator.ne, "≠")
lt = less = _order("lt", operator.lt, "<", 3)
le = less_equal = _order("le", operator.le, "≤", 3)
gt = greater = _order("gt", operator.gt, ">", 3)
ge = greater_equal = _order("ge", operator.ge, "≥", 3)


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and the same values."""
    a, b = check_tensor(input, "equal")._array, check_tensor(other, "equal", "other", 2)._array
    return a.shape == b.shape and bool((a == b).all())


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """|input - other| ≤ atol + rtol·|other|, elementwise. RuntimeError for tensors of different types."""
    a, b = check_tensor(input, "isclose")._array, check_tensor(other, "isclose", "other", 2)._array
    if a.dtype != b.dtype:
        raise RuntimeError(f"{legacy(input)} did not match {legacy(other)}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value:g}")
    try:
        close = a == b
        if a.dtype.kind in "fcV":
            gap = np.abs(a - b)
            close = close | (np.isfinite(gap) & (gap <= atol + rtol * np.abs(b)))
            if equal_nan:
                close = close | (np.isnan(a) & np.isnan(b))
        elif a.dtype.kind != "b":
            close = close | (np.abs(a - b) <= atol + rtol * np.abs(b))
    except ValueError:
        raise broadcast_error(a.shape, b.shape) from None
    return wrap(np.asarray(close))


def allclose(
    input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


# ---- logic ---------------------------------------------------------------------------------------
def _logic(name: str, ufunc: Any, explain: str) -> Any:
    return of_tensors(binary(name, ufunc, None, explain=explain))


logical_and = _logic("logical_and", np.logical_and, "Whether both are non-zero.")
logical_or = _logic("logical_or", np.logical_or, "Whether one is non-zero.")
logical_xor = _logic("logical_xor", np.logical_xor, "Whether exactly one is non-zero.")
logical_not = unary("logical_not", np.logical_not, None, keep=True, explain="Whether x is zero.")


# ---- bits ----------------------------------------------------------------------------------------
def _bits(name: str, ufunc: Any, kernel: str, explain: str, *more: int) -> Any:
    def forward(a: Any, b: Any) -> Any:
        if a.dtype.kind == "f":
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(a.dtype)}'")
        return ufunc(a, b)

    return binary(name, forward, None, check=without(kernel, 3, 2, *more), explain=explain)


bitwise_and = _bits("bitwise_and", np.bitwise_and, "bitwise_and_cpu", "a & b")
bitwise_or = _bits("bitwise_or", np.bitwise_or, "bitwise_or_cpu", "a | b")
bitwise_xor = _bits("bitwise_xor", np.bitwise_xor, "bitwise_xor_cpu", "a ^ b")
bitwise_left_shift = _bits("bitwise_left_shift", np.left_shift, "lshift_cpu", "a << b", 0)
bitwise_right_shift = _bits("bitwise_right_shift", np.right_shift, "rshift_cpu", "a >> b", 0)
gcd = of_tensors(_bits("gcd", np.gcd, "gcd_cpu", "The greatest common divisor.", 0))
lcm = of_tensors(_bits("lcm", np.lcm, "lcm_cpu", "The least common multiple.", 0))
_bitwise_not = unary("bitwise_not", np.invert, None, keep=True)


def bitwise_not(input: Any, *, out: Any = None) -> Any:
    """~x: the bits, or the truth, reversed."""
    if check_tensor(input, "bitwise_not")._array.dtype.kind not in "iub":
        raise NotImplementedError(f"\"bitwise_not_cpu\" not implemented for '{legacy(input)}'")
    return _bitwise_not(input, out=out)


def invert(input: Any) -> Any:
    """`~tensor`. TypeError for floats."""
    if input._array.dtype.kind not in "iub":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return _bitwise_not(input)


# ---- what a number is ----------------------------------------------------------------------------
isnan = unary("isnan", np.isnan, None, keep=True, explain="Whether x is NaN.")
isinf = unary("isinf", np.isinf, None, keep=True, explain="Whether x is ∞ or -∞.")
isfinite = unary("isfinite", np.isfinite, None, keep=True, explain="Whether x is neither infinite nor NaN.")
isposinf = unary(
    "isposinf",
    lambda a: a == np.inf,
    None,
    keep=True,
    explain="Whether x is ∞.",
    check=refusal("isposinf does not support complex inputs.", error=RuntimeError),
)
isneginf = unary(
    "isneginf",
    lambda a: a == -np.inf,
    None,
    keep=True,
    explain="Whether x is -∞.",
    check=refusal("isneginf does not support complex inputs.", error=RuntimeError),
)
isreal = unary("isreal", np.isreal, None, keep=True, explain="Whether the imaginary part is zero.")
