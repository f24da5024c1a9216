"""Modules made without spending time, or random numbers, on their initial values."""

from __future__ import annotations

import inspect
from typing import Any

from clew.nn.module import Module
from clew.ops.sampling import fork_rng


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Any:
    """`module_cls(*args, **kwargs)` with arbitrary parameters: the random stream stays where it is.

    RuntimeError for what is no module class or takes no `device`.
    """
    if not isinstance(module_cls, type) or not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with fork_rng():
        return module_cls(*args, **kwargs)


__all__ = ["skip_init"]
