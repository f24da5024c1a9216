"""Views and in-place writes against PyTorch: random programs, and the cases that imitations get wrong.

A program is a list of steps on a growing list of tensors. Both libraries run it; every step gives the same values or
the same error; afterwards all tensors have the same values, flags and gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from compare import assert_same, values

import clew

Step = Callable[[Any, list[Any]], Any]


def apart(x: Any) -> Any:
    """A tensor whose elements share no memory: PyTorch still allows masked writes to others, with a warning."""
    return x.contiguous() if 0 in x.stride() else x


VIEWS: list[Callable[..., Any]] = [
    lambda t, x, i: x.view(-1),
    lambda t, x, i: x.reshape(-1),
    lambda t, x, i: x.view(x.shape[0], -1) if x.ndim else x.view(1),
    lambda t, x, i: x.transpose(0, -1),
    lambda t, x, i: x.permute(tuple(range(x.ndim)[::-1])),
    lambda t, x, i: x.unsqueeze(i % (x.ndim + 1)),
    lambda t, x, i: x.squeeze(),
    lambda t, x, i: x.squeeze(i % max(x.ndim, 1)),
    lambda t, x, i: x[i],
    lambda t, x, i: x[i:],
    lambda t, x, i: x[:, i:],
    lambda t, x, i: x[..., i],
    lambda t, x, i: x[::2],
    lambda t, x, i: x[None, ..., i : i + 2],
    lambda t, x, i: x.narrow(-1, 0, 1 + i),
    lambda t, x, i: x.select(-1, i),
    lambda t, x, i: x.diagonal(i - 1),
    lambda t, x, i: x.unfold(0, 1 + i, 1 + i),
    lambda t, x, i: x.split(1 + i)[0],
    lambda t, x, i: x.unbind()[i % 2],
    lambda t, x, i: x.chunk(2, -1)[-1],
    lambda t, x, i: x.expand(2, *x.shape),
    lambda t, x, i: x.detach(),
    lambda t, x, i: x.T if x.ndim == 2 else x[...],
    lambda t, x, i: x.view_as(x),
    lambda t, x, i: x.unflatten(-1, (1, -1)),
    lambda t, x, i: x.flatten(),
    lambda t, x, i: x.contiguous(),
]
COPIES: list[Callable[..., Any]] = [
    lambda t, x, i: x * 2,
    lambda t, x, i: x * x,
    lambda t, x, i: x.exp() * 0.1,
    lambda t, x, i: x.clone(),
    lambda t, x, i: x.clone().requires_grad_() if not x.requires_grad else x + 1,
    lambda t, x, i: x[[0, 0]] if x.ndim else x * 1,
    lambda t, x, i: x.sum(0) if x.ndim else x + 0,
    lambda t, x, i: t.stack([x, x * 3]),
]
WRITES: list[Callable[..., Any]] = [
    lambda t, x, y, i: x.mul_(2.0),
    lambda t, x, y, i: x.add_(1.0),
    lambda t, x, y, i: x.mul_(y),
    lambda t, x, y, i: x.add_(y),
    lambda t, x, y, i: x.copy_(y),
    lambda t, x, y, i: x.mul_(0.1).exp_(),
    lambda t, x, y, i: x.zero_(),
    lambda t, x, y, i: x.fill_(0.5),
    lambda t, x, y, i: apart(x).masked_fill_(x > 0.5, 0.25),
    lambda t, x, y, i: x.__setitem__(i, 0.75),
    lambda t, x, y, i: x.__setitem__(i, y),
    lambda t, x, y, i: x.__setitem__((Ellipsis, i), y),
    lambda t, x, y, i: x.__setitem__(slice(i, None), y),
    lambda t, x, y, i: x.__setitem__([0, 1], y),
    lambda t, x, y, i: apart(x).__setitem__(x > 0.5, 0.1),
    lambda t, x, y, i: x.index_fill_(0, t.tensor([0]), 0.3),
    lambda t, x, y, i: x.index_add_(0, t.tensor([0, 0]), y) if x.ndim else x.add_(1),
    lambda t, x, y, i: x.scatter_add_(0, t.zeros(x.shape, dtype=t.int64), x.detach() * 1),
    lambda t, x, y, i: x.sub_(x.detach() * 0.5),
]
KINDS = {"view": VIEWS, "copy": COPIES, "write": WRITES}

step = st.one_of(
    st.tuples(st.just("view"), st.integers(0, len(VIEWS) - 1), st.integers(0, 9), st.integers(0, 9), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("copy"), st.integers(0, len(COPIES) - 1), st.integers(0, 9), st.integers(0, 9), st.integers(0, 2), st.just(False)),
    st.tuples(st.just("write"), st.integers(0, len(WRITES) - 1), st.integers(0, 9), st.integers(0, 9), st.integers(0, 2), st.booleans()),
)  # fmt: skip


def outcome(action: Callable[[], Any]) -> tuple[str, Any]:
    """What happened: the result, or the first line of the error."""
    try:
        return "", action()
    except (RuntimeError, IndexError, ValueError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}", None


def sentence(error: str) -> str:
    """Errors of shapes may be worded by whichever operation notices first; the autograd ones must agree exactly."""
    for key in (
        "leaf Variable",
        "no_grad mode",
        "multiple views",
        "another view of its base",
        "element 0 of tensors",
    ):
        if key in error:
            return error.partition(":")[2]
    return "modified by an inplace" if "modified by an inplace" in error else bool(error) * "error"


SHARED = "some elements of the input tensor and the written-to tensor"  # PyTorch refuses what NumPy can do


def short(name: str) -> str:
    return name.rpartition("::")[2]


class Run:
    """A program's state under one library."""

    def __init__(self, module: Any, leaf: bool, columns: bool) -> None:
        self.t = module
        base = module.tensor([[0.1, 0.7, 0.4], [0.9, 0.2, 0.6]], dtype=module.float64)
        if columns:
            base = base.t().clone().t().detach()
        other = module.tensor([0.3, 0.8, 0.5], dtype=module.float64, requires_grad=True)
        base.requires_grad_()
        self.leaves = [base, other]
        self.pool = [
            base if leaf else base * 1.0,
            other * 1.0,
            module.tensor([[0.2], [0.6]], dtype=module.float64),
        ]

    def step(self, kind: str, which: int, a: int, b: int, i: int, quiet: bool) -> str:
        x, y = self.pool[a % len(self.pool)], self.pool[b % len(self.pool)]
        action = KINDS[kind][which]
        if kind == "write" and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr():
            y = y.clone()  # PyTorch refuses some such writes, and the gradient of others

        def act() -> Any:
            return action(self.t, x, y, i) if kind == "write" else action(self.t, x, i)

        def quietly() -> Any:
            with self.t.no_grad():
                return act()

        error, result = outcome(quietly if quiet else act)
        if not error and kind != "write":
            self.pool.append(result)
        return error

    def gradients(self, index: int) -> tuple[str, Any]:
        """Of the sum of squares of one tensor, with respect to the leaves."""
        out = self.pool[index]
        if not out.requires_grad:
            return "", "no history"

        def act() -> Any:
            loss = (out * out).sum()
            grads = self.t.autograd.grad(loss, self.leaves, retain_graph=True, allow_unused=True)
            return [None if g is None else values(g) for g in grads]

        return outcome(act)


