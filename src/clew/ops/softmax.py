"""Softmax and its relatives: exponentials of a line, taken relative to its largest so that none overflows."""

from __future__ import annotations

from cmath import isfinite
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import compute_dtype, to_float
from clew.core.variable import FLOAT32, FLOAT64, Variable
from clew.dtypes import from_numpy
from clew.kernels import pick
from clew.ops._arguments import check_tensor, is_complex, numpy_names, wrap_dim
from clew.ops._builders import convert, single
from clew.ops.elementwise import add_exponents
from clew.ops.reduce import axes, refuse, restore, rounded, working

__all__ = ["log_softmax", "logcumsumexp", "logsumexp", "softmax"]

_add: Any = np.add.reduce
_largest: Any = np.maximum.reduce
_exp: Any = np.exp


_SHORT, _MANY, _LONG = 32, 16, 64


def many_short(shape: tuple[int, ...]) -> bool:
    """Whether a matrix has many short rows, over which NumPy loops one by one: its transpose is reduced in half the time."""
    return len(shape) == 2 and shape[1] <= _SHORT and shape[0] >= _MANY


# The reductions are called as ufunc methods and the rest is done in place: for ten classes that is 3 µs,
# where `np.max`, `np.sum` and fresh arrays take 9; for large arrays it saves two passes over fresh memory.
def _centered(self: Any, dim: Any) -> tuple[Any, Any, bool]:
    """x − max x, fresh; the dimension of the lines in it; whether it stands transposed."""
    if self.ndim == 2 and dim % 2 == 1 and many_short(self.shape):
        columns = self.T.copy()
        columns -= _largest(columns, 0)
        return columns, 0, True
    return np.asarray(self - _largest(self, dim, keepdims=True)), dim, False


def _long_lines(x: Any, dim: Any) -> bool:
    """Whether the lines lie one after another, and each fills vectors."""
    return x.ndim > 0 and dim % x.ndim == x.ndim - 1 and x.shape[-1] >= _LONG


def _softmax_forward(self: Any, *, dim: Any) -> Any:
    if not self.size:
        return np.array(self)
    if _long_lines(self, dim) and (kernel := pick("softmax", self)):
        return kernel(self)
    e, dim, turned = _centered(self, dim)
    _exp(e, e)
    e /= _add(e, dim, keepdims=True)
    return e.T.copy() if turned else e


def log_softmax_lines(self: Any, dim: Any) -> Any:
    """The forward; of many short rows the result is laid out column by column."""
    if _long_lines(self, dim) and (kernel := pick("log_softmax", self)):
        return kernel(self)
    centered, dim, turned = _centered(self, dim)
    centered -= np.log(_add(_exp(centered), dim, keepdims=True))
    return centered.T if turned else centered


def _log_softmax_forward(self: Any, *, dim: Any) -> Any:
    return np.asarray(log_softmax_lines(self, dim), order="C") if self.size else np.array(self)


def _softmax_slope(xp: Any, g: Any, result: Any, dim: Any) -> Any:
    """y (g − ∑ g y)."""
    if xp is raw and result.ndim and dim == result.ndim - 1 and (kernel := pick("softmax_back", result)):
        return kernel(result, g)
    g = g * result
    return g - result * xp.sum(g, dim, True)


def _log_softmax_slope(xp: Any, g: Any, result: Any, dim: Any) -> Any:
    """g − softmax(x) ∑ g."""
    if xp is raw and result.ndim and dim == result.ndim - 1 and (kernel := pick("log_softmax_back", result)):
        return kernel(result, g)
    return g - xp.exp(result) * xp.sum(g, dim, True)


_softmax = Primitive(
    "softmax",
    _softmax_forward,
    {"self": _softmax_slope},
    outputs=("result",),
    explain="softmax: y (g − ∑ g y), since the outputs sum to one",
)
log_softmax_primitive = Primitive(
    "log_softmax",
    _log_softmax_forward,
    {"self": _log_softmax_slope},
    outputs=("result",),
    node="LogSoftmaxBackward0",
    explain="log-softmax: g − softmax(x) ∑ g",
)


def _general(primitive: Primitive, input: Any, dim: Any, dtype: Any, out: Any) -> Any:
    name = primitive.name
    if not isinstance(dim, int):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}")
    x, want = working(input, name, dtype)
    ndim = x._array.ndim
    dim = wrap_dim(dim, ndim)
    refuse(x, f"{name}_lastdim_kernel_impl" if dim == max(ndim - 1, 0) else f"{name}_kernel_impl", 0, 1, 3)
    return rounded(primitive(x, dim=dim if ndim else ()), want, out)


def softmax(input: Any, dim: Any, dtype: Any = None, *, out: Any = None) -> Any:
    """exp(xᵢ) / ∑ⱼ exp(xⱼ) along `dim`; the same shape, every line summing to one."""
    if dtype is None and out is None and dim.__class__ is int and isinstance(input, Variable):
        a = input._array
        n = a.ndim
        if n and -n <= dim < n and (a.dtype is FLOAT32 or a.dtype is FLOAT64):
            value = _softmax_forward(a, dim=dim)
            return single(_softmax, input, value, (value, dim % n), "result")
    return _general(_softmax, input, dim, dtype, out)


