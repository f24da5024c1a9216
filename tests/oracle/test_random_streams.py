"""The random stream against PyTorch's: the same bits and the same state afterwards, for any seed and size."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import clew

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "random.json").read_text())
# Elsewhere PyTorch itself computes blocks of normals another way and scales without fused multiply-add.
EXACT = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def bits(tensor):
    size = tensor.element_size()
    return (
        tensor.detach()
        .contiguous()
        .view(-1)
        .view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size])
        .numpy()
    )


def clew_bits(tensor):
    array = np.ascontiguousarray(tensor.detach()._array).reshape(-1)
    return array.view({1: np.uint8, 2: np.int16, 4: np.int32, 8: np.int64}[array.itemsize])


def compare(expression, seed):
    torch.manual_seed(seed)
    clew.manual_seed(seed)
    want, have = (eval(expression, {"T": module}) for module in (torch, clew))
    assert tuple(want.shape) == tuple(have.shape)
    assert str(want.dtype) == str(have.dtype)
    if EXACT or not want.dtype.is_floating_point:
        np.testing.assert_array_equal(clew_bits(have), bits(want))
    else:
        np.testing.assert_allclose(
            have.tolist(), want.tolist(), rtol=8 * torch.finfo(want.dtype).eps, atol=1e-3
        )
    assert np.array_equal(clew.get_rng_state().numpy(), torch.get_rng_state().numpy()), "state"


@pytest.mark.parametrize("expression", [case["expression"] for case in GOLDEN["cases"]])
@pytest.mark.parametrize("seed", [0, -1, 2**40 + 17])
def test_same_bits_and_state(expression, seed):
    compare(expression, seed)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    "fill",
    ["uniform_()", "uniform_(-0.7, 0.7)", "normal_()", "normal_(-100.0, 7.0)", "exponential_(0.3)", "geometric_(0.001)",
     "cauchy_()", "log_normal_(-0.1, 0.3)", "bernoulli_(0.9)", "random_()"],
)  # fmt: skip
def test_many(fill, dtype):
    compare(f"T.empty(200_003, dtype=T.{dtype}).{fill}", 11)


@pytest.mark.parametrize("n", [*range(40), 623, 624, 625, 1248, 10_000])
@pytest.mark.parametrize("draw", ["rand", "randn", "randperm"])
def test_sizes(draw, n):
    compare(f"T.{draw}({n})", n)


@pytest.mark.parametrize(
    "span", [1, 2, 3, 1000, 2**27, 2**28 - 1, 2**28, 2**28 + 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1]
)
def test_integer_ranges(span):
    compare(f"T.randint(0, {span}, (500,))", 4)
    compare(f"T.randint(-7, {span} - 7, (500,))", 4)


def test_states_travel_both_ways():
    ours, theirs = clew.Generator().manual_seed(9), torch.Generator().manual_seed(9)
    clew.randn(3, generator=ours)
    theirs.set_state(torch.from_numpy(ours.get_state().numpy().copy()))
    want = torch.randn(5, generator=theirs)
    ours.set_state(clew.tensor(theirs.get_state().tolist(), dtype=clew.uint8))
    assert clew.randn(5, generator=ours).tolist() == torch.randn(5, generator=theirs).tolist()
    assert want.shape == (5,)


@pytest.mark.parametrize(
    "act",
    [
        lambda T, g: g.manual_seed(2**64),
        lambda T, g: g.manual_seed(1.5),
        lambda T, g: g.set_state(T.zeros(5056, dtype=T.uint8)),
        lambda T, g: g.set_state(T.zeros(5, dtype=T.uint8)),
        lambda T, g: g.set_state(T.zeros(5056)),
        lambda T, g: g.set_state(3),
    ],
)
def test_same_errors(act):
    sentences = []
    for module in (torch, clew):
        with pytest.raises((RuntimeError, TypeError, ValueError)) as caught:
            act(module, module.Generator())
        sentences.append((caught.type, str(caught.value).splitlines()[0]))
    assert sentences[0] == sentences[1]
