"""The course's programs print under clew what they print under PyTorch."""

from __future__ import annotations

import json

import pytest

from clew import labs

RUN_ALL = """
import json, sys
from clew import as_torch, labs
with as_torch.installed():
    outputs = {program.name: labs.execute(program) for program in labs.all_programs()}
json.dump(outputs, sys.stdout)
"""


@pytest.fixture(scope="module")
def outputs(run_python):
    """What each program prints; in a process of its own, where no PyTorch is imported."""
    done = run_python("-W", "error", "-c", RUN_ALL)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("program", labs.all_programs(), ids=lambda program: program.name)
def test_output_is_as_expected(program, outputs):
    assert outputs[program.name] == program.expected


def test_the_course_is_whole_and_explained():
    programs = labs.all_programs()
    assert [program.name for program in programs] == [
        *(f"lab{i}" for i in range(1, 6)), "tools", *(f"error{i}" for i in range(1, 6)), "checklist",
        *(f"exercise{i}" for i in range(1, 5)),
    ]  # fmt: skip
    assert all(program.title and program.lesson for program in programs)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["2"], ["lab2"]),
        (["tools", "1", "lab1"], ["tools", "lab1"]),
        (["exercise"], ["exercise1", "exercise2", "exercise3", "exercise4"]),
    ],
)
def test_choose(names, chosen):
    assert [program.name for program in labs.choose(names)] == chosen


def test_one_lab_shows_lesson_expected_and_actual(run_clew):
    done = run_clew("labs", "1")
    assert done.returncode == 0, done.stderr
    assert "lab1: One parameter, one gradient" in done.stdout
    assert "    loss: 16.0    | loss: 16.0\n" in done.stdout
    assert done.stdout.endswith("1 of 1 print what is expected\n")


@pytest.mark.parametrize("text", ["print('other')", "raise ValueError('broken')"])
def test_a_difference_fails(run_python, tmp_path, text):
    (tmp_path / "lab1.py").write_text(f'"""Title\n\nLesson.\n"""\nprint("same")\n{text}\n')
    (tmp_path / "lab1.expected.txt").write_text("same\nthis\n")
    done = run_python(
        "-c", f"import pathlib, sys; from clew import cli, labs; labs.FOLDER = pathlib.Path({str(tmp_path)!r});"
        "sys.exit(cli.main(['labs']))",
    )  # fmt: skip
    assert done.returncode == 1
    assert "  ! this     | " in done.stdout
    assert "    same     | same" in done.stdout
    assert "1 of 1 differ: lab1" in done.stderr
