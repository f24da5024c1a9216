"""The training timeline: step by step what was cleared, computed, added to `.grad` and changed, as text, data, plot and page.

with view.Timeline() as seen:
    train()
print(seen.text())
"""

from __future__ import annotations

import argparse
import json as json_module
import linecache
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from clew import observed
from clew.doctor.events import line_of
from clew.doctor.watch import Watch
from clew.observed import Unusable
from clew.view.data import short
from clew.view.ledger import Amount, Ledger, Line, Step

__all__ = ["Timeline", "Unusable", "own_options", "run"]

SHOWN = (5, 3)  # steps at the beginning and at the end that the text shows
ROWS = 8  # parameters of one event in the text
NARROW = 90  # columns below which numbers go to a line of their own
KINDS = (".html", ".svg", ".png", ".pdf", ".json", ".txt")


class Timeline:
    """A run under observation. A context manager; everything else at any time, also while it runs."""

    def __init__(self, name: str = "", folder: Path | None = None) -> None:
        self.name = name
        self.folder = folder
        self.watch = Watch(rules=(Ledger,))
        self.ledger: Any = self.watch.rules[0]
        self.note = ""

    def __enter__(self) -> Timeline:
        self.watch.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.watch.__exit__(kind, error, trace)

    # ---- data ------------------------------------------------------------------------------------------------------------
    def as_data(self) -> dict[str, Any]:
        """All that is known, as what JSON can hold. Amounts of larger tensors are norms."""
        ledger = self.ledger
        parameters = [
            {
                "name": ledger.name_of(known), "shape": list(known.leaf.shape), "value": _number(known.first), "made": self._at(line_of(known.leaf.place)),
                "gradients": _points(known.grads), "ratios": _points(known.ratios),
            }
            for known in sorted(ledger.known.values(), key=lambda known: known.leaf.number)
        ]  # fmt: skip
        return {
            "name": self.name,
            "steps": [self._step(step) for step in ledger.steps()],
            "left_out": ledger.left_out,
            "count": ledger.step.number if ledger.step.events else ledger.step.number - 1,
            "passes": ledger.passes,
            "updates": ledger.updates,
            "losses": _points(ledger.losses),
            "parameters": parameters,
            "note": self.note or self.watch.report().note,
        }

    def _step(self, step: Step) -> dict[str, Any]:
        events = [
            {
                "kind": event.kind, "by": event.by, **self._at(event.line), "operations": event.operations,
                "loss": _number(event.loss),
                "changes": [
                    {
                        "name": c.name, "size": c.size, "before": _number(c.before), "added": _number(c.added),
                        "after": _number(c.after),
                    }
                    for c in event.changes
                ],
            }
            for event in step.events
        ]  # fmt: skip
        return {"number": step.number, "events": events, "left_out": step.left_out}

    def _at(self, line: Line | None) -> dict[str, Any]:
        if line is None or not line[0]:
            return {"file": "", "line": 0, "text": ""}
        path = Path(line[0])
        if self.folder is not None:
            try:
                path = path.resolve().relative_to(self.folder)
            except (ValueError, OSError):
                path = Path(path.name)
        return {"file": path.as_posix(), "line": line[1], "text": linecache.getline(*line).strip()}

    # ---- text ------------------------------------------------------------------------------------------------------------
    def text(self, width: int | None = None) -> str:
        """The steps as text; the first and the last, where they are many."""
        width = width or shutil.get_terminal_size((100, 24)).columns
        return "\n".join(_text_lines(self.as_data(), width))

    def __str__(self) -> str:
        return self.text()

    # ---- plot and page -----------------------------------------------------------------------------------------------------
    def plot(self, figure: Any = None) -> Any:
        """The losses, the gradients' norms and the updates' size beside the parameters', by step; a matplotlib figure."""
        from clew.view.timeline_plot import plot

        return plot(self.as_data(), figure)

    def html(self) -> str:
        """A page of its own, on which one goes through the events and watches each parameter and its gradient."""
        from clew.view.timeline_page import page

        return page(self.as_data())

    def save(self, path: str | Path) -> None:
        """Write .html, .svg, .png, .pdf, .json or .txt."""
        target = Path(path)
        kind = target.suffix.lower()
        if kind in (".svg", ".png", ".pdf"):
            self.plot().savefig(target)
            return
        made = {
            ".html": self.html,
            ".json": lambda: json_module.dumps(self.as_data(), ensure_ascii=False, indent=1),
            ".txt": lambda: self.text(120),
        }.get(kind)
        if made is None:
            raise ValueError(f"a timeline is saved as one of {' '.join(KINDS)}, not as '{target.name}'")
        target.write_text(made() + "\n", encoding="utf-8")

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text(100))}</pre>"


