"""Shapes, views and joins against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from compare import check, check_error, tensors

import clew

X = np.random.default_rng(0).normal(size=(2, 3, 4))
M = X[0]
V = X[0, 0]
C = (X + 1j * X[::-1]).astype(np.complex128)


def unary(names: str) -> list[Any]:
    """One program for each line: an expression in `t` (the module) and `x`."""
    lines = [line.strip() for line in names.strip().splitlines()]
    return [pytest.param(eval(f"lambda t, x: {line}"), id=line) for line in lines]


VIEWS = unary(
    """
    x.view(6, 4)
    x.view(-1)
    x.view((4, -1))
    x.view(2, 1, 3, 4)
    x.reshape(6, 4)
    x.reshape(-1)
    x.reshape([3, 8])
    t.reshape(x, (4, 6))
    x.transpose(0, 1).reshape(6, 4)
    x.transpose(0, 1).reshape(3, 2, 2, 2)
    x.flatten()
    x.flatten(1)
    x.flatten(0, 1)
    x.transpose(0, 1).flatten()
    x.ravel()
    x.transpose(0, 1).ravel()
    x.unflatten(2, (2, 2))
    x.unflatten(-1, (-1, 2))
    x.view_as(x)
    x.reshape_as(x.view(6, 4))
    x.squeeze()
    x[:1].squeeze()
    x[:1].squeeze(0)
    x.squeeze(1)
    x[:1, :1].squeeze((0, 1))
    x.unsqueeze(0)
    x.unsqueeze(-1)
    x.unsqueeze(2)
    x.permute(2, 0, 1)
    x.permute((-1, 0, 1))
    t.permute(x, (1, 0, 2))
    x.transpose(0, 1)
    x.transpose(-1, -2)
    x.swapaxes(0, 2)
    x.swapdims(0, 2)
    x[0].t()
    x[0, 0].t()
    x[0].T
    x.mT
    x[0].H
    x.mH
    x.adjoint()
    x.movedim(0, 1)
    x.movedim((0, 1), (2, 0))
    x.moveaxis(-1, 0)
    x.expand(5, 2, 3, 4)
    x.expand(-1, -1, -1)
    x[:, :1].expand(2, 5, 4)
    x[:, :1].expand(3, -1, 5, -1)
    x.broadcast_to((5, 2, 3, 4))
    x[:1].expand_as(x)
    t.broadcast_to(x[:1], (2, 3, 4))
    t.broadcast_tensors(x[:1], x[:, :1])
    x.narrow(1, 1, 2)
    x.narrow(1, -2, 2)
    x.select(1, -1)
    x.select(2, 1)
    x.unbind()
    x.unbind(1)
    x.unbind(-1)
    x[:1].unbind(0)
    x.split(1)
    x.split(2, 1)
    x.split(5, 2)
    x.split([1, 2], 1)
    x.split_with_sizes((1, 3), -1)
    x.chunk(2)
    x.chunk(3, 2)
    x.chunk(2, dim=1)
    x.tensor_split(3, 2)
    x.tensor_split((1, 3), 2)
    x.hsplit(3)
    x.vsplit([1])
    x.dsplit(2)
    x.diagonal()
    x.diagonal(1, 0, 2)
    x.diagonal(-1, 2, 1)
    x.diagonal(offset=5)
    x.as_strided((2, 2), (1, 2))
    x.as_strided((3, 3), (2, 1), 1)
    x[1].as_strided((2, 3), (3, 1))
    x.unfold(2, 2, 1)
    x.unfold(1, 2, 2)
    x.unfold(0, 1, 1)
    x[...]
    x[:]
    t.atleast_1d(x[0, 0, 0])
    t.atleast_2d(x[0, 0])
    t.atleast_3d(x[0, 0])
    t.atleast_3d(x[0])
    t.atleast_2d(x[0, 0], x[0, 0, 0])
    """
)
COPIES = unary(
    """
    t.cat([x, x])
    t.cat((x, x[:, :1]), 1)
    t.cat([x, x], dim=-1)
    t.cat([x])
    t.concat([x, x], 1)
    t.concatenate([x, x], axis=1)
    t.cat([x, t.ones(2, 3, 4, dtype=t.float32)])
    t.cat([t.ones(2, 3, 4, dtype=t.int64), x])
    t.stack([x, x])
    t.stack([x, x * x], 1)
    t.stack((x, x), -1)
    t.hstack([x, x])
    t.hstack([x[0, 0], x[0, 1]])
    t.hstack([x[0, 0, 0], x[0, 0, 1]])
    t.vstack([x, x])
    t.vstack([x[0, 0], x[0, 1]])
    t.row_stack([x[0, 0], x[0, 1]])
    t.dstack([x, x])
    t.dstack([x[0], x[1]])
    t.column_stack([x[0, 0], x[0, 1]])
    t.column_stack([x[0], x[1]])
    t.block_diag(x[0], x[1, :1])
    t.block_diag(x[0], x[0, 0], x[0, 0, 0])
    x.flip(0)
    x.flip(0, 2)
    x.flip([1, -1])
    x.fliplr()
    x.flipud()
    x.roll(1)
    x.roll(1, 0)
    x.roll((1, -2), (0, 2))
    x.rot90()
    x.rot90(2)
    x.rot90(3)
    x.rot90(1, (1, 2))
    x.repeat(2, 1, 1)
    x.repeat(2, 1, 3, 1)
    x.repeat((1, 2, 2))
    x.tile((2,))
    x.tile(2, 2, 1, 1)
    x.repeat_interleave(2)
    x.repeat_interleave(2, 0)
    x.repeat_interleave(3, dim=-1)
    x.repeat_interleave(t.tensor([1, 2]), 0)
    x.repeat_interleave(t.tensor([1, 0, 2]), dim=1)
    t.meshgrid(x[0, 0], x[0, :, 0], indexing='ij')
    t.meshgrid(x[0, 0], x[0, :, 0], indexing='xy')
    t.meshgrid(x[0, 0], x[0, :, 0], x[:, 0, 0], indexing='xy')
    t.cartesian_prod(x[0, 0], x[0, :, 0])
    t.diag(x[0])
    t.diag(x[0], 1)
    x[0].diag(-1)
    t.diag(x[0, 0])
    x[0, 0].diag(2)
    t.diag_embed(x)
    t.diag_embed(x, 1, 0, 2)
    t.diag_embed(x, offset=-1)
    t.diagflat(x)
    t.diagflat(x[0], 1)
    x.tril()
    x.tril(-1)
    x.triu(1)
    t.triu(x, diagonal=-1)
    x.clone()
    x.transpose(0, 1).clone()
    x.transpose(0, 1).contiguous()
    x.select_scatter(x[0] * 2, 0, -1)
    x.slice_scatter(x[:1] * 2, 0, 1, 2)
    x.slice_scatter(x[..., ::2] * 3, 2, 0, 4, 2)
    x[0].diagonal_scatter(x[0, 0, :3] * 2)
    """
)
REFUSED_COMPLEX = (
    "select_scatter",
    "slice_scatter",
)  # PyTorch does not differentiate these for complex numbers


@pytest.mark.parametrize("program", VIEWS + COPIES)
def test_values_and_derivatives(program: Callable[..., Any]) -> None:
    check(program, X)


@pytest.mark.parametrize("program", VIEWS + COPIES)
def test_complex(program: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    if not any(name in request.node.name for name in REFUSED_COMPLEX):
        check(program, C, double=False, names=False)


def test_as_strided_scatter() -> None:
    """Values only: PyTorch's gradient of the overwritten tensor is wrong (it keeps the part and drops the rest)."""
    check(lambda t, x: x.as_strided_scatter(x[0, 0] * 2, (4,), (1,)), X, grad=False)
    x = clew.tensor(X.tolist(), requires_grad=True)
    (g,) = clew.autograd.grad(x.as_strided_scatter(x[0, 0].detach(), (4,), (1,)).sum(), x)
    expected = np.ones_like(X)
    expected[0, 0] = 0
    np.testing.assert_array_equal(g._array, expected)


