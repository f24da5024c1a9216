"""What the doctor says: a finding, the report as text and as JSON, findings silenced by name or by a comment."""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_SILENCED = re.compile(r"#\s*doctor:\s*ignore(?:\[([\w\-, ]+)\])?")


@dataclass
class Finding:
    """One mistake: what is seen, the numbers that show it, the line it comes from, and what to write instead."""

    rule: str
    symptom: str
    evidence: str
    file: str
    line: int
    fix: str
    count: int = 1  # how often it happened at this line
    text: str = field(default="")

    def __post_init__(self) -> None:
        if not self.text:
            self.text = linecache.getline(self.file, self.line).strip()

    @property
    def page(self) -> str:
        """The page that explains the rule."""
        return f"docs/doctor/{self.rule}.md"

    def silenced(self) -> bool:
        """Whether the line carries `# doctor: ignore` or `# doctor: ignore[rule]`."""
        found = _SILENCED.search(linecache.getline(self.file, self.line))
        if found is None:
            return False
        return found[1] is None or self.rule in re.split(r"[\s,]+", found[1])

    def as_text(self) -> str:
        often = f" ({self.count} times)" if self.count > 1 else ""
        shown = [f"{self.file}:{self.line}: {self.rule}{often}"]
        if self.text:
            shown.append(f"    {self.text}")
        shown += [
            f"  what   {self.symptom}",
            f"  seen   {self.evidence}",
            f"  fix    {self.fix}",
            f"  more   {self.page}",
        ]
        return "\n".join(shown)

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "page": self.page}


@dataclass
class Report:
    """The findings of a run, and what was seen of it."""

    findings: list[Finding]
    seen: dict[str, int]  # operations, backwards, steps, forwards
    note: str = ""  # why there may be less to tell: the program failed, was interrupted, used no autograd

    @property
    def status(self) -> int:
        """The exit status for CI: 1 where something was found."""
        return 1 if self.findings else 0

    def as_text(self) -> str:
        """The findings, then one line that counts what was seen."""
        parts = [finding.as_text() for finding in self.findings]
        count = len(self.findings)
        what = "nothing found" if not count else "1 finding" if count == 1 else f"{count} findings"
        seen = ", ".join(_counted(number, word) for word, number in self.seen.items())
        last = f"clew doctor: {what} in {seen}" if any(self.seen.values()) else f"clew doctor: {what}"
        if self.note:
            last += f"\nclew doctor: {self.note}"
        return "\n\n".join([*parts, last])

    def as_json(self) -> str:
        """One line of JSON: findings, counts, note."""
        data = {"findings": [f.as_data() for f in self.findings], "seen": self.seen, "note": self.note}
        return json.dumps(data, ensure_ascii=False, default=str)


def _counted(number: int, word: str) -> str:
    ending = "es" if word.endswith("sses") else "s"
    return f"{number:,} {word if number != 1 else word.removesuffix(ending)}"


def kept(findings: Iterable[Finding], ignore: Sequence[str]) -> list[Finding]:
    """Without what is silenced, by file and line."""
    wanted = [f for f in findings if f.rule not in ignore and not f.silenced()]
    return sorted(wanted, key=lambda f: (f.file, f.line, f.rule))


def short(path: str) -> str:
    """A file as seen from here, where that is shorter."""
    try:
        near = str(Path(path).resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path
    return near if len(near) < len(path) else path
