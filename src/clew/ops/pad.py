"""Borders: `pad`, by a constant, by reflection, by the edge's values, or around the corner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]

Pairs = tuple[tuple[int, int], ...]  # (before, after) for each dimension; negative: cut off


# ---- constant --------------------------------------------------------------------------------------------------------
def _constant_array(self: ndarray, *, pad: Pairs, value: Any) -> ndarray:
    shape = tuple([n + before + after for n, (before, after) in zip(self.shape, pad, strict=True)])
    made = np.zeros(shape, self.dtype) if value == 0 else np.full(shape, value, self.dtype)
    inside = tuple(
        [slice(max(before, 0), n - max(after, 0)) for n, (before, after) in zip(shape, pad, strict=True)]
    )
    kept = tuple(
        [
            slice(max(-before, 0), n - max(-after, 0))
            for n, (before, after) in zip(self.shape, pad, strict=True)
        ]
    )
    made[inside] = self[kept]
    return made


_constant: Primitive = Primitive(
    "constant_pad_nd",
    _constant_array,
    {"self": lambda xp, g, pad: xp.call(_constant, g, pad=tuple([(-a, -b) for a, b in pad]), value=0)},
    jvp="linear",
    explain="a border of constants, through which no gradient flows",
)


def _pairs(pad: Sequence[int], ndim: int) -> Pairs:
    """PyTorch's list, which starts with the last dimension, as one pair for each dimension."""
    found = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return ((0, 0),) * (ndim - len(found)) + tuple(found)


def constant_pad(input: Any, pad: Sequence[int], value: Any = 0) -> Any:
    """A border of `value`: `pad` is (before, after) for the last dimension, then for the one before it, and so on."""
    shape = input._array.shape
    pairs = _pairs(pad, len(shape))
    for n, (before, after) in zip(shape, pairs, strict=True):
        if n + before + after < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
    return _constant(input, pad=pairs, value=value or 0)


# ---- borders of the input's own values --------------------------------------------------------------------------------
def _source(mode: str, n: int, before: int, after: int) -> ndarray:
    """For each position of a padded dimension of size n the position it is copied from."""
    index = np.arange(-before, n + after)
    if mode == "reflect":
        index = np.abs(index)
        return np.where(index >= n, 2 * (n - 1) - index, index)
    return np.clip(index, 0, n - 1) if mode == "replicate" else index % n


def _border_array(self: ndarray, *, mode: str, pad: Pairs) -> ndarray:
    for dim, (before, after) in enumerate(pad):
        if before or after:
            self = np.take(self, _source(mode, self.shape[dim], before, after), axis=dim)
    return self


def _border_back(grad: ndarray, *, mode: str, pad: Pairs) -> ndarray:
    """The adjoint: every border position adds to where it was copied from."""
    for dim, (before, after) in enumerate(pad):
        if before or after:
            n = grad.shape[dim] - before - after
            lead: Any = (slice(None),) * dim
            source = _source(mode, n, before, after)
            made = np.zeros((*grad.shape[:dim], n, *grad.shape[dim + 1 :]), grad.dtype)
            made[(*lead, slice(max(-before, 0), n - max(-after, 0)))] = grad[
                (*lead, slice(max(before, 0), max(before, 0) + n - max(-before, 0) - max(-after, 0)))
            ]
            for position in (
                *range(max(before, 0)),
                *range(grad.shape[dim] - max(after, 0), grad.shape[dim]),
            ):
                made[(*lead, int(source[position]))] += grad[(*lead, position)]
            grad = made
    return grad


def _border(node: str) -> Primitive:
    return Primitive(
        "border",
        _border_array,
        {"self": lambda xp, g, mode, pad: xp.call(_border_adjoint, g, mode=mode, pad=pad)},
        node=node,
        jvp="linear",
        explain="a border of the input's own values; their gradients add up",
    )


_borders = {
    (mode, rank): _border(f"{word}Pad{rank}DBackward0" if word else "CopySlices")
    for mode, word in (("reflect", "Reflection"), ("replicate", "Replication"), ("circular", ""))
    for rank in (1, 2, 3)
}
_border_adjoint = Primitive(
    "border_backward",
    _border_back,
    {"grad": lambda xp, g, mode, pad: xp.call(_borders["reflect", 1], g, mode=mode, pad=pad)},
    jvp="linear",
)


