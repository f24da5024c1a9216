"""When kernels are chosen, how they are compiled, and threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import clew as torch
from clew import kernels
from clew.kernels import threads

F = torch.nn.functional


def python(program: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


SMALL = """
import sys, clew as torch
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.LayerNorm(128), torch.nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters())
loss = torch.nn.functional.cross_entropy(model(torch.randn(8, 64)), torch.arange(8)); loss.backward(); optimizer.step()
print("numba" in sys.modules)
"""


def test_small_work_does_not_import_numba() -> None:
    assert python(SMALL) == "False"


LARGE = """
import sys
{before}
import clew as torch
x = torch.linspace(-3, 3, 50_001, requires_grad=True)
y = torch.nn.functional.gelu(x); y.sum().backward()
print(y.sum().item(), x.grad.sum().item())
"""
NO_FOLDER = """
import numba
plain = numba.njit
def njit(*args, **options):
    if options.get("cache"):
        raise RuntimeError("cannot cache function: no locator available")
    return plain(*args, **options)
numba.njit = njit
"""


@pytest.mark.parametrize(
    "before", ["", NO_FOLDER, "sys.modules['numba'] = None"], ids=["installed", "no cache folder", "no numba"]
)
def test_with_and_without_numba_and_its_cache(before: str) -> None:
    total, slopes = python(LARGE.format(before=before)).split()
    assert float(total) == pytest.approx(33355.63, rel=1e-5)
    assert float(slopes) == pytest.approx(25000.50, rel=1e-5)


def test_other_types_and_gaps_run_plainly() -> None:
    large = np.zeros((300, 300), np.float32)
    assert kernels.pick("gelu", large) is not None
    assert kernels.pick("gelu", large.astype(np.float16)) is None
    assert kernels.pick("gelu", large.T[::2]) is None
    assert kernels.pick("gelu", large, large.astype(np.float64)) is None
    assert kernels.pick("gelu", large[:2, :2].copy()) is None


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_chosen", [2])


def test_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_chosen", [])
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert torch.get_num_threads() == 3
    torch.set_num_threads(2)
    assert torch.get_num_threads() == 2
    with pytest.raises(RuntimeError, match="expected a positive number of threads"):
        torch.set_num_threads(0)


@pytest.mark.usefixtures("two_threads")
def test_work_is_shared_out() -> None:
    seen: list[tuple[int, int]] = []

    def note(array: np.ndarray, number: int) -> int:
        seen.append((threading.get_ident(), len(array)))
        return number

    assert threads.spread(note, np.zeros(1001), 7, grain=100) == [7, 7]
    assert sorted(n for _, n in seen) == [500, 501]
    assert len({ident for ident, _ in seen}) == 2
    assert threads.spread(note, np.zeros(150), 7, grain=100) == [7]


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_either_part_is_raised_and_the_threads_live_on() -> None:
    def fail(array: np.ndarray, which: int) -> None:
        if array[0] == which:
            raise ValueError("no")

    for which in (0, 500):
        with pytest.raises(ValueError, match="no"):
            threads.spread(fail, np.arange(1000), which, grain=10)
    assert threads.spread(len, np.arange(1000), grain=10) == [500, 500]


def train(seed: int, found: dict[int, Any]) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(300, 300, generator=generator).requires_grad_()
    x = torch.randn(700, 300, generator=generator)
    optimizer = torch.optim.Adam([weight], lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.gelu(torch.softmax(x @ weight, -1)).square().sum()
        loss.backward()
        optimizer.step()
    found[seed] = loss.item(), weight.detach().numpy().copy()


@pytest.mark.usefixtures("two_threads")
def test_two_threads_train_at_once() -> None:
    alone: dict[int, Any] = {}
    for seed in (1, 2):
        train(seed, alone)
    together: dict[int, Any] = {}
    workers = [threading.Thread(target=train, args=(seed, together)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in (1, 2):
        assert together[seed][0] == pytest.approx(alone[seed][0], rel=1e-5)
        np.testing.assert_allclose(together[seed][1], alone[seed][1], rtol=1e-4, atol=1e-5)


FORKED = """
import os, numpy as np
from clew.kernels import threads
threads.set_threads(2)
assert threads.spread(len, np.arange(1000), grain=10) == [500, 500]
pid = os.fork()
if not pid:
    os._exit(0 if threads.spread(len, np.arange(1000), grain=10) == [500, 500] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    made = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert made.stdout.strip() == "0", made.stderr


def test_a_compiled_step_of_large_layers_follows_the_eager_one() -> None:
    def make() -> Any:
        torch.manual_seed(0)
        nn = torch.nn
        model = nn.Sequential(nn.Linear(32, 256), nn.GELU(), nn.LayerNorm(256), nn.Linear(256, 65))
        optimizer = torch.optim.AdamW(model.parameters())
        x, y = torch.randn(300, 32), torch.randint(0, 65, (300,))

        def step() -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = make(), torch.compile(make(), fullgraph=True)
    for _ in range(6):
        assert compiled().item() == eager().item()


def test_a_compiled_lstm_step_follows_the_eager_one() -> None:
    def make() -> Any:
        torch.manual_seed(0)
        model = torch.nn.LSTM(16, 32)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x = torch.randn(9, 20, 16)

        def step() -> Any:
            optimizer.zero_grad()
            loss = model(x)[0].square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = make(), torch.compile(make())
    for _ in range(6):
        assert compiled().item() == eager().item()
