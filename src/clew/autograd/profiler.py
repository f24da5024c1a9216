"""What takes how long: the wall-clock time of every operation and of every node of a backward pass.

Python tells of each function that is entered and left (`sys.setprofile`); those that are operations are kept. This takes
time of its own, a microsecond or so for each function called inside: shares mean more than absolute times.
"""

from __future__ import annotations

import enum
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from clew.core import engine
from clew.core.variable import Variable, classes

_WALK = engine.Walk._walk.__code__
_PULL = engine.Walk._pull.__code__
_MACHINERY = tuple(f"clew.{name}" for name in ("core.engine", "core.node", "core.variable", "core.version"))
_UNKNOWN = object()


class ProfilerActivity(enum.Enum):
    """What can be measured. clew measures the CPU."""

    CPU = 0
    XPU = 1
    CUDA = 2
    MTIA = 3
    HPU = 4
    PrivateUse1 = 5


class FunctionEvent:
    """One call: its name, when it began and ended (microseconds), the calls inside it."""

    is_async = is_remote = is_legacy = False
    device_time = device_time_total = self_device_time_total = 0.0
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0
    cpu_memory_usage = self_cpu_memory_usage = device_memory_usage = self_device_memory_usage = flops = 0

    def __init__(self, name: str, start: float, input_shapes: Any = "", annotation: bool = False) -> None:
        self.name = self.key = name
        self.start = self.end = start
        self.input_shapes = input_shapes
        self.is_user_annotation = annotation
        self.cpu_children: list[FunctionEvent] = []
        self.cpu_parent: FunctionEvent | None = None
        self.thread = threading.get_ident()
        self.count = 1

    @property
    def cpu_time_total(self) -> float:
        """How long it took."""
        return self.end - self.start

    cpu_time = cpu_time_total

    @property
    def self_cpu_time_total(self) -> float:
        """How long it took without the calls inside."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent name={self.name} cpu_time={format_time(self.cpu_time_total)} "
            f"self_cpu_time={format_time(self.self_cpu_time_total)} thread={self.thread} input_shapes={self.input_shapes}>"
        )


class FunctionEventAvg:
    """All calls of one name."""

    device_time = device_time_total = self_device_time_total = 0.0
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0
    cpu_memory_usage = self_cpu_memory_usage = device_memory_usage = self_device_memory_usage = flops = 0

    def __init__(self, key: str = "", input_shapes: Any = "") -> None:
        self.key = key
        self.input_shapes = input_shapes
        self.count = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0

    def add(self, other: Any) -> FunctionEventAvg:
        """Count one call in."""
        self.count += other.count
        self.cpu_time_total += other.cpu_time_total
        self.self_cpu_time_total += other.self_cpu_time_total
        return self

    @property
    def cpu_time(self) -> float:
        """The mean time of a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={format_time(self.self_cpu_time_total)} "
            f"cpu_time={format_time(self.cpu_time)}  self_cuda_time=0.000us cuda_time=0.000us "
            f"input_shapes={self.input_shapes} cpu_memory_usage=0 cuda_memory_usage=0>"
        )


def format_time(microseconds: float) -> str:
    """A time as text."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


class EventList(list[Any]):
    """Calls, or averages of them."""

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(self, group_by_input_shape: bool = False, *_: Any, **__: Any) -> EventList:
        """One entry for each name (and the shapes of its arguments)."""
        found: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = event.input_shapes if group_by_input_shape else ""
            key = event.key, str(shapes)
            if key not in found:
                found[key] = FunctionEventAvg(event.key, shapes)
            found[key].add(event)
        return EventList(found.values())

    def total_average(self) -> FunctionEventAvg:
        """All calls as one entry."""
        total = FunctionEventAvg("Total", [])
        for event in self:
            total.add(event)
        return total

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:  # fmt: skip
        """The entries as a table; sort_by: such as "cpu_time_total", "self_cpu_time_total", "count"."""
        if not self:
            return ""
        events: Iterable[Any] = self
        if sort_by is not None:
            events = sorted(self, key=lambda event: getattr(event, sort_by), reverse=True)
        total = self.self_cpu_time_total or 1.0
        width = min(max(len(event.key) for event in self) + 4, max_name_column_width)
        titles = ["Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls"]
        shaped = any(event.input_shapes for event in self)
        sizes = [width, *[12] * len(titles)] + ([min(max(len(str(e.input_shapes)) for e in self) + 4, max_shapes_column_width)] if shaped else [])  # fmt: skip
        rows = [["Name", *titles, *(["Input Shapes"] if shaped else [])]]
        for event in list(events)[: None if row_limit < 0 else row_limit]:
            key = (
                event.key
                if len(event.key) <= max_name_column_width
                else event.key[: max_name_column_width - 3] + "..."
            )
            rows.append(
                [
                    key, f"{100 * event.self_cpu_time_total / total:.2f}%", format_time(event.self_cpu_time_total),
                    f"{100 * event.cpu_time_total / total:.2f}%", format_time(event.cpu_time_total),
                    format_time(event.cpu_time), str(event.count), *([str(event.input_shapes)] if shaped else []),
                ]
            )  # fmt: skip
        lines = ["".join(f"{cell:>{n}}  " for cell, n in zip(row, sizes, strict=True)) for row in rows]
        rule = "".join("-" * n + "  " for n in sizes)
        top = [] if header is None else ["-" * len(rule), header]
        return "\n".join(
            [*top, rule, lines[0], rule, *lines[1:], rule, f"Self CPU time total: {format_time(total)}", ""]
        )

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls for chrome://tracing or Perfetto."""
        calls = [
            {
                "ph": "X", "cat": "user_annotation" if event.is_user_annotation else "cpu_op", "name": event.name,
                "pid": os.getpid(), "tid": event.thread, "ts": event.start, "dur": event.cpu_time_total,
                "args": {"Input Dims": event.input_shapes} if event.input_shapes else {},
            }
            for event in self
        ]  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 1, "displayTimeUnit": "ms", "traceEvents": calls}, file)

    def __str__(self) -> str:
        return self.table()


# ---- which function is an operation -----------------------------------------------------------------------------------------
def _is_public(name: str) -> bool:
    functional: Any = sys.modules.get("clew.nn.functional")
    return hasattr(classes.tensor, name) or name in vars(sys.modules["clew"]) or hasattr(functional, name)


def _naming(code: Any, module: str) -> Callable[[Any], str] | None:
    """How the calls of a function are named; None for those that are no operations."""
    name = code.co_name
    if module == "clew.core.inplace" and name == "op_":
        held = "op" if "op" in code.co_freevars else "slow"
        return lambda frame: f"aten::{getattr(frame.f_locals[held], '__name__', 'op').rstrip('_')}_"
    if module == "clew.ops._builders" and name == "op" and "primitive" in code.co_freevars:
        return lambda frame: f"aten::{frame.f_locals['primitive'].name}"
    if module.startswith("clew.ops.") and not name.startswith(("_", "<")) and _is_public(name):
        return lambda frame: f"aten::{name}"
    return None


def _shapes(frame: Any) -> list[Any]:
    code = frame.f_code
    given = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
    return [list(value.shape) if isinstance(value, Variable) else [] for value in given]


class _Running(threading.local):
    """The profilers of a thread, the innermost last."""

    def __init__(self) -> None:
        self.recorders: list[_Recorder] = []


_running = _Running()


