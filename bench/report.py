"""What the benchmarks found, as one table and a page."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from harness import Duel

COLUMNS = ("work", "clew", "peer", "peer / clew", "of the minima", "bar", "met")
LIBRARIES = ("numpy", "torch")
HOW = """\
Written by `scripts/bench`. Each time is the median over rounds of a few milliseconds, with its quartiles in brackets;
both contestants run in one process and take turns, with their default threads and the garbage collector on. Times for
importing come from fresh interpreters that take turns. The peer is PyTorch, eager, on the CPU, except for
importing, where it is NumPy. A bar is met where the ratio of the medians and that of the minima both reach it; a row is
marked (disturbed) where the quartiles lie so far apart that something else must have been running. Ratios say more than times, which are this machine's."""


@dataclass(frozen=True)
class Row:
    """One line of the main table; `met` is None where no bar is set."""

    work: str
    clew: str
    peer: str
    ratio: str
    minima: str
    bar: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        met = "" if self.met is None else "yes" if self.met else "NO"
        return (self.work, self.clew, self.peer, self.ratio, self.minima, self.bar, met)


@dataclass(frozen=True)
class Detail:
    """A table that stands below the main one."""

    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Findings:
    """What one benchmark, or all of them, found."""

    rows: list[Row] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.rows += other.rows
        self.details += other.details

    @property
    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.met is False]


def faster(work: str, result: Duel, bar: float) -> Row:
    """The line of a duel in which clew is to be `bar` times faster."""
    return Row(
        named(work, result),
        str(result.clew),
        str(result.peer),
        f"{result.ratio:.2f}×",
        f"{result.ratio_of_minima:.2f}×",
        f"≥ {bar:g}×",
        result.sure >= bar,
    )


def named(work: str, result: Duel) -> str:
    return work + " (disturbed)" if result.disturbed else work


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns: to read as text, and to render."""
    if not rows:
        return ""
    widths = [max(len(line[i]) for line in (columns, *rows)) for i in range(len(columns))]
    lines = [columns, ["-" * w for w in widths], *rows]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines)


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> str:
    """Where the numbers come from: processor, cores, Python, libraries, threads."""
    import torch

    import clew

    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    threads = f"PyTorch on {torch.get_num_threads()} threads"
    set_threads = [
        f"{n}={os.environ[n]}" for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if n in os.environ
    ]
    return (
        f"{processor()}, {cores()} cores; {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}; clew {clew.version.clew}, {libraries}; "
        f"{', '.join([threads, *set_threads])}."
    )


def page(findings: Findings) -> str:
    """The page docs/benchmarks.md."""
    parts = ["# Benchmarks", HOW, f"Measured on: {machine()}"]
    parts.append(table(COLUMNS, [row.cells() for row in findings.rows]))
    for detail in findings.details:
        parts += [f"## {detail.title}", detail.text, table(detail.columns, detail.rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def note(text: str) -> None:
    """Say what is going on, apart from the output."""
    print(text, file=sys.stderr, flush=True)
