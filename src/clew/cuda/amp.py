"""`torch.cuda.amp`: mixed precision on a GPU, which there is not. The names work and switch themselves off, with a word."""

from __future__ import annotations

import warnings
from typing import Any

from clew import amp

_OLD = "`torch.cuda.amp.{0}(args...)` is deprecated. Please use `torch.amp.{0}('cuda', args...)` instead."


class autocast(amp.autocast):
    """`torch.amp.autocast('cuda', …)`."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        warnings.warn(_OLD.format("autocast"), FutureWarning, stacklevel=2)
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)

    def _again(self) -> Any:
        return amp.autocast("cuda", self.fast_dtype, enabled=self._enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler('cuda', …)`."""

    def __init__(
        self, init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        warnings.warn(_OLD.format("GradScaler"), FutureWarning, stacklevel=2)
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


custom_fwd, custom_bwd = amp.custom_fwd, amp.custom_bwd
__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
