"""How close to the limit: the compiled GPT step beside its bare matrix products, and how long it takes to compile."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import clew
from harness import compiled, duel, duration
from large import VOCABULARY, character_gpt
from report import Findings, Row

LAYERS, WIDTH, CONTEXT, BATCH, HEADS = 4, 128, 64, 12, 4
STEP = f"GPT {LAYERS} layers {WIDTH} wide, {CONTEXT} context, batch {BATCH}"
OVER, COLD, CACHED = 1.2, 10.0, 1.0
HERE = Path(__file__).resolve().parent
CHILD = f"""
import sys, time
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent / "src")!r}]
import clew
from large import character_gpt
step = clew.compile(character_gpt(clew, {LAYERS}, {WIDTH}, {CONTEXT}, {BATCH}).step, fullgraph=True)
longest = 0.0
for _ in range(20):
    start = time.perf_counter()
    step()
    longest = max(longest, time.perf_counter() - start)
assert step.kernel
print(longest)
"""


def products() -> Callable[[], Any]:
    """Every matrix product of a step, forward and backward, by NumPy, one after another."""
    rows = BATCH * CONTEXT
    linear = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)] * LAYERS
    numbers = np.random.default_rng(0)

    def matrix(*shape: int) -> np.ndarray:
        return numbers.standard_normal(shape, dtype=np.float32)

    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for inner, outer in [*linear, (WIDTH, VOCABULARY)]:
        x, w, g = matrix(rows, inner), matrix(outer, inner), matrix(rows, outer)
        pairs += [(x, w.T), (g, w), (g.T, x)]
    for _ in range(LAYERS):
        q, k, v, g = (matrix(BATCH, HEADS, CONTEXT, WIDTH // HEADS) for _ in range(4))
        a = matrix(BATCH, HEADS, CONTEXT, CONTEXT)
        pairs += [(q, k.swapaxes(-1, -2)), (a, v)]
        pairs += [(a.swapaxes(-1, -2), g), (g, v.swapaxes(-1, -2)), (a, k), (a.swapaxes(-1, -2), q)]

    def run() -> None:
        for a, b in pairs:
            np.matmul(a, b)

    return run


def run_limits() -> Findings:
    result = duel(compiled(character_gpt(clew, LAYERS, WIDTH, CONTEXT, BATCH)), products(), 30, 0.06)
    found = Findings([
        Row(
            f"{STEP}: compiled, its bare products in NumPy", str(result.clew), str(result.peer),
            f"{result.ratio:.2f}×", f"{result.ratio_of_minima:.2f}×", f"≥ 1 / {OVER:g}", result.sure >= 1 / OVER,
        )
    ])  # fmt: skip
    with tempfile.TemporaryDirectory() as cache:
        for what, bar in (("cold", COLD), ("from the cache", CACHED)):
            seconds = compile_once(cache)
            found.rows.append(
                Row(
                    f"{STEP}: compiling, {what}",
                    duration(seconds),
                    "",
                    "",
                    "",
                    f"≤ {bar:g} s",
                    seconds <= bar,
                )
            )
    return found


def compile_once(cache: str) -> float:
    """Seconds of the call that makes the kernel, in a fresh process with that folder as its cache."""
    environment = os.environ | {"CLEW_CACHE": cache, "NUMBA_CACHE_DIR": str(Path(cache) / "numba")}
    child = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True
    )
    return float(child.stdout)
