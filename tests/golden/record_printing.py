"""Record how PyTorch prints tensors: `python record_printing.py` writes `printing.json` beside this file.

Each case is an expression in NumPy (`np`, `nan`, `inf`), an element type, print options, what else the tensor
has, and PyTorch's text.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

FLOATS = (
    "0.1", "-0.0", "nan", "-inf", "1e8", "100000001.0", "1e-5", "12345.678", "[0.0, -0.0]",
    "[0.0, nan, -inf]", "[1.0, -2.0, 3.0]", "[1.0, -2.5, 3.0]", "[1.0, 1000.0]", "[1.0, 1001.0]",
    "[1.5, 1500.0]", "[1.5, 1501.0]", "[1e-4, 0.01]", "[9.9e-5, 0.01]", "[nan, 100.0, -inf]",
    "[nan, 0.25, -inf, -0.0]", "[1e5, nan]", "[-1e30, 1e-30]", "np.arange(15) / 7", "np.arange(1001)",
    "np.arange(12).reshape(3, 4) / 8", "np.linspace(-1, 1, 24).reshape(2, 3, 2, 2)", "np.zeros((1, 1, 1))",
    "np.sin(np.arange(2000)).reshape(40, 50)", "np.cos(np.arange(1600)).reshape(4, 20, 20)",
)  # fmt: skip
INTEGERS = (
    "7", "[1, 20, 100]", "np.arange(40).reshape(2, 20)", "np.arange(2000) % 101", "np.zeros((3, 2, 1))",
    "np.arange(1200).reshape(2, 600) % 13",
)  # fmt: skip
COMPLEX = (
    "1 + 2j", "[1 + 2j, 3 - 4j]", "[1.5 + 2j, -3 - 4j]", "[complex(nan, -inf), 1 + 0.5j]",
    "[complex(-0.0, -0.0)]", "[1e10 + 2j, 1]", "[1 + 1e-7j, 1 - 10j, complex(1, inf), 3]",
    "np.exp(1j * np.arange(20)).reshape(4, 5)", "np.exp(1j * np.arange(1200))",
)  # fmt: skip
EMPTY = ("[]", "np.zeros((0, 3))", "np.zeros((2, 0, 4))")
OPTIONED = ("3.25", "[1.0, 22222.0, 0.0]", "[0.5, -3.0, 1e-9]", "np.arange(30).reshape(3, 10) / 3")
OPTIONS: tuple[dict[str, Any], ...] = (
    {"precision": 0}, {"precision": 10}, {"sci_mode": True}, {"sci_mode": False}, {"linewidth": 20},
    {"linewidth": 200}, {"threshold": 2}, {"threshold": 2, "edgeitems": 1}, {"threshold": 2, "edgeitems": 0},
    {"profile": "short"}, {"profile": "full"}, {"profile": "short", "precision": 7, "sci_mode": True},
)  # fmt: skip
SUFFIXED = ("1.0", "[0.3]", "np.arange(7) / 3", "np.arange(8) / 3", "np.arange(20) / 3", "np.zeros((0, 2))")


def case(
    expression: str, dtype: str = "float32", default: str = "float32", state: str = "", **options: Any
) -> dict[str, Any]:
    array = np.array(eval(expression, {"np": np, "nan": np.nan, "inf": np.inf}))
    tensor = torch.from_numpy(array).to(getattr(torch, dtype))
    suffixes = []
    if state:
        tensor.requires_grad_()
        suffixes = ["requires_grad=True"]
    if state == "grad_fn":
        tensor = tensor.clone()
        suffixes = ["grad_fn=<CloneBackward0>"]
    torch.set_default_dtype(getattr(torch, default))
    with torch._tensor_str.printoptions(**options):
        text = repr(tensor)
    torch.set_default_dtype(torch.float32)
    return {
        "expression": expression,
        "dtype": dtype,
        "default_dtype": default,
        "suffixes": suffixes,
        "options": options,
        "text": text,
    }


def cases() -> list[dict[str, Any]]:
    found = [case(e, d) for e, d in product(FLOATS, ("float16", "bfloat16", "float32", "float64"))]
    found += [case(e, d) for e, d in product(INTEGERS, ("bool", "uint8", "int16", "int64", "uint64"))]
    found += [case(e, d) for e, d in product(COMPLEX, ("complex64", "complex128"))]
    found += [case(e, d) for e, d in product(EMPTY, ("bool", "int64", "float32", "float64", "complex64"))]
    under_float64 = product(("1", "[]"), ("bool", "int64", "float32", "float64", "complex64", "complex128"))
    found += [case(e, d, "float64") for e, d in under_float64]
    found += [case(e, **options) for e, options in product(OPTIONED, OPTIONS)]
    states = product(SUFFIXED, ("float32", "float64"), ("requires_grad", "grad_fn"))
    found += [case(e, d, state=state) for e, d, state in states]
    return found


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(found) for found in cases())
    Path(__file__).with_suffix("").with_name("printing.json").write_text(f"[\n{lines}\n]\n")
