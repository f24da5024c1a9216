"""PyTorch's CPU random stream, number for number.

The source is the Mersenne Twister (Matsumoto & Nishimura 1998) seeded by `init_genrand`; NumPy's implementation supplies
the raw 32-bit words. What each sampler makes of them, found by experiment against PyTorch 2.13:

| sampler | words an element | how |
|---|---|---|
| uniform float32 / 16-bit | 1 | the low 24 bits over 2²⁴, then rounded to the type |
| uniform float64 | 2 | the low 53 bits of (first, second) over 2⁵³ |
| normal, fewer than 16 | 4 a pair | Box–Muller in double: cosine first, the sine is kept for the next call |
| normal, 16 or more | 1 (2) | uniforms in blocks of 16: eight radii, eight angles; a last partial block is drawn anew |
| integers | 1 (2 for ranges from 2³²) | word modulo range |
| permutation | 1 | forward Fisher–Yates, word modulo what is left |
| bernoulli with one p | 2 | uniform float64 < p |
| bernoulli with a tensor of p | as uniform | uniform < p |
| exponential, geometric, cauchy | 2 | the inverse of the distribution function, in double |

Normal float32 values in blocks of 16 can differ from PyTorch's in the last bit: there PyTorch uses its own vector
approximations of log, sin and cos.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

DEFAULT_SEED = 67280421310721
_STATE_BYTES = 5056
_MASK64 = 2**64 - 1
_BITS = {"float16": 11, "bfloat16": 8, "float32": 24}


class Generator:
    """A random stream of its own: `Generator().manual_seed(0)`."""

    def __init__(self, device: Any = "cpu") -> None:
        kind = str(device).partition(":")[0]
        if kind != "cpu":
            raise RuntimeError(f"Device type {kind.upper()} is not supported for torch.Generator() api.")
        self._lock = threading.Lock()
        self._twister = np.random.MT19937()
        self.manual_seed(DEFAULT_SEED)

    @property
    def device(self) -> Any:
        """The CPU."""
        from clew.device import cpu

        return cpu

    def manual_seed(self, seed: Any) -> Generator:
        """Start the stream anew. RuntimeError for seeds outside [−2⁶³, 2⁶⁴)."""
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError("Overflow when unpacking long long")
        self._seed = seed & _MASK64
        self._twister._legacy_seeding(self._seed & 0xFFFFFFFF)  # type: ignore[attr-defined]
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

    # ---- raw words ---------------------------------------------------------------------------------------------------
    def words(self, n: int) -> np.ndarray:
        """The next n 32-bit words, as uint64."""
        return self._twister.random_raw(n)

    def doubles(self, n: int) -> np.ndarray:
        """The next n uniform float64 in [0, 1)."""
        pairs = self._twister.random_raw(2 * n)
        wide = ((pairs[0::2] << np.uint64(32)) | pairs[1::2]) & np.uint64(2**53 - 1)
        return wide * 2.0**-53

    # ---- state -------------------------------------------------------------------------------------------------------
    def raw_state(self) -> np.ndarray:
        """The state as PyTorch lays it out: 5,056 bytes."""
        inner = self._twister.state["state"]
        position = int(inner["pos"])
        state = np.zeros(_STATE_BYTES, dtype=np.uint8)
        fresh = position == 624
        state[0:8].view(np.uint64)[0] = self._seed
        state[8:12].view(np.int32)[0] = 1 if fresh else 625 - position
        state[12:16].view(np.int32)[0] = 1
        state[16:24].view(np.uint64)[0] = 0 if fresh else position
        state[24 : 24 + 624 * 8].view(np.uint64)[:] = inner["key"]
        if self._spare is not None:
            state[5024:5032].view(np.float64)[0] = self._spare
            state[5040:5044].view(np.int32)[0] = 1
        return state

    def set_raw_state(self, state: np.ndarray) -> None:
        """Take a state back; RuntimeError where it is not one."""
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != _STATE_BYTES:
            raise RuntimeError(f"Expected either a CPUGeneratorImplStateLegacy of size 5048 or a CPUGeneratorImplState of size {_STATE_BYTES} but found the input RNG state size to be {state.size}")  # fmt: skip
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

    def set_state(self, new_state: Any) -> None:
        """Take a state from `get_state` back."""
        if not hasattr(new_state, "_array"):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        self.set_raw_state(new_state._array)

    def clone_state(self) -> Generator:
        """A generator that goes on from here by itself."""
        other = Generator()
        other.set_raw_state(self.raw_state())
        return other

    def __repr__(self) -> str:
        return f"<torch._C.Generator object at {id(self):#x}>"

    def __reduce__(self) -> Any:
        return _restore, (self.raw_state(),)


def _restore(state: np.ndarray) -> Generator:
    generator = Generator()
    generator.set_raw_state(state)
    return generator


default_generator = Generator()


# ---- samplers: each returns a fresh array, drawn as PyTorch draws it ---------------------------------------------------
def uniform(generator: Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """U[low, high)."""
    n = math.prod(shape)
    if dtype.name == "float64":
        values = generator.doubles(n)
        return (values * (high - low) + low).reshape(shape)
    work = np.float32
    values = (generator.words(n) & np.uint64(2**24 - 1)).astype(work) * work(2.0**-24)
    if low != 0.0 or high != 1.0:
        values = values * (work(high) - work(low)) + work(low)
    return values.astype(dtype, copy=False).reshape(shape)


def normal(generator: Generator, shape: tuple[int, ...], dtype: np.dtype[Any], mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """N(mean, std²)."""
    n = math.prod(shape)
    if n < 16:
        return np.array([one_normal(generator) * std + mean for _ in range(n)]).astype(dtype).reshape(shape)
    work = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    whole = n - n % 16
    if dtype.itemsize == 2:  # the values that the last block replaces are not even drawn
        values = np.empty(n, dtype=work)
        values[:whole] = uniform(generator, (whole,), work)
    else:
        values = uniform(generator, (n,), work)
    _box_muller(values[:whole].reshape(-1, 16), mean, std)
    if n % 16:
        tail = uniform(generator, (16,), work).reshape(1, 16)
        _box_muller(tail, mean, std)
        values[n - 16 :] = tail[0]
    return values.astype(dtype, copy=False).reshape(shape)


def _box_muller(blocks: np.ndarray, mean: float, std: float) -> None:
    """Uniforms to normals, in place: columns 0–7 give the radii, columns 8–15 the angles (Box & Muller 1958)."""
    kind = blocks.dtype.type
    radius = np.sqrt(kind(-2) * np.log(1 - blocks[:, :8]))
    angle = kind(2 * math.pi) * blocks[:, 8:]
    cosine, sine = radius * np.cos(angle), radius * np.sin(angle)
    blocks[:, :8] = cosine * kind(std) + kind(mean)
    blocks[:, 8:] = sine * kind(std) + kind(mean)


def one_normal(generator: Generator) -> float:
    """One N(0, 1) value in double precision; every second one is the kept half of a pair."""
    spare = generator._spare
    if spare is not None:
        generator._spare = None
        return spare
    u1, u2 = generator.doubles(2).tolist()
    radius = math.sqrt(-2.0 * math.log1p(-u2))
    generator._spare = radius * math.sin(2.0 * math.pi * u1)
    return radius * math.cos(2.0 * math.pi * u1)


def integers(generator: Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Uniform integers in [low, high), as int64."""
    n, span = math.prod(shape), high - low
    if span >= 2**32:
        pairs = generator.words(2 * n)
        wide = (pairs[0::2] << np.uint64(32)) | pairs[1::2]
        drawn = wide % np.uint64(span) if span <= _MASK64 else wide
        return (drawn.astype(np.int64) + np.int64(low)).reshape(shape)
    return ((generator.words(n) % np.uint64(span)).astype(np.int64) + low).reshape(shape)


