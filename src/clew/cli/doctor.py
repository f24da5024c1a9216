"""`clew doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clew.cli.common import CACHE, PROGRAM_FILES, TRACEBACK, Manual, Refused, add_program, program_of

MANUAL = Manual(
    purpose="Find mistakes",
    examples=(
        ("clew doctor train.py --epochs 1", "watch a short run and report"),
        ("clew doctor --ignore dead-relu --json train.py", "without one rule, for another program to read"),
        ("clew doctor --list", "what it looks for"),
    ),
    exit_status=(
        ("0", "nothing was found"),
        ("1", "there are findings"),
        ("the program's own", "where the program failed"),
        ("2", "SCRIPT cannot be read, or an option is wrong"),
    ),
    environment=(CACHE, TRACEBACK),
    files=(*PROGRAM_FILES, ("docs/doctor/NAME.md", "the page of each rule")),
    see=("trace", "graph"),
)


def add(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="run a script and say what is wrong with its use of autograd",
        usage="clew doctor [-h] [--list] [-m] [--json] [--output FILE] [--ignore NAME] SCRIPT [ARGS ...]",
        description="Runs a Python script, notebook or module as `clew run` does, watches what it does with autograd, and "
        "reports mistakes that run without a word: each with what is seen, the numbers, the line, the fix, and a page that "
        "explains it. The script's output stays on stdout; the report goes to stderr. The exit status is the script's "
        "own where it failed, else 1 with findings and 0 without. A line of the script that ends in `# doctor: ignore` or "
        "`# doctor: ignore[NAME]` is passed over.",
        epilog="--json and --ignore may follow SCRIPT, too; what follows `--` goes to the script in any case.",
        manual=MANUAL,
    )
    doctor.add_argument("--list", action=_ListRules)
    doctor.add_argument("--json", action="store_true", help="the report as JSON, the last line of stdout")
    doctor.add_argument("--output", metavar="FILE", type=Path, help="write the report to a file instead")
    doctor.add_argument(
        "--ignore", metavar="NAME", action="append", default=[], help="silence a rule; may be repeated"
    )
    add_program(doctor)
    doctor.set_defaults(command=_doctor)


class _ListRules(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="name the rules and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from clew.doctor import command

        print(command.list_rules())
        parser.exit()


def _doctor(options: argparse.Namespace) -> int:
    from clew.doctor import command
    from clew.running import Unreadable

    script, *rest = options.program
    args, json, ignored = command.own_options(rest)
    try:
        ignore = command.names_of([*options.ignore, *ignored])
        program = program_of(options, args)
        return command.run(script, program, ignore=ignore, json=options.json or json, output=options.output)
    except (command.UnknownRule, command.Unusable) as error:
        raise Refused(str(error)) from None
    except Unreadable as error:
        raise Refused(f"{script} is {error}") from None
