"""Waiting for a number in memory to change, without asleep and awake: the system takes 20 µs to wake a thread."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from clew.kernels.compiling import settled


@intrinsic
def _number_at(typing: Any, address: Any) -> Any:
    def made(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any]) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], ir.IntType(64).as_pointer()), "acquire", 8)

    return types.int64(types.int64), made


@intrinsic
def _pause(typing: Any) -> Any:
    """A moment, in the processor's own word for a thread that waits."""

    def made(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any]) -> Any:
        word, numbers = "", []
        if builder.module.triple.startswith(("x86_64", "i686")):
            word = "llvm.x86.sse2.pause"
        elif builder.module.triple.startswith(("aarch64", "arm64")):
            word, numbers = "llvm.aarch64.hint", [ir.Constant(ir.IntType(32), 1)]
        if word:
            kind = ir.FunctionType(ir.VoidType(), [n.type for n in numbers])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, word), numbers)
        return context.get_dummy_value()

    return types.void(), made


def _wait(address: int, turns: int, after: int) -> bool:
    """Whether the number at an address becomes other than 0 within so many turns; then some more turns."""
    for _ in range(turns):
        if _number_at(address) != 0:
            for _ in range(after):
                _pause()
            return True
        _pause()
    return False


wait = settled(_wait, types.boolean(types.int64, types.int64, types.int64))

__all__ = ["wait"]
