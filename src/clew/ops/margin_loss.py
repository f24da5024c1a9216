"""Losses with a margin: what is right by more than that costs nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.modes import altered, holds, switches
from clew.core.primitive import Primitive
from clew.core.variable import FLOAT32, FLOAT64
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, dtype_of, is_number, type_name, within
from clew.ops._autocast import raised
from clew.ops.activation import logsigmoid
from clew.ops.loss import apply_reduction, check_reduction, reduced, share
from clew.ops.measure import pairwise_distance

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


# ---- of pairs and triplets --------------------------------------------------------------------------------------------
def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """x where t = 1, max(0, margin − x) where t = −1."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    zero = input.new_zeros(())
    far = (margin - input).clamp_min(0).where(target != 1, zero)
    near = input.where(target != -1, zero)
    return apply_reduction(far + near, reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, −t (x₁ − x₂) + margin)."""
    if altered and switches.autocast:
        input1, input2, target = raised(input1, input2, target)
    reduction = check_reduction(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return apply_reduction((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """log(1 + exp(−t x))."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    return apply_reduction((input * -target).exp().log1p(), reduction)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """1 − cos(x₁, x₂) where t = 1, max(0, cos − margin) where t = −1."""
    if altered and switches.autocast:
        input1, input2, target = raised(input1, input2, target)
    reduction = check_reduction(reduction, size_average, reduce)
    product = (input1 * input2).sum(-1)
    square1 = (input1 * input1).sum(-1) + 1e-12
    square2 = (input2 * input2).sum(-1) + 1e-12
    cosine = product / (square1 * square2).sqrt()
    zero = cosine.new_zeros(())
    losses = (1 - cosine).where(target == 1, zero) + (cosine - margin).clamp_min(0).where(target == -1, zero)
    return apply_reduction(losses, reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, d(a, p) − d(a, n) + margin) (Balntas et al. 2016)."""
    if altered and switches.autocast:
        anchor, positive, negative = raised(anchor, positive, negative)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda x, y: pairwise_distance(x, y, p, eps), margin=margin,
        swap=swap, reduction=check_reduction(reduction, size_average, reduce),
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Any = None, margin: float = 1.0, swap: bool = False,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, d(a, p) − d(a, n) + margin) for a distance of one's own."""
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    ranks = anchor.dim(), positive.dim(), negative.dim()
    if len(set(ranks)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            "anchor {}D, positive {}D, and negative {}D inputs".format(*ranks)
        )
    if distance_function is None:
        distance_function = pairwise_distance
    near, far = distance_function(anchor, positive), distance_function(anchor, negative)
    if swap:
        far = far.minimum(distance_function(positive, negative))
    return apply_reduction((margin + near - far).clamp_min(0), reduction)


# ---- of classes -------------------------------------------------------------------------------------------------------
def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """Mean over classes of −(t log σ(x) + (1 − t) log σ(−x))."""
    reduction = check_reduction(reduction, size_average, reduce)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    return apply_reduction(losses.sum(-1) / input._array.shape[-1], reduction)


def _rows(x: Any) -> tuple[int, int]:
    """How many samples and classes: a vector is one sample, a number one class of one."""
    shape = tuple(x.shape)
    return (1, math.prod(shape)) if len(shape) < 2 else (shape[0], shape[1])


def _check_input(input: Any, name: str, kernel: str) -> ndarray:
    array: ndarray = check_tensor(input, name)._array
    if array.ndim > 2 or not all(array.shape[array.ndim == 2 :]):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(array.shape)}"
        )
    if array.dtype not in (FLOAT32, FLOAT64):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(array.dtype)}'")
    return array


def _check_type(array: Any, want: Any) -> None:
    if array.dtype != want:
        raise RuntimeError(f"expected scalar type {legacy_name(want)} but found {legacy_name(array.dtype)}")


def _each(xp: Any, g: Any, rows: int, reduction: str) -> Any:
    """The gradient of every sample's loss, as a column."""
    return xp.reshape(g, (rows, 1)) if reduction == "none" else share(xp, g, rows, reduction)


def _multi_margins(
    self: ndarray, target: ndarray, weight: Any, *, p: int, margin: float, reduction: str
) -> Any:
    rows, classes = _rows(self)
    x, t = self.reshape(rows, classes), target.reshape(-1, 1)
    wrong = np.maximum(x - (np.take_along_axis(x, t, 1) - self.dtype.type(margin)), 0)
    np.put_along_axis(wrong, t, 0, 1)
    losses = (wrong if p == 1 else wrong * wrong).sum(1) / self.dtype.type(classes)
    if weight is not None:
        losses *= weight[t[:, 0]]
    return reduced(losses.reshape(target.shape), reduction)


