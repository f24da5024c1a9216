"""Matrix products: `@` and everything that is one.

A product of matrices C = A·B has the gradients ∂A = G·Bᵀ and ∂B = Aᵀ·G; every formula here is an instance of these
two. Products of two matrices, and `linear`, which every layer of every net runs, have a short way from the call to the
recorded node. (`ndarray.dot` does for two small matrices what `@` does, in a third of the time.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import raw
from clew.core.inplace import store_out
from clew.core.modes import altered, switches
from clew.core.primitive import Primitive, watch
from clew.core.variable import FLOAT32, FLOAT64, Variable, wrap
from clew.dtypes import from_numpy, legacy_name, tensor_type_name
from clew.kernels import matrices
from clew.ops import arithmetic
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor
from clew.ops._autocast import lowered
from clew.ops._builders import broadcast_error, edge_of, recording, several

__all__ = [
    "bmm", "dot", "ger", "inner", "matmul", "mm", "mv", "outer", "vdot",
]  # fmt: skip

_C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "int64": "long int",
    "int32": "int", "int16": "short int", "int8": "signed char", "uint8": "unsigned char", "bool": "bool",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


# ---- products of raw arrays --------------------------------------------------------------------------------------------
def narrow(array: Any) -> bool:
    """Whether an array holds 16-bit floats, which are computed in float32."""
    dtype = array.dtype
    return bool(dtype.itemsize == 2 and dtype.kind in "fV")


def widely(function: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that computes 16-bit floats in float32 and rounds the result."""

    def forward(*arrays: Any, **params: Any) -> Any:
        first = next(a for a in arrays if a is not None)
        if not narrow(first):
            return function(*arrays, **params)
        wide = [a if a is None else a.astype(np.float32) for a in arrays]
        return function(*wide, **params).astype(first.dtype)

    forward.__wrapped__ = function  # type: ignore[attr-defined]
    return forward


def _dot_arrays(a: ndarray, b: ndarray) -> Any:
    """a·b of vectors and matrices."""
    if a.dtype.itemsize > 2 or not narrow(a):
        return matrices.dot(a, b)
    return np.asarray(a.astype(np.float32).dot(b.astype(np.float32))).astype(a.dtype)


_bmm_arrays = widely(matrices.matmul)


def _times(xp: Any, a: Any, b: Any) -> Any:
    """A·B of two matrices, in formulas."""
    if xp is not raw:
        return mm(a, b)
    return matrices.dot(a, b) if a.dtype.itemsize > 2 else _dot_arrays(a, b)


def _batch_times(xp: Any, a: Any, b: Any) -> Any:
    """A·B of batches of matrices, in formulas."""
    return _bmm_arrays(a, b) if xp is raw else _bmm(a, b)


def turned(x: Any) -> Any:
    """The transposes of a batch of matrices (array or tensor)."""
    return x.swapaxes(-1, -2)


def _rows(x: Any) -> Any:
    """A batch of matrices (array or tensor) as one matrix of all their rows; a vector as a matrix of one row."""
    shape = x.shape
    return x if len(shape) == 2 else x.reshape((math.prod(shape[:-1]), shape[-1]))


# ---- primitives ------------------------------------------------------------------------------------------------------
_mm = Primitive(
    "mm",
    _dot_arrays,
    {
        "self": lambda xp, g, mat2: _times(xp, g, mat2.T),
        "mat2": lambda xp, g, self: _times(xp, self.T, g),
    },
    args=("self", "mat2"),
    explain="C = A·B; ∂A = G·Bᵀ, ∂B = Aᵀ·G",
)
_bmm = Primitive(
    "bmm",
    _bmm_arrays,
    {
        "self": lambda xp, g, mat2: _batch_times(xp, g, turned(mat2)),
        "mat2": lambda xp, g, self: _batch_times(xp, turned(self), g),
    },
    args=("self", "mat2"),
    explain="C = A·B for every pair of a batch",
)
_mv: Primitive = Primitive(
    "mv",
    _dot_arrays,
    {
        "self": lambda xp, g, vec: xp.expand_dims(g, 1) * vec,
        "vec": lambda xp, g, self: xp.call(_mv, self.T, g),
    },
    args=("self", "vec"),
    explain="y = A·x; ∂A = g·xᵀ, ∂x = Aᵀ·g",
)
_dot = Primitive(
    "dot",
    _dot_arrays,
    {"self": lambda xp, g, tensor: g * tensor, "tensor": lambda xp, g, self: g * self},
    args=("self", "tensor"),
    explain="∑ aᵢ·bᵢ",
)
_vdot = Primitive(
    "vdot",
    widely(np.vdot),
    {"self": lambda xp, g, other: xp.conj(g) * other, "other": lambda xp, g, self: g * self},
    args=("self", "other"),
    holomorphic=False,
    explain="∑ conj(aᵢ)·bᵢ",
)


