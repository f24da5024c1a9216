"""Pooling: the maximum, the mean, the norm of windows.

Many windows are handled by a loop over the places in the kernel, each of which sees one strided slice of the input: for
the small kernels of pooling this is faster than copying windows, and the same slices serve the gradient. A few windows
are copied side by side, which takes fewer calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.dtypes import legacy_name
from clew.kernels import pick
from clew.ops._arguments import check_tensor
from clew.ops._layout import keeping_layout
from clew.ops._windows import Sizes, taps, windows
from clew.ops.linalg import widely

__all__ = ["avg_pool1d", "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool3d"]


# ---- windows -------------------------------------------------------------------------------------------------------------
_INTS = {1: "one int", 2: "two ints", 3: "three ints"}
_FEW = 1 << 12  # numbers in all windows together that are copied side by side


def spatial_sizes(
    value: Any, rank: int, function: str, name: str, rule: str = "must either be a single int, or"
) -> Sizes:
    """A number for each spatial dimension. RuntimeError, with the function's own wording, for another count."""
    if isinstance(value, int):
        return (value,) * rank
    found = tuple([int(n) for n in value])
    if len(found) == 1:
        return found * rank
    if len(found) != rank:
        if rank == 1:
            raise RuntimeError(f"{function}() argument '{name}' should contain one int (got {len(found)})")
        raise RuntimeError(f"{function}: {name} {rule} a tuple of {_INTS[rank]}")
    return found


