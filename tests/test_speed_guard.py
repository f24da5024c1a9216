"""What must stay fast, as far as a test can tell without a clock: the import, and the objects a step makes."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable

import pytest

import clew

HEAVY = ("scipy", "numba", "ml_dtypes", "matplotlib", "torch")


@pytest.mark.parametrize(
    "program",
    [
        "import clew",
        "import clew; w = clew.tensor(1.0, requires_grad=True); ((w * 3 - 10) ** 2).backward(); print(w.grad)",
        "import clew; clew.manual_seed(0); print(clew.rand(3), clew.randn(20).mean())",
    ],
)
def test_heavy_libraries_are_loaded_only_when_needed(run_python: Callable, program: str) -> None:
    done = run_python(
        "-c", f"import sys; {program}; print('LOADED', *[n for n in {HEAVY} if n in sys.modules])"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


def test_import_is_a_bounded_number_of_modules(run_python: Callable) -> None:
    """Beyond NumPy's, an import adds clew's own modules and few others: every one is read from disk."""
    code = (
        "import sys, numpy; before = set(sys.modules); import clew; "
        "print(*sorted(m for m in set(sys.modules) - before if m.split('.')[0] not in ('clew', 'numpy')))"
    )
    others = run_python("-c", code).stdout.split()
    assert len(others) < 60, others


def calls_of(function: Callable[[], object]) -> int:
    """How many Python functions a call runs through: what a step costs, told without a clock."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls - 1


def test_a_step_on_one_parameter_stays_short() -> None:
    """Forward, backward, update, three numbers, clear: about forty calls of Python functions."""
    w = clew.tensor(2.0, requires_grad=True)

    def step() -> None:
        nonlocal w
        loss = (w * 3 - 10) ** 2
        loss.backward()
        with clew.no_grad():
            w -= 0.1 * w.grad
        w.item(), loss.item(), w.grad.item()
        w.grad.zero_()

    for _ in range(3):
        step()
    assert calls_of(step) <= 45


@pytest.mark.parametrize(
    ("name", "operation", "most"),
    [
        ("recorded product", lambda w: w * 3, 4),
        ("recorded power", lambda w: w**2, 6),
        ("recorded sum", lambda w: w + w, 4),
        ("item", lambda w: w.item(), 2),
    ],
)
def test_an_operation_on_a_number_stays_short(name: str, operation: Callable, most: int) -> None:
    w = clew.tensor(2.0, requires_grad=True)
    operation(w)
    assert calls_of(lambda: operation(w)) - 1 <= most, name


def test_a_recorded_operation_takes_little_memory() -> None:
    """A node with its edges and its place in the program; the tensor in between is gone."""
    x = y = clew.tensor(1.0, requires_grad=True)
    for _ in range(10):
        y = y * 0.5
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1_000):
            y = y * 0.5
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held / 1_000 < 600
    assert x.is_leaf
