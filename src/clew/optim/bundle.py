"""Small parameters updated together: one flat array for each kind of state, so that a step costs a dozen NumPy calls in
all and not a dozen for each parameter. The state stays visible as one tensor per parameter: views of the flat arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import is_
from typing import Any

import numpy as np

from clew.core.variable import wrap

SMALL = 1 << 14  # elements; a larger parameter is a bundle of its own, whose gradient is used where it lies


class Bundle:
    """Parameters of one dtype that have made the same number of steps.

    states: their dictionaries; kept[name]: the flat array of one kind of state, parts[name] each parameter's view of it.
    """

    def __init__(self, params: Sequence[Any], states: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
        self.params = list(params)
        self.states = list(states)
        self.names = tuple(names)
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
        self.alone = len(params) == 1
        self.grad, self.grads = flat()
        self.kept: list[np.ndarray] = []
        self.parts: list[tuple[np.ndarray, ...]] = []
        for name in names:
            array, views = flat()
            for view, state in zip(views, states, strict=True):
                view[...] = state[name]._array
                state[name] = wrap(view)
            self.kept.append(array)
            self.parts.append(tuple(views))

    def current(self, state: Any) -> bool:
        """Whether the optimizer's state is still what the bundle holds (nothing was loaded or put in its place)."""
        step = self.step
        for i, param in enumerate(self.params):
            own = self.states[i]
            if state.get(param) is not own or own["step"]._array is not step:
                return False
            for name, parts in zip(self.names, self.parts, strict=True):
                if own[name]._array is not parts[i]:
                    return False
        return True

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
            array = param.memory()
            np.add(array, part, array)
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
