"""Optimizers without PyTorch: what a checkpoint, a copy and a change from outside do to a training."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import clew as torch

RULES: dict[str, Callable[..., Any]] = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, 0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.1, amsgrad=True),
}


def steps(params: list[Any], optimizer: Any, n: int) -> list[Any]:
    for _ in range(n):
        optimizer.zero_grad()
        sum((p**2).sum() for p in params).backward()
        optimizer.step()
    return [p.tolist() for p in params]


def fresh() -> list[Any]:
    return [torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)]


@pytest.mark.parametrize("name", RULES)
def test_state_put_in_from_outside_counts(name: str) -> None:
    params = fresh()
    optimizer = RULES[name](params)
    want = steps(params, optimizer, 6)
    params = fresh()
    optimizer = RULES[name](params)
    steps(params, optimizer, 3)
    for state in optimizer.state.values():
        for key, value in state.items():
            state[key] = value.clone()
    assert steps(params, optimizer, 3) == want


@pytest.mark.parametrize("name", RULES)
def test_state_forgotten_starts_anew(name: str) -> None:
    params = fresh()
    want = steps(params, RULES[name](params), 1)
    params = fresh()
    optimizer = RULES[name](params)
    steps(params, optimizer, 2)
    for param, start in zip(params, fresh(), strict=True):
        param.data = start.detach()
    optimizer.state.clear()
    assert steps(params, optimizer, 1) == want


def test_a_parameter_that_joins_later_has_its_own_count() -> None:
    params = fresh()
    optimizer = torch.optim.Adam(params, 0.1)
    for used in (params[:1], params, params[1:], params):
        optimizer.zero_grad()
        sum((p**2).sum() for p in used).backward()
        optimizer.step()
    assert [float(optimizer.state[p]["step"]) for p in params] == [3.0, 3.0]
    optimizer.zero_grad()
    (params[0] ** 2).sum().backward()
    optimizer.step()
    assert [float(optimizer.state[p]["step"]) for p in params] == [4.0, 3.0]


def test_large_and_small_parameters_go_the_same_way() -> None:
    large = torch.full((200, 100), 0.5, requires_grad=True)
    small = torch.full((2,), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([large, small], 0.1, weight_decay=0.01)
    steps([large, small], optimizer, 5)
    assert large[0, 0].item() == small[0].item()


@pytest.mark.parametrize("name", RULES)
def test_pickles_and_copies_go_on(name: str) -> None:
    params = fresh()
    optimizer = RULES[name](params)
    steps(params, optimizer, 2)
    twins, twin = copy.deepcopy((params, optimizer))
    thawed_params, thawed = pickle.loads(pickle.dumps((params, optimizer)))
    want = steps(params, optimizer, 2)
    assert steps(twins, twin, 2) == want
    assert steps(thawed_params, thawed, 2) == want


def test_nan_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="Invalid learning rate: nan"):
        torch.optim.SGD(fresh(), float("nan"))


def test_a_wrong_group_leaves_the_optimizer_as_it_was() -> None:
    params = fresh()
    optimizer = torch.optim.SGD(params, 0.1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": params})
    assert len(optimizer.param_groups) == 1


def test_optimizers_do_not_outlive_their_use() -> None:
    optimizer = torch.optim.Adam(fresh(), 0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    gone = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert gone() is None
