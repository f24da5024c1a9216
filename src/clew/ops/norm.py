"""Normalisations: batch, layer, group, instance and RMS norm.

All centre and scale a group of values: x̂ = (x − μ) / √(σ² + ε), y = x̂ · weight + bias; they differ in which axes the
mean μ and the variance σ² run over. With γ = g · weight the gradient of x is (γ − mean(γ) − x̂ · mean(γ x̂)) / √(σ² + ε).
Sources: batch: Ioffe & Szegedy 2015; layer: Ba, Kiros & Hinton 2016; group: Wu & He 2018; instance: Ulyanov et al. 2016;
RMS: Zhang & Sennrich 2019.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew.core.primitive import Primitive
from clew.core.promotion import compute_dtype
from clew.core.variable import wrap
from clew.dtypes import from_numpy
from clew.ops._arguments import check_tensor, sizes, tensor_dtype
from clew.ops._builders import convert, for_type

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


# ---- what the three primitives share -----------------------------------------------------------------------------------
def _statistics(x: np.ndarray, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """x − μ, μ and 1 / √(σ² + ε) over the axes."""
    count = math.prod([x.shape[a] for a in axes])
    mean = np.add.reduce(x, axis=axes, keepdims=True) / x.dtype.type(count)
    centred = x - mean
    variance = np.add.reduce(centred * centred, axis=axes, keepdims=True) / x.dtype.type(count)
    return centred, mean, 1 / np.sqrt(variance + x.dtype.type(eps))


def _mean_again(xp: Any, self: Any, axes: tuple[int, ...]) -> Any:
    return xp.sum(self, axes, True) / math.prod([self.shape[a] for a in axes])


def _rstd_again(xp: Any, self: Any, axes: tuple[int, ...], eps: float) -> Any:
    centred = self - _mean_again(xp, self, axes)
    return 1 / xp.sqrt(_mean_again(xp, centred * centred, axes) + eps)


def _input_gradient(xp: Any, g: Any, normal: Any, rstd: Any, axes: tuple[int, ...]) -> Any:
    count = math.prod([normal.shape[a] for a in axes])
    mean = xp.sum(g, axes, True) / count
    slope = xp.sum(g * normal, axes, True) / count
    return (g - mean - normal * slope) * rstd


def _affine(normal: np.ndarray, weight: Any, bias: Any, shape: tuple[int, ...]) -> np.ndarray:
    """x̂ · weight + bias, in place: `normal` is a fresh array."""
    if weight is not None:
        normal *= weight.reshape(shape)
    if bias is not None:
        normal += bias.reshape(shape)
    return normal


def _forward(self: Any, weight: Any, bias: Any, *, axes: Any, eps: float, shape: Any) -> Any:
    normal, mean, rstd = _statistics(self, axes, eps)
    normal *= rstd
    return _affine(normal, weight, bias, shape), mean, rstd


def _gradients(
    xp: Any, g: Any, needs: Any, self: Any, weight: Any, mean: Any, rstd: Any, axes: Any, eps: Any, shape: Any
) -> tuple[Any, Any, Any]:
    normal = (self - mean) * rstd
    gx = gw = gb = None
    if needs[0]:
        gx = _input_gradient(xp, g if weight is None else g * xp.reshape(weight, shape), normal, rstd, axes)
    if needs[1]:
        gw = xp.reshape(xp.sum_to(g * normal, shape), weight.shape)
    if needs[2]:
        gb = xp.reshape(xp.sum_to(g, shape), (math.prod(shape),) if weight is None else weight.shape)
    return gx, gw, gb


def _normalization(name: str, node: str) -> Primitive:
    return Primitive(
        name,
        _forward,
        _gradients,
        aux={"mean": _mean_again, "rstd": _rstd_again},
        node=node,
        explain="values centred and scaled over a group of axes, then scaled and shifted by the parameters",
    )


_layer = _normalization("layer_norm", "NativeLayerNormBackward0")
_batch = _normalization("batch_norm", "NativeBatchNormBackward0")

# With fixed statistics (evaluation) batch norm is an affine map.
_batch_eval = Primitive(
    "batch_norm",
    lambda self, weight, bias, mean, rstd, *, shape: _affine((self - mean) * rstd, weight, bias, shape),
    lambda xp, g, needs, self, weight, mean, rstd, shape: (
        (g if weight is None else g * xp.reshape(weight, shape)) * rstd if needs[0] else None,
        xp.reshape(xp.sum_to(g * (self - mean) * rstd, shape), weight.shape) if needs[1] else None,
        xp.reshape(xp.sum_to(g, shape), (math.prod(shape),)) if needs[2] else None,
        None,
        None,
    ),
    node="NativeBatchNormBackward0",
)


# ---- the functions -------------------------------------------------------------------------------------------------------
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-05
) -> Any:
    """(x − μ) / √(σ² + ε) · weight + bias, μ and σ² over the trailing dimensions `normalized_shape`."""
    shape, axes = _trailing(input, normalized_shape, "layer_norm", weight, bias, "*, ")
    return _run(_layer, input, (weight, bias), axes=axes, eps=eps, shape=shape)


def _trailing(
    input: Any, normalized_shape: Any, function: str, weight: Any, bias: Any = None, star: str = "*"
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`normalized_shape` as a tuple, and which axes of the input it stands for; RuntimeError where they differ."""
    check_tensor(input, function)
    shape = sizes((normalized_shape,)) if not isinstance(normalized_shape, int) else (normalized_shape,)
    if not shape:
        raise RuntimeError(
            f"Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            f"normalized_shape = {list(shape)}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value._array.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(value._array.shape)} and normalized_shape = {list(shape)}"
            )
    have = input._array.shape
    if len(have) < len(shape) or have[len(have) - len(shape) :] != shape:
        inner = ", ".join(str(n) for n in shape)
        raise RuntimeError(
            f"Given normalized_shape=[{inner}], expected input with shape [{star}{inner}], but got input of size{list(have)}"
        )
    return shape, tuple(range(len(have) - len(shape), len(have)))


