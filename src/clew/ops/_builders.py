"""How a family of operators is made from a line each: the fast way in, and the general one behind it.

The fast way serves what programs do most: float32 or float64 tensors of one type, or such a tensor and a Python
number. It does by hand, in one function, what `Primitive.__call__` does for all: compute, wrap, record. Everything else
(promotion, 16-bit floats, integers, complex numbers, `out=`) goes the general way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy import float32, ndarray

from clew.core.inplace import store_out
from clew.core.modes import altered, observe, observers, switches
from clew.core.node import internal, next_seq, user_place
from clew.core.primitive import Formula, Primitive, argument_names, note_modes, watch
from clew.core.promotion import result_dtype, to_float
from clew.core.variable import FLOAT32, FLOAT64, INFERENCE, Variable, classes, wrap
from clew.core.version import Version
from clew.dtypes import dtype, from_numpy, legacy_name
from clew.kernels import KERNELS
from clew.kernels.blocks import LARGE, blockwise
from clew.ops._arguments import check_tensor

_getframe = sys._getframe
_OPERANDS = (Variable, bool, int, float, complex, np.generic)
_new = object.__new__


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
            return wrap(np.asarray(int(value) & (2**info.bits - 1), dtype=f"u{dtype.itemsize}").astype(dtype))
    return wrap(np.asarray(value).astype(dtype))


class Operator(Protocol):
    """A function made here, and what hangs on it."""

    __name__: str
    __qualname__: str
    primitive: Primitive
    operator: Callable[
        ..., Any
    ]  # of two operands: the method, such as `__add__`, which leaves others to their class

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


def unary(
    name: str,
    forward: Callable[..., Any],
    vjp: Formula | None,
    *,
    keep: bool = False,
    refuse: str = "",
    kernel: str = "",
    check: Callable[[dtype], None] | None = None,
    node: str | None = None,
    jvp: Any = "partial",
    holomorphic: bool = True,
    explain: str = "",
) -> Operator:
    """An elementwise function of one tensor. `keep`: integers stay integers (`abs`); else they become floats (`exp`).

    refuse: names of types without this function; kernel: what the error then calls it; check: refuses a type in other
    words; explain: the docstring.
    """
    primitive = Primitive(
        name, forward, None if vjp is None else {"self": vjp}, args=("self",), node=node, jvp=jvp, holomorphic=holomorphic, explain=explain
    )  # fmt: skip
    named = () if vjp is None else argument_names(vjp)[0]
    saves_self, saves_out = "self" in named, "out" in named
    differentiable = vjp is not None

    def general(input: Any, out: Any) -> Any:
        check_tensor(input, name)
        have = from_numpy(input._array.dtype)
        want = have if keep else to_float(have)
        if check is not None:
            check(have)
        if refuse and have.name in refuse.split():
            raise NotImplementedError(
                f"\"{kernel or name + '_cpu'}\" not implemented for '{legacy_name(have)}'"
            )
        result = for_type(primitive, want)(convert(input, want.np))
        return result if out is None else store_out(out, result)

    def op(input: Any, *, out: Any = None) -> Any:
        try:
            a = input._array
            dtype = (
                FLOAT32 if a.__class__ is float32 else a.dtype
            )  # a scalar's attribute is five times slower
        except AttributeError:
            return general(input, out)
        if (dtype is not FLOAT32 and dtype is not FLOAT64) or out is not None:
            return general(input, out)
        value = (
            forward(a)
            if a.__class__ is not ndarray or a.size < LARGE or name in KERNELS or not differentiable
            else blockwise(forward, (a,))
        )
        result = _new(classes.tensor)
        result._array = value
        result._counter = result._view = result._meta = None
        edge = input._edge if input._view is None else input.edge()
        if edge is None or (altered and not switches.grad) or not differentiable:
            result._edge = None
            if altered and switches.inference:
                result._counter = INFERENCE
            return result
        made = primitive.node()
        made.primitive = primitive
        made.edges = (edge,)
        made.seq = next_seq()
        made.metas = made.extras = None
        made.versions = ()
        frame = _getframe(1)
        made.code = code = frame.f_code
        made.lasti = frame.f_lasti
        if internal[code.co_filename]:
            made.code, made.lasti = user_place(2)
        result._edge = (made, 0)
        if saves_out:
            result._counter = version = Version()
            made.versions = ((version, 0),)
            made.saved = ((value,),) if not saves_self else (primitive.gather[0]((a, value)),)
        elif saves_self:
            made.saved = ((a,),)
        else:
            made.saved = _NOTHING
        if saves_self:
            made.versions += (watch(input),)
        if altered:
            note_modes(made)
        if observers:
            observe(made, (input,), (result,))
        return result

    op.__name__ = op.__qualname__ = name
    op.__doc__ = explain
    op.__code__ = op.__code__.replace(co_name=name)
    made: Any = op
    made.primitive = primitive
    return made


_NOTHING: tuple[tuple[Any, ...], ...] = ((),)


def binary(
    name: str,
    forward: Callable[[Any, Any], Any],
    vjps: Mapping[str, Formula] | None,
    *,
    floats: bool = False,
    numbers: Callable[[Any, Any], Any] | None = None,
    check: Callable[[Any, Any, dtype], None] | None = None,
    args: tuple[str, str] = ("self", "other"),
    asis: bool = False,
    node: str | None = None,
    jvp: Any = "partial",
    holomorphic: bool = True,
    explain: str = "",
) -> Operator:
    """An elementwise operator of two operands, tensors or numbers, that broadcasts.

    floats: integers are turned into floats (true division); check: refuses operands, given the result type;
    numbers: another forward for integer and bool operands; args: the operands' names in the formulas; asis: `forward` and the formulas look at a number's value.
    """
    primitive = Primitive(
        name, forward, vjps, args=args, node=node, jvp=jvp, holomorphic=holomorphic, explain=explain
    )
    whole = Primitive(name, numbers, None, args=args, node=node) if numbers is not None else primitive
    differentiable = vjps is not None
    # By which operands want a gradient (1: the first, 2: the second, 3: both), written when first met.
    plans: list[Any] = [None, None, None, None]

    def general(input: Any, other: Any, out: Any) -> Any:
        if not isinstance(input, Variable) and not isinstance(other, Variable):
            check_tensor(input, name)
        for position, value in enumerate((input, other)):
            if not isinstance(value, _OPERANDS):
                check_tensor(value, name, ("input", "other")[position], position + 1)
        want = result_dtype(input, other)
        if check is not None:
            check(input, other, want)
        if floats:
            want = to_float(want)
        x, y = operand(input, want.np), operand(other, want.np)
        chosen = whole if numbers is not None and want.category < 2 else for_type(primitive, want)
        try:
            result = chosen(x, y)
        except ValueError:
            raise broadcast_error(x._array.shape, y._array.shape) from None
        return result if out is None else store_out(out, result)

    def make(fallback: Callable[[Any, Any, Any], Any]) -> Any:
        def op(input: Any, other: Any, *, out: Any = None) -> Any:
            try:
                a = input._array
                dtype = FLOAT32 if a.__class__ is float32 else a.dtype
                kind = other.__class__
                if kind is float or kind is int:
                    b = other
                    edge2 = None
                    if a.__class__ is ndarray and not asis:
                        b = constants(dtype).get(other)
                        if b is None:
                            b = constant(other, dtype)
                else:
                    b = other._array
                    edge2 = other._edge if other._view is None else other.edge()
                    if (FLOAT32 if b.__class__ is float32 else b.dtype) is not dtype:
                        return fallback(input, other, out)
            except AttributeError:
                return fallback(input, other, out)
            if (dtype is not FLOAT32 and dtype is not FLOAT64) or out is not None:
                return fallback(input, other, out)
            try:
                value = (
                    forward(a, b)
                    if a.__class__ is not ndarray or a.size < LARGE or not differentiable  # a truth
                    else blockwise(forward, (a, b))
                )
            except ValueError:
                raise broadcast_error(a.shape, b.shape) from None
            result = _new(classes.tensor)
            result._array = value
            result._counter = result._view = result._meta = None
            edge1 = input._edge if input._view is None else input.edge()
            if (edge1 is None and edge2 is None) or (altered and not switches.grad) or not differentiable:
                result._edge = None
                if altered and switches.inference:
                    result._counter = INFERENCE
                return result
            made = primitive.node()
            made.primitive = primitive
            made.edges = (edge1, edge2)
            made.seq = next_seq()
            made.metas = made.extras = None
            made.versions = ()
            frame = _getframe(1)
            made.code = code = frame.f_code
            made.lasti = frame.f_lasti
            if internal[code.co_filename]:
                made.code, made.lasti = user_place(2)
            result._edge = (made, 0)
            if (
                value.__class__ is ndarray
                and kind is not float
                and kind is not int
                and (a.shape != value.shape or (edge2 is not None and b.shape != value.shape))
            ):  # one of them was broadcast
                made.metas = (
                    None if edge1 is None else (a.shape, dtype),
                    None if edge2 is None else (b.shape, dtype),
                )
            if not primitive.frees:
                made.saved = _NOTHING_TWICE
            else:
                plan = plans[2 if edge1 is None else 1 if edge2 is None else 3]
                if plan is None:
                    plan = write_plan(primitive, plans, 2 if edge1 is None else 1 if edge2 is None else 3)
                pick, first, second, third = plan
                made.saved = pick(a, b, value)
                if first:
                    made.versions = (watch(input),)
                if second and kind is not float and kind is not int:
                    made.versions += (watch(other),)
                if third:
                    made.versions += (watch(result),)
            if altered:
                note_modes(made)
            if observers:
                observe(made, (input, other), (result,))
            return result

        op.__name__ = op.__qualname__ = name
        op.__doc__ = explain
        # CPython specialises attribute access by code object: shared by all operators, it would meet a different class
        # of nodes each time, and every store to a slot would take five times as long.
        op.__code__ = op.__code__.replace(co_name=name)
        return op

    def foreign(input: Any, other: Any, out: Any) -> Any:
        if not isinstance(input, Variable):
            raise TypeError(
                f"descriptor '__{name}__' for 'torch._C.TensorBase' objects doesn't apply to a "
                f"'{type(input).__name__}' object"
            )
        if other.__class__ is ndarray:
            other = wrap(other)
        return general(input, other, out) if isinstance(other, _OPERANDS) else NotImplemented

    op: Any = make(general)
    op.operator = make(foreign)
    op.primitive = primitive
    return op


def of_tensors(both: Operator, second: str = "other") -> Operator:
    """An operator whose operands may not be numbers. TypeError for them; second: the second operand's name."""
    name = both.__name__

    def op(input: Any, other: Any, *, out: Any = None) -> Any:
        check_tensor(input, name)
        return both(input, check_tensor(other, name, second, 2), out=out)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = both.__doc__
    made: Any = op
    made.primitive = both.primitive
    return made


