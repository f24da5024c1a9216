"""Views and writes: one memory, several tensors, one history.

A view remembers its base and the steps that lead there. When memory that takes part in a graph is written, the writer's
result becomes the new history of the base (`CopySlices`: the written part takes its gradient from the write, the rest
from before), and every other view works its own history out anew when next asked, by replaying its steps on the base.
(PyTorch: Paszke et al., "Automatic differentiation in PyTorch", 2017, section 3.1, and the notes on autograd mechanics.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import modes, raw
from clew.core.modes import altered
from clew.core.node import AccumulateGrad, Freed, next_seq, user_place
from clew.core.primitive import Primitive, note_modes, watch
from clew.core.variable import Variable, wrap
from clew.core.version import Version
from clew.dtypes import from_numpy, legacy_name

Step = tuple[Primitive, dict[str, Any]]

LEAF_WRITE = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW_OF_LEAF_WRITE = "a view of a leaf Variable that requires grad is being used in an in-place operation."
OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
INFERENCE_WRITE = (
    "Inplace update to inference tensor outside InferenceMode is not allowed."
    "You can make a clone to get a normal tensor before doing inplace update."
    "See https://github.com/pytorch/rfcs/pull/17 for more details."
)
NO_GRAD_VIEW = (
    "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that this use case "
    "is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace "
    "either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you want "
    "the inplace to be tracked)."
)
MULTIPLE_VIEWS = (
    "Output {number} of {name} is a view and is being modified inplace. This view is the output of a function that "
    "returns multiple views. Such functions do not allow the output views to be modified inplace. You should replace "
    "the inplace operation by an out-of-place one."
)
CUSTOM_VIEW = (
    "Output {number} of {name} is a view and is being modified inplace. This view was created inside a custom Function "
    "(or because an input was returned as-is) and the autograd logic to handle view+inplace would override the custom "
    "backward associated with the custom Function, leading to incorrect gradients. This behavior is forbidden. You can "
    "fix this by cloning the output of the custom Function."
)


class View:
    """Of what a tensor is a view, and by which steps it is reached."""

    __slots__ = ("base", "created", "rebases", "steps")

    def __init__(self, base: Variable, steps: tuple[Step, ...], created: str = "") -> None:
        self.base = base
        self.steps = steps
        self.created = created  # "no_grad", "multiple", "custom": where writing is refused, or ""
        self.rebases = base.version().rebases

    def stale(self) -> bool:
        """Whether the base's history changed since the view's was worked out."""
        version = self.base._version
        return version is not None and version.rebases != self.rebases

    def refresh(self, tensor: Variable) -> None:
        """Work the view's history out anew."""
        version = self.base.version()
        self.rebases = version.rebases
        if self.base._edge is None:
            return
        switches, before = modes.switches, modes.switches.grad
        switches.grad = True
        switches.note()
        try:
            replayed = self.base
            for primitive, params in self.steps:
                replayed = primitive(replayed, **params)
        finally:
            switches.grad = before
            switches.note()
        tensor._edge = replayed._edge

    def replay(self, xp: Any, value: Any) -> Any:
        """The same view of another array (or tensor) of the base's shape."""
        for primitive, params in self.steps:
            value = xp.call(primitive, value, **params)
        return value


def as_view(primitive: Primitive, tensor: Variable, created: str = "", step: Step | None = None, **params: Any) -> Any:
    """Run a primitive whose result shares the memory of its input, and note the kinship."""
    tensor.memory()
    result = primitive(tensor, **params)
    return mark_view(result, tensor, step or (primitive, params), created)


def mark_view(result: Any, tensor: Variable, step: Step, created: str = "") -> Any:
    """Note that `result` shares the memory of `tensor`, which one step leads to."""
    result._version = tensor.version()
    if result._version.inference:
        return result
    parent = tensor._view
    if not created and altered and not modes.switches.grad:
        created = "no_grad"
    if parent is None:
        result._view = View(tensor, (step,), created)
    else:
        result._view = View(parent.base, (*parent.steps, step), created or parent.created)
    return result


