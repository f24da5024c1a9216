"""Tensors as text, against PyTorch's on the spot."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clew import printing

torch = pytest.importorskip("torch")

FLOATING = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGER = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-4, 1e8, 1e100, 1e-100]),
    st.integers(-2000, 2000).map(float),
    st.floats(-10, 10),
    st.floats(),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
options = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 9),
        "threshold": st.sampled_from([0, 5, 50, float("inf")]),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.integers(5, 130),
        "sci_mode": st.booleans(),
        "profile": st.sampled_from(["default", "short", "full"]),
    },
)


class Longname(torch.Tensor):
    pass


def pair(values, dtype):
    """The same numbers for either library."""
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            tensor = torch.from_numpy(values.astype(np.float32)).bfloat16()
            return tensor, tensor.float().numpy().astype(ml_dtypes.bfloat16)
        array = values.astype(dtype)
        return torch.from_numpy(array.copy()), array


def assert_same_text(tensor, array, default="float32", state="", prefix="tensor(", **chosen):
    suffixes = []
    if state:
        tensor = tensor.detach().requires_grad_()
        suffixes = ["requires_grad=True"]
    if state == "grad_fn":
        tensor = tensor.clone()
        suffixes = ["grad_fn=<CloneBackward0>"]
    torch.set_default_dtype(getattr(torch, default))
    try:
        with torch._tensor_str.printoptions(**chosen):
            want = repr(tensor)
    finally:
        torch.set_default_dtype(torch.float32)
    with printing.printoptions(**chosen):
        have = printing.format_tensor(array, default_dtype=default, suffixes=suffixes, prefix=prefix)
    assert have == want


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_floating_or_complex(data):
    dtype = data.draw(st.sampled_from(FLOATING + COMPLEX))
    shape = data.draw(shapes)
    values = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    if dtype in COMPLEX:
        values = values.astype(np.complex128)
        values.imag = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    tensor, array = pair(values, dtype)
    default = data.draw(st.sampled_from(["float32", "float64"]))
    state = data.draw(st.sampled_from(["", "requires_grad", "grad_fn"]))
    assert_same_text(tensor, array, default, state, **data.draw(options))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_integer(data):
    dtype = np.dtype(data.draw(st.sampled_from(INTEGER)))
    array = data.draw(hnp.arrays(dtype, shapes))
    assert_same_text(torch.from_numpy(array.copy()), array, **data.draw(options))


SPREADS = {
    "unit": lambda r, n: r.standard_normal(n),
    "whole": lambda r, n: np.round(r.standard_normal(n) * 300),
    "wide": lambda r, n: np.exp(r.standard_normal(n) * 12),
    "tiny": lambda r, n: r.standard_normal(n) * 1e-6,
    "huge": lambda r, n: r.standard_normal(n) * 1e9,
    "holes": lambda r, n: r.choice([np.nan, np.inf, -np.inf, -0.0, 0.25, -1.5], n),
    "zeros": lambda r, n: np.where(r.random(n) < 0.5, -0.0, 0.0),
}
SHAPES = [
    (),
    (1,),
    (20,),
    (1000,),
    (1001,),
    (3, 30),
    (6, 200),
    (7, 200),
    (300, 2, 3),
    (2, 3, 4, 5),
    (8, 9, 10, 9),
]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("dtype", FLOATING + COMPLEX)
def test_spreads_and_shapes(dtype, spread):
    r = np.random.default_rng(5)
    for shape in SHAPES:
        values = np.array(SPREADS[spread](r, shape))
        if dtype in COMPLEX:
            values = values.astype(np.complex128)
            values.imag = SPREADS[spread](r, shape)
        assert_same_text(*pair(values, dtype))


@pytest.mark.parametrize("state", ["", "requires_grad", "grad_fn"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_where_parts_wrap(dtype, state):
    for n in (0, 1, 2, 5, 12):
        for shape in ((n,), (2, n)):
            tensor, array = pair(np.arange(np.prod(shape)).reshape(shape) / 3, dtype)
            for width in range(20, 110):
                assert_same_text(tensor, array, state=state, linewidth=width)


@pytest.mark.parametrize("width", range(20, 60))
def test_names_of_subclasses(width):
    tensor, array = pair(np.arange(12).reshape(3, 4) / 3, "float64")
    assert_same_text(tensor.as_subclass(Longname), array, prefix="Longname(", linewidth=width)


@pytest.mark.parametrize(
    "chosen",
    [{}, {"precision": 2}, {"profile": "FULL"}, {"profile": "short", "threshold": 7}, {"sci_mode": False}],
    ids=str,
)
def test_options_after_setting(chosen):
    with torch._tensor_str.printoptions(**chosen), printing.printoptions(**chosen):
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
