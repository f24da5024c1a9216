"""`save` and `load`."""

from __future__ import annotations

import io
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clew.device import device
from clew.serialization import legacy
from clew.serialization.archive import Archive, Writer, is_zip
from clew.serialization.pickler import Pickler, memory_of
from clew.serialization.unpickler import Refused, Unpickler

DOCS = "Check the documentation of torch.load to learn more about types accepted by default with weights_only https://pytorch.org/docs/stable/generated/torch.load.html."
CHANGED = "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` from `False` to `True`. "
REFUSED = (
    "Weights only load failed. {reason}\n"
    "clew never runs what a file says, with weights_only=False neither. Name the classes that the file may hold:\n"
    "    with torch.serialization.safe_globals([...]):\n        torch.load(...)\n\n" + DOCS
)
NO_CUDA = (
    "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a "
    "CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the CPU."
)


# ---- save ------------------------------------------------------------------------------------------------------------
def save(
    obj: Any, f: Any, pickle_module: Any = pickle, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:  # fmt: skip
    """Write an object (tensors, parameters, state dicts, nested containers of them …) into a file that PyTorch reads.

    f: a path, or a binary file to write to. A file that is there is replaced only when the new one is whole.
    """
    if isinstance(f, (str, os.PathLike)):
        path = os.path.realpath(os.fspath(f))
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(f))} does not exist.")
        with replacing(path) as file:
            _write(obj, file, os.path.splitext(os.path.basename(path))[0] or "archive", pickle_protocol)
        return
    if not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    whole = io.BytesIO()
    _write(obj, whole, "archive", pickle_protocol)
    f.write(whole.getbuffer())


def _write(obj: Any, file: Any, name: str, protocol: int) -> None:
    text = io.BytesIO()
    pickler = Pickler(text, protocol)
    pickler.dump(obj)
    writer = Writer(file, name)
    writer.add("data.pkl", text.getvalue())
    writer.add(".format_version", b"1")
    writer.add(".storage_alignment", b"64")
    writer.add("byteorder", sys.byteorder.encode())
    for number, root in enumerate(pickler.storages):
        writer.add(f"data/{number}", memory_of(root))
    writer.close()


@contextmanager
def replacing(path: str) -> Iterator[Any]:
    """A file written beside `path` and put in its place when it is whole: an interrupted write destroys nothing."""
    try:
        before = os.stat(path)
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):  # a pipe, /dev/null
        with open(path, "wb") as file:
            yield file
        return
    handle, beside = tempfile.mkstemp(
        dir=os.path.dirname(path), prefix="." + os.path.basename(path)[:100] + "."
    )
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, stat.S_IMODE(before.st_mode) if before is not None else 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---- load ------------------------------------------------------------------------------------------------------------
def load(
    f: Any, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = None,
    mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """Read what `save` (PyTorch's or clew's) wrote. Nothing that the file says is run.

    f: a path, or a seekable binary file. map_location: everything is on the CPU; asking for another device is an error.
    weights_only: False also takes NumPy's numbers and arrays of numbers, and nets whose classes the program itself has. mmap: storages stay in
    the file until they are touched (paths only).
    UnpicklingError for what is not allowed, RuntimeError for a file that is not whole.
    """
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _read(file, os.fspath(f) if mmap else None, map_location, weights_only, pickle_load_args)
    for needed in ("seek", "read", "tell"):
        if not hasattr(f, needed):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{needed}'. You can only torch.load from a file that is "
                "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
            )
    if mmap:
        raise ValueError("f must be a string filename in order to use mmap argument")
    return _read(f, None, map_location, weights_only, pickle_load_args)


def _read(
    file: Any, mapped: str | None, map_location: Any, weights_only: bool | None, options: dict[str, Any]
) -> Any:
    modules = weights_only is False
    locate = _locator(map_location)
    encoding = options.get("encoding", "utf-8")
    try:
        if not is_zip(file):
            return legacy.load(file, modules, encoding, locate)
        start = file.tell()
        source = file if not start else io.BytesIO(file.read())
        archive = Archive(source, mapped)
        return Unpickler(archive.pickle(), archive, modules, encoding, locate).load()
    except Refused as error:
        raise pickle.UnpicklingError(REFUSED.format(reason=error)) from None
    except (
        pickle.UnpicklingError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        raise pickle.UnpicklingError(
            f"Weights only load failed. The pickle in the file is damaged or not one of torch.save's: {error}\n\n{DOCS}"
        ) from None


def _locator(map_location: Any) -> Callable[[str], None]:
    """A check of the device that a storage was saved on."""

    def check(location: Any) -> None:
        wanted = map_location
        if isinstance(wanted, dict):
            wanted = wanted.get(location, location)
        elif wanted is None:
            wanted = location
        elif callable(wanted) and not isinstance(wanted, device):
            return
        if str(wanted).startswith("cuda"):
            raise RuntimeError(NO_CUDA)
        if isinstance(wanted, str):
            device(wanted)

    return check
