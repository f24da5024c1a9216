"""Is anything recorded? Grad mode, inference mode and the other switches, one set per thread.

Nearly always every switch of every thread is in its default position. `altered` holds the threads where one is not:
an operation tests the empty set (a few nanoseconds) before it asks for the thread's own switches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

altered: set[int] = set()  # idents of the threads whose switches are not all in their default position
beyond_grad: set[int] = set()  # those among them where one besides grad mode is not
observers: list[Callable[..., None]] = []  # called as observer(node, inputs, results) when one is recorded

changes = [
    0
]  # counts what is set on modules (parameters, submodules, flags): recordings hold while it stands still
recordings: list[
    Any
] = []  # open recordings of `torch.compile`, told of cleared gradients and optimizers' steps

transforms: list[
    Any
] = []  # functions that `func.grad` and its like differentiate now: with history that can be differentiated again


def holds(predicate: Callable[..., bool], *values: Any) -> bool:
    """Whether a predicate over tensors' values holds. A recording goes on with the answer, and asks again on every run."""
    return recordings[-1].holds(predicate, values) if recordings else predicate(*values)


told: set[str] = set()  # the warnings that were given and are given once
tell_always = [False]  # `set_warn_always`


def first_time(warning: str) -> bool:
    """Whether a warning that is given once is to be given now."""
    first = warning not in told
    told.add(warning)
    return first or tell_always[0]


def observe(node: Any, inputs: Sequence[Any], results: Sequence[Any]) -> None:
    """Tell every observer of a recorded operation."""
    for observer in tuple(observers):
        observer(node, inputs, results)


class Switches(threading.local):
    """The switches of one thread."""

    grad = True
    inference = False
    anomaly = False  # detect_anomaly: keep the forward stack of every node, check gradients for NaN
    anomaly_nan = True
    saved_hooks: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = ()
    saved_hooks_refused: str | None = None  # the message of disable_saved_tensors_hooks
    copy_on_write: Any = None  # the registry of allow_mutation_on_saved_tensors
    autocast: Any = None  # the 16-bit type in which matrix products are computed
    multithreading = True
    walk: Any = None  # the backward pass whose hooks run

    def note(self) -> None:
        """Enter or leave `altered`, after a switch was set."""
        ident = threading.get_ident()
        others = (
            self.inference
            or self.anomaly
            or self.saved_hooks
            or self.saved_hooks_refused
            or self.copy_on_write
            or self.autocast
        )
        (beyond_grad.add if others else beyond_grad.discard)(ident)
        (altered.add if others or not self.grad else altered.discard)(ident)


switches = Switches()


def is_grad_enabled() -> bool:
    """True where operations are recorded."""
    return not altered or switches.grad


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode()`."""
    return switches.inference
