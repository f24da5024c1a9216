"""Short-time Fourier transforms: the spectrum of a signal window by window, and the signal back from it.

    stft:  Xₜ(ω) = ∑ₖ w[k]·x[t·hop + k]·exp(-2πi·ωk / n_fft)
    istft: x[n] = ∑ₜ w[n - t·hop]·yₜ[n - t·hop] / ∑ₜ w²[n - t·hop], yₜ the inverse transform of Xₜ

(D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier transform", 1984.)
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from clew.core.promotion import result_dtype
from clew.core.variable import wrap
from clew.ops import _views
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor, legacy, no_signature, tensor_dtype, wrap_dim
from clew.ops._builders import convert
from clew.ops.complex import view_as_real
from clew.ops.fourier import FULL, NONE, ROOT, fft_c2c, fft_c2r, fft_r2c
from clew.ops.pad import constant_pad, pad

__all__ = ["istft", "stft"]

NO_WINDOW = "A window was not provided. A rectangular window will be applied,"
RECTANGULAR = (
    "To suppress this warning and use a rectangular window, explicitly set "
    "`window=torch.ones(n_fft, device=<device>)`."
)
LEAKAGE = (
    "which is known to cause spectral leakage. Other windows such as torch.hann_window or torch.hamming_window are "
    "recommended to reduce spectral leakage."
)
NEEDS_RETURN_COMPLEX = (
    "stft requires the return_complex parameter be given for real inputs, and will further require that "
    "return_complex=True in a future PyTorch release."
)
REAL_IS_OLD = (
    "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for "
    "all inputs, and return_complex=False will raise an error.\nNote: you can still call torch.view_as_real on the "
    "complex output to recover the old return format."
)
PADDED = (
    "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. Please "
    "check your center and hop_length settings."
)
SMALLEST = 1e-11  # of the summed squares of windows: less cannot be divided by


# ---- arguments -----------------------------------------------------------------------------------
def _shown(value: Any) -> str:
    """An option as PyTorch's sentences have it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _called(name: str, input: Any, kind: str, window: Any, options: dict[str, Any]) -> str:
    """The beginning of PyTorch's sentences: the call with all its arguments."""
    text = ", ".join(f"{key}={_shown(value)}" for key, value in options.items() if key != "window")
    if window is None:
        seen = "None"
    else:
        seen = f"torch.{legacy(window)}Tensor{{{list(window._array.shape)}}}"
    at = text.index("win_length=") + len(f"win_length={options['win_length']}")
    return f"{name}({kind}{list(input._array.shape)}, {text[:at]}, window={seen}{text[at:]})"


def _lengths(name: str, input: Any, n_fft: Any, hop_length: Any, win_length: Any) -> tuple[int, int]:
    """How far stretches are apart, and how long they are. TypeError unless all are integers."""
    if not all(n is None or hasattr(n, "__index__") for n in (n_fft, hop_length, win_length)):
        raise no_signature(name, input, n_fft, hop_length, win_length)
    return n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length


def _is_complex(tensor: Any) -> bool:
    return tensor is not None and tensor._array.dtype.kind == "c"


def _full_window(window: Any, n_fft: int, win_length: int, like: Any) -> Any:
    """The window with zeros on both sides up to n_fft; without one a rectangle. None: nothing to multiply by."""
    if window is None:
        if win_length == n_fft:
            return None
        window = wrap(np.ones(win_length, like._array.real.dtype))
    left = (n_fft - win_length) // 2
    return constant_pad(window, (left, n_fft - win_length - left)) if win_length < n_fft else window


