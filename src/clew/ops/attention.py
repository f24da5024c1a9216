"""Attention: every query takes the mean of the values, weighted by how well their keys fit (Vaswani et al. 2017).

Four-dimensional queries, the way layers call it, run as one primitive with the gradients written out; the rest is
composed of the public operations, step by step as PyTorch composes it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import cpp_name, from_numpy, legacy_name
from clew.kernels import matrices, pick
from clew.ops._arguments import check_tensor, dtype_of, is_number, type_name, wrap_dim
from clew.ops._autocast import lowered, suspended
from clew.ops._builders import convert
from clew.ops.dropout import dropout
from clew.ops.linalg import matmul, turned
from clew.ops.softmax import softmax

__all__ = ["scaled_dot_product_attention"]


# ---- four dimensions, in one primitive --------------------------------------------------------------------------------
def _bias(mask: Any, is_causal: bool, queries: int, keys: int, dtype: Any) -> Any:
    """What is added to the scores: the float mask, −∞ where a bool mask or the causal order forbids; None for nothing."""
    bias = mask
    if mask is not None and mask.dtype.kind == "b":
        bias = np.where(mask, dtype.type(0), dtype.type(-np.inf))
    if is_causal:
        later = np.where(np.tri(queries, keys, dtype=bool), dtype.type(0), dtype.type(-np.inf))
        bias = later if bias is None else bias + later
    return bias


def _largest(scores: Any, dim: int = -1) -> Any:
    """The largest score of every query; 0 for a query that may look at nothing."""
    found = np.maximum.reduce(scores, dim, keepdims=True)
    return np.where(np.isneginf(found), found.dtype.type(0), found)


def _attend(query: Any, key: Any, value: Any, attn_mask: Any, *, is_causal: bool, scale: float) -> Any:
    """softmax(Q Kᵀ · scale + bias) V and the weights. 16-bit floats are computed in float32; exponentials are rounded."""
    kind = query.dtype
    if kind.itemsize == 2:
        query, key, value = (x.astype(np.float32) for x in (query, key, value))
        if attn_mask is not None and attn_mask.dtype == kind:
            attn_mask = attn_mask.astype(np.float32)
    weights = matrices.matmul(query, turned(key))
    if (
        is_causal
        and attn_mask is None
        and scale > 0
        and kind.itemsize > 2
        and (kernel := pick("causal_softmax", weights))
    ):
        weights = kernel(weights, scale)
        return matrices.matmul(weights, value, np.empty_like(query)), weights
    weights *= weights.dtype.type(scale)
    bias = _bias(attn_mask, is_causal, query.shape[-2], key.shape[-2], weights.dtype)
    if bias is not None:
        weights += bias
    weights -= _largest(weights)
    np.exp(weights, weights)
    sums = np.add.reduce(weights, -1, keepdims=True)
    if bias is not None:
        sums = np.where(sums == 0, sums.dtype.type(1), sums)
    made = np.empty_like(query)  # in the order of the query's memory
    if kind.itemsize == 2:
        np.divide(np.matmul(weights.astype(kind).astype(np.float32), value), sums, out=made)
        weights /= sums
    else:
        weights /= sums
        matrices.matmul(weights, value, made)
    return made.astype(kind, copy=False), weights


def _weights_again(
    xp: Any, query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float
) -> Any:
    """The weights on tensors, for derivatives of derivatives."""
    dtype = dtype_of(query)
    wide = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    scores = xp.matmul(xp.astype(query, wide), turned(xp.astype(key, wide))) * scale
    mask = None if attn_mask is None else attn_mask._array
    bias = _bias(mask, is_causal, query.shape[-2], key.shape[-2], wide)
    if bias is not None:
        scores = scores + xp.constant(bias)
    raised = xp.exp(scores - xp.constant(_largest(scores._array)))
    sums = xp.sum(raised, -1, True)
    return raised / xp.where(sums == 0, 1.0, sums)


def _times(xp: Any, a: Any, b: Any) -> Any:
    """A·B of batches of matrices."""
    return matrices.matmul(a, b) if xp is raw else xp.matmul(a, b)


def _scores_back(xp: Any, g: Any, value: Any, weights: Any, output: Any) -> Any:
    """The gradient of the scores: dS = W (G Vᵀ − ∑ G output)."""
    of_weights = _times(xp, g, turned(value))
    if xp is raw and (kernel := pick("softmax_back", weights, of_weights)):
        return kernel(weights, of_weights)
    return weights * (of_weights - xp.sum(g * output, -1, True))


def _attend_back(
    xp: Any, g: Any, needs: Any, query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float,
    weights: Any, output: Any,
) -> Any:  # fmt: skip
    """With W the weights and dS = W (G Vᵀ − ∑ G output): dQ = dS K · scale, dK = dSᵀ Q · scale, dV = Wᵀ G."""
    wide = dtype_of(weights)
    g, query, key, value, output = (xp.astype(x, wide) for x in (g, query, key, value, output))
    of_value = _times(xp, turned(weights), g) if needs[2] else None
    if not (needs[0] or needs[1]):
        return None, None, of_value, None
    of_scores = _scores_back(xp, g, value, weights, output)
    of_query = _times(xp, of_scores, key) * scale if needs[0] else None
    of_key = _times(xp, turned(of_scores), query) * scale if needs[1] else None
    return of_query, of_key, of_value, None


_attention = Primitive(
    "scaled_dot_product_attention",
    _attend,
    _attend_back,
    outputs=("output",),
    aux={"weights": _weights_again},
    node="ScaledDotProductFlashAttentionForCpuBackward0",
    explain="the mean of the values, weighted by softmax of query times key",
)


# ---- step by step -----------------------------------------------------------------------------------------------------
def _safe_forward(self: Any, *, dim: int) -> Any:
    raised = np.exp(self - _largest(self, dim))
    sums = np.add.reduce(raised, dim, keepdims=True)
    return raised / np.where(sums == 0, sums.dtype.type(1), sums)


_safe_softmax = Primitive(
    "safe_softmax",
    _safe_forward,
    {"self": lambda xp, g, result, dim: g * result - result * xp.sum(g * result, dim, True)},
    outputs=("result",),
    explain="softmax: y (g − ∑ g y), since the outputs sum to one (or are all 0)",
)


def safe_softmax(self: Any, dim: int) -> Any:
    """softmax along `dim`, with zeros where all of a line is −∞."""
    return _safe_softmax(self, dim=wrap_dim(dim, self._array.ndim)) if self._array.size else self.clone()


def _composed(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: float
) -> Any:
    """Any number of dimensions, dropout, and masks that want a gradient."""
    kind = query._array.dtype
    if kind.itemsize == 2 and kind.kind in "fV":
        wide = np.dtype(np.float32)
        query, key, value = convert(query, wide), convert(key, wide), convert(value, wide)
        if mask is not None and mask._array.dtype == kind:
            mask = convert(mask, wide)
        return convert(_composed(query, key, value, mask, dropout_p, is_causal, scale), kind)
    root = math.sqrt(abs(scale))
    scores = matmul(query * (root if scale >= 0 else -root), key.transpose(-2, -1) * root)
    if mask is not None or is_causal:
        bias = mask
        if mask is None or mask._array.dtype.kind == "b":
            raw = None if mask is None else mask._array
            bias = wrap(_bias(raw, is_causal, query._array.shape[-2], key._array.shape[-2], kind))
        weights = safe_softmax(scores + bias, -1)
    else:
        weights = softmax(scores, -1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p, True)
    return matmul(weights, value)


# ---- the function -----------------------------------------------------------------------------------------------------
def _check(query: Any, key: Any, value: Any, mask: Any, dropout_p: Any, scale: Any) -> None:
    """PyTorch's errors for arguments that no attention takes."""
    name = "scaled_dot_product_attention"
    for position, (argument, tensor) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        check_tensor(tensor, name, argument, position)
    if mask is not None:
        check_tensor(mask, name, "attn_mask", 4)
    for argument, number in (("dropout_p", dropout_p), ("scale", scale)):
        if not (number is None or is_number(number) or isinstance(number, Variable)):
            raise TypeError(f"{name}(): argument '{argument}' must be float, not {type_name(number)}")
    q, k, v = query._array, key._array, value._array
    if not q.dtype == k.dtype == v.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {_c_name(q)} key.dtype: "
            f"{_c_name(k)} and value.dtype: {_c_name(v)} instead."
        )
    if q.ndim < 2 or k.ndim < 2 or v.ndim < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {q.ndim} key.dim: "
            f"{k.ndim} and value.dim: {v.ndim} instead."
        )
    if mask is not None and mask._array.dtype != q.dtype and mask._array.dtype not in (np.bool, np.float32):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{_c_name(mask._array)} and  query.dtype: {_c_name(q)} instead."
        )
    if q.dtype.kind in "iub":
        raise RuntimeError(f"expected scalar type Float but found {legacy_name(q.dtype)}")