def _number(value: Amount) -> Any:
    """JSON has no NaN."""
    return str(value) if value is not None and not math.isfinite(value) else value


def _points(series: Any) -> list[list[Any]]:
    return [[step, _number(value)] for step, value in series.points]


# ---- as text -------------------------------------------------------------------------------------------------------------
def _text_lines(data: dict[str, Any], width: int) -> Iterator[str]:
    yield f"clew timeline: {data['name']}" if data["name"] else "clew timeline"
    if data["note"]:
        yield data["note"]
    if not data["steps"]:
        yield "nothing was recorded"
        return
    counts = [
        _many(data["count"], "step"), _many(data["passes"], "backward pass"), _many(data["updates"], "update"),
    ]  # fmt: skip
    yield ", ".join(counts) + (f"; loss {_course(data['losses'])}" if data["losses"] else "")
    steps = data["steps"]
    first, last = SHOWN
    chosen = steps if len(steps) <= first + last else [*steps[:first], *steps[-last:]]
    files = {e["file"] for step in chosen for e in step["events"] if e["file"]}
    before = 0
    for step in chosen:
        if step["number"] != before + 1:
            yield f"… {_many(step['number'] - before - 1, 'step')} …"
        before = step["number"]
        yield f"step {before}"
        for event in step["events"]:
            yield from _event_lines(event, width, len(files) > 1)
        if step["left_out"]:
            yield f"  … {_many(step['left_out'], 'event')} more"


def _event_lines(event: dict[str, Any], width: int, with_file: bool) -> Iterator[str]:
    where = f"{event['file']}:{event['line']}" if with_file and event["file"] else f"line {event['line']}"
    head = f"  {event['kind']:<9} {where if event['line'] else '':<9} {event['text']}"
    told = list(_told(event))
    column = 64 if width >= 120 else 52
    if width < NARROW:
        yield head[:width]
        for row in told:
            yield f"      {row}"
        return
    for i, row in enumerate(told or [""]):
        start = head if i == 0 else ""
        start = start if len(start) < column else start[: column - 2] + "…"
        yield f"{start:<{column}} {row}".rstrip()


def _told(event: dict[str, Any]) -> Iterator[str]:
    """What an event did, a line for each parameter."""
    if event["kind"] == "forward":
        yield _many(event["operations"], "operation") + (
            "" if event["loss"] is None else f", loss = {_short(event['loss'])}"
        )
        return
    changes = event["changes"]
    for change in changes[:ROWS]:
        yield _row(event["kind"], change)
    if len(changes) > ROWS:
        yield f"… and {len(changes) - ROWS:,} more"
    if not changes:
        yield {"clear": "nothing to clear", "backward": event["by"], "update": "no parameter changed"}.get(
            event["kind"], ""
        )
    if event["by"] and event["kind"] == "update" and event["by"] != "by hand":
        yield f"({event['by']})"


