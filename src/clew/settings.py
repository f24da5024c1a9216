"""What programs set once: default types and devices, and flags about speed and determinism."""

from __future__ import annotations

import warnings
from typing import Any

from clew.core.modes import first_time, tell_always
from clew.device import check, device
from clew.dtypes import set_default_dtype

__all__ = [
    "are_deterministic_algorithms_enabled", "get_autocast_dtype", "get_default_device", "get_deterministic_debug_mode",
    "get_float32_matmul_precision", "get_num_interop_threads", "is_autocast_cache_enabled", "is_autocast_enabled",
    "is_deterministic_algorithms_warn_only_enabled", "set_autocast_enabled", "set_default_device", "set_default_tensor_type",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_num_interop_threads", "set_warn_always",
    "is_warn_always_enabled", "use_deterministic_algorithms", "get_autocast_cpu_dtype", "is_autocast_cpu_enabled",
    "compiled_with_cxx11_abi",
]  # fmt: skip


class _Set:
    """The flags."""

    precision = "highest"
    deterministic = False
    warn_only = False
    interop_threads = 1


def get_default_device() -> device:
    """The CPU."""
    return device("cpu")


def set_default_device(device: Any) -> None:
    """Where new tensors are made: the CPU (or None). An error for what clew has not."""
    check(device)


def set_default_tensor_type(t: Any) -> None:
    """An older way to set the default type: `torch.DoubleTensor`, or its name. TypeError for types that cannot be it."""
    from clew.ops import legacy

    if first_time("set_default_tensor_type"):
        warnings.warn(
            "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
            "torch.set_default_device() as alternatives.",
            UserWarning,
            stacklevel=2,
        )
    name = t if isinstance(t, str) else repr(t).split("'")[1] if "'" in repr(t) else repr(t)
    if name.startswith("torch.cuda."):
        raise TypeError(f"type {name} not available. Torch not compiled with CUDA enabled.")
    kind = getattr(legacy, name.removeprefix("torch."), None) if name.startswith("torch.") else None
    element = getattr(kind, "dtype", None)
    if element is None:
        raise TypeError("invalid type object: only floating-point types are supported as the default type")
    set_default_dtype(element)


def set_float32_matmul_precision(precision: str) -> None:
    """Kept; products of float32 matrices are computed in float32."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the currentsetFloat32MatmulPrecision call has no effect.",
            UserWarning,
            stacklevel=2,
        )
        return
    _Set.precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` set."""
    return _Set.precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Kept; every operation of clew is deterministic."""
    _Set.deterministic, _Set.warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` set."""
    return _Set.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What `use_deterministic_algorithms` set."""
    return _Set.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0 or "default", 1 or "warn", 2 or "error"."""
    number = (
        {"default": 0, "warn": 1, "error": 2}.get(debug_mode, debug_mode)
        if isinstance(debug_mode, str)
        else debug_mode
    )
    if number not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, 2 or `default`, `warn`, `error`, but got {debug_mode}"
        )
    use_deterministic_algorithms(number != 0, warn_only=number == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 (warn) or 2 (error)."""
    return 0 if not _Set.deterministic else 1 if _Set.warn_only else 2


def set_warn_always(b: bool, /) -> None:
    """Whether warnings that are told once are told always."""
    tell_always[0] = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` set."""
    return tell_always[0]


def set_num_interop_threads(threads: int) -> None:
    """Kept; operations run one after another."""
    _Set.interop_threads = threads


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` set."""
    return _Set.interop_threads


def compiled_with_cxx11_abi() -> bool:
    """True, as in PyTorch's builds."""
    return True


# ---- autocast ----------------------------------------------------------------------------------------------------------
def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether `autocast` is in force for a kind of device."""
    from clew.core.modes import switches

    return device_type == "cpu" and switches.autocast is not None


def is_autocast_cpu_enabled() -> bool:
    """Whether `autocast` is in force for the CPU."""
    return is_autocast_enabled("cpu")


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch autocast by hand."""
    from clew.core.modes import switches
    from clew.dtypes import bfloat16

    if device_type == "cpu":
        switches.autocast = bfloat16.np if enabled else None
        switches.note()


def get_autocast_dtype(device_type: str = "cuda") -> Any:
    """The type in which matrix products are computed under `autocast`."""
    from clew.core.modes import switches
    from clew.dtypes import bfloat16, float16, from_numpy

    if device_type != "cpu":
        return float16
    return bfloat16 if switches.autocast is None else from_numpy(switches.autocast)


def get_autocast_cpu_dtype() -> Any:
    """The type in which matrix products are computed under `autocast` on the CPU."""
    return get_autocast_dtype("cpu")


def is_autocast_cache_enabled() -> bool:
    """True."""
    return True
