"""Images in another size: `interpolate` and adaptive average pooling.

Both are linear and work on each dimension by itself: a dimension of size n becomes one of size m by an m × n matrix of
weights. The gradient goes back through the transposed matrices.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import legacy_name
from clew.ops import reduce
from clew.ops._arguments import check_tensor
from clew.ops.indexed_pool import adaptive_size, bins
from clew.ops.linalg import widely

__all__ = ["adaptive_avg_pool1d"]

Matrices = tuple[ndarray | None, ...]  # one for each of the last dimensions; None leaves it as it is


def _apply(self: ndarray, *, matrices: Matrices) -> ndarray:
    """Every one of the last dimensions multiplied by its matrix."""
    rank = len(matrices)
    for i, matrix in enumerate(matrices):
        if matrix is not None:
            axis = i - rank
            matrix = matrix.astype(self.dtype, copy=False)
            if axis == -1:
                self = np.matmul(self, matrix.T)
            else:
                moved = self.reshape((*self.shape[: axis + 1 or None], math.prod(self.shape[axis + 1 :])))
                self = np.matmul(matrix, moved).reshape(
                    (*self.shape[:axis], len(matrix), *self.shape[axis + 1 :])
                )
    return self


def _resampling(node: str) -> Primitive:
    return Primitive(
        "resample",
        widely(_apply),
        {
            "self": lambda xp, g, matrices: xp.call(
                _back, g, matrices=tuple([None if m is None else m.T for m in matrices])
            )
        },
        args=("self",),
        params=("matrices",),
        node=node,
        jvp="linear",
        explain="each dimension times a matrix of weights; the gradient times its transpose",
    )


_back = _resampling("ResampleBackward0")


# ---- adaptive average pooling ----------------------------------------------------------------------------------------
_adaptive = {
    rank: _resampling("SqueezeBackward1" if rank == 1 else f"AdaptiveAvgPool{rank}DBackward0")
    for rank in (1, 2, 3)
}


@lru_cache(maxsize=16)
def _averages(n: int, out: int) -> ndarray | None:
    """The matrix of means over the windows of adaptive pooling."""
    if n == out:
        return None
    begin, end = bins(n, out)
    place = np.arange(n)
    inside = (place >= begin[:, None]) & (place < end[:, None])
    return inside / (end - begin)[:, None]


def _adaptive_avg_pool(rank: int) -> Callable[..., Any]:
    name = f"adaptive_avg_pool{rank}d"

    def pool(input: Any, output_size: Any) -> Any:
        out = adaptive_size(name, input, rank, output_size)
        if rank > 1 and all(n == 1 for n in out):
            return reduce.mean(input, tuple(range(-rank, 0)), True)
        return _adaptive[rank](input, matrices=tuple(map(_averages, input._array.shape[-rank:], out)))

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"The mean of windows that share out the last {rank} dimension(s) into `output_size`."
    return pool


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool, (1, 2, 3))


# ---- where the points lie, and how much of each input they take ----------------------------------------------------------
def _steps(n: int, out: int, scale: float | None, align_corners: bool, kind: Any) -> Any:
    """How far apart the output points lie in the input."""
    if align_corners:
        return kind.type(n - 1) / kind.type(out - 1) if out > 1 else kind.type(0)
    return kind.type(1 / scale) if scale else kind.type(n) / kind.type(out)


def _nearest(n: int, out: int, scale: float | None, exact: bool) -> ndarray:
    """Which input each output point is a copy of; reckoned in float32, as PyTorch does for every type."""
    if n == out:
        return np.arange(out)
    if out == 2 * n:
        return np.arange(out) >> 1
    kind = np.dtype(np.float32)
    at = (np.arange(out).astype(kind) + kind.type(0.5 if exact else 0.0)) * _steps(n, out, scale, False, kind)
    return np.minimum(np.floor(at).astype(np.int64), n - 1)


@lru_cache(maxsize=16)
def _weights(n: int, out: int, mode: str, scale: float | None, align_corners: bool, kind: Any) -> ndarray:
    """The matrix that brings a dimension of size n to size `out`."""
    made = np.zeros((out, n), kind)
    rows = np.arange(out)
    if mode.startswith("nearest"):
        made[rows, _nearest(n, out, scale, mode == "nearest-exact")] = 1
        return made
    if mode != "bicubic" and n == out:
        made[rows, rows] = 1
        return made
    step = _steps(n, out, scale, align_corners, kind)
    at = (
        rows.astype(kind) * step
        if align_corners
        else (rows.astype(kind) + kind.type(0.5)) * step - kind.type(0.5)
    )
    if mode != "bicubic":
        at = np.maximum(at, 0)
        low = np.minimum(np.floor(at).astype(np.int64), n - 1)
        part = np.clip(at - low, 0, 1)
        made[rows, low] = 1 - part
        made[rows, np.minimum(low + 1, n - 1)] += part
        return made
    low = np.floor(at).astype(np.int64)
    for k in range(-1, 3):
        made[rows, np.clip(low + k, 0, n - 1)] += _cubic(np.abs(at - low - k), -0.75)
    return made


def _cubic(x: ndarray, a: float) -> ndarray:
    """Keys' cubic convolution kernel (Keys, "Cubic convolution interpolation …", 1981)."""
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _lanczos(x: ndarray) -> ndarray:
    """sinc(x) · sinc(x / 3) (Duchon, "Lanczos filtering in one and two dimensions", 1979)."""
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: dict[str, tuple[float, Callable[[ndarray], ndarray]]] = {  # half its width, and the filter itself
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, lambda x: _cubic(x, -0.5)),
    "lanczos": (3, _lanczos),
}


