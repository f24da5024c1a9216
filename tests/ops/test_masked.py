"""`torch.masked`: reductions and normalisations of the elements in a mask."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import clew
from clew import masked

X = [[1.0, 5.0, 3.0], [4.0, 2.0, 6.0]]
MASK = [[True, False, True], [True, True, False]]
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "sum": (1,),
    "prod": ((0, 1),),
    "cumsum": (1,),
    "cumprod": (1,),
    "amax": (1,),
    "amin": (0,),
    "mean": (1,),
    "median": (1,),
    "norm": (3.0, 1),
    "normalize": (2.0, 1),
    "var": (1,),
    "std": ((0, 1),),
    "softmax": (1,),
    "softmin": (1,),
    "logsumexp": (1,),
}
VALUES = {
    "sum": [4, 6],
    "prod": 24,
    "cumprod": [[1, 1, 3], [4, 8, 8]],
    "amax": [3, 4],
    "amin": [1, 2, 3],
    "mean": [2, 3],
    "median": [1, 2],
    "var": [2, 2],
    "normalize": [[1 / 10**0.5, 0, 3 / 10**0.5], [2 / 5**0.5, 1 / 5**0.5, 0]],
}


def tensors(requires_grad: bool = False) -> tuple[Any, Any]:
    return clew.tensor(X, dtype=clew.float64, requires_grad=requires_grad), clew.tensor(MASK)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x, mask = tensors(True)
    f = lambda x: getattr(masked, name)(x, *FUNCTIONS[name], mask=mask)
    assert gradcheck(f, (x,))
    assert gradgradcheck(f, (x,))


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    x, mask = tensors()
    np.testing.assert_allclose(getattr(masked, name)(x, *FUNCTIONS[name], mask=mask).tolist(), VALUES[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_mask_of_all_is_none(name: str) -> None:
    x, mask = tensors()
    f = getattr(masked, name)
    whole = f(x, *FUNCTIONS[name], mask=clew.ones_like(mask))
    np.testing.assert_allclose(f(x, *FUNCTIONS[name]).tolist(), whole.tolist())


def test_lines_without_elements_give_the_identity() -> None:
    x, nothing = clew.ones(2, 3), clew.zeros(3, dtype=clew.bool)
    assert masked.sum(x, 1, mask=nothing).tolist() == [0, 0]
    assert masked.prod(x, 1, mask=nothing, keepdim=True).tolist() == [[1], [1]]
    assert masked.amax(x, 1, mask=nothing).tolist() == [-math.inf] * 2
    assert masked.mean(x, 1, mask=nothing).isnan().all()


def test_types() -> None:
    x, mask = clew.tensor([[1, 2], [3, 4]], dtype=clew.int32), clew.tensor([True, False])
    assert masked.sum(x, mask=mask).dtype is clew.int64
    assert masked.cumsum(x, 0, mask=mask).dtype is clew.int32
    assert masked.var(x, mask=mask).dtype is clew.float32
    assert masked.argmax(x, 1, mask=mask).tolist() == [0, 0]
    assert masked.argmax(x, 1, mask=mask).dtype is clew.int32
    assert masked.median(x, 1, mask=mask).tolist() == [1, 3]
    big = masked.logaddexp(x.double(), x.double(), input_mask=mask)
    np.testing.assert_allclose(big.tolist(), [[1 + math.log(2), 2], [3 + math.log(2), 4]])


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda x: masked.sum(x, (0, 0)), RuntimeError, "dim=0 appears multiple times in the list of dims"),
        (lambda x: masked.mean(x.long(), 1), ValueError, "mean(): Could not infer output dtype."),
        (lambda x: masked.amax(x.bool(), 1, mask=x > 0), NotImplementedError, "identity of amax on torch.bool input"),
        (lambda x: masked.sum(x, mask=clew.ones(1, 2, 3)), IndexError, "_input_mask expected broadcastable mask"),
        (lambda x: masked.var(x, 1, False, correction=2), AssertionError, "Only one of unbiased and correction"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        call(clew.ones(2, 3))
    assert sentence in str(caught.value)
