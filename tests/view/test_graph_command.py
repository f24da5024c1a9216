"""`clew graph`: a script runs as ever, and its graph is drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

import clew

LAB = Path(clew.__file__).parent / "labs" / "programs" / "lab1.py"
OUTPUT = "loss: 16.0\nw.grad: -24.0\n"


@pytest.fixture
def script(tmp_path):
    def write(text: str, name: str = "script.py"):
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def test_lab_1_as_text(run_clew):
    done = run_clew("graph", LAB)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(OUTPUT)
    rows = [re.split(r"  +", line)[:2] for line in done.stdout.splitlines()[2:6]]
    assert rows == [
        ["² → loss = 16", "grad 1"],
        ["− 10 = -4", "grad -8"],
        ["× 3 = 6", "grad -8"],
        ["w = 2", "grad -24"],
    ]


def test_lab_1_as_json(run_clew, tmp_path):
    done = run_clew("graph", LAB, "-o", tmp_path / "g.json")
    assert (done.returncode, done.stdout) == (0, OUTPUT)
    data = json.loads((tmp_path / "g.json").read_text(encoding="utf-8"))
    nodes = [(n["label"], n["value"]["value"], n["grad"]["value"]) for n in data["nodes"]]
    assert nodes == [("w", 2, -24), ("× 3", 6, -8), ("− 10", -4, -8), ("²", 16, 1)]
    assert [e["flow"]["value"] for e in data["edges"]] == [-24, -8, -8]
    assert data["nodes"][-1]["names"] == ["loss"]


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_lab_1_drawn(run_clew, tmp_path, suffix):
    pytest.importorskip("fast_sugiyama")
    done = run_clew("graph", LAB, "-o", tmp_path / f"g.{suffix}")
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / f"g.{suffix}").read_text(encoding="utf-8")
    for word in ("× 3", "− 10", "²", "loss", "-24", "-8", "16"):
        assert word in drawn or word.replace("-", "−") in drawn


def test_options_and_arguments(run_clew, script, tmp_path):
    path = script(
        """
        import sys, torch
        print(sys.argv[1:])
        w = torch.tensor(1.0, requires_grad=True)
        for k in range(1, 4):
            loss = w * k
            loss.backward()
        other = w * 9
        other.backward()
        """
    )
    done = run_clew("graph", path, "--lr", "0.1", "--backward", "2", "--", "--budget", "x")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['--lr', '0.1', '--budget', 'x']\n× 2 → loss = 2")
    done = run_clew("graph", "--name", "loss", path)
    assert "× 3 → loss = 3" in done.stdout
    done = run_clew("graph", path, "--name", "nobody", "-o", tmp_path / "g.txt")
    assert done.returncode == 1
    assert "'nobody': it ran 4 backward passes" in done.stderr
    assert not (tmp_path / "g.txt").exists()


def test_failing_script_keeps_its_status_and_shows_the_place(run_clew, script):
    path = script(
        """
        import torch
        w = torch.ones(2, 3, requires_grad=True)
        h = torch.relu(w * 2)
        y = h @ torch.ones(5)
        """
    )
    done = run_clew("graph", path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert re.search(r"here it went wrong: .*script\.py:5  y = h @ torch\.ones\(5\)", done.stdout)
    assert "relu → h" in done.stdout


@pytest.mark.parametrize(
    ("text", "status", "word"),
    [
        ("print(1)", 1, "uses no autograd"),
        ("print((", 1, "SyntaxError"),
        ("import sys; sys.exit(3)", 3, "nothing was recorded"),
        (
            "import torch\ntorch.ones(1, requires_grad=True).sum().backward()\nimport sys; sys.exit(3)",
            3,
            "sum",
        ),
        ("import torch\ntorch.ones(1, requires_grad=True).exp()", 0, "exp"),
        (
            "import os, signal, torch\ntorch.ones(1, requires_grad=True).sum().backward()\n"
            "os.kill(os.getpid(), signal.SIGINT)",
            130,
            "interrupted",
        ),
        (
            "import os, torch\ntorch.ones(1, requires_grad=True).sum().backward()\n"
            "if os.fork() == 0: raise SystemExit(5)\nos.wait()",
            0,
            "(after backward)",
        ),
    ],
)
def test_bad_input(run_clew, script, text, status, word):
    done = run_clew("graph", script(text))
    assert done.returncode == status, done.stderr
    assert (done.stdout + done.stderr).count(word) == 1 or word in ("sum", "exp", "SyntaxError")
    assert word in done.stdout + done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["-o", "g.doc"],
        ["--budget", "0"],
        ["--backward", "x"],
        ["--backward", "1", "--name", "w"],
        ["-o", "no/such/g.svg"],
    ],
)
def test_wrong_usage(run_clew, script, args):
    path = script("print('ran')")
    for words in (["graph", *args, path], ["graph", path, *args]):
        done = run_clew(*words, cwd=path.parent)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr
