"""`import clew` against `import numpy`, each in a fresh interpreter, by turns, with byte code cached."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Duel, Spread
from report import Findings, Row, named

ROUNDS = 25
BAR = 1.5
LATER = ("scipy", "numba", "ml_dtypes")  # loaded when something needs them, never by the import
SOURCE = str(Path(__file__).resolve().parent.parent / "src")
CHILD = """\
import sys
from time import perf_counter
start = perf_counter()
import {name}
print(perf_counter() - start, *(n for n in {later} if n in sys.modules))
"""


def import_once(name: str, cache: str) -> tuple[float, list[str]]:
    """Seconds that the import took in a fresh interpreter, and which of `LATER` it loaded."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": SOURCE}
    code = CHILD.format(name=name, later=LATER)
    child = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    seconds, *loaded = child.stdout.split()
    return float(seconds), loaded


def run_import() -> Findings:
    names = ("clew", "numpy")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as cache:
        for name in names:
            import_once(name, cache)  # writes the byte code
        for number in range(ROUNDS):
            for name in names if number % 2 == 0 else reversed(names):
                spent, loaded = import_once(name, cache)
                seconds[name].append(spent)
                if loaded:
                    raise SystemExit(f"import {name} loads {', '.join(loaded)}")
    result = Duel(Spread.of(seconds["clew"]), Spread.of(seconds["numpy"]))
    slower, slower_minima = 1 / result.ratio, 1 / result.ratio_of_minima
    row = Row(
        named("`import clew` against `import numpy`", result),
        str(result.clew),
        str(result.peer),
        f"1 / {slower:.2f}",
        f"1 / {slower_minima:.2f}",
        f"≥ 1 / {BAR:g}",
        result.sure >= 1 / BAR,
    )
    return Findings([row])
