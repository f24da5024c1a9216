"""Copies instead of views: of what a view shows, and of a tensor with a part replaced or filled.

`expand_copy(x, size)` is `x.expand(size).clone()` in one operation, and so on for every view: the derivative is the view's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.ops import complex as complex_
from clew.ops import parts, strides
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor, wrap_dim
from clew.ops._builders import convert
from clew.ops._views import _diagonal, _select, _slice
from clew.ops.getitem import as_number

__all__ = [
    "alias_copy", "as_strided_copy", "diagonal_copy", "diagonal_scatter", "expand_copy", "fill", "narrow_copy",
    "permute_copy", "select_copy", "select_scatter", "slice_copy", "slice_scatter", "split_copy",
    "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy", "unsqueeze_copy",
    "view_as_complex_copy", "view_as_real_copy", "view_copy",
]  # fmt: skip


# ---- what a view shows -------------------------------------------------------------------------------------------------
_copying: dict[tuple[Primitive, str], Primitive] = {}


def _copy_of(view: Primitive, node: str) -> Primitive:
    """The primitive that copies what a view's primitive shows; made when first needed."""
    found = _copying.get((view, node))
    if found is None:
        formulas: Any = dict(zip(view.inputs, view.formulas, strict=True))
        found = _copying[view, node] = Primitive(
            f"{view.name}_copy",
            lambda self, **params: view.forward(np.asarray(self), **params).copy(),
            formulas,
            args=view.inputs,
            params=view.params,
            node=node,
            jvp="linear",
            holomorphic=view.holomorphic,
            explain=f"a copy: {view.explain}",
        )
    return found