@pytest.mark.parametrize("program", VIEWS + COPIES)
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_types(program: Callable[..., Any], dtype: str) -> None:
    check(program, X.astype(dtype), double=False)


def layout(result: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return [layout(r) for r in result]
    return tuple(result.shape), result.stride(), result.is_contiguous(), result.storage_offset()


@pytest.mark.parametrize("program", VIEWS)
def test_views_lie_in_memory_as_in_pytorch(program: Callable[..., Any]) -> None:
    (want,), (have,) = tensors(torch, (X,), False), tensors(clew, (X,), False)
    assert layout(program(clew, have)) == layout(program(torch, want))
    one = lambda result: result[0] if isinstance(result, (tuple, list)) else result
    assert one(program(clew, have))._is_view() == one(program(torch, want))._is_view()


@pytest.mark.parametrize("program", COPIES)
def test_copies_lie_in_memory_as_in_pytorch(program: Callable[..., Any]) -> None:
    def shapes(result: Any) -> Any:
        if isinstance(result, (tuple, list)):
            return [shapes(r) for r in result]
        return tuple(result.shape), result.stride()

    (want,), (have,) = tensors(torch, (X,), False), tensors(clew, (X,), False)
    assert shapes(program(clew, have)) == shapes(program(torch, want))


ERRORS = unary(
    """
    x.view(5, 5)
    x.view(-1, -1)
    x.view(-2, 12)
    x.view(-1, 7)
    x.transpose(0, 1).view(6, 4)
    x[:0].view(0, -1)
    x.reshape(5)
    x.reshape(-1, 5)
    x.flatten(2, 1)
    x.unflatten(2, (3, 2))
    x.unflatten(2, (-1, 3))
    x.squeeze(3)
    x.unsqueeze(5)
    x.permute(0, 1)
    x.permute(0, 0, 1)
    x.transpose(0, 3)
    x.t()
    x[0, 0].mT
    x.H
    x[0, 0].adjoint()
    x.movedim((0, 0), (1, 2))
    x.movedim((0, 1), (1,))
    x.expand(3)
    x.expand(3, 3, 4)
    x.expand(5, 6, 7)
    x[0].expand(2, 2, 2)
    x.expand(-1, 2, 3, 4)
    t.broadcast_tensors(x, x[:, :2])
    t.broadcast_shapes((2, 3), (4,))
    x.narrow(0, 1, 5)
    x.narrow(0, 3, 1)
    x.narrow(0, 0, -1)
    x.select(0, 2)
    x[0, 0, 0].select(0, 0)
    x[0, 0, 0].unbind()
    x.split(0)
    x.split(-1)
    x.split([1, 2])
    x[0, 0, 0].split(1)
    x.chunk(0)
    x.tensor_split(0)
    x.hsplit(2)
    x[0, 0].vsplit(2)
    x.diagonal(0, 1, 1)
    x.as_strided((100,), (1,))
    x.as_strided((2,), (1, 1))
    x.unfold(2, 5, 1)
    x.unfold(2, 2, 0)
    t.cat([])
    t.cat([x, x[0]])
    t.cat([x, x[:, :2]])
    t.cat([x, x], 3)
    t.cat([x[0, 0, 0], x[0, 0, 0]])
    t.stack([])
    t.stack([x, x[0]])
    t.stack([x, x], 5)
    x.flip(3)
    x.flip(0, 0)
    x[0, 0].fliplr()
    x.roll((1, 2), (0,))
    x.rot90(1, (0, 0))
    x.rot90(1, (0, 5))
    x.repeat(2)
    x.repeat_interleave(-1)
    x.repeat_interleave(t.tensor([1, 2, 3]), 0)
    t.diag(x)
    x[0, 0].tril()
    t.cartesian_prod(x)
    t.combinations(x)
    x.select_scatter(x, 0, 0)
    x.size(3)
    x.stride(-4)
    x[0, 0, 0].size(0)
    """
)


@pytest.mark.parametrize("program", ERRORS)
def test_errors(program: Callable[..., Any]) -> None:
    check_error(program, X)


@pytest.mark.parametrize("program", [p for p in VIEWS + COPIES if "diag" not in str(p.id)])
def test_empty(program: Callable[..., Any]) -> None:
    """Tensors without elements: the same result, or an error on both sides."""
    empty = np.zeros((2, 3, 0))
    (want,), (have,) = tensors(torch, (empty,), False), tensors(clew, (empty,), False)
    try:
        expected = program(torch, want)
    except Exception as error:
        with pytest.raises(type(error)):
            program(clew, have)
        return
    found = program(clew, have)
    both = zip(expected, found, strict=True) if isinstance(expected, (tuple, list)) else [(expected, found)]
    assert all(tuple(w.shape) == tuple(f.shape) for w, f in both)


def test_numpy_scalars_can_be_viewed() -> None:
    check(lambda t, x: (x.sum() * 1).view(1), X)
    check(lambda t, x: (x.sum() * 1).reshape(1, 1), X)
    check(lambda t, x: (x.sum() * 1).unsqueeze(0).expand(3), X)
    check(lambda t, x: t.stack([x.sum(), x.sum() * 2]), X)


def test_questions() -> None:
    for module in (torch, clew):
        x = module.tensor(X.tolist()).transpose(0, 1)
        assert (x.size(), x.size(-1), x.stride(), x.stride(0), x.numel(), x.nelement(), x.dim(), x.ndim) == (
            module.Size([3, 2, 4]), 4, (4, 12, 1), 4, 24, 24, 3, 3,
        )  # fmt: skip
        assert (x.element_size(), x.is_contiguous(), x[1].storage_offset()) == (4, False, 4)
        assert x.untyped_storage().data_ptr() == x[0].untyped_storage().data_ptr()
        assert x.untyped_storage().nbytes() == 96
        assert x.T.shape if x.ndim == 2 else True


def test_bytes_as_another_type() -> None:
    for dtype in ("int32", "int16", "float64", "uint8"):
        check(lambda t, x, d=dtype: x.view(getattr(t, d)), X.astype("float32"), grad=False)
    check_error(lambda t, x: x[:, :, :3].contiguous().view(t.float64), X.astype("float32"))
    check_error(lambda t, x: x.transpose(1, 2).view(t.float64), X.astype("float32"))


@pytest.mark.parametrize(
    "name",
    ["transpose_(0, 1)", "unsqueeze_(0)", "squeeze_(0)", "swapaxes_(0, 1)", "as_strided_((2, 2), (2, 1))"],
)
def test_restructured_in_place(name: str) -> None:
    check(eval(f"lambda t, x: (x[:1] * 2).{name} * 3"), X)
    check_error(eval(f"lambda t, x: x.requires_grad_().{name}"), X)
