"""The vocabulary of derivative formulas over tensors: `clew.core.raw`'s names, so that every derivative has one too."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core import raw
from clew.core.engine import vocabularies
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap


def call(primitive: Primitive, *inputs: Any, **params: Any) -> Any:
    """Run a primitive on tensors, recorded."""
    return primitive(*[constant(value) for value in inputs], **params)


def constant(value: Any) -> Any:
    """A raw array as a tensor without history; tensors and None as they are."""
    if value is None or isinstance(value, Variable):
        return value
    return wrap(np.asarray(value))


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Variable) else value


class Tensors:
    """The namespace. Elementwise and shape functions are the operators themselves, under NumPy's names."""

    call = staticmethod(call)
    constant = staticmethod(constant)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'{name}' is not in the vocabulary of derivative formulas (see clew.core.raw)")


def _plain(name: str) -> Any:
    """A function without a gradient of its own (comparisons, zeros): computed on the values."""
    function = getattr(raw, name)

    def apply(*args: Any, **kwargs: Any) -> Any:
        return wrap(
            np.asarray(function(*[_array(a) for a in args], **{k: _array(v) for k, v in kwargs.items()}))
        )

    return staticmethod(apply)


for _name in (
    "arange", "argmax", "argsort", "empty_like", "floor", "full_like", "isnan", "logical_and", "logical_not",
    "logical_or", "ones", "ones_like", "sign", "zeros", "zeros_like",
):  # fmt: skip
    setattr(Tensors, _name, _plain(_name))


_kept = Primitive(
    "kept",
    lambda self: self.copy(),
    {"self": lambda xp, g: g},
    node="CopyBackwards",
    jvp="linear",
    explain="the gradient that became `.grad`, with its history",
)
_kept.node_class.name = lambda self: "torch::autograd::CopyBackwards"


def install() -> None:
    """Fill the namespace from the families (called once they exist) and hand it to the engine."""
    from clew.ops import arithmetic, cumulative, elementwise, join, linalg, reduce, shape, trigonometry
    from clew.ops import complex as complex_

    T: Any = Tensors
    for family, names in (
        (elementwise, "abs exp expm1 log log1p log2 sqrt square"),
        (trigonometry, "cos cosh sin sinh tan tanh"),
        (complex_, "real imag"),
    ):
        for name in names.split():
            setattr(T, name, staticmethod(getattr(family, name)))
    T.conj = staticmethod(lambda x: complex_.conj_physical(x) if x._array.dtype.kind == "c" else x)
    T.multiply = staticmethod(arithmetic.mul)
    T.power = staticmethod(arithmetic.pow)
    for name in ("maximum", "minimum"):
        setattr(T, name, staticmethod(_with_numbers(getattr(elementwise, name))))
    T.where = staticmethod(lambda c, x, y: elementwise.where(constant(c), x, y))
    T.keep = staticmethod(lambda g, mask: T.where(mask, g, 0))
    T.sum = staticmethod(lambda x, axis=None, keepdims=False: reduce.sum(x, axis, keepdims))
    T.prod = staticmethod(lambda x, axis=None, keepdims=False: reduce.prod(x, axis, keepdims))
    T.cumsum = staticmethod(lambda x, axis: cumulative.cumsum(x, axis))
    T.matmul = staticmethod(linalg.matmul)
    T.reshape = staticmethod(lambda x, size: shape.reshape(x, size))
    T.broadcast_to = staticmethod(lambda x, size: shape.broadcast_to(x, size))
    T.transpose = staticmethod(
        lambda x, axes=None: shape.permute(x, tuple(range(x.ndim))[::-1] if axes is None else axes)
    )
    T.swapaxes = staticmethod(shape.transpose)
    T.moveaxis = staticmethod(shape.movedim)
    T.expand_dims = staticmethod(_expand_dims)
    T.squeeze = staticmethod(lambda x, axis: shape.squeeze(x, axis))
    T.concatenate = staticmethod(lambda xs, axis=0: join.cat(xs, axis))
    T.stack = staticmethod(lambda xs, axis=0: join.stack(xs, axis))
    T.flip = staticmethod(lambda x, axis: join.flip(x, (axis,) if isinstance(axis, int) else axis))
    T.astype = staticmethod(_astype)
    T.sum_to = staticmethod(sum_to)
    T.take_along_axis = staticmethod(_take_along_axis)
    T.kept = staticmethod(_kept)
    vocabularies.tensors = Tensors()


def _with_numbers(op: Any) -> Any:
    """An operator of two tensors that takes a number as the second."""
    return lambda x, y: op(x, y if isinstance(y, Variable) else wrap(np.asarray(y, x._array.dtype)))


def _expand_dims(x: Any, axis: Any) -> Any:
    from clew.ops import shape

    for a in sorted(
        a % (x.ndim + 1) if isinstance(axis, int) else a for a in ((axis,) if isinstance(axis, int) else axis)
    ):
        x = shape.unsqueeze(x, a)
    return x


def _astype(x: Any, dtype: Any) -> Any:
    from clew.ops._builders import convert

    return convert(x, np.dtype(dtype))


def _take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    from clew.ops import index

    return index.take_along_dim(x, constant(indices), axis)


def sum_to(g: Any, size: tuple[int, ...]) -> Any:
    """The adjoint of broadcasting: `g` summed to `size`."""
    from clew.ops import reduce, shape

    have = g._array.shape
    lead = len(have) - len(size)
    dims = (*range(lead), *(i + lead for i, n in enumerate(size) if n == 1 and have[i + lead] != 1))
    if dims:
        g = reduce.sum(g, dims, True)
    return g if g._array.shape == size else shape.reshape(g, size)
