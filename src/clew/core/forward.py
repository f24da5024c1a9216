"""Forward mode: how a small change of some tensors, their tangents, changes what is computed from them.

    ẏ = J·ẋ, pushed through every operation in the order of recording

A `Level` watches operations as they are recorded and keeps the tangent of each result. The rules come from the same
declarations as `backward`'s. Where an operation works element by element, its formula (which multiplies a cotangent
by the local derivative) multiplies the tangent just as well. Elsewhere the formula g ↦ Jᵀg is linear in g, and
differentiating it once more along ẋ transposes it: ∂⟨Jᵀg, ẋ⟩/∂g = J·ẋ. (J. Townsend, "A new trick for calculating
Jacobian vector products", 2017.)

Tangents are tensors computed with recording on, so they can be differentiated, and pushed again by a level outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clew.core.engine import Walk, fit, vocabularies
from clew.core.modes import observers, switches
from clew.core.node import AccumulateGrad, Edge, Node
from clew.core.variable import Variable, wrap

NO_TENSOR: Any = (), np.dtype(np.int64)  # what a `Function` may return besides tensors
levels: list[Level] = []  # those being watched, the innermost last


class Level:
    """The tangents of what is computed while the level is open: `with Level() as level: …`"""

    def __init__(self) -> None:
        self.tangents: dict[Edge, Any] = {}  # None: no change arrives there
        self.busy = False

    def __enter__(self) -> Level:
        levels.append(self)
        observers.append(self.watch)
        return self

    def __exit__(self, *exc: object) -> None:
        levels.remove(self)
        observers.remove(self.watch)
        self.tangents.clear()

    def start(self, edge: Edge, tangent: Any) -> None:
        """Let a tensor change along `tangent`."""
        self.tangents[edge] = tangent

    def watch(self, node: Node, inputs: Sequence[Any], results: Sequence[Any]) -> None:
        """Note what was recorded; unless this is itself part of pushing a tangent, push through it."""
        node.more().shapes = tuple(
            [(r._array.shape, r._array.dtype) if isinstance(r, Variable) else NO_TENSOR for r in results]
        )
        if not self.busy:
            self.push(node)

    def tangent(self, edge: Edge | None) -> Any:
        """The tangent at an edge; None where nothing changes."""
        if edge is None or edge in self.tangents:
            return self.tangents.get(edge)  # type: ignore[arg-type]
        todo = [edge[0]]
        while todo:  # operations recorded while tangents were pushed are caught up with, without recursion
            node = todo[-1]
            missing = [
                e[0] for e in node.edges
                if e is not None and e not in self.tangents and e[0].__class__ is not AccumulateGrad
            ]  # fmt: skip
            if missing:
                todo.extend(missing)
            else:
                self.push(todo.pop())
        return self.tangents.get(edge)

    def push(self, node: Node) -> None:
        """Work out the tangents of a node's outputs."""
        if node.__class__ is AccumulateGrad or (node, 0) in self.tangents:
            return
        along = [None if e is None else self.tangents.get(e) for e in node.edges]
        if all(t is None for t in along) or node.extras is None:
            found: Sequence[Any] = [None] * node.outputs
        else:
            before, switches.grad = switches.grad, True
            switches.note()
            busy, self.busy = self.busy, True
            try:
                found = pushed(node, along)
            finally:
                self.busy = busy
                switches.grad = before
                switches.note()
        for number, tangent in enumerate(found):
            self.tangents[node, number] = tangent


def pushed(node: Node, along: Sequence[Any]) -> Sequence[Any]:
    """The tangents of a node's outputs from those of its inputs (None: that input does not change)."""
    own: Callable[..., Any] | None = getattr(node, "push", None)  # a `Function` brings its rule
    if own is not None:
        return own(along)
    primitive = node.primitive
    if primitive.jvp == "partial" and (primitive.holomorphic or not any_complex(node, along)):
        return [by_parts(node, along)]
    return transposed(node, along)


def any_complex(node: Node, along: Sequence[Any]) -> bool:
    """Whether complex numbers go in or come out."""
    kinds = [dtype.kind for _, dtype in node.more().shapes]
    return "c" in (*kinds, *[t._array.dtype.kind for t in along if t is not None])


def by_parts(node: Node, along: Sequence[Any]) -> Any:
    """Σ ∂y/∂xᵢ·ẋᵢ of an elementwise operation: its formulas, applied to tangents."""
    xp, primitive = vocabularies.tensors, node.primitive
    (shape, dtype), total = node.more().shapes[0], None
    for index, (tangent, formula) in enumerate(zip(along, primitive.formulas, strict=True)):
        if tangent is None or formula is None:
            continue
        if tangent._array.shape != shape:
            tangent = xp.broadcast_to(tangent, shape)
        part = formula(xp, tangent, *primitive.saved_as_tensors(node, index))
        if part is not None:
            total = part if total is None else total + part
    return total if total is None else fit(total, shape, dtype)


def transposed(node: Node, along: Sequence[Any]) -> Sequence[Any]:
    """J·ẋ as the derivative of g ↦ Jᵀg along ẋ."""
    shapes = node.more().shapes
    places: list[Any] = [np.ones(shape, dtype) if dtype.kind in "fcV" else None for shape, dtype in shapes]
    cotangents = [None if p is None else wrap(p).requires_grad_() for p in places]
    wanted = [t is not None for t in along]
    given: Any = cotangents[0]
    if node.outputs > 1:
        given = tuple(
            [wrap(np.zeros(*s)) if c is None else c for c, s in zip(cotangents, shapes, strict=True)]
        )
    gradients = node.pull(vocabularies.tensors, given, wanted, True)
    roots = []
    for gradient, tangent in zip(gradients, along, strict=True):
        if gradient is not None and tangent is not None and isinstance(gradient, Variable):
            gradient = fit(gradient, tangent._array.shape, tangent._array.dtype)
            edge = gradient.edge()
            if edge is not None:
                roots.append((edge, tangent))
    edges = [None if c is None else c.edge() for c in cotangents]
    if not roots:
        return [None] * len(edges)
    walk = Walk(True, True, [e for e in edges if e is not None])
    walk.run(roots, node.place)
    return [None if e is None else walk.captured.get(e) for e in edges]


__all__ = ["Level", "levels", "pushed"]
