"""`clew timeline`."""

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
        ("clew timeline train.py", "the first and the last steps, after the script's own output, on stderr"),
        ("clew timeline -o steps.html train.py", "a page to go through, without network"),
        ("clew timeline -o curves.svg train.py", "losses, gradients and updates as curves"),
    ),
    exit_status=OF_PROGRAM,
    environment=(CACHE, TRACEBACK),
    files=(*PROGRAM_FILES, ("FILE", ".html .json .txt; .svg .png .pdf need `pip install 'clew[pictures]'`")),
    see=("graph", "trace", "doctor"),
)


def add(commands: Any) -> None:
    timeline = commands.add_parser(
        "timeline",
        help="run a script and tell its training step by step",
        usage="clew timeline [-h] [--json] [-o FILE] [-m] SCRIPT [ARGS ...]",
        description="Runs a Python script, notebook or module as `clew run` does and tells what each step of its training did: what "
        "was cleared, what each backward pass added to every gradient (6 + 2 = 8), what each update changed, by which line and "
        "in which order. The script's output stays on stdout and its exit status is kept; the timeline goes to stderr.",
        epilog="--json and -o may follow SCRIPT, too; what follows `--` goes to the script in any case.",
        manual=MANUAL,
    )
    timeline.add_argument("--json", action="store_true", help="the timeline as JSON, the last line of stdout")
    timeline.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="draw to FILE: .html .svg .png .pdf .json .txt"
    )
    add_program(timeline)
    timeline.set_defaults(command=_timeline)


def _timeline(options: argparse.Namespace) -> int:
    from clew.running import Unreadable
    from clew.view import timeline

    script, *rest = options.program
    try:
        args = timeline.own_options(options, rest)
        return timeline.run(script, program_of(options, args), json=options.json, output=options.output)
    except timeline.Unusable as error:
        raise Refused(str(error)) from None
    except Unreadable as error:
        raise Refused(f"{script} is {error}") from None
