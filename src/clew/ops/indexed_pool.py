"""Pooling that tells where each value came from: adaptive and fractional maxima, and the way back, unpooling.

A window's maximum is an entry of the flattened image; the gradient goes back to that entry. Fractional pooling (Graham,
"Fractional max-pooling", 2014) places windows at random steps whose mean is not a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor
from clew.ops._windows import Sizes
from clew.ops.pool import _check_rank, spatial_sizes
from clew.ops.sampling import rand

__all__ = ["adaptive_max_pool1d"]


# ---- entries by their place in the flattened image -----------------------------------------------------------------------
def _flattened(x: ndarray, rank: int) -> ndarray:
    return x.reshape((math.prod(x.shape[: x.ndim - rank]), math.prod(x.shape[x.ndim - rank :])))


def _scatter_array(self: ndarray, index: ndarray, *, size: Sizes, add: bool) -> ndarray:
    """Values at positions of the flattened size; `add`: values at the same position add up (else the last counts)."""
    rank = len(size)
    values, at = _flattened(self, rank), _flattened(index, rank)
    rows = np.arange(len(values))[:, None]
    made = np.zeros((len(values), math.prod(size)), self.dtype)
    if add:
        np.add.at(made, (rows, at), values)
    else:
        made[rows, at] = values
    return made.reshape((*self.shape[: self.ndim - rank], *size))


def _gather_array(self: ndarray, index: ndarray, *, rank: int) -> ndarray:
    return np.take_along_axis(_flattened(self, rank), _flattened(index, rank), 1).reshape(index.shape)


_gather_at = Primitive(
    "pool_gather",
    _gather_array,
    {"self": lambda xp, g, self_shape, index, rank: xp.call(
        _scatter_at, g, index, size=self_shape[len(self_shape) - rank :], add=True
    )},
    jvp="linear",
)  # fmt: skip


def _scatter_primitive(node: str) -> Primitive:
    return Primitive(
        "pool_scatter",
        _scatter_array,
        {"self": lambda xp, g, index, size: xp.call(_gather_at, g, index, rank=len(size))},
        node=node,
        jvp="linear",
        explain="values put where the maxima stood",
    )


_scatter_at: Primitive = _scatter_primitive("PoolScatterBackward0")
_unpools = {
    1: _scatter_primitive("SqueezeBackward1"),
    2: _scatter_primitive("MaxUnpool2DBackward0"),
    3: _scatter_primitive("MaxUnpool3DBackward0"),
}


def _max_unpool(rank: int) -> Callable[..., Any]:
    name = f"max_unpool{rank}d"

    def unpool(
        input: Any,
        indices: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Any:
        check_tensor(input, name)
        check_tensor(indices, name, "indices", 2)
        kernel = spatial_sizes(kernel_size, rank, name, "kernel_size")
        steps = spatial_sizes(stride, rank, name, "stride") if stride is not None else kernel
        border = spatial_sizes(padding, rank, name, "padding")
        size = _unpooled_size(input._array.shape[-rank:], kernel, steps, border, output_size)
        if not all(steps):
            raise RuntimeError(f"strides should be greater than zero, but got stride: {list(steps)}")
        _check_unpool(input._array, indices._array, rank, size)
        return _unpools[rank](input, indices, size=size, add=False)

    unpool.__name__ = unpool.__qualname__ = name
    unpool.__doc__ = (
        f"The values at the positions that `max_pool{rank}d(…, return_indices=True)` gave, zeros elsewhere."
    )
    return unpool


def _unpooled_size(have: Sizes, kernel: Sizes, steps: Sizes, border: Sizes, output_size: Any) -> Sizes:
    """The size before pooling: the smallest, or the one given. ValueError where that cannot be."""
    numbers = zip(have, kernel, steps, border, strict=False)
    size = tuple([(n - 1) * s - 2 * p + k for n, k, s, p in numbers])
    if output_size is None:
        return size
    wanted = output_size[2:] if len(output_size) == len(size) + 2 else output_size
    if len(wanted) != len(size):
        raise ValueError(
            f"output_size should be a sequence containing {len(size)} or {len(size) + 2} elements, but it has a length of "
            f"'{len(wanted)}'"
        )
    for d, (n, least, s) in enumerate(zip(wanted, size, steps, strict=True)):
        if not least - s < n < least + s:
            raise ValueError(
                f'invalid output_size "{wanted}" (dim {d} must be between {least - s} and {least + s})'
            )
    return tuple(wanted)


def _check_unpool(x: ndarray, index: ndarray, rank: int, size: Sizes) -> None:
    """RuntimeError where values and positions do not belong together."""
    unit = [1] if rank == 1 else []  # PyTorch unpools one dimension as two
    shown = max(rank, 2)
    if index.dtype != np.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {legacy_name(index.dtype)}")
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Input to max_unpooling{shown}d should be a {shown + 1}d or {shown + 2}d Tensor, but got a tensor with "
            f"{x.ndim + len(unit)} dimensions."
        )
    if index.shape != x.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({[*x.shape, *unit]}) but got indices tensor "
            f"with shape: {[*index.shape, *unit]}"
        )
    if not all(x.shape[1:]):
        raise RuntimeError(
            f"max_unpooling{shown}d_forward_out_cpu(): Expected input to have non-zero size for non-batch dimensions, but "
            f"got {[*x.shape, *unit]} with dimension {x.shape.index(0, 1)} being empty."
        )
    if x.dtype.kind not in "fV":
        raise NotImplementedError(f"\"max_unpool{shown}d\" not implemented for '{legacy_name(x.dtype)}'")
    rows = _flattened(index, rank)
    wrong = (rows < 0) | (rows >= math.prod(size))
    if wrong.any():
        row = np.flatnonzero(wrong.any(1))[-1]
        volumes = "x".join(map(str, (*size, *unit)))
        raise RuntimeError(
            f"Found an invalid max index: {rows[row][wrong[row]][-1]} (output volumes are of size {volumes})"
        )


max_unpool1d, max_unpool2d, max_unpool3d = map(_max_unpool, (1, 2, 3))


# ---- maximum of a given number of windows ----------------------------------------------------------------------------------
def bins(n: int, out: int) -> tuple[ndarray, ndarray]:
    """Begin and end of the windows of adaptive pooling: window i goes from ⌊i·n/out⌋ to ⌈(i+1)·n/out⌉."""
    i = np.arange(out)
    return i * n // out, -((i + 1) * -n // out)


@lru_cache(maxsize=16)
def _members(size: Sizes, out: Sizes) -> ndarray:
    """For every window the entries of the flattened input in it, in order: (windows, most entries of a window). A
    shorter window has its last ones again."""
    places: Any = np.zeros((1, 1), np.int64)
    for n, o in zip(size, out, strict=True):
        begin, end = bins(n, o)
        longest = np.arange((end - begin).max(initial=0))
        line = np.minimum(begin[:, None] + longest, end[:, None] - 1)
        places = (places[:, None, :, None] * n + line[:, None, :]).reshape(len(places) * o, -1)
    return np.ascontiguousarray(places)


def _adaptive_max_arrays(self: ndarray, *, out: Sizes) -> tuple[ndarray, ndarray]:
    rank = len(out)
    flat, places = _flattened(self, rank), _members(self.shape[self.ndim - rank :], out)
    shape = (*self.shape[: self.ndim - rank], *out)
    if not math.prod(shape):
        return np.empty(shape, self.dtype), np.empty(shape, np.int64)
    values = flat.take(places, 1)
    best = np.maximum.reduce(values, 2)
    pick = values.argmax(2)
    missing = np.isnan(best)
    if missing.any():  # the last NaN of a window counts
        last = values.shape[2] - 1 - np.isnan(values[..., ::-1]).argmax(2)
        pick = np.where(missing, last, pick)
    index = places[np.arange(len(places)), pick]
    return best.reshape(shape), index.reshape(shape)


_adaptive_maxes = {
    rank: Primitive(
        f"adaptive_max_pool{rank}d",
        _adaptive_max_arrays,
        {"self": lambda xp, g, self_shape, indices, out: xp.call(
            _scatter_at, g[0], indices, size=self_shape[len(self_shape) - len(out) :], add=True
        )},
        outputs=("result", "indices"),
        node="SqueezeBackward1" if rank == 1 else f"AdaptiveMaxPool{rank}DBackward0",
        explain="the maximum of every window, to which its gradient goes",
    )
    for rank in (1, 2, 3)
}  # fmt: skip


def adaptive_size(function: str, input: Any, rank: int, output_size: Any) -> Sizes:
    """The output size of adaptive pooling; None keeps the input's. PyTorch's exceptions where it cannot be."""
    shape = check_tensor(input, function)._array.shape
    most = "max" in function
    if rank == 1:
        out = _line_size(function, output_size)
        _check_rank(function, input, rank)
    else:
        if not isinstance(output_size, int) and output_size is not None and len(shape) <= len(output_size):
            raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")
        alike = isinstance(output_size, int) or output_size is None
        given = (output_size,) * rank if alike else tuple(output_size)
        if len(given) != rank:
            rule = "(): internal error: output_size.size() must be" if most else ": output_size must be"
            raise RuntimeError(f"{function}{rule} {rank}")
        if len(shape) not in (rank + 1, rank + 2):
            raise RuntimeError(
                f"{function}(): Expected {rank + 1}D or {rank + 2}D tensor, but got{':' if most else ''} {list(shape)}"
            )
        out = tuple([n if o is None else int(o) for o, n in zip(given, shape[-rank:], strict=True)])
    _check_adaptive(function, input._array, rank, out)
    return out


def _line_size(function: str, output_size: Any) -> Sizes:
    if output_size is None:
        raise TypeError(
            f"{function}(): argument 'output_size' (position 2) must be tuple of ints, not NoneType"
        )
    given = (output_size,) if isinstance(output_size, int) else tuple(output_size)
    if len(given) != 1:
        raise RuntimeError(f"{function}() argument 'output_size' should contain one int (got {len(given)})")
    return given


def _check_adaptive(function: str, x: ndarray, rank: int, out: Sizes) -> None:
    """RuntimeError for negative sizes and for windows of nothing; NotImplementedError for types without a kernel."""
    average = "avg" in function
    seen = function.replace("1d", "2d")  # PyTorch pools one dimension as two
    unit = (1,) if rank == 1 else ()
    sizes = (*unit, *out)
    if min(out) < 0:
        if not average:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {next(n for n in sizes if n < 0)}: "
                f"{[*x.shape[: x.ndim - rank], *sizes]}"
            )
        texts = [str(n) for n in sizes]
        received = ", ".join(texts) if len(texts) == 2 else f"{texts[0]}, {','.join(texts[1:])}"
        raise RuntimeError(
            f"{seen}: elements of output_size must be greater than or equal to 0 but received {{{received}}}"
        )
    shown = [*x.shape[: x.ndim - 1], *unit, x.shape[-1]] if average else list(x.shape)
    first = len(shown) - 2 if average and rank < 3 else len(shown) - rank - 1 or 1
    if not all(shown[first:]):
        raise RuntimeError(
            f"{seen if average else function}(): Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {shown} with dimension {shown.index(0, first)} being empty"
        )
    if x.dtype.kind not in "fV":
        if average and rank > 1 and all(n == 1 for n in out):
            return  # a mean, which has its own exceptions
        kernel = seen + "_cpu" * (rank == 3)
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(x.dtype)}'")


def _adaptive_max_pool(rank: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    name = f"adaptive_max_pool{rank}d"

    def pool_with_indices(input: Any, output_size: Any, return_indices: bool = True) -> Any:
        return _adaptive_maxes[rank](input, out=adaptive_size(name, input, rank, output_size))

    def pool(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        made = pool_with_indices(input, output_size)
        return made if return_indices else made[0]

    pool.__name__ = pool.__qualname__ = name
    pool_with_indices.__name__ = pool_with_indices.__qualname__ = f"{name}_with_indices"
    pool.__doc__ = f"The maximum of windows that share out the last {rank} dimension(s) into `output_size`."
    pool_with_indices.__doc__ = f"`{name}`, and where in the flattened size each maximum stands."
    return pool, pool_with_indices


(adaptive_max_pool1d, _), (adaptive_max_pool2d, _), (adaptive_max_pool3d, _) = _adaptive = [
    _adaptive_max_pool(rank) for rank in (1, 2, 3)
]
adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices = [
    pair[1] for pair in _adaptive
]


# ---- maximum of windows at random steps ------------------------------------------------------------------------------------
def _starts(sample: ndarray, n: int, out: int, kernel: int) -> ndarray:
    """For every channel where its windows begin: ⌊(i + u) α⌋ − ⌊u α⌋ with α = (n − kernel) / (out − 1), the last at the
    end; u is the channel's random number."""
    made = np.full((*sample.shape, out), n - kernel, np.int64)
    if out > 1:
        step = sample.dtype.type(n - kernel) / sample.dtype.type(out - 1)
        i = np.arange(out - 1, dtype=sample.dtype)
        made[..., :-1] = ((i + sample[..., None]) * step).astype(np.int64) - (sample * step).astype(np.int64)[
            ..., None
        ]
    return made


