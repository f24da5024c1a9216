"""The ledger of a training: what each backward pass added to every `.grad`, what each update changed, and in which order.

`Ledger` hears what `doctor.watch` hears. A step ends when parameters have been updated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clew.core.node import AccumulateGrad
from clew.core.version import Place
from clew.doctor.events import Backward, Leaf, Rule, line_of, sink_of
from clew.view.evidence import size_of_gradient

__all__ = ["Amount", "Change", "Event", "Known", "Ledger", "Series", "Step"]

ENDS = 20  # so many steps are kept at the beginning, and as many at the end
EVENTS = 100  # of one step
POINTS = 500  # of one line of a plot
COPIED = 20_000_000  # numbers in parameters: of larger models only norms are known

Line = tuple[str, int]
Amount = float | None  # of one number the number itself, else the norm; None where there is none


@dataclass
class Change:
    """What happened to one parameter, or to its gradient: before, what was added, after.

    number: the parameter's, in the order of birth; size: numbers in it.
    """

    number: int
    name: str
    size: int
    before: Amount
    added: Amount
    after: Amount


@dataclass
class Event:
    """forward, backward, update, clear, or changed: gradients that were clipped or scaled."""

    kind: str
    line: Line | None
    by: str = ""  # the optimizer's class, "by hand", the way of clearing
    operations: int = 0
    loss: Amount = None
    changes: list[Change] = field(default_factory=list)


@dataclass
class Step:
    number: int
    events: list[Event] = field(default_factory=list)
    left_out: int = 0  # events

    @property
    def updated(self) -> bool:
        return any(event.kind == "update" for event in self.events)


class Series:
    """Numbers by step, thinned out when they are many."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []
        self.every = self.count = 0

    def add(self, step: int, value: float) -> None:
        if self.count % (self.every or 1) == 0:
            self.points.append((step, value))
            if len(self.points) > POINTS:
                self.every = 2 * (self.every or 1)
                self.points = self.points[::2]
        self.count += 1


