"""A pickle back into objects. It is a program for a small machine; here the machine calls only what is on a list.

PyTorch reads such files in the same spirit (`weights_only=True`); the list, its errors and the limits of what may be
built are the same. Nothing is imported because a file names it.
"""

from __future__ import annotations

import pickle
import pickletools
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

import clew
from clew.core.variable import wrap
from clew.device import device
from clew.dtypes import dtype
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.serialization.allowed import allowed_by_program
from clew.serialization.archive import buffer
from clew.serialization.names import DTYPES, STORAGES, element_type, find_function, find_public
from clew.size import Size
from clew.tensor import Tensor

NOT_ALLOWED = (
    "Unsupported global: GLOBAL {0} was not an allowed global by default. Please use "
    "`torch.serialization.add_safe_globals([{0}])` or the `torch.serialization.safe_globals([{0}])` context manager to "
    "allowlist this global if you trust this class/function."
)


class Refused(pickle.UnpicklingError):
    """A file asks for what is not allowed."""


class Storage:
    """Memory from a file."""

    def __init__(self, data: np.ndarray, element: dtype | None) -> None:
        self.data = data
        self.element = element  # None: bytes


class _StorageType:
    """A storage class that a file names."""

    def __init__(self, element: dtype | None) -> None:
        self.element = element


# ---- what the names in a file stand for -----------------------------------------------------------------------------
def rebuild_tensor(
    storage: Storage, storage_offset: int, size: Any, stride: Any, requires_grad: bool, backward_hooks: Any, *more: Any
) -> Any:  # fmt: skip
    """A tensor on a storage. RuntimeError where it would reach beyond it."""
    element = next((m for m in more if isinstance(m, dtype)), None) or storage.element
    if not isinstance(storage, Storage) or element is None:
        raise Refused("a tensor needs a storage")
    item, shape = element.itemsize, tuple(size)
    numbers = (storage_offset, *shape, *stride)
    if len(shape) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
        raise RuntimeError(
            f"a tensor of size {list(shape)}, stride {list(stride)}, offset {storage_offset} is not possible"
        )
    last = storage_offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if 0 not in shape and (last + 1) * item > storage.data.nbytes:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(stride)}, storage offset {storage_offset}, and itemsize {item} "
            f"requiring a storage size of {(last + 1) * item} are out of bounds for storage of size {storage.data.nbytes}"
        )
    if 0 in shape:
        array = np.empty(shape, element.np)
    else:
        array = np.ndarray(shape, element.np, storage.data, storage_offset * item, [s * item for s in stride])
    made = wrap(array)
    return made.requires_grad_() if requires_grad else made


def rebuild_tensor_v1(storage: Storage, storage_offset: int, size: Any, stride: Any) -> Any:
    """A tensor of PyTorch's oldest files."""
    return rebuild_tensor(storage, storage_offset, size, stride, False, None)


def rebuild_parameter(data: Any, requires_grad: bool, backward_hooks: Any) -> Any:
    """A parameter."""
    return Parameter(data, bool(requires_grad))


def rebuild_parameter_with_state(data: Any, requires_grad: bool, backward_hooks: Any, state: Any) -> Any:
    """A parameter with attributes of its own."""
    made = rebuild_parameter(data, requires_grad, backward_hooks)
    _set_state(made, state)
    return made


def rebuild_from_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    """A tensor with attributes, or of a class of its own."""
    if function not in TENSOR_MAKERS:
        raise Refused(f"Trying to call reduce for unrecognized function {function}")
    made = function(*args)
    if isinstance(kind, type) and issubclass(kind, Tensor) and kind is not Tensor:
        made.__class__ = kind
    _set_state(made, state)
    return made


def _set_state(made: Any, state: Any) -> None:
    if isinstance(state, dict):
        made.__dict__.update({k: v for k, v in state.items() if isinstance(k, str)})


