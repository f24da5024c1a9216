"""A program's steps as one self-contained HTML page: the program, its numbers, and the graph that grows and fills with them.

The drawings are `view.svg`'s, one for each round; the page's style is that of `clew graph`, with what is added here.
"""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from importlib.resources import files
from typing import Any

from clew.labs.steps import Run, Step
from clew.view.data import Graph
from clew.view.svg import STYLE, body

__all__ = ["page"]


def page(run: Run) -> str:
    """The page. ImportError where the library that lays out the graphs is missing."""
    title = f"{run.program.name}: {run.program.title}"
    data = {
        "source": run.source[run.first_line - 1 :],
        "first": run.first_line,
        "output": run.output,
        "rounds": run.rounds,
        "graphs": {str(number): _drawn(graph) for number, graph in run.graphs.items()},
        "steps": [_step(run, step) for step in run.steps],
    }
    text = _asset("labs", "labs.html")
    for name, value in (
        ("TITLE", escape(title)),
        ("STYLE", _asset("view", "page.css") + STYLE + _asset("labs", "labs.css")),
        ("SCRIPT", _asset("labs", "labs.js")),
        ("DATA", json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
    ):
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def _asset(room: str, name: str) -> str:
    return files("clew").joinpath(room, "assets", name).read_text(encoding="utf-8")


def _drawn(graph: Graph) -> dict[str, Any]:
    inner, width, height = body(replace(graph, note=""))
    return {"svg": inner, "width": width, "height": height}


def _step(run: Run, step: Step) -> dict[str, Any]:
    graph = run.graphs.get(step.round)
    made = [step.node] if step.kind == "forward" and step.node is not None else []
    if graph is not None:  # with an operation come the leaves and constants that it takes
        plain = {node.id for node in graph.nodes if node.kind in ("leaf", "const")}
        made += [edge.source for edge in graph.edges if edge.target in made and edge.source in plain]
    return {
        "kind": step.kind, "line": step.line, "text": step.text.splitlines(), "round": step.round, "skipped": step.skipped,
        "values": [[name, value.text, value.words] for name, value in step.values.items()],
        "changed": sorted(step.changed), "printed": step.printed, "made": made, "to": list(step.reached),
        # A leaf's gradient is there when it has been added to what was there before.
        "reached": [node for node in step.reached if step.kind == "leaf" or not node.startswith("l")],
        "node": step.node, "chain": [chain.explained() for chain in step.chain],
    }  # fmt: skip
