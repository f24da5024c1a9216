"""The command `clew`.

    clew run SCRIPT.py [args]     run a script (or notebook, or -m module) that says `import torch` on clew
    clew doctor SCRIPT.py [args]  run a script and say what is wrong with its use of autograd
    clew graph SCRIPT.py [args]   run a script and draw the graph of its last backward pass
    clew labs [LAB ...]           the autograd course: programs with their expected output beside the actual one

Each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

EXIT_USAGE = 2  # as argparse's own errors, and python's for a file that it can't open
EXIT_INTERRUPTED = 130  # 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. A script's own SystemExit passes through."""
    options = _parser().parse_args(argv)
    status: int = options.command(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clew",
        description="PyTorch's autograd in readable Python: runs unmodified PyTorch scripts on NumPy.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser(
        "run",
        help="run a script that says `import torch` on clew",
        description="Runs a Python script, notebook or module, unmodified, with clew in the place of torch. A PyTorch that "
        "is installed is not touched. Everything after SCRIPT goes to the script, and its exit status comes back.",
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
    )
    doctor.add_argument("--list", action=_ListRules)
    doctor.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module or package"
    )
    doctor.add_argument("--json", action="store_true", help="the report as JSON, the last line of stdout")
    doctor.add_argument("--output", metavar="FILE", type=Path, help="write the report to a file instead")
    doctor.add_argument(
        "--ignore", metavar="NAME", action="append", default=[], help="silence a rule; may be repeated"
    )
    doctor.add_argument(
        "program",
        metavar="SCRIPT",
        nargs=argparse.PARSER,  # one and all after it, a `--` included
        help="the file of a script or notebook (.ipynb), and the script's own arguments",
    )
    doctor.set_defaults(command=_doctor)

    _add_graph(commands)

    labs = commands.add_parser(
        "labs",
        help="the autograd course: labs, checks and exercises, expected output beside actual",
        description="Runs the programs of the autograd course, says what each teaches and shows its expected output "
        "beside the actual one. The exit status is 1 if any differs.",
    )
    labs.add_argument(
        "names", metavar="LAB", nargs="*", help="a name from --list, or a lab's number; all if none"
    )
    labs.add_argument("--list", action="store_true", help="name the programs and run none")
    labs.set_defaults(command=_labs)
    return parser


class _Version(argparse.Action):
    """`--version`, an action since the text is imported only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show clew's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from clew import version

        print(f"clew {version.clew} (the behaviour of PyTorch {version.__version__})")
        parser.exit()


def _complain(message: str) -> int:
    print(f"clew: {message}", file=sys.stderr)
    return EXIT_USAGE


# ---- clew labs ---------------------------------------------------------------------------------------------------------
def _labs(options: argparse.Namespace) -> int:
    from clew import labs

    try:
        programs = labs.choose(options.names)
    except LookupError as error:
        return _complain(error.args[0])
    if options.list:
        labs.show_list(programs)
        return 0
    try:
        return labs.run(programs)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


# ---- clew run ----------------------------------------------------------------------------------------------------------
def _run(options: argparse.Namespace) -> int:
    from clew import running

    if options.compare:
        from clew.comparing import compare

        return compare(["-m", options.script] if options.module else [options.script], options.args)
    if options.module:
        return running.run_module(options.script, options.args)
    script = Path(options.script)
    source = _read(script)
    if isinstance(source, int):
        return source
    if script.suffix != ".ipynb":
        return running.run_script(script, source, options.args)
    try:
        return running.run_notebook(script, source, options.args)
    except running.Unreadable as error:
        return _complain(f"{options.script} is {error}")


def _read(script: Path) -> bytes | int:
    """A program's text, or the exit status after a word on why it cannot be had."""
    try:
        return script.read_bytes()
    except FileNotFoundError:
        return _complain(f"no such file: {script}")
    except IsADirectoryError:
        return _complain(f"{script} is a directory; name the script in it")
    except OSError as error:
        return _complain(f"can't read {script}: {error.strerror or error}")


# ---- clew doctor -------------------------------------------------------------------------------------------------------
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
    except command.UnknownRule as error:
        return _complain(str(error))
    if options.module:
        program = command.run_module(script, args)
    else:
        source = _read(Path(script))
        if isinstance(source, int):
            return source
        program = command.run_file(Path(script), source, args)
    try:
        return command.run(script, program, ignore=ignore, json=options.json or json, output=options.output)
    except command.Unwritable as error:
        return _complain(str(error))
    except Unreadable as error:
        return _complain(f"{script} is {error}")


# ---- clew graph --------------------------------------------------------------------------------------------------------
def _add_graph(commands: Any) -> None:
    graph = commands.add_parser(
        "graph",
        help="run a script and draw the graph of its last backward pass",
        usage="clew graph [-h] [-o FILE] [--backward N | --name NAME] [--budget N] [--depth N] [-m] SCRIPT [ARGS ...]",
        description="Runs a Python script, notebook or module as `clew run` does and draws its last backward pass: every "
        "operation with its value, its line and the gradient that flowed, down to the leaves. Without -o the tree is printed "
        "after the script's own output. A script that fails keeps its exit status, and the place is marked in the drawing.",
        epilog="The options may follow SCRIPT, too; what follows `--` goes to the script in any case.",
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
    graph.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module or package"
    )
    graph.add_argument(
        "program",
        metavar="SCRIPT",
        nargs=argparse.PARSER,
        help="the file of a script or notebook (.ipynb), and the script's own arguments",
    )
    graph.set_defaults(command=_graph)


def _graph(options: argparse.Namespace) -> int:
    from clew.running import Unreadable
    from clew.view import command

    script, *rest = options.program
    try:
        args = command.own_options(options, rest)
        if options.module:
            program = command.run_module(script, args)
        else:
            source = _read(Path(script))
            if isinstance(source, int):
                return source
            program = command.run_file(Path(script), source, args)
        return command.run(script, program, options)
    except command.Unusable as error:
        return _complain(str(error))
    except Unreadable as error:
        return _complain(f"{script} is {error}")
