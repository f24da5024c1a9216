"""What distributions share: broadcasting of parameters, lazy attributes, probabilities and logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from clew.autograd.grad_mode import enable_grad
from clew.dtypes import get_default_dtype
from clew.ops.create import tensor
from clew.ops.elementwise import log, log1p, sigmoid
from clew.ops.inquiry import finfo
from clew.ops.ranges import arange
from clew.ops.sampling import randn
from clew.ops.shape import broadcast_tensors
from clew.ops.softmax import softmax
from clew.tensor import Tensor

euler_constant = 0.57721566490153286060  # Euler–Mascheroni

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]  # fmt: skip


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """The values as tensors of one shape. Numbers take the type of the first tensor, or the default type.

    Errors: ValueError for what is neither a tensor nor a number, RuntimeError for shapes that don't broadcast.
    """
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    kind = get_default_dtype() if first is None else first.dtype
    return tuple(broadcast_tensors(*[v if isinstance(v, Tensor) else tensor(v, dtype=kind) for v in values]))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities moved into [ε, 1 - ε], so that neither log p nor log(1 - p) is infinite."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """softmax over the last dimension; for a binary variable σ(logits)."""
    return sigmoid(logits) if is_binary else softmax(logits, dim=-1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log p; for a binary variable log p - log(1 - p). p is kept away from 0 and 1."""
    p = clamp_probs(probs)
    return log(p) - log1p(-p) if is_binary else log(p)


class _Documented(property):
    """What the class itself shows of a lazy attribute: a property, for tools that read its documentation."""


class lazy_property:
    """An attribute computed when first asked for, and kept.

    It is computed with gradients enabled: what is kept must serve later uses outside `no_grad`, too.
    """

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return _Documented(self.wrapped)
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.__name__, value)
        return value


def _standard_normal(shape: Sequence[int], dtype: Any, device: Any) -> Tensor:
    """N(0, 1) of the given shape."""
    return randn(shape, dtype=dtype, device=device)


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last `dim` dimensions."""
    if dim == 0:
        return value
    kept = max(value.dim() - dim, 0)
    return value.reshape(value.shape[:kept] + (-1,)).sum(-1)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below diagonal `diag` of (batches of) square matrices, row by row."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _lower(n, diag)]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """(Batches of) lower triangular D × D matrices from their elements, row by row.

    Errors: ValueError where no whole D has as many elements on and below diagonal `diag`.
    """
    length = vec.shape[-1]
    if diag < 0:  # a triangle of D + diag rows: m·(m + 1)/2 elements
        n = (math.sqrt(1 + 8 * length) - 1) / 2 - diag
    else:  # D² but for a triangle of D - diag - 1 rows
        n = (math.sqrt((2 * diag + 1) ** 2 + 8 * length + 4 * diag * (diag + 1)) - (2 * diag + 1)) / 2
    size = round(n)
    if abs(n - size) > finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {length} which cannot be expressed as the lower triangular part of a square D x D matrix."
        )
    mat = vec.new_zeros(vec.shape[:-1] + (size, size))
    mat[..., _lower(size, diag)] = vec
    return mat


def _lower(n: int, diag: int) -> Tensor:
    """The mask of the elements on and below diagonal `diag` of an n × n matrix."""
    place = arange(n)
    return place < place.view(-1, 1) + (diag + 1)