# ---- writing -----------------------------------------------------------------------------------------------------------
def check_write(tensor: Variable, recorded: bool = False) -> None:
    """Refuse a write that PyTorch refuses; `recorded`: what is written has a history of its own."""
    version = tensor._version
    if version is not None and version.inference and not modes.switches.inference:
        raise RuntimeError(INFERENCE_WRITE)
    array = tensor._array
    if array.__class__ is ndarray and array.ndim and 0 in array.strides and overlaps(array):
        raise RuntimeError(OVERLAP)
    if altered and not modes.switches.grad:
        return
    edge = tensor.edge()
    view = tensor._view
    if view is None:
        if edge is not None and edge[0].__class__ is AccumulateGrad:
            raise RuntimeError(LEAF_WRITE)
        return
    base_edge = view.base._edge
    if edge is None and base_edge is None and not recorded:
        return
    if base_edge is not None and base_edge[0].__class__ is AccumulateGrad:
        raise RuntimeError(VIEW_OF_LEAF_WRITE)
    if view.created == "no_grad":
        raise RuntimeError(NO_GRAD_VIEW)
    if view.created:
        number, name = (0, "View") if edge is None else (edge[1], edge[0].name().rstrip("0").removesuffix("Backward"))
        message = MULTIPLE_VIEWS if view.created == "multiple" else CUSTOM_VIEW
        raise RuntimeError(message.format(number=number, name=name))


def overlaps(array: ndarray) -> bool:
    """Whether two elements of an array may share memory (a broadcast dimension)."""
    return any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True))


def write(tensor: Any, result: Variable) -> Any:
    """Give `tensor` the values and the history of `result`, a fresh tensor computed from it: any in-place operation."""
    array, values = tensor._array, result._array
    edge = result._edge
    check_write(tensor, recorded=edge is not None)
    if values.dtype != array.dtype:
        refuse_cast(values.dtype, array.dtype)
    if values.shape != array.shape:
        if values.ndim > array.ndim or np.broadcast_shapes(values.shape, array.shape) != array.shape:
            raise RuntimeError(
                f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(values.shape)}"
            )
    switches = modes.switches
    if altered and switches.copy_on_write is not None:
        switches.copy_on_write.rescue(tensor)
    if edge is not None:
        _keep_saved(edge[0], tensor, result)
    if array.__class__ is not ndarray and values.shape == ():
        tensor._rebind(values.astype(array.dtype) if values.dtype != array.dtype else values[()])
    else:
        tensor.memory()[...] = values
    tensor.written()
    if edge is not None:
        rebase(tensor, edge)
    return tensor


def refuse_cast(have: Any, want: Any) -> None:
    """RuntimeError where a result may not be stored in a lower category of types."""
    if from_numpy(have).category > from_numpy(want).category:
        raise RuntimeError(
            f"result type {legacy_name(have)} can't be cast to the desired output type {legacy_name(want)}"
        )


def _keep_saved(node: Any, tensor: Variable, result: Variable) -> None:
    """What the operation saved of the memory that is about to be overwritten: the old values are copied, and where it
    saved its result, it now saves the written tensor."""
    if node.saved.__class__ is not tuple:
        return
    old, new = tensor._array, result._array
    if old.__class__ is not ndarray:
        return
    copies: list[Any] = []

    def kept(value: Any) -> Any:
        if value is old:
            if not copies:
                copies.append(old.copy())
            return copies[0]
        return old if value is new and old.shape == new.shape and old.dtype == new.dtype else value

    if node.primitive.joint:
        node.saved = tuple([kept(v) for v in node.saved])
    else:
        node.saved = tuple([None if s is None else tuple([kept(v) for v in s]) for s in node.saved])
    version = tensor.version()
    outputs = result._version
    versions = [(v, n) for v, n in node.versions if v is not version or not copies]
    node.versions = tuple([(version, version.n + 1) if v is outputs else (v, n) for v, n in versions])


def rebase(tensor: Variable, edge: Any) -> None:
    """`edge` is now the history of what `tensor` shows; its base and the other views follow."""
    view = tensor._view
    version = tensor.version()
    if view is None:
        _move_retained(tensor, edge)
        tensor._edge = edge
        version.rebases += 1
        return
    base = view.base
    node = copy_slices.node.__new__(copy_slices.node)
    node.edges = (base._edge, edge)
    node.seq = next_seq()
    node.code, node.lasti = user_place(3)
    node.metas = None
    node.extras = None
    node.saved = ((view,), (view,))
    node.versions = ()
    base._edge = (node, 0)
    version.rebases += 1
    if altered:
        note_modes(node)


