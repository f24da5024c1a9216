"""How kernels are compiled: machine code is kept on disk where a folder can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.compiler import Compiler

EXACT: frozenset[str] = frozenset()  # as written
CONTRACT = frozenset({"contract"})  # a·b + c rounded once
SUMS = frozenset({"reassoc"})  # sums in any order, no more
REORDER = frozenset(
    {"contract", "reassoc"}
)  # sums in any order, as NumPy's and PyTorch's are; NaN and infinities hold


class Apart(Compiler):
    """Compiles a function whose arrays (or pointers) lead to memories that do not overlap."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state.flags.noalias = True


def compiled(
    function: Callable[..., Any] | None = None, *, math: frozenset[str] = REORDER, apart: bool = False
) -> Any:
    """A loop as machine code that lets other threads run meanwhile. apart: its arrays never overlap."""
    if function is None:
        return lambda f: compiled(f, math=math, apart=apart)
    options: dict[str, Any] = {"nogil": True, "fastmath": set(math), "error_model": "numpy"}
    if apart:
        options["pipeline_class"] = Apart
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache
        return numba.njit(**options)(function)


__all__ = ["CONTRACT", "EXACT", "REORDER", "SUMS", "Apart", "compiled"]
