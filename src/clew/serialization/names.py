"""What PyTorch's files call things: classes and functions by module and name, storages by the type of their elements."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import clew
from clew.dtypes import dtype

# A storage class for each element type; the types without one are saved as bytes with the type beside them.
STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64",
}  # fmt: skip
STORAGE_OF = {element: storage for storage, element in STORAGES.items()}
DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128",
)  # fmt: skip

# Where a program finds clew's public classes and functions, and so how a file names them.
ROOMS = (
    "", "nn", "optim", "optim.lr_scheduler", "optim.swa_utils", "nn.utils.rnn", "nn.functional", "nn.utils.parametrize",
    "nn.utils.parametrizations", "utils.data", "distributions",
)  # fmt: skip


class Named:
    """A class or function of PyTorch's, by its name in a file."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.module}.{self.name} stands for a name in a file")

    def __repr__(self) -> str:
        return f"{self.module}.{self.name}"


def element_type(name: str) -> dtype:
    """clew's element type of a name."""
    return getattr(clew, name)


def room(path: str) -> Any:
    """A module of clew; None where it has none of that name."""
    if not path:
        return clew
    try:
        return importlib.import_module(f"clew.{path}")
    except ImportError:
        return None


def public_name(thing: Any) -> tuple[str, str] | None:
    """PyTorch's module and name of a class or function of clew; None for the user's own."""
    own = getattr(thing, "__module__", "") or ""
    if own.partition(".")[0] not in ("clew", "torch"):
        return None
    name = getattr(thing, "__qualname__", thing.__name__)
    if own.startswith("torch"):
        return own, name
    for path in ROOMS:
        found = sys.modules.get(f"clew.{path}" if path else "clew") or room(path)
        if found is not None and vars(found).get(name) is thing:
            return f"torch.{path}".rstrip("."), name
    return "torch" + own.removeprefix("clew").replace(".nn.layers.", ".nn.modules."), name


def find_public(module: str, name: str) -> Any:
    """clew's class of PyTorch's module and name (PyTorch's files often name an inner module); None where it has none.

    Looks the names up in modules that exist: nothing is imported that a file chooses.
    """
    path = module.removeprefix("torch").lstrip(".")
    candidates = [p for p in ROOMS if p == path] or [
        p for p in ROOMS if p and (path + ".").startswith(p + ".")
    ]
    if path.startswith("optim") and "optim" not in candidates:
        candidates.append("optim")
    for candidate in candidates:
        found = room(candidate)
        thing = None if found is None else getattr(found, name, None)
        if isinstance(thing, type):
            return thing
    inner = path.removeprefix("nn.modules.")
    thing = getattr(getattr(clew.nn.modules, inner, None), name, None) if inner != path else None
    return thing if isinstance(thing, type) and issubclass(thing, clew.nn.Module) else None


def find_function(module: str, name: str) -> Any:
    """clew's operator of PyTorch's module and name (`torch.nn.functional.relu`), which a net may hold; None for others."""
    path = module.removeprefix("torch").lstrip(".")
    found = vars(room(path) or clew).get(name) if path in ("", "nn.functional") else None
    return (
        found
        if getattr(found, "__module__", "").startswith("clew.ops.") and not isinstance(found, type)
        else None
    )
