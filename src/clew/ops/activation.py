"""Activation functions, which bend what a linear layer gives. (`clew.nn.functional` shows them.)"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.raw import where
from clew.dtypes import dtype, float64, legacy_name
from clew.kernels import pick
from clew.ops._arguments import COMPLEX, check_tensor, legacy, tensor_dtype, wrap_dim
from clew.ops._builders import compute, unary
from clew.ops.special import erf
from clew.ops.trigonometry import tanh

# What PyTorch shows at its top level; the others are `nn.functional`'s alone.
__all__ = [
    "celu", "hardshrink", "prelu", "relu", "rrelu", "selu", "threshold",
]  # fmt: skip

NOT_FLOAT = f"bool uint8 int8 int16 int32 int64 {COMPLEX}"


def _floats(kernel: str) -> Callable[[Any], dtype]:
    """A check that the input is a tensor of a real floating type; gives the type."""

    def check(input: Any) -> dtype:
        have = tensor_dtype(check_tensor(input, kernel.partition("_cpu")[0]))
        if have.category != 2:
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(have)}'")
        return have

    return check


# ---- rectifiers ----------------------------------------------------------------------------------
def _check_relu(have: dtype) -> None:
    if have.category == 0:
        raise RuntimeError("Boolean inputs not supported for relu")
    if have.category == 3:
        raise NotImplementedError("clamp is not supported for complex types")


def _relu_array(a: Any) -> Any:
    if a.__class__ is np.ndarray and (kernel := pick("relu", a)):
        return kernel(a)
    return np.maximum(a, 0)


def _relu_slope(xp: Any, g: Any, out: Any) -> Any:
    if xp is raw and out.__class__ is np.ndarray and (kernel := pick("relu_back", out)):
        return kernel(out, g)
    return xp.keep(g, out > 0)


relu = unary(
    "relu",
    _relu_array,
    _relu_slope,
    keep=True,
    check=_check_relu,
    explain="max(x, 0); the gradient at 0 is 0. (Nair & Hinton, 2010)",
)
_leaky_relu = Primitive(
    "leaky_relu",
    lambda self, *, negative_slope: where(self > 0, self, self * negative_slope),
    {"self": lambda xp, g, self, negative_slope: xp.where(self > 0, g, g * negative_slope)},
)
_check_leaky = _floats("leaky_relu_cpu")


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """x for x > 0, else negative_slope·x. (Maas, Hannun & Ng, 2013)"""
    return compute(_leaky_relu, (input,), _check_leaky(input), negative_slope=negative_slope)


_prelu = Primitive(
    "prelu_kernel",
    lambda self, weight: where(self > 0, self, self * weight),
    {
        "self": lambda xp, g, self, weight: xp.where(self > 0, g, g * weight),
        "weight": lambda xp, g, self: xp.where(self > 0, 0, g * self),
    },
)


def prelu(input: Any, weight: Any) -> Any:
    """x for x > 0, else weight·x, with one weight for all or one for each channel (dimension 1).

    (He et al., 2015)
    """
    have = tensor_dtype(check_tensor(input, "prelu"))
    check_tensor(weight, "prelu", "weight", 2)
    if tensor_dtype(weight) is not have:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {legacy(input).lower()} and {legacy(weight).lower()}"
        )
    shape, count = input._array.shape, weight._array.size
    if weight._array.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight._array.ndim}"
        )
    if count != 1:
        channels = shape[1] if len(shape) > 1 else 1
        if not shape:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if channels != count:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{count} and channel "
                f"size = {channels}."
            )
    if len(shape) > 1 or weight._array.ndim:
        weight = weight.reshape(
            (1, count, *[1] * (len(shape) - 2)) if len(shape) > 1 else (count,) if shape else ()
        )
    return compute(_prelu, (input, weight), have)


_rrelu = Primitive(
    "rrelu_with_noise",
    lambda self, noise: self * noise,
    {"self": lambda xp, g, noise: g * noise},
)
_check_rrelu = _floats("rrelu_with_noise_out_cpu")


def rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """x for x ≥ 0, else a·x; a is uniform in [lower, upper] while training, else their mean.

    (Xu et al., 2015)
    """
    have = _check_rrelu(input)
    if lower > upper:
        raise RuntimeError(
            f"Lower bound should be less than or equal to the upper bound, but got {lower} and {upper}"
        )
    noise = input.detach().clone()
    array = noise.memory()
    negative = array <= 0
    if training:
        slopes = noise.new_empty(int(negative.sum()), dtype=float64).uniform_(lower, upper)._array
    else:
        slopes = (lower + upper) / 2
    array[~negative] = 1
    array[negative] = slopes
    result = compute(_rrelu, (input, noise), have)
    return input.copy_(result) if inplace else result


_threshold = Primitive(
    "threshold",
    lambda self, *, threshold, value: where(self <= threshold, np.asarray(value, self.dtype), self),
    {"self": lambda xp, g, self, threshold: xp.where(self <= threshold, 0, g)},
)


def threshold(input: Any, threshold: float, value: float) -> Any:
    """x where x > threshold, else `value`."""
    have = tensor_dtype(check_tensor(input, "threshold"))
    return compute(_threshold, (input,), have, threshold=threshold, value=value)


# ---- clipped lines -------------------------------------------------------------------------------
_hardtanh = Primitive(
    "hardtanh",
    lambda self, *, min_val, max_val: self.clip(min_val, max_val),
    {"self": lambda xp, g, self, min_val, max_val: xp.keep(g, (self > min_val) & (self < max_val))},
)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """min(max(x, min_val), max_val); the gradient is 0 at the limits."""
    have = tensor_dtype(check_tensor(input, "hardtanh"))
    if have.category == 0:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if have.category == 1:
        min_val, max_val = int(min_val), int(max_val)
        if min_val < 0 and not have.is_signed:
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return compute(_hardtanh, (input,), have, min_val=min_val, max_val=max_val)


def relu6(input: Any) -> Any:
    """min(max(x, 0), 6)"""
    return hardtanh(input, 0, 6)


hardsigmoid = unary(
    "hardsigmoid",
    lambda a: (a + 3).clip(0, 6) / 6,
    lambda xp, g, self: xp.keep(g / 6, (self > -3) & (self < 3)),
    refuse=NOT_FLOAT,
    kernel="hardsigmoid_cpu",
    explain="min(max(x + 3, 0), 6) / 6",
)
hardswish = unary(
    "hardswish",
    lambda a: a * (a + 3).clip(0, 6) / 6,
    lambda xp, g, self: xp.where(self <= -3, 0, xp.where(self < 3, g * (self / 3 + 0.5), g)),
    refuse=NOT_FLOAT,
    kernel="hardswish_cpu",
    explain="x·min(max(x + 3, 0), 6) / 6. (Howard et al., 2019)",
)
_hardshrink = Primitive(
    "hardshrink",
    lambda self, *, lambd: where(np.abs(self) <= lambd, 0, self),
    {"self": lambda xp, g, self, lambd: xp.where((self >= -lambd) & (self <= lambd), 0, g)},
)
_softshrink = Primitive(
    "softshrink",
    lambda self, *, lambd: self - self.clip(-lambd, lambd),
    {"self": lambda xp, g, self, lambd: xp.where((self >= -lambd) & (self <= lambd), 0, g)},
)
_check_hardshrink, _check_softshrink = _floats("hardshrink_cpu"), _floats("softshrink_check")


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """x where |x| > lambd, else 0."""
    return compute(_hardshrink, (input,), _check_hardshrink(input), lambd=lambd)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """x moved towards 0 by lambd, 0 where |x| ≤ lambd."""
    have = _check_softshrink(input)
    if not lambd >= 0:
        top = {"float64": "1.79769e+308", "float16": "65504", "bfloat16": "3.38953e+38"}.get(
            have.name, "3.40282e+38"
        )
        raise RuntimeError(
            f"lambda must be in range [0, {top}] for input dtype {legacy_name(have)}, but found {lambd:g}"
        )
    return compute(_softshrink, (input,), have, lambd=lambd)


# ---- exponential units ---------------------------------------------------------------------------
def _elu_array(self: Any, *, alpha: float, scale: float, input_scale: float) -> Any:
    """The sum of what the function makes of min(x, 0) and of max(x, 0), one of which is 0: no branches."""
    made, above = self.clip(-math.inf, 0), self.clip(0, math.inf)
    if input_scale != 1:
        made *= input_scale
    made = np.expm1(made)
    if alpha * scale != 1:
        made *= alpha * scale
    if scale != 1:
        above *= scale
    made += above
    return made


_elu = Primitive(
    "elu",
    _elu_array,
    {
        "self": lambda xp, g, self, alpha, scale, input_scale: xp.where(
            self > 0,
            g * scale,
            g * (xp.exp(xp.minimum(self, 0) * input_scale) * (alpha * scale * input_scale)),
        )
    },
)
_check_elu = _floats("elu_cpu")
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def elu(input: Any, alpha: float = 1.0, scale: float = 1, input_scale: float = 1) -> Any:
    """x for x > 0, else alpha·(eˣ - 1). (Clevert, Unterthiner & Hochreiter, 2016)"""
    return compute(_elu, (input,), _check_elu(input), alpha=alpha, scale=scale, input_scale=input_scale)


def selu(input: Any) -> Any:
    """The scaled elu that keeps mean 0 and variance 1. (Klambauer et al., 2017)"""
    return elu(input, SELU_ALPHA, SELU_SCALE)


_celu = Primitive(
    "celu",
    lambda self, *, alpha: _elu_array(self, alpha=alpha, scale=1, input_scale=1 / alpha),
    {"self": lambda xp, g, self, alpha: xp.where(self > 0, g, g * xp.exp(xp.minimum(self, 0) / alpha))},
)


def celu(input: Any, alpha: float = 1.0) -> Any:
    """max(x, 0) + min(0, alpha·(e^(x/alpha) - 1)). (Barron, 2017)"""
    have = _check_elu(input)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return compute(_celu, (input,), have, alpha=alpha)


# ---- smooth units --------------------------------------------------------------------------------
def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _silu_array(a: Any) -> Any:
    if kernel := pick("silu", a):
        return kernel(a)
    return a / (1 + np.exp(-a))


def _silu_slope(xp: Any, g: Any, self: Any) -> Any:
    if xp is raw and (kernel := pick("silu_back", self)):
        return kernel(self, g)
    s = 1 / (1 + xp.exp(-self))
    return g * (s * (1 + self * (1 - s)))


silu = unary(
    "silu",
    _silu_array,
    _silu_slope,
    refuse="bool uint8 int8 int16 int32 int64",
    kernel="silu_cpu",
    explain="x·sigmoid(x). (Hendrycks & Gimpel, 2016; Elfwing, Uchibe & Doya, 2017)",
)


def _soft(x: Any) -> Any:
    """log(1 + eˣ) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _mish_slope(xp: Any, g: Any, self: Any) -> Any:
    s = 1 / (1 + xp.exp(-self))
    t = xp.tanh(xp.maximum(self, 0 * self) + xp.log1p(xp.exp(-xp.abs(self))))
    return g * (t + self * s * (1 - t * t))


