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

from clew.core import raw
from clew.core.modes import recordings
from clew.core.primitive import Primitive, watch
from clew.core.promotion import compute_dtype
from clew.core.variable import FLOAT32, wrap
from clew.dtypes import from_numpy, legacy_name
from clew.kernels import pick
from clew.ops import reduce
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor, sizes, tensor_dtype
from clew.ops._builders import convert, edge_of, for_type, recording, several

__all__ = ["rms_norm"]  # `clew.nn.functional` shows the others; under `torch` they have other arguments


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


def _forward(self: Any, weight: Any, bias: Any, *, axes: Any, eps: float, shape: Any, kept: Any) -> Any:
    if kept is None and _last(self, axes, shape, weight) and (kernel := pick("layer_norm", self)):
        return tuple(kernel(self, weight, bias, eps))
    normal, mean, rstd = _statistics(self, axes, eps)
    if (
        kept is not None
    ):  # the 16-bit type that PyTorch keeps μ and 1 / σ in, where the parameters have it, too
        mean, rstd = (v.astype(kept).astype(self.dtype) for v in (mean, rstd))
        normal = self - mean
    normal *= rstd
    return _affine(normal, weight, bias, shape), mean, rstd


def _gradients(
    xp: Any, g: Any, needs: Any, self: Any, weight: Any, mean: Any, rstd: Any, axes: Any, eps: Any, shape: Any
) -> tuple[Any, Any, Any]:
    if (
        xp is raw
        and _last(self, axes, shape, weight)
        and (kernel := pick("layer_norm_back", self, mean, rstd))
    ):
        return tuple(kernel(self, g, mean, rstd, weight))
    normal = (self - mean) * rstd
    gx = gw = gb = None
    if needs[0]:
        gx = _input_gradient(xp, g if weight is None else g * xp.reshape(weight, shape), normal, rstd, axes)
    if needs[1]:
        gw = xp.reshape(xp.sum_to(g * normal, shape), weight.shape)
    if needs[2]:
        gb = xp.reshape(xp.sum_to(g, shape), shape if len(shape) == len(axes) else (math.prod(shape),))
    return gx, gw, gb


def _last(x: Any, axes: tuple[int, ...], shape: Any, weight: Any) -> bool:
    """Whether each line along the last dimension is a group, with parameters (if any) of the line's length and type."""
    return (
        tuple(axes) == (x.ndim - 1,)
        and tuple(shape) == x.shape[-1:]
        and (weight is None or weight.dtype is x.dtype)
    )


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


# ---- groups of channels --------------------------------------------------------------------------------------------------
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


def _group_norms() -> tuple[Primitive, Primitive]:
    """Group norm, and the one that also returns mean and 1 / √(σ² + ε) of every group."""
    plain = Primitive(
        "group_norm",
        lambda self, weight, bias, *, groups, eps: _group_forward(self, weight, bias, groups, eps),
        lambda xp, g, needs, self, weight, mean, rstd, groups, eps: _group_gradients(
            xp, g, needs, self, weight, mean, rstd, groups
        ),
        aux={
            "mean": lambda xp, self, groups: _mean_again(xp, _grouped(xp, self, groups), (2,)),
            "rstd": lambda xp, self, groups, eps: _rstd_again(xp, _grouped(xp, self, groups), (2,), eps),
        },
        node="NativeGroupNormBackward0",
    )
    native = Primitive(
        "native_group_norm",
        _native_group_forward,
        _native_group_gradients,
        outputs=("out", "mean", "rstd"),
        node="NativeGroupNormBackward0",
    )
    return plain, native


