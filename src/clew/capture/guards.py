"""What a recording took for granted: the names that its code reads, the tensors' flags, the modules' structure.

Each is tested before the program runs; if one has changed, the function is recorded anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import indent
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

from clew.core import modes
from clew.core.modes import switches
from clew.core.variable import Variable
from clew.nn.module import Module
from clew.optim.optimizer import Optimizer

_KEPT = (Variable, Module, Optimizer)
_PLAIN = (int, float, bool, str, bytes, complex, type(None))
_DANGEROUS = {
    "STORE_GLOBAL": "sets a global variable", "DELETE_GLOBAL": "deletes a global variable",
    "STORE_DEREF": "sets a variable of the function around it", "YIELD_VALUE": "is a generator",
    "STORE_SUBSCR": "writes into a container", "STORE_ATTR": "sets an attribute",
}  # fmt: skip
_HARMLESS = {"grad", "data", "requires_grad"}  # attributes of tensors, which are recorded
_CALLS = {"print", "input", "open", "next", "exec", "setattr"}
_METHODS = {
    "append",
    "appendleft",
    "extend",
    "insert",
    "pop",
    "popleft",
    "update",
    "write",
    "add_scalar",
    "set_postfix",
}


_REBINDING = ("STORE_GLOBAL", "STORE_DEREF")


def rebound(function: Any) -> list[Any]:
    """What the variables hold that a function sets outside of it: `w -= …` sets w to what it was."""
    import dis

    code, found = code_of(function), []
    if code is None or isinstance(function, Module):
        return []
    plain = function.__func__ if isinstance(function, MethodType) else function
    cells = dict(zip(code.co_freevars, plain.__closure__ or (), strict=True))
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_GLOBAL":
            found.append(plain.__globals__.get(instruction.argval))
        elif instruction.opname == "STORE_DEREF" and instruction.argval in cells:
            found.append(cells[instruction.argval].cell_contents)
    return found


def side_effect(code: CodeType, outer: bool = False) -> str | None:
    """What a function does besides computing, as far as its instructions tell. outer: see `rebound` for its variables."""
    import dis

    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.argval
        if name in _DANGEROUS and not (name == "YIELD_VALUE" and code.co_name == "<genexpr>"):
            if (
                (outer and name in _REBINDING)
                or (name == "STORE_DEREF" and argument in code.co_cellvars)
                or (name == "STORE_ATTR" and argument in _HARMLESS)
            ):
                continue
            return _DANGEROUS[name] + (f" ({argument})" if argument is not None else "")
        if name in ("LOAD_GLOBAL", "LOAD_NAME") and argument in _CALLS:
            return f"calls {argument}()"
        if name in ("LOAD_METHOD", "LOAD_ATTR") and argument in _METHODS:
            return f"calls .{argument}()"
    return None


def code_of(function: Any) -> CodeType | None:
    """The code behind a function, method or module."""
    if isinstance(function, Module):
        function = type(function).forward
    if isinstance(function, MethodType):
        function = function.__func__
    return function.__code__ if isinstance(function, FunctionType) else None


def watched(value: Any) -> bool:
    return isinstance(value, (*_KEPT, *_PLAIN))


class Conditions:
    """Collects tests, written as one expression."""

    def __init__(self) -> None:
        self.tests = ["(changes[0] == known or again())", "not observers", "not recordings"]
        self.tests += (
            ["not altered"] if not modes.altered else ["switches.grad is grad", "not switches.autocast"]
        )
        self.room: dict[str, Any] = {
            "changes": modes.changes, "known": modes.changes[0], "switches": switches, "grad": switches.grad,
            "altered": modes.altered, "observers": modes.observers, "recordings": modes.recordings,
        }  # fmt: skip
        self.modules: dict[int, Module] = {}

    def name(self, value: Any) -> str:
        """A name for an object in the expression."""
        made = f"k{len(self.room)}"
        self.room[made] = value
        return made

    def same(self, expression: str, value: Any) -> None:
        """What the expression gives must be what it is now."""
        by_value = isinstance(value, _PLAIN) and not isinstance(value, (bool, type(None)))
        name = self.name(value)
        test = f"{expression} is {name}"
        self.tests.append(f"({test} or {expression} == {name})" if by_value else test)
        if isinstance(value, Module):
            self.flags(value)

    def flags(self, module: Module) -> None:
        """A net must stay as it is: its parameters and submodules, training or evaluation mode, whatever it keeps."""
        for part in module.modules():
            self.modules.setdefault(id(part), part)

    def tensor(self, expression: str, tensor: Variable) -> None:
        """A tensor's shape, strides and type must be as they are."""
        array = tensor._array
        self.tests.append(f"{expression}._array.shape == {array.shape!r}")
        if array.ndim:
            self.tests.append(f"{expression}._array.strides == {array.strides!r}")
        self.tests.append(f"{expression}._array.dtype is {self.name(array.dtype)}")

    def written(self) -> Callable[[Any], bool]:
        """The tests as a function of the call's arguments."""
        self.settle(self.room)
        exec(
            compile("def holds(args):\n    return " + " and ".join(self.tests), "<guards>", "exec"), self.room
        )
        holds: Callable[[Any], bool] = self.room["holds"]
        return holds

    def settle(self, room: dict[str, Any]) -> None:
        """Let `again`, for when something was set on some module, look whether it was one of these."""
        seen = [(part, _contents(part)) for part in self.modules.values()]

        def again() -> bool:
            for part, contents in seen:
                now = _contents(part)
                if now.keys() != contents.keys() or not all(
                    now[k] is v or (v.__class__ in _PLAIN and now[k].__class__ is v.__class__ and now[k] == v)
                    for k, v in contents.items()
                ):
                    return False
            room["known"] = modes.changes[0]
            return True

        room["again"] = again


