"""`torch.profiler`: measuring a program, or some steps of it (see `clew.autograd.profiler` for what is measured)."""

from __future__ import annotations

import enum
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from clew.autograd.profiler import EventList, ProfilerActivity, _Recorder, record_function


class ProfilerAction(enum.Enum):
    """What a schedule says of a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """What is measured."""
    return {ProfilerActivity.CPU}


def kineto_available() -> bool:
    """Whether PyTorch's tracing library is there: no."""
    return False


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:  # fmt: skip
    """Measure `active` steps after `wait` and `warmup` others, `repeat` times (0: always), from step `skip_first` on.

    AssertionError for numbers out of range.
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), active={active} "
            f"(need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)

    def schedule_fn(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat > 0 and step >= repeat * cycle:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return schedule_fn


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """A handler that writes each trace to a folder, for TensorBoard or chrome://tracing."""

    def handler(prof: Any) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        path = os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json")
        prof.export_chrome_trace(path)
        if use_gzip:
            import gzip

            with open(path, "rb") as plain, gzip.open(path + ".gz", "wb") as packed:
                packed.write(plain.read())
            os.remove(path)

    return handler


def _always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


class profile:
    """Measures what runs inside, in this thread.

    schedule: which of the steps (the program calls `step()` after each) are measured; on_trace_ready(profile) is called
    when some have been. record_shapes: keep the shapes of arguments. Memory, stacks and modules are not recorded.
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None, schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[Any], Any] | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False, **_: Any,
    ) -> None:  # fmt: skip
        self.activities = set(activities or supported_activities())
        self.schedule = schedule or _always
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        self.step_num = 0
        self.current_action = self.schedule(0)
        self._metadata: dict[str, str] = {}
        self._recorder: _Recorder | None = None
        self._events: EventList | None = None
        self._in_step: record_function | None = None
        self._scheduled = schedule is not None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin."""
        self._begin_if_due()
        self._begin_step()

    def stop(self) -> None:
        """End; a trace that is under way is handed over."""
        self._end_step()
        if self._recorder is not None:
            self._end()

    def step(self) -> None:
        """The next step of the program begins."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        if self._recorder is not None and (
            before is ProfilerAction.RECORD_AND_SAVE or self.current_action not in _RECORDING
        ):
            self._end()
        self._begin_if_due()
        self._begin_step()

    def _begin_if_due(self) -> None:
        if self._recorder is None and self.current_action in _RECORDING:
            self._recorder = _Recorder(self.record_shapes)
            self._recorder.start()

    def _begin_step(self) -> None:
        if self._scheduled and self._recorder is not None:
            self._in_step = record_function(f"ProfilerStep#{self.step_num}")
            self._in_step.__enter__()

    def _end_step(self) -> None:
        if self._in_step is not None:
            self._in_step.__exit__()
            self._in_step = None

    def _end(self) -> None:
        assert self._recorder is not None
        self._recorder.stop()
        self._events = EventList(self._recorder.events)
        self._recorder = None
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _found(self, what: str) -> EventList:
        if self._events is None:
            raise AssertionError(f"Profiler must be initialized before {what}")
        return self._events

    def events(self) -> EventList:
        """All calls that were measured."""
        return self._found("accessing events")

    def key_averages(self, group_by_input_shape: bool = False, *args: Any, **kwargs: Any) -> EventList:
        """One entry for each operation (and the shapes of its arguments)."""
        return self._found("getting key averages").key_averages(group_by_input_shape)

    def export_chrome_trace(self, path: str) -> None:
        """Write the trace for chrome://tracing or Perfetto."""
        self._found("exporting chrome trace").export_chrome_trace(path)

    def add_metadata(self, key: str, value: str) -> None:
        """Kept for programs that call it."""
        self._metadata[key] = value

    add_metadata_json = add_metadata


__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip
