"""Cyclic schedules, warm restarts and chained schedules beside PyTorch's."""

from __future__ import annotations

import pytest
from both import collect, same

torch = pytest.importorskip("torch")


def optimizer_of(t, kind="SGD", **options):
    groups = [{"params": [t.ones(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.3)]
    return getattr(t.optim, kind)(groups, lr=0.1, **options)


def steps(optimizer, schedule, count=14):
    rates = [schedule.get_last_lr()]
    for _ in range(count):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr())
    return rates, schedule.state_dict(), optimizer.state_dict()["param_groups"]


class Half:
    def __init__(self):
        self.part = 0.5

    def __call__(self, x):
        return self.part


CYCLES = [
    ((0.01, 0.1, 3), {}, {"momentum": 0.9}),
    (([0.01, 0.02], [0.1, 0.2], 3, 4), {"mode": "triangular2"}, {"momentum": 0.9}),
    ((0.01, 0.1, 3), {"mode": "exp_range", "gamma": 0.9}, {"momentum": 0.9}),
    ((0.01, 0.1, 3), {"scale_fn": lambda x: 1 / (x + 1), "scale_mode": "iterations"}, {"momentum": 0.9}),
    ((0.01, 0.1, 3), {"scale_fn": Half()}, {"momentum": 0.9}),
    ((0.01, 0.1, 3), {"base_momentum": [0.7, 0.6], "max_momentum": 0.95}, {"kind": "Adam"}),
    ((0.01, 0.1, 3), {"cycle_momentum": False}, {"kind": "Adagrad"}),
    ((0.01, 0.1, 3), {"mode": "foo"}, {"momentum": 0.9}),
    ((0.01, 0.1, 3), {}, {"kind": "Adagrad"}),
    (([0.01], 0.1, 3), {}, {"momentum": 0.9}),
]


@pytest.mark.parametrize(("args", "options", "optimizer"), CYCLES, ids=map(str, range(len(CYCLES))))
def test_cycles(args, options, optimizer):
    def program(t):
        made = optimizer_of(t, **optimizer)
        return steps(made, t.optim.lr_scheduler.CyclicLR(made, *args, **options))

    same(program)


@pytest.mark.parametrize("args", [(3,), (2, 2, 0.01), (0,), (1.5,), (3, 0), (3, 1.5), (3, 2, "a")], ids=str)
def test_restarts(args):
    def program(t):
        made = optimizer_of(t)
        return steps(made, t.optim.lr_scheduler.CosineAnnealingWarmRestarts(made, *args))

    same(program)


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(
    "epochs",
    [[e / 3 for e in range(12)], [1.5 * e for e in range(9)], [-1]],
    ids=["thirds", "far", "negative"],
)
def test_restarts_at_an_epoch(factor, epochs):
    def program(t):
        made = optimizer_of(t)
        schedule = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(made, 3, factor)
        rates = []
        for epoch in epochs:
            made.step()
            schedule.step(epoch)
            rates.append(schedule.get_last_lr())
        return rates, schedule.T_cur, schedule.T_i, schedule.last_epoch

    same(program)


def chained(t, made):
    s = t.optim.lr_scheduler
    return s.ChainedScheduler([s.ExponentialLR(made, 0.9), s.ConstantLR(made, 0.5, 2)], optimizer=made)


def p_chained(t):
    made = optimizer_of(t)
    return steps(made, chained(t, made), 4)


def p_chained_and_saved(t):
    made = optimizer_of(t)
    state = steps(made, chained(t, made), 2)[1]
    made = optimizer_of(t)
    schedule = chained(t, made)
    schedule.load_state_dict(state)
    return steps(made, schedule, 3)


def p_two_optimizers(t):
    s = t.optim.lr_scheduler
    s.ChainedScheduler([s.ExponentialLR(optimizer_of(t), 0.9), s.ExponentialLR(optimizer_of(t), 0.9)])


def p_nothing_chained(t):
    t.optim.lr_scheduler.ChainedScheduler([])


def p_plateau_chained(t):
    s = t.optim.lr_scheduler
    s.ChainedScheduler([s.ReduceLROnPlateau(optimizer_of(t))])


def p_cycle_saved(t):
    s = t.optim.lr_scheduler
    made = optimizer_of(t, momentum=0.9)
    state = steps(made, s.CyclicLR(made, 0.01, 0.1, 3), 2)[1]
    made = optimizer_of(t, momentum=0.9)
    schedule = s.CyclicLR(made, 0.01, 0.1, 5)
    schedule.load_state_dict(state)
    return steps(made, schedule, 3)[0]


@collect(globals())
def test_programs(program):
    same(program)


def test_every_name():
    import clew

    assert set(torch.optim.lr_scheduler.__all__) <= set(dir(clew.optim.lr_scheduler))
    assert set(torch.optim.__all__) - {"swap_in_optimizer_params_and_state"} <= set(dir(clew.optim))
