"""The multinomial distribution: `torch.distributions.Multinomial`."""

from __future__ import annotations

from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.binomial import Binomial
from clew.distributions.categorical import Categorical
from clew.distributions.distribution import Distribution
from clew.distributions.utils import broadcast_all
from clew.ops.create import ones_like, tensor
from clew.ops.elementwise import exp
from clew.ops.special import lgamma
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each category comes in n = total_count draws: P(k) = n! · Π pᵢ^kᵢ / kᵢ!.

    Errors: NotImplementedError for a `total_count` that is not an int.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        batch_shape = Size(batch_shape)
        return self._expanded(
            Multinomial,
            batch_shape,
            _instance,
            self.event_shape,
            total_count=self.total_count,
            _categorical=self._categorical.expand(batch_shape),
            _binomial=self._binomial.expand(tuple(batch_shape) + tuple(self.event_shape)),
        )

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Counts that add up to n (checked: to n at most)."""
        return constraints.multinomial(self.total_count)

    @property
    def probs(self) -> Tensor:
        """pᵢ."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """log pᵢ."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = self._categorical.sample(Size((self.total_count, *sample_shape)))
        drawn = drawn.permute(*range(1, drawn.dim()), 0)  # the draws of one count together
        counts = self.probs.new_zeros(self._extended_shape(sample_shape))
        counts.scatter_add_(-1, drawn, ones_like(drawn).type_as(counts))
        return counts

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.clone().masked_fill((value == 0) & (logits == -float("inf")), 0)
        ways = lgamma(value.sum(-1) + 1) - lgamma(value + 1).sum(-1)
        return ways + (logits * value).sum(-1)

    def entropy(self) -> Tensor:
        """n·H(p) - log n! + Σᵢ E[log kᵢ!], each kᵢ binomial."""
        n = tensor(self.total_count)
        counts = self._binomial.enumerate_support(expand=False)[1:]
        expected = (exp(self._binomial.log_prob(counts)) * lgamma(counts + 1)).sum((0, -1))
        return n * self._categorical.entropy() - lgamma(n + 1) + expected
