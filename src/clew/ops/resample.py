"""Images read at any points: `grid_sample`, and the grids of affine maps (Jaderberg et al., "Spatial transformer networks",
2015).

The value at a point is a sum over the pixels around it, ∑ₖ wₖ vₖ, where wₖ is a product of one-dimensional weights of the
point's coordinates. It is linear in the image, and a polynomial in the coordinates within a cell; the formulas speak of
both in the vocabulary, so that all higher derivatives follow.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from clew.core import raw
from clew.core.primitive import Primitive
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor, dtype_of, tensor_dtype
from clew.ops._builders import for_type

__all__ = ["affine_grid_generator", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d"]

Sizes = tuple[int, ...]
_LINEAR, _NEAREST, _CUBIC = 0, 1, 2
_ZEROS, _BORDER, _REFLECTION = 0, 1, 2


# ---- from the grid's coordinates to pixels -------------------------------------------------------------------------------
def _pixel(x: ndarray, n: int, align_corners: bool) -> ndarray:
    """Coordinates from −1 to 1 as positions: the outermost pixels' centres, or their outer edges, stand at ±1."""
    return (x + 1) / 2 * (n - 1) if align_corners else ((x + 1) * n - 1) / 2


def _clipped(at: ndarray, n: int) -> tuple[ndarray, ndarray]:
    """Positions brought inside, and by how much they then move with their coordinate. NaN becomes 0."""
    inside = (at > 0) & (at < n - 1)
    return np.fmin(n - 1, np.fmax(at, 0)), inside.astype(at.dtype)


def _reflected(at: ndarray, n: int, align_corners: bool) -> tuple[ndarray, ndarray]:
    """Positions mirrored at the borders until they are inside."""
    low, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
    if span == 0:
        return np.zeros_like(at), np.zeros_like(at)
    away = at - at.dtype.type(low)
    sign = np.where(away < 0, -1, 1)
    away = np.abs(away)
    rest = np.fmod(away, at.dtype.type(span))
    odd = np.floor(away / at.dtype.type(span)) % 2 != 0
    made = np.where(odd, span - rest + low, rest + low).astype(at.dtype)
    made, slope = _clipped(made, n)
    return made, slope * np.where(odd, -sign, sign)


def _brought_in(at: ndarray, n: int, padding: int, align_corners: bool) -> tuple[ndarray, Any]:
    if padding == _BORDER:
        return _clipped(at, n)
    return _reflected(at, n, align_corners) if padding == _REFLECTION else (at, 1.0)


class _Axis(NamedTuple):
    """One dimension of all the points: their place between two pixels, how that moves with the coordinate, and for each
    neighbouring pixel its index and whether it exists."""

    part: ndarray
    slope: Any
    taps: tuple[tuple[ndarray, ndarray], ...]


def _axis(x: ndarray, n: int, mode: int, padding: int, align_corners: bool) -> _Axis:
    at = _pixel(x, n, align_corners)
    slope: Any = x.dtype.type((n - 1) / 2 if align_corners else n / 2)
    if mode != _CUBIC:
        at, inner = _brought_in(at, n, padding, align_corners)
        slope = slope * inner
    low = np.rint(at) if mode == _NEAREST else np.floor(at)
    places = []
    for k in {_LINEAR: (0, 1), _NEAREST: (0,), _CUBIC: (-1, 0, 1, 2)}[mode]:
        place = low + k
        if mode == _CUBIC:
            place, _ = _brought_in(place, n, padding, align_corners)
        exists = (place >= 0) & (place < n)
        places.append((np.where(exists, place, 0).astype(np.int64), exists))
    return _Axis(at - low, slope, tuple(places))


def _axes(grid: Any, size: Sizes, mode: int, padding: int, align_corners: bool) -> list[_Axis]:
    """Every dimension of the image, first to last; the grid's last coordinate is the image's first dimension."""
    values = getattr(grid, "_array", grid)
    flat = values.reshape((values.shape[0], math.prod(values.shape[1:-1]), values.shape[-1]))
    return [_axis(flat[..., len(size) - 1 - d], n, mode, padding, align_corners) for d, n in enumerate(size)]


