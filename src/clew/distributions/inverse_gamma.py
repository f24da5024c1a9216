"""The inverse gamma distribution: `torch.distributions.InverseGamma`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.gamma import Gamma
from clew.distributions.transformed_distribution import TransformedDistribution
from clew.distributions.transforms import PowerTransform
from clew.ops.elementwise import where
from clew.tensor import Tensor

__all__ = ["InverseGamma"]


class InverseGamma(TransformedDistribution):
    """1/x with x ~ Gamma(concentration, rate)."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(-base.rate.new_ones(())), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, _instance=self._get_checked_instance(InverseGamma, _instance))

    @property
    def concentration(self) -> Tensor:
        """The gamma distribution's."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """The gamma distribution's."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        """rate/(a - 1); infinite for a ≤ 1."""
        return where(self.concentration > 1, self.rate / (self.concentration - 1), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        """rate²/((a - 1)²·(a - 2)); infinite for a ≤ 2."""
        a = self.concentration
        return where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), math.inf)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()
