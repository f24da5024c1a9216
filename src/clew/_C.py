"""What libraries call of PyTorch's compiled part: notes of usage, of which clew keeps none."""

from __future__ import annotations

__all__: list[str] = []


def _log_api_usage_once(event: str) -> None:
    """PyTorch counts uses of its parts; clew counts nothing."""


def _get_tracing_state() -> None:
    """Never: clew does not trace scripts."""
