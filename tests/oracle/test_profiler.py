"""The profiler's schedules beside PyTorch's."""

from __future__ import annotations

import importlib

import pytest
from both import same

torch = pytest.importorskip("torch")

SCHEDULES = [
    {"wait": 1, "warmup": 1, "active": 2, "repeat": 1}, {"wait": 1, "warmup": 1, "active": 2, "skip_first": 1},
    {"wait": 1, "warmup": 1, "active": 1, "repeat": 2}, {"wait": 0, "warmup": 0, "active": 1}, {"wait": -1, "warmup": 0, "active": 2},
    {"wait": 2, "warmup": 1, "active": 1, "skip_first": 2, "skip_first_wait": 1},
]  # fmt: skip


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_schedules(options):
    def program(t):
        schedule = importlib.import_module(f"{'torch' if t is torch else 'clew'}.profiler").schedule(
            **options
        )
        return [schedule(step).name for step in range(9)]

    same(program)
