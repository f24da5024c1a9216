"""`clew completion`: what a shell reads to complete commands, options, rules, labs and files."""

from __future__ import annotations

import argparse
from typing import Any

from clew.cli.common import Manual, Refused

SHELLS = ("bash", "zsh", "fish")
FILES = ("SCRIPT", "FILE")  # metavars of what is a file

MANUAL = Manual(
    examples=(
        ('eval "$(clew completion bash)"', "in ~/.bashrc"),
        ("clew completion zsh > ~/.zfunc/_clew", "with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc"),
        ("clew completion fish > ~/.config/fish/completions/clew.fish", "read by fish of itself"),
    ),
    exit_status=(("0", "done"), ("2", "no such shell, or shtab is not installed")),
)


def add(commands: Any) -> None:
    completion = commands.add_parser(
        "completion",
        help="teach bash, zsh or fish to complete clew's commands with the Tab key",
        description="Prints what the shell has to read. Nothing is installed, and no Python starts when Tab is pressed.",
        manual=MANUAL,
    )
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    completion.set_defaults(command=_completion)


def _completion(options: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        raise Refused("completion needs shtab: pip install shtab") from None
    from clew.cli import COMMANDS, parser
    from clew.cli.help import pages_of
    from clew.doctor.rules import all_rules
    from clew.labs import all_programs
    from clew.labs.command import ERRORS

    whole = parser()
    known: dict[tuple[str, str], Any] = {
        ("doctor", "NAME"): sorted(rule.name for rule in all_rules()),
        ("labs", "LAB"): [*(program.name for program in all_programs()), ERRORS],
        ("help", "COMMAND"): COMMANDS,
    }
    for name, command in pages_of(whole).items():
        command.description = command.summary  # what zsh and fish show beside it
        for action in command._actions:
            metavar = str(action.metavar)
            if metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif (name, metavar) in known:
                action.choices = known[name, metavar]
    print(shtab.complete(whole, options.shell))
    return 0
