"""The timeline: what was added to each gradient, what each update changed, in the order in which it happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import clew
from clew import view
from clew.view.timeline import Timeline

PROGRAMS = Path(clew.__file__).parent / "labs" / "programs"


@pytest.fixture(scope="module")
def timeline(run_clew):
    """`timeline(*args)`: the command, in a fresh process."""
    return lambda *args: run_clew("timeline", *args)


@pytest.fixture
def data_of(timeline, tmp_path):
    """The data of a script's timeline: of a file's, or of a program's text."""

    def run(script: str | Path) -> dict:
        if isinstance(script, str):
            (tmp_path / "script.py").write_text(script, encoding="utf-8")
            script = tmp_path / "script.py"
        return json.loads(timeline("--json", script).stdout.splitlines()[-1])

    return run


def kinds(step: dict) -> list[str]:
    return [event["kind"] for event in step["events"]]


def numbers(event: dict) -> dict[str, tuple]:
    return {c["name"]: (c["before"], c["added"], c["after"]) for c in event["changes"]}


# ---- the course ----------------------------------------------------------------------------------------------------------
def test_lab_2(data_of):
    data = data_of(PROGRAMS / "lab2.py")
    assert data["count"] == data["passes"] == data["updates"] == 5
    assert [kinds(step) for step in data["steps"]] == [["forward", "backward", "update", "clear"]] * 5
    forward, backward, update, clear = data["steps"][0]["events"]
    assert forward["operations"] == 3
    assert forward["loss"] == 16
    assert numbers(backward) == {"w": (None, -24, -24)}
    before, added, after = numbers(update)["w"]
    assert (before, added, after) == pytest.approx((2, 2.4, 4.4))
    assert update["text"] == "w -= lr * w.grad"
    assert update["by"] == "by hand"
    assert numbers(clear) == {"w": (-24, None, 0)}
    assert clear["text"].startswith("w.grad.zero_()")
    assert [loss for _, loss in data["losses"]] == pytest.approx(
        [16, 10.24, 6.5536, 4.1943, 2.6844], rel=1e-4
    )


def test_lab_3_adds_up(data_of, timeline):
    data = data_of(PROGRAMS / "lab3.py")
    (step,) = data["steps"]
    passes = [numbers(event)["x"] for event in step["events"] if event["kind"] == "backward"]
    assert passes == [(None, 6, 6), (6, 2, 8), (0, 2, 2)]
    assert "x.grad = 6 + 2 = 8" in timeline(PROGRAMS / "lab3.py").stderr


NET = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(16, 3), torch.randn(16, 1)
for epoch in range(3):
    optimizer.zero_grad()
    for part in range(2):
        loss = ((model(x[part::2]) - y[part::2]) ** 2).mean() / 2
        loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
print("done")
"""


def test_a_net_with_an_optimizer(data_of):
    data = data_of(NET)
    assert len(data["steps"]) == 3
    for step in data["steps"]:
        assert kinds(step) == ["clear", "forward", "backward", "forward", "backward", "changed", "update"]
    names = ["model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias"]
    assert [p["name"] for p in sorted(data["parameters"], key=lambda p: names.index(p["name"]))] == names
    step = data["steps"][1]["events"]
    first, second = (numbers(event) for event in step if event["kind"] == "backward")
    clipped, update = numbers(step[5]), step[6]
    assert list(first) == names
    for name in names:
        assert first[name][0] is None
        assert second[name][0] == first[name][2]
        assert clipped[name][0] == second[name][2]
    assert sum(after**2 for _, _, after in clipped.values()) ** 0.5 == pytest.approx(0.1, rel=1e-3)
    assert update["by"] == "SGD"
    for name in names:  # the update is lr times the gradient
        assert abs(numbers(update)[name][1]) == pytest.approx(0.1 * abs(clipped[name][2]), rel=1e-3)


def test_the_wrong_order_is_seen(data_of):
    """Cleared between backward and step: the update has nothing to go by."""
    script = NET.replace("    nn.utils", "    optimizer.zero_grad()\n    nn.utils").replace(
        "    optimizer.zero_grad()\n    for", "    for"
    )
    data = data_of(script)
    events = data["steps"][0]["events"]
    assert [e["kind"] for e in events][-2:] == ["clear", "update"]
    assert events[-1]["changes"] == []


def test_a_forgotten_clear_piles_up(data_of):
    data = data_of("""
import torch
w = torch.tensor(1.0, requires_grad=True)
for step in range(4):
    (w * 2).backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
