"""The walk back: `backward` and `grad`.

Nodes are taken from a heap by descending number. The highest number among the nodes that have received a gradient is
always complete: whatever used its output was recorded later, so it has run. No recursion and no counting of uses is
needed, and the order is PyTorch's.

Gradients travel as raw arrays and the formulas run on NumPy. With `create_graph=True` they travel as tensors, and the
same formulas, through `clew.ops.vocabulary`, record a graph of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from sys import getrefcount
from threading import RLock
from typing import Any

import numpy as np
from numpy import ndarray

from clew.core import raw
from clew.core.errors import raise_freed, raise_modified
from clew.core.hooks import (
    check_nan,
    leaf_hooks,
    run_node_hooks,
    run_post_accumulate_hooks,
    run_post_hooks,
    run_tensor_hooks,
)
from clew.core.modes import altered, recordings, switches
from clew.core.node import AccumulateGrad, Edge, Freed, Node
from clew.core.variable import Variable, wrap
from clew.core.version import Place

_new = object.__new__


LARGE = 1 << 18  # numbers in a gradient from which on more than one thread pays


def on_large(node: Node, index: int, g: ndarray, saved: Sequence[Any]) -> Any:
    """A formula's gradient for a large `g`. (`clew.kernels` puts a function that uses all threads in its place.)"""
    formulas: Any = node.primitive.formulas
    return formulas[index](raw, g, *saved)


class _Vocabularies:
    """The vocabulary over tensors; `clew.ops` sets it."""

    tensors: Any = None


vocabularies = _Vocabularies()


