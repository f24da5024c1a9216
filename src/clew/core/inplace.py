"""Views and writes: one memory, several tensors, one history.

A view remembers its base and the steps that lead there. When memory that takes part in a graph is written, the writer's
result becomes the new history of the base (`CopySlices`: the written part takes its gradient from the write, the rest
from before), and every other view works its own history out anew when next asked, by replaying its steps on the base.
(PyTorch: Paszke et al., "Automatic differentiation in PyTorch", 2017, section 3.1, and the notes on autograd mechanics.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import raw
from clew.core.modes import altered, is_grad_enabled, observe, observers, switches
from clew.core.node import AccumulateGrad, Freed, internal, next_seq, user_place
from clew.core.primitive import Primitive, note_modes, watch
from clew.core.storage import resized, root_of
from clew.core.variable import FLOAT32, FLOAT64, Retained, Variable, classes, wrap
from clew.core.version import Version
from clew.dtypes import cpp_name, from_numpy, legacy_name

Step = tuple[Primitive, dict[str, Any]]
_getframe = sys._getframe
_new: Callable[..., Any] = object.__new__

LEAF_WRITE = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW_OF_LEAF_WRITE = "a view of a leaf Variable that requires grad is being used in an in-place operation."
OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
INPUT_OVERLAP = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
INFERENCE_WRITE = (
    "Inplace update to inference tensor outside InferenceMode is not allowed."
    "You can make a clone to get a normal tensor before doing inplace update."
    "See https://github.com/pytorch/rfcs/pull/17 for more details."
)
REFUSALS = {
    "no_grad": "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
    "both the view and the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or "
    "both outside (if you want the inplace to be tracked).",
    "inference": "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
    "both the view and the inplace either both inside the inference_mode block (if you don't want the inplace to be tracked) "
    "or both outside (if you want the inplace to be tracked).",
    "multiple": "This view is the output of a function that returns multiple views. Such functions do not allow the output "
    "views to be modified inplace. You should replace the inplace operation by an out-of-place one.",
    "custom": "This view was created inside a custom Function (or because an input was returned as-is) and the autograd "
    "logic to handle view+inplace would override the custom backward associated with the custom Function, leading to "
    "incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom Function.",
}


MADE_IN = {
    "no_grad": ("no_grad", "with grad mode enabled"),
    "inference": ("inference", "in normal mode"),
}


def refusal(tensor: Variable, created: str, what: str) -> RuntimeError:
    """Why a view made in a certain way may not be written (or used, after a write to what it looks at)."""
    edge = tensor._edge
    if edge is None or edge[0].__class__ is AccumulateGrad:
        made = MADE_IN.get(created, MADE_IN["no_grad"])
        head = f"A view was created in {made[0]} mode and {what} modified inplace {made[1]}."
    else:
        head = f"Output {edge[1]} of {edge[0].name().rstrip('0').removesuffix('Backward')} is a view"
        if created in MADE_IN:
            mode, now = MADE_IN[created]
            head += f" of a view which was created in {mode} mode and {what} modified inplace {now}."
        else:
            head += f" and {what} modified inplace."
    return RuntimeError(f"{head} {REFUSALS[created]}")


class View:
    """Of what a tensor is a view, and by which steps it is reached."""

    __slots__ = ("base", "created", "steps", "tick")

    def __init__(self, base: Variable, steps: tuple[Step, ...], created: str = "") -> None:
        version = base.version()
        self.base = base
        self.steps = steps
        self.created = created  # "no_grad", "multiple", "custom": where writing is refused, or ""
        self.tick = version.n  # what the counter read when the view's history was worked out

    def stale(self) -> bool:
        """Whether the memory was written since the view's history was worked out."""
        version = self.base._counter
        return version is not None and version.n != self.tick

    def refresh(self, tensor: Variable) -> None:
        """Work the view's history out anew."""
        base = self.base
        if self.created:
            if (altered and not switches.grad) or (tensor._edge is None and base._edge is None):
                return
            raise refusal(tensor, self.created, "its base or another view of its base has been")
        self.tick = base.version().n
        if base._edge is None:
            return
        before = switches.grad
        switches.grad = True
        switches.note()
        try:
            tensor._edge = seen_again(base, steps=self.steps)._edge
        finally:
            switches.grad = before
            switches.note()


