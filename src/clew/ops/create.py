"""Making tensors: from data, filled with one number, from ranges."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from clew.core.modes import first_time, is_grad_enabled
from clew.core.variable import Variable, wrap
from clew.device import check as check_device
from clew.dtypes import (
    bool_,
    c_name,
    check_layout,
    complex128,
    contiguous_format,
    defaults,
    dtype,
    float64,
    int64,
    legacy_name,
    promote_types,
    scalar_dtype,
    tensor_type_name,
)  # fmt: skip
from clew.dtypes import (
    from_numpy as from_numpy_dtype,
)
from clew.ops._arguments import check_tensor, plain_number, sizes, tensor_dtype
from clew.ops._builders import cast_array

__all__ = [
    "as_tensor", "asarray", "empty", "empty_like", "empty_strided", "eye", "from_dlpack", "from_numpy",
    "frombuffer", "full", "full_like", "ones", "ones_like", "scalar_tensor", "tensor",
    "zeros", "zeros_like",
]  # fmt: skip


def finish(array: np.ndarray, requires_grad: bool = False, out: Any = None) -> Any:
    """A new tensor around a fresh array."""
    if out is not None:
        from clew.core.inplace import store_out

        return store_out(out, wrap(array))
    result = wrap(array if array.ndim else array[()])
    if requires_grad:
        result._become_leaf()
    return result


def as_dtype(value: Any, function: str = "tensor") -> dtype | None:
    """A `dtype=` argument: a clew dtype, or one of Python's types that PyTorch accepts."""
    if value is None or isinstance(value, dtype):
        return value
    found = {float: float64, int: int64, bool: bool_, complex: complex128}.get(value)
    if found is None:
        raise TypeError(f"{function}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}")
    return found


MISSING: Any = object()


