"""What floating-point numbers consist of: sign, mantissa and exponent, and their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew import return_types
from clew.core.inplace import store_out
from clew.core.primitive import Primitive
from clew.dtypes import c_name
from clew.ops._arguments import check_tensor, is_number, no_signature, tensor_dtype, without, zeros_slope
from clew.ops._builders import binary, for_type, of_tensors
from clew.ops.elementwise import LN2

__all__ = ["copysign", "frexp", "ldexp", "nextafter"]


def _copysign_slope(xp: Any, g: Any, self: Any, out: Any) -> Any:
    return g * xp.where(self == 0, 0, out / self)


_copysigns = [
    binary(
        "copysign",
        np.copysign,
        {"self": _copysign_slope, "other": zeros_slope},
        floats=True,
        check=without("copysign_cpu"),
        node=f"CopysignBackward{n}",
        explain="|a| with the sign of b",
    )
    for n in (0, 1)
]


def copysign(input: Any, other: Any, *, out: Any = None) -> Any:
    """|input| with the sign of `other`."""
    if is_number(input):
        raise no_signature("copysign", input, other)
    return _copysigns[is_number(other)](input, other, out=out)


nextafter = of_tensors(
    binary(
        "nextafter",
        np.nextafter,
        {"self": lambda xp, g, self, other: xp.keep(g, self != other), "other": zeros_slope},
        check=without("nextafter_cpu", 0, 1, 3),
        explain="the number next to a in the direction of b",
    )
)
ldexp = of_tensors(
    binary(
        "ldexp",
        lambda a, b: a * np.exp2(b),
        {"self": lambda xp, g, other: g * 2.0**other, "other": lambda xp, g, out: g * (out * LN2)},
        floats=True,
        explain="a·2ᵇ",
    )
)


def _frexp_array(self: Any) -> Any:
    mantissa, exponent = np.frexp(self)
    return mantissa, exponent.astype(np.int32)


_frexp = Primitive(
    "frexp",
    _frexp_array,
    {"self": lambda xp, g, exponent: g[0] * 2.0 ** -xp.constant(exponent)},
    outputs=("mantissa", "exponent"),
)


def frexp(input: Any, *, out: Any = None) -> Any:
    """(mantissa, exponent): x = m·2ᵉ with ½ ≤ |m| < 1, e an int32. RuntimeError unless `input` is floating."""
    have = tensor_dtype(check_tensor(input, "frexp"))
    if have.category != 2:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    if out is not None and out[1]._array.dtype != np.int32:
        raise RuntimeError(
            f"torch.frexp() expects exponent to have int dtype but got {c_name(tensor_dtype(out[1]))}"
        )
    made = for_type(_frexp, have)(input)
    if out is not None:
        made = [store_out(place, result) for place, result in zip(out, made, strict=True)]
    return return_types.frexp(made)
