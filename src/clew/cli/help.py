"""`clew help`: the manual, a page for each command."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from clew.cli.common import Manual, Pairs, Parser, Refused

INDENT = "    "
WIDEST = 100


def add(commands: Any) -> None:
    manual = commands.add_parser(
        "help",
        help="the manual of a command: options, examples, exit status, files",
        description="Shows the page of a command, or the list of all commands.",
        manual=Manual(
            examples=(("clew help trace", "the page of clew trace"),),
            exit_status=(("0", "done"), ("2", "no such command")),
        ),
    )
    manual.add_argument("topic", metavar="COMMAND", nargs="?", help="a command's name")
    manual.set_defaults(command=_help)


def _help(options: argparse.Namespace) -> int:
    from clew.cli import parser

    whole = parser()
    if options.topic is None:
        print(whole.format_help(), end="")
        return 0
    pages = pages_of(whole)
    if options.topic not in pages:
        raise Refused(f"there is no command {options.topic!r}; there are {', '.join(pages)}")
    print(page(options.topic, pages[options.topic], bold=_in_bold()))
    return 0


def pages_of(whole: argparse.ArgumentParser) -> dict[str, Parser]:
    """The commands' parsers by name."""
    action = next(a for a in whole._actions if isinstance(a, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help for choice in action._choices_actions}
    for name, parser in action.choices.items():
        parser.summary = summaries[name]
    return dict(action.choices)


def _in_bold() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def page(name: str, parser: Parser, *, bold: bool = False, width: int | None = None) -> str:
    """A command's page, as `man` would set it."""
    room = width or min(shutil.get_terminal_size().columns, WIDEST)
    manual = parser.manual
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    options = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    parts: list[tuple[str, Iterable[str]]] = [
        ("NAME", _text(f"clew {name} - {parser.summary}", room)),
        ("SYNOPSIS", _text(usage, room, hang=INDENT)),
        ("DESCRIPTION", [*_text(parser.description or "", room), *_more(parser.epilog, room)]),
        ("OPTIONS", _pairs([_option(action) for action in options], room)),
        ("EXAMPLES", _pairs(manual.examples, room)),
        ("EXIT STATUS", _pairs(manual.exit_status, room, beside=True)),
        ("ENVIRONMENT", _pairs(manual.environment, room, beside=True)),
        ("FILES", _pairs(manual.files, room, beside=True)),
        ("SEE ALSO", _text(", ".join(f"clew help {other}" for other in manual.see), room)),
    ]
    lines: list[str] = []
    for title, body in parts:
        text = list(body)
        if text:
            lines += [f"\033[1m{title}\033[0m" if bold else title, *text, ""]
    return "\n".join(lines).rstrip()


def _text(text: str, width: int, hang: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=INDENT, subsequent_indent=INDENT + hang, break_on_hyphens=False
    )


def _more(text: str | None, width: int) -> list[str]:
    return ["", *_text(text, width)] if text else []


def _option(action: argparse.Action) -> tuple[str, str]:
    value = "" if action.nargs == 0 else str(action.metavar or "")
    if not action.option_strings:
        return value, action.help or ""
    return ", ".join(f"{word} {value}".rstrip() for word in action.option_strings), action.help or ""


def _pairs(pairs: Pairs | list[tuple[str, str]], width: int, *, beside: bool = False) -> Iterator[str]:
    """A word and what it means: beside each other where the words are short, else below."""
    column = max((len(word) for word, _ in pairs), default=0) + 3
    for word, meaning in pairs:
        if beside and column < width // 3:
            yield from textwrap.wrap(
                meaning,
                width,
                initial_indent=f"{INDENT}{word:<{column}}",
                subsequent_indent=INDENT + " " * column,
            )
        else:
            yield INDENT + word
            yield from textwrap.wrap(
                meaning,
                width,
                initial_indent=INDENT * 2,
                subsequent_indent=INDENT * 2,
                break_on_hyphens=False,
            )
