"""What the doctor costs: nothing before it comes and after it has gone, and a factor while it watches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any

import clew
from harness import Contestant, Step, calls_in, duration, time_round
from labs import lab4
from nets import digits_net
from report import Detail, Findings, Row

ROUNDS = 30
ROUND_SECONDS = 0.02
NOTHING = 1.05  # what two rounds of the same work differ by on a machine that is never quite still


def time_by_turns(step: Step) -> tuple[list[float], list[float]]:
    """Seconds per call without the doctor and under it. Each round under it has a doctor of its own."""
    from clew.doctor.watch import Watch

    calls = calls_in(ROUND_SECONDS, step)
    off, on = [], []
    for number in range(ROUNDS):
        turns = [(nullcontext(), off), (Watch(), on)]
        for around, seconds in turns if number % 2 == 0 else reversed(turns):
            with around:
                seconds.append(time_round(step, calls))
    return off, on


def time_alone(step: Step) -> list[float]:
    calls = calls_in(ROUND_SECONDS, step)
    return [time_round(step, calls) for _ in range(ROUNDS)]


def run_doctor() -> Findings:
    """Before any doctor came, for both; then by turns, where "off" is after one has gone."""
    works: list[tuple[str, Callable[[Any], Contestant]]] = [
        ("lab-4 step", lab4),
        ("64-128-10 net, batch 64, Adam step", digits_net),
    ]
    before = [time_alone(make(clew).step) for _, make in works]
    found = Findings()
    lines = []
    for (name, make), untouched in zip(works, before, strict=True):
        off, on = time_by_turns(make(clew).step)
        gone, minima = median(off) / median(untouched), min(off) / min(untouched)
        work = f"{name}: after the doctor, and before"
        times = duration(median(off)), duration(median(untouched)), f"{1 / gone:.2f}×", f"{1 / minima:.2f}×"
        found.rows.append(Row(work, *times, f"≥ {1 / NOTHING:.2f}×", min(gone, minima) <= NOTHING))
        lines.append((name, *times[:1], duration(median(on)), f"{median(on) / median(off):.2f}×"))
    text = "It replaces some methods while it watches and puts them back afterwards: off, it costs nothing."
    found.details.append(Detail("The doctor's cost", text, ("work", "off", "on", "on / off"), lines))
    return found
