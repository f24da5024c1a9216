"""NumPy's BLAS, held to one thread where that is enough.

OpenBLAS takes all processors from some ten thousand numbers on, and its threads then spin for 20 ms in wait of the next call:
on the processors that the threads of the kernels want, which find none and take turns with their caller. What clew
computes with many threads it shares out itself (`threads.spread`); products too small for that are computed by one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import import_module
from typing import Any

FEW = 1 << 13  # numbers below which OpenBLAS works alone by itself
_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")


def _find() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """OpenBLAS's own functions that read and set its number of threads; None where NumPy has another BLAS."""
    try:
        library = ctypes.PyDLL(import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, OSError, AttributeError, TypeError):
        return None
    for name in _NAMES:
        read = getattr(library, name.format("get_num_threads"), None)
        write = getattr(library, name.format("set_num_threads"), None)
        if read is not None and write is not None:
            return read, write
    return None


_found: list[Any] = []


def alone(function: Callable[..., Any], *args: Any) -> Any:
    """function(*args), a product of small matrices, on one thread.

    Two threads of the program may do so at once: whichever finds that the number is one already leaves it as it is.
    """
    if not _found:
        _found.append(_find())
    if _found[0] is None:
        return function(*args)
    read, write = _found[0]
    count = read()
    if count <= 1:
        return function(*args)
    write(1)
    try:
        return function(*args)
    finally:
        write(count)


__all__ = ["FEW", "alone"]
