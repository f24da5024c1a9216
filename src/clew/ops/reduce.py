"""Reductions: sums, means, products, moments, extremes, norms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clew import return_types
from clew.core.inplace import store_out
from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.core.promotion import compute_dtype
from clew.core.raw import total
from clew.core.variable import FLOAT32, FLOAT64, Variable
from clew.dtypes import dtype as Dtype
from clew.dtypes import from_numpy, int64, legacy_name
from clew.kernels.blocks import LARGE
from clew.kernels.blocks import total as whole_sum
from clew.ops._arguments import (
    check_tensor,
    no_signature,
    numpy_names,
    torch_names,
    wrap_dim,
    wrap_dims,
)
from clew.ops._autocast import raised
from clew.ops._builders import convert, single

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "argmax",
    "argmin",
    "max",
    "mean",
    "min",
    "nanmean",
    "nansum",
    "prod",
    "sum",
]

_add: Any = np.add.reduce
_largest: Any = np.maximum.reduce
_smallest: Any = np.minimum.reduce


# ---- what reductions share ---------------------------------------------------------------------------------
def working(input: Any, name: str, dtype: Any = None) -> tuple[Any, Dtype]:
    """The input in the type to compute in, and the type (`dtype`, or its own) the result is to be rounded
    to."""
    check_tensor(input, name)
    want = from_numpy(input._array.dtype) if dtype is None else dtype
    return convert(input, compute_dtype(want)), want


def rounded(result: Any, want: Dtype, out: Any = None) -> Any:
    """The result in type `want`, stored in `out` where that is given."""
    result = convert(result, want.np)
    return result if out is None else store_out(out, result)


def refuse(input: Any, kernel: str, *categories: int) -> None:
    """NotImplementedError for a tensor whose type is in one of the categories (0 bool, 1 integer, 3
    complex)."""
    have = from_numpy(input._array.dtype)
    if have.category in categories:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(have)}'")


def kept(shape: tuple[int, ...], dim: Any) -> tuple[int, ...]:
    """The shape of a reduction over `dim` (a number, a tuple, None for all) that keeps the reduced dims as
    ones."""
    if dim is None or not shape:
        return (1,) * len(shape)
    dims = (dim,) if dim.__class__ is int else dim
    return tuple([1 if i in dims else n for i, n in enumerate(shape)])


def restore(g: Any, shape: tuple[int, ...], dim: Any, keepdim: bool) -> Any:
    """Something of a reduction's result shape, with the reduced dims back as ones."""
    return g if keepdim else g.reshape(kept(shape, dim))


