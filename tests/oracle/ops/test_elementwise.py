"""Elementwise functions, comparisons, complex and special functions against PyTorch: values, derivatives, node names."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from compare import check, check_error

X = np.array([[0.3, 0.6, 0.9], [0.2, 0.45, 0.75]])
Y = np.array([[0.5, 0.2, 0.35], [0.8, 0.15, 0.6]])
SIGNED = np.array([-1.7, -0.5, -0.2, 0.0, 0.4, 1.3, 2.6])
WHOLE = np.array([-7, -2, 1, 3, 8])
WHOLE2 = np.array([3, -3, 2, 5, -4])
BOOL = np.array([True, False, True, False])
BOOL2 = np.array([True, True, False, False])
Z = np.array([0.3 + 1.0j, -0.6 + 0.2j, 0.5 - 0.7j])
W = np.array([0.8 - 0.4j, 0.1 + 0.9j, -0.3 - 0.5j])

UNARY = """abs absolute acos acosh1 arccos arcsin arctan arcsinh arctanh asin asinh atan atanh ceil cos cosh deg2rad
digamma erf erfc erfinv exp exp2 expm1 fix floor frac i0 lgamma log log10 log1p log2 logit nan_to_num neg negative
rad2deg reciprocal round rsqrt sgn sigmoid sign sin sinc sinh sqrt square tan tanh trunc""".split()
HOLOMORPHIC = """acos asin atan asinh atanh cos cosh exp exp2 expm1 log log10 log1p log2 neg reciprocal rsqrt sigmoid sin
sinh sqrt square tan tanh""".split()
BINARY = """add sub mul div true_divide subtract multiply divide pow atan2 arctan2 hypot maximum minimum fmax fmin fmod
remainder logaddexp logaddexp2 xlogy copysign nextafter ldexp rsub float_power""".split()
COMPARISONS = "eq ne lt le gt ge greater greater_equal less less_equal not_equal".split()


def function(t, name):
    """`t.<name>`, where a trailing 1 shifts the argument by 1."""
    if name.endswith("h1"):
        return lambda x: getattr(t, name[:-1])(x + 1)
    return getattr(t, name)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    check(lambda t, x: function(t, name)(x), X)


@pytest.mark.parametrize("name", UNARY)
def test_unary_of_other_types(name):
    check(lambda t, x: function(t, name)(x), X.astype(np.float32), rtol=2e-5, atol=1e-6)
    check(
        lambda t, x: function(t, name)(x),
        X.astype(np.float16),
        rtol=2e-3,
        atol=1e-3,
        double=False,
        names=False,
    )
    check(lambda t, x: function(t, name)(x), np.zeros((0, 3)))
    check(lambda t, x: function(t, name)(x), np.array(0.25))


@pytest.mark.parametrize(
    "name", [n for n in UNARY if n not in ("frac", "logit", "erfinv", "acosh1", "atanh", "arctanh")]
)
def test_unary_of_integers(name):
    check(lambda t, x: function(t, name)(x), np.array([1, 1, 3]), rtol=1e-5)


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_unary_of_complex(name):
    check(lambda t, x: function(t, name)(x), Z, rtol=1e-5)


@pytest.mark.parametrize("name", "abs sgn angle conj_physical".split())
def test_unary_not_holomorphic(name):
    check(lambda t, x: function(t, name)(x), Z)


@pytest.mark.parametrize(
    "name", "abs ceil erf exp floor frac neg round sgn sigmoid sign sin sinc square tanh trunc angle".split()
)
def test_unary_signed(name):
    check(lambda t, x: function(t, name)(x), SIGNED)


@pytest.mark.parametrize("name", "isnan isinf isfinite isposinf isneginf isreal signbit logical_not".split())
def test_questions(name):
    odd = np.array([0.0, -0.0, 1.5, -2.0])
    check(lambda t, x: getattr(t, name)(x / t.tensor([1.0, 1.0, 0.0, 0.0], dtype=t.float64)), odd, grad=False)
    check(lambda t, x: getattr(t, name)(x / x), odd, grad=False)
    check(lambda t, x: getattr(t, name)(x), WHOLE, grad=False)


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    check(lambda t, x, y: getattr(t, name)(x, y), X, Y)


@pytest.mark.parametrize("name", BINARY)
def test_binary_broadcasts(name):
    check(lambda t, x, y: getattr(t, name)(x, y), X, np.array([0.7, 0.25, 0.55]))
    check(lambda t, x, y: getattr(t, name)(x, y), np.array(0.65), Y)
    check(
        lambda t, x, y: getattr(t, name)(x, y),
        X.astype(np.float32),
        np.array(0.7),
        rtol=1e-5,
        atol=1e-6,
        double=False,
    )


@pytest.mark.parametrize(
    "name", [n for n in BINARY if n not in ("hypot", "logaddexp", "logaddexp2", "nextafter")]
)
def test_binary_of_integers(name):
    check(lambda t, x, y: getattr(t, name)(x, y), WHOLE, WHOLE2, rtol=1e-5)
    check(lambda t, x, y: getattr(t, name)(x, y), WHOLE, np.abs(WHOLE2).astype(np.int32), rtol=1e-5)


@pytest.mark.parametrize("name", "add sub mul div pow".split())
def test_binary_of_complex(name):
    check(lambda t, x, y: getattr(t, name)(x, y), Z, W)
    check(lambda t, x, y: getattr(t, name)(x, y), Z, np.array([0.5, 1.5, 2.0]))
    check(lambda t, x: getattr(t, name)(x, 2), Z)
    check(lambda t, x: getattr(t, name)(x, 0.5 + 1j), Z)


@pytest.mark.parametrize("mode", ["floor", "trunc"])
def test_div_rounded(mode):
    check(
        lambda t, x, y: t.div(x, y, rounding_mode=mode),
        SIGNED,
        np.array([0.4, -0.3, 0.7, 1.0, -0.15, 0.5, 0.6]),
    )
    check(lambda t, x: x.div(0.3, rounding_mode=mode), SIGNED)
    check(lambda t, x, y: t.div(x, y, rounding_mode=mode), WHOLE, WHOLE2)
    check(lambda t, x: t.div(x, -3, rounding_mode=mode), WHOLE)
    check(lambda t, x: t.div(x, 2.5, rounding_mode=mode), WHOLE)


@pytest.mark.parametrize("y", [0.7, -0.7, 2])
def test_remainders(y):
    for name in ("remainder", "fmod", "floor_divide"):
        check(lambda t, x: getattr(t, name)(x, y), SIGNED, grad=name != "floor_divide")
        check(lambda t, x: getattr(t, name)(x, y), WHOLE)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, 1.5, -0.5, 2.0, 0.0])
def test_pow_of_numbers(exponent):
    check(lambda t, x: x**exponent, X)
    check(lambda t, x: t.pow(x, exponent), X.astype(np.float32), rtol=1e-5)
    check(lambda t, x: x**exponent, np.array(1.5))
    if exponent >= 0 or exponent == -0.5:
        check(lambda t, x: x**exponent, np.array([1, 2, 3]), rtol=1e-5)


@pytest.mark.parametrize("base", [2, 0.5, 3.0, 1])
def test_pow_of_a_number(base):
    check(lambda t, x: base**x, X)
    check(lambda t, x: base**x, np.array([0, 1, 5]))


def test_pow_edges():
    zeros = np.array([0.0, 0.0, 2.0])
    check(lambda t, x, y: x**y, zeros, np.array([0.0, 2.0, 0.0]), double=False)
    check(lambda t, x: x**0, zeros)
    check(lambda t, x: 0**x, zeros, double=False)
    check(lambda t, x: x**0.5, zeros, double=False)
    check(lambda t, x: x ** t.tensor(-1), np.array([1, -1, 2]))
    check(lambda t, x: x**2, BOOL)


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "%": lambda a, b: a % b, "**": lambda a, b: a**b,
}  # fmt: skip


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators(symbol):
    op = OPERATORS[symbol]
    check(lambda t, x, y: op(x, y), X, Y)
    for number in (2, 0.5, True, np.float32(0.5), np.float64(1.5), np.int64(3)):
        if (symbol == "-" and number is True) or (symbol == "**" and not isinstance(number, (int, float))):
            continue
        check(lambda t, x: op(x, number), X)
        check(lambda t, x: op(x, number), X.astype(np.float32), rtol=1e-5)
        if symbol != "%" and not (symbol == "**" and number is True):
            check(lambda t, x: op(number, x), X)
            check(lambda t, x: op(number, x), X.astype(np.float32), rtol=1e-5)
    check(lambda t, x: op(x, 2), np.array([1, 2, 5]))
    check(lambda t, x: op(7, x), np.array([1, 2, 5]))
    check(lambda t, x: op(x, 2.5), np.array([1, 2, 5], dtype=np.int32))


def test_integer_operators():
    for name in "and or xor lshift rshift floordiv mod".split():
        positive = np.array([1, 2, 5, 3, 1])
        check(lambda t, x, y: getattr(x, f"__{name}__")(y), WHOLE, positive)
        check(lambda t, x: getattr(x, f"__{name}__")(2), WHOLE)
        check(lambda t, x: getattr(x, f"__r{name}__")(9), positive)
    for name in "and or xor".split():
        check(lambda t, x, y: getattr(t, f"bitwise_{name}")(x, y), BOOL, BOOL2)
    check(lambda t, x: [~x, -x, abs(x), +x], WHOLE)
    check(lambda t, x: ~x, BOOL)
    check(lambda t, x, y: [t.gcd(x, y), t.lcm(x, y)], WHOLE, WHOLE2)


@pytest.mark.parametrize(
    "name", "add_ sub_ mul_ div_ pow_ remainder_ fmod_ atan2_ hypot_ copysign_ clamp_min_".split()
)
def test_binary_in_place(name):
    check(lambda t, x, y: getattr(x * 2, name)(y), X, Y, names=False)
    check(lambda t, x: getattr(x.detach() * 2, name)(t.tensor(0.5, dtype=t.float64)), X)


@pytest.mark.parametrize(
    "name", "exp_ neg_ abs_ sqrt_ tanh_ sigmoid_ log_ sin_ reciprocal_ square_ floor_ erf_".split()
)
def test_unary_in_place(name):
    check(lambda t, x: getattr(x * 1.0, name)(), X)


def test_augmented():
    def program(t, x):
        y = x * 2
        y += 1
        y *= x
        y -= 0.5
        y /= 3
        y **= 2
        return y

    check(program, X)
    check(program, X.astype(np.float32), rtol=1e-5)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name):
    other = np.array([0.0, -0.5, 1.0, 0.0, 0.3, 1.3, 9.0])
    check(lambda t, x, y: getattr(t, name)(x, y), SIGNED, other)
    check(lambda t, x: getattr(t, name)(x, 1), WHOLE)
    check(lambda t, x: getattr(t, name)(x, 1.5), WHOLE)
    check(lambda t, x, y: getattr(x, name)(y), WHOLE, WHOLE2.astype(np.float32))
    check(lambda t, x, y: getattr(t, name)(x, y), BOOL, BOOL2)


def test_comparison_operators():
    check(lambda t, x: [x == 1, x != 1, x < 1, 1 < x, x <= 1, x > 1, x >= 1, x == None, x != "a"], WHOLE)  # noqa: E711
    check(lambda t, x, y: [t.equal(x, y), t.equal(x, x), t.allclose(x, y), t.allclose(x, x + 1e-9)], X, Y)
    check(lambda t, x, y: [t.isclose(x, y), t.isclose(x, x, rtol=0.0)], X, Y)
    check(lambda t, x: t.isclose(x / 0, x / 0, equal_nan=True), SIGNED)
    check(lambda t, x: x.detach().clone().lt_(0.5), X)


@pytest.mark.parametrize("name", "logical_and logical_or logical_xor".split())
def test_logic(name):
    check(lambda t, x, y: getattr(t, name)(x, y), BOOL, BOOL2)
    check(lambda t, x, y: getattr(t, name)(x, y), WHOLE, np.array([0.0, 1.0, 0.0, 2.0, 0.5]))


LIMITS = [(0, 1), (-0.5, 1.3), (None, 0.4), (0.4, None), (1.0, 0.0)]


@pytest.mark.parametrize(("low", "high"), LIMITS)
def test_clamp(low, high):
    check(lambda t, x: t.clamp(x, low, high), SIGNED)
    check(lambda t, x: x.clip(min=low, max=high), WHOLE)
    check(lambda t, x: (x * 1).clamp_(low, high), SIGNED.astype(np.float32), rtol=1e-5)


def test_clamp_by_tensors():
    low, high = (
        SIGNED - np.array([0.5, -0.1, 0.0, 0.1, 0.2, 0.3, 3.0]),
        np.array([-2.0, 1, 0.1, 2.0, 0.2, 0.5, 1.0]),
    )
    check(lambda t, x, a, b: t.clamp(x, a, b), SIGNED, low, high)
    check(lambda t, x, a: t.clamp(x, min=a), SIGNED, low)
    check(lambda t, x, a: t.clamp(x, max=a), SIGNED, high)
    check(lambda t, x, a: [x.clamp_min(a), x.clamp_max(a), x.clamp_min(0.4), x.clamp_max(0.4)], SIGNED, high)
    check(lambda t, x, a: t.clamp(x, min=a), WHOLE, np.array([0.5]))


def test_ties():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    for name in ("maximum", "minimum", "fmax", "fmin", "hypot", "nextafter"):
        check(lambda t, x, y: getattr(t, name)(x, y), a, b, double=False)


def test_where():
    check(lambda t, c, x, y: t.where(c, x, y), BOOL, SIGNED[:4], SIGNED[3:])
    check(lambda t, c, x: t.where(c, x, 1.5), BOOL, SIGNED[:4])
    check(lambda t, c, x: t.where(c, 2, x), BOOL, SIGNED[:4])
    check(lambda t, c: [t.where(c, 1, 2), t.where(c, 1.0, 2), t.where(c, True, False)], BOOL)
    check(lambda t, c, x: x.where(c, x * 2), BOOL[:3], X)
    check(lambda t, c, x: t.where(c, x, 2.5), BOOL, np.array([1, 2, 3, 4]))
    check(lambda t, c, x: t.where(c, x, 2), BOOL, SIGNED[:4].astype(np.float16), names=False)
    check(
        lambda t, c, x, y: t.where(c, x, y), BOOL, SIGNED[:4].astype(np.float32), np.array(2.0), names=False
    )


def test_mixed():
    check(lambda t, x, y: [t.lerp(x, y, 0.3), t.lerp(x, y, 0.8), t.lerp(x, y, y)], X, Y)
    check(lambda t, x, y: [t.addcmul(x, x, y), t.addcmul(x, y, y, value=0.5)], X, Y)
    check(lambda t, x, y: [t.addcdiv(x, x, y), t.addcdiv(x, y, x, value=2)], X, Y)
    check(lambda t, x: [t.addcmul(x, x, x), t.addcmul(x, x, x, value=2)], WHOLE)
    check(lambda t, x, y: [t.add(x, y, alpha=2), t.sub(x, y, alpha=0.5), x.add(y, alpha=-1)], X, Y)
    check(lambda t, x, y: t.add(x, y, alpha=3), WHOLE, WHOLE2)
    check(lambda t, x, y: (x * 1).add_(y, alpha=2), X, Y)
    check(lambda t, x: [x.round(decimals=1), x.round(decimals=-1)], SIGNED * 9)
    check(lambda t, x: x.logit(0.35), X)
    check(lambda t, x: [t.polygamma(n, x) for n in range(4)], X, rtol=1e-5)
    check(lambda t, x: t.mvlgamma(x + 3, 3), X)
    check(
        lambda t, x, y: t.heaviside(x, y), np.array([-1.0, 0.0, 2.0]), np.array([0.5, 0.6, 0.7]), grad=False
    )
    check(lambda t, x: t.nan_to_num(x / 0, nan=1.0, posinf=2.0, neginf=-3.0), SIGNED, grad=False)
    check(lambda t, x: t.nan_to_num(x / 0), SIGNED.astype(np.float32), grad=False)
    check(lambda t, x: [t.xlogy(x, 2.0), t.xlogy(2.0, x), t.copysign(x, -1.0)], X)
    check(lambda t, x: t.float_power(x, 2), X.astype(np.float32))


def test_complex_parts():
    check(lambda t, z: [z.real, z.imag, z.conj(), z.angle(), z.abs()], Z, names=False)
    check(lambda t, z: [z.real.exp() * z.imag, (z * z.conj()).real], Z)
    check(lambda t, x, y: [t.complex(x, y), t.polar(x, y)], X, Y)
    check(lambda t, z: t.view_as_real(z * 2).exp(), Z)
    check(lambda t, x: t.view_as_complex(x * 2) ** 2, np.array([[0.3, 0.4], [1.0, -2.0]]))
    check(lambda t, z: z.abs(), np.array([0j, 1 + 1j]), double=False)
    check(lambda t, x: [x.real, t.conj(x), t.resolve_conj(x), t.positive(x), +x], X, names=False)


def test_writing_to_parts():
    def program(t, z):
        z = z * 1
        z.real.mul_(2)
        z.imag.add_(1)
        return z

    check(program, Z, names=False, double=False)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: x + None,
        lambda t, x: x + "a",
        lambda t, x: x * [1, 2],
        lambda t, x: x < None,
        lambda t, x: t.add(x, None),
        lambda t, x: t.add(x, "a"),
        lambda t, x: t.exp(3),
        lambda t, x: x + t.ones(2, 4),
        lambda t, x: x & x,
        lambda t, x: x << 1,
        lambda t, x: ~x,
        lambda t, x: t.where(x, x, x),
        lambda t, x: x.clamp(),
        lambda t, x: t.lerp(x, x.double(), 0.5),
        lambda t, x: t.complex(x, x.double()),
        lambda t, x: t.view_as_real(x),
        lambda t, x: t.view_as_complex(x),
        lambda t, x: x.imag,
        lambda t, x: t.allclose(x, x.double()),
        lambda t, x: x.div(x, rounding_mode="x"),
        lambda t, x: x.add(x, alpha=True),
        lambda t, x: x.add_(t.ones(3, 2, 3)),
        lambda t, x: x.mul_(1j),
        lambda t, x: t.gcd(x, x),
    ],
)
def test_errors_of_floats(program):
    check_error(program, X.astype(np.float32))


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: x // 0,
        lambda t, x: x % t.tensor([0, 1, 1, 1, 1]),
        lambda t, x: t.fmod(x, 0),
        lambda t, x: t.div(x, 0, rounding_mode="trunc"),
        lambda t, x: x**-1,
        lambda t, x: x.add(x, alpha=0.5),
        lambda t, x: x.exp_(),
        lambda t, x: x.add_(1.5),
        lambda t, x: x.div_(2),
        lambda t, x: x.frac(),
        lambda t, x: x.round(decimals=1),
        lambda t, x: t.addcdiv(x, x, x),
        lambda t, x: t.lerp(x, x, 0.5),
        lambda t, x: t.hypot(x, x),
        lambda t, x: t.complex(x, x),
    ],
)
def test_errors_of_integers(program):
    check_error(program, WHOLE)


@pytest.mark.parametrize("program", [lambda t, b: b - b, lambda t, b: b - 1, lambda t, b: 1 - b, lambda t, b: -b,
                                     lambda t, b: b.abs(), lambda t, b: b // b, lambda t, b: b % b, lambda t, b: b**b,
                                     lambda t, b: b.floor(), lambda t, b: +b])  # fmt: skip
def test_errors_of_bools(program):
    check_error(program, BOOL)


@pytest.mark.parametrize("program", [lambda t, z: z < z, lambda t, z: z.floor(), lambda t, z: z.sign(),
                                     lambda t, z: t.maximum(z, z), lambda t, z: z.clamp(0, 1), lambda t, z: z.erf(),
                                     lambda t, z: z // z, lambda t, z: t.atan2(z, z), lambda t, z: z.round(),
                                     lambda t, z: z.lgamma(), lambda t, z: z.logit(), lambda t, z: z.frac(),
                                     lambda t, z: t.isposinf(z), lambda t, z: t.deg2rad(z)])  # fmt: skip
def test_errors_of_complex(program):
    check_error(program, Z.astype(np.complex64))


def test_promotion():
    arrays = [np.array([1.5, 2.5], dtype=d) for d in (np.float16, np.float32, np.float64)]
    arrays += [np.array([1, 2], dtype=d) for d in (np.uint8, np.int8, np.int32, np.int64)] + [
        np.array([True, False])
    ]
    for a in arrays:
        for b in [*arrays, *[np.asarray(c[0]) for c in arrays]]:
            check(lambda t, x, y: [x + y, x * y, x / (y + 1), x < y], a, b, grad=False, rtol=1e-3)
    for number in (True, 2, 2.5):
        for a in arrays:
            check(lambda t, x: [x + number, number * x, x / number], a, grad=False, rtol=1e-3)


def test_bfloat16():
    check(lambda t, x: [(x.to(t.bfloat16) * 3).exp(), x.to(t.bfloat16) / 7, x.to(t.bfloat16) + x],
          X.astype(np.float32), names=False, rtol=1e-2)  # fmt: skip
