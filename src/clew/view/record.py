"""From the engine's nodes to a `Graph`: before backward, after it, and after an error.

graph(loss)                     what the nodes know: structure, lines, values they still save
with Recording() as seen: …     and `seen.graph()`: with every value and every gradient that flowed
"""

from __future__ import annotations

import linecache
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clew.core.engine import reachable
from clew.core.errors import describe
from clew.core.node import AccumulateGrad, Edge, Freed, Node, source_line
from clew.core.variable import Variable
from clew.nn.module import Module
from clew.progress import progress
from clew.view.data import Graph, GraphEdge, GraphNode, Stats, format_of, stats_of
from clew.view.explain import explain
from clew.view.labels import label_of, name_in_source
from clew.view.names import Names, names_here, names_of
from clew.view.recording import TOP, Given, Pass, Recorded, Recording, active, summed_up
from clew.view.saved import computed_again, line_of, local_slopes, saved_arrays, saved_bytes, saved_constants

__all__ = [
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Recording",
    "Stats",
    "backward",
    "format_of",
    "graph",
    "stats_of",
]

NOTHING = "nothing was recorded: no operation on a tensor that requires grad"


def graph(
    root: Any = None,
    *,
    params: Any = None,
    names: Mapping[str, Any] | Names | None = None,
    budget: int = 5000,
    recording: Recording | None = None,
) -> Graph:
    """The computation that led to `root`: a tensor, a node, or a list of them.

    params: a module, named parameters or tensors; those that took no part are shown as unused. names: more names of
    tensors. budget: how many nodes at most, those nearest the root. recording: what was seen while it ran (by default
    the recording that is open); without `root` its last backward pass. ValueError for a tensor without history.
    """
    if budget < 1:
        raise ValueError(f"the budget must be at least one node, not {budget}")
    if recording is None and active:
        recording = active[-1]
    known = names if isinstance(names, Names) else names_of(names or {})
    known.update(names_here(2))
    return Builder(root, params, known, budget, recording).build()


def backward(loss: Any, *, retain_graph: bool = False, params: Any = None, budget: int = 5000) -> Graph:
    """Run `loss.backward()` and show what flowed: the graph with every gradient in its place.

    Of values what the nodes still save is shown; a `Recording` of the forward pass knows all of them.
    """
    made = graph(loss, params=params, budget=budget)
    with Recording() as seen:
        loss.backward(retain_graph=retain_graph)
    after = graph(loss, params=params, budget=budget, recording=seen)
    nodes = {node.id: node for node in after.nodes}
    for node in made.nodes:
        if node.kind != "const" and node.id in nodes:
            node.grad, node.state = nodes[node.id].grad, nodes[node.id].state
    edges = {(edge.source, edge.target, edge.slot): edge for edge in after.edges}
    for edge in made.edges:
        found = edges.get((edge.source, edge.target, edge.slot))
        if found is not None:
            edge.flow = found.flow
            edge.local = found.local if edge.local is None else edge.local
    made.note, made.seen = after.note, after.seen
    return made