# ---- weights ---------------------------------------------------------------------------------------------------------------
def _weights(t: Any, mode: int) -> tuple[Any, ...]:
    """How much of each neighbour a point takes, by its place t between the middle two."""
    if mode == _NEAREST:
        return (1.0,)
    if mode == _LINEAR:
        return 1 - t, t
    a, s = -0.75, 1 - t  # Keys' cubic convolution
    return (
        ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * s - (a + 3)) * s * s + 1,
        ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a,
    )


def _slopes(t: Any, mode: int) -> tuple[Any, ...]:
    """The derivatives of `_weights`."""
    if mode == _NEAREST:
        return (0.0,)
    if mode == _LINEAR:
        return -1.0, 1.0
    a, s = -0.75, 1 - t
    return (
        (3 * a * (t + 1) - 10 * a) * (t + 1) + 8 * a,
        (3 * (a + 2) * t - 2 * (a + 3)) * t,
        -(3 * (a + 2) * s - 2 * (a + 3)) * s,
        -((3 * a * (s + 1) - 10 * a) * (s + 1) + 8 * a),
    )


def _corners(axes: list[_Axis], size: Sizes) -> Iterator[tuple[tuple[int, ...], ndarray, ndarray]]:
    """Every pixel around the points: its number in each dimension, its place in the flattened image, whether it exists."""
    for corner in product(*[range(len(axis.taps)) for axis in axes]):
        index: Any = 0
        exists: Any = True
        for k, axis, n in zip(corner, axes, size, strict=True):
            index = index * n + axis.taps[k][0]
            exists = exists & axis.taps[k][1]
        yield corner, index, exists


# ---- the pixels themselves -------------------------------------------------------------------------------------------------
def _read_array(self: ndarray, *, index: ndarray, exists: ndarray) -> ndarray:
    """(N, C, *size) at places of the flattened image, (N, P), as (N, C, P); 0 where there is no pixel."""
    rows = _pixels(self).take(_rows(index, self.shape), 0)
    rows *= exists.reshape(-1, 1)
    return rows.reshape((*index.shape, self.shape[1])).transpose(0, 2, 1)


def _pixels(x: ndarray) -> ndarray:
    """(N, C, *size) as one row for each pixel, with all its channels: what is read at a point lies side by side."""
    n, c = x.shape[:2]
    count = math.prod(x.shape[2:])
    return x.reshape((n, c, count)).transpose(0, 2, 1).reshape((n * count, c))


def _rows(index: ndarray, shape: Sizes) -> ndarray:
    """Which rows of `_pixels` the places of each image, (N, P), are."""
    return (index + np.arange(0, shape[0] * math.prod(shape[2:]), math.prod(shape[2:]))[:, None]).reshape(-1)


def _put_array(grad: ndarray, *, index: ndarray, exists: ndarray, size: Sizes) -> ndarray:
    """The adjoint: values at the same place add up."""
    n, c, _ = grad.shape
    count = math.prod(size)
    places = (np.arange(n * c).reshape(n, c, 1) * count + index[:, None]).ravel()
    values = (grad * exists[:, None]).astype(np.float64).ravel()
    return np.bincount(places, values, n * c * count).astype(grad.dtype).reshape((n, c, *size))


_read = Primitive(
    "grid_read",
    _read_array,
    {"self": lambda xp, g, self_shape, index, exists: xp.call(
        _put, g, index=index, exists=exists, size=self_shape[2:]
    )},
    jvp="linear",
    explain="pixels at given places",
)  # fmt: skip
_put: Primitive = Primitive(
    "grid_put",
    _put_array,
    {"grad": lambda xp, g, index, exists: xp.call(_read, g, index=index, exists=exists)},
    jvp="linear",
    explain="values added up at given places",
)


# ---- sampling --------------------------------------------------------------------------------------------------------------
def _sample_arrays(input: ndarray, grid: ndarray, *, mode: int, padding: int, align_corners: bool) -> ndarray:
    size = input.shape[2:]
    axes = _axes(grid, size, mode, padding, align_corners)
    weights = [_weights(axis.part, mode) for axis in axes]
    points = (input.shape[0], math.prod(grid.shape[1:-1]))
    pixels = _pixels(input)
    made = np.zeros((math.prod(points), input.shape[1]), input.dtype)
    for corner, index, exists in _corners(axes, size):
        part = pixels.take(_rows(index, input.shape), 0)
        part *= (_product(weights, corner) * exists).reshape(-1, 1)
        made += part
    made = np.ascontiguousarray(made.reshape((*points, input.shape[1])).transpose(0, 2, 1))
    return made.reshape((*input.shape[:2], *grid.shape[1:-1]))


