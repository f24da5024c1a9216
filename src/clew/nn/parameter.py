"""Parameter and Buffer: tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import wrap
from clew.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a module counts among its parameters. It requires grad unless told otherwise."""

    __module__ = "torch.nn.parameter"  # programs print `type(p)`
    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if data is None:
            data = wrap(np.empty(0, dtype=np.float32))
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter data must be a Tensor, not {type(data).__name__}")
        if type(data) not in (Tensor, Parameter) and type(data) is not cls and hasattr(data, "_is_param"):
            setattr(data, "_is_param", True)  # noqa: B010 - an attribute of the subclass
            return data
        data.memory()
        self = data.detach()
        self.__class__ = cls
        if requires_grad:
            self._become_leaf()
        return self

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        """The work is done in `__new__`: a parameter shares the memory of its data."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = dict(self.__dict__)
        return _remade, (self.detach(), self.requires_grad, state)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        result = Parameter(self.detach().clone(), self.requires_grad)
        result.__dict__.update(self.__dict__)
        memo[id(self)] = result
        return result


def _remade(data: Any, requires_grad: bool, state: dict[str, Any]) -> Parameter:
    """A parameter from its pickle."""
    made = Parameter(data, requires_grad)
    made.__dict__.update(state)
    return made


class Buffer(Tensor):
    """A tensor that a module counts among its buffers: state that is no parameter."""

    __slots__ = ()

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = wrap(np.empty(0, dtype=np.float32))
        self = data.detach().requires_grad_(data.requires_grad)
        self.__class__ = cls
        self.persistent = persistent
        return self

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        """The work is done in `__new__`."""


__all__ = ["Buffer", "Parameter"]
