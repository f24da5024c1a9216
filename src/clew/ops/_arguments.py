"""Checks of arguments that many operations share: dims, sizes, tensors."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from clew.core.variable import Variable
from clew.dtypes import dtype, from_numpy, legacy_name


def check_tensor(value: Any, function: str, name: str = "input", position: int = 1) -> Any:
    """The value if it is a tensor; PyTorch's TypeError otherwise."""
    if not isinstance(value, Variable):
        raise TypeError(f"{function}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}")
    return value


def wrap_dim(dim: Any, ndim: int) -> int:
    """A dimension counted from the front: `-1` is the last. A 0-d tensor takes 0 and -1. IndexError beyond."""
    dim = operator.index(dim)
    n = ndim or 1
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
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
    if len(args) == 1 and isinstance(args[0], Iterable) and not isinstance(args[0], (str, Variable)):
        args = tuple(args[0])
    return tuple(operator.index(n.item()) if isinstance(n, Variable) else operator.index(n) for n in args)


def tensor_dtype(tensor: Variable) -> dtype:
    """The clew dtype of a tensor."""
    return from_numpy(tensor._array.dtype)


def legacy(tensor: Variable) -> str:
    """`Float`, `Long` …: the type's name in PyTorch's sentences."""
    return legacy_name(tensor._array.dtype)
