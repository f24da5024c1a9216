"""`torch.hub`: models from the network. clew loads nothing from there."""

from __future__ import annotations

import os
from typing import Any, NoReturn

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

_dir: str | None = None


def get_dir() -> str:
    """Where PyTorch keeps what it downloads."""
    home = os.environ.get("TORCH_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch"))
    return _dir or os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: str) -> None:
    """Choose another folder."""
    global _dir
    _dir = os.path.expanduser(d)


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError(
        "clew downloads nothing: fetch the file yourself, load it with torch.load, and build the model in your program"
    )


load = list = help = load_state_dict_from_url = download_url_to_file = _refuse