mish = unary(
    "mish",
    lambda a: a * np.tanh(_soft(a)),
    _mish_slope,
    refuse=NOT_FLOAT,
    kernel="mish_cpu",
    explain="x·tanh(softplus(x)). (Misra, 2019)",
)
_softplus = Primitive(
    "softplus",
    lambda self, *, beta, threshold: np.where(
        self * beta > threshold, self, np.log1p(np.exp(np.minimum(self * beta, threshold))) / beta
    ),
    {
        "self": lambda xp, g, self, beta, threshold: xp.where(
            self * beta > threshold, g, g / (1 + xp.exp(-beta * self))
        )
    },
)
_check_softplus = _floats("softplus_cpu")


def softplus(input: Any, beta: float = 1, threshold: float = 20, *, out: Any = None) -> Any:
    """log(1 + e^(beta·x)) / beta, and x itself where beta·x > threshold."""
    result = compute(_softplus, (input,), _check_softplus(input), beta=beta, threshold=threshold)
    return result if out is None else store_out(out, result)


def _log_sigmoid_slope(xp: Any, g: Any, self: Any) -> Any:
    return g / (1 + xp.exp(self))


logsigmoid = unary(
    "log_sigmoid",
    lambda a: np.minimum(a, 0) - np.log1p(np.exp(-np.abs(a))),
    _log_sigmoid_slope,
    refuse=NOT_FLOAT,
    kernel="log_sigmoid_cpu",
    explain="log(sigmoid(x)), without overflow",
)


def softsign(input: Any) -> Any:
    """x / (1 + |x|)"""
    return input / (check_tensor(input, "softsign").abs() + 1)


def tanhshrink(input: Any) -> Any:
    """x - tanh(x)"""
    return check_tensor(input, "tanhshrink") - tanh(input)


# ---- gelu ----------------------------------------------------------------------------------------
ROOT_HALF, ROOT_TWO_OVER_PI, CUBIC = math.sqrt(0.5), math.sqrt(2 / math.pi), 0.044715


def _gelu_exact(a: Any) -> Any:
    if kernel := pick("gelu", a):
        return kernel(a)
    return 0.5 * a * (1 + erf.primitive.forward(a * ROOT_HALF))


def _gelu_exact_slope(xp: Any, g: Any, self: Any) -> Any:
    if xp is raw and (kernel := pick("gelu_back", self)):
        return kernel(self, g)
    below = 0.5 * (1 + xp.call(erf.primitive, self * ROOT_HALF))
    return g * (below + self * (xp.exp(-0.5 * self * self) * (ROOT_HALF / math.sqrt(math.pi))))


def _gelu_tanh(a: Any) -> Any:
    if kernel := pick("gelu_tanh", a):
        return kernel(a)
    return 0.5 * a * (1 + np.tanh(ROOT_TWO_OVER_PI * (a + CUBIC * (a * a * a))))


