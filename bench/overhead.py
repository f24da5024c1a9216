"""Where the time of a lab-2 step goes: its pieces one by one, against PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

import clew
from harness import Duel, Step, duel, duration
from report import Detail, Findings

ROUNDS = 40
ROUND_SECONDS = 0.002


def pieces(torch: Any) -> Iterator[tuple[str, Step]]:
    """The parts of the step. Those that need a graph of their own build it, and the next line subtracts nothing."""
    w = torch.tensor(2.0, requires_grad=True)
    w.grad = torch.tensor(1.0)
    p = torch.tensor(2.0)
    plain = torch.tensor(2.0)
    no_grad = torch.no_grad
    mul = w * 3
    loss = (w * 3 - 10) ** 2

    def guarded() -> None:
        with no_grad():
            pass

    def update() -> None:
        nonlocal p
        p -= 0.0

    def chain(length: int) -> Callable[[], None]:
        def run() -> None:
            y = w
            for _ in range(length):
                y = y * 3
            y.backward()

        return run

    def step_forward() -> None:
        (w * 3 - 10) ** 2

    def step_backward() -> None:
        ((w * 3 - 10) ** 2).backward()

    yield "an empty call", lambda: None
    yield "plain * 3, nothing recorded", lambda: plain * 3
    yield "w * 3, recorded", lambda: w * 3
    yield "mul - 10, recorded", lambda: mul - 10
    yield "mul ** 2, recorded, saves mul", lambda: mul**2
    yield "forward: (w * 3 - 10) ** 2", step_forward
    yield "backward again over the same graph", lambda: loss.backward(retain_graph=True)
    yield "forward and backward of w * 3", chain(1)
    yield "forward and backward of ten times * 3", chain(10)
    yield "forward and backward of the step", step_backward
    yield "with no_grad(): pass", guarded
    yield "w.grad", lambda: w.grad
    yield "lr * w.grad", lambda: 0.1 * w.grad
    yield "p -= 0.0", update
    yield "w.item()", w.item
    yield "w.grad.zero_()", lambda: w.grad.zero_()


def run_overhead() -> Findings:
    lines = []
    results: list[tuple[str, Duel]] = []
    for (name, ours), (_, theirs) in zip(pieces(clew), pieces(torch), strict=True):
        results.append((name, duel(ours, theirs, ROUNDS, ROUND_SECONDS)))
    empty = results[0][1]
    for name, result in results[1:]:
        # the call of the measured function itself is not the library's
        ours, theirs = result.clew.median - empty.clew.median, result.peer.median - empty.peer.median
        lines.append((f"`{name}`", duration(ours), duration(theirs), f"{theirs / ours:.1f}×"))
    detail = Detail(
        "Where a lab-2 step goes",
        f"Single pieces, less the {duration(empty.clew.median)} of calling an empty function.",
        ("piece", "clew", "PyTorch", "PyTorch / clew"),
        lines,
    )
    return Findings([], [detail])
