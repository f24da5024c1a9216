"""Kullback-Leibler divergences: `torch.distributions.kl_divergence` and `register_kl`.

KL(p ‖ q) = E_p[log p(x) - log q(x)] = -H(p) - E_p[log q(x)]. Where log q is a combination of a few functions of x (x, x²,
log x, …), their expectations under p are all that a pair needs, and a formula below serves every such p.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from clew.autograd import grad
from clew.autograd.grad_mode import enable_grad
from clew.distributions.bernoulli import Bernoulli
from clew.distributions.beta import Beta
from clew.distributions.binomial import Binomial
from clew.distributions.categorical import Categorical
from clew.distributions.cauchy import Cauchy
from clew.distributions.continuous_bernoulli import ContinuousBernoulli
from clew.distributions.dirichlet import Dirichlet
from clew.distributions.distribution import Distribution
from clew.distributions.exp_family import ExponentialFamily
from clew.distributions.exponential import Exponential
from clew.distributions.gamma import Gamma
from clew.distributions.geometric import Geometric
from clew.distributions.gumbel import Gumbel
from clew.distributions.half_normal import HalfNormal
from clew.distributions.independent import Independent
from clew.distributions.laplace import Laplace
from clew.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from clew.distributions.multivariate_normal import MultivariateNormal
from clew.distributions.normal import Normal
from clew.distributions.one_hot_categorical import OneHotCategorical
from clew.distributions.pareto import Pareto
from clew.distributions.poisson import Poisson
from clew.distributions.transformed_distribution import TransformedDistribution
from clew.distributions.uniform import Uniform
from clew.distributions.utils import _sum_rightmost, euler_constant
from clew.linalg import solve_triangular
from clew.nn.functional import softplus
from clew.ops.create import full_like
from clew.ops.elementwise import where, xlogy
from clew.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]

Formula = Callable[[Any, Any], Any]
_FORMULAS: dict[tuple[type, type], Formula] = {}
_FOUND: dict[tuple[type, type], Formula | None] = {}


# ---- registering and finding ------------------------------------------------------------------------------------------


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """A decorator: the function computes KL(p ‖ q) for these types and their subclasses.

    Errors: TypeError for what is not a class.
    """
    if not (isinstance(type_p, type) and isinstance(type_q, type)):
        raise TypeError("issubclass() arg 1 must be a class")

    def register(formula: Formula) -> Formula:
        _FORMULAS[type_p, type_q] = formula
        _FOUND.clear()
        return formula

    return register


def _find(type_p: type, type_q: type) -> Formula | None:
    """The formula of the nearest superclasses; p's nearness decides where p's and q's disagree, with a warning."""
    pairs = [(p, q) for p, q in _FORMULAS if issubclass(type_p, p) and issubclass(type_q, q)]
    if not pairs:
        return None
    far = {pair: (type_p.__mro__.index(pair[0]), type_q.__mro__.index(pair[1])) for pair in pairs}
    left = min(pairs, key=lambda pair: far[pair])
    right = min(pairs, key=lambda pair: far[pair][::-1])
    if _FORMULAS[left] is not _FORMULAS[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _FORMULAS[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p ‖ q) = ∫ p(x) log(p(x)/q(x)) dx, of the batch shape.

    Errors: NotImplementedError where no formula is registered for the types.
    """
    types = type(p), type(q)
    try:
        formula = _FOUND[types]
    except KeyError:
        formula = _FOUND[types] = _find(*types)
    if formula is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {types[0].__name__} and q type {types[1].__name__}"
        )
    return formula(p, q)


# ---- within a family --------------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli_bernoulli(p: Any, q: Any) -> Tensor:
    one = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    one = where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, one))
    zero = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return one + where(p.probs == 1, 0.0, where(q.probs == 1, math.inf, zero))


@register_kl(Beta, Beta)
def _beta_beta(p: Any, q: Any) -> Tensor:
    total_p, total_q = p.concentration1 + p.concentration0, q.concentration1 + q.concentration0
    normalizers = q.concentration1.lgamma() + q.concentration0.lgamma() + total_p.lgamma()
    normalizers = normalizers - (p.concentration1.lgamma() + p.concentration0.lgamma() + total_q.lgamma())
    return (
        normalizers
        + (p.concentration1 - q.concentration1) * p.concentration1.digamma()
        + (p.concentration0 - q.concentration0) * p.concentration0.digamma()
        + (total_q - total_p) * total_p.digamma()
    )


@register_kl(Binomial, Binomial)
def _binomial_binomial(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return where(p.total_count > q.total_count, math.inf, p.total_count * each)


@register_kl(Categorical, Categorical)
def _categorical_categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    return where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, terms)).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _onehot_onehot(p: Any, q: Any) -> Tensor:
    return _categorical_categorical(p._categorical, q._categorical)


@register_kl(Cauchy, Cauchy)
def _cauchy_cauchy(p: Any, q: Any) -> Tensor:
    """log(((a + b)² + (μ - ν)²)/(4 a b)). (F. Chyzak and F. Nielsen, 2019.)"""
    spread = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return spread.log() - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_continuous(p: Any, q: Any) -> Tensor:
    """Both log densities are linear in x, so their expectations are their values at the mean."""
    return p.log_prob(p.mean) - q.log_prob(p.mean)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet_dirichlet(p: Any, q: Any) -> Tensor:
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    normalizers = total_p.lgamma() - total_q.lgamma()
    normalizers = normalizers - (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
    logs = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return normalizers + ((p.concentration - q.concentration) * logs).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential_exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _family_family(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log normalizer F: F(θ_q) - F(θ_p) - ⟨θ_q - θ_p, ∇F(θ_p)⟩."""
    if type(p) is not type(q):
        raise NotImplementedError(
            f"The cross KL-divergence between different exponential families cannot {'':28}"
            "be computed using Bregman divergences"
        )
    with enable_grad():
        theta_p = [theta.detach().requires_grad_() for theta in p._natural_params]
        normalizer = p._log_normalizer(*theta_p)
        slopes = grad(normalizer.sum(), theta_p, create_graph=True)
    theta_q = q._natural_params
    result = q._log_normalizer(*theta_q) - normalizer
    for at_p, at_q, slope in zip(theta_p, theta_q, slopes):
        term = (at_q - at_p) * slope
        result = result - _sum_rightmost(term, term.dim() - result.dim())
    return result


@register_kl(Gamma, Gamma)
def _gamma_gamma(p: Any, q: Any) -> Tensor:
    return (
        q.concentration * (p.rate / q.rate).log()
        + q.concentration.lgamma()
        - p.concentration.lgamma()
        + (p.concentration - q.concentration) * p.concentration.digamma()
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Geometric, Geometric)
def _geometric_geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _gumbel_gumbel(p: Any, q: Any) -> Tensor:
    ratio = p.scale / q.scale
    shift = (p.loc - q.loc) / q.scale
    linear = -ratio.log() + shift + ratio * euler_constant
    return linear + ((1 + ratio).lgamma() - shift).exp() - (1 + euler_constant)


@register_kl(HalfNormal, HalfNormal)
def _half_half(p: Any, q: Any) -> Tensor:
    return _normal_normal(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent_independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Laplace, Laplace)
def _laplace_laplace(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Normal, Normal)
def _normal_normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_multivariate(p: Any, q: Any) -> Tensor:
    """½ (log|Σ_q|/|Σ_p| - n + tr(Σ_q⁻¹ Σ_p) + dᵀ Σ_q⁻¹ d), d = μ_q - μ_p, by way of the Cholesky factors."""
    if p.event_shape != q.event_shape:
        kinds = [isinstance(d, LowRankMultivariateNormal) for d in (p, q)]
        kind = "Low Rank " if all(kinds) else "(Low Rank) " if any(kinds) else ""
        raise ValueError(
            f"KL-divergence between two {kind}Multivariate Normals with {'':24} different event shapes cannot be computed"
        )
    factor_p, factor_q = p.scale_tril, q.scale_tril
    half_log_dets = [f.diagonal(dim1=-2, dim2=-1).log().sum(-1) for f in (factor_p, factor_q)]
    batch = (half_log_dets[0] + half_log_dets[1]).shape
    size = p.event_shape[0]
    factor_q = factor_q.expand(batch + (size, size))
    spread = solve_triangular(factor_q, factor_p.expand(batch + (size, size)), upper=False)
    shift = solve_triangular(factor_q, (q.loc - p.loc).expand(batch + (size,)).unsqueeze(-1), upper=False)
    squares = spread.pow(2).sum((-2, -1)) + shift.pow(2).sum((-2, -1))
    return half_log_dets[1] - half_log_dets[0] + 0.5 * (squares - size)


@register_kl(Pareto, Pareto)
def _pareto_pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    value = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return where(p.scale < q.scale, math.inf, value)


@register_kl(Poisson, Poisson)
def _poisson_poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed_transformed(p: Any, q: Any) -> Tensor:
    """A bijection changes no divergence: that of the base distributions, if both have the same transforms."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _uniform_uniform(p: Any, q: Any) -> Tensor:
    value = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), math.inf, value)


# ---- between families -------------------------------------------------------------------------------------------------


def _infinite(p: Any, q: Any) -> Tensor:
    """p gives weight to values that q excludes."""
    return full_like(p.mean, math.inf)


_EXCLUDING: dict[type, list[type]] = {
    Beta: [Pareto],
    ContinuousBernoulli: [Pareto],
    Exponential: [Beta, ContinuousBernoulli, Pareto, Uniform],
    Gamma: [Beta, ContinuousBernoulli, Pareto, Uniform],
    Gumbel: [Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform],
    Laplace: [Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform],
    Normal: [Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform],
    Pareto: [Beta, ContinuousBernoulli, Uniform],
    Poisson: [Bernoulli, Binomial],
}
for _p, _kinds in _EXCLUDING.items():
    for _q in _kinds:
        register_kl(_p, _q)(_infinite)


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Pareto, Normal)
@register_kl(Uniform, Normal)
def _any_normal(p: Any, q: Any) -> Tensor:
    """-H(p) + ½ log(2π σ²) + (Var_p + (E_p[x] - μ)²)/(2 σ²)."""
    squares = (p.variance + (p.mean - q.loc).pow(2)) / (2 * q.scale.pow(2))
    return -p.entropy() + 0.5 * math.log(2 * math.pi) + q.scale.log() + squares


@register_kl(Beta, Exponential)
@register_kl(ContinuousBernoulli, Exponential)
@register_kl(Gamma, Exponential)
@register_kl(Pareto, Exponential)
def _any_exponential(p: Any, q: Any) -> Tensor:
    """-H(p) - log λ + λ E_p[x]."""
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Tensor:
    return where(p.low < 0, math.inf, _any_exponential(p, q))


def _to_gamma(p: Any, q: Any, mean_log: Tensor) -> Tensor:
    """-H(p) + log Γ(a) - a log r - (a - 1) E_p[log x] + r E_p[x]."""
    a, r = q.concentration, q.rate
    return -p.entropy() + a.lgamma() - a * r.log() - (a - 1) * mean_log + r * p.mean


@register_kl(Beta, Gamma)
def _beta_gamma(p: Any, q: Any) -> Tensor:
    total = p.concentration1 + p.concentration0
    return _to_gamma(p, q, p.concentration1.digamma() - total.digamma())


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Tensor:
    return _to_gamma(p, q, -euler_constant - p.rate.log())


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Any, q: Any) -> Tensor:
    return _to_gamma(p, q, p.scale.log() + p.alpha.reciprocal())


def _mean_log(low: Tensor, high: Tensor) -> Tensor:
    """E[log x] for x uniform from `low` to `high`."""
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Any, q: Any) -> Tensor:
    return where(p.low < 0, math.inf, _to_gamma(p, q, _mean_log(p.low, p.high)))


def _to_gumbel(p: Any, q: Any, mean_exp: Tensor) -> Tensor:
    """-H(p) + log β + (E_p[x] - μ)/β + E_p[e^(-(x - μ)/β)]."""
    return -p.entropy() + q.scale.log() + (p.mean - q.loc) / q.scale + mean_exp


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Any, q: Any) -> Tensor:
    rate = p.rate * q.scale
    return _to_gumbel(p, q, (q.loc / q.scale).exp() * rate / (rate + 1))


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Any, q: Any) -> Tensor:
    shrink = (1 + (p.rate * q.scale).reciprocal()).pow(-p.concentration)
    return _to_gumbel(p, q, (q.loc / q.scale).exp() * shrink)


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Tensor:
    return _to_gumbel(p, q, ((q.loc - p.loc) / q.scale + (p.scale / q.scale).pow(2) / 2).exp())


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Any, q: Any) -> Tensor:
    low, high = (p.low - q.loc) / q.scale, (p.high - q.loc) / q.scale
    return _to_gumbel(p, q, ((-low).exp() - (-high).exp()) / (high - low))


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    """-H(p) + log(2 b) + E_p|x - μ|/b: the mean of a folded normal distribution."""
    shift = p.loc - q.loc
    spread = shift / (math.sqrt(2) * p.scale)
    distance = math.sqrt(2 / math.pi) * p.scale * (-spread.pow(2)).exp() + shift * spread.erf()
    return -p.entropy() + (2 * q.scale).log() + distance / q.scale


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous(p: Any, q: Any) -> Tensor:
    return -p.entropy() - q.log_prob(p.mean)  # q's log density is linear in x


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous(p: Any, q: Any) -> Tensor:
    value = -p.entropy() - q.log_prob(p.mean.clamp(0, 1))
    return where((p.low <= 0) | (p.high >= 1), math.inf, value)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Any, q: Any) -> Tensor:
    value = -p.entropy() + (q.high - q.low).log()
    return where((q.low > 0) | (q.high < 1), math.inf, value)


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_uniform(p: Any, q: Any) -> Tensor:
    value = -p.entropy() + (q.high - q.low).log()
    return where((q.low >= 0) | (q.high <= 1), math.inf, value)


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
    logs = (a - 1) * _mean_log(p.low, p.high) + (b - 1) * _mean_log(1 - p.high, 1 - p.low)
    return where((p.low < 0) | (p.high > 1), math.inf, -p.entropy() + log_beta - logs)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Tensor:
    log_density = q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_log(p.low, p.high)
    return where(p.low < q.scale, math.inf, -p.entropy() - log_density)
