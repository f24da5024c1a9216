"""The memory behind tensors: as bytes, and as elements of one type."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.storage import root_of, strided
from clew.core.variable import Variable, wrap
from clew.device import cpu
from clew.dtypes import dtype as dtypes
from clew.dtypes import from_numpy, get_default_dtype, tensor_type_name

TYPED = (
    "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class. This "
    "should only matter to you if you are using storages directly.  To access UntypedStorage directly, use "
    "tensor.untyped_storage() instead of tensor.storage()"
)


class _Told:
    """Whether the warning about typed storages was given: once is enough."""

    done = False


def _numbers(array: ndarray) -> list[Any]:
    return (array.astype(np.float32) if array.dtype.kind == "V" else array).tolist()


class Storage:
    """What both kinds of storage can do."""

    is_cuda = is_sparse = is_sparse_csr = is_hpu = False
    device = cpu
    _items: ndarray  # the whole memory, in one dimension

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._items.__array_interface__["data"][0]

    def __sizeof__(self) -> int:
        """The object's own bytes and those of the memory."""
        return object.__sizeof__(self) + self.nbytes()

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._items.nbytes

    def size(self) -> int:
        """The number of elements."""
        return self._items.size

    __len__ = size

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._items.itemsize

    def tolist(self) -> list[Any]:
        """The elements."""
        return _numbers(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __setitem__(self, index: Any, value: Any) -> None:
        self._items[index] = value

    def fill_(self, value: Any) -> Any:
        """Set all elements."""
        self._items[...] = value
        return self

    def copy_(self, source: Any, non_blocking: bool | None = None) -> Any:
        """Take the elements of another storage."""
        self._items[...] = source._items
        return self

    def resize_(self, size: int) -> Any:
        """NotImplementedError where the size changes: NumPy holds the memory."""
        if size != self.size():
            raise NotImplementedError("clew's storages keep their size: make a new tensor instead")
        return self

    def cpu(self) -> Any:
        """The storage itself."""
        return self

    def share_memory_(self) -> Any:
        """The storage itself: only `Tensor.share_memory_` moves numbers into shared memory."""
        return self

    def pin_memory(self, device: Any = None) -> Any:
        """The storage itself."""
        return self

    def is_shared(self) -> bool:
        """Whether other processes share the memory: never."""
        return False

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is pinned: never."""
        return False

    def get_device(self) -> int:
        """The number of the GPU: −1, there is none."""
        return -1

    def __repr__(self) -> str:
        return "".join(f" {value}\n" for value in self.tolist()).rstrip("\n") + "\n" + self._name()

    def _name(self) -> str:
        raise NotImplementedError


class UntypedStorage(Storage):
    """The memory behind a tensor, as bytes. `UntypedStorage(n)` is new memory."""

    __module__ = "torch.storage"

    def __init__(self, size: int = 0) -> None:
        self._root = np.zeros(size, np.uint8)
        self._items = self._root

    @classmethod
    def of(cls, array: ndarray) -> UntypedStorage:
        """The memory that an array is a part of."""
        self = cls.__new__(cls)
        self._root = root_of(array)
        self._items = strided(self._root, (self._root.size,), (self._root.itemsize,), 0).view(np.uint8)
        return self

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The first `nbytes` of a file as memory; shared: what is written to it goes into the file."""
        if not nbytes:
            return cls(0)
        if not shared and nbytes > os.path.getsize(filename):
            raise RuntimeError(
                f"unable to mmap {nbytes} bytes from file <{os.fspath(filename)}>: the file is shorter"
            )
        if shared:
            with open(filename, "ab") as file:
                if file.tell() < nbytes:
                    file.truncate(nbytes)
        return cls.of(np.asarray(np.memmap(filename, np.uint8, "r+" if shared else "c", 0, (nbytes,))))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return UntypedStorage.of(self._items[index].copy())
        return int(self._items[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self._root is other._root

    def __hash__(self) -> int:
        return id(self._root)

    @property
    def _cdata(self) -> int:
        return id(self._root)

    def clone(self) -> UntypedStorage:
        """A copy."""
        return UntypedStorage.of(self._items.copy())

    def untyped(self) -> UntypedStorage:
        """The storage itself."""
        return self

    def resizable(self) -> bool:
        """Whether the size may change: no."""
        return False

    def type(self) -> str:
        """The name of the class."""
        return "torch.storage.UntypedStorage"

    def _name(self) -> str:
        return f"[torch.storage.UntypedStorage(device=cpu) of size {self.size()}]"


class TypedStorage(Storage):
    """The memory behind a tensor, as elements of its type. `TypedStorage([1, 2], dtype=…)` is new memory."""

    __module__ = "torch.storage"

    dtype: Any = None

    def __init__(self, data: Any = 0, dtype: Any = None, wrap_storage: Any = None) -> None:
        kind = dtype or self.dtype or get_default_dtype()
        if wrap_storage is not None:
            items = wrap_storage._items.view(kind.np)
        elif isinstance(data, int):
            items = np.zeros(data, kind.np)
        else:
            items = np.array(data, kind.np)
        self.dtype = kind
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return _numbers(self._items[index : index + 1 or None])[0]

    def _as(self, kind: Any) -> TypedStorage:
        return TypedStorage(self._items.astype(kind.np), kind)

    def clone(self) -> TypedStorage:
        """A copy."""
        return TypedStorage(self._items, self.dtype)

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage.of(self._items)

    _untyped_storage = property(untyped)

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The older name of the type, such as `torch.FloatStorage`; with a type, the elements in that."""
        return self._older_name() if dtype is None else self._as(dtype)

    def _older_name(self) -> str:
        return tensor_type_name(self._items.dtype).replace("Tensor", "Storage")

    def pickle_storage_type(self) -> str:
        """The older name without `torch.`."""
        return self._older_name().removeprefix("torch.")

    def _name(self) -> str:
        return f"[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {self.size()}]"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        return self._items if dtype is None else self._items.astype(dtype)


def _older_classes() -> dict[str, Any]:
    """`FloatStorage` and its like, and the methods that convert to each."""
    found = {}
    names = {
        "Double": ("float64", "double"), "Float": ("float32", "float"), "Half": ("float16", "half"),
        "BFloat16": ("bfloat16", "bfloat16"), "Long": ("int64", "long"), "Int": ("int32", "int"), "Short": ("int16", "short"),
        "Char": ("int8", "char"), "Byte": ("uint8", "byte"), "Bool": ("bool_", "bool"),
        "ComplexDouble": ("complex128", "complex_double"), "ComplexFloat": ("complex64", "complex_float"),
    }  # fmt: skip
    import clew.dtypes as every

    for name, (kind, method) in names.items():
        wanted: dtypes = getattr(every, kind)

        def convert(self: TypedStorage, wanted: dtypes = wanted) -> TypedStorage:
            return self._as(wanted)

        convert.__doc__ = f"The elements as {wanted}."
        setattr(TypedStorage, method, convert)
        body = {"dtype": wanted, "__module__": "torch", "__doc__": f"Memory of {wanted} elements."}
        found[f"{name}Storage"] = type(f"{name}Storage", (TypedStorage,), body)
    return found


OLDER = _older_classes()
globals().update(OLDER)


def untyped_storage(self: Any) -> UntypedStorage:
    """The memory behind the tensor, as bytes; views of one tensor share it."""
    return UntypedStorage.of(self.memory())


def storage(self: Any) -> TypedStorage:
    """The memory behind the tensor, as elements; views of one tensor share it."""
    if not _Told.done:
        _Told.done = True
        warnings.warn(TYPED, UserWarning, stacklevel=2)
    return typed_storage(self)


def typed_storage(self: Any) -> TypedStorage:
    """As `storage`, without a word."""
    return TypedStorage(dtype=from_numpy(self._array.dtype), wrap_storage=untyped_storage(self))


def storage_type(self: Any) -> Any:
    """The older class of the tensor's memory, such as `torch.FloatStorage`."""
    return OLDER[typed_storage(self).pickle_storage_type()]


def get_device(self: Any) -> int:
    """The number of the GPU: −1, there is none."""
    return -1


def fill_diagonal_(self: Any, fill_value: Any, wrap: bool = False) -> Any:
    """Set the elements whose indices are all the same. wrap: of a tall matrix, begin anew below. RuntimeError for vectors."""
    if self.dim() < 2:
        raise RuntimeError("dimensions must larger than 1")
    sizes = tuple(self.shape)
    if len(sizes) > 2 and len(set(sizes)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    steps = self.stride()
    least = min(sizes)
    self.as_strided((least,), (sum(steps),), self.storage_offset()).fill_(fill_value)
    if wrap and len(sizes) == 2 and sizes[0] > sizes[1] + 1:
        for start in range(sizes[1] + 1, sizes[0], sizes[1] + 1):
            part = self[start : start + sizes[1]]
            part.as_strided((min(part.shape),), (sum(steps),), part.storage_offset()).fill_(fill_value)
    return self


GONE = "volatile was removed and now has no effect. Use `with torch.no_grad():` instead."


def _volatile(self: Variable) -> bool:
    warnings.warn("volatile was removed (Variable.volatile is always False)", UserWarning, stacklevel=2)
    return False


def _set_volatile(self: Variable, value: Any) -> None:
    warnings.warn(GONE, UserWarning, stacklevel=2)


volatile = property(_volatile, _set_volatile, doc="False: what it did is now `no_grad`'s work.")


def from_file(
    filename: Any, shared: bool | None = None, size: int = 0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The first `size` numbers of a file as a tensor; shared: what is written to it goes into the file."""
    kind = (dtype or get_default_dtype()).np
    need = size * kind.itemsize
    if not shared and need > os.path.getsize(filename):
        raise RuntimeError(
            f"file <{os.fspath(filename)}> size <{os.path.getsize(filename)}> is smaller than the required mapping size "
            f"<{need}>"
        )
    made = wrap(UntypedStorage.from_file(filename, bool(shared), need)._items.view(kind))
    return made.requires_grad_() if requires_grad else made


def share_memory_(self: Any) -> Any:
    """The tensor's numbers moved into memory that processes forked from now on share with this one."""
    from mmap import mmap

    if not is_shared(self):
        array = self.memory()
        held = np.frombuffer(mmap(-1, max(array.nbytes, 1)), np.uint8, array.nbytes).view(array.dtype)
        moved = held.reshape(array.shape)
        moved[...] = array
        self.data = wrap(moved)
    return self


def is_shared(self: Any) -> bool:
    """Whether forked processes share the memory."""
    base = root_of(np.asarray(self._array)).base
    return type(getattr(base, "obj", base)).__name__ == "mmap"


def set_(self: Any, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Any:
    """Look at other memory: a tensor's or a storage's, from an offset on, by strides. Without a source: at none."""
    if source is None:
        self.data = wrap(np.empty(0, self._array.dtype))
        return self
    if isinstance(source, Variable):
        source = source if size is None else source.as_strided(size, stride, storage_offset)
        self.data = source.detach()
        return self
    items = source._items.view(self._array.dtype)
    sizes = (items.size,) if size is None else tuple(size)
    if stride is None:
        stride = [int(np.prod(sizes[i + 1 :], dtype=np.int64)) for i in range(len(sizes))]
    item = items.itemsize
    self.data = wrap(strided(items, sizes, tuple([s * item for s in stride]), storage_offset * item))
    return self


__all__ = ["TypedStorage", "UntypedStorage", "from_file", "get_device", *OLDER]
