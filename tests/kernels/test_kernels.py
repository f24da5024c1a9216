"""Every kernel against the plain formula: the same public operation with kernels from the first number on, and never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew as torch
from clew import kernels

F = torch.nn.functional
NEVER = 1 << 62
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-13}


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Switch all kernels on (for any size) or off."""

    def choose(on: bool) -> None:
        for name, (room, _) in list(kernels.KERNELS.items()):
            monkeypatch.setitem(kernels.KERNELS, name, (room, 1 if on else NEVER))

    return choose


def numbers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(dtype)


def laid_out(array: np.ndarray, layout: str) -> Any:
    """A leaf with the array's values, and the tensor to compute with, whose memory has that layout."""
    leaf = torch.tensor(array, requires_grad=True)
    if layout == "contiguous":
        return leaf, leaf
    if layout == "transposed":
        return leaf, leaf.transpose(0, -1).contiguous().transpose(0, -1)
    wide = torch.cat([leaf, leaf], -1)
    return leaf, wide[..., : array.shape[-1]]


def run(formula: Any, arrays: list[np.ndarray], layout: str) -> list[np.ndarray]:
    """Value and gradients, under a cotangent that differs everywhere."""
    leaves, inputs = zip(*[laid_out(a, layout) for a in arrays], strict=True)
    result = formula(*inputs)
    weights = torch.tensor(numbers(tuple(result.shape), arrays[0].dtype, 99))
    (result * weights).sum().backward()
    return [result.detach().numpy().copy(), *[leaf.grad.numpy().copy() for leaf in leaves]]


def check_same(found: list[np.ndarray], wanted: list[np.ndarray], dtype: Any) -> None:
    for have, want in zip(found, wanted, strict=True):
        assert have.dtype == want.dtype
        assert have.shape == want.shape
        scale = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0)))
        np.testing.assert_allclose(have, want, rtol=TOLERANCE[dtype] * 4, atol=TOLERANCE[dtype] * scale)


ELEMENTWISE: dict[str, Any] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
}
PAIRS: dict[str, Any] = {
    "mse_loss": F.mse_loss,
    "mse_loss sum": lambda x, y: F.mse_loss(x, y, reduction="sum"),
    "smooth_l1_loss": F.smooth_l1_loss,
    "smooth_l1_loss β": lambda x, y: F.smooth_l1_loss(x, y, beta=0.3, reduction="sum"),
    "huber_loss": lambda x, y: F.huber_loss(x, y, delta=2.5),
    "negative loss": lambda x, y: -F.smooth_l1_loss(x, y),
    "with logits": lambda x, y: F.binary_cross_entropy_with_logits(x, torch.sigmoid(y).detach() + 0 * y),
}
SHAPES = [(1,), (7,), (3, 5), (2, 129), (5, 1), (3, 7, 65), (2, 64), (3, 200)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided"])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *PAIRS])
def test_the_plain_formula_gives_the_same(chosen: Any, name: str, layout: str, dtype: Any) -> None:
    formula, count = (ELEMENTWISE[name], 1) if name in ELEMENTWISE else (PAIRS[name], 2)
    for shape in SHAPES:
        arrays = [numbers(shape, dtype, seed) for seed in range(count)]
        chosen(False)
        wanted = run(formula, arrays, layout)
        chosen(True)
        check_same(run(formula, arrays, layout), wanted, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(ELEMENTWISE))
def test_infinities_nan_and_extremes(chosen: Any, name: str, dtype: Any) -> None:
    largest = float(np.finfo(dtype).max)
    edges = [np.inf, -np.inf, np.nan, 0.0, -0.0, 90.0, -90.0, 710.0, -745.0, 1e-30, largest, -largest]
    rows = np.array([[edge, 1.0, -2.0] for edge in edges], dtype)
    outcomes = []
    for on in (False, True):
        chosen(on)
        outcomes.append(run(ELEMENTWISE[name], [rows], "contiguous"))
    check_same(outcomes[1], outcomes[0], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 129), (1, 1), (5, 1000)])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(chosen: Any, shape: tuple[int, ...], affine: bool, dtype: Any) -> None:
    arrays = [numbers(shape, dtype)]
    if affine:
        arrays += [numbers(shape[-1:], dtype, 1), numbers(shape[-1:], dtype, 2)]
    outcomes = []
    for on in (False, True):
        chosen(on)
        outcomes.append(run(lambda x, *wb: F.layer_norm(x, shape[-1:], *wb), arrays, "contiguous"))
    check_same(outcomes[1], outcomes[0], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 7), (9, 4)])
