"""Every layer beside PyTorch's: `repr`, starting values under one seed, results, first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")
from compare import assert_same, check, check_error, run, values

rng = np.random.default_rng(3)
ROW = rng.normal(size=(4, 6))
IMAGE = rng.normal(size=(2, 4, 6, 6))
SIGNAL = rng.normal(size=(2, 4, 9))
VOLUME = rng.normal(size=(2, 4, 4, 4, 4))
CODES = np.array([[0, 3, 1], [4, 4, 2]])

LAYERS: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    text: (eval(f"lambda nn: nn.{text}"), x)
    for text, x in [
        ("Identity(3, kept=4)", ROW),
        ("Linear(6, 3)", ROW),
        ("Linear(6, 3, bias=False)", SIGNAL[..., :6]),
        ("Linear(6, 1)", ROW[0]),
        ("Flatten()", IMAGE),
        ("Flatten(1, 2)", IMAGE),
        ("Unflatten(1, (2, 3))", ROW),
        ("Conv1d(4, 2, 3)", SIGNAL),
        ("Conv1d(4, 4, 3, padding='same', groups=2)", SIGNAL),
        ("Conv1d(4, 2, 3, padding=2, padding_mode='circular', bias=False)", SIGNAL),
        ("Conv2d(4, 2, 3, stride=2, padding=1)", IMAGE),
        ("Conv2d(4, 2, (3, 1), dilation=2, padding='valid')", IMAGE),
        ("Conv2d(4, 4, 3, padding='same', padding_mode='reflect', groups=4)", IMAGE),
        ("Conv3d(4, 2, 2)", VOLUME),
        ("ConvTranspose1d(4, 2, 3, stride=2, output_padding=1)", SIGNAL),
        ("ConvTranspose2d(4, 2, 3, stride=2, padding=1)", IMAGE),
        ("ConvTranspose2d(4, 4, 3, groups=2, dilation=2, bias=False)", IMAGE),
        ("ConvTranspose3d(4, 2, 2)", VOLUME),
        ("MaxPool1d(3)", SIGNAL),
        ("MaxPool2d(2, stride=1, padding=1, ceil_mode=True)", IMAGE),
        ("MaxPool3d(2)", VOLUME),
        ("AvgPool1d(3)", SIGNAL),
        ("AvgPool2d((2, 3), padding=1, count_include_pad=False)", IMAGE),
        ("AvgPool3d(2)", VOLUME),
        ("LPPool1d(2.0, 3)", SIGNAL),
        ("LPPool2d(3.0, 2, stride=2)", np.abs(IMAGE)),
        ("AdaptiveAvgPool1d(4)", SIGNAL),
        ("AdaptiveAvgPool2d((2, None))", IMAGE),
        ("AdaptiveAvgPool3d(2)", VOLUME),
        ("AdaptiveMaxPool1d(4)", SIGNAL),
        ("AdaptiveMaxPool2d((2, 3))", IMAGE),
        ("AdaptiveMaxPool3d(2)", VOLUME),
        ("ConstantPad1d((1, 2), 3.5)", SIGNAL),
        ("ConstantPad2d(1, -1)", IMAGE),
        ("ZeroPad1d(2)", SIGNAL),
        ("ZeroPad2d((1, 0, 2, -1))", IMAGE),
        ("ReflectionPad1d(2)", SIGNAL),
        ("ReflectionPad2d((1, 2, 0, 1))", IMAGE),
        ("ReflectionPad3d(1)", VOLUME),
        ("ReplicationPad2d(2)", IMAGE),
        ("CircularPad1d((2, 3))", SIGNAL),
        ("Upsample(scale_factor=2)", IMAGE),
        ("Upsample(size=(3, 4), mode='bilinear', align_corners=True)", IMAGE),
        ("UpsamplingNearest2d(scale_factor=2)", IMAGE),
        ("UpsamplingBilinear2d(size=4)", IMAGE),
        ("PixelShuffle(2)", IMAGE),
        ("PixelUnshuffle(2)", IMAGE),
        ("ChannelShuffle(2)", IMAGE),
        ("Unfold(3, padding=1)", IMAGE),
        ("Fold((4, 4), 2)", rng.normal(size=(2, 8, 9))),
        ("LocalResponseNorm(3)", IMAGE),
        ("BatchNorm1d(6)", ROW),
        ("BatchNorm1d(4, affine=False)", SIGNAL),
        ("BatchNorm2d(4, momentum=None)", IMAGE),
        ("BatchNorm2d(4, track_running_stats=False)", IMAGE),
        ("BatchNorm3d(4, eps=1e-3, momentum=0.3)", VOLUME),
        ("InstanceNorm1d(4)", SIGNAL),
        ("InstanceNorm2d(4, affine=True, track_running_stats=True)", IMAGE),
        ("InstanceNorm2d(4)", IMAGE[0]),
        ("InstanceNorm3d(4, affine=True)", VOLUME),
        ("LayerNorm(6)", ROW),
        ("LayerNorm((6, 6), eps=1e-3)", IMAGE),
        ("LayerNorm(6, elementwise_affine=False)", ROW),
        ("LayerNorm(6, bias=False)", ROW),
        ("RMSNorm(6)", ROW),
        ("RMSNorm((6, 6), eps=1e-3, elementwise_affine=False)", IMAGE),
        ("GroupNorm(2, 4)", IMAGE),
        ("GroupNorm(4, 4, affine=False)", SIGNAL),
        ("ReLU()", ROW),
        ("ReLU(inplace=True)", ROW),
        ("ReLU6()", 5 * ROW),
        ("LeakyReLU()", ROW),
        ("LeakyReLU(0.2, inplace=True)", ROW),
        ("PReLU()", ROW),
        ("PReLU(4, init=0.1)", IMAGE),
        ("ELU()", ROW),
        ("ELU(0.5, True)", ROW),
        ("SELU()", ROW),
        ("CELU(alpha=0.7)", ROW),
        ("GELU()", ROW),
        ("GELU(approximate='tanh')", ROW),
        ("SiLU()", ROW),
        ("Mish()", ROW),
        ("Sigmoid()", ROW),
        ("Tanh()", ROW),
        ("LogSigmoid()", ROW),
        ("Hardsigmoid()", 3 * ROW),
        ("Hardswish()", 3 * ROW),
        ("Hardtanh(-0.5, 0.7)", ROW),
        ("Hardtanh(inplace=True)", ROW),
        ("Hardshrink()", ROW),
        ("Softshrink(0.3)", ROW),
        ("Tanhshrink()", ROW),
        ("Softsign()", ROW),
        ("Softplus()", ROW),
        ("Softplus(beta=3, threshold=2)", ROW),
        ("Threshold(0.1, 20)", ROW),
        ("GLU()", ROW),
        ("GLU(dim=0)", ROW),
        ("Softmax(dim=1)", ROW),
        ("LogSoftmax(dim=-1)", ROW),
        ("Softmin(dim=0)", ROW),
        ("Softmax2d()", IMAGE),
        ("Dropout(0.4)", ROW),
        ("Dropout1d(0.4)", SIGNAL),
        ("Dropout2d()", IMAGE),
        ("Dropout3d(0.3)", VOLUME),
        ("AlphaDropout(0.2)", ROW),
        ("FeatureAlphaDropout(0.2)", IMAGE),
        ("Embedding(5, 3)", CODES),
        ("Embedding(5, 3, padding_idx=-1)", CODES),
        ("Embedding(5, 3, max_norm=1.0, norm_type=1.0)", CODES),
        ("Embedding(5, 3, scale_grad_by_freq=True)", CODES),
    ]
}
# Where PyTorch has no second derivative, or randomness makes it draw anew.
NO_SECOND = ("Hardsigmoid", "Embedding(5, 3, scale_grad_by_freq", "Embedding(5, 3, max_norm")
INPLACE = ("inplace=True", "0.5, True")


def program(build: Callable[[Any], Any], training: bool, text: str) -> Callable[..., Any]:
    """A run of the layer in float64 under one seed: result, then everything it keeps."""

    def run_layer(t: Any, x: Any) -> Any:
        t.manual_seed(5)
        layer = build(t.nn).double().train(training)
        result = layer(x * 1 if any(mark in text for mark in INPLACE) else x)
        return [result, *list(layer.state_dict(keep_vars=True).values())]

    return run_layer


@pytest.mark.parametrize("text", LAYERS)
def test_repr_and_starting_values(text: str) -> None:
    build, _ = LAYERS[text]
    torch.manual_seed(1)
    clew.manual_seed(1)
    want, have = build(torch.nn), build(clew.nn)
    assert repr(have) == repr(want)
    assert list(have.state_dict()) == list(want.state_dict())
    assert {n for n, _ in have.named_parameters()} == {n for n, _ in want.named_parameters()}
    for key, value in want.state_dict().items():
        assert_same(values(value), values(have.state_dict()[key]), 1e-6, 0, key)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("text", LAYERS)
def test_values_and_derivatives(text: str, training: bool) -> None:
    build, x = LAYERS[text]
    second = not any(text.startswith(start) for start in NO_SECOND)
    check(
        program(build, training, text),
        x,
        grad=x.dtype.kind == "f",
        names=False,
        double=second,
        rtol=1e-6,
        atol=1e-9,
    )


@pytest.mark.parametrize(
    "text", [t for t in LAYERS if "Norm" in t or "Conv" in t or t.startswith(("Linear", "Embedding(5, 3)"))]
)
def test_gradients_of_parameters(text: str) -> None:
    build, x = LAYERS[text]

    def gradients(t: Any, x: Any) -> Any:
        t.manual_seed(5)
        layer = build(t.nn).double()
        with t.no_grad():
            for p in layer.parameters():
                p.mul_(1.3).add_(0.1)
        if x.dtype is t.float64:
            x.requires_grad_()
        wanted = [*layer.parameters(), *([x] if x.requires_grad else [])]
        first = t.autograd.grad((layer(x) ** 3).sum(), wanted, create_graph=True)
        second = t.autograd.grad(sum((g**2).sum() for g in first), wanted, allow_unused=True)
        return [*first, *[s for s in second if s is not None]]

    check(gradients, x, grad=False, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "text", ["Linear(6, 3)", "BatchNorm1d(6)", "LayerNorm(6)", "GELU()", "Softmax(dim=1)"]
)
def test_float32_is_near(text: str) -> None:
    build, x = LAYERS[text]

    def single(t: Any, x: Any) -> Any:
        t.manual_seed(5)
        return build(t.nn)(x)

    check(single, x.astype(np.float32), names=False, rtol=2e-5, atol=2e-6)


def test_bilinear() -> None:
    def bilinear(t: Any, x: Any, y: Any) -> Any:
        t.manual_seed(0)
        layer = t.nn.Bilinear(6, 5, 3).double()
        assert repr(layer) == "Bilinear(in1_features=6, in2_features=5, out_features=3, bias=True)"
        return [layer(x, y), *layer.parameters()]

    check(bilinear, ROW, rng.normal(size=(4, 5)), names=False)


@pytest.mark.parametrize(
    "name", ["CosineSimilarity(dim=1)", "PairwiseDistance(p=1.5)", "PairwiseDistance(2, keepdim=True)"]
)
def test_distances(name: str) -> None:
    def distance(t: Any, x: Any, y: Any) -> Any:
        return eval(f"t.nn.{name}", {"t": t})(x, y)

    check(distance, ROW, ROW[::-1].copy(), names=False)


def test_batch_norm_statistics_move_alike() -> None:
    def several(t: Any, x: Any, y: Any) -> Any:
        layer = t.nn.BatchNorm1d(6, momentum=None).double()
        for batch in (x, y, x * 2):
            layer(batch)
        layer.eval()
        return [layer(y), layer.running_mean, layer.running_var, layer.num_batches_tracked]

    check(several, ROW, 3 * ROW + 1, names=False)


def test_embedding_from_pretrained() -> None:
    def pretrained(t: Any, table: Any) -> Any:
        layer = t.nn.Embedding.from_pretrained(table, padding_idx=1)
        return [layer(t.tensor([1, 0])), layer.weight.requires_grad, layer.padding_idx]

    check(pretrained, rng.normal(size=(4, 3)), grad=False)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("text", ["Linear(6, 3)", "LayerNorm(6)", "ReLU()", "Softmax(dim=1)"])
def test_half(text: str, dtype: str) -> None:
    build, x = LAYERS[text]

    def half(t: Any, x: Any) -> Any:
        t.manual_seed(5)
        return build(t.nn).to(getattr(t, dtype))(x.to(getattr(t, dtype))).float()

    want, have = (run(t, half, (x.astype(np.float32),), False, False, False) for t in (torch, clew))
    assert_same(want, have, 2e-2, 2e-2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.nn.Linear(6, 3)(t.zeros(4, 5)),
        lambda t: t.nn.Linear(6, 3)(t.zeros(4, 6, dtype=t.float64)),
        lambda t: t.nn.Conv2d(4, 3, 3)(t.zeros(2, 3, 6, 6)),
        lambda t: t.nn.Conv2d(4, 3, 3, groups=2),
        lambda t: t.nn.Conv2d(3, 4, 3, groups=2),
        lambda t: t.nn.Conv2d(3, 4, 3, groups=0),
        lambda t: t.nn.Conv2d(3, 4, 3, padding="same", stride=2),
        lambda t: t.nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"),
        lambda t: t.nn.BatchNorm1d(3)(t.zeros(1, 3)),
        lambda t: t.nn.BatchNorm1d(3)(t.zeros(2, 3, 4, 5)),
        lambda t: t.nn.BatchNorm2d(3)(t.zeros(2, 3)),
        lambda t: t.nn.BatchNorm3d(3)(t.zeros(2, 3)),
        lambda t: t.nn.BatchNorm1d(3)(t.zeros(2, 4)),
        lambda t: t.nn.InstanceNorm1d(3)(t.zeros(2, 3, 1)),
        lambda t: t.nn.InstanceNorm2d(3)(t.zeros(2, 3)),
        lambda t: t.nn.LayerNorm(3)(t.zeros(2, 4)),
        lambda t: t.nn.GroupNorm(3, 4),
        lambda t: t.nn.GroupNorm(2, 4)(t.zeros(2, 6)),
        lambda t: t.nn.Dropout(1.5),
        lambda t: t.nn.Hardtanh(2, 1),
        lambda t: t.nn.Softmax2d()(t.zeros(2, 3)),
        lambda t: t.nn.Embedding(4, 3, padding_idx=4),
        lambda t: t.nn.Embedding(4, 3)(t.tensor([4])),
        lambda t: t.nn.Embedding(4, 3)(t.tensor([0.5])),
        lambda t: t.nn.Embedding.from_pretrained(t.zeros(3)),
        lambda t: t.nn.ReLU(True, True),
        lambda t: t.nn.ReLU(out=True),
        lambda t: t.nn.Linear(6),
        lambda t: t.nn.PReLU(3)(t.zeros(2, 4)),
        lambda t: t.nn.TripletMarginLoss(margin=0),
        lambda t: t.nn.functional.dropout(t.zeros(2), -0.1),
        lambda t: t.nn.ConvTranspose1d(2, 2, 3, stride=2)(t.zeros(1, 2, 4), output_size=[20]),
    ],
)
def test_errors(wrong: Callable[[Any], Any]) -> None:
    check_error(wrong)


def test_conv_transpose_output_size() -> None:
    def sized(t: Any, x: Any) -> Any:
        t.manual_seed(0)
        return t.nn.ConvTranspose1d(4, 2, 3, stride=2).double()(x, output_size=[20])

    check(sized, SIGNAL, names=False)


def test_softmax_without_dim_warns() -> None:
    for t in (torch, clew):
        with pytest.warns(UserWarning, match="Implicit dimension choice for softmax has been deprecated"):
            t.nn.Softmax()(t.zeros(2, 3))


def test_a_linear_layer_without_inputs_warns() -> None:
    for t in (torch, clew):
        with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
            t.nn.Linear(0, 3)
