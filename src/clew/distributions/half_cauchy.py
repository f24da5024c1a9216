"""The distribution of |x| for Cauchy x: `torch.distributions.HalfCauchy`."""

from __future__ import annotations

import math
from typing import Any

from clew.distributions._half import Half
from clew.distributions.cauchy import Cauchy
from clew.ops.create import full, zeros_like
from clew.tensor import Tensor

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """p(y) = 2/(π scale (1 + (y/scale)²)) for y ≥ 0: without a mean, its median is scale."""

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args=False), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, _instance=self._get_checked_instance(HalfCauchy, _instance))

    @property
    def mean(self) -> Tensor:
        return full(self._extended_shape(), math.inf, dtype=self.scale.dtype, device=self.scale.device)

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.scale)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance
