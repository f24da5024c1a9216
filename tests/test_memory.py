"""Memory goes the moment the last name does: no node, no saved array stays, without help from the garbage collector."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import clew
from clew import Tensor
from clew.core.node import AccumulateGrad, Node

Program = Callable[[], Tensor]  # one forward pass, from leaves that live outside it to a loss


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only reference counts free memory: a cycle would stay."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def ones(*shape: int) -> Tensor:
    return clew.ones(*shape, requires_grad=True)


def scalars() -> Program:
    w, b = clew.tensor(2.0, requires_grad=True), clew.tensor(1.0, requires_grad=True)
    return lambda: ((w * 3.0 + b).exp() / w - b.sin() + w.sqrt() * w**3) ** 2


def one_name_twice() -> Program:
    w = ones(3)

    def forward() -> Tensor:
        y = w * w
        y = y * y + y
        return y.sum()

    return forward


def perceptron() -> Program:
    nn = clew.nn
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    criterion = nn.MSELoss()
    x, y = clew.ones(4, 4), clew.zeros(4, 2)
    return lambda: criterion(model(x), y)


def classifier() -> Program:
    nn = clew.nn
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Dropout(0.1), nn.Linear(8, 3))
    criterion = nn.CrossEntropyLoss()
    x, y = clew.arange(16.0).reshape(4, 4), clew.tensor([0, 1, 2, 1])
    return lambda: criterion(model(x), y)


def views() -> Program:
    w = ones(4, 6)

    def forward() -> Tensor:
        y = w * 2
        rows = y.reshape(6, 4).transpose(0, 1)[1:, ::2]
        first, *_ = rows.unbind(0)
        return (rows.T @ rows).sum() + first.sum() + y.view(-1)[3] + y.unsqueeze(0).expand(2, 4, 6).sum()

    return forward


def in_place() -> Program:
    w = ones(4, 6)

    def forward() -> Tensor:
        y = w * 2
        y += w
        y.mul_(w)
        y.exp_()
        return (y * y).sum()

    return forward


def in_place_on_views() -> Program:
    w = ones(4, 6)

    def forward() -> Tensor:
        y = w * 2
        row = y[1]
        row.mul_(3)
        y[:, 2] = w[:, 0] * w[:, 1]
        part = row.view(2, 3)[0]
        part += w[0, :3]
        return (y * y).sum() + row.exp().sum() + part.sum()

    return forward


def several_outputs() -> Program:
    w = clew.arange(12.0).reshape(3, 4).requires_grad_()

    def forward() -> Tensor:
        values, _ = w.sort(dim=1)
        left, right = (values * w).split(2, dim=1)
        top, _ = clew.cat([left, right]).max(dim=0)
        return top.sum() + right.sum()

    return forward


PROGRAMS = [
    scalars, one_name_twice, perceptron, classifier, views, in_place, in_place_on_views, several_outputs,
]  # fmt: skip


class Alive:
    """Weak references to every node of a graph and to every array the nodes have saved."""

    def __init__(self, root: Tensor) -> None:
        self.nodes: list[weakref.ref[Node]] = []
        self.arrays: list[weakref.ref[np.ndarray]] = []
        parameters: set[int] = set()
        for node in graph_of(root):
            if isinstance(node, AccumulateGrad):
                parameters.add(id(node.variable._array))
            else:
                self.nodes.append(weakref.ref(node))
        for node in graph_of(root):
            made_outside = [a for a in arrays_in(node.saved) if id(a) not in parameters]
            self.arrays += [weakref.ref(a) for a in made_outside]
        assert self.nodes

    def left(self, besides: frozenset[int] = frozenset()) -> list[Any]:
        """Those still there, without the arrays whose ids are in `besides`."""
        found = [ref() for ref in (*self.nodes, *self.arrays)]
        return [
            f if isinstance(f, Node) else f.shape for f in found if f is not None and id(f) not in besides
        ]


def graph_of(root: Tensor) -> list[Node]:
    assert root.grad_fn is not None
    found, stack = {root.grad_fn}, [root.grad_fn]
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in found:
                found.add(edge[0])
                stack.append(edge[0])
    return list(found)


def arrays_in(saved: Any) -> Iterator[np.ndarray]:
    if isinstance(saved, np.ndarray):
        yield saved
    elif isinstance(saved, (tuple, list)):
        for value in saved:
            yield from arrays_in(value)


def lasting(forward: Program) -> frozenset[int]:
    """The ids of arrays that the program holds anyway, such as its data: those saved by two passes over it."""
    first, second = forward(), forward()
    shared = [{id(a) for node in graph_of(root) for a in arrays_in(node.saved)} for root in (first, second)]
    return frozenset(shared[0] & shared[1])


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("program", PROGRAMS)
class TestNothingStays:
    def test_after_a_step(self, program: Callable[[], Program]) -> None:
        forward = program()
        besides = lasting(forward)
        loss = forward()
        alive = Alive(loss)
        loss.backward()
        del loss
        assert alive.left(besides) == []

    def test_saved_arrays_go_while_the_loss_stays(self, program: Callable[[], Program]) -> None:
        forward = program()
        besides = lasting(forward)
        loss = forward()
        alive = Alive(loss)
        loss.backward()
        held = {id(loss._array)}
        assert [a for a in alive.left(besides | held) if not isinstance(a, Node)] == []

    def test_without_a_backward_pass(self, program: Callable[[], Program]) -> None:
        forward = program()
        besides = lasting(forward)
        loss = forward()
        alive = Alive(loss)
        del loss
        assert alive.left(besides) == []

    def test_after_a_retained_graph_is_dropped(self, program: Callable[[], Program]) -> None:
        forward = program()
        besides = lasting(forward)
        loss = forward()
        alive = Alive(loss)
        loss.backward(retain_graph=True)
        assert all(ref() is not None for ref in (*alive.nodes, *alive.arrays))  # the references do tell
        loss.backward()
        del loss
        assert alive.left(besides) == []


@pytest.mark.usefixtures("no_collector")
def test_intermediate_tensors_are_freed_during_the_forward_pass() -> None:
    w = ones(5)
    middle = w * 2
    alive = weakref.ref(middle)
    loss = (middle.exp() + 1).sum()
    del middle
    assert alive() is None
    loss.backward()
    assert w.grad is not None


@pytest.mark.usefixtures("no_collector")
def test_gradients_of_gradients_leave_nothing() -> None:
    w = clew.tensor([1.0, 2.0], requires_grad=True)

    def forward() -> Tensor:
        return (w**3).sum()

    def slope(loss: Tensor) -> Tensor:
        return clew.autograd.grad(loss, w, create_graph=True)[0].sum()

    besides = lasting(forward) | lasting(lambda: slope(forward()))
    loss = forward()
    alive = Alive(loss)
    first = slope(loss)
    alive_of_first = Alive(first)
    (second,) = clew.autograd.grad(first, w)
    assert second.tolist() == [6.0, 12.0]
    del loss, first, second
    assert alive.left(besides) == []
    assert alive_of_first.left(besides) == []


@pytest.mark.usefixtures("no_collector")
def test_an_error_in_a_backward_pass_leaves_nothing() -> None:
    w = ones(3)
    besides = lasting(lambda: ((w * 2) ** 2).sum())
    y = w * 2
    loss = (y**2).sum()
    alive = Alive(loss)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    del y, loss
    assert alive.left(besides) == []


# ---- loops ---------------------------------------------------------------------------------------------------------------
def by_hand() -> Callable[[], None]:
    """Lab 4's loop: updates under no_grad, gradients cleared in place."""
    x, y = clew.tensor([1.0, 2.0, 3.0, 4.0]), clew.tensor([3.0, 5.0, 7.0, 9.0])
    w, b = clew.tensor(0.0, requires_grad=True), clew.tensor(0.0, requires_grad=True)

    def step() -> None:
        nonlocal w, b
        loss = ((w * x + b - y) ** 2).mean()
        loss.backward()
        with clew.no_grad():
            w -= 0.05 * w.grad
            b -= 0.05 * b.grad
        loss.item()
        w.grad.zero_()
        b.grad.zero_()

    return step


