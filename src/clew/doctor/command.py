"""`clew doctor`: run a program under observation, leave its output and exit status alone, and say what is wrong with it.

The report goes to stderr, or as one line of JSON to the end of stdout, or to a file. The exit status is the program's own
where that tells of a failure; else 1 with findings and 0 without.
"""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

from clew import running
from clew.doctor.report import Report
from clew.doctor.rules import all_rules
from clew.doctor.watch import Watch

__all__ = ["Run", "list_rules", "names_of", "own_options", "run"]

Program = Callable[[contextlib.AbstractContextManager[object]], int]

_forks = 0  # of this process, counted once `os.register_at_fork` is told
_counting = False


class UnknownRule(Exception):
    """A name to ignore that no rule has."""


class Unwritable(Exception):
    """A file for the report that cannot be written."""


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
class Run(contextlib.AbstractContextManager["Run"]):
    """What stands around the program: it watches it, and notes how it ended."""

    def __init__(self, name: str, ignore: Sequence[str] = ()) -> None:
        self.name = name
        self.watch = Watch(ignore)
        self.process = os.getpid()
        self.note = ""

    def __enter__(self) -> Run:
        _count_forks()
        self.watch.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.forked:
            self.watch.taps.remove()  # a child: its parent reports
            return
        self.watch.__exit__(kind, error, trace)
        if isinstance(error, (SyntaxError, ValueError)) and _never_began(trace):
            self.note = f"{self.name} is not Python: {_reason(error)}"
        elif isinstance(error, MemoryError | RecursionError) and _never_began(trace):
            self.note = f"{self.name} is too deeply nested to be compiled"

    @property
    def forked(self) -> bool:
        """Whether this is a copy of the process that is watched."""
        return os.getpid() != self.process

    def report(self) -> Report:
        found = self.watch.report()
        notes = [self.note or found.note]
        if _forks:
            processes = "1 process" if _forks == 1 else f"{_forks} processes"
            notes.append(f"it forked {processes}, not watched")
        found.note = "; ".join(filter(None, notes))
        return found


def _never_began(trace: TracebackType | None) -> bool:
    """Whether an error came from compiling the program: no frame of the program is on its way."""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "__main__":
            return False
        trace = trace.tb_next
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        where = f" (line {error.lineno})" if error.lineno else ""
        return f"{error.msg}{where}"
    return str(error)


def _count_forks() -> None:
    global _counting, _forks
    _forks = 0
    if _counting or not hasattr(os, "register_at_fork"):
        return
    _counting = True

    def forked() -> None:
        global _forks
        _forks += 1

    os.register_at_fork(after_in_parent=forked)


def run(
    name: str, program: Program, *, ignore: Sequence[str] = (), json: bool = False, output: Path | None = None
) -> int:
    """Run `program` (it is given what it must run in) and report; returns the exit status.

    The report is text on stderr; with `json` one line of JSON, the last of stdout; with `output` it goes to that file
    instead. Unwritable where the file cannot be written.
    """
    if output is not None:
        _try(output)  # better to learn it now than after an hour of training
    around = Run(name, ignore)
    try:
        status = program(around)
    except SystemExit as left:
        status = _status_of(left)
    if around.forked:
        return status
    report = around.report()
    text = report.as_json() if json else report.as_text()
    with _uninterrupted():
        if output is not None:
            output.write_text(text + "\n", encoding="utf-8")
        else:
            _write(text, to_stdout=json)
    return status or report.status


def _try(output: Path) -> None:
    try:
        output.touch()
    except OSError as error:
        raise Unwritable(f"can't write {output}: {error.strerror or error}") from None


def _status_of(left: SystemExit) -> int:
    """What python makes of `sys.exit(…)`: a text goes to stderr."""
    if left.code is None:
        return 0
    if isinstance(left.code, int):
        return left.code
    print(left.code, file=sys.stderr)
    return 1


def _write(text: str, *, to_stdout: bool) -> None:
    """To the process's own streams, whatever the program has put in their place; a reader that left is no error."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    stream = sys.__stdout__ if to_stdout else sys.__stderr__
    if stream is None:
        return
    try:
        encoding = stream.encoding or "utf-8"
        # A line of its own, even where the program's last line has no end.
        text = f"\n{text}\n".encode(encoding, "backslashreplace").decode(encoding)
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), stream.fileno()
        )  # so that Python's own flush at exit is silent
    except (OSError, ValueError):
        pass


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C, while the report is written, ends it without a traceback."""
    with contextlib.suppress(KeyboardInterrupt):
        yield


def run_file(script: Path, source: bytes, args: Sequence[str]) -> Program:
    """A script or a notebook, as a program for `run`."""
    start = running.run_notebook if script.suffix == ".ipynb" else running.run_script
    return lambda around: start(script, source, args, around)


def run_module(name: str, args: Sequence[str]) -> Program:
    """A module, as a program for `run`."""
    return lambda around: running.run_module(name, args, around)
