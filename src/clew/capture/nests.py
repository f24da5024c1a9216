"""Loops as text: which are nested in each other, and where their memory lies.

Loops that follow each other and go through the same rows become one loop over rows, if what one makes of a row is all that
the next needs of it: a softmax is one pass over memory. What only such a loop uses is a single row, which stays in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from clew.capture.loops import CODES, Block, Buffer, Kernel, Loop, Place, Statement, Val, contiguous

_TOGETHER = 12  # loops compiled as one function: more take long
_SHORT = 4096  # numbers that are added in their own type, in some dozens of places at once
_WIDE = {"f4": "f8", "f8": "f8", "i8": "i8", "i4": "i8", "u1": "i8"}  # what sums are gathered in


class Text:
    """A kernel's items in parts of some loops each."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.groups = list(groups(kernel))
        kernel.in_rows = set(single_rows(kernel, self.groups))
        self.shared = self._arrange()
        self.parts = self._parts()

    def _parts(self) -> list[tuple[bool, list[str]]]:
        """The items as Python; True: a call of a library, which stands alone."""
        kernel = self.kernel
        parts: list[tuple[bool, list[str]]] = []
        shown, count = "", 0
        large = len(kernel.items) > 4 * _TOGETHER
        for indices, rows in self.groups:
            items = [kernel.items[i] for i in indices]
            first = items[0]
            alone = isinstance(first, Block) and first.alone
            count += len(indices)
            cut = count > _TOGETHER or (large and indices[0] in kernel.cuts)
            if not parts or alone or parts[-1][0] or cut:
                parts.append((alone, []))
                count = len(indices)
            text = parts[-1][1]
            if first.note and first.note != shown:
                shown = first.note
                text.append(shown)
            text += self._block(first) if isinstance(first, Block) else self._nested(items, rows)
        return parts

    def _block(self, block: Block) -> list[str]:
        lines = block.lines(self.kernel)
        if self.kernel.threads == 1:
            return lines
        return [*(lines if block.alone else _by_one(lines)), MEET]

    def _nested(self, loops: list[Any], rows: int) -> list[str]:
        kernel = self.kernel
        size = sum(prod(loop.shape) * len(loop.statements) for loop in loops)
        split = kernel.threads > 1 and size >= SHARED
        nests = [Nest(kernel, loop, rows, split) for loop in loops]
        text = [line for nest in nests for line in nest.before]
        if rows:
            text.append(_for(rows, split))
            for nest in nests:
                text += nest.nested[1:]
        else:
            text += nests[0].nested
        after = [line for nest in nests for line in nest.after]
        if split:
            shares = [line for nest in nests for line in nest.shares]
            return [*text, *shares, *([MEET] if shares else []), *after, MEET]
        return text + after if kernel.threads == 1 else self._by_one(loops, text + after)

    def _by_one(self, loops: list[Loop], lines: list[str]) -> list[str]:
        """Lines that the first thread runs, while the others wait; numbers that they make are told to all."""
        statements = [s for loop in loops for s in loop.statements]
        if all(s.place is None for s in statements) and all(loop.shape == () for loop in loops):
            return lines  # numbers made of numbers: every thread makes its own
        told = [s for s in statements if s.place is None]
        slots = [self.kernel.slot() for _ in told]
        lines = lines + [f"slots[{n}] = {s.name}" for n, s in zip(slots, told, strict=True)]
        heard = [_heard(s, n) for n, s in zip(slots, told, strict=True)]
        return [*_by_one(lines), MEET, *heard]

    def _arrange(self) -> dict[str, str]:
        """Which buffer each lies in: memory is used again when it is no longer read."""
        kernel = self.kernel
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for number, (indices, _) in enumerate(self.groups):
            for index in indices:
                for name in kernel.items[index].touched():
                    first.setdefault(name, number)
                    last[name] = number
        scratch = [b for b in kernel.buffers.values() if b.kind == "scratch" and b.name in kernel.needed]
        shared: dict[str, str] = {}
        free: list[Buffer] = []
        taken: list[tuple[int, Buffer]] = []
        for buffer in sorted(scratch, key=lambda b: first.get(b.name, 0)):
            begins = first.get(buffer.name, 0)
            free += [b for end, b in taken if end < begins]
            taken = [(end, b) for end, b in taken if end >= begins]
            fitting = [b for b in free if b.dtype == buffer.dtype and b.size >= buffer.size]
            if fitting:
                room = min(fitting, key=lambda b: b.size)
                free = [b for b in free if b is not room]
                shared[buffer.name] = room.name
            else:
                room = buffer
            taken.append((last.get(buffer.name, len(self.groups)), room))
        return shared


