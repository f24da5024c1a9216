"""What the user calls things: variables in the frames of the program, and parameters in its modules."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

from clew.core.node import Edge, internal
from clew.core.variable import Variable
from clew.nn.module import Module

FRAMES = 8  # so many of the user's frames are read, from the innermost outward
MEMBERS = 64  # lists and dictionaries of tensors up to this length are looked into


class Names:
    """Names by place in the graph, and of tensors outside of it."""

    def __init__(self) -> None:
        self.edges: dict[Edge, list[str]] = {}
        self.arrays: dict[
            int, tuple[Any, list[str]]
        ] = {}  # by id of the array, which is held so that the id stays its own
        self.modules: list[tuple[str, Any]] = []
        self.values: dict[Edge, Any] = {}  # arrays of the tensors with history

    def add(self, name: str, tensor: Any) -> None:
        """Note what a tensor is called; the first name is the one that is shown."""
        if tensor._edge is not None:
            held = self.edges.setdefault(tensor._edge, [])
            self.values[tensor._edge] = tensor._array
        else:
            held = self.arrays.setdefault(id(tensor._array), (tensor._array, []))[1]
        if name not in held:
            held.append(name)

    def of(self, edge: Edge) -> tuple[str, ...]:
        return tuple(self.edges.get(edge, ()))

    def of_array(self, array: Any) -> tuple[str, ...]:
        found = self.arrays.get(id(array))
        return tuple(found[1]) if found is not None and found[0] is array else ()

    def update(self, other: Names) -> None:
        """Take over what another collection knows, after what is known already."""
        for edge, held in other.edges.items():
            mine = self.edges.setdefault(edge, [])
            mine.extend(name for name in held if name not in mine)
        self.values = {**other.values, **self.values}
        for key, (array, held) in other.arrays.items():
            mine = self.arrays.setdefault(key, (array, []))[1]
            mine.extend(name for name in held if name not in mine)
        for name, module in other.modules:
            self.add_module(name, module)

    def name_of_module(self, module: Any) -> str:
        """The variable that holds a module; "" where none is known."""
        return next((name for name, other in self.modules if other is module), "")

    def add_module(self, name: str, module: Any) -> None:
        if all(module is not other for _, other in self.modules):
            self.modules.append((name, module))

    def add_parameters(self, roots: Iterable[tuple[str, Any]] = ()) -> list[tuple[str, Any]]:
        """Name the parameters of modules (of `roots`, else of those that the frames hold), before all other names.

        With several modules their variables' names come first (`critic.0.weight`). Returns names with parameters.
        """
        modules = list(roots) or self.modules
        inner = {id(child) for _, module in modules for child in module.modules() if child is not module}
        tops = [
            (name, module)
            for name, module in modules
            if id(module) not in inner and any(True for _ in module.parameters())
        ]
        found = []
        for name, module in tops:
            for path, parameter in module.named_parameters():
                full = f"{name}.{path}" if len(tops) > 1 and name else path
                found.append((full, parameter))
                if parameter._edge is not None:
                    held = self.edges.setdefault(parameter._edge, [])
                else:
                    held = self.arrays.setdefault(id(parameter._array), (parameter._array, []))[1]
                if full in held:
                    held.remove(full)
                held.insert(0, full)
        return found


def user_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames outside clew, innermost first."""
    count = 0
    while frame is not None and count < FRAMES:
        if not internal[frame.f_code.co_filename]:
            count += 1
            yield frame
        frame = frame.f_back


def names_in(frames: Iterable[FrameType]) -> Names:
    """Names of the tensors and modules that some frames and their modules hold. Inner frames come first."""
    found = Names()
    known: set[int] = set()
    for frame in frames:
        for space in (frame.f_locals, frame.f_globals):
            if id(space) not in known:
                known.add(id(space))
                _read(space, found)
    return found


def names_of(space: Mapping[str, Any]) -> Names:
    """Names of what a namespace holds."""
    found = Names()
    _read(space, found)
    return found


def names_here(depth: int = 2) -> Names:
    """Names as the user's code sees them, from `depth` frames up."""
    return names_in(user_frames(sys._getframe(depth)))


def _read(space: Mapping[str, Any], found: Names) -> None:
    for name, value in list(space.items()):
        if name.startswith("_") or "." in name:
            continue
        if isinstance(value, Variable):
            found.add(name, value)
        elif isinstance(value, Module):
            found.add_module(name, value)
        else:
            _read_inside(name, value, found)


def _read_inside(name: str, value: Any, found: Names) -> None:
    """Tensors one level down: in short lists and dictionaries, and in attributes of plain objects."""
    kind = value.__class__
    if kind is list or kind is tuple:
        if len(value) <= MEMBERS:
            for index, member in enumerate(value):
                if isinstance(member, Variable):
                    found.add(f"{name}[{index}]", member)
    elif kind is dict:
        if len(value) <= MEMBERS:
            for key, member in value.items():
                if isinstance(member, Variable):
                    found.add(f"{name}[{key!r}]", member)
    elif kind.__module__ not in _PLAIN and not isinstance(value, type | weakref.ref):
        inside = getattr(value, "__dict__", None)
        if inside.__class__ is not dict or len(inside) > MEMBERS:
            return
        for key, member in list(inside.items()):
            if isinstance(member, Variable):
                found.add(f"{name}.{key}", member)
            elif isinstance(member, Module):
                found.add_module(f"{name}.{key}", member)


_PLAIN = {"builtins", "types", "numpy", "typing", "functools", "abc"}