def pooled_size(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows; with `ceil_mode` also one that begins inside and sticks out at the end."""
    reach = n + 2 * p - d * (k - 1) - 1
    count = (reach + (s - 1 if ceil_mode else 0)) // s + 1
    return count - 1 if ceil_mode and (count - 1) * s >= n + p else count


def _bordered(x: ndarray, window: dict[str, Sizes], value: Any) -> ndarray:
    """`x` with the border that its windows need."""
    lead = x.ndim - len(window["kernel"])
    shape = _border_of(x.shape[lead:], window)
    if shape == x.shape[lead:]:
        return x
    made = np.empty((*x.shape[:lead], *shape), x.dtype)
    made.fill(value)
    made[_inside(x.shape[lead:], window)] = x
    return made


def _inside(size: Sizes, window: dict[str, Sizes]) -> tuple[Any, ...]:
    return (..., *[slice(p, p + n) for n, p in zip(size, window["padding"], strict=True)])


def _taps(window: dict[str, Sizes]) -> Any:
    return taps(window["kernel"], window["stride"], window["dilation"], window["out"])


def _side_by_side(x: ndarray, window: dict[str, Sizes]) -> ndarray | None:
    """The windows of a bordered `x` as rows, (windows, places in the kernel), where they are few."""
    kernel = window["kernel"]
    lead, places = x.shape[: x.ndim - len(kernel)], math.prod(kernel)
    count = math.prod(lead) * math.prod(window["out"])
    if not 0 < count * places <= _FEW or x.dtype.kind == "V":
        return None
    return windows(x, kernel, window["stride"], window["dilation"], window["out"]).reshape(count, places)


def _border_of(size: Sizes, window: dict[str, Sizes]) -> Sizes:
    return _bordered_size(size, *window.values())


@lru_cache(maxsize=512)
def _bordered_size(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, out: Sizes
) -> Sizes:
    numbers = zip(size, kernel, stride, padding, dilation, out, strict=True)
    return tuple([max(n + 2 * p, (o - 1) * s + d * (k - 1) + 1) for n, k, s, p, d, o in numbers])


# ---- maximum -------------------------------------------------------------------------------------------------------------
def lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind in "fV" else np.iinfo(dtype).min


def _max_arrays(self: ndarray, *, window: dict[str, Sizes]) -> tuple[ndarray, ndarray]:
    """The maximum of every window and the number of the place in the kernel where it stands (of equals, the first)."""
    if _in_pairs(window, self.shape) and (run := pick("pairs_max", self)):
        made: tuple[ndarray, ndarray] = run(self)
        return made
    x = _bordered(self, window, lowest(self.dtype))
    kind = np.dtype(np.uint8 if math.prod(window["kernel"]) <= 256 else np.int32)
    rows = _side_by_side(x, window)
    if rows is not None:
        shape = (*self.shape[: self.ndim - len(window["out"])], *window["out"])
        place = rows.argmax(1).astype(kind).reshape(shape)
        best = np.maximum.reduce(rows, 1).reshape(shape)
    else:
        best, place = _max_by_taps(x, window, kind)
    if self.dtype.kind in "fV" and np.isnan(best).any():  # the last NaN of a window counts
        for k, seen in _taps(window):
            np.copyto(place, k, where=np.isnan(x[seen]))
    return best, place


def _in_pairs(window: dict[str, Sizes], shape: Sizes) -> bool:
    """Whether windows of two by two lie side by side."""
    return (
        window["kernel"] == window["stride"] == (2, 2)
        and window["padding"] == (0, 0)
        and window["dilation"] == (1, 1)
        and window["out"] == (shape[-2] // 2, shape[-1] // 2)
    )


def _max_by_taps(x: ndarray, window: dict[str, Sizes], kind: Any) -> tuple[ndarray, ndarray]:
    best: Any = None
    for k, seen in _taps(window):
        value = x[seen].copy()
        if best is None:
            best, place = value, np.zeros(value.shape, kind)
        else:
            better = np.multiply(value > best, kind.type(k), dtype=kind)
            np.maximum(place, better, out=place)  # no branches: k only grows
            np.maximum(best, value, out=best)
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
    if _in_pairs(window, size) and place.flags.c_contiguous and (run := pick("pairs_max_back", grad)):
        found: ndarray = run(grad, place, size)
        return found
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
        keeping_layout(_max_arrays),
        {"self": lambda xp, g, self_shape, place, window: xp.call(
            _put_back, g[0], place, window=window, size=self_shape[len(self_shape) - rank :]
        )},
        args=("self",),
        params=("window",),
        outputs=("result", "place"),
        node="SqueezeBackward1" if rank == 1 else f"MaxPool{rank}DWithIndicesBackward0",
        explain="the maximum of every window, to which its gradient goes",
    )  # fmt: skip


_max_pools = {rank: _max_pool_primitive(rank) for rank in (1, 2, 3)}


def _flat_indices(place: ndarray, size: Sizes, window: dict[str, Sizes]) -> ndarray:
    """Places in the kernel as positions in the flattened input."""
    first, within = _positions(size, *window.values())
    made: ndarray = within[place]
    made += first
    return made


@lru_cache(maxsize=64)
def _positions(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, out: Sizes
) -> tuple[ndarray, ndarray]:
    """In the flattened input: where every window begins, and how far behind that each place in the kernel stands."""
    first, within = np.zeros((), np.int64), np.zeros((), np.int64)
    for n, k, s, p, d, o in zip(size, kernel, stride, padding, dilation, out, strict=True):
        first = first[..., None] * n + (np.arange(o) * s - p)
        within = within[..., None] * n + np.arange(k) * d
    return first, within.reshape(-1)


# ---- arguments -----------------------------------------------------------------------------------------------------------
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
    """The arguments of a pooling, one number for each dimension, checked in PyTorch's order."""
    rule = "must be a single int, or" if function == "avg_pool3d" else "must either be a single int, or"
    kernel = spatial_sizes(kernel_size, rank, function, "kernel_size", rule)
    given = stride is not None and not (isinstance(stride, (tuple, list)) and not stride)
    omitted = rule.replace("be a", "be omitted, a")
    steps = spatial_sizes(stride, rank, function, "stride", omitted) if given else kernel
    border = spatial_sizes(padding, rank, function, "padding", rule)
    spread = spatial_sizes(dilation, rank, function, "dilation", "must be either a single int, or")
    return _fitted(function, input._array.shape, kernel, steps, border, spread, ceil_mode)


@lru_cache(maxsize=512)
def _fitted(
    function: str, shape: Sizes, kernel: Sizes, steps: Sizes, border: Sizes, spread: Sizes, ceil_mode: bool
) -> dict[str, Sizes]:
    """The windows of an input of some shape, checked, and how many there are."""
    rank = len(kernel)
    size = shape[-rank:]
    window = {"kernel": kernel, "stride": steps, "padding": border, "dilation": spread}
    if function == "max_pool1d":
        _check_line(kernel[0], steps[0], border[0], spread[0])
    else:
        _check_placing(window)
        _check_extents(function, rank, shape, window)
    numbers = zip(size, kernel, steps, border, spread, strict=True)
    out = tuple([pooled_size(n, k, s, p, d, ceil_mode) for n, k, s, p, d in numbers])
    if min(out) < 1:
        _too_small(function, shape[-rank - 1], size, out)
    return {**window, "out": out}


def _check_line(kernel: int, stride: int, padding: int, dilation: int) -> None:
    """RuntimeErrors of `max_pool1d`, in its own words."""
    for name, n in (("kernel_size", kernel), ("stride", stride)):
        if n <= 0:
            raise RuntimeError(f"max_pool1d() {name} must be greater than zero, but got {n}")
    if padding < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {padding}")
    if padding > kernel // 2:
        raise RuntimeError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={padding} and "
            f"kernel_size={kernel}"
        )
    if dilation <= 0:
        raise RuntimeError(f"max_pool1d() dilation must be greater than zero, but got {dilation}")


