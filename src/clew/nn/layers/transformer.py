"""The Transformer, its encoder and decoder, and their layers (Vaswani et al. 2017, "Attention is all you need").

In evaluation without gradients PyTorch runs encoder layers in one kernel, which differs from the layers step by step in
what it makes of padding. The results here are those of the kernel: see `TransformerEncoder`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from clew.core.modes import holds, switches
from clew.nn import functional as F
from clew.nn import init
from clew.nn.containers import ModuleList
from clew.nn.layers.activation import GELU, ReLU
from clew.nn.layers.attention import MultiheadAttention
from clew.nn.layers.dropout import Dropout
from clew.nn.layers.linear import Linear
from clew.nn.layers.norm import LayerNorm
from clew.nn.module import Module
from clew.ops.create import full
from clew.ops.multihead import canonical_mask
from clew.ops.ranges import arange

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip


# ---- masks ------------------------------------------------------------------------------------------------------------
def _causal_mask(size: int, device: Any = None, dtype: Any = None) -> Any:
    """(size, size): −∞ above the diagonal, 0 elsewhere."""
    return full((size, size), -math.inf, dtype=dtype, device=device).triu(1)


def _is_causal(mask: Any, is_causal: bool | None, size: int | None) -> bool:
    """Whether a mask is the causal one; a hint other than None is believed."""
    if is_causal is not None or mask is None:
        return bool(is_causal)
    causal = _causal_mask(mask.size(-2) if size is None else size, mask.device, mask.dtype)
    return holds(np.array_equal, mask._array, causal._array)


def _length(x: Any, batch_first: bool) -> Any:
    """The length of a sequence, with or without a batch."""
    return x.size(1 if x.dim() == 3 and batch_first else 0)


# ---- layers -----------------------------------------------------------------------------------------------------------
def _activation(activation: Any) -> Any:
    """An activation, by name or as a function. RuntimeError for other names."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


