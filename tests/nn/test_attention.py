"""Attention and Transformer: what must hold of them, whatever the numbers."""

from __future__ import annotations

from typing import Any

import pytest

import clew
from clew import nn
from clew.nn import functional as F


def randn(*shape: int) -> Any:
    return clew.randn(*shape, dtype=clew.float64)


@pytest.fixture(autouse=True)
def seeded() -> None:
    clew.manual_seed(0)


@pytest.mark.parametrize("lead", [(2,), (1, 2)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"attn_mask": clew.tensor([[True, False, True], [False] * 3])},
        {"scale": -0.5},
    ],
    ids=str,
)
def test_derivatives(lead: tuple[int, ...], options: Any) -> None:
    tensors = [randn(*lead, n, 4).requires_grad_() for n in (2, 3, 3)]

    def attend(*qkv: Any) -> Any:
        return F.scaled_dot_product_attention(*qkv, **options)

    assert clew.autograd.gradcheck(attend, tensors)
    assert clew.autograd.gradgradcheck(attend, tensors)


def test_derivative_in_the_mask() -> None:
    q, mask = randn(1, 1, 3, 4), randn(3, 3).requires_grad_()
    assert clew.autograd.gradcheck(lambda m: F.scaled_dot_product_attention(q, q, q, m), [mask])


def test_one_primitive_and_the_steps_agree() -> None:
    q, k, v = randn(2, 3, 4, 5), randn(2, 3, 6, 5), randn(2, 3, 6, 5)
    assert (
        F.scaled_dot_product_attention(q.requires_grad_(), k, v).grad_fn.name().startswith("ScaledDotProduct")
    )
    for b in range(2):
        steps = F.scaled_dot_product_attention(q[b], k[b], v[b], is_causal=True)
        assert clew.allclose(steps, F.scaled_dot_product_attention(q, k, v, is_causal=True)[b])


def test_a_query_that_may_look_at_nothing_gives_zeros_and_no_gradient() -> None:
    q = randn(1, 1, 2, 4).requires_grad_()
    made = F.scaled_dot_product_attention(q, q, q, clew.zeros(2, 2, dtype=clew.bool))
    made.sum().backward()
    assert made.count_nonzero() == 0
    assert q.grad.count_nonzero() == 0


def test_groups_of_queries_share_keys() -> None:
    q, k = randn(2, 4, 3, 5), randn(2, 2, 6, 5)
    shared = F.scaled_dot_product_attention(q, k, k, enable_gqa=True)
    for head in range(4):
        own = k[:, head // 2 : head // 2 + 1]
        assert clew.allclose(
            shared[:, head : head + 1], F.scaled_dot_product_attention(q[:, head : head + 1], own, own)
        )


@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_does_not_care_for_the_order_of_keys(need_weights: bool) -> None:
    module, q, k = nn.MultiheadAttention(6, 2).double(), randn(4, 3, 6), randn(5, 3, 6)
    order = clew.tensor([3, 1, 4, 0, 2])
    made, weights = module(q, k, k, need_weights=need_weights)
    again, reordered = module(q, k[order], k[order], need_weights=need_weights)
    assert clew.allclose(made, again)
    if need_weights:
        assert clew.allclose(weights[:, :, order], reordered)
        assert clew.allclose(weights.sum(-1), clew.ones(3, 4, dtype=clew.float64))


def test_batch_first_is_a_matter_of_layout() -> None:
    x = randn(3, 4, 6)
    first = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True).double()
    other = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0).double()
    other.load_state_dict(first.state_dict())
    assert clew.allclose(first(x), other(x.transpose(0, 1)).transpose(0, 1))
    assert clew.allclose(first(x)[1], first(x[1]))


def test_a_causal_decoder_does_not_see_what_comes() -> None:
    model = nn.Transformer(6, 2, 1, 1, 8, dropout=0.0, batch_first=True).double()
    src, tgt, mask = (
        randn(2, 5, 6),
        randn(2, 4, 6),
        nn.Transformer.generate_square_subsequent_mask(4).double(),
    )
    made = model(src, tgt, tgt_mask=mask)
    tgt[:, 2:] += 1
    changed = model(src, tgt, tgt_mask=mask)
    assert clew.allclose(made[:, :2], changed[:, :2])
    assert not clew.allclose(made[:, 2:], changed[:, 2:])


def test_padding_does_not_matter() -> None:
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
    encoder, x = nn.TransformerEncoder(layer, 2).double(), randn(2, 4, 6)
    padding = clew.tensor([[False, False, False, True], [False, False, True, True]])
    short = encoder(x[1:, :2])
    for train in (True, False):
        encoder.train(train)
        with clew.set_grad_enabled(train):
            assert clew.allclose(encoder(x, src_key_padding_mask=padding)[1:, :2], short)
    with clew.no_grad():
        assert encoder(x, src_key_padding_mask=padding)[1, 2:].count_nonzero() == 0


def test_a_transformer_learns_to_copy() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)
    optimizer = clew.optim.Adam(model.parameters(), 0.01)
    x = clew.randn(4, 3, 8)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x, x), F.layer_norm(x, (8,)))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
