"""Numbers at even distances: arange, range, linspace, logspace; the same to the last bit as PyTorch's.

PyTorch's kernels decide the last bits. `arange` works by vectors of 32 bytes, two at a time: the first element of each
is start + step·i, rounded; the others are that plus multiples of the step. What does not fill two vectors, and all of
`linspace`, is start + step·i one by one. All with fused multiply-adds. (Found by experiment against PyTorch 2.13; it
splits ranges of more than 32,768 elements among threads, which can move vectors, as its own results show.)
"""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

import numpy as np

from clew.core.variable import Variable
from clew.device import check as check_device
from clew.dtypes import c_name, defaults, dtype, float32, int64, legacy_name
from clew.ops._arguments import plain_number
from clew.ops.create import MISSING, as_dtype, finish, out_dtype
from clew.streams import fused

__all__ = ["arange", "linspace", "logspace", "range"]

_VECTOR_BYTES = 32
_ENDS = ("start", "end", "step")
_SIGNATURE = "{0}() received an invalid combination of arguments - got ({1}), but expected one of:\n{2}"
_BETWEEN = " * (Number start, Number end, int steps, *, Tensor out = None, torch.dtype dtype = None)"


def _value(number: Any) -> Any:
    return number._array.item() if isinstance(number, Variable) else number


