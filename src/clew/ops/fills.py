"""Filling tensors with random numbers, in place: methods of `Tensor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clew import streams
from clew.core.inplace import check_write
from clew.core.variable import Variable, wrap
from clew.dtypes import cpp_name, dtype, from_numpy, legacy_name
from clew.ops._arguments import no_signature, plain_number
from clew.ops.sampling import (
    between,
    check_probabilities,
    check_probability,
    check_std,
    draw_normal,
    draw_uniform,
    limits,
    raised,
    source_of,
    whole,
    within,
)


def _in_memory_order(self: Any, draw: Callable[[tuple[int, ...]], np.ndarray]) -> Any:
    """Fill with what `draw(shape)` gives, the first number where the memory begins: transposed tensors, too."""
    return _fill(self, streams.in_memory_order(np.asarray(self._array), draw))


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
    low = plain_number(kwargs.pop("from", from_), "uniform_", "from", 1, "float")
    to = plain_number(to, "uniform_", "to", 2, "float")
    kind = _floating(self, "check_uniform_bounds")
    part = kind.to_real()
    for name, value in (("from", low), ("to", to)):
        within(part, **{name: value})
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={to:g}"
        )
    if to - low > limits(part)[1]:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{legacy_name(part)}>::max(), but found to={to:g} and "
            f"from={low:g} which result in to-from to exceed the limit"
        )
    source = source_of(generator, "uniform_")
    check_write(self)
    return _in_memory_order(self, lambda shape: draw_uniform(source, shape, kind, low, to))


def normal_(self: Any, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
    """Fill from N(mean, std²)."""
    mean = plain_number(mean, "normal_", "mean", 1, "float")
    std = plain_number(std, "normal_", "std", 2, "float")
    kind = _floating(self, "normal_kernel_cpu")
    check_std(std)
    source = source_of(generator, "normal_")
    check_write(self)
    contiguous = self._array.__class__ is not np.ndarray or self._array.flags.c_contiguous
    return _in_memory_order(self, lambda shape: draw_normal(source, shape, kind, mean, std, contiguous))


def _from(kind: dtype, low: int) -> tuple[int, int]:
    """The bounds of the range from `low` to the largest whole number up to which the type holds all."""
    if kind.category == 3:
        raise RuntimeError("random_from_to_impl handles only integral, floating-point and boolean types")
    if kind.category < 2:
        within(kind, **{"from": low})
        return low, int(limits(kind)[1]) + 1
    low, last = raised(kind, low), 2 ** streams.BITS[kind.name]
    if low > last:
        raise RuntimeError(
            "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got "
            f"from={low} > to_inc={last}"
        )
    return low, last + 1


def random_(self: Any, *bounds: Any, generator: Any = None, **kwargs: Any) -> Any:
    """Fill with integers: `random_(from, to)` from [from, to), `random_(to)` from [0, to), `random_(from, None)` from
    `from` to the largest that the type holds, `random_()` from 0 to that."""
    if "from" in kwargs:
        bounds = (kwargs.pop("from"), *bounds, *((kwargs.pop("to"),) if "to" in kwargs else ()))
    elif "to" in kwargs:
        bounds = (*bounds, kwargs.pop("to"))
    if kwargs or len(bounds) > 2 or any(b is not None and not hasattr(b, "__index__") for b in bounds):
        raise no_signature("random_", *bounds, *kwargs.values())
    kind = from_numpy(self._array.dtype)
    source = source_of(generator, "random_")
    if not bounds:
        if kind.category == 3 or kind.name in ("uint16", "uint32", "uint64"):
            raise NotImplementedError(f"\"random_kernel_cpu\" not implemented for '{legacy_name(kind)}'")
        check_write(self)
        return _in_memory_order(self, lambda shape: streams.any_value(source, shape, self._array.dtype))
    if len(bounds) == 2 and bounds[1] is None:
        low, high = _from(kind, whole(bounds[0], "from", 1, "random_"))
    else:
        low, high = between(
            kind, *[whole(b, "to", 1, "random_") for b in (bounds if len(bounds) == 2 else (0, *bounds))]
        )
    check_write(self)
    return _in_memory_order(self, lambda shape: streams.integers(source, shape, low, high))


def bernoulli_(self: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """Fill with 1 with probability p, else 0."""
    kind = from_numpy(self._array.dtype)
    source = source_of(generator, "bernoulli_")
    if isinstance(p, Variable):
        if p._array.shape != self._array.shape:
            p = p.expand(self._array.shape)
        check_probabilities(np.asarray(p._array))
        check_write(self)
        return _fill(self, streams.bernoulli_each(source, np.asarray(p._array)))
    check_probability(p)
    if kind.category == 3:
        raise NotImplementedError(f"\"bernoulli_scalar_cpu_\" not implemented for '{legacy_name(kind)}'")
    check_write(self)
    return _in_memory_order(self, lambda shape: streams.bernoulli(source, shape, p))


def _continuous(self: Any, name: str, type_name: Callable[[Any], str]) -> None:
    """RuntimeError unless the tensor holds floating numbers."""
    kind = from_numpy(self._array.dtype)
    if kind.category != 2:
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {type_name(kind)}"
        )


def exponential_(self: Any, lambd: float = 1.0, *, generator: Any = None) -> Any:
    """Fill from the exponential distribution with rate `lambd`."""
    _continuous(self, "Exponential", legacy_name)
    if not lambd > 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    source = source_of(generator, "exponential_")
    check_write(self)
    return _in_memory_order(self, lambda shape: streams.exponential(source, shape, lambd, self._array.dtype))


def geometric_(self: Any, p: float, *, generator: Any = None) -> Any:
    """Fill with the number of trials until the first success."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    kind = from_numpy(self._array.dtype)
    if kind.category == 3:
        raise NotImplementedError(f"\"geometric_cpu\" not implemented for '{legacy_name(kind)}'")
    source = source_of(generator, "geometric_")
    check_write(self)
    return _in_memory_order(self, lambda shape: streams.geometric(source, shape, p, self._array.dtype))


def cauchy_(self: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Any:
    """Fill from the Cauchy distribution."""
    if not sigma > 0.0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    _continuous(self, "Cauchy", cpp_name)
    source = source_of(generator, "cauchy_")
    check_write(self)
    return _in_memory_order(
        self, lambda shape: streams.cauchy(source, shape, median, sigma, self._array.dtype)
    )


def log_normal_(self: Any, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Any:
    """Fill with exp of N(mean, std²)."""
    if not std > 0.0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    kind = from_numpy(self._array.dtype)
    if kind.category != 2:
        raise NotImplementedError(f"\"log_normal_cpu\" not implemented for '{legacy_name(kind)}'")
    source = source_of(generator, "log_normal_")
    check_write(self)
    return _in_memory_order(
        self, lambda shape: streams.log_normal(source, shape, mean, std, self._array.dtype)
    )
