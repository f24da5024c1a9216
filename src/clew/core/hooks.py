"""Hooks that the walk runs: on tensors, on nodes, on leaves when their gradient has been gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from clew.core.modes import switches
from clew.core.node import AccumulateGrad, Node
from clew.core.variable import Variable, wrap


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
        if value is None:
            continue
        tensor = value if isinstance(value, Variable) else wrap(value)
        for hook in tuple(extras.tensor_hooks.get(number, {}).values()):
            tensor = call_hook(hook, tensor, record)
        reference = extras.retained.get(number)
        owner = reference() if reference is not None else None
        if owner is not None:
            held = owner._meta.grad  # type: ignore[union-attr]
            owner._meta.grad = (tensor.detach().clone() if not record else tensor) if held is None else held + tensor  # type: ignore[union-attr]
        slots[number] = tensor if record else tensor._array
    return slots if node.outputs > 1 else slots[0]


def call_hook(hook: Callable[..., Any], tensor: Any, record: bool) -> Any:
    """Run one tensor hook, without recording unless the pass is recorded, and check what it returns."""
    before = switches.grad
    switches.grad = record
    switches.note()
    try:
        result = hook(tensor)
    finally:
        switches.grad = before
        switches.note()
    if result is None:
        return tensor
    if not isinstance(result, Variable):
        raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    if result._array.shape != tensor._array.shape:
        raise RuntimeError(f"hook '{getattr(hook, '__name__', type(hook).__name__)}' has changed the size of value")
    if result._array.dtype != tensor._array.dtype:
        raise RuntimeError(f"hook '{getattr(hook, '__name__', type(hook).__name__)}' has changed the type of value")
    return result


def _as_tuple(values: Any, count: int) -> tuple[Any, ...]:
    slots = values if count > 1 else (values,)
    return tuple(v if v is None or isinstance(v, Variable) else wrap(v) for v in slots)


def _back(values: Iterable[Any], like: Sequence[Any]) -> list[Any]:
    """Tensors back to what `like` held: tensors or raw arrays."""
    raw_wanted = not any(isinstance(v, Variable) for v in like)
    return [v._array if raw_wanted and v is not None else v for v in values]


def run_node_hooks(hooks: dict[int, Callable[..., Any]], g: Any, count: int) -> Any:
    """`Node.register_prehook` functions."""
    slots = list(g) if count > 1 else [g]
    tensors = _as_tuple(g, count)
    for hook in tuple(hooks.values()):
        result = hook(tensors)
        if result is not None:
            tensors = result if isinstance(result, tuple) else (result,)
    back = _back(tensors, slots)
    return back if count > 1 else back[0]


def run_post_hooks(node: Node, gradients: Sequence[Any], g: Any) -> Any:
    """`Node.register_hook` functions."""
    assert node.extras is not None
    count = node.outputs
    outputs = _as_tuple(g, count)
    inputs = tuple(v if v is None or isinstance(v, Variable) else wrap(v) for v in gradients)
    for hook in tuple(node.extras.post_hooks.values()):
        result = hook(inputs, outputs)
        if result is not None:
            inputs = result if isinstance(result, tuple) else (result,)
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


def run_post_accumulate_hooks(sink: AccumulateGrad) -> None:
    """`Tensor.register_post_accumulate_grad_hook` functions."""
    for hook in tuple(sink.post_accumulate_hooks.values()):
        if hook(sink.variable) is not None:
            raise RuntimeError("post accumulate grad hooks should return None.")