@lru_cache(maxsize=16)
def _smooth_weights(
    n: int, out: int, mode: str, scale: float | None, align_corners: bool, kind: Any
) -> ndarray:
    """The same with the filter stretched over all the inputs between two output points, so that nothing aliases."""
    half, weigh = _FILTERS[mode]
    step = _steps(n, out, scale, align_corners, kind)
    stretch = max(step, kind.type(1))
    centre = (np.arange(out).astype(kind) + kind.type(0.5)) * step
    reach = kind.type(half) * stretch
    first = np.maximum((centre - reach + kind.type(0.5)).astype(np.int64), 0)
    last = np.minimum((centre + reach + kind.type(0.5)).astype(np.int64), n)
    place = np.arange(n)
    made = weigh(np.abs((place + kind.type(0.5) - centre[:, None]) / stretch))
    made = np.where((place >= first[:, None]) & (place < last[:, None]), made, 0)
    return (made / made.sum(1, keepdims=True)).astype(kind)


# ---- interpolation -------------------------------------------------------------------------------------------------------
_NODES = {
    "nearest": "UpsampleNearest{}DBackward0", "nearest-exact": "UpsampleNearestExact{}DBackward0",
    "linear": "UpsampleLinear{}DBackward0", "bilinear": "UpsampleBilinear{}DBackward0",
    "trilinear": "UpsampleTrilinear{}DBackward0", "bicubic": "UpsampleBicubic{}DBackward0",
}  # fmt: skip
_upsample = {
    (mode, rank): _resampling(node.format(rank)) for mode, node in _NODES.items() for rank in (1, 2, 3)
}
_smooth = {mode: _resampling(f"Upsample{mode.title()}2DAaBackward0") for mode in _FILTERS}
_RANKS = {"linear": 1, "bilinear": 2, "trilinear": 3}
_GRIDS = ("nearest", "nearest-exact", "area")  # no corners to align


def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """(N, C, *size) brought to another size, given itself or by a factor.

    mode: "nearest", "nearest-exact", "linear" / "bilinear" / "trilinear" (by the number of dimensions), "bicubic",
    "lanczos" (only with `antialias`) or "area" (means). align_corners: the corner points, not the outer edges of the
    corner pixels, fall on each other. antialias: where the image shrinks, the filter is stretched.
    """
    shape = check_tensor(input, "interpolate")._array.shape
    rank = len(shape) - 2
    if align_corners is not None and mode in _GRIDS:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    recompute = bool(recompute_scale_factor) or mode == "area"
    out, scales = _output(shape, rank, size, scale_factor, recompute)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if antialias and not (mode in _FILTERS and rank == 2):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode == "area" and rank in (1, 2, 3):
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[rank - 1](input, out)
    _check_mode(mode, rank, align_corners, antialias)
    _check_image(input._array, out, mode, antialias)
    return _resampled(input, out, scales, mode, bool(align_corners), antialias)


