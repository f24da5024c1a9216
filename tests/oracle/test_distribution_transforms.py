"""Transforms, the distributions made by them, and divergences: PyTorch's values, gradients, random streams, sentences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from both import first_line, plain

import clew

torch = pytest.importorskip("torch")

Make = Callable[[Any], Any]


def outcome(module: Any, program: Make) -> tuple[list[Any], list[Any]]:
    """The tensors a program gives, or its error, flat; and the first lines of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = attempt(lambda: program(module))
    return flat(found), [first_line(w) for w in caught]


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return [leaf for v in value for leaf in flat(v)]
    return [value]


def same(program: Make) -> None:
    """Both give the same: numbers to the rounding of their type, all else equal, with the same warnings."""
    (want, warned), (have, warned_too) = outcome(torch, program), outcome(clew, program)
    assert len(have) == len(want)
    for h, w in zip(have, want):
        if not isinstance(w, torch.Tensor) or not w.is_floating_point():
            assert plain(h.replace("clew.", "torch.") if isinstance(h, str) else h) == plain(w)
            continue
        assert (str(h.dtype), tuple(h.shape), h.requires_grad) == (
            str(w.dtype),
            tuple(w.shape),
            w.requires_grad,
        )
        tolerance = 2e-4 if w.dtype == torch.float32 else 1e-9
        np.testing.assert_allclose(h.detach().numpy(), w.detach().numpy(), rtol=tolerance, atol=tolerance)
    assert warned_too == warned


# ---- transforms -------------------------------------------------------------------------------------------------------

VALUES = [[-1.5, -0.2, 0.7], [0.1, 2.0, -3.0]]
MATRIX = [[0.5, -1.0, 2.0], [0.3, 0.2, -0.7], [-0.1, 0.9, 1.1]]
SIX = [0.1, -0.4, 0.9, 1.3, -2.0, 0.6]

