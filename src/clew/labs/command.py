"""`clew labs`: which of the course's views is wanted, and where it goes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clew import as_torch, labs
from clew.labs import Program

__all__ = ["Unusable", "run"]

ERRORS = "errors"  # the error table, among the names of programs


class Unusable(Exception):
    """Options that make no sense, or a file that cannot be written."""


def run(options: argparse.Namespace) -> int:
    """The exit status: 1 where something is not as expected. Unusable for options that make no sense."""
    try:
        status = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush is silent
        return 0
    return status


def _run(options: argparse.Namespace) -> int:
    if options.delay is not None and not options.delay >= 0:
        raise Unusable(f"--delay must be 0 or more seconds, not {options.delay:g}")
    stepping = options.watch or options.page or options.output is not None
    if not stepping and (options.plain or options.every or options.delay is not None):
        raise Unusable("--plain, --every and --delay go with --watch")
    names = [name for name in options.names if name.lower() != ERRORS]
    table = len(names) < len(options.names)
    try:
        programs = labs.choose(names) if names or not table else []
    except LookupError as error:
        raise Unusable(f"{error.args[0]}, {ERRORS}") from None
    if options.list:
        labs.show_list(programs)
        print(f"{ERRORS:<10} The error table: what the doctor says of five broken programs")
        return 0
    if stepping:
        if table or not options.names:
            raise Unusable("--watch and --page need the names of labs: clew labs 2 --watch")
        return _step(programs, options)
    status = 0
    if programs:
        status = labs.run(programs)
    if table:
        from clew.labs import errors

        status = max(status, errors.run())
    return status


def _step(programs: Sequence[Program], options: argparse.Namespace) -> int:
    from clew.labs import watch
    from clew.labs.steps import take_apart

    if options.output is not None and len(programs) > 1:
        raise Unusable("-o takes the page of one lab")
    status = 0
    for program in programs:
        with as_torch.installed():
            seen = take_apart(program, options.every)
        if options.page or options.output is not None:
            target = options.output or Path(f"{program.name}.html")
            _write(target, seen)
        else:
            watch.show(seen, options.delay, options.plain)
        status = max(status, int(seen.output != program.expected))
    if status:
        print("clew labs: it does not print what is expected", file=sys.stderr)
    return status


def _write(target: Path, seen: object) -> None:
    from clew.labs.page import page

    try:
        target.write_text(page(seen), encoding="utf-8")  # type: ignore[arg-type]
    except ImportError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"can't write {target}: {error.strerror or error}") from None
    print(f"clew labs: {target}")
