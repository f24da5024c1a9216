"""A captured program as one compiled kernel: forward, backward and update are a single call that allocates nothing.

The tensors that a program works on lie where they lie, so their addresses go into a table once; what the kernel takes
for granted (which array a parameter has, which tensor is its gradient) is asked before each call. Before a kernel is
used it runs beside the program that it comes from, on copies, and must give the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from sys import getrefcount
from typing import Any

import numpy as np

from clew.capture import rules  # noqa: F401  (adds its rules)
from clew.capture.guards import Conditions, of_text
from clew.capture.loops import CODES, CannotLower, Place, Val, contiguous
from clew.capture.lower import Lowering, own_rows
from clew.capture.mathematics import address_of_meeting
from clew.capture.native import array_type, compiled, functions_of, signature_of
from clew.capture.nests import MEET, Text
from clew.capture.program import Ref, refs
from clew.capture.recorder import Changed, require
from clew.capture.traced import METHODS
from clew.capture.updates import Update, update_for
from clew.core.node import AccumulateGrad, source_line
from clew.core.variable import wrap
from clew.kernels import count_threads
from clew.kernels.products import address_of_product
from clew.kernels.threads import together
from clew.optim.optimizer import Optimizer


class Fused:
    """A program's kernel. `text`: to read; `run(args)`: the result, or MISS."""

    def __init__(self, program: Any, args: list[Any], name: str) -> None:
        self.program = program
        self.recording = program.recording
        self.low = Lowering(threads_for(program))
        self.callees: list[int] = []  # addresses of functions
        self.meeting: tuple[np.ndarray, ...] = ()  # where threads meet, and what they tell each other
        self.fixed: list[np.ndarray] = []  # whose addresses stand in the table
        self.rows: list[str] = []  # the buffers of these
        self.given: list[
            tuple[str, str, str]
        ] = []  # parameter of the kernel, its type, the expression that gives it
        self.owners: list[tuple[Any, np.ndarray]] = []  # tensors and the memory they must have
        self.written: list[Any] = []  # tensors whose memory the kernel writes
        self.before: list[str] = []  # lines ahead of the call
        self.asked: list[str] = []  # lines that raise Changed where a decision would be another
        self.updates: list[Update] = []
        self.room: dict[str, Any] = {
            "np": np,
            "wrap": wrap,
            "getrefcount": getrefcount,
            "sum": sum,
            "map": map,
        }
        self.args = args
        self.sinks: list[AccumulateGrad] = []
        self._inputs()
        self._steps()
        self._outputs()
        self._compile(name)

    # ---- memory ------------------------------------------------------------------------------------------------------------
    def place(self, array: np.ndarray) -> Val:
        """A value in memory that stays where it is."""
        for row, known in zip(self.rows, self.fixed, strict=True):
            if known is array:
                buffer = row
                break
        else:
            if not array.flags.writeable:
                raise CannotLower("uses memory that may not be written")
            buffer = self.low.kernel.buffer(array.dtype, array.size, "fixed").name
            self.rows.append(buffer)
            self.fixed.append(array)
        strides = tuple([s // array.itemsize for s in array.strides])
        return Val(array.shape, array.dtype, Place(buffer, 0, strides))

    def _tensor(self, tensor: Any) -> Val:
        array = tensor.memory()
        if not any(t is tensor for t, _ in self.owners):
            for _, other in self.owners:
                if other is not array and np.may_share_memory(other, array):
                    raise CannotLower("uses memory that two tensors share")
            self.owners.append((tensor, array))
        return self.place(array)

    def thing(self, value: Any, hint: str) -> str:
        for known, held in self.room.items():
            if held is value:
                return known
        name = f"{hint}_{len(self.room)}"
        self.room[name] = value
        return name

    # ---- what comes in -------------------------------------------------------------------------------------------------------
    def _inputs(self) -> None:
        used = {
            n for s in self.program.steps for n in (*refs(s.args), *refs(s.kwargs))
        } | self.recording.wanted()
        self.known: dict[int, Any] = {}  # what is computed from constants alone
        self.sources: dict[int, str] = {}  # by number: the expression of an input, for steps that Python runs
        self.grads_in: list[tuple[AccumulateGrad, Any]] = []
        for source, name in self.recording.inputs:
            if name not in used:
                continue
            if isinstance(source, int):
                self.low.values[name] = self._argument(source, name)
            elif isinstance(source, AccumulateGrad):
                if source.grad is None:
                    raise CannotLower("reads a gradient that is gone")
                self.grads_in.append((source, source.grad))
                self.low.values[name] = self._tensor(source.grad)
                self.sources[name] = f"{self.thing(source.grad, 'grad')}._array"
            else:
                self.low.values[name] = self._tensor(source)
                self.sources[name] = f"{self.thing(source, 'tensor')}._array"

    def _argument(self, number: int, name: int) -> Val:
        array = self.args[number]._array
        self.sources[name] = f"args[{number}]._array"
        if array.__class__ is not np.ndarray:
            raise CannotLower("is given a number")
        return self._given(f"args[{number}]._array", array)

    def _given(self, expression: str, array: np.ndarray) -> Val:
        buffer = self.low.kernel.buffer(array.dtype, array.size, "given")
        kind = array_type(
            CODES[array.dtype.name] if array.dtype.kind != "b" else "b1", array.ndim, array.flags.c_contiguous
        )
        self.given.append((f"g{buffer.name[1:]}", kind, expression))
        return Val(
            array.shape,
            array.dtype,
            Place(buffer.name, 0, tuple([s // array.itemsize for s in array.strides])),
        )

    # ---- steps -----------------------------------------------------------------------------------------------------------
    def _steps(self) -> None:
        kernel = self.low.kernel
        self.groups: list[Optimizer] = []
        self.stepping: list[Optimizer] = []  # those that Python runs after the kernel
        for step in self.program.steps:
            line = source_line(step.place) if step.place is not None else None
            kernel.note = f"# line {line[1]}" if line else ""
            if isinstance(step.function, Optimizer):
                self._optimizer(step)
            elif self.groups:
                raise CannotLower("computes after the update")
            elif step.function is require:
                self._require(step)
            elif not step.effect and all(n in self.known for n in (*refs(step.args), *refs(step.kwargs))):
                self._fold(step)
            elif step.effect:
                self._draw(step)
            else:
                self.low.step(step)

    def _fold(self, step: Any) -> None:
        """A step on constants: its result is one."""
        made = step.function(*self._known(step.args), **self._known(step.kwargs))
        results = made if len(step.outs) > 1 else (made,)
        for name, value in zip(step.outs, results, strict=True):
            self.known[name] = value
            self.low.values[name] = self.low.value(value)

    def _known(self, value: Any) -> Any:
        if value.__class__ is Ref:
            return self.known[value.name]
        if value.__class__ in (tuple, list):
            return value.__class__([self._known(v) for v in value])
        if value.__class__ is dict:
            return {k: self._known(v) for k, v in value.items()}
        return value

    def _python(self, value: Any) -> str:
        """An argument of a step that Python runs ahead of the kernel."""
        if value.__class__ is Ref:
            if value.name in self.known:
                return self.thing(self.known[value.name], "known")
            if value.name not in self.sources:
                made = next((s for s in self.program.steps if value.name in s.outs), None)
                if made is None or METHODS.get(made.function) not in (
                    "reshape",
                    "ravel",
                    "swapaxes",
                    "transpose",
                ):
                    raise CannotLower("decides or draws by what it computes")
                given = ", ".join(self._python(a) for a in made.args)
                self.sources[value.name] = f"{self.thing(made.function, 'view')}({given})"
            return self.sources[value.name]
        if value.__class__ is tuple:
            return "(" + "".join(self._python(v) + ", " for v in value) + ")"
        if value is None or value.__class__ in (bool, int, str, float):
            return repr(value)
        return self.thing(value, "k")

    def _require(self, step: Any) -> None:
        if all(n in self.known for n in refs(step.args)):
            return
        given = ", ".join(self._python(a) for a in step.args)
        self.asked.append(f"{self.thing(require, 'require')}({given})")

    def _draw(self, step: Any) -> None:
        given = [self._python(a) for a in step.args]
        given += [f"{k}={self._python(v)}" for k, v in step.kwargs.items()]
        name = f"d{step.outs[0]}"
        self.before.append(
            f"{name} = {self.thing(step.function, step.function.__name__)}({', '.join(given)})"
        )
        sample = self.recording.samples[step.outs[0]]
        self.low.values[step.outs[0]] = self._given(name, np.empty(*sample))
        self.sources[step.outs[0]] = name

    def _optimizer(self, step: Any) -> None:
        """An optimizer's step: in the kernel where its formula is known there, else its own code afterwards."""
        optimizer = step.function
        grads = {id(p): self.low.values[g.name] for p, g in step.args if g is not None}
        updates = []
        self.groups.append(optimizer)
        try:
            for group in optimizer.param_groups:
                pairs = [(p, grads[id(p)]) for p in group["params"] if id(p) in grads]
                if pairs:
                    update = update_for(optimizer, group, pairs)
                    update.arrays()
                    updates.append(update)
        except CannotLower:
            self.stepping.append(optimizer)
            return
        self.updates += updates

    # ---- what goes out ---------------------------------------------------------------------------------------------------------
    def _outputs(self) -> None:
        kernel, recording, values = self.low.kernel, self.recording, self.low.values
        kernel.barrier = len(kernel.items)
        kernel.note = "# ---- gradients and results"
        self.numbers: list[str] = []
        self.fresh: list[tuple[str, Any]] = []
        self.gradients: list[tuple[AccumulateGrad, Any]] = []
        self.gradient_rows: list[int] = []
        for sink, name in recording.grads:
            self.gradients.append((sink, self._gradient(values[name])))
        self.results = [self._returned(name) for name, _ in recording.returned]
        self.plain = {name: self._number(values[name]) for name in recording.numbers}
        kernel.note = "# ---- writes"
        pending = []
        for source, name in recording.writes:
            if isinstance(source, int):
                raise CannotLower("writes to an argument")
            tensor = source.grad if isinstance(source, AccumulateGrad) else source
            pending.append((self._tensor(tensor), values[name]))
            self.written.append(tensor)
        originals = {v.place.buffer for v, _ in pending if v.place}
        for target, value in pending:
            if value.place is not None and value.place.buffer in originals:
                raise CannotLower("writes what it reads from memory that it writes")
            self._into(target, value)
        kernel.note = "# ---- update"
        self.scalars: list[str] = []
        self.state: list[list[np.ndarray]] = []
        for update in self.updates:
            names = [f"h{len(self.scalars) + i}" for i in range(update.count)]
            self.scalars += names
            arrays = update.arrays()
            self.state.append(arrays)
            places = [self.place(a).place for a in arrays]
            update.lower(self.low, self._tensor, names, places)  # type: ignore[arg-type]
            self.written += [p for p, _ in update.pairs]

    def _gradient(self, value: Val) -> Any:
        """A gradient's memory: that in which the value is made, if it is made nowhere else."""
        kernel, array = self.low.kernel, np.empty(value.shape, value.dtype)
        buffer = None if value.place is None else kernel.buffers[value.place.buffer]
        whole = buffer is not None and buffer.size == value.size and buffer.kind == "scratch"
        if whole and value.place == Place(buffer.name, 0, contiguous(value.shape)):  # type: ignore[union-attr]
            buffer.kind = "fixed"  # type: ignore[union-attr]
            kernel.needed.add(buffer.name)  # type: ignore[union-attr]
            self.rows.append(buffer.name)  # type: ignore[union-attr]
            self.fixed.append(array)
        else:
            self._into(self.place(array), value)
        self.gradient_rows.append(next(i for i, a in enumerate(self.fixed) if a is array))
        return wrap(array)

    def _into(self, target: Val, value: Val) -> None:
        """Store a value in a place: the memory of a value that is made for nothing else becomes that place."""
        assert target.place is not None
        self.low.kernel.write(target.place, target.shape, "{0}", [value], target.dtype)

    def _number(self, value: Val) -> int:
        """A number that the kernel returns: its position."""
        text = value.local
        if value.place is not None:
            made = self.low.kernel.map("{0}", [value], value.dtype)
            text = made.local
        self.numbers.append(f"f8({text})" if value.dtype.kind == "f" else f"i8({text})")
        return len(self.numbers) - 1

    def _returned(self, name: int) -> tuple[str, Any]:
        value = self.low.values[name]
        if not value.ndim:
            array = np.empty(1, value.dtype)
            self._into(self.place(array), self.low.view(value, lambda v: v.reshape(1)))
            return "number", array
        text = f"o{name}"
        sample = np.empty(value.shape, value.dtype)
        target = self._given(text, sample)
        self.before.append(f"{text} = np.empty({value.shape!r}, {self.thing(value.dtype, 'dtype')})")
        self._into(target, value)
        return "array", text

    # ---- the kernel ------------------------------------------------------------------------------------------------------------
    def _compile(self, name: str) -> None:
        kernel = self.low.kernel
        for row, array in self.low.constants.items():
            self.rows.append(row)
            self.fixed.append(array)
        written = Text(kernel)
        parts, shared = written.parts, written.shared
        at, places = 0, {row: f"table[{i}]" for i, row in enumerate(self.rows)}
        places |= {"b" + argument[1:]: f"{argument}.ctypes.data" for argument, _, _ in self.given}
        for buffer in kernel.buffers.values():
            if buffer.kind == "scratch" and buffer.name in kernel.needed and buffer.name not in shared:
                places[buffer.name] = f"table[{len(self.rows)}] + {at}"
                at += -(-buffer.size * buffer.dtype.itemsize // 64) * 64
        self.arena = np.empty(at + 64, np.uint8)
        codes = {b.name: CODES[b.dtype.name] for b in kernel.buffers.values()}
        head = [f"{n} = p_{codes[n]}({address})" for n, address in places.items()]
        threads = kernel.threads > 1
        more = ("tid", "nt", "sync", "slots") if threads else ()
        after = len(self.rows) + 1
        if threads:
            self.meeting = np.zeros(64, np.int64), np.zeros(max(kernel.slots, 1), np.float64)
            head += [f"sync, slots = p_i8(table[{after}]), p_f8(table[{after + 1}])"]
            after += 2
        head += [f"product_{code} = table[{after + i}]" for i, code in enumerate(self.low.products)]
        self.callees = [address_of_product(code) for code in self.low.products]
        after += len(self.callees)
        kinds = self._kinds(codes) if len(parts) > _PARTS else None
        functions, body, apart = functions_of(parts, shared, self.numbers, name, more, kinds)
        if not body and not self.numbers:
            raise CannotLower("computes nothing but what an optimizer's step does")
        if threads:
            head += own_rows_of(body)
            if kinds is not None:  # called, not written out in a hundred places
                head.append(f"meet_at = table[{after}]")
                body = [line.replace(MEET, "call(meet_at, (sync, nt))") for line in body]
                self.callees.append(address_of_meeting())
                after += 1
        head += [f"{own}_at = table[{after + i}]" for i, own in enumerate(apart)]
        last = [f"return ({', '.join(self.numbers)},)"] if self.numbers else []
        arguments = [
            "types.int64",
            *[k for _, k, _ in self.given],
            *["types.float64"] * len(self.scalars),
            *["types.int64"] * (2 * threads),
        ]
        parameters = ", ".join(["where", *[g for g, _, _ in self.given], *self.scalars, *more[:2]])
        text = "".join(f"    {line}\n" for line in ("table = p_i8(where)", *head, *body, *last))
        signature = signature_of(arguments)
        main = f'@njit({signature}, error_model="numpy", nogil={threads}, cache=CACHE)\ndef kernel({parameters}):\n{text}'
        self.text = "\n\n".join([*functions, main])
        dispatcher: Any = compiled(self.text)
        self.apart = [dispatcher.py_func.__globals__[own].address for own in apart]
        self.kernel = dispatcher.overloads[
            dispatcher.signatures[0]
        ].entry_point  # types are asked for by the guards
        if threads:
            self.kernel = self._together(self.kernel)
        self.table = self.addresses(self.fixed)

    def addresses(self, arrays: list[np.ndarray]) -> np.ndarray:
        base = self.arena.ctypes.data
        shared = [a.ctypes.data for a in self.meeting]
        places = [a.ctypes.data for a in arrays]
        return np.array([*places, base + -base % 64, *shared, *self.callees, *self.apart], np.int64)

    def _kinds(self, codes: dict[str, str]) -> dict[str, str]:
        """Numba's types of all names of the kernel's text."""
        kinds = {name: f"types.CPointer(types.{_KINDS[code]})" for name, code in codes.items()}
        for item in self.low.kernel.items:
            for statement in getattr(item, "statements", ()):
                kinds[statement.name] = "types." + (
                    "boolean" if statement.dtype.kind == "b" else _KINDS[CODES[statement.dtype.name]]
                )
        kinds |= dict.fromkeys(self.scalars, "types.float64")
        whole, real = "types.CPointer(types.int64)", "types.CPointer(types.float64)"
        return {**kinds, "tid": "types.int64", "nt": "types.int64", "sync": whole, "slots": real}

    def _together(self, kernel: Callable[..., Any]) -> Callable[..., Any]:
        """The kernel run by several threads."""
        most, sync = self.low.kernel.threads, self.meeting[0]

        def run(*args: Any) -> Any:
            sync[0] = 0
            return together(lambda thread, count: kernel(*args, thread, count), most)

        return run

    # ---- running ---------------------------------------------------------------------------------------------------------------
    def function(self, found: Conditions) -> Callable[[Any], Any]:
        """The guards and the call as one Python function."""
        had = dict(self.recording.with_grad)
        asked_anyway = [s for s, _ in self.grads_in] + [s for s, _ in self.gradients if had[s]]
        room, tests = self.room, list(found.tests)
        for key, value in found.room.items():
            if room.setdefault(key, value) is not value:
                raise CannotLower("has names that clash")
        found.settle(room)
        twice = {f"{n}.grad is not None" for n, v in found.room.items() if any(v is s for s in asked_anyway)}
        tests = [test for test in tests if test not in twice]
        for sink, grad in self.grads_in:
            tests.append(f"{self.thing(sink, 'sink')}.grad is {self.thing(grad, 'grad')}")
        scalars = []
        for i, update in enumerate(self.updates):
            room[f"u{i}"] = update
            test, number = update.asked(f"u{i}", self.thing)
            tests.append(test)
            scalars.append(number)
        for tensor, array in self.owners:
            tests.append(f"{self.thing(tensor, 'tensor')}._array is {self.thing(array, 'array')}")
        lines = [f"    if kwargs or not ({' and '.join(tests)}):", "        return self._slow(args, kwargs)"]
        if self.asked:
            lines += ["    try:", *["        " + line for line in self.asked]]
            lines += [f"    except {self.thing(Changed, 'Changed')}:", "        return self.function(*args)"]
        lines += self._own_gradients()
        lines += ["    " + line for line in self.before]
        room["kernel"], room["where"] = self.kernel, self.table.ctypes.data
        room["memory"] = self.table, self.fixed, self.arena, self.meeting  # the table holds addresses only
        call = f"kernel({', '.join(['where', *[e for _, _, e in self.given], *scalars])})"
        lines.append(f"    {'r = ' if self.numbers else ''}{call}")
        for i, update in enumerate(self.updates):
            if type(update).advance is not Update.advance:
                lines.append(f"    u{i}.advance()")
        for tensor in dict.fromkeys(self.written):
            lines.append(f"    {self.thing(tensor.version(), 'version')}.n += 1")
        for i, sink in enumerate(self.sinks):
            if not had[sink]:
                lines.append(f"    {self.thing(sink, 'sink')}.grad = gradients[{i}]")
        lines += [f"    {self.thing(optimizer, 'optimizer')}.step()" for optimizer in self.stepping]
        for sink in self.recording.cleared:
            lines.append(f"    {self.thing(sink, 'sink')}.grad = None")
        lines += self._result()
        text = "def fast(self, *args, **kwargs):\n" + "\n".join(lines) + "\n"
        self.python = text
        return of_text(text, "fast", room)

    def _own_gradients(self) -> list[str]:
        """The gradients' memory is used again, unless somebody still holds the last ones."""
        if not self.gradients:
            return []
        rows, sinks = self.gradient_rows, [sink for sink, _ in self.gradients]
        self.gradients = []
        arrays = [np.empty_like(self.fixed[row]) for row in rows]
        grads = [wrap(array) for array in arrays]

        def renew() -> None:
            for i, row in enumerate(rows):
                arrays[i] = self.fixed[row] = np.empty_like(arrays[i])
                grads[i] = wrap(arrays[i])
                self.table[row] = arrays[i].ctypes.data
            held[:] = [*grads, *arrays]

        held: list[Any] = []
        renew()
        for sink, grad, array in zip(sinks, grads, arrays, strict=True):
            last: Any = sink.grad
            array[...] = last._array
            sink.grad = grad
        del grad, array, last
        known = sum(map(getrefcount, held))
        had = dict(self.recording.with_grad)
        known -= sum(not had[sink] for sink in sinks)  # whose gradient is None when the call begins
        self.room.update(gradients=grads, held=held, renew=renew)
        tests = [f"sum(map(getrefcount, held)) > {known}"]
        lines = []
        self.sinks = sinks
        for i, sink in enumerate(sinks):
            if had[sink]:
                name = self.thing(sink, "sink")
                tests.append(f"{name}.grad is not gradients[{i}]")
                lines += [f"        if {name}.grad is None:", "            return self._slow(args, kwargs)"]
        lines.append("        renew()")
        lines += [
            f"        {self.thing(s, 'sink')}.grad = gradients[{i}]" for i, s in enumerate(sinks) if had[s]
        ]
        return [f"    if {' or '.join(tests)}:", *lines]

    def _result(self) -> list[str]:
        lines, made = [], []
        for i, ((kind, value), (_, edge)) in enumerate(
            zip(self.results, self.recording.returned, strict=True)
        ):
            if kind == "number":
                value = f"{self.thing(value, 'result')}[0]"
            lines.append(
                f"    out{i} = wrap({value}, {'None' if edge is None else self.thing(edge, 'edge')})"
            )
            made.append(f"out{i}")
        return [*lines, "    return " + self._tree(self.recording.result, made)]

    def _tree(self, tree: Any, made: list[str]) -> str:
        kind, value = tree
        if kind is tuple and value and [("number", n) for n in self.plain] == list(value) and not made:
            return "r"
        if kind == "tensor":
            return made[value]
        if kind == "external":
            if isinstance(value, int):
                return f"args[{value}]"
            return self.thing(value.grad if isinstance(value, AccumulateGrad) else value, "tensor")
        if kind == "number":
            return f"r[{self.plain[value]}]"
        if kind == "constant":
            return repr(value) if not isinstance(value, float) or np.isfinite(value) else f"float('{value}')"
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {self._tree(v, made)}" for k, v in value) + "}"
        inner = ", ".join(self._tree(v, made) for v in value)
        return f"[{inner}]" if kind is list else f"({inner}{',' * bool(value)})"


def own_rows_of(body: list[str]) -> list[str]:
    """Lines that say which rows of the products in a kernel are a thread's own."""
    counts = sorted({int(n) for line in body for n in re.findall(r"\bfirst_(\d+)\b", line)})
    return [f"{', '.join(own_rows(n))} = share({n}, tid, nt), share({n}, tid + 1, nt)" for n in counts]


def threads_for(program: Any) -> int:
    """How many threads a kernel may use: one, unless the program computes much."""
    return count_threads() if program.recording.work >= _MUCH else 1


_PARTS = (
    6  # a kernel of more functions calls them through their addresses: inlined, they would be compiled twice
)
_KINDS = {"f4": "float32", "f8": "float64", "i8": "int64", "i4": "int32", "u1": "uint8"}
_MUCH = 1 << 20  # numbers, some hundred microseconds: below, a thread is awake when all is done


__all__ = ["CannotLower", "Fused"]