def _product_arrays(self: ndarray, other: ndarray) -> Any:
    """A·B where one has a batch: one product of two matrices if B is one, else a product for each of the batch."""
    if other.ndim > 2:
        return matrices.matmul(self, other)
    return matrices.dot(_rows(self), other).reshape(self.shape[:-1] + other.shape[1:])


def _product_self(xp: Any, g: Any, self_shape: tuple[int, ...], other: Any) -> Any:
    rank = len(other.shape)
    if rank == 1:
        return xp.expand_dims(g, -1) * other
    if rank == 2:
        return _times(xp, _rows(g), other.T).reshape(self_shape)
    if len(self_shape) == 1:
        return _batch_times(xp, xp.expand_dims(g, -2), turned(other)).squeeze(-2)
    return _batch_times(xp, g, turned(other))


def _product_other(xp: Any, g: Any, self: Any, other_shape: tuple[int, ...]) -> Any:
    rank = len(other_shape)
    if rank == 1:
        return xp.call(_mv, _rows(self).T, g.reshape((math.prod(g.shape),)))
    if rank == 2:
        return _times(xp, _rows(self).T, _rows(g))
    if len(self.shape) == 1:
        return xp.expand_dims(self, -1) * xp.expand_dims(g, -2)
    return _batch_times(xp, turned(self), g)


def _product(node: str) -> Primitive:
    return Primitive(
        "matmul",
        widely(_product_arrays),
        {"self": _product_self, "other": _product_other},
        args=("self", "other"),
        node=node,
        explain="C = A·B, broadcast over the batch dimensions",
    )


# PyTorch makes these of views and `mm` or `bmm`; the last of those gives the result its node's name.
_matmul = _product("UnsafeViewBackward0")
_matmul_turned = _product("CloneBackward0")
_vecmat = _product("SqueezeBackward4")


def _affine_array(self: Any, mat1: ndarray, weight: ndarray) -> Any:
    """x·Wᵀ + b for vectors x in the last dimension; b may be None."""
    made = matrices.dot(_rows(mat1), weight.T)
    if self is not None:
        made += self
    return made if mat1.ndim == 2 else made.reshape((*mat1.shape[:-1], weight.shape[0]))


def _affine_bias(xp: Any, g: Any, self_shape: tuple[int, ...]) -> Any:
    if len(self_shape) != 1:
        return g  # the engine sums
    rows = _rows(g)
    return matrices.sum_rows(rows) if xp is raw else xp.sum(rows, 0)


def _affine(node: str, matrix: bool = False) -> Primitive:
    """matrix: for inputs of two dimensions, whose gradients are plain products."""
    if matrix:
        of_input: Any = lambda xp, g, weight: _times(xp, g, weight)  # noqa: E731
        of_weight: Any = lambda xp, g, mat1: _times(xp, g.T, mat1)  # noqa: E731
    else:
        of_input = lambda xp, g, mat1_shape, weight: _times(xp, _rows(g), weight).reshape(mat1_shape)  # noqa: E731
        of_weight = lambda xp, g, mat1: _times(xp, _rows(g).T, _rows(mat1))  # noqa: E731
    return Primitive(
        "linear",
        widely(_affine_array),
        {"self": _affine_bias, "mat1": of_input, "weight": of_weight},
        args=("self", "mat1", "weight"),
        node=node,
        explain="y = x·Wᵀ + b; ∂x = G·W, ∂W = Gᵀ·x, ∂b = the sum of G's rows",
    )


# By (has a bias, is two-dimensional): PyTorch makes the rest of views around these.
_linear = {
    (True, True): _affine("AddmmBackward0", matrix=True),
    (False, True): _affine("MmBackward0", matrix=True),
    (True, False): _affine("ViewBackward0"),
    (False, False): _affine("UnsafeViewBackward0"),
}
_linear_vector = _affine("SqueezeBackward4")


# ---- the short way -----------------------------------------------------------------------------------------------------
def _recorded(primitive: Primitive, value: Any, inputs: tuple[Any, ...], arrays: tuple[Any, ...]) -> Any:
    """Wrap a product of two float32 or float64 matrices, and record it. Called straight from the public function."""
    edges = edge_of(inputs[0]), edge_of(inputs[1])
    if not recording(edges):
        return wrap(value)
    first, second = edges
    a, b = arrays
    saved = (None if first is None else (b,), None if second is None else (a,))
    versions = (() if second is None else (watch(inputs[0]),)) + (
        () if first is None else (watch(inputs[1]),)
    )
    return several(primitive, value, inputs, edges, saved, versions, 3)


