"""torch.utils.data: the same programs under both; the same shuffles for a seed."""

from __future__ import annotations

import collections
import random

import numpy as np
from both import collect, same

Pair = collections.namedtuple("Pair", "x y")


def squares(t):
    class Squares(t.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return t.tensor([float(i)]), i * i

    return Squares()


def stream(t):
    class Count(t.utils.data.IterableDataset):
        def __iter__(self):
            info = t.utils.data.get_worker_info()
            first, step = (0, 1) if info is None else (info.id, info.num_workers)
            return iter(range(first, 7, step))

    return Count()


def rows(t):
    return t.utils.data.TensorDataset(t.arange(20.0).reshape(10, 2), t.arange(10))


def seeded(t, seed=0):
    t.manual_seed(seed)
    return t.utils.data


def p_shuffled(t):
    data = seeded(t)
    return [list(data.DataLoader(rows(t), batch_size=3, shuffle=True)) for _ in range(2)], t.rand(2)


def p_own_data_set(t):
    data = seeded(t)
    return list(data.DataLoader(squares(t), 4, shuffle=True, drop_last=True)), t.rand(1)


def p_generator(t):
    data = seeded(t)
    g = t.Generator().manual_seed(5)
    loader = data.DataLoader(rows(t), 4, shuffle=True, generator=g)
    return [list(loader) for _ in range(2)], t.rand(1), t.rand(1, generator=g)


def p_single_samples(t):
    data = seeded(t)
    return list(data.DataLoader(squares(t), batch_size=None)), list(data.DataLoader(rows(t), batch_size=None))


def p_lengths(t):
    data = seeded(t)
    return [len(data.DataLoader(rows(t), n, drop_last=d)) for n in (1, 3, 4, 10, 11) for d in (False, True)]


def p_with_replacement(t):
    data = seeded(t)
    return list(data.RandomSampler(range(10), replacement=True, num_samples=70)), list(
        data.RandomSampler(range(5), num_samples=12)
    )


def p_weighted(t):
    data = seeded(t)
    return list(data.WeightedRandomSampler([0.1, 5.0, 1.0, 2.0], 20)), list(
        data.WeightedRandomSampler([0.1, 5.0, 1.0, 2.0], 3, replacement=False)
    )


def p_subset_sampler(t):
    data = seeded(t)
    return [b[1] for b in data.DataLoader(rows(t), 2, sampler=data.SubsetRandomSampler([1, 3, 5, 7]))]


def p_batch_sampler(t):
    data = seeded(t)
    batches = data.BatchSampler(data.SequentialSampler(range(10)), 4, False)
    return list(batches), len(batches), [b[1] for b in data.DataLoader(rows(t), batch_sampler=batches)]


def p_distributed(t):
    data = seeded(t)
    sampler = data.DistributedSampler(range(11), num_replicas=3, rank=1, seed=3)
    first = list(sampler)
    sampler.set_epoch(2)
    return (
        first,
        list(sampler),
        len(sampler),
        list(data.DistributedSampler(range(11), 3, 2, shuffle=False, drop_last=True)),
    )


def p_split(t):
    data = seeded(t)
    parts = data.random_split(rows(t), [7, 3])
    fractions = data.random_split(range(11), [0.5, 0.3, 0.2], t.Generator().manual_seed(1))
    return (
        [p.indices for p in parts],
        [list(p) for p in fractions],
        list(data.DataLoader(parts[0], 4, shuffle=True)),
    )


def p_split_that_does_not_add_up(t):
    seeded(t).random_split(rows(t), [7, 4])


def p_joined(t):
    data = seeded(t)
    both = rows(t) + rows(t)
    chain = stream(t) + stream(t)
    stacked = data.StackDataset(a=range(3), b=[5.0, 6.0, 7.0])
    return len(both), both[-1], both[12], list(chain), list(data.DataLoader(stacked, 2))


def p_stream(t):
    data = seeded(t)
    return (
        list(data.DataLoader(stream(t), 3)),
        list(data.DataLoader(stream(t), 3, drop_last=True)),
        list(data.DataLoader(stream(t), None)),
    )


def p_collate(t):
    collate = t.utils.data.default_collate
    return [
        collate([1, 2]),
        collate([1.5, 2]),
        collate([True, False]),
        collate(["a", "b"]),
        collate([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]),
        collate([(1, [2.0, 3.0]), (4, [5.0, 6.0])]),
        collate([np.float32(1), np.float32(2)]),
        collate([np.ones((2, 2)), np.zeros((2, 2))]),
        tuple(collate([Pair(1, 2.0), Pair(3, 4.0)])),
        collate([t.ones(2), t.zeros(2)]),
    ]


def p_convert(t):
    return t.utils.data.default_convert([np.ones(2), (1, "a"), {"k": np.float64(2)}])


def p_collate_unknown(t):
    t.utils.data.default_collate([object()])


def p_collate_uneven(t):
    t.utils.data.default_collate([[1, 2], [3]])


def p_collate_shapes(t):
    t.utils.data.default_collate([t.ones(2), t.ones(3)])


def p_own_collate(t):
    return list(seeded(t).DataLoader(squares(t), 5, collate_fn=lambda batch: [y for _, y in batch]))


def p_pinned(t):
    return [b[1] for b in seeded(t).DataLoader(rows(t), 5, pin_memory=True)]


def options(**given):
    def program(t):
        return len(t.utils.data.DataLoader(rows(t), **given))

    return program


p_workers_negative = options(num_workers=-1)
p_timeout_negative = options(timeout=-1)
p_prefetch_without_workers = options(prefetch_factor=2)
p_persistent_without_workers = options(persistent_workers=True)
p_sampler_and_shuffle = options(sampler=[1], shuffle=True)
p_batch_sampler_and_size = options(batch_sampler=[[1]], batch_size=2)
p_drop_last_without_batches = options(batch_size=None, drop_last=True)
p_batch_size_zero = options(batch_size=0)
p_context_without_workers = options(multiprocessing_context="fork")


def p_stream_shuffled(t):
    t.utils.data.DataLoader(stream(t), shuffle=True)


def p_attribute_fixed(t):
    t.utils.data.DataLoader(rows(t)).batch_size = 3


def p_no_samples(t):
    t.utils.data.RandomSampler([])


def p_uneven_tensors(t):
    t.utils.data.TensorDataset(t.ones(2), t.ones(3))


# ---- with workers ------------------------------------------------------------------------------------------------------
def p_workers(t):
    data = seeded(t)
    loader = data.DataLoader(rows(t), 3, shuffle=True, num_workers=2)
    return [list(loader) for _ in range(2)], t.rand(1)


def p_persistent_workers(t):
    data = seeded(t)
    loader = data.DataLoader(squares(t), 3, num_workers=2, persistent_workers=True)
    return [list(loader) for _ in range(2)]


def p_stream_of_workers(t):
    return list(seeded(t).DataLoader(stream(t), 2, num_workers=2))


def p_random_numbers_of_workers(t):
    class Draws(t.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return t.rand(1), random.random(), np.random.rand(), t.utils.data.get_worker_info().seed % 1000

    return list(seeded(t).DataLoader(Draws(), 1, num_workers=2))


@collect(globals())
def test_same(program):
    same(program)
