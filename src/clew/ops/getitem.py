"""`x[key]` and `x[key] = value`.

A key is walked from the left: integers select, slices slice, None adds a dimension; each is a view. What is left are
index tensors: they are broadcast against each other and read in one go (a copy). Their dimensions stand where the
first of them stood if they are next to each other, else in front (NumPy's rule, applied after the integers are gone).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import float32, ndarray

from clew.core import modes
from clew.core.inplace import check_write, make_view, write
from clew.core.modes import altered
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import from_numpy as from_numpy_dtype
from clew.ops._arguments import wrap_dim
from clew.ops._builders import broadcast_error, cast_array, convert
from clew.ops._views import _select, _slice
from clew.ops.create import number_in
from clew.ops.shape import alias, expand, slice_, unsqueeze

__all__ = ["index_put"]

_ALL = slice(None)
ZERO = float32(0)
Template = tuple[int | None, ...]  # by dimension: which index reads it, None: all of it


# ---- reading by index tensors ---------------------------------------------------------------------------------------------
def _key(template: Template, indices: Sequence[ndarray]) -> tuple[Any, ...]:
    return tuple([slice(None) if i is None else indices[i] for i in template])


def _read(self: ndarray, indices: Sequence[ndarray], template: Template) -> ndarray:
    try:
        if len(indices) == 1 and indices[0].dtype.kind != "b":
            return self.take(indices[0], len(template) - 1)
        made = self[_key(template, indices)]
    except IndexError as error:
        raise _numpy_error(error, indices, template) from None
    if made.__class__ is not ndarray:
        return np.asarray(made)
    return made if made.flags.c_contiguous else made.copy()


def _numpy_error(error: IndexError, indices: Sequence[ndarray], template: Template) -> IndexError:
    """NumPy's IndexError in PyTorch's words, which count the indexed dimensions only."""
    message = str(error)
    if message.startswith("shape mismatch"):
        shapes = ", ".join(str(list(i.shape)) for i in indices)
        return IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        )
    before, found, rest = message.partition("axis ")
    axis, _, rest = rest.partition(" ")
    if not found or not axis.isdigit():
        return IndexError(message)
    return IndexError(f"{before}dimension {template[int(axis)] or 0} {rest}")


def add_rows(target: ndarray, rows: ndarray, values: ndarray) -> None:
    """target[rows[i]] += values[i] for matrices, repeated rows included: the gradient of a look-up."""
    width = target.shape[1]
    if values.size >= 16384 and width >= 8 and values.dtype.char in "fd":  # worth a sparse product
        from scipy.sparse import csr_matrix

        n = len(rows)
        picks = csr_matrix((np.ones(n, values.dtype), rows, np.arange(n + 1)), shape=(n, len(target)))
        target += picks.T @ values
        return
    flat = (rows[:, None] * width + np.arange(width)).reshape(-1)
    np.add.at(target.reshape(-1), flat, np.ascontiguousarray(values, target.dtype).reshape(-1))


def accumulate(target: ndarray, indices: Sequence[ndarray], template: Template, values: Any) -> None:
    """target[key] += values, entries that are named several times included; `target` is in C order."""
    whole = np.broadcast_arrays(*indices)
    picked = [d for d, i in enumerate(template) if i is not None]
    others = [d for d in range(target.ndim) if d not in picked]
    sizes = [target.shape[d] for d in picked]
    if 0 in sizes or not target.size or not whole[0].size:
        return
    rows = np.zeros((), np.int64)
    for d in picked:
        rows = rows * target.shape[d] + whole[template[d]] % target.shape[d]  # type: ignore[index]
    rest = [target.shape[d] for d in others]
    shape = (*whole[0].shape, *rest)
    first = picked[0] if picked[-1] - picked[0] == len(picked) - 1 else 0
    if first:  # the index dimensions stand in the middle: bring them to the front
        full = (*rest[:first], *whole[0].shape, *rest[first:])
        values = np.broadcast_to(values, full)
        k = whole[0].ndim
        values = values.transpose((*range(first, first + k), *range(first), *range(first + k, len(full))))
    else:
        values = np.broadcast_to(values, shape)
    values = values.reshape(rows.size, -1) if rest else values.reshape(-1, 1)
    order = (*picked, *others)
    if order == tuple(range(target.ndim)):
        add_rows(target.reshape(-1, values.shape[1]), rows.reshape(-1), values)
        return
    moved = np.zeros([target.shape[d] for d in order], target.dtype)
    add_rows(moved.reshape(-1, values.shape[1]), rows.reshape(-1), values)
    target += moved.transpose(np.argsort(order))


def _index_array(tensors: list[ndarray], *, template: Template) -> Any:
    self, *indices = tensors
    kept = tuple([i.copy() for i in indices])  # a later write to an index tensor must not change the gradient
    return _read(self, kept, template), kept


_index = Primitive(
    "index",
    lambda tensors, *, template, shape: _index_array(tensors, template=template),
    lambda xp, g, needs, indices, template, shape: [
        xp.call(_index_back, g, *indices, template=template, shape=shape),
        *[None] * len(indices),
    ],
    args=("tensors",),
    params=("template", "shape"),
    aux={"indices": None},
    variadic=True,
    jvp="linear",
    explain="entries picked by index; their gradients go back there, and add up where an entry was picked twice",
)


def _index_back_array(tensors: list[ndarray], *, template: Template, shape: tuple[int, ...]) -> Any:
    grad, *indices = tensors
    made = np.zeros(shape, grad.dtype)
    if len(indices) == 1 and indices[0].dtype.kind == "b":
        made[_key(template, indices)] = grad
    else:
        accumulate(made, indices, template, grad)
    return made, tuple(indices)


_index_back: Primitive = Primitive(
    "index_backward",
    _index_back_array,
    lambda xp, g, needs, indices, template, shape: [
        xp.call(_index, g, *indices, template=template, shape=shape),
        *[None] * len(indices),
    ],
    args=("tensors",),
    params=("template", "shape"),
    aux={"indices": None},
    variadic=True,
    jvp="linear",
)


def _index_put_array(tensors: list[ndarray], *, template: Template, add: bool) -> Any:
    self, values, *indices = tensors
    made = self.copy("C")
    if add:
        _read(self, indices, template)
        accumulate(made, indices, template, values)
    else:
        made[_key(template, indices)] = values
    return made, tuple([i.copy() for i in indices])


def _index_put_back(xp: Any, g: Any, needs: Any, indices: Any, template: Template, add: bool) -> list[Any]:
    none = [None] * len(indices)
    of_self = None
    if needs[0]:
        zero = xp.constant(np.zeros((), (g._array if isinstance(g, Variable) else g).dtype))
        of_self = g if add else xp.call(_index_put, g, zero, *indices, template=template, add=False)
    return [
        of_self,
        xp.call(_index, g, *indices, template=template, shape=g.shape) if needs[1] else None,
        *none,
    ]


_index_put = Primitive(
    "index_put",
    _index_put_array,
    _index_put_back,
    args=("tensors",),
    params=("template", "add"),
    aux={"indices": None},
    variadic=True,
    jvp="linear",
    explain="entries overwritten (or added to) by index: their gradient goes to what was written",
)


# ---- walking a key -------------------------------------------------------------------------------------------------------
def _as_index(value: Any) -> Any:
    """An index given as tensor, array or sequence: the array to index with, or None if it is none."""
    if isinstance(value, Variable):
        return value.memory()
    if isinstance(value, (list, tuple)):
        array = np.asarray([v.item() if isinstance(v, Variable) and not v._array.ndim else v for v in value])
        return array.astype(np.int64) if not array.size else array
    return value if isinstance(value, (ndarray, range)) else None


def _check_index(array: ndarray) -> ndarray:
    kind = array.dtype.kind
    if kind == "b" or (kind == "i" and array.dtype.itemsize >= 4):
        return array
    if array.dtype == np.uint8:
        return array.astype(np.bool)
    if kind == "i" or kind == "u":
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    raise IndexError("tensors used as indices must be long, int, byte or bool tensors")


def _select_at(tensor: Any, dim: int, index: int, real_dim: int) -> Any:
    array = tensor.memory()
    n = array.shape[wrap_dim(dim, array.ndim)]
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of bounds for dimension {real_dim} with size {n}")
    if index < 0:
        index += n
    made = array[index, ...] if not dim else array[(slice(None),) * dim + (index, ...)]
    return make_view(_select, tensor, made, {"dim": dim, "index": index})


def _bounds(key: slice, n: int) -> tuple[int, int, int]:
    """Start, end and step of a slice of `n` entries."""
    try:
        start, end, step = key.indices(n)
    except TypeError:
        if any(isinstance(v, Variable) for v in (key.start, key.stop, key.step)):
            return _bounds(
                slice(*[v.item() if isinstance(v, Variable) else v for v in (key.start, key.stop, key.step)]),
                n,
            )
        raise
    if step <= 0:
        raise ValueError("step must be greater than zero")
    return start, max(start, end), step


def _no_index(value: Any) -> Exception:
    if isinstance(value, str):
        return TypeError("new(): invalid data type 'str'")
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return IndexError(
        f"only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {name})"
    )


def _walk(self: Any, key: tuple[Any, ...]) -> tuple[Any, list[ndarray], list[int | None]]:
    """The views that the basic parts of a key lead to, and the index arrays left over with their places."""
    ndim = self._array.ndim
    entries: list[Any] = []
    used = 0
    for part in key:
        if part is None or part is Ellipsis or part is True or part is False:
            entries.append(part)
            continue
        array = _as_index(part) if not isinstance(part, (int, slice)) else None
        if array is not None:
            array = _check_index(np.asarray(array))
            if not array.ndim:
                part = array.item()
                used += part.__class__ is not bool
            else:
                part = array
                used += array.ndim if array.dtype.kind == "b" else 1
        else:
            if isinstance(part, np.bool):
                raise _no_index(part)
            if not isinstance(part, slice):
                try:
                    part = operator.index(part)
                except TypeError:
                    raise _no_index(part) from None
            used += 1
        entries.append(part)
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    result, dim, real = self, 0, 0
    indices: list[ndarray] = []
    template: list[int | None] = []

    def place(array: ndarray) -> None:
        template.extend([None] * (dim - len(template)))
        template.append(len(indices))
        indices.append(array)

    for part in entries:
        kind = part.__class__
        if kind is int:
            result = _select_at(result, dim, part, real)
            real += 1
        elif kind is slice:
            if part != _ALL:
                n = result._array.shape[wrap_dim(dim, result._array.ndim)]
                start, end, step = _bounds(part, n)
                if part.start or end != n or step != 1:
                    result = slice_(result, dim, start, end, step)
            dim += 1
            real += 1
        elif part is Ellipsis:
            dim += ndim - used
            real += ndim - used
        elif part is None:
            result = unsqueeze(result, dim)
            dim += 1
        elif kind is bool:
            result = unsqueeze(result, dim)
            place(np.zeros(int(part), np.int64))
            dim += 1
        elif part.dtype.kind == "b":
            shape = result._array.shape
            for i, n in enumerate(part.shape):
                if shape[dim + i] != n:
                    raise IndexError(
                        f"The shape of the mask {list(part.shape)} at index {i} does not match the shape of the indexed "
                        f"tensor {list(shape)} at index {dim + i}"
                    )
            for found in part.nonzero():
                place(found)
                dim += 1
            real += part.ndim
        else:
            place(part)
            dim += 1
            real += 1
    if indices and not result._array.size and 0 not in _indexed(result._array.shape, template):
        indices = [np.zeros_like(i) for i in indices]  # nothing is read, and so nothing checked
    return result, indices, template


def _indexed(shape: tuple[int, ...], template: Sequence[int | None]) -> list[int]:
    """The sizes of the dimensions that index arrays stand at."""
    return [n for n, place in zip(shape, template) if place is not None]


def _parts(key: Any) -> tuple[Any, ...]:
    """A key as a tuple: a list that holds more than numbers is one, too (an old habit PyTorch keeps)."""
    if key.__class__ is tuple:
        return key
    if key.__class__ is list and len(key) < 32:
        for part in key:
            if part is None or part is Ellipsis or isinstance(part, (Variable, list, tuple, slice, ndarray)):
                return tuple(key)
    return (key,)


def getitem(self: Any, key: Any) -> Any:
    """`x[key]`: a view for integers, slices, None and `...`; a copy where tensors, lists or masks take part."""
    kind = key.__class__
    if kind is int or kind is slice:
        array = self._array
        if array.__class__ is not ndarray:
            array = self.memory()
        if not array.ndim:
            raise _zero_dim() if kind is int else IndexError("slice() cannot be applied to a 0-dim tensor.")
        n = array.shape[0]
        if kind is int:
            if not -n <= key < n:
                raise IndexError(f"index {key} is out of bounds for dimension 0 with size {n}")
            if key < 0:
                key += n
            return make_view(_select, self, array[key, ...], {"dim": 0, "index": key})
        start, end, step = _bounds(key, n)
        return make_view(
            _slice, self, array[start:end:step], {"dim": 0, "start": start, "end": end, "step": step}
        )
    result, indices, template = _walk(self, _parts(key))
    if indices:
        return _index(result, *map(wrap, indices), template=tuple(template), shape=result._array.shape)
    return alias(self) if result is self else result


def _zero_dim() -> IndexError:
    return IndexError(
        "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim "
        "tensor to a number"
    )


# ---- writing -------------------------------------------------------------------------------------------------------------
def _as_value(self: Any, value: Any) -> Any:
    """What is written, as a tensor of the written tensor's dtype."""
    if not isinstance(value, Variable):
        if not isinstance(value, (bool, int, float, complex, np.generic)):
            kind = type(value)
            name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
            raise TypeError(f"can't assign a {name} to a {_type_name(self)}")
        value = wrap(as_number(value, self._array.dtype))
    return value


