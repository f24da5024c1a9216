"""`Variable`: the name tensors had before 2018, when a tensor that records was a class of its own."""

from __future__ import annotations

from typing import Any

from clew.core.variable import classes


class _VariableMeta(type):
    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, classes.tensor)


class Variable(metaclass=_VariableMeta):
    """`Variable(tensor, requires_grad)` is a tensor of the same values, without history."""

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if data is None:
            return classes.tensor()
        made = data.detach()
        return made.requires_grad_() if requires_grad else made


__all__ = ["Variable"]
