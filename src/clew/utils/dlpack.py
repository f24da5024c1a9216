"""DLPack: the memory of other libraries' arrays as tensors, and back."""

from __future__ import annotations

from typing import Any

from clew.ops.create import from_dlpack


def to_dlpack(tensor: Any) -> Any:
    """The DLPack capsule of a tensor."""
    return tensor.__dlpack__()


__all__ = ["from_dlpack", "to_dlpack"]
