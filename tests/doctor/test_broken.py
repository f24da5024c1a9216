"""Every planted mistake is found, on its line, and nothing else is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import programs


@pytest.mark.parametrize("path", programs.broken(), ids=lambda path: path.stem)
def test_what_is_planted_is_found(path):
    wanted = {(path.name, mistake.line, mistake.rule) for mistake in programs.planted(path)}
    found = programs.examine(path)
    assert wanted
    assert {(Path(f["file"]).name, f["line"], f["rule"]) for f in found.findings} == wanted, (
        programs.as_lines(found.findings),
        found.note,
        found.errors,
    )
    assert found.status == 1


def test_there_are_many():
    assert len({mistake.rule for path in programs.broken() for mistake in programs.planted(path)}) >= 12
