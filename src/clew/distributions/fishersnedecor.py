"""The F-distribution: `torch.distributions.FisherSnedecor`."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.distribution import Distribution
from clew.distributions.gamma import Gamma
from clew.distributions.utils import broadcast_all
from clew.ops.elementwise import where
from clew.ops.inquiry import finfo
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["FisherSnedecor"]


class FisherSnedecor(Distribution):
    """The ratio of two χ² variables, each over its degrees of freedom df1, df2."""

    arg_constraints: ClassVar[dict[str, Any]] = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1 = Gamma(self.df1 * 0.5, self.df1)
        self._gamma2 = Gamma(self.df2 * 0.5, self.df2)
        alone = isinstance(df1, Number) and isinstance(df2, Number)
        super().__init__(Size() if alone else self.df1.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        batch_shape = Size(batch_shape)
        parts = {name: vars(self)[name].expand(batch_shape) for name in ("df1", "df2", "_gamma1", "_gamma2")}
        return self._expanded(FisherSnedecor, batch_shape, _instance, **parts)

    @property
    def mean(self) -> Tensor:
        """df2/(df2 - 2); nan for df2 ≤ 2."""
        df2 = where(self.df2 > 2, self.df2, math.nan)
        return df2 / (df2 - 2)

    @property
    def mode(self) -> Tensor:
        """(df1 - 2)/df1 · df2/(df2 + 2); nan for df1 ≤ 2."""
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return where(self.df1 > 2, mode, math.nan)

    @property
    def variance(self) -> Tensor:
        """2·df2²·(df1 + df2 - 2) / (df1·(df2 - 2)²·(df2 - 4)); nan for df2 ≤ 4."""
        df2 = where(self.df2 > 4, self.df2, math.nan)
        return 2 * df2.pow(2) * (self.df1 + df2 - 2) / (self.df1 * (df2 - 2).pow(2) * (df2 - 4))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        over = self._gamma1.rsample(sample_shape).view(shape)
        under = self._gamma2.rsample(sample_shape).view(shape)
        tiny = finfo(under.dtype).tiny
        return (over / under.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        normalizer = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return normalizer + a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