class _Recorder:
    """Gathers the calls of one thread between `start` and `stop`."""

    def __init__(self, record_shapes: bool = False) -> None:
        self.record_shapes = record_shapes
        self.events: list[FunctionEvent] = []
        self.open: list[tuple[Any, FunctionEvent]] = []
        self.kinds: dict[Any, Any] = {}
        self.before: Any = None

    def start(self) -> None:
        """Begin to listen."""
        _running.recorders.append(self)
        self.before = sys.getprofile()
        sys.setprofile(self.heard)

    def stop(self) -> None:
        """Listen no more; what is still open ends here."""
        sys.setprofile(self.before)
        _running.recorders.remove(self)
        while self.open:
            self.leave()

    def enter(self, mark: Any, name: str, shapes: Any = "", annotation: bool = False) -> None:
        """A call begins."""
        event = FunctionEvent(name, 0.0, shapes, annotation)
        if self.open:
            event.cpu_parent = self.open[-1][1]
            event.cpu_parent.cpu_children.append(event)
        self.events.append(event)
        self.open.append((mark, event))
        event.start = time.perf_counter_ns() / 1e3

    def leave(self) -> None:
        """The innermost call ends."""
        self.open.pop()[1].end = time.perf_counter_ns() / 1e3

    def heard(self, frame: Any, event: str, arg: Any) -> None:
        """Python enters or leaves a function."""
        if event == "return":
            if self.open and self.open[-1][0] is frame:
                self.leave()
        elif event == "call":
            code = frame.f_code
            kind = self.kinds.get(code, _UNKNOWN)
            if kind is _UNKNOWN:
                kind = self.kinds[code] = _naming(code, frame.f_globals.get("__name__", ""))
            caller = frame.f_back
            if caller is not None and caller.f_code is _WALK:
                if code is _PULL or frame.f_globals.get("__name__") not in _MACHINERY:
                    self.enter(frame, caller.f_locals["node"].name())
            elif kind is not None:
                self.enter(frame, kind(frame), _shapes(frame) if self.record_shapes else "")


class record_function:
    """A part of the program under a name of its own, as a context or a decorator."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self.args = args

    def __enter__(self) -> record_function:
        self._in = tuple(_running.recorders)
        for recorder in self._in:
            recorder.enter(self, self.name, annotation=True)
        return self

    def __exit__(self, *exc: object) -> None:
        for recorder in self._in:
            while any(mark is self for mark, _ in recorder.open):
                recorder.leave()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return named


class profile:
    """Measures what runs inside, in this thread. Memory, stacks and modules are not recorded."""

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None, record_shapes: bool = False,
        with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False, with_modules: bool = False,
        use_kineto: bool = False, use_cpu: bool = True, **_: Any,
    ) -> None:  # fmt: skip
        self.enabled = enabled
        self.function_events: EventList | None = None
        self._recorder = _Recorder(record_shapes)

    def __enter__(self) -> profile | None:
        if not self.enabled:
            return None
        self._recorder.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            self._recorder.stop()
            self.function_events = EventList(self._recorder.events)

    def _events(self) -> EventList:
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def table(self, *args: Any, **kwargs: Any) -> str:
        """The calls as a table."""
        return self._events().table(*args, **kwargs)

    def key_averages(self, group_by_input_shape: bool = False, *args: Any, **kwargs: Any) -> EventList:
        """One entry for each name."""
        return self._events().key_averages(group_by_input_shape)

    def total_average(self) -> FunctionEventAvg:
        """All calls as one entry."""
        return self._events().total_average()

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls for chrome://tracing or Perfetto."""
        self._events().export_chrome_trace(path)

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all."""
        return self._events().self_cpu_time_total

    def __str__(self) -> str:
        return (
            "<unfinished torch.autograd.profile>"
            if self.function_events is None
            else str(self.function_events)
        )


class emit_nvtx:
    """Marks for NVIDIA's profiler: there is no GPU, so nothing is marked."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> emit_nvtx:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing was begun."""


emit_itt = emit_nvtx

__all__ = [
    "EventList",
    "FunctionEvent",
    "FunctionEventAvg",
    "ProfilerActivity",
    "emit_itt",
    "emit_nvtx",
    "profile",
    "record_function",
]