# name → (the transform, from the module `transforms`; an argument)
TRANSFORMS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "exp": (lambda m, t: t.ExpTransform(), VALUES),
    "exp-cached": (lambda m, t: t.ExpTransform(cache_size=1), VALUES),
    "log": (lambda m, t: t.ExpTransform().inv, [0.5, 1.5, 2.0]),
    "power": (lambda m, t: t.PowerTransform(m.tensor([2.0, -1.0, 0.5])), [0.5, 1.5, 2.0]),
    "power-number": (lambda m, t: t.PowerTransform(2.0), [0.5, 1.5, 2.0]),
    "sigmoid": (lambda m, t: t.SigmoidTransform(), VALUES),
    "sigmoid-far": (lambda m, t: t.SigmoidTransform(), [-200.0, -20.0, 30.0, 200.0]),
    "tanh": (lambda m, t: t.TanhTransform(), VALUES),
    "softplus": (lambda m, t: t.SoftplusTransform(), [-30.0, -1.0, 0.0, 3.0, 30.0]),
    "abs": (lambda m, t: t.AbsTransform(), VALUES),
    "affine": (lambda m, t: t.AffineTransform(1, -2), VALUES),
    "affine-tensors": (lambda m, t: t.AffineTransform(m.tensor(1.0), m.tensor([2.0, -1.0, 0.5])), VALUES),
    "affine-event": (lambda m, t: t.AffineTransform(m.tensor(1.0), m.tensor([2.0, -1.0, 0.5]), 1), VALUES),
    "affine-event-number": (lambda m, t: t.AffineTransform(1.0, 3.0, event_dim=1), VALUES),
    "affine-event-0d": (lambda m, t: t.AffineTransform(1.0, m.tensor(3.0), event_dim=2), VALUES),
    "softmax": (lambda m, t: t.SoftmaxTransform(), VALUES),
    "stick": (lambda m, t: t.StickBreakingTransform(), VALUES),
    "stick-far": (lambda m, t: t.StickBreakingTransform(), [20.0, -10.0]),
    "lower-cholesky": (lambda m, t: t.LowerCholeskyTransform(), MATRIX),
    "positive-definite": (lambda m, t: t.PositiveDefiniteTransform(), MATRIX),
    "correlation": (lambda m, t: t.CorrCholeskyTransform(), SIX),
    "correlation-batch": (lambda m, t: t.CorrCholeskyTransform(), VALUES),
    "correlation-odd": (lambda m, t: t.CorrCholeskyTransform(), [1.0, 2.0]),
    "reshape": (lambda m, t: t.ReshapeTransform((2, 3), (6,)), VALUES),
    "reshape-inverse": (lambda m, t: t.ReshapeTransform((2, 3), (6,)).inv, SIX),
    "independent": (lambda m, t: t.IndependentTransform(t.ExpTransform(), 1), VALUES),
    "independent-too-few": (lambda m, t: t.IndependentTransform(t.ExpTransform(), 3), VALUES),
    "compose": (lambda m, t: t.ComposeTransform([t.ExpTransform(), t.AffineTransform(1, 2)]), VALUES),
    "compose-cached": (lambda m, t: t.ComposeTransform([t.TanhTransform(), t.ExpTransform()], cache_size=1), VALUES),
    "compose-events": (lambda m, t: t.ComposeTransform([t.ExpTransform(), t.StickBreakingTransform(), t.ExpTransform()]), [[-1.5, -0.2, 0.7], [0.1, 0.5, -1.0]]),
    "compose-inverse": (lambda m, t: t.ComposeTransform([t.TanhTransform(), t.SigmoidTransform()]).inv, [0.6, 0.65]),
    "compose-sums": (lambda m, t: t.ComposeTransform([t.ReshapeTransform((6,), (2, 3)), t.StickBreakingTransform()]), SIX),
    "identity": (lambda m, t: t.identity_transform, VALUES),
    "cat": (lambda m, t: t.CatTransform([t.ExpTransform(), t.AffineTransform(1, 2)], dim=-1, lengths=[1, 2]), VALUES),
    "cat-rows": (lambda m, t: t.CatTransform([t.ExpTransform(), t.TanhTransform()], dim=0), VALUES),
    "cat-events": (lambda m, t: t.CatTransform([t.ExpTransform(), t.StickBreakingTransform()], dim=-1, lengths=[1, 2]), VALUES),
    "cat-wrong": (lambda m, t: t.CatTransform([t.ExpTransform()] * 2, dim=-1, lengths=[1, 3]), VALUES),
    "stack": (lambda m, t: t.StackTransform([t.ExpTransform(), t.AffineTransform(1, 2)], dim=0), VALUES),
    "stack-wrong": (lambda m, t: t.StackTransform([t.ExpTransform(), t.AffineTransform(1, 2)], dim=1), VALUES),
    "stack-dim": (lambda m, t: t.StackTransform([t.ExpTransform()], dim=4), VALUES),
    "cdf": (lambda m, t: t.CumulativeDistributionTransform(m.distributions.Normal(m.tensor(0.5), m.tensor(2.0))), VALUES),
}  # fmt: skip
over_transforms = pytest.mark.parametrize("name", TRANSFORMS)


def attempt(program: Callable[[], Any]) -> Any:
    """What it gives, or the error: one failing question must not hide the others."""
    try:
        return program()
    except Exception as error:
        return type(error).__name__, str(error).splitlines()[:1]


@over_transforms
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients(name: str, dtype: str) -> None:
    make, argument = TRANSFORMS[name]

    def program(m: Any) -> Any:
        x = m.tensor(argument, dtype=getattr(m, dtype), requires_grad=True)
        f = make(m, m.distributions.transforms)
        y = f(x)
        found = [y, attempt(lambda: f.inv(y.detach()))]
        found.append(m.autograd.grad((y * y.detach().cos()).sum(), x, retain_graph=True)[0])
        try:
            jacobian = f.log_abs_det_jacobian(x, y)
        except NotImplementedError:
            return found
        found.append(jacobian)
        if jacobian.requires_grad:
            found.append(m.autograd.grad(jacobian.sum(), x, retain_graph=True, allow_unused=True)[0])
        found.append(f.inv.log_abs_det_jacobian(y, x))
        z = y.detach().requires_grad_()
        back = f.inv(z)
        if back.requires_grad and back.isfinite().all():
            found.append(m.autograd.grad((back * back.detach().sin()).sum(), z)[0])
        return found

    same(program)


