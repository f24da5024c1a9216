"""The small programs of tests/golden give what PyTorch 2.13 gave."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clew

GOLDEN = Path(__file__).parent / "golden"
spec = importlib.util.spec_from_file_location("golden_programs", GOLDEN / "programs.py")
assert spec is not None and spec.loader is not None
programs: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(programs)
RECORDED = json.loads((GOLDEN / "programs.json").read_text())


def test_every_program_is_recorded():
    assert set(RECORDED) == set(programs.PROGRAMS)


@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_program(name):
    want, have = RECORDED[name], programs.results(clew, name)
    assert {k: have.get(k) for k in ("dtype", "shape", "grad_fn")} == {
        k: want.get(k) for k in ("dtype", "shape", "grad_fn")
    }
    np.testing.assert_allclose(have["value"], want["value"], rtol=1e-9, atol=1e-11)
    for letter, gradient in want.get("gradients", {}).items():
        if gradient is None:
            assert have["gradients"][letter] is None
        else:
            np.testing.assert_allclose(
                have["gradients"][letter], gradient, rtol=1e-9, atol=1e-11, err_msg=letter
            )
