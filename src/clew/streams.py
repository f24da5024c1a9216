"""PyTorch's CPU random stream, number for number.

The source is the Mersenne Twister (Matsumoto & Nishimura 1998) seeded by `init_genrand`; NumPy's implementation supplies
the raw 32-bit words. What each sampler makes of them, found by experiment against PyTorch 2.13:

| sampler | words an element | how |
|---|---|---|
| uniform float32 / 16-bit | 1 | the low 24 bits over 2²⁴; 16-bit: rounded, and what rounds up to `to` becomes `from` |
| uniform float64 | 2 | the low 53 bits of (first, second) over 2⁵³ |
| normal, fewer than 16 or not contiguous | 4 a pair | Box–Muller in double: cosine first, the sine is kept for the next call |
| normal, 16 or more | 1 (2) | uniforms in blocks of 16: eight radii, eight angles; a last partial block is drawn anew |
| log-normal | 4 a pair | exp of the pairwise normal |
| integers | 1 (2 for ranges from 2²⁸) | word modulo range |
| permutation | 1 | forward Fisher–Yates, word modulo what is left |
| bernoulli with one p | 2 | uniform float64 < p |
| bernoulli with a tensor of p | as uniform | uniform < p |
| exponential, geometric, cauchy | 2 | the inverse of the distribution function, in double |
| multinomial | 2 | with replacement: search in the running sums; else a race of exponentials |
| poisson | 2, as often as needed | products of uniforms under rate 10, else transformed rejection |

Scaling a uniform or a normal is one fused multiply-add, rounded once. The tests compare bits and find all of these
equal. Three reservations: the reference is PyTorch on x86 with AVX2 or AVX-512, whose polynomials for float32 normals
in blocks of 16 are followed here (without those instructions PyTorch itself gives other last bits); float64 values are those of
the machine's C library, whose last bit may differ between systems, in PyTorch as here; and among equal quotients
`multinomial` without replacement goes by index, where PyTorch leaves the order open (seen only in 16-bit types).

Elements are drawn in memory order, not index order: for a transposed tensor draw its memory and view it transposed.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from clew.device import cpu
from clew.device import device as device_of

DEFAULT_SEED = 67280421310721
_STATE_BYTES = 5056
_MASK64 = 2**64 - 1
# Up to 2 to this power a type holds every whole number.
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
_CHUNK = 1 << 10  # blocks of 16 normals computed at a time: their intermediate results stay in the cache


class Generator:
    """A random stream of its own: `Generator().manual_seed(0)`."""

    def __init__(self, device: Any = "cpu") -> None:
        kind = device_of(device).type
        if kind == "cuda":
            raise RuntimeError(
                "Cannot get CUDA generator without ATen_cuda library. clew draws on the CPU: Generator()"
            )
        if kind != "cpu":
            raise RuntimeError(f"Device type {kind.upper()} is not supported for torch.Generator() api.")
        self._lock = threading.Lock()
        self.manual_seed(DEFAULT_SEED)

    @property
    def device(self) -> Any:
        """The CPU."""
        return cpu

    def manual_seed(self, seed: Any) -> Generator:
        """Start the stream anew. ValueError for seeds outside [−2⁶³, 2⁶⁴), RuntimeError for what is no integer."""
        try:
            seed = operator.index(seed)
        except TypeError:
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}") from None
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed & _MASK64
        self._source: Any = None
        self._spare: float | None = None  # the second normal of a pair
        return self

    def initial_seed(self) -> int:
        """The seed the stream started from."""
        return self._seed

    def seed(self) -> int:
        """Start anew from a seed of the system's choosing, and return it."""
        import secrets

        self.manual_seed(secrets.randbits(64))
        return self._seed

    @property
    def _twister(self) -> Any:
        """The source of words, seeded when the first is asked for (`numpy.random` takes a while to import)."""
        if self._source is None:
            self._source = np.random.MT19937()
            self._source._legacy_seeding(self._seed & 0xFFFFFFFF)
        return self._source

    # ---- raw words ---------------------------------------------------------------------------------------------------
    def words(self, n: int) -> np.ndarray:
        """The next n 32-bit words, as uint64."""
        return self._twister.random_raw(n)

    def wide_words(self, n: int) -> np.ndarray:
        """The next n 64-bit words: of two 32-bit ones the first is the higher half."""
        pairs = self._twister.random_raw(2 * n)
        return (pairs[0::2] << np.uint64(32)) | pairs[1::2]

    def doubles(self, n: int) -> np.ndarray:
        """The next n uniform float64 in [0, 1)."""
        return (self.wide_words(n) & np.uint64(2**53 - 1)) * 2.0**-53

    def go_on_from(self, before: Any, count: int) -> None:
        """Stand `count` 32-bit words after the place where `raw_words_state` was asked for."""
        self._twister.state = before
        self._twister.random_raw(count, output=False)

    def raw_words_state(self) -> Any:
        """Where the source of words stands, for `go_on_from`."""
        return self._twister.state

    # ---- state -------------------------------------------------------------------------------------------------------
    def raw_state(self) -> np.ndarray:
        """The state as PyTorch lays it out: 5,056 bytes."""
        inner = self._twister.state["state"]
        position = int(inner["pos"])
        state = np.zeros(_STATE_BYTES, dtype=np.uint8)
        # Just seeded and at the end of a block both stand at 624 here; PyTorch tells them apart.
        fresh = position == 624 and np.array_equal(inner["key"], self._seeded_key())
        state[0:8].view(np.uint64)[0] = self._seed
        state[8:12].view(np.int32)[0] = 1 if fresh else 625 - position
        state[12:16].view(np.int32)[0] = 1
        state[16:24].view(np.uint64)[0] = 0 if fresh else position
        state[24 : 24 + 624 * 8].view(np.uint64)[:] = inner["key"]
        if self._spare is not None:
            state[5024:5032].view(np.float64)[0] = self._spare
            state[5040:5044].view(np.int32)[0] = 1
        return state

    def _seeded_key(self) -> np.ndarray:
        twister = np.random.MT19937(0)
        twister._legacy_seeding(self._seed & 0xFFFFFFFF)
        return twister.state["state"]["key"]

    def set_raw_state(self, state: np.ndarray) -> None:
        """Take a state back; RuntimeError where it is not one."""
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != _STATE_BYTES:
            raise RuntimeError(f"Expected a CPUGeneratorImplState of size {_STATE_BYTES} but found the input RNG state size to be {state.size}")  # fmt: skip
        state = np.ascontiguousarray(state).reshape(-1)
        left, following = int(state[8:12].view(np.int32)[0]), int(state[16:24].view(np.uint64)[0])
        if not state[12:16].view(np.int32)[0] or not 0 < left <= 624 or following > 624:
            raise RuntimeError("Invalid mt19937 state")
        position = 624 if left == 1 else following
        key = state[24 : 24 + 624 * 8].view(np.uint64).astype(np.uint32)
        self._twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}
        self._seed = int(state[0:8].view(np.uint64)[0])
        valid = bool(state[5040:5044].view(np.int32)[0])
        self._spare = float(state[5024:5032].view(np.float64)[0]) if valid else None

    def get_state(self) -> Any:
        """The state as a uint8 tensor."""
        from clew.core.variable import wrap

        return wrap(self.raw_state())

    def set_state(self, new_state: Any) -> Generator:
        """Take a state from `get_state` back."""
        if not hasattr(new_state, "_array"):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        self.set_raw_state(new_state._array)
        return self

    def clone_state(self) -> Generator:
        """A generator that goes on from here by itself."""
        other = Generator()
        other.set_raw_state(self.raw_state())
        return other

    def get_offset(self) -> int:
        """Streams of GPUs have an offset; this one has not: RuntimeError."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> Generator:
        """As `get_offset`: RuntimeError."""
        raise RuntimeError("CPU Generator does not use offset")

    def graphsafe_get_state(self) -> Generator:
        """For graphs of a GPU: NotImplementedError."""
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, state: Generator) -> Generator:
        """For graphs of a GPU: NotImplementedError."""
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def __repr__(self) -> str:
        return f"<torch._C.Generator object at {id(self):#x}>"

    def __reduce__(self) -> Any:
        return _restore, (self.raw_state(),)


def _restore(state: np.ndarray) -> Generator:
    generator = Generator()
    generator.set_raw_state(state)
    return generator


default_generator = Generator()


# ---- rounding ----------------------------------------------------------------------------------------------------------
def _round_to(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Doubles as a tensor's type. 16-bit types are reached by way of float32, as PyTorch's conversions go."""
    if dtype.itemsize == 2 and dtype.kind != "i":
        with np.errstate(over="ignore"):
            return values.astype(np.float32).astype(dtype)
    return values.astype(dtype, copy=False)


