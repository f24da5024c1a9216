"""The vocabulary of derivative formulas, on raw arrays: NumPy's names.

A formula is a function `f(xp, g, ...)` of the cotangent `g` and of saved values. `xp` is this module when `backward`
runs on raw arrays, and `clew.ops.vocabulary`, with the same names over tensors, when the backward pass is itself
recorded (`create_graph=True`). `xp.call(primitive, ...)` runs another primitive: its forward here, all of it there.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from numpy import (  # isort: skip
    abs, arange, argmax, argsort, concatenate, conj, cos, cosh, cumsum, empty_like, exp, expand_dims,
    expm1, flip, floor, full_like, imag, isnan, log, log1p, log2, logical_and, logical_not, logical_or, matmul, maximum,
    minimum, moveaxis, multiply, ones, ones_like, power, prod, real, reshape, sign, sin, sinh, split, sqrt, square,
    squeeze, stack, swapaxes, take_along_axis, tan, tanh, transpose, zeros, zeros_like,
)  # fmt: skip

__all__ = [
    "abs", "arange", "argmax", "argsort", "astype", "broadcast_to", "call", "concatenate", "conj", "constant", "cos", "cosh",
    "cumsum", "empty_like", "exp", "expand_dims", "expm1", "flip", "floor", "full_like", "imag", "isnan", "keep", "log",
    "log1p", "log2", "logical_and", "logical_not", "logical_or", "matmul", "maximum", "minimum", "moveaxis",
    "multiply", "ones", "ones_like", "power", "prod", "real", "reshape", "sign", "sin", "sinh", "split", "sqrt",
    "square", "squeeze", "stack", "sum", "sum_to", "swapaxes", "take_along_axis", "tan", "tanh", "transpose", "where",
    "zeros", "zeros_like",
]  # fmt: skip


def call(primitive: Any, *inputs: Any, **params: Any) -> Any:
    """Run a primitive's forward on raw arrays (its visible outputs only)."""
    return primitive.on_arrays(*inputs, **params)


def constant(value: Any) -> Any:
    """A raw array (a mask, an index) as an operand: itself here, a tensor without history where tensors compute."""
    return value


_SMALL = 1 << 14
_FEW_CHOICES = 1 << 9
_FEW = 16
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_add = builtins.sum


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` repeated to `shape`. Where that is small it is written out: NumPy's view takes four times as long to make."""
    made = np.empty(shape, x.dtype)
    if made.size > _SMALL:
        return np.broadcast_to(x, shape)
    made[...] = x
    return made


def keep(g: Any, mask: Any) -> Any:
    """`g` where the mask holds, 0 elsewhere: even where `g` is infinite or NaN, which g·0 would not let go of.

    Beyond a few numbers the bits are masked, in a tenth of the time of `np.where`, which branches at each element.
    """
    if g.size > _FEW_CHOICES and (g.dtype is _FLOAT32 or g.dtype is _FLOAT64) and g.shape == mask.shape:
        whole = np.int32 if g.dtype is _FLOAT32 else np.int64
        bits = np.negative(mask.view(np.int8), dtype=whole)
        return np.bitwise_and(g.view(whole), bits, bits).view(g.dtype)
    return np.where(mask, g, g.dtype.type(0))


def where(mask: Any, x: Any, y: Any) -> Any:
    """`x` where the mask holds, else `y`: of many floats picked by their bits, y ^ ((x ^ y)·mask), as in `keep`."""
    dtype = x.dtype if x.__class__ is np.ndarray else getattr(y, "dtype", None)
    if mask.__class__ is np.ndarray and mask.size > _SMALL and (dtype is _FLOAT32 or dtype is _FLOAT64):
        whole = np.int32 if dtype is _FLOAT32 else np.int64
        if all(v.__class__ is float or v.__class__ is int or v.dtype is dtype for v in (x, y)):
            first, second = [np.asarray(v, dtype).view(whole) for v in (x, y)]
            made: Any = np.bitwise_xor(first, second)
            if made.shape == mask.shape:
                made *= mask
                made ^= second
                return made.view(dtype)
    return np.where(mask, x, y)


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """∑ x over `axis`; the dtype stays."""
    total: Any = np.add.reduce
    return total(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def total(x: Any) -> Any:
    """∑ x over everything; the dtype stays.

    Of up to 16 floats Python's own sum (in double precision) takes a fifth of the time of `np.add.reduce`, which
    spends 0.6 µs on setting up. (`math.fsum` raises where infinities meet.)
    """
    if x.__class__ is np.ndarray and x.size <= _FEW:
        dtype = x.dtype
        if dtype is _FLOAT32 or dtype is _FLOAT64:
            return dtype.type(_add((x if x.ndim == 1 else x.ravel()).tolist()))
    return np.add.reduce(x, axis=None, dtype=x.dtype)


def astype(x: Any, dtype: Any) -> Any:
    """`x` in another dtype."""
    return x.astype(dtype, copy=False)


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """The adjoint of broadcasting: `g` summed to `shape`."""
    gshape = g.shape
    if gshape == shape:
        return g
    if not shape:
        return total(g)
    lead = len(gshape) - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and gshape[i + lead] != 1))
    if axes:
        g = np.add.reduce(g, axis=axes, keepdims=True, dtype=g.dtype)
    return g.reshape(shape)
