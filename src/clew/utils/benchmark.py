"""Timing of statements: `Timer` runs one many times, a `Measurement` tells what that took."""

from __future__ import annotations

import timeit as _timeit
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

timer = _timeit.default_timer
UNITS = (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0))
NAMES = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}


def select_unit(t: float) -> tuple[str, float]:
    """The unit in which a time is at least 1, and how many seconds it has."""
    return next((unit for unit in reversed(UNITS) if t >= unit[1]), UNITS[0])


class TaskSpec:
    """What is timed, and under which names."""

    def __init__(
        self, stmt: str, setup: str, label: str | None = None, sub_label: str | None = None,
        description: str | None = None, env: str | None = None, num_threads: int = 1,
    ) -> None:  # fmt: skip
        self.stmt = stmt
        self.setup = setup
        self.label = label
        self.sub_label = sub_label
        self.description = description
        self.env = env
        self.num_threads = num_threads

    @property
    def title(self) -> str:
        """The names, or the statement where there are none."""
        if self.label is None:
            return self.stmt
        return self.label + (f": {self.sub_label}" if self.sub_label else "")

    def as_row_name(self) -> str:
        """The name of a row."""
        return self.sub_label or self.label or self.stmt


class Measurement:
    """Times of several runs. raw_times: seconds for `number_per_run` calls each."""

    def __init__(
        self, number_per_run: int, raw_times: list[float], task_spec: TaskSpec, metadata: Any = None
    ) -> None:
        self.number_per_run = number_per_run
        self.raw_times = raw_times
        self.task_spec = task_spec
        self.metadata = metadata

    @property
    def times(self) -> list[float]:
        """Seconds for one call, of each run."""
        return [time / self.number_per_run for time in self.raw_times]

    @property
    def median(self) -> float:
        """Their median."""
        return float(np.median(self.times))

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.times))

    @property
    def iqr(self) -> float:
        """The distance between the quartiles."""
        low, high = np.quantile(self.times, [0.25, 0.75])
        return float(high - low)

    def __getattr__(self, name: str) -> Any:
        if name in ("stmt", "setup", "label", "sub_label", "description", "env", "num_threads", "title"):
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute '{name}'")

    @property
    def as_row_name(self) -> str:
        """The name of a row."""
        return self.task_spec.as_row_name()

    def __repr__(self) -> str:
        unit, seconds = select_unit(self.median)
        lines = ["<torch.utils.benchmark.utils.common.Measurement object>", self.task_spec.title]
        if self.task_spec.description and self.task_spec.label is not None:
            lines.append(self.task_spec.description)
        if self.task_spec.setup not in ("pass", ""):
            lines.append(f"setup: {self.task_spec.setup}")
        runs = len(self.raw_times)
        if runs > 1:
            lines += [
                f"  Median: {self.median / seconds:.2f} {unit}",
                f"  IQR:    {self.iqr / seconds:.2f} {unit}",
            ]
        else:
            lines.append(f"  {self.median / seconds:.2f} {unit}")
        count = self.task_spec.num_threads
        lines.append(
            f"  {runs} measurement{'s' if runs > 1 else ''}, {self.number_per_run} runs "
            f"{'per measurement' if runs > 1 else ''}, {count} thread{'s' if count > 1 else ''}"
        )
        return "\n".join(lines)


class Timer:
    """Times a statement of Python, given as text with the names in `globals`."""

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "", timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None, label: str | None = None, sub_label: str | None = None,
        description: str | None = None, env: str | None = None, num_threads: int = 1, language: Any = "python",
    ) -> None:  # fmt: skip
        if str(language).lower() not in ("python", "py", "0", "language.python"):
            raise ValueError("clew times Python only")
        names = dict(globals or {})
        if "torch" not in names:
            import clew

            names["torch"] = clew
        self._timer = _timeit.Timer(stmt, setup, timer, names)
        self._task_spec = TaskSpec(stmt, setup, label, sub_label, description, env, num_threads)

    def _measured(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._task_spec)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One run of `number` calls, after a shorter one to warm up."""
        self._timer.timeit(max(number // 100, 2))
        return self._measured(number, [self._timer.timeit(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """As in PyTorch: NotImplementedError."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Any = None) -> None:
        """As in PyTorch: NotImplementedError."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _block(self, minimum: float) -> int:
        """How many calls take long enough that the clock does not matter."""
        number = 1
        while True:
            time = self._timer.timeit(number)
            if time >= minimum or number >= 10**9:
                return number
            number *= 10

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """Runs of some calls each, until they have taken `min_run_time` seconds together."""
        number = self._block(min_run_time / 1000)
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._timer.timeit(number))
            if callback is not None:
                callback(number, times[-1])
        return self._measured(number, times)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: Any = None
    ) -> Measurement:  # fmt: skip
        """Runs until the distance of the quartiles is below `threshold` times the median, or `max_run_time` is over."""
        number = self._block(0.05 * min_run_time)
        times: list[float] = []
        while True:
            times.append(self._timer.timeit(number))
            measured = self._measured(number, times)
            if sum(times) >= max_run_time:
                return measured
            if sum(times) >= min_run_time and len(times) > 3 and measured.iqr < threshold * measured.median:
                return measured

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> Any:
        """NotImplementedError: instructions are not counted."""
        raise NotImplementedError("clew counts no instructions")


class Compare:
    """Measurements as a table: a row for each sub-label, a column for each description."""

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results = list(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add more."""
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Kept for programs that call it."""

    def colorize(self, rowwise: bool = False) -> None:
        """Kept for programs that call it."""

    def highlight_warnings(self) -> None:
        """Kept for programs that call it."""

    def print(self) -> None:
        """Print the table."""
        print(self)

    def __str__(self) -> str:
        tables = [self._table(label) for label in dict.fromkeys(r.title for r in self._results)]
        return "\n\n".join(tables)

    def _table(self, title: str) -> str:
        results = [r for r in self._results if r.title == title]
        unit, seconds = select_unit(min(r.median for r in results))
        columns = list(dict.fromkeys(r.description or "" for r in results))
        rows = list(dict.fromkeys((r.num_threads, r.as_row_name) for r in results))
        width = max(len(name) for _, name in rows) + 6
        sizes = [max(len(column), 9) for column in columns]
        lines = [" " * width + "".join(f"  |  {c:^{n}}" for c, n in zip(columns, sizes, strict=True))]
        threads = None
        for count, name in rows:
            if count != threads:
                threads = count
                lines.append(f"{count} threads: ".ljust(len(lines[0]), "-"))
            cells = [
                next((f"{r.median / seconds:.1f}" for r in results if (r.num_threads, r.as_row_name, r.description or "") == (count, name, c)), "")
                for c in columns
            ]  # fmt: skip
            lines.append(
                f"{name:>{width}}" + "".join(f"  |  {c:>{n}}" for c, n in zip(cells, sizes, strict=True))
            )
        head = f"[ {results[0].label or title} ]".center(len(lines[0]), "-")
        return "\n".join([head, *lines, "", f"Times are in {NAMES[unit]}s ({unit})."])


__all__ = ["Compare", "Measurement", "TaskSpec", "Timer", "select_unit", "timer"]
