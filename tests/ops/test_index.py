"""Indexing without an oracle: derivatives against differences, and NumPy's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

X = np.random.default_rng(0).normal(size=(3, 4))
ROWS = [0, 2, 0]
PICKS = [[0, 3, 0], [1, 1, 2], [2, 0, 3]]
APART = [[0, 3, 1], [1, 0, 2], [2, 0, 3]]  # each place once: which of several writers wins is not defined


def written(x: Any) -> Any:
    y = x * 2
    y[0, 1:] = x[1, 1:] * x[2, 0]
    y[[0, 2]] *= 3
    y[:, 0] = 0
    return y


PROGRAMS: list[Callable[[Any], Any]] = [
    lambda x: x[1], lambda x: x[:, 1::2], lambda x: x[ROWS], lambda x: x[ROWS, [1, 1, 2]], lambda x: x[:, ROWS], lambda x: x[x > 0],
    lambda x: x.gather(1, clew.tensor(PICKS)), lambda x: x.scatter(1, clew.tensor(APART), x[:, :3] * x[:, 1:]),
    lambda x: x.scatter_add(1, clew.tensor(PICKS), x * x), lambda x: x.index_select(0, clew.tensor(ROWS)),
    lambda x: x.index_add(0, clew.tensor(ROWS), x * x), lambda x: x.index_copy(0, clew.tensor([2, 0]), x[:2] * 2),
    lambda x: x.masked_fill(x > 0, x[0, 0]), lambda x: x.masked_select(x > 0), lambda x: x.take(clew.tensor([0, 5, 5])),
    lambda x: x.scatter_reduce(1, clew.tensor(PICKS), x, "mean"), lambda x: x.scatter_reduce(1, clew.tensor(PICKS), x, "prod"),
    lambda x: clew.ops.embedding.embedding(x, clew.tensor(PICKS) % 3), written,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives(program: Callable[[Any], Any]) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = clew.tensor(X.tolist(), dtype=clew.float64, requires_grad=True)
    assert gradcheck(program, (x,))
    assert gradgradcheck(program, (x,))


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(1, None), (0, 1), (slice(None), [0, 2]), [0, 2], ([0, 1], [1, 2]), (None, 1), Ellipsis],
)
def test_values(key: Any) -> None:
    x = clew.tensor(X.tolist(), dtype=clew.float64)
    np.testing.assert_array_equal(x[key]._array, X[key])
    x[key] = 5.0
    expected = X.copy()
    expected[key] = 5
    np.testing.assert_array_equal(x._array, expected)


def test_a_later_write_to_an_index_does_not_change_the_gradient() -> None:
    x = clew.tensor(X.tolist(), dtype=clew.float64, requires_grad=True)
    index = clew.tensor([0, 0])
    y = x[index]
    index.fill_(1)
    (g,) = clew.autograd.grad(y.sum(), x)
    np.testing.assert_array_equal(g._array, [[2] * 4, [0] * 4, [0] * 4])
