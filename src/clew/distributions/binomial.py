"""The binomial distribution: `torch.distributions.Binomial`."""

from __future__ import annotations

from typing import Any, ClassVar

from clew.autograd.grad_mode import no_grad
from clew.distributions import constraints
from clew.distributions._either import ProbsOrLogits, check_given_once
from clew.distributions.utils import broadcast_all
from clew.ops.elementwise import exp, log1p
from clew.ops.gamma_sampling import binomial
from clew.ops.ranges import arange
from clew.ops.special import lgamma
from clew.tensor import Tensor

__all__ = ["Binomial"]


class Binomial(ProbsOrLogits):
    """P(k) = (n over k)·pᵏ·(1 - p)^(n - k) with n = total_count."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
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
            Binomial,
            batch_shape,
            _instance,
            total_count=self.total_count.expand(batch_shape),
            **self._expand_parameters(batch_shape),
        )

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """0 … n."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n, x = self.total_count, self.logits
        # log(1 + eˣ), of which neither term overflows, with the slope ½ at 0
        softplus = (x + x.abs()) / 2 + log1p(exp(-x.abs()))
        ways = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        return value * x - n * softplus + ways

    def entropy(self) -> Tensor:
        self._total("entropy")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        total = self._total("enumerate_support")
        values = arange(1 + total, dtype=self._param.dtype).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1,) + tuple(self._batch_shape)) if expand else values

    def _total(self, what: str) -> int:
        """The one n of the whole batch; NotImplementedError where there are several."""
        total = int(self.total_count.max())
        if not self.total_count.min() == total:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{what}`.")
        return total
