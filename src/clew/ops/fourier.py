"""Discrete Fourier transforms: `torch.fft`'s functions, over three primitives by SciPy.

    forward: Xₖ = ∑ₙ xₙ·exp(-2πi·kn/N)        inverse: xₙ = 1/N ∑ₖ Xₖ·exp(2πi·kn/N)

The transform of real numbers is Hermitian, X₋ₖ = conj(Xₖ), so N//2 + 1 of its values tell all of it: `rfft` computes
those, `irfft` takes them. All are linear: the gradient of a transform is the transform in the other direction.
(J. W. Cooley, J. W. Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965.)
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.core.promotion import to_float
from clew.device import check as check_device
from clew.dtypes import defaults, legacy_name
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor, dtype_of, legacy, tensor_dtype, wrap_dim
from clew.ops._builders import convert
from clew.ops.complex import conj, conj_physical
from clew.ops.create import as_dtype, finish
from clew.ops.join import roll
from clew.ops.pad import constant_pad

# How a sum is scaled: not at all, by 1/√N, by 1/N; and what SciPy calls that, forward and backward.
NONE, ROOT, FULL = 0, 1, 2
_SCALES = {True: ("backward", "ortho", "forward"), False: ("forward", "ortho", "backward")}


# ---- primitives ----------------------------------------------------------------------------------
def _c2c(self: Any, *, dim: tuple[int, ...], normalization: int, forward: bool) -> Any:
    if not dim or not self.size:
        return self.copy()
    from scipy import fft

    transform = fft.fftn if forward else fft.ifftn
    return transform(self, axes=dim, norm=_SCALES[forward][normalization])


def _r2c(self: Any, *, dim: tuple[int, ...], normalization: int, onesided: bool) -> Any:
    from scipy import fft

    if not self.size:
        made = list(self.shape)
        made[dim[-1]] = made[dim[-1]] // 2 + 1 if onesided else made[dim[-1]]
        return np.zeros(made, np.result_type(self.dtype, np.complex64))
    if onesided:
        return fft.rfftn(self, axes=dim, norm=_SCALES[True][normalization])
    made = fft.fftn(self, axes=dim, norm=_SCALES[True][normalization])
    lead, n = (slice(None),) * dim[-1], self.shape[dim[-1]]
    for at in (0, n // 2) if n % 2 == 0 else (0,):  # where the values are real, SciPy leaves -0j
        made[(*lead, slice(at, at + 1))].imag += 0.0
    return made


def _c2r(self: Any, *, dim: tuple[int, ...], normalization: int, last_dim_size: int) -> Any:
    from scipy import fft

    if not self.size:
        made = list(self.shape)
        made[dim[-1]] = last_dim_size
        return np.zeros(made, self.real.dtype)
    sizes = [*[self.shape[d] for d in dim[:-1]], last_dim_size]
    return fft.irfftn(self, sizes, dim, norm=_SCALES[False][normalization])


def _inner(xp: Any, g: Any, dim: int, size: int, factor: float) -> Any:
    """`g` with those entries of a half spectrum multiplied that stand for two of the whole one (of `size` numbers)."""
    count = size // 2 + 1
    weights = np.full(count, factor)
    weights[0] = 1
    if size % 2 == 0:
        weights[-1] = 1
    weights = weights.astype(dtype_of(g).type(0).real.dtype).reshape(-1, *[1] * (g.ndim - dim - 1))
    return g * xp.constant(weights)


def _r2c_slope(xp: Any, g: Any, self_shape: Any, dim: Any, normalization: int, onesided: bool) -> Any:
    """Re ∑ₖ gₖ·exp(2πi·kn/N): from the half spectrum a real transform, in which inner entries would count twice."""
    if not onesided:
        return xp.real(xp.call(fft_c2c, g, dim=dim, normalization=normalization, forward=False))
    size = self_shape[dim[-1]]
    g = _inner(xp, g, dim[-1], size, 0.5)
    return xp.call(fft_c2r, g, dim=dim, normalization=normalization, last_dim_size=size)


def _c2r_slope(xp: Any, g: Any, dim: Any, normalization: int, last_dim_size: int) -> Any:
    """The half spectrum of g, with twice the weight for entries that also stand for their conjugates."""
    spectrum = xp.call(fft_r2c, g, dim=dim, normalization=normalization, onesided=True)
    return _inner(xp, spectrum, dim[-1], last_dim_size, 2.0)


fft_c2c: Primitive = Primitive(
    "fft_c2c",
    _c2c,
    {
        "self": lambda xp, g, dim, normalization, forward: xp.call(
            fft_c2c, g, dim=dim, normalization=normalization, forward=not forward
        )
    },
    node="FftC2CBackward0",
    jvp="linear",
    holomorphic=False,
    explain="the Fourier transform, complex to complex",
)
fft_r2c: Primitive = Primitive(
    "fft_r2c",
    _r2c,
    {"self": _r2c_slope},
    node="FftR2CBackward0",
    jvp="linear",
    holomorphic=False,
    explain="the Fourier transform of real numbers: half of the spectrum tells all of it",
)
fft_c2r: Primitive = Primitive(
    "fft_c2r",
    _c2r,
    {"self": _c2r_slope},
    node="FftC2RBackward0",
    jvp="linear",
    holomorphic=False,
    explain="the inverse Fourier transform of half a spectrum: real numbers",
)


# ---- arguments -----------------------------------------------------------------------------------
def _scale(name: str, norm: Any, forward: bool) -> int:
    """How a transform is scaled by `norm`: that direction which has the name carries 1/N."""
    if norm is not None and not isinstance(norm, str):
        raise TypeError(f"fft_{name}(): argument 'norm' must be str, not {type(norm).__name__}")
    if norm == "ortho":
        return ROOT
    if norm not in (None, "backward", "forward"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return FULL if (norm == "forward") == forward else NONE


def _typed(input: Any, complex: bool) -> Any:
    """The tensor in a type that can be transformed. RuntimeError for 16-bit floats."""
    have = tensor_dtype(input)
    if have.category == 2 and have.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {legacy_name(have)}")
    want = to_float(have)
    return convert(input, (want.to_complex() if complex else want).np)


def _dim(dim: Any, ndim: int) -> int:
    if not ndim:
        raise IndexError(f"Dimension specified as {operator.index(dim)} but tensor has no dimensions")
    return wrap_dim(dim, ndim)


def _integer(name: str, argument: str, value: Any) -> int:
    if not hasattr(value, "__index__"):
        raise TypeError(f"fft_{name}(): argument '{argument}' must be int, not {type(value).__name__}")
    return operator.index(value)


def _points(n: int) -> int:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


class Axes(NamedTuple):
    """Over which dimensions a transform goes, and how long each of them is taken to be."""

    dims: tuple[int, ...]
    lengths: tuple[int, ...]


def _axes(shape: tuple[int, ...], s: Any, dim: Any) -> Axes:
    """`s` and `dim` worked out: the given dimensions, else the last len(s), else all; -1: as long as it is."""
    s = (s,) if isinstance(s, int) else s
    dim = (dim,) if isinstance(dim, int) else dim
    if dim is not None:
        dims = tuple(_dim(d, len(shape)) for d in dim)
        if len({*dims}) < len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None and len(s) > len(shape):
        raise RuntimeError(
            f"Got shape with {len(s)} values but input tensor only has {len(shape)} dimensions."
        )
    else:
        dims = tuple(range(len(shape) - len(s) if s is not None else 0, len(shape)))
    lengths = tuple(shape[d] for d in dims)
    if s is not None:
        lengths = tuple(have if n == -1 else n for n, have in zip(s, lengths, strict=True))
    return Axes(dims, tuple(_points(n) for n in lengths))


def _half_axes(shape: tuple[int, ...], s: Any, dim: Any, name: str) -> tuple[Axes, int]:
    """For transforms of half spectra: the axes as they go in, and how many real numbers come out along the last."""
    s = (s,) if isinstance(s, int) else s
    given = s is not None and len(s) > 0 and s[-1] != -1
    # the last length is checked as what it comes from, once it is known
    axes = _axes(shape, [*s[:-1], 1] if given else s, dim)
    if not axes.dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    last = _points(s[-1] if given else 2 * (axes.lengths[-1] - 1))
    return Axes(axes.dims, (*axes.lengths[:-1], last // 2 + 1)), last


def _resized(input: Any, axes: Axes) -> Any:
    """The tensor cut or filled with zeros at the end of each dimension to its length."""
    pad = [0] * (2 * input.ndim)
    for d, n in zip(*axes, strict=True):
        have = input._array.shape[d]
        if n < have:
            input = shapes.narrow(input, d, 0, n)
        pad[2 * (input.ndim - d) - 1] = max(n - have, 0)
    return constant_pad(input, pad) if any(pad) else input


# ---- along one dimension -------------------------------------------------------------------------
def _single(name: str, input: Any, n: int | None, dim: int, complex: bool = True) -> tuple[Any, int]:
    """The input of a transform along one dimension in its type and length."""
    check_tensor(input, f"fft_{name}")
    if not complex and tensor_dtype(input).category == 3:
        raise RuntimeError(f"{name} expects a real input tensor, but got {legacy(input)}")
    input = _typed(input, False)
    d = _dim(_integer(name, "dim", dim), input.ndim)
    length = _points(input._array.shape[d] if n is None else _integer(name, "n", n))
    return _resized(input, Axes((d,), (length,))), d


def _along(name: str, input: Any, n: int | None, dim: int, norm: Any, forward: bool, out: Any) -> Any:
    input, d = _single(name, input, n, dim)
    scale = _scale(name, norm, forward)
    if input._array.dtype.kind == "c":
        result = fft_c2c(input, dim=(d,), normalization=scale, forward=forward)
    else:
        result = fft_r2c(input, dim=(d,), normalization=scale, onesided=False)
        result = result if forward else conj(result)
    return result if out is None else store_out(out, result)


def fft(input: Any, n: int | None = None, dim: int = -1, norm: Any = None, *, out: Any = None) -> Any:
    """Xₖ = ∑ xⱼ·exp(-2πi·jk/N) along a dimension, cut or zero-filled to length `n` first.

    norm: "backward" (default) leaves the sum as it is, "ortho" divides by √N, "forward" by N. RuntimeError for n < 1,
    for an unknown norm, for 16-bit floats; IndexError for a tensor without dimensions.
    """
    return _along("fft", input, n, dim, norm, True, out)


def ifft(input: Any, n: int | None = None, dim: int = -1, norm: Any = None, *, out: Any = None) -> Any:
    """xⱼ = 1/N ∑ Xₖ·exp(2πi·jk/N): the inverse of `fft`."""
    return _along("ifft", input, n, dim, norm, False, out)


def _halved(name: str, input: Any, n: int | None, dim: int, norm: Any, forward: bool, out: Any) -> Any:
    input, d = _single(name, input, n, dim, complex=False)
    result = fft_r2c(input, dim=(d,), normalization=_scale(name, norm, forward), onesided=True)
    result = result if forward else conj(result)
    return result if out is None else store_out(out, result)


def rfft(input: Any, n: int | None = None, dim: int = -1, norm: Any = None, *, out: Any = None) -> Any:
    """The first N//2 + 1 values of `fft` of real numbers. RuntimeError for complex ones."""
    return _halved("rfft", input, n, dim, norm, True, out)


