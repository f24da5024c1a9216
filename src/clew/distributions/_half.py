"""What the half-normal and the half-Cauchy distribution share: a symmetric distribution folded at 0."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.distribution import Distribution
from clew.distributions.transformed_distribution import TransformedDistribution
from clew.distributions.transforms import AbsTransform
from clew.ops.create import as_tensor
from clew.ops.elementwise import where
from clew.tensor import Tensor


class Half(TransformedDistribution):
    """Y = |X| for X symmetric about 0: p(y) = 2 p_X(y) and P(Y ≤ y) = 2 P(X ≤ y) - 1 for y ≥ 0."""

    arg_constraints: ClassVar[dict[str, Any]] = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, base: Distribution, validate_args: bool | None) -> None:
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        return self.base_dist.scale

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = as_tensor(value, dtype=self.scale.dtype, device=self.scale.device)
        return where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob: Any) -> Tensor:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
