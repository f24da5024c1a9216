"""`torch.jit`: scripted and traced functions are the functions themselves, which give the same numbers. There is no
TorchScript: nothing can be saved as such or loaded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NoReturn

from clew.nn.module import Module

__all__ = [
    "Attribute", "ScriptModule", "annotate", "export", "freeze", "ignore", "is_scripting", "is_tracing", "load",
    "optimized_execution", "save", "script", "script_if_tracing", "script_method", "trace", "trace_module", "unused",
]  # fmt: skip


class ScriptModule(Module):
    """A module compiled by TorchScript: clew makes none, so no module is one."""


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The function, module or class itself."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function or module itself."""
    return func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """The module itself."""
    return mod


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """The module itself."""
    return mod


optimize_for_inference = freeze


def _as_is(fn: Any = None, **_: Any) -> Any:
    """A decorator that leaves a function as it is."""
    return fn if callable(fn) else lambda f: f


export = unused = script_method = script_if_tracing = interface = _as_is


def ignore(drop: Any = False, **_: Any) -> Any:
    """A decorator that leaves a function as it is."""
    return drop if callable(drop) else lambda f: f


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def Attribute(value: Any, type: Any = None) -> Any:
    """The value."""
    return value


def is_scripting() -> bool:
    """False."""
    return False


is_tracing = is_scripting


@contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """Accepted for compatibility."""
    yield


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError(
        "clew has no TorchScript: save the state_dict with torch.save, and build the module again to load it"
    )


save: Callable[..., NoReturn] = _refuse
load: Callable[..., NoReturn] = _refuse
