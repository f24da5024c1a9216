"""`unfold` and `fold`: windows copied out as columns, and columns added up where their windows overlap.

The two are each other's adjoint, and so each other's derivative.
"""

from __future__ import annotations

import math
from typing import Any

from numpy import ndarray

from clew.core.primitive import Primitive
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor
from clew.ops._windows import Sizes, folded, unfolded, windows_out

__all__: list[str] = []  # `clew.nn.functional` shows them


def _columns_array(self: ndarray, **window: Sizes) -> ndarray:
    *batch, c, _, _ = self.shape
    made = unfolded(self if batch else self[None], **window)
    return made.reshape((*batch, c * made.shape[2], made.shape[3]))


def _fold_array(self: ndarray, *, size: Sizes, **window: Sizes) -> ndarray:
    *batch, ck, count = self.shape
    places = math.prod(window["kernel"])
    made = folded(self.reshape((*(batch or (1,)), ck // places, places, count)), size, **window)
    return made if batch else made[0]


_WINDOW = ("kernel", "stride", "padding", "dilation")
_im2col = Primitive(
    "im2col",
    _columns_array,
    {"self": lambda xp, g, self_shape, kernel, stride, padding, dilation: xp.call(
        _col2im, g, size=self_shape[-2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )},
    args=("self",),
    params=_WINDOW,
    node="Im2ColBackward0",
    jvp="linear",
    explain="windows side by side; the gradients of those that overlap add up",
)  # fmt: skip
_col2im: Primitive = Primitive(
    "col2im",
    _fold_array,
    {"self": lambda xp, g, kernel, stride, padding, dilation: xp.call(
        _im2col, g, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )},
    args=("self",),
    params=("size", *_WINDOW),
    node="Col2ImBackward0",
    jvp="linear",
    explain="windows added up where they overlap",
)  # fmt: skip


def _pair(value: Any, name: str) -> Sizes:
    found = (value,) * 2 if isinstance(value, int) else tuple([int(n) for n in value])
    if len(found) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(found)}")
    return found


def _window(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Sizes]:
    """The four pairs of numbers. RuntimeError for other counts."""
    given = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    return {name.removesuffix("_size"): _pair(value, name) for name, value in given.items()}


def _check_window(window: dict[str, Sizes]) -> None:
    """RuntimeError where a number is not positive (padding: negative)."""
    for name in ("kernel", "dilation", "padding", "stride"):
        least, words = (0, "padding should be non-negative") if name == "padding" else (1, f"{name} should be greater than zero")  # fmt: skip
        if min(window[name]) < least:
            words = words.replace("kernel should", "kernel size should")
            short = name.removesuffix("ding")
            height, width = window[name]
            raise RuntimeError(f"{words}, but got {short}_height: {height} {short}_width: {width}")


def _check_type(kernel: str, input: Any) -> None:
    if input._array.dtype.kind in "iu":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(input._array.dtype)}'")


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """(N, C, H, W) → (N, C·k, L): the L windows of k numbers each as columns. RuntimeError where none fits."""
    shape = check_tensor(input, "unfold")._array.shape
    if len(shape) < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got 2)"
        )
    window = _window(kernel_size, dilation, padding, stride)
    _check_window(window)
    if len(shape) > 4 or not all(shape[len(shape) - 3 :]):
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but "
            f"got: {list(shape)}"
        )
    out = windows_out(shape[-2:], **window)
    if min(out) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(shape[-2:])}, kernel_size={window['kernel']}, dilation={window['dilation']}, "
            f"padding={window['padding']}, calculated shape of the array of sliding blocks as {out}, but its components must "
            "be at least one."
        )
    _check_type("im2col_out_cpu", input)
    return _im2col(input, **window)


def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """(N, C·k, L) → (N, C, *output_size): the adjoint of `unfold`, windows added up where they overlap."""
    shape = check_tensor(input, "fold")._array.shape
    size = _pair(output_size, "output_size")
    window = _window(kernel_size, dilation, padding, stride)
    _check_window(window)
    if len(shape) not in (2, 3) or not all(shape[len(shape) - 2 :]):
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    if shape[-2] % math.prod(window["kernel"]):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={window['kernel']}."
        )
    out = windows_out(size, **window)
    if math.prod(out) != shape[-1]:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={window['kernel']}, dilation={window['dilation']}, "
            f"padding={window['padding']}, stride={window['stride']}, expected size of input's dimension 2 to match the "
            f"calculated number of sliding blocks {out[0]} * {out[1]} = {math.prod(out)}, but got input.size(2)={shape[-1]}."
        )
    _check_type("col2im_out_cpu", input)
    return _col2im(input, size=size, **window)