def with_optimizer(name: str) -> Callable[[], None]:
    nn = clew.nn
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = getattr(clew.optim, name)(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    x, y = clew.ones(4, 4), clew.zeros(4, 2)

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return step


def of_views_and_writes() -> Callable[[], None]:
    forward = in_place_on_views()
    return lambda: forward().backward()


LOOPS = {
    "by hand": by_hand,
    "SGD": lambda: with_optimizer("SGD"),
    "Adam": lambda: with_optimizer("Adam"),
    "views and writes": of_views_and_writes,
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("name", "steps"),
    [(name, 2_000) for name in LOOPS] + [(name, 10_000) for name in ("by hand", "SGD", "Adam")],
)
def test_a_loop_grows_by_nothing(name: str, steps: int) -> None:
    step = LOOPS[name]()
    for _ in range(50):
        step()
    tracemalloc.start()
    try:
        for _ in range(50):  # what is allocated once, such as the frames' own caches
            step()
        before = tracemalloc.get_traced_memory()[0]
        objects = sys.getallocatedblocks()
        for _ in range(steps):
            step()
        grown = tracemalloc.get_traced_memory()[0] - before
        more = sys.getallocatedblocks() - objects
    finally:
        tracemalloc.stop()
    assert grown < 2_000, f"{grown} bytes after {steps} steps"
    assert more < 50, f"{more} more objects after {steps} steps"


# ---- a long chain ----------------------------------------------------------------------------------------------------------
def chain(length: int) -> tuple[Tensor, Tensor]:
    x = y = clew.tensor(1.0, requires_grad=True)
    for _ in range(length // 2):
        y = y + 1e-6
        y = y * 0.999999
    return x, y


def test_a_chain_of_a_million_operations() -> None:
    """It runs, and is freed, on a stack on which no recursion along the chain fits."""
    length = 1_000_000
    x, y = chain(length)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    start = time.perf_counter()
    try:
        y.backward()
        del y
    finally:
        sys.setrecursionlimit(before)
    assert time.perf_counter() - start < 30  # it takes about half a second
    expected = np.float32(1)
    for _ in range(length // 2):
        expected = expected * np.float32(0.999999)
    assert x.grad.item() == expected


def test_memory_of_a_chain_is_proportional_to_its_length() -> None:
    def peak_per_operation(length: int) -> float:
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            _, y = chain(length)
            y.backward()
            return (tracemalloc.get_traced_memory()[1] - before) / length
        finally:
            tracemalloc.stop()

    short, long = (
        peak_per_operation(20_000),
        peak_per_operation(200_000),
    )  # beyond what the interpreter's free lists hold
    assert long < 1.2 * short
    assert long < 1_000
