"""Matrix products, factorizations and distances, checked against NumPy and against numerical derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import clew
from clew.ops import linalg, measure


def leaf(*shape: int, shift: float = 0.0) -> Any:
    """A float64 leaf of fixed numbers; `shift` is added on the diagonal of matrices."""
    made = np.random.default_rng(sum(shape)).uniform(-1, 1, shape)
    if shift:
        made = made + shift * np.eye(shape[-1])
    return clew.tensor(made.tolist(), dtype=clew.float64).requires_grad_()


PROGRAMS = {
    "matmul": (lambda x, y: x @ y, (2, 3), (3, 4)),
    "matrix times batch": (lambda x, y: x @ y, (2, 3), (5, 3, 4)),
    "broadcast batches": (lambda x, y: x @ y, (6, 1, 2, 3), (5, 3, 4)),
    "addmm": (lambda x, y, z: clew.addmm(x, y, z, beta=2, alpha=3), (4,), (2, 3), (3, 4)),
    "linear": (linalg.linear, (5, 2, 3), (4, 3), (4,)),
    "einsum": (lambda x, y: clew.einsum("bij,kj->bik", x, y), (2, 3, 4), (5, 4)),
    "trace": (lambda x: clew.trace(x @ x), (3, 3)),
    "cdist": (lambda x, y: clew.cdist(x, y), (3, 2), (4, 2)),
    "cosine_similarity": (lambda x, y: measure.cosine_similarity(x, y), (3, 2), (3, 2)),
}
SQUARE = {
    "inv": clew.linalg.inv,
    "det": clew.linalg.det,
    "slogdet": lambda x: clew.linalg.slogdet(x)[1],
    "cholesky": lambda x: clew.linalg.cholesky(x @ x.mT),
    "qr": lambda x: clew.linalg.qr(x)[1],
    "svdvals": clew.linalg.svdvals,
    "eigvalsh": lambda x: clew.linalg.eigvalsh(x + x.mT),
    "matrix_exp": lambda x: clew.linalg.matrix_exp(x / 4),
    "pinv": clew.linalg.pinv,
    "matrix_power": lambda x: clew.matrix_power(x, 5),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_of_products(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    program, *shapes = PROGRAMS[name]
    inputs = tuple(leaf(*shape) for shape in shapes)
    assert gradcheck(program, inputs)
    assert gradgradcheck(program, inputs)


@pytest.mark.parametrize("name", SQUARE)
def test_derivatives_of_functions_of_matrices(name: str) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = leaf(3, 3, shift=2.0)
    assert gradcheck(SQUARE[name], (x,))
    assert gradgradcheck(SQUARE[name], (x,))


def test_the_gradient_of_a_weight_is_contiguous() -> None:
    x, w, b = leaf(4, 3), leaf(5, 3), leaf(5)
    linalg.linear(x, w, b).sum().backward()
    assert w.grad.is_contiguous()
    assert w.grad.shape == w.shape


def test_a_singular_determinant_has_the_cofactors_as_gradient() -> None:
    x = clew.tensor([[1.0, 1, 1], [1, 1, 1], [1, 1, 2]], dtype=clew.float64).requires_grad_()
    clew.linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1, -1, 0], [-1, 1, 0], [0, 0, 0]], atol=1e-12)


def test_equal_points_have_no_gradient() -> None:
    x = clew.ones(3, 2, requires_grad=True)
    clew.cdist(x, clew.ones(2, 2)).sum().backward()
    assert not x.grad.any()


def test_numpy_operands() -> None:
    x = clew.ones(2, 3)
    assert (x @ np.ones((3, 2), np.float32)).shape == (2, 2)
    with pytest.raises(TypeError):
        x @ 2
