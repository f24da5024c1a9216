"""examples/digits.py prints the same lines under PyTorch and under clew, losses to four decimals."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

DIGITS = Path(__file__).parents[2] / "examples" / "digits.py"


@pytest.mark.parametrize("arguments", [["--epochs", "30"], ["--epochs", "5", "--seed", "7", "--lr", "0.01"]])
def test_same_losses(run_python, tmp_path, arguments):
    theirs = run_python(DIGITS, *arguments, cwd=tmp_path)
    assert theirs.returncode == 0, theirs.stderr
    ours = run_python("-m", "clew", "run", DIGITS, *arguments, cwd=tmp_path)
    assert ours.returncode == 0, ours.stderr
    assert ours.stdout == theirs.stdout
