"""The graph as data: what is recorded of a computation, before backward, after it, and after an error."""

from __future__ import annotations

import json
import math

import pytest

import clew
from clew import nn, view
from clew.view.data import stats_of


def chain():
    w = clew.tensor(2.0, requires_grad=True)
    loss = (w * 3 - 10) ** 2
    return w, loss


def shown(graph):
    """Label, value and gradient of every node that is no constant."""
    return [
        (node.label, node.value and node.value.value, node.grad and node.grad.value)
        for node in graph.nodes
        if node.kind != "const"
    ]


@pytest.fixture
def recorded():
    """`recorded(function)` runs it under a recording; the recording with what the function returned."""

    def run(function):
        with view.Recording() as seen:
            result = function()
        return seen, result

    return run


# ---- numbers -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (clew.tensor(2.0), "2"),
        (clew.tensor([-24.0]), "[1] -24"),
        (clew.tensor(True), "True"),
        (clew.tensor(1 + 2j), "1+2i"),
        (clew.tensor([[1.0, 2.0], [3.0, 4.0]]), "[2, 2] mean 2.5 ± 1.12"),
        (clew.tensor([1.0, math.nan, math.inf]), "[3] mean 1 ± 0, 2 not finite"),
        (clew.tensor([math.nan, math.nan]), "[2] all NaN or infinite"),
        (clew.zeros(0, 3), "[0, 3] empty"),
        (clew.tensor([1.0, 2.0], dtype=clew.float16), "[2] mean 1.5 ± 0.5"),
    ],
)
def test_summaries(value, text):
    assert stats_of(value._array).text == text


# ---- before and after backward -----------------------------------------------------------------------------------------
def test_before_backward():
    w, loss = chain()
    graph = view.graph(loss)
    assert shown(graph) == [("w", 2, None), ("× 3", 6, None), ("− 10", -4, None), ("²", 16, None)]
    assert [edge.local for edge in graph.edges] == [3, 1, -8]
    assert graph.note == "before backward"
    assert graph.root == graph["loss"].id
    assert "saved" in graph["loss"].state
    assert graph["w"].names == ("w",)
    assert w.grad is None


def test_recorded_backward(recorded):
    def run():
        w = clew.tensor(2.0, requires_grad=True)
        loss = (w * 3 - 10) ** 2
        loss.backward()

    seen, _ = recorded(run)
    graph = seen.graph()
    assert shown(graph) == [("w", 2, -24), ("× 3", 6, -8), ("− 10", -4, -8), ("²", 16, 1)]
    assert [edge.flow.value for edge in graph.edges] == [-24, -8, -8]
    assert [edge.local for edge in graph.edges] == [3, 1, -8]
    assert [graph[name].label for name in graph.seen] == ["²", "− 10", "× 3", "w"]
    assert graph["loss"].text == "loss = (w * 3 - 10) ** 2"
    assert "freed" in graph["loss"].state


def test_backward_with_a_picture():
    w = clew.tensor(2.0, requires_grad=True)
    x = clew.tensor([1.0, 3.0])
    loss = ((w * x).sum() - 10) ** 2
    graph = view.backward(loss)
    assert w.grad.item() == graph["w"].grad.value == -16
    assert graph["x"].kind == "const"
    flows = [edge.flow and edge.flow.text for edge in graph.edges]
    assert flows == ["-16", None, "[2] mean -4 ± 0", "-4", "-4"]
    assert graph.note == "after backward"
    assert [node.label for node in graph.nodes] == ["w", "x", "× x", "sum", "− 10", "²"]
    with pytest.raises(RuntimeError, match="second time"):
        view.backward(loss)


def test_operations_from_before_the_recording():
    w = clew.tensor(2.0, requires_grad=True)
    y = w * 3
    with view.Recording() as seen:
        (y * y).backward()
    assert shown(seen.graph()) == [("w", 2, 36), ("× 3", 6, 12), ("mul", 36, 1)]


