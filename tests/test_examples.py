"""The examples run."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    "path", sorted(p for p in EXAMPLES.glob("*.py") if p.stem != "digits"), ids=lambda p: p.stem
)
def test_runs(run_python, tmp_path, path):
    done = run_python("-m", "clew", "run", path, "--steps", "2", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout
