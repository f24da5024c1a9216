"""One recorded operation, and the sink where a leaf's gradient gathers."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from clew.core.version import Place, Version

if TYPE_CHECKING:
    from clew.core.primitive import Primitive
    from clew.core.variable import Variable

Edge = tuple[
    "Node", int
]  # where a tensor came from and where its gradient goes: a node, which of its outputs

Meta = tuple[tuple[int, ...], Any]  # shape and dtype
next_seq = count().__next__
_getframe = sys._getframe
LEAF_SEQ = 2**64 - 1  # PyTorch's number for sinks: they go before everything else that is ready

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PROGRAMS = os.path.join(_PACKAGE, "labs", "programs")


class _Internal(dict[str, bool]):
    """Which source files are clew's own, so that a node can name the user's line."""

    def __missing__(self, filename: str) -> bool:
        path = (
            filename if filename.startswith("<") else os.path.abspath(filename)
        )  # a module path may have `..` in it
        inside = path.startswith(_PACKAGE) and not path.startswith(_PROGRAMS)
        self[filename] = inside or filename.startswith("<frozen")
        return self[filename]


internal = _Internal()


def user_place(depth: int = 2) -> Place:
    """The innermost line outside clew, seen from `depth` frames up (1 is the caller).

    A code object and an offset in it: the line number is worked out when it is shown.
    """
    frame = _getframe(depth)
    code = frame.f_code
    while internal[code.co_filename]:
        outer = frame.f_back
        if outer is None:
            break
        frame = outer
        code = frame.f_code
    return code, frame.f_lasti


def source_line(place: Place | None) -> tuple[str, int] | None:
    """The file and line of a place."""
    if place is None:
        return None
    code, offset = place
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return code.co_filename, line
    return code.co_filename, code.co_firstlineno


# Nodes of PyTorch's forms that take a number: it is no input of theirs.
WITH_NUMBER = {"PowBackward0", "PowBackward2", "RsubBackward1", "RemainderBackward0", "FmodBackward0"}


class Freed:
    """Stands in the place of saved values that a backward pass has freed, and knows which line ran it."""

    __slots__ = ("where",)

    def __init__(self, where: Place) -> None:
        self.where = where


class Packed:
    """A saved value that a `saved_tensors_hooks` pair holds in packed form."""

    __slots__ = ("packed", "unpack")

    def __init__(self, packed: Any, unpack: Callable[[Any], Any]) -> None:
        self.packed = packed
        self.unpack = unpack


def unpacked_tensor(value: Packed) -> Any:
    """What a pack hook packed, unpacked."""
    tensor = value.unpack(value.packed)
    if not hasattr(tensor, "_array"):
        raise TypeError(
            f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(tensor).__name__}"
        )
    return tensor


def unpacked(value: Any) -> Any:
    """A saved value as the formulas want it: what `saved_tensors_hooks` packed is unpacked."""
    if value.__class__ is Packed:
        return unpacked_tensor(value)._array
    if value.__class__ is tuple and any(v.__class__ is Packed for v in value):
        return tuple([unpacked(v) for v in value])
    return value


class Extras:
    """What few nodes have: hooks, retained gradients, packed values, metadata."""

    __slots__ = (
        "conj", "grad_dtype", "metadata", "packed", "post_hooks", "pre_hooks", "retained", "shapes", "stack", "tensor_hooks",
    )  # fmt: skip

    def __init__(self) -> None:
        self.tensor_hooks: dict[int, dict[int, Callable[..., Any]]] = {}  # by output: Tensor.register_hook
        self.retained: dict[int, weakref.ref[Variable]] = {}  # by output: Tensor.retain_grad
        self.pre_hooks: dict[int, Callable[..., Any]] = {}
        self.post_hooks: dict[int, Callable[..., Any]] = {}
        self.metadata: dict[Any, Any] = {}
        self.stack: str | None = None  # anomaly mode: the forward traceback
        self.shapes: tuple[Meta, ...] = ()  # of the outputs, where there are several
        self.grad_dtype: Any = None  # of a leaf: its gradient's type, where that is another
        self.packed = False  # some saved values are `Packed`
        self.conj = False  # a holomorphic operation on complex numbers


class Node:
    """A recorded operation: edges towards the leaves, and what its derivative formulas need.

    Every primitive has its own subclass, named as PyTorch names it (`MulBackward0`), which carries the formulas.
    Nodes are numbered in the order of recording; `backward` takes the highest number first, so that a node runs only
    when every operation that used its output has run.
    """

    __slots__ = (
        "__weakref__", "code", "edges", "extras", "lasti", "metas", "primitive", "saved", "seq", "versions",
    )  # fmt: skip

    edges: tuple[Edge | None, ...]  # one for each input; None where no gradient is wanted
    saved: Any  # for each input the arguments of its formula; `Freed` after a backward pass
    versions: tuple[tuple[Version, int], ...]  # the counters of saved tensors and what they read then
    seq: int
    code: Any  # with `lasti`, the user's line that made this node
    lasti: int
    metas: tuple[Meta | None, ...] | None  # what the gradients must be, where the formulas' may differ
    extras: Extras | None

    primitive: Primitive
    outputs: ClassVar[int] = 1

    def name(self) -> str:
        """PyTorch's name of the operation, such as `MulBackward0`."""
        return type(self).__name__

    @property
    def place(self) -> Place:
        return self.code, self.lasti

    @property
    def line(self) -> tuple[str, int] | None:
        """The file and line of the user's program that made this node."""
        return source_line(self.place)

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Where the gradients go: for each input, the node (None where no gradient is wanted) and its output number."""
        primitive = self.primitive
        shown: Any = self.edges
        if self.name() in WITH_NUMBER:
            shown = [edge for edge in shown if edge is not None]
        elif len(primitive.formulas) == len(shown):
            shown = [
                e for e, f in zip(shown, primitive.formulas, strict=True) if f is not None or e is not None
            ]
        return tuple((None, 0) if edge is None else edge for edge in shown)

    def _sequence_nr(self) -> int:
        """The node's number: `backward` runs the highest first."""
        return self.seq

    def _set_sequence_nr(self, number: int) -> None:
        self.seq = number

    @property
    def requires_grad(self) -> bool:
        return True

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user's own notes."""
        return self.more().metadata

    def pull(self, xp: Any, g: Any, wanted: Sequence[bool], record: bool) -> Sequence[Any]:
        """The gradients of the inputs, from the gradient `g` of the output (a tuple where there are several)."""
        primitive = self.primitive
        conj = self.extras is not None and self.extras.conj
        if conj:
            g = tuple(map(xp.conj, g)) if self.outputs > 1 else xp.conj(g)
        if primitive.joint:
            formula: Any = primitive.formulas[0]
            gradients = list(formula(xp, g, wanted, *self.arguments(0, record)))
        else:
            gradients = [
                formula(xp, g, *self.arguments(index, record)) if want else None  # type: ignore[misc]
                for index, (formula, want) in enumerate(zip(primitive.formulas, wanted, strict=True))
            ]
        return [xp.conj(v) if v is not None else None for v in gradients] if conj else gradients

    def arguments(self, index: int, record: bool) -> tuple[Any, ...]:
        """What a formula was promised: saved values, as tensors that hang in the graph while recording."""
        if record:
            return self.primitive.saved_as_tensors(self, index)
        saved = self.saved if self.primitive.joint else self.saved[index]
        if self.extras is not None and self.extras.packed:
            return tuple([unpacked(value) for value in saved])
        return saved

    def fill(self, gs: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients of several outputs, zeros where nothing arrived."""
        like = next(g for g in gs if g is not None)
        zeros = [
            None if g is not None else np.zeros(*meta) for g, meta in zip(gs, self.more().shapes, strict=True)
        ]
        if not isinstance(like, np.ndarray | np.generic):
            zeros = [z if z is None else like.new_tensor(z) for z in zeros]
        return tuple(z if g is None else g for g, z in zip(gs, zeros, strict=True))

    def more(self) -> Extras:
        """The node's extras, made when first asked for."""
        if self.extras is None:
            self.extras = Extras()
        return self.extras

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(grad_inputs, grad_outputs)` runs after this node; what it returns replaces `grad_inputs`."""
        return RemovableHandle(self.more().post_hooks, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(grad_outputs)` runs before this node; what it returns replaces `grad_outputs`."""
        return RemovableHandle(self.more().pre_hooks, hook)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    # `_saved_<name>` are properties of each operation's class (see `Primitive`): a `__getattr__` here would make every
    # read of a slot, of which the walk makes seven for each node, six times as slow.
    def __dir__(self) -> list[str]:
        kept = self.primitive.saved_attributes()
        names = [name for name in super().__dir__() if not name.startswith(("_saved_", "_raw_saved_"))]
        return [*names, *("_saved_" + name for name in kept)]


class _Sink:
    """What the engine asks of the primitive of a sink: that it is not one."""

    single = False
    saved_names: tuple[str, ...] = ()
    formulas: tuple[Any, ...] = ()

    def saved_attributes(self) -> tuple[str, ...]:
        return ()


_SINK: Any = _Sink()


class AccumulateGrad(Node):
    """The sink of a leaf: its gradient gathers here. The graph can hold it without holding the tensor: no cycle."""

    __slots__ = ("array", "counter", "grad", "kind", "owner", "post_accumulate_hooks")

    array: Any  # the leaf's values, which the gradient is laid out like

    def __init__(self, owner: Variable) -> None:
        self.edges = ()
        self.saved = ()
        self.versions = ()
        self.seq = LEAF_SEQ
        self.code, self.lasti = user_place(2)
        self.metas = None
        self.extras = None
        self.grad: Variable | None = None
        self.primitive = _SINK
        self.post_accumulate_hooks: dict[int, Callable[..., Any]] = {}
        self.owner = weakref.ref(owner)
        self.array = owner._array
        self.counter = owner.version()
        self.kind = owner.__class__

    @property
    def variable(self) -> Variable:
        """The leaf itself: a new handle of it where the program has dropped its own."""
        owner = self.owner()
        if owner is None:
            owner = object.__new__(self.kind)
            owner._array = self.array
            owner._counter = self.counter
            owner._edge = (self, 0)
            owner._view = None
            owner._meta = self
            self.owner = weakref.ref(owner)
        return owner

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away; as a context manager it does so at the end."""

    _ids: ClassVar[Iterator[int]] = count()

    def __init__(
        self, hooks_dict: dict[int, Any], hook: Any = None, *, first: bool = False, extra_dict: Any = None
    ) -> None:
        hooks = hooks_dict
        self.id = next(self._ids)
        self._hooks = self.hooks_dict_ref = (
            weakref.ref(hooks) if not isinstance(hooks, dict) else lambda: hooks
        )
        if hook is None:  # the caller enters its hook under `id` itself
            return
        hooks[self.id] = hook
        if first:  # before the others
            others = {key: other for key, other in hooks.items() if key != self.id}
            hooks.clear()
            hooks[self.id] = hook
            hooks.update(others)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks().pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
