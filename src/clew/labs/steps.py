"""A program of the course taken apart: line by line, operation by operation, each number as it arrives.

The program runs once, watched by a `view.Recording` and by a line tracer that looks at its file alone; what is shown,
in the terminal or as a page, is made of the steps afterwards. So one can go back, too.
"""

from __future__ import annotations

import ast
import io
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import numpy as np

from clew.core import raw
from clew.core.engine import fit
from clew.core.modes import is_grad_enabled
from clew.core.node import AccumulateGrad, Edge, Node
from clew.labs import Program
from clew.labs.numbers import Number, numbers_in, text_of
from clew.nn.module import Module
from clew.tensor import Tensor
from clew.view.data import Graph
from clew.view.explain import explain
from clew.view.names import names_of
from clew.view.record import Builder
from clew.view.recording import Pass, Recording

__all__ = ["Chain", "Run", "Step", "take_apart"]

WHOLE = 8  # backward passes up to which every step of a program is shown
CLOSE = 2  # of a program with more: so many rounds step by step, of the others what it prints
# Operations whose derivative has an entry for each element, so that the chain rule is a product element by element.
ELEMENTWISE = {
    "add", "sub", "rsub", "mul", "div", "pow", "square", "neg", "reciprocal", "abs", "exp", "log", "log1p", "sqrt", "sin", "cos",
    "tanh", "sigmoid", "relu", "expand", "clone",
}  # fmt: skip


# ---- what a step is ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Chain:
    """The chain rule at one input of an operation: ∂root/∂input = local × upstream, or where that is no product, in words."""

    root: str
    operation: str
    input: str
    upstream: str
    local: str  # "" where the derivative is no number for each element
    summed: bool  # whether the products are added up: one number was used for several elements
    flow: str
    words: str

    def product(self) -> str:
        """∂loss/∂(w * 3) = 1 × -8 = -8"""
        left = f"∂{self.root}/∂{_inside(self.input)}"
        if not self.local:
            return f"{left} = {self.flow}"
        times = f"{_signed(self.local)} × {_signed(self.upstream)}"
        return f"{left} = {f'Σ {times}' if self.summed else times} = {self.flow}"

    def explained(self) -> list[str]:
        """The local derivative, what came from above, and the product: a line each."""
        upstream = f"∂{self.root}/∂{_inside(self.operation)} = {self.upstream}"
        local = (
            f"∂{_inside(self.operation)}/∂{_inside(self.input)} = {self.local}" if self.local else self.words
        )
        return [f"local     {local}", f"upstream  {upstream}", f"product   {self.product()}"]


@dataclass(frozen=True)
class Step:
    """One thing that happened, and all numbers after it."""

    kind: str  # "line" | "forward" | "backward" | "leaf" | "print" | "error"
    line: int
    text: str
    values: Mapping[str, Number]
    changed: frozenset[str]
    printed: int  # characters of the program's output so far
    round: int  # the backward pass that it leads to or comes after, from 1
    chain: tuple[Chain, ...] = ()
    node: Any = None  # of the graph: its id; while the program runs the engine's node
    reached: tuple[Any, ...] = ()  # where gradients have arrived with this step
    skipped: int = 0  # rounds left out before this step


@dataclass
class Run:
    """A program's steps, what it printed, and the graphs of its first backward passes."""

    program: Program
    source: list[str]
    steps: list[Step] = field(default_factory=list)
    output: str = ""
    rounds: int = 0
    graphs: dict[int, Graph] = field(default_factory=dict)

    @property
    def first_line(self) -> int:
        """The first line below the docstring."""
        body = ast.parse("\n".join(self.source)).body
        start = (body[0].end_lineno or 0) + 1 if body and isinstance(body[0], ast.Expr) else 1
        while start < len(self.source) and not self.source[start - 1].strip():
            start += 1
        return start


def take_apart(program: Program, every: bool = False) -> Run:
    """Run a program and note its steps; of one with many rounds those of the first, unless `every` is wanted."""
    source = program.path.read_text(encoding="utf-8")
    stepper = Stepper(program, source, every)
    return stepper.take()


