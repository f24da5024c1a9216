"""Batch normalisation folded into the layer before it, for evaluation: W′ = W γ/σ, b′ = (b − μ) γ/σ + β."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from clew.nn.parameter import Parameter
from clew.ops.create import ones_like, zeros_like
from clew.ops.elementwise import rsqrt

M = TypeVar("M")


def _fused(weight: Any, bias: Any, rm: Any, rv: Any, eps: float, bw: Any, bb: Any, shape: list[int]) -> Any:
    """The folded weight and bias; the factors go along the dimension where `shape` is −1."""
    bias = zeros_like(rm) if bias is None else bias
    bw = ones_like(rm) if bw is None else bw
    bb = zeros_like(rm) if bb is None else bb
    scale = bw * rsqrt(rv + eps)
    made = (
        (weight * scale.reshape(shape)).to(dtype=weight.dtype),
        ((bias - rm) * scale + bb).to(dtype=bias.dtype),
    )
    return Parameter(made[0], weight.requires_grad), Parameter(made[1], bias.requires_grad)


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False
) -> tuple[Any, Any]:  # fmt: skip
    """Weight and bias of a convolution with the batch normalisation after it folded in."""
    shape = [1, -1] if transpose else [-1, 1]
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape + [1] * (conv_w.dim() - 2))


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Any, Any]:
    """Weight and bias of a linear layer with the batch normalisation after it folded in."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def _copied(layer: Any, bn: Any) -> Any:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    return copy.deepcopy(layer)


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """A convolution that computes `bn(conv(x))`. AssertionError unless both are in evaluation mode."""
    made: Any = _copied(conv, bn)
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    made.weight, made.bias = fuse_conv_bn_weights(
        made.weight, made.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return made


def fuse_linear_bn_eval(linear: M, bn: Any) -> M:
    """A linear layer that computes `bn(linear(x))`. AssertionError unless both are in evaluation mode."""
    made: Any = _copied(linear, bn)
    if bn.num_features not in (made.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={made.out_features} and bn.num_features={bn.num_features}"
        )
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    made.weight, made.bias = fuse_linear_bn_weights(
        made.weight, made.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return made


__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]
