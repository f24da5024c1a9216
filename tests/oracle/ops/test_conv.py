"""Convolutions against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import check, check_error

from clew.ops import conv as convolutions

torch = pytest.importorskip("torch")


def a(*shape: int, dtype: Any = np.float64) -> Any:
    """Fixed numbers of a shape."""
    rng = np.random.default_rng(sum(shape) + len(shape))
    if np.dtype(dtype).kind == "i":
        return rng.integers(-3, 4, shape).astype(dtype)
    return np.asarray(rng.uniform(-1.5, 1.5, shape), dtype)


def f(t: Any, name: str) -> Any:
    """`torch.nn.functional`'s function, or clew's."""
    return getattr(torch.nn.functional if t is torch else convolutions, name)


CASES = [  # function, input, weight, has a bias, options
    ("conv1d", (2, 3, 7), (4, 3, 3), True, {}),
    ("conv1d", (3, 7), (4, 3, 3), True, {}),
    ("conv1d", (2, 3, 7), (4, 3, 2), False, {"stride": 2, "padding": 1, "dilation": 2}),
    ("conv2d", (2, 3, 5, 6), (4, 3, 3, 2), True, {}),
    ("conv2d", (2, 3, 5, 6), (4, 3, 3, 2), False, {"stride": (2, 1), "padding": (1, 2)}),
    ("conv2d", (3, 5, 6), (4, 3, 3, 2), True, {"dilation": (1, 2)}),
    ("conv2d", (2, 4, 5, 5), (6, 2, 3, 3), True, {"groups": 2, "padding": 1}),
    ("conv2d", (2, 4, 5, 5), (4, 1, 3, 3), True, {"groups": 4, "padding": 1}),
    ("conv2d", (2, 4, 5, 5), (8, 1, 3, 3), False, {"groups": 4, "stride": 2}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 3, 3), True, {"padding": "same"}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 2, 4), True, {"padding": "same"}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 3, 3), True, {"padding": "same", "dilation": 2}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 3, 3), True, {"padding": "valid"}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 1, 1), True, {}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 1, 1), True, {"stride": 2}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 5, 5), True, {}),
    ("conv2d", (0, 3, 5, 5), (4, 3, 3, 3), True, {}),
    ("conv3d", (2, 3, 4, 5, 4), (2, 3, 2, 3, 2), True, {"padding": 1, "stride": (1, 2, 1)}),
    ("conv3d", (2, 4, 5, 4), (2, 1, 2, 3, 2), True, {"groups": 2}),
    ("conv_transpose1d", (2, 3, 5), (3, 4, 3), True, {"stride": 2, "output_padding": 1}),
    ("conv_transpose2d", (2, 3, 4, 5), (3, 4, 3, 3), True, {}),
    ("conv_transpose2d", (3, 4, 5), (3, 4, 3, 3), True, {"padding": 1}),
    (
        "conv_transpose2d",
        (2, 3, 4, 5),
        (3, 4, 3, 2),
        False,
        {"stride": 2, "padding": 1, "output_padding": 1, "dilation": 2},
    ),
    ("conv_transpose2d", (2, 4, 4, 4), (4, 2, 3, 3), True, {"groups": 2, "stride": 2}),
    ("conv_transpose2d", (2, 3, 4, 4), (3, 4, 1, 1), True, {}),
    ("conv_transpose3d", (2, 3, 3, 4, 3), (3, 2, 2, 3, 2), True, {"stride": (1, 2, 1)}),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_convolutions(case: Any) -> None:
    name, x, w, has_bias, options = case
    outputs = w[1] * options.get("groups", 1) if "transpose" in name else w[0]
    bias = [a(outputs)] if has_bias else []
    check(lambda t, x, w, *b: f(t, name)(x, w, *b, **options), a(*x), a(*w), *bias, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "complex64"])
def test_other_types(dtype: str) -> None:
    def program(t: Any, x: Any, w: Any) -> Any:
        return f(t, "conv2d")(x.to(getattr(t, dtype)), w.to(getattr(t, dtype)), padding=1)

    kind = np.int64 if dtype == "int64" else np.float32
    loose = {"rtol": 3e-2, "atol": 1e-1} if "16" in dtype else {"rtol": 1e-5, "atol": 1e-5}
    check(
        program,
        a(2, 3, 5, 5, dtype=kind),
        a(4, 3, 3, 3, dtype=kind),
        double=False,
        grad=dtype != "complex64",
        **loose,
    )


def test_many_images_of_large_weights() -> None:
    check(
        lambda t, x, w: f(t, "conv2d")(x, w, padding=1), a(40, 64, 4, 4, dtype=np.float32), a(192, 64, 3, 3, dtype=np.float32),
        rtol=1e-3, atol=1e-3, double=False,
    )  # fmt: skip


def test_one_gradient_only() -> None:
    check(lambda t, x: f(t, "conv2d")(x, t.ones(4, 3, 3, 3, dtype=t.float64)), a(2, 3, 5, 5))
    check(lambda t, w: f(t, "conv2d")(t.ones(2, 3, 5, 5, dtype=t.float64), w), a(4, 3, 3, 3))
    check(lambda t, x: f(t, "conv2d")(x.transpose(2, 3), t.ones(4, 3, 3, 3, dtype=t.float64)), a(2, 3, 5, 6))


def test_time_first() -> None:
    check(lambda t, x, w, b: t.conv_tbc(x, w, b, 1), a(5, 2, 3), a(3, 3, 4), a(4), names=False)


ERRORS = """conv2d(r(2,3,5,5),r(4,3,3,3),padding='same',stride=2)
conv2d(r(2,3,5,5),r(4,3,3,3),padding='foo')
conv2d(r(2,3,5,5),r(4,3,3))
conv2d(r(2,3,5),r(4,3,3))
conv2d(r(5,5),r(4,3,3,3))
conv2d(r(2,2,5,5),r(4,3,3,3))
conv2d(r(2,3,5,5),r(4,3,3,3),r(3))
conv2d(r(2,3,5,5),r(4,3,3,3),r(4,1))
conv2d(r(2,3,5,5),r(4,3,6,6))
conv2d(r(2,3,5,5),r(4,3,3,3),stride=0)
conv2d(r(2,3,5,5),r(4,3,3,3),padding=-1)
conv2d(r(2,3,5,5),r(4,3,3,3),dilation=0)
conv2d(r(2,3,5,5),r(4,3,3,3),groups=2)
conv2d(r(2,4,5,5),r(5,2,3,3),groups=2)
conv2d(r(2,4,5,5),r(6,2,3,3),groups=0)
conv2d(r(2,3,5,5),r(4,3,3,3,d=D))
conv2d(r(2,3,5,5),r(4,3,3,3),r(4,d=D))
conv2d(r(2,3,5,5),r(4,3,3,3),stride=(1,1,1))
conv2d(r(2,3,5,5),r(4,3,3,3),padding=(1,1,1))
conv2d(r(2,3,0,5),r(4,3,3,3))
conv2d(r(2,3,5,5),r(0,3,3,3))
conv2d(r(2,3,5,5,d=B),r(4,3,3,3,d=B))
conv1d(r(2,3,5,5),r(4,3,3))
conv_transpose2d(r(2,3,5,5),r(4,3,3,3))
conv_transpose2d(r(2,3,5,5),r(3,4,3,3),output_padding=1)
conv_transpose2d(r(2,3,5,5),r(3,4,3,3),output_padding=-1,stride=2)
conv_transpose2d(r(2,4,5,5),r(4,2,3,3),r(3),groups=2)
conv_transpose2d(r(2,3,5),r(3,4,3))
conv_transpose1d(r(2,3,5),r(3,4,3),output_padding=1)
conv_transpose3d(r(2,3,5,5,5),r(3,4,3,3,3),output_padding=1)""".splitlines()


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression: str) -> None:
    def program(t: Any) -> Any:
        def r(*shape: int, d: Any = t.float32) -> Any:
            return t.ones(shape, dtype=d)

        names = {name: f(t, name) for name in convolutions.__all__ if name not in ("conv_tbc", "convolution")}
        return eval(expression, {"r": r, "D": t.float64, "B": t.bool, **names})

    check_error(program)
