"""Module: parameters, buffers and submodules under names, and a `forward`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from clew.core.modes import changes
from clew.core.node import RemovableHandle
from clew.core.variable import Variable, clear_gradient
from clew.dtypes import tensor_type_name
from clew.nn.hooks import call_with_hooks, global_hooks
from clew.nn.parameter import Buffer, Parameter
from clew.nn.state import StateDict
from clew.tensor import Tensor

M = TypeVar("M", bound="Module")


class Module(StateDict):
    """Base of all neural network modules: assign parameters and submodules as attributes, define `forward`."""

    training: bool
    call_super_init = False
    _hooked = False  # whether a hook may hang on the module: calls of others are direct

    _HOOKS = (
        "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks",
        "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            kind = f"unexpected keyword argument '{next(iter(kwargs))}'" if kwargs else None
            raise TypeError(
                f"{type(self).__name__}.__init__() got an {kind}"
                if kind
                else f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        state = self.__dict__
        state["training"] = True
        state["_parameters"] = {}
        state["_buffers"] = {}
        state["_modules"] = {}
        state["_non_persistent_buffers_set"] = set()
        for name in self._HOOKS:
            state[name] = OrderedDict()

    def forward(self, *input: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked or global_hooks.exist:
            return call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    # ---- attributes --------------------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        changes[0] += 1
        state = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in state:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, but="_parameters")
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            if "_modules" not in state:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, but="_modules")
            global_hooks.registering_module(self, name, value)
            state["_modules"][name] = value
            return
        if isinstance(value, Buffer):
            self._forget(name, but="_buffers")
            self.register_buffer(name, value, value.persistent)
            return
        if name in state.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            state["_parameters"][name] = None
        elif name in state.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            state["_modules"][name] = None
        elif name in state.get("_buffers", ()):
            if value is not None and not isinstance(value, Variable):
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)"
                )
            state["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name: str, but: str) -> None:
        """Free a name from whatever holds it, but for one table, where it keeps its place."""
        state = self.__dict__
        state.pop(name, None)
        for table in ("_buffers", "_modules", "_parameters"):
            if table != but:
                state.get(table, {}).pop(name, None)
        state.get("_non_persistent_buffers_set", set()).discard(name)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        for holder in ("_parameters", "_buffers", "_modules"):
            if holder in state and name in state[holder]:
                return state[holder][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        changes[0] += 1
        for holder in (self._parameters, self._buffers, self._modules):
            if name in holder:
                del holder[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in self._HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
            self.__dict__["_hooked"] = True
        self.__dict__.setdefault("_non_persistent_buffers_set", set())

    # ---- registration ------------------------------------------------------------------------------------------------
    def _check_name(self, kind: str, name: Any, taken: Mapping[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in taken:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name."""
        self._check_name("parameter", name, self.__dict__.get("_parameters", {}))
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_type_name(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                    f"express '{name}' as a function of another Tensor, compute the value in the forward() method."
                )
        global_hooks.registering_parameter(self, name, param)
        self._parameters[name] = param
        changes[0] += 1

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Add a buffer: state that is saved (if `persistent`) and moves with the module but is no parameter."""
        self._check_name("buffer", name, self.__dict__.get("_buffers", {}))
        if tensor is not None and not isinstance(tensor, Variable):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        global_hooks.registering_buffer(self, name, tensor)
        self._buffers[name] = tensor
        changes[0] += 1
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_name("module", name, self.__dict__.get("_modules", {}))
        global_hooks.registering_module(self, name, module)
        self._modules[name] = module
        changes[0] += 1

    register_module = add_module

    # ---- walking -----------------------------------------------------------------------------------------------------
    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(
                    memo, f"{prefix}.{name}" if prefix else name, remove_duplicate
                )

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules, each once, with their names."""
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        members: Callable[[Module], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, value in members(module):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters."""
        for _, value in self.named_parameters(recurse=recurse):
            yield value

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, value in self.named_buffers(recurse=recurse):
            yield value

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; AttributeError where there is none."""
        module: Module = self
        for name in filter(None, target.split(".")):
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def _get(self, target: str, kind: str, holder: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in getattr(module, holder):
            raise AttributeError(f"`{name}` is not {kind}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._get(target, "an nn.Parameter", "_parameters")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        return self._get(target, "a buffer", "_buffers")

    # ---- changing ------------------------------------------------------------------------------------------------------
    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on every submodule, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: M, fn: Callable[[Any], Any], recurse: bool = True) -> M:
        """Replace every parameter, gradient and buffer by what `fn` makes of it, in place."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for param in self._parameters.values():
            if param is None:
                continue
            new = fn(param.data)
            if new is not param.data:
                param.data = new
            if param.grad is not None:
                grad = fn(param.grad.data)
                param.grad = None
                param.grad = grad
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Move or convert parameters and buffers in place; only floating ones change their type."""
        from clew.dtypes import dtype

        wanted = [a for a in (*args, kwargs.get("dtype")) if isinstance(a, dtype)]
        if wanted and not (wanted[0].is_floating_point or wanted[0].is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={wanted[0]}"
            )

        def convert(tensor: Any) -> Any:
            if wanted and not (tensor.is_floating_point() or tensor.is_complex()):
                others = [a for a in args if not isinstance(a, dtype)]
                return tensor.to(*others) if others else tensor
            return tensor.to(*args, **kwargs)

        return self._apply(convert)

    def _floating(self: M, method: str) -> M:
        return self._apply(lambda t: getattr(t, method)() if t.is_floating_point() else t)

    def float(self: M) -> M:
        """All floating parameters and buffers to float32."""
        return self._floating("float")

    def double(self: M) -> M:
        """All floating parameters and buffers to float64."""
        return self._floating("double")

    def half(self: M) -> M:
        """All floating parameters and buffers to float16."""
        return self._floating("half")

    def bfloat16(self: M) -> M:
        """All floating parameters and buffers to bfloat16."""
        return self._floating("bfloat16")

    def type(self: M, dst_type: Any) -> M:
        """All parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self: M) -> M:
        """The module itself: everything lives on the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self: M, device: Any = None) -> M:
        """AssertionError: there is no GPU."""
        return self._apply(lambda t: t.cuda(device))

    def train(self: M, mode: bool = True) -> M:
        """Set training mode here and below (dropout and batch norm behave differently in it)."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze or unfreeze all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters."""
        for param in self.parameters():
            clear_gradient(param, set_to_none)

    def share_memory(self: M) -> M:
        """Parameters and buffers moved into memory that processes forked from now on share with this one."""
        return self._apply(lambda t: t.share_memory_())

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """Parameters and buffers of the same shapes, without their values."""
        from clew.ops.create import empty_like

        return self._apply(lambda t: empty_like(t, device=device), recurse)

    # ---- hooks ---------------------------------------------------------------------------------------------------------
    def _hook(self, table: str, hook: Any, prepend: bool = False) -> RemovableHandle:
        self._hooked = True
        return RemovableHandle(getattr(self, table), hook, first=prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """`hook(module, args)` runs before `forward`; what it returns replaces the arguments."""
        return self._hook("_forward_pre_hooks", _Hook(hook, with_kwargs=with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """`hook(module, args, output)` runs after `forward`; what it returns replaces the output."""
        return self._hook(
            "_forward_hooks", _Hook(hook, with_kwargs=with_kwargs, always_call=always_call), prepend
        )

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(module, grad_output)` runs before the module's gradients are computed."""
        return self._hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_input, grad_output)` runs when the gradients of the module's inputs are there."""
        return self._hook("_backward_hooks", hook, prepend)

    register_backward_hook = register_full_backward_hook

    # ---- showing -------------------------------------------------------------------------------------------------------
    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """The text between the parentheses of `repr`; subclasses say what matters about them."""
        return ""

    def __repr__(self) -> str:
        extra = [line for line in (self.extra_repr().split("\n")) if line]
        children = [f"({name}): " + _indent(repr(module)) for name, module in self._modules.items()]
        lines = [*extra, *children]
        if len(extra) == 1 and not children:
            return f"{self._get_name()}({extra[0]})"
        if not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Accepted for compatibility with programs; the module runs eagerly."""


class _Hook:
    """A forward hook and how it wants to be called."""

    __slots__ = ("always_call", "function", "with_kwargs")

    def __init__(
        self, function: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
    ) -> None:
        self.function = function
        self.with_kwargs = with_kwargs
        self.always_call = always_call


def _type_name(value: Any) -> str:
    if isinstance(value, Variable):
        return tensor_type_name(value._array.dtype)
    cls = type(value)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")


__all__ = ["Module"]
