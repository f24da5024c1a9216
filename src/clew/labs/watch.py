"""A program's steps in the terminal: redrawn in place, one for each key, or printed one below the other.

On a terminal Enter, space and → go on, ← goes back, q ends; with a delay it runs by itself. Elsewhere the same steps are
printed in order, which can be read, searched and compared.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from clew.labs.steps import Run, Step
from clew.view.text import shows_color

__all__ = ["frame", "show", "written"]

NUMBERS = 5  # columns for line numbers
SMALLEST = 5  # lines of the program that are shown in however small a terminal
PRINTED = 6  # of what the program printed, so many lines at most
HELP = "Enter or → on   ← back   Home, End   q ends"
BOLD, DIM, MARK, FRESH, RULE = "1", "2", "1;7", "1;33", "36"
KINDS = {"line": "line", "forward": "forward", "backward": "backward", "leaf": "gradient arrives", "print": "prints",
         "error": "error"}  # fmt: skip

# What keys send that have no letter.
ARROWS = {"\033[C": "right", "\033[D": "left", "\033[A": "up", "\033[B": "down", "\033[H": "home", "\033[F": "end",
          "\033[1~": "home", "\033[4~": "end", "\033OC": "right", "\033OD": "left"}  # fmt: skip


def show(run: Run, delay: float | None = None, plain: bool = False) -> None:
    """Show the steps: on a terminal in place, else (or with `plain`) one below the other."""
    in_place = not plain and sys.stdout.isatty() and (sys.stdin.isatty() or delay is not None)
    if in_place:
        _play(run, delay)
        return
    for lines in written(run):
        print(lines)
        if delay:
            sys.stdout.flush()
            time.sleep(delay)


# ---- one below the other -----------------------------------------------------------------------------------------------
def written(run: Run) -> Iterator[str]:
    """The steps as text: each line of the program that runs, and below it what happens."""
    yield f"{run.program.name}: {run.program.title}\n"
    before = 0
    for step in run.steps:
        if step.skipped:
            yield f"\n{'':>{NUMBERS}}  … {_rounds(step.skipped)} like these …\n"
        if step.line != before or step.skipped:
            yield f"{step.line:>{NUMBERS}}  {_line(run, step.line)}"
        before = step.line
        for words in _story(step, short=True):
            yield f"{'':>{NUMBERS}}    {words}"


def _rounds(count: int) -> str:
    return "1 more round" if count == 1 else f"{count} more rounds"


def _line(run: Run, number: int) -> str:
    return run.source[number - 1] if 0 < number <= len(run.source) else ""


def _story(step: Step, short: bool) -> list[str]:
    """What a step tells."""
    if step.kind == "print":
        return [f"prints  {line}" for line in step.text.splitlines()]
    lines = step.text.splitlines()
    for chain in step.chain:
        told = (
            [chain.product(), *([] if chain.local else [f"  {chain.words}"])] if short else chain.explained()
        )
        lines += [f"  {words}" for words in told]
    return lines


# ---- in place ----------------------------------------------------------------------------------------------------------
def frame(run: Run, at: int, width: int, height: int, color: bool = False, foot: str = HELP) -> list[str]:
    """The screen at one step: the program with the line that runs, the numbers, what happens, what was printed."""
    step = run.steps[at]
    place = f"step {at + 1} of {len(run.steps)} · {KINDS[step.kind]}"
    if run.rounds > 1:
        place += f" · round {min(step.round, run.rounds)} of {run.rounds}"
    head = f"{run.program.name}: {run.program.title}"
    head += " " * max(width - len(head) - len(place), 2) + place
    numbers = _numbers(step, width, color)
    story = [_cut("  " + words, width) for words in _story(step, short=False)]
    if step.skipped:
        story.insert(0, f"  … {_rounds(step.skipped)} like these …")
    printed = [_cut("  " + line, width) for line in run.output[: step.printed].splitlines()[-PRINTED:]]
    rest = ["", *numbers, "", *(_paint(line, RULE, color) for line in story)]
    least = height - 4 - SMALLEST  # what the program's lines leave at the least
    spare = least - len(rest) - 2
    if printed and spare > 0:
        rest += ["", _paint("printed", DIM, color), *printed[-spare:]]
    rest = rest[: max(least, 0)]
    room = max(height - 4 - len(rest), SMALLEST)
    lines = [_paint(_cut(head, width), BOLD, color), "", *_program(run, step, room, width, color), *rest]
    lines += [""] * (height - 1 - len(lines))
    return [*lines[: height - 1], _paint(_cut(foot, width), DIM, color)]


def _program(run: Run, step: Step, room: int, width: int, color: bool) -> list[str]:
    """As much of the program as there is room for, the line that runs marked."""
    first, last = run.first_line, len(run.source)
    if last - first + 1 > room:
        first = max(min(step.line - room // 2, last - room + 1), first)
        last = first + room - 1
    shown = []
    for number in range(first, last + 1):
        here = number == step.line
        text = _cut(f"{'▶' if here else ' '}{number:>{NUMBERS - 1}}  {_line(run, number)}", width)
        shown.append(_paint(text, MARK, color) if here else text)
    return shown


def _numbers(step: Step, width: int, color: bool) -> list[str]:
    """All numbers, those that have just changed marked; as many beside each other as fit."""
    lines, line, used = [], "", 0
    for name, number in step.values.items():
        fresh = name in step.changed
        text = f"{'*' if fresh else ' '}{name} {number.text}"
        if used and used + len(text) + 3 > width:
            lines.append(line)
            line, used = "", 0
        text = _cut(text, width - 2)
        line += "  " + _paint(text, FRESH if fresh else "", color)
        used += len(text) + 2
    return [*lines, line] if line else lines


def _paint(text: str, style: str, color: bool) -> str:
    return f"\033[{style}m{text}\033[0m" if color and style and text.strip() else text


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _play(run: Run, delay: float | None) -> None:
    """Draw step after step on a screen of its own, which is put back at the end."""
    color, at = shows_color(sys.stdout), 0
    foot = HELP if delay is None else f"every {delay:g} s   q ends"
    with _screen(), _Keys() as keys:
        while 0 <= at < len(run.steps):
            width, height = shutil.get_terminal_size((100, 30))
            lines = frame(run, at, width, height, color, foot)
            sys.stdout.write(
                "\033[H" + "".join(f"{line}\033[K\n" for line in lines[:-1]) + lines[-1] + "\033[K\033[J"
            )
            sys.stdout.flush()
            last = at == len(run.steps) - 1
            at = _moved(
                keys.wait(None if last and delay is not None and keys.there else delay), at, len(run.steps)
            )


def _moved(key: str, at: int, count: int) -> int:
    """The step after a key; -1 to end."""
    if key == "q":
        return -1
    if key in ("left", "b", "up"):
        return max(at - 1, 0)
    if key == "home":
        return 0
    if key == "end":
        return count - 1
    return at + 1


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen, without a cursor."""
    sys.stdout.write("\033[?1049h\033[?25l\033[2J")
    try:
        yield
    finally:
        sys.stdout.write("\033[?25h\033[?1049l")
        sys.stdout.flush()


class _Keys:
    """Single keys from the terminal, as they are pressed."""

    def __init__(self) -> None:
        self.there = sys.stdin.isatty()
        self.before: Any = None

    def __enter__(self) -> _Keys:
        if self.there and os.name == "posix":
            import termios
            import tty

            self.before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.before)

    def wait(self, delay: float | None) -> str:
        """The next key; "" when the delay is over before one is pressed; "q" at the end of the input."""
        if not self.there:
            time.sleep(delay or 0)
            return ""
        if self.before is None:
            return self._line(delay)
        descriptor = sys.stdin.fileno()
        if not select.select([descriptor], [], [], delay)[0]:
            return ""
        data = os.read(descriptor, 16).decode(errors="replace")
        if data in ("", "\x04"):
            return "q"
        return ARROWS.get(data, data[-1].lower())

    def _line(self, delay: float | None) -> str:
        """Where keys can't be read one by one: a line."""
        if delay is not None:
            time.sleep(delay)
            return ""
        line: Sequence[str] = sys.stdin.readline().strip().lower()
        return line[0] if line else ""
