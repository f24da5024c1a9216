"""PyTorch's address of DistributedDataParallel: `torch.nn.parallel.distributed`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from clew.nn.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """The module, under the name `module`; in a group of one process gradients are averaged already."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0, **_: Any
    ) -> None:
        from clew import distributed

        super().__init__()
        if not distributed.is_initialized():
            raise ValueError(distributed.NOT_STARTED)
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient."
            )
        self.module = module
        self.device_ids = device_ids
        self.dim = dim
        self.require_backward_grad_sync = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Any:
        """A block in which gradients would not be averaged."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before
