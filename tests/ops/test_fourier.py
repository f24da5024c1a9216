"""Fourier transforms and short-time ones: against their sums, derivatives by finite differences, errors."""

import math

import numpy as np
import pytest

import clew
from clew.autograd import gradcheck, gradgradcheck

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(3, 4, 5))
COMPLEX = REAL + 1j * RNG.normal(size=REAL.shape)
NUMPY = {"backward": "backward", "ortho": "ortho", "forward": "forward", None: None}


def leaf(array):
    return clew.tensor(array, requires_grad=True)


def values(tensor):
    return np.asarray(tensor.detach()._array)


def summed(x, sign):
    """The transform by its definition, along the last dimension."""
    n = np.arange(x.shape[-1])
    return x @ np.exp(sign * 2j * math.pi * np.outer(n, n) / x.shape[-1])


def test_transforms_are_their_sums():
    x, z = clew.tensor(REAL), clew.tensor(COMPLEX)
    np.testing.assert_allclose(values(clew.fft.fft(z)), summed(COMPLEX, -1), atol=1e-12)
    np.testing.assert_allclose(values(clew.fft.ifft(z)), summed(COMPLEX, 1) / 5, atol=1e-12)
    np.testing.assert_allclose(values(clew.fft.fft(x)), summed(REAL, -1), atol=1e-12)
    np.testing.assert_allclose(values(clew.fft.rfft(x)), summed(REAL, -1)[..., :3], atol=1e-12)


@pytest.mark.parametrize("norm", list(NUMPY))
@pytest.mark.parametrize("n", [None, 3, 8])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_lengths_dimensions_and_norms(name, n, norm):
    data = REAL if name in ("rfft", "ihfft") else COMPLEX
    have = getattr(clew.fft, name)(clew.tensor(data), n=n, dim=1, norm=norm)
    np.testing.assert_allclose(values(have), getattr(np.fft, name)(data, n=n, axis=1, norm=norm), atol=1e-12)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2"])
def test_several_dimensions(name):
    data = REAL if name.startswith("r") else COMPLEX
    have = getattr(clew.fft, name)(clew.tensor(data), s=(3, 6), dim=(0, 2), norm="ortho")
    want = getattr(np.fft, name)(data, s=(3, 6), axes=(0, 2), norm="ortho")
    np.testing.assert_allclose(values(have), want, atol=1e-12)


def test_transforms_invert_each_other():
    x, z = clew.tensor(REAL), clew.tensor(COMPLEX)
    fft = clew.fft
    for there, back, given in (
        (fft.fftn, fft.ifftn, z),
        (fft.rfftn, lambda y: fft.irfftn(y, REAL.shape), x),
        (fft.ihfftn, lambda y: fft.hfftn(y, REAL.shape), x),
        (fft.fftshift, fft.ifftshift, x),
    ):
        np.testing.assert_allclose(values(back(there(given))), values(given), atol=1e-12)


@pytest.mark.parametrize("last", [4, 5])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "ihfft", "fft2", "rfft2", "ihfft2"])
def test_derivatives_of_real_inputs(name, last):
    function = getattr(clew.fft, name)
    assert gradcheck(function, (leaf(REAL[0, :2, :last]),))
    assert gradgradcheck(function, (leaf(REAL[0, :2, :last]),))


@pytest.mark.parametrize("name", ["fft", "ifft", "irfft", "hfft", "ifft2", "irfft2", "hfft2"])
def test_derivatives_of_complex_inputs(name):
    function = getattr(clew.fft, name)
    assert gradcheck(function, (leaf(COMPLEX[0, :3, :3]),))
    assert gradgradcheck(function, (leaf(COMPLEX[0, :3, :3]),))


def test_types():
    fft = clew.fft
    assert fft.fft(clew.tensor([1.0, 2.0])).dtype is clew.complex64
    assert fft.irfft(clew.tensor([1, 2])).dtype is clew.float32
    assert fft.rfft(clew.tensor([True, False])).dtype is clew.complex64
    with pytest.raises(RuntimeError, match="Unsupported dtype Half"):
        fft.fft(clew.ones(3).half())


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda f, x: f.fft(x, 0), RuntimeError, r"Invalid number of data points \(0\) specified"),
        (lambda f, x: f.fft(x, norm="x"), RuntimeError, 'Invalid normalization mode: "x"'),
        (lambda f, x: f.fft(x, norm=3), TypeError, r"fft_fft\(\): argument 'norm' must be str, not int"),
        (lambda f, x: f.fft(x, 2.0), TypeError, r"fft_fft\(\): argument 'n' must be int, not float"),
        (lambda f, x: f.fft(x[0, 0, 0]), IndexError, "Dimension specified as -1 but tensor has no dim"),
        (lambda f, x: f.rfft(x + 0j), RuntimeError, "rfft expects a real input tensor, but got ComplexDouble"),
        (lambda f, x: f.fftn(x, (1, 2), (0,)), RuntimeError, "dim and shape arguments must have the same"),
        (lambda f, x: f.fftn(x, dim=(0, -3)), RuntimeError, "FFT dims must be unique"),
        (lambda f, x: f.rfftn(x, dim=()), RuntimeError, "rfftn must transform at least one axis"),
        (lambda f, x: f.irfft(x[..., :1]), RuntimeError, r"Invalid number of data points \(0\) specified"),
        (lambda f, x: f.fftfreq(3, dtype=clew.int64), RuntimeError, "requires a floating point or complex"),
    ],
)  # fmt: skip
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(clew.fft, clew.tensor(REAL))


def test_frequencies():
    np.testing.assert_allclose(values(clew.fft.fftfreq(5, 0.5)), np.fft.fftfreq(5, 0.5), rtol=1e-6)
    np.testing.assert_allclose(values(clew.fft.rfftfreq(6)), np.fft.rfftfreq(6), rtol=1e-6)
    assert values(clew.fft.fftshift(clew.arange(5))).tolist() == [3, 4, 0, 1, 2]


# ---- short-time transforms -----------------------------------------------------------------------
SIGNAL = RNG.normal(size=(2, 30))
WINDOW = clew.hann_window(8, dtype=clew.float64)


def test_stft_is_the_transform_of_windowed_stretches():
    have = values(clew.stft(clew.tensor(SIGNAL), 8, 3, window=WINDOW, center=False, return_complex=True))
    stretches = np.stack([SIGNAL[:, t : t + 8] for t in range(0, 23, 3)], 1) * values(WINDOW)
    np.testing.assert_allclose(have, np.fft.rfft(stretches).transpose(0, 2, 1), atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"normalized": True}, {"onesided": False}, {"win_length": 6}])
def test_istft_gives_the_signal_back(options):
    window = clew.hann_window(options.get("win_length", 8), dtype=clew.float64)
    spectra = clew.stft(clew.tensor(SIGNAL), 8, 2, window=window, return_complex=True, **options)
    back = clew.istft(spectra, 8, 2, window=window, length=30, **options)
    np.testing.assert_allclose(values(back), SIGNAL, atol=1e-12)


def test_derivatives_of_short_time_transforms():
    window = leaf(values(WINDOW) + 0.5)
    assert gradcheck(
        lambda x, w: clew.stft(x, 8, 4, window=w, return_complex=True), (leaf(SIGNAL[0, :16]), window)
    )
    spectra = clew.stft(clew.tensor(SIGNAL[0, :16]), 8, 4, window=WINDOW, return_complex=True)
    assert gradcheck(lambda z, w: clew.istft(z, 8, 4, window=w), (leaf(values(spectra)), window))


def test_short_time_refusals_and_warnings():
    x = clew.tensor(SIGNAL)
    with pytest.raises(RuntimeError, match="stft requires the return_complex parameter be given for real"):
        clew.stft(x, 8, window=WINDOW)
    with pytest.raises(
        RuntimeError, match=r"stft\(torch.DoubleTensor\[2, 38\], n_fft=8, .*but got hop_length=0"
    ):
        clew.stft(x, 8, 0, window=WINDOW, return_complex=True)
    with pytest.warns(UserWarning, match="A window was not provided"):
        spectra = clew.stft(x, 8, return_complex=True)
    with pytest.raises(RuntimeError, match=r"window overlap add min: 1"):
        clew.istft(spectra, 8, window=clew.zeros(8, dtype=clew.float64))
    with pytest.raises(RuntimeError, match="istft requires a complex-valued input tensor"):
        clew.istft(clew.view_as_real(spectra), 8, window=WINDOW)
