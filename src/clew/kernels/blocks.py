"""Elementwise functions of large arrays, block by block: each block stays in the cache from one NumPy call to the next,
and the blocks are shared out among threads. The numbers are the same, bit for bit; nothing is compiled.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import engine, raw
from clew.core.engine import LARGE
from clew.core.node import Node
from clew.core.variable import FLOAT32, FLOAT64
from clew.kernels import KERNELS, pick, prepare
from clew.kernels.threads import spread

_UFUNCS = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.divide,
}
# Formulas that are one call, which writes straight into the result: (name, which input).
_ONE_CALL = {("mul", 0): np.multiply, ("mul", 1): np.multiply, ("exp", 0): np.multiply, ("div", 0): np.divide}
_BLOCK = 1 << 17  # numbers that the cache holds several times


def blockwise(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """function(*args), where the array arguments have one shape and type, or are numbers; else computed in one go."""
    first = next((a for a in args if _whole(a)), None)
    if first is None:
        return function(*args)
    given: list[Any] = []
    lines: list[int] = []
    for a in args:
        if type(a) is ndarray and a.ndim:
            if a.dtype is not first.dtype or a.shape != first.shape:
                return function(*args)
            if not any(a.strides):  # one number, spread out
                a = a[(0,) * a.ndim]
            elif not a.flags.c_contiguous:
                return function(*args)
            else:
                lines.append(len(given))
                a = a.reshape(-1)
        given.append(a)
    prepare()
    made = np.empty(first.shape, first.dtype)
    function = _UFUNCS.get(function, function)
    if isinstance(function, np.ufunc):
        spread(lambda out, *own: function(*own, out), made.reshape(-1), *given)
        return made
    rest = [given[i] for i in lines]

    def part(out: ndarray, *arrays: ndarray) -> None:
        own = list(given)
        for start in range(0, len(out), _BLOCK):
            for i, a in zip(lines, arrays, strict=True):
                own[i] = a[start : start + _BLOCK]
            out[start : start + _BLOCK] = function(*own)

    spread(part, made.reshape(-1), *rest)
    return made


def total(a: ndarray) -> Any:
    """∑ a over everything, of large arrays part by part; the dtype stays."""
    if a.size < LARGE:
        return raw.total(a)
    if a.dtype is FLOAT32 and (kernel := pick("total", a)):
        return kernel(a)
    if not _whole(a):
        return raw.total(a)
    return a.dtype.type(sum(spread(np.add.reduce, a.reshape(-1))))


def gradient(node: Node, index: int, g: ndarray, saved: Sequence[Any]) -> Any:
    """What a formula gives for a large gradient on plain arrays."""
    primitive = node.primitive
    formula: Any = primitive.formulas[index]
    if primitive.name == "mul" and _is_one(g) and _only_reads(node.edges[index]) and _whole(saved[0]):
        other: ndarray = saved[0]
        if other.shape == g.shape:
            return other
    ufunc = _ONE_CALL.get((primitive.name, index)) if len(saved) == 1 else None
    if ufunc is not None:
        return blockwise(ufunc, (g, *saved))
    if saved and primitive.jvp == "partial" and f"{primitive.name}_back" not in KERNELS:
        return blockwise(lambda *args: formula(raw, *args), (g, *saved))
    return formula(raw, g, *saved)


def _is_one(g: ndarray) -> bool:
    """Whether a gradient is the number 1 spread out, as behind a sum."""
    return not any(g.strides) and g.flat[0] == 1


def _only_reads(edge: Any) -> bool:
    """Whether what receives a gradient makes another array of it, whatever it is, and shows it to nobody: then it may be
    given an array that belongs to a tensor."""
    node: Node = edge[0]
    return node.extras is None and f"{node.primitive.name}_back" in _READERS


_READERS = {name for name in KERNELS if name.endswith("_back")} | {"exp_back"}
engine.on_large = gradient


def _whole(a: Any) -> bool:
    """Whether an argument is a large array that stands in one piece."""
    return (
        type(a) is ndarray
        and a.size >= LARGE
        and (a.dtype is FLOAT32 or a.dtype is FLOAT64)
        and a.flags.c_contiguous
    )
