"""The threads that kernels share their work out to, and those of BLAS, which must not stand in their way."""

from __future__ import annotations

import time

import numpy as np
import pytest

import clew
from clew import kernels
from clew.kernels import blas, threads
from clew.kernels.threads import spread


@pytest.fixture(params=["asleep", "watching"])
def three(request, monkeypatch):
    """Three threads, whose helpers sleep between two calls or watch for the next."""
    if request.param == "watching":
        kernels.pick("gelu", np.zeros(1 << 13, np.float32))  # loads Numba
        assert threads.spinning
        monkeypatch.setattr(threads, "_processors", lambda: 3)
    else:
        monkeypatch.setattr(threads, "spinning", [])
    before = clew.get_num_threads()
    clew.set_num_threads(3)
    yield
    clew.set_num_threads(before)


def test_every_part_once_and_in_order(three):
    numbers = np.arange(301)
    for _ in range(2000):
        parts = spread(lambda a: a.tolist(), numbers, grain=1)
        assert len(parts) == 3
        assert [n for part in parts for n in part] == numbers.tolist()


def test_a_part_that_takes_long(three):
    def work(a):
        time.sleep(0.003 * int(a[0]))
        return int(a[0])

    for _ in range(5):
        assert spread(work, np.arange(3), grain=1) == [0, 1, 2]
        time.sleep(0.002)


def test_an_error_arrives_and_the_next_call_works(three):
    def work(a):
        if a[0] > 0:
            raise ArithmeticError(f"part {a[0]}")
        return 1

    for _ in range(3):
        with pytest.raises(ArithmeticError, match="part 1"):
            spread(work, np.arange(3), grain=1)
        assert spread(len, np.arange(3), grain=1) == [1, 1, 1]


def test_an_interruption_waits_for_the_work(monkeypatch):
    before = clew.get_num_threads()
    ended = []

    def work(a):
        if a[0] > 0:
            time.sleep(0.02)
        ended.append(int(a[0]))
        return int(a[0])

    def interrupted(address, turns, after):
        monkeypatch.setattr(threads, "spinning", [])
        raise KeyboardInterrupt

    clew.set_num_threads(2)
    try:
        assert spread(work, np.arange(2), grain=1) == [0, 1]  # the helper is there
        time.sleep(0.01)
        ended.clear()
        monkeypatch.setattr(threads, "spinning", [])
        helper = threads._helpers[0]
        helper.start(lambda: work(np.ones(1)))
        monkeypatch.setattr(threads, "spinning", [interrupted])
        with pytest.raises(KeyboardInterrupt):
            helper.finish()
        assert ended == [1]
        monkeypatch.setattr(threads, "spinning", [])
        assert spread(work, np.arange(2), grain=1) == [0, 1]
    finally:
        clew.set_num_threads(before)


def test_a_small_product_leaves_the_number_of_blas_threads_as_it_was():
    a = np.random.default_rng(0).standard_normal((64, 64))
    found = blas._find()
    if found is None:
        pytest.skip("NumPy has another BLAS")
    read, write = found
    count = read()
    try:
        for wanted in (1, count):
            write(wanted)
            during = []
            made = blas.alone(lambda x, y: (during.append(read()), x.dot(y))[1], a, a)
            np.testing.assert_array_equal(made, a.dot(a))
            assert during == [1]
            assert read() == wanted
            with pytest.raises(ValueError):
                blas.alone(a.dot, a[:3])
            assert read() == wanted
    finally:
        write(count)
