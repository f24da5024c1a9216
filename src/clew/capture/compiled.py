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

from clew.capture.guards import code_of, conditions, rebound, side_effect
from clew.capture.program import Ref, Step, alive, decided_first, difference, refs
from clew.capture.recorder import Changed, Recorder, recording, require
from clew.capture.source import Writer, identifier, last_uses
from clew.capture.traced import METHODS, Number, Traced
from clew.core.modes import observers, recordings, switches
from clew.core.node import AccumulateGrad, Freed, source_line
from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer

_RECORDINGS = 8  # of one kind of call, before a function is left as it is
KERNEL_AFTER, KERNEL_AGAIN = 16, 64  # runs of a program before it is made a kernel, and made one anew
_PROGRAMS = 8  # kept of one kind of call: for training, for evaluation …
_slot: Any = Variable.__dict__["_array"]


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


# ---- what goes out --------------------------------------------------------------------------------------------------------
class Finished:
    """A recording that has ended: its steps, where its values come from and where they go.

    inputs: pairs (external tensor or number of an argument, name). result: the returned value with `Out` for tensors.
    writes, grads, cleared: what is written to which tensor, becomes whose `.grad`, whose is None afterwards.
    """

    def __init__(self, recorder: Recorder, result: Any, args: list[Variable]) -> None:
        self.steps = recorder.steps
        self.recorder = recorder
        self.place = None
        numbers = {id(a): i for i, a in enumerate(args)}
        found = recorder.settle()
        fresh = {id(tensor): traced for tensor, traced in found}
        by_array = recorder.externals
        self.inputs: list[tuple[Any, int]] = []
        self.writes: list[tuple[Any, int]] = []
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
        self.grads: list[tuple[AccumulateGrad, int]] = []
        self.cleared: list[AccumulateGrad] = []
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
        drawn = [n for step in self.steps if step.effect for n in step.outs]
        self.samples = {
            n: (v.shape, v.dtype) for n in drawn if isinstance(v := recorder.values[n], np.ndarray)
        }
        self.largest = max((v.size for v in recorder.values if isinstance(v, np.ndarray)), default=0)
        self.with_grad = [(sink, g is not None) for sink, g in recorder.sinks.items()]
        self.returned: list[tuple[int, Any]] = []
        self.numbers: list[int] = []
        self.seen: set[int] = set()
        self.result = self._tree(result, fresh, sources)
        if len(recorder.taken) != len(self.numbers):
            recorder.fail("takes a number out of a tensor (`.item()`) that it does not return")
        if not self.seen.issuperset(fresh):
            recorder.fail("keeps a tensor that it made elsewhere than in what it returns")
        recorder.holders.clear()

    def _tree(self, value: Any, fresh: dict[int, Any], sources: dict[int, Any]) -> Any:
        if isinstance(value, Variable):
            traced = fresh.get(id(value))
            self.seen.add(id(value))
            if traced is None:
                if id(value) not in sources:
                    self.recorder.fail("returns a tensor that it did not compute")
                    return None
                return "external", sources[id(value)]
            edge = value._edge
            if edge is not None and not used_up(edge[0]):
                self.recorder.fail("returns a tensor whose graph is still to be used: compile the whole step")
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

    def wanted(self) -> set[int]:
        """The values that go out."""
        return {n for _, n in (*self.writes, *self.grads, *self.returned_names())} | set(self.numbers)

    def returned_names(self) -> list[tuple[Any, int]]:
        return [(None, n) for n, _ in self.returned]

    def shape(self) -> Any:
        """What must be the same of two recordings besides their steps."""

        def mark(source: Any) -> Any:
            return source if isinstance(source, int) else id(source)

        return (
            [(mark(s), n) for s, n in self.inputs], [(mark(s), n) for s, n in self.writes], [(id(s), n) for s, n in self.grads],
            [id(s) for s in self.cleared], repr(self.result), [n for n, _ in self.returned],
        )  # fmt: skip


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

    for step in alive(recording.steps, wanted):
        if step.effect:
            values.update({n: recorded[n] for n in step.outs})
            continue
        made = step.function(*real(step.args), **real(step.kwargs))
        values.update(zip(step.outs, made if len(step.outs) > 1 else (made,), strict=True))
    for name in wanted:
        a, b = np.asarray(values[name]), np.asarray(recorded[name])
        if (
            a.dtype != b.dtype
            or a.shape != b.shape
            or not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        ):
            return "the recorded steps do not give the same numbers again"
    return None