class Builder:
    """The work of one `graph()`."""

    def __init__(
        self, root: Any, params: Any, names: Names, budget: int, recording: Recording | None
    ) -> None:
        self.recording = recording
        self.names = names
        self.failure = recording.failure if recording is not None and root is None else None
        self.roots = self._roots(root)
        self.found = self._pass()
        if self.found is not None:
            merged = Names()
            merged.update(self.found.names)
            merged.update(names)
            self.names = merged
        if self.failure is not None:
            self.names.update(self.failure.names)
        self.arrays: dict[Edge, Any] = dict(self.names.values)
        for value in root if isinstance(root, list | tuple) else [root]:
            if isinstance(value, Variable) and value._edge is not None:
                self.arrays[value._edge] = value._array
        every = reachable([edge[0] for edge in self.roots])
        self.chosen = every if len(every) <= budget else self._nearest(budget)
        self.left_out = len(every) - len(self.chosen)
        self.inside = set(self.chosen)
        self.parameters = self._parameters(params, set(every))
        self.ids: dict[Node, str] = {}
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        self.constants: dict[Any, GraphNode] = {}
        self.by_id: dict[str, GraphNode] = {}
        self.containers: dict[str, str] = {}

    # ---- what is drawn -------------------------------------------------------------------------------------------------
    def _roots(self, root: Any) -> list[Edge]:
        if root is None:
            return self._last()
        found = []
        for value in root if isinstance(root, list | tuple) else [root]:
            edge = value.edge() if isinstance(value, Variable) else value
            if isinstance(edge, Node):
                edge = (edge, 0)
            if edge is None:
                raise ValueError(
                    "this tensor has no history to draw: it does not require grad, and no recorded operation made it"
                )
            found.append(edge)
        return found

    def _last(self) -> list[Edge]:
        """Where the recording ended: at the failing line, at the last backward pass, at the last operation."""
        recording = self.recording
        if recording is None:
            raise ValueError("graph() needs a tensor, or a Recording to take the last backward pass from")
        if self.failure is not None and self.failure.roots:
            return self.failure.roots
        if recording.kept is not None:
            return recording.kept.roots
        if recording.latest is not None and recording.wanted is None and recording.name is None:
            return [(recording.latest, 0)]
        return []

    def _pass(self) -> Pass | None:
        """The kept backward pass, where it is of this graph."""
        kept = None if self.recording is None else self.recording.kept
        if kept is None:
            return None
        mine = {edge[0] for edge in self.roots}
        return kept if any(edge[0] in mine for edge in kept.roots) else None

    def _nearest(self, budget: int) -> list[Node]:
        """The nodes nearest the roots, latest recorded first."""
        level = list(dict.fromkeys(edge[0] for edge in self.roots))
        seen = set(level)
        while level and len(seen) < budget:
            below = []
            for node in level:
                for edge in node.edges:
                    if edge is not None and edge[0] not in seen and len(seen) < budget:
                        seen.add(edge[0])
                        below.append(edge[0])
            level = below
        return sorted(
            seen, key=lambda node: -1 if isinstance(node, AccumulateGrad) else node.seq, reverse=True
        )

    def _parameters(self, params: Any, used: set[Node]) -> list[tuple[str, Any]]:
        """Named parameters: of what the caller gave, and of modules some of whose parameters took part."""
        if isinstance(params, Module):
            return self.names.add_parameters([("", params)])
        if params is not None:
            found = _named(params)
            for name, parameter in found:
                if name:
                    self.names.add(name, parameter)
            return found
        modules = list(self.names.modules)
        if self.found is not None:
            for name, module in self.found.modules:
                if not self.names.name_of_module(module):
                    modules.append((name, module))
        taking_part = [
            (name, module)
            for name, module in modules
            if any(p._edge is not None and p._edge[0] in used for p in module.parameters())
        ]
        return self.names.add_parameters(taking_part) if taking_part else []

    # ---- building ------------------------------------------------------------------------------------------------------
    def build(self) -> Graph:
        """The graph."""
        operations = [n for n in reversed(self.chosen) if not isinstance(n, AccumulateGrad)]
        self._name_containers(operations)
        self._values(operations)
        sinks = self._sinks_by_use(operations)
        for number, sink in enumerate(sinks):
            self.ids[sink] = f"l{number}"
            self.nodes.append(self._leaf(sink))
        for number, node in enumerate(operations):
            self.ids[node] = f"n{number}"
        made = [self._operation(node) for node in progress(operations, "reading the graph")]
        self.nodes += self.constants.values()
        self.nodes += made
        self._unused(len(sinks))
        self.by_id = {node.id: node for node in self.nodes}
        for node in progress(operations, "reading the gradients"):
            self._edges_of(node)
        root = self.ids[self.roots[0][0]] if self.roots else ""
        if self.failure is not None and self.failure.roots:
            root = self._failed(len(operations))
        result = Graph(
            self.nodes, self.edges, root, self.left_out, self._note(), self._seen(), self._classes(operations)
        )
        for edge in self.roots:
            if edge[0] in self.ids and root == self.ids[self.roots[0][0]]:
                _mark(self.by_id[self.ids[edge[0]]], "root", first=True)
        self._blame(result, operations)
        return result

    def _sinks_by_use(self, operations: list[Any]) -> list[Any]:
        sinks = dict.fromkeys(
            e[0] for n in operations for e in n.edges if e is not None and e[0] in self.inside
        )
        sinks.update(dict.fromkeys(self.chosen))
        return [sink for sink in sinks if isinstance(sink, AccumulateGrad)]

    def _note_of(self, node: Node) -> Recorded | None:
        return None if self.recording is None else self.recording.notes.get(node)

    def _leaf(self, sink: Any) -> GraphNode:
        found = self.found
        held = None if found is None else summed_up(found.leaf_values.get(sink))
        value = held if held is not None else stats_of(sink.array)
        grad = None if found is None else summed_up(found.leaf_grads.get(sink))
        if found is None and sink.grad is not None:
            grad = stats_of(sink.grad._array)
        names = self.names.of((sink, 0))
        file, line = line_of(sink)
        return _finite(
            GraphNode(
                id=self.ids[sink], kind="leaf", op="AccumulateGrad", label=names[0] if names else "leaf", names=names,
                file=file, line=line, text=_text(file, line), value=value, grad=grad, state=("leaf",),
                module=_owner(names), explain="a leaf: its gradient gathers in .grad",
            )
        )  # fmt: skip

    def _operation(self, node: Any) -> GraphNode:
        note, found = self._note_of(node), self.found
        values = [self._value(node, number, note) for number in range(node.outputs)]
        value = next((v for v in values if v is not None), None)
        grad = None if found is None else summed_up(found.grads.get(node))
        if found is None:
            grad = _retained(node)
        number = None
        if note is not None:
            number = next((g.number for g in note.given.values() if isinstance(g.number, int | float)), None)
        calls = self._calls(node, note)
        file, line = line_of(node)
        names = tuple(name for n in range(node.outputs) for name in self.names.of((node, n)))
        kept = note.nbytes if note is not None else saved_bytes(node)
        self._constants_of(node, note)
        made = GraphNode(
            id=self.ids[node], kind="op", op=node.name(), label=label_of(node, number), names=names, file=file,
            line=line, text=_text(file, line), value=value, grad=grad, module=calls[-1][0] if calls else "",
            explain=explain(node), saved_bytes=kept, calls=calls,
        )  # fmt: skip
        if node.saved.__class__ is Freed:
            _mark(made, "freed")
        elif kept:
            _mark(made, "saved")
        changed = next((version for version, tick in node.versions if version.n != tick), None)
        if changed is not None:
            made.explain += f"; what it saved was changed at {describe(changed.where)}"
        if changed is not None or (found is not None and node in found.mutated):
            _mark(made, "mutated")
        return _finite(made)

    def _edges_of(self, node: Any) -> None:
        target = self.by_id[self.ids[node]]
        found = self.found
        slopes: dict[int, float] | None = None
        for slot, edge in enumerate(node.edges):
            if edge is None or edge[0] not in self.ids:
                continue
            source = self.by_id[self.ids[edge[0]]]
            flow = None if found is None else summed_up(found.flows.get((node, slot)))
            local = None
            if _scalar(target.value) and _scalar(source.value) and node.outputs == 1:
                local = _quotient(flow, target.grad)
                if local is None and found is not None:
                    local = found.locals.get((node, slot))
                if local is None:
                    slopes = local_slopes(node) if slopes is None else slopes
                    local = slopes.get(slot)
            self.edges.append(GraphEdge(source.id, target.id, slot, local, flow))
        for slot, constant in self._used_constants.get(node, ()):
            self.edges.append(GraphEdge(constant, target.id, slot))

    # ---- values --------------------------------------------------------------------------------------------------------
    def _values(self, operations: list[Any]) -> None:
        """Of what was not seen: the arrays that nodes still save of their inputs and outputs, and what follows from them."""
        self._used_constants: dict[Node, list[tuple[int, str]]] = {}
        unknown = [node for node in operations if self._note_of(node) is None]
        if not unknown:
            return
        for node in operations:
            for edge, array in saved_arrays(node):
                self.arrays.setdefault(edge, array)
        for node in unknown:
            if (node, 0) not in self.arrays:
                again = computed_again(node, self.arrays)
                if again is not None:
                    self.arrays[node, 0] = again

    def _value(self, node: Any, number: int, note: Recorded | None) -> Stats | None:
        if note is not None and number < len(note.values):
            return summed_up(note.values[number])
        array = self.arrays.get((node, number))
        return None if array is None else stats_of(array)

    # ---- constants -----------------------------------------------------------------------------------------------------
    def _constants_of(self, node: Any, note: Recorded | None) -> None:
        """Inputs without history: data, targets, masks, frozen parameters, detached values."""
        used = self._used_constants.setdefault(node, [])
        if note is not None:
            for slot, given in note.given.items():
                if given.value is not None:
                    used.append((slot, self._constant(node, slot, given.array(), given)))
        else:
            for slot, array in saved_constants(node):
                if array.shape:
                    used.append((slot, self._constant(node, slot, array, None)))

    def _constant(self, node: Any, slot: int, array: Any, given: Given | None) -> str:
        key = (node, slot) if array is None else id(array)
        known = self.constants.get(key)
        if known is not None:
            return known.id
        names = () if array is None else self.names.of_array(array)
        if not names:
            named = name_in_source(node, slot)
            names = (named,) if named else ()
        stats = stats_of(array) if given is None else summed_up(given.value)
        assert stats is not None
        file, line = line_of(node)
        label = names[0] if names else stats.text if stats.value is not None else "data"
        made = GraphNode(
            id=f"c{len(self.constants)}", kind="const", op="", label=label, names=names, file=file, line=line,
            text=_text(file, line), value=stats, explain="no gradient is wanted of it", module=_owner(names),
        )  # fmt: skip
        if given is not None and given.frozen:
            _mark(made, "frozen")
            made.explain = "a parameter with requires_grad=False"
        if given is not None and given.cut is not None:
            _mark(made, "detached")
            made.file, made.line = source_line(given.cut.place) or ("", 0)
            made.text = _text(made.file, made.line)
            how = ".data" if given.cut.name == "data" else ".detach()"
            source = given.cut.node()
            origin = "" if source is None else f" of {self.ids.get(source) or source.name()}"
            made.explain = f"cut from its history{origin} by {how}: no gradient goes on"
        self.constants[key] = made
        return made.id

    def _unused(self, number: int) -> None:
        """Parameters that took no part."""
        known = {sink for sink in self.ids if isinstance(sink, AccumulateGrad)}
        frozen = {id(array) for array, _ in self.names.arrays.values()}
        for name, parameter in self.parameters:
            edge = parameter._edge
            if edge is None and id(parameter._array) in self.constants and id(parameter._array) in frozen:
                _mark(self.constants[id(parameter._array)], "frozen")
                continue
            if edge is not None and (edge[0] in known or edge[0] in self.inside or self.left_out):
                continue
            grad = None if parameter._grad is None else stats_of(parameter._grad._array)
            self.nodes.append(
                GraphNode(
                    id=f"l{number}", kind="leaf", op="AccumulateGrad" if edge is not None else "", label=name or "leaf",
                    names=(name,) if name else (), value=stats_of(parameter._array), grad=grad,
                    state=("leaf", "unused") if edge is not None else ("frozen", "unused"), module=_owner((name,)),
                    explain="took no part in this computation: it gets no gradient",
                )
            )  # fmt: skip
            number += 1

    # ---- modules -------------------------------------------------------------------------------------------------------
    def _name_containers(self, operations: list[Any]) -> None:
        """How the modules called from outside are told apart where there are several: by the variables that hold them."""
        if self.recording is None:
            return
        numbers = dict.fromkeys(
            path.partition(TOP)[0]
            for node in operations
            if (note := self._note_of(node)) is not None
            for path, _ in note.calls
            if TOP in path
        )
        held = {str(number): module for module, number in self.recording._containers.items()}
        for number in numbers:
            module = held.get(number)
            name = "" if module is None else self.names.name_of_module(module) or type(module).__name__
            self.containers[number] = name + "." if len(numbers) > 1 and name else ""

    def _path(self, path: str) -> str:
        number, found, inner = path.partition(TOP)
        return self.containers.get(number, "") + inner if found else path

    def _calls(self, node: Any, note: Recorded | None) -> tuple[tuple[str, int], ...]:
        if note is not None:
            return tuple([(self._path(path), number) for path, number in note.calls])
        if self.recording is None or not self.recording.operations:  # it belongs where its parameters do
            for edge in node.edges:
                if edge is not None and isinstance(edge[0], AccumulateGrad):
                    owner = _owner(self.names.of(edge))
                    if owner:
                        return ((owner, node.seq),)
        return ()

    def _classes(self, operations: list[Any]) -> dict[str, str]:
        found = {}
        if self.recording is not None:
            found = {self._path(path): kind for path, kind in self.recording.classes.items()}
        for name, module in self.names.modules:
            for path, child in module.named_modules():
                found.setdefault(path, type(child).__name__)
                found.setdefault(f"{name}.{path}" if path else name, type(child).__name__)
        used = {path for node in self.nodes for path, _ in node.calls} | {node.module for node in self.nodes}
        return {path: kind for path, kind in found.items() if path in used}

    # ---- what happened -------------------------------------------------------------------------------------------------
    def _seen(self) -> tuple[str, ...]:
        """The order of the backward pass; a leaf comes after the last operation that gave it something."""
        if self.found is None:
            return ()
        last = {
            edge[0]: node
            for node in self.found.seen
            for slot, edge in enumerate(node.edges)
            if edge is not None and isinstance(edge[0], AccumulateGrad) and (node, slot) in self.found.flows
        }
        after: dict[Node, list[Node]] = {}
        for sink, node in last.items():
            after.setdefault(node, []).append(sink)
        order = [part for node in self.found.seen for part in (node, *after.get(node, ()))]
        return tuple([self.ids[node] for node in order if node in self.ids])

    def _note(self) -> str:
        found, recording = self.found, self.recording
        if self.failure is not None:
            return self.failure.message.split("\n")[0]
        if recording is not None and recording.interrupted:
            return "interrupted: what was seen until then"
        if not self.roots:
            return NOTHING
        if found is not None:
            if found.error is not None:
                return f"{type(found.error).__name__}: {found.error}".split("\n")[0]
            return "after backward" + (f" {found.number}" if found.number > 1 else "")
        if any(n.saved.__class__ is Freed for n in self.chosen):
            return "after backward; what flowed is known to a Recording only"
        return "before backward"

    def _failed(self, number: int) -> str:
        """A node for the line that failed, below which hangs what it used."""
        failure = self.failure
        assert failure is not None
        file, line = failure.place or ("", 0)
        made = GraphNode(
            id=f"n{number}", kind="op", op=failure.message.partition(":")[0], label=failure.message.split("\n")[0],
            file=file, line=line, text=_text(file, line), state=("root", "culprit"), explain="the program failed here",
        )  # fmt: skip
        self.nodes.append(made)
        for slot, edge in enumerate(failure.roots):
            if edge[0] in self.ids:
                self.edges.append(GraphEdge(self.ids[edge[0]], made.id, slot))
        return made.id

    def _blame(self, result: Graph, operations: list[Any]) -> None:
        """Mark where it went wrong: the node at which backward failed, or the first number that is not finite."""
        found = self.found
        if found is not None and found.culprit is not None and found.culprit in self.ids:
            _mark(self.by_id[self.ids[found.culprit]], "culprit")
            return
        if (found is not None and found.error is not None) or self.failure is not None or not self.roots:
            return
        bad = [n for n in result.nodes if n.kind == "leaf" and n.grad is not None and n.grad.nonfinite]
        root = self.by_id[result.root].value
        if not bad and (root is None or not root.nonfinite):
            return
        sources: dict[str, list[GraphNode]] = {}
        for edge in result.edges:
            sources.setdefault(edge.target, []).append(self.by_id[edge.source])
        for node in operations:
            made = self.by_id[self.ids[node]]
            if made.value is not None and made.value.nonfinite:
                before = sources.get(made.id, ())
                if not any(s.value is not None and s.value.nonfinite for s in before):
                    _mark(made, "culprit")
                    return
        flows: dict[str, list[Stats]] = {}
        for edge in result.edges:
            if edge.flow is not None:
                flows.setdefault(edge.target, []).append(edge.flow)
        for name in result.seen:
            made = self.by_id[name]
            if (
                made.grad is not None
                and not made.grad.nonfinite
                and any(f.nonfinite for f in flows.get(name, ()))
            ):
                _mark(made, "culprit")
                return


# ---- small parts -------------------------------------------------------------------------------------------------------
def _named(params: Any) -> list[tuple[str, Any]]:
    if isinstance(params, Mapping):
        return list(params.items())
    listed: Iterable[Any] = [params] if isinstance(params, Variable) else params
    return [value if isinstance(value, tuple) else ("", value) for value in listed]


def _owner(names: tuple[str, ...]) -> str:
    """The module that a parameter belongs to, by its name."""
    name = names[0] if names else ""
    return (
        name.rpartition(".")[0]
        if all(part.isidentifier() or part.isdigit() for part in name.split("."))
        else ""
    )


def _mark(node: GraphNode, state: str, first: bool = False) -> None:
    if state not in node.state:
        node.state = (state, *node.state) if first else (*node.state, state)


def _finite(node: GraphNode) -> GraphNode:
    if any(s is not None and s.nonfinite for s in (node.value, node.grad)):
        _mark(node, "nonfinite")
    return node


def _text(file: str, line: int) -> str:
    return linecache.getline(file, line).strip() if file else ""


def _scalar(stats: Stats | None) -> bool:
    return stats is None or math.prod(stats.shape) == 1


def _quotient(flow: Stats | None, grad: Stats | None) -> float | None:
    """flow / grad, the local derivative, where that can be told."""
    if flow is None or grad is None or not isinstance(flow.value, float) or not isinstance(grad.value, float):
        return None
    if not grad.value or not math.isfinite(grad.value) or not math.isfinite(flow.value):
        return None
    return float(np.float32(flow.value / grad.value)) if flow.dtype == "float32" else flow.value / grad.value


def _retained(node: Any) -> Stats | None:
    """The gradient that `retain_grad()` kept."""
    for reference in () if node.extras is None else node.extras.retained.values():
        owner = reference()
        if owner is not None and owner._grad is not None:
            return stats_of(owner._grad._array)
    return None
