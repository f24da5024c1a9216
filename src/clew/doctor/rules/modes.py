"""Validation that records, training in eval mode, and predictions in training mode."""

from __future__ import annotations

import ast
import sys
import weakref
from dataclasses import dataclass, field
from typing import Any

from clew.core.modes import is_grad_enabled
from clew.core.node import AccumulateGrad, Node, internal
from clew.core.version import Place
from clew.doctor.events import (
    Backward,
    Call,
    Cut,
    Leaf,
    Rule,
    below,
    fingerprint,
    how_big,
    how_many,
    line_of,
    shown,
    sink_of,
    size_of,
    statements,
    tensors,
)

OFTEN = 2  # calls on one line, none of which a backward pass used
PENDING = 5000  # so many outputs are remembered until a backward pass uses them
DEEP = 2000  # so many operations are looked through for the call that a number comes from
STOPS = ("detach", "data")  # the program stops the gradient itself: it knows of the graph
MEASURES = ("item(", "argmax(", "tolist(", "print(", "float(", "numpy(", ".max(", "append(")


@dataclass
class _Line:
    """What is known of the recorded calls on one line, in one mode."""

    place: Place
    training: bool
    calls: int = 0
    used: bool = False
    read: bool = False  # a number was made of an output
    stops: list[Cut] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)  # the module's
    rows: int = 0
    nodes: int = 0
    size: int = 0


