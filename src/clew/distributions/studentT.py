"""Student's t-distribution: `torch.distributions.StudentT`."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.chi2 import Chi2
from clew.distributions.distribution import Distribution
from clew.distributions.utils import _standard_normal, broadcast_all
from clew.ops.elementwise import log, rsqrt, where
from clew.ops.special import digamma, lgamma
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["StudentT"]


class StudentT(Distribution):
    """p(x) ∝ (1 + z²/df)^(-(df + 1)/2) with z = (x - loc)/scale; drawn as a normal over √(χ²/df)."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(Size() if isinstance(df, Number) else self.df.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            StudentT,
            batch_shape,
            _instance,
            df=self.df.expand(batch_shape),
            loc=self.loc.expand(batch_shape),
            scale=self.scale.expand(batch_shape),
            _chi2=self._chi2.expand(batch_shape),
        )

    @property
    def mean(self) -> Tensor:
        """loc; nan for df ≤ 1."""
        return where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale²·df/(df - 2); infinite for df ≤ 2, nan for df ≤ 1."""
        finite = self.df > 2
        df = where(finite, self.df, 3.0)
        variance = where(finite, self.scale.pow(2) * df / (df - 2), math.inf)
        return where(self.df > 1, variance, math.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        x = _standard_normal(shape, dtype=self.df.dtype, device=self.df.device)
        z = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (x * rsqrt(z / self.df))

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        normalizer = (
            log(self.scale)
            + 0.5 * log(self.df)
            + 0.5 * math.log(math.pi)
            + lgamma(0.5 * self.df)
            - lgamma(0.5 * (self.df + 1.0))
        )
        return -0.5 * (self.df + 1.0) * (y**2.0 / self.df).log1p() - normalizer

    def entropy(self) -> Tensor:
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = lgamma(half) + math.lgamma(0.5) - lgamma(more)
        return log(self.scale) + more * (digamma(more) - digamma(half)) + 0.5 * log(self.df) + log_beta