def _c_name(array: Any) -> str:
    """The C++ name of an array's type, as PyTorch's sentences have it."""
    return _C_NAMES[from_numpy(array.dtype).name]


def _cannot(a: tuple[int, ...], b: tuple[int, ...]) -> RuntimeError:
    return RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({a[0]}x{a[1]} and {b[0]}x{b[1]})")


def _check_mm(a: ndarray, b: ndarray) -> None:
    """RuntimeError unless two matrices can be multiplied."""
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {_c_name(a)} != {_c_name(b)}"
        )
    if a.shape[1] != b.shape[0]:
        raise _cannot(a.shape, b.shape)
    if a.dtype.kind == "b":
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _check_mv(a: ndarray, v: ndarray) -> None:
    """RuntimeError unless a matrix and a vector can be multiplied."""
    if a.shape[1] != v.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), vec ({v.shape[0]})"
        )
    if a.dtype != v.dtype:
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{legacy_name(v.dtype)}, {legacy_name(a.dtype)}, and {legacy_name(v.dtype)}"
        )
    if a.dtype.kind == "b":
        raise NotImplementedError("\"addmv_impl_cpu\" not implemented for 'Bool'")


def _check_dot(a: ndarray, b: ndarray) -> None:
    """RuntimeError unless two vectors can be multiplied."""
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {legacy_name(a.dtype)} and {legacy_name(b.dtype)}"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a.shape[0]}] and src [{b.shape[0]}] to have the same number of "
            f"elements, but got {a.shape[0]} and {b.shape[0]} elements respectively"
        )
    if a.dtype.kind == "b":
        raise NotImplementedError("\"dot\" not implemented for 'Bool'")


def _check_bmm(a: tuple[int, ...], b: tuple[int, ...], x: ndarray, y: ndarray) -> None:
    """RuntimeError unless batches of matrices of these shapes can be multiplied."""
    batch = math.prod(a[:-2])
    if a[-1] != b[-2] or math.prod(b[:-2]) != batch:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, {a[-1]}] but got: "
            f"[{math.prod(b[:-2])}, {b[-2]}]."
        )
    if x.dtype != y.dtype:
        raise RuntimeError(f"expected scalar type {legacy_name(x.dtype)} but found {legacy_name(y.dtype)}")
    if x.dtype.kind == "b":
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")


def _both(name: str, input: Any, other: Any, second: str) -> tuple[Any, Any]:
    """The arrays of two arguments that must be tensors."""
    check_tensor(input, name)
    check_tensor(other, name, second, 2)
    return input._array, other._array


# ---- products of two -----------------------------------------------------------------------------------------------------
def mm(input: Any, mat2: Any, *, out: Any = None) -> Any:
    """A·B of two matrices, (n × m)·(m × p) → (n × p). RuntimeError for other shapes."""
    if altered and switches.autocast:
        input, mat2 = lowered(input, mat2)
    a, b = _both("mm", input, mat2, "mat2")
    for matrix, name in ((a, "self"), (b, "mat2")):
        if matrix.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix")
    _check_mm(a, b)
    result = _mm(input, mat2)
    return result if out is None else store_out(out, result)


def bmm(input: Any, mat2: Any, *, out_dtype: Any = None, out: Any = None) -> Any:
    """Aᵢ·Bᵢ for every i, (b × n × m)·(b × m × p) → (b × n × p). RuntimeError for other shapes."""
    if altered and switches.autocast:
        input, mat2 = lowered(input, mat2)
    a, b = _both("bmm", input, mat2, "mat2")
    for batch, name in ((a, "batch1"), (b, "batch2")):
        if batch.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    _check_bmm(a.shape, b.shape, a, b)
    result = _bmm(input, mat2)
    return result if out is None else store_out(out, result)


def mv(input: Any, vec: Any, *, out: Any = None) -> Any:
    """A·x, (n × m)·(m) → (n). RuntimeError for other shapes."""
    a, v = _both("mv", input, vec, "vec")
    if a.ndim != 2 or v.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {a.ndim}, {v.ndim}")
    _check_mv(a, v)
    result = _mv(input, vec)
    return result if out is None else store_out(out, result)


