"""Attention by several heads, each in its own projection of queries, keys and values (Vaswani et al. 2017)."""

from __future__ import annotations

import math
import warnings
from typing import Any

from clew.core.variable import Variable
from clew.dtypes import cpp_name
from clew.ops.attention import scaled_dot_product_attention
from clew.ops.dropout import dropout
from clew.ops.join import cat
from clew.ops.linalg import linear, matmul
from clew.ops.pad import pad
from clew.ops.softmax import softmax

__all__ = ["canonical_mask", "multi_head_attention_forward"]


# ---- masks ------------------------------------------------------------------------------------------------------------
def canonical_mask(
    mask: Any, mask_name: str, other_type: Any, other_name: str, target_type: Any, check_other: bool = True
) -> Any:
    """A mask as floats to be added to the scores: a bool mask forbids where true, with −∞. None stays None.

    AssertionError for masks of integers; warns where the other mask is of another type.
    """
    if mask is None:
        return None
    if not isinstance(mask, Variable):
        raise TypeError(
            f"is_floating_point(): argument 'input' (position 1) must be Tensor, not {type(mask).__name__}"
        )
    if mask._array.dtype.kind not in "bfV":
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=4,
        )
    if mask._array.dtype.kind == "b":
        return mask.new_zeros(mask.shape, dtype=target_type).masked_fill_(mask, -math.inf)
    return mask


def _masks(query: Any, padding: Any, mask: Any, need_weights: bool, is_causal: bool) -> tuple[Any, Any, bool]:
    """Both masks as floats, and whether the causal order alone will do."""
    other = None if mask is None else getattr(mask, "dtype", None)
    padding = canonical_mask(padding, "key_padding_mask", other, "attn_mask", query.dtype)
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and padding is None and not need_weights:
        return None, None, True
    return padding, canonical_mask(mask, "attn_mask", None, "", query.dtype, False), False


def _fitting(mask: Any, heads: int, batch: int, target: int, source: int) -> Any:
    """A mask of (L, S) or (N·H, L, S) as (1, L, S) or (N·H, L, S). RuntimeError for other shapes."""
    if mask is None:
        return None
    rank, shape = mask.dim(), tuple(mask.shape)
    if rank not in (2, 3):
        raise RuntimeError(f"attn_mask's dimension {rank} is not supported")
    want = (target, source) if rank == 2 else (batch * heads, target, source)
    if shape != want:
        raise RuntimeError(
            f"The shape of the {rank}D attn_mask is {mask.shape}, but should be "
            f"({', '.join(map(str, want))})."
        )
    return mask.unsqueeze(0) if rank == 2 else mask


