"""The command line: scripts run as under python, and errors say what is wrong."""

from __future__ import annotations

from textwrap import dedent

import pytest


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
