"""Questions about values: what is this object, how large, of which type will a result be."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.promotion import result_dtype
from clew.core.variable import Variable
from clew.dtypes import dtype
from clew.kernels import count_threads, set_threads
from clew.ops._arguments import check_tensor
from clew.ops.storages import Storage

__all__ = [
    "can_cast", "finfo", "get_num_threads", "iinfo", "is_complex", "is_floating_point", "is_nonzero", "is_storage",
    "is_tensor", "numel", "result_type", "set_num_threads", "typename", "use_deterministic_algorithms",
]  # fmt: skip


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Variable)


def is_storage(obj: Any) -> bool:
    """Whether `obj` is the memory of a tensor."""
    return isinstance(obj, Storage)


def is_floating_point(input: Any) -> bool:
    """Whether the elements are floating numbers."""
    return check_tensor(input, "is_floating_point").dtype.is_floating_point


def is_complex(input: Any) -> bool:
    """Whether the elements are complex numbers."""
    return check_tensor(input, "is_complex").dtype.is_complex


def is_nonzero(input: Any) -> bool:
    """Whether the only element is not 0."""
    return bool(input)


def numel(input: Any) -> int:
    """The number of elements."""
    return check_tensor(input, "numel")._array.size


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The type of the sum of two tensors or numbers."""
    return result_dtype(tensor1, tensor2)


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a type converts to another without changing to a lower category."""
    if from_.is_signed and not to.is_signed and to.category == 1 and from_.category == 1:
        return False
    return from_.category <= to.category


def typename(obj: Any) -> str:
    """The type's name with its module."""
    if isinstance(obj, Variable):
        return obj.type()
    cls = type(obj)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"


class finfo:
    """Limits of a floating type: `finfo(float32).eps`."""

    def __init__(self, type: dtype | None = None) -> None:
        from clew.dtypes import defaults

        kind = type or defaults.dtype
        if kind.category < 2:
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{kind}'"
            )
        if kind.name == "bfloat16":
            import ml_dtypes

            info: Any = ml_dtypes.finfo(kind.np)
        else:
            info = np.finfo(kind.to_real().np)
        self.bits = kind.to_real().itemsize * 8
        self.eps = float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(info.resolution)
        self.dtype = kind.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type: `iinfo(int64).max`."""

    def __init__(self, type: dtype) -> None:
        if type.category != 1:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'"
            )
        info = np.iinfo(type.np)
        self.bits, self.max, self.min, self.dtype = info.bits, int(info.max), int(info.min), type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def get_num_threads() -> int:
    """How many threads operations may use."""
    return count_threads()


def set_num_threads(int: int) -> None:
    """How many threads operations may use from now on (NumPy's BLAS takes its number from the environment)."""
    if int <= 0:
        raise RuntimeError("expected a positive number of threads")
    set_threads(int)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: every operation is deterministic."""