# ---- threads: each runs the whole kernel, on its share of the larger loops -------------------------------------------------------
SHARED = 1 << 14  # numbers that are worth waiting for each other
MEET = "meet(sync, nt)"


def _for(count: int, split: bool) -> str:
    """The head of an outermost loop."""
    if not split:
        return f"for i0 in range({count}):"
    return f"for i0 in range({count}*tid//nt, {count}*(tid + 1)//nt):"


def _by_one(lines: list[str]) -> list[str]:
    return ["if tid == 0:", *["    " + line for line in lines]]


def _heard(statement: Statement, slot: int) -> str:
    code = CODES[statement.dtype.name]
    return f"{statement.name} = " + (
        f"slots[{slot}] != 0" if statement.dtype.kind == "b" else f"{code}(slots[{slot}])"
    )


# ---- loops that go through the same rows ---------------------------------------------------------------------------------------
Group = tuple[list[int], int]  # items, and the rows that they go through together (0: a single item)


def groups(kernel: Kernel) -> Iterator[Group]:
    """The items, those together that go row by row."""
    index = 0
    while index < len(kernel.items):
        found = [index]
        rows = max(_rows(kernel, index), _rows(kernel, index + 1) if _rows(kernel, index) == 0 else 0)
        if rows and _joins(kernel, [], index, rows):
            while index + len(found) < len(kernel.items) and _joins(kernel, found, index + len(found), rows):
                found.append(index + len(found))
        yield found, rows if len(found) > 1 else 0
        index += len(found)


def _rows(kernel: Kernel, index: int) -> int:
    """Into how many rows a loop divides what it sums up; 0 if it does not."""
    item = kernel.items[index] if index < len(kernel.items) else None
    if not isinstance(item, Loop):
        return 0
    for statement in item.statements:
        if statement.op and statement.place is not None:
            kept = [axis for axis, s in enumerate(statement.strides) if s]
            lead = prod(item.shape[: kept[-1] + 1]) if kept else 0
            if (
                kept
                and lead < prod(item.shape)
                and all(s or n == 1 for s, n in zip(statement.strides[: kept[-1]], item.shape, strict=False))
            ):
                return lead
    return 0


def _joins(kernel: Kernel, found: list[int], index: int, rows: int) -> bool:
    """Whether an item can go row by row with those before it."""
    loop = kernel.items[index]
    if not isinstance(loop, Loop) or len(axes_of(loop, rows)) < 1 or index in kernel.cuts:
        return False
    earlier = [item for i in found if isinstance(item := kernel.items[i], Loop)]
    made = {s.place.buffer: (s, other) for other in earlier for s in other.statements if s.place is not None}
    touched = {name for other in earlier for name in other.touched()}
    for statement in loop.statements:
        if statement.also in made or (statement.place is not None and statement.place.buffer in touched):
            return False
        for value in statement.operands:
            if value.place is None:
                if kernel.made.get(value.local, -1) in found:
                    return False
            elif value.place.buffer in made:
                writer, other = made[value.place.buffer]
                assert writer.place is not None
                ours = reach(loop, rows, value.place.offset, aligned(value, loop))
                theirs = reach(other, rows, writer.place.offset, writer.strides)
                step = ours[0]
                if (
                    step <= 0
                    or step != theirs[0]
                    or max(ours[2], theirs[2]) - min(ours[1], theirs[1]) >= step
                ):
                    return False
    return True


