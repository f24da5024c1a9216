"""Indexing, gather, scatter and masks against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from compare import check, check_error

import clew

rng = np.random.default_rng(1)
X = rng.normal(size=(3, 4, 2))
Y = rng.normal(size=(3, 4, 2))
POSITIVE = np.abs(Y) + 0.5


def lines(text: str) -> list[Any]:
    """One program for each line: an expression in `t` (the module), `x` and `y`."""
    return [
        pytest.param(eval(f"lambda t, x, y: {line.strip()}"), id=line.strip())
        for line in text.strip().splitlines()
    ]


READS = lines(
    """
    x[0]
    x[-1]
    x[0, 1]
    x[0, 1, 1]
    x[:]
    x[1:]
    x[::2]
    x[:, 1:3]
    x[..., 0]
    x[0, ..., 1]
    x[None]
    x[:, None, 1:2]
    x[()]
    x[...]
    x[True]
    x[False]
    x[t.tensor(1)]
    x[t.tensor([0, 2, 0])]
    x[[0, 2, 0]]
    x[np.array([2, 1])]
    x[t.tensor([[0, 1], [2, 0]])]
    x[:, t.tensor([3, 0])]
    x[..., [1, 0, 1]]
    x[[0, 1], [1, 2]]
    x[[0, 1], :, [0, 1]]
    x[:, [0, 1], [1, 0]]
    x[0, :, [0, 1]]
    x[[0, 1], 2]
    x[1:, [0, 1]]
    x[None, [0, 1], None]
    x[t.tensor([[0], [1]]), t.tensor([0, 2])]
    x[t.tensor([-1, -3])]
    x[x > 0]
    x[:, t.tensor([True, False, True, True])]
    x[t.tensor([True, False, True]), 1]
    x[t.tensor([True, False, True]), [0, 1]]
    x[x[..., 0] > 0]
    x[[]]
    x[t.arange(3), t.tensor([0, 3, 1])]
    x.gather(0, t.tensor([[[0, 2], [1, 1]]]))
    x.gather(1, t.tensor([[[0, 2], [1, 1]], [[0, 0], [3, 3]]]))
    x.gather(-1, t.zeros(3, 4, 3, dtype=t.int64))
    x[0, 0].gather(0, t.tensor([1, 1, 0]))
    t.take_along_dim(x, x.argsort(1), 1)
    t.take_along_dim(x, t.tensor([[[1]]]), 1)
    t.take_along_dim(x, t.tensor([5, 3, 3]))
    x.index_select(0, t.tensor([2, 0, 2]))
    x.index_select(1, t.tensor([3, 3]))
    x.index_select(-1, t.tensor(1))
    x.take(t.tensor([[0, 5], [-1, 5]]))
    x.masked_select(x > 0)
    x.masked_select(x[0] > 0)
    t.nn.functional.embedding(t.tensor([[0, 2], [2, 1]]), x[..., 0]) if t is not clew else clew.ops.embedding.embedding(x[..., 0], t.tensor([[0, 2], [2, 1]]))
    t.nn.functional.embedding(t.tensor([0, 2, 2]), x[..., 0], padding_idx=2) if t is not clew else clew.ops.embedding.embedding(x[..., 0], t.tensor([0, 2, 2]), 2)
    """
)
WRITES = lines(
    """
    x.scatter(0, t.tensor([[[0, 2], [1, 1]]]), y[:1, :2])
    x.scatter(1, t.tensor([[[0, 2], [1, 3]]]), 2.0)
    x.scatter(0, t.tensor([[[0, 2]]]), value=3)
    x.scatter_add(0, t.tensor([[[0, 2], [1, 1]], [[0, 2], [1, 1]]]), y[:2, :2])
    x.scatter_add(1, t.zeros(3, 4, 2, dtype=t.int64), y)
    x.scatter_reduce(0, t.tensor([[[0, 2], [1, 1]], [[0, 2], [1, 1]]]), y[:2, :2], 'sum')
    x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, 'mean')
    x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, 'prod')
    x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, 'mean', include_self=False)
    x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, 'sum', include_self=False)
    x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, 'prod', include_self=False)
    x.index_add(0, t.tensor([0, 2, 0]), y)
    x.index_add(1, t.tensor([0, 2]), y[:, :2], alpha=3)
    x.index_copy(0, t.tensor([2, 0]), y[:2])
    x.index_fill(1, t.tensor([0, 2]), 7.0)
    x.index_fill(1, t.tensor([0, 3]), y[0, 0, 0])
    x.index_put((t.tensor([0, 2]),), y[:2])
    x.index_put((t.tensor([0, 2]), t.tensor([1, 1])), y[0, 0])
    x.index_put((t.tensor([0, 0]),), y[:2], accumulate=True)
    x.index_put((x > 0,), y[0, 0, 0])
    x.masked_fill(x > 0, 2.0)
    x.masked_fill(x[0] > 0, y[0, 0, 0])
    x.masked_scatter(x > 0, y)
    x.put(t.tensor([0, 5]), y[0, 0])
    x.put(t.tensor([5, 5]), y[0, 0], accumulate=True)
    (x * 1).index_put_((t.tensor([1]),), y[0])
    (x * 1).index_put_((t.tensor([1, 1]),), y[0], accumulate=True)
    (x * 1).masked_fill_(x > 0, 3)
    (x * 1).scatter_(0, t.tensor([[[0, 2]]]), y[:1, :1])
    (x * 1).scatter_add_(0, t.tensor([[[0, 2]]]), y[:1, :1])
    (x * 1).index_add_(0, t.tensor([1]), y[:1])
    (x * 1).index_copy_(0, t.tensor([1]), y[:1])
    (x * 1).copy_(y)
    (x * 1).copy_(y[0])
    (x * 1).fill_(y[0, 0, 0])
    (x * 1).fill_(2)
    (x * 1).zero_() + x
    """
)


@pytest.mark.parametrize("program", READS + WRITES)
def test_values_and_derivatives(program: Callable[..., Any]) -> None:
    check(program, X, Y)


@pytest.mark.parametrize("reduce", ["amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_extrema(reduce: str, include_self: bool) -> None:
    check(
        lambda t, x, y: x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, reduce, include_self=include_self),
        X.round(), Y.round(), double=False,
    )  # fmt: skip


@pytest.mark.parametrize("zeros", [[], [0], [0, 1]])
def test_product_with_zeros(zeros: list[int]) -> None:
    y = POSITIVE.copy()
    y[0, zeros] = 0
    for include_self in (True, False):
        check(
            lambda t, x, y, keep=include_self: x.scatter_reduce(1, t.zeros(3, 4, 2, dtype=t.int64), y, "prod", include_self=keep),
            POSITIVE, y, double=False,
        )  # fmt: skip


@pytest.mark.parametrize("program", [p for p in READS + WRITES if "embedding" not in str(p.id)])
@pytest.mark.parametrize("dtype", ["float32", "complex128", "int64"])
def test_types(program: Callable[..., Any], dtype: str, request: pytest.FixtureRequest) -> None:
    name = request.node.name
    if dtype == "complex128" and any(word in name for word in ("x >", "> 0", "scatter_reduce", "argsort")):
        pytest.skip("complex numbers have no order")
    if dtype == "int64" and "mean" in name:
        pytest.skip("rounds differently by design of the mean")
    check(program, X.astype(dtype), Y.astype(dtype), double=False)


ASSIGNMENTS = [
    "x[0] = y[0]", "x[:, 1] = 2.0", "x[..., 0] = y[..., 1]", "x[0, 1, 1] = y[0, 0, 0]", "x[[0, 2]] = y[:2]", "x[x > 0] = 0.0",
    "x[:, [0, 1]] = y[:, 2:]", "x[1:, ::2] = y[0, 0]", "x[...] = y", "x[:] = 1", "x[t.tensor(1)] = y[0]", "x[None, 0] = y[1]",
    "x[[0, 1], :, [0, 1]] = y[0, :2, :1]", "x[True] = y", "x[False] = y", "x[0] = y[:1]", "x[[0, 1], [1, 1]] = y[0, 0]",
    "x[0] += y[0]", "x[[0, 1]] *= y[0]", "x[t.tensor([True, False, True])] = y[0]", "x.t_ = None", "x.mT[0] = y.mT[1]",
    "x.view(-1)[3] = y[0, 0, 0]", "x[:, 1:][0][1:] = y[0, :2]",
]  # fmt: skip


@pytest.mark.parametrize("line", ASSIGNMENTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_assignment(line: str, dtype: str) -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        x = x * 1
        exec(line, {"t": t}, {"x": x, "y": y})
        return x

    if line != "x.t_ = None":
        check(program, X.astype(dtype), Y.astype(dtype))
        check(program, X.astype(dtype), Y.astype(dtype), grad=False)


ERRORS = lines(
    """
    x[3]
    x[-4]
    x[0, 5]
    x[:, :, 9]
    x[0, 0, 0, 0]
    x[0, 0, 0][0]
    x[0, 0, 0][:]
    x[1.5]
    x[::-1]
    x[::0]
    x[t.tensor([5])]
    x[:, t.tensor([5])]
    x[[0], [5]]
    x[t.tensor([0, 1]), t.tensor([0, 1, 2])]
    x[t.tensor([True, False])]
    x[t.tensor([1.5])]
    x[t.tensor([1], dtype=t.int16)]
    x[np.True_]
    x.__setitem__(0, [1, 2])
    x.__setitem__(0, 'a')
    x.__setitem__(0, y[0, :2])
    x.__setitem__(0, y)
    x.__setitem__(t.tensor([0, 1]), y)
    x.__setitem__(t.tensor([5]), 1.0)
    x.__setitem__(x > 0, y[0, 0])
    x.__setitem__(5, 1.0)
    x.__setitem__(0, 1j)
    x.__setitem__(t.tensor([0]), y[0].float())
    x.gather(0, t.tensor([[[5]]]))
    x.gather(0, t.tensor([[[-1]]]))
    x.gather(0, t.tensor([0]))
    x.gather(3, t.tensor([[[0]]]))
    x.gather(0, t.tensor([[[0.0]]]))
    x.gather(0, t.zeros(1, 5, 1, dtype=t.int64))
    x.scatter(0, t.tensor([[[5]]]), y)
    x.scatter(0, t.tensor([0]), y)
    x.scatter(0, t.zeros(4, 3, 2, dtype=t.int64), y)
    x.scatter(0, t.zeros(2, 5, 2, dtype=t.int64), 1.0)
    x.scatter(0, t.tensor([[[0]]]), y.float())
    x.scatter(0, t.tensor([[[0]]]), y, reduce='mean')
    x.scatter_add(0, t.tensor([[[5]]]), y)
    x.scatter_reduce(0, t.tensor([[[0]]]), y, 'foo')
    x.index_select(0, t.tensor([5]))
    x.index_select(0, t.tensor([[0]]))
    x.index_select(0, t.tensor([0.0]))
    x.index_add(0, t.tensor([5]), y[:1])
    x.index_add(0, t.tensor([0]), y)
    x.index_add(0, t.tensor([0]), y[:1].float())
    x.index_add(0, t.tensor([0]), y[:1, :2])
    x.index_copy(0, t.tensor([5]), y[:1])
    x.index_copy(0, t.tensor([0]), y)
    x.index_copy(0, t.tensor([0]), y[:1, :2])
    x.index_fill(0, t.tensor([5]), 1.0)
    x.index_fill(0, t.tensor([0]), y)
    x.index_put((t.tensor([5]),), y[0])
    x.index_put((t.tensor([0]),), y[0].float())
    x.masked_fill(t.ones(2), 1.0)
    x.masked_fill(x > 0, y)
    x.masked_fill(x > 0, 1j)
    x.masked_fill_(t.ones(3, 3, 4, 2, dtype=t.bool), 1.0)
    x.masked_select(t.ones(2))
    x.masked_scatter(x > 0, y[0, 0, :1])
    x.take(t.tensor([100]))
    x.put(t.tensor([100]), y[0, 0, :1])
    x.put(t.tensor([0]), y)
    t.take_along_dim(x, t.tensor([5]), 0)
    x.fill_(y)
    x.copy_(t.ones(5))
    """
)


@pytest.mark.parametrize("program", ERRORS)
def test_errors(program: Callable[..., Any]) -> None:
    check_error(program, X, Y)


@pytest.mark.parametrize(
    "line", ["x[5] = 1.0", "x[[0, 7]] = 1.0", "x.index_add_(0, t.tensor([0, 7]), x[:2])", "x[0] = t.ones(7)"]
)
def test_a_refused_write_changes_nothing(line: str) -> None:
    x = clew.tensor(X.tolist())
    before = x._array.copy()
    with pytest.raises((IndexError, RuntimeError)):
        exec(line, {"t": clew}, {"x": x})
    np.testing.assert_array_equal(x._array, before)


part = st.one_of(
    st.integers(-3, 3),
    st.builds(slice, st.one_of(st.none(), st.integers(-3, 3)), st.one_of(st.none(), st.integers(-3, 4)), st.one_of(st.none(), st.integers(1, 2))),
    st.just(None),
    st.just(Ellipsis),
    st.booleans(),
    st.lists(st.integers(-2, 2), min_size=1, max_size=3),
    st.lists(st.lists(st.integers(0, 1), min_size=2, max_size=2), min_size=2, max_size=2),
)  # fmt: skip


def as_key(t: Any, parts: list[Any]) -> tuple[Any, ...]:
    return tuple(t.tensor(p) if isinstance(p, list) else p for p in parts)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(part, min_size=1, max_size=4).filter(lambda parts: parts.count(...) < 2)
)  # of two `...` PyTorch reads stray memory
def test_any_key_reads_and_writes_alike(parts: list[Any]) -> None:
    def read(t: Any, x: Any) -> Any:
        return x[as_key(t, parts)]

    def write(t: Any, x: Any) -> Any:
        y = x * 1
        y[as_key(t, parts)] = x.sum() * 2
        return y

    try:
        read(torch, torch.tensor(X))
    except IndexError:
        with pytest.raises(IndexError):
            read(clew, clew.tensor(X.tolist()))
        return
    check(read, X)
    check(write, X, double=False)


def test_positions() -> None:
    for program in (
        lambda t, x: t.nonzero(x > 0), lambda t, x: t.argwhere(x > 0), lambda t, x: t.nonzero(x > 0, as_tuple=True),
        lambda t, x: t.tril_indices(3, 4, 1), lambda t, x: t.triu_indices(3, 4, -1), lambda t, x: (x[0, 0, 0] > 9).nonzero(),
    ):  # fmt: skip
        check(program, X, grad=False)


def test_one_hot() -> None:
    for classes in (-1, 5):
        want = torch.nn.functional.one_hot(torch.tensor([[0, 2], [1, 0]]), classes)
        np.testing.assert_array_equal(
            clew.ops.embedding.one_hot(clew.tensor([[0, 2], [1, 0]]), classes)._array, want.numpy()
        )


def test_long_look_ups() -> None:
    """Long enough for the sparse product."""
    index = rng.integers(0, 50, 3000)
    check(lambda t, x: x[t.tensor(index.tolist())], rng.normal(size=(50, 16)), double=False)
    check(lambda t, x: x.index_select(0, t.tensor(index.tolist())), rng.normal(size=(50, 16)), double=False)
