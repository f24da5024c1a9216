"""NaN and infinity: the operation in which they first appear, forward or backward."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.engine import fit
from clew.core.node import AccumulateGrad, Node
from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.events import Backward, Leaf, Rule, finite, how_many, names, shown, sink_of, text_of

BOUND = (
    "MaskedFill",
    "Where",
    "IndexPut",
    "MaskedScatter",
    "IndexFill",
    "Fill",
)  # write infinities on purpose


def sound(array: Any) -> bool:
    """Whether all numbers are finite; the sum tells nearly always."""
    if not isinstance(array, np.ndarray | np.generic) or array.dtype.kind not in "fc":
        return True
    with np.errstate(all="ignore"):
        total = np.add.reduce(array, None)
    return bool(np.isfinite(total)) or finite(array)


def nans(array: Any) -> bool:
    return bool(np.isnan(array).any())


@dataclass
class _Origin:
    """The operation where it began."""

    place: Place
    text: str


@dataclass
class _Unsound:
    """One operation whose result is not finite."""

    node_name: str
    place: Place
    seq: int
    nan: bool
    clean: bool  # its inputs were finite
    given: str  # what they were like


class NonFinite(Rule):
    """The first NaN or infinity on the way to a loss or to a gradient that was used."""

    name = "non-finite"
    symptom = "NaN or infinity reaches the loss or the gradients, and the parameters with the next update; from then on all is NaN."
    fix = "Keep the argument away from where the operation (or its derivative) is not finite: clamp it, add a small eps."
    MOST = 10_000

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.unsound: dict[int, _Unsound] = {}
        self.origin: _Origin | None = None
        self.leaves: dict[Leaf, None] = {}  # whose gradient is not finite
        self.steps = 0
        self.passes = 0
        self.kept: list[tuple[Node, Any]] = []
        self.told = False

    # ---- forward -----------------------------------------------------------------------------------------------------
    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        if (
            self.told
            or self.origin is not None
            or all(sound(r._array) for r in results if isinstance(r, Variable))
        ):
            return
        if len(self.unsound) >= self.MOST:
            return
        given = [t._array for t in inputs if isinstance(t, Variable)]
        nan = any(nans(r._array) for r in results if isinstance(r, Variable) and r._array.dtype.kind in "fc")
        self.unsound[node.seq] = _Unsound(
            node.name(), node.place, node.seq, nan, all(map(sound, given)), described(given)
        )

    def _forward_origin(self, event: Backward) -> _Origin | None:
        found = [self.unsound[n.seq] for n in event.nodes if n.seq in self.unsound]
        found.sort(key=lambda one: one.seq)
        if not found:
            return None
        reached = [one for one in found if one.nan] or found
        first = reached[0]
        clean = [
            one for one in found if one.clean and one.seq <= first.seq and not one.node_name.startswith(BOUND)
        ]
        first = clean[0] if clean else first
        what = "NaN" if first.nan else "an infinity"
        came = "its inputs were finite" if first.clean else "its inputs were not finite themselves"
        return _Origin(
            first.place,
            f"{first.node_name} gave {what} first, in backward pass {event.number}; {came} ({first.given})",
        )

    # ---- backward ----------------------------------------------------------------------------------------------------
    def before_backward(self, event: Backward) -> None:
        self.passes += self.origin is not None and event.gathers
        self.kept = []
        if self.told or self.origin is not None or event.creates:
            return
        if event.gathers and all(sound(sink.array) for sink in event.sinks):
            self.kept = [(node, node.saved) for node in event.nodes]

    def after_backward(self, event: Backward) -> None:
        kept, self.kept = self.kept, []
        if not kept:
            self.unsound.clear()
            return
        bad = [
            leaf
            for sink, leaf in zip(event.sinks, event.leaves, strict=True)
            if sink.grad is not None and not sound(sink.grad._array)
        ]
        losses = [loss for loss in event.losses if isinstance(loss, float) and not math.isfinite(loss)]
        if bad or losses:
            self.origin = self._forward_origin(event) or backward_origin(event, kept)
            self.leaves = dict.fromkeys(bad or event.leaves)
            self.steps = self.passes = 0
        self.unsound.clear()

    # ---- whether it matters --------------------------------------------------------------------------------------------
    def cleared(self, params: list[Any], place: Place) -> None:
        """Gradients that are thrown away do no harm: a step that is left out (loss scaling does so)."""
        if self.origin is not None and not self.steps and not self._spoiled():
            sinks = [sink_of(param) for param in params]
            if any(self.watch.leaf(sink) in self.leaves for sink in sinks if sink is not None):
                self.origin = None

    def _spoiled(self) -> bool:
        return any(
            not sound(sink.array) for sink, leaf in list(self.watch.leaves.items()) if leaf in self.leaves
        )

    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        if self.origin is None:
            return
        grads = [p._grad for group in optimizer.param_groups for p in group["params"]]
        self.steps += any(g is not None and not sound(g._array) for g in grads)

    def finish(self) -> None:
        if self.origin is None:
            return
        still = any(
            sink.grad is not None and not sound(sink.grad._array)
            for sink, leaf in list(self.watch.leaves.items())
            if leaf in self.leaves
        )
        if not (self.steps or still or self._spoiled()) or self.explained():
            return
        after = f"; {how_many(self.steps, 'step')} with it" if self.steps else ""
        self.found(
            self.origin.place,
            f"{self.origin.text}; the gradients of {names(self.leaves)} are not finite{after}",
        )

    def explained(self) -> bool:
        """Whether the training diverged: then the first infinity is only where it ended."""
        return any(name == "learning-rate-too-high" for name, _, _ in self.watch.findings)


def described(given: list[Any]) -> str:
    """The range of inputs."""
    parts = []
    for array in given[:3]:
        if array.size and array.dtype.kind == "f":
            with np.errstate(all="ignore"):
                parts.append(
                    f"{array.item():.4g}" if array.size == 1 else f"{array.min():.4g} to {array.max():.4g}"
                )
    return "given " + ", ".join(parts) if parts else "of no numbers"


def backward_origin(event: Backward, kept: list[tuple[Node, Any]]) -> _Origin | None:
    """Walk the pass once more and stop at the first formula that makes a non-finite gradient of a finite one."""
    saved = dict(kept)
    slots: dict[Node, list[Any]] = {}
    queue: list[tuple[int, int, Node]] = []
    for root in event.roots:
        if root in saved:
            shape, dtype = root.extras.shapes[0] if root.outputs > 1 and root.extras else ((), np.float32)
            slots[root] = [np.ones(shape, dtype)] + [None] * (root.outputs - 1)
            heappush(queue, (-root.seq, id(root), root))
    with np.errstate(all="ignore"):
        while queue:
            node = heappop(queue)[2]
            found = _pull(node, saved.get(node), slots.pop(node))
            if isinstance(found, _Origin):
                return found
            for edge, g in zip(node.edges, found, strict=False):
                if edge is None or g is None or isinstance(edge[0], AccumulateGrad):
                    continue
                target = edge[0]
                if target not in slots:
                    slots[target] = [None] * target.outputs
                    heappush(queue, (-target.seq, id(target), target))
                held = slots[target][edge[1]]
                slots[target][edge[1]] = g if held is None else held + g
    return None


def _pull(node: Node, saved: Any, gs: list[Any]) -> Any:
    """A node's gradients as the pass had them, or the origin if it is here."""
    before, node.saved = node.saved, saved
    try:
        g: Any = node.fill(gs) if node.outputs > 1 else gs[0]
        wanted = [edge is not None for edge in node.edges]
        made = list(node.pull(raw, g, wanted, False))
    except Exception:  # a custom Function, or a root that is no scalar: nothing can be told
        return []
    finally:
        node.saved = before
    metas = node.metas or [None] * len(made)
    made = [g if g is None or m is None else fit(g, *m) for g, m in zip(made, metas, strict=False)]
    given = [g for g in gs if g is not None]
    if all(map(sound, given)) and not all(sound(g) for g in made if g is not None):
        bad = next(g for g in made if g is not None and not sound(g))
        what = "NaN" if nans(bad) else "infinite"
        return _Origin(
            node.place,
            f"the derivative of {node.name()} on {shown(node.place)}, `{text_of(node.place)}`, is {what} for "
            f"{how_many(int((~np.isfinite(bad)).sum()), 'element')} of {np.size(bad)} in backward pass; the forward values "
            "were finite",
        )
    return made


RULES: tuple[type[Rule], ...] = (NonFinite,)