# ---- there ---------------------------------------------------------------------------------------
def stft(
    input: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Any = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Any:  # fmt: skip
    """Spectra of stretches of n_fft samples, `hop_length` (default n_fft // 4) apart: (batch, frequencies, stretches).

    window: `win_length` weights (default n_fft), set in the middle of n_fft; center: stretch t is centered at sample
    t·hop, the signal padded by `pad_mode`; normalized: divided by √n_fft; onesided: only the first n_fft // 2 + 1
    frequencies, which tell all of a real signal's. RuntimeError for lengths that do not fit.
    """
    check_tensor(input, "stft")
    hop_length, win_length = _lengths("stft", input, n_fft, hop_length, win_length)
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false")
        input = _centered(input, n_fft // 2, pad_mode)
    _check_stft(
        input, window, n_fft=n_fft, hop_length=hop_length, win_length=win_length, normalized=normalized,
        onesided=onesided, return_complex=return_complex, align_to_window=align_to_window,
    )  # fmt: skip
    complex = _is_complex(input) or _is_complex(window)
    if return_complex is None and not complex:
        raise RuntimeError(NEEDS_RETURN_COMPLEX)
    if return_complex is False:
        warnings.warn(REAL_IS_OLD, UserWarning, stacklevel=2)
    if onesided and complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    batched = input.ndim == 2
    x = input if batched else shapes.unsqueeze(input, 0)
    if align_to_window:
        before = (n_fft - win_length) // 2
        x = constant_pad(x, (before, n_fft - win_length - before))
    frames = shapes.unfold(x, -1, n_fft, hop_length)
    weights = _full_window(window, n_fft, win_length, input)
    if weights is not None:
        frames = frames * weights
    scale = ROOT if normalized else NONE
    if complex:
        spectra = fft_c2c(frames, dim=(2,), normalization=scale, forward=True)
    else:
        half = onesided is None or onesided
        spectra = fft_r2c(frames, dim=(2,), normalization=scale, onesided=half)
    spectra = shapes.transpose(spectra, 1, 2)
    spectra = spectra if batched else shapes.squeeze(spectra, 0)
    return view_as_real(spectra) if return_complex is False else spectra


def _centered(input: Any, border: int, mode: str) -> Any:
    """The signal with a border of n_fft // 2 on both sides."""
    shape = input._array.shape
    lead = (1,) * (3 - len(shape))
    padded = pad(shapes.reshape(input, (*lead, *shape)), (border, border), mode)
    return shapes.reshape(padded, padded._array.shape[len(lead) :]) if lead else padded


def _check_stft(input: Any, window: Any, **options: Any) -> None:
    n_fft, hop_length, win_length = (options[n] for n in ("n_fft", "hop_length", "win_length"))
    called = _called("stft", input, f"torch.{legacy(input)}Tensor", window, options)
    if window is None:
        warnings.warn(NO_WINDOW + LEAKAGE + RECTANGULAR, UserWarning, stacklevel=3)
    if tensor_dtype(input).category < 2:
        raise RuntimeError(f"{called} : expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"{called} : expected a 1D or 2D tensor")
    length = input._array.shape[-1]
    if not 0 < n_fft <= length:
        raise RuntimeError(f"{called} : expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop_length <= 0:
        raise RuntimeError(f"{called} : expected hop_length > 0, but got hop_length={hop_length}")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{called} : expected 0 < win_length <= n_fft, but got win_length={win_length}")
    if window is not None and window._array.shape != (win_length,):
        raise RuntimeError(
            f"{called} : expected a 1D window tensor of size equal to win_length={win_length}, but got window with "
            f"size {list(window._array.shape)}"
        )
    if input._array.dtype.itemsize == 2:
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {legacy(input)}")


# ---- and back ------------------------------------------------------------------------------------
def istft(
    input: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Any = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Any:  # fmt: skip
    """The signal from its `stft` with the same options: the stretches laid over each other, divided by ∑ window².

    input: (batch, frequencies, stretches), complex; length: how many samples to return. RuntimeError for lengths that
    do not fit, and where the windows leave samples uncovered.
    """
    check_tensor(input, "istft")
    if window is None:
        warnings.warn(
            NO_WINDOW.removesuffix(",")
            + ".Please provide the same window used by stft to make the inversion lossless."
            + RECTANGULAR,
            UserWarning,
            stacklevel=2,
        )
    hop_length, win_length = _lengths("istft", input, n_fft, hop_length, win_length)
    called, whole = _check_istft(
        input, window, n_fft=n_fft, hop_length=hop_length, win_length=win_length, center=center, normalized=normalized,
        onesided=onesided, length=length, return_complex=return_complex,
    )  # fmt: skip
    batched = input.ndim == 3
    spectra = shapes.transpose(input if batched else shapes.unsqueeze(input, 0), 1, 2)
    scale = ROOT if normalized else FULL
    if return_complex:
        frames = fft_c2c(spectra, dim=(2,), normalization=scale, forward=False)
    else:
        spectra = shapes.narrow(spectra, 2, 0, n_fft // 2 + 1) if whole else spectra
        frames = fft_c2r(spectra, dim=(2,), normalization=scale, last_dim_size=n_fft)
    weights = _full_window(window, n_fft, win_length, frames)
    if weights is None:
        weights = wrap(np.ones(n_fft, frames._array.real.dtype))
    want = result_dtype(frames, weights).np
    frames, weights = convert(frames, want), convert(weights, want)
    total = n_fft + hop_length * (frames._array.shape[1] - 1)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    y = _laid_over(frames * weights, total, hop_length)
    squares = shapes.expand(weights * weights, (1, *frames._array.shape[1:]))
    covered = _laid_over(squares, total, hop_length)
    y, covered = (t[:, start : min(end, total)] for t in (y, covered))
    if not y._array.size:
        raise RuntimeError(
            "min(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            "'dim' argument."
        )
    if np.abs(covered._array).min() <= SMALLEST:
        raise RuntimeError(f"{called} window overlap add min: 1\n[ CPUBoolType{{}} ]")
    y = y / covered
    y = y if batched else shapes.squeeze(y, 0)
    if end > total:
        warnings.warn(PADDED, UserWarning, stacklevel=2)
        y = constant_pad(y, (0, end - total))
    return y


def _laid_over(frames: Any, total: int, hop: int) -> Any:
    """Stretches (batch, t, n) added up where they lie in the signal, `hop` apart: (batch, total)."""
    shape = (frames._array.shape[0], total)
    return _views.fold(frames, shape=shape, dimension=1, size=frames._array.shape[-1], step=hop)


def _check_istft(input: Any, window: Any, **options: Any) -> tuple[str, bool]:
    """RuntimeError for what does not fit together; the beginning of the sentence, and whether spectra are whole."""
    n_fft, hop_length, win_length, onesided = (
        options[n] for n in ("n_fft", "hop_length", "win_length", "onesided")
    )
    called = _called("istft", input, f"CPU{legacy(input)}Type", window, options)
    if not _is_complex(input):
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    shape = input._array.shape
    wrap_dim(-3, len(shape) + 1)
    if not input._array.size:
        raise RuntimeError(f"{called} : input tensor cannot be empty.")
    if len(shape) not in (2, 3):
        raise RuntimeError(f"{called} : expected a tensor with 3 or 4 dimensions, but got {len(shape) + 1}")
    whole = onesided is False or (onesided is None and shape[-2] == n_fft)
    if whole and shape[-2] != n_fft:
        raise RuntimeError(
            f"{called} : expected the frequency dimension (3rd to the last) of the input tensor to match n_fft when "
            f"onesided=False, but got {shape[-2]}"
        )
    if not whole and shape[-2] != n_fft // 2 + 1:
        raise RuntimeError(
            f"{called} : expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 "
            f"when onesided=True, but got {shape[-2]}"
        )
    if not 0 < hop_length <= win_length:
        raise RuntimeError(f"{called} : expected 0 < hop_length <= win_length")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{called} : expected 0 < win_length <= n_fft")
    if window is not None and window._array.shape != (win_length,):
        raise RuntimeError(f"{called} : Invalid window shape. window has to be 1D and length of `win_length`")
    if options["return_complex"]:
        if not whole:
            raise RuntimeError("Cannot have onesided output if window or input is complex")
    elif _is_complex(window):
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    return called, whole
