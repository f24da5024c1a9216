"""Averaged models, their statistics and rates beside PyTorch's."""

from __future__ import annotations

import importlib

import pytest
from both import same

torch = pytest.importorskip("torch")


def swa(t):
    return importlib.import_module(f"{'torch' if t is torch else 'clew'}.optim.swa_utils")


WAYS = {
    "mean": lambda s: {},
    "own": lambda s: {"avg_fn": lambda a, b, n: 0.9 * a + 0.1 * b * (n > 1)},
    "running": lambda s: {"avg_fn": s.get_ema_avg_fn(0.5)},
    "means": lambda s: {"avg_fn": s.get_swa_avg_fn()},
    "running lists": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.5)},
    "mean lists": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "buffers": lambda s: {"use_buffers": True},
    "both": lambda s: {"avg_fn": 1, "multi_avg_fn": 2},
    "decay": lambda s: {"avg_fn": s.get_ema_avg_fn(2.0)},
    "decay of lists": lambda s: {"avg_fn": s.get_ema_multi_avg_fn(-2.0)},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_averages(way):
    def program(t):
        t.manual_seed(0)
        model = t.nn.Sequential(t.nn.Linear(3, 2), t.nn.BatchNorm1d(2)).double()
        averaged = swa(t).AveragedModel(model, **way(swa(t)))
        optimizer = t.optim.SGD(model.parameters(), lr=0.1)
        for i in range(4):
            optimizer.zero_grad()
            model(t.linspace(-1, 1, 12, dtype=t.float64).view(4, 3) * i).square().sum().backward()
            optimizer.step()
            averaged.update_parameters(model)
        state = {
            k: t.round(v.double(), decimals=9) + 0.0 for k, v in averaged.state_dict().items()
        }  # no −1e-17
        return repr(averaged), state, t.round(averaged(t.ones(2, 3, dtype=t.float64)), decimals=9) + 0.0

    same(program)


@pytest.mark.parametrize("pairs", [False, True])
def test_statistics_anew(pairs):
    def program(t):
        t.manual_seed(0)
        model = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2)).double().eval()
        data = [t.arange(8.0).double().view(4, 2) * i for i in range(3)]
        swa(t).update_bn([(x, 0) for x in data] if pairs else data, model)
        return list(model.state_dict().items()), model.training, model[1].momentum

    same(program)


RATES = [
    {"swa_lr": 0.05, "anneal_epochs": 4}, {"swa_lr": 0.05, "anneal_epochs": 4, "anneal_strategy": "linear"},
    {"swa_lr": [0.05, 0.01], "anneal_epochs": 0}, {"swa_lr": 0.05, "anneal_strategy": "foo"},
    {"swa_lr": 0.05, "anneal_epochs": -2}, {"swa_lr": [0.05]},
]  # fmt: skip


@pytest.mark.parametrize("options", RATES, ids=str)
def test_rates(options):
    def program(t):
        groups = [{"params": [t.ones(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.3)]
        optimizer = t.optim.SGD(groups, lr=0.1)
        schedule = swa(t).SWALR(optimizer, **options)
        rates = [schedule.get_last_lr()]
        for _ in range(8):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr())
        return rates, schedule.state_dict(), optimizer.state_dict()["param_groups"]

    same(program)
