"""The generalized Pareto distribution: `torch.distributions.GeneralizedPareto`."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.distribution import Distribution
from clew.distributions.utils import broadcast_all
from clew.ops.compare import isclose
from clew.ops.create import ones_like, zeros_like
from clew.ops.elementwise import exp, expm1, log, log1p, where
from clew.ops.sampling import rand
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """P(x > t) = (1 + ξ·z)^(-1/ξ) with z = (t - loc)/scale, ξ = concentration; exp(-z) for ξ = 0.

    (J. Pickands, "Statistical inference using extreme order statistics", 1975.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        alone = all(isinstance(v, Number) for v in (loc, scale, concentration))
        super().__init__(Size() if alone else self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            GeneralizedPareto,
            batch_shape,
            _instance,
            **{name: vars(self)[name].expand(batch_shape) for name in ("loc", "scale", "concentration")},
        )

    def _shape_parameter(self) -> tuple[Tensor, Tensor]:
        """Where ξ is zero, and ξ with ones there: both branches of a choice must have finite derivatives."""
        flat = isclose(self.concentration, zeros_like(self.concentration))
        return flat, where(flat, ones_like(self.concentration), self.concentration)

    def _z(self, x: Any) -> Any:
        return (x - self.loc) / self.scale

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """From loc; for ξ < 0 to loc - scale/ξ."""
        upper = where(self.concentration < 0, self.loc - self.scale / self.concentration, math.inf)
        return constraints.interval(self.loc, upper)

    @property
    def mean(self) -> Tensor:
        """loc + scale/(1 - ξ); nan for ξ ≥ 1."""
        finite = self.concentration < 1
        xi = where(finite, self.concentration, 0.0)
        return where(finite, self.loc + self.scale / (1 - xi), math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale²/((1 - ξ)²·(1 - 2ξ)); nan for ξ ≥ ½."""
        finite = self.concentration < 0.5
        xi = where(finite, self.concentration, 0.0)
        return where(finite, self.scale**2 / ((1 - xi) ** 2 * (1 - 2 * xi)), math.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(rand(shape, dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        flat, xi = self._shape_parameter()
        return where(flat, -z, -(1 + 1 / xi) * log1p(xi * z)) - log(self.scale)

    def log_survival_function(self, value: Any) -> Tensor:
        """log P(x > value)."""
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        flat, xi = self._shape_parameter()
        return where(flat, -z, -log1p(xi * z) / xi)

    def log_cdf(self, value: Any) -> Tensor:
        """log P(x ≤ value)."""
        return log1p(-exp(self.log_survival_function(value)))

    def cdf(self, value: Any) -> Tensor:
        return exp(self.log_cdf(value))

    def icdf(self, value: Any) -> Tensor:
        flat, xi = self._shape_parameter()
        survival = log1p(-value)
        return where(
            flat, self.loc - self.scale * survival, self.loc + self.scale * expm1(-xi * survival) / xi
        )

    def entropy(self) -> Tensor:
        entropy = log(self.scale) + self.concentration + 1
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
