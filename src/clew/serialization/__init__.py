"""Saving and loading: PyTorch's own files, in both directions, without running anything that a file says.

archive: the zip file. pickler: objects into the pickle inside it. unpickler: back, by a list of what is allowed.
files: `save` and `load`.
"""

from clew.serialization.allowed import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
    safe_globals,
)
from clew.serialization.files import load, save

__all__ = [
    "add_safe_globals", "clear_safe_globals", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load",
    "safe_globals", "save",
]  # fmt: skip
