"""The maximum of windows of two by two, side by side: one pass over the image, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.kernels.compiling import EXACT, compiled
from clew.kernels.threads import spread

_GRAIN = 1 << 15


@compiled(math=EXACT, apart=True)
def _largest_of(upper: Any, lower: Any, best: Any, place: Any) -> None:
    """One row of windows; of equals the first counts, of NaN the last."""
    for i in range(best.size):
        j = np.uint64(2 * i)
        a, b, c, d = upper[j], upper[j + np.uint64(1)], lower[j], lower[j + np.uint64(1)]
        most, where = a, np.uint8(0)
        better = (b > most) | (b != b)
        most, where = b if better else most, np.uint8(1) if better else where
        better = (c > most) | (c != c)
        most, where = c if better else most, np.uint8(2) if better else where
        better = (d > most) | (d != d)
        best[i], place[i] = d if better else most, np.uint8(3) if better else where


@compiled
def _largest(x: Any, best: Any, place: Any) -> None:
    for n in range(x.shape[0]):
        for row in range(best.shape[1]):
            _largest_of(x[n, 2 * row], x[n, 2 * row + 1], best[n, row], place[n, row])


@compiled(apart=True)
def _put_in(g: Any, place: Any, wide: Any, two: Any) -> None:
    """One row of windows onto two rows of the image, one after the other. (No branch: which place it is cannot be foreseen.)"""
    for i in range(two.size):
        two[i] = 0
    for i in range(g.size):
        where = np.uint64(place[i])
        two[np.uint64(2 * i) + (where & np.uint64(1)) + (where >> np.uint64(1)) * wide] = g[i]


@compiled
def _put(made: Any, g: Any, place: Any) -> None:
    wide = made.shape[2]
    for n in range(g.shape[0]):
        for row in range(g.shape[1]):
            two = made[n, 2 * row : 2 * row + 2].reshape(2 * wide)
            _put_in(g[n, row], place[n, row], np.uint64(wide), two)
        for row in range(2 * g.shape[1], made.shape[1]):
            made[n, row] = 0


def pairs_max(x: ndarray) -> tuple[ndarray, ndarray]:
    """The largest of each window, (…, H // 2, W // 2), and which of its four it is."""
    shape = *x.shape[:-2], x.shape[-2] // 2, x.shape[-1] // 2
    best, place = np.empty(shape, x.dtype), np.empty(shape, np.uint8)
    planes = x.reshape(-1, *x.shape[-2:])
    spread(
        _largest, planes, best.reshape(-1, *shape[-2:]), place.reshape(-1, *shape[-2:]), grain=_GRAIN
    )  # fmt: skip
    return best, place


def pairs_max_back(g: ndarray, place: ndarray, size: tuple[int, ...]) -> ndarray:
    """g where the largest were, in images of a size; elsewhere 0."""
    made = np.empty((*g.shape[:-2], *size), g.dtype)
    shape = -1, *g.shape[-2:]
    spread(_put, made.reshape(-1, *size), g.reshape(shape), place.reshape(shape), grain=_GRAIN)
    return made


__all__ = ["pairs_max", "pairs_max_back"]