def _check_range(start: Any, end: Any, step: Any) -> None:
    if not (step > 0 or step < 0):
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0 and start > end) or (step < 0 and start < end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def _check_kernel(name: str, want: dtype, complex: bool = False) -> None:
    if (
        want.category == 0
        or want.name in ("uint16", "uint32", "uint64")
        or (want.category == 3 and not complex)
    ):
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{legacy_name(want)}'")


def _check_bounds(value: Any, want: dtype) -> None:
    """RuntimeError for a bound that the type cannot hold."""
    if want.category == 1:
        info = np.iinfo(want.np)
        fits = info.min <= value <= info.max
    else:
        fits = want.name != "float16" or abs(value) <= 65504
    if not fits:
        raise RuntimeError(f"value cannot be converted to type {c_name(want)} without overflow")


def arange(
    start: Any = MISSING, end: Any = None, step: Any = 1, *, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """start, start + step, … below `end`: ⌈(end − start) / step⌉ numbers. int64 where all three are ints.

    RuntimeError for a step of 0 or of the wrong sign, and for bounds that are not finite.
    """
    check_device(device)
    if start is MISSING and end is None:
        raise TypeError(_SIGNATURE.format("arange", "", " * (Number start, Number end, Number step = 1)"))
    if end is None:
        start, end = 0, plain_number(start, "arange", "end", 1)
    given = (0 if start is MISSING else start, end, step)
    start, end, step = (
        plain_number(v, "arange", n, i) for i, (v, n) in enumerate(zip(given, _ENDS, strict=True), 1)
    )
    whole = True
    for value, name, position in ((start, "start", 1), (end, "end", 1), (step, "step", 3)):
        if isinstance(value, (int, np.integer)):
            continue
        whole = False
        if isinstance(value, complex):
            raise RuntimeError("value cannot be converted to type double without overflow")
        if not isinstance(value, (float, np.floating)):
            raise TypeError(
                f"arange(): argument '{name}' (position {position}) must be Number, not {type(value).__name__}"
            )
    if out is not None:
        dtype = out_dtype(dtype, out)
    want = as_dtype(dtype, "arange") or (int64 if whole else defaults.dtype)
    _check_range(start, end, step)
    _check_kernel("arange", want)
    return finish(_arranged(start, end, step, want), requires_grad, out)


def _arranged(start: Any, end: Any, step: Any, want: dtype) -> np.ndarray:
    if want is int64:
        for value in (start, end, step):
            _check_bounds(value, want)
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero")
        return np.arange(start, end, step, dtype=np.int64)
    count = math.ceil((float(end) - float(start)) / float(step))
    if want.category == 1:
        return (int(start) + int(step) * np.arange(count)).astype(want.np)
    work = np.float64 if want.itemsize > 2 else np.float32
    values = fused(np.arange(count, dtype=work), work(step), work(start)).astype(want.np)
    lanes = _VECTOR_BYTES // want.itemsize
    whole = count - count % (2 * lanes)
    if not whole:
        return values
    first = values[:whole:lanes, None].astype(work)
    values[:whole] = fused(np.arange(lanes, dtype=work), work(step), first).astype(want.np).ravel()
    return values


def range(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Any:
    """start, start + step, … up to and including `end` (deprecated by PyTorch in favour of `arange`)."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    start, end, step = (
        plain_number(v, "range", n, i)
        for i, (v, n) in enumerate(zip((start, end, step), _ENDS, strict=True), 1)
    )
    _check_range(start, end, step)
    count = math.floor((end - start) / step) + 1
    want = as_dtype(options.pop("dtype", None), "range") or defaults.dtype
    array = (start + step * np.arange(count, dtype=np.float64)).astype(want.np)
    return finish(array, options.get("requires_grad", False), options.get("out"))


def _ends(function: str, start: Any, end: Any, steps: Any) -> tuple[Any, Any, int]:
    """The arguments of `linspace` and `logspace`, checked."""
    dims = [v._array.ndim if isinstance(v, Variable) else 0 for v in (start, end)]
    if any(dims):
        raise RuntimeError(
            f"{function} only supports 0-dimensional start and end tensors, but got start with {dims[0]} dimension(s) and "
            f"end with {dims[1]} dimension(s)."
        )
    start, end, steps = _value(start), _value(end), _value(steps)
    numbers = (int, float, complex, np.number)
    if not (isinstance(start, numbers) and isinstance(end, numbers) and isinstance(steps, (int, np.integer))):
        given = ", ".join(type(v).__name__ for v in (start, end, steps) if v is not None)
        raise TypeError(_SIGNATURE.format(function, given, _BETWEEN))
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return start, end, steps


def _towards_middle(start: Any, end: Any, step: Any, count: int, multiply_add: Any) -> np.ndarray:
    """`count` numbers counted from both ends towards the middle."""
    index = np.arange(count)
    return np.where(
        index < count // 2, multiply_add(index, step, start), multiply_add(count - 1 - index, -step, end)
    )


def _spaced(start: Any, end: Any, count: int, want: dtype) -> np.ndarray:
    """The numbers of `linspace` in a real type."""
    _check_bounds(start, want)
    _check_bounds(end, want)
    kind = want.np.type
    start, end = (int(start), int(end)) if want.category == 1 else (kind(start), kind(end))
    if count < 2:
        return np.full(count, start, dtype=want.np)
    if want.itemsize == 2 and want.category == 2:  # 16-bit floats are rounded after every operation
        step = kind(kind(end - start) / kind(count - 1))
        return _towards_middle(start, end, step, count, lambda i, a, b: i.astype(want.np) * a + b)
    work = np.float32 if want is float32 else np.float64
    start, end = work(start), work(end)
    step = (end - start) / work(count - 1)
    return _towards_middle(start, end, step, count, lambda i, a, b: fused(i.astype(work), a, b)).astype(
        want.np
    )


def linspace(
    start: Any, end: Any = None, steps: Any = None, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """`steps` numbers evenly from `start` to `end`, both included."""
    check_device(device)
    start, end, count = _ends("linspace", start, end, steps)
    between = isinstance(start, complex) or isinstance(end, complex)
    want = as_dtype(dtype, "linspace") or (defaults.complex if between else defaults.dtype)
    _check_kernel("linspace", want, complex=True)
    if want.category < 3:
        return finish(_spaced(start, end, count, want), requires_grad, out)
    array = np.empty(count, dtype=want.np)
    array.real = _spaced(start.real, end.real, count, want.to_real())
    array.imag = _spaced(start.imag, end.imag, count, want.to_real())
    return finish(array, requires_grad, out)


def logspace(
    start: Any, end: Any = None, steps: Any = None, base: float = 10.0, *, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """baseᵉ for e evenly from `start` to `end`."""
    check_device(device)
    start, end, count = _ends("logspace", start, end, steps)
    want = as_dtype(dtype, "logspace") or defaults.dtype
    _check_kernel("logspace", want, complex=True)
    kind: Any = float if want.category == 3 else want.np.type
    if want.category == 1:
        start, end = int(start), int(end)
    work = np.float32 if want.category == 1 or want is float32 else kind
    first, last = work(start), work(end)
    step = float(last - first) / (count - 1) if count > 1 else 0.0
    exponents = _towards_middle(float(first), float(last), step, count, lambda i, a, b: b + a * i)
    if count < 2:
        exponents = np.full(count, float(first))
    # The C library's power, element by element: NumPy's may differ in the last bit.
    values = [math.pow(base, exponent) for exponent in exponents.tolist()]
    return finish(np.array(values, dtype=np.float64).astype(want.np), requires_grad, out)
