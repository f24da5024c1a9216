"""Making tensors: from data, filled with one number, from ranges."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.device import check as check_device
from clew.dtypes import (
    bool_, complex128, defaults, dtype, float32, float64, from_numpy, int64, promote_types, scalar_dtype,
)  # fmt: skip
from clew.ops._arguments import check_tensor, sizes, tensor_dtype

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "empty_strided", "eye", "from_dlpack", "from_numpy",
    "frombuffer", "full", "full_like", "linspace", "logspace", "ones", "ones_like", "range", "scalar_tensor", "tensor",
    "zeros", "zeros_like",
]  # fmt: skip

from_numpy_dtype = from_numpy


def finish(array: np.ndarray, requires_grad: bool = False, out: Any = None) -> Any:
    """A new tensor around a fresh array."""
    if out is not None:
        from clew.core.inplace import store_out

        return store_out(out, wrap(array))
    result = wrap(array if array.ndim else array[()])
    if requires_grad:
        result.requires_grad = True
    return result


def as_dtype(value: Any, function: str = "tensor") -> dtype | None:
    """A `dtype=` argument: a clew dtype, or one of Python's types that PyTorch accepts."""
    if value is None or isinstance(value, dtype):
        return value
    found = {float: float64, int: int64, bool: bool_, complex: complex128}.get(value)
    if found is None:
        raise TypeError(f"{function}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}")
    return found


# ---- from data ------------------------------------------------------------------------------------------------------
def tensor(
    data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Any:
    """A new tensor with a copy of `data`: a number, nested sequences, an array or a tensor.

    The type is `dtype`, or the data's own: Python floats take the default type, ints int64. ValueError for ragged
    sequences, TypeError for data that is not numbers.
    """
    if device is not None:
        check_device(device)
    if isinstance(data, Variable):
        import warnings

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
    elif isinstance(data, (bool, int, float, complex)):
        return _number(data, want)
    elif hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        array = np.asarray(data)
    else:
        return _from_sequence(data, want)
    target = (want or from_numpy_dtype(array.dtype)).np
    return array.astype(target, copy=copy) if array.dtype.kind != "c" or target.kind == "c" else array.real.astype(target)


def _number(value: Any, want: dtype | None) -> np.ndarray:
    want = want or scalar_dtype(value)
    if want.category < 2 and isinstance(value, complex):
        raise TypeError("can't convert complex to int")
    if want.category == 1 and isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):
            raise (OverflowError if math.isinf(value) else ValueError)(
                "cannot convert float infinity to integer" if math.isinf(value) else "cannot convert float NaN to integer"
            )
        info = np.iinfo(want.np)
        if not info.min <= int(value) <= info.max:
            raise RuntimeError(
                "Overflow when unpacking long long"
                if want is int64
                else f"value cannot be converted to type {want.np.name}_t without overflow"
            )
        return np.asarray(int(value), dtype=want.np)
    return np.asarray(value).astype(want.np)


def _from_sequence(data: Any, want: dtype | None) -> np.ndarray:
    """Nested sequences of numbers, arrays and tensors."""
    if isinstance(data, (str, bytes)) or not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        if isinstance(data, str):
            raise TypeError("new(): invalid data type 'str'")
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    kinds: set[dtype] = set()
    nested = _numbers(data, kinds)
    inferred = defaults.dtype
    if kinds:
        inferred = next(iter(kinds))
        for kind in kinds:
            inferred = promote_types(inferred, kind)
    target = want or inferred
    try:
        array = np.array(nested, dtype=None if inferred.category != 3 else np.complex128)
    except ValueError:
        array = np.array(None)
    if array.dtype == object:
        _refuse_ragged(nested)
    if target.category < 2 and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("cannot convert float NaN to integer")
    if target.category == 1 and array.size and array.dtype.kind in "iu":
        info = np.iinfo(target.np)
        if array.min() < info.min or array.max() > info.max:
            raise RuntimeError(f"value cannot be converted to type {target.np.name}_t without overflow")
    return array.astype(target.np)


def _numbers(data: Any, kinds: set[dtype]) -> Any:
    """Nested lists with tensors and arrays turned into plain numbers, noting the types met."""
    if isinstance(data, (bool, int, float, complex)):
        kinds.add(scalar_dtype(data))
        return data
    if isinstance(data, Variable):
        kinds.add(tensor_dtype(data))
        return np.asarray(data._array).tolist()
    if isinstance(data, (np.ndarray, np.generic)):
        kinds.add(from_numpy_dtype(data.dtype))
        return data.tolist()
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if data is None or not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        if hasattr(data, "__float__"):
            kinds.add(defaults.dtype)
            return float(data)
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    return [_numbers(item, kinds) for item in data]


