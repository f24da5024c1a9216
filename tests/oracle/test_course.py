"""The programs of the course's pages print under PyTorch what stands below them."""

from __future__ import annotations

import contextlib
import io

import pytest

torch = pytest.importorskip("torch")

import course_pages


@pytest.mark.parametrize("block", course_pages.blocks("python"), ids=lambda block: block.name)
def test_a_program_prints_what_the_page_shows(block):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(block.text, block.name, "exec"), {"__name__": "__main__"})
    assert output.getvalue() == block.output