_NOTHING_TWICE: tuple[tuple[Any, ...], ...] = ((), ())


def write_plan(primitive: Primitive, plans: list[Any], which: int) -> tuple[Any, bool, bool, bool]:
    """How values are saved where certain operands want a gradient: a function that picks each formula's arguments, and
    whether these are the first operand, the second, the result."""
    names = (*primitive.inputs, "out")
    needs = [primitive.needs[i] if which & (1 << i) else None for i in (0, 1)]
    if all(n in names for need in needs if need for n in need):
        texts = ["None" if need is None else "(" + "".join(f"{n}, " for n in need) + ")" for need in needs]
        # written out as source: a third of the time
        pick = eval(f"lambda {', '.join(names)}: ({texts[0]}, {texts[1]})")
    else:
        first, second = (primitive.gather[i] if which & (1 << i) else lambda values: None for i in (0, 1))
        pick = lambda *values: (first(values), second(values))  # noqa: E731
    saved = {n for need in needs if need for n in need}
    plans[which] = plan = (pick, names[0] in saved, names[1] in saved, "out" in saved)
    return plan


# NumPy takes twice as long for array · number as for array · 0-d array: numbers that recur are kept as 0-d arrays.
_constants: dict[Any, dict[Any, Any]] = {FLOAT32: {}, FLOAT64: {}}
_NONE_KEPT: dict[Any, Any] = {}
_MOST_CONSTANTS = 256


