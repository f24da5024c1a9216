"""The expected outputs of the course's programs are PyTorch's."""

from __future__ import annotations

import pytest

from clew import labs
from clew.labs import errors
from clew.labs.variations import VARIATIONS, try_out

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("program", labs.all_programs(), ids=lambda program: program.name)
def test_expected_output_is_pytorchs(program):
    assert labs.execute(program) == program.expected


@pytest.mark.parametrize("name", VARIATIONS)
def test_answers_of_variations_are_pytorchs(name):
    program = labs.choose([name])[0]
    for variation in VARIATIONS[name]:
        assert try_out(program, variation).actual == variation.expected, variation.name


@pytest.mark.parametrize("row", errors.ROWS, ids=lambda row: row.name)
def test_mended_programs_run(row):
    assert "Error" not in labs.execute(labs.Program(row.name, "", "", row.mended))
