"""Long chains of operations: time and memory for each operation must not depend on how many there are."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

import clew
from harness import duration
from report import Detail, Findings, Row

LENGTHS = (10_000, 100_000, 1_000_000)
STEADY = (
    1.5  # each of a million operations may cost at most this many times what each of a shorter chain costs
)
FRAMES = 40  # frames of Python's stack left to the backward pass: recursion would need millions


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


def seconds_each(torch: Any, length: int, collector: bool = True) -> tuple[float, float]:
    """Seconds per operation, forward and backward; the best of several, more of them where the chain is short."""
    found = []
    for _ in range(max(3, 50_000 // length)):
        gc.collect()
        if not collector:
            gc.disable()
        try:
            start = perf_counter()
            x, y = forward(torch, length)
            middle = perf_counter()
            without_recursion(y.backward)
            found.append(((middle - start) / length, (perf_counter() - middle) / length))
        finally:
            gc.enable()
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
    lines, kept = [], []
    for length in LENGTHS:
        ours = seconds_each(clew, length)
        uncollected = seconds_each(clew, length, collector=False)
        theirs = seconds_each(torch, length)
        held, peak = bytes_each(clew, length)
        kept.append((sum(ours), sum(uncollected), sum(theirs), peak))
        times = [duration(t) for t in (*ours, *uncollected, *theirs)]
        lines.append((f"{length:,}", *times, f"{held:.0f}", f"{peak:.0f}"))
    first, middle, last = kept
    # A chain of 10,000 ends before the collector's first full pass: with the collector, growth is told from 100,000 on.
    growth = max(last[0] / middle[0], last[1] / first[1], last[3] / first[3])
    row = Row(
        "chain of 1,000,000 operations, each",
        f"{duration(last[0])}, {last[3]:.0f} bytes",
        duration(last[2]),
        f"{last[2] / last[0]:.2f}×",
        "",
        f"grows ≤ {STEADY:g}×: {growth:.2f}×",
        growth <= STEADY,
    )
    columns = ("operations", "forward", "backward", "forward, no gc", "backward, no gc", "PyTorch forward")
    detail = Detail(
        "Long chains",
        "Time (the best of several runs) and memory for each operation of a chain on one number. The backward pass runs "
        f"with {FRAMES} frames of Python's stack: nothing recurses. Linear means that the time of an operation without the "
        "garbage collector, and its memory, stay the same from 10,000 operations to 1,000,000; with the collector from "
        "100,000 on, since its full passes, whose cost is proportional to what is alive, begin between the two. With the "
        f"collector an operation of 1,000,000 costs {last[0] / first[0]:.2f} times one of 10,000.",
        (*columns, "PyTorch backward", "bytes held", "bytes at the peak"),
        lines,
    )
    return Findings([row], [detail])
