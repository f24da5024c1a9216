"""Optimizers beside PyTorch's: two hundred steps with every option, saving and loading, refusals, hooks."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")
from compare import assert_same, check_error, values

rng = np.random.default_rng(0)
STARTS = [rng.normal(size=shape) for shape in ((3, 2), (4,), (), (2, 2, 2))]


def same(program: Callable[[Any], Any], near: float = 1e-12) -> None:
    assert_same(values(program(torch)), values(program(clew)), near, near)


def parameters(t: Any, dtype: str = "float64") -> list[Any]:
    return [t.tensor(a.tolist(), dtype=getattr(t, dtype), requires_grad=True) for a in STARTS]


def loss(t: Any, params: list[Any], i: int = 0) -> Any:
    """A bowl with a bend, whose slope turns from step to step."""
    return sum(((p - 0.3 * k) ** 2).sum() + (p * (1 + i % 3)).sin().sum() for k, p in enumerate(params))


def descend(t: Any, make: Callable[..., Any], steps: int = 200, dtype: str = "float64") -> list[Any]:
    params = parameters(t, dtype)
    optimizer = make(t, params)
    for i in range(steps):
        optimizer.zero_grad(set_to_none=i % 2 == 0)
        loss(t, params, i).backward()
        optimizer.step()
    return [*params, [s for state in optimizer.state_dict()["state"].values() for s in state.values()]]


RULES: dict[str, Callable[..., Any]] = {
    "SGD": lambda t, p: t.optim.SGD(p, lr=0.01),
    "SGD default rate": lambda t, p: t.optim.SGD(p),
    "SGD decay": lambda t, p: t.optim.SGD(p, 0.01, weight_decay=0.1),
    "SGD momentum": lambda t, p: t.optim.SGD(p, 0.01, momentum=0.9),
    "SGD dampening": lambda t, p: t.optim.SGD(p, 0.01, momentum=0.9, dampening=0.3, weight_decay=0.05),
    "SGD nesterov": lambda t, p: t.optim.SGD(p, 0.01, momentum=0.8, nesterov=True, weight_decay=0.05),
    "SGD maximize": lambda t, p: t.optim.SGD(p, 0.001, maximize=True, weight_decay=0.1),
    "SGD maximize momentum": lambda t, p: t.optim.SGD(p, 0.0001, momentum=0.5, maximize=True),
    "SGD rate as tensor": lambda t, p: t.optim.SGD(p, t.tensor(0.01), momentum=0.9),
    "SGD foreach": lambda t, p: t.optim.SGD(p, 0.01, foreach=True),
    "Adam": lambda t, p: t.optim.Adam(p, lr=0.02),
    "Adam default rate": lambda t, p: t.optim.Adam(p),
    "Adam betas": lambda t, p: t.optim.Adam(p, 0.02, betas=(0.4, 0.99), eps=1e-4),
    "Adam decay": lambda t, p: t.optim.Adam(p, 0.02, weight_decay=0.1),
    "Adam amsgrad": lambda t, p: t.optim.Adam(p, 0.02, amsgrad=True, weight_decay=0.01),
    "Adam maximize": lambda t, p: t.optim.Adam(p, 0.001, maximize=True),
    "Adam decoupled": lambda t, p: t.optim.Adam(p, 0.02, weight_decay=0.1, decoupled_weight_decay=True),
    "Adam rate as tensor": lambda t, p: t.optim.Adam(p, t.tensor(0.02)),
    "AdamW": lambda t, p: t.optim.AdamW(p, lr=0.02),
    "AdamW all": lambda t, p: t.optim.AdamW(p, 0.02, (0.5, 0.95), 1e-6, 0.2, True, maximize=False),
    "groups": lambda t, p: t.optim.SGD(
        [{"params": p[:2], "lr": 0.02, "momentum": 0.9}, {"params": p[2:]}], lr=0.01
    ),
    "groups of Adam": lambda t, p: t.optim.Adam(
        [{"params": p[:1]}, {"params": p[1:], "betas": (0.5, 0.9)}], lr=0.01
    ),
    "names": lambda t, p: t.optim.AdamW([(f"p{i}", v) for i, v in enumerate(p)], 0.01),
}


@pytest.mark.parametrize("name", RULES)
def test_two_hundred_steps(name: str) -> None:
    same(lambda t: descend(t, RULES[name]))


@pytest.mark.parametrize("name", RULES)
def test_two_hundred_steps_in_float32(name: str) -> None:
    same(lambda t: descend(t, RULES[name], dtype="float32"), 2e-5)


@pytest.mark.parametrize("name", RULES)
def test_repr(name: str) -> None:
    assert repr(RULES[name](clew, parameters(clew))) == repr(RULES[name](torch, parameters(torch)))


@pytest.mark.parametrize("name", RULES)
def test_state_dict_has_the_same_shape(name: str) -> None:
    def state(t: Any) -> Any:
        params = parameters(t)
        optimizer = RULES[name](t, params)
        loss(t, params).backward()
        optimizer.step()
        saved = optimizer.state_dict()
        return [
            sorted(saved),
            [(k, [(n, type(v).__name__) for n, v in s.items()]) for k, s in saved["state"].items()],
            [[(k, str(v)) for k, v in g.items()] for g in saved["param_groups"]],
        ]

    same(state)


@pytest.mark.parametrize("name", ["SGD momentum", "Adam amsgrad", "AdamW", "groups"])
def test_saving_half_way_changes_nothing(name: str) -> None:
    def interrupted(t: Any, how: str) -> Any:
        params = parameters(t)
        optimizer = RULES[name](t, params)
        for i in range(10):
            if i == 5:
                saved = optimizer.state_dict()
                saved = pickle.loads(pickle.dumps(saved)) if how == "pickle" else copy.deepcopy(saved)
                optimizer = RULES[name](t, params)
                optimizer.load_state_dict(saved)
            optimizer.zero_grad()
            loss(t, params, i).backward()
            optimizer.step()
        return params

    for how in ("pickle", "deepcopy"):
        same(lambda t, how=how: interrupted(t, how))
        straight = descend(clew, RULES[name], steps=10)[:4]
        assert_same(values(straight), values(interrupted(clew, how)), 1e-15, 0)


@pytest.mark.parametrize("name", ["SGD momentum", "Adam amsgrad"])
def test_a_checkpoint_of_pytorch_loads(name: str) -> None:
    params = parameters(torch)
    original = RULES[name](torch, params)
    loss(torch, params).backward()
    original.step()
    saved = copy.deepcopy(original.state_dict())
    for state in saved["state"].values():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                state[key] = clew.tensor(value.tolist(), dtype=getattr(clew, str(value.dtype)[6:]))
    twins = [clew.tensor(p.tolist(), dtype=clew.float64, requires_grad=True) for p in params]
    optimizer = RULES[name](clew, twins)
    optimizer.load_state_dict(saved)
    for t, ps, o in ((torch, params, original), (clew, twins, optimizer)):
        o.zero_grad()
        loss(t, ps, 1).backward()
        o.step()
    assert_same(values(params), values(twins), 1e-12, 1e-12)


def test_closures() -> None:
    def closed(t: Any) -> Any:
        params = parameters(t)
        optimizer = t.optim.SGD(params, 0.01)
        calls = []

        def closure() -> Any:
            calls.append(t.is_grad_enabled())
            optimizer.zero_grad()
            value = loss(t, params)
            value.backward()
            return value

        with t.no_grad():
            first = optimizer.step(closure)
        return [first.detach(), optimizer.step(closure).detach(), calls, optimizer.step(), params]

    same(closed)


def test_parameters_without_gradient_stay() -> None:
    def partly(t: Any) -> Any:
        params = parameters(t)
        optimizer = t.optim.Adam(params, 0.1)
        params[0].sum().backward()
        optimizer.step()
        return [params, len(optimizer.state), sorted(optimizer.state_dict()["state"])]

    same(partly)


def test_zero_grad_both_ways() -> None:
    def clear(t: Any) -> Any:
        params = parameters(t)
        optimizer = t.optim.SGD(params, 0.1)
        loss(t, params).backward()
        held = params[0].grad
        optimizer.zero_grad(set_to_none=False)
        found = [held.clone(), params[0].grad is held, params[0].grad.requires_grad]
        optimizer.zero_grad()
        return [*found, params[0].grad]

    same(clear)


def test_a_step_counts_as_a_write() -> None:
    def stale(t: Any) -> Any:
        p = t.ones(2, requires_grad=True)
        optimizer = t.optim.SGD([p], 0.1)
        kept = (p * p).sum()
        p.grad = t.ones(2)
        optimizer.step()
        kept.backward()

    check_error(stale)
    same(lambda t: [(p := t.ones(2, requires_grad=True)).sum().backward(), t.optim.SGD([p], 0.1).step(), p])


def test_steps_under_no_grad_leave_leaves() -> None:
    def leaves(t: Any) -> Any:
        params = parameters(t)
        optimizer = t.optim.Adam(params)
        loss(t, params).backward()
        with t.no_grad():
            optimizer.step()
        return [(p.is_leaf, p.requires_grad, p.grad_fn) for p in params]

    same(leaves)


def test_rates_changed_in_the_groups() -> None:
    def changing(t: Any) -> Any:
        params = parameters(t)
        optimizer = t.optim.SGD(params, 0.1, momentum=0.5)
        optimizer.add_param_group(
            {"params": (extra := t.ones(2, dtype=t.float64, requires_grad=True)), "lr": 1.0}
        )
        for _ in range(5):
            optimizer.zero_grad()
            loss(t, [*params, extra]).backward()
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        return [*params, extra, len(optimizer.param_groups)]

    same(changing)


def test_hooks() -> None:
    def hooked(t: Any) -> Any:
        log: list[Any] = []
        params = parameters(t)
        optimizer = t.optim.SGD(params, 0.1)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: log.append(("pre", len(args), dict(kwargs))))
        optimizer.register_step_post_hook(
            lambda o, args, kwargs: log.append(("post", len(args), dict(kwargs)))
        )
        optimizer.register_state_dict_pre_hook(lambda o: log.append("saving"))
        optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
        optimizer.register_load_state_dict_pre_hook(lambda o, state: log.append(sorted(state)))
        optimizer.register_load_state_dict_post_hook(lambda o: log.append("loaded"))
        loss(t, params).backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        return [str(e) for e in log]

    same(hooked)


def test_global_hooks() -> None:
    def hooked(t: Any) -> Any:
        log: list[str] = []
        where = importlib.import_module(f"{t.__name__}.optim.optimizer")
        handles = [
            where.register_optimizer_step_pre_hook(lambda o, args, kwargs: log.append("pre")),
            where.register_optimizer_step_post_hook(lambda o, args, kwargs: log.append("post")),
        ]
        t.optim.SGD(parameters(t), 0.1).step()
        for handle in handles:
            handle.remove()
        t.optim.SGD(parameters(t), 0.1).step()
        return log

    same(hooked)


def test_a_rule_of_ones_own() -> None:
    def own(t: Any) -> Any:
        class Signs(t.optim.Optimizer):
            def __init__(self, params: Any, lr: float) -> None:
                super().__init__(params, {"lr": lr})

            @t.no_grad()
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            self.state[p]["count"] = self.state[p].get("count", 0) + 1
                            p.add_(p.grad.sign(), alpha=-group["lr"])

        return descend(t, lambda t, p: Signs(p, 0.01), steps=20)

    same(own)


def leaf(t: Any) -> Any:
    return t.zeros(2, requires_grad=True)


WRONG = [
    lambda t: t.optim.SGD([], 0.1),
    lambda t: t.optim.SGD(leaf(t), 0.1),
    lambda t: t.optim.SGD([leaf(t) * 2], 0.1),
    lambda t: t.optim.SGD([3], 0.1),
    lambda t: t.optim.SGD([{"params": {leaf(t)}}], 0.1),
    lambda t: t.optim.SGD([leaf(t)], -0.1),
    lambda t: t.optim.Adam([leaf(t)], float("nan")),
    lambda t: t.optim.SGD([leaf(t)], 0.1, momentum=-1),
    lambda t: t.optim.SGD([leaf(t)], 0.1, weight_decay=-1),
    lambda t: t.optim.SGD([leaf(t)], 0.1, nesterov=True),
    lambda t: t.optim.SGD([leaf(t)], 0.1, momentum=0.5, dampening=0.1, nesterov=True),
    lambda t: t.optim.SGD([leaf(t)], t.ones(2)),
    lambda t: t.optim.Adam([leaf(t)], -1),
    lambda t: t.optim.Adam([leaf(t)], eps=-1),
    lambda t: t.optim.Adam([leaf(t)], betas=(1.0, 0.9)),
    lambda t: t.optim.Adam([leaf(t)], betas=(0.9, -0.1)),
    lambda t: t.optim.Adam([leaf(t)], weight_decay=-1),
    lambda t: t.optim.AdamW([leaf(t)], weight_decay=-1),
    lambda t: t.optim.AdamW([leaf(t)], t.ones(2)),
    lambda t: t.optim.SGD([leaf(t)], 0.1).add_param_group(3),
    lambda t: (p := leaf(t), t.optim.SGD([{"params": [p]}, {"params": [p]}], 0.1)),
    lambda t: t.optim.SGD([leaf(t)], 0.1).load_state_dict({"state": {}, "param_groups": []}),
    lambda t: t.optim.SGD([leaf(t)], 0.1).load_state_dict(
        {"state": {}, "param_groups": [{"params": [0, 1]}]}
    ),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_errors(wrong: Callable[[Any], Any]) -> None:
    check_error(wrong)


def test_the_base_has_no_rule() -> None:
    for t in (torch, clew):
        with pytest.raises(NotImplementedError):
            t.optim.Optimizer([leaf(t)], {}).step()


def test_duplicates_warn() -> None:
    for t in (torch, clew):
        with pytest.warns(
            UserWarning, match="optimizer contains a parameter group with duplicate parameters"
        ):
            t.optim.SGD([p := leaf(t), p], 0.1)


def test_a_whole_training() -> None:
    def train(t: Any) -> Any:
        t.manual_seed(0)
        net = t.nn.Sequential(t.nn.Linear(4, 16), t.nn.ReLU(), t.nn.Dropout(0.1), t.nn.Linear(16, 3))
        optimizer = t.optim.AdamW(net.parameters(), 0.01)
        x, y = t.randn(32, 4), t.randint(0, 3, (32,))
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            value = t.nn.functional.cross_entropy(net(x), y)
            value.backward()
            t.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(value.item())
        return losses

    same(train, 2e-4)
