"""Weight and spectral normalisation, parametrisations, fusion and skip_init beside PyTorch's."""

from __future__ import annotations

import copy
import pickle

import pytest
from both import same

torch = pytest.importorskip("torch")


def linear(t, *sizes):
    t.manual_seed(0)
    return t.nn.Linear(*(sizes or (3, 2)), dtype=t.float64)


def report(t, module):
    """What a program can see of a module, before and after some training."""
    seen = [
        repr(module),
        list(module.state_dict().items()),
        [n for n, _ in module.named_parameters()],
        module.weight,
    ]
    x = t.linspace(-1, 1, 2 * module.in_features, dtype=t.float64).view(2, -1)
    optimizer = t.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    module.eval()
    return seen, list(module.state_dict().items()), module(x), [p.grad for p in module.parameters()]


@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.parametrize("place", ["utils", "parametrizations"])
def test_weight_norm(place, dim):
    def program(t):
        home = t.nn.utils if place == "utils" else t.nn.utils.parametrizations
        return report(t, home.weight_norm(linear(t), dim=dim))

    same(program)


@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3}, {"dim": 1}], ids=str)
@pytest.mark.parametrize("place", ["utils", "parametrizations"])
def test_spectral_norm(place, options):
    def program(t):
        home = t.nn.utils if place == "utils" else t.nn.utils.parametrizations
        return report(t, home.spectral_norm(linear(t), **options))

    same(program)


@pytest.mark.parametrize("layer", ["Conv2d", "ConvTranspose2d"])
@pytest.mark.parametrize("place", ["utils", "parametrizations"])
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_norms_of_convolutions(layer, place, norm):
    def program(t):
        t.manual_seed(0)
        home = t.nn.utils if place == "utils" else t.nn.utils.parametrizations
        module = getattr(home, norm)(getattr(t.nn, layer)(2, 3, 2))
        output = module(t.ones(1, 2, 3, 3))
        output.sum().backward()
        return repr(module), output, list(module.state_dict().items()), [p.grad for p in module.parameters()]

    same(program)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (3, 3)], ids=str)
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("kind", [None, "matrix_exp", "cayley", "householder"])
def test_orthogonal(kind, trivial, shape):
    def program(t):
        module = linear(t, *shape)
        t.nn.utils.parametrizations.orthogonal(module, orthogonal_map=kind, use_trivialization=trivial)
        optimizer = t.optim.SGD(module.parameters(), lr=0.1)
        module(t.linspace(-1, 1, 2 * shape[0], dtype=t.float64).view(2, -1)).square().sum().backward()
        optimizer.step()
        names, values = list(module.state_dict()), [v.abs() for v in module.state_dict().values()]
        return (
            repr(module),
            names,
            [t.round(v, decimals=4) + 0.0 for v in values],
            t.round(module.weight, decimals=4) + 0.0,
        )

    same(program)


@pytest.mark.parametrize("value", ["eye", "ones"])
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("kind", ["matrix_exp", "householder"])
def test_orthogonal_assigned(kind, trivial, value):
    def program(t):
        module = linear(t, 3, 3)
        t.nn.utils.parametrizations.orthogonal(module, orthogonal_map=kind, use_trivialization=trivial)
        module.weight = t.eye(3).double() if value == "eye" else t.ones(3, 3).double()
        return module.weight + 0.0

    same(program)


def rule(t, forward, inverse=None):
    class Rule(t.nn.Module):
        def forward(self, *args):
            return forward(*args)

    if inverse is not None:
        Rule.right_inverse = lambda self, value: inverse(value)
    return Rule()


def double(t):
    return rule(t, lambda x: 2 * x, lambda x: x / 2)


def product(t):
    return rule(t, lambda a, b: a * b, lambda y: (y, t.ones_like(y)))


def register(t, made, name="weight", module=None, **options):
    module = linear(t) if module is None else module
    return t.nn.utils.parametrize.register_parametrization(module, name, made, **options)