def _check_placing(window: dict[str, Sizes]) -> None:
    """RuntimeError where windows would not move on, or begin in nothing but padding."""
    for k, s, p, d in zip(*window.values(), strict=True):
        if s == 0:
            raise RuntimeError("stride should not be zero")
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2 and k > 0:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
            )


def _check_extents(function: str, rank: int, shape: Sizes, window: dict[str, Sizes]) -> None:
    """RuntimeError for sizes that are not positive."""
    axes = "THW"[-max(rank, 2) :]
    for name, word, letter in (("kernel", "kernel size", "k{}"), ("stride", "stride", "d{}"), ("dilation", "dilation", "dilation{}")):  # fmt: skip
        numbers = at_least_two(window[name])
        if min(numbers) <= 0:
            got = " ".join(f"{letter.format(axis)}: {n}" for axis, n in zip(axes, numbers, strict=True))
            raise RuntimeError(f"{word} should be greater than zero, but got {got}")
    if math.prod(shape[-rank - 1 :]) == 0 or (len(shape) == rank + 1 and shape[0] == 0):
        _refuse_empty(function, rank, shape)
    if function == "avg_pool3d" and any(n < k for n, k in zip(shape[-3:], window["kernel"], strict=True)):
        have, want = ("{0}T: {1} {0}H: {2} {0}W: {3}".format(c, *n) for c, n in (("", shape[-3:]), ("k", window["kernel"])))  # fmt: skip
        raise RuntimeError(f"input image ({have}) smaller than kernel size ({want})")


def at_least_two(numbers: Sizes) -> Sizes:
    """PyTorch pools one dimension as two: its sentences show both."""
    return (1, *numbers) if len(numbers) == 1 else numbers


def _refuse_empty(function: str, rank: int, shape: Sizes) -> None:
    if rank == 3:
        name = "avg_pool3d" if function == "avg_pool3d" else "max_pool3d_with_indices_out_cpu_template"
        raise RuntimeError(
            f"{name}(): Expected input's non-batch dimensions to have positive length, but input has a shape of "
            f"{list(shape)} and non-batch dimension 0 has length zero!"
        )
    shown = list(shape) if rank == 2 else [*shape[:-1], 1, shape[-1]]
    raise RuntimeError(
        f"Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:{shown}"
    )


def _too_small(function: str, channels: int, size: Sizes, out: Sizes) -> None:
    if function == "max_pool1d":
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out[0]}")
    have, made = ("x".join(map(str, (channels, *at_least_two(n)))) for n in (size, out))
    raise RuntimeError(
        f"Given input size: ({have}). Calculated output size: ({made}). Output size is too small"
    )