SHAPES = [(), (3,), (6,), (2, 3), (4, 2, 3), (3, 3), (2, 4, 4), (3, 4)]


@over_transforms
def test_what_a_transform_says_of_itself(name: str) -> None:
    make, _ = TRANSFORMS[name]

    def program(m: Any) -> Any:
        f = make(m, m.distributions.transforms)
        found: list[Any] = []
        for g in (f, f.inv, f.with_cache(1), f.inv.with_cache(1)):
            found += [repr(g), g.bijective, g._cache_size, str(g.domain), str(g.codomain)]
            found += [attempt(lambda g=g, a=a: getattr(g, a)) for a in ("sign", "event_dim")]
            found += [g.domain.event_dim, g.codomain.event_dim, g.inv.inv is g]
            for shape in SHAPES:
                found += [attempt(lambda g=g, s=shape: tuple(g.forward_shape(s)))]
                found += [attempt(lambda g=g, s=shape: tuple(g.inverse_shape(s)))]
        return [*found, attempt(lambda: f.with_cache(2)), type(f).__hash__ is None]

    same(program)


def test_equality() -> None:
    def program(m: Any) -> Any:
        t = m.distributions.transforms
        fs = [
            make(m, t)
            for name, (make, _) in TRANSFORMS.items()
            if name not in ("power", "affine-tensors", "affine-event")
        ]
        gs = [
            make(m, t)
            for name, (make, _) in TRANSFORMS.items()
            if name not in ("power", "affine-tensors", "affine-event")
        ]
        return (
            [[f == g for g in gs] for f in fs],
            [f != f for f in fs],
            [f.inv == g.inv for f, g in zip(fs, gs)],
        )

    same(program)


# ---- a bad argument, a registry ---------------------------------------------------------------------------------------

