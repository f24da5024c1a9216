"""The negative binomial distribution: `torch.distributions.NegativeBinomial`."""

from __future__ import annotations

from typing import Any, ClassVar

from clew.autograd.grad_mode import no_grad
from clew.distributions import constraints
from clew.distributions._either import ProbsOrLogits, check_given_once
from clew.distributions.gamma import Gamma
from clew.distributions.utils import broadcast_all, lazy_property
from clew.nn.functional import logsigmoid
from clew.ops.elementwise import exp
from clew.ops.sampling import poisson
from clew.ops.special import lgamma
from clew.tensor import Tensor

__all__ = ["NegativeBinomial"]


class NegativeBinomial(ProbsOrLogits):
    """P(k) = Γ(n + k)/(k!·Γ(n)) · pᵏ·(1 - p)ⁿ: successes before the n-th failure, n = total_count, which may be fractional.

    Drawn as Poisson counts of gamma-distributed rates.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        check_given_once(probs, logits)
        if probs is not None:
            self.total_count, self.probs = broadcast_all(total_count, probs)
            self._param = self.probs
        else:
            self.total_count, self.logits = broadcast_all(total_count, logits)
            self._param = self.logits
        self.total_count = self.total_count.type_as(self._param)
        super().__init__(self._param.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            NegativeBinomial,
            batch_shape,
            _instance,
            total_count=self.total_count.expand(batch_shape),
            **self._expand_parameters(batch_shape),
        )

    @property
    def mean(self) -> Tensor:
        return self.total_count * exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (1 - self.probs)

    @lazy_property
    def _gamma(self) -> Gamma:
        """The distribution of the rates."""
        return Gamma(concentration=self.total_count, rate=exp(-self.logits), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return poisson(self._gamma.sample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        weight = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        normalizer = lgamma(1.0 + value) + lgamma(n) - lgamma(n + value)
        return weight - normalizer.masked_fill(n + value == 0, 0.0)  # there Γ(n) is infinite on both sides
