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


class _Uninitialized:
    """What parameters and buffers without a shape share: they get one by `materialize`, and their ordinary class."""

    __slots__ = ()
    cls_to_become: type = Tensor

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Take a shape (the values are arbitrary) and become an ordinary tensor."""
        from clew.ops.create import empty

        made = empty(shape, device=device, dtype=self.dtype if dtype is None else dtype)
        self.__class__ = self.cls_to_become
        self.data = made

    @property
    def shape(self) -> Any:
        """RuntimeError: there is none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to "
            "initialize the parameters before accessing their attributes."
        )

    def numel(self) -> Any:
        """ValueError: there is no shape yet."""
        raise ValueError(
            "Attempted to use an uninitialized parameter in <method 'numel' of 'torch._C.TensorBase' objects>. This error "
            "happens when you are using a `LazyModule` or explicitly manipulating "
            f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call `forward` with a dummy batch "
            "to initialize the parameters before calling torch functions"
        )

    def share_memory_(self) -> Any:
        """RuntimeError: there is no memory yet."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters before "
            "calling `module.share_memory()`."
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        return type(self), (self.requires_grad,)

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, dtype=self.dtype)
        return memo[id(self)]


def _shapeless(cls: Any, requires_grad: bool, device: Any, dtype: Any) -> Any:
    from clew.ops.create import empty

    self = empty(0, device=device, dtype=dtype)
    self.__class__ = cls
    if requires_grad:
        self._become_leaf()
    return self


class UninitializedParameter(_Uninitialized, Parameter):  # type: ignore[misc]
    """A parameter whose shape the first input will tell."""

    __module__ = "torch.nn.parameter"
    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return _shapeless(cls, requires_grad, device, dtype)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        """The work is done in `__new__`."""


class UninitializedBuffer(_Uninitialized, Tensor):  # type: ignore[misc]
    """A buffer whose shape the first input will tell."""

    __module__ = "torch.nn.parameter"
    __slots__ = ()

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        return _shapeless(cls, requires_grad, device, dtype)

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        """The work is done in `__new__`."""


def is_lazy(param: Any) -> bool:
    """Whether it is a parameter or buffer without a shape."""
    return isinstance(param, _Uninitialized)


__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]
