"""Before a kernel is used: the program and the kernel, side by side, on the same values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from clew.streams import Generator

if TYPE_CHECKING:
    from clew.capture.fused import Fused

_CLOSE = 2e-3  # how far a kernel's numbers may be from the program's, relative to the length of what changed


def trial(fused: Fused, args: list[Any], run: Callable[[], Any]) -> tuple[Any, bool]:
    """Run the program, and the kernel on copies. The program's result, and whether the kernel's numbers are the same."""
    before = [a.copy() for a in fused.fixed]
    numbers = [n for u in fused.updates for n in u.numbers()]
    generators = [g for g in fused.room.values() if isinstance(g, Generator)]
    states = [g.get_state() for g in generators]
    result = run()
    after = [g.get_state() for g in generators]
    try:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)  # so that the kernel's draws are those of the program
        return result, _same(fused, args, before, numbers, result)
    except Exception:
        return result, False
    finally:
        for generator, state in zip(generators, after, strict=True):
            generator.set_state(state)


def _same(fused: Fused, args: list[Any], before: list[np.ndarray], numbers: list[float], result: Any) -> bool:
    """Whether the kernel, on copies of what was there before, gives what is there now."""
    copies = [a.copy() for a in before]
    room = {**fused.room, "args": args}
    exec("\n".join(fused.before), room)  # the draws, and room for the results
    given = [eval(expression, room) for _, _, expression in fused.given]
    made = fused.kernel(fused.addresses(copies), *given, *numbers)
    good = _same_gradients(fused, copies)
    moved = {id(a) for arrays in fused.state for a in arrays}
    moved |= {id(p._array) for update in fused.updates for p, _ in update.pairs}
    moved |= {id(p._array) for o in fused.stepping for g in o.param_groups for p in g["params"]}
    for row, (a, b, c) in enumerate(zip(copies, fused.fixed, before, strict=True)):
        result_of = any(what is fused.fixed[row] for _, what in fused.results)
        if row not in fused.gradient_rows and id(b) not in moved and not result_of:
            good = good and _close(a, b, c)
    for ours, theirs in _pairs(fused, fused.recording.result, result, made, room, copies):
        good = good and _close(np.asarray(ours), np.asarray(theirs), np.zeros(()))
    return good and _same_updates(fused, copies, before)


def _same_gradients(fused: Fused, copies: list[np.ndarray]) -> bool:
    """Gradients that are rounding errors need not be the same."""
    pairs: list[tuple[np.ndarray, Any]] = [
        (copies[row], sink.grad) for row, (sink, _) in zip(fused.gradient_rows, fused.gradients, strict=True)
    ]
    if any(theirs is None for _, theirs in pairs):
        return False
    largest = max((float(np.abs(t._array).max(initial=0)) for _, t in pairs), default=0.0)
    return all(_close(ours, theirs._array, np.zeros_like(ours), 1e-6 * largest) for ours, theirs in pairs)


def _same_updates(fused: Fused, copies: list[np.ndarray], before: list[np.ndarray]) -> bool:
    """Most of the parameters must move alike: those whose gradient is a rounding error may go anywhere."""
    alike = count = 0
    arrays = {id(p._array) for update in fused.updates for p, _ in update.pairs}
    for ours, theirs, old in zip(copies, fused.fixed, before, strict=True):
        if id(theirs) in arrays and theirs.size:
            a, b = ours - old, theirs - old
            close = np.abs(a - b) <= 0.02 * np.abs(b).max() + 1e-6 * np.abs(old)
            alike += int(np.count_nonzero(close | ~np.isfinite(b)))
            count += theirs.size
    return alike >= 0.7 * count


def _pairs(
    fused: Fused, tree: Any, result: Any, made: Any, room: dict[str, Any], copies: list[np.ndarray]
) -> Iterator[tuple[Any, Any]]:
    """The kernel's results beside the program's."""
    kind, value = tree
    if kind == "tensor":
        how, what = fused.results[value]
        ours = (
            copies[next(i for i, a in enumerate(fused.fixed) if a is what)][0]
            if how == "number"
            else room[what]
        )
        yield ours, result._array
    elif kind == "number":
        yield made[fused.plain[value]], result
    elif kind is dict:
        for key, part in value:
            yield from _pairs(fused, part, result[key], made, room, copies)
    elif kind in (tuple, list):
        for part, own in zip(value, result, strict=True):
            yield from _pairs(fused, part, own, made, room, copies)


def _close(ours: np.ndarray, theirs: np.ndarray, before: np.ndarray, error: float = 0.0) -> bool:
    """Whether two arrays are the same to rounding. before: what was there; error: that an element may have in any case."""
    if ours.dtype.kind != "f":
        return bool(np.array_equal(ours, theirs))
    with np.errstate(all="ignore"):
        a, b, c = (np.asarray(v, np.float64) for v in (ours, theirs, before))
        if not np.isfinite(b).all():
            return bool(np.array_equal(np.isfinite(a), np.isfinite(b)))
        change, size = float(np.linalg.norm(b - c)), float(np.linalg.norm(b))
        return float(np.linalg.norm(a - b)) <= _CLOSE * change + 1e-6 * size + error * a.size**0.5 + 1e-30


__all__ = ["trial"]
