"""Files of PyTorch before 1.6: pickles one after another, then the storages' bytes."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

import numpy as np

from clew.serialization.unpickler import Refused, Storage, Unpickler, _Base

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


class _Unpickler(Unpickler):
    """Reads one pickle of several from a file; storages get their bytes later."""

    def __init__(self, file: Any, modules: bool, encoding: str, locate: Any, limit: int) -> None:
        super().__init__(b"", None, modules, encoding, locate)
        _Base.__init__(self, file, encoding=encoding)
        self.limit = limit

    def persistent_load(self, saved_id: Any) -> Storage:
        if isinstance(saved_id, tuple) and len(saved_id) > 5 and saved_id[5] is not None:
            raise Refused("a view of a storage, as PyTorch 0.1 wrote it")
        return super().persistent_load(saved_id)

    def _bytes(self, key: str, element: Any, numel: int) -> np.ndarray:
        size = numel * (1 if element is None else element.itemsize)
        if size > self.limit:
            raise RuntimeError(f"storage {key} should have {size} bytes: more than the file has")
        return np.zeros(size, np.uint8)


def load(file: Any, modules: bool, encoding: str, locate: Any) -> Any:
    """The object of such a file. UnpicklingError for anything else."""
    at = file.tell()
    limit = file.seek(0, os.SEEK_END) - at
    file.seek(at)
    if not limit:
        raise EOFError

    def one() -> _Unpickler:
        return _Unpickler(file, modules, encoding, locate, limit)

    try:
        known = one().load() == MAGIC and one().load() == PROTOCOL
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError, AttributeError, ValueError, TypeError):
        known = False
    if not known:
        raise Refused("The file is neither a zip archive nor one of PyTorch's older files.")
    one().load()  # the machine that wrote it
    unpickler = one()
    made = unpickler.load()
    for key in one().load():
        storage = unpickler._storages.get(key)
        if storage is None:
            raise RuntimeError(f"the file has a storage {key} that nothing uses")
        (count,) = struct.unpack("<q", _exactly(file, 8))
        item = 1 if storage.element is None else storage.element.itemsize
        if count * item != storage.data.nbytes:
            raise RuntimeError(
                f"storage has wrong byte size: expected {storage.data.nbytes} got {count * item}"
            )
        storage.data[...] = np.frombuffer(_exactly(file, storage.data.nbytes), np.uint8)
    return made


def _exactly(file: Any, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise RuntimeError("unexpected EOF. The file might be corrupted.")
    return data