def _run(primitive: Primitive, input: Any, others: tuple[Any, ...], **params: Any) -> Any:
    """Run with the parameters in the input's type."""
    kind = tensor_dtype(input)
    return for_type(primitive, kind)(
        input, *[None if t is None else convert(t, kind.np) for t in others], **params
    )


def _channels(
    input: Any, function: str, weight: Any, bias: Any, means: Any = None, variances: Any = None
) -> tuple[int, ...]:
    """The shape that lets a vector over channels broadcast over the input."""
    channels = input._array.shape[1]
    for name, value in (
        ("running_mean", means),
        ("running_var", variances),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None and value._array.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {value._array.size}")
    return (1, channels, *(1,) * (input._array.ndim - 2))


def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-05,
) -> Any:  # fmt: skip
    """(x − μ) / √(σ² + ε) · weight + bias per channel (dimension 1).

    In training μ and σ² are the batch's, and the running values move by `momentum` towards them (σ² unbiased); else
    they are the running values. ValueError for a batch with one value per channel in training.
    """
    check_tensor(input, "batch_norm")
    shape = _channels(input, "batch_norm", weight, bias, running_mean, running_var)
    array = input._array
    if training:
        size = array.size // array.shape[1] if array.shape[1] else 0
        if size == 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size torch.Size({list(array.shape)})"
            )
        axes = (0, *range(2, array.ndim))
        result = _run(_batch, input, (weight, bias), axes=axes, eps=eps, shape=shape)
        if running_mean is not None:
            _move_running(array, axes, running_mean, running_var, momentum, size)
        return result
    if running_mean is None or running_var is None:
        missing = "running_mean" if running_mean is None else "running_var"
        raise RuntimeError(f"{missing} must be defined in evaluation mode")
    work = compute_dtype(from_numpy(array.dtype))
    mean = wrap(running_mean._array.reshape(shape).astype(work))
    rstd = wrap((1 / np.sqrt(running_var._array.astype(work) + work.type(eps))).reshape(shape))
    return _run(_batch_eval, input, (weight, bias, mean, rstd), shape=shape)


