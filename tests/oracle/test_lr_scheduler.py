"""Learning rate schedules beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import clew

torch = pytest.importorskip("torch")
from compare import assert_same, check_error, values

METRICS = [
    5.0,
    4.0,
    4.0,
    4.1,
    4.2,
    3.9,
    3.9,
    3.9,
    3.9,
    3.9,
    3.9,
    3.9,
    3.89999,
    3.0,
    3.0,
    3.0,
    3.0,
    3.0,
    3.0,
    3.0,
    3.0,
    3.0,
]


def optimizer(t: Any, rule: str = "SGD") -> Any:
    first, second = t.zeros(2, requires_grad=True), t.zeros(3, requires_grad=True)
    groups = [{"params": [first]}, {"params": [second], "lr": 0.5}]
    return t.optim.SGD(groups, 0.1, momentum=0.9) if rule == "SGD" else t.optim.Adam(groups, 0.1)


RULES: dict[str, Callable[..., Any]] = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.9**e),
    "LambdaLR two": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (e + 1)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.95),
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9]),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.1, 0.8, 7),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 9, 2.0),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.9)], [4]),
    "SequentialLR three": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 2), s.CosineAnnealingLR(o, 6), s.StepLR(o, 2)], [3, 9]
    ),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.7, total_steps=20),
    "OneCycleLR three": lambda s, o: s.OneCycleLR(o, [0.7, 0.3], epochs=4, steps_per_epoch=5, three_phase=True),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(o, 0.7, total_steps=20, anneal_strategy="linear", cycle_momentum=False),
    "two at once": lambda s, o: (s.LinearLR(o, 0.5, total_iters=4), s.ExponentialLR(o, 0.9))[1],
}  # fmt: skip


def schedule(t: Any, rule: Callable[..., Any], kind: str, save: bool = False) -> Any:
    o = optimizer(t, kind)
    scheduler = rule(t.optim.lr_scheduler, o)
    seen = []
    for i in range(20):
        if save and i == 9:
            saved = scheduler.state_dict()
            scheduler = rule(t.optim.lr_scheduler, o2 := optimizer(t, kind))
            o2.load_state_dict(o.state_dict())
            o = o2
            scheduler.load_state_dict(saved)
        seen.append([(g["lr"], g.get("momentum", g.get("betas"))) for g in o.param_groups])
        o.step()
        scheduler.step()
        seen.append(scheduler.get_last_lr())
    return [seen, scheduler.last_epoch]


def plain(result: Any) -> Any:
    return [plain(r) for r in result] if isinstance(result, (list, tuple)) else result


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", RULES)
def test_rates(name: str, kind: str) -> None:
    assert_same(
        plain(schedule(torch, RULES[name], kind)), plain(schedule(clew, RULES[name], kind)), 1e-12, 1e-15
    )


@pytest.mark.parametrize("name", ["LambdaLR", "StepLR", "CosineAnnealingLR", "SequentialLR", "OneCycleLR"])
def test_saving_half_way(name: str) -> None:
    straight, resumed = (plain(schedule(clew, RULES[name], "SGD", save)) for save in (False, True))
    assert_same(straight, resumed, 1e-12, 1e-15)


@pytest.mark.parametrize(
    "options",
    [{}, {"patience": 2}, {"mode": "max", "patience": 1}, {"threshold_mode": "abs", "threshold": 0.5, "patience": 1},
     {"cooldown": 3, "patience": 0, "factor": 0.5}, {"min_lr": [0.05, 0.01], "patience": 0}],
)  # fmt: skip
def test_plateaus(options: dict[str, Any]) -> None:
    def plateau(t: Any) -> Any:
        o = optimizer(t)
        scheduler = t.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
        seen = []
        for metric in METRICS:
            o.step()
            scheduler.step(t.tensor(metric))
            seen.append([g["lr"] for g in o.param_groups])
        return [seen, scheduler.get_last_lr()]

    assert_same(values(plateau(torch)), values(plateau(clew)), 1e-12, 1e-15)


def test_a_rate_that_is_a_tensor() -> None:
    def tensors(t: Any) -> Any:
        o = t.optim.SGD([t.zeros(1, requires_grad=True)], t.tensor(0.5))
        rate = o.param_groups[0]["lr"]
        scheduler = t.optim.lr_scheduler.ExponentialLR(o, 0.5)
        o.step()
        scheduler.step()
        return [rate, o.param_groups[0]["lr"] is rate]

    assert_same(values(tensors(torch)), values(tensors(clew)), 1e-7, 0)


def test_the_wrong_order_warns() -> None:
    sentences = []
    for t in (torch, clew):
        o = optimizer(t)
        scheduler = t.optim.lr_scheduler.StepLR(o, 1)
        with pytest.warns(UserWarning, match=".") as caught:
            scheduler.step()
        sentences.append([str(w.message) for w in caught])
    assert sentences[0] == sentences[1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.optim.lr_scheduler.StepLR(3, 1),
        lambda t: t.optim.lr_scheduler.LambdaLR(optimizer(t), [lambda e: 1]),
        lambda t: t.optim.lr_scheduler.ConstantLR(optimizer(t), 1.5),
        lambda t: t.optim.lr_scheduler.LinearLR(optimizer(t), 0),
        lambda t: t.optim.lr_scheduler.LinearLR(optimizer(t), 1, 2),
        lambda t: t.optim.lr_scheduler.StepLR(optimizer(t), 1, last_epoch=3),
        lambda t: t.optim.lr_scheduler.SequentialLR(optimizer(t), [], []),
        lambda t: t.optim.lr_scheduler.SequentialLR(
            o := optimizer(t), [t.optim.lr_scheduler.StepLR(o, 1)], [1]
        ),
        lambda t: t.optim.lr_scheduler.OneCycleLR(optimizer(t), 0.1),
        lambda t: t.optim.lr_scheduler.OneCycleLR(optimizer(t), 0.1, total_steps=-1),
        lambda t: t.optim.lr_scheduler.OneCycleLR(optimizer(t), 0.1, total_steps=3, anneal_strategy="steep"),
        lambda t: t.optim.lr_scheduler.ReduceLROnPlateau(optimizer(t), factor=2.0),
        lambda t: t.optim.lr_scheduler.ReduceLROnPlateau(optimizer(t), "up"),
        lambda t: t.optim.lr_scheduler.ReduceLROnPlateau(optimizer(t), min_lr=[1]),
    ],
)
def test_errors(wrong: Callable[[Any], Any]) -> None:
    check_error(wrong)
