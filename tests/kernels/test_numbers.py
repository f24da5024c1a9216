"""The functions of one number that loops of kernels are made of, beside NumPy's in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from clew.kernels import angles  # noqa: E402


def looped(function: Any) -> Any:
    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def run(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    def whole(x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        run(x, out)
        return out

    return whole


def any_floats(count: int) -> np.ndarray:
    """Floats of every size: of random bits."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, count, dtype=np.uint64).astype(np.uint32)
    found = bits.view(np.float32)
    return found[np.isfinite(found) & (np.abs(found) > 1e-30)]


@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("size", [1.0, 1e4, 0.0])
def test_angles_of_every_size(name: str, size: float) -> None:
    x = any_floats(1 << 17)
    if size:
        x = np.random.default_rng(1).standard_normal(1 << 17).astype(np.float32) * np.float32(size)
    want = getattr(np, name)(x.astype(np.float64))
    have = looped(getattr(angles, name))(x)
    units = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
    assert np.abs((have - want) / units).max() < 3


def test_angles_at_the_edges() -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], np.float32)
    sines, cosines = looped(angles.sin)(x), looped(angles.cos)(x)
    assert np.signbit(sines[:2]).tolist() == [False, True] and np.isnan(sines[2:]).all()
    assert cosines[:2].tolist() == [1.0, 1.0] and np.isnan(cosines[2:]).all()


def test_angles_in_double_precision() -> None:
    x = np.linspace(-50, 50, 999)
    assert np.abs(looped(angles.sin)(x) - np.sin(x)).max() < 1e-15
    assert np.abs(looped(angles.cos)(x) - np.cos(x)).max() < 1e-15
