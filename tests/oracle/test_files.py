"""Whole checkpoints both ways, and the same tensors in `.safetensors` files."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from translate_back import same_object

import clew
from clew.serialization import safetensors as own

torch = pytest.importorskip("torch")

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128",
)  # fmt: skip
SHAPES = [(), (1,), (5,), (3, 4), (0,), (2, 0, 3), (2, 1, 3), (2, 3, 4, 5)]


def numbers(t: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    count = int(np.prod(shape))
    return (t.arange(count) % 7).to(getattr(t, dtype)).reshape(shape)


def across(write: Any, read: Any, made: Any) -> Any:
    file = io.BytesIO()
    write(made, file)
    file.seek(0)
    return read(file)


def both_ways(build: Any) -> None:
    """PyTorch's file read by clew, clew's by PyTorch."""
    theirs, ours = build(torch), build(clew)
    same_object(theirs, across(torch.save, clew.load, theirs))
    same_object(across(clew.save, torch.load, ours), ours)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes(dtype: str, shape: tuple[int, ...]) -> None:
    def build(t: Any) -> Any:
        x = numbers(t, dtype, shape)
        return [x, x.permute(tuple(range(x.dim()))[::-1]), x.unsqueeze(0).expand(3, *shape)]

    both_ways(build)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shared_memory(dtype: str) -> None:
    """Every pair of parts of one memory is one memory again, written through."""

    def parts(t: Any) -> Any:
        x = numbers(t, dtype, (3, 4))
        return {
            "whole": x,
            "row": x[1],
            "column": x[:, 2],
            "turned": x.t(),
            "again": x,
            "corner": x[1:, 2:],
            "flat": x.view(-1),
        }

    both_ways(parts)
    for build, write, read in ((torch, torch.save, clew.load), (clew, clew.save, torch.load)):
        found = across(write, read, parts(build))
        assert len({x.untyped_storage().data_ptr() for x in found.values()}) == 1
        assert found["again"] is found["whole"]
        found["whole"].fill_(1)
        for x in found.values():
            assert bool((x == 1).all())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "complex64"])
def test_nested_containers(dtype: str) -> None:
    def build(t: Any) -> Any:
        x = numbers(t, dtype, (2, 3))
        deep: Any = x
        for level in range(12):
            deep = {"level": level, "inside": [deep, (x, level)]}
        return {
            "deep": deep,
            "model": OrderedDict([("0.weight", x), ("0.bias", x[0])]),
            "epoch": 3, "best": 0.25, "done": False, "name": "größe", "none": None, "large": -(1 << 70), "infinite": float("inf"),
            "empty": [{}, [], (), OrderedDict(), set()], "history": [(i, i / 2) for i in range(300)], ("a", 1): {2: x, None: x},
            "rng": t.get_rng_state().clone().zero_(), "dtype": t.float16, "shape": x.shape,
        }  # fmt: skip

    both_ways(build)


# ---- optimizers and schedules --------------------------------------------------------------------------------------------
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9}, "Adam": {"amsgrad": True}, "AdamW": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "Adagrad": {},
    "Adadelta": {}, "Adafactor": {}, "RMSprop": {"momentum": 0.5, "centered": True}, "Rprop": {}, "ASGD": {}, "LBFGS": {"max_iter": 3}, "Muon": {},
}  # fmt: skip
SCHEDULES: dict[str, Any] = {
    "StepLR": lambda s, o: s.StepLR(o, 2), "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 4]), "LinearLR": lambda s, o: s.LinearLR(o),
    "ConstantLR": lambda s, o: s.ConstantLR(o), "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9), "PolynomialLR": lambda s, o: s.PolynomialLR(o),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5), "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, 50), "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o), "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.9**e),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.9), "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o), s.StepLR(o, 2)]),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o), s.StepLR(o, 2)], [2]),
}  # fmt: skip


def training(t: Any, name: str, options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A parameter, its optimizer, and a step."""
    w = t.tensor(np.linspace(-1, 1, 6).reshape(2, 3), requires_grad=True)
    optimizer = getattr(t.optim, name)([w], **options)

    def step() -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = ((w - 0.3) ** 2).sum() + w.sin().sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    return w, optimizer, step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_goes_on_in_the_other_library(name: str) -> None:
    """Five steps here, saved, five there: the same as ten steps in one of them."""

    def begin(t: Any) -> Any:
        w, optimizer, step = training(t, name, OPTIMIZERS[name])
        for _ in range(5):
            step()
        return {"w": w.detach(), "optimizer": optimizer.state_dict()}

    def go_on(t: Any, saved: Any) -> Any:
        w, optimizer, step = training(t, name, OPTIMIZERS[name])
        with t.no_grad():
            w.copy_(saved["w"])
        optimizer.load_state_dict(saved["optimizer"])
        for _ in range(5):
            step()
        return w.detach().numpy()

    want = go_on(torch, across(torch.save, torch.load, begin(torch)))
    near = 3e-2 if name == "Muon" else 1e-7  # Muon's steps have eight bits
    np.testing.assert_allclose(go_on(clew, across(torch.save, clew.load, begin(torch))), want, near, near)
    np.testing.assert_allclose(go_on(torch, across(clew.save, torch.load, begin(clew))), want, near, near)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_in_the_other_library(name: str) -> None:
    def made(t: Any) -> tuple[Any, Any]:
        optimizer = t.optim.SGD([t.ones(1, requires_grad=True)], 0.1, momentum=0.9)
        return optimizer, SCHEDULES[name](t.optim.lr_scheduler, optimizer)

    def steps(optimizer: Any, schedule: Any) -> list[float]:
        rates = []
        for i in range(6):
            optimizer.step()
            schedule.step(*([1.0 + i] if name == "ReduceLROnPlateau" else []))
            rates.append(optimizer.param_groups[0]["lr"])
        return rates

    def begin(t: Any) -> Any:
        optimizer, schedule = made(t)
        steps(optimizer, schedule)
        return {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}

    def go_on(t: Any, saved: Any) -> list[float]:
        optimizer, schedule = made(t)
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        return steps(optimizer, schedule)

    def whole(read: Any) -> Any:
        return lambda file: read(file, weights_only=False)

    want = go_on(torch, begin(torch))
    with clew.serialization.safe_globals([clew.optim.lr_scheduler.ConstantLR]):
        assert go_on(clew, across(torch.save, whole(clew.load), begin(torch))) == pytest.approx(want)
    assert go_on(torch, across(clew.save, whole(torch.load), begin(clew))) == pytest.approx(want)