def zero_is_none(gradients: Any) -> Any:
    """A gradient that is zero throughout counts as none: it depends on how a graph is cut, not on the mathematics."""
    if not isinstance(gradients, list):
        return gradients
    return [None if g is None or not np.any(g[1]) else g for g in gradients]


def compare_runs(program: list[Any], leaf: bool, columns: bool) -> None:
    want, have = Run(torch, leaf, columns), Run(clew, leaf, columns)
    for number, (kind, which, *rest) in enumerate(program):
        where = f"step {number}: {kind} {which} {rest}"
        expected, found = want.step(kind, which, *rest), have.step(kind, which, *rest)
        if SHARED in expected or "out of bounds" in expected:  # PyTorch may have written half of it by then
            return
        if (
            not expected and "single memory location" in found
        ):  # PyTorch deprecates some such writes, with a warning
            return
        assert sentence(expected) == sentence(found), f"{where}: {found!r}, PyTorch: {expected!r}"
        for k, (w, h) in enumerate(zip(want.pool, have.pool, strict=True)):
            (first, flag), (second, own) = outcome(lambda: w.is_leaf), outcome(lambda: h.is_leaf)
            assert (sentence(first), flag) == (sentence(second), own), (
                f"{where}: tensor {k} is a leaf: {second!r}, PyTorch: {first!r}"
            )
            if first:
                return
            assert_same(values(w), values(h), 1e-9, 1e-12, f"{where}: tensor {k}")
            assert w.requires_grad == h.requires_grad, f"{where}: tensor {k} requires grad: {h.requires_grad}"
            if w.grad_fn is not None:
                assert short(w.grad_fn.name()) == short(h.grad_fn.name()), (
                    f"{where}: tensor {k} {h.grad_fn}, PyTorch: {w.grad_fn}"
                )
            assert w._is_view() == h._is_view(), f"{where}: tensor {k} is a view"
    for k in range(len(want.pool)):
        expected, grads = want.gradients(k)
        if "single memory location" in expected:  # PyTorch cannot differentiate a fill of an expanded view
            continue
        found, own = have.gradients(k)
        assert sentence(expected) == sentence(found), (
            f"gradient of tensor {k}: {found!r}, PyTorch: {expected!r}"
        )
        assert_same(zero_is_none(grads), zero_is_none(own), 1e-9, 1e-12, f"gradient of tensor {k}")


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=st.lists(step, min_size=1, max_size=8), leaf=st.booleans(), columns=st.booleans())
def test_random_programs(program: list[Any], leaf: bool, columns: bool) -> None:
    compare_runs(program, leaf, columns)


