"""A graph for Markdown: Mermaid's flowchart, from the leaves on the left to the result on the right."""

from __future__ import annotations

from clew.view.data import Graph, GraphNode, short

SHAPES = {"leaf": ("([", "])"), "const": ("[/", "/]"), "folded": ("[[", "]]"), "op": ("[", "]")}
CLASSES = {
    "leaf": "fill:#e3f4e6,stroke:#2b8a3e,color:#111",
    "const": "fill:#f1f3f5,stroke:#868e96,color:#111",
    "folded": "fill:#e3f2fb,stroke:#1971c2,color:#111",
    "root": "fill:#fff3bf,stroke:#e67700,color:#111",
    "bad": "fill:#ffe3e3,stroke:#c92a2a,color:#111",
    "unused": "fill:#fff,stroke:#9c36b5,color:#111,stroke-dasharray:4",
}


def mermaid(graph: Graph) -> str:
    """The text of the flowchart; edges carry the gradient that went back along them."""
    lines = ["flowchart LR"]
    classes: dict[str, list[str]] = {}
    for node in graph.nodes:
        left, right = SHAPES[node.kind]
        lines.append(f'    {node.id}{left}"{_words(node)}"{right}')
        kind = class_of(node)
        if kind:
            classes.setdefault(kind, []).append(node.id)
    for edge in graph.edges:
        words = []
        if edge.local is not None:
            words.append(f"∂ {short(edge.local)}")
        if edge.flow is not None:
            words.append(f"grad {edge.flow.text}")
        label = f'|"{_quoted(", ".join(words))}"|' if words else ""
        lines.append(f"    {edge.source} -->{label} {edge.target}")
    if graph.left_out:
        lines.append(f'    more["… {graph.left_out} more nodes left out"]')
    for kind, members in classes.items():
        lines.append(f"    classDef {kind} {CLASSES[kind]}")
        lines.append(f"    class {','.join(members)} {kind}")
    return "\n".join(lines) + "\n"


def class_of(node: GraphNode) -> str:
    """How a node is to look; "" as any operation."""
    if "culprit" in node.state or "nonfinite" in node.state:
        return "bad"
    for kind in ("unused", "root"):
        if kind in node.state:
            return kind
    return node.kind if node.kind in CLASSES else ""


def words_of(node: GraphNode) -> list[str]:
    """The lines in a node's box: its name and value, its gradient."""
    head = node.title
    if node.value is not None and node.value.text != head:
        head += f" = {node.value.text}"
    lines = [head]
    if node.grad is not None:
        lines.append(f"grad {node.grad.text}")
    return lines


def _words(node: GraphNode) -> str:
    return "<br>".join(_quoted(line) for line in words_of(node))


def _quoted(text: str) -> str:
    """Text that Mermaid takes as it is: what has a meaning there goes by number."""
    return "".join(f"#{ord(c)};" if c in '"<>&#;`\\{}' else " " if c in "\r\n" else c for c in text)
