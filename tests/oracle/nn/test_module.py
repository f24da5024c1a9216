"""Modules beside PyTorch's: attributes, registration, walking, converting, saving and loading, containers, parameters."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")
from compare import assert_same, check_error, values


def same(program: Callable[[Any], Any]) -> None:
    """The program gives the same under both: values, strings, lists of them."""
    assert_same(values(program(torch)), values(program(clew)), 1e-6, 1e-8)


def net(t: Any) -> Any:
    """A module with everything in it: nested, shared, with buffers of both kinds, with a name left None."""
    nn = t.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(t.full((2,), 3.0))
            self.register_buffer("kept", t.arange(3.0))
            self.register_buffer("fleeting", t.zeros(2), persistent=False)
            self.register_buffer("nothing", None)
            self.register_parameter("absent", None)
            self.inner = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3))

        def forward(self, x: Any) -> Any:
            return self.inner(x * self.scale)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            t.manual_seed(0)
            self.first = Block()
            self.shared = self.first.inner[0]
            self.rest = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
            self.named = nn.ModuleDict({"a": nn.Tanh(), "b": nn.Dropout(0.3)})
            self.numbers = nn.ParameterList([t.zeros(2), t.ones(1)])
            self.table = nn.ParameterDict({"x": t.zeros(1), "y": nn.Parameter(t.ones(2))})
            self.out = nn.Linear(3, 1, bias=False)

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            for layer in self.rest:
                x = self.named["a"](layer(x))
            return self.out(x)

    return Net()


WALKS: dict[str, Callable[[Any], Any]] = {
    "repr": lambda m: repr(m),
    "named_parameters": lambda m: [n for n, _ in m.named_parameters()],
    "named_parameters twice": lambda m: [n for n, _ in m.named_parameters(remove_duplicate=False)],
    "named_parameters here": lambda m: [n for n, _ in m.first.named_parameters("p", recurse=False)],
    "named_buffers": lambda m: [n for n, _ in m.named_buffers()],
    "named_buffers prefix": lambda m: [n for n, _ in m.named_buffers(prefix="z")],
    "named_modules": lambda m: [(n, type(x).__name__) for n, x in m.named_modules()],
    "named_modules twice": lambda m: [n for n, _ in m.named_modules(remove_duplicate=False)],
    "named_children": lambda m: [n for n, _ in m.named_children()],
    "counts": lambda m: [len(list(f())) for f in (m.parameters, m.buffers, m.modules, m.children)],
    "state_dict": lambda m: list(m.state_dict()),
    "state_dict prefix": lambda m: list(m.state_dict(prefix="q.")),
    "metadata": lambda m: {k: dict(v) for k, v in m.state_dict()._metadata.items()},
    "keep_vars": lambda m: [v.requires_grad for v in m.state_dict(keep_vars=True).values()],
    "detached": lambda m: [v.requires_grad for v in m.state_dict().values()],
    "apply": lambda m: (seen := [], m.apply(lambda x: seen.append(type(x).__name__)), seen)[2],
    "training": lambda m: [x.training for x in m.eval().train().eval().modules()],
    "train part": lambda m: (m.eval(), m.first.train(), [x.training for x in m.modules()])[2],
    "get_submodule": lambda m: repr(m.get_submodule("first.inner.2")),
    "get_parameter": lambda m: m.get_parameter("first.inner.0.bias").detach(),
    "get_buffer": lambda m: m.get_buffer("first.kept"),
    "double": lambda m: [str(v.dtype) for v in m.double().state_dict().values()],
    "half": lambda m: [str(v.dtype) for v in m.half().state_dict().values()],
    "requires_grad_": lambda m: [p.requires_grad for p in m.requires_grad_(False).parameters()],
    "extra": lambda m: [m.first.absent, m.first.nothing, "scale" in dir(m.first), "kept" in dir(m.first)],
}


@pytest.mark.parametrize("name", WALKS)
def test_walking(name: str) -> None:
    same(lambda t: WALKS[name](net(t)))


def test_a_deep_net_runs_alike() -> None:
    def train(t: Any) -> Any:
        m = net(t)
        x = t.tensor([[0.5, -1.0], [2.0, 0.1], [1.0, 1.0]])
        loss = (m(x) ** 2).sum()
        loss.backward()
        return [loss, *[p.grad for p in m.parameters() if p.grad is not None], *m.buffers()]

    assert_same(values(train(torch)), values(train(clew)), 2e-5, 1e-6)


ATTRIBUTES = [
    lambda t: t.nn.Linear(2, 3).foo,
    lambda t: setattr(t.nn.Linear(2, 3), "weight", t.zeros(3, 2)),
    lambda t: setattr(t.nn.Linear(2, 3), "weight", 3),
    lambda t: setattr(t.nn.Sequential(t.nn.Linear(2, 3)), "0", t.zeros(2)),
    lambda t: setattr(t.nn.BatchNorm1d(2), "running_mean", [1, 2]),
    lambda t: t.nn.Module().register_parameter("a.b", None),
    lambda t: t.nn.Module().register_parameter("", None),
    lambda t: t.nn.Module().register_parameter(3, None),
    lambda t: t.nn.Module().register_parameter("forward", None),
    lambda t: t.nn.Module().register_parameter("a", t.zeros(2)),
    lambda t: t.nn.Module().register_parameter("a", (t.nn.Parameter(t.zeros(2)) * 2)),
    lambda t: t.nn.Module().register_buffer("a.b", None),
    lambda t: t.nn.Module().register_buffer("", None),
    lambda t: t.nn.Module().register_buffer(3, None),
    lambda t: t.nn.Module().register_buffer("forward", None),
    lambda t: t.nn.Module().register_buffer("a", [1]),
    lambda t: t.nn.Module().add_module("a.b", None),
    lambda t: t.nn.Module().add_module("", None),
    lambda t: t.nn.Module().add_module(3, None),
    lambda t: t.nn.Module().add_module("forward", None),
    lambda t: t.nn.Module().add_module("a", 3),
    lambda t: t.nn.Module()(3),
    lambda t: t.nn.Module(3),
    lambda t: t.nn.Module(a=3),
    lambda t: t.nn.Linear(2, 3).train("yes"),
    lambda t: t.nn.Linear(2, 3).to(t.int64),
    lambda t: t.nn.Linear(2, 3).get_submodule("a"),
    lambda t: t.nn.Linear(2, 3).get_submodule("weight"),
    lambda t: t.nn.Linear(2, 3).get_parameter("a"),
    lambda t: t.nn.Linear(2, 3).get_parameter("in_features"),
    lambda t: t.nn.Linear(2, 3).get_buffer("weight"),
    lambda t: delattr(t.nn.Linear(2, 3), "foo"),
    lambda t: t.nn.Linear(2, 3).load_state_dict({}),
    lambda t: t.nn.Linear(2, 3).load_state_dict(3),
    lambda t: t.nn.Linear(2, 3).load_state_dict({"weight": 3, "bias": t.zeros(3)}),
    lambda t: t.nn.Sequential()[0],
    lambda t: t.nn.Sequential(3),
    lambda t: t.nn.ModuleList([3]),
    lambda t: t.nn.ModuleList([t.nn.Tanh()])[1],
    lambda t: t.nn.ModuleList().extend(3),
    lambda t: t.nn.ModuleDict({"a": 3}),
    lambda t: t.nn.ModuleDict({"keys": t.nn.Tanh()}),
    lambda t: t.nn.ModuleDict()["a"],
    lambda t: t.nn.ModuleDict(3),
    lambda t: t.nn.ParameterList([t.zeros(2)])[1],
    lambda t: t.nn.ParameterList().extend(3),
    lambda t: t.nn.ParameterDict()["a"],
    lambda t: t.nn.Parameter(t.tensor([1, 2])),
]


@pytest.mark.parametrize("wrong", ATTRIBUTES)
def test_errors(wrong: Callable[[Any], Any]) -> None:
    check_error(wrong)


@pytest.mark.parametrize("what", ["Parameter", "Module"])
def test_assignment_before_init(what: str) -> None:
    def build(t: Any) -> Any:
        class Hasty(t.nn.Module):
            def __init__(self) -> None:
                self.x = t.nn.Parameter(t.zeros(1)) if what == "Parameter" else t.nn.Tanh()

        return Hasty()

    check_error(build)


def test_names_move_between_tables() -> None:
    def moves(t: Any) -> Any:
        m = t.nn.Module()
        m.x = 3
        m.x = t.nn.Parameter(t.zeros(1))
        found = [sorted(m._parameters), "x" in m.__dict__]
        del m.x
        m.x = t.nn.Tanh()
        m.y = t.nn.Buffer(t.ones(2), persistent=False)
        m.z = t.nn.Buffer(t.ones(2))
        found += [sorted(m._modules), sorted(m._buffers), list(m.state_dict()), hasattr(m, "x")]
        m.x = None
        m.z = t.zeros(3)
        found += [sorted(m._modules), m.x, sorted(m._buffers), m.z]
        del m.z
        return [*found, sorted(m._buffers)]

    same(moves)


# ---- saving and loading ---------------------------------------------------------------------------------------------------
MISMATCHES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "missing": lambda t: {"weight": t.zeros(3, 2)},
    "unexpected": lambda t: {"weight": t.zeros(3, 2), "bias": t.zeros(3), "a": t.zeros(1), "b.c": t.zeros(1)},
    "shape": lambda t: {"weight": t.zeros(2, 2), "bias": t.zeros(3)},
    "all": lambda t: {"weight": t.zeros(2, 2), "extra": t.zeros(1)},
    "no tensor": lambda t: {"weight": [1, 2], "bias": t.zeros(3)},
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_wrong_checkpoint_is_refused_and_changes_nothing(name: str) -> None:
    sentences = []
    for t in (torch, clew):
        layer = t.nn.Linear(2, 3)
        before = [p.detach().clone() for p in layer.parameters()]
        with pytest.raises(RuntimeError) as caught:
            layer.load_state_dict(MISMATCHES[name](t))
        sentences.append(str(caught.value).replace("<class 'list'>", "list"))
        if t is clew:
            assert all(bool((p == b).all()) for p, b in zip(layer.parameters(), before, strict=True))
    assert sentences[0] == sentences[1]


def test_loading_leniently() -> None:
    def lenient(t: Any) -> Any:
        layer = t.nn.Linear(2, 3)
        keys = layer.load_state_dict({"weight": t.ones(3, 2), "more": t.zeros(1)}, strict=False)
        return [layer.weight.detach(), keys.missing_keys, keys.unexpected_keys, str(keys)]

    same(lenient)


def test_a_round_trip() -> None:
    def trip(t: Any) -> Any:
        t.manual_seed(1)
        first, second = net(t), net(t)
        with t.no_grad():
            for p in first.parameters():
                p.add_(1)
        message = second.load_state_dict(first.state_dict())
        return [str(message), *second.state_dict().values()]

    same(trip)


def test_state_shares_memory_and_loading_keeps_the_parameters() -> None:
    def shared(t: Any) -> Any:
        layer = t.nn.Linear(1, 1, bias=False)
        before = layer.weight
        state = layer.state_dict()
        state["weight"].fill_(5.0)
        seen = layer.weight.detach().clone()
        layer.load_state_dict({"weight": t.tensor([[7.0]], dtype=t.float64)})
        same_object = layer.weight is before
        layer.load_state_dict({"weight": t.tensor([[9.0]])}, assign=True)
        return [
            seen,
            same_object,
            before.detach(),
            layer.weight.detach(),
            layer.weight is before,
            layer.weight.requires_grad,
        ]

    same(shared)


def test_hooks_of_saving_and_loading() -> None:
    def hooked(t: Any) -> Any:
        log: list[Any] = []
        m = t.nn.Sequential(t.nn.Linear(1, 1))
        m.register_state_dict_pre_hook(lambda module, prefix, keep: log.append(("pre", prefix, keep)))
        m.register_state_dict_post_hook(
            lambda module, state, prefix, meta: log.append(("post", sorted(state)))
        )
        m.register_load_state_dict_pre_hook(
            lambda module, state, prefix, meta, strict, missing, unexpected, errors: log.append(
                (prefix, strict)
            )
        )
        m.register_load_state_dict_post_hook(lambda module, keys: log.append(tuple(keys.missing_keys)))
        m.load_state_dict(m.state_dict())
        return [list(map(str, log))]

    same(hooked)


def test_extra_state() -> None:
    def extra(t: Any) -> Any:
        class Counting(t.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.count = 3

            def get_extra_state(self) -> Any:
                return {"count": self.count}

            def set_extra_state(self, state: Any) -> None:
                self.count = state["count"]

        first, second = t.nn.Sequential(Counting()), t.nn.Sequential(Counting())
        first[0].count = 8
        second.load_state_dict(first.state_dict())
        return [list(first.state_dict()), second[0].count]

    same(extra)


def test_deep_copies_and_pickles_are_apart() -> None:
    def copies(t: Any) -> Any:
        m = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2))
        t.nn.init.ones_(m[0].weight)
        twin, thawed = copy.deepcopy(m), pickle.loads(pickle.dumps(m))
        with t.no_grad():
            m[0].weight.zero_()
        return [
            [
                type(x[0].weight).__name__,
                x[0].weight.requires_grad,
                x[0].weight.detach(),
                list(x.state_dict()),
            ]
            for x in (twin, thawed)
        ]

    same(copies)


# ---- parameters -------------------------------------------------------------------------------------------------------------
PARAMETERS: dict[str, Callable[[Any], Any]] = {
    "repr": lambda t: repr(t.nn.Parameter(t.tensor([1.0, 2.0]))),
    "repr frozen": lambda t: repr(t.nn.Parameter(t.tensor([1, 2]), requires_grad=False)),
    "empty": lambda t: repr(t.nn.Parameter()),
    "isinstance": lambda t: [
        isinstance(t.nn.Parameter(t.zeros(1)), t.Tensor),
        isinstance(t.zeros(1), t.nn.Parameter),
    ],
    "leaf": lambda t: [
        (p := t.nn.Parameter(t.zeros(2).requires_grad_() * 2)).is_leaf,
        p.grad_fn,
        p.requires_grad,
    ],
    "memory": lambda t: ((x := t.zeros(2)), (p := t.nn.Parameter(x)), x.fill_(3), p.detach())[3],
    "arithmetic": lambda t: [
        type(t.nn.Parameter(t.zeros(2)) * 2).__name__,
        type(t.nn.Parameter(t.zeros(2)).data).__name__,
    ],
    "deepcopy": lambda t: [
        type(q := copy.deepcopy(t.nn.Parameter(t.ones(2)))).__name__,
        q.requires_grad,
        q.detach(),
    ],
    "deepcopy shared": lambda t: (
        (p := t.nn.Parameter(t.ones(2))),
        (q := copy.deepcopy([p, p])),
        q[0] is q[1],
    )[2],
    "pickle": lambda t: [
        type(q := pickle.loads(pickle.dumps(t.nn.Parameter(t.ones(2), False)))).__name__,
        q.requires_grad,
    ],
    "buffer": lambda t: [
        type(t.nn.Buffer(t.ones(2))).__name__ in ("Buffer", "Tensor"),
        t.nn.Buffer(t.ones(2)).requires_grad,
    ],
    "dict": lambda t: {"a": 1}[(t.nn.Parameter(t.zeros(1)), "a")[1]],
    "frozen backward": lambda t: t.nn.Parameter(t.ones(2), requires_grad=False).sum().requires_grad,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    same(PARAMETERS[name])


# ---- containers ---------------------------------------------------------------------------------------------------------------
def three(t: Any) -> Any:
    return t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Tanh(), t.nn.Linear(2, 1))


CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "slice": lambda t: repr(three(t)[1:]),
    "slice keys": lambda t: list(three(t)[1:].state_dict()),
    "negative": lambda t: repr(three(t)[-1]),
    "length": lambda t: [len(three(t)), len(list(three(t)))],
    "append": lambda t: repr(three(t).append(t.nn.ReLU())),
    "insert": lambda t: repr(three(t).insert(1, t.nn.ReLU())),
    "extend": lambda t: repr(three(t).extend([t.nn.ReLU(), t.nn.Tanh()])),
    "pop": lambda t: [repr((m := three(t)).pop(1)), repr(m)],
    "delete": lambda t: [(m := three(t)), m.__delitem__(0), repr(m)][2],
    "delete slice": lambda t: [(m := three(t)), m.__delitem__(slice(0, 2)), repr(m)][2],
    "set": lambda t: [(m := three(t)), m.__setitem__(1, t.nn.ReLU()), repr(m)][2],
    "add": lambda t: repr(three(t) + three(t)[:1]),
    "ordered": lambda t: repr(t.nn.Sequential(OrderedDict([("a", t.nn.Tanh()), ("b", t.nn.ReLU())]))),
    "ordered slice": lambda t: repr(
        t.nn.Sequential(OrderedDict([("a", t.nn.Tanh()), ("b", t.nn.ReLU())]))[1:]
    ),
    "ordered attribute": lambda t: repr(t.nn.Sequential(OrderedDict([("a", t.nn.Tanh())])).a),
    "empty": lambda t: [
        repr(t.nn.Sequential()),
        repr(t.nn.ModuleList()),
        repr(t.nn.ModuleDict()),
        repr(t.nn.ParameterList()),
    ],
    "list": lambda t: repr(
        t.nn.ModuleList([t.nn.Linear(2, 2) for _ in range(3)] + [t.nn.Tanh(), t.nn.Tanh()])
    ),
    "list of nests": lambda t: repr(t.nn.ModuleList([three(t), three(t), t.nn.Tanh()])),
    "list slice": lambda t: repr(t.nn.ModuleList([t.nn.Tanh(), t.nn.ReLU(), t.nn.GELU()])[1:]),
    "list insert": lambda t: (m := t.nn.ModuleList([t.nn.Tanh()]), m.insert(0, t.nn.ReLU()), repr(m))[2],
    "list add": lambda t: repr(t.nn.ModuleList([t.nn.Tanh()]) + [t.nn.ReLU()]),
    "list contains": lambda t: (a := t.nn.Tanh()) in t.nn.ModuleList([a]),
    "dict": lambda t: [
        list((d := t.nn.ModuleDict({"a": t.nn.Tanh()})).keys()),
        "a" in d,
        len(d),
        repr(d["a"]),
        repr(d),
    ],
    "dict pop": lambda t: [
        repr((d := t.nn.ModuleDict([["a", t.nn.Tanh()], ["b", t.nn.ReLU()]])).pop("a")),
        list(d),
    ],
    "parameter list": lambda t: repr(t.nn.ParameterList([t.zeros(2, 3), t.nn.Parameter(t.ones(1)), 3])),
    "parameter list slice": lambda t: repr(t.nn.ParameterList([t.zeros(2), t.zeros(3), t.zeros(4)])[1:]),
    "parameter list names": lambda t: list(t.nn.ParameterList([t.zeros(2)]).append(t.zeros(1)).state_dict()),
    "parameter dict": lambda t: repr(t.nn.ParameterDict({"a": t.zeros(2, 3), "b": 5})),
    "parameter dict names": lambda t: [
        list((d := t.nn.ParameterDict({"a": t.zeros(1)})).keys()),
        list(d.state_dict()),
        d.get("q"),
    ],
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name: str) -> None:
    same(CONTAINERS[name])


def test_repr_of_a_module_with_its_own_text() -> None:
    def shown(t: Any) -> Any:
        class Own(t.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = t.nn.Linear(1, 2)
                self.b = None
                self.register_module("c", None)

            def extra_repr(self) -> str:
                return "one\ntwo"

        return repr(Own())

    same(shown)


def test_zero_grad_both_ways() -> None:
    def clear(t: Any) -> Any:
        layer = t.nn.Linear(2, 1)
        layer(t.ones(1, 2)).sum().backward()
        held = layer.weight.grad
        layer.zero_grad(set_to_none=False)
        found = [held.clone(), layer.weight.grad is held]
        layer.zero_grad()
        return [*found, layer.weight.grad]

    same(clear)


def test_vectors_of_parameters() -> None:
    def vector(t: Any) -> Any:
        m = t.nn.Linear(2, 3)
        t.nn.init.ones_(m.weight)
        t.nn.init.zeros_(m.bias)
        flat = t.nn.utils.parameters_to_vector(m.parameters())
        t.nn.utils.vector_to_parameters(t.arange(9.0), m.parameters())
        return [flat.detach(), flat.requires_grad, m.weight.detach(), m.bias.detach()]

    same(vector)
    check_error(lambda t: t.nn.utils.vector_to_parameters([1.0], []))


GRADIENTS = [np.array([3.0, -4.0]), np.array([[1.0], [12.0]])]


def with_gradients(t: Any, dtype: Any = None) -> list[Any]:
    made = []
    for g in GRADIENTS:
        p = t.zeros(g.shape, dtype=dtype or t.float32, requires_grad=True)
        p.grad = t.tensor(g.tolist(), dtype=dtype or t.float32)
        made.append(p)
    return [*made, t.zeros(2, requires_grad=True)]


@pytest.mark.parametrize("norm", [2, 2.0, 1, 3.0, float("inf"), 0.5])
@pytest.mark.parametrize("most", [1.0, 100.0])
def test_clipping_by_norm(norm: float, most: float) -> None:
    def clip(t: Any) -> Any:
        params = with_gradients(t)
        total = t.nn.utils.clip_grad_norm_(params, most, norm)
        return [total, *[p.grad for p in params]]

    same(clip)


def test_clipping() -> None:
    def cut(t: Any) -> Any:
        params = with_gradients(t)
        t.nn.utils.clip_grad_value_(params, 2.5)
        return [p.grad for p in params]

    same(cut)
    same(lambda t: t.nn.utils.clip_grad_norm_([t.zeros(2, requires_grad=True)], 1.0))
    same(lambda t: t.nn.utils.clip_grad_norm_(with_gradients(t)[0], 1.0))
    same(lambda t: t.nn.utils.get_total_norm([p.grad for p in with_gradients(t)[:2]]))

    def infinite(t: Any) -> Any:
        params = with_gradients(t)
        params[0].grad[0] = float("inf")
        return t.nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)

    check_error(infinite)
