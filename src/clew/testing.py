"""`torch.testing`: `assert_close`, whose message says where two results part, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import clew
from clew.core.variable import Variable
from clew.dtypes import dtype, from_numpy

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

TOLERANCES = {  # relative, absolute
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


class _Options:
    """How strictly to compare."""

    def __init__(
        self, rtol: Any, atol: Any, equal_nan: bool, check_dtype: bool, check_stride: bool, subclasses: bool
    ) -> None:
        self.rtol, self.atol, self.equal_nan = rtol, atol, equal_nan
        self.check_dtype, self.check_stride, self.subclasses = check_dtype, check_stride, subclasses

    def tolerance(self, *types: dtype) -> tuple[float, float]:
        """The looser of the types' tolerances, or what was asked for."""
        if self.rtol is not None:
            return self.rtol, self.atol
        found = [TOLERANCES.get(t.name, (0.0, 0.0)) for t in types]
        return max(r for r, _ in found), max(a for _, a in found)


class _Differ(Exception):
    """What differs, and the way there."""

    def __init__(self, kind: type[Exception], message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.path: list[Any] = []

    def text(self) -> str:
        """The message, with the place inside containers."""
        where = "".join(f"[{key!r}]" for key in reversed(self.path))
        return f"{self}\n\nThe failure occurred for item {where}" if where else str(self)


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """|actual − expected| ≤ atol + rtol·|expected|, element by element, in containers too.

    AssertionError says where they part; the tolerances of the element type are used unless both are given.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {'rtol' if rtol is None else 'atol'}."
        )
    options = _Options(rtol, atol, equal_nan, check_dtype, check_stride, allow_subclasses)
    try:
        _compare(actual, expected, options)
    except _Differ as found:
        text = found.text()
        if found.kind is AssertionError and msg is not None:
            text = msg(text) if callable(msg) else msg
        raise found.kind(text) from None


def assert_allclose(
    actual: Any, expected: Any, rtol: Any = None, atol: Any = None, equal_nan: bool = True, msg: str = ""
) -> None:
    """The older form of `assert_close`."""
    actual, expected = (v if isinstance(v, Variable) else clew.tensor(v) for v in (actual, expected))
    if rtol is None and atol is None:
        rtol, atol = max(TOLERANCES.get(v.dtype.name, (0.0, 0.0)) for v in (actual, expected))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None
    )


def _compare(actual: Any, expected: Any, options: _Options) -> None:
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        _compare_mappings(actual, expected, options)
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            raise _Differ(
                AssertionError, f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            )
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            _inside(i, a, e, options)
    elif actual is None and expected is None:
        return
    elif _is_number(actual) and _is_number(expected):
        kinds = [_type_of(v) for v in (actual, expected)]
        if options.check_dtype and type(actual) is not type(expected):
            raise _Differ(AssertionError, f"The (d)types do not match: {type(actual)} != {type(expected)}.")
        _numbers(np.asarray(actual), np.asarray(expected), options, kinds)
    elif _is_array(actual) and _is_array(expected) and (options.subclasses or type(actual) is type(expected)):
        _compare_tensors(_tensor(actual), _tensor(expected), options)
    else:
        raise _Differ(
            TypeError,
            f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.",
        )


def _inside(key: Any, actual: Any, expected: Any, options: _Options) -> None:
    try:
        _compare(actual, expected, options)
    except _Differ as found:
        found.path.append(key)
        raise


def _compare_mappings(actual: Any, expected: Any, options: _Options) -> None:
    missing, more = set(expected) - set(actual), set(actual) - set(expected)
    if missing or more:
        raise _Differ(
            AssertionError,
            "The keys of the mappings do not match:\n"
            f"Missing keys in the actual mapping: {sorted(missing)}\n"
            f"Additional keys in the actual mapping: {sorted(more)}",
        )
    for key in sorted(actual, key=repr):
        _inside(key, actual[key], expected[key], options)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)


def _is_array(value: Any) -> bool:
    return isinstance(value, (Variable, np.ndarray, np.generic, bool, int, float, complex))


def _type_of(value: Any) -> dtype:
    return from_numpy(np.asarray(value).dtype)


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Variable) else clew.as_tensor(value)


def _compare_tensors(actual: Any, expected: Any, options: _Options) -> None:
    names = ["shape"] + (["dtype"] if options.check_dtype else [])
    for name in names:
        a, e = getattr(actual, name), getattr(expected, name)
        if a != e:
            raise _Differ(AssertionError, f"The values for attribute '{name}' do not match: {a} != {e}.")
    if options.check_stride and actual.stride() != expected.stride():
        raise _Differ(
            AssertionError,
            f"The values for attribute 'stride()' do not match: {actual.stride()} != {expected.stride()}.",
        )
    _numbers(np.asarray(actual._array), np.asarray(expected._array), options, [actual.dtype, expected.dtype])


def _numbers(actual: np.ndarray, expected: np.ndarray, options: _Options, types: list[dtype]) -> None:
    """Compare numbers and say the largest differences."""
    rtol, atol = options.tolerance(*types)
    wide: Any = next(
        (
            w
            for kinds, w in (("c", np.complex128), ("fV", np.float64))
            if {actual.dtype.kind, expected.dtype.kind} & {*kinds}
        ),
        np.int64,
    )
    a, e = actual.astype(wide), expected.astype(wide)
    with np.errstate(all="ignore"):
        if rtol == atol == 0:
            close = (a == e) | (options.equal_nan & (a != a) & (e != e))
        else:
            close = np.isclose(a, e, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
        if close.all():
            return
        exact = rtol == 0 and atol == 0
        single = a.ndim == 0
        absolute = np.array(np.abs(a - e))
        relative = np.array(absolute / np.abs(e))
        if types[0].name == "float32" and not single:
            relative = relative.astype(np.float32).astype(np.float64)
        if a.dtype.kind == "i" and not single:
            relative = relative.astype(np.float32)
        for value in (absolute, relative):
            value[close] = 0
    head = f"{'Scalars' if single else 'Tensor-likes'} are not {'equal' if exact else 'close'}!\n\n"
    if single:
        lines = [
            f"Expected {e.item()} but got {a.item()}.",
            f"Absolute difference: {absolute.item()}" + ("" if exact else f" (up to {atol} allowed)"),
            f"Relative difference: {relative.item()}" + ("" if exact else f" (up to {rtol} allowed)"),
        ]
    else:
        wrong = int((~close).sum())
        lines = [f"Mismatched elements: {wrong} / {close.size} ({wrong / close.size:.1%})"]
        for name, value, limit in (("absolute", absolute, atol), ("relative", relative, rtol)):
            at = tuple(int(i) for i in np.unravel_index(int(np.argmax(value)), value.shape))
            shown = value[at].item()
            lines.append(
                f"Greatest {name} difference: {shown} at index {at}"
                + ("" if exact else f" (up to {limit} allowed)")
            )
    raise _Differ(AssertionError, head + "\n".join(lines))


def make_tensor(
    *shape: Any, dtype: Any, device: Any = "cpu", low: Any = None, high: Any = None, requires_grad: bool = False,
    noncontiguous: bool = False, exclude_zero: bool = False,
) -> Any:  # fmt: skip
    """A tensor of random numbers, uniform in [low, high): −9 to 9 unless told otherwise (0 to 9 for uint8)."""
    size = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    low = (0 if dtype is clew.uint8 else -9) if low is None else low
    high = 9 if high is None else high
    if dtype is clew.bool:
        made = clew.randint(0, 2, size).to(clew.bool)
    elif not dtype.is_floating_point and not dtype.is_complex:
        made = clew.randint(int(low), int(high) + (1 if high == 9 else 0), size, dtype=dtype)
    elif dtype.is_complex:
        real, imag = (clew.rand(size, dtype=dtype.to_real()) * (high - low) + low for _ in range(2))
        made = clew.complex(real, imag)
    else:
        made = (clew.rand(size) * (high - low) + low).to(dtype)
    if exclude_zero:
        made[made == 0] = 1
    if noncontiguous and made.numel() > 1:
        made = clew.repeat_interleave(made, 2, dim=-1)[..., ::2]
    return made.requires_grad_(requires_grad)
