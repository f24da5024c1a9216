"""Random correlation matrices: `torch.distributions.LKJCholesky`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.beta import Beta
from clew.distributions.distribution import Distribution
from clew.distributions.utils import broadcast_all
from clew.ops.create import tensor
from clew.ops.inquiry import finfo
from clew.ops.join import cat
from clew.ops.ranges import arange
from clew.ops.sampling import randn
from clew.ops.special import mvlgamma
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors L of correlation matrices of size `dim`, with density ∝ det(L Lᵀ)^(concentration - 1).

    Concentration 1 is uniform over correlation matrices; larger prefers those near the identity. Drawn by the onion
    method: row i is a point of the unit ball of i dimensions, of a random direction and a squared radius that is beta
    distributed, and the diagonal what a length of 1 leaves. Errors: ValueError for `dim` under 2. (D. Lewandowski,
    D. Kurowicka and H. Joe, "Generating random correlation matrices based on vines and extended onion method", 2009.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        event_shape = Size((dim, dim))
        like = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        # Row i has i entries left of the diagonal; the first row has none, and its draw is not used.
        below = cat([tensor([0.0], **like), arange(dim - 1, **like)])
        marginal = self.concentration + 0.5 * (dim - 2)
        self._beta = Beta(below + 0.5, marginal.unsqueeze(-1) - 0.5 * below)
        super().__init__(self.concentration.size(), event_shape, validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            LKJCholesky,
            batch_shape,
            _instance,
            self.event_shape,
            dim=self.dim,
            concentration=self.concentration.expand(batch_shape),
            _beta=self._beta.expand((*batch_shape, self.dim)),
        )

    def sample(self, sample_shape: Any = ()) -> Tensor:
        squared_radius = self._beta.sample(sample_shape).unsqueeze(-1)
        like = {"dtype": squared_radius.dtype, "device": squared_radius.device}
        normal = randn(self._extended_shape(sample_shape), **like).tril(-1)
        direction = normal / normal.norm(dim=-1, keepdim=True)
        direction[..., 0, :].fill_(0.0)  # 0/0: the first row has no direction
        below = squared_radius.sqrt() * direction
        rest = (1 - (below**2).sum(dim=-1)).clamp(min=finfo(below.dtype).tiny)
        return below + rest.sqrt().diag_embed()

    def log_prob(self, value: Any) -> Tensor:
        """Σᵢ (2 (concentration - 1) + dim - i) log Lᵢᵢ - log Z, i from 2."""
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        i = arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - i
        rows = self.dim - 1
        alpha = self.concentration + 0.5 * rows
        log_z = 0.5 * rows * math.log(math.pi) + mvlgamma(alpha - 0.5, rows) - alpha.lgamma() * rows
        return (order * diagonal.log()).sum(dim=-1) - log_z