def replay(steps: tuple[Step, ...], xp: Any, value: Any) -> Any:
    """The view that `steps` lead to, of another array (or tensor) of the base's shape."""
    for primitive, params in steps:
        value = xp.call(primitive, value, **params)
    return value


def as_view(
    primitive: Primitive, tensor: Variable, created: str = "", step: Step | None = None, **params: Any
) -> Any:
    """Run a primitive whose result shares the memory of its input, and note the kinship."""
    if primitive.frees:
        tensor.memory()
        return mark_view(primitive(tensor, **params), tensor, step or (primitive, params), created)
    made = primitive.forward(tensor.memory(), **params)
    return make_view(
        primitive, tensor, made, {name: params[name] for name in primitive.params}, created, step
    )


def make_view(
    primitive: Primitive,
    tensor: Variable,
    made: ndarray,
    params: dict[str, Any],
    created: str = "",
    step: Step | None = None,
) -> Any:
    """A tensor around `made`, which is what the primitive's forward gave on the memory of `tensor`, recorded.

    `params` stand in the primitive's order. Gradients of views have the right shape and dtype by themselves, so the
    node needs no `metas`.
    """
    result = _new(classes.tensor)
    result._array = made
    result._meta = None
    version = tensor._counter
    if version is None:
        version = tensor._counter = Version()
    result._counter = version
    parent = tensor._view
    edge = tensor._edge if parent is None else tensor.edge()
    result._edge = None
    if altered:
        if not switches.grad:
            edge = None
            created = "inference" if switches.inference else "no_grad"
        if version.inference:
            result._view = None
            return result
    if edge is not None and primitive.formulas:
        node = primitive.node()
        node.primitive = primitive
        node.edges = (edge,)
        node.seq = next_seq()
        node.metas = node.extras = None
        node.versions = ()
        node.saved = (primitive.gather[0]((tensor._array, *params.values(), made)),)
        frame = _getframe(2)
        node.code = code = frame.f_code
        node.lasti = frame.f_lasti
        if internal[code.co_filename]:
            node.code, node.lasti = user_place(3)
        result._edge = (node, 0)
        if altered:
            note_modes(node)
        if observers:
            observe(node, (tensor,), (result,))
    view = result._view = _new(View)
    view.tick = version.n
    if parent is None:
        view.base = tensor
        view.steps = (step or (primitive, params),)
        view.created = created
    else:
        view.base = parent.base
        view.steps = (*parent.steps, step or (primitive, params))
        view.created = created or parent.created
    return result


def mark_view(result: Any, tensor: Variable, step: Step, created: str = "") -> Any:
    """Note that `result` shares the memory of `tensor`, which one step leads to."""
    result._counter = tensor.version()
    if result._counter.inference:
        return result
    parent = tensor._view
    if altered and not switches.grad:
        created = "inference" if switches.inference else "no_grad"
    if parent is None:
        result._view = View(tensor, (step,), created)
    else:
        result._view = View(parent.base, (*parent.steps, step), created or parent.created)
    return result


# ---- writing -----------------------------------------------------------------------------------------------------------
def check_write(tensor: Variable, recorded: bool = False, shared: bool = False) -> None:
    """Refuse a write that PyTorch refuses.

    recorded: what is written has a history of its own; shared: all elements get the same value, so they may share
    memory.
    """
    version = tensor._counter
    if version is not None and version.inference and not switches.inference:
        raise RuntimeError(INFERENCE_WRITE)
    if not altered or switches.grad:
        check_history(tensor, recorded)
    array = tensor._array
    if not shared and array.__class__ is ndarray and array.ndim and 0 in array.strides and overlaps(array):
        raise RuntimeError(OVERLAP)


def check_history(tensor: Variable, recorded: bool) -> None:
    """Refuse a write that would cut a leaf from its history, or one that the history of a view cannot express."""
    required = tensor.requires_grad
    if not required and not recorded:
        return
    view = tensor._view
    if view is not None:
        if view.created:
            raise refusal(tensor, view.created, "is being")
        if required and (view.base._edge is None or view.base._edge[0].__class__ is AccumulateGrad):
            raise RuntimeError(VIEW_OF_LEAF_WRITE)
    edge = tensor.edge()
    if edge is not None and edge[0].__class__ is AccumulateGrad:
        raise RuntimeError(LEAF_WRITE)


def overlaps(array: ndarray) -> bool:
    """Whether two elements of an array may share memory (a broadcast dimension)."""
    return array.size > 0 and any(
        stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True)
    )


