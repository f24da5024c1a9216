"""`clew trace`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clew.cli.common import (
    CACHE,
    OF_PROGRAM,
    PROGRAM_FILES,
    TRACEBACK,
    Manual,
    Refused,
    add_program,
    program_of,
)

MANUAL = Manual(
    purpose="See",
    examples=(
        ("clew trace train.py", "the record after the script's own output, on stderr"),
        ("clew trace -o evidence.txt train.py", "the record in a file"),
        ("clew trace --json train.py | tail -1", "for another program to read"),
    ),
    exit_status=OF_PROGRAM,
    environment=(CACHE, TRACEBACK),
    files=(*PROGRAM_FILES, ("FILE", "the record, as JSON where the name ends in .json")),
    see=("doctor", "graph"),
)


def add(commands: Any) -> None:
    trace = commands.add_parser(
        "trace",
        help="run a script and keep the evidence: gradients, updates, losses",
        usage="clew trace [-h] [--json] [-o FILE] [-m] SCRIPT [ARGS ...]",
        description="Runs a Python script, notebook or module as `clew run` does and records what its training did: whether the "
        "loss and the parameters require grad, what the gradients were after backward, which rule updated the parameters, how "
        "losses were kept, and the losses. The same run gives the same record, to the letter: no times, no addresses. "
        "The script's output stays on stdout and its exit status is kept; the record goes to stderr.",
        epilog="--json and -o may follow SCRIPT, too; what follows `--` goes to the script in any case.",
        manual=MANUAL,
    )
    trace.add_argument("--json", action="store_true", help="the record as JSON, the last line of stdout")
    trace.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the record to FILE instead")
    add_program(trace)
    trace.set_defaults(command=_trace)


def _trace(options: argparse.Namespace) -> int:
    from clew.running import Unreadable
    from clew.view import trace

    script, *rest = options.program
    try:
        args = trace.own_options(options, rest)
        program = program_of(options, args)
        return trace.run(script, program, args=args, json=options.json, output=options.output)
    except trace.Unusable as error:
        raise Refused(str(error)) from None
    except Unreadable as error:
        raise Refused(f"{script} is {error}") from None
