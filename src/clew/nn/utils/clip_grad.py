"""Keeping gradients from growing too large (Pascanu et al. 2013)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from clew.autograd.grad_mode import no_grad
from clew.core.variable import Variable, wrap
from clew.ops.create import tensor
from clew.ops.distance import euclidean


def _gradients(parameters: Any) -> list[Any]:
    if isinstance(parameters, Variable):
        parameters = [parameters]
    return [p.grad for p in parameters if p.grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of all tensors together: the norm of their norms. RuntimeError for a non-finite one, if asked for."""
    tensors = [tensors] if isinstance(tensors, Variable) else list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return tensor(0.0)
    with no_grad():
        dtype = tensors[0]._array.dtype
        norms = np.array([_norm(t._array, norm_type) for t in tensors], dtype=dtype)
        total = wrap(np.asarray(_norm(norms, norm_type), dtype=dtype)[()])
    if error_if_nonfinite and not np.isfinite(total._array):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            "To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def _norm(array: Any, p: float) -> Any:
    if p == 2.0:
        return euclidean(array)
    magnitude = np.abs(array)
    if p == float("inf"):
        return magnitude.max()
    if p == 0:
        return np.count_nonzero(array)
    return np.add.reduce(magnitude**p, axis=None) ** (1 / p)


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Scale the gradients by max_norm / total_norm where that is below 1."""
    max_norm = float(max_norm)
    scale = max_norm / (total_norm._array + total_norm._array.dtype.type(1e-6))
    scale = min(scale, scale.dtype.type(1.0)) if scale == scale else scale
    with no_grad():
        for grad in _gradients(parameters):
            grad.mul_(wrap(np.asarray(scale)[()]))


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale all gradients together so that their norm is at most `max_norm`; returns the norm before."""
    parameters = [parameters] if isinstance(parameters, Variable) else list(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Cut every gradient's values to [−clip_value, clip_value]."""
    clip_value = float(clip_value)
    with no_grad():
        for grad in _gradients(parameters):
            grad.clamp_(-clip_value, clip_value)


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:  # fmt: skip
    """The older name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]
