"""Windows for signal processing: `torch.signal.windows`' functions.

`sym`: the window of M weights is symmetric, for designing filters; else it is the symmetric window of M + 1 weights
without its last, for spectra. All of them raise ValueError for a negative length and for types other than float32 and
float64, and give an empty tensor for M = 0 and a single 1 for M = 1. (F. J. Harris, "On the use of windows for harmonic
analysis with the discrete Fourier transform", 1978.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clew.device import check as check_device
from clew.dtypes import dtype, get_default_dtype
from clew.ops.create import as_dtype, finish
from clew.ops.special import scipy_special

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann",
    "kaiser", "nuttall",
]  # fmt: skip

Weights = Callable[..., Any]  # weights from positions 0 … M-1, the number of steps, and parameters


def _kind(name: str, M: int, layout: Any, given: Any) -> dtype:
    """The type of a window; ValueError for what cannot be made."""
    if not hasattr(M, "__index__"):
        raise TypeError(f"{name}(): argument 'M' must be int, not {type(M).__name__}")
    kind = as_dtype(given) or get_default_dtype()
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not None and layout.name != "strided":
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if kind.name not in ("float32", "float64"):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")
    return kind


def _made(
    name: str, weights: Weights, M: int, sym: bool, dtype: Any, layout: Any, device: Any, requires_grad: bool
) -> Any:
    want = _kind(name, M, layout, dtype).np
    check_device(device)
    if M <= 1:
        return finish(np.ones(M, want), requires_grad)
    return finish(weights(np.arange(M), M - 1 if sym else M).astype(want), requires_grad)


def _window(formula: Weights) -> Callable[..., Any]:
    """A window's function from `formula(n, steps, **parameters)`; a parameter it finds wrong is a ValueError."""
    name = formula.__name__

    def window(
        M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, **parameters: Any,
    ) -> Any:  # fmt: skip
        check = _CHECKS.get(name)
        if check is not None:
            _kind(name, M, layout, dtype)
            check(sym=sym, **parameters)
        return _made(
            name,
            lambda n, steps: formula(n, steps, **parameters),
            M,
            sym,
            dtype,
            layout,
            device,
            requires_grad,
        )

    window.__name__ = window.__qualname__ = name
    window.__doc__ = formula.__doc__
    return window


# ---- sums of cosines -----------------------------------------------------------------------------
def general_cosine(
    M: int, *, a: Sequence[float], sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """∑ (-1)ⁱ·aᵢ·cos(2πi·n / (M - 1)). TypeError unless `a` is a list, ValueError for an empty one."""
    _kind("general_cosine", M, layout, dtype)
    if not isinstance(a, Sequence):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")

    def weights(n: Any, steps: int) -> Any:
        angles = np.multiply.outer(np.arange(len(a)), n * (2 * math.pi / steps))
        return np.array([(-1) ** i * value for i, value in enumerate(a)]) @ np.cos(angles)

    return _made("general_cosine", weights, M, sym, dtype, layout, device, requires_grad)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Any:
    """α - (1 - α)·cos(2πn / (M - 1))"""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Any:
    """0.54 - 0.46·cos(2πn / (M - 1))"""
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Any:
    """½ - ½·cos(2πn / (M - 1))"""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Any:
    """The minimal sum of four cosines. (A. H. Nuttall, "Some windows with very good sidelobe behavior", 1981.)"""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)


@_window
def blackman(n: Any, steps: int) -> Any:
    """0.42 - ½·cos(2πn / (M - 1)) + 0.08·cos(4πn / (M - 1))"""
    angle = n * (2 * math.pi / steps)
    return 0.42 - 0.5 * np.cos(angle) + 0.08 * np.cos(2 * angle)


# ---- others --------------------------------------------------------------------------------------
@_window
def bartlett(n: Any, steps: int) -> Any:
    """1 - |2n / (M - 1) - 1|: a triangle."""
    return 1 - np.abs(n * (2 / steps) - 1)


@_window
def cosine(n: Any, steps: int) -> Any:
    """sin(π·(n + ½) / M): half a wave."""
    return np.sin((n + 0.5) * (math.pi / (steps + 1)))


@_window
def exponential(n: Any, steps: int, center: float | None = None, tau: float = 1.0) -> Any:
    """exp(-|n - center| / tau), the middle being the center of a symmetric window."""
    return np.exp(-np.abs(n - (steps / 2 if center is None else center)) / tau)


@_window
def gaussian(n: Any, steps: int, std: float = 1.0) -> Any:
    """exp(-½·((n - middle) / std)²)"""
    return np.exp(-0.5 * ((n - steps / 2) / std) ** 2)


@_window
def kaiser(n: Any, steps: int, beta: float = 12.0) -> Any:
    """I₀(β·√(1 - (2n / (M - 1) - 1)²)) / I₀(β), I₀ the modified Bessel function.

    (J. F. Kaiser, "Nonrecursive digital filter design using the I₀-sinh window function", 1974.)
    """
    off = n * (2 / steps) - 1
    i0 = scipy_special("i0")
    return i0(beta * np.sqrt(np.maximum(1 - off * off, 0))) / i0(beta)


def _check_exponential(sym: bool, center: float | None = None, tau: float = 1.0) -> None:
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")


def _check_gaussian(sym: bool, std: float = 1.0) -> None:
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")


def _check_kaiser(sym: bool, beta: float = 12.0) -> None:
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")


_CHECKS: dict[str, Callable[..., None]] = {
    "exponential": _check_exponential,
    "gaussian": _check_gaussian,
    "kaiser": _check_kaiser,
}
