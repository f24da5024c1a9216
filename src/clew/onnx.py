"""`torch.onnx`: nets written for other programs. clew writes none."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["export", "is_in_onnx_export"]


def is_in_onnx_export() -> bool:
    """Never: clew does not export."""
    return False


def export(*args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: save the state_dict, and export where PyTorch is."""
    raise RuntimeError(
        "clew writes no ONNX files: save the net's state_dict with torch.save, load it where PyTorch is installed, and export it there"
    )
