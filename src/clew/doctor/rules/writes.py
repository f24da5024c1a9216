"""Writes that no counter sees: through `.data` or NumPy, into memory that backward still needs."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clew.core.node import Freed, Node
from clew.core.version import Place
from clew.doctor.events import Backward, Rule, arrays, shown, text_of

WHOLE = 1_000_000  # elements; of larger memories a sample is compared


def owner(array: Any) -> Any:
    """The array that owns the memory."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array


def digest(memory: Any) -> int:
    """Differs when the values differ."""
    if memory.size > WHOLE:
        memory = memory.reshape(-1)[:: memory.size // WHOLE] if memory.flags.c_contiguous else memory.ravel()
    return hash(memory.tobytes())


def numbers(saved: Any) -> list[Any]:
    """The NumPy scalars among saved values."""
    if isinstance(saved, np.generic):
        return [saved]
    return [value for part in saved for value in numbers(part)] if isinstance(saved, tuple) else []


@dataclass
class _Exposure:
    """One handing out of memory: from here on it can be written unseen."""

    seq: int  # the last operation before
    digest: int
    place: Place
    kind: str


@dataclass
class _Memory:
    ref: Any  # of the array that owns it
    exposures: list[_Exposure]
    saved: dict[int, int] = field(
        default_factory=dict
    )  # the digest, by the number of the operation that saved it


class HiddenWrite(Rule):
    """The value was saved, then written over without the version counter noticing: the gradient is of other values."""

    name = "written-behind-autograd"
    symptom = (
        "A value was overwritten through .data or NumPy after an operation had saved it for backward(): "
        "the gradient is computed from the new value, and is wrong."
    )
    fix = "Write after backward(), and under torch.no_grad() without .data; or write into a clone()."
    MOST = 1000  # memories that are remembered
    EXPOSURES = 20  # of one memory

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.seq = -1
        self.memories: dict[int, _Memory] = {}
        self.numbers: dict[
            int, tuple[Any, Any, _Exposure]
        ] = {}  # leaves of one number: sink, value, exposure

    def exposed(self, tensor: Any, place: Place, kind: str) -> None:
        array = tensor._array
        exposure = _Exposure(self.seq, 0, place, kind)
        if array.size == 1 and tensor._edge is not None and len(self.numbers) < self.MOST:
            sink = tensor._edge[0]
            self.numbers[id(sink)] = weakref.ref(sink), np.asarray(array).item(), exposure
        if not isinstance(array, np.ndarray):
            return
        memory = owner(array)
        exposure.digest = digest(memory)
        known = self._known(memory)
        if known is None:
            if len(self.memories) >= self.MOST:
                self.memories.clear()
            known = self.memories[id(memory)] = _Memory(weakref.ref(memory), [])
        last = known.exposures[-1] if known.exposures else None
        if last is not None and (last.seq, last.digest) == (exposure.seq, exposure.digest):
            known.exposures.pop()
        known.exposures = [*known.exposures[-self.EXPOSURES :], exposure]

    def _known(self, memory: Any) -> _Memory | None:
        known = self.memories.get(id(memory))
        return known if known is not None and known.ref() is memory else None

    def operation(self, node: Node, inputs: Any, results: Any) -> None:
        self.seq = node.seq
        if self.memories:
            for array in arrays(node.saved):
                known = self._known(owner(array))
                if known is not None:
                    if len(known.saved) >= self.MOST:
                        known.saved.clear()
                    known.saved[node.seq] = digest(owner(array))

    def before_backward(self, event: Backward) -> None:
        if not self.memories and not self.numbers:
            return
        for node in event.nodes:
            if isinstance(node.saved, Freed) or any(version.n != tick for version, tick in node.versions):
                continue
            for array in arrays(node.saved):
                self._compare(node, owner(array))
            if self.numbers:
                self._compare_numbers(node)

    def _compare(self, node: Node, memory: Any) -> None:
        known = self._known(memory)
        if known is None:
            return
        saved = known.saved.get(node.seq)
        if saved is None:
            saved = next((e.digest for e in known.exposures if e.seq >= node.seq), None)
        if saved is None or saved == digest(memory):
            return
        unwritten = [exposure for exposure in known.exposures if exposure.digest == saved]
        if unwritten:
            self._tell(node, unwritten[-1])

    def _compare_numbers(self, node: Node) -> None:
        """A saved single number is a copy here, where PyTorch shares the memory: the leaf's own value tells."""
        for edge in node.edges:
            held = self.numbers.get(id(edge[0])) if edge is not None else None
            if edge is None or held is None or held[0]() is not edge[0] or node.seq > held[2].seq:
                continue
            now = getattr(edge[0], "array", None)
            if now is not None and np.asarray(now).item() != held[1] and held[1] in [
                value.item() for value in numbers(node.saved)
            ]:  # fmt: skip
                self._tell(node, held[2])

    def _tell(self, node: Node, exposure: _Exposure) -> None:
        self.found(
            exposure.place,
            f"{node.name()} saved the value on {shown(node.place)}, `{text_of(node.place)}`; its memory, handed out here "
            f"by {exposure.kind}, holds other numbers at backward(), and its version counter did not move",
        )


RULES: tuple[type[Rule], ...] = (HiddenWrite,)
