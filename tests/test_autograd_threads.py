"""Threads: modes belong to each, and walks that share leaves lose no gradient."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import clew as torch


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of `work(i)`, each in a thread of its own, all started together; its error is raised here."""
    start = threading.Barrier(count)
    results: list[Any] = [None] * count
    errors: list[BaseException] = []

    def run(i: int) -> None:
        start.wait()
        try:
            results[i] = work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_a_new_thread_records() -> None:
    with torch.no_grad():
        assert in_threads(1, lambda i: torch.is_grad_enabled()) == [True]
        assert not torch.is_grad_enabled()


def test_modes_of_one_thread_do_not_reach_another() -> None:
    inside, done = threading.Event(), threading.Event()
    x = torch.ones(3, requires_grad=True)

    def work(i: int) -> tuple[bool, bool]:
        if i == 0:
            with torch.inference_mode():
                inside.set()
                done.wait(10)
                y = x * 2
                return y.requires_grad, y.is_inference()
        inside.wait(10)
        y = x * 2
        done.set()
        return y.requires_grad, y.is_inference()

    assert in_threads(2, work) == [(False, True), (True, False)]


def test_walks_that_share_leaves_lose_no_gradient() -> None:
    small = torch.tensor(1.0, requires_grad=True)
    large = torch.ones(20_000, requires_grad=True)

    def work(i: int) -> None:
        for _ in range(200):
            (small * 2 + (large * 3).sum() * 0 + large.sum()).backward()

    in_threads(4, work)
    assert small.grad.item() == 4 * 200 * 2
    assert large.grad.tolist() == [4.0 * 200] * 20_000


def test_first_gradients_of_many_leaves_at_once() -> None:
    for _ in range(50):
        leaves = [torch.ones(4, requires_grad=True) for _ in range(20)]
        in_threads(3, lambda i, leaves=leaves: sum((leaf * 2).sum() for leaf in leaves).backward())
        assert all(leaf.grad.tolist() == [6.0] * 4 for leaf in leaves)


def test_walks_over_one_retained_graph() -> None:
    x = torch.ones(3, requires_grad=True)
    y = (x.exp() * x).sum()
    in_threads(4, lambda i: [y.backward(retain_graph=True) for _ in range(50)])
    want = torch.autograd.grad(y, x)[0] * 200
    assert torch.allclose(x.grad, want)


def test_hooks_and_functions_in_several_threads() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            assert not torch.is_grad_enabled()
            return g * 2 * (x / x)

    seen: list[int] = []
    shared = torch.ones(3, requires_grad=True)
    shared.register_post_accumulate_grad_hook(lambda p: seen.append(1))

    def work(i: int) -> list[float]:
        x = torch.ones(3, requires_grad=True)
        for _ in range(20):
            y = Double.apply(x * shared)
            y.register_hook(lambda g: g * 3)
            y.sum().backward()
        return x.grad.tolist()

    assert in_threads(3, work) == [[120.0] * 3] * 3
    assert len(seen) == 60
    assert shared.grad.tolist() == [360.0] * 3


def test_anomaly_mode_is_per_thread() -> None:
    with torch.autograd.set_detect_anomaly(True):
        assert in_threads(1, lambda i: torch.is_anomaly_enabled()) == [False]
