"""Attention, function and module, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from both import same
from compare import check, check_error

torch = pytest.importorskip("torch")
rng = np.random.default_rng(0)


def arrays(*shapes: tuple[int, ...], dtype: Any = np.float64) -> list[np.ndarray]:
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def qkv(*lead: int, dtype: Any = np.float64) -> list[np.ndarray]:
    return arrays((*lead, 4, 5), (*lead, 6, 5), (*lead, 6, 5), dtype=dtype)


# ---- scaled_dot_product_attention ----------------------------------------------------------------------------------------
def attend(**options: Any) -> Any:
    return lambda t, q, k, v: t.nn.functional.scaled_dot_product_attention(
        q, k, v, **{n: o(t) if callable(o) else o for n, o in options.items()}
    )


def lower(t: Any) -> Any:
    return t.ones(4, 6).tril().bool()


def slope(t: Any) -> Any:
    return t.arange(24.0).reshape(4, 6) / 24


OPTIONS = {
    "plain": {},
    "causal": {"is_causal": True},
    "bool": {"attn_mask": lower},
    "float": {"attn_mask": slope},
    "nowhere": {"attn_mask": lambda t: t.zeros(4, 6).bool()},
    "scale": {"scale": 0.3},
    "scaled_back": {"scale": -0.3},
    "everything": {"attn_mask": slope, "scale": 2.0},
}


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_attention(options: Any, lead: tuple[int, ...]) -> None:
    # PyTorch has no second derivative of its fused kernel.
    double = len(lead) != 2
    check(attend(**options), *qkv(*lead), double=double, names=len(lead) == 2)
    check(attend(**options), *qkv(*lead, dtype=np.float32), double=False, names=False, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_second_derivative_of_the_primitive_is_that_of_the_steps(options: Any) -> None:
    if options.get("scale", 1) < 0:
        pytest.skip("PyTorch's two ways differ")

    def program(t: Any, q: Any, k: Any, v: Any) -> Any:
        if t.__name__ == "clew":
            return attend(**options)(t, q, k, v)
        return attend(**options)(t, q[0], k[0], v[0])[None]

    check(program, *qkv(1, 3), names=False)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("lead", [(3,), (2, 3)])
def test_attention_in_16_bits(dtype: str, lead: tuple[int, ...]) -> None:
    def program(t: Any, q: Any, k: Any, v: Any) -> Any:
        q, k, v = (x.to(getattr(t, dtype)).detach().requires_grad_() for x in (q, k, v))
        made = t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        made.sum().backward()
        return [made.float().detach(), q.grad.float(), v.grad.float()]

    check(program, *qkv(*lead), grad=False, rtol=1e-2, atol=1e-2)


def test_values_of_another_width() -> None:
    check(attend(), *arrays((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)))


@pytest.mark.parametrize(
    "shapes", [((2, 4, 3, 5), (2, 2, 6, 5), (2, 2, 6, 5)), ((4, 3, 5), (2, 6, 5), (1, 6, 5))]
)
def test_grouped_queries(shapes: Any) -> None:
    check(attend(enable_gqa=True), *arrays(*shapes), double=False, names=False)


@pytest.mark.parametrize("lead", [(3,), (2, 3)])
def test_dropout_draws_what_pytorch_draws(lead: tuple[int, ...]) -> None:
    def program(t: Any, q: Any, k: Any, v: Any) -> Any:
        t.manual_seed(3)
        return t.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.4)

    check(program, *qkv(*lead), names=False)


def test_gradient_of_the_mask() -> None:
    def program(t: Any, q: Any, k: Any, v: Any, mask: Any) -> Any:
        return t.nn.functional.scaled_dot_product_attention(q, k, v, mask)

    check(program, *qkv(2, 3), *arrays((4, 6)), names=False)


def test_result_lies_in_memory_like_the_query() -> None:
    def program(t: Any) -> Any:
        x = t.ones(2, 7, 3, 5).transpose(1, 2)
        return t.nn.functional.scaled_dot_product_attention(x, x, x).transpose(1, 2).view(2, 7, 15).shape

    same(program)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 4, 5), (2, 3, 0, 5), (2, 3, 0, 5)),
        ((2, 3, 0, 5), (2, 3, 6, 5), (2, 3, 6, 5)),
        ((3, 4, 0),) * 3,
    ],
)
def test_empty(shapes: Any) -> None:
    check(attend(), *arrays(*shapes), double=False, names=False)


WRONG = {
    "one dimension": lambda t, q, k, v: attend()(t, q[0, 0, 0], k, v),
    "types": lambda t, q, k, v: attend()(t, q, k.float(), v),
    "integers": lambda t, q, k, v: attend()(t, q.long(), k.long(), v.long()),
    "no tensor": lambda t, q, k, v: attend()(t, q, k, 3),
    "mask of integers": lambda t, q, k, v: attend(attn_mask=t.ones(4, 6).long())(t, q, k, v),
    "mask of another type": lambda t, q, k, v: attend(attn_mask=t.ones(4, 6).half())(t, q, k, v),
    "mask of another shape": lambda t, q, k, v: attend(attn_mask=t.ones(4, 5))(t, q, k, v),
    "mask of one dimension": lambda t, q, k, v: attend(attn_mask=t.ones(6))(t, q, k, v),
    "no mask": lambda t, q, k, v: t.nn.functional.scaled_dot_product_attention(q, k, v, "no"),
    "mask and causal": lambda t, q, k, v: attend(attn_mask=t.ones(4, 6).bool(), is_causal=True)(t, q[0], k[0], v[0]),
    "heads": lambda t, q, k, v: attend(enable_gqa=True)(t, q, k[:, :2], v[:, :2]),
    "dropout": lambda t, q, k, v: attend(dropout_p=1.5)(t, q, k, v),
    "scale": lambda t, q, k, v: attend(scale="1")(t, q, k, v),
    "positional": lambda t, q, k, v: t.nn.functional.scaled_dot_product_attention(q, k, v, None, 0.0, False, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG.keys())
def test_errors(program: Any) -> None:
    check_error(program, *qkv(2, 3))


# ---- MultiheadAttention --------------------------------------------------------------------------------------------------
def attention(call: Any, *, train: bool = True, **options: Any) -> Any:
    """A program: a module of width 6 and two heads, called on its inputs; the weights are compared, too."""

    def program(t: Any, *tensors: Any) -> Any:
        t.manual_seed(0)
        module = t.nn.MultiheadAttention(6, 2, **options).double().train(train)
        for parameter in module.parameters():
            if parameter.dim() == 1:
                t.nn.init.normal_(parameter)
        result = call(t, module, *tensors)
        return [result, [p for p in module.parameters() if p.dim() > 1]]

    return program


def forbidden(t: Any) -> Any:
    return t.ones(4, 5).triu(1).bool()


def padded(t: Any) -> Any:
    return t.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]).bool()


CALLS = {
    "plain": lambda t, m, q, k: m(q, k, k),
    "three": lambda t, m, q, k: m(q, k, k * 2),
    "self": lambda t, m, q, k: m(q, q, q),
    "no weights": lambda t, m, q, k: m(q, k, k, need_weights=False)[0],
    "of each head": lambda t, m, q, k: m(q, k, k, average_attn_weights=False),
    "bool mask": lambda t, m, q, k: m(q, k, k, attn_mask=forbidden(t)),
    "float mask": lambda t, m, q, k: m(q, k, k, attn_mask=t.arange(20.0).double().view(4, 5) / 20),
    "mask of each head": lambda t, m, q, k: m(q, k, k, attn_mask=t.arange(120.0).double().view(6, 4, 5) / 50),
    "padding": lambda t, m, q, k: m(q, k, k, padded(t)),
    "both": lambda t, m, q, k: m(q, k, k, padded(t), attn_mask=forbidden(t)),
    "both without weights": lambda t, m, q, k: m(q, k, k, padded(t), need_weights=False, attn_mask=forbidden(t))[0],
    "causal": lambda t, m, q, k: m(q, k, k, need_weights=False, attn_mask=forbidden(t), is_causal=True)[0],
    "causal with weights": lambda t, m, q, k: m(q, k, k, attn_mask=forbidden(t), is_causal=True),
    "no batch": lambda t, m, q, k: m(q[:, 0], k[:, 0], k[:, 0]),
    "no batch, masks": lambda t, m, q, k: m(q[:, 0], k[:, 0], k[:, 0], padded(t)[0], attn_mask=forbidden(t)),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_module(call: Any) -> None:
    check(attention(call), *arrays((4, 3, 6), (5, 3, 6)), double=False, names=False)


@pytest.mark.parametrize(
    "options",
    [
        {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"dropout": 0.3},
        {"bias": False, "add_bias_kv": True, "add_zero_attn": True},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["plain", "no weights", "both", "no batch, masks"])
def test_module_options(options: Any, name: str) -> None:
    check(attention(CALLS[name], **options), *arrays((4, 3, 6), (5, 3, 6)), double=False, names=False)


@pytest.mark.parametrize(
    "options", [{"kdim": 3, "vdim": 4}, {"vdim": 4}, {"kdim": 3, "add_bias_kv": True}], ids=str
)
def test_keys_and_values_of_other_widths(options: Any) -> None:
    shapes = (4, 3, 6), (5, 3, options.get("kdim", 6)), (5, 3, options.get("vdim", 6))
    check(attention(lambda t, m, q, k, v: m(q, k, v), **options), *arrays(*shapes), double=False, names=False)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_batch_first_and_queries_that_may_look_at_nothing(train: bool, weights: bool, grad: bool) -> None:
    def call(t: Any, m: Any, x: Any) -> Any:
        nothing = t.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]).bool()
        with t.set_grad_enabled(grad):
            made, shares = m(x, x, x, nothing, need_weights=weights)
        return [made.detach(), shares if shares is None else shares.detach()]

    check(attention(call, train=train, batch_first=True), *arrays((2, 4, 6)), grad=False)


def test_state_and_looks() -> None:
    def program(t: Any) -> Any:
        t.manual_seed(0)
        found: list[Any] = []
        for options in ({}, {"kdim": 3}, {"bias": False, "add_bias_kv": True}):
            module = t.nn.MultiheadAttention(6, 2, **options)
            found += [str(module), module.state_dict(), list(module._parameters)]
        return found

    same(program)


WRONG_CALLS = {
    "rank": lambda t, m, q, k: m(q[0, 0], k, k),
    "key's rank": lambda t, m, q, k: m(q, k[0], k),
    "width": lambda t, m, q, k: m(q[..., :5], k, k),
    "key and value": lambda t, m, q, k: m(q, k[..., :5], k),
    "key's width": lambda t, m, q, k: m(q, k[..., :5], k[..., :5]),
    "key's batch": lambda t, m, q, k: m(q, k[:, :2], k[:, :2]),
    "padding's shape": lambda t, m, q, k: m(q, k, k, padded(t)[:, :4]),
    "padding's batch": lambda t, m, q, k: m(q, k, k, padded(t)[:2]),
    "padding's rank": lambda t, m, q, k: m(q, k, k, padded(t)[0]),
    "padding's type": lambda t, m, q, k: m(q, k, k, padded(t).long()),
    "mask's shape": lambda t, m, q, k: m(q, k, k, attn_mask=t.zeros(4, 4)),
    "mask's heads": lambda t, m, q, k: m(q, k, k, attn_mask=t.zeros(3, 4, 5)),
    "mask's rank": lambda t, m, q, k: m(q, k, k, attn_mask=t.zeros(4)),
    "mask's type": lambda t, m, q, k: m(q, k, k, attn_mask=t.zeros(4, 5).long()),
    "mask's precision": lambda t, m, q, k: m(q, k, k, attn_mask=t.zeros(4, 5)),
    "no mask": lambda t, m, q, k: m(q, k, k, attn_mask=3),
    "causal without a mask": lambda t, m, q, k: m(q, k, k, is_causal=True),
    "heads without a batch": lambda t, m, q, k: m(q[:, 0], k[:, 0], k[:, 0], attn_mask=t.zeros(3, 4, 5)),
    "sizes": lambda t, m, q, k: t.nn.MultiheadAttention(0, 2),
    "division": lambda t, m, q, k: t.nn.MultiheadAttention(6, 4),
    "dropout": lambda t, m, q, k: t.nn.MultiheadAttention(6, 2, dropout=2.0).double()(q, k, k),
}  # fmt: skip


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_module_errors(call: Any) -> None:
    check_error(attention(call), *arrays((4, 3, 6), (5, 3, 6)))


def test_masks_of_two_types_are_warned_of() -> None:
    def program(t: Any) -> Any:
        t.manual_seed(0)
        module, x = t.nn.MultiheadAttention(6, 2), t.ones(4, 3, 6)
        return module(x, x, x, t.zeros(3, 4).bool(), attn_mask=t.zeros(4, 4))[1]

    same(program)


# ---- multi_head_attention_forward ------------------------------------------------------------------------------------------
def by_hand(t: Any, q: Any, k: Any, **options: Any) -> Any:
    weight = t.arange(108.0).double().view(18, 6).cos()
    given = {
        "embed_dim_to_check": 6, "num_heads": 2, "in_proj_weight": weight, "in_proj_bias": None, "bias_k": None,
        "bias_v": None, "add_zero_attn": False, "dropout_p": 0.5, "out_proj_weight": weight[:6], "out_proj_bias": None,
        "training": False,
    }  # fmt: skip
    given.update({n: o(t) if callable(o) else o for n, o in options.items()})
    return t.nn.functional.multi_head_attention_forward(q, k, k, **given)


def ones(*shape: int) -> Any:
    return lambda t: t.ones(*shape).double()


FORWARDS = {
    "plain": {},
    "static": {"static_k": ones(6, 7, 3), "static_v": ones(6, 7, 3)},
    "bias": {"bias_k": ones(1, 1, 6), "bias_v": ones(1, 1, 6)},
    "separate": {"use_separate_proj_weight": True, **{f"{n}_proj_weight": ones(6, 6) for n in "qkv"}},
    "static of another batch": {"static_k": ones(4, 7, 3)},
    "static of another width": {"static_v": ones(6, 7, 2)},
    "static with bias": {"bias_k": ones(1, 1, 6), "bias_v": ones(1, 1, 6), "static_k": ones(6, 7, 3)},
    "no weight": {"in_proj_weight": None},
    "no weight of keys": {"use_separate_proj_weight": True, "q_proj_weight": ones(6, 6)},
    "heads": {"num_heads": 4},
}  # fmt: skip


@pytest.mark.parametrize("options", FORWARDS.values(), ids=FORWARDS.keys())
def test_forward(options: Any) -> None:
    same(lambda t: by_hand(t, t.ones(4, 3, 6).double(), t.ones(5, 3, 6).double(), **options))
