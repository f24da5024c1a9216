"""What a training program did with autograd, gathered while it runs: losses, gradients, updates, how losses were kept.

`Evidence` hears what `doctor.watch` hears, and judges nothing.
"""

from __future__ import annotations

import ast
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clew.core.node import AccumulateGrad
from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.events import (
    NO_GRAPH,
    Backward,
    Call,
    Cut,
    Leaf,
    Rule,
    fingerprint,
    line_of,
    norm,
    statement_at,
)
from clew.optim.optimizer import Optimizer

__all__ = ["Course", "Evidence", "Manual", "Parameter", "Stepped"]

POINTS = 20  # so many losses of one line are kept, evenly spread
MANY = 1 << 30  # the number of what comes after all others
RECENT = 4096  # so many losses are known by their number
LOGGED = ("item", "float", "tolist", "detach", "data", "numpy", "array")

Line = tuple[str, int]


@dataclass
class Course:
    """The losses that one line ran backward from."""

    line: Line
    operations: int  # of the first graph
    gathers: bool  # into `.grad`; not of autograd.grad
    passes: int = 0
    first: float | None = None
    last: float | None = None
    points: list[tuple[int, float]] = field(default_factory=list)
    every: int = 1
    cleared: int = 0  # passes that found no gradient of an earlier pass
    piled: int = 0  # passes that added to one

    def add(self, value: float | None) -> None:
        self.passes += 1
        if value is None:
            return
        if self.first is None:
            self.first = value
        self.last = value
        if (self.passes - 1) % self.every == 0:
            self.points.append((self.passes, value))
            if len(self.points) > POINTS:
                self.every *= 2
                self.points = self.points[::2]


@dataclass
class Parameter:
    """A leaf that requires grad, or a frozen parameter."""

    name: str
    shape: tuple[int, ...]
    requires_grad: bool
    made: Line | None
    number: int = 0  # in the order of first use
    passes: int = 0  # that left a gradient
    returned: int = 0  # times that autograd.grad gave it to the program
    first: float | None = None  # the first gradient: the number itself, of larger ones the norm
    last: float | None = None
    bad: int = 0  # passes after which it was not finite


@dataclass
class Manual:
    """A line that updates parameters by hand."""

    line: Line | None
    how: str  # "in place", "through .data", "new tensor", "during backward"
    times: int = 0
    names: dict[str, None] = field(default_factory=dict)


@dataclass
class Stepped:
    """An optimizer."""

    kind: str
    made: Line | None
    first: list[dict[str, Any]]  # hyperparameters of each group, at the first step and at the last
    last: list[dict[str, Any]]
    steps: int = 0
    lines: dict[Line | None, int] = field(default_factory=dict)
    parameters: int = 0


