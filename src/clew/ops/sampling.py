"""Random tensors: PyTorch's functions over the streams of `clew.streams`."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from clew import streams
from clew.core.primitive import Primitive
from clew.core.variable import Variable
from clew.device import check as check_device
from clew.dtypes import c_name, contiguous_format, cpp_name, defaults, dtype, from_numpy, int64, legacy_name
from clew.ops._arguments import check_tensor, no_signature, zeros_slope
from clew.ops._builders import broadcast_error
from clew.ops._draws import draw_each, normals_kernel, permutation, poissons
from clew.ops.create import as_dtype, finish, shape_of

__all__ = [
    "bernoulli", "get_rng_state", "initial_seed", "manual_seed", "multinomial", "normal", "poisson", "rand", "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip


# ---- the default stream ---------------------------------------------------------------------------------------------
def manual_seed(seed: Any) -> Any:
    """Start the default stream anew from a seed; returns its generator."""
    return streams.default_generator.manual_seed(int(seed))


def seed() -> int:
    """Start the default stream from a seed of the system's choosing, and return it."""
    return streams.default_generator.seed()


def initial_seed() -> int:
    """The seed the default stream started from."""
    return streams.default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default stream as a uint8 tensor."""
    return streams.default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Take a state of the default stream back."""
    streams.default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **_: Any) -> Iterator[None]:
    """Whatever is drawn inside leaves the default stream as it was."""
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            set_rng_state(state)


def source_of(generator: Any, function: str) -> Any:
    if generator is None:
        return streams.default_generator
    if not isinstance(generator, streams.Generator):
        raise TypeError(
            f"{function}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}"
        )
    return generator


# ---- checks ------------------------------------------------------------------------------------------------------------
_LARGEST_BFLOAT16 = (2.0 - 2.0**-7) * 2.0**127


def whole(value: Any, name: str, position: int, function: str = "randint") -> int:
    """An argument that must be a whole number of 64 bits."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be int, not {type(value).__name__}"
        ) from None
    if not -(2**63) <= found < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return found


def check_probability(p: Any) -> None:
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")


def check_probabilities(p: np.ndarray) -> None:
    if p.dtype.kind in "iub":
        raise NotImplementedError(f"\"bernoulli_tensor_cpu_p_\" not implemented for '{legacy_name(p.dtype)}'")
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")


def check_std(std: float) -> None:
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def within(kind: dtype, **bounds: float) -> None:
    """RuntimeError for a bound that the type does not reach."""
    numbers = limits(kind)
    for name, value in bounds.items():
        if not numbers[0] <= value <= numbers[1]:
            raise RuntimeError(f"{name.replace('_', ' ')} is out of bounds for {cpp_name(kind)}")


def limits(kind: dtype) -> tuple[float, float]:
    """The least and the largest finite number of a type."""
    if kind.name == "bool":
        return 0, 1
    if kind.category == 1:
        return int(np.iinfo(kind.np).min), int(np.iinfo(kind.np).max)
    largest = _LARGEST_BFLOAT16 if kind.name == "bfloat16" else float(np.finfo(kind.np).max)
    return -largest, largest


def _nearest(kind: dtype, number: int) -> int:
    """A whole number rounded to a floating type (16-bit types by way of float32, as PyTorch converts)."""
    if kind.name == "float64":
        return int(float(number))
    return int(np.asarray(np.float32(number)).astype(kind.np).astype(np.float64))


def raised(kind: dtype, low: int) -> int:
    """The least number of a floating type's grid that a range from `low` can begin with."""
    above = _nearest(kind, low + 1)
    if above >= low:
        return low
    return above + (1 << (abs(low + 1).bit_length() - streams.BITS[kind.name]))


def _lowered(kind: dtype, high: int) -> int:
    """The end of a range below `high`, on a floating type's grid."""
    below = _nearest(kind, high - 1)
    if below < high:
        return high
    return below - (1 << (abs(high - 1).bit_length() - streams.BITS[kind.name]))


