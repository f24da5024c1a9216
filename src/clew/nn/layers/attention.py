"""Multi-head attention as a module."""

from __future__ import annotations

from typing import Any

from clew.core.modes import switches
from clew.nn import functional as F
from clew.nn import init
from clew.nn.layers.linear import NonDynamicallyQuantizableLinear
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.ops.create import empty
from clew.ops.multihead import canonical_mask

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """concat(head₁ … head_H) W_O with head_h = softmax(Q_h K_hᵀ / √D) V_h, D = embed_dim / num_heads (Vaswani et al. 2017).

    query (L, N, E), key (S, N, kdim), value (S, N, vdim); with `batch_first` N before L and S; without a batch (L, E).
    Returns (L, N, E) and the weights (N, L, S), or (N, H, L, S) with `average_attn_weights=False`, or None with
    `need_weights=False`. add_bias_kv: one more key and value, learned; add_zero_attn: one more of zeros.
    ValueError for sizes below 1, AssertionError where the heads do not divide embed_dim.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")

        def parameter(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        if self._qkv_same_embed_dim:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = parameter(embed_dim, embed_dim)
            self.k_proj_weight = parameter(embed_dim, self.kdim)
            self.v_proj_weight = parameter(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", parameter(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        if add_bias_kv:
            self.bias_k = parameter(1, 1, embed_dim)
            self.bias_v = parameter(1, 1, embed_dim)
        else:
            self.bias_k = self.bias_v = None  # type: ignore[assignment]
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw the starting values."""
        if self._qkv_same_embed_dim:
            init.xavier_uniform_(self.in_proj_weight)
        else:
            for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any = None, need_weights: bool = True,
        attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        turned = self.batch_first and query.dim() == 3
        other = None if attn_mask is None else getattr(attn_mask, "dtype", None)
        fused = self._runs_fused(query, key, value, key_padding_mask, attn_mask)
        key_padding_mask = canonical_mask(
            key_padding_mask, "key_padding_mask", other, "attn_mask", query.dtype
        )
        attn_mask = canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
        if turned:
            q = query.transpose(1, 0)
            k = q if key is query else key.transpose(1, 0)
            query, value = q, k if value is key else value.transpose(1, 0)
            key = k
        made, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias,
            training=self.training, key_padding_mask=key_padding_mask, need_weights=need_weights or fused,
            attn_mask=attn_mask, use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight, k_proj_weight=self.k_proj_weight, v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return made.transpose(1, 0) if turned else made, weights if need_weights else None

    def _runs_fused(self, query: Any, key: Any, value: Any, padding: Any, mask: Any) -> bool:
        """Whether PyTorch takes its kernel for inference, which follows the way with weights also where none are needed:
        what may look at nothing is then NaN, not 0."""
        return bool(
            self.batch_first
            and not self.training
            and query is key
            and key is value
            and query.dim() == 3
            and self._qkv_same_embed_dim
            and self.in_proj_bias is not None
            and self.bias_k is None
            and not self.add_zero_attn
            and self.num_heads % 2 == 0
            and not (switches.grad and any(t.requires_grad for t in (query, *self.parameters())))
            and all(m is None or m._array.dtype.kind == "b" for m in (padding, mask))
        )
