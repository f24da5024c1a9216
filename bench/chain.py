"""Long chains of operations: time and memory for each operation must not depend on how many there are."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import clew
import torch
from harness import duration
from report import Detail, Findings, Row

LENGTHS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
STEADY = 1.5  # a million operations may cost, each, at most this many times what one of ten thousand costs
FRAMES = 40  # of Python's stack that are left to `backward` and to clearing up: a recursion would need millions


def forward(torch: Any, length: int) -> tuple[Any, Any]:
    """A leaf and what becomes of it in `length` operations."""
    x = y = torch.tensor(1.0, requires_grad=True)
    for _ in range(length // 2):
        y = y * 0.999999
        y = y + 1e-6
    return x, y


def stack_depth() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def without_recursion(work: Callable[[], object]) -> None:
    """Run with a stack so short that no recursion along the chain fits in."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(stack_depth() + FRAMES)
    try:
        work()
    finally:
        sys.setrecursionlimit(before)


def seconds_each(torch: Any, length: int) -> tuple[float, float]:
    """Seconds per operation, forward and backward; the best of several, more of them where the chain is short."""
    found = []
    for _ in range(max(3, 100_000 // length)):
        gc.collect()
        start = perf_counter()
        x, y = forward(torch, length)
        middle = perf_counter()
        without_recursion(y.backward)
        found.append(((middle - start) / length, (perf_counter() - middle) / length))
        assert x.grad is not None
        del y
    return min(f for f, _ in found), min(b for _, b in found)


def bytes_each(torch: Any, length: int) -> tuple[float, float]:
    """Bytes per operation that the graph holds, and at the peak of the backward pass."""
    gc.collect()
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        _, y = forward(torch, length)
        held = tracemalloc.get_traced_memory()[0] - start
        y.backward()
        peak = tracemalloc.get_traced_memory()[1] - start
    finally:
        tracemalloc.stop()
    return held / length, peak / length


def run_chain() -> Findings:
    lines, cost = [], {}
    for length in LENGTHS:
        ahead, back = seconds_each(clew, length)
        theirs_ahead, theirs_back = seconds_each(torch, length)
        held, peak = bytes_each(clew, length)
        cost[length] = (ahead, back, theirs_ahead, theirs_back, peak)
        times = [duration(t) for t in (ahead, back, theirs_ahead, theirs_back)]
        lines.append((f"{length:,}", *times, f"{held:.0f}", f"{peak:.0f}"))
    first, last = cost[LENGTHS[0]], cost[LENGTHS[-1]]
    slower, larger = sum(last[:2]) / sum(first[:2]), last[4] / first[4]
    ours, theirs = sum(last[:2]), sum(last[2:4])
    row = Row(
        "chain of 1,000,000 operations, each",
        f"{duration(ours)}, {last[4]:.0f} bytes; of 10,000: {duration(sum(first[:2]))}, {first[4]:.0f} bytes",
        duration(theirs),
        f"{theirs / ours:.2f}×",
        "",
        f"each costs ≤ {STEADY:g}× one of 10,000 (time, memory)",
        slower <= STEADY and larger <= STEADY,
    )
    detail = Detail(
        "Long chains",
        "Time (the best of several runs) and memory for each operation of a chain on one number. The backward pass, and "
        f"freeing the chain, run with {FRAMES} frames of Python's stack: nothing recurses.",
        ("operations", "forward", "backward", "PyTorch forward", "PyTorch backward", "bytes held", "bytes at the peak"),
        lines,
    )
    return Findings([row], [detail])
