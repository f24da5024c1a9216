"""The page `docs/conformance.md`, and the record of what agrees, which may only grow."""

from __future__ import annotations

import json
from pathlib import Path

from conformance import streams
from conformance.entries import LEFT_OUT, REASONS

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "conformance.md"
RECORD = Path(__file__).with_name("record.json")

Results = dict[str, dict[str, str | None]]

# What each column says, and what it has to reach: a number of entries, or a share of those it applies to.
ABOUT: dict[str, tuple[str, float | None]] = {
    "float64": ("float64: value, shape, dtype, gradient", 620),
    "float32": ("float32: value, shape, dtype, gradient", 600),
    "noncontiguous": ("float64 of non-contiguous inputs: value, gradient", 610),
    "second": ("second derivatives in float64", 0.97),
    "forward": ("forward mode in float64", 0.95),
    "complex128": ("complex128: value, gradient", 0.85),
    "bfloat16": ("bfloat16: value, gradient", None),
    "int64": ("int64: value", None),
    "other": ("entries without float64, in a type they have", None),
    "errors": ("error inputs: the type of exception", 0.90),
    "sentences": ("error inputs: the sentence", None),
    "method": ("the method", None),
    "in_place": ("the in-place method", None),
    "out": ("`out=`", None),
}


def counts(results: Results, column: str) -> tuple[int, int]:
    """How many entries agree, and to how many the column applies."""
    found = [row[column] for row in results.values() if row.get(column, "") != ""]
    return sum(reason is None for reason in found), len(found)


def totals(results: Results) -> str:
    """The table of totals."""
    lines = ["| run | agree | of | wanted |", "| --- | ---: | ---: | --- |"]
    columns = next(iter(results.values()), {})
    for column in columns:
        agree, of = counts(results, column)
        about, bar = ABOUT[column]
        wanted = "" if bar is None else f"{bar:.0%}" if bar <= 1 else f"{bar:.0f}"
        lines.append(f"| {about} | {agree} | {of} | {wanted} |")
    return "\n".join(lines)


def show(results: Results) -> None:
    """Every difference, a line each."""
    for name, row in results.items():
        for column, reason in row.items():
            if reason:
                print(f"{name} [{column}] {reason}")


def record() -> dict[str, list[str]]:
    """Which columns agreed, by entry."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def lost(results: Results) -> list[tuple[str, str, str]]:
    """What agreed once and does not now."""
    kept = record()
    return [
        (name, column, reason)
        for name, row in results.items()
        for column, reason in row.items()
        if reason and column in kept.get(name, ())
    ]


def write(results: Results) -> None:
    """The page and the record."""
    RECORD.write_text(
        json.dumps(
            {name: [c for c, reason in row.items() if reason is None] for name, row in results.items()},
            indent=0,
        )
        + "\n"
    )
    columns = list(ABOUT)
    lines = [
        "# Conformance",
        "",
        "Written by `scripts/conformance`; not to be edited. For every entry of PyTorch 2.13's own list of operators",
        "(`torch.testing._internal.common_methods_invocations.op_db`) its samples run in both libraries. ✓: all agree;",
        "✗: not all; a blank: the column does not apply.",
        "",
        totals(results),
        "",
        "## Left out",
        "",
        *[f"- `{name}`: {REASONS[why]}." for name, why in LEFT_OUT.items()],
        "",
        *streams.section(),
        "",
        "## Operators",
        "",
        f"| operator | {' | '.join(columns)} |",
        f"| --- |{' :-: |' * len(columns)}",
    ]
    for name, row in results.items():
        marks = ["✓" if row[c] is None else "" if row[c] == "" else "✗" for c in columns]
        lines.append(f"| `{name}` | {' | '.join(marks)} |")
    lines += ["", "## What differs", ""]
    for name, row in results.items():
        for column in columns:
            if row[column]:
                lines.append(f"- `{name}`, {column}: {' '.join(str(row[column]).split())}")
    PAGE.write_text("\n".join(lines) + "\n")


def write_streams() -> None:
    """The page's section on random functions alone, anew."""
    lines = PAGE.read_text().splitlines()
    end = lines.index("## Operators")
    start = next((i for i, line in enumerate(lines) if line == "## Random functions"), end)
    PAGE.write_text("\n".join([*lines[:start], *streams.section(), "", *lines[end:]]) + "\n")
