"""`clew labs`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clew.cli.common import EXIT_INTERRUPTED, Manual, Refused

MANUAL = Manual(
    purpose="Learn",
    examples=(
        ("clew labs", "all programs of the course, expected output beside the actual"),
        ("clew labs 2 --watch", "lab 2, each number as it arrives"),
        ("clew labs errors", "what the doctor says of five broken programs"),
    ),
    exit_status=(
        ("0", "every program prints what is expected"),
        ("1", "one does not"),
        ("2", "no such lab, or an option is wrong"),
        ("130", "it was interrupted (Ctrl-C)"),
    ),
    files=(("LAB.html", "the page of --page, in the current folder"),),
    see=("doctor", "graph"),
)


def add(commands: Any) -> None:
    labs = commands.add_parser(
        "labs",
        help="the autograd course: labs, checks and exercises, expected output beside actual",
        description="Runs the programs of the autograd course, says what each teaches and shows its expected output "
        "beside the actual one, and the exercises with changes to try. The exit status is 1 if any differs. "
        "`clew labs errors` shows what the doctor says of five broken programs.",
        manual=MANUAL,
    )
    labs.add_argument(
        "names", metavar="LAB", nargs="*", help="a name from --list, or a lab's number; all if none"
    )
    labs.add_argument("--list", action="store_true", help="name the programs and run none")
    labs.add_argument("--watch", action="store_true", help="step through a lab: each number as it arrives")
    labs.add_argument("--page", action="store_true", help="the same as a page, without network: LAB.html")
    labs.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the page to FILE")
    labs.add_argument("--delay", metavar="SECONDS", type=float, help="--watch: go on by itself")
    labs.add_argument("--plain", action="store_true", help="--watch: print the steps one below the other")
    labs.add_argument(
        "--every", action="store_true", help="all rounds of a long loop, and not the first alone"
    )
    labs.set_defaults(command=_labs)


def _labs(options: argparse.Namespace) -> int:
    from clew.labs import command

    try:
        return command.run(options)
    except command.Unusable as error:
        raise Refused(str(error)) from None
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