def between(kind: dtype, low: int, high: int) -> tuple[int, int]:
    """The bounds of [low, high) as they are drawn from in a type. RuntimeError for those it cannot hold."""
    if kind.category == 3:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    within(kind, **{"from": low, "to - 1": high - 1})
    if kind.category < 2:
        return low, high
    low, high = raised(kind, low), _lowered(kind, high)
    if low >= high:
        raise RuntimeError(
            "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
            f"from={low} >= to={high}"
        )
    bits = streams.BITS[kind.name]
    for name, value in (("from", low), ("to - 1", high - 1)):
        if abs(value) > 2**bits:
            warnings.warn(
                f"{name} is out of bounds [-(2^{bits}), 2^{bits}]. Due to precision limitations {cpp_name(kind)} can "
                "support discrete uniform distribution only within this range. This warning will become an error in "
                "version 1.7 release, please fix the code in advance",
                UserWarning,
                stacklevel=3,
            )
    return low, high


# ---- new tensors ----------------------------------------------------------------------------------------------------
def draw_normal(
    source: Any, shape: tuple[int, ...], kind: dtype, mean: float = 0.0, std: float = 1.0, contiguous: bool = True
) -> np.ndarray:  # fmt: skip
    if kind.is_complex:
        pairs, part, std = (math.prod(shape) * 2,), kind.to_real().np, std / math.sqrt(2.0)
        return (
            streams.normal(source, pairs, part, mean, std, contiguous, normals_kernel(pairs[0]))
            .view(kind.np)
            .reshape(shape)
        )
    return streams.normal(source, shape, kind.np, mean, std, contiguous, normals_kernel(math.prod(shape)))


def draw_uniform(
    source: Any, shape: tuple[int, ...], kind: dtype, low: float = 0.0, high: float = 1.0, contiguous: bool = True
) -> np.ndarray:  # fmt: skip
    if kind.is_complex:
        pairs, part = (math.prod(shape) * 2,), kind.to_real().np
        return streams.uniform(source, pairs, part, low, high).view(kind.np).reshape(shape)
    return streams.uniform(source, shape, kind.np, low, high)


def _drawn(node: str, *args: str) -> Primitive:
    """What was drawn hangs on the parameters it was drawn with, though it does not move with them: PyTorch's nodes."""
    return Primitive(
        node.removesuffix("Backward0").lower(),
        lambda *parameters, drawn: drawn,
        dict.fromkeys(args, zeros_slope),
        args=args,
        params=("drawn",),
        node=node,
        jvp="partial",
        explain="drawn at random: no gradient goes on",
    )


_bernoulli, _poisson = _drawn("BernoulliBackward0", "self"), _drawn("PoissonBackward0", "self")
_normals = {
    (True, False): _drawn("NormalBackward1", "mean"),
    (False, True): _drawn("NormalBackward2", "std"),
    (True, True): _drawn("NormalBackward3", "mean", "std"),
}


