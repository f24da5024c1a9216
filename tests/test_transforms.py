"""Transforms: the inverse undoes them, and the Jacobian they state is the one autograd finds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clew as torch
from clew.distributions import constraints, kl_divergence, register_kl
from clew.distributions import transforms as t
from clew.distributions.constraint_registry import biject_to, transform_to
from clew.distributions.laplace import Laplace
from clew.distributions.normal import Normal
from clew.distributions.transformed_distribution import TransformedDistribution

F64 = torch.float64


def f64(values: Any) -> Any:
    return torch.tensor(values, dtype=F64)


# name → a transform with a Jacobian, and the size of a vector it takes
BIJECTIONS: dict[str, tuple[Any, int]] = {
    "exp": (t.ExpTransform(), 3),
    "log": (t.ComposeTransform([t.ExpTransform(), t.AffineTransform(1.0, 2.0), t.ExpTransform().inv]), 3),
    "power": (t.ComposeTransform([t.ExpTransform(), t.PowerTransform(f64(-1.5))]), 3),
    "sigmoid": (t.SigmoidTransform(), 3),
    "tanh": (t.TanhTransform(), 3),
    "softplus": (t.SoftplusTransform(), 3),
    "affine": (t.AffineTransform(f64([1.0, 2.0, 3.0]), f64([-2.0, 0.5, 3.0])), 3),
    "affine-event": (t.AffineTransform(1.0, -2.0, event_dim=1), 3),
    "identity": (t.identity_transform, 3),
    "independent": (t.IndependentTransform(t.TanhTransform(), 1), 3),
    "stick": (t.StickBreakingTransform(), 3),
    "stick-exp": (t.ComposeTransform([t.StickBreakingTransform(), t.ExpTransform()]), 3),
    "correlation": (t.CorrCholeskyTransform(), 6),
    "reshape": (t.ReshapeTransform((2, 3), (6,)).inv, 6),
    "cat": (t.CatTransform([t.ExpTransform(), t.TanhTransform()], dim=-1, lengths=[1, 2]), 3),
    "stack": (t.StackTransform([t.ExpTransform(), t.SigmoidTransform(), t.TanhTransform()], dim=-1), 3),
    "cdf": (t.CumulativeDistributionTransform(Normal(f64(0.3), f64(1.2))), 3),
}  # fmt: skip
vectors = st.lists(st.floats(-2.5, 2.5, width=32), min_size=6, max_size=6)
over_bijections = pytest.mark.parametrize("name", BIJECTIONS)


@over_bijections
@settings(max_examples=25, deadline=None)
@given(values=vectors)
def test_the_inverse_undoes(name: str, values: list[float]) -> None:
    f, size = BIJECTIONS[name]
    x = f64(values[:size])
    assert torch.allclose(f.inv(f(x)), x, atol=1e-6)
    assert torch.equal(f.inv.inv(x), f(x))


def free_coordinates(name: str, y: Any) -> Any:
    """As many coordinates of y as x has: the simplex has one too many, a Cholesky factor its fixed ones."""
    if name in ("stick", "stick-exp"):
        return y[..., :-1]
    if name == "correlation":
        i, j = torch.tril_indices(4, 4, -1)
        return y[..., i, j]
    return y.flatten()


@over_bijections
@settings(max_examples=10, deadline=None)
@given(values=vectors)
def test_the_jacobian_is_the_one_of_autograd(name: str, values: list[float]) -> None:
    f, size = BIJECTIONS[name]
    x = f64(values[:size])
    jacobian = torch.autograd.functional.jacobian(lambda x: free_coordinates(name, f(x)), x)
    want = torch.linalg.slogdet(jacobian.reshape(size, size))[1]
    if name == "stick-exp":  # the last coordinate's exponential is not free, yet counted
        want = want + f(x).log()[-1]
    y = f(x)
    have = f.log_abs_det_jacobian(x, y).sum()
    assert torch.allclose(have, want, atol=1e-6)
    assert torch.allclose(f.inv.log_abs_det_jacobian(y, x).sum(), -want, atol=1e-6)


@over_bijections
def test_shapes_are_foretold(name: str) -> None:
    f, size = BIJECTIONS[name]
    x = torch.zeros(4, size, dtype=F64)
    y = f(x)
    assert tuple(f.forward_shape((4, size))) == y.shape
    assert tuple(f.inverse_shape(y.shape)) == x.shape
    event_dim = 0 if name == "stack" else f.domain.event_dim  # a stack's Jacobian is told element by element
    assert f.log_abs_det_jacobian(x, y).shape == x.shape[: x.dim() - event_dim]


@over_bijections
def test_values_lie_in_the_codomain(name: str) -> None:
    f, size = BIJECTIONS[name]
    x = torch.linspace(-2, 2, 4 * size, dtype=F64).reshape(4, size)
    x = x if f.domain.check(x).all() else x.exp()
    assert f.codomain.check(f(x)).all()


@pytest.mark.parametrize(
    "f", [t.LowerCholeskyTransform(), t.PositiveDefiniteTransform(), t.SoftmaxTransform(), t.AbsTransform()]
)
def test_what_is_not_one_to_one_is_still_undone_on_its_values(f: Any) -> None:
    y = f(torch.linspace(-1, 1.1, 9, dtype=F64).reshape(3, 3))
    assert f.codomain.check(y).all()
    assert torch.allclose(f(f.inv(y)), y)
    assert not f.bijective


@over_bijections
def test_a_cache_returns_the_very_same_tensors(name: str) -> None:
    f, size = BIJECTIONS[name]
    f = f.with_cache(1)
    x = torch.ones(size, dtype=F64)
    y = f(x)
    if name != "identity":
        assert y is not x
    assert f(x) is y
    assert f.inv(y) is x
    assert f.inv(f(x.clone())) is not x


def test_a_cache_saves_what_rounding_loses() -> None:
    x = torch.tensor(20.0)
    f = t.TanhTransform()
    assert f.inv(f(x)) == math.inf
    f = f.with_cache()
    assert f.inv(f(x)) == 20


def test_an_inverse_does_not_keep_its_transform_in_a_cycle() -> None:
    f = t.ExpTransform()
    assert f.inv.inv is f
    assert f._inv() is None  # the inverse went with its last name
    kept = f.inv
    assert f.inv is kept


ONTO = {
    "real": constraints.real, "positive": constraints.positive, "above": constraints.greater_than(2.0),
    "below": constraints.less_than(-1.0), "between": constraints.interval(-1.0, 3.0),
    "unit": constraints.unit_interval, "simplex": constraints.simplex, "correlation": constraints.corr_cholesky,
    "independent": constraints.independent(constraints.positive, 1),
    "cat": constraints.cat([constraints.positive, constraints.real], -1, [2, 4]),
}  # fmt: skip


@pytest.mark.parametrize("registry", [biject_to, transform_to], ids=["biject_to", "transform_to"])
@pytest.mark.parametrize("constraint", ONTO.values(), ids=ONTO.keys())
def test_registries_lead_onto_the_constraint(registry: Any, constraint: Any) -> None:
    x = torch.linspace(-3, 3, 12, dtype=F64).reshape(2, 6)
    f = registry(constraint)
    assert constraint.check(f(x)).all()
    assert f.bijective or registry is transform_to


def test_a_registered_constraint_is_found() -> None:
    class Even(constraints.Constraint):
        pass

    @transform_to.register(Even)
    def make(constraint: Any) -> Any:
        return t.AffineTransform(0, 2)

    assert transform_to(Even()) == t.AffineTransform(0, 2)
    with pytest.raises(NotImplementedError, match="Cannot transform Even constraints"):
        biject_to(Even())


def test_a_density_integrates_to_one_after_any_change_of_variables() -> None:
    grid = torch.linspace(1e-4, 30, 300001, dtype=F64)
    y = TransformedDistribution(
        Normal(f64(0.0), f64(0.5)), [t.SoftplusTransform(), t.AffineTransform(0.0, 2.0)]
    )
    density = y.log_prob(grid).exp()
    assert float(density.sum() * (grid[1] - grid[0])) == pytest.approx(1, abs=1e-4)
    # The cdf is the integral of the density.
    sums = density.cumsum(0) * (grid[1] - grid[0])
    assert torch.allclose(y.cdf(grid[::1000]), sums[::1000], atol=1e-3)


def test_gradients_reach_the_parameters_of_a_transform() -> None:
    scale = torch.tensor(2.0, dtype=F64, requires_grad=True)
    y = TransformedDistribution(Normal(f64(0.0), f64(1.0)), t.AffineTransform(0.0, scale))
    y.log_prob(f64(3.0)).backward()
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(9 / 8 - 1 / 2)  # d/ds (-(y/s)²/2 - log s)


def test_the_nearest_divergence_is_taken() -> None:
    class Mine(Normal):
        pass

    a, b = Mine(0.0, 1.0), Normal(1.0, 1.0)
    assert kl_divergence(a, b).item() == 0.5

    @register_kl(Mine, Normal)
    def formula(p: Any, q: Any) -> str:
        return "mine"

    assert kl_divergence(a, b) == "mine"
    assert kl_divergence(b, a).item() == 0.5

    @register_kl(Normal, Mine)
    def other(p: Any, q: Any) -> str:
        return "other"

    with pytest.warns(RuntimeWarning, match=r"Ambiguous kl_divergence\(Mine, Mine\)"):
        assert kl_divergence(a, a) == "mine"


def test_a_divergence_is_what_samples_say() -> None:
    torch.manual_seed(0)
    p, q = Normal(f64(0.3), f64(0.7)), Laplace(f64(-0.2), f64(1.5))
    x = p.sample((200000,))
    assert kl_divergence(p, q).item() == pytest.approx(
        (p.log_prob(x) - q.log_prob(x)).mean().item(), abs=0.01
    )
