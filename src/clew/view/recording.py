"""Watching a program, so that its graph can be drawn with the numbers that went through it.

    with clew.view.Recording() as seen:
        train()
    seen.graph().save("last.html")

A backward pass frees what the nodes saved, and an update overwrites the leaves: what was there is noted while it is.
Nodes are held weakly, except those of the last backward pass.
"""

from __future__ import annotations

import sys
import traceback
import weakref
from collections.abc import Callable, Sequence
from threading import get_ident
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from clew.core.engine import Walk, fit, reachable
from clew.core.modes import observers
from clew.core.node import AccumulateGrad, Edge, Freed, Node, internal
from clew.core.variable import Variable
from clew.core.version import Place
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.tensor import Tensor
from clew.view.data import Graph, Stats, stats_of
from clew.view.names import Names, names_in, user_frames
from clew.view.saved import local_slopes, saved_bytes

__all__ = ["Failure", "Given", "Pass", "Recorded", "Recording"]

active: list[Recording] = []  # recordings that run, the innermost last
_MISSING = object()
TOP = ":"  # between the number of a module called from outside all others and a path in it
Calls = tuple[tuple[str, int], ...]


Held = Any  # a NumPy scalar, a copy of an array, or `Stats`: see `Holder`
COPIED = 1 << 27  # bytes of values copied between two backward passes; what comes after is summed up at once


class Holder:
    """Keeps what an array holds now: as a copy, which costs least, and as a summary where that would take much memory."""

    def __init__(self) -> None:
        self.bytes = 0

    def hold(self, array: Any) -> Held:
        if not isinstance(array, np.ndarray):
            return array
        self.bytes += array.nbytes
        return array.copy() if self.bytes < COPIED else stats_of(array)


def summed_up(held: Held) -> Stats | None:
    """The summary of what was held."""
    return held if held is None or isinstance(held, Stats) else stats_of(held)


def _nothing() -> None:
    return None


class Given:
    """An input of an operation through which no gradient goes: a number, or a tensor without history."""

    __slots__ = ("array", "cut", "frozen", "number", "value")

    def __init__(self, value: Any, holder: Holder) -> None:
        self.number: Any = None
        self.array: Callable[[], Any] = _nothing
        self.value: Held = None
        self.frozen = False
        self.cut: Cut | None = None
        if isinstance(value, Variable):
            array = value._array
            self.array = weakref.ref(array) if isinstance(array, np.ndarray) else lambda: array
            self.value = holder.hold(array)
            self.frozen = isinstance(value, Parameter)
        else:
            self.number = value


class Cut:
    """Where a tensor lost its history."""

    __slots__ = ("name", "node", "place", "ref")

    def __init__(self, tensor: Any, source: Any, place: Place, name: str) -> None:
        self.ref = weakref.ref(tensor)
        self.node = weakref.ref(source)
        self.place = place
        self.name = name  # "detach" or "data"


class Recorded:
    """What was noted of an operation when it was recorded."""

    __slots__ = ("calls", "given", "nbytes", "values")

    def __init__(self, values: tuple[Held, ...], given: dict[int, Given], calls: Calls, nbytes: int):
        self.values = values
        self.given = given
        self.calls = calls
        self.nbytes = nbytes


class Pass:
    """One backward pass: what flowed where."""

    def __init__(self, number: int, roots: Sequence[Edge], place: Place, names: Names) -> None:
        self.number = number
        self.roots = list(roots)
        self.place = place
        self.names = names
        self.root_names = tuple(name for edge in roots for name in names.of(edge))
        self.grads: dict[Node, Held] = {}
        self.flows: dict[tuple[Node, int], Held] = {}
        self.locals: dict[tuple[Node, int], float] = {}
        self.seen: list[Node] = []
        self.leaf_values: dict[Node, Held] = {}
        self.leaf_grads: dict[Node, Held] = {}
        self.mutated: set[Node] = set()
        self.error: BaseException | None = None
        self.culprit: Node | None = None
        self.modules: list[tuple[str, Any]] = []


class Failure:
    """The line at which the program failed, and what its variables there hang on."""

    def __init__(
        self, error: BaseException, place: tuple[str, int] | None, roots: list[Edge], names: Names
    ) -> None:
        text = str(error).strip()
        self.message = f"{type(error).__name__}: {text}" if text else type(error).__name__
        self.place = place
        self.roots = roots
        self.names = names


