"""Cross entropy and the negative log-likelihood of classes: indices or probabilities, for rows, sequences, images."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from clew.core.modes import altered, holds, switches
from clew.core.primitive import Primitive, watch
from clew.core.variable import FLOAT32, FLOAT64, wrap
from clew.ops._arguments import check_tensor, legacy
from clew.ops._autocast import raised
from clew.ops._builders import edge_of, recording, several, single
from clew.ops.linalg import linear
from clew.ops.loss import check_reduction
from clew.ops.softmax import log_softmax_lines, log_softmax_primitive

__all__ = ["cross_entropy", "linear_cross_entropy", "nll_loss"]

INT64, UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


def _picked_weights(target: Any, weight: Any, ignore_index: int) -> tuple[Any, Any]:
    """Each target as an index that exists, and its weight (0 where ignored)."""
    ignored = target == ignore_index
    index = np.where(ignored, 0, target)
    weights = np.ones(target.shape) if weight is None else weight[index]
    return index, np.where(ignored, 0, weights)


def _nll_forward(self: Any, target: Any, weight: Any, *, reduction: str, ignore_index: int) -> Any:
    """−w[t] · x[…, t, …] with the classes on axis 1."""
    index, weights = _picked_weights(target, weight, ignore_index)
    weights = weights.astype(self.dtype, copy=False)
    picked = np.take_along_axis(self, index[:, None], axis=1)[:, 0]
    losses = -picked * weights if weights.size else picked
    if reduction == "none":
        return np.where(weights == 0, self.dtype.type(0), losses)
    total = np.add.reduce(np.where(weights == 0, self.dtype.type(0), losses), axis=None)
    return total / np.add.reduce(weights, axis=None) if reduction == "mean" else total


def _nll_spread(
    g: Any, target: Any, weight: Any, *, reduction: str, ignore_index: int, shape: tuple[int, ...]
) -> Any:
    """The adjoint of `_nll_forward` in its first argument."""
    index, weights = _picked_weights(target, weight, ignore_index)
    weights = weights.astype(g.dtype, copy=False)
    values = -weights * (g / np.add.reduce(weights, axis=None) if reduction == "mean" else g)
    values[weights == 0] = 0  # also where the mean was 0 / 0
    spread = np.zeros(shape, dtype=g.dtype)
    np.put_along_axis(spread, index[:, None], values[:, None], axis=1)
    return spread


def _nll_primitive(node: str) -> Primitive:
    return Primitive(
        "nll_loss",
        _nll_forward,
        {
            "self": lambda xp, g, self_shape, target, weight, reduction, ignore_index: xp.call(
                nll_spread,
                g,
                target,
                weight,
                reduction=reduction,
                ignore_index=ignore_index,
                shape=self_shape,
            )
        },
        node=node,
        explain="minus the log-probability of the right class; the gradient goes to that class alone",
    )


_nll = _nll_primitive("NllLossBackward0")
_nll_2d = _nll_primitive("NllLoss2DBackward0")
nll_spread = Primitive(
    "nll_loss_backward",
    _nll_spread,
    {
        "g": lambda xp, g, target, weight, reduction, ignore_index, shape: xp.call(
            _nll, g, target, weight, reduction=reduction, ignore_index=ignore_index
        )
    },
)


# The common case, a class for each row and none ignored or weighted, in a few NumPy calls.
@lru_cache(maxsize=64)
def _count(rows: int) -> np.ndarray:
    return np.arange(rows)


def _rows_forward(self: Any, target: Any, *, reduction: str, columns: bool) -> Any:
    rows = len(target)
    total = np.add.reduce(self[_count(rows), target])
    return -(total / rows) if reduction == "mean" else -total


def _rows_spread(g: Any, target: Any, *, reduction: str, columns: bool, shape: tuple[int, int]) -> Any:
    """The adjoint of `_rows_forward` in its first argument. columns: laid out column by column."""
    rows = shape[0]
    spread = np.zeros(shape[::-1], g.dtype).T if columns else np.zeros(shape, g.dtype)
    spread[_count(rows), target] = -(g / rows) if reduction == "mean" else -g
    return spread


_nll_rows: Primitive = Primitive(
    "nll_loss",
    _rows_forward,
    {
        "self": lambda xp, g, self_shape, target, reduction, columns: xp.call(
            _nll_rows_spread, g, target, reduction=reduction, columns=columns, shape=self_shape
        )
    },
    jvp="linear",
    explain="minus the log-probability of the right class; the gradient goes to that class alone",
)
_nll_rows_spread: Primitive = Primitive(
    "nll_loss_backward",
    _rows_spread,
    {
        "g": lambda xp, g, target, reduction, columns: xp.call(
            _nll_rows, g, target, reduction=reduction, columns=columns
        )
    },
    jvp="linear",
)


def _plain_rows(input: Any, target: Any, ignore_index: int) -> bool:
    """Whether input (N, C) and target (N) are the common case, every target being a class."""
    try:
        x, t = input._array, target._array
    except AttributeError:
        return False
    if not (
        x.ndim == 2
        and t.ndim == 1
        and t.dtype is INT64
        and (x.dtype is FLOAT32 or x.dtype is FLOAT64)
        and len(t) == len(x) != 0
        and ignore_index < 0
    ):
        return False
    return holds(_all_classes, t, x.shape[1])


def _all_classes(target: Any, classes: int) -> bool:
    unsigned = target.view(UINT64)  # negative numbers are huge; `argmax` takes a sixth of the time of `max`
    return bool(unsigned.item(unsigned.argmax()) < classes)


def _nll_of_rows(input: Any, target: Any, reduction: str) -> Any:
    """Called straight from the public function."""
    x, t = input._array, target._array
    columns = not x.flags.c_contiguous
    value = _rows_forward(x, t, reduction=reduction, columns=columns)
    edges = edge_of(input), None
    if not recording(edges):
        return wrap(value)
    saved = (x.shape, t, reduction, columns), None
    return several(_nll_rows, value, (input, target), edges, saved, (watch(target),), 3)


def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """−w[t] · input[…, t, …]: input (N, C, …) or (C), target (N, …) or () of class indices; mean divides by Σ w."""
    if altered and switches.autocast:
        (input,) = raised(input)
    reduction = check_reduction(reduction, size_average, reduce)
    if weight is None and reduction != "none" and _plain_rows(input, target, ignore_index):
        return _nll_of_rows(input, target, reduction)
    check_tensor(input, "nll_loss")
    check_tensor(target, "nll_loss_nd", "target", 2)
    x, t = input, target
    if x._array.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {x._array.ndim})")
    _check_targets(x._array, t._array, weight, ignore_index)
    if x._array.ndim == 1:
        x, t = x.unsqueeze(0), t.unsqueeze(0)
        result = _nll(x, t, weight, reduction=reduction, ignore_index=ignore_index)
        return result.squeeze(0) if reduction == "none" else result
    primitive = _nll if x._array.ndim == 2 else _nll_2d
    return primitive(x, t, weight, reduction=reduction, ignore_index=ignore_index)


def _check_targets(x: np.ndarray, t: np.ndarray, weight: Any, ignore_index: int) -> None:
    classes = x.shape[0] if x.ndim == 1 else x.shape[1]
    batch = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if x.ndim <= 2 and t.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if t.dtype.kind not in "iu" or t.dtype.name not in ("int64", "uint8"):
        from clew.dtypes import legacy_name

        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {legacy_name(t.dtype)}")
    if t.shape != batch:
        if x.ndim == 2 or t.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({t.shape[0] if t.ndim else 1})."
            )
        raise RuntimeError(f"Expected target size {[x.shape[0], *x.shape[2:]]}, got {list(t.shape)}")
    if weight is not None and weight._array.shape != (classes,):
        raise RuntimeError(
            "weight tensor should be defined either for all or no classes"
            if x.ndim > 2
            else f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight._array.shape)}"
        )
    if not holds(_classes_or_ignored, t, classes, ignore_index):
        wrong = (t != ignore_index) & ((t < 0) | (t >= classes))
        raise IndexError(f"Target {t[wrong].reshape(-1)[0]} is out of bounds.")


def _classes_or_ignored(target: Any, classes: int, ignore_index: int) -> bool:
    return not ((target != ignore_index) & ((target < 0) | (target >= classes))).any()


def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """−log softmax(input)[t]: input (N, C, …) or (C) of logits, target class indices, or probabilities in input's shape."""
    if altered and switches.autocast:
        (input,) = raised(input)
    reduction = check_reduction(reduction, size_average, reduce)
    if (
        weight is None
        and label_smoothing == 0.0
        and reduction != "none"
        and _plain_rows(input, target, ignore_index)
    ):
        logs = log_softmax_lines(input._array, 1)
        return _nll_of_rows(
            single(log_softmax_primitive, input, logs, (logs, 1), "result"), target, reduction
        )
    check_tensor(input, "cross_entropy_loss")
    check_tensor(target, "cross_entropy_loss", "target", 2)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    axis = 0 if input._array.ndim == 1 else 1
    log_probabilities = input.log_softmax(axis)
    if input._array.shape == target._array.shape:
        if target._array.dtype.kind not in "fV":
            raise RuntimeError(
                f"Expected floating point type for target with class probabilities, got {legacy(target)}"
            )
        return _soft_cross_entropy(log_probabilities, target, weight, reduction, label_smoothing, axis)
    if label_smoothing == 0:
        return nll_loss(log_probabilities, target, weight, None, ignore_index, None, reduction)
    return _smoothed_cross_entropy(
        log_probabilities, target, weight, ignore_index, reduction, label_smoothing, axis
    )


