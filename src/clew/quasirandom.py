"""Sobol' points: low-discrepancy sequences in up to 21,201 dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.variable import wrap
from clew.dtypes import get_default_dtype
from clew.ops.create import finish
from clew.ops.sampling import randint
from clew.streams import Generator

__all__ = ["SobolEngine"]


class SobolEngine:
    """The Sobol' sequence in `dimension` dimensions, scrambled if asked: points that fill the unit cube evenly.

    Point i is point i − 1 with the direction numbers V[c] added bit by bit, where c is the place of the lowest zero bit
    of i − 1 (I. A. Antonov, V. M. Saleev 1979); the numbers are those of S. Joe and F. Y. Kuo (2008), as SciPy has them.
    scramble: every direction number is multiplied by a random lower triangular matrix of bits, and the points are shifted
    (A. B. Owen 1998, J. Matoušek 1998). seed: of the scrambling; None: the default stream.
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        from scipy.stats.qmc import Sobol

        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self._directions: ndarray = Sobol(dimension, scramble=False, bits=self.MAXBIT)._sv.astype(np.int64)
        self._shift = np.zeros(dimension, np.int64)
        if scramble:
            self._scramble()
        self.reset()

    @property
    def sobolstate(self) -> Any:
        """The direction numbers (dimension, 30)."""
        return wrap(self._directions)

    @property
    def shift(self) -> Any:
        """What every point is shifted by (dimension)."""
        return wrap(self._shift)

    @property
    def quasi(self) -> Any:
        """The latest point, as integers (dimension)."""
        return wrap(self._latest)

    def _scramble(self) -> None:
        source = None if self.seed is None else Generator().manual_seed(self.seed)
        places = np.arange(self.MAXBIT)
        bits = randint(2, (self.dimension, self.MAXBIT), generator=source)._array
        self._shift = bits @ (1 << places)
        matrices = np.tril(randint(2, (self.dimension, self.MAXBIT, self.MAXBIT), generator=source)._array)
        matrices[:, places, places] = 1
        highest_first = (self._directions[:, None, :] >> places[::-1, None]) & 1
        self._directions = np.tensordot(1 << places[::-1], (matrices @ highest_first) & 1, (0, 1))

    def reset(self) -> SobolEngine:
        """Begin anew with the first point."""
        self._latest, self.num_generated = self._shift.copy(), 0
        return self

    def _next(self, n: int) -> ndarray:
        """The next n points, as integers (n, dimension)."""
        first = not self.num_generated
        before = self.num_generated - 1 + np.arange(first, n)
        lowest = ~before & (before + 1)  # the lowest zero bit
        steps = self._directions.T[np.log2(lowest.astype(np.float64)).astype(np.int64)]
        points = np.bitwise_xor.accumulate(np.concatenate([self._latest[None], steps]), 0)
        self._latest, self.num_generated = points[-1].copy(), self.num_generated + n
        return points if first else points[1:]

    def draw(self, n: int = 1, out: Any = None, dtype: Any = None) -> Any:
        """The next n points (n, dimension), in [0, 1)."""
        kind = dtype or get_default_dtype()
        points = self._next(n) if n else np.zeros((0, self.dimension), np.int64)
        return finish((points * 2.0**-self.MAXBIT).astype(kind.np), out=out)

    def draw_base2(self, m: int, out: Any = None, dtype: Any = None) -> Any:
        """The next 2ᵐ points; ValueError where with those before they are no power of 2, which they must be to be balanced."""
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                f"The balance properties of Sobol' points require n to be a power of 2. {self.num_generated} points have been "
                f"previously generated, then: n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(n, out, dtype)

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave n points out."""
        if n:
            self._next(n)
        return self

    def __repr__(self) -> str:
        shown = [f"dimension={self.dimension}"]
        shown += ["scramble=True"] if self.scramble else []
        shown += [f"seed={self.seed}"] if self.seed is not None else []
        return f"{type(self).__name__}({', '.join(shown)})"
