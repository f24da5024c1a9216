"""Two contestants, one process, short rounds by turns: a fair comparison on a machine that is never quite still.

Each contestant is an ordinary user's step function. After both have shown that they compute the same number, they warm
up, and then take turns for rounds of a few milliseconds, so that whatever else the machine does hits both alike. Turns
alternate (AB, BA, AB …), and each round begins with calls that are not timed: they bring the contestant's code and data
back into the caches and give the other's worker threads time to go to sleep.

Both run as installed: default threads, the garbage collector on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isclose
from statistics import quantiles
from time import perf_counter, perf_counter_ns
from typing import Any

Step = Callable[[], object]
ROUNDS = 100
ROUND_SECONDS = 0.004
UNTIMED = 0.25  # the part of a round's length that goes before it without being timed
WARM_UP_SECONDS = 0.4
STILL = 1.2  # quartiles further apart than this: something else was running, and the medians say little


@dataclass(frozen=True)
class Contestant:
    """A step to be timed and, to compare what it computes, the number it has reached."""

    step: Step
    reading: Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Seconds per call over all rounds."""

    smallest: float
    lower: float  # quartile
    median: float
    upper: float  # quartile

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        return cls(min(seconds), *quantiles(seconds, n=4))

    def __str__(self) -> str:
        return f"{duration(self.median)} ({duration(self.lower)} to {duration(self.upper)})"


@dataclass(frozen=True)
class Duel:
    """What came out: each contestant's spread, and how many times faster clew is."""

    clew: Spread
    peer: Spread

    @property
    def ratio(self) -> float:
        return self.peer.median / self.clew.median

    @property
    def ratio_of_minima(self) -> float:
        return self.peer.smallest / self.clew.smallest

    @property
    def sure(self) -> float:
        """The lower of the two ratios: what a bar is held against, so that a disturbed run cannot pass one by luck."""
        return min(self.ratio, self.ratio_of_minima)

    @property
    def disturbed(self) -> bool:
        return any(spread.upper > STILL * spread.lower for spread in (self.clew, self.peer))


def duration(seconds: float) -> str:
    """Three digits and a unit: `1.23 µs`."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def check_same(clew: Contestant, peer: Contestant, steps: int = 20) -> None:
    """Let both take the same steps and refuse to time contestants that do different work."""
    for _ in range(steps):
        clew.step()
        peer.step()
    ours, theirs = clew.reading(), peer.reading()
    if not isclose(ours, theirs, rel_tol=1e-3, abs_tol=1e-6):
        raise SystemExit(f"after {steps} steps clew has {ours!r} and its peer {theirs!r}: not the same work")


def calls_in(seconds: float, step: Step) -> int:
    """How many calls fill a time, found by warming up: at least one."""
    calls, start = 0, perf_counter()
    while (spent := perf_counter() - start) < WARM_UP_SECONDS:
        for _ in range(10):
            step()
        calls += 10
    return max(1, round(calls * seconds / spent))


def time_round(step: Step, calls: int) -> float:
    """Seconds per call of one round."""
    repeat = range(calls)
    for _ in range(max(1, int(calls * UNTIMED))):
        step()
    start = perf_counter_ns()
    for _ in repeat:
        step()
    return (perf_counter_ns() - start) / calls * 1e-9


def duel(clew: Step, peer: Step, rounds: int = ROUNDS, round_seconds: float = ROUND_SECONDS) -> Duel:
    """Time both by turns."""
    turns = [(clew, calls_in(round_seconds, clew), []), (peer, calls_in(round_seconds, peer), [])]
    for number in range(rounds):
        for step, calls, seconds in turns if number % 2 == 0 else reversed(turns):
            seconds.append(time_round(step, calls))
    return Duel(Spread.of(turns[0][2]), Spread.of(turns[1][2]))


def compiled(ours: Contestant, calls: int = 20) -> Callable[[], Any]:
    """clew's step under `torch.compile`, past the calls that are recorded and the one at which it becomes a kernel."""
    import clew

    step: Callable[[], Any] = clew.compile(ours.step, fullgraph=True)
    for _ in range(calls):
        step()
    return step