def _refuse_ragged(nested: Any) -> None:
    """PyTorch's sentence for sequences whose lengths differ."""
    dim, level = 0, [nested]
    while True:
        lengths = [len(item) if isinstance(item, list) else -1 for item in level]
        if len(set(lengths)) > 1:
            first, other = lengths[0], next(n for n in lengths if n != lengths[0])
            if -1 in (first, other):
                raise TypeError("not a sequence") if first != -1 else ValueError("only one element tensors can be converted to Python scalars")  # fmt: skip
            raise ValueError(f"expected sequence of length {first} at dim {dim} (got {other})")
        if lengths[0] == -1:
            raise TypeError(f"new(): invalid data type '{type(level[0]).__name__}'")
        level = [item for parent in level for item in parent]
        dim += 1


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Any:
    """`data` as a tensor, without a copy where its memory can be shared."""
    check_device(device)
    want = as_dtype(dtype)
    if isinstance(data, Variable):
        return data if want is None or tensor_dtype(data) is want else data.to(want)  # type: ignore[attr-defined]
    if isinstance(data, np.ndarray) and (want is None or data.dtype == want.np):
        return from_numpy(data)
    return finish(to_array(data, want))


def asarray(
    obj: Any, *, dtype: dtype | None = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Any:
    """`obj` as a tensor, sharing memory unless `copy` is true."""
    result = as_tensor(obj, dtype, device)
    if copy and (result is obj or isinstance(obj, np.ndarray)):
        result = result.clone()
    return result.requires_grad_() if requires_grad else result


def from_numpy(ndarray: Any) -> Any:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    from_numpy_dtype(ndarray.dtype)
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array  with array.copy().) "
        )
    if not ndarray.flags.writeable:
        import warnings

        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means "
            "writing to this tensor will result in undefined behavior. You may want to copy the array to protect its "
            "data or make it writable before converting it to a tensor. This type of warning will be suppressed for "
            "the rest of this program.",
            UserWarning,
            stacklevel=2,
        )
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )
    return wrap(ndarray.view(np.ndarray))


