"""Pictures of what autograd recorded.

view.graph(loss)                    in Jupyter it shows itself; elsewhere .text() .svg() .mermaid() .dot() .save(path)
with view.Recording() as seen: …    every value and gradient that flowed: seen.graph().save("last.html")
with view.Timeline() as seen: …     step by step what was added to every gradient and changed: print(seen.text())
"""

from __future__ import annotations

from typing import Any

from clew.view.data import Graph, GraphEdge, GraphNode, Stats
from clew.view.record import backward, graph
from clew.view.recording import Recording

__all__ = ["Graph", "GraphEdge", "GraphNode", "Recording", "Stats", "Timeline", "backward", "graph", "save"]


def save(graph: Graph, path: str) -> None:
    """Write a graph to a file; its suffix says which drawing (see `Graph.save`)."""
    graph.save(path)


def __getattr__(name: str) -> Any:
    if name == "Timeline":  # it brings the doctor's watch along
        from clew.view.timeline import Timeline

        return Timeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
