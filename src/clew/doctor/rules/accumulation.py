"""Updates: from gradients that pile up, from gradients cleared too early, and into a new tensor instead of the parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from clew.core.modes import is_grad_enabled
from clew.core.version import Place
from clew.doctor.events import (
    NO_GRAPH,
    Backward,
    Leaf,
    Rule,
    fingerprint,
    how_many,
    line_of,
    norm,
    rebinds,
    shown,
    sink_of,
    text_of,
)

T = TypeVar("T")
Notes = WeakKeyDictionary[Leaf, T]  # some programs make a new leaf in every iteration


@dataclass
class _Pile:
    """A gradient that was added to one which an update had used already."""

    number: int  # of the pass
    place: Place
    values: Any  # fingerprint of the leaf, before the next update
    evidence: str


class NotCleared(Rule):
    """backward → update → backward onto the same `.grad` → update.

    An update is seen by the values of the leaf: so it does not matter whether an optimizer or the program itself made it.
    Gradients that are cleared between the second backward and the second update (those that the generator's pass leaves in
    a discriminator) are nobody's mistake: only the second update makes it one.
    """

    name = "gradients-not-cleared"
    symptom = (
        "Gradients of earlier steps are still in .grad: backward() adds to them, and the update uses the sum."
    )
    fix = "Call optimizer.zero_grad() (by hand: w.grad = None) once per update, before backward()."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.piles: dict[Leaf, _Pile] = {}
        self.used: Notes[Any] = WeakKeyDictionary()  # what the gradient was when a step had used it
        self.passes: Notes[int] = WeakKeyDictionary()  # gathered since the last clear
        self.told = 0  # number of the last pass that was found fault with

    def before_backward(self, event: Backward) -> None:
        if not event.gathers:
            return
        self.held: list[tuple[Leaf, Any, float]] = []
        for sink, leaf in zip(event.sinks, event.leaves, strict=True):
            values = fingerprint(sink.array)
            changed = leaf.print is not None and leaf.print != values
            self._confirm(leaf, values)
            held = event.before[leaf]
            if held is None or held == "zero":
                self.passes[leaf] = 0
            elif changed and held == leaf.grad_id and self._untouched(leaf, sink):
                self.held.append((leaf, values, norm(sink.grad._array)))  # type: ignore[union-attr]

    def _untouched(self, leaf: Leaf, sink: Any) -> bool:
        """False where the program itself changed the gradient after the update: made it smaller, say, for a momentum."""
        used = self.used.get(leaf)
        return (leaf.grad_print if used is None else used) == fingerprint(sink.grad._array)

    def after_backward(self, event: Backward) -> None:
        if not event.gathers:
            return
        for leaf in event.leaves:
            self.passes[leaf] = self.passes.get(leaf, 0) + 1
        sinks = dict(zip(event.leaves, event.sinks, strict=True))
        for leaf, values, before in self.held:
            grad = sinks[leaf].grad
            if grad is None:
                continue
            evidence = (
                f"{leaf} was updated, and its .grad still held that update's gradient (norm {before:.4g}) when the next "
                f"pass was added to it (norm now {norm(grad._array):.4g}, {how_many(self.passes[leaf], 'pass')} in all)"
            )
            self.piles[leaf] = _Pile(event.number, event.place, values, evidence)
        self.held = []

    def cleared(self, params: list[Any], place: Place) -> None:
        for param in params:
            self._forget(param)

    def grad_set(self, tensor: Any, value: Any, place: Place) -> None:
        self._forget(tensor)
        sink = sink_of(tensor)
        if value is not None and sink is not None:
            self.used[self.watch.leaf(sink)] = "set by the program"

    def _forget(self, tensor: Any) -> None:
        sink = sink_of(tensor)
        if sink is not None:
            leaf = self.watch.leaf(sink)
            self._confirm(leaf, fingerprint(sink.array))
            self.used.pop(leaf, None)

    def after_step(self, optimizer: Any, place: Place) -> None:
        for group in optimizer.param_groups:
            for param in group["params"]:
                sink = sink_of(param)
                if sink is None or sink.grad is None:
                    continue
                leaf = self.watch.leaf(sink)
                self.used[leaf] = fingerprint(sink.grad._array)
                self._confirm(leaf, fingerprint(sink.array))

    def _confirm(self, leaf: Leaf, values: Any) -> None:
        """The pile was a mistake if the leaf has been updated from it."""
        pile = self.piles.pop(leaf, None)
        if pile is not None and pile.values != values:
            self.found(pile.place, pile.evidence, count=int(pile.number != self.told))
            self.told = pile.number

    def finish(self) -> None:
        for sink, leaf in list(self.watch.leaves.items()):
            self._confirm(leaf, fingerprint(sink.array))


class ClearedBeforeStep(Rule):
    """backward → clear → step: the step finds nothing."""

    name = "cleared-before-step"
    symptom = (
        "The gradients are cleared after backward() and before step(): the step has nothing to work with."
    )
    fix = "Clear before backward() (or after step()): zero_grad(), backward(), step()."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.fresh: Notes[Place] = WeakKeyDictionary()  # gathered and not yet used: by which pass
        self.lost: Notes[tuple[Place, Place]] = (
            WeakKeyDictionary()
        )  # cleared unused: where, and of which pass

    def after_backward(self, event: Backward) -> None:
        if event.gathers:
            for leaf in event.leaves:
                self.fresh[leaf] = event.place
                self.lost.pop(leaf, None)

    def cleared(self, params: list[Any], place: Place) -> None:
        for param in params:
            sink = sink_of(param)
            if sink is None:
                continue
            leaf = self.watch.leaf(sink)
            backward = self.fresh.pop(leaf, None)
            if backward is not None:
                self.lost[leaf] = place, backward

    def grad_set(self, tensor: Any, value: Any, place: Place) -> None:
        if value is None:
            self.cleared([tensor], place)

    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        if closure:
            return
        held = [
            s for group in optimizer.param_groups for p in group["params"] if (s := sink_of(p)) is not None
        ]
        lost = [self.watch.leaf(sink) for sink in held if self.watch.leaf(sink) in self.lost]
        if not lost or any(sink.grad is not None and sink.grad._array.any() for sink in held):
            return
        where, backward = self.lost[lost[0]]
        self.found(
            where,
            f"the gradients of {how_many(len(lost), 'parameter')} that backward() made on {shown(backward)} were cleared here, "
            f"before step() on {shown(place)}: no parameter was updated",
        )

    def after_step(self, optimizer: Any, place: Place) -> None:
        for group in optimizer.param_groups:
            for param in group["params"]:
                sink = sink_of(param)
                if sink is not None:
                    self.fresh.pop(self.watch.leaf(sink), None)
                    self.lost.pop(self.watch.leaf(sink), None)


class Rebound(Rule):
    """`w = w - lr * w.grad`: the name moves on to a new tensor, the parameter stays as it was."""

    name = "parameter-rebound"
    symptom = "The update makes a new tensor under the old name; the parameter itself is not changed."
    fix = "Write into the parameter: with torch.no_grad(): w -= lr * w.grad"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.lines: dict[tuple[str, int], tuple[Place, Leaf, bool]] = {}

    def grad_read(self, tensor: Any, value: Any, place: Place) -> None:
        sink = sink_of(tensor)
        if value is not None and sink is not None and rebinds(place):
            line = line_of(place)
            if line is not None:
                self.lines[line] = place, self.watch.leaf(sink), is_grad_enabled()
        elif value is None and tensor.grad_fn is not None:
            made = line_of(tensor.grad_fn.place)
            if made in self.lines:
                self._tell(
                    made,
                    f"after it the name stands for a result of {tensor.grad_fn.name()}, whose .grad is None",
                )

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        if NO_GRAPH not in str(error):
            return
        for line, (_, _, recorded) in list(self.lines.items()):
            if not recorded:
                self.watch.told.add(id(error))
                self._tell(
                    line, "under no_grad the new tensor does not require grad: the next loss has no graph"
                )

    def finish(self) -> None:
        for line, (_, leaf, _) in list(self.lines.items()):
            if leaf.reached > 1 and leaf.first_print == leaf.print:
                self._tell(
                    line, f"{leaf} has the values it had at first, after {how_many(leaf.reached, 'pass')}"
                )

    def _tell(self, line: tuple[str, int], why: str) -> None:
        self.lines.pop(line)[1].explained = True
        self.found(line, f"`{text_of(line)}`: {why}")


RULES: tuple[type[Rule], ...] = (NotCleared, ClearedBeforeStep, Rebound)
