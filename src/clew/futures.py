"""Values that come later: `Future` holds one that some thread sets, and calls what waits for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future as _Slot
from typing import Any

__all__ = ["Future", "collect_all", "wait_all"]


class Future:
    """A value, or an error, that is set once."""

    __module__ = "torch"

    def __init__(self, *, devices: Any = None) -> None:
        self._slot: _Slot[Any] = _Slot()

    def done(self) -> bool:
        """Whether it is set."""
        return self._slot.done()

    def wait(self) -> Any:
        """The value, when it is there; or its error is raised."""
        return self._slot.result()

    def value(self) -> Any:
        """The value that is there; RuntimeError where it is not yet."""
        if not self.done():
            raise RuntimeError("Waiting on a Future that is not complete: call wait() first")
        return self._slot.result()

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """The value that `callback(self)` will give when this is set."""
        made = Future()

        def follow(_: Any) -> None:
            try:
                made.set_result(callback(self))
            except Exception as error:
                made.set_exception(error)

        self._slot.add_done_callback(follow)
        return made

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        """Call `callback(self)` when it is set."""
        self._slot.add_done_callback(lambda _: callback(self))

    def set_result(self, result: Any) -> None:
        """Set the value. RuntimeError where one is set."""
        if self.done():
            raise RuntimeError("Future can only be marked completed once.")
        self._slot.set_result(result)

    def set_exception(self, result: BaseException) -> None:
        """Set an error, which `wait` raises."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._slot.set_exception(result)


def collect_all(futures: list[Future]) -> Future:
    """The list of the futures, when all of them are set."""
    made, left = Future(), [len(futures)]

    def count(_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            made.set_result(futures)

    if not futures:
        made.set_result(futures)
    for future in futures:
        future.add_done_callback(count)
    return made


def wait_all(futures: list[Future]) -> list[Any]:
    """The values, when all are there."""
    return [future.wait() for future in collect_all(futures).wait()]
