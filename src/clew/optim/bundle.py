"""Small parameters updated together: one flat array for each kind of state, so that a step costs a dozen NumPy calls in
all and not a dozen for each parameter. The state stays visible as one tensor per parameter: views of the flat arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import is_
from typing import Any

import numpy as np

from clew.core.variable import FLOAT32, FLOAT64, wrap

SMALL = 1 << 14  # elements; a larger parameter is a bundle of its own, whose gradient is used where it lies


class Bundle:
    """Parameters of one dtype that have made the same number of steps.

    states: their dictionaries; kept: the flat array of each kind of state; parts: each parameter's views of them, by name.
    """

    def __init__(self, params: Sequence[Any], states: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
        self.params = list(params)
        self.states = list(states)
        self.step = states[0]["step"]._array
        self.count = float(self.step)
        dtype = params[0]._array.dtype
        shapes = [p._array.shape for p in params]
        ends = np.cumsum([p._array.size for p in params]).tolist()
        spans = list(zip([0, *ends], ends, shapes, strict=False))

        def flat() -> tuple[np.ndarray, list[np.ndarray]]:
            array = np.empty(ends[-1], dtype=dtype)
            return array, [array[i:j].reshape(shape) for i, j, shape in spans]

        self.update, self.updates = flat()
        self.scratch = np.empty_like(self.update)
        self.cells = [np.empty((), dtype) for _ in range(8)]
        self.grad, self.grads = flat()
        self.kept: list[np.ndarray] = []
        self.parts: list[list[tuple[str, np.ndarray]]] = [[] for _ in params]
        for name in names:
            array, views = flat()
            for view, state, parts in zip(views, states, self.parts, strict=True):
                view[...] = state[name]._array
                state[name] = wrap(view)
                parts.append((name, view))
            self.kept.append(array)
        self.rows = list(zip(self.params, self.states, self.parts, strict=True))

    def current(self, state: Any) -> bool:
        """Whether the optimizer's state is still what the bundle holds (nothing was loaded or put in its place)."""
        step = self.step
        for param, own, parts in self.rows:
            if state.get(param) is not own or own["step"]._array is not step:
                return False
            for name, part in parts:
                if own[name]._array is not part:
                    return False
        return True

    def numbers(self, *values: float) -> Sequence[Any]:
        """Numbers as NumPy takes them in half the time: 0-d arrays of the parameters' type."""
        if self.update.dtype is not FLOAT32 and self.update.dtype is not FLOAT64:
            return values
        cells = self.cells
        for i, value in enumerate(values):
            cells[i][()] = value
        return cells[: len(values)]

    def gather(self) -> np.ndarray:
        """The gradients as one flat array that may be written to."""
        for param, part in zip(self.params, self.grads, strict=True):
            part[...] = param._meta.grad._array
        return self.grad

    def advance(self) -> float:
        """Count a step."""
        self.count += 1.0
        step = self.step = np.float32(self.count)
        for own in self.states:
            own["step"]._array = step
        return self.count

    def apply(self, place: Any) -> None:
        """Add the update to the parameters."""
        for param, part in zip(self.params, self.updates, strict=True):
            array = param._array if param._array.__class__ is np.ndarray else param.memory()
            np.add(array, part, array)
            self.written(param, place)

    @staticmethod
    def written(param: Any, place: Any) -> None:
        """Note that a parameter's values have changed."""
        version = param._counter or param.version()
        version.n += 1
        version.where = place


def same_parameters(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether two lists hold the same parameters (compared as objects: `==` would compare their values)."""
    return len(first) == len(second) and all(map(is_, first, second))


def bundled(params: Sequence[Any], state: Any, names: Sequence[str]) -> Iterator[Bundle]:
    """The parameters, whose state exists, as bundles."""
    together: dict[Any, list[Any]] = {}
    for i, param in enumerate(params):
        array = param._array
        key = (array.dtype, float(state[param]["step"]._array), 0 if array.size <= SMALL else i + 1)
        together.setdefault(key, []).append(param)
    for members in together.values():
        yield Bundle(members, [state[p] for p in members], names)
