"""`clew graph`: run a program and draw its last backward pass, or the one that was asked for.

The program's output and exit status are its own. Without a file the tree is printed after it, on stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from clew import observed
from clew.observed import OwnOptions, Program, Unusable, run_file, run_module
from clew.view.data import Graph, format_of
from clew.view.names import Names, names_of
from clew.view.record import NOTHING, graph
from clew.view.recording import Recording

__all__ = ["Drawing", "Unusable", "own_options", "run", "run_file", "run_module"]

PRINTED, DRAWN = 400, 5000  # nodes of a tree in the terminal, and of a file
FOLDED = 1_000_000  # nodes that are looked at where modules are folded
FAILED = 1  # nothing could be drawn, though the program ended well


# ---- options -----------------------------------------------------------------------------------------------------------
def own_options(options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Put our options among what follows SCRIPT into `options`; the others are the script's, and all after `--`."""
    own = OwnOptions()
    own.add_argument("-o", "--output", metavar="FILE", type=Path)
    own.add_argument("--name", metavar="NAME")
    for name in ("--backward", "--budget", "--depth"):
        own.add_argument(name, metavar="N", type=int)
    return own.take(options, rest)


def _check(options: argparse.Namespace) -> None:
    if options.backward is not None and options.name is not None:
        raise Unusable("--backward and --name exclude each other")
    for name in ("backward", "budget", "depth"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise Unusable(f"--{name} must be at least 1, not {number}")
    if options.output is None:
        return
    try:
        format_of(options.output)
        options.output.touch()  # better to learn it now than after an hour of training
    except ValueError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"can't write {options.output}: {error.strerror or error}") from None


# ---- a run -------------------------------------------------------------------------------------------------------------
class Drawing(contextlib.AbstractContextManager["Drawing"]):
    """What stands around the program: it records, and takes the graph when the program ends."""

    def __init__(self, recording: Recording, budget: int, depth: int | None) -> None:
        self.recording = recording
        self.budget = budget
        self.depth = depth
        self.process = os.getpid()
        self.graph: Graph | None = None

    def __enter__(self) -> Drawing:
        self.recording.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.recording.__exit__(kind, error, trace)
        if not self.forked:
            names = names_of(vars(sys.modules["__main__"]))
            self.graph = self._drawn(names)

    def _drawn(self, names: Names) -> Graph:
        if self.depth is None:
            return graph(recording=self.recording, names=names, budget=self.budget)
        whole = graph(recording=self.recording, names=names, budget=FOLDED)
        return whole.folded(self.depth).trimmed(self.budget)

    @property
    def forked(self) -> bool:
        """Whether this is a copy of the process that is recorded."""
        return os.getpid() != self.process


def run(script: str, program: Program, options: argparse.Namespace) -> int:
    """Run `program` (it is given what it must run in) and draw; the exit status is the program's, 1 with nothing to draw.

    Unusable for options that make no sense.
    """
    _check(options)
    if options.budget is None:
        options.budget = PRINTED if options.output is None else DRAWN
    recording = Recording(options.backward, options.name)
    around = Drawing(recording, options.budget, options.depth)
    status = observed.run(program, around)
    if around.forked:
        return status
    found = around.graph
    if found is None or not found.root:
        print(f"clew graph: {_why_not(recording, found)}", file=sys.stderr)
        _discard(options.output)
        return status or FAILED
    found.script = script
    _deliver(found, options.output)
    return status


def _why_not(recording: Recording, found: Graph | None) -> str:
    passes = f"it ran {recording.passes} backward pass" + "es" * (recording.passes != 1)
    if recording.wanted is not None and recording.kept is None:
        return f"there was no backward pass {recording.wanted}: {passes}"
    if recording.name is not None and recording.kept is None:
        return f"no backward pass started from a variable called {recording.name!r}: {passes}"
    return (
        found.note
        if found is not None and found.note != NOTHING
        else f"{NOTHING}. The program uses no autograd"
    )


def _discard(output: Path | None) -> None:
    """Take away the empty file that `_check` made."""
    with contextlib.suppress(OSError):
        if output is not None and not output.stat().st_size:
            output.unlink()


def _deliver(found: Graph, output: Path | None) -> None:
    if output is not None:
        found.save(output)
        more = f", {found.left_out} left out" if found.left_out else ""
        print(f"clew graph: {len(found.nodes)} nodes{more} in {output}", file=sys.stderr)
        return
    with contextlib.suppress(BrokenPipeError):
        text = found.text() + "\n"
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
