"""Hooks that the walk runs: on tensors, on nodes, on leaves when their gradient has been gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from clew.core.modes import switches
from clew.core.node import AccumulateGrad, Node
from clew.core.variable import Variable, wrap
from clew.dtypes import tensor_type_name


class _LeafHooks:
    """Whether any leaf ever got a hook: only then must a walk know when a leaf has received its last gradient."""

    exist = False


leaf_hooks = _LeafHooks()


def run_tensor_hooks(node: Node, g: Any, record: bool) -> Any:
    """`Tensor.register_hook` functions of the node's outputs, then `retain_grad`."""
    extras = node.extras
    assert extras is not None
    slots = list(g) if node.outputs > 1 else [g]
    for number, value in enumerate(slots):
        tensor = value if value is None or isinstance(value, Variable) else wrap(value)
        for hook in tuple(extras.tensor_hooks.get(number, {}).values()):
            tensor = run_tensor_hook(hook, tensor, record)
        reference = extras.retained.get(number)
        owner = reference() if reference is not None else None
        if owner is not None and tensor is not None:
            meta: Any = owner._meta
            own = tensor if record else tensor.detach().clone()
            meta.grad = own if meta.grad is None else meta.grad + tensor
        slots[number] = tensor if record or tensor is None else tensor._array
    return slots if node.outputs > 1 else slots[0]


def called(hook: Callable[..., Any], record: bool, *args: Any) -> Any:
    """Run a hook, without recording unless the pass is recorded."""
    before = switches.grad
    switches.grad = record
    switches.note()
    try:
        return hook(*args)
    finally:
        switches.grad = before
        switches.note()


def run_tensor_hook(hook: Callable[..., Any], tensor: Any, record: bool) -> Any:
    """Run one tensor hook and check what it returns."""
    result = called(hook, record, tensor)
    if result is None:
        return tensor
    if not isinstance(result, Variable):
        raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    if tensor is None:
        return result
    if result._array.shape != tensor._array.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    if result._array.dtype != tensor._array.dtype:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value (was {tensor_type(tensor)} got {tensor_type(result)})"
        )
    return result


def tensor_type(tensor: Variable) -> str:
    """PyTorch's older name of a tensor's type, such as `torch.FloatTensor`."""
    return tensor_type_name(tensor._array.dtype)


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", type(hook).__name__)


def _several(hook: Callable[..., Any], result: Any, count: int) -> tuple[Any, ...]:
    """What a hook over several gradients returned: as many as it got."""
    values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(values) != count:
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(values)}, but expected {count})"
        )
    for value in values:
        if value is not None and not isinstance(value, Variable):
            raise TypeError(f"expected Variable, but hook returned '{type(value).__name__}'")
    return values


def _as_tuple(values: Any, count: int) -> tuple[Any, ...]:
    slots = values if count > 1 else (values,)
    return tuple(v if v is None or isinstance(v, Variable) else wrap(v) for v in slots)


def _back(values: Iterable[Any], like: Sequence[Any]) -> list[Any]:
    """Tensors back to what `like` held: tensors or raw arrays."""
    raw_wanted = not any(isinstance(v, Variable) for v in like)
    return [v._array if raw_wanted and v is not None else v for v in values]


def run_node_hooks(hooks: dict[int, Callable[..., Any]], g: Any, count: int, record: bool) -> Any:
    """`Node.register_prehook` functions."""
    slots = list(g) if count > 1 else [g]
    tensors = _as_tuple(g, count)
    for hook in tuple(hooks.values()):
        result = called(hook, record, tensors)
        if result is not None:
            tensors = _several(hook, result, len(tensors))
    back = _back(tensors, slots)
    return back if count > 1 else back[0]


def run_post_hooks(node: Node, gradients: Sequence[Any], g: Any, record: bool) -> Any:
    """`Node.register_hook` functions."""
    assert node.extras is not None
    count = node.outputs
    outputs = _as_tuple(g, count)
    inputs = tuple(v if v is None or isinstance(v, Variable) else wrap(v) for v in gradients)
    for hook in tuple(node.extras.post_hooks.values()):
        result = called(hook, record, inputs, outputs)
        if result is not None:
            inputs = _several(hook, result, len(inputs))
    return _back(inputs, [*gradients, g] if count == 1 else [*gradients, *g])


def check_nan(node: Node, gradients: Sequence[Any]) -> None:
    """Anomaly mode: refuse a gradient with NaN in it."""
    for index, gradient in enumerate(gradients):
        if gradient is None:
            continue
        array = gradient._array if isinstance(gradient, Variable) else gradient
        if np.isnan(array).any():
            from clew.core.anomaly import report

            report(node)
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {index}th output.")


def run_post_accumulate_hooks(sink: AccumulateGrad, record: bool) -> None:
    """`Tensor.register_post_accumulate_grad_hook` functions."""
    for hook in tuple(sink.post_accumulate_hooks.values()):
        result = called(hook, record, sink.variable)
        if result is not None:
            raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
