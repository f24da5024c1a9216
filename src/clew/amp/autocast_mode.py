"""`autocast`: inside, matrix products and convolutions of float32 tensors are computed in 16 bits, and what would lose
too much by it (losses, products over dimensions) in float32. (P. Micikevicius et al., "Mixed precision training", 2018.)
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from clew.autograd.grad_mode import _Mode
from clew.core.modes import switches
from clew.device import device
from clew.dtypes import bfloat16, float16


class autocast(_Mode):
    """A context (and decorator) for one kind of device. dtype: bfloat16 or float16; enabled=False: nothing changes.

    Where the device is a GPU, which there is not, it warns and switches itself off, as PyTorch does.
    """

    __slots__ = ("_before", "_cache_enabled", "_enabled", "device", "fast_dtype")

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:  # fmt: skip
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = device(device_type).type
        self.fast_dtype = dtype if dtype is not None else bfloat16 if self.device != "cuda" else float16
        self._cache_enabled = True if cache_enabled is None else cache_enabled
        if self.device == "cuda" and enabled:
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        if self.device == "cpu" and self.fast_dtype not in (bfloat16, float16) and enabled:
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled

    def _again(self) -> Any:
        return autocast(self.device, self.fast_dtype, self._enabled)

    def __enter__(self) -> autocast:
        self._before = switches.autocast
        if self.device == "cpu":
            switches.autocast = self.fast_dtype.np if self._enabled else None
            switches.note()
        return self

    def __exit__(self, *exc: object) -> None:
        switches.autocast = self._before
        switches.note()


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows a kind of device."""
    return device(device_type).type in ("cpu", "cuda")


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str = "cpu", cast_inputs: Any = None
) -> Any:
    """Decorator of a Function's `forward`: it runs with the mode of its caller, or outside it on inputs of a type."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        args[0]._autocast = switches.autocast if cast_inputs is None else None
        if cast_inputs is None or switches.autocast is None:
            return fwd(*args, **kwargs)
        cast = [
            a.to(cast_inputs) if hasattr(a, "is_floating_point") and a.is_floating_point() else a
            for a in args
        ]
        with autocast(device_type, enabled=False):
            return fwd(*cast, **kwargs)

    return decorated


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str = "cpu") -> Any:
    """Decorator of a Function's `backward`: it runs in the mode that `forward` ran in."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        before = switches.autocast
        switches.autocast = args[0]._autocast
        switches.note()
        try:
            return bwd(*args, **kwargs)
        finally:
            switches.autocast = before
            switches.note()

    return decorated
