"""Pictures of what autograd recorded.

view.graph(loss)                    in Jupyter it shows itself; elsewhere .text() .svg() .mermaid() .dot() .save(path)
with view.Recording() as seen: …    every value and gradient that flowed: seen.graph().save("last.html")
"""

from __future__ import annotations

from clew.view.data import Graph, GraphEdge, GraphNode, Stats
from clew.view.record import backward, graph
from clew.view.recording import Recording

__all__ = ["Graph", "GraphEdge", "GraphNode", "Recording", "Stats", "backward", "graph", "save"]


def save(graph: Graph, path: str) -> None:
    """Write a graph to a file; its suffix says which drawing (see `Graph.save`)."""
    graph.save(path)
