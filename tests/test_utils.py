"""torch.utils without PyTorch: timers, TensorBoard, what clew has not."""

from __future__ import annotations

import pytest

import clew as torch
from clew.utils import _pytree, benchmark, cpp_extension, model_zoo


def test_timers():
    timer = benchmark.Timer(
        "x.sin()", setup="x = torch.ones(2)", label="sine", sub_label="two", description="clew"
    )
    once, many = timer.timeit(10), timer.blocked_autorange(min_run_time=0.005)
    assert once.number_per_run == 10 and len(once.times) == 1 and once.median == once.mean > 0
    assert sum(many.raw_times) >= 0.005 and many.iqr >= 0
    assert repr(once).splitlines()[1:3] == ["sine: two", "clew"]
    table = str(benchmark.Compare([once, many]))
    assert "two" in table and "clew" in table and "1 threads" in table
    with pytest.raises(NotImplementedError):
        timer.repeat()


def test_there_is_no_network_and_no_compiler():
    with pytest.raises(RuntimeError, match="downloads nothing"):
        model_zoo.load_url("https://example.org/model.pt")
    with pytest.raises(RuntimeError, match="no C"):
        cpp_extension.load("x", ["x.cpp"])


def test_a_checkpoint_keeps_less():
    """Between the runs nothing of the inside is alive but the arguments."""
    import gc
    import weakref

    inside = []

    def function(x):
        y = x.sin()
        inside.append(weakref.ref(y))
        return y.exp()

    x = torch.ones(3, requires_grad=True)
    output = torch.utils.checkpoint.checkpoint(function, x, use_reentrant=False)
    gc.collect()
    assert inside[0]() is None
    output.sum().backward()
    torch.testing.assert_close(x.grad, x.detach().sin().exp() * x.detach().cos())


def test_selective_checkpoints_have_the_same_numbers():
    from functools import partial

    from clew.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

    x = torch.ones(3, requires_grad=True)
    contexts = partial(create_selective_checkpoint_contexts, [])
    checkpoint(lambda a: a.sin().exp(), x, use_reentrant=False, context_fn=contexts).sum().backward()
    torch.testing.assert_close(x.grad, x.detach().sin().exp() * x.detach().cos())


def test_debugging_a_checkpoint_lists_the_operations_of_both_runs():
    from clew.utils.checkpoint import CheckpointError, set_checkpoint_debug_enabled

    functions = iter([lambda a: a.sin().exp(), lambda a: a.cos()])
    x = torch.ones(3, requires_grad=True)
    with set_checkpoint_debug_enabled(True):
        output = torch.utils.checkpoint.checkpoint(lambda a: next(functions)(a), x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="An error happened while unpacking") as error:
        output.sum().backward()
    first, second = str(error.value).split("Operations executed during recomputation")
    assert "ExpBackward0 of [3]" in first and "CosBackward0 of [3]" in second


def test_keys():
    tree = {"a": [1, 2]}
    paths = [path for path, _ in _pytree.tree_leaves_with_path(tree)]
    assert [_pytree.key_get(tree, path) for path in paths] == [1, 2]
