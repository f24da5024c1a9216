"""A computation as data: nodes, edges, their numbers. What every picture is drawn from.

A `Graph` holds no tensor and no node of the engine: it stays as it was when it was taken.
"""

from __future__ import annotations

import cmath
import json
import math
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

STATES = ("root", "leaf", "frozen", "unused", "detached", "saved", "freed", "mutated", "nonfinite", "culprit")
FORMATS = ("svg", "html", "dot", "mmd", "json", "txt")  # what `Graph.save` writes, by suffix
SHOWN = 300  # nodes that a notebook shows
_ALIASES = {"mermaid": "mmd", "gv": "dot", "htm": "html", "text": "txt"}  # other names of the same


# ---- numbers -----------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Stats:
    """What an array holds: the number where it has one element, else a summary of its finite elements."""

    shape: tuple[int, ...]
    dtype: str
    value: Any  # float, int, bool or complex: of an array of one element
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    nonfinite: int  # how many elements are NaN or infinite
    text: str  # for people: "2", "[4, 3] mean 0.1 ± 0.3"


def short(number: Any, digits: int = 4) -> str:
    """A number as a person would write it: four significant digits, no trailing zeros."""
    if isinstance(number, bool | np.bool):
        return str(bool(number))
    if isinstance(number, int):
        return str(number) if abs(number) < 10**7 else f"{number:.3e}"
    if isinstance(number, complex):
        return f"{short(number.real)}{'+' if number.imag >= 0 else '-'}{short(abs(number.imag))}i"
    if not math.isfinite(number):
        return str(number)
    return f"{number:.{digits}g}" if number else "0"


@cache
def _name(dtype: Any) -> str:
    return str(dtype)


def stats_of(array: Any) -> Stats:
    """The summary of an array, a NumPy scalar or a Python number."""
    a = np.asarray(array.get() if hasattr(array, "get") else array)  # from a GPU, too
    kind = _name(a.dtype)
    if a.dtype.kind == "V":  # the 16-bit floats and their like
        a = a.astype(np.float32)
    if a.size == 1:
        return _of_one(a, kind)
    if a.size == 0 or a.dtype.kind not in "fciub":
        return Stats(a.shape, kind, None, None, None, None, None, 0, f"{list(a.shape)} empty")
    with np.errstate(all="ignore"):
        return _summary(a, kind)


def _of_one(a: np.ndarray, kind: str) -> Stats:
    value = a.item()
    text = short(value) if not a.shape else f"{list(a.shape)} {short(value)}"
    number = None if isinstance(value, complex) else float(value)
    finite = cmath.isfinite(value)
    if not finite or number is None:
        return Stats(a.shape, kind, value, None, None, None, None, int(not finite), text)
    return Stats(a.shape, kind, value, number, 0.0, number, number, 0, text)


def _summary(a: np.ndarray, kind: str) -> Stats:
    shape, size = a.shape, a.size
    values: Any = (np.abs(a) if a.dtype.kind == "c" else a).ravel()
    head = f"{list(shape)} {'|z| ' if a.dtype.kind == 'c' else ''}"
    total = float(np.add.reduce(values, dtype=np.float64))
    if not math.isfinite(total):
        values = values[np.isfinite(values)]
        if not values.size:
            return Stats(shape, kind, None, None, None, None, None, size, f"{head}all NaN or infinite")
        total = float(np.add.reduce(values, dtype=np.float64))
    nonfinite = size - values.size
    mean = total / values.size
    away = np.subtract(values, mean, dtype=np.float64)
    std = math.sqrt(float(away.dot(away)) / values.size)
    low, high = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
    text = f"{head}mean {short(mean, 3)} ± {short(std, 3)}" + (
        f", {nonfinite} not finite" if nonfinite else ""
    )
    return Stats(shape, kind, None, mean, std, low, high, nonfinite, text)


# ---- the graph ---------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class GraphNode:
    """An operation, a leaf, a constant, or a module whose operations are folded into one."""

    id: str  # "n0", "n1", … in recording order; leaves "l0", constants "c0", folded modules "m0"
    kind: str  # "op" | "leaf" | "const" | "folded"
    op: str  # "MulBackward0"; "AccumulateGrad" of leaves
    label: str  # what a person calls it: "× 3", "²", "w", "Linear fc1"
    names: tuple[str, ...] = ()  # parameter names and the user's variables that hold it
    file: str = ""
    line: int = 0
    text: str = ""  # the source text of that line
    value: Stats | None = None  # of its output
    grad: Stats | None = None  # what flowed into it in backward; of leaves `.grad`
    state: tuple[str, ...] = ()  # of STATES
    module: str = ""  # "encoder.layers.0", of the module in which it was recorded
    explain: str = ""
    saved_bytes: int = 0
    members: tuple[str, ...] = ()  # of "folded": the ids inside
    calls: tuple[
        tuple[str, int], ...
    ] = ()  # the calls of modules it is in, outermost first: path, which call

    @property
    def title(self) -> str:
        """The label, and the variable that holds the result: `² → loss`; of leaves and constants the name alone."""
        if self.kind != "op" or not self.names or self.names[0] == self.label:
            return self.label
        return f"{self.label} → {self.names[0]}"


