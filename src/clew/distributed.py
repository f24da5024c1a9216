"""`torch.distributed` for one process: a group of size 1, in which every collective operation is its own result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

__all__ = [
    "ReduceOp", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce", "barrier", "broadcast",
    "broadcast_object_list", "destroy_process_group", "gather", "get_backend", "get_rank", "get_world_size",
    "init_process_group", "is_available", "is_gloo_available", "is_initialized", "is_mpi_available", "is_nccl_available",
    "is_torchelastic_launched", "new_group", "reduce", "reduce_scatter", "scatter",
]  # fmt: skip

NOT_STARTED = "Default process group has not been initialized, please make sure to call init_process_group."


class ReduceOp:
    """How values of several processes become one."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR = (
        "SUM",
        "AVG",
        "PRODUCT",
        "MIN",
        "MAX",
        "BAND",
        "BOR",
        "BXOR",
    )
    RedOpType = str  # the type of each of these


class group:
    """The group of all processes."""

    WORLD: Any = None


class GroupMember:
    """The group of all processes."""

    WORLD: Any = None
    NON_GROUP_MEMBER = object()


class ProcessGroup:
    """A group of processes: this one."""

    def size(self) -> int:
        """1."""
        return 1

    def rank(self) -> int:
        """0."""
        return 0


class Work:
    """An operation that is done already."""

    def wait(self, timeout: Any = None) -> bool:
        """True."""
        return True

    def is_completed(self) -> bool:
        """True."""
        return True


_backend: str | None = None


def is_available() -> bool:
    """True: there are groups of one process."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` was called."""
    return _backend is not None


def is_nccl_available() -> bool:
    """False."""
    return False


is_mpi_available = is_gloo_available = is_torchelastic_launched = is_nccl_available


def init_process_group(
    backend: str | None = None, init_method: str | None = None, timeout: Any = None, world_size: int = -1, rank: int = -1,
    store: Any = None, **_: Any,
) -> None:  # fmt: skip
    """Begin with a group of this process. ValueError without rank and size, RuntimeError for more than one process."""
    global _backend
    if _backend is not None:
        raise ValueError("trying to initialize the default process group twice!")
    if init_method in (None, "env://") and store is None:
        for name, value in (("RANK", rank), ("WORLD_SIZE", world_size)):
            if value == -1 and name not in os.environ:
                raise ValueError(
                    "Error initializing torch.distributed using env:// rendezvous: environment variable "
                    f"{name} expected, but not set"
                )
        world_size = int(os.environ["WORLD_SIZE"]) if world_size == -1 else world_size
    if world_size > 1:
        raise RuntimeError(f"clew runs one process: a group of {world_size} cannot be formed")
    _backend = backend or "gloo"
    group.WORLD = GroupMember.WORLD = ProcessGroup()


def destroy_process_group(group: Any = None) -> None:
    """End the group."""
    global _backend
    _check()
    _backend = None


def _check() -> None:
    if _backend is None:
        raise ValueError(NOT_STARTED)


def get_rank(group: Any = None) -> int:
    """0."""
    _check()
    return 0


def get_world_size(group: Any = None) -> int:
    """1."""
    _check()
    return 1


def get_backend(group: Any = None) -> str:
    """The name given at the beginning."""
    _check()
    assert _backend is not None
    return _backend


def new_group(*args: Any, **kwargs: Any) -> ProcessGroup:
    """A group of this process."""
    _check()
    return ProcessGroup()


def _done(async_op: bool) -> Work | None:
    _check()
    return Work() if async_op else None


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait for the others: there are none."""
    return _done(async_op)


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """The reduction over one process: `tensor` stays."""
    return _done(async_op)


def reduce(
    tensor: Any, dst: int = 0, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False, **_: Any
) -> Work | None:
    """The reduction over one process: `tensor` stays."""
    return _done(async_op)


def broadcast(tensor: Any, src: int = 0, group: Any = None, async_op: bool = False, **_: Any) -> Work | None:
    """From this process to itself: `tensor` stays."""
    return _done(async_op)


def broadcast_object_list(object_list: list[Any], src: int = 0, *args: Any, **kwargs: Any) -> None:
    """From this process to itself."""
    _check()


def all_gather(
    tensor_list: Sequence[Any], tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """`tensor_list[0]` becomes a copy of `tensor`."""
    tensor_list[0].copy_(tensor)
    return _done(async_op)


def all_gather_into_tensor(
    output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """`output_tensor` becomes a copy of `input_tensor`."""
    output_tensor.copy_(input_tensor.reshape(output_tensor.shape))
    return _done(async_op)


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """`object_list[0]` becomes `obj`."""
    _check()
    object_list[0] = obj


def gather(
    tensor: Any, gather_list: Any = None, dst: int = 0, group: Any = None, async_op: bool = False, **_: Any
) -> Work | None:
    """`gather_list[0]` becomes a copy of `tensor`."""
    if gather_list:
        gather_list[0].copy_(tensor)
    return _done(async_op)


def scatter(
    tensor: Any, scatter_list: Any = None, src: int = 0, group: Any = None, async_op: bool = False, **_: Any
) -> Work | None:
    """`tensor` becomes a copy of `scatter_list[0]`."""
    if scatter_list:
        tensor.copy_(scatter_list[0])
    return _done(async_op)


def reduce_scatter(
    output: Any, input_list: Sequence[Any], op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """`output` becomes a copy of `input_list[0]`."""
    output.copy_(input_list[0])
    return _done(async_op)
