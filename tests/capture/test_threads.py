"""Kernels that several threads run: the numbers of the eager step, whatever the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import clew
from clew import nn
from clew.nn import functional as F


@pytest.fixture(params=[2, 3, 7], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = clew.get_num_threads()
    clew.set_num_threads(request.param)
    yield request.param
    clew.set_num_threads(before)


def elementwise() -> Callable[[], Any]:
    x = clew.randn(400, 301, requires_grad=True)
    y = clew.randn(400, 301)

    def step() -> Any:
        x.grad = None
        loss = (F.gelu(x) * y + x.tanh()).mean()
        loss.backward()
        return loss, x.grad.sum()

    return step


def rows_and_columns() -> Callable[[], Any]:
    """Softmaxes and norms go row by row; gradients of weight and bias are sums over rows."""
    x = clew.randn(517, 130, requires_grad=True)
    norm = nn.LayerNorm(130)
    y = clew.randn(517, 130)

    def step() -> Any:
        loss = (F.softmax(norm(x), -1) * y).sum() + (x * norm.bias).max()
        x.grad = norm.weight.grad = norm.bias.grad = None
        loss.backward()
        return loss, norm.weight.grad.abs().sum(), norm.bias.grad.abs().sum(), x.grad.abs().sum()

    return step


def net() -> Callable[[], Any]:
    """Products whose rows are shared out, and an optimizer's state."""
    model = nn.Sequential(nn.Linear(100, 333), nn.ReLU(), nn.Linear(333, 10))
    optimizer = clew.optim.AdamW(model.parameters(), lr=1e-2)
    x, y = clew.randn(701, 100), clew.randint(0, 10, (701,))

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def attention() -> Callable[[], Any]:
    """Batches of products."""
    q, k, v = (clew.randn(8, 8, 65, 32, requires_grad=True) for _ in range(3))

    def step() -> Any:
        loss = F.scaled_dot_product_attention(q, k, v, is_causal=True).square().mean()
        q.grad = k.grad = v.grad = None
        loss.backward()
        return loss, q.grad.abs().sum(), k.grad.abs().sum(), v.grad.abs().sum()

    return step


def results(make: Callable[[], Callable[[], Any]], compiled: bool, calls: int = 24) -> list[list[float]]:
    clew.manual_seed(0)
    step: Any = make()
    run = clew.compile(step) if compiled else step
    found = [run() for _ in range(calls)]
    if compiled:
        assert run.kernel, run.latest.why
        assert "tid" in run.kernel
    return [[n.item() for n in (f if isinstance(f, tuple) else (f,))] for f in found]


@pytest.mark.parametrize("make", [elementwise, rows_and_columns, net, attention])
def test_same_numbers(make: Callable[[], Callable[[], Any]]) -> None:
    for ours, eager in zip(results(make, True), results(make, False), strict=True):
        assert ours == pytest.approx(eager, rel=2e-4, abs=1e-6)


def test_two_threads_of_the_program_at_once() -> None:
    """One uses the helpers, the other works alone."""
    found: dict[int, Any] = {}
    steps = []
    for _ in range(2):
        clew.manual_seed(0)
        steps.append(clew.compile(net()))
    for step in steps:
        for _ in range(20):
            step()

    def work(number: int) -> None:
        found[number] = [steps[number]().item() for _ in range(50)]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found[0] == pytest.approx(found[1], rel=1e-4)
