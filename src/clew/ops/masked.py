"""Reductions and normalisations that look only at the elements a mask picks.

Elements that are masked out are replaced by the identity of the reduction (0 in a sum, 1 in a product, -∞ under a maximum),
so every function is one of its unmasked namesake. A mask broadcasts to the input; it is True where an element counts. What
a line without any such element gives is not defined (most often the identity).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.variable import wrap
from clew.dtypes import dtype as Dtype
from clew.dtypes import float32, from_numpy, int64
from clew.ops import arithmetic, cumulative, distance, elementwise, order, reduce, shape
from clew.ops import complex as complex_
from clew.ops import softmax as softmaxes
from clew.ops._arguments import check_tensor, wrap_dim
from clew.ops._builders import convert

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip


# ---- masks, dims, identities -------------------------------------------------------------------------------------------
def _mask(input: Any, mask: Any) -> Any:
    """The mask as bools in the input's shape."""
    if mask._array.ndim > input._array.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)"
        )
    if mask._array.shape != input._array.shape:
        mask = shape.broadcast_to(mask, input._array.shape)
    return mask if mask._array.dtype.kind == "b" else mask != 0


def _filled(input: Any, mask: Any, identity: Any) -> Any:
    """The input, with the identity where the mask is False."""
    if mask is None:
        return input
    fill = wrap(np.asarray(identity, input._array.dtype))
    return elementwise.where(_mask(input, mask), input, fill)


def _dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dims of a reduction, in order; None and () are all of them."""
    given = (
        tuple(range(ndim))
        if dim is None or dim == () or dim == []
        else (dim,)
        if isinstance(dim, int)
        else tuple(dim)
    )
    dims: list[int] = []
    for d in given:
        found = wrap_dim(d, ndim)
        if found in dims:
            raise RuntimeError(f"dim={found} appears multiple times in the list of dims")
        dims.append(found)
    return tuple(sorted(dims)) if ndim else ()


def _extreme_of(input: Any, name: str, largest: bool) -> Any:
    """The smallest (or largest) value of the input's type: the identity of a maximum (or a minimum)."""
    have = from_numpy(input._array.dtype)
    if have.category == 0:
        raise NotImplementedError(f"identity of {name} on {have!r} input")
    if have.category == 3:
        raise TypeError(
            "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
        )
    if have.category == 2:
        return math.inf if largest else -math.inf
    info = np.iinfo(have.np)
    return info.max if largest else info.min


def _wide(input: Any, dtype: Dtype | None) -> Dtype:
    """The type of a sum or product: integers and bools become int64."""
    if dtype is not None:
        return dtype
    have = from_numpy(check_tensor(input, "masked")._array.dtype)
    return int64 if have.category < 2 else have


def _in(input: Any, dtype: Dtype | None) -> Any:
    return input if dtype is None else convert(input, dtype.np)


def _input_mask(input: Any, *args: Any, mask: Any = None, **kwargs: Any) -> Any:
    """A function's mask in the shape of its input, as bools. ValueError without one."""
    if mask is None:
        raise ValueError("_input_mask requires explicit mask")
    return _mask(input, mask)