def _multi_margins_back(
    xp: Any, g: Any, self: Any, target: Any, weight: Any, p: int, margin: float, reduction: str
) -> Any:
    rows, classes = _rows(self)
    t, w = (getattr(v, "_array", v) for v in (target, weight))  # neither has a gradient
    chosen = np.arange(classes) == t.reshape(-1, 1)
    right = xp.constant(chosen.astype(dtype_of(self)))
    x = xp.reshape(self, (rows, classes))
    over = x - xp.sum(x * right, 1, True) + margin
    costs = xp.constant(~chosen) & (over > 0)
    slope = xp.where(costs, 1.0 if p == 1 else 2 * over, 0.0) * (_each(xp, g, rows, reduction) / classes)
    if w is not None:
        slope = slope * xp.constant(w[t.reshape(-1, 1)])
    return xp.reshape(slope - right * xp.sum(slope, 1, True), tuple(self.shape))


_multi_margin = Primitive(
    "multi_margin_loss",
    _multi_margins,
    {"self": _multi_margins_back},
    explain="what wrong classes lack to the margin below the right one",
)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """w_t Σ_{i≠t} max(0, margin − x_t + x_i)ᵖ / C: input (N, C) or (C), target (N) or (); p is 1 or 2."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    if not is_number(margin):
        raise TypeError(
            f"multi_margin_loss(): argument 'margin' (position 4) must be Number, not {type_name(margin)}"
        )
    if weight is not None and weight.requires_grad:
        raise RuntimeError(
            "The function 'multi_margin_loss' is not differentiable with respect to argument 'weight'. This input cannot "
            "have requires_grad True."
        )
    t = check_tensor(target, "multi_margin_loss", "target", 2)._array
    x = _check_input(input, "multi_margin_loss", "multi_margin_loss_cpu_kernel")
    rows, classes = _rows(x)
    if t.ndim > 1 or t.size != rows:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{rows}], but got {list(t.shape)}. Input has shape {list(x.shape)}."
        )
    if weight is not None and weight._array.size != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    _check_type(t, np.int64)
    if weight is not None:
        _check_type(weight._array, x.dtype)
    if not holds(within, t, 0, classes):
        raise RuntimeError("target out of range")
    return _multi_margin(input, target, weight, p=int(p), margin=float(margin), reduction=reduction)


def _listed(t: ndarray) -> tuple[ndarray, ndarray, tuple[ndarray, ndarray]]:
    """Which entries of the targets stand before the first −1, which classes they name, and both as indices."""
    listed = np.logical_and.accumulate(t >= 0, axis=1)
    named = np.zeros(t.shape, bool)
    at = listed.nonzero()[0], t[listed]
    named[at] = True
    return listed, named, at


def _label_margins(self: ndarray, target: ndarray, *, reduction: str) -> tuple[Any, ndarray]:
    """The losses, and the slope of every sample's loss."""
    rows, classes = _rows(self)
    x, t = self.reshape(rows, classes), target.reshape(rows, classes)
    listed, named, at = _listed(t)
    right = x[np.arange(rows)[:, None], t * listed]
    over = 1 - right[:, :, None] + x[:, None, :]
    costs = listed[:, :, None] & ~named[:, None, :] & (over > 0)
    losses = np.where(costs, over, 0).sum((1, 2)) / self.dtype.type(classes)
    slopes = costs.sum(1).astype(self.dtype)
    np.subtract.at(slopes, at, costs.sum(2)[listed].astype(self.dtype))
    slopes /= classes
    if self.ndim < 2:
        return losses[0], slopes
    return (losses.sum() if not losses.size and reduction == "mean" else reduced(losses, reduction)), slopes


_label_margin = Primitive(
    "multilabel_margin_loss",
    _label_margins,
    {
        "self": lambda xp, g, self_shape, reduction, slopes: xp.reshape(
            xp.constant(slopes) * _each(xp, g, len(slopes), reduction), self_shape
        )
    },
    aux={"slopes": None},
    explain="what wrong classes lack to a margin of 1 below the right ones",
)


def multilabel_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """Σ over right classes j and wrong classes i of max(0, 1 − x_j + x_i) / C: input and target (N, C) or (C).

    A sample's right classes are listed first in its target, up to the first −1.
    """
    reduction = check_reduction(reduction, size_average, reduce)
    t = check_tensor(target, "multilabel_margin_loss", "target", 2)._array
    x = _check_input(input, "multilabel_margin_loss", "multilabel_margin_loss_forward_out_frame")
    if x.shape != t.shape and (x.ndim or t.size != 1):
        raise RuntimeError(f"inconsistent target size: {list(t.shape)} for input of size: {list(x.shape)}")
    _check_type(t, np.int64)
    if not holds(within, t, -1, _rows(x)[1]):
        raise RuntimeError("argument #2 'target' is out of range")
    return _label_margin(input, target, reduction=reduction)
