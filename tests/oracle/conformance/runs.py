"""What is compared: one function per column. Each returns None where all samples agree, "" where the column does not
apply, else the first difference."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes  # noqa: F401  (its types must be known to NumPy before arrays of them are compared)
import numpy as np
import torch

import clew
from conformance.translate import Missing, array, function, value

SAMPLES = 10
SECONDS = 60  # for one column of one entry
TOLERANCES = {  # relative, absolute
    torch.float64: (1e-7, 1e-9),
    torch.complex128: (1e-7, 1e-9),
    torch.float32: (1e-4, 2e-5),
    torch.complex64: (1e-4, 2e-5),
    torch.float16: (4e-3, 2e-3),
    torch.bfloat16: (3e-2, 2e-2),
}
# PyTorch's own values of these are wrong from the seventh digit on where 5 < |x| < 10 (seen with 30 digits).
INEXACT = {"special.bessel_j0": 100.0, "special.bessel_j1": 100.0, "special.bessel_y1": 100.0}
slack = [1.0]  # by how much tolerances are widened for the entry being compared
# Decompositions are unique only up to signs, phases or an order: compared by what the sample makes of them.
UP_TO_PHASE = ("svd", "eig", "qr", "lstsq", "lowrank", "geqrf", "householder")


# Memory as it comes: only types and shapes can be compared.
UNFILLED = ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided")


class Differs(Exception):
    """The two libraries disagree."""


class TooLong(Exception):
    """A column took longer than it may."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TooLong after some seconds."""

    def stop(*_: Any) -> None:
        raise TooLong(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# ---- samples -----------------------------------------------------------------------------------------------------------
def samples(op: Any, dtype: torch.dtype, requires_grad: bool) -> Iterator[Any]:
    """The first samples of an entry, the same ones every time."""
    torch.manual_seed(0)
    np.random.seed(0)
    yield from itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=requires_grad), SAMPLES)


def error_samples(op: Any) -> Iterator[Any]:
    """The error inputs that arrays in memory can express (they have at most 64 dimensions)."""
    torch.manual_seed(0)
    for given in op.error_inputs("cpu"):
        sample = given.sample_input
        given_tensors = tensors((sample.input, sample.args, sample.kwargs))
        if all(t.dim() <= 64 and t.device.type == "cpu" for t in given_tensors):
            yield given


