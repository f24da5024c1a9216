"""`.grad` is None, and why."""

from __future__ import annotations

from typing import Any

from clew.core.node import Node
from clew.core.version import Place
from clew.doctor.events import NO_GRAPH, Rule, how_many, rebinds, shown, tests_for_none, text_of
from clew.nn.parameter import Parameter


class OfNonLeaf(Rule):
    """`.grad` read of a result: only leaves gather gradients."""

    name = "grad-of-non-leaf"
    symptom = (
        "This tensor is the result of an operation; backward() fills .grad of leaves only, so it is None."
    )
    fix = "Read .grad of the tensor it was made from, or call retain_grad() on this one before backward()."

    def grad_read(self, tensor: Any, value: Any, place: Place) -> None:
        node: Node | None = tensor.grad_fn
        if value is not None or node is None or tensor.retains_grad:
            return
        if tests_for_none(place) or rebinds(node.place) or not self.watch.seen["backward passes"]:
            return
        made = text_of(node.place)
        self.found(place, f"the tensor was made by {node.name()} on {shown(node.place)}: `{made}`")


class WithoutRequiresGrad(Rule):
    """`.grad` read of a tensor for which none was asked."""

    name = "grad-without-requires-grad"
    symptom = "This tensor does not require grad, so nothing that is computed from it is recorded for it: .grad is None."
    fix = "Make it with requires_grad=True (or call requires_grad_()) before the forward pass."

    def grad_read(self, tensor: Any, value: Any, place: Place) -> None:
        passes = self.watch.seen["backward passes"]
        if value is not None or tensor.requires_grad or isinstance(tensor, Parameter) or not passes:
            return
        if not tests_for_none(place):
            size = "×".join(map(str, tensor.shape)) or "a scalar"
            self.found(
                place,
                f"requires_grad is False ({tensor.dtype}, {size}) after {how_many(passes, 'backward pass')}",
            )


class SetOnNonLeaf(Rule):
    """`.grad` assigned to a result: it goes nowhere."""

    name = "grad-set-on-non-leaf"
    symptom = (
        "A gradient is assigned to the result of an operation: it is not carried on to what made the result."
    )
    fix = "Pass it to backward: tensor.backward(gradient), or change it on its way with register_hook."

    def grad_set(self, tensor: Any, value: Any, place: Place) -> None:
        node: Node | None = tensor.grad_fn
        if value is not None and node is not None:
            self.found(
                place, f"the tensor was made by {node.name()} on {shown(node.place)}: `{text_of(node.place)}`"
            )


class NoGraph(Rule):
    """backward() fails since nothing was recorded."""

    name = "loss-without-graph"
    symptom = "backward() fails: the loss was computed without recording anything."
    fix = "Set requires_grad=True on what is to be learned, and compute the loss outside no_grad()."

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        if NO_GRAPH not in str(error) or id(error) in self.watch.told:
            return
        asked = [leaf for leaf in self.watch.everyone if leaf.used]
        why = (
            "no operation on a tensor that requires grad was recorded"
            if not asked
            else f"{how_many(len(asked), 'tensor')} with requires_grad took part in earlier operations, none in this loss"
        )
        self.found(self.watch.failed_at, why)


RULES: tuple[type[Rule], ...] = (OfNonLeaf, WithoutRequiresGrad, SetOnNonLeaf, NoGraph)
