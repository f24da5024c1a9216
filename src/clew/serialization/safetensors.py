"""Tensors by name in a `.safetensors` file: a header in JSON that says where each stands, then the numbers. Nothing in such a
file can be run.

The file: eight bytes that give the header's length (least significant first); the header, {"name": {"dtype": "F32", "shape":
[2, 3], "data_offsets": [0, 24]}, …} with the offsets counted from its end, and texts under "__metadata__"; the numbers, in C
order, least significant byte first, without gaps. The functions are those of the module `safetensors.torch`.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.variable import wrap
from clew.device import check as check_device
from clew.dtypes import bfloat16, from_numpy
from clew.serialization.files import replacing
from clew.tensor import Tensor

LARGEST_HEADER = 100_000_000
NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "float16": "F16", "bfloat16": "BF16",
    "uint32": "U32", "int32": "I32", "float32": "F32", "uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64",
}  # fmt: skip


class SafetensorError(Exception):
    """A file that is not whole, or not one of these."""


# ---- writing -----------------------------------------------------------------------------------------------------------
def save_file(
    tensors: dict[str, Any], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors by name. A file that is there is replaced only when the new one is whole.

    ValueError for what is no tensor, of a type the format does not have, or not contiguous; RuntimeError for tensors that
    share memory (`save_model` leaves such ones out).
    """
    with replacing(os.path.realpath(os.fspath(filename))) as file:
        for part in _parts(tensors, metadata):
            file.write(part)


def save(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes that `save_file` would write."""
    return b"".join(_parts(tensors, metadata))


def save_model(
    model: Any, filename: str | os.PathLike[str], metadata: dict[str, str] | None = None, force_contiguous: bool = True
) -> None:  # fmt: skip
    """Write a module's state; of tensors that are one and the same the first name is kept, the others are noted."""
    kept: dict[str, Any] = {}
    noted = dict(metadata or {})
    for name, tensor in model.state_dict().items():
        twin = next((n for n, t in kept.items() if _same_memory(t, tensor)), None)
        if twin is None:
            kept[name] = tensor
        else:
            noted[name] = twin
    if force_contiguous:
        kept = {name: tensor.contiguous() for name, tensor in kept.items()}
    save_file(kept, filename, noted)


def _same_memory(a: Any, b: Any) -> bool:
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride() and a.numel() > 0


def _parts(tensors: dict[str, Any], metadata: dict[str, str] | None) -> Iterator[bytes | memoryview]:
    """The header, and each tensor's numbers: the widest types first, so that each stands on a multiple of its size."""
    _check(tensors)
    arrays = {name: np.asarray(tensor.detach()._array) for name, tensor in tensors.items()}
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    place = 0
    for name in order:
        array = arrays[name]
        kind = NAMES[from_numpy(array.dtype).name]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in order:
        yield _in_file_order(arrays[name]).tobytes()


def _in_file_order(array: ndarray) -> ndarray:
    return array if sys.byteorder == "little" else array.byteswap()


def _check(tensors: Any) -> None:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    wrong = {name: type(tensor) for name, tensor in tensors.items() if not isinstance(tensor, Tensor)}
    if wrong:
        raise ValueError(
            f"Key `{next(iter(wrong))}` is invalid, expected torch.Tensor but received {next(iter(wrong.values()))}"
        )
    places: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.dtype.name not in NAMES:
            raise ValueError(f"safetensors files have no type for {tensor.dtype}: tensor {name!r}")
        if tensor.numel():
            places.setdefault(tensor.untyped_storage().data_ptr(), []).append(name)
    shared = [set(names) for names in places.values() if len(names) > 1 and _overlap(tensors, names)]
    if shared:
        raise RuntimeError(
            "Some tensors share memory, this will lead to duplicate memory on disk and potential differences when loading "
            f"them again: {shared}. `save_model` keeps one of each."
        )
    for name, tensor in tensors.items():
        if not tensor.is_contiguous():
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. Call `.contiguous()` on it, "
                "or save the tensor of which it is a part."
            )


