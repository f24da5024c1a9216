"""Objects into a pickle that PyTorch reads: tensors as calls of PyTorch's functions, storages by number."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

from clew.core.storage import root_of, start_of
from clew.core.variable import Variable
from clew.device import device
from clew.dtypes import dtype, from_numpy
from clew.nn.parameter import Buffer, Parameter
from clew.serialization.names import STORAGE_OF, Named, public_name
from clew.size import Size
from clew.tensor import Tensor

_TENSOR = Named("torch._utils", "_rebuild_tensor_v2")
_TENSOR_TYPED = Named("torch._utils", "_rebuild_tensor_v3")  # with the element type beside a storage of bytes
_PARAMETER = Named("torch._utils", "_rebuild_parameter")
_PARAMETER_STATE = Named("torch._utils", "_rebuild_parameter_with_state")
_SUBTYPE = Named("torch._tensor", "_rebuild_from_type_v2")
_BYTES = Named("torch.storage", "UntypedStorage")


class _Storage:
    """The memory behind a tensor, on its way into a file."""

    def __init__(self, root: np.ndarray, element: dtype) -> None:
        self.root = root
        self.element = element


_Base: Any = vars(pickle)["_Pickler"]  # the one in Python: names can be written as PyTorch's


class Pickler(_Base):
    """Writes objects; `storages` collects the memory of their tensors, in the order of the numbers given."""

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: list[np.ndarray] = []
        self._numbers: dict[int, tuple[str, dtype]] = {}  # by address: number and element type
        self._known: dict[str, Named] = {}

    def _name(self, module: str, name: str) -> Named:
        """One object for each name, so that the pickle names it once."""
        return self._known.setdefault(f"{module}.{name}", Named(module, name))

    def persistent_id(self, obj: Any) -> Any:
        """A storage is written beside the pickle: its type, number, place and length."""
        if not isinstance(obj, _Storage):
            return None
        root, element = obj.root, obj.element
        address = root.__array_interface__["data"][0] if root.nbytes else -1 - len(self.storages)
        number, known = self._numbers.get(address, (None, element))
        if known is not element:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types"
            )
        if number is None:
            number = str(len(self.storages))
            self._numbers[address] = number, element
            self.storages.append(root)
        if element.name in STORAGE_OF:
            return (
                "storage",
                self._name("torch", STORAGE_OF[element.name]),
                number,
                "cpu",
                root.nbytes // element.itemsize,
            )
        return "storage", _BYTES, number, "cpu", root.nbytes

    def reducer_override(self, obj: Any) -> Any:
        """How what PyTorch knows is written."""
        if isinstance(obj, Named):
            return obj.name
        if isinstance(obj, Variable):
            return self._tensor(obj)
        if isinstance(obj, dtype):
            return obj.name
        if isinstance(obj, Size):
            return self._name("torch", "Size"), (tuple(obj),)
        if isinstance(obj, device):
            return self._name("torch", "device"), (obj.type,) if obj.index is None else (obj.type, obj.index)
        return NotImplemented

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write the name of a class or function: of clew's, PyTorch's name."""
        found = (obj.module, obj.name) if isinstance(obj, Named) else ("torch", obj.name) if isinstance(obj, dtype) else public_name(obj)  # fmt: skip
        if found is None:
            super().save_global(obj, name)
            return
        if self.proto >= 4:
            self.save(found[0])
            self.save(found[1])
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{found[0]}\n{found[1]}\n".encode())
        self.memoize(obj)

    dispatch: ClassVar[dict[Any, Any]] = {**_Base.dispatch, FunctionType: save_global}

    def _tensor(self, tensor: Any) -> tuple[Any, tuple[Any, ...]]:
        """A tensor as the call that makes it again."""
        if isinstance(tensor, (Parameter, Buffer)) and type(tensor) in (Parameter, Buffer):
            plain = tensor.detach()
            if isinstance(tensor, Buffer):
                return self._plain(plain, tensor.requires_grad)
            head: tuple[Any, ...] = (plain, tensor.requires_grad, OrderedDict())
            state = tensor.__dict__
            return (_PARAMETER_STATE, (*head, dict(state))) if state else (_PARAMETER, head)
        function, args = self._plain(tensor, tensor.requires_grad)
        if type(tensor) is Tensor and not tensor.__dict__:
            return function, args
        return _SUBTYPE, (function, type(tensor), args, dict(tensor.__dict__))

    def _plain(self, tensor: Any, requires_grad: bool) -> tuple[Any, tuple[Any, ...]]:
        array, stride = tensor.memory(), tensor.stride()
        element, item = from_numpy(array.dtype), array.itemsize
        root, start = root_of(array), start_of(array)
        if not _dense(root) or start % item:  # memory that NumPy does not own, with gaps or overlaps
            root, start = array.copy(), 0
            stride = tuple([s // item for s in root.strides])
        storage = _Storage(root, element)
        place: tuple[Any, ...] = start // item, tuple(array.shape), stride, requires_grad, OrderedDict()
        if element.name in STORAGE_OF:
            return _TENSOR, (storage, *place)
        return _TENSOR_TYPED, (storage, *place, element)


def _dense(root: np.ndarray) -> bool:
    """Whether the elements fill their memory without gaps or overlaps, in whatever order."""
    return bool(root.transpose(sorted(range(root.ndim), key=lambda d: -root.strides[d])).flags.c_contiguous)


def memory_of(root: np.ndarray) -> Any:
    """The bytes of memory that an array owns, in the order they lie in."""
    flat = root.ravel(order="K")
    return flat.view(np.uint8) if flat.size else b""
