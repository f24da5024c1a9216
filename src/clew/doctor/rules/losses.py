"""Losses that are given what they are not made for."""

from __future__ import annotations

from typing import Any

from clew.core.node import Node
from clew.core.variable import Variable
from clew.doctor.events import Call, Rule, tensors

SOFTMAX = ("SoftmaxBackward0", "SafeSoftmaxBackward0")
LOSSES = ("LogSoftmaxBackward0", "NllLossBackward0", "NllLoss2DBackward0")


class SoftmaxTwice(Rule):
    name = "softmax-before-cross-entropy"
    symptom = "cross_entropy is given probabilities: it applies softmax to what is a softmax already"
    fix = "give cross_entropy the raw scores; the softmax is part of it"

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        edge = node.edges[0] if node.edges else None
        if node.name() not in LOSSES or edge is None or edge[0].name() not in SOFTMAX:
            return
        row = results[0]._array if results else None
        if node.name() == LOSSES[0] and getattr(row, "ndim", 0) < 2:
            return
        self.found(node.place, f"{edge[0].name()} feeds {node.name()}")


class BroadcastInLoss(Rule):
    name = "broadcast-in-loss"
    symptom = (
        "a prediction of shape (N, 1) meets a target of shape (N,): every one is compared with every other"
    )
    fix = "give both the same shape: output.squeeze(1), or y.unsqueeze(1)"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.outputs: dict[int, None] = {}  # numbers of operations whose results modules returned

    def called(self, call: Call) -> None:
        for tensor in tensors(call.output):
            edge = tensor.edge()
            if edge is not None:
                self.outputs[edge[0].seq] = None
        while len(self.outputs) > 200:
            del self.outputs[next(iter(self.outputs))]

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        if node.name() != "SubBackward0" or len(inputs) < 2:
            return
        for mine, other in ((inputs[0], inputs[1]), (inputs[1], inputs[0])):
            if not isinstance(mine, Variable) or not isinstance(other, Variable):
                return
            a, b = mine._array.shape, other._array.shape
            edge = mine.edge()
            if len(a) == 2 and a[1] == 1 and b == a[:1] and a[0] > 1 and edge and edge[0].seq in self.outputs:
                self.found(node.place, f"{list(a)} and {list(b)} make {list(results[0]._array.shape)}")


RULES = (SoftmaxTwice, BroadcastInLoss)
