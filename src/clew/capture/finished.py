"""A recording that has ended: its steps, where its values come from and where they go; and the steps run once more."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.capture.program import Ref, Step, alive, refs
from clew.capture.recorder import Recorder
from clew.capture.traced import METHODS, Number
from clew.core.node import AccumulateGrad, Freed
from clew.core.variable import Variable
from clew.optim.optimizer import Optimizer


class Recorded:
    """Steps, where their values come from and where they go.

    inputs: pairs (external tensor or number of an argument, name). result: the returned value, in which ("tensor", i) stands
    for `returned[i]`, a name and an edge. writes, grads, cleared: what is written to which tensor, becomes whose `.grad`,
    whose is None afterwards. samples: the shapes of what is drawn. with_grad: leaves, and whether they had a gradient.
    """

    def __init__(self, recorder: Recorder, steps: list[Step]) -> None:
        self.recorder = recorder
        self.steps = steps
        self.inputs: list[tuple[Any, int]] = []
        self.writes: list[tuple[Any, int]] = []
        self.grads: list[tuple[AccumulateGrad, int]] = []
        self.cleared: list[AccumulateGrad] = []
        self.returned: list[tuple[int, Any]] = []
        self.numbers: list[int] = []
        self.result: Any = None
        self.with_grad: list[tuple[AccumulateGrad, bool]] = []
        values = recorder.values
        drawn = [n for step in steps if step.effect for n in step.outs]
        self.samples = {n: (v.shape, v.dtype) for n in drawn if isinstance(v := values[n], np.ndarray)}
        self.work = sum(work_of(step, values) for step in steps)

    def wanted(self) -> set[int]:
        """The values that go out."""
        return {n for _, n in (*self.writes, *self.grads)} | {n for n, _ in self.returned} | set(self.numbers)


def work_of(step: Step, values: list[Any]) -> int:
    """How much a step computes, in numbers: of a matrix product a processor does some dozens of multiplications at a time."""
    made = sum(v.size for n in step.outs if isinstance(v := values[n], np.ndarray))
    first = step.args[0] if step.args else None
    if (
        METHODS.get(step.function) or getattr(step.function, "__name__", "")
    ) in _PRODUCTS and first.__class__ is Ref:
        made *= max(np.shape(values[first.name])[-1] // _AT_ONCE, 1)
    return made


_PRODUCTS, _AT_ONCE = {"dot", "matmul", "product", "small_product"}, 32


class Finished(Recorded):
    """A recording that has ended. rehearsal: of the backward pass of what it returns, where that has a graph."""

    def __init__(
        self, recorder: Recorder, result: Any, args: list[Variable], rehearsal: Rehearsal | None = None
    ) -> None:
        super().__init__(recorder, recorder.steps)
        self.rehearsal = rehearsal
        numbers = {id(a): i for i, a in enumerate(args)}
        found = recorder.settle()
        fresh = {id(tensor): traced for tensor, traced in found}
        by_array = recorder.externals
        made_by_optimizers = {n for s in self.steps if isinstance(s.function, Optimizer) for n in s.outs}
        old_grads = {id(g): sink for sink, g in recorder.sinks.items() if g is not None}
        sources: dict[int, Any] = {}
        for external in dict.fromkeys(by_array.values()):
            tensor = external.tensor
            if id(tensor) in numbers:
                source: Any = numbers[id(tensor)]
            elif id(tensor) in old_grads:
                source = old_grads[id(tensor)]
            else:
                source = tensor
            sources[id(tensor)] = source
            self.inputs.append((source, external.first))
            own = fresh.pop(id(tensor), None)
            last = external.traced.name if own is None else own.name
            if last != external.first and last not in made_by_optimizers:
                self.writes.append((source, last))
        for sink, before in recorder.sinks.items():
            grad = sink.grad
            if grad is None:
                if before is not None:
                    self.cleared.append(sink)
            elif grad is not before:
                traced = fresh.pop(id(grad), None)
                if traced is None:
                    recorder.fail("gives a parameter a gradient made by other means")
                else:
                    self.grads.append((sink, traced.name))
        self.with_grad = [(sink, g is not None) for sink, g in recorder.sinks.items()]
        self.seen: set[int] = set()
        self.result = self._tree(result, fresh, sources)
        if len(recorder.taken) != len(self.numbers):
            recorder.fail("takes a number out of a tensor (`.item()`) that it does not return")
        if not self.seen.issuperset(fresh):
            recorder.fail("keeps a tensor that it made elsewhere than in what it returns")
        self.gradients: list[tuple[Any, int | None]] = []  # of the rehearsal: whose, and its name
        if rehearsal is not None:
            self._settle(rehearsal, sources)
        recorder.holders.clear()

    def _settle(self, rehearsal: Rehearsal, sources: dict[int, Any]) -> None:
        """What a graph that is still to be used asks for besides."""
        if self.grads or self.cleared or any(isinstance(s.function, Optimizer) for s in self.steps):
            self.recorder.fail("trains, and returns a tensor whose graph is still to be used")
        if self.numbers:
            self.recorder.fail("returns a number beside a tensor whose graph is still to be used")
        self.with_grad = []
        self.gradients = [(sources[id(tensor)], name) for tensor, name in rehearsal.gradients]
        rehearsal.gradients = []

    def _tree(self, value: Any, fresh: dict[int, Any], sources: dict[int, Any]) -> Any:
        if isinstance(value, Variable):
            traced = fresh.get(id(value))
            self.seen.add(id(value))
            view = value._view
            while view is not None:  # what it is a view of is alive because of it
                self.seen.add(id(view.base))
                view = view.base._view
            if traced is None:
                if id(value) not in sources:
                    self.recorder.fail("returns a tensor that it did not compute")
                    return None
                return "external", sources[id(value)]
            edge = value._edge
            if self.rehearsal is not None and traced.name in self.rehearsal.cotangents:
                edge = None
            elif edge is not None and not used_up(edge[0]):
                self.recorder.fail("returns a tensor whose graph is still to be used")
            self.returned.append((traced.name, edge))
            return "tensor", len(self.returned) - 1
        if value.__class__ is Number:
            self.numbers.append(value.name)
            return "number", value.name
        if value.__class__ in (tuple, list):
            return value.__class__, tuple([self._tree(v, fresh, sources) for v in value])
        if value.__class__ is dict:
            return dict, tuple([(k, self._tree(v, fresh, sources)) for k, v in value.items()])
        if isinstance(value, (int, float, str, bool, type(None), complex)):
            return "constant", value
        self.recorder.fail(f"returns a {type(value).__name__}")
        return None

    def let_go(self) -> None:
        """Keep the steps, and none of the numbers."""
        self.recorder.values = []
        self.recorder.externals = {}

    def wanted(self) -> set[int]:
        return super().wanted() | {name for _, name in self.gradients if name is not None}

    def shape(self) -> Any:
        """What must be the same of two recordings besides their steps."""

        def mark(source: Any) -> Any:
            return source if isinstance(source, int) else id(source)

        return (
            [(mark(s), n) for s, n in self.inputs], [(mark(s), n) for s, n in self.writes], [(id(s), n) for s, n in self.grads],
            [id(s) for s in self.cleared], repr(self.result), [n for n, _ in self.returned],
            [(mark(s), n) for s, n in self.gradients], self.rehearsal and (self.rehearsal.middle, self.rehearsal.cotangents),
        )  # fmt: skip


class Rehearsal:
    """A backward pass that was recorded behind the function: from which step on, from which cotangents, to which gradients.

    cotangents: by the names of the returned values. gradients: tensors that were there before, with the names of theirs.
    """

    def __init__(self, middle: int) -> None:
        self.middle = middle
        self.cotangents: dict[int, int] = {}
        self.gradients: list[tuple[Variable, int | None]] = []


def used_up(node: Any) -> bool:
    """Whether backward has been through a graph, so that nothing of it is needed any more."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.__class__ is AccumulateGrad or (node.primitive.frees and node.saved.__class__ is not Freed):
            return False
        if not node.primitive.frees:
            stack += [
                edge[0] for edge in node.edges if edge is not None and edge[0].__class__ is not AccumulateGrad
            ]
    return True


