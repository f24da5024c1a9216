"""Special functions: values at known places, derivatives against finite differences, errors."""

import math

import numpy as np
import pytest

import clew
from clew.autograd import gradcheck, gradgradcheck

X = np.array([0.3, 0.6, 0.9])
Y = np.array([1.5, 0.7, 2.2])
UNARY = """digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammaln i0 i0e i1 i1e log1p log_ndtr logit ndtr ndtri psi
sinc""".split()
WITHOUT_DERIVATIVE = """airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_i0 modified_bessel_i1
modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0""".split()


def leaf(array):
    return clew.tensor(array, dtype=clew.float64, requires_grad=True)


def values(tensor):
    return np.asarray(tensor.detach()._array)


@pytest.mark.parametrize("name", UNARY)
def test_derivatives_of_unary(name):
    function = getattr(clew.special, name)
    assert gradcheck(function, (leaf(X),))
    assert gradgradcheck(function, (leaf(X),))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: clew.special.xlog1py(x, y),
        lambda x, y: clew.special.xlog1py(2.0, y) + clew.special.xlog1py(x, 3),
        lambda x, y: clew.special.zeta(2.5, y) + x,
        lambda x, y: clew.igamma(clew.tensor([0.5, 1.0, 3.0], dtype=clew.float64), y) + x,
        lambda x, y: clew.igammac(clew.tensor([0.5, 1.0, 3.0], dtype=clew.float64), y) + x,
        lambda x, y: clew.polygamma(2, x),
        lambda x, y: clew.mvlgamma(y + 1, 3),
        lambda x, y: clew.frexp(x).mantissa,
        lambda x, y: clew.fill(x, y.sum()) * x,
    ],
)
def test_derivatives_of_others(function):
    assert gradcheck(function, (leaf(X), leaf(Y)))
    assert gradgradcheck(function, (leaf(X), leaf(Y)))


@pytest.mark.parametrize("name", ["i1", "i1e"])
def test_odd_bessel_functions_at_zero(name):
    x = leaf([0.0])
    (slope,) = clew.autograd.grad(getattr(clew.special, name)(x).sum(), x, create_graph=True)
    assert slope.item() == 0.5
    if name == "i1":
        assert clew.autograd.grad(slope.sum(), x)[0].item() == 0


@pytest.mark.parametrize("name", WITHOUT_DERIVATIVE)
def test_functions_without_derivative(name):
    function = getattr(clew.special, name)
    assert not function(leaf(X)).requires_grad
    assert function(clew.tensor([1, 2])).dtype is clew.float32
    with pytest.raises(NotImplementedError, match=f"\"{name}_cpu\" not implemented for 'Half'"):
        function(clew.ones(2).half())


def test_bessel_functions():
    s, x = clew.special, clew.tensor([1.0, 2.5], dtype=clew.float64)
    wronskian = s.bessel_j1(x) * s.bessel_y0(x) - s.bessel_j0(x) * s.bessel_y1(x)
    np.testing.assert_allclose(values(wronskian), 2 / (math.pi * values(x)))
    np.testing.assert_allclose(
        values(s.modified_bessel_i0(x) * s.modified_bessel_k1(x) + s.modified_bessel_i1(x) * s.modified_bessel_k0(x)),
        1 / values(x),
    )  # fmt: skip
    np.testing.assert_allclose(values(s.spherical_bessel_j0(x)), np.sinc(values(x) / math.pi))
    far = values(s.airy_ai(clew.tensor([-1e6, -2e4, 2e6], dtype=clew.float64)))
    assert np.isfinite(far).all() and far[2] == 0


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 9])
def test_polynomials(degree):
    s = clew.special
    theta = np.array([0.2, 1.1, 2.9])
    x = clew.tensor(np.cos(theta))
    for name, want in (
        ("chebyshev_polynomial_t", np.cos(degree * theta)),
        ("chebyshev_polynomial_u", np.sin((degree + 1) * theta) / np.sin(theta)),
        ("chebyshev_polynomial_v", np.cos((degree + 0.5) * theta) / np.cos(theta / 2)),
        ("chebyshev_polynomial_w", np.sin((degree + 0.5) * theta) / np.sin(theta / 2)),
    ):
        np.testing.assert_allclose(values(getattr(s, name)(x, degree)), want, atol=1e-12)
        shifted = getattr(s, "shifted_" + name)((x + 1) / 2, degree)
        np.testing.assert_allclose(values(shifted), want, atol=1e-12)
    one = [0] * degree + [1]
    for name, basis in (
        ("hermite_polynomial_h", np.polynomial.hermite.hermval),
        ("hermite_polynomial_he", np.polynomial.hermite_e.hermeval),
        ("laguerre_polynomial_l", np.polynomial.laguerre.lagval),
        ("legendre_polynomial_p", np.polynomial.legendre.legval),
    ):
        np.testing.assert_allclose(values(getattr(s, name)(x, degree)), basis(values(x), one), atol=1e-9)