def _native_group_forward(self: Any, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    made, mean, rstd = _group_forward(self, weight, bias, groups, eps)
    return made, mean[..., 0], rstd[..., 0]


def _native_group_gradients(
    xp: Any, g: Any, needs: Any, self: Any, weight: Any, mean: Any, rstd: Any, groups: int
) -> Any:
    """With ∂μ/∂x = 1 / n and ∂(1/σ)/∂x = −(x − μ) / (n σ³)."""
    mean, rstd, g1, g2 = (xp.expand_dims(v, 2) for v in (mean, rstd, g[1], g[2]))
    gx, gw, gb = _group_gradients(xp, g[0], needs, self, weight, mean, rstd, groups)
    if needs[0]:
        rows = _grouped(xp, self, groups)
        more = (g1 - g2 * (rows - mean) * rstd**3) / max(rows.shape[2], 1)
        gx = gx + xp.reshape(more, self.shape)
    return gx, gw, gb


_group, _native_group = _group_norms()


# ---- arguments -----------------------------------------------------------------------------------------------------------
def _trailing(
    input: Any, normalized_shape: Any, function: str, weight: Any, bias: Any = None, star: str = "*"
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`normalized_shape` as a tuple, and which axes of the input it stands for; RuntimeError where they differ."""
    check_tensor(input, function)
    if isinstance(normalized_shape, int):
        raise TypeError(
            f"{function}(): argument 'normalized_shape' (position 2) must be tuple of ints, not int"
        )
    size = sizes((normalized_shape,))
    if not size:
        raise RuntimeError(
            f"Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            f"normalized_shape = {list(size)}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value._array.shape) != size:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(value._array.shape)} and normalized_shape = {list(size)}"
            )
    have = input._array.shape
    if len(have) < len(size) or have[len(have) - len(size) :] != size:
        inner = ", ".join(str(n) for n in size)
        raise RuntimeError(
            f"Given normalized_shape=[{inner}], expected input with shape [{star}{inner}], but got input of size{list(have)}"
        )
    return size, tuple(range(len(have) - len(size), len(have)))


def _check_types(kernel: str, input: Any, *others: Any) -> None:
    """NotImplementedError for integers and complex numbers; RuntimeError unless the parameters have the input's type or,
    for a 16-bit input, float32."""
    kind = input._array.dtype
    if kind.kind not in "fV":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(kind)}'")
    given = [t._array.dtype for t in others if t is not None]
    if given and given[0] != kind:
        if any(t != FLOAT32 for t in given):
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        if kind.itemsize != 2:
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    elif given and any(t != kind for t in given):
        wrong = next(t for t in given if t != kind)
        raise RuntimeError(f"expected scalar type {legacy_name(kind)} but found {legacy_name(wrong)}")


def _run(primitive: Primitive, input: Any, others: tuple[Any, ...], **params: Any) -> Any:
    """Run it as it is computed for the input's type."""
    return for_type(primitive, tensor_dtype(input))(input, *others, **params)


def _channels(
    input: Any, weight: Any, bias: Any, means: Any = None, variances: Any = None
) -> tuple[int, ...]:
    """The shape that lets a vector over channels broadcast over the input."""
    size = input._array.shape
    channels = size[1] if len(size) > 1 else 0
    for name, value in (
        ("running_mean", means),
        ("running_var", variances),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None and value._array.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {value._array.size}")
    for name, value in (("running_mean", means), ("running_var", variances)):
        if value is not None and value.requires_grad:
            raise RuntimeError(
                f"The function 'native_batch_norm' is not differentiable with respect to argument '{name}'. This input "
                "cannot have requires_grad True."
            )
    return (1, channels, *(1,) * (len(size) - 2))


def _lines(input: Any, size: Any, weight: Any, bias: Any, eps: Any) -> Any:
    """The short way of `layer_norm` over the last dimension, where a kernel computes it; None: take the other."""
    try:
        x, w, b = input._array, weight._array, bias._array
    except AttributeError:
        return None
    if (
        recordings
        or size.__class__ is not tuple
        or x.shape[-1:] != size
        or w.shape != size
        or b.shape != size
    ):
        return None
    if w.dtype is not x.dtype or b.dtype is not x.dtype or eps.__class__ is not float:
        return None
    kernel = pick("layer_norm", x)
    if kernel is None:
        return None
    value, mean, rstd = kernel(x, w, b, eps)
    edges = edge_of(input), edge_of(weight), edge_of(bias)
    if not recording(edges):
        return wrap(value)
    saved = (x, w, mean, rstd, (x.ndim - 1,), eps, size)
    return several(_layer, value, (input, weight, bias), edges, saved, (watch(input), watch(weight)), 3)


# ---- the functions -------------------------------------------------------------------------------------------------------
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-05
) -> Any:
    """(x − μ) / √(σ² + ε) · weight + bias, μ and σ² over the trailing dimensions `normalized_shape`."""
    made = _lines(input, normalized_shape, weight, bias, eps)
    if made is not None:
        return made
    size, axes = _trailing(input, normalized_shape, "layer_norm", weight, bias, "*, ")
    _check_types("LayerNormKernelImpl", input, weight, bias)
    return _run(_layer, input, (weight, bias), axes=axes, eps=eps, shape=size, kept=None)


def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-05,
) -> Any:  # fmt: skip
    """(x − μ) / √(σ² + ε) · weight + bias per channel (dimension 1).

    In training μ and σ² are the batch's, and the running values move by `momentum` towards them (σ² unbiased); else
    they are the running values. ValueError for a batch with one value per channel in training.
    """
    size = check_tensor(input, "batch_norm")._array.shape
    if training:
        if size and size[0] * math.prod(size[2:]) == 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {input.shape}"
            )
        _both_or_none(running_mean, running_var)
    return normalize_batch(input, weight, bias, running_mean, running_var, training, momentum, eps)


def _both_or_none(running_mean: Any, running_var: Any) -> None:
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")


def normalize_batch(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float
) -> Any:  # fmt: skip
    """Batch norm without the check of the batch's size."""
    shape = _channels(input, weight, bias, running_mean, running_var)
    array = input._array
    if array.ndim < 2:
        return input.clone()
    if not training and (running_mean is None or running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise RuntimeError(f"{missing} must be defined in evaluation mode")
    _check_types("batch_norm", input, weight, bias, running_mean, running_var)
    if training:
        axes = (0, *range(2, array.ndim))
        mixed = any(t is not None and t._array.dtype == FLOAT32 for t in (weight, bias, running_mean))
        kept = array.dtype if array.dtype.itemsize == 2 and not mixed else None
        result = _run(_batch, input, (weight, bias), axes=axes, eps=eps, shape=shape, kept=kept)
        if running_mean is not None and array.size:
            _move_running(array, axes, running_mean, running_var, momentum)
        return result
    work = compute_dtype(from_numpy(array.dtype))
    mean = wrap(running_mean._array.reshape(shape).astype(work))
    rstd = wrap((1 / np.sqrt(running_var._array.astype(work) + work.type(eps))).reshape(shape))
    return _run(_batch_eval, input, (weight, bias, mean, rstd), shape=shape)


def _move_running(array: Any, axes: Any, running_mean: Any, running_var: Any, momentum: float) -> None:
    """running ← (1 − momentum) · running + momentum · batch."""
    work = compute_dtype(from_numpy(array.dtype))
    size = array.size // array.shape[1]
    mean = np.add.reduce(array, axis=axes, dtype=work, keepdims=True) / work.type(size)
    spread = array - mean
    variance = np.add.reduce(spread * spread, axis=axes, dtype=work) / work.type(max(size - 1, 1))
    for running, batch in ((running_mean, mean.reshape(-1)), (running_var, variance)):
        memory = running.memory()
        memory[...] = (work.type(momentum) * batch + work.type(1 - momentum) * memory).astype(memory.dtype)
        running.written()


def instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-05,
) -> Any:  # fmt: skip
    """Batch norm of every sample by itself: μ and σ² over the positions of each channel."""
    size = check_tensor(input, "instance_norm")._array.shape
    if use_input_stats and math.prod(size[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    return normalize_instances(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


def normalize_instances(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, momentum: float,
    eps: float,
) -> Any:  # fmt: skip
    """Instance norm without the check of the number of positions: the N · C channels of one big sample."""
    if use_input_stats:
        _both_or_none(running_mean, running_var)
    elif running_mean is None or running_var is None:
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    size = input._array.shape
    count, channels = size[:2]
    weight, bias, means, variances = (
        None if t is None else t.repeat(count) for t in (weight, bias, running_mean, running_var)
    )
    rows = shapes.reshape(input, (1, count * channels, *size[2:]))
    result = normalize_batch(rows, weight, bias, means, variances, use_input_stats, momentum, eps)
    for running, moved in ((running_mean, means), (running_var, variances)):
        if running is not None and use_input_stats:
            running.copy_(reduce.mean(shapes.reshape(moved, (count, channels)), 0))
    return result.view(size)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05) -> Any:
    """(x − μ) / √(σ² + ε) · weight + bias, μ and σ² over each of `num_groups` groups of channels of each sample."""
    check_tensor(input, "group_norm")
    size = input._array.shape
    if len(size) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(size)}")
    batch = [size[0] * size[1] // num_groups, num_groups, *size[2:]]
    if batch[0] * math.prod(batch[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {batch}")
    check_groups(input, num_groups, weight, bias)
    return _run(_group, input, (weight, bias), groups=num_groups, eps=eps)


def check_groups(input: Any, num_groups: int, weight: Any, bias: Any) -> None:
    """RuntimeError where channels do not make that many groups, or the parameters are not one for each channel."""
    size = input._array.shape
    channels = size[1]
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(size)} and num_groups={num_groups}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value._array.shape) != (channels,):
            shown = (
                value if weight is None else weight
            )  # PyTorch's sentence shows the weight's shape for both
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(shown._array.shape)} and input of shape {list(size)}"
            )
    _check_types("GroupNormKernelImpl", input, weight, bias)


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """x / √(mean(x²) + ε) · weight over the trailing dimensions `normalized_shape`; ε defaults to the type's."""
    _, dims = _trailing(input, normalized_shape, "rms_norm", weight)
    kind = input._array.dtype
    if kind.kind in "iub":
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{legacy_name(kind)}'")
    if eps is None:
        eps = float(np.finfo(compute_dtype(from_numpy(kind))).eps)
    scaled = input * (input.pow(2).mean(dims, True) + eps).rsqrt()
    return convert(scaled if weight is None else scaled * weight, kind)