# ---- the program as a function ---------------------------------------------------------------------------------------------
class Program:
    """A recording made ready: `run(args)`, `source` to read."""

    def __init__(
        self, recording: Finished, names: dict[int, str], title: str, holds: Callable[[Any], bool]
    ) -> None:
        self.holds = holds
        self.ready: Callable[[Any], bool] | None = None  # `holds`, and that the arguments are of its kind
        self.fast: Callable[..., Any] | None = None  # the same and the run, as one kernel
        self.recording = recording
        self.kernel, self.why = "", ""  # the text of the kernel, or why there is none
        scalars = {i for i, v in enumerate(recording.recorder.values) if isinstance(v, np.generic)}
        self.writer = writer = Writer(scalars)
        self.steps = steps = without_copies(
            decided_first(alive(recording.steps, recording.wanted()), require), recording
        )
        sizes = {i: getattr(v, "size", 1) for i, v in enumerate(recording.recorder.values)}
        used = {n for s in steps for n in (*refs(s.args), *refs(s.kwargs))} | recording.wanted()
        writer.room.update(wrap=wrap, assign=assign, replace=replace)
        self._inputs(names, used)
        lets = last_uses(steps, recording.wanted(), sizes)
        for i, step in enumerate(steps):
            if isinstance(step.function, Optimizer):
                self._optimizer(step, names, used)
            else:
                outs = ", ".join(map(writer.name, step.outs))
                writer.line((f"{outs} = " if outs else "") + writer.expression(step), step.place)
            if lets[i] and not isinstance(step.function, Optimizer):
                writer.line("del " + ", ".join(dict.fromkeys(map(writer.name, lets[i]))))
        self._outputs()
        self.source = f"def {title}(args):\n" + "\n".join(writer.lines) + "\n"
        exec(compile(self.source, f"<compiled {title}>", "exec"), writer.room)
        self.run: Callable[[Any], Any] = writer.room[title]

    def _inputs(self, names: dict[int, str], used: set[int]) -> None:
        w = self.writer
        taken: set[str] = {"args", "np", "wrap", "assign", "replace"}
        for source, name in self.recording.inputs:
            tensor = source if isinstance(source, Variable) else None
            hint = (
                names.get(id(tensor))
                if tensor is not None
                else f"x{source}"
                if isinstance(source, int)
                else "grad"
            )
            if isinstance(source, int):
                hint = names.get(source, f"arg{source}")
            stem = identifier(hint or f"t{name}")
            known, n = stem, 2
            while known in taken:
                known, n = f"{stem}_{n}", n + 1
            taken.add(known)
            if name not in used:
                continue
            w.names[name] = known
            w.line(f"{known} = {self._source(source, known)}._array")

    def _source(self, source: Any, hint: str) -> str:
        if isinstance(source, int):
            return f"args[{source}]"
        if isinstance(source, AccumulateGrad):
            return f"{self.writer.thing(source, hint + '_sink')}.grad"
        return self.writer.thing(source, hint.title().replace("_", "") if hint.islower() else hint + "_")

    def _optimizer(self, step: Step, names: dict[int, str], used: set[int]) -> None:
        w = self.writer
        w.line("# ---- update", None)
        for param, grad in step.args:
            if grad is not None:
                sink = w.thing(param._meta, names.get(id(param), "param") + "_sink")
                w.line(f"{sink}.grad = wrap({w.value(grad)})")
        w.line(f"{w.thing(step.function, 'optimizer')}.step()", step.place)
        for (param, _), name in zip(step.args, step.outs, strict=True):
            if name in used:
                w.line(f"{w.name(name)} = {self._source(param, names.get(id(param), 'param'))}._array")

    def _outputs(self) -> None:
        w, recording = self.writer, self.recording
        for source, name in recording.writes:
            if name in w.scalars and isinstance(source, Variable):
                w.line(f"replace({self._source(source, w.names.get(name, 'x'))}, {w.name(name)})")
                continue
            w.line(f"assign({self._source(source, w.names.get(name, 'x'))}, {w.name(name)})")
        given = {
            id(p._meta)
            for s in recording.steps
            if isinstance(s.function, Optimizer)
            for p, g in s.args
            if g is not None
        }
        for sink, name in recording.grads:
            if id(sink) not in given:
                w.line(f"{w.thing(sink, 'sink')}.grad = wrap({w.name(name)})")
        for sink in recording.cleared:
            w.line(f"{w.thing(sink, 'sink')}.grad = None")
        made: list[str] = []
        for i, (name, edge) in enumerate(recording.returned):
            w.line(f"out{i} = wrap({w.name(name)})")
            if edge is not None:
                w.line(f"out{i}._edge = {w.thing(edge, f'edge{i}')}")
            made.append(f"out{i}")
        w.line("return " + self._result(recording.result, made))

    def _result(self, tree: Any, made: list[str]) -> str:
        kind, value = tree
        if kind == "tensor":
            return made[value]
        if kind == "external":
            return self._source(value, "t")
        if kind == "number":
            return f"{self.writer.name(value)}.item()"
        if kind == "constant":
            return self.writer.value(value)
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {self._result(v, made)}" for k, v in value) + "}"
        inner = ", ".join(self._result(v, made) for v in value)
        return f"[{inner}]" if kind is list else f"({inner},)"