def as_number(value: Any, dtype: Any) -> ndarray:
    """A Python number as a 0-d array of a type; RuntimeError for one that the type cannot hold."""
    if dtype.kind == "f" and value.__class__ is float and dtype.itemsize >= 4 and -3e38 < value < 3e38:
        return np.asarray(value, dtype)
    array = np.asarray(value)
    if array.dtype.kind == dtype.kind and array.dtype.itemsize <= dtype.itemsize:
        return cast_array(array, dtype)
    return np.asarray(number_in(value, from_numpy_dtype(dtype)), dtype)


def _type_name(self: Any) -> str:
    from clew.dtypes import tensor_type_name

    return tensor_type_name(self._array.dtype)


def setitem(self: Any, key: Any, value: Any) -> None:
    """`x[key] = value`: written into the memory of `x` and, where gradients flow, into its history."""
    value = _as_value(self, value)
    if key.__class__ is int and not self._array.ndim:
        raise _zero_dim()
    result, indices, template = _walk(self, _parts(key))
    shape = value._array.shape
    while shape and shape[0] == 1:  # sizes of 1 in front do not count
        shape = shape[1:]
    if not indices:
        if shape != value._array.shape:
            value = value.reshape(shape)
        if shape != result._array.shape:
            expand(wrap(value._array), *result._array.shape)  # raises if it does not fit
        copy_(result, value) if shape else fill_(result, value)
        return
    if key is False:  # nothing is named
        return
    _put(
        result,
        indices,
        tuple(template),
        value if shape == value._array.shape else value.reshape(shape),
        False,
    )


