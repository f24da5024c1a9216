"""Initialisers beside PyTorch's: the same seed gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")
from compare import check_error

SHAPES = [(3, 4), (5, 2), (17, 33), (4, 2, 3), (4, 6, 3, 3)]
FILLS: dict[str, Callable[..., Any]] = {
    "uniform_": lambda i, x: i.uniform_(x, -0.3, 1.7),
    "normal_": lambda i, x: i.normal_(x, 0.5, 2.0),
    "trunc_normal_": lambda i, x: i.trunc_normal_(x, std=0.7, a=-1.0, b=0.8),
    "trunc_normal_ narrow": lambda i, x: i.trunc_normal_(x, mean=0.2, std=2.0, a=-0.5, b=0.8),
    "constant_": lambda i, x: i.constant_(x, 0.3),
    "ones_": lambda i, x: i.ones_(x),
    "zeros_": lambda i, x: i.zeros_(x),
    "xavier_uniform_": lambda i, x: i.xavier_uniform_(x, gain=i.calculate_gain("relu")),
    "xavier_normal_": lambda i, x: i.xavier_normal_(x),
    "kaiming_uniform_": lambda i, x: i.kaiming_uniform_(x, a=2.2),
    "kaiming_uniform_ out": lambda i, x: i.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal_": lambda i, x: i.kaiming_normal_(x, mode="fan_out"),
    "orthogonal_": lambda i, x: i.orthogonal_(x, gain=1.5),
}


def filled(t: Any, fill: Callable[..., Any], shape: tuple[int, ...], dtype: str) -> np.ndarray:
    t.manual_seed(42)
    x = t.empty(shape, dtype=getattr(t, dtype), requires_grad=True)
    result = fill(t.nn.init, x)
    assert result is x
    assert x.requires_grad
    assert x.is_leaf
    return np.array(x.detach().numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FILLS)
def test_fills(name: str, shape: tuple[int, ...], dtype: str) -> None:
    want, have = (filled(t, FILLS[name], shape, dtype) for t in (torch, clew))
    near = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(have, want, rtol=near, atol=near / 10)
    if "uniform" in name and dtype == "float32":
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("shape", [(3, 4), (4, 4)])
def test_matrices(shape: tuple[int, ...]) -> None:
    for fill in (lambda i, x: i.eye_(x), lambda i, x: i.sparse_(x, 0.4)):
        np.testing.assert_allclose(*(filled(t, fill, shape, "float32") for t in (torch, clew)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 4, 3, 3), (2, 4, 3, 3, 3)])
def test_dirac(shape: tuple[int, ...]) -> None:
    for groups in (1, 2):
        np.testing.assert_array_equal(
            *(filled(t, lambda i, x, g=groups: i.dirac_(x, g), shape, "float32") for t in (torch, clew))
        )


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gains(name: str) -> None:
    assert clew.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert clew.nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_a_generator_of_ones_own() -> None:
    found = []
    for t in (torch, clew):
        x = t.nn.init.xavier_normal_(t.empty(3, 4), generator=t.Generator().manual_seed(3))
        found.append(x.numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.nn.init.xavier_uniform_(t.empty(3)),
        lambda t: t.nn.init.kaiming_uniform_(t.empty(3, 2), mode="fan_up"),
        lambda t: t.nn.init.kaiming_normal_(t.empty(3, 2), nonlinearity="cube"),
        lambda t: t.nn.init.calculate_gain("leaky_relu", "steep"),
        lambda t: t.nn.init.eye_(t.empty(3)),
        lambda t: t.nn.init.dirac_(t.empty(3, 2)),
        lambda t: t.nn.init.dirac_(t.empty(3, 2, 2), 2),
        lambda t: t.nn.init.orthogonal_(t.empty(3)),
        lambda t: t.nn.init.sparse_(t.empty(3), 0.1),
    ],
)
def test_errors(wrong: Callable[[Any], Any]) -> None:
    check_error(wrong)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_nothing_to_fill_warns(name: str) -> None:
    for t in (torch, clew):
        with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
            getattr(t.nn.init, name)(t.empty(0, 3))


def test_truncation_far_out_warns() -> None:
    for t in (torch, clew):
        with pytest.warns(UserWarning, match="mean is more than 2 std from"):
            t.nn.init.trunc_normal_(t.empty(4), mean=9.0)


def test_older_names_warn() -> None:
    sentences = []
    for t in (torch, clew):
        with pytest.warns(FutureWarning) as caught:
            t.nn.init.constant(t.empty(2), 3.0)
        sentences.append(str(caught[0].message))
    assert sentences[0] == sentences[1]
