"""Windows: values, symmetric and periodic forms, lengths 0 and 1, errors."""

import numpy as np
import pytest

import clew

OLD = "bartlett_window blackman_window hamming_window hann_window kaiser_window".split()
NEW = "bartlett blackman cosine exponential gaussian general_hamming hamming hann kaiser nuttall".split()


def values(tensor):
    return np.asarray(tensor._array)


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        ("bartlett_window", "bartlett", np.bartlett(7)),
        ("blackman_window", "blackman", np.blackman(7)),
        ("hamming_window", "hamming", np.hamming(7)),
        ("hann_window", "hann", np.hanning(7)),
        ("kaiser_window", "kaiser", np.kaiser(7, 12.0)),
    ],
)
def test_values(old, new, want):
    symmetric = getattr(clew, old)(7, periodic=False, dtype=clew.float64)
    np.testing.assert_allclose(values(symmetric), want, atol=1e-12)
    made = getattr(clew.signal.windows, new)(7, dtype=clew.float64)
    np.testing.assert_allclose(values(made), want, atol=1e-12)


@pytest.mark.parametrize("name", NEW)
def test_a_periodic_window_is_the_next_symmetric_one_without_its_last(name):
    window = getattr(clew.signal.windows, name)
    np.testing.assert_allclose(values(window(6, sym=False)), values(window(7))[:-1], rtol=1e-6)


@pytest.mark.parametrize("name", OLD + NEW)
def test_short_windows_and_types(name):
    window = getattr(clew if name in OLD else clew.signal.windows, name)
    assert values(window(0)).tolist() == [] and values(window(1)).tolist() == [1]
    assert window(4).dtype is clew.float32 and window(4, dtype=clew.float64).dtype is clew.float64
    assert window(4, requires_grad=True).requires_grad


def test_others():
    windows = clew.signal.windows
    n = np.arange(5)
    np.testing.assert_allclose(values(windows.gaussian(5, std=2.0)), np.exp(-((n - 2) ** 2) / 8), rtol=1e-6)
    np.testing.assert_allclose(
        values(windows.exponential(5, center=1.0, sym=False, tau=2.0)), np.exp(-np.abs(n - 1) / 2), rtol=1e-6
    )
    np.testing.assert_allclose(values(windows.cosine(5)), np.sin(np.pi * (n + 0.5) / 5), rtol=1e-6)
    np.testing.assert_allclose(
        values(windows.general_cosine(5, a=[1.0, 2.0])), 1 - 2 * np.cos(n * np.pi / 2), atol=1e-6
    )


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda w: w.hann(-1), ValueError, "general_cosine requires non-negative window length, got M=-1"),
        (lambda w: w.kaiser(3, dtype=clew.int64), ValueError, "kaiser expects float32 or float64 dtypes, got: torch.int64"),
        (lambda w: w.cosine(3, layout=clew.sparse_coo), ValueError, "cosine is implemented for strided tensors only"),
        (lambda w: w.general_cosine(3, a=None), TypeError, "Coefficients must be a list/tuple"),
        (lambda w: w.general_cosine(3, a=[]), ValueError, "Coefficients cannot be empty"),
        (lambda w: w.exponential(3, tau=-1), ValueError, "Tau must be positive, got: -1 instead."),
        (lambda w: w.exponential(3, center=1.0), ValueError, "Center must be None for symmetric windows"),
        (lambda w: w.gaussian(3, std=-1), ValueError, "Standard deviation must be positive, got: -1 instead."),
        (lambda w: w.kaiser(3, beta=-1), ValueError, "beta must be non-negative, got: -1 instead."),
        (lambda w: clew.hann_window(-1), RuntimeError, "hann_window requires non-negative window_length"),
        (lambda w: clew.hann_window(3, dtype=clew.int64), RuntimeError, "hann_window expects floating point dtypes"),
        (lambda w: clew.hann_window(3.0), TypeError, "'window_length'.* must be int, not float"),
    ],
)  # fmt: skip
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(clew.signal.windows)