def _move_retained(tensor: Variable, edge: Any) -> None:
    """`retain_grad` follows a tensor to its new history."""
    meta = tensor._meta
    if meta is not None and meta.__class__ is not AccumulateGrad and meta.retains and tensor._edge is not None:  # type: ignore[union-attr]
        old = tensor._edge[0].more().retained.pop(tensor._edge[1], None)
        if old is not None:
            edge[0].more().retained[edge[1]] = old


def _without_slice(xp: Any, g: Any, view: View) -> Any:
    if xp is raw:
        g = np.array(g)
        view.replay(raw, g)[...] = 0
        return g
    g = g.clone()
    mask = np.ones(g._array.shape, dtype=np.bool)
    view.replay(raw, mask)[...] = False
    return xp.where(wrap(mask), g, 0)


# The base after a write to a part of it: the part's gradient goes to the write, the rest to what was there before.
copy_slices = Primitive(
    "copy_slices",
    lambda base, written, *, view: base,
    {"base": _without_slice, "written": lambda xp, g, view: view.replay(xp, g)},
    node="CopySlices",
    jvp="linear",
    explain="a part of a tensor was overwritten: that part's gradient goes to what was written, the rest to what was there",
)


def in_place(op: Callable[..., Any], name: str | None = None, composite: bool = False) -> Callable[..., Any]:
    """The in-place form of an operator: `x.op_(...)` computes `op(x, ...)` and writes it into `x`.

    composite: `op` is made of several primitives, so that inner ones may have saved the memory that is overwritten.
    """
    name = name or op.__name__ + "_"

    def op_(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_write(self)
        source = self
        if composite and self.requires_grad:
            source = wrap(np.array(self._array), self._edge)
        return write(self, op(source, *args, **kwargs))

    op_.__name__ = op_.__qualname__ = name
    op_.__doc__ = f"In-place form of `{op.__name__}`: writes the result into this tensor and returns it."
    return op_


def in_place_binary(op: Callable[..., Any], forward: Callable[[Any, Any], Any], ufunc: Any) -> Callable[..., Any]:
    """The in-place form of an arithmetic operator, with a direct way for updates that are not recorded."""
    name = op.__name__ + "_"
    slow = in_place(op, name)

    def op_(self: Any, other: Any, **kwargs: Any) -> Any:
        array = self._array
        kind = other.__class__
        b = other if kind is float or kind is int else getattr(other, "_array", None)
        if (
            b is None
            or kwargs
            or array.dtype.kind != "f"
            or (b is not other and (b.dtype is not array.dtype or (b.shape and b.shape != array.shape) or other._edge is not None and not (altered and not modes.switches.grad)))
            or (self._edge is not None and not (altered and not modes.switches.grad))
            or self._view is not None
            or (altered and (modes.switches.inference or modes.switches.copy_on_write is not None))
        ):
            return slow(self, other, **kwargs)
        version = self._version
        if version is None:
            version = self._version = Version()
        elif version.inference:
            return slow(self, other)
        if array.__class__ is ndarray:
            if array.ndim and 0 in array.strides and overlaps(array):
                raise RuntimeError(OVERLAP)
            ufunc(array, b, array)
        else:
            self._array = value = forward(array, b)
            if self._meta.__class__ is AccumulateGrad:
                self._meta.array = value
        version.n += 1
        version.where = user_place(2)
        return self

    op_.__name__ = op_.__qualname__ = name
    op_.__doc__ = slow.__doc__
    return op_


def store_out(out: Any, result: Variable) -> Any:
    """Write a result into the tensor given as `out=`, giving it the result's shape."""
    if result._edge is not None or (out.requires_grad and modes.is_grad_enabled()):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    refuse_cast(result._array.dtype, out._array.dtype)
    if out._array.shape != result._array.shape:
        out._rebind(np.empty(result._array.shape, dtype=out._array.dtype))
    out.memory()[...] = result._array
    out.written()
    return out


__all__ = ["Freed", "View", "as_view", "check_write", "copy_slices", "in_place", "mark_view", "rebase", "watch", "write"]