def encode(text: Any, encoding: Any) -> bytes:
    """Bytes as older pickles write them: text in Latin 1."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("only latin1 text may be encoded")
    return text.encode("latin1")


def make_device(kind: str, index: int | None = None) -> Any:
    """A device; those of other machines are the CPU."""
    return device("cpu") if kind != "cpu" else device(kind, index)


def numpy_scalar(kind: Any, data: bytes) -> Any:
    """A NumPy scalar from its bytes."""
    return np.frombuffer(data, kind, 1)[0]


def numpy_dtype(text: Any, *_: Any) -> Any:
    """A NumPy type by its code, of plain numbers only."""
    made = np.dtype(str(text))
    if made.kind not in "biufc":
        raise Refused(f"NumPy's type {text} is not allowed")
    return made


def numpy_array(kind: Any, *_: Any) -> np.ndarray:
    """A NumPy array in the making: shape, type and bytes come afterwards."""
    if kind is not np.ndarray:
        raise Refused(f"Trying to make an array of {kind!r:.80}")
    return np.empty(0)


def _fill(array: np.ndarray, state: Any) -> None:
    """Shape, type and bytes of a NumPy array."""
    if not (
        isinstance(state, tuple)
        and len(state) == 5
        and isinstance(state[2], np.dtype)
        and isinstance(state[4], bytes)
    ):
        raise Refused("a NumPy array of an unknown form")
    array.__setstate__(state)


TENSOR_MAKERS: tuple[Callable[..., Any], ...] = (rebuild_tensor, rebuild_tensor_v1, rebuild_parameter, rebuild_parameter_with_state)  # fmt: skip
ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "collections.defaultdict": defaultdict,
    "torch._utils._rebuild_tensor": rebuild_tensor_v1,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "torch.nn.parameter.Parameter": Parameter,
    "torch.nn.Parameter": Parameter,
    "torch.Tensor": Tensor,
    "torch.Size": Size,
    "torch.device": make_device,
    "torch.storage.UntypedStorage": _StorageType(None),
    "_codecs.encode": encode,
    **{f"{m}.{t.__name__}": t for m in ("builtins", "__builtin__") for t in (set, frozenset, complex, bytearray, slice, range, int, float, list, dict, tuple, bool)},
}  # fmt: skip
NUMPY: dict[str, Any] = {  # besides, with weights_only=False
    f"numpy.{room}.{name}": f
    for room in ("core.multiarray", "_core.multiarray")
    for name, f in (("scalar", numpy_scalar), ("_reconstruct", numpy_array))
} | {"numpy.dtype": numpy_dtype, "numpy.ndarray": np.ndarray}

ALLOWED_FUNCTIONS = {f for f in (*ALLOWED.values(), *NUMPY.values()) if isinstance(f, FunctionType)}


def names_in(data: bytes) -> Iterator[tuple[str, str]]:
    """The modules and names that a pickle speaks of."""
    strings: list[str] = []
    for opcode, arg, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            module, _, name = str(arg).partition(" ")
            yield module, name
        elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:
            yield strings[-2], strings[-1]
        elif "UNICODE" in opcode.name:
            strings.append(str(arg))


# ---- the machine -----------------------------------------------------------------------------------------------------
_Base: Any = vars(pickle)["_Unpickler"]  # the one in Python: its memo cannot be made huge


class Unpickler(_Base):
    """Reads objects. `archive` gives the storages; `modules`: also nets of classes that the program has (never imported)."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Base.dispatch)

    def __init__(
        self, data: bytes, archive: Any, modules: bool = False, encoding: str = "utf-8", locate: Any = None
    ) -> None:
        super().__init__(buffer(data), encoding=encoding)
        self.archive = archive
        self.modules = modules
        self.locate = locate  # checks the device that a storage was saved on
        self._storages: dict[str, Storage] = {}
        self._callable: set[int] = set()

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; Refused where it is not on the list."""
        found = self.look_up(module, name)
        if found is None:
            raise Refused(NOT_ALLOWED.format(f"{module}.{name}"))
        if (
            not isinstance(found, FunctionType)
            or found in ALLOWED_FUNCTIONS
            or allowed_by_program(f"{module}.{name}")
        ):
            self._callable.add(id(found))
        return found

    def look_up(self, module: str, name: str) -> Any:
        """What a name stands for; None where it is not on the list."""
        full = f"{module}.{name}"
        if module == "torch" and name in STORAGES:
            return _StorageType(element_type(STORAGES[name]))
        if module == "torch" and name in DTYPES:
            return element_type(name)
        found = allowed_by_program(full)
        if found is None:
            found = ALLOWED.get(full)
        if found is None and module.partition(".")[0] in ("torch", "clew"):
            public = find_public(module.replace("clew", "torch", 1), name)
            if public is not None and (allowed_by_program_class(public) or self.modules):
                found = public
        if found is None and self.modules and module.partition(".")[0] in ("torch", "clew"):
            found = find_function(module, name)  # a value: never called here
        if found is None and self.modules:
            found = NUMPY.get(full) or _own_module(module, name)
        return found

    def persistent_load(self, saved_id: Any) -> Storage:
        """The storage of a number."""
        if not isinstance(saved_id, tuple) or len(saved_id) < 5 or saved_id[0] != "storage":
            raise Refused(f"a persistent id of an unknown kind: {saved_id!r:.80}")
        _, kind, key, location, numel, *_ = saved_id
        if not isinstance(kind, _StorageType) or type(numel) is not int or numel < 0:
            raise Refused(f"a storage of an unknown kind: {saved_id!r:.80}")
        if self.locate is not None:
            self.locate(location)
        if key not in self._storages:
            self._storages[key] = Storage(self._bytes(str(key), kind.element, numel), kind.element)
        return self._storages[key]

    def _bytes(self, key: str, element: dtype | None, numel: int) -> np.ndarray:
        data = self.archive.storage(f"data/{key}")
        item = 1 if element is None else element.itemsize
        if data.nbytes < numel * item:
            raise RuntimeError(
                f"storage {key} should have {numel} elements of {item} bytes, but its record has {data.nbytes} bytes"
            )
        if self.archive.swapped and item > 1:
            assert element is not None
            part = item // 2 if element.is_complex else item
            data = np.ascontiguousarray(data.reshape(-1, part)[:, ::-1]).reshape(-1)
        return data

    # ---- instructions that call or build something ------------------------------------------------------------------
    def load_reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack[-1]
        if id(function) not in self._callable or not callable(function) or function is np.ndarray:
            raise Refused(f"Trying to call reduce for unrecognized function {function!r:.80}")
        self.stack[-1] = function(*args)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        args = self.stack.pop()
        kind = self.stack.pop()
        if id(kind) not in self._callable or not isinstance(kind, type) or kind is np.ndarray:
            raise Refused(f"Trying to call new for unrecognized class {kind!r:.80}")
        self.stack.append(object.__new__(kind) if issubclass(kind, Module) else kind.__new__(kind, *args))

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, Module) or (id(type(made)) in self._callable and type(made) is not np.ndarray):
            setter = getattr(made, "__setstate__", None)
            if setter is not None:
                setter(state)
            else:
                _set_state(made, state[0] if isinstance(state, tuple) else state)
        elif isinstance(made, (OrderedDict, Tensor)):
            _set_state(made, state)
        elif isinstance(made, np.ndarray):
            _fill(made, state)
        elif isinstance(made, np.dtype):
            if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
                self._replace(made, made.newbyteorder(">"))
        else:
            raise Refused(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, but got "
                f"{type(made)}"
            )

    dispatch[pickle.BUILD[0]] = load_build

    def _replace(self, made: Any, other: Any) -> None:
        """Put another object where one has just been made, also in the memo from which the file takes it again."""
        self.stack[-1] = other
        self.memo.update({k: other for k, v in self.memo.items() if v is made})

    def load_refused(self) -> None:
        raise Refused("Unsupported operand: an instruction that torch.save never writes")

    for _code in (pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEWOBJ_EX, pickle.PERSID, pickle.NEXT_BUFFER):  # fmt: skip
        dispatch[_code[0]] = load_refused


def allowed_by_program_class(kind: type) -> bool:
    """Whether the program allowed this class, under whatever name."""
    from clew.serialization.allowed import get_safe_globals

    return any(kind is other for other in get_safe_globals())


def _own_module(module: str, name: str) -> Any:
    """A subclass of Module that the program itself has defined or imported."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    own = isinstance(found, type) and issubclass(found, Module)
    return found if own else None


__all__ = ["Refused", "Storage", "Unpickler", "clew", "names_in"]
