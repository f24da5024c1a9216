"""What `repr` of a tensor says beside its values."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.dtypes import defaults, from_numpy
from clew.printing import format_tensor


def tensor_text(tensor: Any) -> str:
    """`tensor([1., 2.], grad_fn=<MulBackward0>)`."""
    array = np.asarray(tensor._array)
    suffixes = []
    node = tensor.grad_fn
    if node is not None:
        suffixes.append(f"grad_fn=<{node.name().rpartition('::')[2]}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    name = from_numpy(array.dtype).name
    return format_tensor(array, dtype_name=name, default_dtype=defaults.dtype.name, suffixes=suffixes)
