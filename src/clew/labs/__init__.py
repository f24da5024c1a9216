"""The autograd course as runnable programs: five labs, checks, an error table and exercises, each with what it must print.

A program is an ordinary script under `programs/` that says `import torch`. Its docstring is what `clew labs` says about
it (first line: the title); the file NAME.expected.txt beside it is its standard output under PyTorch 2.13.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import textwrap
import traceback
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from clew.labs.variations import Tried

__all__ = ["Program", "all_programs", "choose", "execute", "run", "show_list"]

FOLDER = Path(__file__).parent / "programs"
ORDER = ("lab", "tools", "error", "checklist", "exercise")  # the course's; within one kind, by number


class Program(NamedTuple):
    """One script of the course."""

    name: str
    title: str
    lesson: str
    path: Path

    @property
    def expected(self) -> str:
        return self.path.with_suffix(".expected.txt").read_text(encoding="utf-8")


def all_programs() -> list[Program]:
    """Every program, in the course's order."""
    return [_read(path) for path in sorted(FOLDER.glob("*.py"), key=_place)]


def _place(path: Path) -> tuple[int, int]:
    kind = path.stem.rstrip("0123456789")
    return ORDER.index(kind), int(path.stem[len(kind) :] or 0)


def _read(path: Path) -> Program:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    title, _, lesson = text.partition("\n")
    return Program(path.stem, title.rstrip("."), lesson.strip(), path)


def choose(names: Sequence[str]) -> list[Program]:
    """The programs called `names` (a number means a lab, a kind all of its kind); all of them for no names.

    Raises LookupError naming what there is.
    """
    programs = all_programs()
    if not names:
        return programs
    chosen: list[Program] = []
    for name in names:
        wanted = f"lab{name}" if name.isdecimal() else name.lower()
        found = [p for p in programs if wanted in (p.name, p.name.rstrip("0123456789"))]
        if not found:
            known = ", ".join(program.name for program in programs)
            raise LookupError(f"no lab is called {name!r}; there are {known}")
        chosen += [program for program in found if program not in chosen]
    return chosen


def execute(program: Program) -> str:
    """What the program prints, with whatever `import torch` finds; a traceback's last lines if it fails."""
    code = compile(program.path.read_bytes(), str(program.path), "exec", dont_inherit=True)
    output = io.StringIO()
    with redirect_stdout(output):
        try:
            exec(code, {"__name__": "__main__", "__file__": str(program.path)})
        except Exception as error:
            print("".join(traceback.format_exception_only(error)), end="")
    return output.getvalue()


def show_list(programs: Iterable[Program]) -> None:
    """Prints names and titles."""
    for program in programs:
        print(f"{program.name:<10} {program.title}")


def run(programs: Sequence[Program]) -> int:
    """Runs the programs on clew and prints lesson, expected and actual output; 1 if any differs, else 0."""
    from clew import as_torch
    from clew.labs.variations import VARIATIONS, try_out

    different, wrong, tried = [], [], 0
    with as_torch.installed():
        for program in programs:
            actual = execute(program)
            if actual != program.expected:
                different.append(program.name)
            _show(program, actual)
            for variation in VARIATIONS.get(program.name, ()):
                found = try_out(program, variation)
                tried += 1
                if not found.right:
                    wrong.append(f"{program.name}, {variation.name}")
                _show_variation(found)
    if different:
        print(f"{len(different)} of {len(programs)} differ: {', '.join(different)}", file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} of {tried} variations differ: {'; '.join(wrong)}", file=sys.stderr)
    if different or wrong:
        return 1
    print(f"{len(programs)} of {len(programs)} print what is expected", end="")
    print(f", {tried} of {tried} variations give it" if tried else "")
    return 0


def _show(program: Program, actual: str) -> None:
    print(f"{program.name}: {program.title}\n")
    for paragraph in re.split(r"\n\s*\n", program.lesson):
        print(textwrap.fill(" ".join(paragraph.split()), 88, initial_indent="  ", subsequent_indent="  "))
    print()
    _show_beside(program.expected.splitlines(), actual.splitlines())
    print()


def _show_variation(found: Tried) -> None:
    """What is changed, what must come of it beside what came, and why."""
    variation, mark = found.variation, " " if found.right else "!"
    print(f"  to try: {variation.name}")
    for old, new in variation.change:
        print(
            "".join(
                f"    {sign} {line}\n"
                for sign, text in (("-", old), ("+", new))
                for line in text.splitlines()
            ),
            end="",
        )
    print(f"    expected  {variation.expected}")
    held = f", {found.held / 1000:,.0f} kB" if variation.most else ""
    print(f"  {mark} actual    {found.actual}{held}")
    print(textwrap.fill(variation.lesson, 88, initial_indent="    ", subsequent_indent="    ") + "\n")


def _show_beside(expected: Sequence[str], actual: Sequence[str]) -> None:
    """Two columns; lines that differ are marked."""
    width = max(map(len, ("expected", *expected)))
    print(f"    {'expected':<{width}}   actual")
    for left, right in zip_longest(expected, actual):
        mark = " " if left == right else "!"
        print(f"  {mark} {left or '':<{width}} | {right or ''}".rstrip())