class Walk:
    """One backward pass.

    retain: keep the saved values for another pass.
    record: record the pass itself (`create_graph`).
    capture: the edges whose gradients the caller wants; then only what leads to them runs, and no leaf is touched.
    gather: the captured leaves gather their gradients in `.grad` all the same (`backward(inputs=...)`).
    """

    __slots__ = (
        "capture",
        "captured",
        "gather",
        "leaves",
        "needed",
        "notes",
        "place",
        "record",
        "retain",
        "roots",
        "waiting",
    )

    def __init__(
        self, retain: bool, record: bool, capture: Sequence[Edge] | None = None, gather: bool = False
    ) -> None:
        self.retain = retain
        self.record = record
        self.capture = capture
        self.gather = gather
        self.captured: dict[Edge, Any] = {}
        self.leaves: dict[AccumulateGrad, Any] = {}  # what has arrived at each leaf
        self.waiting: dict[AccumulateGrad, int] | None = None  # uses to come, where a leaf's hooks must know
        self.needed: set[Node] | None = None
        self.notes: dict[Any, Any] | None = None  # of hooks over several tensors

    def run(self, roots: Sequence[tuple[Edge, Any]], place: Place) -> None:
        """Carry the gradients of `roots` back to the leaves. `place`: the user's line that asked for it."""
        self.place = place
        self.roots = roots
        if self.capture is not None:
            self.needed = leads_to([edge[0] for edge, _ in roots], self.capture)
        if leaf_hooks.exist:
            self.waiting = count_uses([edge[0] for edge, _ in roots], self.needed)
        if not self.record and not altered:
            self._walk(roots)
            return
        before = switches.grad
        switches.grad = self.record
        switches.note()
        try:
            self._walk(roots)
        finally:
            switches.grad = before
            switches.note()

    def _walk(self, roots: Sequence[tuple[Edge, Any]]) -> None:
        """The loop. `next_node` with its gradient is the latest recorded node known, `queue` holds what else waits."""
        record, retain, needed = self.record, self.retain, self.needed
        waiting, leaves = self.waiting, self.leaves
        anomaly = altered and switches.anomaly
        plain = not (record or anomaly or recordings or (self.capture is not None and self._stops()))
        freed: Freed | None = None
        pending: dict[int, tuple[Node, Any]] = {}
        queue: list[int] = []
        next_node: Node | None = None
        next_g: Any = None
        if len(roots) == 1 and roots[0][0][0].primitive.single:
            (next_node, _), next_g = roots[0]
        else:
            for root, g in roots:
                self._deliver(root, g, queue, pending)
        while next_node is not None or queue:
            if next_node is None or (queue and -queue[0] > next_node.seq):
                node, g = pending.pop(-heappop(queue))
            else:
                node, g = next_node, next_g
                next_node = None
            saved = node.saved
            primitive = node.primitive
            if node.versions:
                for version, tick in node.versions:
                    if version.n != tick:
                        raise_modified(node)
            if saved.__class__ is Freed:
                raise_freed(node)
            if plain and node.extras is None and not primitive.joint:
                gradients: Any = None
            else:
                gradients, g = self._pull(node, g)
                if gradients is None:  # captured here, and nothing beyond is wanted
                    continue
                if anomaly and switches.anomaly_nan:
                    check_nan(node, gradients)
            formulas: Any = primitive.formulas
            metas: Any = node.metas
            index = -1
            for edge in node.edges:
                index += 1
                if edge is None:
                    continue
                target = edge[0]
                if needed is not None and target not in needed:
                    continue
                if gradients is not None:
                    gi = gradients[index]
                elif g.__class__ is ndarray and g.size >= LARGE:
                    gi = on_large(node, index, g, saved[index])
                else:
                    gi = formulas[index](raw, g, *saved[index])
                if gi is not None:
                    if metas is not None:
                        shape, dtype = metas[index]
                        if gi.__class__ is not ndarray or gi.dtype is not dtype or gi.shape != shape:
                            gi = fit(gi, shape, dtype)
                    if target.__class__ is AccumulateGrad:
                        leaves[target] = leaves[target] + gi if target in leaves else gi
                    elif queue or not target.primitive.single:
                        self._deliver(edge, gi, queue, pending)
                    elif next_node is None:
                        next_node, next_g = target, gi
                    elif next_node is target:
                        next_g = next_g + gi
                    else:  # two nodes wait: the heap keeps their order
                        self._deliver((next_node, 0), next_g, queue, pending)
                        self._deliver(edge, gi, queue, pending)
                        next_node = None
                if waiting is not None and target in waiting:
                    waiting[target] -= 1
                    if not waiting[target]:
                        self._finish(target, leaves.pop(target, None))
            if primitive.frees and not retain:
                if freed is None:
                    freed = _new(Freed)
                    freed.where = self.place
                node.saved = freed
                node.versions = ()
        if plain and self.capture is None:
            gi = g = next_g = None  # so that `own` finds each gradient in one hand
            with gathering:
                for sink in leaves:
                    if sink.extras is None and not sink.post_accumulate_hooks:
                        g, leaves[sink] = leaves[sink], None
                        if sink.grad is None:
                            sink.grad = wrap(own(g, sink.array) if g.__class__ is ndarray else g)
                        else:
                            self._add(sink.grad, g)
        for sink, g in leaves.items():
            if g is not None:
                self._finish(sink, g)

    def expected(self, edges: Sequence[Edge]) -> int:
        """How many of some edges this walk will reach."""
        needed = self.needed
        nodes = reachable([edge[0] for edge, _ in self.roots], needed)
        passed = {e for n in nodes for e in n.edges if e is not None and (needed is None or e[0] in needed)}
        passed |= {edge for edge, _ in self.roots}
        return sum(edge in passed for edge in edges)

    def _stops(self) -> bool:
        """Whether a gradient is wanted at a node, not only at leaves."""
        return any(edge[0].__class__ is not AccumulateGrad for edge in self.capture or ())

    def _deliver(self, edge: Edge, g: Any, queue: list[int], pending: dict[int, tuple[Node, Any]]) -> None:
        """Add a gradient to what has gathered at an edge."""
        target, number = edge
        if target.__class__ is AccumulateGrad:
            held = self.leaves.get(target)
            self.leaves[target] = g if held is None else held + g
            return
        entry = pending.get(target.seq)
        if entry is None:
            heappush(queue, -target.seq)
        if target.outputs == 1:
            pending[target.seq] = (target, g if entry is None else entry[1] + g)
            return
        slots = [None] * target.outputs if entry is None else entry[1]
        slots[number] = g if slots[number] is None else slots[number] + g
        pending[target.seq] = (target, slots)

    def _pull(self, node: Node, g: Any) -> tuple[Any, Any]:
        """Run a node in the general case: hooks, captures, packed values, complex numbers, joint formulas, tensors.

        Of a node where the walk ends, what its hooks made of the gradient is captured; elsewhere, what came in.
        """
        extras = node.extras
        needed = self.needed
        wanted = [e is not None and (needed is None or e[0] in needed) for e in node.edges]
        captures = self.capture is not None and not self.gather
        if captures and any(wanted):
            self._take(node, g)
        if extras is not None and (extras.tensor_hooks or extras.retained):
            g = self._run_tensor_hooks(node, g)
        if captures and not any(wanted):
            self._take(node, g)
            return None, g
        if extras is not None and extras.pre_hooks:
            g = run_node_hooks(extras.pre_hooks, g, node.outputs, self.record)
        record = self.record
        xp = vocabularies.tensors if record else raw
        gs = node.fill(g) if node.outputs > 1 else g
        if recordings and not record:
            gradients = recordings[-1].pull(node, gs, wanted)
        else:
            gradients = node.pull(xp, gs, wanted, record)
        if extras is not None and extras.post_hooks:
            gradients = run_post_hooks(node, gradients, g, record)
        return gradients, g

    def _run_tensor_hooks(self, node: Node, g: Any) -> Any:
        before = switches.walk
        switches.walk = self
        try:
            return run_tensor_hooks(node, g, self.record)
        finally:
            switches.walk = before

    def _take(self, node: Node, g: Any) -> None:
        """Capture the gradients wanted of a node's outputs."""
        for edge in self.capture or ():
            if edge[0] is node:
                self.captured[edge] = g if node.outputs == 1 else g[edge[1]]

    def _finish(self, sink: AccumulateGrad, g: Any) -> None:
        """All of a leaf's gradient has arrived."""
        extras = sink.extras
        if g is None:
            return
        if extras is not None and (extras.tensor_hooks or extras.retained):
            g = self._run_tensor_hooks(sink, g)
        if self.capture is not None and not self.gather:
            if (sink, 0) in self.capture:
                self.captured[sink, 0] = g
            return
        self.accumulate(sink, g)

    def accumulate(self, sink: AccumulateGrad, g: Any) -> None:
        """`.grad` += g; a first gradient becomes `.grad` itself."""
        extras = sink.extras
        if extras is not None and extras.pre_hooks:
            g = run_node_hooks(extras.pre_hooks, g, 1, self.record)
        arrived = g
        if extras is not None and extras.grad_dtype is not None:
            g = fit(g, g._array.shape if self.record else g.shape, extras.grad_dtype)
        with gathering:
            held = sink.grad
            if self.record:
                sink.grad = _kept(g) if held is None else held + g
            elif held is None:
                sink.grad = wrap(own(g, sink.array) if g.__class__ is ndarray else g)
            else:
                self._add(held, g)
        if sink.post_accumulate_hooks:
            run_post_accumulate_hooks(sink, self.record)
        if extras is not None and extras.post_hooks:
            run_post_hooks(sink, (), arrived, self.record)

    def _add(self, held: Variable, g: Any) -> None:
        """`held` += g, in place."""
        array = held._array
        if array.__class__ is ndarray:
            np.add(array, g, out=array)
        else:
            held._array = array + g
        version = held.version()
        version.n += 1
        version.where = self.place