def test_degrees_broadcast_are_cut_to_integers_and_negative_ones_give_zero():
    made = clew.special.chebyshev_polynomial_t(clew.tensor([[0.5], [2.0]]), clew.tensor([-1.0, 0.0, 2.9]))
    assert values(made).tolist() == [[0, 1, -0.5], [0, 1, 7]]
    assert made.dtype is clew.float32
    assert values(clew.special.hermite_polynomial_h(2, clew.tensor([3]))).tolist() == [40]


def test_incomplete_gamma_functions():
    a, x = clew.tensor([0.5, 2.0]), clew.tensor([1.0, 3.0])
    np.testing.assert_allclose(values(clew.igamma(a, x) + clew.igammac(a, x)), 1, rtol=1e-6)
    np.testing.assert_allclose(values(clew.igamma(a, x))[0], math.erf(1), rtol=1e-6)
    assert clew.equal(a.clone().igamma_(x), clew.igamma(a, x))


def test_edges():
    s = clew.special
    nan, inf = math.nan, math.inf
    assert values(s.entr(clew.tensor([-1.0, 0.0, 1.0]))).tolist() == [-inf, 0, 0]
    assert values(s.xlog1py(clew.tensor([0.0, 0.0]), clew.tensor([-2.0, inf]))).tolist() == [0, 0]
    assert values(clew.sign(clew.tensor([nan, -0.0, -3.0]))).tolist() == [0, 0, -1]
    assert clew.lgamma(clew.tensor(-inf)).item() == inf
    assert clew.complex(clew.tensor(0.0), clew.tensor(inf)).item() == complex(0, inf)
    mantissa, exponent = clew.frexp(clew.tensor([0.0, -3.0, 8.0]))
    assert values(mantissa).tolist() == [0, -0.75, 0.5] and values(exponent).tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda s, x: s.zeta(2, 3), TypeError, r"special_zeta\(\) received an invalid combination .* \(int, int\)"),
        (lambda s, x: s.legendre_polynomial_p(x, "a"), TypeError, r"got \(Tensor, str\)"),
        (lambda s, x: clew.igamma(x, 2), TypeError, r"argument 'other' \(position 2\) must be Tensor, not int"),
        (lambda s, x: clew.igamma(x.long(), x.long()), NotImplementedError, "\"igamma_cpu\" not implemented for 'Long'"),
        (lambda s, x: s.zeta(x, 2.0).sum().backward(), NotImplementedError, "the derivative for 'zeta' is not"),
        (lambda s, x: clew.igamma(x, x).sum().backward(), NotImplementedError, "derivative for 'igamma: input'"),
        (lambda s, x: clew.polygamma(-1, x), RuntimeError, "does not support negative n"),
        (lambda s, x: clew.polygamma(x, 1), TypeError, r"argument 'n' \(position 1\) must be int, not Tensor"),
        (lambda s, x: clew.mvlgamma(x > 1, 2), RuntimeError, "may not be a boolean tensor"),
        (lambda s, x: clew.frexp(x.long()), RuntimeError, "only supports floating-point dtypes"),
        (lambda s, x: clew.logit(x, eps="a"), TypeError, "argument 'eps' must be float, not str"),
        (lambda s, x: x.chalf(), NotImplementedError, "no complex32"),
    ],
)  # fmt: skip
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(clew.special, leaf(X))
