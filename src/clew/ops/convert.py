"""Between types, devices and the rest of Python: `to`, `numpy`, `tolist`, pickling, copying, DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, classes, wrap
from clew.device import check as check_device
from clew.device import device
from clew.dtypes import (
    all_dtypes,
    bfloat16,
    bool_,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    from_numpy,
    int8,
    int16,
    int32,
    int64,
    tensor_type_name,
    uint8,
)  # fmt: skip
from clew.ops._arguments import plain_number
from clew.ops._builders import convert
from clew.ops.create import as_dtype, finish, full, shape_of, to_array, warn_scalar
from clew.streams import memory_order

NOT_NUMPY = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
_BY_TYPE_NAME = {tensor_type_name(d): d for d in all_dtypes}


# ---- types and devices -------------------------------------------------------------------------------------------------
def to(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The tensor in another type or on another device: `to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other)`.

    Itself where nothing changes, unless `copy=True`.
    """
    copy = kwargs.pop("copy", False)
    want: dtype | None = None
    for value in (*args, kwargs.get("dtype"), kwargs.get("device"), kwargs.get("other")):
        if isinstance(value, Variable):
            want = from_numpy(value._array.dtype)
        elif isinstance(value, dtype):
            want = value
        elif isinstance(value, (str, device, int)) and not isinstance(value, bool):
            check_device(value)
        elif value in (float, int, bool, complex):
            want = as_dtype(value)
        elif value is not None and not isinstance(value, bool):
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({', '.join(type(a).__name__ for a in args)}), but expected one of:\n"
                " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = False)\n"
                " * (torch.dtype dtype, bool non_blocking = False, bool copy = False)\n"
                " * (Tensor tensor, bool non_blocking = False, bool copy = False)"
            )
    if want is None or want.np == self._array.dtype:
        return self.clone() if copy else self
    return convert(self, want.np)


def _caster(name: str, want: dtype) -> Any:
    def cast(self: Any, memory_format: Any = None) -> Any:
        return convert(self, want.np)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"The tensor in `{want}`; itself where it has that type."
    return cast


float_ = _caster("float", float32)
double = _caster("double", float64)
half = _caster("half", float16)
bfloat16_ = _caster("bfloat16", bfloat16)
long = _caster("long", int64)
int_ = _caster("int", int32)
short = _caster("short", int16)
char = _caster("char", int8)
byte = _caster("byte", uint8)
bool__ = _caster("bool", bool_)
cfloat = _caster("cfloat", complex64)
cdouble = _caster("cdouble", complex128)


def chalf(self: Any, memory_format: Any = None) -> Any:
    """Not to be had: NumPy has no complex numbers made of two 16-bit floats. NotImplementedError."""
    raise NotImplementedError("clew has no complex32, as NumPy has none: use cfloat() (complex64)")


