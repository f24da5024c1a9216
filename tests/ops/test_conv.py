"""Convolutions, checked against their definition and against numerical derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import clew
from clew.ops import conv


def numbers(*shape: int) -> Any:
    """Fixed numbers of a shape."""
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape)


def leaf(*shape: int) -> Any:
    """A float64 leaf of fixed numbers."""
    return clew.tensor(numbers(*shape).tolist(), dtype=clew.float64).requires_grad_()


def test_the_definition() -> None:
    x, w = numbers(2, 3, 5, 6), numbers(4, 3, 3, 2)
    want = np.zeros((2, 4, 3, 5))
    for i, j in np.ndindex(3, 5):
        want[:, :, i, j] = np.einsum("nchw,ochw->no", x[:, :, i : i + 3, j : j + 2], w)
    made = conv.conv2d(
        clew.tensor(x.tolist(), dtype=clew.float64), clew.tensor(w.tolist(), dtype=clew.float64)
    )
    np.testing.assert_allclose(made.numpy(), want)


CASES = {
    "conv1d": (lambda x, w, b: conv.conv1d(x, w, b, stride=2, padding=1), (2, 3, 6), (4, 3, 3), (4,)),
    "conv2d": (
        lambda x, w, b: conv.conv2d(x, w, b, padding="same", dilation=2),
        (1, 2, 4, 4),
        (2, 2, 3, 3),
        (2,),
    ),
    "groups": (lambda x, w, b: conv.conv2d(x, w, b, groups=2), (2, 4, 3, 3), (4, 2, 2, 2), (4,)),
    "conv3d": (lambda x, w: conv.conv3d(x, w), (1, 2, 3, 3, 2), (2, 2, 2, 2, 2)),
    "transposed": (lambda x, w, b: conv.conv_transpose2d(x, w, b, 2, 1, 1), (1, 2, 3, 3), (2, 3, 3, 3), (3,)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    program, *shapes = CASES[name]
    inputs = tuple(leaf(*shape) for shape in shapes)
    assert gradcheck(program, inputs)
    assert gradgradcheck(program, inputs)


def test_the_transposed_convolution_is_the_adjoint() -> None:
    x, w, y = leaf(2, 3, 6, 6), leaf(4, 3, 3, 3), leaf(2, 4, 3, 3)
    forward = (conv.conv2d(x, w, stride=2, padding=1) * y).sum()
    back = (conv.conv_transpose2d(y, w, stride=2, padding=1, output_padding=1) * x).sum()
    assert forward.item() == pytest.approx(back.item())
