"""Comparisons and tests of large arrays, which are worked on part by part, give truths as those of small arrays do."""

import pytest

import clew
from clew.core.engine import LARGE

QUESTIONS = {
    "eq": lambda x: x == 0,
    "le": lambda x: x <= 0.5,
    "with another": lambda x: x != x.flip(0),
    "isnan": clew.isnan,
    "isfinite": clew.isfinite,
    "signbit": clew.signbit,
    "logical_not": clew.logical_not,
    "logical_and": lambda x: clew.logical_and(x, x.flip(0)),
    "both": lambda x: (x > 0) & (x < 0.5),
}


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("dtype", [clew.float32, clew.float64])
@pytest.mark.parametrize("name", QUESTIONS)
def test_large_truths(name: str, dtype: clew.dtype, grad: bool) -> None:
    x = (clew.arange(2 * LARGE) % 7 / 6.0).to(dtype).requires_grad_(grad)
    truth = QUESTIONS[name](x)
    assert truth.dtype is clew.bool
    if name not in ("with another", "logical_and"):  # of the end, too
        assert truth[:100].tolist() == QUESTIONS[name](x[:100]).tolist()
    assert x[truth].numel() == truth.sum().item()


def test_second_derivative_of_a_large_divergence() -> None:
    x = clew.linspace(0, 1, 2 * LARGE, requires_grad=True)
    loss = clew.nn.functional.kl_div(clew.log_softmax(x, 0), clew.softmax(x, 0), reduction="sum")
    (slope,) = clew.autograd.grad(loss, x, create_graph=True)
    slope.square().sum().backward()
    assert clew.isfinite(x.grad).all()