def _row(kind: str, change: dict[str, Any]) -> str:
    """`x.grad = 6 + 2 = 8`; of larger tensors the norms, which do not add up."""
    name, size = change["name"], change["size"]
    before, added, after = change["before"], change["added"], change["after"]
    gradient = kind != "update"
    what = name if not gradient else f"({name}).grad" if " " in name else f"{name}.grad"
    if kind in ("clear", "changed"):
        return f"{what}: {_short(before)} → {_short(after)}" + ("" if size == 1 else " (norm)")
    if size == 1:
        if added is None:
            return f"{what} = {_short(after)}"
        if before is None:
            return f"{what} = {_short(after)}"
        sign = "-" if isinstance(added, float) and added < 0 else "+"
        plain = _short(abs(added)) if isinstance(added, float) else _short(added)
        return f"{what} = {_short(before)} {sign} {plain} = {_short(after)}"
    if gradient:
        if not before:
            return f"‖{what}‖ = {_short(after)}"
        return f"‖{what}‖ {_short(before)}, ‖added‖ {_short(added)} → {_short(after)}"
    if added is None:
        return f"‖{what}‖ {_short(before)} → {_short(after)}"
    ratio = added / before if isinstance(before, float) and before and isinstance(added, float) else None
    return f"‖change of {what}‖ = {_short(added)}" + ("" if ratio is None else f", {ratio:.1e} of it")


def _short(value: Any) -> str:
    return "None" if value is None else value if isinstance(value, str) else short(value)


def _course(points: list[list[Any]]) -> str:
    values = [value for _, value in points]
    if len(values) == 1:
        return _short(values[0])
    return f"{_short(values[0])} → {_short(values[-1])}{_spark(values)}"


def _spark(values: list[Any]) -> str:
    """The course as a row of bars."""
    plain = [v for v in values if isinstance(v, float | int)]
    if len(plain) < 3 or max(plain) == min(plain):
        return ""
    every = max(len(plain) / 24, 1.0)
    chosen = [plain[int(i * every)] for i in range(int(len(plain) / every))]
    low, high = min(chosen), max(chosen)
    return "  " + "".join("▁▂▃▄▅▆▇█"[int((v - low) / ((high - low) or 1) * 7)] for v in chosen)


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


# ---- the command -----------------------------------------------------------------------------------------------------------
class _Around(observed.Around):
    """What stands around a program whose timeline is drawn."""

    def __init__(self, name: str) -> None:
        super().__init__(Path(name).name)
        self.timeline = Timeline(self.name, Path(name).resolve().parent if Path(name).suffix else Path.cwd())

    def begin(self) -> None:
        self.timeline.__enter__()

    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.timeline.__exit__(kind, error, trace)

    def drop(self) -> None:
        self.timeline.watch.taps.remove()


def own_options(options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Put `--json` and `-o FILE` among what follows SCRIPT into `options`; the rest is the script's, and all after `--`."""
    own = observed.OwnOptions()
    own.add_argument("-o", "--output", metavar="FILE", type=Path)
    own.add_argument("--json", action="store_true")
    return own.take(options, rest)


def run(name: str, program: observed.Program, *, json: bool = False, output: Path | None = None) -> int:
    """Run `program` and tell its timeline: text on stderr; JSON as the last line of stdout; or a file.

    The exit status is the program's. Unusable where the file cannot be written.
    """
    if output is not None:
        if output.suffix.lower() not in KINDS:
            raise Unusable(f"a timeline is drawn to one of {' '.join(KINDS)}, not to '{output.name}'")
        observed.try_to_write(output)
    around = _Around(name)
    status = observed.run(program, around)
    if around.forked:
        return status
    timeline = around.timeline
    timeline.note = around.notes(timeline.watch.report().note)
    if output is not None:
        try:
            timeline.save(output)
        except ImportError as error:
            raise Unusable(f"{output.suffix} needs {error.name}: pip install 'clew[pictures]'") from None
    elif json:
        observed.write(json_module.dumps(timeline.as_data(), ensure_ascii=False), to_stdout=True)
    else:
        observed.write(timeline.text())
    return status