class Known:
    """A parameter as it was when it was last looked at."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        self.value: Any = None  # a copy, unless the model is too large
        self.norm: Amount = None
        self.first: Amount = None  # how it was when it was met
        self.grad: Amount = None
        self.grads, self.ratios = Series(), Series()


class Ledger(Rule):
    """Notes; it reports no findings."""

    name = "ledger"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.first: list[Step] = []
        self.last: deque[Step] = deque(maxlen=ENDS)
        self.step = Step(1)
        self.leader = ""  # what a step begins with in this program
        self.known: dict[AccumulateGrad, Known] = {}
        self.losses = Series()
        self.forward: Event | None = None
        self.passed: Line | None = None  # where the last backward pass was
        self.before: dict[AccumulateGrad, Any] = {}  # gradients that a pass adds to
        self.numbers = 0
        self.passes = self.updates = 0

    # ---- steps ---------------------------------------------------------------------------------------------------------
    def steps(self) -> Iterator[Step]:
        """Those that are kept."""
        yield from self.first
        yield from self.last
        if self.step.events:
            yield self.step

    @property
    def left_out(self) -> int:
        """Steps between the first and the last."""
        return max(self.step.number - 1 - len(self.first) - len(self.last), 0)

    def note(self, event: Event) -> None:
        event.changes.sort(key=lambda change: change.number)
        self.leader = self.leader or event.kind
        begins = (
            event.kind == self.leader if self.leader == "clear" else event.kind in ("forward", "backward")
        )
        if begins and self.step.updated:
            (self.first if len(self.first) < ENDS else self.last).append(self.step)
            self.step = Step(self.step.number + 1)
        if len(self.step.events) < EVENTS:
            self.step.events.append(event)
        else:
            self.step.left_out += 1

    # ---- forward and backward --------------------------------------------------------------------------------------------
    def operation(self, node: Any, inputs: Any, results: Any) -> None:
        if self.forward is None:
            self._look()
            self.forward = Event("forward", line_of(node.place))
        self.forward.operations += 1

    def before_backward(self, event: Backward) -> None:
        self._look()
        loss = next((float(v.real) for v in event.losses if v is not None), None)
        if self.forward is not None:
            self.forward.loss = loss
            self.note(self.forward)
            self.forward = None
        self.before = {}
        for sink, leaf in zip(event.sinks, event.leaves, strict=True):
            self._meet(sink, leaf)
            if sink.grad is not None and event.gathers:
                self.before[sink] = sink.grad._array.copy()

    def after_backward(self, event: Backward) -> None:
        self.passes += 1
        loss = next((float(v.real) for v in event.losses if v is not None), None)
        made = Event("backward", line_of(event.place), loss=loss)
        if not event.gathers:
            made.by = "autograd.grad"
        for sink in dict.fromkeys(event.sinks):
            known = self.known[sink]
            if not event.gathers or sink.grad is None:
                continue
            now, before = sink.grad._array, self.before.get(sink)
            if before is not None and before.shape != now.shape:
                before = None
            after = size_of_gradient(now)
            added = after if before is None else size_of_gradient(now - before)
            held = None if before is None else size_of_gradient(before)
            made.changes.append(Change(known.leaf.number, self.name_of(known), now.size, held, added, after))
            known.grad = after
            known.grads.add(self.step.number, abs(after))
        self.before = {}
        self.note(made)
        self.passed = made.line
        if loss is not None:
            self.losses.add(self.step.number, loss)
        self._look()  # hooks may have written

    # ---- updates and clearing --------------------------------------------------------------------------------------------
    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        self._look()
        for group in optimizer.param_groups:
            for param in group["params"]:
                sink = sink_of(param)
                if sink is not None:
                    self._meet(sink, self.watch.leaf(sink))

    def after_step(self, optimizer: Any, place: Place) -> None:
        made = Event("update", line_of(place), by=type(optimizer).__name__)
        made.changes = [change for _, change in self._written()]
        self.updates += 1
        self.note(made)

    def cleared(self, params: list[Any], place: Place) -> None:
        self._look(clears=False)
        made = Event("clear", line_of(place), by="zero_grad()")
        for param in params:
            sink = sink_of(param)
            known = self.known.get(sink) if sink is not None else None
            if sink is None or known is None or known.grad is None:
                continue
            now = None if sink.grad is None else size_of_gradient(sink.grad._array)
            if now == known.grad:
                continue
            made.changes.append(
                Change(known.leaf.number, self.name_of(known), sink.array.size, known.grad, None, now)
            )
            known.grad = now
        if made.changes or self.leader in ("", "clear"):
            self.note(made)

    def finish(self) -> None:
        self._look()
        if self.forward is not None and self.passes == 0:
            self.note(self.forward)

    # ---- what changed without a word ---------------------------------------------------------------------------------------
    def _look(self, clears: bool = True) -> None:
        """Find what was written by hand since the last look, in the order of the program's lines."""
        if not self.known or self.watch.stepping:
            return
        found: dict[tuple[str, Line | None, str], Event] = {}
        for sink, change in self._written():
            line = line_of(sink.counter.where) if sink.counter is not None else None
            key = ("update", line, "by hand")
            found.setdefault(key, Event(*key)).changes.append(change)
        for sink, known in self.known.items():
            now = None if sink.grad is None else size_of_gradient(sink.grad._array)
            if now == known.grad or (not clears and not now):
                continue
            cleared = not now
            change = Change(known.leaf.number, self.name_of(known), sink.array.size, known.grad, None, now)
            known.grad = now
            if change.before is None and now is not None:
                change.added = now
            kind = "clear" if cleared else "changed"
            where = None if sink.grad is None else sink.grad.version().where
            line = line_of(where)
            how = "set to None" if now is None else "zero_()" if cleared else ""
            found.setdefault((kind, line, how), Event(kind, line, how)).changes.append(change)
        for event in sorted(found.values(), key=lambda e: self._order(e.line)):
            self.updates += event.kind == "update"
            self.note(event)

    def _order(self, line: Line | None) -> tuple[bool, int]:
        """Lines below the last backward pass come first, then those above it: the next round of the loop."""
        if line is None:
            return False, 1 << 30
        return self.passed is not None and line[0] == self.passed[0] and line[1] < self.passed[1], line[1]

    def _meet(self, sink: AccumulateGrad, leaf: Leaf) -> None:
        if sink in self.known:
            return
        known = self.known[sink] = Known(leaf)
        self.numbers += sink.array.size
        known.norm = known.first = size_of_gradient(sink.array)
        known.grad = None if sink.grad is None else size_of_gradient(sink.grad._array)
        if self.numbers <= COPIED:
            known.value = np.array(sink.array)
        else:
            for other in self.known.values():
                other.value = None

    def _written(self) -> Iterator[tuple[AccumulateGrad, Change]]:
        """The parameters whose values are others than at the last look, and how."""
        for sink, known in self.known.items():
            now = sink.array
            if known.value is not None:
                if np.array_equal(known.value, now, equal_nan=now.dtype.kind in "fc"):
                    continue
                added = size_of_gradient(now - known.value)
                known.value = np.array(now)
                after = size_of_gradient(now)
            else:
                after = size_of_gradient(now)
                if after == known.norm:
                    continue
                added = None
            change = Change(known.leaf.number, self.name_of(known), now.size, known.norm, added, after)
            if added is not None and known.norm:
                known.ratios.add(self.step.number, abs(added) / abs(known.norm))
            known.norm = after
            yield sink, change

    def name_of(self, known: Known) -> str:
        leaf = known.leaf
        if leaf.name:
            return leaf.name
        line = line_of(leaf.place)
        return f"the {leaf.kind} of line {line[1]}" if line else f"a {leaf.kind}"
