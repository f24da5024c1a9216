"""Where the doctor listens: methods replaced while it watches, and put back afterwards.

Off, nothing of this exists: the engine, Tensor, Module and Optimizer are as they were. Each replacement first asks
whether the call came from the program itself (clew calls `detach` and others on its own account, too).
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

import clew
from clew import compiler
from clew.core.engine import Walk
from clew.core.modes import is_grad_enabled, observers
from clew.core.node import AccumulateGrad, internal, user_place
from clew.core.variable import NON_LEAF_GRAD, Variable
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.optim.optimizer import Optimizer
from clew.tensor import Tensor

if TYPE_CHECKING:
    from clew.doctor.watch import Watch

_getframe = sys._getframe
_MISSING = object()

# What makes a value without history of one that has it. (`round`, `sign` … keep theirs: their gradients are zero.)
CUTS = ("item", "tolist", "argmax", "argmin", "long", "int", "short", "bool", "byte", "__gt__", "__lt__", "__ge__", "__le__",
        "__eq__", "__ne__", "argsort", "__float__", "__int__", "__bool__")  # fmt: skip
SOURCES = ("tensor", "as_tensor", "from_numpy")


class Taps:
    """All replacements of one watch."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.undo: list[tuple[Any, str, Any]] = []
        self.thread = get_ident()
        self.depth = 0  # calls of modules within each other
        self.walking = 0
        self.on = False

    # ---- replacing -----------------------------------------------------------------------------------------------------
    def replace(self, owner: Any, name: str, value: Any) -> None:
        self.undo.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def install(self) -> None:
        self.on = True
        observers.append(self.watch.on_operation)
        self._tap_walks()
        self._tap_tensors()
        self._tap_modules()
        self.replace(compiler, "compile", functools.partial(compiler.compile, disable=True))
        for heir in _heirs(Optimizer):
            self._tap_optimizer(heir)
        init = Optimizer.__init__

        def started(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            init(optimizer, *args, **kwargs)
            if self.heard():
                for kind in type(optimizer).__mro__:
                    if issubclass(kind, Optimizer) and not hasattr(vars(kind).get("step"), "_doctor"):
                        self._tap_optimizer(kind)
                self.watch.on_optimizer(optimizer, user_place(2))

        self.replace(Optimizer, "__init__", functools.wraps(init)(started))

    def remove(self) -> None:
        self.on = False
        observers.remove(self.watch.on_operation)
        while self.undo:
            owner, name, value = self.undo.pop()
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

    def heard(self) -> bool:
        """Whether this call is to be noted: the doctor is on, and it is the thread that it watches."""
        return self.on and get_ident() == self.thread

    # ---- the engine ----------------------------------------------------------------------------------------------------
    def _tap_walks(self) -> None:
        run, watch = Walk.run, self.watch

        def tapped(walk: Any, roots: Any, place: Any) -> None:
            if not self.heard():
                run(walk, roots, place)
                return
            nested = self.walking > 0
            self.walking += 1
            try:
                event = watch.before_walk(walk, roots, place, nested)
                run(walk, roots, place)
            finally:
                self.walking -= 1
            watch.after_walk(event, nested)

        self.replace(Walk, "run", tapped)

    # ---- tensors -------------------------------------------------------------------------------------------------------
    def _tap_tensors(self) -> None:
        watch = self.watch
        detach, data, grad = Tensor.detach, vars(Tensor)["data"], vars(Variable)["grad"]

        def detached(tensor: Any) -> Any:
            result = detach(tensor)
            if self._from_program():
                watch.on_cut("detach", tensor, result, user_place(2))
            return result

        def get_data(tensor: Any) -> Any:
            result = data.fget(tensor)
            if self._from_program():
                place = user_place(2)
                watch.tell("exposed", tensor, place, ".data")
                watch.on_cut("data", tensor, result, place)
            return result

        def set_data(tensor: Any, value: Any) -> None:
            if self._from_program():
                watch.tell("exposed", tensor, user_place(2), ".data")
            data.fset(tensor, value)

        def get_grad(tensor: Any) -> Any:
            if not self._from_program():
                return grad.fget(tensor)
            meta = tensor._meta
            if meta is None:
                edge = tensor.edge()
                if edge is not None and edge[0].__class__ is not AccumulateGrad:
                    warnings.warn(NON_LEAF_GRAD, UserWarning, stacklevel=2)
            value = None if meta is None else meta.grad
            watch.on_grad_read(tensor, value, user_place(2))
            return value

        def set_grad(tensor: Any, value: Any) -> None:
            grad.fset(tensor, value)
            if self._from_program():
                watch.tell("grad_set", tensor, value, user_place(2))

        self.replace(Tensor, "detach", functools.wraps(detach)(detached))
        self.replace(Tensor, "data", property(get_data, set_data, doc=data.__doc__))
        self.replace(Tensor, "grad", property(get_grad, set_grad, grad.fdel, doc=grad.__doc__))
        for name in ("numpy", "__array__"):
            self._tap_exposure(name)
        for name in CUTS:
            self._tap_cut(Tensor, name)
            if inspect.isroutine(vars(clew).get(name)):  # not `torch.long`, a dtype
                self._tap_cut(clew, name)
        for name in SOURCES:
            self._tap_source(name)

    def _from_program(self) -> bool:
        return self.on and not internal[_getframe(2).f_code.co_filename] and get_ident() == self.thread

    def _tap_exposure(self, name: str) -> None:
        method = getattr(Tensor, name)

        def tapped(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            made = method(tensor, *args, **kwargs)
            if self.heard():
                self.watch.tell("exposed", tensor, user_place(2), ".numpy()")
                self.watch.on_cut("numpy", tensor, made, user_place(2))
            return made

        self.replace(Tensor, name, functools.wraps(method)(tapped))

    def _tap_cut(self, owner: Any, name: str) -> None:
        method = getattr(owner, name)
        kind = name.strip("_")

        def tapped(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            made = method(tensor, *args, **kwargs)
            if (
                isinstance(tensor, Variable)
                and (tensor._edge is not None or tensor._view is not None)
                and self._from_program()
            ):
                self.watch.on_cut(kind, tensor, made, user_place(2))
            return made

        self.replace(owner, name, _like(method, tapped))

    def _tap_source(self, name: str) -> None:
        function = getattr(clew, name)

        def tapped(value: Any = None, *args: Any, **kwargs: Any) -> Any:
            made = function(value, *args, **kwargs)
            if self._from_program():
                self.watch.on_source(name, value, made, user_place(2))
            return made

        self.replace(clew, name, _like(function, tapped))

    # ---- modules -------------------------------------------------------------------------------------------------------
    def _tap_modules(self) -> None:
        watch = self.watch
        call, train, clear = Module.__call__, Module.train, Module.zero_grad

        def called(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self.heard() and not is_grad_enabled():
                watch.on_unrecorded(module)
            if self.depth or not self.heard():
                return call(module, *args, **kwargs)
            self.depth += 1
            try:
                output = call(module, *args, **kwargs)
            finally:
                self.depth -= 1
            watch.on_call(module, (*args, *kwargs.values()), output, user_place(2), is_grad_enabled())
            return output

        def trained(module: Any, mode: bool = True) -> Any:
            caller = _getframe(1).f_code
            outer = caller.co_name not in ("train", "trained") or not internal[caller.co_filename]
            train(module, mode)
            if outer and self.heard():
                watch.tell("mode", module, mode, user_place(2))
            return module

        def cleared(module: Any, *args: Any, **kwargs: Any) -> None:
            clear(module, *args, **kwargs)
            if self.heard():
                watch.tell("cleared", list(module.parameters()), user_place(2))

        put = Module.__setattr__

        def attribute_set(module: Any, name: str, value: Any) -> None:
            old = None
            if self.on and isinstance(value, Parameter | Module):
                state = vars(module)
                old = state.get("_parameters", {}).get(name, state.get("_modules", {}).get(name))
            put(module, name, value)
            if old is not None and old is not value and self.heard():
                watch.tell("replaced", module, name, old, value, user_place(2))

        self.replace(Module, "__setattr__", attribute_set)
        self.replace(Module, "__call__", functools.wraps(call)(called))
        self.replace(Module, "train", functools.wraps(train)(trained))
        self.replace(Module, "zero_grad", functools.wraps(clear)(cleared))

    # ---- optimizers ----------------------------------------------------------------------------------------------------
    def _tap_optimizer(self, kind: type[Any]) -> None:
        """The step and the zero_grad that a class itself defines."""
        watch = self.watch
        step, clear = vars(kind).get("step"), vars(kind).get("zero_grad")
        if callable(step):

            def stepped(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
                if not self.heard() or watch.stepping:
                    return step(optimizer, *args, **kwargs)
                place = user_place(2)
                closure = bool(args and args[0] is not None) or kwargs.get("closure") is not None
                watch.before_step(optimizer, place, closure)
                try:
                    made = step(optimizer, *args, **kwargs)
                finally:
                    watch.stepping = False
                watch.after_step(optimizer, place)
                return made

            wrapper: Any = functools.wraps(step)(stepped)
            wrapper._doctor = True
            self.replace(kind, "step", wrapper)
        if callable(clear):

            def cleared(optimizer: Any, *args: Any, **kwargs: Any) -> None:
                clear(optimizer, *args, **kwargs)
                if self.heard():
                    params = [p for group in optimizer.param_groups for p in group["params"]]
                    watch.tell("cleared", params, user_place(2))

            self.replace(kind, "zero_grad", functools.wraps(clear)(cleared))


def _like(function: Any, tapped: Callable[..., Any]) -> Callable[..., Any]:
    """Name and text of the original, where it has them (some are objects with a `__call__`)."""
    try:
        return functools.wraps(function)(tapped)
    except (AttributeError, TypeError):
        return tapped


def _heirs(kind: type[Any]) -> list[type[Any]]:
    """A class and all that inherit from it."""
    found: list[type[Any]] = [kind]
    for heir in kind.__subclasses__():
        found += _heirs(heir)
    return list(dict.fromkeys(found))