class Evidence(Rule):
    """Notes; it reports no findings."""

    name = "evidence"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.courses: dict[Line | None, Course] = {}
        self.parameters: dict[Any, Parameter] = {}
        self.manual: dict[tuple[Line | None, str], Manual] = {}
        self.optimizers: dict[Any, Stepped] = {}
        self.logged: dict[tuple[str, Line | None], int] = {}
        self.without_graph: Line | None = None  # where backward() failed for want of a graph
        self.unchanged = 0  # backward passes that changed no value
        self.values: weakref.WeakKeyDictionary[AccumulateGrad, tuple[int, Any]] = weakref.WeakKeyDictionary()
        self.exposed_at: dict[int, Place] = {}
        self.asked: dict[int, list[tuple[str, Line | None]]] = {}  # read before their backward pass
        self.roots: deque[int] = deque(maxlen=RECENT)
        self.known: dict[Any, Leaf] = {}  # by name, the leaf that had it last
        self.modules: weakref.WeakSet[Any] = weakref.WeakSet()

    # ---- backward ------------------------------------------------------------------------------------------------------
    def before_backward(self, event: Backward) -> None:
        if not self.watch.stepping:
            self._look("in place")
        for sink in event.sinks:
            if sink not in self.values or self.watch.stepping:
                self.values[sink] = state_of(sink)
        line = line_of(event.place)
        course = self.courses.get(line)
        if course is None:
            course = self.courses[line] = Course(line or ("", 0), len(event.nodes), event.gathers)
        course.add(next((float(v.real) for v in event.losses if v is not None), None))
        held = [event.before[leaf] for leaf in event.leaves]
        if event.gathers and any(leaf.gathered for leaf in event.leaves):
            if any(isinstance(grad, int) for grad in held):
                course.piled += 1
            else:
                course.cleared += 1
        for root in event.roots:
            for key in self.asked.get(root.seq, ()):
                self.logged[key] = self.logged.get(key, 0) + 1
            self.roots.append(root.seq)
        self.asked.clear()

    def after_backward(self, event: Backward) -> None:
        changed = False
        for sink, leaf in zip(event.sinks, event.leaves, strict=True):
            now = state_of(sink)
            if now != self.values[sink]:
                changed = True
                self._changed(leaf, "during backward", event.place)
                self.values[sink] = now
            self._rebound(sink, leaf)
            known = self._parameter(leaf)
            known.returned += not event.gathers
            if event.gathers and sink.grad is not None:
                known.passes += 1
                known.last = size_of_gradient(sink.grad._array)
                known.bad += not np.isfinite(known.last)
                if known.first is None:
                    known.first = known.last
        self.unchanged += not changed

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        if NO_GRAPH in str(error):
            self.without_graph = self.watch.failed_at

    # ---- parameters ----------------------------------------------------------------------------------------------------
    def _parameter(self, leaf: Leaf) -> Parameter:
        made = line_of(leaf.place)
        key = (leaf.name or made, leaf.shape)
        if key not in self.parameters:
            name = leaf.name or (f"the {leaf.kind} of line {made[1]}" if made else f"a {leaf.kind}")
            self.parameters[key] = Parameter(name, leaf.shape, True, made, leaf.number)
        return self.parameters[key]

    def called(self, call: Call) -> None:
        module = call.module
        if module in self.modules:
            return
        self.modules.add(module)
        frozen = [(path, p) for path, p in module.named_parameters() if not p.requires_grad]
        if not frozen:
            return
        name = next((name for name, held in self.watch.variables() if held is module), type(module).__name__)
        for path, parameter in frozen:
            full, shape = f"{name}.{path}", tuple(parameter.shape)
            self.parameters.setdefault((full, shape), Parameter(full, shape, False, None, MANY))

    def finish(self) -> None:
        self._look("in place")
        for leaf in self.watch.everyone:
            if leaf.used or leaf.stepped:
                self._parameter(leaf)
        self.parameters = dict(sorted(self.parameters.items(), key=lambda pair: pair[1].number))
        order = {known.name: place for place, known in enumerate(self.parameters.values())}
        for entry in self.manual.values():
            entry.names = dict.fromkeys(sorted(entry.names, key=lambda name: order.get(name, MANY)))
        self.manual = dict(sorted(self.manual.items(), key=lambda pair: pair[0][0] or ("", 0)))

    # ---- updates -------------------------------------------------------------------------------------------------------
    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        self._look("in place")
        known = self.watch.known(optimizer)
        entry = self.optimizers.get(known)
        options = hyperparameters(optimizer)
        if entry is None:
            entry = Stepped(known.kind, line_of(known.place), options, options)
            self.optimizers[known] = entry
            for group in optimizer.param_groups:
                entry.parameters += len(group["params"])
        entry.steps += 1
        entry.last = options
        line = line_of(place)
        entry.lines[line] = entry.lines.get(line, 0) + 1

    def after_step(self, optimizer: Any, place: Place) -> None:
        for sink in list(self.values):
            self.values[sink] = state_of(sink)

    def exposed(self, tensor: Any, place: Place, kind: str) -> None:
        edge = tensor.edge() if isinstance(tensor, Variable) else None
        if edge is not None and isinstance(edge[0], AccumulateGrad):
            self.exposed_at[self.watch.leaf(edge[0]).number] = place

    def _look(self, how: str) -> None:
        """Find what was written since the last look."""
        for sink in list(self.values):
            now = state_of(sink)
            before = self.values[sink]
            if now == before:
                continue
            self.values[sink] = now
            leaf = self.watch.leaf(sink)
            if now[0] != before[0] and sink.counter is not None and sink.counter.where is not None:
                self._changed(leaf, how, sink.counter.where)
            else:
                self._changed(leaf, "behind autograd", self.exposed_at.get(leaf.number))

    def _changed(self, leaf: Leaf, how: str, place: Place | None) -> None:
        line = line_of(place)
        entry = self.manual.setdefault((line, how), Manual(line, how))
        name = self._parameter(leaf).name
        if not entry.names or name == next(iter(entry.names)):
            entry.times += 1  # several parameters on one line, in a loop over them, are one update
        entry.names[name] = None

    def _rebound(self, sink: AccumulateGrad, leaf: Leaf) -> None:
        """`w = (w - lr * w.grad).detach().requires_grad_()`: a new leaf under the old name at each step."""
        if not leaf.name:
            return
        old = self.known.get(leaf.name)
        self.known[leaf.name] = leaf
        if old is not None and old is not leaf and takes_over(sink.place):
            self._changed(leaf, "new tensor", sink.place)

    # ---- how losses are kept -------------------------------------------------------------------------------------------
    def cut(self, cut: Cut, tensor: Any, result: Any) -> None:
        if cut.kind not in LOGGED or not isinstance(tensor, Variable):
            return
        edge = tensor.edge()
        if edge is None:
            return
        key = cut.kind, line_of(cut.place)
        if edge[0].seq in self.roots:
            self.logged[key] = self.logged.get(key, 0) + 1
        elif len(self.asked) < RECENT:
            self.asked.setdefault(edge[0].seq, []).append(key)


# ---- what is noted -----------------------------------------------------------------------------------------------------
def state_of(sink: AccumulateGrad) -> tuple[int, Any]:
    """Differs when the leaf was written: its counter, and a sample of its values."""
    return (0 if sink.counter is None else sink.counter.n), fingerprint(sink.array)


def size_of_gradient(array: Any) -> float:
    """The number itself where it is one, else the norm."""
    value = np.asarray(array)
    if value.size == 1 and value.dtype.kind != "c":
        return float(value.reshape(()).astype(np.float64))
    return norm(value.astype(np.complex128 if value.dtype.kind == "c" else np.float64))


def hyperparameters(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The options of each group that are numbers, flags or words."""
    groups = []
    for group in optimizer.param_groups:
        options = {}
        for name, value in group.items():
            if isinstance(value, Variable):
                value = value._array.item() if value._array.size == 1 else None
            if name in ("params", "param_names") or isinstance(value, dict) or callable(value):
                continue
            options[name] = list(value) if isinstance(value, tuple) else value
        groups.append(options)
    return groups


def takes_over(place: Place | None) -> bool:
    """Whether the line is of the form `w = … w …`: what it makes takes the place of what it is made from."""
    statement = statement_at(place)
    if not isinstance(statement, ast.Assign):
        return False
    targets: Iterable[ast.expr] = statement.targets
    parts = (ast.Name, ast.Attribute, ast.Subscript)
    used = {ast.unparse(n) for n in ast.walk(statement.value) if isinstance(n, parts)}
    named = {ast.unparse(n) for target in targets for n in ast.walk(target) if isinstance(n, parts)}
    return bool(used & named)
