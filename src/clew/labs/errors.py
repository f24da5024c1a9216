"""`clew labs errors`: five common symptoms as small broken programs, what the doctor says of each, and the mended program.

The scripts are `programs/mistakes/NAME.py` and `NAME_mended.py`; their docstrings say what one sees.
"""

from __future__ import annotations

import ast
import io
import shutil
import sys
import textwrap
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from clew import as_torch, doctor
from clew.doctor.report import Finding

__all__ = ["ROWS", "Examined", "Row", "examine", "run"]

FOLDER = Path(__file__).parent / "programs" / "mistakes"
WIDEST = 132


class Row(NamedTuple):
    """A symptom: its scripts, and what the doctor is to find, by the line's text."""

    name: str
    wanted: dict[str, str]

    @property
    def broken(self) -> Path:
        return FOLDER / f"{self.name}.py"

    @property
    def mended(self) -> Path:
        return FOLDER / f"{self.name}_mended.py"


ROWS = (
    Row("none", {"grad-without-requires-grad": 'print("w.grad:", w.grad)', "grad-of-non-leaf": 'print("h.grad:", h.grad)'}),
    Row("unstable", {"gradients-not-cleared": "loss.backward()"}),
    Row("twice", {"second-backward": "loss.backward()"}),
    Row("memory", {"graph-kept-alive": "losses.append(loss)"}),
    Row("validation", {"validation-recorded": "error = loss_of(model(held_out), 2 * held_out)"}),
)  # fmt: skip


@dataclass
class Examined:
    """What a row's programs printed, and what the doctor said of them."""

    row: Row
    printed: str = ""
    findings: list[Finding] = field(default_factory=list)
    mended_printed: str = ""
    mended_findings: list[Finding] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """Where the doctor was wrong: missed what is planted, found what is not, or the mended program failed."""
        found = {(finding.rule, finding.text) for finding in self.findings}
        wanted = set(self.row.wanted.items())
        return [
            *(f"{self.row.broken.name}: {rule} was not found at `{text}`" for rule, text in sorted(wanted - found)),
            *(f"{self.row.broken.name}: {rule} was found at `{text}`" for rule, text in sorted(found - wanted)),
            *(f"{self.row.mended.name}: {f.rule} was found at `{f.text}`" for f in self.mended_findings),
            *([f"{self.row.mended.name}: it failed"] if "Error" in self.mended_printed else []),
        ]  # fmt: skip


def examine(row: Row) -> Examined:
    """Run both programs of a row under the doctor; `import torch` must find clew."""
    return Examined(row, *_examine(row.broken), *_examine(row.mended))


def _examine(path: Path) -> tuple[str, list[Finding]]:
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the doctor says what they say
        watch = doctor.doctor()
        try:
            with watch:
                exec(code, {"__name__": "__main__", "__file__": str(path)})
        except Exception as error:
            print(traceback.format_exception_only(error)[-1].splitlines()[0])
    return output.getvalue(), watch.report().findings


# ---- the command -------------------------------------------------------------------------------------------------------
def run() -> int:
    """Show the rows; 1 if the doctor missed a mistake or found one in a mended program, else 0."""
    width = min(shutil.get_terminal_size((120, 24)).columns, WIDEST)
    complaints: list[str] = []
    with as_torch.installed():
        for number, row in enumerate(ROWS, 1):
            examined = examine(row)
            complaints += examined.complaints()
            print("\n".join(_shown(number, examined, width)) + "\n")
    for line in complaints:
        print(f"clew labs errors: {line}", file=sys.stderr)
    right = len({line.partition(":")[0].removesuffix(".py").removesuffix("_mended") for line in complaints})
    print(
        f"{len(ROWS) - right} of {len(ROWS)} explained by the doctor, which finds nothing in the mended programs"
    )
    return 1 if complaints else 0


def _shown(number: int, examined: Examined, width: int) -> list[str]:
    row = examined.row
    lines = [f"{number}. {_lesson(row.broken)}", ""]
    beside = _beside(row)
    lines += beside if max(map(len, beside)) <= width else _below(row)
    lines += ["", "  the broken program prints", *_indented(_shortened(examined.printed), width)]
    for finding in examined.findings:
        often = f" ({finding.count} times)" if finding.count > 1 else ""
        place = f"  the doctor: {row.broken.name}:{finding.line}: {finding.rule}{often}"
        lines += ["", place, f"    {finding.text}"]
        for word, text in (
            ("what", finding.symptom),
            ("seen", finding.evidence),
            ("fix", finding.fix),
            ("more", finding.page),
        ):
            lines += textwrap.wrap(text, width, initial_indent=f"    {word:<6}", subsequent_indent=" " * 10)
    said = (
        "nothing found"
        if not examined.mended_findings
        else ", ".join(f.rule for f in examined.mended_findings)
    )
    lines += ["", f"  mended: {_lesson(row.mended)}", f"  the doctor: {said}; it prints"]
    return [*lines, *_indented(_shortened(examined.mended_printed), width)]


def _lesson(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _program(path: Path) -> list[str]:
    """A program without its docstring."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    return lines[(ast.parse(text).body[0].end_lineno or 0) + 1 :]


def _shortened(printed: str, most: int = 8) -> list[str]:
    lines = printed.splitlines()
    return lines if len(lines) <= most else [*lines[: most - 3], "…", *lines[-2:]]


def _indented(lines: list[str], width: int) -> list[str]:
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line, width, initial_indent="    ", subsequent_indent="      ", drop_whitespace=False
        )
    ]


def _pairs(row: Row) -> list[tuple[str, str | None, str | None]]:
    """Lines of both programs side by side: a mark, the broken one's, the mended one's."""
    left, right = _program(row.broken), _program(row.mended)
    pairs: list[tuple[str, str | None, str | None]] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for at in range(max(b - a, d - c)):
            one = left[a + at] if a + at < b else None
            other = right[c + at] if c + at < d else None
            pairs.append((" " if kind == "equal" else "!", one, other))
    return pairs


def _beside(row: Row) -> list[str]:
    pairs = _pairs(row)
    column = max(len(line or "") for _, line, _ in pairs)
    lines = [f"    {'broken':<{column}} | mended"]
    return lines + [f"  {mark} {one or '':<{column}} | {other or ''}".rstrip() for mark, one, other in pairs]


def _below(row: Row) -> list[str]:
    """As a change: - what goes, + what comes."""
    lines = []
    for mark, one, other in _pairs(row):
        if mark == " ":
            lines.append(f"    {one}".rstrip())
        else:
            lines += [
                f"  {sign} {text}".rstrip() for sign, text in (("-", one), ("+", other)) if text is not None
            ]
    return lines
