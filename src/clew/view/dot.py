"""A graph for Graphviz, from the leaves on the left to the result on the right."""

from __future__ import annotations

from clew.view.data import Graph, GraphNode, short
from clew.view.mermaid import CLASSES, class_of, words_of

SHAPES = {"leaf": "ellipse", "const": "note", "folded": "box3d", "op": "box"}


def dot(graph: Graph) -> str:
    """The digraph; nodes carry their line as a tooltip, edges the gradient that went back along them."""
    lines = [
        "digraph autograd {",
        "    rankdir=LR;",
        '    node [fontname="sans-serif", fontsize=11, style="rounded,filled", fillcolor="#ffffff", margin="0.12,0.06"];',
        '    edge [fontname="sans-serif", fontsize=9, color="#868e96"];',
    ]
    lines += [f"    {node.id} [{_attributes(node)}];" for node in graph.nodes]
    for edge in graph.edges:
        words = [] if edge.local is None else [f"∂ {short(edge.local)}"]
        if edge.flow is not None:
            words.append(f"grad {edge.flow.text}")
        label = f" [label={_quoted(chr(10).join(words))}]" if words else ""
        lines.append(f"    {edge.source} -> {edge.target}{label};")
    if graph.left_out:
        lines.append(f'    more [label="… {graph.left_out} more nodes left out", shape=plaintext];')
    lines.append("}")
    return "\n".join(lines) + "\n"


def _attributes(node: GraphNode) -> str:
    made = {"label": "\n".join(words_of(node)), "shape": SHAPES[node.kind]}
    kind = class_of(node)
    if kind:
        colors = dict(part.split(":") for part in CLASSES[kind].split(","))
        made.update(fillcolor=colors["fill"], color=colors["stroke"])
    if node.line:
        made["tooltip"] = f"{node.file}:{node.line}\n{node.text}"
    return ", ".join(f"{key}={_quoted(text)}" for key, text in made.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
