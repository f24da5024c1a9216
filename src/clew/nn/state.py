"""`state_dict` and `load_state_dict`: a module's parameters and buffers as a flat dictionary, and back."""

from __future__ import annotations

import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from clew.autograd.grad_mode import no_grad
from clew.core.node import RemovableHandle
from clew.core.variable import Variable

IncompatibleKeys = namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])
EXTRA = "_extra_state"


class _IncompatibleKeys(IncompatibleKeys):
    __slots__ = ()

    def __repr__(self) -> str:
        return (
            "<All keys matched successfully>"
            if not self.missing_keys and not self.unexpected_keys
            else super().__repr__()
        )

    __str__ = __repr__


class _Loading(threading.local):
    """The writes of the `load_state_dict` under way, made only once everything has been found right."""

    def __init__(self) -> None:
        self.writes: list[Callable[[], Any]] = []


_loading = _Loading()


class StateDict:
    """The part of Module that saves and loads."""

    _version = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    def get_extra_state(self) -> Any:
        """More to save than parameters and buffers; subclasses define it."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """What `get_extra_state` gave, to be taken back."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    def _has_extra(self, method: str = "get_extra_state") -> bool:
        return getattr(type(self), method) is not getattr(StateDict, method)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._parameters.items():
            if value is not None:
                destination[prefix + name] = value if keep_vars else value.detach()
        for name, value in self._buffers.items():
            if value is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = value if keep_vars else value.detach()
        if self._has_extra():
            destination[prefix + EXTRA] = self.get_extra_state()

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Parameters and persistent buffers by dotted name. The values share the module's memory."""
        if args:
            given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
            return self.state_dict(
                **{"destination": destination, "prefix": prefix, "keep_vars": keep_vars, **given}
            )
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():  # type: ignore[attr-defined]
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():  # type: ignore[attr-defined]
            result = hook(self, destination, prefix, metadata)
            if result is not None:
                destination = result
        return destination

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Load the parameters and buffers of this module alone."""
        for hook in self._load_state_dict_pre_hooks.values():  # type: ignore[attr-defined]
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        buffers = {n: b for n, b in self._buffers.items() if n not in self._non_persistent_buffers_set}
        own = {
            name: value for name, value in (*self._parameters.items(), *buffers.items()) if value is not None
        }
        for name, value in own.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            error = self._load_one(name, key, value, state_dict[key], assign)
            if error:
                error_msgs.append(error)
        extra = prefix + EXTRA
        if self._has_extra("set_extra_state"):
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra:
                    name = key[len(prefix) :].split(".", 1)
                    if (len(name) > 1 and name[0] not in self._modules) or (
                        len(name) == 1 and name[0] not in own
                    ):
                        unexpected_keys.append(key)

    def _load_one(self, name: str, key: str, value: Any, loaded: Any, assign: bool) -> str | None:
        """Take one value; what went wrong, if anything."""
        from clew.nn.parameter import Parameter

        if not isinstance(loaded, Variable):
            return (
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint '
                f"but received {type(loaded)}"
            )
        have, want = tuple(loaded._array.shape), tuple(value._array.shape)
        if want == () and have == (1,):
            loaded, have = loaded[0], ()  # type: ignore[index]
        if have != want:
            return (
                f"size mismatch for {key}: copying a param with shape torch.Size({list(have)}) from checkpoint, "
                f"the shape in current model is torch.Size({list(want)})."
            )
        try:
            if assign:
                if isinstance(value, Parameter) and not isinstance(loaded, Parameter):
                    loaded = Parameter(loaded, requires_grad=value.requires_grad)
                _loading.writes.append(lambda: setattr(self, name, loaded))
            else:
                _loading.writes.append(lambda: value.copy_(loaded))
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are torch.Size({list(want)}) and '
                f"whose dimensions in the checkpoint are torch.Size({list(have)}), an exception occurred : {error.args}."
            )
        return None

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy values into parameters and buffers by name. RuntimeError, listing every mismatch, if any is wrong.

        Shapes and keys are checked before anything is written, so that a wrong checkpoint leaves the module untouched.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        values = OrderedDict(state_dict)
        if metadata is not None:
            values._metadata = metadata  # type: ignore[attr-defined]

        def load(module: Any, local: Any, prefix: str = "") -> None:
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = assign
            module._load_from_state_dict(local, prefix, local_metadata, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    child_prefix = prefix + name + "."
                    load(child, {k: v for k, v in local.items() if k.startswith(child_prefix)}, child_prefix)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                hook(module, keys)

        before, _loading.writes = _loading.writes, []
        try:
            load(self, values)
            writes = _loading.writes
        finally:
            _loading.writes = before
        if strict:
            if unexpected:
                listed = ", ".join(f'"{k}"' for k in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {listed}. ")
            if missing:
                listed = ", ".join(f'"{k}"' for k in missing)
                errors.insert(0, f"Missing key(s) in state_dict: {listed}. ")
        if errors:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors)
            )
        with no_grad():
            for write in writes:
                write()
        return _IncompatibleKeys(missing, unexpected)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata)` after `state_dict`."""
        return RemovableHandle(self._state_dict_hooks, hook)  # type: ignore[attr-defined]

    _register_state_dict_hook = register_state_dict_post_hook

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, prefix, keep_vars)` before `state_dict`."""
        return RemovableHandle(self._state_dict_pre_hooks, hook)  # type: ignore[attr-defined]

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before loading."""
        return RemovableHandle(self._load_state_dict_pre_hooks, lambda *args: hook(self, *args))  # type: ignore[attr-defined]

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        function = (lambda *args: hook(self, *args)) if with_module else hook
        return RemovableHandle(self._load_state_dict_pre_hooks, function)  # type: ignore[attr-defined]

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, incompatible_keys)` after loading."""
        return RemovableHandle(self._load_state_dict_post_hooks, hook)  # type: ignore[attr-defined]
