"""`torch.compile` of a function: the first two calls are recorded as they run; from the third on the program runs.

Two recordings must be the same, and the program must give the numbers of the run that it was recorded from. Otherwise,
and for whatever cannot be recorded, the function runs as it is, and says once why (`fullgraph=True`: an error).
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.capture.finished import Finished, replay
from clew.capture.graphed import CannotSplit, Graphed, rehearse
from clew.capture.guards import code_of, conditions, rebound, side_effect
from clew.capture.program import difference
from clew.capture.recorder import Changed, recording
from clew.capture.runnable import Program
from clew.capture.source import identifier
from clew.capture.traced import Number
from clew.core.modes import observers, recordings, switches, transforms
from clew.core.node import source_line
from clew.core.variable import Variable
from clew.nn.module import Module

_RECORDINGS = 8  # of one kind of call, before a function is left as it is
KERNEL_AFTER, KERNEL_AGAIN = 16, 64  # runs of a program before it is made a kernel, and made one anew
_PROGRAMS = 8  # kept of one kind of call: for training, for evaluation …


class Unsupported(RuntimeError):
    """With `fullgraph=True`: what cannot be captured, and the line."""


class _Foreign(Exception):
    """An argument whose contents no key can tell."""


# ---- what comes in --------------------------------------------------------------------------------------------------------
def flatten(value: Any, tensors: list[Variable]) -> Any:
    """A call's arguments as a key; the tensors among them are collected."""
    if isinstance(value, Variable):
        tensors.append(value)
        array = value._array
        return array.dtype, array.shape, array.strides, value._edge is not None
    kind = value.__class__
    if kind is np.ndarray:
        raise _Foreign("is given a NumPy array")
    if kind is tuple or kind is list:
        return kind, tuple([flatten(v, tensors) for v in value])
    if kind is dict:
        return kind, tuple([(k, flatten(v, tensors)) for k, v in value.items()])
    if kind in (int, float, bool, str, complex, bytes) or value is None:
        return kind, value
    return kind, id(value)


def plain(value: Any) -> Any:
    """A result with ordinary numbers in it."""
    if value.__class__ is Number:
        return float.__float__(value)
    if value.__class__ in (tuple, list):
        return value.__class__([plain(v) for v in value])
    if value.__class__ is dict:
        return {k: plain(v) for k, v in value.items()}
    return value


# ---- the face ------------------------------------------------------------------------------------------------------------
class Entry:
    """What is known of one kind of call."""

    __slots__ = ("count", "eager", "last", "programs")

    def __init__(self) -> None:
        self.programs: list[Program | Graphed] = []
        self.last: Finished | None = None
        self.count = 0
        self.eager = False


