"""Vector instructions for loops that the compiler's own vectorisation leaves slow: matrix tiles and turned squares.

Each function here is written in LLVM's instructions when a loop that calls it is compiled. A vector has as many numbers as a
register of this machine; a tile's sums stay in registers while the loop over the inner index runs (Goto and van de Geijn,
"Anatomy of High-Performance Matrix Multiplication", 2008).
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FEATURES = binding.get_host_cpu_features()
WIDTH = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx2") else 16  # bytes in a register
ROWS = 6 if WIDTH == 32 else 8  # of a tile two vectors wide: 32 registers hold eight rows, AVX2's 16 hold six
LANES = {types.float32: WIDTH // 4, types.float64: WIDTH // 8}
_INDEX, _ONE = ir.IntType(64), ir.IntType(1)
TOGETHER = 256  # products that are added one after another: the error of a sum grows with the longest chain


class _Writer:
    """Vector instructions for numbers of one type."""

    def __init__(self, context: Any, builder: ir.IRBuilder, real: Any) -> None:
        self.builder = builder
        self.lanes = LANES[real]
        self.real = context.get_value_type(real)
        self.vector = ir.VectorType(self.real, self.lanes)

    def whole(self, pointer: Any, offset: Any) -> Any:
        """Where a vector lies."""
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), self.vector.as_pointer())

    def load(self, pointer: Any, offset: Any, some: Any = None) -> Any:
        place = self.whole(pointer, offset)
        if some is None:
            return self.builder.load(place, align=self.real_bytes)
        return self._call("load", self.vector, [place, some, ir.Constant(self.vector, None)])

    def store(self, pointer: Any, offset: Any, value: Any, some: Any = None) -> None:
        place = self.whole(pointer, offset)
        if some is None:
            self.builder.store(value, place, align=self.real_bytes)
        else:
            self._call("store", ir.VoidType(), [value, place, some])

    @property
    def real_bytes(self) -> int:
        return WIDTH // self.lanes

    def _call(self, what: str, result: Any, args: list[Any]) -> Any:
        """A load or store of some lanes; the alignment goes before the mask."""
        args.insert(-2 if what == "load" else -1, ir.Constant(ir.IntType(32), self.real_bytes))
        kind = ir.FunctionType(result, [a.type for a in args])
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self.real_bytes}.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, args)

    def first(self, count: Any) -> Any:
        """Which lanes are among the first `count`."""
        numbers = ir.VectorType(_INDEX, self.lanes)
        return self.builder.icmp_signed(
            "<", ir.Constant(numbers, list(range(self.lanes))), self.everywhere(count, numbers)
        )

    def everywhere(self, number: Any, kind: Any) -> Any:
        """A number in every lane."""
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, nothing, lanes)

    def mixed(self, x: Any, y: Any, lanes: list[int]) -> Any:
        """Lanes of x (from 0 on) and of y (behind them)."""
        chosen = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), lanes)
        return self.builder.shuffle_vector(x, y, chosen)


def tile_of(rows: int, vectors: int) -> Any:
    """o[i+r, j…] = ∑ₚ a[i+r, p] b[p, j…] for so many rows and vectors of columns.

    The function: tile(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some). `…_at` are offsets, `a0` `a1` strides of rows and
    columns, `some`: of a tile of one vector, how many of its columns there are. In place of the stride of a's or b's rows may
    stand a pointer to where each of them begins.
    """

    @intrinsic
    def tile(
        typing: Any, a: Any, a_at: Any, a0: Any, a1: Any, i: Any, b: Any, b_at: Any, b0: Any, o: Any, o_at: Any, o0: Any,
        k: Any, some: Any,
    ) -> Any:  # fmt: skip
        i8, real = types.int64, a.dtype
        of_rows = [x if isinstance(x, types.CPointer) else i8 for x in (a0, b0)]

        def begin(builder: ir.IRBuilder, at: Any, step: Any, number: Any) -> Any:
            """Where a row begins."""
            if isinstance(step.type, ir.PointerType):
                return builder.add(at, builder.load(builder.gep(step, [number])))
            return builder.add(at, builder.mul(step, number))

        def build(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any]) -> Any:
            a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some = args
            write = _Writer(context, builder, real)
            some = write.first(some) if vectors == 1 else None
            steps = [ir.Constant(_INDEX, v * write.lanes) for v in range(vectors)]
            starts = [begin(builder, a_at, a0, builder.add(i, ir.Constant(_INDEX, r))) for r in range(rows)]
            sums = [[cgutils.alloca_once(builder, write.vector) for _ in steps] for _ in starts]
            totals = [[cgutils.alloca_once(builder, write.vector) for _ in steps] for _ in starts]
            places = [*chain.from_iterable(sums)], [*chain.from_iterable(totals)]
            for total in places[1]:
                builder.store(ir.Constant(write.vector, None), total)
            block = ir.Constant(_INDEX, TOGETHER)
            with cgutils.for_range_slice(builder, _INDEX(0), k, block, _INDEX) as (first, _):
                for place in places[0]:
                    builder.store(ir.Constant(write.vector, None), place)
                behind = builder.add(first, block)
                end = builder.select(builder.icmp_signed("<", behind, k), behind, k)
                with cgutils.for_range(builder, builder.sub(end, first)) as loop:
                    p = builder.add(first, loop.index)
                    along, down = builder.mul(p, a1), begin(builder, b_at, b0, p)
                    right = [write.load(b, builder.add(down, step), some) for step in steps]
                    for start, row in zip(starts, sums, strict=True):
                        left = builder.load(builder.gep(a, [builder.add(start, along)]))
                        left = write.everywhere(left, write.vector)
                        for place, v in zip(row, right, strict=True):
                            product = builder.fmul(left, v, flags=("contract",))
                            builder.store(
                                builder.fadd(product, builder.load(place), flags=("contract",)), place
                            )
                for place, total in zip(*places, strict=True):
                    builder.store(builder.fadd(builder.load(total), builder.load(place)), total)
            for r, row in enumerate(totals):
                at = begin(builder, o_at, o0, builder.add(i, ir.Constant(_INDEX, r)))
                for place, step in zip(row, steps, strict=True):
                    write.store(o, builder.add(at, step), builder.load(place), some)
            return context.get_dummy_value()

        return types.void(a, i8, of_rows[0], i8, i8, b, i8, of_rows[1], o, i8, i8, i8, i8), build

    return tile


@intrinsic
def turn_square(typing: Any, b: Any, b_at: Any, b1: Any, o: Any, o_at: Any, o0: Any) -> Any:
    """o[p, j] = b[j, p] for a square as wide as a vector; b1 and o0: from row to row.

    In each round pairs of rows swap halves, then quarters and so on (Eklundh, "A Fast Computer Method for Matrix
    Transposing", 1972).
    """
    i8, real = types.int64, b.dtype

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any]) -> Any:
        b, b_at, b1, o, o_at, o0 = args
        write = _Writer(context, builder, real)
        lanes = range(write.lanes)
        index = [ir.Constant(_INDEX, r) for r in lanes]
        rows = [write.load(b, builder.add(b_at, builder.mul(b1, r))) for r in index]
        step = 1
        while step < write.lanes:
            upper = [j if not j & step else j - step + write.lanes for j in lanes]
            lower = [j + step if not j & step else j + write.lanes for j in lanes]
            for r in lanes:
                if not r & step:
                    x, y = rows[r], rows[r + step]
                    rows[r], rows[r + step] = write.mixed(x, y, upper), write.mixed(x, y, lower)
            step *= 2
        for r, row in zip(index, rows, strict=True):
            write.store(o, builder.add(o_at, builder.mul(o0, r)), row)
        return context.get_dummy_value()

    return types.void(b, i8, i8, o, i8, i8), build


__all__ = ["LANES", "ROWS", "WIDTH", "tile_of", "turn_square"]
