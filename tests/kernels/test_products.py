"""Matrix products tile by tile: NumPy's numbers for every size, stride and batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clew
from clew.kernels import matrices

SIZES = st.integers(1, 70)


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers, otherwise in memory."""
    if layout == "turned":
        return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    if layout == "gaps":
        wide = np.full((*array.shape[:-2], 3 * array.shape[-2], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::3, ::2] = array
        return wide[..., ::3, ::2]
    if layout == "backwards":
        return np.ascontiguousarray(array[..., ::-1, ::-1])[..., ::-1, ::-1]
    return array


LAYOUTS = st.sampled_from(["plain", "turned", "gaps", "backwards"])


@settings(deadline=None, max_examples=150)
@given(
    SIZES, SIZES, SIZES, LAYOUTS, LAYOUTS, st.sampled_from(["f4", "f8"]),
    st.sampled_from([((), ()), ((3,), (3,)), ((2, 3), (3,)), ((1, 3), (2, 1)), ((), (4,)), ((0,), (0,))]),
)  # fmt: skip
def test_any_matrices(m, k, n, first, second, dtype, batches):
    rng = np.random.default_rng(m + 100 * k + 10_000 * n)
    a = laid_out(rng.standard_normal((*batches[0], m, k)).astype(dtype), first)
    b = laid_out(rng.standard_normal((*batches[1], k, n)).astype(dtype), second)
    made = matrices.product(a, b)
    want = a.astype(np.longdouble) @ b.astype(np.longdouble)
    assert made.dtype == a.dtype
    assert made.shape == want.shape
    error = 2 * k * np.finfo(dtype).eps
    np.testing.assert_allclose(made, want.astype(dtype), rtol=0, atol=error * 12)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(threads):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 301, 300), dtype=np.float32)
    b = b.T.copy()
    before = clew.get_num_threads()
    clew.set_num_threads(1)
    want = matrices.product(a, b)
    try:
        clew.set_num_threads(threads)
        np.testing.assert_array_equal(matrices.product(a, b), want)
    finally:
        clew.set_num_threads(before)


def test_into_memory_of_another_order():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((2, 3, 64, 64), dtype=np.float32)
    value = rng.standard_normal((2, 64, 3, 48), dtype=np.float32).swapaxes(1, 2)
    made = matrices.matmul(weights, value, np.empty_like(value))
    assert made.strides == value.strides
    np.testing.assert_allclose(made, np.matmul(weights, value), rtol=1e-4, atol=1e-4)


def test_infinities_and_nans():
    a = np.ones((128, 128), np.float32)
    b = np.ones((128, 128), np.float32)
    a[3, 5], b[7, 9] = np.inf, np.nan
    made = matrices.product(a, b)
    assert np.isnan(made[:, 9]).all()
    assert np.isposinf(made[3, :9]).all()
    assert (made[:3, :9] == 128).all()


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.complex64])
def test_other_types_are_numpys(dtype):
    a = (np.arange(128 * 128) % 7).reshape(128, 128).astype(dtype)
    np.testing.assert_array_equal(matrices.matmul(a, a), np.matmul(a, a))


def test_shapes_that_do_not_fit():
    a = clew.ones(256, 128)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        a @ a
