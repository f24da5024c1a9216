"""Exponential families: `torch.distributions.ExponentialFamily`."""

from __future__ import annotations

from typing import Any

from clew.autograd.backward import grad
from clew.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """p(x) = exp(⟨t(x), η⟩ - F(η) + k(x)): natural parameters η, log-normalizer F, carrier measure k.

    A family that has no closed form of the entropy inherits it from F (F. Nielsen, R. Nock, "Entropies and
    cross-entropies of exponential families", 2010): H = F(η) - ⟨η, ∇F(η)⟩ - E[k(x)].
    """

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Any:
        result = -self._mean_carrier_measure
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*natural)
        gradients = grad(normalizer.sum(), natural, create_graph=True)
        result = result + normalizer
        for parameter, gradient in zip(natural, gradients, strict=True):
            joined = (parameter * gradient).reshape(tuple(self._batch_shape) + (-1,))
            result = result - joined.sum(-1)
        return result