def reach(loop: Loop, rows: int, offset: int, strides: tuple[int, ...]) -> tuple[int, int, int]:
    """How far it is from row to row, and the first and the last element of the first row."""
    axes = axes_of(loop, rows)
    ends = [(n - 1) * strides[axis] for n, axis in axes[1:]]
    return strides[axes[0][1]], offset + sum(e for e in ends if e < 0), offset + sum(e for e in ends if e > 0)


def single_rows(kernel: Kernel, found: list[Group]) -> Iterator[str]:
    """The scratch buffers of which one row is enough; their size becomes that."""
    users: dict[str, set[int]] = {}
    for number, (indices, _) in enumerate(found):
        for index in indices:
            for name in kernel.items[index].touched():
                users.setdefault(name, set()).add(number)
    for name, numbers in users.items():
        buffer = kernel.buffers[name]
        if buffer.kind != "scratch" or len(numbers) != 1 or not found[min(numbers)][1]:
            continue
        indices, rows = found[min(numbers)]
        steps: set[tuple[int, int, int]] = set()
        for index in indices:
            loop = kernel.items[index]
            assert isinstance(loop, Loop)
            for statement in loop.statements:
                if statement.also == name:
                    steps.add((0, 0, 0))
                if statement.place is not None and statement.place.buffer == name:
                    steps.add(reach(loop, rows, statement.place.offset, statement.strides))
                for value in statement.operands:
                    if value.place is not None and value.place.buffer == name:
                        steps.add(reach(loop, rows, value.place.offset, aligned(value, loop)))
        step = max((s[0] for s in steps), default=0)
        if step > 0 and all(s[0] == step and 0 <= s[1] <= s[2] < step for s in steps):
            buffer.size = _apart(step, buffer.dtype, kernel.threads) * kernel.threads
            yield name


