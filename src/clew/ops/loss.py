"""Losses: how far predictions are from targets, reduced to a mean, a sum, or not at all."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.modes import altered, holds, switches
from clew.core.primitive import Primitive, watch
from clew.core.promotion import result_dtype
from clew.core.raw import total
from clew.core.variable import FLOAT32, FLOAT64, Variable, wrap
from clew.dtypes import legacy_name
from clew.kernels import pick
from clew.ops._arguments import check_tensor
from clew.ops._autocast import raised
from clew.ops._builders import broadcast_error, convert, edge_of, recording, several

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss",
    "mse_loss", "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip


# ---- reduction --------------------------------------------------------------------------------------------------------
def reduced(values: np.ndarray, reduction: str) -> Any:
    """An array of losses reduced."""
    if reduction == "none":
        return values
    summed = total(values)
    return summed if reduction == "sum" else summed / values.size


def share(xp: Any, g: Any, count: int, reduction: str) -> Any:
    """The gradient of one element's loss."""
    return g / count if reduction == "mean" else g


def _size(x: Any) -> int:
    count = 1
    for n in x.shape:
        count *= n
    return count


def apply_reduction(values: Any, reduction: str) -> Any:
    """A tensor of losses reduced."""
    return values.mean() if reduction == "mean" else values.sum() if reduction == "sum" else values


def check_reduction(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction asked for, also in PyTorch's older spelling; ValueError for an unknown word."""
    if reduction == "mean" and size_average is None and reduce is None:
        return reduction
    if size_average is not None or reduce is not None:
        average = True if size_average is None else size_average
        chosen = "none" if reduce is False else "mean" if average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{chosen}' instead.",
            stacklevel=4,
        )
        return chosen
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _pair(input: Any, target: Any, name: str, reduction: str, warn: bool = True) -> tuple[Any, Any]:
    """Prediction and target in one type, after the checks all pointwise losses share."""
    check_tensor(input, name)
    check_tensor(target, name, "target", 2)
    if warn and input._array.shape != target._array.shape:
        warnings.warn(
            f"Using a target size (torch.Size({list(target._array.shape)})) that is different to the input size "
            f"(torch.Size({list(input._array.shape)})). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=4,
        )
    if input._array.dtype is target._array.dtype:
        return input, target
    want = result_dtype(input, target).np
    return convert(input, want), convert(target, want)


def _pointwise(name: str, loss: Any, slope: Any, node: str, kernel: str) -> Primitive:
    """A loss of the difference d = input − target: its values, and its slope in d."""

    def forward(self: Any, target: Any, *, reduction: str, parameter: float) -> Any:
        if reduction != "none" and self.shape == target.shape and (summed := pick(kernel, self, target)):
            total = summed(self, target, parameter)
            return total if reduction == "sum" else total / self.size
        return reduced(loss(self - target, parameter), reduction)

    def of_input(xp: Any, g: Any, self: Any, target: Any, reduction: str, parameter: float) -> Any:
        if (
            xp is raw
            and g.size == 1
            and self.shape == target.shape
            and (slopes := pick(f"{kernel}_back", self, target))
        ):
            return slopes(self, target, share(xp, g, self.size, reduction), parameter)
        difference = self - target
        return share(xp, g, _size(difference), reduction) * slope(xp, difference, parameter)

    def of_target(xp: Any, g: Any, self: Any, target: Any, reduction: str, parameter: float) -> Any:
        return -of_input(xp, g, self, target, reduction, parameter)

    return Primitive(name, forward, {"self": of_input, "target": of_target}, node=node)


_mse = _pointwise("mse_loss", lambda d, _: d * d, lambda xp, d, _: d + d, "MseLossBackward0", "mse")
_smooth = _pointwise(
    "smooth_l1_loss",
    lambda d, beta: np.where(np.abs(d) < beta, 0.5 * d * d / beta, np.abs(d) - 0.5 * beta).astype(
        d.dtype, copy=False
    ),
    lambda xp, d, beta: xp.where(xp.abs(d) < beta, d / beta, xp.sign(d)),
    "SmoothL1LossBackward0",
    "smooth_l1",
)
_huber = _pointwise(
    "huber_loss",
    lambda d, delta: np.where(np.abs(d) <= delta, 0.5 * d * d, delta * (np.abs(d) - 0.5 * delta)).astype(
        d.dtype, copy=False
    ),
    lambda xp, d, delta: xp.where(xp.abs(d) <= delta, d, xp.sign(d) * delta),
    "HuberLossBackward0",
    "huber",
)