SENTENCES: dict[str, Make] = {
    "cache": lambda m: m.distributions.transforms.ExpTransform(2),
    "reshape": lambda m: m.distributions.transforms.ReshapeTransform((2, 3), (5,)),
    "cat": lambda m: m.distributions.transforms.CatTransform([1]),
    "cat-lengths": lambda m: m.distributions.transforms.CatTransform([m.distributions.transforms.ExpTransform()], lengths=[1, 2]),
    "stack": lambda m: m.distributions.transforms.StackTransform([1]),
    "abstract": lambda m: m.distributions.transforms.Transform()(1),
    "abstract-inverse": lambda m: m.distributions.transforms.Transform().inv(1),
    "abstract-jacobian": lambda m: m.distributions.transforms.Transform().log_abs_det_jacobian(1, 2),
    "transforms": lambda m: m.distributions.TransformedDistribution(m.distributions.Normal(0.0, 1.0), 1),
    "transform-list": lambda m: m.distributions.TransformedDistribution(m.distributions.Normal(0.0, 1.0), [1]),
    "too-few": lambda m: m.distributions.TransformedDistribution(m.distributions.Normal(0.0, 1.0), m.distributions.transforms.StickBreakingTransform()),
    "no-kl": lambda m: m.distributions.kl_divergence(m.distributions.Normal(0.0, 1.0), m.distributions.LogNormal(0.0, 1.0)),
    "no-kl-transformed": lambda m: m.distributions.kl_divergence(m.distributions.Gumbel(0.0, 1.0), m.distributions.LogNormal(0.0, 1.0)),
    "no-kl-family": lambda m: m.distributions.kl_divergence(m.distributions.Normal(0.0, 1.0), m.distributions.Dirichlet(m.ones(2))),
    "kl-shapes": lambda m: m.distributions.kl_divergence(m.distributions.MultivariateNormal(m.zeros(2), m.eye(2)), m.distributions.MultivariateNormal(m.zeros(3), m.eye(3))),
    "register-kl": lambda m: m.distributions.register_kl(1, m.distributions.Normal),
    "register-constraint": lambda m: m.distributions.biject_to.register(int, lambda c: c),
    "registry": lambda m: m.distributions.biject_to(m.distributions.constraints.boolean),
    "registry-cholesky": lambda m: m.distributions.biject_to(m.distributions.constraints.lower_cholesky),
    "binomials": lambda m: m.distributions.kl_divergence(m.distributions.Binomial(3, m.tensor(0.5)), m.distributions.Binomial(4, m.tensor(0.5))),
    "log-normal": lambda m: m.distributions.LogNormal(0.0, -1.0),
    "log-normal-value": lambda m: m.distributions.LogNormal(0.0, 1.0).log_prob(m.tensor(-1.0)),
    "log-normal-cdf": lambda m: m.distributions.LogNormal(0.0, 1.0).cdf(m.tensor(-1.0)),
    "gumbel": lambda m: m.distributions.Gumbel(0.0, -1.0),
    "half": lambda m: m.distributions.HalfNormal(-1.0),
    "half-value": lambda m: m.distributions.HalfCauchy(1.0).log_prob(m.tensor(-1.0)),
    "pareto": lambda m: m.distributions.Pareto(-1.0, 1.0),
    "pareto-value": lambda m: m.distributions.Pareto(1.0, 1.0).log_prob(m.tensor(0.5)),
    "weibull": lambda m: m.distributions.Weibull(1.0, -1.0),
    "relaxed-both": lambda m: m.distributions.RelaxedBernoulli(m.tensor(0.5), m.tensor(0.5), m.tensor(0.5)),
    "relaxed-probs": lambda m: m.distributions.RelaxedBernoulli(m.tensor(0.5), m.tensor(2.0)),
    "relaxed-simplex": lambda m: m.distributions.RelaxedOneHotCategorical(m.tensor(0.5), m.tensor([0.2, 0.8])).log_prob(m.tensor([0.3, 0.8])),
    "lkj-dim": lambda m: m.distributions.LKJCholesky(1),
    "lkj-value": lambda m: m.distributions.LKJCholesky(3).log_prob(2 * m.eye(3)),
    "lkj-shape": lambda m: m.distributions.LKJCholesky(3).log_prob(m.eye(2)),
    "wishart-none": lambda m: m.distributions.Wishart(4.0),
    "wishart-two": lambda m: m.distributions.Wishart(4.0, m.eye(2), m.eye(2)),
    "wishart-vector": lambda m: m.distributions.Wishart(4.0, m.ones(2)),
    "wishart-df": lambda m: m.distributions.Wishart(0.5, m.eye(2)),
    "wishart-dfs": lambda m: m.distributions.Wishart(m.tensor([0.5, 2.5]), m.eye(2)),
    "wishart-low-df": lambda m: m.distributions.Wishart(1.5, m.eye(2)).df,
    "wishart-matrix": lambda m: m.distributions.Wishart(m.tensor([4.0, 5.0]), -m.eye(2)),
}  # fmt: skip


@pytest.mark.parametrize("program", SENTENCES.values(), ids=SENTENCES.keys())
def test_sentences(program: Make) -> None:
    same(program)


REGISTERED: dict[str, Make] = {
    "real": lambda c: c.real, "real_vector": lambda c: c.real_vector, "positive": lambda c: c.positive,
    "nonnegative": lambda c: c.nonnegative, "unit_interval": lambda c: c.unit_interval,
    "less_than": lambda c: c.less_than(2.0), "interval": lambda c: c.interval(1.0, 3.0),
    "half_open": lambda c: c.half_open_interval(-1.0, 3.0), "simplex": lambda c: c.simplex,
    "corr_cholesky": lambda c: c.corr_cholesky, "lower_cholesky": lambda c: c.lower_cholesky,
    "positive_definite": lambda c: c.positive_definite, "positive_semidefinite": lambda c: c.positive_semidefinite,
    "independent": lambda c: c.independent(c.positive, 1), "one_hot": lambda c: c.one_hot,
    "cat": lambda c: c.cat([c.positive, c.real], 1, [1, 2]), "stack": lambda c: c.stack([c.positive, c.real, c.unit_interval], 1),
    "dependent": lambda c: c.dependent, "integer": lambda c: c.nonnegative_integer,
}  # fmt: skip


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_registries(registry: str, name: str) -> None:
    def program(m: Any) -> Any:
        f = getattr(m.distributions, registry)(REGISTERED[name](m.distributions.constraints))
        return repr(f), f(m.tensor(MATRIX))

    same(program)