def dense(array: Any) -> bool:
    """Whether the elements fill their memory, in C or in Fortran order."""
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)


def write(tensor: Any, result: Variable, shared: bool = False) -> Any:
    """Give `tensor` the values and the history of `result`, a fresh tensor computed from it: any in-place operation."""
    array, values = tensor._array, result._array
    edge = result._edge
    check_write(tensor, edge is not None, shared)
    if values.dtype != array.dtype:
        refuse_cast(values.dtype, array.dtype)
    if values.shape != array.shape and not _fits(values.shape, array.shape):
        raise RuntimeError(
            f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(values.shape)}"
        )
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


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether broadcasting takes one shape to the other."""
    return len(shape) <= len(into) and np.broadcast_shapes(shape, into) == into


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
    outputs = result._counter
    versions = [(v, n) for v, n in node.versions if v is not version or not copies]
    node.versions = tuple([(version, version.n + 1) if v is outputs else (v, n) for v, n in versions])


def rebase(tensor: Variable, edge: Any) -> None:
    """`edge` is now the history of what `tensor` shows; its base and the other views follow."""
    view = tensor._view
    if view is None:
        _move_retained(tensor, edge)
        tensor._edge = edge
        return
    base = view.base
    node = copy_slices.node()
    node.primitive = copy_slices
    node.edges = (base._edge, edge)
    node.seq = next_seq()
    node.code, node.lasti = user_place(3)
    node.metas = None
    node.extras = None
    node.saved = ((view.steps, base._array.strides), (view.steps,))  # not the view: that would close a circle
    node.versions = ()
    base._edge = (node, 0)
    if altered:
        note_modes(node)
    if observers:
        observe(node, (base, tensor), (base,))


def _move_retained(tensor: Variable, edge: Any) -> None:
    """`retain_grad` follows a tensor to its new history."""
    if isinstance(tensor._meta, Retained) and tensor._meta.retains and tensor._edge is not None:
        old = tensor._edge[0].more().retained.pop(tensor._edge[1], None)
        if old is not None:
            edge[0].more().retained[edge[1]] = old


def _seen_back(xp: Any, g: Any, self_shape: tuple[int, ...], steps: tuple[Step, ...]) -> Any:
    """The adjoint of a chain of views: the adjoints of the steps, last step first."""
    seen = [np.empty(self_shape, np.bool)]
    for primitive, params in steps:
        seen.append(primitive.forward(seen[-1], **params))
    for (primitive, params), array in zip(reversed(steps), reversed(seen[:-1]), strict=True):
        g = primitive.formulas[0](xp, g, *primitive.gather[0]((array, *params.values(), None)))  # type: ignore[misc]
    return g


# The history of a view after a write to what it looks at: all its steps in one, from the base as it is now.
seen_again = Primitive(
    "as_strided",
    lambda self, *, steps: replay(steps, raw, self),
    {"self": _seen_back},
    node="AsStridedBackward0",
    jvp="linear",
    explain="a view of memory that was written since: its gradient goes to the writer",
)


def laid_out(values: Any, strides: tuple[int, ...]) -> ndarray:
    """A copy of an array with its dimensions in memory in the order that `strides` tell (so that views apply to it)."""
    order = sorted(range(len(strides)), key=lambda d: -strides[d])
    if order == list(range(len(strides))):
        return np.array(values, order="C")
    return np.array(np.transpose(values, order), order="C").transpose(np.argsort(order))


def _without_slice(xp: Any, g: Any, steps: tuple[Step, ...], strides: tuple[int, ...]) -> Any:
    if xp is raw:
        g = laid_out(g, strides)
        replay(steps, raw, g)[...] = 0
        return g
    mask = laid_out(np.ones(g._array.shape, dtype=np.bool), strides)
    replay(steps, raw, mask)[...] = False
    return xp.where(wrap(mask), g, 0)


# The base after a write to a part of it: the part's gradient goes to the write, the rest to what was there before.
copy_slices = Primitive(
    "copy_slices",
    lambda base, written, *, steps, strides: base,
    {"base": _without_slice, "written": lambda xp, g, steps: replay(steps, xp, g)},
    node="CopySlices",
    jvp="linear",
    explain="a part of a tensor was overwritten: that part's gradient goes to what was written, the rest to what was there",
)


copy_slices.node_class.name = lambda self: "torch::autograd::CopySlices"


def in_place(op: Callable[..., Any], name: str | None = None, composite: bool = False) -> Callable[..., Any]:
    """The in-place form of an operator: `x.op_(...)` computes `op(x, ...)` and writes it into `x`.

    composite: `op` is made of several primitives, so that inner ones may have saved the memory that is overwritten.
    """
    name = name or op.__name__ + "_"

    def op_(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_write(self, recorded=any(isinstance(a, Variable) and a.requires_grad for a in args))
        source = self
        if composite and self.requires_grad:
            source = wrap(np.array(self._array), self._edge)
        return write(self, op(source, *args, **kwargs))

    op_.__name__ = op_.__qualname__ = name
    op_.__doc__ = f"In-place form of `{op.__name__}`: writes the result into this tensor and returns it."
    return op_


def in_place_binary(
    op: Callable[..., Any], forward: Callable[[Any, Any], Any], ufunc: Any
) -> Callable[..., Any]:
    """The in-place form of an arithmetic operator, with a direct way for updates that are not recorded."""
    name = op.__name__ + "_"
    slow = in_place(op, name)

    def op_(self: Any, other: Any, **kwargs: Any) -> Any:
        array = self._array
        dtype = array.dtype
        kind = other.__class__
        if kind is float or kind is int:
            b = other
        else:
            b = getattr(other, "_array", None)
            if (
                b is None
                or b.dtype is not dtype
                or (other._edge is not None and not (altered and not switches.grad))
            ):
                return slow(self, other, **kwargs)
        if (dtype is not FLOAT32 and dtype is not FLOAT64) or self._view is not None or kwargs:
            return slow(self, other, **kwargs)
        if altered:
            if (
                (self._edge is not None and switches.grad)
                or switches.inference
                or switches.copy_on_write is not None
            ):
                return slow(self, other)
        elif self._edge is not None:
            return slow(self, other)
        version = self._counter
        if version is not None and version.inference:
            return slow(self, other)
        if array.__class__ is ndarray:
            if (b.__class__ is ndarray and b.shape != array.shape and b.ndim) or 0 in array.strides:
                return slow(self, other)
            ufunc(array, b, array)
        elif b.__class__ is ndarray:
            return slow(self, other)
        else:
            self._array = value = forward(array, b)
            if self._meta.__class__ is AccumulateGrad:
                self._meta.array = value
        if version is None:
            version = self._counter = Version()
        version.n += 1
        frame = _getframe(1)
        if internal[frame.f_code.co_filename]:
            version.where = user_place(2)
        else:
            version.where = frame.f_code, frame.f_lasti
        return self

    op_.__name__ = op_.__qualname__ = name
    op_.__doc__ = slow.__doc__
    return op_


def store_out(out: Any, result: Variable, *inputs: Any, exact: bool = False) -> Any:
    """Write a result into the tensor given as `out=`, giving it the result's shape.

    exact: the result's type is asked for, not one that it can be cast to; inputs: tensors that may not share memory
    with `out` (those of operations that PyTorch computes right into `out`, not element by element).
    """
    if result._edge is not None or (out.requires_grad and is_grad_enabled()):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    if exact and result._array.dtype != out._array.dtype:
        have, want = cpp_name(out._array.dtype), cpp_name(result._array.dtype)
        raise RuntimeError(f"Expected out tensor to have dtype {want}, but got {have} instead")
    refuse_cast(result._array.dtype, out._array.dtype)
    if out._counter is not None and out._counter.inference and not switches.inference:
        raise RuntimeError(INFERENCE_WRITE)
    before = array = out.memory()
    if array.shape != result._array.shape:
        array = resized(array, result._array.shape)
    looked_at = before if inputs else array
    if 0 in looked_at.strides and overlaps(looked_at):
        raise RuntimeError(OVERLAP)
    written = array if root_of(array) is root_of(before) else root_of(before)
    for tensor in inputs:
        if tensor is out or (
            np.may_share_memory(written, tensor._array) and dense(written) and dense(tensor._array)
        ):
            raise RuntimeError(INPUT_OVERLAP)
    if array is not out._array:
        out._rebind(array)
    array[...] = result._array
    out.written()
    return out


__all__ = [
    "Freed",
    "View",
    "as_view",
    "check_write",
    "copy_slices",
    "in_place",
    "make_view",
    "mark_view",
    "rebase",
    "watch",
    "write",
]
