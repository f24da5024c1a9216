"""`torch.Size`: the sizes of a tensor, a tuple with a name."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

_new = tuple.__new__


class Size(tuple[int, ...]):
    """The sizes of a tensor's dimensions: a tuple that prints as `torch.Size([2, 3])`."""

    __module__ = "torch"  # programs print `type(x.shape)`

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        """A size of whole numbers; TypeError for what is none."""
        found = tuple(sizes)
        for i, n in enumerate(found):
            if n.__class__ is not int:
                if not hasattr(n, "__index__"):
                    raise TypeError(
                        f"torch.Size() takes an iterable of 'int' (item {i} is '{type(n).__name__}')"
                    )
                return tuple.__new__(cls, [operator.index(each) for each in found])
        return tuple.__new__(cls, found)

    def numel(self) -> int:
        """∏ sizes: the number of elements."""
        return math.prod(self)

    def __getitem__(self, key: Any) -> Any:
        found = tuple.__getitem__(self, key)
        return _new(Size, found) if key.__class__ is slice else found

    def __add__(self, other: Iterable[int]) -> Size:  # type: ignore[override]
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: Iterable[int]) -> Size:
        return Size(tuple.__add__(tuple(other), self))

    def __mul__(self, times: Any) -> Size:
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        return _remade, (tuple(self),)


def _remade(values: tuple[int, ...]) -> Size:
    """A size from its pickle."""
    return Size(values)