def _move_running(
    array: Any, axes: Any, running_mean: Any, running_var: Any, momentum: float, size: int
) -> None:
    """running ← (1 − momentum) · running + momentum · batch."""
    kind = running_mean._array.dtype
    mean = np.add.reduce(array, axis=axes, dtype=kind, keepdims=True) / kind.type(size)
    spread = array - mean
    variance = np.add.reduce(spread * spread, axis=axes, dtype=kind) / kind.type(max(size - 1, 1))
    for running, batch in ((running_mean, mean.reshape(-1)), (running_var, variance)):
        memory = running.memory()
        memory[...] = kind.type(momentum) * batch + kind.type(1 - momentum) * memory
        running.written()


def instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-05,
) -> Any:  # fmt: skip
    """Batch norm of every sample by itself: μ and σ² over the positions of each channel."""
    shape = _channels(input, "instance_norm", weight, bias, running_mean, running_var)
    array = input._array
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, array.ndim))
    positions = math.prod(array.shape[2:])
    if positions == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size torch.Size({list(array.shape)})"
        )
    result = _run(_batch, input, (weight, bias), axes=axes, eps=eps, shape=shape)
    if running_mean is not None:
        mean = array.mean(axes)
        variance = array.var(axes, ddof=1)
        for running, batch in ((running_mean, mean.mean(0)), (running_var, variance.mean(0))):
            memory = running.memory()
            memory[...] = memory.dtype.type(momentum) * batch + memory.dtype.type(1 - momentum) * memory
            running.written()
    return result


_group = Primitive(
    "group_norm",
    lambda self, weight, bias, *, groups, eps: _group_forward(self, weight, bias, groups, eps),
    lambda xp, g, needs, self, weight, mean, rstd, groups, eps: _group_gradients(xp, g, needs, self, weight, mean, rstd, groups),
    aux={
        "mean": lambda xp, self, groups: _mean_again(xp, _grouped(xp, self, groups), (2,)),
        "rstd": lambda xp, self, groups, eps: _rstd_again(xp, _grouped(xp, self, groups), (2,), eps),
    },
    node="NativeGroupNormBackward0",
)  # fmt: skip


def _grouped(xp: Any, x: Any, groups: int) -> Any:
    return xp.reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))


def _group_forward(self: Any, weight: Any, bias: Any, groups: int, eps: float) -> Any:
    normal, mean, rstd = _statistics(_grouped(np, self, groups), (2,), eps)
    normal = (normal * rstd).reshape(self.shape)
    return _affine(normal, weight, bias, (1, self.shape[1], *(1,) * (self.ndim - 2))), mean, rstd


def _group_gradients(
    xp: Any, g: Any, needs: Any, self: Any, weight: Any, mean: Any, rstd: Any, groups: int
) -> Any:
    shape = (1, self.shape[1], *(1,) * (len(self.shape) - 2))
    normal = (_grouped(xp, self, groups) - mean) * rstd
    gx = gw = gb = None
    if needs[0]:
        scaled = g if weight is None else g * xp.reshape(weight, shape)
        gx = xp.reshape(_input_gradient(xp, _grouped(xp, scaled, groups), normal, rstd, (2,)), self.shape)
    if needs[1]:
        gw = xp.reshape(xp.sum_to(g * xp.reshape(normal, self.shape), shape), (self.shape[1],))
    if needs[2]:
        gb = xp.reshape(xp.sum_to(g, shape), (self.shape[1],))
    return gx, gw, gb


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05) -> Any:
    """(x − μ) / √(σ² + ε) · weight + bias, μ and σ² over each of `num_groups` groups of channels of each sample."""
    check_tensor(input, "group_norm")
    if input._array.ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input._array.ndim}"
        )
    channels = input._array.shape[1]
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input._array.shape)} and num_groups={num_groups}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value._array.shape) != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(value._array.shape)} and input of shape {list(input._array.shape)}"
            )
    return _run(_group, input, (weight, bias), groups=num_groups, eps=eps)


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """x / √(mean(x²) + ε) · weight over the trailing dimensions `normalized_shape`; ε defaults to the type's."""
    _, dims = _trailing(input, normalized_shape, "rms_norm", weight)
    if eps is None:
        eps = float(np.finfo(compute_dtype(from_numpy(input._array.dtype))).eps)
    scaled = input * (input.pow(2).mean(dims, True) + eps).rsqrt()
    return scaled if weight is None else scaled * weight
