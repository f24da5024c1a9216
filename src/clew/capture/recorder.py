"""The recording of one run. While it is open, every tensor shows traced arrays in place of its real ones.

What runs is the real thing: real values are computed, real memory is written. A thing that cannot be recorded only marks
the recording as failed (with the line), and the run goes on; so there is never anything to undo.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from sys import _getframe
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from clew import streams
from clew.capture.program import Ref, Step
from clew.capture.traced import Number, Traced
from clew.core import engine, raw, storage
from clew.core.modes import recordings
from clew.core.node import AccumulateGrad, Freed, Node, internal, user_place
from clew.core.variable import Variable
from clew.ops import _builders, _draws, create
from clew.optim.optimizer import Optimizer

_own = engine.own
_slot: Any = Variable.__dict__["_array"]  # where a tensor's real array is kept
# Functions on arrays that work in memory, or are called past the primitives: recorded by name, not taken apart.
_WHOLE = (
    *[("clew.core.raw", name) for name in ("broadcast_to", "keep", "sum", "sum_to", "total", "where")],
    *[("clew.ops._views", name) for name in ("_broadcast", "_diagonal_array", "_unfold_array")],
    ("clew.core.storage", "strided"),
    *[
        ("clew.ops.softmax", name)
        for name in ("log_softmax_lines", "_softmax_forward", "_log_softmax_forward")
    ],
)
_PLACES = (
    "root_of",
    "start_of",
)  # of `core.storage`: where in memory an array lies, which is another on every call
_DRAWS = (
    "any_value", "bernoulli", "bernoulli_each", "cauchy", "exponential", "geometric", "integers", "log_normal", "multinomial",
    "normal", "permutation", "poisson", "uniform",
)  # fmt: skip

_DRAWING = streams, _draws


_MIXIN = "numpy/lib/mixins.py"


class External:
    """A tensor that was there before the run. before: its values then, if they were written; version: of its memory."""

    __slots__ = ("array", "before", "first", "tensor", "traced")

    def __init__(self, tensor: Variable, array: Any, traced: Traced) -> None:
        self.tensor = tensor
        self.array = array
        self.traced = traced
        self.first = traced.name
        self.before: Any = None


class Recorder:
    """One recording. `failure`: why it cannot be used, and the user's line."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.count = 0
        self.externals: dict[int, External] = {}  # by the identity of the array
        self.values: list[Any] = []  # what each name stood for in this run
        self.holders: list[weakref.ref[Any]] = []  # tensors that were given traced arrays
        self.born: dict[int, Any] = {}  # arrays made during the run out of nothing recorded: constants
        self.sinks: dict[AccumulateGrad, Variable | None] = {}  # leaves met, and `.grad` when they were
        self.taken: list[Number] = []  # numbers taken out of tensors
        self.failure: tuple[str, Any] | None = None
        self.frames: dict[
            CodeType, tuple[dict[str, Any], Any]
        ] = {}  # the user's functions met: globals, owner
        self.outermost: CodeType | None = None  # where the recorded function was called
        self.thread = threading.get_ident()

    # ---- failing -----------------------------------------------------------------------------------------------------
    def fail(self, reason: str) -> None:
        """Note the first thing that cannot be recorded."""
        if self.failure is None:
            self.failure = reason, user_place(2)

    def place(self) -> Any:
        """The user's line, and a note of the functions that led there."""
        frame: FrameType | None = _getframe(2)
        found = None
        while frame is not None:
            code = frame.f_code
            if not internal[code.co_filename] and not code.co_filename.endswith(_MIXIN):
                if found is None:
                    found = code, frame.f_lasti
                if code in self.frames:
                    break
                self.frames[code] = frame.f_globals, frame.f_locals.get("self")
            elif code is self.outermost:
                break
            frame = frame.f_back
        return found

    # ---- names ---------------------------------------------------------------------------------------------------------
    def new(self, value: Any, root: Traced | None = None) -> Traced:
        """A stand-in for a fresh value."""
        self.values.append(value)
        self.count += 1
        return Traced(self, self.count - 1, value, root)

    def lift(self, tensor: Variable, array: Any) -> Traced:
        """The stand-in for the array of a tensor that was there before."""
        known = self.externals.get(id(array))
        if known is not None and known.tensor is not tensor and array.__class__ is not ndarray:
            # One number for two tensors, such as the zero of two cleared gradients: they share no memory.
            known, array = None, array.dtype.type(array)
            _slot.__set__(tensor, array)
            if tensor._meta.__class__ is AccumulateGrad:
                tensor._meta.array = array
        if known is None and id(array) in self.born:
            traced = self.call(np.copy, (array,), {})
            _slot.__set__(tensor, traced)
            self.holders.append(weakref.ref(tensor))
            return traced
        if known is None:
            known = self.externals[id(array)] = External(tensor, array, self.new(array))
        meta = tensor._meta
        if meta.__class__ is AccumulateGrad and meta not in self.sinks:
            self.sinks[meta] = meta.grad
        return known.traced

    def ref(self, value: Any) -> Any:
        """An argument as the program keeps it."""
        kind = type(value)
        if kind is Traced:
            return Ref(value.name)
        if kind is tuple:
            return tuple([self.ref(v) for v in value])
        if kind is list:
            return [self.ref(v) for v in value]
        if kind is slice:
            return slice(self.ref(value.start), self.ref(value.stop), self.ref(value.step))
        if kind is dict:
            return {k: self.ref(v) for k, v in value.items()}
        if kind is ndarray:
            return value.copy() if value.flags.writeable else value
        return value

    # ---- operations ------------------------------------------------------------------------------------------------------
    def ufunc(self, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A ufunc or one of its methods; what goes to `out=` is a write."""
        outs = kwargs.pop("out", None)
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if method == "at":
            self.fail("writes at indices in place")
            return function(*real(inputs))
        if method in ("reduce", "accumulate"):
            function = _reduction(ufunc, method)
        if outs is None or outs[0] is None:
            return self.call(function, inputs, kwargs)
        (target,) = outs
        if type(target) is not Traced:
            self.fail("writes into memory that is not recorded")
            return function(*real(inputs), out=target, **real(kwargs))
        made = self.call(function, inputs, kwargs)
        return self.store(target, made)

    def call(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run a function on the real values, and note it."""
        kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
        out = kwargs.pop("out", None)
        value = function(*real(tuple(args)), **real(kwargs))
        place = self.place()
        if value.__class__ is tuple or value.__class__ is list:
            made = [self.new(v) for v in value]
            outs = tuple([m.name for m in made])
            found: Any = value.__class__(
                [m if isinstance(v, (ndarray, np.generic)) else v for m, v in zip(made, value, strict=True)]
            )
        elif isinstance(value, (ndarray, np.generic)):
            root = self.root_of(args, value)
            found = self.new(value, root)
            outs = (found.name,)
        else:  # a shape, a flag: the same on every call
            return value
        self.steps.append(Step(function, self.ref(tuple(args)), self.ref(kwargs), outs, place))
        return found if out is None else self.store(out, found)

    def attempt(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function on stand-ins; if that cannot be recorded, once more as one step that is not taken apart."""
        if self.failure is not None:
            return function(*args, **kwargs)
        steps, count = len(self.steps), self.count
        result = None
        try:
            result = function(*args, **kwargs)
        except Exception:
            self.fail("raises an error")
        if self.failure is None or any(s.effect for s in self.steps[steps:]):
            return result
        del self.steps[steps:], self.values[count:]
        self.count, self.failure = count, None
        return self.call(function, args, kwargs)

    def forward(self, primitive: Any, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        """A primitive's forward, which is promised arrays where the values may be NumPy scalars."""
        given = [
            self.call(np.asarray, (a,), {}) if type(a) is Traced and a.value.__class__ is not ndarray else a
            for a in arrays
        ]
        return self.attempt(forward_of(primitive), tuple(given), params)

    def pull(self, node: Node, g: Any, wanted: Sequence[bool]) -> Sequence[Any]:
        """A node's gradients."""
        primitive = node.primitive
        if node.__class__.pull is not Node.pull or (node.extras is not None and node.extras.conj):
            return node.pull(raw, g, wanted, False)
        if primitive.joint:
            formula = on_arrays(primitive, 0, f"{primitive.name}_back")
            return list(self.attempt(formula, (g, tuple(wanted), *node.arguments(0, False)), {}))
        return [
            self.attempt(
                on_arrays(primitive, index, f"{primitive.name}_back_{name}"),
                (g, *node.arguments(index, False)),
                {},
            )
            if want
            else None
            for index, (name, want) in enumerate(zip(primitive.inputs, wanted, strict=True))
        ]

    def holds(self, predicate: Callable[..., bool], values: tuple[Any, ...]) -> bool:
        """A decision by values, which the program asks for again: it runs only while the answer is the same."""
        answer = bool(predicate(*real(values)))
        if any(type(v) is Traced for v in values):
            self.steps.append(
                Step(require, (predicate, answer, *self.ref(values)), {}, (), self.place(), effect=True)
            )
        return answer

    def root_of(self, args: Sequence[Any], value: Any) -> Traced | None:
        """Whose memory a result shows: that of the first argument, if it is a view."""
        first = args[0] if args and type(args[0]) is Traced else None
        if first is None or value.__class__ is not ndarray or first.value.__class__ is not ndarray:
            return None
        if value.base is None or not np.may_share_memory(value, first.value):
            return None
        return first if first.root is None else first.root

    def store(self, target: Traced, made: Any) -> Traced:
        """`target[...] = made` of the whole memory."""
        value = made.value if type(made) is Traced else made
        self.check_write(target)
        if target.value.__class__ is ndarray:
            target.value[...] = value
            if (
                type(made) is not Traced
                or made.value.dtype != target.value.dtype
                or made.value.shape != target.value.shape
            ):
                made = self.noted(_filled, (made,), target.value.dtype, target.value.shape)
        else:
            target.value = target.value.dtype.type(value)
            if type(made) is not Traced or made.value.dtype != target.value.dtype:
                made = self.noted(_filled, (made,), target.value.dtype, ())
        target.name = made.name
        self.values[made.name] = self.kept(target)
        return target

    def kept(self, target: Traced) -> Any:
        """The values that memory has now, which may be written again."""
        return target.value.copy() if target.value.__class__ is ndarray else target.value

    def noted(self, function: Any, args: tuple[Any, ...], *more: Any) -> Traced:
        """A step that is only noted: the real thing has been done."""
        value = function(*real(args), *more)
        found = self.new(value)
        self.steps.append(Step(function, self.ref((*args, *more)), {}, (found.name,), user_place(3)))
        return found

    def write(self, target: Traced, key: Any, value: Any) -> None:
        """`target[key] = value`."""
        if (
            key is Ellipsis
            or (key.__class__ is slice and key == slice(None) and target.value.ndim == 1)
            or key == ()
        ):
            self.store(target, value)
            return
        self.check_write(target)
        made = self.noted(_put, (target, key, value))
        target.value[real(key)] = real(value)
        target.name = made.name
        self.values[made.name] = self.kept(target)

    def check_write(self, target: Traced) -> None:
        """Before memory is written: nobody else may look at it, and what was in it is kept."""
        if target.root is not None:
            self.fail("writes to a view of a tensor")
        external = self.externals.get(id(target.value))
        if external is None:
            return
        if external.before is None:
            external.before = (
                np.array(external.array) if external.array.__class__ is ndarray else external.array
            )
            self.values[external.first] = external.before
        if target.value.__class__ is ndarray:
            for other in self.externals.values():
                if (
                    other is not external
                    and other.array.__class__ is ndarray
                    and np.may_share_memory(other.array, target.value)
                ):
                    self.fail("writes to memory that another tensor shows, too")

    def helper(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is recorded as one step where traced arrays come."""

        def run(*args: Any, **kwargs: Any) -> Any:
            if any(type(a) is Traced for a in args):
                return self.call(function, args, kwargs)
            return function(*args, **kwargs)

        return run

    def draw(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A random draw: the program draws anew, from the same generator."""

        def run(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self.thread:
                return function(*args, **kwargs)
            found = self.call(function, args, kwargs)
            if type(found) is Traced:
                self.steps[-1].effect = True
            return found

        return run

    def looks(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that tells something of an array that no step can hold."""

        def run(array: Any) -> Any:
            if type(array) is Traced:
                self.fail("looks at where a tensor lies in memory")
            return function(real(array))

        return run

    def data(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that makes tensors out of data, which may be others on the next call."""

        def run(data: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == self.thread and not isinstance(data, (bool, int, float, complex)):
                self.fail("makes a tensor out of Python or NumPy data")
            return function(data, *args, **kwargs)

        return run

    def number_free(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that makes an operand of a number, which must not come out of a tensor."""

        def run(value: Any, *args: Any) -> Any:
            if value.__class__ is Number:
                self.fail("takes a number out of a tensor (`.item()`) and computes with it")
            return function(value, *args)

        return run

    # ---- optimizers --------------------------------------------------------------------------------------------------------
    def cleared(self, param: Variable) -> None:
        """A gradient is about to be cleared."""
        meta = param._meta
        if meta.__class__ is AccumulateGrad and meta not in self.sinks:
            self.lift(param, _slot.__get__(param))

    def optimize(self, optimizer: Optimizer, closure: Any) -> Any:
        """An optimizer's step: its own code, which the program calls with the gradients in place."""
        if closure is not None:
            self.fail("gives the optimizer a closure")
        params = [p for g in optimizer.param_groups for p in g["params"]]
        lifted = [
            self.lift(p, _slot.__get__(p)) if type(_slot.__get__(p)) is not Traced else _slot.__get__(p)
            for p in params
        ]
        for traced in lifted:
            self.check_write(traced)
        grads = [p._meta.grad if p._meta is not None else None for p in params]
        with paused(self):
            for p, t in zip(params, lifted, strict=True):
                if type(_slot.__get__(p)) is Traced:
                    _slot.__set__(p, t.value)
            held = [(g, _slot.__get__(g)) for g in grads if g is not None]
            for g, a in held:
                _slot.__set__(g, real(a))
            try:
                result = type(optimizer).step(optimizer, closure)
            finally:
                for g, a in held:
                    _slot.__set__(g, a)
        pairs = [
            (p, Ref(a.name) if type(a := _slot.__get__(g)) is Traced else None)
            if g is not None
            else (p, None)
            for p, g in zip(params, grads, strict=True)
        ]
        names = []
        for p, traced in zip(params, lifted, strict=True):
            array = _slot.__get__(p)
            if array is not traced.value:  # a scalar, which was replaced
                self.externals[id(array)] = self.externals.get(id(traced.value)) or External(p, array, traced)
                traced.value = array
            self.values.append(self.kept(traced))
            traced.name = self.count
            names.append(self.count)
            self.count += 1
        self.steps.append(Step(optimizer, tuple(pairs), {}, tuple(names), user_place(2), effect=True))
        return result

    # ---- afterwards ----------------------------------------------------------------------------------------------------------
    def settle(self) -> list[Any]:
        """Give every tensor its real array again. The tensors made here that are still alive."""
        found = []
        for external in self.externals.values():
            value, tensor = external.traced.value, external.tensor
            if (
                value.__class__ is not ndarray and _slot.__get__(tensor) is external.array
            ):  # a scalar that was replaced
                _slot.__set__(tensor, value)
                if tensor._meta.__class__ is AccumulateGrad:
                    tensor._meta.array = value
        for holder in self.holders:
            made = holder()
            if made is None:
                continue
            array = _slot.__get__(made)
            if type(array) is Traced:
                _slot.__set__(made, array.value)
                if made._meta.__class__ is AccumulateGrad:
                    made._meta.array = array.value
                found.append((made, array))
                if made._edge is not None:
                    settle_graph(made._edge[0])
        return found


def real(value: Any) -> Any:
    """An argument with the real arrays in place of the traced ones."""
    kind = type(value)
    if kind is Traced:
        return value.value
    if kind is tuple:
        return tuple([real(v) for v in value])
    if kind is list:
        return [real(v) for v in value]
    if kind is dict:
        return {k: real(v) for k, v in value.items()}
    if kind is slice:
        return slice(real(value.start), real(value.stop), real(value.step))
    return value


def settle_graph(root: Node) -> None:
    """Real arrays in what the nodes of a graph have saved."""
    stack, seen = [root], {root}
    while stack:
        node = stack.pop()
        if node.__class__ is AccumulateGrad:
            node.array = real(node.array)
        elif node.saved.__class__ is tuple:
            node.saved = real(node.saved)
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])


@cache
def forward_of(primitive: Any) -> Callable[..., Any]:
    """A primitive's forward, as a function with its name."""

    def run(*args: Any, **params: Any) -> Any:
        return primitive.forward(*args, **params)

    run.__name__ = run.__qualname__ = primitive.name
    return run


@cache
def on_arrays(primitive: Any, index: int, name: str) -> Callable[..., Any]:
    """A derivative formula on raw arrays, as a function with a name."""
    formula = primitive.formulas[index]

    def run(*args: Any) -> Any:
        return formula(raw, *args)

    run.__name__ = run.__qualname__ = name
    return run


class Changed(Exception):
    """A decision by values would be another than when the program was recorded."""


def require(predicate: Callable[..., bool], answer: bool, *values: Any) -> None:
    """Changed unless the predicate gives the recorded answer."""
    if bool(predicate(*values)) is not answer:
        raise Changed


_reductions: dict[Any, Any] = {}


def _reduction(ufunc: Any, method: str) -> Any:
    """`np.add.reduce`, one object for each, so that recordings can be compared."""
    return _reductions.setdefault((ufunc, method), getattr(ufunc, method))


def _filled(value: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    """`value` as memory of a type and shape holds it after a write."""
    if not shape:
        return dtype.type(value)
    made = np.empty(shape, dtype)
    made[...] = value
    return made


def _put(target: Any, key: Any, value: Any) -> Any:
    """`target` with `value` at `key`."""
    made = np.array(target)
    made[key] = value
    return made


# ---- opening a recording -------------------------------------------------------------------------------------------------
class _Shown:
    """What stands in the place of `Variable._array` while a recording is open."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __get__(self, tensor: Any, kind: Any = None) -> Any:
        array = _slot.__get__(tensor)
        if type(array) is Traced or threading.get_ident() != self.recorder.thread:
            return array
        return self.recorder.lift(tensor, array)

    def __set__(self, tensor: Any, array: Any) -> None:
        recorder = self.recorder
        if threading.get_ident() == recorder.thread:
            if type(array) is Traced:
                recorder.holders.append(weakref.ref(tensor))
            elif id(array) not in recorder.externals:
                recorder.born[id(array)] = array
        _slot.__set__(tensor, array)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record what this thread does."""
    recorder = Recorder()
    stand_ins: dict[Any, Any] = {
        _builders.operand: recorder.number_free(_builders.operand),
        engine.own: lambda g, like: g.copy() if type(g) is Traced else _own(g, like),
    }
    for function in (create.from_numpy, create.as_tensor, create.tensor):
        stand_ins[function] = recorder.data(function)
    for room, name in _WHOLE:
        if room in sys.modules:
            function = getattr(sys.modules[room], name)
            stand_ins[function] = recorder.helper(function)
    for name in _PLACES:
        function = getattr(storage, name)
        stand_ins[function] = recorder.looks(function)
    for drawing in _DRAWING:
        for name in _DRAWS:
            if name in vars(drawing):
                stand_ins[vars(drawing)[name]] = recorder.draw(vars(drawing)[name])
    places = [
        (vars(module), name, function)
        for room, module in list(sys.modules.items())
        if (room == "clew" or room.startswith("clew."))
        and not room.startswith("clew.capture")
        and module is not None
        for name, function in list(vars(module).items())
        if function.__class__ is FunctionType and function in stand_ins
    ]
    for names, name, function in places:
        names[name] = stand_ins[function]
    Variable._array = _Shown(recorder)
    recordings.append(recorder)
    try:
        yield recorder
    finally:
        recordings.remove(recorder)
        Variable._array = _slot
        for names, name, function in places:
            names[name] = function


@contextmanager
def paused(recorder: Recorder) -> Iterator[None]:
    """Tensors show their real arrays for a while."""
    Variable._array, shown = _slot, Variable.__dict__["_array"]
    recordings.remove(recorder)
    try:
        yield
    finally:
        Variable._array = shown
        recordings.append(recorder)


__all__ = ["Changed", "External", "Freed", "Recorder", "real", "recording", "require"]