def replay(recording: Finished) -> str | None:
    """Run the steps again on the values that the recording began with; None where all that goes out is the same."""
    recorded = recording.recorder.values
    values: dict[int, Any] = {name: recorded[name] for _, name in recording.inputs}
    if recording.rehearsal is not None:
        values.update({name: recorded[name] for name in recording.rehearsal.cotangents.values()})
    wanted = recording.wanted()

    def real(value: Any) -> Any:
        if value.__class__ is Ref:
            return values[value.name]
        if value.__class__ in (tuple, list):
            return value.__class__([real(v) for v in value])
        if value.__class__ is dict:
            return {k: real(v) for k, v in value.items()}
        if value.__class__ is slice:
            return slice(real(value.start), real(value.stop), real(value.step))
        return value

    steps = alive(recording.steps, wanted)
    last = {name: i for i, step in enumerate(steps) for name in (*refs(step.args), *refs(step.kwargs))}
    for i, step in enumerate(steps):
        if step.effect:
            values.update({n: recorded[n] for n in step.outs})
            continue
        made = step.function(*real(step.args), **real(step.kwargs))
        values.update(zip(step.outs, made if len(step.outs) > 1 else (made,), strict=True))
        for name in {*refs(step.args), *refs(step.kwargs)} - wanted:
            if last[name] == i:
                del values[name]
    for name in wanted:
        a, b = np.asarray(values[name]), np.asarray(recorded[name])
        if (
            a.dtype != b.dtype
            or a.shape != b.shape
            or not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        ):
            return "the recorded steps do not give the same numbers again"
    return None


__all__ = ["Finished", "Recorded", "Rehearsal", "replay", "used_up"]