def test_values_are_those_of_the_pass(recorded):
    """An update and a clear after backward change nothing in the drawing."""

    def run():
        w, loss = chain()
        loss.backward()
        with clew.no_grad():
            w -= 0.1 * w.grad
        w.grad.zero_()

    seen, _ = recorded(run)
    assert shown(seen.graph())[0] == ("w", 2, -24)


def test_gradients_pile_up_in_the_leaf_not_on_the_edge(recorded):
    def run():
        w, loss = chain()
        loss.backward(retain_graph=True)
        loss.backward()
        return w

    seen, w = recorded(run)
    graph = seen.graph()
    assert w.grad.item() == graph["w"].grad.value == -48
    assert graph.edges[0].flow.value == -24


def test_recording_leaves_gradients_as_they_are(recorded):
    def run():
        clew.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))
        loss = nn.functional.cross_entropy(model(clew.randn(5, 4)), clew.tensor([0, 1, 2, 0, 1]))
        loss.backward()
        return [p.grad for p in model.parameters()]

    _, watched = recorded(run)
    for a, b in zip(run(), watched, strict=True):
        assert clew.equal(a, b)


@pytest.mark.parametrize(
    ("formula", "label"),
    [
        (lambda w: w + 1, "+ 1"),
        (lambda w: 1 - w, "1 −"),
        (lambda w: w - 1.5, "− 1.5"),
        (lambda w: w / 4, "÷ 4"),
        (lambda w: w**3, "³"),
        (lambda w: w**-0.5, "^ −0.5"),
        (lambda w: 2**w, "2 ^"),
        (lambda w: w * w, "mul"),
        (lambda w: -w, "neg"),
        (lambda w: w.relu(), "relu"),
        (lambda w: clew.nn.functional.linear(w.reshape(1, 1), clew.ones(1, 1)), "linear"),
    ],
)
def test_labels(formula, label):
    w = clew.tensor(2.0, requires_grad=True)
    assert view.graph(formula(w)).nodes[-1].label == label
    with view.Recording() as seen:
        result = formula(w)
    assert seen.graph(result).nodes[-1].label == label