GOOD = {
    "one": lambda t: register(t, rule(t, lambda x: 2 * x)),
    "inverse": lambda t: register(t, double(t)),
    "two tensors": lambda t: register(t, product(t)),
    "twice": lambda t: register(t, double(t), module=register(t, product(t))),
    "both": lambda t: register(t, product(t), "bias", register(t, double(t))),
    "not implemented": lambda t: register(t, rule(t, lambda x: x, refuse)),
    "removed": lambda t: t.nn.utils.parametrize.remove_parametrizations(register(t, double(t)), "weight"),
    "unparametrized": lambda t: t.nn.utils.parametrize.remove_parametrizations(register(t, double(t)), "weight", False),
    "two removed": lambda t: t.nn.utils.parametrize.remove_parametrizations(register(t, product(t)), "weight"),
    "one of two": lambda t: t.nn.utils.parametrize.remove_parametrizations(
        register(t, double(t), "bias", register(t, product(t))), "weight"
    ),
    "copied": lambda t: copy.deepcopy(register(t, double(t))),
    "transferred": lambda t: t.nn.utils.parametrize.transfer_parametrizations_and_params(
        register(t, double(t)), linear(t)
    ),
    "old names": lambda t: t.nn.utils.remove_weight_norm(t.nn.utils.weight_norm(linear(t))),
    "old spectral": lambda t: t.nn.utils.remove_spectral_norm(t.nn.utils.spectral_norm(linear(t))),
}  # fmt: skip


def refuse(value):
    raise NotImplementedError


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_registered(make):
    def program(t):
        module = make(t)
        parametrize = t.nn.utils.parametrize
        kinds = [
            type(module).__name__, parametrize.type_before_parametrizations(module).__name__,
            parametrize.is_parametrized(module), parametrize.is_parametrized(module, "bias"),
        ]  # fmt: skip
        return kinds, report(t, module)

    same(program)


def wrong(forward, inverse=None, **options):
    return lambda t: register(t, rule(t, forward, inverse), **options)


def wrong_more(forward, inverse=None):
    return lambda t: register(t, rule(t, forward, inverse), module=register(t, double(t)))


