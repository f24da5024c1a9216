"""One self-contained HTML page on which one steps through a computation: forward, then the gradient backward.

The drawing comes from `svg`, once for each level of folding; style and script are files beside this one, put into the page,
which then needs nothing else, and no network.
"""

from __future__ import annotations

import json
import linecache
from html import escape
from importlib.resources import files
from typing import Any

from clew.view.data import Graph
from clew.view.svg import STYLE, body

DRAWN = 5000  # nodes that a level draws: of a larger one the nodes nearest to the result
FIRST = 60  # nodes up to which a page opens unfolded
_LEVELS = 6  # of folding
_SOURCE = 3000  # lines of a source file that are shown


def page(graph: Graph) -> str:
    """The page. ImportError where the layout's library is missing."""
    levels = [_level(level) for level in _levels(graph)]
    first = next((i for i, level in enumerate(levels) if len(level["nodes"]) <= FIRST), len(levels) - 1)
    data = {"levels": levels, "first": first, "sources": _sources(graph), "note": graph.note}
    title = escape(graph.script.rsplit("/", 1)[-1] or "what autograd recorded")
    text = asset("page.html")
    for name, value in (
        ("TITLE", title),
        ("STYLE", asset("page.css") + STYLE),
        ("SCRIPT", asset("page.js")),
        ("DATA", json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
    ):
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def asset(name: str) -> str:
    return files("clew.view").joinpath("assets", name).read_text(encoding="utf-8")


def _levels(graph: Graph) -> list[Graph]:
    """The graph as it is, then folded more and more, as far as folding makes it smaller."""
    depths = range(min(_LEVELS, max((len(node.calls) for node in graph.nodes), default=0)), 0, -1)
    found = [graph]
    for depth in depths:
        smaller = graph.folded(depth)
        if len(smaller) < len(found[-1]):
            found.append(smaller)
    return [level.trimmed(DRAWN) for level in found]


def _level(graph: Graph) -> dict[str, Any]:
    inner, width, height = body(graph)
    nodes = [
        {
            "id": node.id, "kind": node.kind, "title": node.title, "op": node.op, "names": list(node.names), "file": node.file,
            "line": node.line, "text": node.text, "state": list(node.state), "module": node.module, "explain": node.explain,
            "value": node.value and node.value.text, "grad": node.grad and node.grad.text,
            "number": _number(node.grad), "bytes": node.saved_bytes, "size": len(node.members),
        }
        for node in graph.nodes
    ]  # fmt: skip
    edges = [
        {"from": e.source, "to": e.target, "local": _plain(e.local), "flow": e.flow and e.flow.text, "number": _number(e.flow)}
        for e in graph.edges
    ]  # fmt: skip
    return {
        "svg": inner, "width": width, "height": height, "nodes": nodes, "edges": edges, "root": graph.root,
        "left": graph.left_out, "forward": _forward(graph), "backward": _backward(graph),
    }  # fmt: skip


def _number(stats: Any) -> Any:
    return None if stats is None else _plain(stats.value)


def _plain(value: Any) -> Any:
    """A number that JSON can hold, else None."""
    return value if isinstance(value, int | float) and value == value and abs(value) != float("inf") else None


def _forward(graph: Graph) -> list[str]:
    """The nodes in the order in which values come to be: leaves when they are first used."""
    inputs: dict[str, list[str]] = {}
    for edge in graph.edges:
        inputs.setdefault(edge.target, []).append(edge.source)
    plain = {node.id for node in graph.nodes if node.kind in ("leaf", "const")}
    order: dict[str, None] = {}
    for node in graph.nodes:
        if node.id not in plain:
            order.update(dict.fromkeys(source for source in inputs.get(node.id, ()) if source in plain))
            order[node.id] = None
    order.update(dict.fromkeys(plain))
    return list(order)


def _backward(graph: Graph) -> list[str]:
    """The nodes in the order in which the gradient reached them; none before a backward pass."""
    there = {node.id for node in graph.nodes if node.grad is not None}
    inside = {member: node.id for node in graph.nodes for member in node.members}
    order = dict.fromkeys(inside.get(n, n) for n in graph.seen)
    ends = dict.fromkeys(node.id for node in graph.nodes if node.kind == "leaf")
    return [n for n in (*[n for n in order if n not in ends], *ends) if n in there]


def _sources(graph: Graph) -> dict[str, list[str]]:
    """The user's files, as far as they can be read."""
    found = {}
    for name in dict.fromkeys(node.file for node in graph.nodes if node.file):
        lines = [line.rstrip("\n") for line in linecache.getlines(name)]
        if lines and len(lines) <= _SOURCE:
            found[name] = lines
    return found


__all__ = ["asset", "page"]