def _check_border(mode: str, shape: Sequence[int], pad: Sequence[int]) -> None:
    """RuntimeError where the border is wider than the mode can fill."""
    for i in range(0, len(pad), 2):
        n, dim = shape[-1 - i // 2], len(shape) - 1 - i // 2
        if mode == "reflect" and max(pad[i], pad[i + 1]) >= n:
            raise RuntimeError(
                f"Argument #{4 + i}: Padding size should be less than the corresponding input dimension, but got: padding "
                f"({pad[i]}, {pad[i + 1]}) at dimension {dim} of input {list(shape)}"
            )
        if mode == "circular" and max(pad[i], pad[i + 1]) > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """A border around the last dimensions: `pad` is (before, after) for the last, then for the one before it, and so on.

    mode: "constant" (`value`, 0), "reflect" (c b a b c), "replicate" (a a a b c), "circular" (b c a b c); the last three
    take inputs of one or two dimensions more than `pad` names. Negative numbers cut off.
    """
    shape = check_tensor(input, "pad")._array.shape
    pad = [int(n) for n in pad]
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * len(shape):
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {len(shape)}"
        )
    if mode == "constant":
        return constant_pad(input, pad, value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if len(pad) not in (2, 4, 6) or len(shape) - len(pad) // 2 not in (1, 2):
        raise NotImplementedError(f"Padding size {len(pad)} is not supported for {len(shape)}D input tensor.")
    _check_border(mode, shape, pad)
    if mode == "circular" and min(pad) < 0:  # what is cut off does not come around again
        input = constant_pad(input, [min(n, 0) for n in pad])
        pad = [max(n, 0) for n in pad]
    return _borders[mode, len(pad) // 2](input, mode=mode, pad=_pairs(pad, len(shape)))


# ---- channels to pixels and back -----------------------------------------------------------------------------------------
def _moved(name: str, forward: Any, back: Any, node: str, explain: str) -> Primitive:
    return Primitive(name, forward, {"self": back}, node=node, jvp="linear", explain=explain)


def _shuffle_array(self: ndarray, *, factor: int) -> ndarray:
    *lead, c, h, w = self.shape
    parts = self.reshape((*lead, c // factor**2, factor, factor, h, w))
    k = len(lead) + 1
    return parts.transpose((*range(k), k + 2, k, k + 3, k + 1)).reshape(
        (*lead, c // factor**2, h * factor, w * factor)
    )


def _unshuffle_array(self: ndarray, *, factor: int) -> ndarray:
    *lead, c, h, w = self.shape
    parts = self.reshape((*lead, c, h // factor, factor, w // factor, factor))
    k = len(lead) + 1
    return parts.transpose((*range(k), k + 1, k + 3, k, k + 2)).reshape(
        (*lead, c * factor**2, h // factor, w // factor)
    )


_pixel_shuffle = _moved(
    "pixel_shuffle", _shuffle_array, lambda xp, g, factor: xp.call(_pixel_unshuffle, g, factor=factor),
    "PixelShuffleBackward0", "channels laid out as pixels",
)  # fmt: skip
_pixel_unshuffle: Primitive = _moved(
    "pixel_unshuffle", _unshuffle_array, lambda xp, g, factor: xp.call(_pixel_shuffle, g, factor=factor),
    "PixelUnshuffleBackward0", "pixels stacked up as channels",
)  # fmt: skip


def _check_image(name: str, input: Any) -> tuple[int, ...]:
    shape = check_tensor(input, name)._array.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    return tuple(shape)


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(…, C·r², H, W) → (…, C, H·r, W·r): every r² channels become a square of pixels (Shi et al., 2016)."""
    shape = _check_image("pixel_shuffle", input)
    if shape[-3] % upscale_factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={shape[-3]} is not divisible by {upscale_factor**2}"
        )
    return _pixel_shuffle(input, factor=upscale_factor)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(…, C, H·r, W·r) → (…, C·r², H, W): the inverse of `pixel_shuffle`."""
    shape = _check_image("pixel_unshuffle", input)
    for dim, word in ((-2, "height"), (-1, "width")):
        if shape[dim] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, but input.size({dim})={shape[dim]} is "
                f"not divisible by {downscale_factor}"
            )
    return _pixel_unshuffle(input, factor=downscale_factor)


def channel_shuffle(input: Any, groups: int) -> Any:
    """(N, g·k, …) → the channels read across the g groups: channel j·g + i is channel i·k + j (Zhang et al., 2018)."""
    n, c, *size = check_tensor(input, "channel_shuffle")._array.shape
    grouped = shapes.reshape(input, n, groups, c // groups, *size)
    return shapes.reshape(shapes.transpose(grouped, 1, 2), n, c, *size)