# ---- distributions ----------------------------------------------------------------------------------------------------

A, B = [0.7, 1.5, 3.0], [2.5, 0.8, 4.0]


def two(name: str) -> Make:
    return lambda m: getattr(m.distributions, name)(
        m.tensor(A, requires_grad=True), m.tensor(B, requires_grad=True)
    )


def spread(m: Any) -> Any:
    root = m.tensor([[1.0, 0.3], [0.3, 0.8]])
    return root @ root.T


DISTRIBUTIONS: dict[str, Make] = {
    **{
        name: two(name)
        for name in ("LogNormal", "Gumbel", "Kumaraswamy", "Pareto", "Weibull", "LogisticNormal", "InverseGamma")
    },
    "LogNormal-numbers": lambda m: m.distributions.LogNormal(0.5, 2.0),
    "Gumbel-numbers": lambda m: m.distributions.Gumbel(0.5, 2.0),
    "Gumbel-doubles": lambda m: m.distributions.Gumbel(m.tensor(A, dtype=m.float64), 2.0),
    "Kumaraswamy-numbers": lambda m: m.distributions.Kumaraswamy(0.5, 2.0),
    "Pareto-numbers": lambda m: m.distributions.Pareto(0.5, 2.5),
    "Weibull-numbers": lambda m: m.distributions.Weibull(0.5, 2),
    "LogisticNormal-scalar": lambda m: m.distributions.LogisticNormal(0.5, 2.0),
    "LogisticNormal-batch": lambda m: m.distributions.LogisticNormal(m.zeros(2, 3), m.ones(3)),
    "HalfNormal": lambda m: m.distributions.HalfNormal(m.tensor(A, requires_grad=True)),
    "HalfNormal-number": lambda m: m.distributions.HalfNormal(2.0),
    "HalfCauchy": lambda m: m.distributions.HalfCauchy(m.tensor(A, requires_grad=True)),
    "RelaxedBernoulli": lambda m: m.distributions.RelaxedBernoulli(m.tensor(0.7, requires_grad=True), m.tensor([0.2, 0.9], requires_grad=True)),
    "RelaxedBernoulli-logits": lambda m: m.distributions.RelaxedBernoulli(m.tensor([0.7, 1.2]), logits=m.tensor([-1.0, 0.4])),
    "RelaxedOneHot": lambda m: m.distributions.RelaxedOneHotCategorical(m.tensor(0.7, requires_grad=True), m.tensor([0.2, 0.5, 0.3], requires_grad=True)),
    "RelaxedOneHot-logits": lambda m: m.distributions.RelaxedOneHotCategorical(m.tensor([0.7]), logits=m.tensor([[-1.0, 0.4], [0.2, 0.1]])),
    "LKJ": lambda m: m.distributions.LKJCholesky(3, m.tensor([0.5, 2.0], requires_grad=True)),
    "LKJ-number": lambda m: m.distributions.LKJCholesky(4, 1.5),
    "LKJ-two": lambda m: m.distributions.LKJCholesky(2),
    "Wishart": lambda m: m.distributions.Wishart(m.tensor(4.0, requires_grad=True), spread(m).requires_grad_()),
    "Wishart-number": lambda m: m.distributions.Wishart(5, precision_matrix=spread(m)),
    "Wishart-batch": lambda m: m.distributions.Wishart(m.tensor([4.0, 5.5]), scale_tril=m.linalg.cholesky(spread(m))),
    "Wishart-three": lambda m: m.distributions.Wishart(m.tensor(6.0, dtype=m.float64), m.eye(3, dtype=m.float64)),
    "Transformed": lambda m: m.distributions.TransformedDistribution(
        m.distributions.Normal(m.tensor(A), 1.0),
        [m.distributions.transforms.ExpTransform(), m.distributions.transforms.AffineTransform(1.0, m.tensor([2.0, 3.0, 4.0]))],
    ),
    "Transformed-falling": lambda m: m.distributions.TransformedDistribution(
        m.distributions.Normal(m.tensor(A), 1.0), m.distributions.transforms.AffineTransform(1.0, m.tensor([-2.0, 3.0, -4.0]))
    ),
    "Transformed-stick": lambda m: m.distributions.TransformedDistribution(
        m.distributions.Normal(m.zeros(2, 3), 1.0), m.distributions.transforms.StickBreakingTransform()
    ),
    "Transformed-reshape": lambda m: m.distributions.TransformedDistribution(
        m.distributions.Normal(m.zeros(4, 2, 3), 1.0), m.distributions.transforms.ReshapeTransform((2, 3), (6,))
    ),
    "Transformed-broadcast": lambda m: m.distributions.TransformedDistribution(
        m.distributions.Normal(m.zeros(2, 1), 1.0), m.distributions.transforms.AffineTransform(m.zeros(3), 2.0)
    ),
    "Transformed-vector": lambda m: m.distributions.TransformedDistribution(
        m.distributions.MultivariateNormal(m.zeros(2), spread(m)), m.distributions.transforms.ExpTransform()
    ),
    "Transformed-none": lambda m: m.distributions.TransformedDistribution(m.distributions.Normal(m.zeros(2), 1.0), []),
    "Transformed-uniform": lambda m: m.distributions.TransformedDistribution(
        m.distributions.Uniform(m.zeros(2), 1.0),
        [m.distributions.transforms.SigmoidTransform().inv, m.distributions.transforms.AffineTransform(2.0, 3.0)],
    ),
}  # fmt: skip
over_distributions = pytest.mark.parametrize("name", DISTRIBUTIONS)