def assign(tensor: Variable, value: Any) -> None:
    """Write a value into a tensor's memory."""
    array = _slot.__get__(tensor)
    if array.__class__ is np.ndarray:
        array[...] = value
    else:
        tensor._rebind(array.dtype.type(value))
    version = tensor._counter or tensor.version()
    version.n += 1


def replace(tensor: Variable, value: Any) -> None:
    """Give a tensor of one number another number (an array, if somebody has asked for its memory meanwhile, is written)."""
    array = tensor._array
    if array.__class__ is np.ndarray:
        array[...] = value
    else:
        tensor._array = value
        meta = tensor._meta
        if meta.__class__ is AccumulateGrad:
            meta.array = value
    version = tensor._counter
    if version is None:
        version = tensor.version()
    version.n += 1


def without_copies(steps: list[Step], recording: Finished) -> list[Step]:
    """Copies of a fresh value that nothing else uses are that value."""
    uses: dict[int, int] = {}
    for step in steps:
        for name in (*refs(step.args), *refs(step.kwargs)):
            uses[name] = uses.get(name, 0) + 1
    for name in recording.wanted():
        uses[name] = uses.get(name, 0) + 1
    for name in (n for _, n in recording.inputs):
        uses[name] = uses.get(name, 0) + 1
    recorded = recording.recorder.values
    fresh = {
        n for s in steps for n in s.outs
        if not s.effect and getattr(recorded[n], "base", None) is None and METHODS.get(s.function) not in ("view", "reshape")
    }  # fmt: skip
    same: dict[int, int] = {}

    def renamed(value: Any) -> Any:
        if value.__class__ is Ref:
            return Ref(same.get(value.name, value.name))
        if value.__class__ in (tuple, list):
            return value.__class__([renamed(v) for v in value])
        if value.__class__ is dict:
            return {k: renamed(v) for k, v in value.items()}
        if value.__class__ is slice:
            return slice(renamed(value.start), renamed(value.stop), renamed(value.step))
        return value

    kept = []
    for step in steps:
        source = (
            step.args[0].name
            if METHODS.get(step.function) == "copy" and step.args[0].__class__ is Ref
            else None
        )
        if (
            source is not None
            and source in fresh
            and uses[source] == 1
            and recorded[source].flags.c_contiguous
        ):
            same[step.outs[0]] = same.get(source, source)
            continue
        kept.append(
            Step(step.function, renamed(step.args), renamed(step.kwargs), step.outs, step.place, step.effect)
        )
    for pairs in (recording.writes, recording.grads):
        pairs[:] = [(s, same.get(n, n)) for s, n in pairs]
    recording.numbers[:] = [same.get(n, n) for n in recording.numbers]
    recording.returned[:] = [(same.get(n, n), e) for n, e in recording.returned]
    return kept


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
        self.programs: list[Program] = []
        self.last: Finished | None = None
        self.count = 0
        self.eager = False