def _sample_gradients(
    xp: Any, g: Any, needs: Any, input: Any, grid: Any, mode: int, padding: int, align_corners: bool
) -> tuple[Any, Any]:
    """∂/∂v: the gradient times the weights, put where the pixels are; ∂/∂t: the gradient times the weights' slopes."""
    if dtype_of(grid).itemsize == 2:
        g, input, grid = (xp.astype(v, np.float32) for v in (g, input, grid))
    shape, size = input.shape, input.shape[2:]
    points = (shape[0], math.prod(grid.shape[1:-1]))
    axes = _axes(grid, size, mode, padding, align_corners)
    g = xp.reshape(g, (*shape[:2], points[1]))
    parts = [_part(xp, grid, axis, len(size) - 1 - d, points) for d, axis in enumerate(axes)]
    weights = [_weights(part, mode) for part in parts]
    slopes = [_slopes(part, mode) for part in parts]
    gx: Any = None
    moved: list[Any] = [xp.zeros(points, dtype_of(g)) for _ in size]
    for corner, index, exists in _corners(axes, size):
        if needs[0]:
            weight = _product(weights, corner)
            weighted = g * (weight if isinstance(weight, float) else xp.expand_dims(weight, 1))
            part = xp.call(_put, weighted, index=index, exists=exists, size=size)
            gx = part if gx is None else gx + part
        if needs[1] and mode != _NEAREST:
            along = xp.sum(g * xp.call(_read, input, index=index, exists=exists), 1)
            for d in range(len(size)):
                rule = [slopes[e] if e == d else weights[e] for e in range(len(size))]
                moved[d] = moved[d] + along * _product(rule, corner)
    gg = None
    if needs[1]:
        steps = [
            m * xp.constant(np.broadcast_to(axis.slope, points)) for m, axis in zip(moved, axes, strict=True)
        ]
        gg = xp.reshape(xp.stack(steps[::-1], -1), grid.shape)
    return gx, gg


def _product(factors: list[Any], corner: tuple[int, ...]) -> Any:
    made: Any = 1.0
    for values, k in zip(factors, corner, strict=True):
        made = values[k] if isinstance(made, float) and made == 1.0 else made * values[k]
    return made


def _part(xp: Any, grid: Any, axis: _Axis, coordinate: int, points: Sizes) -> Any:
    """The place between two pixels; on tensors it moves with the grid."""
    if xp is raw:
        return axis.part
    values = grid._array
    here = xp.reshape(grid - xp.constant(values), (*points, values.shape[-1]))
    picked = np.zeros(values.shape[-1], values.dtype)
    picked[coordinate] = 1
    change = xp.sum(here * xp.constant(picked), -1)
    return change * xp.constant(np.broadcast_to(axis.slope, points)) + xp.constant(axis.part)


_samplers = {
    rank: Primitive(
        f"grid_sampler_{rank}d",
        _sample_arrays,
        _sample_gradients,
        node=f"GridSampler{rank}DBackward0",
        explain="pixels read between the lines: a weighted sum of those around each point",
    )
    for rank in (2, 3)
}


def _check_grid(input: Any, grid: Any, mode: int) -> None:
    """RuntimeError where image and grid do not belong together; NotImplementedError for types without a kernel."""
    x, y = list(input._array.shape), list(grid._array.shape)
    rank = len(x) - 2
    if len(x) != len(y):
        raise RuntimeError(
            f"grid_sampler(): expected {len(x)}D input and grid with same number of dimensions, but got input with sizes {x} "
            f"and grid with sizes {y}"
        )
    if x[0] != y[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, but got input with sizes {x} and grid with "
            f"sizes {y}"
        )
    if y[-1] != rank:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {rank} in last dimension, but got grid with sizes {y}"
        )
    if not all(x[2:]):
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {x} with dimension "
            f"{x.index(0, 2)} being empty"
        )
    if rank not in (2, 3):
        raise RuntimeError(
            f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes {x} "
            f"and grid with sizes {y}"
        )
    if rank == 3 and mode == _CUBIC:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    kinds = input._array.dtype, grid._array.dtype
    if kinds[0].kind not in "fV":
        kernel = "grid_sampler_2d_cpu_kernel_impl" if rank == 2 else "grid_sampler3d_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(kinds[0])}'")
    if kinds[0] != kinds[1]:
        raise RuntimeError(f"expected scalar type {legacy_name(kinds[0])} but found {legacy_name(kinds[1])}")


