"""How a family of operators is made from a line each: the fast way in, and the general one behind it.

The fast way serves what programs do most: float32 or float64 tensors of one type, or such a tensor and a Python
number. It does by hand, in one function, what `Primitive.__call__` does for all: compute, wrap, record. Everything else
(promotion, 16-bit floats, integers, complex numbers, `out=`) goes the general way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import modes
from clew.core.modes import altered, observers
from clew.core.node import internal, next_seq, user_place
from clew.core.primitive import Formula, Primitive, note_modes, watch
from clew.core.promotion import compute_dtype, result_dtype, to_float
from clew.core.variable import FLOAT32, FLOAT64, INFERENCE, Variable, classes, wrap
from clew.dtypes import bool_, dtype, from_numpy

_getframe = sys._getframe


def broadcast_error(a: tuple[int, ...], b: tuple[int, ...]) -> RuntimeError:
    """PyTorch's sentence for shapes that do not broadcast."""
    n = max(len(a), len(b))
    for i in range(-1, -n - 1, -1):
        x = a[i] if -i <= len(a) else 1
        y = b[i] if -i <= len(b) else 1
        if x != y and x != 1 and y != 1:
            return RuntimeError(
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {n + i}"
            )
    return RuntimeError(f"shapes {list(a)} and {list(b)} do not broadcast")


# A change of type is recorded like any operation; the engine casts the gradient back.
to_copy = Primitive(
    "to_copy",
    lambda self, *, dtype: cast_array(self, dtype),
    {"self": lambda xp, g: g},
    node="ToCopyBackward0",
    jvp="linear",
    explain="the same values in another type; the gradient is cast back",
)


def cast_array(array: Any, dtype: Any) -> Any:
    """A raw array in another type; of complex numbers only the real part goes into real types."""
    if array.dtype.kind == "c" and dtype.kind != "c" and dtype.kind != "b":
        array = array.real
    return array.astype(dtype)


def convert(tensor: Any, dtype: np.dtype[Any]) -> Any:
    """The tensor in a NumPy type: itself where it has it already."""
    return tensor if tensor._array.dtype == dtype else to_copy(tensor, dtype=dtype)


def operand(value: Any, dtype: np.dtype[Any]) -> Any:
    """A tensor or number as a tensor of a NumPy type."""
    if isinstance(value, Variable):
        return convert(value, dtype)
    if dtype.kind in "iu" and not isinstance(value, (bool, np.bool)):
        info = np.iinfo(dtype)
        if not info.min <= value <= info.max:
            return wrap(np.asarray(int(value) & (2 ** info.bits - 1), dtype=f"u{dtype.itemsize}").astype(dtype))
    return wrap(np.asarray(value).astype(dtype))


def store(out: Variable, result: Variable) -> Any:
    """Write a result into the tensor given as `out=`."""
    from clew.core.inplace import store_out

    return store_out(out, result)


def unary(
    name: str,
    forward: Callable[..., Any],
    vjp: Formula | None,
    *,
    keep: bool = False,
    refuse: str = "",
    node: str | None = None,
    jvp: Any = "partial",
    holomorphic: bool = True,
    explain: str = "",
) -> Callable[..., Any]:
    """An elementwise function of one tensor. `keep`: integers stay integers (`abs`); else they become floats (`exp`)."""
    primitive = Primitive(
        name, forward, None if vjp is None else {"self": vjp}, args=("self",), node=node, jvp=jvp, holomorphic=holomorphic, explain=explain
    )  # fmt: skip
    node_class = primitive.node
    gather = primitive.gather[0] if vjp is not None else None
    saves_self = "self" in primitive.saved_names
    saves_out = "out" in primitive.saved_names

    def general(input: Any, out: Any) -> Any:
        if not isinstance(input, Variable):
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        have = from_numpy(input._array.dtype)
        want = have if keep else to_float(have)
        if refuse and have.name in refuse.split():
            raise RuntimeError(f"\"{name}_cpu\" not implemented for '{legacy(have)}'")
        work = compute_dtype(want)
        x = convert(input, work)
        result = primitive(x)
        if from_numpy(result._array.dtype) is from_numpy(work):
            result = convert(result, want.np)
        return result if out is None else store(out, result)

    def op(input: Any, *, out: Any = None) -> Any:
        try:
            a = input._array
            dtype = a.dtype
        except AttributeError:
            return general(input, out)
        if (dtype is not FLOAT32 and dtype is not FLOAT64) or out is not None:
            return general(input, out)
        cls = classes.tensor
        result = cls.__new__(cls)
        result._array = value = forward(a)
        result._version = result._view = result._meta = None
        edge = input._edge if input._view is None else input.edge()
        if edge is None or vjp is None or (altered and not modes.switches.grad):
            result._edge = None
            if altered and modes.switches.inference:
                result._version = INFERENCE
            return result
        made = node_class.__new__(node_class)
        made.edges = (edge,)
        made.seq = next_seq()
        frame = _getframe(1)
        code = frame.f_code
        if internal[code.co_filename]:
            made.code, made.lasti = user_place(2)
        else:
            made.code = code
            made.lasti = frame.f_lasti
        made.metas = made.extras = None
        made.saved = (gather((a, value)),)
        result._edge = (made, 0)
        if saves_self:
            made.versions = (watch(input), watch(result)) if saves_out else (watch(input),)
        else:
            made.versions = (watch(result),) if saves_out else ()
        if altered:
            note_modes(made)
        for observer in observers:
            observer(made, (input,), (result,))
        return result

    op.__name__ = op.__qualname__ = name
    op.primitive = primitive  # type: ignore[attr-defined]
    return op