def leaves(d: Any, found: list[Any]) -> list[Any]:
    """The parameters of a distribution that need gradients."""
    for value in [*vars(d).values(), *(v for f in getattr(d, "transforms", []) for v in vars(f).values())]:
        if hasattr(value, "requires_grad") and value.requires_grad and value.is_leaf:
            found += [value] if all(value is not v for v in found) else []
        elif hasattr(value, "batch_shape"):
            leaves(value, found)
    return found


@over_distributions
def test_samples_and_densities(name: str) -> None:
    def program(m: Any) -> Any:
        m.manual_seed(5)
        d = DISTRIBUTIONS[name](m)
        x = d.sample()
        found = [x, d.sample((2,)), d.sample((2, 9)), m.rand(1)]
        found.append(d.log_prob(x))
        if found[-1].requires_grad:
            found += m.autograd.grad(d.log_prob(x).sum(), leaves(d, []), allow_unused=True, retain_graph=True)
        if d.has_rsample:
            drawn = d.rsample((3,))
            found.append(drawn)
            if drawn.requires_grad:
                found += m.autograd.grad(drawn.cos().sum(), leaves(d, []), allow_unused=True)
        return found

    same(program)


MOMENTS = ("mean", "mode", "variance", "stddev", "loc", "scale", "probs", "logits", "temperature", "df", "support",
           "covariance_matrix", "precision_matrix", "scale_tril", "has_rsample", "batch_shape", "event_shape",
           "arg_constraints", "concentration", "_natural_params")  # fmt: skip


@over_distributions
def test_moments(name: str) -> None:
    def program(m: Any) -> Any:
        d = DISTRIBUTIONS[name](m)
        # The mode of Kumaraswamy is NaN in PyTorch, whatever the parameters.
        names = [n for n in MOMENTS if not (n == "mode" and name.startswith("Kumaraswamy"))]
        found = [repr(d)]
        for n in names:
            # Which class lacks what is told by a sentence of the class; the module's name is not compared.
            value = attempt(lambda n=n: getattr(d, n))
            found.append(str(value) if n in ("support", "arg_constraints") else value)
        return [*found, attempt(d.entropy), attempt(d.perplexity)]

    same(program)


@over_distributions
def test_cumulative(name: str) -> None:
    def program(m: Any) -> Any:
        m.manual_seed(1)
        d = DISTRIBUTIONS[name](m)
        return attempt(lambda: d.cdf(d.sample())), attempt(
            lambda: d.icdf(m.tensor([0.3, 0.5, 0.9])[: d.batch_shape[-1] if d.batch_shape else 1])
        )

    same(program)