def axes(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dims of a reduction, counted from the front; of a 0-d tensor there are none, though it takes 0 and
    -1."""
    dims = wrap_dims(dim, ndim)
    return dims if ndim else ()


def spread(xp: Any, g: Any, self_shape: Any, dim: Any, keepdim: Any) -> Any:
    """The adjoint of a sum: every summand gets the gradient of its sum."""
    return xp.broadcast_to(restore(g, self_shape, dim, keepdim), self_shape)


def count(shape: tuple[int, ...], dim: Any) -> int:
    """How many elements go into one result."""
    return math.prod(shape if dim is None else [shape[d] for d in ((dim,) if dim.__class__ is int else dim)])


def no_identity(input: Any, name: str, dims: tuple[int, ...], colon: str = "():") -> None:
    """IndexError for a reduction without identity over an empty dim."""
    shape = input._array.shape
    for d in dims:
        if shape and not shape[d]:
            raise IndexError(f"{name}{colon} Expected reduction dim {d} to have non-zero size.")


def _need_dim(input: Any, name: str, error: type[Exception] = RuntimeError) -> None:
    if not input._array.size:
        hint = "" if error is IndexError else " Specify the reduction dim with the 'dim' argument."
        raise error(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.{hint}")


# ---- one value of each line --------------------------------------------------------------------------------
# `pick` reads, along one dim, the elements at `indices`, and `put` is its adjoint. `repeat`: an index may
# stand in a line more than once, so that what is put there must be added up (which is slower).
def _pick(self: Any, indices: Any, *, dim: int, repeat: bool) -> Any:
    return np.take_along_axis(self, indices, dim) if self.ndim else np.array(self)


def _put(self: Any, indices: Any, *, dim: int, size: int, repeat: bool) -> Any:
    if not indices.ndim:
        return np.array(self)
    made = np.zeros((*self.shape[:dim], size, *self.shape[dim + 1 :]), self.dtype)
    if repeat:
        where = list(np.indices(indices.shape, sparse=True))
        where[dim] = indices
        np.add.at(made, tuple(where), self)
    else:
        np.put_along_axis(made, indices, self, dim)
    return made


def unpick(xp: Any, g: Any, indices: Any, dim: Any, self_shape: Any, repeat: Any = False) -> Any:
    """The gradient of elements read along `dim` goes back to where they stood."""
    return xp.call(put, g, indices, dim=dim, size=self_shape[dim], repeat=repeat) if self_shape else g


def _unput(xp: Any, g: Any, indices: Any, dim: Any, repeat: Any) -> Any:
    return xp.call(pick, g, indices, dim=dim, repeat=repeat)


pick = Primitive("gather", _pick, {"self": unpick}, jvp="linear")
put = Primitive("value_selecting_reduction_backward", _put, {"self": _unput}, jvp="linear")


def selected(xp: Any, g: Any, indices: Any, dim: Any, keepdim: Any, self_shape: Any) -> Any:
    """The gradient of a reduction that selects one element of each line."""
    if not self_shape:
        return g[0]
    shape = kept(self_shape, dim)
    return unpick(xp, g[0].reshape(shape), indices.reshape(shape), dim, self_shape)


# ---- sum and mean ------------------------------------------------------------------------------------------
_sum_all = Primitive(
    "sum",
    lambda self: _add(self, None),
    {"self": lambda xp, g, self_shape: xp.broadcast_to(g, self_shape)},
    jvp="linear",
    explain="a sum: every summand gets the gradient of the sum",
)
_sum_dims = Primitive(
    "sum",
    lambda self, *, dim, keepdim: _add(self, dim, keepdims=keepdim),
    {"self": lambda xp, g, dim, keepdim, self_shape: spread(xp, g, self_shape, dim, keepdim)},
    node="SumBackward1",
    jvp="linear",
    explain="a sum: every summand gets the gradient of its sum",
)
_mean_all = Primitive(
    "mean",
    lambda self: total(self) / self.size if self.size else self.dtype.type(np.nan),
    {"self": lambda xp, g, self_shape: xp.broadcast_to(g / (count(self_shape, None) or 1), self_shape)},
    jvp="linear",
    explain="a mean of n: every element gets 1/n of the gradient",
)


def _mean_forward(self: Any, *, dim: Any, keepdim: bool) -> Any:
    n = count(self.shape, dim)
    total = _add(self, dim, keepdims=keepdim)
    return total / n if n else np.full_like(total, np.nan)


_mean_dims = Primitive(
    "mean",
    _mean_forward,
    {
        "self": lambda xp, g, dim, keepdim, self_shape: spread(
            xp, g / (count(self_shape, dim) or 1), self_shape, dim, keepdim
        )
    },
    node="MeanBackward1",
    jvp="linear",
    explain="a mean of n: every element gets 1/n of the gradient",
)


def sum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None, **numpy: Any
) -> Any:
    """∑ x over `dim` (a number or several; all without it). Integers and bools are summed as int64."""
    if (
        dim is None
        and dtype is None
        and out is None
        and not keepdim
        and not numpy
        and isinstance(input, Variable)
    ):
        a = input._array
        if a.dtype is FLOAT32 or a.dtype is FLOAT64:
            return single(_sum_all, input, whole_sum(a) if a.size >= LARGE else total(a), (a.shape,))
    if dim.__class__ is int and dtype is None and out is None and not numpy and isinstance(input, Variable):
        a = input._array
        n = a.ndim
        if (a.dtype is FLOAT32 or a.dtype is FLOAT64) and -n <= dim < n:
            dims = (dim % n,)
            return single(_sum_dims, input, _add(a, dim, keepdims=keepdim), (dims, keepdim, a.shape))
    if numpy:
        return sum(input, **torch_names({"dim": dim, "keepdim": keepdim, "dtype": dtype, "out": out} | numpy))
    check_tensor(input, "sum")
    if dtype is None:
        have = from_numpy(input._array.dtype)
        dtype = int64 if have.category < 2 else have
    x, want = working(input, "sum", dtype)
    if dim is None and not keepdim:
        return rounded(_sum_all(x), want, out)
    return rounded(_sum_dims(x, dim=axes(dim, x._array.ndim), keepdim=keepdim), want, out)


def mean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None, **numpy: Any
) -> Any:
    """(∑ x) / n over `dim` (a number or several; all without it). RuntimeError for
    integers without `dtype`."""
    if (
        dim is None
        and dtype is None
        and out is None
        and not keepdim
        and not numpy
        and isinstance(input, Variable)
    ):
        a = input._array
        if (a.dtype is FLOAT32 or a.dtype is FLOAT64) and a.size:
            return single(
                _mean_all, input, (whole_sum(a) if a.size >= LARGE else total(a)) / a.size, (a.shape,)
            )
    if dim.__class__ is int and dtype is None and out is None and not numpy and isinstance(input, Variable):
        a = input._array
        n = a.ndim
        if (a.dtype is FLOAT32 or a.dtype is FLOAT64) and -n <= dim < n and a.shape[dim]:
            dims = (dim % n,)
            return single(
                _mean_dims, input, _add(a, dim, keepdims=keepdim) / a.shape[dim], (dims, keepdim, a.shape)
            )
    if numpy:
        return mean(
            input, **torch_names({"dim": dim, "keepdim": keepdim, "dtype": dtype, "out": out} | numpy)
        )
    x, want = working(input, "mean", dtype)
    if want.category < 2:
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point or complex "
            f"dtype. Got: {legacy_name(want)}"
        )
    if dim is None and not keepdim:
        return rounded(_mean_all(x), want, out)
    return rounded(_mean_dims(x, dim=axes(dim, x._array.ndim), keepdim=keepdim), want, out)


def _nansum_slope(xp: Any, g: Any, self: Any, dim: Any, keepdim: Any, self_shape: Any) -> Any:
    return spread(xp, g, self_shape, dim, keepdim) * xp.logical_not(xp.isnan(self))


_nansum = Primitive(
    "nansum",
    lambda self, *, dim, keepdim: np.nansum(self, dim, keepdims=keepdim, dtype=self.dtype),
    {"self": _nansum_slope},
    explain="a sum that leaves NaN out",
)


@numpy_names
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """∑ x over the elements that are not NaN; the others get gradient zero."""
    have = from_numpy(check_tensor(input, "nansum")._array.dtype)
    if have.category == 3:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    if have.category < 2:
        return sum(input, dim, keepdim, dtype=dtype, out=out)
    x, want = working(input, "nansum", dtype)
    return rounded(
        _nansum(x, dim=None if dim is None else axes(dim, x._array.ndim), keepdim=keepdim), want, out
    )


@numpy_names
def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The mean of the elements that are not NaN; NaN where there are none."""
    have = from_numpy(check_tensor(input, "nanmean")._array.dtype)
    if have.category < 2:
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {legacy_name(have)}"
        )
    total = nansum(input, dim, keepdim, dtype=dtype)
    result = total / sum(input.isnan().logical_not(), dim, keepdim)
    return result if out is None else store_out(out, result)


