"""What `autocast` does to operands: matrix products take them in 16 bits, losses and long products in 32.

The operations begin with `if altered and switches.autocast: a, b = lowered(a, b)`, or `raised`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from clew.core.modes import switches
from clew.core.variable import FLOAT32, Variable
from clew.ops._builders import to_copy


def lowered(*values: Any) -> tuple[Any, ...]:
    """float32 and 16-bit tensors in the 16-bit type of `autocast`; everything else as it is."""
    want = switches.autocast
    return tuple([_to(v, want) for v in values])


def raised(*values: Any) -> tuple[Any, ...]:
    """16-bit tensors in float32; everything else as it is."""
    return tuple([_to(v, FLOAT32) for v in values])


@contextmanager
def suspended() -> Iterator[None]:
    """A block without `autocast`, for the steps of an operation whose operands are lowered already."""
    before, switches.autocast = switches.autocast, None
    switches.note()
    try:
        yield
    finally:
        switches.autocast = before
        switches.note()


def _to(value: Any, want: np.dtype[Any]) -> Any:
    if not isinstance(value, Variable):
        return value
    have = value._array.dtype
    floating = have.kind in "fV" and have.itemsize <= 4
    return to_copy(value, dtype=want) if floating and have != want else value
