"""Checks of arguments that many operations share: dims, sizes, tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from clew.core.variable import Variable
from clew.dtypes import dtype, from_numpy, legacy_name


def within(index: Any, low: int, high: int) -> bool:
    """Whether low ≤ i < high for all numbers of an array."""
    return not index.size or bool(index.max() < high and index.min() >= low)


def check_tensor(value: Any, function: str, name: str = "input", position: int = 1) -> Any:
    """The value if it is a tensor; PyTorch's TypeError otherwise."""
    if not isinstance(value, Variable):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be Tensor, not {type_name(value)}"
        )
    return value


_HEAP_TYPE = 1 << 9  # in a type's flags: made by a class statement


def type_name(value: Any) -> str:
    """The name of a value's type as Python's C side has it: `numpy.ndarray`, but `MyClass` without its module."""
    kind = type(value)
    if kind.__flags__ & _HEAP_TYPE or kind.__module__ == "builtins":
        return kind.__name__
    return f"{kind.__module__}.{kind.__name__}"


def wrap_dim(dim: Any, ndim: int) -> int:
    """A dimension counted from the front: `-1` is the last. A 0-d tensor takes 0 and -1. IndexError beyond."""
    dim = operator.index(dim)
    n = ndim or 1
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
        )
    return dim + n if dim < 0 else dim


def wrap_dims(dims: Any, ndim: int, *, empty_is_all: bool = True) -> tuple[int, ...]:
    """Several dimensions, each once; None (and, for reductions, an empty list) means all of them."""
    if dims is None:
        return tuple(range(ndim))
    if not isinstance(dims, Iterable):
        return (wrap_dim(dims, ndim),)
    found = tuple(wrap_dim(d, ndim) for d in dims)
    if not found and empty_is_all:
        return tuple(range(ndim))
    for i, d in enumerate(found):
        if d in found[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return found


def sizes(args: Sequence[Any]) -> tuple[int, ...]:
    """`f(2, 3)`, `f((2, 3))` and `f(torch.Size([2, 3]))` alike."""
    if len(args) == 1:
        first = args[0]
        if isinstance(first, (tuple, list)) or (
            isinstance(first, Iterable)
            and not isinstance(first, (str, Variable))
            and getattr(first, "ndim", True)
        ):
            args = tuple(first)
    return tuple([operator.index(n.item() if isinstance(n, Variable) else n) for n in args])


def plain_number(value: Any, function: str, name: str, position: int = 0, kind: str = "Number") -> Any:
    """The number of an argument that may be a tensor without dimensions. TypeError for one that requires grad, whose gradient
    would be lost."""
    if not isinstance(value, Variable):
        return value
    if value._array.ndim or value.requires_grad:
        place = f" (position {position})" if position else ""
        raise TypeError(f"{function}(): argument '{name}'{place} must be {kind}, not Tensor")
    return value.item()


def tensor_dtype(tensor: Variable) -> dtype:
    """The clew dtype of a tensor."""
    return from_numpy(tensor._array.dtype)


def dtype_of(value: Any) -> Any:
    """The NumPy dtype of a formula's argument, array or tensor."""
    return getattr(value, "_array", value).dtype


def legacy(tensor: Variable) -> str:
    """`Float`, `Long` …: the type's name in PyTorch's sentences."""
    return legacy_name(tensor._array.dtype)


_F = TypeVar("_F", bound=Callable[..., Any])
_NUMPY_NAMES = (("axis", "dim"), ("keepdims", "keepdim"), ("x", "input"), ("a", "input"))


def torch_names(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments with NumPy's names (`axis`, `keepdims`) under PyTorch's, which takes both."""
    for numpy, torch in _NUMPY_NAMES:
        if numpy in kwargs:
            kwargs[torch] = kwargs.pop(numpy)
    return kwargs


def numpy_names(function: _F) -> _F:
    """Let a function take NumPy's keyword names too."""

    @wraps(function)
    def op(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **(torch_names(kwargs) if kwargs else kwargs))

    return op  # type: ignore[return-value]


# ---- what the families of elementwise functions share ------------------------------------------------------------------
COMPLEX = "complex64 complex128"
NUMBERS = (bool, int, float, complex, np.generic)


def is_number(value: Any) -> bool:
    """Whether an operand is a Python or NumPy number (and so weaker in promotion than any tensor)."""
    return isinstance(value, NUMBERS)


def zeros_slope(xp: Any, g: Any) -> Any:
    """The formula of an operand that the result does not move with: 0."""
    return xp.zeros_like(g)


def is_complex(value: Any) -> bool:
    """Whether a formula's argument, array or tensor, is complex."""
    return bool(dtype_of(value).kind == "c")


def refusal(sentence: str, *, error: type[Exception] = NotImplementedError) -> Callable[..., None]:
    """A check for builders: complex operands are refused with a sentence."""

    def check(*operands: Any) -> None:
        if operands[-1].category == 3:
            raise error(sentence)

    return check


def without(kernel: str, category: int = 3, *more: int) -> Callable[[Any, Any, dtype], None]:
    """A check for `binary`: result types of some categories (0 bool, 1 integer, 3 complex) have no such kernel."""

    def check(input: Any, other: Any, want: dtype) -> None:
        if want.category == category or want.category in more:
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(want)}'")

    return check


def underivable(name: str) -> Callable[[Any, Any], Any]:
    """The formula of an operation that PyTorch records but can't derive."""

    def formula(xp: Any, g: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return formula


def not_derived(what: str) -> Callable[[Any, Any], Any]:
    """The formula of an operand whose derivative PyTorch leaves out."""

    def formula(xp: Any, g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{what}' is not implemented.")

    return formula


def no_signature(function: str, *args: Any) -> TypeError:
    """PyTorch's error for arguments that none of a function's signatures takes."""
    got = ", ".join("Tensor" if isinstance(a, Variable) else type(a).__name__ for a in args)
    return TypeError(
        f"{function}() received an invalid combination of arguments - got ({got}), but expected one of:"
    )


def check_operands(function: str, input: Any, other: Any) -> None:
    """TypeError unless both are tensors or numbers, and one of them a tensor."""
    tensors = [isinstance(v, Variable) for v in (input, other)]
    if not any(tensors) or not all(t or is_number(v) for t, v in zip(tensors, (input, other), strict=True)):
        raise no_signature(function, input, other)
