"""`DataLoader`: a data set in batches, shuffled as PyTorch shuffles it, here or in other processes."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any, Generic, TypeVar

from clew.core.variable import Variable
from clew.utils.data.collate import default_collate, default_convert
from clew.utils.data.dataset import IterableDataset, Subset, TensorDataset
from clew.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed
from clew.utils.data.workers import Workers

T_co = TypeVar("T_co", covariant=True)
FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
NOT_PINNED = "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used."
NOT_FOR_STREAMS = "DataLoader with IterableDataset: expected unspecified {0} option, but got {0}={1}"


class DataLoader(Generic[T_co]):
    """Batches of a data set.

    dataset: with `__getitem__` and `__len__`, or an IterableDataset. batch_size: None for single samples. shuffle,
    sampler, batch_sampler: the order. num_workers: processes that load; 0: this one. collate_fn: samples to a batch.
    drop_last: without a last, smaller batch. generator: what random orders and workers' seeds are drawn from.
    ValueError for options that exclude each other.
    """

    dataset: Any
    batch_size: int | None
    sampler: Any
    batch_sampler: Any

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None,
        batch_sampler: Any = None, num_workers: int = 0, collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None, multiprocessing_context: Any = None, generator: Any = None,
        *, prefetch_factor: int | None = None, persistent_workers: bool = False, pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:  # fmt: skip
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.generator = generator
        self._streams = isinstance(dataset, IterableDataset)
        if self._streams:
            if shuffle not in (None, False):
                raise ValueError(NOT_FOR_STREAMS.format("shuffle", shuffle))
            for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None:
                    raise ValueError(NOT_FOR_STREAMS.format(name, value))
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
            drop_last = False
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._streams:
                sampler = _Endless()
            else:
                sampler = (
                    RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
                )
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.persistent_workers = persistent_workers
        self._workers: Workers | None = None
        self._length_told: int | None = None
        self._made = True

    @property
    def multiprocessing_context(self) -> Any:
        """How workers are started."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, wanted: Any) -> None:
        if wanted is not None and not self.num_workers:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                f"num_workers={self.num_workers}"
            )
        if isinstance(wanted, str):
            known = multiprocessing.get_all_start_methods()
            if wanted not in known:
                raise ValueError(
                    f"multiprocessing_context option should specify a valid start method in {known!r}, but got "
                    f"multiprocessing_context={wanted!r}"
                )
            wanted = multiprocessing.get_context(wanted)
        self._context = wanted

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "_made" in self.__dict__:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __len__(self) -> int:
        if not self._streams:
            return len(self._index_sampler)
        length = self._length_told = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def __iter__(self) -> Any:
        kind = _MultiProcessingDataLoaderIter if self.num_workers else _SingleProcessDataLoaderIter
        return kind(self)


class _Endless:
    """Indices for a stream, which needs none."""

    def __iter__(self) -> Iterator[None]:
        return repeat(None)


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if not num_workers and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and not num_workers:
        raise ValueError("persistent_workers option needs num_workers > 0")


# ---- one pass ----------------------------------------------------------------------------------------------------------
class _BaseDataLoaderIter:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        if loader.pin_memory:
            warnings.warn(NOT_PINNED, stacklevel=3)
        self.loader = loader
        self.yielded = 0
        indices = iter(loader._index_sampler)
        kept = loader._workers
        base = draw_seed(loader.generator) if kept is None else 0
        fetcher = partial(
            _fetcher, loader._streams, loader.batch_sampler is not None, loader.collate_fn, loader.drop_last
        )
        self.batches: Iterator[Any]
        self.workers: Workers | None = None
        if not loader.num_workers:
            self.batches = map(fetcher(loader.dataset), indices)
            return
        self.workers = kept or Workers(loader, fetcher, base)
        if kept is not None:
            kept.again()
        if loader.persistent_workers:
            loader._workers = self.workers
        self.batches = self.workers.run(indices, loader._streams)

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self.batches)
        except BaseException:
            self._end()
            raise
        self.yielded += 1
        loader = self.loader
        told = loader._length_told
        if loader._streams and told is not None and self.yielded > told:
            more = (
                "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset "
                "replica at each worker. Please see https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset "
                "for examples."
            )
            warnings.warn(
                f"Length of IterableDataset {loader.dataset} was reported to be {told}(when accessing len(dataloader)), but "
                f"{self.yielded} samples have been fetched. " + (more if loader.num_workers else ""),
                stacklevel=2,
            )
        return batch

    def _end(self) -> None:
        if self.workers is not None and self.loader._workers is not self.workers:
            self.workers.close()
            self.workers = None

    def __len__(self) -> int:
        return len(self.loader._index_sampler)

    def __del__(self) -> None:
        workers = getattr(self, "workers", None)
        if workers is not None and self.loader._workers is not workers:
            workers.close()


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """A pass whose batches are made here; named as in PyTorch, where programs and libraries ask for the name."""


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """A pass whose batches come from workers."""


def _fetcher(
    streams: bool, batched: bool, collate: Any, drop_last: bool, dataset: Any
) -> Callable[[Any], Any]:
    """A function from indices to a batch."""
    if streams:
        return _stream_fetcher(iter(dataset), batched, collate, drop_last)
    if not batched:
        return lambda index: collate(dataset[index])
    if collate is default_collate and (rows := _rows(dataset)) is not None:
        return rows
    several = getattr(dataset, "__getitems__", None)
    if several:
        return lambda indices: collate(several(indices))
    return lambda indices: collate([dataset[i] for i in indices])


def _stream_fetcher(
    samples: Iterator[Any], batched: bool, collate: Any, drop_last: bool
) -> Callable[[Any], Any]:
    if not batched:
        return lambda _: collate(next(samples))

    def fetch(indices: list[None]) -> Any:
        batch = [sample for _, sample in zip(indices, samples, strict=False)]
        if not batch or (drop_last and len(batch) < len(indices)):
            raise StopIteration
        return collate(batch)

    return fetch


def _rows(dataset: Any) -> Callable[[Any], Any] | None:
    """Rows of tensors are taken at once, which gives the same batch as stacking them one by one."""
    chosen = None
    if type(dataset) is Subset:
        dataset, chosen = dataset.dataset, dataset.indices
    if type(dataset) is not TensorDataset:
        return None
    tensors = dataset.tensors
    if any(not isinstance(t, Variable) or t.requires_grad or not t._array.ndim for t in tensors):
        return None

    def fetch(indices: list[int]) -> list[Any]:
        wanted = indices if chosen is None else [chosen[i] for i in indices]
        return [t[wanted] for t in tensors]

    return fetch


__all__ = ["DataLoader"]