class Nest:
    """One loop as text. rows: how many rows its outermost axis is to have, where it goes row by row with others.

    split: each thread takes some of them. Sums over rows are then gathered by each for itself (`shares`), and put together
    by all or by one (`after`), when all have met.
    """

    def __init__(self, kernel: Kernel, loop: Loop, rows: int = 0, split: bool = False) -> None:
        self.kernel, self.loop, self.split = kernel, loop, split
        self.here = {s.place.buffer: s for s in loop.statements if s.place is not None and not s.op}
        self.loads: dict[tuple[str, int, tuple[int, ...]], str] = {}
        self.done: set[str] = set()  # names that stand above in the loop
        self.axes = axes_of(loop, rows)
        self.before: list[str] = []
        self.shares: list[str] = []
        self.after: list[str] = []
        self.nested = self._lines()  # from the outermost loop on

    def _lines(self) -> list[str]:
        body: list[str] = []
        opened: dict[int, tuple[list[str], list[str]]] = {}  # by depth: what begins and ends a row of sums
        depth = len(self.axes)
        for statement in self.loop.statements:
            value = statement.template.format(*[self._operand(v, body) for v in statement.operands])
            if statement.op:
                self._gather(statement, value, body, opened)
                continue
            code = CODES[statement.dtype.name]
            cast = value if statement.dtype.kind == "b" else f"{code}({value})"
            body.append(f"{statement.name} = {cast}")
            self.done.add(statement.name)
            place = statement.place
            if place is not None and place.buffer in self.kernel.needed:
                stored = f"u1({statement.name})" if statement.dtype.kind == "b" else statement.name
                body.append(f"{place.buffer}[{self._index(place, statement.strides)}] = {stored}")
        text: list[str] = []
        for level in range(depth):
            pad = "    " * level
            text += [pad + line for line in opened.get(level, ([], []))[0]]
            count = self.axes[level][0]
            text.append(_for(count, self.split) if level == 0 else f"{pad}for i{level} in range({count}):")
        text += ["    " * depth + line for line in body]
        for level in range(depth - 1, -1, -1):
            text += ["    " * level + line for line in opened.get(level, ([], []))[1]]
        return text

    def _gather(
        self,
        statement: Statement,
        value: str,
        body: list[str],
        opened: Any,
    ) -> None:
        code, name = CODES[statement.dtype.name], statement.name
        wide = _WIDE[code] if statement.op == "+" else code
        sums = [self._stride(statement.strides, axis) for axis in range(len(self.axes))]
        rows = len(sums)
        while rows and sums[rows - 1] == 0:
            rows -= 1
        place = statement.place
        if 0 in sums[:rows] and place is not None:  # along an outer axis: gathered in memory
            index = self._index(place, statement.strides)
            kept = [(n, s) for (n, _), s in zip(self.axes, sums, strict=True) if s]
            if self.split and sums[0] == 0:
                place, index = self._own_sums(statement, place, sums)
            else:
                self.before += _filled(place, kept, f"{code}({statement.start})")
            body += _combined(f"{place.buffer}[{index}]", value, statement.op, code)
            return
        begin, end = ([], []) if place is None else opened.setdefault(rows, ([], []))
        begin.append(f"a{name} = {wide}({statement.start})")
        body += self._row_by_row(f"a{name}", value, statement.op, wide, code, rows, opened)
        if place is None:
            self.before += begin
            if self.split:
                slot = self.kernel.slot(self.kernel.threads)
                self.shares.append(f"slots[{slot} + tid] = a{name}")
                self.after += [f"a{name} = {wide}(slots[{slot}])", "for q in range(1, nt):"]
                self.after += [
                    "    " + line for line in _combined(f"a{name}", f"slots[{slot} + q]", statement.op, wide)
                ]
            self.after.append(f"{name} = {code}(a{name})")
        else:
            end.append(f"{name} = {code}(a{name})")
            end.append(f"{place.buffer}[{self._index(place, statement.strides, rows)}] = {name}")

    def _row_by_row(
        self, total: str, value: str, op: str, wide: str, code: str, rows: int, opened: Any
    ) -> list[str]:
        """Add to a total: what a short innermost row gives is gathered for itself, in the values' own type, whose vectors
        are longer than those of the wide one."""
        inner = len(self.axes) - 1
        if op != "+" or wide == code or inner < 0 or self.axes[inner][0] > _SHORT:
            return _combined(total, value, op, wide)
        part = "r" + total
        begin, end = opened.setdefault(inner, ([], []))
        begin.append(f"{part} = {code}(0)")
        end.insert(0, f"{total} = {total} + {wide}({part})")
        return _combined(part, value, op, code)

    def _own_sums(self, statement: Statement, place: Place, sums: list[int]) -> tuple[Place, str]:
        """Where a thread gathers a sum over rows: memory of its own, and the index there. All together go to `place`."""
        code = CODES[statement.dtype.name]
        kept = [(axis, n, s) for axis, ((n, _), s) in enumerate(zip(self.axes, sums, strict=True)) if s]
        count, steps = prod(n for _, n, _ in kept), contiguous([n for _, n, _ in kept])
        kernel = self.kernel
        step = _apart(count, statement.dtype, kernel.threads)
        own = kernel.buffer(statement.dtype, step * kernel.threads)
        kernel.needed.add(own.name)
        self.before += [
            f"for i0 in range({count}):",
            f"    {own.name}[tid*{step} + i0] = {code}({statement.start})",
        ]
        index = " + ".join(
            [f"tid*{step}"] + [f"i{axis}*{n}" for (axis, _, _), n in zip(kept, steps, strict=True)]
        )
        self.shares.append(f"# {own.name}: the sums of each thread")
        lines, target, source = [], [str(place.offset)] if place.offset else [], []
        for depth, ((_, n, stride), inner) in enumerate(zip(kept, steps, strict=True)):
            lines.append("    " * depth + f"for i{depth} in range({n}):")
            target.append(f"i{depth}*{stride}")
            source.append(f"i{depth}*{inner}")
        pad = "    " * len(kept)
        total, one = "a" + statement.name, f"{own.name}[{' + '.join(source)}"
        lines += [f"{pad}{total} = {one}]", f"{pad}for q in range(1, nt):"]
        lines += [f"{pad}    {line}" for line in _combined(total, f"{one} + q*{step}]", statement.op, code)]
        lines.append(f"{pad}{place.buffer}[{' + '.join(target)}] = {total}")
        self.after += _by_one(lines)
        return Place(own.name, 0, ()), index

    def _operand(self, value: Val, body: list[str]) -> str:
        if value.place is None:
            return value.local
        made = self.here.get(value.place.buffer)
        if made is not None and made.name in self.done and made.place == value.place:
            return made.name
        strides = aligned(value, self.loop)
        seen = value.place.buffer, value.place.offset, strides
        known = self.loads.get(seen)
        if known is None:
            known = self.loads[seen] = "l" + self.kernel.fresh()
            loaded = f"{value.place.buffer}[{self._index(value.place, strides)}]"
            body.append(f"{known} = {loaded}" + (" != 0" if value.dtype.kind == "b" else ""))
        return known

    def _stride(self, strides: tuple[int, ...], axis: int) -> int:
        return strides[self.axes[axis][1]] if strides else 0

    def _index(self, place: Place, strides: tuple[int, ...], depth: int | None = None) -> str:
        parts = [str(place.offset)] if place.offset else []
        first = int(place.buffer in self.kernel.in_rows)
        if first and self.kernel.threads > 1:  # a row for each thread
            parts.append(f"tid*{self.kernel.buffers[place.buffer].size // self.kernel.threads}")
        for axis in range(first, len(self.axes) if depth is None else depth):
            step = self._stride(strides, axis)
            if step:
                parts.append(f"i{axis}" if step == 1 else f"i{axis}*{step}")
        return " + ".join(parts) or "0"


