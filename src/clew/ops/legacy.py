"""The constructors of old: `Tensor(2, 3)`, `FloatTensor([1, 2])`, `x.new(...)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.dtypes import all_dtypes, dtype, from_numpy, legacy_name
from clew.ops.create import is_data, shape_of, to_array

__all__ = [
    "BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor",
    "LongTensor", "ShortTensor",
]  # fmt: skip


def made(want: dtype, args: tuple[Any, ...]) -> Any:
    """Sizes give a tensor of that shape, a sequence or an array its values, nothing an empty tensor."""
    if not args:
        return wrap(np.empty(0, dtype=want.np))
    first = args[0]
    if len(args) == 1 and isinstance(first, Variable) and first._array.ndim:
        have = from_numpy(first._array.dtype)
        if have is not want:
            raise TypeError(f"expected {legacy_name(want)} (got {legacy_name(have)})")
        return first.detach()
    if len(args) == 1 and is_data(first):
        return wrap(np.atleast_1d(to_array(first, want, copy=True)))
    return wrap(np.zeros(shape_of(args, "new"), dtype=want.np))


def new(self: Any, *args: Any, device: Any = None) -> Any:
    """A tensor of this tensor's type, as the class of that type would make it."""
    return made(from_numpy(self._array.dtype), args)


class TensorType(type):
    """The class of `FloatTensor` and its kin: instances are the tensors of one element type."""

    dtype: dtype

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Variable) and from_numpy(instance._array.dtype) is cls.dtype

    def __call__(cls, *args: Any, device: Any = None) -> Any:
        return made(cls.dtype, args)

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


def _tensor_type(name: str) -> Any:
    kind = next(d for d in all_dtypes if legacy_name(d) == name)
    return TensorType(
        f"{name}Tensor", (), {"dtype": kind, "__doc__": f"Tensors of type {kind}.", "is_cuda": False}
    )


FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor = map(
    _tensor_type, ("Float", "Double", "Half", "BFloat16")
)
ByteTensor, CharTensor, ShortTensor = map(_tensor_type, ("Byte", "Char", "Short"))
IntTensor, LongTensor, BoolTensor = map(_tensor_type, ("Int", "Long", "Bool"))
