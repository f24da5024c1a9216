"""Complex numbers: their parts, conjugates, angles, and the views between complex and real tensors.

Gradients follow PyTorch's convention: the gradient of a real loss L is ∂L/∂(Re z) + i·∂L/∂(Im z).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.inplace import as_view, store_out
from clew.core.primitive import Primitive
from clew.ops._arguments import check_tensor, is_complex, legacy, tensor_dtype
from clew.ops._builders import broadcast_error, unary
from clew.ops.elementwise import sgn

__all__ = [
    "angle", "complex", "conj", "conj_physical", "imag", "is_conj", "polar", "real", "resolve_conj",
    "resolve_neg", "view_as_complex", "view_as_real",
]  # fmt: skip

# ---- parts ---------------------------------------------------------------------------------------
_real = Primitive(
    "real",
    lambda self: self.real,
    {"self": lambda xp, g: xp.call(_complex, g, xp.zeros_like(g))},
    node="SelectBackward0",
    holomorphic=False,
)
_imag = Primitive(
    "imag",
    lambda self: self.imag,
    {"self": lambda xp, g: xp.call(_complex, xp.zeros_like(g), g)},
    node="SelectBackward0",
    holomorphic=False,
)


def real(input: Any) -> Any:
    """Re z, a view; a real tensor itself."""
    return as_view(_real, input) if check_tensor(input, "real")._array.dtype.kind == "c" else input


def imag(input: Any) -> Any:
    """Im z, a view. RuntimeError for real tensors."""
    if check_tensor(input, "imag")._array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return as_view(_imag, input)


def _angle(a: Any) -> Any:
    if a.dtype.kind == "c":
        return np.angle(a)
    made = np.asarray(np.multiply(a < 0, np.pi, dtype=a.dtype))
    np.copyto(made, a, where=a != a)
    return made


def _angle_slope(xp: Any, g: Any, self: Any) -> Any:
    if not is_complex(self):
        return xp.zeros_like(g)
    size = xp.abs(self)
    return g * xp.where(size == 0, 0, 1j * self / (size * size))


angle = unary("angle", _angle, _angle_slope, holomorphic=False, explain="The angle of z, between -π and π.")


# ---- conjugates ----------------------------------------------------------------------------------
_conj_physical = unary("conj_physical", np.conj, lambda xp, g: xp.conj(g), keep=True, holomorphic=False)
_conj = Primitive("conj", lambda self: np.conj(self), {"self": lambda xp, g: xp.conj(g)}, holomorphic=False)


def conj(input: Any) -> Any:
    """The conjugate; a real tensor itself. (Computed at once: there is no conjugate bit here.)"""
    return _conj(input) if check_tensor(input, "conj")._array.dtype.kind == "c" else input


def conj_physical(input: Any, *, out: Any = None) -> Any:
    """The conjugate, as a new tensor; a real tensor itself."""
    if out is None and check_tensor(input, "conj_physical")._array.dtype.kind != "c":
        return input
    return _conj_physical(input, out=out)


def resolve_conj(input: Any) -> Any:
    """The tensor itself: conjugates are never delayed."""
    return check_tensor(input, "resolve_conj")


def resolve_neg(input: Any) -> Any:
    """The tensor itself: negation is never delayed."""
    return check_tensor(input, "resolve_neg")


def is_conj(input: Any) -> bool:
    """False: conjugates are never delayed."""
    check_tensor(input, "is_conj")
    return False


# ---- complex from real ---------------------------------------------------------------------------
def _from_parts_array(real: Any, imag: Any) -> Any:
    made = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real, np.complex64))
    made.real, made.imag = real, imag
    return made


_complex: Primitive = Primitive(
    "complex",
    _from_parts_array,
    {"real": lambda xp, g: xp.real(g), "imag": lambda xp, g: xp.imag(g)},
    holomorphic=False,
)
_polar = Primitive(
    "polar",
    lambda abs, angle: _from_parts_array(abs * np.cos(angle), abs * np.sin(angle)),
    {
        "abs": lambda xp, g, out: xp.real(xp.conj(g) * xp.call(sgn.primitive, out)),
        "angle": lambda xp, g, out: xp.real(xp.conj(g) * (1j * out)),
    },
    holomorphic=False,
)


def _from_parts(primitive: Primitive, first: Any, second: Any, names: tuple[str, str], out: Any) -> Any:
    for position, (value, name) in enumerate(zip((first, second), names, strict=True)):
        check_tensor(value, primitive.name, name, position + 1)
    if any(tensor_dtype(t).category != 2 for t in (first, second)):
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {legacy(first)} and "
            f"{legacy(second)}"
        )
    if first._array.dtype != second._array.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {legacy(first)} but got scalar type {legacy(second)} for "
            "second argument"
        )
    try:
        result = primitive(first, second)
    except ValueError:
        raise broadcast_error(first._array.shape, second._array.shape) from None
    if out is not None and out._array.dtype != result._array.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {legacy(result)} but got scalar type {legacy(out)} for argument 'out'"
        )
    return result if out is None else store_out(out, result)


def complex(real: Any, imag: Any, *, out: Any = None) -> Any:
    """real + i·imag. RuntimeError unless both are of one floating type."""
    return _from_parts(_complex, real, imag, ("real", "imag"), out)


def polar(abs: Any, angle: Any, *, out: Any = None) -> Any:
    """abs·exp(i·angle). RuntimeError unless both are of one floating type."""
    return _from_parts(_polar, abs, angle, ("abs", "angle"), out)


# ---- views ---------------------------------------------------------------------------------------
def _to_pairs(self: Any) -> Any:
    self = np.asarray(self)  # the real part of a NumPy scalar is a copy, without the imaginary part beside it
    part = self.real.dtype
    pairs = np.lib.stride_tricks.as_strided(
        self.real, (*self.shape, 2), (*self.strides, part.itemsize), writeable=self.flags.writeable
    )
    return pairs


def _from_pairs(self: Any) -> Any:
    if self.strides[-1] != self.dtype.itemsize or any(
        s % (2 * self.dtype.itemsize) for s in self.strides[:-1]
    ):
        self = np.ascontiguousarray(self)
    kind = np.complex64 if self.dtype.itemsize == 4 else np.complex128
    return self.view(kind)[..., 0]


_view_as_complex = Primitive(
    "view_as_complex", _from_pairs, {"self": lambda xp, g: xp.call(_view_as_real, g)}, holomorphic=False
)
_view_as_real: Primitive = Primitive(
    "view_as_real", _to_pairs, {"self": lambda xp, g: xp.call(_view_as_complex, g)}, holomorphic=False
)


def view_as_real(input: Any) -> Any:
    """A view of complex numbers as pairs (Re z, Im z) along a new last dimension.

    RuntimeError for real tensors.
    """
    if check_tensor(input, "view_as_real")._array.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return as_view(_view_as_real, input)


def view_as_complex(input: Any) -> Any:
    """A view of pairs along the last dimension as complex numbers.

    RuntimeError unless the pairs lie together.
    """
    array = check_tensor(input, "view_as_complex")._array
    if tensor_dtype(input).category != 2:
        raise RuntimeError(
            f"view_as_complex is only supported for half, float and double tensors, but got a tensor "
            "of scalar type: "
            f"{legacy(input)}"
        )
    if not array.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if array.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if array.strides[-1] != array.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % (2 * array.itemsize) for s in array.strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return as_view(_view_as_complex, input)