gathering = RLock()  # held while a leaf's gradient is updated: walks in several threads may share leaves


def _kept(g: Any) -> Any:
    """A first gradient as `.grad` when the walk is recorded: a copy with the history of a copy."""
    return vocabularies.tensors.kept(g) if g._edge is not None else g.detach()


def _counts() -> tuple[int, int]:
    """What `getrefcount` tells, called as in `own`, of an array and of a view's base that nobody else holds."""

    def seen(g: ndarray, like: Any) -> tuple[int, int]:
        base = g.base
        return getrefcount(g), getrefcount(base)

    g = np.empty(1)[:]
    return seen(g, None)


_ALONE, _BASE_ALONE = _counts()


def own(g: ndarray, like: Any) -> ndarray:
    """`g` as memory of its own, laid out as `like`: itself where only one variable of the caller holds it, else a copy."""
    base = g.base
    if base is None:
        alone = getrefcount(g) <= _ALONE
    else:  # a view of all of an array that nobody else holds is as good
        alone = (
            base.__class__ is ndarray
            and base.base is None
            and base.size == g.size
            and getrefcount(base) <= _BASE_ALONE
            and getrefcount(g) <= _ALONE
        )
    if alone and (g.flags.c_contiguous or (like.__class__ is ndarray and g.strides == like.strides)):
        return g
    copy = (
        np.empty_like(like, dtype=g.dtype)
        if like.__class__ is ndarray and like.shape == g.shape
        else np.empty(g.shape, g.dtype)
    )
    copy[...] = g
    return copy


def fit(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A gradient in its input's shape and dtype (the real part where the input is real)."""
    if g.__class__ is ndarray:
        if g.shape != shape:
            g = raw.sum_to(g, shape)
        if g.dtype is dtype:
            return g
        return (g.real if g.dtype.kind == "c" and dtype.kind != "c" else g).astype(dtype, copy=False)
    if not isinstance(g, Variable):  # a NumPy scalar
        if shape:
            g = np.broadcast_to(np.asarray(g), shape)
        elif g.dtype is dtype:
            return g
        return (g.real if g.dtype.kind == "c" and dtype.kind != "c" else g).astype(dtype)
    tensors = vocabularies.tensors
    if g._array.shape != shape:
        g = tensors.sum_to(g, shape)
    if g._array.dtype != dtype:
        g = tensors.astype(tensors.real(g) if g._array.dtype.kind == "c" and dtype.kind != "c" else g, dtype)
    return g


# ---- which nodes take part -----------------------------------------------------------------------------------------
def reachable(roots: Iterable[Node], within: set[Node] | None = None) -> list[Node]:
    """All nodes below `roots`, latest recorded first."""
    stack, seen = list(roots), set(roots)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in seen and (within is None or edge[0] in within):
                seen.add(edge[0])
                stack.append(edge[0])
    return sorted(seen, key=lambda node: -1 if node.__class__ is AccumulateGrad else node.seq, reverse=True)


def leads_to(roots: Iterable[Node], wanted: Sequence[Edge]) -> set[Node]:
    """The nodes below `roots` from which a wanted edge can be reached."""
    needed = {edge[0] for edge in wanted}
    for node in reversed(reachable(roots)):
        if any(edge is not None and edge[0] in needed for edge in node.edges):
            needed.add(node)
    return needed


def count_uses(roots: Sequence[Node], within: set[Node] | None) -> dict[AccumulateGrad, int]:
    """How many gradients each sink will receive."""
    uses: dict[AccumulateGrad, int] = {}
    for node in reachable(roots, within):
        for edge in node.edges:
            if edge is not None and isinstance(edge[0], AccumulateGrad):
                uses[edge[0]] = uses.get(edge[0], 0) + 1
    return uses