class Case:
    """One sample, as PyTorch's arguments and as clew's."""

    def __init__(self, op: Any, sample: Any) -> None:
        self.op = op
        self.args = (sample.input, *sample.args)
        self.kwargs = sample.kwargs
        known: dict[int, Any] = {}
        self.own_args = value(self.args, known)
        self.own_kwargs = value(self.kwargs, known)
        self.process = sample.output_process_fn_grad
        self.leaves = [t for t in tensors((self.args, self.kwargs)) if t.requires_grad and not cut_off(t)]
        self.own_leaves = [known[id(t)] for t in self.leaves]

    def theirs(self, f: Callable[..., Any] | None = None) -> Any:
        """PyTorch's result."""
        torch.manual_seed(1)
        return (f or self.op.op)(*self.args, **self.kwargs)

    def ours(self, f: Callable[..., Any] | None = None) -> Any:
        """clew's result."""
        clew.manual_seed(1)
        return (f or function(self.op.op))(*self.own_args, **self.own_kwargs)

    def wrapped(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The function as PyTorch's own gradient checks call it: with inputs made symmetric, or outputs made unique."""
        wrapper = self.op.gradcheck_wrapper

        def around(f: Any, wrap: Any, process: Any) -> Callable[..., Any]:
            return lambda *args, **kwargs: process(wrap(f, *args, **kwargs))

        return (
            around(self.op.op, wrapper, self.process),
            around(function(self.op.op), function(wrapper), function(self.process)),
        )


def cut_off(t: torch.Tensor) -> bool:
    """Whether it is a slice, made unrecorded, of a leaf that requires a gradient: PyTorch's never arrives there."""
    return t.is_leaf and t._is_view() and t._base is not None and t._base.requires_grad


def tensors(x: Any) -> list[Any]:
    """All tensors in a nested value, in order, each once."""
    found: dict[int, Any] = {}

    def look(x: Any) -> None:
        if isinstance(x, (torch.Tensor, clew.Tensor)):
            found.setdefault(id(x), x)
        elif isinstance(x, (list, tuple)):
            for v in x:
                look(v)
        elif isinstance(x, dict):
            for v in x.values():
                look(v)

    look(x)
    return list(found.values())


# ---- comparing ---------------------------------------------------------------------------------------------------------
def compare(want: Any, have: Any, where: str = "value", *, filled: bool = True) -> None:
    """Nested results: types, shapes, numbers (`filled`: else types and shapes of tensors)."""
    if isinstance(want, torch.Tensor):
        if not isinstance(have, clew.Tensor):
            raise Differs(f"{where}: {type(have).__name__} instead of a tensor")
        if filled:
            compare_tensors(want, have, where)
        else:
            compare_layout(want, have, where)
    elif isinstance(want, (list, tuple)):
        if not isinstance(have, (list, tuple)) or len(want) != len(have):
            raise Differs(f"{where}: {have!r:.80} instead of {len(want)} results")
        for i, (w, h) in enumerate(zip(want, have, strict=True)):
            compare(w, h, f"{where}[{i}]")
    elif isinstance(want, float):
        if not np.isclose(want, have, rtol=1e-6, equal_nan=True):
            raise Differs(f"{where}: {have} instead of {want}")
    elif isinstance(want, torch.dtype):
        if str(want) != str(have):
            raise Differs(f"{where}: {have} instead of {want}")
    elif want != have:
        raise Differs(f"{where}: {have!r:.80} instead of {want!r:.80}")


def compare_layout(want: torch.Tensor, have: Any, where: str) -> None:
    if str(want.dtype) != str(have.dtype):
        raise Differs(f"{where}: {have.dtype} instead of {want.dtype}")
    if tuple(want.shape) != tuple(have.shape):
        raise Differs(f"{where}: shape {tuple(have.shape)} instead of {tuple(want.shape)}")
    if want.layout != torch.strided:
        raise Differs(f"{where}: {want.layout}")


def compare_tensors(want: torch.Tensor, have: Any, where: str, loose: float = 1.0) -> None:
    compare_layout(want, have, where)
    compare_arrays(
        array(want), np.asarray(have.detach()._array), TOLERANCES.get(want.dtype), where, loose * slack[0]
    )


def compare_arrays(
    w: Any, h: Any, tolerance: tuple[float, float] | None, where: str, loose: float = 1.0
) -> None:
    if tolerance is None:
        if not np.array_equal(w, h):
            raise Differs(f"{where}: {_at(w, h, w != h)}")
        return
    rtol, atol = tolerance
    wide = np.complex128 if w.dtype.kind == "c" else np.float64
    w, h = np.asarray(w).astype(wide), np.asarray(h).astype(wide)
    close = np.isclose(h, w, rtol=rtol * loose, atol=atol * loose, equal_nan=True)
    if not close.all():
        raise Differs(f"{where}: {_at(w, h, ~close)}")


def _at(w: Any, h: Any, wrong: Any) -> str:
    """The first wrong number."""
    where = tuple(np.argwhere(np.atleast_1d(wrong))[0].tolist())
    found, wanted = np.atleast_1d(h)[where], np.atleast_1d(w)[where]
    return f"{found!s} instead of {wanted!s} at {list(where)}, {int(np.sum(wrong))} of {np.size(w)}"


def cotangent(t: torch.Tensor, seed: int) -> tuple[torch.Tensor, Any]:
    """The same random numbers, shaped like `t`, for both libraries."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(-1, 1, tuple(t.shape))
    if t.dtype.is_complex:
        numbers = numbers + 1j * rng.uniform(-1, 1, tuple(t.shape))
    theirs = torch.tensor(numbers).to(t.dtype).reshape(t.shape)
    return theirs, value(theirs)


def zeros_for_none(grads: Any, leaves: Any, module: Any) -> list[Any]:
    return [module.zeros_like(t) if g is None else g.detach() for g, t in zip(grads, leaves, strict=True)]


def compare_gradients(want: Any, have: Any, case: Case, where: str, loose: float = 1.0) -> None:
    theirs = zeros_for_none(want, case.leaves, torch)
    ours = zeros_for_none(have, case.own_leaves, clew)
    for i, (w, h) in enumerate(zip(theirs, ours, strict=True)):
        compare_tensors(w, h, f"{where} {i}", loose)


# ---- columns -----------------------------------------------------------------------------------------------------------
def attempt(f: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return f(), None
    except Exception as error:
        return None, error


def forward_pass(case: Case) -> tuple[Any, Any]:
    """Both results, compared."""
    theirs, error = attempt(case.theirs)
    if error is not None:
        raise error
    ours = case.ours()
    try:
        compare(theirs, ours, filled=case.op.name not in UNFILLED)
    except Differs:
        if not any(word in case.op.name for word in UP_TO_PHASE):
            raise
        compare(*[f(result) for f, result in zip((case.process, function(case.process)), (theirs, ours), strict=True)], "processed value")  # fmt: skip
    return theirs, ours


def gradients(case: Case, second: bool = False) -> None:
    """First derivatives by a random cotangent; `second`: the derivatives of these, too."""
    if not case.leaves:
        return
    f, g = case.wrapped()
    theirs = [t for t in tensors(case.theirs(f)) if t.requires_grad]
    if not theirs:
        return
    ours = [t for t in tensors(case.ours(g)) if t.requires_grad]
    if len(theirs) != len(ours):
        raise Differs(f"{len(ours)} results with a history instead of {len(theirs)}")
    weights = [cotangent(t, i) for i, t in enumerate(theirs)]
    want, error = attempt(lambda: torch.autograd.grad(theirs, case.leaves, [w for w, _ in weights], create_graph=second, allow_unused=True))  # fmt: skip
    if error is not None:
        return
    have = clew.autograd.grad(
        ours, case.own_leaves, [w for _, w in weights], create_graph=second, allow_unused=True
    )
    compare_gradients(want, have, case, "gradient", 10.0)
    if not second:
        return
    again = [i for i, w in enumerate(want) if w is not None and w.requires_grad]
    if not again:
        return
    more = [cotangent(want[i], 50 + i) for i in again]
    twice, error = attempt(lambda: torch.autograd.grad([want[i] for i in again], case.leaves, [w for w, _ in more], allow_unused=True))  # fmt: skip
    if error is not None:
        return
    pairs = [
        (have[i], w)
        for i, (_, w) in zip(again, more, strict=True)
        if have[i] is not None and have[i].requires_grad
    ]
    own = clew.autograd.grad([h for h, _ in pairs], case.own_leaves, [w for _, w in pairs], allow_unused=True) if pairs else [None] * len(case.leaves)  # fmt: skip
    compare_gradients(twice, own, case, "second derivative", 100.0)


def over_samples(check: Callable[[Case], Any], op: Any, found: Iterator[Any]) -> str | None:
    """A check over samples; samples that PyTorch itself refuses are passed over."""
    count = 0
    slack[0] = INEXACT.get(op.name, 1.0)
    for sample in found:
        try:
            case = Case(op, sample)
            check(case)
        except (Missing, TooLong, Differs):
            raise
        except Exception:
            _, error = attempt(lambda: Case(op, sample).theirs())
            if error is None:
                raise
            continue
        count += 1
    return None if count else ""


def column(applies: Callable[[Any], bool]) -> Callable[[Callable[[Any], Any]], Callable[[Any], str | None]]:
    """A column: where it applies, and differences and errors as text."""

    def make(run: Callable[[Any], Any]) -> Callable[[Any], str | None]:
        @functools.wraps(run)
        def checked(op: Any) -> str | None:
            if not applies(op):
                return ""
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    with limited(SECONDS):
                        return run(op)
                except Missing as error:
                    return f"missing: {error}"
                except (Differs, TooLong) as error:
                    return str(error)
                except Exception as error:
                    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"

        return checked

    return make


def has(dtype: torch.dtype) -> Callable[[Any], bool]:
    return lambda op: dtype in op.dtypes


def _differentiable(op: Any, dtype: torch.dtype) -> bool:
    derivable = dtype.is_floating_point or dtype.is_complex
    return derivable and op.supports_autograd and dtype in op.backward_dtypes


def _values(op: Any, dtype: torch.dtype, contiguous: bool = True) -> str | None:
    grad = _differentiable(op, dtype)

    def check(case: Case) -> None:
        forward_pass(case)
        if grad:
            gradients(case)

    found = samples(op, dtype, grad)
    return over_samples(check, op, found if contiguous else (s.noncontiguous() for s in found))


@column(lambda op: True)
def own_type(op: Any) -> str | None:
    """Entries without float64, in the widest type they have."""
    from conformance.entries import main_dtype

    dtype = main_dtype(op)
    return "" if dtype is None or dtype == torch.float64 else _values(op, dtype)


@column(has(torch.float64))
def float64(op: Any) -> str | None:
    return _values(op, torch.float64)


@column(has(torch.float32))
def float32(op: Any) -> str | None:
    return _values(op, torch.float32)


@column(has(torch.float64))
def noncontiguous(op: Any) -> str | None:
    return _values(op, torch.float64, contiguous=False)


@column(has(torch.complex128))
def complex128(op: Any) -> str | None:
    return _values(op, torch.complex128)


@column(has(torch.bfloat16))
def bfloat16(op: Any) -> str | None:
    return _values(op, torch.bfloat16)


@column(has(torch.int64))
def int64(op: Any) -> str | None:
    return _values(op, torch.int64)


@column(lambda op: op.supports_gradgrad and _differentiable(op, torch.float64) and torch.float64 in op.dtypes)
def second(op: Any) -> str | None:
    return over_samples(lambda case: gradients(case, second=True), op, samples(op, torch.float64, True))


@column(
    lambda op: op.supports_forward_ad and _differentiable(op, torch.float64) and torch.float64 in op.dtypes
)
def forward_mode(op: Any) -> str | None:
    return over_samples(_forward_mode, op, samples(op, torch.float64, True))


def _forward_mode(case: Case) -> None:
    if not case.leaves:
        return
    f, g = case.wrapped()
    along = [cotangent(t, i) for i, t in enumerate(case.leaves)]
    want, error = attempt(
        lambda: _tangents(torch, f, case.args, case.kwargs, case.leaves, [t for t, _ in along])
    )
    if error is not None:
        return
    have = _tangents(clew, g, case.own_args, case.own_kwargs, case.own_leaves, [t for _, t in along])
    if len(want) != len(have):
        raise Differs(f"tangents: {len(have)} instead of {len(want)}")
    for w, h in zip(want, have, strict=True):
        if w[1] is None and h[1] is None:
            continue
        compare_tensors(w[0] if w[1] is None else w[1], h[0] if h[1] is None else h[1], "tangent", 10.0)


def _tangents(module: Any, f: Any, args: Any, kwargs: Any, leaves: Any, along: Any) -> list[Any]:
    """Pairs of zeros like a result, and its tangent."""
    ad = module.autograd.forward_ad
    module.manual_seed(1)
    with ad.dual_level():
        duals = {id(t): ad.make_dual(t.detach(), v) for t, v in zip(leaves, along, strict=True)}

        def dual(x: Any) -> Any:
            if isinstance(x, (torch.Tensor, clew.Tensor)):
                return duals.get(id(x), x)
            if isinstance(x, (list, tuple)):
                return type(x)(dual(v) for v in x)
            return {k: dual(v) for k, v in x.items()} if isinstance(x, dict) else x

        made = tensors(f(*dual(args), **dual(kwargs)))
        floats = [t for t in made if t.is_floating_point() or t.is_complex()]
        return [(module.zeros_like(t.detach()), ad.unpack_dual(t).tangent) for t in floats]


@column(lambda op: op.error_inputs_func is not None)
def errors(op: Any) -> str | None:
    """Error inputs: the same type of exception."""
    for given in error_samples(op):
        case = Case(op, given.sample_input)
        _, want = attempt(case.theirs)
        if want is None:
            continue
        _, have = attempt(case.ours)
        if have is None:
            raise Differs(f"no error instead of {type(want).__name__}: {str(want).splitlines()[0]:.150}")
        if type(have).__name__ != type(want).__name__:
            raise Differs(f"{type(have).__name__} ({have!s:.80}) instead of {type(want).__name__}: {str(want).splitlines()[0]:.150}")  # fmt: skip
    return None


@column(lambda op: op.error_inputs_func is not None)
def sentences(op: Any) -> str | None:
    """Error inputs: the sentence that PyTorch's own test looks for."""
    for given in error_samples(op):
        case = Case(op, given.sample_input)
        _, want = attempt(case.theirs)
        _, have = attempt(case.ours)
        if want is not None and not re.search(given.error_regex, str(have)):
            raise Differs(
                f"{str(have).splitlines()[0] if str(have) else have!r:.100} instead of: {given.error_regex:.120}"
            )
    return None


def _variant(op: Any, variant: Any, in_place: bool) -> str | None:
    from conformance.entries import main_dtype

    dtype = main_dtype(op)
    if variant is None or dtype is None:
        return ""

    def check(case: Case) -> None:
        own = function(variant)
        theirs, error = attempt(lambda: case.theirs(variant))
        if error is not None:  # such as a result that does not fit into its first operand
            return
        ours = case.ours(own)
        compare(theirs, ours, filled=op.name not in UNFILLED)
        if in_place:
            compare(case.args[0], case.own_args[0], "written operand")

    return over_samples(check, op, samples(op, dtype, False))


@column(lambda op: op.method_variant is not None)
def method(op: Any) -> str | None:
    return _variant(op, op.method_variant, False)


@column(lambda op: op.inplace_variant is not None)
def in_place(op: Any) -> str | None:
    return _variant(op, op.inplace_variant, True)


@column(lambda op: op.supports_out)
def out(op: Any) -> str | None:
    from conformance.entries import main_dtype

    dtype = main_dtype(op)
    if dtype is None:
        return ""

    def check(case: Case) -> None:
        theirs = case.theirs()
        if not isinstance(theirs, torch.Tensor) or "out" in case.kwargs:
            return
        f = function(op.op)
        place = clew.empty(tuple(theirs.shape), dtype=value(theirs.dtype))
        clew.manual_seed(1)
        result = f(*case.own_args, **case.own_kwargs, out=place)
        if result is not place:
            raise Differs("out: another tensor is returned")
        compare(theirs, place, "out", filled=op.name not in UNFILLED)

    return over_samples(check, op, samples(op, dtype, False))


COLUMNS: dict[str, Callable[[Any], str | None]] = {
    "float64": float64,
    "float32": float32,
    "noncontiguous": noncontiguous,
    "second": second,
    "forward": forward_mode,
    "complex128": complex128,
    "bfloat16": bfloat16,
    "int64": int64,
    "other": own_type,
    "errors": errors,
    "sentences": sentences,
    "method": method,
    "in_place": in_place,
    "out": out,
}
