"""The normal distribution's kin on the circle: `torch.distributions.VonMises`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from clew.autograd.grad_mode import no_grad
from clew.distributions import constraints
from clew.distributions.distribution import Distribution
from clew.distributions.utils import broadcast_all, lazy_property
from clew.dtypes import bool_
from clew.ops.create import empty, zeros
from clew.ops.elementwise import log, where
from clew.ops.sampling import rand
from clew.ops.trigonometry import cos
from clew.size import Size
from clew.special import i0e, i1e
from clew.tensor import Tensor

__all__ = ["VonMises"]


class VonMises(Distribution):
    """p(x) = exp(κ·cos(x - loc)) / (2π·I₀(κ)) on the circle, κ = concentration.

    Angles may be given in any turn; draws lie in [-π, π). Drawn by rejection from a wrapped Cauchy distribution
    (D. J. Best, N. I. Fisher, "Efficient simulation of the von Mises distribution", 1979), in double precision.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, Size(), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        validate_args = self.__dict__.get("_validate_args")
        loc, concentration = self.loc.expand(batch_shape), self.concentration.expand(batch_shape)
        return type(self)(loc, concentration, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The circular mean."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        """The circular variance 1 - I₁(κ)/I₀(κ)."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        k = self.concentration
        log_i0 = k + log(i0e(k))
        return k * cos(value - self.loc) - math.log(2 * math.pi) - log_i0

    @lazy_property
    def _proposal_r(self) -> Tensor:
        """The parameter (1 + ρ²)/(2ρ) of the proposal; below κ = 10⁻⁵ by its series."""
        k = self.concentration.double()
        tau = 1 + (1 + 4 * k**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        return where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            r, k = self._proposal_r.expand(shape), self.concentration.double().expand(shape)
            angle, done = empty(shape, dtype=r.dtype), zeros(shape, dtype=bool_)
            while not done.all():
                u1, u2, u3 = rand((3, *shape), dtype=r.dtype).unbind()
                z = cos(math.pi * u1)
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accept = ((c * (2 - c) - u2) > 0) | ((c / u2).log() + 1 - c >= 0)
                # a later draw may replace an accepted one: it is as good
                angle = where(accept, (u3 - 0.5).sign() * f.acos(), angle)
                done = done | accept
            turned = angle + math.pi + self.loc.double()
            return (turned % (2 * math.pi) - math.pi).to(self.loc.dtype)