def type_(self: Any, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
    """Without an argument the type's name (`'torch.FloatTensor'`); else the tensor in that type."""
    if dtype is None:
        return tensor_type_name(self._array.dtype)
    if isinstance(dtype, str):
        if dtype not in _BY_TYPE_NAME:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = _BY_TYPE_NAME[dtype]
    if (
        isinstance(dtype, type)
        and hasattr(dtype, "dtype")
        and not isinstance(getattr(dtype, "dtype", None), property)
    ):
        dtype = dtype.dtype
    return to(self, as_dtype(dtype))


def type_as(self: Any, other: Any) -> Any:
    """The tensor in the type of `other`."""
    return convert(self, other._array.dtype)


def cpu(self: Any, memory_format: Any = None) -> Any:
    """The tensor itself: everything lives on the CPU."""
    return self


def cuda(self: Any, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Any:
    """AssertionError: there is no GPU."""
    if device is not None and check_device(device):
        raise RuntimeError("Invalid device, must be cuda device")
    return check_device("cuda")


# ---- Python numbers ------------------------------------------------------------------------------------------------------
def item(self: Any) -> Any:
    """The only element as a Python number; RuntimeError where there are several."""
    array = self._array
    if array.__class__ is np.float32:
        return float(array)
    if array.size != 1:
        raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
    return float(array.item()) if array.dtype.kind == "V" else array.item()


def tolist(self: Any) -> Any:
    """Nested lists of Python numbers."""
    array = self._array
    return array.astype(np.float32).tolist() if array.dtype.name == "bfloat16" else array.tolist()


def to_bool(self: Any) -> bool:
    """The truth of the only element; RuntimeError where there is more than one."""
    array = self._array
    if array.size != 1:
        if array.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    return bool(array.item())


def to_float(self: Any) -> float:
    """`float(tensor)`; RuntimeError for a complex number that is not real."""
    number = float(self._array if self._array.__class__ is np.float32 else _real(_only(self), "double"))
    if self.requires_grad:
        warn_scalar(3)
    return number


def to_int(self: Any) -> int:
    """`int(tensor)`; RuntimeError for a complex number that is not real."""
    return int(_real(_only(self), "int64_t"))


def to_complex(self: Any) -> complex:
    """`complex(tensor)`."""
    number = complex(_only(self))
    if self.requires_grad:
        warn_scalar(3)
    return number


def _only(self: Any) -> Any:
    """The only element; ValueError where there are several."""
    if self._array.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return item(self)


def _real(number: Any, kind: str) -> Any:
    if isinstance(number, complex):
        if number.imag:
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
        return number.real
    return number


def to_index(self: Any) -> int:
    """An integer tensor with one element used as an index."""
    if self._array.size != 1 or self._array.dtype.kind not in "iub":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(self._array.item())


def format_(self: Any, spec: str) -> str:
    """`f"{tensor:.4f}"`: of a 0-d tensor its number in that format."""
    if self._array.ndim == 0 and type(self).__name__ == "Tensor":
        return format(item(self), spec)
    return object.__format__(self, spec)


def length(self: Any) -> int:
    """The size of the first dimension; TypeError for a 0-d tensor."""
    array = self._array
    if not array.ndim:
        raise TypeError("len() of a 0-d tensor")
    return array.shape[0]


def iterate(self: Any) -> Any:
    """The slices along the first dimension."""
    if not self._array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def contains(self: Any, element: Any) -> bool:
    """`element in tensor`."""
    if isinstance(element, (Variable, bool, int, float, complex)):
        return bool((self == element).any().item())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


# ---- NumPy -----------------------------------------------------------------------------------------------------------------
def numpy(self: Any, *, force: bool = False) -> np.ndarray:
    """The tensor as an array that shares its memory; RuntimeError where it requires grad (unless `force`)."""
    if not force and self.requires_grad:
        raise RuntimeError(NOT_NUMPY)
    if self._array.dtype.name == "bfloat16":
        raise TypeError("Got unsupported ScalarType BFloat16")
    return self.memory()


def array(self: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """`numpy.asarray(tensor)`."""
    if self.requires_grad:
        raise RuntimeError(NOT_NUMPY)
    values = self.memory()
    if dtype is not None and values.dtype != dtype:
        return values.astype(dtype)
    return values.copy() if copy else values


def array_wrap(self: Any, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """What NumPy functions return for tensors: tensors."""
    array = np.asarray(array)
    return wrap(array)


def dlpack(
    self: Any, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
) -> Any:
    """The DLPack capsule; RuntimeError where the tensor requires grad."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and stream != -1:
        raise BufferError("stream should be None on the CPU")
    return self.memory().__dlpack__(max_version=max_version, copy=copy)


def dlpack_device(self: Any) -> tuple[int, int]:
    """DLPack's number for the CPU."""
    return 1, 0


# ---- copies and pickles -------------------------------------------------------------------------------------------------------
def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    """A copy with memory of its own; tensors that shared memory share it again. Only leaves can be copied."""
    import copy

    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, "
            "see https://github.com/pytorch/pytorch/pull/103001"
        )
    result = wrap(_copied_memory(self.memory(), memo))
    result.__class__ = type(self)
    if self.requires_grad:
        result.requires_grad = True
    if self._meta is not None and self._meta.grad is not None:
        result.grad = deepcopy(self._meta.grad, memo)
    for name, value in self.__dict__.items():
        result.__dict__[name] = copy.deepcopy(value, memo)
    memo[id(self)] = result
    return result


def _copied_memory(array: np.ndarray, memo: dict[int, Any]) -> np.ndarray:
    """A copy of an array; views of one memory become views of one copy."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if root is array or not root.flags.c_contiguous:
        key = id(root) if root is array else id(array)
        copied = memo.get(("memory", key))  # type: ignore[call-overload]
        if copied is None:
            copied = memo[("memory", key)] = array.copy(order="K")  # type: ignore[index]
        return copied
    copied = memo.get(("memory", id(root)))  # type: ignore[call-overload]
    if copied is None:
        copied = memo[("memory", id(root))] = root.copy()  # type: ignore[index]
    offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return np.ndarray(array.shape, array.dtype, buffer=copied.data, offset=offset, strides=array.strides)


def reduce_ex(self: Any, protocol: Any) -> Any:
    """How a tensor is copied and pickled: its values, whether it requires grad, and the user's attributes.

    The copy of a tensor with history is a leaf. `copy.copy` shares the memory; a pickle keeps the order of the dimensions.
    """
    values = self.memory()
    order = memory_order(values)
    kind = type(self)
    return rebuild, (
        None if kind is classes.tensor else kind,
        values if order is None else values.transpose(order),
        self.requires_grad,
        dict(self.__dict__),
        order,
    )


def rebuild(
    cls: type | None,
    values: np.ndarray,
    requires_grad: bool,
    state: dict[str, Any],
    order: list[int] | None = None,
) -> Any:
    """Make a tensor again from its pickle. order: of the dimensions of `values`, where it was another."""
    result = wrap(values if order is None else values.transpose(np.argsort(order)))
    if cls is not None:
        result.__class__ = cls
    if requires_grad:
        result.requires_grad = True
    result.__dict__.update(state)
    return result


# ---- new tensors of the same type -------------------------------------------------------------------------------------------------
def new_tensor(
    self: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any
) -> Any:
    """A tensor with a copy of `data` in this tensor's type."""
    check_device(device)
    return finish(to_array(data, as_dtype(dtype) or from_numpy(self._array.dtype), copy=True), requires_grad)


def _new_filled(name: str, make: Any) -> Any:
    def new(
        self: Any, *size: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, **kwargs: Any,
    ) -> Any:  # fmt: skip
        check_device(device)
        if "size" in kwargs:
            size = (kwargs["size"],)
        want = as_dtype(dtype, f"new_{name}") or from_numpy(self._array.dtype)
        return finish(make(shape_of(size, f"new_{name}"), want.np), requires_grad)

    new.__name__ = new.__qualname__ = f"new_{name}"
    new.__doc__ = f"`{name}(size)` in this tensor's type."
    return new


new_zeros, new_ones, new_empty = (
    _new_filled("zeros", np.zeros),
    _new_filled("ones", np.ones),
    _new_filled("empty", np.zeros),
)


def new_full(self: Any, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Any:
    """`full(size, fill_value)` in this tensor's type."""
    fill_value = plain_number(fill_value, "new_full", "fill_value", 2)
    return full(size, fill_value, dtype=as_dtype(dtype) or from_numpy(self._array.dtype), **options)