def test_causal_attention(chosen: Any, queries: int, keys: int, dtype: Any) -> None:
    arrays = [numbers((2, 3, n, 8), dtype, seed) / 3 for seed, n in enumerate((queries, keys, keys))]
    outcomes = []
    for on in (False, True):
        chosen(on)
        outcomes.append(
            run(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), arrays, "contiguous")
        )
    check_same(outcomes[1], outcomes[0], dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("width", "batch"), [(5, 2), (16, 7), (40, 70), (150, 70)])
def test_lstm(chosen: Any, bidirectional: bool, bias: bool, dtype: Any, width: int, batch: int) -> None:
    outcomes = []
    for on in (False, True):
        chosen(on)
        torch.manual_seed(0)
        model = torch.nn.LSTM(3, width, 2, bias=bias, bidirectional=bidirectional, dtype=dtype)
        x = torch.randn(4, batch, 3, dtype=dtype, requires_grad=True)
        output, (h, c) = model(x)
        (output.sin().sum() + (h * c).sum()).backward()
        outcomes.append(
            [v.detach().numpy().copy() for v in (output, h, c, x.grad, *[p.grad for p in model.parameters()])]
        )
    check_same(outcomes[1], outcomes[0], np.float32 if dtype == torch.float32 else np.float64)


OPTIMIZERS: dict[str, Any] = {
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "Adam decay": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.2),
    "Adam amsgrad": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3, betas=(0.8, 0.9)),
    "AdamW maximize": lambda p: torch.optim.AdamW(p, lr=0.1, maximize=True),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "SGD nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "SGD dampening": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_optimizers_bit_for_bit(chosen: Any, name: str, dtype: Any) -> None:
    outcomes = []
    for on in (False, True):
        chosen(on)
        parameters = [
            torch.nn.Parameter(torch.tensor(numbers(s, dtype))) for s in ((130, 129), (7,), (150, 111))
        ]
        optimizer = OPTIMIZERS[name](parameters)
        for step in range(4):
            for i, p in enumerate(parameters):
                p.grad = torch.tensor(numbers(tuple(p.shape), dtype, 10 * step + i))
            before = parameters[0]._version
            optimizer.step()
            assert parameters[0]._version > before
        state = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)]
        outcomes.append([v.detach().numpy().copy() for v in (*parameters, *state)])
    for have, want in zip(outcomes[1], outcomes[0], strict=True):
        assert np.array_equal(have, want)


