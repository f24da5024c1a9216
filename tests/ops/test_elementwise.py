"""Elementwise functions: derivatives against finite differences, and the semantics programs rely on."""

import math

import numpy as np
import pytest

import clew

X = np.array([0.3, 0.6, 0.9])
Y = np.array([0.5, 0.2, 0.35]) + 0.013  # no multiples among the quotients: remainders jump there
UNARY = """abs acos asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac i0 lgamma
log log10 log1p log2 logit nan_to_num neg rad2deg reciprocal rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh
trunc""".split()
BINARY = """add sub mul div pow atan2 hypot maximum minimum fmax fmin fmod remainder logaddexp logaddexp2 xlogy
ldexp""".split()


def leaf(array):
    return clew.tensor(array, dtype=clew.float64, requires_grad=True)


@pytest.mark.parametrize("name", UNARY)
def test_derivatives_of_unary(name):
    from clew.autograd import gradcheck, gradgradcheck

    assert gradcheck(getattr(clew, name), (leaf(X),))
    assert gradgradcheck(getattr(clew, name), (leaf(X),))


@pytest.mark.parametrize("name", BINARY)
def test_derivatives_of_binary(name):
    from clew.autograd import gradcheck, gradgradcheck

    assert gradcheck(getattr(clew, name), (leaf(X), leaf(Y)))
    assert gradgradcheck(getattr(clew, name), (leaf(X), leaf(Y[:1])))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: clew.lerp(x, y, 0.3),
        lambda x, y: clew.addcmul(x, x, y, value=0.5),
        lambda x, y: clew.addcdiv(x, x, y),
        lambda x, y: clew.where(x > y, x * y, y),
        lambda x, y: clew.clamp(x, y, y + 0.2),
        lambda x, y: 1 / x - 2**y + (1 - x) * 3,
        lambda x, y: clew.complex(x, y).abs(),
        lambda x, y: clew.polar(x, y).real,
    ],
)
def test_derivatives_of_others(function):
    from clew.autograd import gradcheck, gradgradcheck

    assert gradcheck(function, (leaf(X), leaf(Y)))
    assert gradgradcheck(function, (leaf(X), leaf(Y)))


def values(tensor):
    return np.asarray(tensor._array).tolist()


def test_a_0d_float_times_a_number_keeps_its_type():
    x = clew.tensor(0.5)
    for result in (x + 1, 2 * x, x / 3, x**2, 1 - x, x.exp(), abs(-x), clew.maximum(x, x)):
        assert result.dtype is clew.float32


def test_integers_divide_to_floats_and_floor_to_integers():
    x = clew.tensor([7, -7])
    assert values(x / 2) == [3.5, -3.5]
    assert values(x // 2) == [3, -4]
    assert values(clew.div(x, 2, rounding_mode="trunc")) == [3, -3]
    assert values(x % 3) == [1, 2]
    assert values(clew.fmod(x, 3)) == [1, -1]


@pytest.mark.parametrize("divide", [lambda x: x // 0, lambda x: x % 0, lambda x: clew.fmod(x, 0)])
def test_integer_division_by_zero_is_an_error(divide):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        divide(clew.tensor([1, 2]))


def test_division_by_zero_of_floats_is_silent():
    assert values(clew.tensor([1.0, -1.0]) / 0) == [math.inf, -math.inf]
    assert values(clew.log(clew.tensor(0.0))) == -math.inf


def test_unknown_operands_are_left_to_their_class():
    class Other:
        def __radd__(self, tensor):
            return "added"

    x = clew.tensor([1.0])
    assert x + Other() == "added"
    assert (x == None) is False and (x != "a") is True  # noqa: E711
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "a"


def test_in_place_returns_the_same_tensor():
    x = clew.tensor([1.0, 2.0])
    y = x
    x += 1
    x *= 2
    assert x is y and values(x) == [4.0, 6.0]
    assert x.clamp_(max=5) is x and values(x) == [4.0, 5.0]


def test_in_place_keeps_the_type():
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        clew.tensor([1, 2]).add_(0.5)


def test_views_of_complex_numbers_share_memory():
    z = clew.tensor([1 + 2j, 3 - 1j])
    z.real.mul_(10)
    clew.view_as_real(z)
    assert values(z) == [10 + 2j, 30 - 1j]


def test_comparisons_give_bool_without_history():
    x = leaf(X)
    for mask in (x > 0.5, x == x, x <= Y.tolist()[0], clew.isnan(x), clew.logical_not(x)):
        assert mask.dtype is clew.bool and not mask.requires_grad
