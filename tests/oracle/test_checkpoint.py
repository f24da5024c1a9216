"""Checkpointing beside PyTorch's: gradients, random numbers, what is run again, errors."""

from __future__ import annotations

import contextlib

import pytest
from both import collect, same

torch = pytest.importorskip("torch")
pytest.importorskip("torch.utils.checkpoint")

WAYS = [
    {}, {"use_reentrant": True}, {"use_reentrant": False}, {"use_reentrant": True, "preserve_rng_state": False},
    {"use_reentrant": False, "preserve_rng_state": False}, {"use_reentrant": False, "early_stop": False},
    {"use_reentrant": False, "determinism_check": "none"}, {"use_reentrant": False, "debug": True},
]  # fmt: skip


def leaf(t):
    t.manual_seed(0)
    return t.arange(1.0, 5.0).double().requires_grad_()


def noisy(t, calls=None):
    def function(x, y=None):
        if calls is not None:
            calls.append(t.is_grad_enabled())
        result = t.nn.functional.dropout(x * x, 0.5).sin()
        return result if y is None else (result * y, y)

    return function


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_ways(options):
    def program(t):
        calls, x = [], leaf(t)
        output = t.utils.checkpoint.checkpoint(noisy(t, calls), x, **options)
        name = output.grad_fn.name()
        output.sum().backward()
        return output, name, x.grad, calls, t.rand(2)

    same(program)


def checkpoint(t, function, *args, **options):
    return t.utils.checkpoint.checkpoint(function, *args, **options)


def p_two_outputs(t, r):
    x, y = leaf(t), leaf(t)
    checkpoint(t, noisy(t), x, y, use_reentrant=r)[0].sum().backward()
    return x.grad, y.grad


def p_keyword(t, r):
    x, y = leaf(t), leaf(t)
    checkpoint(t, noisy(t), x, y=y, use_reentrant=r)[0].sum().backward()
    return x.grad, y.grad


def p_no_input_wants_a_gradient(t, r):
    output = checkpoint(t, noisy(t), leaf(t).detach(), use_reentrant=r)
    return output, output.requires_grad


def p_only_parameters_want_one(t, r):
    t.manual_seed(0)
    layer = t.nn.Linear(3, 2)
    checkpoint(t, layer, t.ones(1, 3), use_reentrant=r).sum().backward()
    return layer.weight.grad


def p_without_grad(t, r):
    with t.no_grad():
        return checkpoint(t, noisy(t), leaf(t), use_reentrant=r)


def p_grad(t, r):
    x = leaf(t)
    return t.autograd.grad(checkpoint(t, noisy(t), x, use_reentrant=r).sum(), x)


def p_inputs(t, r):
    x = leaf(t)
    checkpoint(t, noisy(t), x, use_reentrant=r).sum().backward(inputs=[x])
    return x.grad


def p_twice(t, r):
    x = leaf(t)
    output = checkpoint(t, noisy(t), x, use_reentrant=r)
    output.sum().backward(retain_graph=True)
    output.sum().backward()
    return x.grad


def p_twice_without_retaining(t, r):
    output = checkpoint(t, noisy(t), leaf(t), use_reentrant=r)
    output.sum().backward()
    output.sum().backward()


def p_double(t, r):
    x = leaf(t)
    (g,) = t.autograd.grad(checkpoint(t, lambda z: z**3, x, use_reentrant=r).sum(), x, create_graph=True)
    g.sum().backward()
    return g, x.grad


def p_nested(t, r):
    x = leaf(t)
    checkpoint(
        t, lambda q: checkpoint(t, noisy(t), q * 2, use_reentrant=r) * q, x, use_reentrant=r
    ).sum().backward()
    return x.grad


def p_sequence(t, r):
    x = leaf(t)
    model = t.nn.Sequential(
        t.nn.Linear(4, 3), t.nn.ReLU(), t.nn.Dropout(), t.nn.Linear(3, 2), t.nn.Tanh()
    ).double()
    t.utils.checkpoint.checkpoint_sequential(model, 2, x, use_reentrant=r).sum().backward()
    return x.grad, model[0].weight.grad


def p_other_outputs(t, r):
    return checkpoint(t, lambda a: (a * 2, 3, None), leaf(t), use_reentrant=r)


def p_unknown_option(t, r):
    return checkpoint(t, lambda a, **_: a * 2, leaf(t), use_reentrant=r, foo=3)


def p_context(t, r):
    log = []

    @contextlib.contextmanager
    def around(name):
        log.append(name)
        yield

    x = leaf(t)
    contexts = lambda: (around("first"), around("again"))
    checkpoint(t, noisy(t), x, use_reentrant=r, context_fn=contexts).sum().backward()
    return x.grad, log


def p_unknown_check(t, r):
    return checkpoint(t, noisy(t), leaf(t), use_reentrant=r, determinism_check="foo")


def p_autocast(t, r):
    t.manual_seed(0)
    layer = t.nn.Linear(4, 2)
    x = t.ones(4, requires_grad=True)
    with t.autocast("cpu", dtype=t.bfloat16):
        output = checkpoint(t, lambda q: layer(q).sin(), x, use_reentrant=r)
    output.sum().backward()
    return output.dtype, layer.weight.grad.dtype


@pytest.mark.parametrize("reentrant", [True, False])
@collect(globals())
def test_programs(program, reentrant):
    same(lambda t: program(t, reentrant))


def test_sequence_without_a_way():
    same(lambda t: t.utils.checkpoint.checkpoint_sequential([t.sin, t.cos], 2, leaf(t)))


CHANGING = {
    "fewer": (lambda a: a.sin().exp(), lambda a: a.sin()),
    "more": (lambda a: a.sin(), lambda a: a.sin().exp()),
    "shape": (lambda a: a[:2].sin().exp(), lambda a: a.sin().exp()),
    "dtype": (lambda a: a.float().sin().exp(), lambda a: a.sin().exp()),
}


@pytest.mark.parametrize("options", [{}, {"early_stop": False}], ids=str)
@pytest.mark.parametrize("runs", CHANGING.values(), ids=CHANGING)
def test_another_function_the_second_time(runs, options):
    def program(t):
        functions, x = iter(runs), leaf(t)
        checkpoint(t, lambda a: next(functions)(a), x, use_reentrant=False, **options).sum().backward()
        return x.grad

    same(program)


def test_early_stop_for_all():
    def program(t):
        calls, x = [], leaf(t)

        def function(a):
            b = a.sin().exp()
            calls.append(1)
            return b

        output = checkpoint(t, function, x, use_reentrant=False)
        output.sum().backward()
        with t.utils.checkpoint.set_checkpoint_early_stop(False):
            checkpoint(t, function, x, use_reentrant=False).sum().backward()
        return x.grad, len(calls)

    same(program)


def test_debugging_wants_placeholders():
    same(lambda t: checkpoint(t, noisy(t), leaf(t), use_reentrant=True, debug=True))


def test_detached():
    same(lambda t: t.utils.checkpoint.detach_variable((leaf(t), 3)))
    same(lambda t: t.utils.checkpoint.detach_variable(3))