# ---- safetensors ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "complex128"])
def test_safetensors(dtype: str, shape: tuple[int, ...], tmp_path: Any) -> None:
    library = pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"

    def build(t: Any) -> Any:
        return {"x": numbers(t, dtype, shape), "y.weight": t.ones(3), "z": t.ones(5, dtype=t.uint8)}

    library.save_file(build(torch), path, {"format": "pt"})
    found = own.load_file(path)
    same_object(build(torch), {name: found[name] for name in build(torch)})
    own.save_file(build(clew), path, {"format": "pt"})
    found = library.load_file(path)
    same_object({name: found[name] for name in build(clew)}, build(clew))


LAYOUTS = {
    "transposed": lambda x: x.t(), "row": lambda x: x[1], "column": lambda x: x[:, 1], "every second": lambda x: x[:, ::2],
    "expanded": lambda x: x[:1].expand(3, 4), "corner": lambda x: x[1:, 1:], "scalar": lambda x: x[1, 2],
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("contiguous", [False, True])
def test_layouts_in_safetensors(layout: str, contiguous: bool, tmp_path: Any) -> None:
    """What the library writes clew writes, too; what it refuses clew refuses by the same kind of error."""
    library = pytest.importorskip("safetensors.torch")
    kinds = []
    for t, writer in ((torch, library), (clew, own)):
        x = LAYOUTS[layout](numbers(t, "float32", (3, 4)))
        try:
            writer.save_file({"x": x.contiguous() if contiguous else x}, tmp_path / "x.safetensors")
            kinds.append(own.load_file(tmp_path / "x.safetensors")["x"].tolist())
        except Exception as error:
            kinds.append(type(error).__name__)
    assert kinds[0] == kinds[1]


SHARED = {
    "the same": lambda x: {"a": x, "b": x}, "a part": lambda x: {"a": x, "b": x[1]}, "halves": lambda x: {"a": x[:1], "b": x[1:]},
    "another shape": lambda x: {"a": x, "b": x.view(-1)},
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_shared_memory_in_safetensors(name: str) -> None:
    library = pytest.importorskip("safetensors.torch")
    kinds = []
    for t, writer in ((torch, library), (clew, own)):
        try:
            writer.save(SHARED[name](numbers(t, "float32", (3, 4))))
            kinds.append("written")
        except Exception as error:
            kinds.append(f"{type(error).__name__}: {str(error).strip()[:20]}")
    assert kinds[0] == kinds[1]