def _fractional_arrays(
    self: ndarray, samples: ndarray, *, kernel: Sizes, out: Sizes
) -> tuple[ndarray, ndarray]:
    rank = len(out)
    size = self.shape[self.ndim - rank :]
    lead = self.shape[: self.ndim - rank]
    columns = (1, 0) if rank == 2 else (0, 1, 2)  # which random number serves which dimension
    rows = math.prod(lead)
    starts = [
        _starts(samples[..., c], *numbers).reshape((rows, *(1,) * d, numbers[1], *(1,) * (rank - 1 - d)))
        for d, (c, numbers) in enumerate(zip(columns, zip(size, out, kernel, strict=True), strict=True))
    ]
    flat = _flattened(self, rank)
    count = math.prod(out)
    best: Any = None
    index: Any = None
    for place in np.ndindex(*kernel):
        at: Any = 0
        for start, p, n in zip(starts, place, size, strict=True):
            at = at * n + start + p
        here = np.broadcast_to(at, (rows, *out)).reshape(rows, count)
        value = np.take_along_axis(flat, here, 1)
        if best is None:
            best, index = value, here.copy()
        else:
            better = (value > best) | np.isnan(value)
            np.copyto(index, here, where=better)
            np.copyto(best, value, where=better)
    shape = (*lead, *out)
    return best.reshape(shape), index.reshape(shape)


