"""One expression under PyTorch and under clew: the same value to the last bit, or the same error."""

from __future__ import annotations

import copy
import io
import math
import operator
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")

NAMES = {"np": np, "math": math, "copy": copy, "pickle": pickle, "operator": operator, "io": io}


def describe(value: Any) -> Any:
    """A value as plain data that is equal for both libraries, NaNs included."""
    if isinstance(value, (torch.Tensor, clew.Tensor)):
        tensor = value.detach()
        kind = str(tensor.dtype)
        if kind == "torch.bfloat16":
            tensor = tensor.float()
        return (
            "tensor",
            kind,
            type(value).__name__,
            value.requires_grad,
            describe(np.array(tensor.numpy()))[1:],
        )
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.ascontiguousarray(value)
        if array.dtype.kind in "fc":
            array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
        return type(value).__name__, str(value.dtype), value.shape, array.tolist().__repr__()
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [describe(v) for v in value]
    if isinstance(value, dict):
        return {key: describe(v) for key, v in value.items()}
    return type(value).__name__, repr(value)


def outcome(module: Any, program: str) -> Any:
    """What a program (statements, the last one an expression) gives with `t` standing for a library."""
    *statements, last = program.split("; ")
    scope = {**NAMES, "t": module}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for statement in statements:
                exec(statement, scope)
            found = describe(eval(last, scope))
        except Exception as error:
            return type(error).__name__, str(error).splitlines()[0] if str(error) else ""
    # Told to warn always, PyTorch says some things once for each pass over the data.
    return found, list(dict.fromkeys(str(w.message).partition(" (Triggered internally")[0] for w in caught))


def same(program: str, *, warned: bool = False) -> None:
    """The program has the same outcome under both. warned: and gives the same warnings."""
    torch.set_warn_always(True)
    clew.set_warn_always(True)
    try:
        want, have = outcome(torch, program), outcome(clew, program)
    finally:
        torch.set_warn_always(False)
        clew.set_warn_always(False)
        torch.set_default_dtype(torch.float32)
        clew.set_default_dtype(clew.float32)
    if not warned and want and isinstance(want[0], tuple):
        want, have = want[0], have[0]
    assert have == want
