"""The graph itself: edges, hooks over several tensors, hooks on what is saved."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from clew.autograd.backward import GradientEdge, get_gradient_edge
from clew.core.hooks import leaf_hooks
from clew.core.modes import switches
from clew.core.node import AccumulateGrad, Node, RemovableHandle
from clew.core.variable import Retained, Variable, wrap

DETACH_VIEW = (
    "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, and "
    "gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
    "these gradients. To fix this error, please refer to the Optimizer.zero_grad() function in torch/optim/optimizer.py as "
    "the solution."
)


def increment_version(tensor: Any) -> None:
    """Count a write that autograd could not see (inference tensors do not count)."""
    if not isinstance(tensor, Iterable):
        raise RuntimeError("increment_version expect a Iterable[Tensor] as input")
    tensors = [tensor] if isinstance(tensor, Variable) else list(tensor)
    if not all(isinstance(each, Variable) for each in tensors):
        raise RuntimeError("increment_version expects each element of the iterable to be a tensor")
    for each in tensors:
        each.version()
        each.written()


# ---- methods of tensors -------------------------------------------------------------------------------------------------
def detach_(self: Any) -> Any:
    """Cut this tensor from its history, in place: it becomes a leaf. RuntimeError for views."""
    if self._view is not None:
        raise RuntimeError(DETACH_VIEW)
    self._edge = None
    if self._meta is not None:
        self._meta = None if self._meta.grad is None else Retained(self._meta.grad)
    return self


def is_inference(self: Any) -> bool:
    """Whether a tensor was made in inference mode."""
    return self._counter is not None and self._counter.inference


# ---- hooks on tensors ---------------------------------------------------------------------------------------------------
def register_hook(self: Any, hook: Callable[[Any], Any]) -> RemovableHandle:
    """`hook(grad)` runs when the tensor's gradient has been computed; what it returns replaces the gradient."""
    edge = self.edge()
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node, number = edge
    if node.__class__ is AccumulateGrad:
        leaf_hooks.exist = True
    return RemovableHandle(node.more().tensor_hooks.setdefault(number, {}), hook)


def register_post_accumulate_grad_hook(self: Any, hook: Callable[[Any], None]) -> RemovableHandle:
    """`hook(leaf)` runs when the leaf's `.grad` has been updated."""
    edge = self.edge()
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if edge[0].__class__ is not AccumulateGrad:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    leaf_hooks.exist = True
    return RemovableHandle(edge[0].post_accumulate_hooks, hook)


class _MultiHandle(RemovableHandle):
    """One handle for hooks on several tensors."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[..., Any], *, mode: str = "all"
) -> RemovableHandle:
    """Call `fn` once in a backward pass: with mode "all" when every tensor that gets a gradient has it, with the list of
    gradients (None for the others); with "any" at the first one, with that gradient."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    edges = [t[:2] if isinstance(t, GradientEdge) else t.edge() for t in tensors]
    if any(e is None for e in edges):
        raise AssertionError("Expected gradient function to be set")
    places = [
        (weakref.ref(node), number) for node, number in edges
    ]  # a hook that held its node would close a circle
    key = object()

    def arrived(index: int) -> Callable[[Any], None]:
        def hook(grad: Any) -> None:
            walk = switches.walk
            if walk.notes is None:
                walk.notes = {}
            seen = walk.notes.setdefault(key, [])
            if not seen:
                known = [(node, number) for ref, number in places if (node := ref()) is not None]
                seen += [1 if mode == "any" else walk.expected(known), [None] * len(places)]
            seen[0] -= 1
            seen[1][index] = grad
            if not seen[0]:
                fn(grad if mode == "any" else seen[1])

        return hook

    handles = []
    for i, (node, number) in enumerate(edges):
        if node.__class__ is AccumulateGrad:
            leaf_hooks.exist = True
        handles.append(RemovableHandle(node.more().tensor_hooks.setdefault(number, {}), arrived(i)))
    return _MultiHandle(handles)


# ---- hooks on saved tensors ----------------------------------------------------------------------------------------------
class saved_tensors_hooks:
    """Inside, every tensor saved for backward goes through `pack_hook`, and comes back through `unpack_hook`."""

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if switches.saved_hooks_refused:
            raise RuntimeError(switches.saved_hooks_refused)
        switches.saved_hooks = (*switches.saved_hooks, (self.pack_hook, self.unpack_hook))
        switches.note()

    def __exit__(self, *exc: object) -> None:
        switches.saved_hooks = switches.saved_hooks[:-1]
        switches.note()


class save_on_cpu(saved_tensors_hooks):
    """Inside, saved tensors are copied to the CPU (where clew's tensors are) until backward needs them."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda tensor: tensor.clone(), lambda packed: packed)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, using saved-tensor hooks raises RuntimeError with this message."""
    if switches.saved_hooks:
        raise RuntimeError(error_message)
    before = switches.saved_hooks_refused
    switches.saved_hooks_refused = error_message
    switches.note()
    try:
        yield
    finally:
        switches.saved_hooks_refused = before
        switches.note()


class _CopyOnWrite:
    """Which nodes saved which memory, so that a write can first give them a copy of it."""

    def __init__(self) -> None:
        self.savers: dict[int, list[weakref.ref[Node]]] = {}

    def saw(self, node: Node) -> None:
        """A node was recorded."""
        for version, _ in node.versions:
            self.savers.setdefault(id(version), []).append(weakref.ref(node))

    def rescue(self, tensor: Any) -> None:
        """The memory of `tensor` is about to be written: its savers get copies."""
        version = tensor.version()
        for reference in self.savers.pop(id(version), ()):
            node = reference()
            if node is None or node.saved.__class__ is not tuple:
                continue
            root = _root(tensor.memory())
            copies: dict[int, Any] = {}
            node.saved = _copied(node.saved, root, copies)
            node.versions = tuple([(v, n) for v, n in node.versions if v is not version])

    def clear(self) -> None:
        """Forget everything."""
        self.savers.clear()


def _root(array: Any) -> Any:
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def _copied(saved: Any, root: Any, copies: dict[int, Any]) -> Any:
    """Nested saved values, arrays in that memory copied."""
    if isinstance(saved, tuple):
        return tuple([_copied(value, root, copies) for value in saved])
    if isinstance(saved, np.ndarray) and _root(saved) is root:
        return copies.setdefault(id(saved), saved.copy())
    if isinstance(saved, Variable) and _root(saved.memory()) is root:
        copy = wrap(saved.memory().copy(), saved._edge)
        return copies.setdefault(id(saved), copy)
    return saved


class allow_mutation_on_saved_tensors:
    """Inside, writing to a tensor that was saved for backward is no error: what was saved is copied first."""

    def __enter__(self) -> _CopyOnWrite:
        if switches.copy_on_write is not None:
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        switches.copy_on_write = _CopyOnWrite()
        switches.note()
        return switches.copy_on_write

    def __exit__(self, *exc: object) -> None:
        switches.copy_on_write = None
        switches.note()


__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip
