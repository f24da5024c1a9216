"""Rooms that few programs enter: operators of one's own, futures, removed functions, memory that processes share."""

from __future__ import annotations

import multiprocessing
import threading
from importlib import import_module

import numpy as np
import pytest
from both import collect, same

import clew

torch = pytest.importorskip("torch")


def sine(t):
    """An operator that works with NumPy, and its derivative."""
    name = f"own_{t.__name__}::sine"
    Tensor = t.Tensor

    def forward(x: Tensor, k: float = 1.0) -> Tensor:
        return t.from_numpy(np.sin(k * x.detach().numpy()))

    forward.__annotations__ = {"x": Tensor, "k": float, "return": Tensor}
    made = import_module(f"{t.__name__}.library").custom_op(name, forward, mutates_args=())
    made.register_fake(lambda x, k=1.0: t.empty_like(x))

    def setup_context(ctx, inputs, output):
        x, ctx.k = inputs
        ctx.save_for_backward(x)

    made.register_autograd(
        lambda ctx, g: (g * ctx.saved_tensors[0].mul(ctx.k).cos() * ctx.k, None), setup_context=setup_context
    )
    return made


def p_operator_of_ones_own(t):
    op = sine(t)
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = op(x, 2.0)
    y.sum().backward()
    by_name = getattr(t.ops, f"own_{t.__name__}").sine(x.detach(), 1.0)
    return y.detach(), x.grad, by_name, y.grad_fn.name().replace(t.__name__, "t")


def p_futures(t):
    futures = import_module(f"{t.__name__}.futures")
    first = futures.Future()
    second = first.then(lambda f: f.value() + 1)
    seen, told = [], threading.Event()
    first.add_done_callback(lambda f: (seen.append(f.value()), told.set()))
    threading.Timer(0.01, lambda: first.set_result(3)).start()
    return (
        second.wait(),
        first.done(),
        told.wait(
            10
        ),  # callbacks run in the thread that sets the result, maybe after wait() has returned here
        seen,
        futures.wait_all([first, second]),
        len(futures.collect_all([first]).wait()),
    )


def p_future_with_an_error(t):
    future = import_module(f"{t.__name__}.futures").Future()
    future.set_exception(ValueError("late"))
    future.wait()


def p_flat_and_back(t):
    utils = import_module(f"{t.__name__}._utils")
    parts = [t.ones(2), t.arange(4.0).view(2, 2)]
    flat = utils._flatten_dense_tensors(parts)
    return flat, utils._unflatten_dense_tensors(flat, parts)


def p_either(t):
    x = t.ones(2)
    return [t.cond(p, lambda x: x + 1, lambda x: x - 1, (x,)) for p in (True, t.tensor(False))]


def p_each_element(t):
    return t.arange(4).apply_(lambda v: v * 2.5), t.ones(2).map_(t.arange(2.0), lambda a, b: a - b)


def p_file(t, path="/dev/zero"):
    return t.from_file(path, shared=True, size=0), t.detach(t.ones(1)), t.ones(2).to_dense(t.float64)


def p_new_memory(t):
    net = t.nn.Linear(3, 2).to_empty(device="cpu")
    return net.weight.shape, t.nn.Linear(3, 2).share_memory().weight.is_shared(), t.ones(2).is_shared()


def p_wrong_device_memory(t):
    return issubclass(t.OutOfMemoryError, RuntimeError), t.cuda.OutOfMemoryError is t.OutOfMemoryError


@collect(globals())
def test_programs(program):
    same(program, warned=False)


WRONG = {
    "check": lambda t: t._check(False, lambda: "no"),
    "check of a number": lambda t: t._check(1),
    "check of a tensor": lambda t: t._check(t.tensor(True)),
    "index": lambda t: t._check_index(False, lambda: "i"),
    "assert": lambda t: t._assert(False, "m"),
    "eig": lambda t: t.eig(t.eye(2)),
    "symeig": lambda t: t.eye(2).symeig(),
    "lstsq": lambda t: t.lstsq(t.eye(2), t.eye(2)),
    "solve": lambda t: t.eye(2).solve(t.eye(2)),
    "matrix_rank": lambda t: t.matrix_rank(t.eye(2)),
    "apply": lambda t: t.ones(2, requires_grad=True).apply_(lambda v: v),
    "argument": lambda t: sine(t)(t.ones(1), "a"),
}


@pytest.mark.parametrize("name", [n for n in WRONG if n != "argument"])
def test_errors(name):
    same(WRONG[name], warned=False)


def test_an_operator_checks_its_arguments():
    with pytest.raises(
        RuntimeError, match="Expected a value of type 'float' for argument 'k' but instead found type 'str'"
    ):
        WRONG["argument"](clew)


def _train(net):
    with clew.no_grad():
        net.weight.fill_(7.0)
    optimizer = clew.optim.SGD(net.parameters(), lr=1.0)
    net(clew.ones(1, 2)).sum().backward()
    optimizer.step()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_processes_train_one_net():
    net = clew.nn.Linear(2, 2).share_memory()
    process = multiprocessing.get_context("fork").Process(target=_train, args=(net,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert net.weight.tolist() == [[6.0, 6.0]] * 2
