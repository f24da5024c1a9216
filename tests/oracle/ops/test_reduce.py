"""Reductions, softmax and running sums against PyTorch."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from compare import check, check_error

rng = np.random.default_rng(0)
M = rng.normal(size=(3, 4))
C = rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3))
CUBE = rng.normal(size=(2, 3, 4))
TIES = np.array([[1.0, 3.0, 3.0], [3.0, 0.0, 1.0]])
ZEROS = np.array([[0.0, 2.0, 3.0], [4.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
SCALAR = np.array(1.5)

REDUCTIONS: dict[str, Any] = {
    "sum": lambda t, x: x.sum(),
    "sum dim": lambda t, x: x.sum(1),
    "sum dims keepdim": lambda t, x: t.sum(x, (0, -1), keepdim=True),
    "sum empty dims": lambda t, x: x.sum(()),
    "sum axis": lambda t, x: x.sum(axis=0, keepdims=True),
    "sum all keepdim": lambda t, x: x.sum(None, True),
    "mean": lambda t, x: x.mean(),
    "mean dim": lambda t, x: t.mean(x, -1, True),
    "mean dims": lambda t, x: x.mean((0, 1)),
    "prod": lambda t, x: x.prod(),
    "prod dim": lambda t, x: t.prod(x, 0),
    "prod keepdim": lambda t, x: x.prod(-1, keepdim=True),
    "var": lambda t, x: x.var(),
    "var biased": lambda t, x: x.var(unbiased=False),
    "var dim": lambda t, x: t.var(x, 1, keepdim=True),
    "var correction": lambda t, x: t.var(x, dim=(0, 1), correction=2),
    "var flag": lambda t, x: t.var(x, False),
    "std": lambda t, x: x.std(),
    "std dim": lambda t, x: x.std(0, unbiased=False),
    "std axis": lambda t, x: x.std(axis=0),
    "var_mean": lambda t, x: t.var_mean(x, 1),
    "std_mean": lambda t, x: t.std_mean(x),
    "std_mean dim": lambda t, x: t.std_mean(x, 0, keepdim=True),
    "max": lambda t, x: x.max(),
    "max dim": lambda t, x: tuple(t.max(x, 1)),
    "max keepdim": lambda t, x: tuple(x.max(dim=0, keepdim=True)),
    "min": lambda t, x: x.min(),
    "min dim": lambda t, x: tuple(x.min(-1)),
    "amax": lambda t, x: x.amax(1),
    "amax all": lambda t, x: t.amax(x),
    "amax dims": lambda t, x: t.amax(x, (0, 1), keepdim=True),
    "amin": lambda t, x: x.amin((0,)),
    "aminmax": lambda t, x: tuple(x.aminmax()),
    "aminmax dim": lambda t, x: tuple(t.aminmax(x, dim=1, keepdim=True)),
    "argmax": lambda t, x: x.argmax(),
    "argmax dim": lambda t, x: t.argmax(x, -1, keepdim=True),
    "argmax keepdim": lambda t, x: t.argmax(x, keepdim=True),
    "argmin": lambda t, x: x.argmin(0),
    "all": lambda t, x: (x > -1).all(),
    "all dim": lambda t, x: x.all(1),
    "any": lambda t, x: t.any(x, (0, 1), keepdim=True),
    "count_nonzero": lambda t, x: x.count_nonzero(0),
    "count_nonzero all": lambda t, x: t.count_nonzero(x),
    "nansum": lambda t, x: x.nansum(),
    "nansum dim": lambda t, x: t.nansum(x, 0, keepdim=True),
    "nanmean": lambda t, x: x.nanmean(1),
    "logsumexp": lambda t, x: x.logsumexp(0),
    "logsumexp dims": lambda t, x: t.logsumexp(x, (0, 1), keepdim=True),
    "softmax": lambda t, x: x.softmax(1),
    "softmax first": lambda t, x: t.softmax(x, dim=0),
    "log_softmax": lambda t, x: x.log_softmax(-1),
    "log_softmax first": lambda t, x: t.log_softmax(x, 0),
    "cumsum": lambda t, x: x.cumsum(1),
    "cumprod": lambda t, x: t.cumprod(x, 0),
    "cummax": lambda t, x: tuple(x.cummax(1)),
    "cummin": lambda t, x: tuple(t.cummin(x, 0)),
    "logcumsumexp": lambda t, x: x.logcumsumexp(1),
    "norm": lambda t, x: x.norm(),
    "norm dim": lambda t, x: t.norm(x, dim=1),
    "norm fro": lambda t, x: t.norm(x, "fro", (0, 1), keepdim=True),
}
for p in (0, 0.5, 1, 1.5, 2, 3, 4, inf, -inf, -1):
    REDUCTIONS[f"norm {p}"] = lambda t, x, p=p: t.norm(x, p)
    REDUCTIONS[f"norm {p} dim"] = lambda t, x, p=p: x.norm(p, 0, True)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_values_and_derivatives(name: str) -> None:
    check(REDUCTIONS[name], M)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_float32(name: str) -> None:
    check(REDUCTIONS[name], M.astype(np.float32), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: x.sum(),
        lambda t, x: x.sum(0),
        lambda t, x: x.mean(-1),
        lambda t, x: x.prod(),
        lambda t, x: x.prod(0),
        lambda t, x: x.max(),
        lambda t, x: tuple(x.max(0)),
        lambda t, x: x.amax(),
        lambda t, x: x.amin(-1),
        lambda t, x: tuple(x.aminmax()),
        lambda t, x: tuple(x.aminmax(dim=0)),
        lambda t, x: x.argmax(),
        lambda t, x: x.argmin(0),
        lambda t, x: x.softmax(0),
        lambda t, x: x.log_softmax(-1),
        lambda t, x: x.logsumexp(0),
        lambda t, x: x.cumsum(0),
        lambda t, x: x.cumprod(0),
        lambda t, x: tuple(x.cummax(0)),
        lambda t, x: x.logcumsumexp(0),
        lambda t, x: x.norm(),
        lambda t, x: x.norm(1, 0),
        lambda t, x: x.all(),
        lambda t, x: x.any(0),
        lambda t, x: x.var(unbiased=False),
        lambda t, x: x.nansum(),
        lambda t, x: x.count_nonzero(),
    ],
)
def test_zero_dimensional(program: Any) -> None:
    check(program, SCALAR)


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (lambda t, x: x.max(), TIES),
        (lambda t, x: x.min(), TIES),
        (lambda t, x: tuple(x.max(1)), TIES),
        (lambda t, x: tuple(x.min(0)), TIES),
        (lambda t, x: x.amax(1), TIES),
        (lambda t, x: x.amax(), TIES),
        (lambda t, x: x.amin((0, 1)), TIES),
        (lambda t, x: sum(x.aminmax()), np.array([1.0, 1, 2, 2])),
        (lambda t, x: tuple(x.cummax(0)), TIES),
        (lambda t, x: tuple(x.cummin(1)), TIES),
        (lambda t, x: x.argmax(), TIES),
        (lambda t, x: x.argmin(1), TIES),
        (lambda t, x: x.prod(), ZEROS),
        (lambda t, x: x.prod(0), ZEROS),
        (lambda t, x: x.prod(1, True), ZEROS),
        (lambda t, x: x.prod(), np.array([0.0, 3, 2, 2])),
        (lambda t, x: x.cumprod(0), ZEROS),
        (lambda t, x: x.cumprod(1), ZEROS),
        (lambda t, x: x.std(), np.ones(3)),
        (lambda t, x: x.std(0), np.ones((2, 3))),
        *[(lambda t, x, p=p: x.norm(p), np.zeros(3)) for p in (0.5, 1, 1.5, 2, 3, inf)],
        *[
            (lambda t, x, p=p: x.norm(p, 1), np.array([[0.0, 1, -2], [0, 0, 0], [3, 3, -3]]))
            for p in (0, 0.5, 1, 1.5, 2, 3, inf)
        ],
        (lambda t, x: x.max(), np.array([1, nan, nan])),
        (lambda t, x: tuple(x.max(0)), np.array([1, nan, nan])),
        (lambda t, x: x.amax(0), np.array([1, nan, nan])),
        (lambda t, x: x.argmin(), np.array([1, nan, nan])),
        (lambda t, x: tuple(x.cummax(0)), np.array([2, nan, 1, 3])),
        (lambda t, x: x.nansum(), np.array([1, nan])),
        (lambda t, x: x.nanmean(), np.array([1, nan])),
        (lambda t, x: x.nanmean(), np.array([nan])),
        (lambda t, x: x.logsumexp(0), np.array([-inf, -inf])),
        (lambda t, x: x.logsumexp(0), np.array([inf, 1.0])),
        (lambda t, x: x.logsumexp(0), np.array([-inf, 1.0])),
        (lambda t, x: x.softmax(0), np.array([-inf, 1.0])),
        (lambda t, x: x.softmax(0), np.array([-inf, -inf])),
        (lambda t, x: x.log_softmax(0), np.array([-inf, 1.0])),
        (lambda t, x: x.softmax(0), np.array([1e4, 1e4 - 1])),
        (lambda t, x: x.logsumexp(0), np.array([1e4, 1e4 - 1])),
        (lambda t, x: x.logcumsumexp(0), np.array([-inf, 1.0, 2.0])),
    ],
)
def test_edges(program: Any, data: Any) -> None:
    check(program, data, double=False)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")
@pytest.mark.parametrize("correction", [0, 1, 2, 3])
def test_variance_without_freedom(correction: int) -> None:
    check(lambda t, x: t.var(x, 0, correction=correction), np.array([3.0, 4.0]), double=False)
    check(lambda t, x: t.std(x, 0, correction=correction), np.array([3.0]), double=False)


EMPTY = np.empty((0, 3))


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: x.sum(),
        lambda t, x: x.sum(0),
        lambda t, x: x.sum(1),
        lambda t, x: x.mean(),
        lambda t, x: x.mean(0),
        lambda t, x: x.prod(),
        lambda t, x: x.prod(0),
        lambda t, x: x.all(),
        lambda t, x: x.any(0),
        lambda t, x: x.softmax(0),
        lambda t, x: x.softmax(1),
        lambda t, x: x.log_softmax(1),
        lambda t, x: x.logsumexp(0),
        lambda t, x: x.logsumexp(1),
        lambda t, x: x.cumsum(0),
        lambda t, x: x.cumprod(1),
        lambda t, x: tuple(x.max(1)),
        lambda t, x: x.amax(1),
        lambda t, x: x.norm(),
        lambda t, x: x.norm(1, 0),
        lambda t, x: x.count_nonzero(),
        lambda t, x: x.nansum(),
    ],
)
def test_empty(program: Any) -> None:
    check(program, EMPTY, double=False)


OTHER_TYPES = [
    lambda t, x: x.sum(),
    lambda t, x: x.sum(0),
    lambda t, x: x.prod(),
    lambda t, x: x.cumsum(0),
    lambda t, x: x.cumprod(0),
    lambda t, x: x.max(),
    lambda t, x: tuple(x.max(0)),
    lambda t, x: x.amin(),
    lambda t, x: tuple(x.aminmax()),
    lambda t, x: x.all(),
    lambda t, x: x.any(),
    lambda t, x: x.count_nonzero(),
    lambda t, x: x.logsumexp(0),
    lambda t, x: x.mean(dtype=t.float32),
    lambda t, x: x.sum(dtype=t.float64),
    lambda t, x: x.softmax(0, t.float64),
    lambda t, x: x.nansum(),
    lambda t, x: tuple(x.cummax(0)),
    lambda t, x: x.sum(0, dtype=t.int32),
]


@pytest.mark.parametrize("program", OTHER_TYPES)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16"])
def test_types(program: Any, dtype: str) -> None:
    check(
        lambda t, x: program(t, x.to(getattr(t, dtype))),
        np.array([3.0, 1.0, 0.0, 4.0]),
        grad=False,
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: x.sum(),
        lambda t, x: x.sum(0),
        lambda t, x: x.mean(1),
        lambda t, x: x.prod(),
        lambda t, x: x.prod(0),
        lambda t, x: x.var(),
        lambda t, x: x.std(1),
        lambda t, x: t.var_mean(x),
        lambda t, x: x.norm(),
        lambda t, x: x.norm(1),
        lambda t, x: x.norm(3, 0),
        lambda t, x: x.norm(inf),
        lambda t, x: x.norm(1.5),
        lambda t, x: x.cumsum(0),
        lambda t, x: x.cumprod(1),
        lambda t, x: x.logsumexp(0),
        lambda t, x: x.all(),
        lambda t, x: x.count_nonzero(),
    ],
)
def test_complex(program: Any) -> None:
    check(program, C)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: x.diff(),
        lambda t, x: x.diff(n=2, dim=0),
        lambda t, x: t.diff(x, prepend=x, append=x),
        lambda t, x: x.diff(n=9),
        lambda t, x: t.trapezoid(x),
        lambda t, x: t.trapezoid(x, dx=2, dim=0),
        lambda t, x: t.trapz(x, x),
        lambda t, x: t.cumulative_trapezoid(x),
        lambda t, x: t.cumulative_trapezoid(x, x[0], dim=1),
        lambda t, x: t.renorm(x, 2, 0, 1.0),
        lambda t, x: x.renorm(1, 1, 1.0),
        lambda t, x: t.cov(x),
        lambda t, x: t.cov(x[0]),
        lambda t, x: t.corrcoef(x),
        lambda t, x: t.cov(x, correction=0),
        lambda t, x: x.norm("nuc"),
        lambda t, x: t.dist(x, x * 2 + 1),
        lambda t, x: t.dist(x, x * 2 + 1, 1),
    ],
)
def test_composites(program: Any) -> None:
    check(program, M, names=False)


INTS, F, E, H = np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0]), np.empty((0,)), np.ones((2, 3))


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (lambda t, x: x.mean(), INTS),
        (lambda t, x: x.sum(3), F),
        (lambda t, x: x.sum((0, -2)), H),
        (lambda t, x: x.max(), E),
        (lambda t, x: x.min(), E),
        (lambda t, x: x.argmax(), E),
        (lambda t, x: x.max(0), EMPTY),
        (lambda t, x: x.amax(0), EMPTY),
        (lambda t, x: x.amin(), E),
        (lambda t, x: x.argmin(0), EMPTY),
        (lambda t, x: x.aminmax(), E),
        (lambda t, x: x.aminmax(dim=0), EMPTY),
        (lambda t, x: x.var(), INTS),
        (lambda t, x: x.std(4), F),
        (lambda t, x: x.softmax(0), INTS),
        (lambda t, x: x.softmax(3), H),
        (lambda t, x: t.softmax(x, dim=None), H),
        (lambda t, x: x.log_softmax(0), INTS),
        (lambda t, x: x.log_softmax(0), np.ones((2, 2), np.int64)),
        (lambda t, x: x.norm(), INTS),
        (lambda t, x: x.norm(inf), E),
        (lambda t, x: x.logcumsumexp(0), INTS),
        (lambda t, x: x.cumsum(2), H),
        (lambda t, x: x.nanmean(), INTS),
        (lambda t, x: x.max(), C),
        (lambda t, x: x.max(0), C),
        (lambda t, x: x.argmax(), C),
        (lambda t, x: x.amax(), C),
        (lambda t, x: x.softmax(0), C),
        (lambda t, x: x.cummax(0), C),
        (lambda t, x: x.nansum(), C),
        (lambda t, x: x.argmax(), np.array([True])),
        (lambda t, x: x.diff(n=-1), F),
        (lambda t, x: x.diff(), SCALAR),
        (lambda t, x: t.renorm(x, 2, 0, 1.0), F),
        (lambda t, x: t.sum(3), F),
        (lambda t, x: t.mean(None), F),
        (lambda t, x: x.norm("abc"), H),
        (lambda t, x: x.aminmax(), C),
    ],
)
def test_errors(program: Any, data: Any) -> None:
    check_error(program, data)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x, out: t.sum(x, 0, out=out),
        lambda t, x, out: t.mean(x, 1, out=out),
        lambda t, x, out: t.cumsum(x, 0, out=out),
        lambda t, x, out: t.logsumexp(x, 0, out=out),
        lambda t, x, out: t.amax(x, 1, out=out),
        lambda t, x, out: t.var(x, 1, out=out),
        lambda t, x, out: tuple(t.max(x, 0, out=(out, t.empty(0, dtype=t.int64)))),
        lambda t, x, out: t.softmax(x, 0, out=out),
        lambda t, x, out: t.norm(x, out=out),
        lambda t, x, out: t.prod(x, 0, out=out),
        lambda t, x, out: t.nansum(x, out=out),
    ],
)
def test_out(program: Any) -> None:
    def both(t: Any, x: Any) -> Any:
        out = t.empty(0, dtype=t.float64)
        return [program(t, x, out), out]

    check(both, M, grad=False)


def test_in_place_running_sum() -> None:
    check(lambda t, x: (x * 2).cumsum_(1), M, double=False)


@pytest.mark.parametrize("program", [lambda t, x: x.max(1), lambda t, x: x.aminmax(), lambda t, x: x.sort()])
def test_named_results_print_alike(program: Any) -> None:
    check(lambda t, x: repr(program(t, x)), np.array([[1.0, 2.0], [3.0, 0.5]]), grad=False)


def test_saved() -> None:
    def program(t: Any, x: Any) -> Any:
        y, z = x.sum(1), x.softmax(0)
        return [
            y.grad_fn._saved_dim,
            y.grad_fn._saved_keepdim,
            z.grad_fn._saved_result.detach(),
            z.grad_fn._saved_dim,
        ]

    check(program, M)


@pytest.mark.parametrize("shape", [(4,), (17,), (4, 2), (1000,), (33, 31)])
def test_sum_and_mean_of_small_and_large(shape: tuple[int, ...]) -> None:
    x = rng.normal(size=shape).astype(np.float32)
    check(lambda t, x: (x.sum(), x.mean(), x.T.sum() if x.ndim == 2 else x.sum(0)), x, rtol=1e-4, atol=1e-4)


def test_cube() -> None:
    check(
        lambda t, x: (
            x.sum((0, 2)),
            x.mean((1, 2), True),
            x.var((0, 2)),
            x.amax((0, 2)),
            x.logsumexp((0, 1)),
            x.softmax(1),
        ),
        CUBE,
    )
    check(lambda t, x: (*x.max(1), *x.cummax(1), x.cumprod(1), x.prod(1), x.norm(3, (0, 2))), CUBE)
