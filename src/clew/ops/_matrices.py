"""What all of linear algebra shares: checks of matrices, their adjoints and diagonals, PyTorch's errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor
from clew.ops.linalg import turned
from clew.ops.reduce import store_pair


class LinAlgError(RuntimeError):
    """A matrix that is singular, not positive-definite, or for which an iteration did not converge."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"


def checked(name: str, a: Any, *, square: bool = True, position: str = "A") -> ndarray:
    """The array of a (batch of square) floating or complex matrices; PyTorch's RuntimeErrors otherwise."""
    array: ndarray = check_tensor(a, name)._array
    if array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {position} must have at least 2 dimensions.")
    if square and array.shape[-1] != array.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {array.shape[-2]} by {array.shape[-1]} matrices"
        )
    if array.dtype.kind not in "fc" or array.dtype.itemsize == 2:
        kind = legacy_name(array.dtype)
        if array.dtype.kind in "fV":
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {kind}")
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {kind}")
    return array


def adjoint_of(xp: Any, x: Any) -> Any:
    return xp.conj(turned(x))


def diagonal_of(xp: Any, x: Any) -> Any:
    """The matrices' diagonals, kept in place: everything else zero."""
    n = x.shape[-1]
    return x * xp.constant(np.eye(n, dtype=real_type(x)))


def real_type(x: Any) -> Any:
    """The real NumPy type with the precision of an array or tensor."""
    dtype = getattr(x, "_array", x).dtype
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def column(xp: Any, g: Any) -> Any:
    return xp.expand_dims(xp.expand_dims(g, -1), -1)


def as_diagonal(xp: Any, v: Any) -> Any:
    """Vectors as diagonal matrices."""
    return xp.expand_dims(v, -1) * xp.constant(np.eye(v.shape[-1], dtype=real_type(v)))


def failing(arrays: ndarray, fails: Any) -> str:
    """`(Batch element i): ` of the first matrix of a batch for which a test fails; nothing without a batch."""
    if arrays.ndim == 2:
        return ""
    flat = each(arrays)
    return f"(Batch element {next(i for i, m in enumerate(flat) if fails(m))}): "


def singular(m: ndarray) -> int:
    """The first zero on the diagonal of U in a matrix' LU factorization, counted from 1; 0 if there is none."""
    return m.size and max(int(lapack("getrf", m.dtype)(m)[2]), 0)


def minor(m: ndarray) -> int:
    """The order of the first leading minor that is not positive-definite; 0 if there is none."""
    return m.size and max(int(lapack("potrf", m.dtype)(m, lower=True)[1]), 0)


def infos(arrays: ndarray, test: Callable[[ndarray], int]) -> Any:
    """What a test says of each matrix, as a tensor of codes: 0 for one that passes."""
    codes = [test(m) for m in each(arrays)]
    return wrap(np.array(codes, np.int32).reshape(arrays.shape[:-2]))


def first(arrays: ndarray, test: Any) -> int:
    return next(k for m in each(arrays) if (k := test(m)))


def named(kind: Callable[[Iterable[Any]], Any], results: Iterable[Any], out: Any) -> Any:
    """Several results under their names, written into the tensors given as `out=`."""
    return store_pair(kind(results), out)


def over_batch(function: Callable[..., tuple[Any, ...]], *arrays: ndarray) -> list[ndarray]:
    """LAPACK's routines take one matrix at a time: the results of `function` for each of a batch, put together again."""
    batch = arrays[0].shape[:-2]
    count = math.prod(batch)
    flat = [each(a) for a in arrays]
    if not count:  # one matrix of zeros tells the shapes and types of the results
        flat = [np.zeros((1, *a.shape[1:]), a.dtype) for a in flat]
    found = [[np.asarray(r) for r in function(*matrices)] for matrices in zip(*flat, strict=True)]
    if count == 1:
        return [np.ascontiguousarray(r).reshape((*batch, *r.shape)) for r in found[0]]
    return [np.stack(same)[:count].reshape((*batch, *same[0].shape)) for same in zip(*found, strict=True)]


def each(arrays: ndarray) -> ndarray:
    """The matrices of a batch, one after the other."""
    return arrays.reshape((math.prod(arrays.shape[:-2]), *arrays.shape[-2:]))


@lru_cache(maxsize=64)
def lapack(name: str, dtype: np.dtype[Any]) -> Any:
    """LAPACK's routine for a type."""
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs((name,), dtype=dtype)[0]


__all__ = [
    "LinAlgError", "adjoint_of", "as_diagonal", "checked", "column", "diagonal_of", "failing", "first", "infos", "lapack", "minor", "named",
    "over_batch", "real_type", "singular",
]  # fmt: skip
