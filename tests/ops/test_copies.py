"""Copies of views, parts replaced, resized storages, reduced slices: derivatives against differences, values, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

X = np.random.default_rng(0).normal(size=(3, 4))
# Each copy, and the view whose values and derivative it has.
COPIES: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (lambda x: clew.alias_copy(x), lambda x: x), (lambda x: clew.as_strided_copy(x, (2, 2), (1, 1), 3), lambda x: x.as_strided((2, 2), (1, 1), 3)),
    (lambda x: clew.diagonal_copy(x, 1), lambda x: x.diagonal(1)), (lambda x: clew.expand_copy(x, (2, 3, 4)), lambda x: x.expand(2, 3, 4)),
    (lambda x: clew.narrow_copy(x, 1, 1, 2), lambda x: x.narrow(1, 1, 2)), (lambda x: clew.permute_copy(x, (1, 0)), lambda x: x.permute(1, 0)),
    (lambda x: clew.select_copy(x, 1, 2), lambda x: x.select(1, 2)), (lambda x: clew.slice_copy(x, 1, 0, 4, 2), lambda x: x[:, ::2]),
    (lambda x: clew.squeeze_copy(x[:1], 0), lambda x: x[0]), (lambda x: clew.t_copy(x), lambda x: x.t()),
    (lambda x: clew.transpose_copy(x, 0, 1), lambda x: x.t()), (lambda x: clew.unfold_copy(x, 1, 2, 1), lambda x: x.unfold(1, 2, 1)),
    (lambda x: clew.unsqueeze_copy(x, 1), lambda x: x.unsqueeze(1)), (lambda x: clew.view_copy(x.t(), (2, 6)), lambda x: x.t().reshape(2, 6)),
    (lambda x: clew.unbind_copy(x, 1)[2], lambda x: x[:, 2]), (lambda x: clew.split_copy(x, 2, 1)[1], lambda x: x[:, 2:]),
    (lambda x: clew.split_with_sizes_copy(x, [1, 3], 1)[1], lambda x: x[:, 1:]), (lambda x: clew.unsafe_split(x, 2, 1)[1], lambda x: x[:, 2:]),
    (lambda x: clew.unsafe_chunk(x, 2, 1)[1], lambda x: x[:, 2:]), (lambda x: clew.flip(x, dims=(0,)), lambda x: x.flip(0)),
]  # fmt: skip
INDEX = [2, 0, 2, 1]
PROGRAMS: list[Callable[[Any], Any]] = [
    *[copy for copy, _ in COPIES],
    lambda x: x.select_scatter(x[0] * x[1], 0, 2), lambda x: x.slice_scatter(x[:, :2] * x[:, 2:], 1, 0, 4, 2),
    lambda x: x.diagonal_scatter(x[0, :3] * 2), lambda x: x.as_strided_scatter(x[0, :2] * x[1, 1], (2,), (3,), 1),
    lambda x: clew.fill(x, x[0, 0] * 2), lambda x: clew.fill(x * x, 1.0), lambda x: (x * x).sum_to_size(1, 4), lambda x: (x * x).sum_to_size(4),
    lambda x: clew.put(x, clew.tensor([1, 7]), x[0, :2] * x[1, :2]), lambda x: x.index_fill(1, clew.tensor([0, -1, 0]), x[0, 1] * 2),
    *[lambda x, how=how, own=own: (x[:3] + 0.3).index_reduce(0, clew.tensor(INDEX), clew.cat([x, x[:1] * 2]), how, include_self=own)
      for how in ("prod", "mean", "amax", "amin") for own in (True, False)],
    lambda x: clew._unsafe_masked_index(x, clew.tensor([[True], [False]]), (clew.tensor([1, 90]), None), 0.5),
    lambda x: clew._unsafe_masked_index_put_accumulate(x, clew.tensor([[True], [False]]), (clew.tensor([1, 90]), None), x[:2] * x[1:]),
    lambda x: clew._chunk_cat([x, x[:, :3] * x[:, 1:]], 1, 2), lambda x: clew.tile(x, dims=(2, 1)), lambda x: x.repeat(repeats=(1, 2)),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives(program: Callable[[Any], Any]) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = clew.tensor(X.tolist(), dtype=clew.float64, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # index_reduce says once that it is in beta
        assert gradcheck(program, (x,))
        assert gradgradcheck(program, (x,))


@pytest.mark.parametrize(("copy", "view"), COPIES)
def test_a_copy_has_the_values_of_the_view_and_memory_of_its_own(copy: Any, view: Any) -> None:
    x = clew.tensor(X.tolist(), dtype=clew.float64)
    made, wanted = copy(x), view(x)
    np.testing.assert_array_equal(made._array, wanted._array)
    assert not made._is_view()


def test_unsafe_parts_share_memory_and_may_be_written() -> None:
    x = clew.zeros(4, requires_grad=True) * 1
    first, _ = clew.unsafe_split(x, 2)
    first.add_(1)
    assert x.tolist() == [1, 1, 0, 0]


def test_chunk_cat_pads_the_last_chunk() -> None:
    made = clew._chunk_cat([clew.arange(3), clew.arange(4) + 10], 0, 2)
    assert made.tolist() == [[0, 1, 10, 11], [2, 0, 12, 13]]


def test_resize_keeps_what_lies_in_storage() -> None:
    x = clew.arange(6)
    view = x[2:4]
    assert view.resize_(3).tolist() == [2, 3, 4]
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    assert clew.resize_as_(x, clew.zeros(7))[:6].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        clew.zeros(2, requires_grad=True).resize_(3)


def test_out_is_resized_within_its_storage_and_may_not_overlap() -> None:
    room = clew.zeros(6)
    clew.add(clew.ones(4), 1, out=room[:0])
    assert room.tolist() == [2, 2, 2, 2, 0, 0]
    x = clew.arange(4.0)
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor"):
        clew.take(x, clew.tensor([1, 0]), out=x)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        clew.gather(x, 0, clew.tensor([0, 1]), out=clew.zeros(1).expand(2))
    with pytest.raises(
        RuntimeError, match="Expected out tensor to have dtype float, but got long int instead"
    ):
        clew.gather(x, 0, clew.tensor([0, 1]), out=clew.zeros(2, dtype=clew.int64))


def test_new_tensors_of_a_layout() -> None:
    made = clew.empty_permuted((2, 3, 4), (1, 2, 0))
    assert made.shape == (2, 3, 4)
    assert made.stride() == (1, 8, 2)
    assert clew.zeros(1, dtype=clew.int16).new_empty_strided((2, 2), (1, 3)).stride() == (1, 3)
    with pytest.raises(RuntimeError, match="Duplicate dim not allowed"):
        clew.empty_permuted((2, 3), (0, 0))


def test_unravel_index() -> None:
    found = clew.unravel_index(clew.tensor([[0, 7], [5, 11]]), (3, 4))
    assert [f.tolist() for f in found] == [[[0, 1], [1, 2]], [[0, 3], [1, 3]]]
    with pytest.raises(TypeError, match="expected 'indices' to be integer dtype"):
        clew.unravel_index(clew.tensor([1.0]), (2,))


def test_index_fill_gives_the_value_the_gradient_of_each_slice_once() -> None:
    value = clew.tensor(1.0, requires_grad=True)
    clew.zeros(3).index_fill(0, clew.tensor([0, 0, -1]), value).sum().backward()
    assert value.grad.item() == 2


@pytest.mark.parametrize("fill", ["normal_", "uniform_", "exponential_", "bernoulli_"])
def test_random_fills_follow_the_order_of_memory(fill: str) -> None:
    transposed, plain = clew.zeros(4, 3).t(), clew.zeros(4, 3)
    for x in (transposed, plain):
        clew.manual_seed(0)
        getattr(x, fill)()
    np.testing.assert_array_equal(transposed._array, plain._array.T)


def test_what_is_drawn_hangs_on_its_parameters() -> None:
    p = clew.full((3,), 0.5, requires_grad=True)
    for drawn in (
        clew.bernoulli(p),
        clew.normal(p, 1.0),
        clew.normal(0.0, p),
        clew.normal(p, p),
        clew.poisson(p),
    ):
        (g,) = clew.autograd.grad(drawn.sum(), p)
        assert g.tolist() == [0, 0, 0]


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: clew.zeros(2, 3).sum_to_size(3, 3), RuntimeError, r"size \{\[3, 3\]\} is not expandable to size \{\[2, 3\]\}."),
    (lambda: clew.zeros(3).narrow(0, clew.tensor([1, 2]), 1), RuntimeError, "start must be an 0-dim integral Tensor."),
    (lambda: clew.linspace(clew.zeros(2), 1, 3), RuntimeError, "linspace only supports 0-dimensional start and end tensors"),
    (lambda: clew.zeros(()).roll(0, 0), IndexError, "Dimension specified as 0 but tensor has no dimensions"),
    (lambda: clew.zeros(4).hsplit("ab"), TypeError, "received an invalid combination of arguments"),
    (lambda: clew.zeros(2).index_reduce(0, clew.tensor([0]), clew.ones(1), "sum"), RuntimeError, "Expected reduce to be one of prod"),
    (lambda: clew.multinomial(clew.tensor([1, 2]), 1), RuntimeError, "multinomial only supports floating-point dtypes for input"),
    (lambda: clew.multinomial(clew.tensor([1.0, -1]), 2, True), RuntimeError, "encountering probability entry < 0"),
    (lambda: clew.zeros(2, dtype=clew.int64).masked_fill(clew.tensor(True), clew.tensor(1j)), RuntimeError, "without overflow"),
    (lambda: clew.fill(clew.zeros(2), clew.zeros(1)), RuntimeError, "fill_ only supports 0-dimension value tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "error", "sentence"), ERRORS)
def test_errors(program: Callable[[], Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        program()