def _difference_loss(primitive: Primitive, input: Any, target: Any, reduction: str, parameter: float) -> Any:
    try:
        a, b = input._array, target._array
        dtype = a.dtype
        plain = (dtype is FLOAT32 or dtype is FLOAT64) and b.dtype is dtype and a.shape == b.shape
    except AttributeError:  # no tensors: `_pair` refuses them
        plain = False
    if plain:  # by hand what `Primitive.__call__` does for all
        value = primitive.forward(a, b, reduction=reduction, parameter=parameter)
        edges = edge_of(input), edge_of(target)
        if not recording(edges):
            return wrap(value)
        saved = (a, b, reduction, parameter)
        return several(
            primitive,
            value,
            (input, target),
            edges,
            (None if edges[0] is None else saved, None if edges[1] is None else saved),
            (watch(input), watch(target)),
            3,
        )
    x, y = _pair(input, target, primitive.name, reduction)
    if x._array.dtype.kind not in "fV":
        kernel = primitive.name.replace("_loss", "_cpu")
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(x._array.dtype)}'")
    try:
        return primitive(x, y, reduction=reduction, parameter=parameter)
    except ValueError:
        raise broadcast_error(x._array.shape, y._array.shape) from None


def mse_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """(input − target)², reduced. Warns where the shapes differ and broadcasting would hide a mistake."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    if weight is not None:
        return _weighted(_difference_loss(_mse, input, target, "none", 0.0), input, weight, reduction)
    return _difference_loss(_mse, input, target, reduction, 0.0)


def _weighted(losses: Any, input: Any, weight: Any, reduction: str) -> Any:
    """Losses times weights; the mean is the weighted one."""
    if weight._array.shape != input._array.shape:
        raise ValueError("Weights and input must have the same size.")
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" else apply_reduction(losses, reduction)


def l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """|input − target|, reduced."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    _pair(input, target, "l1_loss", reduction)
    values = (input - target).abs()
    return (
        apply_reduction(values, reduction) if weight is None else _weighted(values, input, weight, reduction)
    )


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """d² / 2β where |d| < β, else |d| − β/2, reduced (Girshick 2015, "Fast R-CNN")."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return _difference_loss(_smooth, input, target, reduction, float(beta))


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """d² / 2 where |d| ≤ δ, else δ (|d| − δ/2), reduced (Huber 1964)."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    check_reduction(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is not None:
        return apply_reduction(
            _difference_loss(_huber, input, target, "none", float(delta)) * weight, reduction
        )
    return _difference_loss(_huber, input, target, reduction, float(delta))


# ---- binary classification ----------------------------------------------------------------------
def _bce_forward(self: Any, target: Any, weight: Any, *, reduction: str) -> Any:
    losses = -(target * np.maximum(np.log(self), -100) + (1 - target) * np.maximum(np.log1p(-self), -100))
    return reduced(losses if weight is None else losses * weight, reduction)


def _bce_gradients(xp: Any, g: Any, needs: Any, self: Any, target: Any, weight: Any, reduction: str) -> Any:
    part = share(xp, g, _size(self), reduction)
    part = part if weight is None else part * weight
    spread = (1 - self) * self
    gx = part * (self - target) / xp.where(spread < 1e-12, spread * 0 + 1e-12, spread)
    gt = part * (xp.log(1 - self) - xp.log(self)) if needs[1] else None
    return gx, gt, None


_bce = Primitive("binary_cross_entropy", _bce_forward, _bce_gradients, node="BinaryCrossEntropyBackward0")


def _probabilities(values: Any) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """−(t log p + (1 − t) log(1 − p)), logarithms cut at −100. RuntimeError for p outside [0, 1]."""
    reduction = check_reduction(reduction, size_average, reduce)
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"Using a target size (torch.Size({list(target._array.shape)})) that is different to the input size "
            f"(torch.Size({list(input._array.shape)})) is deprecated. Please ensure they have the same size."
        )
    kind = input._array.dtype
    if target._array.dtype != kind:
        raise RuntimeError(f"Found dtype {legacy_name(target._array.dtype)} but expected {legacy_name(kind)}")
    if kind.kind not in "fV":
        raise NotImplementedError(f"\"binary_cross_entropy\" not implemented for '{legacy_name(kind)}'")
    if not holds(_probabilities, input._array):
        raise RuntimeError("all elements of input should be between 0 and 1")
    return _bce(input, target, weight, reduction=reduction)


