"""Shapes and views without an oracle: derivatives against differences, and the laws that views keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

X = np.random.default_rng(0).normal(size=(2, 3, 4))

PROGRAMS: list[Callable[[Any], Any]] = [
    lambda x: x.view(6, 4), lambda x: x.transpose(0, 2).reshape(-1), lambda x: x.permute(2, 0, 1), lambda x: x[:1].squeeze(0),
    lambda x: x.unsqueeze(1).expand(2, 3, 3, 4), lambda x: x.diagonal(1, 0, 2), lambda x: x.unfold(2, 2, 1),
    lambda x: x.as_strided((3, 3), (2, 1), 1), lambda x: clew.cat([x, x * x], 1),
    lambda x: clew.stack(x.unbind(2)), lambda x: x.flip(0, 2), lambda x: x.roll((1, -2), (0, 2)), lambda x: x.rot90(),
    lambda x: x.repeat(2, 1, 2), lambda x: x.repeat_interleave(2, 1), lambda x: clew.block_diag(x[0], x[1]),
    lambda x: clew.diag_embed(x, 1), lambda x: x.tril(-1), lambda x: x.select_scatter(x[0] * x[1], 0, 1),
    lambda x: x.as_strided_scatter(x[0, 0] * 2, (4,), (1,)), lambda x: x[0].diagonal_scatter(x[1, 0, :3]),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives(program: Callable[[Any], Any]) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = clew.tensor(X.tolist(), dtype=clew.float64, requires_grad=True)
    assert gradcheck(program, (x,))
    assert gradgradcheck(lambda x: program(x * x), (x,))


def test_views_share_memory_and_counter() -> None:
    x = clew.tensor(X.tolist())
    for view in (
        x.view(-1),
        x.transpose(0, 1),
        x[0],
        x[..., 1:],
        x.unsqueeze(0),
        x.diagonal(),
        x.split(1)[0],
    ):
        assert np.shares_memory(view._array, x._array)
        assert view._base is x
        before = x.version().n
        view.add_(1)
        assert view.version().n == x.version().n == before + 1


def test_nothing_keeps_a_rewritten_base_alive() -> None:
    import gc
    import weakref

    gc.disable()
    try:
        x = clew.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y[0] = 3.0
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_size() -> None:
    size = clew.Size([2, 3, 4])
    assert repr(size) == "torch.Size([2, 3, 4])"
    assert size.numel() == 24
    assert isinstance(size[1:], clew.Size)
    assert isinstance(size + (1,), clew.Size)
    assert size == (2, 3, 4)
    assert size[0] == 2
