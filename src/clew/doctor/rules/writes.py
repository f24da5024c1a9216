"""Writes that autograd cannot see: through `.data`, or through the array of `.numpy()`."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.node import Node
from clew.core.variable import Variable
from clew.core.version import Place
from clew.doctor.events import Backward, Rule, arrays, fingerprint, shown

REMEMBERED = 20_000
EXPOSED = 200


class HiddenWrite(Rule):
    name = "written-behind-autograd"
    symptom = (
        "a value that backward() needs was changed past autograd: the gradient is wrong, without an error"
    )
    fix = "write after backward(), under torch.no_grad(), or into a clone"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.prints: dict[int, tuple[Any, ...]] = {}
        self.exposures: list[tuple[np.ndarray, Place, str]] = []

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        if len(self.prints) > REMEMBERED:
            self.prints.clear()
        self.prints[node.seq] = tuple([fingerprint(a) for a in arrays(node.saved)])

    def exposed(self, tensor: Any, place: Place, kind: str) -> None:
        array = tensor._array if isinstance(tensor, Variable) else None
        if isinstance(array, np.ndarray):
            self.exposures = [*self.exposures[-EXPOSED:], (array, place, kind)]

    def before_backward(self, event: Backward) -> None:
        if not self.exposures:
            return
        for node in event.nodes:
            before = self.prints.get(node.seq)
            now = list(arrays(node.saved))
            if before is None or len(before) != len(now) or any(v.n != n for v, n in node.versions):
                continue
            for array, old in zip(now, before, strict=True):
                if fingerprint(array) != old:
                    self._blame(node, array, event)
        self.exposures.clear()

    def _blame(self, node: Node, array: np.ndarray, event: Backward) -> None:
        for shown_array, place, kind in reversed(self.exposures):
            if np.may_share_memory(shown_array, array):
                self.found(
                    place,
                    f"{node.name()} on {shown(node.place)} saved a value that was changed through {kind} before backward() on "
                    f"{shown(event.place)}",
                )
                return


RULES = (HiddenWrite,)