def _gelu_tanh_slope(xp: Any, g: Any, self: Any) -> Any:
    if xp is raw and (kernel := pick("gelu_tanh_back", self)):
        return kernel(self, g)
    square = self * self
    t = xp.tanh(ROOT_TWO_OVER_PI * (self + CUBIC * (square * self)))
    inner = ROOT_TWO_OVER_PI * (1 + 3 * CUBIC * square)
    return g * (0.5 * (1 + t) + 0.5 * self * (1 - t * t) * inner)


_gelus = {
    "none": unary("gelu", _gelu_exact, _gelu_exact_slope, refuse=NOT_FLOAT, kernel="GeluKernelImpl"),
    "tanh": unary("gelu", _gelu_tanh, _gelu_tanh_slope, refuse=NOT_FLOAT, kernel="GeluKernelImpl"),
}


def gelu(input: Any, approximate: str = "none", *, out: Any = None) -> Any:
    """x·Φ(x), Φ the normal distribution function; "tanh": ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))).

    (Hendrycks & Gimpel, 2016)
    """
    function = _gelus.get(approximate)
    if function is None:
        raise RuntimeError("approximate argument must be either none or tanh.")
    return function(input) if out is None else store_out(out, function(input))


# ---- gates ---------------------------------------------------------------------------------------
def _halves(xp: Any, x: Any, dim: int) -> tuple[Any, Any]:
    half = x.shape[dim] // 2
    before = (slice(None),) * dim
    return x[(*before, slice(0, half))], x[(*before, slice(half, None))]


def _glu_forward(self: Any, *, dim: int) -> Any:
    a, b = _halves(np, self, dim)
    return a * _sigmoid(b)


def _glu_slope(xp: Any, g: Any, self: Any, dim: int) -> Any:
    a, b = _halves(xp, self, dim)
    gate = 1 / (1 + xp.exp(-b))
    return xp.concatenate((g * gate, g * a * (gate * (1 - gate))), dim)


_glu = Primitive("glu", _glu_forward, {"self": _glu_slope})


def glu(input: Any, dim: int = -1) -> Any:
    """a·sigmoid(b), where a and b are the halves of `input` along `dim`. (Dauphin et al., 2017)"""
    have = tensor_dtype(check_tensor(input, "glu"))
    shape = input._array.shape
    if not shape:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = wrap_dim(dim, len(shape))
    if shape[dim] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {shape[dim]}")
    if have.category < 2:
        raise NotImplementedError(f"\"glu_cpu\" not implemented for '{legacy_name(have)}'")
    return compute(_glu, (input,), have, dim=dim)
