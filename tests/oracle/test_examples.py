"""The examples print the same lines under PyTorch and under clew, numbers to three digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.comparing import differences

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = {
    "char_gpt": 100, "custom_function": 60, "hessian_vector": 30, "lstm_forecast": 3, "physics": 100,
    "policy_gradient": 10, "vae": 5,
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_same_lines(run_python, tmp_path, name):
    arguments = [EXAMPLES / f"{name}.py", "--steps", str(STEPS[name])]
    theirs = run_python(*arguments, cwd=tmp_path)
    assert theirs.returncode == 0, theirs.stderr
    ours = run_python("-m", "clew", "run", *arguments, cwd=tmp_path)
    assert ours.returncode == 0, ours.stderr
    assert list(differences(theirs.stdout.splitlines(), ours.stdout.splitlines())) == []
