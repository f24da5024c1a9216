"""The normalisations as `torch` itself shows them: other argument orders than in `nn.functional`, and the native forms,
which also return the statistics they used. (Formulas: clew.ops.norm.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.promotion import compute_dtype
from clew.core.variable import FLOAT32, wrap
from clew.dtypes import from_numpy
from clew.ops import norm
from clew.ops._arguments import check_tensor

__all__ = [
    "_native_batch_norm_legit", "batch_norm", "group_norm", "instance_norm", "layer_norm", "native_batch_norm",
    "native_group_norm", "native_layer_norm",
]  # fmt: skip


# ---- with PyTorch's switch for a GPU library, which means nothing here ---------------------------------------------------
def batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float,
    cudnn_enabled: bool,
) -> Any:  # fmt: skip
    """`nn.functional.batch_norm`, also of a single value per channel."""
    check_tensor(input, "batch_norm")
    return norm.normalize_batch(input, weight, bias, running_mean, running_var, training, momentum, eps)


def instance_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, momentum: float,
    eps: float, cudnn_enabled: bool,
) -> Any:  # fmt: skip
    """`nn.functional.instance_norm`, also of a single position."""
    check_tensor(input, "instance_norm")
    return norm.normalize_instances(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps
    )


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.layer_norm`."""
    return norm.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05, cudnn_enabled: bool = True
) -> Any:  # fmt: skip
    """`nn.functional.group_norm`, also of a single value per group."""
    norm.check_groups(check_tensor(input, "group_norm"), num_groups, weight, bias)
    return norm._run(norm._group, input, (weight, bias), groups=num_groups, eps=eps)


# ---- with the statistics ---------------------------------------------------------------------------------------------------
def _statistics(input: Any, axes: tuple[int, ...], eps: float, *parameters: Any) -> tuple[Any, Any]:
    """μ and 1 / √(σ² + ε), of the parameters' type: float32 beside a 16-bit input, or the input's."""
    array = input._array
    given = [t._array.dtype for t in parameters if t is not None]
    kind = FLOAT32 if given and given[0] == FLOAT32 else array.dtype
    work = compute_dtype(from_numpy(array.dtype))
    _, mean, rstd = norm._statistics(array.astype(work, copy=False), axes, eps)
    return wrap(mean.astype(kind, copy=False)), wrap(rstd.astype(kind, copy=False))


def native_layer_norm(
    input: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float
) -> tuple[Any, Any, Any]:
    """`layer_norm`, μ and 1 / √(σ² + ε)."""
    result = norm.layer_norm(input, normalized_shape, weight, bias, eps)
    rank = input._array.ndim
    axes = tuple(range(rank - len(tuple(normalized_shape)), rank))
    return result, *_statistics(input, axes, eps, weight, bias)


def native_batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float
) -> tuple[Any, Any, Any]:  # fmt: skip
    """`batch_norm`, and in training μ and 1 / √(σ² + ε) of every channel, else two empty tensors."""
    check_tensor(input, "native_batch_norm")
    result = norm.normalize_batch(input, weight, bias, running_mean, running_var, training, momentum, eps)
    array = input._array
    axes = (0, *range(2, array.ndim))
    mean, rstd = _statistics(input, axes, eps, weight, bias, running_mean, running_var)
    size = array.shape[1] if training else 0
    return result, *[wrap(np.array(t._array.reshape(-1)[:size])) for t in (mean, rstd)]


def _native_batch_norm_legit(input: Any, weight: Any, bias: Any, *rest: Any) -> tuple[Any, Any, Any]:
    """`native_batch_norm`; the running statistics may be left out of the arguments."""
    if isinstance(rest[0], bool):
        rest = (None, None, *rest)
    else:
        for position, name in enumerate(("running_mean", "running_var")):
            check_tensor(rest[position], "_native_batch_norm_legit", name, position + 4)
    return native_batch_norm(input, weight, bias, *rest)


def native_group_norm(
    input: Any, weight: Any, bias: Any, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Any, Any, Any]:
    """`group_norm`, μ and 1 / √(σ² + ε), each (N, group)."""
    norm.check_groups(check_tensor(input, "native_group_norm"), group, weight, bias)
    made: tuple[Any, Any, Any] = norm._run(norm._native_group, input, (weight, bias), groups=group, eps=eps)
    return made
