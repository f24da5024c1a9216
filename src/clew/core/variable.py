"""A variable: a raw array, its place in the graph, and what it shares with others.

`clew.Tensor` is a variable with the operators. The engine needs no more than what stands here.

The array of a 0-d result may be a NumPy scalar (`np.float32`), which computes ten times faster than a 0-d array. A
scalar is immutable and never shared: whoever wants to alias or write memory calls `memory()` first.
"""

from __future__ import annotations

import warnings
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from clew.core.modes import altered, recordings, switches
from clew.core.node import AccumulateGrad, Edge, Node, user_place
from clew.core.version import InferenceVersion, Version

if TYPE_CHECKING:
    from clew.core.inplace import View

_new = object.__new__
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

NON_LEAF_GRAD = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
    "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
    "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
    "the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more information."
)


NON_LEAF_FLAG = "you can only change requires_grad flags of leaf variables."
NON_LEAF_FLAG_OFF = (
    " If you want to use a computed variable in a subgraph that doesn't require differentiation use "
    "var_no_grad = var.detach()."
)


class Retained:
    """Where `.grad` of a tensor that is no gradient sink is kept: after `retain_grad()`, or assigned by the user."""

    __slots__ = ("grad", "retains")

    def __init__(self, grad: Variable | None = None, retains: bool = False) -> None:
        self.grad = grad
        self.retains = retains


