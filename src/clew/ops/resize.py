"""Images in another size: `interpolate` and adaptive average pooling.

Both are linear and work on each dimension by itself: a dimension of size n becomes one of size m by an m × n matrix of
weights. The gradient goes back through the transposed matrices.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.ops import reduce
from clew.ops._arguments import check_tensor
from clew.ops.linalg import widely
from clew.ops.pool import adaptive_size, bins

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


# ---- interpolation -------------------------------------------------------------------------------------------------------
_NODES = {
    "nearest": "UpsampleNearest{}DBackward0", "nearest-exact": "UpsampleNearestExact{}DBackward0",
    "linear": "UpsampleLinear{}DBackward0", "bilinear": "UpsampleBilinear{}DBackward0",
    "trilinear": "UpsampleTrilinear{}DBackward0", "bicubic": "UpsampleBicubic{}DBackward0",
}  # fmt: skip
_upsample = {
    (mode, rank): _resampling(node.format(rank)) for mode, node in _NODES.items() for rank in (1, 2, 3)
}


def _positions(n: int, out: int, scale: float | None, align_corners: bool) -> ndarray:
    """Where in the input each output point lies."""
    i = np.arange(out)
    if align_corners:
        return i * ((n - 1) / (out - 1) if out > 1 else 0.0)
    return (i + 0.5) * (1 / scale if scale else n / out) - 0.5


def _weights(n: int, out: int, mode: str, scale: float | None, align_corners: bool) -> ndarray:
    """The matrix that brings a dimension of size n to size `out`."""
    made = np.zeros((out, n))
    rows = np.arange(out)
    if mode.startswith("nearest"):
        offset = 0.5 if mode == "nearest-exact" else 0.0
        step = 1 / scale if scale else n / out
        made[rows, np.minimum(np.floor((rows + offset) * step).astype(int), n - 1)] = 1
        return made
    at = _positions(n, out, scale, align_corners)
    if mode != "bicubic":
        at = np.maximum(at, 0)
        low = np.minimum(np.floor(at).astype(int), n - 1)
        part = np.clip(at - low, 0, 1)
        np.add.at(made, (rows, low), 1 - part)
        np.add.at(made, (rows, np.minimum(low + 1, n - 1)), part)
        return made
    low = np.floor(at).astype(int)
    for k in range(-1, 3):
        np.add.at(made, (rows, np.clip(low + k, 0, n - 1)), _cubic(np.abs(at - low - k)))
    return made


def _cubic(x: ndarray) -> ndarray:
    """Keys' cubic convolution kernel with a = -3/4 (Keys, "Cubic convolution interpolation …", 1981)."""
    a = -0.75
    return np.where(x <= 1, ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * a * x - 4 * a)


def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """(N, C, *size) brought to another size, given itself or by a factor.

    mode: "nearest", "nearest-exact", "linear" / "bilinear" / "trilinear" (by the number of dimensions), "bicubic" or
    "area" (means). align_corners: the corner points, not the outer edges of the corner pixels, fall on each other.
    """
    shape = check_tensor(input, "interpolate")._array.shape
    rank = len(shape) - 2
    if align_corners is not None and mode in ("nearest", "area", "nearest-exact"):
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    out, scales = _output(shape, rank, size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[rank - 1](input, out)
    need = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}.get(mode, rank)
    if mode not in _NODES or rank not in (1, 2, 3) or (mode == "bicubic" and rank != 2):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {len(shape)}D) for the modes: nearest | linear | bilinear | "
            f"bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if need != rank:
        raise NotImplementedError(f"Got {rank + 2}D input, but {mode} mode needs {need + 2}D input")
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not supported")
    matrices = tuple(
        [_weights(n, o, mode, s, bool(align_corners)) for n, o, s in zip(shape[2:], out, scales, strict=True)]
    )
    return _upsample[mode, rank](input, matrices=matrices)


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
