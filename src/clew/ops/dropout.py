"""Dropout: values set to 0 at random in training, the others scaled up (Srivastava et al. 2014).

Alpha dropout sets values to SELU's negative limit instead, then scales and shifts so that mean and variance stay
(Klambauer et al. 2017).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew import streams
from clew.core.inplace import in_place
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor

__all__ = [
    "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout", "feature_alpha_dropout_",
    "feature_dropout", "feature_dropout_", "native_dropout",
]  # fmt: skip

_ALPHA = 1.7580993408473766  # minus the limit of SELU at −∞


# ---- masks -----------------------------------------------------------------------------------------------------------------
def _drawn(array: Any, keep: float, whole: bool) -> np.ndarray:
    """For every value (`whole`: for every channel) whether it is kept. Values are drawn in memory order."""
    if whole:
        return streams.bernoulli(
            streams.default_generator, (*array.shape[:2], *(1,) * (array.ndim - 2)), keep
        )
    if array.flags.c_contiguous or not filled(array):
        return streams.bernoulli(streams.default_generator, array.shape, keep)
    order = sorted(range(array.ndim), key=lambda d: -array.strides[d])
    drawn = streams.bernoulli(streams.default_generator, tuple([array.shape[d] for d in order]), keep)
    return drawn.transpose(np.argsort(order))


def filled(array: Any) -> bool:
    """Whether the values fill their memory, in some order of the dimensions."""
    stride = array.itemsize
    for step, n in sorted(zip(array.strides, array.shape, strict=True)):
        if n != 1:
            if step != stride:
                return False
            stride *= n
    return True


def _check(function: str, input: Any, p: float) -> None:
    """RuntimeError for what is no probability."""
    check_tensor(input, function)
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")


def _check_drawable(array: Any, whole: bool) -> None:
    """Errors of inputs without channels, and of types that the mask cannot have."""
    if whole and array.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if array.dtype.kind == "c":
        raise NotImplementedError(
            f"\"bernoulli_scalar_cpu_\" not implemented for '{legacy_name(array.dtype)}'"
        )
    if array.dtype.kind in "iub":
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {legacy_name(array.dtype)}"
        )


def _mask(array: Any, p: float, whole: bool) -> Any:
    """1 / (1 − p) for what is kept, else 0."""
    _check_drawable(array, whole)
    kept = _drawn(array, 1 - p, whole).astype(array.dtype)
    kept /= array.dtype.type(1 - p)
    return wrap(kept if kept.ndim else kept[()])


# ---- the functions -------------------------------------------------------------------------------------------------------
def _dropped(input: Any, p: float, train: bool, whole: bool) -> Any:
    if not train or p == 0 or input.numel() == 0:
        return input
    return input * (input.new_zeros(()) if p == 1 else _mask(input._array, p, whole))


def _alpha_dropped(input: Any, p: float, train: bool, whole: bool) -> Any:
    if not train or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return input * input.new_zeros(())
    array = input._array
    _check_drawable(array, whole)
    scale = 1.0 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    kept = wrap(_drawn(array, 1 - p, whole).astype(array.dtype))
    return input * (kept * scale) + ((kept - 1) * (_ALPHA * scale) + _ALPHA * scale * p)


def dropout(input: Any, p: float, train: bool) -> Any:
    """Every value set to 0 with probability p, the others divided by 1 − p; the input itself out of training."""
    _check("dropout", input, p)
    return _dropped(input, p, train, False)


def feature_dropout(input: Any, p: float, train: bool) -> Any:
    """`dropout` of whole channels (dimension 1)."""
    _check("feature_dropout", input, p)
    return _dropped(input, p, train, True)


def alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """Values set to SELU's negative limit with probability p, then all scaled and shifted back."""
    _check("alpha_dropout", input, p)
    return _alpha_dropped(input, p, train, False)


def feature_alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """`alpha_dropout` of whole channels (dimension 1)."""
    _check("feature_alpha_dropout", input, p)
    return _alpha_dropped(input, p, train, True)


def _written(op: Any) -> Any:
    write = in_place(op, composite=True)

    def op_(input: Any, p: float, train: bool) -> Any:
        return write(input, p, train) if train and p else op(input, p, train)

    op_.__name__ = op_.__qualname__ = op.__name__ + "_"
    op_.__doc__ = f"`{op.__name__}`, written into the input."
    return op_


dropout_, feature_dropout_, alpha_dropout_, feature_alpha_dropout_ = map(
    _written, (dropout, feature_dropout, alpha_dropout, feature_alpha_dropout)
)

_native = Primitive(
    "native_dropout",
    lambda input, *, mask, scale: input * (mask * input.dtype.type(scale)),
    {"input": lambda xp, g, mask, scale: g * xp.constant(mask) * scale},
    explain="values dropped at random, the others scaled up; so are their gradients",
)


def native_dropout(input: Any, p: float, train: bool | None) -> tuple[Any, Any]:
    """`dropout`, and what was kept as a bool tensor."""
    array = check_tensor(input, "native_dropout")._array
    if not train and train is not None:
        return _native(input, mask=np.ones(array.shape, np.bool), scale=1.0), wrap(
            np.ones(array.shape, np.bool)
        )
    mask = np.zeros(array.shape, np.bool) if p == 1 else _drawn(array, 1 - p, False).astype(np.bool)
    return _native(input, mask=mask, scale=0.0 if p == 1 else 1 / (1 - p)), wrap(mask)