def _overlap(tensors: dict[str, Any], names: list[str]) -> bool:
    arrays = [np.asarray(tensors[name]._array) for name in names]
    spans = sorted(np.lib.array_utils.byte_bounds(a) for a in arrays)
    return any(end > start for (_, end), (start, _) in pairwise(spans))


# ---- reading -----------------------------------------------------------------------------------------------------------
def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Any]:
    """The tensors of a file by name. SafetensorError for one that is damaged."""
    with safe_open(filename, "pt", device) as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}


def load(data: bytes) -> dict[str, Any]:
    """The tensors that `save` made these bytes of."""
    memory = np.frombuffer(data, np.uint8)
    header = _Header(memory[:8].tobytes(), lambda n: memory[8 : 8 + n].tobytes(), memory.size)
    body = memory[header.start :]
    return {
        name: wrap(header.array(name, body[e["data_offsets"][0] : e["data_offsets"][1]].copy()))
        for name, e in header.entries.items()
    }


def load_model(
    model: Any, filename: str | os.PathLike[str], strict: bool = True, device: Any = "cpu"
) -> tuple[set[str], list[str]]:
    """Read what `save_model` wrote into the module; which names the file lacks, and which the module does not have."""
    state = load_file(filename, device)
    own = model.state_dict()
    missing = {
        name for name in own if name not in state and not any(_same_memory(own[name], own[n]) for n in state if n in own)
    }  # fmt: skip
    unexpected = [name for name in state if name not in own]
    if strict and (missing or unexpected):
        lines = [f"Error(s) in loading state_dict for {type(model).__name__}:"]
        lines += [f"    Missing key(s) in state_dict: {', '.join(sorted(missing))}"] if missing else []
        lines += [f"    Unexpected key(s) in state_dict: {', '.join(unexpected)}"] if unexpected else []
        raise RuntimeError("\n".join(lines))
    model.load_state_dict(state, strict=False)
    return missing, unexpected


class safe_open:
    """A file of tensors that are read one by one: `with safe_open(name, framework="pt") as file: file.get_tensor("w")`."""

    def __init__(
        self, filename: str | os.PathLike[str], framework: str = "pt", device: Any = "cpu", **_: Any
    ) -> None:
        if framework not in ("pt", "torch", "pytorch", "np", "numpy"):
            raise SafetensorError(f"framework {framework} is invalid")
        check_device(device)
        self._numpy = framework in ("np", "numpy")
        try:
            self._file = open(filename, "rb")  # noqa: SIM115 - closed by `__exit__`
        except FileNotFoundError:
            raise FileNotFoundError(f"No such file or directory: {os.fspath(filename)}") from None
        try:
            size = os.fstat(self._file.fileno()).st_size
            self._header = _Header(self._file.read(8), self._file.read, size)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def keys(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._header.entries)

    def offset_keys(self) -> list[str]:
        """The names as they stand in the file."""
        return list(self._header.entries)

    def metadata(self) -> dict[str, str] | None:
        """The texts saved beside the tensors."""
        return self._header.metadata

    def get_tensor(self, name: str) -> Any:
        """The tensor of that name. SafetensorError where there is none."""
        if name not in self._header.entries:
            raise SafetensorError(f"File does not contain tensor {name}")
        start, end = self._header.entries[name]["data_offsets"]
        self._file.seek(self._header.start + start)
        array = self._header.array(name, np.fromfile(self._file, np.uint8, end - start))
        return array if self._numpy else wrap(array)

    def get_slice(self, name: str) -> Slice:
        """The tensor of that name, of which a part is asked for: `file.get_slice("w")[2:5]`."""
        if name not in self._header.entries:
            raise SafetensorError(f"File does not contain tensor {name}")
        return Slice(self, name)


