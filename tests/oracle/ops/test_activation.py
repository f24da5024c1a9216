"""Activation functions against PyTorch: values, derivatives, node names, edges, errors."""

import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from compare import check, check_error

import clew
from clew.ops import activation

X = np.array([[-7.0, -2.5, -0.7, -0.3], [0.2, 0.9, 2.4, 6.5]])
EDGES = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0])

PROGRAMS = {
    "relu": lambda f, x: f.relu(x),
    "relu6": lambda f, x: f.relu6(x),
    "leaky_relu": lambda f, x: f.leaky_relu(x),
    "leaky_relu(0.3)": lambda f, x: f.leaky_relu(x, 0.3),
    "elu": lambda f, x: f.elu(x),
    "elu(2)": lambda f, x: f.elu(x, 2.0),
    "selu": lambda f, x: f.selu(x),
    "celu": lambda f, x: f.celu(x, 1.5),
    "gelu": lambda f, x: f.gelu(x),
    "gelu(tanh)": lambda f, x: f.gelu(x, approximate="tanh"),
    "silu": lambda f, x: f.silu(x),
    "mish": lambda f, x: f.mish(x),
    "softplus": lambda f, x: f.softplus(x),
    "softplus(2, 3)": lambda f, x: f.softplus(x, 2, 3),
    "softsign": lambda f, x: f.softsign(x),
    "softshrink": lambda f, x: f.softshrink(x, 0.4),
    "hardshrink": lambda f, x: f.hardshrink(x, 0.4),
    "tanhshrink": lambda f, x: f.tanhshrink(x),
    "threshold": lambda f, x: f.threshold(x, 0.5, 20.0),
    "hardtanh": lambda f, x: f.hardtanh(x),
    "hardtanh(-2, 0.5)": lambda f, x: f.hardtanh(x, -2.0, 0.5),
    "hardsigmoid": lambda f, x: f.hardsigmoid(x),
    "hardswish": lambda f, x: f.hardswish(x),
    "logsigmoid": lambda f, x: f.logsigmoid(x),
    "rrelu": lambda f, x: f.rrelu(x),
    "glu": lambda f, x: f.glu(x),
    "glu(0)": lambda f, x: f.glu(x * 1, 0) if x.ndim > 1 else f.glu(x, 0),
}
INTEGERS = ("relu", "relu6", "hardtanh", "threshold", "softsign", "tanhshrink")
NO_SECOND_ORDER = ("rrelu", "hardsigmoid")  # in PyTorch


def functions(module):
    """`torch.nn.functional`, and here the family it shows."""
    return importlib.import_module("torch.nn.functional") if module is not clew else activation


@pytest.mark.parametrize("name", PROGRAMS)
def test_activation(name):
    check(lambda t, x: PROGRAMS[name](functions(t), x), X, double=name not in NO_SECOND_ORDER)


@pytest.mark.parametrize("name", PROGRAMS)
def test_edges(name):
    check(lambda t, x: PROGRAMS[name](functions(t), x), EDGES, double=False)


@pytest.mark.parametrize("name", PROGRAMS)
def test_other_types(name):
    check(
        lambda t, x: PROGRAMS[name](functions(t), x), X.astype(np.float32), rtol=1e-4, atol=1e-6, double=False
    )
    check(
        lambda t, x: PROGRAMS[name](functions(t), x),
        X.astype(np.float16),
        rtol=5e-3,
        atol=2e-3,
        double=False,
        names=False,
    )
    check(lambda t, x: PROGRAMS[name](functions(t), x), np.zeros((0, 2)), double=False)
    if not name.startswith("glu"):
        check(lambda t, x: PROGRAMS[name](functions(t), x), np.array(0.7), double=False)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    check(lambda t, x: PROGRAMS[name](functions(t), x), np.array([-9, 0, 1, 9]), rtol=1e-5)


@pytest.mark.parametrize("name", ["gelu", "elu", "leaky_relu", "silu", "softplus", "hardsigmoid", "hardswish", "logsigmoid",
                                  "mish", "softshrink", "hardshrink"])  # fmt: skip
def test_errors_of_integers(name):
    check_error(lambda t, x: PROGRAMS[name](functions(t), x), np.array([1, 2]))


def test_complex():
    z = np.array([0.3 + 1j, -0.6 + 0.2j])
    check(
        lambda t, x: [functions(t).silu(x), functions(t).softsign(x), functions(t).tanhshrink(x)],
        z,
        grad=False,
    )


def test_prelu():
    check(lambda t, x, w: functions(t).prelu(x, w), X, np.array([0.25]))
    check(lambda t, x, w: functions(t).prelu(x, w), X, np.array([0.25, 0.1, 0.2, 0.3]))
    check(lambda t, x, w: functions(t).prelu(x, w), X.reshape(2, 2, 2), np.array([0.25, 0.1]))
    check(lambda t, x, w: functions(t).prelu(x, w), EDGES, np.array([0.25]), double=False)


def test_in_place():
    check(lambda t, x: (x * 1).relu_(), X)


@pytest.mark.parametrize(
    "program",
    [
        lambda f, x: f.relu(3),
        lambda f, x: f.glu(x[:, :3]),
        lambda f, x: f.gelu(x, approximate="x"),
        lambda f, x: f.softshrink(x, -1),
    ],
)
def test_errors(program):
    check_error(lambda t, x: program(functions(t), x), X.astype(np.float32))


def test_relu_of_bool():
    check_error(lambda t, x: t.relu(x), np.array([True, False]))


@pytest.mark.parametrize("shape", [(5,), (40, 40)], ids=str)
def test_what_is_cut_off_gets_no_gradient_even_of_an_infinite_one(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(0, 4, shape)
    for program in (
        lambda t, x: t.relu(x), lambda t, x: x.clamp(-1, 1), lambda t, x: t.nn.functional.hardtanh(x), lambda t, x: t.nn.functional.relu6(x),
        lambda t, x: t.maximum(x, t.zeros_like(x)), lambda t, x: x.clamp(min=0), lambda t, x: t.fmin(x, t.zeros_like(x)),
    ):  # fmt: skip
        found = []
        for t in (torch, clew):
            x = t.tensor(values, dtype=t.float32, requires_grad=True)
            program(t, x).backward(t.full(shape, float("inf")))
            found.append(x.grad.numpy())
        np.testing.assert_array_equal(*found)
