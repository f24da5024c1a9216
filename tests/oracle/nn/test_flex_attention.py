"""Attention with functions of pairs, and masks by blocks, beside PyTorch's."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*return_lse:FutureWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def validation() -> Any:
    """PyTorch compiles these functions, and its compiler switches off the checks of distributions for good."""
    kept = torch.distributions.Distribution._validate_args
    yield
    torch.distributions.Distribution.set_default_validate_args(kept)


def room(t: Any) -> Any:
    return import_module(f"{t.__name__}.nn.attention.flex_attention")


def numbers(t: Any, *shape: int, seed: int = 0) -> Any:
    return t.tensor(np.random.default_rng(seed).standard_normal(shape))


BIAS, DISTANCES = (np.random.default_rng(5).standard_normal(shape) for shape in ((4, 7, 9), (20,)))


def inputs(t: Any) -> list[Any]:
    return [numbers(t, 2, 4, n, 8, seed=i) for i, n in enumerate((7, 9, 9))]


SCORES: dict[str, Any] = {
    "causal": lambda t, bias, far: lambda s, b, h, i, j: t.where(i >= j, s, -float("inf")),
    "bias": lambda t, bias, far: lambda s, b, h, i, j: s + bias[h, i, j],
    "bias, index by index": lambda t, bias, far: lambda s, b, h, i, j: s + bias[h][i][j],
    "slopes": lambda t, bias, far: lambda s, b, h, i, j: s + far[h] * (j - i),
    "relative": lambda t, bias, far: lambda s, b, h, i, j: s + far[i - j + 9],
    "capped": lambda t, bias, far: lambda s, b, h, i, j: 2 * t.tanh(s / 2),
}
MASKS = {
    "causal": lambda t: lambda b, h, i, j: i >= j,
    "documents": lambda t: lambda b, h, i, j: t.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2])[i] == t.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2])[j],
    "window": lambda t: room(t).and_masks(lambda b, h, i, j: i >= j, lambda b, h, i, j: i - j < 3),
    "either": lambda t: room(t).or_masks(lambda b, h, i, j: j == 0, lambda b, h, i, j: i == j),
    "all": lambda t: room(t).noop_mask,
    "some without any": lambda t: lambda b, h, i, j: i > j + 2,
    "by heads": lambda t: lambda b, h, i, j: (h > 1) | (i >= j),
}  # fmt: skip


def same(program: Any) -> None:
    for want, have in zip(program(torch), program(clew), strict=True):
        if isinstance(want, str):
            assert have == want
        else:
            assert str(have.dtype) == str(want.dtype)
            np.testing.assert_allclose(have.detach().numpy(), want.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SCORES)
def test_scores(name: str) -> None:
    same(
        lambda t: room(t).flex_attention(
            *inputs(t), score_mod=SCORES[name](t, t.tensor(BIAS), t.tensor(DISTANCES)), return_lse=True
        )
    )


@pytest.mark.parametrize("size", [2, (4, 2), 128], ids=str)
@pytest.mark.parametrize("name", MASKS)
def test_masks(name: str, size: Any) -> None:
    def program(t: Any) -> list[Any]:
        own = MASKS[name](t)
        lead = (2, 4) if name == "by heads" else (None, None)
        mask = room(t).create_block_mask(own, *lead, 7, 9, device="cpu", BLOCK_SIZE=size)
        blocks = [mask.kv_num_blocks, mask.kv_indices, mask.full_kv_num_blocks, mask.full_kv_indices, mask.q_num_blocks,
                  mask.q_indices, mask.full_q_num_blocks, mask.full_q_indices, mask.to_dense()]  # fmt: skip
        found = room(t).flex_attention(*inputs(t), block_mask=mask)
        dense = room(t).create_mask(own, None, 4, 7, 9, device="cpu")
        return [found, dense, *blocks, str(mask), str(mask.sparsity()), str(mask.shape), str(mask[0, 0])]

    same(program)


def test_fewer_heads_of_keys() -> None:
    def program(t: Any) -> list[Any]:
        q, k, v = inputs(t)
        return [room(t).flex_attention(q, k[:, :2], v[:, :2], enable_gqa=True, scale=0.3)]

    same(program)


def test_causal_corners() -> None:
    def program(t: Any) -> list[Any]:
        bias = import_module(f"{t.__name__}.nn.attention.bias")
        attend = t.nn.functional.scaled_dot_product_attention
        return [
            attend(*inputs(t), attn_mask=f(7, 9)) for f in (bias.causal_lower_right, bias.causal_upper_left)
        ]

    same(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda f, q, k, v: f.flex_attention(q[0], k, v),
        lambda f, q, k, v: f.flex_attention(q, k[:, :1], v[:, :1]),
        lambda f, q, k, v: f.flex_attention(q, k[:1], v[:1]),
        lambda f, q, k, v: f.flex_attention(
            q, k, v, block_mask=f.create_block_mask(f.noop_mask, 1, 1, 4, 4, device="cpu")
        ),
    ],
)
def test_errors(wrong: Any) -> None:
    found = []
    for t in (torch, clew):
        with pytest.raises(Exception) as caught:
            wrong(room(t), *inputs(t))
        found.append((type(caught.value).__name__, str(caught.value)))
    assert found[0] == found[1]


def test_derivatives() -> None:
    """PyTorch has none of these on a CPU."""
    f = room(clew)
    mask = f.create_block_mask(lambda b, h, i, j: i >= j, None, None, 3, 3)
    q, k, v = (numbers(clew, 1, 2, 3, 4, seed=i).requires_grad_() for i in range(3))
    score = lambda s, b, h, i, j: s * 1.5 + h - (i - j) * 0.1
    assert clew.autograd.gradcheck(
        lambda *x: f.flex_attention(*x, score_mod=score, block_mask=mask), (q, k, v)
    )
