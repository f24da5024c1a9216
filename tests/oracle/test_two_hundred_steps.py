"""Every schedule beside PyTorch's: two hundred steps in float64 give the same parameters; and the optimizers with a line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")

NEAR = 1e-6
SCHEDULES: dict[str, Callable[..., Any]] = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.98**e),
    "LambdaLR, warm-up": lambda s, o: s.LambdaLR(o, lambda e: min((e + 1) / 20, 1.0)),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.99 if e % 2 else 1.001),
    "StepLR": lambda s, o: s.StepLR(o, 30, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [20, 60, 60, 150]),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.25, 40),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.1, 0.8, 70),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.98),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 150, 2.0),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 50, 0.001),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 10, 2, 0.001),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.001, 0.02, 15, mode="triangular2", cycle_momentum="momentum" in o.defaults),
    "CyclicLR, exp_range": lambda s, o: s.CyclicLR(o, 0.001, 0.02, 7, 9, "exp_range", 0.99, cycle_momentum=False),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.03, total_steps=200),
    "OneCycleLR, three phases": lambda s, o: s.OneCycleLR(o, 0.03, epochs=10, steps_per_epoch=20, three_phase=True, anneal_strategy="linear"),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=2, factor=0.5, threshold=0.01),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 20), s.ExponentialLR(o, 0.99)]),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=20), s.CosineAnnealingLR(o, 100), s.ExponentialLR(o, 0.9)], [20, 120]
    ),
    "two at once": lambda s, o: (s.LinearLR(o, 0.5, total_iters=40), s.StepLR(o, 50, 0.3))[1],
}  # fmt: skip
RULES: dict[str, Callable[..., Any]] = {
    "SGD": lambda t, groups: t.optim.SGD(groups, 0.01, momentum=0.9),
    "Adam": lambda t, groups: t.optim.Adam(groups, 0.01),
}


def problem(t: Any) -> tuple[list[Any], Callable[[], Any]]:
    rng = np.random.default_rng(0)
    w, b = (t.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((3, 2), (2,)))
    x, y = t.tensor(rng.standard_normal((8, 3))), t.tensor(rng.standard_normal((8, 2)))
    return [w, b], lambda: ((t.tanh(x @ w + b) - y) ** 2).mean()


def numbers(params: list[Any]) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in params])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str, rule: str) -> None:
    def train(t: Any) -> tuple[np.ndarray, list[float]]:
        params, loss_of = problem(t)
        optimizer = RULES[rule](t, [{"params": params[:1]}, {"params": params[1:], "lr": 0.02}])
        schedule = SCHEDULES[name](t.optim.lr_scheduler, optimizer)
        rates = []
        for _ in range(200):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            schedule.step(*([loss.item()] if name == "ReduceLROnPlateau" else []))
            rates += [group["lr"] for group in optimizer.param_groups]
        return numbers(params), rates

    (want, rates), (have, own_rates) = train(torch), train(clew)
    np.testing.assert_allclose(own_rates, rates, rtol=1e-12)
    np.testing.assert_allclose(have, want, atol=NEAR, rtol=0)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_rates_of_averaged_weights(strategy: str) -> None:
    def train(t: Any) -> list[np.ndarray]:
        params, loss_of = problem(t)
        net = t.nn.Module()
        net.w, net.b = (t.nn.Parameter(p.detach()) for p in params)
        optimizer = t.optim.SGD([params[0], params[1]], 0.1, momentum=0.5)
        averaged = t.optim.swa_utils.AveragedModel(net)
        decay = t.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
        schedule = t.optim.swa_utils.SWALR(optimizer, 0.02, anneal_epochs=20, anneal_strategy=strategy)
        for i in range(200):
            optimizer.zero_grad()
            loss_of().backward()
            optimizer.step()
            if i < 100:
                decay.step()
                continue
            with t.no_grad():
                net.w.copy_(params[0])
                net.b.copy_(params[1])
            averaged.update_parameters(net)
            schedule.step()
        return [numbers(params), numbers(list(averaged.parameters()))]

    for want, have in zip(train(torch), train(clew), strict=True):
        np.testing.assert_allclose(have, want, atol=NEAR, rtol=0)


@pytest.mark.parametrize(
    "options",
    [{}, {"line_search_fn": "strong_wolfe"}, {"history_size": 3, "max_iter": 4, "lr": 0.5}],
    ids=str,
)
def test_lbfgs(options: dict[str, Any]) -> None:
    def train(t: Any) -> np.ndarray:
        params, tangents = problem(t)
        optimizer = t.optim.LBFGS(params, **options)

        def loss_of() -> (
            Any
        ):  # a bowl: without a line search only there do two runs that differ in a last bit stay together
            return 0.1 * tangents() + sum((p**2).sum() + (p**4).sum() / 20 for p in params)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            return loss

        for _ in range(200):
            optimizer.step(closure)
        return numbers(params)

    np.testing.assert_allclose(train(clew), train(torch), atol=NEAR, rtol=0)


def test_muon() -> None:
    """Its directions are worked out in bfloat16, in PyTorch too: a whole run stays close."""

    def train(t: Any) -> np.ndarray:
        params, loss_of = problem(t)
        optimizer = t.optim.Muon(params[:1], lr=0.01)
        for _ in range(200):
            optimizer.zero_grad()
            loss_of().backward()
            optimizer.step()
        return numbers(params[:1])

    np.testing.assert_allclose(train(clew), train(torch), atol=NEAR, rtol=0)
