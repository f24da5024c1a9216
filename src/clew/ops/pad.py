"""Borders: `pad`, by a constant, by reflection, by the edge's values, or around the corner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.dtypes import cpp_name
from clew.ops._arguments import check_tensor

__all__ = ["channel_shuffle", "constant_pad_nd", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]

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
    kind = input._array.dtype.kind
    if isinstance(value, complex) and kind != "c":
        raise RuntimeError(
            f"value cannot be converted to type {cpp_name(input._array.dtype)} without overflow"
        )
    return _constant(input, pad=pairs, value=value or 0)


def constant_pad_nd(input: Any, pad: Sequence[int], value: Any = 0) -> Any:
    """`nn.functional.pad` with mode="constant". RuntimeError where `pad` does not fit the dimensions."""
    rank = check_tensor(input, "constant_pad_nd")._array.ndim
    pad = _whole_numbers("constant_pad_nd", pad)
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * rank:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(pad)}while the input has {rank}dimensions."
        )
    return constant_pad(input, pad, value)


def _whole_numbers(function: str, pad: Any) -> list[int]:
    """`pad` as a list; TypeError for what is none of whole numbers."""
    rule = f"{function}(): argument 'pad' (position 2) must be tuple of ints"
    if isinstance(pad, (int, float)):
        raise TypeError(f"{rule}, not {type(pad).__name__}")
    for position, n in enumerate(pad):
        if isinstance(n, float):
            raise TypeError(f"{rule}, but found element of type float at pos {position}")
    return [int(n) for n in pad]


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
for _rank in (1, 2, 3):
    _borders["circular", _rank].node_class.name = lambda self: "torch::autograd::CopySlices"
_border_adjoint = Primitive(
    "border_backward",
    _border_back,
    {"grad": lambda xp, g, mode, pad: xp.call(_borders["reflect", 1], g, mode=mode, pad=pad)},
    jvp="linear",
)


def _check_border(mode: str, x: ndarray, pad: Sequence[int]) -> None:
    """RuntimeError where the border is wider than the mode can fill, or cuts too much off."""
    shape, rank = x.shape, len(pad) // 2
    word = {"reflect": "reflection", "replicate": "replication"}.get(mode, "")
    if word and not all(shape[len(shape) - rank - 1 :]):
        raise RuntimeError(
            f"Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    sizes = [n + a + b for n, (a, b) in zip(shape, _pairs(pad, len(shape)), strict=True)]
    if word and x.dtype.kind == "b":
        raise NotImplementedError(f"\"{word}_pad{rank}d\" not implemented for 'Bool'")
    if min(sizes) < 0:
        if not word:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        if rank == 1:
            raise RuntimeError(f"input (W: {shape[-1]}) is too small. Calculated output W: {sizes[-1]}")
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {next(n for n in sizes if n < 0)}: {sizes}"
        )
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
    pad = _whole_numbers("pad", pad)
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
    _check_border(mode, input._array, pad)
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


def _check_image(name: str, input: Any, option: str, factor: Any) -> tuple[int, ...]:
    shape = check_tensor(input, name)._array.shape
    if isinstance(factor, float):
        raise TypeError(f"{name}(): argument '{option}' (position 2) must be int, not float")
    if len(shape) < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {option}, but got {factor}")
    return tuple(shape)


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(…, C·r², H, W) → (…, C, H·r, W·r): every r² channels become a square of pixels (Shi et al., 2016)."""
    shape = _check_image("pixel_shuffle", input, "upscale_factor", upscale_factor)
    if shape[-3] % upscale_factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={shape[-3]} is not divisible by {upscale_factor**2}"
        )
    return _pixel_shuffle(input, factor=upscale_factor)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(…, C, H·r, W·r) → (…, C·r², H, W): the inverse of `pixel_shuffle`."""
    shape = _check_image("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    for dim, word in ((-2, "height"), (-1, "width")):
        if shape[dim] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, but input.size({dim})={shape[dim]} is "
                f"not divisible by {downscale_factor}"
            )
    return _pixel_unshuffle(input, factor=downscale_factor)


def _dealt_array(self: ndarray, *, groups: int) -> ndarray:
    n, c, *size = self.shape
    return self.reshape((n, groups, c // groups, *size)).swapaxes(1, 2).reshape(self.shape)


def _dealing(name: str, node: str) -> Primitive:
    return Primitive(
        name,
        _dealt_array,
        {"self": lambda xp, g, self_shape, groups: xp.call(_dealt, g, groups=self_shape[1] // groups)},
        node=node,
        jvp="linear",
        explain="channels read across their groups; the gradient is read back",
    )


_dealt = _dealing("channel_shuffle", "ChannelShuffleBackward0")
_native_dealt = _dealing("native_channel_shuffle", "NativeChannelShuffleBackward0")


def _check_groups(function: str, input: Any, groups: int) -> None:
    shape = check_tensor(input, function)._array.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    if shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {shape[1]} channels and {groups} groups."
        )


def channel_shuffle(input: Any, groups: int) -> Any:
    """(N, g·k, …) → the channels read across the g groups: channel j·g + i is channel i·k + j (Zhang et al., 2018)."""
    _check_groups("channel_shuffle", input, groups)
    return _dealt(input, groups=groups)


def native_channel_shuffle(input: Any, groups: int) -> Any:
    """`channel_shuffle`."""
    _check_groups("native_channel_shuffle", input, groups)
    return _native_dealt(input, groups=groups)
