"""Factorizations, norms and distances against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import check, check_error

from clew.ops import measure

torch = pytest.importorskip("torch")


def a(*shape: int, dtype: Any = np.float64) -> Any:
    """Fixed numbers of a shape; matrices well conditioned."""
    rng = np.random.default_rng(sum(shape) + len(shape))
    made = rng.uniform(-1, 1, shape)
    if len(shape) > 1 and shape[-1] == shape[-2]:
        made = made + 2 * np.eye(shape[-1]) * np.arange(1, shape[-1] + 1)
    return np.asarray(made, dtype)


def c(*shape: int) -> Any:
    return a(*shape) + 0.3j * a(*shape)[..., ::-1]


def sym(x: Any) -> Any:
    return x @ x.mT.conj() if x.dtype.is_complex else x @ x.mT


PROGRAMS = {
    "inv": (lambda t, x: t.linalg.inv(x), (3, 3)),
    "inverse": (lambda t, x: t.inverse(x), (2, 3, 3)),
    "det": (lambda t, x: t.linalg.det(x), (3, 3)),
    "det batch": (lambda t, x: x.det(), (2, 3, 3)),
    "slogdet": (lambda t, x: t.linalg.slogdet(x)[1], (2, 3, 3)),
    "solve": (lambda t, x, y: t.linalg.solve(x, y), (3, 3), (3, 2)),
    "solve vector": (lambda t, x, y: t.linalg.solve(x, y), (3, 3), (3,)),
    "solve batch of vectors": (lambda t, x, y: t.linalg.solve(x, y), (2, 3, 3), (2, 3)),
    "cholesky": (lambda t, x: t.linalg.cholesky(sym(x)), (3, 3)),
    "cholesky batch": (lambda t, x: t.linalg.cholesky(sym(x)), (2, 3, 3)),
    "older cholesky": (lambda t, x: t.cholesky(sym(x)), (3, 3)),
    "qr": (lambda t, x: list(t.linalg.qr(x)), (3, 3)),
    "tall qr": (lambda t, x: list(t.linalg.qr(x)), (4, 3)),
    "svdvals": (lambda t, x: t.linalg.svdvals(x), (3, 3)),
    "matrix_exp": (lambda t, x: t.linalg.matrix_exp(x / 8), (3, 3)),
    "pinv": (lambda t, x: t.linalg.pinv(x), (4, 3)),
    "wide pinv": (lambda t, x: t.linalg.pinv(x), (2, 3)),
    "norms": (lambda t, x: [t.linalg.norm(x), t.linalg.matrix_norm(x), t.linalg.vector_norm(x)], (3, 4)),
    "norms of columns": (lambda t, x: [t.linalg.norm(x, p) for p in (1, -1, float("inf"), -float("inf"))], (3, 4)),
    "spectral norms": (lambda t, x: [t.linalg.matrix_norm(x, p) for p in (2, -2, "nuc")], (3, 4)),
    "norms kept": (lambda t, x: [t.linalg.matrix_norm(x, p, (0, 2), True) for p in (2, 1, "fro")], (3, 2, 4)),
    "solve_triangular": (lambda t, x, y: t.linalg.solve_triangular(x, y, upper=True), (3, 3), (3, 2)),
    "solve_triangular lower": (lambda t, x, y: t.linalg.solve_triangular(x, y, upper=False, unitriangular=True), (3, 3), (3, 2)),
    "cross": (lambda t, x, y: t.linalg.cross(x, y), (2, 3), (2, 3)),
    "older cross": (lambda t, x, y: t.cross(x, y, dim=0), (3, 2), (3, 2)),
    "vecdot": (lambda t, x, y: t.linalg.vecdot(x, y), (2, 3), (2, 3)),
    "negative power": (lambda t, x: t.matrix_power(x, -2), (3, 3)),
}  # fmt: skip
REAL = {
    "logdet": (lambda t, x: t.logdet(sym(x)), (3, 3)),
    "eigh": (lambda t, x: t.linalg.eigh(sym(x))[1].abs(), (3, 3)),
    "eigvalsh": (lambda t, x: t.linalg.eigvalsh(sym(x)), (3, 3)),
    "svd": (lambda t, x: [t.linalg.svd(x, full_matrices=False)[i].abs() for i in range(3)], (4, 3)),
    "wide svd": (lambda t, x: [t.linalg.svd(x, full_matrices=False)[i].abs() for i in range(3)], (2, 4)),
    "older svd": (lambda t, x: [u.abs() for u in t.svd(x)], (3, 3)),
    "eigvals": (lambda t, x: t.linalg.eigvals(x).real.sort()[0], (3, 3)),
    "eig": (lambda t, x: t.linalg.eig(sym(x) + x * 0.1)[1].abs().sum(0).sort()[0], (3, 3)),
    "cdist": (lambda t, x, y: t.cdist(x, y), (4, 3), (2, 3)),
    "cdist batch": (lambda t, x, y: t.cdist(x, y), (2, 4, 3), (2, 3)),
    "cdist 1": (lambda t, x, y: t.cdist(x, y, p=1), (4, 3), (2, 3)),
    "cdist 3": (lambda t, x, y: t.cdist(x, y, p=3), (4, 3), (2, 3)),
    "cdist inf": (lambda t, x, y: t.cdist(x, y, p=float("inf")), (4, 3), (2, 3)),
}


@pytest.mark.filterwarnings("ignore:torch.cholesky is deprecated")
@pytest.mark.parametrize("name", [*PROGRAMS, *REAL])
def test_real(name: str) -> None:
    program, *shapes = (PROGRAMS | REAL)[name]
    check(
        program,
        *[a(*shape) for shape in shapes],
        rtol=1e-5,
        atol=1e-7,
        double="cdist" not in name,
        names=name not in ("vecdot", "norms kept"),
    )


@pytest.mark.filterwarnings("ignore:torch.cholesky is deprecated")
@pytest.mark.parametrize("name", PROGRAMS)
def test_complex(name: str) -> None:
    program, *shapes = PROGRAMS[name]
    check(
        program,
        *[c(*shape) for shape in shapes],
        rtol=1e-5,
        atol=1e-7,
        double=False,
        names=name not in ("vecdot", "norms kept"),
    )


@pytest.mark.parametrize(
    "name", ["inv", "det", "solve", "cholesky", "svdvals", "pinv", "matrix_exp", "slogdet"]
)
def test_single_precision(name: str) -> None:
    program, *shapes = PROGRAMS[name]
    check(program, *[a(*shape, dtype=np.float32) for shape in shapes], rtol=1e-3, atol=1e-4, double=False)


def test_values_only() -> None:
    check(lambda t, x: [t.linalg.matrix_rank(x), t.linalg.matrix_rank(x * 0)], a(4, 3), grad=False)
    check(lambda t, x: [t.linalg.cond(x), t.linalg.cond(x, 1), t.linalg.cond(x, "fro")], a(3, 3), grad=False)
    check(lambda t, x, y: t.linalg.lstsq(x, y)[0], a(4, 3), a(4, 2), grad=False)


def f(t: Any, name: str) -> Any:
    return getattr(torch.nn.functional, name) if t is torch else getattr(measure, name)


def test_similarities() -> None:
    for x, y in (((2, 3), (2, 3)), ((2, 3), (1, 3)), ((2, 3, 4), (2, 3, 4))):
        check(lambda t, x, y: f(t, "cosine_similarity")(x, y), a(*x), a(*y) + 1, names=False)
        check(lambda t, x, y: f(t, "pairwise_distance")(x, y), a(*x), a(*y) + 1, names=False)
    check(lambda t, x, y: f(t, "cosine_similarity")(x, y, dim=0), a(3), a(3) + 1, names=False)
    check(lambda t, x, y: f(t, "pairwise_distance")(x, y, p=1, keepdim=True), a(2, 3), a(3), names=False)


def test_distance_of_equal_points() -> None:
    for p in (1, 2, 3):
        check(lambda t, x: t.cdist(x, x * 1, p=p), a(3, 2), double=False)


ERRORS = """t.linalg.lu_factor(r(3))
t.linalg.lu_factor(r(3,3)*0)
t.linalg.lu_factor_ex(r(3,3)*0,check_errors=True)
t.linalg.lu(r(3,3),pivot=False)
t.linalg.solve_ex(r(3,3)*0,r(3,3),check_errors=True)
t.lu_unpack(r(3,3),r(3))
t.lu_unpack(r(3,3),t.zeros(2,dtype=t.int32))
t.linalg.lu_solve(r(3,3),t.ones(3,dtype=t.int32),r(2,2))
t.linalg.lu_solve(r(3,3),t.ones(3,dtype=t.int64),r(3,3))
t.linalg.lu_solve(r(3,3),t.ones(2,dtype=t.int32),r(3,3))
t.cholesky_solve(r(2,2),r(3,3))
t.cholesky_solve(r(3),r(3,3))
t.cholesky_inverse(r(3,2))
t.triangular_solve(r(2,2),r(3,3))
t.triangular_solve(r(3),r(3,3))
t.linalg.tensorinv(r(3,2))
t.linalg.tensorinv(r(3,3),ind=0)
t.linalg.tensorsolve(r(3,2),r(3))
t.geqrf(r(3))
t.linalg.householder_product(r(3,4),r(3))
t.linalg.householder_product(r(4,3),r(4))
t.linalg.householder_product(r(2,4,3),r(3,3))
t.ormqr(r(4,3),r(3),r(3,3))
t.ormqr(r(4,3),r(4),r(4,3))
t.linalg.vander(r(3),N=1)
t.vander(r(2,2))
t.pca_lowrank(r(3,3),q=7)
t.linalg.lstsq(r(3),r(3))
t.linalg.lstsq(r(3,2),r(2,2))
t.linalg.lstsq(r(3,2),r(3,2),driver="x")
t.linalg.ldl_factor(r(3,2))
t.linalg.inv(r(2,3))
t.linalg.inv(r(2,2))
t.linalg.inv(r(3,2,2))
t.linalg.inv(r(2))
t.linalg.inv(r(2,2,d=L))
t.linalg.det(r(2,3))
t.linalg.det(r(2,2,d=L))
t.linalg.slogdet(r(2,3))
t.linalg.solve(r(2,2),r(2))
t.linalg.solve(r(2,2),r(3))
t.linalg.solve(r(2,3),r(3))
t.linalg.solve(t.eye(2),r(2,d=D))
t.linalg.cholesky(-t.eye(2))
t.linalg.cholesky(r(2,3))
t.cholesky(-t.eye(2))
t.linalg.eigh(r(2,3))
t.linalg.svd(r(2))
t.linalg.qr(r(2))
t.linalg.qr(r(2,2),mode='foo')
t.linalg.matrix_norm(r(2))
t.linalg.matrix_norm(r(2,2),'foo')
t.linalg.matrix_norm(r(2,2),3)
t.linalg.matrix_norm(r(2,2,d=L))
t.linalg.vector_norm(r(2,2,d=L))
t.linalg.norm(r(2,2,2),2)
t.linalg.norm(r(2,2,2),'fro')
t.linalg.cond(r(2))
t.linalg.matrix_rank(r(2))
t.linalg.solve_triangular(r(2,2),r(2),upper=True)
t.linalg.solve_triangular(r(2,3),r(2,2),upper=True)
t.matrix_exp(r(2,3))
t.linalg.lstsq(r(2),r(2))
t.linalg.pinv(r(2))
t.logdet(r(2,3))
t.inverse(r(2,2))
t.linalg.eig(r(2,3))
t.cross(r(2,3),r(2,4))
t.cross(r(2,2),r(2,2))
t.linalg.cross(r(2,2),r(2,2))
t.linalg.multi_dot([r(2,3)])
t.linalg.multi_dot([r(2,3),r(2,3)])
t.linalg.multi_dot([r(2,3),r(3,3,d=D)])
t.linalg.multi_dot([r(2,3),r(3),r(3,3)])
t.cdist(r(2,3),r(2,4))
t.cdist(r(3),r(2,3))
t.cdist(r(2,3),r(2,3),p=-1)
t.cdist(r(2,3,d=L),r(2,3,d=L))
t.cdist(r(2,3),r(2,3,d=D))
cosine_similarity(r(2,3,d=L),r(2,3,d=L))
cosine_similarity(r(2,3),r(2,4))
pairwise_distance(r(2,3),r(2,4))""".splitlines()


@pytest.mark.filterwarnings("ignore:torch.cholesky", "ignore:Using torch.cross")
@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression: str) -> None:
    def program(t: Any) -> Any:
        def r(*shape: int, d: Any = t.float32) -> Any:
            return t.ones(shape, dtype=d)

        names = {n: f(t, n) for n in ("cosine_similarity", "pairwise_distance")}
        return eval(expression, {"r": r, "t": t, "D": t.float64, "L": t.int64, **names})

    check_error(program)
