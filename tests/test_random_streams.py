"""The random stream, against numbers recorded from PyTorch (`golden/record_random.py`)."""

import copy
import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clew as T
from clew import streams
from clew.ops import _draws

GOLDEN = json.loads((Path(__file__).parent / "golden" / "random.json").read_text())
# float64 results of the C library's functions may differ in the last bit between systems.
LIBRARY = ("normal", "randn", "exponential", "cauchy", "gamma")


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["expression"])
def test_draws_what_pytorch_draws(case):
    if "bfloat16" in case["dtype"]:
        pytest.importorskip("ml_dtypes")
    T.manual_seed(GOLDEN["seed"])
    drawn = eval(case["expression"], {"T": T})
    assert T.rand(1).item() == case["next"], "the stream has moved by another number of words"
    assert str(drawn.dtype).removeprefix("torch.") == case["dtype"]
    wide = case["dtype"] in ("float64", "complex128") and any(f in case["expression"] for f in LIBRARY)
    if "crc32" in case:
        if wide:
            pytest.skip("a checksum leaves no room for the C library's last bit")
        assert zlib.crc32(np.ascontiguousarray(drawn._array).tobytes()) == case["crc32"]
    elif wide:
        np.testing.assert_allclose(drawn.tolist(), case["values"], rtol=1e-14)
    else:
        assert drawn.tolist() == case["values"]


def test_state_is_pytorchs_byte_for_byte():
    fresh = T.Generator().manual_seed(GOLDEN["seed"]).get_state().numpy()
    assert zlib.crc32(fresh.tobytes()) == GOLDEN["states"]["fresh"]
    T.manual_seed(GOLDEN["seed"])
    T.randn(1001)
    assert zlib.crc32(T.get_rng_state().numpy().tobytes()) == GOLDEN["states"]["after randn(1001)"]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-(2**63), 2**64 - 1), st.lists(st.sampled_from([1, 3, 16, 20, 311, 624, 1000]), max_size=5)
)
def test_a_stream_goes_on_from_its_state(seed, sizes):
    """Also with the second normal of a pair kept, and at the end of a block of 624 words."""
    source = T.Generator().manual_seed(seed)
    assert source.initial_seed() == seed % 2**64
    for n in sizes:
        T.randn(n, generator=source)
    restored = T.Generator()
    restored.set_state(source.get_state())
    for other in (source.clone_state(), restored, pickle.loads(pickle.dumps(source)), copy.deepcopy(source)):
        assert T.equal(other.get_state(), source.get_state())
        ahead = T.Generator()
        ahead.set_state(source.get_state())
        assert T.equal(T.randn(7, generator=other), T.randn(7, generator=ahead))
        assert other.initial_seed() == source.initial_seed()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_draws_join(sizes):
    """One large draw is the small ones after one another."""
    T.manual_seed(1)
    parts = T.cat([T.rand(n) for n in sizes])
    T.manual_seed(1)
    assert T.equal(T.rand(sum(sizes)), parts)


@pytest.mark.parametrize(
    "expression",
    [
        "T._standard_gamma(T.rand(3000) * 3)", "T._sample_dirichlet(T.rand(900, 3) * 3)",
        "T.poisson(T.rand(3000) * 20)", "T.binomial(T.full((3000,), 40.0), T.rand(3000))", "T.randperm(3000)",
        "T.randn(5003)", "T.empty(4096).normal_(-3.0, 0.02)", "T.randn(999, dtype=T.bfloat16)", "T.randn(999, dtype=T.complex64)",
    ],
)  # fmt: skip
def test_compiled_loops_draw_as_the_plain_ones(expression, monkeypatch):
    """Also where the uniforms drawn ahead end again and again, and with half a pair of normals left behind."""

    def run(**sizes):
        for name, size in sizes.items():
            monkeypatch.setattr(_draws, name, size)
        T.manual_seed(3)
        T.randn(1)
        return eval(expression, {"T": T}), T.randn(3), T.get_rng_state()

    plain = run(FEW=1 << 20, COMPILED=1 << 20, SWAPS_COMPILED=1 << 20, NORMALS_COMPILED=1 << 20)
    ahead = run(FEW=1, _LONGEST=5)
    pytest.importorskip("numba")
    for drawn in (ahead, run(COMPILED=1, SWAPS_COMPILED=1, NORMALS_COMPILED=1)):
        for have, want in zip(drawn, plain, strict=True):
            assert T.equal(have, want)


@pytest.mark.parametrize("n", [16, 31, 1000, 1 << 15])
def test_many_normals_one_by_one(n):
    """What a tensor that is not contiguous gets: the stream of single normals."""
    one, many = streams.Generator().manual_seed(3), streams.Generator().manual_seed(3)
    streams.one_normal(one), streams.one_normal(many)  # leaves half a pair behind
    singles = [np.float32(streams.one_normal(one)) for _ in range(n)]
    drawn = streams.normal(many, (n,), np.dtype(np.float32), contiguous=False)
    assert drawn.tolist() == singles
    assert np.array_equal(one.raw_state(), many.raw_state())


def test_seed_and_generators_of_ones_own():
    before = T.get_rng_state()
    source = T.Generator()
    assert source.initial_seed() == 67280421310721
    assert T.equal(T.rand(3, generator=source), T.rand(3, generator=T.Generator()))
    assert source.seed() == source.initial_seed()
    assert T.equal(T.get_rng_state(), before)
    assert source.device == T.device("cpu")
    assert T.manual_seed(-1) is T.default_generator
    assert T.initial_seed() == 2**64 - 1
    assert T.seed() == T.initial_seed()


@pytest.mark.parametrize(
    ("act", "kind", "sentence"),
    [
        (lambda g: g.manual_seed(2**64), ValueError, "Overflow when unpacking long long"),
        (lambda g: g.manual_seed(-(2**63) - 1), ValueError, "Overflow when unpacking long long"),
        (lambda g: g.manual_seed(1.5), RuntimeError, "manual_seed expected a long, but got float"),
        (lambda g: g.set_state(T.zeros(5056, dtype=T.uint8)), RuntimeError, "Invalid mt19937 state"),
        (lambda g: g.set_state(T.zeros(5, dtype=T.uint8)), RuntimeError, "Expected a CPUGeneratorImplState of size 5056 but found the input RNG state size to be 5"),
        (lambda g: g.set_state(T.zeros(5056)), TypeError, "RNG state must be a torch.ByteTensor"),
        (lambda g: g.set_state(3), TypeError, "expected a torch.ByteTensor, but got int"),
    ],
)  # fmt: skip
def test_bad_input_leaves_the_stream_alone(act, kind, sentence):
    source = T.Generator().manual_seed(5)
    before = source.get_state()
    with pytest.raises(kind) as caught:
        act(source)
    assert str(caught.value).splitlines()[0] == sentence
    assert T.equal(source.get_state(), before)
