"""Optimizer: parameter groups, state, hooks. A rule defines `_start` (a parameter's state) and `_update` (one step)."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from clew.autograd.grad_mode import enable_grad
from clew.core.modes import recordings
from clew.core.node import RemovableHandle, user_place
from clew.core.variable import Variable, clear_gradient
from clew.dtypes import tensor_type_name
from clew.tensor import Tensor

StateDict = dict[str, Any]
ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
required = object()  # PyTorch's older mark of an argument without a default

_global_pre_hooks: dict[int, Callable[..., Any]] = OrderedDict()
_global_post_hooks: dict[int, Callable[..., Any]] = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` before every optimizer's step."""
    return RemovableHandle(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` after every optimizer's step."""
    return RemovableHandle(_global_post_hooks, hook)


def number(value: Any) -> Any:
    """A hyperparameter, which may be a 0-d tensor, as a number."""
    return value._array.item() if isinstance(value, Variable) else value


def scalar(value: Any) -> Any:
    """A hyperparameter as a number that keeps a tensor's precision in what is computed from it."""
    return value._array[()] if isinstance(value, Variable) else value


class Optimizer:
    """Base of all optimizers.

    params: tensors, (name, tensor) pairs, or dictionaries of them with options of their own ('params': …, 'lr': …).
    defaults: options of groups that do not set them.
    """

    _step_supports_closure = True

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._without_hooks()
        if isinstance(params, Variable):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + tensor_type_name(params._array.dtype)
            )
        self.state: Any = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _without_hooks(self) -> None:
        self._step_pre_hooks: dict[int, Any] = OrderedDict()
        self._step_post_hooks: dict[int, Any] = OrderedDict()
        self._state_dict_pre_hooks: dict[int, Any] = OrderedDict()
        self._state_dict_post_hooks: dict[int, Any] = OrderedDict()
        self._load_pre_hooks: dict[int, Any] = OrderedDict()
        self._load_post_hooks: dict[int, Any] = OrderedDict()
        self._bundles: dict[int, Any] = {}  # by group: parameters that a rule updates together

    # ---- groups --------------------------------------------------------------------------------------------------------
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own. A wrong group leaves the optimizer as it was."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Variable):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = list(params)
        if params and isinstance(params[0], tuple):
            group["param_names"] = [name for name, _ in params]
            params = [param for _, param in params]
        for param in params:
            if not isinstance(param, Variable):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {_type_name(param)}"
                )
            if not (
                self.defaults.get("differentiable") or param.is_leaf or getattr(param, "retains_grad", False)
            ):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            group.setdefault(name, default)
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in taken for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        group["params"] = params
        self.param_groups.append({"params": params, **{k: v for k, v in group.items() if k != "params"}})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients: to None, or to zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                clear_gradient(param, set_to_none)

    # ---- stepping --------------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient. `closure` computes the loss anew and returns it."""
        if type(self) is Optimizer:
            raise NotImplementedError
        if recordings:
            return recordings[-1].optimize(self, closure)
        hooked = _global_pre_hooks or _global_post_hooks or self._step_pre_hooks or self._step_post_hooks
        if hooked:
            return self._hooked_step(closure)
        return self._step(closure)

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        place = user_place(3)
        for group in self.param_groups:
            self._step_group(group, place)
        return loss

    def _hooked_step(self, closure: Callable[[], Any] | None) -> Any:
        args: tuple[Any, ...] = (self,) if closure is None else (self, closure)
        kwargs: dict[str, Any] = {}
        for hook in (*_global_pre_hooks.values(), *self._step_pre_hooks.values()):
            result = hook(self, args, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{type(self).step} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                args, kwargs = result
        loss = self._step(*args[1:], **kwargs) if len(args) > 1 or kwargs else self._step(None)
        for hook in (*self._step_post_hooks.values(), *_global_post_hooks.values()):
            hook(self, args, kwargs)
        return loss

    def _step_group(self, group: dict[str, Any], place: Any) -> None:
        """Update the parameters of one group."""
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            state = self.state[param]
            if not state:
                self._start(param, group, state)
            array = param.memory()
            self._update(array, grad._array, state, group)
            version = param.version()
            version.n += 1
            version.where = place

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Fill a parameter's state before its first update."""
        raise NotImplementedError

    def _update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One update of one parameter, on raw arrays, in place."""
        raise NotImplementedError

    # ---- hooks ---------------------------------------------------------------------------------------------------------
    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` before each step."""
        return RemovableHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(optimizer)` before `state_dict`."""
        return RemovableHandle(self._state_dict_pre_hooks, hook, first=prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(optimizer, state_dict)` after `state_dict`."""
        return RemovableHandle(self._state_dict_post_hooks, hook, first=prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(optimizer, state_dict)` before loading."""
        return RemovableHandle(self._load_pre_hooks, hook, first=prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(optimizer)` after loading."""
        return RemovableHandle(self._load_post_hooks, hook, first=prepend)

    # ---- saving --------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """State and groups with parameters as numbers: what a checkpoint keeps."""
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(id(param), len(numbers))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, Variable) else k: v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take state and groups back; ValueError where the groups differ. State takes its parameter's type."""
        state_dict = dict(state_dict)
        for hook in self._load_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        saved = copy.deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(s["params"]) != len(g["params"]) for s, g in zip(saved, self.param_groups, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        by_number = {
            n: p
            for s, g in zip(saved, self.param_groups, strict=True)
            for n, p in zip(s["params"], g["params"], strict=True)
        }
        state: Any = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = _taken(by_number[key], value)
            else:
                state[key] = value
        groups = []
        for new, old in zip(saved, self.param_groups, strict=True):
            if "param_names" in old and "param_names" not in new:
                new["param_names"] = old["param_names"]
            new["params"] = old["params"]
            groups.append(new)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._load_post_hooks.values():
            hook(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_step_pre_hooks" not in self.__dict__:
            self._without_hooks()
        self.__dict__.update(state)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __repr__(self) -> str:
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"] if i else [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _taken(param: Any, value: Any, key: str | None = None) -> Any:
    """A parameter's saved state as state of that parameter: copied, floats in its type (but for step counts)."""
    if isinstance(value, Tensor):
        if key != "step" and param.is_floating_point() and value.is_floating_point():
            value = value.to(dtype=param.dtype)
        return value.clone()
    if isinstance(value, dict):
        return {k: _taken(param, v, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        make: Any = type(value)
        return make(_taken(param, v) for v in value)
    return value


def _type_name(value: Any) -> str:
    return type(value).__name__


def check_not_recorded(optimizer: Optimizer) -> None:
    """The update rules work on raw arrays: a recorded update is refused."""
    if optimizer.defaults.get("differentiable"):
        raise NotImplementedError(
            "differentiable=True is not supported: write the update with tensor operations instead"
        )


__all__ = [
    "Optimizer",
    "ParamsT",
    "StateDict",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "required",
]
