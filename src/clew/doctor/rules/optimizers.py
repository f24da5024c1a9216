"""What an optimizer was given, and when it steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.events import (
    Backward,
    Call,
    Leaf,
    Rule,
    finite,
    how_many,
    line_of,
    names,
    shown,
    sink_of,
)
from clew.doctor.watch import Known
from clew.nn.module import Module
from clew.nn.parameter import Parameter

NO_PARAMETERS = "optimizer got an empty parameter list"


class Replaced(Rule):
    """A parameter (or a layer) put in another's place after the optimizer was made."""

    name = "parameter-replaced"
    symptom = "Parameters were replaced after the optimizer was made: it still updates the old ones."
    fix = "Make the optimizer after the model is complete, or write the new values into the old parameter (copy_)."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.changes: list[tuple[Place, str, list[Leaf], list[Leaf], list[Known]]] = []

    def replaced(self, module: Any, name: str, old: Any, new: Any, place: Place) -> None:
        before, after = self._leaves(old), self._leaves(new)
        holders = [
            k for k in self.watch.optimizers if any(leaf in k.leaves for leaf in before if leaf not in after)
        ]
        if holders:
            where = f"{type(module).__name__}.{name}"
            self.changes.append((place, where, before, after, holders))

    def _leaves(self, thing: Any) -> list[Leaf]:
        params = thing.parameters() if isinstance(thing, Module) else [thing]
        return [self.watch.leaf(sink) for p in params if (sink := sink_of(p)) is not None]

    def finish(self) -> None:
        held = {leaf for known in self.watch.optimizers for leaf in known.leaves}
        for place, where, before, after, holders in self.changes:
            left = [leaf for leaf in after if leaf.reached and leaf not in held]
            if not left or not any(known.steps for known in holders):
                continue
            for leaf in (*before, *after):
                leaf.explained = True
            known = holders[0]
            self.found(
                place,
                f"{where} was replaced after {known.kind} was made on {shown(known.place)}; {names(left)} got gradients in "
                f"{how_many(left[0].reached, 'pass')}, and none of {how_many(known.steps, 'step')} updated them",
            )


@dataclass
class _Hidden:
    """Tensors of a module that its `parameters()` does not give."""

    owner: str
    kind: str
    leaves: list[Leaf]


class Unregistered(Rule):
    """Layers in a plain list, tensors that are no Parameter: `parameters()` does not give them."""

    name = "unregistered-parameters"
    symptom = "The module does not know these parameters, so model.parameters() leaves them out and nothing updates them."
    fix = "Use nn.ModuleList, nn.ModuleDict or nn.ParameterList instead of list and dict, nn.Parameter instead of a tensor."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.known: WeakSet[Any] = WeakSet()
        self.hidden: list[_Hidden] = []

    def called(self, call: Call) -> None:
        if call.module not in self.known:
            self.known.add(call.module)
            self.hidden += self._hidden(call.module)

    def _hidden(self, module: Module) -> Iterator[_Hidden]:
        registered = {id(param) for param in module.parameters()}
        for part in module.modules():
            for name, value in vars(part).items():
                if name.startswith("_") and name in ("_parameters", "_modules", "_buffers"):
                    continue
                found = [p for p in _inside(value) if p.requires_grad and id(p) not in registered]
                leaves = [self.watch.leaf(sink) for p in found if (sink := sink_of(p)) is not None]
                if leaves:
                    owner = f"self.{name} of {type(part).__name__}"
                    for leaf in leaves:
                        leaf.name = leaf.name or f"{type(part).__name__}.{name}"
                    yield _Hidden(owner, f"a plain {type(value).__name__}", leaves)

    def finish(self) -> None:
        steps = self.watch.seen["steps"]
        others = any(leaf.first_print != leaf.print for leaf in self.watch.everyone)
        for hidden in self.hidden:
            reached = [leaf for leaf in hidden.leaves if leaf.reached and leaf.gathered]
            still = [leaf for leaf in reached if not leaf.stepped and leaf.first_print == leaf.print]
            if still and len(still) == len(reached) and (steps or others):
                self._tell(hidden, f"got gradients in {how_many(still[0].reached, 'pass')} and no update")

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        if NO_PARAMETERS not in str(error):
            return
        for frame in frames:
            for value in list(frame.f_locals.values()):
                if isinstance(value, Module):
                    for hidden in self._hidden(value):
                        self._tell(hidden, "are not among its parameters(), which is empty")

    def _tell(self, hidden: _Hidden, what: str) -> None:
        for leaf in hidden.leaves:
            leaf.explained = True
        count = how_many(len(hidden.leaves), "parameter")
        self.found(hidden.leaves[0].place, f"{count} in {hidden.owner}, {hidden.kind}, {what}")