# ---- from data ------------------------------------------------------------------------------------------------------
def tensor(
    data: Any = MISSING,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A new tensor with a copy of `data`: a number, nested sequences, an array or a tensor.

    The type is `dtype`, or the data's own: Python floats take the default type, ints int64. ValueError for ragged
    sequences, TypeError for data that is not numbers.
    """
    if data is MISSING:
        raise TypeError('tensor() missing 1 required positional arguments: "data"')
    if device is not None:
        check_device(device)
    if isinstance(data, Variable):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    return finish(to_array(data, as_dtype(dtype), copy=True), requires_grad)


def to_array(data: Any, want: dtype | None = None, *, copy: bool = False) -> np.ndarray:
    """Data as an array of the type PyTorch would infer, or of `want`."""
    if isinstance(data, Variable):
        array = np.asarray(data._array)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        _check_foreign(array)
    elif isinstance(data, (float, int, complex)):
        return _stored([data], want or scalar_dtype(data))[0, ...]
    elif hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        array = np.asarray(data)
    else:
        return _from_sequence(data, want)
    target = (want or from_numpy_dtype(array.dtype)).np
    if array.dtype != target:
        return cast_array(array, target)
    return array.copy() if copy else array


def _check_foreign(array: np.ndarray) -> None:
    """ValueError for arrays in whose memory no tensor can lie."""
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array  with array.copy().) "
        )
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )


_PLAIN = {float, int, bool, complex}
_SLOW_LIST = (
    "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting the list to a single "
    "numpy.ndarray with numpy.array() before converting to a tensor."
)
_MAX_DIMS = 128


def _is_sequence(value: Any) -> bool:
    """Whether C's PySequence_Check would say so: indexable, but no dict."""
    kind = value.__class__
    return (
        kind is list
        or kind is tuple
        or (hasattr(value, "__getitem__") and not isinstance(value, (dict, Variable, np.generic)))
    )


def _from_sequence(data: Any, want: dtype | None) -> np.ndarray:
    """Nested sequences of numbers, arrays and tensors. The first elements tell the shape, all of them the type."""
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    shape: list[int] = []
    first = data
    while _is_sequence(first):
        shape.append(len(first))
        if len(shape) > _MAX_DIMS:
            raise ValueError(f"too many dimensions '{type(first).__name__}'")
        if not shape[-1]:
            break
        first = first[0]
    if len(shape) > 1 and isinstance(data[0], np.ndarray):
        warnings.warn(_SLOW_LIST, UserWarning, stacklevel=4)
    level = [data]
    for dim, size in enumerate(shape):
        for item in level:
            if not _is_sequence(item) or len(item) != size:
                _infer(data)  # what cannot be a number at all is found first
                if not _is_sequence(item):
                    raise TypeError("not a sequence")
                raise ValueError(f"expected sequence of length {size} at dim {dim} (got {len(item)})")
        level = list(chain.from_iterable(level))
    return _stored(level, want or _infer(level)).reshape(shape)


def _infer(data: Any) -> dtype:
    """The type that holds all the numbers of a flat or nested sequence; the default type where there are none."""
    if not _is_sequence(data):
        if isinstance(data, Variable):
            return tensor_dtype(data)
        if isinstance(data, np.generic):
            return from_numpy_dtype(data.dtype)
        if isinstance(data, (float, int, complex)):
            return scalar_dtype(data)
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(data, np.ndarray):
        return from_numpy_dtype(data.dtype)
    kinds = set(map(type, data))
    if not kinds:
        return defaults.dtype
    found: dtype | None = None
    for kind in [scalar_dtype(kind()) for kind in kinds] if kinds <= _PLAIN else map(_infer, data):
        found = kind if found is None else promote_types(found, kind)
    return found  # type: ignore[return-value]


def _stored(numbers: list[Any], want: dtype) -> np.ndarray:
    """Python numbers, NumPy scalars and tensors of one element in a type, with PyTorch's checks."""
    kinds = set(map(type, numbers))
    if not kinds <= _PLAIN:
        numbers = [_plain(value, want) for value in numbers]
        kinds = set(map(type, numbers))
    if want.category == 0:
        return np.fromiter(map(bool, numbers), dtype=np.bool, count=len(numbers))
    if want.category == 3:
        return np.array(numbers, dtype=np.complex128).astype(want.np)
    if want.category == 1:
        return _whole(numbers, kinds, want)
    if complex in kinds:
        raise TypeError("must be real number, not complex")
    return np.array(numbers, dtype=np.float64).astype(want.np)


def _whole(numbers: list[Any], kinds: set[type], want: dtype) -> np.ndarray:
    """Numbers in an integer type: what it cannot hold is refused, but small negative ones wrap in unsigned types."""
    if complex in kinds:
        raise TypeError("'complex' object cannot be interpreted as an integer")
    info = np.iinfo(want.np)
    lowest = info.min or -int(info.max)
    if float in kinds:
        if all(info.min <= value <= info.max for value in numbers):
            return np.array([int(value) for value in numbers], dtype=np.int64).astype(want.np)
    else:
        wide = np.uint64 if want.itemsize == 8 and not info.min else np.int64
        try:
            array = np.array(numbers, dtype=wide)
        except OverflowError:
            raise ValueError("Overflow when unpacking long long") from None
        if want.itemsize == 8 or not array.size or (array.min() >= lowest and array.max() <= info.max):
            return array.astype(want.np)
    raise RuntimeError(f"value cannot be converted to type {want.name} without overflow")


def _plain(value: Any, want: dtype) -> Any:
    """A leaf of nested data as a Python number."""
    if value.__class__ in _PLAIN:
        return value
    if isinstance(value, Variable):
        array = value._array
        if want.category < 2:
            if array.size != 1 or array.dtype.kind not in "iub":
                raise TypeError("only integer tensors of a single element can be converted to an index")
        elif value.requires_grad:
            warn_scalar(8)
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    if want.category < 2 and not hasattr(value, "__index__"):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    if want.category >= 2 and not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    return operator.index(value) if want.category < 2 else float(value)


def warn_scalar(stacklevel: int) -> None:
    """UserWarning, once: a number taken from a tensor leaves autograd's sight."""
    if is_grad_enabled() and first_time("scalar"):
        warnings.warn(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
            "Consider using tensor.detach() first.",
            UserWarning,
            stacklevel=stacklevel,
        )


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Any:
    """`data` as a tensor, without a copy where its memory can be shared."""
    check_device(device)
    want = as_dtype(dtype)
    if isinstance(data, Variable):
        return data if want is None or tensor_dtype(data) is want else data.to(want)
    if isinstance(data, np.ndarray) and (want is None or data.dtype == want.np):
        return from_numpy(data)
    return finish(to_array(data, want))


def asarray(
    obj: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Any:
    """`obj` as a tensor, sharing memory unless `copy` is true."""
    check_device(device)
    want = as_dtype(dtype, "asarray")
    if isinstance(obj, (bytes, bytearray, memoryview)):
        source = frombuffer(obj, dtype=want or defaults.dtype)
    elif isinstance(obj, Variable):
        source = obj
    elif isinstance(obj, np.ndarray):
        source = from_numpy(obj)
    elif copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    else:
        return finish(to_array(obj, want), requires_grad)
    if want is not None and tensor_dtype(source) is not want:
        if copy is False:
            have = legacy_name(tensor_dtype(source))
            raise ValueError(f"can't alias tensor with dtype '{have}' into dtype '{legacy_name(want)}'.")
        source = source.to(want)
    elif copy:
        source = source.clone()
    if requires_grad:
        return source.requires_grad_()
    return source.detach() if source is not obj and source.requires_grad else source


def from_numpy(ndarray: Any) -> Any:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        kind = type(ndarray)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        raise TypeError(f"expected np.ndarray (got {name})")
    _check_foreign(ndarray)
    from_numpy_dtype(ndarray.dtype)
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means "
            "writing to this tensor will result in undefined behavior. You may want to copy the array to protect its "
            "data or make it writable before converting it to a tensor. This type of warning will be suppressed for "
            "the rest of this program.",
            UserWarning,
            stacklevel=2,
        )
    return wrap(ndarray.view(np.ndarray))


def frombuffer(
    buffer: Any, *, dtype: dtype | None = None, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Any:
    """A one-dimensional tensor that shares the memory of a Python buffer."""
    if dtype is None:
        raise TypeError('frombuffer() missing 1 required positional arguments: "dtype"')
    try:
        size = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % dtype.itemsize:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({dtype.itemsize})"
        )
    if count > 0 and count * dtype.itemsize > size - offset:
        raise ValueError(
            f"requested buffer length ({count} * {dtype.itemsize} bytes) after offset ({offset} bytes) must not be "
            f"greater than actual buffer length ({size} bytes)"
        )
    result = wrap(np.frombuffer(buffer, dtype=dtype.np, count=count, offset=offset))
    return result.requires_grad_() if requires_grad else result


SPENT_CAPSULE = (
    "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might have "
    "already constructed a tensor from it once."
)


class _Capsule:
    """A bare DLPack capsule as an object that NumPy takes it from."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor that shares the memory of another library's array, through the DLPack protocol."""
    check_device(device)
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise RuntimeError(SPENT_CAPSULE)
    try:
        array = np.from_dlpack(ext_tensor)
    except ValueError:  # a capsule taken before
        raise RuntimeError(SPENT_CAPSULE) from None
    if copy:
        array = array.copy()
    elif not array.flags.writeable:
        array = np.lib.stride_tricks.as_strided(array, writeable=True) if array.flags.owndata else array
    return wrap(array)


def is_data(argument: Any) -> bool:
    """Whether the one argument of an old constructor is the values; else it is a size."""
    if isinstance(argument, np.ndarray) and argument.ndim:  # it has an __index__ too
        return True
    if type(argument).__name__ == "Size" or hasattr(argument, "__index__"):
        return False
    if not hasattr(argument, "__getitem__") or isinstance(argument, np.generic):
        kind = type(argument)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        raise TypeError(f"new(): data must be a sequence (got {name})")
    return True


def from_constructor(args: tuple[Any, ...], device: Any = None) -> Any:
    """`torch.Tensor(…)`: of sizes a tensor of that shape, of data its values, of a tensor an alias of it."""
    check_device(device)
    if len(args) == 1 and isinstance(args[0], Variable):
        if args[0]._array.dtype != defaults.dtype.np:
            raise TypeError(
                f"expected {tensor_type_name(defaults.dtype)} (got {tensor_type_name(args[0]._array.dtype)})"
            )
        return wrap(args[0].memory())
    if len(args) == 1 and is_data(args[0]):
        return finish(to_array(args[0], defaults.dtype, copy=True))
    return empty(*args) if args else empty(0)


# ---- filled ---------------------------------------------------------------------------------------------------------
def _options(function: str, dtype: Any, device: Any) -> np.dtype[Any]:
    if device is not None:
        check_device(device)
    return (as_dtype(dtype, function) or defaults.dtype).np


def shape_of(size: Sequence[Any], function: str) -> tuple[int, ...]:
    """The shape that `f(2, 3)`, `f((2, 3))` or `f()` asks for."""
    if not size:
        raise TypeError(f'{function}() missing 1 required positional arguments: "size"')
    try:
        shape = sizes(size)
    except TypeError:
        shape = None
    if shape is None or isinstance(size[0], bool):
        raise _bad_size(size, function)
    if shape and min(shape) < 0:
        if function == "zeros":
            raise RuntimeError("zeros: Dimension size must be non-negative.")
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return shape


def _bad_size(size: Sequence[Any], function: str) -> TypeError:
    """PyTorch's sentence for a size that is no tuple of ints."""
    items = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    if items is not size and items and isinstance(items[0], float):
        return TypeError(
            f"{function}(): argument 'size' (position 1) must be tuple of ints, but found element of type float at pos 0"
        )
    if len(items) > 1 and isinstance(items[0], int):
        at, bad = next((i, v) for i, v in enumerate(items) if not hasattr(v, "__index__"))
        return TypeError(
            f"{function}(): argument 'size' failed to unpack the object at pos {at + 1} with error \"type must be tuple of "
            f'ints,but got {type(bad).__name__}"'
        )
    return TypeError(
        f"{function}(): argument 'size' (position 1) must be tuple of ints, not {type(size[0]).__name__}"
    )


def _filled(name: str, make: Any, doc: str) -> tuple[Any, Any]:
    """`zeros` and `zeros_like`, and their kin."""

    def new(
        *size: Any, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, names: Any = None, memory_format: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        if not size and "size" in kwargs:
            size = (kwargs.pop("size"),)
        if kwargs:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
        check_layout(layout)
        if out is not None:
            dtype = out_dtype(dtype, out)
        return finish(make(shape_of(size, name), _options(name, dtype, device)), requires_grad, out)

    def new_like(
        input: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, memory_format: Any = None,
    ) -> Any:  # fmt: skip
        array = check_tensor(input, name + "_like")._array
        check_device(device)
        check_layout(layout)
        want = (as_dtype(dtype, name + "_like") or from_numpy_dtype(array.dtype)).np
        made = make(array.shape, want)
        if (
            array.ndim > 1
            and not array.flags.c_contiguous
            and 0 not in array.strides
            and memory_format is not contiguous_format
        ):
            kept = np.empty_like(array, dtype=want)
            kept[...] = made
            made = kept
        return finish(made, requires_grad)

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"A tensor of shape `size` {doc}."
    new_like.__name__ = new_like.__qualname__ = name + "_like"
    new_like.__doc__ = f"A tensor of `input`'s shape and type {doc}."
    return new, new_like


def out_dtype(dtype: Any, out: Any) -> Any:
    """The type of a result for `out=`; RuntimeError where another is asked for."""
    have = tensor_dtype(out)
    if dtype is not None and as_dtype(dtype) is not have:
        raise RuntimeError(
            f"dtype {legacy_name(as_dtype(dtype))} does not match dtype of out parameter ({legacy_name(have)})"
        )
    return have


zeros, zeros_like = _filled("zeros", np.zeros, "filled with 0")
ones, ones_like = _filled("ones", np.ones, "filled with 1")
empty, empty_like = _filled("empty", np.zeros, "whose values are not defined (clew fills them with 0)")


def full(
    size: Any, fill_value: Any = MISSING, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, names: Any = None,
) -> Any:  # fmt: skip
    """A tensor of shape `size` filled with one number, whose type decides where `dtype` does not."""
    check_device(device)
    check_layout(layout)
    if fill_value is MISSING:
        raise TypeError('full() missing 1 required positional arguments: "fill_value"')
    fill_value = plain_number(fill_value, "full", "fill_value", 2)
    if not isinstance(fill_value, (int, float, complex, np.generic)):
        raise TypeError(
            f"full(): argument 'fill_value' (position 2) must be Number, not {type(fill_value).__name__}"
        )
    if isinstance(size, (int, float, str)) or size is None:
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    if out is not None:
        dtype = out_dtype(dtype, out)
    want = as_dtype(dtype, "full") or scalar_dtype(fill_value)
    return finish(
        np.full(shape_of((size,), "full"), number_in(fill_value, want), dtype=want.np), requires_grad, out
    )


def number_in(value: Any, want: dtype) -> Any:
    """A number to fill a tensor of some type with; RuntimeError where the type cannot hold it."""
    value = value.item() if isinstance(value, np.generic) else value
    real = want.category < 3
    fits = not (real and isinstance(value, complex) and value.imag != 0.0)
    if fits and real and isinstance(value, complex):
        value = value.real
    if fits and want.category == 1:
        info = np.iinfo(want.np)
        fits = (info.min or -int(info.max)) <= value <= info.max
    elif fits and want.category == 2 and want.itemsize < 8 and math.isfinite(value):
        largest = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}.get(
            want.name, 3.4028234663852886e38
        )
        fits = abs(value) <= largest
    if not fits:
        raise RuntimeError(f"value cannot be converted to type {c_name(want)} without overflow")
    if want.category == 1:
        return np.asarray(int(value) & (2 ** (8 * want.itemsize) - 1), dtype=f"u{want.itemsize}").astype(
            want.np
        )
    return bool(value) if want.category == 0 else value


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """A tensor of `input`'s shape and type filled with one number."""
    check_tensor(input, "full_like")
    want = as_dtype(dtype) or tensor_dtype(input)
    fill_value = plain_number(fill_value, "full_like", "fill_value", 2)
    return full(
        input._array.shape, fill_value, dtype=want, device=device, layout=layout, requires_grad=requires_grad
    )


def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """A 0-d tensor of the default type."""
    return tensor(s, dtype=as_dtype(dtype) or defaults.dtype, device=device, requires_grad=requires_grad)


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:  # fmt: skip
    """A tensor of the given shape and strides (in elements)."""
    check_layout(layout)
    want = _options("empty_strided", dtype, device)
    shape, strides = shape_of((size,), "empty_strided"), sizes((stride,))
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})"
        )
    need = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    memory = np.zeros(need, dtype=want)
    array = np.lib.stride_tricks.as_strided(memory, shape, [s * want.itemsize for s in strides])
    return finish(array, requires_grad)


def eye(
    n: int, m: int | None = None, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """The n × m matrix with ones on the diagonal."""
    check_layout(layout)
    m = n if m is None else m
    for value, name, position in ((n, "n", 1), (m, "m", 2)):
        if not hasattr(value, "__index__"):
            raise TypeError(
                f"eye(): argument '{name}' (position {position}) must be int, not {type(value).__name__}"
            )
    n, m = operator.index(n), operator.index(m)
    if n < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    if m < 0:
        raise RuntimeError(f"m must be greater or equal to 0, got {m}")
    want = _options("eye", dtype if out is None else out_dtype(dtype, out), device)
    if want.kind == "u" and want.itemsize > 1:
        raise NotImplementedError(f"\"eye\" not implemented for '{legacy_name(want)}'")
    return finish(np.eye(n, m, dtype=want), requires_grad, out)
