"""The engine's errors: PyTorch's sentence first, then what only a recording of source lines can tell."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, NoReturn

from clew.core.modes import switches
from clew.core.node import Freed, Node, source_line
from clew.core.version import Place
from clew.dtypes import tensor_type_name

if TYPE_CHECKING:
    from clew.core.version import Version

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved "
    "tensors after calling backward."
)


HINT = (
    "enable anomaly detection to find the operation that failed to compute its gradient, with "
    "torch.autograd.set_detect_anomaly(True, check_nan=False)."
)
ANOMALY_HINT = (
    "the backtrace further above shows the operation that failed to compute its gradient. The variable in question was "
    "changed in there or anywhere later. Good luck!"
)


def describe(place: Place | None) -> str:
    """`file.py:12: y = x.exp()`, or a word where nothing is known."""
    found = source_line(place)
    if found is None:
        return "a line that was not recorded"
    filename, number = found
    text = linecache.getline(filename, number).strip()
    return f"{filename}:{number}" + (f": {text}" if text else "")


def raise_freed(node: Node) -> NoReturn:
    """A graph is walked a second time."""
    lines = [FREED, f"  {node.name()} was recorded at {describe(node.place)}"]
    if node.saved.__class__ is Freed:
        lines.append(f"  its saved values were freed by the backward pass at {describe(node.saved.where)}")
    lines.append(
        "  fix: compute the loss anew for every backward, or pass retain_graph=True to the first one"
    )
    raise RuntimeError("\n".join(lines))


def raise_modified(node: Node) -> NoReturn:
    """A saved value was overwritten before backward."""
    array, maker, version, tick = _modified(node)
    made_by = f", which is output {maker[1]} of {_short(maker[0])}," if maker is not None else ""
    shape = list(array.shape)
    if (
        maker is None
        and node.primitive.inputs == ("self", "mat1", "weight")
        and _is_leaf(node.edges[2], array)
    ):
        made_by, shape = (
            ", which is output 0 of AsStrided,",
            shape[::-1],
        )  # PyTorch's linear saves a view of the weight
    sentence = (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{tensor_type_name(array.dtype)} {shape}]{made_by} is at version {version.n}; expected version "
        f"{tick} instead. Hint: {ANOMALY_HINT if switches.anomaly else HINT}"
    )
    if switches.anomaly:
        from clew.core.anomaly import report

        report(node)
    lines = [sentence, f"  {node.name()} saved the value at {describe(node.place)}"]
    lines.append(f"  it was modified at {describe(version.where)}")
    lines.append("  fix: use the out-of-place form of that operation there, or modify a .clone()")
    raise RuntimeError("\n".join(lines))


def _is_leaf(edge: Any, array: Any) -> bool:
    return edge is not None and getattr(edge[0], "array", None) is array


def _short(node: Node) -> str:
    name = node.name()
    return name.rstrip("0123456789").removesuffix("Backward") if "::" not in name else name


def _modified(node: Node) -> tuple[Any, tuple[Node, int] | None, Version, int]:
    """The first saved array that changed, the output it is, its counter and what that read when it was saved."""
    from clew.core.node import AccumulateGrad

    index = next(i for i, (version, tick) in enumerate(node.versions) if version.n != tick)
    version, tick = node.versions[index]
    array, edge = node.primitive.saved_owner(node, index)
    maker = None if edge is None or edge[0].__class__ is AccumulateGrad else edge
    return array, maker, version, tick