class Recording:
    """A context that notes every operation's result and what each backward pass carries.

    backward: the number of the backward pass to keep, from 1; name: the variable it starts from; otherwise the last.
    Costs a copy of each result and gradient: small programs take about four times as long.
    """

    def __init__(self, backward: int | None = None, name: str | None = None) -> None:
        if backward is not None and backward < 1:
            raise ValueError(f"backward passes are numbered from 1, not {backward}")
        self.wanted = backward
        self.name = name
        self.notes: weakref.WeakKeyDictionary[Node, Recorded] = weakref.WeakKeyDictionary()
        self.holder = Holder()
        self.kept: Pass | None = None
        self.failure: Failure | None = None
        self.interrupted = False
        self.passes = 0
        self.operations = 0
        self.latest: Node | None = None
        self.classes: dict[str, str] = {}  # class of each module by path
        self.cuts: dict[int, Cut] = {}
        self._calls: list[tuple[str, int]] = []
        self._depth = 0
        self._paths: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._containers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._tops: dict[int, tuple[str, Any]] = {}
        self._walking: list[Pass | None] = []
        self._thread = get_ident()  # calls and backward passes of other threads are not watched
        self._undo: list[tuple[Any, str, Any]] = []

    # ---- beginning and end ---------------------------------------------------------------------------------------------
    def __enter__(self) -> Recording:
        active.append(self)
        self._thread = get_ident()
        observers.append(self._observe)
        self._replace(Walk, "run", self._run(Walk.run))
        self._replace(Walk, "_pull", self._pull(Walk._pull))
        self._replace(Module, "__call__", self._call(Module.__call__))
        self._replace(Tensor, "detach", self._detach(Tensor.detach))
        data: Any = vars(Tensor)["data"]
        self._replace(Tensor, "data", property(self._detach(data.fget, "data"), data.fset))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        active.remove(self)
        observers.remove(self._observe)
        while self._undo:
            owner, name, value = self._undo.pop()
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        if isinstance(error, KeyboardInterrupt):
            self.interrupted = True
        elif error is not None and not isinstance(error, SystemExit | GeneratorExit):
            self.failure = self._failed(error)

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        self._undo.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def graph(self, roots: Any = None, *, params: Any = None, budget: int = 5000) -> Graph:
        """The graph of the kept backward pass (or of `roots`), with the numbers that were seen."""
        from clew.view.record import graph

        return graph(roots, params=params, budget=budget, recording=self)

    # ---- forward -------------------------------------------------------------------------------------------------------
    def _observe(self, node: Any, inputs: Sequence[Any], results: Sequence[Any]) -> None:
        """The observer of recorded operations."""
        self.operations += 1
        self.latest = node
        hold = self.holder.hold
        values = tuple([hold(r._array) if isinstance(r, Variable) else None for r in results])
        given = {}
        if len(inputs) == len(node.edges):
            for index, (edge, value) in enumerate(zip(node.edges, inputs, strict=True)):
                if edge is None and value is not None:
                    given[index] = held = Given(value, self.holder)
                    cut = self.cuts.get(id(value))
                    if cut is not None and cut.ref() is value:
                        held.cut = cut
        calls = tuple(self._calls) if get_ident() == self._thread else ()
        self.notes[node] = Recorded(values, given, calls, saved_bytes(node))

    def _call(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(module: Any, *args: Any, **kwargs: Any) -> Any:
            if get_ident() != self._thread:
                return call(module, *args, **kwargs)
            top = not self._depth
            if top:
                self._begin(module)
            path = self._paths.get(id(module))
            if path is None:  # no part of the module that was called first
                outer = self._calls[-1][0] if self._calls else ""
                path = f"{outer}.{type(module).__name__}" if outer else type(module).__name__
                self._paths[id(module)] = path
            inside = bool(path) and path[-1] != TOP
            if inside:
                number = self._numbers[path] = self._numbers.get(path, -1) + 1
                self.classes[path] = type(module).__name__
                self._calls.append((path, number))
            self._depth += 1
            try:
                return call(module, *args, **kwargs)
            finally:
                self._depth -= 1
                if inside:
                    self._calls.pop()

        return called

    def _begin(self, module: Any) -> None:
        """A module is called from outside every other: learn the paths in it."""
        children = list(module.named_modules())
        if len(children) > 1:
            number = self._containers.setdefault(module, len(self._containers))
            self._paths = {id(child): f"{number}{TOP}{path}" for path, child in children}
        else:  # nothing in it: it goes by its class
            self._paths = {id(module): type(module).__name__}
        if any(True for _ in module.parameters()):
            self._tops[id(module)] = (type(module).__name__.lower(), module)

    def _detach(self, detach: Callable[..., Any], name: str = "detach") -> Callable[..., Any]:
        def detached(tensor: Any) -> Any:
            result = detach(tensor)
            frame = sys._getframe(1)
            edge = tensor._edge
            if edge is not None and not internal[frame.f_code.co_filename]:
                if len(self.cuts) > 1000:
                    self.cuts = {key: cut for key, cut in self.cuts.items() if cut.ref() is not None}
                self.cuts[id(result)] = Cut(result, edge[0], (frame.f_code, frame.f_lasti), name)
            return result

        return detached

    # ---- backward ------------------------------------------------------------------------------------------------------
    def _run(self, run: Callable[..., None]) -> Callable[..., None]:
        def watched(walk: Any, roots: Any, place: Place) -> None:
            if get_ident() != self._thread:
                run(walk, roots, place)
                return
            if self._walking:  # of a hook, or a checkpoint that computes anew: part of the pass that is on
                self._walking.append(None)
                try:
                    run(walk, roots, place)
                finally:
                    self._walking.pop()
                return
            self.passes += 1
            self.holder.bytes = 0
            found = self._begin_pass([edge for edge, _ in roots], place)
            self._walking.append(found)
            try:
                run(walk, roots, place)
            except BaseException as error:
                if found is not None:
                    self._stopped(found, error)
                raise
            finally:
                self._walking.pop()
                if found is not None:
                    self._end_pass(found, walk)

        return watched

    def _begin_pass(self, roots: list[Edge], place: Place) -> Pass | None:
        if self.wanted is not None and self.passes != self.wanted:
            return None
        names = names_in(user_frames(sys._getframe(2)))
        found = Pass(self.passes, roots, place, names)
        if self.name is not None and self.name not in found.root_names:
            return None
        found.modules = [*self._tops.values()]
        self._tops = {}
        for node in reachable([edge[0] for edge in roots]):
            if isinstance(node, AccumulateGrad):
                found.leaf_values[node] = self.holder.hold(node.array)
            else:
                node.more()  # makes the walk go through `_pull`
                if any(version.n != tick for version, tick in node.versions):
                    found.mutated.add(node)
        return found

    def _end_pass(self, found: Pass, walk: Any) -> None:
        for sink in found.leaf_values:
            grad: Any = sink.grad  # type: ignore[attr-defined]
            got = walk.captured.get((sink, 0)) if grad is None or not walk.gather else None
            if got is None:
                got = grad
            if got is not None:
                found.leaf_grads[sink] = self.holder.hold(getattr(got, "_array", got))
        self.kept = found

    def _pull(self, pull: Callable[..., Any]) -> Callable[..., Any]:
        def watched(walk: Any, node: Any, g: Any) -> Any:
            found = self._walking[-1] if self._walking and get_ident() == self._thread else None
            if found is None:
                return pull(walk, node, g)
            try:
                pulled = pull(walk, node, g)
            except BaseException:
                if found.culprit is None:
                    found.culprit = node
                raise
            self._flowed(found, walk, node, pulled)
            return pulled

        return watched

    def _flowed(self, found: Pass, walk: Any, node: Any, pulled: Any) -> None:
        gradients, arrived = pulled
        found.seen.append(node)
        if node.outputs > 1:
            arrived = next((g for g in arrived if g is not None), None)
        if arrived is not None:
            found.grads[node] = self.holder.hold(getattr(arrived, "_array", arrived))
        metas = node.metas
        for index, edge in enumerate(node.edges):
            gi = None if gradients is None or edge is None else gradients[index]
            if gi is None or (walk.needed is not None and edge[0] not in walk.needed):
                continue
            gi = getattr(gi, "_array", gi)
            if metas is not None and metas[index] is not None:
                gi = fit(gi, *metas[index])
            found.flows[node, index] = self.holder.hold(gi)
        if np.size(arrived) == 1 and found.grads.get(node) == 0:
            for index, slope in local_slopes(node).items():
                found.locals[node, index] = slope

    def _stopped(self, found: Pass, error: BaseException) -> None:
        """The pass failed: the culprit is the node that failed, or the next whose saved values are not as they were."""
        found.error = error
        if found.culprit is None and isinstance(error, Exception):
            done = set(found.seen)
            waiting = [n for n in reachable([edge[0] for edge in found.roots]) if n not in done]
            found.culprit = next(
                (n for n in waiting if n in found.mutated or n.saved.__class__ is Freed), None
            )

    # ---- failure -------------------------------------------------------------------------------------------------------
    def _failed(self, error: BaseException) -> Failure:
        frames = [
            (frame, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if not internal[frame.f_code.co_filename]
        ]
        if not frames:
            return Failure(error, None, [], Names())
        frame, line = frames[-1]
        names = names_in(reversed([frame for frame, _ in frames]))
        place = (frame.f_code.co_filename, line)
        if self.kept is not None and self.kept.error is error:
            return Failure(error, place, [], names)
        roots = _hung_on(frame, error)
        if not roots and self.latest is not None:
            last = -1 if self.kept is None else max(edge[0].seq for edge in self.kept.roots)
            if self.latest.seq > last:  # recorded since the last backward pass
                roots = [(self.latest, 0)]
        return Failure(error, place, roots, names)


def _hung_on(frame: FrameType, error: BaseException) -> list[Edge]:
    """Where the variables come from that the failing line names."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame is not frame:
        trace = trace.tb_next
    if trace is None:
        return []
    positions = list(frame.f_code.co_positions())
    line = trace.tb_lineno
    used = {
        instruction
        for instruction, position in zip(_instructions(frame), positions, strict=False)
        if position[0] is not None and position[0] <= line <= (position[1] or position[0])
    }
    found = []
    for name in sorted(name for name in used if name):
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        if isinstance(value, Variable) and value._edge is not None and value._edge not in found:
            found.append(value._edge)
    return found


def _instructions(frame: FrameType) -> list[str | None]:
    """For every code unit of a frame the variable that its instruction loads."""
    import dis

    size = len(frame.f_code.co_code) // 2
    loads: list[str | None] = [None] * size
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.opname.startswith("LOAD_") and isinstance(instruction.argval, str):
            loads[instruction.offset // 2] = instruction.argval
    return loads
