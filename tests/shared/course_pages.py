"""The pages of the course: their programs with the output that stands below them, and their commands with theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "course"
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A program or a command of a page."""

    name: str  # page:line
    kind: str  # "python" | "console"
    text: str
    output: str


def pages() -> list[Path]:
    return sorted(PAGES.glob("*.md"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0))


def blocks(kind: str) -> list[Block]:
    """All programs (each is followed by its output) or all commands."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        fenced = [(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _FENCED.finditer(text)]
        for at, (language, content, line) in enumerate(fenced):
            if language != kind:
                continue
            if kind == "console":
                command, _, output = content.removeprefix("$ ").partition("\n")
                found.append(Block(f"{page.stem}:{line}", kind, command, output))
            else:
                following = fenced[at + 1] if at + 1 < len(fenced) else ("", "", 0)
                output = following[1] if following[0] == "text" else ""
                found.append(Block(f"{page.stem}:{line}", kind, content, output))
    return found


def matches(pattern: str, output: str) -> bool:
    """Whether an output is what a page shows: `...` stands for anything, as a line for lines."""
    wanted = ".*?".join(map(re.escape, pattern.split("...")))
    return re.fullmatch(wanted, output, re.DOTALL) is not None
