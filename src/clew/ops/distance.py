"""Norms of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import to_float
from clew.core.variable import FLOAT32, FLOAT64, Variable
from clew.dtypes import from_numpy, legacy_name
from clew.ops._arguments import check_tensor, numpy_names, wrap_dim
from clew.ops._builders import single
from clew.ops.reduce import axes, restore, rounded, working

__all__ = ["dist", "norm", "renorm"]

_IN_LANES = 256  # numbers; below it the order hardly shows, and a dot product is faster
_add: Any = np.add.reduce
_largest: Any = np.maximum.reduce
_smallest: Any = np.minimum.reduce


def sgn(xp: Any, x: Any) -> Any:
    """x / |x|, and 0 at 0: the sign, for complex numbers too."""
    if "complex" in str(x.dtype):
        size = xp.abs(x)
        return x / xp.where(size == 0, 1.0, size)
    return xp.sign(x)


def euclidean(array: Any) -> Any:
    """√∑x² of real numbers. Large arrays are summed in PyTorch's order, in as many sums as fill 32 bytes, which then are
    added up: over a million float32 numbers the order decides from the sixth digit on, and clipped gradients show it."""
    if type(array) is not np.ndarray or array.size < _IN_LANES or array.dtype.kind != "f":
        flat = np.ravel(array)
        return np.sqrt(flat.dot(flat))
    squares = np.square(array).ravel(order="K")  # in the order of memory
    lanes = 32 // squares.itemsize
    whole = squares.size // lanes * lanes
    sums = np.einsum("ij->j", squares[:whole].reshape(-1, lanes))
    return np.sqrt(np.add.accumulate(np.concatenate([sums, squares[whole:]]))[-1])


def _norm_forward(self: Any, *, ord: float, dim: Any, keepdim: bool) -> Any:
    if ord == 2:
        if dim is None and not keepdim and self.dtype.kind == "f":
            return euclidean(self)
        squares = self.real**2 + self.imag**2 if self.dtype.kind == "c" else self * self
        return np.sqrt(_add(squares, dim, keepdims=keepdim))
    size = abs(self)
    if ord == 1:
        return _add(size, dim, keepdims=keepdim)
    if ord == 0:
        return _add(size != 0, dim, keepdims=keepdim, dtype=size.dtype)
    if math.isinf(ord):
        return (_largest if ord > 0 else _smallest)(size, dim, keepdims=keepdim)
    with np.errstate(divide="ignore"):
        return _add(size**ord, dim, keepdims=keepdim) ** (1.0 / ord)


def _norm_slope(xp: Any, g: Any, self: Any, result: Any, ord: Any, dim: Any, keepdim: Any) -> Any:
    """∂‖x‖/∂x = sgn(x) (|x| / ‖x‖)^(ord−1); 0 where the norm is 0; of several largest each gets its share."""
    if ord == 0:
        return None
    shape = tuple(self.shape)
    g, result = restore(g, shape, dim, keepdim), restore(result, shape, dim, keepdim)
    if ord == 1:
        return sgn(xp, self) * g
    flat = result == 0
    safe = xp.where(flat, 1.0, result)
    if ord == 2:
        return xp.where(flat, 0.0, g / safe) * self
    size = xp.abs(self)
    if math.isinf(ord):
        hit = xp.logical_or(size == result, xp.logical_and(xp.isnan(size), xp.isnan(result))) * xp.ones_like(
            size
        )
        return sgn(xp, self) * (hit * (g / xp.sum(hit, axis=dim, keepdims=True)))
    if ord < 2:
        zero = self == 0
        scaled = sgn(xp, self) * xp.where(zero, 0.0, xp.where(zero, 1.0, size) ** (ord - 1))
    else:
        scaled = self * (size if ord == 3 else size ** (ord - 2))
    return scaled * xp.where(flat, 0.0, g * safe ** (1 - ord))


_vector_norm = Primitive(
    "linalg_vector_norm",
    _norm_forward,
    {"self": _norm_slope},
    outputs=("result",),
    holomorphic=False,
    explain="a norm: the gradient points along x / ‖x‖",
)


def vector_norm(
    x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    """‖x‖ = (∑ |x|^ord)^(1/ord) over `dim` (all without it); ord ±inf: the largest or smallest |x|; 0: how
    many nonzero."""
    name = "linalg.vector_norm"
    have = from_numpy(check_tensor(x, "linalg_vector_norm")._array.dtype)
    if have.category < 2:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {legacy_name(have)}"
        )
    x, want = working(x, name, dtype)
    dims = None if dim is None or dim == () or dim == [] else axes(dim, x._array.ndim)
    if (ord < 0 or ord == math.inf) and 0 in x._array.shape:
        shape = x._array.shape
        reduced = shape if dims is None else [shape[d] for d in dims]
        which = "inf" if ord == math.inf else "-inf" if ord == -math.inf else f"{ord}"
        if 0 in reduced:
            if dims is None:
                raise RuntimeError(
                    f"{name} cannot compute the {which} norm on an empty tensor because the operation "
                    "does not have an identity"
                )
            raise IndexError(
                f"{name} cannot compute the {which} norm on the dimension {dims[0]} because this dimension "
                "is empty and the operation does not have an identity"
            )
    return rounded(_vector_norm(x, ord=ord, dim=dims, keepdim=keepdim), want.to_real(), out)


@numpy_names
def norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None
) -> Any:
    """‖x‖ₚ over `dim` (a number or several; all without it). p: a number, "fro" (2), "nuc" (∑ of singular
    values)."""
    if p is None or p == "fro":
        p = 2
    if (
        dim is None
        and dtype is None
        and out is None
        and not keepdim
        and isinstance(input, Variable)
        and p == 2
    ):
        a = input._array
        if a.dtype is FLOAT32 or a.dtype is FLOAT64:
            value = _norm_forward(np.asarray(a), ord=p, dim=None, keepdim=False)
            return single(_vector_norm, input, value, (a, value, p, None, False), "both")
    if isinstance(p, str):
        from clew.ops.measure import matrix_norm

        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
    return vector_norm(input, p, dim, keepdim, dtype=dtype, out=out)


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """‖x − y‖ₚ of two tensors that broadcast."""
    check_tensor(input, "dist")
    check_tensor(other, "dist", "other", 2)
    difference = input - other
    if from_numpy(difference._array.dtype).category < 2:
        difference = difference.to(to_float(from_numpy(difference._array.dtype)))
    return vector_norm(difference, p)


def renorm(input: Any, p: float, dim: int, maxnorm: float, *, out: Any = None) -> Any:
    """Each slice along `dim` whose p-norm exceeds `maxnorm` scaled down to it."""
    from clew.ops import elementwise

    ndim = check_tensor(input, "renorm")._array.ndim
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    dim = wrap_dim(dim, ndim)
    size = vector_norm(input, p, tuple(d for d in range(ndim) if d != dim), True)
    result = input * elementwise.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)
    return result if out is None else store_out(out, result)