def _output_mask(op: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Which elements of `op(input, …)` are made of elements in the mask."""
    found = _input_mask(input, *args, **kwargs)
    if op.__name__ in ("cumsum", "cumprod", "softmax", "log_softmax", "softmin", "normalize"):
        return found
    place = 1 if op.__name__ == "norm" else 0
    dim = args[place] if len(args) > place else kwargs.get("dim", -1 if op.__name__ == "median" else None)
    dims = _dims(dim, found._array.ndim)
    return wrap(np.asarray(np.logical_or.reduce(found._array, dims, keepdims=kwargs.get("keepdim", False))))


# ---- reductions --------------------------------------------------------------------------------------------------------
def sum(input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Any:
    """∑ x over `dim` of the elements in the mask; 0 where there are none."""
    want = _wide(input, dtype)
    x = _filled(input, mask, 0)
    return reduce.sum(x, _dims(dim, x._array.ndim), keepdim, dtype=want)


def prod(input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Any:
    """∏ x over `dim` of the elements in the mask; 1 where there are none."""
    want = _wide(input, dtype)
    x = _in(_filled(input, mask, 1), want)
    for d in reversed(_dims(dim, x._array.ndim)):
        x = reduce.prod(x, d, keepdim, dtype=want)
    return x


def _running(name: str, identity: int) -> Callable[..., Any]:
    run = getattr(cumulative, name)

    def running(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
        want = from_numpy(check_tensor(input, name)._array.dtype) if dtype is None else dtype
        if want.category == 0:
            raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
        x = _filled(input, mask, identity)
        return run(x, wrap_dim(dim, x._array.ndim), dtype=want)

    running.__name__ = running.__qualname__ = name
    running.__doc__ = f"`torch.{name}` of the elements in the mask; the others count as {identity}."
    return running


cumsum = _running("cumsum", 0)
cumprod = _running("cumprod", 1)


def _extreme(name: str, largest: bool) -> Callable[..., Any]:
    run = getattr(reduce, name)

    def extreme(
        input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
    ) -> Any:
        x = _filled(input, mask, None if mask is None else _extreme_of(input, name, not largest))
        return _in(run(x, _dims(dim, x._array.ndim), keepdim), dtype)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"The {'largest' if largest else 'smallest'} over `dim` of the elements in the mask; equal ones share the gradient."
    return extreme


amax = _extreme("amax", True)
amin = _extreme("amin", False)


def _place(name: str, largest: bool) -> Callable[..., Any]:
    run = getattr(reduce, name)

    def place(
        input: Any, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
    ) -> Any:
        want = from_numpy(check_tensor(input, name)._array.dtype) if dtype is None else dtype
        x = _filled(input, mask, None if mask is None else _extreme_of(input, name, not largest))
        return _in(run(x, dim, keepdim), want)

    place.__name__ = place.__qualname__ = name
    place.__doc__ = f"Where the {'largest' if largest else 'smallest'} of the elements in the mask is, in the input's type."
    return place


argmax = _place("argmax", True)
argmin = _place("argmin", False)


def logsumexp(
    input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """log ∑ exp(x) over `dim` of the elements in the mask, in the input's type; -∞ where there are none."""
    have = from_numpy(check_tensor(input, "logsumexp")._array.dtype)
    identity = (
        None if mask is None else -math.inf if have.category == 3 else _extreme_of(input, "logsumexp", False)
    )
    x = _filled(input, mask, identity)
    return _in(softmaxes.logsumexp(x, _dims(dim, x._array.ndim), keepdim), have if dtype is None else dtype)


# ---- moments -----------------------------------------------------------------------------------------------------------
def _count(input: Any, dims: tuple[int, ...], keepdim: bool, mask: Any) -> Any:
    """How many elements count, as a tensor."""
    chosen = np.ones(input._array.shape, np.int64) if mask is None else _mask(input, mask)._array
    return wrap(np.asarray(np.sum(chosen, dims, np.int64, keepdims=keepdim)))


def mean(input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Any:
    """(∑ x) / n over `dim` of the n elements in the mask; NaN where there are none. ValueError for integers without
    `dtype`."""
    have = from_numpy(check_tensor(input, "mean")._array.dtype)
    if dtype is None and have.category < 2:
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {have!r}"
        )
    dims = _dims(dim, input._array.ndim)
    if mask is None:
        return reduce.mean(input, dims, keepdim, dtype=dtype)
    return sum(input, dims, keepdim=keepdim, dtype=dtype, mask=mask) / _count(input, dims, keepdim, mask)


def median(input: Any, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Any:
    """The median (of two middle values the lower) along `dim` of the elements in the mask; NaN where there are none, of
    integers a ValueError."""
    have = from_numpy(check_tensor(input, "median")._array.dtype)
    dim = wrap_dim(dim, input._array.ndim)
    want = have if dtype is None else dtype
    floats = have.category == 2
    x = _filled(input if floats else convert(input, float32.np), mask, math.nan)
    values = order.nanmedian(x, dim, keepdim)[0]
    if not floats and np.isnan(values._array).any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return _in(values, want)


def _moment(
    input: Any,
    dim: Any,
    unbiased: bool | None,
    correction: Any,
    keepdim: bool,
    dtype: Any,
    mask: Any,
    root: bool,
) -> Any:
    assert unbiased is None or correction is None, "Only one of unbiased and correction may be given"
    have = from_numpy(check_tensor(input, "var")._array.dtype)
    want = dtype if dtype is not None else have if have.category >= 2 else float32
    less = (1 if unbiased is None or unbiased else 0) if correction is None else correction
    dims = _dims(dim, input._array.ndim)
    count = _count(input, dims, True, mask)
    centre = sum(input, dims, keepdim=True, dtype=want, mask=mask) / count
    x = arithmetic.sub(input, centre)
    squares = x * (complex_.conj_physical(x) if x._array.dtype.kind == "c" else x)
    total = sum(squares, dims, keepdim=keepdim, dtype=want, mask=mask)
    left = count if keepdim else wrap(np.asarray(count._array).reshape(total._array.shape))
    if less:
        left = wrap(np.maximum(left._array - less, 0))
    result = convert(total / left, want.np)
    return elementwise.sqrt(result) if root else result


def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: Any = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """∑ |x − mean|² / (n − correction) over `dim` of the n elements in the mask (correction 1, of `unbiased` False 0)."""
    return _moment(input, dim, unbiased, correction, keepdim, dtype, mask, False)


def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: Any = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The square root of `var`."""
    return _moment(input, dim, unbiased, correction, keepdim, dtype, mask, True)


# ---- norms, softmax ----------------------------------------------------------------------------------------------------
def norm(
    input: Any, ord: Any = 2.0, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """(∑ |x|ᵒʳᵈ)^(1/ord) over `dim` of the elements in the mask (see `torch.linalg.vector_norm`)."""
    x = _filled(input, mask, math.inf if ord == -math.inf else 0)
    return distance.vector_norm(x, ord, _dims(dim, x._array.ndim), keepdim, dtype=dtype)


def normalize(
    input: Any, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Any = None
) -> Any:
    """x / max(norm of the elements in the mask along `dim`, eps); 0 outside the mask."""
    wrap_dim(dim, input._array.ndim)
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    least = wrap(np.asarray(eps, size._array.dtype))
    return _filled(_in(input, dtype), mask, 0) / elementwise.maximum(size, least)


def _soft(name: str, sign: int, run: Any) -> Callable[..., Any]:
    identity = "amax" if sign > 0 else "amin"

    def soft(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
        check_tensor(input, name)
        x = _filled(input, mask, None if mask is None else _extreme_of(input, identity, sign < 0))
        return run(x if sign > 0 else -x, wrap_dim(dim, x._array.ndim), dtype=dtype)

    soft.__name__ = soft.__qualname__ = name
    soft.__doc__ = (
        f"`torch.nn.functional.{name}` along `dim` of the elements in the mask; the others get no share."
    )
    return soft


softmax = _soft("softmax", 1, softmaxes.softmax)
log_softmax = _soft("log_softmax", 1, softmaxes.log_softmax)
softmin = _soft("softmin", -1, softmaxes.softmax)


def logaddexp(
    input: Any, other: Any, *, dtype: Any = None, input_mask: Any = None, other_mask: Any = None
) -> Any:
    """log(eᵃ + eᵇ), where an element outside its mask counts as -∞."""

    def filled(x: Any, mask: Any) -> Any:
        return x if mask is None else _filled(x, mask, _extreme_of(x, "logaddexp", False))

    made = elementwise.logaddexp(
        filled(check_tensor(input, "logaddexp"), input_mask), filled(other, other_mask)
    )
    return _in(made, from_numpy(input._array.dtype) if dtype is None else dtype)
