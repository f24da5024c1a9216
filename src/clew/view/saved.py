"""What can be read off a node of the engine: what it saves, where it was recorded, its local derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.node import AccumulateGrad, Edge, source_line
from clew.core.primitive import Primitive
from clew.view.labels import operand_text, saved_number


def saved_bytes(node: Any) -> int:
    """The memory of the values that a node keeps for backward."""
    saved = node.saved
    if saved.__class__ is not tuple:
        return 0
    stack, seen, total = list(saved), set(), 0
    while stack:
        value = stack.pop()
        if value.__class__ is tuple or value.__class__ is list:
            stack.extend(value)
        else:
            array = getattr(value, "_array", value)
            if isinstance(array, np.ndarray | np.generic) and id(array) not in seen:
                seen.add(id(array))
                total += array.nbytes
    return total


def local_slopes(node: Any) -> dict[int, float]:
    """∂output/∂input of an operation on scalars, where what its formulas need is still saved."""
    if not isinstance(node.primitive, Primitive) or node.outputs > 1 or node.saved.__class__ is not tuple:
        return {}
    wanted = [edge is not None for edge in node.edges]
    if node.metas is not None and any(meta is not None and meta[0] != () for meta in node.metas):
        return {}
    try:
        with np.errstate(all="ignore"):
            gradients = node.pull(raw, np.float64(1), wanted, False)
    except Exception:
        return {}
    found = {}
    for index, gradient in enumerate(gradients):
        if gradient is not None and wanted[index] and np.size(gradient) == 1:
            slope = np.asarray(gradient).reshape(())[()].item()
            if isinstance(slope, float | int):
                found[index] = float(slope)
    return found


def line_of(node: Any) -> tuple[str, int]:
    """The user's file and line of a node."""
    found = source_line(node.place)
    return ("", 0) if found is None else found


def _needed(node: Any) -> list[tuple[str, Any]]:
    """What a node still saves: by the name in its formulas."""
    if node.saved.__class__ is not tuple or not isinstance(node.primitive, Primitive):
        return []
    groups = (node.saved,) if node.primitive.joint else node.saved
    return [
        (name, value)
        for names, values in zip(node.primitive.needs, groups, strict=False)
        for name, value in zip(names, values or (), strict=False)
        if isinstance(value, np.ndarray | np.generic)
    ]


def saved_arrays(node: Any) -> list[tuple[Edge, Any]]:
    found = []
    for name, value in _needed(node):
        primitive = node.primitive
        if name in primitive.inputs and not primitive.variadic:
            edge = node.edges[primitive.inputs.index(name)]
            if edge is not None and not isinstance(edge[0], AccumulateGrad):
                found.append((edge, value))
        elif name in primitive.outputs:
            found.append(((node, primitive.outputs.index(name)), value))
    return found


def saved_constants(node: Any) -> list[tuple[int, Any]]:
    primitive = node.primitive
    found = {}
    for name, value in _needed(node):
        if name in primitive.inputs and not primitive.variadic:
            slot = primitive.inputs.index(name)
            if slot < len(node.edges) and node.edges[slot] is None:
                found[slot] = value
    return list(found.items())


def computed_again(node: Any, arrays: Mapping[Edge, Any]) -> Any:
    """The result of an operation on scalars whose inputs are known and were never written since. None if it can't be told."""
    primitive = node.primitive
    if not isinstance(primitive, Primitive) or not primitive.plain or primitive.params or primitive.variadic:
        return None
    inputs: list[Any] = []
    for edge in node.edges:
        if edge is None:
            number = saved_number(node)
            number = operand_text(node, primitive.name) if number is None else number
            if not isinstance(number, int | float):
                return None
            inputs.append(number)
        elif isinstance(edge[0], AccumulateGrad):
            if edge[0].counter.n:
                return None
            inputs.append(edge[0].array)
        else:
            inputs.append(arrays.get(edge))
    if any(value is None or np.size(value) != 1 for value in inputs):
        return None
    try:
        with np.errstate(all="ignore"):
            return primitive.on_arrays(*inputs)
    except Exception:
        return None
