"""Loops that replace a chain of array passes by one, compiled by Numba for large float32 and float64 arrays.

An operation asks `pick("gelu", x)` before it computes: it gets the kernel, or None where its own plain formula is to
run: for small arrays (below a measured size Numba is never imported), other types, and memory that is not contiguous.
Kernels give what the plain formula gives, to rounding. `spread` shares the work out among threads.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from numpy import ndarray

from clew.core.modes import recordings
from clew.core.variable import FLOAT32, FLOAT64
from clew.kernels import threads
from clew.kernels.memory import keep
from clew.kernels.threads import count_threads, set_threads, spread

__all__ = ["count_threads", "pick", "set_threads", "spread"]

Kernel = Callable[..., Any]

# Where each kernel is, and from how many numbers on it is used. Most are faster from a thousand on; but there the plain
# formula takes microseconds, and who computes nothing larger is spared Numba's 0.3 s.
KERNELS = {
    "gelu": ("elementwise", 1 << 13),
    "gelu_back": ("elementwise", 1 << 13),
    "gelu_tanh": ("elementwise", 1 << 14),
    "gelu_tanh_back": ("elementwise", 1 << 14),
    "silu": ("elementwise", 1 << 14),
    "silu_back": ("elementwise", 1 << 14),
    "sigmoid": ("elementwise", 1 << 15),
    "sigmoid_back": ("elementwise", 1 << 15),
    "relu": ("elementwise", 1 << 15),
    "relu_back": ("elementwise", 1 << 15),
    "tanh_back": ("elementwise", 1 << 16),
    "total": ("losses", 1 << 18),
    "mse": ("losses", 1 << 15),
    "mse_back": ("losses", 1 << 15),
    "smooth_l1": ("losses", 1 << 14),
    "smooth_l1_back": ("losses", 1 << 14),
    "huber": ("losses", 1 << 14),
    "huber_back": ("losses", 1 << 14),
    "bce_logits": ("losses", 1 << 14),
    "bce_logits_back": ("losses", 1 << 14),
    "softmax": ("rows", 1 << 14),
    "softmax_back": ("rows", 1 << 13),
    "log_softmax": ("rows", 1 << 14),
    "log_softmax_back": ("rows", 1 << 14),
    "causal_softmax": ("rows", 1 << 13),
    "layer_norm": ("rows", 1 << 13),
    "layer_norm_back": ("rows", 1 << 13),
    "adam": ("updates", 1 << 14),
    "momentum": ("updates", 1 << 15),
    "convolve": ("convolution", 1 << 13),
    "correlate": ("convolution", 1 << 13),
    "pairs_max": ("pooling", 1 << 14),
    "pairs_max_back": ("pooling", 1 << 12),
    "lstm": ("recurrent", 1 << 15),
    "lstm_back": ("recurrent", 1 << 15),
}
WRITING = {
    "lstm",
    "lstm_back",
}  # into arrays of a larger operation, which a recording takes as one step
loaded: dict[str, Kernel] = {}  # those asked for so far: empty until Numba is imported


def pick(name: str, array: Any, *others: Any) -> Kernel | None:
    """The kernel of that name for these arrays, whose first says how large the work is; None: run the plain formula."""
    room, smallest = KERNELS[name]
    if array.size < smallest:
        return None
    dtype = array.dtype
    if dtype is not FLOAT32 and dtype is not FLOAT64:
        return None
    for a in (array, *others):
        if a.dtype is not dtype or not a.flags.c_contiguous:
            return None
    kernel = loaded.get(name) or _load(room, name)
    if kernel is None or not recordings or all(type(a) is ndarray for a in (array, *others)):
        return kernel
    if name in WRITING:
        return None
    return lambda *args: recordings[-1].call(kernel, args, {})


def _load(room: str, name: str) -> Kernel | None:
    """The kernel, or None where Numba cannot be imported: then everything runs plainly."""
    prepare()
    try:
        module = import_module(f"clew.kernels.{room}")
    except ImportError:
        KERNELS.update({other: (where, _NEVER) for other, (where, _) in KERNELS.items()})
        return None
    kernel: Kernel = getattr(module, name)
    note(name, kernel)
    return kernel


def note(name: str, kernel: Kernel) -> None:
    """A kernel has been loaded, and Numba with it."""
    if not loaded:
        threads.spinning.append(import_module("clew.kernels.waiting").wait)
    loaded[name] = kernel


def prepare() -> None:
    """What is done once, before the first large array is computed."""
    if not _prepared:
        _prepared.append(keep())


_prepared: list[bool] = []
_NEVER = 1 << 62
