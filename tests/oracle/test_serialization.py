"""Files both ways: what PyTorch writes clew reads, and the other way round."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from translate_back import same_object

import clew
from clew import serialization

torch = pytest.importorskip("torch")

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128",
)  # fmt: skip
LAYOUTS = {
    "plain": lambda x: x,
    "transposed": lambda x: x.t(),
    "row": lambda x: x[1],
    "column": lambda x: x[:, 1],
    "every second": lambda x: x[:, ::2],
    "expanded": lambda x: x[:1].expand(3, 4),
    "scalar": lambda x: x[1, 2],
    "nothing": lambda x: x[:0],
    "with gaps": lambda x: x[1:, 1:],
}


def make(t, dtype, layout):
    x = t.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]).to(getattr(t, dtype))
    return LAYOUTS[layout](x)


def across(write, read, made, **options):
    file = io.BytesIO()
    write(made, file, **options)
    file.seek(0)
    return read(file)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_both_ways(dtype, layout):
    theirs, ours = make(torch, dtype, layout), make(clew, dtype, layout)
    same_object(theirs, across(torch.save, serialization.load, theirs))
    same_object(across(serialization.save, torch.load, ours), ours)
    same_object(theirs, across(serialization.save, serialization.load, ours))
    if dtype not in ("uint16", "uint32", "uint64"):
        same_object(
            theirs, across(torch.save, serialization.load, theirs, _use_new_zipfile_serialization=False)
        )


def containers(t):
    x = t.arange(6.0).reshape(2, 3)
    return {
        "list": [x, (x[0], None, True), {"k": 1.5}],
        "ordered": OrderedDict(a=x.t(), b=t.tensor(2.5)),
        "parameter": t.nn.Parameter(x * 2),
        "frozen": t.nn.Parameter(x, requires_grad=False),
        "leaf": t.ones(2, requires_grad=True),
        "size": x.shape,
        "dtype": t.bfloat16,
        "device": t.device("cpu"),
        "bytes": b"a\xff\x00",
        "set": {1, 2},
        "complex": 1 - 2j,
        "large": 1 << 80,
        3: "integer key",
    }


@pytest.mark.parametrize("protocol", [2, 4])
def test_containers_both_ways(protocol):
    same_object(
        containers(torch), across(torch.save, serialization.load, containers(torch), pickle_protocol=protocol)
    )
    read = torch.load if protocol == 2 else lambda f: torch.load(f, weights_only=False)
    same_object(
        across(serialization.save, read, containers(clew), pickle_protocol=protocol), containers(clew)
    )


def test_memory_is_shared_again():
    x = torch.zeros(3, 4)
    found = across(torch.save, serialization.load, [x, x[1], x])
    found[1].fill_(7)
    assert found[0][1].tolist() == [7] * 4
    assert found[0] is found[2]
    x = clew.zeros(3, 4)
    found = across(serialization.save, torch.load, [x, x[1], x])
    found[1].fill_(7)
    assert found[0][1].tolist() == [7] * 4
    assert found[0] is found[2]


def trained(t):
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.BatchNorm1d(4), t.nn.Linear(4, 2))
    optimizer = t.optim.Adam(net.parameters(), lr=0.01)
    scheduler = t.optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(3):
        optimizer.zero_grad()
        net(t.randn(5, 3)).pow(2).mean().backward()
        optimizer.step()
        scheduler.step()
    return {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}


def test_checkpoints_both_ways():
    theirs, ours = trained(torch), trained(clew)
    same_object(theirs, across(torch.save, serialization.load, theirs))
    same_object(across(serialization.save, torch.load, ours), ours)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    net.load_state_dict(across(serialization.save, torch.load, ours)["net"])


def test_whole_nets():
    net = clew.nn.Sequential(clew.nn.Linear(2, 3), clew.nn.ReLU(), clew.nn.Linear(3, 1))
    x = [[0.5, -1.0]]
    want = net(clew.tensor(x)).tolist()
    theirs = across(serialization.save, lambda f: torch.load(f, weights_only=False), net)
    np.testing.assert_allclose(theirs(torch.tensor(x)).tolist(), want, rtol=1e-6)
    again = across(torch.save, lambda f: serialization.load(f, weights_only=False), theirs)
    np.testing.assert_allclose(again(clew.tensor(x)).tolist(), want, rtol=1e-6)
    with serialization.safe_globals([clew.nn.Sequential, clew.nn.Linear, clew.nn.ReLU]):
        assert (
            across(torch.save, serialization.load, theirs)(clew.tensor(x)).tolist()
            == again(clew.tensor(x)).tolist()
        )


class Unknown:
    """A class that no list allows."""


def outcome(read, data, **options):
    try:
        return read(io.BytesIO(data), **options)
    except Exception as error:
        return type(error).__name__, str(error).split("failed.")[0]


def damaged():
    file = io.BytesIO()
    torch.save({"a": torch.arange(100.0)}, file)
    whole = file.getvalue()
    yield "empty", b""
    yield "garbage", b"garbage"
    yield "truncated", whole[:-100]
    yield "truncated early", whole[:300]
    file = io.BytesIO()
    torch.save([Unknown()], file)
    yield "not allowed", file.getvalue()


@pytest.mark.parametrize(("name", "data"), list(damaged()), ids=lambda v: v if isinstance(v, str) else "")
def test_the_same_errors(name, data):
    want, have = outcome(torch.load, data), outcome(serialization.load, data)
    assert have == want


def test_another_device():
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        across(torch.save, lambda f: serialization.load(f, map_location="cuda"), torch.ones(2))
    found = across(torch.save, lambda f: serialization.load(f, map_location={"cuda:0": "cpu"}), torch.ones(2))
    assert found.tolist() == [1, 1]


def test_names_that_loading_would_refuse(tmp_path):
    torch.save([Unknown(), torch.ones(2)], tmp_path / "x.pt")
    with open(tmp_path / "x.pt", "rb") as file:
        assert serialization.get_unsafe_globals_in_checkpoint(file) == [f"{__name__}.Unknown"]


def test_numpy_numbers_only_when_asked():
    made = {"loss": np.float64(0.5)}
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        across(torch.save, serialization.load, made)
    assert across(torch.save, lambda f: serialization.load(f, weights_only=False), made) == made


@pytest.mark.parametrize("kind", ["f8", "f4", ">f4", "i8", "?", "c16", "u1"])
def test_numpy_arrays_only_when_asked(kind):
    made = {"x": np.arange(6).reshape(2, 3).astype(kind), "y": np.asfortranarray(np.ones((2, 3), kind))}
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        across(torch.save, serialization.load, made)
    found = across(torch.save, lambda f: serialization.load(f, weights_only=False), made)
    for name, array in made.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


def test_numpy_arrays_of_objects_are_refused():
    made = np.array([{}, None], object)
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        across(torch.save, lambda f: serialization.load(f, weights_only=False), made)


def test_nets_that_hold_functions(tmp_path):
    net = clew.nn.TransformerEncoderLayer(8, 2, 16, activation=clew.nn.functional.gelu)
    clew.save(net, tmp_path / "net.pt")
    again = clew.load(tmp_path / "net.pt", weights_only=False)
    assert again.activation is clew.nn.functional.gelu
    assert torch.load(tmp_path / "net.pt", weights_only=False).activation is torch.nn.functional.gelu


def test_functions_of_a_file_are_never_called():
    class Calls:
        def __reduce__(self):
            return torch.nn.functional.relu, (torch.ones(3),)

    with pytest.raises(pickle.UnpicklingError, match="unrecognized function"):
        across(
            lambda made, f: torch.save(made, f),
            lambda f: serialization.load(f, weights_only=False),
            [Calls()],
        )
