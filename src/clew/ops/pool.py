"""Pooling: the maximum, the mean, the norm of windows.

Windows are handled by a loop over the places in the kernel, each of which sees one strided slice of the input: for the
small kernels of pooling this is faster than copying windows, and the same slices serve the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.ops._arguments import check_tensor
from clew.ops.conv import Sizes, taps
from clew.ops.linalg import widely

__all__ = ["avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d"]


# ---- windows -------------------------------------------------------------------------------------------------------------
def spatial_sizes(value: Any, rank: int, function: str, name: str) -> Sizes:
    """A number for each spatial dimension."""
    if isinstance(value, int):
        return (value,) * rank
    found = tuple([int(n) for n in value])
    if len(found) == 1:
        return found * rank
    if len(found) != rank:
        word = {1: "one int", 2: "two ints", 3: "three ints"}[rank]
        raise RuntimeError(f"{function}: {name} must either be a single int, or a tuple of {word}")
    return found


def pooled_size(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows; with `ceil_mode` also one that begins inside and sticks out at the end."""
    reach = n + 2 * p - d * (k - 1) - 1
    count = (reach + (s - 1 if ceil_mode else 0)) // s + 1
    return count - 1 if ceil_mode and (count - 1) * s >= n + p else count


def _bordered(x: ndarray, window: dict[str, Sizes], value: Any) -> ndarray:
    """`x` with the border that its windows need."""
    lead = x.ndim - len(window["kernel"])
    numbers = zip(
        x.shape[lead:], *[window[n] for n in ("kernel", "stride", "padding", "dilation", "out")], strict=True
    )
    shape = tuple([max(n + 2 * p, (o - 1) * s + d * (k - 1) + 1) for n, k, s, p, d, o in numbers])
    if shape == x.shape[lead:]:
        return x
    made = np.full((*x.shape[:lead], *shape), value, x.dtype)
    made[_inside(x.shape[lead:], window)] = x
    return made


def _inside(size: Sizes, window: dict[str, Sizes]) -> tuple[Any, ...]:
    return (..., *[slice(p, p + n) for n, p in zip(size, window["padding"], strict=True)])


def _taps(window: dict[str, Sizes]) -> Any:
    return taps(window["kernel"], window["stride"], window["dilation"], window["out"])


def _border_of(size: Sizes, window: dict[str, Sizes]) -> Sizes:
    numbers = zip(size, *[window[n] for n in ("kernel", "stride", "padding", "dilation", "out")], strict=True)
    return tuple([max(n + 2 * p, (o - 1) * s + d * (k - 1) + 1) for n, k, s, p, d, o in numbers])


# ---- maximum -------------------------------------------------------------------------------------------------------------
def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind in "fV" else np.iinfo(dtype).min


def _max_arrays(self: ndarray, *, window: dict[str, Sizes]) -> tuple[ndarray, ndarray]:
    """The maximum of every window and the number of the place in the kernel where it stands (of equals, the first)."""
    x = _bordered(self, window, _lowest(self.dtype))
    best: Any = None
    count = math.prod(window["kernel"])
    for k, seen in _taps(window):
        value = x[seen]
        if best is None:
            best = value.copy()
            place = np.zeros(best.shape, np.uint8 if count <= 256 else np.int32)
        else:
            np.copyto(place, k, where=value > best)
            np.maximum(best, value, out=best)
    if self.dtype.kind in "fV" and np.isnan(best).any():  # the last NaN of a window counts
        for k, seen in _taps(window):
            np.copyto(place, k, where=np.isnan(x[seen]))
    return best, place


def _pick(self: ndarray, place: ndarray, *, window: dict[str, Sizes]) -> ndarray:
    """Of every window the value at a place in the kernel."""
    x = _bordered(self, window, 0)
    made = np.zeros(place.shape, self.dtype)
    for k, seen in _taps(window):
        np.copyto(made, x[seen], where=place == k)
    return made


def _put(grad: ndarray, place: ndarray, *, window: dict[str, Sizes], size: Sizes) -> ndarray:
    """The adjoint of `_pick`."""
    border = _border_of(size, window)
    lead = grad.shape[: grad.ndim - len(size)]
    made = np.zeros((*lead, *border), grad.dtype)
    apart = all(
        s > d * (k - 1)
        for k, s, d in zip(window["kernel"], window["stride"], window["dilation"], strict=True)
    )
    for k, seen in _taps(window):
        if apart:
            np.multiply(grad, place == k, out=made[seen])
        else:
            made[seen] += grad * (place == k)
    return made if border == size else made[_inside(size, window)]


