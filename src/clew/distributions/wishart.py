"""The distribution of sample covariances: `torch.distributions.Wishart`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from numbers import Number
from typing import Any

from clew.distributions import constraints
from clew.distributions.chi2 import Chi2
from clew.distributions.exp_family import ExponentialFamily
from clew.distributions.utils import lazy_property
from clew.linalg import cholesky, solve_triangular
from clew.ops.create import eye, tensor
from clew.ops.masks import tril_indices
from clew.ops.ranges import arange
from clew.ops.sampling import randn
from clew.ops.shape import broadcast_shapes
from clew.ops.special import mvlgamma
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["Wishart"]

_MATRICES = ("covariance_matrix", "precision_matrix", "scale_tril")


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    """d/dx log Γₚ(x) = Σᵢ ψ(x - i/2), i from 0 to p - 1."""
    return (x.unsqueeze(-1) - arange(p, dtype=x.dtype, device=x.device).div(2)).digamma().sum(-1)


class Wishart(ExponentialFamily):
    """X = Σₖ gₖ gₖᵀ with df vectors gₖ ~ N(0, V), p × p: positive definite for df > p - 1.

    log p(X) = ((df - p - 1) log|X| - tr(V⁻¹ X) - df p log 2 - df log|V|)/2 - log Γₚ(df/2). V is given as
    `covariance_matrix`, by its inverse `precision_matrix`, or by its Cholesky factor `scale_tril`: exactly one of them.
    Errors: ValueError for df ≤ p - 1. (M. S. Bartlett, "On the theory of statistical regression", 1933, for `rsample`.)
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    @property
    def arg_constraints(self) -> Any:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = dict(zip(_MATRICES, (covariance_matrix, precision_matrix, scale_tril)))
        found = [(name, matrix) for name, matrix in given.items() if matrix is not None]
        if len(found) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = found
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch dimensions"
            )
        if isinstance(df, Number):
            batch_shape = Size(matrix.shape[:-2])
            self.df = tensor(df, dtype=matrix.dtype, device=matrix.device)
        else:
            batch_shape = broadcast_shapes(matrix.shape[:-2], df.shape)
            self.df = df.expand(batch_shape)
        event_shape = matrix.shape[-2:]
        if self.df.le(event_shape[-1] - 1).any():
            raise ValueError(
                f"Value of df={df} expected to be greater than ndim - 1 = {event_shape[-1] - 1}."
            )
        matrix = matrix.expand(batch_shape + (-1, -1))
        setattr(self, name, matrix)
        self.df = self.df.expand(batch_shape)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._batch_dims = [-(i + 1) for i in range(len(batch_shape))]
        if self.df.lt(event_shape[-1]).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self._unbroadcasted_scale_tril = _FACTORS[name](matrix)
        # Bartlett: the squared diagonal of the factor is chi-square distributed, a degree less per row.
        degrees = self.df.unsqueeze(-1) - arange(event_shape[-1], dtype=matrix.dtype, device=matrix.device)
        self._dist_chi2 = Chi2(df=degrees.expand(batch_shape + (-1,)))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        matrix_shape = (*batch_shape, *self.event_shape)
        factor = self._unbroadcasted_scale_tril.expand(matrix_shape)
        given = {name: vars(self)[name].expand(matrix_shape) for name in _MATRICES if name in vars(self)}
        return self._expanded(
            Wishart,
            batch_shape,
            _instance,
            self.event_shape,
            df=self.df.expand(batch_shape),
            _unbroadcasted_scale_tril=factor,
            _batch_dims=[-(i + 1) for i in range(len(batch_shape))],
            _dist_chi2=self._dist_chi2.expand((*batch_shape, self.event_shape[-1])),
            **given,
        )

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._unbroadcasted_scale_tril.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        inverse = _inverse(self._unbroadcasted_scale_tril)
        return (inverse.mT @ inverse).expand(self._batch_shape + self._event_shape)

    @property
    def mean(self) -> Tensor:
        return self.df.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = factor.masked_fill(factor <= 0, math.nan)
        return factor.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        squares = v.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df.view(self._batch_shape + (1, 1)) * squares

    def _bartlett_sampling(self, sample_shape: Any = ()) -> Tensor:
        """L A Aᵀ Lᵀ: A lower triangular, chi distributed on the diagonal and normal below it."""
        p = self._event_shape[-1]
        noise = self._dist_chi2.rsample(sample_shape).sqrt().diag_embed(dim1=-2, dim2=-1)
        i, j = tril_indices(p, p, offset=-1)
        noise[..., i, j] = randn(
            Size(sample_shape) + self._batch_shape + (p * (p - 1) // 2,),
            dtype=noise.dtype,
            device=noise.device,
        )
        factor = self._unbroadcasted_scale_tril @ noise
        return factor @ factor.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Tensor:
        """Samples; those found singular are drawn again, up to `max_try_correction` (10) times.

        PyTorch 2.13 takes the first samples that pass its check of the support for the singular ones, and redraws
        those; what it redraws it checks rightly. So does this, for the same stream of random numbers.
        """
        tries = 10 if max_try_correction is None else max_try_correction
        sample = self._bartlett_sampling(sample_shape)
        singular = self._any_of_batch(self.support.check(sample))
        if singular.any():
            warnings.warn("Singular sample detected.", stacklevel=2)
            for _ in range(tries):
                fresh = self._bartlett_sampling(singular[singular].shape)
                sample[singular] = fresh
                still = singular.clone()
                still[singular] = self._any_of_batch(~self.support.check(fresh))
                singular = still
                if not singular.any():
                    break
        return sample

    def _any_of_batch(self, each: Tensor) -> Tensor:
        """For each sample: is it so of any distribution of the batch?"""
        return each.amax(self._batch_dims) if self._batch_shape else each

    def log_prob(self, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        df, p, factor = self.df, self._event_shape[-1], self._unbroadcasted_scale_tril
        half_log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        inverse = _inverse(factor)
        trace = ((inverse @ value) * inverse).sum((-2, -1))
        return (
            -df * (p * math.log(2) / 2 + half_log_det)
            - mvlgamma(df / 2, p)
            + (df - p - 1) / 2 * value.logdet()
            - trace / 2
        )

    def entropy(self) -> Tensor:
        df, p = self.df, self._event_shape[-1]
        half_log_det = self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return (
            (p + 1) * (p * math.log(2) / 2 + half_log_det)
            + mvlgamma(df / 2, p)
            - (df - p - 1) / 2 * _mvdigamma(df / 2, p)
            + df * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        p = self._event_shape[-1]
        half_df = y + (p + 1) / 2
        return half_df * (-(-2 * x).logdet() + math.log(2) * p) + mvlgamma(half_df, p)


def _inverse(factor: Tensor) -> Tensor:
    """L⁻¹."""
    return solve_triangular(
        factor, eye(factor.shape[-1], dtype=factor.dtype, device=factor.device), upper=False
    )


def _factor_of_inverse(precision: Tensor) -> Tensor:
    """L with L Lᵀ = P⁻¹: the Cholesky factor of P read from its last row gives L⁻ᵀ."""
    upper = cholesky(precision.flip((-2, -1))).flip((-2, -1))
    return _inverse(upper.mT)


_FACTORS: dict[str, Callable[[Tensor], Tensor]] = {
    "covariance_matrix": cholesky, "precision_matrix": _factor_of_inverse, "scale_tril": lambda factor: factor,
}  # fmt: skip