def _inside(value: Any, depth: int = 3) -> Iterator[Variable]:
    """The leaves in a list, dictionary, tuple or set, those of modules there included; a tensor that is an attribute."""
    if isinstance(value, Parameter) and depth == 3:  # put into the module's own dictionary on purpose
        return
    if isinstance(value, Variable):
        if value.is_leaf:
            yield value
    elif isinstance(value, Module):
        if depth < 3:
            yield from value.parameters()
    elif depth and isinstance(value, list | tuple | set | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _inside(item, depth - 1)


class StepFirst(Rule):
    """The first step comes before any backward pass (or there is none at all)."""

    name = "step-before-backward"
    symptom = "step() is called before any backward(): there is no gradient yet, and nothing is updated."
    fix = "First loss.backward(), which fills .grad, then optimizer.step(), which uses it."

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.empty: dict[Known, tuple[Place, int]] = {}  # first step without any gradient, and how many

    def before_step(self, optimizer: Any, place: Place, closure: bool) -> None:
        params = [p for group in optimizer.param_groups for p in group["params"]]
        known = self.watch.known(optimizer)
        if closure or any(p._grad is not None for p in params) or any(leaf.reached for leaf in known.leaves):
            return
        first, count = self.empty.get(known, (place, 0))
        self.empty[known] = first, count + 1

    def finish(self) -> None:
        passes = self.watch.seen["backward passes"]
        for known, (place, count) in self.empty.items():
            if any(leaf.reached for leaf in known.leaves):
                self.found(
                    place,
                    f"at {'this step' if count == 1 else f'the first {count} steps'} all "
                    f"{how_many(len(known.leaves), 'parameter')} had .grad None; the first backward pass came after",
                )
            elif not passes and known.leaves:
                self.found(
                    place,
                    f"{how_many(count, 'step')}, and the program never calls backward(): nothing was learned",
                )


class NoStep(Rule):
    """backward() taken for the update: gradients come, an optimizer is there, and it never steps."""

    name = "backward-without-step"
    symptom = "backward() only fills .grad; no step() follows, so the parameters keep their values."
    fix = "Call optimizer.step() after loss.backward()."
    PASSES = 3  # fewer may well be meant: an inspection, the first half of an accumulation

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.passes: dict[Known, tuple[int, Place]] = {}

    def after_backward(self, event: Backward) -> None:
        if not event.gathers:
            return
        for known in self.watch.optimizers:
            if known.steps or not known.leaves:
                continue
            sinks = [s for s, leaf in zip(event.sinks, event.leaves, strict=True) if leaf in known.leaves]
            # A scaler of gradients (amp) holds back steps while they overflow.
            if sinks and all(sink.grad is None or finite(sink.grad._array) for sink in sinks):
                self.passes[known] = self.passes.get(known, (0, event.place))[0] + 1, event.place

    def finish(self) -> None:
        stepped = {leaf for known in self.watch.optimizers if known.steps for leaf in known.leaves}
        for known, (count, place) in self.passes.items():
            still = [leaf for leaf in known.leaves if leaf.reached and leaf.first_print == leaf.print]
            if known.steps or count < self.PASSES or not still or not stepped.isdisjoint(known.leaves):
                continue
            if all(leaf.first_print == leaf.print for leaf in known.leaves):
                self.found(
                    place,
                    f"{how_many(count, 'backward pass')} gave gradients to {names(still)}; the {known.kind} of "
                    f"{shown(known.place)} made no step, and the values are those of the first pass",
                )


class OtherParameters(Rule):
    """None of what the optimizer holds takes part in the loss, and what takes part no optimizer holds."""

    name = "optimizer-other-parameters"
    symptom = "The optimizer was given other parameters than the loss depends on: its steps change nothing."
    fix = "Give the optimizer the parameters of the model that is trained: SGD(model.parameters(), …)."

    def finish(self) -> None:
        held = {leaf for known in self.watch.optimizers for leaf in known.leaves}
        outside = [
            leaf for leaf in self.watch.everyone if leaf.gathered and leaf not in held and not leaf.explained
        ]
        for known in self.watch.optimizers:
            mine = [leaf for leaf in known.leaves if leaf.stepped]
            if not mine or not outside or any(leaf.reached or leaf.explained for leaf in mine):
                continue
            for leaf in mine:
                leaf.explained = True
            self.found(
                known.place,
                f"{known.kind} holds {names(mine)} and stepped {how_many(known.steps, 'time')}; no backward pass came to "
                f"them. The passes came to {names(outside)}, which no optimizer holds",
            )


class Unused(Rule):
    """A parameter that is to be updated, or whose gradient is asked for, and that the loss never depends on."""

    name = "unused-parameter"
    symptom = "The loss does not depend on this parameter: its gradient stays None, and it is never updated."
    fix = "Use it in forward(), or remove it; freeze it (requires_grad_(False)) if it is meant to stay as it is."

    def finish(self) -> None:
        passes = self.watch.seen["backward passes"]
        if not any(leaf.gathered for leaf in self.watch.everyone):
            return
        lines: dict[Any, list[Leaf]] = {}
        for leaf in self.watch.starved():
            lines.setdefault(line_of(leaf.place), []).append(leaf)
        for leaves in lines.values():
            first = leaves[0]
            used = "its results do not reach the loss" if first.used else "no recorded operation uses it"
            asked = "" if first.asked is None else f" (asked for on {shown(first.asked)})"
            self.found(
                first.place,
                f"{names(leaves)}: .grad is None after {how_many(passes, 'backward pass')}{asked}; {used}",
            )


RULES: tuple[type[Rule], ...] = (Replaced, Unregistered, StepFirst, NoStep, OtherParameters, Unused)
