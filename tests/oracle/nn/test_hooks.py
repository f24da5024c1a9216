"""Hooks of modules beside PyTorch's: which run, in what order, with what, and what their results replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import clew

torch = pytest.importorskip("torch")
from compare import assert_same, check_error, values


def layer(t: Any) -> Any:
    module = t.nn.Linear(2, 2)
    t.nn.init.constant_(module.weight, 2.0)
    t.nn.init.ones_(module.bias)
    return module


def point(t: Any, requires_grad: bool = True) -> Any:
    return t.tensor([[1.0, -3.0]], requires_grad=requires_grad)


def forward_hooks(t: Any) -> Any:
    log: list[Any] = []
    m = layer(t)
    m.register_forward_pre_hook(lambda module, args: log.append(("pre", len(args))))
    m.register_forward_pre_hook(lambda module, args: (args[0] * 10,))
    m.register_forward_pre_hook(lambda module, args: log.append("first"), prepend=True)
    m.register_forward_hook(lambda module, args, out: log.append(("post", args[0].tolist(), out.tolist())))
    m.register_forward_hook(lambda module, args, out: out + 1)
    m.register_forward_hook(lambda module, args, out: log.append("early"), prepend=True)
    return [m(point(t)), log]


def single_argument(t: Any) -> Any:
    m = layer(t)
    m.register_forward_pre_hook(lambda module, args: args[0] * 2)
    return m(point(t))


def keyword_arguments(t: Any) -> Any:
    log: list[Any] = []

    class Scaled(t.nn.Module):
        def forward(self, x: Any, *, by: float = 1.0) -> Any:
            return x * by

    m = Scaled()
    m.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    )
    m.register_forward_hook(lambda module, args, kwargs, out: log.append(dict(kwargs)), with_kwargs=True)
    return [m(point(t), by=2.0), log]


def removed(t: Any) -> Any:
    log: list[Any] = []
    m = layer(t)
    handle = m.register_forward_hook(lambda *_: log.append(1))
    with m.register_forward_hook(lambda *_: log.append(2)):
        m(point(t))
    m(point(t))
    handle.remove()
    m(point(t))
    return log


def always_called(t: Any) -> Any:
    log: list[Any] = []

    class Broken(t.nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("broken")

    m = Broken()
    m.register_forward_hook(lambda module, args, out: log.append(("always", out)), always_call=True)
    m.register_forward_hook(lambda module, args, out: log.append("never"))
    with pytest.raises(ValueError, match="broken"):
        m(point(t))
    return log


def backward_hooks(t: Any) -> Any:
    log: list[Any] = []
    m = t.nn.Sequential(layer(t), t.nn.Tanh(), layer(t))
    for i, each in enumerate(m):
        each.register_full_backward_pre_hook(
            lambda module, g, i=i: log.append((i, "pre", [v.tolist() for v in g]))
        )
        each.register_full_backward_hook(
            lambda module, gi, go, i=i: log.append(
                (i, [v if v is None else v.tolist() for v in gi], [v.tolist() for v in go])
            )
        )
    x = point(t) * 0.1
    x.retain_grad()
    m(x).sum().backward()
    return [log, x.grad]


def without_input_gradient(t: Any) -> Any:
    log: list[Any] = []
    m = layer(t)
    m.register_full_backward_hook(lambda module, gi, go: log.append((list(gi), [v.tolist() for v in go])))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        m(point(t, requires_grad=False)).sum().backward()
    return [log, m.weight.grad]


def replaced_gradients(t: Any) -> Any:
    m = layer(t)
    m.register_full_backward_pre_hook(lambda module, g: (g[0] * 3,))
    m.register_full_backward_hook(lambda module, gi, go: (gi[0] * 10,))
    x = point(t)
    m(x).sum().backward()
    return [x.grad, m.weight.grad]


def several_outputs(t: Any) -> Any:
    log: list[Any] = []

    class Two(t.nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x * y, x + 3

    m = Two()
    m.register_full_backward_hook(
        lambda module, gi, go: log.append([[v if v is None else v.tolist() for v in g] for g in (gi, go)])
    )
    x, y = point(t), point(t, requires_grad=False)
    a, _ = m(x, y)
    a.sum().backward()
    return [log, x.grad]


def order_of_removal_and_prepending(t: Any) -> Any:
    log: list[Any] = []
    m = layer(t)
    m.register_full_backward_hook(lambda *_: log.append("second"))
    m.register_full_backward_hook(lambda *_: log.append("first"), prepend=True)
    m(point(t)).sum().backward()
    return log


def global_hooks(t: Any) -> Any:
    log: list[Any] = []
    where = t.nn.modules.module
    handles = [
        where.register_module_forward_pre_hook(lambda m, args: log.append(("pre", type(m).__name__))),
        where.register_module_forward_hook(lambda m, args, out: log.append(("post", type(m).__name__))),
        where.register_module_full_backward_pre_hook(lambda m, g: log.append(("back pre", type(m).__name__))),
        where.register_module_full_backward_hook(lambda m, gi, go: log.append(("back", type(m).__name__))),
        where.register_module_parameter_registration_hook(lambda m, name, p: log.append(("parameter", name))),
        where.register_module_buffer_registration_hook(lambda m, name, b: log.append(("buffer", name))),
        where.register_module_module_registration_hook(lambda m, name, s: log.append(("module", name))),
    ]
    try:
        m = t.nn.Sequential(layer(t), t.nn.BatchNorm1d(2).eval())
        m.register_forward_hook(lambda *_: log.append("own"))
        m(point(t)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    count = len(log)
    m[0](point(t))
    return [log, len(log) - count]


PROGRAMS = [
    forward_hooks, single_argument, keyword_arguments, removed, always_called, backward_hooks, without_input_gradient,
    replaced_gradients, several_outputs, order_of_removal_and_prepending, global_hooks,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_hooks(program: Callable[[Any], Any]) -> None:
    assert_same(values(program(torch)), values(program(clew)), 1e-6, 1e-8)


def bad_pre_hook(t: Any) -> Any:
    m = layer(t)
    m.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    return m(point(t))


def written_output(t: Any) -> Any:
    m = t.nn.Sequential(layer(t), t.nn.ReLU(inplace=True))
    m[0].register_full_backward_hook(lambda module, gi, go: None)
    return m(point(t))


def wrong_count(t: Any) -> Any:
    m = layer(t)
    m.register_full_backward_hook(lambda module, gi, go: (gi[0], gi[0]))
    m(point(t)).sum().backward()


@pytest.mark.parametrize("program", [bad_pre_hook, written_output, wrong_count], ids=lambda p: p.__name__)
def test_errors(program: Callable[[Any], Any]) -> None:
    check_error(program)
