"""Helpers for parameters, gradients and modules."""

from typing import Any as _Any

from clew.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from clew.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters

# What few programs use is loaded when first asked for: these names, and the submodules.
_PLACES = {
    "convert_conv2d_weight_memory_format": "memory_format",
    "convert_conv3d_weight_memory_format": "memory_format",
    "fuse_conv_bn_eval": "fusion",
    "fuse_conv_bn_weights": "fusion",
    "fuse_linear_bn_eval": "fusion",
    "fuse_linear_bn_weights": "fusion",
    "remove_spectral_norm": "spectral_normalization",
    "remove_weight_norm": "weight_normalization",
    "skip_init": "init",
    "spectral_norm": "spectral_normalization",
    "weight_norm": "weight_normalization",
}
_ROOMS = (
    "clip_grad", "convert_parameters", "fusion", "init", "memory_format", "parametrizations", "parametrize", "prune", "rnn",
    "stateless",
)  # fmt: skip

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "convert_conv2d_weight_memory_format",
    "convert_conv3d_weight_memory_format", "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval",
    "fuse_linear_bn_weights", "get_total_norm", "parameters_to_vector", "parametrizations", "parametrize",
    "remove_spectral_norm", "remove_weight_norm", "rnn", "skip_init", "spectral_norm", "stateless", "vector_to_parameters",
    "weight_norm",
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    from importlib import import_module

    if name in _PLACES:
        value = getattr(import_module(f"clew.nn.utils.{_PLACES[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return import_module(f"clew.nn.utils.{name}")
    raise AttributeError(f"module 'torch.nn.utils' has no attribute '{name}' (clew does not have it)")