def binary(
    name: str,
    forward: Callable[[Any, Any], Any],
    vjps: Mapping[str, Formula] | None,
    *,
    floats: bool = False,
    boolean: bool = False,
    numbers: Callable[[Any, Any], Any] | None = None,
    check: Callable[[Any, Any, dtype], None] | None = None,
    node: str | None = None,
    jvp: Any = "partial",
    holomorphic: bool = True,
    explain: str = "",
) -> Callable[..., Any]:
    """An elementwise operator of two operands, tensors or numbers, that broadcasts.

    floats: integers are turned into floats (true division); boolean: the result is bool (comparisons);
    check: refuses operands, given the result type; numbers: another forward for integer and bool operands.
    """
    primitive = Primitive(name, forward, vjps, args=("self", "other"), node=node, jvp=jvp, holomorphic=holomorphic, explain=explain)
    node_class = primitive.node
    first = second = None
    if vjps is not None:
        first, second = (g if f is not None else None for g, f in zip(primitive.gather, primitive.formulas, strict=True))
    needs = primitive.needs if vjps is not None else ((), ())
    watched = [("self" in needs[0], "other" in needs[0], "out" in needs[0]), ("self" in needs[1], "other" in needs[1], "out" in needs[1])] if vjps else []  # fmt: skip

    def general(input: Any, other: Any, out: Any) -> Any:
        if not isinstance(input, Variable) and not isinstance(other, Variable):
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        for position, value in enumerate((input, other)):
            if not isinstance(value, (Variable, bool, int, float, complex, np.generic)):
                which = ("input", "other")[position]
                raise TypeError(
                    f"{name}(): argument '{which}' (position {position + 1}) must be Tensor, not {type(value).__name__}"
                )
        want = result_dtype(input, other)
        if check is not None:
            check(input, other, want)
        if floats:
            want = to_float(want)
        work = compute_dtype(want)
        x, y = operand(input, work), operand(other, work)
        chosen = whole if numbers is not None and want.category < 2 else primitive
        try:
            result = chosen(x, y)
        except ValueError:
            raise broadcast_error(x._array.shape, y._array.shape) from None
        if not boolean and result._array.dtype == work:
            result = convert(result, want.np)
        return result if out is None else store(out, result)

    whole = Primitive(name, numbers, None, args=("self", "other"), node=node) if numbers is not None else primitive

    def op(input: Any, other: Any, *, out: Any = None) -> Any:
        try:
            a = input._array
            dtype = a.dtype
            kind = other.__class__
            if kind is float or kind is int:
                b = other
                edge2 = None
            else:
                b = other._array
                if b.dtype is not dtype:
                    return general(input, other, out)
                edge2 = other._edge if other._view is None else other.edge()
        except AttributeError:
            return general(input, other, out)
        if (dtype is not FLOAT32 and dtype is not FLOAT64) or out is not None:
            return general(input, other, out)
        try:
            value = forward(a, b)
        except ValueError:
            raise broadcast_error(a.shape, b.shape) from None
        cls = classes.tensor
        result = cls.__new__(cls)
        result._array = value
        result._version = result._view = result._meta = None
        edge1 = input._edge if input._view is None else input.edge()
        if (edge1 is None and edge2 is None) or vjps is None or (altered and not modes.switches.grad):
            result._edge = None
            if altered and modes.switches.inference:
                result._version = INFERENCE
            return result
        made = node_class.__new__(node_class)
        made.edges = (edge1, edge2)
        made.seq = next_seq()
        frame = _getframe(1)
        code = frame.f_code
        if internal[code.co_filename]:
            made.code, made.lasti = user_place(2)
        else:
            made.code = code
            made.lasti = frame.f_lasti
        made.extras = None
        if value.__class__ is ndarray and (a.shape != value.shape or (b is not other and b.shape != value.shape)):
            made.metas = (None if edge1 is None else (a.shape, dtype), None if edge2 is None else (b.shape, dtype))
        else:
            made.metas = None
        values = (a, b, value)
        made.saved = (None if edge1 is None else first(values), None if edge2 is None else second(values))
        result._edge = (made, 0)
        made.versions = watch_operands(edge1, edge2, input, other, result) if vjps and primitive.frees else ()
        if altered:
            note_modes(made)
        for observer in observers:
            observer(made, (input, other), (result,))
        return result

    def watch_operands(edge1: Any, edge2: Any, input: Any, other: Any, result: Any) -> Any:
        w1, w2 = watched
        has1, has2 = edge1 is not None, edge2 is not None
        found = []
        if (has1 and w1[0]) or (has2 and w2[0]):
            found.append(watch(input))
        if ((has1 and w1[1]) or (has2 and w2[1])) and isinstance(other, Variable):
            found.append(watch(other))
        if (has1 and w1[2]) or (has2 and w2[2]):
            found.append(watch(result))
        return tuple(found)

    op.__name__ = op.__qualname__ = name
    op.primitive = primitive  # type: ignore[attr-defined]
    return op
