"""Modules without PyTorch: numerical derivatives of layers and losses, and what loading a wrong checkpoint leaves."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import clew as torch
from clew import nn

F = nn.functional


def rand(*shape: int) -> Any:
    return torch.rand(*shape, dtype=torch.float64, requires_grad=True)


DIFFERENTIABLE: dict[str, Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]] = {
    "layer norm": lambda: (lambda x, w, b: F.layer_norm(x, (3,), w, b), (rand(2, 3), rand(3), rand(3))),
    "rms norm": lambda: (lambda x, w: F.rms_norm(x, (3,), w), (rand(2, 3), rand(3))),
    "group norm": lambda: (lambda x, w, b: F.group_norm(x, 2, w, b), (rand(2, 4, 3), rand(4), rand(4))),
    "batch norm": lambda: (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        (rand(4, 2), rand(2), rand(2)),
    ),
    "instance norm": lambda: (
        lambda x, w, b: F.instance_norm(x, None, None, w, b),
        (rand(2, 2, 4), rand(2), rand(2)),
    ),
    "cross entropy": lambda: (lambda x: F.cross_entropy(x, torch.tensor([0, 2])), (rand(2, 3),)),
    "cross entropy of images": lambda: (
        lambda x: F.cross_entropy(x, torch.tensor([[0, 2]])),
        (rand(1, 3, 2),),
    ),
    "smoothed cross entropy": lambda: (
        lambda x: F.cross_entropy(x, torch.tensor([0, 2]), label_smoothing=0.2),
        (rand(2, 3),),
    ),
    "mse": lambda: (lambda x, y: F.mse_loss(x, y), (rand(2, 3), rand(2, 3))),
    "huber": lambda: (lambda x, y: F.huber_loss(x, y, delta=0.3), (rand(2, 3), rand(2, 3))),
    "bce": lambda: (lambda x, y: F.binary_cross_entropy(x * 0.8 + 0.1, y * 0.8 + 0.1), (rand(3), rand(3))),
    "bce of logits": lambda: (lambda x, y: F.binary_cross_entropy_with_logits(x, y), (rand(3), rand(3))),
    "attention": lambda: (F.scaled_dot_product_attention, (rand(2, 3), rand(4, 3), rand(4, 2))),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_are_the_numerical_ones(name: str) -> None:
    torch.manual_seed(0)
    function, inputs = DIFFERENTIABLE[name]()
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_a_wrong_checkpoint_deep_down_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    wrong = {key: torch.zeros_like(value) for key, value in before.items()}
    wrong["1.bias"] = torch.zeros(5)
    with pytest.raises(RuntimeError, match=r"size mismatch for 1\.bias"):
        net.load_state_dict(wrong)
    assert all(bool((before[key] == value).all()) for key, value in net.state_dict().items())


def test_a_written_target_is_noticed() -> None:
    x, target = torch.rand(2, 3, requires_grad=True), torch.tensor([0, 1])
    loss = F.cross_entropy(x, target)
    target[0] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_hooks_survive_only_where_they_hang() -> None:
    seen: list[str] = []
    net = nn.Sequential(nn.Tanh(), nn.ReLU())
    handle = net[0].register_forward_hook(lambda *_: seen.append("hook"))
    net(torch.zeros(1))
    handle.remove()
    net(torch.zeros(1))
    assert seen == ["hook"]


def test_pickles_keep_shared_parameters_shared() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    thawed = pickle.loads(pickle.dumps(net))
    assert thawed[0].weight is thawed[1].weight
    assert len(list(thawed.parameters())) == 3


def test_importing_nets_and_optimizers_loads_nothing_heavy() -> None:
    program = (
        "import sys, clew.nn, clew.optim; print(*sorted({'scipy', 'numba', 'ml_dtypes'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == ""


def test_nets_are_loaded_when_first_asked_for() -> None:
    program = "import sys, clew; before = 'clew.nn' in sys.modules; clew.nn.Linear; print(before)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "False"
