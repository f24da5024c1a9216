"""Functions that return a graph, such as a net's forward: their forward and their backward as two programs.

While such a function is recorded, the backward pass is rehearsed on what it returned, with made-up cotangents: the steps up
to there are the forward program, those behind it the backward program. What the second needs of the first is returned by it,
too, and saved. In the graph both together are one node. (The same split as in AOTAutograd and in JAX's `vjp`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from clew.autograd.function import Function
from clew.capture.finished import Finished, Recorded, Rehearsal, used_up
from clew.capture.program import Ref, Step, alive, refs
from clew.capture.recorder import Changed, Recorder
from clew.capture.runnable import Program
from clew.capture.traced import Traced
from clew.core.engine import Walk
from clew.core.modes import is_grad_enabled
from clew.core.node import AccumulateGrad, Edge, Node, user_place
from clew.core.variable import Variable

TWICE = "torch.compile with aot_autograd does not currently support double backward"
_slot: Any = Variable.__dict__["_array"]


class CannotSplit(Exception):
    """Why a forward and its backward cannot be two programs."""


# ---- the rehearsal ---------------------------------------------------------------------------------------------------------
def rehearse(recorder: Recorder, result: Any) -> Rehearsal | None:
    """Record the backward pass of what a recorded function returned; None where it returned no graph."""
    roots = {
        id(t): t
        for t in tensors_in(result)
        if t._edge is not None and type(_slot.__get__(t)) is Traced and not used_up(edge_of(t)[0])
    }
    if not roots or recorder.failure is not None:
        return None
    outer = list({id(e.tensor): e.tensor for e in recorder.externals.values() if e.tensor.edge()}.values())
    edges = [edge_of(tensor) for tensor in outer]
    ends = {edge[0] for edge in edges}
    reason = _unfit([edge_of(root)[0] for root in roots.values()], ends)
    if reason is not None:
        recorder.fail(reason)
        return None
    found = Rehearsal(len(recorder.steps))
    start: list[tuple[Edge, Any]] = []
    for tensor in roots.values():
        traced = _slot.__get__(tensor)
        cotangent = recorder.new(_noise(traced.value, len(start)))
        found.cotangents[traced.name] = cotangent.name
        start.append((edge_of(tensor), cotangent))
    walk = Walk(True, False, list(dict.fromkeys(edges)))
    with _cut(ends):
        walk.run(start, user_place(2))
    for tensor, edge in zip(outer, edges, strict=True):
        gradient = walk.captured.get(edge)
        if gradient is not None and type(gradient) is not Traced:
            recorder.fail("has a gradient that is a constant")
            return None
        found.gradients.append((tensor, None if gradient is None else gradient.name))
    return found


def edge_of(tensor: Variable) -> Edge:
    edge = tensor.edge()
    assert edge is not None
    return edge


def tensors_in(value: Any) -> Iterator[Variable]:
    """The tensors of a nested result."""
    if isinstance(value, Variable):
        yield value
    elif isinstance(value, (tuple, list)):
        for v in value:
            yield from tensors_in(v)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def _noise(like: Any, seed: int) -> Any:
    """A made-up cotangent."""
    drawn = np.random.default_rng(seed).standard_normal(like.shape)
    return like.dtype.type(drawn) if like.__class__ is not np.ndarray else drawn.astype(like.dtype)


def _unfit(roots: Sequence[Node], ends: set[Node]) -> str | None:
    """What of the graph between the results and what was there before cannot be rehearsed."""
    stack, seen = list(roots), set(roots) | ends
    if ends.intersection(roots):
        return "returns what it was given"
    while stack:
        node = stack.pop()
        if node.__class__ is AccumulateGrad:
            return "makes a tensor that requires grad"
        extras = node.extras
        if extras is not None and (
            extras.tensor_hooks or extras.retained or extras.pre_hooks or extras.post_hooks or extras.packed
        ):
            return "has hooks on what it computes"
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return None


@contextmanager
def _cut(ends: set[Node]) -> Iterator[None]:
    """Let a backward pass end at some nodes: what is beyond them, and their hooks, are for the real one."""
    held = [(n, n.edges, n.extras, n.versions, n.saved, n.metas) for n in ends]
    for node in ends:
        node.edges, node.extras, node.versions, node.saved, node.metas = (), None, (), (), None
    try:
        yield
    finally:
        for node, *before in held:
            node.edges, node.extras, node.versions, node.saved, node.metas = before


# ---- the split ---------------------------------------------------------------------------------------------------------------
class Split:
    """A recording as two.

    extra: what the forward returns besides, for the backward. given: what the backward is called with, ("saved", i) of what
    the forward returned, ("arg", i), ("cotangent", i) of a returned value. watched: further tensors that must not be written
    in between. aliases: returned values that share memory with saved ones.
    """

    def __init__(self, finished: Finished) -> None:
        rehearsal, values = finished.rehearsal, finished.recorder.values
        assert rehearsal is not None
        self.finished, self.values = finished, values
        self.front, behind = finished.steps[: rehearsal.middle], finished.steps[rehearsal.middle :]
        if any(step.effect for step in behind):
            raise CannotSplit("draws random numbers or decides by values in its backward pass")
        self.gradients = [(source, name) for source, name in finished.gradients if name is not None]
        self.behind = alive(behind, {name for _, name in self.gradients})
        self.sources = {name: source for source, name in finished.inputs}
        needed = self._needed(set(rehearsal.cotangents.values()))
        outs = [name for name, _ in finished.returned]
        own = [name for name in needed if name not in self.sources]
        self.extra = [name for name in own if name not in outs]
        self._check(needed, outs)
        returned = [*outs, *self.extra]
        self.saved = [returned.index(name) for name in own]
        self.watched = [self.sources[name] for name in needed if name in self.sources]
        self.given: list[tuple[str, int]] = [("saved", i) for i in self.saved]
        names = list(own)
        for name in needed:
            source = self.sources.get(name)
            if isinstance(source, int):
                self.given.append(("arg", source))
                names.append(name)
        for i, name in enumerate(outs):
            if name in rehearsal.cotangents:
                self.given.append(("cotangent", i))
                names.append(rehearsal.cotangents[name])
        self.aliases = [
            (i, j)
            for i in range(len(outs))
            for j in self.saved
            if i != j and _overlap(values[returned[i]], values[returned[j]])
        ]
        self.forward = self._part(self.front, finished.inputs, returned)
        self.forward.writes = finished.writes
        fixed = [
            (source, name) for name, source in self.sources.items()
            if name in needed and not isinstance(source, int)
        ]  # fmt: skip
        inputs = [*fixed, *((i, name) for i, name in enumerate(names))]
        self.backward = self._part(self.shown + self.behind, inputs, [name for _, name in self.gradients])

    def _part(self, steps: list[Step], inputs: Sequence[tuple[Any, int]], returned: list[int]) -> Recorded:
        part = Recorded(self.finished.recorder, steps)
        part.inputs = list(inputs)
        part.returned = [(name, None) for name in returned]
        part.result = tuple, tuple([("tensor", i) for i in range(len(returned))])
        return part

    def _needed(self, known: set[int]) -> dict[int, None]:
        """The values that the backward needs of the forward. Views are made anew (`shown`): only what they show is kept."""
        known |= {n for step in self.behind for n in step.outs}
        made = {n: step for step in self.front for n in step.outs}
        asked = [n for step in self.behind for n in (*refs(step.args), *refs(step.kwargs))]
        stack = [n for n in (*asked, *(name for _, name in self.gradients)) if n not in known]
        shown: dict[int, Step] = {}
        found: dict[int, None] = {}
        while stack:
            name = stack.pop()
            step = made.get(name)
            if step is None or not self._shows(step):
                found[name] = None
            elif id(step) not in shown:
                shown[id(step)] = step
                stack += [*refs(step.args), *refs(step.kwargs)]
        self.shown = [step for step in self.front if id(step) in shown]
        return dict.fromkeys(sorted(found))

    def _shows(self, step: Step) -> bool:
        """Whether a step only makes views of its first argument."""
        first = step.args[0] if step.args else None
        return (
            first.__class__ is Ref
            and not step.effect
            and all(_overlap(self.values[n], self.values[first.name]) for n in step.outs)
        )

    def _check(self, needed: dict[int, None], outs: list[int]) -> None:
        """CannotSplit where memory that changes hands would be kept."""
        externals = dict.fromkeys(self.finished.recorder.externals.values())
        written = [e.array for e in externals if e.before is not None]
        tensors = {id(s) for s, _ in self.finished.writes}
        for name in needed:
            source = self.sources.get(name)
            if id(source) in tensors or any(_overlap(self.values[name], array) for array in written):
                raise CannotSplit("overwrites what its backward pass needs")
        if any(_overlap(self.values[name], e.array) for name in outs for e in externals):
            raise CannotSplit("returns a view of what it was given")


def _overlap(a: Any, b: Any) -> bool:
    return a.__class__ is np.ndarray and b.__class__ is np.ndarray and bool(np.may_share_memory(a, b))


# ---- running -------------------------------------------------------------------------------------------------------------------
class Half:
    """One of the two programs: Python's, until it has run often enough to be made a kernel."""

    def __init__(self, program: Program, kernel_after: int) -> None:
        self.program = program
        self.left = self.again = kernel_after

    def __call__(self, *tensors: Variable) -> Sequence[Variable]:
        fast = self.program.fast
        made: Sequence[Variable] = self._slow(tensors, {}) if fast is None else fast(self, *tensors)
        return made

    def _slow(self, tensors: tuple[Variable, ...], kwargs: dict[str, Any]) -> Any:
        self.left -= 1
        if self.left:
            return self.program.run(tensors)
        self.again = self.left = 4 * self.again
        return self.program.fuse((None, {}, [], []), tensors)

    def function(self, *tensors: Variable) -> Any:
        """For a kernel that finds a decision changed."""
        raise Changed


class CompiledFunction(Function):
    """A captured function in the graph."""

    @staticmethod
    def forward(ctx: Any, graphed: Graphed, args: Sequence[Variable], *inputs: Variable) -> Any:
        split = graphed.split
        made = graphed.forward(*args)
        ctx.graphed = graphed
        outs = tuple(made[: graphed.count])
        ctx.mark_non_differentiable(*[outs[i] for i in graphed.flat])
        ctx.save_for_backward(
            *[made[i] for i in split.saved], *[held(source, args) for source in split.watched]
        )
        ctx.args = [args[i] for kind, i in split.given if kind == "arg"]
        for i, j in split.aliases:
            made[i]._counter = made[j].version()
        return outs

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        if is_grad_enabled():
            raise RuntimeError(TWICE)
        graphed = ctx.graphed
        split, saved = graphed.split, ctx.saved_tensors[: len(graphed.split.saved)]
        given = [cotangents[i] for kind, i in split.given if kind == "cotangent"]
        made = iter(graphed.backward(*saved, *ctx.args, *given))
        gradients = [None if name is None else next(made) for _, name in graphed.gradients]
        return None, None, *gradients


def held(source: Any, args: Sequence[Variable]) -> Any:
    """What a source stands for in one call."""
    return args[source] if isinstance(source, int) else source


