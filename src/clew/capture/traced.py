"""Arrays that stand in for the real ones: each operation computes the real value and notes itself.

A `Traced` holds a real array (or NumPy scalar) and the name of the value that it has in the program. NumPy's own
dispatch brings every function of it here (`__array_ufunc__`, `__array_function__`). It is no subclass of ndarray: code
that reaches for the values behind it (`plain[...] = traced`, `float(traced)`) gets the real ones, and the recording then
counts as failed: so what runs while recording is always a true run. It says that its class is ndarray since clew's fast
paths ask just that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.mixins import NDArrayOperatorsMixin


def _reads(what: str, take: Callable[..., Any]) -> Callable[..., Any]:
    """A method that takes values out: it gives the real ones, and the recording says that it cannot hold that."""

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.recorder.fail(what)
        return take(self.value, *args, **kwargs)

    return read


class Number(float):
    """A number taken out of a tensor: it can be returned. Whoever computes with it makes the recording fail."""

    recorder: Any
    name: int

    def __new__(cls, traced: Any, value: float) -> Number:
        made = float.__new__(cls, value)
        made.recorder, made.name = traced.recorder, traced.name
        return made


def _computes(name: str) -> Any:
    plain = getattr(float, name)

    def method(self: Number, *args: Any) -> Any:
        self.recorder.fail("takes a number out of a tensor (`.item()`) and computes with it")
        return plain(float.__float__(self), *args)

    method.__name__ = name
    return method


for _name in (
    "__abs__", "__add__", "__bool__", "__ceil__", "__divmod__", "__eq__", "__floor__", "__floordiv__", "__format__", "__ge__",
    "__gt__", "__hash__", "__int__", "__le__", "__lt__", "__mod__", "__mul__", "__ne__", "__neg__", "__pos__", "__pow__",
    "__radd__", "__rdivmod__", "__repr__", "__rfloordiv__", "__rmod__", "__rmul__", "__round__", "__rpow__", "__rsub__",
    "__rtruediv__", "__str__", "__sub__", "__truediv__", "__trunc__", "is_integer", "hex", "as_integer_ratio",
):  # fmt: skip
    setattr(Number, _name, _computes(_name))


class Traced(NDArrayOperatorsMixin):
    """A stand-in. `name`: the number of its value in the program; a write gives it another."""

    __slots__ = ("__weakref__", "name", "recorder", "root", "value")

    def __init__(self, recorder: Any, name: int, value: Any, root: Traced | None = None) -> None:
        self.recorder = recorder
        self.name = name
        self.value = value
        self.root = root  # of a view: whose memory it shows

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return ndarray

    # ---- what is the same on every call ------------------------------------------------------------------------------
    @property
    def shape(self) -> Any:
        return self.value.shape

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def strides(self) -> Any:
        return np.asarray(self.value).strides

    @property
    def itemsize(self) -> int:
        return self.value.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.value.nbytes

    @property
    def flags(self) -> Any:
        return np.asarray(self.value).flags

    base = None

    def __len__(self) -> int:
        return len(self.value)

    # ---- values ----------------------------------------------------------------------------------------------------
    __float__ = _reads("takes a number out of a tensor", float)
    __int__ = _reads("takes a number out of a tensor", int)
    __complex__ = _reads("takes a number out of a tensor", complex)
    __index__ = _reads("takes a number out of a tensor", lambda v: v.__index__())
    __bool__ = _reads("decides by the values of a tensor", bool)
    __iter__ = _reads("loops over the elements of a tensor", lambda v: iter(v))
    __array__ = _reads(
        "uses a tensor's memory in a way that cannot be recorded", lambda v, *a, **k: np.asarray(v, *a)
    )
    tolist = _reads("takes numbers out of a tensor (`.tolist()`)", lambda v: v.tolist())
    tobytes = _reads("takes a tensor's bytes", lambda v: v.tobytes())
    __hash__ = object.__hash__

    def item(self, *index: Any) -> Any:
        """The number, which the program may give back, but not compute with."""
        value = self.value.item(*index)
        if index or value.__class__ is not float:
            self.recorder.fail("takes a number out of a tensor (`.item()`)")
            return value
        self.recorder.taken.append(number := Number(self, value))
        return number

    def __getattr__(self, name: str) -> Any:
        """What else an array has: of the real one."""
        if name.startswith("__"):
            raise AttributeError(name)
        self.recorder.fail(f"uses `{name}` of an array, which is not recorded")
        return getattr(self.value, name)

    # ---- operations ------------------------------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.recorder.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.recorder.call(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.recorder.call(_getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        self.recorder.write(self, key, value)

    def fill(self, value: Any) -> None:
        self.recorder.write(self, Ellipsis, value)


def _getitem(x: Any, key: Any) -> Any:
    return x[key]


def _method(name: str) -> Any:
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.recorder.call(call, (self, *args), kwargs)

    return call, method


def _attribute(name: str) -> Any:
    def call(x: Any) -> Any:
        return getattr(x, name)

    call.__name__ = call.__qualname__ = name
    return call, property(lambda self: self.recorder.call(call, (self,), {}))


METHODS: dict[Any, str] = {}  # the function that stands for a method, and the method's name
ATTRIBUTES: dict[Any, str] = {}
for _name in (
    "reshape", "transpose", "swapaxes", "astype", "copy", "sum", "mean", "max", "min", "prod", "cumsum", "argmax", "argmin",
    "squeeze", "ravel", "flatten", "repeat", "take", "clip", "all", "any", "conj", "argsort", "diagonal", "round", "view", "dot", "var", "std",
):  # fmt: skip
    _call, _made = _method(_name)
    METHODS[_call] = _name
    setattr(Traced, _name, _made)
for _name in ("T", "real", "imag"):
    _call, _made = _attribute(_name)
    ATTRIBUTES[_call] = _name
    setattr(Traced, _name, _made)

GETITEM = _getitem

__all__ = ["ATTRIBUTES", "GETITEM", "METHODS", "Number", "Traced"]