@dataclass(slots=True)
class GraphEdge:
    """From an input to the operation that uses it."""

    source: str
    target: str
    slot: int  # which input of target
    local: float | None = None  # ∂target/∂source where both are scalars
    flow: Stats | None = None  # the gradient that went back along it


@dataclass(slots=True)
class Graph:
    """A computation, and what is known of its backward pass."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    root: str
    left_out: int = 0  # nodes beyond the budget
    note: str = ""  # "before backward", the error's first line, …
    seen: tuple[str, ...] = ()  # ids in the order in which backward visited them
    modules: dict[str, str] = field(default_factory=dict)  # class of each module by its path
    script: str = ""  # what was run, for titles

    # ---- reading -------------------------------------------------------------------------------------------------------
    def __getitem__(self, name: str) -> GraphNode:
        """The node with an id, or the one that a variable or parameter of this name holds. KeyError where none is."""
        for node in self.nodes:
            if node.id == name:
                return node
        for node in reversed(self.nodes):
            if name in node.names or name == node.label:
                return node
        raise KeyError(name)

    def __len__(self) -> int:
        return len(self.nodes)

    def inputs(self, node: str) -> list[GraphEdge]:
        """The edges into a node, by slot."""
        return sorted((e for e in self.edges if e.target == node), key=lambda e: e.slot)

    def folded(self, depth: int = 1) -> Graph:
        """The same with the operations of each module call folded into one node; `depth` levels of calls stay apart."""
        from clew.view.fold import fold

        return fold(self, depth)

    def trimmed(self, budget: int) -> Graph:
        """The same with at most `budget` nodes, those nearest the root; `left_out` counts the others."""
        from clew.view.fold import trim

        return trim(self, budget)

    def as_data(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers (what is not finite as a string): ready for JSON."""
        return {"format": "clew graph 1", **_plain(self)}

    # ---- drawing -------------------------------------------------------------------------------------------------------
    def text(self, width: int | None = None, color: bool | None = None) -> str:
        """A tree for the terminal, from the result down to the leaves."""
        from clew.view.text import tree

        return tree(self, width, color)

    def svg(self) -> str:
        """A drawing as SVG."""
        from clew.view.svg import draw

        return draw(self)

    def html(self) -> str:
        """A page of its own, without network, on which one steps through the computation."""
        from clew.view.page import page

        return page(self)

    def dot(self) -> str:
        """For Graphviz."""
        from clew.view.dot import dot

        return dot(self)

    def mermaid(self) -> str:
        """For Markdown that draws Mermaid."""
        from clew.view.mermaid import mermaid

        return mermaid(self)

    def json(self, indent: int | None = None) -> str:
        """`as_data()` as JSON."""
        return json.dumps(self.as_data(), ensure_ascii=False, allow_nan=False, indent=indent)

    def save(self, path: str | Path) -> Path:
        """Write a file; its suffix says which drawing: .svg .html .dot .mmd .json .txt. ValueError for any other."""
        target = Path(path)
        target.write_text(self.drawn(format_of(target)), encoding="utf-8")
        return target

    def drawn(self, kind: str) -> str:
        """The drawing of one of FORMATS."""
        drawings = {
            "svg": self.svg,
            "html": self.html,
            "dot": self.dot,
            "mmd": self.mermaid,
            "json": self.json,
        }
        return drawings[kind]() if kind in drawings else self.text(100, color=False) + "\n"

    def __str__(self) -> str:
        return self.text(color=False)

    def __repr__(self) -> str:
        more = f", {self.left_out} left out" if self.left_out else ""
        return f"Graph({len(self.nodes)} nodes, {len(self.edges)} edges{more})"

    # ---- Jupyter -------------------------------------------------------------------------------------------------------
    def _shown(self) -> Graph:
        """What a notebook shows of a large graph: modules folded, and no more than can be seen."""
        return self if len(self.nodes) <= SHOWN else self.folded().trimmed(SHOWN)

    def _repr_svg_(self) -> str:
        return self._shown().svg()

    def _repr_html_(self) -> str:
        return self._repr_svg_()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        kinds = {"text/plain", "image/svg+xml"} & set(include or ("text/plain", "image/svg+xml"))
        makers = {
            "text/plain": lambda: self._shown().text(100, color=False),
            "image/svg+xml": self._repr_svg_,
        }
        return {kind: make() for kind, make in makers.items() if kind in kinds - set(exclude or ())}


def format_of(path: Path) -> str:
    """Which of FORMATS a file is to hold. ValueError where its suffix names none."""
    suffix = path.suffix.lower().removeprefix(".")
    suffix = _ALIASES.get(suffix, suffix)
    if suffix not in FORMATS:
        raise ValueError(
            f"can't draw {path.name}: its name must end in {', '.join('.' + f for f in FORMATS)}"
        )
    return suffix


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, complex):
        return short(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value
