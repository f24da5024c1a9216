"""`torch.cuda`, answering honestly: there is no GPU. The place where one will come (see docs/design.md)."""

from __future__ import annotations

from typing import Any, NoReturn

_NONE = "Torch not compiled with CUDA enabled (clew runs on the CPU; use device='cpu')"


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AssertionError(_NONE)


current_device = set_device = get_device_name = get_device_properties = get_device_capability = init = _refuse
Stream = Event = current_stream = stream = _refuse


def manual_seed(seed: int) -> None:
    """Nothing to seed: the call is ignored, as PyTorch ignores it without a GPU."""


def manual_seed_all(seed: int) -> None:
    """Nothing to seed: the call is ignored, as PyTorch ignores it without a GPU."""


def empty_cache() -> None:
    """Nothing to empty."""


def synchronize(device: Any = None) -> None:
    """AssertionError: there is no GPU to wait for."""
    _refuse()


def memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


__all__ = ["device_count", "is_available", "manual_seed", "manual_seed_all"]
