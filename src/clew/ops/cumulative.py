"""Running sums, products and extremes; differences, slopes and trapezoids."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import Variable
from clew.dtypes import from_numpy, int64
from clew.ops._arguments import check_tensor, numpy_names, wrap_dim, wrap_dims
from clew.ops._builders import binary
from clew.ops.create import ones
from clew.ops.join import cat, flip
from clew.ops.reduce import refuse, rounded, store_pair, unpick, working
from clew.ops.shape import unsqueeze

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz", "vander",
]  # fmt: skip


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


def _last_hit(hit: Any, dim: int) -> Any:
    """For each place along `dim` the last one up to there that is marked; the first of a line always is."""
    lines = np.ascontiguousarray(hit.swapaxes(dim, -1))
    marked = np.flatnonzero(lines)
    stretches = np.diff(marked, append=lines.size)
    places = (marked % max(lines.shape[-1], 1)).repeat(stretches)
    return np.ascontiguousarray(places.reshape(lines.shape).swapaxes(-1, dim))


def _running_extreme(name: str, accumulate: Any, formula: str) -> Any:
    named = getattr(return_types, name)

    def forward(self: Any, *, dim: int) -> Any:
        if not self.ndim:
            return np.array(self), np.int64(0)
        values = accumulate(self, dim)
        hit = self == values
        if self.dtype.kind not in "biu":
            hit |= np.isnan(self)
        return values, _last_hit(hit, dim)

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


def _gradient_dims(ndim: int, spacing: Any, dim: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The dims of `gradient` and the spacing along each, after PyTorch's checks."""
    several = isinstance(spacing, (list, tuple))
    if dim is None:
        if several and len(spacing) != ndim:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to "
                f"'self.dim() = {ndim}', since dim argument was not given, but got a list of length {len(spacing)}"
            )
        dims = tuple(range(ndim))
    else:
        dims = wrap_dims(dim, ndim, empty_is_all=False)
        if several and len(spacing) != len(dims):
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have "
                f"the same length, but got a spacing argument of length {len(spacing)} and a dim argument of length "
                f"{len(dims)}."
            )
    steps = list(spacing) if several else [1 if spacing is None else spacing] * len(dims)
    for step in steps:
        if several and isinstance(step, Variable) and step._array.ndim != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element with "
                f"{step._array.ndim} dimensions!"
            )
    return dims, steps


def _slopes(x: Any, dim: int, step: Any, edge_order: int) -> Any:
    """The estimated derivative along one dim: inside by the parabola through three neighbours, at the edges by the
    line or (edge_order 2) the parabola at the end."""
    from clew.ops import join

    n = x._array.shape[dim]

    def at(start: int, stop: int) -> Any:
        return x[(*(slice(None),) * dim, slice(start, stop))]

    if isinstance(step, Variable) and step._array.ndim:
        before, after = _gaps(step, x._array.ndim - dim - 1)
        both = before + after
        inside = (
            at(0, n - 2) * (-after / (before * both))
            + at(1, n - 1) * ((after - before) / (before * after))
            + at(2, n) * (before / (after * both))
        )
        first, last = diff(step)[0], diff(step)[-1]
    else:
        inside = (at(2, n) - at(0, n - 2)) / (2 * step)
        before = after = both = None
        first = last = step
    if edge_order == 1:
        edges = (at(1, 2) - at(0, 1)) / first, (at(n - 1, n) - at(n - 2, n - 1)) / last
    elif before is None:
        edges = (
            (-3 * at(0, 1) + 4 * at(1, 2) - at(2, 3)) / (2 * step),
            (3 * at(n - 1, n) - 4 * at(n - 2, n - 1) + at(n - 3, n - 2)) / (2 * step),
        )
    else:
        (p, q), (r, s) = (before[:1], after[:1]), (after[-1:], before[-1:])
        edges = (
            at(0, 1) * (-(2 * p + q) / (p * (p + q)))
            + at(1, 2) * ((p + q) / (p * q))
            + at(2, 3) * (-p / (q * (p + q))),
            at(n - 1, n) * ((2 * r + s) / (r * (r + s)))
            + at(n - 2, n - 1) * (-(r + s) / (r * s))
            + at(n - 3, n - 2) * (r / (s * (r + s))),
        )
    return join.cat((edges[0], inside, edges[1]), dim)


def _gaps(points: Any, behind: int) -> tuple[Any, Any]:
    """The gaps before and after each inner point, to broadcast with `behind` more dims."""
    gaps = diff(points).reshape((-1, *(1,) * behind))
    return gaps[:-1], gaps[1:]


def gradient(input: Any, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Any, ...]:
    """∂x/∂t along each of `dim` (all without), estimated from samples `spacing` apart; a tuple, one for each.

    spacing: a number, or for each dim a number or the coordinates, a 1-d tensor. Second-order central differences
    inside, differences of `edge_order` (1 or 2) at the ends.
    """
    x = check_tensor(input, "gradient")
    dims, steps = _gradient_dims(x._array.ndim, spacing, dim)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if x._array.dtype == np.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if not x._array.ndim:
        return ()
    for d in dims:
        if x._array.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple(_slopes(x, d, step, edge_order) for d, step in zip(dims, steps, strict=True))


# PyTorch's trapezoids multiply and divide by numbers as such, and their nodes are named for it.
_times = binary("mul", operator.mul, {"self": lambda xp, g, other: g * other}, node="MulBackward1")
_over = binary(
    "div", operator.truediv, {"self": lambda xp, g, other: g / other}, floats=True, node="DivBackward1"
)


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
    if x is None and y.shape[wrap_dim(dim, check_tensor(y, "trapezoid")._array.ndim)]:
        return _times(y.sum(dim) - (y.select(dim, 0) + y.select(dim, -1)) * 0.5, dx)
    areas, dim = _trapezoids(y, x, dx, dim, "trapezoid")
    return _over(areas.sum(dim), 2.0)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1.0, dim: int = -1) -> Any:
    """The running area under y along `dim`, sampled at `x` or every `dx`; one element fewer than y."""
    if x is None:
        areas, dim = _trapezoids(y, x, 1.0, dim, "cumulative_trapezoid")
        return cumsum(areas * (dx / 2.0), dim)
    areas, dim = _trapezoids(y, x, dx, dim, "cumulative_trapezoid")
    return _over(cumsum(areas, dim), 2.0)


def trapz(y: Any, x: Any = None, *, dx: Any = 1.0, dim: int = -1) -> Any:
    """The same as `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)


def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """The matrix of powers xᵢʲ, j = 0 … N-1, of a vector, singly or in batches: products of one more x from column to column."""
    check_tensor(x, "linalg.vander")
    x = x if x.ndim else unsqueeze(x, 0)
    columns = x.shape[-1] if N is None else N
    if columns < 2:
        raise RuntimeError("N must be greater than 1.")
    if x.dtype.category < 2:
        x = x.to(int64)
    repeated = unsqueeze(x, -1).expand(*x.shape, columns - 1)
    return cat([ones(*x.shape, 1, dtype=x.dtype), cumprod(repeated, -1)], -1)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The matrix of powers of a vector, the highest first (the lowest first if `increasing`)."""
    if check_tensor(x, "vander")._array.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    if n < 2:
        powers = ones(x.shape[0], n, dtype=int64 if x.dtype.category < 2 else x.dtype)
    else:
        powers = linalg_vander(x, N=n)
    return powers if increasing else flip(powers, (1,))
