"""Running sums, products and extremes; differences and trapezoids."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import Variable
from clew.dtypes import from_numpy, int64
from clew.ops._arguments import check_tensor, numpy_names, wrap_dim
from clew.ops.reduce import refuse, rounded, store_pair, unpick, working

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "trapezoid", "trapz"]


# ---- sums and products -------------------------------------------------------------------------------------
def _from_behind(xp: Any, g: Any, dim: int) -> Any:
    """Running sums from the end."""
    return xp.flip(xp.cumsum(xp.flip(g, dim), dim), dim) if g.shape else g


cumsum_primitive = Primitive(
    "cumsum",
    lambda self, *, dim: np.cumsum(self, dim) if self.ndim else np.array(self),
    {"self": lambda xp, g, dim: _from_behind(xp, g, dim)},
    jvp="linear",
    explain="a running sum: each element gets the gradients of all later sums",
)


def _cumprod_slope(xp: Any, g: Any, self: Any, result: Any, dim: Any) -> Any:
    """∑ᵢ≥ₖ gᵢ yᵢ / xₖ; where an x is 0, worked out without dividing, one position after the other."""
    if not self.shape:
        return g
    if np.all(self._array if isinstance(self, Variable) else self):
        return _from_behind(xp, g * result, dim) / self
    lead = (slice(None),) * dim
    n = self.shape[dim]
    parts = []
    for k in range(n):
        here, rest = (*lead, slice(k, k + 1)), (*lead, slice(k + 1, n))
        slope = g[here]
        if k + 1 < n:
            products = xp.call(cumprod_primitive, self[rest], dim=dim)
            slope = slope + xp.sum(g[rest] * products, dim, True)
        parts.append(slope if k == 0 else slope * result[(*lead, slice(k - 1, k))])
    return xp.concatenate(parts, dim)


cumprod_primitive = Primitive(
    "cumprod",
    lambda self, *, dim: np.cumprod(self, dim) if self.ndim else np.array(self),
    {"self": _cumprod_slope},
    outputs=("result",),
)


def _running(name: str, primitive: Primitive, formula: str) -> Any:
    @numpy_names
    def running(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
        check_tensor(input, name)
        if dtype is None:
            have = from_numpy(input._array.dtype)
            dtype = int64 if have.category < 2 else have
        x, want = working(input, name, dtype)
        return rounded(primitive(x, dim=wrap_dim(dim, x._array.ndim)), want, out)

    running.__name__ = running.__qualname__ = name
    running.__doc__ = f"yᵢ = {formula} along `dim`; the same shape. Integers and bools are taken as int64."
    return running


cumsum = _running("cumsum", cumsum_primitive, "∑ⱼ≤ᵢ xⱼ")
cumprod = _running("cumprod", cumprod_primitive, "∏ⱼ≤ᵢ xⱼ")


# ---- extremes ----------------------------------------------------------------------------------------------
def _back_to_the_extreme(xp: Any, g: Any, indices: Any, dim: Any, self_shape: Any) -> Any:
    return unpick(xp, g[0], indices, dim, self_shape, True)


def _running_extreme(name: str, accumulate: Any, formula: str) -> Any:
    named = getattr(return_types, name)

    def forward(self: Any, *, dim: int) -> Any:
        if not self.ndim:
            return np.array(self), np.int64(0)
        values = accumulate(self, dim)
        hit = self == values
        if self.dtype.kind not in "biu":
            hit |= np.isnan(self)
        shape = [1] * self.ndim
        shape[dim] = -1
        at = np.where(hit, np.arange(self.shape[dim]).reshape(shape), 0)
        return values, np.maximum.accumulate(at, dim)

    primitive = Primitive(
        name, forward, {"self": _back_to_the_extreme},
        outputs=("values", "indices"),
    )  # fmt: skip

    @numpy_names
    def running(input: Any, dim: int, *, out: Any = None) -> Any:
        x, want = working(input, name)
        refuse(input, f"{name}_cpu", 3)
        values, indices = primitive(x, dim=wrap_dim(dim, x._array.ndim))
        return store_pair(named((rounded(values, want), indices)), out)

    running.__name__ = running.__qualname__ = name
    running.__doc__ = (
        f"(values, indices): the {formula} so far along `dim` and where it stood, of equal ones the latest."
    )
    return running


cummax = _running_extreme("cummax", np.maximum.accumulate, "largest")
cummin = _running_extreme("cummin", np.minimum.accumulate, "smallest")


# ---- differences and areas ---------------------------------------------------------------------------------
def _slices(ndim: int, dim: int) -> tuple[Any, Any]:
    """All but the first, and all but the last, along `dim`."""
    lead = (slice(None),) * dim
    return (*lead, slice(1, None)), (*lead, slice(None, -1))


@numpy_names
def diff(
    input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *, out: Any = None
) -> Any:
    """xᵢ₊₁ − xᵢ along `dim`, n times over; of bools whether they differ."""
    from clew.ops import compare, join

    ndim = check_tensor(input, "diff")._array.ndim
    if not ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = wrap_dim(dim, ndim)
    parts = [t for t in (prepend, input, append) if t is not None]
    result = join.cat(parts, dim) if len(parts) > 1 else input
    later, earlier = _slices(ndim, dim)
    bools = result._array.dtype.kind == "b"
    for _ in range(min(n, result._array.shape[dim])):
        result = (
            compare.logical_xor(result[later], result[earlier]) if bools else result[later] - result[earlier]
        )
    if result is input:
        result = input.clone()
    return result if out is None else store_out(out, result)


def _trapezoids(y: Any, x: Any, dx: Any, dim: int, name: str) -> tuple[Any, int]:
    """Twice the areas of the trapezoids between neighbours along `dim`, and the dim."""
    ndim = check_tensor(y, name)._array.ndim
    dim = wrap_dim(dim, ndim)
    later, earlier = _slices(ndim, dim)
    both = y[later] + y[earlier]
    if x is None:
        return both * dx, dim
    if x._array.ndim == 1:
        if x._array.shape[0] != y._array.shape[dim]:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        return both * diff(x).reshape([-1 if i == dim else 1 for i in range(ndim)]), dim
    steps = diff(x, dim=dim - ndim)
    return both * steps, dim


def trapezoid(y: Any, x: Any = None, *, dx: Any = 1.0, dim: int = -1) -> Any:
    """∑ (xᵢ₊₁ − xᵢ)(yᵢ + yᵢ₊₁) / 2 along `dim`: the area under y, sampled at `x` or every `dx`."""
    areas, dim = _trapezoids(y, x, dx, dim, "trapezoid")
    return areas.sum(dim) / 2.0


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1.0, dim: int = -1) -> Any:
    """The running area under y along `dim`, sampled at `x` or every `dx`; one element fewer than y."""
    areas, dim = _trapezoids(y, x, dx, dim, "cumulative_trapezoid")
    return cumsum(areas, dim) / 2.0


def trapz(y: Any, x: Any = None, *, dx: Any = 1.0, dim: int = -1) -> Any:
    """The same as `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)