def grid_sampler(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`nn.functional.grid_sample` with numbers for the modes: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border, 2
    reflection."""
    check_tensor(input, "grid_sampler")
    check_tensor(grid, "grid_sampler", "grid", 2)
    _check_grid(input, grid, interpolation_mode)
    primitive = for_type(_samplers[input._array.ndim - 2], tensor_dtype(input))
    return primitive(
        input, grid, mode=interpolation_mode, padding=padding_mode, align_corners=bool(align_corners)
    )


grid_sampler_2d = grid_sampler_3d = grid_sampler
_MODES = {"bilinear": _LINEAR, "nearest": _NEAREST, "bicubic": _CUBIC}
_PADDINGS = {"zeros": _ZEROS, "border": _BORDER, "reflection": _REFLECTION}
_CORNERS_NOTE = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
)


def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """The image (N, C, H, W) read at the points of the grid (N, H', W', 2), whose coordinates (x, y) go from −1 to 1;
    also (N, C, D, H, W) at (N, D', H', W', 3).

    mode: "bilinear" (in three dimensions trilinear), "nearest", "bicubic". padding_mode, of points outside: "zeros",
    "border" (the nearest pixel), "reflection". align_corners: ±1 are the outermost pixels' centres, not their edges.
    """
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(_CORNERS_NOTE, stacklevel=2)
    return grid_sampler(input, grid, _MODES[mode], _PADDINGS[padding_mode], bool(align_corners))


# ---- affine maps -----------------------------------------------------------------------------------------------------------
def _affine_points(theta: ndarray, *, base: ndarray, size: Sizes) -> ndarray:
    points = np.matmul(base.astype(theta.dtype), theta.swapaxes(1, 2))
    return points.reshape((len(theta), *size, theta.shape[1]))


def _affine_back(xp: Any, g: Any, base: ndarray) -> Any:
    rows = xp.reshape(g, (g.shape[0], len(base), g.shape[-1]))
    return xp.matmul(xp.swapaxes(rows, 1, 2), xp.constant(base.astype(dtype_of(g))))


_affine = Primitive(
    "affine_grid_generator",
    _affine_points,
    {"theta": _affine_back},
    jvp="linear",
    explain="every point of a grid mapped by a matrix",
)


def _line(n: int, align_corners: bool) -> ndarray:
    """n points from −1 to 1, or the centres of n cells between them."""
    if n <= 1:
        return np.zeros(n)
    points = np.linspace(-1.0, 1.0, n)
    return points if align_corners else points * ((n - 1) / n)


def affine_grid_generator(theta: Any, size: Any, align_corners: bool) -> Any:
    """`nn.functional.affine_grid` without its checks."""
    spatial = tuple(size[2:])
    lines = np.meshgrid(*[_line(n, align_corners) for n in spatial], indexing="ij")
    base = np.stack([*lines[::-1], np.ones(spatial)], -1).reshape(-1, len(spatial) + 1)
    have = check_tensor(theta, "affine_grid_generator")._array.shape
    if have[0] != size[0]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{size[0]}, {len(spatial) + 1}] but got: "
            f"[{have[0]}, {len(spatial) + 1}]."
        )
    return for_type(_affine, tensor_dtype(theta))(theta, base=base, size=spatial)


def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Any:
    """The points θ (x, y, 1)ᵀ of an image of `size`, (N, C, H, W) or (N, C, D, H, W), for `grid_sample`.

    theta: (N, 2, 3) or (N, 3, 4). ValueError where θ and size do not belong together.
    """
    if align_corners is None:
        warnings.warn(_CORNERS_NOTE, stacklevel=2)
    if theta._array.dtype.kind not in "fV":
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    rank = len(size) - 2
    if rank not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{size}."
        )
    if theta._array.ndim != 3 or theta._array.shape[1:] != (rank, rank + 1):
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size {size}. Got {theta.shape}."
        )
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This is not "
            "an intended use case of affine_grid. See the documentation of affine_grid for details.",
            stacklevel=2,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, bool(align_corners))
