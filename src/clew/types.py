"""Names for type annotations."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from clew.device import device
from clew.dtypes import dtype as _dtype  # noqa: F401
from clew.size import Size
from clew.tensor import Tensor

Number = builtins.int | builtins.float | builtins.bool
Device = device | builtins.str | builtins.int | None
Storage = Any
FileLike = Any
_TensorOrTensors = Tensor | Sequence[Tensor]
_size = Size | list[int] | tuple[int, ...]
_int, _float, _bool = builtins.int, builtins.float, builtins.bool

__all__ = ["Device", "FileLike", "Number", "Storage"]
