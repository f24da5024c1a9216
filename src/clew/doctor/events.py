"""What the doctor's rules are told: leaves, backward passes, calls of modules, cuts; and the base of all rules."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from clew.core.node import AccumulateGrad, Node, source_line
from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.report import Finding

if TYPE_CHECKING:
    from clew.doctor.watch import Watch

NO_GRAPH = "does not require grad and does not have a grad_fn"  # how backward() complains
SAMPLE = 512  # so many elements tell whether an array was changed


class Leaf:
    """What is known of one leaf that gathers gradients."""

    def __init__(self, sink: AccumulateGrad, number: int) -> None:
        self.number = number  # in the order of birth, optimizers counted, too
        self.bit = 1 << number
        self.place: Place = sink.place
        self.kind = sink.kind.__name__
        self.shape = tuple(np.shape(sink.array))
        self.name = ""  # the program's, once it is known
        self.used = False  # some recorded operation took it
        self.reached = 0  # backward passes that came here
        self.gathered = 0  # those that added to `.grad`
        self.stepped = 0  # optimizers' steps that were to update it
        self.asked: Place | None = None  # where its `.grad` was read as None after a backward pass
        self.frozen = False  # its module was called under `no_grad`
        self.explained = False  # a finding tells why it has no gradient
        self.first_print: Any = None  # of its values, at the first pass
        self.print: Any = None  # of its values, at the last pass
        self.grad_id = 0  # which gradient the last pass left
        self.grad_print: Any = None  # of its values

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape)) or "a scalar"
        return f"{self.name or f'the {self.kind} of {shown(self.place)}'} ({shape})"


@dataclass
class Backward:
    """One backward pass (of `backward` or of `autograd.grad`)."""

    number: int
    place: Place
    roots: list[Node]
    losses: list[Any]  # the values that passes started from, where a scalar is known
    nodes: list[Node]  # all that is reached, without the sinks
    sinks: list[AccumulateGrad]
    leaves: list[Leaf]
    retain: bool
    gathers: bool  # adds to `.grad`
    creates: bool  # create_graph
    steps: int  # optimizers' steps so far
    before: dict[Leaf, Any] = field(default_factory=dict)  # what `.grad` held: None, "zero" or its id
    saved: list[tuple[Node, Any, Any]] = field(default_factory=list)


@dataclass
class Call:
    """One call of a module from the program itself."""

    module: Any
    args: tuple[Any, ...]
    output: Any
    place: Place
    training: bool
    recorded: bool  # grad mode was on
    steps: int


@dataclass
class Cut:
    """A value that left the graph: `detach`, `.data`, `item`, `numpy`, `argmax`, a comparison, `torch.tensor`."""

    kind: str
    place: Place
    mask: int  # the leaves it depended on
    backwards: int  # passes so far
    entered: bool = False  # what came of it went into a recorded operation


class Rule:
    """One mistake and how it shows. A rule overrides the events it wants to hear of."""

    name = ""
    symptom = ""
    fix = ""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    # ---- events ------------------------------------------------------------------------------------------------------
    def operation(self, node: Node, inputs: Any, results: Any) -> None: ...
    def before_backward(self, event: Backward) -> None: ...
    def after_backward(self, event: Backward) -> None: ...
    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None: ...
    def after_step(self, optimizer: Any, place: Place) -> None: ...
    def cleared(self, params: list[Any], place: Place) -> None: ...
    def called(self, call: Call) -> None: ...
    def mode(self, module: Any, training: bool, place: Place) -> None: ...
    def replaced(self, module: Any, name: str, old: Any, new: Any, place: Place) -> None: ...
    def cut(self, cut: Cut, tensor: Any, result: Any) -> None: ...
    def exposed(self, tensor: Any, place: Place, kind: str) -> None: ...
    def grad_read(self, tensor: Any, value: Any, place: Place) -> None: ...
    def grad_set(self, tensor: Any, value: Any, place: Place) -> None: ...
    def failed(self, error: BaseException, frames: list[Any]) -> None: ...
    def finish(self) -> None: ...

    # ---- telling -----------------------------------------------------------------------------------------------------
    def found(
        self, where: Place | tuple[str, int] | None, evidence: str, fix: str = "", count: int = 1
    ) -> None:
        """Report it, once for each line."""
        line = line_of(where)
        if line is None:
            return
        key = self.name, *line
        known = self.watch.findings.get(key)
        if known is not None:
            known.count += count
            return
        self.watch.findings[key] = Finding(
            self.name, self.symptom, evidence, line[0], line[1], fix or self.fix, count
        )


# ---- lines ---------------------------------------------------------------------------------------------------------------
def line_of(where: Place | tuple[str, int] | None) -> tuple[str, int] | None:
    """File and line of a place, or those themselves."""
    if where is None or isinstance(where[0], str):
        return where
    return source_line(where)


def shown(where: Place | tuple[str, int] | None) -> str:
    """`line 12`, for evidence: the file is told by the finding."""
    line = line_of(where)
    return "a line that is not known" if line is None else f"line {line[1]}"


def text_of(where: Place | tuple[str, int] | None) -> str:
    line = line_of(where)
    return "" if line is None else linecache.getline(*line).strip()


def statement_at(where: Place | tuple[str, int] | None) -> ast.stmt | None:
    """The innermost statement on a line of the program, or None where its source is not to be had."""
    line = line_of(where)
    if line is None:
        return None
    best: ast.stmt | None = None
    for statement in statements(line[0]):
        if statement.lineno <= line[1] <= (statement.end_lineno or statement.lineno) and (
            best is None or statement.lineno >= best.lineno
        ):
            best = statement
    return best


_parsed: dict[str, tuple[int, list[ast.stmt]]] = {}


def statements(filename: str) -> list[ast.stmt]:
    """All statements of a source file; none where it cannot be read."""
    lines = linecache.getlines(filename)
    known = _parsed.get(filename)
    if known is not None and known[0] == hash(tuple(lines)):
        return known[1]
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return []
    found = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    _parsed[filename] = hash(tuple(lines)), found
    return found


def tests_for_none(where: Place | tuple[str, int] | None) -> bool:
    """Whether the statement asks if a `.grad` is None: then a None is no surprise to it."""
    statement = statement_at(where)
    return statement is not None and any(
        (
            isinstance(part, ast.Compare)
            and any(isinstance(n, ast.Constant) and n.value is None for n in part.comparators)
        )
        or (
            isinstance(part, ast.If | ast.IfExp | ast.While | ast.comprehension | ast.BoolOp)
            and "grad" in ast.unparse(part)
        )
        for part in ast.walk(statement)
    )


def rebinds(where: Place | None) -> bool:
    """Whether the line is of the form `w = w - …` (to `w.data` it is a write)."""
    statement = statement_at(where)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = ast.unparse(statement.targets[0])
    value = statement.value
    if not isinstance(value, ast.BinOp) or target.endswith(".data"):
        return False
    return target in {
        ast.unparse(n) for n in ast.walk(value) if isinstance(n, ast.Name | ast.Attribute | ast.Subscript)
    }


# ---- arrays and tensors ----------------------------------------------------------------------------------------------------
def fingerprint(array: Any) -> Any:
    """Something that differs when the values differ (a sample of a large array)."""
    if not isinstance(array, np.ndarray):
        return array.tobytes() if hasattr(array, "tobytes") else array
    if array.size > SAMPLE:
        array = array.reshape(-1)[:: array.size // SAMPLE] if array.flags.c_contiguous else array.ravel()
    return array.tobytes()


def finite(array: Any) -> bool:
    """Whether all values are finite; also for types without such values."""
    if isinstance(array, np.ndarray | np.generic) and array.dtype.kind in "fc":
        return bool(np.isfinite(array).all())
    return True


def tensors(value: Any, depth: int = 3) -> Iterator[Variable]:
    """The tensors in a value: itself, or in lists, tuples, dictionaries."""
    if isinstance(value, Variable):
        yield value
    elif depth and isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item, depth - 1)
    elif depth and isinstance(value, dict):
        yield from tensors(list(value.values()), depth - 1)


def arrays(saved: Any) -> Iterator[np.ndarray]:
    """The arrays among a node's saved values."""
    if isinstance(saved, np.ndarray):
        yield saved
    elif isinstance(saved, tuple):
        for value in saved:
            yield from arrays(value)


