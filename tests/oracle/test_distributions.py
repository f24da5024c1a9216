"""Distributions are PyTorch's: draws, densities, moments, gradients, shapes, sentences."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from both import same

import clew

torch = pytest.importorskip("torch")

LIBRARIES = (torch, clew)
MATRIX = [[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 1.5]]
LOWER = [[1.2, 0.0, 0.0], [0.3, 0.8, 0.0], [-0.4, 0.2, 1.1]]

# name: (constructor of the parameters, the parameters' values)
CASES: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "Normal": (lambda D, loc, scale: D.Normal(loc, scale), [[0.5, -1.0, 2.0], [1.0, 0.3, 2.5]]),
    "Normal of numbers": (lambda D: D.Normal(0.5, 2), []),
    "Categorical probs": (lambda D, p: D.Categorical(p), [[[0.1, 0.2, 0.7], [3.0, 1.0, 1.0]]]),
    "Categorical logits": (lambda D, x: D.Categorical(logits=x), [[0.5, -1.0, 0.2, 2.0]]),
    "Bernoulli probs": (lambda D, p: D.Bernoulli(p), [[0.2, 0.7, 0.5]]),
    "Bernoulli logits": (lambda D, x: D.Bernoulli(logits=x), [[-1.0, 0.3, 4.0]]),
    "Uniform": (lambda D, low, high: D.Uniform(low, high), [[-1.0, 0.0], [0.5, 3.0]]),
    "MultivariateNormal covariance": (
        lambda D, loc, c: D.MultivariateNormal(loc, c),
        [[[0.5, -1.0, 2.0], [0.0, 0.1, 0.2]], MATRIX],
    ),
    "MultivariateNormal precision": (
        lambda D, loc, p: D.MultivariateNormal(loc, precision_matrix=p),
        [[0.5, -1.0, 2.0], MATRIX],
    ),
    "MultivariateNormal factor": (
        lambda D, loc, f: D.MultivariateNormal(loc, scale_tril=f),
        [[0.5, -1.0, 2.0], [LOWER, np.eye(3).tolist()]],
    ),
    "Independent": (
        lambda D, loc, scale: D.Independent(D.Normal(loc, scale), 1),
        [[[0.5, -1.0], [2.0, 0.0]], [[1.0, 0.3], [2.5, 1.0]]],
    ),
    "Independent of none": (lambda D, p: D.Independent(D.Bernoulli(p), 0), [[0.5, 0.2]]),
    "OneHotCategorical": (lambda D, p: D.OneHotCategorical(p), [[[0.1, 0.2, 0.7], [3.0, 1.0, 1.0]]]),
    "OneHotCategoricalStraightThrough": (
        lambda D, x: D.OneHotCategoricalStraightThrough(logits=x),
        [[0.5, -1.0, 0.2]],
    ),
    "Beta": (lambda D, a, b: D.Beta(a, b), [[2.0, 0.5, 1.0], [3.0, 0.7, 4.0]]),
    "Gamma": (lambda D, a, b: D.Gamma(a, b), [[2.0, 0.5, 11.0], [3.0, 0.7, 4.0]]),
    "Dirichlet": (lambda D, a: D.Dirichlet(a), [[[2.0, 0.5, 11.0], [3.0, 0.7, 4.0]]]),
    "Poisson": (lambda D, rate: D.Poisson(rate), [[0.5, 4.0, 30.0]]),
    "Exponential": (lambda D, rate: D.Exponential(rate), [[0.5, 4.0, 30.0]]),
    "Laplace": (lambda D, loc, scale: D.Laplace(loc, scale), [[0.5, -1.0, 2.0], [1.0, 0.3, 2.5]]),
    "Cauchy": (lambda D, loc, scale: D.Cauchy(loc, scale), [[0.5, -1.0, 2.0], [1.0, 0.3, 2.5]]),
    "StudentT": (lambda D, df, loc, s: D.StudentT(df, loc, s), [[0.8, 1.5, 5.0], [0.5, -1, 2], [1.0, 0.3, 2.5]]),
    "Binomial": (lambda D, p: D.Binomial(7, p), [[0.2, 0.7, 0.5]]),
    "Binomial logits": (lambda D, x: D.Binomial(60, logits=x), [[-1.0, 0.3, 0.0]]),
    "Multinomial": (lambda D, p: D.Multinomial(6, p), [[[0.1, 0.2, 0.7], [3.0, 1.0, 1.0]]]),
    "Multinomial logits": (lambda D, x: D.Multinomial(3, logits=x), [[0.5, -1.0]]),
    "Geometric": (lambda D, p: D.Geometric(p), [[0.2, 0.7, 0.5]]),
    "Geometric logits": (lambda D, x: D.Geometric(logits=x), [[-1.0, 0.3]]),
    "NegativeBinomial": (lambda D, n, p: D.NegativeBinomial(n, p), [[3.0, 0.5, 8.0], [0.2, 0.7, 0.5]]),
    "NegativeBinomial logits": (lambda D, x: D.NegativeBinomial(3, logits=x), [[-1.0, 0.3]]),
    "Chi2": (lambda D, df: D.Chi2(df), [[0.5, 3.0, 12.0]]),
    "FisherSnedecor": (lambda D, a, b: D.FisherSnedecor(a, b), [[0.5, 3.0, 12.0], [3.0, 5.0, 1.0]]),
    "VonMises": (lambda D, loc, k: D.VonMises(loc, k), [[0.5, -3.0, 7.0], [0.2, 4.0, 20.0]]),
    "ContinuousBernoulli": (lambda D, p: D.ContinuousBernoulli(p), [[0.2, 0.5, 0.4995, 0.93]]),
    "ContinuousBernoulli logits": (lambda D, x: D.ContinuousBernoulli(logits=x), [[-1.0, 0.001, 3.0]]),
    "LowRankMultivariateNormal": (
        lambda D, loc, w, d: D.LowRankMultivariateNormal(loc, w, d),
        [[[0.5, -1.0, 2.0], [0.0, 0.1, 0.2]], [[1.0, 0.2], [-0.3, 0.5], [0.4, 0.9]], [1.0, 0.5, 2.0]],
    ),
    "MixtureSameFamily": (
        lambda D, p, loc, s: D.MixtureSameFamily(D.Categorical(p), D.Normal(loc, s)),
        [[0.2, 0.3, 0.5], [0.5, -1.0, 2.0], [1.0, 0.3, 2.5]],
    ),
    "MixtureSameFamily of vectors": (
        lambda D, x, loc, s: D.MixtureSameFamily(
            D.Categorical(logits=x), D.Independent(D.Normal(loc, s), 1)
        ),
        [[[0.2, -0.3]] * 3, [[[0.5, -1.0], [2.0, 0.0]]] * 3, [[1.0, 0.3], [2.5, 1.0]]],
    ),
    "GeneralizedPareto": (
        lambda D, loc, s, xi: D.GeneralizedPareto(loc, s, xi),
        [[0.5, -1.0, 2.0, 0.0], [1.0, 0.3, 2.5, 1.0], [0.2, -0.4, 0.0, 1.5]],
    ),
    "InverseGamma": (lambda D, a, b: D.InverseGamma(a, b), [[2.0, 0.5, 11.0], [3.0, 0.7, 4.0]]),
}  # fmt: skip
PATHWISE = {  # PyTorch approximates the derivatives of gamma and Dirichlet draws to three or four digits
    "Beta", "Gamma", "Dirichlet", "StudentT", "Chi2", "FisherSnedecor", "InverseGamma",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _validated() -> None:
    """Arguments are checked, whatever went before: `torch.compile` turns that off."""
    for library in LIBRARIES:
        library.distributions.Distribution.set_default_validate_args(True)


def build(library: Any, name: str, dtype: str = "float64") -> tuple[Any, list[Any]]:
    """The distribution and its parameters, leaves. (PyTorch's GeneralizedPareto has its densities in float32 alone.)"""
    make, values = CASES[name]
    if name == "GeneralizedPareto":
        dtype = "float32"
    leaves = [library.tensor(v, dtype=getattr(library, dtype), requires_grad=True) for v in values]
    return make(library.distributions, *leaves), leaves


def numbers(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().numpy())


def attempt(call: Callable[[], Any]) -> Any:
    """A result as an array with its type, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = call()
        except Exception as error:
            return type(error).__name__, str(error).replace("clew.", "torch.")
    return numbers(found), str(found.dtype).removeprefix("torch."), bool(found.requires_grad)


def compare(ours: Any, theirs: Any, rtol: float = 1e-6, atol: float = 6e-7) -> None:
    if isinstance(theirs[0], str):
        assert ours == theirs
        return
    assert not isinstance(ours[0], str), ours
    assert ours[1:] == theirs[1:]
    assert ours[0].shape == theirs[0].shape
    np.testing.assert_allclose(ours[0], theirs[0], rtol=rtol, atol=atol)


def gradients(library: Any, output: Any, leaves: list[Any]) -> list[np.ndarray]:
    """Of a weighted sum, so that no symmetry cancels them; zeros for what the output does not depend on."""
    weight = library.arange(1.0, output.numel() + 1, dtype=output.dtype).reshape(output.shape).sin()
    found = library.autograd.grad((output * weight).sum(), leaves, allow_unused=True)
    return [
        np.zeros(tuple(leaf.shape)) if g is None else numbers(g)
        for g, leaf in zip(found, leaves, strict=True)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_draws(name: str, dtype: str) -> None:
    drawn = []
    for library in LIBRARIES:
        distribution, _ = build(library, name, dtype)
        library.manual_seed(4)
        values = [distribution.sample(), distribution.sample((5,)), distribution.sample(library.Size([2, 3]))]
        assert not any(v.requires_grad for v in values)
        drawn.append(([numbers(v) for v in values], library.rand(2).tolist()))
    for theirs, ours in zip(drawn[0][0], drawn[1][0], strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10 if theirs.dtype == np.float64 else 2e-5)
    assert drawn[0][1] == drawn[1][1]  # the stream has gone on as far


@pytest.mark.parametrize("name", [n for n in CASES if build(torch, n)[0].has_rsample and CASES[n][1]])
def test_reparametrised_draws_and_their_gradients(name: str) -> None:
    found = []
    for library in LIBRARIES:
        distribution, leaves = build(library, name)
        library.manual_seed(4)
        value = distribution.rsample((6,))
        found.append((numbers(value), gradients(library, value, leaves)))
    double = found[0][0].dtype == np.float64
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-10 if double else 2e-5)
    rtol = 2e-3 if name in PATHWISE or not double else 1e-9
    for ours, theirs in zip(found[1][1], found[0][1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * max(1e-9, np.abs(theirs).max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_log_prob(name: str, dtype: str) -> None:
    torch.manual_seed(1)
    drawn = build(torch, name, dtype)[0].sample((4,))
    continuous = not build(torch, name)[0].support.is_discrete
    found = []
    for library in LIBRARIES:
        distribution, leaves = build(library, name, dtype)
        value = library.tensor(drawn.numpy())
        if continuous:
            leaves = [*leaves, value.requires_grad_()]
        result = distribution.log_prob(value)
        slopes = gradients(library, result, leaves) if leaves else []
        found.append((numbers(result), slopes, str(result.dtype)[-7:]))
    tolerance = {"rtol": 3e-4, "atol": 1e-4} if found[0][2] == "float32" else {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(found[1][0], found[0][0], **tolerance)
    for ours, theirs in zip(found[1][1], found[0][1], strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)
    assert found[0][2] == found[1][2]


@pytest.mark.parametrize("what", ["mean", "mode", "variance", "stddev", "entropy", "perplexity"])
@pytest.mark.parametrize("name", CASES)
def test_moments_and_entropy(name: str, what: str) -> None:
    found = []
    for library in LIBRARIES:
        distribution, leaves = build(library, name)

        def call(distribution: Any = distribution) -> Any:
            value = getattr(distribution, what)
            return value() if callable(value) else value

        slopes = None
        result = attempt(call)
        if not isinstance(result[0], str) and result[2]:
            slopes = gradients(library, call(), leaves)
        found.append((result, slopes))
    compare(found[1][0], found[0][0])
    assert (found[0][1] is None) == (found[1][1] is None)
    for ours, theirs in zip(found[1][1] or [], found[0][1] or [], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("what", ["cdf", "icdf"])
@pytest.mark.parametrize("name", CASES)
def test_distribution_functions(name: str, what: str) -> None:
    torch.manual_seed(1)
    drawn = build(torch, name)[0].sample((4,))
    if what == "icdf":
        drawn = torch.rand(drawn.shape, dtype=torch.float64)
    compare(*[
        attempt(lambda library=library: getattr(build(library, name)[0], what)(library.tensor(drawn.numpy())))
        for library in reversed(LIBRARIES)
    ])  # fmt: skip


@pytest.mark.parametrize("expand", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_enumerated_support(name: str, expand: bool) -> None:
    ours, theirs = [
        attempt(lambda library=library: build(library, name)[0].enumerate_support(expand))
        for library in reversed(LIBRARIES)
    ]
    compare(ours, theirs)


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_names(name: str) -> None:
    def described(library: Any) -> tuple[list[Any], list[np.ndarray]]:
        first, _ = build(library, name)
        batch = library.Size([4, *first.batch_shape])
        second = first.expand(batch)
        library.manual_seed(2)
        drawn = second.sample((2,))
        return [
            *[(repr(d), tuple(d.batch_shape), tuple(d.event_shape)) for d in (first, second)],
            repr(first.support),
            first.support.event_dim,
            first.has_rsample,
            first.has_enumerate_support,
            repr(sorted(first.arg_constraints.items())),
            [b.__name__ for b in type(first).__mro__ if b.__name__ != "ProbsOrLogits"][:2],
        ], [numbers(drawn), numbers(second.log_prob(drawn)), numbers(second.mean)]

    def plain(found: list[Any]) -> str:
        return repr(found).replace("clew", "torch")

    (ours, values), (theirs, expected) = described(clew), described(torch)
    assert plain(ours) == plain(theirs)
    for have, want in zip(values, expected, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["MultivariateNormal covariance", "MultivariateNormal precision", "LowRankMultivariateNormal"])  # fmt: skip
@pytest.mark.parametrize("what", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_matrices(name: str, what: str) -> None:
    found = []
    for library in LIBRARIES:
        distribution, leaves = build(library, name)
        result = getattr(distribution, what)
        found.append([numbers(result), *gradients(library, result, leaves)])
        assert getattr(distribution, what) is result  # computed once
    for ours, theirs in zip(*reversed(found), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", torch.distributions.__all__)
def test_every_name_is_there(name: str) -> None:
    assert hasattr(clew.distributions, name)


@pytest.mark.parametrize(
    "module",
    sorted({
        getattr(torch.distributions, n).__module__ for n in torch.distributions.__all__ if n[0].isupper()
    } | {"torch.distributions.utils", "torch.distributions.constraints"}),
)  # fmt: skip
def test_every_module_is_there(module: str) -> None:
    theirs, ours = importlib.import_module(module), importlib.import_module(module.replace("torch", "clew"))
    assert set(theirs.__all__) <= set(dir(ours))


PROGRAMS = {
    "parameter outside": lambda t: t.distributions.Normal(t.tensor([1.0]), t.tensor([-1.0])),
    "nan": lambda t: t.distributions.Normal(t.tensor([float("nan")], requires_grad=True), 1.0),
    "number outside": lambda t: t.distributions.Normal(0, -1),
    "no number": lambda t: t.distributions.Normal("0", 1),
    "unchecked": lambda t: t.distributions.Normal(0.0, -1.0, validate_args=False).scale,
    "value outside": lambda t: t.distributions.Bernoulli(t.tensor([0.5])).log_prob(t.tensor([0.5])),
    "value no tensor": lambda t: t.distributions.Normal(0.0, 1.0).log_prob(1.0),
    "value of another shape": lambda t: t.distributions.Normal(t.zeros(2, 3), 1.0).log_prob(t.zeros(2)),
    "event of another shape": lambda t: t.distributions.Dirichlet(t.ones(3)).log_prob(t.ones(2) / 2),
    "unchecked value": lambda t: t.distributions.Uniform(0.0, 1.0, False).log_prob(t.tensor([-1.0, 0.5])),
    "neither": lambda t: t.distributions.Categorical(),
    "both": lambda t: t.distributions.Bernoulli(0.5, 0.5),
    "no dimension": lambda t: t.distributions.Categorical(t.tensor(0.5)),
    "no simplex": lambda t: t.distributions.Categorical(t.tensor([-1.0, 2.0])),
    "three matrices": lambda t: t.distributions.MultivariateNormal(t.zeros(2), t.eye(2), t.eye(2)),
    "not definite": lambda t: t.distributions.MultivariateNormal(t.zeros(2), -t.eye(2)),
    "not definite in a batch": lambda t: t.distributions.MultivariateNormal(t.zeros(2), t.stack([t.eye(2), -t.eye(2)])),
    "low above high": lambda t: t.distributions.Uniform(1.0, 0.0),
    "geometric zero": lambda t: t.distributions.Geometric(t.tensor([0.0, 0.5])),
    "inhomogeneous": lambda t: t.distributions.Binomial(t.tensor([3, 4]), t.tensor(0.5)).entropy(),
    "multinomial counts": lambda t: t.distributions.Multinomial(t.tensor(3), t.ones(2)),
    "too many dimensions": lambda t: t.distributions.Independent(t.distributions.Normal(0.0, 1.0), 1),
    "no enumeration": lambda t: t.distributions.Independent(t.distributions.Bernoulli(t.ones(2)), 1).enumerate_support(),
    "components": lambda t: t.distributions.MixtureSameFamily(
        t.distributions.Categorical(t.ones(4)), t.distributions.Normal(t.zeros(3), 1.0)
    ),
    "mixture of none": lambda t: t.distributions.MixtureSameFamily(3, t.distributions.Normal(0.0, 1.0)),
    "wide expand": lambda t: t.distributions.Normal(t.zeros(3), 1.0).expand((2, 2)),
    "abstract": lambda t: t.distributions.Distribution(validate_args=False).sample(),
    "no constraints": lambda t: type("Bare", (t.distributions.Distribution,), {})().batch_shape,
    "sample_n": lambda t: t.distributions.Normal(t.zeros(3), 1.0).sample_n(2).shape,
    "default validation": lambda t: t.distributions.Distribution.set_default_validate_args(3),
    "log of zero": lambda t: t.distributions.Categorical(t.tensor([1.0, 0.0])).entropy(),
    "certain": lambda t: t.distributions.Bernoulli(t.tensor([0.0, 1.0])).log_prob(t.tensor([0.0, 1.0])),
    "certain failure": lambda t: t.distributions.Geometric(1.0).log_prob(t.tensor([0.0, 1.0])),
    "empty count": lambda t: t.distributions.NegativeBinomial(0.0, t.tensor([0.5])).log_prob(t.tensor([0.0])),
    "gamma cdf": lambda t: t.distributions.Gamma(t.tensor([2.0]), 1.5).cdf(t.tensor([0.5])),
    "own expand": lambda t: type(
        "Own", (t.distributions.Normal,), {"__init__": lambda self: t.distributions.Normal.__init__(self, 0.0, 1.0)}
    )().expand((2,)),
    "half precision": lambda t: t.distributions.Normal(t.zeros(2, dtype=t.float16), 1.0).log_prob(t.ones(2, dtype=t.float16)),
    "policy gradient": lambda t: _policy(t),
    "dirichlet mode": lambda t: t.distributions.Dirichlet(t.tensor([[0.5, 0.7], [1.5, 2.0]])).mode,
    "lazy under no_grad": lambda t: _lazy(t),
}  # fmt: skip


def _policy(t: Any) -> Any:
    t.manual_seed(0)
    net = t.nn.Linear(4, 3)
    distribution = t.distributions.Categorical(logits=net(t.randn(5, 4)))
    action = distribution.sample()
    (-distribution.log_prob(action) - 0.1 * distribution.entropy()).mean().backward()
    return action, net.weight.grad


def _lazy(t: Any) -> Any:
    distribution = t.distributions.Bernoulli(t.tensor([0.3], requires_grad=True))
    with t.no_grad():
        distribution.logits
    return distribution.logits.requires_grad


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs(program: Any) -> None:
    same(program)


@pytest.mark.parametrize("diagonal", [-1, 0, 1])
def test_triangles(diagonal: int) -> None:
    def program(t: Any) -> Any:
        utils = importlib.import_module(
            "clew.distributions.utils" if t is clew else "torch.distributions.utils"
        )
        vector = utils.tril_matrix_to_vec(t.arange(32.0).reshape(2, 4, 4), diagonal)
        return vector, utils.vec_to_tril_matrix(vector, diagonal)

    same(program)
