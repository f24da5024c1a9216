"""cuDNN's flags: kept, without effect. There is no cuDNN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

enabled = True
benchmark = False
benchmark_limit: int | None = None
deterministic = False
allow_tf32 = True
fp32_precision = "none"


def is_available() -> bool:
    """False."""
    return False


def version() -> None:
    """None: there is none."""


def is_acceptable(tensor: Any) -> bool:
    """False."""
    return False


@contextmanager
def flags(**wanted: Any) -> Iterator[None]:
    """Set flags for the length of a `with` block."""
    before = {name: globals()[name] for name in wanted}
    globals().update(wanted)
    try:
        yield
    finally:
        globals().update(before)
