"""Tensors as text, against texts recorded from PyTorch (`golden/record_printing.py`)."""

import json
from pathlib import Path

import numpy as np
import pytest

from clew import printing

GOLDEN = json.loads((Path(__file__).parent / "golden" / "printing.json").read_text())


def describe(case):
    options = ",".join(f"{k}={v}" for k, v in case["options"].items())
    return " ".join([case["expression"], case["dtype"], case["default_dtype"], *case["suffixes"], options])


def array_of(case):
    values = np.array(eval(case["expression"], {"np": np, "nan": np.nan, "inf": np.inf}))
    with np.errstate(over="ignore"):
        if case["dtype"] == "bfloat16":
            return values.astype(np.float32).astype(pytest.importorskip("ml_dtypes").bfloat16)
        return values.astype(case["dtype"])


@pytest.fixture(autouse=True)
def _default_options():
    yield
    printing.set_printoptions(profile="default")


@pytest.mark.parametrize("case", GOLDEN, ids=describe)
def test_recorded(case):
    printing.set_printoptions(**case["options"])
    text = printing.format_tensor(
        array_of(case),
        dtype_name=case["dtype"],
        default_dtype=case["default_dtype"],
        suffixes=case["suffixes"],
    )
    assert text == case["text"]


def test_dtype_name_defaults_to_the_arrays():
    assert printing.format_tensor(np.array([True])) == "tensor([True])"
    assert printing.format_tensor(np.array([1.5])) == "tensor([1.5000], dtype=torch.float64)"


def test_prefix_sets_the_indent():
    text = printing.format_tensor(np.eye(2, dtype=np.float32), prefix="Weights(")
    assert text == "Weights([[1., 0.],\n         [0., 1.]])"


def test_device_comes_before_size_and_dtype():
    empty = np.zeros((0, 2), np.int64)
    text = printing.format_tensor(empty, device="cuda:0", suffixes=["requires_grad=True"])
    assert text == "tensor([], device='cuda:0', size=(0, 2), dtype=torch.int64, requires_grad=True)"


@pytest.mark.parametrize("shape", [(3, 4), (50, 60)])
def test_strides_do_not_matter(shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 8
    for view in (array.T, array[::-1], array[:, ::2], np.broadcast_to(array[0], (30, shape[1]))):
        assert printing.format_tensor(view) == printing.format_tensor(view.copy())


def test_options_are_set_and_restored():
    before = printing.get_printoptions()
    with pytest.raises(KeyError), printing.printoptions(precision=2, sci_mode=True):
        assert printing.get_printoptions() == {**before, "precision": 2, "sci_mode": True}
        raise KeyError
    assert printing.get_printoptions() == before
    printing.set_printoptions(profile="short", linewidth=60)
    assert printing.get_printoptions() == {**before, "precision": 2, "edgeitems": 2, "linewidth": 60}


def test_sci_mode_left_out_is_reset():
    printing.set_printoptions(sci_mode=True)
    printing.set_printoptions(precision=3)
    assert printing.get_printoptions()["sci_mode"] is None


def test_only_shown_elements_are_formatted():
    """A value in the hidden middle changes neither notation nor width."""
    array = np.ones((1000, 1000), np.float32)
    array[500, 500] = 1.2345e20
    assert printing.format_tensor(array) == printing.format_tensor(np.ones((1000, 1000), np.float32))
