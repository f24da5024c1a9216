"""Element types: PyTorch's dtypes, their NumPy counterparts, and which type results have.

Promotion (Python scalars are weaker than 0-d tensors, 0-d tensors weaker than tensors with dimensions, within the same
category bool < integer < floating < complex) is PyTorch's; see `result_dtype`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class dtype:
    """An element type, such as `clew.float32`. Singletons: compare with `is` or `==`."""

    __module__ = "torch"  # programs print `type(x.dtype)`
    __slots__ = ("_np", "category", "itemsize", "name")

    def __init__(self, name: str, array_dtype: Any, category: int) -> None:
        self.name = name
        self._np = array_dtype
        self.category = category  # 0 bool, 1 integer, 2 floating, 3 complex
        self.itemsize = array_dtype.itemsize if array_dtype is not None else 2

    @property
    def np(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        if self._np is None:
            import ml_dtypes

            self._np = np.dtype(ml_dtypes.bfloat16)
            _from_np[self._np] = self
        return self._np

    @property
    def is_floating_point(self) -> bool:
        return self.category == 2

    @property
    def is_complex(self) -> bool:
        return self.category == 3

    @property
    def is_signed(self) -> bool:
        return self.name not in ("bool", "uint8", "uint16", "uint32", "uint64")

    def to_real(self) -> dtype:
        """The type of the real part of numbers of this type."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def to_complex(self) -> dtype:
        """The complex type whose parts have this type's precision."""
        if self.category == 3:
            return self
        return {"float64": complex128, "float32": complex64, "float16": complex64}.get(self.name, complex64)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> Any:
        return by_name, (self.name,)


def by_name(name: str) -> dtype:
    """The type of a name."""
    found: dtype = globals()["bool_" if name == "bool" else name]
    return found


bool_ = dtype("bool", np.dtype(np.bool), 0)
uint8 = dtype("uint8", np.dtype(np.uint8), 1)
int8 = dtype("int8", np.dtype(np.int8), 1)
int16 = dtype("int16", np.dtype(np.int16), 1)
int32 = dtype("int32", np.dtype(np.int32), 1)
int64 = dtype("int64", np.dtype(np.int64), 1)
uint16 = dtype("uint16", np.dtype(np.uint16), 1)
uint32 = dtype("uint32", np.dtype(np.uint32), 1)
uint64 = dtype("uint64", np.dtype(np.uint64), 1)
float16 = dtype("float16", np.dtype(np.float16), 2)
bfloat16 = dtype("bfloat16", None, 2)  # its NumPy type comes from ml_dtypes, imported when first needed
float32 = dtype("float32", np.dtype(np.float32), 2)
float64 = dtype("float64", np.dtype(np.float64), 2)
complex64 = dtype("complex64", np.dtype(np.complex64), 3)
complex128 = dtype("complex128", np.dtype(np.complex128), 3)

all_dtypes = (
    bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64, float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip
_from_np: dict[Any, dtype] = {d._np: d for d in all_dtypes if d._np is not None}


def from_numpy(array_dtype: Any) -> dtype:
    """The dtype of a NumPy array; TypeError for one PyTorch has no counterpart of."""
    found = _from_np.get(array_dtype)
    if found is None:
        found = _from_np.get(np.dtype(array_dtype).newbyteorder("="))
        if found is None and np.dtype(array_dtype).name == "bfloat16":
            _ = bfloat16.np
            found = bfloat16
        if found is None:
            raise TypeError(
                f"can't convert np.ndarray of type {getattr(np.dtype(array_dtype).type, '__module__', 'numpy')}."
                f"{np.dtype(array_dtype).type.__name__}. The only supported types are: float64, float32, float16, "
                "complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
            )
    return found


_LEGACY = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "uint8": "Byte", "int8": "Char",
    "int16": "Short", "int32": "Int", "int64": "Long", "bool": "Bool", "complex64": "ComplexFloat",
    "complex128": "ComplexDouble", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
}  # fmt: skip


def legacy_name(d: Any) -> str:
    """PyTorch's older name of a type, as its error sentences use it: Float, Double, Long …"""
    return _LEGACY[(d if isinstance(d, dtype) else from_numpy(d)).name]


_C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "int32": "int",
    "bool": "bool", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def c_name(d: Any) -> str:
    """The type's name in C++, as some of PyTorch's error sentences have it: float, int64_t …"""
    name = (d if isinstance(d, dtype) else from_numpy(d)).name
    return _C_NAMES.get(name, f"{name}_t")


def cpp_name(d: Any) -> str:
    """The type's name as a C++ compiler prints it, as other error sentences have it: float, long int …"""
    name = (d if isinstance(d, dtype) else from_numpy(d)).name
    whole = {
        "int64": "long int",
        "int32": "int",
        "int16": "short int",
        "int8": "signed char",
        "uint8": "unsigned char",
    }
    return whole.get(name) or c_name(d)


def tensor_type_name(d: Any) -> str:
    """`torch.FloatTensor` and the like."""
    return f"torch.{legacy_name(d)}Tensor"


class layout:
    """How elements lie in memory. Tensors are `strided`; the names of sparse layouts are there to be refused."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


strided = layout("strided")
sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc = map(
    layout, ("sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")
)


def check_layout(wanted: Any) -> None:
    """RuntimeError for a layout other than `strided`."""
    if wanted is not None and wanted is not strided:
        raise RuntimeError(f"clew has dense tensors only, none of layout {wanted}")


class memory_format:
    """In which order the dimensions of a result lie in memory."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format, preserve_format, channels_last, channels_last_3d = map(
    memory_format, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
)


_DType = dtype  # the class, where an attribute has its name


class Defaults:
    """What new floating tensors are made of."""

    dtype: _DType = float32

    @property
    def complex(self) -> _DType:
        return self.dtype.to_complex()


defaults = Defaults()


def get_default_dtype() -> dtype:
    """The type of new floating tensors."""
    return defaults.dtype


def set_default_dtype(d: dtype) -> None:
    """Set the type of new floating tensors; TypeError unless it is a floating type."""
    if not isinstance(d, dtype):
        raise TypeError("invalid dtype object: only floating-point types are supported as the default type")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    defaults.dtype = d


_INTEGERS = (int8, int16, int32, int64)
_promoted: dict[tuple[dtype, dtype], dtype] = {}


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest type that both convert to without changing category, as PyTorch's table has it."""
    if a is b:
        return a
    found = _promoted.get((a, b))
    if found is None:
        found = _promoted[a, b] = _promoted[b, a] = _promote(a, b)
    return found


def _promote(a: dtype, b: dtype) -> dtype:
    if a.category > b.category:
        a, b = b, a
    if b.category == 3:
        real = b.to_real()
        other = a.to_real() if a.category >= 2 else real
        return promote_types(other, real).to_complex()
    if a.category < b.category:
        return b
    if a.category == 2:
        if {a, b} == {float16, bfloat16}:
            return float32
        return max(a, b, key=lambda d: d.itemsize)
    wide = {uint16, uint32, uint64}
    if a in wide or b in wide:
        if a in (uint8, *wide) and b in (uint8, *wide):
            return max(a, b, key=lambda d: d.itemsize)
        raise RuntimeError(
            f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {legacy_name(a)} and {legacy_name(b)}"
        )
    if uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    return max(a, b, key=lambda d: d.itemsize)


def scalar_dtype(value: Any) -> dtype:
    """The type a Python number has on its own."""
    if isinstance(value, (bool, np.bool)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return defaults.dtype
    return defaults.complex
