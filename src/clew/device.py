"""Devices. Everything lives on `cpu`; the other names exist so that programs can ask and be answered honestly."""

from __future__ import annotations

from typing import Any

_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy",
    "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


MISSING: Any = object()


class device:
    """Where a tensor lives: `device('cpu')`, `device('cuda', 0)`, `device('cuda:0')`."""

    __module__ = "torch"  # programs print `type(x.device)`
    __slots__ = ("index", "type")

    type: Any
    index: int | None

    def __init__(self, type: Any = MISSING, index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int):
            raise RuntimeError(
                "Cannot access accelerator device when none is available. (clew runs on the CPU; use device='cpu')"
            )
        if not isinstance(type, str):
            got = "" if type is MISSING else type.__class__.__name__
            raise TypeError(
                f"device() received an invalid combination of arguments - got ({got}), but expected one of:\n"
                " * (torch.device device)\n * (str type, int index = -1)"
            )
        if not type:
            raise RuntimeError("Device string must not be empty")
        if index is not None and index < 0:
            raise RuntimeError("Device index must not be negative")
        name, colon, number = type.partition(":")
        if colon:
            if index is not None:
                raise RuntimeError(
                    f"type (string) must not include an index because index was passed explicitly: {type}"
                )
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        if name not in _TYPES:
            raise RuntimeError(
                "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, "
                f"vulkan, mps, meta, hpu, mtia, privateuseone device type at start of device string: {name}"
            )
        self.type = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')"
            if self.index is None
            else f"device(type='{self.type}', index={self.index})"
        )

    def __reduce__(self) -> Any:
        return _remade, (self.type, self.index)

    def __enter__(self) -> device:
        check(self)
        return self

    def __exit__(self, *exc: object) -> None:
        return None


def _remade(type: str, index: int | None) -> device:
    """A device from its pickle."""
    return device(type, index)


cpu = device("cpu")


def check(wanted: Any) -> device:
    """The device as asked for, if clew has it; else an error that says what to do."""
    if wanted is None or wanted is cpu or (wanted.__class__ is str and wanted == "cpu"):
        return cpu
    found = device(wanted)
    if found.type == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled (clew runs on the CPU; use device='cpu')")
    if found.type != "cpu":
        raise RuntimeError(f"clew runs on the CPU and has no device of type '{found.type}'; use device='cpu'")
    return found
