"""What kernels of captured programs call: pointers, sums in any order, and log of float32 without branches.

log: the reduction and the polynomial of Moshier's Cephes library ("Methods and Programs for Mathematical Functions", 1989).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler import Compiler
from numba.extending import intrinsic

from clew.kernels import angles, numbers, products
from clew.kernels.compiling import Apart, entry

f4, i4 = np.float32, np.int32
LN2_HIGH, LN2_LOW = f4(0.693359375), f4(-2.12194440e-4)


def pointer_to(kind: Any) -> Any:
    """A function that makes an address a pointer to numbers of a kind."""

    @intrinsic
    def pointer(typing: Any, address: Any) -> Any:
        signature = types.CPointer(kind)(types.int64)

        def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return signature, made

    return pointer


def address_of(kind: Any) -> Any:
    """A function that makes a pointer to numbers of a kind an address."""

    @intrinsic
    def address(typing: Any, pointer: Any) -> Any:
        signature = types.int64(types.CPointer(kind))

        def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.ptrtoint(args[0], context.get_value_type(signature.return_type))

        return signature, made

    return address


@intrinsic
def call(typing: Any, address: Any, args: Any) -> Any:
    """Call a C function that gives nothing back."""

    def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        values = cgutils.unpack_tuple(builder, given[1])
        kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
        builder.call(builder.inttoptr(given[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.int64, args), made


@njit(error_model="numpy", cache=True)
def log_float32(x):
    bits = f4(x).view(i4)
    e = f4((bits >> i4(23)) - i4(126))
    m = i4((bits & i4(0x007FFFFF)) | i4(0x3F000000)).view(f4)  # 0.5 ≤ m < 1
    small = m < f4(0.707106781186547524)
    e = e - f4(1.0) if small else e
    m = m + m - f4(1.0) if small else m - f4(1.0)
    z = m * m
    p = f4(7.0376836292e-2)
    p = p * m + f4(-1.1514610310e-1)
    p = p * m + f4(1.1676998740e-1)
    p = p * m + f4(-1.2420140846e-1)
    p = p * m + f4(1.4249322787e-1)
    p = p * m + f4(-1.6668057665e-1)
    p = p * m + f4(2.0000714765e-1)
    p = p * m + f4(-2.4999993993e-1)
    p = p * m + f4(3.3333331174e-1)
    y = p * m * z + e * LN2_LOW - f4(0.5) * z
    y = m + y + e * LN2_HIGH
    y = f4(-np.inf) if x == f4(0.0) else y
    y = f4(np.nan) if x < f4(0.0) else y
    return x if (x != x or x == f4(np.inf)) else y


@njit(fastmath={"reassoc", "nsz"}, cache=True)
def gather(total, x):
    """total + x, in whatever order a sum's loop takes."""
    return total + x


@njit(fastmath={"reassoc", "nsz", "contract"}, cache=True)
def gather_product(total, x, y):
    """total + x y, the same."""
    return total + x * y


# ---- threads ---------------------------------------------------------------------------------------------------------------------
@intrinsic
def arrive(typing: Any, counter: Any) -> Any:
    """Count one up, and what was there before."""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", args[0], one, "seq_cst")

    return types.int64(types.CPointer(types.int64)), made


@intrinsic
def arrived(typing: Any, counter: Any) -> Any:
    """How many have arrived."""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(args[0], "seq_cst", 8)

    return types.int64(types.CPointer(types.int64)), made


@intrinsic
def let_others_run(typing: Any) -> Any:
    """The processor, for a moment, to whoever waits for it: POSIX's sched_yield."""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), made


@njit(cache=True)
def meet(counter, count):
    """Wait for all threads of a kernel."""
    if count > 1:
        target = (arrive(counter) // count + 1) * count
        patience = 0
        while arrived(counter) < target:
            patience += 1
            if patience > 2000:
                let_others_run()


@cache
def address_of_meeting() -> int:
    """Where the machine code of `meet` lies."""
    return entry(meet.py_func, types.void(types.CPointer(types.int64), types.int64))


@njit(cache=True)
def share(rows, thread, count):
    """Where a thread's rows begin: by eights, as tiles are."""
    return rows if thread == count else rows // 8 * thread // count * 8


_KINDS = (
    ("f4", types.float32), ("f8", types.float64), ("i4", types.int32), ("i8", types.int64), ("u1", types.uint8),
)  # fmt: skip
ROOM: dict[str, Any] = {
    "Apart": Apart, "Compiler": Compiler,
    "exp": numbers.exp, "exp_or_zero": numbers.exp_or_zero, "log1p": numbers.log1p, "normal": numbers.normal, "sigmoid": numbers.sigmoid, "tanh": numbers.tanh,
    "sin": angles.sin, "cos": angles.cos,
    "log_f4": log_float32, "log_f8": np.log, "math": math, "gather": gather, "larger": numbers.larger,
    "gather_product": gather_product, "multiply": products.multiply, "call": call, "meet": meet, "share": share, "np": np, "inf": np.inf, "nan": np.nan,
    "f4": np.float32, "f8": np.float64, "i4": np.int32, "i8": np.int64, "u1": np.uint8,
    **{f"p_{code}": pointer_to(kind) for code, kind in _KINDS}, **{f"address_{code}": address_of(kind) for code, kind in _KINDS},
}  # fmt: skip
