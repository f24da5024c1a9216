"""The course's programs print under clew what they print under PyTorch."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import clew
from clew import as_torch, cli, labs
from clew.labs import errors, watch
from clew.labs.page import page
from clew.labs.steps import take_apart
from clew.labs.variations import VARIATIONS, changed, try_out

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


# ---- step by step ------------------------------------------------------------------------------------------------------
STEPPED = ["lab1", "lab2", "lab3", "lab4", "lab5", "tools", "checklist"]


@pytest.fixture(scope="module")
def torch_is_clew():
    if "torch" in sys.modules:
        pytest.skip("PyTorch is imported in this process")
    with as_torch.installed():
        yield


@pytest.fixture(scope="module")
def runs(torch_is_clew):
    """Each program taken apart."""
    return {name: take_apart(labs.choose([name])[0]) for name in STEPPED}


def products(run) -> list[str]:
    return [chain.product() for step in run.steps for chain in step.chain]


@pytest.mark.parametrize("name", STEPPED)
def test_steps_tell_of_what_the_program_prints(name, runs):
    run = runs[name]
    printed = [step.text for step in run.steps if step.kind == "print"]
    assert run.output == run.program.expected == "".join(f"{text}\n" for text in printed)
    assert run.steps[-1].printed == len(run.output)
    assert all(run.source[step.line - 1].strip() for step in run.steps)


def test_lab_1_writes_the_chain_rule_out(runs):
    assert products(runs["lab1"]) == [
        "∂loss/∂(w * 3 - 10) = (-8) × 1 = -8", "∂loss/∂(w * 3) = 1 × (-8) = -8", "∂loss/∂w = 3 × (-8) = -24",
    ]  # fmt: skip
    last = [step for step in runs["lab1"].steps if step.chain][-1].chain[0]
    assert last.explained() == [
        "local     ∂(w * 3)/∂w = 3", "upstream  ∂loss/∂(w * 3) = -8", "product   ∂loss/∂w = 3 × (-8) = -24",
    ]  # fmt: skip


def test_lab_1_shows_each_number_as_it_arrives(runs):
    told = [(step.line, step.kind, step.text.splitlines()[0]) for step in runs["lab1"].steps]
    assert told == [
        (12, "line", "w = 2   (a leaf that wants a gradient)"),
        (13, "forward", "w * 3 = 6"),
        (13, "forward", "w * 3 - 10 = -4"),
        (13, "forward", "(w * 3 - 10) ** 2 = 16"),
        (13, "line", "loss = (2 * 3 - 10) ** 2 = 16"),
        (14, "print", "loss: 16.0"),
        (16, "backward", "start: ∂loss/∂loss = 1"),
        (16, "backward", "back through loss = (w * 3 - 10) ** 2"),
        (16, "backward", "back through w * 3 - 10"),
        (16, "backward", "back through w * 3"),
        (16, "leaf", "w.grad = -24   (was None)"),
        (17, "print", "w.grad: -24.0"),
    ]
    grads = [step.values["w.grad"].text for step in runs["lab1"].steps]
    assert grads == ["None"] * 10 + ["-24"] * 2
    assert {name: number.text for name, number in runs["lab1"].steps[-1].values.items()} == {
        "w": "2", "w.grad": "-24", "loss": "16",
    }  # fmt: skip


def test_lab_2_shows_update_and_clearing(runs):
    lines = [step.text for step in runs["lab2"].steps if step.kind == "line"]
    updates = [text for text in lines if text.startswith(("w = 2", "w = 4"))]
    assert updates[1:] == [
        "w = 2 - 0.1 * (-24) = 4.4", "w = 4.4 - 0.1 * 19.2 = 2.48", "w = 2.48 - 0.1 * (-15.36) = 4.016",
        "w = 4.016 - 0.1 * 12.288 = 2.7872", "w = 2.7872 - 0.1 * (-9.8304) = 3.7702",
    ]  # fmt: skip
    assert (
        lines.count("from here on nothing is recorded") == lines.count("operations are recorded again") == 5
    )
    assert "w.grad: -24 → 0" in lines


def test_lab_3_shows_the_sum(runs):
    arrived = [step.text for step in runs["lab3"].steps if step.kind == "leaf"]
    assert arrived == [
        "x.grad = 6   (was None)", "x.grad = 6 + 2 = 8   (added to what was there)", "x.grad = 2   (was 0)",
    ]  # fmt: skip


def test_lab_4_sums_over_the_points_and_leaves_rounds_out(runs):
    run = runs["lab4"]
    assert "∂loss/∂w = Σ [1, 2, 3, 4] × [-1.5, -2.5, -3.5, -4.5] = -35" in products(run)
    assert "∂loss/∂b = Σ [1, 1, 1, 1] × [-1.5, -2.5, -3.5, -4.5] = -12" in products(run)
    assert run.rounds == 201
    assert [step.skipped for step in run.steps if step.skipped] == [48, 49, 49, 49]
    assert max(step.round for step in run.steps if step.chain) == 2
    assert run.steps[-1].values["w"].text == "2.0047"


def test_lab_5_names_parameters_and_says_the_rest_in_words(runs):
    leaves = [step.text for step in runs["lab5"].steps if step.kind == "leaf"]
    assert leaves[:2] == ["model.weight.grad = -35   (was None)", "model.bias.grad = -12   (was None)"]
    linear = next(
        chain for step in runs["lab5"].steps for chain in step.chain if chain.input == "model.weight"
    )
    assert linear.local == ""
    assert "gᵀ·x to W" in linear.explained()[0]


@pytest.mark.usefixtures("torch_is_clew")
def test_every_round_is_there_if_wanted(tmp_path):
    run = take_apart(labs.choose(["lab4"])[0], every=True)
    assert {step.round for step in run.steps if step.kind == "leaf"} == set(range(1, 202))


@pytest.mark.usefixtures("torch_is_clew")
def test_a_program_that_fails_is_shown_as_far_as_it_came(tmp_path):
    (tmp_path / "lab1.py").write_text(
        '"""Title\n\nLesson."""\nimport torch\nw = torch.ones(1, requires_grad=True)\n(w * 2).sum().backward()\nw.none()\n'
    )
    run = take_apart(labs.Program("lab1", "Title", "", tmp_path / "lab1.py"))
    assert run.steps[-1].kind == "error"
    assert run.steps[-1].line == 7
    assert "AttributeError" in run.steps[-1].text
    assert "AttributeError" in run.output


@pytest.mark.parametrize(("width", "height"), [(100, 40), (60, 24), (40, 12)])
def test_a_frame_fits_the_terminal(runs, width, height):
    for name in ("lab1", "lab4"):
        for at, step in enumerate(runs[name].steps):
            lines = watch.frame(runs[name], at, width, height)
            assert len(lines) == height
            assert max(map(len, lines)) <= width
            here = [line for line in lines if line.startswith("▶")]
            assert [int(line[1:].split()[0]) for line in here] == [step.line]


def test_a_frame_shows_lines_numbers_rule_and_output(runs):
    run = runs["lab1"]
    text = "\n".join(watch.frame(run, 9, 90, 30))
    for wanted in ("lab1: One parameter", "step 10 of 12 · backward", "▶  16  loss.backward()", " w 2", "w.grad None",
                   "product   ∂loss/∂w = 3 × (-8) = -24", "printed\n  loss: 16.0"):  # fmt: skip
        assert wanted in text
    assert "*w.grad -24" in "\n".join(watch.frame(run, 10, 90, 30))
    assert "\033[1;33m*w.grad -24\033[0m" in "\n".join(watch.frame(run, 10, 90, 30, color=True))


def test_printed_steps_are_the_same(runs):
    text = "\n".join(watch.written(runs["lab4"]))
    assert "   24          w -= lr * w.grad\n         w = 0 - 0.05 * (-35) = 1.75\n" in text
    assert text.count("… 49 more rounds like these …") == 3
    assert "prints  epoch=200 loss=0.0000 w=2.0047 b=0.9862" in text


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_in_a_terminal_keys_go_on_and_back():
    import pty

    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(clew.__file__).parent.parent),
        "TERM": "xterm",
        "NO_COLOR": "1",
    }
    main, terminal = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "clew", "labs", "1", "--watch"], stdin=terminal, stdout=terminal, env=environment, close_fds=True
    )  # fmt: skip
    os.close(terminal)
    seen = ""

    def until(words: str) -> None:
        nonlocal seen
        shown = ""
        while words not in shown:
            assert select.select([main], [], [], 30)[0], f"{words!r} did not come: {shown!r}"
            shown += os.read(main, 65536).decode(errors="ignore")
        seen += shown

    until("step 1 of 12")
    for key, words in ((b"\n", "step 2 of 12"), (b"\033[C", "step 3 of 12"), (b"\033[D", "step 2 of 12"),
                       (b"\033[F", "step 12 of 12"), (b"\033[H", "step 1 of 12"), (b" ", "step 2 of 12")):  # fmt: skip
        os.write(main, key)
        until(words)
    os.write(main, b"q")
    until("\033[?1049l")  # the screen from before is back
    assert done.wait(30) == 0
    os.close(main)
    assert seen.startswith("\033[?1049h\033[?25l")
    assert "▶  13  loss = (w * 3 - 10) ** 2" in seen


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--watch"], "need the names of labs"),
        (["errors", "--watch"], "need the names of labs"),
        (["1", "--plain"], "go with --watch"),
        (["1", "--watch", "--delay", "-1"], "--delay must be 0 or more"),
        (["1", "2", "-o", "x.html"], "the page of one lab"),
        (["1", "-o", "no/such/folder/x.html"], "can't write"),
        (["none"], "no lab is called 'none'"),
    ],
)
@pytest.mark.usefixtures("torch_is_clew")
def test_options_that_make_no_sense(args, words, capsys):
    assert cli.main(["labs", *args]) == 2
    assert words in capsys.readouterr().err


# ---- the page ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", STEPPED)
def test_the_page_has_every_step_and_needs_no_network(name, runs):
    pytest.importorskip("fast_sugiyama")
    text = page(runs[name])
    assert not re.search(r"(?:src|href)=.https?:|@import|url\(", text)
    data = json.loads(text.split('<script id="data" type="application/json">')[1].split("</script>")[0])
    assert len(data["steps"]) == len(runs[name].steps)
    for step in data["steps"]:
        drawn = data["graphs"].get(str(step["round"]), {"svg": ""})["svg"]
        for node in (*step["made"], *step["reached"], *step["to"]):
            assert f'data-id="{node}"' in drawn


def test_the_page_in_a_browser(runs, tmp_path):
    pytest.importorskip("fast_sugiyama")
    browsing = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium")
    file = tmp_path / "lab1.html"
    file.write_text(page(runs["lab1"]), encoding="utf-8")
    with browsing.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        shown, told = browser.new_page(), []
        shown.on("console", lambda message: told.append(message.text))
        shown.on("pageerror", lambda error: told.append(str(error)))
        shown.on(
            "request",
            lambda request: told.extend([request.url] * (not request.url.startswith(("file:", "data:")))),
        )
        shown.goto(file.as_uri())
        assert shown.inner_text("#phase") == "step 1 of 12: line"
        for _ in range(9):
            shown.keyboard.press("ArrowRight")
        assert "∂loss/∂w = 3 × (-8) = -24" in shown.inner_text("#told")
        assert shown.inner_text("#source .now").split() == ["16", "loss.backward()"]
        assert shown.locator("#picture g.made").count() >= 4
        shown.click("#next")
        assert "w.grad -24" in shown.inner_text("#numbers .fresh")
        shown.keyboard.press("ArrowLeft")
        assert "w.grad None" in shown.inner_text("#numbers")
        shown.keyboard.press("End")
        assert shown.inner_text("#printed").split("\n")[:2] == ["loss: 16.0", "w.grad: -24.0"]
        shown.keyboard.press("Home")
        shown.fill("#where", "3")
        assert shown.inner_text("#phase") == "step 4 of 12: forward"
        browser.close()
    assert told == []


# ---- exercises ---------------------------------------------------------------------------------------------------------
VARIED = [(name, variation) for name, found in VARIATIONS.items() for variation in found]


@pytest.mark.parametrize(("name", "variation"), VARIED, ids=lambda value: getattr(value, "name", value))
@pytest.mark.usefixtures("torch_is_clew")
def test_a_variation_gives_its_answer(name, variation):
    found = try_out(labs.choose([name])[0], variation)
    assert found.actual == variation.expected
    assert found.right, f"{found.held} bytes"


@pytest.mark.usefixtures("torch_is_clew")
def test_the_exercises_are_varied_and_shown(capsys):
    assert sorted(VARIATIONS) == [program.name for program in labs.choose(["exercise"])]
    assert cli.main(["labs", "exercise4"]) == 0
    shown = capsys.readouterr().out
    assert "    - losses.append(loss)\n    + losses.append(loss.item())\n" in shown
    assert (
        "    expected  200 stored, 0 operations kept alive\n    actual    200 stored, 0 operations kept alive, "
        in shown
    )
    assert shown.endswith("1 of 1 print what is expected, 5 of 5 variations give it\n")


@pytest.mark.usefixtures("torch_is_clew")
def test_a_wrong_answer_fails(monkeypatch, capsys):
    wrong = replace(VARIATIONS["exercise1"][0], expected="w=4.00 b=-2.00")
    monkeypatch.setitem(VARIATIONS, "exercise1", (wrong,))
    assert cli.main(["labs", "exercise1"]) == 1
    told = capsys.readouterr()
    assert "  ! actual    w=3.00 b=-1.99" in told.out
    assert "1 of 1 variations differ: exercise1, as it is" in told.err


def test_a_change_must_be_possible():
    lost = replace(VARIATIONS["exercise1"][0], change=(("no such text", ""),))
    with pytest.raises(ValueError, match="stands 0 times"):
        changed(labs.choose(["exercise1"])[0], lost)


# ---- the error table ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("row", errors.ROWS, ids=lambda row: row.name)
@pytest.mark.usefixtures("torch_is_clew")
def test_the_doctor_explains_a_broken_program_and_leaves_the_mended_alone(row):
    examined = errors.examine(row)
    assert examined.complaints() == []
    assert {finding.rule for finding in examined.findings} == set(row.wanted)
    assert examined.printed
    assert examined.mended_printed


@pytest.mark.parametrize("width", ["80", "120"])
@pytest.mark.usefixtures("torch_is_clew")
def test_the_error_table_is_shown(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    assert cli.main(["labs", "errors"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= max(int(width), 92)
    for number, (word, rule) in enumerate(
        [("is None", "grad-of-non-leaf"), ("unstable", "gradients-not-cleared"), ("second time", "second-backward"),
         ("Memory", "graph-kept-alive"), ("Validation", "validation-recorded")], 1
    ):  # fmt: skip
        part = shown.split(f"\n{number}. " if number > 1 else "1. ")[1].split("\n\n\n")[0]
        assert word in part.splitlines()[0]
        assert rule in part
    assert shown.count("the doctor: nothing found") == 5
    assert "5 of 5 explained by the doctor" in shown


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            errors.Row("twice", {"non-finite": "loss.backward()"}),
            ["non-finite was not found", "second-backward was found"],
        ),
        (errors.Row("memory", {}), ["graph-kept-alive was found at"]),
    ],
)
@pytest.mark.usefixtures("torch_is_clew")
def test_what_the_doctor_misses_fails(row, words, monkeypatch, capsys):
    monkeypatch.setattr(errors, "ROWS", (row,))
    assert cli.main(["labs", "errors"]) == 1
    told = capsys.readouterr()
    for part in words:
        assert part in told.err
    assert "0 of 1 explained" in told.out


@pytest.mark.usefixtures("torch_is_clew")
def test_a_finding_in_a_mended_program_fails(monkeypatch, capsys):
    class Unmended(errors.Row):
        @property
        def mended(self):
            return self.broken

    monkeypatch.setattr(errors, "ROWS", (Unmended(*errors.ROWS[3]),))
    assert cli.main(["labs", "errors"]) == 1
    assert "memory.py: graph-kept-alive was found at" in capsys.readouterr().err
