"""Convolutions of any number of dimensions, as matrix products.

The windows that the kernel sees are copied side by side ("im2col": Chellapilla, Puri & Simard, "High performance
convolutional neural networks for document processing", 2006); the convolution is then one product with the kernel for
every image of the batch. A convolution y = x * w is linear in each of x and w, and three operations are closed under
differentiation: the convolution, its adjoint in x (the transposed convolution) and its adjoint in w. (Dumoulin & Visin,
"A guide to convolution arithmetic for deep learning", 2016, has the arithmetic of sizes.)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.dtypes import cpp_name, legacy_name, tensor_type_name
from clew.kernels import pick
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor
from clew.ops._autocast import lowered
from clew.ops._layout import keeping_layout
from clew.ops._windows import Grid, Sizes, folded, padded, taps, unfolded, windows_out, within
from clew.ops.linalg import widely
from clew.ops.pad import constant_pad

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution",
]  # fmt: skip

_LARGE = 1 << 13  # numbers in a batch of images whose windows are taken all at once
_MANY = 1 << 22  # numbers that a batch of weight gradients may hold before they are summed one by one


# ---- the three operations ------------------------------------------------------------------------------------------------
def _grouped(x: ndarray, groups: int) -> ndarray:
    """(N, C, …) as (N, groups, C/groups · …, last)."""
    return x.reshape((x.shape[0], groups, -1 if x.size else math.prod(x.shape[1:-1]) // groups, x.shape[-1]))


def _alone(weight_shape: Sizes, groups: int) -> bool:
    """Whether every channel is convolved by itself ("depthwise"): then products of numbers beat products of matrices."""
    return weight_shape[1] == 1 and weight_shape[0] == groups > 1


def _on_grid(
    x: ndarray, weight_shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> bool:
    """Whether the windows of many images are taken from a padded grid, all images in one product."""
    return (
        x.size >= _LARGE
        and len(weight_shape) == 4
        and groups == 1
        and stride == (1, 1)
        and weight_shape[2] * weight_shape[3] > 1
        and all(p <= d * (k - 1) for p, d, k in zip(padding, dilation, weight_shape[2:], strict=True))
    )


def _convolve_on_grid(
    x: ndarray, weight: ndarray, bias: Any, padding: Sizes, dilation: Sizes, out: Sizes
) -> ndarray:
    """`_convolve` with steps of 1 and one group; of a negative border that much is cut off."""
    x = np.ascontiguousarray(x)
    if min(padding) >= 0 and (kernel := pick("convolve", x)):
        made: ndarray = kernel(x, weight, bias, padding, dilation, out)
        return made
    made = np.empty((x.shape[0], weight.shape[0], *out), x.dtype)
    matrix = np.ascontiguousarray(weight.reshape((weight.shape[0], -1)))
    grid = Grid(x, weight.shape[2:], padding, dilation)
    for images in grid.batches():
        product = matrix.dot(grid.columns(images))
        if bias is not None:
            product += bias.reshape((-1, 1))
        made[images] = grid.shown(product, out).swapaxes(0, 1)
    return made


def _correlate_on_grid(x: ndarray, grad: ndarray, kernel: Sizes, padding: Sizes, dilation: Sizes) -> ndarray:
    """`_correlate` with steps of 1 and one group."""
    if faster := pick("correlate", x, grad):
        found: ndarray = faster(x, grad, kernel, padding, dilation)
        return found
    grid = Grid(x, kernel, padding, dilation)
    made: Any = 0
    for images in grid.batches():
        made = made + grid.spread(grad[images]).dot(grid.columns(images).T)
    total: ndarray = made.reshape((grad.shape[1], x.shape[1], *kernel))
    return total


def _per_channel(weight: ndarray) -> ndarray:
    """Depthwise kernels as (places in the kernel, C, 1, …), which broadcast over images."""
    return weight.reshape((weight.shape[0], -1)).T.reshape((-1, weight.shape[0]) + (1,) * (weight.ndim - 2))


def _convolve(
    input: ndarray, weight: ndarray, bias: Any, *, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any:
    kernel = weight.shape[2:]
    out = windows_out(input.shape[2:], kernel, stride, padding, dilation)
    if _alone(weight.shape, groups):
        x, factors = padded(input, padding), _per_channel(weight)
        made = np.zeros((*input.shape[:2], *out), input.dtype)
        part = np.empty_like(made)
        for k, seen in taps(kernel, stride, dilation, out):
            made += np.multiply(x[seen], factors[k], out=part)
    elif _on_grid(input, weight.shape, stride, padding, dilation, groups):
        return _convolve_on_grid(input, weight, bias, padding, dilation, out)
    else:
        columns = _grouped(unfolded(input, kernel, stride, padding, dilation), groups)
        matrix = weight.reshape((groups, weight.shape[0] // groups, columns.shape[2]))
        made = np.matmul(matrix, columns).reshape((input.shape[0], weight.shape[0], *out))
    if bias is not None:
        made += bias.reshape((-1,) + (1,) * len(kernel))
    return made


def _spread(
    input: ndarray,
    weight: ndarray,
    bias: Any,
    *,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Any:
    """The adjoint of `_convolve` in its input, which had the spatial sizes `size`."""
    kernel = weight.shape[2:]
    if _alone(weight.shape, groups):
        factors = _per_channel(weight)
        made = np.zeros(
            (*input.shape[:2], *[n + 2 * p for n, p in zip(size, padding, strict=True)]), input.dtype
        )
        part = np.empty_like(input)
        for k, seen in taps(kernel, stride, dilation, input.shape[2:]):
            made[seen] += np.multiply(input, factors[k], out=part)
        made = made[within(size, padding)]
    elif _on_grid(
        input, weight.shape, stride, padding, dilation, groups
    ):  # for steps of 1 a convolution, with the kernel turned round
        border = tuple([d * (k - 1) - p for k, p, d in zip(kernel, padding, dilation, strict=True)])
        turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
        return _convolve_on_grid(input, turned, bias, border, dilation, size)
    else:
        matrix = weight.reshape((groups, weight.shape[0] // groups, weight.shape[1] * math.prod(kernel)))
        values = _grouped(input.reshape((*input.shape[:2], math.prod(input.shape[2:]))), groups)
        columns = np.matmul(matrix.transpose(0, 2, 1), values)
        columns = columns.reshape(
            (input.shape[0], groups * weight.shape[1], math.prod(kernel), values.shape[-1])
        )
        made = folded(columns, size, kernel, stride, padding, dilation)
    if bias is not None:
        made += bias.reshape((-1,) + (1,) * len(kernel))
    return made


def _correlate(
    input: ndarray,
    grad: ndarray,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Any:
    """The adjoint of `_convolve` in its weight, whose spatial sizes are `kernel`."""
    if _alone((grad.shape[1], input.shape[1] // groups), groups):
        x, axes = padded(input, padding), (0, *range(2, grad.ndim))
        part = np.empty_like(grad)
        places = taps(kernel, stride, dilation, grad.shape[2:])
        sums = [np.add.reduce(np.multiply(x[seen], grad, out=part), axes) for _, seen in places]
        return np.stack(sums, -1).reshape((groups, 1, *kernel))
    whole = (grad.shape[1], input.shape[1] // groups, *kernel)
    if _on_grid(input, whole, stride, padding, dilation, groups):
        return _correlate_on_grid(input, grad, kernel, padding, dilation)
    columns = _grouped(unfolded(input, kernel, stride, padding, dilation), groups).swapaxes(-1, -2)
    values = _grouped(grad.reshape((*grad.shape[:2], math.prod(grad.shape[2:]))), groups)
    if len(values) * math.prod(whole) <= _MANY:
        return np.add.reduce(np.matmul(values, columns), 0).reshape(whole)
    made = np.matmul(values[0], columns[0])
    for value, column in zip(values[1:], columns[1:], strict=True):
        made += np.matmul(value, column)
    return made.reshape(whole)


def _bias_back(xp: Any, g: Any) -> Any:
    return xp.sum(g, (0, *range(2, len(g.shape))))


_convolution = Primitive(
    "convolution",
    keeping_layout(widely(_convolve)),
    {
        "input": lambda xp, g, input_shape, weight, stride, padding, dilation, groups: xp.call(
            _transposed,
            g,
            weight,
            None,
            size=input_shape[2:],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        ),
        "weight": lambda xp, g, input, weight_shape, stride, padding, dilation, groups: xp.call(
            _weight,
            input,
            g,
            kernel=weight_shape[2:],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        ),
        "bias": lambda xp, g: _bias_back(xp, g),
    },
    args=("input", "weight", "bias"),
    params=("stride", "padding", "dilation", "groups"),
    explain="each output is the sum of a window of the input times the kernel",
)
_transposed: Primitive = Primitive(
    "convolution_transpose",
    keeping_layout(widely(_spread)),
    {
        "input": lambda xp, g, weight, stride, padding, dilation, groups: xp.call(
            _convolution, g, weight, None, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        "weight": lambda xp, g, input, weight_shape, stride, padding, dilation, groups: xp.call(
            _weight,
            g,
            input,
            kernel=weight_shape[2:],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        ),
        "bias": lambda xp, g: _bias_back(xp, g),
    },
    args=("input", "weight", "bias"),
    params=("size", "stride", "padding", "dilation", "groups"),
    node="ConvolutionBackward0",
    explain="each input adds the kernel, scaled by it, to a window of the output",
)
_weight: Primitive = Primitive(
    "convolution_weight",
    widely(_correlate),
    {
        "input": lambda xp, g, input_shape, grad, stride, padding, dilation, groups: xp.call(
            _transposed,
            grad,
            g,
            None,
            size=input_shape[2:],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        ),
        "grad": lambda xp, g, input, stride, padding, dilation, groups: xp.call(
            _convolution, input, g, None, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
    },
    args=("input", "grad"),
    params=("kernel", "stride", "padding", "dilation", "groups"),
    node="ConvolutionBackwardBackward0",
    explain="the gradient of a convolution's kernel: windows of the input times the gradient of the output",
)


# ---- arguments -----------------------------------------------------------------------------------------------------------
def _numbers(value: Any, rank: int, name: str) -> Sizes:
    """One number for each spatial dimension."""
    if isinstance(value, int):
        return (value,) * rank
    found = tuple([operator.index(n) for n in value])
    if len(found) == 1:
        return found * rank
    if len(found) != rank:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {rank} values to match the convolution dimensions, "
            f"but got {name}={list(found)}"
        )
    return found


def _check_types(input: Any, weight: Any, bias: Any, transposed: bool) -> None:
    """RuntimeError where types differ, NotImplementedError for bool."""
    x, w = input._array.dtype, weight._array.dtype
    b = x if bias is None else bias._array.dtype
    if x != w and (transposed or b == x):
        if x == np.float32 and input._array.shape[0] > 1:  # PyTorch asks another library then
            raise RuntimeError(
                f"Input type ({tensor_type_name(x)}) and weight type ({tensor_type_name(w)}) should be the same or input "
                "should be a MKLDNN tensor and weight is a dense tensor"
            )
        raise RuntimeError(f"expected scalar type {legacy_name(x)} but found {legacy_name(w)}")
    if b != x:
        raise RuntimeError(f"Input type ({cpp_name(x)}) and bias type ({cpp_name(b)}) should be the same")
    if x.kind == "b":
        raise NotImplementedError(
            f"\"{_kernel_name(input._array.ndim - 2, transposed)}\" not implemented for 'Bool'"
        )


def _kernel_name(rank: int, transposed: bool) -> str:
    """What PyTorch calls the kernel of a convolution."""
    if transposed:
        return f"slow_conv_transpose{max(rank, 2)}d_out_cpu"
    return "compute_columns3d" if rank == 3 else "slow_conv2d_cpu"


def _check_shapes(x: Sizes, w: Sizes, bias: Any, groups: int, transposed: bool) -> None:
    """RuntimeError where channels do not fit."""
    note = "transposed=1" if transposed else f"groups={groups}"
    if w[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(w)} instead"
        )
    if w[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"[{list(w)}] instead"
        )
    want = w[0] if transposed else w[1] * groups
    if x[1] != want:
        raise RuntimeError(
            f"Given {note}, weight of size {list(w)}, expected input{list(x)} to have {want} channels, but got {x[1]} "
            "channels instead"
        )
    out = w[1] * groups if transposed else w[0]
    if bias is not None and bias._array.shape != (out,):
        note = "transposed=1, " if transposed else ""
        raise RuntimeError(
            f"Given {note}weight of size {list(w)}, expected bias to be 1-dimensional with {out} elements, but got bias of "
            f"size {list(bias._array.shape)} instead"
        )


def _check_kernel(x: Sizes, w: Sizes, padding: Sizes, dilation: Sizes) -> None:
    """RuntimeError where the kernel is larger than the input."""
    size = [n + 2 * p for n, p in zip(x[2:], padding, strict=True)]
    kernel = [d * (k - 1) + 1 for k, d in zip(w[2:], dilation, strict=True)]
    if any(k > n for n, k in zip(size, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, size))}). Kernel size: "
            f"({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size"
        )
    _check_nonempty(x, w)


def _check_nonempty(x: Sizes, w: Sizes) -> None:
    """RuntimeError where a kernel or an image has no extent."""
    if not all(w[2:]):
        spread = (
            "but got: {} x {} x {} (TxHxW)" if len(w) == 5 else "but got kernel_height: {} kernel_width: {}"
        )
        raise RuntimeError(
            f"kernel size should be greater than zero, {spread.format(*_at_least_two(w[2:], 1))}"
        )
    if x[0] and x[1] and not all(x[2:]):
        shape = [*x[:2], *_at_least_two(x[2:], 1)]
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {shape}"
        )


def _at_least_two(numbers: Sizes, first: int) -> Sizes:
    """PyTorch convolves one dimension as two: its sentences show both."""
    return (first, *numbers) if len(numbers) == 1 else numbers


def _batched(name: str, rank: int, input: Any, weight: Any, bias: Any) -> tuple[Any, bool]:
    """The input with a batch dimension, and whether it had one."""
    for position, value in enumerate((input, weight)):
        check_tensor(value, name, ("input", "weight")[position], position + 1)
    if bias is not None:
        check_tensor(bias, name, "bias", 3)
    have = input._array.ndim
    if have not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input._array.shape)}"
        )
    return (input, True) if have == rank + 2 else (shapes.unsqueeze(input, 0), False)


def _settle(rank: int, x: Any, weight: Any, **values: Any) -> dict[str, Sizes]:
    """The per-dimension arguments as tuples, checked; the kernel's rank decides how many."""
    rank = weight._array.ndim - 2
    if rank < 1:
        raise RuntimeError("weight should have at least three dimensions")
    found = {name: _numbers(value, rank, name) for name, value in values.items()}
    for name, numbers in found.items():
        if min(numbers, default=1) < (0 if "padding" in name else 1):
            if name == "dilation" and min(numbers) < 0:
                raise RuntimeError("dilation should be greater than zero")
            kind = "negative" if "padding" in name else "non-positive"
            raise RuntimeError(f"{kind} {name} is not supported")
    _check_ranks(x, weight, " ")
    return found


