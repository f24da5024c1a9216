"""A normal distribution of vectors that vary mostly in a few directions: `torch.distributions.LowRankMultivariateNormal`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.distribution import Distribution
from clew.distributions.multivariate_normal import _batch_mahalanobis, _batch_mv, _identity
from clew.distributions.utils import _standard_normal, lazy_property
from clew.linalg import cholesky, solve_triangular
from clew.ops.join import diag_embed
from clew.ops.linalg import matmul
from clew.ops.shape import broadcast_shapes
from clew.tensor import Tensor

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """MultivariateNormal with Σ = W·Wᵀ + D: W = `cov_factor` (n × m), D = diag(`cov_diag`).

    By Woodbury's identity and the determinant lemma only the m × m capacitance matrix C = I + Wᵀ·D⁻¹·W is factored:
    Σ⁻¹ = D⁻¹ - D⁻¹·W·C⁻¹·Wᵀ·D⁻¹ and det Σ = det C · det D.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            )
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        try:
            batch = broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from error
        self.loc = loc.expand(tuple(batch) + (-1,))
        self.cov_diag = cov_diag.expand(tuple(batch) + (-1,))
        self.cov_factor = cov_factor.expand(tuple(batch) + tuple(cov_factor.shape[-2:]))
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        weighted = cov_factor.mT / cov_diag.unsqueeze(-2)
        capacitance = matmul(weighted, cov_factor)
        self._capacitance_tril = cholesky(capacitance + _identity(capacitance))
        super().__init__(batch, event, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        vector = tuple(batch_shape) + tuple(self.event_shape)
        square = vector + tuple(self.event_shape)
        known = ("covariance_matrix", "scale_tril", "precision_matrix")
        return self._expanded(
            LowRankMultivariateNormal,
            batch_shape,
            _instance,
            self.event_shape,
            loc=self.loc.expand(vector),
            cov_diag=self.cov_diag.expand(vector),
            cov_factor=self.cov_factor.expand(vector + tuple(self.cov_factor.shape[-1:])),
            _unbroadcasted_cov_factor=self._unbroadcasted_cov_factor,
            _unbroadcasted_cov_diag=self._unbroadcasted_cov_diag,
            _capacitance_tril=self._capacitance_tril,
            **{name: vars(self)[name].expand(square) for name in known if name in vars(self)},
        )

    def _matrix_shape(self) -> tuple[int, ...]:
        return tuple(self._batch_shape) + tuple(self._event_shape) * 2

    def _projection(self) -> Tensor:
        """A = L⁻¹·Wᵀ·D⁻¹ with C = L·Lᵀ."""
        weighted = self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(-2)
        return solve_triangular(self._capacitance_tril, weighted, upper=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        """Σ's diagonal."""
        variance = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return variance.expand(tuple(self._batch_shape) + tuple(self._event_shape))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower triangular L with Σ = L·Lᵀ: √D times the factor of I + √D⁻¹·W·Wᵀ·√D⁻¹."""
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        inner = matmul(scaled, scaled.mT)
        return (root * cholesky(inner + _identity(inner))).expand(self._matrix_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Σ."""
        factor = self._unbroadcasted_cov_factor
        covariance = matmul(factor, factor.mT) + diag_embed(self._unbroadcasted_cov_diag)
        return covariance.expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Σ⁻¹."""
        projection = self._projection()
        inverse = diag_embed(self._unbroadcasted_cov_diag.reciprocal())
        return (inverse - matmul(projection.mT, projection)).expand(self._matrix_shape())

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        short = tuple(shape[:-1]) + tuple(self.cov_factor.shape[-1:])
        directions = _standard_normal(short, dtype=self.loc.dtype, device=self.loc.device)
        noise = _standard_normal(shape, dtype=self.loc.dtype, device=self.loc.device)
        spread = self._unbroadcasted_cov_diag.sqrt() * noise
        return self.loc + _batch_mv(self._unbroadcasted_cov_factor, directions) + spread

    def _log_det(self) -> Tensor:
        capacitance = 2 * self._capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return capacitance + self._unbroadcasted_cov_diag.log().sum(-1)

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        offset = value - self.loc
        weighted = offset / self._unbroadcasted_cov_diag
        inside = _batch_mahalanobis(
            self._capacitance_tril, _batch_mv(self._unbroadcasted_cov_factor.mT, weighted)
        )
        distance = (offset * weighted).sum(-1) - inside
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self) -> Tensor:
        entropy = 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