def frombuffer(buffer: Any, *, dtype: dtype, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Any:
    """A one-dimensional tensor that shares the memory of a Python buffer."""
    size = memoryview(buffer).nbytes
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1")
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


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor that shares the memory of another library's array, through the DLPack protocol."""
    check_device(device)
    array = np.from_dlpack(ext_tensor)
    if copy:
        array = array.copy()
    elif not array.flags.writeable:
        array = np.lib.stride_tricks.as_strided(array, writeable=True) if array.flags.owndata else array
    return wrap(array)


# ---- filled ---------------------------------------------------------------------------------------------------------
def _options(dtype: Any, layout: Any, device: Any) -> np.dtype[Any]:
    if device is not None:
        check_device(device)
    return (as_dtype(dtype) or defaults.dtype).np


def _shape(size: Sequence[Any], function: str) -> tuple[int, ...]:
    try:
        shape = sizes(size)
    except TypeError as error:
        got = type(size[0]).__name__ if size else "None"
        raise TypeError(
            f"{function}(): argument 'size' (position 1) must be tuple of ints, not {got}"
        ) from error
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    return shape


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
        if out is not None and dtype is None:
            dtype = tensor_dtype(out)
        return finish(make(_shape(size, name), _options(dtype, layout, device)), requires_grad, out)

    def new_like(
        input: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, memory_format: Any = None,
    ) -> Any:  # fmt: skip
        array = check_tensor(input, name + "_like")._array
        _options(dtype, layout, device)
        want = (as_dtype(dtype) or from_numpy_dtype(array.dtype)).np
        made = make(array.shape, want)
        if array.ndim > 1 and not array.flags.c_contiguous and 0 not in array.strides:
            kept = np.empty_like(array, dtype=want)
            kept[...] = made
            made = kept
        return finish(made, requires_grad)

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"A tensor of shape `size` {doc}."
    new_like.__name__ = new_like.__qualname__ = name + "_like"
    new_like.__doc__ = f"A tensor of `input`'s shape and type {doc}."
    return new, new_like


zeros, zeros_like = _filled("zeros", np.zeros, "filled with 0")
ones, ones_like = _filled("ones", np.ones, "filled with 1")
empty, empty_like = _filled("empty", np.zeros, "whose values are not defined (clew fills them with 0)")


def full(
    size: Any, fill_value: Any, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, names: Any = None,
) -> Any:  # fmt: skip
    """A tensor of shape `size` filled with one number, whose type decides where `dtype` does not."""
    check_device(device)
    if isinstance(fill_value, Variable):
        fill_value = fill_value._array.item()
    want = as_dtype(dtype) or scalar_dtype(fill_value)
    array = np.full(_shape((size,), "full"), _number(fill_value, want), dtype=want.np)
    return finish(array, requires_grad, out)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """A tensor of `input`'s shape and type filled with one number."""
    check_tensor(input, "full_like")
    want = as_dtype(dtype) or tensor_dtype(input)
    return full(input._array.shape, fill_value, dtype=want, device=device, requires_grad=requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A 0-d tensor of the default type."""
    return tensor(s, dtype=as_dtype(dtype) or defaults.dtype, device=device, requires_grad=requires_grad)


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:  # fmt: skip
    """A tensor of the given shape and strides (in elements)."""
    want = _options(dtype, layout, device)
    shape, strides = _shape((size,), "empty_strided"), sizes((stride,))
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: expected {len(shape)} strides, got {len(strides)}"
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
    n, m = operator.index(n), operator.index(n if m is None else m)
    if n < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    if m < 0:
        raise RuntimeError(f"m must be greater or equal to 0, got {m}")
    return finish(np.eye(n, m, dtype=_options(dtype, layout, device)), requires_grad, out)


# ---- ranges -----------------------------------------------------------------------------------------------------------
def _value(number: Any) -> Any:
    return number._array.item() if isinstance(number, Variable) else number


def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """start, start + step, … below `end`: ⌈(end − start) / step⌉ numbers. int64 where all three are ints."""
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = _value(start), _value(end), _value(step)
    _check_range(start, end, step)
    want = as_dtype(dtype) or (int64 if all(isinstance(v, (int, np.integer)) for v in (start, end, step)) else defaults.dtype)
    count = max(0, math.ceil((end - start) / step))
    if want.category == 1:
        array = (int(start) + int(step) * np.arange(count)) if step == int(step) else start + step * np.arange(count)
    else:
        array = start + step * np.arange(count, dtype=np.float64)
    return finish(array.astype(want.np), requires_grad, out)


def _check_range(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0 and start > end) or (step < 0 and start < end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def range(start: Any, end: Any = None, step: Any = 1, **options: Any) -> Any:
    """start, start + step, … up to and including `end` (deprecated by PyTorch in favour of `arange`)."""
    import warnings

    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    _check_range(start, end, step)
    count = math.floor((end - start) / step) + 1
    dtype = options.pop("dtype", None) or float32
    array = (start + step * np.arange(count, dtype=np.float64)).astype(dtype.np)
    return finish(array, options.get("requires_grad", False), options.get("out"))


def _between(start: float, end: float, steps: Any) -> np.ndarray:
    """`steps` numbers from `start` to `end`, counted from both ends towards the middle, as PyTorch does."""
    steps = operator.index(_value(steps))
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if steps == 1:
        return np.array([start], dtype=np.float64)
    step = (end - start) / (steps - 1) if steps else 0.0
    index = np.arange(steps)
    return np.where(index < steps // 2, start + step * index, end - step * (steps - 1 - index))


def _spaced(start: Any, end: Any, steps: Any, want: dtype) -> np.ndarray:
    start, end = _value(start), _value(end)
    if want is not float32:
        return _between(start, end, steps).astype(want.np)
    # In float32 PyTorch rounds the step before it multiplies.
    first, last = np.float32(start), np.float32(end)
    steps = operator.index(_value(steps))
    if steps < 2:
        return _between(first, last, steps).astype(np.float32)
    step = (last - first) / np.float32(steps - 1)
    index = np.arange(steps)
    low = np.float64(first) + np.float64(step) * index
    high = np.float64(last) - np.float64(step) * (steps - 1 - index)
    return np.where(index < steps // 2, low, high).astype(np.float32)


def linspace(
    start: Any, end: Any, steps: Any, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """`steps` numbers evenly from `start` to `end`, both included."""
    check_device(device)
    return finish(_spaced(start, end, steps, as_dtype(dtype) or defaults.dtype), requires_grad, out)


def logspace(
    start: Any, end: Any, steps: Any, base: float = 10.0, *, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """baseᵉ for e evenly from `start` to `end`."""
    check_device(device)
    exponents = _between(_value(start), _value(end), steps)
    return finish((base**exponents).astype((as_dtype(dtype) or defaults.dtype).np), requires_grad, out)
