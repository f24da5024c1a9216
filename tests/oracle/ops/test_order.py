"""Sorting, ranks, distinct values, searching and counting against PyTorch."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from compare import check, check_error

rng = np.random.default_rng(1)
M = rng.normal(size=(3, 5))
V = rng.normal(size=7)
NANS = np.array([[2.0, nan, 1.0, -inf, inf], [3.0, 1.0, 2.0, 2.5, 0.0]])
ROWS = np.array([[1, 2], [0, 5], [1, 2], [0, 3]])
REPEATS = np.array([3, 1, 1, 2, 2, 2, 1, 3])

DIFFERENTIABLE: dict[str, Any] = {
    "sort": lambda t, x: tuple(x.sort()),
    "sort descending": lambda t, x: tuple(t.sort(x, 0, True)),
    "sort stable": lambda t, x: tuple(t.sort(x, stable=True, dim=1, descending=True)),
    "argsort": lambda t, x: x.argsort(),
    "argsort descending": lambda t, x: t.argsort(x, 0, descending=True),
    "msort": lambda t, x: x.msort(),
    "topk": lambda t, x: tuple(x.topk(2)),
    "topk smallest": lambda t, x: tuple(t.topk(x, 2, 0, largest=False)),
    "kthvalue": lambda t, x: tuple(x.kthvalue(2)),
    "kthvalue keepdim": lambda t, x: tuple(t.kthvalue(x, 2, 0, True)),
    "median": lambda t, x: x.median(),
    "median dim": lambda t, x: tuple(t.median(x, 1)),
    "median keepdim": lambda t, x: tuple(x.median(0, keepdim=True)),
    "nanmedian": lambda t, x: x.nanmedian(),
    "nanmedian dim": lambda t, x: tuple(x.nanmedian(-1)),
    "mode": lambda t, x: tuple(x.mode(1)),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_derivatives(name: str, dtype: Any) -> None:
    check(DIFFERENTIABLE[name], M.astype(dtype))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_nan_is_the_largest(name: str) -> None:
    if name.startswith("mode"):
        pytest.skip("what is most frequent among NaNs is not defined")
    check(DIFFERENTIABLE[name], NANS, double=False)


QUANTILES: dict[str, Any] = {
    "number": lambda t, x: x.quantile(0.3),
    "dim": lambda t, x: t.quantile(x, 0.7, 1),
    "keepdim": lambda t, x: t.quantile(x, 0.7, dim=0, keepdim=True),
    "all keepdim": lambda t, x: t.quantile(x, 0.25, keepdim=True),
    "several": lambda t, x: t.quantile(x, t.tensor([0.0, 0.1, 1.0], dtype=x.dtype), dim=1),
    "several keepdim": lambda t, x: t.quantile(x, t.tensor([0.5, 0.1], dtype=x.dtype), dim=0, keepdim=True),
    "nan": lambda t, x: t.nanquantile(x, 0.3, 1),
    "nan all": lambda t, x: x.nanquantile(0.6),
}
for how in ("lower", "higher", "midpoint", "nearest", "linear"):
    QUANTILES[how] = lambda t, x, how=how: t.quantile(x, 0.4, 1, interpolation=how)


@pytest.mark.parametrize("name", QUANTILES)
def test_quantiles(name: str) -> None:
    check(QUANTILES[name], M, names=False)
    check(QUANTILES[name], np.where(np.isinf(NANS), 5.0, NANS), names=False, double=False)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: tuple(x.sort()),
        lambda t, x: tuple(x.topk(1)),
        lambda t, x: tuple(x.kthvalue(1)),
        lambda t, x: x.median(),
        lambda t, x: tuple(x.median(0)),
        lambda t, x: tuple(x.mode()),
        lambda t, x: x.argsort(),
        lambda t, x: x.quantile(0.5),
    ],
)
def test_zero_dimensional(program: Any) -> None:
    check(program, np.array(2.5), names=False)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: tuple(x.sort()),
        lambda t, x: tuple(x.sort(dim=0, stable=True)),
        lambda t, x: tuple(x.sort(stable=True, descending=True)),
        lambda t, x: x.median(),
        lambda t, x: x.topk(2)[0],
        lambda t, x: x.kthvalue(2)[0],
        lambda t, x: x.mode()[0],
        lambda t, x: x.unique(),
        lambda t, x: x.median(1)[0],
        lambda t, x: x.msort(),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "float16", "bfloat16"])
def test_types(program: Any, dtype: str) -> None:
    check(
        lambda t, x: program(t, x.to(getattr(t, dtype))),
        np.array([[3.0, 1.0, 3.0], [2.0, 0.0, 9.0]]),
        grad=False,
    )


def test_ties_share_the_gradient_of_the_median() -> None:
    check(lambda t, x: x.median(), np.ones(3), double=False)
    check(lambda t, x: x.nanmedian(), np.array([nan, nan]), double=False)
    check(lambda t, x: x.sort(stable=True)[0], np.array([1.0, 1.0, 0.0, 1.0]), double=False)


def test_many() -> None:
    check(
        lambda t, x: (*x.topk(5), *x.topk(3, largest=False), *x.sort(), *x.kthvalue(200), x.median()),
        rng.normal(size=(2, 500)),
    )


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (lambda t, x: x.unique(), REPEATS),
        (lambda t, x: t.unique(x, return_inverse=True), REPEATS),
        (lambda t, x: t.unique(x, return_inverse=True, return_counts=True), ROWS),
        (lambda t, x: x.unique(return_counts=True), REPEATS),
        (lambda t, x: x.unique(dim=0), ROWS),
        (lambda t, x: t.unique(x, dim=0, return_inverse=True, return_counts=True), ROWS),
        (lambda t, x: x.unique(dim=1, return_counts=True), ROWS),
        (lambda t, x: x.unique(), np.array([2.0, nan, 1.0, nan])),
        (lambda t, x: x.unique_consecutive(), REPEATS),
        (lambda t, x: x.unique_consecutive(True, True), REPEATS),
        (lambda t, x: t.unique_consecutive(x, return_inverse=True, return_counts=True), ROWS),
        (lambda t, x: x.unique_consecutive(dim=0), np.array([[1, 2], [1, 2], [0, 3]])),
        (lambda t, x: x.unique(), np.empty(0)),
        (lambda t, x: x.unique_consecutive(), np.empty(0)),
        (lambda t, x: x.unique(), np.array([True, False, True])),
    ],
)
def test_distinct(program: Any, data: Any) -> None:
    check(program, data, grad=False)


EDGES, VALUES = np.array([1.0, 2.0, 3.0, 3.0]), np.array([[0.0, 1.0, 3.0], [2.5, 9.0, nan]])


@pytest.mark.parametrize(
    "program",
    [
        lambda t, e, v: t.searchsorted(e, v),
        lambda t, e, v: t.searchsorted(e, v, right=True),
        lambda t, e, v: t.searchsorted(e, v, side="right", out_int32=True),
        lambda t, e, v: t.searchsorted(e, 2.5),
        lambda t, e, v: t.searchsorted(e, 2),
        lambda t, e, v: t.searchsorted(v.nan_to_num(10.0), t.ones(2, 4, dtype=t.float64)),
        lambda t, e, v: t.bucketize(v, e),
        lambda t, e, v: t.bucketize(v, e, right=True),
        lambda t, e, v: t.bucketize(2.0, e),
        lambda t, e, v: t.searchsorted(e.flip(0), v, sorter=e.flip(0).argsort(stable=True)),
        lambda t, e, v: t.searchsorted(e, v.float()),
        lambda t, e, v: t.searchsorted(e.long(), 1.5),
        lambda t, e, v: t.isin(v, e),
        lambda t, e, v: t.isin(v, 2.5, invert=True),
        lambda t, e, v: t.isin(2.0, e),
        lambda t, e, v: t.isin(e.float(), 2),
        lambda t, e, v: t.isin(e.long(), t.tensor([1, 3])),
    ],
)
def test_searching(program: Any) -> None:
    check(program, EDGES, VALUES, grad=False)


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (lambda t, x: x.bincount(), REPEATS),
        (lambda t, x: t.bincount(x, minlength=9), REPEATS),
        (lambda t, x: t.bincount(x, x * 0.5), REPEATS),
        (lambda t, x: t.bincount(x, x), REPEATS),
        (lambda t, x: t.bincount(x, x.double()), REPEATS),
        (lambda t, x: x.bincount(), np.empty(0, np.int64)),
        (lambda t, x: x.histc(4), V),
        (lambda t, x: t.histc(x, 5, -1, 1), V),
        (lambda t, x: x.histc(3), np.array([2.0, 2.0])),
        (lambda t, x: t.histc(x, bins=3, min=0, max=0), np.empty(0)),
        (lambda t, x: x.float().histc(), V),
        (lambda t, x: tuple(t.histogram(x, 4)), V),
        (lambda t, x: tuple(t.histogram(x, 3, range=(-1.0, 1.0), density=True)), V),
        (lambda t, x: tuple(x.histogram(t.tensor([-1.0, 0.0, 0.5, 2.0], dtype=x.dtype), weight=x * x)), V),
    ],
)
def test_counting(program: Any, data: Any) -> None:
    check(program, data, grad=False)


F, INTS, E, C = np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3]), np.empty(0), np.array([1 + 1j])


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (lambda t, x: x.sort(3), F),
        (lambda t, x: x.sort(), C),
        (lambda t, x: x.topk(5), F),
        (lambda t, x: x.topk(-1), F),
        (lambda t, x: x.topk(1), C),
        (lambda t, x: x.kthvalue(5), F),
        (lambda t, x: x.kthvalue(0), F),
        (lambda t, x: x.kthvalue(1), E),
        (lambda t, x: x.median(), C),
        (lambda t, x: x.median(0), E),
        (lambda t, x: x.mode(), E),
        (lambda t, x: x.quantile(0.5), INTS),
        (lambda t, x: x.quantile(1.5), F),
        (lambda t, x: x.quantile(0.5), E),
        (lambda t, x: x.quantile(0.5, interpolation="a"), F),
        (lambda t, x: x.quantile(t.tensor([0.5, 2.0], dtype=t.float64)), F),
        (lambda t, x: x.quantile(t.tensor([0.5])), F),
        (lambda t, x: t.searchsorted(x, x, right=True, side="left"), F),
        (lambda t, x: t.searchsorted(x, x, side="x"), F),
        (lambda t, x: t.searchsorted(x.reshape(1, 3), x), F),
        (lambda t, x: t.bucketize(x, x.reshape(1, 3)), F),
        (lambda t, x: x.bincount(), F),
        (lambda t, x: t.bincount(-x), INTS),
        (lambda t, x: x.bincount(minlength=-1), INTS),
        (lambda t, x: x.bincount(x[:1]), INTS),
        (lambda t, x: t.bincount(x.reshape(1, 3)), INTS),
        (lambda t, x: x.histc(), INTS),
        (lambda t, x: x.histc(0), F),
        (lambda t, x: x.histc(3, 5, 2), F),
        (lambda t, x: x.histc(3), np.array([nan])),
        (lambda t, x: t.isin(x > 1, x > 1), F),
        (lambda t, x: x.unique(), C),
        (lambda t, x: t.sort(3), F),
        (lambda t, x: x.requires_grad_().unique().sum().backward(), F),
    ],
)
def test_errors(program: Any, data: Any) -> None:
    check_error(program, data)


def test_out() -> None:
    def program(t: Any, x: Any) -> Any:
        values, indices = t.empty(0, dtype=x.dtype), t.empty(0, dtype=t.int64)
        return [*t.sort(x, out=(values, indices)), values, indices]

    check(program, M, grad=False)
