"""`vmap`: a function of one example, over a batch of them.

The function runs once for each example and the results are stacked: the same numbers as a batched run, and any
function at all (branches on values, writes, hooks), at the cost of a call for each.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any

from clew.core.variable import Variable
from clew.ops.join import stack
from clew.pytree import broadcast_to_and_flatten, tree_flatten, tree_unflatten
from clew.random import default_generator

RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness "
    "flags on vmap or perform the randomness operation out of vmap"
)


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable[..., Any]:  # fmt: skip
    """The function over a batch. in_dims: where the inputs count examples (None: shared by all); out_dims: where the
    results are to. randomness: "error", "different" numbers for each example, or the "same".

    ValueError for inputs that fit neither each other nor `in_dims`.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )
    if chunk_size is not None and not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        values, dims, spec, size = _read(func, in_dims, args)
        generator = default_generator
        before = generator.get_state() if randomness != "different" else None
        rows = []
        for i in range(size):
            if randomness == "same" and i:
                generator.set_state(before)
            example = [v if d is None else v.select(d, i) for v, d in zip(values, dims, strict=True)]
            rows.append(func(*tree_unflatten(example, spec), **kwargs))
            if randomness == "error" and not i and not bool((generator.get_state() == before).all()):
                generator.set_state(before)
                raise RuntimeError(RANDOM)
        return _written(func, rows, out_dims)

    return wrapper


def _name(func: Any) -> str:
    return getattr(func, "__name__", repr(func))


def _read(func: Any, in_dims: Any, args: tuple[Any, ...]) -> tuple[list[Any], list[Any], Any, int]:
    """The inputs' leaves, their batch dimensions, their tree, and the size of the batch."""
    where = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{where}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            "function with no inputs. The latter is unsupported."
        )
    values, spec = tree_flatten(args)
    dims = broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{where}: in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    for i, (value, dim) in enumerate(zip(values, dims, strict=True)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{where}: Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(value, Variable):
            raise ValueError(
                f"{where}: Got in_dim={dim} for an input but the input is of type {type(value)}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -value.dim() <= dim < value.dim():
            raise ValueError(
                f"{where}: Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {value.dim()} so "
                f"expected in_dim to satisfy -{value.dim()} <= in_dim < {value.dim()}."
            )
        dims[i] = operator.index(dim) % value.dim()
    sizes = [v.shape[d] for v, d in zip(values, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError(f"{where}: at least one input must have a batch dimension")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped "
            "dimension"
        )
    return values, dims, spec, sizes[0]


def _written(func: Any, rows: list[Any], out_dims: Any) -> Any:
    """The examples' results, stacked where `out_dims` says."""
    if not rows:
        raise RuntimeError(f"vmap({_name(func)}): a batch of no examples")
    first, spec = tree_flatten(rows[0])
    dims = broadcast_to_and_flatten(out_dims, spec)
    if dims is None:
        if isinstance(out_dims, Iterable) and spec.kind is None and len(tuple(out_dims)) == 1:
            dims = list(out_dims)
        else:
            raise ValueError(
                f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
                f"`outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has structure {spec}."
            )
    leaves = [tree_flatten(row)[0] for row in rows]
    made = []
    for k, (value, dim) in enumerate(zip(first, dims, strict=True)):
        if dim is None:
            made.append(value)
            continue
        if not isinstance(value, Variable):
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type {type(value)}. Did you mean to "
                "set out_dims= to None for output?"
            )
        made.append(stack([row[k] for row in leaves], dim))
    return tree_unflatten(made, spec)


__all__ = ["vmap"]