def constants(dtype: Any) -> dict[Any, Any]:
    """The numbers kept for a type."""
    return _constants.get(dtype, _NONE_KEPT)


def constant(number: Any, dtype: Any) -> Any:
    """A number as an operand for arrays of a type."""
    kept = _constants.get(dtype)
    if kept is None or number == 0 or number != number:  # −0.0 == 0.0, and NaN never is what it was
        return number
    if len(kept) >= _MOST_CONSTANTS:
        kept.clear()
    array = kept[number] = np.array(number, dtype)
    array.flags.writeable = False
    return array


def kept_number(number: Any, dtype: Any) -> Any:
    """A number that recurs, such as a momentum, as an operand for arrays of a type."""
    if number.__class__ is not float:
        return number
    kept = constants(dtype).get(number)
    return constant(number, dtype) if kept is None else kept


def compute(
    primitive: Primitive,
    operands: Sequence[Any],
    want: dtype | None = None,
    *,
    out: Any = None,
    **params: Any,
) -> Any:
    """Run a primitive on tensors and numbers (None: left out) promoted to one type, and round the result to it.

    The general way of operators with parameters or more than two operands. `want`: the type, where promotion is not it.
    """
    want = want or result_dtype(*operands)
    chosen = for_type(primitive, want)
    if len(operands) == 1 and operands[0]._array.dtype is want.np and out is None:
        return chosen(operands[0], **params)
    inputs = [None if value is None else operand(value, want.np) for value in operands]
    try:
        result = chosen(*inputs, **params)
    except ValueError:
        raise first_broadcast_error([t._array.shape for t in inputs if t is not None]) from None
    return result if out is None else store_out(out, result)