def _put(self: Any, indices: list[ndarray], template: Template, values: Any, add: bool) -> Any:
    check_write(self, recorded=values.requires_grad)
    _check_put(self, indices, template, values)
    _same_dtype(self, values)
    if (self.requires_grad or values.requires_grad) and not (altered and not modes.switches.grad):
        return write(self, _index_put(self, values, *map(wrap, indices), template=template, add=add))
    _before_write(self)
    array = self.memory()
    if add:
        if array.flags.c_contiguous:
            accumulate(array, indices, template, values._array)
        else:
            copy = array.copy("C")
            accumulate(copy, indices, template, values._array)
            array[...] = copy
    else:
        array[_key(template, indices)] = values._array
    self.written()
    return self


def _check_put(self: Any, indices: list[ndarray], template: Template, values: Any) -> None:
    """Every error of an indexed write, before anything is written."""
    shape = _read(np.broadcast_to(np.int8(0), self._array.shape), indices, template).shape
    have = values._array.shape
    if have != shape and have != ():
        try:
            fits = np.broadcast_shapes(have, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(have)} cannot be broadcast to indexing result of shape {list(shape)}"
            )


def _before_write(self: Any) -> None:
    if altered and modes.switches.copy_on_write is not None:
        modes.switches.copy_on_write.rescue(self)


