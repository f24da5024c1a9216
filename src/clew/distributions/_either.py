"""Distributions whose parameter is given as probabilities or as logits, the other one following from it."""

from __future__ import annotations

from numbers import Number
from typing import Any

from clew.distributions.distribution import Distribution
from clew.distributions.utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits
from clew.size import Size
from clew.tensor import Tensor

__all__: list[str] = []


def check_given_once(probs: Any, logits: Any) -> None:
    """ValueError where both are given, or neither."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class ProbsOrLogits(Distribution):
    """A binary variable's probability, as `probs` or as `logits` = log p - log(1 - p)."""

    _param: Any

    def _take(self, probs: Any, logits: Any) -> Any:
        """Keep the parameter that is given, and return the batch's shape."""
        check_given_once(probs, logits)
        name, given = ("logits", logits) if probs is None else ("probs", probs)
        (self._param,) = broadcast_all(given)
        setattr(self, name, self._param)
        return Size() if isinstance(given, Number) else self._param.size()

    def _expand_parameters(self, batch_shape: Any) -> dict[str, Any]:
        """Of what is known of the parameter, each expanded."""
        found: dict[str, Any] = {
            name: vars(self)[name].expand(batch_shape) for name in ("probs", "logits") if name in vars(self)
        }
        return {**found, "_param": list(found.values())[-1]}

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Tensor:
        """log p - log(1 - p)."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """p."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self._param.size()
