"""What functions of one's own, hooks, views and recorded walks hold goes by reference counts alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import clew as torch


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Exp(torch.autograd.Function):
    """Saves its output and its input, and keeps things on `ctx`."""

    @staticmethod
    def forward(ctx: Any, x: Any, notes: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        ctx.notes = notes
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        _, y = ctx.saved_tensors
        return g * y, None


class Two(torch.autograd.Function):
    """Two outputs, both saved."""

    @staticmethod
    def forward(ctx: Any, x: Any, note: Any) -> Any:
        a, b = x * 2, x * 3
        ctx.save_for_backward(a, b)
        ctx.note = note
        return a, b

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        return g * 2 + h * 3, None


class Write(torch.autograd.Function):
    """Writes to its input."""

    @staticmethod
    def forward(ctx: Any, x: Any, note: Any) -> Any:
        ctx.note = note
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2, None


class Note:
    """Something to refer to weakly."""


def leaf() -> Any:
    return torch.tensor([1.0, 2.0, 3.0], requires_grad=True)


def function(note: Note) -> Any:
    return Exp.apply(leaf(), note).sum()


def function_of_several(note: Note) -> Any:
    a, b = Two.apply(leaf(), note)
    return (a * b).sum()


def in_place_function(note: Note) -> Any:
    y = leaf() * 1
    Write.apply(y[:2], note)
    return Write.apply(y, note).sum()


def hooks(note: Note) -> Any:
    x = leaf()
    y = x * x
    for tensor in (x, y):
        tensor.register_hook(lambda g, note=note: None)
    y.grad_fn.register_hook(lambda gi, go, note=note: None)
    y.grad_fn.register_prehook(lambda gs, note=note: None)
    x.register_post_accumulate_grad_hook(lambda p, note=note: None)
    y.retain_grad()
    torch.autograd.graph.register_multi_grad_hook([x, y], lambda gs, note=note: None)
    return y.sum()


def views_and_writes(note: Note) -> Any:
    y = leaf() * 2
    v = y[:2]
    v.mul_(3)
    y[0] = 5.0
    y.grad_fn.metadata["note"] = note
    return (y * y).sum() + v.exp().sum()


def saved_hooks(note: Note) -> Any:
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (x, note), lambda packed: packed[0]):
        y = leaf().exp()
        return (y * y).sum()


def anomaly(note: Note) -> Any:
    with torch.autograd.set_detect_anomaly(True):
        return Exp.apply(leaf() * 2, note).sum()


def recorded(note: Note) -> Any:
    x = leaf()
    y = Exp.apply(x * 2, note)
    (g,) = torch.autograd.grad((y * x).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((g**2).sum(), x, create_graph=True)
    return h.sum()


PROGRAMS = [
    function, function_of_several, in_place_function, hooks, views_and_writes, saved_hooks, anomaly, recorded,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("walked", [False, True])
def test_nothing_stays(program: Callable[[Note], Any], walked: bool) -> None:
    note = Note()
    alive = weakref.ref(note)
    loss = program(note)
    node = weakref.ref(loss.grad_fn)
    del note
    assert alive() is not None
    if walked:
        loss.backward()
    del loss
    assert node() is None
    assert alive() is None


def test_a_leaf_goes_with_its_hooks() -> None:
    x = leaf()
    x.register_hook(lambda g: None)
    x.register_post_accumulate_grad_hook(lambda p: None)
    (x * x).sum().backward()
    alive = weakref.ref(x)
    del x
    assert alive() is None


def test_the_graph_keeps_the_leaf_reachable() -> None:
    y = (leaf() * 2).sum()
    y.backward(retain_graph=True)
    sink = y.grad_fn.next_functions[0][0].next_functions[0][0]
    assert sink.variable.tolist() == [1.0, 2.0, 3.0]
    assert sink.variable.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_function_class_can_go() -> None:
    class Local(Two):
        """Made and dropped."""

    a, _ = Local.apply(leaf(), None)
    a.sum().backward()
    alive = weakref.ref(Local)
    del Local, a, _
    gc.collect()  # classes are circles by themselves
    assert alive() is None


def test_saved_tensors_are_freed_by_the_walk() -> None:
    x = leaf()
    y = Exp.apply(x * 1, None)
    kept = weakref.ref(y.grad_fn.saved[0][1])  # the saved input
    assert kept() is not None
    y.sum().backward()
    assert kept() is None


def test_backward_with_create_graph_is_a_cycle_that_clearing_grad_breaks() -> None:
    x = leaf()
    with pytest.warns(UserWarning, match="reference cycle"):
        (x**3).sum().backward(create_graph=True)
    node = weakref.ref(x.grad.grad_fn)
    x.grad = None
    assert node() is None
