"""Reductions, softmax and running sums: values, shapes and derivatives by finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import clew

rng = np.random.default_rng(0)


def data(*shape: int) -> Any:
    return clew.tensor(rng.normal(size=shape).tolist(), dtype=clew.float64, requires_grad=True)


FUNCTIONS: dict[str, Any] = {
    "sum": lambda x: x.sum(),
    "sum dim": lambda x: x.sum(1, keepdim=True),
    "mean": lambda x: x.mean(),
    "mean dims": lambda x: x.mean((0, 1)),
    "prod": lambda x: x.prod(),
    "prod dim": lambda x: x.prod(0),
    "var": lambda x: x.var(1),
    "std": lambda x: x.std(unbiased=False),
    "var_mean": lambda x: clew.var_mean(x, 0),
    "max": lambda x: x.max(),
    "min dim": lambda x: x.min(1).values,
    "amax": lambda x: x.amax((0, 1)),
    "aminmax": lambda x: tuple(x.aminmax(dim=1)),
    "norm": lambda x: x.norm(),
    "norm 1": lambda x: x.norm(1, 0),
    "norm 3": lambda x: x.norm(3),
    "norm inf": lambda x: x.norm(math.inf, 1),
    "logsumexp": lambda x: x.logsumexp(0),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(0),
    "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(0),
    "cummax": lambda x: x.cummax(1).values,
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "diff": lambda x: x.diff(),
    "trapezoid": lambda x: clew.trapezoid(x),
    "renorm": lambda x: x.renorm(2, 0, 1.0),
    "cov": lambda x: x.cov(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = data(3, 4)
    assert gradcheck(FUNCTIONS[name], (x,))
    assert gradgradcheck(FUNCTIONS[name], (x,))


@pytest.mark.parametrize("function", [lambda x: x.prod(), lambda x: x.prod(0), lambda x: x.cumprod(1)])
def test_products_with_zeros(function: Any) -> None:
    from clew.autograd import gradcheck

    x = clew.tensor([[0.0, 2.0, 3.0], [4.0, 0.0, 5.0]], dtype=clew.float64, requires_grad=True)
    assert gradcheck(function, (x,))


def test_integers_are_summed_as_int64() -> None:
    x = clew.tensor([1, 2, 3], dtype=clew.int8)
    assert x.sum().dtype is clew.int64
    assert x.sum().item() == 6
    with pytest.raises(RuntimeError, match="could not infer output dtype"):
        x.mean()


def test_ties_share_or_take_all() -> None:
    x = clew.tensor([3.0, 3.0, 1.0], requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.0]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_named_results() -> None:
    result = clew.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1)
    values, indices = result
    assert values is result.values
    assert indices is result[1]
    assert repr(result).startswith("torch.return_types.max(\nvalues=tensor(")
    with pytest.raises(AttributeError, match="readonly attribute"):
        result.values = 1
    with pytest.raises(TypeError, match="takes a 2-sequence"):
        type(result)((1,))


def test_half_is_summed_in_single_precision() -> None:
    x = clew.ones(5000, dtype=clew.float16)
    assert x.sum().item() == 5000
    assert x.sum().dtype is clew.float16


def test_softmax_of_large_numbers() -> None:
    x = clew.tensor([1e30, 0.0, -1e30])
    assert x.softmax(0).tolist() == [1.0, 0.0, 0.0]
    assert x.log_softmax(0)[0].item() == 0.0


def test_a_saved_result_that_was_overwritten_is_noticed() -> None:
    x = clew.tensor([1.0, 2.0], requires_grad=True)
    y = x.softmax(0)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.filterwarnings("error::UserWarning")
def test_no_degrees_of_freedom_warns() -> None:
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        assert math.isnan(clew.tensor([1.0]).var().item())


def test_differences_of_bools_and_with_more_before() -> None:
    x = clew.tensor([True, False, False])
    assert x.diff().tolist() == [True, False]
    y = clew.tensor([1.0, 4.0])
    assert clew.diff(y, prepend=clew.tensor([0.0])).tolist() == [1.0, 3.0]