class RecordedValidation(Rule):
    """Outputs that no backward pass uses, again and again, while the program trains elsewhere."""

    name = "validation-recorded"
    symptom = "Forward passes are recorded that no backward() uses: they take memory and time for nothing."
    fix = "Put the evaluation into `with torch.no_grad():` (model.eval() alone does not stop the recording)."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.lines: dict[tuple[Place, bool], _Line] = {}
        self.pending: dict[int, _Line] = {}

    def called(self, call: Call) -> None:
        if not call.recorded or self.watch.taps.walking or not any(True for _ in call.module.parameters()):
            return
        outputs = list(tensors(call.output))
        nodes = [
            e[0] for t in outputs if (e := t.edge()) is not None and e[0].__class__ is not AccumulateGrad
        ]
        if not nodes:
            return
        line = self.lines.setdefault((call.place, call.training), _Line(call.place, call.training))
        line.calls += 1
        if line.used:
            return
        if line.calls == OFTEN:
            reached, _ = below(nodes)
            line.nodes, line.size = len(reached), size_of(reached)
            sinks = [sink_of(param) for param in call.module.parameters()]
            line.leaves = [self.watch.leaf(sink) for sink in sinks if sink is not None]
        line.rows = max(line.rows, *[t._array.shape[0] if t._array.ndim > 1 else 1 for t in outputs])
        self.pending.update(dict.fromkeys([node.seq for node in nodes], line))
        if len(self.pending) > PENDING:
            for seq in list(self.pending)[: PENDING // 2]:
                self.pending.pop(seq).used = True  # not known: nothing is said

    def cut(self, cut: Cut, tensor: Any, result: Any) -> None:
        if not self.pending:
            return
        for line in self._lines_behind(tensor):
            if cut.kind in STOPS:
                line.stops.append(cut)
            else:
                line.read = True

    def _lines_behind(self, tensor: Any) -> list[_Line]:
        """The calls that a tensor was made of, as far as no backward pass has used them."""
        edge = tensor.edge()
        stack: list[Node] = [] if edge is None else [edge[0]]
        seen = set(stack)
        found = []
        while stack and len(seen) < DEEP:
            node = stack.pop()
            line = self.pending.get(node.seq)
            if line is not None:
                if not line.used:
                    found.append(line)
                continue
            for edge in node.edges:
                if edge is not None and edge[0] not in seen and edge[0].__class__ is not AccumulateGrad:
                    seen.add(edge[0])
                    stack.append(edge[0])
        return found

    def before_backward(self, event: Backward) -> None:
        if not self.pending:
            return
        for node in event.nodes:
            line = self.pending.pop(node.seq, None)
            if line is not None:
                line.used = True

    def finish(self) -> None:
        steps = self.watch.seen["steps"]
        for line in self.lines.values():
            # Where no pass comes to the model at all, it is not the validation that is wrong.
            trained = any(x.reached and (steps or x.first_print != x.print) for x in line.leaves)
            if not trained or line.calls < OFTEN or line.used or not self._evaluates(line):
                continue
            self.found(
                line.place,
                f"{how_many(line.calls, 'call')} in {'training' if line.training else 'eval'} mode with grad mode on, none "
                f"used by any of {how_many(self.watch.seen['backward passes'], 'backward pass')}; each recorded "
                f"{how_many(line.nodes, 'operation')} and kept {how_big(line.size)}",
            )

    def _evaluates(self, line: _Line) -> bool:
        """Whether outputs were measured; a stopped gradient that goes into a loss is none of this rule's business."""
        if any(cut.entered for cut in line.stops):
            return False
        if line.training:
            return line.read and not line.stops and line.rows > 1
        return line.read or not line.stops


# ---- modes -----------------------------------------------------------------------------------------------------------------
def two_faced(module: Any) -> list[Any]:
    """The layers that do something else in training than in use."""
    found = []
    for layer in module.modules():
        kind = type(layer).__name__
        if "Dropout" in kind:
            sure = bool(getattr(layer, "p", 1))
        elif "BatchNorm" in kind:
            sure = getattr(layer, "running_mean", None) is not None
        else:
            sure = isinstance(getattr(layer, "dropout", None), float) and layer.dropout > 0
        if sure:
            found.append(layer)
    return found


def kinds(layers: list[Any]) -> str:
    return ", ".join(sorted({type(layer).__name__ for layer in layers}))


class _Modes(Rule):
    """Calls of modules with such layers, until a backward pass uses them."""

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.pending: dict[int, Call] = {}
        self.faced: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()

    def layers(self, module: Any) -> list[Any]:
        if module not in self.faced:
            self.faced[module] = [weakref.ref(layer) for layer in two_faced(module)]
        return [layer for ref in self.faced[module] if (layer := ref()) is not None]

    def remember(self, call: Call) -> None:
        if len(self.pending) > PENDING:
            self.pending.clear()
        # Without input and output: nothing is to be kept alive.
        bare = Call(weakref.ref(call.module), (), None, call.place, call.training, call.recorded, call.steps)
        for tensor in tensors(call.output):
            edge = tensor.edge()
            if edge is not None and edge[0].__class__ is not AccumulateGrad:
                self.pending[edge[0].seq] = bare

    def used(self, event: Backward) -> list[tuple[Any, Call]]:
        """The calls that a backward pass goes through, with their modules."""
        if not self.pending or not event.gathers:
            return []
        calls = [call for node in event.nodes if (call := self.pending.pop(node.seq, None)) is not None]
        return [(module, call) for call in calls if (module := call.module()) is not None]


@dataclass
class _Suspect:
    """A pass through a model in eval mode: a mistake if an update follows."""

    call: Call
    prints: list[tuple[Any, Any]]  # sinks, weakly, and their values before


class TrainedInEval(_Modes):
    """The line that trained in training mode goes on to train in eval mode, since a validation left it on."""

    name = "trained-in-eval-mode"
    symptom = "The model goes on training in eval mode after a validation: Dropout is off, BatchNorm's statistics stand still."
    fix = "Call model.train() at the start of each epoch, or right after the validation."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.trained: weakref.WeakKeyDictionary[Any, set[Any]] = weakref.WeakKeyDictionary()
        self.evals: weakref.WeakKeyDictionary[Any, Place] = weakref.WeakKeyDictionary()
        self.suspects: weakref.WeakKeyDictionary[Any, _Suspect] = weakref.WeakKeyDictionary()

    def mode(self, module: Any, training: bool, place: Place) -> None:
        for part in module.modules():
            if training:
                self.evals.pop(part, None)
            else:
                self.evals[part] = place

    def called(self, call: Call) -> None:
        if call.recorded and not self.watch.taps.walking and self.layers(call.module):
            self.remember(call)

    def before_backward(self, event: Backward) -> None:
        self._confirm()
        for module, call in self.used(event):
            line = line_of(call.place)
            if call.training:
                self.trained.setdefault(module, set()).add(line)
            elif line in self.trained.get(module, ()) and module in self.evals:
                sinks = [sink_of(param) for param in module.parameters()]
                if all(sink is not None for sink in sinks):  # with a frozen part it may be meant
                    prints = [(weakref.ref(s), fingerprint(s.array)) for s in sinks if s is not None]
                    self.suspects[module] = _Suspect(call, prints)

    def after_step(self, optimizer: Any, place: Place) -> None:
        self._confirm()

    def cleared(self, params: list[Any], place: Place) -> None:
        """Gradients thrown away: asked for something else than an update."""
        self._confirm()
        self.suspects.clear()

    def finish(self) -> None:
        self._confirm()

    def _confirm(self) -> None:
        for module, suspect in list(self.suspects.items()):
            now = [(sink, before) for ref, before in suspect.prints if (sink := ref()) is not None]
            changed = sum(fingerprint(sink.array) != before for sink, before in now)
            if changed:
                del self.suspects[module]
                place = self.evals.get(module, suspect.call.place)
                self.found(
                    place,
                    f"after this eval() {type(module).__name__} with {kinds(self.layers(module))} was called on "
                    f"{shown(suspect.call.place)} with training=False, where it had training=True before, and an update of "
                    f"{how_many(changed, 'parameter')} followed",
                )


@dataclass
class _Asked:
    """Predictions of one line in training mode."""

    place: Place
    module: str
    layers: str
    calls: int = 0
    measured: bool = False
    trained_after: bool = False
    inputs: set[int] = field(default_factory=set)


class EvaluatedInTrain(_Modes):
    """Predictions under no_grad in training mode of a model that the program has trained."""

    name = "evaluated-in-train-mode"
    symptom = "Predictions are made in training mode: Dropout drops units at random, BatchNorm uses and learns from this batch."
    fix = "Call model.eval() before the evaluation, and model.train() before training goes on."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.trained: weakref.WeakSet[Any] = weakref.WeakSet()  # layers
        self.meant: weakref.WeakSet[Any] = weakref.WeakSet()  # put into training mode since the last pass
        self.asked: dict[Place, _Asked] = {}
        self.last: tuple[Place, int, Any] | None = None
        self.sampled: set[Place] = set()

    def mode(self, module: Any, training: bool, place: Place) -> None:
        for part in module.modules():
            if training:
                self.meant.add(part)
            else:
                self.meant.discard(part)

    def before_backward(self, event: Backward) -> None:
        self.last = None
        for module, _ in self.used(event):
            for layer in self.layers(module):
                self.trained.add(layer)
                self.meant.discard(layer)
        for asked in self.asked.values():
            asked.trained_after = True

    def called(self, call: Call) -> None:
        if self.watch.taps.walking:
            return
        layers = self.layers(call.module)
        if not layers:
            return
        if call.recorded:
            self.remember(call)
            return
        if not call.training or is_grad_enabled() or from_library():
            return
        layers = [x for x in layers if x.training and x in self.trained and x not in self.meant]
        if not layers:
            return
        self._note_repeats(call)
        asked = self.asked.get(call.place)
        if asked is None:
            asked = _Asked(call.place, type(call.module).__name__, kinds(layers))
            asked.measured = measures(call.place)
            self.asked[call.place] = asked
        asked.calls += 1
        asked.trained_after = False

    def _note_repeats(self, call: Call) -> None:
        """The same input again, with no pass between: samples are drawn, Dropout is meant to drop."""
        given = next(iter(tensors(list(call.args))), None)
        if given is None:
            return
        before, self.last = self.last, (call.place, id(given), weakref.ref(given))
        if before is not None and before[:2] == self.last[:2] and before[2]() is given:
            self.sampled.add(call.place)

    def finish(self) -> None:
        for place, asked in self.asked.items():
            if place in self.sampled or not (asked.measured or not asked.trained_after):
                continue
            self.found(
                place,
                f"{how_many(asked.calls, 'call')} of {asked.module} under no_grad with training=True, after training; it has "
                f"{asked.layers}",
            )


def from_library() -> bool:
    """Whether the module was called by a library's function (statistics taken anew), not by the program."""
    frame: Any = sys._getframe(1)
    while frame is not None and ".doctor" in frame.f_globals.get("__name__", ""):
        frame = frame.f_back
    return frame is not None and internal[frame.f_code.co_filename]


def measures(place: Place) -> bool:
    """Whether the `with` block or function that a call stands in makes numbers of what it gave (and draws no samples)."""
    line = line_of(place)
    if line is None:
        return False
    around = [
        s
        for s in statements(line[0])
        if isinstance(s, ast.With | ast.FunctionDef) and s.lineno <= line[1] <= (s.end_lineno or s.lineno)
    ]
    if not around:
        return False
    inner = max(around, key=lambda s: s.lineno)
    text = ast.unparse(inner)
    return any(word in text for word in MEASURES) and "sample(" not in text and "multinomial(" not in text


RULES: tuple[type[Rule], ...] = (RecordedValidation, TrainedInEval, EvaluatedInTrain)
