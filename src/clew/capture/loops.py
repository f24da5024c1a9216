"""Loops: what a program of array operations becomes before it is compiled.

A `Kernel` collects statements. Those over the same shape share a loop, so that a chain of operations is one pass over
memory and what only the chain itself uses is never stored. Shapes and strides are known; a view is another way of
counting through the same memory and costs nothing.

`nests` writes them as Python that Numba compiles: buffers are pointers `b0, b1 …`, values in a loop `x0, x1 …`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

CODES = {"float32": "f4", "float64": "f8", "int64": "i8", "int32": "i4", "bool": "u1", "uint8": "u1"}


class CannotLower(Exception):
    """What loops cannot say."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value's elements lie: offset and strides count elements."""

    buffer: str
    offset: int
    strides: tuple[int, ...]


class Val:
    """A value: elements in memory (`place`), or one number (`local`, the text that stands for it)."""

    __slots__ = ("dtype", "local", "place", "shape")

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype, place: Place | None = None, local: str = ""
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.place = place
        self.local = local

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)


@dataclass(slots=True)
class Buffer:
    """Memory. kind: "fixed" (its address stands in the table), "given" (an argument), "scratch" (the kernel's own)."""

    name: str
    dtype: np.dtype
    size: int
    kind: str


@dataclass(slots=True)
class Statement:
    """`name = template(operands)` at each index; with `op`, gathered over the axes along which `place` has stride 0."""

    name: str
    dtype: np.dtype
    template: str
    operands: tuple[Val, ...]
    place: Place | None
    strides: tuple[int, ...] = ()  # of the place, by the loop's axes
    op: str = ""
    start: str = ""
    also: str = ""  # a buffer that the template itself reads


@dataclass(slots=True)
class Loop:
    """Statements at each index of a shape."""

    shape: tuple[int, ...]
    statements: list[Statement] = field(default_factory=list)
    note: str = ""

    def touched(self) -> Iterator[str]:
        """The buffers that it reads or writes."""
        for statement in self.statements:
            yield from _buffers(statement.operands)
            if statement.place is not None:
                yield statement.place.buffer
            if statement.also:
                yield statement.also


@dataclass(slots=True)
class Block:
    """Anything else: lines that are worked out when the kernel is written.

    alone: they call a function; room: memory that they need meanwhile.
    """

    lines: Callable[[Kernel], list[str]]
    reads: tuple[Val, ...]
    made: str
    note: str = ""
    alone: bool = False
    room: str = ""

    def touched(self) -> Iterator[str]:
        """The buffers that it reads or writes."""
        yield from _buffers(self.reads)
        yield self.made
        if self.room:
            yield self.room


def _buffers(values: Iterable[Val]) -> Iterator[str]:
    return (v.place.buffer for v in values if v.place is not None)


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a C-contiguous array."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def literal(value: Any, dtype: np.dtype) -> str:
    """A number of a dtype as text."""
    if dtype.kind == "b":
        return "True" if value else "False"
    if dtype.kind in "iu":
        return f"{CODES[dtype.name]}({int(value)})"
    number = float(value)
    text = (
        repr(number)
        if np.isfinite(number)
        else ("nan" if number != number else "inf" if number > 0 else "-inf")
    )
    return f"{CODES[dtype.name]}({text})"