_put_back = Primitive(
    "max_pool_backward",
    _put,
    {"grad": lambda xp, g, place, window: xp.call(_pick_places, g, place, window=window)},
    args=("grad", "place"),
    params=("window", "size"),
    jvp="linear",
)
_pick_places: Primitive = Primitive(
    "max_pool_pick",
    _pick,
    {"self": lambda xp, g, self_shape, place, window: xp.call(
        _put_back, g, place, window=window, size=self_shape[len(self_shape) - len(window["kernel"]) :]
    )},
    args=("self", "place"),
    params=("window",),
    jvp="linear",
)  # fmt: skip


def _max_pool_primitive(rank: int) -> Primitive:
    return Primitive(
        f"max_pool{rank}d_with_indices",
        _max_arrays,
        {"self": lambda xp, g, self_shape, place, window: xp.call(
            _put_back, g, xp.constant(place), window=window, size=self_shape[len(self_shape) - rank :]
        )},
        aux={"place": None},
        node="SqueezeBackward1" if rank == 1 else f"MaxPool{rank}DWithIndicesBackward0",
        explain="the maximum of every window, to which its gradient goes",
    )  # fmt: skip


_max_pools = {rank: _max_pool_primitive(rank) for rank in (1, 2, 3)}


def _flat_indices(place: ndarray, size: Sizes, window: dict[str, Sizes]) -> ndarray:
    """Places in the kernel as positions in the flattened input."""
    made = np.zeros(place.shape, np.int64)
    places = np.unravel_index(place, window["kernel"])
    rank = len(size)
    for dim, (at, n) in enumerate(zip(places, size, strict=True)):
        first = np.arange(window["out"][dim]) * window["stride"][dim] - window["padding"][dim]
        made = made * n + first.reshape((-1,) + (1,) * (rank - 1 - dim)) + at * window["dilation"][dim]
    return made


def _window(
    function: str,
    input: Any,
    rank: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> dict[str, Sizes]:
    """The arguments of a pooling, one number for each dimension, checked."""
    kernel = spatial_sizes(kernel_size, rank, function, "kernel_size")
    given = stride is not None and not (isinstance(stride, (tuple, list)) and not stride)
    steps = spatial_sizes(stride, rank, function, "stride") if given else kernel
    border = spatial_sizes(padding, rank, function, "padding")
    spread = spatial_sizes(dilation, rank, function, "dilation")
    if not all(steps):
        raise RuntimeError("stride should not be zero")
    for k, p, d in zip(kernel, border, spread, strict=True):
        if p > ((k - 1) * d + 1) // 2:
            if function == "max_pool1d":
                raise RuntimeError(
                    f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}"
                )
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
            )
    size = input._array.shape[-rank:]
    numbers = zip(size, kernel, steps, border, spread, strict=True)
    out = tuple([pooled_size(n, k, s, p, d, ceil_mode) for n, k, s, p, d in numbers])
    if min(out) < 1:
        _too_small(function, input._array.shape[-rank - 1], size, out)
    return {"kernel": kernel, "stride": steps, "padding": border, "dilation": spread, "out": out}


def _too_small(function: str, channels: int, size: Sizes, out: Sizes) -> None:
    if function == "max_pool1d":
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out[0]}")
    if len(size) == 1:  # PyTorch pools one dimension as two
        size, out = (1, *size), (1, *out)
    have, made = "x".join(map(str, (channels, *size))), "x".join(map(str, (channels, *out)))
    raise RuntimeError(
        f"Given input size: ({have}). Calculated output size: ({made}). Output size is too small"
    )


