"""`clew run`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clew.cli.common import CACHE, OF_PROGRAM, PROGRAM_FILES, TRACEBACK, Manual, Refused, read

MANUAL = Manual(
    purpose="Run",
    examples=(
        ("clew run train.py --lr 0.1", "a script, with its own arguments"),
        ("clew run course.ipynb", "a notebook's code cells"),
        ("clew run -m package.train", "a module"),
        ("clew run --compare train.py", "under PyTorch, too: where the printed numbers part"),
    ),
    exit_status=(
        *OF_PROGRAM,
        ("with --compare", "0 where both print the same, 1 where not, 2 without PyTorch"),
    ),
    environment=(CACHE, TRACEBACK),
    files=PROGRAM_FILES,
    see=("doctor", "graph", "trace"),
)


def add(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run a script that says `import torch` on clew",
        description="Runs a Python script, notebook or module, unmodified, with clew in the place of torch. A PyTorch that "
        "is installed is not touched. Everything after SCRIPT goes to the script, and its exit status comes back.",
        manual=MANUAL,
    )
    run.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module or package"
    )
    run.add_argument(
        "--compare",
        action="store_true",
        help="run it under PyTorch too and show where the printed numbers part",
    )
    run.add_argument("script", metavar="SCRIPT", help="the file of a script or notebook (.ipynb)")
    run.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="the script's own arguments")
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from clew import running

    if options.compare:
        from clew.comparing import compare

        return compare(["-m", options.script] if options.module else [options.script], options.args)
    if options.module:
        return running.run_module(options.script, options.args)
    script = Path(options.script)
    source = read(script)
    if script.suffix != ".ipynb":
        return running.run_script(script, source, options.args)
    try:
        return running.run_notebook(script, source, options.args)
    except running.Unreadable as error:
        raise Refused(f"{options.script} is {error}") from None
