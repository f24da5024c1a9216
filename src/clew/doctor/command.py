"""`clew doctor`: run a program under observation, leave its output and exit status alone, and say what is wrong with it.

The report goes to stderr, or as one line of JSON to the end of stdout, or to a file. The exit status is the program's own
where that tells of a failure; else 1 with findings and 0 without.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

from clew import observed
from clew.doctor.report import Report
from clew.doctor.rules import all_rules
from clew.doctor.watch import Watch
from clew.observed import Unusable

__all__ = ["Run", "Unusable", "list_rules", "names_of", "own_options", "run"]


class UnknownRule(Exception):
    """A name to ignore that no rule has."""


# ---- names and options -------------------------------------------------------------------------------------------------
def names_of(ignored: Sequence[str]) -> list[str]:
    """The rules named by `--ignore a --ignore b,c`. UnknownRule, with the nearest name, for what is none."""
    known = {rule.name for rule in all_rules()}
    names = [name for text in ignored for name in text.replace(",", " ").split()]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; clew doctor --list names them"
            raise UnknownRule(f"no rule is called {name!r}{hint}")
    return names


def own_options(args: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    """`--json` and `--ignore NAME` among what follows SCRIPT are the doctor's: the script's arguments, json, names.

    What follows `--` is the script's in any case.
    """
    rest: list[str] = []
    ignored: list[str] = []
    json = False
    words = iter(args)
    for word in words:
        if word == "--":
            rest += words
        elif word == "--json":
            json = True
        elif word == "--ignore":
            ignored.append(next(words, ""))
        elif word.startswith("--ignore="):
            ignored.append(word.partition("=")[2])
        else:
            rest.append(word)
    return rest, json, ignored


def list_rules() -> str:
    """All rules: name, what one sees, and the page."""
    lines = []
    for rule in sorted(all_rules(), key=lambda rule: rule.name):
        what = textwrap.fill(rule.symptom, 96, initial_indent="    ", subsequent_indent="    ")
        lines.append(f"{rule.name}\n{what}\n    docs/doctor/{rule.name}.md")
    return "\n".join(lines)


# ---- a run -------------------------------------------------------------------------------------------------------------
class Run(observed.Around):
    """What stands around the program: it watches it, and notes how it ended."""

    def __init__(self, name: str, ignore: Sequence[str] = ()) -> None:
        super().__init__(name)
        self.watch = Watch(ignore)

    def begin(self) -> None:
        self.watch.__enter__()

    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.watch.__exit__(kind, error, trace)

    def drop(self) -> None:
        self.watch.taps.remove()

    def report(self) -> Report:
        found = self.watch.report()
        found.note = self.notes(found.note)
        return found


def run(
    name: str,
    program: observed.Program,
    *,
    ignore: Sequence[str] = (),
    json: bool = False,
    output: Path | None = None,
) -> int:
    """Run `program` (it is given what it must run in) and report; returns the exit status.

    The report is text on stderr; with `json` one line of JSON, the last of stdout; with `output` it goes to that file
    instead. Unusable where the file cannot be written.
    """
    if output is not None:
        observed.try_to_write(output)
    around = Run(name, ignore)
    status = observed.run(program, around)
    if around.forked:
        return status
    report = around.report()
    observed.write(report.as_json() if json else report.as_text(), to_stdout=json, output=output)
    return status or report.status
