"""`torch.compile` of functions and modules that return a graph: the same numbers, gradients and errors as eagerly."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import clew
from clew import nn

F = nn.functional


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        return x + F.gelu(self.inner(self.norm(x)))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Any) -> Any:
        rows, time, width = x.shape
        q, k, v = (p.view(rows, time, 2, 4).transpose(1, 2) for p in self.qkv(x).split(width, dim=2))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)


class Two(nn.Module):
    """Two results, one of them without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        scores = self.inner(x)
        return {"scores": scores, "best": scores.argmax(-1)}


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(8, 4), (5, 8)),
    "layers": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)), (5, 8)),
    "relu": (lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), (5, 8)),
    "residual": (lambda: nn.Sequential(Residual(), Residual()), (5, 8)),
    "attention": (Attention, (2, 3, 8)),
    "dropout": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 4)), (5, 8)),
    "norm": (lambda: nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU()), (5, 8)),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()), (2, 1, 8, 8)),
    "recurrent": (lambda: _Last(nn.LSTM(8, 5, batch_first=True)), (3, 4, 8)),
    "results": (Two, (5, 8)),
}  # fmt: skip


class _Last(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x)[0][:, -1]


def scores_of(made: Any) -> Any:
    return made["scores"] if isinstance(made, dict) else made


def trained(make: Callable[[], nn.Module], shape: tuple[int, ...], compiled: bool, steps: int) -> Any:
    """Losses and parameters of a training in which only the net is compiled."""
    clew.manual_seed(0)
    net = make()
    run = clew.compile(net, fullgraph=True) if compiled else net
    optimizer = clew.optim.SGD(
        net.parameters(), lr=0.1
    )  # Adam makes a step of a gradient that is a rounding error
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = scores_of(run(clew.randn(*shape))).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach() for p in net.parameters()], [b.detach() for b in net.buffers()], run


@pytest.mark.parametrize("name", NETS)
def test_trainings_are_those_of_the_net_itself(name: str) -> None:
    make, shape = NETS[name]
    losses, parameters, buffers, _ = trained(make, shape, False, 40)
    ours, mine, own, run = trained(make, shape, True, 40)
    assert ours == pytest.approx(losses, rel=1e-4)
    for a, b in zip([*mine, *own], [*parameters, *buffers], strict=True):
        assert clew.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4)
    assert "backward" in vars(run)["run"].source


def test_before_there_is_a_kernel_numbers_are_exact() -> None:
    make, shape = NETS["layers"]
    assert trained(make, shape, False, 12)[0] == trained(make, shape, True, 12)[0]


def test_the_graph_shows_one_node() -> None:
    run = clew.compile(nn.Linear(3, 2), fullgraph=True)
    x = clew.ones(1, 3)
    for _ in range(4):
        y = run(x)
    assert y.grad_fn.name() == "CompiledFunctionBackward"
    assert y.requires_grad and not y.is_leaf


def test_gradients_of_arguments_and_of_what_came_before() -> None:
    weight = clew.full((3,), 2.0, requires_grad=True)
    run = clew.compile(lambda x: (x * weight).exp(), fullgraph=True)
    for _ in range(5):
        weight.grad = None
        start = clew.ones(3, requires_grad=True)
        run(start * weight).sum().backward()  # the weight is met inside and before
        inner = clew.ones(3, requires_grad=True)
        own = clew.full((3,), 2.0, requires_grad=True)
        ((inner * own) * own).exp().sum().backward()
        assert clew.allclose(weight.grad, own.grad)
        assert clew.allclose(start.grad, inner.grad)


def test_a_cell_that_is_called_on_what_it_made() -> None:
    clew.manual_seed(0)
    cell = nn.Linear(4, 4)
    run = clew.compile(lambda h: cell(h).tanh(), fullgraph=True)
    h = clew.ones(2, 4)
    with clew.no_grad():
        run(h)
    for _ in range(3):
        h = clew.ones(2, 4)
        want = clew.ones(2, 4)
        for _ in range(6):
            h, want = run(h), cell(want).tanh()
        cell.zero_grad()
        want.sum().backward()
        held = cell.weight.grad.clone()
        cell.zero_grad()
        h.sum().backward()
        assert clew.allclose(cell.weight.grad, held)


def test_hooks_run_once_for_each_backward() -> None:
    net, seen = nn.Linear(2, 1), []
    net.weight.register_hook(lambda g: seen.append(g.clone()))
    run = clew.compile(net, fullgraph=True)
    for count in range(1, 6):
        run(clew.ones(1, 2)).sum().backward()
        assert len(seen) == count


def test_what_is_saved_is_guarded() -> None:
    x = clew.ones(3, requires_grad=True)
    run = clew.compile(lambda x: x.exp(), fullgraph=True)
    for _ in range(5):
        y = run(x)
        y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
        y = run(x)
        y.sum().backward()
        with pytest.raises(RuntimeError, match="second time"):
            y.sum().backward()


