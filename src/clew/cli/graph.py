"""`clew graph`."""

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
        ("clew graph train.py", "the last backward pass as a tree"),
        ("clew graph -o last.html train.py", "a page to step through, without network"),
        ("clew graph --backward 3 --depth 1 train.py", "the third backward pass, modules folded"),
    ),
    exit_status=(*OF_PROGRAM, ("1", "there was nothing to draw")),
    environment=(CACHE, TRACEBACK),
    files=(*PROGRAM_FILES, ("FILE", ".svg and .html need `pip install 'clew[pictures]'`")),
    see=("trace", "doctor"),
)


def add(commands: Any) -> None:
    graph = commands.add_parser(
        "graph",
        help="run a script and draw the graph of its last backward pass",
        usage="clew graph [-h] [-o FILE] [--backward N | --name NAME] [--budget N] [--depth N] [-m] SCRIPT [ARGS ...]",
        description="Runs a Python script, notebook or module as `clew run` does and draws its last backward pass: every "
        "operation with its value, its line and the gradient that flowed, down to the leaves. Without -o the tree is printed "
        "after the script's own output. A script that fails keeps its exit status, and the place is marked in the drawing.",
        epilog="The options may follow SCRIPT, too; what follows `--` goes to the script in any case.",
        manual=MANUAL,
    )
    graph.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="draw to FILE: .svg .html .dot .mmd .json .txt"
    )
    which = graph.add_mutually_exclusive_group()
    which.add_argument(
        "--backward", metavar="N", type=int, help="the Nth backward pass, from 1, instead of the last"
    )
    which.add_argument(
        "--name", metavar="NAME", help="the last backward pass that starts from the variable NAME"
    )
    graph.add_argument(
        "--budget",
        metavar="N",
        type=int,
        help="at most N nodes, those nearest the result (5000; printed: 400)",
    )
    graph.add_argument(
        "--depth",
        metavar="N",
        type=int,
        help="fold modules N calls deep into one node each; 1 shows the outermost",
    )
    add_program(graph)
    graph.set_defaults(command=_graph)


def _graph(options: argparse.Namespace) -> int:
    from clew.running import Unreadable
    from clew.view import command

    script, *rest = options.program
    try:
        args = command.own_options(options, rest)
        return command.run(script, program_of(options, args), options)
    except command.Unusable as error:
        raise Refused(str(error)) from None
    except Unreadable as error:
        raise Refused(f"{script} is {error}") from None
