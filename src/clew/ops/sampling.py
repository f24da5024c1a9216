"""Random tensors: PyTorch's functions over the streams of clew.random."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from clew import random as streams
from clew.core.inplace import check_write
from clew.core.variable import Variable, wrap
from clew.device import check as check_device
from clew.dtypes import defaults, dtype, from_numpy, int64, legacy_name
from clew.ops._arguments import check_tensor, sizes
from clew.ops.create import as_dtype, finish

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


def _source(generator: Any) -> Any:
    return streams.default_generator if generator is None else generator


# ---- new tensors ----------------------------------------------------------------------------------------------------
def _draw_normal(
    source: Any, shape: tuple[int, ...], kind: dtype, mean: float = 0.0, std: float = 1.0
) -> np.ndarray:
    if kind.is_complex:
        parts = streams.normal(source, (math.prod(shape) * 2,), kind.to_real().np, mean, std / math.sqrt(2.0))
        return parts.view(kind.np).reshape(shape)
    return streams.normal(source, shape, kind.np, mean, std)


def _draw_uniform(source: Any, shape: tuple[int, ...], kind: dtype) -> np.ndarray:
    if kind.is_complex:
        return (
            streams.uniform(source, (math.prod(shape) * 2,), kind.to_real().np).view(kind.np).reshape(shape)
        )
    return streams.uniform(source, shape, kind.np)


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
            size = (kwargs["size"],)
        kind = check(as_dtype(dtype) or defaults.dtype)
        shape = sizes(size)
        if any(n < 0 for n in shape):
            raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
        return finish(draw(_source(generator), shape, kind), requires_grad, out)

    def new_like(
        input: Any, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, memory_format: Any = None,
    ) -> Any:  # fmt: skip
        kind = check(as_dtype(dtype) or from_numpy(check_tensor(input, name + "_like")._array.dtype))
        return finish(draw(_source(generator), input._array.shape, kind), requires_grad)

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"A tensor of shape `size` drawn from {doc}."
    new_like.__name__ = new_like.__qualname__ = name + "_like"
    new_like.__doc__ = f"A tensor of `input`'s shape and type drawn from {doc}."
    return new, new_like


rand, rand_like = _new("rand", _draw_uniform, "U[0, 1)")
randn, randn_like = _new("randn", _draw_normal, "N(0, 1)")


def randint(
    low: Any, high: Any = None, size: Any = None, *, generator: Any = None, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """Integers drawn uniformly from [low, high): `randint(high, size)` or `randint(low, high, size)`."""
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    low, high = operator.index(low), operator.index(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    kind = as_dtype(dtype) or int64
    drawn = streams.integers(_source(generator), sizes((size,)), low, high)
    return finish(drawn.astype(kind.np), requires_grad, out)


def randint_like(
    input: Any, low: Any, high: Any = None, *, generator: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """Integers drawn uniformly from [low, high), in `input`'s shape and type."""
    low, high = (0, low) if high is None else (low, high)
    kind = as_dtype(dtype) or from_numpy(input._array.dtype)
    return randint(
        low, high, input._array.shape, generator=generator, dtype=kind, requires_grad=requires_grad
    )


