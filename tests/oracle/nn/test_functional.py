"""`nn.functional` beside PyTorch's: losses in all their forms, attention, dropout, activations in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")
from compare import check, check_error

rng = np.random.default_rng(11)
X, Y = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
P, Q = rng.uniform(0.05, 0.95, size=(4, 5)), rng.uniform(0.05, 0.95, size=(4, 5))
SIGNS = np.array([1, -1, -1, 1])
REDUCTIONS = ["none", "mean", "sum"]

POINTWISE: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "mse": (lambda F, x, y, r: F.mse_loss(x, y, reduction=r), (X, Y)),
    "mse weighted": (lambda F, x, y, r: F.mse_loss(x, y, reduction=r, weight=y.detach() ** 2), (X, Y)),
    "l1": (lambda F, x, y, r: F.l1_loss(x, y, reduction=r), (X, Y)),
    "smooth l1": (lambda F, x, y, r: F.smooth_l1_loss(x, y, reduction=r, beta=0.7), (X, Y)),
    "smooth l1, beta 0": (lambda F, x, y, r: F.smooth_l1_loss(x, y, reduction=r, beta=0.0), (X, Y)),
    "huber": (lambda F, x, y, r: F.huber_loss(x, y, reduction=r, delta=0.8), (X, Y)),
    "bce": (lambda F, x, y, r: F.binary_cross_entropy(x, y, reduction=r), (P, Q)),
    "bce weighted": (lambda F, x, y, r: F.binary_cross_entropy(x, y, y.detach()[0], reduction=r), (P, Q)),
    "bce logits": (lambda F, x, y, r: F.binary_cross_entropy_with_logits(x, y, reduction=r), (X, Q)),
    "bce logits weighted": (
        lambda F, x, y, w, r: F.binary_cross_entropy_with_logits(x, y, w.detach(), pos_weight=w.detach() * 2, reduction=r),
        (X, Q, P[0]),
    ),
    "kl": (lambda F, x, y, r: F.kl_div(x, y, reduction="batchmean" if r == "mean" else r), (X, Q)),
    "kl log": (lambda F, x, y, r: F.kl_div(x, y, reduction="batchmean" if r == "mean" else r, log_target=True), (X, Y)),
    "poisson": (lambda F, x, y, r: F.poisson_nll_loss(x, y, full=True, reduction=r), (X, 3 * Q)),
    "poisson plain": (lambda F, x, y, r: F.poisson_nll_loss(x, y, log_input=False, reduction=r), (P, Q)),
    "gaussian": (lambda F, x, y, v, r: F.gaussian_nll_loss(x, y, v, full=True, reduction=r), (X, Y, P)),
    "gaussian column": (lambda F, x, y, v, r: F.gaussian_nll_loss(x, y, v, reduction=r), (X, Y, P[:, :1])),
    "gaussian number": (lambda F, x, y, r: F.gaussian_nll_loss(x, y, 0.3, reduction=r), (X, Y)),
    "soft margin": (lambda F, x, t, r: F.soft_margin_loss(x, t.reshape(4, 1).expand(4, 5), reduction=r), (X, SIGNS)),
    "hinge": (lambda F, x, t, r: F.hinge_embedding_loss(x, t.reshape(4, 1), margin=0.6, reduction=r), (X, SIGNS)),
    "ranking": (lambda F, x, y, t, r: F.margin_ranking_loss(x, y, t.reshape(4, 1), 0.2, reduction=r), (X, Y, SIGNS)),
    "cosine": (lambda F, x, y, t, r: F.cosine_embedding_loss(x, y, t, margin=0.1, reduction=r), (X, Y, SIGNS)),
    "triplet": (lambda F, a, p, n, r: F.triplet_margin_loss(a, p, n, swap=True, reduction=r), (X, Y, P)),
    "triplet p=1": (lambda F, a, p, n, r: F.triplet_margin_loss(a, p, n, margin=3, p=1, reduction=r), (X, Y, P)),
    "triplet own": (
        lambda F, a, p, n, r: F.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda u, v: 1 - F.cosine_similarity(u, v), swap=True, reduction=r
        ),
        (X, Y, P),
    ),
    "multilabel soft": (lambda F, x, t, r: F.multilabel_soft_margin_loss(x, t, reduction=r), (X, (Q > 0.5) * 1.0)),
    "multi margin": (lambda F, x, t, r: F.multi_margin_loss(x, t, p=2, margin=0.5, reduction=r), (X, SIGNS + 2)),
    "multi margin weighted": (
        lambda F, x, t, w, r: F.multi_margin_loss(x, t, weight=w.detach(), reduction=r),
        (X, SIGNS + 2, P[0]),
    ),
    "multilabel margin": (
        lambda F, x, t, r: F.multilabel_margin_loss(x, t, reduction=r),
        (X, np.array([[0, 3, -1, 1, 2], [1, -1, 0, 0, 0], [-1, 0, 0, 0, 0], [4, 3, 2, 1, 0]])),
    ),
}  # fmt: skip
# PyTorch has no (or no right) second derivative here, or its gradient at the target is not offered.
FIRST_ONLY = {"multi margin", "multi margin weighted", "multilabel margin"}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", POINTWISE)
def test_losses(name: str, reduction: str) -> None:
    loss, arrays = POINTWISE[name]
    check(
        lambda t, *xs: loss(t.nn.functional, *xs, reduction), *arrays,
        names=False, double=name not in FIRST_ONLY, rtol=1e-7, atol=1e-10,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["mse", "smooth l1", "huber", "bce", "bce logits"])
def test_names_of_nodes(name: str) -> None:
    loss, arrays = POINTWISE[name]
    check(lambda t, *xs: loss(t.nn.functional, *xs, "mean"), *arrays)


CLASSES: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "rows": (X, np.array([0, 4, 2, 2])),
    "one": (X[0], np.array(3)),
    "ignored": (X, np.array([0, -100, 2, -100])),
    "image": (rng.normal(size=(2, 3, 4, 2)), rng.integers(0, 3, size=(2, 4, 2))),
    "signal": (rng.normal(size=(2, 3, 4)), np.array([[0, 1, 2, 1], [2, 2, -100, 0]])),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("case", CLASSES)
def test_cross_entropy_of_indices(case: str, smoothing: float, weighted: bool, reduction: str) -> None:
    x, target = CLASSES[case]
    weight = rng.uniform(0.5, 2, size=x.shape[1 if x.ndim > 1 else 0])

    def loss(t: Any, x: Any, target: Any, weight: Any) -> Any:
        return t.nn.functional.cross_entropy(
            x, target, weight.detach() if weighted else None, reduction=reduction, label_smoothing=smoothing
        )

    check(loss, x, target, weight, names=smoothing == 0 and reduction != "none", rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 4)])
def test_cross_entropy_of_probabilities(shape: tuple[int, ...], reduction: str) -> None:
    x, p = rng.normal(size=shape), rng.uniform(size=shape)
    weight = rng.uniform(size=shape[1 if len(shape) > 1 else 0])
    for smoothing in (0.0, 0.3):
        for use in (False, True):
            check(
                lambda t, x, p, w, s=smoothing, u=use: t.nn.functional.cross_entropy(
                    x, p, w.detach() if u else None, reduction=reduction, label_smoothing=s
                ),
                x, p, weight, names=False, rtol=1e-7, atol=1e-10,
            )  # fmt: skip


def test_cross_entropy_in_float32() -> None:
    x = (10 * X).astype(np.float32)
    check(
        lambda t, x, y: t.nn.functional.cross_entropy(x, y), x, np.array([0, 4, 2, 2]), rtol=1e-6, atol=1e-7
    )
    check(lambda t, x, y: t.nn.CrossEntropyLoss()(x, y), x, np.array([0, 4, -100, 2]), rtol=1e-6, atol=1e-7)
    check(
        lambda t, x, y: t.nn.functional.cross_entropy(x, y, ignore_index=4),
        x,
        np.array([0, 4, 2, 2]),
        rtol=1e-6,
        atol=1e-7,
    )


def test_cross_entropy_of_ignored_targets_alone_is_nan() -> None:
    check(lambda t, x, y: t.nn.functional.cross_entropy(x, y), X, np.full(4, -100), double=False)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CLASSES)
def test_nll(case: str, reduction: str) -> None:
    x, target = CLASSES[case]
    check(
        lambda t, x, y: t.nn.functional.nll_loss(x, y, reduction=reduction),
        x,
        target,
        names=reduction != "none",
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda t, a, b: t.nn.MSELoss()(a, b),
        lambda t, a, b: t.nn.L1Loss(reduction="sum")(a, b),
        lambda t, a, b: t.nn.SmoothL1Loss(beta=0.5)(a, b),
        lambda t, a, b: t.nn.HuberLoss(delta=0.5)(a, b),
        lambda t, a, b: t.nn.BCELoss()(a.sigmoid(), b.sigmoid()),
        lambda t, a, b: t.nn.BCEWithLogitsLoss(pos_weight=t.tensor(2.0, dtype=t.float64))(a, b.sigmoid()),
        lambda t, a, b: t.nn.KLDivLoss(reduction="batchmean")(a, b.sigmoid()),
        lambda t, a, b: t.nn.PoissonNLLLoss()(a, b.sigmoid()),
        lambda t, a, b: t.nn.GaussianNLLLoss()(a, b, b.sigmoid()),
        lambda t, a, b: t.nn.SoftMarginLoss()(a, b.detach().sign()),
        lambda t, a, b: t.nn.HingeEmbeddingLoss()(a, b.sign()),
        lambda t, a, b: t.nn.MarginRankingLoss()(a, b, b.sign()),
        lambda t, a, b: t.nn.CosineEmbeddingLoss()(a, b, t.tensor([1, -1, 1, -1])),
        lambda t, a, b: t.nn.TripletMarginLoss()(a, b, a + b),
        lambda t, a, b: t.nn.TripletMarginWithDistanceLoss()(a, b, a + b),
        lambda t, a, b: t.nn.MultiLabelSoftMarginLoss()(a, b.sigmoid()),
        lambda t, a, b: t.nn.CrossEntropyLoss(label_smoothing=0.1)(a, t.tensor([0, 1, 2, 3])),
        lambda t, a, b: t.nn.CrossEntropyLoss()(a, b.softmax(1)),
        lambda t, a, b: t.nn.NLLLoss(weight=t.arange(5, dtype=t.float64))(a, t.tensor([0, 1, 2, 3])),
    ],
)  # fmt: skip
def test_loss_modules(make: Callable[..., Any]) -> None:
    check(make, X, Y, names=False, double=False)


@pytest.mark.parametrize("mode", ["plain", "bool mask", "float mask", "causal", "scale", "grouped"])
def test_attention(mode: str) -> None:
    q, k, v = (rng.normal(size=(2, 4, n, 3)) for n in (3, 5, 5))

    def attend(t: Any, q: Any, k: Any, v: Any) -> Any:
        f = t.nn.functional.scaled_dot_product_attention
        if mode == "bool mask":
            return f(q, k, v, t.tensor([[True, False, True, True, False]] * 3))
        if mode == "float mask":
            return f(q, k, v, q.detach()[0, 0] @ k.detach()[0, 0].T)
        if mode == "causal":
            return f(q, k, v, is_causal=True)
        if mode == "grouped":
            return f(q, k[:, :2], v[:, :2], enable_gqa=True)
        return f(q, k, v, scale=0.7) if mode == "scale" else f(q, k, v)

    check(attend, q, k, v, names=False, double=False, rtol=1e-6, atol=1e-9)


def test_attention_to_nothing_is_zero() -> None:
    mask = np.array([[True, False], [False, False]])
    check(
        lambda t, x, m: t.nn.functional.scaled_dot_product_attention(x, x, x, m),
        X[:2],
        mask,
        names=False,
        double=False,
    )


def test_attention_refuses_a_mask_beside_is_causal() -> None:
    check_error(
        lambda t: t.nn.functional.scaled_dot_product_attention(
            t.zeros(2, 3), t.zeros(2, 3), t.zeros(2, 3), t.ones(2, 2, dtype=t.bool), is_causal=True
        )
    )


ACTIVATIONS = [
    "relu",
    "relu6",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_in_place(name: str) -> None:
    def in_place(t: Any, x: Any) -> Any:
        y = x * 2
        result = getattr(t.nn.functional, name)(y, inplace=True)
        assert result is y
        return result

    check(in_place, X, names=False, double=False)
    check(lambda t, x: getattr(t.nn.functional, name)(x, inplace=False), X, double=False)


@pytest.mark.parametrize(
    "name", ["relu_", "elu_", "selu_", "celu_", "leaky_relu_", "hardtanh_", "threshold_"]
)
def test_in_place_functions(name: str) -> None:
    options = (0.1, 3.0) if name == "threshold_" else ()
    check(lambda t, x: getattr(t.nn.functional, name)(x * 2, *options), X, names=False, double=False)


def test_options_stand_before_inplace() -> None:
    check(lambda t, x: t.nn.functional.leaky_relu(x * 1, 0.3, True), X, names=False, double=False)
    check(lambda t, x: t.nn.functional.elu(x * 1, 0.3, True), X, names=False, double=False)
    check(lambda t, x: t.nn.functional.threshold(x * 1, 0.3, 2.0, True), X, names=False, double=False)
    check(lambda t, x: t.nn.functional.hardtanh(x * 1, -0.3, 2.0, True), X, names=False, double=False)


@pytest.mark.parametrize(
    "name", ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
)
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_drops_alike(name: str, inplace: bool, p: float) -> None:
    shape = {"dropout1d": (2, 3, 4), "dropout2d": (2, 3, 4, 2)}.get(name, (2, 3, 4, 2, 2))

    def drop(t: Any, x: Any) -> Any:
        t.manual_seed(7)
        return getattr(t.nn.functional, name)(x * 1, p, True, inplace)

    check(drop, rng.normal(size=shape), names=False)
    check(drop, rng.normal(size=shape).astype(np.float32), names=False, rtol=1e-5)


def test_softmaxes() -> None:
    for name in ("softmax", "log_softmax", "softmin"):
        check(lambda t, x, n=name: getattr(t.nn.functional, n)(x, dim=1), X, names=False)
        check(
            lambda t, x, n=name: getattr(t.nn.functional, n)(x, 0, dtype=t.float64),
            X.astype(np.float32),
            names=False,
        )


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 4), (2, 3, 4, 2)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_softmax_chooses_a_dim_and_warns(name: str, shape: tuple[int, ...]) -> None:
    def soft(t: Any, x: Any) -> Any:
        with pytest.warns(UserWarning, match=".") as caught:
            result = getattr(t.nn.functional, name)(x)
        assert len(caught) == 1
        return [result, str(caught[0].message)]

    check(soft, rng.normal(size=shape), grad=False)


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax(hard: bool) -> None:
    def gumbel(t: Any, x: Any) -> Any:
        t.manual_seed(3)
        return t.nn.functional.gumbel_softmax(x, tau=0.7, hard=hard)

    check(gumbel, X, names=False, double=False, rtol=1e-6)


def test_normalize_one_hot_and_distances() -> None:
    check(lambda t, x: t.nn.functional.normalize(x), X, names=False)
    check(lambda t, x: t.nn.functional.normalize(x, p=1, dim=0), X, names=False)
    check(lambda t, y: t.nn.functional.one_hot(y, 6), np.array([0, 4, 2, 2]), grad=False)
    check(lambda t, x, y: t.nn.functional.cosine_similarity(x, y), X, Y, names=False)
    check(lambda t, x, y: t.nn.functional.cosine_similarity(x, y, dim=-1), X, Y[0], names=False)
    check(lambda t, x, y: t.nn.functional.pairwise_distance(x, y, keepdim=True), X, Y, names=False)
    check(lambda t, x, y: t.nn.functional.pairwise_distance(x, y, p=3.0), X, Y[0], names=False)


def test_mismatched_sizes_warn() -> None:
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        sentences = []
        for t in (torch, clew):
            with pytest.warns(UserWarning, match=".") as caught:
                getattr(t.nn.functional, name)(t.zeros(3, 1), t.zeros(3))
            sentences.append([str(w.message) for w in caught])
        assert sentences[0] == sentences[1]


def test_older_spelling_of_reduction() -> None:
    for options in ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}):
        results = []
        for t in (torch, clew):
            with pytest.warns(UserWarning, match=".") as caught:
                result = t.nn.functional.mse_loss(t.ones(3), t.zeros(3), **options)
            results.append((result.tolist(), str(caught[0].message)))
        assert results[0] == results[1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.nn.functional.mse_loss(t.zeros(3), t.zeros(3), reduction="average"),
        lambda t: t.nn.functional.binary_cross_entropy(t.zeros(3), t.zeros(4)),
        lambda t: t.nn.functional.binary_cross_entropy(t.ones(3) * 2, t.zeros(3)),
        lambda t: t.nn.functional.binary_cross_entropy_with_logits(t.zeros(3), t.zeros(4)),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.zeros(4, dtype=t.int64)),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.tensor([0, 1, 2])),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.tensor([0, 1, -1])),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.tensor([0.0, 1.0, 1.0])),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.tensor([0, 1, 1], dtype=t.int32)),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.zeros(3, 2, dtype=t.int64)),
        lambda t: t.nn.functional.cross_entropy(
            t.zeros(3, 2), t.zeros(3, dtype=t.int64), label_smoothing=1.5
        ),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), t.zeros(3, dtype=t.int64), t.zeros(3)),
        lambda t: t.nn.functional.cross_entropy(t.zeros(2, 3, 4), t.zeros(2, 5, dtype=t.int64)),
        lambda t: t.nn.functional.cross_entropy(t.zeros(2, 3, 4), t.zeros(3, 4, dtype=t.int64)),
        lambda t: t.nn.functional.nll_loss(t.tensor(0.0), t.tensor(0)),
        lambda t: t.nn.functional.cross_entropy(3, t.tensor(0)),
        lambda t: t.nn.functional.cross_entropy(t.zeros(3, 2), 0),
        lambda t: t.nn.functional.smooth_l1_loss(t.zeros(3), t.zeros(3), beta=-1),
        lambda t: t.nn.functional.huber_loss(t.zeros(3), t.zeros(3), delta=0),
        lambda t: t.nn.functional.gaussian_nll_loss(t.zeros(3), t.zeros(3), -t.ones(3)),
        lambda t: t.nn.functional.gaussian_nll_loss(t.zeros(3), t.zeros(3), t.ones(4)),
        lambda t: t.nn.functional.multi_margin_loss(t.zeros(3, 2), t.zeros(3, dtype=t.int64), p=3),
        lambda t: t.nn.functional.dropout1d(t.zeros(3), 0.5),
        lambda t: t.nn.functional.layer_norm(t.zeros(2, 3), ()),
        lambda t: t.nn.functional.layer_norm(t.zeros(2, 3), (3,), t.ones(2)),
        lambda t: t.nn.functional.rms_norm(t.zeros(2, 3), (2,)),
        lambda t: t.nn.functional.batch_norm(t.zeros(2, 3), None, None),
        lambda t: t.nn.functional.batch_norm(t.zeros(2, 3), t.zeros(2), t.zeros(3)),
        lambda t: t.nn.functional.group_norm(t.zeros(2), 1),
        lambda t: t.nn.functional.group_norm(t.zeros(2, 4), 2, t.ones(3)),
        lambda t: t.nn.functional.local_response_norm(t.zeros(2, 4), 2),
        lambda t: t.nn.functional.relu(t.zeros(2), False, True),
    ],
)
def test_errors(wrong: Callable[[Any], Any]) -> None:
    check_error(wrong)
