"""Loading in other processes: each worker has a queue of batches to make, and all answer into one."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import random
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

_ALIVE_EVERY = 5.0  # seconds between looks at whether the workers live


class _End:
    """The answer of a worker whose stream has no more."""


class WorkerInfo:
    """What a worker knows of itself."""

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any) -> None:
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed}, dataset={self.dataset!r})"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker, its number, the number of workers, its seed and its copy of the data set; elsewhere None."""
    return _info


class Failure(NamedTuple):
    """An error of a worker, on its way to the main process."""

    kind: type[BaseException]
    text: str
    where: str

    def reraise(self) -> None:
        """Raise an error of the same type that tells the worker's traceback."""
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        if self.kind is KeyError:
            message = _Plain(message)
        try:
            error = self.kind(message)
        except Exception:  # its constructor wants other arguments
            raise RuntimeError(message) from None
        raise error


class _Plain(str):
    """A message that KeyError shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _failure(worker: int) -> Failure:
    kind, error, trace = sys.exc_info()
    assert kind is not None
    text = "".join(traceback.format_exception(kind, error, trace))
    return Failure(kind, text, f"in DataLoader worker process {worker}")


def _pickled(made: Any, worker: int) -> bytes:
    """A batch as bytes: pickled here, since an error in the queue's own thread would be lost."""
    try:
        return pickle.dumps(made)
    except Exception:
        failure = made if isinstance(made, Failure) else _failure(worker)
        return pickle.dumps(failure._replace(kind=RuntimeError))


def _seed(base: int, worker: int) -> None:
    """Each worker draws numbers of its own; those of NumPy follow from the seed and the worker's number."""
    from clew.ops.sampling import manual_seed

    random.seed(base + worker)
    manual_seed(base + worker)
    words = [worker, base & 0xFFFFFFFF, base >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))


def _work(
    fetcher: Any, dataset: Any, tasks: Any, answers: Any, base: int, worker: int, count: int, start: Any
) -> None:
    """A worker's life: take a task, make the batch, answer; until there is no task."""
    global _info
    parent = os.getppid()
    failure = None
    try:
        _seed(base, worker)
        _info = WorkerInfo(worker, count, base + worker, dataset)
        if start is not None:
            start(worker)
        fetch = fetcher(dataset)
    except Exception:
        failure = _failure(worker)
    while True:
        try:
            task = tasks.get(timeout=_ALIVE_EVERY)
        except queue.Empty:
            if os.getppid() != parent:  # the main process is gone
                return
            continue
        if task is None:
            return
        number, indices = task
        made: Any = failure
        try:
            if number is None:  # another pass
                fetch = fetcher(dataset)
                continue
            if failure is None:
                made = fetch(indices)
        except StopIteration:
            made = _End()
        except Exception:
            made = _failure(worker)
        answers.put((worker, number, _pickled(made, worker)))


class Workers:
    """The processes of a loader. Iterating `run` gives batches in order (or as they come)."""

    def __init__(self, loader: Any, fetcher: Any, base: int) -> None:
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self.count = loader.num_workers
        self.ahead = loader.prefetch_factor
        self.timeout = loader.timeout or None
        self.in_order = loader.in_order
        self.answers = context.Queue()
        self.tasks: list[Any] = []
        self.processes: list[Any] = []
        self.given = (
            0  # tasks: numbers go on from pass to pass, as answers to one left early are still to come
        )
        for worker in range(self.count):
            tasks = context.Queue()
            process = context.Process(
                target=_work,
                args=(
                    fetcher,
                    loader.dataset,
                    tasks,
                    self.answers,
                    base,
                    worker,
                    self.count,
                    loader.worker_init_fn,
                ),
                daemon=True,
            )
            process.start()
            self.tasks.append(tasks)
            self.processes.append(process)

    def again(self) -> None:
        """Get ready for another pass."""
        for tasks in self.tasks:
            tasks.put((None, None))

    def run(self, indices: Iterator[Any], streams: bool) -> Iterator[Any]:
        """Batches of the indices. streams: a worker may end before the others."""
        waiting: dict[int, Any] = {}  # task: None, or its answer
        busy = list(range(self.count))
        turn, taken = 0, self.given
        more = True
        while True:
            while more and busy and len(waiting) < self.ahead * len(busy):
                try:
                    wanted = next(indices)
                except StopIteration:
                    more = False
                    break
                worker = busy[turn % len(busy)]
                turn += 1
                self.tasks[worker].put((self.given, wanted))
                waiting[self.given] = None
                self.given += 1
            if not waiting:
                return
            number = taken if self.in_order else next((n for n, a in waiting.items() if a is not None), None)
            while number is None or (number in waiting and waiting[number] is None):
                worker, answered, text = self._next_answer()
                if answered in waiting:
                    waiting[answered] = (worker, pickle.loads(text))
                    number = answered if number is None else number
            taken += 1
            if number not in waiting:
                continue
            worker, made = waiting.pop(number)
            if isinstance(made, _End):
                if worker in busy:
                    busy.remove(worker)
                continue
            if isinstance(made, Failure):
                made.reraise()
            yield made

    def _next_answer(self) -> Any:
        """What the next worker says. RuntimeError where one died, or none answers in time."""
        waited = 0.0
        while True:
            step = _ALIVE_EVERY if self.timeout is None else min(_ALIVE_EVERY, self.timeout - waited)
            try:
                return self.answers.get(timeout=max(step, 0.001))
            except queue.Empty:
                dead = [p.pid for p in self.processes if not p.is_alive()]
                if dead:
                    pids = ", ".join(map(str, dead))
                    raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from None
                waited += step
                if self.timeout is not None and waited >= self.timeout:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None

    def close(self) -> None:
        """End the processes."""
        for tasks in self.tasks:
            try:
                tasks.put(None)
                tasks.close()
            except (OSError, ValueError):
                pass
        for process in self.processes:
            process.join(timeout=0.5)
            if process.is_alive():
                process.terminate()
                process.join(timeout=5)
        for q in (*self.tasks, self.answers):
            q.cancel_join_thread()
            q.close()
        self.processes = []


__all__ = ["WorkerInfo", "Workers", "get_worker_info"]