def randperm(
    n: int, *, generator: Any = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """The numbers 0 … n − 1 in random order."""
    check_device(device)
    n = operator.index(n)
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    order = streams.permutation(_source(generator), n)
    return finish(order.astype((as_dtype(dtype) or int64).np), requires_grad, out)


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
    if isinstance(std, Variable) and (std._array < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not isinstance(std, Variable) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if not tensors:
        kind = as_dtype(options.get("dtype")) or defaults.dtype
        drawn = _draw_normal(_source(generator), sizes((size,)), kind, mean, std)
        return finish(drawn, options.get("requires_grad", False), out)
    shape = np.broadcast_shapes(*[t._array.shape for t in tensors])
    kind = from_numpy(tensors[0]._array.dtype)
    drawn = _draw_normal(_source(generator), shape, kind)
    scale, shift = (v._array if isinstance(v, Variable) else kind.np.type(v) for v in (std, mean))
    return finish((drawn * scale + shift).astype(kind.np), out=out)


def bernoulli(input: Any, p: Any = None, *, generator: Any = None, out: Any = None) -> Any:
    """1 with the probability each element gives (or with probability `p`), else 0."""
    check_tensor(input, "bernoulli")
    array = np.asarray(input._array)
    if p is not None:
        return finish(streams.bernoulli(_source(generator), array.shape, p).astype(array.dtype), out=out)
    if ((array < 0) | (array > 1)).any():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return finish(streams.bernoulli_each(_source(generator), array).astype(array.dtype), out=out)


def bernoulli_mask(shape: tuple[int, ...], p: float, array_dtype: Any, scaled: bool = True) -> Any:
    """Dropout's mask: 1 (or 1 / p) with probability p, else 0."""
    kept = streams.bernoulli(streams.default_generator, shape, p).astype(array_dtype)
    if scaled:
        kept /= array_dtype.type(p)
    return wrap(kept if kept.ndim else kept[()])


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None
) -> Any:
    """Indices of `num_samples` draws from each row's probabilities (of any scale)."""
    check_tensor(input, "multinomial")
    p = input._array
    if p.dtype.kind not in "fV":
        raise RuntimeError(
            "Expected object of scalar type float or double but got scalar type " + legacy_name(p.dtype)
        )
    if p.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > p.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if not np.isfinite(p).all() or (p < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (np.add.reduce(p, axis=-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    return finish(streams.multinomial(_source(generator), p, num_samples, replacement), out=out)


def poisson(input: Any, generator: Any = None) -> Any:
    """Poisson counts with the rates given."""
    return finish(streams.poisson(_source(generator), np.asarray(input._array)).astype(input._array.dtype))


# ---- filling in place -----------------------------------------------------------------------------------------------
def _fill(self: Any, values: np.ndarray) -> Any:
    """Write drawn values: the tensor's history ends here, as PyTorch has it for random fills."""
    from clew.core.inplace import write

    check_write(self)
    kept = wrap(values.astype(self._array.dtype, copy=False))
    if self._edge is not None:
        kept = self * 0 + kept
    return write(self, kept)


def _floating(self: Any, kernel: str) -> dtype:
    kind = from_numpy(self._array.dtype)
    if kind.category < 2:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(kind)}'")
    return kind


def uniform_(self: Any, from_: float = 0.0, to: float = 1.0, *, generator: Any = None, **kwargs: Any) -> Any:
    """Fill from U[from, to)."""
    low = kwargs.pop("from", from_)
    kind = _floating(self, "check_uniform_bounds")
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={to:g}"
        )
    check_write(self)
    return _fill(self, streams.uniform(_source(generator), self._array.shape, kind.np, low, to))


def normal_(self: Any, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
    """Fill from N(mean, std²)."""
    kind = _floating(self, "normal_kernel_cpu")
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    check_write(self)
    return _fill(self, _draw_normal(_source(generator), self._array.shape, kind, mean, std))


def random_(
    self: Any, from_: int | None = None, to: int | None = None, *, generator: Any = None, **kwargs: Any
) -> Any:
    """Fill with integers from [from, to), from [0, to), or from all the type can hold."""
    low = kwargs.pop("from", from_)
    check_write(self)
    source = _source(generator)
    if low is None and to is None:
        return _fill(self, streams.any_value(source, self._array.shape, self._array.dtype))
    low, high = (0, low) if to is None else (low, to)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    return _fill(self, streams.integers(source, self._array.shape, low, high))


def bernoulli_(self: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """Fill with 1 with probability p, else 0."""
    check_write(self)
    if isinstance(p, Variable):
        return _fill(
            self, streams.bernoulli_each(_source(generator), np.broadcast_to(p._array, self._array.shape))
        )
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    return _fill(self, streams.bernoulli(_source(generator), self._array.shape, p))


def exponential_(self: Any, lambd: float = 1.0, *, generator: Any = None) -> Any:
    """Fill from the exponential distribution with rate `lambd`."""
    _floating(self, "exponential_cpu")
    if lambd <= 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    check_write(self)
    return _fill(self, streams.exponential(_source(generator), self._array.shape, lambd, self._array.dtype))


def geometric_(self: Any, p: float, *, generator: Any = None) -> Any:
    """Fill with the number of trials until the first success."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    check_write(self)
    return _fill(self, streams.geometric(_source(generator), self._array.shape, p, self._array.dtype))


def cauchy_(self: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Any:
    """Fill from the Cauchy distribution."""
    _floating(self, "cauchy_cpu")
    if sigma <= 0.0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    check_write(self)
    return _fill(
        self, streams.cauchy(_source(generator), self._array.shape, median, sigma, self._array.dtype)
    )


def log_normal_(self: Any, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Any:
    """Fill with exp of N(mean, std²)."""
    _floating(self, "log_normal_cpu")
    if std <= 0.0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    check_write(self)
    return _fill(
        self, streams.log_normal(_source(generator), self._array.shape, mean, std, self._array.dtype)
    )
