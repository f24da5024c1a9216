"""Tensor: a variable with the operators. Methods are the functions of `clew.ops`, by class-body alias."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core import modes
from clew.core.inplace import in_place, in_place_binary
from clew.core.variable import Variable, classes
from clew.dtypes import dtype, from_numpy
from clew.ops import create, elementwise


class Tensor(Variable):
    """An n-dimensional array whose history autograd can follow."""

    __slots__ = ()
    __hash__ = object.__hash__
    __array_priority__ = 1000

    # ---- what it is (tensor.py) -----------------------------------------------------------------------------------
    @property
    def dtype(self) -> dtype:
        """The element type."""
        return from_numpy(self._array.dtype)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def item(self) -> Any:
        """The only element as a Python number; RuntimeError where there are several."""
        array = self._array
        if array.__class__ is np.float32:
            return float(array)
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        return array.item()

    # ---- autograd (clew.autograd) -----------------------------------------------------------------------------------

    # ---- elementwise (ops/elementwise.py) ---------------------------------------------------------------------------
    add = elementwise.add
    sub = elementwise.sub
    mul = elementwise.mul
    div = elementwise.div
    exp = elementwise.exp
    neg = elementwise.neg
    pow = elementwise.pow
    sub_ = in_place_binary(elementwise.sub, lambda a, b: a - b, np.subtract)
    exp_ = in_place(elementwise.exp)
    __add__ = elementwise.add
    __sub__ = elementwise.sub
    __mul__ = elementwise.mul
    __rmul__ = elementwise.mul
    __pow__ = elementwise.pow
    __isub__ = sub_

    # ---- activations (ops/activation.py) ----------------------------------------------------------------------------

    # ---- reductions (ops/reduce.py) ----------------------------------------------------------------------------------

    # ---- sorting and searching (ops/order.py) -------------------------------------------------------------------------

    # ---- shapes and views (ops/shape.py) -------------------------------------------------------------------------------

    # ---- indexing (ops/index.py) -----------------------------------------------------------------------------------------

    # ---- linear algebra (ops/linalg.py) ------------------------------------------------------------------------------------

    # ---- creation, types, conversion (ops/create.py, ops/convert.py) -----------------------------------------------------------

    # ---- random numbers (ops/sampling.py) --------------------------------------------------------------------------------------


classes.tensor = Tensor


class Parameter(Tensor):
    """A tensor that a module registers as one of its parameters. (The rest of it lives in clew.nn.parameter.)"""

    __slots__ = ()


__all__ = ["Parameter", "Tensor", "create", "modes"]
