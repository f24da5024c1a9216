"""How each array operation of a program becomes loops: one rule for each, by the function that the step calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from clew.capture.loops import CODES, CannotLower, Kernel, Place, Val, contiguous, literal
from clew.capture.program import Ref, Step
from clew.capture.traced import ATTRIBUTES, GETITEM, METHODS
from clew.core import raw
from clew.kernels.products import BYTES

_WIDE = 8  # products that a small matrix product adds at a time
_VECTORS = 1 << 15  # numbers: from there on NumPy's vectorised functions are faster than the C library's
_BIG = 1 << 11  # multiplications: a larger matrix product goes tile by tile

_ELEMENTWISE: dict[Any, str] = {
    np.add: "{0} + {1}", np.subtract: "{0} - {1}", np.multiply: "{0} * {1}", np.divide: "{0} / {1}",
    np.negative: "-{0}", np.positive: "{0}", np.absolute: "abs({0})", np.fabs: "abs({0})", np.square: "{0} * {0}",
    np.reciprocal: "1 / {0}", np.sqrt: "math.sqrt({0})", np.exp: "exp({0})", np.log: "log_#({0})", np.tanh: "tanh({0})",
    np.sin: "sin({0})", np.cos: "cos({0})", np.tan: "math.tan({0})", np.sinh: "math.sinh({0})",
    np.cosh: "math.cosh({0})", np.arctan: "math.atan({0})", np.expm1: "math.expm1({0})", np.log1p: "math.log1p({0})",
    np.floor: "np.floor({0})", np.ceil: "np.ceil({0})", np.power: "{0} ** {1}", np.arctan2: "math.atan2({0}, {1})",
    np.maximum: "({0} if ({0} >= {1} or {0} != {0}) else {1})", np.minimum: "({0} if ({0} <= {1} or {0} != {0}) else {1})",
    np.greater: "{0} > {1}", np.less: "{0} < {1}", np.greater_equal: "{0} >= {1}", np.less_equal: "{0} <= {1}",
    np.equal: "{0} == {1}", np.not_equal: "{0} != {1}", np.logical_and: "({0} != 0) and ({1} != 0)",
    np.logical_or: "({0} != 0) or ({1} != 0)", np.logical_not: "not ({0} != 0)", np.isnan: "{0} != {0}",
    np.isfinite: "({0} - {0}) == 0", np.bitwise_and: "{0} & {1}", np.bitwise_or: "{0} | {1}",
    np.bitwise_xor: "{0} ^ {1}", np.invert: "not {0}",
    np.sign: "(({0} > 0) * 1 - ({0} < 0) * 1 if {0} == {0} else {0})",
}  # fmt: skip
_POWERS = {2.0: "{0} * {0}", 3.0: "{0} * {0} * {0}", 1.0: "{0}", 0.5: "math.sqrt({0})"}
_VIEWS = {"reshape", "transpose", "swapaxes", "squeeze", "ravel", "view", "diagonal", "T"}
_VIEW_FUNCTIONS = {
    np.reshape, np.transpose, np.swapaxes, np.squeeze, np.expand_dims, np.moveaxis, np.broadcast_to, np.flip, np.ravel,
    np.diagonal,
}  # fmt: skip


def _times_one(factors: Sequence[Val]) -> Val | None:
    """One of two factors, where the other is 1 and no larger: such as the cotangent of a sum."""
    for one, other in (factors, factors[::-1]):
        if one.local == literal(1, one.dtype) and np.broadcast_shapes(one.shape, other.shape) == other.shape:
            return other
    return None


def one_by_one(f: np.ufunc, template: str, dtype: np.dtype) -> bool:
    """Whether a function is computed number by number, by the C library."""
    if f in (np.sin, np.cos):
        return dtype != np.float32
    return template.startswith(("math.", "{0} **")) and f is not np.sqrt


_GATHERED: dict[Any, str] = {np.add: "+", np.maximum: "max", np.minimum: "min"}


class Lowering:
    """A program's steps as one kernel. `values`: what each number of the program stands for."""

    def __init__(self, threads: int = 1) -> None:
        self.kernel = Kernel()
        self.kernel.threads = threads
        self.values: dict[int, Val] = {}
        self.constants: dict[str, np.ndarray] = {}  # buffers whose contents are the program's own
        self.products: dict[str, None] = {}  # types of the larger matrix products

    # ---- operands --------------------------------------------------------------------------------------------------------
    def value(self, argument: Any, like: np.dtype | None = None) -> Val:
        """An argument of a step. like: what a plain number is taken for."""
        if argument.__class__ is Val:
            return argument
        if argument.__class__ is Ref:
            found = self.values.get(argument.name)
            if found is None:
                raise CannotLower("uses a value that is no array")
            return found
        if isinstance(argument, np.ndarray) and argument.ndim:
            return self.constant(argument)
        if isinstance(argument, (np.ndarray, np.generic)):
            return self.kernel.number(np.asarray(argument)[()], argument.dtype)
        if isinstance(argument, (bool, int, float)):
            return self.kernel.number(argument, like or np.result_type(type(argument)))
        raise CannotLower(f"is given a {type(argument).__name__}")

    def constant(self, array: np.ndarray) -> Val:
        """An array of the program's own."""
        if array.size > 1 and array.dtype.kind != "b" and bool((array == array.flat[0]).all()):
            return Val(array.shape, array.dtype, local=literal(array.flat[0], array.dtype))
        array = np.ascontiguousarray(array)
        buffer = self.kernel.buffer(array.dtype, max(array.size, 1), "fixed")
        self.constants[buffer.name] = array
        return Val(array.shape, array.dtype, Place(buffer.name, 0, contiguous(array.shape)))

    # ---- steps -----------------------------------------------------------------------------------------------------------
    def step(self, step: Step) -> None:
        """Lower one step."""
        made = self.call(step.function, step.args, step.kwargs)
        results = made if made.__class__ is tuple else (made,)
        for name, value in zip(step.outs, results, strict=True):
            self.values[name] = value

    def call(self, f: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if isinstance(f, np.ufunc):
            return self.ufunc(f, args, kwargs)
        owner = getattr(f, "__self__", None)
        if isinstance(owner, np.ufunc) and f.__name__ == "reduce":
            return self.gathered(owner, *args, **kwargs)
        if f is GETITEM:
            return self.item(self.value(args[0]), args[1])
        name = METHODS.get(f) or ATTRIBUTES.get(f)
        if name in _VIEWS or f in _VIEW_FUNCTIONS:
            return self.view(self.value(args[0]), lambda x: f(x, *args[1:], **kwargs))
        rule = RULES.get(f) or METHOD_RULES.get(name or "") or NAMED.get(getattr(f, "__name__", ""))
        if rule is None:
            raise CannotLower(f"calls {getattr(f, '__name__', f)}")
        return rule(self, *args, **kwargs)

    def ufunc(self, f: np.ufunc, args: Sequence[Any], kwargs: dict[str, Any]) -> Val:
        template = _ELEMENTWISE.get(f) or _SPECIAL.get(f.__name__)
        if template is None or (kwargs and set(kwargs) != {"dtype"}):
            raise CannotLower(f"calls {f.__name__}")
        if f is np.matmul:
            return self.matmul(*args)
        given = [type(a) if type(a) in (int, float) else self.value(a).dtype for a in args]
        kinds: Any = f.resolve_dtypes((*given, None))
        if "dtype" in kwargs:
            wanted = np.dtype(kwargs["dtype"])
            kinds = (*[wanted] * len(args), wanted)
        if one_by_one(f, template, kinds[0]):
            self.small(f, args)
        operands = [self.cast(self.value(a, kinds[i]), kinds[i]) for i, a in enumerate(args)]
        if f is np.multiply and (same := _times_one(operands)) is not None:
            return same
        if f is np.reciprocal:
            return self.kernel.map("{1} / {0}", [*operands, self.kernel.number(1, kinds[-1])], kinds[-1])
        if f is np.power:
            return self.power(operands[0], args[1], operands[1], kinds[-1])
        return self.kernel.map(template.replace("#", CODES[kinds[0].name]), operands, kinds[-1])

    def small(self, f: np.ufunc, args: Sequence[Any]) -> None:
        """Functions that the C library computes number by number: of large arrays NumPy's own are faster."""
        if f is np.power and isinstance(args[1], (int, float)) and float(args[1]) in _POWERS:
            return
        if any(isinstance(a, Ref) and self.value(a).size >= _VECTORS for a in args):
            raise CannotLower(f"computes {f.__name__} of a large array, which NumPy does faster")

    def power(self, base: Val, exponent: Any, operand: Val, dtype: np.dtype) -> Val:
        number = isinstance(exponent, (int, float, np.generic)) or (
            isinstance(exponent, np.ndarray) and not exponent.ndim
        )
        template = _POWERS.get(float(exponent)) if number else None
        if template is not None:
            return self.kernel.map(template, [base], dtype)
        return self.kernel.map("{0} ** {1}", [base, operand], dtype)

    def cast(self, value: Val, dtype: np.dtype) -> Val:
        """The value as another type: a step of its own where it has elements."""
        if value.dtype == dtype:
            return value
        if dtype.name not in CODES:
            raise CannotLower(f"works with {dtype.name}")
        return self.kernel.map("{0} != 0" if dtype.kind == "b" else "{0}", [value], dtype)

    # ---- views -----------------------------------------------------------------------------------------------------------
    def view(self, value: Val, function: Callable[[np.ndarray], Any], again: bool = False) -> Val:
        """What a function of NumPy's makes of the value: another way of counting, or a copy first where it would copy."""
        place = value.place or Place("", 0, (0,) * value.ndim)
        dummy = untouched(value.shape, place.strides, value.dtype)
        made = np.asarray(function(dummy))
        if made.dtype != value.dtype:
            raise CannotLower("looks at memory as another type")
        if value.place is None:  # one number, however often
            return Val(made.shape, value.dtype, local=value.local)
        if not np.may_share_memory(made, dummy):
            if again:
                raise CannotLower("copies in a way that loops cannot say")
            return self.view(self.copied(value), function, True)
        offset = (_address(made) - _address(dummy)) // value.dtype.itemsize
        strides = tuple([s // value.dtype.itemsize for s in made.strides])
        return Val(made.shape, value.dtype, Place(place.buffer, place.offset + offset, strides))

    def copied(self, value: Val) -> Val:
        """The value in memory of its own, C-contiguous."""
        return self.kernel.map("{0}", [value], value.dtype)

    def item(self, value: Val, key: Any) -> Val:
        """`value[key]`: a view, or elements picked by indices."""
        keys = key if key.__class__ is tuple else (key,)
        if all(k is None or k is Ellipsis or isinstance(k, (int, slice)) for k in keys):
            return self.view(value, lambda x: x[key])
        if value.ndim == len(keys) == 2 and all(_is_index(k) for k in keys):
            return self.picked(value, [self.value(k) for k in keys])
        if len(keys) == 1 and _is_index(keys[0]):
            return self.rows(value, self.value(keys[0]))
        raise CannotLower("picks elements by a mixed index")

    def picked(self, value: Val, keys: list[Val]) -> Val:
        """`value[i, j]`, both arrays of indices."""
        place = self.kernel.placed(value)
        self.kernel.needed.add(place.buffer)
        parts = " + ".join(
            f"{_wrapped(i, n)} * {s}" for i, (n, s) in enumerate(zip(value.shape, place.strides, strict=True))
        )
        return self._after(value, f"{place.buffer}[{place.offset} + {parts}]", keys)

    def rows(self, value: Val, index: Val) -> Val:
        """`value[i]` with an array of indices."""
        place = self.kernel.placed(value)
        self.kernel.needed.add(place.buffer)
        rest = value.shape[1:]
        spread = Val(
            index.shape + (1,) * len(rest), index.dtype,
            index.place and Place(index.place.buffer, index.place.offset, index.place.strides + (0,) * len(rest)), index.local,
        )  # fmt: skip
        counted = [self.count(n, len(rest) - i - 1) for i, n in enumerate(rest)]
        parts = [f"{_wrapped(0, value.shape[0])} * {place.strides[0]}"]
        parts += [f"{{{i + 1}}} * {s}" for i, s in enumerate(place.strides[1:])]
        return self._after(value, f"{place.buffer}[{place.offset} + {' + '.join(parts)}]", [spread, *counted])

    def count(self, n: int, behind: int) -> Val:
        """0 … n−1 along an axis with so many axes behind it."""
        found = self.constant(np.arange(n))
        assert found.place is not None
        return Val((n,) + (1,) * behind, found.dtype, Place(found.place.buffer, 0, (1,) + (0,) * behind))

    def _after(self, value: Val, template: str, operands: list[Val]) -> Val:
        """A map that reads the value's memory at places of its own: in a new loop, after the memory is filled."""
        kernel = self.kernel
        buffer = kernel.placed(value).buffer
        held, kernel.barrier = kernel.barrier, len(kernel.items)
        text = template + (" != 0" if value.dtype.kind == "b" else "")
        made = kernel.map(text, operands, value.dtype, also=buffer)
        kernel.barrier = held
        return made

    # ---- sums ------------------------------------------------------------------------------------------------------------
    def gathered(
        self,
        f: np.ufunc,
        x: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        **more: Any,
    ) -> Val:
        op = _GATHERED.get(f)
        if op is None or out is not None or more:
            raise CannotLower(f"calls {f.__name__}.reduce")
        value = self.value(x)
        kind = np.dtype(dtype) if dtype is not None else value.dtype
        if kind.name not in CODES or (op == "+" and kind.kind == "b"):
            kind = np.dtype(np.int64)
        axes = range(value.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
        return self.reduce(op, value, [a % value.ndim for a in axes], bool(keepdims), kind)

    def reduce(self, op: str, value: Val, axes: Sequence[int], keepdims: bool, dtype: np.dtype) -> Val:
        if not value.ndim or value.size == 1:
            gone = set(axes)
            shape = tuple([n for i, n in enumerate(value.shape) if keepdims or i not in gone])
            return self.view(value, lambda x: x.reshape(shape))
        return self.kernel.reduce(op, "{0}", [value], axes, keepdims, dtype)

    # ---- matrices --------------------------------------------------------------------------------------------------------
    def matmul(self, a: Any, b: Any) -> Val:
        """`a @ b`, batches included."""
        x, y = self.value(a), self.value(b)
        if x.dtype != y.dtype or x.dtype.kind != "f":
            raise CannotLower("multiplies matrices of different types")
        if x.ndim == 1 and y.ndim == 1:
            product = self.kernel.map("{0} * {1}", [x, y], x.dtype)
            return self.reduce("+", product, [0], False, x.dtype)
        if x.ndim == 1:
            made = self.matmul(self.view(x, lambda v: v[None, :]), y)
            return self.view(made, lambda v: v[..., 0, :])
        if y.ndim == 1:
            made = self.matmul(x, self.view(y, lambda v: v[:, None]))
            return self.view(made, lambda v: v[..., 0])
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        m, k, n = x.shape[-2], x.shape[-1], y.shape[-1]
        shape = (*batch, m, n)
        if not prod(shape) * k:
            raise CannotLower("works with an empty tensor")
        kernel = self.kernel
        big = m * k * n > _BIG
        if not big and y.ndim == 2 and kernel.placed(y).strides == (1, k) and k < _WIDE <= n and m > 1:
            y = self.copied(y)  # rows side by side: whole vectors at a time
        places = kernel.placed(x), kernel.placed(y)
        out = kernel.buffer(x.dtype, prod(shape))
        strides = [
            (0,) * (len(batch) - v.ndim + 2)
            + tuple([0 if size == 1 else s for size, s in zip(v.shape[:-2], p.strides, strict=False)])
            for v, p in zip((x, y), places, strict=True)
        ]
        steps = contiguous(shape)
        room = ""
        if big:
            self.products[CODES[x.dtype.name]] = None
            room = kernel.buffer(x.dtype, k * BYTES // x.dtype.itemsize * kernel.threads).name

        def lines(_: Kernel) -> list[str]:
            text: list[str] = []
            pad, split = "", big and kernel.threads > 1
            at = [[str(p.offset)] if p.offset else [] for p in places] + [[]]
            for axis, size in enumerate(batch):
                if size == 1:
                    continue
                ends = f"{size}*tid//nt, {size}*(tid + 1)//nt" if split and not text else size
                text.append(f"{pad}for j{axis} in range({ends}):")
                pad += "    "
                for where, step in zip(at, (strides[0][axis], strides[1][axis], steps[axis]), strict=True):
                    if step:
                        where.append(f"j{axis}*{step}")
            offsets = [" + ".join(where) or "0" for where in at]
            sizes, code = (m, k, n), CODES[x.dtype.name]
            if big:
                own = f"p_{code}(address_{code}({room}) + tid*{k * BYTES})" if kernel.threads > 1 else room
                made = [_large_product(places, out.name, offsets, sizes, code, own, split and not text)]
            else:
                made = _product(places, out.name, offsets, sizes, code)
            return text + [pad + line for line in made]

        kernel.block(lines, (x, y), out.name, alone=big, room=room)
        return Val(shape, x.dtype, Place(out.name, 0, steps))


def _product(places: Any, out: str, offsets: list[str], sizes: tuple[int, int, int], code: str) -> list[str]:
    """A small matrix product as three loops."""
    (a, b), (m, k, n) = places, sizes
    (a0, a1), (b0, b1) = a.strides[-2:], b.strides[-2:]
    left, right, made = (
        f"{name}[{offset} + " for name, offset in zip((a.buffer, b.buffer, out), offsets, strict=True)
    )
    if b1 == 1 and n > 1:
        text = [f"for i in range({m}):"]
        if k > 2 * _WIDE:
            return [
                *text,
                f"    for j in range({n}):",
                f"        {made}i*{n} + j] = {code}(0)",
                f"    for p in range({k}):",
                f"        s = {left}i*{a0} + p*{a1}]",
                f"        for j in range({n}):",
                f"            {made}i*{n} + j] = gather_product({made}i*{n} + j], s, {right}p*{b0} + j])",
            ]
        for start in range(0, k, _WIDE):
            some = range(start, min(start + _WIDE, k))
            text += [f"    s{p - start} = {left}i*{a0} + {p * a1}]" for p in some]
            total = f"{made}i*{n} + j]" if start else f"{code}(0)"
            for p in some:
                total = f"gather_product({total}, s{p - start}, {right}{p * b0} + j])"
            text += [f"    for j in range({n}):", f"        {made}i*{n} + j] = {total}"]
        return text
    return [
        f"for i in range({m}):",
        f"    for j in range({n}):",
        f"        s = {code}(0)",
        f"        for p in range({k}):",
        f"            s = gather_product(s, {left}i*{a0} + p*{a1}], {right}p*{b0} + j*{b1}])",
        f"        {made}i*{n} + j] = s",
    ]


def own_rows(count: int) -> tuple[str, str]:
    """What a kernel calls the first of a thread's own rows, and the first behind them."""
    return f"first_{count}", f"behind_{count}"


def _large_product(
    places: Any, out: str, offsets: list[str], sizes: tuple[int, int, int], code: str, room: str, split: bool
) -> str:
    """A product tile by tile, through the address of its function. split: each thread takes some rows."""
    a, b = places
    m, k, n = sizes
    rows, a_at, o_at = str(m), offsets[0], offsets[2]
    if split:
        first, behind = own_rows(m)
        rows, a_at, o_at = f"{behind} - {first}", f"{a_at} + {first}*{a.strides[-2]}", f"{o_at} + {first}*{n}"
    left = f"{a.buffer}, {a_at}, {a.strides[-2]}, {a.strides[-1]}"
    right = f"{b.buffer}, {offsets[1]}, {b.strides[-2]}, {b.strides[-1]}"
    return (
        f"multiply(product_{code}, {left}, {right}, {out}, {o_at}, {n}, {rows}, {k}, {n}, {code[1]}, {room})"
    )


# ---- dummies: memory that is never touched, to ask NumPy what a view would be ------------------------------------------------
def untouched(shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of that shape and those strides; its memory is never touched."""
    reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    before = -sum(r for r in reach if r < 0)
    base = np.empty(1 + before + sum(r for r in reach if r > 0), dtype)
    return np.ndarray(shape, dtype, base, before * dtype.itemsize, [s * dtype.itemsize for s in strides])


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _is_index(value: Any) -> bool:
    return value.__class__ is Ref or (isinstance(value, np.ndarray) and value.dtype.kind == "i")


def _wrapped(operand: int, n: int) -> str:
    """An index that may count from the end."""
    return f"({{{operand}}} if {{{operand}}} >= 0 else {{{operand}}} + {n})"


# ---- rules -----------------------------------------------------------------------------------------------------------------
def _sum(low: Lowering, x: Any, axis: Any = None, keepdims: bool = False) -> Val:
    return low.gathered(np.add, x, axis, keepdims=keepdims)


def _total(low: Lowering, x: Any) -> Val:
    return low.gathered(np.add, x, None)


def sum_to(low: Lowering, g: Any, shape: tuple[int, ...]) -> Val:
    value = low.value(g)
    if value.shape == shape:
        return value
    lead = value.ndim - len(shape)
    axes = [*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and value.shape[i + lead] != 1)]
    made = low.reduce("+", value, axes, True, value.dtype) if axes else value
    return low.view(made, lambda v: v.reshape(shape))


def _broadcast(low: Lowering, x: Any, shape: tuple[int, ...], *_: Any) -> Val:
    value = low.value(x)
    return low.view(value, lambda v: np.broadcast_to(v, shape))


def _keep(low: Lowering, g: Any, mask: Any) -> Val:
    value = low.value(g)
    return low.kernel.map(
        "({0} if {1} else " + literal(0, value.dtype) + ")", [value, low.value(mask)], value.dtype
    )


def _where(low: Lowering, mask: Any, x: Any, y: Any) -> Val:
    kinds = [v if type(v) in (int, float, bool) else low.value(v).dtype for v in (x, y)]
    dtype = np.result_type(*kinds)
    operands = [low.cast(low.value(v, dtype), dtype) for v in (x, y)]
    return low.kernel.map("({1} if {0} else {2})", [low.value(mask), *operands], dtype)


def _copy(low: Lowering, x: Any, *_: Any, **__: Any) -> Val:
    value = low.value(x)
    return value if value.size == 1 else low.copied(value)


def _astype(low: Lowering, x: Any, dtype: Any, **_: Any) -> Val:
    return low.cast(low.value(x), np.dtype(dtype))


def _mean(
    low: Lowering, x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Val:
    value = low.value(x)
    total = low.gathered(np.add, x, axis, dtype, out, keepdims)
    count = value.size // max(total.size, 1)
    return low.kernel.map("{0} / " + literal(count, total.dtype), [total], total.dtype)


def _largest(low: Lowering, x: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Val:
    return low.gathered(np.maximum, x, axis, None, out, keepdims)


def _smallest(low: Lowering, x: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Val:
    return low.gathered(np.minimum, x, axis, None, out, keepdims)


def _summed(
    low: Lowering, x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Val:
    return low.gathered(np.add, x, axis, dtype, out, keepdims)


def _dot(low: Lowering, a: Any, b: Any) -> Val:
    return low.matmul(a, b)


def _filled(low: Lowering, value: Any, dtype: Any, shape: tuple[int, ...]) -> Val:
    made = low.cast(low.value(value, np.dtype(dtype)), np.dtype(dtype))
    return _broadcast(low, made, shape)


def _full(low: Lowering, shape: Any, value: Any, dtype: Any = None, **_: Any) -> Val:
    return _filled(low, value, dtype, tuple(shape) if isinstance(shape, (tuple, list)) else (shape,))


def _ones_like(low: Lowering, x: Any, dtype: Any = None, **_: Any) -> Val:
    like = low.value(x)
    return _filled(low, 1, dtype or like.dtype, like.shape)


def _zeros_like(low: Lowering, x: Any, dtype: Any = None, **_: Any) -> Val:
    like = low.value(x)
    return _filled(low, 0, dtype or like.dtype, like.shape)


RULES: dict[Any, Callable[..., Any]] = {
    raw.sum: _sum, raw.total: _total, raw.sum_to: sum_to, raw.broadcast_to: _broadcast, raw.keep: _keep,
    raw.where: _where, np.where: _where, np.copy: _copy, np.asarray: lambda low, x, *a, **k: low.value(x),
    np.sum: _summed, np.mean: _mean, np.dot: _dot, np.ones_like: _ones_like, np.zeros_like: _zeros_like,
}  # fmt: skip
METHOD_RULES: dict[str, Callable[..., Any]] = {
    "astype": _astype, "copy": _copy, "sum": _summed, "mean": _mean, "max": _largest, "min": _smallest, "dot": _dot,
    "take": lambda low, x, *a, **k: NAMED["take"](low, x, *a, **k),
    "flatten": lambda low, x: low.view(_copy(low, x), lambda v: v.reshape(-1)),
}  # fmt: skip
NAMED: dict[str, Callable[..., Any]] = {
    "_filled": _filled, "filled": _filled,
}  # fmt: skip
_SPECIAL = {"matmul": "@", "expit": "sigmoid({0})", "erf": "math.erf({0})", "erfc": "math.erfc({0})"}

__all__ = ["NAMED", "RULES", "Lowering", "sum_to", "untouched"]
