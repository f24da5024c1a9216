"""Dual tensors: a value together with its tangent, carried along by every operation (forward mode).

with dual_level():
    x = make_dual(primal, tangent)
    y, y_tangent = unpack_dual(f(x))        # f(primal), J·tangent
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clew.autograd.function import WRONG_TANGENT
from clew.autograd.grad_mode import _Mode, set_grad_enabled
from clew.core.forward import Level, levels
from clew.core.inplace import as_view
from clew.core.modes import observe, observers
from clew.core.node import AccumulateGrad, next_seq, user_place
from clew.core.primitive import Primitive
from clew.core.variable import wrap
from clew.ops._arguments import check_tensor

# Stands where a dual tensor starts: to `backward` it is the primal, to forward mode it has a tangent of its own.
dual_start = Primitive(
    "make_dual", lambda self: self.view(), {"self": lambda xp, g: g}, jvp="linear", explain="a value that changes along a tangent"
)  # fmt: skip
_open: list[Level] = []


class UnpackedDualTensor(NamedTuple):
    """The value and the tangent (None for a tensor that does not change)."""

    primal: Any
    tangent: Any


def enter_dual_level() -> int:
    """Open a level. RuntimeError inside another: levels do not nest."""
    if _open:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _open.append(Level().__enter__())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: its tangents go."""
    if not _open:
        raise RuntimeError("Dual level must be a positive number.")
    if level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    _open.pop().__exit__()


class dual_level(_Mode):
    """The context in which dual tensors live."""

    __slots__ = ()

    def _again(self) -> dual_level:
        return dual_level()

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A view of `tensor` that changes along `tangent`, of the same shape.

    ValueError unless both are floating or complex; RuntimeError outside a level, for other shapes, for a dual tensor.
    """
    if not _open:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    if tensor._array.shape != tangent._array.shape:
        raise RuntimeError(WRONG_TANGENT.format(list(tensor._array.shape), list(tangent._array.shape)))
    if _open[-1].tangent(tensor.edge()) is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not supported."
        )
    return started(_open[-1], tensor, tangent)


def started(level: Level, tensor: Any, tangent: Any) -> Any:
    """A view of `tensor` with a tangent at a level."""
    result = as_view(dual_start, tensor)
    if result._edge is None:
        node = dual_start.node()
        node.primitive = dual_start
        node.edges = (None,)
        node.seq = next_seq()
        node.code, node.lasti = user_place(3)
        node.metas = node.extras = None
        node.saved, node.versions = ((),), ()
        result._edge = (node, 0)
        if observers:
            observe(node, (tensor,), (result,))
    level.start(result._edge, tangent)
    return result


def moves(node: Any) -> bool:
    """Whether a dual tensor of an open level starts at a node."""
    return node.primitive is dual_start and any(level.tangents.get((node, 0)) is not None for level in levels)


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The value without its tangent, and the tangent."""
    check_tensor(tensor, "_unpack_dual", "dual")
    tangent = _open[-1].tangent(tensor.edge()) if _open else None
    if tangent is None:
        return UnpackedDualTensor(settled(tensor), None)
    return UnpackedDualTensor(settled(tensor), settled(tangent))


def settled(tensor: Any) -> Any:
    """The same values; with their history only where a leaf that requires a gradient took part."""
    edge = tensor.edge()
    if edge is None or edge[0].__class__ is AccumulateGrad:
        return tensor
    seen, stack = {edge[0]}, [edge[0]]
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in seen:
                if edge[0].__class__ is AccumulateGrad:
                    return tensor
                seen.add(edge[0])
                stack.append(edge[0])
    result = wrap(tensor.memory())
    result._counter = tensor.version()
    return result


def _is_fwd_grad_enabled() -> bool:
    return True


class _set_fwd_grad_enabled(set_grad_enabled):
    """Accepted for compatibility: forward mode is on wherever a level is open."""

    def __init__(self, mode: bool) -> None:
        super().__init__(True)


__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual",
]  # fmt: skip
