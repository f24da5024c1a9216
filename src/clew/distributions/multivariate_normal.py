"""The normal distribution of vectors: `torch.distributions.MultivariateNormal`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from clew.distributions import constraints
from clew.distributions.distribution import Distribution
from clew.distributions.utils import _standard_normal, lazy_property
from clew.linalg import cholesky, solve_triangular
from clew.ops.create import eye
from clew.ops.linalg import matmul
from clew.ops.shape import broadcast_shapes
from clew.tensor import Tensor

__all__ = ["MultivariateNormal"]


def _identity(like: Tensor) -> Tensor:
    return eye(like.shape[-1], dtype=like.dtype, device=like.device)


def _batch_mv(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices times vectors, batch by batch."""
    return matmul(matrices, vectors.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(lower: Tensor, vectors: Tensor) -> Tensor:
    """|L⁻¹·x|² for vectors x whose batch holds that of the triangular matrices L."""
    if lower.dim() == 2:  # all samples against one factor: a single solution
        columns = vectors.reshape(-1, vectors.shape[-1]).mT
        return solve_triangular(lower, columns, upper=False).pow(2).sum(0).reshape(vectors.shape[:-1])
    shape = broadcast_shapes(lower.shape[:-2], vectors.shape[:-1])
    columns = vectors.expand(tuple(shape) + tuple(vectors.shape[-1:])).unsqueeze(-1)
    solved = solve_triangular(lower.expand(tuple(shape) + tuple(lower.shape[-2:])), columns, upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


def _precision_to_scale_tril(precision: Tensor) -> Tensor:
    """L with L·Lᵀ = P⁻¹: of P's rows and columns backwards the Cholesky factor, backwards again, is L⁻ᵀ."""
    inverse = cholesky(precision.flip(-2, -1)).flip(-2, -1).mT
    return solve_triangular(inverse, _identity(precision), upper=False)


class MultivariateNormal(Distribution):
    """p(x) = exp(-½·(x - loc)ᵀ·Σ⁻¹·(x - loc)) / √det(2πΣ).

    Σ is given as `covariance_matrix`, as its inverse `precision_matrix`, or as its Cholesky factor `scale_tril`, which
    is the quickest.
    Errors: ValueError where not exactly one is given, or for too few dimensions.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            name: matrix
            for name, matrix in (
                ("covariance_matrix", covariance_matrix),
                ("precision_matrix", precision_matrix),
                ("scale_tril", scale_tril),
            )
            if matrix is not None
        }
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            what = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{what} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand(tuple(batch) + (-1, -1)))
        self.loc = loc.expand(tuple(batch) + (-1,))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        else:
            factor = cholesky if name == "covariance_matrix" else _precision_to_scale_tril
            self._unbroadcasted_scale_tril = factor(matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        vector = tuple(batch_shape) + tuple(self.event_shape)
        known = ("covariance_matrix", "scale_tril", "precision_matrix")
        parts = {n: vars(self)[n].expand(vector + tuple(self.event_shape)) for n in known if n in vars(self)}
        return self._expanded(
            MultivariateNormal,
            batch_shape,
            _instance,
            self.event_shape,
            loc=self.loc.expand(vector),
            _unbroadcasted_scale_tril=self._unbroadcasted_scale_tril,
            **parts,
        )

    def _matrix_shape(self) -> tuple[int, ...]:
        return tuple(self._batch_shape) + tuple(self._event_shape) * 2

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower triangular L with Σ = L·Lᵀ."""
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Σ."""
        lower = self._unbroadcasted_scale_tril
        return matmul(lower, lower.mT).expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Σ⁻¹."""
        lower = self._unbroadcasted_scale_tril
        inverse = solve_triangular(lower, _identity(lower), upper=False)
        return matmul(inverse.mT, inverse).expand(self._matrix_shape())

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Σ's diagonal."""
        shape = tuple(self._batch_shape) + tuple(self._event_shape)
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = _standard_normal(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, drawn)

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + distance) - self._half_log_det()

    def entropy(self) -> Tensor:
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
