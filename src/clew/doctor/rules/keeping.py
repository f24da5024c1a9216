"""Graphs kept alive: by a collection of losses or outputs, or by a running total of tensors."""

from __future__ import annotations

import ast
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from clew.core.node import Node
from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.events import (
    Backward,
    Rule,
    below,
    how_big,
    how_many,
    line_of,
    shown,
    size_of,
    statements,
    tensors,
)
from clew.nn.module import Module
from clew.optim.optimizer import Optimizer

KEPT = 3  # earlier passes in a row that are still there
LOOKED = 400  # elements of a collection that are looked at
SEARCHES = 40  # so often variables are searched
ADDING = ("append", "extend", "add", "insert", "appendleft", "setdefault", "update")
NUMBERS = (".item()", "float(", ".detach()", ".data", ".tolist()", ".numpy()")
TOTAL = "Add numbers: total += loss.item() (or loss.detach())."


class _Pass(NamedTuple):
    """A pass that ran, without holding it: its first operation, which all later ones lead to, and its root."""

    first: Any
    root: Any

    def nodes(self) -> list[Node]:
        return [node for node in (self.first(), self.root()) if node is not None]


class _Kept(NamedTuple):
    where: Any
    evidence: str
    fix: str
    numbers: set[int]  # of the operations


class KeptGraph(Rule):
    """Operations of passes that are over are still there, and a variable of the program holds them.

    It is no mistake where a later backward pass goes through them: so it is told at the end.
    """

    name = "graph-kept-alive"
    symptom = "Results of earlier steps are kept with their graphs: memory grows from step to step."
    fix = "Keep numbers, loss.item(), or tensors without history, loss.detach()."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.passes: dict[Place, deque[_Pass]] = {}
        self.marks: dict[Place, int] = {}
        self.kept: dict[Place, _Kept] = {}
        self.searches = 0
        self.latest = 0

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        self.latest = node.seq

    def before_backward(self, event: Backward) -> None:
        if self.kept:
            numbers = {node.seq for node in event.nodes}
            for place, kept in list(self.kept.items()):
                if kept.numbers & numbers:
                    self.kept[place] = kept._replace(where=None)

    def after_backward(self, event: Backward) -> None:
        if not event.gathers:
            return
        passes = self.passes.setdefault(event.place, deque(maxlen=64))
        mark = self.marks.get(event.place, 0)
        self.marks[event.place] = self.latest
        if event.place not in self.kept and self.searches < SEARCHES:
            alive: list[Node] = []
            row = 0
            walked = set(event.nodes)
            for earlier in reversed(passes):
                nodes = [node for node in earlier.nodes() if node not in walked]
                if not nodes:
                    break
                alive += nodes
                row += 1
            if row >= KEPT:
                self.searches += 1
                self._search(event, alive, row)
        # What was recorded before the last pass (a part that is shared, a list of losses made beforehand) tells nothing.
        own = [node for node in event.nodes if node.seq > mark]
        roots = [node for node in event.roots if node in own]
        if own and roots:
            first = min(own, key=lambda node: node.seq)
            passes.append(_Pass(weakref.ref(first), weakref.ref(roots[0])))

    def _search(self, event: Backward, alive: list[Node], row: int) -> None:
        known = set(alive)
        for name, value, bounded in held_by(self.watch.variables()):
            if isinstance(value, Variable):
                edge = value.edge()
                if edge is None or edge[0] in event.roots:
                    continue
                nodes, _ = below([edge[0]])
                where: Any = edge[0].place
                fix = TOTAL
                what = f"`{name}` is a tensor whose history leads through"
            elif not bounded:
                edges = [e[0] for part in value if (e := part.edge()) is not None]
                if len(edges) < KEPT:
                    continue
                nodes, _ = below(edges)
                where = stored_at(name, edges[-1].place)
                fix = ""
                what = f"`{name}` holds {how_many(len(edges), 'tensor')} with the graphs of"
            else:
                continue
            found = known.intersection(nodes)
            if len(found) < min(row, KEPT) or not found:
                continue
            size = size_of(nodes) + sum(sys.getsizeof(n) + sys.getsizeof(n.edges) for n in nodes)
            evidence = (
                f"{what} {how_many(row, 'earlier pass')} or more: {how_many(len(nodes), 'operation')}, "
                f"{how_big(size)}, after {how_many(event.number, 'backward pass')}; backward() is on {shown(event.place)}"
            )
            self.kept[event.place] = _Kept(where, evidence, fix, {node.seq for node in nodes})
            return

    def finish(self) -> None:
        for kept in self.kept.values():
            if kept.where is not None:
                self.found(kept.where, kept.evidence, kept.fix)


def held_by(variables: list[tuple[str, Any]]) -> Iterator[tuple[str, Any, bool]]:
    """Tensors and lists of tensors in variables, with their names, and whether a list has a bounded length."""
    queue = deque((name, value, 0) for name, value in variables if not name.startswith("__"))
    seen: set[int] = set()
    while queue and len(seen) < 5000:
        name, value, depth = queue.popleft()
        if isinstance(value, Variable):
            yield name, value, False
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            queue.extend((f"{name}[{key!r}]", v, depth + 1) for key, v in last(value.items()) if depth < 3)
            parts: list[Any] = list(value.values())
        elif isinstance(value, list | tuple | deque | set):
            parts = last(value)
            if depth < 3 and len(parts) <= 20:
                inner = [(i, v) for i, v in enumerate(parts) if not isinstance(v, Variable)]
                queue.extend((f"{name}[{i}]", v, depth + 1) for i, v in inner)
        else:
            if depth < 2 and own_object(value):
                queue.extend((f"{name}.{key}", v, depth + 1) for key, v in last(vars(value).items()))
            continue
        records = not isinstance(value, dict)  # tuples and dictionaries in a list are its elements
        held = [v for part in parts[-LOOKED:] for v in (tensors(part, 1) if records else [part])]
        held = [part for part in held if isinstance(part, Variable)]
        if held:
            yield name, held, getattr(value, "maxlen", None) is not None


def last(values: Any) -> list[Any]:
    return list(values)[-LOOKED:]


def own_object(value: Any) -> bool:
    """Objects of the program's own classes (modules, too: some keep what they computed), not of libraries."""
    if isinstance(value, type) or (callable(value) and not isinstance(value, Module)):
        return False
    if isinstance(value, Optimizer) or type(value).__module__.split(".")[0] in ("clew", "torch", "numpy"):
        return False
    return type(getattr(value, "__dict__", None)) is dict and type(value).__name__ != "module"


def stored_at(name: str, near: Place) -> Any:
    """The line on which a collection is added to; that of the result itself where none is found."""
    line = line_of(near)
    for statement in statements(line[0]) if line else ():
        if _adds_to(statement, name):
            return line[0], statement.lineno  # type: ignore[index]
    return near


def _adds_to(statement: ast.stmt, name: str) -> bool:
    """Whether a statement puts something into a collection that is more than a number."""
    target: ast.expr
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in ADDING:
            return False
        target, stored = call.func.value, ", ".join(map(ast.unparse, call.args))
    elif isinstance(statement, ast.AugAssign):
        target, stored = statement.target, ast.unparse(statement.value)
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        target, stored = statement.targets[0].value, ast.unparse(statement.value)
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.BinOp):
        target, stored = statement.targets[0], ast.unparse(statement.value)
    else:
        return False
    return ast.unparse(target) == name and not any(word in stored for word in NUMBERS)


RULES: tuple[type[Rule], ...] = (KeptGraph,)