def test_own_functions_go_by_their_name():
    class Cube(clew.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * g * x * x

    w = clew.tensor(2.0, requires_grad=True)
    with view.Recording() as seen:
        Cube.apply(w).backward()
    node = seen.graph().nodes[-1]
    assert (node.label, node.value.value, node.grad.value) == ("Cube", 8, 1)


# ---- states ------------------------------------------------------------------------------------------------------------
def test_constants_frozen_unused_and_detached(recorded):
    def run():
        model = nn.Linear(2, 1)
        model.weight.requires_grad_(False)
        model.spare = nn.Parameter(clew.zeros(3))
        x = clew.ones(4, 2)
        out = model(x)
        loss = (out * out.detach()).mean()
        loss.backward()
        return model

    seen, model = recorded(run)
    graph = seen.graph()
    assert graph["x"].kind == "const"
    assert "frozen" in graph["weight"].state
    assert "unused" in graph["spare"].state
    assert graph["spare"].id not in {edge.source for edge in graph.edges}
    cut = next(node for node in graph.nodes if "detached" in node.state)
    assert cut.text == "loss = (out * out.detach()).mean()"
    del model


def test_changed_since():
    w = clew.tensor([1.0, 2.0], requires_grad=True)
    y = w.exp()
    loss = (y * y).sum()
    y.add_(1)
    graph = view.graph(loss)
    changed = [node.label for node in graph.nodes if "mutated" in node.state]
    assert changed == ["exp", "mul"]
    assert "y.add_(1)" in next(n for n in graph.nodes if n.label == "exp").explain


def test_first_number_that_is_not_finite():
    w = clew.tensor([0.0, 1.0], requires_grad=True)
    with view.Recording() as seen:
        ((w.log() * 2) + 1).sum().backward()
    graph = seen.graph()
    assert [node.label for node in graph.nodes if "culprit" in node.state] == ["log"]
    assert "nonfinite" in graph["w"].state
    with view.Recording() as seen:
        (clew.where(w > 0, w.sqrt(), clew.zeros(2))).sum().backward()  # NaN in the backward pass alone
    assert [node.label for node in seen.graph().nodes if "culprit" in node.state] == ["sqrt"]


# ---- errors ------------------------------------------------------------------------------------------------------------
def fails_twice():
    _w, loss = chain()
    loss.backward()
    loss.backward()


def fails_changed():
    w = clew.tensor([1.0, 2.0], requires_grad=True)
    y = w.exp()
    z = y * 3
    y.add_(1)
    z.sum().backward()


def fails_inside():
    class Bad(clew.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no")

    w = clew.tensor(1.0, requires_grad=True)
    (Bad.apply(w) * 3).backward()


@pytest.mark.parametrize(
    ("program", "label", "word"),
    [(fails_twice, "²", "second time"), (fails_changed, "exp", "inplace"), (fails_inside, "Bad", "no")],
)
def test_culprit_of_a_failed_backward(program, label, word):
    seen = view.Recording()
    with pytest.raises((RuntimeError, ValueError)), seen:
        program()
    graph = seen.graph()
    assert [node.label for node in graph.nodes if "culprit" in node.state] == [label]
    assert word in graph.note


def test_culprit_of_a_failed_forward():
    seen = view.Recording()
    with pytest.raises(RuntimeError), seen:
        w = clew.ones(2, 3, requires_grad=True)
        h = (w * 2).relu()
        h @ clew.ones(5)
    graph = seen.graph()
    culprit = graph[graph.root]
    assert culprit.state == ("root", "culprit")
    assert culprit.text == "h @ clew.ones(5)"
    assert [graph[edge.source].label for edge in graph.inputs(culprit.id)] == ["relu"]


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no history"):
        view.graph(clew.ones(2))
    with pytest.raises(ValueError, match="needs a tensor"):
        view.graph()
    with pytest.raises(ValueError, match="at least one"):
        view.graph(chain()[1], budget=0)
    with view.Recording() as seen:
        clew.ones(2) + 1
    assert seen.graph().nodes == []
    assert "nothing was recorded" in seen.graph().note


# ---- which pass --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "value"),
    [({}, 25), ({"backward": 1}, 1), ({"backward": 2}, 9), ({"name": "first"}, 9), ({"name": "second"}, 25)],
)
def test_the_pass_that_is_kept(options, value):
    with view.Recording(**options) as seen:
        w = clew.tensor(1.0, requires_grad=True)
        first = w * 1
        first.backward()
        first = w * 9
        first.backward()
        second = w * 25
        second.backward()
    graph = seen.graph()
    assert graph[graph.root].value.value == value
    assert seen.passes == 3


def test_recording_ends_with_everything_as_it_was():
    from clew.core.engine import Walk
    from clew.core.modes import observers

    before = (Walk.run, Walk._pull, nn.Module.__call__, clew.Tensor.detach, len(observers))
    with pytest.raises(ZeroDivisionError), view.Recording():
        1 / 0
    assert before == (Walk.run, Walk._pull, nn.Module.__call__, clew.Tensor.detach, len(observers))


def test_autograd_grad_shows_what_it_returned():
    w = clew.tensor(3.0, requires_grad=True)
    with view.Recording() as seen:
        y = w * w
        clew.autograd.grad(y, w)
    graph = seen.graph()
    assert graph["w"].grad.value == 6
    assert w.grad is None


# ---- modules and size --------------------------------------------------------------------------------------------------
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.encoder(x)).tanh()