def _put_arguments(self: Any, indices: Sequence[Any]) -> tuple[list[ndarray], Template]:
    key = tuple([slice(None) if i is None else i for i in indices])
    _, arrays, template = _walk(wrap(self._array), key)
    return arrays, tuple(template)


def index_put_(self: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """self[indices] = values, or += with `accumulate`, in place; `indices` is a tuple of tensors (None: all)."""
    arrays, template = _put_arguments(self, indices)
    return _put(self, arrays, template, values, accumulate)


def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """A copy of `input` with input[indices] = values, or += with `accumulate`."""
    arrays, template = _put_arguments(input, indices)
    _check_put(input, arrays, template, values)
    _same_dtype(input, values)
    return _index_put(input, values, *map(wrap, arrays), template=template, add=accumulate)


def _same_dtype(self: Any, values: Any) -> None:
    from clew.dtypes import legacy_name

    if self._array.dtype != values._array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {legacy_name(self._array.dtype)} for the destination "
            f"and {legacy_name(values._array.dtype)} for the source."
        )


# ---- copy_, fill_, zero_ ---------------------------------------------------------------------------------------------------
_copy = Primitive(
    "copy_",
    lambda self, src: np.broadcast_to(
        cast_array(src, self.dtype) if src.dtype != self.dtype else src, self.shape
    ),
    {"self": lambda xp, g: g * 0, "src": lambda xp, g: g},
    node="CopyBackwards",
    jvp="linear",
    explain="overwritten by another tensor, to which the gradient goes",
)
_copy.node_class.name = lambda self: "torch::autograd::CopyBackwards"
_fill = Primitive(
    "fill_",
    lambda self, value: np.broadcast_to(value, self.shape),
    {"self": lambda xp, g: g * 0, "value": lambda xp, g: g},
    node="FillBackward3",
    jvp="linear",
    explain="overwritten by one number, to which the gradients go",
)
_fill_number = Primitive(
    "fill_number",
    lambda self, *, value: np.broadcast_to(value, self.shape),
    {"self": lambda xp, g: g * 0},
    node="FillBackward2",
    jvp=None,
    explain="overwritten by a number: no gradient goes on",
)
_zero = Primitive(
    "zero_",
    lambda self: np.zeros(self.shape, self.dtype),
    {"self": lambda xp, g: g * 0},
    node="ZeroBackward0",
    jvp=None,
    explain="overwritten by zeros: no gradient goes on",
)


