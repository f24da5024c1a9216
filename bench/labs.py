"""Single parameters, fitted by hand: nothing but Python stands between the user and the numbers."""

from __future__ import annotations

from typing import Any

import torch

import clew
from harness import Contestant, check_same, compiled, duel
from report import Findings, faster


def lab2(torch: Any) -> Contestant:
    """One parameter: forward, backward, update, three numbers to print, clear."""
    w = torch.tensor(2.0, requires_grad=True)
    lr = 0.1

    def step() -> tuple[float, float, float]:
        nonlocal w
        loss = (w * 3 - 10) ** 2
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad
        shown = w.item(), loss.item(), w.grad.item()
        w.grad.zero_()
        return shown

    return Contestant(step, lambda: w.item())


def lab4(torch: Any) -> Contestant:
    """Two parameters and four points: forward, backward, two updates, clear."""
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    y = torch.tensor([3.0, 5.0, 7.0, 9.0])
    w = torch.tensor(0.0, requires_grad=True)
    b = torch.tensor(0.0, requires_grad=True)
    lr = 0.05

    def step() -> None:
        nonlocal w, b
        loss = ((w * x + b - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad
            b -= lr * b.grad
        w.grad.zero_()
        b.grad.zero_()

    return Contestant(step, lambda: w.item() + b.item())


def run_lab2() -> Findings:
    ours, theirs = lab2(clew), lab2(torch)
    check_same(ours, theirs)
    return Findings(
        [
            faster("lab-2 step: one parameter", duel(ours.step, theirs.step), 10),
            faster("… compiled, PyTorch eager", duel(compiled(ours), theirs.step), 80),
        ]
    )


def run_lab4() -> Findings:
    ours, theirs = lab4(clew), lab4(torch)
    check_same(ours, theirs)
    return Findings(
        [
            faster("lab-4 step: two parameters, four points", duel(ours.step, theirs.step), 8),
            faster("… compiled, PyTorch eager", duel(compiled(ours), theirs.step), 100),
        ]
    )