class _Layer(Module):
    """What layers of encoder and decoder have in common: attention and a net of two linear maps at every position, each
    with dropout, added to their input, and normed."""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, layer_norm_eps: float, batch_first: bool,
        norm_first: bool, bias: bool, device: Any, dtype: Any, *, crossed: bool,
    ) -> None:  # fmt: skip
        place = {"device": device, "dtype": dtype}
        super().__init__()

        def attention() -> MultiheadAttention:
            return MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place)

        self.self_attn = attention()
        if crossed:
            self.multihead_attn = attention()
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        blocks = (1, 2, 3) if crossed else (1, 2)
        for i in blocks:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for i in blocks:
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _added(self, x: Any, norm: Module, block: Callable[[Any], Any]) -> Any:
        """A block added to its input: normed before it or after."""
        return x + block(norm(x)) if self.norm_first else norm(x + block(x))

    def _ff(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a net of two linear maps, each added to its input and normed (before with `norm_first`).

    src (S, N, d_model), with `batch_first` (N, S, d_model), or (S, d_model); masks as in `MultiheadAttention`.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, layer_norm_eps, batch_first, norm_first, bias, device, dtype,
            crossed=False,
        )  # fmt: skip
        activation = _activation(activation)
        known = {1: (F.relu, ReLU), 2: (F.gelu, GELU)}
        self.activation_relu_or_gelu = next(
            (n for n, (f, kind) in known.items() if activation is f or isinstance(activation, kind)), 0
        )
        self.activation = activation

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Any:
        other = None if src_mask is None else src_mask.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", other, "src_mask", src.dtype)
        mask = canonical_mask(src_mask, "src_mask", None, "", src.dtype, False)
        if self.runs_fused(src):
            width = self.self_attn.embed_dim
            if src.shape[-1] != width:
                raise RuntimeError(
                    f"passed-in embed_dim {width} didn't match last dim of query {src.shape[-1]}"
                )

            def attend(x: Any) -> Any:
                return self.self_attn(x, x, x, padding, True, mask)[0]
        else:

            def attend(x: Any) -> Any:
                return self._sa_block(x, mask, padding, is_causal)

        x = self._added(src, self.norm1, attend)
        return self._added(x, self.norm2, self._ff_block)

    def runs_fused(self, src: Any) -> bool:
        """Whether PyTorch runs the layer in one kernel, where a query that may look at nothing gives NaN."""
        attention = self.self_attn
        return bool(
            not self.training
            and src.dim() == 3
            and attention.batch_first
            and attention.in_proj_bias is not None
            and self.activation_relu_or_gelu
            and self.norm1.eps == self.norm2.eps
            and attention.num_heads % 2 == 0
            and not switches.autocast
            and not (switches.grad and any(t.requires_grad for t in (src, *self.parameters())))
        )

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        x = self.self_attn(
            x, x, x, attn_mask=attn_mask, key_padding_mask=key_padding_mask, need_weights=False, is_causal=is_causal
        )[0]  # fmt: skip
        return self.dropout1(x)

    def _ff_block(self, x: Any) -> Any:
        return self.dropout2(self._ff(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's result, then a net of two linear maps, each added to its input and
    normed (before with `norm_first`).

    tgt (T, N, d_model) and memory (S, N, d_model), with `batch_first` N first, or both without N.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, layer_norm_eps, batch_first, norm_first, bias, device, dtype,
            crossed=True,
        )  # fmt: skip
        self.activation = _activation(activation)

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None, tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None, tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        x = self._added(
            tgt, self.norm1, lambda x: self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        )
        x = self._added(
            x,
            self.norm2,
            lambda x: self._mha_block(x, memory, memory_mask, memory_key_padding_mask, memory_is_causal),
        )
        return self._added(x, self.norm3, self._ff_block)

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        x = self.self_attn(
            x, x, x, attn_mask=attn_mask, key_padding_mask=key_padding_mask, is_causal=is_causal, need_weights=False
        )[0]  # fmt: skip
        return self.dropout1(x)

    def _mha_block(
        self, x: Any, mem: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False
    ) -> Any:
        x = self.multihead_attn(
            x, mem, mem, attn_mask=attn_mask, key_padding_mask=key_padding_mask, is_causal=is_causal,
            need_weights=False,
        )[0]  # fmt: skip
        return self.dropout2(x)

    def _ff_block(self, x: Any) -> Any:
        return self.dropout3(self._ff(x))


# ---- stacks -----------------------------------------------------------------------------------------------------------
def _why_not_nested(layer: Any) -> str:
    """Why an encoder of these layers leaves padding in; "" where it does not."""
    if not isinstance(layer, TransformerEncoderLayer):
        return "encoder_layer was not TransformerEncoderLayer"
    attention = layer.self_attn
    if layer.norm_first:
        return "encoder_layer.norm_first was True"
    if not attention.batch_first:
        return "encoder_layer.self_attn.batch_first was not True(use batch_first for better inference performance)"
    if not attention._qkv_same_embed_dim:
        return "encoder_layer.self_attn._qkv_same_embed_dim was not True"
    if attention.in_proj_bias is None:
        return "encoder_layer.self_attn was passed bias=False"
    if not layer.activation_relu_or_gelu:
        return "encoder_layer.activation_relu_or_gelu was not True"
    if layer.norm1.eps != layer.norm2.eps:
        return "encoder_layer.norm1.eps was not equal to encoder_layer.norm2.eps"
    return "encoder_layer.self_attn.num_heads is odd" if attention.num_heads % 2 else ""


class TransformerEncoder(Module):
    """`num_layers` copies of a layer, one after the other, and a norm at the end.

    In evaluation without gradients, with a padding mask and no other, PyTorch takes the padding out of the batch
    (`enable_nested_tensor`): the result is 0 there. Here it is computed and then set to 0. mask_check: do so only where
    the padding is at the end; else whatever its places, as many of the last positions are taken out.
    """

    def __init__(
        self, encoder_layer: Any, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = ModuleList([deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        why_not = _why_not_nested(encoder_layer)
        if enable_nested_tensor and why_not:
            warnings.warn(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because {why_not}",
                stacklevel=2,
            )
        self.use_nested_tensor = enable_nested_tensor and not why_not
        self.mask_check = mask_check

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        other = None if mask is None else mask.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", other, "mask", src.dtype)
        mask = canonical_mask(mask, "mask", None, "", src.dtype, False)
        first = self.layers[0]
        taken_out = self._taken_out(src, mask, padding, first)
        if taken_out is not None:
            padding = src.new_zeros(taken_out.shape).masked_fill_(taken_out, -math.inf)
        is_causal = _is_causal(mask, is_causal, _length(src, first.self_attn.batch_first))
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        if taken_out is not None:
            src = src.masked_fill(taken_out.unsqueeze(-1), 0.0)
        return src if self.norm is None else self.norm(src)

    def _taken_out(self, src: Any, mask: Any, padding: Any, first: Any) -> Any:
        """Which positions (N, S) PyTorch takes out of the batch; None for none."""
        if not self.use_nested_tensor or padding is None or mask is not None or not first.runs_fused(src):
            return None
        if tuple(padding.shape) != tuple(src.shape[:2]):
            raise RuntimeError("Mask size should match input size")
        kept = padding == 0
        places = arange(padding.shape[1])
        taken_out = places >= kept.sum(1, keepdim=True)
        if self.mask_check and bool((taken_out == kept).any()):
            return None
        return taken_out


class TransformerDecoder(Module):
    """`num_layers` copies of a layer, one after the other, and a norm at the end."""

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None, tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        size = _length(tgt, self.layers[0].self_attn.batch_first)
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, size)
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of `src` and a decoder that makes `tgt` of what the encoder found.

    src (S, N, d_model), tgt (T, N, d_model) → (T, N, d_model); with `batch_first` N first; or without N. Matrices start
    from Xavier's uniform distribution. RuntimeError for batches or features that don't fit.
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: str | Callable[[Any], Any] = F.relu,
        custom_encoder: Any = None, custom_decoder: Any = None, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        place = {"device": device, "dtype": dtype}
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        )  # fmt: skip

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, **place)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(*options, **place)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        self.encoder = custom_encoder
        if custom_decoder is None:
            below = TransformerDecoderLayer(*options, **place)
            custom_decoder = TransformerDecoder(below, num_decoder_layers, norm())
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        """Draw the starting values."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self, src: Any, tgt: Any, src_mask: Any = None, tgt_mask: Any = None, memory_mask: Any = None,
        src_key_padding_mask: Any = None, tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(batch) != tgt.size(batch):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """(sz, sz): −∞ above the diagonal, 0 elsewhere, so that a position looks at those before it alone."""
        return _causal_mask(sz, device, dtype)
