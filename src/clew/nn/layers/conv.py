"""Convolutions and transposed convolutions, 1-d to 3-d."""

from __future__ import annotations

import math
from typing import Any

from clew.nn import functional as F
from clew.nn import init
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.ops.create import empty


def as_tuple(value: Any, n: int) -> tuple[Any, ...]:
    """One number for every dimension, or the numbers given."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


class _Conv(Module):
    """What all convolutions share: their sizes, their parameters and their starting values."""

    dims = 2
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            modes = "{'zeros', 'reflect', 'replicate', 'circular'}"
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'")
        n = self.dims
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = as_tuple(kernel_size, n)
        self.stride = as_tuple(stride, n)
        self.dilation = as_tuple(dilation, n)
        self.padding = padding if isinstance(padding, str) else as_tuple(padding, n)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        self.output_padding: tuple[int, ...] = (0,) * n
        self.groups = groups
        self.padding_mode = padding_mode
        channels = (
            (in_channels, out_channels // groups)
            if self.transposed
            else (out_channels, in_channels // groups)
        )
        self.weight = Parameter(empty((*channels, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the starting values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        """The convolution with another weight and bias, as layers built upon this one ask for it."""
        function = getattr(F, f"conv{self.dims}d")
        padding = self.padding
        if self.padding_mode != "zeros":
            if padding == "same":
                total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
                both = [side for t in reversed(total) for side in (t // 2, t - t // 2)]
            else:
                both = [
                    p
                    for p in reversed(as_tuple(padding if padding != "valid" else 0, self.dims))
                    for _ in (0, 1)
                ]
            input = F.pad(input, both, mode=self.padding_mode)
            padding = (0,) * self.dims
        return function(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self.dims, (1,) * self.dims
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        if self.padding != zeros:
            text += (
                f", padding={self.padding!r}"
                if not isinstance(self.padding, str)
                else f", padding={self.padding}"
            )
        if self.dilation != ones:
            text += f", dilation={self.dilation}"
        if self.output_padding != zeros:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_Conv):
    """Cross-correlation over one dimension: (N, C, L) → (N, C', L')."""

    dims = 1


class Conv2d(_Conv):
    """Cross-correlation over two dimensions: (N, C, H, W) → (N, C', H', W')."""

    dims = 2


class Conv3d(_Conv):
    """Cross-correlation over three dimensions."""

    dims = 3


class _ConvTranspose(_Conv):
    """The adjoint of a convolution in its input, as a layer of its own."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
        )  # fmt: skip
        self.output_padding = as_tuple(output_padding, self.dims)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        function = getattr(F, f"conv_transpose{self.dims}d")
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, input: Any, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives the size asked for."""
        n = self.dims
        rank = input.dim()
        if len(output_size) not in (n, rank):
            raise ValueError(
                f"ConvTranspose{n}D: for {rank}D input, output_size must have {n} or {rank} elements (got "
                f"{len(output_size)})"
            )
        wanted = tuple(output_size)[-n:]
        have = tuple(input.shape)[-n:]
        sizes = zip(have, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = [(size - 1) * s - 2 * p + d * (k - 1) + 1 for size, s, p, d, k in sizes]
        most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
        if not all(low <= want <= high for low, want, high in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} "
                f"(for an input of {input.shape[2:]})"
            )
        return tuple(want - low for want, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one dimension."""

    dims = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over two dimensions."""

    dims = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three dimensions."""

    dims = 3


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
