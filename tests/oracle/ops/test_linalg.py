"""Matrix products against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import check, check_error

from clew.ops import einsum as contractions
from clew.ops import linalg as products

torch = pytest.importorskip("torch")
F = torch.nn.functional


def a(*shape: int, dtype: Any = np.float64) -> Any:
    """Fixed numbers of a shape."""
    rng = np.random.default_rng(sum(shape) + len(shape))
    if np.dtype(dtype).kind == "c":
        return np.asarray(rng.uniform(-1, 1, shape) + 1j * rng.uniform(-1, 1, shape), dtype)
    if np.dtype(dtype).kind in "iu":
        return np.asarray(rng.integers(0, 5, shape), dtype)
    return np.asarray(rng.uniform(-1.5, 1.5, shape), dtype)


def f(t: Any, name: str) -> Any:
    """`torch.nn.functional`'s function, or clew's."""
    return getattr(F, name) if t is torch else getattr(products, name, None) or getattr(contractions, name)


RANKS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)), ((1, 2, 3), (5, 3, 4)),
    ((6, 5, 2, 3), (6, 5, 3, 4)), ((6, 5, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)), ((6, 5, 2, 3), (3, 4)),
    ((2, 3), (6, 5, 3, 4)), ((3,), (6, 5, 3, 4)), ((6, 5, 2, 3), (3,)), ((0, 2, 3), (3, 4)), ((2, 0), (0, 3)),
    ((0, 3), (3, 2)), ((5, 2, 0), (5, 0, 3)), ((0,), (0,)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), RANKS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_matmul_of_all_ranks(left: Any, right: Any, dtype: Any) -> None:
    check(lambda t, x, y: x @ y, a(*left, dtype=dtype), a(*right, dtype=dtype))


@pytest.mark.parametrize(
    ("left", "right"), [((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((2, 3), (3, 4)), ((3,), (2, 3, 4))]
)
def test_matmul_with_one_constant_factor(left: Any, right: Any) -> None:
    check(lambda t, x: x @ t.ones(*right, dtype=t.float64), a(*left))
    check(lambda t, y: t.ones(*left, dtype=t.float64) @ y, a(*right))


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", "int64", "int32", "int16", "uint8", "int8"]
)
@pytest.mark.parametrize(
    ("left", "right"),
    [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 2))],
)
def test_matmul_of_other_types(left: Any, right: Any, dtype: str) -> None:
    whole = "int" in dtype

    def program(t: Any, x: Any, y: Any) -> Any:
        return x.to(getattr(t, dtype)) @ y.to(getattr(t, dtype))

    kind = np.int64 if whole else np.float32
    check(
        program,
        a(*left, dtype=kind),
        a(*right, dtype=kind),
        rtol=1e-2 if "16" in dtype else 1e-5,
        atol=1e-6,
        double=False,
    )


def test_transposed_operands() -> None:
    check(lambda t, x, y: x.t() @ y.t(), a(3, 2), a(4, 3))
    check(lambda t, x, y: x.transpose(1, 2) @ y.transpose(-1, -2), a(5, 3, 2), a(5, 4, 3))
    check(lambda t, x: x @ x, a(3, 3))
    check(lambda t, x: x @ x.t(), a(3, 4))


PROGRAMS = {
    "mm": (lambda t, x, y: t.mm(x, y), (2, 3), (3, 4)),
    "bmm": (lambda t, x, y: t.bmm(x, y), (5, 2, 3), (5, 3, 4)),
    "mv": (lambda t, x, y: t.mv(x, y), (2, 3), (3,)),
    "dot": (lambda t, x, y: t.dot(x, y), (3,), (3,)),
    "vdot": (lambda t, x, y: t.vdot(x, y), (3,), (3,)),
    "inner": (lambda t, x, y: t.inner(x, y), (2, 3), (4, 3)),
    "inner of vectors": (lambda t, x, y: t.inner(x, y), (3,), (3,)),
    "inner with a number": (lambda t, x, y: t.inner(x, y), (2, 3), ()),
    "outer": (lambda t, x, y: t.outer(x, y), (3,), (2,)),
    "ger": (lambda t, x, y: t.ger(x, y), (3,), (2,)),
    "addmm": (lambda t, x, y, z: t.addmm(x, y, z), (2, 4), (2, 3), (3, 4)),
    "addmm broadcast": (lambda t, x, y, z: t.addmm(x, y, z, beta=2, alpha=0.5), (4,), (2, 3), (3, 4)),
    "addmm of a number": (lambda t, x, y, z: t.addmm(x, y, z), (), (2, 3), (3, 4)),
    "addmv": (lambda t, x, y, z: t.addmv(x, y, z, beta=2, alpha=3), (2,), (2, 3), (3,)),
    "addr": (lambda t, x, y, z: t.addr(x, y, z, beta=2, alpha=3), (2, 3), (2,), (3,)),
    "addbmm": (lambda t, x, y, z: t.addbmm(x, y, z, beta=2, alpha=3), (2, 4), (5, 2, 3), (5, 3, 4)),
    "baddbmm": (lambda t, x, y, z: t.baddbmm(x, y, z, beta=2, alpha=3), (5, 2, 4), (5, 2, 3), (5, 3, 4)),
    "baddbmm broadcast": (lambda t, x, y, z: t.baddbmm(x, y, z), (4,), (5, 2, 3), (5, 3, 4)),
    "linear": (lambda t, x, w, b: f(t, "linear")(x, w, b), (2, 3), (4, 3), (4,)),
    "linear without bias": (lambda t, x, w: f(t, "linear")(x, w), (2, 3), (4, 3)),
    "linear of a vector": (lambda t, x, w, b: f(t, "linear")(x, w, b), (3,), (4, 3), (4,)),
    "linear of a vector, no bias": (lambda t, x, w: f(t, "linear")(x, w), (3,), (4, 3)),
    "linear of 3-d": (lambda t, x, w, b: f(t, "linear")(x, w, b), (5, 2, 3), (4, 3), (4,)),
    "linear of 3-d, no bias": (lambda t, x, w: f(t, "linear")(x, w), (5, 2, 3), (4, 3)),
    "linear of 4-d": (lambda t, x, w, b: f(t, "linear")(x, w, b), (6, 5, 2, 3), (4, 3), (4,)),
    "linear transposed 3-d": (
        lambda t, x, w, b: f(t, "linear")(x.transpose(0, 1), w, b),
        (5, 2, 3),
        (4, 3),
        (4,),
    ),
    "linear, one bias": (lambda t, x, w, b: f(t, "linear")(x, w, b), (2, 3), (4, 3), (1,)),
    "linear of nothing": (lambda t, x, w, b: f(t, "linear")(x, w, b), (0, 3), (4, 3), (4,)),
    "linear, weight vector": (lambda t, x, w: f(t, "linear")(x, w), (2, 3), (3,)),
    "bilinear": (lambda t, x, y, w, b: f(t, "bilinear")(x, y, w, b), (2, 3), (2, 4), (5, 3, 4), (5,)),
    "bilinear without bias": (lambda t, x, y, w: f(t, "bilinear")(x, y, w), (2, 3), (2, 4), (5, 3, 4)),
    "tensordot": (lambda t, x, y: t.tensordot(x, y, 2), (2, 3, 4), (3, 4, 5)),
    "tensordot lists": (lambda t, x, y: t.tensordot(x, y, ([0, 2], [-1, 1])), (2, 3, 4), (5, 4, 2)),
    "tensordot 0": (lambda t, x, y: t.tensordot(x, y, dims=0), (2, 3), (3,)),
    "tensordot with ones": (lambda t, x, y: t.tensordot(x, y, ([1], [0])), (2, 1), (3, 4)),
    "kron": (lambda t, x, y: t.kron(x, y), (2, 3), (4, 5)),
    "kron of other ranks": (lambda t, x, y: t.kron(x, y), (2,), (3, 2)),
    "chain_matmul": (lambda t, x, y, z: t.chain_matmul(x, y, z), (2, 3), (3, 4), (4, 5)),
    "matrix_power": (lambda t, x: [t.matrix_power(x, n) for n in (1, 2, 3, 5)], (3, 3)),
    "matrix_power of a batch": (lambda t, x: t.matrix_power(x, 4), (2, 3, 3)),
    "trace": (lambda t, x: t.trace(x), (3, 3)),
    "trace of a rectangle": (lambda t, x: t.trace(x), (2, 3)),
}


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_products(name: str, dtype: Any) -> None:
    program, *shapes = PROGRAMS[name]
    grad = "bilinear" not in name or dtype is np.float64  # PyTorch has no such derivative
    check(program, *[a(*shape, dtype=dtype) for shape in shapes], grad=grad)


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_products_of_other_floats(name: str, dtype: str) -> None:
    program, *shapes = PROGRAMS[name]

    def cast(t: Any, *tensors: Any) -> Any:
        return program(t, *[x.to(getattr(t, dtype)) for x in tensors])

    loose = {"rtol": 3e-2, "atol": 1e-1} if "16" in dtype else {"rtol": 1e-5, "atol": 1e-5}
    check(cast, *[a(*shape, dtype=np.float32) for shape in shapes], double=False, names=False, **loose)


@pytest.mark.parametrize("name", ["addmm", "addmv", "addr", "addbmm", "baddbmm"])
def test_sums_of_integers_and_beta_zero(name: str) -> None:
    program, *shapes = PROGRAMS[name]
    check(program, *[a(*shape, dtype=np.int64) for shape in shapes])
    first = np.full(shapes[0], np.nan)
    check(lambda t, x, y, z: getattr(t, name)(x, y, z, beta=0), first, a(*shapes[1]), a(*shapes[2]))


def test_in_place_sums() -> None:
    check(lambda t, x, y, z: (x * 1).addmm_(y, z, beta=2), a(2, 4), a(2, 3), a(3, 4))
    check(lambda t, x, y, z: (x * 1).baddbmm_(y, z), a(5, 2, 4), a(5, 2, 3), a(5, 3, 4))


def test_matrix_power_zero_and_negative() -> None:
    check(lambda t, x: t.matrix_power(x, 0), a(3, 3), grad=False)
    check(lambda t, x: t.matrix_power(x, -2), a(3, 3) + 2 * np.eye(3))


def test_out() -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        out = t.empty(0, dtype=t.float64)
        return [t.mm(x, y, out=out), t.matmul(x, y, out=out), out]

    check(program, a(2, 3), a(3, 4), grad=False)


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)),
    ("i,i", (3,), (3,)), ("i,j->ij", (3,), (4,)), ("ij->ji", (3, 4)), ("ij->", (3, 4)), ("ij->i", (2, 3)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...ij,...jk->...ik", (5, 2, 3), (1, 3, 4)),
    ("bhqd,bhkd->bhqk", (2, 5, 4, 3), (2, 5, 6, 3)), ("ij,ij->ij", (2, 3), (2, 3)), ("i,ij,j->", (2,), (2, 3), (3,)),
    ("bn,anm,bm->ba", (2, 3), (5, 3, 4), (2, 4)), ("ij,kl->", (2, 3), (4, 2)), ("ij,jk", (2, 3), (3, 4)), ("ba", (2, 3)),
    ("...i->...", (2, 3, 4)), ("i...->...", (2, 3, 4)), ("b...i,...->i", (2, 3, 4), (3,)), ("ijj->i", (2, 3, 3)),
    ("iji,jk->ik", (2, 3, 2), (3, 2)), (" i j , j k -> i k ", (2, 3), (3, 4)), ("aB,Bc", (2, 3), (3, 2)),
    ("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 2), (2, 3)), ("...i->i", (2, 3)), ("i->...", (2,)), ("ij,j->ij", (2, 3), (3,)),
    ("ij,jk->ik", (2, 0), (0, 4)), ("ij,ik->jk", (2, 3), (1, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", EQUATIONS, ids=[f"{e[0]}{len(e[1])}" for e in EQUATIONS])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_einsum(case: Any, dtype: Any) -> None:
    equation, *shapes = case
    check(lambda t, *xs: t.einsum(equation, *xs), *[a(*shape, dtype=dtype) for shape in shapes])


def test_einsum_of_lists() -> None:
    check(lambda t, x, y: t.einsum(x, [0, 1], y, [1, 2]), a(2, 3), a(3, 4))
    check(lambda t, x, y: t.einsum(x, [0, 1], y, [1, 2], [2, 0]), a(2, 3), a(3, 4))
    check(lambda t, x, y: t.einsum(x, [..., 0, 1], y, [..., 1, 2], [..., 0, 2]), a(5, 2, 3), a(3, 4))
    check(lambda t, x, y: t.einsum("ij,jk", [x, y]), a(2, 3), a(3, 4))


# r(…) makes ones of a shape and type; D, L, B, C are types.
ERRORS = """r(2,3)@r(2,3)
r(2,3)@r(3,2,d=D)
r(2,3)@r(3,2,d=L)
r(2,3,d=B)@r(3,2,d=B)
r(3,d=B)@r(3,d=B)
r(2,3,d=B)@r(3,d=B)
r(5,2,3,d=B)@r(5,3,2,d=B)
r(2,3)@r(2)
r(2,3)@r(3,d=D)
r(3)@r(3,d=D)
r(3)@r(2)
r(3)@r(2,3)
r()@r(3)
r(3)@r()
r()@r()
r(2,3)@2
2@r(2,3)
t.matmul(r(2,3),2)
t.matmul(2,r(4,3))
t.mm(r(2,3),r(3))
t.mm(r(3),r(3,3))
t.mm(r(2,3),r(2,3))
t.mm(2,r(4,3))
t.mm(r(4,3),2)
t.bmm(r(2,3),r(3,4))
t.bmm(r(2,3,4),r(3,4))
t.bmm(r(2,3,4),r(2,3,4))
t.bmm(r(2,3,4),r(3,4,4))
t.bmm(r(2,3,4),r(2,4,4,d=D))
t.mv(r(2,3),r(2))
t.mv(r(3),r(3))
t.mv(r(2,3),r(3,3))
t.mv(r(2,3),r(3,d=D))
t.dot(r(3),r(4))
t.dot(r(3,3),r(3))
t.dot(r(3),r(3,d=D))
t.dot(2,r(4,3))
t.vdot(r(3),r(4))
t.outer(r(3,3),r(3))
t.outer(r(3),r(3,3))
t.ger(r(3),r(3,3))
t.inner(r(2,3),r(2,4))
t.inner(r(2,3),r(2,3,d=D))
r(5,2,3)@r(4,3,2)
r(5,2,3)@r(5,2,3)
r(5,2,3)@r(2,3)
r(5,2,3)@r(2)
r(2,3)@r(5,2,3)
r(2)@r(5,3,2)
r(5,2,3)@r(5,3,2,d=D)
r(5,2,3)@r(3,2,d=D)
r(2,5,2,3)@r(3,5,3,2)
t.addmm(r(2,2),r(2,3),r(2,3))
t.addmm(r(3,2),r(2,3),r(3,2))
t.addmm(r(2,2,d=D),r(2,3),r(3,2))
t.addmm(r(2,2),r(2,3),r(3,2,d=D))
t.addmm(r(2,2),r(3),r(3,2))
t.addmm(r(2,2),r(2,3),r(3))
t.addmm(r(1,2,2),r(2,3),r(3,2))
t.addmv(r(2),r(2,3),r(2))
t.addmv(r(3),r(2,3),r(3))
t.addmv(r(2),r(3),r(3))
t.addmv(r(2,d=D),r(2,3),r(3))
t.addr(r(2,3),r(2),r(4))
t.addr(r(2,3),r(2,2),r(4))
t.addr(r(2,3),r(2),r(3,3))
t.addbmm(r(2,4),r(5,2,3),r(4,3,4))
t.addbmm(r(2,4),r(5,2,3),r(5,4,4))
t.baddbmm(r(5,2,4),r(5,2,3),r(4,3,4))
t.baddbmm(r(5,2,4),r(5,2,3),r(5,4,4))
t.baddbmm(r(5,3,4),r(5,2,3),r(5,3,4))
t.baddbmm(r(5,2,4,d=D),r(5,2,3),r(5,3,4))
linear(r(2,3),r(4,5))
linear(r(2,3),r(4,5),r(4))
linear(r(2,3),r(4,3),r(5))
linear(r(2,3),r(4,3,d=D))
linear(r(2,3),r(4,3,d=D),r(4))
linear(r(2,3),r(4,3),r(4,d=D))
linear(r(2,3),r(2,4,3),r(4))
linear(r(5,2,3),r(4,5),r(4))
linear(r(5,2,3),r(4,5))
linear(r(2,3,d=D),r(4,3),r(4))
linear(r(3),r(4,5),r(4))
linear(r(2,3,d=L),r(4,3),r(4))
linear(r(2,3),r(3),r())
linear(r(),r(4,3),r(4))
linear(r(2,3),r(4,3),2)
linear(2,r(4,3))
t.tensordot(r(2,3),r(2,3),1)
t.tensordot(r(2,3),r(3,2),([1],[0,1]))
t.tensordot(r(2,3),r(3,2),3)
t.tensordot(r(2,3),r(3,2),-1)
t.trace(r(3))
t.matrix_power(r(2,3),2)
t.matrix_power(r(3),2)
bilinear(r(2,3),r(2,4),r(5,3,3),r(5))
bilinear(r(2,3),r(2,4),r(5,2,4),r(5))
bilinear(r(2,3),r(2,4),r(5,3,4),r(4))
bilinear(r(3,3),r(2,4),r(5,3,4),r(5))
bilinear(r(3,3),r(2,2,4),r(5,3,4),r(5))
t.einsum('ij,jk->ik',r(2,3),r(4,4))
t.einsum('ij,jk->il',r(2,3),r(3,4))
t.einsum('ij',r(2,3),r(3,4))
t.einsum('ij,jk',r(2,3))
t.einsum('ijk',r(2,3))
t.einsum('i',r(2,3))
t.einsum('i1',r(2,3))
t.einsum('ij->ii',r(2,3))
t.einsum('ii',r(2,3))
t.einsum('ij->i-j',r(2,3))
t.einsum('i..j->ij',r(2,3))
t.einsum('......ij->ij',r(2,3))
t.einsum('i.->ij',r(2,3))
t.einsum('ij->i.',r(2,3))
t.einsum('ij->......',r(2,3))
t.einsum('ijk...',r(2,3))
t.einsum('ij,jk->ik',r(2,3),r(3,4,d=D))
t.einsum('')
t.einsum('ij')
t.einsum(r(2,3),[0,60])""".splitlines()


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression: str) -> None:
    def program(t: Any) -> Any:
        def r(*shape: int, d: Any = t.float32) -> Any:
            return t.ones(shape, dtype=d)

        names = {
            "r": r,
            "t": t,
            "D": t.float64,
            "L": t.int64,
            "B": t.bool,
            "linear": f(t, "linear"),
            "bilinear": f(t, "bilinear"),
        }
        return eval(expression, names)

    check_error(program)
