"""Tensors by how they lie in memory: a new size for the same storage, new tensors of given strides or order."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.storage import resized
from clew.core.variable import Variable
from clew.ops._arguments import check_tensor, sizes, tensor_dtype
from clew.ops.create import as_dtype, empty, empty_strided
from clew.ops.vocabulary import sum_to

__all__ = ["empty_permuted", "resize_as_"]


# ---- another size, in place ----------------------------------------------------------------------------------------------
def resize_(self: Any, *size: Any, memory_format: Any = None) -> Any:
    """This tensor with another size, in C order from where it begins in its storage: what lies there is what it holds.

    A storage that is too small is replaced by a larger one, whose new elements are 0. RuntimeError for a tensor that
    requires a gradient.
    """
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    shape = sizes(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    array = self.memory()
    version = self.version()
    if array.shape != shape:
        self._rebind(resized(array, shape))
    version.n += 1
    return self


def resize_as_(input: Any, the_template: Any, *, memory_format: Any = None) -> Any:
    """`input.resize_(the_template.size())`."""
    shape = check_tensor(the_template, "resize_as_", "the_template", 2)._array.shape
    return resize_(check_tensor(input, "resize_as_"), shape)


# ---- new tensors ---------------------------------------------------------------------------------------------------------
def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> Any:
    """A tensor of the given size whose dimensions lie in memory in the order `physical_layout`, outermost first."""
    shape, order = sizes((size,)), sizes((physical_layout,))
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for i, d in enumerate(order):
        if not 0 <= d < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {d} at index {i}).  NB: "
                "negative dims not currently supported; file an issue if you want it."
            )
        if d in order[:i]:
            raise RuntimeError("Duplicate dim not allowed")
    made = empty([shape[d] for d in order], **options)
    made._rebind(made.memory().transpose(np.argsort(order)))
    return made


def new_empty_strided(self: Any, size: Any, stride: Any, *, dtype: Any = None, **options: Any) -> Any:
    """`empty_strided` in this tensor's type."""
    return empty_strided(size, stride, dtype=as_dtype(dtype) or tensor_dtype(self), **options)


# ---- broadcasting undone ---------------------------------------------------------------------------------------------------
def sum_to_size(input: Any, *size: Any) -> Any:
    """The adjoint of `expand`: summed over the dimensions in which `size`, expanded, would have been repeated.

    RuntimeError where `size` does not expand to the shape of `input`.
    """
    want = sizes([n.item() if isinstance(n, Variable) else n for n in size])
    have = check_tensor(input, "sum_to_size")._array.shape
    lead = len(have) - len(want)
    if lead < 0 or any(n not in (1, m) for n, m in zip(want, have[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(want)}}} is not expandable to size {{{list(have)}}}.")
    return sum_to(input, want)