CONVOLUTIONS = [
    {"kernel": (3, 3), "padding": 1},
    {"kernel": (3, 3), "padding": 0},
    {"kernel": (5, 2), "padding": (2, 1)},
    {"kernel": (3, 3), "padding": 2, "dilation": 2},
    {"kernel": (2, 2), "padding": (0, 1)},
    {"kernel": (1, 3), "padding": (0, 1)},
    {"kernel": (3, 3), "padding": 3},
    {"kernel": (3, 3), "padding": 1, "stride": 2},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolution_on_a_grid(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], dtype: Any) -> None:
    from clew.ops import _windows, conv

    kernel, rest = options["kernel"], {k: v for k, v in options.items() if k != "kernel"}
    arrays = [numbers((5, 3, 9, 11), dtype), numbers((4, 3, *kernel), dtype, 1), numbers((4,), dtype, 2)]
    monkeypatch.setattr(_windows, "_CACHED", 3000)  # several batches
    outcomes = []
    for smallest in (NEVER, 1):
        monkeypatch.setattr(conv, "_LARGE", smallest)
        outcomes.append(run(lambda x, w, b: F.conv2d(x, w, b, **rest), arrays, "contiguous"))
        outcomes[-1] += run(
            lambda x, w: F.conv_transpose2d(x, w, **rest),
            [numbers((5, 4, 9, 11), dtype), arrays[1]],
            "contiguous",
        )
    check_same(outcomes[1], outcomes[0], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_elementwise_is_bit_for_bit(monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    from clew.core import engine
    from clew.kernels import blocks
    from clew.ops import _builders, reduce

    arrays = [numbers((130, 300), dtype, seed) for seed in range(2)]

    def formula(x: Any, y: Any) -> Any:
        return torch.exp(-((x * y + 2).sin() ** 2)) / (y * y + 1) + x.cos() * 2 - (x - y).abs().sqrt()

    outcomes = []
    for smallest in (NEVER, 1):
        for room in (engine, blocks, _builders, reduce):
            monkeypatch.setattr(room, "LARGE", smallest)
        monkeypatch.setattr(blocks, "_BLOCK", 1000)
        outcomes.append(run(formula, arrays, "contiguous"))
    for have, want in zip(outcomes[1], outcomes[0], strict=True):
        assert np.array_equal(have, want, equal_nan=True)


IMAGES = [  # images, channels in and out: more and fewer than a tile has rows, one vector and several, odd rests
    ((5, 3, 9, 11), 4), ((2, 1, 8, 8), 1), ((3, 9, 6, 7), 17), ((70, 2, 5, 5), 33), ((1, 20, 12, 40), 8), ((2, 5, 3, 64), 70),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "outputs"), IMAGES)
@pytest.mark.parametrize("options", CONVOLUTIONS[:5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolution_kernels(
    chosen: Any, monkeypatch: pytest.MonkeyPatch, shape: Any, outputs: int, options: Any, dtype: Any
) -> None:
    from clew.ops import conv

    kernel, rest = options["kernel"], {k: v for k, v in options.items() if k != "kernel"}
    if any(
        n + 2 * p < k for n, k, p in zip(shape[2:], kernel, np.broadcast_to(rest["padding"], 2), strict=True)
    ):
        pytest.skip("no window fits")
    monkeypatch.setattr(conv, "_LARGE", 1)
    arrays = [
        numbers(shape, dtype),
        numbers((outputs, shape[1], *kernel), dtype, 1),
        numbers((outputs,), dtype, 2),
    ]
    outcomes = []
    for on in (False, True):
        chosen(on)
        outcomes.append(run(lambda x, w, b: F.conv2d(x, w, b, **rest), arrays, "contiguous"))
    check_same(outcomes[1], outcomes[0], dtype)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 2, 2), (3, 7, 9), (2, 2, 5, 40), (4, 1, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maximum_of_pairs(chosen: Any, shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(0).integers(-3, 3, shape).astype(dtype)
    if x.ndim == 3 and x.shape[0] == 4:  # no room for a window
        x = x[None]
    x.flat[::17], x.flat[3::23] = np.nan, np.inf
    outcomes = []
    for on in (False, True):
        chosen(on)
        leaf = torch.tensor(x, requires_grad=True)
        if min(x.shape[-2:]) < 2:
            with pytest.raises(RuntimeError, match="too small"):
                F.max_pool2d(leaf, 2)
            return
        best, place = F.max_pool2d(leaf, 2, return_indices=True)
        best.backward(torch.tensor(numbers(tuple(best.shape), dtype)))
        outcomes.append([best.detach().numpy().copy(), place.numpy().copy(), leaf.grad.numpy().copy()])
    for have, want in zip(outcomes[1], outcomes[0], strict=True):
        assert np.array_equal(have, want, equal_nan=have.dtype.kind == "f")
