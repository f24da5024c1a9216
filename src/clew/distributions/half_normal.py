"""The distribution of |x| for normal x of mean 0: `torch.distributions.HalfNormal`."""

from __future__ import annotations

import math
from typing import Any

from clew.distributions._half import Half
from clew.distributions.normal import Normal
from clew.ops.create import zeros_like
from clew.tensor import Tensor

__all__ = ["HalfNormal"]


class HalfNormal(Half):
    """p(y) = 2 N(y; 0, scale²) for y ≥ 0: mean scale √(2/π), variance scale² (1 - 2/π)."""

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, _instance=self._get_checked_instance(HalfNormal, _instance))

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.scale)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)