def _bcel_forward(self: Any, target: Any, weight: Any, pos_weight: Any, *, reduction: str) -> Any:
    plain = weight is None and pos_weight is None and reduction != "none" and target.shape == self.shape
    if plain and (summed := pick("bce_logits", self, target)):
        total = summed(self, target)
        return total if reduction == "sum" else total / self.size
    softplus = np.log1p(np.exp(-np.abs(self))) + np.maximum(-self, 0)  # log(1 + e⁻ˣ)
    if pos_weight is None:
        losses = (1 - target) * self + softplus
    else:
        losses = (1 - target) * self + (1 + (pos_weight - 1) * target) * softplus
    return reduced(losses if weight is None else losses * weight, reduction)


def _bcel_gradients(
    xp: Any, g: Any, needs: Any, self: Any, target: Any, weight: Any, pos_weight: Any, reduction: str
) -> Any:
    shape = self.shape
    part = share(xp, g, _size(self), reduction)
    plain = xp is raw and weight is None and pos_weight is None and g.size == 1 and not needs[1]
    if plain and (slopes := pick("bce_logits_back", self, target)):
        return slopes(self, target, part), None, None, None
    part = part if weight is None else part * weight
    sigmoid = 0.5 * (xp.tanh(0.5 * self) + 1)
    if pos_weight is None:
        gx = part * (sigmoid - target)
    else:
        gx = part * ((pos_weight * target + 1 - target) * sigmoid - pos_weight * target)
    gt = None
    if needs[1]:
        gt = (
            part * -self
            if pos_weight is None
            else part * (xp.log(1 - sigmoid) - pos_weight * xp.log(sigmoid))
        )
    return (gx if gx.shape == shape else xp.sum_to(gx, shape)), gt, None, None


_bce_logits = Primitive(
    "binary_cross_entropy_with_logits",
    _bcel_forward,
    _bcel_gradients,
    node="BinaryCrossEntropyWithLogitsBackward0",
)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:  # fmt: skip
    """−(t log σ(x) + (1 − t) log(1 − σ(x))), computed without overflow; `pos_weight` scales the first term."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"Target size (torch.Size({list(target._array.shape)})) must be the same as input size "
            f"(torch.Size({list(input._array.shape)}))"
        )
    kinds = input._array.dtype, target._array.dtype
    if kinds[0] is kinds[1] and kinds[0].kind in "fV":
        return _bce_logits(input, target, weight, pos_weight, reduction=reduction)
    _check_logits(*kinds)
    want = result_dtype(input, target).np
    both = convert(input, want), convert(target, want)
    return convert(_bce_logits(*both, weight, pos_weight, reduction=reduction), kinds[1])


def _check_logits(input: np.dtype[Any], target: np.dtype[Any]) -> None:
    """The errors of PyTorch's formula, (1 − t) x − log σ(x) written into the memory of 1 − t, for types it has not."""
    if target.kind == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    if target.kind in "iu" and input.kind not in "iub":
        raise RuntimeError(
            f"result type {legacy_name(input)} can't be cast to the desired output type {legacy_name(target)}"
        )
    if input.kind not in "fV":
        raise NotImplementedError(f"\"log_sigmoid_cpu\" not implemented for '{legacy_name(input)}'")


# ---- made of other operations --------------------------------------------------------------------------------------------
def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """t (log t − input) with input log-probabilities; 'batchmean' divides the sum by the batch size."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    if reduction == "batchmean":
        return kl_div(input, target, reduction="sum", log_target=log_target) / input._array.shape[0]
    reduction = check_reduction(reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    values = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    return apply_reduction(values, reduction)


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: Any = None, eps: float = 1e-08,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """exp(input) − t · input (or input − t log(input + ε)), with Stirling's term where `full`."""
    if altered and switches.autocast:
        input, target = raised(input, target)
    reduction = check_reduction(reduction, size_average, reduce)
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * np.pi * target).log()
        losses = losses + stirling.masked_fill(target <= 1, 0)
    return apply_reduction(losses, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-06, reduction: str = "mean"
) -> Any:
    """½ (log σ² + (input − t)² / σ²), σ² kept above ε; with ½ log 2π where `full`."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    if not isinstance(var, Variable):
        var = input.new_full(input.shape, var)
    if var._array.shape != input._array.shape:
        if input._array.shape[:-1] == var._array.shape:
            var = var.unsqueeze(-1)
        elif not (input._array.shape[:-1] == var._array.shape[:-1] and var._array.shape[-1] == 1):
            raise ValueError("var is of incorrect size")
    if (var._array < 0).any():
        raise ValueError("var has negative entry/entries")
    clamped = var.clone()
    clamped = clamped + (clamped.detach().clamp(min=eps) - clamped.detach())
    losses = 0.5 * (clamped.log() + (input - target) ** 2 / clamped)
    if full:
        losses = losses + 0.5 * float(np.log(2 * np.pi))
    return apply_reduction(losses, reduction)