class Compiled:
    """A function that is recorded and then run as a program. `source`: the latest program, to read."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool) -> None:
        self.function = function
        self.fullgraph = fullgraph
        self.entries: dict[Any, Entry] = {}
        self.latest: Program | Graphed | None = None
        code = code_of(function)
        self.reason = None if code is None else side_effect(code, outer=True)
        self.told = False
        self.__class__ = type(
            "Compiled", (Compiled,), {}
        )  # a class of its own: a kernel becomes its `__call__`
        self.ready: Callable[[Any], bool] | None = None
        self.run: Callable[[Any], Any] = function
        functools.update_wrapper(
            self, function, updated=() if isinstance(function, Module) else ("__dict__",)
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._slow(args, kwargs)

    def _slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call for which no kernel is at hand."""
        if recordings or observers or transforms:
            return self.function(*args, **kwargs)
        ready = self.ready
        if ready is not None and not kwargs and ready(args):
            try:
                return self.run(args)
            except Changed:
                return self.function(*args)
        tensors: list[Variable] = []
        try:
            key = flatten(args, tensors), (flatten(kwargs, tensors) if kwargs else None), switches.grad
        except _Foreign as foreign:
            self._tell(str(foreign), None)
            return self.function(*args, **kwargs)
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = Entry()
        for program in entry.programs:
            if program.holds(()):
                self._prefer(program)
                try:
                    return program.run(tensors)
                except Changed:
                    return self.function(*args, **kwargs)
        if entry.eager or self.reason is not None:
            self._tell(self.reason, None)
            return self.function(*args, **kwargs)
        return self._record(entry, args, kwargs, tensors)

    def __reduce__(self) -> Any:
        """A copy, or what is read back from a file, records anew."""
        return Compiled, (self.function, self.fullgraph)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @property
    def source(self) -> str:
        """The latest program as Python. RuntimeError before there is one."""
        if self.latest is None:
            raise RuntimeError(
                "nothing is compiled yet: the first two calls are recorded"
                + (f" ({self.reason})" if self.reason else "")
            )
        return self.latest.source

    @property
    def kernel(self) -> str:
        """The latest program's compiled loops, as text; "" before there are any, or where there can be none."""
        return "" if self.latest is None else self.latest.kernel

    def _record(self, entry: Entry, args: Any, kwargs: Any, tensors: list[Variable]) -> Any:
        entry.count += 1
        before = rebound(self.function)
        with recording() as recorder:
            recorder.outermost = Compiled._record.__code__
            result = self.function(*args, **kwargs)
            rehearsal = rehearse(recorder, result)
        if any(old is not new for old, new in zip(before, rebound(self.function), strict=True)):
            recorder.fail("sets a variable outside of it")
        finished = Finished(recorder, result, tensors, rehearsal)
        previous, entry.last = entry.last, finished
        for code in recorder.frames:
            if (reason := side_effect(code, outer=code is code_of(self.function))) is not None:
                recorder.failure = recorder.failure or (reason, (code, 0))
        if recorder.failure is not None:
            self._leave(entry, *recorder.failure)
        elif previous is not None and previous.shape() == finished.shape():
            place = difference(previous.steps, finished.steps)
            if place is None:
                wrong = replay(finished) or self._make(entry, finished, args, tensors)
                if wrong is not None:
                    self._leave(entry, wrong, None)
            elif entry.count >= _RECORDINGS:
                self._leave(entry, "computes something else on every call", place)
        elif entry.count >= _RECORDINGS:
            self._leave(entry, "computes something else on every call", None)
        finished.let_go()
        return plain(result)

    def _make(
        self, entry: Entry, finished: Finished, args: tuple[Any, ...], tensors: list[Variable]
    ) -> str | None:
        """Make a recording a program; or say why it cannot be one."""
        own = [s for s, _ in finished.inputs if isinstance(s, Variable)]
        known = self.function, finished.recorder.frames, own, finished.with_grad
        holds = conditions(*known, None).written()
        names = names_of(self.function, finished.recorder.frames)
        title = identifier(getattr(self.function, "__name__", "step"))
        if finished.rehearsal is None:
            program: Any = Program(finished, names, title, holds)
        else:
            try:
                program = Graphed(finished, names, title, holds, KERNEL_AFTER)
            except CannotSplit as reason:
                return str(reason)
        self.latest = program
        if len(args) == len(tensors):
            with contextlib.suppress(ValueError):
                program.ready = conditions(*known, args).written()
                if finished.rehearsal is None:
                    program.run = self._warming(program, known, program.run, KERNEL_AFTER)
        self._prefer(program)
        entry.programs = [program, *entry.programs[: _PROGRAMS - 1]]
        entry.last, entry.count = None, 0
        return None

    def _prefer(self, program: Program | Graphed) -> None:
        """Try this program first, without working out what kind of call it is."""
        self.ready, self.run = program.ready, program.run
        kind: Any = type(self)
        kind.__call__ = Compiled.__call__ if program.fast is None else program.fast

    def _warming(
        self, program: Program, known: Any, run: Callable[[Any], Any], left: int
    ) -> Callable[[Any], Any]:
        """A program's run that makes a kernel of it when it has run often enough to be worth it."""

        def warm(args: Any) -> Any:
            nonlocal left
            left -= 1
            if left > 0:
                return run(args)
            program.run = run
            result = program.fuse(known, args)
            if (
                program.fast is not None
            ):  # for when the kernel finds other memory than that which it was made for
                program.run = self._warming(program, known, run, KERNEL_AGAIN)
            self._prefer(program)
            return result

        return warm

    def _leave(self, entry: Entry, reason: str, place: Any) -> None:
        entry.eager = True
        entry.last = None
        self._tell(reason, place)

    def _tell(self, reason: str | None, place: Any) -> None:
        if self.told or reason is None:
            return
        where = source_line(place) if place is not None else None
        sentence = (
            f"torch.compile: {getattr(self.function, '__name__', 'the function')} runs eagerly, since it {reason}"
            + (f" ({where[0]}, line {where[1]})" if where else "")
        )
        if self.fullgraph:
            raise Unsupported(sentence)
        self.told = True
        warnings.warn(sentence, UserWarning, stacklevel=4)


def names_of(function: Any, frames: dict[Any, tuple[dict[str, Any], Any]]) -> dict[int, str]:
    """Names for tensors: the user's variables, the parameters' paths."""
    found: dict[int, str] = {}
    rooms: list[dict[str, Any]] = [names for names, _ in frames.values()]
    cells = getattr(function, "__closure__", None) or ()
    free = getattr(getattr(function, "__code__", None), "co_freevars", ())
    rooms.append({n: c.cell_contents for n, c in zip(free, cells, strict=False)})
    for room in rooms:
        for name, value in list(room.items()):
            if isinstance(value, Variable):
                found.setdefault(id(value), name)
            elif isinstance(value, Module):
                for path, param in (*value.named_parameters(), *value.named_buffers()):
                    found.setdefault(id(param), f"{name}_{path}".replace(".", "_"))
    return found


__all__ = ["Compiled", "Unsupported"]
