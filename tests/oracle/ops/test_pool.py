"""Pooling, unfolding, borders and resizing against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import check, check_error

from clew.ops import fold as folds
from clew.ops import indexed_pool, resize
from clew.ops import pad as borders
from clew.ops import pool as pools

torch = pytest.importorskip("torch")


def a(*shape: int, dtype: Any = np.float64) -> Any:
    """Fixed numbers of a shape, all different."""
    rng = np.random.default_rng(sum(shape) + len(shape))
    return np.asarray(rng.permutation(int(np.prod(shape))).reshape(shape) / 10 - 2, dtype)


def f(t: Any, name: str) -> Any:
    """`torch.nn.functional`'s function, or clew's."""
    if t is torch:
        return getattr(torch.nn.functional, name)
    return next(
        getattr(module, name)
        for module in (pools, indexed_pool, folds, borders, resize)
        if hasattr(module, name)
    )


CASES = [  # function, input, arguments
    ("max_pool1d", (2, 3, 7), (2,), {}),
    ("max_pool1d", (3, 7), (3, 2, 1), {"ceil_mode": True}),
    ("max_pool2d", (2, 3, 6, 6), (2,), {}),
    ("max_pool2d", (3, 6, 7), ((2, 3),), {"stride": (1, 2)}),
    ("max_pool2d", (2, 3, 7, 7), (3, 2, 1), {}),
    ("max_pool2d", (2, 3, 7, 7), (3, 2, 1), {"ceil_mode": True}),
    ("max_pool2d", (2, 3, 7, 8), (2, 2), {"ceil_mode": True}),
    ("max_pool2d", (2, 3, 8, 8), (2, 1), {"dilation": 2}),
    ("max_pool2d", (0, 3, 6, 6), (2,), {}),
    ("max_pool2d", (2, 3, 6, 6), (3, 1), {"return_indices": True}),
    ("max_pool2d", (2, 3, 6, 6), (3, 2, 1), {"return_indices": True}),
    ("max_pool1d", (2, 3, 6), (3, 2, 1), {"return_indices": True}),
    ("max_pool3d", (2, 3, 4, 4, 5), (2,), {}),
    ("max_pool3d", (3, 4, 4, 5), (2, 1), {"return_indices": True}),
    ("avg_pool1d", (2, 3, 7), (2,), {}),
    ("avg_pool1d", (3, 7), (3, 2, 1), {"ceil_mode": True}),
    ("avg_pool2d", (2, 3, 6, 6), (2,), {}),
    ("avg_pool2d", (3, 6, 7), ((2, 3),), {"stride": (1, 2)}),
    ("avg_pool2d", (2, 3, 7, 7), (3, 2, 1), {}),
    ("avg_pool2d", (2, 3, 7, 7), (3, 2, 1), {"ceil_mode": True}),
    ("avg_pool2d", (2, 3, 7, 7), (3, 2, 1), {"count_include_pad": False}),
    ("avg_pool2d", (2, 3, 7, 8), (3, 2, 1), {"count_include_pad": False, "ceil_mode": True}),
    ("avg_pool2d", (2, 3, 7, 7), (3, 2, 1), {"divisor_override": 5}),
    ("avg_pool3d", (2, 3, 4, 4, 5), (2,), {}),
    ("avg_pool3d", (3, 4, 4, 5), (3, 1, 1), {"count_include_pad": False}),
    ("adaptive_avg_pool1d", (2, 3, 7), (3,), {}),
    ("adaptive_avg_pool1d", (3, 7), (1,), {}),
    ("adaptive_avg_pool2d", (2, 3, 6, 6), (2,), {}),
    ("adaptive_avg_pool2d", (2, 3, 6, 7), ((None, 3),), {}),
    ("adaptive_avg_pool2d", (2, 3, 6, 7), (1,), {}),
    ("adaptive_avg_pool2d", (3, 3, 2), ((5, 4),), {}),
    ("adaptive_avg_pool3d", (2, 3, 4, 5, 6), ((2, 3, 2),), {}),
    ("adaptive_max_pool1d", (2, 3, 7), (3,), {}),
    ("adaptive_max_pool2d", (2, 3, 6, 7), ((2, 3),), {}),
    ("adaptive_max_pool2d", (2, 3, 3, 2), ((5, 4),), {}),
    ("adaptive_max_pool2d", (3, 6, 7), (3,), {"return_indices": True}),
    ("adaptive_max_pool3d", (2, 3, 4, 5, 6), ((2, 3, 2),), {}),
    ("unfold", (2, 3, 5, 6), ((2, 3),), {}),
    ("unfold", (3, 5, 6), (3,), {"dilation": 2, "padding": 1, "stride": 2}),
    ("unfold", (2, 3, 5, 6), (2, 1, 1, 2), {}),
    ("fold", (2, 12, 25), ((6, 6), 2), {}),
    ("fold", (12, 9), ((5, 5), 2), {"padding": 1, "stride": 2}),
    ("fold", (2, 18, 4), ((6, 6), 3), {"dilation": 2, "padding": 1, "stride": 2}),
    ("pad", (2, 3), ((1, 2),), {}),
    ("pad", (2, 3), ((1, 2, 0, 3),), {"value": 3.5}),
    ("pad", (2, 3, 4), ((-1, 1, 2, -2),), {}),
    ("pad", (2, 3), ((0, 0),), {}),
    ("pad", (2, 3, 4), ((1, 2),), {"mode": "reflect"}),
    ("pad", (3, 4), ((3, 2),), {"mode": "reflect"}),
    ("pad", (2, 3, 4, 5), ((1, 2, 3, 1),), {"mode": "reflect"}),
    ("pad", (2, 3, 4, 4, 4), ((1, 2, 1, 0, 2, 1),), {"mode": "reflect"}),
    ("pad", (2, 3, 4), ((-1, 2),), {"mode": "reflect"}),
    ("pad", (2, 3, 4), ((5, 2),), {"mode": "replicate"}),
    ("pad", (2, 3, 4, 5), ((1, 2, 3, 1),), {"mode": "replicate"}),
    ("pad", (2, 3, 4, 4, 4), ((1, 2, 1, 0, 2, 1),), {"mode": "replicate"}),
    ("pad", (2, 3, 4), ((-1, 1),), {"mode": "replicate"}),
    ("pixel_shuffle", (2, 12, 3, 4), (2,), {}),
    ("pixel_unshuffle", (2, 3, 6, 4), (2,), {}),
    ("channel_shuffle", (2, 6, 3, 3), (2,), {}),
    ("lp_pool1d", (2, 3, 6), (3, 2), {}),
    ("lp_pool2d", (2, 3, 6, 6), (2, 2), {}),
    ("interpolate", (2, 3, 4), (), {"scale_factor": 2}),
    ("interpolate", (2, 3, 4, 5), (), {"scale_factor": 2}),
    ("interpolate", (2, 3, 4, 5), (), {"scale_factor": (1.7, 0.6)}),
    ("interpolate", (2, 3, 4, 5), ((7, 3),), {}),
    ("interpolate", (2, 3, 4, 5), ((7, 3),), {"mode": "nearest-exact"}),
    ("interpolate", (2, 3, 4, 4, 4), (), {"scale_factor": 2}),
    ("interpolate", (2, 3, 4, 5), ((7, 3),), {"mode": "bilinear"}),
    ("interpolate", (2, 3, 4, 5), (), {"scale_factor": 1.7, "mode": "bilinear"}),
    (
        "interpolate",
        (2, 3, 4, 5),
        (),
        {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True},
    ),
    ("interpolate", (2, 3, 4, 5), (), {"scale_factor": 1.5, "mode": "bilinear", "align_corners": True}),
    ("interpolate", (2, 3, 4), (), {"scale_factor": 2, "mode": "linear"}),
    ("interpolate", (2, 3, 4, 3, 3), ((5, 6, 2),), {"mode": "trilinear"}),
    ("interpolate", (2, 3, 4, 5), ((7, 3),), {"mode": "bicubic"}),
    ("interpolate", (2, 3, 4, 5), ((7, 9),), {"mode": "bicubic", "align_corners": True}),
    ("interpolate", (2, 3, 4, 6), ((2, 3),), {"mode": "area"}),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_functions(case: Any) -> None:
    name, shape, arguments, options = case
    names = name not in ("channel_shuffle",)
    check(lambda t, x: f(t, name)(x, *arguments, **options), a(*shape), names=names, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [((2, 3, 4), (1, 2)), ((2, 3, 4, 5), (1, 2, 3, 1)), ((3, 4), (-1, 3))])
def test_circular(shape: Any) -> None:
    check(lambda t, x: f(t, "pad")(x, shape[1], mode="circular"), a(*shape[0]), names=False)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    "name", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "unfold"]
)
def test_other_floats(name: str, dtype: str) -> None:
    loose = {"rtol": 2e-2, "atol": 1e-2} if "16" in dtype else {"rtol": 1e-5, "atol": 1e-6}
    check(
        lambda t, x: f(t, name)(x.to(getattr(t, dtype)), 2),
        a(2, 3, 6, 6, dtype=np.float32),
        double=False,
        names=False,
        **loose,
    )


def test_integers() -> None:
    x = np.arange(72).reshape(2, 1, 6, 6)
    check(
        lambda t, x: [
            f(t, "max_pool2d")(x, 2),
            f(t, "avg_pool2d")(x - 40, 2),
            f(t, "pad")(x, (1, 1), value=2.5),
        ],
        x,
    )


def test_ties_and_not_a_number() -> None:
    check(lambda t, x: f(t, "max_pool2d")(x, 3, 1), np.zeros((1, 1, 5, 5)))
    x = a(1, 1, 5, 5)
    x[0, 0, 1, 1] = x[0, 0, 2, 2] = np.nan
    check(lambda t, x: f(t, "max_pool2d")(x, 3, 1, return_indices=True), x, double=False)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpooling(rank: int) -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        index = f(t, f"max_pool{rank}d")(x, 2, return_indices=True)[1]
        return f(t, f"max_unpool{rank}d")(y, index, 2)

    check(program, a(2, 3, *(6,) * rank), a(2, 3, *(3,) * rank))


def test_unpooling_to_a_size() -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        index = f(t, "max_pool2d")(x, 2, return_indices=True)[1]
        return f(t, "max_unpool2d")(y, index, 2, output_size=(2, 3, 7, 7))

    check(program, a(2, 3, 7, 7), a(2, 3, 3, 3))


ERRORS = """max_pool2d(r(6,6),2)
max_pool2d(r(2,3,6,6),2,padding=2)
max_pool2d(r(2,3,6,6),8)
max_pool2d(r(2,3,6,6),2,stride=0)
max_pool2d(r(2,3,6,6),(2,2,2))
max_pool2d(r(2,0,6,6),2)
max_pool2d(r(2,3,6,6,d=B),2)
max_pool1d(r(2,3,6,d=L),2)
max_pool1d(r(6),2)
max_pool1d(r(2,3,6),2,padding=2)
max_pool1d(r(2,3,6),8)
max_pool3d(r(2,6,6),2)
avg_pool2d(r(6,6),2)
avg_pool2d(r(2,3,6,6),2,padding=2)
avg_pool2d(r(2,3,6,6),2,divisor_override=0)
avg_pool2d(r(2,3,6,6),8)
avg_pool2d(r(2,3,6,6,d=B),2)
avg_pool2d(r(2,3,6,6),2,stride=0)
avg_pool2d(r(2,3,6,6),(2,2,2))
avg_pool1d(r(6),2)
avg_pool3d(r(6,6),2)
adaptive_avg_pool2d(r(2,3,6,6),(2,2,2))
adaptive_avg_pool1d(r(6),2)
adaptive_avg_pool2d(r(2,3,6,6,d=L),2)
adaptive_max_pool2d(r(2,3,6,6,d=L),2)
adaptive_avg_pool2d(r(2,3,6,6),-1)
adaptive_avg_pool2d(r(6,6),2)
adaptive_max_pool2d(r(6,6),2)
max_unpool2d(r(2,3,3,3),r(2,3,3,3,d=L)*99,2)
max_unpool2d(r(2,3,3,3),r(2,3,3,2,d=L),2)
max_unpool2d(r(2,3,3,3),r(2,3,3,3),2)
unfold(r(6,6),2)
unfold(r(2,3,6,6),8)
unfold(r(2,3,6,6,d=L),2)
fold(r(2,12,24),(6,6),2)
fold(r(2,11,25),(6,6),2)
fold(r(2,3,4,5),6,2)
pad(r(2,3),(1,2,3))
pad(r(2,3),(1,2,1,1,1,1))
pad(r(2,3),(-2,-2))
pad(r(2,3,4),(4,2),mode='reflect')
pad(r(2,3,4),(5,2),mode='circular')
pad(r(4),(1,2),mode='reflect')
pad(r(2,3,4,4),(1,2),mode='reflect')
pad(r(2,3,4),(1,2),mode='foo')
pad(r(2,3,4),(1,2),mode='reflect',value=1)
interpolate(r(2,3,4,4),scale_factor=2,size=3)
interpolate(r(2,3,4,4))
interpolate(r(2,3,4,4),scale_factor=2,mode='linear')
interpolate(r(2,3,4,4),scale_factor=2,mode='nearest',align_corners=True)
interpolate(r(2,3,4,4),size=(2,2,2))
interpolate(r(2,3,4,4),scale_factor=(2,2,2))
interpolate(r(2,3,4,4),2,mode='foo')
interpolate(r(2,3),2)
pixel_shuffle(r(2,11,3,3),2)
pixel_shuffle(r(3,3),2)
pixel_unshuffle(r(2,3,5,6),2)""".splitlines()


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression: str) -> None:
    def program(t: Any) -> Any:
        def r(*shape: int, d: Any = t.float32) -> Any:
            return t.ones(shape, dtype=d)

        name = expression.split("(")[0]
        return eval(expression, {"r": r, "L": t.int64, "B": t.bool, name: f(t, name)})

    check_error(program)
