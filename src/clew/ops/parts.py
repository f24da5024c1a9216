"""A tensor cut into several views: split, chunk, unbind.

One node has all the parts as its outputs, so a part may not be written in place (PyTorch's rule); `tensor_split` and the
`hsplit` family make a slice of each part instead.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from clew.core.inplace import mark_view
from clew.core.primitive import Primitive
from clew.core.variable import Variable
from clew.ops._arguments import check_tensor, no_signature, wrap_dim
from clew.ops._views import _select, _select_array, _slice, _slice_array
from clew.ops.shape import slice_

__all__ = [
    "chunk", "dsplit", "hsplit", "split", "split_with_sizes", "tensor_split", "unbind", "unsafe_chunk", "unsafe_split",
    "unsafe_split_with_sizes", "vsplit",
]  # fmt: skip


class _Parts:
    """Primitives with as many outputs as there are parts, made when first needed, by name and number."""

    made: ClassVar[dict[tuple[str, int], Primitive]] = {}


def _parts(name: str, node: str, count: int, vjp: Any, forward: Any, params: Sequence[str]) -> Primitive:
    found = _Parts.made.get((name, count))
    if found is None:
        found = _Parts.made[name, count] = Primitive(
            name,
            forward,
            {"self": vjp},
            args=("self",),
            params=params,
            outputs=tuple([f"part{i}" for i in range(count)]) if count != 1 else ("out",),
            node=node,
            jvp="linear",
            explain="a tensor cut into parts; their gradients are put together again",
        )
    return found


_PREFIXES = {"view": "{}", "copy": "{}_copy", "unsafe": "unsafe_{}"}
_NODES = {"view": "{}Backward0", "copy": "{}Backward0_copy", "unsafe": "Unsafe{}Backward0"}


def _names(name: str, kind: str) -> tuple[str, str]:
    """The names of the primitive that gives the parts as views, copies or views that nobody follows, and of its node."""
    return _PREFIXES[kind].format(name), _NODES[kind].format(name.title().replace("_", ""))


def unbind(input: Any, dim: int = 0, *, kind: str = "view") -> tuple[Any, ...]:
    """The entries along `dim`, which disappears, as separate tensors. Views."""
    array = check_tensor(input, "unbind").memory()
    if not array.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, array.ndim)
    count = array.shape[dim]
    if not count:
        return ()
    copied = kind == "copy"

    def forward(self: ndarray, *, dim: int) -> Any:
        made = [_select_array(self, dim=dim, index=i) for i in range(self.shape[dim])]
        made = [a.copy() for a in made] if copied else made
        return tuple(made) if len(made) > 1 else made[0]

    def vjp(xp: Any, g: Any, dim: int) -> Any:
        return xp.stack(g if isinstance(g, tuple) else (g,), dim)

    parts = _parts(*_names("unbind", kind), count, vjp, forward, ("dim",))(input, dim=dim)
    parts = parts if count > 1 else (parts,)
    if kind != "view":
        return parts
    return tuple(
        [mark_view(p, input, (_select, {"dim": dim, "index": i}), "multiple") for i, p in enumerate(parts)]
    )


def _cut(name: str, kind: str, input: Any, lengths: Sequence[int], dim: int, **extra: Any) -> tuple[Any, ...]:
    """Consecutive pieces of these lengths."""
    ends = np.cumsum([0, *lengths]).tolist()
    steps = [{"dim": dim, "start": a, "end": b, "step": 1} for a, b in pairwise(ends)]
    count = len(steps)
    if not count:
        return ()
    input.memory()
    copied = kind == "copy"

    def forward(self: ndarray, *, dim: int, lengths: Any, **extra: Any) -> Any:
        ends = np.cumsum([0, *lengths]).tolist()
        made = [_slice_array(self, dim=dim, start=a, end=b, step=1) for a, b in pairwise(ends)]
        made = [a.copy() for a in made] if copied else made
        return tuple(made) if len(made) > 1 else made[0]

    def vjp(xp: Any, g: Any, dim: int) -> Any:
        return xp.concatenate(g if isinstance(g, tuple) else (g,), dim)

    primitive = _parts(*_names(name, kind), count, vjp, forward, ("dim", "lengths", *extra))
    parts = primitive(input, dim=dim, lengths=tuple(lengths), **extra)
    parts = parts if count > 1 else (parts,)
    if kind != "view":
        return parts
    return tuple([mark_view(p, input, (_slice, s), "multiple") for p, s in zip(parts, steps, strict=True)])


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0, *, kind: str = "view") -> tuple[Any, ...]:
    """Pieces of `split_size` along `dim` (the last may be shorter), or pieces of the given sizes. Views."""
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim, kind=kind)
    size = split_size_or_sections
    shape = check_tensor(tensor, "split")._array.shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    dim = wrap_dim(dim, len(shape))
    n = shape[dim]
    if not size and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    lengths = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    return _cut("split", kind, tensor, lengths, dim, split_size=size)


def split_tensor(self: Any, split_size: Any, dim: int = 0) -> tuple[Any, ...]:
    """The method `split`, whose argument is named so."""
    return split(self, split_size, dim)


def split_with_sizes(input: Any, split_sizes: Any, dim: int = 0, *, kind: str = "view") -> tuple[Any, ...]:
    """Consecutive pieces of the given sizes along `dim`. Views."""
    shape = check_tensor(input, "split_with_sizes")._array.shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, len(shape))
    lengths = list(split_sizes)
    if any(n < 0 for n in lengths):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={lengths}"
        )
    if builtins.sum(lengths) != shape[dim]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[dim]} (input tensor's size at dimension {dim}), but "
            f"got split_sizes={lengths}"
        )
    return _cut("split_with_sizes", kind, input, lengths, dim, split_sizes=tuple(lengths))


def chunk(input: Any, chunks: int, dim: int = 0, *, kind: str = "view") -> tuple[Any, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be shorter). Views."""
    shape = check_tensor(input, "chunk")._array.shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = shape[wrap_dim(dim, len(shape))]
    if not n:
        return split_with_sizes(input, [0] * chunks, dim, kind=kind)
    return split(input, -(-n // chunks), dim, kind=kind)


def _unsafe(name: str, cut: Any) -> Any:
    """The form whose parts autograd does not follow as views, so that they may be written in place."""

    def op(input: Any, size: Any, dim: int = 0) -> tuple[Any, ...]:
        return cut(input, size, dim, kind="unsafe")

    op.__name__ = op.__qualname__ = name
    op.__doc__ = (
        f"`{cut.__name__}`, but autograd does not know that the parts share memory: writing one is not seen."
    )
    return op


unsafe_chunk = _unsafe("unsafe_chunk", chunk)
unsafe_split = _unsafe("unsafe_split", split)
unsafe_split_with_sizes = _unsafe("unsafe_split_with_sizes", split_with_sizes)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Pieces along `dim` between the given indices, or a number of pieces as equal as possible. Views."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim = wrap_dim(dim, len(shape))
    n = shape[dim]
    if isinstance(indices_or_sections, Variable):
        indices_or_sections = indices_or_sections._array.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        small, more = divmod(n, count)
        ends = [0]
        for i in range(count):
            ends.append(ends[-1] + small + (i < more))
    else:
        ends = [0, *indices_or_sections, n]
    pieces = [slice(a, b).indices(n)[:2] for a, b in pairwise(ends)]
    return tuple([slice_(input, dim, a, max(a, b)) for a, b in pieces])


def _split_along(name: str, least: int, dim: int) -> Any:
    def op(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        ndim = input._array.ndim
        if ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {ndim} dimensions!"
            )
        along = 0 if ndim == 1 else dim
        if isinstance(indices_or_sections, str):
            raise no_signature(name, input, indices_or_sections)
        if isinstance(indices_or_sections, int):
            n = input._array.shape[along]
            if indices_or_sections == 0 or n % indices_or_sections:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {along}, but the size of the dimension {n} is not "
                    f"divisible by the split_size {indices_or_sections}!"
                )
        return tensor_split(input, indices_or_sections, along)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"`tensor_split` along dimension {dim}. Views."
    return op


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 2, 0)
dsplit = _split_along("dsplit", 3, 2)