class Graphed:
    """A function that returns a graph, made ready: `run(args)`, `source` to read."""

    fast: Callable[..., Any] | None = None

    def __init__(
        self, finished: Finished, names: dict[int, str], title: str, holds: Callable[[Any], bool], kernel_after: int
    ) -> None:  # fmt: skip
        self.holds = holds
        self.ready: Callable[[Any], bool] | None = None
        self.split = split = Split(finished)
        assert finished.rehearsal is not None
        differentiable = finished.rehearsal.cotangents
        self.count = len(finished.returned)
        self.flat = [i for i, (name, _) in enumerate(finished.returned) if name not in differentiable]
        self.result, self.gradients = finished.result, finished.gradients
        ahead = Program(split.forward, names, title, holds)
        spoken = {i: self._called(kind, number, ahead, names) for i, (kind, number) in enumerate(split.given)}
        behind = Program(split.backward, {**names, **spoken}, f"{title}_backward", holds)
        self.forward, self.backward = Half(ahead, kernel_after), Half(behind, kernel_after)
        split.values = split.front = split.shown = split.behind = []

    def _called(self, kind: str, number: int, ahead: Program, names: dict[int, str]) -> str:
        """What the backward program calls what it is given."""
        if kind == "arg":
            return names.get(number, f"arg{number}")
        if kind == "cotangent":
            return "g" if self.count == 1 else f"g{number}"
        return ahead.writer.name(ahead.recording.returned[number][0])

    def run(self, args: Sequence[Variable]) -> Any:
        inputs = [held(source, args) for source, _ in self.gradients]
        outs = CompiledFunction.apply(self, args, *inputs)
        return self._assembled(self.result, outs, args)

    def _assembled(self, tree: Any, outs: Sequence[Variable], args: Sequence[Variable]) -> Any:
        kind, value = tree
        if kind == "tensor":
            return outs[value]
        if kind == "external":
            return value.grad if isinstance(value, AccumulateGrad) else held(value, args)
        if kind == "constant":
            return value
        if kind is dict:
            return {k: self._assembled(v, outs, args) for k, v in value}
        return kind([self._assembled(v, outs, args) for v in value])

    @property
    def source(self) -> str:
        return self.forward.program.source + "\n\n" + self.backward.program.source

    @property
    def kernel(self) -> str:
        return "\n\n".join(
            half.program.kernel for half in (self.forward, self.backward) if half.program.kernel
        )

    @property
    def why(self) -> str:
        return self.forward.program.why or self.backward.program.why


__all__ = ["CannotSplit", "Graphed", "rehearse"]
