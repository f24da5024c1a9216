"""One program, a function of the library, under PyTorch and under clew: the same result, warnings and error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import clew

torch = pytest.importorskip("torch")
Program = Callable[[Any], Any]


def plain(value: Any) -> Any:
    """A result as data that is equal for both libraries."""
    if isinstance(value, (torch.Tensor, clew.Tensor)):
        # Rounded through text: the last bit of a float32 may differ.
        numbers = re.sub(
            r"-?\d+\.\d+(e[-+]\d+)?", lambda m: f"{float(m[0]):.5g}", repr(value.detach().tolist())
        )
        numbers = numbers.replace("-0j", "0j")  # the sign of an imaginary zero differs
        return str(value.dtype), tuple(value.shape), numbers, value.requires_grad
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, str):
        return re.sub(r"0x[0-9a-f]+", "0x", value)
    if value is None or isinstance(value, (int, complex)):
        return value
    if hasattr(value, "next_functions"):
        return value.name()
    return re.sub(r"0x[0-9a-f]+", "0x", repr(value).replace("clew.", "torch."))


def outcome(module: Any, program: Program) -> Any:
    """What a program returns and warns of, or its error and the first line of the sentence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found: Any = plain(program(module))
        except Exception as error:
            sentence = str(error).partition(" (function _validate")[0]
            found = type(error).__name__, sentence.splitlines()[0] if sentence else ""
        module.set_grad_enabled(
            True
        )  # a program may leave it off, as entering one `no_grad()` object twice does
    lines = [(w.category.__name__, first_line(w)) for w in caught]
    return found, [(category, line) for category, line in lines if "torch.jit.script" not in line]


def first_line(warning: warnings.WarningMessage) -> str:
    return str(warning.message).partition(" (Triggered internally")[0].splitlines()[0]


def same(program: Program, *, warned: bool = True) -> None:
    """Both give the same (warned: with the same warnings)."""
    for module in (torch, clew):
        module.set_warn_always(True)
    try:
        want, have = outcome(torch, program), outcome(clew, program)
    finally:
        for module in (torch, clew):
            module.set_warn_always(False)
    if not warned:
        want, have = want[0], have[0]
    assert have == want


def collect(namespace: dict[str, Any]) -> Any:
    """A parametrisation over the programs of a module: its functions whose names start with `p_`."""
    found = {name.removeprefix("p_"): f for name, f in namespace.items() if name.startswith("p_")}
    return pytest.mark.parametrize("program", found.values(), ids=found.keys())
