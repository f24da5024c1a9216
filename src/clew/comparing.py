"""`clew run --compare`: one program under clew and under PyTorch, and where the printed numbers part."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import zip_longest

DIGITS = 1e-3  # numbers this close, relative to the larger, count as the same: three significant digits
NEAR_ZERO = 1e-6
_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
_MOST = 20  # lines to show


def compare(target: Sequence[str], args: Sequence[str]) -> int:
    """Run `python TARGET ARGS` and `clew run TARGET ARGS`. Status 0 where they print the same, 1 where not, 2 without
    PyTorch. target: a script, or `-m` and a module."""
    if find_spec("torch") is None:
        print("clew: --compare needs PyTorch beside clew: pip install torch", file=sys.stderr)
        return 2
    theirs = _output([sys.executable, *target, *args])
    ours = _output([sys.executable, "-m", "clew", "run", *target, *args])
    parted = list(differences(theirs[1].splitlines(), ours[1].splitlines()))
    for number, want, have in parted[:_MOST]:
        print(f"line {number}:\n  PyTorch: {want}\n  clew:    {have}")
    if len(parted) > _MOST:
        print(f"… and {len(parted) - _MOST} lines more")
    for name, (status, _, errors) in (("PyTorch", theirs), ("clew", ours)):
        if status:
            last = errors.strip().splitlines()[-1:] or [""]
            print(f"under {name} the program ended with status {status}: {last[0]}")
    same = not parted and theirs[0] == ours[0]
    lines = len(theirs[1].splitlines())
    print(f"{lines} lines, all the same" if same else f"{len(parted)} of {lines} lines differ")
    return 0 if same else 1


def _output(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stdout, done.stderr


def differences(theirs: Sequence[str], ours: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Line number, PyTorch's line and clew's, where they are not the same to three digits."""
    for number, (want, have) in enumerate(zip_longest(theirs, ours, fillvalue=""), 1):
        if want != have and not same_numbers(want, have):
            yield number, want, have


def same_numbers(want: str, have: str) -> bool:
    """Whether two lines have the same words, and numbers that agree to three digits."""
    if " ".join(_NUMBER.sub("#", want).split()) != " ".join(_NUMBER.sub("#", have).split()):
        return False
    pairs = zip(_NUMBER.findall(want), _NUMBER.findall(have), strict=True)
    return all(close(float(a), float(b)) for a, b in pairs)


def close(a: float, b: float) -> bool:
    """Whether two numbers agree to three significant digits, or are both nearly nothing."""
    return abs(a - b) <= max(DIGITS * max(abs(a), abs(b)), NEAR_ZERO)
