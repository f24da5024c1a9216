"""What the commands share: how a parser is made, how a program is named and read, how a complaint is worded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CACHE", "EXIT_INTERRUPTED", "EXIT_USAGE", "Manual", "OF_PROGRAM", "PROGRAM_FILES", "PURPOSES", "Parser", "Refused",
           "TRACEBACK", "add_program", "complain", "program_of", "read"]  # fmt: skip

EXIT_USAGE = 2  # as argparse's own errors, and python's for a file that it can't open
EXIT_INTERRUPTED = 130  # 128 + SIGINT

PURPOSES = ("Run", "See", "Find mistakes", "Learn", "The command itself")  # the groups of `clew --help`

# What the exit status means where a program is run and its own comes back.
OF_PROGRAM = (
    ("the program's own", "whatever SCRIPT ends with, 1 for an exception"),
    ("2", "SCRIPT cannot be read, or an option is wrong"),
    ("130", "it was interrupted (Ctrl-C)"),
)
CACHE = ("CLEW_CACHE", "the folder of compiled kernels, instead of ~/.cache/clew")
TRACEBACK = ("CLEW_TRACEBACK", "`full` shows clew's own frames in the traceback of a program that fails")
PROGRAM_FILES = (
    ("SCRIPT.py", "a script, run as `python SCRIPT.py` would, with clew in the place of torch"),
    ("SCRIPT.ipynb", "a notebook: its code cells, one after another"),
)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Manual:
    """What `clew help COMMAND` says beyond the options."""

    purpose: str = "The command itself"
    examples: Pairs = ()
    exit_status: Pairs = (("0", "done"), ("2", "an option is wrong"))
    environment: Pairs = ()
    files: Pairs = ()
    see: tuple[str, ...] = ()


class Parser(argparse.ArgumentParser):
    """A parser that knows its page of the manual."""

    def __init__(self, *args: Any, manual: Manual | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.manual = manual or Manual()
        self.summary = ""


class Refused(Exception):
    """What the command cannot do; the text says why. The exit status is EXIT_USAGE."""


def complain(message: str) -> int:
    print(f"clew: {message}", file=sys.stderr)
    return EXIT_USAGE


def add_program(parser: argparse.ArgumentParser) -> None:
    """`-m` and SCRIPT with all that follows it; `options.program` holds them."""
    parser.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module or package"
    )
    parser.add_argument(
        "program",
        metavar="SCRIPT",
        nargs=argparse.PARSER,  # one and all after it, a `--` included
        help="the file of a script or notebook (.ipynb), and the script's own arguments",
    )


def read(script: Path) -> bytes:
    """A program's text. Refused where it cannot be had."""
    try:
        return script.read_bytes()
    except FileNotFoundError:
        raise Refused(f"no such file: {script}") from None
    except IsADirectoryError:
        raise Refused(f"{script} is a directory; name the script in it") from None
    except OSError as error:
        raise Refused(f"can't read {script}: {error.strerror or error}") from None


def program_of(options: argparse.Namespace, args: Sequence[str]) -> Any:
    """The program that `add_program`'s options name, with its arguments, for `clew.observed`."""
    from clew import observed

    script = options.program[0]
    if options.module:
        return observed.run_module(script, args)
    return observed.run_file(Path(script), read(Path(script)), args)
