"""Watching a program: what happens is noted, and told to the rules.

    with clew.doctor() as d:
        train()
    print(d.report().as_text())

A watch keeps, for every recorded operation, the set of leaves that it depends on (an int with a bit for each leaf), so
that a rule can tell at once which parameters a `detach` cut off. Nodes and tensors are not kept alive by it.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
import weakref
from collections.abc import Iterable, Iterator, Sequence
from inspect import CO_OPTIMIZED
from typing import Any

import numpy as np

from clew.core.modes import is_grad_enabled
from clew.core.node import AccumulateGrad, Node, internal
from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.events import (
    Backward,
    Call,
    Cut,
    Leaf,
    Rule,
    below,
    fingerprint,
    sink_of,
    tensors,
    tests_for_none,
)
from clew.doctor.report import Finding, Report, kept
from clew.doctor.rules import all_rules
from clew.doctor.taps import Taps
from clew.nn.module import Module
from clew.optim.optimizer import Optimizer

MASKS = 100_000  # so many operations are remembered
LEAVES = 2000  # so many leaves are told apart
NAMINGS = 50  # so often names are looked for
EVENTS = ("operation", "before_backward", "after_backward", "before_step", "after_step", "cleared", "called", "mode",
          "cut", "exposed", "replaced", "grad_read", "grad_set", "failed", "finish")  # fmt: skip


class Known:
    """An optimizer: where it was made, and how often it stepped."""

    def __init__(self, optimizer: Any, place: Place | None) -> None:
        self.ref = weakref.ref(optimizer)
        self.place = place
        self.steps = 0
        self.kind = type(optimizer).__name__
        self.leaves: dict[Leaf, None] = {}  # all it was ever given, in order

    def learn(self, optimizer: Any, watch: Watch) -> list[Leaf]:
        """The leaves it holds now (frozen parameters are none)."""
        sinks = [sink_of(param) for group in optimizer.param_groups for param in group["params"]]
        now = [watch.leaf(sink) for sink in sinks if sink is not None]
        if len(self.leaves) <= LEAVES:
            self.leaves.update(dict.fromkeys(now))
        return now


class Watch:
    """One run under observation. A context manager; `report()` at any time. rules: those that hear; all, if None."""

    def __init__(self, ignore: Sequence[str] = (), rules: Sequence[type[Rule]] | None = None) -> None:
        self.ignore = tuple(ignore)
        self.findings: dict[tuple[str, str, int], Finding] = {}
        self.leaves: weakref.WeakKeyDictionary[AccumulateGrad, Leaf] = weakref.WeakKeyDictionary()
        self.everyone: list[Leaf] = []  # the program's own tensors may be gone before the end
        self.masks: dict[int, int] = {}
        self.optimizers: list[Known] = []
        self.modules: weakref.WeakSet[Any] = weakref.WeakSet()  # those that the program called itself
        self.frozen: weakref.WeakSet[Any] = weakref.WeakSet()  # those that ran under `no_grad`, at any depth
        self.places: dict[tuple[str, Place], Cut] = {}  # one cut for each place, the latest last
        self.masked: dict[int, tuple[Any, Cut]] = {}  # id of a tensor without history: the cut it came from
        self.seen = {"operations": 0, "backward passes": 0, "steps": 0, "calls": 0}
        self.scalars: dict[int, Any] = {}  # results that are one number, by the operation's number
        self.namings = 0
        self.strict = bool(os.environ.get("CLEW_DOCTOR_STRICT"))  # for tests: a rule that fails is an error
        self.stepping = False
        self.told: set[int] = set()  # ids of errors that a rule explained
        self.failed_at: tuple[str, int] | None = None  # the program's line that raised
        self.note = ""
        self.ended = False
        # Those that are silenced, too: what they explain needs no other explanation.
        self.rules: list[Rule] = [kind(self) for kind in (all_rules() if rules is None else rules)]
        self.hearers = {
            event: [
                getattr(rule, event)
                for rule in self.rules
                if getattr(type(rule), event) is not getattr(Rule, event)
            ]
            for event in EVENTS
        }
        self.taps = Taps(self)

    # ---- beginning and end ---------------------------------------------------------------------------------------------
    def __enter__(self) -> Watch:
        for known in _living(Optimizer):
            self.optimizers.append(Known(known, None))
            self.optimizers[-1].learn(known, self)
        self.taps.install()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.stop(error)

    def stop(self, error: BaseException | None = None) -> None:
        """Put everything back as it was; what is still open is decided now."""
        if self.ended:
            return
        self.ended = True
        self.taps.remove()
        if error is not None and not isinstance(error, SystemExit):
            if isinstance(error, KeyboardInterrupt):
                self.note = "interrupted; this is what was seen until then"
            else:
                self.note = f"the program ended with {type(error).__name__}; this is what was seen until then"
            steps = list(traceback.walk_tb(error.__traceback__))
            frames = [frame for frame, _ in steps]
            own = [(f.f_code.co_filename, line) for f, line in steps if not internal[f.f_code.co_filename]]
            self.failed_at = own[-1] if own else None
            self.tell("failed", error, frames)
        self.tell("finish")
        if not self.seen["operations"] and not self.seen["backward passes"]:
            self.note = self.note or "the program recorded no operation: it uses no autograd"

    def report(self) -> Report:
        """What was found until now."""
        return Report(kept(self.findings.values(), self.ignore), dict(self.seen), self.note)

    def tell(self, event: str, *args: Any) -> None:
        """Every rule that wants to hear of an event hears of it. A rule that fails must not stop the program."""
        for hear in self.hearers[event]:
            if self.strict:
                hear(*args)
                continue
            try:
                hear(*args)
            except Exception as error:
                self.note = f"a rule failed and was left out: {type(error).__name__}: {error}"

    # ---- leaves and what depends on them -------------------------------------------------------------------------------
    def leaf(self, sink: AccumulateGrad) -> Leaf:
        """What is known of a sink."""
        known = self.leaves.get(sink)
        if known is None:
            known = self.leaves[sink] = Leaf(sink, min(len(self.everyone), LEAVES))
            if len(self.everyone) <= LEAVES:
                self.everyone.append(known)
        return known

    def name_leaves(self, leaves: Iterable[Leaf]) -> None:
        """Find the names that the program has for leaves: of variables, and of modules with their parameters."""
        if self.namings > NAMINGS or all(leaf.name for leaf in leaves):
            return
        self.namings += 1
        variables = list(_variables())
        for name, value in variables[:]:
            if name == "self" and not isinstance(value, Module):
                variables += [(f"self.{part}", held) for part, held in getattr(value, "__dict__", {}).items()]
        for name, value in variables:
            if isinstance(value, Module):
                self._name([(f"{name}.{part}", param) for part, param in value.named_parameters()])
        self._name(variables)
        for name, value in variables:
            if isinstance(value, list | tuple | dict) and len(value) <= 100:
                items = value.items() if isinstance(value, dict) else enumerate(value)
                self._name([(f"{name}[{key!r}]", part) for key, part in items])

    def _name(self, named: Iterable[tuple[str, Any]]) -> None:
        for name, value in named:
            sink = sink_of(value) if isinstance(value, Variable) else None
            if sink is not None and not self.leaf(sink).name:
                self.leaf(sink).name = name

    def variables(self) -> list[tuple[str, Any]]:
        """The program's variables at this moment, with their names."""
        return list(_variables())

    def starved(self) -> list[Leaf]:
        """Leaves that were to be updated, or whose gradient was asked for, and that no backward pass came to."""
        fed = {(leaf.name, leaf.shape) for leaf in self.everyone if leaf.reached and leaf.name}
        return [
            leaf
            for leaf in self.everyone
            if not leaf.reached
            and not leaf.explained
            and (leaf.used or not leaf.frozen)
            and (leaf.stepped > 1 or leaf.asked is not None)
            and (leaf.name, leaf.shape) not in fed
        ]

    def mask_of(self, node: Node) -> int:
        """The leaves that an operation depends on, as bits."""
        if node.__class__ is AccumulateGrad:
            return self.leaf(node).bit
        return self.masks.get(node.seq, 0)

    def mask_of_tensor(self, tensor: Any) -> int:
        if not isinstance(tensor, Variable):
            return 0
        edge = tensor.edge()
        if edge is not None:
            return self.mask_of(edge[0])
        cut = self.origin(tensor)
        return 0 if cut is None else cut.mask

    def origin(self, tensor: Any) -> Cut | None:
        """The cut that a tensor without history comes from."""
        held = self.masked.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def on_operation(self, node: Any, inputs: Any, results: Any) -> None:
        """The observer of recorded operations."""
        if not self.taps.heard():
            return
        mask = 0
        for edge in node.edges:
            if edge is not None:
                target = edge[0]
                if target.__class__ is AccumulateGrad:
                    leaf = self.leaf(target)
                    leaf.used = True
                    mask |= leaf.bit
                else:
                    mask |= self.masks.get(target.seq, 0)
        self.masks[node.seq] = mask
        if len(self.masks) > MASKS:
            for seq in list(self.masks)[: MASKS // 2]:
                del self.masks[seq]
        if (
            self.taps.walking
        ):  # a recorded backward pass, or a recomputed forward: not the program's own lines
            return
        self.seen["operations"] += 1
        if len(results) == 1 and isinstance(results[0], Variable) and results[0]._array.size == 1:
            self.scalars[node.seq] = results[0]._array.item()
            if len(self.scalars) > MASKS:
                self.scalars = dict(list(self.scalars.items())[MASKS // 2 :])
        if self.masked:
            for tensor in inputs:
                if isinstance(tensor, Variable) and tensor._edge is None:
                    cut = self.origin(tensor)
                    if cut is not None:
                        cut.entered = True
        self.tell("operation", node, inputs, results)

    # ---- backward ------------------------------------------------------------------------------------------------------
    def before_walk(self, walk: Any, roots: Any, place: Place, nested: bool) -> Backward:
        start = [edge[0] for edge, _ in roots]
        nodes, sinks = below(start)
        for node in start:
            if isinstance(node, AccumulateGrad) and node not in sinks:
                sinks.append(node)
        if walk.needed is not None or walk.capture is not None:
            wanted = {edge[0] for edge in walk.capture or ()}
            sinks = [sink for sink in sinks if sink in wanted]
        gathers = walk.capture is None or walk.gather
        if not nested:
            self.seen["backward passes"] += 1
        event = Backward(
            number=self.seen["backward passes"], place=place, roots=start,
            losses=[self.scalars.get(node.seq) for node in start], nodes=nodes, sinks=sinks,
            leaves=[self.leaf(sink) for sink in sinks], retain=walk.retain, gathers=gathers, creates=walk.record,
            steps=self.seen["steps"],
        )  # fmt: skip
        for sink, leaf in zip(sinks, event.leaves, strict=True):
            held = sink.grad
            event.before[leaf] = None if held is None else id(held) if np.any(held._array) else "zero"
        if not nested:
            self.name_leaves(event.leaves)
            self.tell("before_backward", event)
        return event

    def after_walk(self, event: Backward, nested: bool) -> None:
        for leaf in event.leaves:
            leaf.reached += 1
            leaf.gathered += event.gathers
        if not nested:
            self.tell("after_backward", event)
        if event.gathers:
            for sink, leaf in zip(event.sinks, event.leaves, strict=True):
                leaf.grad_id = id(sink.grad)
                leaf.grad_print = None if sink.grad is None else fingerprint(sink.grad._array)
                leaf.print = fingerprint(sink.array)
                if leaf.first_print is None:
                    leaf.first_print = leaf.print

    # ---- optimizers and modules ----------------------------------------------------------------------------------------
    def on_optimizer(self, optimizer: Any, place: Place) -> None:
        self.optimizers.append(Known(optimizer, place))
        self.name_leaves(self.optimizers[-1].learn(optimizer, self))

    def known(self, optimizer: Any) -> Known:
        for known in reversed(self.optimizers):
            if known.ref() is optimizer:
                return known
        self.optimizers.append(Known(optimizer, None))
        return self.optimizers[-1]

    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        held = self.known(optimizer).learn(optimizer, self)
        for leaf in held:
            leaf.stepped += 1
        self.name_leaves(held)
        self.tell("before_step", optimizer, place, closure)
        self.stepping = True

    def after_step(self, optimizer: Any, place: Place) -> None:
        self.known(optimizer).steps += 1
        self.seen["steps"] += 1
        self.tell("after_step", optimizer, place)

    def on_call(self, module: Any, args: tuple[Any, ...], output: Any, place: Place, recorded: bool) -> None:
        self.seen["calls"] += 1
        self.modules.add(module)
        self.tell("called", Call(module, args, output, place, module.training, recorded, self.seen["steps"]))

    def on_unrecorded(self, module: Any) -> None:
        """A module ran under `no_grad`: where that is all it does, its parameters are frozen on purpose."""
        if module not in self.frozen:
            self.frozen.add(module)
            for param in module._parameters.values():
                sink = sink_of(param)
                if sink is not None:
                    self.leaf(sink).frozen = True

    # ---- cuts ----------------------------------------------------------------------------------------------------------
    def on_grad_read(self, tensor: Any, value: Any, place: Place) -> None:
        sink = sink_of(tensor)
        if value is None and sink is not None and self.seen["backward passes"] and not tests_for_none(place):
            self.leaf(sink).asked = place
        self.tell("grad_read", tensor, value, place)

    def on_cut(self, kind: str, tensor: Any, result: Any, place: Place) -> None:
        mask = self.mask_of_tensor(tensor)
        if not mask:
            return
        cut = self._cut(kind, mask, place)
        for value in tensors(result):
            self._inherit(value, cut)
        if tensor.edge() is not None and tensor.grad_fn is None:
            return  # of a parameter itself: nothing was computed that could be lost
        self.tell("cut", cut, tensor, result)

    def _cut(self, kind: str, mask: int, place: Place) -> Cut:
        if not is_grad_enabled():
            return Cut(kind, place, mask, self.seen["backward passes"])
        key = kind, place
        cut = self.places.pop(key) if key in self.places else Cut(kind, place, 0, 0)
        self.places[key] = cut
        cut.mask |= mask
        cut.backwards = self.seen["backward passes"]
        return cut

    @property
    def cuts(self) -> list[Cut]:
        """Where values left the graph, the latest last."""
        return list(self.places.values())

    def _inherit(self, value: Variable, cut: Cut) -> None:
        """Remember what a tensor without history came from."""
        if len(self.masked) > 2000:
            self.masked = {key: pair for key, pair in self.masked.items() if pair[0]() is not None}
            if len(self.masked) > 2000:
                self.masked.clear()
        self.masked[id(value)] = weakref.ref(value), cut

    def on_source(self, name: str, value: Any, made: Any, place: Place) -> None:
        """A tensor made of data: of a tensor with history, or of an array or number that was one a moment ago."""
        cut = None
        if isinstance(value, np.ndarray):
            cut = self._recent("numpy")
            if name != "tensor":  # shares its memory
                self.tell("exposed", made, place, f"torch.{name}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            cut = self._copied(self._recent("item", "float", "int"), place)
        else:
            mask = 0
            for part in tensors(value):
                mask |= self.mask_of_tensor(part)
            if mask:
                cut = self._cut(name, mask, place)
            elif isinstance(value, list):
                cut = self._copied(self._recent("tolist", "item", "float"), place)
        for part in tensors(made):
            if cut is not None and part is not value:
                self._inherit(part, cut)

    def _copied(self, number: Cut | None, place: Place) -> Cut | None:
        """A cut of its own for a tensor made of numbers: reading a number is what every program does, and no mistake."""
        return None if number is None else self._cut("copy", number.mask, place)

    def _recent(self, *kinds: str) -> Cut | None:
        """The last cut of these kinds since the last backward pass."""
        passes = self.seen["backward passes"]
        return next((c for c in reversed(self.cuts) if c.kind in kinds and c.backwards == passes), None)


def _variables() -> Iterator[tuple[str, Any]]:
    """The program's variables with their names, of the innermost function first, then the main module's, then other modules'.

    A main module that clew itself runs is the outermost: what started clew is no part of the program.
    """
    frame: Any = sys._getframe(2)
    rooms: dict[int, dict[str, Any]] = {}  # the globals met, outermost last
    main = False  # whether the last frame was a module's
    while frame is not None:
        name = frame.f_code.co_filename
        if not internal[name]:
            room = frame.f_globals
            rooms.pop(id(room), None)
            rooms[id(room)] = room
            main = frame.f_code.co_name == "<module>"
            if frame.f_locals is not room:
                yield from sorted(_locals_of(frame), key=lambda pair: pair[0] == "self")
        elif main and not name.startswith("<frozen"):
            break
        frame = frame.f_back
    for room in reversed(list(rooms.values())):
        yield from list(room.items())


def _locals_of(frame: Any) -> list[tuple[str, Any]]:
    held = frame.f_locals
    found = list(held.items())
    if held.__class__ is dict and frame.f_code.co_flags & CO_OPTIMIZED:
        held.clear()  # a copy, which the frame would keep, and with it every tensor there
    return found


def _living(kind: type[Any]) -> list[Any]:
    """The optimizers that a program made before the doctor came."""
    if kind is Optimizer and not any(
        vars(m).get("Optimizer") is kind for m in list(sys.modules.values()) if m
    ):
        return []
    # `isinstance` would ask proxies, too
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]
