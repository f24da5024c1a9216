"""The numbers that a program's variables hold, as a person would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from clew.nn.module import Module
from clew.tensor import Tensor
from clew.view.data import short, stats_of

__all__ = ["Number", "numbers_in", "text_of"]

DIGITS = 5  # as the labs print: 4.1943
WRITTEN = 12  # elements of an array that are written out


class Number(NamedTuple):
    """What a variable holds, and, of a tensor, what autograd makes of it."""

    text: str
    words: str = ""
    single: bool = False  # one number, which may stand in a formula

    def same(self, other: Number | None) -> bool:
        """Whether nothing is new."""
        return other is not None and (self.text, self.words) == (other.text, other.words)


def numbers_in(space: Mapping[str, Any]) -> dict[str, Number]:
    """The numbers and tensors of a namespace, each leaf followed by its `.grad`; a module's parameters by name."""
    found: dict[str, Number] = {}
    for name, value in space.items():
        if name.startswith("_"):
            continue
        if isinstance(value, Module):
            for path, parameter in value.named_parameters():
                _add_tensor(found, f"{name}.{path}", parameter)
        elif isinstance(value, Tensor):
            _add_tensor(found, name, value)
        elif isinstance(value, bool | int | float):
            found[name] = Number(short(value, DIGITS), single=True)
    return found


def _add_tensor(found: dict[str, Number], name: str, tensor: Any) -> None:
    leaf = tensor.is_leaf and tensor.requires_grad
    words = "a leaf that wants a gradient" if leaf else "recorded" if tensor.requires_grad else ""
    found[name] = Number(text_of(tensor._array), words, tensor._array.size == 1)
    if leaf:
        grad = tensor.grad
        found[f"{name}.grad"] = (
            Number("None") if grad is None else Number(text_of(grad._array), single=grad._array.size == 1)
        )


def text_of(array: Any) -> str:
    """`2`, `[1, 2, 3, 4]`; a summary of what is longer."""
    values = np.asarray(array)
    if values.dtype.kind not in "fiub" or values.size > WRITTEN:
        return stats_of(values).text
    if values.size == 1:
        return short(values.reshape(-1)[0].item(), DIGITS)
    if values.ndim > 1 and values.size > 1 and 1 in values.shape:  # a column or a row: its numbers are enough
        values = values.reshape(-1)
    if values.ndim == 1:
        return "[" + ", ".join(short(value, DIGITS) for value in values.tolist()) + "]"
    return "[" + ", ".join(text_of(row) for row in values) + "]"
