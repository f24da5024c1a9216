"""Operators of a program's own: `@custom_op("mylib::sin", mutates_args=())` makes one of a function, with its derivative.

Inside the function nothing is recorded, so that it may work with NumPy or another library; `register_autograd` gives the
formula of its gradient, by which the operator is one node of the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from clew import ops
from clew.autograd.function import Function
from clew.autograd.grad_mode import no_grad
from clew.tensor import Tensor

__all__ = ["CustomOpDef", "custom_op", "register_autograd", "register_fake", "register_kernel"]

_KINDS: dict[Any, tuple[type, ...]] = {
    "Tensor": (Tensor,), "float": (float, int), "int": (int,), "bool": (bool,), "str": (str,),
}  # fmt: skip
_defined: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An operator that `custom_op` made: call it as its function."""

    def __init__(self, name: str, function: Callable[..., Any], mutates_args: str | Iterable[str]) -> None:
        self._name, self._function = name, function
        self._signature = inspect.signature(function)
        self._written = set(self._signature.parameters) if mutates_args == "unknown" else set(mutates_args)
        self._backward: Callable[..., Any] | None = None
        self._setup: Callable[..., Any] | None = None
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Accepted: shapes are not worked out without the values here."""
        return fn

    def register_kernel(self, device_types: Any, fn: Callable[..., Any] | None = None, /) -> Any:
        """Another function for some devices: for "cpu" (or all) it takes the place of the first."""

        def register(kernel: Callable[..., Any]) -> Callable[..., Any]:
            wanted = [device_types] if isinstance(device_types, str) or device_types is None else device_types
            if "cpu" in wanted or None in wanted:
                self._function = kernel
            return kernel

        return register if fn is None else register(fn)

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """`backward(ctx, *grads)` gives a gradient for each argument; `setup_context(ctx, inputs, output)` saves for it."""
        if self._written:
            raise RuntimeError(f"Cannot register autograd formula for non-functional operator {self._name}")
        self._backward, self._setup = backward, setup_context

    def _check(self, arguments: dict[str, Any]) -> None:
        for name, value in arguments.items():
            wanted = self._signature.parameters[name].annotation
            wanted = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", "")
            kinds = _KINDS.get(wanted.rpartition(".")[2])
            if kinds is not None and not isinstance(value, kinds):
                raise RuntimeError(
                    f"{self._name}() Expected a value of type '{wanted.rpartition('.')[2]}' for argument '{name}' but instead "
                    f"found type '{type(value).__name__}'."
                )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        self._check(bound.arguments)
        inputs = tuple(bound.arguments.values())
        if self._written:
            with no_grad():
                return self._function(*inputs)
        return self._node().apply(*inputs)

    def _node(self) -> type[Function]:
        """The operator as a step of the graph."""
        if "node" in self.__dict__:
            found: type[Function] = self.__dict__["node"]
            return found
        own = self

        def forward(*inputs: Any) -> Any:
            return own._function(*inputs)

        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            if own._setup is not None:
                own._setup(ctx, inputs, output)

        def backward(ctx: Any, *grads: Any) -> Any:
            if own._backward is None:
                raise RuntimeError(
                    f"Trying to backward through {own._name.replace('::', '.')}.default but no autograd formula was "
                    "registered. Please use register_autograd to add one."
                )
            return own._backward(ctx, *grads)

        name = f"GeneratedBackwardFor_{self._name.replace('::', '_')}_default"
        methods = {f.__name__: staticmethod(f) for f in (forward, setup_context, backward)}
        made: type[Function] = type(name, (Function,), methods)
        self.__dict__["node"] = made
        return made

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._name})>"


def custom_op(
    name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: str | Iterable[str], device_types: Any = None,
    schema: str | None = None, tags: Any = None,
) -> Any:  # fmt: skip
    """An operator `namespace::name` made of a function. mutates_args: the names of the arguments that it writes to.

    It is called by its name here, or as `torch.ops.namespace.name`. ValueError for a name without a namespace.
    """

    def make(function: Callable[..., Any]) -> CustomOpDef:
        space, separator, short = name.partition("::")
        if not separator:
            raise ValueError(f"Expected the name to be of the form `namespace::name`, but got {name}")
        made = _defined[name] = CustomOpDef(name, function, mutates_args)
        if not hasattr(ops, space):
            setattr(ops, space, SimpleNamespace())
        setattr(getattr(ops, space), short, made)
        return made

    return make if fn is None else make(fn)


def _found(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    if op not in _defined:
        raise RuntimeError(f"there is no operator {op!r}: make it by custom_op first")
    return _defined[op]


def register_fake(op: Any, func: Callable[..., Any] | None = None, /, **_: Any) -> Any:
    """`CustomOpDef.register_fake` of an operator given by its name."""
    register = _found(op).register_fake
    return register if func is None else register(func)


def register_kernel(op: Any, device_types: Any, func: Callable[..., Any] | None = None, /, **_: Any) -> Any:
    """`CustomOpDef.register_kernel` of an operator given by its name."""
    return _found(op).register_kernel(device_types, func)


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None, **_: Any
) -> None:
    """`CustomOpDef.register_autograd` of an operator given by its name."""
    _found(op).register_autograd(backward, setup_context=setup_context)
