"""Threads for work on large arrays.

NumPy and the compiled loops let go of the interpreter while they run, so ordinary threads do: each gets some of the
rows. Between two calls they watch for the next for a fifth of a millisecond, then sleep. While one thread of the program
uses them, another one works alone. (Numba's own parallel loops are not used: one of its layers spins for good, another must
not be entered by two threads, a third ends a forked process.)
"""

from __future__ import annotations

import os
import threading
from _thread import LockType, allocate_lock
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy import ndarray

GRAIN = 1 << 16  # numbers that are worth a thread: it takes 10 µs to give it work, 50 µs if it sleeps
_chosen: list[int] = []


def count_threads() -> int:
    """How many threads operations may use: what was set, else what the environment says, else one for each processor."""
    return _chosen[-1] if _chosen else _default()


@cache
def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _default() -> int:
    found = _processors()
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        text = os.environ.get(name, "").partition(",")[0].strip()
        if text.isdecimal() and int(text):
            return int(text)
    return found


def set_threads(count: int) -> None:
    """From now on operations use so many threads."""
    _chosen[:] = [count]


class Helper:
    """A thread that waits for work.

    To be woken takes 20 µs. So where Numba is loaded (`spinning`) it watches a number in memory for a while before it goes to
    sleep, and who waits for its result does the same; unless there are more threads than processors.
    """

    def __init__(self) -> None:
        self.go, self.done = _closed(), _closed()
        self.numbers = np.zeros(
            2 * _LINE, np.int64
        )  # whether there is work, whether it is done: a cache line each
        self.has_work = int(self.numbers.ctypes.data)
        self.is_done = self.has_work + 8 * _LINE
        self.work: Callable[[], Any] = tuple
        self.result: Any = None
        self.error: BaseException | None = None
        threading.Thread(target=self.serve, name="clew-helper", daemon=True).start()

    def serve(self) -> None:
        np.seterr(all="ignore")
        numbers = self.numbers
        while True:
            if spinning and count_threads() <= _processors():
                spinning[0](self.has_work, _IDLE_TURNS, _LATER)
            self.go.acquire()
            numbers[0] = 0
            try:
                self.result = self.work()
            except BaseException as error:
                self.error = error
            self.work = tuple
            numbers[_LINE] = 1
            if self.done.locked():
                self.done.release()

    def start(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.numbers[_LINE], self.numbers[0] = 0, 1
        self.go.release()

    def finish(self) -> Any:
        """Wait for the result; an interruption (Ctrl-C) is passed on when the work, which writes memory, has ended."""
        interrupted: BaseException | None = None
        while not self.numbers[_LINE]:
            try:
                if (
                    spinning
                    and count_threads() <= _processors()
                    and spinning[0](self.is_done, _END_TURNS, _LATER)
                ):
                    break
                self.done.acquire()  # it may be open from the time before: hence the loop
            except BaseException as error:
                interrupted = error
        failed, self.error = self.error or interrupted, None
        result, self.result = self.result, None
        if failed is not None:
            raise failed
        return result


spinning: list[Callable[[int, int, int], bool]] = []  # `waiting.wait`, once Numba is loaded
_LINE = 16  # numbers between one that is watched and the next
_IDLE_TURNS = 8000  # of 26 ns
_END_TURNS = 4000
_LATER = 100  # until the other has let go of the interpreter: who asks for it while it is held goes to sleep


def _closed() -> LockType:
    lock = allocate_lock()
    lock.acquire()
    return lock


_helpers: list[Helper] = []
_busy = allocate_lock()


def _forget() -> None:
    """In a forked process there are no helpers."""
    global _busy
    _helpers.clear()
    _busy = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def spread(function: Callable[..., Any], *args: Any, grain: int = GRAIN) -> list[Any]:
    """function(*args) in parts: every array argument as long as the first is cut into as many parts as threads work.

    Returns what each part gave. grain: numbers of the first argument that are worth a thread of their own.
    """
    first = args[0]
    rows = len(first)
    parts = min(first.size // grain, rows)
    if parts > 1:
        parts = min(parts, count_threads())
    if parts <= 1 or not _busy.acquire(blocking=False):
        return [function(*args)]
    lock = _busy
    try:
        ends = [rows * part // parts for part in range(parts + 1)]
        while len(_helpers) < parts - 1:
            _helpers.append(Helper())
        pieces = [_piece(function, args, rows, i, j) for i, j in pairwise(ends)]
        return _together(pieces)
    finally:
        lock.release()


def together(function: Callable[[int, int], Any], most: int) -> Any:
    """function(i, n) on n threads at once, which may wait for each other; what the first one gives."""
    count = min(count_threads(), most)
    if count <= 1 or not _busy.acquire(blocking=False):
        return function(0, 1)
    lock = _busy
    try:
        while len(_helpers) < count - 1:
            _helpers.append(Helper())
        return _together([partial(function, i, count) for i in range(count)])[0]
    finally:
        lock.release()


def _piece(
    function: Callable[..., Any], args: tuple[Any, ...], rows: int, start: int, stop: int
) -> Callable[[], Any]:
    own = [a[start:stop] if a.__class__ is ndarray and a.ndim and len(a) == rows else a for a in args]
    return lambda: function(*own)


def _together(pieces: list[Callable[[], Any]]) -> list[Any]:
    """The first piece here, the others by helpers; no piece is left running when this returns or raises."""
    started = _helpers[: len(pieces) - 1]
    for helper, piece in zip(started, pieces[1:], strict=True):
        helper.start(piece)
    failed: BaseException | None = None
    results: list[Any] = []
    try:
        results.append(pieces[0]())
    except BaseException as error:
        failed = error
    for helper in started:
        try:
            results.append(helper.finish())
        except BaseException as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return results