def _check_mode(mode: str, rank: int, align_corners: bool | None, antialias: bool) -> None:
    """NotImplementedError for modes that the number of dimensions does not have; ValueErrors of Lanczos."""
    if mode == "lanczos" and rank == 2:
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
        return
    if mode in _RANKS and rank in (1, 2, 3) and _RANKS[mode] != rank:
        raise NotImplementedError(f"Got {rank + 2}D input, but {mode} mode needs {_RANKS[mode] + 2}D input")
    if mode not in _NODES or rank not in (1, 2, 3) or (mode == "bicubic" and rank != 2):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {rank + 2}D) for the modes: nearest | linear | "
            f"bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )


def _check_image(x: ndarray, out: list[int], mode: str, antialias: bool) -> None:
    """RuntimeError for empty images, NotImplementedError for types without a kernel."""
    size = x.shape[2:]
    if min(*size, *out) < 1:
        have, made = (", ".join(f"{axis}: {n}" for axis, n in zip("DHW"[-len(out) :], numbers, strict=True)) for numbers in (size, out))  # fmt: skip
        word = " and" if len(out) == 1 else ""
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({have}){word} output ({made})"
        )
    if not x.shape[1]:
        raise RuntimeError(
            f"Non-empty {x.ndim}D data tensor expected but got a tensor with sizes {list(x.shape)}"
        )
    bytes_too = len(out) == 2 or mode.startswith("nearest")
    if x.dtype.kind in "fV" or (bytes_too and x.dtype == np.uint8):
        return
    kernel = "compute_indices_weights_" + ("nearest" if mode.startswith("nearest") else "cubic" if mode == "bicubic" else "linear")  # fmt: skip
    if antialias:
        kernel = "compute_index_ranges_weights"
    elif len(out) == 2 and mode != "bicubic":
        kernel = f"upsample_{mode.removesuffix('-exact')}2d_channels_last"
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(x.dtype)}'")


def _resampled(
    input: Any, out: list[int], scales: list[Any], mode: str, align_corners: bool, antialias: bool
) -> Any:
    """The image times one matrix for each dimension; bytes are rounded."""
    dtype = input._array.dtype
    kind = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    weigh = _smooth_weights if antialias else _weights
    sizes = zip(input._array.shape[2:], out, scales, strict=True)
    matrices = tuple([weigh(n, o, mode, s, align_corners, kind) for n, o, s in sizes])
    primitive = _smooth[mode] if antialias else _upsample[mode, len(out)]
    if dtype.kind in "fV":
        return primitive(input, matrices=matrices)
    made = _apply(input._array.astype(np.float64), matrices=matrices)
    return wrap(np.clip(np.floor(made + 0.5), 0, 255).astype(np.uint8))


def _output(
    shape: tuple[int, ...], rank: int, size: Any, scale_factor: Any, recompute: bool
) -> tuple[list[int], list[Any]]:
    """The output size, and the factors where they were given (they, not the rounded sizes, place the points)."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple)):
            if len(size) != rank:
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got input with spatial "
                    f"dimensions of {list(shape[2:])} and output size of {size}. Please provide input tensor in "
                    "(N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
                )
            if not all(isinstance(n, (int, np.integer, Variable)) for n in size):
                raise TypeError(
                    "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size "
                    f"with types {[type(n) for n in size]}"
                )
            return [operator.index(n) for n in size], [None] * rank
        return [operator.index(size)] * rank, [None] * rank
    if isinstance(scale_factor, (list, tuple)):
        if len(scale_factor) != rank:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {list(shape[2:])} and scale_factor of shape {scale_factor}. Please provide input tensor in "
                "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
            )
        factors = [float(f) for f in scale_factor]
    else:
        factors = [float(scale_factor)] * rank
    out = [math.floor(n * f) for n, f in zip(shape[2:], factors, strict=True)]
    return out, [None] * rank if recompute else factors


# ---- the older names -----------------------------------------------------------------------------------------------------
def _deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3
    )


def upsample(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:
    """`interpolate`, under its older name."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="nearest"."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="bilinear" and align_corners=True."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
