"""A graph as SVG: boxes with names, values and gradients, from the leaves at the top down to the result.

The drawing needs nothing but itself: its style is inside, for light and dark. What a box is shows in its shape and in words,
not in its colour alone: leaves are round, constants dashed, folded modules double; other states are written beneath.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise

from clew.view.data import Graph, GraphEdge, GraphNode, short
from clew.view.layout import Layout, layout
from clew.view.mermaid import class_of

WIDE, HIGH, APART, BETWEEN = 210, 62, 26, 44  # a box, and the gaps beside and below it; pixels
MARGIN = 18
LABELLED = 80  # nodes: a graph of more has no numbers on its edges
_LETTERS = 30  # of 12 px that a box holds
_WORDS = ("frozen", "unused", "detached", "mutated", "nonfinite", "culprit")  # states that are written out
STYLE = """
.clew { font: 12px/1.2 system-ui, sans-serif; --ink: #16181d; --line: #868e96; --box: #fff; --page: #fff }
.clew rect { fill: var(--box); stroke: var(--line); stroke-width: 1.3 }
.clew text { fill: var(--ink) }
.clew .small { font-size: 10.5px; opacity: .85 }
.clew .grad { fill: #c2255c } .clew .state { fill: #c92a2a; font-weight: 600 }
.clew .edge { fill: none; stroke: var(--line); stroke-width: 1.3 }
.clew .tip { fill: var(--line) }
.clew .leaf rect { fill: #e3f4e6; stroke: #2b8a3e } .clew .const rect { fill: #f1f3f5; stroke-dasharray: 4 3 }
.clew .folded rect { fill: #e3f2fb; stroke: #1971c2 } .clew .root rect { fill: #fff3bf; stroke: #e67700; stroke-width: 2 }
.clew .bad rect { fill: #ffe3e3; stroke: #c92a2a; stroke-width: 2.4 } .clew .unused rect { stroke: #9c36b5; stroke-dasharray: 2 4 }
@media (prefers-color-scheme: dark) {
.clew { --ink: #f1f3f5; --line: #adb5bd; --box: #25262b; --page: #1a1b1e }
.clew .leaf rect { fill: #1d3a25 } .clew .const rect { fill: #2c2e33 } .clew .folded rect { fill: #1c3246 }
.clew .root rect { fill: #4a3b12 } .clew .bad rect { fill: #4c2020 } .clew .grad { fill: #f783ac } .clew .state { fill: #ff8787 } }
""".strip()


def draw(graph: Graph) -> str:
    """The whole drawing, as a file. ImportError where the layout's library is missing."""
    inner, width, height = body(graph)
    title = escape(graph.script or "what autograd recorded")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="clew" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{title}"><title>{title}</title><style>{STYLE}</style>'
        f'<rect width="100%" height="100%" style="fill: var(--page); stroke: none"/>{inner}</svg>\n'
    )


def body(graph: Graph) -> tuple[str, float, float]:
    """The elements of the drawing, and how wide and high it is."""
    found = layout(graph)
    numbered = len(graph.nodes) <= LABELLED
    titles = {node.id: node.title for node in graph.nodes}
    parts = []
    for edge in graph.edges:
        if (edge.source, edge.target) in found.stubs:
            parts.append(_stub(found, edge, titles[edge.source]))
        elif edge.source != edge.target:
            parts.append(_edge(found, edge, numbered))
    parts += [_box(found, node) for node in graph.nodes]
    width = max(found.columns, 1) * (WIDE + APART) + 2 * MARGIN
    height = max(found.rows, 1) * (HIGH + BETWEEN) + 2 * MARGIN - BETWEEN
    below = [graph.note] if graph.note else []
    if graph.left_out:
        below.append(f"{graph.left_out:,} more nodes left out")
    for words in below:
        height += 18
        parts.append(f'<text class="small" x="{MARGIN}" y="{height - 8:g}">{escape(words)}</text>')
    return "".join(parts), width, height


# ---- boxes ---------------------------------------------------------------------------------------------------------------
def corner(found: Layout, node: str) -> tuple[float, float]:
    """The upper left corner of a box."""
    x, y = found.at[node]
    return MARGIN + x * (WIDE + APART) + APART / 2, MARGIN + y * (HIGH + BETWEEN)


def _box(found: Layout, node: GraphNode) -> str:
    x, y = corner(found, node.id)
    kind = " ".join(dict.fromkeys(k for k in (node.kind, class_of(node)) if k))
    round_by = {"leaf": HIGH / 2, "const": 2}.get(node.kind, 8)
    inside = f'<rect x="{x:g}" y="{y:g}" width="{WIDE}" height="{HIGH}" rx="{round_by:g}"/>'
    if node.kind == "folded":
        inside += f'<rect x="{x + 4:g}" y="{y + 4:g}" width="{WIDE - 8}" height="{HIGH - 8}" rx="5"/>'
    middle = x + WIDE / 2
    states = [state for state in _WORDS if state in node.state]
    lines = [("name", _head(node)), *_numbers(node)]
    if states:
        lines.append(("small state", "✖ " * ("culprit" in states) + ", ".join(states)))
    top = y + HIGH / 2 - 7.5 * (len(lines) - 1) + 4
    for i, (style, words) in enumerate(lines):
        inside += f'<text class="{style}" x="{middle:g}" y="{top + 15 * i:g}" text-anchor="middle">{escape(words)}</text>'
    where = f"\n{node.file}:{node.line}\n{node.text}" if node.line else ""
    told = escape("\n".join([f"{node.title}   {node.op}", *([node.explain] if node.explain else [])]) + where)
    return f'<g class="{kind}" data-id="{node.id}" tabindex="-1">{inside}<title>{told}</title></g>'


def _head(node: GraphNode) -> str:
    return _cut(node.title, _LETTERS)


def _numbers(node: GraphNode) -> list[tuple[str, str]]:
    """A box's value and gradient."""
    found = []
    if node.value is not None:
        found.append(("value", "= " + _cut(node.value.text, _LETTERS - 2)))
    if node.grad is not None:
        found.append(("small grad", _cut("grad " + node.grad.text, _LETTERS + 4)))
    return found


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else words[: letters - 1] + "…"


# ---- edges ---------------------------------------------------------------------------------------------------------------
def _edge(found: Layout, edge: GraphEdge, numbered: bool) -> str:
    sx, sy = corner(found, edge.source)
    tx, ty = corner(found, edge.target)
    start, end = (sx + WIDE / 2, sy + HIGH), (tx + WIDE / 2, ty - 5)
    points = [start]
    for x, y in found.paths.get((edge.source, edge.target), ()):
        px, py = MARGIN + x * (WIDE + APART) + APART / 2 + WIDE / 2, MARGIN + y * (HIGH + BETWEEN)
        points += [(px, py), (px, py + HIGH)]
    points.append(end)
    path = f"M{start[0]:g} {start[1]:g}"
    for (ax, ay), (bx, by) in pairwise(points):
        half = (by - ay) / 2
        path += f"C{ax:g} {ay + half:g} {bx:g} {by - half:g} {bx:g} {by:g}"
    tip = f"M{end[0]:g} {end[1] + 5:g}l-4 -7h8z"
    label = _label(edge, points) if numbered else ""
    return (
        f'<g data-from="{edge.source}" data-to="{edge.target}"><path class="edge" d="{path}"/>'
        f'<path class="tip" d="{tip}"/>{label}</g>'
    )


def _stub(found: Layout, edge: GraphEdge, title: str) -> str:
    """An edge that is not drawn: its source's name, at the corner of its target."""
    x, y = corner(found, edge.target)
    return (
        f'<g data-from="{edge.source}" data-to="{edge.target}"><text class="small" x="{x + 4:g}" y="{y - 5:g}">'
        f"↳ {escape(_cut(title, 16))}</text></g>"
    )


def _label(edge: GraphEdge, points: list[tuple[float, float]]) -> str:
    """The local derivative, beside the line."""
    if edge.local is None:
        return ""
    (ax, ay), (bx, by) = points[0], points[1]
    x, y = (ax + bx) / 2 + 6, (ay + by) / 2 + 4
    return f'<text class="small local" x="{x:g}" y="{y:g}">∂ {escape(short(edge.local))}</text>'


__all__ = ["STYLE", "body", "draw"]
