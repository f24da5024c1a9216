"""Mixtures of distributions of one family: `torch.distributions.MixtureSameFamily`."""

from __future__ import annotations

from typing import Any, ClassVar

from clew.autograd.grad_mode import no_grad
from clew.distributions import constraints
from clew.distributions.categorical import Categorical
from clew.distributions.distribution import Distribution
from clew.ops.softmax import log_softmax, logsumexp
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """p(x) = Σₖ P(k)·pₖ(x): the last batch dimension of `component_distribution` are the components.

    Errors: ValueError for what is no distribution, or where numbers of components or batch shapes don't match.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of torch.distributions.Distribution"
            )
        weights_batch = mixture_distribution.batch_shape
        batch = component_distribution.batch_shape[:-1]
        for have, want in zip(reversed(weights_batch), reversed(batch), strict=False):
            if have != 1 and want != 1 and have != want:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({weights_batch}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch})"
                )
        weights, components = mixture_distribution.logits.shape[-1], component_distribution.batch_shape[-1]
        if weights is not None and components is not None and weights != components:
            raise ValueError(
                f"`mixture_distribution component` ({weights}) does not equal `component_distribution.batch_shape[-1]` ({components})"
            )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._num_component = components
        event = component_distribution.event_shape
        self._event_ndims = len(event)
        super().__init__(batch, event, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        batch_shape = Size(batch_shape)
        components = Size((*batch_shape, self._num_component))
        return self._expanded(
            MixtureSameFamily,
            batch_shape,
            _instance,
            self.event_shape,
            _component_distribution=self._component_distribution.expand(components),
            _mixture_distribution=self._mixture_distribution.expand(batch_shape),
            _num_component=self._num_component,
            _event_ndims=self._event_ndims,
        )

    @constraints.dependent_property
    def support(self) -> Any:
        """What every component supports."""
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """P(k)."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """pₖ."""
        return self._component_distribution

    @property
    def mean(self) -> Tensor:
        probs = self._pad_mixture_dimensions(self.mixture_distribution.probs)
        return (probs * self.component_distribution.mean).sum(dim=-1 - self._event_ndims)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances and the variance of the means."""
        dim = -1 - self._event_ndims
        probs = self._pad_mixture_dimensions(self.mixture_distribution.probs)
        within = (probs * self.component_distribution.variance).sum(dim=dim)
        offset = self.component_distribution.mean - self._pad(self.mean)
        return within + (probs * offset.pow(2.0)).sum(dim=dim)

    def cdf(self, x: Any) -> Tensor:
        cdf = self.component_distribution.cdf(self._pad(x))
        return (cdf * self.mixture_distribution.probs).sum(dim=-1)

    def log_prob(self, x: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        log_probs = self.component_distribution.log_prob(self._pad(x))
        return logsumexp(log_probs + log_softmax(self.mixture_distribution.logits, dim=-1), dim=-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            dim = len(sample_shape) + len(self.batch_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            chosen = chosen.reshape(tuple(chosen.shape) + (1,) * (self._event_ndims + 1))
            chosen = chosen.expand(tuple(drawn.shape[:dim]) + (1,) + tuple(self.event_shape))
            return drawn.gather(dim, chosen).squeeze(dim)

    def _pad(self, x: Any) -> Tensor:
        """`x` with a dimension for the components."""
        return x.unsqueeze(-1 - self._event_ndims)

    def _pad_mixture_dimensions(self, x: Any) -> Tensor:
        """Weights with dimensions of size one in place of the event's."""
        return x.reshape(tuple(x.shape) + (1,) * self._event_ndims)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
