"""`torch.cuda`, answering honestly: there is no GPU. The place where one will come (see docs/design.md)."""

from __future__ import annotations

from typing import Any, NoReturn

from clew.cuda import amp

NONE = "Torch not compiled with CUDA enabled (clew runs on the CPU; use device='cpu')"
has_half = True


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


def refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """AssertionError: what needs a GPU."""
    raise AssertionError(NONE)


current_device = set_device = get_device_name = get_device_properties = get_device_capability = init = refuse
synchronize = mem_get_info = get_rng_state = set_rng_state = current_stream = default_stream = set_stream = (
    refuse
)
memory_summary = memory_snapshot = list_gpu_processes = utilization = refuse


class OutOfMemoryError(RuntimeError):
    """A GPU's memory is full: never raised here."""

    __module__ = "torch"


class _NeedsGPU:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse()


class Stream(_NeedsGPU):
    """A queue of work on a GPU."""


class Event(_NeedsGPU):
    """A mark in a stream."""


class CUDAGraph(_NeedsGPU):
    """Recorded work of a GPU."""


class device:
    """A context in which a GPU is the current one; with none (or -1), nothing changes."""

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None else device

    def __enter__(self) -> None:
        if self.idx != -1:
            refuse()

    def __exit__(self, *exc: object) -> None:
        """Nothing to switch back."""


class stream:
    """A context in which a stream is the current one; with None, nothing changes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            refuse()

    def __exit__(self, *exc: object) -> None:
        """Nothing to switch back."""


def manual_seed(seed: int) -> None:
    """Nothing to seed: the call is ignored, as PyTorch ignores it without a GPU."""


def manual_seed_all(seed: int) -> None:
    """Nothing to seed: the call is ignored, as PyTorch ignores it without a GPU."""


def empty_cache() -> None:
    """Nothing to empty."""


def ipc_collect() -> None:
    """AssertionError: there is no GPU."""
    refuse()


def get_rng_state_all() -> list[Any]:
    """Nothing: no GPUs."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Nothing to set."""


def get_arch_list() -> list[str]:
    """Nothing: no GPUs."""
    return []


def memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_cached = max_memory_cached = (
    memory_allocated
)


def reset_peak_memory_stats(device: Any = None) -> None:
    """AssertionError: there is no GPU."""
    refuse()


reset_max_memory_allocated = reset_peak_memory_stats


class _CudaTensorType(type):
    """A class of tensors that only a GPU could hold."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled."
        )

    def __instancecheck__(cls, instance: Any) -> bool:
        return False

    def __repr__(cls) -> str:
        return f"<class 'torch.cuda.{cls.__name__}'>"


FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor, LongTensor, IntTensor, ShortTensor, ByteTensor, CharTensor, BoolTensor = (
    _CudaTensorType(name + "Tensor", (), {})
    for name in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Byte", "Char", "Bool")
)  # fmt: skip

__all__ = ["amp", "device_count", "is_available", "manual_seed", "manual_seed_all"]
