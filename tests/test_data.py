"""Data loading without PyTorch: batches, and workers that fail, die, hang or are left early."""

from __future__ import annotations

import os
import time

import pytest

import clew
from clew.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    get_worker_info,
)


def rows():
    return TensorDataset(clew.arange(20.0).reshape(10, 2), clew.arange(10))


class Misbehaves(Dataset):
    """Eight samples, of which one is made by a function."""

    def __init__(self, behave):
        self.behave = behave

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.behave() if i == 5 else i


def test_rows_taken_at_once_are_rows_stacked():
    def stacked(batch):
        return clew.utils.data.default_collate(batch)

    for data in (rows(), Subset(rows(), [3, 1, 4, 1, 5])):
        for a, b in zip(DataLoader(data, 3), DataLoader(data, 3, collate_fn=stacked), strict=True):
            assert [x.tolist() for x in a] == [x.tolist() for x in b]


def test_batches_are_copies():
    data = rows()
    for x, _ in DataLoader(data, 4):
        x.zero_()
    assert data.tensors[0].tolist() == clew.arange(20.0).reshape(10, 2).tolist()


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_keep_the_order(workers):
    found = [y.tolist() for _, y in DataLoader(rows(), 3, num_workers=workers)]
    assert found == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_an_error_in_a_worker_is_raised_with_its_traceback():
    def fails():
        raise ValueError("sample 5 is bad")

    loader = DataLoader(Misbehaves(fails), 2, num_workers=2)
    with pytest.raises(
        ValueError, match=r"(?s)Caught ValueError in DataLoader worker process 0\..*sample 5 is bad"
    ):
        list(loader)


def test_an_error_whose_class_wants_other_arguments():
    class Strange(Exception):
        def __init__(self, a, b):
            super().__init__(a)

    def fails():
        raise Strange(1, 2)

    with pytest.raises(RuntimeError, match=r"(?s)Caught .*Strange: 1"):
        list(DataLoader(Misbehaves(fails), 2, num_workers=1))


def test_a_missing_key_reads_well():
    with pytest.raises(KeyError, match=r"(?s)Caught KeyError in DataLoader worker process 0\.\nOriginal"):
        list(DataLoader(Misbehaves(lambda: {}["a"]), 2, num_workers=1))


def test_a_worker_that_dies(monkeypatch):
    monkeypatch.setattr(clew.utils.data.workers, "_ALIVE_EVERY", 0.2)
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly"):
        list(DataLoader(Misbehaves(lambda: os._exit(1)), 2, num_workers=1))


def test_a_worker_that_hangs():
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.3 seconds"):
        list(DataLoader(Misbehaves(lambda: time.sleep(60)), 2, num_workers=1, timeout=0.3))


def test_a_bad_start_of_a_worker():
    def start(worker):
        raise RuntimeError(f"worker {worker} does not start")

    with pytest.raises(RuntimeError, match="worker 0 does not start"):
        list(DataLoader(rows(), 2, num_workers=1, worker_init_fn=start))


@pytest.mark.parametrize("persistent", [False, True])
def test_a_pass_left_early(persistent):
    loader = DataLoader(rows(), 1, num_workers=2, persistent_workers=persistent)
    for _, y in loader:
        assert y.item() == 0
        break
    assert [y.item() for _, y in loader] == list(range(10))


def test_streams_share_the_work():
    class Count(IterableDataset):
        def __iter__(self):
            info = get_worker_info()
            return iter(range(info.id, 9, info.num_workers))

    found = [x for batch in DataLoader(Count(), 2, num_workers=2) for x in batch.tolist()]
    assert sorted(found) == list(range(9))
    assert get_worker_info() is None


def test_workers_without_order():
    loader = DataLoader(rows(), 1, num_workers=2, in_order=False)
    assert sorted(y.item() for _, y in loader) == list(range(10))


def test_a_length_that_was_a_lie():
    class Count(IterableDataset):
        def __iter__(self):
            return iter(range(5))

        def __len__(self):
            return 3

    loader = DataLoader(Count(), None)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="was reported to be 3"):
        list(loader)


def test_endless_draws_begin_at_once() -> None:
    sampler = RandomSampler(range(10), replacement=True, num_samples=10**12)
    assert next(iter(sampler)) in range(10)
    sampler = RandomSampler(range(10), num_samples=10**12)
    assert next(iter(sampler)) in range(10)