_fractions = {
    rank: Primitive(
        f"fractional_max_pool{rank}d",
        _fractional_arrays,
        {"self": lambda xp, g, self_shape, indices, out: xp.call(
            _scatter_at, g[0], indices, size=self_shape[len(self_shape) - len(out) :], add=True
        )},
        outputs=("result", "indices"),
        node=f"FractionalMaxPool{rank}DBackward0",
        explain="the maximum of windows at random steps, to which its gradient goes",
    )
    for rank in (2, 3)
}  # fmt: skip


def _fractional_max_pool(rank: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    name = f"fractional_max_pool{rank}d"

    def pool_with_indices(
        input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
        _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        check_tensor(input, name)
        shape = input._array.shape
        if output_size is None:
            output_size = _sized_by_ratio(name, shape, rank, output_ratio)
        if len(shape) <= rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got {-rank - 1})"
            )
        if _random_samples is None:
            batch = 1 if len(shape) == rank + 1 else shape[0]
            _random_samples = rand(batch, shape[-rank - 1], rank, dtype=input.dtype)
        if _random_samples._array.ndim != 3:
            raise RuntimeError(
                f"Expect _random_samples to have 3 dimensions, got {_random_samples._array.ndim}"
            )
        kernel, out = (
            _one_or_all(name, text, value, rank)
            for text, value in (("kernel_size", kernel_size), ("output_size", output_size))
        )
        _check_fractional(name, shape, rank, kernel, out)
        made: tuple[Any, Any] = _fractions[rank](input, _random_samples, kernel=kernel, out=out)
        return made

    def pool(
        input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
        _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        made = pool_with_indices(
            input, kernel_size, output_size, output_ratio, return_indices, _random_samples
        )
        return made if return_indices else made[0]

    pool.__name__ = pool.__qualname__ = name
    pool_with_indices.__name__ = pool_with_indices.__qualname__ = f"{name}_with_indices"
    pool.__doc__ = f"""The maximum of windows at random steps over the last {rank} dimensions: `output_size` of them, or that
    share (`output_ratio`) of the input's size. ValueError without either, RuntimeError where windows do not fit.
    """
    pool_with_indices.__doc__ = f"`{name}`, and where in the flattened size each maximum stands."
    return pool, pool_with_indices


def _sized_by_ratio(name: str, shape: Sizes, rank: int, ratio: Any) -> Sizes:
    if ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if rank == 2 and len(ratio) > 2:
        raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
    ratios = (ratio,) * rank if isinstance(ratio, (int, float)) else tuple(ratio)
    return tuple([int(n * r) for n, r in zip(shape[-rank:], ratios, strict=True)])


def _one_or_all(name: str, text: str, value: Any, rank: int) -> Sizes:
    found = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(found) != rank:
        raise RuntimeError(f"{name}: {text} must either be a single Int or tuple of Ints")
    return found


def _check_fractional(name: str, shape: Sizes, rank: int, kernel: Sizes, out: Sizes) -> None:
    function = f"{name}()" if rank == 2 else f"{name}_out()"
    if not all(shape[len(shape) - rank - 1 :]):
        raise RuntimeError(
            f"{function}: Expected input to have non-zero size for non-batch dimensions, but got{list(shape)} with "
            f"dimension {shape.index(0, len(shape) - rank - 1)} being empty."
        )
    words = ("time", "height", "width")[-rank:]
    for word, n, k, o in zip(words, shape[-rank:], kernel, out, strict=True):
        if o + k - 1 > n:
            raise RuntimeError(f"{function}: pool {word} {k} too large relative to input {word} {n}")


(
    (fractional_max_pool2d, fractional_max_pool2d_with_indices),
    (fractional_max_pool3d, fractional_max_pool3d_with_indices),
) = map(_fractional_max_pool, (2, 3))
