"""Losses of sequences, pairs and margins, and bags of embeddings: derivatives, and what must hold of the values."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

import clew as torch

F = torch.nn.functional


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def randn(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


INDEX = torch.tensor([1, 2, 4, 5, 4, 3])
OFFSETS = torch.tensor([0, 2, 2, 5])
LISTED = torch.tensor([[0, 2, -1, 1], [3, -1, -1, -1], [1, 0, 2, 3]])
TABLE: dict[str, tuple[Any, ...]] = {
    "ctc": (
        lambda x: F.ctc_loss(x.log_softmax(-1), torch.tensor([[1, 2, 2], [2, 1, 0]]), (6, 4), (3, 2), reduction="none"),
        (6, 2, 4),
    ),
    "bag": (lambda w: F.embedding_bag(INDEX, w, OFFSETS, padding_idx=5), (6, 3)),
    "largest of a bag": (lambda w: F.embedding_bag(INDEX, w, OFFSETS, mode="max"), (6, 3)),
    "weighted bag": (lambda w, s: F.embedding_bag(INDEX, w, OFFSETS, mode="sum", per_sample_weights=s), (6, 3), (6,)),
    "multi_margin": (lambda x: F.multi_margin_loss(x, torch.tensor([0, 3, 1]), p=2, reduction="none"), (3, 4)),
    "multilabel_margin": (lambda x: F.multilabel_margin_loss(x, LISTED, reduction="none"), (3, 4)),
    "pdist": (F.pdist, (4, 3)),
    "pdist, cubes": (lambda x: F.pdist(x, 3), (4, 3)),
    "cosine": (lambda x, y: F.cosine_similarity(x, y, dim=0), (3, 1), (3, 2)),
    "linear_cross_entropy": (
        lambda x, w: F.linear_cross_entropy(x, w, torch.tensor([[0, 1], [2, 2]])), (2, 3), (4, 2, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_derivatives(name: str) -> None:
    function, *shapes = TABLE[name]
    inputs = [randn(*s) for s in shapes]
    assert torch.autograd.gradcheck(function, inputs)
    if name != "ctc":
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("labels", [[1], [1, 2], [1, 1], [2, 1, 2], []])
def test_ctc_is_the_sum_over_all_alignments(labels: list[int]) -> None:
    steps, classes = 4, 3
    logs = randn(steps, classes).detach().log_softmax(-1)
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        if [c for c, _ in itertools.groupby(path) if c] == labels:
            total += math.exp(sum(logs[t, c].item() for t, c in enumerate(path)))
    loss = F.ctc_loss(
        logs, torch.tensor(labels, dtype=torch.long), (steps,), (len(labels),), reduction="none"
    )
    assert loss.item() == pytest.approx(-math.log(total))


def test_ctc_of_labels_that_do_not_fit() -> None:
    x = randn(3, 2, 4)
    loss = F.ctc_loss(
        x.log_softmax(-1), torch.tensor([[1, 1], [1, 2]]), (2, 3), (2, 2), reduction="sum", zero_infinity=True
    )
    loss.backward()
    assert loss.isfinite()
    assert x.grad[:, 0].count_nonzero() == 0
    assert x.grad[:, 1].count_nonzero() == 12


def test_ctc_has_no_second_derivative() -> None:
    x = randn(3, 1, 4)
    slope = torch.autograd.grad(F.ctc_loss(x, torch.tensor([[1]]), (3,), (1,)), x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="_ctc_loss_backward is not implemented"):
        slope.sum().backward()


def test_ctc_refuses_labels_that_do_not_exist() -> None:
    with pytest.raises(IndexError, match=r"every label must be in \[0, 4\)"):
        F.ctc_loss(randn(3, 1, 4), torch.tensor([[4]]), (3,), (1,))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_bag_is_its_rows_put_together(mode: str) -> None:
    table = randn(6, 3)
    bags = F.embedding_bag(INDEX, table, OFFSETS, mode=mode)
    parts = table[INDEX].split([2, 0, 3, 1])
    put = {"sum": lambda x: x.sum(0), "mean": lambda x: x.mean(0), "max": lambda x: x.max(0)[0]}[mode]
    for bag, part in zip(bags, parts, strict=True):
        assert torch.allclose(bag, put(part) if len(part) else torch.zeros(3, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="must not descend"):
        F.embedding_bag(INDEX, table, torch.tensor([0, 3, 2]))


@pytest.mark.parametrize("options", [{}, {"scale_grad_by_freq": True}, {"padding_idx": 7}], ids=str)
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_large_bags(mode: str, options: dict[str, Any]) -> None:
    """Those summed as a sparse matrix's product: value and gradient are those of the rows looked up one by one."""
    if mode == "max" and "scale_grad_by_freq" in options:
        pytest.skip("refused")
    index, table = torch.randint(50, (40, 30)), randn(50, 32)
    weights = torch.rand(40, 32, dtype=torch.float64)
    found = F.embedding_bag(index, table, mode=mode, **options)
    rows = F.embedding(index, table)
    kept = (index != options.get("padding_idx", -1))[..., None]
    if mode == "max":
        want = rows.masked_fill(~kept, -math.inf).amax(1)
    else:
        want = (rows * kept).sum(1) / (kept.sum(1) if mode == "mean" else 1)
    assert torch.allclose(found, want)
    slope, wanted = (torch.autograd.grad((bags * weights).sum(), table)[0] for bags in (found, want))
    if "scale_grad_by_freq" in options:
        wanted = wanted / torch.bincount(index.flatten(), minlength=50).clamp(min=1)[:, None]
    assert torch.allclose(slope, wanted)


def test_distances_of_pairs_are_those_of_all() -> None:
    x = randn(5, 3)
    i, j = torch.triu_indices(5, 5, 1)
    for p in (0.0, 1.0, 2.0, 2.5, math.inf):
        assert torch.allclose(F.pdist(x, p), torch.cdist(x, x, p)[i, j])
    assert F.pdist(x[:1]).shape == (0,)