class Variable:
    """An array in the graph."""

    __slots__ = ("__dict__", "__weakref__", "_array", "_counter", "_edge", "_meta", "_view")

    _array: Any  # the values: an ndarray, or a NumPy scalar
    _edge: (
        Edge | None
    )  # the node that made it and which output; for a leaf its sink; None: no gradient wanted
    _counter: Version | None  # of its memory: made when first needed, shared by all who share the memory
    _view: View | None  # of what it is a view, and how
    _meta: AccumulateGrad | Retained | None  # where `.grad` is kept

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The operators, which `clew.Tensor` adds."""

    # ---- memory -------------------------------------------------------------------------------------------------
    def memory(self) -> ndarray:
        """The values as an array that others may share and write to."""
        array = self._array
        if array.__class__ is not ndarray:
            array = np.asarray(array)
            self._rebind(array)
        return array

    def _rebind(self, array: Any) -> None:
        """Give the variable other memory (its sink, which may outlive it, learns of it)."""
        self._array = array
        if self._meta.__class__ is AccumulateGrad:
            self._meta.array = array

    def version(self) -> Version:
        """The counter of this memory."""
        version = self._counter
        if version is None:
            version = self._counter = Version()
        return version

    def written(self) -> None:
        """Note that the memory was written, and by which line."""
        version = self._counter
        if version is None:
            version = self._counter = Version()
        elif version.inference:
            return
        version.n += 1
        version.where = user_place(3)

    @property
    def _version(self) -> int:
        """How often this memory was written. RuntimeError for tensors of inference mode, which do not count."""
        counter = self._counter
        if counter is None:
            return 0
        if counter.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return counter.n

    # ---- place in the graph ---------------------------------------------------------------------------------------
    def edge(self) -> Edge | None:
        """Where this variable's gradient goes; for a view of something since rewritten, worked out anew."""
        view = self._view
        if view is not None:
            if view.stale():
                view.refresh(self)
            if self._edge is None and view.base._edge is not None:  # taken under no_grad: a leaf of its own
                self._become_leaf()
        return self._edge

    @property
    def is_leaf(self) -> bool:
        """True for a tensor that no recorded operation made: parameters, data, results under `no_grad`."""
        edge = self.edge()
        return edge is None or edge[0].__class__ is AccumulateGrad

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made this tensor; None for a leaf."""
        edge = self.edge()
        return None if edge is None or edge[0].__class__ is AccumulateGrad else edge[0]

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` this is."""
        edge = self.edge()
        return 0 if edge is None else edge[1]

    @property
    def grad_dtype(self) -> Any:
        """The type in which a leaf's gradient gathers: its own, unless set to another; None allows any."""
        if self.grad_fn is not None:
            raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
        from clew.dtypes import from_numpy

        return self.__dict__.get("_grad_dtype", from_numpy(self._array.dtype))

    @grad_dtype.setter
    def grad_dtype(self, wanted: Any) -> None:
        if self.grad_fn is not None:
            raise RuntimeError("grad_dtype can only be set on leaf tensors.")
        held = None if self._meta is None else self._meta.grad
        if wanted is not None and held is not None and held._array.dtype != wanted.np:
            raise RuntimeError(
                "Cannot set grad_dtype to a dtype different from the dtype of the gradient that is there."
            )
        self.__dict__["_grad_dtype"] = wanted
        if self._edge is not None:
            self._edge[0].more().grad_dtype = None if wanted is None else wanted.np

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        view = self._view
        return self._edge is not None or (view is not None and view.base._edge is not None)

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not isinstance(wanted, (bool, np.bool)):
            raise RuntimeError("requires_grad must be a bool")
        edge = self.edge()
        if edge is not None and edge[0].__class__ is not AccumulateGrad:
            raise RuntimeError(NON_LEAF_FLAG if wanted else NON_LEAF_FLAG + NON_LEAF_FLAG_OFF)
        if wanted and self._array.dtype.kind not in "fcV":
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        if wanted and edge is None:
            self._become_leaf()
        elif not wanted and edge is not None:
            self._edge = None
            self._meta = None if self._meta.grad is None else Retained(self._meta.grad)  # type: ignore[union-attr]

    def _become_leaf(self) -> None:
        if self._array.dtype.kind not in "fcV":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        if self._counter is not None and self._counter.inference and not switches.inference:
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
            )
        sink = AccumulateGrad(self)
        sink.grad = None if self._meta is None else self._meta.grad
        self._meta = sink
        self._edge = (sink, 0)
        if "_grad_dtype" in self.__dict__ and self.__dict__["_grad_dtype"] is not None:
            sink.more().grad_dtype = self.__dict__["_grad_dtype"].np

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Start (or stop) recording operations on this tensor, in place."""
        if not isinstance(requires_grad, (bool, np.bool)):
            raise TypeError(
                "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                f"{type(requires_grad).__name__}"
            )
        if requires_grad and self._array.dtype.kind not in "fcV":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if not (requires_grad and self.grad_fn is not None):
            self.requires_grad = requires_grad
        return self

    @property
    def _grad_fn(self) -> Node | None:
        return self.grad_fn

    @property
    def _backward_hooks(self) -> Any:
        """The hooks of `register_hook` by their number; None before the first."""
        edge = self.edge()
        extras = None if edge is None else edge[0].extras
        return None if edge is None or extras is None else extras.tensor_hooks.get(edge[1])

    @property
    def _post_accumulate_grad_hooks(self) -> Any:
        """The hooks of `register_post_accumulate_grad_hook` by their number; None before the first."""
        sink = self._meta
        return (sink.post_accumulate_hooks or None) if isinstance(sink, AccumulateGrad) else None

    # ---- gradient ---------------------------------------------------------------------------------------------------
    @property
    def _grad(self) -> Any:
        """`.grad` without a word about tensors that are no leaves."""
        return None if self._meta is None else self._meta.grad

    @property
    def grad(self) -> Any:
        """The gathered gradient of a leaf (or of a tensor after `retain_grad()`); None before the first `backward`."""
        meta = self._meta
        if meta is None:
            edge = self.edge()
            if edge is not None and edge[0].__class__ is not AccumulateGrad:
                warnings.warn(NON_LEAF_GRAD, UserWarning, stacklevel=2)
            return None
        return meta.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            self._check_grad(value)
        if recordings:
            recordings[-1].cleared(self)
        if self._meta is None:
            self._meta = Retained()
        self._meta.grad = value

    @grad.deleter
    def grad(self) -> None:
        if self._meta is not None:
            self._meta.grad = None

    def _check_grad(self, value: Any) -> None:
        if not isinstance(value, Variable):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        want = self.__dict__.get("_grad_dtype", self._array.dtype)
        want = getattr(want, "np", want)
        if want is not None and value._array.dtype != want:
            from clew.dtypes import legacy_name

            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{legacy_name(value._array.dtype).lower()}' to a tensor with grad_dtype "
                f"'{legacy_name(want)}'. The gradient must match the tensor's grad_dtype (defaults to the tensor's "
                "dtype). You can set the tensor's grad_dtype attribute with a specific dtype, or None to allow any dtype. "
                "Set grad_dtype with caution. Diverging the dtypes of a tensor and its gradient may break downstream "
                "systems that assume they match."
            )
        if value._array.shape != self._array.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value._array.shape)}' to a tensor of size "
                f"'{list(self._array.shape)}'. Please ensure that the gradient and the tensor are the same size"
            )

    def retain_grad(self) -> None:
        """Keep this tensor's gradient in `.grad` although it is not a leaf."""
        edge = self.edge()
        if edge is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        node, number = edge
        if node.__class__ is AccumulateGrad or self.retains_grad:
            return
        self._meta = Retained(None if self._meta is None else self._meta.grad, retains=True)
        node.more().retained[number] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """True after `retain_grad()` on a tensor that is not a leaf."""
        return isinstance(self._meta, Retained) and self._meta.retains


def clear_gradient(param: Any, set_to_none: bool) -> None:
    """A parameter's gradient made None, or zeros in the same memory without history."""
    if recordings:
        recordings[-1].cleared(param)
    meta = param._meta
    if meta is None or meta.grad is None:
        return
    if set_to_none:
        meta.grad = None
        return
    if meta.grad.requires_grad:
        meta.grad = meta.grad.detach()
    meta.grad.zero_()


class _TensorClass:
    """The class that results are made of: `clew.tensor` sets it, since the core may not import what stands above."""

    tensor: Any = Variable


classes = _TensorClass()


def wrap(array: Any, edge: Edge | None = None) -> Any:
    """A new tensor around `array`."""
    result = _new(classes.tensor)
    result._array = array
    result._edge = edge
    result._view = None
    result._meta = None
    result._counter = INFERENCE if altered and switches.inference else None
    return result


INFERENCE = InferenceVersion()