def _check_rank(function: str, input: Any, rank: int) -> None:
    """The exceptions of each function for an input that is neither (C, *size) nor (N, C, *size)."""
    shape = list(check_tensor(input, function)._array.shape)
    good = len(shape) in (rank + 1, rank + 2)
    if function == "max_pool1d" and not good:
        raise RuntimeError(
            f"max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{shape}"
        )
    if function in ("avg_pool1d", "adaptive_avg_pool1d", "adaptive_max_pool1d") and not good:
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' (while checking "
            f"arguments for {function})"
        )
    if function == "avg_pool2d" and len(shape) < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got -3)"
        )
    if not good:
        raise RuntimeError(f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input")
    if rank > 1 and not math.prod(shape[-rank - 1 :]) and "max" in function:
        raise RuntimeError(
            f"Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:{shape}"
        )


def _max_pool(rank: int) -> Callable[..., Any]:
    name = f"max_pool{rank}d"

    def pool(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:  # fmt: skip
        _check_rank(name, input, rank)
        dtype = input._array.dtype
        if dtype.kind == "b" or (rank == 1 and dtype.kind in "iu" and not return_indices):
            raise NotImplementedError(
                f"\"{name + '_impl' if rank == 1 else name}\" not implemented for '{legacy_name(dtype)}'"
            )
        window = _window(name, input, rank, kernel_size, stride, padding, dilation, ceil_mode)
        result = _max_pools[rank](input, window=window)
        if not return_indices:
            return result
        place = _max_arrays(input._array, window=window)[1]
        return result, wrap(_flat_indices(place, input._array.shape[-rank:], window))

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"""The maximum of every window, of the last {rank} dimension(s) of (N, C, *size) or (C, *size).

    The stride is the kernel's size unless given; `padding` counts as -∞; with `ceil_mode` a last window may stick out;
    with `return_indices` also where in the flattened size each maximum stands. RuntimeError where nothing fits.
    """
    return pool


max_pool1d, max_pool2d, max_pool3d = _max_pool(1), _max_pool(2), _max_pool(3)


# ---- mean ----------------------------------------------------------------------------------------------------------------
def _sum_windows(self: ndarray, *, window: dict[str, Sizes], divisor: Any) -> ndarray:
    """The sum of every window over `divisor`, a number or an array of the windows' shape."""
    x = _bordered(self, window, 0)
    made: Any = None
    for _, seen in _taps(window):
        if made is None:
            made = x[seen].copy()
        else:
            made += x[seen]
    if made.dtype.kind in "iu":
        return np.trunc(made / divisor).astype(made.dtype)
    made /= np.asarray(divisor, made.dtype)
    return made


def _spread_windows(grad: ndarray, *, window: dict[str, Sizes], divisor: Any, size: Sizes) -> ndarray:
    """The adjoint of `_sum_windows`."""
    border = _border_of(size, window)
    part = grad / np.asarray(divisor, grad.dtype)
    made = np.zeros((*grad.shape[: grad.ndim - len(size)], *border), grad.dtype)
    for _, seen in _taps(window):
        made[seen] += part
    return made if border == size else made[_inside(size, window)]


_avg_back = Primitive(
    "avg_pool_backward",
    widely(_spread_windows),
    {"grad": lambda xp, g, window, divisor: xp.call(_avg_pools[2], g, window=window, divisor=divisor)},
    args=("grad",),
    params=("window", "divisor", "size"),
    jvp="linear",
)


def _avg_pool_primitive(rank: int) -> Primitive:
    return Primitive(
        f"avg_pool{rank}d",
        widely(_sum_windows),
        {"self": lambda xp, g, self_shape, window, divisor: xp.call(
            _avg_back, g, window=window, divisor=divisor, size=self_shape[len(self_shape) - len(window["kernel"]) :]
        )},
        args=("self",),
        params=("window", "divisor"),
        node="SqueezeBackward1" if rank == 1 else f"AvgPool{rank}DBackward0",
        jvp="linear",
        explain="the mean of every window; its gradient is shared out evenly",
    )  # fmt: skip


_avg_pools: dict[int, Primitive] = {rank: _avg_pool_primitive(rank) for rank in (1, 2, 3)}


def _divisor(size: Sizes, window: dict[str, Sizes], count_include_pad: bool) -> Any:
    """How many numbers each window holds: a number where all hold as many, else an array."""
    counts: Any = 1
    for n, k, s, p, o in zip(
        size, *[window[name] for name in ("kernel", "stride", "padding", "out")], strict=True
    ):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, n + p)
        if not count_include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        counts = np.multiply.outer(counts, end - start)
    return int(counts.flat[0]) if (counts == counts.flat[0]).all() else counts


def _avg_pool(rank: int) -> Callable[..., Any]:
    name = f"avg_pool{rank}d"

    def pool(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> Any:  # fmt: skip
        _check_rank(name, input, rank)
        if input._array.dtype.kind == "b":
            raise NotImplementedError(f"\"{name if rank > 1 else 'avg_pool2d'}\" not implemented for 'Bool'")
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        window = _window(name, input, rank, kernel_size, stride, padding, 1, ceil_mode)
        divisor = divisor_override or _divisor(input._array.shape[-rank:], window, count_include_pad)
        return _avg_pools[rank](input, window=window, divisor=divisor)

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"""The mean of every window, of the last {rank} dimension(s) of (N, C, *size) or (C, *size).

    The sum is divided by the size of the window, without the padding unless `count_include_pad`, or by
    `divisor_override`. RuntimeError where nothing fits.
    """
    return pool


avg_pool1d, avg_pool2d, avg_pool3d = _avg_pool(1), _avg_pool(2), _avg_pool(3)


# ---- norm ----------------------------------------------------------------------------------------------------------------
def _lp_pool(rank: int) -> Callable[..., Any]:
    average = (avg_pool1d, avg_pool2d, avg_pool3d)[rank - 1]

    def pool(
        input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Any:
        count = math.prod(spatial_sizes(kernel_size, rank, f"lp_pool{rank}d", "kernel_size"))
        mean = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
        return (mean.sign() * mean.abs().relu()).mul(count).pow(1.0 / norm_type)

    pool.__name__ = pool.__qualname__ = f"lp_pool{rank}d"
    pool.__doc__ = f"(∑ xᵖ)^(1/p) of every window, of the last {rank} dimension(s)."
    return pool


lp_pool1d, lp_pool2d, lp_pool3d = _lp_pool(1), _lp_pool(2), _lp_pool(3)


# ---- back to where the maxima stood ---------------------------------------------------------------------------------------
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
        index = check_tensor(indices, name, "indices", 2)._array
        kernel = spatial_sizes(kernel_size, rank, name, "kernel_size")
        steps = spatial_sizes(stride, rank, name, "stride") if stride is not None else kernel
        border = spatial_sizes(padding, rank, name, "padding")
        shape = input._array.shape
        size = [
            (n - 1) * s - 2 * p + k for n, k, s, p in zip(shape[-rank:], kernel, steps, border, strict=True)
        ]
        if output_size is not None:
            size = list(output_size)[-rank:]
        if index.dtype != np.int64:
            raise RuntimeError(
                f"elements in indices should be type int64 but got: {legacy_name(index.dtype)}"
            )
        if index.shape != shape:
            raise RuntimeError(
                f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but got indices tensor "
                f"with shape: {list(index.shape)}"
            )
        wrong = index[(index < 0) | (index >= math.prod(size))]
        if wrong.size:
            volumes = "x".join(map(str, size if rank > 1 else (*size, 1)))
            raise RuntimeError(
                f"Found an invalid max index: {wrong.flat[0]} (output volumes are of size {volumes})"
            )
        return _unpools[rank](input, indices, size=tuple(size), add=False)

    unpool.__name__ = unpool.__qualname__ = name
    unpool.__doc__ = (
        f"The values at the positions that `max_pool{rank}d(…, return_indices=True)` gave, zeros elsewhere."
    )
    return unpool


max_unpool1d, max_unpool2d, max_unpool3d = _max_unpool(1), _max_unpool(2), _max_unpool(3)


# ---- maximum of a given number of windows ----------------------------------------------------------------------------------
def bins(n: int, out: int) -> tuple[ndarray, ndarray]:
    """Begin and end of the windows of adaptive pooling: window i goes from ⌊i·n/out⌋ to ⌈(i+1)·n/out⌉."""
    i = np.arange(out)
    return i * n // out, -((i + 1) * -n // out)


def _adaptive_max_arrays(self: ndarray, *, out: Sizes) -> tuple[ndarray, ndarray]:
    rank = len(out)
    size = self.shape[self.ndim - rank :]
    edges = [bins(n, o) for n, o in zip(size, out, strict=True)]
    best = np.full((*self.shape[: self.ndim - rank], *out), _lowest(self.dtype), self.dtype)
    index = np.zeros(best.shape, np.int64)
    first = True
    for place in np.ndindex(*[int((end - begin).max(initial=0)) for begin, end in edges]):
        at = [np.minimum(begin + p, end - 1) for p, (begin, end) in zip(place, edges, strict=True)]
        value = self[(..., *np.ix_(*at))]
        flat = np.ravel_multi_index(np.ix_(*at), size)
        better = np.ones(value.shape, np.bool) if first else (value > best) | np.isnan(value)
        np.copyto(index, flat, where=better)
        np.copyto(best, value, where=better)
        first = False
    return best, index


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
    """The output size of adaptive pooling; None keeps the input's."""
    shape = check_tensor(input, function)._array.shape
    if len(shape) not in (rank + 1, rank + 2):
        if rank == 1:
            _check_rank(function, input, rank)
        colon = ":" if "max" in function else ""
        raise RuntimeError(
            f"{function}(): Expected {rank + 1}D or {rank + 2}D tensor, but got{colon} {list(shape)}"
        )
    given = (
        (output_size,) * rank if isinstance(output_size, int) or output_size is None else tuple(output_size)
    )
    if len(given) != rank:
        raise RuntimeError(f"{function}: output_size must be {rank}")
    out = tuple([n if o is None else int(o) for o, n in zip(given, shape[-rank:], strict=True)])
    if min(out) < 0:
        raise RuntimeError(
            f"{function}: elements of output_size must be greater than or equal to 0 but received {{{', '.join(map(str, out))}}}"
        )
    if input._array.dtype.kind in "iub":
        raise NotImplementedError(f"\"{function}\" not implemented for '{legacy_name(input._array.dtype)}'")
    return out


def _adaptive_max_pool(rank: int) -> Callable[..., Any]:
    name = f"adaptive_max_pool{rank}d"

    def pool(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        made = _adaptive_maxes[rank](input, out=adaptive_size(name, input, rank, output_size))
        return made if return_indices else made[0]

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"The maximum of windows that share out the last {rank} dimension(s) into `output_size`."
    return pool


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_adaptive_max_pool, (1, 2, 3))