def test_folding_by_module():
    model = Net()
    x = clew.ones(2, 3)
    with view.Recording() as seen:
        loss = model(x).sum()
        loss.backward()
    graph = seen.graph()
    assert {node.module for node in graph.nodes if node.kind == "op"} == {
        "encoder.0",
        "encoder.1",
        "head",
        "",
    }
    assert graph["encoder.0.weight"].module == "encoder.0"
    folded = graph.folded()
    labels = [node.label for node in folded.nodes]
    assert labels == ["x", "Sequential encoder", "Linear head", "tanh", "sum"]
    encoder = folded["Sequential encoder"]
    assert encoder.kind == "folded"
    assert set(encoder.members) >= {graph["encoder.0.weight"].id, graph["encoder.0.bias"].id}
    assert [(folded[e.source].label, folded[e.target].label) for e in folded.edges] == [
        ("tanh", "sum"),
        ("x", "Sequential encoder"),
        ("Sequential encoder", "Linear head"),
        ("Linear head", "tanh"),
    ]
    deeper = [node.label for node in graph.folded(2).nodes]
    assert deeper == ["x", "Linear encoder.0", "ReLU encoder.1", "Linear head", "tanh", "sum"]


def test_a_module_called_twice_is_two_nodes():
    """Folding both calls into one would close a circle."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(self.layer(x).relu())

    with view.Recording() as seen:
        Twice()(clew.ones(1, 2)).sum().backward()
    folded = seen.graph().folded()
    assert [node.label for node in folded.nodes].count("Linear layer") == 2


def test_several_models_keep_their_names_apart():
    generator, critic = (nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(2))
    with view.Recording() as seen:
        critic(generator(clew.ones(1, 2))).sum().backward()
    graph = seen.graph()
    assert {"generator.0.weight", "critic.0.weight"} <= {name for node in graph.nodes for name in node.names}
    assert {node.module for node in graph.nodes} >= {"generator.0", "critic.1"}


def test_modules_without_a_recording():
    model = Net()
    graph = view.graph(model(clew.ones(2, 3)).sum(), params=model)
    assert [node.label for node in graph.folded().nodes if node.kind == "folded"] == [
        "Linear encoder.0",
        "Linear head",
    ]


def test_budget():
    h = w = clew.tensor(1.0, requires_grad=True)
    for _ in range(500):
        h = h * 0.99 + w
    graph = view.graph(h, budget=100)
    assert len(graph) == 100
    assert graph.left_out == 901
    trimmed = graph.trimmed(10)
    assert (len(trimmed), trimmed.left_out) == (10, 991)
    assert graph[graph.root].value.value == pytest.approx(h.item())


def test_hundred_thousand_nodes():
    with view.Recording() as seen:
        h = w = clew.tensor(1.0, requires_grad=True)
        for _ in range(50_000):
            h = h * 0.9999 + w
        h.backward()
    graph = seen.graph(budget=200_000)
    assert len(graph) == 100_001
    assert len(graph.folded()) == 100_001
    assert graph.text(width=100, color=False).count("\n") > 100_000


def test_json():
    w = clew.tensor([math.inf, 1.0], requires_grad=True)
    with view.Recording() as seen:
        (w - w).sum().backward()
    data = json.loads(seen.graph().json())
    assert data["format"] == "clew graph 1"
    assert data["nodes"][-1]["value"]["value"] == "nan"
    assert {edge["target"] for edge in data["edges"]} <= {node["id"] for node in data["nodes"]}


def test_complex_in_place_and_several_outputs():
    """What is unusual in a graph is drawn, too."""
    with view.Recording() as seen:
        a = clew.ones(4, requires_grad=True)
        v = a.clone()
        v[1:3] = v[1:3] * 2
        v.mul_(3)
        values, _ = clew.topk(v, 2)
        z = clew.complex(values, values)
        (z.abs().sum() + clew.cat([v, a]).sum()).backward()
    graph = seen.graph()
    assert graph["a"].grad is not None
    assert {"topk", "cat", "complex", "write into a part"} <= {node.label for node in graph.nodes}
    ids = [node.id for node in graph.nodes]
    assert len(set(ids)) == len(ids)