def test_a_parameter_written_before_backward() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    run = clew.compile(net, fullgraph=True)
    for _ in range(5):
        y = run(clew.ones(1, 2))
        with clew.no_grad():
            net[1].weight.mul_(1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_a_graph_can_be_kept() -> None:
    x = clew.ones(3, requires_grad=True)
    run = clew.compile(lambda x: x.exp().sum(), fullgraph=True)
    for _ in range(4):
        x.grad = None
        y = run(x)
        y.backward(retain_graph=True)
        y.backward()
        assert clew.allclose(x.grad, 2 * x.detach().exp())


def test_twice_differentiated_is_an_error() -> None:
    x = clew.ones(3, requires_grad=True)
    run = clew.compile(lambda x: x.exp().sum(), fullgraph=True)
    for _ in range(3):
        run(x)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        clew.autograd.grad(run(x), x, create_graph=True)


def test_frozen_and_thawed() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    run = clew.compile(net, fullgraph=True)
    for frozen in (False, True, False):
        net[0].requires_grad_(not frozen)
        for _ in range(4):
            net.zero_grad()
            run(clew.ones(1, 2)).sum().backward()
            assert (net[0].weight.grad is None) == frozen
            assert net[1].weight.grad is not None


def test_evaluation_between_training() -> None:
    clew.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8))
    run = clew.compile(net, fullgraph=True)
    x = clew.randn(6, 4)
    for _ in range(20):
        run.train()
        assert run(x).requires_grad
        run.eval()
        with clew.no_grad():
            assert clew.equal(run(x), net(x))
        assert not net.training


def test_other_shapes_are_recorded_anew() -> None:
    net = nn.Linear(3, 2)
    run = clew.compile(net, fullgraph=True)
    for rows in (1, 1, 1, 4, 4, 4, 1, 4):
        x = clew.randn(rows, 3)
        assert clew.allclose(run(x), net(x))


def test_a_loss_given_numbers() -> None:
    run = clew.compile(lambda p, y: F.mse_loss(p, y) * 3, fullgraph=True)
    for _ in range(40):
        p = clew.randn(4, requires_grad=True)
        y = clew.randn(4)
        run(p, y).backward()
        assert clew.allclose(p.grad, 3 * 2 * (p.detach() - y) / 4)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = nn.Linear(2, 2), 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.inner(x)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lambda x: x, "returns what it was given|"),
        (lambda x: x.view(2, 2), "returns a view"),
        (lambda x: x * clew.ones(4, requires_grad=True), "makes a tensor that requires grad"),
        (lambda x: (x * 2, x.sum().item()), "number"),
        (lambda x: x * 2 if x.sum() > 0 else x * 3, "takes a number"),
    ],
)
def test_what_cannot_be_split_runs_and_says_why(body: Any, why: str) -> None:
    step = clew.compile(body)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            x = clew.ones(4, requires_grad=True)
            made = step(x)
            made = made[0] if isinstance(made, tuple) else made
            made.sum().backward()
            x.grad.clone()
    assert len(caught) <= 1
    import re

    assert not caught or re.search(why, str(caught[0].message))


def test_side_effects_are_never_lost() -> None:
    net = Counting()
    run = clew.compile(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(5):
            run(clew.ones(1, 2))
    assert net.calls == 5


@pytest.mark.parametrize("everywhere", [False, True])
def test_hooks_of_modules_are_never_lost(everywhere: bool) -> None:
    net, seen = nn.Linear(2, 2), []
    register = nn.modules.module.register_module_forward_hook if everywhere else net.register_forward_hook
    run = clew.compile(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            run(clew.ones(1, 2))
        with register(lambda module, args, output: seen.append(1)):
            for _ in range(4):
                run(clew.ones(1, 2))
    assert len(seen) == 4


def test_hooks_that_were_removed_stop_nothing() -> None:
    net = nn.Linear(2, 2)
    own = net.register_forward_hook(lambda module, args, output: None)
    everyones = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    net(clew.ones(1, 2))
    own.remove()
    everyones.remove()
    run = clew.compile(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "runs eagerly, since ..."
        for _ in range(4):
            run(clew.ones(1, 2))


def test_the_module_behind_is_at_hand() -> None:
    net = nn.Linear(3, 2)
    run = clew.compile(net)
    assert list(run.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"]
    assert run.weight is net.weight and run.in_features == 3
    assert [p is q for p, q in zip(run.parameters(), net.parameters(), strict=True)] == [True, True]


def test_copies_of_a_compiled_module() -> None:
    net = nn.Linear(3, 2)
    run = clew.compile(net)
    x = clew.ones(1, 3)
    for _ in range(4):
        run(x)
    for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        with clew.no_grad():
            other.weight.zero_()
            other.bias.zero_()
        assert other(x).tolist() == [[0.0, 0.0]]
        assert run(x).tolist() == net(x).tolist() != [[0.0, 0.0]]
