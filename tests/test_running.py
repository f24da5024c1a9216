"""`clew run` for notebooks, modules, and beside PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import clew as package
from clew.comparing import differences, same_numbers


def clew(*args, cwd=None):
    env = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    command = [sys.executable, "-m", "clew", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)


def notebook(path, *cells):
    made = [{"cell_type": "markdown", "source": ["# A course"]}]
    made += [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in cells]
    path.write_text(json.dumps({"cells": made, "nbformat": 4}))
    return path


def test_a_notebook(tmp_path):
    path = notebook(
        tmp_path / "course.ipynb",
        "%matplotlib inline\n!pip install torch\nimport torch\nx = torch.tensor(3.0, requires_grad=True)",
        "y = x ** 2\ny.backward()\nx.grad",
        "%%bash\nls",
        "%%time\nprint('done')\nNone",
    )
    done = clew("run", path)
    assert (done.returncode, done.stdout) == (0, "tensor(6.)\ndone\n"), done.stderr
    assert "passed over '%matplotlib inline'" in done.stderr


def test_a_traceback_in_a_notebook(tmp_path):
    path = notebook(tmp_path / "course.ipynb", "import torch\nx = torch.ones(2)", "\n\nx.backward()")
    done = clew("run", path)
    assert done.returncode == 1
    assert 'course.ipynb, cell 2", line 3' in done.stderr
    assert "    x.backward()" in done.stderr
    assert "running.py" not in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_no_notebook(tmp_path, text):
    (tmp_path / "x.ipynb").write_text(text)
    done = clew("run", tmp_path / "x.ipynb")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not a notebook" in done.stderr


def test_a_module(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "__init__.py").write_text("")
    (tmp_path / "net" / "__main__.py").write_text(
        "import sys, torch\nprint(torch.ones(2), sys.argv[1:], __name__)\n"
    )
    done = clew("run", "-m", "net", "--lr", "0.1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "tensor([1., 1.]) ['--lr', '0.1'] __main__\n"), done.stderr


def test_a_module_that_is_not_there(tmp_path):
    done = clew("run", "-m", "no_such_module", cwd=tmp_path)
    assert done.returncode == 1
    assert "No module named no_such_module" in done.stderr
    assert "running.py" not in done.stderr


def test_lines_that_say_the_same():
    assert same_numbers("loss 0.12345 after 10", "loss 0.12350 after 10")
    assert same_numbers("tensor([1., -0.])", "tensor([1., 0.])")
    assert not same_numbers("loss 0.123", "loss 0.125")
    assert not same_numbers("loss 0.123", "error 0.123")
    assert list(differences(["a", "1.0"], ["a", "1.0", "more"])) == [(3, "", "more")]


def test_clew_by_a_path_with_dots(run_python, tmp_path):
    """Lines of the program are told from clew's own however its folder is spelt."""
    source = Path(package.__file__).parents[1]
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(source.parent / 'tests' / '..' / source.name)!r})\n"
        "import clew\nx = clew.ones(2, requires_grad=True)\ny = x.exp().sum()\ny.backward()\ny.backward()\n",
        encoding="utf-8",
    )
    done = run_python(script)
    assert "line 6" in done.stderr