def both(program: Callable[[Any], Any]) -> None:
    """The program does the same under both libraries, errors included."""
    (want, expected), (have, found) = outcome(lambda: program(torch)), outcome(lambda: program(clew))
    assert have == want
    assert_same(values(expected), values(found), 1e-9, 1e-12)


def leaf(t: Any, *shape: int) -> Any:
    return t.ones(shape, dtype=t.float64).requires_grad_()


def write_leaf(t: Any) -> None:
    leaf(t, 2).mul_(2)


def write_view_of_leaf(t: Any) -> None:
    leaf(t, 2, 3)[0].mul_(2)


def write_part_of_split(t: Any) -> None:
    (leaf(t, 4) * 1).split(2)[0].mul_(2)


def write_part_of_unbind(t: Any) -> None:
    next(iter(leaf(t, 4, 2) * 1)).mul_(2)


def write_no_grad_view(t: Any) -> None:
    y = leaf(t, 4) * 1
    with t.no_grad():
        v = y[:2]
    v.mul_(2)


def use_part_after_write(t: Any) -> None:
    y = leaf(t, 4) * 1
    a, _ = y.split(2)
    y.mul_(2)
    return a * 2


def write_expanded(t: Any) -> None:
    t.ones(3).expand(2, 3).add_(1)


def fill_expanded(t: Any) -> Any:
    return t.ones(3).expand(2, 3).fill_(2)


def write_under_no_grad(t: Any) -> Any:
    x = leaf(t, 4)
    with t.no_grad():
        x[:2] = 3
        x.view(2, 2)[1].mul_(5)
    return x


def setitem_gradients(t: Any) -> Any:
    x, v = leaf(t, 2, 3), leaf(t, 3)
    y = x * 2
    y[0] = v * 3
    y[:, 1] += 1
    y[y > 2] *= 2
    return list(t.autograd.grad((y * y).sum(), [x, v]))


def view_before_write(t: Any) -> Any:
    x = leaf(t, 2, 3)
    y = x * 2
    row = y[0]
    y.mul_(x)
    return list(t.autograd.grad(row.sum(), [x]))


def write_through_views_of_views(t: Any) -> Any:
    x, s = leaf(t, 2, 3), leaf(t, 1)
    y = x * 2
    y.t()[1:].reshape(-1)[0] = 0
    y.view(3, 2).t()[1].mul_(s)
    return list(t.autograd.grad((y * y).sum(), [x, s]))


def history_enters_plain_memory(t: Any) -> Any:
    x, buffer = leaf(t, 3), t.zeros(2, 3, dtype=t.float64)
    views = list(buffer)
    buffer[1] = x * 2
    return [buffer.requires_grad, *t.autograd.grad(buffer.sum(), [x]), len(views)]


def base_and_flags(t: Any) -> Any:
    x = t.ones(2, 3)
    v = x.view(-1)[2:]
    return [v._base is x, v._is_view(), x._is_view(), x._base is None, x.clone()._is_view()]


def reshape_shares_or_copies(t: Any) -> Any:
    x = t.zeros(2, 3)
    x.reshape(6)[0] = 1
    x.t().reshape(6)[1] = 2
    return x


def overlapping_copy(t: Any) -> Any:
    x = t.arange(6)
    x[1:] = x[:-1].clone()
    return x


PROGRAMS = [
    write_leaf, write_view_of_leaf, write_part_of_split, write_part_of_unbind, write_no_grad_view, use_part_after_write,
    write_expanded, fill_expanded, write_under_no_grad, setitem_gradients, view_before_write,
    write_through_views_of_views, history_enters_plain_memory, base_and_flags, reshape_shares_or_copies, overlapping_copy,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_programs(program: Callable[[Any], Any]) -> None:
    both(program)
