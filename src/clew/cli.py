"""The command `clew`.

    clew run SCRIPT.py [args]     run a script (or notebook, or -m module) that says `import torch` on clew
    clew labs [LAB ...]           the autograd course: programs with their expected output beside the actual one

Each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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
    try:
        source = script.read_bytes()
    except FileNotFoundError:
        return _complain(f"no such file: {options.script}")
    except IsADirectoryError:
        return _complain(f"{options.script} is a directory; name the script in it")
    except OSError as error:
        return _complain(f"can't read {options.script}: {error.strerror or error}")
    if script.suffix != ".ipynb":
        return running.run_script(script, source, options.args)
    try:
        return running.run_notebook(script, source, options.args)
    except running.Unreadable as error:
        return _complain(f"{options.script} is {error}")
