"""Norms that leave one dimension, and a tensor as a matrix of that dimension's slices."""

from __future__ import annotations

from typing import Any

from clew.nn.functional import normalize as normalized
from clew.ops.distance import norm


def norm_except(tensor: Any, dim: int) -> Any:
    """‖tensor‖₂ over all dimensions but one, with sizes 1 there; for dim −1 over all of them, as a 0-d tensor."""
    if dim == -1:
        return norm(tensor)
    others = [d for d in range(tensor.dim()) if d != dim]
    return norm(tensor, 2, others, True) if others else tensor.abs()


def scaled(direction: Any, length: Any, dim: int) -> Any:
    """w = v · g / ‖v‖ (Salimans and Kingma 2016)."""
    return direction * (length / norm_except(direction, dim))


def as_matrix(tensor: Any, dim: int) -> Any:
    """The slices along a dimension as rows."""
    if dim != 0:
        tensor = tensor.permute(dim, *[d for d in range(tensor.dim()) if d != dim])
    return tensor.reshape(tensor.size(0), -1)


def random_directions(matrix: Any, eps: float) -> tuple[Any, Any]:
    """Random unit vectors u and v for uᵀ W v."""
    height, width = matrix.size()
    left = matrix.new_empty(height).normal_(0, 1)
    right = matrix.new_empty(width).normal_(0, 1)
    return normalized(left, dim=0, eps=eps), normalized(right, dim=0, eps=eps)


__all__ = ["as_matrix", "norm_except", "normalized", "random_directions", "scaled"]
