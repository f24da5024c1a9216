"""Saving and loading without PyTorch: round trips, files that are broken or mean harm, writes that are interrupted."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import pytest

import clew
from clew import serialization


def round_trip(made, **options):
    file = io.BytesIO()
    clew.save(made, file)
    file.seek(0)
    return clew.load(file, **options)


def test_a_checkpoint(tmp_path):
    net = clew.nn.Linear(3, 2)
    clew.save({"net": net.state_dict(), "epoch": 3}, tmp_path / "x.pt")
    found = clew.load(tmp_path / "x.pt")
    assert found["epoch"] == 3
    for name, value in net.state_dict().items():
        assert clew.equal(value, found["net"][name])
    other = clew.nn.Linear(3, 2)
    other.load_state_dict(found["net"])
    assert clew.equal(other.weight, net.weight)


@pytest.mark.parametrize("mmap", [None, True])
def test_loaded_memory_can_be_written(tmp_path, mmap):
    clew.save([clew.arange(10.0), clew.ones(3, dtype=clew.bfloat16)], tmp_path / "x.pt")
    before = (tmp_path / "x.pt").read_bytes()
    found = clew.load(tmp_path / "x.pt", mmap=mmap)
    found[0].add_(1)
    assert found[0].tolist() == [*range(1, 11)]
    assert found[1].tolist() == [1, 1, 1]
    assert (tmp_path / "x.pt").read_bytes() == before


def test_records_are_aligned():
    file = io.BytesIO()
    clew.save([clew.ones(3), clew.zeros(5)], file)
    archive = zipfile.ZipFile(file)
    for info in archive.infolist():
        if "/data/" in info.filename:
            head = file.getvalue()[info.header_offset : info.header_offset + 30]
            at = (
                info.header_offset
                + 30
                + int.from_bytes(head[26:28], "little")
                + int.from_bytes(head[28:30], "little")
            )
            assert at % 64 == 0


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    class Stops:
        def __reduce__(self):
            raise KeyboardInterrupt

    path = tmp_path / "x.pt"
    clew.save(clew.ones(3), path)
    with pytest.raises(KeyboardInterrupt):
        clew.save([clew.zeros(3), Stops()], path)
    assert clew.load(path).tolist() == [1, 1, 1]
    assert os.listdir(tmp_path) == ["x.pt"]


def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "x.pt", tmp_path / "link.pt"
    clew.save(clew.ones(1), path)
    os.chmod(path, 0o640)
    link.symlink_to(path)
    clew.save(clew.zeros(1), link)
    assert link.is_symlink()
    assert clew.load(path).tolist() == [0]
    assert path.stat().st_mode & 0o777 == 0o640


# ---- files that mean harm ------------------------------------------------------------------------------------------------
class Calls:
    """Pickled as a call of whatever function one likes."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def archive(text, storages=(), compress=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as made:
        made.writestr("x/data.pkl", text)
        made.writestr("x/version", "3\n")
        for number, data in enumerate(storages):
            made.writestr(f"x/data/{number}", data)
    file.seek(0)
    return file


@pytest.mark.parametrize("weights_only", [None, True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_run(tmp_path, weights_only, protocol):
    trap = tmp_path / "trap"
    for harm in (
        Calls(os.mkdir, str(trap)),
        Calls(eval, f"open({str(trap)!r}, 'w')"),
        Calls(getattr, "", "join"),
    ):
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            clew.load(archive(pickle.dumps([harm], protocol)), weights_only=weights_only)
        assert not trap.exists()


def tensor_pickle(size, stride, offset=0, numel=4, kind="FloatStorage"):
    """The pickle of a float tensor on a storage of which one may claim what one likes."""
    from clew.serialization.names import Named

    class P(serialization.pickler.Pickler):
        def persistent_id(self, obj):
            return ("storage", Named("torch", kind), "0", "cpu", numel) if obj == "storage!" else None

    file = io.BytesIO()
    made = Calls(Named("torch._utils", "_rebuild_tensor_v2"), "storage!", offset, size, stride, False, None)
    P(file, 2).dump(made)
    return file.getvalue()


def test_a_proper_one():
    assert clew.load(archive(tensor_pickle((2, 2), (2, 1)), [bytes(16)])).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "claims",
    [
        {"size": (5,), "stride": (1,)},
        {"size": (4,), "stride": (1,), "offset": 1},
        {"size": (2,), "stride": (-1,), "offset": 3},
        {"size": (1 << 40,), "stride": (0,), "offset": -1},
        {"size": (2, 2), "stride": (1,)},
        {"size": (4,), "stride": (1 << 62,)},
        {"size": (2,), "stride": (1,), "numel": 1 << 50},
        {"size": (2,), "stride": (1.5,)},
    ],
)
def test_tensors_beyond_their_memory(claims):
    with pytest.raises((RuntimeError, pickle.UnpicklingError)):
        clew.load(archive(tensor_pickle(**claims), [bytes(16)]))


def test_compressed_bombs_are_refused():
    with pytest.raises(RuntimeError, match="compressed"):
        clew.load(archive(tensor_pickle((4,), (1,)), [bytes(1 << 20)], zipfile.ZIP_DEFLATED))


def test_a_missing_storage():
    with pytest.raises(RuntimeError, match="data/0: file not found"):
        clew.load(archive(tensor_pickle((4,), (1,))))


def test_a_flipped_bit():
    file = io.BytesIO()
    clew.save(clew.arange(100.0), file)
    data = bytearray(file.getvalue())
    data[data.index(clew.arange(100.0).numpy().tobytes()) + 8] ^= 1
    with pytest.raises(RuntimeError, match="failed reading file"):
        clew.load(io.BytesIO(bytes(data)))


@pytest.mark.parametrize("code", [b"\x82\x01", b"(i__main__\nX\n", b"Pabc\n"])
def test_instructions_that_are_never_written(code):
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        clew.load(archive(b"\x80\x02N" + code + b"."))


def test_a_memo_that_claims_to_be_huge():
    assert clew.load(archive(b"\x80\x02Nr\xff\xff\xff\x7f.")) is None


def test_attributes_of_the_list_stay_as_they_are():
    text = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb."
    with pytest.raises(pickle.UnpicklingError, match="Can only build"):
        clew.load(archive(text))


class Net(clew.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = clew.nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)


def test_nets_of_the_program():
    net = Net()
    with pytest.raises(pickle.UnpicklingError, match="add_safe_globals"):
        round_trip(net)
    x = clew.ones(1, 2)
    assert round_trip(net, weights_only=False)(x).tolist() == net(x).tolist()
    with serialization.safe_globals([Net, clew.nn.Linear]):
        assert round_trip(net)(x).tolist() == net(x).tolist()
    assert serialization.get_safe_globals() == []


def test_bad_arguments(tmp_path):
    with pytest.raises(FileNotFoundError):
        clew.load(tmp_path / "none.pt")
    with pytest.raises(RuntimeError, match="Parent directory"):
        clew.save(1, tmp_path / "none" / "x.pt")
    with pytest.raises(AttributeError, match="seekable"):
        clew.load(3)
    with pytest.raises(AttributeError, match="'write' attribute"):
        clew.save(1, 3)