def _copied(name: str, look: Callable[..., Any], shows: str, node: str = "") -> Any:
    """The function that copies what the view `look` of a tensor shows."""

    def op(input: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        array = check_tensor(input, name)._array
        seen = look(wrap(array), *args, **kwargs)
        if seen._view is None:  # nothing is recorded: inference mode, another dtype, the tensor itself
            result = wrap(np.array(seen._array, order="C"))
        else:
            view, params = seen._view.steps[-1]
            result = _copy_of(view, node or f"{view.node_class.__name__}_copy")(input, **params)
        return result if out is None else store_out(out, result, exact=True)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"{shows}. A copy."
    return op


def _slice_of(
    input: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """The view of `start:end:step` along `dim`."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    dim = wrap_dim(dim, len(shape))
    first, last, step = slice(start, end, step).indices(shape[dim])
    return shapes.slice_(input, dim, first, max(first, last), step)


def _viewed(input: Any, *size: Any, **named: Any) -> Any:
    """The view of another shape, of a tensor in C order where its own order has none."""
    try:
        return shapes.view(input, *size, **named)
    except RuntimeError as error:
        if str(error) != shapes.NOT_VIEWABLE:
            raise
        return shapes.view(shapes.contiguous(input), *size, **named)


def _narrowed(input: Any, dim: int, start: Any, length: int) -> Any:
    if 0 < input._array.ndim <= dim:
        raise RuntimeError(
            "Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false."
        )
    if length < 0 and input._array.ndim:
        n = input._array.shape[dim]
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return shapes.narrow(input, dim, start, length)


alias_copy = _copied("alias_copy", shapes.alias, "The tensor itself")
as_strided_copy = _copied("as_strided_copy", strides.as_strided, "The memory seen by strides: `as_strided`")
diagonal_copy = _copied("diagonal_copy", shapes.diagonal, "A diagonal: `diagonal`")
expand_copy = _copied("expand_copy", shapes.expand, "Dimensions of size 1 repeated: `expand`")
narrow_copy = _copied(
    "narrow_copy", _narrowed, "`length` entries along `dim` from `start` on: `narrow`", "NarrowCopyBackward0"
)
permute_copy = _copied("permute_copy", shapes.permute, "The dimensions in another order: `permute`")
select_copy = _copied("select_copy", shapes.select, "One entry along `dim`: `select`")
slice_copy = _copied("slice_copy", _slice_of, "Entries `start:end:step` along `dim`")
squeeze_copy = _copied("squeeze_copy", shapes.squeeze, "Dimensions of size 1 dropped: `squeeze`")
t_copy = _copied("t_copy", shapes.t, "A matrix transposed: `t`")
transpose_copy = _copied("transpose_copy", shapes.transpose, "Two dimensions swapped: `transpose`")
unfold_copy = _copied("unfold_copy", shapes.unfold, "Windows along a dimension: `unfold`")
unsqueeze_copy = _copied("unsqueeze_copy", shapes.unsqueeze, "A dimension of size 1 put in: `unsqueeze`")
view_copy = _copied("view_copy", _viewed, "Another shape (or type): `view`")
view_as_complex_copy = _copied("view_as_complex_copy", complex_.view_as_complex, "Pairs as complex numbers: `view_as_complex`")  # fmt: skip
view_as_real_copy = _copied("view_as_real_copy", complex_.view_as_real, "Complex numbers as pairs: `view_as_real`")  # fmt: skip


def _copied_parts(name: str, cut: Callable[..., Any], shows: str) -> Any:
    """The function that copies the parts that `cut` gives; into the tensors of `out`, if given."""

    def op(input: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        made = cut(check_tensor(input, name), *args, kind="copy", **kwargs)
        if out is None:
            return made
        for place, part in zip(out, made, strict=True):
            store_out(place, part, exact=True)
        return None

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"{shows}. Copies."
    return op


split_copy = _copied_parts("split_copy", parts.split, "Pieces of a size along `dim`: `split`")
split_with_sizes_copy = _copied_parts(
    "split_with_sizes_copy",
    parts.split_with_sizes,
    "Pieces of the given sizes along `dim`: `split_with_sizes`",
)
unbind_copy = _copied_parts("unbind_copy", parts.unbind, "The entries along `dim`: `unbind`")


# ---- filled --------------------------------------------------------------------------------------------------------------
_fill = Primitive(
    "fill",
    lambda self, value: np.full(self.shape, value, self.dtype),
    {"self": lambda xp, g: xp.zeros_like(g), "value": lambda xp, g: xp.sum_to(g, ())},
    node="FillBackward1",
    jvp="linear",
    explain="one number everywhere, to which the gradients go",
)
_fill_number = Primitive(
    "fill_number",
    lambda self, *, value: np.full(self.shape, value, self.dtype),
    {"self": lambda xp, g: xp.zeros_like(g)},
    node="FillBackward0",
    jvp="linear",
    explain="one number everywhere: no gradient goes on",
)


def fill(input: Any, value: Any) -> Any:
    """A tensor of `input`'s shape and type with `value`, a number or a 0-d tensor, everywhere."""
    dtype = check_tensor(input, "fill")._array.dtype
    if not isinstance(value, Variable):
        return _fill_number(input, value=as_number(value, dtype))
    if value._array.ndim:
        raise RuntimeError(
            f"fill only supports 0-dimension value tensor but got tensor with {value._array.ndim} dimensions."
        )
    return _fill(input, convert(value, dtype))


# ---- a part replaced, out of place -----------------------------------------------------------------------------------------
def _scatter_primitive(name: str, part: Primitive, node: str) -> Primitive:
    """out = self with the part that `part` looks at replaced by `src`."""

    def forward(self: ndarray, src: ndarray, *, where: dict[str, Any]) -> ndarray:
        made = np.array(self)
        part.forward(made, **where)[...] = src
        return made

    def without(xp: Any, g: Any, where: dict[str, Any]) -> Any:
        return xp.call(
            primitive,
            g,
            xp.constant(np.zeros(part.forward(np.empty(g.shape, np.bool), **where).shape, np.bool)),
            where=where,
        )

    primitive = Primitive(
        name,
        forward,
        {"self": without, "src": lambda xp, g, where: xp.call(part, g, **where)},
        node=node,
        jvp="linear",
        explain="a copy with a part replaced: that part's gradient goes to what replaced it",
    )
    return primitive


_select_scatter = _scatter_primitive("select_scatter", _select, "SelectScatterBackward0")
_slice_scatter = _scatter_primitive("slice_scatter", _slice, "SliceScatterBackward0")
_diagonal_scatter = _scatter_primitive("diagonal_scatter", _diagonal, "DiagonalScatterBackward0")


def _replaced(primitive: Primitive, part: Primitive, input: Any, src: Any, where: dict[str, Any]) -> Any:
    shape = part.forward(np.empty(input._array.shape, np.bool), **where).shape
    if src._array.shape != shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src._array.shape)}, slice size = {list(shape)}"
        )
    return primitive(input, convert(src, input._array.dtype), where=where)


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """A copy of `input` with `src` as entry `index` along `dim`."""
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._array.shape)} at dimension {dim}"
        )
    return _replaced(_select_scatter, _select, input, src, {"dim": dim, "index": index % n})


def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *, out: Any = None
) -> Any:  # fmt: skip
    """A copy of `input` with `src` in the place of `start:end:step` along `dim`."""
    dim = wrap_dim(dim, input._array.ndim)
    a, b, c = slice(start, end, step).indices(input._array.shape[dim])
    where = {"dim": dim, "start": a, "end": max(a, b), "step": c}
    result = _replaced(_slice_scatter, _slice, input, src, where)
    return result if out is None else store_out(out, result, exact=True)


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy of `input` with `src` along a diagonal."""
    ndim = input._array.ndim
    where = {"offset": offset, "dim1": wrap_dim(dim1, ndim), "dim2": wrap_dim(dim2, ndim)}
    return _replaced(_diagonal_scatter, _diagonal, input, src, where)
