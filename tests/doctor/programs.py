"""The doctor's patients: broken programs, which begin with the findings wanted and their lines, and correct ones.

    # expect: broadcast-loss 12

`python tests/doctor/programs.py` examines all of them and prints two numbers: mistakes found of those planted, and findings
on correct programs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LABS = ROOT / "src" / "clew" / "labs" / "programs"
EXAMPLES = ROOT / "examples"
SHORT = ["--steps", "2", "--out"]  # what every example but the slow one understands; a path follows
SLOW = ("digits",)
MISTAKEN = ("error", "exercise2", "exercise3", "exercise4")  # these programs of the labs show a mistake
_WANTED = re.compile(r"^#\s*expect:\s*([\w-]+)\s+(\d+)\s*$", re.MULTILINE)


class Planted(NamedTuple):
    """A mistake in a broken program: which rule is to tell of which line."""

    path: Path
    line: int
    rule: str


class Findings(NamedTuple):
    """What one examination gave."""

    findings: list[dict[str, Any]]
    note: str
    status: int
    errors: str


def broken() -> list[Path]:
    return sorted((HERE / "broken").glob("*.py"))


def planted(path: Path) -> list[Planted]:
    """The mistakes that a broken program says it has."""
    return [
        Planted(path, int(line), rule) for rule, line in _WANTED.findall(path.read_text(encoding="utf-8"))
    ]


def correct() -> list[Path]:
    """Programs that nothing is to be said about: those of this folder, the examples, and the labs."""
    labs = [path for path in LABS.glob("*.py") if not path.stem.startswith(MISTAKEN)]
    examples = [path for path in EXAMPLES.glob("*.py") if path.stem not in SLOW]
    return sorted((HERE / "correct").glob("*.py")) + sorted(labs) + sorted(examples)


def examine(path: Path) -> Findings:
    """Run it under `clew doctor`, a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        report.touch()
        args = [*SHORT, str(Path(folder) / "out")] if path.parent == EXAMPLES else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CLEW_DOCTOR_STRICT": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "clew", "doctor", "--json", "--output", report, path, *args],
            cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120,
        )  # fmt: skip
        data = json.loads(report.read_text(encoding="utf-8") or '{"findings": [], "note": "no report"}')
    return Findings(data["findings"], data["note"], done.returncode, done.stderr)


def as_lines(findings: list[dict[str, Any]]) -> list[str]:
    return [f"{Path(f['file']).name}:{f['line']}: {f['rule']}: {f['evidence']}" for f in findings]


def missed(path: Path, found: Findings) -> list[Planted]:
    """The planted mistakes that were not found on their line."""
    seen = {(Path(f["file"]).name, f["line"], f["rule"]) for f in found.findings}
    return [wanted for wanted in planted(path) if (path.name, wanted.line, wanted.rule) not in seen]


def _mistakes() -> Iterator[tuple[Planted, bool]]:
    """Each planted mistake, and whether it was found."""
    for path in broken():
        missing = missed(path, examine(path))
        for wanted in planted(path):
            yield wanted, wanted not in missing


def _complaints() -> Iterator[str]:
    """What was wrongly said of correct programs."""
    for path in correct():
        found = examine(path)
        yield from as_lines(found.findings)
        if found.status and not found.findings:
            yield f"{path.name} failed: {(found.errors.splitlines() or [''])[-1]}"


def main() -> int:
    mistakes = list(_mistakes())
    for wanted, known in mistakes:
        if not known:
            print(f"not found: {wanted.path.relative_to(ROOT)}:{wanted.line}: {wanted.rule}")
    complaints = list(_complaints())
    for line in complaints:
        print(f"wrongly found: {line}")
    right = sum(known for _, known in mistakes)
    print(f"mistakes found: {right} of {len(mistakes)} planted")
    print(f"findings on correct programs: {len(complaints)} on {len(correct())} programs")
    return 1 if complaints or right < len(mistakes) else 0


if __name__ == "__main__":
    sys.exit(main())