BAD = {
    "name": lambda t: register(t, double(t), "foo"),
    "no tensor": wrong(lambda x: 3),
    "shape": wrong(lambda x: x[0]),
    "dtype": wrong(lambda x: x.float()),
    "inverse": wrong(lambda x: x, lambda y: 3),
    "element": wrong(lambda x, y: x, lambda y: (y, 3)),
    "inverse dtype": wrong(lambda x: x.double(), lambda y: y.float()),
    "inverse shape": wrong(lambda x: x, lambda y: y[0]),
    "more no tensor": wrong_more(lambda x: 3),
    "more shape": wrong_more(lambda x: x[0]),
    "more dtype": wrong_more(lambda x: x.float()),
    "more inverse": wrong_more(lambda x: x, lambda y: 3),
    "more inverse dtype": wrong_more(lambda x: x, lambda y: y.float()),
    "more inverse shape": wrong_more(lambda x: x, lambda y: y[0]),
    "empty": lambda t: t.nn.utils.parametrize.ParametrizationList([], t.ones(2)),
    "remove": lambda t: t.nn.utils.parametrize.remove_parametrizations(linear(t), "bias"),
    "remove two": lambda t: t.nn.utils.parametrize.remove_parametrizations(
        register(t, product(t)), "weight", leave_parametrized=False
    ),
    "pickle": lambda t: pickle.dumps(register(t, double(t))),
    "assign": lambda t: setattr(register(t, rule(t, lambda x: x)), "weight", t.ones(2, 3).double()),
    "assign sequence": lambda t: setattr(
        register(t, rule(t, lambda x: x, lambda y: (y, y) if y.sum() > 9 else y)), "weight", 9 * t.ones(2, 3).double()
    ),
    "weight_norm twice": lambda t: t.nn.utils.weight_norm(t.nn.utils.weight_norm(linear(t))),
    "weight_norm lazy": lambda t: t.nn.utils.weight_norm(t.nn.LazyLinear(3)),
    "weight_norm absent": lambda t: t.nn.utils.remove_weight_norm(linear(t)),
    "spectral_norm twice": lambda t: t.nn.utils.spectral_norm(t.nn.utils.spectral_norm(linear(t))),
    "spectral_norm iterations": lambda t: t.nn.utils.spectral_norm(linear(t), n_power_iterations=0),
    "spectral_norm absent": lambda t: t.nn.utils.remove_spectral_norm(linear(t)),
    "spectral dim": lambda t: t.nn.utils.parametrizations.spectral_norm(linear(t), dim=2),
    "spectral name": lambda t: t.nn.utils.parametrizations.spectral_norm(linear(t), "foo"),
    "orthogonal map": lambda t: t.nn.utils.parametrizations.orthogonal(linear(t), orthogonal_map="foo"),
    "orthogonal vector": lambda t: t.nn.utils.parametrizations.orthogonal(linear(t), "bias"),
    "fusion training": lambda t: t.nn.utils.fuse_conv_bn_eval(t.nn.Conv2d(1, 1, 1), t.nn.BatchNorm2d(1)),
    "fusion sizes": lambda t: t.nn.utils.fuse_linear_bn_eval(linear(t).eval(), t.nn.BatchNorm1d(4).eval()),
    "skip_init int": lambda t: t.nn.utils.skip_init(int),
    "skip_init device": lambda t: t.nn.utils.skip_init(t.nn.ReLU),
    "functional_call": lambda t: t.nn.utils.stateless.functional_call(linear(t), {"a": t.ones(1)}, t.ones(3), strict=True),
    "clip_grad_norm": lambda t: t.nn.utils.clip_grad_norm([t.ones(2, requires_grad=True)], 1),
}  # fmt: skip


@pytest.mark.parametrize("program", BAD.values(), ids=BAD)
def test_refused(program):
    same(program)


def test_cached():
    def program(t):
        module = register(t, double(t))
        cached = t.nn.utils.parametrize.cached
        found = [module.weight is module.weight]
        with cached():
            first = module.weight
            with cached():
                found.append(module.weight is first)
            found.append(module.weight is first)
        return [*found, module.weight is first]

    same(program)


def test_weights_of_the_older_weight_norm():
    def program(t):
        module = t.nn.utils.parametrizations.weight_norm(linear(t))
        keys = module.load_state_dict(
            {"bias": t.zeros(2), "weight_g": t.ones(2, 1), "weight_v": t.ones(2, 3)}
        )
        return keys, module.weight

    same(program)


def test_fusion():
    def program(t):
        t.manual_seed(0)
        conv, norm = t.nn.Conv2d(2, 3, 2, bias=False), t.nn.BatchNorm2d(3)
        norm(conv(t.randn(4, 2, 3, 3)))
        back, after = t.nn.ConvTranspose2d(2, 3, 2), t.nn.BatchNorm2d(3)
        after(back(t.randn(4, 2, 3, 3)))
        dense, last = t.nn.Linear(2, 3), t.nn.BatchNorm1d(3)
        last(dense(t.randn(4, 2)))
        fused = [
            t.nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval()),
            t.nn.utils.fuse_conv_bn_eval(back.eval(), after.eval(), transpose=True),
            t.nn.utils.fuse_linear_bn_eval(dense.eval(), last.eval()),
        ]
        return [list(module.state_dict().items()) for module in fused]

    same(program)


def test_skip_init_draws_nothing():
    def program(t):
        t.manual_seed(0)
        module = t.nn.utils.skip_init(t.nn.Linear, 2, 3)
        return repr(module), t.rand(3)

    same(program)


def test_functional_call():
    def program(t):
        return t.nn.utils.stateless.functional_call(
            linear(t), {"weight": t.ones(2, 3).double()}, t.ones(1, 3).double()
        )

    same(program)
