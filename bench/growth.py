"""How a step's time grows with batch, width and depth, for PyTorch eager, clew eager and clew compiled; and a plot of it."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import clew
from harness import Step, calls_in, compiled, duration, time_round
from large import training
from report import Detail, Findings

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "growth.svg"
AXES: dict[str, tuple[str, list[int]]] = {
    "batch": ("64-128-10 net, Adam", [1, 4, 16, 64, 256, 1024, 4096]),
    "width": ("64-width-10 net, batch 64, Adam", [8, 32, 128, 512, 2048]),
    "depth": ("64-(128 × depth)-10 net, batch 64, Adam", [1, 2, 4, 8, 16, 32]),
}
CONTESTANTS = ("PyTorch", "clew", "clew compiled")
ROUNDS, ROUND_SECONDS = 9, 0.05


def net(torch: Any, batch: int = 64, width: int = 128, depth: int = 1) -> Any:
    """Layers with ReLU, cross-entropy, Adam."""
    torch.manual_seed(0)
    nn = torch.nn
    layers = [nn.Linear(64, width), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    criterion = nn.CrossEntropyLoss()
    numbers = np.random.default_rng(0)
    images = torch.tensor(numbers.random((batch, 64), dtype=np.float32))
    labels = torch.tensor(numbers.integers(0, 10, batch))
    return training(torch.optim.Adam(model.parameters(), lr=1e-3), lambda: criterion(model(images), labels))


def steps(**sizes: int) -> list[Step]:
    return [net(torch, **sizes).step, net(clew, **sizes).step, compiled(net(clew, **sizes))]


def times(contestants: list[Step]) -> list[float]:
    """Seconds per call of each, by turns."""
    turns = [(step, calls_in(ROUND_SECONDS, step), []) for step in contestants]
    for number in range(ROUNDS):
        for step, calls, seconds in turns if number % 2 else turns[::-1]:
            seconds.append(time_round(step, calls))
    return [median(seconds) for _, _, seconds in turns]


def run_growth() -> Findings:
    found = Findings()
    curves: dict[str, dict[int, list[float]]] = {}
    for axis, (work, sizes) in AXES.items():
        curves[axis] = {size: times(steps(**{axis: size})) for size in sizes}
        rows = [
            (str(size), *map(duration, each), f"{each[0] / each[1]:.2f}×", f"{each[0] / each[2]:.2f}×")
            for size, each in curves[axis].items()
        ]
        found.details.append(
            Detail(
                f"Growth with {axis}",
                f"{work}.",
                (axis, *CONTESTANTS, "PyTorch / clew", "PyTorch / compiled"),
                rows,
            )
        )
    picture(curves)
    return found


def picture(curves: dict[str, dict[int, list[float]]]) -> None:
    """The curves, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (axis, points) in zip(
        figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True
    ):
        for i, name in enumerate(CONTESTANTS):
            axes.loglog(list(points), [each[i] * 1e6 for each in points.values()], marker=".", label=name)
        axes.set_xlabel(axis)
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("µs per step")
    figure.axes[0].legend(fontsize="small")
    figure.savefig(PICTURE, metadata={"Date": None})