class Slice:
    """A tensor in a file."""

    def __init__(self, file: safe_open, name: str) -> None:
        self._file, self._name = file, name

    def get_shape(self) -> list[int]:
        """Its shape."""
        return list(self._file._header.entries[self._name]["shape"])

    def get_dtype(self) -> str:
        """The file's name of its type."""
        return str(self._file._header.entries[self._name]["dtype"])

    def __getitem__(self, index: Any) -> Any:
        return self._file.get_tensor(self._name)[index]


class _Header:
    """What a file says of its tensors, checked: `entries` by place, `metadata`, and where the numbers `start`."""

    def __init__(self, length: bytes, read: Any, size: int) -> None:
        if len(length) < 8:
            raise SafetensorError("Error while deserializing header: header too small")
        count = int.from_bytes(length, "little")
        if count > LARGEST_HEADER:
            raise SafetensorError("Error while deserializing header: header too large")
        if 8 + count > size:
            raise SafetensorError("Error while deserializing header: invalid header length")
        self.start = 8 + count
        try:
            found = json.loads(read(count).decode(), object_pairs_hook=_once)
        except UnicodeDecodeError:
            raise SafetensorError("Error while deserializing header: invalid UTF-8 in header") from None
        except (ValueError, RecursionError) as error:
            raise SafetensorError(
                f"Error while deserializing header: invalid JSON in header: {error}"
            ) from None
        if not isinstance(found, dict):
            raise SafetensorError("Error while deserializing header: invalid JSON in header: not an object")
        self.metadata: dict[str, str] | None = found.pop("__metadata__", None)
        texts = self.metadata is None or (
            isinstance(self.metadata, dict) and all(isinstance(v, str) for v in self.metadata.values())
        )
        if not texts:
            raise SafetensorError("Error while deserializing header: metadata must be texts by name")
        for name, entry in found.items():
            _check_entry(name, entry)
        self.entries = dict(sorted(found.items(), key=lambda item: tuple(item[1]["data_offsets"])))
        place = 0
        for name, entry in self.entries.items():
            if entry["data_offsets"][0] != place:
                raise SafetensorError(f"Error while deserializing header: invalid offset for tensor `{name}`")
            place = entry["data_offsets"][1]
        if self.start + place != size:
            raise SafetensorError(
                "Error while deserializing header: incomplete metadata, file not fully covered"
            )

    def array(self, name: str, memory: ndarray) -> ndarray:
        """Bytes as the array of that name."""
        entry = self.entries[name]
        if memory.size != entry["data_offsets"][1] - entry["data_offsets"][0]:
            raise SafetensorError(f"the file ends within tensor `{name}`")
        kind = _TYPES[entry["dtype"]]
        made = memory.view(bfloat16.np if kind == "bfloat16" else np.dtype(kind)).reshape(entry["shape"])
        return _in_file_order(made)


_TYPES = {kind: name for name, kind in NAMES.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands there twice")
    return made


def _check_entry(name: str, entry: Any) -> None:
    """What a header says of one tensor must hold together."""
    fields = ("dtype", "shape", "data_offsets")
    if not isinstance(entry, dict) or any(field not in entry for field in fields):
        raise SafetensorError(
            f"Error while deserializing header: tensor `{name}` needs dtype, shape and data_offsets"
        )
    kind, shape, offsets = (entry[field] for field in fields)
    if not isinstance(kind, str) or kind not in _TYPES:
        raise SafetensorError(f"tensor `{name}` has the type {kind!r}, which clew does not have")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
            raise SafetensorError(
                f"Error while deserializing header: shape and offsets of tensor `{name}` must be lists of whole numbers"
            )
    size = 1 if kind == "BOOL" else 2 if kind == "BF16" else np.dtype(_TYPES[kind]).itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * size:
        raise SafetensorError(
            f"Error while deserializing header: invalid shape, data type, or offset for tensor `{name}`"
        )


__all__ = [
    "SafetensorError", "load", "load_file", "load_model", "safe_open", "save", "save_file", "save_model",
]  # fmt: skip
