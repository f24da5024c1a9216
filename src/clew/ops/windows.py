"""Windows: weights that fade a stretch of samples in and out, as `torch.hann_window` and its kin make them.

A symmetric window of N weights counts n = 0 … N-1 over N - 1 steps; a periodic one is the symmetric one of N + 1
weights without its last, so that it can be repeated. (F. J. Harris, "On the use of windows for harmonic analysis with
the discrete Fourier transform", 1978.)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.device import check as check_device
from clew.dtypes import cpp_name, defaults, dtype, legacy_name
from clew.ops.create import as_dtype, finish
from clew.ops.special import scipy_special

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]

Weights = Callable[..., Any]  # weights from positions 0 … N-1, the number of steps, and parameters


def _check(name: str, length: Any, kind: dtype | None, layout: Any) -> int:
    if not hasattr(length, "__index__") or isinstance(length, bool):
        raise TypeError(
            f"{name}(): argument 'window_length' (position 1) must be int, not {type(length).__name__}"
        )
    if layout is not None and layout.name != "strided":
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout.name}")
    if kind is not None and kind.category < 2:
        raise RuntimeError(
            f"{name} expects floating point dtypes, got: TensorOptions(dtype={cpp_name(kind)}, "
            "device=cpu, layout=Strided (default), requires_grad=false (default), pinned_memory=false, "
            "memory_format=(nullopt))"
        )
    length = operator.index(length)
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if kind is not None and kind.category == 3:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{legacy_name(kind)}'")
    return length


def _window(weights: Weights) -> Callable[..., Any]:
    """A `torch.*_window` function from the formula of its weights."""
    name = weights.__name__

    def window(
        window_length: Any, periodic: bool = True, *params: float, dtype: Any = None, layout: Any = None,
        device: Any = None, pin_memory: bool = False, requires_grad: bool = False, **named: float,
    ) -> Any:  # fmt: skip
        kind = as_dtype(dtype, name)
        length = _check(name, window_length, kind, layout)
        check_device(device)
        want = (kind or defaults.dtype).np
        if length <= 1:
            return finish(np.ones(length, want), requires_grad)
        positions = np.arange(length, dtype=want if want.itemsize > 2 else np.float32)
        made = weights(positions, length if periodic else length - 1, *params, **named)
        return finish(made.astype(want, copy=False), requires_grad)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = weights.__doc__
    return window


def _scaled(n: Any, factor: float) -> Any:
    return n * n.dtype.type(factor)


@_window
def hamming_window(n: Any, steps: int, alpha: float = 0.54, beta: float = 0.46) -> Any:
    """alpha - beta·cos(2πn / (N - 1)). RuntimeError for a negative length or a type that is not floating."""
    return _scaled(np.cos(_scaled(n, 2 * math.pi / steps)), -beta) + n.dtype.type(alpha)


@_window
def hann_window(n: Any, steps: int) -> Any:
    """½ - ½·cos(2πn / (N - 1)) = sin²(πn / (N - 1))"""
    return _scaled(np.cos(_scaled(n, 2 * math.pi / steps)), -0.5) + n.dtype.type(0.5)


@_window
def blackman_window(n: Any, steps: int) -> Any:
    """0.42 - ½·cos(2πn / (N - 1)) + 0.08·cos(4πn / (N - 1))"""
    angle = _scaled(n, math.pi / steps)
    return (
        _scaled(np.cos(_scaled(angle, 4)), 0.08)
        - _scaled(np.cos(_scaled(angle, 2)), 0.5)
        + n.dtype.type(0.42)
    )


@_window
def bartlett_window(n: Any, steps: int) -> Any:
    """1 - |2n / (N - 1) - 1|: a triangle."""
    return 1 - np.abs(_scaled(n, 2 / steps) - 1)


@_window
def kaiser_window(n: Any, steps: int, beta: float = 12.0) -> Any:
    """I₀(β·√(1 - (2n / (N - 1) - 1)²)) / I₀(β), I₀ the modified Bessel function.

    (J. F. Kaiser, "Nonrecursive digital filter design using the I₀-sinh window function", 1974.)
    """
    off = _scaled(n, 2 / steps) - 1
    i0 = scipy_special("i0")
    return i0(_scaled(np.sqrt(np.maximum(1 - off * off, 0)), beta)) / n.dtype.type(i0(beta))
