"""`torch.compile` and `torch.compiler`: see `clew.capture`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from clew.nn.module import Module

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "reset",
]


class OptimizedModule(Module):
    """A module whose calls are captured: the module itself is under the name `_orig_mod`."""

    def __init__(self, module: Module, run: Any) -> None:
        super().__init__()
        self._orig_mod = module
        vars(self)["run"] = run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return vars(self)["run"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return super().__getattr__(name)
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._orig_mod, name)

    def train(self, mode: bool = True) -> OptimizedModule:
        super().train(mode)
        return self


def compile(
    model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any = "inductor",
    mode: str | None = None, options: dict[str, Any] | None = None, disable: bool = False, **_: Any,
) -> Any:  # fmt: skip
    """A function that computes the same, faster: its calls are recorded, and from the third on a program of array
    operations runs (`compiled.source` shows it). What cannot be recorded runs as it is, and a warning says why (with
    `fullgraph` it is an error). Most useful of a whole training step; of a function or module that returns a graph, forward
    and backward become a program each. Without `model`, a decorator.

    RuntimeError for a mode that does not exist, or where both `mode` and `options` are given.
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode not in (None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"):
        raise RuntimeError(
            f"Unrecognized mode={mode}, should be one of: default, reduce-overhead, max-autotune, max-autotune-no-cudagraphs"
        )
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable)  # fmt: skip
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    if isinstance(model, type):
        return model
    if disable:
        return OptimizedModule(model, model) if isinstance(model, Module) else model
    from clew.capture.compiled import Compiled

    run = Compiled(model, fullgraph)
    return OptimizedModule(model, run) if isinstance(model, Module) else run


def is_compiling() -> bool:
    """Whether the code that asks is being captured: never."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, **_: Any) -> Any:
    """Leave a function out of what is compiled."""
    return fn if fn is not None else lambda f: f


def allow_in_graph(fn: Any) -> Any:
    """Accepted for compatibility."""
    return fn


assume_constant_result = allow_in_graph


def reset() -> None:
    """Forget what was compiled."""
