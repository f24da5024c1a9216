"""Causal masks for attention between different numbers of queries and keys."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from clew.dtypes import bool_
from clew.ops.create import ones
from clew.ops.join import tril

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Whether the first query sees the first key alone, or the last query all keys."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


def CausalBias(variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> Any:
    """True where a query may see a key (Q, K): on and below the diagonal that begins, or ends, in the corner."""
    if not isinstance(variant, CausalVariant):
        raise AssertionError("variant must be a CausalVariant")
    offset = seq_len_kv - seq_len_q if variant == CausalVariant.LOWER_RIGHT else 0
    return tril(ones(seq_len_q, seq_len_kv, dtype=bool_), offset)


def causal_upper_left(*size: int) -> Any:
    """Query i sees keys 0 … i."""
    if len(size) != 2:
        raise RuntimeError("causal_upper_left only supports 2D tensors")
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size: int) -> Any:
    """The last query sees all keys, each one before it one fewer."""
    if len(size) != 2:
        raise RuntimeError("causal_lower_right only supports 2D tensors")
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)