def size_of(nodes: Iterable[Node]) -> int:
    """The bytes that nodes keep, each memory counted once."""
    held = {id(a): a.nbytes for node in nodes for a in arrays(node.saved)}
    return sum(held.values())


def below(roots: Iterable[Node]) -> tuple[list[Node], list[AccumulateGrad]]:
    """The operations and the sinks that roots lead to, in no order."""
    stack = list(roots)
    seen = set(stack)
    nodes: list[Node] = []
    sinks: list[AccumulateGrad] = []
    while stack:
        node = stack.pop()
        if isinstance(node, AccumulateGrad):
            sinks.append(node)
            continue
        nodes.append(node)
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return nodes, sinks


def sink_of(tensor: Any) -> AccumulateGrad | None:
    """Where a leaf's gradient gathers."""
    meta = getattr(tensor, "_meta", None)
    return meta if isinstance(meta, AccumulateGrad) else None


def names(leaves: Iterable[Leaf], most: int = 3) -> str:
    """`model.fc.weight (1×3), model.fc.bias (1) and 4 more`."""
    known = [repr(leaf) for leaf in leaves]
    if len(known) <= most:
        return ", ".join(known)
    return f"{', '.join(known[: most - 1])} and {len(known) - most + 1} more"


def norm(array: Any) -> float:
    """The length of a gradient."""
    return float(np.linalg.norm(np.asarray(array).ravel()))


def how_many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def how_big(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
