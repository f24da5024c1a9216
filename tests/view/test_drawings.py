"""Text, Mermaid and DOT from a graph."""

from __future__ import annotations

import re

import pytest

import clew
from clew import view
from clew.view.data import format_of
from clew.view.text import shows_color


@pytest.fixture
def graph():
    with view.Recording() as seen:
        w = clew.tensor(2.0, requires_grad=True)
        loss = (w * 3 - 10) ** 2
        loss.backward()
    return seen.graph()


@pytest.fixture
def branched():
    with view.Recording() as seen:
        w = clew.tensor([1.0, 2.0], requires_grad=True)
        b = clew.tensor(0.5, requires_grad=True)
        x = clew.tensor([3.0, 4.0])
        y = w * x + b
        (y * y).mean().backward()
    return seen.graph()


def test_tree(graph):
    lines = graph.text(width=100, color=False).splitlines()
    parts = [re.split(r"  +", line)[:3] for line in lines[:4]]
    assert [part[:2] for part in parts] == [
        ["² → loss = 16", "grad 1"],
        ["− 10 = -4", "grad -8"],
        ["× 3 = 6", "grad -8"],
        ["w = 2", "grad -24"],
    ]
    assert [part[2] for part in parts[1:]] == ["∂ -8", "∂ 1", "∂ 3"]
    assert "loss = (w * 3 - 10) ** 2" in lines[0]
    assert lines[-1] == "(after backward)"


def test_branches(branched):
    lines = branched.text(width=110, color=False).splitlines()
    assert [re.split(r" = |  ", line)[0] for line in lines[:-1]] == [
        "mean",
        "mul",
        "├─ add ↓ below",
        "add → y",
        "├─ b",
        "× x",
        "├─ w",
        "└─ x",
    ]


@pytest.mark.parametrize("width", [20, 40, 72, 200])
def test_width_is_kept(graph, branched, width):
    for drawn in (graph, branched):
        lines = drawn.text(width=width, color=False).splitlines()
        assert max(map(len, lines)) <= max(width, 20)


def test_colors(graph, monkeypatch):
    plain = graph.text(width=100, color=False)
    coloured = graph.text(width=100, color=True)
    assert "\033[" in coloured
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == plain
    assert "\033[" not in plain

    class Terminal:
        def isatty(self):
            return True

    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert shows_color(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not shows_color(Terminal())


def test_left_out_is_said(graph):
    graph.left_out = 7
    for text in (graph.text(80, color=False), graph.dot(), graph.mermaid()):
        assert "7 more nodes left out" in text


def test_mermaid(graph):
    text = graph.mermaid()
    assert text.startswith("flowchart LR\n")
    assert 'l0(["w = 2<br>grad -24"])' in text
    assert 'l0 -->|"∂ 3, grad -24"| n0' in text


def test_dot(graph):
    text = graph.dot()
    assert text.startswith("digraph autograd {")
    assert text.count("{") == text.count("}")
    assert 'l0 [label="w = 2\\ngrad -24"' in text
    assert 'l0 -> n0 [label="∂ 3\\ngrad -24"]' in text


def test_names_cannot_break_the_formats():
    w = clew.tensor(1.0, requires_grad=True)
    graph = view.graph(w * 2, names={'"]; <b>&\\': w})
    assert '"]; <b>' not in graph.mermaid()
    assert '\\"]; <b>&\\\\' in graph.dot()


@pytest.mark.parametrize("suffix", ["dot", "mmd", "json", "txt"])
def test_save(graph, tmp_path, suffix):
    path = graph.save(tmp_path / f"g.{suffix}")
    assert path.read_text(encoding="utf-8") == graph.drawn(suffix)
    view.save(graph, tmp_path / f"h.{suffix}")
    assert (tmp_path / f"h.{suffix}").exists()


def test_save_as_what_is_unknown(graph, tmp_path):
    with pytest.raises(ValueError, match=r"\.svg"):
        graph.save(tmp_path / "g.doc")
    assert format_of(tmp_path / "a.MERMAID") == "mmd"


def test_notebooks_get_the_drawing(graph):
    pytest.importorskip("fast_sugiyama")
    made = graph._repr_mimebundle_()
    assert set(made) == {"text/plain", "image/svg+xml"}
    assert "<svg" in made["image/svg+xml"]
    assert graph._repr_html_() == graph._repr_svg_() == made["image/svg+xml"]
    assert set(graph._repr_mimebundle_(include=["text/plain"])) == {"text/plain"}


def test_notebooks_get_no_more_than_can_be_seen():
    h = w = clew.tensor(1.0, requires_grad=True)
    for _ in range(1000):
        h = h * 0.99 + w
    text = view.graph(h)._repr_mimebundle_(include=["text/plain"])["text/plain"]
    assert "1701 more nodes left out" in text


def test_a_very_deep_graph_is_drawn():
    """The library for layouts recurses once for each node."""
    pytest.importorskip("fast_sugiyama")
    x, w = clew.tensor(1.0), clew.tensor(0.1, requires_grad=True)
    for _ in range(25_000):
        x = x * 1.0 + w
    drawn = view.backward(x, budget=100_000)
    assert "<svg" in drawn.svg()[:200]