def aligned(value: Val, loop: Loop) -> tuple[int, ...]:
    """A value's strides along the loop's axes."""
    assert value.place is not None
    strides = [0 if n == 1 else s for n, s in zip(value.shape, value.place.strides, strict=True)]
    return (0,) * (len(loop.shape) - value.ndim) + tuple(strides)


def axes_of(loop: Loop, rows: int = 0) -> list[tuple[int, int]]:
    """The axes that loops are needed for: length, and which axis gives the strides.

    Neighbours that all accesses go through as if they were one are one. rows: the first is to have that length; none where
    that cannot be.
    """
    accesses = [s.strides for s in loop.statements if s.strides]
    accesses += [aligned(v, loop) for s in loop.statements for v in s.operands if v.place is not None]
    axes: list[tuple[int, int]] = []
    for axis, n in enumerate(loop.shape):
        if n == 1:
            continue
        alike = axes and all(a[axes[-1][1]] == a[axis] * n for a in accesses)
        full = rows and len(axes) == 1 and axes[0][0] == rows
        if alike and not full and (not rows or len(axes) > 1 or axes[0][0] * n <= rows):
            axes[-1] = axes[-1][0] * n, axis
        else:
            axes.append((n, axis))
    return axes if not rows or (axes and axes[0][0] == rows) else []


def _apart(count: int, dtype: np.dtype, threads: int) -> int:
    """From one thread's numbers to the next's: no two write to one line of the cache, nor to the one beside it."""
    line = 2 * 64 // dtype.itemsize
    return count if threads == 1 else -(-count // line) * line


def _combined(target: str, value: str, op: str, code: str) -> list[str]:
    if op == "+":
        return [f"{target} = gather({target}, {code}({value}))"]
    if op == "most":
        return [f"{target} = larger({target}, {value})"]
    sign = ">" if op == "max" else "<"
    return [f"if {value} {sign} {target} or {value} != {value}:", f"    {target} = {value}"]


def _filled(place: Place, axes: list[tuple[int, int]], start: str) -> list[str]:
    """A place set to one number."""
    lines = []
    index = [str(place.offset)] if place.offset else []
    for depth, (n, step) in enumerate(axes):
        lines.append("    " * depth + f"for i{depth} in range({n}):")
        index.append(f"i{depth}*{step}")
    lines.append("    " * len(axes) + f"{place.buffer}[{' + '.join(index) or '0'}] = {start}")
    return lines


__all__ = ["MEET", "Nest", "Text"]
