"""`clew trace`: the evidence of a run, the same to the letter each time, and whatever the program does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

import clew

PROGRAMS = Path(clew.__file__).parent / "labs" / "programs"
GOLDEN = Path(__file__).parent / "traces"

NET = """\
import torch
from torch import nn

torch.manual_seed(0)
x = torch.arange(8.0).reshape(4, 2) / 8
y = x @ torch.tensor([[2.0], [-1.0]]) + 0.5
net = nn.Linear(2, 1)
with torch.no_grad():
    net.weight.fill_(0.5)
    net.bias.zero_()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
history = []
for epoch in range(6):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
    schedule.step()
    history.append(loss.detach())
"""


@pytest.fixture
def script(tmp_path):
    def write(text: str, name: str = "script.py"):
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def steady(text):
    """Without what depends on the machine's versions."""
    return re.sub(r"(clew|Python|NumPy) \d[\w.]*", r"\1 *", text)


@pytest.fixture
def golden(run_clew, tmp_path):
    """`golden(script, name)`: the record's text is that of the file, in two runs from different folders."""

    def check(path: Path, name: str) -> None:
        first = run_clew("trace", path)
        assert first.returncode == 0, first.stderr
        again = run_clew("trace", path.name, cwd=path.parent)
        assert first.stderr == again.stderr
        text = steady(first.stderr.strip()) + "\n"
        kept = GOLDEN / f"{name}.txt"
        assert text == kept.read_text(encoding="utf-8")
        assert str(path.parent) not in first.stderr

    return check


@pytest.mark.parametrize("lab", ["lab2", "lab4"])
def test_labs(golden, lab):
    golden(PROGRAMS / f"{lab}.py", lab)


def test_net_and_optimizer(golden, script):
    golden(script(NET, "net.py"), "net")


