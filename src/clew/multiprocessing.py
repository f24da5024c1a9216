"""`torch.multiprocessing`: Python's own, and `spawn`. Tensors go to other processes as copies, but for
those whose memory was shared (`share_memory_`) before the processes were forked."""

from __future__ import annotations

import multiprocessing as _multiprocessing
import sys as _sys
import traceback as _traceback
from collections.abc import Callable as _Callable
from multiprocessing import *  # noqa: F403
from typing import Any as _Any


class ProcessRaisedException(Exception):
    """A process of `spawn` raised an error."""


class ProcessExitedException(Exception):
    """A process of `spawn` ended with another exit code than 0."""


def get_all_sharing_strategies() -> set[str]:
    """The ways in which memory may be named."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """How memory would be shared."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted: tensors are copied."""


def _call(function: _Callable[..., _Any], rank: int, args: tuple[_Any, ...], failed: _Any) -> None:
    try:
        function(rank, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        failed.put((rank, _traceback.format_exc()))
        _sys.exit(1)


class SpawnContext:
    """The processes that `spawn` started."""

    def __init__(self, processes: list[_Any], failed: _Any) -> None:
        self.processes = processes
        self._failed = failed

    def pids(self) -> list[int]:
        """Their numbers."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for them; the first that fails ends the others and its error is raised."""
        from multiprocessing.connection import wait

        wait([process.sentinel for process in self.processes if process.is_alive()], timeout)
        bad = next((i for i, p in enumerate(self.processes) if p.exitcode not in (None, 0)), None)
        if bad is None:
            return all(process.exitcode == 0 for process in self.processes)
        for process in self.processes:
            process.terminate()
            process.join()
        if not self._failed.empty():
            rank, text = self._failed.get()
            raise ProcessRaisedException(
                f"\n\n-- Process {rank} terminated with the following error:\n{text}"
            )
        raise ProcessExitedException(
            f"process {bad} terminated with exit code {self.processes[bad].exitcode}"
        )


def start_processes(
    fn: _Callable[..., _Any], args: tuple[_Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> SpawnContext | None:  # fmt: skip
    """Run `fn(i, *args)` in `nprocs` processes. join: wait for them."""
    context: _Any = _multiprocessing.get_context(start_method)
    failed = context.SimpleQueue()
    processes = [
        context.Process(target=_call, args=(fn, i, args, failed), daemon=daemon) for i in range(nprocs)
    ]
    for process in processes:
        process.start()
    started = SpawnContext(processes, failed)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: _Callable[..., _Any], args: tuple[_Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> SpawnContext | None:  # fmt: skip
    """Run `fn(i, *args)` in `nprocs` fresh processes."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)
