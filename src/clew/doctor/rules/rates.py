"""Training that goes wrong by its numbers: dead ReLUs, vanishing and exploding gradients, steps too long or too short.

All of them wait for several steps that agree, and keep a wide distance from what happens in programs that train well.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from clew.core.node import Node
from clew.core.version import Place
from clew.doctor.events import Backward, Leaf, Rule, how_many, line_of, norm, shown, sink_of, text_of


class DeadUnits(Rule):
    """Units whose ReLU gives zero for every input: no gradient, so they stay as they are."""

    name = "dead-relus"
    symptom = (
        "Most units of a layer give zero for every input: ReLU passes them no gradient, and they never learn."
    )
    fix = "Use a smaller learning rate, He initialisation with biases 0, normalised inputs, or LeakyReLU."
    PASSES = 10
    SHARE = 0.9
    ROWS = 32  # inputs seen

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.layers: dict[tuple[Any, ...], _Layer] = {}

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        if node.name() != "ReluBackward0":
            return
        array = results[0]._array
        if array.ndim not in (2, 4) or array.shape[1] < 4 or array.dtype.kind != "f":
            return
        depth = self.watch.mask_of(node).bit_length()
        key = node.place, array.shape[1], depth
        layer = self.layers.get(key)
        if layer is None:
            if len(self.layers) > 1000:
                return
            layer = self.layers[key] = _Layer(node.place, np.zeros(array.shape[1], int), depth)
        alive = array.any(axis=(0, *range(2, array.ndim)))
        layer.silent = np.where(alive, 0, layer.silent + 1)
        layer.rows += array.shape[0]
        layer.calls += 1

    def finish(self) -> None:
        if not any(leaf.gathered for leaf in self.watch.everyone):
            return
        for layer in self.layers.values():
            dead = int((layer.silent >= self.PASSES).sum())
            rows = layer.rows * self.PASSES // max(layer.calls, 1)
            if dead < self.SHARE * layer.silent.size or rows < self.ROWS:
                continue
            leaf = next((leaf for leaf in self.watch.everyone if leaf.number == layer.depth - 1), None)
            if leaf is None or not leaf.gathered:
                continue
            least = int(np.sort(layer.silent)[-dead])
            self.found(
                layer.place,
                f"{dead} of {layer.silent.size} units after {leaf!r} were zero for all inputs of the last {least} of "
                f"{how_many(layer.calls, 'pass')}",
            )


@dataclass
class _Layer:
    place: Place
    silent: Any  # for each unit: calls in a row in which it was zero everywhere
    depth: int
    rows: int = 0
    calls: int = 0


class Vanishing(Rule):
    """The gradient shrinks from layer to layer, until the first ones learn nothing."""

    name = "vanishing-gradients"
    symptom = "The gradient of the first layers is smaller by orders of magnitude than that of the last: they do not learn."
    fix = "Use ReLU-like activations, normalisation, residual connections or a better initialisation."
    RATIO = 1e-7
    PASSES = 5

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.times: dict[tuple[str, int], int] = {}

    def after_backward(self, event: Backward) -> None:
        line = line_of(event.place)
        if line is None or not event.gathers:
            return
        sizes = [
            (norm(sink.grad._array) / math.sqrt(sink.grad._array.size), leaf)
            for sink, leaf in zip(event.sinks, event.leaves, strict=True)
            if sink.grad is not None and sink.grad._array.ndim >= 2 and sink.grad._array.size
        ]
        if len(sizes) < 4:
            return
        sizes.sort(key=lambda pair: pair[1].number)
        first, last = sizes[0], max(sizes[len(sizes) // 2 :], key=lambda pair: pair[0])
        # Orderly: every layer passes on less than the next one, apart from small deviations.
        falls = sum(a[0] < b[0] for a, b in pairwise(sizes))
        small = 0 < first[0] < self.RATIO * last[0] or (
            first[0] == 0 and 0 < sizes[1][0] < self.RATIO * last[0]
        )
        self.times[line] = self.times.get(line, 0) + 1 if small and falls >= 0.7 * (len(sizes) - 1) else 0
        if self.times[line] >= self.PASSES:
            self.found(
                event.place,
                f"in {how_many(self.PASSES, 'pass')} in a row; in the last the gradient's elements were {first[0]:.1e} "
                f"(root mean square) for {first[1]!r} and {last[0]:.1e} for {last[1]!r}",
            )


class Exploding(Rule):
    """A gradient so long that one step throws the parameters far away."""

    name = "exploding-gradients"
    symptom = (
        "The gradient grew by orders of magnitude: one step moves the parameters by many times their size."
    )
    fix = "Clip it before the step: clip_grad_norm_(parameters, 1.0); or make recurrent weights smaller."
    LARGE = 1e4  # of the gradient, against the parameters
    FAR = 1e2  # of the step, against the parameters

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.backward: tuple[Place, weakref.WeakSet[Any]] | None = None  # nothing is kept alive
        self.first: dict[Any, float] = {}

    def after_backward(self, event: Backward) -> None:
        if event.gathers:
            self.backward = event.place, weakref.WeakSet(event.sinks)

    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        last, self.backward = self.backward, None
        if last is None or closure or type(optimizer).__name__ != "SGD":
            return
        for group in optimizer.param_groups:
            for param in group["params"]:
                sink = sink_of(param)
                if sink is None or sink.grad is None or sink not in last[1]:
                    continue
                length = norm(sink.grad._array)
                first = self.first.setdefault(self.watch.leaf(sink), length)
                size = max(norm(param._array), 1.0)
                if (
                    not math.isfinite(length)
                    or length < self.LARGE * size
                    or length * group["lr"] < self.FAR * size
                ):
                    continue
                grown = (
                    f", {length / first:.1e} times that of the first pass" if length > 100 * first > 0 else ""
                )
                self.found(
                    last[0],
                    f"the gradient of {self.watch.leaf(sink)!r} has norm {length:.2e}{grown}; times the learning rate "
                    f"{group['lr']:g} it is {length * group['lr'] / size:.1e} times the parameter's own norm",
                )


@dataclass
class _Course:
    """The losses of one line of the program, one for each update."""

    place: Place
    losses: list[float] = field(default_factory=list)
    grads: list[float] = field(default_factory=list)
    flips: int = 0
    step: Place | None = None
    rate: float | None = None
    kind: str = ""
    done: bool = False


class _Courses(Rule):
    """Follows the losses of each line that runs backward."""

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.courses: dict[tuple[str, int], _Course] = {}
        self.current: _Course | None = None
        self.prints: dict[Leaf, Any] = {}

    def after_backward(self, event: Backward) -> None:
        line = line_of(event.place)
        self.current = None
        if (
            line is None
            or not event.gathers
            or len(event.losses) != 1
            or not isinstance(event.losses[0], float)
        ):
            return
        course = self.courses.setdefault(line, _Course(event.place))
        self.current = course
        if course.done or len(course.losses) >= 10_000:
            return
        course.losses.append(event.losses[0])
        grads = [sink.grad._array for sink in event.sinks if sink.grad is not None]
        course.grads.append(math.sqrt(sum(norm(g) ** 2 for g in grads)) if len(grads) < 1000 else math.nan)
        if not self.watch.seen["steps"]:  # updates by hand: the last write tells where
            course.step = next((sink.counter.where for sink in event.sinks if sink.counter.where), None)
        self.follow(course)

    def after_step(self, optimizer: Any, place: Place) -> None:
        if self.current is not None:
            self.current.step = place
            self.current.rate = float(optimizer.param_groups[0]["lr"])
            self.current.kind = type(optimizer).__name__

    def follow(self, course: _Course) -> None: ...


class RateTooHigh(_Courses):
    """Each step overshoots by more than it gains, and the loss grows without bound."""

    name = "learning-rate-too-high"
    symptom = "The loss grows from step to step: each step overshoots the minimum by more than the last one."
    fix = "Use a smaller learning rate (a tenth); check that the gradients are cleared and the inputs are normalised."
    ROW = 4  # times in a row
    TIMES = 100.0  # as large as at first

    def follow(self, course: _Course) -> None:
        losses = course.losses
        recent = losses[-self.ROW - 1 :]
        if len(recent) <= self.ROW or losses[0] <= 0 or any(loss <= 0 for loss in recent):
            return
        ends = not math.isfinite(recent[-1])
        before = recent[:-1] if ends else recent
        grows = all(a < b for a, b in pairwise(before))
        if grows and math.isfinite(before[-1]) and before[-1] > self.TIMES * max(losses[0], 1e-3):
            course.done = True
            rate = f" with lr={course.rate:g} ({course.kind})" if course.rate is not None else ""
            shape = ", ".join(f"{loss:.3g}" for loss in recent)
            self.found(
                course.step or course.place,
                f"the loss was {losses[0]:.3g} at first and then grew{rate}: {shape} in passes {len(losses) - self.ROW} to "
                f"{len(losses)}; backward() is on {shown(course.place)}: `{text_of(course.place)}`",
            )


class RateTooLow(_Courses):
    """Steps so short that nothing happens."""

    name = "learning-rate-too-low"
    symptom = "The loss falls at every step, and by almost nothing: the steps are much too short."
    fix = "Use a larger learning rate: ten times as large, until the loss begins to swing; then a third of that."
    PASSES = 20
    GAIN = 1e-3

    def finish(self) -> None:
        for course in self.courses.values():
            losses, grads = course.losses, course.grads
            if len(losses) < self.PASSES or course.rate is None or course.rate > 1e-4 or course.done:
                continue
            if (
                not all(map(math.isfinite, (*losses, *grads)))
                or losses[0] <= 0
                or losses[-1] <= 0
                or not grads[0]
            ):
                continue
            falling = all(a >= b for a, b in pairwise(losses)) and losses[-1] < losses[0]
            gain = (losses[0] - losses[-1]) / losses[0]
            # The gradient is as long as at first and no shorter than the loss is high: this is no minimum.
            steady = abs(grads[-1] / grads[0] - 1) < 10 * self.GAIN and grads[0] > 0.01 * losses[0]
            if falling and gain < self.GAIN and steady:
                self.found(
                    course.step or course.place,
                    f"in {how_many(len(losses), 'pass')} the loss fell from {losses[0]:.6g} to {losses[-1]:.6g} "
                    f"({gain:.1e} of it) with lr={course.rate:g} ({course.kind}), the gradient's norm from {grads[0]:.4g} to "
                    f"{grads[-1]:.4g}",
                )


RULES: tuple[type[Rule], ...] = (DeadUnits, Vanishing, RateTooHigh, Exploding, RateTooLow)
