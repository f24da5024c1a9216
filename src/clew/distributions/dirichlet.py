"""The Dirichlet distribution: `torch.distributions.Dirichlet`."""

from __future__ import annotations

from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.exp_family import ExponentialFamily
from clew.ops.elementwise import where, xlogy
from clew.ops.embedding import one_hot
from clew.ops.gamma_sampling import _sample_dirichlet
from clew.ops.special import digamma, lgamma
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """p(x) = Γ(Σ aᵢ) / Π Γ(aᵢ) · Π xᵢ^(aᵢ - 1) on the simplex, a = concentration over its last dimension."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        shape = Size(tuple(batch_shape) + tuple(self.event_shape))
        return self._expanded(
            Dirichlet,
            batch_shape,
            _instance,
            self.event_shape,
            concentration=self.concentration.expand(shape),
        )

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """(aᵢ - 1)₊ normalised; where all aᵢ < 1 the density has no maximum but its corners, and the first stands."""
        above = (self.concentration - 1).clamp(min=0.0)
        low = (self.concentration < 1).all(dim=-1, keepdim=True)
        mode = above / where(low, 1.0, above.sum(-1, True))
        return where(low, one_hot(mode.argmax(dim=-1), mode.shape[-1]).to(mode), mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return _sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return xlogy(a - 1.0, value).sum(-1) + lgamma(a.sum(-1)) - lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a = self.concentration
        k, total = a.size(-1), a.sum(-1)
        return (
            lgamma(a).sum(-1)
            - lgamma(total)
            - (k - total) * digamma(total)
            - ((a - 1.0) * digamma(a)).sum(-1)
        )

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.concentration,)

    def _log_normalizer(self, x: Any) -> Tensor:
        return x.lgamma().sum(-1) - lgamma(x.sum(-1))