@over_distributions
def test_expand(name: str) -> None:
    def program(m: Any) -> Any:
        m.manual_seed(2)
        d = DISTRIBUTIONS[name](m)
        wide = d.expand((3, *d.batch_shape))
        x = wide.sample()
        return repr(wide), wide.batch_shape, wide.event_shape, x, wide.log_prob(x), attempt(lambda: wide.mean)

    same(program)


def test_mode_of_kumaraswamy_is_its_largest_density() -> None:
    d = clew.distributions.Kumaraswamy(
        clew.tensor([2.0, 3.0, 1.5], dtype=clew.float64), clew.tensor([1.5, 4.0, 2.0], dtype=clew.float64)
    )
    grid = clew.linspace(0.001, 0.999, 9981, dtype=clew.float64)
    best = grid[d.log_prob(grid.unsqueeze(-1)).argmax(0)]
    assert (d.mode - best).abs().max() < 1e-3


# ---- divergences ------------------------------------------------------------------------------------------------------

U, V = [0.3, 0.8], [1.7, 0.6]
W = [2.6, 3.1]


Operand = Callable[[Any, list[Any]], Any]


def leaf(m: Any, value: Any, made: list[Any]) -> Any:
    made.append(m.tensor(value, dtype=m.float64, requires_grad=True))
    return made[-1]


def of(name: str, *parameters: Any) -> Operand:
    """A distribution whose parameters, added to a list, need gradients."""
    return lambda m, made: getattr(m.distributions, name)(*(leaf(m, p, made) for p in parameters))