def for_type(primitive: Primitive, want: dtype) -> Primitive:
    """The primitive as it is computed for a type."""
    return primitive.rounded() if want.category == 2 and want.itemsize == 2 else primitive


def first_broadcast_error(shapes: Sequence[tuple[int, ...]]) -> RuntimeError:
    """PyTorch's sentence for the first of several shapes that does not broadcast with those before it."""
    so_far: tuple[int, ...] = ()
    for shape in shapes:
        try:
            so_far = np.broadcast_shapes(so_far, shape)
        except ValueError:
            return broadcast_error(so_far, shape)
    return broadcast_error(so_far, so_far)


def single(primitive: Primitive, input: Any, value: Any, saved: tuple[Any, ...], keeps: str = "") -> Any:
    """The fast way of a function of one tensor with parameters, called straight from it: wrap `value` and record.

    saved: what the formula gets. keeps: "self", "result" or "both" where that is the values of the input, of the result.
    """
    result = _new(classes.tensor)
    result._array = value
    result._counter = result._view = result._meta = None
    edge = input._edge if input._view is None else input.edge()
    if edge is None or (altered and not switches.grad):
        result._edge = None
        if altered and switches.inference:
            result._counter = INFERENCE
        return result
    made = primitive.node()
    made.primitive = primitive
    made.edges = (edge,)
    made.seq = next_seq()
    made.metas = made.extras = None
    made.versions = ()
    made.saved = (saved,)
    frame = _getframe(2)
    made.code = code = frame.f_code
    made.lasti = frame.f_lasti
    if internal[code.co_filename]:
        made.code, made.lasti = user_place(3)
    result._edge = (made, 0)
    if keeps == "result":
        made.versions = (watch(result),)
    elif keeps:
        made.versions = (watch(input),) if keeps == "self" else (watch(input), watch(result))
    if altered:
        note_modes(made)
    if observers:
        observe(made, (input,), (result,))
    return result


def several(
    primitive: Primitive,
    value: Any,
    inputs: tuple[Any, ...],
    edges: tuple[Any, ...],
    saved: tuple[Any, ...],
    versions: tuple[tuple[Version, int], ...],
    depth: int = 2,
) -> Any:
    """The fast way of a function of several tensors, where `recording(edges)`: wrap and record.

    saved: what each formula gets; their gradients have the right shape and type by themselves. versions: of the
    tensors among it, in the inputs' order. depth: how many calls up the user may be.
    """
    result = _new(classes.tensor)
    result._array = value
    result._counter = result._view = result._meta = None
    made = primitive.node()
    made.primitive = primitive
    made.edges = edges
    made.seq = next_seq()
    made.metas = made.extras = None
    made.saved = saved
    made.versions = versions
    made.code, made.lasti = user_place(depth + 1)
    result._edge = (made, 0)
    if altered:
        note_modes(made)
    if observers:
        observe(made, inputs, (result,))
    return result


def edge_of(tensor: Any) -> Any:
    """Where a tensor's gradient goes; None for no tensor."""
    return None if tensor is None else tensor._edge if tensor._view is None else tensor.edge()


def recording(edges: tuple[Any, ...]) -> bool:
    """Whether an operation on tensors with these edges is recorded."""
    for edge in edges:
        if edge is not None:
            return not altered or switches.grad
    return False
