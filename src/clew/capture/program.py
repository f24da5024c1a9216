"""What was recorded: steps in order, each giving values a name by which later steps use them; dead steps are left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class Ref:
    """A value of the program, by its number."""

    __slots__ = ("name",)

    def __init__(self, name: int) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"v{self.name}"


class Step:
    """`outs = function(*args, **kwargs)`. place: the user's line; effect: has to run though nobody uses its result."""

    __slots__ = ("args", "effect", "function", "kwargs", "outs", "place")

    def __init__(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outs: tuple[int, ...], place: Any, effect: bool = False
    ) -> None:  # fmt: skip
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.outs = outs
        self.place = place
        self.effect = effect


def refs(value: Any) -> Iterator[int]:
    """The numbers of the values that an argument speaks of."""
    if value.__class__ is Ref:
        yield value.name
    elif value.__class__ is tuple or value.__class__ is list:
        for v in value:
            yield from refs(v)
    elif value.__class__ is dict:
        for v in value.values():
            yield from refs(v)
    elif value.__class__ is slice:
        yield from refs((value.start, value.stop, value.step))


def alive(steps: list[Step], wanted: set[int]) -> list[Step]:
    """The steps on which what is wanted, or an effect, depends."""
    wanted = set(wanted)
    kept = []
    for step in reversed(steps):
        if step.effect or not wanted.isdisjoint(step.outs):
            kept.append(step)
            wanted.update(refs(step.args), refs(step.kwargs))
    return kept[::-1]


def decided_first(steps: list[Step], decisions: Any) -> list[Step]:
    """The same steps with the decisions, and what they need, before everything that has an effect."""
    needed: set[int] = set()
    first: list[Step] = []
    for step in reversed(steps):
        if step.function is decisions or not needed.isdisjoint(step.outs):
            if step.effect and step.function is not decisions:
                return steps
            needed.update(refs(step.args), refs(step.kwargs))
            first.append(step)
    chosen = set(map(id, first))
    return first[::-1] + [s for s in steps if id(s) not in chosen]


def same(a: Any, b: Any) -> bool:
    """Whether two arguments of steps are the same: numbers and arrays by value."""
    if a.__class__ is not b.__class__:
        return False
    if isinstance(a, np.ndarray):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
        )
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, slice):
        return same((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    return bool(a is b or a == b)


def difference(a: list[Step], b: list[Step]) -> Any:
    """The place of the first step by which two recordings differ; None where they are the same."""
    for x, y in zip(a, b):
        if (
            x.function is not y.function
            or x.outs != y.outs
            or not same(x.args, y.args)
            or not same(x.kwargs, y.kwargs)
        ):
            return y.place or x.place
    if len(a) != len(b):
        longer = max(a, b, key=len)
        return longer[min(len(a), len(b))].place
    return None


__all__ = ["Ref", "Step", "alive", "decided_first", "difference", "refs", "same"]
