"""Products of matrices: NumPy's (BLAS's) where they are small or of other types, else `products`, shared out among threads."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.modes import recordings
from clew.core.variable import FLOAT32, FLOAT64
from clew.kernels import loaded, note
from clew.kernels.blas import FEW, alone
from clew.kernels.threads import spread

LARGE = 1 << 20  # multiplications: from there on it pays to import Numba
SMALL = 1 << 14  # and from there on, where it has been imported, to make the product here
WORTH = 1 << 21  # multiplications that are worth a thread


def dot(a: Any, b: Any) -> Any:
    """A·B of vectors and matrices."""
    if a.size < 1 << 8 or a.ndim != 2 or b.ndim != 2:
        return a.dot(b)
    work = a.size * b.shape[1]
    if _worth(a, b, work):
        return _run(a, b)
    return _on_one_thread(a, b) if FEW <= work < LARGE else a.dot(b)


def matmul(a: Any, b: Any, out: ndarray | None = None) -> Any:
    """A·B of matrices or batches of them, which are broadcast."""
    if a.size < 1 << 8 or a.ndim < 2 or b.ndim < 2:
        return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
    work = max(a.size * b.shape[-1], b.size * a.shape[-2])
    if _worth(a, b, work):
        return _run(a, b, out)
    if out is None and FEW <= work < LARGE:
        return _on_one_thread(a, b)
    return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)


def sum_rows(rows: Any) -> Any:
    """∑ᵢ rows[i, :], by groups of rows: of many numbers, one after the other, too many digits would be lost.

    (The error grows with N/32 + 32 instead of N; the BLAS takes a third of the time of `np.add.reduce`.)
    """
    if recordings and type(rows) is not ndarray:
        return recordings[-1].call(sum_rows, (rows,), {})
    count, width = rows.shape
    dtype = rows.dtype
    if not (dtype is FLOAT32 or dtype is FLOAT64) or not width:
        return np.add.reduce(rows, 0, dtype=dtype)
    if count < 2 * _GROUP:
        return alone(_ones(count, dtype).dot, rows) if rows.size >= FEW else _ones(count, dtype).dot(rows)
    whole = count // _GROUP * _GROUP
    groups = np.matmul(_ones(_GROUP, dtype)[None, :], rows[:whole].reshape(-1, _GROUP, width))
    made = sum_rows(groups.reshape(-1, width))
    return made if whole == count else made + _ones(count - whole, dtype).dot(rows[whole:])


_GROUP = 32


@lru_cache(maxsize=64)
def _ones(n: int, dtype: np.dtype[Any]) -> ndarray:
    return np.ones(n, dtype)


def _worth(a: Any, b: Any, work: int) -> bool:
    """Whether a product of so many multiplications is made here: tiles of it fill registers, and it is worth a call."""
    if work < LARGE and (work < SMALL or not loaded or a.ndim != 2):
        return False
    dtype = a.dtype
    return (
        (dtype is FLOAT32 or dtype is FLOAT64) and b.dtype is dtype and a.shape[-2] >= 4 and b.shape[-1] >= 4
    )


def _run(a: Any, b: Any, out: ndarray | None = None) -> Any:
    if recordings and not (type(a) is type(b) is ndarray):
        return recordings[-1].call(product, (a, b), {} if out is None else {"out": out})
    return product(a, b, out)


def _on_one_thread(a: Any, b: Any) -> Any:
    if recordings and not (type(a) is type(b) is ndarray):
        return recordings[-1].call(small_product, (a, b), {})
    return small_product(a, b)


def small_product(a: ndarray, b: ndarray) -> Any:
    """A·B by one thread of BLAS."""
    return alone(a.dot, b) if a.ndim == b.ndim == 2 else alone(np.matmul, a, b)


def product(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    """A·B of matrices, or of batches of them, which are broadcast: …×m×k and …×k×n to …×m×n."""
    found = _functions()
    if found is None:
        return np.matmul(a, b, out=out)
    of_two, of_many = found
    m, k = a.shape[-2:]
    n = b.shape[-1]
    two = a.ndim == b.ndim == 2
    shape = (m, n) if two else (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n)
    made = np.empty(shape, a.dtype) if out is None else out
    if k != b.shape[-2] or (
        out is not None and (out.shape != shape or out.strides[-1] != out.itemsize or not _straight(out))
    ):
        return np.matmul(a, b, out=out)
    if not _straight(a):
        a = np.ascontiguousarray(a)
    if not _straight(b):
        b = np.ascontiguousarray(b)
    grain = WORTH // (k or 1) or 1
    if two:
        multiply = of_two("f4" if made.itemsize == 4 else "f8")
        if made.size < 2 * grain:
            multiply(a, b, made)
        else:
            spread(lambda o, left: multiply(left, b, o), made, a, grain=grain)
        return made
    a, b = np.broadcast_to(a, (*shape[:-1], k)), np.broadcast_to(b, (*shape[:-2], k, n))
    spread(of_many, made, a, b, grain=grain)
    return made


def _straight(a: ndarray) -> bool:
    """Whether the strides count elements."""
    together = 0
    for s in a.strides:
        together |= s
    return not together % a.itemsize and a.flags.aligned


def _functions() -> Any:
    """The compiled functions for two matrices and for batches, or None where Numba cannot be imported."""
    if not _found:
        try:
            from clew.kernels.products import multiply_arrays, product_of_matrices
        except ImportError:
            _found.append(None)
        else:
            _found.append((product_of_matrices, multiply_arrays))
            note("product", product)
    return _found[0]


_found: list[Any] = []

__all__ = ["dot", "matmul", "product", "sum_rows"]
