"""Graphs that `backward` cannot walk: used twice, carried into the next step, or with a saved value overwritten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clew.core.node import AccumulateGrad, Freed, Node
from clew.core.version import Place
from clew.doctor.events import Backward, Rule, fingerprint, how_many, line_of, shown, text_of

TWICE = "Trying to backward through the graph a second time"
CHANGED = "has been modified by an inplace operation"
GROWN = 3  # passes in a row, each with more operations of earlier steps


class _Failing(Rule):
    """The pass that was under way when the program failed."""

    last: Backward | None = None
    finished = 0  # the number of the last operation recorded before the last pass that ended well
    latest = 0
    freed: frozenset[int] = frozenset()  # the numbers of operations that earlier passes had been through

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        self.latest = node.seq

    def before_backward(self, event: Backward) -> None:
        self.last = event
        self.freed = frozenset(node.seq for node in event.nodes if is_freed(node))

    def after_backward(self, event: Backward) -> None:
        self.finished, self.last = self.latest, None

    def failing(self, error: BaseException, sentence: str) -> Backward | None:
        known = id(error) in self.watch.told
        return self.last if sentence in str(error) and not known else None


class SecondBackward(_Failing):
    """The same graph, or a shared part of it, is walked again after its saved values were freed."""

    name = "second-backward"
    symptom = "backward() comes to operations whose saved values an earlier backward() has used and freed: it fails."
    fix = (
        "Compute the result anew before each backward(), or add the losses and call backward() once; "
        "retain_graph=True in the first call keeps the values."
    )

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        event = self.failing(error, TWICE)
        if event is None or carried_in(event, self.finished) is not None:
            return
        freed = [node for node in event.nodes if node.seq in self.freed]
        if not freed:
            return
        self.watch.told.add(id(error))
        where = self.watch.failed_at or event.place
        first = max(freed, key=lambda node: node.seq)
        by = first.saved.where
        again = ", in an earlier step" if line_of(by) == line_of(where) else f", `{text_of(by)}`"
        self.found(
            where,
            f"{first.name()} was recorded on {shown(first.place)}, `{text_of(first.place)}`; the first backward() through it "
            f"was on {shown(by)}{again}, and it freed {how_many(len(freed), 'operation')} of the {len(event.nodes):,} that "
            "this one needs",
            SHARED if any(node.seq > self.finished for node in event.nodes) else "",
        )


SHARED = "Compute the shared part anew in each step, inside the loop; if it is not to be trained, detach() it once."


class CarriedState(_Failing):
    """Each step's graph contains those of all earlier steps, because a value went on with its history."""

    name = "hidden-state-carried"
    symptom = "A value of the last step goes into this step with its history: backward() walks through all earlier steps, too."
    fix = "Keep the value and cut its history at the start of each step: hidden = hidden.detach()."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.chains: dict[Place, _Chain] = {}

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        event = self.failing(error, TWICE)
        entry = None if event is None else carried_in(event, self.finished)
        if event is None or entry is None:
            return
        self.watch.told.add(id(error))
        old = sum(node.seq <= self.finished for node in event.nodes)
        self.found(
            entry.place,
            f"backward() on {shown(event.place)} leads on from here into {how_many(old, 'operation')} of earlier steps, whose "
            "saved values are freed: it fails",
        )

    def before_backward(self, event: Backward) -> None:
        super().before_backward(event)
        chain = self.chains.get(event.place)
        if not event.gathers or chain is None or not chain.old:
            return
        old = sum(node.seq <= chain.mark for node in event.nodes)
        chain.grown = [*chain.grown, old] if old > (chain.grown or [0])[-1] and _is_new(event) else []
        if len(chain.grown) < GROWN:
            return
        entry = carried_in(event, chain.mark)
        if entry is not None:
            self.found(
                entry.place,
                f"backward() on {shown(event.place)} walks through {how_many(old, 'operation')} of earlier steps and "
                f"{len(event.nodes) - old:,} of this one; {', '.join(f'{n:,}' for n in chain.grown[:-1])} of earlier ones in "
                "the steps before",
            )

    def after_backward(self, event: Backward) -> None:
        super().after_backward(event)
        if event.gathers:
            chain = self.chains.setdefault(event.place, _Chain())
            chain.mark, chain.old = self.latest, True


@dataclass
class _Chain:
    """Passes of one line, and how many operations of earlier steps each walked through."""

    mark: int = 0
    old: bool = False
    grown: list[int] = field(default_factory=list)


def _is_new(event: Backward) -> bool:
    """A step of its own: with gradients cleared, or parameters updated. Else the passes are parts of one sum."""
    if all(event.before[leaf] in (None, "zero") for leaf in event.leaves):
        return True
    pairs = zip(event.sinks, event.leaves, strict=True)
    return any(leaf.print is not None and leaf.print != fingerprint(sink.array) for sink, leaf in pairs)


def carried_in(event: Backward, mark: int) -> Node | None:
    """The operation through which a recurring computation enters its own past: its line was there in earlier steps, too."""
    past = {line_of(node.place) for node in event.nodes if node.seq <= mark}
    entries = [
        node
        for node in event.nodes
        if node.seq > mark
        and line_of(node.place) in past
        and any(
            edge is not None and edge[0].__class__ is not AccumulateGrad and edge[0].seq <= mark
            for edge in node.edges
        )
    ]
    return min(entries, key=lambda node: node.seq, default=None)


class InPlaceChanged(_Failing):
    """A write raised the counter of a value that an operation had saved."""

    name = "in-place-changed"
    symptom = "A value that backward() needs was overwritten in place after it was saved: backward() fails."
    fix = "Write the operation out of place (y = y + 1, not y += 1), change a .clone(), or change it after backward()."

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        event = self.failing(error, CHANGED)
        if event is None:
            return
        changed = [n for n in event.nodes if any(version.n != tick for version, tick in n.versions)]
        node = max(changed, key=lambda n: n.seq, default=None)
        if node is None:
            return
        version, tick = next((v, n) for v, n in node.versions if v.n != n)
        self.watch.told.add(id(error))
        times = version.n - tick
        self.found(
            version.where or node.place,
            f"{node.name()} saved the value on {shown(node.place)}, `{text_of(node.place)}`; it was overwritten "
            f"{'once' if times == 1 else f'{times:,} times'} before backward() on {shown(event.place)}, last on "
            f"{shown(version.where)}",
            STEPPED if self._by_step(version.where) else "",
        )

    def _by_step(self, place: Place | None) -> bool:
        return ".step(" in text_of(place)


STEPPED = "Call every backward() before step(), which overwrites the parameters; or compute the second loss after it."


def is_freed(node: Node) -> bool:
    """Whether a backward pass has been through an operation (some save nothing, and do not know)."""
    return node.__class__ is not AccumulateGrad and isinstance(node.saved, Freed)


RULES: tuple[type[Rule], ...] = (SecondBackward, CarriedState, InPlaceChanged)
