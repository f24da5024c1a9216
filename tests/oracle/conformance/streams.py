"""Random functions: the same numbers as PyTorch's for a seed, on the CPU.

Each expression is evaluated in both libraries (`T`) after the same seed, a few times with different ones, and then the next
uniform number is drawn, which tells whether both streams have moved equally far.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

SEEDS = (0, 1, 20260)

SAMES = "the same numbers"
ROUNDED = "the same to rounding"
OTHER = "other numbers"

# What each name draws. x: 40 numbers in (0, 1), made without the stream.
DRAWS: dict[str, str] = {
    "rand": "T.rand(40)", "rand_like": "T.rand_like(x)", "randn": "T.randn(40)", "randn_like": "T.randn_like(x)",
    "randint": "T.randint(100, (40,))", "randint_like": "T.randint_like(x, 100)", "randperm": "T.randperm(40)",
    "normal": "T.normal(x, x)", "bernoulli": "T.bernoulli(x)", "binomial": "T.binomial(100 * x, x)", "poisson": "T.poisson(30 * x)",
    "multinomial": "T.multinomial(x, 20)", "multinomial with replacement": "T.multinomial(x, 20, True)",
    "_standard_gamma": "T._standard_gamma(3 * x)", "_sample_dirichlet": "T._sample_dirichlet(3 * x)",
    **{f"Tensor.{name}_": f"x.{name}_({arguments})" for name, arguments in (
        ("uniform", ""), ("normal", ""), ("random", ""), ("bernoulli", "0.3"), ("exponential", ""), ("geometric", "0.3"),
        ("cauchy", ""), ("log_normal", ""))},
    **{f"nn.init.{name}": f"T.nn.init.{name}(x.view(5, 8){arguments})" for name, arguments in (
        ("uniform_", ""), ("normal_", ""), ("trunc_normal_", ""), ("xavier_uniform_", ""), ("xavier_normal_", ""),
        ("kaiming_uniform_", ""), ("kaiming_normal_", ""), ("orthogonal_", ""), ("sparse_", ", 0.3"))},
    **{f"nn.functional.{name}": f"F.{name}({arguments})" for name, arguments in (
        ("dropout", "x"), ("alpha_dropout", "x, training=True"), ("dropout1d", "x.view(5, 8)"), ("dropout2d", "x.view(5, 2, 2, 2)"),
        ("dropout3d", "x.view(5, 1, 2, 2, 2)"), ("feature_alpha_dropout", "x.view(5, 8), training=True"), ("rrelu", "x - 0.5, training=True"),
        ("gumbel_softmax", "x.view(5, 8)"), ("fractional_max_pool2d", "x.view(1, 1, 5, 8), 2, (2, 3)"),
        ("fractional_max_pool3d", "x.view(1, 1, 2, 4, 5), 1, (1, 2, 2)"),
        ("scaled_dot_product_attention", "x.view(1, 5, 8), x.view(1, 5, 8), x.view(1, 5, 8), dropout_p=0.3"))},
    "nn.Dropout": "T.nn.Dropout()(x)", "nn.AlphaDropout": "T.nn.AlphaDropout()(x)",
    **{f"nn.{name}": f"T.cat([p.flatten() for p in T.nn.{name}({arguments}).parameters()])" for name, arguments in (
        ("Linear", "8, 5"), ("Bilinear", "3, 4, 5"), ("Conv1d", "2, 3, 3"), ("Conv2d", "2, 3, 3"), ("ConvTranspose2d", "2, 3, 3"),
        ("Embedding", "5, 8"), ("EmbeddingBag", "5, 8"), ("RNN", "3, 4"), ("LSTM", "3, 4, 2"), ("GRU", "3, 4"), ("MultiheadAttention", "8, 2"),
        ("TransformerEncoderLayer", "8, 2, 16"), ("Transformer", "8, 2, 1, 1, 16"))},
    "nn.LSTM with dropout": "T.nn.LSTM(8, 4, 3, dropout=0.5)(x.view(5, 1, 8))[0]",
    "nn.MultiheadAttention with dropout": "T.nn.MultiheadAttention(8, 2, dropout=0.5)(*[x.view(5, 1, 8)] * 3)[0]",
    "nn.utils.prune.random_unstructured": "prune.random_unstructured(T.nn.Linear(8, 5), 'weight', 0.4).weight",
    "nn.utils.parametrizations.spectral_norm": "T.nn.utils.parametrizations.spectral_norm(T.nn.Linear(8, 5)).weight",
    "utils.data.random_split": "T.tensor([i for part in T.utils.data.random_split(range(40), [30, 10]) for i in part])",
    "utils.data.DataLoader, shuffled": "T.cat(list(T.utils.data.DataLoader(T.arange(40), 7, shuffle=True)))",
    "utils.data.RandomSampler with replacement": "T.tensor(list(T.utils.data.RandomSampler(range(40), True)))",
    "utils.data.WeightedRandomSampler": "T.tensor(list(T.utils.data.WeightedRandomSampler(x.tolist(), 30)))",
    "utils.data.SubsetRandomSampler": "T.tensor(list(T.utils.data.SubsetRandomSampler(range(40))))",
    "svd_lowrank": "T.svd_lowrank(x.view(5, 8), 3)[1]", "pca_lowrank": "T.pca_lowrank(x.view(5, 8), 3)[1]",
    "lobpcg": "T.lobpcg(x.view(5, 8).T @ x.view(5, 8) + T.eye(8), 1)[0]",
    "quasirandom.SobolEngine, scrambled": "T.quasirandom.SobolEngine(3, scramble=True).draw(8)",
    **{f"distributions.{name}": f"D.{name}({arguments}).sample(({shape}))" for name, arguments, shape in (
        ("Bernoulli", "x", ""), ("Beta", "3 * x, 2 * x", ""), ("Binomial", "20, x", ""), ("Categorical", "x.view(5, 8)", "6,"),
        ("Cauchy", "x, x", ""), ("Chi2", "9 * x", ""), ("ContinuousBernoulli", "x", ""), ("Dirichlet", "3 * x.view(5, 8)", ""),
        ("Exponential", "x", ""), ("FisherSnedecor", "9 * x, 5 * x", ""), ("Gamma", "5 * x, x", ""), ("GeneralizedPareto", "x, x, x", ""),
        ("Geometric", "x", ""), ("Gumbel", "x, x", ""), ("HalfCauchy", "x", ""), ("HalfNormal", "x", ""), ("InverseGamma", "5 * x, x", ""),
        ("Kumaraswamy", "x, x", ""), ("LKJCholesky", "3, 0.7", "4,"), ("Laplace", "x, x", ""), ("LogNormal", "x, x", ""),
        ("LogisticNormal", "x, x", ""), ("LowRankMultivariateNormal", "x[:4], x[:8].view(4, 2), x[:4]", "5,"),
        ("MixtureSameFamily", "D.Categorical(x[:8]), D.Normal(x[:8], x[:8])", "5,"), ("Multinomial", "9, x.view(5, 8)", ""),
        ("MultivariateNormal", "x[:4], T.eye(4) * 2", "5,"), ("NegativeBinomial", "9 * x, x", ""), ("Normal", "x, x", ""),
        ("OneHotCategorical", "x.view(5, 8)", ""), ("Pareto", "x, x", ""), ("Poisson", "20 * x", ""), ("RelaxedBernoulli", "x[:1], x", ""),
        ("RelaxedOneHotCategorical", "x[:1], x", ""), ("StudentT", "9 * x", ""), ("Uniform", "x, x + 1", ""), ("VonMises", "x, x", ""),
        ("Weibull", "x, x", ""), ("Wishart", "T.tensor(5.0), T.eye(3)", ""))},
}  # fmt: skip

# Why a function's numbers are not PyTorch's.
REASONS: dict[str, str] = {}


def outcome(expression: str) -> str:
    """How far the numbers agree, or what was raised."""
    import torch

    import clew

    exact = True
    for seed in SEEDS:
        drawn = []
        for t in (torch, clew):
            prune = import_module(f"{t.__name__}.nn.utils.prune")
            x = t.tensor((np.arange(1, 41) * 0.6180339887 % 1).astype(np.float32))
            t.manual_seed(seed)
            try:
                names = {"T": t, "F": t.nn.functional, "D": t.distributions, "prune": prune, "x": x}
                made = eval(expression, names)
            except Exception as error:
                return (
                    f"{'PyTorch: ' if t is torch else ''}{type(error).__name__}: {str(error).splitlines()[0]}"
                )
            drawn.append((made.detach().numpy(), t.rand(1).item()))
        (want, next_want), (have, next_have) = drawn
        if want.shape != have.shape or want.dtype != have.dtype or next_want != next_have:
            return OTHER
        if not np.allclose(have, want, rtol=1e-4, atol=1e-6, equal_nan=True):
            return OTHER
        exact = exact and np.array_equal(have, want, equal_nan=True)
    return SAMES if exact else ROUNDED


def outcomes() -> Iterator[tuple[str, str]]:
    """Every function and how far its numbers agree."""
    for name, expression in DRAWS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield name, outcome(expression)


def section(found: dict[str, Any] | None = None) -> list[str]:
    """The page's lines about random functions."""
    found = dict(outcomes()) if found is None else found
    same, rounded = ([f"`{n}`" for n, how in found.items() if how == wanted] for wanted in (SAMES, ROUNDED))
    lines = [
        "## Random functions",
        "",
        f"Of {len(found)} functions that draw, by the same seed on the CPU {len(same)} give PyTorch's numbers bit for bit, "
        f"{len(rounded)} to rounding of what is computed from them; all of these leave the stream where PyTorch leaves it.",
        "",
        f"- {SAMES}: {', '.join(same)}.",
        f"- {ROUNDED}: {', '.join(rounded)}.",
    ]
    rest = {n: how for n, how in found.items() if how not in (SAMES, ROUNDED)}
    lines += ["", "The rest:", ""] if rest else ["", "The rest: none."]
    lines += [f"- `{n}`: {REASONS.get(n, how)}." for n, how in rest.items()]
    return lines
