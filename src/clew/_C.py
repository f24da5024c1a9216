"""What libraries look for in PyTorch's compiled part: the error of linear algebra, and notes of usage, of which clew keeps none."""

from __future__ import annotations

from clew.ops._matrices import LinAlgError as _LinAlgError

__all__ = ["_LinAlgError"]


def _log_api_usage_once(event: str) -> None:
    """PyTorch counts uses of its parts; clew counts nothing."""


def _get_tracing_state() -> None:
    """Never: clew does not trace scripts."""
