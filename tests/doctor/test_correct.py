"""Correct programs that look like mistakes: the doctor has nothing to say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import programs


@pytest.mark.parametrize("path", programs.correct(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_finding(path):
    found = programs.examine(path)
    assert programs.as_lines(found.findings) == []
    assert found.status == 0, found.errors
    assert found.note in ("", "the program recorded no operation: it uses no autograd")


def test_there_are_many():
    assert len(programs.correct()) >= 50
