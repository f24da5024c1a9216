"""The command line: scripts run as under python, and errors say what is wrong."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import clew
from clew import progress
from clew.cli import COMMANDS, parser
from clew.cli.common import PURPOSES
from clew.cli.help import page, pages_of


@pytest.fixture
def script(tmp_path):
    """`script(text)` writes a script and returns its path."""

    def write(text: str, name: str = "script.py"):
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def test_help_and_version(run_clew):
    done = run_clew("--help")
    assert done.returncode == 0
    assert "run" in done.stdout
    assert "labs" in done.stdout
    done = run_clew("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("clew ")


def test_help_lists_the_commands_by_purpose(run_clew):
    done = run_clew("--help")
    titles = [
        line[:-1] for line in done.stdout.splitlines() if line.endswith(":") and not line.startswith(" ")
    ]
    assert titles == [*PURPOSES, "Options"]
    listed = [
        line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and "--" not in line
    ]
    assert sorted(listed) == sorted(COMMANDS)
    assert run_clew("help").stdout == done.stdout


@pytest.mark.parametrize("args", [[], ["nonsense"], ["run"], ["labs", "--nonsense"]])
def test_wrong_usage(run_clew, args):
    done = run_clew(*args)
    assert done.returncode == 2
    assert "usage: clew" in done.stderr


def test_script_is_main_with_its_arguments_and_folder(run_clew, script, tmp_path):
    script("VALUE = 7", "neighbour.py")
    path = script(
        """
        import os, pickle, sys
        import neighbour, torch

        class Local:
            pass

        assert type(pickle.loads(pickle.dumps(Local()))) is Local
        assert sys.modules["__main__"].Local is Local
        print(__name__, torch.__name__, neighbour.VALUE, sys.argv[1:])
        print(sys.argv[0], os.path.isabs(__file__), os.path.samefile(sys.path[0], os.path.dirname(__file__)))
        """
    )
    done = run_clew("run", "script.py", "--help", "-x", "--", "1", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "__main__ clew 7 ['--help', '-x', '--', '1']",
        "script.py True True",
    ], done.stderr
    assert done.returncode == 0
    assert run_clew("run", path, cwd=tmp_path.parent).returncode == 0


@pytest.mark.parametrize(
    ("text", "status", "stderr"),
    [
        ("", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("raise SystemExit('that is all')", 1, "that is all\n"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("def f(:", 1, "SyntaxError"),
        ("import torch.nowhere", 1, "ModuleNotFoundError: No module named 'torch.nowhere'"),
    ],
)
def test_exit_status(run_clew, script, text, status, stderr):
    done = run_clew("run", script(text))
    assert done.returncode == status, done.stderr
    assert stderr in done.stderr
    assert bool(stderr) == bool(done.stderr)


@pytest.mark.parametrize(
    "failing",
    [
        "import torch.nowhere",
        "import torch; torch.tensor(1.0).backward()",
        "import helper",
        "\ntry:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError from error",
    ],
)
def test_tracebacks_begin_in_the_script(run_clew, script, failing):
    script("import torch.nowhere", "helper.py")
    path = script(failing)
    done = run_clew("run", path)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("  File ")]
    assert lines[0].startswith(f'  File "{path}", line ')
    assert not any(name in done.stderr for name in ("cli.py", "as_torch.py", "importlib"))


def test_traceback_honours_the_scripts_own_hook(run_clew, script):
    done = run_clew(
        "run", script("import sys\nsys.excepthook = lambda *e: print('mine', e[0].__name__)\n1 / 0")
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "mine ZeroDivisionError\n", "")


def test_encoding_is_the_scripts(run_clew, tmp_path):
    path = tmp_path / "latin.py"
    path.write_bytes("# -*- coding: latin-1 -*-\nprint('é')\n".encode("latin-1"))
    assert run_clew("run", path).stdout == "é\n"


def test_missing_file_and_folder(run_clew, tmp_path):
    done = run_clew("run", "nowhere.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "clew: no such file: nowhere.py\n")
    done = run_clew("run", tmp_path)
    assert (done.returncode, done.stderr) == (2, f"clew: {tmp_path} is a directory; name the script in it\n")


def test_labs_list_and_unknown(run_clew):
    done = run_clew("labs", "--list")
    assert done.returncode == 0
    assert done.stdout.startswith("lab1 ")
    done = run_clew("labs", "99")
    assert done.returncode == 2
    assert done.stderr.startswith("clew: no lab is called '99'; there are lab1, lab2")


# ---- the manual --------------------------------------------------------------------------------------------------------
PAGES = pages_of(parser())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page(name):
    text = page(name, PAGES[name], width=80)
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert titles[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]
    assert "EXAMPLES" in titles
    assert "EXIT STATUS" in titles
    assert f"    clew {name} - " in text
    assert max(map(len, text.splitlines())) <= 80
    for action in PAGES[name]._actions:
        assert all(option in text for option in action.option_strings)
        assert action.help
    for other in PAGES[name].manual.see:
        assert other in COMMANDS


def test_examples_are_commands_that_exist():
    for pages in PAGES.values():
        for command, _ in pages.manual.examples:
            words = command.replace('eval "$(', "").split()
            assert words[0] == "clew"
            assert words[1] in COMMANDS


def test_help_of_a_command(run_clew):
    done = run_clew("help", "trace")
    assert done.returncode == 0
    assert done.stdout.startswith("NAME\n    clew trace - ")
    assert "\033" not in done.stdout
    assert "CLEW_TRACEBACK" in done.stdout
    done = run_clew("help", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("clew: there is no command 'nothing'; there are run, ")


def test_titles_are_bold_on_a_terminal():
    assert page("run", PAGES["run"], bold=True).startswith("\033[1mNAME\033[0m\n")


# ---- completion --------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(run_clew, tmp_path):
    pytest.importorskip("shtab")
    done = run_clew("completion", "bash")
    assert done.returncode == 0, done.stderr
    (tmp_path / "training.py").write_text("")
    words = {
        "clew t": "timeline trace",
        "clew doctor --ig": "--ignore",
        "clew doctor --ignore gradients-not": "gradients-not-cleared",
        "clew run train": "training.py",
        "clew trace training.py train": "training.py",
        "clew graph -o train": "training.py",
        "clew labs lab5": "lab5",
        "clew help doc": "doctor",
        "clew completion z": "zsh",
    }
    asked = [
        f"COMP_WORDS=({line}); COMP_CWORD={len(line.split()) - 1}; COMPREPLY=(); _shtab_clew; echo ${{COMPREPLY[*]}}"
        for line in words
    ]
    script = tmp_path / "try.bash"
    script.write_text("\n".join([done.stdout, *asked]))
    told = subprocess.run(["bash", script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.stdout.splitlines() == [*words.values()], told.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(run_clew, shell):
    pytest.importorskip("shtab")
    done = run_clew("completion", shell)
    assert done.returncode == 0, done.stderr
    assert "gradients-not-cleared" in done.stdout
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_no_such_shell(run_clew):
    assert run_clew("completion", "tcl").returncode == 2


# ---- tracebacks --------------------------------------------------------------------------------------------------------
HOOKED = """
import torch

