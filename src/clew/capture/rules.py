"""Rules for operations that a program names whole: norms, softmaxes, activations, attention, embeddings, losses.

Each is written in the steps of `Lowering`; the formulas are those of the operations' own files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from clew.capture.loops import CODES, CannotLower, Kernel, Place, Val, contiguous, literal
from clew.capture.lower import NAMED, RULES, Lowering, sum_to

ROOT_HALF, ROOT_TWO_OVER_PI, CUBIC = math.sqrt(0.5), math.sqrt(2 / math.pi), 0.044715


def code_of(value: Val) -> str:
    return CODES[value.dtype.name]


def each(low: Lowering, template: str, *values: Any) -> Val:
    """A formula of floats, `#` being their type: numbers in it are of that type."""
    operands = [low.value(v) for v in values]
    dtype = operands[0].dtype
    if dtype.kind != "f" or any(v.dtype != dtype for v in operands):
        raise CannotLower("mixes types")
    return low.kernel.map(template.replace("#", CODES[dtype.name]), operands, dtype)


def along(low: Lowering, op: str, value: Val, axis: int = -1) -> Val:
    """A sum or maximum along an axis, which stays."""
    return low.reduce(op, value, [axis % value.ndim], True, value.dtype)


# ---- activations -----------------------------------------------------------------------------------------------------------
def _formula(template: str) -> Callable[..., Val]:
    return lambda low, *values: each(low, template, *values)


_PHI = "normal({0})"
_DENSITY = f"exp(#(-0.5) * {{0}} * {{0}}) * #({ROOT_HALF / math.sqrt(math.pi)})"
_INNER = f"#({ROOT_TWO_OVER_PI}) * ({{0}} + #({CUBIC}) * {{0}} * {{0}} * {{0}})"
_SILU = "sigmoid({0})"
ACTIVATIONS = {
    "relu": "({0} if ({0} >= #(0) or {0} != {0}) else #(0))",
    "relu_back": "({1} if {0} > #(0) else #(0))",
    "gelu": f"{{0}} * ({_PHI})",
    "gelu_back": f"{{1}} * ({_PHI} + {{0}} * ({_DENSITY}))",
    "silu": f"{{0}} * {_SILU}",
    "silu_back": f"{{1}} * ({_SILU} * (#(1) + {{0}} * (#(1) - {_SILU})))",
    "sigmoid": _SILU,
    "sigmoid_back": "{1} * {0} * (#(1) - {0})",
    "tanh": "tanh({0})",
    "tanh_back": "{1} * (#(1) - {0} * {0})",
    "gelu_tanh": f"#(0.5) * {{0}} * (#(1) + tanh({_INNER}))",
}


def _gelu_tanh_back(low: Lowering, x: Any, g: Any) -> Val:
    t = each(low, f"tanh({_INNER})", x)
    return each(
        low,
        "{1} * (#(0.5) * (#(1) + {2}) + #(0.5) * {0} * (#(1) - {2} * {2}) * "
        f"#({ROOT_TWO_OVER_PI}) * (#(1) + #({3 * CUBIC}) * {{0}} * {{0}}))",
        x, g, t,
    )  # fmt: skip


# ---- rows ------------------------------------------------------------------------------------------------------------------
def _exponentials(low: Lowering, x: Any, dim: int) -> tuple[Val, Val, Val]:
    """x − max, its exponentials, and their sum."""
    value = low.value(x)
    if value.size == 1 or value.dtype.kind != "f":
        raise CannotLower("takes the softmax of one number")
    centered = each(low, "{0} - {1}", value, along(low, "most", value, dim))
    exponentials = each(low, "exp_or_zero({0})", centered)
    return centered, exponentials, along(low, "+", exponentials, dim)


def _log_softmax(low: Lowering, x: Any, dim: int = -1) -> Val:
    centered, _, total = _exponentials(low, x, dim)
    return each(low, "{0} - {1}", centered, each(low, "log_#({0})", total))


def _softmax(low: Lowering, x: Any, dim: int = -1) -> Val:
    _, exponentials, total = _exponentials(low, x, dim)
    return each(low, "{0} / {1}", exponentials, total)


def _softmax_back(low: Lowering, y: Any, g: Any) -> Val:
    total = along(low, "+", each(low, "{0} * {1}", g, y))
    return each(low, "{0} * ({1} - {2})", y, g, total)


def _log_softmax_back(low: Lowering, y: Any, g: Any) -> Val:
    return each(low, "{0} - exp({1}) * {2}", g, y, along(low, "+", low.value(g)))


def _causal(low: Lowering, scores: Any, scale: float) -> Val:
    value = low.value(scores)
    queries, keys = value.shape[-2:]
    i, j = low.count(queries, 1), low.count(keys, 0)
    bias = f"({{0}} * #({scale!r}) if {{2}} <= {{1}} else #(-inf))".replace("#", code_of(value))
    return _softmax(low, low.kernel.map(bias, [value, i, j], value.dtype))


def _layer_norm(low: Lowering, x: Any, weight: Any, bias: Any, eps: float) -> tuple[Val, Val, Val]:
    value = low.value(x)
    count = float(value.shape[-1])
    mean = each(low, f"{{0}} / #({count})", along(low, "+", value))
    centred = each(low, "{0} - {1}", value, mean)
    total = along(low, "+", each(low, "{0} * {0}", centred))
    rstd = each(low, f"#(1) / math.sqrt({{0}} / #({count}) + #({eps!r}))", total)
    made = each(low, "{0} * {1}", centred, rstd)
    if weight is not None:
        made = each(low, "{0} * {1}", made, weight)
    return (made if bias is None else each(low, "{0} + {1}", made, bias)), mean, rstd


def _layer_norm_back(low: Lowering, x: Any, g: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, ...]:
    value = low.value(x)
    count = float(value.shape[-1])
    normal = each(low, "({0} - {1}) * {2}", value, mean, rstd)
    gamma = low.value(g) if weight is None else each(low, "{0} * {1}", g, weight)
    middle = along(low, "+", gamma)
    slope = along(low, "+", each(low, "{0} * {1}", gamma, normal))
    of_x = each(
        low,
        f"({{0}} - {{1}} / #({count}) - {{2}} * ({{3}} / #({count}))) * {{4}}",
        gamma,
        middle,
        normal,
        slope,
        rstd,
    )
    shape = value.shape[-1:]
    return of_x, sum_to(low, each(low, "{0} * {1}", g, normal), shape), sum_to(low, g, shape)


# ---- attention -------------------------------------------------------------------------------------------------------------
def _turned(low: Lowering, value: Any) -> Val:
    return low.view(low.value(value), lambda v: v.swapaxes(-1, -2))


def _attention_back(
    low: Lowering, g: Any, needs: Sequence[bool], query: Any, key: Any, value: Any, mask: Any, is_causal: bool,
    scale: float, weights: Any, output: Any,
) -> tuple[Any, ...]:  # fmt: skip
    of_value = low.matmul(_turned(low, weights), g)
    of_weights = low.matmul(g, _turned(low, value))
    total = along(low, "+", each(low, "{0} * {1}", of_weights, weights))
    of_scores = each(low, f"{{0}} * ({{1}} - {{2}}) * #({scale!r})", weights, of_weights, total)
    return low.matmul(of_scores, key), low.matmul(_turned(low, of_scores), query), of_value, None


# ---- picking and putting together --------------------------------------------------------------------------------------------
def _take(low: Lowering, x: Any, index: Any, axis: int = 0, *_: Any, **__: Any) -> Val:
    if axis:
        raise CannotLower("takes along an inner axis")
    return low.rows(low.value(x), low.value(index))


def _add_rows(
    low: Lowering, g: Any, indices: Any, shape: tuple[int, int], padding: int, by_frequency: bool
) -> Val:
    """made[indices[i]] += g[i]."""
    if by_frequency:
        raise CannotLower("scales by frequency")
    kernel = low.kernel
    value, index = low.copied(low.value(g)), low.copied(low.value(indices))
    width, count = shape[1], prod(index.shape)
    made = kernel.buffer(value.dtype, prod(shape))
    source, where = kernel.placed(value), kernel.placed(index)

    def lines(_: Kernel) -> list[str]:
        return [
            f"for i in range({prod(shape)}):",
            f"    {made.name}[i] = {CODES[value.dtype.name]}(0)",
            f"for i in range({count}):",
            f"    r = {where.buffer}[i]",
            f"    if r != {padding}:",
            f"        for j in range({width}):",
            f"            {made.name}[r*{width} + j] += {source.buffer}[i*{width} + j]",
        ]

    kernel.block(lines, (value, index), made.name)
    return Val(tuple(shape), value.dtype, Place(made.name, 0, contiguous(shape)))


def _concatenate(low: Lowering, parts: Sequence[Any], axis: int = 0, **_: Any) -> Val:
    values = [low.value(p) for p in parts]
    dtype, ndim = values[0].dtype, values[0].ndim
    axis %= ndim
    if any(v.dtype != dtype for v in values):
        raise CannotLower("joins tensors of different types")
    shape = list(values[0].shape)
    shape[axis] = sum(v.shape[axis] for v in values)
    strides = contiguous(shape)
    buffer = low.kernel.buffer(dtype, prod(shape))
    at = 0
    for value in values:
        low.kernel.write(Place(buffer.name, at * strides[axis], strides), value.shape, "{0}", [value], dtype)
        at += value.shape[axis]
    return Val(tuple(shape), dtype, Place(buffer.name, 0, strides))


def _stack(low: Lowering, parts: Sequence[Any], axis: int = 0, **_: Any) -> Val:
    values = [low.value(p) for p in parts]
    axis %= values[0].ndim + 1
    return _concatenate(low, [low.view(v, lambda x: np.expand_dims(x, axis)) for v in values], axis)


def _slice_back(
    low: Lowering, g: Any, shape: tuple[int, ...], dim: int, start: int, end: int, step: int
) -> Val:
    """Zeros with g in the places that a slice took."""
    index = (slice(None),) * dim + (slice(start, end, step),)
    return _embedded(low, g, shape, lambda x: x[index])


def _select_back(low: Lowering, g: Any, shape: tuple[int, ...], dim: int, index: int) -> Val:
    return _embedded(low, g, shape, lambda x: x[(slice(None),) * dim + (index,)])


def _embedded(low: Lowering, g: Any, shape: tuple[int, ...], view: Callable[[np.ndarray], np.ndarray]) -> Val:
    value, kernel = low.value(g), low.kernel
    buffer = kernel.buffer(value.dtype, prod(shape))
    whole = Val(tuple(shape), value.dtype, Place(buffer.name, 0, contiguous(shape)))
    assert whole.place is not None
    kernel.write(whole.place, whole.shape, "{0}", [kernel.number(0, value.dtype)], value.dtype)
    kernel.cut()
    part = low.view(whole, view)
    assert part.place is not None
    kernel.write(part.place, value.shape, "{0}", [value], value.dtype)
    return whole


# ---- losses ----------------------------------------------------------------------------------------------------------------
def _nll_back(
    low: Lowering, g: Any, shape: tuple[int, int], target: Any, reduction: str, columns: bool
) -> Val:
    given, k = low.value(g), low.kernel
    share = literal(shape[0] if reduction == "mean" else 1, given.dtype)
    scaled = k.map(f"-({{0}} / {share})", [given], given.dtype)
    labels = low.view(low.value(target), lambda t: t[:, None])
    nothing = literal(0, given.dtype)
    return k.map(
        f"({{0}} if {{1}} == {{2}} else {nothing})", [scaled, labels, low.count(shape[1], 0)], given.dtype
    )


def _total(low: Lowering, value: Val) -> Val:
    return low.reduce("+", value, range(value.ndim), False, value.dtype)


def _mse(low: Lowering, x: Any, y: Any, *_: Any) -> Val:
    return _total(low, each(low, "({0} - {1}) * ({0} - {1})", x, y))


def _mse_back(low: Lowering, x: Any, y: Any, share: Any, *_: Any) -> Val:
    given = low.cast(low.value(share, low.value(x).dtype), low.value(x).dtype)
    return each(low, "#(2) * ({0} - {1}) * {2}", x, y, given)


_BCE = "max({0}, #(0)) - {0} * {1} + log1p(exp(-abs({0})))"


def _bce(low: Lowering, x: Any, y: Any) -> Val:
    return _total(low, each(low, _BCE, x, y))


def _bce_back(low: Lowering, x: Any, y: Any, share: Any) -> Val:
    given = low.cast(low.value(share, low.value(x).dtype), low.value(x).dtype)
    return each(low, "(sigmoid({0}) - {1}) * {2}", x, y, given)


NAMED.update({name: _formula(template) for name, template in ACTIVATIONS.items()})
NAMED.update({
    "gelu_tanh_back": _gelu_tanh_back, "log_softmax_lines": _log_softmax, "_log_softmax_forward": _log_softmax,
    "_softmax_forward": _softmax, "softmax": _softmax, "log_softmax": _log_softmax, "softmax_back": _softmax_back,
    "log_softmax_back": _log_softmax_back, "causal_softmax": _causal, "layer_norm": _layer_norm,
    "layer_norm_back": _layer_norm_back, "scaled_dot_product_attention_back": _attention_back, "take": _take,
    "embedding_back_weight": _add_rows, "nll_loss_back_self": _nll_back, "mse": _mse, "mse_back": _mse_back,
    "slice_back_self": _slice_back,
    "select_back_self": _select_back, "bce_logits": _bce, "bce_logits_back": _bce_back,
    "product": lambda low, a, b: low.matmul(a, b), "small_product": lambda low, a, b: low.matmul(a, b), "total": lambda low, x: _total(low, low.value(x)),
    "linear_back_self": lambda low, g, shape: sum_to(low, g, shape),
    "sum_rows": lambda low, rows: sum_to(low, rows, low.value(rows).shape[1:]),
})  # fmt: skip
RULES.update({np.concatenate: _concatenate, np.stack: _stack})

__all__ = ["ACTIVATIONS", "each"]
