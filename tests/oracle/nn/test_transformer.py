"""Transformer, its encoder and decoder, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from both import same
from compare import check

torch = pytest.importorskip("torch")
rng = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings(
    "ignore:enable_nested_tensor is True", "ignore:The PyTorch API of nested"
)


def built(t: Any, make: Any, train: bool) -> Any:
    """A module of random parameters in double precision."""
    t.manual_seed(0)
    module = make(t).double().train(train)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            t.nn.init.normal_(parameter)
    return module


def encoder(t: Any, layers: int = 2, norm: bool = True, **options: Any) -> Any:
    stack = {n: options.pop(n) for n in ("enable_nested_tensor", "mask_check") if n in options}
    layer = t.nn.TransformerEncoderLayer(6, 2, 8, **options)
    return t.nn.TransformerEncoder(layer, layers, t.nn.LayerNorm(6) if norm else None, **stack)


def decoder(t: Any, **options: Any) -> Any:
    return t.nn.TransformerDecoder(t.nn.TransformerDecoderLayer(6, 2, 8, **options), 2, t.nn.LayerNorm(6))


def causal(t: Any, size: int, dtype: Any = None) -> Any:
    return t.nn.Transformer.generate_square_subsequent_mask(size, dtype=dtype or t.float64)


OPTIONS = {
    "plain": {}, "batch_first": {"batch_first": True}, "norm_first": {"norm_first": True},
    "gelu": {"activation": "gelu", "batch_first": True}, "no bias": {"bias": False}, "no dropout": {"dropout": 0.0},
}  # fmt: skip


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
class TestStacks:
    def test_encoder(self, options: Any, train: bool) -> None:
        def program(t: Any, x: Any) -> Any:
            module = built(t, lambda t: encoder(t, **options), train)
            return [
                module(x),
                module(x, causal(t, x.shape[1 if module.layers[0].self_attn.batch_first else 0])),
            ]

        check(program, rng.standard_normal((4, 3, 6)), double=False, names=False)

    def test_decoder(self, options: Any, train: bool) -> None:
        def program(t: Any, x: Any, memory: Any) -> Any:
            module = built(t, lambda t: decoder(t, **options), train)
            if module.layers[0].self_attn.batch_first:
                x, memory = x.transpose(0, 1), memory.transpose(0, 1)
            unseen = t.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]).bool()
            return module(x, memory, causal(t, 4), memory_key_padding_mask=unseen)

        check(program, *(rng.standard_normal((n, 3, 6)) for n in (4, 5)), double=False, names=False)

    def test_transformer(self, options: Any, train: bool) -> None:
        def program(t: Any, src: Any, tgt: Any) -> Any:
            module = built(t, lambda t: t.nn.Transformer(6, 2, 2, 2, 8, **options), train)
            if module.batch_first:
                src, tgt = src.transpose(0, 1), tgt.transpose(0, 1)
            return module(src, tgt, tgt_mask=causal(t, 4), tgt_is_causal=True)

        check(program, *(rng.standard_normal((n, 3, 6)) for n in (5, 4)), double=False, names=False)


def test_activations_and_no_batch() -> None:
    def program(t: Any, x: Any) -> Any:
        made = [encoder(t, activation=f) for f in (t.tanh, t.nn.GELU(), t.nn.functional.silu)]
        return [built(t, lambda t, m=m: m, True)(x) for m in made]

    check(program, rng.standard_normal((4, 6)), double=False, names=False)


PADDINGS = {
    "at the end": [[0, 0, 1, 1], [0, 0, 0, 1]],
    "anywhere": [[1, 0, 0, 1], [0, 0, 1, 0]],
    "everything": [[1, 1, 1, 1], [0, 0, 0, 1]],
    "nothing": [[0, 0, 0, 0], [0, 0, 0, 0]],
}


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS.keys())
@pytest.mark.parametrize(
    "options",
    [
        {}, {"norm": False}, {"norm_first": True}, {"enable_nested_tensor": False}, {"mask_check": False},
        {"activation": torch.nn.Tanh}, {"batch_first": False},
    ],
    ids=str,
)  # fmt: skip
def test_padding(options: Any, padding: Any, train: bool, grad: bool) -> None:
    def program(t: Any, x: Any) -> Any:
        given = {"batch_first": True, "dropout": 0.0, **options}
        if "activation" in given:
            given["activation"] = t.nn.Tanh()
        module = built(t, lambda t: encoder(t, **given), train)
        mask = t.tensor(padding).bool()
        x = x if given["batch_first"] else x.transpose(0, 1)
        floats = t.zeros(mask.shape, dtype=t.float64).masked_fill(mask, -t.inf)
        with t.set_grad_enabled(grad):
            results = [module(x, src_key_padding_mask=m) for m in (mask, floats)]
            results.append(module(x, t.zeros(4, 4, dtype=t.float64), floats))
            results.append(module.layers[0](x, src_key_padding_mask=mask))
        return [r.detach() for r in results]

    check(program, rng.standard_normal((2, 4, 6)), grad=False)


def on(t: Any, **options: Any) -> Any:
    return encoder(t, **{"batch_first": True, "norm": False, **options}).eval()


PROGRAMS = {
    "looks": lambda t: [str(encoder(t)), str(decoder(t)), str(t.nn.Transformer(6, 2, 1, 1, 8, activation=t.nn.GELU()))],
    "start": lambda t: (t.manual_seed(0), t.nn.Transformer(6, 2, 2, 2, 8).state_dict())[1],
    "mask": lambda t: [causal(t, 3), causal(t, 0), t.nn.Transformer.generate_square_subsequent_mask(2)],
    "mask of integers": lambda t: causal(t, 3, t.int64),
    "nested: sequence first": lambda t: str(encoder(t)),
    "nested: norm first": lambda t: str(encoder(t, norm_first=True)),
    "nested: bias": lambda t: str(on(t, bias=False)),
    "nested: activation": lambda t: str(on(t, activation=t.nn.Tanh())),
    "nested: heads": lambda t: str(t.nn.TransformerEncoder(t.nn.TransformerEncoderLayer(6, 3, batch_first=True), 1)),
    "nested: layer": lambda t: str(t.nn.TransformerEncoder(t.nn.Linear(2, 2), 1)),
    "activation": lambda t: encoder(t, activation="tanh"),
    "batch": lambda t: t.nn.Transformer(6, 2, 1, 1, 8)(t.ones(4, 2, 6), t.ones(3, 3, 6)),
    "features": lambda t: t.nn.Transformer(6, 2, 1, 1, 8)(t.ones(4, 2, 5), t.ones(3, 2, 6)),
    "ranks": lambda t: t.nn.Transformer(6, 2, 1, 1, 8)(t.ones(4, 6), t.ones(3, 2, 6)),
    "hint without mask": lambda t: t.nn.Transformer(6, 2, 1, 1, 8)(
        t.ones(4, 2, 6), t.ones(3, 2, 6), tgt_is_causal=True
    ),
    "mask of integers given": lambda t: encoder(t)(t.ones(4, 2, 6), src_key_padding_mask=t.zeros(2, 4).long()),
    "width": lambda t: t.no_grad()(lambda: on(t)(t.ones(2, 4, 5)))(),
    "padding's shape": lambda t: t.no_grad()(
        lambda: on(t)(t.ones(2, 4, 6), src_key_padding_mask=t.zeros(2, 3).bool())
    )(),
    "masks of two types": lambda t: encoder(t, dropout=0.0)(
        t.ones(4, 2, 6), t.zeros(4, 4), t.zeros(2, 4).bool()
    ).shape,
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs(program: Any) -> None:
    same(program)
