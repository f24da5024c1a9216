"""`clew trace`: run a program and keep the evidence of what its training did, as text or as JSON.

The record holds no times, no addresses and no folders of this machine: the same run gives the same record.
"""

from __future__ import annotations

import argparse
import inspect
import json as json_module
import linecache
import math
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from clew import observed, optim, version
from clew.doctor.rules.keeping import KeptGraph
from clew.doctor.watch import Watch
from clew.observed import Unusable
from clew.view.data import short
from clew.view.evidence import Course, Evidence, Line, Manual, Parameter, Stepped

__all__ = ["Trace", "Unusable", "as_text", "own_options", "run"]

SHOWN = 12  # parameters and lines in the text
WIDTH = 25  # of the column of headings
KEPT = 200  # parameters in the data


def own_options(options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Put `--json` and `-o FILE` among what follows SCRIPT into `options`; the rest is the script's, and all after `--`."""
    own = observed.OwnOptions()
    own.add_argument("-o", "--output", metavar="FILE", type=Path)
    own.add_argument("--json", action="store_true")
    return own.take(options, rest)


# ---- a run -------------------------------------------------------------------------------------------------------------
class Trace(observed.Around):
    """What stands around a program: it listens, and makes the record when the program has ended."""

    def __init__(self, name: str) -> None:
        super().__init__(Path(name).name)
        self.watch = Watch(rules=(Evidence, KeptGraph))
        self.evidence: Any = self.watch.rules[0]
        self.folder = Path(name).resolve().parent if Path(name).suffix else Path.cwd()

    def begin(self) -> None:
        self.watch.__enter__()

    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.watch.__exit__(kind, error, trace)

    def drop(self) -> None:
        self.watch.taps.remove()

    def record(self, status: int = 0, args: Sequence[str] = ()) -> dict[str, Any]:
        """The evidence, as what JSON can hold."""
        evidence, seen = self.evidence, self.watch.seen
        parameters = list(evidence.parameters.values())
        courses = list(evidence.courses.values())
        return {
            "script": self.name,
            "arguments": [re.sub(r"(^|=)[/\\]\S*[/\\]", r"\1", word) for word in args],
            "loss_requires_grad": self._loss(courses),
            "parameter_requires_grad": _answer([p.requires_grad for p in parameters]),
            "grad_after_backward": self._grads(parameters, courses),
            "update_rule": [
                *map(self._optimizer, evidence.optimizers.values()),
                *map(self._manual, evidence.manual.values()),
            ],
            "backward_changed_no_parameter": evidence.unchanged == seen["backward passes"]
            if seen["backward passes"]
            else None,
            "safe_logging": self._logging(),
            "losses": [self._course(course) for course in courses],
            "parameters": [self._parameter(parameter) for parameter in parameters[:KEPT]],
            "counts": {
                "backward_passes": seen["backward passes"],
                "optimizer_steps": seen["steps"],
                "parameters": len(parameters),
                "numbers": sum(math.prod(p.shape) for p in parameters),
            },
            "versions": {
                "clew": version.clew,
                "pytorch_behaviour": version.__version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
            "exit_status": status,
            "note": self._note(),
        }

    def _note(self) -> str:
        note = self.notes(self.watch.report().note)
        where = self.evidence.without_graph or self.watch.failed_at
        return f"{note} (at {self._at(where)['where']})" if where and note and not self.note else note

    # ---- lines ---------------------------------------------------------------------------------------------------------
    def _at(self, line: Line | None) -> dict[str, Any]:
        """A line, its file as seen from the script's folder, and its text."""
        if line is None or not line[0]:
            return {"where": "a line that is not known", "text": ""}
        path = Path(line[0])
        try:
            name = path.resolve().relative_to(self.folder).as_posix()
        except (ValueError, OSError):
            name = path.name
        return {
            "where": f"{name}:{line[1]}",
            "text": re.sub(r"\s+#[^'\"]*$", "", linecache.getline(*line).strip()),
        }

    # ---- the parts -----------------------------------------------------------------------------------------------------
    def _loss(self, courses: list[Course]) -> dict[str, Any]:
        lines = [
            {**self._at(course.line), "passes": course.passes, "operations": course.operations}
            for course in courses
        ]
        failed = self.evidence.without_graph
        value = None if not courses and failed is None else failed is None
        return {"value": value, "lines": lines, "without_graph": None if failed is None else self._at(failed)}

    def _grads(self, parameters: list[Parameter], courses: list[Course]) -> dict[str, Any]:
        wanted = [p for p in parameters if p.requires_grad]
        without = [p.name for p in wanted if not p.passes and not p.returned]
        if not courses:
            value = "no backward pass"
        elif not any(course.gathers for course in courses):
            value = "returned by autograd.grad"
        elif not without:
            value = "not None"
        else:
            value = "None" if len(without) == len(wanted) else "None for some"
        return {
            "value": value,
            "without": without[:KEPT],
            "not_finite": [p.name for p in wanted if p.bad][:KEPT],
            "cleared": sum(course.cleared for course in courses),
            "piled_up": sum(course.piled for course in courses),
        }

    def _optimizer(self, entry: Stepped) -> dict[str, Any]:
        lines = [{**self._at(line), "times": times} for line, times in entry.lines.items()]
        return {
            "rule": entry.kind,
            "by": "optimizer",
            "options": [_plain(options) for options in entry.first],
            "options_at_the_end": [_plain(options) for options in entry.last],
            "made": self._at(entry.made),
            "lines": lines,
            "times": entry.steps,
            "tensors": entry.parameters,
        }

    def _manual(self, entry: Manual) -> dict[str, Any]:
        at = self._at(entry.line)
        return {
            "rule": at["text"],
            "by": entry.how,
            "lines": [{**at, "times": entry.times}],
            "times": entry.times,
            "parameters": list(entry.names)[:KEPT],
        }

    def _logging(self) -> dict[str, Any]:
        kept = [
            {**self._at((finding.file, finding.line)), "seen": finding.evidence.partition(":")[0]}
            for finding in self.watch.report().findings
        ]
        read: list[dict[str, Any]] = [
            {**self._at(line), "by": "float()" if kind == "float" else f".{kind}()", "times": times}
            for (kind, line), times in self.evidence.logged.items()
        ]
        value = (
            "unsafe: tensors are kept with their graphs" if kept else "safe" if read else "no loss was read"
        )
        return {"value": value, "read": read, "kept_with_graph": kept}

    def _course(self, course: Course) -> dict[str, Any]:
        return {
            **self._at(course.line),
            "passes": course.passes,
            "first": _number(course.first),
            "last": _number(course.last),
            "points": [[number, _number(value)] for number, value in course.points],
        }

    def _parameter(self, parameter: Parameter) -> dict[str, Any]:
        return {
            "name": parameter.name,
            "shape": list(parameter.shape),
            "requires_grad": parameter.requires_grad,
            "made": self._at(parameter.made),
            "gradients": parameter.passes,
            "gradients_returned": parameter.returned,
            "first_gradient": _number(parameter.first),
            "last_gradient": _number(parameter.last),
        }


def _answer(values: list[bool]) -> dict[str, Any]:
    value = None if not values else all(values) if all(values) == any(values) else "of some"
    return {"value": value, "yes": sum(values), "no": len(values) - sum(values)}


def _number(value: Any) -> Any:
    """JSON has no NaN."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _number(value) if isinstance(value, str | int | float | bool | list | None) else str(value)
        for name, value in options.items()
    }


def run(
    name: str,
    program: observed.Program,
    *,
    args: Sequence[str] = (),
    json: bool = False,
    output: Path | None = None,
) -> int:
    """Run `program` and write its record: text on stderr; JSON as the last line of stdout; or either to a file.

    The exit status is the program's. Unusable where the file cannot be written.
    """
    if output is not None:
        observed.try_to_write(output)
        json = json or output.suffix == ".json"
    around = Trace(name)
    status = observed.run(program, around)
    if around.forked:
        return status
    record = around.record(status, args)
    indent = 2 if output is not None else None
    text = json_module.dumps(record, ensure_ascii=False, indent=indent) if json else as_text(record)
    observed.write(text, to_stdout=json, output=output)
    return status


# ---- text --------------------------------------------------------------------------------------------------------------
def as_text(record: dict[str, Any]) -> str:
    """The record for people: the headings of the course, and below each what was seen."""
    lines = [" ".join(["clew trace:", record["script"], *record["arguments"]]), ""]
    for heading, body in (
        ("Loss Requires Grad", _loss_lines(record)),
        ("Parameter Requires Grad", _parameter_lines(record)),
        ("Grad After Backward", _grad_lines(record)),
        ("Update Rule", _update_lines(record)),
        ("Safe Logging", _logging_lines(record)),
        ("Losses", _course_lines(record)),
        ("Counts", _count_lines(record)),
        ("Versions", _version_lines(record)),
        ("Note", iter([record["note"]] if record["note"] else [])),
    ):
        for line in body:
            lines.append(f"{heading:<{WIDTH}}{line}")
            heading = ""
    return "\n".join(lines)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def _bounded(items: list[str]) -> Iterator[str]:
    yield from items[:SHOWN]
    if len(items) > SHOWN:
        yield f"… and {len(items) - SHOWN:,} more"


def _loss_lines(record: dict[str, Any]) -> Iterator[str]:
    found = record["loss_requires_grad"]
    if found["value"] is None:
        yield "not known: there was no backward pass"
        return
    yield str(found["value"])
    if found["without_graph"] is not None:
        at = found["without_graph"]
        yield f"`{at['text']}` ({at['where']}) failed: the loss has no graph"
    for line in found["lines"]:
        made = (
            f"a graph of {_many(line['operations'], 'operation')}"
            if line["operations"]
            else "a loss that is a leaf: no operation leads to a parameter"
        )
        yield f"{_times(line['passes'])} from `{line['text']}` ({line['where']}), {made}"


def _shape(shape: list[int]) -> str:
    return f" {tuple(shape)}" if shape else ""


def _parameter_lines(record: dict[str, Any]) -> Iterator[str]:
    found = record["parameter_requires_grad"]
    if found["value"] is None:
        yield "not known: no tensor that requires grad was used"
        return
    if found["value"] == "of some":
        yield f"True of {found['yes']}, False of {found['no']}"
    else:
        yield str(found["value"])
    names = [p["name"] + _shape(p["shape"]) for p in record["parameters"] if p["requires_grad"]]
    frozen = [
        f"{p['name']}{_shape(p['shape'])} frozen" for p in record["parameters"] if not p["requires_grad"]
    ]
    yield from _bounded([*names, *frozen])


def _grad_lines(record: dict[str, Any]) -> Iterator[str]:
    found = record["grad_after_backward"]
    yield str(found["value"])
    rows = []
    for p in record["parameters"]:
        if p["gradients"]:
            what = "norm " if math.prod(p["shape"]) != 1 else ""
            numbers = [_short(p["first_gradient"])]
            if p["gradients"] > 1:
                numbers.append(_short(p["last_gradient"]))
            rows.append(f"{p['name']}.grad {what}{' … '.join(numbers)}")
        elif p["gradients_returned"]:
            rows.append(f"{p['name']}.grad None: autograd.grad returned the gradient")
        elif p["requires_grad"] and found["value"] != "no backward pass":
            rows.append(f"{p['name']}.grad None: no backward pass came to it")
    yield from _bounded(rows)
    if found["not_finite"]:
        yield f"not finite: {', '.join(found['not_finite'][:SHOWN])}"
    if found["cleared"] or found["piled_up"]:
        total = found["cleared"] + found["piled_up"]
        yield f"cleared before {found['cleared']:,} of {_many(total, 'later pass')}" + (
            f", added up in {found['piled_up']:,}" if found["piled_up"] else ""
        )


_HOW = {
    "in place": "by hand",
    "behind autograd": "by hand, past autograd",
    "new tensor": "a new tensor each time",
    "during backward": "by a hook",
}


def _update_lines(record: dict[str, Any]) -> Iterator[str]:
    rules = record["update_rule"]
    for rule in rules[:SHOWN]:
        if rule["by"] == "optimizer":
            lines = ", ".join(f"`{line['text']}` ({line['where']})" for line in rule["lines"][:3])
            yield f"{_call(rule)}: {lines}, {_times(rule['times'])}"
        else:
            where = rule["lines"][0]["where"]
            names = ", ".join(rule["parameters"][:4]) + (", …" if len(rule["parameters"]) > 4 else "")
            how = _HOW.get(rule["by"], rule["by"])
            yield f"{how}: `{rule['rule']}` ({where}), {_times(rule['times'])}: {names}"
    if len(rules) > SHOWN:
        yield f"… and {len(rules) - SHOWN:,} more"
    if not rules:
        yield "none was seen: no parameter changed after a backward pass"
    if record["backward_changed_no_parameter"]:
        after = "; the above did" if rules else ""
        yield f"backward computed gradients and changed no parameter{after}"


def _call(rule: dict[str, Any]) -> str:
    """`SGD(lr=0.1, momentum=0.9)`: the learning rate, and what is not the default."""
    if not rule["options"]:
        return str(rule["rule"])
    first, last = rule["options"][0], rule["options_at_the_end"][0]
    kind = getattr(optim, rule["rule"], None)
    defaults = {} if kind is None else {n: p.default for n, p in inspect.signature(kind).parameters.items()}
    words = []
    for name, value in first.items():
        default = defaults.get(name)
        default = list(default) if isinstance(default, tuple) else default
        if name == "lr" or (name in defaults and value != default) or value != last.get(name):
            ends = last.get(name)
            shown = _short(value) + (f" … {_short(ends)}" if ends != value else "")
            words.append(f"{name}={shown}")
    groups = len(rule["options"])
    more = f", {groups} groups" if groups > 1 else ""
    return f"{rule['rule']}({', '.join(words)}){more}"


def _short(value: Any) -> str:
    return short(value, 5) if isinstance(value, float) else str(value)


def _logging_lines(record: dict[str, Any]) -> Iterator[str]:
    found = record["safe_logging"]
    yield found["value"]
    rows = [f"kept: `{line['text']}` ({line['where']}): {line['seen']}" for line in found["kept_with_graph"]]
    rows += [
        f"{line['by']} {_times(line['times'])}: `{line['text']}` ({line['where']})" for line in found["read"]
    ]
    yield from _bounded(rows)


def _course_lines(record: dict[str, Any]) -> Iterator[str]:
    for course in record["losses"][:SHOWN]:
        if course["first"] is None:
            yield f"{course['where']}: what it started from is no single number"
            continue
        if course["passes"] == 1:
            yield f"{_short(course['first'])} in 1 pass ({course['where']})"
            continue
        ends = f"{_short(course['first'])} … {_short(course['last'])}"
        yield f"{ends} in {_many(course['passes'], 'pass')} ({course['where']})"
        points = [f"{number}: {_short(value)}" for number, value in course["points"]]
        for start in range(0, len(points), 5):
            yield "  " + "  ".join(f"{point:<14}" for point in points[start : start + 5]).rstrip()


def _count_lines(record: dict[str, Any]) -> Iterator[str]:
    counts = record["counts"]
    yield ", ".join(
        (
            _many(counts["backward_passes"], "backward pass"),
            _many(counts["optimizer_steps"], "optimizer step"),
            f"{_many(counts['parameters'], 'parameter')} of {_many(counts['numbers'], 'number')}",
        )
    )
    if record["exit_status"]:
        yield f"exit status {record['exit_status']}"


def _version_lines(record: dict[str, Any]) -> Iterator[str]:
    found = record["versions"]
    yield (
        f"clew {found['clew']} (the behaviour of PyTorch {found['pytorch_behaviour']}), Python {found['python']}, "
        f"NumPy {found['numpy']}"
    )
