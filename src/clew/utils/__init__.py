"""Rooms beside the tensors: exchange with other libraries, data loading."""

from typing import Any as _Any

from clew.utils import dlpack

__all__ = ["data", "dlpack"]


def __getattr__(name: str) -> _Any:
    """Loaded when first asked for."""
    from importlib import import_module

    if not name.startswith("__"):
        try:
            return import_module(f"clew.utils.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"clew.utils.{name}":
                raise
    raise AttributeError(f"module 'torch.utils' has no attribute '{name}' (clew does not have it)")
