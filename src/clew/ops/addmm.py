"""Sums with a product: β·input + α·A·B and its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.inplace import check_write, in_place, store_out, write
from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.core.promotion import result_dtype
from clew.dtypes import legacy_name
from clew.kernels import matrices
from clew.ops._arguments import check_tensor, plain_number
from clew.ops._autocast import lowered
from clew.ops._builders import convert
from clew.ops.linalg import (
    _batch_times,
    _c_name,
    _check_addmm,
    _check_bmm,
    _check_expands,
    _mv,
    _times,
    turned,
    widely,
)  # fmt: skip
from clew.ops.memory import resize_

__all__ = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]


def _scale(xp: Any, value: Any, factor: Any) -> Any:
    return value if factor.__class__ is int and factor == 1 else value * factor


def _sum_array(product: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """beta·self + alpha·product(a, b); with beta = 0 whatever stands in `self`, even NaN, counts nothing."""

    @widely
    def forward(self: Any, first: Any, second: Any, *, beta: Any, alpha: Any) -> Any:
        made = product(first, second)
        if alpha.__class__ is not int or alpha != 1:
            made = made * alpha
        if beta.__class__ is int and beta == 1:
            return made + self
        return made if beta == 0 else made + self * beta

    return forward


def _sum(name: str, product: Any, names: tuple[str, str], first: Any, second: Any) -> Primitive:
    return Primitive(
        name,
        _sum_array(product),
        {
            "self": lambda xp, g, beta: _scale(xp, g, beta),
            names[0]: first,
            names[1]: second,
        },
        args=("self", *names),
        params=("beta", "alpha"),
        explain="β·self + α·product",
    )


_addmm = _sum(
    "addmm", matrices.dot, ("mat1", "mat2"),
    lambda xp, g, mat2, alpha: _scale(xp, _times(xp, g, mat2.T), alpha),
    lambda xp, g, mat1, alpha: _scale(xp, _times(xp, mat1.T, g), alpha),
)  # fmt: skip
_addmv = _sum(
    "addmv", np.dot, ("mat", "vec"),
    lambda xp, g, vec, alpha: _scale(xp, xp.expand_dims(g, 1) * vec, alpha),
    lambda xp, g, mat, alpha: _scale(xp, xp.call(_mv, mat.T, g), alpha),
)  # fmt: skip
_addr = _sum(
    "addr", np.multiply.outer, ("vec1", "vec2"),
    lambda xp, g, vec2, alpha: _scale(xp, xp.call(_mv, g, vec2), alpha),
    lambda xp, g, vec1, alpha: _scale(xp, xp.call(_mv, g.T, vec1), alpha),
)  # fmt: skip
_baddbmm = _sum(
    "baddbmm", matrices.matmul, ("batch1", "batch2"),
    lambda xp, g, batch2, alpha: _scale(xp, _batch_times(xp, g, turned(batch2)), alpha),
    lambda xp, g, batch1, alpha: _scale(xp, _batch_times(xp, turned(batch1), g), alpha),
)  # fmt: skip
_addbmm = _sum(
    "addbmm", lambda a, b: np.add.reduce(matrices.matmul(a, b), 0, dtype=a.dtype), ("batch1", "batch2"),
    lambda xp, g, batch2, alpha: _scale(xp, _batch_times(xp, g, turned(batch2)), alpha),
    lambda xp, g, batch1, alpha: _scale(xp, _batch_times(xp, turned(batch1), g), alpha),
)  # fmt: skip


def _run_sum(primitive: Primitive, operands: tuple[Any, Any, Any], beta: Any, alpha: Any, out: Any) -> Any:
    beta, alpha = (plain_number(v, primitive.name, n) for v, n in ((beta, "beta"), (alpha, "alpha")))
    if operands[1]._array.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    result = primitive(*operands, beta=beta, alpha=alpha)
    return result if out is None else store_out(out, result)


def _three(name: str, tensors: tuple[Any, Any, Any], names: tuple[str, str]) -> tuple[Any, Any, Any]:
    for position, (tensor, label) in enumerate(zip(tensors, ("input", *names), strict=True)):
        check_tensor(tensor, name, label, position + 1)
    first, second, third = tensors
    return first._array, second._array, third._array


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """β·input + α·(A·B), `input` broadcast to the product (n × p)."""
    if altered and switches.autocast:
        input, mat1, mat2 = lowered(input, mat1, mat2)
    _check_addmm(*_three("addmm", (input, mat1, mat2), ("mat1", "mat2")))
    return _run_sum(_addmm, (input, mat1, mat2), beta, alpha, out)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """β·input + α·(A·x), `input` broadcast to the product (n)."""
    if altered and switches.autocast:
        input, mat, vec = lowered(input, mat, vec)
    self, a, v = _three("addmv", (input, mat, vec), ("mat", "vec"))
    if a.ndim != 2 or v.ndim != 1 or self.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {self.ndim}, {a.ndim}, {v.ndim}")
    if a.shape[1] != v.shape[0] or (self.size != 1 and self.shape[0] != a.shape[0]):
        count = self.shape[0] if self.ndim else 1
        raise RuntimeError(
            f"size mismatch, got input ({count}), mat ({a.shape[0]}x{a.shape[1]}), vec ({v.shape[0]})"
        )
    if not self.dtype == a.dtype == v.dtype:
        kinds = [legacy_name(t.dtype) for t in (self, a, v)]
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got {}, {}, and {}".format(*kinds)
        )
    return _run_sum(_addmv, (input, mat, vec), beta, alpha, out)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """β·input + α·(a ⊗ b), `input` broadcast to the outer product (n × m)."""
    self, a, b = _three("addr", (input, vec1, vec2), ("vec1", "vec2"))
    for array, name in ((a, "vec1"), (b, "vec2")):
        if array.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {array.ndim}-D")
    _check_expands(self, (a.size, b.size))
    want = result_dtype(input, vec1, vec2).np
    return _run_sum(_addr, (convert(input, want), convert(vec1, want), convert(vec2, want)), beta, alpha, out)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """β·inputᵢ + α·(Aᵢ·Bᵢ) for every i, `input` broadcast to the products (b × n × p)."""
    if altered and switches.autocast:
        input, batch1, batch2 = lowered(input, batch1, batch2)
    self, a, b = _three("baddbmm", (input, batch1, batch2), ("batch1", "batch2"))
    if a.ndim == 3 and b.ndim == 3:
        _check_expands(self, (a.shape[0], a.shape[1], b.shape[2]))
    for batch, name in ((a, "batch1"), (b, "batch2")):
        if batch.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if not self.dtype == a.dtype == b.dtype:
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {_c_name(self)}, batch1: {_c_name(a)}, batch2: {_c_name(b)}"
        )
    _check_bmm(a.shape, b.shape, a, b)
    return _run_sum(_baddbmm, (input, batch1, batch2), beta, alpha, out)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """β·input + α·∑ᵢ Aᵢ·Bᵢ, `input` broadcast to the sum of products (n × p)."""
    if altered and switches.autocast:
        input, batch1, batch2 = lowered(input, batch1, batch2)
    self, a, b = _three("addbmm", (input, batch1, batch2), ("batch1", "batch2"))
    for batch, name in ((a, "batch1"), (b, "batch2")):
        if batch.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if a.shape[0] != b.shape[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {a.shape[0]} and {b.shape[0]}"
        )
    if a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for bmm ({a.shape[1]}x{a.shape[2]} and {b.shape[1]}x{b.shape[2]})"
        )
    _check_expands(self, (a.shape[1], b.shape[2]))
    return _run_sum(_addbmm, (input, batch1, batch2), beta, alpha, out)


_addbmm_ = in_place(addbmm)


def addbmm_(self: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place form of `addbmm`. A tensor without history that is smaller than the product grows to its size."""
    result = addbmm(self, batch1, batch2, beta=beta, alpha=alpha)
    if result.shape == self.shape or self.requires_grad or result.requires_grad:
        return _addbmm_(self, batch1, batch2, beta=beta, alpha=alpha)
    check_write(self)
    return write(resize_(self, result.shape), result)
