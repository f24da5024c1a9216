"""How kernels are compiled: machine code is kept on disk where a folder can be written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.ccallback import CFunc
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
        return stamped(numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder for the cache
        return numba.njit(**options)(function)


def settled(function: Callable[..., Any], signature: Any) -> Callable[..., Any]:
    """A loop as machine code for arguments of these types (or what can be seen as such), and no others."""
    made = compiled(function)
    made.compile(signature)
    made.disable_compile()
    found: Callable[..., Any] = made
    return found


def entry(function: Callable[..., Any], signature: Any, math: frozenset[str] = REORDER) -> int:
    """The address of a loop over pointers that lead to memories that do not overlap, as machine code."""
    options = {"error_model": "numpy", "fastmath": set(math)}
    made = CFunc(function, (signature.args, signature.return_type), {}, options, pipeline_class=Apart)
    try:
        made.enable_caching()
    except RuntimeError:  # no folder for the cache
        pass
    stamped(made).compile()
    address: Any = made.address
    return int(address)


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


SOURCES = _digest()  # of all kernels


def stamped(function: Any) -> Any:
    """The function, whose machine code on disk counts for these sources only: Numba asks for the function's own file, but
    what is called from other files is in the machine code, too."""
    file = getattr(getattr(function, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = SOURCES
    return function


__all__ = ["CONTRACT", "EXACT", "REORDER", "SOURCES", "SUMS", "Apart", "compiled", "entry", "settled"]
