"""A graph as a tree of text: the result on top, below it what it was computed from, down to the leaves.

A chain of operations stays in one column; where an operation has several inputs the shorter branches are indented and
the longest goes on straight, so that the tree grows downward and not to the right. What is used twice is drawn once,
on the longer way.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TextIO

from clew.view.data import Graph, GraphEdge, GraphNode, short

NARROW = 72  # columns below which a node takes a second line
PLACE = 24  # columns left for the line, where the others leave it a choice
DEEPEST = 24  # levels of branches that are indented; what is deeper goes on in the same column
COLORS = {
    "culprit": "1;31", "nonfinite": "31", "root": "1", "leaf": "32", "const": "2", "folded": "36", "grad": "33", "dim": "2",
    "unused": "35", "mutated": "31",
}  # fmt: skip
MARKS = {"frozen": "frozen", "unused": "unused: no gradient", "detached": "detached", "mutated": "changed since",
         "nonfinite": "not finite", "culprit": "← here it went wrong"}  # fmt: skip


@dataclass(slots=True)
class _Row:
    """A line to be: what stands before the node, the node, and the edge by which it is used."""

    stem: str
    below: str  # what stands before a second line
    node: GraphNode
    edge: GraphEdge | None
    elsewhere: bool


def tree(graph: Graph, width: int | None = None, color: bool | None = None) -> str:
    """The text. width: columns, by default the terminal's; color: ANSI colours, by default where stdout shows them."""
    color = shows_color(sys.stdout) if color is None else color
    width = max(width or shutil.get_terminal_size((100, 24)).columns, 20)
    rows = _rows(graph)
    lines = _narrow(rows, width, color) if width < NARROW else _wide(rows, width, color)
    return "\n".join([*lines, *_foot(graph, width, color)])


def shows_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal with colours (NO_COLOR turns them off, FORCE_COLOR on)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


# ---- the rows ----------------------------------------------------------------------------------------------------------
def _rows(graph: Graph) -> list[_Row]:
    nodes = {node.id: node for node in graph.nodes}
    inputs: dict[str, list[GraphEdge]] = {}
    used = set()
    for use in graph.edges:
        inputs.setdefault(use.target, []).append(use)
        used.add(use.source)
    for edges in inputs.values():
        edges.sort(key=lambda e: e.slot)
    heights = _heights(graph, inputs)
    tops = [node for node in reversed(graph.nodes) if node.id not in used and "unused" not in node.state]
    tops.sort(key=lambda node: node.id != graph.root)
    for edges in inputs.values():
        edges.sort(key=lambda e: heights[e.source])  # stable: the longest branch last, which goes on straight
    owners = _owners(tops, inputs)
    rows: list[_Row] = []
    for top in tops:
        # Of each entry: the node, its edge, the text before it and before what comes below, levels of indentation.
        stack: list[tuple[GraphNode, GraphEdge | None, str, str, int]] = [(top, None, "", "", 0)]
        while stack:
            node, edge, stem, below, level = stack.pop()
            elsewhere = owners[node.id] is not edge
            rows.append(_Row(stem, below, node, edge, elsewhere))
            edges = [] if elsewhere else inputs.get(node.id, [])
            if not edges:
                continue
            *others, longest = edges
            indented = level < DEEPEST
            if indented and others and not heights[longest.source]:  # nothing goes on below: a branch as any
                stack.append((nodes[longest.source], longest, below + "└─ ", below + "   ", level + 1))
            else:
                stack.append((nodes[longest.source], longest, below, below, level))
            stem, under = (below + "├─ ", below + "│  ") if indented else (below, below)
            stack.extend((nodes[e.source], e, stem, under, level + indented) for e in reversed(others))
    rows += [_Row("", "", node, None, False) for node in graph.nodes if "unused" in node.state]
    return rows


def _owners(tops: list[GraphNode], inputs: dict[str, list[GraphEdge]]) -> dict[str, GraphEdge | None]:
    """By which use each node is drawn: what is on a long way down is drawn there, and not in a short branch above."""
    owners: dict[str, GraphEdge | None] = {}
    for top in tops:
        stack: list[tuple[str, GraphEdge | None]] = [(top.id, None)]
        while stack:
            name, edge = stack.pop()
            if name not in owners:
                owners[name] = edge
                stack.extend((e.source, e) for e in inputs.get(name, ()))
    return owners


def _heights(graph: Graph, inputs: dict[str, list[GraphEdge]]) -> dict[str, int]:
    """The number of operations on the longest way down from each node."""
    heights: dict[str, int] = {}
    for start in graph.nodes:
        stack = [(start.id, False)]
        while stack:
            name, ready = stack.pop()
            if ready:
                heights[name] = 1 + max((heights[e.source] for e in inputs.get(name, ())), default=-1)
            elif name not in heights:
                heights[name] = 0  # a circle, which there should be none of, must not hang this
                stack.append((name, True))
                stack.extend((e.source, False) for e in inputs.get(name, ()) if e.source not in heights)
    return heights


