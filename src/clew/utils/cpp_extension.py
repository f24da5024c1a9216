"""C++ and CUDA extensions: clew is Python, and cannot hold operators compiled against PyTorch's headers."""

from __future__ import annotations

import os
from typing import Any, NoReturn

CUDA_HOME = os.environ.get("CUDA_HOME")
IS_WINDOWS = os.name == "nt"


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError(
        "clew has no C++ interface: an operator of its own is written as a torch.autograd.Function, on tensors or (with "
        ".numpy()) on arrays that Numba compiles"
    )


load = load_inline = include_paths = library_paths = CppExtension = CUDAExtension = BuildExtension = _refuse

__all__ = [
    "CUDA_HOME",
    "BuildExtension",
    "CUDAExtension",
    "CppExtension",
    "include_paths",
    "library_paths",
    "load",
    "load_inline",
]
