"""Which of equal elements PyTorch's CPU kernels put first.

They sort and select with the algorithms of GCC's standard library (introsort and introselect: Musser, "Introspective Sorting
and Selection Algorithms", 1997, with a median-of-three pivot; heap selection), `kthvalue` with the quickselect of Numerical
Recipes. None of them is stable: where equal elements end up follows from the exchanges they make, so these are made here, on
the elements' ranks. Lines without ties never come here. Small lines run as plain Python, large ones under Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["SHORT", "visit"]

SHORT = 16  # up to here introsort leaves a line to insertion, which is stable
_PLAIN = 1 << 14  # elements: with more, compiling pays


def visit(ranks: ndarray, how: str, k: int = 0) -> ndarray:
    """For each line (L, n) of integer ranks the positions 0 … n − 1 in the order in which an algorithm leaves them.

    how: "sort"; "top", where the first k ≥ 1 are selected and sorted (the rest is in no order); "quick", where the k-th,
    counted from 0, is selected (the rest is in no order).
    """
    lines, n = ranks.shape
    small = ranks.size <= _PLAIN
    kernel = getattr(_kernels(not small), how)
    positions = np.tile(np.arange(n), (lines, 1))
    a, p = (ranks.tolist(), positions.tolist()) if small else (ranks.astype(np.int64), positions)
    kernel(a, p, n, k)
    order = np.asarray(p, np.int64)
    part = {"sort": n, "top": k - 1, "quick": 0}[how]  # what is left to the final insertion
    if part:
        last = np.argsort(np.asarray(a)[:, :part], -1, kind="stable")
        order[:, :part] = np.take_along_axis(order[:, :part], last, -1)
    return order


@cache
def _kernels(compiled: bool) -> SimpleNamespace:
    """The algorithms on a list or array of ranks `a`, from `first` to before `last`, that carry the positions `p` along."""
    jit: Callable[..., Any] = lambda f: f  # noqa: E731
    if compiled:
        import numba

        jit = numba.njit(nogil=True)

    @jit
    def swap(a: Any, p: Any, i: int, j: int) -> None:
        a[i], a[j] = a[j], a[i]
        p[i], p[j] = p[j], p[i]

    # ---- heaps: the largest at the root -----------------------------------------------------------------------------
    @jit
    def sift(a: Any, p: Any, first: int, hole: int, size: int, rank: int, place: int) -> None:
        """Move the hole down to a leaf, the larger child up each time, then let the element rise from there."""
        top = hole
        child = 2 * hole + 2
        while child < size:
            if a[first + child] < a[first + child - 1]:
                child -= 1
            a[first + hole], p[first + hole] = a[first + child], p[first + child]
            hole, child = child, 2 * child + 2
        if child == size:  # the last inner node has one child
            a[first + hole], p[first + hole] = a[first + child - 1], p[first + child - 1]
            hole = child - 1
        parent = (hole - 1) // 2
        while hole > top and a[first + parent] < rank:
            a[first + hole], p[first + hole] = a[first + parent], p[first + parent]
            hole, parent = parent, (parent - 1) // 2
        a[first + hole], p[first + hole] = rank, place

    @jit
    def pop(a: Any, p: Any, first: int, last: int, to: int) -> None:
        """The root goes to `to`, and the element there into the heap."""
        rank, place = a[to], p[to]
        a[to], p[to] = a[first], p[first]
        sift(a, p, first, 0, last - first, rank, place)

    @jit
    def heap_select(a: Any, p: Any, first: int, middle: int, last: int) -> None:
        size = middle - first
        for node in range((size - 2) // 2, -1, -1):
            sift(a, p, first, node, size, a[first + node], p[first + node])
        for i in range(middle, last):
            if a[i] < a[first]:
                pop(a, p, first, middle, i)

    @jit
    def sort_heap(a: Any, p: Any, first: int, last: int) -> None:
        while last - first > 1:
            last -= 1
            pop(a, p, first, last, last)

    # ---- partitions ---------------------------------------------------------------------------------------------------
    @jit
    def partition(a: Any, p: Any, first: int, last: int) -> int:
        """Split by the median of the second, the middle and the last element; where the upper part begins."""
        i, j, k = first + 1, first + (last - first) // 2, last - 1
        if a[i] < a[j]:
            median = j if a[j] < a[k] else k if a[i] < a[k] else i
        else:
            median = i if a[i] < a[k] else k if a[j] < a[k] else j
        swap(a, p, first, median)
        pivot = a[first]
        low, high = first + 1, last
        while True:
            while a[low] < pivot:
                low += 1
            high -= 1
            while pivot < a[high]:
                high -= 1
            if low >= high:
                return low
            swap(a, p, low, high)
            low += 1

    @jit
    def depth_of(n: int) -> int:
        """2 ⌊log₂ n⌋ partitions before heaps take over."""
        depth = 0
        while n > 1:
            n //= 2
            depth += 2
        return depth

    @jit
    def introsort(a: Any, p: Any, n: int, k: int) -> None:
        """Down to parts of 16, which insertion finishes."""
        waiting = [(0, n, depth_of(n))]
        while len(waiting) > 0:
            first, last, depth = waiting.pop()
            while last - first > SHORT:
                if depth == 0:
                    heap_select(a, p, first, last, last)
                    sort_heap(a, p, first, last)
                    break
                depth -= 1
                cut = partition(a, p, first, last)
                waiting.append((cut, last, depth))
                last = cut

    @jit
    def introselect(a: Any, p: Any, n: int, k: int) -> None:
        first, last, depth = 0, n, depth_of(n)
        while last - first > 3:
            if depth == 0:
                heap_select(a, p, first, k + 1, last)
                swap(a, p, first, k)
                return
            depth -= 1
            cut = partition(a, p, first, last)
            if cut <= k:
                first = cut
            else:
                last = cut
        for i in range(first + 1, last):
            j = i
            while j > first and a[j] < a[j - 1]:
                swap(a, p, j, j - 1)
                j -= 1

    @jit
    def top(a: Any, p: Any, n: int, k: int) -> None:
        if k * 64 <= n:
            heap_select(a, p, 0, k, n)
            sort_heap(a, p, 0, k)
        else:
            introselect(a, p, n, k - 1)
            introsort(a, p, k - 1, 0)

    @jit
    def quickselect(a: Any, p: Any, n: int, k: int) -> None:
        low, high = 0, n - 1
        while low < high:
            if high == low + 1:
                if a[low] > a[high]:
                    swap(a, p, low, high)
                return
            swap(a, p, (low + high) // 2, low + 1)
            if a[low + 1] > a[high]:
                swap(a, p, low + 1, high)
            if a[low] > a[high]:
                swap(a, p, low, high)
            if a[low + 1] > a[low]:
                swap(a, p, low + 1, low)
            pivot = a[low]
            i, j = low + 1, high
            while True:
                i += 1
                while a[i] < pivot:
                    i += 1
                j -= 1
                while a[j] > pivot:
                    j -= 1
                if j < i:
                    break
                swap(a, p, i, j)
            swap(a, p, low, j)
            if j <= k:
                low = i
            if j >= k:
                high = j - 1

    def on_lines(kernel: Callable[..., Any]) -> Callable[..., Any]:
        @jit
        def run(a: Any, p: Any, n: int, k: int) -> None:
            for line in range(len(a)):
                kernel(a[line], p[line], n, k)

        return run

    return SimpleNamespace(sort=on_lines(introsort), top=on_lines(top), quick=on_lines(quickselect))
