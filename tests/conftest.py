"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import clew

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_python() -> Run:
    """`run_python(*args, cwd=None, path=None)`: a fresh Python with the clew under test, for what concerns a whole process.

    `path` is a folder put on its module search path.
    """

    def run(
        *args: object, cwd: Path | None = None, path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        folders = [str(Path(clew.__file__).parent.parent), *([str(path)] if path else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, *map(str, args)]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=120
        )

    return run


@pytest.fixture(scope="session")
def run_clew(run_python: Run) -> Run:
    """`run_clew("run", script, ...)`: the command line, in a fresh process."""
    return lambda *args, **options: run_python("-m", "clew", *args, **options)


@pytest.fixture(autouse=True)
def _modes_are_left_as_they_were():
    """A test that leaves grad mode, or another switch, set would fail the tests after it."""
    import clew
    from clew.core.modes import altered

    yield
    assert clew.is_grad_enabled()
    assert not altered
