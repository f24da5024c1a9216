"""Calling a module that has hooks: its own, or global ones."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any

from clew.core.modes import recordings
from clew.core.node import RemovableHandle
from clew.core.variable import Variable


class _GlobalHooks:
    """Hooks on every module of the process."""

    def __init__(self) -> None:
        self.exist = False
        self.forward_pre: dict[int, Any] = OrderedDict()
        self.forward: dict[int, Any] = OrderedDict()
        self.backward_pre: dict[int, Any] = OrderedDict()
        self.backward: dict[int, Any] = OrderedDict()
        self.buffers: dict[int, Any] = OrderedDict()
        self.modules: dict[int, Any] = OrderedDict()
        self.parameters: dict[int, Any] = OrderedDict()

    def any_on_calls(self) -> bool:
        return bool(self.forward_pre or self.forward or self.backward_pre or self.backward)

    def registering_parameter(self, module: Any, name: str, value: Any) -> None:
        for hook in self.parameters.values():
            hook(module, name, value)

    def registering_buffer(self, module: Any, name: str, value: Any) -> None:
        for hook in self.buffers.values():
            hook(module, name, value)

    def registering_module(self, module: Any, name: str, value: Any) -> None:
        for hook in self.modules.values():
            hook(module, name, value)


global_hooks = _GlobalHooks()


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(module, args)` before every module's forward."""
    global_hooks.exist = True
    return RemovableHandle(global_hooks.forward_pre, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`hook(module, args, output)` after every module's forward."""
    global_hooks.exist = True
    return RemovableHandle(global_hooks.forward, hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(module, grad_output)` before every module's backward."""
    global_hooks.exist = True
    return RemovableHandle(global_hooks.backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(module, grad_input, grad_output)` after every module's backward."""
    global_hooks.exist = True
    return RemovableHandle(global_hooks.backward, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(module, name, parameter)` whenever a module registers a parameter."""
    return RemovableHandle(global_hooks.parameters, hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(module, name, buffer)` whenever a module registers a buffer."""
    return RemovableHandle(global_hooks.buffers, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`hook(module, name, submodule)` whenever a module registers a submodule."""
    return RemovableHandle(global_hooks.modules, hook)


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`forward` with everything that hangs on it."""
    if not _any_hook_left(module):
        return module.forward(*args, **kwargs)
    if recordings:
        recordings[-1].fail("calls a module that has hooks")
    for hook in (*global_hooks.forward_pre.values(), *module._forward_pre_hooks.values()):
        args, kwargs = _before(module, hook, args, kwargs)
    backward = (*global_hooks.backward.values(), *module._backward_hooks.values())
    backward_pre = (*global_hooks.backward_pre.values(), *module._backward_pre_hooks.values())
    watch = BackwardHooks(module, backward, backward_pre) if backward or backward_pre else None
    if watch is not None:
        args = watch.on_inputs(args)
    done = False
    try:
        result = module.forward(*args, **kwargs)
        done = True
    finally:
        if not done:
            for hook in module._forward_hooks.values():
                if hook.always_call:
                    _after(module, hook, args, kwargs, None)
    for hook in (*global_hooks.forward.values(), *module._forward_hooks.values()):
        result = _after(module, hook, args, kwargs, result)
    return watch.on_outputs(result) if watch is not None else result


def _any_hook_left(module: Any) -> bool:
    """Whether the call has a hook at all: once the last is removed, calls are direct again."""
    global_hooks.exist = global_hooks.any_on_calls()
    forward = module._forward_pre_hooks or module._forward_hooks
    if not (forward or module._backward_hooks or module._backward_pre_hooks):
        module.__dict__.pop("_hooked", None)
    return module._hooked or global_hooks.exist


def _before(
    module: Any, hook: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    function = getattr(hook, "function", hook)
    if getattr(hook, "with_kwargs", False):
        result = function(module, args, kwargs)
        if result is None:
            return args, kwargs
        if not (isinstance(result, tuple) and len(result) == 2):
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
            )
        return result
    result = function(module, args)
    if result is None:
        return args, kwargs
    return (result if isinstance(result, tuple) else (result,)), kwargs


def _after(module: Any, hook: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    function = getattr(hook, "function", hook)
    new = (
        function(module, args, kwargs, result)
        if getattr(hook, "with_kwargs", False)
        else function(module, args, result)
    )
    return result if new is None else new


NO_INPUT_GRADIENTS = (
    "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require "
    "gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module."
    "register_full_backward_hook for more details."
)


def _replacing(result: Any, count: int, hook: str, what: str) -> tuple[Any, ...]:
    """The gradients a hook returned, as many as there were."""
    new = result if isinstance(result, tuple) else (result,)
    if len(new) != count:
        raise RuntimeError(
            f"Backward {hook} returned an invalid number of {what}, got {len(new)}, but expected {count}"
        )
    return new


class BackwardHooks:
    """Full backward hooks of one call: an identity node around the inputs and one around the outputs catch the gradients."""

    def __init__(self, module: Any, hooks: tuple[Any, ...], pre_hooks: tuple[Any, ...]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_outputs: tuple[Any, ...] | None = None
        self.inputs = 0
        self.caught = False

    def on_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Pass the arguments through a node whose hook has the gradients of the inputs."""
        tensors = [i for i, a in enumerate(args) if isinstance(a, Variable)]
        self.inputs = len(args)
        if not self.hooks or not any(args[i].requires_grad for i in tensors):
            return args
        passed, node = _identity(tuple(args[i] for i in tensors))

        def done(grad_inputs: tuple[Any, ...], _: tuple[Any, ...]) -> Any:
            places: list[Any] = [None] * len(args)
            for i, g in zip(tensors, grad_inputs, strict=False):
                places[i] = args[i].new_zeros(args[i].shape) if g is None else g
            result = self._finish(tuple(places))
            return None if result is None else tuple(result[i] for i in tensors)

        node.register_hook(done)
        self.caught = True
        new = list(args)
        for i, tensor in zip(tensors, passed, strict=True):
            new[i] = tensor
        return tuple(new)

    def _finish(self, grad_inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        changed = None
        for hook in self.hooks:
            result = hook(self.module, grad_inputs, self.grad_outputs)
            if result is not None:
                grad_inputs = changed = _replacing(result, len(grad_inputs), "hook", "grad_input")
        self.grad_outputs = None
        return changed

    def on_outputs(self, result: Any) -> Any:
        """Pass the outputs through a node whose pre-hook has their gradients."""
        single = isinstance(result, Variable)
        outputs = (result,) if single else tuple(result) if isinstance(result, (tuple, list)) else ()
        tensors = [i for i, o in enumerate(outputs) if isinstance(o, Variable)]
        if not any(outputs[i].requires_grad for i in tensors):
            return result
        passed, node = _identity(tuple(outputs[i] for i in tensors))

        def arrived(grads: tuple[Any, ...]) -> Any:
            places: list[Any] = [None] * len(outputs)
            for i, g in zip(tensors, grads, strict=True):
                places[i] = g
            for hook in self.pre_hooks:
                changed = hook(self.module, tuple(places))
                if changed is not None:
                    places = list(_replacing(changed, len(places), "pre hook", "grad_output"))
            self.grad_outputs = tuple(places)
            if self.hooks and not self.caught:  # no input wants a gradient: nothing else will call the hooks
                warnings.warn(NO_INPUT_GRADIENTS, stacklevel=2)
                self._finish((None,) * self.inputs)
            return tuple(places[i] for i in tensors)

        node.register_prehook(arrived)
        new = list(outputs)
        for i, tensor in zip(tensors, passed, strict=True):
            new[i] = tensor
        return new[0] if single else type(result)(new)


@cache
def _identity_function() -> Any:
    from clew.autograd.function import Function

    class BackwardHookFunction(Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            ctx.mark_non_differentiable(*[a for a in args if not a.requires_grad])
            return args

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads

    return BackwardHookFunction


def _identity(tensors: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
    """The tensors passed through one node that does nothing."""
    passed = _identity_function().apply(*tensors)
    node = next(t.grad_fn for t in passed if t.requires_grad)
    return passed, node