class Kernel:
    """Loops in the making."""

    def __init__(self) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.items: list[Loop | Block] = []
        self.count = 0
        self.made: dict[str, int] = {}  # buffer or local name: the item that makes it
        self.maker: dict[str, Statement] = {}  # buffer: the statement that fills it, if one does
        self.needed: set[str] = set()  # buffers that are read elsewhere than in the loop that makes them
        self.barrier = 0  # no statement may move above this item
        self.note = ""
        self.cuts: set[int] = set()  # items before which a new function begins
        self.in_rows: set[str] = set()  # buffers that hold one row at a time, see `nests`
        self.threads = 1  # how many may run it together
        self.slots = 0  # numbers that they tell each other

    def slot(self, count: int = 1) -> int:
        """Room for numbers that threads tell each other: the first one's place."""
        self.slots += count
        return self.slots - count

    def cut(self) -> None:
        """What follows is a function of its own, if the kernel is large."""
        self.barrier = len(self.items)
        self.cuts.add(len(self.items))

    # ---- values ------------------------------------------------------------------------------------------------------
    def fresh(self) -> str:
        self.count += 1
        return str(self.count)

    def buffer(self, dtype: np.dtype, size: int, kind: str = "scratch") -> Buffer:
        """New memory."""
        if dtype.name not in CODES:
            raise CannotLower(f"works with {dtype.name}")
        made = Buffer(f"b{self.fresh()}", dtype, size, kind)
        self.buffers[made.name] = made
        return made

    def number(self, value: Any, dtype: np.dtype) -> Val:
        """A constant."""
        return Val((), dtype, local=literal(value, dtype))

    def placed(self, value: Val) -> Place:
        """The value's place in memory; a number is stored for that."""
        if value.place is None:
            buffer = self.buffer(value.dtype, 1)
            number = Val((), value.dtype, local=value.local)
            self.write(Place(buffer.name, 0, ()), (), "{0}", (number,), value.dtype)
            return Place(buffer.name, 0, (0,) * value.ndim)
        return value.place

    # ---- statements ----------------------------------------------------------------------------------------------------
    def map(self, template: str, operands: Sequence[Val], dtype: np.dtype, also: str = "") -> Val:
        """A value computed element by element; operands are broadcast. also: a buffer that the template reads."""
        shape = np.broadcast_shapes(*[v.shape for v in operands])
        name = "x" + self.fresh()
        if prod(shape) == 1:
            if any(v.size != 1 for v in operands):
                raise CannotLower("works with an empty tensor")
            self._add((), Statement(name, dtype, template, tuple(operands), None, also=also), name)
            return Val(shape, dtype, local=name)
        if prod(shape) == 0:
            raise CannotLower("works with an empty tensor")
        place = Place(self.buffer(dtype, prod(shape)).name, 0, contiguous(shape))
        self._add(
            shape,
            Statement(name, dtype, template, tuple(operands), place, place.strides, also=also),
            place.buffer,
        )
        return Val(shape, dtype, place)

    def write(
        self, place: Place, shape: tuple[int, ...], template: str, operands: Sequence[Val], dtype: np.dtype
    ) -> None:
        """Fill a place."""
        self.needed.add(place.buffer)
        statement = Statement("x" + self.fresh(), dtype, template, tuple(operands), place, place.strides)
        self._add(shape, statement, place.buffer)

    def reduce(
        self,
        op: str,
        template: str,
        operands: Sequence[Val],
        axes: Iterable[int],
        keepdims: bool,
        dtype: np.dtype,
    ) -> Val:
        """A sum ("+"), or the largest ("max") or smallest ("min") element, of what the template gives, over axes.

        "most": the largest, where nobody asks for it if there is a NaN.
        """
        shape = np.broadcast_shapes(*[v.shape for v in operands])
        if not prod(shape):
            raise CannotLower("works with an empty tensor")
        gone = set(axes)
        kept = tuple([1 if i in gone else n for i, n in enumerate(shape)])
        out = kept if keepdims else tuple([n for i, n in enumerate(shape) if i not in gone])
        name = "x" + self.fresh()
        start = "0.0" if op == "+" else {"max": "-inf", "most": "-inf", "min": "inf"}[op]
        if dtype.kind in "iu" and op != "+":
            info = np.iinfo(dtype)
            start = str(info.min if op == "max" else info.max)
        if prod(kept) == 1:
            statement = Statement(name, dtype, template, tuple(operands), None, (0,) * len(shape), op, start)
            self._add(shape, statement, name)
            return Val(out, dtype, local=name)
        buffer = self.buffer(dtype, prod(kept))
        steps = contiguous(kept)
        strides = tuple([0 if n == 1 else s for n, s in zip(kept, steps, strict=True)])
        place = Place(buffer.name, 0, strides)
        self._add(
            shape, Statement(name, dtype, template, tuple(operands), place, strides, op, start), buffer.name
        )
        self.needed.add(buffer.name)
        return Val(out, dtype, Place(buffer.name, 0, contiguous(out)))

    def block(
        self,
        lines: Callable[[Kernel], list[str]],
        reads: Sequence[Val],
        made: str,
        alone: bool = False,
        room: str = "",
    ) -> None:
        """Lines of their own."""
        for value in reads:
            if value.place is not None:
                self.needed.add(value.place.buffer)
        self.needed.add(made)
        if room:
            self.needed.add(room)
        self.items.append(Block(lines, tuple(reads), made, self.note, alone, room))
        self.made[made] = len(self.items) - 1

    def _add(self, shape: tuple[int, ...], statement: Statement, made: str) -> None:
        """Put a statement into the first loop of its shape that comes after all that it needs."""
        earliest = max((self.made.get(key(v), -1) for v in statement.operands), default=-1)
        for index in range(max(earliest, self.barrier, 0), len(self.items)):
            item = self.items[index]
            if item.__class__ is Loop and item.shape == shape and self._fits(item, index, statement):
                item.statements.append(statement)
                break
        else:
            self.items.append(Loop(shape, [statement], self.note))
            index = len(self.items) - 1
        self.made[made] = index
        if statement.place is not None and not statement.op:
            self.maker[statement.place.buffer] = statement
        for value in statement.operands:
            if value.place is not None and self.made.get(value.place.buffer, -1) != index:
                self.needed.add(value.place.buffer)

    def _fits(self, loop: Loop, index: int, statement: Statement) -> bool:
        """Whether what the loop itself makes is read at the index at which it is made."""
        for value in statement.operands:
            if self.made.get(key(value), -1) != index:
                continue
            if value.place is None:
                if loop.shape:
                    return False  # a sum is known when the loop has ended
            elif (
                (maker := self.maker.get(value.place.buffer)) is None
                or maker.place != value.place
                or value.shape != loop.shape
            ):
                return False
        return True


def key(value: Val) -> str:
    """What a value is made as."""
    return value.local if value.place is None else value.place.buffer


__all__ = [
    "CODES",
    "Block",
    "Buffer",
    "CannotLower",
    "Kernel",
    "Loop",
    "Place",
    "Statement",
    "Val",
    "contiguous",
    "literal",
]
