"""A program as Python: one line for each step, with the user's line as a comment where a new one begins."""

from __future__ import annotations

import keyword
import linecache
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from clew.capture.program import Ref, Step, refs
from clew.capture.traced import ATTRIBUTES, GETITEM, METHODS
from clew.core.node import source_line

_INFIX = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.matmul: "@", np.power: "**", np.greater: ">",
    np.less: "<", np.greater_equal: ">=", np.less_equal: "<=", np.equal: "==", np.not_equal: "!=", np.bitwise_and: "&",
    np.bitwise_or: "|", np.bitwise_xor: "^",
}  # fmt: skip
_LARGE = 1 << 12  # elements: a value of more is let go of after its last use


class Writer:
    """Collects lines, and the objects that they speak of."""

    def __init__(self, scalars: set[int] | None = None) -> None:
        self.scalars = (
            scalars or set()
        )  # values that are NumPy scalars: with them Python's numbers are faster than 0-d arrays
        self.room: dict[str, Any] = {"np": np}
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self._known: dict[int, str] = {}
        self._place: Any = None
        self._shown: Any = None

    def name(self, number: int) -> str:
        """The name of a value."""
        return self.names.setdefault(number, f"v{number}")

    def thing(self, value: Any, hint: str) -> str:
        """A name for an object that the source cannot spell out."""
        known = self._known.get(id(value))
        if known is None:
            stem = identifier(hint)
            known, n = stem, 2
            while known in self.room or known in self.names.values():
                known, n = f"{stem}_{n}", n + 1
            self.room[known] = value
            self._known[id(value)] = known
        return known

    def value(self, value: Any) -> str:
        """An argument."""
        if value.__class__ is Ref:
            return self.name(value.name)
        if value is None or value is Ellipsis or value.__class__ in (bool, int, str):
            return repr(value)
        if value.__class__ is float:
            return repr(value) if np.isfinite(value) else f"float('{value}')"
        if value.__class__ is tuple:
            inner = ", ".join(map(self.value, value))
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        if value.__class__ is list:
            return "[" + ", ".join(map(self.value, value)) + "]"
        if value.__class__ is slice:
            return f"slice({self.value(value.start)}, {self.value(value.stop)}, {self.value(value.step)})"
        if isinstance(value, np.dtype):
            return self.thing(value, value.name)
        if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind == "f":
            return self.thing(value, "c_" + re.sub(r"[^0-9a-z]", "_", f"{float(value):g}"))
        if isinstance(value, np.ndarray):
            return self.thing(value, "array")
        return self.thing(value, getattr(value, "__name__", type(value).__name__))

    def index(self, key: Any) -> str:
        """What stands between brackets."""
        if key.__class__ is tuple:
            return ", ".join(map(self.index, key)) or "()"
        if key.__class__ is slice:
            parts = ["" if p is None else self.value(p) for p in (key.start, key.stop, key.step)]
            return ":".join(parts[:2]) + (f":{parts[2]}" if parts[2] else "")
        return self.value(key)

    def expression(self, step: Step) -> str:
        """The right side of a step's line."""
        f, args = step.function, step.args
        if step.outs and step.outs[0] in self.scalars and f in _INFIX and not step.kwargs:
            args = tuple([float(a) if _is_number(a) else a for a in args])
        if not step.kwargs and f in _INFIX and len(args) == 2:
            return f"{self.value(args[0])} {_INFIX[f]} {self.value(args[1])}"
        if f is np.negative and not step.kwargs:
            return f"-{self.value(args[0])}"
        if f is GETITEM:
            return f"{self.value(args[0])}[{self.index(args[1])}]"
        if f in ATTRIBUTES:
            return f"{self.value(args[0])}.{ATTRIBUTES[f]}"
        given = [self.value(a) for a in args] + [f"{k}={self.value(v)}" for k, v in step.kwargs.items()]
        if f in METHODS:
            return f"{given[0]}.{METHODS[f]}({', '.join(given[1:])})"
        return f"{self.function(f)}({', '.join(given)})"

    def function(self, f: Any) -> str:
        owner = getattr(f, "__self__", None)
        if isinstance(owner, np.ufunc):
            return self.thing(f, f"{owner.__name__}_{f.__name__}")
        name = getattr(f, "__name__", "function")
        return f"np.{name}" if getattr(np, name, None) is f else self.thing(f, name)

    def line(self, text: str, place: Any = None) -> None:
        """One line; where the user's line is another than before, that as a comment above it."""
        if place is not None and place != self._place:
            self._place = place
            found = source_line(place)
            text_of = linecache.getline(*found).strip() if found else ""
            if text_of and found != self._shown:
                self._shown = found
                self.lines.append(f"    # {found[1] if found else 0}: {text_of}")
        self.lines.append("    " + text)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.ndim == 0
        and value.dtype.kind == "f"
        and value.dtype.itemsize >= 4
    )


def identifier(hint: str) -> str:
    """A hint made a name."""
    made = re.sub(r"\W", "_", hint).strip("_") or "x"
    return made + "_" if keyword.iskeyword(made) or made[0].isdigit() else made


def last_uses(steps: Sequence[Step], kept: set[int], sizes: dict[int, int]) -> dict[int, list[int]]:
    """For each step the large values that no later one needs."""
    seen = set(kept)
    found: dict[int, list[int]] = {}
    for i in range(len(steps) - 1, -1, -1):
        here = []
        for name in dict.fromkeys([*refs(steps[i].args), *refs(steps[i].kwargs), *steps[i].outs]):
            if name not in seen:
                seen.add(name)
                if sizes.get(name, 0) > _LARGE:
                    here.append(name)
        found[i] = here
    return found


__all__ = ["Writer", "identifier", "last_uses"]