def _check_rank(function: str, input: Any, rank: int) -> None:
    """The exceptions of each function for an input that is neither (C, *size) nor (N, C, *size)."""
    shape = list(check_tensor(input, function)._array.shape)
    good = len(shape) in (rank + 1, rank + 2)
    if function == "max_pool1d" and (not good or not all(shape[-2:])):
        raise RuntimeError(
            f"max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{shape}"
        )
    if rank == 1 and not good:
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' (while checking "
            f"arguments for {function.removesuffix('_with_indices')})"
        )
    if function == "avg_pool2d" and len(shape) < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got -3)"
        )
    if function == "avg_pool2d" and not good:
        _refuse_empty(function, 2, tuple(shape))
    if not good:
        raise RuntimeError(f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input")


def _max_pool(rank: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    name = f"max_pool{rank}d"

    def settle(function: str, input: Any, *options: Any) -> dict[str, Sizes]:
        _check_rank(function, input, rank)
        dtype = input._array.dtype
        if dtype.kind in "bc" or (dtype.kind in "iu" and function == "max_pool1d"):
            kernel = "max_pool1d_impl" if function == "max_pool1d" else f"max_pool{max(rank, 2)}d"
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(dtype)}'")
        kernel_size, *rest = options
        if function == "max_pool1d" and not isinstance(kernel_size, int) and len(kernel_size) != 1:
            raise RuntimeError(
                "max_pool1d() kernel_size must be an int, list of ints or tuple of ints of size 1 but got size "
                f"{len(kernel_size)}"
            )
        return _window(function, input, rank, kernel_size, *rest)

    def pool(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:  # fmt: skip
        if return_indices:
            return pool_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
        window = settle(name, input, kernel_size, stride, padding, dilation, ceil_mode)
        return _max_pools[rank](input, window=window)[0]

    def pool_with_indices(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        return_indices: bool = True,
    ) -> Any:  # fmt: skip
        function = "max_pool1d_with_indices" if rank == 1 else name
        window = settle(function, input, kernel_size, stride, padding, dilation, ceil_mode)
        result, place = _max_pools[rank](input, window=window)
        return result, wrap(_flat_indices(place._array, input._array.shape[-rank:], window))

    pool.__name__ = pool.__qualname__ = name
    pool_with_indices.__name__ = pool_with_indices.__qualname__ = f"{name}_with_indices"
    pool.__doc__ = f"""The maximum of every window, of the last {rank} dimension(s) of (N, C, *size) or (C, *size).

    The stride is the kernel's size unless given; `padding` counts as -∞; with `ceil_mode` a last window may stick out;
    with `return_indices` also where in the flattened size each maximum stands. RuntimeError where nothing fits.
    """
    pool_with_indices.__doc__ = f"`{name}`, and where in the flattened size each maximum stands."
    return pool, pool_with_indices


(
    (max_pool1d, max_pool1d_with_indices),
    (max_pool2d, max_pool2d_with_indices),
    (
        max_pool3d,
        max_pool3d_with_indices,
    ),
) = map(_max_pool, (1, 2, 3))


# ---- mean ----------------------------------------------------------------------------------------------------------------
def _sum_windows(self: ndarray, *, window: dict[str, Sizes], divisor: Any) -> ndarray:
    """The sum of every window over `divisor`, a number or an array of the windows' shape."""
    x = _bordered(self, window, 0)
    rows = _side_by_side(x, window)
    if rows is not None:
        lead = self.shape[: self.ndim - len(window["out"])]
        made = np.add.reduce(rows, 1, dtype=x.dtype).reshape((*lead, *window["out"]))
    else:
        (_, first), *others = _taps(window)
        made = x[first].copy()
        for _, seen in others:
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
        keeping_layout(widely(_sum_windows)),
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
    kernel = window["kernel"]
    if _border_of(size, window) == size or (
        count_include_pad
        and _border_of(size, window)
        == tuple([n + 2 * p for n, p in zip(size, window["padding"], strict=True)])
    ):
        return math.prod(kernel)
    counts: Any = 1
    for n, k, s, p, o in zip(
        size, kernel, *[window[name] for name in ("stride", "padding", "out")], strict=True
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
        count_include_pad: bool = True, divisor_override: int | None = None, *, out: Any = None,
    ) -> Any:  # fmt: skip
        _check_rank(name, input, rank)
        dtype = input._array.dtype
        if dtype.kind not in "fV" and dtype != np.int64:
            raise NotImplementedError(
                f"\"avg_pool{max(rank, 2)}d\" not implemented for '{legacy_name(dtype)}'"
            )
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        window = _window(name, input, rank, kernel_size, stride, padding, 1, ceil_mode)
        divisor = divisor_override or _divisor(input._array.shape[-rank:], window, count_include_pad)
        result = _avg_pools[rank](input, window=window, divisor=divisor)
        return result if out is None else store_out(out, result)

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

    largest = (max_pool1d, max_pool2d, max_pool3d)[rank - 1]

    def pool(
        input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Any:
        if norm_type == math.inf:
            return largest(input.abs(), kernel_size, stride, ceil_mode=ceil_mode)
        if norm_type == -math.inf:
            return -largest(-input.abs(), kernel_size, stride, ceil_mode=ceil_mode)
        count = math.prod(spatial_sizes(kernel_size, rank, f"lp_pool{rank}d", "kernel_size"))
        mean = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
        return (mean.sign() * mean.abs().relu()).mul(count).pow(1.0 / norm_type)

    pool.__name__ = pool.__qualname__ = f"lp_pool{rank}d"
    pool.__doc__ = f"(∑ xᵖ)^(1/p) of every window, of the last {rank} dimension(s)."
    return pool


lp_pool1d, lp_pool2d, lp_pool3d = _lp_pool(1), _lp_pool(2), _lp_pool(3)
