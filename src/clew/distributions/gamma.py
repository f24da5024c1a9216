"""The gamma distribution: `torch.distributions.Gamma`."""

from __future__ import annotations

from numbers import Number
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.exp_family import ExponentialFamily
from clew.distributions.utils import broadcast_all
from clew.ops.create import as_tensor
from clew.ops.elementwise import log, xlogy
from clew.ops.gamma_sampling import _standard_gamma
from clew.ops.inquiry import finfo
from clew.ops.special import digamma, lgamma
from clew.size import Size
from clew.special import gammainc
from clew.tensor import Tensor

__all__ = ["Gamma"]


class Gamma(ExponentialFamily):
    """p(x) = rateᵃ x^(a - 1) exp(-rate·x) / Γ(a) with a = concentration."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        alone = isinstance(concentration, Number) and isinstance(rate, Number)
        super().__init__(Size() if alone else self.concentration.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            Gamma,
            batch_shape,
            _instance,
            concentration=self.concentration.expand(batch_shape),
            rate=self.rate.expand(batch_shape),
        )

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        value = _standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(
            min=finfo(value.dtype).tiny
        )  # a draw that underflows shall stay inside the support
        return value

    def log_prob(self, value: Any) -> Tensor:
        value = as_tensor(value, dtype=self.rate.dtype)
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return xlogy(a, self.rate) + xlogy(a - 1, value) - self.rate * value - lgamma(a)

    def cdf(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - log(self.rate) + lgamma(a) + (1.0 - a) * digamma(a)

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        return self.concentration - 1, -self.rate

    def _log_normalizer(self, x: Any, y: Any) -> Tensor:
        return lgamma(x + 1) + (x + 1) * log(-y.reciprocal())