# ---- the run -----------------------------------------------------------------------------------------------------------
class Stepper(Recording):
    """Notes the steps while the program runs."""

    def __init__(self, program: Program, source: str, every: bool) -> None:
        super().__init__()
        self.run = Run(program, source.splitlines())
        self.file = str(program.path)
        self.code = compile(source, self.file, "exec", dont_inherit=True)
        self.statements = _statements(source)
        self.positions: dict[Any, list[Any]] = {}
        self.every = every
        self.output = io.StringIO()
        self.frame: FrameType | None = None  # whose line runs
        self.values: dict[str, Number] = {}
        self.line = 0
        self.told = 0  # characters of the output that steps have told of
        self.recording = True
        self.round = 1
        self.texts: dict[Node, str] = {}  # of operations: the part of the program that is one
        self.named: dict[Node, str] = {}
        self.before: dict[Node, str] = {}
        self.waiting: list[int] = []  # steps whose nodes have no ids yet

    def take(self) -> Run:
        namespace: dict[str, Any] = {"__name__": "__main__", "__file__": self.file}
        earlier = sys.gettrace()
        with redirect_stdout(self.output):
            try:
                with self:
                    sys.settrace(self._called)
                    try:
                        exec(self.code, namespace)
                    finally:
                        sys.settrace(earlier)
            except Exception as error:
                words = "".join(traceback.format_exception_only(error))
                print(words, end="")
                self.told = len(self.output.getvalue())
                self._add("error", words.strip())
        self.run.output = self.output.getvalue()
        self.run.rounds = self.passes
        if self.waiting:
            self._resolve(self.passes + 1, Builder(None, None, names_of(namespace), 500, self))
        self.run.steps = self._chosen()
        return self.run

    def _chosen(self) -> list[Step]:
        """All steps of a short program; of a long one the first rounds, then what it prints."""
        if self.every or self.passes <= WHOLE:
            return self.run.steps
        kept = [step for step in self.run.steps if step.round <= CLOSE or step.kind in ("print", "error")]
        result, last = [], 0
        for step in kept:
            result.append(
                replace(step, skipped=max(step.round - last - 1, 0)) if step.round > CLOSE else step
            )
            last = step.round
        return result

    @property
    def close(self) -> bool:
        """Whether what happens now may be shown step by step."""
        return self.every or self.passes < WHOLE or bool(self._walking and self.passes <= WHOLE)

    def _add(self, kind: str, text: str, changed: Mapping[str, Number] | None = None, **more: Any) -> None:
        values = {**self.values, **(changed or {})}
        self.values = values
        step = Step(kind, self.line, text, values, frozenset(changed or ()), self.told, self.round, **more)
        self.run.steps.append(step)
        if step.node is not None or step.reached:
            self.waiting.append(len(self.run.steps) - 1)

    def _space(self) -> Mapping[str, Any]:
        """The variables as they are now, where the program runs."""
        return self.frame.f_locals if self.frame is not None else {}

    # ---- lines -----------------------------------------------------------------------------------------------------------
    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        return self._traced if frame.f_code.co_filename == self.file else None

    def _traced(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event in ("line", "return"):
            self._finish()
            self.frame = frame
            if event == "line":
                self.line = frame.f_lineno
        return self._traced

    def _finish(self) -> None:
        """A line has run: what has changed, and what it printed."""
        printed = self.output.getvalue()[self.told :] if self.output.tell() != self.told else ""
        self.told += len(printed)
        if not self.line or not (self.close or printed):
            return
        now = numbers_in(self._space())
        target = self._target()
        changed = {
            name: value
            for name, value in now.items()
            if name == target or not value.same(self.values.get(name))
        }
        before, self.values = self.values, {name: self.values.get(name, value) for name, value in now.items()}
        texts = [self._told(name, before, value) for name, value in changed.items() if self.close]
        recording = is_grad_enabled()
        if recording != self.recording:
            texts.append("operations are recorded again" if recording else "from here on nothing is recorded")
            self.recording = recording
        if texts:
            self._add("line", "\n".join(texts), changed)
        self.values = now
        if printed:
            self._add("print", printed.rstrip("\n"))

    def _told(self, name: str, before: Mapping[str, Number], value: Number) -> str:
        """`w = 2 - 0.1 * -24 = 4.4`, `w.grad: -24 → 0`, `loss = 16, recorded`."""
        formula = self._formula(name, before)
        if formula:
            return f"{name} = {formula} = {value.text}"
        old = before.get(name)
        if name.endswith(".grad") and old is None:
            return f"{name} = {value.text}"
        if old is not None and (old.text != value.text or not value.words):
            return f"{name}: {old.text} → {value.text}"
        return f"{name} = {value.text}" + (f"   ({value.words})" if value.words else "")

    def _target(self) -> str:
        """The variable that the line assigns; it is told of even where its number stays."""
        statement = self.statements.get(self.line)
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            return statement.targets[0].id
        return ""

    def _formula(self, name: str, before: Mapping[str, Number]) -> str:
        """The right side of the line's assignment with numbers in the place of names; "" where that tells nothing."""
        statement = self.statements.get(self.line)
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            target, expression = statement.target, ast.BinOp(statement.target, statement.op, statement.value)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target, expression = statement.targets[0], statement.value  # type: ignore[assignment]
        else:
            return ""
        if target.id != name or not isinstance(expression, ast.BinOp):
            return ""
        return _with_numbers(expression, before)

    # ---- forward ---------------------------------------------------------------------------------------------------------
    def _observe(self, node: Any, inputs: Any, results: Any) -> None:
        super()._observe(node, inputs, results)
        self.round = self.passes + 1
        if not self.close:
            return
        self.named[node] = self.texts[node] = self._name(node, self._segment(node))
        if len(results) == 1 and isinstance(results[0], Tensor):
            self._add("forward", f"{self.named[node]} = {text_of(results[0]._array)}", node=node)

    def _segment(self, node: Any) -> str:
        """The part of the program's text that recorded a node."""
        code, offset = node.place
        if code.co_filename != self.file:
            return ""
        if code not in self.positions:
            self.positions[code] = list(code.co_positions())
        line, end, start, stop = self.positions[code][offset // 2]
        if line is None or line != end:
            return ""
        return self.run.source[line - 1].encode()[start:stop].decode()

    def _name(self, node: Any, segment: str) -> str:
        """What to call an operation: its text; of a call that makes several operations, which of them."""
        operation = getattr(node.primitive, "name", node.name())
        if not segment:
            return str(operation)
        if segment.endswith(")") and not segment.startswith("(") and f"{operation}(" not in segment:
            return f"{operation} in {segment}"
        return _bare(segment)

    # ---- backward --------------------------------------------------------------------------------------------------------
    def _begin_pass(self, roots: list[Edge], place: Any) -> Pass | None:
        found = super()._begin_pass(roots, place)
        self.round = self.passes
        if found is not None and self.passes <= WHOLE + self.every * sys.maxsize:
            self._bind(found)
            self.before = {
                sink: text_of(sink.grad._array)  # type: ignore[attr-defined]
                for sink in found.leaf_values
                if sink.grad is not None  # type: ignore[attr-defined]
            }
            root = roots[0][0]
            name = self._word(root)
            self._add("backward", f"start: ∂{_inside(name)}/∂{_inside(name)} = 1", reached=(root,))
        return found

    def _bind(self, found: Pass) -> None:
        """Names of variables before those made of the program's text."""
        for name, value in _tensors(self._space()):
            if value._edge is not None:
                node = value._edge[0]
                if isinstance(node, AccumulateGrad) or node in self.named:
                    self.named[node] = name

    def _word(self, node: Node) -> str:
        return self.named.get(node) or getattr(node, "name", lambda: "value")()

    def _flowed(self, found: Pass, walk: Any, node: Any, pulled: Any) -> None:
        super()._flowed(found, walk, node, pulled)
        if not self.close or len(self._walking) > 1:
            return
        upstream = found.grads.get(node)
        chain, reached = [], []
        for index, edge in enumerate(node.edges):
            flow = found.flows.get((node, index))
            if edge is None or flow is None or upstream is None:
                continue
            local, summed = self._local(node, index, upstream, flow)
            reached.append(edge[0])
            chain.append(
                Chain(
                    self._word(found.roots[0][0]), self._word(node), self._word(edge[0]), _text(upstream),
                    local, summed, _text(flow), explain(node),
                )
            )  # fmt: skip
        if chain:
            name, text = self._word(node), self.texts.get(node, "")
            self._add(
                "backward", f"back through {name}" + (f" = {text}" if text not in ("", name) else ""),
                chain=tuple(chain), node=node, reached=tuple(reached),
            )  # fmt: skip

    def _local(self, node: Any, index: int, upstream: Any, flow: Any) -> tuple[str, bool]:
        """The local derivative as text, and whether its products with the upstream are summed; "" where it is no product."""
        primitive = node.primitive
        name = getattr(primitive, "name", "")
        if not (name in ELEMENTWISE or np.size(upstream) == 1) or getattr(primitive, "joint", True):
            return "", False
        if (
            not isinstance(upstream, np.ndarray | np.generic)
            or np.size(upstream) > 16
            or node.saved.__class__ is not tuple
        ):
            return "", False
        wanted = [at == index for at in range(len(node.edges))]
        try:
            with np.errstate(all="ignore"):
                slope = node.pull(raw, np.ones_like(upstream), wanted, False)[index]
                product = slope * upstream
                whole = fit(product, np.shape(flow), product.dtype)
        except Exception:
            return "", False
        if np.shape(whole) != np.shape(flow) or not np.allclose(whole, flow, equal_nan=True):
            return "", False
        return text_of(slope), np.shape(product) != np.shape(flow)

    def _end_pass(self, found: Pass, walk: Any) -> None:
        super()._end_pass(found, walk)
        if self.passes > WHOLE and not self.every:
            return
        if found.error is not None:
            words = str(found.error).partition(" (")[0].splitlines()[0]
            self._add("error", f"it fails: {type(found.error).__name__}: {words}")
        order = list(self.values)
        names = {sink: f"{self._word(sink)}.grad" for sink in found.leaf_grads if found.error is None}
        for sink in sorted(
            names, key=lambda sink: order.index(names[sink]) if names[sink] in order else len(order)
        ):
            held = found.leaf_grads[sink]
            name, now = names[sink], _text(held)
            before = self.before.get(sink)
            if before is not None and before == now:
                text = f"{name} stays {now}"
            elif before is None or before.strip("[]0, ") == "":
                text = f"{name} = {now}" + ("   (was None)" if before is None else f"   (was {before})")
            else:
                text = f"{name} = {before} + {_signed(_text(_arrived(found, sink)))} = {now}   (added to what was there)"
            self._add(
                "leaf",
                text,
                {name: Number(now, single=np.size(getattr(sink, "array", ())) == 1)},
                reached=(sink,),
            )
        self._resolve(self.passes, Builder(None, None, found.names, 500, self))

    def _resolve(self, number: int, builder: Builder) -> None:
        """Give the waiting steps the ids of their nodes in the graph of their pass."""
        if not builder.roots:
            return
        self.run.graphs[number] = builder.build()
        for at in self.waiting:
            step = self.run.steps[at]
            ids = [builder.ids[node] for node in step.reached if node in builder.ids]
            self.run.steps[at] = replace(step, node=builder.ids.get(step.node), reached=tuple(ids))
        self.waiting = []


def _arrived(found: Pass, sink: Node) -> Any:
    """What one backward pass brought to a leaf."""
    parts = []
    for (node, index), flow in found.flows.items():
        edge = node.edges[index]
        if edge is not None and edge[0] is sink:
            parts.append(flow)
    return sum(parts[1:], parts[0]) if parts else np.float32(0)


# ---- text --------------------------------------------------------------------------------------------------------------
def _tensors(space: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and tensors, parameters of modules included."""
    found = []
    for name, value in space.items():
        if isinstance(value, Tensor) and not name.startswith("_"):
            found.append((name, value))
        elif isinstance(value, Module):
            found += [(f"{name}.{path}", parameter) for path, parameter in value.named_parameters()]
    return found


def _text(held: Any) -> str:
    return str(held.text) if hasattr(held, "text") else text_of(held)


def _inside(words: str) -> str:
    """In brackets where it is more than a name."""
    return words if words.replace(".", "").replace("_", "").isalnum() else f"({words})"


def _signed(number: str) -> str:
    return f"({number})" if number.startswith("-") else number


def _bare(segment: str) -> str:
    """Without brackets around the whole."""
    try:
        inner = segment[1:-1] if segment.startswith("(") and segment.endswith(")") else segment
        ast.parse(inner, mode="eval")
    except SyntaxError:
        return segment
    return inner


def _statements(source: str) -> dict[int, ast.stmt]:
    """The simple statements by their line."""
    return {
        node.lineno: node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and not hasattr(node, "body")
    }


class _Numbers(ast.NodeTransformer):
    """Puts numbers in the place of names."""

    def __init__(self, values: Mapping[str, Number]) -> None:
        self.values = values
        self.put = 0

    def _number(self, node: ast.expr) -> ast.AST:
        value = self.values.get(ast.unparse(node))
        if value is None or not value.single:
            raise LookupError
        self.put += 1
        return ast.Name(_signed(value.text))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._number(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._number(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        raise LookupError


def _with_numbers(expression: ast.expr, values: Mapping[str, Number]) -> str:
    """An expression with the values of its names; "" where one of them is no single number."""
    transformer = _Numbers(values)
    try:
        return ast.unparse(transformer.visit(ast.parse(ast.unparse(expression), mode="eval")))
    except LookupError:
        return ""