def _recorded(*tensors: Any) -> bool:
    return not (altered and not modes.switches.grad) and any(t.requires_grad for t in tensors)


def _store(self: Any, values: Any) -> Any:
    """A write that needs no history."""
    _before_write(self)
    if self._array.__class__ is not ndarray:
        self._rebind(np.asarray(values).reshape(()).astype(self._array.dtype)[()])
    else:
        self._array[...] = values
    self.written()
    return self


def copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """The values of `src`, broadcast and cast, written into this tensor; the gradient goes to `src`."""
    if not isinstance(src, Variable):
        src = wrap(as_number(src, self._array.dtype))
    check_write(self, recorded=src.requires_grad)
    have, want = src._array.shape, self._array.shape
    if have != want:
        try:
            fits = np.broadcast_shapes(have, want) == want
        except ValueError:
            raise broadcast_error(want, have) from None
        if not fits:
            raise RuntimeError(
                f"output with shape {list(want)} doesn't match the broadcast shape {list(np.broadcast_shapes(have, want))}"
            )
    if _recorded(self, src):
        return write(self, _copy(self, src))
    values = src._array
    return _store(
        self, values if values.dtype == self._array.dtype else cast_array(values, self._array.dtype)
    )


def fill_(self: Any, value: Any) -> Any:
    """Every element set to `value`, a number or a 0-d tensor."""
    if isinstance(value, Variable):
        if value._array.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value._array.ndim} dimensions."
            )
        check_write(self, recorded=value.requires_grad, shared=True)
        if _recorded(self, value):
            return write(self, _fill(self, convert(value, self._array.dtype)), shared=True)
        value = value._array
    else:
        check_write(self, shared=True)
    number = as_number(value.item() if isinstance(value, np.generic) else value, self._array.dtype)
    if _recorded(self):
        return write(self, _fill_number(self, value=number), shared=True)
    return _store(self, number)


def zero_(self: Any) -> Any:
    """Every element set to 0."""
    if self._edge is None and self._view is None and not altered:  # a gradient, most often: nothing to record
        array = self._array
        if array.__class__ is ndarray:
            array.fill(0)
        else:
            self._rebind(ZERO if array.__class__ is float32 else array.__class__(0))
        self.written()
        return self
    check_write(self, shared=True)
    if _recorded(self):
        return write(self, _zero(self), shared=True)
    return _store(self, 0)
