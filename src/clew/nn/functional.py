# ruff: noqa: F401
"""The functions behind the layers: `torch.nn.functional`."""

from __future__ import annotations

import math
import warnings
from functools import wraps
from typing import Any

import numpy as np

from clew.core.inplace import in_place
from clew.core.variable import wrap
from clew.ops import activation as _activations
from clew.ops import dropout as _dropouts
from clew.ops.activation import (
    gelu,
    glu,
    hardshrink,
    logsigmoid,
    prelu,
    rrelu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
)
from clew.ops.attention import scaled_dot_product_attention
from clew.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)  # fmt: skip
from clew.ops.cross_entropy import cross_entropy, linear_cross_entropy, nll_loss
from clew.ops.ctc import ctc_loss
from clew.ops.einsum import bilinear
from clew.ops.elementwise import sigmoid
from clew.ops.embedding import embedding as _embedding
from clew.ops.embedding import embedding_bag, one_hot, renormalize
from clew.ops.fold import fold, unfold
from clew.ops.indexed_pool import (
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)  # fmt: skip
from clew.ops.linalg import linear
from clew.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from clew.ops.margin_loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from clew.ops.measure import cosine_similarity, pairwise_distance, pdist
from clew.ops.multihead import multi_head_attention_forward
from clew.ops.norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from clew.ops.pad import channel_shuffle, native_channel_shuffle, pad, pixel_shuffle, pixel_unshuffle
from clew.ops.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
)  # fmt: skip
from clew.ops.resample import affine_grid, grid_sample
from clew.ops.resize import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    interpolate,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from clew.ops.softmax import log_softmax as _log_softmax
from clew.ops.softmax import softmax as _softmax
from clew.ops.trigonometry import tanh


# ---- activations, which may also write into their input ---------------------------------------------------------------
def _with_inplace(function: Any) -> Any:
    """An activation as `nn.functional` shows it: with `inplace` as its last argument."""
    # Where a positional `inplace` stands. (`elu` has two more arguments, which only `torch.ops` shows.)
    last = 2 if function is _activations.elu else function.__code__.co_argcount
    needed = last - len(function.__defaults__ or ())
    write_back = in_place(function, composite=True)

    @wraps(function)
    def activation(input: Any, *options: Any, inplace: bool = False, **named: Any) -> Any:
        if len(options) >= last:
            if len(options) > last:
                raise TypeError(
                    f"{function.__name__}() takes from {needed} to {last + 1} positional arguments but "
                    f"{len(options) + 1} were given"
                )
            *options, inplace = options  # type: ignore[assignment]
        return (write_back if inplace else function)(input, *options, **named)

    return activation


celu, elu, hardsigmoid, hardswish, hardtanh, leaky_relu, mish, relu, relu6, selu, silu, threshold = map(
    _with_inplace,
    (
        _activations.celu, _activations.elu, _activations.hardsigmoid, _activations.hardswish, _activations.hardtanh,
        _activations.leaky_relu, _activations.mish, _activations.relu, _activations.relu6, _activations.selu,
        _activations.silu, _activations.threshold,
    ),
)  # fmt: skip
celu_, elu_, hardtanh_, leaky_relu_, relu_, rrelu_, selu_, threshold_ = (
    in_place(getattr(_activations, name), composite=True)
    for name in ("celu", "elu", "hardtanh", "leaky_relu", "relu", "rrelu", "selu", "threshold")
)