class Compiled:
    """A function that is recorded and then run as a program. `source`: the latest program, to read."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool) -> None:
        self.function = function
        self.fullgraph = fullgraph
        self.entries: dict[Any, Entry] = {}
        self.latest: Program | None = None
        code = code_of(function)
        self.reason = None if code is None else side_effect(code, outer=True)
        self.told = False
        self.__class__ = type(
            "Compiled", (Compiled,), {}
        )  # a class of its own: a kernel becomes its `__call__`
        self.ready: Callable[[Any], bool] | None = None
        self.run: Callable[[Any], Any] = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._slow(args, kwargs)

    def _slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call for which no kernel is at hand."""
        if recordings or observers:
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
        if any(old is not new for old, new in zip(before, rebound(self.function), strict=True)):
            recorder.fail("sets a variable outside of it")
        finished = Finished(recorder, result, tensors)
        previous, entry.last = entry.last, finished
        for code in recorder.frames:
            if (reason := side_effect(code, outer=code is code_of(self.function))) is not None:
                recorder.failure = recorder.failure or (reason, (code, 0))
        if recorder.failure is not None:
            self._leave(entry, *recorder.failure)
        elif previous is not None and previous.shape() == finished.shape():
            place = difference(previous.steps, finished.steps)
            if place is None:
                wrong = replay(finished)
                if wrong is not None:
                    self._leave(entry, wrong, None)
                else:
                    self._make(entry, finished, args, tensors)
            elif entry.count >= _RECORDINGS:
                self._leave(entry, "computes something else on every call", place)
        elif entry.count >= _RECORDINGS:
            self._leave(entry, "computes something else on every call", None)
        return plain(result)

    def _make(self, entry: Entry, finished: Finished, args: tuple[Any, ...], tensors: list[Variable]) -> None:
        own = [s for s, _ in finished.inputs if isinstance(s, Variable)]
        known = self.function, finished.recorder.frames, own, finished.with_grad
        holds = conditions(*known, None).written()
        names = names_of(self.function, finished.recorder.frames)
        self.latest = program = Program(
            finished, names, identifier(getattr(self.function, "__name__", "step")), holds
        )
        if len(args) == len(tensors):
            with contextlib.suppress(ValueError):
                program.ready = conditions(*known, args).written()
                program.run = self._warming(program, known, program.run, KERNEL_AFTER)
        self._prefer(program)
        entry.programs = [self.latest, *entry.programs[: _PROGRAMS - 1]]
        entry.last, entry.count = None, 0
        finished.recorder.values = []
        finished.recorder.externals = {}

    def _prefer(self, program: Program) -> None:
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
            result = self._fuse(program, known, args)
            if (
                program.fast is not None
            ):  # for when the kernel finds other memory than that which it was made for
                program.run = self._warming(program, known, run, KERNEL_AGAIN)
            self._prefer(program)
            return result

        return warm

    def _fuse(self, program: Program, known: Any, args: Any) -> Any:
        """Make a kernel, and try it beside the program; whatever it cannot do the program goes on doing."""
        program.fast = None
        try:
            from clew.capture.fused import Fused
            from clew.capture.trial import trial

            fused = Fused(program, args, identifier(getattr(self.function, "__name__", "step")))
        except Exception as reason:
            program.why = str(reason) or type(reason).__name__
            return program.run(args)
        result, good = trial(fused, args, lambda: program.run(args))
        if good:
            program.fast = fused.function(conditions(*(*known, args, False)))
            program.kernel = fused.text
        else:
            program.why = "gives other numbers as a kernel"
        return result

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
    from clew.nn.module import Module

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


__all__ = ["Compiled", "Traced", "Unsupported"]
