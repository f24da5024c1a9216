"""`torch.compile`: the same numbers as eagerly, bit for bit, or eager with a sentence that says why."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import clew
from clew import nn


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(x)[0][:, -1])


class Tied(nn.Module):
    """One weight used twice, a view of a parameter, a reduction that broadcasts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(clew.randn(4, 4))

    def forward(self, x: Any) -> Any:
        y = clew.tanh(x @ self.weight) @ self.weight.T
        return (y - y.mean(1, keepdim=True))[:, :2]


NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 2), (4, 4)),
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)), (4, 4)),
    "norms": (lambda: nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 2)), (4, 4)),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.3), nn.Sigmoid(), nn.Linear(16, 2)), (4, 4)),
    "batch norm": (lambda: nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Linear(16, 2)), (4, 4)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)), (4, 1, 8, 8),
    ),
    "wide": (lambda: nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2)), (4, 64)),
    "weight norm": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 8)), nn.Tanh(), nn.Linear(8, 2)), (4, 4)),
    "attention": (lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, 0.1, batch_first=True), nn.Flatten(), nn.Linear(12, 2)), (4, 3, 4)),
    "lstm": (Recurrent, (4, 5, 4)),
    "tied": (Tied, (4, 4)),
}  # fmt: skip
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: clew.optim.SGD(p, lr=0.05),
    "momentum": lambda p: clew.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: clew.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: clew.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: clew.optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: clew.optim.Adagrad(p, lr=0.01),
}


def train(net: str, optimizer: str, compiled: bool, steps: int = 12) -> tuple[Any, ...]:
    """Losses, parameters and the random state after some steps, and the compiled step."""
    clew.manual_seed(0)
    make, shape = NETS[net]
    model = make()
    data = [(clew.randn(shape), clew.randint(0, 2, (4,))) for _ in range(3)]
    made = OPTIMIZERS[optimizer](model.parameters())
    schedule = clew.optim.lr_scheduler.StepLR(made, 4, 0.5)
    loss_of = nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        made.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        made.step()
        return loss

    run = clew.compile(step) if compiled else step
    losses = []
    for i in range(steps):
        losses.append(run(*data[i % 3]).item())
        schedule.step()
    grads = [p.grad.tolist() for p in model.parameters()]
    state = [t.tolist() for t in (*model.parameters(), *model.buffers())]
    return losses, grads, state, clew.get_rng_state().tolist(), run


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_same_numbers(net: str, optimizer: str) -> None:
    *want, _ = train(net, optimizer, False)
    *have, step = train(net, optimizer, True)
    assert step.source.startswith("def step(")
    assert have == want


def lab(compiled: bool, steps: int = 8) -> tuple[Any, ...]:
    w, b = (clew.tensor(v, requires_grad=True) for v in (2.0, 0.5))
    x, y = clew.tensor(3.0), clew.tensor(10.0)

    def step() -> Any:
        loss = (w * x + b - y) ** 2
        loss.backward()
        with clew.no_grad():
            w.sub_(0.01 * w.grad)
            b.sub_(0.01 * b.grad)
        w.grad = None
        b.grad = None
        return loss

    run = clew.compile(step) if compiled else step
    return [run().item() for _ in range(steps)], w.item(), b.item(), w.grad, w._version, run


def test_a_step_by_hand() -> None:
    *want, _ = lab(False)
    *have, step = lab(True)
    assert have == want
    assert "loss.backward()" in step.source


def test_numbers_that_are_given_back() -> None:
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

    eager = [step() for _ in range(6)]
    w = clew.tensor(2.0, requires_grad=True)
    run = clew.compile(step)
    found = [run() for _ in range(6)]
    assert found == eager
    assert all(type(v) is float for three in found for v in three)
    assert ".item()" in run.source


def test_gradients_that_pile_up() -> None:
    def run(compiled: bool) -> Any:
        w = clew.ones(3, requires_grad=True)

        def step(x: Any) -> Any:
            (w * x).sum().backward()

        f = clew.compile(step) if compiled else step
        seen = []
        for i in range(6):
            f(clew.full((3,), float(i)))
            seen.append(w.grad.tolist())
        return seen

    assert run(True) == run(False)


def test_returned_loss_is_used_up() -> None:
    *_, step = lab(True, 4)
    loss = step()
    assert loss.requires_grad
    assert "PowBackward0" in repr(loss)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x.expand(2, 3, 4) * 2, lambda x: x.diagonal() + 1, lambda x: x.unfold(1, 2, 1) * 3, lambda x: x.T @ x,
        lambda x: x[1:, ::2] * x[:2, 1::2], lambda x: clew.cat([x, x]).sort(0)[0], lambda x: x.as_strided((2, 2), (1, 4), 1) * 2,
        lambda x: clew.where(x > 0, x, -x).cumsum(1), lambda x: clew.einsum("ij,kj->ik", x, x), lambda x: clew.fft.rfft(x).abs(),
        lambda x: x.softmax(0).log(), lambda x: clew.linalg.inv(x[:, :3] + 9 * clew.eye(3)), lambda x: x.reshape(-1)[::5] + 1,
        lambda x: x.masked_fill(x > 0, 2.0).prod(1), lambda x: clew.nn.functional.pad(x, (1, 2)), lambda x: x.norm() + x.var(),
        lambda x: x.roll(1, 0).flip(1).topk(2)[0], lambda x: x.clone().fill_diagonal_(5.0), lambda x: x.clone().mul_(2).add_(x),
    ],
)  # fmt: skip
def test_operations_on_other_data(program: Any) -> None:
    """What is recorded on one memory holds on another, at other places in it."""
    memory = clew.randn(60)
    run = clew.compile(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in (0, 5, 17, 3, 40, 48):
            x = memory[start : start + 12].view(3, 4)
            assert run(x).tolist() == program(x).tolist()
        x = clew.randn(4, 3).T
        assert run(x).tolist() == program(x).tolist()


def test_other_shapes_are_recorded_anew() -> None:
    step = clew.compile(lambda x: (x * 2).sum())
    for n in (3, 3, 3, 5, 5, 5, 3):
        assert step(clew.ones(n)).item() == 2 * n


def test_a_loss_that_breaks_out_of_range() -> None:
    step = clew.compile(lambda x, y: nn.functional.cross_entropy(x, y))
    x = clew.randn(4, 3)
    for _ in range(4):
        step(x, clew.tensor([0, 1, 2, 0]))
    with pytest.raises(IndexError, match="out of bounds"):
        step(x, clew.tensor([0, 1, 5, 0]))
    assert (
        step(x, clew.tensor([0, 1, -100, 0])).item()
        == nn.functional.cross_entropy(x, clew.tensor([0, 1, -100, 0])).item()
    )


def test_training_and_evaluation() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    with clew.no_grad():
        step = clew.compile(lambda x: net(x).sum())
        x = clew.ones(2, 3)
        for training in (True, False) * 3:
            net.train(training)
            for _ in range(4):
                clew.manual_seed(1)
                have = step(x).item()
                clew.manual_seed(1)
                assert have == net(x).sum().item()


RATE = 0.5


def test_a_global_number_that_changes() -> None:
    global RATE
    step = clew.compile(lambda x: x * RATE)
    for rate in (0.5, 0.5, 0.5, 0.25, 0.25, 0.25):
        RATE = rate
        assert step(clew.ones(2)).tolist() == [rate, rate]


def test_a_parameter_that_is_replaced() -> None:
    net = nn.Linear(2, 1)
    with clew.no_grad():
        step = clew.compile(lambda x: net(x))
        x = clew.ones(1, 2)
        for _ in range(4):
            step(x)
        net.weight = nn.Parameter(clew.full((1, 2), 7.0))
        assert step(x).item() == net(x).item()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lambda x: x * x.sum().item(), "takes a number"),
        (lambda x: x * 2 if x.sum() > 0 else x, "takes a number"),
        (lambda x: clew.stack(list(x)), "loops|uses|decides"),
        (lambda x: print("seen") or x * 2, "print"),
        (lambda x: KEPT.append(x * 2), "append"),
        (lambda x: clew.tensor([1.0, 2.0]) * x, "Python or NumPy data"),
        (lambda x: x.numpy() * 2, "memory|returns"),
        (lambda x: (x.requires_grad_() * 2).sum(), "graph is still to be used|"),
    ],
)
def test_what_cannot_be_recorded_runs_and_says_why(body: Any, why: str, capsys: Any) -> None:
    step = clew.compile(body)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            x = clew.tensor([1.0, 2.0])
            want, have = body(x.clone()), step(x)
            if isinstance(want, clew.Tensor):
                assert have.tolist() == want.tolist()
    assert len(caught) <= 1
    if caught:
        import re

        assert re.search(why, str(caught[0].message))


KEPT: list[Any] = []


def test_fullgraph_makes_it_an_error() -> None:
    step = clew.compile(lambda x: x * x.sum().item(), fullgraph=True)
    with pytest.raises(RuntimeError, match="takes a number"):
        step(clew.ones(2))


def test_errors_leave_everything_whole() -> None:
    w = clew.ones(3, requires_grad=True)

    def step(x: Any) -> Any:
        (w @ x).backward()

    run = clew.compile(step)
    for _ in range(4):
        run(clew.ones(3))
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        run(clew.ones(4))
    run(clew.ones(3))
    assert w.grad.tolist() == [5.0] * 3
    assert (w + 1).tolist() == [2.0] * 3


def test_one_number_for_two_tensors() -> None:
    """Two gradients cleared by `zero_` may show the same zero, and are two all the same."""

    def training() -> tuple[Any, Any, Any]:
        x, y = clew.tensor([1.0, 2.0]), clew.tensor([3.0, 5.0])
        w, b = (clew.tensor(0.0, requires_grad=True) for _ in range(2))

        def step() -> None:
            ((w * x + b - y) ** 2).mean().backward()
            with clew.no_grad():
                w.sub_(0.05 * w.grad)
                b.sub_(0.05 * b.grad)
            w.grad.zero_()
            b.grad.zero_()

        return step, w, b

    step, w, b = training()
    eager, u, v = training()
    for _ in range(3):
        step()
        eager()
    run = clew.compile(step)
    for _ in range(6):
        run()
        eager()
        assert (w.item(), b.item()) == (u.item(), v.item())


def test_nothing_but_an_empty_tuple() -> None:
    w = clew.ones(3)

    def step() -> tuple[()]:
        w.mul_(0.5)
        return ()

    run = clew.compile(step, fullgraph=True)
    assert [run() for _ in range(20)] == [()] * 20
    assert w.tolist() == [0.5**20] * 3