def _c_name(array: Any) -> str:
    return cpp_name(from_numpy(array.dtype))


def _with_all_heads(query: Any, key: Any, value: Any) -> tuple[Any, Any]:
    """Keys and values repeated so that every head of the query has its own (Ainslie et al. 2023)."""
    q, k, v = query.size(-3), key.size(-3), value.size(-3)
    if not (k and v) or q % k or q % v:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in ")
    return (
        key if q == k else key.repeat_interleave(q // k, -3),
        value if q == v else value.repeat_interleave(q // v, -3),
    )


def _in_one(query: Any, key: Any, value: Any, mask: Any) -> bool:
    """Whether the primitive takes these: batch and heads alike, and a mask that wants no gradient."""
    q, k, v = query._array.shape, key._array.shape, value._array.shape
    if not (len(q) == len(k) == len(v) == 4 and q[:2] == k[:2] and k == v and q[3] == k[3]):
        return False
    if 0 in q or 0 in k or query._array.dtype.kind == "c":
        return False
    if mask is None:
        return True
    whole = (*q[:3], k[2])
    m = mask._array.shape
    fits = all(n in (1, want) for n, want in zip(m[::-1], whole[::-1], strict=False))
    return len(m) in (2, 4) and fits and not mask.requires_grad


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, *,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """softmax(Q Kᵀ · scale + mask) V; scale is 1 / √E without one (Vaswani et al. 2017).

    query (…, L, E), key (…, S, E), value (…, S, Ev) → (…, L, Ev). A bool mask keeps where true, a float mask is added;
    a query that may look at nothing gives zeros. is_causal: query i looks at keys 0 … i. dropout_p: the share of weights
    set to 0 (always: pass 0 out of training). enable_gqa: fewer heads of keys and values than of queries, each serving
    several. RuntimeError for types that differ, and for a mask of integers.
    """
    if altered and switches.autocast:
        query, key, value = lowered(query, key, value)
        if attn_mask is not None and attn_mask._array.dtype.kind != "b":
            (attn_mask,) = lowered(attn_mask)
        with suspended():
            return scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
            )
    _check(query, key, value, attn_mask, dropout_p, scale)
    if enable_gqa:
        key, value = _with_all_heads(query, key, value)
    if scale is None:
        width = query._array.shape[-1]
        scale = 1.0 / math.sqrt(width) if width else math.inf
    if not dropout_p and _in_one(query, key, value, attn_mask):
        return _attention(query, key, value, attn_mask, is_causal=bool(is_causal), scale=float(scale))
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    if attn_mask is not None and attn_mask._array.ndim < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -2)")
    return _composed(query, key, value, attn_mask, float(dropout_p), bool(is_causal), float(scale))
