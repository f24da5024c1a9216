"""Losses with margins, of sequences and of pairs, and bags of embeddings, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from both import same
from compare import check

torch = pytest.importorskip("torch")
rng = np.random.default_rng(0)


def randn(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


# ---- connectionist temporal classification ---------------------------------------------------------------------------------
LABELS = [[1, 2, 2], [2, 2, 1], [3, 0, 0]]


def ctc(*lengths: Any, labels: Any = LABELS, **options: Any) -> Callable[..., Any]:
    times, sizes = lengths or ((6, 5, 4), (3, 2, 1))

    def program(t: Any, x: Any) -> Any:
        given = labels(t) if callable(labels) else t.tensor(labels)
        return t.nn.functional.ctc_loss(x.log_softmax(-1), given, times, sizes, **options)

    return program


CTC = {
    "mean": ctc(),
    "none": ctc(reduction="none"),
    "sum": ctc(reduction="sum"),
    "one after the other": ctc(labels=[1, 2, 2, 2, 2, 3], reduction="none"),
    "last blank": ctc(labels=[[1, 2, 2], [2, 2, 1], [1, 0, 0]], blank=3, reduction="none"),
    "no labels": ctc((6, 5, 4), (3, 0, 0), reduction="none"),
    "no time": ctc((6, 0, 4), (3, 0, 1), reduction="none"),
    "does not fit": ctc((6, 2, 4), (3, 3, 1), reduction="none", zero_infinity=True),
    "does not fit, infinite": ctc((6, 2, 4), (3, 3, 1), reduction="none"),
    "does not fit, mean": ctc((6, 2, 4), (3, 3, 1), zero_infinity=True),
}


@pytest.mark.parametrize("program", CTC.values(), ids=CTC.keys())
def test_ctc(program: Any) -> None:
    check(program, randn(6, 3, 4), double=False)
    check(program, randn(6, 3, 4).astype(np.float32), double=False, rtol=1e-4, atol=1e-5)


def test_ctc_of_one_sequence_and_lengths_as_tensors() -> None:
    def program(t: Any, x: Any) -> Any:
        loss, labels = t.nn.CTCLoss(reduction="none"), t.tensor([1, 2, 2])
        return [
            loss(x, labels, t.tensor(5), t.tensor(3)),
            loss(x, labels.int(), t.tensor([5]).int(), t.tensor([3]).int()),
            loss(x, labels[:2], (6,), (2,)),
        ]

    check(program, randn(6, 4), double=False)


# ---- bags of embeddings ----------------------------------------------------------------------------------------------------
def bag(*, square: bool = False, **options: Any) -> Callable[..., Any]:
    def program(t: Any, weight: Any, per_sample: Any = None) -> Any:
        index = t.tensor([1, 2, 4, 5, 4, 3])
        given = {n: o(t) if callable(o) else o for n, o in options.items()}
        if square:
            index, per_sample = index.view(2, 3), None if per_sample is None else per_sample.view(2, 3)
        else:
            given.setdefault("offsets", t.tensor([0, 2, 2, 5]))
        return t.nn.functional.embedding_bag(index, weight, per_sample_weights=per_sample, **given)

    return program


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"square": True}, {"padding_idx": 4}, {"padding_idx": -2}, {"square": True, "padding_idx": 2},
        {"offsets": lambda t: t.tensor([0, 2, 6]), "include_last_offset": True}, {"max_norm": 0.5},
    ],
    ids=lambda options: " ".join(options),
)  # fmt: skip
def test_embedding_bag(options: Any, mode: str) -> None:
    table = randn(6, 3)
    check(bag(mode=mode, **options), table, grad="max_norm" not in options, double=False)


@pytest.mark.parametrize("options", [{}, {"square": True}, {"padding_idx": 4}], ids=str)
def test_embedding_bag_with_weights(options: Any) -> None:
    check(bag(mode="sum", **options), randn(6, 3), randn(6), double=False)


# ---- margins and pairs -----------------------------------------------------------------------------------------------------
def f(name: str, *arguments: Any, **options: Any) -> Callable[..., Any]:
    def program(t: Any, *tensors: Any) -> Any:
        given = [t.tensor(a) if isinstance(a, list) else a for a in arguments]
        named = {n: t.tensor(a).double() if isinstance(a, list) else a for n, a in options.items()}
        return getattr(t.nn.functional, name)(*tensors, *given, **named)

    return program


SIGNS = [[1.0, -1.0, 0.0, 1.0]] * 3
LISTED = [[0, 2, -1, 1], [3, -1, -1, -1], [1, 0, 2, 3]]
LOSSES: dict[str, tuple[Any, ...]] = {
    "multi_margin": (f("multi_margin_loss", [0, 3, 1]), (3, 4)),
    "multi_margin, squares": (f("multi_margin_loss", [0, 3, 1], p=2, margin=0.5), (3, 4)),
    "multi_margin, weights": (f("multi_margin_loss", [0, 3, 1], weight=[1, 2, 3, 4], reduction="sum"), (3, 4)),
    "multi_margin, each": (f("multi_margin_loss", [0, 3, 1], p=2, weight=[1, 2, 3, 4], reduction="none"), (3, 4)),
    "multi_margin, one": (f("multi_margin_loss", [2], reduction="none"), (4,)),
    "multilabel_margin": (f("multilabel_margin_loss", LISTED), (3, 4)),
    "multilabel_margin, each": (f("multilabel_margin_loss", LISTED, reduction="none"), (3, 4)),
    "multilabel_margin, one": (f("multilabel_margin_loss", LISTED[0]), (4,)),
    "hinge": (f("hinge_embedding_loss", SIGNS, reduction="none"), (3, 4)),
    "triplet": (f("triplet_margin_loss", swap=True, p=3), (3, 4), (3, 4), (3, 4)),
    "triplet, own distance": (
        f("triplet_margin_with_distance_loss", distance_function=lambda x, y: (x - y).abs().sum(-1)), (3, 4), (3, 4), (3, 4)
    ),
    "cosine": (f("cosine_similarity", dim=-2, eps=0.5), (1, 2, 3), (2, 1, 3)),
    "linear_cross_entropy": (lambda t, x, w, b: t.nn.functional.linear_cross_entropy(
        x, w, t.ones(5, 2).long(), linear_bias=b, label_smoothing=0.1), (5, 3), (4, 2, 3), (4, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    program, *shapes = LOSSES[name]
    refused = name.startswith("multi")  # PyTorch has no second derivative
    check(program, *(randn(*s) for s in shapes), double=not refused)


@pytest.mark.parametrize("p", [0, 1, 1.5, 2, 3, float("inf")])
def test_pdist(p: float) -> None:
    check(f("pdist", p), randn(5, 3), double=False)


def ones(t: Any, *shape: int) -> Any:
    return t.ones(*shape)


WRONG: dict[str, Any] = {
    "target": lambda t, F: F.multi_margin_loss(ones(t, 3, 4), t.tensor([0, 1, 4])),
    "target's type": lambda t, F: F.multi_margin_loss(ones(t, 3, 4), t.tensor([0.0, 1, 2])),
    "target's shape": lambda t, F: F.multi_margin_loss(ones(t, 3, 4), t.tensor([[0], [1], [2]])),
    "rank": lambda t, F: F.multi_margin_loss(ones(t, 3, 4, 2), t.tensor([0, 1, 2])),
    "weight": lambda t, F: F.multi_margin_loss(ones(t, 3, 4), t.tensor([0, 1, 2]), weight=ones(t, 3)),
    "type": lambda t, F: F.multi_margin_loss(ones(t, 3, 4).half(), t.tensor([0, 1, 2])),
    "power": lambda t, F: F.multi_margin_loss(ones(t, 3, 4), t.tensor([0, 1, 2]), p=3),
    "labels": lambda t, F: F.multilabel_margin_loss(ones(t, 3, 4), t.tensor(LISTED) + 2),
    "labels' shape": lambda t, F: F.multilabel_margin_loss(ones(t, 3, 4), t.tensor(LISTED)[:2]),
    "margin": lambda t, F: F.triplet_margin_loss(*[ones(t, 3, 4)] * 3, margin=0),
    "ranks": lambda t, F: F.triplet_margin_loss(ones(t, 3, 4), ones(t, 4), ones(t, 3, 4)),
    "ranking": lambda t, F: F.margin_ranking_loss(ones(t, 3), ones(t, 3), ones(t, 3, 1)),
    "pdist's rank": lambda t, F: F.pdist(ones(t, 3)),
    "pdist's power": lambda t, F: F.pdist(ones(t, 3, 2), -1),
    "blank": lambda t, F: ctc(blank=4)(t, ones(t, 6, 3, 4)),
    "times": lambda t, F: ctc((6, 5), (3, 2, 1))(t, ones(t, 6, 3, 4)),
    "too much time": lambda t, F: ctc((7, 5, 4), (3, 2, 1))(t, ones(t, 6, 3, 4)),
    "negative time": lambda t, F: ctc((6, -5, 4), (3, 2, 1))(t, ones(t, 6, 3, 4)),
    "too many labels": lambda t, F: ctc((6, 5, 4), (4, 2, 1))(t, ones(t, 6, 3, 4)),
    "too few labels": lambda t, F: ctc(labels=[1, 2, 2])(t, ones(t, 6, 3, 4)),
    "labels' rank": lambda t, F: ctc(labels=[LABELS])(t, ones(t, 6, 3, 4)),
    "half": lambda t, F: ctc()(t, ones(t, 6, 3, 4).half()),
    "four": lambda t, F: ctc()(t, ones(t, 2, 6, 3, 4)),
    "float lengths": lambda t, F: ctc(t.tensor([6.0, 5, 4]), t.tensor([3, 2, 1]))(t, ones(t, 6, 3, 4)),
    "bag's offsets": lambda t, F: F.embedding_bag(t.tensor([0, 1]), ones(t, 3, 2), t.tensor([1])),
    "bag's end": lambda t, F: F.embedding_bag(t.tensor([0, 1]), ones(t, 3, 2), t.tensor([0, 3])),
    "bag without offsets": lambda t, F: F.embedding_bag(t.tensor([0, 1]), ones(t, 3, 2)),
    "bags with offsets": lambda t, F: F.embedding_bag(t.tensor([[0, 1]]), ones(t, 3, 2), t.tensor([0])),
    "bag's mode": lambda t, F: F.embedding_bag(t.tensor([[0, 1]]), ones(t, 3, 2), mode="least"),
    "bag's index": lambda t, F: F.embedding_bag(t.tensor([[0, 3]]), ones(t, 3, 2)),
    "bag's type": lambda t, F: F.embedding_bag(t.tensor([[0.0, 1]]), ones(t, 3, 2)),
    "bag's weights": lambda t, F: F.embedding_bag(t.tensor([[0, 1]]), ones(t, 3, 2), per_sample_weights=ones(t, 1, 2)),
    "bag's padding": lambda t, F: F.embedding_bag(t.tensor([[0, 1]]), ones(t, 3, 2), padding_idx=3),
    "linear's rank": lambda t, F: F.linear_cross_entropy(ones(t, 2, 5, 3), ones(t, 4, 3), t.ones(2, 5).long()),
    "linear's bias": lambda t, F: F.linear_cross_entropy(ones(t, 3), ones(t, 4, 3), t.tensor(1), linear_bias=ones(t, 3)),
}  # fmt: skip


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG.keys())
def test_errors(program: Any) -> None:
    same(lambda t: program(t, t.nn.functional))


def test_modules() -> None:
    def program(t: Any) -> Any:
        t.manual_seed(0)
        found = [
            t.nn.CTCLoss(), t.nn.EmbeddingBag(4, 3, 1.0, 3.0, True, "sum", padding_idx=-1), t.nn.EmbeddingBag(4, 3),
            t.nn.LinearCrossEntropyLoss(3, 4, bias=True, out_features=(2,), options=t.nn.LinearCrossEntropyOptions()),
        ]  # fmt: skip
        x = t.ones(2, 3)
        return [
            *map(str, found), [m.state_dict() for m in found], found[2](t.tensor([[0, 1], [2, 2]])),
            t.nn.LinearCrossEntropyLoss(3, 4, bias=True, out_features=(2,))(x, t.ones(2, 2).long()),
            t.nn.EmbeddingBag.from_pretrained(x, mode="max")(t.tensor([[0, 1]])),
        ]  # fmt: skip

    same(program)
