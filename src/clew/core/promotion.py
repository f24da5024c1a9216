"""Which type a result has, and operands in that type.

PyTorch's rule (https://pytorch.org/docs/stable/tensor_attributes.html): among tensors with dimensions, 0-d tensors and
Python numbers the first group decides, unless a later group holds a higher category (bool < integer < floating <
complex); then that category's type is taken, for a Python number the default type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable
from clew.dtypes import bool_, defaults, dtype, float32, from_numpy, promote_types, scalar_dtype


def result_dtype(*operands: Any) -> dtype:
    """The type of a result computed from tensors and Python numbers."""
    dims: dtype | None = None
    zero: dtype | None = None
    number: dtype | None = None
    for operand in operands:
        if isinstance(operand, Variable):
            d = from_numpy(operand._array.dtype)
            if operand._array.ndim:
                dims = d if dims is None else promote_types(dims, d)
            else:
                zero = d if zero is None else promote_types(zero, d)
        elif operand is not None:
            d = scalar_dtype(operand)
            number = d if number is None else promote_types(number, d)
    return _combine(_combine(dims, zero), number)


def _combine(high: dtype | None, low: dtype | None) -> dtype:
    if high is None:
        return bool_ if low is None else low
    if low is None or low.category <= high.category:
        return high
    if low.category == 3 and high.category == 2:  # a complex number keeps the tensor's precision
        return high.to_complex() if high.itemsize >= 4 else promote_types(high, low)
    return low


def to_float(d: dtype) -> dtype:
    """The type in which functions such as `exp` answer for an input type."""
    return d if d.category >= 2 else defaults.dtype


def compute_dtype(d: dtype) -> np.dtype[Any]:
    """The NumPy type to compute in: 16-bit floats are computed in float32, as PyTorch's CPU kernels do."""
    return float32.np if d.category == 2 and d.itemsize == 2 else d.np