def _class_shape(weight: Any, ndim: int, axis: int) -> Any:
    return weight.view([-1 if i == axis else 1 for i in range(ndim)])


def _soft_cross_entropy(
    logs: Any, target: Any, weight: Any, reduction: str, smoothing: float, axis: int
) -> Any:
    classes = logs._array.shape[axis]
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / classes
    losses = logs * target
    if weight is not None:
        losses = losses * _class_shape(weight, logs._array.ndim, axis)
    if reduction == "mean":
        batch = logs._array.size // classes if logs._array.ndim > 1 else 1
        return -(losses.sum() / batch)
    return -losses.sum() if reduction == "sum" else -losses.sum(axis)


def _smoothed_cross_entropy(
    logs: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float, axis: int
) -> Any:
    classes = logs._array.shape[axis]
    hard = nll_loss(logs, target, weight, None, ignore_index, None, reduction)
    spread = -logs if weight is None else -logs * _class_shape(weight, logs._array.ndim, axis)
    spread = spread.sum(axis)
    kept = target._array != ignore_index
    spread = spread.masked_fill(wrap(~kept), 0.0)
    if reduction == "mean":
        if weight is None:
            total = float(np.count_nonzero(kept))
        else:
            total = float(weight._array[np.where(kept, target._array, 0)][kept].sum())
        spread = spread.sum() / total
    elif reduction == "sum":
        spread = spread.sum()
    return (1 - smoothing) * hard + spread * (smoothing / classes)


