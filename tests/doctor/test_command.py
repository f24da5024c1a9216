"""`clew doctor`: the script's output and exit status are its own; the report says what was found, or why there is little."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

import clew

# Gradients gather over the updates: nothing clears them.
MISTAKE = """
    import sys
    import torch

    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    for step in range(8):
        loss = ((w - 3) ** 2).sum()
        loss.backward()
        optimizer.step()
    print("done", sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    """`script(text)` writes a script and returns its path."""

    def write(text: str, name: str = "script.py"):
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def rule(run_clew, tmp_path_factory):
    """The name of the rule that MISTAKE breaks."""
    path = tmp_path_factory.mktemp("doctor") / "script.py"
    path.write_text(dedent(MISTAKE))
    return json.loads(run_clew("doctor", "--json", path).stdout.splitlines()[-1])["findings"][0]["rule"]


def test_a_finding(run_clew, script):
    path = script(MISTAKE)
    done = run_clew("doctor", path, "--epochs", "3", "-v")
    assert done.returncode == 1
    assert done.stdout == "done ['--epochs', '3', '-v']\n"
    for part in (f"{path}:", "  what   ", "  seen   ", "  fix    ", "  more   docs/doctor/", "8 steps"):
        assert part in done.stderr


def test_no_finding(run_clew, script):
    done = run_clew("doctor", script(MISTAKE.replace("loss.back", "w.grad = None; loss.back")))
    assert (done.returncode, done.stdout) == (0, "done []\n"), done.stderr
    assert "nothing found in" in done.stderr


@pytest.mark.parametrize("before", [True, False])
def test_json_is_the_last_line(run_clew, script, before):
    path = script(MISTAKE + "    print('no end', end='')\n")
    done = run_clew("doctor", *(["--json", path, "a"] if before else [path, "a", "--json"]))
    lines = done.stdout.splitlines()
    data = json.loads(lines[-1])
    assert lines[:2] == ["done ['a']", "no end"]
    assert (done.returncode, done.stderr) == (1, "")
    (finding,) = data["findings"]
    assert Path(finding["file"]).samefile(path)
    assert finding["line"] in (9, 10)
    assert finding["page"] == f"docs/doctor/{finding['rule']}.md"
    assert {"symptom", "evidence", "fix", "count", "text"} <= set(finding)
    assert data["seen"]["steps"] == 8


def test_output_to_a_file(run_clew, script, tmp_path):
    done = run_clew(
        "doctor", "--output", tmp_path / "report.txt", script(MISTAKE), "--output", "x", cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "done ['--output', 'x']\n", "")
    assert "1 finding in" in (tmp_path / "report.txt").read_text()
    done = run_clew("doctor", "--output", tmp_path / "none" / "report.txt", script(MISTAKE))
    assert (done.returncode, done.stdout) == (2, "")
    assert "can't write" in done.stderr


def test_silenced(run_clew, script, rule):
    path = script(MISTAKE)
    for args in (["--ignore", rule, path], [path, f"--ignore={rule}"]):
        done = run_clew("doctor", *args)
        assert (done.returncode, done.stdout) == (0, "done []\n"), done.stderr
    line = json.loads(run_clew("doctor", "--json", path).stdout.splitlines()[-1])["findings"][0]["text"]
    for comment, status in [("ignore", 0), (f"ignore[{rule}]", 0), ("ignore[other]", 1)]:
        done = run_clew("doctor", script(MISTAKE.replace(line, f"{line}  # doctor: {comment}")))
        assert done.returncode == status, comment


def test_arguments_after_two_dashes_are_the_scripts(run_clew, script):
    done = run_clew("doctor", script(MISTAKE), "--", "--json", "--ignore", "x")
    assert done.stdout == "done ['--json', '--ignore', 'x']\n"


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "the following arguments are required: SCRIPT"),
        (["none.py"], "no such file: none.py"),
        (["."], "is a directory"),
        (["--ignore", "nonsense", "none.py"], "no rule is called 'nonsense'"),
    ],
)
def test_wrong_usage(run_clew, tmp_path, args, complaint):
    done = run_clew("doctor", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_nearly_right(run_clew, rule):
    done = run_clew("doctor", "--ignore", rule + "x", "none.py")
    assert f"did you mean {rule}?" in done.stderr


def test_list(run_clew, rule):
    done = run_clew("doctor", "--list")
    assert done.returncode == 0
    assert rule in done.stdout.splitlines()


# ---- programs that do not simply end -----------------------------------------------------------------------------------
FAILS = "raise ValueError('no more')"


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("sys.exit(3)", 3, "1 finding in"),
        ("sys.exit()", 1, "1 finding in"),
        ("sys.exit('that is all')", 1, "that is all"),
        (FAILS, 1, "the program ended with ValueError"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
    ],
)
def test_a_program_that_fails_keeps_its_status(run_clew, script, end, status, said):
    done = run_clew("doctor", script(MISTAKE + f"    {end}\n"))
    assert (done.returncode, done.stdout) == (status, "done []\n")
    assert said in done.stderr
    assert "1 finding in" in done.stderr