# ---- checks -----------------------------------------------------------------------------------------------------------
def _check_ranks(query: Any, key: Any, value: Any, padding: Any, mask: Any, heads: int) -> bool:
    """Whether the arguments are batches. AssertionError unless all of them are, or none."""
    rank = query.dim()
    if rank not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor"
        )
    start = f"For {'batched' if rank == 3 else 'unbatched'} ({rank}-D) `query`, expected "
    if key.dim() != rank or value.dim() != rank:
        raise AssertionError(
            f"{start}`key` and `value` to be {rank}-D but found {key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if padding is not None and padding.dim() != rank - 1:
        raise AssertionError(
            f"{start}`key_padding_mask` to be `None` or {rank - 1}-D but found {padding.dim()}-D tensor instead"
        )
    if isinstance(mask, Variable):
        if mask.dim() not in (2, 3):
            raise AssertionError(
                f"{start}`attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead"
            )
        want = (heads, query.shape[0], key.shape[0])
        if rank == 2 and mask.dim() == 3 and tuple(mask.shape) != want:
            raise AssertionError(f"Expected `attn_mask` shape to be {want} but got {mask.shape}")
    return bool(rank == 3)


def _check_widths(query: Any, key: Any, value: Any, embed_dim: Any, heads: int, separate: bool) -> None:
    """AssertionError for queries of another width than announced, and for keys that don't fit the values."""
    width = query.shape[-1]
    if width != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {width}")
    if width // heads * heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {heads}")
    if separate:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
    elif key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


# ---- projections ------------------------------------------------------------------------------------------------------
def _project(query: Any, key: Any, value: Any, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
    """The three projections by one matrix (3E, E): in one product for what is one tensor."""
    width = query.shape[-1]
    if key is value:
        if query is key:
            q, k, v = linear(query, weight, bias).chunk(3, -1)
            return q, k, v
        parts = [width, 2 * width]
        (wq, wkv), (bq, bkv) = weight.split(parts), (None, None) if bias is None else bias.split(parts)
        k, v = linear(key, wkv, bkv).chunk(2, -1)
        return linear(query, wq, bq), k, v
    weights, biases = weight.chunk(3), (None, None, None) if bias is None else bias.chunk(3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    return q, k, v


def _project_each(tensors: Any, weights: Any, bias: Any) -> Any:
    """The three projections by a matrix each."""
    for name, weight in zip("qkv", weights, strict=True):
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return [linear(x, w, b) for x, w, b in zip(tensors, weights, biases, strict=True)]


def _in_heads(x: Any, batch: int, heads: int, width: int) -> Any:
    """(S, N, H·D) as (N, H, S, D)."""
    length = x.shape[0]
    if x.numel() != length * batch * heads * width:
        raise RuntimeError(
            f"shape '[{length}, {batch * heads}, {width}]' is invalid for input of size {x.numel()}"
        )
    return x.view(length, batch, heads, width).permute(1, 2, 0, 3)


def _static(x: Any, name: str, batch: int, heads: int, width: int) -> Any:
    """Keys or values given ready-made, (N·H, S, D), as (N, H, S, D)."""
    if x.size(0) != batch * heads:
        raise AssertionError(f"expecting {name}.size(0) of {batch * heads}, but got {x.size(0)}")
    if x.size(2) != width:
        raise AssertionError(f"expecting {name}.size(2) of {width}, but got {x.size(2)}")
    return x.view(batch, heads, x.size(1), width)


def _one_more(mask: Any) -> Any:
    """A mask for one more key, which everyone may look at."""
    return None if mask is None else pad(mask, (0, 1))


def _weighted(q: Any, k: Any, v: Any, mask: Any, dropout_p: float) -> tuple[Any, Any]:
    """The mean of the values, and the weights."""
    scores = matmul(q * math.sqrt(1.0 / q.shape[-1]), k.transpose(-2, -1))
    if mask is not None:
        if mask.dtype != q.dtype:
            names = [cpp_name(t.dtype) for t in (mask, q, k)]
            raise RuntimeError(
                "Input dtypes must be the same, got: input {}, batch1: {}, batch2: {}".format(*names)
            )
        scores = scores + mask
    weights = softmax(scores, -1)
    if dropout_p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p, True)
    return matmul(weights, v), weights


# ---- the function -----------------------------------------------------------------------------------------------------
def multi_head_attention_forward(
    query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int, in_proj_weight: Any, in_proj_bias: Any,
    bias_k: Any, bias_v: Any, add_zero_attn: bool, dropout_p: float, out_proj_weight: Any, out_proj_bias: Any,
    training: bool = True, key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Any = None, k_proj_weight: Any = None,
    v_proj_weight: Any = None, static_k: Any = None, static_v: Any = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """concat(head₁ … head_H) W_O, head_h = attention(Q Wq_h, K Wk_h, V Wv_h); and the weights.

    query (L, N, E) or (L, E), key and value (S, N, ·) → (L, N, E), and with `need_weights` the weights: (N, L, S)
    averaged over the heads, else (N, H, L, S). key_padding_mask (N, S) and attn_mask (L, S) or (N·H, L, S): bool
    forbids where true, float is added. is_causal: a hint that `attn_mask` is the causal one. bias_k, bias_v
    (1, 1, E): one more key and value, learned; add_zero_attn: one more of zeros. static_k, static_v (N·H, S, D): taken
    in place of the projections. AssertionError for shapes that don't fit.
    """
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same[0] else key.unsqueeze(1)
        value = key if same[1] else value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    key_padding_mask, attn_mask, is_causal = _masks(
        query, key_padding_mask, attn_mask, need_weights, is_causal
    )
    _check_widths(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    length, batch, embed = query.shape
    width = embed // num_heads
    if use_separate_proj_weight:
        weights = q_proj_weight, k_proj_weight, v_proj_weight
        q, k, v = _project_each((query, key, value), weights, in_proj_bias)
    else:
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias)
    attn_mask = _fitting(attn_mask, num_heads, batch, length, key.shape[0])

    if bias_k is not None and bias_v is not None:
        for given, what in ((static_k, "key"), (static_v, "value")):
            if given is not None:
                raise AssertionError(f"bias cannot be added to static {what}.")
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    elif bias_k is not None or bias_v is not None:
        raise AssertionError
    q = _in_heads(q, batch, num_heads, width)
    k = _in_heads(k, batch, num_heads, width) if static_k is None else _static(static_k, "static_k", batch, num_heads, width)  # fmt: skip
    v = _in_heads(v, batch, num_heads, width) if static_v is None else _static(static_v, "static_v", batch, num_heads, width)  # fmt: skip
    if add_zero_attn:
        nothing = (batch, num_heads, 1, width)
        k, v = cat([k, k.new_zeros(nothing)], 2), cat([v, v.new_zeros(nothing)], 2)
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    mask = _merged(attn_mask, key_padding_mask, batch, num_heads, k.shape[2])

    if not training:
        dropout_p = 0.0
    attended, shares = (
        _weighted(q, k, v, mask, dropout_p)
        if need_weights
        else (scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None)
    )
    rows = attended.permute(2, 0, 1, 3).reshape(length * batch, embed)
    made = linear(rows, out_proj_weight, out_proj_bias).view(length, batch, -1)
    if shares is not None and average_attn_weights:
        shares = shares.mean(1)
    if not batched:
        return made.squeeze(1), None if shares is None else shares.squeeze(0)
    return made, shares


def _merged(mask: Any, padding: Any, batch: int, heads: int, source: int) -> Any:
    """Both masks as one that broadcasts to (N, H, L, S)."""
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.shape[0] == 1 else mask.view(batch, heads, -1, source)
    if padding is None:
        return mask
    if tuple(padding.shape) != (batch, source):
        raise AssertionError(
            f"Expected key_padded_mask.shape[0] to be {batch}, but got {padding.shape[0]}"
            if padding.shape[0] != batch
            else f"Expected key_padded_mask.shape[1] to be {source}, but got {padding.shape[1]}"
        )
    padding = padding.view(batch, 1, 1, source)
    return padding if mask is None else mask + padding