def linear_cross_entropy(
    input: Any, linear_weight: Any, target: Any, *, linear_bias: Any = None, weight: Any = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None,
) -> Any:  # fmt: skip
    """`cross_entropy` of x Wᵀ + b: input (N, in) or (in), linear_weight (C, in), or (C, d₁, …, in) for logits (N, C, d₁, …).

    options: how PyTorch divides the batch to save memory; the loss is the same. RuntimeError for shapes that don't fit.
    """
    width, shape = check_tensor(input, "linear_cross_entropy").dim(), tuple(linear_weight.shape)
    if width not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {width}")
    if len(shape) < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {len(shape)}")
    features = input.shape[-1]
    if features != shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{features} and {shape[-1]}, respectively"
        )
    if len(shape) > 2 and width == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {shape} requires batched input, (N, {features}), got "
            f"unbatched input with shape {tuple(input.shape)}"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != shape[:-1]:
        raise RuntimeError(f"expected linear_bias shape {shape[:-1]}, got {tuple(linear_bias.shape)}")
    if ignore_index is not None and target._array.dtype.kind in "fV":
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if len(shape) == 2:
        logits = linear(input, linear_weight, linear_bias)
    else:
        bias = None if linear_bias is None else linear_bias.flatten()
        logits = linear(input, linear_weight.flatten(0, -2), bias).view(-1, *shape[:-1])
    return cross_entropy(
        logits, target, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
        label_smoothing=label_smoothing,
    )  # fmt: skip