def test_the_traceback_begins_in_the_program(run_clew, script):
    path = script(MISTAKE + f"    {FAILS}\n")
    done = run_clew("doctor", path)
    trace = done.stderr[: done.stderr.index("ValueError: no more")]
    assert trace.count("File ") == 1
    assert str(path) in trace


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"def f(:", "invalid syntax (line 1)"),
        (b"\x00\x01\x7fELF", "null bytes"),
        (b"x = '\xff'", "utf-8"),
        (b"#include <stdio.h>\nint main() { return 0; }", "invalid syntax (line 2)"),
    ],
)
def test_not_python(run_clew, tmp_path, text, reason):
    path = tmp_path / "script.py"
    path.write_bytes(text)
    done = run_clew("doctor", path)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert f"clew doctor: {path} is not Python: " in last
    assert reason in last


def test_a_syntax_error_of_the_programs_own(run_clew, script):
    done = run_clew("doctor", script("compile('def', 'x', 'exec')"))
    assert "the program ended with SyntaxError" in done.stderr


@pytest.mark.parametrize("text", ["", "print(1 + 1)", "import torch\nprint(torch.ones(2) + 1)"])
def test_no_autograd(run_clew, script, text):
    done = run_clew("doctor", script(text))
    assert done.returncode == 0
    assert "it uses no autograd" in done.stderr


def test_much_output_arrives_whole(run_clew, script):
    done = run_clew("doctor", script("for i in range(100_000): print(i, 'x' * 20)"))
    assert done.returncode == 0
    assert done.stdout.count("\n") == 100_000


def test_streams_put_elsewhere_or_closed(run_clew, script):
    done = run_clew("doctor", script("import io, sys\nsys.stderr = sys.stdout = io.StringIO()\nprint('x')"))
    assert (done.returncode, done.stdout) == (0, "")
    assert "clew doctor: nothing found" in done.stderr
    done = run_clew("doctor", script("import sys\nsys.stdout.close()\nsys.stderr.close()"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks(run_clew, script):
    done = run_clew(
        "doctor",
        script(
            MISTAKE
            + """
    import os
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        (w * 2).sum().backward()
    print("end of", "parent" if child else "child", flush=True)
"""
        ),
    )
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == ["done []", "end of child", "end of parent"], done.stderr
    assert done.stderr.count("clew doctor: 1 finding") == 1
    assert "it forked 1 process, not watched" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_gives_the_report_so_far(script):
    text = MISTAKE.replace("range(8)", "__import__('itertools').count()")
    path = script(text.replace("optimizer.step()", "optimizer.step(); print(step, flush=True)"))
    env = {**os.environ, "PYTHONPATH": str(Path(clew.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "doctor", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "KeyboardInterrupt" in stderr
    assert "interrupted; this is what was seen until then" in stderr
    assert "1 finding in" in stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_leaves(script):
    path = script("import torch\nfor i in range(100000): print(i)")
    env = {**os.environ, "PYTHONPATH": str(Path(clew.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "doctor", "--json", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    time.sleep(0.1)
    assert process.wait(timeout=30) != 0
    assert process.stderr is not None
    assert "BrokenPipeError" in process.stderr.read()
    process.stderr.close()


def test_module_and_notebook(run_clew, script, tmp_path):
    script(MISTAKE, "training.py")
    done = run_clew("doctor", "-m", "training", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "done ['a']\n")
    assert "training.py:" in done.stderr
    cell = {"cell_type": "code", "source": dedent(MISTAKE)}
    (tmp_path / "course.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    done = run_clew("doctor", "course.ipynb", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "done []\n")
    assert "course.ipynb, cell 1:" in done.stderr
    (tmp_path / "course.ipynb").write_text("no notebook")
    assert "is not a notebook" in run_clew("doctor", "course.ipynb", cwd=tmp_path).stderr


def test_the_names_are_the_programs_whoever_started_it(run_python, script):
    """The installed `clew` is a script of its own, whose variables are not meant."""
    path = script(MISTAKE)
    start = script("import sys\nfrom clew.cli import main\nsys.exit(main())\n", "clew")
    done = run_python(start, "doctor", path)
    assert done.returncode == 1
    assert "  seen   w " in done.stderr
