"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clew.core.variable import Variable
from clew.ops.join import cat


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """The parameters flattened, one after another."""
    return cat([p.view(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Give each parameter its part of the vector as data."""
    if not isinstance(vec, Variable):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    start = 0
    for param in parameters:
        count = param.numel()
        param.data = vec[start : start + count].view_as(param).data  # type: ignore[index]
        start += count


__all__ = ["parameters_to_vector", "vector_to_parameters"]