def record_of(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def traced(run_clew, script):
    """`traced(text)`: the record of a script, as data."""

    def run(text: str, *args: object):
        done = run_clew("trace", "--json", script(text), *args)
        return record_of(done), done

    return run


def test_json_of_lab_2(run_clew):
    done = run_clew("trace", "--json", PROGRAMS / "lab2.py")
    assert done.stderr == ""
    lines = done.stdout.rstrip("\n").split("\n")
    assert "\n".join(lines[:-2]) + "\n" == (PROGRAMS / "lab2.expected.txt").read_text(encoding="utf-8")
    found = record_of(done)
    assert found["loss_requires_grad"]["value"] is True
    assert found["parameter_requires_grad"]["value"] is True
    assert found["grad_after_backward"]["value"] == "not None"
    [rule] = found["update_rule"]
    assert (rule["rule"], rule["by"], rule["times"]) == ("w -= lr * w.grad", "in place", 5)
    assert found["safe_logging"]["value"] == "safe"
    assert found["losses"][0]["first"] == 16
    assert [number for number, _ in found["losses"][0]["points"]] == [1, 2, 3, 4, 5]
    assert found["counts"] == {"backward_passes": 5, "optimizer_steps": 0, "parameters": 1, "numbers": 1}
    assert found["parameters"][0]["first_gradient"] == -24
    assert set(found["versions"]) == {"clew", "pytorch_behaviour", "python", "numpy"}


def test_losses_kept_with_their_graphs(run_clew):
    found = record_of(run_clew("trace", "--json", PROGRAMS / "exercise4.py"))["safe_logging"]
    assert found["value"].startswith("unsafe")
    assert found["kept_with_graph"][0]["text"] == "losses.append(loss)"
    assert found["kept_with_graph"][0]["where"].startswith("exercise4.py:")


SET_UP = "import torch\nw = torch.tensor([1.0, 2.0], requires_grad=True)\n"
STEP = "    loss = (w * w).sum()\n    loss.backward()\n"


@pytest.mark.parametrize(
    ("update", "by", "text", "times"),
    [
        (
            "    with torch.no_grad():\n        w -= 0.1 * w.grad\n    w.grad = None",
            "in place",
            "w -= 0.1 * w.grad",
            3,
        ),
        ("    w.data -= 0.1 * w.grad\n    w.grad.zero_()", "behind autograd", "w.data -= 0.1 * w.grad", 3),
        (
            "    w = (w - 0.1 * w.grad).detach().requires_grad_()",
            "new tensor",
            "w = (w - 0.1 * w.grad).detach().requires_grad_()",
            2,  # the third is reached by no backward pass
        ),
    ],
)
def test_updates_by_hand(traced, update, by, text, times):
    found, done = traced(f"{SET_UP}for step in range(3):\n{STEP}{update}\n")
    assert done.returncode == 0, done.stderr
    [rule] = found["update_rule"]
    assert (rule["by"], rule["rule"], rule["times"], rule["parameters"]) == (by, text, times, ["w"])


def test_an_optimizer_with_a_closure_is_the_one_update(traced):
    found, _ = traced(
        SET_UP
        + "o = torch.optim.LBFGS([w], max_iter=3)\n"
        + "def closure():\n    o.zero_grad()\n    loss = ((w - 3) ** 2).sum()\n    loss.backward()\n    return loss\n"
        + "for _ in range(2):\n    o.step(closure)\n"
    )
    assert [(rule["rule"], rule["times"]) for rule in found["update_rule"]] == [("LBFGS", 2)]


def test_autograd_grad_and_unused_parameters(traced):
    found, _ = traced(
        SET_UP
        + "b = torch.ones(1, requires_grad=True)\n(b * 2).sum()\ng, = torch.autograd.grad((w * w).sum(), w)\n"
    )
    assert found["grad_after_backward"]["value"] == "returned by autograd.grad"
    assert found["grad_after_backward"]["without"] == ["b"]
    assert {p["name"]: p["gradients_returned"] for p in found["parameters"]} == {"w": 1, "b": 0}
    found, _ = traced(
        SET_UP + "b = torch.ones(1, requires_grad=True)\n(b * 2).sum()\n(w * w).sum().backward()\n"
    )
    assert found["grad_after_backward"]["value"] == "None for some"
    assert found["grad_after_backward"]["without"] == ["b"]


def test_gradients_that_pile_up(traced):
    found, _ = traced(f"{SET_UP}for step in range(4):\n{STEP}")
    assert (found["grad_after_backward"]["cleared"], found["grad_after_backward"]["piled_up"]) == (0, 3)


def test_frozen_parameters(traced):
    found, _ = traced(
        """
        import torch
        net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
        net[0].requires_grad_(False)
        net(torch.ones(1, 2)).sum().backward()
        """
    )
    assert found["parameter_requires_grad"] == {"value": "of some", "yes": 2, "no": 2}


def test_many_losses_are_thinned(traced):
    found, _ = traced(f"{SET_UP}for step in range(500):\n{STEP}    w.grad = None\n")
    course = found["losses"][0]
    assert course["passes"] == 500
    assert len(course["points"]) <= 20
    steps = [number for number, _ in course["points"]]
    assert len({b - a for a, b in pairwise(steps)}) == 1


def test_what_is_not_finite_is_valid_json(traced):
    found, _ = traced(SET_UP + "loss = (w / 0).sum()\nloss.backward()\n")
    assert found["losses"][0]["first"] == "inf"
    assert found["grad_after_backward"]["not_finite"] == ["w"]


# ---- whatever the program does -----------------------------------------------------------------------------------------
def test_a_script_that_fails(traced):
    found, done = traced(SET_UP + "(w * w).sum().backward()\nprint('so far')\n1 / 0\n")
    assert done.returncode == 1
    assert done.stdout.startswith("so far\n")
    assert "ZeroDivisionError" in done.stderr
    assert found["exit_status"] == 1
    assert found["counts"]["backward_passes"] == 1
    assert found["note"] == (
        "the program ended with ZeroDivisionError; this is what was seen until then (at script.py:5)"
    )


def test_a_loss_without_graph(traced):
    found, done = traced("import torch\nloss = torch.ones(1).sum()\nloss.backward()\n")
    assert done.returncode == 1
    assert found["loss_requires_grad"]["value"] is False
    assert found["loss_requires_grad"]["without_graph"] == {"where": "script.py:3", "text": "loss.backward()"}


@pytest.mark.parametrize(
    ("leave", "status"), [("sys.exit(3)", 3), ("sys.exit()", 0), ("sys.exit('words')", 1)]
)
def test_exit_status(traced, leave, status):
    found, done = traced(f"import sys, torch\n{leave}\n")
    assert (done.returncode, found["exit_status"]) == (status, status)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:", "script.py is not Python: invalid syntax (line 1)"),
        ("print(1)", "the program recorded no operation: it uses no autograd"),
        ("", "the program recorded no operation: it uses no autograd"),
    ],
)
def test_nothing_to_tell(run_clew, script, text, words):
    done = run_clew("trace", script(text))
    assert f"Note                     {words}" in done.stderr
    assert "Loss Requires Grad       not known" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_script_that_forks(traced):
    found, done = traced(
        SET_UP
        + "import os\nif not os.fork():\n    (w * w).sum().backward()\n    raise SystemExit(0)\nos.wait()\n(w * 2).sum().backward()\n"
    )
    assert done.stdout.count("loss_requires_grad") == 1
    assert found["note"] == "it forked 1 process, not watched"
    assert found["counts"]["backward_passes"] == 1