def dot(input: Any, tensor: Any, *, out: Any = None) -> Any:
    """∑ aᵢ·bᵢ of two vectors (without conjugation: see `vdot`). RuntimeError for other shapes."""
    _check_dot(*_both("dot", input, tensor, "tensor"))
    result = _dot(input, tensor)
    return result if out is None else store_out(out, result)


def vdot(input: Any, other: Any, *, out: Any = None) -> Any:
    """∑ conj(aᵢ)·bᵢ of two vectors."""
    a, b = _both("vdot", input, other, "other")
    _check_dot(a, b)
    result = _vdot(input, other)
    return result if out is None else store_out(out, result)


def outer(input: Any, vec2: Any, *, out: Any = None) -> Any:
    """aᵢ·bⱼ of two vectors: (n × m). RuntimeError for other shapes."""
    a, b = _both("outer", input, vec2, "vec2")
    for array, name in ((a, "self"), (b, "vec2")):
        if array.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {array.ndim}-D")
    result = arithmetic.mul(shapes.reshape(input, a.shape[0], 1), vec2)
    return result if out is None else store_out(out, result)


def ger(input: Any, vec2: Any, *, out: Any = None) -> Any:
    """Alias of `outer`."""
    return outer(input, vec2, out=out)


def _making_matmul(foreign: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """`matmul`, with what happens to operands that are no tensors."""

    def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
        if altered and switches.autocast:
            input, other = lowered(input, other)
        try:
            a, b = input._array, other._array
            ra, rb = a.ndim, b.ndim
        except AttributeError:
            return foreign(input, other)
        dtype = a.dtype
        if ra == 2 and rb == 2 and out is None:
            if (dtype is not FLOAT32 and dtype is not FLOAT64) or b.dtype is not dtype:
                _check_mm(a, b)
                return _mm(input, other)
            try:
                value = matrices.dot(a, b)
            except ValueError:
                raise _cannot(a.shape, b.shape) from None
            return _recorded(_mm, value, (input, other), (a, b))
        result = _matmul_ranks(input, other, a, b, ra, rb)
        return result if out is None else store_out(out, result)

    matmul.__doc__ = """A·B. Vectors: their dot product; matrices: their product; more dimensions: a batch, broadcast.

    A vector on the left counts as a row and on the right as a column, which the result then lacks. RuntimeError where
    the inner sizes differ, the batches do not broadcast, or the types differ.
    """
    return matmul


def _matmul_ranks(input: Any, other: Any, a: ndarray, b: ndarray, ra: int, rb: int) -> Any:
    """The product by numbers of dimensions."""
    if not ra or not rb:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {ra}D and {rb}D")
    if ra == 1 and rb == 1:
        _check_dot(a, b)
        return _dot(input, other)
    if ra == 2 and rb <= 2:
        if rb == 1:
            _check_mv(a, b)
            return _mv(input, other)
        _check_mm(a, b)
        return _mm(input, other)
    if rb <= 2:  # one matrix for the whole batch, or a vector from the left
        rows = (math.prod(a.shape[:-1]), a.shape[-1])
        if rb == 2:
            _check_mm(a.reshape(rows) if ra > 1 else a[None], b)
        else:
            _check_mv(a.reshape(rows), b)
        return (_vecmat if ra == 1 else _matmul)(input, other)
    x, y = (1, *a.shape) if ra == 1 else a.shape, b.shape
    try:
        batch = np.broadcast_shapes(x[:-2], y[:-2])
    except ValueError:
        raise broadcast_error(x[:-2], y[:-2]) from None
    _check_bmm((*batch, *x[-2:]), (*batch, *y[-2:]), a, b)
    lone = ra == 2 or (ra == rb == 3 and a.shape[0] == 1 and b.shape[0] != 1)
    folds = lone and input.requires_grad
    return (_matmul_turned if folds else _matmul)(input, other)


def _foreign(self: Any, other: Any) -> Any:
    return matmul(self, wrap(other)) if other.__class__ is ndarray else NotImplemented


def matmul_reflected(self: Any, other: Any) -> Any:
    """`array @ tensor`."""
    if other.__class__ is ndarray:
        other = wrap(other)
    return matmul(other, self) if isinstance(other, Variable) else NotImplemented


matmul = _making_matmul(lambda input, other: _both("matmul", input, other, "other"))
matmul_operator = _making_matmul(_foreign)


def inner(input: Any, other: Any, *, out: Any = None) -> Any:
    """∑ₖ a[…, k]·b[…, k]: the last dimensions summed out; a number scales. RuntimeError where they differ."""
    a, b = _both("inner", input, other, "other")
    if not a.ndim or not b.ndim:
        return arithmetic.mul(input, other, out=out)
    if a.dtype != b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    from clew.ops.einsum import tensordot

    result = tensordot(input, other, ([-1], [-1]))
    return result if out is None else store_out(out, result)


# ---- linear --------------------------------------------------------------------------------------------------------------
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """x·Wᵀ + b. input: (…, in); weight: (out, in) or (in); bias: (out); result: (…, out)."""
    if altered and switches.autocast:
        input, weight, bias = lowered(input, weight, bias)
    try:
        x, w = input._array, weight._array
        b = None if bias is None else bias._array
        dtype = x.dtype
    except AttributeError:
        _both("linear", input, weight, "weight")
        check_tensor(bias, "linear", "bias", 3)
        raise
    xs, ws = x.shape, w.shape
    if (
        (dtype is FLOAT32 or dtype is FLOAT64)
        and w.dtype is dtype
        and len(xs) >= 2 == len(ws)
        and xs[-1] == ws[1]
        and (b is None or (b.dtype is dtype and b.shape == ws[:1]))
        and ((flat := len(xs) == 2) or x.flags.c_contiguous)
    ):
        rows = x if flat else x.reshape(math.prod(xs[:-1]), ws[1])
        value = rows.dot(w.T) if len(rows) * w.size < matrices.FEW else matrices.dot(rows, w.T)
        if b is not None:
            value += b
        if not flat:
            value = value.reshape(*xs[:-1], ws[0])
        edges = edge_of(bias), edge_of(input), edge_of(weight)
        if not recording(edges):
            return wrap(value)
        saved = (
            None if edges[0] is None else (ws[:1],),
            None if edges[1] is None else (w,) if flat else (xs, w),
            None if edges[2] is None else (x,),
        )
        versions = (() if edges[2] is None else (watch(input),)) + (
            () if edges[1] is None else (watch(weight),)
        )
        primitive = _linear[b is not None, flat]
        return several(primitive, value, (bias, input, weight), edges, saved, versions)
    return _linear_general(input, weight, bias, x, w, b)


def _linear_general(input: Any, weight: Any, bias: Any, x: ndarray, w: ndarray, b: Any) -> Any:
    """`linear` of other types and ranks, and its errors."""
    if not x.ndim or not w.ndim:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {x.ndim}D and {w.ndim}D"
        )
    if w.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {w.ndim}D")
    rows = _rows(x).shape
    if b is None:
        if w.ndim == 1:
            return matmul(input, weight)
        if x.dtype != w.dtype or x.dtype.kind == "b" or rows[1] != w.shape[1]:
            _check_mm(np.broadcast_to(np.zeros((), x.dtype), rows), w.T)
        return (_linear_vector if x.ndim == 1 else _linear[False, x.ndim == 2])(None, input, weight)
    if w.ndim == 1:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
    if x.ndim > 2 and not x.flags.c_contiguous:
        return arithmetic.add(linear(input, weight), bias)
    _check_addmm(b, np.broadcast_to(np.zeros((), x.dtype), rows), w.T)
    return _linear[True, x.ndim == 2](bias, input, weight)


