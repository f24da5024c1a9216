"""`backward` and `grad`: the ways into the engine's walk."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from clew.core.engine import Walk
from clew.core.forward import levels
from clew.core.node import Edge, Node, user_place
from clew.core.variable import FLOAT32, Variable, wrap

NO_GRAPH = "element {index} of tensors does not require grad and does not have a grad_fn"
CREATE_GRAPH = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which "
    "can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use "
    "this function, make sure to reset the .grad fields of your parameters to None after use to break the cycle and avoid "
    "the leak."
)
ONE = np.float32(1)


class GradientEdge(NamedTuple):
    """Where a tensor's gradient passes: a node and which of its outputs. Stands for the tensor in `backward` and `grad`."""

    node: Node
    output_nr: int
    ownership_token: Any = None  # PyTorch's way of keeping the graph alive; here `node` does that


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge of a tensor; RuntimeError where it does not require grad."""
    edge = tensor.edge()
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    return GradientEdge(*edge)


def tensor_backward(
    self: Any,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add d self / d leaf to `.grad` of every leaf that self was computed from.

    gradient: d loss / d self where self is not a scalar. retain_graph: keep the saved values for another pass.
    create_graph: record the pass, so that gradients can be differentiated. inputs: only these gather.
    RuntimeError for a tensor without history, and for a second pass over freed values.
    """
    if gradient is None and not create_graph and inputs is None and not levels:
        edge = self._edge if self._view is None else self.edge()
        if edge is not None:
            array = self._array
            if array.__class__ is np.float32:
                Walk(bool(retain_graph), False).run(((edge, ONE),), user_place(2))
                return
            if array.size == 1 and array.dtype is FLOAT32:
                root = np.ones(array.shape, np.float32)
                Walk(bool(retain_graph), False).run(((edge, root),), user_place(2))
                return
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    grad_variables: Any = None, inputs: Any = None,
) -> None:  # fmt: skip
    """Add the gradients of `tensors`, weighted by `grad_tensors`, to `.grad` of the leaves (see `Tensor.backward`)."""
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        grad_tensors = grad_variables
    roots = _listed(tensors)
    weights = [None] * len(roots) if grad_tensors is None else _listed(grad_tensors)
    wanted = None
    if inputs is not None:
        wanted = list(inputs.values()) if isinstance(inputs, dict) else _listed(inputs)
        if not wanted:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    if create_graph:
        warnings.warn(CREATE_GRAPH, UserWarning, stacklevel=2)
    create_graph = create_graph or bool(levels)
    retain = create_graph if retain_graph is None else retain_graph
    start = _roots(roots, weights, create_graph)
    if wanted is None:
        Walk(retain, create_graph).run(start, user_place(2))
        return
    edges = []
    for tensor in wanted:
        if isinstance(tensor, Variable):
            tensor.retain_grad()  # a leaf needs it not
        edges.append(_input_edge(tensor))
    Walk(retain, create_graph, list(dict.fromkeys(edges)), gather=True).run(start, user_place(2))


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:  # fmt: skip
    """∂ (Σ outputs · grad_outputs) / ∂ inputs, without touching any `.grad`.

    allow_unused: None for inputs that took no part (else RuntimeError); materialize_grads: zeros for them.
    is_grads_batched: the first dimension of `grad_outputs` counts cotangents, and of the results gradients.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other "
            "parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    roots = _listed(outputs)
    names = list(inputs) if isinstance(inputs, dict) else None
    wanted = list(inputs.values()) if isinstance(inputs, dict) else _listed(inputs)
    weights = [None] * len(roots) if grad_outputs is None else _listed(grad_outputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        _check_batches(roots, weights)
        return _batched(
            roots, inputs, weights, bool(retain_graph), create_graph, allow_unused, materialize_grads
        )
    create_graph = create_graph or bool(levels)  # gradients have tangents, too
    retain = create_graph if retain_graph is None else retain_graph
    edges = [_input_edge(t) for t in wanted]
    walk = Walk(retain, create_graph, list(dict.fromkeys(edges)))
    walk.run(_roots(roots, weights, create_graph), user_place(2))
    found = []
    for i, (tensor, edge) in enumerate(zip(wanted, edges, strict=True)):
        value = walk.captured.get(edge)
        if value is None:
            if not allow_unused:
                raise RuntimeError(
                    f"The differentiated Tensor at index {i} appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
            found.append(_zeros(tensor, create_graph) if materialize_grads else None)
        else:
            found.append(value if create_graph else wrap(_own(value)))
    return dict(zip(names, found, strict=True)) if names is not None else tuple(found)


def _own(value: Any) -> Any:
    """A result that shares memory with nobody: gradients may be passed through unchanged."""
    return value.copy() if value.__class__ is np.ndarray else value


def _zeros(tensor: Any, requires_grad: bool) -> Any:
    if not isinstance(tensor, Variable):
        raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
    return tensor.new_zeros(tensor._array.shape)


def _batched(
    roots: list[Any],
    inputs: Any,
    weights: list[Any],
    retain: bool,
    create_graph: bool,
    allow_unused: bool,
    materialize: bool,
) -> Any:
    """One pass for each cotangent, the results stacked."""
    from clew.ops.join import stack

    size = next(w._array.shape[0] for w in weights if w is not None)
    rows = []
    for i in range(size):
        row = [None if w is None else w[i] for w in weights]
        keep = retain or create_graph or i < size - 1
        rows.append(grad(roots, inputs, row, keep, create_graph, True, allow_unused, False, materialize))
    if isinstance(inputs, dict):
        return {k: None if rows[0][k] is None else stack([r[k] for r in rows]) for k in rows[0]}
    return tuple(None if column[0] is None else stack(list(column)) for column in zip(*rows, strict=True))


def _listed(values: Any) -> list[Any]:
    return [values] if isinstance(values, (Variable, GradientEdge)) else list(values)


def _input_edge(tensor: Any) -> Edge:
    if not isinstance(tensor, (Variable, GradientEdge)):
        raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(tensor).__name__}")
    edge: Edge | None = tensor[:2] if isinstance(tensor, GradientEdge) else tensor.edge()
    if edge is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge


def _check_batches(roots: Sequence[Any], weights: Sequence[Any]) -> None:
    for i, (root, weight) in enumerate(zip(roots, weights, strict=True)):
        if weight is not None and not weight._array.ndim:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
                "0-dim tensor to a number"
            )
        if weight is not None and isinstance(root, Variable) and weight._array.shape[1:] != root._array.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. "
                "The sizes of the remaining dimensions are expected to match the shape of corresponding output, but a "
                f"mismatch was detected: grad_output[{i}] has a shape of torch.Size({list(weight._array.shape)}) and "
                f"output[{i}] has a shape of torch.Size({list(root._array.shape)}). If you only want some tensors in "
                "`grad_output` to be considered batched, consider using vmap."
            )


def _roots(roots: list[Any], weights: Sequence[Any], record: bool) -> list[tuple[Edge, Any]]:
    """The edges to start from, each with its gradient."""
    for weight in weights:
        if weight is not None and not isinstance(weight, Variable):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(weight).__name__}")
    if not all(isinstance(root, (Variable, GradientEdge)) for root in roots):
        raise AssertionError("Expected output to be a torch.Tensor")
    if len(weights) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(weights)} gradients")
    start: list[tuple[Edge, Any]] = []
    for i, (root, weight) in enumerate(zip(roots, weights, strict=True)):
        edge = root[:2] if isinstance(root, GradientEdge) else root.edge()
        g = _cotangent(root, weight, i)
        if edge is None:
            raise RuntimeError(NO_GRAPH.format(index=i))
        if g is not None:
            start.append((edge, g if record else g._array))
    return start


def _cotangent(root: Any, weight: Any, index: int) -> Any:
    """The gradient to start with: as given, or 1 for a scalar."""
    if isinstance(root, GradientEdge):
        return wrap(ONE) if weight is None else weight
    array = root._array
    if weight is None:
        if root.edge() is None:
            return None
        if array.size != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        if array.dtype.kind == "c":
            raise RuntimeError(
                f"grad can be implicitly created only for real scalar outputs but got {root.dtype}"
            )
        return wrap(np.ones(array.shape, array.dtype))
    if weight._array.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{index}] has a shape of torch.Size({list(weight._array.shape)}) and "
            f"output[{index}] has a shape of torch.Size({list(array.shape)})."
        )
    if (weight._array.dtype.kind == "c") != (array.dtype.kind == "c"):
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{index}] has a dtype of {weight.dtype} and output[{index}] has a dtype of {root.dtype}."
        )
    return weight.to(root.dtype)


__all__ = ["GradientEdge", "backward", "get_gradient_edge", "grad", "tensor_backward"]