def hook(g):
    raise ValueError("first line\\nsecond line")

h = torch.tensor(2.0, requires_grad=True) * 2
h.register_hook(hook)
try:
    h.backward()
except ValueError as error:
    raise KeyError("x") from error
"""


def test_clews_frames_are_folded(run_clew, script):
    done = run_clew("run", script(HOOKED))
    shown = done.stderr
    assert done.returncode == 1
    assert [line.split(", line ")[1] for line in shown.splitlines() if line.startswith("  File")] == [
        "10, in <module>",
        "5, in hook",
        "12, in <module>",
    ]
    assert shown.count(" inside clew (CLEW_TRACEBACK=full shows them)") == 1
    assert "ValueError: first line\nsecond line\n\nThe above exception was the direct cause" in shown
    assert shown.endswith("\nKeyError: 'x'\n")


def test_full_tracebacks(script):
    env = {**os.environ, "PYTHONPATH": str(Path(clew.__file__).parents[1]), "CLEW_TRACEBACK": "full"}
    command = [sys.executable, "-m", "clew", "run", str(script(HOOKED))]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert "engine.py" in done.stderr
    assert "inside clew" not in done.stderr
    assert "running.py" not in done.stderr


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "def f(:", "raise ExceptionGroup('two', [ValueError(1), KeyError(2)])", "def f():\n  f()\nf()"],
)
def test_tracebacks_without_clew_are_pythons(run_clew, run_python, script, text):
    path = script(text)
    ours, theirs = (
        re.sub(r"repeated \d+", "", told.stderr) for told in (run_clew("run", path), run_python(path))
    )
    assert ours == theirs


# ---- progress ----------------------------------------------------------------------------------------------------------
class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal_only(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(progress, "PATIENCE", 0)
    many = range(progress.FEW + 1)
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "__stderr__", stream)
        assert list(progress.progress(many, "counting")) == list(many)
        assert ("counting" in stream.getvalue()) == shown
    monkeypatch.setattr(sys, "__stderr__", None)
    assert progress.progress(many, "counting") is many


def test_no_bar_for_little_work(monkeypatch):
    few = range(progress.FEW)
    monkeypatch.setattr(sys, "__stderr__", Terminal())
    assert progress.progress(few, "counting") is few


def test_a_reader_that_leaves(run_python):
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'clew', 'help', 'doctor'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "p.stdout.close()\n"
        "print(p.stderr.read().decode())"
    )
    assert run_python("-c", code).stdout.strip() == ""
