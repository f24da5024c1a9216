"""Pooling, borders and resizing: values by hand, derivatives by numerical differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import clew
from clew.ops import fold, indexed_pool, pad, pool, resize


def leaf(*shape: int) -> Any:
    """A float64 leaf of different numbers."""
    made = np.random.default_rng(sum(shape)).permutation(int(np.prod(shape))).reshape(shape) / 10
    return clew.tensor(made.tolist(), dtype=clew.float64).requires_grad_()


CASES = {
    "max_pool2d": (lambda x: pool.max_pool2d(x, 3, 2, 1, ceil_mode=True), (1, 2, 5, 6)),
    "avg_pool2d": (lambda x: pool.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (1, 2, 5, 6)),
    "adaptive_avg_pool2d": (lambda x: resize.adaptive_avg_pool2d(x, (3, 2)), (1, 2, 5, 6)),
    "adaptive_max_pool1d": (lambda x: indexed_pool.adaptive_max_pool1d(x, 3), (1, 2, 7)),
    "unfold": (lambda x: fold.unfold(x, 2, padding=1, stride=2), (1, 2, 4, 5)),
    "fold": (lambda x: fold.fold(x, (4, 4), 2), (1, 8, 9)),
    "reflect": (lambda x: pad.pad(x, (2, 1), mode="reflect"), (1, 2, 4)),
    "replicate": (lambda x: pad.pad(x, (2, -1), mode="replicate"), (1, 2, 4)),
    "circular": (lambda x: pad.pad(x, (2, 1), mode="circular"), (1, 2, 4)),
    "bilinear": (lambda x: resize.interpolate(x, (3, 7), mode="bilinear"), (1, 2, 4, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    program, shape = CASES[name]
    assert gradcheck(program, (leaf(*shape),))
    assert gradgradcheck(program, (leaf(*shape),))


def test_maxima_and_their_places() -> None:
    x = clew.tensor([[[[1.0, 5, 2, 0], [3, 4, 8, 7], [0, 1, 1, 1], [2, 0, 0, 1]]]])
    values, indices = pool.max_pool2d(x, 2, return_indices=True)
    assert values.tolist() == [[[[5, 8], [2, 1]]]]
    assert indices.tolist() == [[[[1, 6], [12, 10]]]]


def test_borders() -> None:
    x = clew.tensor([[[1.0, 2, 3]]])
    assert pad.pad(x, (2, 1), mode="reflect").tolist() == [[[3, 2, 1, 2, 3, 2]]]
    assert pad.pad(x, (2, 1), mode="replicate").tolist() == [[[1, 1, 1, 2, 3, 3]]]
    assert pad.pad(x, (2, 1), mode="circular").tolist() == [[[2, 3, 1, 2, 3, 1]]]
    assert pad.pad(x, (1, -1), value=9).tolist() == [[[9, 1, 2]]]
