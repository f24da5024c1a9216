"""Whether all or some elements are not zero, and how many."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.primitive import Primitive
from clew.dtypes import bool_, uint8
from clew.ops._arguments import check_tensor, numpy_names
from clew.ops.reduce import axes, rounded

__all__ = ["all", "any", "count_nonzero"]


def _truth(name: str, reduce: Any, formula: str) -> Any:
    primitive = Primitive(
        name, lambda self, *, dim, keepdim: reduce(self, dim, keepdims=keepdim, dtype=np.bool)
    )

    @numpy_names
    def truth(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
        check_tensor(input, name)
        want = uint8 if input._array.dtype == np.uint8 else bool_
        dims = axes(dim, input._array.ndim)
        return rounded(primitive(input, dim=dims, keepdim=keepdim), want, out)

    truth.__name__ = truth.__qualname__ = name
    truth.__doc__ = f"Whether {formula} over `dim` (a number or several; all without it) is not zero."
    return truth


all = _truth("all", np.logical_and.reduce, "every element")
any = _truth("any", np.logical_or.reduce, "some element")
_count_nonzero = Primitive(
    "count_nonzero", lambda self, *, dim: np.asarray(np.count_nonzero(self, dim), np.int64)
)


@numpy_names
def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements are not zero, over `dim` (a number or several; all without it)."""
    check_tensor(input, "count_nonzero")
    return _count_nonzero(input, dim=axes(dim, input._array.ndim))
