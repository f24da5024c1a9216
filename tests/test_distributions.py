"""Distributions by themselves: densities sum to one, draws have the moments, arguments are checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import clew
from clew import distributions as D
from clew.distributions import constraints
from clew.ops.gamma_sampling import beta_slope, gamma_slope


def double(*values: float) -> Any:
    return clew.tensor(values if len(values) > 1 else values[0], dtype=clew.float64)


CONTINUOUS: dict[str, tuple[Callable[[], Any], float, float]] = {
    "Normal": (lambda: D.Normal(double(0.3), 1.4), -12.0, 12.0),
    "Uniform": (lambda: D.Uniform(double(-1.0), 2.0), -1.0, 2.0),
    "Beta": (lambda: D.Beta(double(2.5), 1.7), 0.0, 1.0),
    "Gamma": (lambda: D.Gamma(double(2.5), 1.7), 0.0, 40.0),
    "Chi2": (lambda: D.Chi2(double(3.0)), 0.0, 90.0),
    "Exponential": (lambda: D.Exponential(double(1.3)), 0.0, 40.0),
    "Laplace": (lambda: D.Laplace(double(0.5), 0.7), -30.0, 30.0),
    "StudentT": (lambda: D.StudentT(double(9.0), double(0.2), double(0.5)), -80.0, 80.0),
    "FisherSnedecor": (lambda: D.FisherSnedecor(double(6.0), 30.0), 0.0, 200.0),
    "VonMises": (lambda: D.VonMises(double(0.4), double(2.0)), -math.pi, math.pi),
    "ContinuousBernoulli": (lambda: D.ContinuousBernoulli(double(0.2)), 0.0, 1.0),
    "ContinuousBernoulli near one half": (lambda: D.ContinuousBernoulli(double(0.4995)), 0.0, 1.0),
    "GeneralizedPareto": (lambda: D.GeneralizedPareto(double(0.5), 1.0, -0.3), 0.5, 0.5 + 1 / 0.3 - 1e-9),
    "InverseGamma": (lambda: D.InverseGamma(double(9.0), double(2.0)), 0.0, 40.0),
    "MixtureSameFamily": (
        lambda: D.MixtureSameFamily(
            D.Categorical(double(0.3, 0.7)), D.Normal(double(0.0, 2.0), double(1.0, 0.4))
        ),
        -12.0,
        12.0,
    ),
}
DISCRETE: dict[str, Callable[[], Any]] = {
    "Bernoulli": lambda: D.Bernoulli(double(0.3)),
    "Categorical": lambda: D.Categorical(double(0.3, 0.5, 0.2)),
    "Binomial": lambda: D.Binomial(9, double(0.3)),
    "Binomial of many": lambda: D.Binomial(300, double(0.4)),
    "Poisson": lambda: D.Poisson(double(3.5)),
    "Poisson of many": lambda: D.Poisson(double(60.0)),
    "Geometric": lambda: D.Geometric(double(0.3)),
    "NegativeBinomial": lambda: D.NegativeBinomial(double(4.0), double(0.6)),
}


def density(distribution: Any) -> Callable[[float], float]:
    return lambda x: math.exp(distribution.log_prob(double(x)).item())


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density(name: str) -> None:
    make, low, high = CONTINUOUS[name]
    distribution = make()
    p = density(distribution)
    middle = distribution.mean.item()

    def expected(f: Callable[[float], float]) -> float:
        return sum(
            integrate.quad(lambda x: f(x) * p(x), *ends, limit=200)[0]
            for ends in ((low, middle), (middle, high))
        )

    assert expected(lambda x: 1.0) == pytest.approx(1.0, abs=1e-6)
    if name != "VonMises":  # its moments are the circle's
        assert expected(lambda x: x) == pytest.approx(middle, abs=1e-5)
        assert expected(lambda x: (x - middle) ** 2) == pytest.approx(distribution.variance.item(), rel=1e-4)


@pytest.mark.parametrize("name", [n for n in CONTINUOUS if n not in ("MixtureSameFamily", "FisherSnedecor", "VonMises")])  # fmt: skip
def test_entropy(name: str) -> None:
    make, low, high = CONTINUOUS[name]
    distribution = make()
    p = density(distribution)
    found, _ = integrate.quad(lambda x: -p(x) * math.log(p(x)) if p(x) > 0 else 0.0, low, high, limit=400)
    assert distribution.entropy().item() == pytest.approx(found, abs=2e-4)


@pytest.mark.parametrize("name", ["Normal", "Uniform", "Exponential", "Laplace", "ContinuousBernoulli", "GeneralizedPareto"])  # fmt: skip
def test_quantiles_invert_the_distribution_function(name: str) -> None:
    distribution = CONTINUOUS[name][0]()
    u = double(0.1, 0.5, 0.9)
    np.testing.assert_allclose(distribution.cdf(distribution.icdf(u)).numpy(), u.numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities(name: str) -> None:
    distribution = DISCRETE[name]()
    values = (
        distribution.enumerate_support()
        if distribution.has_enumerate_support
        else clew.arange(400, dtype=clew.float64)
    )
    p = distribution.log_prob(values).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-9)
    if name != "Categorical":
        mean = (p * values).sum().item()
        assert mean == pytest.approx(distribution.mean.item())
        assert (p * (values - mean) ** 2).sum().item() == pytest.approx(distribution.variance.item())
        mode = p[(values == distribution.mode).nonzero().item()].item()
        assert mode == pytest.approx(p.max().item(), rel=1e-9)


@pytest.mark.parametrize("name", [*CONTINUOUS, *[n for n in DISCRETE if n != "Categorical"]])
def test_draws_have_the_moments(name: str) -> None:
    distribution = (CONTINUOUS[name][0] if name in CONTINUOUS else DISCRETE[name])()
    clew.manual_seed(0)
    n = 2000
    drawn = distribution.sample((n,)).numpy()
    if name == "VonMises":
        np.testing.assert_allclose(np.exp(1j * drawn).mean(), 0.698 * np.exp(0.4j), atol=0.05)
        return
    spread = distribution.stddev.item()
    assert abs(drawn.mean() - distribution.mean.item()) < 4 * spread / math.sqrt(n)
    assert drawn.std() == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("a", [0.05, 0.7, 1.0, 3.0, 50.0, 3000.0])
def test_derivative_of_gamma_draws(a: float) -> None:
    """A draw keeps its quantile as the parameter moves."""
    x, h = stats.gamma.ppf([0.02, 0.3, 0.5, 0.8, 0.999], a), 1e-5 * a
    u = stats.gamma.cdf(x, a)
    expected = (stats.gamma.ppf(u, a + h) - stats.gamma.ppf(u, a - h)) / (2 * h)
    np.testing.assert_allclose(gamma_slope(np.full(5, a), x), expected, rtol=2e-6)


@pytest.mark.parametrize("a", [0.3, 1.0, 4.0, 200.0])
@pytest.mark.parametrize("b", [0.4, 1.0, 7.0, 500.0])
def test_derivative_of_beta_draws(a: float, b: float) -> None:
    x, h = stats.beta.ppf([0.02, 0.3, 0.5, 0.8, 0.99], a, b), 1e-5 * a
    u = stats.beta.cdf(x, a, b)
    expected = (stats.beta.ppf(u, a + h, b) - stats.beta.ppf(u, a - h, b)) / (2 * h)
    np.testing.assert_allclose(beta_slope(x, np.full(5, a), np.full(5, b)), expected, rtol=1e-5, atol=1e-13)


def test_gradient_flows_through_a_draw() -> None:
    a = clew.tensor([2.0, 3.0], requires_grad=True)
    clew.manual_seed(0)
    D.Gamma(a, 1.0).rsample((1000,)).mean(0).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), [1.0, 1.0], atol=0.1)  # d E[x]/da = 1


def test_straight_through() -> None:
    logits = clew.tensor([0.1, 0.5, -1.0], requires_grad=True)
    clew.manual_seed(0)
    drawn = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert sorted(drawn.round(decimals=5).tolist()) == [0.0, 0.0, 1.0]
    drawn[0].backward()
    assert logits.grad.abs().sum() > 0


def test_arguments_are_checked() -> None:
    with pytest.raises(
        ValueError, match=r"^Expected parameter scale \(Tensor of shape \(1,\)\) of distribution Normal"
    ):
        D.Normal(0.0, clew.tensor([-1.0]))
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1.0
    with pytest.raises(ValueError, match="to be within the support"):
        D.Poisson(clew.tensor(2.0)).log_prob(clew.tensor(0.5))


def test_validation_can_be_turned_off() -> None:
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale.item() == -1.0
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="satisfy the constraint"):
        D.Normal(0.0, -1.0)


def test_shapes() -> None:
    distribution = D.MultivariateNormal(clew.zeros(4, 3), clew.eye(3))
    assert (distribution.batch_shape, distribution.event_shape) == ((4,), (3,))
    assert distribution.sample((2, 5)).shape == (2, 5, 4, 3)
    assert distribution.expand((6, 4)).log_prob(clew.zeros(3)).shape == (6, 4)
    assert D.Independent(D.Normal(clew.zeros(4, 3), 1.0), 2).log_prob(clew.zeros(4, 3)).shape == ()


def test_constraints() -> None:
    assert constraints.simplex.check(clew.tensor([0.2, 0.8]))
    assert not constraints.simplex.check(clew.tensor([0.2, 0.9]))
    assert constraints.positive_definite.check(clew.stack([clew.eye(2), -clew.eye(2)])).tolist() == [
        True,
        False,
    ]
    assert constraints.independent(constraints.positive, 1).check(
        clew.tensor([[1.0, -1.0], [1.0, 2.0]])
    ).tolist() == [
        False,
        True,
    ]


def test_an_exponential_family_finds_its_entropy_by_itself() -> None:
    distribution = D.Gamma(double(2.0, 3.0), double(1.5, 0.5))
    own = distribution.entropy()
    inherited = D.ExponentialFamily.entropy(distribution)
    np.testing.assert_allclose(inherited.detach().numpy(), own.numpy(), rtol=1e-10)
