"""The expected outputs of the course's programs are PyTorch's."""

from __future__ import annotations

import pytest

from clew import labs

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("program", labs.all_programs(), ids=lambda program: program.name)
def test_expected_output_is_pytorchs(program):
    assert labs.execute(program) == program.expected
