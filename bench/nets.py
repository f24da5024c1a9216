"""Small networks trained with `nn` and `optim`, as in any PyTorch script."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import clew
from harness import Contestant, check_same, compiled, duel
from report import Findings, faster


def regression_net(torch: Any, activation: str) -> Contestant:
    """4-16-2, four rows, mean squared error, SGD."""
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 16), getattr(nn, activation)(), nn.Linear(16, 2))
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(4, 4), torch.randn(4, 2)

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Contestant(step, lambda: step().item())


def digits_net(torch: Any) -> Contestant:
    """64-128-10, 64 images, cross-entropy, Adam."""
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    numbers = np.random.default_rng(0)
    images = torch.tensor(numbers.random((64, 64), dtype=np.float32))
    labels = torch.tensor(numbers.integers(0, 10, 64))

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return Contestant(step, lambda: step().item())


def run_net() -> Findings:
    found = Findings()
    for activation in ("Tanh", "ReLU"):
        ours, theirs = regression_net(clew, activation), regression_net(torch, activation)
        check_same(ours, theirs)
        work = f"4-16-2 net ({activation}), batch 4, SGD step"
        found.rows.append(faster(work, duel(ours.step, theirs.step), 5))
        found.rows.append(faster("… compiled, PyTorch eager", duel(compiled(ours), theirs.step), 60))
    return found


def run_digits() -> Findings:
    ours, theirs = digits_net(clew), digits_net(torch)
    check_same(ours, theirs)
    return Findings(
        [
            faster("64-128-10 net, batch 64, Adam step", duel(ours.step, theirs.step), 2),
            faster("… compiled, PyTorch eager", duel(compiled(ours), theirs.step), 3),
        ]
    )