def test_a_script_that_prints_much(traced):
    found, done = traced("for i in range(100_000): print('line', i)\n")
    assert done.stdout.count("\n") >= 100_000
    assert found["exit_status"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted(tmp_path, script):
    path = script(SET_UP + "(w * w).sum().backward()\nprint('ready', flush=True)\nwhile True: pass\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "trace", "--json", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(clew.__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    found = json.loads(out.splitlines()[-1])
    assert process.returncode == 130
    assert found["note"].startswith("interrupted; this is what was seen until then")
    assert found["counts"]["backward_passes"] == 1


# ---- options -----------------------------------------------------------------------------------------------------------
def test_files_and_arguments(run_clew, script, tmp_path):
    path = script("import sys\nprint(sys.argv[1:])\n")
    done = run_clew(
        "trace", path, "--lr", "1", f"--out={tmp_path}/x.pt", "-o", tmp_path / "t.json", "--", "--json"
    )
    assert done.stdout == f"['--lr', '1', '--out={tmp_path}/x.pt', '--json']\n"
    assert done.stderr == ""
    found = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert found["arguments"] == ["--lr", "1", "--out=x.pt", "--json"]
    run_clew("trace", "-o", tmp_path / "t.txt", path)
    assert (tmp_path / "t.txt").read_text(encoding="utf-8").startswith("clew trace: script.py\n")


@pytest.mark.parametrize("args", [("nowhere.py",), ("-o", "no/such/folder/t.txt", "script.py"), (".",)])
def test_what_cannot_be(run_clew, script, tmp_path, args):
    script("print(1)")
    done = run_clew("trace", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("clew: ")


def test_modules_and_notebooks(run_clew, script, tmp_path):
    script(NET, "train.py")
    done = run_clew("trace", "-m", "train", cwd=tmp_path)
    assert "SGD(lr=0.1 … 0.05, momentum=0.9): `optimizer.step()` (train.py:18), 6 times" in done.stderr
    cell = {"cell_type": "code", "source": NET.splitlines(keepends=True)}
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}), encoding="utf-8")
    done = run_clew("trace", "n.ipynb", cwd=tmp_path)
    assert "`optimizer.step()` (n.ipynb, cell 1:18), 6 times" in done.stderr
    (tmp_path / "x.ipynb").write_text("no notebook", encoding="utf-8")
    assert run_clew("trace", "x.ipynb", cwd=tmp_path).stderr == "clew: x.ipynb is not a notebook\n"