def ihfft(input: Any, n: int | None = None, dim: int = -1, norm: Any = None, *, out: Any = None) -> Any:
    """The first N//2 + 1 values of `ifft` of real numbers: the inverse of `hfft`."""
    return _halved("ihfft", input, n, dim, norm, False, out)


def _whole(name: str, input: Any, n: int | None, dim: int, norm: Any, forward: bool, out: Any) -> Any:
    check_tensor(input, f"fft_{name}")
    input = _typed(input, True)
    d = _dim(_integer(name, "dim", dim), input.ndim)
    length = _points(2 * (input._array.shape[d] - 1) if n is None else _integer(name, "n", n))
    input = _resized(input, Axes((d,), (length // 2 + 1,)))
    scale = _scale(name, norm, forward)
    result = fft_c2r(conj(input) if forward else input, dim=(d,), normalization=scale, last_dim_size=length)
    return result if out is None else store_out(out, result)


def irfft(input: Any, n: int | None = None, dim: int = -1, norm: Any = None, *, out: Any = None) -> Any:
    """`n` real numbers (2·(size - 1) by default) from the first half of their spectrum: the inverse of `rfft`."""
    return _whole("irfft", input, n, dim, norm, False, out)


def hfft(input: Any, n: int | None = None, dim: int = -1, norm: Any = None, *, out: Any = None) -> Any:
    """`fft` of a Hermitian signal of which the first half is given: `n` real numbers (2·(size - 1) by default)."""
    return _whole("hfft", input, n, dim, norm, True, out)


# ---- along several -------------------------------------------------------------------------------
def _over(name: str, input: Any, s: Any, dim: Any, norm: Any, forward: bool, out: Any) -> Any:
    check_tensor(input, f"fft_{name}")
    axes = _axes(input._array.shape, s, dim)
    input = _resized(_typed(input, True), axes)
    result = fft_c2c(input, dim=axes.dims, normalization=_scale(name, norm, forward), forward=forward)
    return result if out is None else store_out(out, result)


def fftn(input: Any, s: Any = None, dim: Any = None, norm: Any = None, *, out: Any = None) -> Any:
    """`fft` along several dimensions: those of `dim`, or the last len(s), or all; `s`: their lengths."""
    return _over("fftn", input, s, dim, norm, True, out)


def ifftn(input: Any, s: Any = None, dim: Any = None, norm: Any = None, *, out: Any = None) -> Any:
    """`ifft` along several dimensions."""
    return _over("ifftn", input, s, dim, norm, False, out)


def rfftn(input: Any, s: Any = None, dim: Any = None, norm: Any = None, *, out: Any = None) -> Any:
    """`fftn` of real numbers, along the last of the dimensions only the first half of it."""
    if tensor_dtype(check_tensor(input, "fft_rfftn")).category == 3:
        raise RuntimeError(f"rfftn expects a real-valued input tensor, but got {legacy(input)}")
    axes = _axes(input._array.shape, s, dim)
    if not axes.dims:
        raise RuntimeError("rfftn must transform at least one axis")
    input = _resized(_typed(input, False), axes)
    result = fft_r2c(input, dim=axes.dims, normalization=_scale("rfftn", norm, True), onesided=True)
    return result if out is None else store_out(out, result)


def irfftn(input: Any, s: Any = None, dim: Any = None, norm: Any = None, *, out: Any = None) -> Any:
    """The inverse of `rfftn`: real numbers, s[-1] of them along the last of the dimensions."""
    check_tensor(input, "fft_irfftn")
    axes, last = _half_axes(input._array.shape, s, dim, "irfftn")
    input = _resized(_typed(input, True), axes)
    scale = _scale("irfftn", norm, False)
    result = fft_c2r(input, dim=axes.dims, normalization=scale, last_dim_size=last)
    return result if out is None else store_out(out, result)


def hfftn(input: Any, s: Any = None, dim: Any = None, norm: Any = None, *, out: Any = None) -> Any:
    """`fftn` of a signal Hermitian along the last of the dimensions, of which the first half is given: real numbers."""
    check_tensor(input, "fft_hfftn")
    axes, last = _half_axes(input._array.shape, s, dim, "hfftn")
    x = _resized(_typed(input, True), axes)
    scale = _scale("hfftn", norm, True)
    if len(axes.dims) > 1:
        x = fft_c2c(x, dim=axes.dims[:-1], normalization=scale, forward=True)
    result = fft_c2r(conj(x), dim=axes.dims[-1:], normalization=scale, last_dim_size=last)
    return result if out is None else store_out(out, result)


def ihfftn(input: Any, s: Any = None, dim: Any = None, norm: Any = None, *, out: Any = None) -> Any:
    """The inverse of `hfftn`: `ihfft` along the last of the dimensions, then `ifftn` along the others."""
    if tensor_dtype(check_tensor(input, "fft_ihfftn")).category == 3:
        raise RuntimeError(f"Only supports floating-point dtypes, but found: {legacy(input)}")
    axes = _axes(input._array.shape, s, dim)
    if not axes.dims:
        raise RuntimeError("ihfftn must transform at least one axis")
    x = _resized(_typed(input, False), axes)
    scale = _scale("ihfftn", norm, False)
    x = fft_r2c(x, dim=axes.dims[-1:], normalization=scale, onesided=True)
    if len(axes.dims) == 1:
        result = conj(x)
    else:
        result = fft_c2c(conj_physical(x), dim=axes.dims[:-1], normalization=scale, forward=False)
    return result if out is None else store_out(out, result)


def _flat(name: str, several: Any) -> Any:
    def transform(
        input: Any, s: Any = None, dim: Any = (-2, -1), norm: Any = None, *, out: Any = None
    ) -> Any:
        return several(input, s, dim, norm, out=out)

    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = f"`{several.__name__}` along two dimensions, the last two by default."
    return transform


fft2, ifft2, rfft2 = _flat("fft2", fftn), _flat("ifft2", ifftn), _flat("rfft2", rfftn)
irfft2, hfft2, ihfft2 = _flat("irfft2", irfftn), _flat("hfft2", hfftn), _flat("ihfft2", ihfftn)


# ---- frequencies ---------------------------------------------------------------------------------
def _shifted(name: str, input: Any, dim: Any, up: int) -> Any:
    check_tensor(input, f"fft_{name}")
    shape = input._array.shape
    dim = tuple(range(len(shape))) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = tuple(_dim(d, len(shape)) for d in dim)
    return roll(input, tuple((shape[d] + up) // 2 for d in dims), dims)


def fftshift(input: Any, dim: Any = None) -> Any:
    """A spectrum rolled so that frequency 0 stands in the middle, along `dim` (default: all dimensions)."""
    return _shifted("fftshift", input, dim, 0)


def ifftshift(input: Any, dim: Any = None) -> Any:
    """The inverse of `fftshift`: frequency 0 goes back to the front."""
    return _shifted("ifftshift", input, dim, 1)


def _frequencies(
    name: str, n: Any, d: float, half: bool, dtype: Any, device: Any, requires_grad: bool, out: Any
) -> Any:
    if not hasattr(n, "__index__"):
        raise TypeError(f"fft_{name}(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    n = operator.index(n)
    want = as_dtype(dtype) or (None if out is None else tensor_dtype(out))
    if want is not None and want.category < 2:
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    if want is not None and want.category == 3:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{legacy_name(want)}'")
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    counted = np.arange(n // 2 + 1 if half else n)
    if not half:
        counted[(n + 1) // 2 :] -= n
    kind = (want or defaults.dtype).np
    check_device(device)
    made = counted.astype(kind) * kind.type(1.0 / (n * d) if n * d else np.inf)
    return finish(made, requires_grad, out)


def fftfreq(
    n: int, d: float = 1.0, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The frequencies of `fft`'s values: (0, 1, …, (n-1)//2, -(n//2), …, -1) / (n·d), samples being `d` apart."""
    return _frequencies("fftfreq", n, d, False, dtype, device, requires_grad, out)


def rfftfreq(
    n: int, d: float = 1.0, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The frequencies of `rfft`'s values: (0, 1, …, n//2) / (n·d)."""
    return _frequencies("rfftfreq", n, d, True, dtype, device, requires_grad, out)
