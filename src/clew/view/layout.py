"""Where the boxes of a drawing stand: layers from the leaves at the top to the result at the bottom.

The layers and their order are the work of fast-sugiyama (Sugiyama, Tagawa & Toda 1981), which is imported only here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clew.view.data import Graph

Point = tuple[float, float]
NEEDED = "drawing graphs needs the package fast-sugiyama: pip install 'clew[pictures]'"
MANY, FAR = 3, 25  # further users of a leaf, and rows, from which on an edge is only hinted at
_UNIT = 10.0  # the library's spacing; any number would do


@dataclass(slots=True)
class Layout:
    """Positions in boxes: x counts columns, y rows.

    paths: the points between the ends of edges that pass other rows; stubs: edges that are only hinted at, at their target:
    of a leaf that many operations use, and those that would pass a great many rows.
    """

    at: dict[str, Point]
    paths: dict[tuple[str, str], list[Point]]
    stubs: set[tuple[str, str]]
    columns: float
    rows: float


def layout(graph: Graph) -> Layout:
    """Every node's place. ImportError, with what to install, where the library is not there."""
    try:
        from fast_sugiyama import from_edges
    except ImportError:
        raise ImportError(NEEDED) from None
    numbers = {node.id: i for i, node in enumerate(graph.nodes)}
    ids = [node.id for node in graph.nodes]
    # The library puts what nothing leads to on the first row of its drawing: reversed, leaves stand next to their users.
    hinted = stubs(graph)
    ends = [(e.source, e.target) for e in graph.edges if e.target != e.source]
    pairs = dict.fromkeys((numbers[b], numbers[a]) for a, b in ends if (a, b) not in hinted)
    found: Any = []
    if pairs:
        found = _with_room(
            lambda: from_edges(
                list(pairs), vertex_spacing=_UNIT, ranking_type="minimize", check_layout=False
            ),
            len(graph.nodes),
        )
    at: dict[str, Point] = {}
    paths: dict[tuple[str, str], list[Point]] = {}
    left = rows = 0.0
    for positions, _, _, edges in found:
        places = {number: (x / _UNIT, y / _UNIT) for number, (x, y) in positions}
        low = min(x for x, _ in places.values())
        for number, (x, y) in places.items():
            if number < len(ids):
                at[ids[number]] = left + x - low, y
        paths.update(_paths(edges, places, ids, left - low))
        rows = max(rows, max(y for _, y in places.values()) + 1)
        left += max(x for x, _ in places.values()) - low + 1
    for node in graph.nodes:
        if node.id not in at:
            at[node.id] = left, 0.0
            left, rows = left + 1, max(rows, 1)
    return Layout(at, paths, hinted, left, rows)


def _with_room(function: Callable[[], Any], nodes: int) -> Any:
    """function(), with a stack that is deep enough: the library recurses from node to node."""
    if nodes <= 5000:
        return function()
    made: list[Any] = []
    before = threading.stack_size(min(max(64 << 20, nodes << 11), 1 << 30))
    try:
        worker = threading.Thread(target=lambda: made.append(function()))
        worker.start()
    finally:
        threading.stack_size(before)
    worker.join()
    if not made:
        raise RuntimeError("the library that lays graphs out failed; see the error above")
    return made[0]


def stubs(graph: Graph) -> set[tuple[str, str]]:
    """The edges that are not led through the drawing."""
    order = {node.id: i for i, node in enumerate(graph.nodes)}
    users: dict[str, list[str]] = {}
    for edge in graph.edges:
        users.setdefault(edge.source, []).append(edge.target)
    sources = {node.id for node in graph.nodes} - {edge.target for edge in graph.edges}
    found: set[tuple[str, str]] = set()
    for source in sources:
        others = sorted(dict.fromkeys(users.get(source, ())), key=order.__getitem__)[1:]
        if len(others) >= MANY:
            found.update((source, other) for other in others)
    row = _rows(graph, users, sources)
    for source, targets in users.items():
        if source not in sources:
            found.update((source, target) for target in targets if row[target] - row[source] > FAR)
    return found


def _rows(graph: Graph, users: dict[str, list[str]], sources: set[str]) -> dict[str, int]:
    """The longest way to each node."""
    waiting: dict[str, int] = {}
    for edge in graph.edges:
        waiting[edge.target] = waiting.get(edge.target, 0) + 1
    row = dict.fromkeys((node.id for node in graph.nodes), 0)
    ready = deque(sources)
    while ready:
        node = ready.popleft()
        for target in users.get(node, ()):
            row[target] = max(row[target], row[node] + (node not in sources))
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return row


def _paths(
    edges: Any, places: dict[int, Point], ids: list[str], shift: float
) -> dict[tuple[str, str], list[Point]]:
    """The edges that were led past other boxes: the library cuts them at points that are no nodes."""
    count = len(ids)
    onward: dict[int, list[int]] = {}
    for a, b in edges:
        onward.setdefault(a, []).append(b)
    found = {}
    for start in [n for n in onward if n < count]:
        for step in onward[start]:
            points: deque[Point] = deque()
            while step >= count:
                x, y = places[step]
                points.appendleft((x + shift, y))
                step = onward[step][0]
            if points:
                found[ids[step], ids[start]] = list(points)
    return found


__all__ = ["NEEDED", "Layout", "layout"]
