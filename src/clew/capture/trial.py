"""Before a kernel is used: the program and the kernel, side by side, on the same values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from clew.capture.lower import untouched
from clew.streams import Generator

if TYPE_CHECKING:
    from clew.capture.fused import Fused

_CLOSE = 2e-3  # how far a kernel's numbers may be from the program's, relative to the length of what changed
_SHAKEN = 16  # how many times what one rounding error in each value does


def trial(fused: Fused, args: list[Any], run: Callable[[], Any]) -> tuple[Any, bool]:
    """Run the program, and the kernel on copies. The program's result, and whether the kernel's numbers are the same."""
    before = [_twin(a) for a in fused.fixed]
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
    room = {**fused.room, "args": args}
    exec("\n".join(fused.before), room)  # the draws, and room for the results
    given = [eval(expression, room) for _, _, expression in fused.given]
    ours = _Outcome(fused, room, before, given, numbers)
    noisy = _Outcome(fused, room, [_shaken(a) for a in before], [_shaken(a) for a in given], numbers)
    good = _same_gradients(fused, ours, noisy)
    moved = {id(a) for arrays in fused.state for a in arrays}
    moved |= {id(p._array) for update in fused.updates for p, _ in update.pairs}
    moved |= {id(p._array) for o in fused.stepping for g in o.param_groups for p in g["params"]}
    for row, (b, c) in enumerate(zip(fused.fixed, before, strict=True)):
        result_of = any(what is b for _, what in fused.results)
        if row not in fused.gradient_rows and id(b) not in moved and not result_of:
            good = good and _close(ours.arrays[row], b, c, noisy.arrays[row])
    tree = fused.recording.result
    for (mine, theirs), (other, _) in zip(
        _pairs(fused, tree, result, ours), _pairs(fused, tree, result, noisy), strict=True
    ):
        good = good and _close(np.asarray(mine), np.asarray(theirs), np.zeros(()), np.asarray(other))
    return good and _same_updates(fused, ours, noisy, before)


class _Outcome:
    """What a kernel makes of copies."""

    def __init__(
        self,
        fused: Fused,
        room: dict[str, Any],
        before: list[np.ndarray],
        given: list[Any],
        numbers: list[float],
    ) -> None:
        self.arrays = [_twin(a) for a in before]
        given = [_twin(a) for a in given]
        self.room = {**room, **{name: a for (_, _, name), a in zip(fused.given, given, strict=True)}}
        table = fused.addresses(self.arrays)
        self.made = fused.kernel(table.ctypes.data, *given, *numbers)


def _twin(array: np.ndarray) -> np.ndarray:
    """A copy with the same strides, gaps included: the kernel counts on them."""
    made = untouched(array.shape, tuple([s // array.itemsize for s in array.strides]), array.dtype)
    made[...] = array
    return made


def _shaken(array: np.ndarray) -> np.ndarray:
    """The array with each float moved by a rounding error: what then differs in the results is what rounding can do."""
    made = _twin(array)
    if array.dtype.kind == "f":
        signs = np.random.default_rng(array.size).integers(0, 2, array.shape) * 2 - 1
        with np.errstate(all="ignore"):
            made[...] = array + array * (signs * np.finfo(array.dtype).eps).astype(array.dtype)
    return made


def _same_gradients(fused: Fused, ours: _Outcome, noisy: _Outcome) -> bool:
    """Gradients that are rounding errors need not be the same."""
    rows = fused.gradient_rows
    theirs: list[Any] = [sink.grad for sink, _ in fused.gradients]
    if any(t is None for t in theirs):
        return False
    largest = max((float(np.abs(t._array).max(initial=0)) for t in theirs), default=0.0)
    return all(
        _close(ours.arrays[row], t._array, np.zeros_like(t._array), noisy.arrays[row], 1e-6 * largest)
        for row, t in zip(rows, theirs, strict=True)
    )


def _same_updates(fused: Fused, ours: _Outcome, noisy: _Outcome, before: list[np.ndarray]) -> bool:
    """Most of the parameters must move alike: those whose gradient is a rounding error may go anywhere."""
    alike = count = 0
    arrays = {id(p._array) for update in fused.updates for p, _ in update.pairs}
    for mine, theirs, old, other in zip(ours.arrays, fused.fixed, before, noisy.arrays, strict=True):
        if id(theirs) in arrays and theirs.size:
            a, b = mine - old, theirs - old
            close = np.abs(a - b) <= 0.02 * np.abs(b).max() + 1e-6 * np.abs(old) + _SHAKEN * np.abs(
                mine - other
            )
            alike += int(np.count_nonzero(close | ~np.isfinite(b)))
            count += theirs.size
    return alike >= 0.7 * count


def _pairs(fused: Fused, tree: Any, result: Any, ours: _Outcome) -> Iterator[tuple[Any, Any]]:
    """The kernel's results beside the program's."""
    kind, value = tree
    if kind == "tensor":
        how, what = fused.results[value]
        if how == "number":
            yield ours.arrays[next(i for i, a in enumerate(fused.fixed) if a is what)][0], result._array
        else:
            yield ours.room[what], result._array
    elif kind == "number":
        yield ours.made[fused.plain[value]], result
    elif kind is dict:
        for key, part in value:
            yield from _pairs(fused, part, result[key], ours)
    elif kind in (tuple, list):
        for part, own in zip(value, result, strict=True):
            yield from _pairs(fused, part, own, ours)


def _close(
    ours: np.ndarray, theirs: np.ndarray, before: np.ndarray, noisy: np.ndarray, error: float = 0.0
) -> bool:
    """Whether two arrays are the same to rounding.

    before: what was there; noisy: what the kernel makes of values that are a rounding error off; error: what an element may
    have in any case.
    """
    if ours.dtype.kind != "f":
        return bool(np.array_equal(ours, theirs))
    with np.errstate(all="ignore"):
        a, b, c, d = (np.asarray(v, np.float64) for v in (ours, theirs, before, noisy))
        if not np.isfinite(b).all():
            return bool(np.array_equal(np.isfinite(a), np.isfinite(b)))
        change, size = float(np.linalg.norm(b - c)), float(np.linalg.norm(b))
        rounding = _SHAKEN * float(np.linalg.norm(a - d)) if np.isfinite(d).all() else 0.0
        allowed = _CLOSE * change + 1e-6 * size + error * a.size**0.5 + rounding + 1e-30
        return float(np.linalg.norm(a - b)) <= allowed


__all__ = ["trial"]