def _contents(module: Module) -> dict[Any, Any]:
    """All that a module keeps, itself and by name."""
    own = vars(module)
    found: dict[Any, Any] = dict(own)
    for room in ("_parameters", "_buffers", "_modules"):
        found.update({(room, name): value for name, value in own[room].items()})
    return found


def arguments(found: Conditions, args: tuple[Any, ...]) -> None:
    """Tests of positional arguments: tensors and plain values. ValueError for others, which need a closer look."""
    found.tests.insert(0, f"len(args) == {len(args)}" if args else "not args")
    for number, value in enumerate(args):
        found.tests.append(f"args[{number}].__class__ is {found.name(value.__class__)}")
        if isinstance(value, Variable):
            found.tensor(f"args[{number}]", value)
            found.tests.append(f"args[{number}]._edge is {'not ' if value._edge is not None else ''}None")
        else:
            raise ValueError(number)


def conditions(
    function: Any, frames: dict[CodeType, tuple[dict[str, Any], Any]], tensors: list[Variable],
    sinks: list[tuple[Any, bool]], args: tuple[Any, ...] | None, shapes: bool = True,
) -> Conditions:  # fmt: skip
    """Tests whether everything is still as it was during the recording.

    frames: the functions that ran, with their globals and the object that they are methods of; sinks: leaves, and whether
    they had a gradient; args: tested, too, if given; shapes: of the tensors that were there before, too.
    """
    found = Conditions()
    if args is not None:
        arguments(found, args)
    for sink, has in sinks:
        found.tests.append(f"{found.name(sink)}.grad is {'not ' if has else ''}None")
    target = function.forward if isinstance(function, Module) else function
    plain = target.__func__ if isinstance(target, MethodType) else target
    if isinstance(plain, FunctionType):
        frames = {plain.__code__: (plain.__globals__, getattr(target, "__self__", None)), **frames}
        for cell in plain.__closure__ or ():
            if watched(cell.cell_contents):
                found.same(f"{found.name(cell)}.cell_contents", cell.cell_contents)
    for code, (names, owner) in frames.items():
        for name in code.co_names:
            if name in names and watched(names[name]):
                found.same(f"{found.name(names)}.get({name!r})", names[name])
            elif name in (own := vars_of(owner)) and watched(own[name]):
                found.same(f"{found.name(own)}.get({name!r})", own[name])
        if isinstance(owner, Module):
            found.flags(owner)
    for tensor in tensors:
        name = found.name(tensor)
        found.same(f"{name}._edge", tensor._edge)
        if shapes:
            found.tensor(name, tensor)
    return found


def of_text(text: str, name: str, room: dict[str, Any]) -> Callable[..., Any]:
    """The function of that name in a text, whose globals are `room`. The variables that the user's function shares with the
    one around it become shared with this one, too: to read them takes a tenth of the time of `cell_contents`."""
    cells = {n: v for n, v in room.items() if v.__class__ is CellType and f"{n}.cell_contents" in text}
    for cell in cells:
        text = re.sub(rf"\b{cell}\.cell_contents\b", cell, text)
    around = f"def around({', '.join(cells)}):\n{indent(text, '    ')}\n    return {name}\n"
    made: dict[str, Any] = {}
    exec(compile(around, "<fused>", "exec"), room, made)
    code = made["around"](*cells).__code__
    return FunctionType(code, room, name, None, tuple([cells[n] for n in code.co_freevars]))


def vars_of(owner: Any) -> dict[str, Any]:
    """The attributes of an object of the user's own kind."""
    return {} if owner is None or isinstance(owner, _KEPT) else getattr(owner, "__dict__", {})


__all__ = ["code_of", "conditions", "of_text", "rebound", "side_effect"]
