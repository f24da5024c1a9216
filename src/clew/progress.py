"""A bar for what takes long: on a terminal only, on stderr, and gone when it is done."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

__all__ = ["progress"]

T = TypeVar("T")
FEW = 5000  # things that are done before anyone would look for a bar
PATIENCE = 1.0  # seconds before the bar appears


def progress(things: Sequence[T], what: str) -> Iterable[T]:
    """The things themselves; while they are gone through, a bar that says `what` is done. Without tqdm, no bar."""
    stream = sys.__stderr__
    if len(things) <= FEW or stream is None or not stream.isatty():
        return things
    try:
        from tqdm import tqdm
    except ImportError:
        return things
    bar: Iterable[T] = tqdm(things, desc=what, delay=PATIENCE, leave=False, file=stream, dynamic_ncols=True)
    return bar
