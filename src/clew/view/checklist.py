"""The course's debug checklist: does the loss require a gradient, does each parameter, and is each `.grad` there?

clew.debug_checklist(loss, model)       before backward() or after it; prints, and returns what it printed
"""

from __future__ import annotations

import ast
import linecache
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from clew.core.engine import reachable
from clew.core.node import AccumulateGrad, Freed, Node, source_line
from clew.core.variable import Variable
from clew.core.version import Place
from clew.nn.module import Module
from clew.view.data import short, stats_of
from clew.view.names import Names, names_in, user_frames
from clew.view.recording import active

__all__ = ["Checklist", "Line", "debug_checklist"]

BEFORE, AFTER, UNKNOWN = (
    "before backward",
    "after backward",
    "before backward or after it: the graph saves nothing",
)
CUTS = {"detach": ".detach()", "data": ".data", "item": ".item()", "numpy": ".numpy()", "tolist": ".tolist()",
        "argmax": ".argmax()", "long": ".long()", "int": ".int()", "no_grad": "no_grad()", "tensor": "torch.tensor()"}  # fmt: skip


@dataclass
class Line:
    """What was found of the loss or of one parameter."""

    name: str
    shape: tuple[int, ...]
    requires_grad: bool
    is_leaf: bool
    reached: bool | None  # the loss's graph leads to it; None for the loss itself
    grad: str | None = None  # a summary of `.grad`
    grad_norm: float | None = None
    says: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass
class Checklist:
    """The loss, the parameters, and when it was asked. True where there is no problem."""

    loss: Line
    parameters: list[Line]
    when: str

    @property
    def ok(self) -> bool:
        return all(line.ok for line in (self.loss, *self.parameters))

    @property
    def problems(self) -> list[str]:
        """Every problem, with the name that it is of."""
        return [
            f"{line.name}: {problem}" for line in (self.loss, *self.parameters) for problem in line.problems
        ]

    @property
    def text(self) -> str:
        """What was printed."""
        lines = [self.loss, *self.parameters]
        width = max(len(_titled(line)) for line in lines)
        shown = [f"debug checklist, {self.when}"]
        for line in lines:
            shown.append(f"  {'ok' if line.ok else 'NO'}  {_titled(line):<{width}}  {', '.join(line.says)}")
            shown += [f"      {'':<{width}}  {problem}" for problem in line.problems]
        count = len(self.problems)
        shown.append(
            "all as it should be" if not count else "1 problem" if count == 1 else f"{count} problems"
        )
        return "\n".join(shown)

    def as_data(self) -> dict[str, Any]:
        """The same as what JSON can hold."""
        made = asdict(self)
        for line in (made["loss"], *made["parameters"]):
            line["shape"] = list(line["shape"])
            if line["grad_norm"] is not None and not math.isfinite(line["grad_norm"]):
                line["grad_norm"] = str(line["grad_norm"])
        return {"ok": self.ok, **made}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Checklist: {'ok' if self.ok else f'{len(self.problems)} problems'}>"


def _titled(line: Line) -> str:
    return f"{line.name} {line.shape}" if line.shape else line.name


def debug_checklist(loss: Any, params: Any = None) -> Checklist:
    """Prints whether `loss.backward()` can and did give `params` their gradients; returns it, true where all is well.

    loss: a tensor. params: a module, an optimizer, a tensor, or tensors in a list, a dictionary or pairs (name, tensor);
    None for all that the loss's graph leads to. Changes nothing, so it may stand anywhere in a program.
    TypeError for what is no tensor, ValueError where there is no parameter.
    """
    if not isinstance(loss, Variable):
        hint = "; pass the loss itself, not loss.item()" if isinstance(loss, int | float | np.number) else ""
        raise TypeError(f"debug_checklist() takes the loss as a tensor, not {type(loss).__name__}{hint}")
    frames = list(user_frames(sys._getframe(1)))
    names = names_in(frames)
    graph = _Graph(loss)
    if params is None:
        named = [("", owner) for sink in graph.sinks if (owner := sink.owner()) is not None]
    else:
        named = list(_named(params))
        if not named:
            raise ValueError(
                "debug_checklist() got no parameters; an iterator such as model.parameters() can be read once only"
            )
    called = [(name or _name(tensor, names, index), tensor) for index, (name, tensor) in enumerate(named)]
    first = _loss(loss, graph, names)
    frame = frames[0] if frames else None
    lines = [_parameter(name, tensor, graph, first.name, frame) for name, tensor in called]
    found = Checklist(first, lines, graph.when)
    print(found.text)
    return found


