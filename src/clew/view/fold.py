"""Folding: the operations that one call of a module recorded become one node."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from clew.view.data import Graph, GraphEdge, GraphNode

KEPT_STATES = ("root", "saved", "freed", "mutated", "nonfinite", "culprit")


def fold(graph: Graph, depth: int = 1) -> Graph:
    """A graph with the operations of each module call, `depth` calls deep, in one node.

    A call's operations follow each other in time, so nothing outside lies between two of them: no cycle appears.
    Parameters go into the module that they belong to when no other uses them.
    """
    groups: dict[tuple[str, int], list[GraphNode]] = {}
    home: dict[str, tuple[str, int]] = {}
    for node in graph.nodes:
        if node.kind in ("op", "folded") and node.calls and depth > 0:
            key = node.calls[min(depth, len(node.calls)) - 1]
            groups.setdefault(key, []).append(node)
            home[node.id] = key
    _take_parameters(graph, groups, home)
    names = {key: f"m{number}" for number, key in enumerate(groups)}
    where = {node: names[key] for node, key in home.items()}
    folded = {
        key: _folded(names[key], key[0], members, graph, len(key[0]) and depth)
        for key, members in groups.items()
    }
    nodes: list[GraphNode] = []
    placed: set[tuple[str, int]] = set()
    for node in graph.nodes:
        group = home.get(node.id)
        if group is None:
            nodes.append(node)
        elif group not in placed and node.kind in ("op", "folded"):
            placed.add(group)
            nodes.append(folded[group])
    seen = dict.fromkeys(where.get(name, name) for name in graph.seen)
    root = where.get(graph.root, graph.root)
    return replace(graph, nodes=nodes, edges=_edges(graph, where), root=root, seen=tuple(seen))


def _take_parameters(
    graph: Graph, groups: dict[tuple[str, int], list[GraphNode]], home: dict[str, tuple[str, int]]
) -> None:
    """Put leaves that only one group uses, and that are its module's own, into that group."""
    users: dict[str, set[tuple[str, int] | None]] = {}
    for edge in graph.edges:
        users.setdefault(edge.source, set()).add(home.get(edge.target))
    for node in graph.nodes:
        if node.kind not in ("leaf", "const"):
            continue
        groups_of = users.get(node.id, set())
        key = next(iter(groups_of)) if len(groups_of) == 1 else None
        if key is not None and any(name.startswith(key[0] + ".") for name in node.names):
            groups[key].append(node)
            home[node.id] = key


def _folded(name: str, path: str, members: list[GraphNode], graph: Graph, depth: int) -> GraphNode:
    inner = [node for node in members if node.kind in ("op", "folded")]
    last = inner[-1]
    states = {state for node in members for state in node.state}
    held = dict.fromkeys(x for node in members if node.kind == "leaf" for x in node.names[:1])
    kind = graph.modules.get(path, "")
    words = [f"{len(inner)} operation" + "s" * (len(inner) != 1)]
    if held:
        words.append("with " + ", ".join(held))
    return GraphNode(
        id=name,
        kind="folded",
        op=kind,
        label=f"{kind} {path}" if kind and kind != path else path,
        names=last.names,
        file=last.file,
        line=last.line,
        text=last.text,
        value=last.value,
        grad=last.grad,
        state=tuple(state for state in KEPT_STATES if state in states),
        module=path,
        explain=" ".join(words),
        saved_bytes=sum(node.saved_bytes for node in members),
        members=tuple(node.id for node in members),
        calls=last.calls[: max(depth - 1, 0)],
    )


def _edges(graph: Graph, where: dict[str, str]) -> list[GraphEdge]:
    """The edges between groups: one for each value that goes from one to the other."""
    made: dict[tuple[str, str], GraphEdge] = {}
    plain: list[GraphEdge] = []
    for edge in graph.edges:
        source, target = where.get(edge.source, edge.source), where.get(edge.target, edge.target)
        if source == edge.source and target == edge.target:
            plain.append(edge)
        elif source != target:
            made.setdefault((edge.source, target), replace(edge, source=source, target=target, local=None))
    return plain + list(made.values())


def trim(graph: Graph, budget: int) -> Graph:
    """The `budget` nodes nearest the root; the others are counted in `left_out`."""
    if len(graph.nodes) <= budget:
        return graph
    inputs: dict[str, list[str]] = {}
    for edge in graph.edges:
        inputs.setdefault(edge.target, []).append(edge.source)
    kept = {graph.root}
    queue = deque(kept)
    while queue:
        for source in inputs.get(queue.popleft(), ()):
            if source not in kept and len(kept) < budget:
                kept.add(source)
                queue.append(source)
    nodes = [node for node in graph.nodes if node.id in kept]
    return replace(
        graph,
        nodes=nodes,
        edges=[edge for edge in graph.edges if edge.source in kept and edge.target in kept],
        left_out=graph.left_out + len(graph.nodes) - len(nodes),
        seen=tuple(name for name in graph.seen if name in kept),
    )