# ---- softmax with PyTorch's implicit dimension ------------------------------------------------------------------------
def _implicit_dim(name: str, ndim: int, dim: int | None) -> int:
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
            stacklevel=4,
        )
        return 0 if ndim in (0, 1, 3) else 1
    return dim


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """exp(x) / Σ exp(x) over `dim`."""
    return _softmax(input, _implicit_dim("softmax", input.dim(), dim), dtype=dtype)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """exp(−x) / Σ exp(−x) over `dim`."""
    return _softmax(-input, _implicit_dim("softmin", input.dim(), dim), dtype=dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """x − log Σ exp(x) over `dim`."""
    return _log_softmax(input, _implicit_dim("log_softmax", input.dim(), dim), dtype=dtype)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """Softmax of (logits + Gumbel noise) / τ; with `hard` one-hot forward, soft backward (Jang et al. 2017)."""
    noise = -logits.detach().clone().exponential_().log()
    soft = _softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    return logits.new_zeros(logits.shape).scatter_(dim, index, 1.0) - soft.detach() + soft


# ---- dropout ----------------------------------------------------------------------------------------------------------
def _dropping(op: Any, write: Any, training: bool) -> Any:
    """A dropout as `nn.functional` shows it: with `inplace`, and PyTorch's ValueError for what is no probability."""

    def dropout(input: Any, p: float = 0.5, training: bool = training, inplace: bool = False) -> Any:
        if p < 0.0 or p > 1.0:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        return (write if inplace else op)(input, p, training)

    dropout.__name__ = dropout.__qualname__ = op.__name__
    dropout.__doc__ = op.__doc__
    return dropout


dropout = _dropping(_dropouts.dropout, _dropouts.dropout_, True)
alpha_dropout = _dropping(_dropouts.alpha_dropout, _dropouts.alpha_dropout_, False)
feature_alpha_dropout = _dropping(_dropouts.feature_alpha_dropout, _dropouts.feature_alpha_dropout_, False)
_feature_dropout = _dropping(_dropouts.feature_dropout, _dropouts.feature_dropout_, True)


def _unbatched(dropout: Any, input: Any, p: float, training: bool, inplace: bool) -> Any:
    """Dropout of a sample without a batch dimension."""
    sample = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    result = dropout(sample, p, training, inplace)
    return result.squeeze_(0) if inplace else result.squeeze(0)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (N, C, L) or (C, L) set to 0."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension (i.e. 2D or 3D inputs)."
        )
    if input.dim() == 2:
        return _unbatched(_feature_dropout, input, p, training, inplace)
    return _feature_dropout(input, p, training, inplace)


def _warn_of_rank(name: str, rank: int, dims: int) -> None:
    """PyTorch's warning where channel-wise dropout gets neither a sample nor a batch of samples."""
    if rank not in (dims + 1, dims + 2):
        warnings.warn(
            f"{name}: Received a {rank}-D input to {name}, which is deprecated and will result in an error in a future "
            "release. To retain the behavior and silence this warning, please use dropout instead. Note that "
            f"{name} exists to provide channel-wise dropout on inputs with {dims} spatial dimensions, a channel dimension, "
            f"and an optional batch dimension (i.e. {dims + 1}D or {dims + 2}D inputs).",
            stacklevel=3,
        )


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (N, C, H, W) set to 0; (N, C, L) is taken as a batch, too."""
    _warn_of_rank("dropout2d", input.dim(), 2)
    if input.dim() == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
            "input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future "
            "release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _feature_dropout(input, p, training, inplace)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) set to 0."""
    _warn_of_rank("dropout3d", input.dim(), 3)
    if input.dim() != 5:
        return _unbatched(_feature_dropout, input, p, training, inplace)
    return _feature_dropout(input, p, training, inplace)


# ---- embedding ----------------------------------------------------------------------------------------------------------
def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    """weight[input]; `max_norm` first scales the rows looked up down to that norm, in place."""
    if padding_idx is not None:
        rows = weight.size(0)
        if padding_idx >= rows or padding_idx < -rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if max_norm is not None:
        renormalize(weight, input._array, max_norm, norm_type)
    return _embedding(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq, sparse)


# ---- the rest ------------------------------------------------------------------------------------------------------------
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """x / max(‖x‖ₚ, ε) over `dim`."""
    length = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return input.div(length, out=out) if out is not None else input / length


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """x / (k + α · mean of x² over `size` neighbouring channels)^β (Krizhevsky et al. 2012); beyond the border x is 0."""
    if input.dim() < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality {' ' * 25}input (got {input.dim()} dimensions)"
        )
    if input.numel() == 0:
        return input
    square = input.mul(input)
    if input.dim() == 3:
        nearby = avg_pool2d(pad(square.unsqueeze(1), (0, 0, size // 2, (size - 1) // 2)), (size, 1), stride=1)
        nearby = nearby.squeeze(1)
    else:
        n, c, first, *rest = input._array.shape
        square = square.view(n, 1, c, first, math.prod(rest))
        square = pad(square, (0, 0, 0, 0, size // 2, (size - 1) // 2))
        nearby = avg_pool3d(square, (size, 1, 1), stride=1).squeeze(1).view(input._array.shape)
    return input / nearby.mul(alpha).add(k).pow(beta)