def _new(name: str, draw: Any, doc: str) -> tuple[Any, Any]:
    """`rand` and `rand_like`, `randn` and `randn_like`."""

    def check(kind: dtype) -> dtype:
        if kind.category < 2:
            raise NotImplementedError(f"\"{'normal_kernel_cpu' if name == 'randn' else 'check_uniform_bounds'}\" not implemented for '{legacy_name(kind)}'")  # fmt: skip
        return kind

    def new(
        *size: Any, generator: Any = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False, names: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        check_device(device)
        if not size and "size" in kwargs:
            size = (kwargs.pop("size"),)
        if kwargs:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
        if not size and generator is None:
            raise no_signature(name)
        shape = shape_of(size, name)
        kind = check(
            as_dtype(dtype, name) or (defaults.dtype if out is None else from_numpy(out._array.dtype))
        )
        return finish(draw(source_of(generator, name), shape, kind), requires_grad, out)

    def new_like(
        input: Any, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, memory_format: Any = None,
    ) -> Any:  # fmt: skip
        like = np.asarray(check_tensor(input, name + "_like")._array)
        check_device(device)
        kind = check(as_dtype(dtype, name + "_like") or from_numpy(like.dtype))
        contiguous = memory_format is contiguous_format or streams.memory_order(like) is None
        source = source_of(generator, name + "_like")
        if contiguous:
            return finish(draw(source, like.shape, kind), requires_grad)
        drawn = streams.in_memory_order(like, lambda shape: draw(source, shape, kind, contiguous=False))
        return finish(drawn, requires_grad)

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"A tensor of shape `size` drawn from {doc}."
    new_like.__name__ = new_like.__qualname__ = name + "_like"
    new_like.__doc__ = f"A tensor of `input`'s shape and type drawn from {doc}."
    return new, new_like


rand, rand_like = _new("rand", draw_uniform, "U[0, 1)")
randn, randn_like = _new("randn", draw_normal, "N(0, 1)")


def randint(
    low: Any = None, high: Any = None, size: Any = None, *, generator: Any = None, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """Integers drawn uniformly from [low, high): `randint(high, size)` or `randint(low, high, size)`."""
    check_device(device)
    if size is None:
        if high is None:
            raise no_signature("randint", *(() if low is None else (low,)))
        if not isinstance(high, Iterable) or isinstance(high, (str, Variable)):
            raise TypeError(
                f"randint(): argument 'size' (position 2) must be tuple of ints, not {type(high).__name__}"
            )
        low, high, size = None, low, high
    elif high is None:
        low, high = None, low
    if not isinstance(size, Iterable):
        raise no_signature("randint", low, high, size)
    end = whole(high, "high", 1 if low is None else 2)
    start = 0 if low is None else whole(low, "low", 1)
    kind = as_dtype(dtype, "randint") or (int64 if out is None else from_numpy(out._array.dtype))
    shape = shape_of((size,), "randint")
    start, end = between(kind, start, end)
    drawn = streams.integers(source_of(generator, "randint"), shape, start, end)
    return finish(drawn.astype(kind.np), requires_grad, out)


def randint_like(
    input: Any, low: Any, high: Any = None, *, generator: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """Integers drawn uniformly from [low, high), in `input`'s shape and type."""
    low, high = (0, low) if high is None else (low, high)
    like = np.asarray(check_tensor(input, "randint_like")._array)
    kind = as_dtype(dtype, "randint_like") or from_numpy(like.dtype)
    start, end = between(kind, whole(low, "low", 2, "randint_like"), whole(high, "high", 2, "randint_like"))
    source = source_of(generator, "randint_like")
    if memory_format is contiguous_format:
        like = np.empty(like.shape, like.dtype)
    drawn = streams.in_memory_order(like, lambda shape: streams.integers(source, shape, start, end))
    return finish(drawn.astype(kind.np), requires_grad)


def randperm(
    n: int, *, generator: Any = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """The numbers 0 … n − 1 in random order."""
    check_device(device)
    n = whole(n, "n", 1, "randperm")
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    kind = as_dtype(dtype, "randperm") or (int64 if out is None else from_numpy(out._array.dtype))
    if kind.category == 3 or kind.name == "bool":
        raise NotImplementedError(f"\"randperm\" not implemented for '{legacy_name(kind)}'")
    if kind.category == 1 and n - 1 > np.iinfo(kind.np).max:
        raise RuntimeError(f"value cannot be converted to type {c_name(kind)} without overflow")
    if kind.category == 2 and kind.name != "bfloat16" and n > 2 ** streams.BITS[kind.name] + 1:
        raise RuntimeError(
            f"n cannot be greater than {2 ** streams.BITS[kind.name] + 1} for {legacy_name(kind)} type."
        )
    order = permutation(source_of(generator, "randperm"), n)
    return finish(order.astype(kind.np), requires_grad, out)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Any = None,
    **options: Any,
) -> Any:
    """N(mean, std²): both numbers with a `size`, or either a tensor."""
    tensors = [v for v in (mean, std) if isinstance(v, Variable)]
    if not all(isinstance(v, (Variable, int, float, np.number)) for v in (mean, std)) or (
        not tensors and not isinstance(size, Iterable)
    ):
        raise no_signature("normal", mean, std, *(() if size is None else (size,)))
    if isinstance(std, Variable):
        if std._array.dtype.kind == "c":
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if not (std._array >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    else:
        check_std(std)
    if not tensors:
        kind = as_dtype(options.get("dtype"), "normal") or defaults.dtype
        source = source_of(generator, "normal")
        drawn = draw_normal(source, shape_of((size,), "normal"), kind, mean, std)
        return finish(drawn, options.get("requires_grad", False), out)
    kind = from_numpy(tensors[0]._array.dtype)
    if kind.category < 2:
        raise NotImplementedError(f"\"normal_kernel_cpu\" not implemented for '{legacy_name(kind)}'")
    try:
        shape = np.broadcast_shapes(*[t._array.shape for t in tensors])
    except ValueError:
        raise broadcast_error(*[t._array.shape for t in tensors]) from None
    drawn = draw_normal(source_of(generator, "normal"), shape, kind)
    scale, shift = (v._array if isinstance(v, Variable) else kind.np.type(v) for v in (std, mean))
    values = np.asarray((drawn * scale + shift).astype(kind.np))
    if out is not None:
        return finish(values, out=out)
    return _normals[isinstance(mean, Variable), isinstance(std, Variable)](*tensors, drawn=values)


def bernoulli(input: Any, p: Any = None, *, generator: Any = None, out: Any = None) -> Any:
    """1 with the probability each element gives (or with probability `p`), else 0."""
    check_tensor(input, "bernoulli")
    array = np.asarray(input._array)
    source = source_of(generator, "bernoulli")
    if p is not None:
        check_probability(p)
        drawn = streams.in_memory_order(array, lambda shape: streams.bernoulli(source, shape, p))
        return finish(drawn.astype(array.dtype), out=out)
    if array.dtype.kind == "c":
        raise NotImplementedError(
            f"\"bernoulli_tensor_cpu_self_\" not implemented for '{legacy_name(array.dtype)}'"
        )
    check_probabilities(array)
    drawn = np.asarray(streams.bernoulli_each(source, array).astype(array.dtype))
    return _bernoulli(input, drawn=drawn) if out is None else finish(drawn, out=out)


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None
) -> Any:
    """Indices of `num_samples` draws from each row's probabilities (of any scale)."""
    check_tensor(input, "multinomial")
    num_samples = whole(num_samples, "num_samples", 2, "multinomial")
    p = input._array
    if p.dtype.kind not in "fV":
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {legacy_name(p.dtype)}"
        )
    if out is not None and out._array.dtype != np.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {legacy_name(out._array.dtype)}")
    if p.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > p.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if p.shape[-1] > 2**24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    wrong = ~(p >= 0) | ~np.isfinite(p)
    if wrong.any():
        if not replacement or num_samples == 1:
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        entry = "= infinity or NaN" if p[wrong][0] >= 0 else "< 0"
        raise RuntimeError(f"invalid multinomial distribution (encountering probability entry {entry})")
    if (np.add.reduce(p, axis=-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    source = source_of(generator, "multinomial")
    return finish(streams.multinomial(source, p, num_samples, replacement), out=out)


def poisson(input: Any, generator: Any = None) -> Any:
    """Poisson counts with the rates given."""
    rates = np.asarray(check_tensor(input, "poisson")._array)
    if rates.dtype.kind not in "fV":
        raise NotImplementedError(f"\"poisson_cpu\" not implemented for '{legacy_name(rates.dtype)}'")
    if not (rates >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    drawn = draw_each(source_of(generator, "poisson"), poissons, rates).astype(rates.dtype)
    return _poisson(input, drawn=np.asarray(drawn))
