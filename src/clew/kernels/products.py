"""Matrix products of any size, tile by tile: each tile's sums stay in the processor's registers.

A call costs some nanoseconds where BLAS's takes a microsecond to begin, and from there on it runs at the speed that the
processor multiplies at: BLAS's packing pays from a thousand rows and columns on, if its kernels are made for this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy import ndarray

from clew.kernels.compiling import REORDER, compiled, entry, settled
from clew.kernels.vectors import ROWS, WIDTH, tile_of, turn_square

_FLAT = 4  # rows of the tiles of a product with fewer than `ROWS`
_tall, _tall_end = tile_of(ROWS, 2), tile_of(ROWS, 1)
_flat, _flat_end = tile_of(_FLAT, 2), tile_of(_FLAT, 1)
_one, _one_end = tile_of(1, 2), tile_of(1, 1)
BYTES = 2 * WIDTH  # how wide a tile is
_NEAR = 1 << 18  # bytes of b that need not be brought together
_FEW = 64  # rows of a that are not worth it


@compiled(apart=True)
def strip(
    a: Any, a_at: int, a0: Any, a1: int, b: Any, b_at: int, b0: Any, o: Any, o_at: int, o0: int, m: int, k: int, some: int,
    whole: bool,
) -> None:  # fmt: skip
    """The columns that a tile is wide (whole), or the first of a vector. a0, b0: strides of rows, or pointers to where each row
    begins. The last tile of rows begins early, if rows are left over."""
    i = 0
    while i < m:
        if m >= ROWS:
            i = min(i, m - ROWS)
            if whole:
                _tall(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some)
            else:
                _tall_end(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some)
            i += ROWS
        elif m >= _FLAT:
            i = min(i, m - _FLAT)
            if whole:
                _flat(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some)
            else:
                _flat_end(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some)
            i += _FLAT
        else:
            if whole:
                _one(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some)
            else:
                _one_end(a, a_at, a0, a1, i, b, b_at, b0, o, o_at, o0, k, some)
            i += 1


def product(
    a: Any, a_at: int, a0: int, a1: int, b: Any, b_at: int, b0: int, b1: int, o: Any, o_at: int, o0: int,
    m: int, k: int, n: int, size: int, room: Any,
) -> None:  # fmt: skip
    """o[i, j] = ∑ₚ a[i, p] b[p, j]: pointers, offsets, strides of rows and columns (o's rows lie in one piece).

    size: bytes of a number. room: for k rows of a tile of `BYTES`, where b's columns are not side by side, or b is so large
    that its rows are far from each other.
    """
    lanes = WIDTH // size
    wide = 2 * lanes
    direct = b1 == 1 and (k * b0 * size <= _NEAR or m < _FEW)
    j = 0
    while j < n:
        whole = n - j >= wide
        some = wide if whole else min(n - j, lanes)
        if direct:
            v, v_at, v0 = b, b_at + j, b0
        else:
            v, v_at, v0 = room, 0, wide
            gather_columns(b, b_at + j * b1, b0, b1, room, wide, k, some, lanes)
        strip(a, a_at, a0, a1, v, v_at, v0, o, o_at + j, o0, m, k, some, whole)
        j += wide if whole else lanes


@compiled(math=REORDER, apart=True)
def gather_columns(b: Any, b_at: int, b0: int, b1: int, o: Any, o0: int, k: int, n: int, lanes: int) -> None:
    """o[p, j] = b[p, j] for k × n numbers; where b's columns are its rows in memory, in squares as far as they go."""
    whole_k, whole_n = (k // lanes * lanes, n // lanes * lanes) if b0 == 1 else (0, 0)
    for j in range(0, whole_n, lanes):
        for p in range(0, whole_k, lanes):
            turn_square(b, b_at + j * b1 + p, b1, o, p * o0 + j, o0)
    for p in range(k):
        for j in range(whole_n if p < whole_k else 0, n):
            o[p * o0 + j] = b[b_at + p * b0 + j * b1]


# ---- the function as an address ------------------------------------------------------------------------------------------------
# A captured program may have a hundred products; called through an address they are compiled once for all programs.
_REALS = {"f4": types.float32, "f8": types.float64}


def _arguments(real: Any) -> tuple[Any, ...]:
    to, i8 = types.CPointer(real), types.int64
    return (to, i8, i8, i8, to, i8, i8, i8, to, i8, i8, i8, i8, i8, i8, to)


@cache
def address_of_product(code: str) -> int:
    """Where the machine code of `product` lies, for "f4" or "f8"."""
    return entry(product, types.void(*_arguments(_REALS[code])))


@intrinsic
def multiply(
    typing: Any, function: Any, a: Any, a_at: Any, a0: Any, a1: Any, b: Any, b_at: Any, b0: Any, b1: Any, o: Any,
    o_at: Any, o0: Any, m: Any, k: Any, n: Any, size: Any, room: Any,
) -> Any:  # fmt: skip
    """`product` at an address."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any]) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args[1:]])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, *_arguments(a.dtype)), build


# ---- for arrays -----------------------------------------------------------------------------------------------------------------
@intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """An address as a pointer to numbers like this one."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any]) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(types.int64, like), build


@compiled
def one_product(
    function: int, a: int, b: int, o: int, room: int, one: Any,
    a0: int, a1: int, b0: int, b1: int, o0: int, m: int, k: int, n: int, size: int,
) -> None:  # fmt: skip
    """`product` of matrices by their addresses. one: a number of their type."""
    left, right, made, free = _pointer(a, one), _pointer(b, one), _pointer(o, one), _pointer(room, one)
    multiply(function, left, 0, a0, a1, right, 0, b0, b1, made, 0, o0, m, k, n, size, free)


@compiled
def _products(
    function: int, starts: Any, room: int, one: Any,
    a0: int, a1: int, b0: int, b1: int, o0: int, m: int, k: int, n: int, size: int,
) -> None:  # fmt: skip
    """A product for each row of starts: the addresses of a, b and o."""
    for i in range(len(starts)):
        a, b, o = starts[i, 0], starts[i, 1], starts[i, 2]
        one_product(function, a, b, o, room, one, a0, a1, b0, b1, o0, m, k, n, size)


def _of_matrices(function: int, a: Any, b: Any, o: Any) -> None:
    """o = A·B of matrices with any strides, o's rows in one piece."""
    size = o.itemsize
    m, k = a.shape
    room = np.empty(k * BYTES // size, o.dtype)
    one_product(
        function, a.ctypes.data, b.ctypes.data, o.ctypes.data, room.ctypes.data, o[0, 0],
        a.strides[0] // size, a.strides[1] // size, b.strides[0] // size, b.strides[1] // size, o.strides[0] // size,
        m, k, b.shape[1], size,
    )  # fmt: skip


@cache
def product_of_matrices(code: str) -> Callable[[ndarray, ndarray, ndarray], None]:
    """The function f(a, b, o) that computes o = A·B for "f4" or "f8"; a call costs a microsecond."""
    real = _REALS[code]
    given, made = types.Array(real, 2, "A", readonly=True), types.Array(real, 2, "A")
    return partial(
        settled(_of_matrices, types.void(types.int64, given, given, made)), address_of_product(code)
    )


# ---- where one matrix is other memory, seen from several places -----------------------------------------------------------------
@compiled
def multiply_seen(a: Any, lines: Any, starts: Any, made: Any, length: int) -> None:
    """made[i, j] = ∑ₚ a[i, p] line[starts[p] + j] for j < length, of the lines one after another."""
    left, seen, table = _pointer(a.ctypes.data, a[0, 0]), _pointer(lines.ctypes.data, a[0, 0]), _table(starts)
    to, lanes = _pointer(made.ctypes.data, a[0, 0]), WIDTH // a.itemsize
    j = 0
    while j < length:
        whole = length - j >= 2 * lanes
        some = 2 * lanes if whole else min(length - j, lanes)
        strip(
            left, 0, a.shape[1], 1, seen, j, table, to, j, made.shape[1], a.shape[0], a.shape[1], some, whole
        )
        j += 2 * lanes if whole else lanes


@compiled
def multiply_seen_rows(lines: Any, starts: Any, b: Any, made: Any, length: int) -> None:
    """made[i, j] = ∑ₚ line[starts[i] + p] b[p, j] over p < length."""
    seen, right, table = (
        _pointer(lines.ctypes.data, b[0, 0]),
        _pointer(b.ctypes.data, b[0, 0]),
        _table(starts),
    )
    to, lanes, width = _pointer(made.ctypes.data, b[0, 0]), WIDTH // b.itemsize, b.shape[1]
    j = 0
    while j < width:
        whole = width - j >= 2 * lanes
        some = 2 * lanes if whole else min(width - j, lanes)
        strip(seen, 0, table, 1, right, j, width, to, j, width, starts.size, length, some, whole)
        j += 2 * lanes if whole else lanes


@compiled
def _table(starts: Any) -> Any:
    return _pointer(starts.ctypes.data, starts[0])


@compiled
def turned_over(a: Any, made: Any) -> None:
    """made = Aᵀ, both without gaps."""
    one, lanes = a[0, 0], WIDTH // a.itemsize
    rows, columns = a.shape
    source, to = _pointer(a.ctypes.data, one), _pointer(made.ctypes.data, one)
    gather_columns(source, 0, 1, columns, to, rows, columns, rows, lanes)


def multiply_arrays(out: ndarray, a: ndarray, b: ndarray) -> None:
    """out = A·B of matrices, or of batches of the same shape. Strides count elements; out's rows lie in one piece."""
    dtype = a.dtype
    size = dtype.itemsize
    m, k = a.shape[-2:]
    a0, a1 = a.strides[-2:]
    b0, b1 = b.strides[-2:]
    sizes = a0 // size, a1 // size, b0 // size, b1 // size, out.strides[-2] // size, m, k, b.shape[-1], size
    room = np.empty(k * BYTES // size, dtype)
    function, one = address_of_product("f4" if size == 4 else "f8"), dtype.type(1)
    if a.ndim == 2:
        one_product(function, _start(a), _start(b), _start(out), _start(room), one, *sizes)
    else:
        starts = np.stack([_starts(x) for x in (a, b, out)], 1)
        _products(function, starts, _start(room), one, *sizes)


def _start(x: ndarray) -> int:
    address: int = x.__array_interface__["data"][0]
    return address


def _starts(x: ndarray) -> ndarray:
    """The addresses of a batch's matrices."""
    starts = np.array([_start(x)], np.int64)
    for length, step in zip(x.shape[:-2], x.strides[:-2], strict=True):
        starts = (starts[:, None] + np.arange(length) * step).reshape(-1)
    return starts


__all__ = [
    "BYTES", "address_of_product", "multiply", "multiply_arrays", "multiply_seen", "multiply_seen_rows", "one_product", "product",
    "product_of_matrices", "turned_over",
]  # fmt: skip
