"""Losses that compute something else than what was meant: softmax twice, shapes that broadcast."""

from __future__ import annotations

import math
from typing import Any

from clew.core.node import AccumulateGrad, Node
from clew.core.variable import Variable
from clew.doctor.events import Backward, Rule, shown, text_of

# What passes probabilities on as they are.
SHAPES = ("View", "Reshape", "UnsafeView", "Squeeze", "Unsqueeze", "Transpose", "T", "Permute", "Alias", "Clone", "Contiguous",
          "ToCopy", "Slice", "Index", "Flatten")  # fmt: skip
POINTWISE = ("MseLoss", "SmoothL1Loss", "HuberLoss")
POWERS = ("Pow", "Abs", "Square", "Mul", "Where", "Log1P", "Sqrt")
TOTALS = ("Mean", "Sum")


def kind_of(node: Node) -> str:
    """`MulBackward0` → `Mul`."""
    return node.name().rstrip("0123456789").removesuffix("Backward")


def behind(node: Node) -> Node | None:
    """What made an operation's first input, changes of shape passed over."""
    for _ in range(6):
        edge = node.edges[0] if node.edges else None
        if edge is None or isinstance(edge[0], AccumulateGrad):
            return None
        node = edge[0]
        if kind_of(node) not in SHAPES:
            return node
    return None


class SoftmaxTwice(Rule):
    """cross_entropy of probabilities."""

    name = "softmax-before-cross-entropy"
    symptom = "cross_entropy applies log-softmax itself; it is given probabilities: the loss is flat, and learning slow."
    fix = "Give cross_entropy the scores (logits); apply softmax only to show probabilities."

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        kind = kind_of(node)
        if kind not in ("LogSoftmax", "NllLoss", "NllLoss2D"):
            return
        first = behind(node)
        if first is None or kind_of(first) not in ("Softmax", "SafeSoftmax"):
            return
        made = f"the input was made by {first.name()} on {shown(first.place)}, `{text_of(first.place)}`"
        if kind != "LogSoftmax":
            self.found(
                node.place,
                f"{made}; nll_loss wants the logarithms of probabilities",
                "Use log_softmax before nll_loss, or cross_entropy of the scores.",
            )
        elif "log_softmax" not in text_of(node.place):
            classes = inputs[0]._array.shape[1 if inputs[0]._array.ndim > 1 else 0]
            most = math.log(math.e + classes - 1)
            self.found(
                node.place,
                f"{made}; of {classes} probabilities the loss cannot fall below {most - 1:.3f} nor rise above {most:.3f}, "
                "however sure the model is",
            )


class SigmoidTwice(Rule):
    """binary_cross_entropy_with_logits of probabilities."""

    name = "sigmoid-before-bce-with-logits"
    symptom = "The loss with logits applies the sigmoid itself; it is given probabilities: predictions stay near 1/2."
    fix = "Give it the scores (logits), or use binary_cross_entropy (BCELoss) for probabilities."

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        first = behind(node) if kind_of(node) == "BinaryCrossEntropyWithLogits" else None
        if first is not None and kind_of(first) in ("Sigmoid", "Softmax"):
            self.found(
                node.place,
                f"the input was made by {first.name()} on {shown(first.place)}, `{text_of(first.place)}`; the sigmoid of a "
                "probability lies between 0.500 and 0.731: where the target is 1, the loss cannot fall below 0.313",
            )


class BroadcastInLoss(Rule):
    """(N, 1) against (N,): N × N differences instead of N."""

    name = "broadcast-in-loss"
    symptom = "Prediction (N, 1) and target (N,) have different shapes: each is compared with every other."
    fix = "Give both the same shape: prediction.squeeze(1), or target.unsqueeze(1)."
    MOST = 1000

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.differences: dict[int, tuple[Node, str]] = {}  # by the number of the operation that holds them
        self.losses: dict[int, tuple[Node, str]] = {}

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        kind = kind_of(node)
        if kind == "Sub" or kind in POINTWISE:
            self._difference(node, inputs, kind)
        if not self.differences:
            return
        origin = next(
            (f for e in node.edges if e is not None and (f := self.differences.get(e[0].seq))), None
        )
        if origin is None:
            return
        if kind in POWERS:
            self.differences[node.seq] = origin
        elif kind in TOTALS and results[0]._array.size == 1:  # a total of all: no table of distances
            self.losses[node.seq] = origin
        if len(self.differences) > self.MOST:
            self.differences.clear()

    def _difference(self, node: Node, inputs: Any, kind: str) -> None:
        a, b = inputs[0], inputs[1]
        if not isinstance(a, Variable) or not isinstance(b, Variable) or a.requires_grad == b.requires_grad:
            return
        left, right = tuple(a._array.shape), tuple(b._array.shape)
        column, flat = (left, right) if len(left) > len(right) else (right, left)
        if not flat or column != (*flat, 1) or flat[-1] == 1:
            return
        if any(word in text_of(node.place) for word in ("None", "unsqueeze", "newaxis")):
            return  # the line itself makes the new dimension: all pairs are wanted
        count = math.prod(flat)
        seen = f"{size(left)} against {size(right)}: {count * flat[-1]:,} differences instead of {count:,}"
        (self.differences if kind == "Sub" else self.losses)[node.seq] = node, seen

    def before_backward(self, event: Backward) -> None:
        for node in event.nodes if self.losses else ():
            found = self.losses.pop(node.seq, None)
            if found is not None:
                self.found(found[0].place, found[1])
        if len(self.losses) > self.MOST:
            self.losses.clear()


def size(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


RULES: tuple[type[Rule], ...] = (SoftmaxTwice, SigmoidTwice, BroadcastInLoss)
