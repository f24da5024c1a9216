"""The continuous Bernoulli distribution: `torch.distributions.ContinuousBernoulli`."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any, ClassVar

from clew.autograd.grad_mode import no_grad
from clew.distributions import constraints
from clew.distributions._either import ProbsOrLogits, check_given_once
from clew.distributions.exp_family import ExponentialFamily
from clew.distributions.utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs
from clew.nn.functional import binary_cross_entropy_with_logits
from clew.ops.create import full_like, ones_like, zeros_like
from clew.ops.elementwise import log, log1p, where
from clew.ops.sampling import rand
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """p(x) = C(λ)·λˣ·(1 - λ)^(1 - x) on [0, 1], λ given as `probs` or as `logits` = log λ - log(1 - λ).

    log C = log(2·artanh(1 - 2λ)/(1 - 2λ)) and what follows from it lose their digits near λ = ½; between the `lims` they
    come from their Taylor series. (G. Loaiza-Ganem, J. P. Cunningham, "The continuous Bernoulli", 2019.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        check_given_once(probs, logits)
        alone = isinstance(logits if probs is None else probs, Number)
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
            if validate_args is not None and not self.arg_constraints["probs"].check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = self._param = clamp_probs(self.probs)
        else:
            (self.logits,) = broadcast_all(logits)
            self._param = self.logits
        self._lims = lims
        super().__init__(Size() if alone else self._param.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        parts = self._expand_parameters(batch_shape)
        return self._expanded(ContinuousBernoulli, batch_shape, _instance, _lims=self._lims, **parts)

    @lazy_property
    def probs(self) -> Tensor:
        """λ."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    # ---- near one half -------------------------------------------------------------------------------
    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """λ, but a harmless value where the series is used."""
        return where(self._outside_unstable_region(), self.probs, full_like(self.probs, self._lims[0]))

    def _cont_bern_log_norm(self) -> Tensor:
        """log C."""
        cut = self._cut_probs()
        below = where(cut <= 0.5, cut, zeros_like(cut))
        above = where(cut >= 0.5, cut, ones_like(cut))
        exact = log((log1p(-cut) - log(cut)).abs()) - where(
            cut <= 0.5, log1p(-2.0 * below), log(2.0 * above - 1.0)
        )
        x = (self.probs - 0.5) ** 2
        return where(
            self._outside_unstable_region(), exact, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        )

    @property
    def mean(self) -> Tensor:
        cut = self._cut_probs()
        exact = cut / (2.0 * cut - 1.0) + 1.0 / (log1p(-cut) - log(cut))
        x = self.probs - 0.5
        return where(self._outside_unstable_region(), exact, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x**2) * x)

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    @property
    def variance(self) -> Tensor:
        cut = self._cut_probs()
        exact = cut * (cut - 1.0) / (1.0 - 2.0 * cut) ** 2 + 1.0 / (log1p(-cut) - log(cut)) ** 2
        x = (self.probs - 0.5) ** 2
        return where(
            self._outside_unstable_region(), exact, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        )

    # ---- values --------------------------------------------------------------------------------------
    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        weight = -binary_cross_entropy_with_logits(logits, value, reduction="none")
        return weight + self._cont_bern_log_norm()

    def cdf(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        cut = self._cut_probs()
        exact = (cut**value * (1.0 - cut) ** (1.0 - value) + cut - 1.0) / (2.0 * cut - 1.0)
        inside = where(self._outside_unstable_region(), exact, value)
        inside = where(value <= 0.0, zeros_like(inside), inside)
        return where(value >= 1.0, ones_like(inside), inside)

    def icdf(self, value: Any) -> Tensor:
        cut = self._cut_probs()
        exact = (log1p(-cut + value * (2.0 * cut - 1.0)) - log1p(-cut)) / (log(cut) - log1p(-cut))
        return where(self._outside_unstable_region(), exact, value)

    def entropy(self) -> Tensor:
        zero, one = log1p(-self.probs), log(self.probs)
        return self.mean * (zero - one) - self._cont_bern_log_norm() - zero

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Any) -> Tensor:
        """log((eˣ - 1)/x), by its series near 0."""
        outside = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = where(outside, x, full_like(x, self._lims[0] - 0.5))
        exact = log((cut.exp() - 1).abs()) - log(cut.abs())
        return where(outside, exact, 0.5 * x + x**2 / 24.0 - x**4 / 2880.0)
