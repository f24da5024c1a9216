"""Tensors as text, character for character as PyTorch writes them.

The rules. Numbers are judged as float64 and only those that are shown count. Of these, the finite nonzero
ones choose the notation:

    whole        every one is whole            `3.`           (no fraction digits)
    fixed        otherwise                     `3.1416`       (`precision` fraction digits)
    scientific   max|x| / min|x| > 1000, or max|x| > 1e8, or, unless all are whole, min|x| < 1e-4

and the common width; zeros, infinities and nan are written in the chosen notation but never widen a column.
Complex numbers choose notation and width for their real and imaginary parts separately. A tensor with more
than `threshold` elements shows the first and last `edgeitems` of every dimension longer than twice that.

This module knows arrays only; what a tensor has besides numbers comes as text (see `format_tensor`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite, prod
from typing import Any

import numpy as np


class PrintOptions:
    """What `set_printoptions` sets. `sci_mode` None lets the numbers decide."""

    def __init__(self) -> None:
        self.precision = 4
        self.threshold: float = 1000
        self.edgeitems = 3
        self.linewidth = 80
        self.sci_mode: bool | None = None


PRINT_OPTS = PrintOptions()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": float("inf"), "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed. What is left out keeps its value, but `sci_mode` returns to None.

    - `precision`: digits after the decimal point.
    - `threshold`: tensors with more elements than this are summarised.
    - `edgeitems`: elements shown at each end of a summarised dimension.
    - `linewidth`: characters per line.
    - `profile`: `"default"`, `"short"` or `"full"`, values for the four above, which still take precedence.
    - `sci_mode`: whether to use scientific notation; None decides by the numbers.
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    chosen = dict(_PROFILES.get(profile, {})) if profile is not None else {}
    chosen.update((name, value) for name, value in given.items() if value is not None)
    for name, value in chosen.items():
        setattr(PRINT_OPTS, name, value)
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force, by name; `set_printoptions(**get_printoptions())` restores them."""
    return dict(vars(PRINT_OPTS))


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """`set_printoptions` for the length of a `with` block."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


# Complex numbers of the default precision need no `dtype=`. Half precision's complex type is not supported.
_COMPLEX_OF = {"float32": "complex64", "float64": "complex128"}


def format_tensor(
    array: np.ndarray[Any, Any],
    *,
    dtype_name: str | None = None,
    default_dtype: str = "float32",
    device: str | None = None,
    suffixes: Sequence[str] = (),
    prefix: str = "tensor(",
) -> str:
    """`tensor(numbers, device=, size=, dtype=, ...)`, each part only where it says something.

    - `array`: the elements, of any shape and strides.
    - `dtype_name`: the element type (`"float32"`); None takes it from the array.
    - `default_dtype`: the default floating type, which is not mentioned.
    - `device`: what to put in `device='...'`, None for the CPU.
    - `suffixes`: further parts, such as `"requires_grad=True"` or `"grad_fn=<PowBackward0>"`.
    - `prefix`: the opening, `"Name("`; all further lines are indented by its length.
    """
    dtype = dtype_name or array.dtype.name
    usual = dtype == default_dtype
    size: str | None = f"size={tuple(array.shape)}"
    if array.size == 0:
        body = "[]"
        size = None if array.ndim == 1 else size
    else:
        usual = usual or dtype in ("int64", "bool") or dtype == _COMPLEX_OF.get(default_dtype)
        body = _format_body(array, len(prefix))
        if PRINT_OPTS.edgeitems != 0:  # with no elements to show, say how many there are
            size = None
    parts = [] if device is None else [f"device='{device}'"]
    if size is not None:
        parts.append(size)
    if not usual:
        parts.append(f"dtype=torch.{dtype}")
    parts.extend(suffixes)
    return _append(prefix + body, parts, len(prefix))


def _append(text: str, parts: Sequence[str], indent: int) -> str:
    """`text, part, part)`, each part on a new line if it would not fit."""
    # PyTorch keeps one column free after what follows the numbers on their line, and runs one column over on
    # lines that begin with a part.
    lines = [text]
    free = PRINT_OPTS.linewidth - (len(text) - text.rfind("\n") - 1) - 2
    for part in parts:
        needed = len(part) + 2
        if needed <= free:
            lines[-1] += ", " + part
            free -= needed
        else:
            lines.append(" " * indent + part)
            free = PRINT_OPTS.linewidth - indent - len(part)
    return ",\n".join(lines) + ")"


def _format_body(array: np.ndarray[Any, Any], indent: int) -> str:
    """The bracketed numbers, whose first character lands in column `indent`."""
    shortened = (False,) * array.ndim
    if array.size > PRINT_OPTS.threshold:
        edge = PRINT_OPTS.edgeitems
        if edge == 0:
            return "[...]" if array.ndim else _format_items(array)[0][0]
        shortened = tuple(n > 2 * edge for n in array.shape)
        array = _edges(array, edge, shortened)
    items, room = _format_items(array)
    return _layout(items, array.shape, shortened, indent, room) if array.ndim else items[0]


def _edges(array: np.ndarray[Any, Any], edge: int, shortened: Sequence[bool]) -> np.ndarray[Any, Any]:
    """The first and last `edge` elements of each shortened dimension, all of the others."""
    for axis, short in enumerate(shortened):
        if short:
            lines = np.moveaxis(array, axis, 0)
            array = np.moveaxis(np.concatenate((lines[:edge], lines[-edge:])), 0, axis)
    return array


def _layout(items: list[str], shape: Sequence[int], shortened: Sequence[bool], indent: int, room: int) -> str:
    """Group items in brackets, the innermost dimension first: rows that wrap, then blocks of rows.

    Blocks at depth d are separated by ndim - d - 1 line ends and indented by d + 1 more than the whole.
    `room` is what one item takes of a line, separator included.
    """
    ndim = len(shape)
    edge = PRINT_OPTS.edgeitems
    for depth in reversed(range(ndim)):
        inside = "\n" + " " * (indent + depth + 1)
        per_line = max(1, (PRINT_OPTS.linewidth - indent - depth) // room)
        groups = []
        for start in range(0, prod(shape[: depth + 1]), shape[depth]):
            group = items[start : start + shape[depth]]
            if depth < ndim - 1:
                if shortened[depth]:
                    group.insert(edge, "...")
                text = ("," + "\n" * (ndim - depth - 2) + inside).join(group)
            else:
                if shortened[depth]:
                    group.insert(edge, " ...")
                lines = [", ".join(group[i : i + per_line]) for i in range(0, len(group), per_line)]
                text = ("," + inside).join(lines)
            groups.append("[" + text + "]")
        items = groups
    return items[0]


def _format_items(array: np.ndarray[Any, Any]) -> tuple[list[str], int]:
    """The elements as texts of one width, in row-major order, and the room one takes in a line."""
    kind = array.dtype.kind
    if kind in "biu":
        texts = [str(value) for value in array.ravel().tolist()]
        width = max(map(len, texts))
        return [text.rjust(width) for text in texts], width + 2
    if kind == "c":
        real, real_width = _format_floats(array.real.ravel().tolist())
        imaginary, imaginary_width = _format_floats(array.imag.ravel().tolist())
        texts = [_join_complex(r, i) for r, i in zip(real, imaginary, strict=True)]
        return texts, real_width + imaginary_width + 3
    if kind != "f":
        array = array.astype(np.float64)  # bfloat16, a number type NumPy itself does not know
    texts, width = _format_floats(array.ravel().tolist())
    return texts, width + 2


def _join_complex(real: str, imaginary: str) -> str:
    imaginary = imaginary.lstrip()
    return real + ("" if imaginary[0] == "-" else "+") + imaginary + "j"


def _format_floats(values: list[float]) -> tuple[list[str], int]:
    """Floats as texts of one width, and that width. See the module's docstring for the notation."""
    deciding = [value for value in values if value and isfinite(value)]
    if not deciding:
        # With nothing to decide by, the notation is whole, whatever `sci_mode` says, and columns don't align.
        return [_write(value, "%.0f.") for value in values], 1
    whole = all(map(float.is_integer, deciding))
    scientific = PRINT_OPTS.sci_mode
    if scientific is None:
        sizes = list(map(abs, deciding))
        largest, smallest = max(sizes), min(sizes)
        scientific = largest / smallest > 1000 or largest > 1e8 or (not whole and smallest < 1e-4)
    precision = PRINT_OPTS.precision
    pattern = f"%.{precision}e" if scientific else "%.0f." if whole else f"%.{precision}f"
    texts = [_write(value, pattern) for value in values]
    width = max(len(text) for value, text in zip(values, texts, strict=True) if value and isfinite(value))
    return [text.rjust(width) for text in texts], width


def _write(value: float, pattern: str) -> str:
    return pattern % value if isfinite(value) else str(value)
