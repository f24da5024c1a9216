"""CUDA's flags: kept, without effect. There is no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class _Matmul:
    """How a GPU would multiply matrices."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False
    fp32_precision = "none"


matmul = _Matmul()
_enabled = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """False."""
    return False


def flash_sdp_enabled() -> bool:
    """What `enable_flash_sdp` set."""
    return _enabled["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """What `enable_mem_efficient_sdp` set."""
    return _enabled["mem_efficient"]


def math_sdp_enabled() -> bool:
    """What `enable_math_sdp` set."""
    return _enabled["math"]


def cudnn_sdp_enabled() -> bool:
    """What `enable_cudnn_sdp` set."""
    return _enabled["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    """Kept; attention is computed the same way."""
    _enabled["flash"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Kept; attention is computed the same way."""
    _enabled["mem_efficient"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """Kept; attention is computed the same way."""
    _enabled["math"] = enabled


def enable_cudnn_sdp(enabled: bool) -> None:
    """Kept; attention is computed the same way."""
    _enabled["cudnn"] = enabled


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:  # fmt: skip
    """Set the flags for the length of a `with` block."""
    before = dict(_enabled)
    _enabled.update(
        flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn
    )
    try:
        yield
    finally:
        _enabled.update(before)
