"""What normalised, orthogonal and pruned weights are, by their definitions; averages and Muon by theirs."""

from __future__ import annotations

import numpy as np
import pytest

import clew as torch
from clew import nn
from clew.nn.utils import parametrizations, parametrize, prune


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(5, 4, dtype=torch.float64)


def largest(weight):
    return np.linalg.svd(weight.detach().numpy(), compute_uv=False)[0]


def test_lengths(layer):
    parametrizations.weight_norm(layer)
    with torch.no_grad():
        layer.parametrizations.weight.original0.fill_(2.0)
    torch.testing.assert_close(layer.weight.norm(dim=1), torch.full((4,), 2.0, dtype=torch.float64))


def test_largest_singular_value(layer):
    parametrizations.spectral_norm(layer)
    for _ in range(200):
        layer.weight
    assert largest(layer.weight) == pytest.approx(1.0)


def test_largest_singular_value_of_the_older_way(layer):
    nn.utils.spectral_norm(layer)
    for _ in range(200):
        layer(torch.zeros(1, 5, dtype=torch.float64))
    assert largest(layer.weight) == pytest.approx(1.0)
    nn.utils.remove_spectral_norm(layer)
    assert isinstance(layer.weight, nn.Parameter) and largest(layer.weight) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_orthogonal_through_training(layer, kind):
    parametrizations.orthogonal(layer, orthogonal_map=kind)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.detach()
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.ones(1, 5, dtype=torch.float64)).sum().backward()
        optimizer.step()
    torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(4, dtype=torch.float64))
    assert not torch.allclose(layer.weight, before)


def test_a_parametrization_has_a_class_of_its_own(layer):
    other = nn.Linear(5, 4)
    parametrize.register_parametrization(layer, "weight", nn.ReLU())
    assert (layer.weight >= 0).all() and type(layer) is not type(other)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and (layer.weight >= 0).all()


def test_half_of_all_weights(layer):
    second = nn.Linear(4, 5)
    prune.global_unstructured([(layer, "weight"), (second, "weight")], prune.L1Unstructured, amount=0.5)
    assert (layer.weight_mask == 0).sum() + (second.weight_mask == 0).sum() == 20
    layer(torch.ones(1, 5, dtype=torch.float64)).sum().backward()
    assert (layer.weight_orig.grad[layer.weight_mask == 0] == 0).all()


def test_kinds_of_pruning_that_there_are_not(layer):
    class Other(prune.BasePruningMethod):
        PRUNING_TYPE = "other"

        def compute_mask(self, t, default_mask):
            return default_mask

    class Rows(Other):
        PRUNING_TYPE = "structured"

    for kind, sentence, error in (
        (Other, "Unrecognized", ValueError),
        (Rows, "attribute `dim`", AttributeError),
    ):
        prune.identity(layer, "bias")
        with pytest.raises(error, match=sentence):
            kind.apply(layer, "bias")
        assert prune.is_pruned(layer)
        prune.remove(layer, "bias")


def test_the_mean_of_the_weights(layer):
    averaged = torch.optim.swa_utils.AveragedModel(layer)
    values = []
    for i in range(3):
        with torch.no_grad():
            layer.weight.add_(i)
        values.append(layer.weight.detach().clone())
        averaged.update_parameters(layer)
    torch.testing.assert_close(averaged.module.weight.detach(), sum(values) / 3)
    assert int(averaged.n_averaged) == 3


def test_muon_steps_in_all_directions_alike():
    w = torch.zeros(6, 4, requires_grad=True)
    optimizer = torch.optim.Muon([w], lr=1.0, weight_decay=0.0)
    torch.manual_seed(0)
    w.grad = torch.randn(6, 4)
    optimizer.step()
    values = np.linalg.svd(w.detach().numpy(), compute_uv=False) / (6 / 4) ** 0.5
    assert (values > 0.6).all() and (values < 1.3).all()


def test_memory_formats_of_convolutions():
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Conv3d(2, 3, 2))
    before = model[0].weight.detach().clone()
    assert nn.utils.memory_format.convert_conv2d_weight_memory_format(model, torch.channels_last) is model
    nn.utils.convert_conv3d_weight_memory_format(model, torch.contiguous_format)
    torch.testing.assert_close(model[0].weight.detach(), before)


def test_names_that_there_are_not():
    with pytest.raises(AttributeError, match=r"torch\.nn\.utils"):
        nn.utils.no_such_name