# ---- largest and smallest ----------------------------------------------------------------------------------
def _even(xp: Any, g: Any, self: Any, result: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The gradient of an extreme: shared evenly among the elements that attain it."""
    shape = tuple(self.shape)
    hit = (self == restore(result, shape, dim, keepdim)) * xp.ones_like(self)
    return restore(g, shape, dim, keepdim) * hit / xp.sum(hit, axis=dim, keepdims=True)


def _even_all(xp: Any, g: Any, self: Any, result: Any) -> Any:
    """The same over all elements, where the result may be NaN: then the NaNs share."""
    shape = tuple(self.shape)
    hit = xp.logical_or(self == result, xp.logical_and(xp.isnan(result), xp.isnan(self))) * xp.ones_like(self)
    return g.reshape((1,) * len(shape)) * hit / xp.sum(hit, axis=None)


def _select(reduce: Any, find: Any) -> Any:
    """A forward that gives the extremes along a dim and where they are: of equal ones the
    first; NaN wins."""

    def forward(self: Any, *, dim: int, keepdim: bool) -> Any:
        if not self.ndim:
            return self, np.int64(0)
        return reduce(self, dim, keepdims=keepdim), np.asarray(find(self, dim, keepdims=keepdim), np.int64)

    return forward


_SELECTED = {
    "self": lambda xp, g, indices, dim, keepdim, self_shape: selected(
        xp, g, indices, dim, keepdim, self_shape
    )
}
_max_all = Primitive(
    "max", lambda self: _largest(self, None), {"self": _even_all}, outputs=("result",), node="MaxBackward1"
)
_min_all = Primitive(
    "min", lambda self: _smallest(self, None), {"self": _even_all}, outputs=("result",), node="MinBackward1"
)
_max_dim = Primitive("max", _select(_largest, np.argmax), _SELECTED, outputs=("values", "indices"))
_min_dim = Primitive("min", _select(_smallest, np.argmin), _SELECTED, outputs=("values", "indices"))
_amax = Primitive(
    "amax",
    lambda self, *, dim, keepdim: _largest(self, dim, keepdims=keepdim),
    {"self": _even},
    outputs=("result",),
)
_amin = Primitive(
    "amin",
    lambda self, *, dim, keepdim: _smallest(self, dim, keepdims=keepdim),
    {"self": _even},
    outputs=("result",),
)
_aminmax = Primitive(
    "aminmax",
    lambda self, *, dim, keepdim: (
        _smallest(self, dim, keepdims=keepdim),
        _largest(self, dim, keepdims=keepdim),
    ),
    {
        "self": lambda xp, g, self, min, max, dim, keepdim: (
            _even(xp, g[0], self, min, dim, keepdim) + _even(xp, g[1], self, max, dim, keepdim)
        )
    },
    outputs=("min", "max"),
)


def store_pair(made: Any, out: Any, *inputs: Any, exact: bool = False) -> Any:
    """Named results, stored in the two tensors of `out` where that is given (see `store_out`)."""
    if out is None:
        return made
    return type(made)(store_out(o, m, *inputs, exact=exact) for o, m in zip(out, made, strict=True))


def _extreme(name: str, whole: Primitive, along: Primitive, formula: str) -> Any:
    """The three forms of `max` and `min`."""
    named = getattr(return_types, name)

    @numpy_names
    def extreme(
        input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None
    ) -> Any:
        if isinstance(dim, Variable):
            dim, other = None, dim
        if other is not None:
            from clew.ops import elementwise

            if not isinstance(input, Variable):
                raise no_signature(name, input, other)

            return getattr(elementwise, f"{name}imum")(input, other, out=out)
        if dim is None:
            a = getattr(input, "_array", None)
            if out is None and a is not None and (a.dtype is FLOAT32 or a.dtype is FLOAT64) and a.size:
                value = whole.forward(a)
                return single(whole, input, value, (a, value), "both")
            check_tensor(input, name)
            refuse(input, f"{name}_all", 3)
            _need_dim(input, name)
            x, want = working(input, name)
            return rounded(whole(x), want, out)
        x, want = working(input, name)
        if want.category == 3:
            raise RuntimeError(f"{name}(): does not support complex input")
        dim = wrap_dim(dim, x._array.ndim)
        no_identity(x, name, (dim,))
        values, indices = along(x, dim=dim, keepdim=keepdim)
        return store_pair(named((rounded(values, want), indices)), out, exact=True)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"""{formula} of all elements; with `dim` (values, indices) along it; with a tensor
    the {formula} of each pair.

    Over all elements equal ones share the gradient; along a dim the one at the index gets it. NaN wins."""
    return extreme


max = _extreme("max", _max_all, _max_dim, "the largest")
min = _extreme("min", _min_all, _min_dim, "the smallest")


def _multi_extreme(name: str, kernel: str, primitive: Primitive, formula: str) -> Any:
    @numpy_names
    def extreme(input: Any, dim: Any = (), keepdim: bool = False, *, out: Any = None) -> Any:
        x, want = working(input, name)
        refuse(input, kernel, 3)
        dims = axes(dim, x._array.ndim)
        if dim == () or dim is None or dim == []:
            _need_dim(x, name)
        no_identity(x, name, dims)
        if out is not None and out._array.dtype != want.np:
            have, place = legacy_name(want), legacy_name(out._array.dtype)
            raise RuntimeError(
                f"Expected the dtype for input and out to match, but got {have} for input's dtype and {place} for "
                "out's dtype."
            )
        return rounded(primitive(x, dim=dims, keepdim=keepdim), want, out)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"{formula} over one or several dims (all without); equal ones share the gradient."
    return extreme


amax = _multi_extreme("amax", "max_values_cpu", _amax, "The largest")
amin = _multi_extreme("amin", "min_values_cpu", _amin, "The smallest")


@numpy_names
def aminmax(input: Any, *, dim: Any = None, keepdim: bool = False, out: Any = None) -> Any:
    """(min, max) of all elements or along `dim`; equal ones share the gradient."""
    x, want = working(input, "aminmax")
    refuse(input, "aminmax_cpu", 3)
    if dim is None:
        if not x._array.size:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
            )
        made = _aminmax(x, dim=None, keepdim=keepdim)
    else:
        dim = wrap_dim(dim, x._array.ndim)
        no_identity(x, "aminmax", (dim,), ":")
        made = _aminmax(x, dim=dim if x._array.ndim else None, keepdim=keepdim)
    return store_pair(return_types.aminmax(rounded(m, want) for m in made), out, exact=True)


def _arg(name: str, find: Any, formula: str) -> Any:
    primitive = Primitive(
        name,
        lambda self, *, dim, keepdim: np.asarray(
            find(self, dim if self.ndim else None, keepdims=keepdim), np.int64
        ),
    )

    @numpy_names
    def arg(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
        x, want = working(input, name)
        if want.category in (0, 3):
            raise RuntimeError(
                f"{name}(): does not support {'bool' if not want.category else 'complex'} input"
            )
        if dim is None:
            _need_dim(x, name, IndexError)
        else:
            dim = wrap_dim(dim, x._array.ndim)
            no_identity(x, name, (dim,))
        result = primitive(x, dim=dim, keepdim=keepdim)
        return result if out is None else store_out(out, result)

    arg.__name__ = arg.__qualname__ = name
    arg.__doc__ = f"""Where {formula} is, along `dim` or, without, in the flattened tensor.

    Of equal ones the first; NaN wins."""
    return arg


argmax = _arg("argmax", np.argmax, "the largest element")
argmin = _arg("argmin", np.argmin, "the smallest element")


# ---- products ----------------------------------------------------------------------------------------------
def _others(xp: Any, x: Any, dim: int) -> Any:
    """For each element the product of the others of its line, without dividing: zeros are no trouble."""
    from clew.ops.cumulative import cumprod_primitive as cumprod

    n = x.shape[dim]
    one = xp.ones_like(xp.take_along_axis(x, np.zeros((1,) * x.ndim, np.int64), dim)) if n else x
    lead = (slice(None),) * dim
    before = xp.call(cumprod, x[(*lead, slice(0, n - 1))], dim=dim)
    after = xp.flip(xp.call(cumprod, xp.flip(x[(*lead, slice(1, n))], dim), dim=dim), dim)
    return xp.concatenate([one, before], dim) * xp.concatenate([after, one], dim)


def _has_zero(self: Any) -> bool:
    array = self._array if isinstance(self, Variable) else self
    return not np.all(array)


def _prod_slope(xp: Any, g: Any, self: Any, result: Any) -> Any:
    """∂∏x/∂xᵢ = ∏ⱼ≠ᵢ xⱼ: the product over xᵢ unless there are zeros."""
    shape = tuple(self.shape)
    if not shape:
        return g
    if _has_zero(self):
        return g * _others(xp, self.reshape((-1,)), 0).reshape(shape)
    return g * result / self


def _prod_dim_slope(xp: Any, g: Any, self: Any, result: Any, dim: Any, keepdim: Any) -> Any:
    shape = tuple(self.shape)
    if not shape:
        return g
    g = restore(g, shape, dim, keepdim)
    if _has_zero(self):
        return g * _others(xp, self, dim)
    return g * restore(result, shape, dim, keepdim) / self


_LANES = 64


def _product(self: Any) -> Any:
    """∏ x: of many numbers in lanes side by side, where the processor need not wait for the last product."""
    many = self.size >= _LANES * _LANES and self.size % _LANES == 0
    return np.multiply.reduce(np.multiply.reduce(self.reshape(-1, _LANES)) if many else self, None)


_prod_all = Primitive("prod", _product, {"self": _prod_slope}, outputs=("result",))
_prod_dim = Primitive(
    "prod",
    lambda self, *, dim, keepdim: (
        np.multiply.reduce(self, dim, keepdims=keepdim) if self.ndim else np.array(self)
    ),
    {"self": _prod_dim_slope},
    outputs=("result",),
    node="ProdBackward1",
)


@numpy_names
def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """∏ x over all elements or along one `dim`. Integers and bools are multiplied as int64."""
    if altered and switches.autocast:
        (input,) = raised(input)
    check_tensor(input, "prod")
    if dtype is None:
        have = from_numpy(input._array.dtype)
        dtype = int64 if have.category < 2 else have
    x, want = working(input, "prod", dtype)
    if dim is None:
        return rounded(_prod_all(x), want, out)
    return rounded(_prod_dim(x, dim=wrap_dim(dim, x._array.ndim), keepdim=keepdim), want, out)
