"""Programs that are run to be watched: what `clew doctor`, `clew graph`, `clew timeline` and `clew trace` share.

The program's output and exit status stay its own; how it ended (no Python, interrupted, forked) is noted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from clew import running

__all__ = [
    "Around",
    "OwnOptions",
    "Program",
    "Unusable",
    "run",
    "run_file",
    "run_module",
    "try_to_write",
    "write",
]

Program = Callable[[contextlib.AbstractContextManager[object]], int]  # is given what it must run in

_forks = 0  # of this process, counted once `os.register_at_fork` is told
_counting = False


class Unusable(Exception):
    """Options that make no sense, or a file that cannot be written."""


class OwnOptions(argparse.ArgumentParser):
    """A command's options that may stand among the script's own, after SCRIPT: what it does not know is the script's."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)

    def take(self, options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
        """Put ours into `options`; the script's arguments: the others, and all after `--`."""
        words = list(rest)
        cut = words.index("--") if "--" in words else len(words)
        _, others = self.parse_known_args(words[:cut], namespace=options)
        return others + words[cut + 1 :]

    def error(self, message: str) -> None:  # type: ignore[override]
        raise Unusable(message)


# ---- programs ----------------------------------------------------------------------------------------------------------
def run_file(script: Path, source: bytes, args: Sequence[str]) -> Program:
    """A script or a notebook, as a program for `run`."""
    start = running.run_notebook if script.suffix == ".ipynb" else running.run_script
    return lambda around: start(script, source, args, around)


def run_module(name: str, args: Sequence[str]) -> Program:
    """A module, as a program for `run`."""
    return lambda around: running.run_module(name, args, around)


def run(program: Program, around: contextlib.AbstractContextManager[object]) -> int:
    """Run it; its exit status, also where it leaves by `sys.exit`."""
    try:
        return program(around)
    except SystemExit as left:
        return _status_of(left)


def _status_of(left: SystemExit) -> int:
    """What python makes of `sys.exit(…)`: a text goes to stderr."""
    if left.code is None:
        return 0
    if isinstance(left.code, int):
        return left.code
    print(left.code, file=sys.stderr)
    return 1


# ---- what stands around a program --------------------------------------------------------------------------------------
class Around(contextlib.AbstractContextManager["Around"]):
    """Notes how a program ended. Heirs watch it: `begin`, and at the end `end`, or `drop` in a forked copy."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = os.getpid()
        self.note = ""  # why it never began

    def begin(self) -> None: ...
    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def drop(self) -> None: ...

    def __enter__(self) -> Around:
        _count_forks()
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.forked:
            self.drop()  # a child: its parent reports
            return
        self.end(kind, error, trace)
        if isinstance(error, (SyntaxError, ValueError)) and _never_began(trace):
            self.note = f"{self.name} is not Python: {_reason(error)}"
        elif isinstance(error, MemoryError | RecursionError) and _never_began(trace):
            self.note = f"{self.name} is too deeply nested to be compiled"

    @property
    def forked(self) -> bool:
        """Whether this is a copy of the process that is watched."""
        return os.getpid() != self.process

    def notes(self, otherwise: str = "") -> str:
        """How it went, in a line; `otherwise` where the program began."""
        notes = [self.note or otherwise]
        if _forks:
            processes = "1 process" if _forks == 1 else f"{_forks} processes"
            notes.append(f"it forked {processes}, not watched")
        return "; ".join(filter(None, notes))


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


# ---- reports -----------------------------------------------------------------------------------------------------------
def try_to_write(output: Path) -> None:
    """Unusable where a file can't be written: better to learn it now than after an hour of training."""
    try:
        output.touch()
    except OSError as error:
        raise Unusable(f"can't write {output}: {error.strerror or error}") from None


def write(text: str, *, to_stdout: bool = False, output: Path | None = None) -> None:
    """A report, to a file or the process's own streams, whatever the program has put in their place.

    A reader that left is no error, and a second Ctrl-C, while the report is written, ends it without a traceback.
    """
    with _uninterrupted():
        if output is not None:
            output.write_text(text + "\n", encoding="utf-8")
        else:
            _print(text, to_stdout)


def _print(text: str, to_stdout: bool) -> None:
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
        # so that Python's own flush at exit is silent
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        pass


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    with contextlib.suppress(KeyboardInterrupt):
        yield