def log_softmax(input: Any, dim: Any, dtype: Any = None, *, out: Any = None) -> Any:
    """xᵢ − log ∑ⱼ exp(xⱼ) along `dim`: the logarithm of softmax, without its rounding."""
    if dtype is None and out is None and dim.__class__ is int and isinstance(input, Variable):
        a = input._array
        n = a.ndim
        if n and -n <= dim < n and (a.dtype is FLOAT32 or a.dtype is FLOAT64):
            value = _log_softmax_forward(a, dim=dim)
            return single(log_softmax_primitive, input, value, (value, dim % n), "result")
    return _general(log_softmax_primitive, input, dim, dtype, out)


# ---- log of sums -------------------------------------------------------------------------------------------
def _logsumexp_forward(self: Any, *, dim: Any, keepdim: bool) -> Any:
    if not self.size:
        return np.log(_add(self, dim, keepdims=keepdim))
    if self.dtype.kind == "c":
        largest = _largest(self.real, dim, keepdims=True)
    else:
        largest = _largest(self, dim, keepdims=True)
    if not isfinite(_add(largest, None)):
        largest = np.where(np.isinf(largest), 0, largest)
    total = np.log(_add(_exp(self - largest), dim, keepdims=True)) + largest
    return total if keepdim else total.squeeze(dim)


def _logsumexp_slope(xp: Any, g: Any, self: Any, result: Any, dim: Any, keepdim: Any) -> Any:
    """g softmax(x)."""
    shape = tuple(self.shape)
    return restore(g, shape, dim, keepdim) * xp.exp(self - restore(result, shape, dim, keepdim))


_logsumexp = Primitive(
    "logsumexp",
    _logsumexp_forward,
    {"self": _logsumexp_slope},
    outputs=("result",),
    explain="log ∑ exp: the gradient is divided among the inputs as softmax divides one",
)


@numpy_names
def logsumexp(input: Any, dim: Any, keepdim: bool = False, *, out: Any = None) -> Any:
    """log ∑ exp(x) over `dim` (a number or several), without overflow."""
    if dim.__class__ is int and out is None and isinstance(input, Variable):
        a = input._array
        n = a.ndim
        if (a.dtype is FLOAT32 or a.dtype is FLOAT64) and -n <= dim < n:
            dims = (dim % n,)
            value = _logsumexp_forward(a, dim=dims, keepdim=keepdim)
            return single(_logsumexp, input, value, (a, value, dims, keepdim), "both")
    want = to_float(from_numpy(check_tensor(input, "logsumexp")._array.dtype))
    x = convert(input, compute_dtype(want))
    return rounded(_logsumexp(x, dim=axes(dim, x._array.ndim), keepdim=keepdim), want, out)


def _logcumsumexp_forward(self: Any, *, dim: int) -> Any:
    """Complex numbers go position by position, since the branch of each logarithm follows from the one before."""
    if not self.ndim or not self.size:
        return np.array(self)
    if self.dtype.kind == "c":
        made = np.array(self)
        line = np.moveaxis(made, dim, 0)
        for i in range(1, len(line)):
            line[i] = add_exponents(line[i], line[i - 1])
        return made
    wide = self.astype(np.float64) if self.dtype == np.float32 else self  # as PyTorch accumulates
    return np.logaddexp.accumulate(wide, dim).astype(self.dtype)


_NEVER = -1e30  # the logarithm of nothing: finite, so that derivatives of derivatives are


def _logcumsumexp_slope(xp: Any, g: Any, self: Any, result: Any, dim: Any) -> Any:
    """exp(x) times the sum from behind of g exp(−y), in logarithms, the positive and the negative part
    apart."""
    if not self.shape:
        return g

    def behind(log: Any) -> Any:
        return xp.flip(xp.call(_logcumsumexp, xp.flip(log - result, dim), dim=dim), dim)

    if is_complex(self):
        return xp.exp(behind(xp.log(g)) + self)
    parts = []
    for part in (g, -g):
        wanted = part > 0
        log = xp.where(wanted, xp.log(xp.where(wanted, part, 1.0)), _NEVER)
        parts.append(xp.exp(behind(log) + self))
    return parts[0] - parts[1]


_logcumsumexp = Primitive(
    "logcumsumexp", _logcumsumexp_forward, {"self": _logcumsumexp_slope}, outputs=("result",)
)


@numpy_names
def logcumsumexp(input: Any, dim: int, *, out: Any = None) -> Any:
    """yᵢ = log ∑ⱼ≤ᵢ exp(xⱼ) along `dim`, without overflow."""
    x, want = working(input, "logcumsumexp")
    refuse(input, "logcumsumexp_out_cpu", 0, 1)
    result = rounded(_logcumsumexp(x, dim=wrap_dim(dim, x._array.ndim)), want)
    return result if out is None else store_out(out, result)
