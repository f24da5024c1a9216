"""How kernels are compiled: machine code is kept on disk where a folder can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

EXACT: frozenset[str] = frozenset()  # as written
CONTRACT = frozenset({"contract"})  # a·b + c rounded once
SUMS = frozenset({"reassoc"})  # sums in any order, no more
REORDER = frozenset(
    {"contract", "reassoc"}
)  # sums in any order, as NumPy's and PyTorch's are; NaN and infinities hold


def compiled(function: Callable[..., Any] | None = None, *, math: frozenset[str] = REORDER) -> Any:
    """A loop as machine code that lets other threads run meanwhile."""
    if function is None:
        return lambda f: compiled(f, math=math)
    options: dict[str, Any] = {"nogil": True, "fastmath": set(math), "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache
        return numba.njit(**options)(function)


__all__ = ["CONTRACT", "EXACT", "REORDER", "SUMS", "compiled"]
