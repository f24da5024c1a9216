"""Freed memory is kept for the next step.

A training step allocates and frees the same arrays again and again. The C library's allocator gives back to the system what
lies free at its end, as soon as that is a few megabytes; the next step then meets fresh pages, each of which the system has
to clear: a third of the time of a step with large arrays. `keep` asks the GNU C library to hold on to more. It is asked
once, when the first large array is computed, and not where the environment sets the allocator's numbers itself.
"""

from __future__ import annotations

import os
import sys

KEPT = 256 << 20  # bytes of free memory that stay with the process
MAPPED = 64 << 20  # bytes from which on an array has pages of its own, which go back when it is freed
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep() -> bool:
    """Let the allocator keep freed memory; whether it agreed."""
    if sys.platform != "linux" or any(name in os.environ for name in _SETTINGS):
        return False
    from ctypes import CDLL

    try:
        library = CDLL(None)
        _ = library.gnu_get_libc_version
    except (OSError, AttributeError):
        return False
    # Its limit for what gets pages of its own moves by itself until either number is set: then both have to be.
    return bool(
        library.mallopt(_MMAP_THRESHOLD, MAPPED) or library.mallopt(_MMAP_THRESHOLD, 32 << 20)
    ) and bool(library.mallopt(_TRIM_THRESHOLD, KEPT))


def give_back() -> None:
    """Let the system have what the allocator keeps: before something that needs much memory of another kind."""
    if sys.platform != "linux":
        return
    from ctypes import CDLL

    try:
        CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # another C library
        return


__all__ = ["give_back", "keep"]