OPERANDS: dict[str, list[Operand]] = {
    "Bernoulli": [of("Bernoulli", U), of("Bernoulli", [0.5, 0.1])],
    "Beta": [of("Beta", V, W), of("Beta", W, V)],
    "Binomial": [
        lambda m, made: m.distributions.Binomial(5, leaf(m, U, made)),
        lambda m, made: m.distributions.Binomial(m.tensor([5, 4]), leaf(m, [0.5, 0.1], made)),
    ],
    "Categorical": [of("Categorical", [0.2, 0.3, 0.5]), of("Categorical", [[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])],
    "Cauchy": [of("Cauchy", U, V), of("Cauchy", V, W)],
    "ContinuousBernoulli": [of("ContinuousBernoulli", U), of("ContinuousBernoulli", [0.5, 0.1])],
    "Dirichlet": [of("Dirichlet", [0.2, 1.3, 2.5]), of("Dirichlet", [[0.6, 0.3, 4.1], [2.1, 1.1, 1.8]])],
    "Exponential": [of("Exponential", U), of("Exponential", V)],
    "Gamma": [of("Gamma", U, V), of("Gamma", V, W)],
    "Chi2": [of("Chi2", U), of("Chi2", V)],
    "Gumbel": [of("Gumbel", U, V), of("Gumbel", V, W)],
    "Geometric": [of("Geometric", U), of("Geometric", [0.5, 0.1])],
    "HalfNormal": [of("HalfNormal", U), of("HalfNormal", V)],
    "HalfCauchy": [of("HalfCauchy", U), of("HalfCauchy", V)],
    "Laplace": [of("Laplace", U, V), of("Laplace", V, W)],
    "LogNormal": [of("LogNormal", U, V), of("LogNormal", V, W)],
    "LowRankMultivariateNormal": [
        of("LowRankMultivariateNormal", U, [[1.0], [0.5]], V), of("LowRankMultivariateNormal", V, [[0.3], [-0.5]], W),
    ],
    "MultivariateNormal": [
        of("MultivariateNormal", U, [[1.0, 0.5], [0.5, 2.0]]), of("MultivariateNormal", [U, V], [[3.0, -0.5], [-0.5, 1.0]]),
    ],
    "Normal": [of("Normal", U, V), of("Normal", V, W)],
    "OneHotCategorical": [of("OneHotCategorical", [0.2, 0.3, 0.5]), of("OneHotCategorical", [0.6, 0.3, 0.1])],
    "Pareto": [of("Pareto", W, W), of("Pareto", V, V)],
    "Poisson": [of("Poisson", U), of("Poisson", V)],
    "Uniform": [of("Uniform", [0.1, 0.2], [0.9, 0.7]), of("Uniform", [-0.5, 0.0], [2.0, 1.0])],
    "Wishart": [of("Wishart", 3.5, [[1.0, 0.5], [0.5, 2.0]]), of("Wishart", 5.0, [[3.0, -0.5], [-0.5, 1.0]])],
}  # fmt: skip
PAIRS = [
    (p.__name__, q.__name__)
    for p, q in torch.distributions.kl._KL_REGISTRY
    if p.__name__ in OPERANDS and q.__name__ in OPERANDS
]
PAIRS += [(n, n) for n in ("Chi2", "HalfCauchy", "LogNormal", "Wishart")] + [
    ("Chi2", "Gamma"),
    ("Gamma", "Chi2"),
]


@pytest.mark.parametrize(("p", "q"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_divergences(p: str, q: str) -> None:
    def program(m: Any) -> Any:
        parameters: list[Any] = []
        left, right = OPERANDS[p][0](m, parameters), OPERANDS[q][1](m, parameters)
        value = m.distributions.kl_divergence(left, right)
        found = [value.detach()]
        if value.isfinite().all() and p != "Wishart":
            found += m.autograd.grad(value.sum(), parameters, allow_unused=True)
        return found

    same(program)


EDGES: dict[str, Make] = {
    "bernoulli": lambda d: (d.Bernoulli, [0.3, 0.0, 1.0, 0.5], d.Bernoulli, [0.0, 0.0, 0.0, 1.0]),
    "categorical": lambda d: (d.Categorical, [0.2, 0.8, 0.0], d.Categorical, [0.2, 0.0, 0.8]),
    "categorical-zero": lambda d: (d.Categorical, [0.2, 0.8, 0.0], d.Categorical, [0.2, 0.4, 0.4]),
    "poisson": lambda d: (d.Poisson, [1.0, 2.0], d.Poisson, [1.0, 0.0]),
    "geometric": lambda d: (d.Geometric, [1.0], d.Geometric, [0.5]),
}  # fmt: skip


@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES.keys())
def test_divergences_at_the_edge(edge: Make) -> None:
    def program(m: Any) -> Any:
        kind_p, at_p, kind_q, at_q = edge(m.distributions)
        return m.distributions.kl_divergence(kind_p(m.tensor(at_p)), kind_q(m.tensor(at_q)))

    same(program)


LIMITS = [([0.0, 0.1, -1.0, 0.0], [0.8, 0.4, 2.0, 1.5]), ([0.0, 0.2, -2.0, 0.0], [1.0, 0.4, 3.0, 1.0])]
OF_UNIFORMS: dict[str, Make] = {
    "Uniform": lambda d: d.Uniform(0.1, 0.9), "Beta": lambda d: d.Beta(1.5, 2.0), "Gamma": lambda d: d.Gamma(1.5, 1.0),
    "Exponential": lambda d: d.Exponential(1.5), "Pareto": lambda d: d.Pareto(0.05, 1.0), "Normal": lambda d: d.Normal(0.0, 1.0),
    "ContinuousBernoulli": lambda d: d.ContinuousBernoulli(0.3), "Gumbel": lambda d: d.Gumbel(0.0, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_UNIFORMS)
@pytest.mark.parametrize("limits", LIMITS)
def test_divergences_of_uniforms(name: str, limits: Any) -> None:
    def program(m: Any) -> Any:
        d = m.distributions
        uniform, other = d.Uniform(m.tensor(limits[0]), m.tensor(limits[1])), OF_UNIFORMS[name](d)
        return d.kl_divergence(uniform, other), attempt(lambda: d.kl_divergence(other, uniform))

    same(program)


def test_divergences_of_compounds() -> None:
    def program(m: Any) -> Any:
        d = m.distributions
        independent = [d.Independent(d.Normal(m.full((2,), v), 1.0), 1) for v in (0.0, 1.0)]
        stick = d.transforms.StickBreakingTransform()
        sticks = [d.TransformedDistribution(d.Normal(m.full((2,), v), 1.0), stick) for v in (0.0, 1.0)]
        other = d.Independent(d.Normal(m.zeros(2, 1), 1.0), 2)
        return [
            d.kl_divergence(*independent),
            d.kl_divergence(*sticks),
            attempt(lambda: d.kl_divergence(independent[0], other)),
        ]

    same(program)