def any_value(generator: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """`random_()` without bounds: 0 to the largest whole number the type holds exactly."""
    n = math.prod(shape)
    if dtype.name in ("float64", "int64"):
        pairs = generator.words(2 * n)
        wide = (pairs[0::2] << np.uint64(32)) | pairs[1::2]
        limit = 2**53 + 1 if dtype.name == "float64" else 2**63
        return (wide % np.uint64(limit)).astype(dtype).reshape(shape)
    words = generator.words(n)
    if dtype.name in _BITS:
        return (words % np.uint64(2 ** _BITS[dtype.name] + 1)).astype(dtype).reshape(shape)
    if dtype.kind == "b":
        return (words & np.uint64(1)).astype(bool).reshape(shape)
    return (words % np.uint64(int(np.iinfo(dtype).max) + 1)).astype(dtype).reshape(shape)


def permutation(generator: Generator, n: int) -> np.ndarray:
    """The numbers 0 … n − 1 in random order (Fisher & Yates, as Durstenfeld 1964). One swap after the other."""
    order = list(range(n))
    if n > 1:
        steps = (generator.words(n - 1) % np.arange(n, 1, -1, dtype=np.uint64)).tolist()
        for i, step in enumerate(steps):
            j = i + step
            order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def bernoulli(generator: Generator, shape: tuple[int, ...], p: float) -> np.ndarray:
    """True with probability p."""
    return (generator.doubles(math.prod(shape)) < p).reshape(shape)


def bernoulli_each(generator: Generator, p: np.ndarray) -> np.ndarray:
    """True with each element's own probability."""
    if p.dtype.name == "float64":
        return generator.doubles(p.size).reshape(p.shape) < p
    return uniform(generator, p.shape, np.dtype(np.float32)) < p


def exponential(generator: Generator, shape: tuple[int, ...], rate: float = 1.0) -> np.ndarray:
    """−log(1 − u) / rate, in float64."""
    return (-1.0 / rate * np.log1p(-generator.doubles(math.prod(shape)))).reshape(shape)


def geometric(generator: Generator, shape: tuple[int, ...], p: float) -> np.ndarray:
    """⌈log(u) / log(1 − p)⌉, in float64."""
    return np.ceil(np.log(generator.doubles(math.prod(shape))) / math.log1p(-p)).reshape(shape)


def cauchy(generator: Generator, shape: tuple[int, ...], median: float, sigma: float) -> np.ndarray:
    """median + σ tan(π (u − ½)), in float64."""
    return (median + sigma * np.tan(math.pi * (generator.doubles(math.prod(shape)) - 0.5))).reshape(shape)


def multinomial(generator: Generator, p: np.ndarray, count: int, replacement: bool) -> np.ndarray:
    """Indices drawn in proportion to the rows of p (any positive scale), as int64."""
    rows = p.reshape(-1, p.shape[-1])
    if not replacement or count == 1:
        # Largest p / E with E exponential: the race of Efraimidis & Spirakis 2006.
        race = rows / exponential(generator, rows.shape).astype(rows.dtype)
        if count == 1:
            chosen = race.argmax(-1)[:, None]
        else:
            chosen = np.argsort(-race, axis=-1, kind="stable")[:, :count]
    else:
        totals = np.cumsum(rows.astype(np.float64), axis=-1)
        totals /= totals[:, -1:]
        draws = generator.doubles(rows.shape[0] * count).reshape(rows.shape[0], count)
        chosen = np.stack([np.searchsorted(t, d, side="left") for t, d in zip(totals, draws, strict=True)])
    return chosen.astype(np.int64).reshape(*p.shape[:-1], count)
