"""Activation functions: derivatives against finite differences, values at the edges."""

import numpy as np
import pytest

import clew
from clew.ops import activation

X = np.array([-3.5, -1.7, -0.7, 0.2, 0.9, 2.4, 6.5, 8.0])
NAMES = """celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu silu
softplus softshrink softsign tanhshrink""".split()


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name):
    from clew.autograd import gradcheck, gradgradcheck

    x = clew.tensor(X, requires_grad=True)
    assert gradcheck(getattr(activation, name), (x,))
    assert gradgradcheck(getattr(activation, name), (x,))


def test_derivatives_of_prelu_and_tanh_gelu():
    from clew.autograd import gradcheck

    x, w = (
        clew.tensor(X.reshape(4, 2), requires_grad=True),
        clew.tensor([0.2, 0.3], dtype=clew.float64, requires_grad=True),
    )
    assert gradcheck(activation.prelu, (x, w))
    assert gradcheck(lambda t: activation.gelu(t, approximate="tanh"), (x,))


@pytest.mark.parametrize("name", ["softplus", "logsigmoid", "silu", "mish", "gelu", "elu", "selu"])
def test_large_arguments_do_not_overflow(name):
    result = getattr(activation, name)(clew.tensor([-200.0, -90.0, 90.0, 200.0]))
    assert np.isfinite(result._array).all()


def test_random_slopes_stay_in_their_range():
    x = clew.tensor(-np.ones(1000))
    slopes = -activation.rrelu(x, 0.1, 0.3, training=True)._array
    assert slopes.min() >= 0.1 and slopes.max() <= 0.3 and slopes.std() > 0.03
    assert np.allclose(activation.rrelu(x, 0.1, 0.3)._array, -0.2)
