"""Segments, checksums, histograms in several dimensions, slopes of samples, exponentials summed as one goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import clew

rng = np.random.default_rng(0)


def double(shape: tuple[int, ...], requires_grad: bool = True) -> Any:
    return clew.tensor(rng.normal(size=shape).tolist(), dtype=clew.float64, requires_grad=requires_grad)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("initial", [None, 0.5])
def test_segments(reduce: str, initial: float | None) -> None:
    from clew.autograd import gradcheck

    lengths = clew.tensor([[2, 0, 3], [1, 4, 0]])
    x = double((2, 5, 2))
    made = clew.segment_reduce(x, reduce, lengths=lengths, axis=1, initial=initial)
    assert made.shape == (2, 3, 2)
    start = [] if initial is None else [initial]
    numbers = [*start, *x[1, 1:5, 0].tolist()]
    want = {"sum": sum(numbers), "mean": sum(numbers) / 4, "max": max(numbers), "min": min(numbers), "prod": np.prod(numbers)}  # fmt: skip
    assert made[1, 1, 0].item() == pytest.approx(want[reduce])
    assert gradcheck(lambda x: clew.segment_reduce(x[0], reduce, lengths=lengths[0], initial=1.0), (x,))
    offsets = clew.tensor([[0, 2, 2, 5], [0, 1, 5, 5]])
    again = clew.segment_reduce(x, reduce, offsets=offsets, axis=1, initial=initial)
    assert clew.allclose(made, again, equal_nan=True)


def test_a_product_over_zeros_has_the_product_of_the_others_as_slope() -> None:
    x = clew.tensor([0.0, 2.0, 0.0, 4.0, 0.0], requires_grad=True)
    clew.segment_reduce(x, "prod", lengths=clew.tensor([2, 3])).sum().backward()
    assert x.grad.tolist() == [2, 0, 0, 0, 0]


def test_equal_extremes_of_a_segment_share_the_gradient() -> None:
    x = clew.tensor([2.0, 2.0, 1.0], requires_grad=True)
    clew.segment_reduce(x, "max", lengths=clew.tensor([3])).sum().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda x: clew.segment_reduce(x, "sum"), RuntimeError, "Either lengths or offsets must be defined."),
        (lambda x: clew.segment_reduce(x, "sum", lengths=clew.tensor([1])), RuntimeError, "Expected all rows of lengths"),
        (lambda x: clew.segment_reduce(x, "sum", lengths=clew.tensor([4, -1])), RuntimeError, "lengths contains negative"),
        (lambda x: clew.gradient(x, edge_order=3), RuntimeError, "only supports edge_order=1 and edge_order=2."),
        (lambda x: clew.gradient(x, spacing=[1.0, 2.0]), RuntimeError, "a list of length equal to 'self.dim() = 1'"),
        (lambda x: clew.gradient(x[:1]), RuntimeError, "each dimension size to be at least edge_order+1"),
        (lambda x: clew.histogramdd(x, [2]), RuntimeError, "input tensor should have at least 2 dimensions"),
        (lambda x: clew.histogram(x, 0), RuntimeError, "bins must be > 0, but got 0 for dimension 0"),
        (lambda x: clew.hash_tensor(x, mode=1), RuntimeError, "Unknown hash_tensor mode: 1"),
        (lambda x: clew.nonzero_static(x, size=-1), RuntimeError, "'size' must be an non-negative integer"),
        (lambda x: clew.maximum(x, 1), TypeError, "argument 'other' (position 2) must be Tensor, not int"),
        (lambda x: clew.eq(1, x), TypeError, "eq() received an invalid combination of arguments - got (int, Tensor)"),
        (lambda x: clew.Tensor.__radd__(1, x), TypeError, "doesn't apply to a 'int' object"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        call(clew.ones(3))
    assert sentence in str(caught.value)


def test_hash_folds_the_bits() -> None:
    assert clew.hash_tensor(clew.tensor([5, 3, 6])).item() == 5 ^ 3 ^ 6
    assert clew.hash_tensor(clew.tensor([[1, 2], [3, 4]], dtype=clew.uint8), 1).tolist() == [3, 7]
    half = clew.hash_tensor(clew.tensor([1.5], dtype=clew.bfloat16))
    assert half.dtype is clew.uint64
    assert half.item() == int(np.float64(1.5).view(np.uint64))


def test_histogram_of_points() -> None:
    points = clew.tensor([[1.0, 2.0], [2.0, 3.0], [3.0, 5.0]])
    hist, edges = clew.histogramdd(points, [2, 2], weight=clew.tensor([1.0, 2.0, 3.0]))
    assert hist.tolist() == [[1, 0], [2, 3]]
    assert [e.tolist() for e in edges] == [[1, 2, 3], [2, 3.5, 5]]
    density = clew.histogramdd(points, (clew.tensor([1.0, 2.0, 4.0]), clew.tensor([0.0, 9.0])), density=True)
    assert (density.hist * clew.tensor([[9.0], [18.0]])).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("spacing", [None, 2.0, "points"])
@pytest.mark.parametrize("edge_order", [1, 2])
def test_slopes_of_samples(spacing: Any, edge_order: Any) -> None:
    from clew.autograd import gradcheck

    x = double((4, 5))
    points = np.array([0.0, 1.0, 3.0, 4.0, 8.0])
    step = points if spacing == "points" else spacing or 1.0
    want = np.gradient(x.detach().numpy(), step, axis=1, edge_order=edge_order)
    given = (clew.tensor(points),) if spacing == "points" else spacing
    f = lambda x: clew.gradient(x, spacing=given, dim=(1,), edge_order=edge_order)[0]
    np.testing.assert_allclose(f(x).tolist(), want)
    assert gradcheck(f, (x,))


def test_complex_logarithms_of_sums() -> None:
    from clew.autograd import gradcheck

    z = rng.normal(size=(2, 4)) + 1j * rng.normal(size=(2, 4))
    x = clew.tensor(z.tolist(), dtype=clew.complex128, requires_grad=True)
    np.testing.assert_allclose(x.logcumsumexp(1).exp().tolist(), np.cumsum(np.exp(z), 1))
    np.testing.assert_allclose(clew.logaddexp(x[0], x[1]).exp().tolist(), np.exp(z).sum(0))
    assert gradcheck(lambda x: x.logcumsumexp(1), (x,))


def test_nonzero_static() -> None:
    x = clew.tensor([[1, 0], [2, 3]])
    assert clew.nonzero_static(x, size=2).tolist() == [[0, 0], [1, 0]]
    assert clew.nonzero_static(x, size=4, fill_value=7).tolist() == [[0, 0], [1, 0], [1, 1], [7, 7]]