def _check_ranks(x: Any, weight: Any, gap: str = "") -> None:
    """RuntimeError where the input has not as many dimensions as the kernel."""
    have, want = x._array.shape, weight._array.shape
    if len(have) != len(want):
        raise RuntimeError(
            f"Expected {len(want)}-dimensional input for {len(want)}-dimensional weight{gap}{list(want)}, but got "
            f"{len(have)}-dimensional input of size {list(have)} instead"
        )


def _same(input: Any, weight: Any, stride: Any, dilation: Any, rank: int) -> tuple[Any, Sizes]:
    """The input and the padding of `padding="same"`: an odd total puts the extra zero at the end."""
    _check_ranks(input, weight)
    if any(s != 1 for s in _numbers(stride, rank, "stride")):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [
        d * (k - 1)
        for k, d in zip(weight._array.shape[2:], _numbers(dilation, rank, "dilation"), strict=True)
    ]
    if any(total % 2 for total in totals):
        input = constant_pad(input, [n for total in reversed(totals) for n in (0, total % 2)], 0)
    return input, tuple([total // 2 for total in totals])


def _conv(rank: int) -> Callable[..., Any]:
    name = f"conv{rank}d"

    def conv(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        if altered and switches.autocast:
            input, weight, bias = lowered(input, weight, bias)
        x, batched = _batched(name, rank, input, weight, bias)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise RuntimeError(f"Invalid padding string: '{padding}'")
            x, padding = (x, 0) if padding == "valid" else _same(x, weight, stride, dilation, rank)
        settled = _settle(
            rank,
            x,
            weight,
            stride=_spelled(stride, rank),
            padding=_spelled(padding, rank),
            dilation=_spelled(dilation, rank),
        )
        if groups <= 0:
            raise RuntimeError("non-positive groups is not supported")
        _check_shapes(x._array.shape, weight._array.shape, bias, groups, False)
        _check_types(x, weight, bias, False)
        _check_kernel(x._array.shape, weight._array.shape, settled["padding"], settled["dilation"])
        result = _convolution(x, weight, bias, **settled, groups=groups)
        return result if batched else shapes.squeeze(result, 0)

    conv.__name__ = conv.__qualname__ = name
    conv.__doc__ = f"""y[n, o] = b[o] + ∑ over c of x[n, c] * w[o, c] (cross-correlation), in {rank} dimension(s).

    input: (N, C, *size) or (C, *size); weight: (O, C/groups, *kernel); bias: (O). padding: numbers, "same" or "valid".
    RuntimeError where the sizes do not fit.
    """
    return conv


def _spelled(value: Any, rank: int) -> Any:
    """A number for all dimensions, spelled out."""
    return (value,) * rank if isinstance(value, int) else value


def _conv_transpose(rank: int) -> Callable[..., Any]:
    name = f"conv_transpose{rank}d"

    def conv(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
        dilation: Any = 1,
    ) -> Any:  # fmt: skip
        if altered and switches.autocast:
            input, weight, bias = lowered(input, weight, bias)
        x, batched = _batched(name, rank, input, weight, bias)
        if isinstance(padding, str):
            raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
        settled = _settle(
            rank, x, weight, stride=_spelled(stride, rank), padding=_spelled(padding, rank), dilation=_spelled(dilation, rank),
            output_padding=_spelled(output_padding, rank),
        )  # fmt: skip
        if groups <= 0:
            raise RuntimeError("non-positive groups is not supported")
        _check_shapes(x._array.shape, weight._array.shape, bias, groups, True)
        _check_types(x, weight, bias, True)
        extra = settled.pop("output_padding")
        _check_output_padding(rank, extra, settled)
        numbers = zip(x._array.shape[2:], weight._array.shape[2:], extra, *settled.values(), strict=True)
        size = tuple([(n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, k, e, s, p, d in numbers])
        _check_nonempty(x._array.shape, weight._array.shape)
        if min(size, default=1) < 1:
            have, made = (" x ".join(map(str, _at_least_two(n, 1))) for n in (x._array.shape[2:], size))
            raise RuntimeError(
                f"Given input size per channel: ({have}). Calculated output size per channel: ({made}). Output size is too "
                "small"
            )
        further = [e // s for e, s in zip(extra, settled["stride"], strict=True)]
        if any(further):  # where the output goes on for further windows, the input does so with zeros
            x = constant_pad(x, [n for count in reversed(further) for n in (0, count)])
        result = _transposed(x, weight, bias, size=size, **settled, groups=groups)
        return result if batched else shapes.squeeze(result, 0)

    conv.__name__ = conv.__qualname__ = name
    conv.__doc__ = f"""The adjoint of `conv{rank}d` in its input: every input adds w, scaled by it, to a window of the output.

    input: (N, C, *size) or (C, *size); weight: (C, O/groups, *kernel); bias: (O). Output size:
    (size - 1)·stride - 2·padding + dilation·(kernel - 1) + output_padding + 1.
    """
    return conv


def _check_output_padding(rank: int, extra: Sizes, settled: dict[str, Sizes]) -> None:
    """RuntimeError where the extra size would hold numbers that no input reaches."""
    if any(e >= s and e >= d for e, s, d in zip(extra, settled["stride"], settled["dilation"], strict=True)):
        axes = ("depth", "height", "width")[-rank:] if rank > 1 else ("height", "width")
        values = {"output_padding": extra, "stride": settled["stride"], "dilation": settled["dilation"]}
        if rank == 1:
            values = {
                "output_padding": (0, *extra),
                "stride": (1, *values["stride"]),
                "dilation": (1, *values["dilation"]),
            }
        parts = [
            f"{name}_{axis}: {n}"
            for name, numbers in values.items()
            for axis, n in zip(axes, numbers, strict=True)
        ]
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got {' '.join(parts)}"
        )


conv1d, conv2d, conv3d = _conv(1), _conv(2), _conv(3)
conv_transpose1d, conv_transpose2d, conv_transpose3d = (
    _conv_transpose(1),
    _conv_transpose(2),
    _conv_transpose(3),
)


def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, output_padding: Any,
    groups: int,
) -> Any:  # fmt: skip
    """`conv1d` to `conv3d` and the transposed ones, by the number of dimensions."""
    rank = min(max(check_tensor(weight, "convolution", "weight", 2)._array.ndim - 2, 1), 3)
    if transposed:
        return _transposed_convolutions[rank](
            input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return _convolutions[rank](input, weight, bias, stride, padding, dilation, groups)


_convolutions = {1: conv1d, 2: conv2d, 3: conv3d}
_transposed_convolutions = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}


def conv_tbc(input: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
    """`conv1d` of (time, batch, channels); weight: (kernel, C, O); bias: (O)."""
    x, w, b = input._array.shape, weight._array.shape, bias._array.shape
    if len(x) != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if len(w) != 3:
        raise RuntimeError("Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.")
    if len(b) != 1:
        raise RuntimeError("Bias must be 1-D")
    if x[2] != w[1]:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if w[2] != b[0]:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    made = conv1d(shapes.permute(input, (1, 2, 0)), shapes.permute(weight, (2, 1, 0)), bias, padding=pad)
    return shapes.permute(made, (2, 0, 1))
