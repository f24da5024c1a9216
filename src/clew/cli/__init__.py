"""The command `clew`. Each command has a module here with its parser, and imports what it needs when it runs.

clew run SCRIPT.py [args]     run a script (or notebook, or -m module) that says `import torch` on clew
clew doctor SCRIPT.py [args]  run a script and say what is wrong with its use of autograd
clew graph SCRIPT.py [args]   run a script and draw the graph of its last backward pass
clew timeline SCRIPT.py [args]  run a script and tell, step by step, what became of every gradient and parameter
clew trace SCRIPT.py [args]   run a script and keep a record of what its training did
clew labs [LAB ...]           the autograd course: programs with their expected output beside the actual one
clew help [COMMAND]           the manual; `clew completion SHELL` teaches the shell to complete all this
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from clew.cli.common import PURPOSES, Parser, Refused, complain

__all__ = ["main", "parser"]

COMMANDS = ("run", "graph", "timeline", "trace", "doctor", "labs", "help", "completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. A script's own SystemExit passes through."""
    options = parser().parse_args(argv)
    try:
        status: int = options.command(options)
    except Refused as refused:
        return complain(str(refused))
    except BrokenPipeError:  # `clew help | head`: the reader has gone, and there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def parser() -> Parser:
    """The parser of the whole command line."""
    whole = _Whole(
        prog="clew",
        usage="clew [-h] [--version] COMMAND ...",
        description="PyTorch's autograd in readable Python: runs unmodified PyTorch scripts on NumPy.",
    )
    whole.add_argument("--version", action=_Version)
    commands = whole.add_subparsers(
        metavar="COMMAND", dest="name", required=True, parser_class=Parser, prog="clew"
    )
    for name in COMMANDS:
        import_module(f"clew.cli.{name}").add(commands)
    return whole


class _Whole(Parser):
    """`clew --help` lists the commands by what they are for."""

    def format_help(self) -> str:
        subparsers = next(a for a in self._actions if isinstance(a, argparse._SubParsersAction))
        lines = [self.format_usage(), str(self.description), ""]
        for purpose in PURPOSES:
            lines.append(f"{purpose}:")
            lines += [
                f"  {choice.dest:<11} {choice.help}"
                for choice in subparsers._choices_actions
                if subparsers.choices[choice.dest].manual.purpose == purpose
            ]
        lines += [
            "",
            "Options:",
            "  -h, --help  show this and exit",
            "  --version   show clew's version and exit",
            "",
        ]
        lines += ["`clew help COMMAND` is the manual of a command: its options, examples, exit status.", ""]
        return "\n".join(lines)


class _Version(argparse.Action):
    """`--version`, an action since the text is imported only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show clew's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from clew import version

        print(f"clew {version.clew} (the behaviour of PyTorch {version.__version__})")
        parser.exit()
