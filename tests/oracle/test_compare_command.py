"""`clew run --compare` runs a program in both and says where they part."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch")


def compare(path):
    return subprocess.run([sys.executable, "-m", "clew", "run", "--compare", path], capture_output=True, text=True, check=False)  # fmt: skip


def test_the_same(tmp_path):
    (tmp_path / "a.py").write_text(
        "import torch\ntorch.manual_seed(0)\nprint(torch.randn(3), torch.exp(torch.ones(2)))\n"
    )
    done = compare(tmp_path / "a.py")
    assert (done.returncode, done.stdout) == (0, "1 lines, all the same\n"), done.stderr


def test_another_number(tmp_path):
    (tmp_path / "a.py").write_text("import torch\nprint('x')\nprint(2 if torch.__name__ == 'torch' else 3)\n")
    done = compare(tmp_path / "a.py")
    assert done.returncode == 1
    assert "line 2:\n  PyTorch: 2\n  clew:    3" in done.stdout