""")
    passes = [numbers(e)["w"][2] for s in data["steps"] for e in s["events"] if e["kind"] == "backward"]
    assert passes == [2, 4, 6, 8]


# ---- from Python -----------------------------------------------------------------------------------------------------------
def test_around_a_loop(tmp_path):
    w = clew.tensor([1.0, 2.0], requires_grad=True)
    with view.Timeline() as seen:
        for _ in range(3):
            loss = (w**2).sum()
            loss.backward()
            with clew.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
    assert isinstance(seen, Timeline)
    data = seen.as_data()
    assert data["count"] == 3
    assert kinds(data["steps"][0]) == ["forward", "backward", "update", "clear"]
    text = seen.text(100)
    assert "‖w.grad‖ = 4.472" in text
    assert all(len(line) <= 70 for line in seen.text(60).splitlines())
    for name in ("t.json", "t.txt", "t.html"):
        seen.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    with pytest.raises(ValueError, match=r"saved as one of \.html"):
        seen.save(tmp_path / "t.doc")


def test_many_steps_are_bounded():
    w = clew.tensor(1.0, requires_grad=True)
    with view.Timeline() as seen:
        for _ in range(1500):
            w.grad = None
            (w * w).backward()
            with clew.no_grad():
                w -= 0.01 * w.grad
    data = seen.as_data()
    assert data["count"] == 1500
    assert len(data["steps"]) + data["left_out"] == 1500
    assert len(data["steps"]) <= 41
    assert [step["number"] for step in data["steps"][-3:]] == [1498, 1499, 1500]
    assert len(data["losses"]) <= 500
    assert "steps …" in seen.text()


def test_off_it_leaves_no_trace():
    before = clew.Tensor.backward, clew.optim.SGD.step, clew.nn.Module.__call__
    with view.Timeline():
        pass
    assert before == (clew.Tensor.backward, clew.optim.SGD.step, clew.nn.Module.__call__)


# ---- programs that go wrong ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("script", "status", "note"),
    [
        ("import torch\nw = torch.ones(2, requires_grad=True)\nw.sum().backward()\n1 / 0\n", 1, "ended with ZeroDivisionError"),
        ("print('plain')\n", 0, "uses no autograd"),
        ("import sys\nsys.exit(3)\n", 3, "uses no autograd"),
        ("def f(:\n", 1, "is not Python"),
        ("import torch\nw = torch.ones(2, requires_grad=True)\nw.sum().backward()\nraise KeyboardInterrupt\n", 130, "interrupted"),
    ],
)  # fmt: skip
def test_reports_so_far(tmp_path, timeline, script, status, note):
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    done = timeline(tmp_path / "script.py")
    assert done.returncode == status or (status == 130 and done.returncode in (130, -2))
    assert note in done.stderr


def test_options_that_make_no_sense(tmp_path, timeline):
    (tmp_path / "s.py").write_text("print(1)", encoding="utf-8")
    done = timeline("-o", tmp_path / "x.doc", tmp_path / "s.py")
    assert done.returncode == 2
    assert "drawn to one of" in done.stderr
    assert done.stdout == ""
    assert timeline(tmp_path / "nothing.py").returncode == 2


def test_the_script_keeps_its_own(tmp_path, timeline):
    (tmp_path / "s.py").write_text("import sys\nprint(sys.argv[1:])", encoding="utf-8")
    done = timeline(tmp_path / "s.py", "--json", "a", "--", "--json")
    assert done.stdout.splitlines()[0] == "['a', '--json']"


# ---- drawings ------------------------------------------------------------------------------------------------------------------
def test_curves(tmp_path, timeline):
    pytest.importorskip("matplotlib")
    done = timeline("-o", tmp_path / "t.svg", PROGRAMS / "lab2.py")
    assert done.returncode == 0
    text = (tmp_path / "t.svg").read_text(encoding="utf-8")
    assert "<svg" in text


def test_the_page_in_a_browser(tmp_path, timeline, browser):
    assert timeline("-o", tmp_path / "t.html", PROGRAMS / "lab3.py").returncode == 0
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "t.html").as_uri())
    assert page.locator("#phase").inner_text() == "event 0 of 7"
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert "x.grad = 6 + 2 = 8" in page.locator("#told").inner_text()
    assert page.locator("#ledger tbody td").nth(2).inner_text() == "8"
    page.keyboard.press("ArrowRight")
    assert page.locator("#ledger tbody td").nth(2).inner_text() == "0"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#ledger tbody td").nth(2).inner_text() == "8"
    page.locator("#events button").nth(0).click()
    assert page.locator("#phase").inner_text() == "event 1 of 7"
    page.set_viewport_size({"width": 390, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
