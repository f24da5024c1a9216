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
    return clew.from_numpy(made).requires_grad_()


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
    "slogdet of a complex matrix": lambda x: clew.view_as_real(
        clew.linalg.slogdet(clew.complex(x, x.mT / 2))[0]
    ),
    "lu": lambda x: clew.linalg.lu(x)[1:],
    "lu_factor": lambda x: clew.linalg.lu_factor(x)[0],
    "lu_solve": lambda x: clew.linalg.lu_solve(*clew.linalg.lu_factor(x), x.mT, adjoint=True),
    "householder_product": lambda x: clew.linalg.householder_product(x, x.diagonal() / 9),
    "ormqr": lambda x: clew.ormqr(x[:, :2], x.diagonal()[:2] / 9, x, transpose=True),
    "cholesky_solve": lambda x: clew.cholesky_solve(x, x.mT, upper=True),
    "cholesky_inverse": clew.cholesky_inverse,
    "triangular_solve": lambda x: clew.triangular_solve(x, x.mT, transpose=True).solution,
    "vander": lambda x: clew.linalg.vander(x[0], N=4),
}
RECTANGLES = {
    "lu": lambda x: clew.linalg.lu(x)[1:],
    "lu_factor": lambda x: clew.linalg.lu_factor(x)[0],
    "qr": lambda x: [t.abs() for t in clew.linalg.qr(x)],
    "lstsq": lambda x: clew.linalg.lstsq(x, clew.ones(*x.shape[:-1], 2, dtype=x.dtype))[0],
}


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("name", RECTANGLES)
def test_derivatives_of_functions_of_rectangles(name: str, shape: tuple[int, ...]) -> None:
    from clew.autograd import gradcheck, gradgradcheck

    x = leaf(*shape)
    assert gradcheck(RECTANGLES[name], (x,))
    assert gradgradcheck(RECTANGLES[name], (x,))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 3), (0, 3, 3), (0, 0)], ids=str)
def test_factors_multiply_to_the_matrix(shape: tuple[int, ...]) -> None:
    x = leaf(*shape).detach()
    p, lower, upper = clew.linalg.lu(x)
    np.testing.assert_allclose(p @ lower @ upper, x, atol=1e-12)
    p, lower, upper = clew.lu_unpack(*clew.linalg.lu_factor(x)) if x.numel() else (p, lower, upper)
    np.testing.assert_allclose(p @ lower @ upper, x, atol=1e-12)
    a, tau = clew.geqrf(x)
    if shape[-2] >= shape[-1]:
        q = clew.linalg.householder_product(a, tau)
        np.testing.assert_allclose(q @ a[..., : shape[-1], :].triu(), x, atol=1e-12)
    np.testing.assert_allclose(clew.ormqr(a, tau, a.triu()), x, atol=1e-12)


@pytest.mark.parametrize("hermitian", [False, True])
def test_ldl_solves(hermitian: bool) -> None:
    x = clew.tensor([[0, 1 + 1j, 2], [0, 0, 3 - 2j], [0, 0, 0]], dtype=clew.complex128)
    x = x + (x.mH if hermitian else x.mT)
    right = clew.ones(3, 2, dtype=clew.complex128)
    factors = clew.linalg.ldl_factor(x, hermitian=hermitian)
    np.testing.assert_allclose(
        x @ clew.linalg.ldl_solve(*factors, right, hermitian=hermitian), right, atol=1e-12
    )


def test_codes_of_what_failed() -> None:
    singular = clew.tensor([[[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]])
    assert clew.linalg.inv_ex(singular).info.tolist() == [2, 0]
    assert clew.linalg.solve_ex(singular, clew.ones(2, 2, 1)).info.tolist() == [2, 0]
    assert clew.linalg.lu_factor_ex(singular).info.tolist() == [2, 0]
    assert clew.linalg.cholesky_ex(singular - 2).info.tolist() == [1, 1]
    with pytest.raises(clew.linalg.LinAlgError, match="Batch element 0"):
        clew.linalg.inv_ex(singular, check_errors=True)


def test_lowrank_finds_a_low_rank() -> None:
    x = leaf(8, 2).detach() @ leaf(2, 5).detach()
    u, s, v = clew.svd_lowrank(x, q=3)
    np.testing.assert_allclose(u * s @ v.mT, x, atol=1e-12)
    u, s, v = clew.pca_lowrank(x, q=3)
    np.testing.assert_allclose(u * s @ v.mT, x - x.mean(0), atol=1e-12)


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
