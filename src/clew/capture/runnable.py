"""A recording as a Python function: the program to read, and to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clew.capture.finished import Recorded
from clew.capture.guards import conditions
from clew.capture.program import Ref, Step, alive, decided_first, refs
from clew.capture.recorder import require
from clew.capture.source import Writer, identifier, last_uses
from clew.capture.traced import METHODS
from clew.core.node import AccumulateGrad
from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer

_slot: Any = Variable.__dict__["_array"]


# ---- the program as a function ---------------------------------------------------------------------------------------------
class Program:
    """A recording made ready: `run(args)`, `source` to read."""

    def __init__(
        self, recording: Recorded, names: dict[int, str], title: str, holds: Callable[[Any], bool]
    ) -> None:
        self.holds = holds
        self.title = title
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

    def fuse(self, known: tuple[Any, Any, Any, Any], args: Any) -> Any:
        """Make a kernel, and try it beside the program; whatever it cannot do the program goes on doing. The result."""
        self.fast = None
        try:
            from clew.capture.fused import Fused
            from clew.capture.trial import trial

            fused = Fused(self, args, self.title)
        except Exception as reason:
            self.why = str(reason) or type(reason).__name__
            return self.run(args)
        result, good = trial(fused, args, lambda: self.run(args))
        if good:
            self.fast = fused.function(conditions(*known, args, False))
            self.kernel = fused.text
        else:
            self.why = "gives other numbers as a kernel"
        return result

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
        return f"[{inner}]" if kind is list else f"({inner}{',' * bool(value)})"


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


def without_copies(steps: list[Step], recording: Recorded) -> list[Step]:
    """Copies of a fresh value, or of a view of all of it, that nothing else uses are that value."""
    uses: dict[int, int] = {}
    for step in steps:
        for name in (*refs(step.args), *refs(step.kwargs)):
            uses[name] = uses.get(name, 0) + 1
    for name in (*recording.wanted(), *(n for _, n in recording.inputs)):
        uses[name] = uses.get(name, 0) + 1
    recorded = recording.recorder.values
    maker = {n: s for s in steps for n in s.outs}
    same: dict[int, int] = {}

    def unshared(name: int) -> bool:
        """Whether a value's memory is seen by nobody but the one step that uses it."""
        step, value = maker.get(name), recorded[name]
        if step is None or step.effect or uses[name] != 1:
            return False
        first = step.args[0].name if step.args and step.args[0].__class__ is Ref else None
        if first is not None and np.may_share_memory(value, recorded[first]):
            return value.size == recorded[first].size and unshared(first)
        return getattr(value, "base", None) is None

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
        if source is not None and recorded[source].flags.c_contiguous and unshared(source):
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


__all__ = ["Program"]