# ---- what is said of a node --------------------------------------------------------------------------------------------
def _title(row: _Row) -> str:
    node = row.node
    if node.value is None or node.value.text == node.label:
        return node.title
    return f"{node.title} = {node.value.text}"


def _gradient(row: _Row) -> str:
    """What flowed into the node, or what this use of it sent back where there are several."""
    node = row.node
    if node.grad is None:
        return "" if node.kind != "leaf" or "unused" in node.state else "grad None"
    text = node.grad.text
    if node.value is not None and node.value.shape == node.grad.shape and node.grad.shape:
        text = text.removeprefix(f"{list(node.grad.shape)} ")  # it stands beside the value
    return f"grad {text}"


def _local(row: _Row) -> str:
    return "" if row.edge is None or row.edge.local is None else f"∂ {short(row.edge.local)}"


def _marks(row: _Row) -> str:
    return ", ".join(MARKS[state] for state in row.node.state if state in MARKS)


def _place(row: _Row) -> str:
    node = row.node
    if node.kind == "const" or not node.line:
        return ""
    return f"{os.path.basename(node.file)}:{node.line}"


def _style(row: _Row) -> str:
    node = row.node
    for state in ("culprit", "nonfinite", "unused", "root"):
        if state in node.state:
            return COLORS[state]
    return COLORS.get(node.kind, "")


def _painted(text: str, style: str, color: bool) -> str:
    return f"\033[{style}m{text}\033[0m" if color and style and text.strip() else text


@cache
def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _cut(text: str, width: int) -> str:
    return text if _columns(text) <= width else text[: max(width - 1, 0)] + "…"


def _filled(text: str, width: int) -> str:
    return text + " " * max(width - _columns(text), 0)


# ---- wide and narrow ---------------------------------------------------------------------------------------------------
def _wide(rows: list[_Row], width: int, color: bool) -> list[str]:
    """One line for each node, in columns: node and value, gradient, local derivative, place and source."""
    titles = [row.stem + (f"{row.node.label} ↓ below" if row.elsewhere else _title(row)) for row in rows]
    gradients = ["" if row.elsewhere else _gradient(row) for row in rows]
    locals_ = [_local(row) for row in rows]
    second = min(max(map(_columns, gradients), default=0), width // 3)
    third = max(map(_columns, locals_), default=0)
    first = max(width - second - third - PLACE, width // 3)
    first = min(max(map(_columns, titles), default=0), first)
    before: str = ""
    lines = []
    for row, title, gradient, local in zip(rows, titles, gradients, locals_, strict=True):
        shown = _filled(_cut(title, first), first)
        line = shown[: len(row.stem)] + _painted(shown[len(row.stem) :], _style(row), color)
        used = first
        if second:
            line += "  " + _painted(_filled(_cut(gradient, second), second), COLORS["grad"], color)
            used += 2 + second
        if third:
            line += "  " + _painted(_filled(local, third), "", color)
            used += 2 + third
        marks = "" if row.elsewhere else _marks(row)
        if marks:
            line += "  " + _painted(marks, COLORS["culprit" if "culprit" in row.node.state else "dim"], color)
            used += 2 + _columns(marks)
        place = "" if row.elsewhere or width - used < 14 else _place(row)
        if place:
            text = place if place == before else f"{place}  {row.node.text}"
            before = place
            line += "  " + _painted(_cut(text, width - used - 2), COLORS["dim"], color)
        lines.append(line.rstrip())
    return lines


def _narrow(rows: list[_Row], width: int, color: bool) -> list[str]:
    """The node on one line, its gradient on the next."""
    lines = []
    for row in rows:
        head = f"{row.node.label} ↓ below" if row.elsewhere else _title(row)
        room = width - _columns(row.stem)
        lines.append(row.stem + _painted(_cut(head, room), _style(row), color))
        parts = [_local(row), *([] if row.elsewhere else [_gradient(row), _marks(row), _place(row)])]
        second = "  ".join(part for part in parts if part)
        if second:
            indent = row.below + "  "
            lines.append(indent + _painted(_cut(second, width - _columns(indent)), COLORS["dim"], color))
    return lines


def _foot(graph: Graph, width: int, color: bool) -> list[str]:
    """Below the tree: where it went wrong, how much was left out, what state the graph is in."""
    lines = []
    culprits = [node for node in graph.nodes if "culprit" in node.state]
    for node in culprits:
        lines.append(
            f"{MARKS['culprit'][2:]}: {node.file}:{node.line}" + (f"  {node.text}" if node.text else "")
        )
        if "mutated" in node.state:
            lines.append("  " + node.explain.rpartition("; ")[2])
    if graph.left_out:
        lines.append(f"… {graph.left_out} more nodes left out")
    if graph.note:
        lines += textwrap.wrap(f"({graph.note})", width)
    style = COLORS["culprit" if culprits else "dim"]
    return [_painted(line, style, color) for line in lines]
