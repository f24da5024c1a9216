"""Layers that take the number of their inputs from the first input they see, and then become ordinary ones."""

from __future__ import annotations

from typing import Any

from clew.autograd.grad_mode import no_grad
from clew.dtypes import int64
from clew.nn.layers import conv, linear, norm
from clew.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from clew.ops.create import tensor


class LazyModuleMixin:
    """What lazy modules share: before the first `forward`, `initialize_parameters` is called with the same arguments, and
    the module's class becomes `cls_to_become`. Subclasses define both. Loading a state dict gives shapes, too.
    """

    cls_to_become: Any = None
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        module: Any = self
        self._load_hook = module._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = module.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes and values; subclasses define it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        return any(map(is_lazy, (*self._parameters.values(), *self._buffers.values())))

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        """The hook before the first call."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """The hook before loading: what is loaded gives the shapes."""
        for name, value in (*self._parameters.items(), *self._buffers.items()):
            loaded = state_dict.get(prefix + name)
            if is_lazy(value) and loaded is not None and not is_lazy(loaded):
                with no_grad():
                    value.materialize(loaded.shape)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        kept = {n: b for n, b in self._buffers.items() if n not in self._non_persistent_buffers_set}
        for name, value in (*self._parameters.items(), *kept.items()):
            if value is not None:
                destination[prefix + name] = value if is_lazy(value) or keep_vars else value.detach()


def _left_open(module: Any, names: tuple[str, ...], kind: Any, device: Any, dtype: Any) -> None:
    for name in names:
        setattr(module, name, kind(device=device, dtype=dtype))


class LazyLinear(LazyModuleMixin, linear.Linear):
    """`Linear` that takes `in_features` from its first input."""

    cls_to_become = linear.Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        _left_open(self, ("weight", "bias")[: 1 + bias], UninitializedParameter, device, dtype)
        self.out_features = out_features

    def reset_parameters(self) -> None:
        """Draw the starting values, once there is a shape."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any) -> None:
        """Take the shapes from the first input."""
        if self.has_uninitialized_params():
            with no_grad():
                self.in_features = input.shape[-1]
                self.weight.materialize((self.out_features, self.in_features))
                if self.bias is not None:
                    self.bias.materialize((self.out_features,))
                self.reset_parameters()
        if self.in_features == 0:
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from self.weight: "
                    f"{self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]


# ---- convolutions --------------------------------------------------------------------------------------------------------
class _LazyConvolution(LazyModuleMixin):
    """What lazy convolutions share."""

    def reset_parameters(self: Any) -> None:
        """Draw the starting values, once there is a shape."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self: Any, input: Any, *args: Any, **kwargs: Any) -> None:
        """Take the shapes from the first input."""
        if not self.has_uninitialized_params():
            return
        n = self.dims
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of "
                f"size: {input.shape}"
            )
        self.in_channels = input.shape[-n - 1]
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        channels = (
            (self.in_channels, self.out_channels // self.groups)
            if self.transposed
            else (self.out_channels, self.in_channels // self.groups)
        )
        self.weight.materialize((*channels, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvolution):
    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype
        )
        _left_open(self, ("weight", "bias")[: 1 + bias], UninitializedParameter, device, dtype)
        self.out_channels = out_channels


class _LazyConvTranspose(_LazyConvolution):
    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype
        )  # fmt: skip
        _left_open(self, ("weight", "bias")[: 1 + bias], UninitializedParameter, device, dtype)
        self.out_channels = out_channels


# ---- norms ---------------------------------------------------------------------------------------------------------------
class _LazyNorm(LazyModuleMixin):
    """What lazy batch and instance norms share."""

    def _open(
        self: Any, affine: bool, track_running_stats: bool, bias: bool, device: Any, dtype: Any
    ) -> None:
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            _left_open(self, ("weight", "bias")[: 1 + bias], UninitializedParameter, device, dtype)
        if track_running_stats:
            _left_open(self, ("running_mean", "running_var"), UninitializedBuffer, device, dtype)
            self.num_batches_tracked = tensor(0, dtype=int64)

    def reset_parameters(self: Any) -> None:
        """Weight 1, bias 0, statistics forgotten, once there is a shape."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self: Any, input: Any) -> None:
        """Take the shapes from the first input."""
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for value in (self.weight, self.bias, self.running_mean, self.running_var):
                if is_lazy(value):
                    value.materialize((self.num_features,))
            self.reset_parameters()


class _LazyBatchNorm(_LazyNorm):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self._open(affine, track_running_stats, bias, device, dtype)


class _LazyInstanceNorm(_LazyNorm):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self._open(affine, track_running_stats, bias, device, dtype)


def _lazy(base: type, become: Any) -> Any:
    name = f"Lazy{become.__name__}"
    text = f"`{become.__name__}` that takes the number of its channels from its first input."
    body = {"cls_to_become": become, "__module__": __name__, "__doc__": text}
    return type(name, (base, become), body)


LazyConv1d, LazyConv2d, LazyConv3d = (_lazy(_LazyConv, c) for c in (conv.Conv1d, conv.Conv2d, conv.Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    _lazy(_LazyConvTranspose, c) for c in (conv.ConvTranspose1d, conv.ConvTranspose2d, conv.ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (
    _lazy(_LazyBatchNorm, c) for c in (norm.BatchNorm1d, norm.BatchNorm2d, norm.BatchNorm3d)
)
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    _lazy(_LazyInstanceNorm, c) for c in (norm.InstanceNorm1d, norm.InstanceNorm2d, norm.InstanceNorm3d)
)

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip
