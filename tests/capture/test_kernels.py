"""Programs of `torch.compile` as kernels: the same numbers to rounding, for as long as nothing else has changed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clew
from clew import nn
from clew.capture import compiled as capture
from clew.core.modes import observers

NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2)), (4, 4)),
    "norms": (lambda: nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 2)), (4, 4)),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.3), nn.Sigmoid(), nn.Linear(16, 2)), (4, 4)),
    "batch norm": (lambda: nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Linear(16, 2)), (4, 4)),
    "wide": (lambda: nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2)), (64, 64)),
    "attention": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True), nn.Flatten(), nn.Linear(24, 2)), (4, 3, 8),
    ),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 8), nn.Flatten(), nn.Linear(24, 2)), (4, 3)),
}  # fmt: skip
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: clew.optim.SGD(p, lr=0.05, weight_decay=0.01),
    "momentum": lambda p: clew.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: clew.optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: clew.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: clew.optim.RMSprop(p, lr=0.003),  # steps by its own code after the kernel
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Kernels from the first run of a program on, kept in a folder of their own."""
    monkeypatch.setattr(capture, "KERNEL_AFTER", 1)
    monkeypatch.setenv("CLEW_CACHE", str(tmp_path / "kernels"))
    return None


def train(net: str, optimizer: str, compiled: bool, steps: int = 12) -> tuple[list[float], list[int], Any]:
    """Losses, parameters and buffers in a row; the random state; the step."""
    clew.manual_seed(0)
    make, shape = NETS[net]
    model = make()
    inputs = [clew.randint(0, 7, shape) if net == "embedding" else clew.randn(shape) for _ in range(3)]
    labels = [clew.randint(0, 2, shape[:1]) for _ in range(3)]
    made = OPTIMIZERS[optimizer](model.parameters())
    schedule = clew.optim.lr_scheduler.StepLR(made, 4, 0.5)

    def step(x: Any, y: Any) -> Any:
        made.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        made.step()
        return loss

    run = clew.compile(step) if compiled else step
    numbers = []
    for i in range(steps):
        numbers.append(run(inputs[i % 3], labels[i % 3]).item())
        schedule.step()
    for tensor in (*model.parameters(), *model.buffers()):
        numbers += tensor.reshape(-1).tolist()
    return numbers, clew.get_rng_state().tolist(), run


CASES = [
    *((net, "SGD") for net in NETS),
    *(("mlp", optimizer) for optimizer in OPTIMIZERS if optimizer != "SGD"),
]


@pytest.mark.parametrize(("net", "optimizer"), CASES)
def test_same_numbers(net: str, optimizer: str) -> None:
    want, state, _ = train(net, optimizer, False)
    have, drawn, step = train(net, optimizer, True)
    assert step.kernel, step.latest.why
    assert drawn == state
    assert have == pytest.approx(want, rel=2e-5, abs=2e-6)


def test_arithmetic_is_exact() -> None:
    """Where nothing is summed, a kernel rounds as the operations one by one do."""

    def numbers(compiled: bool) -> list[Any]:
        w = clew.tensor(2.0, requires_grad=True)

        def step() -> Any:
            nonlocal w
            loss = (w * 3 - 10) ** 2
            loss.backward()
            with clew.no_grad():
                w -= 0.1 * w.grad
            shown = w.item(), loss.item(), w.grad.item()
            w.grad.zero_()
            return shown

        run = clew.compile(step) if compiled else step
        found = [run() for _ in range(8)]
        assert not compiled or run.kernel, run.latest.why
        return [*found, w.item(), w._version]

    assert numbers(True) == numbers(False)


def small() -> tuple[Any, Any, Any]:
    """A net, its optimizer and its compiled step, which has a kernel."""
    clew.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = clew.optim.SGD(model.parameters(), lr=0.1)
    x, y = clew.randn(4, 3), clew.randn(4, 2)

    def step() -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = clew.compile(step)
    for _ in range(4):
        run()
    assert run.kernel
    return model, optimizer, run


def eagerly(model: Any, optimizer: Any, run: Any) -> list[Any]:
    """What a step of the function itself would leave, from here."""
    kept = [p.detach().clone() for p in model.parameters()]
    run.function()
    found = [p.detach().clone() for p in model.parameters()]
    with clew.no_grad():
        for p, old in zip(model.parameters(), kept, strict=True):
            p.copy_(old)
    return found


def check_step(model: Any, optimizer: Any, run: Any) -> None:
    want = eagerly(model, optimizer, run)
    run()
    assert all(clew.allclose(p, w) for p, w in zip(model.parameters(), want, strict=True))


def test_gradients_that_somebody_holds_stay() -> None:
    model, _, run = small()
    held, view = model.weight.grad, model.bias.grad.numpy()
    before, seen = held.clone(), view.copy()
    run()
    assert clew.equal(held, before)
    assert (view == seen).all()
    assert not clew.equal(model.weight.grad, before)


def test_a_gradient_put_there_by_hand_is_not_written_over() -> None:
    model, _, run = small()
    last = model.weight.grad
    before = last.clone()
    model.weight.grad = clew.ones(2, 3)
    run()
    assert clew.equal(last, before)


def test_results_are_new_each_time() -> None:
    _, _, run = small()
    losses = [run() for _ in range(3)]
    assert len({loss.item() for loss in losses}) == 3


def test_other_memory() -> None:
    model, optimizer, run = small()
    model.weight.data = clew.ones(2, 3)
    for _ in range(3):
        check_step(model, optimizer, run)
    model.load_state_dict({"weight": clew.zeros(2, 3), "bias": clew.zeros(2)})
    check_step(model, optimizer, run)


def test_other_options() -> None:
    model, optimizer, run = small()
    optimizer.param_groups[0]["lr"] = 0.03
    check_step(model, optimizer, run)
    optimizer.param_groups[0]["weight_decay"] = 0.5
    check_step(model, optimizer, run)
    model.weight.requires_grad_(False)
    model.weight.grad = None
    before = model.weight.clone()
    run()
    assert clew.equal(model.weight, before)


def test_modules_made_elsewhere_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer, run = small()
    monkeypatch.setattr(run, "_slow", lambda *_: pytest.fail("not the kernel"))
    nn.Linear(3, 3)
    run()
    monkeypatch.undo()
    model.extra = nn.Linear(1, 1)
    check_step(model, optimizer, run)


def test_observers_see_everything() -> None:
    _, _, run = small()
    seen: list[str] = []

    def observe(node: Any, inputs: Any, results: Any) -> None:
        seen.append(node.name())

    observers.append(observe)
    try:
        run()
    finally:
        observers.remove(observe)
    assert "MseLossBackward0" in seen


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small()
    files = list((tmp_path / "kernels").glob("kernel_*.py"))
    assert len(files) == 1
    files[0].write_text("this is not Python", encoding="utf-8")  # damaged: written again
    for made in (tmp_path / "kernels").rglob("*.nb*"):
        made.write_bytes(b"nor is this machine code")
    small()
    assert "def kernel(" in files[0].read_text(encoding="utf-8")
    monkeypatch.setenv("CLEW_CACHE", os.devnull + "/nowhere")
    small()


def test_the_text_reads_like_a_program() -> None:
    *_, run = small()
    assert "def step_0(" in run.kernel
    assert "# ---- update" in run.kernel
    assert "# line " in run.kernel


def test_not_a_number_stays_one() -> None:
    x = clew.tensor([1.0, math.nan, 3.0])
    w = clew.tensor([1.0, 1.0, 1.0], requires_grad=True)

    def step() -> Any:
        w.grad = None
        y = (w * x).relu()
        y.sum().backward()
        return y.amax().detach()

    run = clew.compile(step)
    values = [run().item() for _ in range(4)]
    assert all(map(math.isnan, values))


def test_a_net_that_has_learnt_all() -> None:
    """Where nothing is left to learn, gradients are rounding errors, and kernel and program may differ in all digits."""
    clew.manual_seed(0)
    net = clew.nn.Sequential(clew.nn.Linear(4, 16), clew.nn.Tanh(), clew.nn.Linear(16, 2))
    optimizer = clew.optim.SGD(net.parameters(), lr=0.1)
    x, y = clew.randn(4, 4), clew.randn(4, 2)

    def step() -> None:
        loss = ((net(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(3000):
        step()
    run = clew.compile(step)
    for _ in range(8):
        run()
    assert run.kernel


def test_memory_with_gaps() -> None:
    """A constant with gaps between its elements, one that is turned, and one that is expanded."""
    wide = clew.arange(24.0).reshape(4, 6) / 10

    def numbers(compiled: bool) -> list[Any]:
        w = clew.ones(3, requires_grad=True)
        gaps, turned, spread = wide[:, ::2], wide.clone()[:3, :4].T, clew.tensor([[0.5]]).expand(4, 3)

        def step() -> Any:
            loss = ((gaps * w + turned - spread) ** 2).mean()
            loss.backward()
            with clew.no_grad():
                w.sub_(w.grad, alpha=0.1)
            w.grad = None
            return loss

        run = clew.compile(step) if compiled else step
        found = [run().item() for _ in range(8)]
        assert not compiled or run.kernel, run.latest.why
        return found

    assert numbers(True) == pytest.approx(numbers(False), rel=1e-6)


def test_layers_that_are_alike_are_one_function() -> None:
    def functions(layers: int) -> int:
        clew.manual_seed(0)
        parts = [part for _ in range(layers) for part in (nn.Linear(24, 24), nn.LayerNorm(24), nn.GELU())]
        net = nn.Sequential(*parts)
        optimizer = clew.optim.SGD(net.parameters(), lr=0.1)
        x = clew.randn(30, 24)

        def step() -> Any:
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        run = clew.compile(step, fullgraph=True)
        for _ in range(18):
            run()
        assert run.kernel, run.latest.why
        return int(run.kernel.count("\ndef "))

    assert functions(12) == functions(8)
