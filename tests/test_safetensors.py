"""Files of tensors by name: the round trip, and files that are damaged or made to harm."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import clew as torch
from clew.serialization import safetensors as st

DTYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "uint32", "int32", "float32", "uint64", "int64", "float64",
    "complex64",
)  # fmt: skip


def some() -> dict[str, Any]:
    made = {name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in DTYPES}
    return {
        **made,
        "nothing": torch.zeros(0, 3),
        "one": torch.tensor(2.5),
        "größe": torch.ones(1, requires_grad=True),
    }


def check_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found[name], tensor)
        assert not found[name].requires_grad


def test_there_and_back(tmp_path: Any) -> None:
    made = some()
    st.save_file(made, tmp_path / "x.safetensors", {"by": "clew"})
    check_same(st.load_file(tmp_path / "x.safetensors"), made)
    check_same(st.load(st.save(made)), made)
    st.load_file(tmp_path / "x.safetensors")["one"].add_(1)  # memory of its own
    with st.safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.keys() == sorted(made)
        assert file.metadata() == {"by": "clew"}
        part = file.get_slice("float32")
        assert (part.get_shape(), part.get_dtype(), part[:, 1].tolist()) == ([2, 3], "F32", [1, 4])
        with pytest.raises(st.SafetensorError, match="does not contain"):
            file.get_tensor("w")
    with st.safe_open(tmp_path / "x.safetensors", "np") as file:
        assert type(file.get_tensor("int8")) is np.ndarray


def test_every_tensor_stands_on_a_multiple_of_its_size() -> None:
    data = st.save(some())
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    starts = {n: e["data_offsets"][0] for n, e in json.loads(data[8 : 8 + size]).items()}
    for name in DTYPES:
        assert starts[name] % getattr(torch, name).itemsize == 0


def test_a_model_whose_parameters_are_shared(tmp_path: Any) -> None:
    def tied() -> Any:
        net = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False))
        net[1].weight = net[0].weight
        return net

    net, other = tied(), tied()
    with pytest.raises(RuntimeError, match="share memory"):
        st.save_file(net.state_dict(), tmp_path / "x.safetensors")
    st.save_model(net, tmp_path / "x.safetensors")
    assert st.load_model(other, tmp_path / "x.safetensors") == (set(), [])
    assert torch.equal(other[0].weight, net[0].weight)
    with pytest.raises(RuntimeError, match="Missing key"):
        st.load_model(torch.nn.Linear(3, 4), tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("made", "kind", "sentence"),
    [
        ({"a": torch.ones(2, 3).t()}, ValueError, "non contiguous"),
        ({"a": [1.0]}, ValueError, "expected torch.Tensor"),
        ([torch.ones(1)], ValueError, "Expected a dict"),
        ({"a": torch.ones(1, dtype=torch.complex128)}, ValueError, "no type for"),
    ],
)
def test_what_cannot_be_written_leaves_the_file(made: Any, kind: Any, sentence: str, tmp_path: Any) -> None:
    st.save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(kind, match=sentence):
        st.save_file(made, tmp_path / "x.safetensors")
    check_same(st.load_file(tmp_path / "x.safetensors"), {"a": torch.ones(2)})
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def file_of(header: Any, numbers: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


EIGHT = bytes(8)
DAMAGED = {
    "nothing": b"",
    "short": b"\1\2",
    "a header larger than the file": (1000).to_bytes(8, "little") + b"{}",
    "a header larger than memory": (1 << 60).to_bytes(8, "little") + b"{}",
    "no JSON": file_of(b"{nonsense"),
    "no UTF-8": file_of(b"\xff\xff"),
    "a list": file_of([1]),
    "deep": file_of(b"[" * 100_000),
    "cut off": file_of({"a": entry()}, EIGHT[:5]),
    "too long": file_of({"a": entry()}, EIGHT + b"more"),
    "a gap": file_of({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20)),
    "an overlap": file_of({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)),
    "another size": file_of({"a": entry(shape=[3])}, EIGHT),
    "a negative size": file_of({"a": entry(shape=[-1, -2])}, EIGHT),
    "an enormous shape": file_of({"a": entry(shape=[1 << 63])}, EIGHT),
    "offsets that descend": file_of({"a": entry(offsets=[8, 0])}, EIGHT),
    "a fraction": file_of({"a": entry(offsets=[0, 8.0])}, EIGHT),
    "truth as a number": file_of({"a": entry(shape=[True, 2])}, EIGHT),
    "an unknown type": file_of({"a": entry(dtype="F8_E4M3")}, EIGHT),
    "a type that is a list": file_of({"a": entry(dtype=[])}, EIGHT),
    "a name twice": file_of(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', EIGHT),
    "no offsets": file_of({"a": {"dtype": "F32", "shape": [2]}}, EIGHT),
    "no entry": file_of({"a": 3}, EIGHT),
    "metadata of numbers": file_of({"__metadata__": {"a": 1}}),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_and_hostile_files(name: str, tmp_path: Any) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(st.SafetensorError):
        st.load_file(path)
    with pytest.raises(st.SafetensorError):
        st.load(DAMAGED[name])


def test_a_file_that_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        st.load_file(tmp_path / "x.safetensors")


PROGRAM = """
import sys
import torch
from safetensors.torch import load_file, load_model, safe_open, save_file, save_model
path = sys.argv[1]
save_file({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16), "c": torch.tensor(3)}, path, {"by": "it"})
found = load_file(path)
print([found[name].tolist() for name in sorted(found)], found["b"].dtype)
with safe_open(path, "pt") as file:
    print(file.metadata(), file.get_slice("a")[:, 1].tolist(), file.get_tensor("c").item())
net = torch.nn.Linear(2, 1)
save_model(net, path)
other = torch.nn.Linear(2, 1)
print(load_model(other, path), torch.equal(net.weight, other.weight))
"""


def test_the_library_works_on_clews_tensors(tmp_path: Any) -> None:
    """`safetensors.torch` itself, where it is installed, under `clew run`."""
    pytest.importorskip("safetensors")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    made = subprocess.run(
        [sys.executable, "-m", "clew", "run", str(script), str(tmp_path / "x.safetensors")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [
        "[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [1.0, 1.0], 3] torch.bfloat16",
        "{'by': 'it'} [1.0, 4.0] 3",
        "(set(), []) True",
    ]
