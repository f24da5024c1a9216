"""Variance, standard deviation, covariance, correlation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from clew.core.primitive import Primitive
from clew.core.variable import Variable
from clew.ops._arguments import check_tensor, legacy, numpy_names
from clew.ops.reduce import axes, count, kept, restore, rounded, spread, working

__all__ = ["corrcoef", "cov", "std", "std_mean", "var", "var_mean"]

_add: Any = np.add.reduce


# ---- variance and standard deviation -----------------------------------------------------------------------
def _moments(self: Any, dim: Any, correction: float, keepdim: bool) -> tuple[Any, Any]:
    """The variance and the mean, in two passes."""
    n = count(self.shape, dim)
    with np.errstate(all="ignore"):
        center = (
            _add(self, dim, keepdims=True) / n if n else np.full(kept(self.shape, dim), np.nan, self.dtype)
        )
        deviation = self - center
        squares = deviation.real**2 + deviation.imag**2 if self.dtype.kind == "c" else deviation * deviation
        total = _add(squares, dim, keepdims=keepdim)
        variance = total / total.dtype.type(max(n - correction, 0))
    return variance, center if keepdim else center.reshape(variance.shape)


def _var_slope(xp: Any, g: Any, self: Any, dim: Any, correction: Any, keepdim: Any) -> Any:
    """∂var/∂x = 2 (x − mean) / (n − correction)."""
    shape = tuple(self.shape)
    n = count(shape, dim)
    freedom = n - (1 if correction is None else correction)
    deviation = self - xp.sum(self, axis=dim, keepdims=True) / max(n, 1)
    g = restore(g, shape, dim, keepdim)
    return g * (2.0 / freedom if freedom else np.inf) * deviation


def _std_slope(xp: Any, g: Any, self: Any, result: Any, dim: Any, correction: Any, keepdim: Any) -> Any:
    """∂std/∂x = ∂var/∂x / (2 std), and 0 where std is 0."""
    flat = result == 0
    scaled = xp.where(flat, 0.0, g / xp.where(flat, 1.0, 2 * result))
    return _var_slope(xp, scaled, self, dim, correction, keepdim)


def _mean_slope(xp: Any, g: Any, self: Any, dim: Any, keepdim: Any) -> Any:
    shape = tuple(self.shape)
    return spread(xp, g / max(count(shape, dim), 1), shape, dim, keepdim)


def _var_forward(self: Any, *, dim: Any, correction: Any, keepdim: bool) -> Any:
    return _moments(self, dim, 1 if correction is None else correction, keepdim)[0]


def _var_mean_forward(self: Any, *, dim: Any, correction: Any, keepdim: bool) -> Any:
    return _moments(self, dim, 1 if correction is None else correction, keepdim)


def _std_mean_forward(self: Any, *, dim: Any, correction: Any, keepdim: bool) -> Any:
    variance, center = _var_mean_forward(self, dim=dim, correction=correction, keepdim=keepdim)
    return np.sqrt(variance), center


_var = Primitive("var", _var_forward, {"self": _var_slope}, holomorphic=False)
_std = Primitive(
    "std",
    lambda self, *, dim, correction, keepdim: np.sqrt(
        _var_forward(self, dim=dim, correction=correction, keepdim=keepdim)
    ),
    {"self": _std_slope},
    outputs=("result",),
    holomorphic=False,
)
_var_mean = Primitive(
    "var_mean",
    _var_mean_forward,
    {
        "self": lambda xp, g, self, dim, correction, keepdim: (
            _var_slope(xp, g[0], self, dim, correction, keepdim) + _mean_slope(xp, g[1], self, dim, keepdim)
        )
    },
    outputs=("result0", "result1"),
    holomorphic=False,
)
_std_mean = Primitive(
    "std_mean",
    _std_mean_forward,
    {
        "self": lambda xp, g, self, result0, dim, correction, keepdim: (
            _std_slope(xp, g[0], self, result0, dim, correction, keepdim)
            + _mean_slope(xp, g[1], self, dim, keepdim)
        )
    },
    outputs=("result0", "result1"),
    holomorphic=False,
)


def _spreads(name: str, primitive: Primitive, formula: str, pair: bool = False) -> Any:
    """The public function of one of the four moments."""

    @numpy_names
    def moment(
        input: Any,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: Any = False,
        *,
        correction: Any = None,
        out: Any = None,
    ) -> Any:
        if isinstance(dim, bool):  # var(x, False): the flag alone
            dim, unbiased = None, dim
        if unbiased is not None and correction is not None:
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got both unbiased and correction"
            )
        if unbiased is not None:
            correction = 1 if unbiased else 0
        x, want = working(input, name)
        if want.category < 2:
            raise RuntimeError("std and var only support floating point and complex dtypes")
        dims = None if dim is None else axes(dim, x._array.ndim)
        freedom = count(x._array.shape, dims) - (1 if correction is None else correction)
        if freedom <= 0 and kept(x._array.shape, dims).count(0) == 0:
            warnings.warn(
                f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
                "reduction factor (input numel divided by output numel).",
                UserWarning,
                stacklevel=3,
            )
        made = primitive(x, dim=dims, correction=correction, keepdim=keepdim)
        if pair:
            return rounded(made[0], want.to_real()), rounded(made[1], want)
        return rounded(made, want.to_real(), out)

    moment.__name__ = moment.__qualname__ = name
    moment.__doc__ = f"""{formula}, with n elements and `correction` 1 unless given (`unbiased=False`: 0).

    `dim`: a number or several; all without it. Warns, and gives NaN or infinity, where n ≤ correction."""
    return moment


var = _spreads("var", _var, "∑ |x − mean|² / (n − correction)")
std = _spreads("std", _std, "√(∑ |x − mean|² / (n − correction))")
var_mean = _spreads("var_mean", _var_mean, "∑ |x − mean|² / (n − correction) and the mean", pair=True)
std_mean = _spreads("std_mean", _std_mean, "√(∑ |x − mean|² / (n − correction)) and the mean", pair=True)


# ---- covariance and correlation ----------------------------------------------------------------------------
def _check_weights(weights: Any, name: str, observations: int, integral: bool) -> None:
    """PyTorch's checks of `fweights` and `aweights`."""
    array = weights._array
    if array.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{array.ndim} dimensions"
        )
    if (array.dtype.kind in "iu") != integral:
        kind = "integral" if integral else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with {legacy(weights)} dtype"
        )
    if array.size != observations:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{array.size} != {observations}"
        )
    if array.size and array.min() < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """(x − mean) w (x − mean)ᴴ / (∑ w − correction): each row is a variable, each column an observation.

    fweights: how often each observation counts (integers); aweights: how much.
    """
    array = check_tensor(input, "cov")._array
    if array.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with "
            f"{array.ndim} dimensions"
        )
    if array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input.reshape((1, -1)) if array.ndim < 2 else input
    observations = x._array.shape[1]
    weights: Any = None
    for value, name in ((fweights, "fweights"), (aweights, "aweights")):
        if value is not None:
            _check_weights(value, name, observations, name == "fweights")
            weights = value if weights is None else weights * value
    total = observations if weights is None else weights.sum()
    center = (x.sum(1, True) if weights is None else (x * weights).sum(1, True)) / total
    norm = total
    if aweights is not None and correction:
        norm = total - correction * (weights * aweights).sum() / total
    elif correction:
        norm = total - correction
    if isinstance(norm, Variable):
        norm = norm.clamp(min=0)
    elif norm <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
            "observations.",
            UserWarning,
            stacklevel=2,
        )
        norm = 0
    deviation = x - center
    weighted = deviation if weights is None else deviation * weights
    return (weighted @ deviation.t().conj() / norm).squeeze()


def corrcoef(input: Any) -> Any:
    """The covariances, divided by the standard deviations of both variables; between −1 and 1."""
    ndim = check_tensor(input, "corrcoef")._array.ndim
    if ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{ndim} dimensions"
        )
    c = cov(input)
    if not c._array.ndim:
        return c / c
    deviation = c.diagonal().real.sqrt() if c._array.dtype.kind == "c" else c.diagonal().sqrt()
    result = c / deviation.reshape((-1, 1)) / deviation
    return result if c._array.dtype.kind == "c" else result.clamp(-1, 1)