# ---- what is asked -----------------------------------------------------------------------------------------------------
def _named(params: Any) -> Iterator[tuple[str, Any]]:
    """The parameters, with names where they are given."""
    if isinstance(params, Variable):
        yield "", params
    elif isinstance(params, Module):
        yield from params.named_parameters()
    elif isinstance(params, Mapping):
        for name, value in params.items():
            yield str(name), _tensor(value, f"of {name!r}")
    elif hasattr(params, "param_groups"):
        for group in params.param_groups:
            given = group.get("param_names") or [""] * len(group["params"])
            yield from zip(given, group["params"], strict=True)
    else:
        try:
            items = list(params)
        except TypeError:
            raise TypeError(
                f"debug_checklist() takes parameters as a module, tensors or pairs (name, tensor), not {type(params).__name__}"
            ) from None
        for index, item in enumerate(items):
            if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
                yield item[0], _tensor(item[1], f"of {item[0]!r}")
            elif isinstance(item, dict) and "params" in item:
                group = item["params"]
                yield from _named([group] if isinstance(group, Variable) else group)
            else:
                yield "", _tensor(item, f"number {index}")


def _tensor(value: Any, which: str) -> Variable:
    if not isinstance(value, Variable):
        raise TypeError(f"debug_checklist(): the parameter {which} is no tensor but {type(value).__name__}")
    return value


def _name(tensor: Variable, names: Names, index: int) -> str:
    edge = tensor.edge()
    found = names.of(edge) if edge is not None else names.of_array(tensor._array)
    return found[0] if found else f"parameter {index}"


class _Graph:
    """What the loss's graph leads to, and whether a backward pass went through it."""

    def __init__(self, loss: Variable) -> None:
        edge = loss.edge()
        found = [] if edge is None else reachable([edge[0]])
        self.nodes: list[Node] = [node for node in found if not isinstance(node, AccumulateGrad)]
        used = [edge[0] for node in reversed(self.nodes) for edge in node.edges if edge is not None]
        self.sinks = list(dict.fromkeys(n for n in [*used, *found] if isinstance(n, AccumulateGrad)))
        self.known = set(found)
        self.freed = next((n.saved for n in self.nodes if n.saved.__class__ is Freed), None)
        if self.freed is not None:
            self.when = AFTER
        elif edge is None or any(node.primitive.frees for node in self.nodes):
            self.when = BEFORE
        else:
            self.when = UNKNOWN


# ---- the loss ----------------------------------------------------------------------------------------------------------
def _loss(loss: Variable, graph: _Graph, names: Names) -> Line:
    edge = loss.edge()
    called = names.of(edge) if edge is not None else names.of_array(loss._array)
    name = called[0] if called else "loss"
    line = Line(name, tuple(np.shape(loss._array)), loss.requires_grad, loss.is_leaf, None)
    line.says = [f"requires_grad {loss.requires_grad}", f"value {stats_of(loss._array).text}"]
    stats = stats_of(loss._array)
    if stats.nonfinite:
        line.problems.append("its value is not finite: so are the gradients, or they will be")
    if edge is None:
        why = _cut_of(loss)
        line.problems.append(
            f"it has no graph, backward() will fail: {why}"
            if why
            else "it has no graph, backward() will fail: made under no_grad, detached, or of nothing that requires grad"
        )
        return line
    if not graph.nodes:
        line.problems.append("it is a leaf itself: no operation leads from it to a parameter")
        return line
    line.says.append(f"a graph of {len(graph.nodes):,} operation{'s' * (len(graph.nodes) != 1)}")
    line.says.append(f"made at {_at(edge[0].place)}")
    if np.size(loss._array) != 1:
        line.problems.append(
            f"it has {np.size(loss._array):,} elements: backward() wants one, such as .mean(), or a gradient argument"
        )
    if graph.freed is not None:
        line.says.append(f"its graph was freed by backward() at {_at(graph.freed.where)}")
    return line


# ---- parameters --------------------------------------------------------------------------------------------------------
def _parameter(name: str, tensor: Variable, graph: _Graph, loss: str, frame: FrameType | None) -> Line:
    edge = tensor.edge()
    reached = edge is not None and edge[0] in graph.known
    line = Line(name, tuple(np.shape(tensor._array)), tensor.requires_grad, tensor.is_leaf, reached)
    line.says.append(f"requires_grad {line.requires_grad}")
    line.says.append("a leaf" if line.is_leaf else "no leaf")
    if stats_of(tensor._array).nonfinite:
        line.problems.append("its values are not all finite")
    if edge is None:
        kind = tensor._array.dtype.kind
        fix = "make it of a floating type first" if kind not in "fcV" else "requires_grad_() makes it one"
        line.problems.append(f"it does not require grad: no gradient will come to it ({fix})")
    elif not line.is_leaf:
        line.problems.append(
            f"it is the result of {edge[0].name()} at {_at(edge[0].place)}: .grad is kept for leaves only "
            "(retain_grad() keeps it here, too)"
        )
    if edge is not None:
        line.says.append("reached" if reached else "not reached")
        if not reached:
            line.problems.append(_why_not_reached(name, edge[0], graph, loss, frame))
    _gradient(line, tensor, graph)
    return line


def _gradient(line: Line, tensor: Variable, graph: _Graph) -> None:
    meta = tensor._meta
    grad = None if meta is None else meta.grad
    if grad is None:
        line.says.append(".grad None")
        if line.reached and line.is_leaf and graph.when == AFTER:
            line.problems.append(
                ".grad is None after backward(): it was cleared since, or taken by autograd.grad"
            )
        return
    stats = stats_of(grad._array)
    line.grad = stats.text
    values = np.asarray(grad._array.get() if hasattr(grad._array, "get") else grad._array)
    wide = np.complex128 if values.dtype.kind == "c" else np.float64
    line.grad_norm = float(np.linalg.norm(values.astype(wide).ravel()))
    line.says.append(f".grad {stats.text}" + (f" norm {short(line.grad_norm)}" if values.size != 1 else ""))
    if stats.nonfinite:
        line.problems.append(f"{stats.nonfinite:,} of {values.size:,} numbers of .grad are not finite")
    if graph.when == BEFORE and line.reached and values.any():
        line.problems.append(
            "a gradient is there before backward(): it is left over, and the next one is added to it. Clear it first "
            "(zero_grad()), unless gradients are to add up"
        )
    elif graph.when == AFTER and not line.reached and line.requires_grad:
        line.says.append("its .grad is of another loss")


def _why_not_reached(name: str, node: Node, graph: _Graph, loss: str, frame: FrameType | None) -> str:
    """Where its way to the loss was cut, as far as that can be known."""
    for recording in active:
        for cut in recording.cuts.values():
            source = cut.node()
            if source is not None and node in reachable([source]):
                what = CUTS.get(cut.name, cut.name)
                return f"the loss's graph does not lead to it: cut by {what} at {_at(cut.place)}"
    suspect = _suspect(name, loss, frame)
    if suspect is not None:
        number, what, path = suspect
        text = linecache.getline(path, number).strip()
        return f"the loss's graph does not lead to it; likely cut by {what} at {Path(path).name}:{number}: {text}"
    if not graph.known:
        return "the loss has no graph, so nothing leads to it"
    return "the loss's graph does not lead to it: the loss was computed without it, or from a detached copy"


def _cut_of(tensor: Variable) -> str:
    """What took a tensor's history, where a recording saw it."""
    for recording in active:
        cut = recording.cuts.get(id(tensor))
        if cut is not None and cut.ref() is tensor:
            return f"{CUTS.get(cut.name, cut.name)} at {_at(cut.place)}"
    return ""


def _at(place: Place | None) -> str:
    """`lab1.py:13`."""
    line = source_line(place)
    return "a line that is not known" if line is None else f"{Path(line[0]).name}:{line[1]}"


# ---- reading the program -----------------------------------------------------------------------------------------------
Suspect = tuple[int, str]  # a line, and what it does


def _suspect(name: str, loss: str, frame: FrameType | None) -> tuple[int, str, str] | None:
    """The line of the caller's code that took what hangs on a name out of the loss's graph: number, deed, file."""
    if frame is None:
        return None
    path = frame.f_code.co_filename
    try:
        tree: ast.AST = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError):
        return None
    if frame.f_code.co_name != "<module>":
        functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
        first = frame.f_code.co_firstlineno
        tree = next((n for n in functions if n.name == frame.f_code.co_name and n.lineno >= first), tree)
    hanging = {name.split(".")[0].split("[")[0]}
    hanging |= {
        key for key, value in frame.f_locals.items() if isinstance(value, Module) and _owns(value, name)
    }
    found = _follow(tree, hanging, frame.f_lineno).get(loss)
    return None if found is None else (*found, path)


def _owns(module: Module, name: str) -> bool:
    return any(path == name for path, _ in module.named_parameters())


def _follow(tree: ast.AST, hanging: set[str], until: int) -> dict[str, Suspect | None]:
    """Go through the assignments up to a line: the names that come from the parameter, and where each was cut off (None:
    it was not)."""
    through: dict[str, Suspect | None] = dict.fromkeys(hanging)
    unrecorded = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and any("no_grad" in ast.unparse(item) for item in node.items)
    ]
    kinds = ast.Assign | ast.AugAssign | ast.AnnAssign
    found = [node for node in ast.walk(tree) if isinstance(node, kinds) and node.lineno < until]
    for statement in sorted(found, key=lambda node: node.lineno):
        value = statement.value
        used = _names(value) & through.keys()
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if value is None or not used:
            continue
        outside = isinstance(statement, ast.AugAssign)  # an update in place, which cuts nothing
        # It is known that no way leads there uncut: a name that was cut off explains it before one that was not.
        deed = next((through[name] for name in sorted(used) if through[name] is not None), None)
        if not outside and any(statement.lineno in block for block in unrecorded):
            deed = statement.lineno, CUTS["no_grad"]
        for node in ast.walk(value):
            if isinstance(node, ast.Attribute) and node.attr in CUTS and _cuts(node, value, used):
                deed = statement.lineno, CUTS[node.attr]
        for target in targets:
            for name in _names(target):
                if not outside:
                    through[name] = deed
    return through


def _names(tree: ast.AST | None) -> set[str]:
    return set() if tree is None else {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _cuts(node: ast.Attribute, value: ast.expr, used: set[str]) -> bool:
    """`h.detach()` of what hangs on the parameter, or `torch.tensor(h)`."""
    if node.attr == "tensor":
        return (
            isinstance(node.value, ast.Name)
            and node.value.id in ("torch", "clew")
            and bool(used & _names(value))
        )
    return bool(used & _names(node.value))