def _fma(a: Any, b: Any, c: Any) -> np.ndarray:
    """a·b + c of float32 values, rounded once to float32: the product is exact in double."""
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)


def _fma_wide(a: np.ndarray, b: float, c: float) -> np.ndarray:
    """a·b + c in float64, rounded once: the errors of product and sum (Dekker 1971, Knuth) are added at the end."""
    if np.ndim(c) == 0 and c == 0.0:
        return a * b + c
    split = 2.0**27 + 1.0
    a_high, b_high = split * a - (split * a - a), split * b - (split * b - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    lost = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    total = product + c
    part = total - product
    return total + ((product - (total - part)) + (c - part) + lost)


def fused(a: np.ndarray, b: Any, c: Any) -> np.ndarray:
    """a·b + c of float32 or float64 values, rounded once."""
    return _fma(a, b, c) if a.dtype == np.float32 else _fma_wide(a, b, c)


def _scale(values: np.ndarray, factor: float, shift: float) -> np.ndarray:
    """values · factor + shift in the type of `values`, rounded once."""
    if factor == 1.0 and shift == 0.0:
        return values
    if values.dtype == np.float64:
        return _fma_wide(values, factor, shift)
    return _fma(values, np.float32(factor), np.float32(shift))


def _apply(function: Callable[[float], float], values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """`math`'s function of each double.

    NumPy's is several times faster but may miss the C library's last bit, so it serves only results that are rounded
    to a shorter type afterwards.
    """
    if dtype != np.float64:
        return getattr(np, function.__name__)(values)
    flat = values.ravel().tolist()
    return np.fromiter(map(function, flat), dtype=np.float64, count=len(flat)).reshape(values.shape)


def memory_order(array: np.ndarray) -> list[int] | None:
    """The dimensions from the slowest to the fastest in memory; None where that is their own order."""
    if array.ndim < 2 or array.flags.c_contiguous or 0 in array.strides:
        return None
    order = sorted(range(array.ndim), key=lambda d: -array.strides[d])
    return None if order == list(range(array.ndim)) else order


def in_memory_order(like: np.ndarray, draw: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
    """What `draw(shape)` gives for the memory of `like`, the first number where that begins, in the shape of `like`."""
    order = memory_order(like)
    if order is None:
        return draw(like.shape)
    return draw(tuple([like.shape[d] for d in order])).transpose(np.argsort(order))


# ---- samplers: each returns a fresh array, drawn as PyTorch draws it ---------------------------------------------------
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def uniform(
    generator: Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """U[low, high)."""
    n = math.prod(shape)
    if dtype == np.float64:
        return _scale(generator.doubles(n), high - low, low).reshape(shape)
    values = (generator.words(n) & np.uint64(2**24 - 1)).astype(np.float32)
    values *= np.float32(2.0**-24)
    first, end = np.float32(low), np.float32(high)
    values = _scale(values, float(end - first), float(first)).reshape(shape)
    if dtype == np.float32:
        return values
    rounded = values.astype(dtype)
    rounded[rounded == end.astype(dtype)] = first.astype(dtype)  # rounding must not reach the open end
    return rounded


def normal(
    generator: Generator, shape: tuple[int, ...], dtype: np.dtype[Any], mean: float = 0.0, std: float = 1.0, contiguous: bool = True,
    kernel: Callable[[np.ndarray, float, float], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """N(mean, std²) (Box & Muller 1958). What fills a tensor that is not contiguous is drawn another way.

    kernel: what makes normals of float32 uniforms in the place of `_box_muller`.
    """
    n = math.prod(shape)
    if n < 16:
        return _round_to(
            _scale(np.array([one_normal(generator) for _ in range(n)]), std, mean), dtype
        ).reshape(shape)
    if not contiguous:
        return _round_to(_pairwise_normals(generator, n, mean, std, dtype), dtype).reshape(shape)
    work = _FLOAT64 if dtype == np.float64 else _FLOAT32
    whole = n - n % 16
    values = np.empty(n, dtype=work)
    # The last block overlaps the one before. In the 16-bit types the values it replaces are not even drawn.
    values[:whole] = uniform(generator, (n if dtype.itemsize > 2 else whole,), work)[:whole]
    blocks = values[:whole].reshape(-1, 16)
    if kernel is not None and work is _FLOAT32:
        kernel(blocks, mean, std)
    else:
        for start in range(0, len(blocks), _CHUNK):
            _box_muller(blocks[start : start + _CHUNK], mean, std)
    if n % 16:
        tail = uniform(generator, (1, 16), work)
        _box_muller(tail, mean, std)
        values[n - 16 :] = tail[0]
    return values.astype(dtype, copy=False).reshape(shape)


def _box_muller(blocks: np.ndarray, mean: float, std: float) -> None:
    """Uniforms to normals, in place: columns 0–7 give the radii, columns 8–15 the angles."""
    kind = blocks.dtype.type
    inner, angle = 1 - blocks[:, :8], kind(2 * math.pi) * blocks[:, 8:]
    if kind is np.float32:
        radius = np.sqrt(kind(-2) * _log32(inner))
        sine, cosine = _sin_cos32(angle)
    else:
        radius = np.sqrt(-2.0 * _apply(math.log, inner, _FLOAT64))
        sine, cosine = _apply(math.sin, angle, _FLOAT64), _apply(math.cos, angle, _FLOAT64)
    blocks[:, :8] = _scale(radius * cosine, std, mean)
    blocks[:, 8:] = _scale(radius * sine, std, mean)


def _constants(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(v) for v in values)


# Minimax polynomials of the Cephes library (Moshier 1989), in single precision: log(1 + x) from the eighth power down,
# the two halves of log 2, the three parts of π/4, then sine and cosine on [−π/4, π/4].
LOG = _constants(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
LOG2_LOW, LOG2_HIGH, ROOT_HALF = _constants(-2.12194440e-4, 0.693359375, 0.5**0.5)
QUARTER_PI = _constants(-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
SINE = _constants(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COSINE = _constants(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_HALF, FOUR_OVER_PI = _constants(0.5, 4 / math.pi)


def _polynomial(coefficients: tuple[np.float32, ...], x: np.ndarray) -> np.ndarray:
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = _fma(total, x, coefficient)
    return total


def _log32(x: np.ndarray) -> np.ndarray:
    """log x of float32 values in (0, 1], with the rounding of PyTorch's vector code."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < ROOT_HALF
    power = (exponent - small).astype(np.float32)
    x = (mantissa - np.float32(1)) + np.where(small, mantissa, np.float32(0))
    square = x * x
    tail = _fma(_polynomial(LOG, x) * x, square, power * LOG2_LOW)
    return _fma(power, LOG2_HIGH, x + _fma(square, -_HALF, tail))


def _sin_cos32(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of float32 values in [0, 2π], with the rounding of PyTorch's vector code."""
    octant = (x * FOUR_OVER_PI).astype(np.int32)
    octant = (octant + 1) & ~1
    turns = octant.astype(np.float32)
    for part in QUARTER_PI:
        x = _fma(turns, part, x)
    square = x * x
    cosine = _fma(_polynomial(COSINE, square) * square, square, -(square * _HALF)) + np.float32(1)
    sine = _fma(_polynomial(SINE, square) * square, x, x)
    swapped = (octant & 2) != 0
    sine, cosine = np.where(swapped, cosine, sine), np.where(swapped, sine, cosine)
    np.negative(sine, where=(octant & 4) != 0, out=sine)
    np.negative(cosine, where=((octant + 2) & 4) != 0, out=cosine)
    return sine, cosine


def one_normal(generator: Generator) -> float:
    """One N(0, 1) value in double precision; every second one is the kept half of a pair."""
    spare = generator._spare
    if spare is not None:
        generator._spare = None
        return spare
    a, b, c, d = generator.words(4).tolist()
    u1, u2 = ((a << 32 | b) & (2**53 - 1)) * 2.0**-53, ((c << 32 | d) & (2**53 - 1)) * 2.0**-53
    radius = math.sqrt(-2.0 * math.log1p(-u2))
    generator._spare = radius * math.sin(2.0 * math.pi * u1)
    return radius * math.cos(2.0 * math.pi * u1)


def _pairwise_normals(
    generator: Generator, n: int, mean: float, std: float, dtype: np.dtype[Any]
) -> np.ndarray:
    """What n calls of `one_normal` give, times std plus mean, in float64."""
    values = np.empty(n)
    done = 0
    if n and generator._spare is not None:
        values[0] = one_normal(generator)
        done = 1
    pairs = (n - done) // 2
    u1, u2 = generator.doubles(2 * pairs).reshape(pairs, 2).T
    radius = np.sqrt(-2.0 * _apply(math.log1p, -u2, dtype))
    angle = 2.0 * math.pi * u1
    both = values[done : done + 2 * pairs].reshape(pairs, 2)
    both[:, 0] = radius * _apply(math.cos, angle, dtype)
    both[:, 1] = radius * _apply(math.sin, angle, dtype)
    if done + 2 * pairs < n:
        values[-1] = one_normal(generator)
    return _scale(values, std, mean)


def log_normal(
    generator: Generator, shape: tuple[int, ...], mean: float, std: float, dtype: np.dtype[Any] = _FLOAT64
) -> np.ndarray:  # fmt: skip
    """exp of N(mean, std²)."""
    drawn = _pairwise_normals(generator, math.prod(shape), mean, std, dtype)
    return _round_to(_apply(math.exp, drawn, dtype), dtype).reshape(shape)


def integers(generator: Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Uniform integers in [low, high), as int64."""
    n, span = math.prod(shape), high - low
    if span > _MASK64:  # all of int64: the words as they come
        return generator.wide_words(n).view(np.int64).reshape(shape)
    words = generator.wide_words(n) if span >= 2**28 else generator.words(n)
    words %= np.uint64(span)
    words += np.uint64(low & _MASK64)  # two's complement: wraps to the right negative number
    return words.view(np.int64).reshape(shape)


def any_value(generator: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """`random_()` without bounds: 0 to the largest whole number up to which the type holds all."""
    n = math.prod(shape)
    if dtype.name in ("float64", "int64"):
        limit = 2 ** BITS["float64"] + 1 if dtype.name == "float64" else 2**63
        return (generator.wide_words(n) % np.uint64(limit)).astype(dtype).reshape(shape)
    words = generator.words(n)
    if dtype.name in BITS:
        return (words % np.uint64(2 ** BITS[dtype.name] + 1)).astype(dtype).reshape(shape)
    if dtype.kind == "b":
        return (words & np.uint64(1)).astype(bool).reshape(shape)
    return (words % np.uint64(int(np.iinfo(dtype).max) + 1)).astype(dtype).reshape(shape)


def bernoulli(generator: Generator, shape: tuple[int, ...], p: float) -> np.ndarray:
    """True with probability p."""
    return (generator.doubles(math.prod(shape)) < p).reshape(shape)


def bernoulli_each(generator: Generator, p: np.ndarray) -> np.ndarray:
    """True with each element's own probability."""
    if p.dtype == np.float64:
        return generator.doubles(p.size).reshape(p.shape) < p
    return uniform(generator, p.shape, _FLOAT32) < p


def exponential(
    generator: Generator, shape: tuple[int, ...], rate: float = 1.0, dtype: np.dtype[Any] = _FLOAT64
) -> np.ndarray:  # fmt: skip
    """−log(1 − u) / rate."""
    logs = _apply(math.log1p, -generator.doubles(math.prod(shape)), dtype)
    return _round_to(-1.0 / rate * logs, dtype).reshape(shape)


def geometric(
    generator: Generator, shape: tuple[int, ...], p: float, dtype: np.dtype[Any] = _FLOAT64
) -> np.ndarray:  # fmt: skip
    """⌈log(u) / log(1 − p)⌉."""
    u, scale = generator.doubles(math.prod(shape)), math.log1p(-p)
    with np.errstate(divide="ignore"):
        waits = np.log(u) / scale
    # The ceiling shows a last bit at any precision: beside whole numbers the C library's logarithm decides.
    close = np.flatnonzero(np.abs(waits - np.rint(waits)) <= 1e-9 * waits)
    waits[close] = _apply(math.log, u[close], _FLOAT64) / scale
    return _round_to(np.ceil(waits), dtype).reshape(shape)


def cauchy(
    generator: Generator, shape: tuple[int, ...], median: float, sigma: float, dtype: np.dtype[Any] = _FLOAT64
) -> np.ndarray:  # fmt: skip
    """median + σ tan(π (u − ½))."""
    tangent = _apply(math.tan, math.pi * (generator.doubles(math.prod(shape)) - 0.5), dtype)
    return _round_to(median + sigma * tangent, dtype).reshape(shape)


def multinomial(generator: Generator, p: np.ndarray, count: int, replacement: bool) -> np.ndarray:
    """Indices drawn in proportion to the rows of p (any positive scale), as int64.

    Without replacement, equal quotients (common in the 16-bit types) come in index order; PyTorch leaves theirs open.
    """
    rows = p.reshape(-1, p.shape[-1])
    if not replacement or count == 1:
        # Largest p / E with E exponential: the race of Efraimidis & Spirakis 2006.
        with np.errstate(divide="ignore", over="ignore"):
            race = rows / in_memory_order(rows, lambda shape: exponential(generator, shape, 1.0, rows.dtype))
        if count == 1:
            chosen = race.argmax(-1)[:, None]
        else:
            chosen = np.argsort(-race, axis=-1, kind="stable")[:, :count]
    else:
        totals = np.add.accumulate(rows.astype(np.float32) if rows.dtype.itemsize == 2 else rows, axis=-1)
        totals /= totals[:, -1:]
        draws = generator.doubles(rows.shape[0] * count).reshape(rows.shape[0], count)
        totals = totals.astype(np.float64)
        if rows.shape[1] < rows.shape[0]:  # how many sums each number exceeds, a category at a time
            chosen = np.zeros(draws.shape, np.int64)
            for k in range(rows.shape[1]):
                chosen += totals[:, k : k + 1] < draws
        else:
            chosen = np.stack(
                [np.searchsorted(t, d, side="left") for t, d in zip(totals, draws, strict=True)]
            )
    return chosen.astype(np.int64).reshape(*p.shape[:-1], count)
