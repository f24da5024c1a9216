"""Parameters as functions of others: `module.weight` becomes what modules compute from `original`.

A module with parametrisations is of a class of its own, in which their names are properties.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from clew.autograd.grad_mode import no_grad
from clew.core.variable import Variable
from clew.nn.containers import ModuleDict, ModuleList
from clew.nn.module import Module
from clew.nn.parameter import Parameter

PICKLED = (
    "Serialization of parametrized modules is only supported through state_dict(). See:\n"
    "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
    "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
)


class _Cache:
    """What was computed inside `cached()`, by module and name."""

    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[tuple[int, str], Any] = {}


_cache = _Cache()


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrised tensor once only, for as long as the block lasts."""
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.values = {}


def _register(module: Any, name: str, value: Any) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _changed(what: str, before: str, old: Any, after: str, new: Any, flag: str) -> ValueError:
    return ValueError(
        f"Registering a parametrization may not change the {what} of the tensor, unless {flag} flag is enabled.\n"
        f"{before}: {old}\n{after}: {new}"
    )


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, first applied first, and what they start from: `original`, or `original0` …

    original is what the `right_inverse`s make of the tensor. ValueError where the result has another type or shape (unless
    `unsafe`).
    """

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new: Any = self._inverted(original)
        if not isinstance(new, (Variable, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Variable)
        self.ntensors = 1 if self.is_tensor else len(new)
        if isinstance(new, Variable):
            if original.dtype != new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            if new is not original:
                original.data = new.detach()
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                self._register_part(i, part, original)
        if not unsafe:
            value = self()
            if not isinstance(value, Variable):
                raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
            for what, old, have in (("dtype", dtype, value.dtype), ("shape", shape, value.shape)):
                if old != have:
                    raise _changed(
                        what, f"unparametrized {what}", old, f"parametrized {what}", have, "`unsafe`"
                    )

    def _inverted(self, value: Any) -> Any:
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        value = module.right_inverse(value)
                    except NotImplementedError:
                        pass
        return value

    def _register_part(self, i: int, part: Any, original: Any) -> None:
        if not isinstance(part, Variable):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got element {i} of the sequence with type {type(part).__name__}."
            )
        if isinstance(original, Parameter):
            part = Parameter(part, original.requires_grad)
        part.requires_grad_(original.requires_grad)
        _register(self, f"original{i}", part)

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the parametrised tensor becomes `value`, as far as its rules can say how."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Variable):
                    raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
                self._set("original", value, "The tensor returned by `right_inverse`")
                return
            if not isinstance(value, Sequence):
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}."
                )
            if len(value) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. "
                    f"Got a sequence of length {len(value)}."
                )
            for i, part in enumerate(value):
                if not isinstance(part, Variable):
                    raise ValueError(
                        f"`right_inverse` must return a sequence of tensors. Got element {i} of type {type(part).__name__}"
                    )
                self._set(f"original{i}", part, f"Tensor {i} returned by `right_inverse`")

    def _set(self, name: str, value: Any, what: str) -> None:
        original = getattr(self, name)
        if original.dtype != value.dtype:
            raise ValueError(f"{what} has dtype {value.dtype} while `{name}` has dtype {original.dtype}")
        original.data = value.detach()

    def forward(self) -> Any:
        """The parametrised tensor."""
        rules = iter(self)
        first = next(rules)
        if self.is_tensor:
            value = first(self.original)
        else:
            value = first(*[getattr(self, f"original{i}") for i in range(self.ntensors)])
        for rule in rules:
            value = rule(value)
        return value


def _own_class(module: Any) -> None:
    """Give a module a class of its own, for the properties."""
    cls = type(module)

    def getstate(self: Any) -> Any:
        raise RuntimeError(PICKLED)

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        made = memo.get(id(self))
        if made is None:
            made = memo[id(self)] = self.__new__(type(self))
            made.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return made

    members: dict[str, Any] = {"__getstate__": getstate, "__module__": "torch.nn.utils.parametrize"}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _property(name: str) -> property:
    def get(self: Any) -> Any:
        if not _cache.depth:
            return self.parametrizations[name]()
        key = id(self), name
        value = _cache.values.get(key)
        if value is None:
            value = _cache.values[key] = self.parametrizations[name]()
        return value

    def put(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _check_addition(module: Any, name: str, rule: Any) -> None:
    """ValueError where one more rule would change type or shape."""
    before = getattr(module, name)
    after = rule(before)
    if not isinstance(after, Variable):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
    for what in ("dtype", "shape"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            raise _changed(
                what,
                f"module.{name}.{what}",
                old,
                f"parametrization(module.{name}).{what}",
                new,
                "the `unsafe`",
            )
    if not hasattr(rule, "right_inverse"):
        return
    try:
        back = rule.right_inverse(after)
    except NotImplementedError:
        return
    if not isinstance(back, Variable):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}")
    for what in ("dtype", "shape"):
        old, new = getattr(before, what), getattr(back, what)
        if old != new:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, unless "
                f"the `unsafe` flag is enabled.\nmodule.{name}.{what}: {old}\nreturned {what}: {new}"
            )


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make `module.<tensor_name>` what `parametrization` computes of it. unsafe: its type and shape may change.

    `right_inverse` of the parametrisation, if it has one, says what the computation starts from. ValueError for names that
    are neither parameters nor buffers.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        rules: Any = module.parametrizations[tensor_name]
        if not unsafe:
            _check_addition(module, tensor_name, parametrization)
        rules.append(parametrization)
        rules.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        rules = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _own_class(module)
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        module.parametrizations[tensor_name] = rules
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module, or one tensor of it, is parametrised."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return bool(len(found)) if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make it a tensor again: with its present value, or (leave_parametrized False) that of `original`."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    every: Any = module.parametrizations
    rules = every[tensor_name]
    if rules.is_tensor:
        original = rules.original
        if leave_parametrized:
            with no_grad():
                value = getattr(module, tensor_name)
            if value is not original:
                original.data = value.detach()
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence "
            "of tensors."
        )
    delattr(type(module), tensor_name)
    del every[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class of a module, parametrised or not."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrise another module in the same way, from the same originals."""
    if not is_parametrized(from_module):
        return to_module
    every: Any = from_module.parametrizations
    for name in list(every) if tensor_name is None else [tensor_name]:
        rules = every[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for rule in rules:
            register_parametrization(to_module, name, rule)
        target: Any = to_module.parametrizations[name]
        for part in ["original"] if rules.is_tensor else [f"original{i}" for i in range(rules.ntensors)]:
            setattr(target, part, getattr(rules, part))
    return to_module


__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip
