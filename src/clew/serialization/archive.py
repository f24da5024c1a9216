"""The zip file: `data.pkl` describes the objects, `data/0`, `data/1` … hold the storages, uncompressed and aligned."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
from typing import Any

import numpy as np

BROKEN = (
    "PytorchStreamReader failed reading zip archive: {}. This is an internal miniz error. If you are seeing this error, "
    "there is a high likelihood that your checkpoint file is corrupted. This can happen if the checkpoint was not saved "
    "properly, was transferred incorrectly, or the file was modified after saving."
)
NO_RECORD = "PytorchStreamReader failed locating file {}: file not found"
BAD_RECORD = "PytorchStreamReader failed reading file {}: {}"
ALIGNMENT = 64
_HEADER = 30  # bytes of a zip record's header before its name


class Archive:
    """A file being read. RuntimeError where it is not whole.

    file: seekable, binary. mapped: the path of the file whose storages are to be mapped into memory instead of read.
    """

    def __init__(self, file: Any, mapped: str | None = None) -> None:
        try:
            self.zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
            raise RuntimeError(BROKEN.format("failed finding central directory")) from None
        self.file = file
        self.mapped = mapped
        self.names = {info.filename: info for info in self.zip.infolist()}
        pickles = [n for n in self.names if n.endswith("/data.pkl") and n.count("/") == 1]
        if not pickles:
            if any(n.endswith("/constants.pkl") for n in self.names):
                raise RuntimeError(
                    "a TorchScript archive: clew reads what torch.save writes, not torch.jit.save"
                )
            raise RuntimeError(NO_RECORD.format("data.pkl"))
        self.prefix = pickles[0].removesuffix("data.pkl")
        self.swapped = self.prefix + "byteorder" in self.names and self.read("byteorder") == b"big"

    def pickle(self) -> bytes:
        """The pickle that describes the objects."""
        return self.read("data.pkl")

    def read(self, record: str) -> bytes:
        """The bytes of a record."""
        return self.storage(record).tobytes()

    def storage(self, record: str) -> np.ndarray:
        """The bytes of a record, as memory that may be written to."""
        info = self.names.get(self.prefix + record)
        if info is None:
            raise RuntimeError(NO_RECORD.format(record))
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise RuntimeError(BAD_RECORD.format(record, "it is compressed, which torch.save never does"))
        if self.mapped is not None and info.file_size:
            return self._map(info)
        self.file.seek(0, os.SEEK_END)
        if info.file_size > self.file.tell():
            raise RuntimeError(BAD_RECORD.format(record, "it claims to be larger than the file"))
        made = np.empty(info.file_size, np.uint8)
        try:
            with self.zip.open(info) as stream:
                got = stream.readinto(memoryview(made)) if made.size else 0  # type: ignore[attr-defined]
                while got < made.size and (more := stream.readinto(memoryview(made)[got:])):  # type: ignore[attr-defined]
                    got += more
        except (
            zipfile.BadZipFile,
            EOFError,
            OSError,
            ValueError,
            struct.error,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise RuntimeError(BAD_RECORD.format(record, error)) from None
        if got != made.size:
            raise RuntimeError(BAD_RECORD.format(record, "the file ends before it does"))
        return made

    def _map(self, info: zipfile.ZipInfo) -> np.ndarray:
        """A record as a private map of the file: read when touched, writes stay in memory."""
        self.file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", self.file.read(4))
        start = info.header_offset + _HEADER + name + extra
        mapped = np.memmap(self.mapped, np.uint8, mode="c", offset=start, shape=(info.file_size,))  # type: ignore[call-overload]
        return np.ndarray(mapped.shape, np.uint8, mapped)


class Writer:
    """A file being written, record by record."""

    def __init__(self, file: Any, prefix: str) -> None:
        self.zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self.prefix = prefix
        self.digest = hashlib.sha1()

    def add(self, record: str, data: Any) -> None:
        """Write a record. Its data begin at a multiple of 64 bytes, so that they can be mapped into memory."""
        name = self.prefix + "/" + record
        info = zipfile.ZipInfo(name)  # dated 1980: the same objects give the same file
        data = memoryview(data).cast("B") if memoryview(data).nbytes else b""
        info.file_size = len(data)
        large = len(data) * 1.05 > zipfile.ZIP64_LIMIT  # then zipfile itself adds 20 bytes to the header
        at = self.zip.start_dir + _HEADER + len(name.encode()) + (20 if large else 0)
        padding = -(at + 4) % ALIGNMENT
        info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        with self.zip.open(info, "w", force_zip64=large) as stream:
            stream.write(data)
        self.digest.update(data)

    def close(self) -> None:
        """Write what stands at the end."""
        self.add("version", b"3\n")
        number = int(self.digest.hexdigest()[:32], 16)
        self.add(".data/serialization_id", f"{number:040d}".encode())
        self.zip.close()


def is_zip(file: Any) -> bool:
    """Whether a file begins like a zip archive."""
    at = file.tell()
    head = file.read(4)
    file.seek(at)
    return head == b"PK\x03\x04"


def buffer(data: bytes) -> io.BytesIO:
    """Bytes as a file."""
    return io.BytesIO(data)