# ---- sums with a product -------------------------------------------------------------------------------------------------
def _check_addmm(self: ndarray, a: ndarray, b: ndarray) -> None:
    """RuntimeError unless self + A·B can be computed."""
    for number, matrix in ((1, a), (2, b)):
        if matrix.ndim != 2:
            raise RuntimeError(f"mat{number} must be a matrix, got {matrix.ndim}-D tensor")
    if self.dtype != b.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {legacy_name(self.dtype)} and {legacy_name(b.dtype)}"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {legacy_name(a.dtype)} and {legacy_name(b.dtype)}"
        )
    if a.shape[1] != b.shape[0]:
        raise _cannot(a.shape, b.shape)
    _check_expands(self, (a.shape[0], b.shape[1]))
    if a.dtype.kind == "b":
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _check_expands(self: ndarray, size: tuple[int, ...]) -> None:
    """RuntimeError unless `self` can be expanded to `size`."""
    have = self.shape
    if len(have) > len(size):
        raise RuntimeError(
            f"expand({tensor_type_name(self.dtype)}{{{list(have)}}}, size={list(size)}): the number of sizes provided "
            f"({len(size)}) must be greater or equal to the number of dimensions in the tensor ({len(have)})"
        )
    for i in range(-1, -len(have) - 1, -1):
        if have[i] != size[i] and have[i] != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({size[i]}) must match the existing size ({have[i]}) at non-singleton "
                f"dimension {len(size) + i}.  Target sizes: {list(size)}.  Tensor sizes: {list(have)}"
            )
