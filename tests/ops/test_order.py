"""Sorting, ranks, distinct values, searching and counting."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest

import clew

rng = np.random.default_rng(0)

FUNCTIONS: dict[str, Any] = {
    "sort": lambda x: x.sort(descending=True).values,
    "topk": lambda x: x.topk(2).values,
    "kthvalue": lambda x: x.kthvalue(2, 0).values,
    "median": lambda x: x.median(),
    "median dim": lambda x: x.median(1).values,
    "quantile": lambda x: x.quantile(0.3, 1),
    "quantiles": lambda x: x.quantile(clew.tensor([0.2, 0.9], dtype=clew.float64)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = clew.tensor(rng.normal(size=(3, 4)).tolist(), dtype=clew.float64, requires_grad=True)
    assert gradcheck(FUNCTIONS[name], (x,))
    assert gradgradcheck(FUNCTIONS[name], (x,))


@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(descending: bool) -> None:
    x = clew.tensor([2, 1, 2, 1, 2])
    want = [0, 2, 4, 1, 3] if descending else [1, 3, 0, 2, 4]
    assert x.sort(descending=descending).indices.tolist() == want
    assert x.argsort(descending=descending, stable=True).tolist() == want


def test_equal_elements_stand_where_introsort_leaves_them() -> None:
    ones = clew.ones(17)
    assert ones.sort().indices.tolist() == [8, 16, 15, 14, 13, 12, 11, 10, 9, 0, 7, 6, 5, 4, 3, 2, 1]
    assert ones.sort(stable=True).indices.tolist() == list(range(17))
    assert ones.mode().indices.item() == 1
    assert [clew.zeros(5).kthvalue(k).indices.item() for k in range(1, 6)] == [3, 2, 0, 1, 4]
    assert clew.ones(200).topk(4).indices.tolist() == [133, 134, 135, 132]
    assert clew.ones(200).topk(3).indices.tolist() == [0, 1, 2]


@pytest.mark.parametrize("how", ["sort", "top", "quick"])
@pytest.mark.parametrize("n", [1, 2, 3, 18, 100, 5000])
def test_lines_with_ties_are_sorted_all_the_same(how: str, n: int) -> None:
    from clew.ops.ties import visit

    lines = rng.integers(0, 7, (4, n))
    lines[1].sort()
    k = max(1, n // 3)
    order = visit(lines, how, k)
    assert (np.sort(order, -1) == np.arange(n)).all()
    left, want = np.take_along_axis(lines, order, -1), np.sort(lines, -1)
    part = {"sort": slice(None), "top": slice(0, k), "quick": slice(k, k + 1)}[how]
    assert (left[:, part] == want[:, part]).all()


def test_nan_sorts_last_and_makes_the_median_nan() -> None:
    x = clew.tensor([2.0, nan, 1.0])
    assert x.sort().indices.tolist() == [2, 0, 1]
    assert x.topk(1).indices.tolist() == [1]
    assert x.median().isnan().item()
    assert x.nanmedian().item() == 1.0


def test_the_lower_of_two_middle_values_is_the_median() -> None:
    assert clew.tensor([4.0, 1.0, 3.0, 2.0]).median().item() == 2.0


def test_topk_picks_among_many() -> None:
    x = rng.permutation(10_000).astype(np.float32)
    values, indices = clew.tensor(x).topk(3)
    assert values.tolist() == [9999.0, 9998.0, 9997.0]
    assert x[indices.tolist()].tolist() == values.tolist()


def test_unique_with_inverse_and_counts() -> None:
    x = clew.tensor([[3, 1], [1, 1]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 3]
    assert inverse.tolist() == [[1, 0], [0, 0]]
    assert counts.tolist() == [3, 1]
    assert clew.tensor([1, 1, 2, 1]).unique_consecutive().tolist() == [1, 2, 1]


def test_searching() -> None:
    edges = clew.tensor([1.0, 2.0, 3.0])
    assert clew.bucketize(clew.tensor([0.5, 2.0, 9.0]), edges).tolist() == [0, 1, 3]
    assert clew.searchsorted(edges, 2.0, right=True).item() == 2
    assert clew.isin(clew.tensor([1, 2, 3]), clew.tensor([3, 1])).tolist() == [True, False, True]


def test_counting() -> None:
    assert clew.tensor([1, 1, 3]).bincount().tolist() == [0, 2, 0, 1]
    assert clew.tensor([0.0, 0.4, 1.0]).histc(2, 0, 1).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.topk(9), "selected index k out of range"),
        (lambda x: x.sort(2), "Dimension out of range"),
        (lambda x: x.quantile(2), "must be in the range"),
        (lambda x: x.bincount(), "not implemented for 'Float'"),
    ],
)
def test_errors(function: Any, message: str) -> None:
    with pytest.raises((RuntimeError, IndexError), match=message):
        function(clew.tensor([1.0, 2.0]))
